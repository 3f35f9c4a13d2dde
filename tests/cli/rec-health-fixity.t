#!/bin/bash
# rec-health check --fixity: rot under the page cache, budgets, passes that are interrupted, coverage, metrics.
. "$(dirname "$0")/../lib.sh"

for tool in jq sqlite3 sox; do
	command -v $tool >/dev/null || plan_skip "needs $tool"
done
shopt -s nullglob

sql()
{
	sqlite3 -init /dev/null -bail "$db" "$@" </dev/null
}

# new DIR N: an archive of N recordings of 16,044 bytes each, applied.
new()
{
	local i

	root=$1
	db=$root/db/app.db
	raw=$root/recordings/raw
	mkdir -p "$root/db" "$raw"
	printf '%s\n' APP_ENVIRONMENT=testing REC_DB_TIMEOUT_S=1 REC_DB_RETRIES=0 DATABASE_URL=sqlite:///db/app.db \
	    RECORDINGS_RAW_PATH=recordings/raw RECORDINGS_EDITED_PATH=recordings/edited >"$root/.env"
	sql "PRAGMA journal_mode = WAL" >/dev/null
	sql "CREATE TABLE recordings (id INTEGER NOT NULL, filename VARCHAR NOT NULL, stored_filename VARCHAR NOT NULL,
		title VARCHAR, duration FLOAT NOT NULL, filesize_bytes BIGINT, mime_type VARCHAR, checksum VARCHAR, status VARCHAR,
		sync_status VARCHAR, last_synced_at DATETIME, created_at DATETIME DEFAULT (CURRENT_TIMESTAMP), modified_at DATETIME,
		PRIMARY KEY (id), UNIQUE (stored_filename))"
	for ((i = 1; i <= $2; i++)); do
		sox -R -D -n -r 8000 -b 16 "$raw/f$i.wav" synth 1 sine $((200 + i)) 2>/dev/null || plan_skip "sox cannot synthesize"
		echo "INSERT INTO recordings (id, filename, stored_filename, duration, status) VALUES ($i, 'f$i.wav', 'f$i.wav', 0, 'active');"
	done >rows.sql
	touch -d 2025-09-05T10:00:00Z "$raw"/*
	sql "$(cat rows.sql)"
	rec-migrate -C "$root" -q apply >/dev/null || plan_skip "apply fails"
}

# check HOW...: the checks of bytes alone.
check()
{
	run rec-health -C "$root" -q check --only fixity --fixity "$@"
}

# Of the last check: files, good ones, bytes, whether a budget ended it.
sum_is()
{
	jq_is "$1" 'select(.check == "fixity.files") | [.files, .unchanged, .bytes, .budget_spent] | tojson' "$2"
}

flagged_is()
{
	jq_is "$1" 'select(.check == "fixity.file") | [.id, .verdict, .status] | tojson' "$2"
}

# recordings checked never within_31_days flagged oldest_age_days
coverage_is()
{
	jq_is "$1" 'select(.check == "fixity.coverage") |
	    [.recordings, .checked, .never_checked, .within_31_days, .flagged, .oldest_age_days] | tojson' "$2"
}

noted()
{
	sql "SELECT group_concat(recording_id, ' ') FROM (SELECT recording_id FROM rec_fixity ORDER BY 1)"
}

pass()
{
	sql "SELECT CASE WHEN finished_at IS NULL THEN 'open' ELSE 'finished' END FROM rec_fixity_pass"
}

forget()
{
	sql "DELETE FROM rec_fixity; DELETE FROM rec_fixity_pass"
}

# Changes a byte in place, size and time stay.
rot()
{
	local stamp

	stamp=$(stat -c %y "$1")
	printf '\377' | dd of="$1" bs=1 seek="${2:-9000}" conv=notrunc status=none
	touch -d "$stamp" "$1"
}

traced=
if command -v strace >/dev/null && strace -f -o /dev/null true 2>/dev/null; then
	traced=1
fi

# opened NAME WANTED HOW...: which recordings are opened, in that order.
opened()
{
	local name=$1 wanted=$2

	shift 2
	if [ -z "$traced" ]; then
		check "$@"
		skip "$name" "needs strace"
		return
	fi
	# The leak checker of a sanitizer does not work under strace.
	run env ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0" \
	    strace -f -qq -e trace=open,openat,openat2 -o trace "$BIN/rec-health" -C "$root" -q -j1 check --only fixity --fixity "$@"
	is "$name" "$(grep -oE '"f[0-9]+\.wav"' trace | tr -dc '0-9\n' | paste -sd ' ')" "$wanted"
}

# ---- a whole pass, its notes, the baseline ----

new "$TMP/plain" 12
baseline=$(sql "SELECT * FROM rec_measurements ORDER BY 1" | sha256sum)
old=$(dump_old "$db" | sha256sum)
files=$(manifest "$raw" | sha256sum)
all='1 2 3 4 5 6 7 8 9 10 11 12'
check none
coverage_is "nothing is covered before the first check" '[12,0,12,0,0,null]'
before=$(sql .dump | sha256sum)
check all -n
status "a dry run reads" 0
sum_is "all files" '[12,12,192528,false]'
is "and notes nothing" "$(sql .dump | sha256sum)" "$before"
check all
status "all is as it was recorded" 0
sum_is "every file is read" '[12,12,192528,false]'
coverage_is "all is covered" '[12,12,0,12,0,0]'
is "the pass is finished" "$(pass)" finished
sql "UPDATE rec_fixity SET checked_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-40 days', '-1 hour') WHERE recording_id IN (3, 5, 7)"
check none
coverage_is "three checks of 40 days ago are no longer within 31 days" '[12,12,0,9,0,40]'
sql "UPDATE rec_fixity SET checked_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-30 days') WHERE recording_id IN (3, 5, 7)"
check none
coverage_is "30 days ago is" '[12,12,0,12,0,30]'
sql "UPDATE rec_fixity SET checked_at = '2199-01-01T00:00:00Z' WHERE recording_id IN (4, 6)"
check none
coverage_is "a check in the future counts as none" '[12,10,2,10,0,30]'
opened "those are read first, then the stalest" '4 6 3' oldest=3
coverage_is "and covered then" '[12,12,0,12,0,30]'
opened "oldest=N takes the N stalest" '5 7' oldest=2
check oldest=100
sum_is "oldest=N of fewer takes them all" '[12,12,192528,false]'
sql "UPDATE rec_fixity_pass SET started_at = '2199-01-01T00:00:00Z', finished_at = NULL"
check all
sum_is "a pass that began in the future is begun again" '[12,12,192528,false]'

# ---- budgets ----

forget
check all --max-bytes 40000
sum_is "no more bytes than allowed are read" '[2,2,32088,true]'
is "the stalest first" "$(noted)" '1 2'
is "the pass goes on" "$(pass)" open
coverage_is "two are covered" '[12,2,10,2,0,0]'
opened "the next one goes on where it was" '3 4 5' all --max-bytes 48132
check all --max-bytes 100
sum_is "a file that is larger than the budget is read alone" '[1,1,16044,true]'
is "which makes six" "$(noted)" '1 2 3 4 5 6'
check all --max-bytes 1G
sum_is "the rest" '[6,6,96264,false]'
is "ends the pass" "$(pass)" finished
opened "and only then is one read twice" '1' all --max-bytes 16044
forget
seen=
for i in 1 2 3 4 5; do
	check sample=100% --max-bytes 48132
	seen+="$(jq -r 'select(.check == "fixity.files") | .files' "$out") "
done
is "each file once before any twice, without a pass too" "$seen$(noted)" "3 3 3 3 3 $all"
forget
check all --max-time 1us
ok "--max-time begins few files" test "$(jq 'select(.check == "fixity.files") | .files' "$out")" -le 1
jq_is "and says that it ended it" 'select(.check == "fixity.files") | .budget_spent' true
check all --max-time 1h
coverage_is "the next covers the rest" '[12,12,0,12,0,0]'
is "and ends the pass" "$(pass)" finished

# ---- samples ----

samples=
for i in 1 2 3 4 5 6; do
	forget
	check sample=34%
	samples+="$(noted)"$'\n'
done
sum_is "a third of twelve, rounded up" '[5,5,80220,false]'
is "each time five" "$(awk 'NF && NF != 5' <<<"$samples")" ""
ok "and not always the same" test "$(sort -u <<<"$samples" | grep -c .)" -gt 1
forget
check sample=0.001%
sum_is "the least sample is one file" '[1,1,16044,false]'

# ---- what changed on disk ----

forget
check all
touch -d 2025-09-06T10:00:00Z "$raw/f9.wav"
check none
jq_is "another time is told" 'select(.check == "fixity.file") | [.id, .status] | tojson' '[9,"warning"]'
opened "what changed is read first" 9 oldest=1
flagged_is "only its time did" ""
opened "once" '1 2' oldest=2
check none
flagged_is "and is not told of any more" ""
touch -d 2025-09-07T10:00:00Z "$raw/f9.wav"
forget
check sample=1%
is "it is in each sample" "$(noted)" 9
touch -d 2025-09-05T10:00:00Z "$raw"/*

# ---- damage, and its repair ----

forget
cp -p "$raw/f2.wav" good.wav
rot "$raw/f2.wav"
check all --max-bytes 48132
status "damage in the first part of a pass" 1
flagged_is "is told" '[2,"checksum_mismatch","fail"]'
coverage_is "and flagged" '[12,3,9,3,1,0]'
opened "the second part does not read it again" '4 5 6 7 8 9 10 11 12' all
status "but has it" 1
flagged_is "tells of it all the same" '[2,"checksum_mismatch","fail"]'
coverage_is "covers all" '[12,12,0,12,1,0]'
is "and ends the pass" "$(pass)" finished
check none
flagged_is "a check that reads nothing tells of it too" '[2,"checksum_mismatch","fail"]'
cp -p good.wav "$raw/f2.wav"
opened "a copy that was put in its place, with the old time, is read first" '2' oldest=1
status "and is good" 0
flagged_is "nothing is flagged" ""
coverage_is "nor counted" '[12,12,0,12,0,0]'
rm "$raw/f2.wav"
forget
check all --max-bytes 20000
check all
sum_is "a missing file is not read" '[10,10,160440,false]'
is "and does not hold up the pass" "$(pass)" finished
check all
sum_is "so the next pass reads all that is there" '[11,11,176484,false]'
check sample=50%
sum_is "nor does it count in a sample" '[6,6,96264,false]'
cp -p good.wav "$raw/f2.wav"

# ---- shards ----

forget
check all --shard 1/2
one=$(noted)
is "a shard does not end the pass" "$(pass)" open
check all --shard 2/2
is "the other one does" "$(pass)" finished
is "together they read all" "$(noted)" "$all"
ok "each a part" test -n "$one" -a "$one" != "$all"

# ---- interruptions ----

# stopped SIGNAL STATUS: the signal comes while the seventh file is being read, the other six are noted by then.
# A job in the background would ignore INT.
stopped()
{
	local tracer i child

	forget
	env --default-signal=INT strace -f -qq -o /dev/null -P "$raw/f7.wav" -e trace=pread64 -e inject=pread64:delay_enter=1500000 \
	    "$BIN/rec-health" -C "$root" -q -j1 check --only fixity --fixity all >"$out" 2>"$errf" &
	tracer=$!
	for ((i = 0; i < 100; i++)); do
		[ "$(sql "SELECT count(*) FROM rec_fixity" 2>/dev/null)" = 6 ] && break
		sleep 0.05
	done
	is "$1: what is read is noted while a file takes long" "$(noted)" '1 2 3 4 5 6'
	child=$(ps -o pid= --ppid $tracer)
	kill -"$1" $child
	wait $tracer 2>/dev/null
	is "$1: it dies of it" $? "$2"
	is "$1: the database is whole" "$(sql 'PRAGMA integrity_check')" ok
	is "$1: the six stay noted" "$(noted)" '1 2 3 4 5 6'
	is "$1: the pass is open" "$(pass)" open
	opened "$1: the next check reads the others" '7 8 9 10 11 12' all
	flagged_is "$1: and has what the first part found" '[2,"checksum_mismatch","fail"]'
	is "$1: the pass is finished" "$(pass)" finished
}

rot "$raw/f2.wav"
if [ -n "$traced" ] && [ -z "$wrap" ] && command -v ps >/dev/null; then
	stopped INT 130
	stopped TERM 143
	stopped KILL 137
else
	skip "a pass that is interrupted" "needs strace and ps, and nothing around the tools"
fi
if [ -r "$SHIM" ] && [ -z "$wrap" ]; then
	n=0
	forget
	while [ "$n" -lt 60 ]; do
		n=$((n + 1))
		fault FAULT_MODE=kill FAULT_AT=$n rec-health -C "$root" -q check --only fixity --fixity all
		[ "$st" = 137 ] || break
		[ "$(sql 'PRAGMA integrity_check')" = ok ] || echo "# call $n: the database is damaged"
	done
	ok "kill -9 at each of $((n - 1)) calls, until one gets through" test "$n" -gt 3 -a "$st" = 1
	is "the pass is finished then" "$(pass) $(noted)" "finished $all"
else
	skip "kill -9 at each call" "needs the fault shim"
fi
cp -p good.wav "$raw/f2.wav"

# ---- a database that is busy, or not the toolkit's ----

forget
coproc writer { exec sqlite3 -init /dev/null "$db" 2>&1; }
echo "BEGIN IMMEDIATE; SELECT 'locked';" >&"${writer[1]}"
read -r _ <&"${writer[0]}"
check all
status "somebody else writes to the database all the time: try again later" 4
sum_is "all is read" '[12,12,192528,false]'
jq_is "and it is told that nothing was noted" 'select(.status == "error") | [.check, .problem.code] | tojson' '["fixity.checkpoint","busy"]'
echo "ROLLBACK; SELECT 'free';" >&"${writer[1]}"
read -r _ <&"${writer[0]}"
echo ".quit" >&"${writer[1]}"
wait
is "nothing was" "$(noted)" ""
check all
status "then it is" 0
is "the baseline is untouched by all this" "$(sql "SELECT * FROM rec_measurements ORDER BY 1" | sha256sum)" "$baseline"
is "the application's tables too" "$(dump_old "$db" | sha256sum)" "$old"
is "and the recordings" "$(manifest "$raw" | sha256sum)" "$files"

# More than one transaction takes at a time, and nowhere to note them.
new "$TMP/many" 150
check all -n
sum_is "150 files in a dry run" '[150,150,2406600,false]'
check all
sum_is "150 files" '[150,150,2406600,false]'
is "are noted" "$(sql 'SELECT count(*) FROM rec_fixity')" 150
root=$TMP/plain db=$TMP/plain/db/app.db raw=$TMP/plain/recordings/raw

# A copy of a database that was open: the WAL came along, its index did not.
sqlite3 -init /dev/null "$db" "UPDATE recordings SET title = 'in the WAL' WHERE id = 1; SELECT 1" ".shell cp -a $root $TMP/copy; rm $TMP/copy/db/app.db-shm" >/dev/null
ok "a copied archive has a WAL without its index" test -s "$TMP/copy/db/app.db-wal" -a ! -e "$TMP/copy/db/app.db-shm"
root=$TMP/copy db=$TMP/copy/db/app.db
sql_before=$(sqlite3 -init /dev/null -readonly "file:$db?immutable=1" "SELECT count(*) FROM rec_fixity")
check oldest=2
status "it can be checked" 0
is "and noted" "$(sql "SELECT count(*) FROM rec_fixity WHERE checked_at > (SELECT finished_at FROM rec_fixity_pass)") of $sql_before" "2 of 12"
root=$TMP/plain db=$TMP/plain/db/app.db

"$TOP/tests/data/make-archive" "$TMP/never" 2>/dev/null
sqlite3 -init /dev/null "$TMP/never/db/app.db" "UPDATE recordings SET checksum = NULL WHERE id = 2"
before=$(manifest "$TMP/never")
run rec-health -C "$TMP/never" -q check --only fixity --fixity all
status "an archive that was never applied" 1
flagged_is "is checked against the application's checksums" \
    '[5,"truncated","fail"]
[6,"not_audio","fail"]
[8,"checksum_mismatch","fail"]
[9,"empty","fail"]
[7,"missing","fail"]'
run rec-health -C "$TMP/never" -q check --fixity all
is "and nothing is written" "$(manifest "$TMP/never")" "$before"

# ---- metrics ----

root=$TMP/plain
run rec-health -C "$root" -q check --fixity all --metrics metrics.prom
m=$root/metrics.prom
[ -e "$m" ] || m=metrics.prom
is "the metrics file can be read by all" "$(stat -c %a "$m")" 644
if command -v promtool >/dev/null; then
	run_in "$m" promtool check metrics
	is "promtool has nothing to say" "$st$(cat "$out" "$errf")" 0
else
	skip "promtool has nothing to say" "needs promtool (Debian's prometheus)"
fi
last=$(tail -n 1 "$m" | cut -d ' ' -f 1)
(
	while [ ! -e enough ]; do
		[ "$(tail -n 1 "$m" | cut -d ' ' -f 1)" = "$last" ] || echo half
		echo
	done >polled
) &
for ((i = 0; i < 25; i++)); do
	rec-health -C "$root" -q check --metrics "$m" >/dev/null 2>&1
done
touch enough
wait $!
ok "a reader sees it $(wc -l <polled) times" test "$(wc -l <polled)" -gt 25
is "and always whole" "$(grep -c half polled)" 0

# ---- the medium ----

if [ "$(id -u)" != 0 ] || ! command -v mkfs.ext4 >/dev/null || ! command -v filefrag >/dev/null; then
	skip "rot under the page cache" "needs root, mkfs.ext4 and filefrag"
	done_testing
fi
truncate -s 24M image
mkdir disk
mkfs.ext4 -q -F -b 4096 image >/dev/null 2>&1
if ! mount -o loop,noatime image disk 2>mount.err; then
	skip "rot under the page cache" "no loop device: $(cat mount.err)"
	done_testing
fi
trap 'umount "$TMP/disk"; _finish' EXIT
new "$TMP/disk" 3
sync -f disk
check all
status "on a disk of its own all is as recorded" 0
sum=$(sha256sum <"$raw/f2.wav")
block=$(filefrag -v -b4096 "$raw/f2.wav" | awk '$1 == "0:" { sub(/\.\..*/, "", $4); print $4 }')
at=$((block * 4096 + 9000))
is "the file is in the image at the place that its map says" \
    "$(dd if=image bs=1 skip=$at count=64 status=none | sha256sum)" "$(dd if="$raw/f2.wav" bs=1 skip=9000 count=64 status=none | sha256sum)"
