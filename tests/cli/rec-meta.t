#!/bin/bash
# rec-meta, command by command: what it says of a file is what other programs say; an expression can do no
# more than choose; and whatever it changes in an archive can be taken back.
. "$(dirname "$0")/../lib.sh"

for tool in jq sqlite3 sox soxi flac ffprobe sha256sum xxhsum; do
	command -v $tool >/dev/null || plan_skip "needs $tool"
done

sql()
{
	sqlite3 -init /dev/null -bail "$@" </dev/null
}

synth()
{
	local file=$1

	shift
	sox -R -n "$file" synth "$@" 2>/dev/null
}

by_soxi()
{
	echo "$(soxi -r "$1") $(soxi -c "$1") $(soxi -s "$1")"
}

KEYS='["audio_xxh3_128","bit_rate_bps","bits_per_sample","channels","clipped_frames","codec","container","duration_s","frames","leading_silence_s","loudness_lufs","loudness_range_lu","mime_type","mtime","path","peak_dbfs","prober","quality","rms_dbfs","sample_rate_hz","sha256","size_bytes","tags","trailing_silence_s","true_peak_dbtp","xxh3_128"]'

# ---- probe
synth tone16.wav 2.5 sine 440 vol 0.5 || plan_skip "sox cannot synthesize"
sox -D tone16.wav -b 16 tone.wav
rm tone16.wav
sox -D tone.wav -r 44100 -c 2 -b 24 stereo.flac
sox -D stereo.flac -b 24 stereo.wav
sox -D stereo.flac -b 24 stereo.aiff
sox tone.wav tone.ogg
sox tone.wav -r 22050 -b 8 -e unsigned-integer low.wav
sox -D tone.wav -r 96000 -c 2 -b 24 high.wav
sox -D -n -r 8000 -b 16 silence.wav trim 0 1.5
sox -n -r 8000 -b 16 padded.wav synth 1 sine 300 pad 0.25 0.75
sox tone.wav -e floating-point -b 32 float.wav
cp tone.wav wrong.mp3

run rec-meta probe tone.wav stereo.flac stereo.wav stereo.aiff tone.ogg low.wav high.wav silence.wav padded.wav float.wav wrong.mp3
status "probe of whole files exits 0" 0
stderr_empty "and says nothing"
is "the keys are those of the manual" "$(jq -c keys "$out" | sort -u)" "$KEYS"
is "one record each, in order" "$(jq -r .path "$out" | tr '\n' ' ')" "tone.wav stereo.flac stereo.wav stereo.aiff tone.ogg low.wav high.wav silence.wav padded.wav float.wav wrong.mp3 "
cp "$out" probed
while read -r file; do
	is "$file: XXH3-128 is xxhsum's, SHA-256 sha256sum's, size stat's" \
	    "$(jq -r --arg f "$file" 'select(.path == $f) | "\(.xxh3_128) \(.sha256) \(.size_bytes)"' probed)" \
	    "$(xxhsum -q -H2 "$file" | cut -d ' ' -f 1) $(sha256sum "$file" | cut -c -64) $(stat -c %s "$file")"
	is "$file: rate, channels and frames are soxi's" \
	    "$(jq -r --arg f "$file" 'select(.path == $f) | "\(.sample_rate_hz) \(.channels) \(.frames)"' probed)" \
	    "$(by_soxi "${file/wrong.mp3/tone.wav}")"
	is "$file: the codec is ffprobe's" "$(jq -r --arg f "$file" 'select(.path == $f) | .codec' probed)" \
	    "$(ffprobe -v error -select_streams a:0 -show_entries stream=codec_name -of csv=p=0 "$file")"
	is "$file: mtime is stat's" "$(jq -r --arg f "$file" 'select(.path == $f) | .mtime' probed | sed -E 's/(\.[0-9]*[1-9])0*Z/\1Z/')" \
	    "$(date -u -r "$file" +%Y-%m-%dT%H:%M:%S.%NZ | sed -E 's/\.?0*Z$/Z/')"
