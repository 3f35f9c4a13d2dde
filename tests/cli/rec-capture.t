#!/bin/bash
# rec-capture, from standard input: what is fed is what is recorded, to the bit and to the frame; however it ends,
# what came by then is a recording; what is refused leaves nothing behind.
. "$(dirname "$0")/../lib.sh"

for tool in jq sqlite3 sox soxi ffmpeg ffprobe mkfifo; do
	command -v $tool >/dev/null || plan_skip "needs $tool"
done

sql()
{
	sqlite3 -init /dev/null -bail "$@" </dev/null
}

# await CMD...: until it succeeds, for 20 seconds at most
await()
{
	local i

	for ((i = 0; i < 1000; i++)); do
		"$@" && return
		sleep 0.02
	done
	return 1
}

# An archive without recordings, in $root; more lines for .env as arguments.
new_archive()
{
	root=$1
	db=$root/db/app.db
	temp=$root/recordings/temp
	shift
	mkdir -p "$root/db" "$root/recordings/raw"
	printf '%s\n' APP_ENVIRONMENT=testing RECORDINGS_RAW_PATH=recordings/raw RECORDINGS_EDITED_PATH=recordings/edited \
	    REC_TEMP_PATH=recordings/temp REC_BACKUP_PATH=recordings/backup "$@" >"$root/.env"
	sql "$db" "PRAGMA journal_mode = WAL" >/dev/null
	sql "$db" "CREATE TABLE recordings (id INTEGER NOT NULL, filename VARCHAR NOT NULL, stored_filename VARCHAR NOT NULL,
		title VARCHAR, duration FLOAT NOT NULL, filesize_bytes BIGINT, mime_type VARCHAR, checksum VARCHAR, status VARCHAR,
		sync_status VARCHAR, last_synced_at DATETIME, created_at DATETIME DEFAULT (CURRENT_TIMESTAMP), modified_at DATETIME,
		PRIMARY KEY (id), UNIQUE (stored_filename))"
}

# capture FEED OPTION...: into $root
capture()
{
	local feed=$1

	shift
	run_in "$feed" rec-capture -C "$root" -q "$@" -
}

# paths: of the records of the last run
paths()
{
	jq -r .path "$out"
}

# samples FORMAT FILE...: what decodes, joined
samples()
{
	local format=$1 file

	shift
	for file in "$@"; do
		ffmpeg -v error -nostdin -i "$file" -map 0:a:0 -c:a "pcm_$format" -f "$format" - || return
	done
}

# recorded FORMAT: the samples of all records of the last run
recorded()
{
	local file

	while read -r file; do
		samples "$1" "$root/$file"
	done < <(paths)
}

# same_samples NAME FORMAT FEED [BYTES]: the last run recorded FEED, or so much of its beginning
same_samples()
{
	recorded "$2" >got 2>decoder
	head -c "${4:-$(stat -L -c %s "$3")}" "$3" >wanted
	ok "$1" cmp got wanted
}

# prefix NAME FEED FILE AT-LEAST: FILE is a beginning of FEED, and at least so long
prefix()
{
	local size

	size=$(stat -c %s "$3")
	ok "$1" cmp -n "$size" "$3" "$2"
	ok "$1: $size bytes, of at least $4" test "$size" -ge "$4"
}

rows()
{
	sql "$db" "SELECT count(*) FROM recordings"
}

# The audio files of the archive, whole or not.
files()
{
	find "$root/recordings" -type f -printf '%P\n' | sort
}

parts()
{
	find "$temp" -name '*.part' 2>/dev/null | sort
}

# no_more NAME: rows and files are as in $had
had_now()
{
	echo "$(rows) rows, $(files)"
}
no_more()
{
	is "$1" "$(had_now)" "$had"
}

# refused NAME STATUS PATTERN OPTION...: one clear line, and nothing is left
refused()
{
	local name=$1 wanted=$2 pattern=$3

	shift 3
	had=$(had_now)
	run_in noise.s16le rec-capture -C "$root" "$@"
	status "$name: status $wanted" "$wanted"
	stderr_has "$name: says why" "^rec-capture: .*$pattern"
	is "$name: and nothing on stdout" "$(wc -c <"$out")" 0
	no_more "$name: leaves nothing"
}

