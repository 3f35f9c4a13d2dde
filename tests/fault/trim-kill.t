#!/bin/bash
# rec-trim is killed at each call that changes a file, in turn, and each of these calls fails because the disk is
# full or fails. Each row is old or new, no source is touched, what is in edited/ is whole. The next run of any tool
# leaves nothing behind, and taking all runs back brings back the beginning without losing a byte.
. "$(dirname "$0")/fault.sh"
need_shim

# As in fault.sh; what is cut gets a name by chance.
masked()
{
	sed -E -e 's/[0-9]{8}T[0-9]{6}\.[0-9]{6}Z-[0-9a-f]{8}/RUN/g' \
	    -e "s/'(edi_)?[0-9a-f]{32}(\.[a-z]+')/'NAME\2/g" -e "s/'20(2[6-9]|[3-9][0-9])-[^']*'/WHEN/g" \
	    -e "s/^(INSERT INTO rec_volumes VALUES\([12],'[a-z]*',).*/\1ITS IDENTITY);/" "$@"
}

# As in fault.sh, and where a recording is from.
rows_of()
{
	awk -F '[(,]' '
	/^INSERT INTO recordings / || /^INSERT INTO rec_(measurements|tags|provenance) / {
		sub(/(,NULL)*\);$/, "")
		text[$2] = text[$2] " " $0
	}
	END { for (id in text) print id, text[id] }' "$S/$1.text" | sort
}

# The user's own files, with their times. As each state is asked for much, bash itself reads what it can.
sources()
{
	local line

	while read -r line; do
		[[ $line != *recordings/raw/* ]] || echo "$line"
	done <"$S/$1.files"
}

# beyond NAME OTHER...: contents that are in the snapshot and in none of the others.
beyond()
{
	local other sum rest
	declare -A known=()

	for other in "${@:2}"; do
		while read -r sum rest; do
			known[$sum]=1
		done <"$S/$other.files"
	done
	while read -r sum rest; do
		[ "${#sum}" != 64 ] || [ -n "${known[$sum]:-}" ] || echo "$sum"
	done <"$S/$1.files"
}

# one_of NAME OTHER...: the rows are as in one of the others, or each is as in one of them.
one_of()
{
	local text other

	text=$(<"$S/$1.text")
	for other in "${@:2}"; do
		[ "$text" != "$(<"$S/$other.text")" ] || return 0
	done
	legal "$1"
}

# pathless NAME IDS: the rows whose measured contents are not where the row says.
pathless()
{
	sqlite3 -init /dev/null "$S/copy" "SELECT sha256 || '  recordings/' || folder || '/' || stored_filename
	    FROM rec_measurements WHERE sha256 IS NOT NULL AND $2" 2>/dev/null | grep -vxF -f "$S/$1.files"
}

# rowless: a file in edited/ that no row names.
rowless()
{
	local file rows

	rows=$(<"$S/$1.db")
	for file in "$W"/recordings/edited/*; do
		[ ! -e "$file" ] || [[ $rows == *"'${file##*/}'"* ]] || echo "$file"
	done
}

# check WHAT N: the state that $W is in, the next run, and all runs taken back.
check()
{
	local what=$1 some

	take killed "$W"
	one_of killed old new || broken "$what: the database is damaged or a row is neither old nor new"
	some=$(beyond old killed)
	[ -z "$some" ] || broken "$what: contents were lost: $some"
	some=$(beyond killed old new)
	[ -z "$some" ] || broken "$what: a file is not whole: $some"
	if [ "$in_place" = 0 ]; then
		[ "$(sources killed)" = "$(sources old)" ] || broken "$what: a source was touched"
	else
		[ "$(sources killed | grep -v one.wav)" = "$(sources old | grep -v one.wav)" ] ||
		    broken "$what: a source was touched"
		[ -e "$W/recordings/raw/one.wav" ] || broken "$what: the name has no file"
	fi
	some=$(pathless killed 'recording_id > 9')
	[ -z "$some" ] || broken "$what: a row has no file: $some"

	case $(($2 % 3)) in
	0) run "${again[@]}" ;;
	1) run rec-migrate -C "$W" -q apply ;;
	2) run rec-meta -C "$W" -q set 5 status=archived ;;
	esac
	[ "$st" -le 1 ] || broken "$what: the next run fails"
	take next "$W"
	no_leftovers || broken "$what: the next run leaves something behind"
	some=$(pathless next 1)
	[ -z "$some" ] || broken "$what: after the next run a row has no file: $some"
	some=$(rowless next)
	[ -z "$some" ] || broken "$what: after the next run a file has no row: $some"
	some=$(beyond old next)
	[ -z "$some" ] || broken "$what: the next run lost contents: $some"
	some=$(beyond killed next)
	[ -z "$some" ] || [ "$in_place" = 1 ] || broken "$what: the next run lost what was made: $some"
	some=$(beyond next old new third)
	[ -z "$some" ] || broken "$what: after the next run a file is not whole: $some"
	if [ $(($2 % 3)) = 0 ]; then
		[ "$(find "$W/recordings/edited" -name 'edi_*' | wc -l)" -ge "$wanted" ] ||
		    broken "$what: the next cut is not there"
	else
		one_of next old new old_applied new_applied || broken "$what: after the next run a row is neither old nor new"
	fi

	# There are three runs at most; with none left a rollback does nothing.
	for some in 1 2 3; do
		run rec-migrate -C "$W" -q rollback
		[ "$st" = 0 ] || broken "$what: rollback $some fails"
	done
	all_rolled_back || broken "$what: after all rollbacks runs shows $(run_states)"
	take back "$W"
	same back.db begin.db || broken "$what: rolling back all runs does not bring back the beginning"
	[ "$(sources back)" = "$(sources begin)" ] ||
	    broken "$what: rolling back all runs does not bring back the files"
	[ -z "$(find "$W" -path '*/edited/*' -print -quit)" ] || broken "$what: the rollback leaves a file in edited"
	some=$(beyond next back)
	# What a recording was in place can be made again from what it is.
	[ "$in_place" = 0 ] || some=$(grep -vxFf <(beyond new old) <<<"$some")
	[ -z "$some" ] || broken "$what: the rollback lost contents: $some"
}