done < <(jq -r .path probed)
is "containers come from the content" "$(jq -r .container probed | tr '\n' ' ')" "wav flac wav aiff ogg wav wav wav wav wav wav "
is "the audio of WAV, AIFF and FLAC is told to be the same" "$(jq -r 'select(.path | startswith("stereo")) | .audio_xxh3_128' probed | sort -u | wc -l)" 1
is "that of a lossy file is unknown" "$(jq -c 'select(.codec == "vorbis") | [.audio_xxh3_128, .bits_per_sample]' probed)" "[null,null]"
sox -D stereo.wav -t raw -e signed-integer -b 24 -L stereo.raw
is "it is the hash of the samples, little-endian and interleaved" "$(jq -r 'select(.path == "stereo.wav") | .audio_xxh3_128' probed)" "$(xxhsum -q -H2 stereo.raw | cut -d ' ' -f 1)"
is "the quality is the application's" "$(jq -r 'select(.path == "high.wav" or .path == "stereo.wav" or .path == "low.wav") | .quality' probed | tr '\n' ' ')" "cd_quality low_quality high_resolution "
is "silence has no level, and null is what says so" "$(jq -c 'select(.path == "silence.wav") | [.peak_dbfs, .rms_dbfs, .loudness_lufs, .leading_silence_s, .trailing_silence_s, .clipped_frames]' probed)" "[null,null,null,1.5,1.5,0]"
ok "silence before and behind is measured" jq -se 'map(select(.path == "padded.wav")) | .[0]
    | (.leading_silence_s - 0.25 | fabs) < 0.001 and (.trailing_silence_s - 0.75 | fabs) < 0.001' probed
peak=$(sox tone.wav -n stats 2>&1 | awk '/^Pk lev dB/ { print $4 }')
rms=$(sox tone.wav -n stats 2>&1 | awk '/^RMS lev dB/ { print $4 }')
ok "peak and RMS are sox's" jq -se --argjson p "$peak" --argjson r "$rms" \
    'map(select(.path == "tone.wav")) | .[0] | (.peak_dbfs - $p | fabs) <= 0.011 and (.rms_dbfs - $r | fabs) <= 0.011' probed
if ffmpeg -v quiet -i tone.wav -af ebur128 -f null - 2>/dev/null; then
	lufs=$(ffmpeg -nostats -i tone.wav -af ebur128 -f null - 2>&1 | awk '/Integrated/ { f = 1 } f && $1 == "I:" { print $2; exit }')
	ok "the loudness is ffmpeg's" jq -se --argjson l "$lufs" 'map(select(.path == "tone.wav")) | .[0].loudness_lufs - $l | fabs <= 0.1' probed
else
	skip "the loudness is ffmpeg's" "needs ffmpeg"
fi
is "the true peak is left out unless asked for" "$(jq -c .true_peak_dbtp probed | sort -u)" null
run rec-meta probe --true-peak tone.wav
ok "--true-peak measures it" jq -e '.true_peak_dbtp >= .peak_dbfs - 0.1 and .true_peak_dbtp < 0' "$out"
run rec-meta probe --quick tone.wav stereo.flac
status "--quick" 0
is "--quick knows what headers say" "$(jq -c '[.container, .codec, .sample_rate_hz, .channels, .frames, .size_bytes]' "$out")" \
    "$(jq -c 'select(.path == "tone.wav" or .path == "stereo.flac") | [.container, .codec, .sample_rate_hz, .channels, .frames, .size_bytes]' probed)"
is "and nothing that must be read, as null" "$(jq -c '[.xxh3_128, .sha256, .audio_xxh3_128, .peak_dbfs, .rms_dbfs, .loudness_lufs, .clipped_frames, .leading_silence_s]' "$out" | sort -u)" "[null,null,null,null,null,null,null,null]"
is "--quick has the same keys" "$(jq -c keys "$out" | sort -u)" "$KEYS"
if command -v strace >/dev/null; then
	head -c 50000000 /dev/zero >zeros
	sox -t raw -r 44100 -c 2 -b 16 -e signed-integer zeros big.wav
	rm zeros
	run strace -f -qq -y -o trace -e trace=read,pread64 rec-meta probe --quick big.wav
	is "--quick reads little of a big file" "$(grep 'big.wav>' trace | sed -n 's/.* = \([0-9]*\)$/\1/p' | awk '{ n += $1 } END { print (n > 0 && n < 1000000) ? "little" : n }')" little
	rm big.wav
else
	skip "--quick reads little of a big file" "needs strace"
fi
flac -s -T "ARTIST=Somebody" -T "TITLE=Blåbær \"1\"" -o tagged.flac tone.wav
run rec-meta probe tagged.flac
ok "Vorbis comments are tags" jq -e '.tags | to_entries | map(.value) | (index("Somebody") != null and index("Blåbær \"1\"") != null)' "$out"

