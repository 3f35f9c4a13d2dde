#!/bin/bash
# The servers that the tests of rec-sync use are what they are said to be: they start, keep what they are given,
# and end with the test; the fake S3 is one to clients that we did not write, and fails as it is told; the proxy
# delays, cuts and stalls where it is told. All of it in the long proof (make check-sync).
long=${REC_SYNC:-}
. "$(dirname "$0")/../lib.sh"
[ "$long" = full ] || plan_skip "a part of make check-sync"
. "$TOP/tests/servers.sh"

for tool in curl jq python3 setpriv; do
	_have $tool || plan_skip "no $tool here"
done
head -c 3000000 /dev/urandom >take.wav

# gone PID...: none of them is left, within three seconds; one that nobody has waited for is none
gone()
{
	local i

	for ((i = 0; i < 60; i++)); do
		ps -o stat= -p "$(tr ' ' , <<<"$*")" | grep -qv '^Z' || return 0
		sleep 0.05
	done
	ps -o pid,stat,args -p "$(tr ' ' , <<<"$*")"
	return 1
}

# code CURL-ARG...: the HTTP status
code()
{
	curl -sS -o /dev/null -w '%{http_code}' --max-time 20 "$@" 2>>curl.err
}

signed()
{
	s3_curl "$@" 2>>curl.err
}

# after RULE-JSON METHOD PATH [CURL-ARG...]: the status and the S3 error of a request under one rule
after()
{
	s3_rules "{\"rules\": [$1]}"
	shift
	: >answer
	signed "$@" -o answer -w '%{http_code} '
	grep -ao '<Code>[A-Za-z]*' answer | cut -c 7-
}

# ---- each server: it starts, keeps a file, and is gone when it is stopped ----

s3_keeps()
{
	local name=$1 pids

	shift
	if ! "$@"; then
		is "$name starts" "$SERVER_ERROR" ""
		return
	fi
	ok "$name: a bucket" make_bucket takes
	ok "$name: put" signed PUT /takes/raw/take.wav --data-binary @take.wav
	signed GET /takes/raw/take.wav >back
	ok "$name: what was put comes back" cmp take.wav back
	is "$name: a wrong key is refused" "$(S3_SECRET=wrong; signed GET /takes -o /dev/null -w '%{http_code}')" 403
	pids=$(server_pids)
	stop_server
	# shellcheck disable=SC2086 # a list of words
	ok "$name: no process is left" gone $pids
}

dav_keeps()
{
	local name=$1 pids

	shift
	if ! "$@" user 'pass:word'; then
		is "$name starts" "$SERVER_ERROR" ""
		return
	fi
	is "$name: a password is wanted" "$(code -T take.wav "$DAV_URL/take.wav")" 401
	is "$name: put" "$(code -u 'user:pass:word' -T take.wav "$DAV_URL/take.wav")" 201
	ok "$name: it is a file there" cmp take.wav "$DAV_DIR/take.wav"
	is "$name: PROPFIND" "$(code -u 'user:pass:word' -X PROPFIND -H 'Depth: 1' "$DAV_URL/")" 207
	pids=$(server_pids)
	stop_server
	# shellcheck disable=SC2086 # a list of words
	ok "$name: no process is left" gone $pids
	"$@"
	is "$name without a password: put" "$(code -T take.wav "$DAV_URL/take.wav")" 201
	stop_server
}

if have_radosgw; then
	s3_keeps radosgw start_radosgw
else
	skip radosgw "not installed"
fi
if have_s3_fake; then
	s3_keeps s3-fake start_s3_fake
fi
if have_s3rver && start_s3rver; then
	ok "s3rver: a bucket" make_bucket takes
	ok "s3rver: put" signed PUT /takes/raw/take.wav --data-binary @take.wav
	stop_server
else
	skip s3rver "${SERVER_ERROR:-no node, npm}"
fi
for server in apache nginx rclone; do
	if have_${server}_dav; then
		dav_keeps $server start_${server}_dav
	else
		skip $server "not installed"
	fi
done
if have_drive; then
	start_drive || is "drive-fake starts" "$SERVER_ERROR" ""
	is "drive-fake wants a token" "$(code "$DRIVE_ENDPOINT/drive/v3/files")" 401
	stop_server
else
	skip drive-fake "not there"
fi

