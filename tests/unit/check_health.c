/*
 * What rec-health asks: catalogue_health, database, disk, folders, uploads. Real damage is found
 * and told as what it is; a healthy archive is never called bad, also while somebody writes to it;
 * and nothing on disk is changed.
 */
#include "catalogue_health.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "clock.h"
#include "database.h"
#include "disk.h"
#include "folders.h"
#include "hash.h"
#include "schema.h"
#include "uploads.h"

static const char *const shapes[] = {"cabc59ea0c9d", "4ae620c1c938", "0001", "0002", "unversioned"};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0], NEWEST = 3 };

static char start[4096];   /* the folder that the test was started in */
static char templates[64]; /* archives of each shape, made once */
static char root[64];	   /* of this test; the archive is root/a, the current folder */
static char output[80];	   /* what was told, as JSON lines */
static int stdout_was = -1;
static struct tool t;
static struct findings f;
static struct archive a;
static struct err e;
static pid_t child = -1;

/* ---- an archive, and what is told of it ---- */

static void sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
sh(const char *fmt, ...)
{
	char command[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof command, fmt, args);
	va_end(args);
	ck_assert_msg(system(command) == 0, "%s", command);
}

static void
setup(void)
{
	int fd;

	strcpy(root, "/tmp/check_health.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	ck_assert_int_eq(chmod(root, 0755), 0);
	snprintf(output, sizeof output, "%s/output", root);
	tool_flush();
	stdout_was = dup(STDOUT_FILENO);
	/* Appending, so that stdio has no offset to restore when a fork of the test ends. */
	fd = open(output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	ck_assert_int_eq(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
	close(fd);
	t = (struct tool){.quiet = true, .output = TOOL_JSON};
	f = (struct findings){.t = &t, .keep = true};
	a = (struct archive){.folders = {-1, -1, -1, -1}, .journal = -1};
	e = (struct err){0};
}

static void
end_child(void)
{
	if (child != -1) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	child = -1;
}

static void
teardown(void)
{
	end_child();
	archive_close(&a);
	findings_free(&f);
	tool_flush();
	dup2(stdout_was, STDOUT_FILENO);
	close(stdout_was);
	ck_assert_int_eq(chdir(start), 0);
	sh("rm -rf -- '%s'", root);
}

/* A copy of the archive of a shape; becomes the current folder. */
static void
place(const char *shape)
{
	sh("cp -a '%s/%s' '%s/a'", templates, shape, root);
	sh("mkdir -p '%s/a/recordings_dev/temp' '%s/a/recordings_dev/backup'", root, root);
	ck_assert_int_eq(chdir(root), 0);
	ck_assert_int_eq(chdir("a"), 0);
}

static void
enter(void)
{
	archive_close(&a);
	ck_assert_msg(archive_open_tree(&a, NULL, NULL, &e) == 0, "%s", e.text);
	a.catalogue_opts.timeout_s = 0;
}

static void
open_archive(bool write)
{
	enter();
	ck_assert_msg(archive_open_catalogue(&a, write, &e) == 0, "%s", e.text);
}

/* Makes the toolkit's tables, as rec-migrate apply does. */
static void
migrate(void)
{
	struct json *line;
	int rc;

	open_archive(true);
	ck_assert_int_eq(catalogue_begin(a.catalogue, &e), 0);
	ck_assert_int_ne(rc = schema_missing(a.catalogue, &line, &e), -1);
	if (rc == 1)
		ck_assert_msg(schema_add(a.catalogue, line, &e) == 0, "%s", e.text);
	json_free(line);
	ck_assert_int_eq(catalogue_commit(a.catalogue, &e), 0);
	archive_close(&a);
}

/* SQL straight into the file, as another program would. */
static void
run_sql(const char *sql)
{
	sqlite3 *db;
	char *message = NULL;

	ck_assert_int_eq(sqlite3_open("db/app.db", &db), SQLITE_OK);
	ck_assert_msg(
	    sqlite3_exec(db, sql, NULL, NULL, &message) == SQLITE_OK, "%s: %s", message, sql);
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

/* The last finding of a check, and how many there are; the caller frees it. */
static struct json *
told(const char *check, int *n)
{
	char line[65536];
	struct json *rec, *last = NULL;
	FILE *in;

	tool_flush();
	*n = 0;
	ck_assert_ptr_nonnull(in = fopen(output, "r"));
	while (fgets(line, sizeof line, in) != NULL) {
		ck_assert_msg(
		    (rec = json_parse(line, strcspn(line, "\n"), &e)) != NULL, "%s", line);
		if (strcmp(json_get_str(rec, "check"), check) != 0) {
			json_free(rec);
			continue;
		}
		json_free(last);
		last = rec;
		++*n;
	}
	fclose(in);
	return last;
}

static void
forget(void)
{
	tool_flush();
	ck_assert_int_eq(ftruncate(STDOUT_FILENO, 0), 0);
	findings_free(&f);
	f = (struct findings){.t = &t, .keep = true};
	t.problems = 0;
}

/* Exactly one finding of the check, of this status and code (NULL: none), with `part` in it. */
static void
expect(const char *check, const char *status, const char *code, const char *part)
{
	struct json *rec;
	struct buf text = {0};
	int n;

	rec = told(check, &n);
	ck_assert_msg(n == 1, "%s: %d findings", check, n);
	ck_assert_int_eq(json_write(rec, &text, &e), 0);
	ck_assert_msg(strcmp(json_get_str(rec, "status"), status) == 0, "%s", text.data);
	if (code == NULL)
		ck_assert_msg(json_get(rec, "problem") == NULL, "%s", text.data);
	else
		ck_assert_msg(json_get(rec, "problem") != NULL &&
				  strcmp(json_get_str(json_get(rec, "problem"), "code"), code) == 0,
		    "%s", text.data);
	ck_assert_msg(
	    part == NULL || strstr(text.data, part) != NULL, "no \"%s\" in %s", part, text.data);
	/* Who is told of trouble is told what to do. */
	if (strcmp(status, "warning") == 0 || strcmp(status, "fail") == 0)
		ck_assert_msg(json_get_str(rec, "action") != NULL, "%s", text.data);
	buf_free(&text);
	json_free(rec);
}

static int64_t
fact(const char *check, const char *key)
{
	int64_t v = -1;
	int n;
	struct json *rec = told(check, &n);

	json_get_int(rec, key, &v);
	json_free(rec);
	return v;
}

static void
check_database(bool full)
{
	ck_assert_msg(database_check(&f, &a, full, &e) == 0, "%s", e.text);
}

static void
check_wal(void)
{
	ck_assert_msg(database_check_wal(&f, &a, &e) == 0, "%s", e.text);
}

/* Names, sizes, times and bytes of all below db; not the shared index, which changes by reading. */
static void
state(char out[HASH_XXH3_128_HEX], bool with_shm)
{
	char command[256], block[4096];
	struct hash *h = hash_open(HASH_XXH3_128, &e);
	size_t n;
	FILE *p;

	snprintf(command, sizeof command,
	    "find db -type f %s -printf '%%p %%s %%T@\\n' -exec xxhsum -q -H2 {} \\; 2>/dev/null | "
	    "sort",
	    with_shm ? "" : "! -name '*-shm'");
	ck_assert_ptr_nonnull(p = popen(command, "r"));
	while ((n = fread(block, 1, sizeof block, p)) > 0)
		hash_update(h, block, n);
	ck_assert_int_eq(pclose(p), 0);
	hash_xxh3_128(h, out);
	hash_close(h);
}

/* Another process runs SQL on the database and goes on to hold it until the test ends. */
static void
other_process(const char *sql, bool again_and_again)
{
	int ready[2];
	char c;

	ck_assert_int_eq(pipe(ready), 0);
	tool_flush();
	ck_assert_int_ne(child = fork(), -1);
	if (child == 0) {
		sqlite3 *db;

		if (sqlite3_open("db/app.db", &db) != SQLITE_OK)
			_exit(1);
		sqlite3_busy_timeout(db, 5000);
		if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK ||
		    write(ready[1], "r", 1) != 1)
			_exit(1);
		while (again_and_again && sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
			;
		pause();
		_exit(0);
	}
	close(ready[1]);
	ck_assert_msg(read(ready[0], &c, 1) == 1, "the other process failed: %s", sql);
	close(ready[0]);
}

static bool
is_root(const char *what)
{
	if (geteuid() == 0)
		return true;
	fprintf(stderr, "SKIP: %s needs root\n", what);
	return false;
}

static bool
mounted(const char *where, const char *options)
{
	if (mkdir(where, 0755) == -1 && errno != EEXIST)
		ck_abort_msg("mkdir");
	if (mount("tmpfs", where, "tmpfs", 0, options) == 0)
		return true;
	fprintf(stderr, "SKIP: mounting a tmpfs: %s\n", strerror(errno));
	return false;
}

/* ---- health ---- */

START_TEST(a_healthy_archive_passes_and_stays_as_it_is)
{
	char before[HASH_XXH3_128_HEX], after[HASH_XXH3_128_HEX];

	place(shapes[_i]);
	for (int migrated = 0; migrated < 2; migrated++) {
		state(before, true);
		forget();
		enter();
		check_wal();
		ck_assert_int_eq(archive_open_catalogue(&a, false, &e), 0);
		check_database(migrated);
		ck_assert_int_eq(folders_check(&f, &a, &e), 0);
		ck_assert_int_eq(uploads_check(&f, &a, &e), 0);
		archive_close(&a);
		state(after, true);
		ck_assert_str_eq(before, after);
		ck_assert_int_eq(t.problems, 0);
		ck_assert_int_eq(f.could_not.class, ERR_NONE);
		ck_assert_int_eq(f.count[FINDING_FAIL] + f.count[FINDING_ERROR], 0);
		ck_assert_int_eq(f.count[FINDING_WARNING], !migrated);
		ck_assert_int_eq(f.count[FINDING_PASS], 15 - !migrated);
		expect("database.schema", migrated ? "pass" : "warning", NULL, NULL);
		expect("database.wal", "pass", NULL, "no write-ahead log");
		if (!migrated)
			migrate();
	}
}
END_TEST

START_TEST(the_write_lock_is_tried_without_a_trace)
{
	char before[HASH_XXH3_128_HEX], opened[HASH_XXH3_128_HEX], after[HASH_XXH3_128_HEX];

	place("0002");
	/* 0: no log; 1: beside a live log; 2: a copy with a log alone; 3: with a rollback journal.
	 */
	if (_i == 1 || _i == 2)
		other_process(
		    "PRAGMA wal_autocheckpoint = 0; UPDATE recordings SET title = 'x'", false);
	if (_i == 2) {
		sh("cp db/app.db db/app.db-wal .");
		end_child();
		sh("rm db/*; mv app.db app.db-wal db");
	}
	if (_i == 3)
		run_sql("PRAGMA journal_mode = DELETE");
	state(before, _i != 1);
	open_archive(false);
	state(opened, false);
	for (int i = 0; i < 3; i++) {
		ck_assert_msg(catalogue_probe_write(a.catalogue, &e) == 0, "%s", e.text);
		ck_assert_int_eq(catalogue_exec(a.catalogue, "DELETE FROM main.jobs", &e), -1);
		check_database(true);
	}
	ck_assert_int_eq(t.problems, 0);
	state(after, false);
	ck_assert_str_eq(opened, after);
	archive_close(&a);
	state(after, _i != 1);
	ck_assert_str_eq(before, after);
}
END_TEST

START_TEST(an_archive_on_a_read_only_file_system_is_read_as_it_is)
{
	char where[80];

	if (!is_root("mounting"))
		return;
	place("0002");
	migrate();
	snprintf(where, sizeof where, "%s/m", root);
	if (!mounted(where, "size=20m"))
		return;
	sh("cp -a . '%s'", where);
	ck_assert_int_eq(mount("tmpfs", where, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL), 0);
	ck_assert_int_eq(chdir(where), 0);
	open_archive(false);
	ck_assert(!catalogue_is_writable(a.catalogue));
	ck_assert_int_eq(catalogue_probe_write(a.catalogue, &e), 0);
	check_database(true);
	ck_assert_int_eq(t.problems, 0);
	expect("database.journal_mode", "pass", NULL, "wal");
	expect("database.lock", "warning", NULL, "not tried");
	ck_assert_int_eq(folders_check(&f, &a, &e), 0);
	expect("folders.raw", "fail", P_DENIED, "read-only");
	archive_close(&a);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(umount(where), 0);
}
END_TEST

/* ---- somebody else ---- */

START_TEST(a_lock_that_another_program_holds_is_an_error_and_no_damage)
{
	place("0002");
	migrate();
	other_process("BEGIN IMMEDIATE", false);
	open_archive(false);
	check_database(false);
	expect("database.lock", "error", P_BUSY, "another program");
	expect("database.integrity", "pass", NULL, NULL);
	expect("database.query", "pass", NULL, NULL);
	ck_assert_int_eq(f.could_not.class, ERR_BUSY);
	ck_assert_int_eq(f.count[FINDING_FAIL], 0);
	ck_assert_int_eq(f.count[FINDING_ERROR], 1);
	/* It may write no more than before. */
	ck_assert_int_eq(catalogue_exec(a.catalogue, "DELETE FROM main.jobs", &e), -1);
	ck_assert_int_ne(e.class, ERR_BUSY);
}
END_TEST

START_TEST(a_database_that_is_locked_whole_is_an_error_for_each_check)
{
	place("0002");
	run_sql("PRAGMA journal_mode = DELETE");
	open_archive(false);
	other_process("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE", false);
	check_database(false);
	ck_assert_int_eq(uploads_check(&f, &a, &e), 0);
	ck_assert_int_eq(f.count[FINDING_FAIL], 0);
	ck_assert_int_eq(f.count[FINDING_ERROR], 7);
	ck_assert_int_eq(f.could_not.class, ERR_BUSY);
	expect("database.integrity", "error", P_BUSY, NULL);
	expect("jobs.stuck", "error", P_BUSY, NULL);
	archive_close(&a);
	/* In WAL mode it cannot even be opened. */
	end_child();
	run_sql("PRAGMA journal_mode = WAL");
	other_process("PRAGMA locking_mode = EXCLUSIVE; UPDATE recordings SET title = 'x'", false);
	enter();
	ck_assert_int_eq(archive_open_catalogue(&a, false, &e), -1);
	ck_assert_int_eq(e.class, ERR_BUSY);
}
END_TEST

static int
refuse(void *ctx, const char *complaint, struct err *err)
{
	(void)complaint;
	++*(int *)ctx;
	return err_set(err, ERR_SYSTEM, NULL, "enough");
}

START_TEST(a_check_that_is_told_to_stop_stops)
{
	static atomic_int stop;
	int complaints = 0;

	place("0002");
	run_sql("WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
		"INSERT INTO recordings (id, filename, stored_filename, duration) SELECT i, i, i, "
		"0.0 FROM n");
	enter();
	a.catalogue_opts.stop = &stop;
	ck_assert_int_eq(archive_open_catalogue(&a, false, &e), 0);
	atomic_store(&stop, SIGTERM);
	ck_assert_int_eq(catalogue_integrity(a.catalogue, false, refuse, &complaints, &e), -1);
	ck_assert_int_eq(e.class, ERR_STOPPED);
	ck_assert_int_eq(complaints, 0);
	ck_assert_int_eq(database_check(&f, &a, false, &e), -1);
	ck_assert_int_eq(e.class, ERR_STOPPED);
	ck_assert_int_eq(f.count[FINDING_FAIL] + f.count[FINDING_ERROR], 0);
}
END_TEST

/* ---- damage ---- */

enum { PAGE = 4096 };

static void
make_large(void)
{
	run_sql("WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 1500) "
		"INSERT INTO recordings (id, filename, stored_filename, duration, title) SELECT i, "
		"'file ' || i, 'stored ' || i, 0.0, 'a title of some length' FROM n; "
		"PRAGMA wal_checkpoint(TRUNCATE)");
}

static void
overwrite(const char *path, off_t at, int byte, size_t len)
{
	char block[PAGE];
	int fd = open(path, O_RDWR | O_CLOEXEC);

	memset(block, byte, sizeof block);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(pwrite(fd, block, len, at), (ssize_t)len);
	close(fd);
}

static off_t
size_of(const char *path)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_size;
}

START_TEST(every_damaged_page_is_found_and_kills_nothing)
{
	static const int bytes[] = {0xff, 0x00, 0x0d};
	off_t pages;
	int found = 0;

	place("0002");
	migrate();
	make_large();
	sh("cp db/app.db good");
	pages = size_of("good") / PAGE;
	ck_assert_int_gt(pages, 20);
	for (off_t page = 0; page < pages; page++) {
		sh("cp good db/app.db");
		overwrite("db/app.db", page * PAGE + (page == 0 ? 100 : 0), bytes[page % 3],
		    page == 0 ? PAGE - 100 : PAGE);
		forget();
		enter();
		check_wal();
		/* A page of the schema: it cannot be opened, and that is no system's fault. */
		if (archive_open_catalogue(&a, false, &e) == -1) {
			ck_assert_int_eq(e.class, ERR_CATALOGUE);
			continue;
		}
		check_database(page % 2 == 0);
		ck_assert_int_eq(uploads_check(&f, &a, &e), 0);
		expect("database.integrity", "fail", P_BAD_RECORD, "complaints");
		ck_assert_int_eq(f.could_not.class, ERR_NONE);
		ck_assert_int_gt(t.problems, 0);
		ck_assert_ptr_nonnull(f.kept);
		found++;
	}
	ck_assert_int_gt(found, 20);
}
END_TEST

START_TEST(a_small_damage_inside_a_page_is_found)
{
	place("0002");
	make_large();
	/* An index that does not agree with its table: only the full check sees it. */
	run_sql("PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = (SELECT rootpage "
		"FROM sqlite_schema WHERE name = 'sqlite_autoindex_jobs_1') WHERE name = "
		"'sqlite_autoindex_recordings_1'");
	open_archive(false);
	check_database(true);
	expect("database.integrity", "fail", P_BAD_RECORD, "integrity_check has");
}
END_TEST

START_TEST(a_database_that_was_cut_is_found_damaged)
{
	off_t size;

	place("0002");
	migrate();
	make_large();
	size = size_of("db/app.db");
	for (int open_before = 0; open_before < 2; open_before++) {
		sh("cp db/app.db good");
		forget();
		if (open_before)
			open_archive(false);
		ck_assert_int_eq(truncate("db/app.db", size / 2 / PAGE * PAGE), 0);
		if (!open_before) {
			enter();
			ck_assert_int_eq(archive_open_catalogue(&a, false, &e), -1);
			ck_assert_int_eq(e.class, ERR_CATALOGUE);
		} else {
			check_database(true);
			ck_assert_int_eq(f.could_not.class, ERR_NONE);
			ck_assert_int_gt(t.problems, 0);
			ck_assert_int_ge(f.count[FINDING_FAIL], 1);
		}
		archive_close(&a);
		sh("rm -f db/app.db-*; mv good db/app.db");
	}
}
END_TEST

/* What SQLite reads pages with, from an offset on. */
static off_t bad_from;
static int64_t nap_ns;

static ssize_t
failing_pread(int fd, void *p, size_t len, off_t at)
{
	struct timespec nap = {.tv_nsec = nap_ns};

	if (nap_ns > 0)
		nanosleep(&nap, NULL);
	if (bad_from > 0 && at >= bad_from) {
		errno = EIO;
		return -1;
	}
	return pread(fd, p, len, at);
}

static void
hook_pread(bool on)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
	sqlite3_syscall_ptr with = on ? (sqlite3_syscall_ptr)failing_pread : NULL;
	int one = vfs->xSetSystemCall(vfs, "pread", with),
	    other = vfs->xSetSystemCall(vfs, "pread64", with);

	ck_assert(one == SQLITE_OK || other == SQLITE_OK);
}

START_TEST(a_page_that_the_disk_does_not_give_is_unreadable)
{
	place("0002");
	migrate();
	make_large();
	open_archive(false);
	bad_from = 10 * PAGE;
	hook_pread(true);
	check_database(false);
	hook_pread(false);
	bad_from = 0;
	expect("database.integrity", "fail", P_UNREADABLE, NULL);
	/* Here SQLite makes no difference between what is wrong and what cannot be read. */
	expect("database.query", "fail", P_BAD_RECORD, NULL);
	ck_assert_int_eq(f.could_not.class, ERR_NONE);
}
END_TEST

START_TEST(a_query_is_slow_only_when_it_is_so_twice)
{
	place("0002");
	migrate();
	make_large();
	for (int i = 0; i < 2; i++) {
		forget();
		open_archive(false);
		/* The second time, no page stays in memory. */
		if (i == 1)
			ck_assert_int_eq(
			    catalogue_exec(a.catalogue, "PRAGMA cache_size = 1", &e), 0);
		nap_ns = i == 0 ? 20000000 : 80000000;
		ck_assert_int_ge(catalogue_query_ns(a.catalogue, &e), 0);
		open_archive(false);
		if (i == 1)
			ck_assert_int_eq(
			    catalogue_exec(a.catalogue, "PRAGMA cache_size = 1", &e), 0);
		hook_pread(true);
		check_database(false);
		hook_pread(false);
		nap_ns = 0;
		expect(
		    "database.query", i == 0 ? "pass" : "fail", i == 0 ? NULL : P_BUSY, "query_ms");
	}
}
END_TEST

START_TEST(rows_without_their_parent_are_told_by_whose_they_are)
{
	struct catalogue_violations v;
	struct json *rec;

	place("0002");
	migrate();
	run_sql("INSERT INTO rec_measurements (recording_id, stored_filename, run) VALUES (900, "
		"'gone', 'r')");
	open_archive(false);
	check_database(false);
	expect("database.foreign_keys", "warning", NULL, "nothing need be done");
	ck_assert_int_eq(t.problems, 0);
	forget();
	archive_close(&a);
	run_sql("INSERT INTO rec_tags VALUES (900, '{\"artist\":\"somebody\"}')");
	open_archive(false);
	check_database(false);
	expect("database.foreign_keys", "warning", NULL, "DELETE FROM rec_tags");
	ck_assert_int_eq(catalogue_foreign_key_violations(a.catalogue, &v, &e), 0);
	ck_assert_int_eq(v.toolkit, 2);
	ck_assert_int_eq(v.tags, 1);
	ck_assert_int_eq(v.application, 0);
	archive_close(&a);
	/* What the advice says is true: the next with this id gets the tags, and no measurement. */
	run_sql("INSERT INTO recordings (id, filename, stored_filename, duration) VALUES (900, "
		"'new', 'new', 0.0)");
	open_archive(false);
	ck_assert_int_eq(catalogue_record(a.catalogue, 900, &rec, &e), 1);
	ck_assert_str_eq(json_get_str(json_get(rec, "tags"), "artist"), "somebody");
	json_free(rec);
	archive_close(&a);
	forget();
	run_sql(
	    "CREATE TABLE notes (recording INTEGER REFERENCES recordings(id)); INSERT INTO notes "
	    "VALUES (1), (777), (778)");
	open_archive(false);
	check_database(false);
	expect("database.foreign_keys", "fail", P_BAD_RECORD, "2 rows");
	ck_assert_int_eq(t.problems, 1);
}
END_TEST

START_TEST(what_is_unusual_but_no_damage_is_a_warning)
{
	place("0002");
	migrate();
	run_sql("PRAGMA journal_mode = DELETE");
	open_archive(false);
	check_database(false);
	expect("database.journal_mode", "warning", NULL, "delete");
	expect("database.free_pages", "pass", NULL, NULL);
	archive_close(&a);
	run_sql("PRAGMA journal_mode = WAL");
	run_sql("CREATE TABLE large (x); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
		"FROM n WHERE i < 1100) INSERT INTO large SELECT randomblob(4000) FROM n; DROP "
		"TABLE large");
	forget();
	open_archive(false);
	check_database(true);
	expect("database.free_pages", "warning", NULL, "VACUUM");
	ck_assert_int_gt(fact("database.free_pages", "free_pages"), 1000);
	expect("database.journal_mode", "pass", NULL, NULL);
	ck_assert_int_eq(t.problems, 0);
}
END_TEST

START_TEST(a_schema_that_contradicts_itself_is_told)
{
	place("0002");
	migrate();
	run_sql("UPDATE alembic_version SET version_num = '0003_of_tomorrow'");
	open_archive(false);
	check_database(false);
	expect("database.schema", "pass", NULL, NULL);
	archive_close(&a);
	run_sql("UPDATE alembic_version SET version_num = 'cabc59ea0c9d'");
	forget();
	open_archive(false);
	check_database(false);
	expect("database.schema", "warning", NULL, "alembic upgrade");
	archive_close(&a);
	run_sql("DROP TABLE rec_fixity");
	forget();
	open_archive(false);
	check_database(false);
	expect("database.schema", "fail", P_BAD_RECORD, "rec_fixity is not there");
	ck_assert_int_eq(t.problems, 1);
}
END_TEST

START_TEST(why_there_is_no_answer_decides_what_it_is)
{
	struct err why;

	err_set(&why, ERR_CATALOGUE, NULL, "malformed");
	ck_assert_int_eq(database_could_not(&f, "database.a", &why, &e), 0);
	expect("database.a", "fail", P_BAD_RECORD, "malformed");
	errno = EIO;
	err_sys(&why, "reading");
	ck_assert_int_eq(database_could_not(&f, "database.b", &why, &e), 0);
	expect("database.b", "fail", P_UNREADABLE, strerror(EIO));
	ck_assert_int_eq(f.could_not.class, ERR_NONE);
	err_set(&why, ERR_BUSY, P_BUSY, "somebody writes");
	ck_assert_int_eq(database_could_not(&f, "database.c", &why, &e), 0);
	expect("database.c", "error", P_BUSY, "somebody writes");
	ck_assert_int_eq(f.could_not.class, ERR_BUSY);
	errno = EMFILE;
	err_sys(&why, "opening");
	ck_assert_int_eq(database_could_not(&f, "database.d", &why, &e), 0);
	expect("database.d", "error", P_UNREADABLE, NULL);
	ck_assert_int_eq(f.could_not.class, ERR_SYSTEM);
	err_nomem(&why);
	ck_assert_int_eq(database_could_not(&f, "database.e", &why, &e), -1);
	ck_assert_int_eq(e.sys, ENOMEM);
}
END_TEST

/* ---- the log ---- */

enum { FRAME = PAGE + 24 };

/*
 * An archive as it lies on disk while the application runs: 0 as it is, or without its index. Ten
 * transactions are in the log.
 */
static void
place_live(bool with_index)
{
	place("0002");
	for (int i = 0; i < 10; i++) {
		if (i > 0)
			end_child();
		other_process(
		    "PRAGMA wal_autocheckpoint = 0; UPDATE recordings SET title = title "
		    "|| 'x'; CREATE TABLE IF NOT EXISTS more (x); INSERT INTO more VALUES "
		    "(randomblob(9000))",
		    false);
	}
	sh("cp db/app.db db/app.db-wal db/app.db-shm .");
	end_child();
	sh("rm db/*; mv app.db* db; %s", with_index ? ":" : "rm db/app.db-shm");
	enter();
}

static off_t
frames(void)
{
	return (size_of("db/app.db-wal") - 32) / FRAME;
}

START_TEST(a_log_in_use_is_whole)
{
	place_live(_i);
	ck_assert_int_gt(frames(), 10);
	check_wal();
	expect("database.wal", "pass", NULL, NULL);
	ck_assert_int_eq(fact("database.wal", "committed_frames"), frames());
}
END_TEST

START_TEST(a_log_that_was_cut_has_lost_transactions)
{
	place_live(_i);
	ck_assert_int_eq(truncate("db/app.db-wal", 32 + (frames() - 4) * FRAME + 1000), 0);
	check_wal();
	expect("database.wal", "fail", P_TRUNCATED, "lost");
	ck_assert_int_eq(t.problems, 1);
}
END_TEST

START_TEST(a_log_that_was_cut_between_frames_is_known_by_its_index)
{
	place_live(true);
	ck_assert_int_eq(truncate("db/app.db-wal", 32 + (frames() - 1) * FRAME), 0);
	check_wal();
	expect("database.wal", "fail", P_TRUNCATED, "its index knows of");
}
END_TEST

START_TEST(a_log_that_rotted_has_lost_what_is_behind)
{
	place_live(_i);
	overwrite("db/app.db-wal", 32 + 5 * FRAME + 500, 0x5a, 3);
	check_wal();
	expect("database.wal", "fail", P_TRUNCATED, "damaged_at_byte");
	ck_assert_int_eq(fact("database.wal", "damaged_at_byte"), 32 + 5 * FRAME);
}
END_TEST

START_TEST(a_log_without_a_header_is_ignored_by_sqlite_and_told)
{
	place_live(_i);
	overwrite("db/app.db-wal", 12, 0x5a, 4);
	check_wal();
	expect("database.wal", "fail", P_TRUNCATED, "damaged header");
	forget();
	ck_assert_int_eq(truncate("db/app.db-wal", 20), 0);
	check_wal();
	expect("database.wal", "fail", P_TRUNCATED, "inside its header");
}
END_TEST

START_TEST(a_writer_that_was_killed_inside_a_frame_is_no_damage)
{
	off_t size;

	place_live(true);
	size = size_of("db/app.db-wal");
	sh("dd if=db/app.db-wal of=part bs=1 skip=32 count=1000 status=none; cat part "
	   ">>db/app.db-wal");
	check_wal();
	expect("database.wal", "warning", NULL, "killed");
	ck_assert_int_eq(t.problems, 0);
	ck_assert_int_eq(fact("database.wal", "committed_frames"), (size - 32) / FRAME);
}
END_TEST

START_TEST(a_transaction_that_is_going_on_or_was_given_up_is_no_damage)
{
	place("0002");
	other_process("PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = 5; UPDATE recordings SET "
		      "title = 'x'; BEGIN; CREATE TABLE more (x); WITH RECURSIVE n(i) AS (SELECT 1 "
		      "UNION ALL SELECT i + 1 FROM n WHERE i < 200) INSERT INTO more SELECT "
		      "randomblob(4000) FROM n",
	    false);
	enter();
	check_wal();
	expect("database.wal", "pass", NULL, NULL);
	ck_assert_int_gt(fact("database.wal", "uncommitted_frames"), 10);
	end_child();
	for (int i = 0; i < 2; i++) {
		forget();
		check_wal();
		expect("database.wal", "pass", NULL, NULL);
		sh("rm -f db/app.db-shm");
	}
}
END_TEST

START_TEST(a_log_that_grows_and_grows_is_a_warning)
{
	place_live(true);
	ck_assert_int_eq(truncate("db/app.db-wal", (off_t)70 << 20), 0);
	check_wal();
	expect("database.wal", "warning", NULL, "checkpoint");
	ck_assert_int_eq(t.problems, 0);
}
END_TEST

START_TEST(a_log_that_is_being_written_is_never_called_damaged)
{
	place("0002");
	other_process("PRAGMA wal_autocheckpoint = 20; PRAGMA synchronous = OFF; BEGIN IMMEDIATE; "
		      "UPDATE recordings SET title = randomblob(20000); COMMIT",
	    true);
	enter();
	for (int64_t until = clock_monotonic_ns() + INT64_C(3000000000);
	     clock_monotonic_ns() < until;)
		check_wal();
	ck_assert_int_eq(f.count[FINDING_FAIL], 0);
	ck_assert_int_gt(f.count[FINDING_PASS], 1);
}
END_TEST

START_TEST(a_log_that_cannot_be_read_is_an_error)
{
	place("0002");
	ck_assert_int_eq(mkdir("db/app.db-wal", 0755), 0);
	enter();
	check_wal();
	expect("database.wal", "error", P_UNREADABLE, "could not be checked");
	ck_assert_int_eq(f.could_not.class, ERR_SYSTEM);
}
END_TEST

/* ---- disk ---- */

static void
check_disk(void)
{
	ck_assert_msg(disk_check(&f, &a, &e) == 0, "%s", e.text);
}

/* The finding about the file system that holds raw. */
static struct json *
of_raw(const char *check)
{
	static char line[65536];
	struct json *rec = NULL;
	FILE *in;

	tool_flush();
	ck_assert_ptr_nonnull(in = fopen(output, "r"));
	while (fgets(line, sizeof line, in) != NULL)
		if (strstr(line, check) != NULL && strstr(line, "\"raw\"") != NULL) {
			ck_assert_ptr_null(rec);
			rec = json_parse(line, strcspn(line, "\n"), &e);
			ck_assert_ptr_nonnull(rec);
		}
	fclose(in);
	ck_assert_ptr_nonnull(rec);
	return rec;
}

static void
expect_raw(const char *check, const char *status, const char *part)
{
	struct json *rec = of_raw(check), *problem = json_get(rec, "problem");
	const char *message = json_get_str(rec, "message");

	ck_assert_msg(strcmp(json_get_str(rec, "status"), status) == 0, "%s", message);
	ck_assert_msg(part == NULL || strstr(message, part) != NULL, "%s", message);
	ck_assert((problem != NULL) == (strcmp(status, "fail") == 0));
	ck_assert(problem == NULL || strcmp(json_get_str(problem, "code"), P_NO_SPACE) == 0);
	json_free(rec);
}

static bool
raw_on_tmpfs(const char *options)
{
	place("0002");
	if (!is_root("mounting") || !mounted("recordings/raw", options))
		return false;
	enter();
	return true;
}

static void
unmount_raw(void)
{
	archive_close(&a);
	ck_assert_int_eq(umount("recordings/raw"), 0);
}

START_TEST(a_file_system_is_told_once_with_what_it_holds)
{
	struct json *rec;
	int n;

	place("0002");
	sh("rm -r recordings_dev");
	enter();
	check_disk();
	rec = told("disk.space", &n);
	ck_assert_int_eq(n, 1);
	ck_assert_uint_eq(json_count(json_get(rec, "holds")), 5);
	ck_assert_int_gt(fact("disk.space", "total_bytes"), 0);
	ck_assert_int_ge(fact("disk.space", "total_bytes"), fact("disk.space", "free_bytes"));
	json_free(rec);
	rec = told("disk.inodes", &n);
	ck_assert_int_eq(n, 1);
	json_free(rec);
	ck_assert_int_ne(access("recordings_dev", F_OK), 0);
}
END_TEST

START_TEST(room_is_judged_by_share_and_by_bytes)
{
	/* Size and what is filled of it, in MiB. A tmpfs takes no room until it is filled. */
	static const struct {
		int size, filled;
		const char *status;
	} cases[] = {
	    {90, 0, "fail"}, {110, 0, "warning"}, {1100, 0, "pass"}, {1100, 90, "warning"}};
	char options[32];
	int n;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(options, sizeof options, "size=%dm", cases[i].size);
		if (i == 0 ? !raw_on_tmpfs(options) : !mounted("recordings/raw", options))
			return;
		forget();
		enter();
		sh("head -c %dM /dev/zero >recordings/raw/filler", cases[i].filled);
		check_disk();
		expect_raw("disk.space", cases[i].status, "MiB");
		json_free(told("disk.space", &n));
		ck_assert_int_eq(n, 2);
		unmount_raw();
	}
}
END_TEST

START_TEST(a_full_disk_is_told_with_its_numbers)
{
	struct json *rec;
	int64_t left;
	double percent;

	if (!raw_on_tmpfs("size=4m"))
		return;
	sh("cat /dev/zero >recordings/raw/filler 2>/dev/null; :");
	check_disk();
	expect_raw("disk.space", "fail", "100.0 % full");
	rec = of_raw("disk.space");
	ck_assert(json_get_int(rec, "free_bytes", &left) && left == 0);
	ck_assert(json_get_int(rec, "total_bytes", &left) && left == 4 << 20);
	ck_assert(json_get_real(rec, "used_percent", &percent) && percent == 100);
	json_free(rec);
	ck_assert_int_ge(t.problems, 1);
	unmount_raw();
}
END_TEST

START_TEST(the_minimum_of_the_environment_counts_where_it_is_enabled)
{
	for (int enabled = 0; enabled < 2; enabled++) {
		forget();
		if (enabled ? !mounted("recordings/raw", "size=300m") : !raw_on_tmpfs("size=300m"))
			return;
		sh("printf 'REC_MIN_FREE_MB=400\\nREC_DISK_CHECK=%s\\n' >>.env",
		    enabled ? "true" : "false");
		enter();
		check_disk();
		expect_raw("disk.space", enabled ? "fail" : "warning",
		    enabled ? "asks for 400 MiB (REC_MIN_FREE_MB)" : NULL);
		unmount_raw();
	}
}
END_TEST

START_TEST(inodes_run_out_too)
{
	/* The root of the tmpfs takes one. */
	static const struct {
		int files;
		const char *status;
	} cases[] = {{80, "pass"}, {86, "warning"}, {97, "fail"}};

	for (size_t i = 0; i < 3; i++) {
		if (i == 0 ? !raw_on_tmpfs("size=2m,nr_inodes=100")
			   : !mounted("recordings/raw", "size=2m,nr_inodes=100"))
			return;
		forget();
		enter();
		sh("cd recordings/raw && seq %d | xargs touch", cases[i].files);
		check_disk();
		expect_raw("disk.inodes", cases[i].status, "inodes");
		unmount_raw();
	}
	ck_assert_int_eq(mount("tmpfs", "recordings/raw", "tmpfs", 0, "nr_inodes=0"), 0);
	forget();
	enter();
	check_disk();
	expect_raw("disk.inodes", "pass", "no fixed number");
	unmount_raw();
}
END_TEST

/* ---- folders ---- */

static void
check_folders(void)
{
	forget();
	ck_assert_msg(folders_check(&f, &a, &e) == 0, "%s", e.text);
}

START_TEST(folders_that_are_made_when_needed_may_be_absent)
{
	place("0002");
	sh("rm -r recordings_dev recordings/edited");
	open_archive(false);
	check_folders();
	expect("folders.raw", "pass", NULL, NULL);
	expect("folders.edited", "pass", NULL, "made when it is needed");
	expect("folders.temp", "pass", NULL, "made when it is needed");
	expect("folders.backup", "pass", NULL, "made when it is needed");
	expect("folders.database", "pass", NULL, NULL);
	ck_assert_int_ne(access("recordings_dev", F_OK), 0);
}
END_TEST

START_TEST(the_folder_of_the_recordings_may_be_absent_only_before_the_first)
{
	place("0002");
	sh("mv recordings/raw elsewhere");
	open_archive(false);
	check_folders();
	expect("folders.raw", "fail", P_MISSING, "9 recordings");
	enter();
	check_folders();
	expect("folders.raw", "warning", NULL, "without the database");
	archive_close(&a);
	run_sql("DELETE FROM recordings");
	open_archive(false);
	check_folders();
	expect("folders.raw", "pass", NULL, "first recording");
	ck_assert_int_eq(t.problems, 0);
}
END_TEST

START_TEST(what_is_no_folder_is_told_so)
{
	place("0002");
	open_archive(false);
	sh("rm -r recordings/edited recordings_dev; mv recordings/raw elsewhere; "
	   "ln -s nowhere recordings/edited; ln -s raw recordings/raw; mkdir recordings_dev; "
	   "echo >recordings_dev/temp; mkfifo recordings_dev/backup");
	check_folders();
	expect("folders.raw", "fail", P_MISSING, "leads to itself");
	expect("folders.edited", "fail", P_MISSING, "leads nowhere");
	expect("folders.temp", "fail", P_MISSING, "is a file");
	expect("folders.backup", "fail", P_MISSING, "is not a folder");
	sh("rm recordings/raw; ln -s ../elsewhere recordings/raw; rm -r recordings_dev; echo "
	   ">recordings_dev");
	check_folders();
	expect("folders.raw", "pass", NULL, NULL);
	expect("folders.temp", "fail", P_MISSING, "part of its path is a file");
	/* A database that lies elsewhere has its log there. */
	sh("mv db elsewhere; mkdir db; ln -s ../elsewhere/db/app.db db/app.db");
	check_folders();
	expect("folders.database", "pass", NULL, "elsewhere/db");
}
END_TEST

START_TEST(a_folder_that_is_closed_is_told_to_root_and_to_others)
{
	if (!is_root("becoming another user"))
		return;
	place("0002");
	sh("chmod 0555 recordings/raw; chmod 0000 recordings/edited recordings_dev/temp; chmod "
	   "a+rwx recordings_dev/backup db");
	open_archive(false);
	check_folders();
	expect("folders.raw", "warning", NULL, "mode 0555");
	expect("folders.edited", "warning", NULL, "mode 0000");
	ck_assert_int_eq(t.problems, 0);
	ck_assert_int_eq(seteuid(65534), 0);
	check_folders();
	ck_assert_int_eq(seteuid(0), 0);
	expect("folders.raw", "fail", P_DENIED, "cannot be written by this user");
	expect("folders.edited", "fail", P_DENIED, "cannot be read nor written nor entered");
	expect("folders.backup", "pass", NULL, NULL);
	expect("folders.database", "pass", NULL, NULL);
	sh("chmod 0700 recordings_dev");
	ck_assert_int_eq(seteuid(65534), 0);
	check_folders();
	ck_assert_int_eq(seteuid(0), 0);
	expect("folders.backup", "fail", P_DENIED, "cannot be reached");
	sh("chmod -R u+rwx .");
}
END_TEST

/* ---- uploads ---- */

static const char *
ago(int64_t s, const char *fmt)
{
	static char text[2][64];
	static int turn;
	time_t then = (time_t)(clock_now().tv_sec - s);
	struct tm tm;

	turn = !turn;
	gmtime_r(&then, &tm);
	strftime(text[turn], sizeof text[turn], fmt, &tm);
	return text[turn];
}

static bool
stale(const char *since)
{
	struct catalogue_job job = {.since = since};

	return uploads_is_stale(&job);
}

START_TEST(a_job_is_stale_after_six_hours_or_when_nobody_knows)
{
	static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S",
	    "%Y-%m-%dT%H:%M:%S.123456", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.5+00:00",
	    "%Y-%m-%d %H:%M:%S+0000"};
	static const char *const unknown[] = {"", "now", "2025-09-05", "20250905T100000",
	    "1757066400", "2025-13-05T10:00:00", "2025-09-05T25:00:00", "2025-09-05T10:00:00 UTC+2",
	    "2025-09-05T10:00:00Zulu", "\xff\xfe", "2025-09-05T10:00:00.1.2"};

	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		ck_assert_msg(!stale(ago(UPLOADS_STALE_S - 60, forms[i])), "%s", forms[i]);
		ck_assert_msg(stale(ago(UPLOADS_STALE_S + 60, forms[i])), "%s", forms[i]);
		ck_assert_msg(!stale(ago(-86400, forms[i])), "%s", forms[i]);
	}
	ck_assert(!stale(ago(UPLOADS_STALE_S + 3600 - 7200, "%Y-%m-%dT%H:%M:%S-01:00")));
	ck_assert(stale(ago(UPLOADS_STALE_S - 3600, "%Y-%m-%dT%H:%M:%S+02:00")));
	ck_assert(!stale(ago(UPLOADS_STALE_S + 3600, "%Y-%m-%dT%H:%M:%S-02:00")));
	ck_assert(stale(NULL));
	for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
		ck_assert_msg(stale(unknown[i]), "%s", unknown[i]);
}
END_TEST