# ---- an archive of the current shape
SCHEMA="CREATE TABLE recordings (id INTEGER NOT NULL, filename VARCHAR NOT NULL, stored_filename VARCHAR NOT NULL,
	title VARCHAR, duration FLOAT NOT NULL, filesize_bytes BIGINT, mime_type VARCHAR, checksum VARCHAR, status VARCHAR,
	sync_status VARCHAR, last_synced_at DATETIME, created_at DATETIME DEFAULT (CURRENT_TIMESTAMP), modified_at DATETIME,
	PRIMARY KEY (id), UNIQUE (stored_filename));
CREATE TABLE jobs (id TEXT PRIMARY KEY, file_path TEXT NOT NULL, title TEXT, description TEXT, tags TEXT, status TEXT NOT NULL,
	attempts INTEGER DEFAULT 0, max_attempts INTEGER DEFAULT 3, created_iso TEXT, started_iso TEXT, finished_iso TEXT,
	uploaded_bytes INTEGER DEFAULT 0, total_bytes INTEGER, last_error TEXT, drive_file_id TEXT, cancel_requested INTEGER DEFAULT 0);
CREATE TABLE secrets (word TEXT);
INSERT INTO secrets VALUES ('abc');"
root=$TMP/archive
db=$root/db/app.db
mkdir -p "$root/db" "$root/recordings/raw"
printf 'REC_MIN_FREE_MB=1\n' >"$root/.env"
sql "$db" "PRAGMA journal_mode = WAL" >/dev/null
sql "$db" "$SCHEMA"
n=0
for f in tone.wav low.wav silence.wav high.wav stereo.flac padded.wav; do
	n=$((n + 1))
	cp -p $f "$root/recordings/raw/$f"
	sql "$db" "INSERT INTO recordings (id, filename, stored_filename, title, duration, status, created_at) VALUES ($n, '$f', '$f', 'Title $n', 0.0,
	    CASE $n WHEN 3 THEN 'deleted' WHEN 4 THEN NULL ELSE 'active' END, '2025-09-0$n 10:00:00')"
done
sql "$db" "INSERT INTO jobs (id, file_path, status, attempts, created_iso, drive_file_id) VALUES
    ('j1', 'recordings/raw/tone.wav', 'succeeded', 1, '2025-09-05T10:00:00', 'drive1'), ('j2', '$root/recordings/raw/tone.wav', 'failed', 3, '2025-09-06T10:00:00', NULL)"
meta()
{
	run rec-meta -C "$root" "$@"
}

meta list
status "list before any apply" 0
is "it shows what the application knows" "$(jq -c '[.id, .title, .sha256]' "$out" | head -n 1)" '[1,"Title 1",null]'
rec-migrate -q -C "$root" apply >/dev/null
meta list
status "list exits 0" 0
is "list leaves deleted ones out" "$(jq .id "$out" | tr '\n' ' ')" "1 2 4 5 6 "
meta list --all
is "--all does not" "$(jq .id "$out" | tr '\n' ' ')" "1 2 3 4 5 6 "
is "a recording has every key" "$(jq -c 'keys | length' "$out" | sort -u)" 34
is "no status is active" "$(jq -r 'select(.id == 4) | .status' "$out")" active
is "times are RFC 3339" "$(jq -r 'select(.id == 4) | .created_at' "$out")" 2025-09-04T10:00:00Z
is "values are those of probe" "$(jq -S -c 'select(.filename == "tone.wav") | del(.id, .path, .filename, .stored_filename, .title, .status, .sync_status, .created_at, .started_at)' "$out")" \
    "$(jq -S -c 'select(.path == "tone.wav") | del(.path)' probed)"
