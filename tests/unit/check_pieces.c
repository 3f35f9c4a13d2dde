/*
 * pieces: the same bytes by each of three ways. ioctl and copy_file_range are those below, which
 * count calls, and fail when a test wants them to; else they are the kernel's. Sharing needs a file
 * system that can: an image of XFS, when root and mkfs.xfs are there. Mounts are those of a
 * namespace that ends with its test.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mem.h"
#include "pieces.h"

#define SOURCE_BYTES (((size_t)5 << 20) + 777)

static char dir[] = "/tmp/check_pieces.XXXXXX";
static char folder[64];	      /* where the files are: dir or a mount in it */
static unsigned char *source; /* what is in the old file */
static struct pieces p;
static struct err e;
static int fd, out;

/* ---- the kernel's part ---- */

static int share_errno, copy_errno;
static unsigned share_calls, shares, copy_calls, copies;
static atomic_int *stop_at_copy;

int
ioctl(int d, unsigned long request, ...)
{
	va_list ap;
	void *arg;
	int rc;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	share_calls += request == FICLONERANGE;
	if (request == FICLONERANGE && share_errno != 0) {
		errno = share_errno;
		return -1;
	}
	rc = (int)syscall(SYS_ioctl, d, request, arg);
	shares += request == FICLONERANGE && rc == 0;
	return rc;
}

ssize_t
copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t len, unsigned flags)
{
	ssize_t n;

	copy_calls++;
	if (stop_at_copy != NULL)
		atomic_store(stop_at_copy, 1);
	if (copy_errno != 0) {
		errno = copy_errno;
		return -1;
	}
	n = syscall(SYS_copy_file_range, from, from_at, to, to_at, len, flags);
	copies += n > 0;
	return n;
}

/* ---- files ---- */