# ---- the TLS front ----

if have_tls_front && have_apache_dav; then
	start_apache_dav || is "apache starts" "$SERVER_ERROR" ""
	start_tls_front "$DAV_URL" || is "the front starts" "$SERVER_ERROR" ""
	is "front: put through TLS" "$(code --cacert "$CA_FILE" -T take.wav "$TLS_URL/a.wav")" 201
	is "front: MOVE names the front, and works" \
	    "$(code --cacert "$CA_FILE" -X MOVE -H "Destination: $TLS_URL/b.wav" "$TLS_URL/a.wav")" 201
	ok "front: it moved" cmp take.wav "$DAV_DIR/b.wav"
	is "front: HTTP/2" "$(curl -sS --cacert "$CA_FILE" -o back -w '%{http_version}' "$TLS_URL/b.wav")" 2
	is "front: who does not know the CA does not connect" "$(code "$TLS_URL/b.wav")" 000
	stop_server
	stop_server
fi

# ---- a killed test ----

cat >victim <<'END'
TOP=$1 TMP=$2
. "$TOP/tests/servers.sh"
for server in radosgw s3_fake apache_dav nginx_dav rclone_dav; do
	have_$server && { start_$server || echo "$SERVER_ERROR" >&2; }
done
start_proxy "$DAV_PORT"
server_pids >"$TMP/pids"
exec sleep 600
END
mkdir killed
bash victim "$TOP" "$TMP/killed" 2>victim.err &
victim=$!
disown $victim
_poll $victim test -s killed/pids
pids=$(cat killed/pids)
ok "a test that started all: they run" test "$(wc -w <<<"$pids")" -ge 2
is "it said nothing" "$(cat victim.err)" ""
# Their own children, too.
children=$(pgrep -P "${pids// /,}")
kill -KILL $victim
# shellcheck disable=SC2086 # a list of words
ok "a test that is killed leaves no process" gone $pids $children

# ---- the fake S3, by other people's clients ----

start_s3_fake '{"page": 7}' || plan_skip "$SERVER_ERROR"
make_bucket takes || is "a bucket" "$SERVER_ERROR" ""
export AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null \
    AWS_DEFAULT_REGION=us-east-1
aws=(env "AWS_ACCESS_KEY_ID=$S3_KEY" "AWS_SECRET_ACCESS_KEY=$S3_SECRET" aws --endpoint-url "$S3_ENDPOINT")
head -c 17000000 /dev/urandom >long.wav
mkdir tree
for i in $(seq 20); do
	echo "take $i" >"tree/Nr. $i – ünïcode (1)+~'!*.wav"
done
if _have aws; then
	ok "aws: multipart upload" "${aws[@]}" s3 cp --only-show-errors long.wav s3://takes/aws/long.wav
	ok "aws: download in ranges" "${aws[@]}" s3 cp --only-show-errors s3://takes/aws/long.wav aws.back
	ok "aws: the same bytes" cmp long.wav aws.back
	ok "aws: 20 odd names" "${aws[@]}" s3 cp --only-show-errors --recursive tree s3://takes/aws/tree
	is "aws: lists pages of 7" "$("${aws[@]}" s3 ls --recursive s3://takes/aws/ | wc -l)" 21
	ok "aws: gets all back" "${aws[@]}" s3 cp --only-show-errors --recursive s3://takes/aws/tree aws.tree
	ok "aws: the same names and bytes" diff -r tree aws.tree
	run env AWS_ACCESS_KEY_ID="$S3_KEY" AWS_SECRET_ACCESS_KEY=wrong aws --endpoint-url "$S3_ENDPOINT" s3 ls s3://takes
	stderr_has "aws: a wrong secret" SignatureDoesNotMatch
	ok "aws: delete" "${aws[@]}" s3 rm --only-show-errors --recursive s3://takes/aws/
	is "aws: nothing is left" "$("${aws[@]}" s3 ls --recursive s3://takes/aws/ | wc -l)" 0
else
	skip aws "not installed"
fi
if _have s3cmd; then
	cat >s3cfg <<END
