#!/bin/bash
# rec-sync pull: an archive comes back from a remote as it was, a file that is gone comes back, and what is there is
# never touched, whatever the remote holds and whenever it is killed.
. "$(dirname "$0")/../lib.sh"

for tool in jq sqlite3 sox xxhsum sha256sum; do
	command -v $tool >/dev/null || plan_skip "needs $tool"
done

sql()
{
	sqlite3 -init /dev/null -bail "$@" </dev/null
}

REMOTE=file://$TMP/remote
mkdir remote
src=$(archive 0002) || plan_skip "no ../shared/archives"
run rec-migrate -q -C "$src" apply
sync()
{
	local command=$1 root=$2

	shift 2
	run rec-sync "$command" -C "$root" --remote="$REMOTE" "$@"
}

# The columns of the application and what is measured, of all that was sent.
state()
{
	sql "$1/db/app.db" "SELECT id, filename, stored_filename, title, duration, filesize_bytes, mime_type, checksum,
	    status, sync_status, created_at, modified_at FROM recordings WHERE id <> 18 ORDER BY id"
	sql "$1/db/app.db" "SELECT * FROM rec_tags ORDER BY 1"
	sql "$1/db/app.db" "SELECT recording_id, stored_filename, tool, started_at, details FROM rec_provenance ORDER BY 1"
	rec-meta -C "$1" list --all | jq -cS 'select(.id != 18)'
}

files()
{
	(cd "$1/recordings" && find raw edited -type f ! -name 'orphan*' ! -name 'not-audio*' ! -name '*.part' \
	    -exec sha256sum {} + 2>/dev/null | LC_ALL=C sort -k 2)
}

# Nothing of ours is left in temp.
temp_is_empty()
{
	[ -z "$(find "$1/recordings/temp" -type f 2>/dev/null)" ]
}

# ---- a whole archive
rec-meta -q -C "$src" set 1 tags.place=Porto 'title=Größe "x"' >/dev/null
rec-meta -q -C "$src" set 3 tags='{"by":"Ana","take":"2"}' status=archived >/dev/null
rec-meta -q -C "$src" rm 7 >/dev/null
sox -R -n -r 8000 -b 16 piped.wav synth 1 sine 300 2>/dev/null
sql "$src/db/app.db" "INSERT INTO rec_provenance SELECT 5, stored_filename, 'rec-capture 1.0',
    '2025-09-05T10:00:00.123456Z', '{\"source\":\"hw:1,0\",\"drift_ppm\":-3.1}' FROM recordings WHERE id = 5"
sync push "$src" --include-deleted
status "the source has a file that is gone, so that push says 1" 1
jq_is "all others are sent" 'select(.problem.code == "missing") | .id' 18
ok "the inventory is there" test -s remote/.rectools/catalogue.jsonl
inv=remote/.rectools/catalogue.jsonl
is "its end is behind all its records" "$(tail -1 $inv | jq -c .end)" "$(($(wc -l <$inv) - 2))"
is "and has the checksum of what is before" "$(tail -1 $inv | jq -r .xxh3_128)" "$(head -n -1 $inv | xxhsum -q -H2 | cut -d ' ' -f 1)"
is "records are in the order of their keys" "$(sed '1d;$d' $inv | jq -r .key | LC_ALL=C sort -c && echo sorted)" sorted
is "what people said stands apart" "$(sed '1d;$d' $inv | jq -c 'select(.id == 1) | [.said, .tags]')" '[{"place":"Porto"},{}]'
before=$(stat -c '%Y %i' $inv)
sync push "$src" --include-deleted
is "nothing has changed, so it is not put again" "$(stat -c '%Y %i' $inv)" "$before"

mkdir dry
sync pull dry -n
ok "a dry run makes nothing" test -z "$(ls -A dry)"

mkdir new
sync pull new
status "what the remote does not have is told" 1
jq_is "by its number" 'select(.problem) | [.id, .problem.code]' '[18,"missing"]'
is "all others are added" "$(jq -r 'select(.problem.code != "missing") | .action' "$out" | grep -c add)" "$(ls remote/raw | wc -l)"
is "the catalogue is that of the source" "$(state new)" "$(state "$src")"
is "and so are the files" "$(files new)" "$(files "$src")"
is "and their times" "$(find new/recordings/raw -type f -printf '%f %T@\n' | sort)" \
    "$(find "$src/recordings/raw" -type f -printf '%f %T@\n' ! -name 'orphan*' | sort | grep -v -e orphan -e not-audio -e .part)"
