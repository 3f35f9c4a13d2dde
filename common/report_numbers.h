/*
 * report_numbers: the recordings of a catalogue in numbers, as the report shows them. Bounded,
 * however many recordings, formats and months there are.
 */
#ifndef REC_REPORT_NUMBERS_H
#define REC_REPORT_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "catalogue.h"
#include "catalogue_fixity.h"
#include "chart.h"
#include "err.h"

#define REPORT_TOP 8 /* formats and rates before the rest is added up */
#define REPORT_DURATIONS 8
#define REPORT_AGES 7
#define REPORT_MONTHS CHART_BARS
#define REPORT_LOUDEST 0 /* LUFS */
#define REPORT_QUIETEST (-70)

/* The most frequent of something, and the rest. */
struct report_ranking {
	struct chart_bar bar[REPORT_TOP + 1];
	size_t n;
	int64_t count[REPORT_TOP + 1];
	double seconds[REPORT_TOP + 1];
};

struct report_numbers {
	struct catalogue_coverage coverage;
	double bytes, seconds;
	int64_t damaged, missing, unreadable;
	struct report_ranking formats, rates;
	int64_t duration[REPORT_DURATIONS];
	double duration_s[REPORT_DURATIONS];
	int64_t loudness[REPORT_LOUDEST - REPORT_QUIETEST + 1], no_loudness;
	int64_t age[REPORT_AGES];
	double age_bytes[REPORT_AGES];
	/* Growth: months since the year 0, in steps of month_step. */
	int month_first, month_last, month_step;
	int64_t undated;
	int64_t month_count[REPORT_MONTHS];
	double month_bytes[REPORT_MONTHS];
};

/* All fields, anew. 0, or -1 and *e. */
int report_numbers_take(
    struct catalogue *c, const char *now, struct report_numbers *n, struct err *e);

/* "1 to 10 s": of duration[i]; the last is what is not known. "in the last week": of age[i]. */
const char *report_duration_label(size_t i);
const char *report_age_label(size_t i);

/* Of a list that ends with NULL. */
bool report_is_one_of(const char *s, const char *const *list);

#endif