# One second of one channel at 48 kHz, of two at 24 kHz, ...: noise that fills every bit.
for f in s16le s24le s32le u8; do
	case $f in
	u8) encoding=unsigned bits=8 ;;
	*) encoding=signed bits=${f//[sle]/} ;;
	esac
	sox -R -D -n -r 48000 -c 1 -t raw -e $encoding -b "$bits" noise.$f synth 1 whitenoise 2>/dev/null ||
	    plan_skip "sox cannot synthesize"
done
sox -R -n -r 48000 -c 1 -t raw -e floating-point -b 32 noise.f32le synth 1 whitenoise 2>/dev/null
for f in s16 s24 s32; do
	ffmpeg -v error -nostdin -f ${f}le -ar 48000 -ac 1 -i noise.${f}le -c:a pcm_${f}be -f ${f}be noise.${f}be
done
ffmpeg -v error -nostdin -f f32le -ar 48000 -ac 1 -i noise.f32le -c:a pcm_f32be -f f32be noise.f32be
sox -R -D -n -r 48000 -c 1 -t raw -e signed -b 16 long.s16le synth 6 whitenoise 2>/dev/null
: >nothing
printf x >crumb

# ---- every bit, in every format
new_archive "$TMP/archive"
for f in s16le s24le s32le f32le; do
	for format in wav w64 flac; do
		[ $format = flac ] && [ $f != s16le ] && [ $f != s24le ] && continue
		for channels in 1 2 6; do
			what="$f, $channels channels, $format"
			capture noise.$f --raw $f -r 48000 -c $channels -f $format
			status "$what: status 0" 0
			same_samples "$what: every bit" $f noise.$f
			jq_is "$what: and the record says what it is" '[.sample_rate_hz, .channels, .frames, .problem] | tojson' \
			    "[48000,$channels,$((48000 / channels)),null]"
		done
	done
done
rec-meta -q -C "$root" list >listed
is "container and codec of each" "$(jq -r '[.container, .codec, .bits_per_sample] | join(" ")' listed | sort -u)" "flac flac 16
flac flac 24
w64 pcm_f32le 32
w64 pcm_s16le 16
w64 pcm_s24le 24
w64 pcm_s32le 32
wav pcm_f32le 32
wav pcm_s16le 16
wav pcm_s24le 24
wav pcm_s32le 32"
is "each has a name of its own" "$(jq -r .path listed | sort -u | wc -l)" 30
is "names tell the time" "$(jq -r .path listed | grep -vE '^recordings/raw/recording_[0-9]{8}_[0-9]{6}[^/]*\.(wav|w64|flac)$')" ""
is "filename is stored_filename" "$(jq -c 'select(.filename != .stored_filename)' listed)" ""
is "nothing is left in temp" "$(ls -A "$temp")" ""
jq -r 'select(.codec == "pcm_s16le" or .codec == "flac") | .path' listed >some
while read -r file; do
	bits=$(soxi -b "$root/$file")
	sox -D "$root/$file" -t raw -L -e signed -b "$bits" by-sox 2>/dev/null
	ok "sox agrees about ${file##*.}, $bits bits" cmp by-sox "noise.s${bits}le"
done < <(sed -n '1p;4p;7p;$p' some)

for f in s16 s24 s32 f32; do
	capture noise.${f}be --raw ${f}be -r 48000 -c 2 -f wav
	same_samples "${f}be becomes little-endian" ${f}le noise.${f}le
done
capture noise.u8 --raw u8 -r 48000 -c 1 -f wav
same_samples "u8 becomes 16 bits without loss" u8 noise.u8
jq_is "in a file of 16 bits" .codec pcm_s16le
capture noise.s16le --raw s16le -r 48000 -c 1 -b 24 -f wav
same_samples "16 bits in 24" s16le noise.s16le
jq_is "in a file of 24 bits" .codec pcm_s24le
capture noise.s24le --raw s24le -r 48000 -c 1 -b 32 -f w64
same_samples "24 bits in 32" s24le noise.s24le
jq_is "in a file of 32 bits" .codec pcm_s32le
capture noise.s16le --raw s16le -r 48000 -c 1 -b f32 -f wav
same_samples "16 bits in floats" s16le noise.s16le
jq_is "in a file of floats" .codec pcm_f32le
# An odd number of bytes: RIFF wants a pad byte.
head -c 14403 noise.s24le >odd
for format in wav w64 flac; do
	capture odd --raw s24le -r 48000 -c 1 -f $format
	same_samples "an odd number of bytes, $format" s24le odd
	jq_is "has no problem" '[.frames, .problem] | tojson' "[4801,null]"
done
for format in ogg opus; do
	capture noise.s16le --raw s16le -r 48000 -c 1 -f $format
	status "$format: status 0" 0
	jq_is "$format: container, frames" '[.container, .codec, .frames, .problem] | tojson' \
	    "[\"ogg\",\"$([ $format = ogg ] && echo vorbis || echo opus)\",48000,null]"
	ok "$format: ffprobe reads it" ffprobe -v error "$root/$(paths)"
done

# ---- the record
run_in noise.s16le rec-capture -C "$root" -q --raw s16le -r 48000 -c 2 -f wav --title 'Füchse; "im" Wald' -
status "with a title" 0
stderr_empty "and nothing is said"
jq_is "the record has it" .title 'Füchse; "im" Wald'
cp "$out" record
file=$(paths)
run rec-meta -q -C "$root" list --where "id = $(jq .id record)"
is "the record is that of list" "$(jq -S . record)" "$(jq -S . "$out")"
run rec-meta -q -C "$root" show "$(jq .id record)"
is "and of show" "$(jq -S . record)" "$(jq -S 'del(.measured_by_run, .last_seen, .uploads, .objects, .last_check, .provenance)' "$out")"
run rec-meta -q -C "$root" probe "$file"
is "and of probe" "$(jq -S --slurpfile p "$out" 'with_entries(select(.key as $k | $p[0] | has($k)))' record)" "$(jq -S . "$out")"
jq_is "bext: the title" .tags.description 'Füchse; "im" Wald'
jq_is "bext: date, time and TimeReference agree" '.tags | (.origination_time | split("[:.-]"; null) | map(tonumber)) as $t |
    [(.origination_date | test("^20[0-9]{2}-[0-9]{2}-[0-9]{2}$")),
    (((.time_reference | tonumber) / 48000 | floor) == $t[0] * 3600 + $t[1] * 60 + $t[2])] | tojson' '[true,true]'
jq_is "bext: a coding history" '.tags.coding_history | test("A=PCM,F=48000,W=16")' true
is "the date is that of the name" "$(jq -r '.tags.origination_date | gsub("-"; "")' "$out")" \
    "$(sed -E 's/.*recording_([0-9]{8})_.*/\1/' <<<"$file")"
run_in noise.s16le rec-capture -C "$root" -q --raw s16le -r 48000 -c 2 -o path -
is "-o path" "$(cat "$out")" "$(rec-meta -C "$root" list -o path | tail -n 1)"
run_in noise.s16le env AUDIO_SAMPLE_RATE=8000 AUDIO_CHANNELS=4 AUDIO_FORMAT=flac rec-capture -q -C "$root" --raw s16le -
jq_is "defaults come from the configuration" '[.sample_rate_hz, .channels, .codec] | join(" ")' "8000 4 flac"
run_in noise.s16le rec-capture record -q -C "$root" --raw s16le -r 48000 -c 1 -
status "record can be named" 0

# ---- how long
for time in 0.5:24000 250ms:12000 12345f:12345 0:00.75:36000 1h:48000; do
	frames=${time##*:}
	capture noise.s16le --raw s16le -r 48000 -c 1 -f wav -t "${time%:*}"
	status "-t ${time%:*}: status 0" 0
	same_samples "-t ${time%:*}: exact to the frame" s16le noise.s16le $((frames * 2))
done
capture noise.s16le --raw s16le -r 44100 -c 1 -f flac -t 0.1
jq_is "-t at another rate" .frames 4410
# ---- parts
# split NAME FEED FORMAT PARTS OPTION...: so many (many: two or more), which joined are the source
split()
{
	local name=$1 feed=$2 f=$3 wanted=$4

	shift 4
	capture "$feed" --raw "$f" -r 48000 "$@"
	status "$name: status 0" 0
	if [ "$wanted" = many ]; then
		ok "$name: parts" test "$(paths | wc -l)" -ge 2
	else
		is "$name: parts" "$(paths | wc -l)" "$wanted"
	fi
	same_samples "$name: joined they are the source" "$f" "$feed"
	is "$name: each has no problem and a row" "$(jq -c '[.id != null, .problem]' "$out" | sort -u)" '[true,null]'
}
for format in wav w64 flac; do
	split "--split-time, $format" long.s16le s16le 4 -c 1 -f $format --split-time 1.7 --title Night
	jq_is "each as long" .frames $'81600\n81600\n81600\n43200'
	jq_is "and with the title" .title $'Night\nNight\nNight\nNight'
done
is "each has a name of its own" "$(paths | sort -u | wc -l)" 4
split "--split-time that is a part in itself" long.s16le s16le 3 -c 1 -f wav --split-time 2
split "--split-size" long.s16le s16le 6 -c 1 -f wav --split-size 100K
is "none is larger" "$(jq 'select(.size_bytes > 102400)' "$out")" ""
split "--split-size, flac" long.s16le s16le many -c 1 -f flac --split-size 200K
is "none is larger" "$(jq 'select(.size_bytes > 204800)' "$out")" ""
cat long.s16le long.s16le >longer.s16le
run_in longer.s16le env RECORDINGS_MAX_SIZE_MB=1 rec-capture -C "$root" -q --raw s16le -r 48000 -c 1 -f wav -
status "RECORDINGS_MAX_SIZE_MB: status 0" 0
is "RECORDINGS_MAX_SIZE_MB splits, too" "$(paths | wc -l) $(jq 'select(.size_bytes > 1048576)' "$out")" "2 "
same_samples "joined they are the source" s16le longer.s16le
split "six channels of 24 bits" noise.s24le s24le 3 -c 6 -f wav --split-time 3000f
run_in long.s16le rec-capture -C "$root" -q --raw s16le -r 48000 -c 1 -f wav --split-time 1 -t 2.5 -
is "-t counts over all parts" "$(jq .frames "$out" | tr '\n' ' ')" "48000 48000 24000 "
same_samples "and they are the beginning" s16le long.s16le 240000

# ---- events
run_in long.s16le rec-capture -C "$root" -q --raw s16le -r 48000 -c 1 -f wav --split-time 2 --events -
grep '^{' "$errf" >events
is "events" "$(jq -r 'select(.event != "level" and .event != "clipping") | [.event, .frame] | join(" ")' events)" $'start 0\npart 96000\npart 192000\npart 288000\nstop 288000'
is "each has a time" "$(jq -c 'select(.time | test("^20[0-9]{2}-[0-9-]{5}T[0-9:.]+Z$") | not)' events)" ""
is "in order" "$(jq -rs 'map(.time[0:19]) | . == sort' events)" true
run_in noise.s16le rec-capture -C "$root" -q --raw s16le -r 48000 -c 1 -
is "none without --events" "$(grep -c '^{' "$errf")" 0

# ---- signals, and what is slow
mkfifo slow other
# start_slow FIFO N OPTION...: a recorder in the background that reads FIFO through descriptor N; sets recorder
start_slow()
{
	local fifo=$1 n=$2

	shift 2
	env --default-signal=INT,TERM,HUP rec-capture -C "$root" -q --events --raw s16le -r 48000 -c 1 "$@" - \
	    <"$fifo" >"$fifo.out" 2>"$fifo.err" 7>&- 8>&- &
	recorder=$!
	_command="recorder of $fifo $*"
	case $n in
	7) exec 7>"$fifo" ;;
	8) exec 8>"$fifo" ;;
	esac
}
# settle_slow FIFO: it has begun, and has had the time to read what was fed
settle_slow()
{
	await grep -q '"start"' "$1.err"
	sleep 0.4
}
# ended FIFO: it ends, or is killed after 30 seconds; $st, $out and $errf are its own
ended()
{
	timeout 30 tail -s 0.05 --pid=$recorder -f /dev/null || kill -KILL $recorder
	{ wait $recorder; } 2>/dev/null
	st=$?
	cp "$1.out" "$out"
	cp "$1.err" "$errf"
}
for signal in INT TERM HUP; do
	start_slow slow 7 -f wav
	head -c 150000 long.s16le >&7
	settle_slow slow
	kill -$signal $recorder
	ended slow
	exec 7>&-
	status "$signal ends the recording with status 0" 0
	same_samples "$signal: everything that was fed is in it" s16le long.s16le 150000
	jq_is "$signal: and nothing is wrong with it" '[.frames, .problem] | tojson' "[75000,null]"
	is "$signal: the event" "$(grep '^{' "$errf" | jq -r '[.event, .frame] | join(" ")' | tail -n 1)" "stop 75000"
