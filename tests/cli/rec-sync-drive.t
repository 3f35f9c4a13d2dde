#!/bin/bash
# rec-sync with Google Drive, as far as a fake tells that follows Google's documentation (tests/cli/drive-fake.t holds
# it against Google's own client): what is sent, found, moved, fetched; what comes of each fault; where secrets are.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/servers.sh"
for tool in jq sqlite3 python3 sox curl; do
	command -v $tool >/dev/null || plan_skip "needs $tool"
done
have_drive || plan_skip "no drive-fake"

root=$TMP/archive
"$TOP/tests/data/make-archive" "$root" 0002 || plan_skip "no archive"
sqlite3 "$root/db/app.db" 'DELETE FROM recordings; DELETE FROM jobs'
rm -f "$root"/recordings/raw/*
sox -n -r 44100 -b 16 -c 1 one.wav synth 0.3 sine 440
sox -n -r 44100 -b 16 -c 1 two.wav synth 65 noise vol 0.5
sox -n -r 44100 -b 16 -c 1 three.wav synth 140 noise vol 0.5
sox -n -r 44100 -b 16 -c 1 four.wav synth 0.4 sine 660
for f in one two three four; do
	rec-meta add -q -C "$root" --title "It's \\ $f – ü" "$TMP/$f.wav" >/dev/null
done
pristine=$TMP/pristine
cp -a "$root" "$pristine"
start_drive || plan_skip "the fake Drive does not start: $SERVER_ERROR"
export GOOGLE_CLIENT_ID=client GOOGLE_CLIENT_SECRET=secret REC_GOOGLE_REFRESH_TOKEN=refresh
export REC_GOOGLE_ENDPOINT=$DRIVE_ENDPOINT REC_PART_MB=5 REC_ATTEMPTS=4 REC_STALL_S=1 REC_TRANSFERS=2
remote="gdrive:It's \\ mine"

sql() { sqlite3 -init /dev/null "$root/db/app.db" "$1"; }
stored() { sql "SELECT stored_filename FROM recordings WHERE id = $1"; }
fake() { curl -sS --fail -o /dev/null "$DRIVE_ENDPOINT/fake/$1" "${@:2}"; }
faults() { fake faults -X DELETE; [ -z "${1:-}" ] || fake faults -d "[$1]"; }
log() { curl -sS "$DRIVE_ENDPOINT/fake/log"; }
clear_log() { fake log -X DELETE; }
token() { curl -s "$DRIVE_ENDPOINT/token" -d grant_type=refresh_token -d client_id=client -d client_secret=secret -d refresh_token=refresh | jq -r .access_token; }
api() { curl -s -X "$1" -H "Authorization: Bearer $(token)" "$DRIVE_ENDPOINT$2" "${@:3}"; }

# every file with content that is not in Drive's own trash: its key, its hash by reading it
objects()
{
	local f key hash

	jq -r 'select(.mimeType != "application/vnd.google-apps.folder" and (.trashed | not)) |
	    [(input_filename | sub("json$"; "data")), .appProperties.rec_key // "no key"] | join("\t")' "$DRIVE_DIR"/files/*.json 2>/dev/null |
	    while IFS=$'\t' read -r f key; do
		hash=$(sha256sum <"$f")
		printf '%s  %s\n' "${hash%% *}" "$key"
	    done | sort -k 2
}

open_sessions() { for f in "$DRIVE_DIR"/sessions/*.json; do [ ! -e "$f" ] || jq -r 'select(.done == null) | "open"' "$f"; done | wc -l; }
recordings_there() { objects | grep -v '  \.rectools/'; }
wanted() { (cd "$root/recordings" && sha256sum raw/* | sort -k 2); }
said() { jq -r '[(.id // "-"), .action, (.problem.code // "")] | map(tostring) | join(" ")' "$out" | sed 's/ $//' | sort -n | paste -sd ,; }
push() { run rec-sync push -C "$root" --remote "$remote" "$@"; }
bytes_in() { log | grep -c 'upload_id=x'; }
id_of() { grep -lF "\"$1\"" "$DRIVE_DIR"/files/*.json | head -n 1 | xargs -r basename -s .json; }

# ---- everything is sent, once
run rec-sync probe -C "$root" --remote "$remote"
status "probe" 0
jq_is "probe: what it can" '.capabilities | [.conditional, .checksum, .copy]' '[true,true,true]'
is "probe: leaves nothing there" "$(objects)" ""
run rec-sync plan -C "$root" --remote "$remote"
is "plan" "$(said)" "1 upload,2 upload,3 upload,4 upload"
sql "INSERT INTO jobs (id, file_path, status) VALUES ('job-1', 'recordings/raw/$(stored 1)', 'pending'), ('job-3', 'recordings/raw/$(stored 3)', 'pending')"
clear_log
push
status "push" 0
is "push: each, once" "$(said)" "1 upload,2 upload,3 upload,4 upload"
is "push: proven by Drive's own SHA-256" "$(jq -r .proof "$out" | sort -u)" sha256
is "push: all is there, whole" "$(recordings_there)" "$(wanted)"
ok "push: the large ones went in several chunks" test "$(log | grep -c '^PUT .*upload_id=x 308$')" -ge 3
is "push: nothing is left open" "$(open_sessions) $(ls -A "$root/db/sync")" "0 "
is "push: jobs have the id of the file" \
    "$(sql "SELECT id, status, drive_file_id FROM jobs ORDER BY id" | paste -sd ,)" \
    "job-1|succeeded|$(id_of "raw/$(stored 1)"),job-3|succeeded|$(id_of "raw/$(stored 3)")"
is "push: what the application looks for" \
    "$(jq -c '[.name, .appProperties.source, .appProperties.content_sha256, .appProperties.file_size, (.appProperties.upload_date != null), .appProperties.tags]' "$DRIVE_DIR/files/$(id_of "raw/$(stored 1)").json")" \
    "$(printf '["%s","Voice Recorder Pro","%s","%s",true,""]' "$(jq -r .name "$DRIVE_DIR/files/$(id_of "raw/$(stored 1)").json")" "$(sha256sum <one.wav | cut -d ' ' -f 1)" "$(stat -c %s one.wav)")"
is "push: they are in one folder of that name" \
    "$(jq -r 'select(.mimeType == "application/vnd.google-apps.folder") | .name' "$DRIVE_DIR"/files/*.json)" "It's \\ mine"
clear_log
push
status "push again" 0
is "push again: nothing to do, and no byte is sent" "$(said)$(log | grep -c upload)" 0
run rec-sync verify -C "$root" --remote "$remote"
status "verify" 0
jq_is "verify: all" 'select(.key == null) | [.recordings, .verified]' "[4,4]"
run rec-sync verify -C "$root" --remote "$remote" --download
status "verify --download" 0

# ---- what the application has uploaded
sox -n -r 44100 -b 16 -c 1 five.wav synth 70 noise vol 0.4
sha=$(sha256sum <five.wav | cut -d ' ' -f 1)
folder=$(jq -r 'select(.mimeType == "application/vnd.google-apps.folder") | .id' "$DRIVE_DIR"/files/*.json)
# application_uploads FILE SHA256: as the application does, in its own words
application_uploads()
{
	jq -nc --arg folder "$folder" --arg sha "$2" --arg size "$(stat -c %s "$1")" '{name: "My take.wav", parents: [$folder],
	    description: "mine", appProperties: {source: "Voice Recorder Pro", upload_date: "2025-09-05T10:00:00", file_size: $size,
	    tags: "a,b", content_sha256: $sha}}' >meta.json
	api POST "/upload/drive/v3/files?uploadType=resumable" -D head -o /dev/null -H 'Content-Type: application/json' -d @meta.json
	api PUT "$(tr -d '\r' <head | sed -n "s|^Location: $DRIVE_ENDPOINT||p")" --data-binary "@$1" -H 'Content-Type: audio/wav' | jq -r .id
}
theirs=$(application_uploads five.wav "$sha")
rec-meta add -q -C "$root" "$TMP/five.wav" >/dev/null
sql "INSERT INTO jobs (id, file_path, status) VALUES ('job-5', 'recordings/raw/$(stored 5)', 'pending')"
clear_log
push
status "the application's file: status" 0
is "the application's file is found, by what it holds" "$(said)" "5 prove"
is "the application's file: nothing is sent again" "$(bytes_in)" 0
is "the application's file: its id is the job's" "$(sql "SELECT status, drive_file_id FROM jobs WHERE id = 'job-5'")" "succeeded|$theirs"
is "the application's file: its words stay, and it has our key" \
    "$(jq -c '[.name, .description, .appProperties.tags, .appProperties.content_sha256, .appProperties.rec_key]' "$DRIVE_DIR/files/$theirs.json")" \
    "[\"My take.wav\",\"mine\",\"a,b\",\"$sha\",\"raw/$(stored 5)\"]"
is "the application's file: none is doubled" "$(recordings_there)" "$(wanted)"
push
is "the application's file: and that was all" "$(said)" ""

# one that says of itself what is not so
sox -n -r 44100 -b 16 -c 1 six.wav synth 0.5 sine 220
theirs=$(application_uploads one.wav "$(sha256sum <six.wav | cut -d ' ' -f 1)")
rec-meta add -q -C "$root" "$TMP/six.wav" >/dev/null
push
is "a file that only claims to hold a recording is not believed" "$(said)" "6 upload"
is "… and is left alone" "$(jq -c '.appProperties.rec_key' "$DRIVE_DIR/files/$theirs.json")" null
api DELETE "/drive/v3/files/$theirs"
is "all is there" "$(recordings_there)" "$(wanted)"

# ---- renames
before=$(id_of "raw/$(stored 2)")
name=$(stored 2)
mv "$root/recordings/raw/$name" "$root/recordings/raw/renamed.wav"
a=$(stored 3) b=$(stored 4)
mv "$root/recordings/raw/$a" x && mv "$root/recordings/raw/$b" "$root/recordings/raw/$a" && mv x "$root/recordings/raw/$b"
sql "UPDATE recordings SET stored_filename = 'renamed.wav' WHERE id = 2; UPDATE recordings SET stored_filename = 'x' WHERE id = 3;
     UPDATE recordings SET stored_filename = '$a' WHERE id = 4; UPDATE recordings SET stored_filename = '$b' WHERE id = 3"
rec-migrate apply -q -C "$root" >/dev/null
clear_log
push
status "renames: status" 0
is "renames: two changed names, one has a new one" "$(said)" "2 rename,3 rename,4 rename"
is "renames: nothing is sent" "$(log | grep -c 'uploadType=')" "$(log | grep -c 'uploadType=multipart')"
is "renames: all is there under its name" "$(recordings_there)" "$(wanted)"
push
is "renames: and that was all" "$(said)" ""

# ---- changed here, changed there
cp six.wav "$root/recordings/raw/$(stored 1)"
sox -n -r 44100 -b 16 -c 1 "$root/recordings/raw/$(stored 2)" synth 66 noise vol 0.3
rec-meta refresh -q -C "$root" --force 1 2 >/dev/null 2>&1 || rec-meta refresh -q -C "$root" 1 2 >/dev/null
push
status "changed here: status" 0
is "changed here: it replaces ours" "$(said)" "1 replace,2 replace"
is "changed here: with its bytes, once" "$(recordings_there)" "$(wanted)"
there=$(id_of "raw/$(stored 4)")
api PATCH "/upload/drive/v3/files/$there?uploadType=media" -o /dev/null -H 'Content-Type: audio/wav' --data-binary @six.wav
push
status "changed there: status" 1
is "changed there: is a conflict" "$(said)" "4 prove conflict"
is "changed there: and stays" "$(sha256sum <"$DRIVE_DIR/files/$there.data")" "$(sha256sum <six.wav)"
api PATCH "/upload/drive/v3/files/$there?uploadType=media" -o /dev/null -H 'Content-Type: audio/wav' --data-binary "@$root/recordings/raw/$(stored 4)"
push
is "the same bytes are found again" "$(said)" "4 prove"
api DELETE "/drive/v3/files/$there"
push
is "what is gone there is sent again" "$(said)" "4 upload"
api PATCH "/drive/v3/files/$(id_of "raw/$(stored 4)")" -o /dev/null -H 'Content-Type: application/json' -d '{"trashed": true}'
push
is "so is what lies in Drive's own trash" "$(said)" "4 upload"
is "all is there" "$(recordings_there)" "$(wanted)"

# ---- two files with one key, as a create that was repeated by another tool makes
api POST "/drive/v3/files/$(id_of "raw/$(stored 6)")/copy" -o /dev/null -H 'Content-Type: application/json' -d '{}'
push
ok "two files of one key: ends with an answer ($st)" test "$st" -le 1
run rec-sync verify -C "$root" --remote "$remote"
status "two files of one key: the older one stands" 0
newest=$(grep -lF "\"raw/$(stored 6)\"" "$DRIVE_DIR"/files/*.json | xargs jq -r '[.createdTime, .id] | @tsv' | sort | tail -n 1 | cut -f 2)
api DELETE "/drive/v3/files/$newest"

# ---- fetched
mkdir fresh
printf '%s\n' APP_ENVIRONMENT=production RECORDINGS_RAW_PATH=recordings/raw RECORDINGS_EDITED_PATH=recordings/edited >fresh/.env
faults '{"match": "GET .*alt=media", "do": "cut", "skip": 2, "keep": 300000}, {"match": "GET .*alt=media", "do": "503", "skip": 2}'
run rec-sync pull -C fresh --remote "$remote"
status "pull into an empty folder" 0
is "pull: all files" "$(cd fresh/recordings && sha256sum raw/* | sort -k 2)" "$(wanted)"
is "pull: the same catalogue" "$(rec-meta -C fresh list | jq -cS 'del(.sync_status, .last_synced_at)')" "$(rec-meta -C "$root" list | jq -cS 'del(.sync_status, .last_synced_at)')"
faults
run rec-sync plan -C fresh --remote "$remote"
is "pull: nothing is to be sent from there" "$(said)" ""
rm "fresh/recordings/raw/$(stored 3)"
faults '{"match": "GET .*alt=media", "do": "corrupt", "times": 9}'
run rec-sync pull -C fresh --remote "$remote"
status "pull: wrong bytes" 1
ok "pull: wrong bytes are not taken in" test ! -e "fresh/recordings/raw/$(stored 3)"
faults
run rec-sync pull -C fresh --remote "$remote"
ok "pull: and then they are right" cmp "fresh/recordings/raw/$(stored 3)" "$root/recordings/raw/$(stored 3)"

# ---- deleted
name=$(stored 6)
rec-meta rm -q -C "$root" --purge 6 >/dev/null
push
is "nothing is deleted without being asked" "$(said) $(objects | grep -cF "  raw/$name")" " 1"
push --delete
status "--delete" 0
is "--delete: into the trash of the remote" "$(said) $(objects | grep -c "  \.rectools/trash/.*/raw/$name$") $(objects | grep -cF "  raw/$name")" "- delete 1 0"
rec-meta rm -q -C "$root" --purge 1 2 3 4 5 >/dev/null
push --delete
status "an empty catalogue deletes nothing: status" 3
is "an empty catalogue deletes nothing" "$(recordings_there | wc -l)" 5

