#!/bin/bash
# A whole archive goes to each kind of server and comes back: interrupted and gone on with, judged by rclone (which
# reads every object), verified, sent again (nothing), pulled into an empty archive. Names are what people give
# files. REC_SYNC_FILES sets how many (`make check-sync` takes 2000, and s3rver too).
files=${REC_SYNC_FILES:-32}
long=${REC_SYNC:+s3rver}
given=${REC_SYNC_SERVERS:-radosgw $long apache nginx rclone drive file}
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/servers.sh"
for tool in jq sqlite3 python3 rclone sha256sum; do
	command -v $tool >/dev/null || plan_skip "needs $tool"
done
[ -r "$SHIM" ] || plan_skip "no fault shim $SHIM (make build/fault/shim.so)"
case $files in
'' | *[!0-9]*) plan_skip "REC_SYNC_FILES=$files is no number" ;;
esac
[ "$files" -ge 32 ] || plan_skip "REC_SYNC_FILES=$files is too few to be interrupted half-way"
export REC_PART_MB=5 RCLONE_CONFIG=/dev/null

# Recordings of noise with names that servers may not like, some edited, one in parts (none that begins with a dot:
# nginx does not list them); and mirror/, the same files
# under the keys that rec-archive(5) gives them.
src=$TMP/src
"$TOP/tests/data/make-archive" "$src" 0002 >/dev/null || plan_skip "no archive"
sqlite3 "$src/db/app.db" 'DELETE FROM recordings; DELETE FROM jobs'
rm -f "$src"/recordings/raw/* "$src"/recordings/edited/*
cat >make.py <<'END'
import os, random, sqlite3, struct, sys
root, n = os.fsencode(sys.argv[1]), int(sys.argv[2])
r = random.Random(n)
odd = ["a b", " lead", "100%", "50%25", "1+1", "no#1", "R&B", "it's", 'say "hi"', "[x]", "{y}", "a;b", "a,b", "x=y", "q?", "a@b:c",
       "<tag>", "st*r", "t~l", "d$l", "(p)", "ex!", "a..b", "-dash", "Größe", "Große", "録音", "Ωmega", "e\u0301", "😀 take",
       "b\\s", "a|b", "c^d", "`t`", "É%C3%89"]
db = sqlite3.connect(root + b"/db/app.db")
for i in range(n):
    folder = b"edited" if i % 8 == 7 else b"raw"
    if i == 0:
        name = b"n\xf6t utf-8 \xff.wav"
    else:
        name = ("%s%s.wav" % (odd[i % len(odd)], "" if i < len(odd) else " %d" % i)).encode()
    size = 6 << 20 if i == 5 else 2 * r.randrange(1000, 12000)
    path = b"/".join((root, b"recordings", folder, name))
    with open(path, "wb") as f:
        f.write(b"RIFF" + struct.pack("<I", size + 36) + b"WAVEfmt " +
                struct.pack("<IHHIIHH", 16, 1, 1, 44100, 88200, 2, 16) + b"data" + struct.pack("<I", size))
        f.write(r.randbytes(size))
    key = name if i != 0 else b"rec-hex-" + name.hex().encode()
    os.makedirs(b"mirror/" + folder, exist_ok=True)
    os.link(path, b"mirror/" + folder + b"/" + key)
    db.execute("INSERT INTO recordings (filename, stored_filename, title, duration, created_at) VALUES (?, CAST(? AS TEXT), ?, 0, ?)",
               ("take %d.wav" % i, name, "Take %d" % i, "2025-09-05 10:%02d:%02d" % (i // 60 % 60, i % 60)))
db.commit()
END
python3 make.py "$src" "$files" || plan_skip "no recordings"
run rec-migrate -q -C "$src" apply
status "the archive is measured" 0
sums() { (cd "$1" && find raw edited -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum); }
sums mirror >wanted
sums "$src/recordings" >wanted.files

# interrupt.py CMD...: INT after the first line of its output, which is passed on; or, under the shim, where that
# stops it.
cat >interrupt.py <<'END'
import os, signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)  # what a shell starts in the background ignores it
if "FAULT_AT" in os.environ:
    p = subprocess.Popen(sys.argv[1:])
    os.waitpid(p.pid, os.WUNTRACED)
    p.send_signal(signal.SIGINT)
    p.send_signal(signal.SIGCONT)
else:
    p = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, bufsize=0)
    first = p.stdout.readline()
    p.send_signal(signal.SIGINT)
    sys.stdout.buffer.write(first + p.stdout.read())
    sys.stdout.flush()
rc = p.wait()
sys.exit(128 - rc if rc < 0 else rc)
END

# half_way WORK REMOTE SERVER: a push that is interrupted while there is more to do. A network is made slow for it; a folder
# is not slowed, so there it is stopped in the middle of its calls.
half_way()
{
	local push=(rec-sync push -q -C "$1" --remote "$2" --transfers 2 --limit-rate 500K)

	ended=130
	case $3:$2 in
	# A PUT that is cut leaves half an object there, which nothing tells to be ours.
	s3rver:*)
		timed "some" rec-sync push -q -C "$1" --remote "$2" 1 2 3 4 5
		ended=0
		;;
	*:file:*)
		cp -a "$1" count
		mkdir count.there
		fault FAULT_AT=0 FAULT_COUNT="$TMP/calls" rec-sync push -q -C count --remote "file://$TMP/count.there" --transfers 2
		timed interrupted env FAULT_MODE=stop FAULT_AT=$(($(tail -n 1 calls) / 2)) python3 interrupt.py env LD_PRELOAD="$SHIM" "${push[@]}"
		rm -rf count count.there
		;;
	*) timed interrupted python3 interrupt.py "${push[@]}" ;;
	esac
}

# What is told of each recording, but where it is proven.
told() { rec-meta -C "$1" list --all | jq -cS .; }
ms() { echo $(($(date +%s%N) / 1000000)); }
timed()
{
	local name=$1 began

	shift
	began=$(ms)
	run "$@"
	times="$times $name $(($(ms) - began)) ms,"
}

# ---- judges: they print what is at the remote, hashed by reading, as `wanted`

# rclone check reads both sides; a listing shows that nothing is there twice.
judge_rclone()
{
	rclone check --one-way --download --checkers 8 "$TMP/mirror" "$1" 2>rclone.err || { cat rclone.err; return; }
	[ "$({ rclone lsf -R --files-only "$1/raw" && rclone lsf -R --files-only "$1/edited"; } | wc -l)" = "$files" ] ||
	    { echo "not $files objects"; return; }
	cat wanted
}
judge_file() { sums "$1"; }
cat >drive.py <<'END'
import glob, hashlib, json, sys
files = [json.load(open(p)) for p in glob.glob(sys.argv[1] + "/files/*.json")]
by = {f["id"]: f for f in files}
lines = []
for f in files:
    if f["mimeType"].endswith(".folder") or f["trashed"] or [by[p]["name"] for p in f["parents"]] != [sys.argv[2]]:
        continue
    p = f["appProperties"]["rec_key"]
    if not p.startswith(".rectools/"):
        lines.append((p, hashlib.sha256(open("%s/files/%s.data" % (sys.argv[1], f["id"]), "rb").read()).hexdigest()))
for p, sha in sorted(lines, key=lambda l: l[0].encode()):
    # as sha256sum does
    print("%s%s  %s" % ("\\" if "\\" in p else "", sha, p.replace("\\", "\\\\")))
END
judge_drive() { python3 drive.py "$DRIVE_DIR" "$1"; }

# round NAME REMOTE JUDGE ARG: the whole way
round()
{
	local name=$1 remote=$2 times=''
	local work=$TMP/$name/work new=$TMP/$name/new n

	mkdir "$TMP/$name"
	cp -a "$src" "$work"
	run rec-sync probe -q -C "$work" --remote "$remote"
	status "$name: probe" 0
	half_way "$work" "$remote" "$name"
	status "$name: INT ends it" $ended
	n=$(sqlite3 "$work/db/app.db" 'SELECT count(*) FROM rec_objects')
	ok "$name: half-way ($n of $files)" test "$n" -ge 1 -a "$n" -lt "$files"
	jq -c 'select(.problem == null) | .id' "$out" | sort >first
	timed push rec-sync push -q -C "$work" --remote "$remote"
	status "$name: gone on with" 0
	is "$name: every recording once" "$(jq -c .id "$out" | sort - first | uniq -d | wc -l) $(jq -c .id "$out" | sort -u - first | wc -l)" "0 $files"
	is "$name: what is there is what was sent" "$("$3" "$4" | LC_ALL=C sort -k 2)" "$(LC_ALL=C sort -k 2 wanted)"
	timed "no-op" rec-sync push -C "$work" --remote "$remote"
	is "$name: a second push has nothing to do" "$st $(cat "$out" "$errf")" "0 "
	timed verify rec-sync verify -q -C "$work" --remote "$remote"
	is "$name: verify is content" "$st $(tail -n 1 "$out" | jq -c '[.recordings, .verified, .missing, .different, .unproven, .foreign]')" "0 [$files,$files,0,0,0,0]"
	timed "verify --download" rec-sync verify -q --download -C "$work" --remote "$remote"
	is "$name: also when it reads" "$st $(tail -n 1 "$out" | jq -c '[.recordings, .verified]')" "0 [$files,$files]"
	mkdir "$new"
	timed pull rec-sync pull -q -C "$new" --remote "$remote"
	status "$name: pull into an empty archive" 0
	is "$name: all files are back" "$(sums "$new/recordings" | cmp - wanted.files 2>&1)" ""
	is "$name: and all that is told of them" "$(diff <(told "$work") <(told "$new") | head -n 5)" ""
	timed "no-op" rec-sync push -C "$new" --remote "$remote"
	is "$name: which has nothing to send" "$st $(jq -c 'select(.action != "prove")' "$out") $(cat "$errf")" "0  "
	is "$name: nothing is left behind" "$(ls -A "$work/db/sync" "$new/db/sync" "$new/recordings/temp" 2>/dev/null | grep -v -e ':$' -e '^$')" ""
	echo "# $name, $files files:${times%,}"
	rm -rf "${TMP:?}/$name"
}

s3()
{
	export AWS_ACCESS_KEY_ID=$S3_KEY AWS_SECRET_ACCESS_KEY=$S3_SECRET AWS_ENDPOINT_URL=$S3_ENDPOINT
	export RCLONE_CONFIG_SHELF_TYPE=s3 RCLONE_CONFIG_SHELF_PROVIDER=Other RCLONE_CONFIG_SHELF_ENDPOINT=$S3_ENDPOINT \
	    RCLONE_CONFIG_SHELF_ACCESS_KEY_ID=$S3_KEY RCLONE_CONFIG_SHELF_SECRET_ACCESS_KEY=$S3_SECRET
	make_bucket shelf || { is "$1: a bucket" "$SERVER_ERROR" ""; return; }
	round "$1" s3://shelf/our/takes judge_rclone shelf:shelf/our/takes
}

dav()
{
	export RCLONE_CONFIG_SHELF_TYPE=webdav RCLONE_CONFIG_SHELF_VENDOR=other RCLONE_CONFIG_SHELF_URL=$DAV_URL/takes
	round "$1" "webdav://127.0.0.1:$DAV_PORT/dav/takes" judge_rclone shelf:
}

for server in $given; do
	case $server in
	file)
		mkdir remote
		round file "file://$TMP/remote" judge_file "$TMP/remote"
		continue
		;;
	radosgw | s3rver | drive) start=$server ;;
	*) start=${server}_dav ;;
	esac
	if ! "have_$start" || ! "start_$start"; then
		skip "$server" "does not start: ${SERVER_ERROR:-not installed}"
		continue
	fi
	case $server in
	radosgw | s3rver) s3 $server ;;
	drive)
		export REC_GOOGLE_ENDPOINT=$DRIVE_ENDPOINT GOOGLE_CLIENT_ID=client GOOGLE_CLIENT_SECRET=secret REC_GOOGLE_REFRESH_TOKEN=refresh
		round drive gdrive:takes judge_drive takes
		;;
	*) dav $server ;;
	esac
	stop_server
done
done_testing