done
start_slow slow 7 -f flac
head -c 150000 long.s16le >&7
settle_slow slow
kill -INT $recorder
ended slow
exec 7>&-
same_samples "INT, flac" s16le long.s16le 150000
start_slow slow 7 -f wav -t 0.5
cat noise.s16le >&7 2>/dev/null
ended slow
exec 7>&-
status "-t does not wait for more: status 0" 0
same_samples "-t does not wait for more" s16le noise.s16le 48000
start_slow slow 7 -f wav
sleep 0.5
kill -INT $recorder
ended slow
exec 7>&-
status "INT before the first frame: status 3" 3
is "and no file is left" "$(parts)" ""
# Frames that come byte by byte.
start_slow slow 7 -f wav
head -c 1001 long.s16le >&7
sleep 0.1
head -c 1500 long.s16le | tail -c 499 >&7
sleep 0.1
exec 7>&-
ended slow
status "a feed in odd pieces" 0
same_samples "is put together" s16le long.s16le 1500

# A part is a recording as soon as it is finished.
start_slow slow 7 -f wav --split-time 1
head -c 250000 long.s16le >&7
await test -s slow.out
is "the first part is recorded while the next is being written" \
    "$(kill -0 $recorder && rec-meta -q -C "$root" list --where "id = $(head -n 1 slow.out | jq .id)" | jq .frames)" 48000
