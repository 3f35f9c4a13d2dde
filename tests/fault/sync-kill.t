#!/bin/bash
# rec-sync push and pull are killed at random instants, to a real S3 through a network that is slow, cuts and stalls.
# After the last run each object is right and none is there twice, no part of an upload is left at the server, and
# what was sent again is at most what was on its way. A seed repeats the instants: REC_SEED=N.
given=${REC_SEED:-}
. "$(dirname "$0")/fault.sh"
. "$TOP/tests/servers.sh"
need jq sqlite3 python3 aws
have_radosgw || plan_skip "no radosgw"
[ -z "$wrap" ] || plan_skip "the kills are measured in time"
seed=${given:-$((SRANDOM % 100000))}
kills=8
full && kills=300
echo "# REC_SEED=$seed, $kills kills"
RANDOM=$seed

root=$TMP/archive
cloud=$TMP/cloud
part=$((5 << 20))
transfers=2
senders=4	# parts of one upload at once

# Mixed sizes: some in one request, some in parts.
"$TOP/tests/data/make-archive" "$root" 0002
sqlite3 "$root/db/app.db" 'DELETE FROM recordings; DELETE FROM jobs'
rm -f "$root"/recordings/raw/*
python3 - "$root" "$seed" <<'PY'
import random, sqlite3, struct, sys
root, r = sys.argv[1], random.Random(int(sys.argv[2]))
db = sqlite3.connect(root + "/db/app.db")
sizes = [r.randrange(100, 300000) for _ in range(30)] + [6 << 20, 11 << 20, 17 << 20, 23 << 20]
r.shuffle(sizes)
for i, size in enumerate(sizes):
    name = "%032x.wav" % r.getrandbits(128)
    size += size % 2
    with open(root + "/recordings/raw/" + name, "wb") as f:
        f.write(b"RIFF" + struct.pack("<I", size + 36) + b"WAVEfmt " +
                struct.pack("<IHHIIHH", 16, 1, 1, 44100, 88200, 2, 16) + b"data" + struct.pack("<I", size))
        f.write(r.randbytes(size))
    db.execute("INSERT INTO recordings (filename, stored_filename, duration) VALUES (?, ?, 0)", ("f%d.wav" % i, name))
db.commit()
PY
rec-migrate apply -q -C "$root" >/dev/null || plan_skip "no archive"
payload=$(cat "$root"/recordings/raw/* | wc -c)
(cd "$root/recordings" && sha256sum raw/* | sort -k 2) >wanted

start_radosgw || plan_skip "radosgw does not start: $SERVER_ERROR"
make_bucket shelf
start_proxy "$S3_PORT" || plan_skip "no proxy: $SERVER_ERROR"
export AWS_ACCESS_KEY_ID=$S3_KEY AWS_SECRET_ACCESS_KEY=$S3_SECRET AWS_ENDPOINT_URL=http://127.0.0.1:$PROXY_PORT
export REC_PART_MB=5 REC_TRANSFERS=$transfers REC_STALL_S=1 REC_ATTEMPTS=12 REC_BREAKER=0
s3() { aws --endpoint-url "$S3_ENDPOINT" s3api "$@"; }

broken_network() { proxy_rules "{\"rtt_ms\": 4, \"rate_up\": 60000000, \"rate_down\": 60000000, \"random\": {\"seed\": $RANDOM, \"cut\": 0.2, \"stall\": 0.05, \"refuse\": 0.05, \"within\": 3000000}}"; }
good_network() { proxy_rules '{}'; }

# killed CMD...: starts it and kills it at a random instant; true when it had ended before
killed()
{
	local pid rc

	"$@" >>run.out 2>>run.err &
	pid=$!
	sleep "$((RANDOM % 2)).$(printf '%03d' $((RANDOM % 900)))"
	kill -KILL $pid 2>/dev/null
	wait $pid 2>/dev/null
	rc=$?
	[ $rc -ne 137 ]
}

# keys_and_hashes PREFIX: of what is at the server, by reading it
objects_of()
{
	local got=$TMP/got

	rm -rf "$got"
	aws --endpoint-url "$S3_ENDPOINT" s3 sync --quiet "s3://shelf/$1" "$got"
	(cd "$got" && sha256sum raw/* | sort -k 2)
}

check_round()
{
	local prefix=$1 n=$2 up again most

	diff wanted <(objects_of "$prefix") >diff || broken "push: $n kills: objects differ: $(head -3 diff)"
	is_empty=$(s3 list-multipart-uploads --bucket shelf --query 'Uploads[].[Key]' --output text | grep -vx None)
	[ -z "$is_empty" ] || broken "push: $n kills: parts are left: $is_empty"
	[ -z "$(s3 list-objects-v2 --bucket shelf --prefix "$prefix/.rectools/temp" --query 'Contents[].[Key]' --output text | grep -vx None)" ] ||
	    broken "push: $n kills: temporary objects are left"
	[ "$(sqlite3 "$work/db/app.db" 'SELECT count(*) FROM rec_uploads')" = 0 ] || broken "push: $n kills: uploads are noted"
	[ -z "$(ls -A "$work/db/sync")" ] || broken "push: $n kills: db/sync holds $(ls -A "$work/db/sync")"
	[ "$(sqlite3 "$work/db/app.db" "SELECT count(*) FROM recordings WHERE sync_status IS NOT 'synced'")" = 0 ] ||
	    broken "push: $n kills: not all are synced in the application's eyes"
	rec-sync push -q -C "$work" --remote "s3://shelf/$prefix" </dev/null >again 2>&1 || broken "push: $n kills: once more fails"
	[ ! -s again ] || broken "push: $n kills: once more sends $(wc -l <again)"
	up=$(($(proxy_stats | jq .bytes_up) - sent_before))
	most=$((payload + payload / 50 + 1000000 + (n + retried) * transfers * senders * part))
	[ "$up" -le "$most" ] || broken "push: $n kills: $up bytes went up, at most $most should"
	echo "# round $prefix: $n kills, $retried retries, $((up * 100 / payload)) % of the bytes went up"
}

# ---- push
done_kills=0
round=0
while [ $done_kills -lt $kills ] && [ $round -lt $((kills * 2)) ]; do
	round=$((round + 1))
	work=$TMP/work$round
	cp -a "$root" "$work"
	sent_before=$(proxy_stats | jq .bytes_up)
	n=0
	: >run.err
	while [ $done_kills -lt $kills ]; do
		broken_network
		killed rec-sync push -q --events -C "$work" --remote "s3://shelf/r$round" && break
		n=$((n + 1))
		done_kills=$((done_kills + 1))
	done
	good_network
	rec-sync push -q --events -C "$work" --remote "s3://shelf/r$round" >>run.out 2>>run.err </dev/null ||
	    broken "push: after $n kills the last run ends with $?: $(grep -v '^{' run.err | tail -n 1)"
	retried=$(grep -c '"event":"retry"' run.err)
	states=$((states + n))
	check_round "r$round" $n
	rm -rf "$work"
done
is "push was killed often enough" $done_kills $kills
report "push, killed"

# ---- pull
states=0
done_kills=0
while [ $done_kills -lt $kills ] && [ $round -lt $((kills * 4)) ]; do
	round=$((round + 1))
	work=$TMP/work$round
	mkdir "$work"
	printf '%s\n' APP_ENVIRONMENT=development RECORDINGS_RAW_PATH=recordings/raw RECORDINGS_EDITED_PATH=recordings/edited >"$work/.env"
	n=0
	while [ $done_kills -lt $kills ]; do
		broken_network
		killed rec-sync pull -q -C "$work" --remote s3://shelf/r1 && break
		n=$((n + 1))
		done_kills=$((done_kills + 1))
	done
	good_network
	rec-sync pull -q -C "$work" --remote s3://shelf/r1 >>run.out 2>>run.err </dev/null || broken "pull: after $n kills the last run ends with $?"
	states=$((states + n))
	diff wanted <(cd "$work/recordings" && sha256sum raw/* | sort -k 2) >diff || broken "pull: $n kills: files differ: $(head -3 diff)"
	[ -z "$(ls -A "$work/recordings/temp" 2>/dev/null)" ] || broken "pull: $n kills: temp holds $(ls -A "$work/recordings/temp")"
	rec-migrate verify -q -C "$work" >/dev/null || broken "pull: $n kills: verify is not content"
	rec-sync push -q -C "$work" --remote s3://shelf/r1 </dev/null >again 2>&1 || broken "pull: $n kills: a push afterwards fails"
	[ "$(jq -r .action again | sort -u | grep -vx prove)" = "" ] || broken "pull: $n kills: a push afterwards does $(jq -r .action again | sort | uniq -c | tr "\n" " ")"
	rm -rf "$work"
done
is "pull was killed often enough" $done_kills $kills
report "pull, killed"
done_testing
