/* retention: what has expired is told, and nothing that a row, a job or a run still needs. */
#include "retention.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "clock.h"
#include "io.h"
#include "journal.h"
#include "mem.h"

#define DAYS 100
#define DAY_S 86400

static char root[] = "/tmp/check_retention.XXXXXX";
static struct archive a;
static struct err e;
static bool opened;
static char told[8192]; /* a line each: kind name age [run] [damage] */

static void
sql(const char *text)
{
	sqlite3 *db;
	char *message = NULL;

	ck_assert_int_eq(sqlite3_open("db/app.db", &db), SQLITE_OK);
	ck_assert_msg(sqlite3_exec(db, text, NULL, NULL, &message) == SQLITE_OK, "%s", message);
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

static void
setup(void)
{
	static const char *const folders[] = {"db", "db/journal", "recordings", "recordings/raw",
	    "recordings/edited", "recordings/temp", "recordings/backup"};

	memcpy(root + strlen(root) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(root));
	ck_assert_int_eq(chdir(root), 0);
	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
		ck_assert_int_eq(mkdir(folders[i], 0755), 0);
	sql("PRAGMA journal_mode = WAL; CREATE TABLE recordings (id INTEGER NOT NULL, filename "
	    "VARCHAR NOT NULL, title VARCHAR, duration FLOAT NOT NULL, status VARCHAR, created_at "
	    "DATETIME, PRIMARY KEY (id), UNIQUE (filename));"
	    "CREATE TABLE jobs (id TEXT PRIMARY KEY, file_path, status TEXT)");
	ck_assert_int_eq(setenv("REC_RETENTION_DAYS", "100", 1), 0);
	unsetenv("REC_TEMP_PATH");
	unsetenv("REC_BACKUP_PATH");
	unsetenv("DATABASE_URL");
	e = (struct err){0};
	opened = false;
}

static void
teardown(void)
{
	char command[128];

	if (opened)
		archive_close(&a);
	ck_assert_int_eq(chdir("/"), 0);
	snprintf(command, sizeof command, "rm -rf -- '%s'", root);
	ck_assert_int_eq(system(command), 0);
}

/* A file of three bytes that was last modified `age_s` seconds ago. */
static void
file_s(const char *path, int64_t age_s)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	struct timespec t = {.tv_sec = time(NULL) - age_s};

	ck_assert_msg(fd != -1, "%s", path);
	ck_assert_int_eq(write(fd, "abc", 3), 3);
	ck_assert_int_eq(futimens(fd, (struct timespec[2]){t, t}), 0);
	close(fd);
}

static void
file(const char *path, int days)
{
	file_s(path, (int64_t)days * DAY_S + 60);
}

/*
 * A run whose journal has these lines between begin and an end of `days` ago. Returns the name of
 * the run. `ended`: false leaves the end away.
 */
static const char *
a_run(int days, bool ended, const char *const *lines)
{
	static char names[16][JOURNAL_RUN_MAX];
	static int n;
	int fd = open("db/journal", O_RDONLY | O_DIRECTORY);
	struct journal *j = journal_create(fd, "rm", "check", &e);
	char end[160], when[CLOCK_TEXT_MAX], *name = names[n++ % 16];
	struct timespec t = {.tv_sec = time(NULL) - (time_t)days * DAY_S - 60};

	ck_assert_msg(j != NULL, "%s", e.text);
	snprintf(name, JOURNAL_RUN_MAX, "%s", journal_run(j));
	for (; lines != NULL && *lines != NULL; lines++)
		ck_assert_int_eq(journal_add(j, json_parse(*lines, strlen(*lines), &e), &e), 0);
	snprintf(end, sizeof end,
	    "{\"op\":\"end\",\"rows\":1,\"problems\":0,\"finished_at\":\"%s\"}",
	    clock_rfc3339(t, when));
	if (ended)
		ck_assert_int_eq(journal_add(j, json_parse(end, strlen(end), &e), &e), 0);
	ck_assert_int_eq(journal_sync(j, &e), 0);
	journal_close(j);
	close(fd);
	return name;
}