access_key = $S3_KEY
secret_key = $S3_SECRET
host_base = 127.0.0.1:$S3_PORT
host_bucket = 127.0.0.1:$S3_PORT
use_https = False
END
	ok "s3cmd: multipart upload" s3cmd -q -c s3cfg put long.wav s3://takes/cmd/long.wav --multipart-chunk-size-mb=5
	ok "s3cmd: sync" s3cmd -q -c s3cfg sync tree/ s3://takes/cmd/tree/
	ok "s3cmd: sync back" s3cmd -q -c s3cfg sync s3://takes/cmd/tree/ cmd.tree/
	ok "s3cmd: the same names and bytes" diff -r tree cmd.tree
	ok "s3cmd: move" s3cmd -q -c s3cfg mv s3://takes/cmd/long.wav s3://takes/cmd/moved.wav
	ok "s3cmd: download" s3cmd -q -c s3cfg get s3://takes/cmd/moved.wav cmd.back
	ok "s3cmd: the same bytes" cmp long.wav cmd.back
else
	skip s3cmd "not installed"
fi

make_objects()
{
	local i

	for i in 1 2 3; do
		signed PUT "/takes/raw/$i.wav" --data-binary "take $i"
	done
}
s3_rules '{}'
ok "three objects" make_objects

# ---- the fake S3, told to fail ----

s3_rules '{"rules": [{"op": "get", "key": "takes/raw/*", "times": 2, "error": "SlowDown", "retry_after": 7}]}'
is "SlowDown twice, then the object" "$(for _ in 1 2 3; do
	signed GET /takes/raw/1.wav -o /dev/null -w '%{http_code} ' -D head
	grep -i '^retry-after' head | tr -d '\r\n'
done)" "503 Retry-After: 7503 Retry-After: 7200 "
is "429" "$(after '{"error": "TooManyRequests"}' GET /takes/raw/1.wav)" "429 TooManyRequests"
is "403 of our choice" "$(after '{"error": "QuotaExceeded"}' PUT /takes/raw/4.wav -d x)" "403 QuotaExceeded"
is "the log tells which rule" "$(tail -n 1 "$S3_LOG" | jq -c '[.op, .key, .status, .rule]')" '["put","takes/raw/4.wav",403,0]'
s3_rules '{"clock_offset": 3600}'
is "a clock that is off" "$(signed GET /takes/raw/1.wav -o answer -w '%{http_code}')" 403
ok "it says so, and what time it has" grep -q 'RequestTimeTooSkewed.*<ServerTime>' answer
is "a lost answer: no status" "$(after '{"op": "put", "drop": "after"}' PUT /takes/raw/lost.wav -d kept)" "000 "
s3_rules '{}'
is "a lost answer: it was done" "$(signed GET /takes/raw/lost.wav)" kept
is "dropped before: no status" "$(after '{"op": "put", "drop": "before"}' PUT /takes/raw/never.wav -d kept)" "000 "
s3_rules '{}'
is "dropped before: it was not done" "$(signed GET /takes/raw/never.wav -o /dev/null -w '%{http_code}')" 404
s3_rules '{"rules": [{"op": "get", "drop": "body"}]}'
signed GET /takes/raw/1.wav >answer
is "dropped in the middle of the body" "$(cat answer)" "tak"
s3_rules '{"rules": [{"op": "get", "flip": true}]}'
is "a bit that flips" "$(signed GET /takes/raw/1.wav)" "takd 1"
s3_rules '{"rules": [{"op": "put", "etag": "0123456789abcdef0123456789abcdef"}]}'
ok "an ETag that is wrong" grep -q '^ETag: "0123456789abcdef0' <(signed PUT /takes/raw/1.wav -d 'take 1' -D -)
is "a redirect" "$(after '{"redirect": "http://127.0.0.2:1/x"}' GET /takes/raw/1.wav)" "307 TemporaryRedirect"
s3_rules '{"rules": [{"op": "get", "stall": 0.4}]}'
began=$(date +%s%N)
signed GET /takes/raw/1.wav >/dev/null
ok "a stall of 0.4 s" test $((($(date +%s%N) - began) / 1000000)) -ge 400
s3_rules '{}'
is "If-None-Match: * on what is there" "$(signed PUT /takes/raw/1.wav -d new -H 'If-None-Match: *' -o /dev/null -w '%{http_code}')" 412
is "If-Match with another tag" "$(signed PUT /takes/raw/1.wav -d new -H 'If-Match: "00"' -o /dev/null -w '%{http_code}')" 412
is "a wrong Content-MD5" "$(signed PUT /takes/raw/5.wav -d new -H 'Content-MD5: AAAAAAAAAAAAAAAAAAAAAA==' -o /dev/null -w '%{http_code}')" 400
s3_rules '{"ignore": ["if-none-match", "content-md5"]}'
is "conditions that are ignored" "$(signed PUT /takes/raw/1.wav -d new -H 'If-None-Match: *' -o /dev/null -w '%{http_code}')" 200