# ---- faults ----

# Without folders of earlier tests, and sessions whose address was lost on its way.
empty_drive()
{
	local f

	for f in $(jq -r 'select(.mimeType == "application/vnd.google-apps.folder") | .id' "$DRIVE_DIR"/files/*.json 2>/dev/null); do
		api DELETE "/drive/v3/files/$f"
	done
	rm -f "$DRIVE_DIR"/sessions/*
}

n=0
# try FAULTS ARGUMENT...: push to a fresh folder of Drive under these
try()
{
	local rules=$1

	shift
	n=$((n + 1))
	remote=gdrive:f$n
	root=$TMP/work
	rm -rf "$root"
	cp -a "$pristine" "$root"
	fake settings -d '{"token_seconds": 3600, "revoked": false, "quota": null, "lag_s": 0, "creates_per_s": '"${creates:-null}"'}'
	empty_drive
	faults "$rules"
	clear_log
	began=$(date +%s%N)
	push "$@"
	took=$((($(date +%s%N) - began) / 1000000))
	not_met=$(curl -sS "$DRIVE_ENDPOINT/fake/faults")
	faults
}

all_there()
{
	local all=$(objects)

	is "$1: all is there, once" "$(grep -v '  \.rectools/' <<<"$all")" "$(wanted)"
	is "$1: nothing is in temp" "$(grep -c '  \.rectools/temp/' <<<"$all")" 0
	is "$1: no session is kept" "$(ls -A "$root/db/sync")" ""
}

recovers()
{
	try "$2"
	status "$1: status" 0
	is "$1: each fault was met" "$not_met" "[]"
	is "$1: the records" "$(said)" "1 upload,2 upload,3 upload,4 upload"
	all_there "$1"
}

# refused NAME FAULTS STATUS PATTERN [WITHIN-MS]
refused()
{
	try "$2"
	status "$1: status" "$3"
	stderr_has "$1: is told" "$4"
	[ -z "${5:-}" ] || ok "$1: at once ($took ms)" test "$took" -le "$5"
}

# then_well NAME: a later run does the rest
then_well()
{
	push
	status "$1: the next run: status" 0
	all_there "$1: the next run"
}

chunk='PUT .*upload_id'
begin='POST /upload/.*uploadType=resumable'
recovers "403 rateLimitExceeded" "{\"match\": \"/drive/v3/files\", \"do\": \"rateLimitExceeded\"}"
recovers "403 userRateLimitExceeded" "{\"match\": \"POST /(upload|drive)\", \"do\": \"userRateLimitExceeded\"}"
recovers "429" "{\"match\": \"$begin\", \"do\": \"429\", \"retry_after\": 1}"
ok "429: Retry-After is kept to" test "$took" -ge 900
creates=2 REC_TRANSFERS=32 REC_ATTEMPTS=2 recovers "two creates a second" ''
ok "two creates a second: more were asked for" test "$(log | grep -c ' 403$')" -ge 1
recovers "500" "{\"match\": \"$chunk\", \"do\": \"500\", \"times\": 2}"
recovers "503" "{\"match\": \".\", \"do\": \"503\", \"times\": 2}"
recovers "503 of the sign-in" "{\"match\": \"POST /token\", \"do\": \"503\"}"
recovers "401 once" "{\"match\": \"GET /drive\", \"do\": \"401\", \"skip\": 1}"
ok "401 once: signed in anew" test "$(log | grep -c '^POST /token')" -ge 2
recovers "401 once, within a session" "{\"match\": \"$chunk\", \"do\": \"401\", \"skip\": 1}"
recovers "a session that ends: 404" "{\"match\": \"$chunk\", \"do\": \"gone\", \"status\": 404, \"skip\": 1}"
recovers "a session that ends: 410" "{\"match\": \"$chunk\", \"do\": \"gone\", \"status\": 410, \"skip\": 2}"
recovers "a chunk that is kept in part" "{\"match\": \"$chunk\", \"do\": \"short\", \"keep\": 262144}, {\"match\": \"$chunk\", \"do\": \"short\", \"keep\": 0, \"skip\": 1}"
recovers "a lost answer of a session" "{\"match\": \"$begin\", \"do\": \"lost\"}"
recovers "a lost answer of a folder" "{\"match\": \"POST /drive/v3/files\", \"do\": \"lost\"}"
recovers "lost answers of chunks" "{\"match\": \"$chunk\", \"do\": \"lost\", \"times\": 2}"
one=$(stat -c %s one.wav) two=$(stat -c %s two.wav) three=$(stat -c %s three.wav)
recovers "lost answers of last chunks" "{\"match\": \"PUT .* bytes [0-9]+-$((two - 1))/$two\", \"do\": \"lost\"}, {\"match\": \"PUT .* bytes [0-9]+-$((three - 1))/$three\", \"do\": \"lost\"}"
is "lost answers of last chunks: nothing was begun again" "$(log | grep -c '^POST .*uploadType=resumable')" 5
recovers "a lost answer of a small file" "{\"match\": \"PUT .* bytes [0-9]+-$((one - 1))/$one\", \"do\": \"lost\"}"
recovers "a lost answer of a rename" "{\"match\": \"PATCH\", \"do\": \"lost\", \"times\": 2}"
recovers "connections that break" "{\"match\": \".\", \"do\": \"drop\", \"skip\": 3, \"times\": 2}, {\"match\": \"$chunk\", \"do\": \"drop\", \"times\": 2}"
recovers "a stall" "{\"match\": \"$chunk\", \"do\": \"stall\", \"seconds\": 9}"
stderr_has "a stall: is told" 'no byte from or to .* for 1 s; tried again'

# ---- what does not pass
export REC_ATTEMPTS=2
refused "a sign-in that is refused" "{\"match\": \"POST /token\", \"do\": \"400\", \"times\": 99}" 3 'sign' 1000
try ''
fake settings -d '{"revoked": true}'
push
status "a sign-in that was revoked: status" 3
stderr_has "a sign-in that was revoked: what to do" 'sign in again'
fake settings -d '{"revoked": false}'
GOOGLE_CLIENT_SECRET=wrong-secret try ''
status "a wrong client secret: status" 3
ok "a wrong client secret: at once ($took ms)" test "$took" -le 1000
stderr_has "a wrong client secret: is told" GOOGLE_CLIENT_SECRET
ok "a wrong client secret: is not shown" bash -c '! grep -q wrong-secret "$@"' - "$out" "$errf"
REC_GOOGLE_REFRESH_TOKEN= try ''
status "no sign-in: status" 3
stderr_has "no sign-in: is told" REC_GOOGLE_REFRESH_TOKEN
refused "401 for ever" '{"match": "/drive/", "do": "401", "times": 999}' 3 'sign in again' 1500
refused "storageQuotaExceeded" "{\"match\": \"/upload/\", \"do\": \"storageQuotaExceeded\", \"times\": 999}" 4 'no room'
then_well "storageQuotaExceeded"
refused "429 for ever" "{\"match\": \"/upload/\", \"do\": \"429\", \"times\": 999}" 4 '429|fewer requests'
then_well "429 for ever"
refused "insufficientFilePermissions" "{\"match\": \"/upload/\", \"do\": \"insufficientFilePermissions\", \"times\": 999}" 1 'insufficientFilePermissions'
is "insufficientFilePermissions: the records" "$(said)" "- null remote,1 upload remote,2 upload remote,3 upload remote,4 upload remote"
refused "a session at another host" "{\"match\": \"$begin\", \"do\": \"elsewhere\", \"times\": 99}" 1 'another host'
is "a session at another host: the records" "$(said)" "- null remote,1 upload remote,2 upload remote,3 upload remote,4 upload remote"
try "{\"match\": \"/files/[A-Za-z0-9_-]+[?]\", \"do\": \"checksum\", \"times\": 99}, {\"match\": \"uploadType=multipart\", \"do\": \"checksum\", \"times\": 99}"
status "wrong checksums: status" 1
is "wrong checksums: none is proven" "$(jq -r 'select(.id) | .problem.code' "$out" | sort | uniq -c | tr -s ' ')" " 4 checksum_mismatch"
then_well "wrong checksums"
refused "503 for ever" '{"match": ".", "do": "503", "times": 999}' 4 503
refused "one item alone: 503 for ever" "{\"match\": \"PUT .* bytes [0-9]+-$((one - 1))/$one\", \"do\": \"503\", \"times\": 8}" 4 503
is "one item alone: the large ones are there" "$(said | tr ',' '\n' | grep -c '^[23] upload$')" 2
then_well "503 for ever"

export REC_ATTEMPTS=4
# ---- lists that are late: what is known is asked for by its id
folders() { jq -r --arg name "${remote#gdrive:}" 'select(.mimeType == "application/vnd.google-apps.folder" and .name == $name) | .id' "$DRIVE_DIR"/files/*.json 2>/dev/null; }
place() { sql "SELECT probed ->> '\$.place' FROM rec_remotes WHERE url = '$remote'"; }
late() { fake settings -d "{\"lag_s\": $1}"; }

# late_to NAME: with an archive that has sent nothing, to a folder that is not there, lists are late for the whole test
late_to()
{
	remote=gdrive:$1
	root=$TMP/work
	rm -rf "$root"
	cp -a "$pristine" "$root"
	faults
	empty_drive
	late 600
}

late_to late
push
status "late: status" 0
is "late: the folder is noted" "$(place)" "$(folders)"
clear_log
push
is "late: a second push finds all by what is noted" "$st $(said)$(log | grep -c '^P[A-Z]* /[du]')" "0 0"
run rec-sync plan -C "$root" --remote "$remote"
is "late: so does a plan" "$st $(said)" "0 "
run rec-sync verify -C "$root" --remote "$remote"
jq_is "late: so does verify" 'select(.key == null) | [.recordings, .verified]' "[4,4]"
run rec-sync verify -C "$root" --remote "$remote" "raw/$(stored 2)"
status "late: so does verify of one" 0
run rec-sync probe -C "$root" --remote "$remote"
is "late: a probe keeps the folder" "$st $(place)" "0 $(folders)"
cp six.wav "$root/recordings/raw/$(stored 1)"
cp five.wav "$root/recordings/raw/$(stored 2)"
mv "$root/recordings/raw/$(stored 4)" "$root/recordings/raw/moved.wav"
sql "UPDATE recordings SET stored_filename = 'moved.wav' WHERE id = 4"
rec-meta refresh -q -C "$root" 1 2 >/dev/null
rec-migrate apply -q -C "$root" >/dev/null
push
is "late: what was changed is replaced, what was renamed is moved" "$st $(said)" "0 1 replace,2 replace,4 rename"
all_there "late"
is "late: one folder, one catalogue" "$(folders | wc -l) $(objects | grep -c '  \.rectools/catalogue.jsonl$')" "1 1"
api DELETE "/drive/v3/files/$(id_of "raw/$(stored 3)")"
push
is "late: what is gone is sent again" "$st $(said)" "0 3 upload"
api POST /drive/v3/files -o /dev/null -H 'Content-Type: application/json' -d '{"name": "late", "mimeType": "application/vnd.google-apps.folder"}'
late 0
push
is "two folders of the name: the noted one is taken" "$st $(said)" "0 "
run rec-sync plan -C "$pristine" --remote "$remote"
status "two folders of the name, none is noted: status" 3
stderr_has "two folders of the name, none is noted: is told" 'there are 2 folders named late'

late_to noted
faults '{"match": "POST /drive/v3/files", "do": "stall", "seconds": 1, "times": 99}'
rec-sync push -q -C "$root" --remote "$remote" >/dev/null 2>&1 &
pid=$!
for ((i = 0; i < 400; i++)); do
	[ "$(curl -sS "$DRIVE_ENDPOINT/fake/faults" | jq '.[0].times')" -lt 99 ] && break
	sleep 0.02
done
{ kill -KILL $pid && wait $pid; } 2>/dev/null
faults
noted=$(place)
is "killed before the folder was made: it is not there, and its id is noted" "$(folders) ${noted:+noted}" " noted"
push
is "killed before the folder was made: it gets that id" "$st $(folders)" "0 $noted"
all_there "killed before the folder was made"

# as after a kill between the end of a create and its note, twice: a small one, and one in pieces
older=$(id_of "raw/$(stored 1)") large=$(id_of "raw/$(stored 2)")
sql "DELETE FROM rec_objects WHERE key IN ('raw/$(stored 1)', 'raw/$(stored 2)')"
push
is "not noted, and not to be seen yet: sent again" "$st $(said) $(recordings_there | wc -l)" "0 1 upload,2 upload 6"
late 0
push
is "not noted, and come into sight: it is the one that stands" "$st $(said)" "0 1 prove,2 prove"
all_there "not noted, and come into sight"
is "not noted, and come into sight: the oldest is left" "$(id_of "raw/$(stored 1)") $(id_of "raw/$(stored 2)")" "$older $large"
push
is "not noted, and come into sight: that was all" "$st $(said)" "0 "

# ---- secrets: while an upload is open, and after it was broken off
empty_drive
root=$TMP/work
rm -rf "$root"
cp -a "$pristine" "$root"
remote=gdrive:secrets
clear_log
rec-sync push -v --events -C "$root" --remote "$remote" --limit-rate 2M >plain.out 2>plain.err &
pid=$!
for ((i = 0; i < 400; i++)); do
	compgen -G "$root/db/sync/*.session" >/dev/null && [ "$(log | grep -c ' 308$')" -ge 1 ] && break
	sleep 0.02
done
kill -STOP $pid
tr '\0' '\n' <"/proc/$pid/cmdline" >argv
cp -a "$root" held
session=$(ls "$DRIVE_DIR"/sessions/*.json | while read -r f; do jq -r 'select(.done == null) | input_filename' "$f"; done | xargs -n 1 basename -s .json)
ok "an upload is open" test -n "$session"
sessions=$(ls "$root"/db/sync/*.session)
is "its session is private" "$(stat -c %a $sessions | sort -u) $(stat -c %a "$root/db/sync")" "600 700"
for s in $session; do
	is "the session is in one file, which is that one" "$(grep -rlaF "$s" held | grep -vc '\.session$') $(grep -rlaF "$s" held | wc -l)" "0 1"
	is "the session is in no argument, and nothing that is told" "$(cat argv plain.out plain.err | grep -cF "$s")" 0
done
jq -r 'keys[]' "$DRIVE_DIR/tokens.json" >secrets
printf '%s\n' "$GOOGLE_CLIENT_SECRET-" "$REC_GOOGLE_REFRESH_TOKEN-" >>secrets
is "no token in arguments, texts, or the archive" "$(cat argv plain.out plain.err | grep -cFf secrets; grep -rlaFf secrets held)" 0
kill -KILL $pid
kill -CONT $pid
wait $pid 2>/dev/null
clear_log
push --events -v
status "and the next run goes on with it" 0
ok "what had arrived was not sent again" grep -q '"event":"resumed"' "$errf"
all_there "gone on with"
is "no session in the database, its log and the journals, nor in texts" \
    "$(for s in $session; do grep -rlaF "$s" "$root" "$out" "$errf"; done; grep -rlaFf secrets "$root" "$out" "$errf")" ""
done_testing
