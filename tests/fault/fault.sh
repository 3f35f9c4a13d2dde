# fault.sh: what the fault tests share. Bash; sourced first by each tests/fault/*.t, after a line that names
# what it needs. It sources ../lib.sh.
#
#	REC_FAULT=full    the long proof: every mode at every call, and the archives of ../shared too
#
# A test prepares an archive once ($A), copies it for each fault ($W), and asks after each fault whether the
# archive is whole. What is not whole is told, kept below $TMP and counted in $broken.
#
#	full                          true in the long proof
#	make_archive DIR SHAPE        a small archive: cabc59ea0c9d or 0002
#	new_files DIR                 two files to add, in DIR
#	fresh                         a new copy of $A as $W
#	BACKUP=DIR                    the folder for backups, where it is not in the archive
#	take NAME ROOT                a snapshot NAME.db (dump) and NAME.files of an archive, without touching it;
#	                              NAME.text is the dump but for what differs from run to run
#	same A B                      of two files of snapshots
#	allow OLD...; legal NAME      the snapshot's database is sound, each recording as in one of the others
#	no_leftovers all_rolled_back run_states    of $W
#	hashes NAME                   the contents of the snapshot's files
#	rows_without_file             of the snapshot taken last
#	roll_all_back WHAT            rolls back all runs of $W: it must be as in the snapshot begin, no byte lost
#	broken WHAT                   counts, tells and keeps $W
#	hit MODE N CMD...             CMD under the shim; false when N was beyond its last call
#	report WHAT                   the assertion that nothing was broken since the one before, and the count

REC_FAULT=${REC_FAULT:-}
_fault=$REC_FAULT
# A state costs some fsyncs: in memory they are free.
if [ -z "${TMPDIR:-}" ] && [ -d /dev/shm ] && [ -w /dev/shm ]; then
	export TMPDIR=/dev/shm
fi
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

A=$TMP/archive
W=$TMP/work
S=$TMP/snap
BACKUP=
mkdir "$S"
states=0
broken=0
_reported=0

full()
{
	[ "$_fault" = full ]
}

need()
{
	local tool

	for tool in "$@"; do
		type "$tool" >/dev/null 2>&1 || plan_skip "no $tool here"
	done
}

need_shim()
{
	need sox sqlite3 jq
	[ -r "$SHIM" ] || plan_skip "no fault shim $SHIM (make build/fault/shim.so)"
	case $wrap in
	'') ;;
	*) plan_skip "the shim would count the calls of the wrapper too" ;;
	esac
}

_tone()
{
	sox -n -r 8000 -b 16 -c 1 "$1" synth "$2" sine "$3" 2>/dev/null
}

