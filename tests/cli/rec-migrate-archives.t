#!/bin/bash
# Archives that the old application wrote, one of each shape: apply finds what is damaged and nothing else,
# its values agree with other programs' and, whichever way it is run, the catalogue is the same; the old
# application goes on working; rollback gives back what was there.
. "$(dirname "$0")/../lib.sh"

have_shared archives || plan_skip "no ../shared/archives"
for tool in jq sqlite3 soxi ffprobe ffmpeg sha256sum; do
	command -v $tool >/dev/null || plan_skip "needs $tool"
done

sql()
{
	sqlite3 -init /dev/null -bail "$@" </dev/null
}

# Everything in the database, with the names of runs masked.
full_dump()
{
	local copy

	copy=$(mktemp -d "$TMP/full.XXXXXX") && cp "$1"/db/app.db* "$copy" && sql "$copy/app.db" .dump |
	    sed -E 's/[0-9]{8}T[0-9]{6}\.[0-9]{6}Z-[0-9a-f]{8}/RUN/g'
	rm -rf "$copy"
}

# same_catalogue NAME ROOT: its dump is the one in the file "applied".
same_catalogue()
{
	is "$1" "$(diff applied <(full_dump "$2") | cut -c -200 | head -n 12)" ""
}

# The tree without the database's folder: what belongs to the user.
user_files()
{
	manifest "$1" | grep -v ' \./db/'
}

# The oldest shape has a UNIQUE filename and no stored one.
where_is()
{
	case $1 in
	cabc59ea0c9d) echo filename ;;
	*) echo stored_filename ;;
	esac
}

# What the application's alembic expects afterwards.
stamp_of()
{
	case $1 in
	cabc59ea0c9d | 4ae620c1c938) echo 4ae620c1c938 ;;
	0001 | 0002) echo 0002_add_job_progress_columns ;;
	*) echo ;;
	esac
}

# shape: the file that was cut off and the one that is gone
damage_of()
{
	case $1 in
	cabc59ea0c9d)
		echo 'recordings/raw/gone.wav missing'
		echo 'recordings/raw/interview-2.wav truncated'
		;;
	*)
		echo 'recordings/raw/1a61dbe22e44458bae97ba94d0eda82f.wav missing'
		echo 'recordings/raw/raw_8a6a63ec24ed46a4ab4cb2424a23d596.wav truncated'
		;;
	esac
}

# Size and SHA-256 of every file that a row names, by stat and sha256sum.
judged()
{
	sql "$1/db/app.db" "SELECT id || ' ' || $2 FROM recordings ORDER BY id" | while read -r id name; do
		[ -e "$1/recordings/raw/$name" ] || continue
		echo "$id $(stat -c %s "$1/recordings/raw/$name") $(sha256sum <"$1/recordings/raw/$name" | cut -c -64)"
	done
}

# The application's own statements, as SQLAlchemy writes them.
ORM='recordings.id AS recordings_id, recordings.filename AS recordings_filename,
    recordings.stored_filename AS recordings_stored_filename, recordings.title AS recordings_title,
    recordings.duration AS recordings_duration, recordings.filesize_bytes AS recordings_filesize_bytes,
    recordings.mime_type AS recordings_mime_type, recordings.checksum AS recordings_checksum,
    recordings.status AS recordings_status, recordings.sync_status AS recordings_sync_status,
    recordings.last_synced_at AS recordings_last_synced_at, recordings.created_at AS recordings_created_at,
    recordings.modified_at AS recordings_modified_at'