# An upload in parts, whose end fails inside a 200, and has an empty tag.
s3_rules '{"rules": [{"op": "complete", "times": 1, "error": "InternalError", "inside": true},
    {"op": "complete", "etag": ""}]}'
upload=$(signed POST '/takes/parts.wav?uploads=' | grep -o '<UploadId>[0-9a-f]*' | cut -c 11-)
tag=$(signed PUT "/takes/parts.wav?partNumber=1&uploadId=$upload" --data-binary @take.wav -D - -o /dev/null |
    sed -n 's/^ETag: "\(.*\)"\r$/\1/p')
is "a part's ETag is its MD5" "$tag" "$(md5sum <take.wav | cut -c 1-32)"
ok "ListParts has it" grep -q "<PartNumber>1</PartNumber>.*$tag" <(signed GET "/takes/parts.wav?uploadId=$upload")
ok "ListMultipartUploads has it" grep -q "$upload" <(signed GET '/takes?uploads=')
end="<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"$tag\"</ETag></Part></CompleteMultipartUpload>"
is "Complete: an error inside a 200" \
    "$(signed POST "/takes/parts.wav?uploadId=$upload" -d "$end" -o answer -w '%{http_code}') $(grep -c InternalError answer)" "200 1"
is "Complete again: an empty ETag" \
    "$(signed POST "/takes/parts.wav?uploadId=$upload" -d "$end" -o answer -w '%{http_code}') $(grep -c '<ETag></ETag>' answer)" "200 1"
is "the object's ETag is made of the parts'" "$(signed HEAD /takes/parts.wav -I | sed -n 's/^ETag: "\(.*\)"\r$/\1/p')" \
    "$(md5sum <take.wav | cut -c 1-32 | xxd -r -p | md5sum | cut -c 1-32)-1"

# listing KIND: what a listing of takes/raw/ is
listing()
{
	s3_rules "{\"page\": 2, \"rules\": [{\"op\": \"list\", \"listing\": \"$1\"}]}"
	signed GET '/takes?list-type=2&prefix=raw%2F' >answer
}
listing endless
ok "listing: endless" grep -q '<IsTruncated>true.*<NextContinuationToken>1<' answer
listing no_token
is "listing: truncated without a token" "$(grep -c '<IsTruncated>true' answer) $(grep -c Token answer)" "1 0"
listing names
ok "listing: hostile names" grep -q '<Key>raw/raw/../../etc/cron.d/x</Key>' answer
listing outside
ok "listing: outside the prefix" grep -q '<Key>/etc/passwd</Key>' answer
listing huge
ok "listing: a huge key" test "$(grep -o 'h*' answer | awk '{ if (length > n) n = length } END { print n }')" -eq 100000
listing bomb
ok "listing: a bomb of entities" grep -q '<!ENTITY e9' answer
listing nonsense
ok "listing: 2 MB of nonsense" test "$(wc -c <answer)" -eq 2097152
listing invalid
ok "listing: XML that ends early" python3 -c 'import sys, xml.dom.minidom as m
try: m.parse("answer")
except Exception: sys.exit(0)
sys.exit(1)'
listing unordered
ok "listing: out of order" python3 -c 'import re, sys; k = re.findall("<Key>(.*?)<", open("answer").read()); sys.exit(k == sorted(k) or len(k) != 2)'
listing repeated
signed GET '/takes?continuation-token=cmF3LzIud2F2&list-type=2&prefix=raw%2F' >again
ok "listing: the same page again" cmp answer again
stop_server

# ---- the proxy ----



if ! have_nginx_dav; then
	skip proxy "no nginx"
	done_testing
fi
start_nginx_dav || is "nginx starts" "$SERVER_ERROR" ""
curl -sS -T take.wav "$DAV_URL/take.wav"
start_proxy "$DAV_PORT" || is "the proxy starts" "$SERVER_ERROR" ""
url=http://127.0.0.1:$PROXY_PORT/dav/take.wav

