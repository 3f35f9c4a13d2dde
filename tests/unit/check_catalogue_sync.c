/*
 * catalogue_sync: keys and names are one to one; a walk meets every recording and every object in
 * the order of the bytes of their keys; what is put comes back; an archive of an older version
 * answers as if nothing had been synced; a queue may hold anything; a new catalogue is whole or not
 * there.
 */
#include "catalogue_sync.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive.h"
#include "io.h"
#include "rollback.h"
#include "run.h"

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C64 "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define T "2026-01-02T03:04:05Z"

static char start_dir[4096];
static char root[64];
static struct catalogue *c;
static struct err e;
static int64_t remote;

static void sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
sh(const char *fmt, ...)
{
	char command[4096];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof command, fmt, args);
	va_end(args);
	ck_assert_msg(system(command) == 0, "%s", command);
}

static void
ok(int rc)
{
	ck_assert_msg(rc != -1, "%s", e.text);
}

static void
open_as(bool write)
{
	struct catalogue_opts o = {.path = "app.db",
	    .raw_path = "raw",
	    .edited_path = "edited",
	    .timeout_s = 1,
	    .write = write};

	catalogue_close(c);
	c = catalogue_open(&o, &e);
	ck_assert_msg(c != NULL, "%s", e.text);
}

/* Text in a database, as the application's own programs may have put it there. */
static void
sql(const char *text)
{
	open_as(true);
	ck_assert_msg(catalogue_exec(c, text, &e) == 0, "%s: %s", text, e.text);
}

static void
upgrade(void)
{
	sh("cd '%s/sql' && cat 001-toolkit.sql 002-fixity.sql 003-provenance.sql 004-sync.sql |"
	   " sqlite3 -bail -cmd 'PRAGMA synchronous = OFF' \"$OLDPWD/app.db\"",
	    start_dir);
	open_as(true);
	ck_assert_int_eq(catalogue_shape(c)->toolkit_version, CATALOGUE_VERSION);
}

static void
add_remote(const char *url, int64_t *id)
{
	struct catalogue_remote m = {
	    .url = (char *)(uintptr_t)url, .owner = "0a1b2c3d", .rows = -1};

	ok(catalogue_remote_put(c, &m, &e));
	*id = m.id;
}

