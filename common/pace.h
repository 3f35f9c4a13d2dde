/*
 * pace: a limit on bytes a second that many transfers share, with a timetable.
 *
 * A timetable is "RATE", or entries "HH:MM,RATE" with blanks between, in local time: each holds
 * from its time on, the last one also until the first of the next day. RATE is a size as
 * quantity.h reads it (bytes a second: 512K, 10M) or "off".
 */
#ifndef REC_PACE_H
#define REC_PACE_H

#include <stdint.h>

#include "err.h"

struct pace;

/* NULL and *e (ERR_USAGE, names what is wrong) for a text that is no timetable. */
struct pace *pace_open(const char *timetable, struct err *e);
void pace_close(struct pace *p);
/* Bytes a second now; 0: no limit. */
uint64_t pace_rate(struct pace *p);
/*
 * How many of `want` bytes (at least 1) may go now; they count as gone. 0: none, and *wait_ms
 * says when to ask again. From any thread. Bursts are at most a quarter of a second's worth, but
 * never less than 4 KiB.
 */
uint64_t pace_take(struct pace *p, uint64_t want, int64_t *wait_ms);
/* Gives back what was taken and not used. */
void pace_give_back(struct pace *p, uint64_t bytes);

#endif