# fetched: how many bytes came, and curl's status
fetched()
{
	local rc

	: >back
	curl -sS --max-time "${1:-20}" -o back "$url" 2>>curl.err
	rc=$?
	echo "$(wc -c <back) $rc"
}
ms()
{
	local began

	began=$(date +%s%N)
	"$@" >/dev/null
	echo $((($(date +%s%N) - began) / 1000000))
}
is "proxy: all comes through" "$(fetched)" "3000000 0"
ok "proxy: to the byte" cmp take.wav back
proxy_rules '{"rtt_ms": 100}'
took=$(ms fetched)
ok "proxy: a connection and a request are two round trips of 100 ms (took $took)" test "$took" -ge 200 -a "$took" -lt 1500
proxy_rules '{"rate_down": 3000000}'
took=$(ms fetched)
ok "proxy: 3 MB at 3 MB/s are a second (took $took)" test "$took" -ge 900 -a "$took" -lt 4000
ok "proxy: to the byte" cmp take.wav back
proxy_rules '{"rate_up": 6000000, "rtt_ms": 20}'
took=$(ms curl -sS -T take.wav "$url")
ok "proxy: up at 6 MB/s (took $took)" test "$took" -ge 450 -a "$took" -lt 4000
proxy_rules '{"cut_down_after": 100000}'
fetched >/dev/null
size=$(wc -c <back)
ok "proxy: cut after 100,000 bytes, head included (body $size)" test "$size" -lt 100000 -a "$size" -gt 90000
proxy_rules '{"cut_down_after": 100000, "cut_by": "fin", "only_connections": 1}'
fetched >/dev/null
size=$(wc -c <back)
ok "proxy: cut by FIN (body $size)" test "$size" -lt 100000 -a "$size" -gt 99000
is "proxy: and only the first connection" "$(fetched)" "3000000 0"
proxy_rules '{"cut_up_after": 50}'
is "proxy: cut before the request is whole" "$(code "$url")" 000
proxy_rules '{"stall_down_after": 5000}'
took=$(ms fetched 1)
size=$(wc -c <back)
ok "proxy: a stall is silent: curl gives up itself (took $took, body $size)" test "$took" -ge 1000 -a "$size" -lt 5000
proxy_rules '{"stall_down_after": 0}'
curl -sS --max-time 20 -o back "$url" &
waiting=$!
sleep 0.5
proxy_rules '{}'
wait $waiting
is "proxy: a stall that is lifted goes on" "$?" 0
ok "proxy: to the byte" cmp take.wav back
proxy_rules '{"refuse_every": 2}'
is "proxy: each second connection is refused" "$(for _ in 1 2 3 4; do code "$url"; echo -n ' '; done)" "200 000 200 000 "
draws()
{
	proxy_rules "{\"random\": {\"seed\": $1, \"refuse\": 0.5}, \"only_connections\": 12}"
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
		code "$url"
	done
}
first=$(draws 7)
is "proxy: a seed's faults are the same again" "$(draws 7)" "$first"
ok "proxy: there are faults, and none" grep -q '000.*200\|200.*000' <<<"$first"
ok "proxy: another seed, other faults" test "$(draws 8)" != "$first"
proxy_stats >"$out"
jq_is "proxy: it counts" '[.cut >= 3, .stalled >= 2, .refused >= 2, .bytes_down > 12000000, .bad_rules] | tojson' \
    '[true,true,true,true,0]'
proxy_rules '{"stall_down_after": 100}'
seq 20 | xargs -P 20 -I{} curl -s --max-time 0.5 -o back{} "$url"
proxy_rules '{}'
is "proxy: after 20 clients that gave up it serves" "$(fetched)" "3000000 0"
sleep 0.3
ok "proxy: and keeps nothing of theirs" test "$(ls "/proc/$_proxy_pid/fd" | wc -l)" -lt 20
is "proxy: rules that it does not know leave the old ones" "$(proxy_rules '{"x": 1}'; sleep 0.3; fetched)" "3000000 0"
proxy_stats >"$out"
jq_is "proxy: and are counted" '.bad_rules > 0' true
is "proxy: it has nothing to complain about" "$(cat "${PROXY_RULES%/*}/log")" ""
done_testing
