#!/bin/bash
# rec-sync with WebDAV: Apache, nginx and rclone as they are, unprobed and probed, through TLS, and through a front that
# says no, sends elsewhere, loses answers and cuts what is sent. nginx and rclone in the long proof (make check-sync);
# rec-sync-servers.t has them, too.
long=${REC_SYNC:-}
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/servers.sh"
for tool in jq sqlite3 python3 sox curl; do
	command -v $tool >/dev/null || plan_skip "needs $tool"
done
export REC_PART_MB=5 REC_ATTEMPTS=4 REC_STALL_S=1 REC_TRANSFERS=2

"$TOP/tests/data/make-archive" pristine 0002 || plan_skip "no archive"
sqlite3 pristine/db/app.db 'DELETE FROM recordings; DELETE FROM jobs'
rm -f pristine/recordings/raw/*
sox -n -r 44100 -b 16 -c 1 one.wav synth 0.3 sine 440
sox -n -r 44100 -b 16 -c 1 two.wav synth 65 noise vol 0.5
sox -n -r 44100 -b 16 -c 1 three.wav synth 140 noise vol 0.5
sox -n -r 44100 -b 16 -c 1 'f%6Fur é #&.wav' synth 0.4 sine 660
for f in one two three 'f%6Fur é #&'; do
	rec-meta add -q -C pristine --title "$f" "$TMP/$f.wav" >/dev/null
done
# A name that has to be escaped in each of addresses, headers and XML.
odd='a %41?#&<ü>;+é.wav'
mv "pristine/recordings/raw/$(sqlite3 pristine/db/app.db 'SELECT stored_filename FROM recordings WHERE id = 4')" "pristine/recordings/raw/$odd"
sqlite3 pristine/db/app.db "UPDATE recordings SET stored_filename = '$odd' WHERE id = 4"
rec-migrate apply -q -C pristine >/dev/null

fresh_root()
{
	root=$TMP/work
	rm -rf "$root"
	cp -a pristine "$root"
}

sql() { sqlite3 -init /dev/null "$root/db/app.db" "$1"; }
stored() { sql "SELECT stored_filename FROM recordings WHERE id = $1"; }
said() { jq -r '[(.id // "-"), .action, (.problem.code // "")] | map(tostring) | join(" ")' "$out" | sed 's/ $//' | sort -n | paste -sd ,; }
push() { run rec-sync push -C "$root" --remote "$remote" "$@"; }
wanted() { (cd "$root/recordings" && sha256sum raw/* | sort -k 2); }
there() { (cd "$DAV_DIR/$1" && sha256sum raw/* | sort -k 2); }
temps() { find "$DAV_DIR/$1/.rectools/temp" -type f 2>/dev/null | wc -l; }

all_there()
{
	is "$1: all is there, once" "$(there "$2")" "$(wanted)"
	is "$1: nothing is in temp" "$(temps "$2")" 0
	is "$1: no upload is noted" "$(sql 'SELECT count(*) FROM rec_uploads')$(ls -A "$root/db/sync")" 0
}

# Somebody else's hand, by the server, as one of them does not see what is done behind it.
by_hand()
{
	local method=$1 path

	path=$(jq -rn --arg path "$2" '$path | split("/") | map(@uri) | join("/")')
	curl -sS --fail -o /dev/null -X "$method" -u "${REC_WEBDAV_USER:-}:${REC_WEBDAV_PASSWORD:-}" "${@:3}" "$DAV_URL/$path"
}
put_there() { by_hand PUT "$1" --data-binary @one.wav; }
drop_there() { by_hand DELETE "$1"; }

# life NAME PREFIX: what a remote goes through
life()
{
	local name=$1 at=$2 a b large

	run rec-sync plan -C "$root" --remote "$remote"
	is "$name: plan" "$(said)" "1 upload,2 upload,3 upload,4 upload"
	sql "INSERT INTO jobs (id, file_path, status) VALUES ('job', 'recordings/raw/$(stored 2)', 'pending')"
	push
	status "$name: push" 0
	is "$name: push: each" "$(said)" "1 upload,2 upload,3 upload,4 upload"
	is "$name: push: proven by reading, as nothing there makes hashes" "$(jq -r .proof "$out" | sort -u)" read
	all_there "$name: push" "$at"
	is "$name: push: the job has the address" "$(sql 'SELECT status, drive_file_id FROM jobs')" "succeeded|$remote/raw/$(stored 2)"
	push
	is "$name: push again does nothing" "$st $(said)" "0 "
	run rec-sync verify -C "$root" --remote "$remote" --download
	status "$name: verify --download" 0

	a=$(stored 1) b=$(stored 3)
	mv "$root/recordings/raw/$a" x && mv "$root/recordings/raw/$b" "$root/recordings/raw/$a" && mv x "$root/recordings/raw/$b"
	mv "$root/recordings/raw/$(stored 2)" "$root/recordings/raw/renamed.wav"
	sql "UPDATE recordings SET stored_filename = 'renamed.wav' WHERE id = 2; UPDATE recordings SET stored_filename = 'x' WHERE id = 1;
	     UPDATE recordings SET stored_filename = '$a' WHERE id = 3; UPDATE recordings SET stored_filename = '$b' WHERE id = 1"
	rec-migrate apply -q -C "$root" >/dev/null
	push
	is "$name: renames" "$st $(said)" "0 1 rename,2 rename,3 rename"
	all_there "$name: renames" "$at"

	sox -n -r 44100 -b 16 -c 1 "$root/recordings/raw/$(stored 1)" synth 0.6 sine 990
	sox -n -r 44100 -b 16 -c 1 "$root/recordings/raw/$(stored 3)" synth 60 noise vol 0.3
	rec-meta refresh -q -C "$root" 1 3 >/dev/null
	push
	is "$name: changed here" "$st $(said)" "0 1 replace,3 replace"
	all_there "$name: changed here" "$at"

	put_there "$at/raw/$odd"
	push
	is "$name: changed there is a conflict" "$st $(said)" "1 4 prove conflict"
	ok "$name: and stays" cmp one.wav "$DAV_DIR/$at/raw/$odd"
	drop_there "$at/raw/$odd"
	put_there "$at/raw/somebody's"
	push
	is "$name: what is gone there is sent again" "$st $(said)" "0 4 upload"
	ok "$name: what is not ours is left" cmp one.wav "$DAV_DIR/$at/raw/somebody's"
	drop_there "$at/raw/somebody's"
	rm -rf "fresh"
	mkdir fresh
	printf '%s\n' APP_ENVIRONMENT=production RECORDINGS_RAW_PATH=recordings/raw RECORDINGS_EDITED_PATH=recordings/edited >fresh/.env
	run rec-sync pull -C fresh --remote "$remote"
	status "$name: pull into an empty folder" 0
	is "$name: pull: all files" "$(cd fresh/recordings && sha256sum raw/* | sort -k 2)" "$(wanted)"
	large=$(stored 3)
	rm "fresh/recordings/raw/$large"
	mkdir -p fresh/recordings/temp
	head -c 2000000 "$root/recordings/raw/$large" >"fresh/recordings/temp/$large.pull"
	run rec-sync pull -C fresh --remote "$remote"
	is "$name: pull: gone on with" "$(jq -c '[.action, .fetched_bytes]' "$out") $(cd fresh/recordings && sha256sum raw/* | sort -k 2 | cksum)" \
	    "[\"restore\",$(($(stat -c %s "$root/recordings/raw/$large") - 2000000))] $(wanted | cksum)"
	rec-meta rm -q -C "$root" --purge 4 >/dev/null
	push --delete
	is "$name: --delete" "$st $(said)" "0 - delete"
	is "$name: --delete: into the trash" "$(cd "$DAV_DIR/$at/.rectools/trash" && find . -name "$odd" | wc -l)" 1
	all_there "$name: --delete" "$at"
}

# probed NAME FILTER WANTED
probed()
{
	run rec-sync probe -C "$root" --remote "$remote"
	status "$1: probe" 0
	jq_is "$1: probe: what it is found to do" "$2" "$3"
	is "$1: probe: is remembered" "$(sql "SELECT json_extract(probed, '\$.conditional') FROM rec_remotes WHERE url = '$remote'" 2>&1)" \
	    "$(jq -r '.capabilities.conditional | if . then 1 else 0 end' "$out")"
	is "$1: probe: leaves nothing there" "$(find "$DAV_DIR/${remote##*/}" -type f | wc -l)" 0
}

