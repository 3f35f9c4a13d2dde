#!/bin/bash
# rec-sync verify: what it calls proven is there, and what is not there, is another, or cannot be told is said so;
# against a plain folder and against a real S3 server.
. "$(dirname "$0")/../lib.sh"
[ -r "$TOP/tests/servers.sh" ] && . "$TOP/tests/servers.sh"

for tool in jq sqlite3; do
	command -v $tool >/dev/null || plan_skip "needs $tool"
done

sql()
{
	sqlite3 -init /dev/null -bail "$@" </dev/null
}

REMOTE=file://$TMP/remote
mkdir remote
root=$(archive 0002) || plan_skip "no ../shared/archives"
run rec-migrate -q -C "$root" apply
# The file of 18 is gone; without its row all of the archive can be proven.
rec-meta -q -C "$root" rm --purge 18 >/dev/null
sync()
{
	local command=$1

	shift
	run rec-sync "$command" -C "$root" --remote="$REMOTE" "$@"
}
counts()
{
	tail -1 "$out" | jq -c '[.recordings, .verified, .missing, .different, .unproven, .foreign]'
}
file_of()
{
	sql "$root/db/app.db" "SELECT stored_filename FROM recordings WHERE id = $1"
}
# Its jobs would send one that is softly deleted.
sql "$root/db/app.db" "DELETE FROM jobs"
bytes=$(sql "$root/db/app.db" "SELECT sum(filesize_bytes) FROM recordings WHERE status <> 'deleted'")

# ---- before anything was sent
keep=$(manifest "$root")
sync verify
status "nothing is there" 1
is "and all is missing" "$(counts)" "[16,0,16,0,0,0]"
is "a record for each says so" "$(jq -r '.problem.code // empty' "$out" | sort | uniq -c | tr -s ' ')" " 16 missing"

# ---- all is there
sync push
sync verify
status "all is proven" 0
is "counted" "$(counts)" "[16,16,0,0,0,0]"
is "in one record alone" "$(wc -l <"$out")" 1
jq_is "no byte travelled" '[.bytes, .downloaded_bytes]' "[$bytes,0]"
sync verify --download
jq_is "until it is asked to" '[.verified, .bytes, .downloaded_bytes]' "[16,$bytes,$bytes]"
is "which is noted" "$(sql "$root/db/app.db" "SELECT DISTINCT proof FROM rec_objects")" read
mv "$root/recordings/raw" away
sync verify --download
is "no local file is needed" "$st $(counts)" "0 [16,16,0,0,0,0]"
mv away "$root/recordings/raw"

# ---- what falls short
flipped=$(file_of 3) cut=$(file_of 4) gone=$(file_of 5) touched=$(file_of 6)
cp -pr remote whole
printf x | dd of="remote/raw/$flipped" bs=1 seek=3000 conv=notrunc status=none
touch -d @1 "remote/raw/$flipped"
truncate -s 100 "remote/raw/$cut"
rm "remote/raw/$gone"
touch "remote/raw/$touched"
echo something >remote/raw/other.wav
sync verify
status "a damaged remote" 1
is "what can be told without reading" "$(jq -c 'select(.key) | [.id, .problem.code, .action]' "$out" | sort | tr '\n' ' ')" \
    '[3,"unsupported",null] [4,"size_mismatch",null] [5,"missing",null] [6,"unsupported",null] [null,null,"foreign"] '
is "counted" "$(counts)" "[16,12,1,1,2,1]"
stderr_has "each is told" "raw/$cut: size_mismatch: .* 100 bytes"
sync verify -n --download
is "a dry run reads, too" "$(jq -c 'select(.key) | [.id, .problem.code, .action]' "$out" | sort | tr '\n' ' ')" \
    '[3,"checksum_mismatch",null] [4,"size_mismatch",null] [5,"missing",null] [null,null,"foreign"] '
sync verify
is "and notes nothing" "$(counts)" "[16,12,1,1,2,1]"
sync verify --download
is "counted with reading" "$(counts)" "[16,13,1,2,0,1]"
sync verify
is "what was read and is right needs no reading again" "$(jq -c 'select(.id == 6)' "$out") $(counts)" " [16,13,1,1,1,1]"

# ---- items
sync verify 3 4 1
is "only what is named" "$(jq -c 'select(.key) | [.id, .problem.code]' "$out" | tr '\n' ' ') $(counts)" \
    '[3,"unsupported"] [4,"size_mismatch"]  [3,1,0,1,1,0]'
sync verify --download "raw/$flipped" "recordings/raw/$gone"
is "by key, by path" "$(jq -c 'select(.key) | [.id, .problem.code]' "$out" | tr '\n' ' ')" '[3,"checksum_mismatch"] [5,"missing"] '
rec-meta -C "$root" list --where 'id in (1, 5)' >list
run_in list rec-sync verify -C "$root" --remote="$REMOTE" -
is "by records" "$(counts)" "[2,1,1,0,0,0]"
sync verify 4711
is "an unknown one" "$st $(jq -r '.problem.code // empty' "$out")" "1 bad_record"

echo '{"id":1,"path":"recordings/raw/nowhere.wav","key":"raw/nowhere.wav"}' >list
run_in list rec-sync verify -C "$root" --remote="$REMOTE" -
is "a key counts more than a number" "$st $(jq -r '.problem.code // empty' "$out")" "1 bad_record"