static void
setup(void)
{
	ck_assert_ptr_nonnull(getcwd(start_dir, sizeof start_dir));
	snprintf(root, sizeof root, "/tmp/check_sync.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	ck_assert_int_eq(chdir(root), 0);
	e = (struct err){0};
	c = NULL;
	ck_assert_msg(catalogue_create("app.db", &e) == 0, "%s", e.text);
	upgrade();
	add_remote("s3://bucket/one", &remote);
}

static void
teardown(void)
{
	catalogue_close(c);
	c = NULL;
	ck_assert_int_eq(chdir(start_dir), 0);
	sh("rm -rf -- '%s'", root);
}

static void
object(int64_t at, const char *key, const char *sha256)
{
	struct catalogue_object o = {.size_bytes = 3, .proof = "md5", .proven_at = T};

	snprintf(o.key, sizeof o.key, "%s", key);
	snprintf(o.sha256, sizeof o.sha256, "%s", sha256);
	ok(catalogue_object_put(c, at, &o, &e));
	ck_assert_int_gt(o.id, 0);
}

/* ---- keys ---- */

static void
is_key(const char *folder, const char *name, size_t len, const char *want)
{
	char key[SYNC_KEY_MAX + 1], *back;
	const char *at;
	size_t back_len;

	ck_assert(sync_key(folder, name, len, key));
	ck_assert_str_eq(key, want);
	ck_assert_int_eq(sync_name(key, &at, &back, &back_len), 0);
	ck_assert_str_eq(at, folder);
	ck_assert_uint_eq(back_len, len);
	ck_assert_mem_eq(back, name, len);
	free(back);
}

START_TEST(a_name_that_can_be_a_key_is_its_own)
{
	is_key("raw", "a.wav", 5, "raw/a.wav");
	is_key("edited", "edi_1 x?&#%.flac", 16, "edited/edi_1 x?&#%.flac");
	is_key("raw", "\xc3\xa4\xe2\x82\xac", 5, "raw/\xc3\xa4\xe2\x82\xac");
	is_key("raw", "a.", 2, "raw/a.");
	is_key("raw", "rec-hex", 7, "raw/rec-hex");
	/* The first character behind C1. */
	is_key("raw", "\xc2\xa0", 2, "raw/\xc2\xa0");
}
END_TEST

START_TEST(any_other_name_is_hexadecimal_and_comes_back)
{
	is_key("raw", "a\xff", 2, "raw/rec-hex-61ff");
	is_key("raw", "a\nb", 3, "raw/rec-hex-610a62");
	is_key("raw", "a\0b", 3, "raw/rec-hex-610062");
	is_key("raw", "\x7f", 1, "raw/rec-hex-7f");
	is_key("raw", "\xc2\x85", 2, "raw/rec-hex-c285");
	is_key("edited", "a/b", 3, "edited/rec-hex-612f62");
	is_key("raw", ".", 1, "raw/rec-hex-2e");
	is_key("raw", "..", 2, "raw/rec-hex-2e2e");
	/* Hidden by some servers. */
	is_key("raw", "...", 3, "raw/rec-hex-2e2e2e");
	is_key("edited", ".a", 2, "edited/rec-hex-2e61");
	is_key("raw", "", 0, "raw/rec-hex-");
	is_key("raw", "rec-hex-61", 10, "raw/rec-hex-7265632d6865782d3631");
	is_key("raw", "\xed\xa0\x80", 3, "raw/rec-hex-eda080");
}
END_TEST

START_TEST(a_key_that_no_name_has_is_none)
{
	static const char *const bad[] = {"", "raw", "raw/", "other/a", "rawa/b", "raw/a/b",
	    "raw/.", "raw/..", "raw/.a", "raw/rec-hex-6", "raw/rec-hex-zz", "raw/rec-hex-61",
	    "raw/rec-hex-C3A4FF", "raw/a\n", "raw/\xff", ".rectools/temp/x", "RAW/a", "/raw/a",
	    "raw//a"};
	const char *folder;
	char *name;
	size_t len;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(sync_name(bad[i], &folder, &name, &len) == -1, "%s", bad[i]);
}
END_TEST

START_TEST(the_longest_key_has_1024_bytes)
{
	char name[2 * SYNC_KEY_MAX], key[SYNC_KEY_MAX + 1];

	memset(name, 'x', sizeof name);
	ck_assert(sync_key("raw", name, 1020, key));
	ck_assert_uint_eq(strlen(key), 1024);
	ck_assert(!sync_key("raw", name, 1021, key));
	ck_assert(!sync_key("edited", name, 1018, key));
	memset(name, '\n', sizeof name);
	is_key("raw", name, 506, (sync_key("raw", name, 506, key), key));
	ck_assert(!sync_key("raw", name, 507, key));
	ck_assert(!sync_key("raw", name, SIZE_MAX, key));
	ck_assert(!sync_key("other", name, 3, key));
}
END_TEST

/* ---- the walk ---- */

static char walked[1 << 16];

/* "key:id:object-id-or--" of each row. */
static const char *
walk(const char *from, const char *until)
{
	struct sync_walk *w = sync_walk_open(c, remote, from, until, &e);
	struct sync_row row;
	size_t n = 0;
	int rc;

	ck_assert_msg(w != NULL, "%s", e.text);
	walked[0] = '\0';
	while ((rc = sync_walk_next(w, &row, &e)) == 1) {
		if (row.has_object)
			ck_assert_str_eq(row.key, row.object.key);
		ck_assert_int_eq(row.has_recording, row.stored != NULL);
		n +=
		    (size_t)snprintf(walked + n, sizeof walked - n, "%s%s:%lld%s", n > 0 ? " " : "",
			row.key, (long long)row.recording_id, row.has_object ? "+" : "");
		sync_row_free(&row);
	}
	ok(rc);
	sync_walk_close(w);
	return walked;
}

static void
recording(int64_t id, const char *stored)
{
	char text[4096];

	snprintf(text, sizeof text,
	    "INSERT INTO recordings (id, filename, stored_filename) VALUES (%lld, 'n%lld', %s)",
	    (long long)id, (long long)id, stored);
	ck_assert_msg(catalogue_exec(c, text, &e) == 0, "%s: %s", text, e.text);
}

START_TEST(a_walk_meets_recordings_and_objects_in_the_order_of_the_bytes)
{
	ck_assert_str_eq(walk("", ""), "");
	recording(1, "'b.wav'");
	recording(2, "'B.wav'");
	recording(3, "'\xc3\xa4.wav'");
	recording(4, "'edi_a.wav'");
	recording(5, "CAST(x'7aff' AS TEXT)");
	recording(6, "'a'");
	/* Alone: nothing is there yet. */
	open_as(false);
	ck_assert_str_eq(walk("", ""),
	    "edited/edi_a.wav:4 raw/B.wav:2 raw/a:6 raw/b.wav:1 raw/rec-hex-7aff:5 "
	    "raw/\xc3\xa4.wav:3");
	open_as(true);
	object(remote, "raw/b.wav", A64);
	object(remote, "raw/aa", A64);
	object(remote, "edited/edi_a.wav", A64);
	object(remote, "edited/a", A64);
	object(remote, "raw/\xf0\x9f\x8e\x99", A64);
	open_as(false);
	ck_assert_str_eq(walk("", ""),
	    "edited/a:0+ edited/edi_a.wav:4+ raw/B.wav:2 raw/a:6 raw/aa:0+ raw/b.wav:1+ "
	    "raw/rec-hex-7aff:5 raw/\xc3\xa4.wav:3 raw/\xf0\x9f\x8e\x99:0+");
	/* A range: behind the first, up to and with the last. */
	ck_assert_str_eq(walk("raw/a", "raw/b.wav"), "raw/aa:0+ raw/b.wav:1+");
	ck_assert_str_eq(walk("raw/aa", "raw/b"), "");
	ck_assert_str_eq(walk("", "edited/a"), "edited/a:0+");
	ck_assert_str_eq(walk("raw/\xc3\xa4.wav", ""), "raw/\xf0\x9f\x8e\x99:0+");
	ck_assert_str_eq(walk("zzz", ""), "");
}
END_TEST

START_TEST(the_objects_of_another_remote_are_not_met)
{
	int64_t other;

	recording(1, "'a'");
	add_remote("s3://bucket/two", &other);
	object(other, "raw/a", A64);
	object(other, "raw/b", A64);
	open_as(false);
	ck_assert_str_eq(walk("", ""), "raw/a:1");
	remote = other;
	ck_assert_str_eq(walk("", ""), "raw/a:1+ raw/b:0+");
	ck_assert_int_eq(catalogue_object_count(c, other, &e), 2);
}
END_TEST

START_TEST(a_row_says_what_is_recorded)
{
	struct sync_row row;

	sql("INSERT INTO recordings (id, filename, stored_filename, filesize_bytes, checksum, "
	    "status,"
	    " sync_status) VALUES"
	    " (1, 'a', 'a', 7, '" A64 "', 'active', 'synced'),"
	    " (2, 'b', 'b', 8, upper('" B64 "'), 'deleted', NULL),"
	    " (3, 'c', 'c', NULL, 'no hash', NULL, 'pending'),"
	    " (4, 'd', 'd', -5, NULL, 'active', x'00');"
	    "INSERT INTO rec_measurements (recording_id, stored_filename, folder, size_bytes, "
	    "sha256,"
	    " run, problem_code) VALUES (1, 'a', 'edited', 70, '" C64 "', 'r', NULL),"
	    " (3, 'c', NULL, NULL, NULL, 'r', 'missing'), (4, 'of another', 'edited', 1, NULL, 'r',"
	    " NULL)");
	object(remote, "edited/a", A64);
	open_as(false);
	ck_assert_int_eq(sync_row_get(c, remote, 1, &row, &e), 1);
	ck_assert_str_eq(row.key, "edited/a");
	ck_assert_str_eq(row.folder, "edited");
	/* What the application recorded, before what was measured. */
	ck_assert_str_eq(row.sha256, A64);
	ck_assert_int_eq(row.size_bytes, 70);
	ck_assert_str_eq(row.sync_status, "synced");
	ck_assert(row.measured && !row.deleted && row.has_object && row.has_recording);
	ck_assert_str_eq(row.object.sha256, A64);
	sync_row_free(&row);
	ck_assert_int_eq(sync_row_get(c, remote, 2, &row, &e), 1);
	ck_assert_str_eq(row.key, "raw/b");
	ck_assert_str_eq(row.sha256, B64);
	ck_assert_str_eq(row.sync_status, "unsynced");
	ck_assert_int_eq(row.size_bytes, 8);
	ck_assert(!row.measured && row.deleted && !row.has_object);
	sync_row_free(&row);
	ck_assert_int_eq(sync_row_get(c, remote, 3, &row, &e), 1);
	ck_assert_str_eq(row.sha256, "");
	ck_assert_str_eq(row.problem, "missing");
	ck_assert_int_eq(row.size_bytes, -1);
	ck_assert(row.measured && !row.deleted);
	sync_row_free(&row);
	/* The measurement under its id is of another name. */
	ck_assert_int_eq(sync_row_get(c, remote, 4, &row, &e), 1);
	ck_assert_str_eq(row.key, "raw/d");
	ck_assert(!row.measured);
	ck_assert_int_eq(row.size_bytes, -1);
	sync_row_free(&row);
	ck_assert_int_eq(sync_row_get(c, remote, 99, &row, &e), 0);
	sync_row_free(&row);
}
END_TEST

START_TEST(a_name_too_long_for_a_key_comes_first_and_without_one)
{
	recording(1, "'a'");
	recording(2, "printf('%.*c', 2000, 'x')");
	open_as(false);
	ck_assert_str_eq(walk("", ""), ":2 raw/a:1");
	ck_assert_str_eq(walk("a", ""), "raw/a:1");
}
END_TEST

START_TEST(a_walk_sees_one_state_from_end_to_end)
{
	struct sync_walk *w;
	struct sync_row row;
	int n = 0;

	sql("WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 500)"
	    " INSERT INTO recordings (id, filename, stored_filename)"
	    " SELECT i, printf('%05d', i), printf('%05d', i) FROM n");
	open_as(false);
	ck_assert_ptr_nonnull(w = sync_walk_open(c, remote, "", "", &e));
	for (; n < 10; n++) {
		ck_assert_int_eq(sync_walk_next(w, &row, &e), 1);
		sync_row_free(&row);
	}
	sh("sqlite3 app.db \"DELETE FROM recordings WHERE id > 100; INSERT INTO rec_objects "
	   "(remote_id,"
	   " key, size_bytes, sha256, proof, proven_at) VALUES (1, 'raw/00450', 1, '" A64
	   "', 'md5',"
	   " '" T "')\"");
	for (; sync_walk_next(w, &row, &e) == 1; n++) {
		ck_assert(row.has_recording && !row.has_object);
		ck_assert_uint_eq(row.stored_len, 5);
		sync_row_free(&row);
	}
	ck_assert_int_eq(n, 500);
	sync_walk_close(w);
}
END_TEST

START_TEST(recordings_that_share_a_key_share_its_object)
{
	/* The oldest shapes let two rows have one name. */
	sql("DROP TABLE recordings; CREATE TABLE recordings (id INTEGER PRIMARY KEY, filename, "
	    "title,"
	    " duration, status, created_at, stored_filename, filesize_bytes, mime_type, checksum,"
	    " sync_status, last_synced_at, modified_at); INSERT INTO recordings (id, filename,"
	    " stored_filename) VALUES (1, 'x', 'a'), (2, 'y', 'a'), (3, 'b', NULL)");
	object(remote, "raw/a", A64);
	object(remote, "raw/aa", A64);
	open_as(false);
	ck_assert_str_eq(walk("", ""), "raw/a:1+ raw/a:2+ raw/aa:0+ raw/b:3");
}
END_TEST

START_TEST(a_walk_refuses_an_order_that_is_not_that_of_the_bytes)
{
	struct sync_walk *w;
	struct sync_row row;
	int rc;

	/* UTF-16, little-endian: U+0100 begins with a zero byte there, and sorts before 'a'. */
	catalogue_close(c);
	c = NULL;
	sh("sqlite3 app.db .dump >dump && rm app.db && sqlite3 app.db 'PRAGMA encoding ="
	   " \"UTF-16le\"; CREATE TABLE x(y); DROP TABLE x' && sqlite3 app.db <dump &&"
	   " sqlite3 app.db \"INSERT INTO recordings (id, filename, stored_filename) VALUES (1, "
	   "'a',"
	   " 'a'), (2, 'b', char(256)), (3, 'c', 'c')\"");
	open_as(false);
	if ((w = sync_walk_open(c, remote, "", "", &e)) != NULL) {
		while ((rc = sync_walk_next(w, &row, &e)) == 1)
			sync_row_free(&row);
		ck_assert_int_eq(rc, -1);
		sync_walk_close(w);
	}
	ck_assert_int_eq(e.class, ERR_CATALOGUE);
	ck_assert_ptr_nonnull(strstr(e.text, "order"));
}
END_TEST

START_TEST(ranges_are_every_nth_key)
{
	char **keys;
	size_t n;

	open_as(false);
	ok(sync_ranges(c, 3, &keys, &n, &e));
	ck_assert_uint_eq(n, 0);
	sql("WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
	    " INSERT INTO recordings (id, filename, stored_filename)"
	    " SELECT i, i, printf('%05d', 1001 - i) FROM n");
	open_as(false);
	ok(sync_ranges(c, 300, &keys, &n, &e));
	ck_assert_uint_eq(n, 3);
	ck_assert_str_eq(keys[0], "raw/00300");
	ck_assert_str_eq(keys[2], "raw/00900");
	while (n > 0)
		free(keys[--n]);
	free(keys);
}
END_TEST

/* ---- remotes, objects, uploads ---- */

START_TEST(a_remote_is_kept_as_it_was_put)
{
	struct catalogue_remote m;

	ck_assert_int_eq(catalogue_remote_get(c, "s3://bucket/none", &m, &e), 0);
	catalogue_remote_free(&m);
	ck_assert_int_eq(catalogue_remote_get(c, "s3://bucket/one", &m, &e), 1);
	ck_assert_int_eq(m.id, remote);
	ck_assert_int_eq(m.rows, -1);
	ck_assert_ptr_null(m.probed);
	ck_assert_ptr_null(m.catalogue_tag);
	ck_assert_str_eq(m.catalogue_digest, "");
	ck_assert_str_eq(m.owner, "0a1b2c3d");
	m.probed = json_new_object(&e);
	ok(json_put_bool(m.probed, "ordered", true, &e));
	m.rows = 0;
	strcpy(m.probed_at, T);
	m.catalogue_tag = strdup("W/\"x\"");
	strcpy(m.catalogue_digest, "0123456789abcdef0123456789abcdef");
	ok(catalogue_remote_put(c, &m, &e));
	catalogue_remote_free(&m);
	ck_assert_int_eq(catalogue_remote_get(c, "s3://bucket/one", &m, &e), 1);
	ck_assert_int_eq(m.rows, 0);
	ck_assert(json_to_bool(json_get(m.probed, "ordered")));
	ck_assert_str_eq(m.catalogue_tag, "W/\"x\"");
	ck_assert_str_eq(m.catalogue_digest, "0123456789abcdef0123456789abcdef");
	ck_assert_str_eq(m.probed_at, T);
	catalogue_remote_free(&m);
	/* What a probe left that is no JSON counts as no probe. */
	sql("UPDATE rec_remotes SET probed = '{}}'");
	ck_assert_int_eq(catalogue_remote_get(c, "s3://bucket/one", &m, &e), 1);
	ck_assert_ptr_null(m.probed);
	catalogue_remote_free(&m);
}
END_TEST

START_TEST(remotes_are_told_one_after_another)
{
	static const int64_t ids[] = {3, 90, 91};
	struct catalogue_remote m;
	int64_t id = remote;

	sql("INSERT INTO rec_remotes (id, url, owner) VALUES (90, 's3://b/90', '00000090'), "
	    "(3, 's3://b/3', '00000003'), (91, 's3://b/91', '00000091')");
	ck_assert_int_eq(remote, 1);
	ck_assert_int_eq(catalogue_remote_next(c, 0, &m, &e), 1);
	ck_assert_int_eq(m.id, remote);
	ck_assert_str_eq(m.url, "s3://bucket/one");
	catalogue_remote_free(&m);
	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
		char url[16];

		ck_assert_int_eq(catalogue_remote_next(c, id, &m, &e), 1);
		ck_assert_int_eq(id = m.id, ids[i]);
		snprintf(url, sizeof url, "s3://b/%d", (int)id);
		ck_assert_str_eq(m.url, url);
		ck_assert_int_eq(m.rows, -1);
		catalogue_remote_free(&m);
	}
	ck_assert_int_eq(catalogue_remote_next(c, id, &m, &e), 0);
	ck_assert_int_eq(m.id, 0);
	ck_assert_ptr_null(m.url);
}
END_TEST

