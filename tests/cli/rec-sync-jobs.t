#!/bin/bash
# The upload queue of the existing application: rec-sync push does its due jobs, as the application would write it
# down, and leaves alone what a living process of the application has claimed. The client here speaks to the
# database alone, with the application's own statements: it is another program.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/servers.sh"

for tool in jq sqlite3 python3 sox flac; do
	command -v $tool >/dev/null || plan_skip "needs $tool"
done

sql() { sqlite3 -init /dev/null -bail -cmd '.timeout 10000' "$root/db/app.db" "$@"; }
job() { sql "SELECT $2 FROM jobs WHERE id = '$1'"; }

fresh()
{
	archive "$1" && return
	local dir

	dir=$(mktemp -d "$TMP/made.XXXXXX") && "$TOP/tests/data/make-archive" "$dir" "$1" && echo "$dir"
}

# The application, without its windows. Its statements write only columns that its schema has.
cat >client.py <<'PY'
import datetime, os, signal, sqlite3, sys, time

def now():
    return datetime.datetime.utcnow().isoformat(timespec='microseconds')

class Queue:
    def __init__(self, path):
        self.db = sqlite3.connect(path, timeout=10, isolation_level=None)
        self.columns = {row[1] for row in self.db.execute('PRAGMA table_info(jobs)')}

    def enqueue(self, id, path, **more):
        values = dict(id=id, file_path=path, title='T ' + id, description='D', tags='["a", "b"]', status='pending',
                      attempts=0, max_attempts=3, created_iso=now())
        values.update(more)
        values = {k: v for k, v in values.items() if k in self.columns}
        self.db.execute('INSERT INTO jobs (%s) VALUES (%s)' % (', '.join(values), ', '.join('?' * len(values))),
                        list(values.values()))

    def claim(self, id):
        done = self.db.execute("UPDATE jobs SET status='running', attempts=attempts+1, started_iso=? "
                               "WHERE id=? AND status='pending'", (now(), id))
        assert done.rowcount == 1

    def poll(self, id):
        return self.db.execute('SELECT status, uploaded_bytes, total_bytes FROM jobs WHERE id=?', (id,)).fetchone()

    def cancel(self, id, timeout):
        self.db.execute('PRAGMA busy_timeout=%d' % (timeout * 1000))
        try:
            self.db.execute('UPDATE jobs SET cancel_requested=1 WHERE id=?', (id,))
            return True
        except sqlite3.OperationalError:
            return False

