#!/bin/bash
# rec-meta add, add --move, set and rm --purge are killed at each call that changes a file, in turn. The next
# writing run makes the state the old or the new one, no byte is lost, and rolling back all runs brings back
# the beginning.
. "$(dirname "$0")/fault.sh"
need_shim

# The next writing run: one that changes nothing itself, or an apply.
next_run()
{
	if [ $(($1 % 2)) = 1 ]; then
		run rec-meta -C "$W" -q set 5 status=archived
	else
		run rec-migrate -C "$W" -q apply
	fi
}

# check WHAT N
check()
{
	intact killed "$1"
	next_run "$2"
	[ "$st" -le 1 ] || broken "$1: the next run fails"
	take again "$W"
	same again.text old.text || same again.text new.text || broken "$1: after the next run the state is neither old nor new"
	diff <(hashes old) <(hashes again) >"$S/diff" || broken "$1: the next run lost contents: $(cat "$S/diff")"
	no_leftovers && { [ -z "$BACKUP" ] || [ -z "$(ls -A "$BACKUP" 2>/dev/null | grep 'tmp$')" ]; } ||
	    broken "$1: the next run leaves something behind"
	rows_without_file && broken "$1: after the next run a row has no file"
	roll_all_back "$1"
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

# each NAME COMMAND...
each()
{
	local what=$1 mode

	shift
	fresh
	take old "$W"
	run "$@"
	[ "$st" = 0 ] || broken "$what: undisturbed it fails"
	take new "$W"
	same old.text new.text && broken "$what: undisturbed it changes nothing"
	allow old new
	check "$what, undisturbed" 1
	if full; then
		for mode in kill killafter torn; do
			kill_at_each "$what" "$mode" 1 1 "$@"
		done
	else
		kill_at_each "$what" kill 2 1 "$@"
		kill_at_each "$what" torn 4 2 "$@"
	fi
}

commands()
{
	each "$1: add" rec-meta -C "$W" -q add --title=T in/new.wav
	each "$1: add --move" rec-meta -C "$W" -q add --move in/new.wav
	full && each "$1: add of two" rec-meta -C "$W" -q add in/new.wav in/other.flac
	each "$1: set" rec-meta -C "$W" -q set 1 title=Neu tags.place=Porto status=archived
	each "$1: rm --purge" rec-meta -C "$W" -q rm --purge 1
}

prepare()
{
	make_archive "$A" "$1"
	new_files "$A/in"
	[ -z "$BACKUP" ] || sed -i "s|^REC_BACKUP_PATH=.*|REC_BACKUP_PATH=$BACKUP|" "$A/.env"
	fresh
	take begin "$A"
	run rec-migrate -C "$A" -q apply
}

for shape in 0002 cabc59ea0c9d; do
	prepare "$shape"
	commands "$shape"
	rm -rf "$A"
	full || break
done
report "a killed rec-meta"

# From one file system to another a file is not renamed, but copied and removed.
states=0
OTHER=$(mktemp -d /var/tmp/rectools-fault.XXXXXX)
trap 'rm -rf "$OTHER"; _finish' EXIT
if [ "$(stat -c %d "$OTHER")" = "$(stat -c %d "$TMP")" ]; then
	skip "backup on another file system" "/var/tmp is on the same one"
else
	BACKUP=$OTHER/backup
	prepare cabc59ea0c9d
	each "other file system: rm --purge" rec-meta -C "$W" -q rm --purge 1
	full && each "other file system: add --move" rec-meta -C "$W" -q add --move in/new.wav
	report "a killed rec-meta, with the backups on another file system"
fi
done_testing
