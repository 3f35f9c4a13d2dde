/*
 * work: items in order through parallel hands.
 *
 * One thread makes items (`next`), `jobs` threads work on them (`work`), and the caller's thread
 * takes them back in the order in which they were made (`done`). At most a fixed number of items is
 * in flight, so memory stays bounded however many there are.
 *
 * When `next` fails, what was made before is still given to `done`. When `done` fails, or *stop
 * becomes non-zero, no further item is made, and those in flight are handed to `drop`.
 */
#ifndef REC_WORK_H
#define REC_WORK_H

#include <stdatomic.h>

#include "err.h"

struct work {
	/* 1 and *item, 0 at the end, -1 and *e. In a thread of its own. */
	int (*next)(void *ctx, void **item, struct err *e);
	/* Many at once. What goes wrong with an item is the item's business. */
	void (*work)(void *ctx, void *item);
	/* Takes the item over. 0 or -1 and *e. */
	int (*done)(void *ctx, void *item, struct err *e);
	/* Frees an item that nobody will take. */
	void (*drop)(void *ctx, void *item);
	/* Before the caller's thread waits, and about five times a second while it does: flush,
	 * progress. */
	void (*idle)(void *ctx);
	void *ctx;
	unsigned jobs;
	const atomic_int *stop; /* or NULL */
};

/* 0 when all items are done, -1 and *e (ERR_STOPPED when stopped). */
int work_run(const struct work *w, struct err *e);

#endif
