/*
 * retry: what to do when a remote says no, the same for every kind of remote.
 *
 * A backend makes one attempt and says what came of it (struct fault); retry_run does it again, or
 * gives up:
 *
 *	FAULT_CONFIG     wrong name, address, credentials: the run stops at once (ERR_CONFIG)
 *	FAULT_ITEM       this item only, for ever: ERR_ITEM, remote
 *	FAULT_CONFLICT   somebody else's object is in the way: ERR_ITEM, conflict
 *	FAULT_ABSENT     it is not there: ERR_ITEM, missing
 *	FAULT_SIGN_IN    the token ran out: the backend signs in anew, and it is tried once more
 *	FAULT_THROTTLE   slower, please: waits for Retry-After or longer each time, and all threads
 *	                 share a rate of requests that halves, but not below what gets
 *	                 through, and recovers slowly; it is no attempt of an item when others
 *	                 got through meanwhile
 *	FAULT_TRANSIENT  the network, 500, 502, 503, 504: waits a random time up to a cap that
 *	                 doubles
 *	FAULT_STALL      as transient, and told
 *	FAULT_QUOTA      no room there: the run stops, later may help (ERR_BUSY)
 *
 * Waits have full jitter: uniform between 0 and min(30 s, 0.5 s * 2^attempt), on top of a
 * Retry-After. When an item's attempts are used up, or the remote wants to be left alone for more
 * than 300 s: ERR_ITEM, remote, and retry_is_later. When the breaker opens (so many attempts in a
 * row failed, over all threads, with no success between), the run stops: ERR_BUSY.
 */
#ifndef REC_RETRY_H
#define REC_RETRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"

enum fault_class {
	FAULT_NONE,
	FAULT_CONFIG,
	FAULT_ITEM,
	FAULT_CONFLICT,
	FAULT_ABSENT,
	FAULT_SIGN_IN,
	FAULT_THROTTLE,
	FAULT_TRANSIENT,
	FAULT_STALL,
	FAULT_QUOTA,
};

/* config item conflict … */
const char *fault_name(enum fault_class c);

struct fault {
	enum fault_class class;
	int status;	       /* of HTTP, or 0 */
	int64_t retry_after_s; /* -1: not said */
	char text[384];	       /* a sentence for people, without secrets */
};

/* Fills it, without a Retry-After. -1, as an attempt that failed. */
int fault_set(struct fault *f, enum fault_class class, int status, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

struct retry_event {
	const char *what; /* the item */
	const struct fault *fault;
	unsigned attempt; /* that failed, from 1 */
	int64_t wait_ms;  /* until the next; -1: there is none */
};

struct retry_opts {
	unsigned attempts;	/* for one request; at least 1 */
	unsigned breaker;	/* failures in a row that open it; 0: never */
	const atomic_int *stop; /* or NULL: waits end with ERR_STOPPED */
	/* Told of each failure that is not final, from any thread; or NULL. */
	void (*tell)(void *ctx, const struct retry_event *v);
	void *ctx;
	int64_t base_ms, cap_ms; /* of waits; 0: 500 and 30000, as above */
};

struct retry;

struct retry *retry_open(const struct retry_opts *o, struct err *e);
void retry_close(struct retry *r);

/*
 * Calls attempt until it is done or given up. It returns 0 when it is done; -1 with *f filled (its
 * class not FAULT_NONE), or with FAULT_NONE and *e for what is no fault of the remote. From any
 * thread. 0, or -1 and *e as above.
 */
int retry_run(struct retry *r, const char *what,
    int (*attempt)(void *ctx, struct fault *f, struct err *e), void *ctx, struct err *e);
/* Whether the error that retry_run left says that a later run may do it, though this item is given
 * up: its class is ERR_BUSY, or an item's attempts were used up. */
bool retry_is_later(const struct err *e);
/* How often something was tried again. */
uint64_t retry_count(const struct retry *r);

#endif