# kill_at_each MODE FIRST STEP: $command
kill_at_each()
{
	local mode=$1 n before=$states

	for ((n = $2; ; n += $3)); do
		fresh
		hit "$mode" "$n" "${command[@]}" || break
		"$check" "$what $mode at call $n" $((n / $3))
	done
	[ "$states" -gt "$before" ] || broken "$what $mode: nothing was hit"
}

# What failed is named before what went wrong.
says='^rec-trim: .+: .*(No space left on device|Input/output error|disk I/O error|database or disk is full|unable to open database file)'

# fail_at_each MODE ERRNO FIRST STEP: $command
fail_at_each()
{
	local mode=$1 n last told

	fresh
	rm -f "$TMP/count"
	fault FAULT_COUNT="$TMP/count" "${command[@]}"
	last=$(<"$TMP/count")
	for ((n = $3; n <= last; n += $4)); do
		fresh
		fault FAULT_MODE="$mode" FAULT_ERRNO="$2" FAULT_AT="$n" "${command[@]}"
		states=$((states + 1))
		told="$what: call $n: $mode $2"
		case $st in
		0) "$done_as_new" || broken "$told: status 0, and it was not done" ;;
		1) grep -q '"problem":{' "$out" || broken "$told: status 1 without a problem" ;;
		3) grep -qE "$says" "$errf" || broken "$told: status 3 without a clear message" ;;
		*) broken "$told: status $st" ;;
		esac
		[ "$mode" = errors ] || [ -z "$(find "$W" -name '*.tmp' -print -quit)" ] ||
		    broken "$told: leaves a temporary file"
		# One failure alone is taken back at once.
		if [ "$mode" = error ] && [ "$check" = check ]; then
			take failed "$W"
			[ -z "$(rowless failed)$(pathless failed 1)" ] || broken "$told: is not taken back"
		fi
		"$check" "$told" $((n / $4))
	done
}

