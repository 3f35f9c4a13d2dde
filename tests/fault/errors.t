#!/bin/bash
# Each call that changes a file fails in turn, alone or with all that follow, because the disk is full or
# fails; and allocations fail. The tool says so and leaves nothing half done, a later run completes the work,
# and rolling back brings back the beginning.
. "$(dirname "$0")/fault.sh"
need_shim

# What failed is named before what went wrong.
says='^rec-[a-z]+: .+: .*(No space left on device|Input/output error|disk I/O error|database or disk is full|unable to open database file)'

# after_fault WHAT NEXT...: $st is that of the failed run; NEXT is the run after it.
after_fault()
{
	local what=$1

	shift
	intact failed "$what"
	case $st in
	"$fine")
		same failed.text new.text || broken "$what: status $st, and it was not done"
		;;
	1 | 3)
		same failed.text new.text || grep -qE "$says" "$errf" ||
		    broken "$what: status $st without a clear message"
		[ "$st" = 3 ] || "$may_fail_items" || broken "$what: status $st"
		;;
	139)
		"$crashed" || broken "$what: SIGSEGV"
		;;
	*)
		broken "$what: status $st"
		;;
	esac
	completes "$what" "$@"
}

# fail_at_each WHAT MODE ERRNO FIRST STEP: $command is what fails, $next what runs after it.
fail_at_each()
{
	local what="$1: $2 $3" mode=$2 errno=$3 n last

	fresh
	rm -f "$TMP/count"
	fault FAULT_COUNT="$TMP/count" "${command[@]}"
	last=$(<"$TMP/count")
	for ((n = $4; n <= last; n += $5)); do
		fresh
		fault FAULT_MODE="$mode" FAULT_ERRNO="$errno" FAULT_AT="$n" "${command[@]}"
		states=$((states + 1))
		[ "$mode" = errors ] || [ "$st" = "$fine" ] || [ -z "$(find "$W" -name '*.tmp' -print -quit)" ] ||
		    broken "$what at call $n: leaves a temporary file"
		after_fault "$what at call $n" "${next[@]}"
	done
}

# libsndfile 1.2.0 follows a null pointer in sf_open when it runs out of memory, which nothing here can help:
# such a crash is as a kill. Where there is no gdb to tell, it is taken for that.
in_libsndfile()
{
	type gdb >/dev/null 2>&1 || return 0
	fresh
	gdb -q -batch -ex "set env LD_PRELOAD $SHIM" -ex "set env FAULT_ALLOC $1" -ex run -ex 'bt 1' \
	    --args "${command[@]}" 2>/dev/null | grep -q '^#0 .*libsndfile'
}

fail_allocations()
{
	local what="$1: allocation" n last

	fresh
	rm -f "$TMP/count"
	fault FAULT_ALLOC_COUNT="$TMP/count" "${command[@]}"
	last=$(<"$TMP/count")
	for ((n = 1; n <= last; n += $(full && echo 1 || echo $((last / $2 + 1))))); do
		fresh
		fault FAULT_ALLOC="$n" "${command[@]}"
		allocations=$((allocations + 1))
		crashed=false
		[ "$st" != 139 ] || crashed=true
		# SQLite calls some lack of memory by what it wanted it for, or does not find what it has no memory to name.
		says='^rec-[a-z]+: .*(memory|unable to open a temporary database file|no such column)' after_fault "$what $n of $last" "${next[@]}"
		"$crashed" || continue
		crashed=false
		in_libsndfile "$n" || broken "$what $n of $last: SIGSEGV"
		crashes=$((crashes + 1))
	done
}

# each NAME FIRST ALLOCATIONS: with $command and $next.
each()
{
	local errno

	fresh
	take old "$W"
	run "${command[@]}"
	fine=$st
	[ "$st" -le 1 ] || broken "$1: undisturbed it fails"
	take new "$W"
	same old.text new.text && broken "$1: undisturbed it changes nothing"
	allow old new
	if full; then
		for errno in ENOSPC EIO; do
			fail_at_each "$1" error "$errno" 1 1
			fail_at_each "$1" errors "$errno" 1 1
		done
	else
		fail_at_each "$1" error EIO "$2" 5
		fail_at_each "$1" error ENOSPC $((3 - $2)) 8
		fail_at_each "$1" errors ENOSPC 1 8
		fail_at_each "$1" errors EIO "$2" 20
	fi
	fail_allocations "$1" "$3"
}

# Everything but add says with 3 that the disk fails.
may_fail_items=false
allocations=0
crashes=0
crashed=false

for shape in cabc59ea0c9d 0002; do
	make_archive "$A" "$shape"
	new_files "$A/in"
	take begin "$A"

	may_be_undone=false
	command=(rec-migrate -C "$W" -q -j1 apply)
	next=(rec-migrate -C "$W" -q apply)
	each "$shape: apply" 1 30

	run rec-migrate -C "$A" -q apply
	command=(rec-migrate -C "$W" -q rollback)
	next=(rec-migrate -C "$W" -q rollback)
	each "$shape: rollback" 2 20

	if full || [ "$shape" = 0002 ]; then
		may_be_undone=true
		next=(rec-meta -C "$W" -q set 5 status=archived)
		command=(rec-meta -C "$W" -q add --move in/new.wav)
		each "$shape: add --move" 1 30
		command=(rec-meta -C "$W" -q rm --purge 1)
		each "$shape: rm --purge" 2 15
	fi
	if full; then
		command=(rec-meta -C "$W" -q add in/new.wav)
		each "$shape: add" 1 1
		command=(rec-meta -C "$W" -q set 1 title=Neu tags.place=Porto)
		each "$shape: set" 1 1
	fi
	rm -rf "$A"
done
echo "# failed allocations among them: $allocations; of these crashed inside libsndfile: $crashes"
states=$((states + allocations))
report "calls and allocations that fail"
done_testing
