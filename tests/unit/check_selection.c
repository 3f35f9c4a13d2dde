/*
 * selection: which frames are wanted, at the edges: of the recording, of what is asked for, and
 * where silence, splits and bounds meet.
 */
#include <check.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "selection.h"

#define RATE 1000
#define FRAMES 10000

static struct selection_opts o;
static struct selection_of of;
static struct selection s;
static struct err e;

static void
setup(void)
{
	o = (struct selection_opts){.silence_dbfs = -60, .min_silence_s = 1};
	of = (struct selection_of){.rate_hz = RATE, .frames = FRAMES};
	s = (struct selection){0};
	e = (struct err){.class = ERR_NONE};
}

static void
teardown(void)
{
	selection_free(&s);
	selection_opts_free(&o);
}

static struct quantity_time
at(const char *text)
{
	struct quantity_time t;

	ck_assert_msg(quantity_time(text, &t, &e) == 0, "%s: %s", text, e.text);
	return t;
}

static void
from(const char *start, const char *end, const char *length)
{
	o.has_start = start != NULL;
	o.has_end = end != NULL;
	o.has_length = length != NULL;
	if (start != NULL)
		o.start = at(start);
	if (end != NULL)
		o.end = at(end);
	if (length != NULL)
		o.length = at(length);
}

static void
split(const char *text)
{
	ck_assert_msg(selection_split(text, &o, &e) == 0, "%s: %s", text, e.text);
}