def until_moving(q, id, pid):
    """Until bytes of the job are told; then the tool is stopped, outside of a transaction."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        status, done, total = q.poll(id)
        if status == 'running' and done:
            assert 0 < done < total, (done, total)
            return done, total
        assert status in ('pending', 'running'), status
        time.sleep(0.001)
    raise SystemExit('no byte was told')

what, path = sys.argv[1:3]
q = Queue(path)
if what == 'enqueue':
    id, file_path = sys.argv[3:5]
    more = dict(a.split('=', 1) for a in sys.argv[5:])
    q.enqueue(id, file_path, **{k: int(v) if v.isdigit() else v for k, v in more.items()})
elif what == 'claim':           # … and lives on with the database open, until its stdin ends
    q.claim(sys.argv[3])
    print('claimed', flush=True)
    sys.stdin.read()
elif what == 'file':            # claims, closes the database and reads the file, as an upload does
    q.claim(sys.argv[3])
    q.db.close()
    f = open(sys.argv[4], 'rb')
    print('claimed', flush=True)
    sys.stdin.read()
elif what == 'hold':            # has the database open and does nothing
    q.poll('')
    print('open', flush=True)
    sys.stdin.read()
elif what == 'cancel':          # an upload that moves
    id, pid = sys.argv[3], int(sys.argv[4])
    print(*until_moving(q, id, pid))
    while True:
        os.kill(pid, signal.SIGSTOP)
        if q.cancel(id, 0.2):
            break
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.002)
    time.sleep(1.2)             # the tool looks once a second
    os.kill(pid, signal.SIGCONT)
elif what == 'kill':
    id, pid = sys.argv[3], int(sys.argv[4])
    print(*until_moving(q, id, pid))
    os.kill(pid, signal.SIGKILL)
elif what == 'stop':            # TERM, while it moves
    id, pid = sys.argv[3], int(sys.argv[4])
    print(*until_moving(q, id, pid))
    os.kill(pid, signal.SIGTERM)
PY
client() { python3 -W ignore "$TMP/client.py" "$1" "$root/db/app.db" "${@:2}"; }

# start NAME WHAT...: a client that stays, until `finish`; its first line has come.
start()
{
	mkfifo "$TMP/$1.in"
	client "${@:2}" <"$TMP/$1.in" >"$TMP/$1.out" 2>&1 &
	client_pid=$!
	exec {client_fd}>"$TMP/$1.in"
	for ((i = 0; i < 500; i++)); do
		[ -s "$TMP/$1.out" ] && return
		sleep 0.02
	done
	return 1
}

finish()
{
	exec {client_fd}>&-
	wait "$client_pid"
}

# names N: stored names whose files are there and are as they were recorded
good()
{
	sql "SELECT $stored FROM recordings WHERE coalesce(status, 'active') = 'active' ORDER BY id" | while IFS= read -r name; do
		[ -s "recordings/raw/$name" ] && [ "$name" != "$cut" ] && echo "$name"
	done
}

iso='^20[0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{6}$'
is_iso() { [[ $1 =~ $iso ]]; }

# Whoever is not root does not see every process; a claim must then be old to be taken over.
age() { [ "$(id -u)" = 0 ] || sql "UPDATE jobs SET started_iso = '2025-09-05T10:00:00.123456' WHERE id = '$1'"; }

# ---- every shape ----

for shape in cabc59ea0c9d 4ae620c1c938 0001 0002 unversioned; do
	root=$(fresh $shape) || plan_skip "no archive can be had here"
	cd "$root" || exit 1
	cloud=file://$root/cloud
	mkdir cloud
	printf 'REC_REMOTE=%s\n' "$cloud" >>.env
	if [ -z "$(sql "SELECT 1 FROM sqlite_schema WHERE name = 'jobs'")" ]; then
		quiet_ok "$shape: jobs of an archive that has no queue are none" rec-sync jobs
		is "$shape: … and nothing is printed" "$(cat "$out")" ""
		run rec-sync push -q
		ok "$shape: push works without a queue" test "$st" -le 1
		run rec-sync jobs retry nothing
		status "$shape: no job has this id" 1
		jq_is "$shape: … which is told" '[.job, .problem.code, .done]' '["nothing","missing",false]'
		continue
	fi
	quiet_ok "$shape: the application's own jobs are listed" rec-sync jobs
	is "$shape: … each of them" "$(jq -r .job "$out" | sort)" "$(sql "SELECT id FROM jobs" | sort)"
	sql "DELETE FROM jobs"
	stored=stored_filename
	cut=$(sql "SELECT stored_filename FROM recordings WHERE filesize_bytes IS NOT NULL" | while IFS= read -r n; do
		[ "$(stat -c %s "recordings/raw/$n" 2>/dev/null)" = "$(sql "SELECT filesize_bytes FROM recordings
		    WHERE stored_filename = '$n'")" ] || echo "$n"
	done | head -n 1)
	mapfile -t names < <(good)
	gone=$(sql "SELECT stored_filename FROM recordings" | while IFS= read -r n; do
		[ -e "recordings/raw/$n" ] || echo "$n"
	done | head -n 1)
	r=recordings/raw
	client enqueue pending "$r/${names[0]}"
	client enqueue absolute "$root/$r/${names[1]}"
	client enqueue failed "$r/${names[2]}" status=failed attempts=1 "last_error=timed out"
	client enqueue given-up "$r/${names[0]}" status=failed attempts=3 "last_error=no quota"
	client enqueue dead "$r/${names[3]}" status=running attempts=1 created_iso=2025-09-05T10:00:00.123456 \
	    started_iso=2025-09-05T10:00:00.123456
	client enqueue succeeded "$r/${names[0]}" status=succeeded attempts=1 drive_file_id=1AbC
	client enqueue cancelled "$r/${names[0]}" status=cancelled attempts=1
	client enqueue again-1 "$r/${names[0]}"
	client enqueue again-2 "$root/$r/${names[0]}" status=failed attempts=2
	client enqueue outside ../../../etc/passwd
	client enqueue elsewhere /etc/passwd
	client enqueue orphan "$r/orphan_take.wav"
	client enqueue gone "$r/$gone"
	client enqueue wanted-no-more "$r/${names[2]}" cancel_requested=1
	has_cancel=$(sql "SELECT 1 FROM pragma_table_info('jobs') WHERE name = 'cancel_requested'")
	sql "SELECT id, file_path, title, description, tags, max_attempts, created_iso FROM jobs ORDER BY id" >"$TMP/before"

	# Of a copy, since reading a database in WAL mode needs its folder.
	dump_old db/app.db >"$TMP/dump"
	run rec-sync plan -q
	ok "$shape: plan says what would be done" test "$st" -le 1
	dump_old db/app.db >"$TMP/dump.after"
	ok "$shape: … and changes nothing" cmp "$TMP/dump" "$TMP/dump.after"

	run rec-sync push -q
	status "$shape: push ends with 1, since some jobs cannot be done" 1
	ok "$shape: the file of a pending job is there" cmp "$r/${names[0]}" "cloud/raw/${names[0]}"
	ok "$shape: … with an absolute path, too" cmp "$r/${names[1]}" "cloud/raw/${names[1]}"
	for id in pending absolute failed dead; do
		case $id in pending) n=0 ;; absolute) n=1 ;; failed) n=2 ;; dead) n=3 ;; esac
		size=$(stat -c %s "$r/${names[n]}")
		is "$shape: the $id job has succeeded, as the application writes it" \
		    "$(job $id "status, last_error IS NULL, uploaded_bytes, total_bytes, drive_file_id")" \
		    "succeeded|1|$size|$size|$cloud/raw/${names[n]}"
		ok "$shape: … with the time of its end" is_iso "$(job $id finished_iso)"
		ok "$shape: … and of its start" is_iso "$(job $id started_iso)"
	done
	is "$shape: jobs of one recording are done together" \
	    "$(sql "SELECT id, status, attempts, drive_file_id FROM jobs WHERE id GLOB 'again-*' ORDER BY id")" \
	    "again-1|succeeded|1|$cloud/raw/${names[0]}"$'\n'"again-2|succeeded|3|$cloud/raw/${names[0]}"
	is "$shape: … which is told once" "$(jq -r .path "$out" | grep -cF "${names[0]}")" 1
	is "$shape: one attempt more was counted" "$(job pending attempts) $(job failed attempts) $(job dead attempts)" "1 2 2"
	is "$shape: the job that was given up stays so" "$(job given-up "status, attempts, last_error")" "failed|3|no quota"
	is "$shape: what had succeeded is not done again" "$(job succeeded "status, attempts, drive_file_id")" "succeeded|1|1AbC"
	is "$shape: what was cancelled is not done" "$(job cancelled "status, attempts")" "cancelled|1"
	for id in outside elsewhere orphan gone; do
		is "$shape: the job $id has failed, once" "$(job $id "status, attempts, drive_file_id IS NULL")" "failed|1|1"
		ok "$shape: … with a sentence" test -n "$(job $id last_error)"
	done
	is "$shape: a path that leads out is refused, and told" \
	    "$(jq -r 'select(.job == "outside" or .job == "elsewhere") | .problem.code' "$out" | sort -u)" unsafe_path
	ok "$shape: nothing of it is at the remote" bash -c '! find cloud | grep passwd'
	ok "$shape: nor the file without a recording" test ! -e cloud/raw/orphan_take.wav
	if [ -n "$has_cancel" ]; then
		is "$shape: a job that nobody wants any more becomes cancelled" "$(job wanted-no-more "status, attempts")" "cancelled|0"
	fi
	sql "SELECT id, file_path, title, description, tags, max_attempts, created_iso FROM jobs ORDER BY id" >"$TMP/after"
	ok "$shape: the application's own columns are as they were" cmp "$TMP/before" "$TMP/after"
	ok "$shape: nothing is left of the claim" test ! -e db/sync/claims

	# Three failures, and it is given up, as in the application.
	run rec-sync push -q
	run rec-sync push -q
	is "$shape: after three attempts a job is given up" "$(job gone "status, attempts")" "failed|3"
	run rec-sync push -q
	is "$shape: … and not tried again" "$(job gone "status, attempts")" "failed|3"
	quiet_ok "$shape: the queue is listed" rec-sync jobs list
	jq_is "$shape: … with what is due" 'select(.due) | .job' ""
	run rec-sync status
	jq_is "$shape: the status counts them" '.jobs | [.pending, .running, .failed, .given_up]' \
	    "[0,0,0,$(sql "SELECT count(*) FROM jobs WHERE status = 'failed'")]"

	run rec-sync jobs retry gone
	status "$shape: a job is put back into the queue" 0
	jq_is "$shape: … which is told" '[.job, .action, .done, .status, .attempts, .due]' '["gone","retry",true,"pending",0,true]'
	is "$shape: … and is so" "$(job gone "status, attempts, last_error IS NULL, finished_iso IS NULL")" "pending|0|1|1"
	run rec-sync jobs cancel -n gone
	is "$shape: a dry run cancels nothing" "$(jq -c .done "$out") $(job gone status)" "false pending"
	quiet_ok "$shape: a job is cancelled" rec-sync jobs cancel gone
	is "$shape: … and is so" "$(job gone status)" cancelled
	run rec-sync jobs cancel succeeded
	status "$shape: what has succeeded cannot be cancelled" 1
	jq_is "$shape: … which is told" .problem.code conflict
	run rec-migrate runs
	n=$(jq -s 'map(select(.kind == "sync")) | length' "$out")
	ok "$shape: the changes of jobs are runs" test "$n" -ge 4
done

# ---- beside a living application ----

root=$(fresh 0002)
cd "$root" || exit 1
mkdir cloud
printf '%s\n' "REC_REMOTE=file://$root/cloud" REC_PART_MB=5 >>.env
sql "DELETE FROM jobs"
r=recordings/raw
mapfile -t names < <(sql "SELECT stored_filename FROM recordings WHERE checksum IS NOT NULL ORDER BY id" |
    while IFS= read -r n; do [ "$(sha256sum <"$r/$n" | cut -c 1-64)" = "$(sql "SELECT checksum FROM recordings
    WHERE stored_filename = '$n'")" ] && echo "$n"; done 2>/dev/null)

quiet_ok "no remote was used yet" rec-sync status
jq_is "… and the status says so" '[.remote, .owner, .synced, .objects, .last_proven_at]' '[null,null,0,0,null]'
all=$(sql "SELECT count(*) FROM recordings")
jq_is "… with what is to be sent" '[.recordings, .to_send > 0, .to_send_bytes > 0]' "[$all,true,true]"
quiet_ok "a remote that is named, and was not used" rec-sync status --remote="file://$root/other"
jq_is "… is told all the same" '[.remote, .owner, .objects]' "[\"file://$root/other\",null,0]"
client enqueue alive "$r/${names[0]}"
start alive claim alive
run rec-sync jobs
jq_is "a job of a living process is not due" '[.status, .due]' '["running",false]'
run rec-sync push -q
is "push leaves it alone" "$(job alive "status, attempts, uploaded_bytes")" "running|1|0"
run rec-sync jobs retry alive
status "nor is it put back into the queue" 1
jq_is "… which is told" '[.problem.code, .done]' '["conflict",false]'
run rec-sync jobs cancel alive
is "to cancel it is to ask its owner" "$(job alive "status, cancel_requested")" "running|1"
rec-sync status >"$TMP/status"
is "the status counts the objects that are there" "$(jq -c '[.remote, .objects, .objects_bytes]' "$TMP/status")" \
    "[\"file://$root/cloud\",$(find cloud/raw -type f | wc -l),$(find cloud/raw -type f -printf '%s\n' | awk '{ n += $1 } END { print n }')]"
finish
sql "UPDATE jobs SET cancel_requested = 0"
age alive
run rec-sync jobs
jq_is "when the process is gone, it is due" '[.status, .due]' '["running",true]'
run rec-sync push -q
is "… and done" "$(job alive "status, attempts")" "succeeded|2"

client enqueue reading "$r/${names[1]}"
start reading file reading "$r/${names[1]}"
run rec-sync push -q
is "a process that only reads the job's file is its owner, too" "$(job reading "status, attempts")" "running|1"
finish
age reading
run rec-sync push -q
is "… until it ends" "$(job reading "status, attempts")" "succeeded|2"

start idle hold
client enqueue idle "$r/${names[2]}"
run rec-sync push -q
is "pending jobs are done while the application has the database open" "$(job idle status)" succeeded
finish

# A user who sees only own processes: what cannot be known is decided by the time.
nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
if [ "$(id -u)" = 0 ] && "${nobody[@]}" rec-sync -V >/dev/null 2>&1; then
	client enqueue young "$r/${names[0]}" status=running attempts=1 "started_iso=$(date -u +%Y-%m-%dT%H:%M:%S.123456)"
	client enqueue old "$r/${names[0]}" status=running attempts=1 "started_iso=$(date -u -d '-7 hours' +%Y-%m-%dT%H:%M:%S.123456)"
	cp -r "$root" "$TMP/theirs"
	chmod 755 "$TMP"
	chown -R 65534:65534 "$TMP/theirs"
	run "${nobody[@]}" rec-sync -C "$TMP/theirs" jobs
	jq_is "who does not see every process leaves a young claim alone, and takes an old one" \
	    'select(.status == "running") | [.job, .due]' $'["young",false]\n["old",true]'
	run rec-sync jobs
	jq_is "… and root knows" 'select(.status == "running") | [.job, .due]' $'["young",true]\n["old",true]'
else
	skip "a user who does not see every process" "needs root, setpriv, and a build that others can run"
fi

# ---- what nobody wrote there ----

sql "DELETE FROM jobs"
sql "PRAGMA ignore_check_constraints = on; INSERT INTO jobs (id, file_path, status, attempts, max_attempts, created_iso,
    started_iso, total_bytes) VALUES
    ('odd-1', X'ff00fe', 'pending', 'many', 'few', 7, X'00', 'x'),
    ('odd-2', '', 'failed', -1, 3, NULL, NULL, -5),
    ('odd-3', 'recordings/raw/' || CAST(X'ff' AS TEXT), 'pending', 0.5, 3, '', '', NULL),
    ('odd-4', '/proc/self/mem', 'RUNNING', 9223372036854775807, 3, NULL, NULL, NULL),
    ('', 'recordings/raw/${names[0]}', 'running', 0, 3, NULL, 'yesterday', NULL)"
quiet_ok "columns of other types are listed" rec-sync jobs
is "… each" "$(wc -l <"$out")" 5
ok "… as JSON" jq -e . "$out"
run rec-sync push -q
status "… and do not stop a push" 1
is "a job without an id is one" "$(sql "SELECT status FROM jobs WHERE id = ''")" succeeded
is "a path that is no text, or none of UTF-8, is refused" "$(job odd-1 status) $(job odd-3 status)" "failed failed"
is "an unknown status is left alone" "$(job odd-4 "status, attempts")" "RUNNING|9223372036854775807"
quiet_ok "they can be cancelled" rec-sync jobs cancel odd-1 odd-2 odd-3 odd-4
is "… and are" "$(sql "SELECT group_concat(status) FROM jobs WHERE id GLOB 'odd-*'")" "cancelled,cancelled,cancelled,cancelled"
run rec-sync jobs retry
status "retry wants ids" 2
run rec-sync jobs remove odd-1
status "there are no other commands" 2
stderr_has "… which is told" 'jobs remove: there are'

# ---- while bytes travel ----

if ! have_radosgw || ! start_radosgw; then
	skip "an upload that is cancelled, stopped, killed" "no radosgw: ${SERVER_ERROR:-not installed}"
	done_testing
fi

big=recording_20250910_100000.wav
sox -n -r 48000 -c 2 -b 16 -t wav - synth 200 whitenoise 2>/dev/null >"$r/$big"
total=$(stat -c %s "$r/$big")
sql "DELETE FROM jobs; INSERT INTO recordings (filename, stored_filename, title, duration, filesize_bytes, checksum, status)
    VALUES ('$big', '$big', 'big', 200, $total, '$(sha256sum <"$r/$big" | cut -c 1-64)', 'active')"
run rec-sync push -q

# A bucket of its own: what was cancelled as a job would else be sent with the rest, as every recording is.
fresh_bucket()
{
	bucket=$1
	make_bucket "$bucket"
	export REC_REMOTE=s3://$bucket AWS_ENDPOINT_URL=$S3_ENDPOINT AWS_ACCESS_KEY_ID=$S3_KEY AWS_SECRET_ACCESS_KEY=$S3_SECRET
	sql "DELETE FROM jobs"
}

# moving WHAT ID: starts push, and a client that does WHAT when bytes of the job are told
moving()
{
	rec-sync push -q --limit-rate=12M >"$TMP/push.out" 2>"$TMP/push.err" &
	push=$!
	told=$(client "$1" "$2" $push 2>"$TMP/client.err")
	client_st=$?
	{ wait $push; } 2>/dev/null
}

fresh_bucket takes-one
client enqueue cancel "$r/$big"
moving cancel cancel
is "an upload is seen to move, by the application's own columns" "$client_st ${told#* }" "0 $total"
is "the application asks to cancel it, and it is cancelled" "$(job cancel "status, attempts, drive_file_id IS NULL")" "cancelled|1|1"
ok "… with the time of its end" is_iso "$(job cancel finished_iso)"
ok "… before all of it had arrived" test "$(job cancel uploaded_bytes)" -lt "$total"
is "… and the recording, which push sends all the same, is synced" \
    "$(sql "SELECT sync_status FROM recordings WHERE stored_filename = '$big'")" synced

fresh_bucket takes-two
client enqueue stopped "$r/$big"
moving stop stopped
is "TERM while it moves" "$client_st" 0
is "… puts it back, without the attempt" "$(job stopped "status, attempts, started_iso IS NULL")" "pending|0|1"

fresh_bucket takes-three
start other hold
client enqueue killed "$r/$big"
moving kill killed
is "KILL while it moves" "$client_st" 0
is "… leaves it running" "$(job killed "status, attempts")" "running|1"
quiet_ok "the queue is listed" rec-sync jobs
jq_is "it is due all the same, since it was ours, and the application has not claimed it" '[.status, .due]' '["running",true]'
run rec-sync status --remote="$REC_REMOTE"
jq_is "the status has the upload, and what arrived of it" \
    '.uploads_in_progress[] | [.key, .size_bytes, (.sent_bytes > 0 and .sent_bytes < .size_bytes)]' "[\"raw/$big\",$total,true]"
run rec-sync push -q
is "the next push does it, while the application has the database open" \
    "$(job killed "status, attempts, uploaded_bytes, drive_file_id")" "succeeded|2|$total|s3://takes-three/raw/$big"
ok "… and no claim is left" test ! -e db/sync/claims
finish

# The other way round: asked by rec-sync jobs cancel, while rec-sync push does it.
fresh_bucket takes-four
client enqueue asked "$r/$big"
rec-sync push -q --limit-rate=12M >"$TMP/push.out" 2>"$TMP/push.err" &
push=$!
for ((i = 0; i < 1000; i++)); do
	[ "$(job asked uploaded_bytes)" -gt 0 ] && break
	sleep 0.01
done
quiet_ok "a job that another rec-sync does is asked to end" rec-sync jobs cancel asked
jq_is "… and runs until then" '[.status, .cancel_requested, .due]' '["running",true,false]'
wait $push
is "… and is cancelled" "$(job asked status)" cancelled

done_testing
