/*
 * push: recordings to the remote.
 *
 * Without items: the application's due jobs, then all that plan.h says, then what is to be deleted,
 * then the inventory. With items: these recordings, a record each.
 */
#ifndef REC_PUSH_H
#define REC_PUSH_H

#include <stdbool.h>

#include "sync.h"

struct push_opts {
	bool remove;	      /* --delete */
	bool include_deleted; /* --include-deleted */
};

struct push_counts {
	uint64_t sent, found, renamed, removed, problems;
	uint64_t sent_bytes; /* of recordings, not of the wire */
};

/* *n is filled in each case. 0; -1 and *e. */
int push_run(struct sync *s, const struct push_opts *o, struct push_counts *n, struct err *e);
/* Prints what push_run would do; changes nothing, here or there. */
int push_plan(struct sync *s, const struct push_opts *o, struct err *e);

#endif