/* The ranges: pairs of first and frames. */
static void
assert_ranges(size_t n, ...)
{
	va_list ap;

	selection_free(&s);
	ck_assert_msg(selection_make(&o, &of, &s, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(s.n, n);
	va_start(ap, n);
	for (size_t i = 0; i < n; i++) {
		ck_assert_uint_eq(s.ranges[i].first, va_arg(ap, unsigned));
		ck_assert_uint_eq(s.ranges[i].frames, va_arg(ap, unsigned));
	}
	va_end(ap);
}

static void
assert_refused(const char *code, const char *sentence)
{
	selection_free(&s);
	ck_assert_int_eq(selection_make(&o, &of, &s, &e), -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_str_eq(e.code, code);
	ck_assert_msg(strstr(e.text, sentence) != NULL, "%s", e.text);
}

/* ---- start, end, length ---- */

START_TEST(nothing_asked_for_is_all)
{
	assert_ranges(1, 0, FRAMES);
	of.frames = 1;
	assert_ranges(1, 0, 1);
	of.frames = 0;
	assert_refused(P_EMPTY, "no frame");
}
END_TEST

START_TEST(times_count_from_both_ends)
{
	from("1", "3", NULL);
	assert_ranges(1, 1000, 2000);
	from("-3", "-1", NULL);
	assert_ranges(1, 7000, 2000);
	from("-3", NULL, "500f");
	assert_ranges(1, 7000, 500);
	from(NULL, NULL, "10");
	assert_ranges(1, 0, FRAMES);
	from("-10", "-0", NULL);
	assert_ranges(1, 0, FRAMES);
	from("9999f", "10000f", NULL);
	assert_ranges(1, 9999, 1);
	/* To the nearest frame. */
	from("1.0004", "1.0005", NULL);
	assert_ranges(1, 1000, 1);
}
END_TEST

START_TEST(no_frame_is_refused)
{
	from("3", "3", NULL);
	assert_refused(P_BAD_RECORD, "the end is to be behind the start");
	from("3", "1", NULL);
	assert_refused(P_BAD_RECORD, "the end is to be behind the start");
	from("10", NULL, NULL);
	assert_refused(P_BAD_RECORD, "no frame");
	from("-0", NULL, NULL);
	assert_refused(P_BAD_RECORD, "no frame");
	from("1", NULL, "0");
	assert_refused(P_BAD_RECORD, "no frame");
	from("0.0001", "0.0002", NULL);
	assert_refused(P_BAD_RECORD, "no frame");
}
END_TEST

START_TEST(outside_is_refused)
{
	from("10.001", NULL, NULL);
	assert_refused(P_BAD_RECORD, "the start 10.001 s lies outside: the recording has 10.0");
	from("-10001f", NULL, NULL);
	assert_refused(P_BAD_RECORD, "the start 10001 frames from the end lies outside");
	from(NULL, "11", NULL);
	assert_refused(P_BAD_RECORD, "the end 11 s lies outside");
	from("1", NULL, "9001f");
	assert_refused(P_BAD_RECORD, "the length 9001 frames lies outside");
	from("1", NULL, "18446744073709551615f");
	assert_refused(P_BAD_RECORD, "lies outside");
	from(NULL, "18446744073709551615f", NULL);
	assert_refused(P_BAD_RECORD, "lies outside");
}
END_TEST

/* ---- parts ---- */

START_TEST(every_counts_from_the_start_that_was_asked_for)
{
	split("every=4");
	assert_ranges(3, 0, 4000, 4000, 4000, 8000, 2000);
	from("0.5", "-0.5", NULL);
	assert_ranges(3, 500, 4000, 4500, 4000, 8500, 1000);
	from(NULL, NULL, NULL);
	split("every=10");
	assert_ranges(1, 0, FRAMES);
	split("every=5");
	assert_ranges(2, 0, 5000, 5000, 5000);
	split("every=100");
	assert_ranges(1, 0, FRAMES);
	split("every=9999f");
	assert_ranges(2, 0, 9999, 9999, 1);
	/* Rounded to the nearest frame, the last cut is the end. */
	split("every=3.333333333");
	assert_ranges(3, 0, 3333, 3333, 3334, 6667, 3333);
}
END_TEST

START_TEST(every_does_not_add_up)
{
	split("every=0.3335");
	selection_free(&s);
	ck_assert_int_eq(selection_make(&o, &of, &s, &e), 0);
	ck_assert_uint_eq(s.n, 30);
	for (unsigned i = 0; i < s.n; i++)
		ck_assert_uint_eq(s.ranges[i].first, (i * 3335 + 5) / 10);
}
END_TEST

START_TEST(splits_at_the_ends_and_twice_make_no_part)
{
	split("at=0,5,10,5,-5,-0");
	assert_ranges(2, 0, 5000, 5000, 5000);
	split("at=9,1,-2");
	assert_ranges(4, 0, 1000, 1000, 7000, 8000, 1000, 9000, 1000);
	split("at=0");
	assert_ranges(1, 0, FRAMES);
	from("2", "4", NULL);
	split("at=1,2,3,4,5");
	assert_ranges(2, 2000, 1000, 3000, 1000);
	split("at=1,11");
	assert_refused(P_BAD_RECORD, "the split 11 s lies outside");
}
END_TEST

START_TEST(cues_split_in_any_order)
{
	static const uint64_t cues[] = {7000, 0, 3000, 7000, 10000, 99999, UINT64_MAX};

	of.cues = cues;
	of.n_cues = sizeof cues / sizeof *cues;
	split("cues");
	assert_ranges(3, 0, 3000, 3000, 4000, 7000, 3000);
	from("4", "6", NULL);
	assert_ranges(1, 4000, 2000);
	of.n_cues = 0;
	assert_ranges(1, 4000, 2000);
}
END_TEST

START_TEST(there_is_a_most_of_parts)
{
	of.frames = SELECTION_MAX;
	split("every=1f");
	ck_assert_int_eq(selection_make(&o, &of, &s, &e), 0);
	ck_assert_uint_eq(s.n, SELECTION_MAX);
	of.frames = SELECTION_MAX + 1;
	assert_refused(P_TOO_LARGE, "more than 9999 parts");
	of.frames = UINT64_MAX;
	assert_refused(P_TOO_LARGE, "more than 9999 parts");
	/* Those that make no part do not count. */
	from(NULL, NULL, "100f");
	ck_assert_int_eq(selection_make(&o, &of, &s, &e), 0);
	ck_assert_uint_eq(s.n, 100);
}
END_TEST

START_TEST(a_split_is_one_of_these)
{
	static const char *const bad[] = {"", "every", "every=", "every=0", "every=-1", "every=0f",
	    "at", "at=", "at=1,", "at=1,,2", "at=x", "noise", "cues=", "silence "};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ck_assert_msg(selection_split(bad[i], &o, &e) == -1, "%s", bad[i]);
		ck_assert_int_eq(e.class, ERR_USAGE);
	}
}
END_TEST

/* ---- silence ---- */

static struct pause list[] = {{0, 1500}, {4000, 2000}, {8500, 1500}};
static const struct pauses pauses = {.rate_hz = RATE,
    .frames = FRAMES,
    .sound_first = 1500,
    .sound_end = 8500,
    .list = list,
    .n = 3};

START_TEST(silence_goes_at_both_ends)
{
	ck_assert(!selection_needs_pauses(&o));
	o.silence = true;
	ck_assert(selection_needs_pauses(&o));
	of.pauses = &pauses;
	assert_ranges(1, 1500, 7000);
	/* Bounds within a pause, and within sound. */
	from("4.5", NULL, NULL);
	assert_ranges(1, 6000, 2500);
	from("2", "5", NULL);
	assert_ranges(1, 2000, 2000);
	from("2", "3", NULL);
	assert_ranges(1, 2000, 1000);
	from("4", "6", NULL);
	assert_refused(P_EMPTY, "nothing but silence");
	from("4.5", "5", NULL);
	assert_refused(P_EMPTY, "nothing but silence");
	from(NULL, "1.5", NULL);
	assert_refused(P_EMPTY, "nothing but silence");
	from(NULL, "1501f", NULL);
	assert_ranges(1, 1500, 1);
}
END_TEST

START_TEST(all_may_be_silent)
{
	static struct pause whole[] = {{0, FRAMES}};
	struct pauses all = {.rate_hz = RATE,
	    .frames = FRAMES,
	    .sound_first = FRAMES,
	    .sound_end = 0,
	    .list = whole,
	    .n = 1};

	of.pauses = &all;
	split("silence");
	assert_ranges(1, 0, FRAMES);
	o.silence = true;
	assert_refused(P_EMPTY, "nothing but silence");
	/* Shorter than a pause, it is at the ends all the same. */
	all.n = 0;
	assert_refused(P_EMPTY, "nothing but silence");
}
END_TEST

START_TEST(pauses_split_in_their_middle)
{
	split("silence");
	ck_assert(selection_needs_pauses(&o));
	of.pauses = &pauses;
	assert_ranges(2, 0, 5000, 5000, 5000);
	o.silence = true;
	assert_ranges(2, 1500, 2500, 6000, 2500);
	/* A pause at an end of what was asked for is none between parts. */
	o.silence = false;
	from("4.5", NULL, NULL);
	assert_ranges(1, 4500, 5500);
	from(NULL, "5.5", NULL);
	assert_ranges(1, 0, 5500);
	from("3.999", "6.001", NULL);
	assert_ranges(2, 3999, 1001, 5000, 1001);
}
END_TEST

START_TEST(parts_of_silence_are_left_out)
{
	split("at=1,4.2,5.8");
	of.pauses = &pauses;
	o.silence = true;
	assert_ranges(2, 1500, 2500, 6000, 2500);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("selection");
	TCase *t = tcase_create("make");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, nothing_asked_for_is_all);
	tcase_add_test(t, times_count_from_both_ends);
	tcase_add_test(t, no_frame_is_refused);
	tcase_add_test(t, outside_is_refused);
	tcase_add_test(t, every_counts_from_the_start_that_was_asked_for);
	tcase_add_test(t, every_does_not_add_up);
	tcase_add_test(t, splits_at_the_ends_and_twice_make_no_part);
	tcase_add_test(t, cues_split_in_any_order);
	tcase_add_test(t, there_is_a_most_of_parts);
	tcase_add_test(t, a_split_is_one_of_these);
	tcase_add_test(t, silence_goes_at_both_ends);
	tcase_add_test(t, all_may_be_silent);
	tcase_add_test(t, pauses_split_in_their_middle);
	tcase_add_test(t, parts_of_silence_are_left_out);
	suite_add_tcase(suite, t);
	r = srunner_create(suite);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
