/* retry: what is tried again and how often, what the caller is told, and how the threads share it.
 */
#include "retry.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"

#define MS 1000000
#define N_EVENTS 64

/* A remote that fails so often, in this way, and then is well. */
struct remote {
	enum fault_class class;
	unsigned failures;
	int64_t retry_after_s;
	atomic_uint calls;
};

struct events {
	unsigned n;
	enum fault_class class[N_EVENTS];
	unsigned attempt[N_EVENTS];
	int64_t wait_ms[N_EVENTS];
	char what[64], text[400];
};

static struct retry *r;
static struct events events;
static struct err e;

static void
tell(void *ctx, const struct retry_event *v)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct events *to = ctx;

	pthread_mutex_lock(&lock);
	ck_assert_uint_lt(to->n, N_EVENTS);
	to->class[to->n] = v->fault->class;
	to->attempt[to->n] = v->attempt;
	to->wait_ms[to->n++] = v->wait_ms;
	snprintf(to->what, sizeof to->what, "%s", v->what);
	snprintf(to->text, sizeof to->text, "%s", v->fault->text);
	pthread_mutex_unlock(&lock);
}

/* Waits are of a few milliseconds unless said. */
static void
open_with(struct retry_opts o)
{
	if (o.base_ms == 0)
		o.base_ms = 1;
	if (o.cap_ms == 0)
		o.cap_ms = 4;
	o.tell = tell;
	o.ctx = &events;
	events.n = 0;
	ck_assert_ptr_nonnull(r = retry_open(&o, &e));
}

static void
teardown(void)
{
	retry_close(r);
	r = NULL;
}

static int
attempt(void *ctx, struct fault *f, struct err *err)
{
	struct remote *m = ctx;

	(void)err;
	ck_assert_int_eq(f->class, FAULT_NONE);
	ck_assert_int_eq(f->retry_after_s, -1);
	if (atomic_fetch_add(&m->calls, 1) >= m->failures)
		return 0;
	f->class = m->class;
	f->retry_after_s = m->retry_after_s;
	snprintf(f->text, sizeof f->text, "the disk there is on fire");
	return -1;
}

static int
run(struct remote *m)
{
	e = (struct err){0};
	return retry_run(r, "raw/a.wav", attempt, m, &e);
}

static double
seconds_since(int64_t t)
{
	return (double)(clock_monotonic_ns() - t) / 1e9;
}

static const enum fault_class passing[] = {FAULT_TRANSIENT, FAULT_STALL, FAULT_THROTTLE};

START_TEST(what_passes_is_tried_again_and_told)
{
	struct remote m = {.class = passing[_i], .failures = 3, .retry_after_s = -1};

	open_with((struct retry_opts){.attempts = 5});
	ck_assert_int_eq(run(&m), 0);
	ck_assert_uint_eq(m.calls, m.failures + 1);
	ck_assert_uint_eq(events.n, m.failures);
	ck_assert_uint_eq(retry_count(r), m.failures);
	for (unsigned i = 0; i < events.n; i++) {
		ck_assert_int_eq(events.class[i], m.class);
		ck_assert_uint_eq(events.attempt[i], i + 1);
		ck_assert_int_ge(events.wait_ms[i], 0);
		ck_assert_int_le(events.wait_ms[i], 4);
	}
	ck_assert_str_eq(events.what, "raw/a.wav");
	ck_assert_str_eq(events.text, "the disk there is on fire");
}
END_TEST

START_TEST(success_at_once_is_told_to_nobody)
{
	struct remote m = {0};

	open_with((struct retry_opts){.attempts = 5});
	ck_assert_int_eq(run(&m), 0);
	ck_assert_uint_eq(m.calls, 1);
	ck_assert_uint_eq(events.n, 0);
	ck_assert_uint_eq(retry_count(r), 0);
}
END_TEST

START_TEST(attempts_are_used_up_and_a_later_run_may_try)
{
	struct remote m = {.class = FAULT_TRANSIENT, .failures = 1000, .retry_after_s = -1};
	unsigned attempts = _i == 0 ? 1 : 4;

	open_with((struct retry_opts){.attempts = attempts});
	ck_assert_int_eq(run(&m), -1);
	ck_assert_uint_eq(m.calls, attempts);
	ck_assert_uint_eq(events.n, attempts - 1);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_str_eq(e.code, P_REMOTE);
	ck_assert_str_eq(e.text, _i == 0 ? "raw/a.wav: the disk there is on fire (tried once)"
					 : "raw/a.wav: the disk there is on fire (tried 4 times)");
	ck_assert(retry_is_later(&e));
	err_prefix(&e, "pushing");
	ck_assert(retry_is_later(&e));
}
END_TEST

