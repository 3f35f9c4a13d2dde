#!/bin/bash
# What stands in the way of apply and rollback: edits made meanwhile, rows and names that nobody should
# have written, folders that are not there, other writers. Nothing that is not ours is lost or touched.
. "$(dirname "$0")/../lib.sh"

for tool in jq sqlite3 sox sha256sum; do
	command -v $tool >/dev/null || plan_skip "needs $tool"
done

sql()
{
	sqlite3 -init /dev/null -bail "$@" </dev/null
}

# Of the current shape, as the application makes it.
CURRENT="CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));
INSERT INTO alembic_version VALUES ('0002_add_job_progress_columns');
CREATE TABLE recordings (id INTEGER NOT NULL, filename VARCHAR NOT NULL, stored_filename VARCHAR NOT NULL,
	title VARCHAR, duration FLOAT DEFAULT '0.0' NOT NULL, filesize_bytes BIGINT, mime_type VARCHAR, checksum VARCHAR,
	status VARCHAR DEFAULT 'active', sync_status VARCHAR DEFAULT 'unsynced', last_synced_at DATETIME,
	created_at DATETIME DEFAULT (CURRENT_TIMESTAMP), modified_at DATETIME, PRIMARY KEY (id), UNIQUE (stored_filename));
CREATE TABLE jobs (id VARCHAR NOT NULL, file_path VARCHAR NOT NULL, title VARCHAR, description VARCHAR, tags VARCHAR,
	status VARCHAR NOT NULL, attempts INTEGER DEFAULT '0' NOT NULL, max_attempts INTEGER DEFAULT '3' NOT NULL,
	created_iso VARCHAR, last_error VARCHAR, drive_file_id VARCHAR, started_iso TEXT, finished_iso TEXT,
	uploaded_bytes BIGINT DEFAULT 0, total_bytes BIGINT, cancel_requested INTEGER DEFAULT 0, PRIMARY KEY (id));"
OLDEST="CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));
INSERT INTO alembic_version VALUES ('cabc59ea0c9d');
CREATE TABLE recordings (id INTEGER NOT NULL, filename VARCHAR NOT NULL, title VARCHAR, duration FLOAT NOT NULL,
	status VARCHAR, created_at DATETIME DEFAULT (CURRENT_TIMESTAMP), PRIMARY KEY (id), UNIQUE (filename));
CREATE INDEX ix_recordings_id ON recordings (id);"

mkdir wav
for i in 1 2 3 4; do
	sox -n -r 8000 -b 16 "wav/$i.wav" synth 0.$i sine $((100 * i)) 2>/dev/null || plan_skip "sox cannot synthesize"
done

