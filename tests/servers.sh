# servers.sh: real servers for the tests of rec-sync, on 127.0.0.1, each with a port and a folder of its own.
# Bash; sourced after lib.sh (or by a script that sets TOP and TMP, and calls stop_servers at its end):
#
#	. "$(dirname "$0")/../lib.sh"
#	. "$TOP/tests/servers.sh"
#	have_radosgw || plan_skip "no radosgw"
#	start_radosgw && make_bucket takes || plan_skip "radosgw does not start: $SERVER_ERROR"
#
# A start_X returns when the server answers; on failure it returns 1, with why in $SERVER_ERROR, and its log is
# below $TMP/servers. They are called in the test's own shell, not in $(...). All of them end with the test: the
# usual way, or by the kernel (PR_SET_PDEATHSIG) when the test is killed. have_X tells whether X is installed.
#
#	start_radosgw [memstore|bluestore [tls]]
#	                                    Ceph: S3_ENDPOINT S3_KEY S3_SECRET S3_PORT; bluestore for gigabytes (7 s
#	                                    to start); with tls TLS_URL TLS_PORT CA_FILE too, of its own
#	start_s3rver                        npm's s3rver, kept in build/s3rver: the same
#	start_s3_fake [RULES]               tests/data/s3-fake: the same, and S3_RULES S3_LOG S3_DIR
#	s3_rules JSON                       gives the last s3-fake new rules
#	s3_curl METHOD PATH [CURL-ARG...]   a signed request to the last S3 server, its answer on stdout
#	make_bucket NAME
#	start_apache_dav [USER PASSWORD]    mod_dav: DAV_URL (http://127.0.0.1:PORT/dav) DAV_PORT DAV_DIR
#	start_nginx_dav [USER PASSWORD]     the same
#	start_rclone_dav [USER PASSWORD]    the same
#	start_drive                         tests/data/drive-fake: DRIVE_ENDPOINT DRIVE_PORT DRIVE_DIR
#	start_tls_front URL                 TLS and HTTP/2 before any of these: TLS_URL TLS_PORT CA_FILE
#	start_proxy PORT [RULES]            tests/data/fault-proxy before PORT: PROXY_PORT PROXY_RULES PROXY_STATS
#	proxy_rules JSON                    gives the last proxy new rules
#	proxy_stats                         what the last proxy counted so far, as JSON
#	stop_server                         ends the server that was started last
#	stop_servers                        ends all
#	server_pids                         the processes of all

PATH=$PATH:/usr/sbin:/sbin
_servers=$TMP/servers
mkdir -p "$_servers" || exit 1
_started=()	# "PID..." of each server
_serial=0
SERVER_ERROR=
for _v in $(compgen -v AWS_) http_proxy https_proxy HTTPS_PROXY all_proxy ALL_PROXY; do
	unset "$_v"
done

# ---- processes and ports ----

# _spawn LOG CMD...: in the background, as a child of this shell; $_pid. When the shell dies it gets $_death, or
# KILL.
_spawn()
{
	local log=$1

	shift
	setpriv --pdeathsig "${_death:-KILL}" -- "$@" >>"$log" 2>&1 &
	_pid=$!
	disown $_pid
	_pids+=("$_pid")
}

# Below the ports that the kernel gives to connections, and none that is in use.
_free_port()
{
	local hex

	while :; do
		_port=$((10000 + SRANDOM % 22000))
		printf -v hex '%04X' $_port
		grep -qi ":$hex " /proc/net/tcp /proc/net/tcp6 2>/dev/null || return 0
	done
}

# _listens PID PORT: it, and nobody else, has the socket.
_listens()
{
	local hex inode

	printf -v hex '%04X' "$2"
	inode=$(awk -v at="0100007F:$hex" '$2 == at && $4 == "0A" { print $10; exit }' /proc/net/tcp)
	[ -n "$inode" ] && [ -n "$(find "/proc/$1/fd" -lname "socket:\[$inode\]" 2>/dev/null)" ]
}

# _poll PID CMD...: until CMD succeeds; 20 s at most, and only while PID lives.
_poll()
{
	local pid=$1 end=$((SECONDS + 20))

	shift
	until "$@"; do
		kill -0 "$pid" 2>/dev/null || return 1
		[ $SECONDS -lt $end ] || return 1
		sleep 0.02
	done
}