is_new()
{
	take failed "$W"
	same failed.text new.text
}

# all_faults K: one of K states is tried, unless all are.
all_faults()
{
	local k=$1 mode errno

	if full; then
		for mode in kill killafter torn; do
			kill_at_each "$mode" 1 1
		done
		for errno in ENOSPC EIO; do
			fail_at_each error "$errno" 1 1
			fail_at_each errors "$errno" 1 1
		done
		return
	fi
	# An even step would hit the same of two calls that alternate.
	kill_at_each kill $((offset % k + 1)) "$k"
	kill_at_each torn $((offset % 5 + 1)) $((k + 4))
	kill_at_each killafter $((offset % 11 + 3)) $((k * 3 + 2))
	fail_at_each error ENOSPC $((offset % 7 + 2)) $((k + 4))
	fail_at_each error EIO $((offset % 5 + 1)) $((k + 6))
	fail_at_each errors ENOSPC $((offset % 9 + 2)) $((k * 3 + 4))
	fail_at_each errors EIO $((offset % 13 + 2)) $((k * 4 + 3))
	offset=$((offset + 1))
}
offset=0

# samples FILE FIRST FRAMES: of so many
samples()
{
	sox -D "$1" -t raw -L -e signed -b 16 - 2>/dev/null | tail -c +$(($2 * 2 + 1)) | head -c $(($3 * 2))
}

# has FILE: it decodes to what is on stdin, no more and no less.
has()
{
	cmp -s - <(samples "$1" 0 1000000)
}

# into_archive K CHECK ARGS...: into the archive $A, which is as it was in `begin`; CHECK says whether what an
# undisturbed run makes is what was wanted.
into_archive()
{
	local k=$1 right=$2

	shift 2
	check=check
	done_as_new=is_new
	command=(rec-trim -C "$W" -q "$@")
	[ "$in_place" = 1 ] || again=("${command[@]}")
	fresh
	take old "$W"
	run "${command[@]}"
	[ "$st" = 0 ] || broken "$what: undisturbed it fails"
	"$right" || broken "$what: undisturbed it does not make what was wanted"
	take new "$W"
	same old.text new.text && broken "$what: undisturbed it changes nothing"
	wanted=$(find "$W/recordings/edited" -name 'edi_*' | wc -l)
	# What the next run may make of it: the rows that an apply measures among it.
	run rec-migrate -C "$W" -q apply
	take new_applied "$W"
	fresh
	run rec-migrate -C "$W" -q apply
	take old_applied "$W"
	fresh
	run "${again[@]}"
	take third "$W"
	allow old new new_applied old_applied
	fresh
	run "${command[@]}"
	check "$what, undisturbed" 1
	all_faults "$k"
}

