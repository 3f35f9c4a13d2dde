#!/bin/bash
# rec-health gc: what has been kept for the retention time goes, and nothing that is still needed; a kill
# leaves every run either whole or not to be taken back at all.
. "$(dirname "$0")/../lib.sh"
for tool in faketime sox sqlite3 jq; do
	type "$tool" >/dev/null 2>&1 || plan_skip "no $tool here"
done
[ -x "$BIN/rec-health" ] || plan_skip "no rec-health here"

# ago DAYS CMD...: as it was then; times of files are not shifted
ago()
{
	local days=$1

	shift
	env NO_FAKE_STAT=1 ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" \
	    faketime -m -f "-${days}d" "$@"
}

sql()
{
	sqlite3 -init /dev/null -bail "$root/db/app.db" "$1"
}

gc()
{
	run rec-health -C "$root" -o json gc "$@"
}

kinds()
{
	jq -r '"\(.kind) \(.path) \(.removed)"' "$out"
}

runs()
{
	rec-migrate -C "$root" -o json runs | jq -r "$1"
}

# Four recordings; a job that names a file in temp.
make_archive()
{
	local i

	root=$(mktemp -d "$TMP/archive.XXXXXX")
	db=$root/db/app.db
	mkdir -p "$root"/db "$root"/recordings/{raw,edited,temp,backup}
	printf '%s\n' APP_ENVIRONMENT=production REC_DISK_CHECK=false REC_DB_TIMEOUT_S=1 REC_DB_RETRIES=1 >"$root/.env"
	for i in 1 2 3 4; do
		sox -n -r 8000 -b 16 "$root/recordings/raw/$i.wav" synth "0.$i" sine 440
	done
	touch -d '900 days ago' "$root"/recordings/raw/*
	sql "PRAGMA journal_mode = WAL;
	CREATE TABLE recordings (id INTEGER NOT NULL PRIMARY KEY, filename VARCHAR NOT NULL,
	    stored_filename VARCHAR NOT NULL UNIQUE, title VARCHAR, duration FLOAT DEFAULT '0.0' NOT NULL,
	    filesize_bytes BIGINT, mime_type VARCHAR, checksum VARCHAR, status VARCHAR DEFAULT 'active',
	    sync_status VARCHAR DEFAULT 'unsynced', last_synced_at DATETIME,
	    created_at DATETIME DEFAULT (CURRENT_TIMESTAMP), modified_at DATETIME);
	CREATE TABLE jobs (id VARCHAR NOT NULL PRIMARY KEY, file_path VARCHAR NOT NULL, title VARCHAR, description VARCHAR,
	    tags VARCHAR, status VARCHAR NOT NULL, attempts INTEGER DEFAULT 0 NOT NULL,
	    max_attempts INTEGER DEFAULT 3 NOT NULL, created_iso VARCHAR, last_error VARCHAR, drive_file_id VARCHAR,
	    started_iso TEXT, finished_iso TEXT, uploaded_bytes BIGINT DEFAULT 0, total_bytes BIGINT,
	    cancel_requested INTEGER DEFAULT 0);
	INSERT INTO jobs (id, file_path, status) VALUES ('a', 'recordings/temp/job.wav', 'succeeded'),
	    ('b', 'C:\\archive\\temp\\windows.wav', 'pending'), ('c', 'bare.wav', 'cancelled');
	INSERT INTO recordings (id, filename, stored_filename, title) VALUES (1, 'A', '1.wav', 'One'), (2, 'B', '2.wav', 'Two'),
	    (3, 'C', '3.wav', 'Three'), (4, 'D', '4.wav', 'Four')" >/dev/null
}

# old DAYS PATH...: files with their name as contents
old()
{
	local days=$1 path

	shift
	for path in "$@"; do
		printf '%s' "$path" >"$root/$path"
		touch -d "$days days ago" "$root/$path"
	done
}

# ---- what rec-sync pull goes on with
make_archive
temp=recordings/temp
old 400 $temp/{one,held}.wav.pull $temp/.pull
later()
{
	run env NO_FAKE_STAT=1 REC_RETENTION_DAYS="$2" \
	    ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" \
	    faketime -m -f "+${1}d" rec-health -C "$root" -o json gc
}
exec 8<"$root/$temp/held.wav.pull"
flock 8
gc
is "its time may be the recording's: when it was changed counts" "$(kinds)" ""
later 6 2
is "it stays for a week, however short all else is kept" "$(kinds)" ""
later 8 30
is "and as long as all else" "$(kinds)" ""
later 8 2
is "then it goes, unless somebody holds it" "$(kinds)" "temp $temp/one.wav.pull false"
exec 8<&-
later 8 2
is "which ends" "$(kinds | wc -l)" 2

# ---- by the time of modification
make_archive
temp=recordings/temp
old 400 $temp/{old,.dot,.rec-x.00000000.tmp,job.wav,windows.wav,bare.wav,1.wav} "$temp/$(printf 'a\nb')" \
    "$temp/$(printf 'bad\xff')" recordings/backup/{old,job.wav}
old 366 $temp/366
old 364 $temp/364 recordings/backup/young
old -400 $temp/future
mkdir "$root/$temp/folder"
mkfifo "$root/$temp/fifo"
ln -s ../raw/4.wav "$root/$temp/link"
ln -s ../raw/4.wav "$root/recordings/backup/link"
ln -s app.db "$root/db/app_backup_20230101_000000.db"
touch -h -d '400 days ago' "$root"/$temp/{folder,fifo,link} "$root/recordings/backup/link" \
    "$root/db/app_backup_20230101_000000.db"
old 700 db/app_backup_20240101_000000.db db/app_backup_20240102_000000.db
old 600 db/app_backup_20240103_000000.db
old 800 db/app_backup_20240104_000000.db{,-wal} db/app_backup_20240105_000000.db.bak db/xapp_backup_20240106_000000.db \
    db/app_backup_2024010_000000.db
old 400 recordings/raw/orphan recordings/edited/orphan
before=$(manifest "$root")
gc
status "gc without --apply" 0
stderr_empty "is quiet"
wanted='database_copy db/app_backup_20240101_000000.db false
database_copy db/app_backup_20240102_000000.db false'
jq_is "it tells old files of temp and backup, odd names too" \
    'select(.kind != "database_copy") | [.kind, .path // .path_hex, .size_bytes, .age_days, .removed] | tojson' \
    "$(printf '%s\n' '["temp","recordings/temp/366",19,366,false]' \
    '["temp","recordings/temp/a\nb",19,400,false]' \
    "[\"temp\",\"$(printf 'recordings/temp/bad\xff' | od -An -v -tx1 | tr -d ' \n')\",20,400,false]" \
    '["temp","recordings/temp/old",19,400,false]' '["backup","recordings/backup/old",21,400,false]')"
is "and copies of the database but the newest, and no open one" "$(kinds | grep ^database)" "$wanted"
gc --apply -n
is "with -n, --apply tells the same" "$(kinds | grep ^database)" "$wanted"
is "neither changes anything" "$(manifest "$root")" "$before"
run rec-health -C "$root" -o json check --only retention
status "the check" 0
jq_is "it warns with count and bytes" '"\(.check) \(.status) \(.count) \(.size_bytes)"' 'retention.temp warning 4 77
retention.journal pass 0 0
retention.backup warning 1 21
retention.database_copy warning 2 64'
is "and changes nothing" "$(manifest "$root")" "$before"
gc --apply
status "gc --apply" 0
is "each was removed" "$(jq -r .removed "$out" | sort | uniq -c | tr -s ' ')" " 7 true"
is "nothing else but what a killed run left" "$(diff <(echo "$before") <(manifest "$root") | grep -a '^[<>]' |
    grep -av -e ' \./db/\(journal\|app.db\)' -e '\.rec-x\.00000000\.tmp' |
    sed 's/ .* / /')" '< ./db/app_backup_20240101_000000.db
< ./db/app_backup_20240102_000000.db
< ./recordings/backup/old
< ./recordings/temp/366
< ./recordings/temp/a\nb
'"$(printf '< ./recordings/temp/bad\xff')"'
< ./recordings/temp/old'
gc --apply
status "again" 0
is "there is nothing left" "$(kinds)" ""
run rec-health -C "$root" -o json check --only retention
jq_is "and the check passes" .status "$(printf 'pass\n%.0s' 1 2 3 4)"
run env REC_TEMP_PATH="$temp" REC_BACKUP_PATH=recordings/backup RECORDINGS_RAW_PATH=recordings/raw \
    rec-health -C "$root" -o json -E testing gc
is "another environment keeps shorter" "$(kinds)" "temp $temp/364 false
backup recordings/backup/young false"
run env REC_RETENTION_DAYS=401 rec-health -C "$root" gc
is "REC_RETENTION_DAYS is heard" "$(cat "$out")" ""

# ---- temp and backup that are something else
make_archive
old 400 recordings/raw/orphan recordings/edited/orphan db/other .hidden root-file recordings/temp/x
ln -s raw "$root/recordings/raw-link"
same()
{
	echo "REC_$2_PATH=$3" >>"$root/.env"
	before=$(manifest "$root" | grep -av ' \./db/')
	gc --apply
	status "$1: status" 0
	is "$1: nothing is told" "$(kinds)" ""
	is "$1: nothing is touched" "$(manifest "$root" | grep -av ' \./db/')" "$before"
	sed -i '$d' "$root/.env"
}
same "temp is raw" TEMP recordings/raw
same "temp is raw by another spelling" TEMP "$root/recordings/temp/../raw/"
same "temp is raw through a link" TEMP recordings/raw-link
same "temp is edited" TEMP recordings/edited
same "temp is the folder of the database" TEMP db
ok "which is still there" test -e "$root/db/other"
same "temp is the root" TEMP .
rm "$root/recordings/temp/x"
same "backup is raw through a link" BACKUP recordings/raw-link
same "there is no temp" TEMP recordings/nowhere
ok "and none is made" test ! -e "$root/recordings/nowhere"

# ---- runs
make_archive
begin=$(dump_old "$db")
ago 500 rec-migrate -q -C "$root" apply >/dev/null
ago 490 rec-meta -q -C "$root" rm --purge 1 >/dev/null
ago 480 rec-meta -q -C "$root" add "$root/recordings/raw/4.wav" --allow-duplicates >/dev/null
touch -d '480 days ago' "$root"/recordings/raw/[0-9a-f]*[0-9a-f].wav
ago 470 rec-migrate -q -C "$root" rollback >/dev/null
ago 10 rec-meta -q -C "$root" rm --purge 2 >/dev/null
rec-meta -q -C "$root" set 3 title=Now >/dev/null
copied=$(cd "$root" && echo recordings/backup/[0-9a-f]*[0-9a-f].wav)
old 400 recordings/backup/unnamed
names=$(runs '"\(.kind) \(.state)"')
is "five runs" "$names" "apply applied
rm applied
add rolled_back
rm applied
set applied"
mapfile -t run < <(runs .run)
now=$(dump_old "$db")
gc
is "runs that ended long ago, and what they put into backup" "$(kinds | sort)" "$(printf '%s\n' \
    "backup $copied false" "backup recordings/backup/1.wav false" "backup recordings/backup/unnamed false" \
    "journal db/journal/${run[1]}.jsonl false" "journal db/journal/${run[2]}.jsonl false" | sort)"
is "with the age of the run, not of the file" "$(jq -r 'select(.path | endswith("/1.wav")) | .age_days' "$out")" 490
is "each journal comes before the files" "$(jq -r .kind "$out" | uniq | paste -sd ' ')" "journal backup"
gc --apply
status "they are removed" 0
is "the one that changed the schema stays, and the young ones" "$(runs .run)" "${run[0]}
${run[3]}
${run[4]}"
is "and the file of the young one" "$(ls "$root/recordings/backup")" 2.wav
is "the application's tables are as before" "$(dump_old "$db")" "$now"
gc --apply
is "again removes nothing" "$(kinds)" ""
run rec-migrate -q -C "$root" rollback "${run[1]}"
status "a run that is gone cannot be taken back" 3
run rec-migrate -q -C "$root" rollback
status "the runs that stand can" 0
run rec-migrate -q -C "$root" rollback
status "each" 0
ok "with its file" test -e "$root/recordings/raw/2.wav"
run rec-migrate -q -C "$root" rollback
status "the last of them meets the row that is gone for good" 1
is "all else is as in the beginning" "$(dump_old "$db")" "$(grep -v "'One'" <<<"$begin")"

# ---- when every run has expired
make_archive
ago 500 rec-migrate -q -C "$root" apply >/dev/null
ago 490 rec-meta -q -C "$root" set 1 title=New >/dev/null
gc --apply
is "then the one of the schema goes too, last" "$(jq -r .path "$out" | sed 's/.*\///' | sort -rc && echo ordered)" ordered
is "no run is left" "$(runs .run)" ""
run rec-migrate -C "$root" rollback
stderr_has "nothing can be taken back" 'nothing to roll back'
quiet_ok "and work goes on" rec-meta -q -C "$root" set 1 title=Newer

# ---- the clock was set back; an interrupted run
make_archive
ago -10 rec-migrate -q -C "$root" apply >/dev/null
ago 500 rec-meta -q -C "$root" rm --purge 1 >/dev/null
journal=$(echo "$root"/db/journal/*.jsonl | tr ' ' '\n' | tail -n 1)
sed -i '$d' "$journal"
gc
is "a run of the future has no age, an interrupted one has not ended" "$(kinds)" ""
gc --apply
is "nor with --apply" "$(kinds)" ""
is "which closes it" "$(runs .state | paste -sd ' ')" "applied applied"
ok "its file is still there" test -e "$root/recordings/backup/1.wav"

# ---- a damaged journal
make_archive
ago 500 rec-migrate -q -C "$root" apply >/dev/null
ago 490 rec-meta -q -C "$root" rm --purge 1 >/dev/null
ago 480 rec-meta -q -C "$root" set 2 title=A >/dev/null
ago 470 rec-meta -q -C "$root" set 2 title=B >/dev/null
mapfile -t run < <(runs .run)
old 400 recordings/backup/unnamed recordings/temp/x
sed -i '2s/"op"/"oq"/' "$root/db/journal/${run[2]}.jsonl"
gc
status "a damaged journal is a problem" 1
wanted="temp recordings/temp/x -
journal db/journal/${run[2]}.jsonl bad_record
journal db/journal/${run[3]}.jsonl -"
is "nothing in backup goes, nor the journals that name files" "$(jq -r '"\(.kind) \(.path) \(.problem.code // "-")"' "$out")" "$wanted"
stderr_has "it says why" 'line 2 of the journal is damaged'
run rec-health -q -C "$root" -o json check --only retention
status "nor does the check pass" 1
jq_is "it has the reason" 'select(.problem) | "\(.check) \(.run) \(.status)"' "retention.journal ${run[2]} warning"
jq_is "and says that backup is kept" 'select(.check == "retention.backup") | "\(.status) \(.message)"' \
    "warning nothing in backup is given up while a journal is damaged"
gc --apply
status "with --apply, too" 1
is "the others are" "$(jq -r '"\(.kind) \(.removed)"' "$out" | paste -sd ' ')" "temp true journal false journal true"
is "backup is whole" "$(ls "$root/recordings/backup" | paste -sd ' ')" "1.wav unnamed"
rm "$root/db/journal/${run[2]}.jsonl"
ln -s /etc/passwd "$root/db/journal/${run[2]}.jsonl"
gc
status "a link in place of a journal is damage" 1
ok "and stays" test -L "$root/db/journal/${run[2]}.jsonl"
rm "$root/db/journal/${run[2]}.jsonl"
gc --apply
is "without it the rest goes" "$(ls "$root/recordings/backup" "$root/db/journal" | grep -v :)" ""

# ---- another run is at work
make_archive
old 400 recordings/temp/x
mkdir -p "$root/db/journal"
run flock "$root/db/journal" "$BIN/rec-health" -C "$root" -o json gc --apply
status "the lock is waited for, then status 4" 4
ok "nothing was removed" test -e "$root/recordings/temp/x"

# ---- faults
if [ ! -r "$SHIM" ] || [ -n "$wrap" ]; then
	skip "faults" "no fault shim, or a wrapper"
	done_testing
fi
make_archive
ago 500 rec-migrate -q -C "$root" apply >/dev/null
ago 490 rec-meta -q -C "$root" rm --purge 1 >/dev/null
ago 480 rec-meta -q -C "$root" rm --purge 2 >/dev/null
ago 470 rec-meta -q -C "$root" set 3 title=A >/dev/null
rec-meta -q -C "$root" set 3 title=B >/dev/null
mapfile -t run < <(runs .run)
old 400 recordings/temp/x recordings/backup/unnamed
old 700 db/app_backup_20240101_000000.db
old 600 db/app_backup_20240102_000000.db
begun=$root
gc --apply -n
is "eight things are to go" "$(wc -l <"$out")" 8
left()
{
	(cd "$root" && find . -type f ! -name 'app.db*' | sort)
}
fresh()
{
	root=$TMP/work
	rm -rf "$root"
	cp -a "$begun" "$root"
}
fresh
gc --apply
clean=$(left)

# A purge whose journal stands has its file, and can be taken back whole.
whole()
{
	local i

	for i in 1 2; do
		[ ! -e "$root/db/journal/${run[$i]}.jsonl" ] || [ -e "$root/recordings/backup/$i.wav" ] ||
		    echo "$1: run $i lost its file"
	done
}
every()
{
	local n dead="" bad="" mode=$1

	for n in {1..40}; do
		fresh
		fault FAULT_MODE="$mode" FAULT_AT="$n" FAULT_ERRNO=EACCES FAULT_CALLS="$2" rec-health -q -C "$root" -o json gc --apply
		if [ "$st" = 0 ]; then
			break
		fi
		dead=$n
		bad+=$(whole "$mode $n")
		if [ "$mode" = error ]; then
			[ "$st" = 1 ] && jq -se 'map(select(.problem)) | length > 0 and all(.[]; .removed == false)' "$out" >/dev/null ||
			    bad+="$mode $n: status $st"
		fi
		cp -a "$root" "$TMP/again"
		gc --apply
		[ "$st" = 0 ] && [ "$(left)" = "$clean" ] || bad+="$mode $n: another gc does not finish: $(left)"
		rm -rf "$root"
		mv "$TMP/again" "$root"
		for r in "${run[4]}" "${run[2]}" "${run[1]}"; do
			[ ! -e "$root/db/journal/$r.jsonl" ] || rec-migrate -q -C "$root" rollback "$r" >/dev/null 2>&1 ||
			    bad+="$mode $n: $r cannot be taken back"
		done
		for i in 1 2; do
			[ "$(sql "SELECT count(*) FROM recordings WHERE id = $i")" = "$([ -e "$root/recordings/raw/$i.wav" ] && echo 1 || echo 0)" ] ||
			    bad+="$mode $n: row $i and its file differ"
		done
	done
	ok "$mode at each $2: some were hit" test "${dead:-0}" -ge 8
	is "$mode at each $2: each run is whole or gone, and another gc finishes" "$bad" ""
}
every kill unlinkat
every killafter unlinkat
every kill unlinkat,fsync
every error unlinkat
fresh
fault FAULT_MODE=errors FAULT_AT=1 FAULT_ERRNO=EACCES FAULT_CALLS=unlinkat rec-health -q -C "$root" -o json gc --apply
status "when nothing can be removed" 1
jq_is "each is denied, and what belongs to a journal is not tried" '"\(.removed) \(.problem.code)"' "$(printf 'false %s\n' \
    denied denied denied denied conflict conflict denied denied)"
is "nothing is removed" "$(left)" "$(root=$begun; left)"
done_testing
