#!/bin/bash
# Every fault that a remote can have: what comes of it, the exit status and the record, as rec-sync(1) says.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/servers.sh"
have_s3_fake || plan_skip "no python3"

root=$TMP/archive
"$TOP/tests/data/make-archive" "$root" 0002 || plan_skip "no archive"
sqlite3 "$root/db/app.db" 'DELETE FROM recordings; DELETE FROM jobs'
rm -f "$root"/recordings/raw/*
sox -n -r 44100 -b 16 -c 1 one.wav synth 0.3 sine 440
sox -n -r 44100 -b 16 -c 1 two.wav synth 65 noise vol 0.5
sox -n -r 44100 -b 16 -c 1 three.wav synth 140 noise vol 0.5
for f in one two three; do
	rec-meta add -q -C "$root" "$TMP/$f.wav" >/dev/null
done
start_s3_fake || plan_skip "the fake S3 does not start: $SERVER_ERROR"
make_bucket shelf
export AWS_ACCESS_KEY_ID=$S3_KEY AWS_SECRET_ACCESS_KEY=$S3_SECRET AWS_ENDPOINT_URL=$S3_ENDPOINT
export REC_PART_MB=5 REC_ATTEMPTS=4 REC_STALL_S=1
n=0

# try RULES ARGUMENT...: push to a fresh prefix under these rules
try()
{
	n=$((n + 1))
	prefix=p$n
	rm -rf work
	cp -a "$root" work
	s3_rules "$1"
	shift
	began=$(date +%s%N)
	run rec-sync push -C work --remote "s3://shelf/$prefix" "$@"
	took=$((($(date +%s%N) - began) / 1000000))
	s3_rules '{}'
}

# all_there NAME: each recording has its object, once, right; nothing else is there
all_there()
{
	local want got

	want=$(cd work/recordings && sha256sum raw/* | sort -k 2)
	got=$(s3_curl GET "/shelf?list-type=2&prefix=$prefix%2Fraw%2F" | grep -o '<Key>[^<]*' | sed "s|<Key>$prefix/||" | while read -r key; do
		printf '%s  %s\n' "$(s3_curl GET "/shelf/$prefix/$key" | sha256sum | cut -d ' ' -f 1)" "$key"
	done | sort -k 2)
	is "$1: all is there" "$got" "$want"
	is "$1: no upload is left open" "$(s3_curl GET '/shelf?uploads=' | grep -c '<UploadId>')" 0
}

# recovers NAME RULES: the run manages by itself
recovers()
{
	try "$2"
	status "$1: status" 0
	all_there "$1"
}

# ---- told to wait, broken off, wrong once: tried again
recovers "503 SlowDown" '{"rules": [{"op": "put", "times": 2, "error": "SlowDown", "status": 503, "retry_after": 1}]}'
ok "503 SlowDown: Retry-After is kept to" test "$took" -ge 900
recovers "429" '{"rules": [{"op": "*", "times": 2, "error": "TooManyRequests", "status": 429}]}'
recovers "500" '{"rules": [{"op": "*", "times": 3, "error": "InternalError", "status": 500}]}'
recovers "an answer that is lost: put" '{"rules": [{"op": "put", "times": 1, "drop": "after"}]}'
recovers "an answer that is lost: create" '{"rules": [{"op": "create", "times": 1, "drop": "after"}]}'
recovers "an answer that is lost: part" '{"rules": [{"op": "upload_part", "times": 2, "drop": "after"}]}'
recovers "an answer that is lost: complete" '{"rules": [{"op": "complete", "times": 1, "drop": "after"}]}'
recovers "a connection that breaks" '{"rules": [{"op": "*", "odds": 0.3, "seed": 7, "times": 6, "drop": "before"}]}'
recovers "a listing that breaks off" '{"rules": [{"op": "list", "times": 2, "drop": "body"}]}'
recovers "a stall" '{"rules": [{"op": "upload_part", "times": 1, "stall": 4}]}'
stderr_has "a stall is told" 'no byte from or to .* for 1 s; tried again'
recovers "an upload that the server has given up" '{"rules": [{"op": "upload_part", "times": 1, "error": "NoSuchUpload", "status": 404}]}'
recovers "an error inside a 200" '{"rules": [{"op": "complete", "times": 1, "error": "InternalError", "inside": true}]}'
recovers "an empty ETag of complete" '{"rules": [{"op": "complete", "times": 9, "etag": ""}]}'
recovers "a wrong ETag of a part" '{"rules": [{"op": "upload_part", "times": 1, "etag": "00000000000000000000000000000000"}]}'
recovers "a clock that is off by an hour" '{"clock_offset": 3600}'
recovers "pages of one" '{"page": 1}'

# ---- wrong for good
# refused NAME RULES STATUS PATTERN [WITHIN-MS]
refused()
{
	try "$2"
	status "$1: status" "$3"
	stderr_has "$1: is told" "$4"
	[ -z "${5:-}" ] || ok "$1: at once ($took ms)" test "$took" -le "$5"
}

refused "always 503" '{"rules": [{"op": "*", "error": "SlowDown", "status": 503}]}' 4 '503'
refused "a full server" '{"rules": [{"op": "put", "error": "QuotaExceeded", "status": 403}, {"op": "create", "error": "QuotaExceeded", "status": 403}]}' 4 'Quota'
refused "no such bucket" '{"rules": [{"op": "*", "error": "NoSuchBucket", "status": 404}]}' 3 'bucket' 1500
refused "a wrong key" '{"rules": [{"op": "*", "error": "InvalidAccessKeyId", "status": 403}]}' 3 'AWS_ACCESS_KEY_ID' 1500
refused "a redirect to another host" '{"rules": [{"op": "*", "redirect": "http://127.0.0.2:9/", "status": 307}]}' 3 'redirect|elsewhere|endpoint' 1500
try '{"rules": [{"op": "put", "error": "AccessDenied", "status": 403}, {"op": "create", "error": "AccessDenied", "status": 403}]}'
ok "no permission to write: status is 1 or 3" test "$st" = 3 -o "$st" = 1
AWS_SECRET_ACCESS_KEY=wrong try '{}'
status "a wrong secret: status" 3
ok "a wrong secret: at once ($took ms)" test "$took" -le 1500
ok "a wrong secret: is not told" bash -c '! grep -q wrong "$1"' - "$errf"
AWS_ENDPOINT_URL=http://no-such-host.invalid try '{}'
status "no such host: status" 3
stderr_has "no such host: is told" 'no-such-host.invalid'
AWS_SECRET_ACCESS_KEY= try '{}'
status "no secret: status" 3
stderr_has "no secret: is told" 'AWS_SECRET_ACCESS_KEY'
AWS_ENDPOINT_URL=http://127.0.0.1:1 REC_ATTEMPTS=2 try '{}'
status "nobody listens: status" 4
stderr_has "nobody listens: is told" '127.0.0.1:1'
run rec-sync push -C work --remote "s3://Bad_Bucket!/x"
status "a name that no bucket has: status" 2
run rec-sync push -C work
status "no remote: status" 2
stderr_has "no remote: is told" 'REC_REMOTE'
run rec-sync push -C work --remote nowhere
ok "an unknown name: status" test "$st" = 3 -o "$st" = 2
stderr_has "an unknown name: is told" 'REC_REMOTE_NOWHERE'
APP_ENVIRONMENT=production AWS_ENDPOINT_URL=http://192.0.2.1 try '{}'
status "plain http in production: status" 3
stderr_has "plain http in production: is told" 'https'

# ---- one item only
try '{"rules": [{"op": "put", "error": "EntityTooLarge", "status": 400}]}'
status "one that is refused: status" 1
is "one that is refused: its record" "$(jq -r 'select(.problem and .filename) | .filename + " " + .problem.code' "$out")" "one.wav remote"
is "one that is refused: the others are there" "$(jq -r 'select(.problem | not) | .filename' "$out" | sort | tr '\n' ' ')" "three.wav two.wav "
try '{"rules": [{"op": "put", "error": "InternalError", "status": 500}]}'
status "one that cannot be done now: status" 4
is "one that cannot be done now: its record" "$(jq -r 'select(.problem and .filename) | .filename + " " + .problem.code' "$out")" "one.wav remote"
run rec-sync push -C work --remote "s3://shelf/$prefix"
status "and the next run does it" 0
is "that one alone" "$(jq -r .filename "$out")" "one.wav"
all_there "one that could not be done"


# ---- a hostile listing: never a crash, a loop or a wrong belief
for how in unordered repeated endless no_token outside names huge invalid bomb external nonsense sizes deep; do
	rm -rf work
	cp -a "$root" work
	prefix=hostile-$how
	run rec-sync push -q -C work --remote "s3://shelf/$prefix"
	s3_rules "{\"rules\": [{\"op\": \"list\", \"listing\": \"$how\"}]}"
	run timeout 60 rec-sync push -C work --remote "s3://shelf/$prefix"
	ok "listing $how: ends with an answer ($st)" test "$st" -le 4
	[ $how != endless ] || stderr_has "listing endless: that it has no end is told" 'does not end'
	s3_rules '{}'
	run rec-sync push -C work --remote "s3://shelf/$prefix"
	status "listing $how: and then all is well" 0
	all_there "listing $how"
done

# ---- a full disk on pull, a server that lies about bytes
rm -rf work
cp -a "$root" work
prefix=pull
rec-sync push -q -C work --remote "s3://shelf/$prefix" >/dev/null
mkdir fresh
printf '%s\n' APP_ENVIRONMENT=development RECORDINGS_RAW_PATH=recordings/raw RECORDINGS_EDITED_PATH=recordings/edited >fresh/.env
s3_rules '{"rules": [{"op": "get", "key": "*/raw/*", "flip": true}]}'
run rec-sync pull -C fresh --remote "s3://shelf/$prefix"
status "bytes that are wrong: status" 1
is "bytes that are wrong: none is taken in" "$(find fresh -name '*.wav' | wc -l)" 0
s3_rules '{}'
run rec-sync pull -C fresh --remote "s3://shelf/$prefix"
status "and then they are right" 0
is "all are here" "$(cd fresh/recordings && sha256sum raw/* | sort)" "$(cd work/recordings && sha256sum raw/* | sort)"
if [ "$(id -u)" = 0 ] && mkdir small && mount -t tmpfs -o size=6m none small 2>/dev/null; then
	cp -a fresh/.env small/
	REC_MIN_FREE_MB=1 REC_DISK_CHECK=false run rec-sync pull -C small --remote "s3://shelf/$prefix"
	ok "a full disk: it is told ($st)" test "$st" = 3 -o "$st" = 1 -o "$st" = 4
	stderr_has "a full disk: in a sentence" 'space|full'
	is "a full disk: nothing half is there" "$(cd small/recordings && find raw -type f -exec sha256sum {} + | sort | comm -23 - <(cd "$TMP/work/recordings" && sha256sum raw/* | sort))" ""
	umount small
else
	skip "a full disk" "no tmpfs can be mounted here"
fi

# ---- no secret anywhere
ok "no secret in the catalogue" bash -c '! grep -rqa "$1" work/db fresh/db' - "$S3_SECRET"
ok "no secret in what was printed" bash -c '! grep -q "$1" "$2" "$3"' - "$S3_SECRET" "$out" "$errf"
is "db/sync is private" "$(stat -c %a work/db/sync)" 700
(sleep 0.2; for p in $(pgrep -x rec-sync); do tr '\0' ' ' </proc/"$p"/cmdline; grep -i core /proc/"$p"/limits; done >seen 2>/dev/null) &
rm -rf work
cp -a "$root" work
s3_rules '{"rules": [{"op": "put", "stall": 0.6}]}'
run rec-sync push -q -C work --remote s3://shelf/secret
wait
ok "it was looked at while it ran" grep -q 'rec-sync push' seen
ok "no secret in its arguments" bash -c '! grep -aq "$1" seen' - "$S3_SECRET"
ok "it leaves no core file" grep -Eq 'Max core file size +0 +0' seen
done_testing
