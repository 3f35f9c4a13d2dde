/*
 * plan: what follows from what is here and what is there: every action, from states that are made
 * in an archive and its remote; plan_one decides as the walk does.
 */
#include "plan.h"

#include "ledger.h"
#include "remote_kind.h"
#include "sync_archive.h"

/* An object that is there and proven; of a recording, or 0. */
static void
proven(int64_t recording, const char *key, const char *bytes)
{
	struct catalogue_object o = {.recording_id = recording,
	    .size_bytes = (int64_t)strlen(bytes),
	    .proof = "read",
	    .proven_at = "2026-01-02T03:04:05Z"};
	struct remote_object there;

	put_object(key, bytes, &there);
	snprintf(o.key, sizeof o.key, "%s", key);
	strcpy(o.tag, there.tag);
	sha256_of(bytes, strlen(bytes), o.sha256);
	ok(ledger_prove(&s, &o, 1, &e));
}

/* Another program puts other bytes there. */
static void
overwrite(const char *key, const char *bytes)
{
	char path[512];

	snprintf(path, sizeof path, "../there/%s", key);
	put_file(path, bytes, strlen(bytes));
}

static void
lose(const char *key)
{
	char path[512];

	snprintf(path, sizeof path, "../there/%s", key);
	ck_assert_int_eq(unlink(path), 0);
}

/* The plan in lines "KEY ACTION[ FROM]". */
static void
plan_is(const struct plan_opts *o, const char *want)
{
	char got[4096] = "", *end = got;
	struct plan *p = plan_open(&s, o, &e);
	struct plan_item *item;
	int rc;

	ck_assert_msg(p != NULL, "%s", e.text);
	while ((rc = plan_next(p, &item, &e)) == 1) {
		end += sprintf(end, "%s %s%s%s\n", item->row.key, action_name(item->action),
		    item->action == ACTION_RENAME ? " " : "",
		    item->action == ACTION_RENAME ? item->from.key : "");
		ck_assert_msg(item->action == ACTION_NONE || item->why[0] != '\0', "%s", got);
		plan_item_free(item);
	}
	ok(rc);
	plan_close(p);
	ck_assert_str_eq(got, want);
}

/* What plan_one decides of a recording. */
static void
one_is(int64_t id, const struct plan_opts *o, enum action want)
{
	struct catalogue *c = sync_reader(&s, &e);
	struct plan_item *item;

	ck_assert_ptr_nonnull(c);
	item = plan_one(&s, c, id, o, &e);
	ck_assert_msg(item != NULL, "%s", e.text);
	ck_assert_str_eq(action_name(item->action), action_name(want));
	plan_item_free(item);
	catalogue_close(c);
}

static const struct plan_opts usual = {.renames = true}, all = {.all = true, .renames = true},
			      deleted = {.deleted = true, .renames = true}, stay = {0};

START_TEST(an_empty_archive_and_an_empty_remote)
{
	plan_is(&usual, "");
	plan_is(&all, "");
}
END_TEST

START_TEST(none_and_upload)
{
	record(1, "a.wav", "aaa");
	record(2, "b.wav", "bbb");
	plan_is(&usual, "raw/a.wav upload\nraw/b.wav upload\n");
	proven(1, "raw/a.wav", "aaa");
	plan_is(&usual, "raw/b.wav upload\n");
	plan_is(&all, "raw/a.wav none\nraw/b.wav upload\n");
	one_is(1, &usual, ACTION_NONE);
	one_is(2, &usual, ACTION_UPLOAD);
	/* What was there and is gone. */
	lose("raw/a.wav");
	plan_is(&usual, "raw/a.wav upload\nraw/b.wav upload\n");
	one_is(1, &usual, ACTION_UPLOAD);
}
END_TEST

START_TEST(replace_when_ours_is_there_and_other_bytes_are_recorded)
{
	record(1, "a.wav", "aaa");
	proven(1, "raw/a.wav", "old");
	plan_is(&usual, "raw/a.wav replace\n");
	one_is(1, &usual, ACTION_REPLACE);
	/* Never measured: whether it is the same shows when it is read. */
	sql("UPDATE recordings SET checksum = NULL, filesize_bytes = NULL");
	plan_is(&usual, "raw/a.wav replace\n");
}
END_TEST

START_TEST(prove_what_was_never_compared_or_is_not_as_it_was)
{
	struct remote_object there;

	record(1, "a.wav", "aaa");
	record(2, "b.wav", "bbb");
	put_object("raw/a.wav", "aaa", &there);
	proven(2, "raw/b.wav", "bbb");
	plan_is(&usual, "raw/a.wav prove\n");
	overwrite("raw/b.wav", "xxx");
	plan_is(&usual, "raw/a.wav prove\nraw/b.wav prove\n");
	one_is(2, &usual, ACTION_PROVE);
	overwrite("raw/b.wav", "longer");
	plan_is(&usual, "raw/a.wav prove\nraw/b.wav prove\n");
	/* Other bytes are recorded now, and the object is not ours either: never replaced. */
	sql("UPDATE recordings SET checksum = '%064d' WHERE id = 2", 1);
	plan_is(&usual, "raw/a.wav prove\nraw/b.wav prove\n");
}
END_TEST

