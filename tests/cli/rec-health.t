#!/bin/bash
# rec-health at the command line: what it takes and refuses, settings and where they come from, which checks are
# made, what it says of the archives of the old application, and how it ends when it cannot go on or is stopped.
. "$(dirname "$0")/../lib.sh"

for tool in jq sqlite3 sox mandoc; do
	command -v $tool >/dev/null || plan_skip "needs $tool"
done

sql()
{
	sqlite3 -init /dev/null -bail "$@" </dev/null
}

# await CMD...: until it succeeds, for a minute at most.
await()
{
	local i

	for ((i = 0; i < 3000; i++)); do
		"$@" && return
		sleep 0.02
	done
}

# A healthy archive of three recordings.
root=$TMP/archive
db=$root/db/app.db
mkdir -p "$root/db" "$root/recordings/raw"
sql "$db" "PRAGMA journal_mode = WAL" >/dev/null
sql "$db" "CREATE TABLE recordings (id INTEGER NOT NULL, filename VARCHAR NOT NULL, stored_filename VARCHAR NOT NULL,
	title VARCHAR, duration FLOAT NOT NULL, filesize_bytes BIGINT, mime_type VARCHAR, checksum VARCHAR, status VARCHAR,
	sync_status VARCHAR, last_synced_at DATETIME, created_at DATETIME DEFAULT (CURRENT_TIMESTAMP), modified_at DATETIME,
	PRIMARY KEY (id), UNIQUE (stored_filename))"
for i in 1 2 3; do
	sox -R -n -r 8000 -b 16 "$root/recordings/raw/$i.wav" synth 0.$i sine ${i}00 2>/dev/null || plan_skip "sox cannot synthesize"
	touch -d 2025-09-05T10:00:00Z "$root/recordings/raw/$i.wav"
	sql "$db" "INSERT INTO recordings (id, filename, stored_filename, duration) VALUES ($i, '$i.wav', '$i.wav', 0)"
done
mkdir empty

# ---- wrong command lines
# wrong WHAT-IT-SAYS COMMAND...
wrong()
{
	local says=$1

	shift
	run rec-health -C "$root" "$@"
	status "$*: a usage error" 2
	is "$*: in one line, on stderr alone" "$(wc -l <"$errf") $(wc -c <"$out")" "1 0"
	stderr_has "$*: that says why" "^rec-health: .*$says"
}
groups="config, folders, disk, database, completeness, jobs, retention, fixity and database-full"
wrong '"chek" is no command.*-h' chek
wrong '"" is no command' ''
wrong '"x" is no command' check x
wrong '"x": repair takes no operands' repair x
wrong '"x": repair takes no operands' repair --apply x
wrong '"x": gc takes no operands' gc x
wrong '"x": config takes no operands' config x
for option in --only --skip; do
	wrong "$option: \"nothing\" is no check; they are $groups" check $option=nothing
	wrong "$option: \"\" is no check" check $option=
	wrong "$option: \"\" is no check" check $option=disk,
	wrong "$option: \"\" is no check" check $option=disk,,config
	wrong "$option: \"Disk\" is no check" check $option=Disk
	wrong "$option: \" config\" is no check" check $option='disk, config'
done
wrong 'leave nothing' check --only=disk --skip=disk
wrong 'leave nothing' --skip=config,folders,disk,database,completeness,jobs,retention,fixity
for how in '' some ALL sample sample= sample=% sample=5 sample=0% sample=101% sample=-1% sample=nan% sample=inf% sample=0x5% \
    sample=1e1% 'sample= 5%' sample=5%% sample=1.2.3% oldest oldest= oldest=0 oldest=-1 oldest=1.5 oldest=x oldest=99999999999999999999; do
	wrong 'it is none, all, sample=P% .*oldest=N' check --fixity="$how"
done
for bound in --max-time=1h --max-bytes=1G; do
	wrong 'bound what --fixity reads' check $bound
	wrong 'bound what --fixity reads' check --fixity=none $bound
done
for time in '' 0 x -5 48000f 1x 5:70; do
	wrong '--max-time: ' check --fixity=all --max-time="$time"
done
for size in '' 0 x -5 1.5G 1MB 1k; do
	wrong '--max-bytes: ' check --fixity=all --max-bytes="$size"