exec 7>&-
ended slow
same_samples "and nothing is lost" s16le long.s16le 250000

# ---- the end of the feed
head -c 4801 noise.s16le >frame-cut
capture frame-cut --raw s16le -r 48000 -c 2 -f wav
status "a partial frame at the end: status 0" 0
same_samples "the whole frames are kept" s16le noise.s16le 4800
for feed in nothing crumb; do
	had=$(had_now)
	run_in $feed rec-capture -C "$root" --raw s16le -r 48000 -c 2 -
	status "$feed: status 3" 3
	stderr_has "$feed: a sentence" '^rec-capture: .+'
	is "$feed: no record" "$(wc -c <"$out")" 0
	no_more "$feed: no file is left"
done

# ---- killed
# killed FORMAT: six seconds are fed, the recorder is killed; sets part
killed()
{
	start_slow slow 7 -f "$1"
	cat long.s16le >&7
	settle_slow slow
	kill -KILL $recorder
	ended slow
	exec 7>&-
	part=$(parts)
}
for format in wav w64 flac; do
	killed $format
	status "$format: killed" 137
	is "$format: it leaves one .part" "$(wc -l <<<"$part")" 1
	is "$format: named after the time" "$(grep -cE "/recording_[0-9]{8}_[0-9]{6}[^/]*\.$format\.part\$" <<<"$part")" 1
	is "$format: for its owner alone" "$(stat -c %a "$part")" 600
	if [ $format = flac ]; then
		ok "$format: ffprobe knows the .part as it lies" ffprobe -v error "$part"
	else
		ok "$format: ffprobe reads the .part as it lies" test "$(ffprobe -v error -show_entries stream=duration_ts -of csv=p=0 "$part")" -ge 192000
		ok "$format: soxi, too" test "$(cp "$part" "copy.$format" && soxi -s "copy.$format")" -ge 192000
	fi
	samples s16le "$part" >lying 2>/dev/null
	prefix "$format: as it lies it is a beginning of what was fed" long.s16le lying 384000
	cp "$part" kept
	before=$(rows)
	run rec-capture -C "$root" -q -n recover
	is "$format: -n recover does nothing" "$(rows) $(parts) $(cmp kept "$part" && echo same)" "$before $part same"
	run rec-capture -C "$root" -q recover
	status "$format: recover" 0
	is "$format: a record, without a title" "$(jq -c '[.id != null, .title, .problem]' "$out")" '[true,null,null]'
	jq_is "$format: it started when the .part was opened, to the microsecond or the second" \
	    '(.started_at | test("^20[0-9-]{8}T[0-9:]{8}[.][0-9]{6}Z$")) and (.started_at[0:19] | gsub("[-:]"; "") | sub("T"; "_")) == .filename[10:25]' true
	is "$format: and it is told as recovered" "$(rec-meta -C "$root" show "$(jq .id "$out")" | jq -c '.started_at as $t | .provenance | [.tool, .recovered, .started_at == $t]')" \
	    "$(rec-capture --version | sed 's/ (rectools)//; s/.*/["&",true,true]/')"
	recorded s16le >recovered
	prefix "$format: recovered, it is a beginning of what was fed" long.s16le recovered 384000
	ok "$format: and no shorter than the .part was" test "$(stat -c %s recovered)" -ge "$(stat -c %s lying)"
	is "$format: it has moved to raw" "$(parts) $(rows)" " $((before + 1))"
	run rec-capture -C "$root" -q recover
	is "$format: there is nothing more to recover" "$st $(wc -c <"$out") $(rows)" "0 0 $((before + 1))"