# ---- changes here
rm -r remote
mv whole remote
sync verify --download
is "the objects are back" "$st $(counts)" "0 [16,16,0,0,0,0]"
sql "$root/db/app.db" "UPDATE rec_measurements SET sha256 = printf('%064d', 1) WHERE recording_id = 1; UPDATE recordings SET checksum = printf('%064d', 1) WHERE id = 1"
sync verify 1
is "a recording that was changed since" "$(jq -r 'select(.key) | .problem.code' "$out")" checksum_mismatch
stderr_has "says what to do" "changed after its object .* run rec-sync push"

# ---- the same against S3
if command -v have_radosgw >/dev/null || declare -F have_radosgw >/dev/null; then
	if have_radosgw && start_radosgw && make_bucket takes; then
		REMOTE=s3://takes/archive
		export AWS_ENDPOINT_URL=$S3_ENDPOINT AWS_ACCESS_KEY_ID=$S3_KEY AWS_SECRET_ACCESS_KEY=$S3_SECRET
		root=$(archive 0002)
		sql "$root/db/app.db" "DELETE FROM jobs"
		run rec-migrate -q -C "$root" apply
		rec-meta -q -C "$root" rm --purge 18 >/dev/null
		sync push
		is "S3: push" "$(jq -c 'select(.action == "conflict" or .problem.code == "remote")' "$out")" ""
		sync verify
		is "S3: all is proven" "$st $(counts)" "0 [16,16,0,0,0,0]"
		sync verify --download
		is "S3: and read" "$st $(counts)" "0 [16,16,0,0,0,0]"
		head -c 5000 /dev/urandom >noise
		s3_curl PUT "/takes/archive/raw/$(file_of 3)" --data-binary @noise >/dev/null
		s3_curl DELETE "/takes/archive/raw/$(file_of 5)" >/dev/null
		s3_curl PUT "/takes/archive/raw/stranger.wav" --data-binary @noise >/dev/null
		sync verify
		is "S3: what falls short" "$(jq -c 'select(.key) | [.id, .problem.code, .action]' "$out" | sort | tr '\n' ' ')" \
		    '[3,"size_mismatch",null] [5,"missing",null] [null,null,"foreign"] '
		s3_curl DELETE "/takes/archive/raw/stranger.wav" >/dev/null
		s3_curl DELETE "/takes/archive/raw/$(file_of 3)" >/dev/null
		sync push
		mkdir s3new
		run rec-sync pull -C s3new --remote="$REMOTE"
		status "S3: pull" 0
		is "S3: the same files" "$(cd s3new/recordings/raw && sha256sum -- * | cksum)" \
		    "$(cd "$root/recordings/raw" && sql "$root/db/app.db" "SELECT stored_filename FROM recordings WHERE status <> 'deleted'" | sort | xargs sha256sum -- | cksum)"
		is "S3: the same catalogue" "$(rec-meta -C s3new list --all | jq -cS .)" "$(rec-meta -C "$root" list | jq -cS .)"
		run rec-sync push -C s3new --remote="$REMOTE"
		is "S3: and nothing to send" "$st $(cat "$out")" "0 "
		rec-meta -q -C s3new set 1 title=new >/dev/null
		run rec-sync push -C s3new --remote="$REMOTE"
		rec-meta -q -C "$root" set 1 title=old >/dev/null
		sync push
		is "S3: a catalogue that another archive has put since is left" \
		    "$(jq -c 'select(.key == ".rectools/catalogue.jsonl") | .problem.code' "$out")" '"conflict"'
		name=$(file_of 1)
		rm "s3new/recordings/raw/$name"
		head -c 40000 "$root/recordings/raw/$name" >"s3new/recordings/temp/$name.pull"
		run rec-sync pull -C s3new --remote="$REMOTE"
		is "S3: gone on with, by a range" "$(jq -c '[.action, .fetched_bytes]' "$out") $(sha256sum <"s3new/recordings/raw/$name")" \
		    "[\"restore\",$(($(stat -c %s "$root/recordings/raw/$name") - 40000))] $(sha256sum <"$root/recordings/raw/$name")"
		name=$(file_of 5)
		size=$(stat -c %s "$root/recordings/raw/$name")
		rm "s3new/recordings/raw/$name"
		run timeout -s TERM 1.5 rec-sync pull -C s3new --remote="$REMOTE" --limit-rate=200K
		came=$(stat -c %s "s3new/recordings/temp/$name.pull" 2>/dev/null || echo 0)
		ok "S3: stopped by a signal, what came is kept, and has no name yet" \
		    test "$came" -gt 0 -a "$came" -lt "$size" -a ! -e "s3new/recordings/raw/$name"
		run rec-sync pull -C s3new --remote="$REMOTE"
		is "S3: the rest is fetched" "$(jq -c '[.action, .fetched_bytes]' "$out") $(sha256sum <"s3new/recordings/raw/$name")" \
		    "[\"restore\",$((size - came))] $(sha256sum <"$root/recordings/raw/$name")"
		rm "s3new/recordings/raw/$name"
		stop_servers
		begun=$SECONDS
		REC_ATTEMPTS=2 run rec-sync pull -C s3new --remote="$REMOTE"
		ok "S3: a server that is gone: later, or wrong, but soon" test "$st" -ge 3 -a $((SECONDS - begun)) -lt 20
		ok "S3: and nothing half is left under a name" test ! -e "s3new/recordings/raw/$name"
	else
		skip "S3" "radosgw does not start: ${SERVER_ERROR:-not installed}"
	fi
else
	skip "S3" "no tests/servers.sh"
fi

done_testing