START_TEST(an_object_is_kept_as_it_was_put)
{
	struct catalogue_object o = {.recording_id = 9,
	    .key = "raw/\xc3\xa4 \"x\"",
	    .remote_id = "drive-id",
	    .size_bytes = INT64_MAX,
	    .sha256 = A64,
	    .tag = "abc-2",
	    .part_bytes = 5 << 20,
	    .proof = "parts",
	    .proven_at = T};
	struct catalogue_object got;
	int64_t first;

	ck_assert_int_eq(catalogue_object_get(c, remote, o.key, &got, &e), 0);
	ok(catalogue_object_put(c, remote, &o, &e));
	ck_assert_int_eq(catalogue_object_get(c, remote, o.key, &got, &e), 1);
	ck_assert_mem_eq(&got, &o, sizeof o);
	/* The row moves with its id: a rename. */
	first = o.id;
	object(remote, "raw/new", B64);
	strcpy(o.key, "raw/new");
	ok(catalogue_object_put(c, remote, &o, &e));
	ck_assert_int_eq(o.id, first);
	ck_assert_int_eq(catalogue_object_count(c, remote, &e), 1);
	ck_assert_int_eq(catalogue_object_get(c, remote, "raw/\xc3\xa4 \"x\"", &got, &e), 0);
	/* Put anew under its key, it is one row still. */
	object(remote, "raw/new", C64);
	ck_assert_int_eq(catalogue_object_count(c, remote, &e), 1);
	ck_assert_int_eq(catalogue_object_get(c, remote, "raw/new", &got, &e), 1);
	ck_assert_str_eq(got.sha256, C64);
	ck_assert_str_eq(got.tag, "");
	ok(catalogue_object_forget(c, remote, "raw/new", &e));
	ok(catalogue_object_forget(c, remote, "raw/new", &e));
	ck_assert_int_eq(catalogue_object_count(c, remote, &e), 0);
}
END_TEST