static void
add_job(const char *id, const char *values)
{
	char sql[512];

	snprintf(sql, sizeof sql,
	    "INSERT INTO jobs (id, file_path, status, attempts, max_attempts, created_iso, "
	    "last_error) VALUES ('%s', %s)",
	    id, values);
	run_sql(sql);
}

static void
check_uploads(void)
{
	forget();
	ck_assert_msg(uploads_check(&f, &a, &e) == 0, "%s", e.text);
}

START_TEST(a_queue_that_works_passes)
{
	char values[256];

	/* The archives hold a pending job, a failed one with a try left, and one that is done. */
	place(shapes[_i]);
	if (strcmp(shapes[_i], "0001") == 0) {
		snprintf(values, sizeof values, "'a', 'running', 1, 3, '%s', NULL",
		    ago(60, "%Y-%m-%dT%H:%M:%S"));
		add_job("r", values);
		add_job("c", "'a', 'cancelled', 3, 3, '2020-01-01T00:00:00', NULL");
	}
	open_archive(false);
	check_uploads();
	expect("jobs.stuck", "pass", NULL, _i == 2 ? "1 uploads are running" : "0 uploads");
	expect("jobs.failed", "pass", NULL, NULL);
	ck_assert_int_eq(t.problems, 0);
}
END_TEST