# web_server ADDRESS: one that knows no WebDAV; $web_port, $www is its process, and www.log has a line for each request
web_server()
{
	mkdir -p www
	: >www.log
	setpriv --pdeathsig KILL -- python3 -u -m http.server -b "$1" -d www 0 >www.log 2>&1 &
	www=$!
	disown
	for ((i = 0; i < 400; i++)); do grep -q 'port [0-9]' www.log && break; sleep 0.02; done
	web_port=$(sed -n 's/.* port \([0-9]*\).*/\1/p' www.log)
}

can='.capabilities | [.conditional, .partial_put, .copy]'

# ---- Apache, with a password
if have_apache_dav && start_apache_dav anna 'pass wörd:§'; then
	export REC_WEBDAV_USER=anna REC_WEBDAV_PASSWORD='pass wörd:§'
	remote=webdav://127.0.0.1:$DAV_PORT/dav/unprobed
	fresh_root
	life "Apache, unprobed" unprobed
	fresh_root
	remote=webdav://127.0.0.1:$DAV_PORT/dav/probed
	probed Apache "$can" '[true,true,true]'
	life "Apache, probed" probed

	fresh_root
	remote=webdav://127.0.0.1:$DAV_PORT/dav/wrong
	began=$(date +%s%N)
	REC_WEBDAV_PASSWORD=wrong-one push
	took=$((($(date +%s%N) - began) / 1000000))
	status "a wrong password: status" 3
	ok "a wrong password: at once ($took ms)" test "$took" -le 1500
	stderr_has "a wrong password: is told" REC_WEBDAV_PASSWORD
	ok "a wrong password: is not shown" bash -c '! grep -q wrong-one "$@"' - "$out" "$errf"
	REC_WEBDAV_USER='' REC_WEBDAV_PASSWORD='' push
	status "no password: status" 3
	stderr_has "no password: what to set" REC_WEBDAV_USER
	is "neither password nor its base64 is in the archive" \
	    "$(grep -rlaF -e 'pass wörd' -e "$(printf %s "$REC_WEBDAV_USER:$REC_WEBDAV_PASSWORD" | base64)" "$root" fresh)" ""

	# ---- through TLS
	start_tls_front "http://127.0.0.1:$DAV_PORT/dav" || plan_skip "no TLS: $SERVER_ERROR"
	fresh_root
	remote=webdavs://127.0.0.1:$TLS_PORT/dav/tls
	began=$(date +%s%N)
	push
	took=$((($(date +%s%N) - began) / 1000000))
	status "a certificate that is not trusted: status" 3
	ok "a certificate that is not trusted: at once ($took ms)" test "$took" -le 1500
	stderr_has "a certificate that is not trusted: is told" 'certificate|CA'
	REC_CA_FILE=$TMP/nowhere push
	status "no file of certificates: status" 3
	stderr_has "no file of certificates: is told" 'nowhere'
	export REC_CA_FILE=$CA_FILE
	REC_CA_FILE=$CA_FILE probed TLS "$can" '[true,true,true]'
	life TLS tls
	stop_server
	unset REC_CA_FILE

	# ---- a front that says no
	cat >front.py <<'PY'