START_TEST(rename_when_the_bytes_are_there_under_another_key)
{
	record(1, "new.wav", "aaa");
	proven(1, "raw/old.wav", "aaa");
	plan_is(&usual, "raw/new.wav rename raw/old.wav\nraw/old.wav delete\n");
	one_is(1, &usual, ACTION_RENAME);
	plan_is(&stay, "raw/new.wav upload\nraw/old.wav delete\n");
	one_is(1, &stay, ACTION_UPLOAD);
	/* Other bytes are no rename. */
	sql("UPDATE recordings SET checksum = '%064d'", 1);
	plan_is(&usual, "raw/new.wav upload\nraw/old.wav delete\n");
}
END_TEST

START_TEST(two_recordings_that_changed_names)
{
	record(1, "a.wav", "one");
	record(2, "b.wav", "two");
	proven(2, "raw/a.wav", "two");
	proven(1, "raw/b.wav", "one");
	plan_is(&usual, "raw/a.wav rename raw/b.wav\nraw/b.wav rename raw/a.wav\n");
	plan_is(&stay, "raw/a.wav replace\nraw/b.wav replace\n");
}
END_TEST

/* A copy of the same bytes whose object stays where it is, since a recording has it. */
START_TEST(the_same_bytes_twice_are_no_rename)
{
	record(1, "a.wav", "same");
	proven(1, "raw/a.wav", "same");
	record(2, "b.wav", "same");
	plan_is(&usual, "raw/b.wav upload\n");
}
END_TEST

START_TEST(delete_foreign_and_forget)
{
	struct remote_object there;

	proven(0, "raw/gone.wav", "aaa");
	proven(0, "raw/lost.wav", "bbb");
	lose("raw/lost.wav");
	proven(0, "raw/taken.wav", "ccc");
	overwrite("raw/taken.wav", "another");
	put_object("raw/other.wav", "ddd", &there);
	put_object("edited/other.wav", "ddd", &there);
	plan_is(&usual, "edited/other.wav foreign\nraw/gone.wav delete\nraw/lost.wav forget\n"
			"raw/other.wav foreign\nraw/taken.wav foreign\n");
}
END_TEST

START_TEST(softly_deleted_ones_are_skipped_unless_they_were_sent)
{
	record(1, "a.wav", "aaa");
	record(2, "b.wav", "bbb");
	proven(2, "raw/b.wav", "bbb");
	record(3, "c.wav", "ccc");
	sql("UPDATE recordings SET status = 'deleted' WHERE id < 3");
	plan_is(&usual, "raw/c.wav upload\n");
	plan_is(&all, "raw/a.wav skip\nraw/b.wav none\nraw/c.wav upload\n");
	plan_is(&deleted, "raw/a.wav upload\nraw/c.wav upload\n");
	one_is(1, &usual, ACTION_SKIP);
	one_is(1, &deleted, ACTION_UPLOAD);
	one_is(2, &usual, ACTION_NONE);
}
END_TEST

START_TEST(one_that_is_gone_and_a_run_that_stops)
{
	struct catalogue *c = sync_reader(&s, &e);
	struct plan_item *item;
	struct plan *p;

	ck_assert_ptr_null(plan_one(&s, c, 99, &usual, &e));
	refused(-1, P_MISSING);
	catalogue_close(c);
	record(1, "a.wav", "aaa");
	ck_assert_ptr_nonnull(p = plan_open(&s, &usual, &e));
	atomic_store(&tool_stop, 2);
	ck_assert_int_eq(plan_next(p, &item, &e), -1);
	ck_assert_int_eq(e.class, ERR_STOPPED);
	plan_close(p);
}
END_TEST

START_TEST(a_record_says_what_and_why)
{
	struct catalogue *c;
	struct plan_item *item;
	struct json *rec;

	record(1, "new.wav", "aaa");
	proven(1, "raw/old.wav", "aaa");
	ck_assert_ptr_nonnull(c = sync_reader(&s, &e));
	ck_assert_ptr_nonnull(item = plan_one(&s, c, 1, &usual, &e));
	ok(plan_record(&s, c, item, &rec, &e));
	ck_assert_str_eq(json_get_str(rec, "action"), "rename");
	ck_assert_str_eq(json_get_str(rec, "key"), "raw/new.wav");
	ck_assert_str_eq(json_get_str(rec, "from_key"), "raw/old.wav");
	ck_assert_str_eq(json_get_str(rec, "remote"), s.url);
	ck_assert_str_eq(json_get_str(rec, "stored_filename"), "new.wav");
	json_free(rec);
	plan_item_free(item);
	catalogue_close(c);
}
END_TEST

static void
add(TCase *tc)
{
	tcase_add_test(tc, an_empty_archive_and_an_empty_remote);
	tcase_add_test(tc, none_and_upload);
	tcase_add_test(tc, replace_when_ours_is_there_and_other_bytes_are_recorded);
	tcase_add_test(tc, prove_what_was_never_compared_or_is_not_as_it_was);
	tcase_add_test(tc, rename_when_the_bytes_are_there_under_another_key);
	tcase_add_test(tc, two_recordings_that_changed_names);
	tcase_add_test(tc, the_same_bytes_twice_are_no_rename);
	tcase_add_test(tc, delete_foreign_and_forget);
	tcase_add_test(tc, softly_deleted_ones_are_skipped_unless_they_were_sent);
	tcase_add_test(tc, one_that_is_gone_and_a_run_that_stops);
	tcase_add_test(tc, a_record_says_what_and_why);
}

int
main(void)
{
	return run_suite("plan", add);
}
