#!/bin/bash
# rec-sync push and plan: what is sent, renamed, replaced, refused, deleted; to a folder and to a real S3.
. "$(dirname "$0")/../lib.sh"
. "$TOP/tests/servers.sh"

# tones DIR: an archive of eight short recordings, measured
tones()
{
	local root=$1 i

	"$TOP/tests/data/make-archive" "$root" 0002 || return 1
	sqlite3 "$root/db/app.db" 'DELETE FROM recordings; DELETE FROM jobs' &&
	    rm -f "$root"/recordings/raw/* && mkdir -p "$TMP/tones" || return 1
	for i in 1 2 3 4 5 6 7 8; do
		sox -n -r 8000 -b 16 "$TMP/tones/t$i.wav" synth 0.$i sine $((200 + 10 * i)) || return 1
		rec-meta add -q -C "$root" --title "Tone $i" "$TMP/tones/t$i.wav" >/dev/null || return 1
	done
}

sql()
{
	sqlite3 "$root/db/app.db" "$1"
}

stored()
{
	sql "SELECT stored_filename FROM recordings WHERE id = $1"
}

# sha256 of the object of a recording, as the remote holds it now
object()
{
	fetch_object "raw/$(stored "$1")" | sha256sum | cut -d ' ' -f 1
}

file_sha()
{
	sha256sum <"$root/recordings/raw/$(stored "$1")" | cut -d ' ' -f 1
}

# what push said, in a line: id action code
said()
{
	jq -r '[(.id // "-"), .action, (.problem.code // "")] | map(tostring) | join(" ")' "$out" | sed 's/ $//' | sort -n | tr '\n' ',' | sed 's/,$//'
}

# push_tests URL: needs functions list_objects (keys a line), fetch_object KEY, put_object KEY FILE, drop_object KEY
push_tests()
{
	local remote=$1 kind=${1%%:*} id name

	root=$TMP/$kind
	tones "$root"
	before=$(manifest "$root/recordings")

	run rec-sync plan -C "$root" --remote "$remote"
	status "$kind: plan" 0
	is "$kind: each is to be uploaded" "$(said)" "1 upload,2 upload,3 upload,4 upload,5 upload,6 upload,7 upload,8 upload"
	is "$kind: and nothing was" "$(list_objects)" ""
	run rec-sync push -n -C "$root" --remote "$remote"
	is "$kind: a dry run is the plan" "$(said)" "1 upload,2 upload,3 upload,4 upload,5 upload,6 upload,7 upload,8 upload"
	ok "$kind: and leaves nothing behind" test ! -e "$root/db/sync"

	run rec-sync push -C "$root" --remote "$remote" 1 "$root/recordings/raw/$(stored 2)"
	status "$kind: push of two" 0
	is "$kind: a record each" "$(said)" "1 upload,2 upload"
	jq_is "$kind: proven" 'select(.id == 1) | [.sync_status, .proof != null, .key, .remote]' \
	    "[\"synced\",true,\"raw/$(stored 1)\",\"$remote\"]"
	is "$kind: the application sees it" "$(sql 'SELECT id FROM recordings WHERE sync_status = "synced" AND last_synced_at IS NOT NULL ORDER BY id' | tr '\n' ' ')" "1 2 "
	rec-sync plan -C "$root" --remote "$remote" </dev/null >plan.jsonl
	run_in plan.jsonl rec-sync push -C "$root" --remote "$remote" -
	is "$kind: plan | push -" "$(said)" "3 upload,4 upload,5 upload,6 upload,7 upload,8 upload"
	is "$kind: what was said before is passed on" "$(jq -r .why "$out" | sort -u)" "it is not there"
	for id in 1 2 3 4 5 6 7 8; do
		is "$kind: the object $id is the file" "$(object $id)" "$(file_sha $id)"
	done
	run rec-sync push -C "$root" --remote "$remote"
	status "$kind: push of all" 0
	is "$kind: has nothing to do" "$(said)" ""
	is "$kind: eight objects, and the inventory" "$(list_objects | sed 's|raw/.*|raw|' | sort | uniq -c | tr -s ' ' | tr '\n' ',')" " 1 .rectools/catalogue.jsonl, 8 raw,"
	run rec-sync push -C "$root" --remote "$remote" 3
	is "$kind: one that is there already" "$(said)" "3 none"
	is "$kind: no file was touched" "$(manifest "$root/recordings")" "$before"

	# renamed, and two that changed names
	name=$(stored 1)
	mv "$root/recordings/raw/$name" "$root/recordings/raw/renamed.wav"
	sql "UPDATE recordings SET stored_filename = 'renamed.wav' WHERE id = 1"
	mv "$root/recordings/raw/$(stored 2)" x && mv "$root/recordings/raw/$(stored 3)" "$root/recordings/raw/$(stored 2)" && mv x "$root/recordings/raw/$(stored 3)"
	sql "UPDATE recordings SET stored_filename = stored_filename || '.x' WHERE id IN (2, 3)"
	a=$(stored 2) b=$(stored 3)
	sql "UPDATE recordings SET stored_filename = '${b%.x}' WHERE id = 2; UPDATE recordings SET stored_filename = '${a%.x}' WHERE id = 3;"
	rec-migrate apply -q -C "$root" >/dev/null
	run rec-sync push -C "$root" --remote "$remote" --events
	status "$kind: renames: status" 0
	is "$kind: nothing is sent" "$(said)" "1 rename,2 rename,3 rename"
	for id in 1 2 3; do
		is "$kind: renamed $id" "$(object $id)" "$(file_sha $id)"
	done
	is "$kind: the old name is gone, and nothing put aside is left" "$(list_objects | grep -cF -e "$name" -e .rectools/temp)" 0
	run rec-sync push -C "$root" --remote "$remote"
	is "$kind: and that was all" "$(said)" ""

	# changed here
	sox -n -r 8000 -b 16 new.wav synth 0.5 sine 990
	cp new.wav "$root/recordings/raw/$(stored 4)"
	run rec-sync push -C "$root" --remote "$remote" 4
	is "$kind: what was changed since it was recorded is left alone" "$(said)" "4 none"
	rec-meta refresh -q -C "$root" 4 >/dev/null
	run rec-sync push -C "$root" --remote "$remote"
	is "$kind: recorded, it replaces ours" "$(said)" "4 replace"
	is "$kind: with its bytes" "$(object 4)" "$(file_sha 4)"

	# changed there
	put_object "raw/$(stored 5)" new.wav
	run rec-sync push -C "$root" --remote "$remote"
	status "$kind: another's object in the place of ours: status" 1
	is "$kind: is a conflict" "$(said)" "5 prove conflict"
	is "$kind: and stays" "$(object 5)" "$(sha256sum <new.wav | cut -d ' ' -f 1)"
	put_object "raw/$(stored 5)" "$root/recordings/raw/$(stored 5)"
	run rec-sync push -C "$root" --remote "$remote"
	# S3 knows objects by their MD5, so that these are the same to it
	is "$kind: the same bytes put by another are found" "$(said)" "$([ $kind = s3 ] || echo 5 prove)"
	drop_object "raw/$(stored 6)"
	run rec-sync push -C "$root" --remote "$remote"
	is "$kind: what is gone there is sent again" "$(said)" "6 upload"
	run rec-sync push -C "$root" --remote "$remote"
	is "$kind: and all is well" "$(said)" ""

	# rot: never sent
	rec-meta add -q -C "$root" --allow-duplicates "$TMP/new.wav" >/dev/null
	id=$(sql 'SELECT max(id) FROM recordings')
	file=$root/recordings/raw/$(stored "$id")
	touch -r "$file" time
	printf 'x' | dd of="$file" bs=1 seek=1000 conv=notrunc status=none
	touch -r time "$file"
	run rec-sync push -C "$root" --remote "$remote"
	status "$kind: rot: status" 1
	is "$kind: rot is told" "$(said)" "$id upload checksum_mismatch"
	is "$kind: and not sent" "$(list_objects | grep -cF "$(stored "$id")")" 0
	is "$kind: the application sees that" "$(sql "SELECT sync_status FROM recordings WHERE id = $id")" failed
	rec-meta rm -q -C "$root" --purge "$id" >/dev/null

	# deleted
	rec-meta rm -q -C "$root" --purge 7 >/dev/null
	name=$(list_objects | grep -cvF .rectools)
	run rec-sync push -C "$root" --remote "$remote"
	is "$kind: nothing is deleted without being asked" "$(said) $(list_objects | grep -cvF .rectools)" " $name"
	REC_DELETE_MAX_PERCENT=5 run rec-sync push -C "$root" --remote "$remote" --delete
	status "$kind: more than allowed: status" 3
	stderr_has "$kind: is told" 'nothing is deleted: 1 of 8 objects would be, and REC_DELETE_MAX_PERCENT is 5'
	run rec-sync push -C "$root" --remote "$remote" --delete
	status "$kind: --delete" 0
	is "$kind: one is deleted" "$(said)" "- delete"
	is "$kind: into the trash" "$(list_objects | grep -c '^\.rectools/trash/.*/raw/')" 1
	for id in 1 2 3 4 5 6 8; do
		rec-meta rm -q -C "$root" --purge $id >/dev/null
	done
	run rec-sync push -C "$root" --remote "$remote" --delete
	status "$kind: an empty catalogue deletes nothing: status" 3
	stderr_has "$kind: and says so" 'nothing is deleted: the catalogue has 0 recordings, and had 7'
	is "$kind: all are there" "$(list_objects | grep -cvF .rectools)" 7
}