# Four rows: two good files, one that was cut, one that is gone; a file without a row; the schema as the
# existing application's own migrations leave it.
make_archive()
{
	local dir=$1

	mkdir -p "$dir/db" "$dir/recordings/raw" "$dir/recordings/edited"
	printf '%s\n' APP_ENVIRONMENT=testing DATABASE_URL=sqlite:///db/app.db RECORDINGS_RAW_PATH=recordings/raw \
	    RECORDINGS_EDITED_PATH=recordings/edited REC_BACKUP_PATH=recordings/backup >"$dir/.env"
	_tone "$dir/recordings/raw/one.wav" 0.05 440
	_tone "$dir/recordings/raw/two.flac" 0.04 660
	_tone "$TMP/.cut.wav" 0.06 220
	head -c 500 "$TMP/.cut.wav" >"$dir/recordings/raw/cut.wav"
	_tone "$dir/recordings/raw/orphan.wav" 0.03 880
	rm "$TMP/.cut.wav"
	touch -d '2025-09-05 10:00:00.25Z' "$dir"/recordings/raw/*
	{
		echo 'PRAGMA journal_mode = WAL;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);'
		case $2 in
		cabc59ea0c9d)
			echo "CREATE TABLE recordings (
	id INTEGER NOT NULL, 
	filename VARCHAR NOT NULL, 
	title VARCHAR, 
	duration FLOAT NOT NULL, 
	status VARCHAR, 
	created_at DATETIME DEFAULT (CURRENT_TIMESTAMP), 
	PRIMARY KEY (id), 
	UNIQUE (filename)
);
CREATE INDEX ix_recordings_id ON recordings (id);
INSERT INTO alembic_version VALUES ('cabc59ea0c9d');
INSERT INTO recordings VALUES (1, 'one.wav', 'One; ''quoted'' \"ä\"', 9.5, NULL, '2025-09-05 10:00:00');
INSERT INTO recordings VALUES (2, 'two.flac', NULL, 0, 'active', '2025-09-05 10:00:00.123456');
INSERT INTO recordings VALUES (5, 'cut.wav', 'Cut', 0.06, 'archived', '2025-09-06 10:00:00');
INSERT INTO recordings VALUES (9, 'gone.wav', 'Gone', 1.0, 'deleted', '2025-09-07 10:00:00');"
			;;
		0002)
			echo "CREATE TABLE recordings (
	id INTEGER NOT NULL, 
	filename VARCHAR NOT NULL, 
	stored_filename VARCHAR NOT NULL, 
	title VARCHAR, 
	duration FLOAT DEFAULT '0.0' NOT NULL, 
	filesize_bytes BIGINT, 
	mime_type VARCHAR, 
	checksum VARCHAR, 
	status VARCHAR DEFAULT 'active', 
	sync_status VARCHAR DEFAULT 'unsynced', 
	last_synced_at DATETIME, 
	created_at DATETIME DEFAULT (CURRENT_TIMESTAMP), 
	modified_at DATETIME, 
	PRIMARY KEY (id), 
	UNIQUE (stored_filename)
);
CREATE TABLE jobs (
	id VARCHAR NOT NULL, 
	file_path VARCHAR NOT NULL, 
	title VARCHAR, 
	description VARCHAR, 
	tags VARCHAR, 
	status VARCHAR NOT NULL, 
	attempts INTEGER DEFAULT '0' NOT NULL, 
	max_attempts INTEGER DEFAULT '3' NOT NULL, 
	created_iso VARCHAR, 
	last_error VARCHAR, 
	drive_file_id VARCHAR, started_iso TEXT, finished_iso TEXT, uploaded_bytes BIGINT DEFAULT 0, total_bytes BIGINT, cancel_requested INTEGER DEFAULT 0, 
	PRIMARY KEY (id)
);
INSERT INTO alembic_version VALUES ('0002_add_job_progress_columns');
INSERT INTO jobs (id, file_path, status) VALUES ('j1', 'recordings/raw/one.wav', 'pending');
INSERT INTO recordings VALUES (1, 'First.wav', 'one.wav', 'One', 0.0, 5, NULL, NULL, 'active', 'unsynced', NULL, '2025-09-05 10:00:00', NULL);
INSERT INTO recordings VALUES (2, 'two.flac', 'two.flac', NULL, 0.0, NULL, 'audio/flac', NULL, NULL, NULL, NULL, '2025-09-05 10:00:00.123456', '2025-09-06 10:00:00');
INSERT INTO recordings VALUES (5, 'cut.wav', 'cut.wav', 'Cut', 0.06, 1004, 'audio/x-wav', '$(printf '%064d' 7)', 'archived', 'synced', NULL, '2025-09-06 10:00:00', NULL);
INSERT INTO recordings VALUES (9, 'gone.wav', 'gone.wav', 'Gone', 1.0, NULL, NULL, NULL, 'deleted', 'unsynced', NULL, '2025-09-07 10:00:00', NULL);"
			;;
		esac
	} | sqlite3 -init /dev/null -bail "$dir/db/app.db" >/dev/null
}

new_files()
{
	mkdir -p "$1"
	_tone "$1/new.wav" 0.05 523
	_tone "$1/other.flac" 0.03 587
	touch -d '2025-09-08 10:00:00.5Z' "$1"/*
}

fresh()
{
	rm -rf "$W" ${BACKUP:+"$BACKUP"}
	cp -a "$A" "$W"
}

# Of a copy: opening a database whose writer was killed recovers it, and that is the tools' task. Temporary
# files of the tools are no files of the user. NAME.text is the dump without what differs from run to run.
take()
{
	local copy=$S/copy side

	rm -f "$copy"*
	side=$2/db/app.db-wal
	[ -s "$side" ] || side=
	cp "$2/db/app.db" ${side:+"$side"} "$S"
	mv "$S/app.db" "$copy"
	[ -z "$side" ] || mv "$S/app.db-wal" "$copy-wal"
	sqlite3 -init /dev/null "$copy" 'PRAGMA integrity_check; PRAGMA foreign_key_check' .dump >"$S/$1.db" 2>&1 ||
	    echo "the database does not open" >>"$S/$1.db"
	masked "$S/$1.db" >"$S/$1.text"
	(
		shopt -s nullglob dotglob
		cd "$2" || exit
		files=()
		for side in .env recordings*/*/* in/* ${BACKUP:+"$BACKUP"/*}; do
			[[ $side == */.rec-*.tmp ]] || files+=("$side")
		done
		stat -c '%n %s %y' "${files[@]}"
		sha256sum "${files[@]}"
	) >"$S/$1.files"
}

