#!/bin/bash
# rec-health repair is killed at each call that changes a file, in turn. The next run settles it by itself: what
# was repaired is as before or done, no byte is lost, and taking the runs back brings back each file exactly. So
# does taking back the killed run at once. And when that is killed, the next run finishes it.
. "$(dirname "$0")/fault.sh"
need_shim

# Of undoing and of failing calls, only some are tried unless all are asked for.
some=8
full && some=1

# The user's files: contents, times and names, but for what lies in backup.
files_of()
{
	grep -vE "recordings/backup/|${BACKUP:-//}/" "$S/$1.files" | sort
}

# Each content of `old` is there, and none that is neither of old nor of new.
no_byte_lost()
{
	local lost more

	lost=$(comm -23 <(hashes old) <(hashes "$1"))
	more=$(comm -13 <(cat <(hashes old) <(hashes new) | sort -u) <(hashes "$1"))
	[ -z "$lost" ] || broken "$2: contents were lost: $lost"
	[ -z "$more" ] || broken "$2: a file is not whole: $more"
}

whole()
{
	take "$1" "$W"
	legal "$1" || broken "$2: the database is damaged or a row is neither old nor new"
	no_byte_lost "$1" "$2"
}

clean()
{
	no_leftovers && { [ -z "$BACKUP" ] || ! ls -A "$BACKUP" 2>/dev/null | grep -q 'tmp$'; } ||
	    broken "$1: the next run leaves something behind"
}

is_old()
{
	take back "$W"
	same back.db old.db || broken "$1: the catalogue is not as it was"
	[ "$(files_of back)" = "$(files_of old)" ] ||
	    broken "$1: the files are not as they were: $(diff <(files_of old) <(files_of back))"
	no_byte_lost back "$1"
}

# The run is taken back at once, with nobody settling it before.
check_undo()
{
	run rec-health -C "$W" -q repair --undo
	[ "$st" = 0 ] || broken "$1: taking it back at once fails"
	clean "$1, undo"
	is_old "$1, undo"
}

next_run()
{
	case $(($1 % 3)) in
	0) run rec-health -C "$W" -q repair --apply --only="$kind" ;;
	1) run rec-meta -C "$W" -q set 5 status=archived ;;
	2) run rec-migrate -C "$W" -q apply ;;
	esac
}

check_next()
{
	local name

	next_run "$2"
	[ "$st" -le 1 ] || broken "$1: the next run fails"
	whole again "$1, next"
	same again.text old.text || same again.text new.text ||
	    broken "$1: after the next run the state is neither old nor new"
	clean "$1, next"
	# A file that has its name back already is nothing to repair; an apply looks at its row.
	[ $(($2 % 3)) != 0 ] || [ "$kind" = moved ] || same again.text new.text ||
	    broken "$1: the next repair does not do it"
	while read -r name; do
		[ "$name" = gone.wav ] || [ -e "$W/recordings/raw/$name" ] || broken "$1: after the next run $name has no file"
	done < <(sqlite3 -init /dev/null "$S/copy" 'SELECT stored_filename FROM recordings')
	for name in 1 2 3 4 5; do
		all_rolled_back && break
		run rec-migrate -C "$W" -q rollback
		[ "$st" = 0 ] || broken "$1: rollback $name fails"
	done
	take back "$W"
	same back.db begin.db || broken "$1: rolling back all runs does not bring back the catalogue"
	[ "$(files_of back)" = "$(files_of begin)" ] ||
	    broken "$1: rolling back all runs does not bring back the files: $(diff <(files_of begin) <(files_of back))"
	no_byte_lost back "$1, rolled back"
}

# kill_at_each WHAT MODE STEP
kill_at_each()
{
	local what=$1 mode=$2 step=$3 n before=$states

	for ((n = 1; ; n += step)); do
		fresh
		hit "$mode" "$n" rec-health -C "$W" -q repair --apply --only="$kind" || break
		rm -rf "$TMP/killed" "$TMP/killed.backup"
		cp -a "$W" "$TMP/killed"
		[ -z "$BACKUP" ] || cp -a "$BACKUP" "$TMP/killed.backup" 2>/dev/null
		whole killed "$what $mode at call $n"
		check_undo "$what $mode at call $n"
		rm -rf "$W" ${BACKUP:+"$BACKUP"}
		cp -a "$TMP/killed" "$W"
		[ ! -e "$TMP/killed.backup" ] || cp -a "$TMP/killed.backup" "$BACKUP"
		check_next "$what $mode at call $n" "$n"
	done
	[ "$states" -gt "$before" ] || broken "$what $mode: nothing was hit"
}