# ---- a folder
mkdir cloud
list_objects() { (cd cloud && find . -type f | sed 's|^\./||' | sort); }
fetch_object() { cat "cloud/$1"; }
put_object() { cp "$2" "cloud/$1"; }
drop_object() { rm "cloud/$1"; }
push_tests "file://$TMP/cloud"

# ---- after a kill: what the killed run had asked for may come while the next one works
root=$TMP/killed
tones "$root"
mkdir shelf
run rec-sync push -C "$root" --remote "file://$TMP/shelf" 1
owner=$(sql 'SELECT owner FROM rec_remotes')
temps() { ls -A shelf/.rectools/temp 2>/dev/null | tr '\n' ' '; }
mkdir -p shelf/.rectools/temp
echo early >"shelf/.rectools/temp/$owner-early"
echo other >shelf/.rectools/temp/00000000-other
: >"$root/db/sync/$owner.busy"
mkfifo items
rec-sync push -C "$root" --remote "file://$TMP/shelf" - <items >/dev/null 2>&1 &
pushing=$!
exec {items}>items
echo 2 >&"$items"
for ((i = 0; i < 500; i++)); do
	[ ! -e "shelf/raw/$(stored 2)" ] || break
	sleep 0.02
done
is "after a kill: what was left is gone at the start" "$(temps)" "00000000-other "
echo late >"shelf/.rectools/temp/$owner-late"
exec {items}>&-
wait $pushing
st=$?
status "after a kill: the next run is well" 0
is "after a kill: what came meanwhile is gone at the end; what others have is not" "$(temps)" "00000000-other "
is "after a kill: it is known to be over" "$(ls -A "$root/db/sync")" ""

