/* work: order, a bounded number in flight, and no item lost or freed twice, whatever fails. */
#include "work.h"

#include <check.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What work.c promises to keep below: slots a job, and one item in the maker's hand. */
#define MOST_IN_FLIGHT(jobs) ((long)(jobs)*16 + 1)

struct item {
	long number;
	atomic_int worked;
	void *weight; /* for the sanitizer to miss */
};

struct run {
	struct work w;
	long total;
	long next_fails, done_fails, stop_at; /* at this item; -1: never */
	atomic_int stop;
	bool nap;
	atomic_long made, alive, most, at_work, most_at_work;
	long done, dropped, last, idle;
	bool after_end;
	atomic_bool ended;
};

static struct err e;

static int
next(void *ctx, void **out, struct err *err)
{
	struct run *r = ctx;
	struct item *i;
	long alive, most;

	if (atomic_load(&r->ended))
		r->after_end = true;
	if (r->made == r->next_fails) {
		atomic_store(&r->ended, true);
		return err_set(err, ERR_CATALOGUE, NULL, "no more");
	}
	if (r->made == r->total) {
		atomic_store(&r->ended, true);
		return 0;
	}
	if (r->made == r->stop_at)
		atomic_store(&r->stop, 2);
	i = calloc(1, sizeof *i);
	i->number = atomic_fetch_add(&r->made, 1);
	i->weight = malloc(10);
	alive = atomic_fetch_add(&r->alive, 1) + 1;
	most = atomic_load(&r->most);
	if (alive > most)
		atomic_store(&r->most, alive);
	*out = i;
	return 1;
}

static void
work(void *ctx, void *item)
{
	struct run *r = ctx;
	struct item *i = item;
	long now = atomic_fetch_add(&r->at_work, 1) + 1, most = atomic_load(&r->most_at_work);
	struct timespec t = {.tv_nsec = (long)((unsigned long)i->number * 2654435761u % 1500000)};

	while (now > most && !atomic_compare_exchange_weak(&r->most_at_work, &most, now))
		;
	if (r->nap)
		nanosleep(&t, NULL);
	else if (i->number % 7 == 0)
		sched_yield();
	atomic_fetch_add(&i->worked, 1);
	atomic_fetch_sub(&r->at_work, 1);
}

static void
destroy(struct run *r, struct item *i)
{
	/* Each was worked on, once, before it came here; and they come in order. */
	ck_assert_int_eq(i->worked, 1);
	ck_assert_int_eq(i->number, r->last + 1);
	r->last = i->number;
	atomic_fetch_sub(&r->alive, 1);
	free(i->weight);
	free(i);
}

static int
done(void *ctx, void *item, struct err *err)
{
	struct run *r = ctx;
	struct item *i = item;
	bool fails = i->number == r->done_fails;

	ck_assert_int_eq(r->dropped, 0);
	destroy(r, i);
	r->done++;
	return fails ? err_set(err, ERR_SYSTEM, NULL, "the disk is full") : 0;
}

static void
drop(void *ctx, void *item)
{
	struct run *r = ctx;

	destroy(r, item);
	r->dropped++;
}

static void
idle(void *ctx)
{
	((struct run *)ctx)->idle++;
}

static struct run
run_of(unsigned jobs, long total)
{
	return (struct run){.w = {.next = next,
				.work = work,
				.done = done,
				.drop = drop,
				.idle = idle,
				.jobs = jobs},
	    .total = total,
	    .next_fails = -1,
	    .done_fails = -1,
	    .stop_at = -1,
	    .last = -1};
}

static int
go(struct run *r)
{
	int rc;

	r->w.ctx = r;
	e = (struct err){0};
	rc = work_run(&r->w, &e);
	/* Nothing is left behind, whatever happened. */
	ck_assert_int_eq(r->alive, 0);
	ck_assert_int_eq(r->done + r->dropped, r->made);
	ck_assert_int_le(r->most, MOST_IN_FLIGHT(r->w.jobs));
	ck_assert_int_le(r->most_at_work, r->w.jobs);
	ck_assert(!r->after_end);
	return rc;
}

START_TEST(items_come_back_in_order_whatever_time_each_takes)
{
	struct run r = run_of((unsigned)_i, 400);

	r.nap = true;
	ck_assert_int_eq(go(&r), 0);
	ck_assert_int_eq(r.done, 400);
	ck_assert_int_eq(r.dropped, 0);
	ck_assert_int_gt(r.idle, 0);
}
END_TEST

START_TEST(a_hundred_thousand_items_pass_with_few_in_flight)
{
	struct run r = run_of((unsigned)_i, 100000);

	ck_assert_int_eq(go(&r), 0);
	ck_assert_int_eq(r.done, 100000);
	ck_assert_int_eq(r.dropped, 0);
}
END_TEST

START_TEST(no_items_and_fewer_than_jobs_are_fine)
{
	for (long n = 0; n < 10; n++) {
		struct run r = run_of((unsigned)_i, n);

		ck_assert_int_eq(go(&r), 0);
		ck_assert_int_eq(r.done, n);
	}
}
END_TEST