START_TEST(an_upload_that_is_stuck_or_was_given_up_is_told)
{
	place(_i == 0 ? "0001" : "0002");
	add_job("s", "'recordings/raw/s.wav', 'running', 1, 3, '2020-01-01T00:00:00', NULL");
	add_job("g", "'recordings/raw/g.wav', 'failed', 3, 3, '2020-01-01T00:00:00', 'quota'");
	if (_i == 1) {
		char sql[160];

		/* Begun just now, however long it waited. */
		add_job("n", "'n', 'running', 1, 3, '2020-01-01T00:00:00', NULL");
		snprintf(sql, sizeof sql, "UPDATE jobs SET started_iso = '%s' WHERE id = 'n'",
		    ago(5, "%Y-%m-%dT%H:%M:%S.000001"));
		run_sql(sql);
	}
	open_archive(false);
	check_uploads();
	expect("jobs.stuck", "fail", P_REMOTE, "2020-01-01T00:00:00");
	expect("jobs.stuck", "fail", P_REMOTE, "\"path\":\"recordings/raw/s.wav\"");
	expect("jobs.failed", "fail", P_REMOTE, "3 of 3");
	expect("jobs.failed", "fail", P_REMOTE, "quota");
	ck_assert_int_eq(t.problems, 2);
	ck_assert_int_eq(f.could_not.class, ERR_NONE);
}
END_TEST

