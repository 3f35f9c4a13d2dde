/*
 * A ring of slots: item i is in slot i modulo the ring's size. `made`, `taken` and `given` count
 * the items that were made, that a worker has begun, and that the caller got back; a slot is free
 * again when its item was given back, which is what bounds the memory.
 */
#include "work.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "mem.h"

#define SLOTS_PER_JOB 16

struct slot {
	void *item;
	bool ready;
};

struct ring {
	const struct work *w;
	pthread_mutex_t lock;
	pthread_cond_t room;  /* half of the slots are free */
	pthread_cond_t item;  /* an item was made, or there will be no more */
	pthread_cond_t ready; /* the item that is next in order is worked on, or there is none */
	struct slot *slots;
	uint64_t size, made, taken, given;
	bool ended;  /* next has no more, or failed */
	bool halted; /* the caller wants no more */
	int next_rc;
	struct err next_err;
};

static bool
stopped(const struct work *w)
{
	return w->stop != NULL && atomic_load(w->stop) != 0;
}

static void *
maker(void *arg)
{
	struct ring *r = arg;
	void *item = NULL;
	int rc = 1;

	for (;;) {
		pthread_mutex_lock(&r->lock);
		while (r->made - r->given == r->size && !r->halted)
			pthread_cond_wait(&r->room, &r->lock);
		if (r->halted || rc != 1)
			break;
		pthread_mutex_unlock(&r->lock);
		rc = stopped(r->w) ? 0 : r->w->next(r->w->ctx, &item, &r->next_err);
		if (rc != 1)
			continue;
		pthread_mutex_lock(&r->lock);
		r->slots[r->made++ % r->size] = (struct slot){.item = item};
		pthread_cond_signal(&r->item);
		pthread_mutex_unlock(&r->lock);
	}
	r->next_rc = rc == -1 ? -1 : 0;
	r->ended = true;
	pthread_cond_broadcast(&r->item);
	pthread_cond_broadcast(&r->ready);
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

static void *
worker(void *arg)
{
	struct ring *r = arg;
	struct slot *s;

	pthread_mutex_lock(&r->lock);
	for (;;) {
		while (r->taken == r->made && !r->ended)
			pthread_cond_wait(&r->item, &r->lock);
		if (r->taken == r->made)
			break;
		s = &r->slots[r->taken++ % r->size];
		pthread_mutex_unlock(&r->lock);
		r->w->work(r->w->ctx, s->item);
		pthread_mutex_lock(&r->lock);
		s->ready = true;
		if (s == &r->slots[r->given % r->size])
			pthread_cond_signal(&r->ready);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* The next item in order: true, or false when there will be no more. Called with the lock held. */
static bool
take(struct ring *r, void **item)
{
	struct timespec until;
	struct slot *s = &r->slots[r->given % r->size];

	while (!(r->given < r->made && s->ready)) {
		if (r->given == r->made && r->ended)
			return false;
		pthread_mutex_unlock(&r->lock);
		if (r->w->idle != NULL)
			r->w->idle(r->w->ctx);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 200000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_mutex_lock(&r->lock);
		if (!(r->given < r->made && s->ready) && !(r->given == r->made && r->ended))
			pthread_cond_timedwait(&r->ready, &r->lock, &until);
	}
	*item = s->item;
	r->given++;
	/* Not for each slot: threads that wake for one item each cost more than the items. */
	if (r->made - r->given <= r->size / 2)
		pthread_cond_signal(&r->room);
	return true;
}

static int
collect(struct ring *r, struct err *e)
{
	void *item;
	int rc = 0;

	pthread_mutex_lock(&r->lock);
	while (take(r, &item)) {
		pthread_mutex_unlock(&r->lock);
		if (rc == 0 && !stopped(r->w))
			rc = r->w->done(r->w->ctx, item, e);
		else
			r->w->drop(r->w->ctx, item);
		pthread_mutex_lock(&r->lock);
		if (rc == -1 || stopped(r->w)) {
			r->halted = true;
			pthread_cond_broadcast(&r->room);
		}
	}
	pthread_mutex_unlock(&r->lock);
	return rc;
}

int
work_run(const struct work *w, struct err *e)
{
	struct ring r = {.w = w,
	    .lock = PTHREAD_MUTEX_INITIALIZER,
	    .room = PTHREAD_COND_INITIALIZER,
	    .item = PTHREAD_COND_INITIALIZER,
	    .ready = PTHREAD_COND_INITIALIZER};
	pthread_t *threads = NULL, making;
	unsigned started = 0;
	bool making_started = false;
	int rc = -1;

	r.size = (uint64_t)w->jobs * SLOTS_PER_JOB;
	if ((r.slots = mem_new(r.size, sizeof *r.slots, e)) == NULL ||
	    (threads = mem_new(w->jobs, sizeof *threads, e)) == NULL)
		goto out;
	for (; started < w->jobs; started++)
		if (pthread_create(&threads[started], NULL, worker, &r) != 0)
			break;
	making_started = started > 0 && pthread_create(&making, NULL, maker, &r) == 0;
	if (!making_started) {
		err_set(e, ERR_SYSTEM, NULL, "cannot start a thread; try a smaller -j");
		pthread_mutex_lock(&r.lock);
		r.ended = true;
		pthread_cond_broadcast(&r.item);
		pthread_mutex_unlock(&r.lock);
		goto out;
	}
	rc = collect(&r, e);
out:
	if (making_started)
		pthread_join(making, NULL);
	while (started > 0)
		pthread_join(threads[--started], NULL);
	if (making_started && rc == 0 && r.next_rc == -1) {
		*e = r.next_err;
		rc = -1;
	}
	if (making_started && rc == 0 && stopped(w))
		rc = err_set(e, ERR_STOPPED, NULL, "stopped");
	free(r.slots);
	free(threads);
	return rc;
}
