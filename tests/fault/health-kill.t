#!/bin/bash
# rec-health check --fixity all --metrics is killed at each call that changes a file, and each of them fails:
# the database is whole, the next check completes, no recording is touched, and the metrics file is the old one
# or the new one.
. "$(dirname "$0")/fault.sh"
need_shim

M=$W/metrics.prom
check=(rec-health -C "$W" -q check --fixity all --metrics "$M")

# A check changes its own notes alone.
same_but_notes()
{
	grep -v '^INSERT INTO rec_fixity' "$S/$1.db" >"$S/without.1"
	grep -v '^INSERT INTO rec_fixity' "$S/$2.db" >"$S/without.2"
	diff "$S/without.1" "$S/without.2" >"$S/diff"
}

metrics_whole()
{
	[ ! -e "$M" ] || [ "$(tail -n 1 "$M" | cut -d ' ' -f 1)" = rectools_health_finished_time_seconds ]
}

# after WHAT OLD: a check that was disturbed; OLD is whether there was a metrics file.
after()
{
	take state "$W"
	same_but_notes old state || broken "$1: more than the notes has changed: $(cat "$S/diff")"
	same old.files state.files || broken "$1: a recording was touched"
	metrics_whole || broken "$1: half a metrics file"
	! "$2" || [ -e "$M" ] || broken "$1: the metrics file is gone"
	run "${check[@]}"
	[ "$st" = 1 ] || broken "$1: the next check does not complete"
	jq -es 'map(select(.check == "fixity.file").id) == [5]' "$out" >/dev/null || broken "$1: the next check misses the damage"
	take again "$W"
	same_but_notes old again || broken "$1: after the next check: $(cat "$S/diff")"
	same old.files again.files || broken "$1: the next check touched a recording"
	[ "$(grep -c '^INSERT INTO rec_fixity VALUES' "$S/again.db")" = 3 ] || broken "$1: the next check has not noted three files"
	grep -q "^INSERT INTO rec_fixity_pass VALUES(1,'[^']*','" "$S/again.db" || broken "$1: the next check has not finished the pass"
	metrics_whole && [ -e "$M" ] || broken "$1: the next check writes no metrics"
}

# kills MODE OLD
kills()
{
	local n

	for ((n = 1; ; n++)); do
		fresh
		! "$2" || cp "$TMP/metrics" "$M"
		hit "$1" "$n" "${check[@]}" || break
		after "$1 at call $n" "$2"
	done
	[ "$n" -gt 10 ] || broken "$1: only $n calls were hit"
}

# A call that fails: the check tells, or does without it; beyond the last one it is undisturbed.
errors()
{
	local n calls

	fresh
	rm -f "$TMP/calls"
	fault FAULT_AT=0 FAULT_COUNT="$TMP/calls" "${check[@]}"
	calls=$(tail -n 1 "$TMP/calls" | grep -oE '[0-9]+' | tail -n 1)
	for ((n = 1; n <= calls; n++)); do
		fresh
		! "$3" || cp "$TMP/metrics" "$M"
		fault FAULT_MODE="$1" FAULT_ERRNO="$2" FAULT_AT="$n" "${check[@]}"
		states=$((states + 1))
		case $st in
		1 | 3 | 4) ;;
		*) broken "$1 $2 at call $n: status $st" ;;
		esac
		[ "$st" = 1 ] || [ -s "$errf" ] || broken "$1 $2 at call $n: status $st without a word"
		after "$1 $2 at call $n" "$3"
	done
	[ "$n" -gt 10 ] || broken "$1 $2: only $n calls"
}

make_archive "$A" 0002
run rec-migrate -C "$A" -q apply
fresh
run "${check[@]}"
cp "$M" "$TMP/metrics"
fresh
take old "$W"

kills kill true
kills torn false
if full; then
	kills kill false
	kills killafter true
	kills torn true
fi
report "a killed rec-health check"
states=0
errors error ENOSPC true
errors errors EIO false
if full; then
	errors error EIO true
	errors errors ENOSPC true
	errors error EROFS false
	errors error EDQUOT false
fi
report "a rec-health check whose calls fail"
done_testing