START_TEST(values_of_any_type_are_no_trouble)
{
	struct json *rec;
	int n;

	place(_i == 0 ? "0001" : "unversioned");
	run_sql("DELETE FROM jobs");
	add_job("1", "'a', x'72756e6e696e67', 1, 3, NULL, NULL");
	add_job("2", "'a', 'RUNNING', 1, 3, NULL, NULL");
	add_job("3", "x'ff00ff', 'running', 'many', 'lots', x'00ff', x'ff'");
	add_job("4", "CAST(x'61ff' AS TEXT), 'failed', 'many', 3, NULL, CAST(x'fe' AS TEXT)");
	add_job("5", "'a' || char(0) || 'b', 'failed', 1, 'lots', 7, 9e999");
	add_job("6", "'', 'failed', -3, 2, '', ''");
	add_job("7", "'a', 'failed', 9223372036854775807, 0, zeroblob(70000), zeroblob(70000)");
	add_job("8", "'a', 'failed', 1.5, 3.5, NULL, NULL");
	open_archive(false);
	check_uploads();
	rec = told("jobs.stuck", &n);
	ck_assert_int_eq(n, 1);
	ck_assert_str_eq(json_get_str(rec, "job"), "3");
	ck_assert_int_eq(json_kind(json_get(rec, "attempts")), JSON_KIND_NULL);
	ck_assert_str_eq(json_get_str(rec, "path_hex"), "ff");
	json_free(rec);
	json_free(told("jobs.failed", &n));
	ck_assert_int_eq(n, 5);
	ck_assert_int_eq(f.could_not.class, ERR_NONE);
}
END_TEST

