/*
 * The shared rate is that of TCP's congestion avoidance: what was asked for a second when a remote
 * first said "slower" is measured, halved (but not below what gets through), and grows back by a
 * tenth of that a second, until it is twice that; then there is no limit any more. Answers to
 * requests that were under way when it was halved belong to the same trouble and halve nothing
 * again; nor does the breaker count them.
 *
 * Full jitter: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog.
 */
#include "retry.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "hash.h"
#include "mem.h"

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)
#define BASE_MS 500
#define CAP_MS 30000
/* Who asks for more is asked by a later run. */
#define RETRY_AFTER_MAX_S 300
/* Waits look up this often. */
#define SLICE (50 * MS)
/* Rates are measured over this at least, and have this long to show their effect. */
#define MOMENT (100 * MS)
/* Requests a second, however often "slower" was said. */
#define RATE_MIN 0.2

struct retry {
	struct retry_opts o;
	atomic_ullong again;
	atomic_bool open; /* the breaker */

	pthread_mutex_t lock; /* of all below */
	uint64_t random;
	unsigned failed; /* in a row */
	uint64_t done;	 /* requests that got through */

	/* What is asked for and what gets through, in this second or so and in the one before. */
	int64_t window_ns;
	unsigned window_count, window_done;
	double count_before, done_before;

	double rate;	   /* requests a second; 0: no limit */
	double rate_known; /* measured when the limit began */
	int64_t halved_ns; /* when it was last halved */
	int64_t next_ns;   /* when the next request may go */
};

/* One call of retry_run. */
struct attempts {
	struct retry *r;
	const char *what;
	unsigned n;	  /* made, those for a new token aside */
	bool signed_in;	  /* that was tried already */
	int64_t begun_ns; /* the last one */
	uint64_t done;	  /* what had got through when "slower" was said last */
};

static const char *const names[] = {
    [FAULT_NONE] = "none",
    [FAULT_CONFIG] = "config",
    [FAULT_ITEM] = "item",
    [FAULT_CONFLICT] = "conflict",
    [FAULT_ABSENT] = "absent",
    [FAULT_SIGN_IN] = "sign_in",
    [FAULT_THROTTLE] = "throttle",
    [FAULT_TRANSIENT] = "transient",
    [FAULT_STALL] = "stall",
    [FAULT_QUOTA] = "quota",
};

const char *
fault_name(enum fault_class c)
{
	return names[c];
}

int
fault_set(struct fault *f, enum fault_class class, int status, const char *fmt, ...)
{
	va_list ap;

	*f = (struct fault){.class = class, .status = status, .retry_after_s = -1};
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof f->text, fmt, ap);
	va_end(ap);
	return -1;
}

struct retry *
retry_open(const struct retry_opts *o, struct err *e)
{
	struct retry *r = mem_new(1, sizeof *r, e);

	if (r == NULL)
		return NULL;
	if (hash_random(&r->random, sizeof r->random, e) == -1) {
		free(r);
		return NULL;
	}
	r->o = *o;
	r->o.attempts = o->attempts > 0 ? o->attempts : 1;
	r->o.base_ms = o->base_ms > 0 ? o->base_ms : BASE_MS;
	r->o.cap_ms = o->cap_ms > 0 ? o->cap_ms : CAP_MS;
	r->window_ns = clock_monotonic_ns();
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

void
retry_close(struct retry *r)
{
	if (r == NULL)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r);
}

uint64_t
retry_count(const struct retry *r)
{
	return atomic_load(&r->again);
}

bool
retry_is_later(const struct err *e)
{
	return e->class == ERR_BUSY || (e->class == ERR_ITEM && e->sys == EAGAIN);
}

/* ---- waiting ---- */

static bool
stopped(const struct retry *r)
{
	return r->o.stop != NULL && atomic_load(r->o.stop) != 0;
}

/* Until then, or until there is no use in it. */
static void
wait_until(const struct retry *r, int64_t until)
{
	struct timespec t;
	int64_t now = clock_monotonic_ns();

	for (; now < until && !stopped(r) && !atomic_load(&r->open); now = clock_monotonic_ns()) {
		now = until - now < SLICE ? until : now + SLICE;
		t = (struct timespec){.tv_sec = now / SECOND, .tv_nsec = now % SECOND};
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
	}
}

/* SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators). */
static uint64_t
random_64(struct retry *r)
{
	uint64_t z = r->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* How long to wait after the nth attempt. */
static int64_t
jitter_ms(struct retry *r, unsigned n, const struct fault *f)
{
	int64_t most = r->o.base_ms, ms;

	for (; n > 0 && most < r->o.cap_ms; n--)
		most *= 2;
	most = most < r->o.cap_ms ? most : r->o.cap_ms;
	pthread_mutex_lock(&r->lock);
	ms = (int64_t)(random_64(r) % ((uint64_t)most + 1));
	pthread_mutex_unlock(&r->lock);
	/* On top of what was asked for, or all would come back in the same instant. */
	return f->retry_after_s > 0 ? f->retry_after_s * 1000 + ms : ms;
}

/* ---- the shared rate ---- */

/* Requests a second, as of late. */
static double
measured(const struct retry *r, int64_t now)
{
	int64_t spent = now - r->window_ns > MOMENT ? now - r->window_ns : MOMENT;
	double rate = (double)r->window_count * SECOND / (double)spent;

	return rate > r->count_before ? rate : r->count_before;
}

/* Those of them that got through. */
static double
got_through(const struct retry *r, int64_t now)
{
	int64_t spent = now - r->window_ns;

	return spent < SECOND / 2 ? r->done_before
				  : (double)r->window_done * SECOND / (double)spent;
}

/* Counts a request. Returns when it may go. */
static int64_t
admit(struct retry *r)
{
	int64_t now = clock_monotonic_ns(), at = now, spent;

	pthread_mutex_lock(&r->lock);
	if ((spent = now - r->window_ns) >= SECOND) {
		r->count_before = (double)r->window_count * SECOND / (double)spent;
		r->done_before = (double)r->window_done * SECOND / (double)spent;
		r->window_count = r->window_done = 0;
		r->window_ns = now;
	}
	r->window_count++;
	if (r->rate > 0) {
		at = r->next_ns > now ? r->next_ns : now;
		r->next_ns = at + (int64_t)(SECOND / r->rate);
	}
	pthread_mutex_unlock(&r->lock);
	return at;
}

/* With the lock held. False when the request began before this could show. */
static bool
slow_down(struct retry *r, int64_t begun_ns)
{
	int64_t now = clock_monotonic_ns();
	double least;

	if (r->halved_ns != 0 && begun_ns < r->halved_ns + MOMENT)
		return false;
	if (r->rate == 0) {
		r->rate = r->rate_known = measured(r, now);
		r->next_ns = now;
	}
	/* A remote that lets so many through does not want fewer, just not more. */
	least = got_through(r, now) * 4 / 5;
	least = least < r->rate ? least : r->rate / 2;
	least = least > RATE_MIN ? least : RATE_MIN;
	r->rate = r->rate / 2 > least ? r->rate / 2 : least;
	r->halved_ns = now;
	return true;
}

/* With the lock held. */
static void
speed_up(struct retry *r)
{
	double step;

	if (r->rate == 0)
		return;
	step = r->rate_known / 10 / r->rate;
	r->rate += step < r->rate / 2 ? step : r->rate / 2;
	if (r->rate > 2 * r->rate_known)
		r->rate = 0;
}

/* ---- what came of an attempt ---- */

static void
note_success(struct retry *r)
{
	pthread_mutex_lock(&r->lock);
	r->failed = 0;
	r->done++;
	r->window_done++;
	speed_up(r);
	pthread_mutex_unlock(&r->lock);
}

/* Whether anything got through since this one was asked to wait last (before the first time: at
 * all): it waits in a line that moves. */
static bool
line_moves(struct attempts *a)
{
	uint64_t was = a->done;

	pthread_mutex_lock(&a->r->lock);
	a->done = a->r->done;
	pthread_mutex_unlock(&a->r->lock);
	return a->done != was;
}

/* Opens the breaker when it is time. */
static void
note_failure(const struct attempts *a, const struct fault *f)
{
	struct retry *r = a->r;

	pthread_mutex_lock(&r->lock);
	if (f->class != FAULT_THROTTLE || slow_down(r, a->begun_ns))
		r->failed++;
	if (r->o.breaker > 0 && r->failed >= r->o.breaker)
		atomic_store(&r->open, true);
	pthread_mutex_unlock(&r->lock);
}

static int
fail_open(const struct attempts *a, const struct fault *f, struct err *e)
{
	return err_set(e, ERR_BUSY, NULL,
	    "%s: %s; the remote failed %u times in a row: try again later", a->what,
	    f != NULL ? f->text : "not tried any more", a->r->o.breaker);
}

/* Of an item that a later run may do. */
static int
fail_for_now(const struct attempts *a, const struct fault *f, const char *why, struct err *e)
{
	err_item(e, P_REMOTE, "%s: %s (%s)", a->what, f->text, why);
	e->sys = EAGAIN;
	return -1;
}

static int
fail_used_up(const struct attempts *a, const struct fault *f, struct err *e)
{
	char times[32] = "tried once";

	if (a->n > 1)
		snprintf(times, sizeof times, "tried %u times", a->n);
	return fail_for_now(a, f, times, e);
}

static int
fail_until(const struct attempts *a, const struct fault *f, struct err *e)
{
	struct timespec t = {.tv_sec = clock_now().tv_sec + f->retry_after_s};
	char date[CLOCK_TEXT_MAX], when[CLOCK_TEXT_MAX + 96];

	clock_rfc3339(t, date);
	snprintf(when, sizeof when,
	    "the remote wants to be asked again in %" PRId64 " minutes, at %s: run again then",
	    (f->retry_after_s + 59) / 60, date);
	return fail_for_now(a, f, when, e);
}

/* Of the faults that are final at once. */
static int
fail(const struct attempts *a, const struct fault *f, struct err *e)
{
	switch (f->class) {
	case FAULT_CONFLICT:
		return err_item(e, P_CONFLICT, "%s: %s", a->what, f->text);
	case FAULT_ABSENT:
		return err_item(e, P_MISSING, "%s: %s", a->what, f->text);
	case FAULT_ITEM:
		return err_item(e, P_REMOTE, "%s: %s", a->what, f->text);
	case FAULT_QUOTA:
		return err_set(e, ERR_BUSY, NULL, "%s: %s", a->what, f->text);
	default:
		return err_set(e, ERR_CONFIG, NULL, "%s: %s", a->what, f->text);
	}
}

static void
tell(const struct attempts *a, const struct fault *f, int64_t wait_ms)
{
	struct retry *r = a->r;
	struct retry_event v = {
	    .what = a->what, .fault = f, .attempt = a->n > 0 ? a->n : 1, .wait_ms = wait_ms};

	atomic_fetch_add(&r->again, 1);
	if (r->o.tell != NULL)
		r->o.tell(r->o.ctx, &v);
}

/* After a failed attempt: 0 when it is time for another, -1 and *e. */
static int
next_attempt(struct attempts *a, const struct fault *f, struct err *e)
{
	int64_t wait_ms;

	switch (f->class) {
	case FAULT_SIGN_IN:
		if (a->signed_in)
			return fail(a, f, e);
		a->signed_in = true;
		tell(a, f, 0);
		return 0;
	case FAULT_THROTTLE:
		a->n += !line_moves(a);
		note_failure(a, f);
		break;
	case FAULT_TRANSIENT:
	case FAULT_STALL:
		a->n++;
		note_failure(a, f);
		break;
	case FAULT_CONFLICT:
	case FAULT_ABSENT:
		note_success(a->r);
		return fail(a, f, e);
	default:
		return fail(a, f, e);
	}
	if (atomic_load(&a->r->open))
		return fail_open(a, f, e);
	if (f->retry_after_s > RETRY_AFTER_MAX_S)
		return fail_until(a, f, e);
	if (a->n >= a->r->o.attempts)
		return fail_used_up(a, f, e);
	wait_ms = jitter_ms(a->r, a->n, f);
	tell(a, f, wait_ms);
	wait_until(a->r, clock_monotonic_ns() + wait_ms * MS);
	return atomic_load(&a->r->open) ? fail_open(a, f, e) : 0;
}

int
retry_run(struct retry *r, const char *what,
    int (*attempt)(void *ctx, struct fault *f, struct err *e), void *ctx, struct err *e)
{
	struct attempts a = {.r = r, .what = what};
	struct fault f;

	do {
		wait_until(r, admit(r));
		if (stopped(r))
			return err_set(e, ERR_STOPPED, NULL, "stopped");
		if (atomic_load(&r->open))
			return fail_open(&a, NULL, e);
		a.begun_ns = clock_monotonic_ns();
		f = (struct fault){.retry_after_s = -1};
		if (attempt(ctx, &f, e) == 0) {
			note_success(r);
			return 0;
		}
		if (f.class == FAULT_NONE)
			return -1;
	} while (next_attempt(&a, &f, e) == 0);
	return -1;
}