static const char *
at(const char *name)
{
	static char path[160];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static void
open_files(void)
{
	fd = open(at("old"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	out = open(at("new"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	ck_assert(fd != -1 && out != -1);
	ck_assert_int_eq(write(fd, source, SOURCE_BYTES), (ssize_t)SOURCE_BYTES);
}

static void
setup(void)
{
	snprintf(folder, sizeof folder, "%s", dir);
	source = malloc(SOURCE_BYTES);
	srand48(1);
	for (size_t i = 0; i < SOURCE_BYTES; i++)
		source[i] = (unsigned char)lrand48();
	p = (struct pieces){0};
	e = (struct err){0};
	share_errno = copy_errno = 0;
	share_calls = shares = copy_calls = copies = 0;
	stop_at_copy = NULL;
	open_files();
}

static void
teardown(void)
{
	pieces_free(&p);
	free(source);
	close(fd);
	close(out);
}

/* A mount of our own at dir/name, and the files in it. False and a word why when that cannot be. */
static bool
mount_at(const char *name, const char *how)
{
	static bool apart;
	char line[512];

	if (geteuid() != 0) {
		fprintf(stderr, "skipped: only root mounts %s\n", name);
		return false;
	}
	if (!apart && (unshare(CLONE_NEWNS) == -1 ||
			  mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)) {
		fprintf(stderr, "skipped: no mounts of our own here: %s\n", strerror(errno));
		return false;
	}
	apart = true;
	snprintf(line, sizeof line, "cd %s && mkdir -p %s && %s", dir, name, how);
	if (system(line) != 0) {
		fprintf(stderr, "skipped: no %s here\n", name);
		return false;
	}
	close(fd);
	close(out);
	snprintf(folder, sizeof folder, "%s/%s", dir, name);
	return true;
}

static bool
mount_xfs(void)
{
	if (system("command -v mkfs.xfs >/dev/null") != 0) {
		fprintf(stderr, "skipped: sharing blocks is not tested, there is no mkfs.xfs\n");
		return false;
	}
	if (!mount_at("xfs", "truncate -s 512M xfs.img && mkfs.xfs -q -f -m reflink=1 xfs.img && "
			     "mount -o loop xfs.img xfs"))
		return false;
	open_files();
	return true;
}

static void
umount_at(const char *name)
{
	char path[160];

	close(fd);
	close(out);
	snprintf(path, sizeof path, "%s/%s", dir, name);
	ck_assert_int_eq(umount2(path, MNT_DETACH), 0);
	fd = out = -1;
}

/* The new file is these bytes, and no more. */
static void
assert_new(const unsigned char *want, size_t len)
{
	unsigned char *is = malloc(len + 1);

	ck_assert_int_eq(pread(out, is, len + 1, 0), (ssize_t)len);
	for (size_t i = 0; i < len; i++)
		if (is[i] != want[i])
			ck_abort_msg("byte %zu is %02x and not %02x", i, is[i], want[i]);
	free(is);
}

/* ---- each way ---- */

enum { SHARE, KERNEL, BY_HAND, WAYS };

/* False when this way is not there. */
static bool
go(int way)
{
	if (way == SHARE)
		return mount_xfs();
	share_errno = EOPNOTSUPP;
	copy_errno = way == BY_HAND ? EXDEV : 0;
	return true;
}

static void
try_stretch(size_t head, size_t offset, size_t len)
{
	const size_t second = SOURCE_BYTES - 4321, size = head + len + 5 + 4321;
	atomic_ullong done = 0;
	unsigned char *want = calloc(1, size);

	memset(want, 'h', head);
	memcpy(want + head, source + offset, len);
	memcpy(want + head + len + 5, source + second, 4321);
	if (head > 0)
		ck_assert_int_eq(pieces_add_bytes(&p, want, head, &e), 0);
	ck_assert_int_eq(pieces_add_file(&p, fd, offset, len, &e), 0);
	ck_assert_int_eq(pieces_add_zeros(&p, 5, &e), 0);
	ck_assert_int_eq(pieces_add_file(&p, fd, second, 4321, &e), 0);
	ck_assert_uint_eq(p.size_bytes, size);
	ck_assert_int_eq(ftruncate(out, 0), 0);
	ck_assert_msg(pieces_write(&p, out, NULL, &done, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(atomic_load(&done), len + 4321);
	assert_new(want, size);
	pieces_free(&p);
	free(want);
}

START_TEST(a_stretch_of_any_place_and_length_arrives_by_each_way)
{
	static const size_t heads[] = {0, 1, 44, 4095, 4096, 4097, 8193},
			    offsets[] = {0, 1, 44, 4095, 4096, 4097, 12288, 1048577},
			    lens[] = {0, 1, 4095, 4096, 4097, 8191, 12288, 12345, 3000001};
	const size_t n_heads = sizeof heads / sizeof *heads, n_lens = sizeof lens / sizeof *lens;

	if (!go(_i))
		return;
	for (size_t i = 0; i < n_heads; i++)
		for (size_t j = 0; j < sizeof offsets / sizeof *offsets; j++)
			for (size_t k = 0; k < n_lens; k++)
				try_stretch(heads[i], offsets[j], lens[k]);
	ck_assert_int_eq(shares > 0, _i == SHARE);
	ck_assert_int_eq(copies > 0, _i != BY_HAND);
	if (_i == SHARE)
		umount_at("xfs");
}
END_TEST

START_TEST(what_lies_alike_in_its_blocks_takes_no_room)
{
	struct statvfs before, after;

	if (!mount_xfs())
		return;
	ck_assert_int_eq(fsync(fd), 0);
	ck_assert_int_eq(fstatvfs(out, &before), 0);
	ck_assert_int_eq(pieces_add_bytes(&p, source, 100, &e), 0);
	ck_assert_int_eq(pieces_add_file(&p, fd, 100, SOURCE_BYTES - 100, &e), 0);
	ck_assert_int_eq(pieces_write(&p, out, NULL, NULL, &e), 0);
	ck_assert_int_eq(fsync(out), 0);
	ck_assert_int_eq(fstatvfs(out, &after), 0);
	ck_assert_uint_eq(shares, 1);
	ck_assert_uint_le((before.f_bfree - after.f_bfree) * before.f_frsize, 256 << 10);
	assert_new(source, SOURCE_BYTES);
	umount_at("xfs");
}
END_TEST

START_TEST(what_a_file_system_cannot_do_is_not_asked_twice)
{
	static const int shares_no[] = {EOPNOTSUPP, EXDEV, EINVAL, ENOTTY, ENOSYS, EPERM, ETXTBSY},
			 copies_no[] = {EXDEV, ENOSYS, EOPNOTSUPP, EINVAL, EIO, EPERM, EBADF};

	share_errno = shares_no[_i];
	copy_errno = copies_no[_i];
	ck_assert_int_eq(pieces_add_file(&p, fd, 0, 3 << 20, &e), 0);
	ck_assert_int_eq(pieces_add_zeros(&p, 4096, &e), 0);
	ck_assert_int_eq(pieces_add_file(&p, fd, 8192, 2 << 20, &e), 0);
	ck_assert_int_eq(pieces_write(&p, out, NULL, NULL, &e), 0);
	ck_assert_uint_eq(share_calls, 1);
	ck_assert_uint_eq(copy_calls, 1);
	ck_assert_int_eq(e.class, ERR_NONE);
}
END_TEST

START_TEST(files_of_another_file_system_are_read_and_written)
{
	char name[] = "/dev/shm/check_pieces.XXXXXX";
	int other = mkstemp(name);

	if (other == -1)
		return;
	unlink(name);
	ck_assert_int_eq(write(other, source, SOURCE_BYTES), (ssize_t)SOURCE_BYTES);
	ck_assert_int_eq(pieces_add_file(&p, other, 0, SOURCE_BYTES, &e), 0);
	ck_assert_int_eq(pieces_write(&p, out, NULL, NULL, &e), 0);
	assert_new(source, SOURCE_BYTES);
	close(other);
}
END_TEST

/* ---- changes ---- */

struct change {
	size_t unit;
	uint64_t begin; /* of the stretch in the new file */
	atomic_int *stop;
};

static void
change(void *ctx, unsigned char *bytes, size_t len, uint64_t where)
{
	const struct change *c = ctx;

	ck_assert_uint_eq(len % c->unit, 0);
	ck_assert_uint_eq((where - c->begin) % c->unit, 0);
	for (size_t i = 0; i < len; i++)
		bytes[i] ^= (unsigned char)((where - c->begin + i) / c->unit);
	if (c->stop != NULL)
		atomic_store(c->stop, 1);
}

START_TEST(changes_see_whole_units_across_blocks)
{
	static const size_t units[] = {1, 3, 6, 4096, 65535};
	struct change c = {.unit = units[_i], .begin = 7};
	size_t len = (SOURCE_BYTES - 11) / c.unit * c.unit;
	unsigned char *want = calloc(1, 7 + len + 10);

	memcpy(want, "header!", 7);
	for (size_t i = 0; i < len; i++)
		want[7 + i] = source[11 + i] ^ (unsigned char)(i / c.unit);
	memcpy(want + 7 + len, source, 10);
	ck_assert_int_eq(pieces_add_bytes(&p, "header!", 7, &e), 0);
	ck_assert_int_eq(pieces_add_changed(&p, fd, 11, len, c.unit, change, &c, &e), 0);
	ck_assert_int_eq(pieces_add_file(&p, fd, 0, 10, &e), 0);
	ck_assert_int_eq(pieces_write(&p, out, NULL, NULL, &e), 0);
	assert_new(want, 7 + len + 10);
	free(want);
}
END_TEST

/* ---- what may go wrong ---- */

START_TEST(a_stop_ends_it_between_two_steps)
{
	atomic_int stop = 0;
	atomic_ullong done = 0;
	struct change c = {.unit = 1, .stop = &stop};

	if (_i == 0) {
		stop = 1;
		ck_assert_int_eq(pieces_add_file(&p, fd, 0, SOURCE_BYTES, &e), 0);
	} else if (_i == 1) {
		ck_assert_int_eq(pieces_add_changed(&p, fd, 0, SOURCE_BYTES, 1, change, &c, &e), 0);
	} else {
		share_errno = copy_errno = EXDEV;
		stop_at_copy = &stop;
		ck_assert_int_eq(pieces_add_file(&p, fd, 0, SOURCE_BYTES, &e), 0);
	}
	ck_assert_int_eq(pieces_write(&p, out, &stop, &done, &e), -1);
	ck_assert_int_eq(e.class, ERR_STOPPED);
	ck_assert_uint_eq(atomic_load(&done), _i == 0 ? 0 : 1 << 20);
}
END_TEST

START_TEST(a_file_that_became_shorter_is_told)
{
	struct change c = {.unit = 1};

	if (_i < WAYS && !go(_i))
		return;
	if (_i < WAYS)
		ck_assert_int_eq(pieces_add_file(&p, fd, 0, SOURCE_BYTES, &e), 0);
	else
		ck_assert_int_eq(pieces_add_changed(&p, fd, 0, SOURCE_BYTES, 1, change, &c, &e), 0);
	ck_assert_int_eq(ftruncate(fd, 3 << 20), 0);
	ck_assert_int_eq(pieces_write(&p, out, NULL, NULL, &e), -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_str_eq(e.code, P_MODIFIED);
	if (_i == SHARE)
		umount_at("xfs");
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_told)
{
	int blind = open(at("old"), O_WRONLY);

	ck_assert_int_eq(pieces_add_file(&p, blind, 0, SOURCE_BYTES, &e), 0);
	ck_assert_int_eq(pieces_write(&p, out, NULL, NULL, &e), -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_str_eq(e.code, P_UNREADABLE);
	close(blind);
}
END_TEST

START_TEST(a_full_disk_is_told)
{
	struct change c = {.unit = 1};

	if (!mount_at("full", "mount -t tmpfs -o size=8M none full"))
		return;
	open_files();
	if (_i == 0)
		ck_assert_int_eq(go(KERNEL), true);
	else
		ck_assert_int_eq(go(BY_HAND), true);
	if (_i == 2)
		ck_assert_int_eq(pieces_add_changed(&p, fd, 0, SOURCE_BYTES, 1, change, &c, &e), 0);
	else if (_i == 3)
		ck_assert_int_eq(pieces_add_zeros(&p, SOURCE_BYTES, &e), 0);
	else
		ck_assert_int_eq(pieces_add_file(&p, fd, 0, SOURCE_BYTES, &e), 0);
	ck_assert_int_eq(pieces_write(&p, out, NULL, NULL, &e), -1);
	ck_assert_int_eq(e.class, ERR_SYSTEM);
	ck_assert_int_eq(e.sys, ENOSPC);
	umount_at("full");
}
END_TEST

/* ---- the list ---- */

START_TEST(neighbours_become_one_and_nothing_is_nothing)
{
	ck_assert_int_eq(pieces_add_file(&p, fd, 10, 20, &e), 0);
	ck_assert_int_eq(pieces_add_file(&p, fd, 30, 5, &e), 0);
	ck_assert_int_eq(pieces_add_file(&p, fd, 99, 0, &e), 0);
	ck_assert_int_eq(pieces_add_zeros(&p, 0, &e), 0);
	ck_assert_uint_eq(p.n, 1);
	ck_assert_uint_eq(p.size_bytes, 25);
	ck_assert_int_eq(pieces_write(&p, out, NULL, NULL, &e), 0);
	assert_new(source + 10, 25);
}
END_TEST

START_TEST(bytes_can_be_patched_and_descriptors_replaced)
{
	unsigned char want[] = "Abcd...efGH";
	int again = open(at("old"), O_RDONLY);

	ck_assert_int_eq(pieces_add_bytes(&p, "abcd", 4, &e), 0);
	ck_assert_int_eq(pieces_add_file(&p, fd, 0, 3, &e), 0);
	ck_assert_int_eq(pieces_add_bytes(&p, "efgh", 4, &e), 0);
	pieces_patch(&p, 0, "A", 1);
	pieces_patch(&p, 9, "GH", 2);
	close(fd);
	fd = -1;
	pieces_use(&p, again);
	ck_assert_int_eq(pieces_write(&p, out, NULL, NULL, &e), 0);
	memcpy(want + 4, source, 3);
	assert_new(want, 11);
	close(again);
}
END_TEST

int
main(void)
{
	static const char *const mounts[] = {"xfs", "full"};
	Suite *s = suite_create("pieces");
	TCase *t = tcase_create("write");
	SRunner *r;
	char line[64];
	int failed;

	if (mkdtemp(dir) == NULL)
		return 1;
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, a_stretch_of_any_place_and_length_arrives_by_each_way, 0, WAYS);
	tcase_add_test(t, what_lies_alike_in_its_blocks_takes_no_room);
	tcase_add_loop_test(t, what_a_file_system_cannot_do_is_not_asked_twice, 0, 7);
	tcase_add_test(t, files_of_another_file_system_are_read_and_written);
	tcase_add_loop_test(t, changes_see_whole_units_across_blocks, 0, 5);
	tcase_add_loop_test(t, a_stop_ends_it_between_two_steps, 0, 3);
	tcase_add_loop_test(t, a_file_that_became_shorter_is_told, 0, WAYS + 1);
	tcase_add_test(t, a_file_that_cannot_be_read_is_told);
	tcase_add_loop_test(t, a_full_disk_is_told, 0, 4);
	tcase_add_test(t, neighbours_become_one_and_nothing_is_nothing);
	tcase_add_test(t, bytes_can_be_patched_and_descriptors_replaced);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	/* What a test that failed has left in this process (CK_FORK=no). */
	for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
		snprintf(line, sizeof line, "%s/%s", dir, mounts[i]);
		umount2(line, MNT_DETACH);
	}
	snprintf(line, sizeof line, "rm -rf %s", dir);
	if (system(line) != 0)
		failed++;
	return failed == 0 ? 0 : 1;
}