printf '\377' | dd of=image bs=1 seek=$at conv=notrunc status=none
sync image
cat "$raw"/* >/dev/null
is "a byte is flipped on the medium: sha256sum still sees the old ones" "$(sha256sum <"$raw/f2.wav")" "$sum"
check all --cached
status "so does --cached" 0
check all
status "the check without it does not" 1
flagged_is "the rot is found" '[2,"checksum_mismatch","fail"]'
jq_is "and its place" 'select(.check == "fixity.file") | .message | test("size and time are as recorded, the bytes are not")' true
is "now sha256sum sees it too" "$([ "$(sha256sum <"$raw/f2.wav")" = "$sum" ] || echo other)" other

# A disk that can only be read.
sync -f disk
if mount -o remount,ro disk 2>/dev/null; then
	run rec-health -C "$root" -q check --fixity all -n
	flagged_is "a disk that can only be read is checked" '[2,"checksum_mismatch","fail"]'
	run rec-health -C "$root" -q check --only fixity --fixity all
	status "without -n it is told that nothing can be noted" 3
	sum_is "after all is read" '[3,2,48132,false]'
	jq_is "as an error" 'select(.status == "error") | .check' fixity.checkpoint
	mount -o remount,rw disk
else
	skip "a disk that can only be read" "cannot remount"
fi
done_testing
