#!/bin/bash
# What records and what recovers (take.h, by a driver) is killed, and fails, at each call that changes a file. A
# recording that was written whole is there afterwards, under one name or the other, and the next run makes of it
# one recording with its row and its bytes; taking all runs back brings back the catalogue and loses no byte.
. "$(dirname "$0")/fault.sh"
need_shim
DRIVER=$(dirname "$SHIM")/take-driver
[ -x "$DRIVER" ] || plan_skip "no $DRIVER (make build/fault/take-driver)"

# Of the calls only some are tried unless all are asked for.
some=8
full && some=1

name=recording_20250905_100000.wav
sound=$TMP/sound.wav
cut=$TMP/cut.wav

# Where NAME.part lies.
temp()
{
	echo "${OTHER_TEMP:-$W/recordings/temp}"
}

begin()
{
	fresh
	rm -rf "$(temp)"
	mkdir -p "$(temp)"
	[ "$start" = nothing ] || cp "$start" "$(temp)/$name.part"
}

# copies FILE: how many files of the archive have its bytes.
copies()
{
	find "$W/recordings" ${OTHER_TEMP:+"$OTHER_TEMP"} -type f ! -name '.rec-*.tmp' -name 'recording_*' \
	    -exec sha256sum {} + | grep -c "^$(sha256sum <"$1" | cut -c 1-64)"
}

rows()
{
	sqlite3 -init /dev/null "$S/copy" "SELECT count(*) FROM recordings WHERE stored_filename LIKE 'recording_%'"
}

# check WHAT WHOLE: what was whole before (WHOLE is not 0) is recorded by the next run; a recording that never came
# so far is nothing or empty.
check()
{
	local what=$1 n whole=$2

	run "$DRIVER" "$W" recover
	[ "$st" = 0 ] || broken "$what: the next run fails"
	take again "$W"
	[ "$(head -1 "$S/again.db")" = ok ] || broken "$what: the database is damaged"
	n=$(rows)
	if [ "$whole" = 0 ] && [ "$n" = 0 ]; then
		[ ! -s "$(temp)/$name.part" ] || broken "$what: a part is left"
	else
		[ "$n" = 1 ] || broken "$what: $n rows"
		cmp -s "$W/recordings/raw/$name" "$wanted" || broken "$what: the recording is not what was recorded"
		[ ! -e "$(temp)/$name.part" ] || broken "$what: the part is still there"
	fi
	[ "$start" != "$cut" ] || [ "$(copies "$cut")" -ge 1 ] || broken "$what: the part is lost"
	no_leftovers || broken "$what: temporary files"
	for n in 1 2 3 4; do
		all_rolled_back && break
		run rec-migrate -C "$W" -q rollback
		[ "$st" = 0 ] || broken "$what: rollback $n fails"
	done
	take back "$W"
	same back.db begin.db || broken "$what: rolling back does not bring back the catalogue"
	[ "$whole" = 0 ] || [ "$(copies "$original")" -ge 1 ] || broken "$what: rolling back loses the bytes"
}

# each WHAT START ORIGINAL WANTED CMD...
each()
{
	local what=$1 mode n last step=4

	start=$2 original=$3 wanted=$4
	shift 4
	for mode in kill killafter; do
		[ "$mode" = kill ] && ! full || step=$some
		for ((n = 1; ; n += step)); do
			begin
			hit "$mode" "$n" "$DRIVER" "$W" "$@" || break
			check "$what, $mode at call $n" "$(copies "$original")"
		done
		[ "$n" -gt 5 ] || broken "$what: $mode: only $n calls"
	done
	begin
	rm -f "$TMP/count"
	fault FAULT_COUNT="$TMP/count" "$DRIVER" "$W" "$@"
	last=$(<"$TMP/count")
	for ((n = 1; n <= last; n += some)); do
		begin
		fault FAULT_MODE=error FAULT_ERRNO=ENOSPC FAULT_AT="$n" "$DRIVER" "$W" "$@"
		states=$((states + 1))
		[ "$st" -le 1 ] || [ "$st" = 3 ] || broken "$what: call $n fails: status $st"
		check "$what, call $n fails" "$(copies "$original")"
	done
}

all()
{
	each "recording$1" nothing "$sound" "$sound" record "$sound"
	each "recovering$1" "$sound" "$sound" "$sound" recover
	each "mending$1" "$cut" "$cut" "$TMP/whole.wav" recover
	report "a killed take$1"
	states=0
}

make_archive "$A" 0002
echo REC_TEMP_PATH=recordings/temp >>"$A/.env"
_tone "$sound" 0.05 523
head -c 601 "$sound" >"$cut"
sox --ignore-length "$cut" "$TMP/whole.wav" 2>/dev/null
take begin "$A"
run rec-migrate -C "$A" -q apply
OTHER_TEMP=
all ""

OTHER=$(mktemp -d /var/tmp/rectools-fault.XXXXXX)
trap 'rm -rf "$OTHER"; _finish' EXIT
if [ "$(stat -c %d "$OTHER")" = "$(stat -c %d "$TMP")" ]; then
	skip "temp on another file system" "/var/tmp is on the same one"
else
	OTHER_TEMP=$OTHER/temp
	sed -i "s|^REC_TEMP_PATH=.*|REC_TEMP_PATH=$OTHER_TEMP|" "$A/.env"
	all ", temp on another file system"
fi
done_testing