in_edited()
{
	local first=$1 frames=$2 file

	for file in "$W"/recordings/edited/*; do
		samples "$W/recordings/raw/$3" "$first" "$frames" | has "$file" || return 1
	done
	[ "$(find "$W/recordings/edited" -type f | wc -l)" = 1 ]
}

right_wav()
{
	in_edited 80 200 one.wav
}

right_flac()
{
	in_edited 40 250 two.flac
}

# In the order of their rows.
right_parts()
{
	local id=10 file from

	for from in "0 100" "100 100" "200 200"; do
		file=$W/recordings/edited/$(sqlite3 -init /dev/null "$W/db/app.db" \
		    "SELECT stored_filename FROM recordings WHERE id = $id")
		# shellcheck disable=SC2086
		samples "$W/recordings/raw/one.wav" $from | has "$file" || return 1
		id=$((id + 1))
	done
}

right_in_place()
{
	samples "$W/recordings/backup/one.wav" 80 200 | has "$W/recordings/raw/one.wav" &&
	    cmp -s "$W/recordings/backup/one.wav" "$A/recordings/raw/one.wav"
}

right_join()
{
	{
		samples "$W/recordings/raw/one.wav" 0 400
		samples "$W/recordings/raw/orphan.wav" 0 240
	} | has "$W"/recordings/edited/*
}

right_both()
{
	[ "$(find "$W/recordings/edited" -type f | wc -l)" = 2 ] &&
	    samples "$W/recordings/raw/one.wav" 80 100 | has "$W"/recordings/edited/*.wav &&
	    samples "$W/recordings/raw/two.flac" 80 100 | has "$W"/recordings/edited/*.flac
}

# ---- to a place outside

# What is in the folder outside, but for the temporary files that nothing sweeps there.
outside()
{
	(cd "$W/out" && find . -type f ! -name '.rec-*.tmp' -exec sha256sum {} + | sort -k 2)
}

made_outside()
{
	[ "$(outside)" = "$whole" ]
}

check_outside()
{
	local some

	take killed "$W"
	same killed.db old.db && same killed.files old.files || broken "$1: the archive was touched"
	[ -z "$(find "$W" -name '*.tmp' ! -path '*/out/.rec-*')" ] || broken "$1: a temporary file elsewhere"
	some=$(outside | grep -vxF "$whole")
	[ -z "$some" ] || broken "$1: a file is not whole: $some"
	run "${command[@]}"
	# What is there already is in the way.
	[ "$st" = 0 ] || { [ "$st" = 1 ] && grep -q 'exists already' "$errf"; } || broken "$1: the next run fails"
	made_outside || broken "$1: the next run does not complete it"
}

# to_outside K ARGS...
to_outside()
{
	local k=$1

	shift
	check=check_outside
	done_as_new=made_outside
	# Without -q: the next run says what is in the way.
	command=(rec-trim -C "$W" "$@")
	fresh
	take old "$W"
	run "${command[@]}"
	[ "$st" = 0 ] || broken "$what: undisturbed it fails"
	whole=$(outside)
	[ -n "$whole" ] || broken "$what: undisturbed it makes nothing"
	all_faults "$k"
}

prepare()
{
	rm -rf "$A"
	make_archive "$A" "$1"
	mkdir "$A/out"
	# rec-trim makes it otherwise, and a rollback leaves the empty folder.
	take begin "$A"
	[ "${2:-}" = unmeasured ] || run rec-migrate -C "$A" -q apply
	[ "$st" -le 1 ] || broken "$1: apply fails"
}

one=recordings/raw/one.wav
two=recordings/raw/two.flac
total=0
say()
{
	total=$((total + states))
	report "$what"
	states=0
}
st=0
in_place=0
prepare 0002
what="a cut of a WAV" && into_archive 9 right_wav --start=80f --length=200f $one
say
what="a cut of a FLAC" && into_archive 11 right_flac --start=40f --length=250f $two
say
what="a split" && into_archive 19 right_parts --split=at=100f,200f $one
say
what="a join" && into_archive 15 right_join --join $one recordings/raw/orphan.wav
say
what="two jobs" && into_archive 19 right_both -j2 --start=80f --length=100f $one $two
say
in_place=1
again=(rec-trim -C "$W" -q --start=80f --length=100f "$two")
what="in place" && into_archive 7 right_in_place --in-place --start=80f --length=200f $one
say
in_place=0
for what in "outside, a WAV" "outside, a FLAC"; do
	[ "$what" = "outside, a WAV" ] && file=$one || file=$two
	to_outside 3 -O "$W/out/cut.${file##*.}" --start=80f --length=200f $file
	say
done
what="outside, a split" && to_outside 7 -O "$W/out/" --split=at=100f,200f $one
say
prepare cabc59ea0c9d unmeasured
what="the first run, in the oldest shape" && into_archive 17 right_wav --start=80f --length=200f $one
say
if full; then
	what="the first run, a split" && into_archive 1 right_parts --split=at=100f,200f $one
	say
	in_place=1
	again=(rec-trim -C "$W" -q --start=80f --length=100f "$two")
	what="the first run, in place" && into_archive 1 right_in_place --in-place --start=80f --length=200f $one
	say
	in_place=0
fi
echo "# a killed or failing rec-trim: $total states, $broken broken"
done_testing