# The undo of a repair is killed, and finished by another, or by an apply.
kill_undo()
{
	local what=$1 mode=$2 n before=$states repaired=$TMP/repaired

	fresh
	run rec-health -C "$W" -q repair --apply --only="$kind"
	rm -rf "$repaired" "$repaired.backup"
	mv "$W" "$repaired"
	[ -z "$BACKUP" ] || [ ! -e "$BACKUP" ] || cp -a "$BACKUP" "$repaired.backup"
	for ((n = 1; ; n += some)); do
		rm -rf "$W" ${BACKUP:+"$BACKUP"}
		cp -a "$repaired" "$W"
		[ ! -e "$repaired.backup" ] || cp -a "$repaired.backup" "$BACKUP"
		hit "$mode" "$n" rec-health -C "$W" -q repair --undo || break
		whole killed "$what: undo $mode at call $n"
		if [ $((n % 2)) = 0 ] && grep -q '"op":"rollback".*}$' "$W"/db/journal/*.jsonl; then
			run rec-meta -C "$W" -q set 5 status=archived
			[ "$st" -le 1 ] || broken "$what: undo $mode at call $n: the next run fails"
		else
			run rec-health -C "$W" -q repair --undo
			[ "$st" = 0 ] || broken "$what: undo $mode at call $n: the next undo fails"
		fi
		clean "$what: undo $mode at call $n"
		is_old "$what: undo $mode at call $n"
	done
	[ "$states" -gt "$before" ] || broken "$what: undo $mode: nothing was hit"
}

# One call fails, the others do not: what was begun is taken back at once, or settled by the next run.
fail_at_each()
{
	local what=$1 n last

	fresh
	rm -f "$TMP/count"
	fault FAULT_COUNT="$TMP/count" rec-health -C "$W" -q repair --apply --only="$kind"
	last=$(<"$TMP/count")
	for ((n = 1; n <= last; n += some)); do
		fresh
		fault FAULT_MODE=error FAULT_ERRNO=ENOSPC FAULT_AT="$n" rec-health -C "$W" -q repair --apply --only="$kind"
		states=$((states + 1))
		[ "$st" -le 1 ] || [ "$st" = 3 ] || broken "$what: call $n fails: status $st"
		[ -z "$(find "$W" -name '*.tmp' -print -quit)" ] || broken "$what: call $n fails: leaves a temporary file"
		whole failed "$what: call $n fails"
		check_next "$what: call $n fails" "$n"
	done
}

# each KIND
each()
{
	local what=$1${2:-} mode

	kind=$1
	fresh
	take old "$W"
	run rec-health -C "$W" -q repair --apply --only="$kind"
	[ "$st" = 0 ] || broken "$what: undisturbed it fails"
	take new "$W"
	same old.text new.text && broken "$what: undisturbed it changes nothing"
	allow old new
	check_next "$what, undisturbed" 1
	if full; then
		for mode in kill killafter torn; do
			kill_at_each "$what" "$mode" 1
			kill_undo "$what" "$mode"
		done
	else
		kill_at_each "$what" kill 4
		kill_undo "$what" kill
	fi
	fail_at_each "$what"
}

# The archive of fault.sh, with one thing for each kind of repair.
prepare()
{
	local raw=$A/recordings/raw

	rm -rf "$A"
	make_archive "$A" 0002
	[ -z "$BACKUP" ] || sed -i "s|^REC_BACKUP_PATH=.*|REC_BACKUP_PATH=$BACKUP|" "$A/.env"
	sox -n -r 8000 -b 16 -c 1 -t wav "$raw/late.wav.part" synth 0.05 sine 700 2>/dev/null
	dd if=/dev/zero of="$raw/late.wav.part" bs=1 seek=40 count=4 conv=notrunc status=none
	sox -n -r 8000 -b 16 -c 1 "$raw/astray.wav" synth 0.05 sine 750 2>/dev/null
	touch -d '2025-09-05 10:00:00.25Z' "$raw"/*
	sqlite3 -init /dev/null "$A/db/app.db" "UPDATE recordings SET checksum = NULL WHERE id = 5;
	    UPDATE recordings SET filesize_bytes = $(stat -c %s "$raw/astray.wav"),
	    checksum = '$(sha256sum <"$raw/astray.wav" | cut -c 1-64)' WHERE id = 9;
	    UPDATE jobs SET status = 'running', started_iso = '2025-09-05T10:00:00'"
	fresh
	take begin "$A"
	run rec-migrate -C "$A" -q apply
}

prepare
for kind in headers parts orphans moved jobs; do
	each "$kind"
	report "a killed repair of $kind"
	states=0
done

# From one file system to another a file is neither linked nor renamed, but copied.
OTHER=$(mktemp -d /var/tmp/rectools-fault.XXXXXX)
trap 'rm -rf "$OTHER"; _finish' EXIT
if [ "$(stat -c %d "$OTHER")" = "$(stat -c %d "$TMP")" ]; then
	skip "backup on another file system" "/var/tmp is on the same one"
else
	BACKUP=$OTHER/backup
	prepare
	each headers ", other file system"
	each parts ", other file system"
	report "a killed repair, with the backups on another file system"
fi
done_testing