ok "nothing is left in temp" temp_is_empty new
run rec-migrate -C new verify
jq_is "rec-migrate verify has no more to say than of the source" 'select(has("rows")) | [.unmeasured, .missing, .changed, .orphans]' '[0,0,0,0]'
run rec-health -C new check --only folders
sync push new
status "push has nothing to do" 0
is "and says nothing" "$(cat "$out")" ""
sync pull new
status "nor has pull" 0
is "nor says it anything" "$(cat "$out")" ""
sync verify new
jq_is "all is proven" '[.recordings == .verified, .missing, .different, .unproven]' '[true,0,0,0]'

# ---- one archive a catalogue
rec-meta -q -C new set 4 title=changed >/dev/null
sync push new
status "the restored archive may go on in the place of the other" 0
rec-meta -q -C "$src" set 4 title=elsewhere >/dev/null
sync push "$src" --include-deleted
jq_is "which is told that its catalogue was replaced" 'select(.key == ".rectools/catalogue.jsonl") | .problem.code' conflict
is "and leaves it" "$(sed '1d;$d' $inv | jq -r 'select(.id == 4) | .title')" changed
rec-meta -q -C new set 4 "title=$(jq -r 'select(.id == 4) | .title' <(rec-meta -C "$src" list))" >/dev/null

# ---- a file that is gone
file=$(sql new/db/app.db "SELECT stored_filename FROM recordings WHERE id = 4")
other=$(sql new/db/app.db "SELECT stored_filename FROM recordings WHERE id = 5")
keep=$(manifest new/recordings/raw)
rm "new/recordings/raw/$file"
rec-migrate -q -C new apply >/dev/null
sync pull new -n
jq_is "a dry run tells of it" '[.id, .action]' '[4,"restore"]'
ok "and fetches nothing" test ! -e "new/recordings/raw/$file"
sync pull new
status "it comes back" 0
jq_is "with a record" '[.id, .action, .problem, .fetched_bytes == .size_bytes]' '[4,"restore",null,true]'
is "as it was, with its time" "$(manifest new/recordings/raw)" "$keep"
run rec-migrate -C new apply
is "and apply has nothing to say of it" "$(jq -c 'select(.id == 4)' "$out")" ""
for how in 4 "recordings/raw/$file" "raw/$file"; do
	rm "new/recordings/raw/$file"
	sync pull new "$how"
	is "by $how" "$(jq -c '[.id, .action]' "$out") $(manifest new/recordings/raw | cksum)" "[4,\"restore\"] $(cksum <<<"$keep")"
done
rm "new/recordings/raw/$file"
rec-meta -C new list --where 'id < 6' >list
run_in list rec-sync pull -C new --remote="$REMOTE" -
is "by records, one for each" "$(jq -c '[.id, .action]' "$out" | tr '\n' ' ')" '[1,"none"] [3,"none"] [4,"restore"] [5,"none"] '
rm "new/recordings/raw/$file"
rec-migrate -q -C new apply >/dev/null
rec-meta -C new list --where "id in (4, 16)" >list
run_in list rec-sync pull -C new --remote="$REMOTE" -
is "a record that says missing is not passed on" "$(jq -c '[.id, .action, .problem.code]' "$out" | tr '\n' ' ')" '[4,"restore",null] [16,null,"truncated"] '
echo '{"id":1,"path":"recordings/raw/nowhere.wav","key":"raw/nowhere.wav"}' >list
run_in list rec-sync pull -C new --remote="$REMOTE" -
is "a key counts more than a number" "$(jq -c '[.key, .problem.code]' "$out")" '["raw/nowhere.wav","missing"]'
sync pull new 4711
status "an unknown one is a problem" 1
jq_is "of its own" .problem.code bad_record

# ---- what is there is not touched
printf x | dd of="new/recordings/raw/$file" bs=1 seek=3000 conv=notrunc status=none
bad=$(sha256sum <"new/recordings/raw/$file")
sync pull new 4
status "a file with other bytes is a conflict" 1
jq_is "that says what to do" '[.action, .problem.code, (.problem.message | test("move it away"))]' '["conflict","conflict",true]'
is "and stays" "$(sha256sum <"new/recordings/raw/$file")" "$bad"
truncate -s 1000 "new/recordings/raw/$other"
sync pull new
is "one with another length is found without reading" "$(jq -c '[.id, .problem.code]' "$out")" '[5,"conflict"]'
rec-migrate -q -C new apply >/dev/null
sync pull new
is "with what apply has found" "$(jq -c '[.id, .problem.code]' "$out" | sort | tr '\n' ' ')" '[4,"conflict"] [5,"conflict"] '
mkdir -p new/recordings/backup
mv "new/recordings/raw/$file" "new/recordings/raw/$other" new/recordings/backup/
sync pull new
is "moved away, they come back" "$(jq -c '[.id, .action]' "$out" | sort | tr '\n' ' ')" '[4,"restore"] [5,"restore"] '
is "as they were" "$(manifest new/recordings/raw)" "$keep"
run rec-migrate -C new verify
jq_is "and their problem is past" 'select(has("rows")) | [.missing, .changed]' '[0,0]'

