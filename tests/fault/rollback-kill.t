#!/bin/bash
# rec-migrate rollback is killed at each call that changes a file, in turn. Each time the archive is whole, and
# the next run finishes the rollback: another rollback, or an apply before it does its own work.
. "$(dirname "$0")/fault.sh"
need_shim

check_rollback()
{
	run rec-migrate -C "$W" -q rollback
	[ "$st" = 0 ] || broken "$1: the next rollback fails"
	take back "$W"
	same back.db old.db && same back.files old.files || broken "$1: the next rollback does not bring back the beginning"
	no_leftovers || broken "$1: the next rollback leaves something behind"
	all_rolled_back || broken "$1: runs shows $(run_states)"
}

# A rollback that had begun is finished first, and one new run does all of apply. One that had not begun leaves
# its run applied; the next apply then only records where the folders of the copy are, as a run of its own.
check_apply()
{
	local begun=0 left

	! grep -q '"op":"rollback".*}$' "$W"/db/journal/*.jsonl || begun=1
	run rec-migrate -C "$W" -q apply
	[ "$st" -le 1 ] || broken "$1: the next apply fails"
	take again "$W"
	same again.text new.text && same again.files old.files || broken "$1: the next apply does not complete it"
	no_leftovers || broken "$1: the next apply leaves something behind"
	left=$(rec-migrate -C "$W" -o json runs | jq -r .state | paste -sd ' ')
	if [ "$begun" = 1 ]; then
		[ "$left" = 'rolled_back applied' ] || broken "$1: after the next apply, runs shows $left"
	else
		[ "$left" = 'applied applied' ] || broken "$1: after the next apply, runs shows $left"
		run rec-migrate -C "$W" -q rollback
	fi
	check_rollback "$1, apply"
}

check()
{
	take killed "$W"
	same killed.files old.files || broken "$1: a file of the user is not as it was"
	legal killed || broken "$1: the database is damaged or a row is neither old nor new"
	"$next" "$1"
}

# kill_at_each NAME MODE STEP FIRST
kill_at_each()
{
	local name=$1 mode=$2 step=$3 n before=$states

	for ((n = ${4:-1}; ; n += step)); do
		fresh
		hit "$mode" "$n" rec-migrate -C "$W" -q rollback || break
		check "$name: rollback $mode at call $n"
	done
	[ "$states" -gt "$before" ] || broken "$name: rollback $mode: nothing was hit"
}

all_modes()
{
	local name=$1 mode

	take old "$A"
	run rec-migrate -C "$A" -q apply
	[ "$st" -le 1 ] || broken "$name: an undisturbed apply fails"
	take new "$A"
	allow old new
	for next in check_rollback check_apply; do
		if full; then
			for mode in kill killafter torn; do
				kill_at_each "$name" "$mode" 1
			done
		else
			kill_at_each "$name" kill 2
			kill_at_each "$name" torn 4
			kill_at_each "$name" killafter 9 4
		fi
	done
}

# Killed twice: the rollback of an apply that was itself killed.
twice()
{
	local name=$1 n m

	take old "$A"
	cp -a "$A" "$TMP/start"
	for n in 15 30 45 60 75; do
		rm -rf "$A"
		cp -a "$TMP/start" "$A"
		W=$A hit kill "$n" rec-migrate -C "$A" -q -j1 apply || continue
		for ((m = 1; ; m += 10)); do
			fresh
			hit kill "$m" rec-migrate -C "$W" -q rollback || break
			check_rollback "$name: apply killed at call $n, its rollback at call $m"
		done
	done
	rm -rf "$A"
	mv "$TMP/start" "$A"
}

for shape in cabc59ea0c9d 0002; do
	make_archive "$A" "$shape"
	twice "$shape"
	all_modes "$shape"
	rm -rf "$A"
done
report "a killed rollback"

real_archives "a killed rollback"
done_testing
