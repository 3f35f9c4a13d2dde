/* pace: the rate is kept over time and between threads, and the timetable is that of the wall. */
#include "pace.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"

static struct err e;

static void
nap(int64_t ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

static struct pace *
open_pace(const char *timetable)
{
	struct pace *p = pace_open(timetable, &e);

	ck_assert_msg(p != NULL, "%s: %s", timetable, e.text);
	return p;
}

struct taking {
	pthread_t thread;
	struct pace *p;
	int64_t until_ns;
	uint64_t want, taken, least, asked;
};

static void *
take_on(void *arg)
{
	struct taking *t = arg;
	uint64_t n;
	int64_t wait_ms;

	while (clock_monotonic_ns() < t->until_ns) {
		n = pace_take(t->p, t->want, &wait_ms);
		t->asked++;
		t->taken += n;
		if (n == 0)
			nap(wait_ms);
		else if (n < t->least)
			t->least = n;
	}
	return NULL;
}

static uint64_t
take_by(struct pace *p, unsigned threads, uint64_t want, double seconds, struct taking *t)
{
	int64_t until = clock_monotonic_ns() + (int64_t)(seconds * 1e9);
	uint64_t sum = 0;

	for (unsigned i = 0; i < threads; i++) {
		t[i] = (struct taking){.p = p, .until_ns = until, .want = want, .least = want};
		pthread_create(&t[i].thread, NULL, take_on, &t[i]);
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(t[i].thread, NULL);
		sum += t[i].taken;
	}
	return sum;
}

START_TEST(the_rate_is_kept_by_one_and_by_many)
{
	struct pace *p = open_pace("400K");
	unsigned threads = _i == 0 ? 1 : 8;
	struct taking t[8];
	uint64_t sum = take_by(p, threads, 30000, 0.8, t);

	ck_assert_uint_eq(pace_rate(p), 400 << 10);
	/* A quarter of a second's worth may be out of step. */
	ck_assert_msg(sum > 400 * 1024 * 0.55 && sum < 400 * 1024 * 1.05, "%zu", (size_t)sum);
	for (unsigned i = 0; i < threads; i++)
		ck_assert_msg(t[i].asked < 200, "%zu", (size_t)t[i].asked);
	pace_close(p);
}
END_TEST

START_TEST(nothing_is_given_in_crumbs)
{
	struct pace *p = open_pace("40K");
	struct taking t[1];
	uint64_t sum = take_by(p, 1, 100000, 0.6, t);

	ck_assert_uint_ge(t[0].least, 4096);
	ck_assert_uint_gt(sum, 40 * 1024 * 0.3);
	ck_assert_uint_lt(sum, 40 * 1024 * 0.95);
	pace_close(p);
}
END_TEST

START_TEST(little_is_given_when_no_more_is_wanted)
{
	struct pace *p = open_pace("20");
	int64_t wait_ms;

	nap(120);
	ck_assert_uint_eq(pace_take(p, 1, &wait_ms), 1);
	ck_assert_uint_eq(pace_take(p, 5, &wait_ms), 0);
	ck_assert_int_ge(wait_ms, 50);
	ck_assert_int_le(wait_ms, 250);
	pace_close(p);
}
END_TEST

START_TEST(a_rest_does_not_save_up_more_than_a_burst)
{
	struct pace *p = open_pace("1M");
	uint64_t sum = 0, n;
	int64_t wait_ms;

	nap(700);
	while ((n = pace_take(p, 50000, &wait_ms)) > 0)
		sum += n;
	ck_assert_uint_ge(sum, 150000);
	ck_assert_uint_le(sum, (1 << 18) + 20000);
	ck_assert_int_ge(wait_ms, 1);
	pace_close(p);
}
END_TEST

START_TEST(without_a_limit_all_may_go_at_once)
{
	struct pace *p = open_pace("off");
	int64_t wait_ms = -1;

	ck_assert_uint_eq(pace_rate(p), 0);
	ck_assert_uint_eq(pace_take(p, UINT64_MAX, &wait_ms), UINT64_MAX);
	ck_assert_uint_eq(pace_take(p, 1, &wait_ms), 1);
	ck_assert_int_eq(wait_ms, 0);
	pace_close(p);
}
END_TEST

START_TEST(what_is_given_back_may_go)
{
	struct pace *p = open_pace("16K");
	int64_t wait_ms;
	uint64_t n;

	nap(300);
	n = pace_take(p, 4096, &wait_ms);
	ck_assert_uint_eq(n, 4096);
	ck_assert_uint_eq(pace_take(p, 4096, &wait_ms), 0);
	pace_give_back(p, n);
	ck_assert_uint_eq(pace_take(p, 4096, &wait_ms), 4096);
	/* Not more than a burst, however much comes back. */
	pace_give_back(p, 1 << 30);
	ck_assert_uint_eq(pace_take(p, 1 << 20, &wait_ms), 4096);
	pace_close(p);
}
END_TEST

/* No test shall see the hour change. */
static void
avoid_the_full_hour(void)
{
	time_t now = time(NULL);

	if (now % 3600 >= 3596)
		nap((3601 - now % 3600) * 1000);
}

/* The rate of a timetable when the clocks on the wall show `hour` o'clock. */
static uint64_t
rate_at_hour(const char *timetable, int hour)
{
	time_t now;
	struct tm tm;
	char zone[32];
	struct pace *p;
	uint64_t rate;
	int west;

	avoid_the_full_hour();
	now = time(NULL);
	gmtime_r(&now, &tm);
	west = tm.tm_hour - hour;
	snprintf(zone, sizeof zone, "TST%+d",
	    west > 12	 ? west - 24
	    : west < -12 ? west + 24
			 : west);
	setenv("TZ", zone, 1);
	tzset();
	p = open_pace(timetable);
	rate = pace_rate(p);
	pace_close(p);
	return rate;
}

START_TEST(each_entry_holds_from_its_local_time_on)
{
	static const char t[] = "  08:00,512K 12:00,10M\t13:00,1K   23:00,off ";

	ck_assert_uint_eq(rate_at_hour(t, 0), 0);
	ck_assert_uint_eq(rate_at_hour(t, 7), 0);
	ck_assert_uint_eq(rate_at_hour(t, 8), 512 << 10);
	ck_assert_uint_eq(rate_at_hour(t, 11), 512 << 10);
	ck_assert_uint_eq(rate_at_hour(t, 12), 10 << 20);
	ck_assert_uint_eq(rate_at_hour(t, 13), 1 << 10);
	ck_assert_uint_eq(rate_at_hour(t, 22), 1 << 10);
	ck_assert_uint_eq(rate_at_hour(t, 23), 0);
	ck_assert_uint_eq(rate_at_hour("15:30,7", 3), 7);
}
END_TEST

START_TEST(a_change_of_the_rate_is_noticed_within_a_second_or_so)
{
	time_t now;
	struct tm tm;
	char timetable[64];
	struct pace *p;
	int64_t wait_ms;

	/* The clocks are put forward by an hour while it is open. */
	avoid_the_full_hour();
	now = time(NULL);
	setenv("TZ", "TST0", 1);
	tzset();
	localtime_r(&now, &tm);
	snprintf(timetable, sizeof timetable, "%02d:00,4K %02d:00,off", tm.tm_hour, tm.tm_hour + 1);
	if (tm.tm_hour == 23)
		strcpy(timetable, "00:00,off 23:00,4K");
	p = open_pace(timetable);
	ck_assert_uint_eq(pace_rate(p), 4096);
	ck_assert_uint_eq(pace_take(p, 1 << 20, &wait_ms), 0);
	ck_assert_int_le(wait_ms, 1000);
	setenv("TZ", "TST-1", 1);
	tzset();
	nap(1050);
	ck_assert_uint_eq(pace_take(p, 1 << 20, &wait_ms), 1 << 20);
	pace_close(p);
}
END_TEST

START_TEST(what_is_no_timetable_is_refused_with_a_reason)
{
	static const char *const bad[] = {"", "  ", "x", "0", "-5", "1.5M", "10MB", "5M 6M", "OFF",
	    "8:00,1M", "08:00", "08:00,", "08:00 1M", "24:00,1M", "08:60,1M", "08:00,1M 08:00,2M",
	    "09:00,1M 08:00,2M", "08:00,1M 2M", "08:00,1M,2M", "08:00;1M", "1M 08:00,2M", "08:00,0",
	    "ab:cd,1M", "08:000,1M", "99999999999999999999"};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		e = (struct err){0};
		ck_assert_msg(pace_open(bad[i], &e) == NULL, "%s", bad[i]);
		ck_assert_int_eq(e.class, ERR_USAGE);
		ck_assert_msg(strlen(e.text) > 20, "%s", e.text);
	}
}
END_TEST