done
wrong '--apply: is not an option of "check"' check --apply
wrong '--undo: is not an option of "gc"' gc --undo
wrong '--skip: is not an option of "repair"' repair --skip=jobs
wrong '--only: is not an option of "gc"' gc --only=temp
wrong '--fixity: is not an option of "repair"' repair --fixity=all
wrong '--metrics: is not an option of "config"' config --metrics=x
wrong 'one RUN at a time' repair --undo a b
wrong 'as a whole' repair --undo --only=jobs
is "nothing was made by any of them" "$(cd "$root" && find . | sort | tr '\n' ' ')" \
    ". ./db ./db/app.db ./recordings ./recordings/raw ./recordings/raw/1.wav ./recordings/raw/2.wav ./recordings/raw/3.wav "

# ---- config
keys="APP_ENVIRONMENT DATABASE_URL RECORDINGS_RAW_PATH RECORDINGS_EDITED_PATH REC_TEMP_PATH REC_BACKUP_PATH RECORDINGS_MAX_SIZE_MB
    REC_MIN_FREE_MB REC_DISK_CHECK REC_BACKUP REC_COMPRESSION REC_RETENTION_DAYS REC_DB_TIMEOUT_S REC_DB_RETRIES AUDIO_SAMPLE_RATE
    AUDIO_CHANNELS AUDIO_FORMAT LOG_LEVEL CLOUD_FEATURES_ENABLED GOOGLE_CLIENT_ID GOOGLE_CLIENT_SECRET GOOGLE_PROJECT_ID
    GOOGLE_DRIVE_SCOPES REC_REMOTE REC_SECRETS_FILE REC_TRANSFERS REC_PART_MB REC_ATTEMPTS REC_BREAKER REC_STALL_S REC_CONNECT_S
    REC_LIMIT_RATE REC_DELETE_MAX REC_DELETE_MAX_PERCENT REC_CA_FILE AWS_ENDPOINT_URL AWS_REGION AWS_DEFAULT_REGION AWS_ACCESS_KEY_ID
    AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN REC_S3_VIRTUAL_HOSTS REC_WEBDAV_USER REC_WEBDAV_PASSWORD REC_GOOGLE_ENDPOINT
    REC_GOOGLE_REFRESH_TOKEN"
quiet_ok "config works without an archive" rec-health -C empty config
is "it has every key once" "$(jq -r .key "$out")" "$(printf '%s\n' $keys)"
jq_is "each with a value and a source" 'select((.value | type) != "string" or (.source | length) == 0)' ""
is "the keys are those of the manual" "$(jq -r .key "$out" | sort)" \
    "$(mandoc -Tascii -O width=1000 "$TOP/man/rec-archive.5" | col -bx | grep -oE '^ +[A-Z]+_[A-Z0-9_]+ ' | tr -d ' ' | sort -u)"
is "and nothing is made" "$(ls -A empty)" ""
# has KEY VALUE SOURCE: of the last run
has()
{
	jq_is "$1 is \"$2\", from $3" "select(.key == \"$1\") | [.value, .source] | join(\"|\")" "$2|$3"
}
has APP_ENVIRONMENT production default
has REC_RETENTION_DAYS 365 "profile production"
has RECORDINGS_RAW_PATH recordings/raw "profile production"
has GOOGLE_CLIENT_SECRET unset default
has GOOGLE_PROJECT_ID "" default
cat >empty/.env <<'END'
# settings
APP_ENVIRONMENT=development
REC_MIN_FREE_MB=77
REC_BACKUP=yes
export REC_DB_RETRIES="3"
GOOGLE_CLIENT_SECRET=hunter2
LOG_LEVEL=
END
run env REC_MIN_FREE_MB=88 GOOGLE_CLIENT_ID=hunter1 AUDIO_CHANNELS= rec-health -C empty config
status "config from everywhere" 0
has APP_ENVIRONMENT development ".env line 2"
has REC_MIN_FREE_MB 88 "environment variable REC_MIN_FREE_MB"
has REC_BACKUP true ".env line 4"
has REC_DB_RETRIES 3 ".env line 5"
has REC_RETENTION_DAYS 30 "profile development"
has REC_TEMP_PATH recordings_dev/temp "profile development"
has LOG_LEVEL INFO default
has AUDIO_CHANNELS 2 default
has GOOGLE_CLIENT_SECRET set ".env line 6"
has GOOGLE_CLIENT_ID set "environment variable GOOGLE_CLIENT_ID"
ok "no secret is shown" bash -c '! grep -q hunter "$1" "$2"' - "$out" "$errf"
run env APP_ENVIRONMENT=production rec-health -C empty -E testing config
has APP_ENVIRONMENT testing "option -E"
has REC_RETENTION_DAYS 7 "profile testing"
run env APP_ENVIRONMENT=production rec-health -C empty config
has APP_ENVIRONMENT production "environment variable APP_ENVIRONMENT"
run rec-health -C empty config -o table
is "as a table" "$(head -n 1 "$out" | tr -s ' ') $(wc -l <"$out") $(grep -c hunter "$out")" "KEY VALUE SOURCE 47 0"
ok "it names key, value and source" grep -qE '^REC_BACKUP +true +\.env line 4$' "$out"
run rec-health -C empty config -o path
is "a setting has no path" "$st $(wc -c <"$out")" "0 0"