#define RUN(days, ...) a_run(days, true, (const char *const[]){__VA_ARGS__, NULL})
#define MOVE(name, to)                                                                             \
	"{\"op\":\"file\",\"action\":\"move\",\"folder\":\"raw\",\"name\":\"" name                 \
	"\",\"to_folder\":\"backup\",\"to\":\"" to "\"}"
#define CREATE(name)                                                                               \
	"{\"op\":\"file\",\"action\":\"create\",\"folder\":\"raw\",\"name\":\"" name "\"}"
#define SCHEMA "{\"op\":\"schema\",\"toolkit\":true,\"columns\":[]}"

/* Journals by their place among the runs, since their names differ from time to time. */
static int
note(void *ctx, const struct retention_item *item, struct err *err)
{
	size_t len = strlen(told);
	struct stat st;

	(void)ctx;
	(void)err;
	ck_assert_int_eq(fstatat(item->dirfd, item->name, &st, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert_int_eq(st.st_size, item->size_bytes);
	ck_assert_int_eq(access(item->path, F_OK), 0);
	snprintf(told + len, sizeof told - len, "%s %s %lld%s%s\n", retention_kind_name(item->kind),
	    item->kind == RETENTION_JOURNAL ? "-" : item->name, (long long)item->age_days,
	    item->of_run ? " run" : "", item->damage != NULL ? " damage" : "");
	return 0;
}

static void
open_archive(void)
{
	ck_assert_msg(archive_open(&a, NULL, false, NULL, &e) == 0, "%s", e.text);
	opened = true;
}

static const char *
all(void)
{
	if (!opened)
		open_archive();
	told[0] = '\0';
	ck_assert_msg(retention_each(&a, note, NULL, &e) == 0, "%s", e.text);
	return told;
}

START_TEST(an_empty_archive_has_nothing)
{
	ck_assert_int_eq(rmdir("recordings/temp"), 0);
	ck_assert_int_eq(rmdir("recordings/backup"), 0);
	ck_assert_int_eq(rmdir("db/journal"), 0);
	ck_assert_str_eq(all(), "");
}
END_TEST

START_TEST(the_day_it_expires)
{
	file_s("recordings/temp/a", (int64_t)DAYS * DAY_S - 30);
	file_s("recordings/temp/b", (int64_t)DAYS * DAY_S);
	file_s("recordings/temp/c", -1000);
	file_s("recordings/temp/d", -(int64_t)DAYS * 3 * DAY_S);
	file_s("recordings/temp/e", time(NULL));
	ck_assert_int_eq(strncmp(all(), "temp b 100\ntemp e ", 18), 0);
	ck_assert_int_eq(strchr(strstr(told, "temp e "), '\n')[1], '\0');
}
END_TEST

START_TEST(what_rows_and_jobs_name_is_kept)
{
	static const char *const names[] = {
	    "row", "deep", "climbing", "win", "job", "absolute", "late"};
	char path[64];

	sql("INSERT INTO recordings VALUES (1, 'row', NULL, 0, NULL, NULL), (2, 'a/deep', NULL, 0, "
	    "'deleted', NULL), (3, '../temp/climbing', NULL, 0, NULL, NULL), (4, '', NULL, 0, "
	    "NULL, NULL), (5, 'x/', NULL, 0, NULL, NULL);"
	    "INSERT INTO jobs VALUES ('1', 'recordings/temp/job', 'failed'), ('2', '/x/absolute', "
	    "'succeeded'), ('3', 'C:\\x\\win', 'running'), ('4', NULL, 'running'), ('5', '', '')");
	for (int i = 0; i < 7; i++) {
		snprintf(path, sizeof path, "recordings/temp/%s", names[i]);
		file(path, 200);
		snprintf(path, sizeof path, "recordings/backup/%s", names[i]);
		file(path, 200);
	}
	ck_assert_str_eq(all(), "temp late 200\nbackup late 200\n");
}
END_TEST

START_TEST(only_regular_files_without_a_dot_and_no_part)
{
	struct timespec old[2] = {{.tv_sec = 1}, {.tv_sec = 1}};

	file("recordings/temp/.dot", 200);
	file("recordings/temp/cut_off.wav.part", 200);
	ck_assert_int_eq(mkdir("recordings/temp/folder", 0755), 0);
	ck_assert_int_eq(mkfifo("recordings/temp/fifo", 0600), 0);
	ck_assert_int_eq(symlink("/etc/passwd", "recordings/temp/link"), 0);
	ck_assert_int_eq(symlink("nowhere", "recordings/temp/dangling"), 0);
	ck_assert_int_eq(utimensat(AT_FDCWD, "recordings/temp/folder", old, 0), 0);
	ck_assert_int_eq(utimensat(AT_FDCWD, "recordings/temp/fifo", old, 0), 0);
	ck_assert_int_eq(utimensat(AT_FDCWD, "recordings/temp/link", old, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert_str_eq(all(), "");
}
END_TEST

/* ---- folders ---- */

START_TEST(a_folder_that_is_another_is_left_alone)
{
	static const char *const paths[] = {
	    "recordings/raw", "recordings//edited/.", "link", "db", "db/journal", "."};

	ck_assert_int_eq(symlink("recordings/raw", "link"), 0);
	ck_assert_int_eq(setenv("REC_TEMP_PATH", paths[_i], 1), 0);
	ck_assert_int_eq(setenv("REC_BACKUP_PATH", paths[_i], 1), 0);
	file("recordings/raw/x", 200);
	file("recordings/edited/x", 200);
	file("db/x", 200);
	file("db/journal/x", 200);
	file("x", 200);
	ck_assert_str_eq(all(), "");
}
END_TEST

START_TEST(temp_that_is_backup_is_backup)
{
	ck_assert_int_eq(setenv("REC_TEMP_PATH", "recordings/backup", 1), 0);
	file("recordings/backup/needed", 200);
	file("recordings/backup/other", 200);
	RUN(10, MOVE("x", "needed"));
	ck_assert_str_eq(all(), "backup other 200\n");
}
END_TEST

/* ---- runs ---- */

START_TEST(a_run_and_its_files_expire_together)
{
	file("recordings/backup/young", 1);
	file("recordings/backup/old", 900);
	file("recordings/backup/created", 1);
	file("recordings/backup/other", 1);
	RUN(300, MOVE("x", "young"));
	RUN(200, CREATE("created"));
	RUN(99, MOVE("y", "old"));
	ck_assert_str_eq(
	    all(), "journal - 300\njournal - 200\nbackup created 200 run\nbackup young 300 run\n");
}
END_TEST

START_TEST(a_name_of_two_runs_goes_with_the_latest)
{
	file("recordings/backup/a", 500);
	file("recordings/backup/b", 500);
	RUN(300, MOVE("x", "a"), MOVE("x", "b"));
	RUN(200, MOVE("x", "b"));
	RUN(10, MOVE("x", "a"));
	ck_assert_str_eq(all(), "journal - 300\njournal - 200\nbackup b 200 run\n");
}
END_TEST

START_TEST(a_run_that_stands_keeps_what_it_mentions_anyhow)
{
	file("recordings/backup/a", 500);
	file("recordings/backup/b", 500);
	file("recordings/backup/c", 500);
	RUN(10, "{\"op\":\"file\",\"action\":\"later\",\"folder\":\"raw\",\"name\":\"a\"}",
	    "{\"op\":\"file\",\"to\":\"b\"}");
	ck_assert_str_eq(all(), "backup c 500\n");
}
END_TEST

START_TEST(an_expired_run_gives_up_only_what_it_put_into_backup)
{
	file("recordings/backup/source", 1);
	file("recordings/backup/elsewhere", 1);
	file("recordings/backup/bytes\xff", 1);
	RUN(200, MOVE("source", "gone"), MOVE("x", "../raw/y"), MOVE("x", ""),
	    "{\"op\":\"file\",\"action\":\"move\",\"folder\":\"raw\",\"name\":\"x\",\"to_folder\":"
	    "\"edited\",\"to\":\"elsewhere\"}",
	    "{\"op\":\"file\",\"action\":\"move\",\"folder\":\"raw\",\"name\":\"x\",\"to_folder\":"
	    "\"backup\",\"to_hex\":\"6279746573ff\"}");
	ck_assert_str_eq(all(), "journal - 200\nbackup bytes\xff 200 run\n");
}
END_TEST

/* As after a header was repaired: the row's file is another one by now. */
START_TEST(an_original_that_was_replaced_expires_while_the_row_has_a_file)
{
	sql("INSERT INTO recordings VALUES (1, 'x', NULL, 0, NULL, NULL), (2, 'y', NULL, 0, NULL, "
	    "NULL), (3, 'z', NULL, 0, NULL, NULL)");
	file("recordings/backup/x", 500);
	file("recordings/backup/y", 500);
	file("recordings/backup/z", 500);
	file("recordings/raw/y", 500);
	sql("INSERT INTO jobs VALUES ('1', 'recordings/backup/y', 'pending')");
	RUN(200, MOVE("x", "x"), MOVE("y", "y"));
	ck_assert_str_eq(all(), "journal - 200\n");
	file("recordings/raw/x", 500);
	file("recordings/edited/z", 500);
	ck_assert_str_eq(all(), "journal - 200\nbackup x 200 run\n");
}
END_TEST

START_TEST(a_run_without_an_end_never_expires)
{
	file("recordings/backup/a", 500);
	a_run(0, false, (const char *const[]){MOVE("x", "a"), NULL});
	a_run(0, false,
	    (const char *const[]){
		"{\"op\":\"rollback\",\"finished_at\":\"2001-01-01T00:00:00Z\"}", NULL});
	ck_assert_str_eq(all(), "");
}
END_TEST

START_TEST(a_run_that_was_taken_back_expires_with_that)
{
	file("recordings/backup/a", 1);
	a_run(300, true, (const char *const[]){CREATE("a"), NULL});
	a_run(300, false,
	    (const char *const[]){
		"{\"op\":\"rolled_back\",\"finished_at\":\"2001-01-01T00:00:00Z\"}", NULL});
	all();
	ck_assert_int_eq(strncmp(told, "journal - 300\njournal - ", 24), 0);
	ck_assert_ptr_nonnull(strstr(told, "backup a 300 run"));
}
END_TEST

START_TEST(the_future_has_no_age)
{
	file("recordings/backup/a", 500);
	RUN(-400, MOVE("x", "a"));
	ck_assert_str_eq(all(), "");
}
END_TEST

START_TEST(the_schema_waits_for_every_other)
{
	const char *last;
	char path[96];

	RUN(400, SCHEMA);
	RUN(300, "{\"op\":\"row\"}");
	RUN(250, SCHEMA);
	last = RUN(50, "{\"op\":\"row\"}");
	ck_assert_str_eq(all(), "journal - 300\n");
	snprintf(path, sizeof path, "db/journal/%s.jsonl", last);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_str_eq(all(), "journal - 300\njournal - 400\njournal - 250\n");
	RUN(99, SCHEMA);
	ck_assert_str_eq(all(), "journal - 300\n");
}
END_TEST

/* ---- damage ---- */

static const char *const damages[] = {"{\"op\":\"file\",\"action\":\"move\",\"name_hex\":\"zz\"}",
    "{\"op\":\"file\",\"action\":\"move\",\"name\":7}",
    "{\"op\":\"end\",\"finished_at\":\"long ago\"}", "{\"op\":\"end\"}"};

START_TEST(damage_keeps_backup)
{
	file("recordings/backup/of-a-run", 500);
	file("recordings/backup/other", 500);
	file("recordings/temp/x", 500);
	RUN(400, MOVE("x", "of-a-run"));
	RUN(300, "{\"op\":\"row\"}");
	RUN(290, SCHEMA);
	a_run(0, false, (const char *const[]){damages[_i], NULL});
	ck_assert_str_eq(all(), "temp x 500\njournal - 300\njournal - -1 damage\n");
}
END_TEST

START_TEST(a_journal_that_is_no_file_is_damage)
{
	static const char name[] = "db/journal/20200101T000000.000000Z-00000000.jsonl";

	file("recordings/backup/x", 500);
	ck_assert_str_eq(all(), "backup x 500\n");
	ck_assert_int_eq(_i == 0   ? symlink("/etc/passwd", name)
			 : _i == 1 ? mkfifo(name, 0600)
				   : mkdir(name, 0700),
	    0);
	ck_assert_str_eq(all(), "journal - -1 damage\n");
}
END_TEST

START_TEST(a_line_whose_bytes_changed_is_damage)
{
	const char *run = RUN(400, MOVE("x", "a"), "{\"op\":\"row\"}");
	char path[96], c;
	int fd;

	file("recordings/backup/a", 500);
	ck_assert_str_eq(all(), "journal - 400\nbackup a 400 run\n");
	snprintf(path, sizeof path, "db/journal/%s.jsonl", run);
	ck_assert_int_ne(fd = open(path, O_RDWR), -1);
	for (off_t at = 10; pread(fd, &c, 1, at) == 1; at += 37) {
		char other = (char)(c ^ 1);

		ck_assert_int_eq(pwrite(fd, &other, 1, at), 1);
		/* In the last line it is a torn end: the run has none. */
		ck_assert_msg(strcmp(all(), "") == 0 || strcmp(told, "journal - -1 damage\n") == 0,
		    "at %lld: %s", (long long)at, told);
		ck_assert_int_eq(pwrite(fd, &c, 1, at), 1);
	}
	close(fd);
}
END_TEST

/* ---- copies of the database ---- */

START_TEST(the_newest_copy_is_kept)
{
	file("db/app_backup_20240101_000000.db", 300);
	ck_assert_str_eq(all(), "");
	file("db/app_backup_20240103_000000.db", 300);
	file("db/app_backup_20240102_000000.db", 300);
	ck_assert_str_eq(all(), "database_copy app_backup_20240101_000000.db 300\n"
				"database_copy app_backup_20240102_000000.db 300\n");
	file("db/app_backup_20230101_000000.db", 5);
	ck_assert_str_eq(all(), "database_copy app_backup_20240101_000000.db 300\n"
				"database_copy app_backup_20240102_000000.db 300\n"
				"database_copy app_backup_20240103_000000.db 300\n");
	file("db/app_backup_20240102_000000.db-journal", 300);
	ck_assert_str_eq(all(), "database_copy app_backup_20240101_000000.db 300\n"
				"database_copy app_backup_20240103_000000.db 300\n");
}
END_TEST

START_TEST(the_database_is_no_copy_of_itself)
{
	struct timespec old[2] = {{.tv_sec = 1}, {.tv_sec = 1}};

	ck_assert_int_eq(rename("db/app.db", "db/app_backup_20240101_000000.db"), 0);
	ck_assert_int_eq(
	    setenv("DATABASE_URL", "sqlite:///db/app_backup_20240101_000000.db", 1), 0);
	ck_assert_int_eq(utimensat(AT_FDCWD, "db/app_backup_20240101_000000.db", old, 0), 0);
	file("db/app_backup_20240102_000000.db", 300);
	file("db/app_backup_20240103_000000.db", 200);
	ck_assert_str_eq(all(), "database_copy app_backup_20240102_000000.db 300\n");
}
END_TEST

/* ---- the callback ---- */

static int
refuse(void *ctx, const struct retention_item *item, struct err *err)
{
	(void)item;
	++*(int *)ctx;
	return err_set(err, ERR_SYSTEM, NULL, "enough");
}

START_TEST(an_error_of_the_callback_ends_it)
{
	int calls = 0;

	file("recordings/temp/a", 200);
	file("recordings/temp/b", 200);
	open_archive();
	ck_assert_int_eq(retention_each(&a, refuse, &calls, &e), -1);
	ck_assert_int_eq(calls, 1);
	ck_assert_str_eq(e.text, "enough");
}
END_TEST

static int
remove_it(void *ctx, const struct retention_item *item, struct err *err)
{
	++*(int *)ctx;
	return io_unlink(item->dirfd, item->name, err);
}

START_TEST(what_is_told_may_be_removed)
{
	char path[64];
	int calls = 0;

	for (int i = 0; i < 500; i++) {
		snprintf(path, sizeof path, "recordings/temp/%d", i);
		file(path, 200);
	}
	file("recordings/backup/a", 1);
	RUN(300, MOVE("x", "a"), SCHEMA);
	open_archive();
	ck_assert_int_eq(retention_each(&a, remove_it, &calls, &e), 0);
	ck_assert_int_eq(calls, 502);
	ck_assert_str_eq(all(), "");
}
END_TEST

START_TEST(a_signal_ends_it)
{
	atomic_int stop = SIGTERM;
	int calls = 0;

	file("recordings/temp/a", 200);
	ck_assert_int_eq(archive_open(&a, NULL, false, &stop, &e), 0);
	opened = true;
	ck_assert_int_eq(retention_each(&a, remove_it, &calls, &e), -1);
	ck_assert_int_eq(e.class, ERR_STOPPED);
	ck_assert_int_eq(calls, 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("retention");
	TCase *t = tcase_create("retention");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, an_empty_archive_has_nothing);
	tcase_add_test(t, the_day_it_expires);
	tcase_add_test(t, what_rows_and_jobs_name_is_kept);
	tcase_add_test(t, only_regular_files_without_a_dot_and_no_part);
	tcase_add_loop_test(t, a_folder_that_is_another_is_left_alone, 0, 6);
	tcase_add_test(t, temp_that_is_backup_is_backup);
	tcase_add_test(t, a_run_and_its_files_expire_together);
	tcase_add_test(t, a_name_of_two_runs_goes_with_the_latest);
	tcase_add_test(t, a_run_that_stands_keeps_what_it_mentions_anyhow);
	tcase_add_test(t, an_expired_run_gives_up_only_what_it_put_into_backup);
	tcase_add_test(t, an_original_that_was_replaced_expires_while_the_row_has_a_file);
	tcase_add_test(t, a_run_without_an_end_never_expires);
	tcase_add_test(t, a_run_that_was_taken_back_expires_with_that);
	tcase_add_test(t, the_future_has_no_age);
	tcase_add_test(t, the_schema_waits_for_every_other);
	tcase_add_loop_test(t, damage_keeps_backup, 0, sizeof damages / sizeof damages[0]);
	tcase_add_loop_test(t, a_journal_that_is_no_file_is_damage, 0, 3);
	tcase_add_test(t, a_line_whose_bytes_changed_is_damage);
	tcase_add_test(t, the_newest_copy_is_kept);
	tcase_add_test(t, the_database_is_no_copy_of_itself);
	tcase_add_test(t, an_error_of_the_callback_ends_it);
	tcase_add_test(t, what_is_told_may_be_removed);
	tcase_add_test(t, a_signal_ends_it);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
