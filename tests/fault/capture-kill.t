#!/bin/bash
# rec-capture, fed from a file, is killed at each call that changes a file, in turn. What is on disk then, and what
# `rec-capture recover` or the next recording makes of it, is a beginning of what was fed, as long as what was
# written; it is there once, as a recording, or not at all when no frame was written; and rolling back all runs
# brings back the beginning without losing a byte.
. "$(dirname "$0")/fault.sh"
need_shim

PARTS=$W/recordings/temp
RATE=8000

# Noise, so that every byte tells where it belongs.
sox -R -D -n -r $RATE -c 1 -t raw -e signed -b 16 "$TMP/feed" synth 2.6 whitenoise 2>/dev/null || plan_skip "sox cannot synthesize"
sox -R -D -n -r $RATE -c 1 -t raw -e signed -b 16 "$TMP/next" synth 0.3 sine 440 2>/dev/null
NEXT_FRAMES=$(($(stat -c %s "$TMP/next") / 2))

# Of the snapshots only the rows that were there before: what was recorded has another name in each run.
masked()
{
	sed -E -e 's/[0-9]{8}T[0-9]{6}\.[0-9]{6}Z-[0-9a-f]{8}/RUN/g' \
	    -e "s/'20(2[6-9]|[3-9][0-9])-[^']*'/WHEN/g" \
	    -e "s/^(INSERT INTO rec_volumes VALUES\([12],'[a-z]*',).*/\1ITS IDENTITY);/" \
	    -e '/^INSERT INTO (recordings|rec_measurements|rec_tags|rec_provenance) VALUES\([1-9][0-9]/d' "$@"
}

# decode FILE: its samples; the name may end in .part
decode()
{
	sox -D -t "$FORMAT" "$1" -t raw -L -e signed -b 16 - 2>>"$S/decoder"
}

# is_prefix FILE
is_prefix()
{
	cmp -s -n "$(stat -c %s "$1")" "$1" "$TMP/feed"
}

# written: the bytes of audio that lie in raw and temp, a name once, whether finished or not. A file that is not
# packed has $HEAD bytes before its samples; of a packed one, what decodes counts.
written()
{
	local file name sum=0 size
	declare -A longest=()

	for file in "$W"/recordings/raw/recording_* "$PARTS"/*.part; do
		[ -s "$file" ] || continue
		name=${file##*/}
		name=${name%.part}
		if [ "$HEAD" = packed ]; then
			size=$(decode "$file" | wc -c)
		else
			size=$(($(stat -c %s "$file") - HEAD))
		fi
		[ "$size" -gt "${longest[$name]:-0}" ] && longest[$name]=$size
	done
	for name in "${!longest[@]}"; do
		sum=$((sum + longest[$name] / 2 * 2))
	done
	echo $sum
}

# new_rows: "id name frames" of the recordings that were made, of the snapshot taken last
new_rows()
{
	sqlite3 -init /dev/null -separator ' ' "$S/copy" "SELECT r.id, r.stored_filename, coalesce(m.frames, -1) FROM recordings r
	    LEFT JOIN rec_measurements m ON m.recording_id = r.id WHERE r.id > 9 ORDER BY r.id" 2>/dev/null
}

# files_of_raw: the recordings in raw, by name
files_of_raw()
{
	find "$W/recordings/raw" -name 'recording_*' -printf '%f\n' | sort
}

# lost NAME: contents of old that are not in the snapshot
lost()
{
	comm -23 <(hashes old) <(hashes "$1")
}

# Right after the kill, with nobody having looked: the database is sound, the parts are what they shall be.
lies_well()
{
	local file

	take killed "$W"
	legal killed || broken "$1: the database is damaged or a row is neither old nor new"
	[ -z "$(lost killed)" ] || broken "$1: contents were lost"
	rows_without_file && broken "$1: a row has no file"
	[ "$(find "$PARTS" -name '*.part' -size +0 2>/dev/null | wc -l)" -le "$MOST" ] || broken "$1: too many parts"
	for file in "$W"/recordings/raw/recording_* "$PARTS"/*.part; do
		[ "$(stat -c %s "$file" 2>/dev/null || echo 0)" -gt "${HEAD/packed/100}" ] || continue
		decode "$file" >"$S/lying" || continue
		# Of several parts only the first begins where the feed does.
		[ "$MOST" -gt 1 ] || is_prefix "$S/lying" || broken "$1: ${file##*/} is no beginning of what was fed"
	done
}