# bad NAME PATTERN CMD...: each command stops with one line; check tells it as a record, too
bad()
{
	local name=$1 pattern=$2 command

	shift 2
	for command in config check repair gc; do
		run "$@" rec-health -C empty $command
		status "$name, $command: status 3" 3
		is "$name, $command: one line" "$(wc -l <"$errf")" 1
		stderr_has "$name, $command: key, source, what is allowed" "$pattern"
		ok "$name, $command: no secret" bash -c '! grep -q hunter "$1" "$2"' - "$out" "$errf"
		if [ $command = check ]; then
			jq_is "$name: check says so" '[.check, .status, .problem != null] | join(" ")' "config.values error true"
		else
			is "$name, $command: nothing on stdout" "$(wc -c <"$out")" 0
		fi
	done
}
bad "a bad number" 'REC_DB_RETRIES \(environment variable REC_DB_RETRIES\): "many".*number from 0 to 100' env REC_DB_RETRIES=many
bad "a bad secret" 'GOOGLE_CLIENT_SECRET \(environment variable .*text' env GOOGLE_CLIENT_SECRET=$'hunter2\x01'
bad "a database elsewhere" 'DATABASE_URL \(environment.*sqlite:///' env DATABASE_URL=postgres://me:hunter2@host/db
printf 'GOOGLE_CLIENT_SECRET=hunter2\nLOG_LEVEL=LOUD\n' >empty/.env
bad "a bad level in .env" 'LOG_LEVEL \(\.env line 2\): "LOUD".*DEBUG' env
printf 'GOOGLE_CLIENT_SECRET="hunter2\n' >empty/.env
bad "a line that is none" '\.env.*line 1' env
rm empty/.env

# ---- which checks
# checks OPTION...: the groups that are told of, on one line
checks()
{
	rec-health -q -C "$root" "$@" | jq -r '.check | split(".")[0]' | sort -u | tr '\n' ' ' | sed 's/ $//'
}
all="completeness config database disk fixity folders jobs retention"
rec-migrate -q -C "$root" apply >/dev/null
is "all groups are checked" "$(checks check)" "$all"
is "check is the default command" "$(checks)" "$all"
is "options go without the command" "$(checks --only jobs)" jobs
for group in $all; do
	is "--only $group" "$(checks --only $group)" $group
	is "--skip $group" "$(checks --skip $group)" "$(printf '%s\n' $all | grep -vx $group | tr '\n' ' ' | sed 's/ $//')"
done
is "--only with two" "$(checks --only jobs,disk)" "disk jobs"
is "a group twice is no error" "$(checks --only jobs,jobs)" jobs
is "--skip takes from --only" "$(checks --only jobs,disk --skip disk)" jobs
is "the last --only counts" "$(checks --only jobs --only disk)" disk
# integrity OPTION...: which of the two was made
integrity()
{
	rec-health -q -C "$root" "$@" | jq -r 'select(.check == "database.integrity") | .message | split(" ")[0]'
}
is "quick_check by default" "$(integrity)" quick_check
is "integrity_check when it is named" "$(integrity --only database-full)" integrity_check
is "also beside the group" "$(integrity --only database,database-full)" integrity_check
is "disk needs no archive" "$(rec-health -q -C empty --only disk | jq -r .check | tr '\n' ' ')" "disk.space disk.inodes "