static int
collect(void *ctx, const char *path, struct err *err)
{
	return buf_addf(ctx, err, "%s\n", path);
}

static int
refuse_job(void *ctx, const struct catalogue_job *job, struct err *err)
{
	(void)job;
	++*(int *)ctx;
	return err_set(err, ERR_SYSTEM, NULL, "enough");
}

START_TEST(the_paths_of_all_jobs_are_given)
{
	struct buf paths = {0};
	int calls = 0;

	place("unversioned");
	run_sql("DELETE FROM jobs");
	add_job("1", "'recordings/raw/a', 'pending', 0, 3, NULL, NULL");
	add_job("2", "'cut' || char(0) || 'off', 'pending', 0, 3, NULL, NULL");
	add_job("3", "x'ff62', 'failed', 0, 3, NULL, NULL");
	add_job("4", "'/c', 'succeeded', 0, 3, NULL, NULL");
	open_archive(false);
	ck_assert_int_eq(catalogue_job_paths(a.catalogue, collect, &paths, &e), 0);
	ck_assert_str_eq(paths.data, "recordings/raw/a\n\xff"
				     "b\n/c\n");
	buf_free(&paths);
	/* Who is called can end it. */
	ck_assert_int_eq(catalogue_jobs(a.catalogue, refuse_job, &calls, &e), -1);
	ck_assert_str_eq(e.text, "enough");
	ck_assert_int_eq(calls, 1);
	archive_close(&a);
	ck_assert_int_eq(chdir(root), 0);
	sh("rm -r a");
	place("4ae620c1c938");
	open_archive(false);
	ck_assert_int_eq(catalogue_job_paths(a.catalogue, collect, &paths, &e), 0);
	ck_assert_ptr_null(paths.data);
}
END_TEST