done

# The next recording recovers, but not what is being recorded.
killed wav
start_slow other 8 -f wav
head -c 100000 long.s16le >&8
settle_slow other
living=$recorder
is "starting to record recovered what was left" "$(parts | grep -cxF "$part") $(grep -c "${part##*/}" other.err)" "0 0"
rec-meta -q -C "$root" list --sort -id --limit 1 >last
is "that is the latest recording" "$(jq -r '"\(.stored_filename).part"' last)" "${part##*/}"
is "the one that is being recorded is alone in temp" "$(parts | wc -l)" 1
before=$(had_now)
run rec-capture -C "$root" recover
is "recover leaves it" "$st $(wc -c <"$out")" "0 0"
is "as it is" "$(had_now)" "$before"
capture noise.s16le --raw s16le -r 48000 -c 1 -f wav
status "and so does another recording" 0
is "it is still there" "$(parts | wc -l)" 1
recorder=$living
exec 8>&-
ended other
status "which ends as if nothing had been" 0
same_samples "with all that it was fed" s16le long.s16le 100000

# Told on stderr.
killed wav
run_in noise.s16le rec-capture -C "$root" --raw s16le -r 48000 -c 1 -
stderr_has "what was recovered is told" "^rec-capture: .*${part##*/}"
is "and is not among the records" "$(jq -s length "$out")" 1

# What is no recording stays.
mkdir -p "$temp"
: >"$temp/recording_20260101_000000.wav.part"
head -c 60 "$root/$(paths)" >"$temp/recording_20260101_000001.wav.part"
echo text >"$temp/recording_20260101_000002.wav.part"
echo mine >"$temp/notes.txt"
before=$(manifest "$temp")
run rec-capture -C "$root" -q recover
status "parts without audio: status 1" 1
is "each has a problem" "$(jq -c 'select(.problem | not)' "$out")" ""
is "and stays as it is" "$(manifest "$temp")" "$before"
rm "$temp"/*

# ---- at the same time
for i in 1 2 3 4; do
	rec-capture -C "$root" -q --raw s16le -r 48000 -c 1 -f wav - <noise.s16le >at.$i 2>at.$i.err &
	pids[i]=$!
done
for i in 1 2 3 4; do
	wait "${pids[i]}"
	is "recorder $i of four at once" "$?" 0
done
cat at.[1-4] >"$out"
is "four names" "$(jq -r .path at.[1-4] | sort -u | wc -l)" 4
cat noise.s16le noise.s16le noise.s16le noise.s16le >four
same_samples "and each is what was fed" s16le four
is "nothing is left in temp" "$(ls -A "$temp")" ""

# ---- taken back
new_archive "$TMP/back"
dump_old "$db" >before
capture noise.s16le --raw s16le -r 48000 -c 1 -f wav --title Back
file=$(paths)
sum=$(sha256sum <"$root/$file")
run rec-migrate -q -C "$root" runs
jq_is "the run is of kind capture" '[.kind, .state, .rows, .problems] | join(" ")' "capture applied 1 0"
is "its journal has the file" "$(jq -r 'select(.op == "file") | .action' "$root"/db/journal/*.jsonl)" record
quiet_ok "verify is content" rec-migrate -q -C "$root" verify
quiet_ok "and so is rec-health" rec-health -q -C "$root" --skip disk --only completeness,database
run rec-migrate -q -C "$root" rollback
status "rollback" 0
is "the database is as before" "$(dump_old "$db" | diff before -)" ""
is "the file is in backup" "$(ls -A "$root/recordings/raw") $(sha256sum <"$root/recordings/backup/${file##*/}")" " $sum"
capture long.s16le --raw s16le -r 48000 -c 1 -f wav --split-time 2
while rec-migrate -q -C "$root" runs | jq -es 'any(.state != "rolled_back")' >/dev/null; do
	rec-migrate -q -C "$root" rollback >/dev/null || break