static const struct {
	enum fault_class class;
	enum err_class err;
	const char *code;
	bool later;
} finals[] = {
    {FAULT_CONFIG, ERR_CONFIG, NULL, false},
    {FAULT_ITEM, ERR_ITEM, P_REMOTE, false},
    {FAULT_CONFLICT, ERR_ITEM, P_CONFLICT, false},
    {FAULT_ABSENT, ERR_ITEM, P_MISSING, false},
    {FAULT_QUOTA, ERR_BUSY, NULL, true},
};
#define N_FINALS (int)(sizeof finals / sizeof finals[0])

/* Another request gets through before this one is answered. */
static int
attempt_behind_another(void *ctx, struct fault *f, struct err *err)
{
	struct remote well = {.failures = 0};

	ck_assert_int_eq(retry_run(r, "raw/b.wav", attempt, &well, err), 0);
	return attempt(ctx, f, err);
}

START_TEST(to_wait_in_a_line_that_moves_is_no_attempt)
{
	struct remote m = {.class = passing[_i], .failures = 8, .retry_after_s = -1};
	int rc;

	open_with((struct retry_opts){.attempts = 3});
	e = (struct err){0};
	rc = retry_run(r, "raw/a.wav", attempt_behind_another, &m, &e);
	ck_assert_int_eq(rc, m.class == FAULT_THROTTLE ? 0 : -1);
	ck_assert_uint_eq(m.calls, m.class == FAULT_THROTTLE ? 9 : 3);
}
END_TEST

START_TEST(what_does_not_pass_is_tried_once)
{
	struct remote m = {.class = finals[_i].class, .failures = 1000, .retry_after_s = -1};

	open_with((struct retry_opts){.attempts = 5, .breaker = 1});
	ck_assert_int_eq(run(&m), -1);
	ck_assert_uint_eq(m.calls, 1);
	ck_assert_uint_eq(events.n, 0);
	ck_assert_int_eq(e.class, finals[_i].err);
	ck_assert_pstr_eq(e.code, finals[_i].code);
	ck_assert_str_eq(e.text, "raw/a.wav: the disk there is on fire");
	ck_assert_int_eq(retry_is_later(&e), finals[_i].later);
	/* It is no reason to stop trying others. */
	m.failures = 0;
	ck_assert_int_eq(run(&m), 0);
}
END_TEST

START_TEST(a_new_token_is_tried_once_and_is_no_attempt)
{
	struct remote m = {.class = FAULT_SIGN_IN, .failures = 1, .retry_after_s = -1};

	open_with((struct retry_opts){.attempts = 1});
	ck_assert_int_eq(run(&m), 0);
	ck_assert_uint_eq(m.calls, 2);
	ck_assert_int_eq(events.wait_ms[0], 0);
	m = (struct remote){.class = FAULT_SIGN_IN, .failures = 1000, .retry_after_s = -1};
	ck_assert_int_eq(run(&m), -1);
	ck_assert_uint_eq(m.calls, 2);
	ck_assert_int_eq(e.class, ERR_CONFIG);
}
END_TEST

static int
no_fault(void *ctx, struct fault *f, struct err *err)
{
	(void)f;
	++*(unsigned *)ctx;
	return err_item(err, P_MODIFIED, "other bytes by now");
}

START_TEST(what_is_no_fault_of_the_remote_is_passed_on)
{
	unsigned calls = 0;

	open_with((struct retry_opts){.attempts = 5});
	ck_assert_int_eq(retry_run(r, "x", no_fault, &calls, &e), -1);
	ck_assert_uint_eq(calls, 1);
	ck_assert_str_eq(e.text, "other bytes by now");
	ck_assert_str_eq(e.code, P_MODIFIED);
	ck_assert(!retry_is_later(&e));
}
END_TEST

