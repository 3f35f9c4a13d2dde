#!/bin/bash
# rec-health repair: recordings whose writer was killed play again with every frame that was written, cut-off
# parts are finished, unknown files are adopted, moved ones get their name back, a stuck upload is queued again.
# A dry run changes nothing, the originals are kept, and the whole can be taken back exactly.
. "$(dirname "$0")/../lib.sh"

for tool in sox ffmpeg sqlite3 jq flac; do
	command -v $tool >/dev/null || plan_skip "needs $tool"
done
ff() { ffmpeg -nostdin -v error "$@"; }
tone() { sox -n -r 8000 -b 16 -c 1 -t wav "$1" synth "$2" sine "$3" 2>/dev/null; }
sql() { sqlite3 -init /dev/null -bail "$root/db/app.db" "$@"; }

# killed FILE CMD...: CMD writes FILE, and is killed with kill -9 while it does.
killed()
{
	local file=$1 pid i

	shift
	"$@" >/dev/null 2>&1 &
	pid=$!
	for ((i = 0; i < 1000; i++)); do
		[ "$(stat -c %s "$file" 2>/dev/null || echo 0)" -gt 40000 ] && break
		sleep 0.02
	done
	kill -9 "$pid"
	wait "$pid" 2>/dev/null
	[ "$(stat -c %s "$file")" -gt 40000 ]
}

# The bytes of audio in a file: behind its first chunk of this name, and N bytes more.
audio_of()
{
	local at

	at=$(grep -abo -m 1 -F -- "$2" "$1" | head -n 1 | cut -d : -f 1)
	tail -c "+$((at + $3 + 1))" "$1"
}

# Whole frames of N bytes of stdin, their SHA-256.
whole()
{
	local n

	cat >"$TMP/audio"
	n=$(stat -c %s "$TMP/audio")
	head -c $((n - n % $1)) "$TMP/audio" | sha256sum
}

# zero FILE OFFSET N
zero() { dd if=/dev/zero of="$1" bs=1 seek="$2" count="$3" conv=notrunc status=none; }

root=$TMP/archive
raw=$root/recordings/raw
mkdir -p "$root/db" "$raw" "$root/recordings/edited"
printf '%s\n' APP_ENVIRONMENT=testing DATABASE_URL=sqlite:///db/app.db RECORDINGS_RAW_PATH=recordings/raw \
    RECORDINGS_EDITED_PATH=recordings/edited REC_BACKUP_PATH=recordings/backup >"$root/.env"

# ---- real damage ----

feed() { while head -c 3000 /dev/urandom; do sleep 0.01; done; }
mkfifo pipe
feed >pipe &
feeder=$!
ok "sox is killed while it writes" killed "$raw/sox.wav" sox -t raw -r 44100 -b 16 -c 2 -e signed pipe "$raw/sox.wav"
kill "$feeder"
wait "$feeder" 2>/dev/null
noise=(-re -f lavfi -i "anoisesrc=r=44100:d=3600" -c:a pcm_s16le -flush_packets 1)
ok "ffmpeg is killed while it writes WAV" killed "$raw/ffmpeg.wav" ffmpeg -nostdin "${noise[@]}" "$raw/ffmpeg.wav"
ok "… RF64" killed "$raw/rf64.wav" ffmpeg -nostdin "${noise[@]}" -rf64 always "$raw/rf64.wav"
ok "… W64" killed "$raw/ffmpeg.w64" ffmpeg -nostdin "${noise[@]}" "$raw/ffmpeg.w64"
ok "… AIFF" killed "$raw/ffmpeg.aiff" ffmpeg -nostdin -re -f lavfi -i "anoisesrc=r=44100:d=3600" -c:a pcm_s16be \
    -flush_packets 1 "$raw/ffmpeg.aiff"

# ---- made damage ----