done
is "parts are taken back, too" "$(rows) $(ls -A "$root/recordings/raw") $(find "$root/recordings/backup" -type f | wc -l)" "0  4"
is "and the database is as before" "$(dump_old "$db" | diff before -)" ""

# ---- a recovered part: purged, and taken back
new_archive "$TMP/purged"
mkdir -p "$temp"
capture noise.s16le --raw s16le -r 48000 -c 1 -f wav
file=$(paths)
rec-migrate -q -C "$root" rollback >/dev/null
mv "$root/recordings/backup/${file##*/}" "$temp/${file##*/}.part"
sql "$db" .dump >before
run rec-capture -C "$root" -q recover
status "a part is recovered" 0
jq_is "with its start" '.started_at | test("^20.*[.][0-9]{6}Z$")' true
sql "$db" .dump >recovered
is "it has a provenance" "$(grep -c '^INSERT INTO rec_provenance' recovered)" 1
run rec-meta -q -C "$root" rm --purge "$(jq .id "$out")"
status "it is purged" 0
is "with its provenance" "$(sql "$db" "SELECT count(*) FROM rec_provenance")" 0
rec-migrate -q -C "$root" rollback >/dev/null
is "the purge is taken back whole" "$(sql "$db" .dump | diff recovered -)" ""
rec-migrate -q -C "$root" rollback >/dev/null
is "and so is the recovery" "$(sql "$db" .dump | diff before -)" ""