START_TEST(waits_are_spread_from_nothing_to_a_cap_that_doubles)
{
	static const int64_t most[] = {4, 8, 16, 20, 20};
	int64_t max[5] = {0}, min[5] = {1000, 1000, 1000, 1000, 1000};
	struct remote m;

	for (int k = 0; k < 30; k++) {
		open_with((struct retry_opts){.attempts = 6, .base_ms = 2, .cap_ms = 20});
		m = (struct remote){.class = FAULT_TRANSIENT, .failures = 5, .retry_after_s = -1};
		ck_assert_int_eq(run(&m), 0);
		for (int i = 0; i < 5; i++) {
			ck_assert_int_le(events.wait_ms[i], most[i]);
			max[i] = events.wait_ms[i] > max[i] ? events.wait_ms[i] : max[i];
			min[i] = events.wait_ms[i] < min[i] ? events.wait_ms[i] : min[i];
		}
		teardown();
	}
	/* Of 30 uniform values none in a quarter: once in 5,000 times. */
	for (int i = 0; i < 5; i++) {
		ck_assert_msg(max[i] > most[i] * 3 / 4 - 1, "%d: %d", i, (int)max[i]);
		ck_assert_msg(min[i] <= most[i] / 4 + 1, "%d: %d", i, (int)min[i]);
	}
}
END_TEST

START_TEST(retry_after_is_waited_for)
{
	struct remote m = {.class = passing[_i], .failures = 1, .retry_after_s = 1};
	int64_t t = clock_monotonic_ns();

	open_with((struct retry_opts){.attempts = 2});
	ck_assert_int_eq(run(&m), 0);
	ck_assert_int_ge(events.wait_ms[0], 1000);
	ck_assert_int_le(events.wait_ms[0], 1004);
	ck_assert_msg(seconds_since(t) >= 1, "%.2f s", seconds_since(t));
}
END_TEST

START_TEST(a_remote_that_wants_to_be_left_alone_is_asked_by_a_later_run)
{
	struct remote m = {.class = passing[_i], .failures = 1000, .retry_after_s = 301};
	int64_t t = clock_monotonic_ns();
	struct timespec when;
	char *at;

	open_with((struct retry_opts){.attempts = 5});
	ck_assert_int_eq(run(&m), -1);
	ck_assert_msg(seconds_since(t) < 1, "%.2f s", seconds_since(t));
	ck_assert_uint_eq(m.calls, 1);
	ck_assert_uint_eq(events.n, 0);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_str_eq(e.code, P_REMOTE);
	ck_assert(retry_is_later(&e));
	ck_assert_ptr_nonnull(strstr(e.text, "raw/a.wav: the disk there is on fire ("));
	ck_assert_ptr_nonnull(at = strstr(e.text, "asked again in 6 minutes, at "));
	at += strlen("asked again in 6 minutes, at ");
	ck_assert_ptr_nonnull(strstr(at, "Z: run again then)"));
	*strstr(at, ": run") = '\0';
	ck_assert(clock_parse(at, &when));
	ck_assert_int_ge(when.tv_sec - clock_now().tv_sec, 299);
	ck_assert_int_le(when.tv_sec - clock_now().tv_sec, 301);
}
END_TEST

/* ---- many threads ---- */

struct thread {
	pthread_t id;
	struct remote *m;
	struct err e;
	int rc;
};

static void *
run_one(void *arg)
{
	struct thread *t = arg;

	t->rc = retry_run(r, "x", attempt, t->m, &t->e);
	return NULL;
}

START_TEST(a_stop_ends_long_waits_soon)
{
	struct remote m = {.class = FAULT_THROTTLE, .failures = 1000, .retry_after_s = 300};
	struct thread t = {.m = &m};
	atomic_int stop = 0;
	int64_t at;

	open_with((struct retry_opts){.attempts = 9, .stop = &stop});
	pthread_create(&t.id, NULL, run_one, &t);
	nanosleep(&(struct timespec){.tv_nsec = 50 * MS}, NULL);
	at = clock_monotonic_ns();
	atomic_store(&stop, SIGINT);
	pthread_join(t.id, NULL);
	ck_assert_msg(seconds_since(at) < 0.2, "%.2f s", seconds_since(at));
	ck_assert_int_eq(t.rc, -1);
	ck_assert_int_eq(t.e.class, ERR_STOPPED);
	ck_assert_uint_eq(m.calls, 1);
	/* Nothing begins any more. */
	ck_assert_int_eq(run(&m), -1);
	ck_assert_int_eq(e.class, ERR_STOPPED);
	ck_assert_uint_eq(m.calls, 1);
}
END_TEST

START_TEST(the_breaker_opens_after_so_many_failures_in_a_row)
{
	struct remote m = {.class = FAULT_TRANSIENT, .failures = 1000, .retry_after_s = -1};

	open_with((struct retry_opts){.attempts = 3, .breaker = 8});
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(run(&m), -1);
		ck_assert_int_eq(e.class, ERR_ITEM);
	}
	ck_assert_int_eq(run(&m), -1);
	ck_assert_int_eq(e.class, ERR_BUSY);
	ck_assert_ptr_nonnull(strstr(e.text, "raw/a.wav: the disk there is on fire; "));
	ck_assert_ptr_nonnull(strstr(e.text, "8 times in a row"));
	ck_assert(retry_is_later(&e));
	ck_assert_uint_eq(m.calls, 8);
	/* It stays open. */
	ck_assert_int_eq(run(&m), -1);
	ck_assert_int_eq(e.class, ERR_BUSY);
	ck_assert_uint_eq(m.calls, 8);
}
END_TEST

