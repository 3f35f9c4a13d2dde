/*
 * quantity: times and sizes as people write them on a command line.
 *
 *	time	12.5   [HH:]MM:SS[.fff]   1h30m  250ms  (units: d h m s ms us)   48000f (frames)
 *	size	bytes, or with K M G T behind (powers of 1024; "KiB" and "K" are the same)
 *
 * A leading "-" of a time counts from the end; only callers that allow it accept one. Nothing may
 * stand before or behind the quantity, and what does not fit its type is refused; nothing depends
 * on the locale.
 *
 * Times are exact: seconds, and the last of several units, may have a fraction, down to the
 * nanosecond (nine digits; six of ms, three of us; zeros behind do not count) and no further. Units
 * come in descending order, each once. MM and SS have two digits and are below 60; the first field
 * may be any number. Frames and sizes are whole: "1536M" and not "1.5G". "MB" is refused, since it
 * means two things.
 *
 * Errors are ERR_USAGE with a sentence that quotes the text and says what is allowed; the caller
 * adds the option's name.
 */
#ifndef REC_QUANTITY_H
#define REC_QUANTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

struct quantity_time {
	bool from_end;	/* it began with "-" */
	bool is_frames; /* then frames holds it, else ns */
	uint64_t frames;
	uint64_t ns;
};

int quantity_time(const char *text, struct quantity_time *t, struct err *e);
/* A time that is neither from the end nor in frames: nanoseconds, at least 1. */
int quantity_duration(const char *text, uint64_t *ns, struct err *e);
/*
 * The time in frames at a rate, rounded to the nearest (half a frame upwards); false when it does
 * not fit. One from the end is still to be counted from there.
 */
bool quantity_frames(const struct quantity_time *t, uint64_t rate_hz, uint64_t *frames);
/* Bytes, at least 1. */
int quantity_size(const char *text, uint64_t *bytes, struct err *e);

#endif