# ---- refused
root=$TMP/archive
db=$root/db/app.db
temp=$root/recordings/temp
raw=(--raw s16le -r 48000 -c 2)
refused "--raw without -" 2 '-' "${raw[@]}"
refused "- without --raw" 2 'raw' -
refused "a file to read from" 2 'x' "${raw[@]}" x
refused "another operand, too" 2 'x' "${raw[@]}" - x
refused "no such samples" 2 's16le' --raw s17le -
refused "no such file format" 2 'wav' "${raw[@]}" -f mp3 -
refused "no such bits" 2 '16' "${raw[@]}" -b 20 -
refused "rate 0" 2 '0' --raw s16le -r 0 -c 2 -
refused "a rate that is none" 2 'fast' --raw s16le -r fast -c 2 -
refused "no channels" 2 '0' --raw s16le -r 48000 -c 0 -
for time in 0 -5 soon '' 1x; do
	refused "-t \"$time\"" 2 "$time" "${raw[@]}" "--time=$time" -
	refused "--split-time \"$time\"" 2 "$time" "${raw[@]}" "--split-time=$time" -
done
for size in 0 -5 big '' 1X; do
	refused "--split-size \"$size\"" 2 "$size" "${raw[@]}" "--split-size=$size" -
done
refused "fewer bits than there are" 2 '' --raw s24le -r 48000 -c 2 -b 16 -
refused "integers of 32 bits as floats" 2 '' --raw s32le -r 48000 -c 2 -b f32 -
refused "floats as integers" 2 '' --raw f32le -r 48000 -c 2 -b 24 -
refused "floats in FLAC" 2 '' --raw f32le -r 48000 -c 2 -f flac -
refused "32 bits in FLAC" 2 '' --raw s32le -r 48000 -c 2 -f flac -
refused "9 channels in FLAC" 2 '' --raw s16le -r 48000 -c 9 -f flac -
refused "44100 Hz in Opus" 2 '' --raw s16le -r 44100 -c 2 -f opus -
refused "a title that is not UTF-8" 2 'UTF-8' "${raw[@]}" --title $'\xff' -
refused "no such option" 2 '' "${raw[@]}" --loud -
refused "an option of record for recover" 2 '' recover --fill
refused "devices takes no operands" 2 '' devices x
refused "recover takes no operands" 2 '' recover x
had=$(had_now)
run_in noise.s16le env AUDIO_FORMAT=mp3 rec-capture -C "$root" "${raw[@]}" -
ok "a configured format that is not written is refused" test "$st" = 2 -o "$st" = 3
stderr_has "by its name" 'mp3'
no_more "and leaves nothing"
run_in noise.s16le env REC_DISK_CHECK=true REC_MIN_FREE_MB=1000000000 rec-capture -C "$root" "${raw[@]}" -
status "too little space: status 3" 3
stderr_has "says so" 'REC_MIN_FREE_MB|space'
no_more "too little space: nothing is left"
mkdir "$TMP/none"
run_in noise.s16le rec-capture -C "$TMP/none" "${raw[@]}" -
status "no archive: status 3" 3
is "nothing is made" "$(ls -A "$TMP/none")" ""
if [ "$(id -u)" = 0 ]; then
	run_in noise.s16le env REC_TEMP_PATH=/proc/none rec-capture -C "$root" "${raw[@]}" -
