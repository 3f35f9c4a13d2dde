/*
 * A small archive in a fresh folder, and a plain folder as its remote, for the tests of what syncs
 * them. The working directory is the archive's root; the remote is ../there.
 */
#ifndef TEST_SYNC_ARCHIVE_H
#define TEST_SYNC_ARCHIVE_H

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hash.h"
#include "io.h"
#include "sync.h"

static char start_dir[4096];
static char root[64];
static struct err e;
static struct sync s;
static const struct tool_spec spec = {.name = "check"};
static struct tool tool = {.spec = &spec};

static inline void
ok(int rc)
{
	ck_assert_msg(rc != -1, "%s", e.text);
}

/* ERR_ITEM with this code. */
static inline void
refused(int rc, const char *code)
{
	ck_assert_int_eq(rc, -1);
	ck_assert_msg(e.class == ERR_ITEM && e.code != NULL && strcmp(e.code, code) == 0,
	    "%d %s: %s", e.class, e.code != NULL ? e.code : "-", e.text);
}

static inline void
sql(const char *fmt, ...)
{
	char text[4096];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	ck_assert_msg(catalogue_exec(s.a.catalogue, text, &e) == 0, "%s: %s", text, e.text);
}

static inline void
put_file(const char *path, const void *p, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_msg(fd != -1, "%s", path);
	ok(io_write(fd, p, len, &e));
	close(fd);
}

static inline void
sha256_of(const void *p, size_t len, char hex[HASH_SHA256_HEX])
{
	struct hash *h = hash_open(HASH_SHA256, &e);

	ck_assert_ptr_nonnull(h);
	hash_update(h, p, len);
	hash_sha256(h, hex);
	hash_close(h);
}

/* A recording of these bytes, as it was measured. */
static inline void
record(int64_t id, const char *name, const char *bytes)
{
	char sha256[HASH_SHA256_HEX], path[512];

	snprintf(path, sizeof path, "recordings/raw/%s", name);
	put_file(path, bytes, strlen(bytes));
	sha256_of(bytes, strlen(bytes), sha256);
	sql("INSERT INTO recordings (id, filename, stored_filename, filesize_bytes, checksum, "
	    "status)"
	    " VALUES (%lld, '%s', '%s', %zu, '%s', 'active')",
	    (long long)id, name, name, strlen(bytes), sha256);
}

static inline void
open_sync(const char *url)
{
	struct sync_opts o = {
	    .t = &tool, .remote = url, .transfers = 1, .write = true, .create = true};

	ok(sync_open(&s, &o, &e));
}

static inline void
setup(void)
{
	char url[128];

	ck_assert_ptr_nonnull(getcwd(start_dir, sizeof start_dir));
	snprintf(root, sizeof root, "/tmp/check_sync.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	ck_assert_int_eq(chdir(root), 0);
	ck_assert_int_eq(mkdir("there", 0700) | mkdir("here", 0700), 0);
	ck_assert_int_eq(chdir("here"), 0);
	ck_assert_int_eq(
	    mkdir("recordings", 0700) | mkdir("recordings/raw", 0700) | mkdir("db", 0700), 0);
	e = (struct err){0};
	atomic_store(&tool_stop, 0);
	snprintf(url, sizeof url, "file://%s/there", root);
	open_sync(url);
}

static int
unlink_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st;
	(void)flag;
	(void)f;
	return remove(path);
}

static inline void
teardown(void)
{
	sync_close(&s);
	ck_assert_int_eq(chdir(start_dir), 0);
	ck_assert_int_eq(nftw(root, unlink_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* Bytes at the remote under a key, put by rec-sync's own means; *o is what the remote says then. */
static inline void
put_object(const char *key, const char *bytes, struct remote_object *o)
{
	struct remote_source source = {.key = key,
	    .fd = -1,
	    .bytes = bytes,
	    .size_bytes = (int64_t)strlen(bytes),
	    .condition = REMOTE_NEW};

	sha256_of(bytes, strlen(bytes), source.sha256);
	ok(remote_put(s.remote, &source, o, &e));
}

static inline int
run_suite(const char *name, void (*add)(TCase *tc))
{
	Suite *suite = suite_create(name);
	TCase *tc = tcase_create(name);
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	add(tc);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

#endif