list_is()
{
	local name=$1 wanted=$2

	shift 2
	meta list "$@"
	status "$name: exits 0" 0
	is "$name" "$(jq .id "$out" | tr '\n' ' ')" "$wanted"
}
list_is "--where on numbers" "2 4 " --where "sample_rate_hz < 44100 and bits_per_sample = 8 or sample_rate_hz >= 96000"
list_is "--where with functions" "1 " --where "lower(title) like 'title 1' and abs(peak_dbfs) > 1 and length(sha256) = 64 and coalesce(tags, '') is not null"
list_is "--where on what is unknown" "" --where "peak_dbfs is null"
list_is "--where on deleted ones" "3 " --all --where "peak_dbfs is null"
list_is "--where with a list, BETWEEN and CASE" "1 5 " --where "id in (1, 3, 5) and id between 1 and 5 and case when id > 0 then 1 else 0 end"
list_is "--where with a comment" "1 " --where "id = 1 -- the first"
list_is "--where with GLOB and dates" "2 " --where "created_at glob '2025-09-02*' and date(created_at) = '2025-09-02'"
list_is "--where on tags" "1 2 4 5 6 " --where "json_extract(tags, '\$.nothing') is null"
list_is "--where with parentheses in quotes" "" --where "title = ')' or title = '('"
list_is "--sort" "6 5 4 2 1 " --sort -id
list_is "--sort by several" "4 1 5 2 6 " --sort -sample_rate_hz,id
list_is "--limit" "1 2 " --limit 2
list_is "--limit 0" "" --limit 0
list_is "all together" "5 " --where "id > 1" --sort -duration_s,-id --limit 1
meta list -o path --where "id < 3"
is "-o path" "$(cat "$out")" "recordings/raw/tone.wav
recordings/raw/low.wav"
meta list -o path0 --where "id < 3"
is "-o path0" "$(tr '\0' '|' <"$out")" "recordings/raw/tone.wav|recordings/raw/low.wav|"
meta list -o table
status "-o table" 0
is "a table has a head and a line for each" "$(wc -l <"$out")" 6
ok "with the titles" grep -q 'Title 5' "$out"
for i in 1 2 3; do
	meta list --shard $i/3
	jq .id "$out"
done >shards
is "--shard deals each out once" "$(sort -n shards | tr '\n' ' ')" "1 2 4 5 6 "

# ---- what an expression may not do
was=$(manifest "$root")
while IFS= read -r expression; do
	meta list --where "$expression"
	status "--where '$expression' is refused" 2
	is "--where '$expression' prints nothing" "$(cat "$out")" ""
	is "--where '$expression' is told in one line" "$(wc -l <"$errf")" 1
