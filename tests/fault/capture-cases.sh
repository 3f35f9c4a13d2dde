# capture-cases.sh: what can go wrong while something is recorded, the same for rec-capture and its peers. Bash;
# sourced by tests/fault/capture-faults.t and scripts/compare-capture, with the tools in PATH.
#
#	CASES                       their names
#	title_of CASE               in words
#	cases_init DIR TOP PLUGIN   the feed (noise), and ALSA's devices on it; false, and why on stdout
#	case_run CASE TOOL DIR      runs TOOL with the fault, in the new folder DIR, and leaves there
#	                              skipped    the reason when it cannot be done
#	                              status     of the tool; "hangs" when it had to be killed
#	                              out err    of the tool
#	                              files      names of what it left
#	                              wanted     the frames that could have been kept
#	                              archive    rec-capture's
#	case_end DIR                unmounts; nothing below DIR is removed
#
# Each case is 48 kHz, stereo, 16 bits, and takes some seconds; several may run at the same time. The devices are
# tests/data/testdev.c at the speed of time. Frames are a multiple of 4096, as the device stalls and vanishes when
# all frames before have been read, and some readers take whole periods only.

# shellcheck disable=SC2034 # used by those who source this
CASES="kill hup full inodes eio lost overrun stdin slow"
CASE_RATE=48000
CASE_LOST=98304
CASE_OVERRUN=49152
CASE_GAP=24576
CASE_FED_BYTES=480001
CASE_ROOM_KIB=600

title_of()
{
	case $1 in
	kill) echo "SIGKILL" ;;
	hup) echo "SIGHUP" ;;
	full) echo "disk full" ;;
	inodes) echo "no inode left" ;;
	eio) echo "EIO on write" ;;
	lost) echo "device lost" ;;
	overrun) echo "overrun" ;;
	stdin) echo "stdin ends early" ;;
	slow) echo "disk stalls 2 s" ;;
	esac
}

# noise SEED BYTES: the same for the same seed; no two places are alike
noise()
{
	head -c "$2" /dev/zero | openssl enc -aes-128-ctr -nosalt -K "$(printf %032x "$1")" -iv "$(printf %032x 0)"
}

cases_init()
{
	local program

	CASE_TOP=$2
	CASE_FEED=$1/feed.raw
	for program in python3 openssl sox ffmpeg ffprobe flac sqlite3; do
		command -v "$program" >/dev/null || { echo "no $program here"; return 1; }
	done
	if [ ! -r "$3" ] || [ ! -r /usr/share/alsa/alsa.conf ]; then
		echo "no ALSA here, or the test device is not built"
		return 1
	fi
	noise 1 $((8 * CASE_RATE * 4)) >"$CASE_FEED"
	cat >"$1/asound.conf" <<-DEVICES
		</usr/share/alsa/alsa.conf>
		pcm_type.rectest { lib "$3" }
		pcm.paced { type rectest file "$CASE_FEED" rate $CASE_RATE channels 2 format S16_LE speed 1 }
		pcm.lost { type rectest file "$CASE_FEED" rate $CASE_RATE channels 2 format S16_LE speed 1 lost_at $CASE_LOST }
		pcm.over { type rectest file "$CASE_FEED" rate $CASE_RATE channels 2 format S16_LE speed 1 overrun_at $CASE_OVERRUN overrun_frames $CASE_GAP }
	DEVICES
	export ALSA_CONFIG_PATH=$1/asound.conf
}

# case_command TOOL DEVICE|- SECONDS DIR [parts]: sets argv; recordings go below DIR/place. rec-capture can do without
# SECONDS.
case_command()
{
	local tool=$1 source=$2 seconds=$3 file=$4/place/take.wav parts=${5:-}

	case $tool in
	rec-capture)
		argv=(rec-capture -C "$4/archive" -q --events -f wav -r $CASE_RATE -c 2 ${seconds:+-t "$seconds"} ${parts:+--split-time 1})
		if [ "$source" = - ]; then argv+=(--raw s16le -); else argv+=(-d "$source"); fi
		;;
	arecord)
		argv=(arecord -D "$source" -t wav -f S16_LE -r $CASE_RATE -c 2 -d "$seconds" ${parts:+--max-file-time 1} "$file")
		;;
	sox)
		if [ "$source" = - ]; then
			argv=(sox -t raw -e signed -b 16 -r $CASE_RATE -c 2 -)
		else
			argv=(sox -t alsa -b 16 -r $CASE_RATE -c 2 "$source")
		fi
		argv+=("$file" trim 0 "${parts:-$seconds}" ${parts:+: newfile : restart})
		;;
	ffmpeg)
		argv=(ffmpeg -v warning -y)
		if [ "$source" = - ]; then
			argv+=(-f s16le -ar $CASE_RATE -ac 2 -i -)
		else
			argv+=(-nostdin -f alsa -sample_rate $CASE_RATE -channels 2 -i "$source")
		fi
		argv+=(-t "$seconds" -c:a pcm_s16le)
		if [ -n "$parts" ]; then
			argv+=(-f segment -segment_time 1 "${file%.wav}%d.wav")
		else
			argv+=("$file")
		fi
		;;
	esac
}

