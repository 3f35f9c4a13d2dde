#!/bin/bash
# The disk is full, has no inode left, or a file may not grow: apply and add say so with 3, leave the old
# state, and a later run completes the work. Needs root, to mount a small tmpfs.
. "$(dirname "$0")/fault.sh"
need sox sqlite3 jq
[ "$(id -u)" = 0 ] || plan_skip "not root, so no small file system can be mounted"
mkdir "$TMP/small"
mount -t tmpfs -o size=4m none "$TMP/small" 2>/dev/null || plan_skip "tmpfs cannot be mounted here"
trap 'umount "$TMP/small" 2>/dev/null; _finish' EXIT
W=$TMP/small/work

# on_small MOUNT-OPTIONS: a copy of $A in $W, on a file system of its own.
on_small()
{
	umount "$TMP/small"
	mount -t tmpfs -o "$1" none "$TMP/small" || exit
	cp -a "$A" "$W"
}

check()
{
	states=$((states + 1))
	[ "$st" = 3 ] || broken "$1: status $st"
	grep -qE "^rec-[a-z]+: .+: .*($2)" "$errf" || broken "$1: no clear message"
	take failed "$W"
	legal failed || broken "$1: the database is damaged or a row is neither old nor new"
	diff <(hashes old) <(hashes failed) >"$S/diff" || broken "$1: contents were lost or a file is not whole: $(cat "$S/diff")"
	[ -z "$(find "$W" -name '.rec-*')" ] || broken "$1: leaves a temporary file"
}

later()
{
	run "${next[@]}"
	[ "$st" -le 1 ] || broken "$1: a later run fails"
	take again "$W"
	same again.text new.text || broken "$1: a later run does not complete it"
	no_leftovers || broken "$1: a later run leaves something behind"
	roll_all_back "$1"
}

# fill_up KIB: so much is left free
fill_up()
{
	local left=$1 free

	free=$(($(df -k --output=avail "$TMP/small" | tail -n 1) - left))
	[ "$free" -le 0 ] || head -c "${free}k" /dev/zero >"$TMP/small/ballast"
}

each()
{
	local what=$1 left inodes blocks i none hit=0
	shift

	on_small size=4m
	take old "$W"
	run "$@"
	[ "$st" -le 1 ] || broken "$what: undisturbed it fails"
	take new "$W"
	allow old new

	for left in $(full && seq 0 4 96 || echo 0 12 24 40 56); do
		on_small size=4m
		fill_up "$left"
		run "$@"
		[ "$st" -gt 1 ] || continue
		hit=$((hit + 1))
		check "$what: $left KiB left" 'No space left on device|disk is full|disk I/O error|unable to open database file'
		rm -f "$TMP/small/ballast"
		later "$what: $left KiB left"
	done

	for inodes in 0 1 2 3; do
		on_small size=4m
		none=$(($(df --output=itotal "$TMP/small" | tail -n 1) - $(df --output=iavail "$TMP/small" | tail -n 1) + inodes))
		on_small "size=4m,nr_inodes=$none"
		run "$@"
		[ "$st" -gt 1 ] || continue
		hit=$((hit + 1))
		check "$what: $inodes inodes left" 'No space left on device|disk is full|disk I/O error|unable to open database file'
		mount -o remount,size=4m,nr_inodes=1000 "$TMP/small"
		later "$what: $inodes inodes left"
	done

	for blocks in $(full && seq 1 2 101 || echo 1 4 8 32 64); do
		on_small size=4m
		run limited "$blocks" "$@"
		[ "$st" -gt 1 ] || continue
		hit=$((hit + 1))
		check "$what: files of at most $blocks KiB" 'File too large|disk is full|disk I/O error|unable to open database file'
		later "$what: files of at most $blocks KiB"
	done
	ok "$what: the limits were reached ($hit times)" [ "$hit" -ge 6 ]
}

# The signal of a file that grows too large must not end the tool.
limited()
{
	(
		ulimit -f "$1"
		shift
		exec "$@"
	)
}

make_archive "$A" cabc59ea0c9d
new_files "$A/in"
take begin "$A"
next=(rec-migrate -C "$W" -q apply)
each apply rec-migrate -C "$W" -q -j1 apply
run rec-migrate -C "$A" -q apply
next=(rec-meta -C "$W" -q add in/new.wav)
each add rec-meta -C "$W" -q add in/new.wav
report "a full disk"
done_testing
