#!/bin/bash
# rec-trim: what each option makes, through an archive and through -O; what is refused says why and leaves nothing
# behind; sources are never touched, and rec-migrate rollback takes everything back.
. "$(dirname "$0")/../lib.sh"

for tool in jq sqlite3 sox ffmpeg ffprobe flac metaflac; do
	command -v $tool >/dev/null || plan_skip "needs $tool"
done

sql()
{
	sqlite3 -init /dev/null -bail "$@" </dev/null
}

# An archive without recordings, in $root.
new_archive()
{
	root=$1
	db=$root/db/app.db
	mkdir -p "$root/db" "$root/recordings/raw"
	printf '%s\n' APP_ENVIRONMENT=testing RECORDINGS_RAW_PATH=recordings/raw RECORDINGS_EDITED_PATH=recordings/edited \
	    REC_TEMP_PATH=recordings/temp REC_BACKUP_PATH=recordings/backup >"$root/.env"
	sql "$db" "PRAGMA journal_mode = WAL" >/dev/null
	sql "$db" "CREATE TABLE recordings (id INTEGER NOT NULL, filename VARCHAR NOT NULL, stored_filename VARCHAR NOT NULL,
		title VARCHAR, duration FLOAT NOT NULL, filesize_bytes BIGINT, mime_type VARCHAR, checksum VARCHAR, status VARCHAR,
		sync_status VARCHAR, last_synced_at DATETIME, created_at DATETIME DEFAULT (CURRENT_TIMESTAMP), modified_at DATETIME,
		PRIMARY KEY (id), UNIQUE (stored_filename))"
}

# samples FILE [FIRST [FRAMES]]: of 16 bits and two channels
samples()
{
	sox -D "$1" -t raw -L -e signed -b 16 - 2>/dev/null | tail -c +$((${2:-0} * 4 + 1)) | head -c $((${3:-999999999} * 4))
}

# same NAME FILE SOURCE FIRST FRAMES
same()
{
	ok "$1" cmp <(samples "$2") <(samples "$3" "$4" "$5")
}

# Every file of a folder with what is in it; none of it may change.
seen()
{
	(cd "$1" && find . -type f -print0 | sort -z | xargs -0r sha256sum)
}

# refused NAME STATUS PATTERN OPTION...: in the folder plain/, where nothing may change
refused()
{
	local name=$1 wanted=$2 pattern=$3 had

	shift 3
	had=$(seen plain)
	run env -C plain rec-trim "$@"
	status "$name: status $wanted" "$wanted"
	stderr_has "$name: says why" "^rec-trim: .*$pattern"
	is "$name: leaves nothing" "$(seen plain)" "$had"
}

# made NAME OPTION...: without a word, in plain/
made()
{
	local name=$1

	shift
	run env -C plain rec-trim "$@"
	status "$name: status 0" 0
	stderr_empty "$name: and nothing to tell"
}

mkdir plain
# 1 s of noise, 2 s of silence, 1 s of noise, 1 s of silence, at 48 kHz, two channels
sox -R -D -n -r 48000 -c 2 -b 16 noise.wav synth 1 whitenoise vol 0.5 2>/dev/null || plan_skip "sox cannot synthesize"
sox -R -D -n -r 48000 -c 2 -b 16 s.wav synth 2 square 440 vol 0 2>/dev/null
sox -D -n -r 48000 -c 2 -b 16 quiet.wav trim 0 2 2>/dev/null
sox -D noise.wav quiet.wav noise.wav plain/a.wav pad 0 1 2>/dev/null
sox -D noise.wav -r 48000 plain/loud.wav vol 1.9 2>/dev/null
cp quiet.wav plain/quiet.wav
flac --silent -T TITLE=Song -T ARTIST=Me -o plain/a.flac plain/a.wav
ffmpeg -v error -nostdin -i plain/a.wav -metadata title=Song -metadata artist=Me -c:a libmp3lame -b:a 128k plain/a.mp3
ffmpeg -v error -nostdin -i plain/a.wav -c:a libvorbis plain/a.ogg
ffmpeg -v error -nostdin -i plain/a.wav -c:a libopus plain/a.opus
sox -D plain/a.wav plain/a8.aiff trim 0 1 2>/dev/null
sox -D plain/a.wav -r 44100 plain/r44.wav trim 0 1 2>/dev/null
sox -D plain/a.wav -c 1 plain/mono.wav trim 0 1 2>/dev/null
before=$(seen plain)