# case_place TOOL DIR [TMPFS-OPTION-WITHOUT-NUMBER FREE]: where it records to, for rec-capture with an archive. With
# an option on a file system of its own, of which FREE (KiB or inodes) are not used.
case_place()
{
	local tool=$1 dir=$2 option=${3:-} free=${4:-0} used=0

	mkdir -p "$dir/place"
	if [ "$tool" = rec-capture ]; then
		"$CASE_TOP/tests/data/make-archive" "$dir/archive" >/dev/null 2>&1 || return 1
		mkdir -p "$dir/archive/recordings/temp"
		printf '%s\n' APP_ENVIRONMENT=testing REC_TEMP_PATH=recordings/temp REC_BACKUP_PATH=backup REC_DISK_CHECK=false \
		    >>"$dir/archive/.env"
		rec-migrate -C "$dir/archive" -q apply >/dev/null 2>&1
	fi
	[ -n "$option" ] || return 0
	if [ "$tool" = rec-capture ]; then
		case $option in
		size) used=$(find "$dir/archive/recordings" -type f -printf '%b\n' | awk '{ n += int(($1 + 7) / 8) * 4 } END { print n }') ;;
		*) used=$(find "$dir/archive/recordings" -mindepth 1 | wc -l) ;;
		esac
	fi
	case $option in
	size) option=size=$((used + free))k ;;
	nr_inodes) option=nr_inodes=$((used + free + 1)) ;;
	esac
	mount -t tmpfs -o "$option" none "$dir/place" 2>/dev/null || return 1
	if [ "$tool" = rec-capture ]; then
		cp -a "$dir/archive/recordings/." "$dir/place" || return 1
		mv "$dir/archive/recordings" "$dir/elsewhere"
		ln -s ../place "$dir/archive/recordings"
	fi
}

