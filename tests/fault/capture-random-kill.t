#!/bin/bash
# rec-capture is killed at random instants, while it records what a pipe or a device gives at the speed of time or
# some times faster. As it lies, the .part is readable by all, a beginning of what was fed, and at most two seconds
# short of it; recover makes a recording of the whole of it. A seed repeats the instants: REC_SEED=N.
given=${REC_SEED:-}
. "$(dirname "$0")/fault.sh"
. "$TOP/tests/fault/capture-cases.sh"
need jq sqlite3 sox soxi ffprobe ffmpeg sndfile-info python3 openssl
[ -z "$wrap" ] || plan_skip "the kills are measured in time"
seed=${given:-$((SRANDOM % 100000))}
plugin=${BIN%/*}/test/libasound_module_pcm_rectest.so
rate=48000
kills=20
full && kills=200
at_once=10
echo "# REC_SEED=$seed, $kills kills"
RANDOM=$seed

seconds=30
noise "$seed" $((seconds * rate * 4)) >"$TMP/feed.raw"
devices=no
if [ -r "$plugin" ] && [ -r /usr/share/alsa/alsa.conf ]; then
	devices=yes
	{
		echo '</usr/share/alsa/alsa.conf>'
		echo "pcm_type.rectest { lib \"$plugin\" }"
		echo "pcm.played { type rectest file \"$TMP/feed.raw\" rate $rate channels 2 format S16_LE speed 1 }"
	} >"$TMP/asound.conf"
	export ALSA_CONFIG_PATH=$TMP/asound.conf
fi

# feed SPEED: the feed at SPEED times the speed of time. The pipe holds a page; what was taken from it is told in
# bytes, in the file "fed", again and again.
cat >feed.py <<'PY'
import fcntl, os, signal, sys, time

signal.signal(signal.SIGPIPE, signal.SIG_IGN)
speed, told = float(sys.argv[2]), os.open(sys.argv[3], os.O_WRONLY | os.O_CREAT)
fcntl.fcntl(1, 1031, 4096)  # F_SETPIPE_SZ
done, begin = 0, time.monotonic()
with open(sys.argv[1], "rb") as feed:
    while piece := feed.read(1920):
        time.sleep(max(0, begin + done / (192000 * speed) - time.monotonic()))
        try:
            os.write(1, piece)
        except BrokenPipeError:
            break
        done += len(piece)
        os.pwrite(told, b"%-20d" % done, 0)
# Nobody is told of an end before the kill.
time.sleep(30)
PY

# victim N FORMAT FROM SPEED MILLISECONDS: in the folder N; killed so long after the first frame
victim()
{
	local n=$1 format=$2 from=$3 speed=$4 ms=$5 pid feeder=0 i began source

	mkdir "$n" && cp -a base "$n/archive"
	if [ "$from" = pipe ]; then
		mkfifo "$n/pipe"
		python3 feed.py feed.raw "$speed" "$n/fed" >"$n/pipe" 2>/dev/null </dev/null &
		feeder=$!
		source=(--raw s16le -)
		rec-capture -C "$n/archive" -q --events -f "$format" -r $rate -c 2 "${source[@]}" <"$n/pipe" >"$n/out" 2>"$n/err" &
	else
		source=(-d played)
		rec-capture -C "$n/archive" -q --events -f "$format" -r $rate -c 2 "${source[@]}" </dev/null >"$n/out" 2>"$n/err" &
	fi
	pid=$!
	for ((i = 0; i < 1000; i++)); do
		grep -q '"start"' "$n/err" 2>/dev/null && break
		sleep 0.02
	done
	began=${EPOCHREALTIME/./}
	sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
	kill -KILL $pid
	# What a device gave is told by the clock.
	if [ "$from" = pipe ]; then
		cp "$n/fed" "$n/at-kill"
	else
		echo $(((${EPOCHREALTIME/./} - began) * speed * rate * 4 / 1000000)) >"$n/at-kill"
	fi
	{ wait $pid; } 2>/dev/null
	echo $? >"$n/status"
	[ $feeder = 0 ] || { kill $feeder; wait $feeder; } 2>/dev/null
}

# decoded FORMAT FILE: its samples
decoded()
{
	sox -D -t "$1" "$2" -t raw -L -e signed -b 16 - 2>/dev/null
}

# judged N FORMAT SPEED WHAT: after the kill
judged()
{
	local n=$1 format=$2 speed=$3 what=$4 fed part link soxi probed size frames recovered path

	W=$n/archive
	states=$((states + 1))
	st=$(cat "$n/status")
	cp "$n/err" "$errf"
	[ "$st" = 137 ] || broken "$what: it was to be killed, and has status $st"
	fed=$(tr -d ' ' <"$n/at-kill")
	part=$(find "$n/archive/recordings/temp" -name "recording_*.$format.part")
	[ "$(wc -l <<<"$part")" = 1 ] && [ -n "$part" ] || { broken "$what: there is not one part"; return; }
	# An Ogg whose first page was not full yet has nothing to be read.
	case $format in
	ogg | opus)
		if [ "$fed" -lt $((2 * 4 * rate)) ] && ! ffprobe -v quiet "$part"; then
			early=$((early + 1))
			return
		fi
		;;
	esac
	# Some go by the name.
	link=$n/take.$format
	[ "$format" != opus ] || link=$n/take.ogg
	ln -s "$(realpath "$part")" "$link"
	probed=$(ffprobe -v error -show_entries stream=duration_ts -of csv=p=0 "$part" 2>/dev/null)
	[ $? = 0 ] || broken "$what: ffprobe refuses it"
	sndfile-info "$link" >"$n/info" 2>&1 && grep -q '^Frames' "$n/info" || broken "$what: libsndfile refuses it"
	case $format in
	ogg | opus)
		ffmpeg -v error -nostdin -i "$part" -f s16le - >"$n/lying" 2>/dev/null </dev/null
		size=$(stat -c %s "$n/lying")
		;;
	*)
		soxi=$(soxi -s "$link" 2>/dev/null) || broken "$what: soxi refuses it"
		decoded "$format" "$part" >"$n/lying"
		size=$(stat -c %s "$n/lying")
		cmp -s -n "$size" "$n/lying" feed.raw || broken "$what: what lies there is no beginning of what was fed"
		# The header is true within a second of audio: some go by it, some by the end of the file.
		if [ "$format" != flac ]; then
			[ $((soxi - probed)) -le $((speed * rate)) ] && [ $((probed - soxi)) -le $((speed * rate)) ] &&
			    [ $((soxi * 4)) = "$size" ] && grep -q "^Frames *: $soxi\$" "$n/info" ||
			    broken "$what: soxi $soxi, ffprobe $probed, libsndfile $(grep '^Frames' "$n/info" | tr -s ' '), decoded $((size / 4))"
		fi
		;;
	esac
	# Nor has a FLAC whose first frame was not full yet.
	if [ "$format $size" = "flac 0" ] && [ "$fed" -lt $((4 * rate)) ]; then
		early=$((early + 1))
		return
	fi
	short=$(((fed - size) / 4))
	[ $short -le $((2 * rate)) ] || broken "$what: $short frames are not there"
	[ $short -le $worst ] || worst=$short

	run timeout -k 5 60 rec-capture -C "$n/archive" -q recover
	frames=$(jq -r .frames "$out")
	path=$n/archive/$(jq -r .path "$out")
	# An Ogg without its last page is told as that.
	case $format in
	ogg | opus) [ "$st $(jq -sc 'map(.problem.code)' "$out")" = '1 ["truncated"]' ] ;;
	*) [ "$st $(jq -sc 'map(.problem)' "$out")" = '0 [null]' ] ;;
	esac && [ -f "$path" ] || broken "$what: recover makes no recording as it shall be: $(jq -c .problem "$out")"
	[ -z "$(ls -A "$n/archive/recordings/temp")" ] || broken "$what: recover leaves something in temp"
	case $format in
	ogg | opus) ffprobe -v error "$path" 2>/dev/null || broken "$what: recovered, ffprobe refuses it" ;;
	*)
		# Behind what the header told there may be more.
		[ "${frames:-0}" -ge $((size / 4)) ] || broken "$what: $((size / 4)) frames lay there, $frames were recovered"
		decoded "$format" "$path" >"$n/recovered"
		recovered=$(stat -c %s "$n/recovered")
		[ $((frames * 4)) = "$recovered" ] && cmp -s -n "$recovered" "$n/recovered" feed.raw ||
		    broken "$what: recovered, it is no beginning of what was fed, or not as long as its record says"
		short=$(((fed - recovered) / 4))
		[ $short -le $worst_recovered ] || worst_recovered=$short
		;;
	esac
	W=$TMP/work
}

make_archive base 0002
printf '%s\n' REC_TEMP_PATH=recordings/temp >>base/.env
run rec-migrate -C base -q apply

worst=0 worst_recovered=0 early=0
formats=(wav w64 flac)
what=()
n=0
while [ $n -lt $kills ]; do
	pids=()
	for ((i = 0; i < at_once && n < kills; i++, n++)); do
		format=${formats[n % 3]}
		case $n in
		*9) format=ogg ;;
		*4) [ $((n % 20)) != 14 ] || format=opus ;;
		esac
		from=pipe
		[ $devices = no ] || [ $((n / 3 % 2)) = 0 ] || from=device
		speed=$((1 << RANDOM % 3))
		# What a device loses when others compete for the core is told, but is no beginning of what was fed.
		[ $from = pipe ] || speed=1
		ms=$((RANDOM % 4500 + 1))
		what[n]="$format $from $speed $ms"
		# shellcheck disable=SC2086 # words
		victim $n ${what[n]} 2>/dev/null &
		pids+=($!)
	done
	wait "${pids[@]}" 2>/dev/null
	for ((i = n - ${#pids[@]}; i < n; i++)); do
		read -r format from speed ms <<<"${what[i]}"
		judged $i "$format" "$speed" "kill $i (${what[i]} ms)"
		[ "$broken" != 0 ] || rm -rf "${TMP:?}/$i"
	done
done
[ $devices = yes ] || skip "from a device" "no ALSA here, or the test device is not built"
echo "# at most $((worst * 1000 / rate)) ms were missing as it lay, $((worst_recovered * 1000 / rate)) ms when it was recovered"
[ $early = 0 ] || echo "# $early of FLAC and Ogg were killed before their first frame was written"
report "killed at random, seed $seed"
done_testing