"""front PORT PORTFILE RULES: before a server; RULES, a JSON list of a serial number and rules, read anew at each request:
{"method": REGEX, "path": REGEX, "times": N, "skip": N, "status": N, "headers": {}, "do": "lost"|"cut"|"stall"}"""
import http.client, http.server, json, os, re, socketserver, sys, threading, time
port, portfile, rules = int(sys.argv[1]), sys.argv[2], sys.argv[3]
lock, seen = threading.Lock(), {}

class Front(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def rule(self):
        with lock:
            with open(rules) as f:
                serial, *listed = json.load(f)
                for i, r in enumerate(listed):
                    if not (re.fullmatch(r.get("method", ".*"), self.command) and re.search(r.get("path", ""), self.path)):
                        continue
                    n = seen[serial, i] = seen.get((serial, i), -1) + 1
                    if r.get("skip", 0) <= n < r.get("skip", 0) + r.get("times", 1):
                        with open("hits", "a") as hits:
                            hits.write("%d %d %s %s %s\n" % (serial, i, self.command, self.path, self.headers.get("Destination", "")))
                        return r
        return {}

    def any(self):
        r = self.rule()
        left = int(self.headers.get("Content-Length", 0))
        if r.get("do") == "stall":
            time.sleep(3)
            return self.end()
        c = http.client.HTTPConnection("127.0.0.1", port)
        if "status" in r:
            while left > 0:
                left -= len(self.rfile.read(min(left, 1 << 16)))
            self.send_response(r["status"])
            for k, v in r.get("headers", {}).items():
                self.send_header(k, v)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        c.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for k, v in self.headers.items():
            if k.lower() not in ("connection", "expect"):
                c.putheader(k, v.replace("127.0.0.1:%d" % self.server.server_port, "127.0.0.1:%d" % port))
        c.endheaders()
        most = left // 2 if r.get("do") == "cut" else left
        while most > 0:
            piece = self.rfile.read(min(most, 1 << 16))
            if not piece:
                return self.end()
            most -= len(piece)
            left -= len(piece)
            c.send(piece)
        if left > 0:
            c.close()
            return self.end()
        a = c.getresponse()
        data = a.read()
        if r.get("do") == "lost":
            return self.end()
        self.send_response_only(a.status)
        for k, v in a.getheaders():
            if k.lower() not in ("connection", "transfer-encoding", "content-length", "keep-alive"):
                self.send_header(k, v)
        if a.status != 204:
            self.send_header("Content-Length", a.getheader("Content-Length", str(len(data))) if self.command == "HEAD" else str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def end(self):
        self.close_connection = True

    do_GET = do_PUT = do_PROPFIND = do_MKCOL = do_MOVE = do_COPY = do_DELETE = do_HEAD = do_OPTIONS = any

class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, *args):
        pass

s = Server(("127.0.0.1", 0), Front)
with open(portfile + ".new", "w") as f:
    f.write(str(s.server_port))
os.rename(portfile + ".new", portfile)
s.serve_forever()
PY
	serial=0
	front() { serial=$((serial + 1)); printf '[%d%s]\n' $serial "${1:+, $1}" >rules.new && mv rules.new rules; }
	front ''
	setpriv --pdeathsig KILL -- python3 front.py "$DAV_PORT" front.port rules >front.log 2>&1 &
	front_pid=$!
	disown
	for ((i = 0; i < 400; i++)); do [ -s front.port ] && break; sleep 0.02; done
	trap 'kill $front_pid; _finish_servers' EXIT
	n=0

	# try RULES: push to a fresh folder, once to a server that was probed before
	try()
	{
		n=$((n + 1))
		remote=webdav://127.0.0.1:$(cat front.port)/dav/f$n
		fresh_root
		front ''
		[ "${known:-}" = '' ] || rec-sync probe -q -C "$root" --remote "$remote" >/dev/null
		front "$1"
		ruled=$serial
		began=$(date +%s%N)
		push
		took=$((($(date +%s%N) - began) / 1000000))
		front ''
	}

	recovers()
	{
		for known in '' probed; do
			try "$2"
			status "$1 $known: status" 0
			is "$1 $known: each fault was met" "$(awk -v s=$ruled '$1 == s { print $2 }' hits | sort -u | wc -l)" "$(jq length <<<"[$2]")"
			is "$1 $known: the records" "$(said)" "1 upload,2 upload,3 upload,4 upload"
			all_there "$1 $known" f$n
		done
	}

	# refused NAME RULES STATUS PATTERN [WITHIN-MS]
	refused()
	{
		known=
		try "$2"
		status "$1: status" "$3"
		stderr_has "$1: is told" "$4"
		[ -z "${5:-}" ] || ok "$1: at once ($took ms)" test "$took" -le "$5"
	}

	then_well()
	{
		push
		status "$1: the next run: status" 0
		all_there "$1: the next run" f$n
	}

	recovers "503 with Retry-After" '{"method": "PUT", "status": 503, "headers": {"Retry-After": "1"}, "times": 2}'
	recovers "500, 502 and 429" '{"status": 500, "skip": 1}, {"status": 502, "skip": 4}, {"method": "MOVE", "status": 429}'
	recovers "lost answers of PUT" '{"method": "PUT", "path": "raw|temp", "do": "lost", "times": 3}'
	recovers "lost answers of MOVE and MKCOL" '{"method": "MOVE", "do": "lost", "times": 2}, {"method": "MKCOL", "do": "lost", "times": 2}'
	recovers "lost answers of PROPFIND and GET" '{"method": "PROPFIND", "do": "lost", "times": 2}, {"method": "GET", "do": "lost", "times": 2}'
	recovers "a PUT that is cut" '{"method": "PUT", "do": "cut", "times": 3, "skip": 1}'
	recovers "a stall" '{"method": "PUT", "do": "stall", "times": 1, "skip": 2}'
	stderr_has "a stall: is told" 'no byte from or to .* for 1 s; tried again'

	# ---- a COPY that may act late
	try ''
	name=$(stored 1)
	mv "$root/recordings/raw/$name" "$root/recordings/raw/copied.wav"
	sql "UPDATE recordings SET stored_filename = 'copied.wav' WHERE id = 1"
	rec-migrate apply -q -C "$root" >/dev/null
	front '{"method": "COPY", "do": "lost", "times": 2}, {"method": "MOVE", "path": "temp", "do": "pass"}'
	push
	is "lost answers of COPY: a rename" "$st $(said)" "0 1 rename"
	moved=$(awk -v s=$serial '$1 == s && $3 == "MOVE" { print $4 }' hits)
	ok "lost answers of COPY: what is moved is another copy" test -n "$moved"
	is "lost answers of COPY: than those" "$(awk -v s=$serial '$1 == s && $3 == "COPY" { print $5 }' hits | grep -c "temp/") $(awk -v s=$serial '$1 == s && $3 == "COPY" { print $5 }' hits | grep -cF "$moved")" "2 0"
	all_there "lost answers of COPY" f$n
	front ''

	refused "507" '{"method": "PUT", "status": 507, "times": 999}' 4 'no room'
	then_well "507"
	refused "401 for ever" '{"status": 401, "headers": {"WWW-Authenticate": "Basic realm=x"}, "times": 999}' 3 'REC_WEBDAV_USER' 1500
	refused "403 for ever" '{"status": 403, "times": 999}' 3 '403' 1500
	web_server 127.0.0.2
	away="{\"Location\": \"http://127.0.0.2:$web_port/\"}"
	refused "a redirect to another host" "{\"status\": 302, \"headers\": $away, \"times\": 999}" 3 'elsewhere' 1500
	refused "a redirect of uploads" "{\"method\": \"PUT\", \"status\": 307, \"headers\": $away, \"times\": 999}" 3 'elsewhere' 1500
	curl -s -o /dev/null "http://127.0.0.2:$web_port/seen"
	is "a redirect: nobody but this test was there" "$(grep -c '"' www.log) $(grep -c 'GET /seen' www.log)" "1 1"
	kill $www
	refused "503 for ever" '{"status": 503, "times": 999}' 4 503
	refused "no WebDAV: 405" '{"method": "PROPFIND|MKCOL", "status": 405, "times": 999}' 3 'no WebDAV' 1500
	refused "no WebDAV: 501" '{"method": "PROPFIND|MKCOL", "status": 501, "times": 999}' 3 'no WebDAV' 1500
	refused "no WebDAV: 200" '{"method": "PROPFIND|MKCOL", "status": 200, "headers": {"Content-Type": "text/html"}, "times": 999}' 3 'no WebDAV' 1500
	refused "one that is refused" '{"method": "PUT", "path": "raw|temp", "status": 415, "times": 1}' 1 415
	then_well "one that is refused"
	trap _finish_servers EXIT
	kill $front_pid
	stop_servers
	unset REC_WEBDAV_USER REC_WEBDAV_PASSWORD
else
	skip "Apache" "${SERVER_ERROR:-it is not installed}"
fi

# ---- a web server that is no WebDAV server
web_server 127.0.0.1
remote=webdav://127.0.0.1:$web_port/
fresh_root
began=$SECONDS
push
status "a web server without WebDAV: status" 3
ok "a web server without WebDAV: soon" test $((SECONDS - began)) -le 2
stderr_has "a web server without WebDAV: is told" 'no WebDAV'
run rec-sync probe -C "$root" --remote "$remote"
status "a web server without WebDAV: probe" 3
kill $www

# ---- nginx
if [ "$long" = full ] && have_nginx_dav && start_nginx_dav; then
	remote=webdav://127.0.0.1:$DAV_PORT/dav/unprobed
	fresh_root
	life "nginx, unprobed" unprobed
	fresh_root
	remote=webdav://127.0.0.1:$DAV_PORT/dav/probed
	probed nginx "$can" '[false,false,true]'
	life "nginx, probed" probed
	stop_servers
else
	skip "nginx" "${SERVER_ERROR:-it is not installed, or this is not make check-sync}"
fi

# ---- rclone: what is cut stays, truncated, and a part replaces the whole
if [ "$long" = full ] && have_rclone_dav && start_rclone_dav; then
	remote=webdav://127.0.0.1:$DAV_PORT/dav/unprobed
	fresh_root
	life "rclone, unprobed" unprobed
	fresh_root
	remote=webdav://127.0.0.1:$DAV_PORT/dav/probed
	probed rclone "$can" '[false,false,true]'
	life "rclone, probed" probed
	start_proxy "$DAV_PORT" '{"cut_up_after": 3000000, "only_connections": 4}' || plan_skip "no proxy: $SERVER_ERROR"
	fresh_root
	remote=webdav://127.0.0.1:$PROXY_PORT/dav/cut
	push
	status "rclone, what is cut: status" 0
	all_there "rclone, what is cut" cut
	ok "rclone, what is cut: it was" test "$(proxy_stats | jq .cut)" -ge 1
	proxy_rules '{"cut_up_after": 3000000}'
	fresh_root
	remote=webdav://127.0.0.1:$PROXY_PORT/dav/always
	push
	status "rclone, what is always cut: status" 4
	is "rclone, what is always cut: nothing half has a name" \
	    "$(there always 2>/dev/null | grep -vxFf <(wanted))" ""
	proxy_rules '{}'
	push
	status "rclone, and then: status" 0
	all_there "rclone, and then" always
else
	skip "rclone" "${SERVER_ERROR:-it is not installed}"
fi
done_testing