masked()
{
	sed -E -e 's/[0-9]{8}T[0-9]{6}\.[0-9]{6}Z-[0-9a-f]{8}/RUN/g' \
	    -e "s/'[0-9a-f]{32}(\.[a-z]+')/'NAME\1/g" -e "s/'20(2[6-9]|[3-9][0-9])-[^']*'/WHEN/g" \
	    -e "s/^(INSERT INTO rec_volumes VALUES\([12],'[a-z]*',).*/\1ITS IDENTITY);/" "$@"
}

same()
{
	cmp -s "$S/$1" "$S/$2"
}

# One line a recording: all that its rows say. Columns that an upgrade added and nothing is in are dropped.
rows_of()
{
	awk -F '[(,]' '
	/^INSERT INTO recordings / || /^INSERT INTO rec_(measurements|tags) / {
		sub(/(,NULL)*\);$/, "")
		text[$2] = text[$2] " " $0
	}
	END { for (id in text) print id, text[id] }' "$S/$1.text" | sort
}

# What a recording may be from now on: as in one of the snapshots. None that is in all of them may be gone.
allow()
{
	local name

	for name in "$@"; do
		rows_of "$name"
	done >"$S/allowed"
	needed=$(cut -d ' ' -f 1 "$S/allowed" | sort | uniq -c | awk -v n=$# '$1 == n { print $2 }' | paste -sd ' ')
}

# legal NAME: the database is sound, and each recording is one that is allowed.
legal()
{
	local first second rows id

	{ read -r first; read -r second; } <"$S/$1.db"
	[ "$first" = ok ] && [ "${second#PRAGMA }" != "$second" ] || return 1
	rows=$(rows_of "$1")
	for id in $needed; do
		[[ $'\n'$rows == *$'\n'"$id "* ]] || return 1
	done
	! grep -qvxF -f "$S/allowed" <<<"$rows"
}

# No file that a finished run has no use for: nothing beside the database and the journals.
no_leftovers()
{
	[ -z "$(find "$W" \( -name '*.tmp' -o -path '*/db/*' ! -name app.db ! -name '*.jsonl' ! -name journal \) -print -quit)" ]
}

# A row whose file is not where the row says; that of recording 9 never was.
rows_without_file()
{
	local name

	sqlite3 -init /dev/null "$S/copy" "SELECT stored_filename FROM recordings WHERE id <> 9" \
	    >"$S/names" 2>/dev/null # the oldest shape has no such column
	while read -r name; do
		[ -e "$W/recordings/raw/$name" ] || return 0
	done <"$S/names"
	return 1
}

# Takes back every run; the archive is then as in the snapshot `begin`, with the contents of `old`.
roll_all_back()
{
	local i

	for i in 1 2 3 4; do
		all_rolled_back && break
		run rec-migrate -C "$W" -q rollback
		[ "$st" = 0 ] || broken "$1: rollback $i fails"
	done
	all_rolled_back || broken "$1: after all rollbacks runs shows $(run_states)"
	take back "$W"
	same back.db begin.db || broken "$1: rolling back all runs does not bring back the beginning"
	diff <(hashes old) <(hashes back) >"$S/diff" || broken "$1: the rollback lost contents: $(cat "$S/diff")"
}

# The states that rec-migrate runs tells, sorted, each once.
run_states()
{
	rec-migrate -C "$W" -o json runs 2>&1 | jq -r .state 2>&1 | sort -u | paste -sd ' '
}

# hashes NAME: the contents of the files, each once.
hashes()
{
	sed -n -E 's/^\\?([0-9a-f]{64})  .*/\1/p' "$S/$1.files" | sort -u
}

# Every run is rolled back, or there is none.
all_rolled_back()
{
	rec-migrate -C "$W" -o json runs >"$S/runs" 2>&1 && ! grep -qv '"state":"rolled_back"' "$S/runs"
}

broken()
{
	broken=$((broken + 1))
	[ "$broken" -le 10 ] || return 0
	_tell "broken: $*"
	_tell "  last command: $_command(status $st)"
	_comment 10 <"$errf"
	[ ! -d "$W" ] || cp -a "$W" "$TMP/broken.$broken"
	cp -a "$S" "$TMP/broken.$broken.snap"
}

# Only the calls that write bytes can be torn.
WRITES=write,writev,pwrite,sendfile,copy_file_range

hit()
{
	local mode=$1 n=$2

	shift 2
	if [ "$mode" = torn ]; then
		fault FAULT_MODE=torn FAULT_AT="$n" FAULT_CALLS="$WRITES" "$@"
	else
		fault FAULT_MODE="$mode" FAULT_AT="$n" "$@"
	fi
	states=$((states + 1))
	[ "$st" = 137 ] && return
	# The one that was not hit is not a state; what it did is as good as any run.
	states=$((states - 1))
	[ "$st" -le 1 ] || broken "$mode at call $n: not hit, and status $st"
	return 1
}

report()
{
	echo "# $1: $states states, $broken broken"
	is "$1: $states states and none broken" "$((broken - _reported))" 0
	_reported=$broken
}

# intact STATE WHAT: the work folder, taken as STATE, holds old or new rows and every content that there was.
intact()
{
	take "$1" "$W"
	legal "$1" || broken "$2: the database is damaged or a row is neither old nor new"
	diff <(hashes old) <(hashes "$1") >"$S/diff" || broken "$2: contents were lost or a file is not whole: $(cat "$S/diff")"
}

# completes WHAT NEXT...: the NEXT run makes the state what it shall be, and rolling all back the beginning.
completes()
{
	local what=$1

	shift
	run "$@"
	[ "$st" -le 1 ] || broken "$what: the next run fails"
	take again "$W"
	same again.text new.text || { "$may_be_undone" && same again.text old.text; } ||
	    broken "$what: after the next run the state is not what it shall be"
	no_leftovers || broken "$what: the next run leaves something behind"
	rows_without_file && broken "$what: after the next run a row has no file"
	roll_all_back "$what"
}

# real_archives WHAT: all_modes of each real archive, in the long proof alone.
real_archives()
{
	local shape

	if ! full; then
		skip "the real archives" "REC_FAULT=full is not set"
	elif ! have_shared; then
		skip "the real archives" "no ../shared/archives"
	else
		states=0
		for shape in cabc59ea0c9d 4ae620c1c938 0001 0002 unversioned; do
			A=$(archive "$shape")
			all_modes "$shape"
			rm -rf "$A"
		done
		report "$1 of the real archives"
	fi
}
