/* io: files appear whole, names stay in their folder, and what is moved or copied is the same
 * bytes. */
#include "io.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char root[] = "/tmp/check_io.XXXXXX";
static int dir = -1; /* root/in, beside root/outside */
static struct err e;

static void
put(int dirfd, const char *name, const void *p, size_t len)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(write(fd, p, len), (ssize_t)len);
	close(fd);
}

static void
put_text(int dirfd, const char *name, const char *text)
{
	put(dirfd, name, text, strlen(text));
}

static bool
is_there(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void
holds(int dirfd, const char *name, const char *text)
{
	struct buf b = {0};

	ck_assert_int_eq(io_read_file(dirfd, name, 1 << 20, &b, &e), 0);
	ck_assert_str_eq(b.len > 0 ? b.data : "", text);
	buf_free(&b);
}

/* Entries of a folder without . and .. */
static int
entries(int dirfd)
{
	DIR *d = io_list(dirfd, &e);
	struct dirent *entry;
	int n = 0;

	ck_assert_ptr_nonnull(d);
	while ((entry = readdir(d)) != NULL)
		n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(d);
	return n;
}

static void
remove_tree(const char *path)
{
	char command[4200];

	snprintf(command, sizeof command, "rm -rf -- '%s'", path);
	ck_assert_int_eq(system(command), 0);
}

static void
setup(void)
{
	int top;

	memcpy(root + strlen(root) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(root));
	top = open(root, O_RDONLY | O_DIRECTORY);
	ck_assert_int_ne(top, -1);
	ck_assert_int_eq(mkdirat(top, "in", 0755), 0);
	put_text(top, "outside", "secret");
	dir = openat(top, "in", O_RDONLY | O_DIRECTORY);
	ck_assert_int_ne(dir, -1);
	close(top);
	e = (struct err){0};
}

static void
teardown(void)
{
	close(dir);
	remove_tree(root);
}

/* ---- io_new ---- */

START_TEST(a_new_file_appears_only_whole_and_with_its_mode)
{
	struct io_new f;
	struct stat st;

	ck_assert_int_eq(io_new_open(&f, dir, "take.wav", &e), 0);
	ck_assert_int_eq(io_write(f.fd, "half", 4, &e), 0);
	ck_assert(!is_there(dir, "take.wav"));
	ck_assert_int_eq(fstat(f.fd, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	ck_assert(strncmp(f.temp, ".rec-take.wav.", 14) == 0);
	ck_assert_str_eq(f.temp + strlen(f.temp) - 4, ".tmp");
	ck_assert_int_eq(io_write(f.fd, " whole", 6, &e), 0);
	ck_assert_int_eq(io_new_commit(&f, 0640, false, &e), 0);
	io_new_close(&f);
	holds(dir, "take.wav", "half whole");
	ck_assert_int_eq(fstatat(dir, "take.wav", &st, 0), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0640);
	ck_assert_int_eq(entries(dir), 1);
}
END_TEST

START_TEST(a_new_file_never_replaces_what_came_meanwhile)
{
	struct io_new f;

	ck_assert_int_eq(io_new_open(&f, dir, "take.wav", &e), 0);
	ck_assert_int_eq(io_write(f.fd, "mine", 4, &e), 0);
	put_text(dir, "take.wav", "theirs");
	ck_assert_int_eq(io_new_commit(&f, 0644, false, &e), -1);
	ck_assert_int_eq(e.class, ERR_SYSTEM);
	ck_assert_int_eq(e.sys, EEXIST);
	io_new_close(&f);
	holds(dir, "take.wav", "theirs");
	ck_assert_int_eq(entries(dir), 1);
	/* Neither a link that leads nowhere. */
	ck_assert_int_eq(symlinkat("nowhere", dir, "link"), 0);
	ck_assert_int_eq(io_new_open(&f, dir, "link", &e), 0);
	ck_assert_int_eq(io_new_commit(&f, 0644, false, &e), -1);
	io_new_close(&f);
	ck_assert(!is_there(dir, "nowhere"));
}
END_TEST

START_TEST(a_new_file_replaces_when_it_is_told_to)
{
	struct io_new f;

	put_text(dir, "list", "old");
	ck_assert_int_eq(io_new_open(&f, dir, "list", &e), 0);
	ck_assert_int_eq(io_write(f.fd, "new", 3, &e), 0);
	holds(dir, "list", "old");
	ck_assert_int_eq(io_new_commit(&f, 0644, true, &e), 0);
	io_new_close(&f);
	holds(dir, "list", "new");
	ck_assert_int_eq(entries(dir), 1);
}
END_TEST

START_TEST(a_close_without_commit_leaves_nothing)
{
	struct io_new f;

	ck_assert_int_eq(io_new_open(&f, dir, "take.wav", &e), 0);
	ck_assert_int_eq(io_write(f.fd, "mine", 4, &e), 0);
	ck_assert_int_eq(entries(dir), 1);
	io_new_close(&f);
	ck_assert_int_eq(entries(dir), 0);
	io_new_close(&f);
	/* One that could not be opened is closed all the same. */
	ck_assert_int_eq(io_new_open(&f, dir, "no/such/folder", &e), -1);
	ck_assert_int_eq(e.class, ERR_SYSTEM);
	io_new_close(&f);
	ck_assert_int_eq(entries(dir), 0);
}
END_TEST

START_TEST(the_longest_name_that_a_folder_takes_can_be_made)
{
	struct io_new f;
	char name[256];

	memset(name, 'n', 255);
	name[255] = '\0';
	ck_assert_int_eq(io_new_open(&f, dir, name, &e), 0);
	ck_assert_int_eq(io_new_commit(&f, 0644, false, &e), 0);
	io_new_close(&f);
	ck_assert(is_there(dir, name));
}
END_TEST

/* ---- names that are not trusted ---- */

static void
unsafe(const char *name)
{
	struct stat st;
	int fd;

	e = (struct err){0};
	fd = io_open_beneath(dir, name, &e);
	ck_assert_msg(fd == -1, "opened: %s", name);
	ck_assert_msg(
	    e.class == ERR_ITEM && strcmp(e.code, P_UNSAFE_PATH) == 0, "%s: %s", name, e.text);
	e = (struct err){0};
	ck_assert_msg(io_stat_beneath(dir, name, &st, &e) == -1, "found: %s", name);
	ck_assert_msg(
	    e.class == ERR_ITEM && strcmp(e.code, P_UNSAFE_PATH) == 0, "%s: %s", name, e.text);
}

START_TEST(a_name_that_climbs_out_is_refused)
{
	char absolute[128];

	ck_assert_int_eq(mkdirat(dir, "sub", 0755), 0);
	put_text(dir, "mine", "mine");
	snprintf(absolute, sizeof absolute, "%s/in/mine", root);
	unsafe("../outside");
	unsafe("..");
	unsafe("../in/mine");
	unsafe("sub/../../outside");
	unsafe("./../outside");
	unsafe("/etc/passwd");
	unsafe(absolute);
	unsafe("");
}
END_TEST

START_TEST(a_link_that_leads_out_is_refused_and_one_that_stays_passes)
{
	struct stat st, target;
	char absolute[128];
	int fd;

	snprintf(absolute, sizeof absolute, "%s/in/mine", root);
	put_text(dir, "mine", "mine");
	ck_assert_int_eq(mkdirat(dir, "sub", 0755), 0);
	ck_assert_int_eq(symlinkat("../outside", dir, "up"), 0);
	ck_assert_int_eq(symlinkat("/etc/passwd", dir, "far"), 0);
	ck_assert_int_eq(symlinkat(absolute, dir, "round"), 0);
	ck_assert_int_eq(symlinkat("..", dir, "folder"), 0);
	ck_assert_int_eq(symlinkat("loop", dir, "loop"), 0);
	unsafe("up");
	unsafe("far");
	unsafe("round");
	unsafe("folder/outside");
	unsafe("loop");
	/* Without openat2 every link is refused: valgrind knows no such call. */
	if (syscall(SYS_openat2, -1, "", NULL, 0) == -1 && errno == ENOSYS)
		return;
	ck_assert_int_eq(symlinkat("mine", dir, "inner"), 0);
	ck_assert_int_eq(symlinkat("../mine", dir, "sub/inner"), 0);
	ck_assert_int_eq(fstatat(dir, "mine", &target, 0), 0);
	for (int i = 0; i < 2; i++) {
		const char *name = i == 0 ? "inner" : "sub/inner";

		ck_assert_int_ne(fd = io_open_beneath(dir, name, &e), -1);
		close(fd);
		ck_assert_int_eq(io_stat_beneath(dir, name, &st, &e), 0);
		ck_assert_uint_eq(st.st_ino, target.st_ino);
	}
}
END_TEST

START_TEST(what_is_missing_is_missing_and_what_is_no_file_is_unsupported)
{
	struct stat st;

	ck_assert_int_eq(io_open_beneath(dir, "absent", &e), -1);
	ck_assert_str_eq(e.code, P_MISSING);
	ck_assert_int_eq(io_open(dir, "absent", &e), -1);
	ck_assert_str_eq(e.code, P_MISSING);
	ck_assert_int_eq(io_stat_beneath(dir, "absent", &st, &e), -1);
	ck_assert_str_eq(e.code, P_MISSING);
	ck_assert_int_eq(io_open_dir(dir, "absent", &e), -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_str_eq(e.code, P_MISSING);
	ck_assert_int_eq(mkdirat(dir, "sub", 0755), 0);
	ck_assert_int_eq(io_open_beneath(dir, "sub", &e), -1);
	ck_assert_str_eq(e.code, P_UNSUPPORTED);
	ck_assert_int_eq(io_open(dir, "/dev/null", &e), -1);
	ck_assert_str_eq(e.code, P_UNSUPPORTED);
	put_text(dir, "mine", "");
	ck_assert_int_eq(io_open_dir(dir, "mine", &e), -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
}
END_TEST

START_TEST(a_fifo_does_not_block)
{
	struct buf b = {0};

	ck_assert_int_eq(mkfifoat(dir, "pipe", 0644), 0);
	alarm(5);
	ck_assert_int_eq(io_open(dir, "pipe", &e), -1);
	ck_assert_str_eq(e.code, P_UNSUPPORTED);
	ck_assert_int_eq(io_open_beneath(dir, "pipe", &e), -1);
	ck_assert_str_eq(e.code, P_UNSUPPORTED);
	ck_assert_int_eq(io_read_file(dir, "pipe", 10, &b, &e), -1);
	alarm(0);
	buf_free(&b);
}
END_TEST

START_TEST(a_user_may_name_a_file_through_links)
{
	int fd;

	ck_assert_int_eq(symlinkat("../outside", dir, "up"), 0);
	ck_assert_int_ne(fd = io_open(dir, "up", &e), -1);
	close(fd);
}
END_TEST

/* ---- reading ---- */

START_TEST(reading_gives_what_is_there_and_ends_at_the_end)
{
	struct buf b = {0};
	char p[16];
	int fd;

	put_text(dir, "ten", "0123456789");
	ck_assert_int_ne(fd = io_open(dir, "ten", &e), -1);
	ck_assert_int_eq(io_pread(fd, p, 4, 3, &e), 4);
	ck_assert(memcmp(p, "3456", 4) == 0);
	ck_assert_int_eq(io_pread(fd, p, 16, 8, &e), 2);
	ck_assert_int_eq(io_pread(fd, p, 16, 100, &e), 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 0);
	close(fd);
	ck_assert_int_eq(io_pread(fd, p, 1, 0, &e), -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_str_eq(e.code, P_UNREADABLE);
	ck_assert_int_eq(io_read_file(dir, "ten", 10, &b, &e), 0);
	ck_assert_str_eq(b.data, "0123456789");
	buf_free(&b);
	ck_assert_int_eq(io_read_file(dir, "ten", 9, &b, &e), -1);
	ck_assert_str_eq(e.code, P_TOO_LARGE);
	buf_free(&b);
}
END_TEST

START_TEST(a_digest_is_of_the_whole_file_counts_its_bytes_and_stops_when_told)
{
	enum { LEN = 700000 };
	char *p = malloc(LEN), sum[HASH_SHA256_HEX], fresh[HASH_SHA256_HEX], want[HASH_SHA256_HEX];
	atomic_int stop = 0;
	atomic_ullong bytes = 0;
	struct hash *h = hash_open(HASH_XXH3_128 | HASH_SHA256, &e);
	int fd;

	for (int i = 0; i < LEN; i++)
		p[i] = (char)(i * 31 >> 3);
	put(dir, "big", p, LEN);
	ck_assert_int_ne(fd = io_open(dir, "big", &e), -1);
	hash_update(h, p, LEN);
	hash_xxh3_128(h, want);
	ck_assert_int_eq(io_digest(fd, HASH_XXH3_128, false, &stop, &bytes, sum, &e), 0);
	ck_assert_str_eq(sum, want);
	ck_assert_uint_eq(bytes, LEN);
	ck_assert_int_eq(io_digest(fd, HASH_XXH3_128, true, NULL, NULL, fresh, &e), 0);
	ck_assert_str_eq(fresh, want);
	hash_sha256(h, want);
	ck_assert_int_eq(io_digest(fd, HASH_SHA256, true, NULL, NULL, sum, &e), 0);
	ck_assert_str_eq(sum, want);
	stop = 15;
	ck_assert_int_eq(io_digest(fd, HASH_SHA256, false, &stop, NULL, sum, &e), -1);
	ck_assert_int_eq(e.class, ERR_STOPPED);
	close(fd);
	hash_close(h);
	free(p);
}
END_TEST

START_TEST(a_write_to_a_full_device_is_told)
{
	int fd = open("/dev/full", O_WRONLY);

	if (fd == -1)
		return;
	ck_assert_int_eq(io_write(fd, "x", 1, &e), -1);
	ck_assert_int_eq(e.class, ERR_SYSTEM);
	ck_assert_int_eq(e.sys, ENOSPC);
	close(fd);
}
END_TEST

/* ---- moving, copying ---- */

START_TEST(a_rename_never_replaces_and_never_climbs)
{
	put_text(dir, "a", "a");
	put_text(dir, "b", "b");
	ck_assert_int_eq(io_rename(dir, "a", dir, "b", &e), -1);
	ck_assert_int_eq(e.sys, EEXIST);
	holds(dir, "a", "a");
	holds(dir, "b", "b");
	ck_assert_int_eq(io_rename(dir, "a", dir, "../a", &e), -1);
	ck_assert_str_eq(e.code, P_UNSAFE_PATH);
	ck_assert_int_eq(io_rename(dir, "../outside", dir, "c", &e), -1);
	ck_assert_str_eq(e.code, P_UNSAFE_PATH);
	ck_assert_int_eq(io_rename(dir, "a", dir, "/tmp/check_io.never", &e), -1);
	ck_assert_str_eq(e.code, P_UNSAFE_PATH);
	ck_assert_int_eq(io_rename(dir, "a", dir, "..c", &e), 0);
	holds(dir, "..c", "a");
	ck_assert_int_eq(io_move(dir, "..c", dir, "b", &e), -1);
	ck_assert_int_eq(io_move(dir, "..c", dir, "c", &e), 0);
	holds(dir, "c", "a");
	ck_assert_int_eq(entries(dir), 2);
}
END_TEST

/* A folder on another file system, or -1 where the machine has none to write to. */
static int
other_file_system(char *path)
{
	struct stat here, there;

	if (mkdtemp(path) == NULL)
		return -1;
	ck_assert_int_eq(stat(path, &there), 0);
	ck_assert_int_eq(fstat(dir, &here), 0);
	if (here.st_dev == there.st_dev) {
		rmdir(path);
		return -1;
	}
	return open(path, O_RDONLY | O_DIRECTORY);
}

START_TEST(a_move_to_another_file_system_keeps_bytes_mode_and_times)
{
	enum { LEN = 600001 };
	char path[] = "/dev/shm/check_io.XXXXXX", *p = malloc(LEN), *q = malloc(LEN + 1);
	struct timespec times[2] = {
	    {.tv_sec = 1757066400, .tv_nsec = 5000}, {.tv_sec = 1757066401, .tv_nsec = 123456000}};
	struct stat st;
	int other = other_file_system(path), fd;

	if (other == -1) {
		free(p);
		free(q);
		return;
	}
	for (int i = 0; i < LEN; i++)
		p[i] = (char)(i * 13 >> 2);
	put(dir, "take.wav", p, LEN);
	ck_assert_int_eq(fchmodat(dir, "take.wav", 0640, 0), 0);
	ck_assert_int_eq(utimensat(dir, "take.wav", times, 0), 0);
	/* Not over what is there. */
	put_text(other, "taken", "theirs");
	ck_assert_int_eq(io_move(dir, "take.wav", other, "taken", &e), -1);
	ck_assert_int_eq(e.sys, EEXIST);
	ck_assert(is_there(dir, "take.wav"));
	holds(other, "taken", "theirs");
	ck_assert_int_eq(entries(other), 1);

	e = (struct err){0};
	ck_assert_int_eq(io_move(dir, "take.wav", other, "moved.wav", &e), 0);
	ck_assert_int_eq(e.class, ERR_NONE);
	ck_assert_int_eq(entries(dir), 0);
	ck_assert_int_ne(fd = io_open(other, "moved.wav", &e), -1);
	ck_assert_int_eq(io_pread(fd, q, LEN + 1, 0, &e), LEN);
	ck_assert(memcmp(p, q, LEN) == 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0640);
	ck_assert_int_eq(st.st_mtim.tv_sec, 1757066401);
	ck_assert_int_eq(st.st_mtim.tv_nsec, 123456000);
	close(fd);
	/* One that was killed after the copy is finished by another. */
	put(dir, "take.wav", p, LEN);
	ck_assert_int_eq(io_move(dir, "take.wav", other, "moved.wav", &e), 0);
	ck_assert_int_eq(entries(dir), 0);
	ck_assert_int_eq(entries(other), 2);
	/* The same length is not the same file. */
	p[LEN / 2] ^= 1;
	put(dir, "take.wav", p, LEN);
	ck_assert_int_eq(io_move(dir, "take.wav", other, "moved.wav", &e), -1);
	ck_assert(is_there(dir, "take.wav"));
	/* A link that leads out is not followed. */
	ck_assert_int_eq(symlinkat("../outside", dir, "up"), 0);
	ck_assert_int_eq(io_move(dir, "up", other, "up", &e), -1);
	ck_assert_str_eq(e.code, P_UNSAFE_PATH);
	ck_assert_int_eq(entries(other), 2);
	close(other);
	remove_tree(path);
	free(p);
	free(q);
}
END_TEST

START_TEST(a_copy_is_the_same_bytes_and_never_replaces)
{
	char sum[HASH_SHA256_HEX];
	struct stat st;
	int fd;

	put_text(dir, "from", "the bytes");
	ck_assert_int_ne(fd = io_open(dir, "from", &e), -1);
	ck_assert_int_eq(io_copy(fd, dir, "to", 0600, NULL, &e), 0);
	holds(dir, "to", "the bytes");
	ck_assert_int_eq(fstatat(dir, "to", &st, 0), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(io_digest(fd, HASH_XXH3_128, false, NULL, NULL, sum, &e), 0);
	ck_assert_int_eq(io_copy(fd, dir, "verified", 0644, sum, &e), 0);
	holds(dir, "verified", "the bytes");
	put_text(dir, "taken", "theirs");
	ck_assert_int_eq(io_copy(fd, dir, "taken", 0644, sum, &e), -1);
	ck_assert_int_eq(e.sys, EEXIST);
	holds(dir, "taken", "theirs");
	ck_assert_int_eq(entries(dir), 4);
	/* Bytes that are others by now. */
	put_text(dir, "from", "the bytez");
	ck_assert_int_eq(io_copy(fd, dir, "stale", 0644, sum, &e), -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_str_eq(e.code, P_MODIFIED);
	ck_assert_int_eq(entries(dir), 4);
	close(fd);
}
END_TEST

START_TEST(a_second_name_is_the_same_file_and_never_replaces)
{
	struct stat a, b;

	put_text(dir, "take.wav", "the bytes");
	ck_assert_int_eq(io_link_or_copy(dir, "take.wav", dir, "kept.wav", &e), 0);
	ck_assert_int_eq(fstatat(dir, "take.wav", &a, 0), 0);
	ck_assert_int_eq(fstatat(dir, "kept.wav", &b, 0), 0);
	ck_assert(a.st_ino == b.st_ino);
	put_text(dir, "taken", "theirs");
	ck_assert_int_eq(io_link_or_copy(dir, "take.wav", dir, "taken", &e), -1);
	ck_assert_int_eq(e.sys, EEXIST);
	holds(dir, "taken", "theirs");
	ck_assert_int_eq(io_link_or_copy(dir, "missing", dir, "new", &e), -1);
	ck_assert_int_eq(e.sys, ENOENT);
	ck_assert_int_eq(io_link_or_copy(dir, "../outside", dir, "new", &e), -1);
	ck_assert_str_eq(e.code, P_UNSAFE_PATH);
	ck_assert_int_eq(io_link_or_copy(dir, "take.wav", dir, "../new", &e), -1);
	ck_assert_str_eq(e.code, P_UNSAFE_PATH);
	ck_assert_int_eq(entries(dir), 3);
}
END_TEST

START_TEST(a_replaced_file_is_gone_and_the_other_keeps_everything)
{
	struct stat was, is;

	put_text(dir, "old.wav", "the original");
	put_text(dir, "new.wav", "repaired");
	ck_assert_int_eq(fstatat(dir, "old.wav", &was, 0), 0);
	ck_assert_int_eq(io_replace(dir, "old.wav", dir, "new.wav", &e), 0);
	ck_assert_int_eq(fstatat(dir, "new.wav", &is, 0), 0);
	ck_assert(was.st_ino == is.st_ino);
	holds(dir, "new.wav", "the original");
	ck_assert_int_eq(entries(dir), 1);
	/* Two names of one file: rename(2) would keep both. */
	ck_assert_int_eq(io_link_or_copy(dir, "new.wav", dir, "same.wav", &e), 0);
	ck_assert_int_eq(io_replace(dir, "same.wav", dir, "new.wav", &e), 0);
	ck_assert_int_eq(entries(dir), 1);
	holds(dir, "new.wav", "the original");
	/* Nothing to replace is fine, nothing to put there is not. */
	ck_assert_int_eq(io_replace(dir, "new.wav", dir, "free.wav", &e), 0);
	ck_assert_int_eq(io_replace(dir, "new.wav", dir, "free.wav", &e), -1);
	ck_assert_int_eq(e.sys, ENOENT);
	holds(dir, "free.wav", "the original");
	ck_assert_int_eq(io_replace(dir, "free.wav", dir, "../outside", &e), -1);
	ck_assert_str_eq(e.code, P_UNSAFE_PATH);
	ck_assert_int_eq(io_replace(dir, "../outside", dir, "free.wav", &e), -1);
	ck_assert_str_eq(e.code, P_UNSAFE_PATH);
}
END_TEST

START_TEST(a_link_and_a_replacement_reach_another_file_system)
{
	char path[] = "/dev/shm/check_io.XXXXXX";
	struct timespec times[2] = {
	    {.tv_sec = 1757066400, .tv_nsec = 5000}, {.tv_sec = 1757066401, .tv_nsec = 123456000}};
	struct stat st;
	int other = other_file_system(path);

	if (other == -1)
		return;
	put_text(dir, "take.wav", "the bytes");
	ck_assert_int_eq(fchmodat(dir, "take.wav", 0640, 0), 0);
	ck_assert_int_eq(utimensat(dir, "take.wav", times, 0), 0);
	ck_assert_int_eq(io_link_or_copy(dir, "take.wav", other, "kept.wav", &e), 0);
	holds(other, "kept.wav", "the bytes");
	ck_assert_int_eq(io_link_or_copy(dir, "take.wav", other, "kept.wav", &e), -1);
	ck_assert_int_eq(e.sys, EEXIST);
	put_text(dir, "take.wav", "repaired");
	ck_assert_int_eq(io_replace(other, "kept.wav", dir, "take.wav", &e), 0);
	holds(dir, "take.wav", "the bytes");
	ck_assert_int_eq(fstatat(dir, "take.wav", &st, 0), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0640);
	ck_assert_int_eq(st.st_mtim.tv_sec, 1757066401);
	ck_assert_int_eq(st.st_mtim.tv_nsec, 123456000);
	ck_assert_int_eq(entries(other), 0);
	ck_assert_int_eq(entries(dir), 1);
	close(other);
	remove_tree(path);
}
END_TEST

START_TEST(pouring_writes_all_bytes_gives_their_digest_and_stops_when_told)
{
	atomic_int stop = 0;
	atomic_ullong done = 0;
	char sum[HASH_XXH3_128_HEX], whole[HASH_SHA256_HEX];
	struct io_new f;
	int fd;

	put_text(dir, "from", "the bytes");
	ck_assert_int_ne(fd = io_open(dir, "from", &e), -1);
	ck_assert_int_eq(io_new_open(&f, dir, "to", &e), 0);
	ck_assert_int_eq(io_pour(fd, f.fd, &stop, &done, sum, &e), 0);
	ck_assert_int_eq(io_digest(fd, HASH_XXH3_128, false, NULL, NULL, whole, &e), 0);
	ck_assert_str_eq(sum, whole);
	ck_assert_uint_eq(atomic_load(&done), 9);
	ck_assert_int_eq(io_new_commit(&f, 0644, false, &e), 0);
	holds(dir, "to", "the bytes");
	stop = SIGTERM;
	ck_assert_int_eq(io_pour(fd, f.fd, &stop, &done, sum, &e), -1);
	ck_assert_int_eq(e.class, ERR_STOPPED);
	io_new_close(&f);
	close(fd);
}
END_TEST

/* ---- folders ---- */

START_TEST(folders_are_made_where_they_are_missing)
{
	struct stat st;

	ck_assert_int_eq(io_make_dirs(dir, "a/b/c", &e), 0);
	ck_assert_int_eq(fstatat(dir, "a/b/c", &st, 0), 0);
	ck_assert(S_ISDIR(st.st_mode));
	ck_assert_int_eq(io_make_dirs(dir, "a/b/c", &e), 0);
	ck_assert_int_eq(io_make_dirs(dir, "a//b/./d/", &e), 0);
	ck_assert(is_there(dir, "a/b/d"));
	ck_assert_int_eq(io_make_dirs(dir, ".", &e), 0);
	ck_assert_int_eq(io_make_dirs(dir, "/tmp", &e), 0);
	put_text(dir, "file", "");
	ck_assert_int_eq(io_make_dirs(dir, "file/sub", &e), -1);
	ck_assert_int_eq(e.class, ERR_SYSTEM);
	ck_assert_int_eq(e.sys, ENOTDIR);
}
END_TEST

START_TEST(a_folder_is_empty_when_nothing_is_in_it)
{
	ck_assert_int_eq(io_dir_is_empty(dir, &e), 1);
	put_text(dir, ".hidden", "");
	ck_assert_int_eq(io_dir_is_empty(dir, &e), 0);
	ck_assert_int_eq(io_unlink(dir, ".hidden", &e), 0);
	ck_assert_int_eq(io_dir_is_empty(dir, &e), 1);
	ck_assert_int_eq(io_unlink(dir, ".hidden", &e), -1);
	ck_assert_int_eq(e.sys, ENOENT);
	ck_assert_int_eq(io_dir_is_empty(-1, &e), -1);
}
END_TEST

START_TEST(a_sweep_removes_temporary_files_of_ours_and_no_others)
{
	static const char *const theirs[] = {".rec-take.tmp", ".rec-.tmp", "take.wav.1a2b3c4d.tmp",
	    "rec-take.1a2b3c4d.tmp", ".rec-take.1a2b3c4d", ".rec-take.1a2b3c4d.tmp.wav",
	    ".rec-take.1A2B3C4G.tmp", ".rec-take1a2b3c4d.tmp", "take.tmp", ".tmp"};
	struct io_new f;

	for (size_t i = 0; i < sizeof theirs / sizeof theirs[0]; i++)
		put_text(dir, theirs[i], "x");
	ck_assert_int_eq(mkdirat(dir, ".rec-folder.1a2b3c4d.tmp", 0755), 0);
	ck_assert_int_eq(io_new_open(&f, dir, "take.wav", &e), 0);
	put_text(dir, ".rec-.1a2b3c4d.tmp", "x");
	put_text(dir, ".rec-any.thing.0123abcd.tmp", "x");
	ck_assert_int_eq(io_sweep_temps(dir, &e), 0);
	ck_assert(is_there(dir, f.temp)); /* it is being written */
	ck_assert(!is_there(dir, ".rec-.1a2b3c4d.tmp"));
	ck_assert(!is_there(dir, ".rec-any.thing.0123abcd.tmp"));
	for (size_t i = 0; i < sizeof theirs / sizeof theirs[0]; i++)
		ck_assert_msg(is_there(dir, theirs[i]), "%s is gone", theirs[i]);
	ck_assert(is_there(dir, ".rec-folder.1a2b3c4d.tmp"));
	close(f.fd);
	f.fd = -1;
	ck_assert_int_eq(io_sweep_temps(dir, &e), 0);
	ck_assert(!is_there(dir, f.temp));
	io_new_close(&f);
}
END_TEST

START_TEST(free_space_is_told)
{
	uint64_t bytes = 0;

	ck_assert_int_eq(io_free_bytes(dir, &bytes, &e), 0);
	ck_assert_uint_gt(bytes, 0);
	ck_assert_int_eq(io_free_bytes(-1, &bytes, &e), -1);
}
END_TEST

/* ---- locks ---- */

START_TEST(one_holder_has_the_lock_until_it_is_closed)
{
	int one = openat(dir, ".", O_RDONLY | O_DIRECTORY),
	    two = openat(dir, ".", O_RDONLY | O_DIRECTORY);

	ck_assert_int_eq(io_is_locked(dir, &e), 0);
	ck_assert_int_eq(io_try_lock(one, &e), 1);
	ck_assert_int_eq(io_try_lock(two, &e), 0);
	ck_assert_int_eq(io_is_locked(dir, &e), 1);
	/* Asking does not take it away. */
	ck_assert_int_eq(io_is_locked(dir, &e), 1);
	ck_assert_int_eq(io_try_lock(two, &e), 0);
	close(one);
	ck_assert_int_eq(io_is_locked(dir, &e), 0);
	ck_assert_int_eq(io_try_lock(two, &e), 1);
	close(two);
	ck_assert_int_eq(io_try_lock(-1, &e), -1);
	ck_assert_int_eq(io_is_locked(-1, &e), -1);
}
END_TEST

START_TEST(a_lock_ends_with_the_process_that_holds_it)
{
	int ready[2];
	char c;
	pid_t child;

	ck_assert_int_eq(pipe(ready), 0);
	if ((child = fork()) == 0) {
		int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY);

		c = io_try_lock(fd, &e) == 1 ? 'y' : 'n';
		if (write(ready[1], &c, 1) == 1)
			pause();
		_exit(1);
	}
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	ck_assert_int_eq(c, 'y');
	ck_assert_int_eq(io_is_locked(dir, &e), 1);
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert_int_eq(io_is_locked(dir, &e), 0);
	close(ready[0]);
	close(ready[1]);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("io");
	TCase *t = tcase_create("io");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_new_file_appears_only_whole_and_with_its_mode);
	tcase_add_test(t, a_new_file_never_replaces_what_came_meanwhile);
	tcase_add_test(t, a_new_file_replaces_when_it_is_told_to);
	tcase_add_test(t, a_close_without_commit_leaves_nothing);
	tcase_add_test(t, the_longest_name_that_a_folder_takes_can_be_made);
	tcase_add_test(t, a_name_that_climbs_out_is_refused);
	tcase_add_test(t, a_link_that_leads_out_is_refused_and_one_that_stays_passes);
	tcase_add_test(t, what_is_missing_is_missing_and_what_is_no_file_is_unsupported);
	tcase_add_test(t, a_fifo_does_not_block);
	tcase_add_test(t, a_user_may_name_a_file_through_links);
	tcase_add_test(t, reading_gives_what_is_there_and_ends_at_the_end);
	tcase_add_test(t, a_digest_is_of_the_whole_file_counts_its_bytes_and_stops_when_told);
	tcase_add_test(t, a_write_to_a_full_device_is_told);
	tcase_add_test(t, a_rename_never_replaces_and_never_climbs);
	tcase_add_test(t, a_move_to_another_file_system_keeps_bytes_mode_and_times);
	tcase_add_test(t, a_copy_is_the_same_bytes_and_never_replaces);
	tcase_add_test(t, a_second_name_is_the_same_file_and_never_replaces);
	tcase_add_test(t, a_replaced_file_is_gone_and_the_other_keeps_everything);
	tcase_add_test(t, a_link_and_a_replacement_reach_another_file_system);
	tcase_add_test(t, pouring_writes_all_bytes_gives_their_digest_and_stops_when_told);
	tcase_add_test(t, folders_are_made_where_they_are_missing);
	tcase_add_test(t, a_folder_is_empty_when_nothing_is_in_it);
	tcase_add_test(t, a_sweep_removes_temporary_files_of_ours_and_no_others);
	tcase_add_test(t, free_space_is_told);
	tcase_add_test(t, one_holder_has_the_lock_until_it_is_closed);
	tcase_add_test(t, a_lock_ends_with_the_process_that_holds_it);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