START_TEST(success_or_a_definite_no_in_between_keeps_it_closed)
{
	static const enum fault_class no[] = {FAULT_NONE, FAULT_ABSENT, FAULT_CONFLICT};
	struct remote bad = {.class = FAULT_TRANSIENT, .failures = 1000, .retry_after_s = -1};
	struct remote well = {.class = no[_i], .failures = no[_i] == FAULT_NONE ? 0 : 1000};

	open_with((struct retry_opts){.attempts = 3, .breaker = 4});
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(run(&bad), -1);
		ck_assert_int_eq(e.class, ERR_ITEM);
		ck_assert_int_eq(run(&well), no[_i] == FAULT_NONE ? 0 : -1);
	}
	ck_assert_uint_eq(bad.calls, 15);
}
END_TEST

START_TEST(an_open_breaker_ends_the_waits_of_others)
{
	struct remote slow = {.class = FAULT_TRANSIENT, .failures = 1000, .retry_after_s = 300};
	struct remote bad = {.class = FAULT_TRANSIENT, .failures = 1000, .retry_after_s = -1};
	struct thread t = {.m = &slow};
	int64_t at;

	open_with((struct retry_opts){.attempts = 9, .breaker = 5});
	pthread_create(&t.id, NULL, run_one, &t);
	nanosleep(&(struct timespec){.tv_nsec = 50 * MS}, NULL);
	ck_assert_int_eq(run(&bad), -1);
	ck_assert_int_eq(e.class, ERR_BUSY);
	at = clock_monotonic_ns();
	pthread_join(t.id, NULL);
	ck_assert_msg(seconds_since(at) < 0.2, "%.2f s", seconds_since(at));
	ck_assert_int_eq(t.e.class, ERR_BUSY);
	ck_assert_uint_eq(slow.calls, 1);
}
END_TEST

/* A remote that serves so many requests a second, and says "slower" to what is above. */
struct busy {
	pthread_mutex_t lock;
	double rate, left;
	int64_t at_ns, until_ns;
	unsigned served[4], refused[4]; /* by the half second */
	int64_t began_ns;
};

static int
ask_busy(void *ctx, struct fault *f, struct err *err)
{
	struct busy *b = ctx;
	int64_t now;
	unsigned half;
	bool ok;

	(void)err;
	nanosleep(&(struct timespec){.tv_nsec = MS}, NULL);
	pthread_mutex_lock(&b->lock);
	now = clock_monotonic_ns();
	half = (unsigned)((now - b->began_ns) / (500 * MS));
	half = half < 3 ? half : 3;
	b->left += b->rate * (double)(now - b->at_ns) / 1e9;
	b->left = b->left < 10 ? b->left : 10;
	b->at_ns = now;
	if ((ok = b->left >= 1)) {
		b->left -= 1;
		b->served[half]++;
	} else {
		b->refused[half]++;
	}
	pthread_mutex_unlock(&b->lock);
	if (ok)
		return 0;
	f->class = FAULT_THROTTLE;
	return -1;
}

static void *
ask_on(void *arg)
{
	struct busy *b = arg;
	struct err err;

	while (clock_monotonic_ns() < b->until_ns)
		retry_run(r, "x", ask_busy, b, &err);
	return NULL;
}

START_TEST(threads_together_come_near_to_what_a_throttling_remote_serves)
{
	struct busy b = {.lock = PTHREAD_MUTEX_INITIALIZER, .rate = 200, .left = 10};
	pthread_t t[8];
	struct retry_opts o = {.attempts = 100, .base_ms = 1, .cap_ms = 4};

	ck_assert_ptr_nonnull(r = retry_open(&o, &e));
	b.at_ns = b.began_ns = clock_monotonic_ns();
	b.until_ns = b.began_ns + INT64_C(2000) * MS;
	for (int i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, ask_on, &b);
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	/* Eight threads that wait 2 ms on average would ask 2,000 times a second. */
	ck_assert_msg(b.served[2] + b.served[3] > 80 && b.refused[2] + b.refused[3] < 60,
	    "served %u %u %u %u, refused %u %u %u %u", b.served[0], b.served[1], b.served[2],
	    b.served[3], b.refused[0], b.refused[1], b.refused[2], b.refused[3]);
}
END_TEST