# ---- gone on with
size=$(stat -c %s "remote/raw/$file")
rm "new/recordings/raw/$file"
head -c 30000 "remote/raw/$file" >"new/recordings/temp/$file.pull"
sync pull new
jq_is "what arrived before is not fetched again" .fetched_bytes $((size - 30000))
is "and the file is whole" "$(manifest new/recordings/raw)" "$keep"
rm "new/recordings/raw/$file"
head -c 30000 /dev/urandom >"new/recordings/temp/$file.pull"
sync pull new
is "other bytes are found out" "$st $(manifest new/recordings/raw | cksum)" "0 $(cksum <<<"$keep")"
rm "new/recordings/raw/$file"
head -c $((size + 10)) /dev/zero >"new/recordings/temp/$file.pull"
sync pull new
is "and so are too many" "$st $(manifest new/recordings/raw | cksum)" "0 $(cksum <<<"$keep")"
rm "new/recordings/raw/$file"
ln "new/recordings/raw/$other" "new/recordings/temp/$file.pull"
sync pull new
jq_is "a name of another recording is not written to" '[.problem.code]' '["conflict"]'
rm "new/recordings/temp/$file.pull"
ln -s "../raw/$other" "new/recordings/temp/$file.pull"
sync pull new
jq_is "nor is a link followed" '[.problem.code]' '["conflict"]'
rm "new/recordings/temp/$file.pull"
sync pull new
is "after that it is fetched" "$st $(manifest new/recordings/raw | cksum)" "0 $(cksum <<<"$keep")"

# ---- what is left of an object that is not there any more
head -c 3000 "remote/raw/$file" >new/recordings/temp/gone.wav.pull
head -c 3000 "remote/raw/$file" >new/recordings/temp/held.wav.pull
head -c 3000 "remote/raw/$file" >"new/recordings/temp/$other.pull"
head -c 3000 "remote/raw/$file" >new/recordings/temp/other.wav
ln new/recordings/temp/other.wav new/recordings/temp/linked.wav.pull
ln -s nowhere new/recordings/temp/link.wav.pull
exec 8<new/recordings/temp/held.wav.pull
flock 8
left=$(ls new/recordings/temp)
sync pull new -n
is "a dry run removes nothing" "$(ls new/recordings/temp)" "$left"
sync pull new "raw/$file"
is "nor does a pull of items" "$(ls new/recordings/temp)" "$left"
sql new/db/app.db "INSERT INTO rec_remotes (id, url, owner) VALUES (77, 'file:///elsewhere', '00000000')"
sync pull new
is "nor one of an archive that has another remote" "$(ls new/recordings/temp)" "$left"
sql new/db/app.db "DELETE FROM rec_remotes WHERE id = 77"
sync pull new
is "a pull of all removes what nobody has, holds or named" "$(ls new/recordings/temp | sort)" \
    "$(printf '%s\n' held.wav.pull "$other.pull" other.wav linked.wav.pull link.wav.pull | sort)"
exec 8<&-
for where in recordings/raw recordings/backup db .; do
	echo mine >"new/$where/x.pull"
	REC_TEMP_PATH=$where sync pull new
	is "nothing is removed from $where when that is temp as well" "$st $(cat "new/$where/x.pull")" "0 mine"
	rm "new/$where/x.pull"