# ---- times, without an archive
made "start and end" -s 0.5 -e 1.5 -O b.wav a.wav
same "start and end: the frames" plain/b.wav plain/a.wav 24000 48000
jq_is "start and end: the record" '[.path, .frames, .duration_s, .sources[0].path, .sources[0].start_s, .sources[0].end_s] | tojson' \
    '["b.wav",48000,1,"a.wav",0.5,1.5]'
made "a length, in clock time" -s 0:01 -d 00:00:01.25 -O c.wav a.wav
same "a length: the frames" plain/c.wav plain/a.wav 48000 60000
made "units and frames" -s 250ms -d 48001f -O d.wav a.wav
same "units and frames: the frames" plain/d.wav plain/a.wav 12000 48001
made "from the end" -s -2 -e -500ms -O e.wav a.wav
same "from the end: the frames" plain/e.wav plain/a.wav 144000 72000
made "-e -0 is the end" -s 4.5 -e -0 -O f.wav a.wav
same "-e -0: the frames" plain/f.wav plain/a.wav 216000 24000
made "all of it" -O all.wav a.wav
ok "all of it is the same sound" cmp <(samples plain/all.wav) <(samples plain/a.wav)
rm plain/[b-f].wav plain/all.wav

refused "an end before the start" 1 'bad_record: .*the end is to be behind the start' -s 2 -e 1 -O x.wav a.wav
refused "a start at the end" 1 'bad_record' -s -0 -O x.wav a.wav
refused "a length beyond the end" 1 'the length 9 s lies outside: the recording has 5\.0+ s' -d 9 -O x.wav a.wav
refused "a start beyond the end" 1 'the start 6 s lies outside' -s 6 -O x.wav a.wav
refused "a start before the beginning" 1 'the start 6 s from the end lies outside' -s -6 -O x.wav a.wav
refused "no time" 2 '--start' -s soon -O x.wav a.wav
refused "a length from the end" 2 'a length counts from nowhere' -d -3 -O x.wav a.wav
refused "an end and a length" 2 '--end and --length' -e 1 -d 1 -O x.wav a.wav
refused "out and in place" 2 '--out and --in-place' --in-place -O x.wav a.wav
refused "in place and split" 2 '--split several' --in-place --split cues a.wav
refused "in place and join" 2 '--join one of several' --in-place --join a.wav
refused "in place and a format" 2 'keeps the format' --in-place -f flac a.wav
refused "in place and a title" 2 'rec-meta set' --in-place --title T a.wav
refused "join and split" 2 '--join and --split' --join --split cues -O x.wav a.wav
refused "gain and normalize" 2 '--gain and --normalize' --gain 3 --normalize -23 -O x.wav a.wav
refused "a gain that is none" 2 'number from -200 to 60' --gain loud -O x.wav a.wav
refused "a gain that is no number" 2 'number from' --gain nan -O x.wav a.wav
refused "a format that is none" 2 '-f' -f mp3 -O x.mp3 a.wav
refused "a split that is none" 2 '--split' --split there -O x.wav a.wav
refused "a split of no length" 2 'parts have a length' --split every=0 -O x.wav a.wav
refused "an empty destination" 2 '--out' -O '' a.wav
refused "no archive here" 3 'no archive here' -s 1 a.wav
refused "a destination that exists" 1 'conflict: quiet\.wav exists already, and is not overwritten' -s 1 -O quiet.wav a.wav
refused "the source as its own destination" 1 'a\.wav exists already' -s 1 -O a.wav a.wav
refused "a destination in no folder" 1 'missing' -s 1 -O nowhere/x.wav a.wav
refused "no such folder" 1 'missing' -s 1 -O nowhere/ a.wav
refused "two files into one" 2 '--out x\.wav is one file' -s 0.5 -O x.wav a.wav loud.wav
refused "no such file" 1 'missing' -s 1 -O x.wav none.wav
refused "a folder" 1 '' -s 1 -O x.wav .
refused "a name of another format" 1 'x\.flac would not be flac: -f flac makes it that' -s 1 -O x.flac a.wav
refused "a name that is too long" 1 'too long' -s 1 -O "$(printf 'x%.0s' {1..256})" a.wav
: >plain/empty.wav
refused "an empty file" 1 'empty' -O x.wav empty.wav
rm plain/empty.wav

