/*
 * timeline and drift: when frames were captured, and times of the clock.
 */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "clock.h"
#include "drift.h"
#include "timeline.h"

static void
expect(struct timespec t, time_t s, long ns)
{
	ck_assert_int_eq(t.tv_sec, s);
	ck_assert_int_eq(t.tv_nsec, ns);
}

START_TEST(frames_have_times)
{
	struct timeline t = {.rate_hz = 44100};

	expect(timeline_at(&t, 7), 0, 0);
	timeline_begin(&t, 1000, (struct timespec){100, 999999999});
	expect(timeline_at(&t, 1000), 100, 999999999);
	expect(timeline_at(&t, 1001), 101, 22674);
	expect(timeline_at(&t, 1000 + UINT64_C(44100) * 86400 * 365), 100 + 86400 * 365, 999999999);
	t.lost = 44100;
	expect(timeline_at(&t, 1000), 101, 999999999);
	/* Ten in a million too fast: what took an hour by its count took 36 ms less. */
	t.lost = 0;
	t.drift_ppm = 10;
	expect(timeline_at(&t, 1000 + 44100 * 3600), 3700, 963999999);
	t.drift_ppm = -10;
	expect(timeline_at(&t, 1000 + 44100 * 3600), 3701, 35999999);
}
END_TEST

START_TEST(times_have_frames)
{
	static const unsigned rates[] = {8000, 44100, 48000, 192000};
	struct timeline t = {.rate_hz = rates[_i]};

	timeline_begin(&t, 500, (struct timespec){1790000000, 123456789});
	for (uint64_t n = 500; n < UINT64_C(1) << 40; n = n * 3 + 1)
		ck_assert_uint_eq(timeline_frame(&t, timeline_at(&t, n)), n);
	ck_assert_uint_eq(
	    timeline_frame(&t, (struct timespec){1790000000 + 1, 123456789}), 500 + rates[_i]);
	ck_assert_uint_eq(timeline_frame(&t, (struct timespec){1790000000 - 5, 0}), 500);
	t.lost = rates[_i];
	ck_assert_uint_eq(timeline_frame(&t, (struct timespec){1790000000 + 1, 0}), 500);
	ck_assert_uint_eq(
	    timeline_frame(&t, (struct timespec){1790000000 + 2, 123456789}), 500 + rates[_i]);
}
END_TEST

/* Periods of 2400 frames of a device that is `ppm` fast, each seen up to 2 ms late. */
static void
feed(struct drift *d, double ppm, double from_s, double to_s)
{
	for (double s = from_s; s < to_s; s += 0.05)
		drift_add(d, (uint64_t)(s * 48000),
		    (int64_t)(s / (1 + ppm / 1e6) * 1e9) + random() % 2000000);
}

START_TEST(drift_is_found_in_jitter)
{
	static const double wanted[] = {0, 37.5, -120, 1000};
	struct drift d;
	double ppm = NAN;

	srandom(1);
	drift_start(&d, 48000);
	ck_assert(!drift_ppm(&d, &ppm));
	feed(&d, wanted[_i], 0, 5);
	ck_assert(!drift_ppm(&d, &ppm));
	feed(&d, wanted[_i], 5, 120);
	ck_assert(drift_ppm(&d, &ppm));
	ck_assert_msg(fabs(ppm - wanted[_i]) < 5, "%f", ppm);
}
END_TEST

START_TEST(a_stop_is_no_drift)
{
	struct drift d;
	double ppm;

	srandom(2);
	drift_start(&d, 48000);
	drift_break(&d);
	feed(&d, 20, 0, 60);
	drift_break(&d);
	/* An hour later by the clock, and not by the frames. */
	for (double s = 60; s < 120; s += 0.05)
		drift_add(&d, (uint64_t)(s * 48000),
		    (int64_t)((s / (1 + 20e-6) + 3600) * 1e9) + random() % 2000000);
	ck_assert(drift_ppm(&d, &ppm));
	ck_assert_msg(fabs(ppm - 20) < 5, "%f", ppm);
}
END_TEST

START_TEST(times_are_read_as_they_are_written)
{
	struct timespec t, again;
	char text[CLOCK_TEXT_MAX];

	srandom(3);
	for (int i = 0; i < 1000; i++) {
		t = (struct timespec){random() * 2, random() % 1000000000};
		ck_assert(clock_parse(clock_rfc3339(t, text), &again));
		expect(again, t.tv_sec, t.tv_nsec);
	}
	ck_assert(clock_parse("2026-05-01T16:30:00.5Z", &t));
	expect(t, 1777653000, 500000000);
	ck_assert(!clock_parse("2026-05-01 16:30:00Z", &again));
	ck_assert(!clock_parse("18:30", &again));
}
END_TEST

START_TEST(clocks_show_a_time_every_day)
{
	struct timespec now = {1777653000, 5}, t; /* 18:30 in Berlin */

	ck_assert_int_eq(setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1), 0);
	tzset();
	ck_assert(clock_next("18:31", now, &t));
	expect(t, 1777653060, 0);
	ck_assert(clock_next("18:30:30", now, &t));
	expect(t, 1777653030, 0);
	ck_assert(clock_next("18:30", now, &t));
	expect(t, 1777653000 + 86400, 0);
	/* The night before summer time has 23 hours: 2026-03-28 12:00 to the next noon. */
	now.tv_sec = 1774695600;
	ck_assert(clock_next("12:00", now, &t));
	expect(t, 1774695600 + 23 * 3600, 0);
	ck_assert(!clock_next("24:00", now, &t));
	ck_assert(!clock_next("1:30", now, &t));
	ck_assert(!clock_next("12:60", now, &t));
	ck_assert(!clock_next("12:00:0", now, &t));
	ck_assert(!clock_next("12h00", now, &t));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("timeline");
	TCase *t = tcase_create("timeline");
	SRunner *r;
	int failed;

	tcase_add_test(t, frames_have_times);
	tcase_add_loop_test(t, times_have_frames, 0, 4);
	tcase_add_loop_test(t, drift_is_found_in_jitter, 0, 4);
	tcase_add_test(t, a_stop_is_no_drift);
	tcase_add_test(t, times_are_read_as_they_are_written);
	tcase_add_test(t, clocks_show_a_time_every_day);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