# make_archive CURRENT|OLDEST: its path is in $root, its database in $db. Rows 1 to 4, each with a file.
make_archive()
{
	root=$(mktemp -d "$TMP/archive.XXXXXX")
	db=$root/db/app.db
	mkdir -p "$root/db" "$root/recordings/raw" "$root/recordings/edited"
	chmod 755 "$root"
	cp -p wav/* "$root/recordings/raw"
	sql "$db" "PRAGMA journal_mode = WAL" >/dev/null
	sql "$db" "${!1}"
	for i in 1 2 3 4; do
		if [ "$1" = CURRENT ]; then
			row "$i" "'$i.wav'"
		else
			sql "$db" "INSERT INTO recordings VALUES ($i, '$i.wav', 'Title $i', 9.9, 'active', '2025-09-05 10:00:0$i')"
		fi
	done
}

# row ID NAME [DURATION SIZE CHECKSUM]: SQL literals
row()
{
	sql "$db" "INSERT INTO recordings (id, filename, stored_filename, title, duration, filesize_bytes, checksum, created_at)
	    VALUES ($1, 'name $1', $2, 'Title $1', ${3:-0.0}, ${4:-NULL}, ${5:-NULL}, '2025-09-05 10:00:0$1.123456')"
}

apply()
{
	run rec-migrate -q -C "$root" apply "$@"
}

sha()
{
	sha256sum <"$1" | cut -c -64
}

values()
{
	sql "$db" "SELECT $1 FROM recordings ORDER BY id"
}

# ---- edits between apply and rollback: the current shape
make_archive CURRENT
before=$(dump_old "$db")
apply
status "apply of whole files exits 0" 0
sql "$db" "UPDATE recordings SET title = 'Edited', modified_at = '2026-01-01 00:00:00' WHERE id = 1;
    DELETE FROM recordings WHERE id = 2;
    UPDATE recordings SET checksum = 'feed' WHERE id = 3;
    INSERT INTO recordings (id, filename, stored_filename, duration) VALUES (9, 'n.wav', 'new.wav', 1.5)"
run rec-migrate -C "$root" rollback -n
status "a dry rollback tells of the conflicts" 1
is "a dry rollback names the same rows" "$(jq -r '"\(.id) \(.rollback)"' "$out" | sort)" "1 conflict
2 conflict
3 conflict
4 restored"
is "a dry rollback leaves the measurements" "$(sql "$db" 'SELECT count(*) FROM rec_measurements')" 4
run rec-migrate -C "$root" rollback
status "a rollback with conflicts exits 1" 1
is "it names the rows that were edited, and restores the other" "$(jq -r '"\(.id) \(.rollback) \(.problem.code)"' "$out" | sort)" "1 conflict conflict
2 conflict conflict
3 conflict conflict
4 restored null"
stderr_has "it says so on stderr" '^rec-migrate: .*1\.wav: conflict: .*(changed|removed)'
is "the edited row keeps the edit" "$(sql "$db" "SELECT title, modified_at FROM recordings WHERE id = 1")" "Edited|2026-01-01 00:00:00"
is "the deleted row stays deleted" "$(sql "$db" "SELECT count(*) FROM recordings WHERE id = 2")" 0
is "the changed checksum stays" "$(sql "$db" "SELECT checksum FROM recordings WHERE id = 3")" feed
is "the new row stays" "$(sql "$db" "SELECT filename, stored_filename, duration FROM recordings WHERE id = 9")" "n.wav|new.wav|1.5"
is "the other row is as before" "$(sql "$db" "SELECT duration, filesize_bytes, checksum FROM recordings WHERE id = 4")" "0.0||"
is "no table of the toolkit is left" "$(sql "$db" "SELECT count(*) FROM sqlite_schema WHERE name GLOB 'rec_*'")" 0
runname=$(rec-migrate -C "$root" runs | jq -r .run)
run rec-migrate -C "$root" rollback --force "$runname"
status "--force can follow a rollback that found conflicts" 0
is "--force puts back what the run changed, and leaves the rest" "$(sql "$db" "SELECT id, title, duration, checksum FROM recordings ORDER BY id")" \
    "1|Edited|0.0|
2|Title 2|0.0|
3|Title 3|0.0|
4|Title 4|0.0|
9||1.5|"
run rec-migrate -C "$root" rollback --force "$runname"
status "a run that is wholly rolled back is no more rolled back" 0
stderr_has "and is told so" 'nothing to roll back'
jq_is "without a record" . ""

make_archive CURRENT
before=$(dump_old "$db")
apply
sql "$db" "UPDATE recordings SET duration = 77 WHERE id = 1; DELETE FROM recordings WHERE id = 2"
run rec-migrate -C "$root" rollback --force
status "--force leaves no conflict" 0
is "--force puts back changed columns and deleted rows" "$(dump_old "$db")" "$before"

# ---- the oldest shape: columns that the application filled stay
make_archive OLDEST
before=$(dump_old "$db")
apply
sql "$db" "UPDATE recordings SET title = 'Edited' WHERE id = 2;
    INSERT INTO recordings (id, filename, title, duration, status, stored_filename, sync_status) VALUES (9, 'n.wav', 'N', 1.5, 'active', 'new.wav', 'unsynced')"
run rec-migrate -C "$root" rollback
status "oldest shape: the rollback exits 1" 1
is "oldest shape: the edited row is a conflict" "$(jq -r 'select(.id == 2) | .rollback + " " + .problem.code' "$out")" "conflict conflict"
is "oldest shape: that the columns are kept is told, and why" \
    "$(jq -r 'select(.id == null) | .problem.code + " " + .problem.message' "$out" | grep -cE '^conflict .*columns.* kept: 2 rows have a value in recordings\.[a-z_]+ ')" 1
is "oldest shape: the new row keeps its values" "$(sql "$db" "SELECT stored_filename, sync_status FROM recordings WHERE id = 9")" "new.wav|unsynced"
is "oldest shape: the edit stays" "$(sql "$db" "SELECT title FROM recordings WHERE id = 2")" Edited
is "oldest shape: the other rows are as before" "$(sql "$db" "SELECT id, title, duration, stored_filename FROM recordings WHERE id IN (1, 3, 4)")" "1|Title 1|9.9|
3|Title 3|9.9|
4|Title 4|9.9|"
is "oldest shape: alembic_version goes with the columns that stay" "$(sql "$db" "SELECT version_num FROM alembic_version")" 4ae620c1c938
ok "oldest shape: the application's query over all its columns works" sql "$db" "SELECT id, filename, stored_filename, title, duration,
    filesize_bytes, mime_type, checksum, status, sync_status, last_synced_at, created_at, modified_at FROM recordings"
apply
is "oldest shape: and apply does what is missing" "$(sql "$db" "SELECT count(*) FROM rec_measurements WHERE sha256 IS NOT NULL")" 4

# ---- jobs without the columns of their progress
make_archive CURRENT
sql "$db" "ALTER TABLE jobs DROP COLUMN started_iso; ALTER TABLE jobs DROP COLUMN finished_iso;
    ALTER TABLE jobs DROP COLUMN uploaded_bytes; ALTER TABLE jobs DROP COLUMN total_bytes;
    ALTER TABLE jobs DROP COLUMN cancel_requested; UPDATE alembic_version SET version_num = '0001_create_recordings_and_jobs';
    INSERT INTO jobs (id, file_path, status, tags) VALUES ('j1', 'recordings/raw/1.wav', 'pending', '[\"a\"]'), ('j2', 'x', 'running', NULL)"
before=$(dump_old "$db")
apply
status "jobs of 0001: apply" 0
is "jobs of 0001: they have the columns of 0002, and its stamp" \
    "$(sql "$db" "SELECT id, status, uploaded_bytes, cancel_requested, total_bytes, version_num FROM jobs, alembic_version ORDER BY id")" \
    "j1|pending|0|0||0002_add_job_progress_columns
j2|running|0|0||0002_add_job_progress_columns"
cp "$db" jobs.db
run rec-migrate -C "$root" rollback
status "jobs of 0001: the defaults of the new columns are no edit" 0
is "jobs of 0001: rollback restores both" "$(dump_old "$db")" "$before"
apply
sql "$db" "UPDATE jobs SET uploaded_bytes = 5, started_iso = 'now' WHERE id = 'j2'"
run rec-migrate -C "$root" rollback
status "jobs of 0001: progress that the application wrote stays" 1
is "jobs of 0001: with its stamp" "$(sql "$db" "SELECT uploaded_bytes, started_iso, version_num FROM jobs, alembic_version WHERE id = 'j2'")" \
    "5|now|0002_add_job_progress_columns"

# ---- runs, one after the other and by name
make_archive CURRENT
before=$(dump_old "$db")
apply
after_first=$(dump_old "$db")
quiet_ok "a second change is a run of its own" rec-meta -q -C "$root" set 1 title=Second tags.place=Porto
after_second=$(dump_old "$db")
sox -n -r 8000 -b 16 "$root/recordings/raw/5.wav" synth 0.5 sine 500
row 5 "'5.wav'"
apply
run rec-migrate -C "$root" runs
jq_is "runs lists them in order" '[.kind, .state, .rows, .problems] | tojson' '["apply","applied",4,0]
["set","applied",1,0]
["apply","applied",1,0]'
ok "with names and times" jq -se 'all(.[]; (.run | test("^[0-9]{8}T[0-9]{6}[.][0-9]{6}Z-[0-9a-f]{8}$"))
    and (.started_at | test("^[0-9T:.-]+Z$")) and .started_at <= .finished_at) and (map(.run) | . == sort)' "$out"
mapfile -t names < <(jq -r .run "$out")
run rec-migrate -C "$root" rollback "${names[2]}"
status "the third is rolled back by its name" 0
jq_is "it restored its row" '.id' 5
run rec-migrate -C "$root" rollback
status "without a name the latest that is left is taken" 0
is "which was the second" "$(sql "$db" "SELECT title FROM recordings WHERE id = 1")" "Title 1"
is "its tags are gone" "$(sql "$db" "SELECT count(*) FROM rec_tags")" 0
run rec-migrate -C "$root" rollback
status "then the first" 0
sql "$db" "DELETE FROM recordings WHERE id = 5"
is "and all is as before" "$(dump_old "$db")" "$before"
run rec-migrate -C "$root" rollback
status "nothing is left to roll back" 0
stderr_has "and it says so" 'nothing to roll back'
run rec-migrate -C "$root" rollback 20250101T000000.000000Z-00000000
status "a run that does not exist" 3
run rec-migrate -C "$root" rollback ../../etc/passwd
status "a name that is none" 2

make_archive CURRENT
apply
rec-meta -q -C "$root" set 1 title=Second >/dev/null
first=$(rec-migrate -C "$root" runs | jq -r .run | head -n 1)
run rec-migrate -C "$root" rollback "$first"
status "the older of two runs on a row is in conflict with the newer one" 1
is "that row stays as the newer left it" "$(sql "$db" "SELECT title, duration > 0 FROM recordings WHERE id = 1")" "Second|1"
is "the rows that it does not share are put back" "$(sql "$db" "SELECT count(*) FROM recordings WHERE duration = 0")" 3

# ---- what the application recorded: right, wrong, and not to be overwritten
make_archive CURRENT
sql "$db" "DELETE FROM recordings"
good=$(sha wav/1.wav)
row 1 "'1.wav'" 55.5 1 "'$good'"
row 2 "'2.wav'" 2.5 "$(stat -c %s wav/2.wav)" "'$(sha wav/1.wav)'"
row 3 "'3.wav'" 0.3 "$(stat -c %s wav/3.wav)" "upper('$(sha wav/3.wav)')"
row 4 "'4.wav'" 0.4 12 "'md5:abc'"
sql "$db" "UPDATE recordings SET title = char(0x1F399) || ' \"q\"; ''x'' ' || char(9), status = NULL, created_at = 'yesterday',
    modified_at = '2025-01-01T00:00:00+02:00', mime_type = 'application/x-odd' WHERE id = 1"
before=$(dump_old "$db")
owned=$(values "hex(filename), hex(stored_filename), hex(title), hex(status), hex(sync_status), hex(created_at), hex(modified_at), hex(last_synced_at)")
apply
status "a stored checksum that differs is damage" 1
is "each is told once" "$(jq -r 'select(.problem) | "\(.id) \(.problem.code)"' "$out")" "2 checksum_mismatch
4 size_mismatch"
is "wrong sizes and durations are corrected, where the checksum does not speak against it" "$(values 'id, duration, filesize_bytes')" \
    "1|0.1|$(stat -c %s wav/1.wav)
2|2.5|$(stat -c %s wav/2.wav)
3|0.3|$(stat -c %s wav/3.wav)
4|0.4|12"
is "no stored checksum is overwritten" "$(values checksum)" "$good
$good
$(sha wav/3.wav | tr a-f A-F)
md5:abc"
is "nor a stored type" "$(sql "$db" "SELECT mime_type FROM recordings WHERE id = 1")" application/x-odd
is "names, titles, statuses and times stay byte for byte" \
    "$(values "hex(filename), hex(stored_filename), hex(title), hex(status), hex(sync_status), hex(created_at), hex(modified_at), hex(last_synced_at)")" "$owned"
run rec-migrate -q -C "$root" rollback
status "rollback" 0
is "gives the wrong values back" "$(dump_old "$db")" "$before"

# ---- rows that nobody should have written
make_archive CURRENT
sox -n -r 8000 -b 16 outside.wav synth 0.2 sine 300
mkdir "$root/recordings/raw/folder"
mkfifo "$root/recordings/raw/pipe.wav"
ln -s "$TMP/outside.wav" "$root/recordings/raw/absolute-link.wav"
ln -s ../../../outside.wav "$root/recordings/raw/relative-link.wav"
ln -s 1.wav "$root/recordings/raw/inner-link.wav"
: >"$root/recordings/raw/empty.wav"
printf 'this is text\n' >"$root/recordings/raw/text.wav"
cp wav/1.wav "$root/recordings/raw/$(printf 'bad\xff.wav')"
cp wav/2.wav "$root/recordings/raw/blob.wav"
cp wav/2.wav "$root/recordings/raw/edi_$(printf %032d 0).wav"
row 10 "'../../../outside.wav'"
row 11 "'$TMP/outside.wav'"
row 12 "'absolute-link.wav'"
row 13 "'relative-link.wav'"
row 14 "'inner-link.wav'"
row 15 "'pipe.wav'"
row 16 "'folder'"
row 17 "''"
row 18 "'empty.wav'"
row 19 "'text.wav'"
row 20 "CAST(x'626164ff2e776176' AS TEXT)"
row 21 "CAST(x'6100622e776176' AS TEXT)"
row 22 "x'626c6f622e776176'"
row 23 "'edi_$(printf %032d 0).wav'"
row 24 "'..'"
row 25 "'/etc/passwd'"
row 26 "'gone/../1.wav'"
row 27 "'new' || char(10) || 'line.wav'"
sql "$db" "UPDATE recordings SET duration = 'about a minute', filesize_bytes = 'big', title = x'00ff', created_at = 12.5 WHERE id = 4"
before=$(dump_old "$db")
files=$(manifest "$root" | grep -av ' \./db/')
if command -v strace >/dev/null; then
	run timeout 60 strace -f -y -qq -o trace -e trace=open,openat,openat2 rec-migrate -q -C "$root" apply
else
	run timeout 60 rec-migrate -q -C "$root" apply
fi
status "an archive with odd rows is applied" 1
is "each odd row has its problem, and only those" "$(jq -r 'select(.problem) | "\(.id) \(.problem.code)"' "$out")" "10 unsafe_path
11 unsafe_path
12 unsafe_path
13 unsafe_path
15 unsupported
16 unsupported
17 unsafe_path
18 empty
19 not_audio
21 unsafe_path
24 unsafe_path
25 unsafe_path
26 missing
27 missing"
if [ -s trace ]; then
	ok "files are opened where the trace sees it" grep -qE '= [0-9]+<.*/raw/1\.wav>' trace
	is "nothing outside was opened" "$(grep -E '= [0-9]+<.*(outside\.wav|/etc/passwd)>' trace)" ""
else
	skip "nothing outside was opened" "needs strace"
fi
is "names that are no UTF-8 come out as path_hex" "$(jq -r 'select(.id == 20) | .path_hex' "$out")" \
    "$(printf 'recordings/raw/bad\xff.wav' | od -An -v -tx1 | tr -d ' \n')"
is "and their files are measured" "$(sql "$db" "SELECT group_concat(checksum IS NOT NULL, '') FROM recordings WHERE id IN (14, 20, 22, 23)")" 1111
is "a file of edited's name that lies in raw is found there" "$(jq -r 'select(.id == 23) | .path' "$out")" "recordings/raw/edi_$(printf %032d 0).wav"
is "values of odd types were corrected or left" "$(sql "$db" "SELECT duration, filesize_bytes, typeof(title), created_at FROM recordings WHERE id = 4")" \
    "0.4|$(stat -c %s wav/4.wav)|blob|12.5"
apply
is "again changes nothing" "$(rec-migrate -C "$root" runs | jq -s length)" 1
cp -a "$root/db" applied-db
run rec-migrate -q -C "$root" rollback
status "it is rolled back" 0
is "to the last odd type" "$(dump_old "$db")" "$before"
is "no file was touched" "$(manifest "$root" | grep -av ' \./db/')" "$files"
run bash -c 'rec-migrate -q -C "$1" plan | rec-meta -q -C "$1" probe | rec-migrate -q -C "$1" apply -' - "$root"
mask='s/[0-9]{8}T[0-9]{6}\.[0-9]{6}Z-[0-9a-f]{8}/RUN/g'
is "the pipeline makes the same of them" "$(sql "$db" .dump | sed -E "$mask" | cut -c -300)" \
    "$(sql applied-db/app.db .dump | sed -E "$mask" | cut -c -300)"
run bash -c 'rec-migrate -q -C "$1" rollback >/dev/null; rec-migrate -q -C "$1" plan' - "$root"
run_in "$out" rec-migrate -q -C "$root" apply -
is "apply - keeps the problem of each record that came with one" \
    "$(jq -r 'select(.id == 10 or .id == 21 or .id == 17) | "\(.id) \(.problem.code)"' "$out" | sort -u)" "10 unsafe_path
17 unsafe_path
21 unsafe_path"

# ---- volumes
make_archive CURRENT
mv "$root/recordings/raw" "$root/recordings/elsewhere"
for what in gone empty; do
	[ $what = empty ] && mkdir "$root/recordings/raw"
	snapshot=$(manifest "$root")
	for command in status plan apply verify 'apply -n'; do
		run rec-migrate -C "$root" $command
		status "never applied, raw is $what: $command stops" 3
		is "never applied, raw is $what: $command prints no record" "$(cat "$out")" ""
	done
	stderr_has "never applied, raw is $what: it asks for the disk" 'mounted'
	is "never applied, raw is $what: nothing was changed" "$(manifest "$root" | grep -v 'db/journal')" "$snapshot"
done
rmdir "$root/recordings/raw"
mv "$root/recordings/elsewhere" "$root/recordings/raw"
apply
status "the folder is back: apply" 0
applied=$(sql "$db" .dump)
mv "$root/recordings/raw" "$root/recordings/elsewhere"
for what in gone empty other; do
	[ $what = empty ] && mkdir "$root/recordings/raw"
	[ $what = other ] && cp wav/1.wav "$root/recordings/raw/stranger.wav"
	for command in status plan apply verify; do
		run rec-migrate -C "$root" $command
		status "applied, raw is $what: $command stops" 3
		is "applied, raw is $what: $command prints no record" "$(cat "$out")" ""
	done
	for command in refresh "add $TMP/wav/4.wav" 'rm --purge 1'; do
		run rec-meta -C "$root" $command
		status "applied, raw is $what: rec-meta ${command%% *} stops" 3
	done
	is "applied, raw is $what: nothing was changed" "$(sql "$db" .dump)" "$applied"
done
rm -r "$root/recordings/raw"
ln -s elsewhere "$root/recordings/raw"
run rec-migrate -C "$root" verify
status "a link to the same folder is that folder" 0
rm "$root/recordings/raw"
cp -a "$root/recordings/elsewhere" "$root/recordings/raw"
run rec-migrate -C "$root" apply
status "a copy of the folder is taken for it, as its files are there" 0
make_archive CURRENT
mv "$root/recordings/raw/4.wav" "$root/recordings/edited/edi_4.wav"
sql "$db" "UPDATE recordings SET stored_filename = 'edi_4.wav' WHERE id = 4"
apply
status "with a recording in edited: apply" 0
applied=$(sql "$db" .dump)
for folder in edited raw; do
	mv "$root/recordings/$folder" "$root/recordings/elsewhere"
	for what in gone empty; do
		[ $what = empty ] && mkdir "$root/recordings/$folder"
		for command in plan apply verify; do
			run rec-migrate -C "$root" $command
			status "$folder alone is $what: $command stops" 3
			stderr_has "$folder alone is $what: $command names it" "recordings/$folder: .*mounted"
		done
	done
	is "$folder alone was away: nothing was changed" "$(sql "$db" .dump)" "$applied"
	rmdir "$root/recordings/$folder"
	mv "$root/recordings/elsewhere" "$root/recordings/$folder"
done
run rec-migrate -C "$root" verify
status "both are back" 0
make_archive CURRENT
sql "$db" "DELETE FROM recordings"
rm -r "$root/recordings/raw"
run rec-migrate -C "$root" apply
status "an archive without recordings needs no folder" 0

# ---- databases that are none, or too new
make_archive CURRENT
apply
sql "$db" "INSERT INTO rec_schema VALUES (99, 'of the future')"
future=$(sql "$db" .dump)
for command in status plan apply verify rollback runs; do
	run rec-migrate -C "$root" $command
	status "a newer catalogue: $command refuses" 3
	stderr_has "a newer catalogue: $command says which versions" 'version 99.*knows 4'
done
run rec-meta -C "$root" list
status "a newer catalogue: list refuses" 3
is "a newer catalogue is not changed" "$(sql "$db" .dump)" "$future"
mkdir none none/db text text/db
head -c 5000 /dev/urandom >text/db/app.db
for command in status plan apply verify rollback runs 'apply -n'; do
	for where in none text; do
		was=$(manifest $where)
		run rec-migrate -C $where $command
		status "$where database: $command" 3
		is "$where database: $command makes no file" "$(manifest $where)" "$was"
		is "$where database: $command says one line" "$(wc -l <"$errf")" 1
	done
done
for command in list 'show 1' 'set 1 title=x' 'rm 1' "add $TMP/wav/1.wav" refresh; do
	was=$(manifest none)
	run rec-meta -C none $command
	status "no database: rec-meta ${command%% *}" 3
	is "no database: rec-meta ${command%% *} makes no file" "$(manifest none)" "$was"
done
mkdir foreign foreign/db
sql foreign/db/app.db "CREATE TABLE recordings (id INTEGER PRIMARY KEY, name TEXT)"
run rec-migrate -C foreign apply
status "a table of another program's" 3
stderr_has "it is said not to be an archive's" "not an archive's"

# ---- other writers
make_archive CURRENT
# hold: another program holds the write lock until something is written to the FIFO "let-go".
hold()
{
	rm -f let-go held
	mkfifo let-go
	(
		{
			echo "BEGIN IMMEDIATE; UPDATE recordings SET title = title;"
			echo ".shell touch held"
			cat let-go
			echo "COMMIT;"
		} | sqlite3 -init /dev/null "$db"
	) &
	holder=$!
	until [ -e held ]; do
		sleep 0.02
	done
}
hold
run env APP_ENVIRONMENT=testing REC_DB_TIMEOUT_S=1 REC_DB_RETRIES=0 RECORDINGS_RAW_PATH=recordings/raw rec-migrate -C "$root" apply
status "another writer holds the database: status 4" 4
stderr_has "it is told to try again" 'try again'
is "in one line" "$(wc -l <"$errf")" 1
is "no record was printed" "$(cat "$out")" ""
run env APP_ENVIRONMENT=testing RECORDINGS_RAW_PATH=recordings/raw rec-migrate -C "$root" plan
status "readers do not wait for it" 0
APP_ENVIRONMENT=testing REC_DB_TIMEOUT_S=300 RECORDINGS_RAW_PATH=recordings/raw rec-migrate -q -C "$root" apply >waited &
waiter=$!
# It has the journal's lock when it waits for the database.
until ! flock -n "$root/db/journal" true; do
	sleep 0.02
done
echo >let-go
wait "$waiter"
st=$?
_command="the apply that waited"
: >"$errf"
status "an apply that waits goes on when the other ends" 0
wait "$holder"
is "and did its work" "$(jq -s length waited)" 4
run env REC_DB_TIMEOUT_S=1 REC_DB_RETRIES=0 flock "$root/db/journal" rec-migrate -C "$root" apply
status "another run holds the journal: status 4" 4
stderr_has "it is told to try again" 'try again'
run env REC_DB_TIMEOUT_S=1 REC_DB_RETRIES=0 flock "$root/db/journal" rec-migrate -C "$root" rollback
status "a rollback waits as well" 4
run env REC_DB_TIMEOUT_S=0 rec-migrate -C "$root" runs
status "a timeout of 0 is refused" 3

make_archive CURRENT
for i in $(seq 5 60); do
	cp wav/1.wav "$root/recordings/raw/$i.wav"
	echo "INSERT INTO recordings (id, filename, stored_filename, duration) VALUES ($i, 'n', '$i.wav', 0);"
done >rows
sqlite3 -init /dev/null "$db" <rows
rec-migrate -q -C "$root" apply >apply.1 2>&1 &
one=$!
rec-migrate -q -C "$root" apply >apply.2 2>&1 &
two=$!
wait "$one"
s1=$?
wait "$two"
is "two applies at once both end well" "$s1 $?" "0 0"
is "each row is done by one of them" "$(cat apply.1 apply.2 | jq .id | sort -n)" "$(seq 60)"
is "the catalogue is complete" "$(rec-migrate -q -C "$root" verify | jq -c '[.rows, .complete]')" "[60,60]"

# ---- looking changes nothing
# The index of a WAL is SQLite's shared memory, made anew by whoever comes first: only that it is there counts.
tree()
{
	manifest "$root" | sed -E 's/^[^ ]+ [0-9]+ [0-9.]+ (.*-shm)$/\1/'
}

looking()
{
	local name=$1 command was

	shift
	was=$(tree)
	for command in plan status verify runs 'apply -n' 'rollback -n'; do
		run "$@" rec-migrate -q -C "$root" $command
		if [ "$st" -gt 1 ]; then
			status "$name: $command works" "0 or 1"
		fi
		is "$name: $command changes no file and leaves none" "$(tree)" "$was"
	done
	for command in list 'show 1' 'set -n 1 title=Dry' 'rm -n 1' 'rm -n --purge 1' "add -n $TMP/outside.wav" 'refresh -n'; do
		run "$@" rec-meta -q -C "$root" $command
		if [ "$st" -gt 1 ]; then
			status "$name: rec-meta $command works" "0 or 1"
		fi
		is "$name: rec-meta ${command//$TMP/} changes no file and leaves none" "$(tree)" "$was"
	done
}

make_archive CURRENT
looking "never applied"
apply
looking "applied"
sed -i 's/RIFF/RIFX/' "$root/recordings/raw/4.wav"
looking "a file changed"
if command -v setpriv >/dev/null && [ "$(id -u)" = 0 ]; then
	chmod 755 "$TMP"
	chmod 644 "$db"
	chmod 755 "$root/db/journal" && chmod 644 "$root"/db/journal/*
	cp -r "$TOP/build/bin" bin 2>/dev/null
	if setpriv --reuid=65534 --regid=65534 --clear-groups "$BIN/rec-meta" -V >/dev/null 2>&1; then
		looking "a folder that cannot be written" setpriv --reuid=65534 --regid=65534 --clear-groups
		chmod 000 "$root/recordings/raw/1.wav"
		run setpriv --reuid=65534 --regid=65534 --clear-groups rec-meta -C "$root" probe "$root/recordings/raw/1.wav"
		jq_is "a file that may not be read is denied" .problem.code denied
		chmod 644 "$root/recordings/raw/1.wav"
		run setpriv --reuid=65534 --regid=65534 --clear-groups rec-migrate -C "$root" apply
		status "apply where nothing can be written" 3
	else
		skip "a folder that cannot be written" "the tools cannot be run by another user here"
	fi
else
	skip "a folder that cannot be written" "needs root and setpriv"
fi

# A WAL that was left behind, with and without its index.
leave_wal()
{
	make_archive CURRENT
	sqlite3 -init /dev/null "$db" >/dev/null <<-END
		PRAGMA wal_autocheckpoint = 0;
		UPDATE recordings SET title = 'in the WAL' WHERE id = 1;
		.shell cp -p "$db-wal" wal
		.shell cp -p "$db-shm" shm
		.shell cp -p "$db" main
	END
	cp -p main "$db" && cp -p wal "$db-wal"
}
leave_wal
looking "a WAL without its index"
run rec-meta -q -C "$root" show 1
jq_is "what is in the WAL is seen" .title "in the WAL"
leave_wal
cp -p shm "$db-shm"
looking "a WAL with its index"
run rec-meta -q -C "$root" show 1
jq_is "what is in the WAL is seen then too" .title "in the WAL"
apply
status "apply goes on from a WAL" 0
is "and what was in it stays" "$(sql "$db" "SELECT title FROM recordings WHERE id = 1")" "in the WAL"

# ---- metrics
make_archive CURRENT
rm "$root/recordings/raw/4.wav"
(umask 077 && rec-migrate -q -C "$root" apply --metrics="$TMP/metrics" >/dev/null)
is "the metrics' file can be read by others" "$(stat -c %a metrics)" 644
is "it has the counts" "$(grep -v '^#' metrics | grep -v time_seconds | grep -v bytes | sort)" \
    'rectools_migrate_rows_changed{command="apply"} 4
rectools_migrate_rows_with_problem{command="apply"} 1
rectools_migrate_rows{command="apply"} 4'
is "each value has its HELP and TYPE" "$(grep -c '^# HELP' metrics) $(grep -c '^# TYPE .* gauge$' metrics)" "5 5"
is "the bytes are those of the files" "$(sed -n 's/^rectools_migrate_read_bytes{.*} //p' metrics)" "$(cat "$root"/recordings/raw/* | wc -c)"
run rec-migrate -q -C "$root" verify --metrics="$TMP/metrics"
is "verify replaces it" "$(grep -c 'command="verify"' metrics) $(grep -c 'command="apply"' metrics)" "5 0"
is "and leaves nothing beside it" "$(find . -maxdepth 1 -name '*.tmp' -o -maxdepth 1 -name 'metrics?*')" ""
run rec-migrate -q -C "$root" apply --metrics=/nonexistent/metrics
status "metrics that cannot be written" 3
done_testing