/* ---- times ---- */

START_TEST(the_latest_time_is_found_among_malformed_ones)
{
	char latest[40];

	place(shapes[_i]);
	open_archive(false);
	ck_assert_int_eq(catalogue_latest_time(a.catalogue, latest, &e), 0);
	ck_assert_str_eq(latest, "2025-09-07T11:00:00Z");
	archive_close(&a);
	run_sql("UPDATE recordings SET created_at = NULL");
	open_archive(false);
	ck_assert_int_eq(catalogue_latest_time(a.catalogue, latest, &e), 0);
	ck_assert_str_eq(latest, "");
	archive_close(&a);
	run_sql(
	    "UPDATE recordings SET created_at = CASE id WHEN 1 THEN '2026-01-01 00:00:00' WHEN 2 "
	    "THEN '2026-01-01T00:00:00.5' WHEN 3 THEN '9999' WHEN 4 THEN '9999-99-99 00:00:00' "
	    "WHEN 5 THEN x'393939392d31322d33312032333a35393a3539' WHEN 6 THEN 99999999 WHEN 7 "
	    "THEN '9999-12-31 23:59:59' || char(0) || 'Z' WHEN 8 THEN '9999-12-31 "
	    "23:59:59.99999999999999999999999999999999999999' ELSE 'yesterday' END");
	open_archive(false);
	ck_assert_int_eq(catalogue_latest_time(a.catalogue, latest, &e), 0);
	ck_assert_str_eq(latest, "2026-01-01T00:00:00.5Z");
	migrate();
	run_sql(
	    "INSERT INTO rec_fixity (recording_id, stored_filename, checked_at, verdict) VALUES "
	    "(1, 'a', '2026-02-01T00:00:00Z', 'ok'), (2, 'b', '2026-02-01T00:00:00.25Z', 'ok'); "
	    "INSERT INTO rec_fixity_pass VALUES (1, '2026-01-31T00:00:00Z', NULL)");
	open_archive(false);
	ck_assert_int_eq(catalogue_latest_time(a.catalogue, latest, &e), 0);
	ck_assert_str_eq(latest, "2026-02-01T00:00:00.25Z");
}
END_TEST

