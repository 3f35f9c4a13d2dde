/* filechange: a change is taken back from every state that a kill can leave, and what somebody else
 * made stays. */
#include "filechange.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"

static char root[] = "/tmp/check_filechange.XXXXXX";
static struct archive a;
static struct err e, conflict;

static void
setup(void)
{
	static const char *const names[] = {"raw", "edited", "temp", "backup"};
	int dir;

	memcpy(root + strlen(root) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(root));
	dir = open(root, O_RDONLY | O_DIRECTORY);
	for (int f = 0; f < FOLDERS; f++) {
		ck_assert_int_eq(mkdirat(dir, names[f], 0700), 0);
		a.folders[f] = openat(dir, names[f], O_RDONLY | O_DIRECTORY);
		a.paths[f] = names[f];
	}
	close(dir);
	e = conflict = (struct err){0};
}

static void
teardown(void)
{
	char command[128];

	for (int f = 0; f < FOLDERS; f++)
		close(a.folders[f]);
	snprintf(command, sizeof command, "rm -rf -- '%s'", root);
	ck_assert_int_eq(system(command), 0);
}

static void
put(enum folder f, const char *name, const char *text)
{
	int fd = openat(a.folders[f], name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* The text of a file, or "" when it is not there. */
static const char *
text(enum folder f, const char *name)
{
	static char buffers[4][64];
	static unsigned n;
	char *s = buffers[n++ % 4];
	int fd = openat(a.folders[f], name, O_RDONLY);
	ssize_t len = fd == -1 ? 0 : read(fd, s, 63);

	s[len > 0 ? len : 0] = '\0';
	if (fd != -1)
		close(fd);
	return s;
}

static void
digest(const char *of, char sum[HASH_SHA256_HEX])
{
	int fd;

	put(FOLDER_TEMP, "sum", of);
	fd = openat(a.folders[FOLDER_TEMP], "sum", O_RDONLY);
	ck_assert_int_eq(io_digest(fd, HASH_XXH3_128, false, NULL, NULL, sum, &e), 0);
	close(fd);
}

static struct json *
line(const char *action, const char *name, const char *to)
{
	struct json *l = filechange_line(action, FOLDER_RAW, name, FOLDER_BACKUP, to, &e);
	char before[HASH_SHA256_HEX], after[HASH_SHA256_HEX];

	ck_assert_ptr_nonnull(l);
	digest("old", before);
	digest("new", after);
	ck_assert_int_eq(json_put_str(l, "xxh3_128_before", before, &e), 0);
	ck_assert_int_eq(json_put_str(l, "xxh3_128_after", after, &e), 0);
	ck_assert_int_eq(json_put_str(l, "from", "a.part", &e), 0);
	return l;
}

static int
undo(const char *action, const char *name, const char *to)
{
	struct json *l = line(action, name, to);
	int rc = filechange_undo(&a, l, &conflict, &e);

	ck_assert_msg(rc != -1, "%s", e.text);
	/* Again: it is taken back already. */
	if (rc == 0)
		ck_assert_int_eq(filechange_undo(&a, l, &conflict, &e), 0);
	else
		ck_assert_str_eq(conflict.code, P_CONFLICT);
	json_free(l);
	return rc;
}

START_TEST(a_replaced_file_comes_back_from_every_state)
{
	/* Announced alone; with a link; with a copy. */
	put(FOLDER_RAW, "a", "old");
	ck_assert_int_eq(undo("replace", "a", "b"), 0);
	ck_assert_int_eq(linkat(a.folders[FOLDER_RAW], "a", a.folders[FOLDER_BACKUP], "b", 0), 0);
	ck_assert_int_eq(undo("replace", "a", "b"), 0);
	ck_assert_str_eq(text(FOLDER_RAW, "a"), "old");
	ck_assert_str_eq(text(FOLDER_BACKUP, "b"), "");
	put(FOLDER_BACKUP, "b", "old");
	ck_assert_int_eq(undo("replace", "a", "b"), 0);
	ck_assert_str_eq(text(FOLDER_BACKUP, "b"), "");
	/* Replaced; the new one gone. */
	put(FOLDER_RAW, "a", "new");
	put(FOLDER_BACKUP, "b", "old");
	ck_assert_int_eq(undo("replace", "a", "b"), 0);
	ck_assert_str_eq(text(FOLDER_RAW, "a"), "old");
	ck_assert_str_eq(text(FOLDER_BACKUP, "b"), "");
	ck_assert_int_eq(renameat(a.folders[FOLDER_RAW], "a", a.folders[FOLDER_BACKUP], "b"), 0);
	ck_assert_int_eq(undo("replace", "a", "b"), 0);
	ck_assert_str_eq(text(FOLDER_RAW, "a"), "old");
}
END_TEST

START_TEST(what_was_changed_since_it_was_replaced_stays)
{
	put(FOLDER_RAW, "a", "edited");
	put(FOLDER_BACKUP, "b", "old");
	ck_assert_int_eq(undo("replace", "a", "b"), 1);
	ck_assert_str_eq(text(FOLDER_RAW, "a"), "edited");
	ck_assert_str_eq(text(FOLDER_BACKUP, "b"), "old");
	/* A backup that is another file; none. */
	put(FOLDER_RAW, "a", "new");
	put(FOLDER_BACKUP, "b", "theirs");
	ck_assert_int_eq(undo("replace", "a", "b"), 1);
	ck_assert_str_eq(text(FOLDER_RAW, "a"), "new");
	ck_assert_str_eq(text(FOLDER_BACKUP, "b"), "theirs");
	ck_assert_int_eq(unlinkat(a.folders[FOLDER_BACKUP], "b", 0), 0);
	ck_assert_int_eq(undo("replace", "a", "b"), 1);
	ck_assert_str_eq(text(FOLDER_RAW, "a"), "new");
}
END_TEST

START_TEST(a_finished_file_goes_to_backup_and_the_part_comes_back)
{
	put(FOLDER_RAW, "a.part", "old");
	ck_assert_int_eq(undo("finish", "a", "a.part"), 0);
	ck_assert_str_eq(text(FOLDER_RAW, "a.part"), "old");
	/* Made; and given its row. Never over what is in backup. */
	put(FOLDER_BACKUP, "a", "theirs");
	put(FOLDER_RAW, "a", "new");
	ck_assert_int_eq(undo("finish", "a", "a.part"), 0);
	ck_assert_str_eq(text(FOLDER_RAW, "a"), "");
	ck_assert_str_eq(text(FOLDER_BACKUP, "a"), "theirs");
	ck_assert_str_eq(text(FOLDER_BACKUP, "a.2"), "new");
	put(FOLDER_RAW, "a", "new");
	ck_assert_int_eq(
	    renameat(a.folders[FOLDER_RAW], "a.part", a.folders[FOLDER_BACKUP], "a.part"), 0);
	ck_assert_int_eq(undo("finish", "a", "a.part"), 0);
	ck_assert_str_eq(text(FOLDER_RAW, "a.part"), "old");
	ck_assert_str_eq(text(FOLDER_BACKUP, "a.3"), "new");
	/* Somebody's file of that name. */
	put(FOLDER_RAW, "a", "edited");
	ck_assert_int_eq(undo("finish", "a", "a.part"), 1);
	ck_assert_str_eq(text(FOLDER_RAW, "a"), "edited");
}
END_TEST

START_TEST(a_created_file_and_a_moved_one_go_back_but_over_nothing)
{
	put(FOLDER_RAW, "a", "new");
	ck_assert_int_eq(undo("create", "a", NULL), 0);
	ck_assert_str_eq(text(FOLDER_BACKUP, "a"), "new");
	put(FOLDER_RAW, "a", "new");
	ck_assert_int_eq(undo("create", "a", NULL), 1);
	ck_assert_str_eq(text(FOLDER_RAW, "a"), "new");
	ck_assert_int_eq(undo("move", "b", "a"), 0);
	ck_assert_str_eq(text(FOLDER_RAW, "b"), "new");
	put(FOLDER_BACKUP, "c", "mine");
	ck_assert_int_eq(undo("move", "b", "c"), 1);
	ck_assert_str_eq(text(FOLDER_RAW, "b"), "new");
	ck_assert_str_eq(text(FOLDER_BACKUP, "c"), "mine");
}
END_TEST

START_TEST(a_line_that_is_not_understood_is_an_error)
{
	struct json *l = line("explode", "a", "b");

	ck_assert_int_eq(filechange_undo(&a, l, &conflict, &e), -1);
	ck_assert_int_eq(e.class, ERR_CATALOGUE);
	json_free(l);
	l = line("replace", "a", "b");
	json_del(l, "xxh3_128_after");
	ck_assert_int_eq(filechange_undo(&a, l, &conflict, &e), -1);
	json_free(l);
	l = line("finish", "a", "b");
	json_del(l, "from");
	ck_assert_int_eq(filechange_undo(&a, l, &conflict, &e), -1);
	json_free(l);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("filechange");
	TCase *t = tcase_create("filechange");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_replaced_file_comes_back_from_every_state);
	tcase_add_test(t, what_was_changed_since_it_was_replaced_stays);
	tcase_add_test(t, a_finished_file_goes_to_backup_and_the_part_comes_back);
	tcase_add_test(t, a_created_file_and_a_moved_one_go_back_but_over_nothing);
	tcase_add_test(t, a_line_that_is_not_understood_is_an_error);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
