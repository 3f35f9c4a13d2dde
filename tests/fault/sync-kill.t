#!/bin/bash
# rec-sync push and pull are killed at random instants, to a real S3, to Apache's WebDAV and to the fake Drive, through
# a network that is slow, cuts and stalls. After the last run each object is right and none is there twice, no part of
# an upload is left at the server, and what was sent again is at most what was on its way. A seed repeats the instants:
# REC_SEED=N.
given=${REC_SEED:-}
. "$(dirname "$0")/fault.sh"
. "$TOP/tests/servers.sh"
need jq sqlite3 python3 aws
have_radosgw || plan_skip "no radosgw"
[ -z "$wrap" ] || plan_skip "the kills are measured in time"
seed=${given:-$((SRANDOM % 100000))}
kills=8 other_kills=4
full && kills=300 other_kills=100
echo "# REC_SEED=$seed, $kills kills, $other_kills of each other kind"
RANDOM=$seed

root=$TMP/archive
part=$((5 << 20))
transfers=16 # … of which two are large

# make_recordings SMALL LARGE...: an archive of so many small ones, which go in one request, and of large ones (MiB), in
# parts
make_recordings()
{
	rm -rf "$root"
	"$TOP/tests/data/make-archive" "$root" 0002
	sqlite3 "$root/db/app.db" 'DELETE FROM recordings; DELETE FROM jobs'
	rm -f "$root"/recordings/raw/*
	python3 - "$root" "$seed" "$@" <<'PY'
import random, sqlite3, struct, sys
root, r = sys.argv[1], random.Random(int(sys.argv[2]))
db = sqlite3.connect(root + "/db/app.db")
sizes = [r.randrange(100, 300000) for _ in range(int(sys.argv[3]))] + [int(a) << 20 for a in sys.argv[4:]]
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
}

make_recordings 30 6 11 17 23
start_radosgw || plan_skip "radosgw does not start: $SERVER_ERROR"
make_bucket shelf
start_proxy "$S3_PORT" || plan_skip "no proxy: $SERVER_ERROR"
export AWS_ACCESS_KEY_ID=$S3_KEY AWS_SECRET_ACCESS_KEY=$S3_SECRET AWS_ENDPOINT_URL=http://127.0.0.1:$PROXY_PORT
export REC_PART_MB=5 REC_TRANSFERS=$transfers REC_STALL_S=1 REC_ATTEMPTS=12 REC_BREAKER=0

# The rate is such that a push takes longer than it is let live: few rounds, and each is gone on with.
rate=25000000
broken_network() { proxy_rules "{\"rtt_ms\": 4, \"rate_up\": $rate, \"rate_down\": $rate, \"random\": {\"seed\": $RANDOM, \"cut\": 0.2, \"stall\": 0.05, \"refuse\": 0.05, \"within\": 3000000}}"; }
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

# What a kind of remote has to tell: remote_of ROUND is its URL; objects_of ROUND what is there, by reading it;
# left_at ROUND what should not be; clear_at ROUND removes all of it. in_flight is how many parts of one upload are on
# their way at once.

# What the server has of a killed run's request may be there until it has noticed the end.
what_is_left()
{
	left=$(left_at "$1")
	for _ in {1..20}; do
		[ -n "$left" ] || break
		sleep 0.1
		left=$(left_at "$1")
	done
}

late=0
check_round()
{
	local kind=$1 at=$2 n=$3 up left most

	diff wanted <(objects_of "$at") >diff || broken "$kind: $n kills: objects differ: $(head -3 diff)"
	what_is_left "$at"
	[ -z "$left" ] || late=$((late + 1))
	[ "$(sqlite3 "$work/db/app.db" 'SELECT count(*) FROM rec_uploads')" = 0 ] || broken "$kind: $n kills: uploads are noted"
	[ -z "$(ls -A "$work/db/sync")" ] || broken "$kind: $n kills: db/sync holds $(ls -A "$work/db/sync")"
	[ "$(sqlite3 "$work/db/app.db" "SELECT count(*) FROM recordings WHERE sync_status IS NOT 'synced'")" = 0 ] ||
	    broken "$kind: $n kills: not all are synced in the application's eyes"
	up=$(($(proxy_stats | jq .bytes_up) - sent_before))
	rec-sync push -q -C "$work" --remote "$(remote_of "$at")" </dev/null >again 2>&1 || broken "$kind: $n kills: once more fails"
	# What a killed run had sent may arrive behind the last run: the same bytes, with another tag to be looked at.
	[ "$(jq -r .action again | grep -vx prove)" = "" ] ||
	    broken "$kind: $n kills: once more does $(jq -r .action again | sort | uniq -c | tr "\n" " ")"
	# What arrived behind the last run is removed by the next.
	[ -z "$left" ] || what_is_left "$at"
	[ -z "$left" ] || broken "$kind: $n kills: is left there: $left"
	most=$((payload + payload / 50 + 1000000 + (n + retried) * (2 * in_flight * part + transfers * 300000)))
	[ "$up" -le "$most" ] || broken "$kind: $n kills: $up bytes went up, at most $most should"
	echo "# $kind, round $at: $n kills, $retried retries, $((up * 100 / payload)) % of the bytes went up"
}

# Whether an upload in parts was on its way. It looks at a copy: opening the catalogue would clear up after the kill.
is_midway()
{
	rm -f midway.db*
	cp "$work/db/app.db" midway.db
	[ ! -e "$work/db/app.db-wal" ] || cp "$work/db/app.db-wal" midway.db-wal
	[ "$(sqlite3 midway.db 'SELECT count(*) FROM rec_uploads')" != 0 ]
}

round=0
# push_killed KIND KILLS: in rounds, each to another place, until it was killed so often
push_killed()
{
	local kind=$1 kills=$2 done_kills=0 n rounds=0 midway=0

	states=0
	while [ $done_kills -lt "$kills" ] && [ $rounds -lt $((kills * 2)) ]; do
		rounds=$((rounds + 1))
		round=$((round + 1))
		work=$TMP/work$round
		cp -a "$root" "$work"
		rec-sync probe -q -C "$work" --remote "$(remote_of r$round)" >/dev/null || broken "$kind: probe fails"
		sent_before=$(proxy_stats | jq .bytes_up)
		n=0
		: >run.err
		while [ $done_kills -lt "$kills" ]; do
			broken_network
			killed rec-sync push -q --events -C "$work" --remote "$(remote_of r$round)" && break
			n=$((n + 1))
			done_kills=$((done_kills + 1))
			is_midway && midway=$((midway + 1))
		done
		good_network
		rec-sync push -q --events -C "$work" --remote "$(remote_of r$round)" >>run.out 2>>run.err </dev/null ||
		    broken "$kind: after $n kills the last run ends with $?: $(grep -v '^{' run.err | tail -n 1)"
		retried=$(grep -c '"event":"retry"' run.err)
		states=$((states + n))
		check_round "$kind" r$round $n
		rm -rf "$work"
		# The server keeps all in memory; what is pulled is that of the first round.
		[ $round = 1 ] || clear_at r$round
	done
	echo "# $kind: $midway of the kills were within an upload in parts; $late of $rounds rounds left something to the next"
	[ $late -le $((1 + rounds / 10)) ] || broken "$kind: $late of $rounds rounds left something to the next"
	late=0
	is "push to $kind was killed often enough" $done_kills "$kills"
	ok "push to $kind was killed within an upload" test $midway -gt 0
	report "push to $kind, killed"
}

# ---- push to S3
in_flight=4
remote_of() { echo "s3://shelf/$1"; }
objects_of()
{
	local got=$TMP/got

	rm -rf "$got"
	aws --endpoint-url "$S3_ENDPOINT" s3 sync --quiet "s3://shelf/$1" "$got"
	(cd "$got" && sha256sum raw/* | sort -k 2)
}
left_at()
{
	s3_curl GET '/shelf?uploads=' | grep -o '<UploadId>[^<]*'
	s3_curl GET "/shelf?list-type=2&prefix=$1%2F.rectools%2Ftemp" | grep -o '<Key>[^<]*'
}
clear_at() { ! full || aws --endpoint-url "$S3_ENDPOINT" s3 rm --quiet --recursive "s3://shelf/$1"; }
push_killed S3 $kills

# ---- pull from S3
states=0
done_kills=0
midway=0
round=0
while [ $done_kills -lt $kills ] && [ $round -lt $((kills * 2)) ]; do
	round=$((round + 1))
	work=$TMP/pull$round
	mkdir "$work"
	printf '%s\n' APP_ENVIRONMENT=development RECORDINGS_RAW_PATH=recordings/raw RECORDINGS_EDITED_PATH=recordings/edited >"$work/.env"
	n=0
	while [ $done_kills -lt $kills ]; do
		broken_network
		killed rec-sync pull -q -C "$work" --remote s3://shelf/r1 && break
		n=$((n + 1))
		done_kills=$((done_kills + 1))
		[ -z "$(find "$work" -name '*.pull' -size +0)" ] || midway=$((midway + 1))
	done
	good_network
	rec-sync pull -q -C "$work" --remote s3://shelf/r1 >>run.out 2>>run.err </dev/null || broken "pull: after $n kills the last run ends with $?"
	states=$((states + n))
	diff wanted <(cd "$work/recordings" && sha256sum raw/* | sort -k 2) >diff || broken "pull: $n kills: files differ: $(head -3 diff)"
	left=$(find "$work" -path '*/temp/*' -o -name '*.pull')
	[ -z "$left" ] || broken "pull: $n kills: is left in temp: $left"
	rec-migrate verify -q -C "$work" >/dev/null || broken "pull: $n kills: verify is not content"
	rec-sync push -q -C "$work" --remote s3://shelf/r1 </dev/null >again 2>&1 || broken "pull: $n kills: a push afterwards fails"
	[ "$(jq -r .action again | sort -u | grep -vx prove)" = "" ] || broken "pull: $n kills: a push afterwards does $(jq -r .action again | sort | uniq -c | tr "\n" " ")"
	rm -rf "$work"
done
echo "# pull: $midway of the kills were within a file"
is "pull was killed often enough" $done_kills $kills
ok "pull was killed within a file" test $midway -gt 0
report "pull, killed"

# ---- push to WebDAV, to a server that patches: it goes on within a file
stop_servers
in_flight=1
rate=10000000
make_recordings 10 7 13
if have_apache_dav && start_apache_dav anna password && start_proxy "$DAV_PORT"; then
	export REC_WEBDAV_USER=anna REC_WEBDAV_PASSWORD=password
	remote_of() { echo "webdav://127.0.0.1:$PROXY_PORT/dav/$1"; }
	objects_of() { (cd "$DAV_DIR/$1" && sha256sum raw/* | sort -k 2); }
	left_at() { find "$DAV_DIR/$1/.rectools/temp" -type f 2>/dev/null; }
	clear_at() { rm -rf "${DAV_DIR:?}/$1"; }
	push_killed WebDAV $other_kills
	stop_servers
else
	skip "push to WebDAV" "${SERVER_ERROR:-no Apache}"
fi

# ---- push to Drive: no key is there twice
if have_drive && start_drive && start_proxy "$DRIVE_PORT"; then
	export GOOGLE_CLIENT_ID=client GOOGLE_CLIENT_SECRET=secret REC_GOOGLE_REFRESH_TOKEN=refresh
	export REC_GOOGLE_ENDPOINT=http://127.0.0.1:$PROXY_PORT
	remote_of() { echo "gdrive:$1"; }
	# files_of FOLDER KEYS: "ID KEY" of files whose key matches the pattern
	files_of()
	{
		find "$DRIVE_DIR/files" -name '*.json' -exec cat {} + | jq -rs --arg name "$1" --arg keys "$2" '
		    (map(select(.mimeType == "application/vnd.google-apps.folder" and .name == $name)) |
		    if length == 1 then .[0].id else error("\(length) folders") end) as $in |
		    .[] | select((.parents | index($in)) and ((.appProperties.rec_key // "no key") | test($keys))) |
		    "\(.id) \(.appProperties.rec_key)"'
	}
	objects_of()
	{
		files_of "$1" '^raw/' | while read -r id key; do
			printf '%s  %s\n' "$(sha256sum <"$DRIVE_DIR/files/$id.data" | cut -d ' ' -f 1)" "$key"
		done | sort -k 2
	}
	left_at()
	{
		files_of "$1" '^(no key|[.]rectools/temp/)'
		[ "$(files_of "$1" '^[.]rectools/catalogue[.]jsonl$' | wc -l)" = 1 ] || echo "not one catalogue"
	}
	clear_at()
	{
		curl -s -o /dev/null -X DELETE -H "Authorization: Bearer $(jq -r 'to_entries | max_by(.value).key' "$DRIVE_DIR/tokens.json")" \
		    "http://127.0.0.1:$DRIVE_PORT/drive/v3/files/$(grep -l "\"name\": \"$1\"" "$DRIVE_DIR"/files/*.json | xargs -r basename -s .json)"
	}
	push_killed Drive $other_kills
else
	skip "push to Drive" "${SERVER_ERROR:-no fake of it}"
fi
done_testing