done <<'END'
id = 
id == == 1
1)
(1
1) or (1
1) or 1 --
1) union select * from recording where (1
1) order by (1
1) group by (1
1) group by id having (1
1) limit 1 --
(select 1)
id = (select max(id) from recordings)
exists (select 1 from sqlite_master)
exists (select 1 from secrets)
id in (select id from recording)
id in recordings
title in secrets
'abc' in secrets
'abc' in main.secrets
'main' in pragma_database_list
'abc' in json_each
1 in (values (1))
1 in json_each('[1]')
1 in pragma_table_info('recordings')
(with a as (select 1) select * from a)
1 union select * from recording
1; drop table recordings
1;
1; --
; 1
load_extension('/tmp/x.so')
readfile('/etc/passwd') is not null
writefile('/tmp/x', 'x')
edit('x')
fts3_tokenizer('simple') is not null
count(*) > 0
count(id) > 0
max(id) = id
sum(id) > 1
group_concat(title) is not null
json_group_array(id) is not null
row_number() over () = 1
count(*) over () > 1
sum(id) over (order by id) > 1
max(id) over () = 1
rowid = 1
recordings.id = 1
main.recordings.id = 1
secrets.word = 'abc'
rec_measurements.run is not null
m.run is not null
r.checksum is not null
checksum is not null
run is not null
sqlite_master.sql is not null
?
?1 = 1
:name = 1
@v
$v
id = ?2
attach database '/tmp/x' as x
pragma table_info(recordings)
raise(abort, 'x')
no_such_key = 1
no_such_function(1)
"no such column" = 1
id /* never ends
'never ends
1 collate no_such_order = 1
last_insert_rowid() = 0
total_changes() >= 0
END
meta list --where "$(printf 'id = 1\nunion select 1')"
status "--where over two lines is no way out" 2
meta list --where ""
status "--where '' is refused" 2
is "none of them changed anything" "$(manifest "$root")" "$was"
for sort in nothing 'id desc' 'id;--' 'id,' ',' '' '--id' 'checksum' 'random()' '1'; do
	meta list --sort "$sort"
	status "--sort '$sort' is refused" 2
done
for limit in -1 x '' 1.5 99999999999999999999; do
	meta list --limit "$limit"
	status "--limit '$limit' is refused" 2
done
meta list 1
status "list takes no operand" 2
timeout 20 rec-meta -C "$root" list --where "length(zeroblob(2000000000)) > 0 and length(hex(randomblob(900000000))) > 0" >/dev/null 2>&1
is "a huge value ends, and does not kill" "$(($? < 5))" 1

# ---- show
meta show 1
status "show by id" 0
is "it tells who measured it" "$(jq -r .measured_by_run "$out")" "$(rec-migrate -C "$root" runs | jq -r .run)"
is "and its uploads, by both of the application's paths" "$(jq -c '[.uploads[] | [.id, .status, .attempts, .drive_file_id]]' "$out")" '[["j1","succeeded",1,"drive1"],["j2","failed",3,null]]'
for name in recordings/raw/tone.wav "$root/recordings/raw/tone.wav" ./recordings/raw/tone.wav recordings/raw/../raw/tone.wav recordings//raw/tone.wav tone.wav; do
	meta show "$name"
	is "show by path: ${name#"$TMP/"}" "$(jq -c .id "$out")" 1
done
run_in <(rec-meta -C "$root" list) rec-meta -C "$root" show
is "show of records from list" "$(jq .id "$out" | tr '\n' ' ')" "1 2 4 5 6 "
meta show 99 1 nothing.wav 0 -- -5
status "show of what is not there exits 1" 1
is "one out for each in, in order" "$(jq -c '[.id, .problem.code]' "$out")" '[null,"bad_record"]
[1,null]
[null,"bad_record"]
[null,"bad_record"]
[null,"bad_record"]'
meta show 1 -o table
ok "as a card for people" grep -qE '^title +Title 1' "$out"

# ---- set
before=$(dump_old "$db")
meta set 1 title='Dawn – "chorus"; --' status=archived tags='{"place":"Porto","n":"1"}'
status "set" 0
is "it prints the record as it is now" "$(jq -c '[.id, .title, .status, .tags.place, .tags.n]' "$out")" '[1,"Dawn – \"chorus\"; --","archived","Porto","1"]'
is "title and status are in the application's columns" "$(sql "$db" "SELECT title, status, modified_at > '2025' FROM recordings WHERE id = 1")" 'Dawn – "chorus"; --|archived|1'
meta set 1 tags.place=Lisboa tags.n= tags.new=x=y
is "one tag at a time: set, taken away, made" "$(jq -c '[.tags.place, .tags.n, .tags.new]' "$out")" '["Lisboa",null,"x=y"]'
meta set 1 title=
is "an empty title is none" "$(sql "$db" "SELECT title IS NULL FROM recordings WHERE id = 1")" 1
was=$(sql "$db" .dump)
runs=$(rec-migrate -C "$root" runs | wc -l)
meta set 1 status=archived tags.place=Lisboa
status "set of what is so already" 0
is "changes nothing" "$(sql "$db" .dump)" "$was"
is "and is no run" "$(rec-migrate -C "$root" runs | wc -l)" "$runs"
for change in status=gone status= status=Active id=2 filename=x duration=1 checksum=x nothing =x title tags=x 'tags={"a":1}' 'tags=["a"]' 'tags=' \
    "title=$(printf 'bad\xff')" "tags.x=$(printf 'bad\xff')" "title=$(printf 'x%.0s' $(seq 1025))" tags.=x; do
	meta set 1 title=Fine "$change"
	status "set '${change:0:30}' is refused" 2
	is "set '${change:0:30}' is told in one line" "$(wc -l <"$errf")" 1
done
meta set x title=a
status "set needs an id" 2
meta set 1
status "set needs a change" 2
meta set
status "set needs both" 2
is "none of them changed anything" "$(sql "$db" .dump)" "$was"
meta set 77 title=a
status "set of an id that is not there" 1
is "has a record that says so" "$(jq -c '[.id, .problem.code]' "$out")" '[77,"bad_record"]'
for i in 1 2 3; do
	rec-migrate -q -C "$root" rollback >/dev/null
done
is "each set can be taken back" "$(dump_old "$db")" "$before"

# ---- rm
meta rm 2 recordings/raw/high.wav
status "rm" 0
is "rm by id and path marks as deleted" "$(jq -c '[.id, .status]' "$out")" '[2,"deleted"]
[4,"deleted"]'
is "the files stay" "$(cmp low.wav "$root/recordings/raw/low.wav" && cmp high.wav "$root/recordings/raw/high.wav" && echo same)" same
meta rm 2
status "rm of a deleted one" 0
meta rm 99
status "rm of what is not there" 1
rec-migrate -q -C "$root" rollback >/dev/null
is "rm can be taken back" "$(dump_old "$db")" "$before"
files=$(manifest "$root/recordings/raw")
meta set 5 tags.a=b
meta rm --purge 5 6
status "rm --purge" 0
is "it prints what there was" "$(jq -c '[.id, .title]' "$out")" '[5,"Title 5"]
[6,"Title 6"]'
is "the rows are gone" "$(sql "$db" "SELECT (SELECT count(*) FROM recordings WHERE id IN (5, 6)) + (SELECT count(*) FROM rec_measurements WHERE recording_id IN (5, 6)) + (SELECT count(*) FROM rec_tags)")" 0
is "the files are in backup, byte for byte" "$(cmp stereo.flac "$root/recordings/backup/stereo.flac" && cmp padded.wav "$root/recordings/backup/padded.wav" && echo same)" same
is "and not in raw" "$(ls "$root/recordings/raw" | grep -cE 'stereo|padded')" 0
run rec-migrate -C "$root" rollback
status "a purge can be taken back" 0
is "with its rows" "$(dump_old "$db")" "$before"
is "its tags" "$(sql "$db" "SELECT tags FROM rec_tags WHERE recording_id = 5")" '{"a":"b"}'
is "and its files, times and all" "$(manifest "$root/recordings/raw")" "$files"
rec-migrate -q -C "$root" rollback >/dev/null
printf 'in the way' >"$root/recordings/backup/tone.wav"
meta rm --purge 1
status "a purge when the name is taken in backup" 0
is "keeps both" "$(cat "$root/recordings/backup/tone.wav"; cmp tone.wav "$root"/recordings/backup/tone.wav?* && echo same)" "in the waysame"
cp low.wav "$root/recordings/raw/tone.wav"
run rec-migrate -C "$root" rollback
status "a rollback when the name is taken in raw is a conflict" 1
is "and nothing is overwritten" "$(cmp low.wav "$root/recordings/raw/tone.wav" && cmp tone.wav "$root"/recordings/backup/tone.wav?* && echo same)" same
mv "$root"/recordings/backup/tone.wav?* "$root/recordings/raw/tone.wav"
rm -r "$root/recordings/backup"
mv "$root/recordings/raw/low.wav" low.aside
meta rm --purge 2
status "a purge of a recording whose file is missing" 0
rec-migrate -q -C "$root" rollback >/dev/null
mv low.aside "$root/recordings/raw/low.wav"

# ---- add
before=$(dump_old "$db")
raw=$(manifest "$root/recordings/raw")
synth new.wav 1 sine 700
synth "$(printf 'od\xffd\n {name}.WAV')" 0.5 sine 800
cp new.wav -- "-dash.wav"
meta add --title 'New – take' "$TMP/new.wav"
status "add" 0
id=$(jq .id "$out")
stored=$(jq -r .stored_filename "$out")
is "it prints the record" "$(jq -c '[.title, .filename, .status, .sync_status, .codec, .sha256]' "$out")" \
    "[\"New – take\",\"new.wav\",\"active\",\"unsynced\",\"pcm_s32le\",\"$(sha256sum new.wav | cut -c -64)\"]"
ok "under a name as the application makes them" grep -qE '^[0-9a-f]{32}\.wav$' <<<"$stored"
is "the copy is the file" "$(cmp new.wav "$root/recordings/raw/$stored" && echo same)" same
is "the source stays" "$(ls new.wav)" new.wav
is "the application has all its columns" "$(sql "$db" "SELECT filename, stored_filename, title, duration, filesize_bytes, mime_type, checksum, status, sync_status FROM recordings WHERE id = $id")" \
    "new.wav|$stored|New – take|1.0|$(stat -c %s new.wav)|audio/x-wav|$(sha256sum new.wav | cut -c -64)|active|unsynced"
ok "and its time" grep -qE '^20[0-9-]{8} [0-9:]{8}(\.[0-9]{6})?$' <(sql "$db" "SELECT created_at FROM recordings WHERE id = $id")
run rec-migrate -q -C "$root" verify
is "the new row is complete" "$(jq -c '[.rows, .complete]' "$out")" "[7,7]"
was=$(manifest "$root" | grep -av -- '-shm$')
meta add "$TMP/new.wav"
status "the same bytes again: exit 1" 1
is "a duplicate, of which one" "$(jq -c '[.problem.code, .duplicate_of]' "$out")" "[\"duplicate\",$id]"
is "changes nothing" "$(manifest "$root" | grep -av -- '-shm$')" "$was"
meta add --allow-duplicates "$TMP/new.wav"
status "--allow-duplicates takes it" 0
is "there are two" "$(sql "$db" "SELECT count(*) FROM recordings WHERE checksum = '$(sha256sum new.wav | cut -c -64)'")" 2
for i in 1 2; do
	rec-migrate -q -C "$root" rollback >/dev/null
done
is "add can be taken back" "$(dump_old "$db")" "$before"
is "raw is as before" "$(manifest "$root/recordings/raw")" "$raw"
is "what was added is in backup, not away" "$(ls "$root/recordings/backup" | wc -l)" 2
rm -r "$root/recordings/backup"

cp new.wav moved.wav
meta add --move "$TMP/moved.wav"
status "add --move" 0
is "the source is gone, its bytes are in raw" "$(ls moved.wav 2>/dev/null; cmp new.wav "$root/recordings/raw/$(jq -r .stored_filename "$out")" && echo same)" same
cp new.wav moved.wav
meta add --move "$TMP/moved.wav"
is "a duplicate is not moved" "$(jq -r .problem.code "$out") $(ls moved.wav)" "duplicate moved.wav"
rec-migrate -q -C "$root" rollback >/dev/null
rm -r "$root/recordings/backup"

printf 'no audio at all, but a text of some length\n' >text.wav
: >empty.wav
head -c 3000 /dev/urandom >random.wav
mkfifo pipe
run timeout 20 rec-meta -C "$root" add text.wav "$TMP/text.wav" "$TMP/empty.wav" "$TMP/random.wav" "$TMP" "$TMP/pipe" /dev/zero "$TMP/nothing.wav"
status "what is no audio is refused" 1
is "each for its reason" "$(jq -r .problem.code "$out" | tr '\n' ' ')" "missing not_audio empty not_audio unsupported unsupported unsupported missing "
is "nothing was added" "$(dump_old "$db")" "$before"
is "nor copied" "$(manifest "$root/recordings/raw")" "$raw"
is "nor a run made of it" "$(rec-migrate -C "$root" runs | jq -s 'map(select(.state != "rolled_back")) | length')" 1
head -c 2000000 /dev/zero | sox -t raw -r 44100 -c 1 -b 16 -e signed-integer - large.wav
run env RECORDINGS_MAX_SIZE_MB=1 rec-meta -C "$root" add "$TMP/large.wav"
is "above the size limit: too_large" "$st $(jq -r .problem.code "$out")" "1 too_large"
stderr_has "it says which setting, and from where" 'RECORDINGS_MAX_SIZE_MB.*environment'
run env REC_MIN_FREE_MB=100000000 rec-meta -C "$root" add "$TMP/large.wav"
is "no space above the minimum: no_space" "$st $(jq -r .problem.code "$out")" "1 no_space"
is "neither was added" "$(manifest "$root/recordings/raw")" "$raw"
if [ "$(id -u)" = 0 ] && mkdir small && mount -t tmpfs -o size=1m none small 2>/dev/null; then
	run env REC_MIN_FREE_MB=1 REC_DISK_CHECK=false RECORDINGS_RAW_PATH="$TMP/small" rec-meta -C "$root" add "$TMP/large.wav"
	ok "a raw folder elsewhere, without recordings, is no volume of ours" test "$st" = 3
	cp -p "$root"/recordings/raw/{low,tone}.wav small/
	run env REC_MIN_FREE_MB=1 RECORDINGS_RAW_PATH="$TMP/small" rec-meta -C "$root" add "$TMP/large.wav"
	is "a full disk: no_space" "$st $(jq -r .problem.code "$out")" "1 no_space"
	run env REC_DISK_CHECK=false RECORDINGS_RAW_PATH="$TMP/small" rec-meta -C "$root" add "$TMP/large.wav"
	status "a full disk that nobody looked at before stops the tool" 3
	stderr_has "it says why" 'No space left on device'
	is "leaves nothing on it" "$(ls -A small | tr '\n' ' ')" "low.wav tone.wav "
	umount small
else
	skip "a full disk: no_space" "needs root and tmpfs"
fi
meta add -n "$TMP/new.wav" "$TMP/text.wav"
is "add -n says what would be" "$st $(jq -c '[.codec, .problem.code]' "$out" | tr '\n' ' ')" '1 ["pcm_s32le",null] [null,"not_audio"] '
is "and does nothing" "$(dump_old "$db")" "$before"
find "$TMP" -maxdepth 1 -name 'od*' -print0 >names
run_in names rec-meta -C "$root" add -0
status "a name of any bytes" 0
is "is kept as bytes" "$(jq -r .filename_hex "$out")" "$(printf 'od\xffd\n {name}.WAV' | od -An -v -tx1 | tr -d ' \n')"
ok "with its extension" grep -qE '^[0-9a-f]{32}\.WAV$' <(jq -r .stored_filename "$out")
echo '{"path":"'"$TMP"'/-dash.wav","mine":{"a":[1,0.1]},"title":"theirs"}' >record
run_in record rec-meta -C "$root" add
is "a record's own keys pass through add" "$(jq -c '[.mine, .filename]' "$out")" '[{"a":[1,0.1]},"-dash.wav"]'
for i in 1 2; do
	rec-migrate -q -C "$root" rollback >/dev/null
done
is "and all is taken back" "$(dump_old "$db")" "$before"

# ---- refresh
sox -R -n -r 8000 -b 16 "$root/recordings/raw/tone.wav" synth 1 sine 900
run rec-migrate -q -C "$root" apply
is "a changed file is modified, as apply had filled the checksum" "$(jq -r 'select(.problem) | "\(.id) \(.problem.code)"' "$out")" "1 size_mismatch"
is "what was recorded stays" "$(sql "$db" "SELECT checksum, duration FROM recordings WHERE id = 1")" "$(sha256sum tone.wav | cut -c -64)|2.5"
is "verify says so" "$(rec-migrate -q -C "$root" verify | jq -r 'select(.problem) | .id')" 1
meta show 1
is "show tells what was seen" "$(jq -r .last_seen.size_bytes "$out")" "$(stat -c %s "$root/recordings/raw/tone.wav")"
meta refresh -n
is "refresh -n changes nothing" "$(sql "$db" "SELECT duration FROM recordings WHERE id = 1")" 2.5
meta refresh 1
status "refresh accepts it" 0
is "it is the recording now" "$(jq -c '[.id, .duration_s, .sha256, .problem]' "$out")" "[1,1,\"$(sha256sum "$root/recordings/raw/tone.wav" | cut -c -64)\",null]"
is "for the application too" "$(sql "$db" "SELECT checksum, duration, filesize_bytes FROM recordings WHERE id = 1")" \
    "$(sha256sum "$root/recordings/raw/tone.wav" | cut -c -64)|1.0|$(stat -c %s "$root/recordings/raw/tone.wav")"
run rec-migrate -q -C "$root" verify
status "and verify is content" 0
meta refresh
status "refresh of an archive that is up to date" 0
is "prints and changes nothing" "$(cat "$out")$(rec-migrate -C "$root" runs | jq -r .kind | grep -c refresh)" 1
meta refresh 99 recordings/raw/nothing.wav
status "refresh of what is not there" 1
is "a record each" "$(jq -r .problem.code "$out" | tr '\n' ' ')" "bad_record bad_record "
rm "$root/recordings/raw/tone.wav"
meta refresh 1
is "refresh of a missing file" "$st $(jq -r .problem.code "$out")" "1 missing"
is "keeps what was measured" "$(jq -c .duration_s "$out")" 1

# ---- add on each shape
for shape in 0001 0002 4ae620c1c938 cabc59ea0c9d unversioned; do
	if ! root=$(archive $shape); then
		skip "$shape: add" "no ../shared/archives"
		continue
	fi
	before=$(dump_old "$root/db/app.db")
	raw=$(manifest "$root/recordings/raw")
	cp new.wav Front_Center.wav
	run rec-meta -C "$root" add "$TMP/new.wav" "$TMP/tone.wav" "$TMP/Front_Center.wav" --allow-duplicates
	status "$shape: add before any apply" 0
	is "$shape: a file name that is taken gets another where it must be unique" \
	    "$(jq -r .filename "$out" | sed -n 3p | grep -cE '^Front_Center(-2)?\.wav$')" 1
	is "$shape: the rows are there" "$(sql "$root/db/app.db" "SELECT count(*) FROM recordings WHERE title IS NULL AND length(stored_filename) = 36 AND duration > 0 AND id > 15 AND modified_at IS NULL AND filename IN ('new.wav', 'tone.wav')")" 2
	run rec-migrate -q -C "$root" apply
	status "$shape: apply goes on" 1
	for i in 1 2; do
		rec-migrate -q -C "$root" rollback >/dev/null
	done
	is "$shape: both taken back, it is as before" "$(dump_old "$root/db/app.db")" "$before"
	is "$shape: raw too" "$(manifest "$root/recordings/raw")" "$raw"
done
done_testing