START_TEST(what_is_no_proof_is_not_taken)
{
	struct catalogue_object o = {
	    .key = "raw/a", .size_bytes = 1, .sha256 = A64, .proof = "hope", .proven_at = T};

	ck_assert_int_eq(catalogue_object_put(c, remote, &o, &e), -1);
	ck_assert_int_eq(e.class, ERR_CATALOGUE);
	strcpy(o.proof, "read");
	o.sha256[5] = '\0';
	ck_assert_int_eq(catalogue_object_put(c, remote, &o, &e), -1);
	strcpy(o.sha256, A64);
	/* Of a remote that is not known. */
	ck_assert_int_eq(catalogue_object_put(c, remote + 1, &o, &e), -1);
	ok(catalogue_object_put(c, remote, &o, &e));
}
END_TEST

START_TEST(what_a_rename_left_is_found_by_its_bytes)
{
	struct catalogue_object o;

	sql("INSERT INTO recordings (id, filename, stored_filename, checksum) VALUES"
	    " (1, 'a', 'a', '" A64 "'), (2, 'b', 'b', '" B64 "'), (3, 'c', 'edi_c', '" A64 "')");
	ck_assert_int_eq(catalogue_object_find(c, remote, A64, &o, &e), 0);
	/* Where they belong. */
	object(remote, "raw/a", A64);
	object(remote, "edited/edi_c", A64);
	ck_assert_int_eq(catalogue_object_find(c, remote, A64, &o, &e), 0);
	/* Under the key of a recording of other bytes: a swap. */
	object(remote, "raw/b", A64);
	ck_assert_int_eq(catalogue_object_find(c, remote, A64, &o, &e), 1);
	ck_assert_str_eq(o.key, "raw/b");
	/* Under no recording's key: better. */
	object(remote, "raw/z", A64);
	ck_assert_int_eq(catalogue_object_find(c, remote, A64, &o, &e), 1);
	ck_assert_str_eq(o.key, "raw/z");
	/* The name is there, but in the other folder. */
	object(remote, "edited/a", A64);
	ck_assert_int_eq(catalogue_object_find(c, remote, A64, &o, &e), 1);
	ck_assert_str_eq(o.key, "edited/a");
	ck_assert_int_eq(catalogue_object_find(c, remote, C64, &o, &e), 0);
	ck_assert_int_eq(catalogue_object_find(c, remote + 1, A64, &o, &e), 0);
	/* The measurement says where a recording is, and what it is. */
	sql("INSERT INTO rec_measurements (recording_id, stored_filename, folder, sha256, run) "
	    "VALUES"
	    " (1, 'a', 'edited', '" A64 "', 'r'), (2, 'b', 'raw', '" A64 "', 'r');"
	    "DELETE FROM rec_objects WHERE key = 'raw/z'");
	ck_assert_int_eq(catalogue_object_find(c, remote, A64, &o, &e), 1);
	ck_assert_str_eq(o.key, "raw/a");
}
END_TEST