# _start NAME FUNCTION ARG...: FUNCTION in a fresh folder, $_dir; thrice, as somebody may take a port before it.
_start()
{
	local name=$1 try

	shift
	for try in 1 2 3; do
		_serial=$((_serial + 1))
		_dir=$_servers/$name.$_serial
		_log=$_dir/log
		_pids=()
		if ! mkdir "$_dir"; then
			break
		elif "$@"; then
			_started+=("${_pids[*]}")
			SERVER_ERROR=
			return 0
		fi
		_end "${_pids[@]}"
	done
	SERVER_ERROR="$name, attempt $try: $(tail -qn 1 "$_dir"/log* 2>/dev/null | head -c 300)"
	return 1
}

_end()
{
	local pid

	[ $# -gt 0 ] || return 0
	kill -TERM "$@" 2>/dev/null
	for pid; do
		timeout 3 tail -s 0.02 --pid="$pid" -f /dev/null || kill -KILL "$pid" 2>/dev/null
	done
}

stop_server()
{
	[ ${#_started[@]} -gt 0 ] || return 0
	# shellcheck disable=SC2086 # a list of words
	_end ${_started[-1]}
	unset '_started[-1]'
}

# What they hold is thrown away, so none is asked to save it.
stop_servers()
{
	local pid

	for pid in $(server_pids); do
		kill -TERM "$pid" 2>/dev/null
	done
	while [ ${#_started[@]} -gt 0 ]; do
		stop_server
	done
}

server_pids()
{
	echo "${_started[*]}"
}

# With the status that the test ends with.
_finish_servers()
{
	local rc=$?

	stop_servers
	(exit $rc)
	_finish
}
if [ "$(type -t _finish)" = function ]; then
	trap _finish_servers EXIT
fi

_have()
{
	local program

	for program; do
		command -v "$program" >/dev/null || return 1
	done
}

have_radosgw() { _have radosgw ceph-mon ceph-osd ceph monmaptool ceph-authtool radosgw-admin curl; }
have_s3rver() { _have node && { [ -e "$TOP/build/s3rver/done" ] || _have npm flock; }; }
have_s3_fake() { _have python3; }
have_apache_dav() { _have apache2 openssl && [ -e /usr/lib/apache2/modules/mod_dav_fs.so ]; }
have_nginx_dav() { _have nginx openssl && [ -e /usr/lib/nginx/modules/ngx_http_dav_ext_module.so ]; }
have_rclone_dav() { _have rclone; }
have_drive() { _have python3 && [ -x "$TOP/tests/data/drive-fake" ]; }
have_tls_front() { _have nginx openssl; }
have_proxy() { _have python3; }

# ---- S3 ----

# Its own CA; one for all servers of a test.
_certificate()
{
	CA_FILE=$_servers/ca.pem
	[ -s "$CA_FILE" ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
	    -subj /CN=rectools-test -addext subjectAltName=IP:127.0.0.1,DNS:localhost \
	    -keyout "$_servers/key.pem" -out "$CA_FILE" >>"$_log" 2>&1
}

# Ceph as small as it goes: a monitor, an OSD, radosgw, a user. Long paths do not fit into the names of its
# sockets, so it has none.
_radosgw_conf()
{
	cat <<END
[global]
fsid = $1
mon host = [v2:127.0.0.1:$2,v1:127.0.0.1:$3]
mon initial members = a
keyring = $_dir/keyring
auth allow insecure global id reclaim = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
mon allow pool size one = true
osd crush chooseleaf type = 0
mon max pg per osd = 2000
paxos propose interval = 0.05
paxos min wait = 0.01
run dir = $_dir
log file =
log to stderr = true
err to stderr = true
mon cluster log to file = false
admin socket =
pid file =
[mon.a]
mon data = $_dir/mon
mon data avail crit = 1
mon data avail warn = 1
[osd]
osd data = $_dir/osd
osd objectstore = $5
memstore device bytes = 8589934592
bluestore block size = 10737418240
bluestore cache autotune = false
bluestore cache size = 134217728
osd heartbeat interval = 1
bdev aio poll ms = 10
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:$4 $6
rgw data = $_dir/rgw
rgw thread pool size = 32
rgw gc obj min wait = 1
rgw gc processor period = 2
rgw gc processor max time = 2
END
}

_radosgw_keys()
{
	local name

	ceph-authtool "$_dir/keyring" --create-keyring --gen-key -n mon. --cap mon 'allow *' || return 1
	for name in client.admin client.rgw osd.0; do
		ceph-authtool "$_dir/keyring" --gen-key -n "$name" --cap mon 'allow *' --cap osd 'allow *' \
		    --cap mgr 'allow *' || return 1
	done
}

_radosgw_user()
{
	timeout 20 radosgw-admin -c "$_dir/ceph.conf" -n client.rgw user create --uid=t --display-name=t \
	    --access-key=testkey --secret-key=testsecret
}

_radosgw()
{
	local fsid osd id mon mon1 tls='' conf=$_dir/ceph.conf

	if [ "${2:-}" = tls ]; then
		_certificate || return 1
		_free_port; TLS_PORT=$_port
		tls="ssl_endpoint=127.0.0.1:$TLS_PORT ssl_certificate=$CA_FILE ssl_private_key=$_servers/key.pem"
	fi
	_free_port; mon=$_port
	_free_port; mon1=$_port
	_free_port; S3_PORT=$_port
	fsid=$(cat /proc/sys/kernel/random/uuid)
	osd=$(cat /proc/sys/kernel/random/uuid)
	mkdir "$_dir"/{mon,osd,rgw} || return 1
	_radosgw_conf "$fsid" $mon $mon1 $S3_PORT "$1" "$tls" >"$conf"
	{
		monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$mon,v1:127.0.0.1:$mon1]" \
		    "$_dir/monmap" && _radosgw_keys &&
		    ceph-mon -c "$conf" -i a --mkfs --monmap "$_dir/monmap" --keyring "$_dir/keyring"
	} >>"$_log" 2>&1 || return 1
	_spawn "$_log-mon" ceph-mon -f -c "$conf" -i a
	_poll $_pid _listens $_pid $mon || return 1
	id=$(timeout 20 ceph -c "$conf" osd new "$osd" 2>>"$_log") || return 1
	ceph-osd -c "$conf" -i "$id" --mkfs --osd-uuid "$osd" >>"$_log" 2>&1 || return 1
	_spawn "$_log-osd" ceph-osd -f -c "$conf" -i "$id"
	_spawn "$_log-rgw" radosgw -f -c "$conf" -n client.rgw
	_poll $_pid _listens $_pid $S3_PORT && _radosgw_user >>"$_log" 2>&1
}

start_radosgw()
{
	_start radosgw _radosgw "${1:-memstore}" "${2:-}" || return 1
	[ "${2:-}" != tls ] || TLS_URL=https://127.0.0.1:$TLS_PORT
	S3_ENDPOINT=http://127.0.0.1:$S3_PORT S3_KEY=testkey S3_SECRET=testsecret
}

# Once for all tests of this tree.
_s3rver_install()
{
	local to=$TOP/build/s3rver

	mkdir -p "$to" || return 1
	(
		flock 9 || exit 1
		[ -e "$to/done" ] && exit 0
		_have npm && timeout 120 npm install --ignore-scripts --no-audit --no-fund --prefix "$to" \
		    s3rver@3.7.1 >"$to/log" 2>&1 && touch "$to/done"
	) 9>"$to/lock"
}

# Its continuation tokens are encrypted by a cipher that OpenSSL 3 calls legacy.
_s3rver()
{
	_free_port; S3_PORT=$_port
	mkdir "$_dir/data"
	_spawn "$_log" node --openssl-legacy-provider "$TOP/build/s3rver/node_modules/s3rver/bin/s3rver.js" -a 127.0.0.1 -p $S3_PORT \
	    -d "$_dir/data" --silent
	_poll $_pid _listens $_pid $S3_PORT
}

start_s3rver()
{
	if ! have_s3rver || ! _s3rver_install; then
		SERVER_ERROR="s3rver is not installed, and npm cannot"
		return 1
	fi
	_start s3rver _s3rver || return 1
	S3_ENDPOINT=http://127.0.0.1:$S3_PORT S3_KEY=S3RVER S3_SECRET=S3RVER
}

# _put FILE TEXT: whole or not at all, as the fakes read it at any time.
_put()
{
	printf '%s\n' "$2" >"$1.new" && mv "$1.new" "$1"
}

_s3_fake()
{
	S3_RULES=$_dir/rules S3_LOG=$_dir/requests S3_DIR=$_dir/data
	_put "$S3_RULES" "$1"
	S3_KEY=fakekey S3_SECRET=fakesecret
	S3_FAKE_KEY=$S3_KEY S3_FAKE_SECRET=$S3_SECRET _spawn "$_log" "$TOP/tests/data/s3-fake" "$S3_DIR" \
	    "$_dir/port" "$S3_RULES" "$S3_LOG"
	_poll $_pid test -s "$_dir/port" && S3_PORT=$(cat "$_dir/port")
}

start_s3_fake()
{
	_start s3-fake _s3_fake "${1:-"{}"}" || return 1
	S3_ENDPOINT=http://127.0.0.1:$S3_PORT
}

s3_rules()
{
	_put "$S3_RULES" "$1"
}

s3_curl()
{
	local method=$1 path=$2

	shift 2
	curl -sS --fail-with-body --max-time 20 -K - -X "$method" --aws-sigv4 aws:amz:us-east-1:s3 \
	    -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' "$@" "$S3_ENDPOINT$path" <<<"user = \"$S3_KEY:$S3_SECRET\""
}

make_bucket()
{
	s3_curl PUT "/$1" >/dev/null 2>"$_servers/make_bucket" && return 0
	SERVER_ERROR="bucket $1: $(head -c 300 "$_servers/make_bucket")"
	return 1
}

# ---- WebDAV ----

# _passwords USER PASSWORD: a file for basic authentication.
_passwords()
{
	printf '%s:%s\n' "$1" "$(openssl passwd -apr1 -stdin <<<"$2")" >"$_dir/passwords"
}

_apache_conf()
{
	cat <<END
ServerRoot "$_dir"
ServerName localhost
PidFile "$_dir/run/pid"
DefaultRuntimeDir "$_dir/run"
Listen 127.0.0.1:$DAV_PORT
ErrorLog "$_dir/log"
$(for module in mpm_event authz_core authz_user authn_core authn_file auth_basic dav dav_fs mime; do
	echo "LoadModule ${module}_module /usr/lib/apache2/modules/mod_$module.so"
done)
TypesConfig /dev/null
Timeout 60
KeepAliveTimeout 30
MaxKeepAliveRequests 0
StartServers 1
MaxConnectionsPerChild 0
DavLockDB "$_dir/run/locks"
DocumentRoot "$_dir/data"
<Location /dav>
Dav On
$1
</Location>
END
}

_apache_dav()
{
	local require='Require all granted' as=()

	_free_port; DAV_PORT=$_port
	DAV_DIR=$_dir/data/dav
	mkdir -p "$DAV_DIR" "$_dir/run" || return 1
	: >"$_log"
	if [ $# = 2 ]; then
		_passwords "$@"
		require="AuthType Basic
AuthName dav
AuthUserFile \"$_dir/passwords\"
Require valid-user"
	fi
	_apache_conf "$require" >"$_dir/conf"
	# It refuses to be root, so $TMP must let another user pass.
	if [ "$(id -u)" = 0 ]; then
		as=(setpriv --reuid www-data --regid www-data --clear-groups --pdeathsig TERM --)
		chmod go+x "$TMP" "$_servers" && chown -R www-data:www-data "$_dir" || return 1
	fi
	# Its own processes would outlive it.
	_death=TERM _spawn "$_log" "${as[@]}" apache2 -DFOREGROUND -f "$_dir/conf"
	_poll $_pid _listens $_pid $DAV_PORT
}

start_apache_dav()
{
	_start apache _apache_dav "$@" || return 1
	DAV_URL=http://127.0.0.1:$DAV_PORT/dav
}

# One process, which stays who it is: nothing to drop, and no worker that could outlive it.
_nginx_conf()
{
	cat <<END
$1
daemon off;
master_process off;
pid $_dir/pid;
error_log $_log warn;
events { worker_connections 1000; }
http {
	access_log off;
	client_max_body_size 0;
	client_body_temp_path $_dir/body;
	proxy_temp_path $_dir/proxy;
	fastcgi_temp_path $_dir/fastcgi;
	uwsgi_temp_path $_dir/uwsgi;
	scgi_temp_path $_dir/scgi;
	keepalive_requests 1000000;
	http2_recv_buffer_size 1m;
	default_type application/octet-stream;
$(cat)
}
END
}

_nginx()
{
	_spawn "$_log" nginx -e "$_log" -p "$_dir" -c "$_dir/conf"
	_poll $_pid _listens $_pid "$1"
}

_nginx_dav()
{
	local auth=

	_free_port; DAV_PORT=$_port
	DAV_DIR=$_dir/data/dav
	mkdir -p "$DAV_DIR" || return 1
	if [ $# = 2 ]; then
		_passwords "$@"
		auth="auth_basic dav; auth_basic_user_file $_dir/passwords;"
	fi
	_nginx_conf "load_module /usr/lib/nginx/modules/ngx_http_dav_ext_module.so;" >"$_dir/conf" <<END
	server {
		listen 127.0.0.1:$DAV_PORT;
		root $_dir/data;
		location /dav {
			$auth
			dav_methods PUT DELETE MKCOL COPY MOVE;
			dav_ext_methods PROPFIND OPTIONS;
			dav_access user:rw group:r all:r;
		}
	}
END
	_nginx $DAV_PORT
}

start_nginx_dav()
{
	_start nginx _nginx_dav "$@" || return 1
	DAV_URL=http://127.0.0.1:$DAV_PORT/dav
}

_rclone_dav()
{
	_free_port; DAV_PORT=$_port
	DAV_DIR=$_dir/data/dav
	mkdir -p "$DAV_DIR" || return 1
	HOME=$_dir RCLONE_CONFIG=/dev/null RCLONE_USER=${1:-} RCLONE_PASS=${2:-} _spawn "$_log" \
	    rclone serve webdav --addr 127.0.0.1:$DAV_PORT --cache-dir "$_dir/cache" "$_dir/data"
	_poll $_pid _listens $_pid $DAV_PORT
}

start_rclone_dav()
{
	_start rclone _rclone_dav "$@" || return 1
	DAV_URL=http://127.0.0.1:$DAV_PORT/dav
}

# ---- Drive ----

_drive()
{
	DRIVE_DIR=$_dir/data
	mkdir "$DRIVE_DIR" || return 1
	_spawn "$_log" "$TOP/tests/data/drive-fake" --dir "$DRIVE_DIR" --port-file "$_dir/port"
	_poll $_pid test -s "$_dir/port" && DRIVE_PORT=$(cat "$_dir/port")
}

start_drive()
{
	_start drive _drive || return 1
	DRIVE_ENDPOINT=http://127.0.0.1:$DRIVE_PORT
}

# ---- before other servers ----

# Destination names the outer server, which a WebDAV server behind it would refuse.
_tls_front()
{
	local url=${1%/} origin

	origin=$(sed -E 's,^(https?://[^/]+).*,\1,' <<<"$url")
	_free_port; TLS_PORT=$_port
	_certificate || return 1
	_nginx_conf '' >"$_dir/conf" <<END
	map \$http_destination \$inner_destination {
		default \$http_destination;
		~^https://[^/]+(?<inner_path>/.*)\$ $origin\$inner_path;
	}
	upstream inner {
		server ${origin#*//};
		keepalive 64;
	}
	server {
		listen 127.0.0.1:$TLS_PORT ssl http2;
		http2_body_preread_size 1m;
		client_body_buffer_size 1m;
		ssl_certificate $CA_FILE;
		ssl_certificate_key $_servers/key.pem;
		location / {
			proxy_pass http://inner;
			proxy_http_version 1.1;
			proxy_request_buffering off;
			proxy_buffering off;
			proxy_read_timeout 600;
			proxy_set_header Host \$http_host;
			proxy_set_header Connection "";
			proxy_set_header Destination \$inner_destination;
		}
	}
END
	_nginx $TLS_PORT || return 1
	TLS_URL=https://127.0.0.1:$TLS_PORT${url#"$origin"}
}

start_tls_front()
{
	_start tls _tls_front "$1"
}

_proxy()
{
	PROXY_RULES=$_dir/rules PROXY_STATS=$_dir/stats
	_put "$PROXY_RULES" "$2"
	_spawn "$_log" "$TOP/tests/data/fault-proxy" "$1" "$_dir/port" "$PROXY_RULES" "$PROXY_STATS"
	_poll $_pid test -s "$_dir/port" || return 1
	PROXY_PORT=$(cat "$_dir/port") _proxy_pid=$_pid
}

start_proxy()
{
	_start proxy _proxy "$1" "${2:-"{}"}"
}

proxy_rules()
{
	_put "$PROXY_RULES" "$1"
}

proxy_stats()
{
	rm -f "$PROXY_STATS"
	kill -USR1 "$_proxy_pid" && _poll "$_proxy_pid" test -s "$PROXY_STATS" && cat "$PROXY_STATS"
}