# ---- S3
if have_radosgw; then
	start_radosgw
	make_bucket shelf
	export AWS_ACCESS_KEY_ID=$S3_KEY AWS_SECRET_ACCESS_KEY=$S3_SECRET AWS_ENDPOINT_URL=$S3_ENDPOINT
	s3() { aws --endpoint-url "$S3_ENDPOINT" "$@"; }
	list_objects() { s3 s3api list-objects-v2 --bucket shelf --prefix top/ --query 'Contents[].[Key]' --output text | sed 's|^top/||' | grep -vx None | sort; }
	fetch_object() { s3 s3 cp "s3://shelf/top/$1" - 2>/dev/null; }
	put_object() { s3 s3 cp --quiet "$2" "s3://shelf/top/$1"; }
	drop_object() { s3 s3 rm --quiet "s3://shelf/top/$1"; }
	push_tests s3://shelf/top

	sox -n -r 48000 -b 24 -c 2 large.wav synth 45 sine 300
	id=$(rec-meta add -q -C "$root" "$PWD/large.wav" | jq .id)
	name=$(stored "$id")
	large=$root/recordings/raw/$name
	cp -p "$large" sound.wav
	printf 'X' | dd of="$large" bs=1 seek=8000000 conv=notrunc 2>/dev/null
	touch -r sound.wav "$large"
	REC_PART_MB=5 run rec-sync push -C "$root" --remote s3://shelf/top
	status "rot in a file that goes in parts: status" 1
	is "rot in a file that goes in parts is told" "$(said)" "$id upload checksum_mismatch"
	is "nothing of it is there, whole or in parts" "$(list_objects | grep -cF "$name") $(s3_curl GET '/shelf?uploads=' | grep -c UploadId)" "0 0"
	cp -p sound.wav "$large"
	REC_PART_MB=5 run rec-sync push -C "$root" --remote s3://shelf/top
	jq_is "as it was recorded it goes in parts" 'select(.action) | [.id, .action, .proof]' "[$id,\"upload\",\"parts\"]"
	is "and is there" "$(object "$id")" "$(file_sha "$id")"
else
	skip "push to S3" "no radosgw here"
fi
done_testing
