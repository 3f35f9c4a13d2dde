/*
 * splitter: where one part of a recording ends and the next begins: after a time, at a time of the
 * clock, in a pause.
 *
 *	splitter_begin(&s, start);                 a part begins
 *	n = splitter_take(&s, samples, frames);    so many of these still belong to it
 *	if (splitter_is_due(&s)) ...               behind them it ends
 *
 * A pause cuts once, when it has lasted pause_frames, and only behind sound: a part is never all
 * pause but the first.
 */
#ifndef REC_SPLITTER_H
#define REC_SPLITTER_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "pcm.h"

struct splitter {
	struct pcm_kept kept;
	unsigned channels, rate_hz;
	uint64_t every_frames; /* 0: none */
	unsigned clock_s; /* at each multiple of it since midnight UTC; a divisor of a day; 0 */
	uint64_t pause_frames;	/* 0: none */
	double pause_magnitude; /* a frame that does not reach it is quiet */

	uint64_t left;	/* out: frames until the part ends by time or clock; UINT64_MAX: never */
	uint64_t quiet; /* frames since the last loud one */
	bool had_sound; /* since the last cut in a pause */
	bool due;
};

void splitter_begin(struct splitter *s, struct timespec start);
uint64_t splitter_take(struct splitter *s, const void *samples, uint64_t frames);
bool splitter_is_due(const struct splitter *s);

/* minute, hour, day, or a time that divides the day: *s, or -1 and *e (ERR_USAGE). */
int splitter_clock(const char *text, unsigned *s, struct err *e);

#endif