# ---- silence
made "silence at both ends" --silence --min-silence 100ms -O b.wav -s 2 a.wav
same "silence at both ends: what is left" plain/b.wav plain/a.wav 144000 48000
made "softer than that is silence too" --silence=-100 -O c.wav a.wav
same "silence: nothing before it" plain/c.wav plain/a.wav 0 192000
refused "nothing but silence" 1 'empty: there is nothing but silence' --silence -O x.wav quiet.wav
made "split at pauses" --split silence -O p.wav a.wav
jq_is "split at pauses: two parts" .path "p_part01.wav
p_part02.wav"
same "split at pauses: the first" plain/p_part01.wav plain/a.wav 0 96000
same "split at pauses: the second" plain/p_part02.wav plain/a.wav 96000 144000
rm plain/[b-p]*_part* plain/[bc].wav
made "split at pauses, without them" --split silence --silence -O p.wav a.wav
same "without pauses: the first" plain/p_part01.wav plain/a.wav 0 48000
same "without pauses: the second" plain/p_part02.wav plain/a.wav 144000 48000
rm plain/p_*

# ---- parts and joining
made "parts of a length" --split every=2 -O p.wav a.wav
jq_is "parts of a length: their frames" .frames "96000
96000
48000"
cp "$out" records
made "joined again" --join -O j.wav p_part01.wav p_part02.wav p_part03.wav
same "joined: as before" plain/j.wav plain/a.wav 0 240000
jq_is "joined: one record with three sources" '[.path, .frames, (.sources | map(.path))] | tojson' \
    '["j.wav",240000,["p_part01.wav","p_part02.wav","p_part03.wav"]]'
rm plain/j.wav plain/p_*
made "parts at times" --split at=1,0:03,-0.5 -O p.wav a.wav
jq_is "parts at times: their frames" .frames "48000
96000
72000
24000"
rm plain/p_*
refused "a split outside" 1 'the split 7 s lies outside' --split at=1,7 -O p.wav a.wav
refused "joining rates" 1 'unsupported: .*(44100|rate)' --join -O j.wav a.wav r44.wav
refused "joining channels" 1 'unsupported: .*(channel)' --join -O j.wav a.wav mono.wav
refused "joining formats" 1 'file 2 is flac in flac, and file 1 pcm in wav: joining them takes -f FORMAT' \
    --join -O j.wav a.wav a.flac
refused "joining what is not there" 3 'nothing was joined' --join -O j.wav a.wav none.wav
made "joining formats with -f" --join -f flac -O j.flac a.wav a.flac
ok "joining formats: all samples" cmp <(samples plain/j.flac) <(samples plain/a.wav; samples plain/a.wav)
rm plain/j.flac
made "many parts" --split every=5ms -O many.wav a.wav
is "many parts: each there" "$(ls plain | grep -c '^many_part[0-9][0-9][0-9][0-9]*.wav')" 1000
run bash -c 'ulimit -n 40 && cd plain && exec rec-trim --join -O j.wav many_*' # more files than may be open
status "more files than may be open: status 3" 3
stderr_has "more files than may be open: says so" 'Too many open files'
ok "more files than may be open: nothing is left" test ! -e plain/j.wav
rm plain/many*
refused "too many parts" 1 'too_large: that would make more than 9999 parts' --split every=1f -O m.wav a.wav