# ---- a healthy archive
run rec-health -C "$root" --skip disk
status "warnings without a problem leave the status 0" 0
stderr_empty "and nothing is said"
jq_is "nobody has read the files so far" 'select(.status != "pass") | [.check, .status, .message] | join("|")' \
    "fixity.coverage|warning|none of the 3 recordings has been read so far"
jq_is "each record says what was checked, how it went, and what to do" \
    'select(has("check") and has("status") and has("severity") and has("message") and has("action") | not)' ""
cp "$out" told
run rec-health -C "$root" --skip disk -n --fixity all
jq_is "-n reads the files" 'select(.check == "fixity.files") | [.status, .files, .unchanged] | join(" ")' "pass 3 3"
is "and notes nothing" "$(sql "$db" "SELECT count(*) FROM rec_fixity")" 0
run rec-health -C "$root" --skip disk --fixity all --metrics health.prom
status "a pass over all files" 0
jq_is "nothing is left to be told" 'select(.status != "pass")' ""
is "each is noted" "$(sql "$db" "SELECT count(*) FROM rec_fixity WHERE verdict = 'ok'")" 3
cat "$out" >>told
run rec-meta -C "$root" show 1
jq_is "show tells of the check" '.last_check | [.verdict, .message, (.checked_at | test("^20.*Z$"))] | tojson' '["ok",null,true]'
names()
{
	grep -oE 'rectools_health_[a-z_]*[a-z]' "$1" | sort -u
}
is "the metrics are those of the manual" "$(names "$root/health.prom")" "$(names "$TOP/man/rec-health.1")"
ok "in Prometheus' format" bash -c '! grep -vE "^(# (HELP|TYPE) )?rectools_health_[a-z_]+(\{[^}]*\})? [^ ]" "$1"' - "$root/health.prom"
run rec-health -C "$root" --only jobs --metrics nowhere/health.prom
status "metrics that cannot be written are an error" 3
stderr_has "which names the file" 'nowhere/health.prom'
is "-o table has a line for each and a head" "$(rec-health -q -C "$root" --only jobs -o table | tr -s ' ' | cut -d ' ' -f 1-3)" \
    "$(printf 'STATUS SEVERITY CHECK\npass info jobs.stuck\npass info jobs.failed')"
is "-o path of nothing wrong is empty" "$(rec-health -q -C "$root" --only completeness,fixity -o path)" ""
run rec-health -C "$root" gc
is "gc has nothing to tell" "$st $(wc -c <"$out")" "0 0"
run rec-health -C "$root" repair
is "nor has repair" "$st $(wc -c <"$out")" "0 0"

# ---- what cannot be checked
run rec-health -C empty
status "no archive: status 3" 3
is "the reason is said once" "$(grep -c 'no archive here' "$errf")" 1
jq_is "the database is an error" 'select(.status == "error") | [.check, .problem != null] | join(" ")' "database.open true"
jq_is "what goes without it is checked all the same" 'select(.check == "config.values" or .check == "folders.edited") | .status' $'pass\npass'
is "and nothing is made" "$(ls -A empty)" ""
cat "$out" >>told
mkfifo hold
sqlite3 -init /dev/null "$db" <hold >held &
holder=$!
exec 8>hold
echo "BEGIN IMMEDIATE; SELECT 'held';" >&8
await test -s held
run env REC_DB_TIMEOUT_S=1 REC_DB_RETRIES=0 rec-health -C "$root" --skip disk
echo "ROLLBACK;" >&8
exec 8>&-
wait $holder
status "somebody keeps the write lock: status 4" 4
jq_is "that alone is an error" 'select(.status == "error") | [.check, .problem.code] | join(" ")' "database.lock busy"
is "and is said once" "$(wc -l <"$errf")" 1
mv "$root/recordings" "$root/away"
run rec-health -C "$root" --skip disk --fixity all
status "the volume is absent: status 3" 3
is "and no recording is called missing" "$(jq -r 'select(.status == "error") | .check' "$out") $(jq -c 'select(.id)' "$out" | wc -l)" "folders.volume 0"
jq_is "raw is missed, since there are recordings" 'select(.check == "folders.raw") | [.status, .problem.code] | join(" ")' "fail missing"
mv "$root/away" "$root/recordings"

