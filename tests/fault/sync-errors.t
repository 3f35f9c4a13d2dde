#!/bin/bash
# rec-sync push and pull to and from a folder: each call that changes a file fails, alone or with all that follow, or
# the process dies before, after or in the middle of it; and allocations fail. It is said so, and a run without faults
# completes everything: each object once and right, no byte lost, nothing left behind.
. "$(dirname "$0")/fault.sh"
need_shim
need python3

transfers="--transfers 1"
there=$TMP/there
allocations=0

# A few recordings, one of which is there already and renamed since, so that push uploads and renames.
make_archive "$A" 0002
sqlite3 "$A/db/app.db" 'DELETE FROM recordings; DELETE FROM jobs'
rm "$A"/recordings/raw/*
for i in 1 2 3 4 5; do
	_tone "$TMP/tone$i.wav" 0.0$i $((200 + i * 100))
	rec-meta -q -C "$A" add "$TMP/tone$i.wav" >/dev/null
done
first=$(sqlite3 "$A/db/app.db" "SELECT stored_filename FROM recordings WHERE id = 1")
objects() { (cd "$1" && find . -type f ! -path ./.rectools/catalogue.jsonl | sed 's,^\./,,' | LC_ALL=C sort | xargs -d '\n' -r sha256sum | sort -k 2); }
# What is proven is known by its inode and times, so the folder cannot be copied.
again()
{
	rm -rf "$W" "$there"
	if [ "$command" = push ]; then
		cp -a "$A" "$W"
		mkdir "$there"
		rec-sync push -q -C "$W" --remote "file://$there" 1 >/dev/null
		mv "$W/recordings/raw/$first" "$W/recordings/raw/renamed.wav"
		sqlite3 "$W/db/app.db" "UPDATE recordings SET stored_filename = 'renamed.wav' WHERE id = 1; UPDATE rec_measurements SET stored_filename = 'renamed.wav' WHERE recording_id = 1"
	else
		mkdir "$W"
		cp "$A/.env" "$W"
		cp -a "$TMP/there.end" "$there"
	fi
}
sync() { rec-sync "$command" -q -C "$W" --remote "file://$there" $transfers; }

# Under a name there is a whole file or none; nothing that was there is lost.
intact()
{
	local sum name

	while read -r sum name; do
		[ "$command" = push ] || [ "$(sha256sum <"$W/recordings/$name" | cut -d ' ' -f 1)" = "$sum" ] || broken "$1: half a file: $name"
	done < <([ "$command" = push ] || grep -F -f <(cd "$W/recordings" 2>/dev/null && find raw -type f ! -name '.rec-*' 2>/dev/null) wanted)
	[ "$command" = pull ] || (cd "$W/recordings" && sha256sum raw/* | sort -k 2) | cmp -s - wanted || broken "$1: a recording was changed"
	while read -r sum name; do
		case $name in
		raw/*) grep -q "^$sum " wanted || broken "$1: the object $name is not whole" ;;
		esac
	done < <(objects "$there")
}

completes()
{
	intact "$1"
	run sync
	[ "$st" = 0 ] || broken "$1: the next run ends with $st"
	objects "$there" | cmp -s - wanted || broken "$1: at the remote: $(diff <(objects "$there") wanted | head -n 4)"
	(cd "$W/recordings" && sha256sum raw/* | sort -k 2) | cmp -s - wanted || broken "$1: the files differ"
	[ -z "$(ls -A "$W/db/sync" "$W/recordings/temp" 2>/dev/null | grep -v -e ':$' -e '^$')" ] || broken "$1: something is left behind"
	[ "$(sqlite3 "$W/db/app.db" "PRAGMA integrity_check; SELECT count(*), count(DISTINCT stored_filename) FROM recordings; SELECT count(*) FROM rec_uploads")" = "ok
5|5
0" ] || broken "$1: the catalogue is not what it shall be"
	run rec-sync push -q -C "$W" --remote "file://$there"
	[ "$st" = 0 ] && [ -z "$(jq -c 'select(.action != "prove")' "$out")" ] || broken "$1: a push afterwards has something to do (status $st)"
	full || return
	run rec-sync verify -q --download -C "$W" --remote "file://$there"
	[ "$st" = 0 ] || broken "$1: verify is not content"
}

# What was not done is told, in a message or in a record.
told()
{
	case $st in
	0) ;;
	1 | 3 | 4) [ -s "$errf" ] || jq -es "any(.problem)" "$out" >/dev/null || broken "$1: status $st, and nothing is said" ;;
	*) broken "$1: status $st" ;;
	esac
}

# calls_of CALLS: how many an undisturbed run makes of these, or of all
calls_of()
{
	again
	rm -f count
	fault FAULT_COUNT="$TMP/count" ${1:+FAULT_CALLS=$1} rec-sync "$command" -q -C "$W" --remote "file://$there" $transfers
	tail -n 1 count
}
# each_call MODE ERRNO FIRST STEP
each_call()
{
	local mode=$1 errno=$2 n step=$4 last calls=

	[ "$mode" = torn ] && calls=$WRITES
	last=$(calls_of "$calls")
	for ((n = $3; n <= last; n += step)); do
		again
		fault FAULT_MODE="$mode" ${errno:+FAULT_ERRNO=$errno} ${calls:+FAULT_CALLS=$calls} FAULT_AT=$n \
		    rec-sync "$command" -q -C "$W" --remote "file://$there" $transfers
		states=$((states + 1))
		case $mode in
		error*) told "$command: $errno ($mode) at call $n of $last" ;;
		*) [ "$st" = 137 ] || broken "$command: $mode at call $n of $last: status $st" ;;
		esac
		completes "$command: $mode $errno at call $n of $last"
	done
}
each_allocation()
{
	local n last

	again
	rm -f count
	fault FAULT_ALLOC_COUNT="$TMP/count" rec-sync "$command" -q -C "$W" --remote "file://$there" $transfers
	last=$(tail -n 1 count)
	for ((n = 1; n <= last; n += $(full && echo 1 || echo $((last / 15 + 1))))); do
		again
		fault FAULT_ALLOC=$n rec-sync "$command" -q -C "$W" --remote "file://$there" $transfers
		allocations=$((allocations + 1))
		told "$command: allocation $n of $last"
		completes "$command: allocation $n of $last"
	done
}

command=push
again
run sync
status "undisturbed it works" 0
is "and uploads and renames" "$(jq -r .action "$out" | sort | uniq -c | tr -s ' ' | tr '\n' ',')" " 1 rename, 4 upload,"
(cd "$W/recordings" && sha256sum raw/* | sort -k 2) >wanted
is "everything" "$(objects "$there")" "$(cat wanted)"
cp -a "$there" there.end
for command in push pull; do
	step=28
	[ $command = push ] || step=70
	states=0 broken=0
	if full; then
		each_call error EIO 1 1
		each_call error ENOSPC 1 1
		each_call errors ENOSPC 1 1
		each_call kill "" 1 1
		each_call killafter "" 1 1
		each_call torn "" 1 1
	else
		# push makes some 130 calls, pull 300
		each_call error EIO 1 $step
		each_call error ENOSPC $((step / 2 + 1)) $step
		each_call errors ENOSPC 5 $((2 * step))
		each_call kill "" 4 $step
		each_call killafter "" $((step - 3)) $step
		each_call torn "" 2 $((step / 2))
	fi
	each_allocation
	report "$command: calls that fail or kill"
done
echo "# failed allocations among them: $allocations"
full || ok "enough allocations failed" test "$allocations" -ge 24
done_testing