# ---- gain and fades
made "softer" --gain -6 -O g.wav a.wav
jq_is "softer: said" '[.gain_db, .clipped_samples] | tojson' '[-6,null]'
is "softer: all samples" "$(samples plain/g.wav | od -An -v -td2 -w4 | head -n 40000 | tail -n 1 | tr -s ' ')" \
    "$(samples plain/a.wav | od -An -v -td2 -w4 | head -n 40000 | tail -n 1 |
        awk '{ k = 10^(-6/20); for (i = 1; i <= 2; i++) { v = $i * k; printf " %d", v < 0 ? v - 0.5 : v + 0.5 } }')"
rm plain/g.wav
run env -C plain rec-trim --gain 20 -O g.wav loud.wav
status "what clips is made" 0
stderr_has "what clips is told" 'samples reached full scale and were clipped'
jq_is "and is in the record" '.clipped_samples > 0' true
rm plain/g.wav
made "fades" --fade-in 0.1 --fade-out 50ms -s 0.2 -d 0.5 -O g.wav loud.wav
jq_is "fades: said" '[.fade_in_s, .fade_out_s] | tojson' '[0.1,0.05]'
ok "fades: between them every bit" cmp <(samples plain/g.wav 4800 16800) <(samples plain/loud.wav 14400 16800)
is "fades: they begin and end softly" \
    "$(samples plain/g.wav | od -An -v -td2 -w4 | sed -n '1p;$p' | awk '{ print ($1 < 20 && $1 > -20) }' | tr '\n' ' ')" "1 1 "
rm plain/g.wav
made "a loudness" --normalize -30 --measure -O g.wav a.wav
jq_is "a loudness: reached" '.loudness_lufs > -30.1 and .loudness_lufs < -29.9' true
rm plain/g.wav
run env -C plain rec-trim --normalize -3 --measure -O g.wav loud.wav
stderr_has "too loud to be reached: said" 'more would push its peaks beyond -1 dBTP'
jq_is "too loud to be reached: below full scale" '.gain_limited and .true_peak_dbtp <= -0.9' true
rm plain/g.wav
refused "silence has no loudness" 1 'no loudness that could be normalized' --normalize -23 -O x.wav quiet.wav