# ---- stopped
run bash -c 'set -o pipefail; rec-health -q -C "$1" | head -n 1' - "$root"
is "a pipe that closes early is quiet" "$(jq -r .check "$out") $(cat "$errf")" "config.values "
# The third file takes long to read; it stands last, since it is as recorded.
if truncate -s 500G "$root/recordings/raw/3.wav" 2>/dev/null; then
	touch -d 2025-09-05T10:00:00Z "$root/recordings/raw/3.wav"
	sql "$db" "UPDATE rec_measurements SET size_bytes = 500 * 1073741824 WHERE recording_id = 3"
	: >said
	env --default-signal=INT rec-health -q -C "$root" --skip disk --fixity all --progress always >shown 2>said &
	tool=$!
	await grep -q MiB said
	kill -INT $tool
	{ wait $tool; } 2>/dev/null
	st=$?
	_command="check --fixity all, SIGINT"
	cp said "$errf"
	status "check dies of SIGINT" 130
	ok "it shows whole records only" jq -e .check shown
	is "what was read is noted, and the pass is open" "$(sql "$db" "SELECT group_concat(recording_id), (SELECT finished_at FROM rec_fixity_pass)
	    FROM rec_fixity, rec_fixity_pass p WHERE checked_at >= p.started_at")" "1,2|"
	truncate -s "$(sql "$db" "SELECT filesize_bytes FROM recordings WHERE id = 3")" "$root/recordings/raw/3.wav"
	touch -d 2025-09-05T10:00:00Z "$root/recordings/raw/3.wav"
	sql "$db" "UPDATE rec_measurements SET size_bytes = (SELECT filesize_bytes FROM recordings WHERE id = 3) WHERE recording_id = 3"
	run rec-health -C "$root" --skip disk --fixity all
	status "the next check goes on" 0
	jq_is "it reads what is left" 'select(.check == "fixity.files") | [.files, .unchanged] | join(" ")' "1 1"
	run rec-health -C "$root" --skip disk --fixity all
	jq_is "and then there is a new pass" 'select(.check == "fixity.files") | [.files, .unchanged] | join(" ")' "3 3"
else
	skip "check is stopped by SIGINT" "no file of 500 GB can be made here"
fi

# ---- the archives of the old application
wrong_ones='select(.status != "pass") | [.check, .status, .id // "-", .problem.code // "-"] | join(" ")'
# archive_says SHAPE MISSING-ID TRUNCATED-ID BEFORE JOBS
archive_says()
{
	local shape=$1 missing=$2 cut=$3 unread=$4 jobs=$5 applied twice="completeness.orphans warning - duplicate"

	root=$(archive "$shape") || {
		skip "$shape" "no ../shared/archives"
		return
	}
	manifest "$root" >before
	dump_old "$root/db/app.db" >dump
	run rec-health -C "$root" --skip disk
	status "$shape: found damage is status 1" 1
	# Without measurements nothing but the old checksums can tell a duplicate.
	[ "$shape" = cabc59ea0c9d ] && twice="completeness.orphans warning - orphan"
	is "$shape: as the application left it" "$(jq -r "$wrong_ones" "$out" | sort)" "$(sort <<END
database.schema warning - -
${jobs:+jobs.stuck fail - remote
}completeness.measurements warning - -
completeness.files fail $missing missing
$twice
completeness.orphans warning - orphan
completeness.parts warning - orphan
${unread:+fixity.file fail $cut $unread
}fixity.coverage warning - -
END
	)"
	is "$shape: stderr has a line for each problem" "$(wc -l <"$errf")" "$(jq 'select(.problem) | .check' "$out" | wc -l)"
	cat "$out" >>told
	run rec-health -C "$root" -q --only fixity --fixity all
	stderr_empty "$shape: -q says nothing"
	is "$shape: read without being measured, the cut one is found" "$(jq -r "select(.id != $missing) | $wrong_ones" "$out")" "fixity.file fail $cut truncated
