/*
 * eventlog: what happens while a recording is made: told as JSON lines on stderr, and kept for the
 * catalogue.
 *
 * A line is {"event":NAME,"time":…,"frame":N,…}, with the frame counted from the start of all that
 * came; an event that is kept belongs to a part, and its frame is counted from there.
 */
#ifndef REC_EVENTLOG_H
#define REC_EVENTLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "json.h"

struct eventlog {
	bool tells;	   /* on stderr */
	bool in_part;	   /* else nothing is kept */
	uint64_t part;	   /* the frame that the part at hand begins with */
	struct json *kept; /* an array, frames as they are told; NULL: none yet */
	uint64_t left_out; /* beyond the most that are kept of a part */
};

/* `fmt` makes further members, each with a comma before it: JSON of our own, or "". */
void eventlog_tell(struct eventlog *l, const char *name, uint64_t frame, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* As eventlog_tell, and keeps it. */
void eventlog_add(struct eventlog *l, const char *name, uint64_t frame, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/*
 * A part ends before the frame `end` (UINT64_MAX: with all that happened): what was kept of it goes
 * into `details`, as events and events_left_out. What lasts since before it began has its frame 0.
 */
int eventlog_take(struct eventlog *l, uint64_t end, struct json *details, struct err *e);
void eventlog_free(struct eventlog *l);

#endif