# traced DIR CALLS INJECTION CMD...: strace, of the calls on the recording alone. rec-capture's is named after the
# second in which it begins.
traced()
{
	local dir=$1 calls=$2 injection=$3 i paths=() now folder

	shift 3
	folder=$(realpath "$dir/archive/recordings/temp" 2>/dev/null)
	now=$(date +%s)
	for ((i = 0; i < 20 && ${#folder} > 0; i++)); do
		paths+=(-P "$folder/recording_$(date -u -d "@$((now + i))" +%Y%m%d_%H%M%S).wav.part")
	done
	[ ${#paths[@]} -gt 0 ] || paths=(-P "$(realpath "$dir")/place/take.wav")
	# The time limit is within, so that the tool and not strace is ended.
	strace -f -qq -o "$dir/trace" "${paths[@]}" -e "trace=$calls" -e "inject=$calls:$injection" \
	    timeout -k 2 15 "$@"
}

# signalled DIR SIGNAL SECONDS CMD...: SIGNAL that long after the device was opened
signalled()
{
	local dir=$1 signal=$2 seconds=$3 pid opened i rc

	shift 3
	env --default-signal=INT,TERM,HUP "$@" </dev/null >"$dir/out" 2>"$dir/err" &
	pid=$!
	for ((i = 0; i < 500; i++)); do
		find "/proc/$pid/fd" -lname "$CASE_FEED" 2>/dev/null | grep -q . && break
		sleep 0.01
	done
	opened=${EPOCHREALTIME/./}
	sleep "$seconds"
	kill "-$signal" $pid 2>/dev/null
	echo $((((${EPOCHREALTIME/./} - opened) * CASE_RATE) / 1000000)) >"$dir/wanted"
	timeout 8 tail -s 0.05 --pid=$pid -f /dev/null || { kill -KILL $pid; touch "$dir/hung"; }
	{ wait $pid; } 2>/dev/null
	rc=$?
	return $rc
}

# limited CMD...: ends what hangs
limited()
{
	timeout -k 2 12 "$@"
}

case_files()
{
	case $1 in
	rec-capture) find "$2/archive/recordings/" -type f ;;
	*) find "$2/place/" -type f ;;
	esac | sort
}

case_run()
{
	local name=$1 tool=$2 dir=$3 rc=0 argv=() nth

	# A second or two after the beginning: ffmpeg writes 256 KiB at a time.
	case $tool in
	ffmpeg) nth=3 ;;
	*) nth=16 ;;
	esac

	mkdir -p "$dir"
	if ! command -v "$tool" >/dev/null; then
		echo "not installed" >"$dir/skipped"
		return
	fi
	case $name in
	full | inodes)
		if [ "$(id -u)" != 0 ]; then
			echo "not root" >"$dir/skipped"
			return
		fi
		;;
	eio | slow)
		if ! command -v strace >/dev/null || ! strace -qq -o /dev/null -e trace=exit_group true 2>/dev/null; then
			echo "no strace here, or not permitted" >"$dir/skipped"
			return
		fi
		;;
	stdin)
		if [ "$tool" = arecord ]; then
			echo "n/a" >"$dir/skipped"
			return
		fi
		;;
	esac
	case $name in
	full) case_place "$tool" "$dir" size $CASE_ROOM_KIB ;;
	inodes) case_place "$tool" "$dir" nr_inodes 2 ;;
	*) case_place "$tool" "$dir" ;;
	esac || { echo "no place to record to" >"$dir/skipped"; return; }
	case_files "$tool" "$dir" >"$dir/before"
	[ ! -d "$dir/archive" ] || case_prepared "$dir"

	case $name in
	kill) case_command "$tool" paced 6 "$dir" && signalled "$dir" KILL 2.7 "${argv[@]}" || rc=$? ;;
	hup) case_command "$tool" paced 6 "$dir" && signalled "$dir" HUP 2.7 "${argv[@]}" || rc=$? ;;
	full)
		echo $((CASE_ROOM_KIB * 1024 / 4)) >"$dir/wanted"
		# Told how long it is to be, rec-capture would refuse to begin.
		case $tool in
		rec-capture) case_command "$tool" paced "" "$dir" ;;
		*) case_command "$tool" paced 6 "$dir" ;;
		esac
		limited "${argv[@]}" >"$dir/out" 2>"$dir/err" || rc=$?
		;;
	inodes)
		echo $((2 * CASE_RATE)) >"$dir/wanted"
		case_command "$tool" paced 4 "$dir" 1 && limited "${argv[@]}" >"$dir/out" 2>"$dir/err" || rc=$?
		;;
	eio)
		case_command "$tool" paced 5 "$dir" &&
		    traced "$dir" write,pwrite64,writev error=EIO:when=$nth+ "${argv[@]}" >"$dir/out" 2>"$dir/err" || rc=$?
		awk '/INJECTED/ { exit } { n += $NF } END { print int(n / 4) }' "$dir/trace" >"$dir/wanted"
		;;
	lost)
		echo $CASE_LOST >"$dir/wanted"
		case_command "$tool" lost 5 "$dir" && limited "${argv[@]}" >"$dir/out" 2>"$dir/err" || rc=$?
		;;
	overrun)
		echo $((3 * CASE_RATE)) >"$dir/wanted"
		case_command "$tool" over 3 "$dir" && limited "${argv[@]}" >"$dir/out" 2>"$dir/err" || rc=$?
		;;
	stdin)
		echo $((CASE_FED_BYTES / 4)) >"$dir/wanted"
		case_command "$tool" - 5 "$dir" &&
		    head -c $CASE_FED_BYTES "$CASE_FEED" | limited "${argv[@]}" >"$dir/out" 2>"$dir/err" || rc=$?
		;;
	slow)
		echo $((5 * CASE_RATE)) >"$dir/wanted"
		case_command "$tool" paced 5 "$dir" &&
		    traced "$dir" write,pwrite64,writev delay_enter=2000000:when=$nth "${argv[@]}" >"$dir/out" 2>"$dir/err" || rc=$?
		;;
	esac
	# 124: it ended when it was asked to; it had not by itself.
	if [ -e "$dir/hung" ] || [ $rc = 124 ] || { [ $rc = 137 ] && [ "$name" != kill ]; }; then
		rc=hangs
	fi
	echo "$rc" >"$dir/status"
	case_files "$tool" "$dir" | comm -13 "$dir/before" - >"$dir/files"
}

# case_prepared DIR: rec-capture's archive stands and nothing has been recorded; for who wants to look at it
case_prepared()
{
	:
}

case_end()
{
	umount "$1/place" 2>/dev/null
	return 0
}