done
sync pull new
ok "and the other when it is let go" test ! -e new/recordings/temp/held.wav.pull
rm new/recordings/temp/*

# ---- a remote that lies
rm "new/recordings/raw/$file"
cp -p "remote/raw/$file" good
printf x | dd of="remote/raw/$file" bs=1 seek=3000 conv=notrunc status=none
sync pull new
jq_is "other bytes are refused" '[.id, .problem.code]' '[4,"checksum_mismatch"]'
ok "nothing of them is kept" test ! -e "new/recordings/raw/$file" -a ! -e "new/recordings/temp/$file.pull"
sync verify new
jq_is "verify tells of the object that is not the one that was proven" 'select(.id == 4) | .problem.code' unsupported
sync verify new --download
jq_is "and reads it on request" 'select(.id == 4) | .problem.code' checksum_mismatch
truncate -s 5 "remote/raw/$file"
sync pull new
jq_is "another length is seen before" '[.id, .problem.code]' '[4,"size_mismatch"]'
rm "remote/raw/$file"
sync pull new
jq_is "an object that is gone" '[.id, .problem.code]' '[4,"missing"]'
cp -p good "remote/raw/$file"
sync pull new
is "the right one" "$(jq -c '[.id, .action]' "$out") $(manifest new/recordings/raw | cksum)" "[4,\"restore\"] $(cksum <<<"$keep")"

# ---- names that lead elsewhere
cp good "remote/raw/rec-hex-$(printf ../../evil | od -An -tx1 | tr -d ' \n')"
cp good "remote/raw/.rec-x.00000000.tmp"
cp good "remote/raw/rec-hex-2e2E"
cp good remote/raw/$'a b\tc.wav' 2>/dev/null
sync pull new
is "are refused" "$(jq -r .problem.code "$out" | sort | uniq -c | tr -s ' ')" " 3 unsafe_path"
ok "and nothing appears" test ! -e new/evil -a ! -e new/recordings/evil -a ! -e evil
is "in the archive neither" "$(manifest new/recordings/raw)" "$keep"
rm remote/raw/rec-hex-* remote/raw/.rec-* remote/raw/a*

# ---- what the inventory does not know
cp piped.wav remote/raw/stranger.wav
head -c 5000 /dev/urandom >remote/raw/noise.wav
sync pull new
is "audio is added, and nothing else" "$(jq -c '[.key, .action, .problem.code]' "$out" | sort | tr '\n' ' ')" \
    '["raw/noise.wav","add","not_audio"] ["raw/stranger.wav","add",null] '
ok "it is a recording" cmp piped.wav new/recordings/raw/stranger.wav
ok "the other is not kept" test ! -e new/recordings/raw/noise.wav -a ! -e new/recordings/temp/noise.wav.pull
rm remote/raw/noise.wav
rec-meta -q -C new rm --purge "$(sql new/db/app.db "SELECT id FROM recordings WHERE stored_filename = 'stranger.wav'")" >/dev/null
sync pull new
jq_is "what was removed here on purpose does not come back by itself" '[.key, .action, .problem]' '["raw/stranger.wav","skip",null]'
echo '{"key":"raw/stranger.wav"}' >list
run_in list rec-sync pull -C new --remote="$REMOTE" -
jq_is "but when it is named" '[.action, .problem]' '["add",null]'
ok "it does" cmp piped.wav new/recordings/raw/stranger.wav

# ---- taking it back
mkdir back
sync pull back
rec-migrate -q -C back rollback >/dev/null
is "rollback takes what was new out again" "$(sql back/db/app.db 'SELECT count(*) FROM recordings') $(find back/recordings/raw -type f | wc -l)" "0 0"

rm "new/recordings/raw/$file"
sync pull new
rec-migrate -q -C new rollback >/dev/null
ok "but not the file of a recording that was there before" test -e "new/recordings/raw/$file"

# ---- an inventory that cannot be trusted
refit()
{
	head -n -1 $inv >cut
	printf '{"end":%s,"xxh3_128":"%s"}\n' "$(($(wc -l <cut) - 1))" "$(xxhsum -q -H2 cut | cut -d ' ' -f 1)" | cat cut - >$inv
}
cp $inv inventory
rm remote/raw/stranger.wav
for spoiled in "sed -i 's/Porto/Lisboa/' $inv" "truncate -s -30 $inv" "truncate -s 5000 $inv" "truncate -s 0 $inv" "echo x >>$inv"; do
	cp inventory $inv
	eval "$spoiled"
	rm -rf spoiled
	mkdir spoiled
	sync pull spoiled
	is "${spoiled%% *} ${spoiled##* -}: is found out, and nothing is fetched" "$st $(find spoiled/recordings -type f 2>/dev/null | wc -l)" "3 0"
done
sed 's/"id":4,/"id":-4,/; s/"id":5,/"id":9223372036854775807,/; s/"id":6,/"id":3,/; s/"status":"active"/"status":"odd"/; s/"quality":"[a-z_]*"/"quality":7/; s/"created_at":"[^"]*"/"created_at":"now"/; s/"duration_s":[0-9.]*/"duration_s":-1/; s/"mtime":"[^"]*"/"mtime":"x"/; s/"tags":{}/"tags":[1]/; s/"started_at":"[^"]*"/"started_at":"12"/; s/"place":"Porto"/"place":5/; s/"title":null/"title":["x"]/' inventory >$inv
refit
mkdir odd
sync pull odd
is "values that cannot be are left out" "$st $(sql odd/db/app.db 'SELECT count(*), count(DISTINCT id), min(id) > 0, max(id) < 100 FROM recordings')" "0 17|17|1|1"
is "and the files measured" "$(sql odd/db/app.db "SELECT count(*) FROM rec_measurements WHERE quality IN ('low_quality','cd_quality','high_resolution')")" "17"
is "the bytes are right all the same" "$(files odd)" "$(files "$src")"
sed "s/$(sha256sum <"remote/raw/$file" | cut -c -64)/$(printf '%064d' 0)/" inventory >$inv
refit
mkdir sums
sync pull sums "raw/$file"
jq_is "a wrong hash keeps the object out" '[.problem.code]' '["checksum_mismatch"]'
rm $inv
mkdir bare
sync pull bare
status "without an inventory the recordings come alone" 0
is "all of them" "$(files bare)" "$(files "$src")"
cp inventory $inv

# ---- something in the way
mkdir -p way/recordings/raw
echo mine >"way/recordings/raw/$file"
sync pull way
is "a file that no recording has is left as it is" "$(jq -c 'select(.problem.code == "conflict") | .key' "$out") $(cat "way/recordings/raw/$file")" "\"raw/$file\" mine"
is "and the others are added" "$(jq -c 'select(.problem == null) | .action' "$out" | sort | uniq -c | tr -s ' ')" ' 16 "add"'

# ---- an unmounted disk
mv new/recordings/raw elsewhere
mkdir new/recordings/raw
sync pull new
status "nothing is fetched into an empty mount point" 3
is "nothing at all" "$(ls new/recordings/raw)" ""
rec-meta -C new -o path list --where 'id = 4' >list
run_in list rec-sync pull -C new --remote="$REMOTE" -
ok "unless it is named" cmp good "new/recordings/raw/$file"
rm -r new/recordings/raw
mv elsewhere new/recordings/raw

# ---- a full disk, and a kill at every call
if [ -r "$SHIM" ]; then
	mkdir full
	rec-sync pull -C full --remote="$REMOTE" "raw/$other" >/dev/null 2>&1
	fault FAULT_AT=1 FAULT_MODE=errors FAULT_ERRNO=ENOSPC FAULT_CALLS=pwrite,pwrite64 rec-sync pull -C full --remote="$REMOTE" "raw/$file"
	is "a full disk ends it, and no half file has a name" "$st $(ls full/recordings/raw)" "3 $other"
	sync pull full "raw/$file"
	is "with room it is done" "$st $(sha256sum <"full/recordings/raw/$file")" "0 $(sha256sum <good)"
	mkdir count
	fault FAULT_AT=0 FAULT_COUNT="$TMP/calls" rec-sync pull -C count --remote="$REMOTE"
	calls=$(tail -1 calls)
	bad= tried=0
	sync push count
	want=$(state count)
	for ((at = 3; at <= calls; at += 1 + calls / 40)); do
		for mode in kill torn; do
			rm -rf killed
			mkdir killed
			fault FAULT_AT=$at FAULT_MODE=$mode rec-sync pull -C killed --remote="$REMOTE"
			[ "$st" = 137 ] || bad="$bad $at:$mode:status-$st"
			while read -r name; do
				cmp -s "killed/recordings/raw/$name" "remote/raw/$name" || bad="$bad $at:$mode:half-$name"
			done < <(ls killed/recordings/raw 2>/dev/null | grep -v '^\.rec-')
			sync pull killed
			[ "$st" = 0 ] || bad="$bad $at:$mode:pull-$st"
			# What came in two attempts is proven only now; nothing is sent.
			sync push killed
			[ -z "$(jq -c 'select(.action == "upload" or .action == "conflict")' "$out")" ] || bad="$bad $at:$mode:push"
			[ "$(state killed)" = "$want" ] || bad="$bad $at:$mode:state"
			[ "$(files killed)" = "$(files count)" ] || bad="$bad $at:$mode:files"
			temp_is_empty killed || bad="$bad $at:$mode:temp"
			tried=$((tried + 1))
		done
	done
	is "killed at $tried calls of $calls, the next pull completes it" "$bad" ""
else
	skip "kills" "no fault shim"
fi

done_testing
