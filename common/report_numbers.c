#include "report_numbers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue_stats.h"
#include "mem.h"

/* "wav pcm_s16le" → "WAV (pcm_s16le)", "flac flac" → "FLAC". */
static void
format_label(const char *label, char *out, size_t size)
{
	size_t len = strcspn(label, " "), at = 0;
	const char *codec = label[len] == ' ' ? label + len + 1 : "";

	for (; at < len && at + 1 < size; at++)
		out[at] = label[at] >= 'a' && label[at] <= 'z' ? (char)(label[at] - 'a' + 'A')
							       : label[at];
	out[at] = '\0';
	if (codec[0] != '\0' && (strlen(codec) != len || strncmp(codec, label, len) != 0))
		snprintf(out + at, size - at, " (%s)", codec);
}

static void
rate_label(const char *label, char *out, size_t size)
{
	snprintf(out, size, "%.6g kHz", strtod(label, NULL) / 1000);
}

static void
rank(struct report_ranking *r, const struct catalogue_stat *s,
    void (*write)(const char *label, char *out, size_t size))
{
	size_t i = r->n < REPORT_TOP ? r->n++ : REPORT_TOP;
	struct chart_bar *bar = &r->bar[i];

	if (i == REPORT_TOP) {
		r->n = REPORT_TOP + 1;
		snprintf(bar->label, sizeof bar->label, "others");
	} else if (s->label == NULL) {
		snprintf(bar->label, sizeof bar->label, "not measured");
	} else {
		write(s->label, bar->label, sizeof bar->label);
	}
	r->count[i] += s->count;
	r->seconds[i] += s->value;
}

static int
add_format(void *ctx, const struct catalogue_stat *s, struct err *e)
{
	(void)e;
	rank(&((struct report_numbers *)ctx)->formats, s, format_label);
	return 0;
}

static int
add_rate(void *ctx, const struct catalogue_stat *s, struct err *e)
{
	(void)e;
	rank(&((struct report_numbers *)ctx)->rates, s, rate_label);
	return 0;
}

/* A class of a statistic: the lower bound that it is named by there, and its name here. */
struct bin {
	const char *from; /* NULL: unknown */
	const char *label;
};

static const struct bin durations[REPORT_DURATIONS] = {
    {"0", "under 1 s"},
    {"1", "1 to 10 s"},
    {"10", "10 s to 1 min"},
    {"60", "1 to 10 min"},
    {"600", "10 min to 1 h"},
    {"3600", "1 to 4 h"},
    {"14400", "4 h and more"},
    {NULL, "not known"},
};

static const struct bin ages[REPORT_AGES] = {
    {"0", "in the last day"},
    {"1", "in the last week"},
    {"7", "in the last month"},
    {"31", "in the last three months"},
    {"92", "in the last year"},
    {"366", "more than a year ago"},
    {"never", "never"},
};

const char *
report_duration_label(size_t i)
{
	return durations[i].label;
}

const char *
report_age_label(size_t i)
{
	return ages[i].label;
}

static void
add_to_bin(
    const struct bin *bins, size_t n, const struct catalogue_stat *s, int64_t *count, double *value)
{
	for (size_t i = 0; i < n; i++) {
		const char *from = bins[i].from;

		if (from == NULL || s->label == NULL ? from == s->label
						     : strcmp(from, s->label) == 0) {
			count[i] += s->count;
			value[i] += s->value;
		}
	}
}

static int
add_duration(void *ctx, const struct catalogue_stat *s, struct err *e)
{
	struct report_numbers *n = ctx;

	(void)e;
	n->seconds += s->value;
	add_to_bin(durations, REPORT_DURATIONS, s, n->duration, n->duration_s);
	return 0;
}

static int
add_age(void *ctx, const struct catalogue_stat *s, struct err *e)
{
	struct report_numbers *n = ctx;

	(void)e;
	n->bytes += s->value;
	add_to_bin(ages, REPORT_AGES, s, n->age, n->age_bytes);
	return 0;
}

static int
add_loudness(void *ctx, const struct catalogue_stat *s, struct err *e)
{
	struct report_numbers *n = ctx;
	int64_t lufs;

	(void)e;
	if (s->label != NULL && mem_parse_i64(s->label, REPORT_QUIETEST, REPORT_LOUDEST, &lufs))
		n->loudness[lufs - REPORT_QUIETEST] += s->count;
	else
		n->no_loudness += s->count;
	return 0;
}

bool
report_is_one_of(const char *s, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strcmp(s, *list) == 0)
			return true;
	return false;
}

/* What the last look at a recording says of it; what is no more than not known counts nowhere. */
static int
add_verdict(void *ctx, const struct catalogue_stat *s, struct err *e)
{
	static const char *const unreadable[] = {P_DENIED, P_UNREADABLE, P_UNSAFE_PATH, NULL};
	static const char *const unknown[] = {
	    "ok", "tags_only", "unchecked", P_UNSUPPORTED, P_BUSY, NULL};
	struct report_numbers *n = ctx;

	(void)e;
	if (s->label == NULL || report_is_one_of(s->label, unknown))
		return 0;
	if (strcmp(s->label, P_MISSING) == 0)
		n->missing += s->count;
	else if (report_is_one_of(s->label, unreadable))
		n->unreadable += s->count;
	else
		n->damaged += s->count;
	return 0;
}

/* Months since the year 0 of "2025-09", or -1. */
static int
month_of(const char *label)
{
	return label != NULL && strlen(label) == 7 ? atoi(label) * 12 + atoi(label + 5) - 1 : -1;
}

static int
find_months(void *ctx, const struct catalogue_stat *s, struct err *e)
{
	struct report_numbers *n = ctx;
	int month = month_of(s->label);

	(void)e;
	if (month == -1) {
		n->undated += s->count;
		return 0;
	}
	if (n->month_step == 0)
		n->month_first = month;
	n->month_last = month;
	n->month_step = (month - n->month_first) / REPORT_MONTHS + 1;
	return 0;
}

static int
add_month(void *ctx, const struct catalogue_stat *s, struct err *e)
{
	struct report_numbers *n = ctx;
	int month = month_of(s->label), at = month - n->month_first;

	(void)e;
	/* Another program may have added a later one since the first pass. */
	if (month == -1 || n->month_step == 0 || at < 0 || month > n->month_last)
		return 0;
	n->month_count[at / n->month_step] += s->count;
	n->month_bytes[at / n->month_step] += s->value;
	return 0;
}

int
report_numbers_take(struct catalogue *c, const char *now, struct report_numbers *n, struct err *e)
{
	static const struct {
		enum catalogue_statistic which;
		int (*each)(void *ctx, const struct catalogue_stat *s, struct err *e);
	} steps[] = {
	    {STAT_FORMATS, add_format},
	    {STAT_RATES, add_rate},
	    {STAT_DURATIONS, add_duration},
	    {STAT_LOUDNESS, add_loudness},
	    {STAT_AGES, add_age},
	    {STAT_VERDICTS, add_verdict},
	    {STAT_MONTHS, find_months},
	    {STAT_MONTHS, add_month},
	};

	*n = (struct report_numbers){0};
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
		if (catalogue_statistic(c, steps[i].which, steps[i].each, n, e) == -1)
			return err_prefix(e, "counting the recordings");
	return catalogue_coverage(c, now, &n->coverage, e);
}