START_TEST(unsettled_are_those_whose_bytes_are_there_and_that_do_not_say_so)
{
	struct sync_status_change out[3];

	sql("INSERT INTO recordings (id, filename, stored_filename, checksum, sync_status) VALUES"
	    " (1, 'a', 'a', '" A64 "', 'synced'), (2, 'b', 'b', upper('" A64 "'), 'unsynced'),"
	    " (3, 'c', 'c', '" B64 "', 'unsynced'), (4, 'd', 'd', '" A64 "', NULL),"
	    " (5, 'e', 'e', NULL, 'unsynced'), (6, 'f', 'f', '" A64 "', 'pending'),"
	    " (7, 'g', CAST(x'ff' AS TEXT), '" A64 "', 'x'), (8, 'h', 'h', '" A64 "', 'x')");
	for (const char *k = "abcdef"; *k != '\0'; k++)
		object(remote, (char[]){'r', 'a', 'w', '/', *k, '\0'}, A64);
	object(remote, "raw/rec-hex-ff", A64);
	object(remote, "raw/nobody", A64);
	ck_assert_int_eq(sync_unsettled(c, remote, 0, 3, out, &e), 3);
	ck_assert_int_eq(out[0].recording_id, 2);
	ck_assert_int_eq(out[1].recording_id, 4);
	ck_assert_int_eq(out[2].recording_id, 6);
	ck_assert_str_eq(out[0].proven_at, T);
	ck_assert_int_eq(sync_unsettled(c, remote, 6, 3, out, &e), 1);
	ck_assert_int_eq(out[0].recording_id, 7);
	ck_assert_int_eq(sync_unsettled(c, remote, 7, 3, out, &e), 0);
	ck_assert_int_eq(sync_unsettled(c, remote + 1, 0, 3, out, &e), 0);
}
END_TEST

static int
note_part(void *ctx, unsigned number, const char *md5, const char *tag, struct err *unused)
{
	char *text = ctx;

	(void)unused;
	sprintf(text + strlen(text), "%u:%.2s:%s ", number, md5, tag);
	return 0;
}

static int
refuse_part(void *ctx, unsigned number, const char *md5, const char *tag, struct err *refusal)
{
	(void)ctx;
	(void)number;
	(void)md5;
	(void)tag;
	return err_item(refusal, P_REMOTE, "no");
}

