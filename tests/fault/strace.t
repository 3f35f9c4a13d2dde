#!/bin/bash
# As apply-kill.t and meta-kill.t, but the kernel is asked: strace kills at the Nth system call, which also
# hits what libraries call without glibc. A sample.
. "$(dirname "$0")/fault.sh"
need sox sqlite3 jq strace
[ -z "$wrap" ] || plan_skip "strace would trace the wrapper"
[ "$(strace -f -qq -o /dev/null -e trace=exit_group true >/dev/null 2>&1; echo $?)" = 0 ] ||
	plan_skip "strace is not permitted here"

# when= counts the calls of each thread. Status 137 says that the kill took place.
check()
{
	intact killed "$1"
	completes "$1" "${next[@]}"
}

kill_at()
{
	local what=$1 call=$2 n step=$3 before=$states

	shift 3
	for ((n = 1; ; n += step)); do
		fresh
		run strace -f -qq -o /dev/null -e "trace=$call" -e "inject=$call:signal=SIGKILL:when=$n" "$@"
		[ "$st" = 137 ] || break
		states=$((states + 1))
		check "$what: $call $n"
	done
	[ "$st" -le 1 ] || broken "$what: $call $n: not hit, and status $st"
	[ "$states" -gt "$before" ] || broken "$what: $call: nothing was hit"
}

each()
{
	local what=$1 sparse=3 some=2

	shift
	full && sparse=1 some=1
	fresh
	take old "$W"
	run "$@"
	[ "$st" -le 1 ] || broken "$what: undisturbed it fails"
	take new "$W"
	allow old new
	kill_at "$what" fsync 1 "$@"
	kill_at "$what" fdatasync "$some" "$@"
	kill_at "$what" pwrite64 $((sparse * sparse)) "$@"
	kill_at "$what" write "$sparse" "$@"
	kill_at "$what" renameat2 1 "$@"
	kill_at "$what" openat $((sparse * sparse)) "$@"
}

make_archive "$A" cabc59ea0c9d
new_files "$A/in"
take begin "$A"
may_be_undone=false
next=(rec-migrate -C "$W" -q apply)
each apply rec-migrate -C "$W" -q -j1 apply
if full; then
	each "apply -j2" rec-migrate -C "$W" -q -j2 apply
fi
run rec-migrate -C "$A" -q apply
may_be_undone=true
next=(rec-meta -C "$W" -q set 5 status=archived)
each "add --move" rec-meta -C "$W" -q add --move in/new.wav
if full; then
	each "rm --purge" rec-meta -C "$W" -q rm --purge 1
	may_be_undone=false
	next=(rec-migrate -C "$W" -q rollback)
	each rollback rec-migrate -C "$W" -q rollback
fi
report "killed by strace"
done_testing