static pthread_barrier_t together;

/* Refused the first time, when all the others are, too. */
static int
refused_together(void *ctx, struct fault *f, struct err *err)
{
	unsigned *calls = ctx;

	(void)err;
	if (++*calls > 1)
		return 0;
	pthread_barrier_wait(&together);
	f->class = FAULT_THROTTLE;
	return -1;
}

static void *
run_refused(void *arg)
{
	struct thread *t = arg;
	unsigned calls = 0;

	t->rc = retry_run(r, "x", refused_together, &calls, &t->e);
	return NULL;
}

START_TEST(one_no_to_all_slows_down_once_and_counts_once)
{
	struct remote m = {0};
	struct thread t[8] = {0};
	struct retry_opts o = {.attempts = 2, .breaker = 2, .base_ms = 1, .cap_ms = 4};
	int64_t at;

	/* Many requests first: within a tenth of a second, so a thousand a second. */
	pthread_barrier_init(&together, NULL, 8);
	ck_assert_ptr_nonnull(r = retry_open(&o, &e));
	for (int i = 0; i < 92; i++)
		ck_assert_int_eq(run(&m), 0);
	for (int i = 0; i < 8; i++)
		pthread_create(&t[i].id, NULL, run_refused, &t[i]);
	for (int i = 0; i < 8; i++) {
		pthread_join(t[i].id, NULL);
		ck_assert_msg(t[i].rc == 0, "%s", t[i].e.text);
	}
	at = clock_monotonic_ns();
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(run(&m), 0);
	/* At 500 a second, and a little more with each success. Halved eight times: 4 a second, so
	 * 25 s. */
	ck_assert_msg(
	    seconds_since(at) > 0.1 && seconds_since(at) < 4, "%.2f s", seconds_since(at));
	pthread_barrier_destroy(&together);
}
END_TEST

START_TEST(without_a_throttle_nothing_is_slowed_down)
{
	struct remote m = {0};
	int64_t t = clock_monotonic_ns();

	open_with((struct retry_opts){.attempts = 2});
	for (int i = 0; i < 10000; i++)
		ck_assert_int_eq(retry_run(r, "x", attempt, &m, &e), 0);
	ck_assert_msg(seconds_since(t) < 1, "%.2f s", seconds_since(t));
}
END_TEST

START_TEST(each_class_has_its_name)
{
	ck_assert_str_eq(fault_name(FAULT_NONE), "none");
	ck_assert_str_eq(fault_name(FAULT_CONFIG), "config");
	ck_assert_str_eq(fault_name(FAULT_SIGN_IN), "sign_in");
	ck_assert_str_eq(fault_name(FAULT_QUOTA), "quota");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("retry");
	TCase *t = tcase_create("retry");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_loop_test(t, what_passes_is_tried_again_and_told, 0, 3);
	tcase_add_test(t, success_at_once_is_told_to_nobody);
	tcase_add_loop_test(t, attempts_are_used_up_and_a_later_run_may_try, 0, 2);
	tcase_add_loop_test(t, to_wait_in_a_line_that_moves_is_no_attempt, 0, 3);
	tcase_add_loop_test(t, what_does_not_pass_is_tried_once, 0, N_FINALS);
	tcase_add_test(t, a_new_token_is_tried_once_and_is_no_attempt);
	tcase_add_test(t, what_is_no_fault_of_the_remote_is_passed_on);
	tcase_add_test(t, waits_are_spread_from_nothing_to_a_cap_that_doubles);
	tcase_add_loop_test(t, retry_after_is_waited_for, 0, 1);
	tcase_add_loop_test(t, a_remote_that_wants_to_be_left_alone_is_asked_by_a_later_run, 0, 3);
	tcase_add_test(t, a_stop_ends_long_waits_soon);
	tcase_add_test(t, the_breaker_opens_after_so_many_failures_in_a_row);
	tcase_add_loop_test(t, success_or_a_definite_no_in_between_keeps_it_closed, 0, 3);
	tcase_add_test(t, an_open_breaker_ends_the_waits_of_others);
	tcase_add_test(t, threads_together_come_near_to_what_a_throttling_remote_serves);
	tcase_add_test(t, one_no_to_all_slows_down_once_and_counts_once);
	tcase_add_test(t, without_a_throttle_nothing_is_slowed_down);
	tcase_add_test(t, each_class_has_its_name);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