START_TEST(an_upload_and_its_parts_are_kept_and_go_together)
{
	struct catalogue_upload u = {.recording_id = 4,
	    .key = "raw/a",
	    .upload = "0123456789abcdef0123456789abcdef",
	    .size_bytes = 11,
	    .part_bytes = 5,
	    .mtime = T,
	    .sha256 = A64,
	    .started_at = T};
	struct catalogue_upload got, *all;
	char parts[200] = "";
	int64_t other;
	size_t n;

	ck_assert_int_eq(catalogue_upload_get(c, remote, "raw/a", &got, &e), 0);
	ok(catalogue_upload_put(c, remote, &u, &e));
	ck_assert_int_gt(u.id, 0);
	ok(catalogue_part_put(c, u.id, 2, "22222222222222222222222222222222", "", &e));
	ok(catalogue_part_put(c, u.id, 1, "11111111111111111111111111111111", "t1", &e));
	ok(catalogue_part_put(c, u.id, 2, "33333333333333333333333333333333", "t3", &e));
	ck_assert_int_eq(
	    catalogue_part_put(c, u.id, 0, "33333333333333333333333333333333", "", &e), -1);
	ck_assert_int_eq(catalogue_part_put(c, u.id, 3, "3", "", &e), -1);
	/* Its session is noted later, and its parts stay. */
	u.session = (char *)(uintptr_t) "session";
	ok(catalogue_upload_put(c, remote, &u, &e));
	ck_assert_int_eq(catalogue_upload_get(c, remote, "raw/a", &got, &e), 1);
	ck_assert_str_eq(got.session, "session");
	ck_assert_str_eq(got.upload, u.upload);
	ck_assert_str_eq(got.mtime, T);
	ck_assert_int_eq(got.recording_id, 4);
	ck_assert_int_eq(got.part_bytes, 5);
	ck_assert_int_eq(got.size_bytes, 11);
	catalogue_upload_free(&got);
	ok(catalogue_parts(c, u.id, note_part, parts, &e));
	ck_assert_str_eq(parts, "1:11:t1 2:33:t3 ");
	ck_assert_int_eq(catalogue_parts(c, u.id, refuse_part, NULL, &e), -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
	/* A second one under the key would leave the first at the remote for ever. */
	u.id = 0;
	ck_assert_int_eq(catalogue_upload_put(c, remote, &u, &e), -1);
	strcpy(u.key, "raw/b");
	u.session = NULL;
	ok(catalogue_upload_put(c, remote, &u, &e));
	ok(catalogue_uploads(c, remote, &all, &n, &e));
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(all[0].key, "raw/a");
	ck_assert_ptr_null(all[1].session);
	ck_assert_int_eq(catalogue_count_toolkit(c, &e), 2);
	for (size_t i = 0; i < n; i++)
		catalogue_upload_free(&all[i]);
	free(all);
	/* Of one remote, and of every one. */
	add_remote("s3://bucket/two", &other);
	u.id = 0;
	ok(catalogue_upload_put(c, other, &u, &e));
	ok(catalogue_uploads(c, other, &all, &n, &e));
	ck_assert_uint_eq(n, 1);
	catalogue_upload_free(&all[0]);
	free(all);
	ok(catalogue_uploads(c, 0, &all, &n, &e));
	ck_assert_uint_eq(n, 3);
	ck_assert_str_eq(all[0].key, "raw/a");
	ck_assert_str_eq(all[2].key, "raw/b");
	for (size_t i = 0; i < n; i++) {
		ok(catalogue_upload_forget(c, all[i].id, &e));
		catalogue_upload_free(&all[i]);
	}
	free(all);
	sh("test $(sqlite3 app.db 'SELECT count(*) FROM rec_parts') = 0");
	ck_assert_int_eq(catalogue_count_toolkit(c, &e), 0);
}
END_TEST

START_TEST(an_object_outlives_its_recording)
{
	recording(1, "'a'");
	object(remote, "raw/a", A64);
	ok(catalogue_exec(c, "DELETE FROM recordings", &e));
	open_as(false);
	ck_assert_str_eq(walk("", ""), "raw/a:0+");
	/* Observations are no work of people: they keep no table alive. */
	ck_assert_int_eq(catalogue_count_toolkit(c, &e), 0);
}
END_TEST

START_TEST(show_tells_where_these_bytes_are_proven_to_be)
{
	struct json *rec = json_new_object(&e), *o;
	struct buf text = {0};
	int64_t other;

	sql("INSERT INTO recordings (id, filename, stored_filename, checksum) VALUES"
	    " (1, 'a', 'a', '" A64 "')");
	add_remote("webdav://host/x", &other);
	object(remote, "raw/a", A64);
	object(other, "raw/a", B64);
	open_as(false);
	ok(catalogue_put_history(c, 1, rec, &e));
	o = json_get(rec, "objects");
	ok(json_write(o, &text, &e));
	ck_assert_str_eq(text.data,
	    "[{\"remote\":\"s3://bucket/one\",\"key\":\"raw/a\",\"tag\":null,"
	    "\"proof\":\"md5\",\"proven_at\":\"" T "\"}]");
	buf_free(&text);
	json_free(rec);
}
END_TEST

/* ---- versions ---- */

START_TEST(an_archive_of_an_older_version_answers_as_if_nothing_had_been_synced)
{
	struct catalogue_object o;
	struct catalogue_upload u, *all;
	struct catalogue_remote m;
	struct sync_status_change change;
	struct json *rec = json_new_object(&e);
	char none[8] = "";
	size_t n;

	catalogue_close(c);
	c = NULL;
	sh("rm -f app.db*");
	ok(catalogue_create("app.db", &e));
	sh("for n in $(printf '%%s\\n' 001-toolkit 002-fixity 003-provenance | head -n %d); do"
	   " sqlite3 app.db <%s/sql/$n.sql || exit 1; done;"
	   " sqlite3 app.db \"INSERT INTO recordings (id, filename, stored_filename, checksum) "
	   "VALUES"
	   " (1, 'b', 'b', '" A64 "'), (2, 'a', 'edi_a', NULL)\"",
	    _i, start_dir);
	open_as(false);
	ck_assert_int_eq(catalogue_shape(c)->toolkit_version, _i);
	ck_assert_str_eq(walk("", ""), "edited/edi_a:2 raw/b:1");
	ck_assert_int_eq(catalogue_remote_get(c, "s3://b/x", &m, &e), 0);
	ck_assert_int_eq(catalogue_object_get(c, 1, "raw/b", &o, &e), 0);
	ck_assert_int_eq(catalogue_object_find(c, 1, A64, &o, &e), 0);
	ck_assert_int_eq(catalogue_object_count(c, 1, &e), 0);
	ck_assert_int_eq(catalogue_upload_get(c, 1, "raw/b", &u, &e), 0);
	ck_assert_int_eq(catalogue_uploads(c, 1, &all, &n, &e), 0);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(catalogue_parts(c, 1, note_part, none, &e), 0);
	ck_assert_str_eq(none, "");
	ck_assert_int_eq(sync_unsettled(c, 1, 0, 1, &change, &e), 0);
	ok(catalogue_put_history(c, 1, rec, &e));
	ck_assert_uint_eq(json_count(json_get(rec, "objects")), 0);
	ck_assert_int_eq(json_kind(json_get(rec, "objects")), JSON_KIND_ARRAY);
	json_free(rec);
}
END_TEST

START_TEST(a_walk_leaves_an_archive_that_cannot_be_written_as_it_is)
{
	recording(1, "'a'");
	catalogue_close(c);
	c = NULL;
	sh("sqlite3 app.db 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null; rm -f app.db-*;"
	   " ls -l >../list; cp app.db ../copy; chmod 0444 app.db");
	open_as(false);
	ck_assert_str_eq(walk("", ""), "raw/a:1");
	catalogue_close(c);
	c = NULL;
	sh("cmp app.db ../copy; rm ../copy ../list; test \"$(ls)\" = app.db");
}
END_TEST

START_TEST(a_walk_reads_a_log_that_was_copied_without_its_index)
{
	recording(1, "'a'");
	object(remote, "raw/a", A64);
	sh("test -s app.db-wal && mkdir copy && cp app.db app.db-wal copy && ls -l copy >list");
	ck_assert_int_eq(chdir("copy"), 0);
	open_as(false);
	ck_assert_str_eq(walk("", ""), "raw/a:1+");
	ck_assert_str_eq(walk("", "raw/a"), "raw/a:1+");
	catalogue_close(c);
	c = NULL;
	ck_assert_int_eq(chdir(".."), 0);
	sh("ls -l copy | diff list -");
}
END_TEST

/* ---- the queue ---- */

static char jobs_text[4096];

static const char *
jobs(void)
{
	struct sync_job j[3];
	int64_t after = 0;
	size_t n = 0;
	int got;

	jobs_text[0] = '\0';
	while ((got = sync_jobs(c, after, 3, j, &e)) > 0)
		for (int i = 0; i < got; i++) {
			after = j[i].rowid;
			n += (size_t)snprintf(jobs_text + n, sizeof jobs_text - n,
			    "%s|%s|%s|%s|%s|%s|%lld|%lld|%lld|%lld|%d\n",
			    j[i].id != NULL ? j[i].id : "-",
			    j[i].file_path != NULL ? j[i].file_path : "-",
			    j[i].title != NULL ? j[i].title : "-",
			    j[i].status != NULL ? j[i].status : "-",
			    j[i].created_at != NULL ? j[i].created_at : "-",
			    j[i].started_at != NULL ? j[i].started_at : "-",
			    (long long)j[i].attempts, (long long)j[i].max_attempts,
			    (long long)j[i].uploaded_bytes, (long long)j[i].total_bytes,
			    j[i].cancel_requested);
			sync_job_free(&j[i]);
		}
	ok(got);
	return jobs_text;
}

START_TEST(jobs_come_as_they_were_made_whatever_they_hold)
{
	struct sync_job j;

	sql("INSERT INTO jobs (id, file_path, title, status, created_iso, uploaded_bytes, "
	    "total_bytes,"
	    " cancel_requested, attempts, max_attempts) VALUES"
	    " ('z', '/x/a', 'A', 'pending', 't', 1, 2, 0, 0, 3),"
	    " ('y', x'ff00', NULL, 'running', 5, 'many', -1, 1, 1.5, x'00'),"
	    " ('x', '', CAST(x'610062' AS TEXT), '?', NULL, NULL, NULL, 'yes', 9223372036854775807,"
	    " 'x'), ('w', 'p', 't', 's', 'c', 0, 0, -1, 0, 0)");
	ck_assert_str_eq(jobs(), "z|/x/a|A|pending|t|-|0|3|1|2|0\n"
				 "y|-|-|running|5|-|-1|-1|-1|-1|1\n"
				 "x||-|?|-|-|9223372036854775807|-1|-1|-1|0\n"
				 "w|p|t|s|c|-|0|0|0|0|0\n");
	ck_assert_int_eq(sync_job_get(c, "y", &j, &e), 1);
	ck_assert_str_eq(j.status, "running");
	ck_assert_int_eq(sync_job_is_cancelled(c, j.rowid, &e), 1);
	ok(sync_job_progress(c, j.rowid, 77, &e));
	sync_job_free(&j);
	ck_assert_int_eq(sync_job_get(c, "y", &j, &e), 1);
	ck_assert_int_eq(j.uploaded_bytes, 77);
	sync_job_free(&j);
	ck_assert_int_eq(sync_job_get(c, "none", &j, &e), 0);
	ck_assert_int_eq(sync_job_is_cancelled(c, 3, &e), 0);
	ck_assert_int_eq(sync_job_is_cancelled(c, 99, &e), 0);
}
END_TEST

START_TEST(jobs_without_columns_of_progress_are_read_too)
{
	struct sync_job j;

	sql("ALTER TABLE jobs DROP COLUMN cancel_requested; ALTER TABLE jobs DROP COLUMN "
	    "started_iso;"
	    "INSERT INTO jobs (id, file_path, status, created_iso) VALUES ('a', 'p', 'pending', "
	    "'t')");
	open_as(false);
	ck_assert_str_eq(jobs(), "a|p|-|pending|t|-|0|3|-1|-1|0\n");
	ck_assert_int_eq(sync_job_get(c, "a", &j, &e), 1);
	ck_assert_int_eq(sync_job_is_cancelled(c, j.rowid, &e), 0);
	ok(sync_job_progress(c, j.rowid, 1, &e));
	sync_job_free(&j);
	sql("DROP TABLE jobs");
	open_as(false);
	ck_assert_str_eq(jobs(), "");
	ck_assert_int_eq(sync_job_get(c, "a", &j, &e), 0);
	ck_assert_int_eq(sync_job_is_cancelled(c, 1, &e), 0);
}
END_TEST

/* ---- real archives ---- */

START_TEST(the_queue_and_the_recordings_of_every_shape_are_read)
{
	static const char *const shapes[] = {
	    "cabc59ea0c9d", "4ae620c1c938", "0001", "0002", "unversioned"};
	struct catalogue_counts counts;
	struct sync_walk *w;
	struct sync_row row;
	char before[SYNC_KEY_MAX + 1] = "";
	int n = 0;

	catalogue_close(c);
	c = NULL;
	sh("rm -rf app.db* && cd '%s' && tests/data/make-archive '%s/a' %s >/dev/null", start_dir,
	    root, shapes[_i]);
	sh("mv a/db/app.db* .");
	open_as(false);
	ok(catalogue_count(c, &counts, &e));
	ck_assert_int_gt(counts.rows, 5);
	ck_assert_ptr_nonnull(w = sync_walk_open(c, 1, "", "", &e));
	for (; sync_walk_next(w, &row, &e) == 1; n++) {
		ck_assert_int_lt(strcmp(before, row.key), 0);
		strcpy(before, row.key);
		sync_row_free(&row);
	}
	sync_walk_close(w);
	ck_assert_int_eq(n, counts.rows);
	ck_assert_int_eq(jobs()[0] != '\0', catalogue_shape(c)->jobs);
}
END_TEST

/* ---- migrations ---- */

START_TEST(an_older_version_is_upgraded_and_taken_back_whole)
{
	char first[JOURNAL_RUN_MAX];
	struct archive a;
	struct rollback back = {.a = &a, .run = first};
	struct run r;

	catalogue_close(c);
	c = NULL;
	sh("cd '%s' && tests/data/make-archive '%s/a' >/dev/null", start_dir, root);
	ck_assert_int_eq(chdir("a"), 0);
	sh("for n in $(printf '%%s\\n' 001-toolkit 002-fixity 003-provenance | head -n %d); do"
	   " sqlite3 db/app.db <%s/sql/$n.sql || exit 1; done; sqlite3 db/app.db .dump >../before",
	    _i, start_dir);
	ok(archive_open(&a, NULL, true, NULL, &e));
	ck_assert_int_eq(catalogue_shape(a.catalogue)->toolkit_version, _i);
	ok(run_open(&r, &a, "sync", &e));
	ok(run_upgrade(&r, &e));
	ck_assert_int_eq(catalogue_shape(a.catalogue)->toolkit_version, CATALOGUE_VERSION);
	sh("test $(sqlite3 db/app.db 'SELECT max(version) FROM rec_schema') = 4");
	/* What was observed is no reason to keep the tables. */
	ok(catalogue_exec(a.catalogue,
	    "INSERT INTO rec_remotes (url, owner) VALUES ('s3://b/x', '01234567');"
	    "INSERT INTO rec_objects (remote_id, key, size_bytes, sha256, proof, proven_at) VALUES"
	    " (1, 'raw/a', 1, '" A64 "', 'md5', '" T "')",
	    &e));
	snprintf(first, sizeof first, "%s", run_name(&r, &e));
	ok(run_end(&r, 0, &e));
	run_close(&r);
	ok(run_open(&r, &a, "rollback", &e));
	ok(rollback_run(&back, &e));
	run_close(&r);
	archive_close(&a);
	sh("sqlite3 db/app.db .dump >../after");
	/* An older version's tables were not made by this run, so nothing but its own would go. */
	if (_i == 0)
		sh("diff ../before ../after");
	ck_assert_int_eq(chdir(".."), 0);
}
END_TEST

/* ---- creating ---- */

START_TEST(a_new_catalogue_is_that_of_the_application)
{
	catalogue_close(c);
	c = NULL;
	ok(catalogue_create("x/y/new.db", &e));
	sh("test \"$(ls x/y)\" = new.db");
	sh("test \"$(sqlite3 x/y/new.db 'PRAGMA journal_mode; PRAGMA integrity_check;"
	   " SELECT version_num FROM alembic_version; SELECT count(*) FROM recordings')\" ="
	   " \"$(printf 'wal\\nok\\n0002_add_job_progress_columns\\n0')\"");
	sh("rm -f x/y/new.db-*; mv x/y/new.db app.db; rm -f app.db-*");
	open_as(true);
	ck_assert_str_eq(catalogue_shape(c)->name, "0002_add_job_progress_columns");
	ck_assert(catalogue_shape(c)->jobs_progress && catalogue_shape(c)->current_columns);
	ck_assert_int_eq(catalogue_shape(c)->toolkit_version, 0);
}
END_TEST

START_TEST(a_new_catalogue_has_the_schema_of_a_real_archive)
{
	catalogue_close(c);
	c = NULL;
	ok(catalogue_create("new.db", &e));
	/* Every table, index and column of one that the application made. */
	sh("cd '%s' && tests/data/make-archive '%s/a' 0002 >/dev/null", start_dir, root);
	sh("for d in new.db a/db/app.db; do sqlite3 \"$d\" \"SELECT s.type, s.name, s.tbl_name, "
	   "c.cid,"
	   " c.name, c.type, c.[notnull], c.dflt_value, c.pk FROM sqlite_schema s LEFT JOIN"
	   " pragma_table_xinfo(s.name) c ORDER BY s.name, c.cid\" >\"$(basename $d).schema\"; "
	   "done;"
	   " test -s new.db.schema && diff new.db.schema app.db.schema");
}
END_TEST

START_TEST(a_new_catalogue_replaces_nothing)
{
	static const char *const there[] = {"new.db", "new.db-wal", "new.db-shm", "new.db-journal"};

	for (size_t i = 0; i < sizeof there / sizeof there[0]; i++) {
		sh("rm -f new.db*; printf x >%s", there[i]);
		ck_assert_int_eq(catalogue_create("new.db", &e), -1);
		ck_assert_int_eq(e.class, ERR_CATALOGUE);
		ck_assert_ptr_nonnull(strstr(e.text, there[i]));
		sh("test \"$(ls new.db*) $(cat new.db*)\" = '%s x'", there[i]);
	}
	sh("rm -f new.db*; ln -s nowhere new.db");
	ck_assert_int_eq(catalogue_create("new.db", &e), -1);
	sh("rm new.db; printf x >file");
	ck_assert_int_eq(catalogue_create("file/new.db", &e), -1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("catalogue_sync");
	TCase *t = tcase_create("catalogue_sync");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_name_that_can_be_a_key_is_its_own);
	tcase_add_test(t, any_other_name_is_hexadecimal_and_comes_back);
	tcase_add_test(t, a_key_that_no_name_has_is_none);
	tcase_add_test(t, the_longest_key_has_1024_bytes);
	tcase_add_test(t, a_walk_meets_recordings_and_objects_in_the_order_of_the_bytes);
	tcase_add_test(t, the_objects_of_another_remote_are_not_met);
	tcase_add_test(t, a_row_says_what_is_recorded);
	tcase_add_test(t, a_name_too_long_for_a_key_comes_first_and_without_one);
	tcase_add_test(t, a_walk_sees_one_state_from_end_to_end);
	tcase_add_test(t, recordings_that_share_a_key_share_its_object);
	tcase_add_test(t, a_walk_refuses_an_order_that_is_not_that_of_the_bytes);
	tcase_add_test(t, ranges_are_every_nth_key);
	tcase_add_test(t, a_remote_is_kept_as_it_was_put);
	tcase_add_test(t, remotes_are_told_one_after_another);
	tcase_add_test(t, an_object_is_kept_as_it_was_put);
	tcase_add_test(t, what_is_no_proof_is_not_taken);
	tcase_add_test(t, what_a_rename_left_is_found_by_its_bytes);
	tcase_add_test(t, unsettled_are_those_whose_bytes_are_there_and_that_do_not_say_so);
	tcase_add_test(t, an_upload_and_its_parts_are_kept_and_go_together);
	tcase_add_test(t, an_object_outlives_its_recording);
	tcase_add_test(t, show_tells_where_these_bytes_are_proven_to_be);
	tcase_add_loop_test(
	    t, an_archive_of_an_older_version_answers_as_if_nothing_had_been_synced, 0, 4);
	tcase_add_test(t, a_walk_leaves_an_archive_that_cannot_be_written_as_it_is);
	tcase_add_test(t, a_walk_reads_a_log_that_was_copied_without_its_index);
	tcase_add_test(t, jobs_come_as_they_were_made_whatever_they_hold);
	tcase_add_test(t, jobs_without_columns_of_progress_are_read_too);
	tcase_add_loop_test(t, the_queue_and_the_recordings_of_every_shape_are_read, 0, 5);
	tcase_add_loop_test(t, an_older_version_is_upgraded_and_taken_back_whole, 0, 4);
	tcase_add_test(t, a_new_catalogue_is_that_of_the_application);
	tcase_add_test(t, a_new_catalogue_has_the_schema_of_a_real_archive);
	tcase_add_test(t, a_new_catalogue_replaces_nothing);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