fixity.files warning - -
fixity.coverage warning - -"
	is "$shape: a check changes nothing" "$(manifest "$root" | diff before -)" ""
	rec-migrate -q -C "$root" apply >/dev/null
	applied="${jobs:+jobs.stuck fail - remote
}completeness.files fail $missing missing
completeness.orphans warning - duplicate
completeness.orphans warning - orphan
completeness.parts warning - orphan
fixity.file fail $cut truncated
fixity.coverage warning - -"
	run rec-health -C "$root" --skip disk
	is "$shape: after apply" "$st $(jq -r "$wrong_ones" "$out" | sort)" "1 $(sort <<<"$applied")"
	is "$shape: -o path gives the files in trouble" "$(rec-health -C "$root" -q --only completeness,fixity -o path | sort)" \
	    "$(jq -r 'select((.check | test("^(completeness|fixity)")) and .path) | .path' "$out" | sort)"
	is "$shape: -o path0 too" "$(rec-health -C "$root" -q --only completeness,fixity -o path0 | tr '\0' '\n')" \
	    "$(rec-health -C "$root" -q --only completeness,fixity -o path)"
	is "$shape: --shard: together they are all" "$(for i in 1 2 3; do
		rec-health -C "$root" -q --only completeness,fixity --shard $i/3 | jq -r 'select(.path) | .path'
	done | sort)" "$(jq -r 'select((.check | test("^(completeness|fixity)")) and .path) | .path' "$out" | sort)"
	cat "$out" >>told
	rec-health -C "$root" -q --fixity all >>told
	run rec-meta -C "$root" show "$cut" 1
	is "$shape: show tells of both" "$(jq -r .last_check.verdict "$out" | tr '\n' ' ')" "truncated ok "
	run rec-migrate -q -C "$root" rollback
	is "$shape: and apply can be rolled back after checks" "$st $(dump_old "$root/db/app.db" | diff dump -)" "0 "
	is "$shape: nothing of the checks is left" "$(sql "$root/db/app.db" "SELECT name FROM sqlite_schema WHERE name GLOB 'rec_*'")" ""
}
archive_says 0001 18 16 size_mismatch ""
archive_says 0002 18 16 size_mismatch stuck
archive_says 4ae620c1c938 18 16 size_mismatch ""
archive_says cabc59ea0c9d 15 8 "" ""
archive_says unversioned 18 16 size_mismatch stuck

# ---- the baseline of a flagged file
root=$TMP/flagged
"$TOP/tests/data/make-archive" "$root" >/dev/null
rec-migrate -q -C "$root" apply >/dev/null
tone=$(sql "$root/db/app.db" "SELECT 'recordings/raw/' || stored_filename FROM recordings WHERE id = 1")
touch -r "$root/$tone" stamp
printf '\377' | dd of="$root/$tone" bs=1 seek=100000 conv=notrunc status=none
touch -r stamp "$root/$tone"
rec-health -q -C "$root" --fixity all >/dev/null
baseline="SELECT * FROM rec_measurements WHERE recording_id = 1"
before=$(sql "$root/db/app.db" "$baseline")
hash=$(sql "$root/db/app.db" "SELECT xxh3_128 FROM rec_measurements WHERE recording_id = 1")
rec-meta -q -C "$root" refresh >/dev/null
is "refresh of every row does not take rot for the recording" "$(sql "$root/db/app.db" "$baseline")" "$before"
touch "$root/$tone"
rec-meta -q -C "$root" refresh >/dev/null
rec-migrate -q -C "$root" apply >/dev/null
is "nor with a new time, nor does apply" "$(sql "$root/db/app.db" "SELECT xxh3_128 FROM rec_measurements WHERE recording_id = 1")" \
    "$hash"
run rec-meta -q -C "$root" refresh 1
status "a person who names it accepts it" 0
run rec-health -q -C "$root" --only fixity --fixity all
jq_is "and then it is as recorded" 'select(.id == 1) | .verdict' ""

# ---- the manual
mandoc -Tascii -O width=1000 "$TOP/man/rec-health.1" | col -bx >page
unknown=
for check in $(jq -r .check told | sort -u); do
	grep -qE "^ +$check|^ +${check%%.*}\..*, \.${check#*.}(,|$)" page || unknown+=" $check"
done
is "every check is in the manual" "$unknown" ""
is "nothing fails without a problem" "$(jq -c 'select((.status == "fail" or .status == "error") and (.problem.code | not))' told)" ""

done_testing