else
	chmod a-w "$temp"
	run_in noise.s16le rec-capture -C "$root" "${raw[@]}" -
	chmod u+w "$temp"
fi
status "a folder that cannot be written: status 3" 3
no_more "a folder that cannot be written: nothing is left"
before=$(manifest "$root")
run_in noise.s16le rec-capture -C "$root" -n "${raw[@]}" -
status "-n: status 0" 0
is "-n records nothing and leaves nothing" "$(manifest "$root") $(wc -c <"$out")" "$before 0"
refused "-n refuses as well" 2 '' -n --raw s24le -r 48000 -c 2 -b 16 -

# ---- the disk
# ends_full NAME FEED: status 3, one valid recording that is a beginning of what was fed
ends_full()
{
	status "$1: status 3" 3
	stderr_has "$1: told as an event" '^\{"event":"no_space"'
	is "$1: a recording without a problem" "$(jq -c '[.id != null, .frames > 0, .problem]' "$out" | sort -u)" '[true,true,null]'
	records=$(jq -s length "$out")
	recorded s16le >got
	prefix "$1: a beginning of what was fed" "$2" got 200000
	ok "$1: not all of it" test "$(stat -c %s got)" -lt "$(stat -c %s "$2")"
	is "$1: nothing is left in temp" "$(ls -A "$temp")" ""
	quiet_ok "$1: verify is content" rec-migrate -q -C "$root" verify
}
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	cat long.s16le
done >flood
mkdir small
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=8m none small 2>/dev/null; then
	trap 'umount "$TMP/small" 2>/dev/null; _finish' EXIT
	new_archive "$TMP/small/archive" REC_DISK_CHECK=true REC_MIN_FREE_MB=3
	run_in flood rec-capture -C "$root" -q --events "${raw[@]}" -f wav -
	ends_full "the minimum is touched" flood
	ok "the minimum is there, but for the catalogue's own" test "$(df -k --output=avail small | tail -n 1)" -ge 2048
	cd / && umount "$TMP/small" && cd "$TMP" || exit 1
	mount -t tmpfs -o size=2m none small || exit 1
	new_archive "$TMP/full" REC_DISK_CHECK=false
	rm -r "$root/recordings"
	mkdir -p small/raw small/temp
	ln -s ../small "$root/recordings"
	for format in wav flac; do
		run_in flood rec-capture -C "$root" -q --events "${raw[@]}" -f $format -
		ends_full "a full disk, $format" flood
		rec-migrate -q -C "$root" rollback >/dev/null
		rm -rf small/backup
	done
	# A split recording keeps what was finished before.
	run_in flood rec-capture -C "$root" -q --events "${raw[@]}" -f wav --split-size 500K -
	ends_full "a full disk, in parts" flood
	ok "there are several" test "$records" -gt 1
else
	skip "a full disk" "not root, or tmpfs cannot be mounted"
fi

# ---- from a device
root=$TMP/archive
db=$root/db/app.db
temp=$root/recordings/temp
run rec-capture devices
if grep -qi 'without ALSA' "$errf" || [ ! -r /usr/share/alsa/alsa.conf ]; then
	skip "devices" "no ALSA here"
else
	ok "devices prints whole records" bash -c 'jq -e "has(\"name\") and has(\"description\") and (has(\"problem\") or (has(\"rates_hz\") and has(\"channels\") and has(\"formats\")))" "$1" >"$1.all"; ! grep -qv true "$1.all"' - "$out"
	cat >alsa.conf <<-END
		</usr/share/alsa/alsa.conf>
		pcm.played { type file slave.pcm null file /dev/null format raw infile $TMP/long.s16le }
	END
	export ALSA_CONFIG_PATH=$TMP/alsa.conf
	had=$(had_now)
	run rec-capture -C "$root" -d nosuch -t 1
	status "no such device: status 3" 3
	stderr_has "it is named" nosuch
	no_more "no such device: nothing is left"
	run timeout 30 rec-capture -C "$root" -q -d played -r 48000 -c 1 -f wav -t 2
	status "from a device" 0
	same_samples "every bit" s16le long.s16le 192000
	run timeout 30 rec-capture -C "$root" -q -n -d played -r 48000 -c 1
	status "-n opens it and ends" 0
	unset ALSA_CONFIG_PATH
fi

done_testing
