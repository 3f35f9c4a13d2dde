#!/bin/bash
# The power goes: the tree and the database are each on an ext4 of its own (one file system would hide a
# folder that was not made durable), which loses all that was not made durable at the moment that the tool is
# killed. Needs root and loop devices.
. "$(dirname "$0")/fault.sh"
need sox sqlite3 jq mkfs.ext4 losetup
[ "$(id -u)" = 0 ] || plan_skip "not root, so nothing can be mounted"
[ -r "$SHIM" ] || plan_skip "no fault shim $SHIM (make build/fault/shim.so)"
[ -z "$wrap" ] || plan_skip "the shim would count the calls of the wrapper too"

cat >"$TMP/cut.c" <<'C'
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
/* FS_IOC_SHUTDOWN with FS_SHUTDOWN_FLAGS_NOLOGFLUSH: from now on nothing reaches the disk. */
int
main(int argc, char **argv)
{
	uint32_t how = 2;

	for (int i = 1; i < argc; i++)
		if (ioctl(open(argv[i], O_RDONLY), _IOR('X', 125, uint32_t), &how) == -1) {
			perror(argv[i]);
			return 1;
		}
	return 0;
}
C
"${CC:-cc}" -o "$TMP/cut" "$TMP/cut.c" 2>/dev/null || plan_skip "no C compiler for the helper"

down()
{
	mountpoint -q "$W/db" && umount "$W/db"
	mountpoint -q "$W" && umount "$W"
	return 0
}
trap 'down; _finish' EXIT

up()
{
	mount -o loop,noatime "$1/tree.img" "$W" 2>/dev/null && mount -o loop,noatime "$1/db.img" "$W/db" 2>/dev/null
}

# $A into a pair of images in $IMAGES.
IMAGES=$TMP/images
into_images()
{
	local image

	mkdir -p "$IMAGES" "$W"
	for image in tree db; do
		rm -f "$IMAGES/$image.img"
		truncate -s 24M "$IMAGES/$image.img"
		mkfs.ext4 -q -F "$IMAGES/$image.img" >/dev/null 2>&1 || return
	done
	mount -o loop "$IMAGES/tree.img" "$W" 2>/dev/null && mkdir "$W/db" && mount -o loop "$IMAGES/db.img" "$W/db" || return
	rmdir "$W/lost+found" "$W/db/lost+found"
	cp -a "$A/." "$W" && down
}

# The pair at work.
LIVE=$TMP/live
fresh()
{
	down
	mkdir -p "$LIVE"
	cp --sparse=always "$IMAGES"/*.img "$LIVE"
	up "$LIVE"
}

# Nothing is lost that was durable, and what is there is whole.
check()
{
	if ! { down && up "$LIVE"; }; then
		broken "$1: cannot be mounted again"
		return
	fi
	intact killed "$1"
	completes "$1" "${next[@]}"
}

# each NAME STEP COMMAND...: cut at the Nth call, and at moments that the clock chooses.
each()
{
	local what=$1 step=$2 n times

	shift 2
	fresh
	take old "$W"
	run "$@"
	[ "$st" -le 1 ] || broken "$what: undisturbed it fails"
	take new "$W"
	allow old new
	full && step=1
	for ((n = 1; ; n += step)); do
		fresh
		hit kill "$n" "$@" || break
		"$TMP/cut" "$W" "$W/db" || broken "$what: cannot be cut"
		check "$what, power cut at call $n"
	done
	# Whatever it returned is durable.
	fresh
	run "$@"
	"$TMP/cut" "$W" "$W/db"
	states=$((states + 1))
	check "$what, power cut after its end"
	same again.text new.text || broken "$what: power cut after its end: it is not done"
	times=$(full && echo 100 || echo 5)
	for ((n = 0; n < times; n++)); do
		fresh
		"$@" >/dev/null 2>&1 &
		sleep "0.0$((RANDOM % 60 + 10))"
		# Dead first: it must not see one of the two go before the other.
		kill -KILL $! 2>/dev/null
		wait $! 2>/dev/null
		"$TMP/cut" "$W" "$W/db"
		states=$((states + 1))
		check "$what, power cut at some time"
	done
}

make_archive "$A" cabc59ea0c9d
new_files "$A/in"
take begin "$A"
into_images && fresh || plan_skip "no loop device, or no ext4"
"$TMP/cut" "$W" "$W/db" 2>/dev/null || plan_skip "the file system cannot be cut off"

may_be_undone=false
next=(rec-migrate -C "$W" -q apply)
each apply 5 rec-migrate -C "$W" -q -j1 apply
fresh
run rec-migrate -C "$W" -q apply
down
mv "$LIVE"/*.img "$IMAGES"
may_be_undone=true
next=(rec-meta -C "$W" -q set 5 status=archived)
each "add --move" 3 rec-meta -C "$W" -q add --move in/new.wav
each "rm --purge" 4 rec-meta -C "$W" -q rm --purge 1
may_be_undone=false
next=(rec-migrate -C "$W" -q rollback)
each rollback 5 rec-migrate -C "$W" -q rollback
report "a power cut"
done_testing
