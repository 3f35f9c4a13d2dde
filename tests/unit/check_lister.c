/*
 * lister: the objects of edited/, then of raw/, each in the order of the bytes of their keys, also
 * where several ranges are fetched at once; an early end does not hang, and an error in the middle
 * is told.
 */
#include "lister.h"

#include "remote_kind.h"
#include "sync_archive.h"

#define MANY 3000 /* more than ranges and queues hold */

static struct catalogue *c;

/* An object as another program puts it there. */
static void
lay(const char *key)
{
	char path[1100];

	snprintf(path, sizeof path, "../there/%s", key);
	put_file(path, key, strlen(key));
}

static void
folders(void)
{
	ck_assert_int_eq(mkdir("../there/raw", 0700) | mkdir("../there/edited", 0700), 0);
}

/* n objects, of which the catalogue knows so many: they cut the ranges. */
static void
lay_many(int n, int known)
{
	char key[64];

	folders();
	for (int i = 0; i < n; i++) {
		snprintf(key, sizeof key, "raw/take %05d.wav", i * 7919 % n);
		lay(key);
	}
	sql("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
	    " INSERT INTO recordings (id, filename, stored_filename)"
	    " SELECT i + 1, 'f' || i, printf('take %%05d.wav', i) FROM n",
	    known - 1);
}

static struct lister *
open_lister(void)
{
	struct lister *l;

	if (c == NULL)
		ck_assert_ptr_nonnull(c = sync_reader(&s, &e));
	l = lister_open(&s, c, &e);
	ck_assert_msg(l != NULL, "%s", e.text);
	return l;
}

static void
close_lister(struct lister *l)
{
	lister_close(l);
	catalogue_close(c);
	c = NULL;
}

/* Reads to the end: how many, in order, edited/ before raw/. */
static int
count(struct lister *l)
{
	static struct remote_object o;
	char before[REMOTE_KEY_MAX + 1] = "";
	int n = 0, rc;

	while ((rc = lister_next(l, &o, &e)) == 1) {
		ck_assert_msg(strcmp(before, o.key) < 0, "\"%s\" behind \"%s\"", o.key, before);
		ck_assert_int_eq(o.size_bytes, (int64_t)strlen(o.key));
		strcpy(before, o.key);
		n++;
	}
	ok(rc);
	ck_assert_int_eq(lister_next(l, &o, &e), 0);
	return n;
}

START_TEST(nothing_there)
{
	struct lister *l = open_lister();

	ck_assert_int_eq(count(l), 0);
	close_lister(l);
}
END_TEST

START_TEST(bytes_decide_the_order)
{
	static const char *const keys[] = {"edited/a", "edited/z", "raw/ b", "raw/%41", "raw/A",
	    "raw/a", "raw/a b", "raw/a!", "raw/z", "raw/\xc3\xa4", "raw/\xf0\x9f\x98\x80"};
	const size_t n = sizeof keys / sizeof keys[0];
	struct remote_object o;
	struct lister *l;

	folders();
	for (size_t i = 0; i < n; i++)
		lay(keys[(i * 5 + 3) % n]);
	/* None of these is an object. */
	ck_assert_int_eq(mkdir("../there/raw/folder", 0700), 0);
	ck_assert_int_eq(symlink("a", "../there/raw/link"), 0);
	lay("raw/\xff");
	lay("elsewhere");
	l = open_lister();
	for (size_t i = 0; i < n; i++) {
		ck_assert_int_eq(lister_next(l, &o, &e), 1);
		ck_assert_str_eq(o.key, keys[i]);
	}
	ck_assert_int_eq(lister_next(l, &o, &e), 0);
	close_lister(l);
}
END_TEST

/* Whatever the remote says of itself, the catalogue's keys may cut it into ranges. */
static void
as_ordered(void)
{
	s.remote->can.ordered = true;
}

START_TEST(ranges_hold_all_once)
{
	struct lister *l;

	lay_many(MANY, MANY);
	lay("edited/one");
	lay("raw/take 00899.wav.x");
	lay("raw/take 00900.wav ");
	lay("raw/zz");
	l = open_lister();
	ck_assert_int_eq(count(l), MANY + 4);
	close_lister(l);
	as_ordered();
	l = open_lister();
	ck_assert_int_eq(count(l), MANY + 4);
	close_lister(l);
}
END_TEST

/* The objects are beyond all that the catalogue knows: one range holds more than its queue. */
START_TEST(a_catalogue_that_knows_little)
{
	struct lister *l;

	lay_many(MANY, 1000);
	as_ordered();
	l = open_lister();
	ck_assert_int_eq(count(l), MANY);
	close_lister(l);
}
END_TEST

START_TEST(an_early_end_does_not_hang)
{
	struct remote_object o;
	struct lister *l;

	lay_many(MANY, 2000);
	for (int ordered = 0; ordered < 2; ordered++) {
		for (int n = 0; n <= 1200; n += 400) {
			l = open_lister();
			for (int i = 0; i < n; i++)
				ck_assert_int_eq(lister_next(l, &o, &e), 1);
			close_lister(l);
		}
		as_ordered();
	}
}
END_TEST

/* ---- errors ---- */

struct failing {
	struct remote_kind kind;
	const struct remote_kind *real;
	atomic_int left; /* objects until it fails, over all listings */
};
static struct failing failing;

static int
fail_in_the_middle(struct remote *r, void *own, struct remote_object *o, struct err *why)
{
	if (atomic_fetch_sub(&failing.left, 1) <= 0)
		return err_set(why, ERR_BUSY, P_REMOTE, "the remote is gone");
	return failing.real->list_next(r, own, o, why);
}

START_TEST(an_error_in_the_middle_is_told)
{
	struct remote_object o;
	struct lister *l;
	int n, rc;

	lay_many(MANY, MANY);
	failing.real = s.remote->kind;
	failing.kind = *failing.real;
	failing.kind.list_next = fail_in_the_middle;
	s.remote->kind = &failing.kind;
	for (int ordered = 0; ordered < 2; ordered++) {
		for (int at = 0; at < MANY; at += 1499) {
			atomic_store(&failing.left, at);
			e = (struct err){0};
			l = open_lister();
			for (n = 0; (rc = lister_next(l, &o, &e)) == 1; n++)
				;
			ck_assert_int_eq(rc, -1);
			ck_assert_int_le(n, at);
			ck_assert_int_eq(e.class, ERR_BUSY);
			ck_assert_str_eq(e.text, "the remote is gone");
			/* And stays so. */
			ck_assert_int_eq(lister_next(l, &o, &e), -1);
			close_lister(l);
		}
		as_ordered();
	}
	s.remote->kind = failing.real;
}
END_TEST

static void
add(TCase *tc)
{
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, nothing_there);
	tcase_add_test(tc, bytes_decide_the_order);
	tcase_add_test(tc, ranges_hold_all_once);
	tcase_add_test(tc, a_catalogue_that_knows_little);
	tcase_add_test(tc, an_early_end_does_not_hang);
	tcase_add_test(tc, an_error_in_the_middle_is_told);
}

int
main(void)
{
	return run_suite("lister", add);
}
