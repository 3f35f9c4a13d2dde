/*
 * catalogue_stats: the recordings in numbers, for a report. Nothing here changes the database.
 */
#ifndef REC_CATALOGUE_STATS_H
#define REC_CATALOGUE_STATS_H

#include <stdint.h>

#include "catalogue.h"
#include "err.h"

/* One line of a statistic: a label and its numbers. */
struct catalogue_stat {
	const char *label; /* borrowed until the next call; NULL when unknown */
	int64_t count;
	double value; /* what the statistic sums: bytes, seconds */
};
enum catalogue_statistic {
	STAT_MONTHS,  /* label 2025-09 (of created_at): recordings and their bytes, oldest first */
	STAT_FORMATS, /* label "wav pcm_s16le": recordings and seconds, most first */
	STAT_RATES,   /* label "44100": recordings and seconds */
	STAT_DURATIONS, /* label: lower bound in seconds of a class (0 1 10 60 600 3600 14400):
			   count, seconds */
	STAT_LOUDNESS, /* label: whole LUFS, floor, clamped to -70 … 0: recordings; value unused */
	STAT_AGES,     /* label: days since the last check of the bytes (0 1 7 31 92 366, "never"):
			  recordings, bytes */
	STAT_VERDICTS, /* label: last verdict, else problem code, else "unchecked": recordings,
			  bytes */
};
int catalogue_statistic(struct catalogue *c, enum catalogue_statistic which,
    int (*each)(void *ctx, const struct catalogue_stat *s, struct err *e), void *ctx,
    struct err *e);

#endif