# next_run N: in turn what makes a recording of what was left; $extra is what it records itself
next_run()
{
	extra=0
	case $(($1 % 3)) in
	0)
		extra=1
		run_in "$TMP/next" rec-capture -C "$W" -q --raw s16le -r $RATE -c 1 -f "$FORMAT" -
		;;
	1)
		run rec-capture -C "$W" -q recover
		;;
	2)
		# Another tool settles the run first.
		run rec-migrate -C "$W" -q apply
		[ "$st" -le 1 ] || broken "apply after the kill fails"
		run rec-capture -C "$W" -q recover
		;;
	esac
}

# check WHAT N
check()
{
	local what=$1 before file id name frames count=0

	lies_well "$what"
	before=$(written)
	next_run "$2"
	[ "$st" -le 1 ] || broken "$what: the next run fails"
	take again "$W"
	legal again || broken "$what: after the next run a row is neither old nor new"
	[ -z "$(lost again)" ] || broken "$what: the next run lost contents"
	no_leftovers || broken "$what: the next run leaves something behind"
	rows_without_file && broken "$what: after the next run a row has no file"

	new_rows >"$S/made"
	: >"$S/joined"
	while read -r id name frames; do
		if [ $extra = 1 ] && [ "$frames" = "$NEXT_FRAMES" ] && decode "$W/recordings/raw/$name" | cmp -s - "$TMP/next"; then
			extra=0
			continue
		fi
		count=$((count + 1))
		decode "$W/recordings/raw/$name" >"$S/one"
		[ "$(stat -c %s "$S/one")" = $((frames * 2)) ] || broken "$what: the row of recording $id is not what decodes"
		cat "$S/one" >>"$S/joined"
	done <"$S/made"
	[ $extra = 0 ] || broken "$what: the next recording is not there"
	is_prefix "$S/joined" || broken "$what: what was recovered is no beginning of what was fed"
	[ "$(stat -c %s "$S/joined")" -ge "$before" ] || broken "$what: $before bytes were written, $(stat -c %s "$S/joined") recovered"
	[ "$count" -le "$MOST" ] || broken "$what: $count recordings of at most $MOST"
	[ "$(files_of_raw)" = "$(cut -d ' ' -f 2 "$S/made" | sort)" ] || broken "$what: raw has other files than the rows name: $(files_of_raw | paste -sd ' ')"
	for file in "$PARTS"/*.part; do
		[ -e "$file" ] || continue
		[ "$(decode "$file" 2>/dev/null | wc -c)" = 0 ] || broken "$what: a part with audio is left"
	done

	# A run later there is nothing more to do.
	run rec-capture -C "$W" -q recover
	take twice "$W"
	new_rows | cmp -s - "$S/made" || broken "$what: recover again changes something"
	undone "$what"
}

# undone WHAT: with all runs rolled back the database is as in the beginning, and what was recorded is in backup.
undone()
{
	local i

	for i in 1 2 3 4 5 6 7 8; do
		all_rolled_back && break
		run rec-migrate -C "$W" -q rollback
		[ "$st" = 0 ] || broken "$1: rollback $i fails"
	done
	all_rolled_back || broken "$1: after all rollbacks runs shows $(run_states)"
	take back "$W"
	same back.db begin.db || broken "$1: rolling back all runs does not bring back the beginning"
	[ -z "$(lost back)" ] || broken "$1: the rollback lost contents"
	[ -z "$(comm -23 <(hashes twice) <(hashes back))" ] || broken "$1: the rollback lost what was recorded"
	[ -z "$(files_of_raw)" ] || broken "$1: the rollback leaves files in raw"
}

# calls COMMAND...: how many there are to be hit
calls()
{
	fresh
	rm -f "$S/count"
	fault FAULT_AT=0 FAULT_COUNT="$S/count" "$@"
	tail -n 1 "$S/count"
}

# kill_at_each WHAT MODE STEP FIRST COMMAND...
kill_at_each()
{
	local what=$1 mode=$2 step=$3 n=$4 before=$states

	shift 4
	for (( ; ; n += step)); do
		fresh
		hit "$mode" "$n" "$@" || break
		check "$what $mode at call $n" "$n"
	done
	[ "$states" -gt "$before" ] || broken "$what $mode: nothing was hit"
}

# each NAME FORMAT PARTS SAMPLE OPTION...: SAMPLE states of each mode, all of them in the long proof
each()
{
	local what=$1 sample=$4 total step mode size
	FORMAT=$2
	MOST=$3

	shift 4
	# shellcheck disable=SC2016 # expanded by the bash that is started
	set -- bash -c 'exec <"$1"; shift; exec "$@"' - "$TMP/feed" rec-capture -C "$W" -q --raw s16le -r $RATE -c 1 -f "$FORMAT" "$@" -
	fresh
	take old "$W"
	run "$@"
	[ "$st" = 0 ] || broken "$what: undisturbed it fails"
	take new "$W"
	# Rows may be measured, too: apply is one of the next runs.
	cp -a "$W" "$TMP/applied"
	run rec-migrate -C "$TMP/applied" -q apply
	take applied "$TMP/applied"
	rm -rf "$TMP/applied"
	allow old new applied
	take new "$W"
	[ "$(new_rows | wc -l)" = "$MOST" ] || broken "$what: undisturbed it makes other than $MOST recordings"
	# In a file of PCM everything before the samples.
	HEAD=packed
	if [ "$FORMAT" != flac ]; then
		size=$(stat -c %s "$W/recordings/raw/$(new_rows | awk 'NR == 1 { print $2 }')")
		HEAD=$((size - $(new_rows | awk 'NR == 1 { print $3 }') * 2))
	fi
	extra=0
	check "$what, undisturbed" 1
	total=$(calls "$@")
	echo "# $what: $total calls"
	step=$((${total:-0} / sample + 1))
	if full; then
		for mode in kill killafter torn; do
			kill_at_each "$what" "$mode" 1 1 "$@"
		done
	else
		# Odd, so that each kind of next run has its turn.
		[ $((step % 3)) != 0 ] || step=$((step + 1))
		kill_at_each "$what" kill "$step" 1 "$@"
		kill_at_each "$what" torn $((step * 4 + 1)) 2 "$@"
	fi
}

prepare()
{
	make_archive "$A" "$1"
	echo "REC_TEMP_PATH=${2:-recordings/temp}" >>"$A/.env"
	fresh
	take begin "$A"
	run rec-migrate -C "$A" -q apply
}

prepare 0002
each "wav" wav 1 36
each "flac" flac 1 10
each "wav in parts" wav 3 14 --split-time 1
full && each "w64" w64 1 1
rm -rf "$A"
if full; then
	prepare cabc59ea0c9d
	each "the oldest shape" wav 1 1
	rm -rf "$A"
fi
report "a killed rec-capture"

# The first run in an archive, which also brings the schema up to date.
states=0
make_archive "$A" 0002
echo REC_TEMP_PATH=recordings/temp >>"$A/.env"
take begin "$A"
each "the first run" wav 1 10
rm -rf "$A"
report "a killed rec-capture that is the first run"

# From one file system to another a part is not linked, but copied and removed.
states=0
OTHER=$(mktemp -d /var/tmp/rectools-fault.XXXXXX)
trap 'rm -rf "$OTHER"; _finish' EXIT
if [ "$(stat -c %d "$OTHER")" = "$(stat -c %d "$TMP")" ]; then
	skip "temp on another file system" "/var/tmp is on the same one"
else
	PARTS=$OTHER/temp
	# BACKUP is what take and fresh call a folder outside of the archive: here that of the parts.
	BACKUP=$PARTS
	prepare 0002 "$PARTS"
	each "other file system" wav 1 16
	report "a killed rec-capture, with temp on another file system"
fi
done_testing