# ---- formats
for f in a.mp3 a.ogg a.opus; do
	refused "$f is not cut by default" 1 '--nearest cuts at the edges of its packets .*-f FORMAT decodes it' -s 1 -e 2 -O "x.${f#a.}" $f
	refused "$f and gain" 1 '-f FORMAT instead of --nearest' --nearest --gain 3 -s 1 -e 2 -O "x.${f#a.}" $f
	made "$f at its packets" --nearest -s 1 -e 2 -O "x.${f#a.}" $f
	jq_is "$f: the frames are told" '.frames >= 44100 and .sources[0].frames == .frames' true
	is "$f: and ffprobe agrees" "$(ffmpeg -v error -nostdin -i "plain/x.${f#a.}" -f s16le - | wc -c)" "$(($(jq .frames "$out") * 4))"
	rm "plain/x.${f#a.}"
	for to in wav w64 flac ogg opus; do
		run env -C plain rec-trim -q -f $to -s 1 -e 2 -O x.$to $f
		status "$f becomes $to" 0
		jq_is "$f becomes $to of a second" .duration_s 1
		rm -f plain/x.$to
	done
done
run env -C plain rec-trim -f wav -s 1 -O x.wav a.flac
jq_is "tags that do not fit are named" .dropped "title, artist"
stderr_has "and told" 'not carried over .*: title, artist'
is "no time is made up" "$(ffprobe -v error -show_entries format_tags -of default=nk=0:nw=1 plain/x.wav)" ""
rm plain/x.wav
run env -C plain rec-trim -q -f ogg -s 1 -O x.ogg a.flac
is "a title goes along" "$(ffprobe -v error -show_entries stream_tags=TITLE,DATE -of default=nw=1 plain/x.ogg)" "TAG:TITLE=Song"
rm plain/x.ogg
sox -D plain/a.wav -r 16000 plain/r16.wav 2>/dev/null
made "opus of 16 kHz" -f opus -O x.opus r16.wav
jq_is "opus of 16 kHz: as it decodes" '[.sample_rate_hz, .duration_s] | tojson' '[48000,5]'
rm plain/x.opus plain/r16.wav
refused "opus of 44.1 kHz" 1 'opus has the rates' -f opus -O x.opus r44.wav
is "no source was touched" "$(seen plain)" "$before"

# ---- names
mkdir names into
nl=$'names/line\nfeed.wav' latin=$'names/caf\xe9.wav' brace='names/{x}.wav'
for f in "$nl" "$latin" "$brace"; do
	cp plain/loud.wav "$f"
done
(cd names && cp loud.wav '{y' 2>/dev/null || cp "{x}.wav" '{y')
printf '%s\0' "$nl" "$latin" "$brace" >list
run_in list rec-trim -0 -o path0 -s 0.5 -O into
status "odd names" 0
ok "odd names: their bytes" cmp "$out" <(printf 'into/%s\0' "${nl#*/}" "${latin#*/}" "${brace#*/}")
is "odd names: all are there" "$(find into -type f -print0 | tr -cd '\0' | wc -c)" 3
run_in list rec-trim -0 -n -s 0.5 -O into
jq_is "odd names: in records" '(.path // .path_hex) | tojson' '"names/line\nfeed.wav"
"'"$(printf 'names/caf\xe9.wav' | od -An -v -tx1 | tr -d ' \n')"'"
"names/{x}.wav"'
cp "$out" edits
rm into/*
run_in edits rec-trim -q -O into
status "records with such names can be piped in" 0
rm into/*
echo './{y' >list
run_in list env -C names rec-trim -s 0.5 -O ../into/y.wav
status "a name that begins with a brace" 0
run_in list env -C names rec-trim -o path -s 0.5 -O ../into/z.wav
is "-o path" "$(cat "$out")" "../into/z.wav"
run rec-trim -o table -s 0.5 -O into/t.wav plain/a.wav
ok "-o table" grep -q t.wav "$out"
ln -s into linked
run rec-trim -s 0.5 -O linked plain/a.wav
status "into a folder by a link" 0
ok "into a folder by a link: there" test -f into/a.wav
mkdir other && cp plain/loud.wav other/a.wav
rm into/*
printf '%s\n' plain/a.wav other/a.wav >list
run_in list rec-trim -j2 -s 0.5 -O into
status "two of one name into a folder" 1
jq_is "the second is refused" '[.path, .problem.code] | tojson' '["into/a.wav",null]
["other/a.wav","conflict"]'
is "and the first is whole" "$(soxi -s into/a.wav)" 216000
is "and no more is there" "$(ls -A into)" a.wav

# ---- records
printf '%s\n' '{"path":"plain/a.wav","start_s":1.5,"end_s":2.25,"mine":{"x":[1]},"gain_db":7,"id":77}' \
    '{"path":"plain/none.wav","mine":1,"problem":{"code":"missing","message":"gone"}}' '{"path":"plain/loud.wav","start_s":-1}' \
    'not/there.wav' '{"mine":2}' '{broken' >list
run_in list rec-trim -q -O into/r.wav
status "records: one has a problem" 1
jq_is "records: each comes out once, in order" '[.path, .mine, .frames, .gain_db, .problem.code] | tojson' \
    '["into/r.wav",{"x":[1]},36000,null,null]
["plain/none.wav",1,null,null,"missing"]
["plain/loud.wav",null,null,null,"bad_record"]
["not/there.wav",null,null,null,"missing"]
[null,2,null,null,"bad_record"]
[null,null,null,null,"bad_record"]'
is "what came with a problem passes untouched" "$(sed -n 2p "$out" | jq -cS .)" "$(sed -n 2p list | jq -cS .)"
same "records: the cut" into/r.wav plain/a.wav 72000 36000
run rec-trim -n --split every=2 -O into/n.wav plain/a.wav
jq_is "-n prints an edit list" '[.path, .start_s, .end_s] | tojson' '["plain/a.wav",0,2]
["plain/a.wav",2,4]
["plain/a.wav",4,5]'
ok "-n writes nothing" test ! -e into/n_part01.wav
cp "$out" edits
run_in edits rec-trim --join -O into/n.wav
same "and joins what it lists" into/n.wav plain/a.wav 0 240000
run rec-trim -n --join -O into/q.wav plain/a.wav plain/loud.wav
jq_is "-n --join lists all" .path "plain/a.wav
plain/loud.wav"
run rec-trim -n -s 1 -O into/q.mp3 plain/a.mp3
status "-n refuses what would be refused" 1
run rec-trim --preview --silence -O into/q.wav plain/a.wav
status "--preview" 0
stderr_has "--preview draws" 'plain/a.wav'
ok "--preview: several lines, on stderr" test "$(wc -l <"$errf")" -ge 5
ok "--preview writes nothing" test ! -e into/q.wav
rm into/*

# ---- folders that do not take it
if [ "$(id -u)" = 0 ] && mkdir small && mount -t tmpfs -o size=300k tmpfs small 2>/dev/null; then
	run rec-trim -O small/x.wav plain/a.wav
	ok "a full disk: status 3 or 4" test "$st" = 3 -o "$st" = 4
	stderr_has "a full disk: said" 'No space left'
	is "a full disk: nothing is left" "$(ls -A small)" ""
	umount small
	chmod 711 .
	run setpriv --reuid 65534 --clear-groups rec-trim -s 1 -O "$TMP/into/x.wav" "$TMP/plain/a.wav"
	if [ "$st" = 127 ] || ! setpriv --reuid 65534 --clear-groups test -r "$TMP/plain/a.wav"; then
		skip "a folder that is not ours" "no other user can be tried"
	else
		ok "a folder that is not ours: refused" test "$st" = 3 -o "$st" = 1
		stderr_has "a folder that is not ours: said" 'Permission denied'
	fi
else
	skip "a full disk" "no tmpfs can be mounted"
fi
is "nothing is left there either" "$(ls -A into)" ""

# ---- interrupted
sox -R -D -n -r 48000 -c 2 -b 24 long.wav synth 160 whitenoise 2>/dev/null
sum=$(sha256sum <long.wav)
for signal in INT TERM; do
	env --default-signal=INT rec-trim -f flac -O into/long.flac long.wav >got 2>err & # which bash would ignore
	pid=$!
	for ((i = 0; i < 500; i++)); do
		[ -n "$(find into -name '.rec-*' -size +100k)" ] && break
		sleep 0.01
	done
	kill -"$signal" $pid
	wait $pid
	is "$signal: it dies of it" "$?" $((128 + $(kill -l "$signal")))
	is "$signal: no output, whole or not" "$(ls -A into)" ""
	is "$signal: no record" "$(cat got)" ""
done
# A copy is over before a signal could come; encoding is not.
rec-trim -q -f flac -O into/long.flac long.wav >got 2>err &
pid=$!
for ((i = 0; i < 500; i++)); do
	[ -n "$(find into -name '.rec-*' -size +100k)" ] && break
	sleep 0.01
done
touch long.wav
wait $pid
is "changed while it is cut: status 1" $? 1
is "changed while it is cut: a problem" "$(jq -r .problem.code got)" modified
is "changed while it is cut: no output" "$(ls -A into)" ""
is "the source is as it was" "$(sha256sum <long.wav)" "$sum"
rec-trim --progress always -f ogg -O into/long.ogg long.wav >got 2>err
ok "progress is drawn" grep -q 'MiB/s' err
rm long.wav into/*

# ---- the archive
new_archive "$TMP/archive"
run rec-meta -C "$root" add --title "First one" "$TMP/plain/a.wav" "$TMP/plain/a.flac" "$TMP/plain/loud.wav"
status "an archive with three recordings" 0
old=$(dump_old "$db")
had_runs=$(rec-migrate -C "$root" runs | wc -l)
files=$(seen "$root/recordings")
wav=$(rec-meta -q -C "$root" list | jq -r 'select(.id == 1) | .path')
flac=$(rec-meta -q -C "$root" list | jq -r 'select(.id == 2) | .path')
loud=$(rec-meta -q -C "$root" list | jq -r 'select(.id == 3) | .path')
run rec-trim -C "$root" -s 1 -e 3.5 "$wav"
status "a cut in the archive" 0
stderr_empty "without a word"
jq_is "its record" '[.id, .title, .frames, .sources[0].id, .sources[0].start_frame, .filename] | tojson' \
    "[4,\"First one\",120000,1,48000,$(rec-meta -q -C "$root" show 1 | jq -c '.filename | sub("\\.wav$"; "") + "-2.wav"')]"
new=$(jq -r .path "$out")
ok "in edited, under a fresh name" test "${new#recordings/edited/edi_}" != "$new"
same "its frames" "$root/$new" plain/a.wav 48000 120000
run rec-meta -C "$root" show 4
jq_is "provenance is shown" '.provenance | [.tool, .sources[0].id, .sources[0].start_frame] | tojson' \
    "[\"rec-trim $(rec-trim -V | grep -o '[0-9][0-9.]*' | head -n 1)\",1,48000]"
jq_is "with the hash of the source" '.provenance.sources[0].sha256' "$(sha256sum "$root/$wav" | cut -c 1-64)"
run rec-trim -C "$root" --split every=2 --title "Part of it" -f flac "$wav" "$flac"
status "a batch of parts, as flac" 0
jq_is "the parts" '[.title, .frames, .codec, .sources[0].id] | tojson' '["Part of it",96000,"flac",1]
["Part of it",96000,"flac",1]
["Part of it",48000,"flac",1]
["Part of it",96000,"flac",2]
["Part of it",96000,"flac",2]
["Part of it",48000,"flac",2]'
run rec-trim -C "$root" --join "$wav" "$loud"
status "joined in the archive" 0
jq_is "of both" '[.frames, (.sources | map(.id))] | tojson' '[288000,[1,3]]'
run rec-trim -C "$root" -n -s 1 "$wav"
jq_is "-n in the archive" '[.path, .start_s] | tojson' "[\"$wav\",1]"
rows=$(sql "$db" "SELECT count(*) FROM recordings")
is "-n adds no row" "$rows" 11
run rec-trim -C "$root" -s 1 "$TMP/plain/a.wav"
status "a file from elsewhere" 1
stderr_has "has no place in the archive" 'not in the archive: -O FILE or FOLDER'
cp plain/loud.wav "$root/recordings/raw/stray.wav"
run rec-trim -C "$root" --in-place -s 0.5 recordings/raw/stray.wav
jq_is "in place, without a row" '[.path, .problem.code] | tojson' '["recordings/raw/stray.wav","orphan"]'
rm "$root/recordings/raw/stray.wav"
run rec-trim -C "$root" -s 0.5 -O "$new" "$wav"
jq_is "-O never replaces a recording" .problem.code conflict
is "every source is as it was" "$(seen "$root/recordings/raw")" "$(cd "$root/recordings" && sed -n 's,  \./raw/,  ./,p' <<<"$files")"

# In place, from several names of it at once.
run rec-trim -C "$root" -j2 --in-place -s 0.25 -d 0.5 "$loud" "$loud" "./$loud"
status "in place, three times in a batch" 1
jq_is "in place: once" '[.id, .frames, .problem.code] | tojson' '[3,24000,null]
[null,null,"conflict"]
[null,null,"conflict"]'
same "in place: its frames" "$root/$loud" plain/loud.wav 12000 24000
is "in place: the original is in backup" "$(find "$root/recordings/backup" -type f -exec sha256sum {} + | cut -c 1-64)" \
    "$(sha256sum plain/loud.wav | cut -c 1-64)"
run rec-health -q -C "$root" check
status "rec-health finds nothing to report" 0
is "nothing unfinished is left" "$(find "$root" -name '.rec-*tmp')" ""
for ((i = $(rec-migrate -C "$root" runs | wc -l); i > had_runs; i--)); do
	run rec-migrate -C "$root" rollback
	status "a run is rolled back" 0
done
is "rolled back: the tables are as before" "$(dump_old "$db")" "$old"
is "rolled back: the files are as before" "$(seen "$root/recordings/raw")" "$(cd "$root/recordings" && sed -n 's,  \./raw/,  ./,p' <<<"$files")"
is "rolled back: nothing in edited" "$(find "$root/recordings/edited" -type f)" ""

# Folders that are links, and another volume's.
new_archive "$TMP/elsewhere"
rmdir "$root/recordings/raw"
mkdir disk disk/raw disk/edited
ln -s "$TMP/disk/raw" "$TMP/disk/edited" "$root/recordings/"
rec-meta -q -C "$root" add "$TMP/plain/a.wav" >added
wav=$(jq -r .path added)
run rec-trim -C "$root" -s 1 -d 1 "$wav"
status "folders that are links: status 0" 0
same "folders that are links: its frames" "$root/$(jq -r .path "$out")" plain/a.wav 48000 48000
is "folders that are links: where it is" "$(find disk/edited -type f -name 'edi_*.wav' | wc -l)" 1
run rec-trim -C "$root" --in-place -s 1 -d 1 "disk/raw/../../$wav" "$wav"
jq_is "a name outside, and one that is a recording's" '.problem.code' "missing
null"
run rec-health -q -C "$root" check
status "folders that are links: rec-health finds nothing" 0
run rec-trim -C "$root" --title "$(printf 'T%.0s' {1..5000})" "$wav"
status "a title that is too long" 2
run rec-trim -C "$root" -s 0.1 --title 'Ein "Titel" – ☃' "$wav"
jq_is "a title of any letters" .title 'Ein "Titel" – ☃'
# ---- behind rec-capture in a pipe: each has its turn with the archive
sox -R -D -n -r 8000 -c 1 -t raw -e signed -b 16 pipe.raw synth 2 sine 440 pad 1 1 2>/dev/null
piped=$TMP/piped
"$TOP/tests/data/make-archive" "$piped" >/dev/null
(cat pipe.raw; sleep 1.5; cat pipe.raw) |
    timeout 40 rec-capture -C "$piped" -q --raw s16le -r 8000 -c 1 -f wav --split-time 4 - |
    timeout 40 rec-trim -C "$piped" -q --silence >piped.jsonl
is "rec-capture | rec-trim: statuses" "${PIPESTATUS[*]}" "0 0 0"
is "what was recorded is cut as it comes" "$(jq -sc '[length, all(.[]; .frames > 15900 and .frames < 16100 and .problem == null)]' piped.jsonl)" "[2,true]"
ok "the start of the sound is told" jq -es 'all(.[]; .started_at != null)' piped.jsonl

# ---- without an archive
mkdir "$TMP/unarchived" && cd "$TMP/unarchived" || exit 1
sox -D -t raw -e signed -b 16 -r 8000 -c 1 ../pipe.raw plain.wav
run env -u REC_ROOT rec-trim -n --silence plain.wav
status "-n of a plain file: status" 0
ok "it tells what would be kept" jq -e '.start_s > 0.9 and .end_s < 3.1' "$out"
run env -u REC_ROOT rec-trim --preview plain.wav
status "--preview of a plain file: status" 0
stderr_has "--preview draws it" '0:00\.000.*0:04\.000'
cd "$TMP" || exit 1

done_testing