one_archive()
{
	local shape=$1 root db before_old before_files before_db names n first_runs version

	root=$(archive "$shape") || { skip "$shape" "no archive"; return; }
	db=$root/db/app.db
	names=$(where_is "$shape")
	judged "$root" "$names" >judged
	before_old=$(dump_old "$db")
	before_files=$(user_files "$root")
	cp -a "$root/db" saved-db
	sql "$db" "SELECT id, hex(filename), hex(title), hex(status), hex(created_at) FROM recordings ORDER BY id" >owned

	# ---- apply
	run rec-migrate -C "$root" apply
	status "$shape: apply exits 1, as there is damage" 1
	is "$shape: it names each damaged file with its problem, and no other" \
	    "$(jq -r 'select(.problem) | .path + " " + .problem.code' "$out" | sort)" "$(damage_of "$shape")"
	is "$shape: stderr has one line for each of the two" "$(wc -l <"$errf")" 2
	stderr_has "$shape: stderr says rec-migrate: item: what: why" '^rec-migrate: recordings/raw/[^ ]+: missing: .+'
	n=$(sql "$db" 'SELECT count(*) FROM recordings')
	is "$shape: a record for every row" "$(jq -s 'map(.id) | unique | length' "$out")" "$n"
	is "$shape: recordings has the sizes and SHA-256 of stat and sha256sum" \
	    "$(sql -separator ' ' "$db" 'SELECT id, filesize_bytes, checksum FROM recordings WHERE checksum IS NOT NULL ORDER BY id')" \
	    "$(cat judged)"
	is "$shape: so have the toolkit's own rows" \
	    "$(sql -separator ' ' "$db" 'SELECT recording_id, size_bytes, sha256 FROM rec_measurements WHERE sha256 IS NOT NULL ORDER BY 1')" \
	    "$(cat judged)"
	is "$shape: so have the records" \
	    "$(jq -r 'select(.mtime) | "\(.id) \(.size_bytes) \(.sha256)"' "$out")" "$(cat judged)"
	jq -r 'select(.problem | not) | "\(.duration_s) \(.path)"' "$out" >durations
	while read -r seconds path; do
		LC_ALL=C printf '%.6f %s\n' "$seconds" "$path"
	done <durations >ours
	while read -r seconds path; do
		LC_ALL=C printf '%.6f %s\n' "$(soxi -D "$root/$path")" "$path"
	done <durations >soxi
	is "$shape: durations are soxi's" "$(cat ours)" "$(cat soxi)"
	while read -r seconds path; do
		LC_ALL=C printf '%.6f %s\n' \
		    "$(ffprobe -v error -show_entries stream=duration -of csv=p=0 "$root/$path")" "$path"
	done <durations >ffprobe
	is "$shape: durations are ffprobe's" "$(cat ours)" "$(cat ffprobe)"
	is "$shape: there is a duration for each whole file" "$(wc -l <ours)" "$((n - 2))"
	is "$shape: a file that was cut off has the frames that ffmpeg decodes" \
	    "$(jq -r 'select(.problem.code == "truncated") | .frames * .channels * 2' "$out")" \
	    "$(jq -r 'select(.problem.code == "truncated") | .path' "$out" |
	    (read -r path && ffmpeg -v quiet -i "$root/$path" -f s16le - | wc -c))"
	is "$shape: the row's duration is the record's" \
	    "$(sql "$db" 'SELECT count(*) FROM recordings r JOIN rec_measurements m ON m.recording_id = r.id
	    WHERE m.duration_s IS NOT NULL AND r.duration <> m.duration_s')" 0
	is "$shape: names, titles, statuses and times are byte for byte as before" \
	    "$(sql "$db" "SELECT id, hex(filename), hex(title), hex(status), hex(created_at) FROM recordings ORDER BY id")" \
	    "$(cat owned)"
	is "$shape: no file of the user changed, nor its time" "$(user_files "$root")" "$before_files"
	full_dump "$root" >applied
	is "$shape: the dump to compare with holds the measurements" "$(grep -c "^INSERT INTO rec_measurements" applied)" "$n"

	# ---- again
	first_runs=$(rec-migrate -C "$root" runs | wc -l)
	is "$shape: the first apply is one run" "$first_runs" 1
	run rec-migrate -C "$root" apply
	status "$shape: a second apply exits 1: the damage is still there" 1
	is "$shape: a second apply prints the two damaged rows alone" "$(jq -s length "$out")" 2
	same_catalogue "$shape: a second apply changes nothing" "$root"
	is "$shape: a second apply leaves no journal" "$(rec-migrate -C "$root" runs | wc -l)" "$first_runs"
	run rec-migrate -C "$root" plan
	status "$shape: nothing is left to plan" 0
	jq_is "$shape: the plan is empty" . ""
	run rec-migrate -C "$root" verify
	status "$shape: verify exits 1" 1
	is "$shape: verify names the two rows that fall short, and counts" \
	    "$(jq -rs '[(map(select(.problem) | .problem.code) | sort), (last | [.rows, .complete, .missing, .damaged, .unmeasured, .changed])] | tojson' "$out")" \
	    "[[\"missing\",\"truncated\"],[$n,$((n - 2)),1,1,0,0]]"

	# ---- the old application
	cp -a "$root/db" applied-db
	is "$shape: alembic_version is what the application's next upgrade starts from" \
	    "$(sql "$db" 'SELECT version_num FROM alembic_version' 2>/dev/null)" "$(stamp_of "$shape")"
	ok "$shape: the application lists" sql "$db" "SELECT $ORM FROM recordings WHERE recordings.status != 'deleted' ORDER BY recordings.created_at DESC LIMIT 100 OFFSET 0"
	is "$shape: and sees every row" \
	    "$(sql "$db" "SELECT count(*) FROM (SELECT $ORM FROM recordings WHERE recordings.stored_filename IS NOT NULL)")" "$n"
	ok "$shape: the application adds" sql "$db" "INSERT INTO recordings (filename, stored_filename, title, duration,
	    filesize_bytes, mime_type, checksum, status, sync_status, last_synced_at, created_at, modified_at)
	    VALUES ('new take.wav', '0123456789abcdef0123456789abcdef.wav', 'New', 0.0, 5, 'audio/x-wav', NULL, 'active', 'unsynced',
	    NULL, '2026-11-23 10:00:00.123456', NULL)"
	ok "$shape: the application edits" sql "$db" "UPDATE recordings SET title='Edited', modified_at='2026-11-23 10:00:01' WHERE recordings.id = 1"
	ok "$shape: the application deletes softly" sql "$db" "UPDATE recordings SET status='deleted', modified_at='2026-11-23 10:00:02' WHERE recordings.id = 5"
	run rec-meta -C "$root" list --all
	jq_is "$shape: the toolkit sees what it did" \
	    'select(.id == 1 or .id == 5 or .filename == "new take.wav") | [.title, .status] | tojson' \
	    "$(sql "$db" "SELECT json_array(title, coalesce(status, 'active')) FROM recordings WHERE id IN (1, 5) OR filename = 'new take.wav' ORDER BY id")"
	run rec-migrate -C "$root" apply
	is "$shape: apply takes in the application's new row" \
	    "$(jq -r 'select(.filename == "new take.wav") | .problem.code' "$out")" missing
	rm -rf "$root/db" && cp -a applied-db "$root/db"

	# ---- rollback
	run rec-migrate -C "$root" rollback
	status "$shape: rollback exits 0" 0
	is "$shape: rollback names every row once" "$(jq -s 'map(select(.rollback == "restored") | .id) | unique | length' "$out")" "$n"
	is "$shape: the old tables and schema are as before" "$(dump_old "$db")" "$before_old"
	is "$shape: no table of the toolkit is left" "$(sql "$db" "SELECT count(*) FROM sqlite_schema WHERE name GLOB 'rec_*'")" 0
	is "$shape: no file of the user ever changed" "$(user_files "$root")" "$before_files"
	run rec-migrate -C "$root" runs
	jq_is "$shape: the run is told as rolled back" .state rolled_back
	quiet_ok "$shape: a rolled back archive can be applied again" bash -c 'rec-migrate -q -C "$1" apply >/dev/null; [ $? = 1 ]' - "$root"
	same_catalogue "$shape: with the same result" "$root"

	# ---- older versions of the toolkit's tables
	for version in 1 2 3; do
		sql "$db" "DROP TABLE rec_parts; DROP TABLE rec_uploads; DROP TABLE rec_objects; DROP TABLE rec_remotes; DELETE FROM rec_schema WHERE version > $version"
		[ $version = 3 ] || sql "$db" "DROP TABLE rec_provenance"
		[ $version != 1 ] || sql "$db" "DROP TABLE rec_fixity; DROP TABLE rec_fixity_pass"
		is "$shape: version $version is read as it is" "$(rec-meta -q -C "$root" list | jq -c '[has("started_at"), .started_at]' | sort -u)" '[true,null]'
		run rec-meta -q -C "$root" set 1 title=Later
		status "$shape: the next run brings version $version up to date" 0
		is "$shape: with every table" "$(sql "$db" "SELECT max(version), (SELECT count(*) FROM rec_provenance), (SELECT count(*) FROM rec_fixity),
			(SELECT count(*) FROM rec_remotes, rec_objects, rec_uploads, rec_parts) FROM rec_schema")" "4|0|0|0"
		rec-migrate -q -C "$root" rollback >/dev/null
		same_catalogue "$shape: taken back, it is as version $version with the new tables" "$root"
	done
	sql "$db" "DROP TABLE rec_parts; DROP TABLE rec_uploads; DROP TABLE rec_objects; DROP TABLE rec_remotes; DROP TABLE rec_provenance; DELETE FROM rec_schema WHERE version > 2"
	rec-meta -q -C "$root" set 1 title=Later >/dev/null
	for i in 1 2; do
		rec-migrate -q -C "$root" rollback >/dev/null
	done
	is "$shape: with all runs taken back, an upgraded one is as before" "$(dump_old "$db")" "$before_old"
	is "$shape: without a table of the toolkit" "$(sql "$db" "SELECT count(*) FROM sqlite_schema WHERE name GLOB 'rec_*'")" 0

	# ---- the other ways to the same catalogue
	rm -rf "$root/db" && cp -a saved-db "$root/db"
	run bash -c 'set -o pipefail; rec-migrate -q -C "$1" plan | rec-meta -q -C "$1" probe | rec-migrate -q -C "$1" apply -' - "$root"
	status "$shape: plan | probe | apply - exits 1" 1
	stderr_empty "$shape: plan | probe | apply -, each with -q, says nothing"
	same_catalogue "$shape: plan | probe | apply - makes the same catalogue as apply" "$root"
	rm -rf "$root/db" && cp -a saved-db "$root/db"
	for filter in 'del(.loudness_lufs, .sha256)' 'del(.loudness_lufs)' 'del(.tags, .frames)' 'del(.prober)' \
	    '.duration_s = "long" | .channels = -5' '.mtime = "2001-01-01T00:00:00Z" | .sha256 = "00"' '{path}' '{id, path, prober}'; do
		run bash -c 'rec-migrate -q -C "$1" plan | rec-meta -q -C "$1" probe | jq -c "$2" | rec-migrate -q -C "$1" apply -' - "$root" "$filter"
		same_catalogue "$shape: so with jq '$filter' in the middle" "$root"
		rm -rf "$root/db" && cp -a saved-db "$root/db"
	done
	rec-migrate -q -C "$root" plan >plan
	for i in 1 2 3; do
		rec-meta -q -C "$root" probe --shard "$i/3" <plan >"shard.$i"
	done
	is "$shape: three shards of probe hold each row once" "$(cat shard.* | jq .id | sort -n)" "$(jq .id plan | sort -n)"
	cat shard.3 shard.1 shard.2 >shards
	run_in shards rec-migrate -q -C "$root" apply -
	same_catalogue "$shape: so with probe split into three shards" "$root"
	rm -rf "$root/db" && cp -a saved-db "$root/db"
	for i in 1 2 3; do
		rec-migrate -q -C "$root" apply --shard "$i/3" >/dev/null
	done
	same_catalogue "$shape: so with apply in three shards" "$root"
	for i in 1 2 3; do
		rec-migrate -q -C "$root" rollback >/dev/null
	done
	is "$shape: taken back run by run, it is as before" "$(dump_old "$db")" "$before_old"
	rm -rf saved-db applied-db
}

for shape in 0001 0002 4ae620c1c938 cabc59ea0c9d unversioned; do
	one_archive $shape
done
done_testing