START_TEST(work_goes_on_without_an_idle_function)
{
	struct run r = run_of(2, 100);

	r.w.idle = NULL;
	ck_assert_int_eq(go(&r), 0);
	ck_assert_int_eq(r.done, 100);
}
END_TEST

static const long places[] = {0, 1, 2, 15, 16, 17, 100, 999};
#define N_PLACES (int)(sizeof places / sizeof places[0])

START_TEST(an_error_in_done_ends_the_work_and_drops_the_rest)
{
	for (unsigned jobs = 1; jobs <= 8; jobs++) {
		struct run r = run_of(jobs, 1000);

		r.nap = jobs % 2 == 0;
		r.done_fails = places[_i];
		ck_assert_int_eq(go(&r), -1);
		ck_assert_int_eq(e.class, ERR_SYSTEM);
		ck_assert_str_eq(e.text, "the disk is full");
		ck_assert_int_eq(r.done, places[_i] + 1);
		/* No more is made than was in flight. */
		ck_assert_int_le(r.made, places[_i] + 1 + MOST_IN_FLIGHT(jobs));
	}
}
END_TEST

START_TEST(an_error_in_next_ends_the_work_behind_the_items_before_it)
{
	for (unsigned jobs = 1; jobs <= 8; jobs++) {
		struct run r = run_of(jobs, 1000);

		r.nap = jobs % 2 == 0;
		r.next_fails = places[_i];
		ck_assert_int_eq(go(&r), -1);
		ck_assert_int_eq(e.class, ERR_CATALOGUE);
		ck_assert_str_eq(e.text, "no more");
		ck_assert_int_eq(r.made, places[_i]);
		ck_assert_int_eq(r.done, places[_i]);
	}
}
END_TEST

START_TEST(of_two_errors_that_of_done_is_told)
{
	struct run r = run_of(4, 1000);

	r.done_fails = 5;
	r.next_fails = 10;
	ck_assert_int_eq(go(&r), -1);
	ck_assert_int_eq(e.class, ERR_SYSTEM);
	ck_assert_int_eq(r.done, 6);
}
END_TEST

START_TEST(a_stop_ends_the_work_soon_and_drops_the_rest)
{
	for (unsigned jobs = 1; jobs <= 8; jobs++) {
		struct run r = run_of(jobs, 1000);

		r.nap = jobs % 2 == 0;
		r.w.stop = &r.stop;
		r.stop_at = places[_i];
		ck_assert_int_eq(go(&r), -1);
		ck_assert_int_eq(e.class, ERR_STOPPED);
		/* The item that was being made is the last. */
		ck_assert_int_eq(r.made, places[_i] + 1);
	}
}
END_TEST

START_TEST(a_stop_that_came_before_makes_nothing)
{
	struct run r = run_of(3, 1000);

	r.stop = 15;
	r.w.stop = &r.stop;
	ck_assert_int_eq(go(&r), -1);
	ck_assert_int_eq(e.class, ERR_STOPPED);
	ck_assert_int_eq(r.made, 0);
}
END_TEST

START_TEST(no_stop_is_no_error)
{
	struct run r = run_of(3, 1000);

	r.w.stop = &r.stop;
	ck_assert_int_eq(go(&r), 0);
	ck_assert_int_eq(r.done, 1000);
}
END_TEST

/* An item that takes long: the caller's thread is let free meanwhile. */
static void
long_work(void *ctx, void *item)
{
	struct timespec t = {.tv_nsec = 900000000};

	nanosleep(&t, NULL);
	work(ctx, item);
}

START_TEST(the_caller_is_idle_about_five_times_a_second_while_it_waits)
{
	struct run r = run_of(1, 1);

	r.w.work = long_work;
	ck_assert_int_eq(go(&r), 0);
	ck_assert_int_ge(r.idle, 3);
	ck_assert_int_le(r.idle, 12);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("work");
	TCase *t = tcase_create("work");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 300);
	tcase_add_loop_test(t, items_come_back_in_order_whatever_time_each_takes, 1, 9);
	tcase_add_loop_test(t, a_hundred_thousand_items_pass_with_few_in_flight, 1, 9);
	tcase_add_loop_test(t, no_items_and_fewer_than_jobs_are_fine, 1, 9);
	tcase_add_test(t, work_goes_on_without_an_idle_function);
	tcase_add_loop_test(t, an_error_in_done_ends_the_work_and_drops_the_rest, 0, N_PLACES);
	tcase_add_loop_test(
	    t, an_error_in_next_ends_the_work_behind_the_items_before_it, 0, N_PLACES);
	tcase_add_test(t, of_two_errors_that_of_done_is_told);
	tcase_add_loop_test(t, a_stop_ends_the_work_soon_and_drops_the_rest, 0, N_PLACES);
	tcase_add_test(t, a_stop_that_came_before_makes_nothing);
	tcase_add_test(t, no_stop_is_no_error);
	tcase_add_test(t, the_caller_is_idle_about_five_times_a_second_while_it_waits);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