START_TEST(there_may_be_an_entry_for_each_minute_and_no_more)
{
	char *text = malloc(1442 * 16), *s = text;

	for (int i = 0; i < 1440; i++)
		s += sprintf(s, "%02d:%02d,%d ", i / 60, i % 60, i + 1);
	pace_close(open_pace(text));
	strcpy(s, "23:59,5");
	ck_assert_ptr_null(pace_open(text, &e));
	ck_assert_int_eq(e.class, ERR_USAGE);
	free(text);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("pace");
	TCase *t = tcase_create("pace");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, the_rate_is_kept_by_one_and_by_many, 0, 2);
	tcase_add_test(t, nothing_is_given_in_crumbs);
	tcase_add_test(t, little_is_given_when_no_more_is_wanted);
	tcase_add_test(t, a_rest_does_not_save_up_more_than_a_burst);
	tcase_add_test(t, without_a_limit_all_may_go_at_once);
	tcase_add_test(t, what_is_given_back_may_go);
	tcase_add_test(t, each_entry_holds_from_its_local_time_on);
	tcase_add_test(t, a_change_of_the_rate_is_noticed_within_a_second_or_so);
	tcase_add_test(t, what_is_no_timetable_is_refused_with_a_reason);
	tcase_add_test(t, there_may_be_an_entry_for_each_minute_and_no_more);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
