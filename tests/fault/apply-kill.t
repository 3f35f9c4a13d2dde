#!/bin/bash
# rec-migrate apply is killed at each call that changes a file, in turn. Each time the archive is whole, the
# next apply completes it as if nothing had happened, and one rollback brings back the beginning.
. "$(dirname "$0")/fault.sh"
need_shim

# After each kill.
check()
{
	take killed "$W"
	same killed.files old.files || broken "$1: a file of the user is not as it was"
	legal killed || broken "$1: the database is damaged or a row is neither old nor new"
	run rec-migrate -C "$W" -q apply
	[ "$st" -le 1 ] || broken "$1: the next apply fails"
	take again "$W"
	same again.text new.text && same again.files old.files || broken "$1: the next apply does not complete it"
	no_leftovers || broken "$1: the next apply leaves something behind"
	run rec-migrate -C "$W" -q rollback
	[ "$st" = 0 ] || broken "$1: the rollback fails"
	take back "$W"
	same back.db old.db && same back.files old.files || broken "$1: the rollback does not bring back the beginning"
	all_rolled_back || broken "$1: runs shows $(run_states)"
}

# kill_at_each NAME MODE STEP OPTION...
kill_at_each()
{
	local name=$1 mode=$2 n step=$3 before=$states

	shift 3
	for ((n = 1; ; n += step)); do
		fresh
		hit "$mode" "$n" rec-migrate -C "$W" -q "$@" apply || break
		check "$name: apply $* $mode at call $n"
	done
	[ "$states" -gt "$before" ] || broken "$name: apply $* $mode: nothing was hit"
}

# The archive $A under each mode. The state after one call is the state before the next, so killafter is
# sampled; with two threads the order differs a little each time.
all_modes()
{
	local name=$1

	fresh
	take old "$W"
	run rec-migrate -C "$W" -q apply
	[ "$st" -le 1 ] || broken "$name: an undisturbed apply fails"
	take new "$W"
	same old.text new.text && broken "$name: an undisturbed apply changes nothing"
	allow old new
	if full; then
		for mode in kill killafter torn; do
			kill_at_each "$name" "$mode" 1 -j1
			kill_at_each "$name" "$mode" 1 -j2
		done
	else
		kill_at_each "$name" kill 1 -j1
		kill_at_each "$name" kill 6 -j2
		kill_at_each "$name" torn 2 -j1
		kill_at_each "$name" killafter 10 -j2
	fi
}

for shape in cabc59ea0c9d 0002; do
	make_archive "$A" "$shape"
	all_modes "$shape"
	rm -rf "$A"
done
report "a killed apply"

real_archives "a killed apply"
done_testing