/* ---- running ---- */

static void
make_templates(void)
{
	strcpy(templates, "/tmp/check_health.templates.XXXXXX");
	if (mkdtemp(templates) == NULL || getcwd(start, sizeof start) == NULL)
		exit(3);
	for (int i = 0; i < N_SHAPES; i++) {
		char command[256];

		snprintf(command, sizeof command, "tests/data/make-archive '%s/%s' %s 2>/dev/null",
		    templates, shapes[i], shapes[i]);
		if (system(command) != 0) {
			fprintf(stderr, "failed: %s\n", command);
			exit(3);
		}
	}
}

int
main(void)
{
	Suite *s = suite_create("health");
	TCase *c = tcase_create("health");
	SRunner *r;
	char command[128];
	int failed;

	make_templates();
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 300);
	tcase_add_loop_test(c, a_healthy_archive_passes_and_stays_as_it_is, 0, N_SHAPES);
	tcase_add_loop_test(c, the_write_lock_is_tried_without_a_trace, 0, 4);
	tcase_add_test(c, an_archive_on_a_read_only_file_system_is_read_as_it_is);
	tcase_add_test(c, a_lock_that_another_program_holds_is_an_error_and_no_damage);
	tcase_add_test(c, a_database_that_is_locked_whole_is_an_error_for_each_check);
	tcase_add_test(c, a_check_that_is_told_to_stop_stops);
	tcase_add_test(c, every_damaged_page_is_found_and_kills_nothing);
	tcase_add_test(c, a_small_damage_inside_a_page_is_found);
	tcase_add_test(c, a_database_that_was_cut_is_found_damaged);
	tcase_add_test(c, a_page_that_the_disk_does_not_give_is_unreadable);
	tcase_add_test(c, a_query_is_slow_only_when_it_is_so_twice);
	tcase_add_test(c, rows_without_their_parent_are_told_by_whose_they_are);
	tcase_add_test(c, what_is_unusual_but_no_damage_is_a_warning);
	tcase_add_test(c, a_schema_that_contradicts_itself_is_told);
	tcase_add_test(c, why_there_is_no_answer_decides_what_it_is);
	tcase_add_loop_test(c, a_log_in_use_is_whole, 0, 2);
	tcase_add_loop_test(c, a_log_that_was_cut_has_lost_transactions, 0, 2);
	tcase_add_test(c, a_log_that_was_cut_between_frames_is_known_by_its_index);
	tcase_add_loop_test(c, a_log_that_rotted_has_lost_what_is_behind, 0, 2);
	tcase_add_loop_test(c, a_log_without_a_header_is_ignored_by_sqlite_and_told, 0, 2);
	tcase_add_test(c, a_writer_that_was_killed_inside_a_frame_is_no_damage);
	tcase_add_test(c, a_transaction_that_is_going_on_or_was_given_up_is_no_damage);
	tcase_add_test(c, a_log_that_grows_and_grows_is_a_warning);
	tcase_add_test(c, a_log_that_is_being_written_is_never_called_damaged);
	tcase_add_test(c, a_log_that_cannot_be_read_is_an_error);
	tcase_add_test(c, a_file_system_is_told_once_with_what_it_holds);
	tcase_add_test(c, room_is_judged_by_share_and_by_bytes);
	tcase_add_test(c, a_full_disk_is_told_with_its_numbers);
	tcase_add_test(c, the_minimum_of_the_environment_counts_where_it_is_enabled);
	tcase_add_test(c, inodes_run_out_too);
	tcase_add_test(c, folders_that_are_made_when_needed_may_be_absent);
	tcase_add_test(c, the_folder_of_the_recordings_may_be_absent_only_before_the_first);
	tcase_add_test(c, what_is_no_folder_is_told_so);
	tcase_add_test(c, a_folder_that_is_closed_is_told_to_root_and_to_others);
	tcase_add_test(c, a_job_is_stale_after_six_hours_or_when_nobody_knows);
	tcase_add_loop_test(c, a_queue_that_works_passes, 0, N_SHAPES);
	tcase_add_loop_test(c, an_upload_that_is_stuck_or_was_given_up_is_told, 0, 2);
	tcase_add_loop_test(c, values_of_any_type_are_no_trouble, 0, 2);
	tcase_add_test(c, the_paths_of_all_jobs_are_given);
	tcase_add_loop_test(c, the_latest_time_is_found_among_malformed_ones, 0, N_SHAPES);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	snprintf(command, sizeof command, "rm -rf -- '%s'", templates);
	return system(command) != 0 || failed != 0;
}