tone "$raw/good.wav" 0.5 300
tone "$raw/zeroed.wav" 0.5 310
recorded=$(sha256sum <"$raw/zeroed.wav" | cut -c 1-64)
zero "$raw/zeroed.wav" 4 4
zero "$raw/zeroed.wav" 40 4
sox -n -r 8000 -b 16 -c 1 "$raw/zeroed.aiff" synth 0.5 sine 320
zero "$raw/zeroed.aiff" 4 4
tone "$TMP/cut.wav" 0.5 330
head -c 5001 "$TMP/cut.wav" >"$raw/cut.wav"
head -c 4000 "$TMP/cut.wav" >"$raw/other.wav" # its row knows the SHA-256 of other bytes
tone "$raw/gone-astray.wav" 0.3 340
tone "$raw/cutoff.wav.part" 0.6 350
zero "$raw/cutoff.wav.part" 4 4
zero "$raw/cutoff.wav.part" 40 4
tone "$raw/good.wav.part" 0.2 360
sox -n -r 8000 -b 16 -c 1 "$TMP/whole.flac" synth 3 whitenoise 2>/dev/null
head -c 30000 "$TMP/whole.flac" >"$raw/memo.flac.part"
echo "not a sound" >"$raw/junk.wav.part"
tone "$raw/fresh.wav.part" 0.2 370
tone "$raw/orphan.wav" 0.3 380
tone "$root/recordings/edited/edi_new.wav" 0.3 390
zero "$root/recordings/edited/edi_new.wav" 40 4
cp "$raw/good.wav" "$raw/again.wav"
echo "a shopping list" >"$raw/list.txt"
touch -d '2025-09-05 10:00:00.123456789Z' "$raw"/* "$root"/recordings/edited/*
touch "$raw/fresh.wav.part"
chmod 640 "$raw/cut.wav"

moved=$(sha256sum <"$raw/gone-astray.wav" | cut -c 1-64)
moved_size=$(stat -c %s "$raw/gone-astray.wav")
stale=$(date -u -d '1 day ago' +%FT%T)
now=$(date -u +%FT%T)
sql >/dev/null <<SQL
PRAGMA journal_mode = WAL;
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
INSERT INTO alembic_version VALUES ('0002_add_job_progress_columns');
CREATE TABLE recordings (id INTEGER NOT NULL, filename VARCHAR NOT NULL, stored_filename VARCHAR NOT NULL,
	title VARCHAR, duration FLOAT DEFAULT '0.0' NOT NULL, filesize_bytes BIGINT, mime_type VARCHAR,
	checksum VARCHAR, status VARCHAR DEFAULT 'active', sync_status VARCHAR DEFAULT 'unsynced',
	last_synced_at DATETIME, created_at DATETIME DEFAULT (CURRENT_TIMESTAMP), modified_at DATETIME,
	PRIMARY KEY (id), UNIQUE (stored_filename));
CREATE TABLE jobs (id VARCHAR NOT NULL, file_path VARCHAR NOT NULL, title VARCHAR, description VARCHAR,
	tags VARCHAR, status VARCHAR NOT NULL, attempts INTEGER DEFAULT '0' NOT NULL,
	max_attempts INTEGER DEFAULT '3' NOT NULL, created_iso VARCHAR, last_error VARCHAR, drive_file_id VARCHAR,
	started_iso TEXT, finished_iso TEXT, uploaded_bytes BIGINT DEFAULT 0, total_bytes BIGINT,
	cancel_requested INTEGER DEFAULT 0, PRIMARY KEY (id));
INSERT INTO jobs (id, file_path, status, started_iso) VALUES ('waits', 'recordings/raw/good.wav', 'pending', NULL),
	('stuck', 'recordings/raw/sox.wav', 'running', '$stale'), ('at work', 'recordings/raw/cut.wav', 'running', '$now');
INSERT INTO recordings (id, filename, stored_filename, duration, checksum, filesize_bytes) VALUES
	(1, 'good.wav', 'good.wav', 0.5, '$(sha256sum <"$raw/good.wav" | cut -c 1-64)', $(stat -c %s "$raw/good.wav")),
	(2, 'sox.wav', 'sox.wav', 0, NULL, NULL), (3, 'ffmpeg.wav', 'ffmpeg.wav', 0, NULL, NULL),
	(4, 'rf64.wav', 'rf64.wav', 0, NULL, NULL), (5, 'w64', 'ffmpeg.w64', 0, NULL, NULL),
	(6, 'aiff', 'ffmpeg.aiff', 0, NULL, NULL), (7, 'zeroed.wav', 'zeroed.wav', 0.5, '$recorded', NULL),
	(8, 'zeroed.aiff', 'zeroed.aiff', 0.5, NULL, NULL), (9, 'cut.wav', 'cut.wav', 0.5, NULL, 8044),
	(10, 'other.wav', 'other.wav', 0.5, '$(printf %064d 7)', 8044),
	(11, 'lost.wav', 'lost.wav', 0.3, '$moved', $moved_size);
SQL

# ---- what would be done ----

run rec-migrate -C "$root" -q apply
status "apply notes the problems" 1
cp -a "$raw" "$TMP/raw"
manifest "$root/recordings" >before.files
dump_old "$root/db/app.db" >before.sql
manifest "$root" >before.all
run rec-health -C "$root" -o json repair
status "without --apply, what would be done; the duplicate, the junk and the file that is to stay are problems" 1
cp "$out" plan.json
manifest "$root" >after.all
is "and nothing is changed" "$(diff before.all after.all)" ""
jq_is "nothing is done" 'select(.done) | .path' ""
is "what would be done" "$(jq -r 'select(.problem == null) | "\(.repair) \(.path)"' "$out" | sort)" "header recordings/raw/cut.wav
header recordings/raw/ffmpeg.aiff
header recordings/raw/ffmpeg.w64
header recordings/raw/ffmpeg.wav
header recordings/raw/other.wav
header recordings/raw/rf64.wav
header recordings/raw/sox.wav
header recordings/raw/zeroed.aiff
header recordings/raw/zeroed.wav
job recordings/raw/sox.wav
moved recordings/raw/gone-astray.wav
orphan recordings/edited/edi_new.wav
orphan recordings/raw/orphan.wav
part recordings/raw/cutoff.wav.part
part recordings/raw/good.wav.part
part recordings/raw/memo.flac.part"
run rec-health -C "$root" -n repair --apply
manifest "$root" >after.all
is "-n wins over --apply" "$(diff before.all after.all)" ""
run rec-health -C "$root" repair --only=headers,nothing
status "an unknown kind is refused" 2
stderr_has "and the kinds are told" 'headers, parts, orphans, moved'

# ---- done ----

run rec-health -C "$root" -o json repair --apply --only=jobs
status "one kind alone" 0
jq_is "only the stale job" '[.repair, .job, .done]' '["job","stuck",true]'
is "is pending again" "$(sql "SELECT id, status, started_iso IS NULL FROM jobs ORDER BY id")" "at work|running|0
stuck|pending|1
waits|pending|1"
run rec-migrate -C "$root" -o json runs
is "a job is no recording" "$(jq -r 'select(.kind == "repair") | .rows' "$out")" 0
run rec-health -C "$root" -o json repair --undo
status "the job is taken back" 0
jq_is "and told of as no recording" .id ""
is "as it was" "$(dump_old "$root/db/app.db")" "$(cat before.sql)"

run rec-health -C "$root" -o json repair --apply
status "everything, but what has a problem" 1
cp "$out" done.json
is "each that was announced is done" \
    "$(jq -r 'select(.done) | "\(.repair) \(.path)"' done.json | grep -v 'header.*edi_new' | sort)" \
    "$(jq -r 'select(.problem == null and .path != "recordings/raw/other.wav") | "\(.repair) \(.path)"' plan.json | sort)"
is "an adopted file gets its header in the same run" \
    "$(jq -r 'select(.repair == "header" and .done and (.path | endswith("edi_new.wav"))) | .backup' done.json)" \
    recordings/backup/edi_new.wav
is "what is left as it is, and why" \
    "$(jq -r 'select(.problem) | "\(.repair) \(.path) \(.problem.code)"' done.json | sort)" \
    "header recordings/raw/other.wav checksum_mismatch
orphan recordings/raw/again.wav duplicate
part recordings/raw/junk.wav.part not_audio"
for f in other.wav again.wav list.txt junk.wav.part fresh.wav.part good.wav; do
	ok "$f is untouched" cmp "$TMP/raw/$f" "$raw/$f"
done

# plays FILE CHUNK SKIP FRAME RAW...: what sox and ffmpeg decode is what was in the damaged file.
plays()
{
	local f=$1 chunk=$2 skip=$3 frame=$4 want

	shift 4
	want=$(audio_of "$TMP/raw/$f" "$chunk" "$skip" | whole "$frame")
	is "$f: sox plays every frame" "$(sox "$raw/$f" -t raw "$@" - 2>"$TMP/said" | sha256sum; cat "$TMP/said")" "$want"
	is "$f: ffmpeg plays every frame" "$(ff -i "$raw/$f" -f "s16${order:-le}" - 2>&1 | sha256sum)" "$want"
	ok "$f: the original is kept" cmp "$TMP/raw/$f" "$root/recordings/backup/$f"
	is "$f: with its time" "$(stat -c %.9Y "$root/recordings/backup/$f")" "$(stat -c %.9Y "$TMP/raw/$f")"
	is "$f: its row has the new SHA-256" "$(sql "SELECT checksum, filesize_bytes FROM recordings WHERE stored_filename = '$f'")" \
	    "$(sha256sum <"$raw/$f" | cut -c 1-64)|$(stat -c %s "$raw/$f")"
}

plays sox.wav data 8 4
plays ffmpeg.wav data 8 2
plays rf64.wav data 8 2
plays ffmpeg.w64 data 24 2
plays zeroed.wav data 8 2
plays cut.wav data 8 2
order=be plays ffmpeg.aiff SSND 16 2 -B
order=be plays zeroed.aiff SSND 16 2 -B
is "a zeroed header: the recorded bytes are back" "$(sha256sum <"$raw/zeroed.wav" | cut -c 1-64)" "$recorded"
is "the mode is kept" "$(stat -c %a "$raw/cut.wav")" 640
is "duration is what decodes" "$(sql "SELECT duration FROM recordings WHERE id = 9")" 0.30975

is "a part becomes a recording" "$(sql "SELECT filename, stored_filename FROM recordings WHERE stored_filename LIKE 'cutoff%'")" "cutoff.wav|cutoff.wav"
is "… with every frame" "$(sox "$raw/cutoff.wav" -t raw - | sha256sum)" "$(audio_of "$TMP/raw/cutoff.wav.part" data 8 | sha256sum)"
is "… beside one of its name" "$(sql "SELECT count(*) FROM recordings WHERE stored_filename = 'good-2.wav'")" 1
ok "… with its bytes, when its header was true" cmp "$TMP/raw/good.wav.part" "$raw/good-2.wav"
ok "… of FLAC with its bytes" cmp "$TMP/raw/memo.flac.part" "$raw/memo.flac"
is "… and its problem is noted" "$(sql "SELECT m.problem_code IS NOT NULL FROM recordings r JOIN rec_measurements m ON m.recording_id = r.id
    WHERE r.stored_filename = 'memo.flac'")" 1
for f in cutoff.wav.part good.wav.part memo.flac.part; do
	ok "$f went to backup" cmp "$TMP/raw/$f" "$root/recordings/backup/$f"
	ok "… and away" test ! -e "$raw/$f"
done
ok "the orphan is where it was" cmp "$TMP/raw/orphan.wav" "$raw/orphan.wav"
is "and has a row" "$(sql "SELECT filename, duration, checksum FROM recordings WHERE stored_filename = 'orphan.wav'")" \
    "orphan.wav|0.3|$(sha256sum <"$raw/orphan.wav" | cut -c 1-64)"
is "the other is one of edited" "$(sql "SELECT folder, problem_code IS NULL FROM rec_measurements WHERE stored_filename = 'edi_new.wav'")" "edited|1"
ok "the file that moved has its name back" cmp "$TMP/raw/gone-astray.wav" "$raw/lost.wav"
is "and nothing is missing" "$(sql "SELECT count(*) FROM rec_measurements WHERE problem_code = 'missing'")" 0

manifest "$root/recordings" >repaired.files
run rec-health -C "$root" -o json repair --apply
is "a second repair finds nothing to do" "$(jq -r 'select(.done) | .path' "$out")" ""
manifest "$root/recordings" >again.files
is "and does nothing" "$(diff repaired.files again.files)" ""
run rec-migrate -C "$root" -q verify
is "verify finds only what could not be repaired, and the file that is cut" \
    "$(rec-migrate -C "$root" -o json verify 2>/dev/null | jq -r 'select(.problem and .stored_filename) | .stored_filename' | sort | paste -sd ' ')" "memo.flac other.wav"

# ---- taken back ----

# What the undo of a part leaves: the finished file is in backup, not away.
undone()
{
	manifest "$root/recordings" | grep -v -e ' ./backup' >"$TMP/undone.files"
	is "$1: the files are as they were" "$(diff before.files "$TMP/undone.files")" ""
	is "$1: the app's tables are as they were" "$(dump_old "$root/db/app.db" | diff before.sql -)" ""
	is "$1: only what was finished is in backup" "$(ls "$root/recordings/backup" | paste -sd ' ')" "cutoff.wav good-2.wav memo.flac"
}

run rec-health -C "$root" -n -o json repair --undo
manifest "$root/recordings" >again.files
is "a dry undo changes nothing" "$(diff repaired.files again.files)" ""
run rec-health -C "$root" -o json repair --undo
status "the repair is taken back" 0
undone "undo"
run rec-health -C "$root" repair --undo
status "and no other: the apply before it was no repair" 0
stderr_has "nothing is left to take back" 'nothing to roll back'
rm -r "$root/recordings/backup"

run rec-health -C "$root" -q repair --apply
name=$(rec-migrate -C "$root" -o json runs | jq -r 'select(.kind == "repair" and .state == "applied") | .run' | tail -n 1)
run rec-migrate -C "$root" -q rollback "$name"
status "rec-migrate rollback takes it back as well" 0
undone "rollback"
rm -r "$root/recordings/backup"

# ---- taken back after others changed something ----

run rec-health -C "$root" -q repair --apply --only=headers
rec-meta -C "$root" -q set 9 title=Mine
printf changed >>"$raw/sox.wav"
cp "$raw/cut.wav" "$TMP/cut.repaired"
cp "$raw/sox.wav" "$TMP/sox.changed"
name=$(rec-migrate -C "$root" -o json runs | jq -r 'select(.kind == "repair" and .state == "applied") | .run' | tail -n 1)
run rec-health -C "$root" -o json repair --undo "$name"
status "what somebody changed since is a conflict" 1
ok "a changed file stays" cmp "$TMP/sox.changed" "$raw/sox.wav"
ok "with its backup" cmp "$TMP/raw/sox.wav" "$root/recordings/backup/sox.wav"
ok "the file of a changed row stays with it" cmp "$TMP/cut.repaired" "$raw/cut.wav"
ok "with its backup" cmp "$TMP/raw/cut.wav" "$root/recordings/backup/cut.wav"
is "and its title" "$(sql "SELECT title FROM recordings WHERE id = 9")" Mine
ok "another is as it was" cmp "$TMP/raw/ffmpeg.wav" "$raw/ffmpeg.wav"
cp "$TMP/raw/sox.wav" "$raw/sox.wav"
run rec-migrate -C "$root" -q rollback --force "$name"
ok "--force puts it back" cmp "$TMP/raw/cut.wav" "$raw/cut.wav"
is "and the title stays" "$(sql "SELECT title FROM recordings WHERE id = 9")" Mine

# ---- a link is not replaced ----

rm -rf "$root/recordings/backup"
mv "$raw/cut.wav" "$root/real.wav"
ln "$root/real.wav" "$raw/real.wav"
ln -s real.wav "$raw/cut.wav"
run rec-health -C "$root" -o json repair --apply --only=headers
is "a file that is reached through a link is left" "$(jq -r 'select(.path == "recordings/raw/cut.wav") | .problem.code' "$out")" unsupported
ok "and the link stays" test -L "$raw/cut.wav"
done_testing
