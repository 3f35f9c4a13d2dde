/*
 * chart: small charts as inline SVG, drawn with the page's CSS variables so that they follow light
 * and dark.
 *
 * Each appends one <svg> with a <title> and a <desc> for screen readers. Labels are escaped here.
 * What the page must give: chart_style in its style sheet, and the variables --ink --muted --line
 * --surface --accent --damage. Nothing carries an id, so a page may hold any number of charts. A
 * chart is some 30 kB at most, whatever n is; values that are negative or no number count as 0.
 */
#ifndef REC_CHART_H
#define REC_CHART_H

#include <stddef.h>
#include <stdint.h>

#include "envelope.h"
#include "err.h"
#include "mem.h"

/* More bars or points than that are drawn together. */
#define CHART_BARS 120

/* The style sheet of the charts. */
extern const char chart_style[];

struct chart_bar {
	char label[48];
	double value;
	char text[48]; /* the value as people read it */
};

/* Horizontal bars in the order given; a last one sums what is beyond CHART_BARS. */
int chart_bars(
    struct buf *out, const char *title, const struct chart_bar *bars, size_t n, struct err *e);
/* Vertical bars close together: distributions. `unit` names the labels ("LUFS"). Beyond CHART_BARS,
 * neighbours are added up. */
int chart_histogram(struct buf *out, const char *title, const char *unit,
    const struct chart_bar *bars, size_t n, struct err *e);
/* A line with the area below it: values over time that only grow. */
int chart_area(
    struct buf *out, const char *title, const struct chart_bar *points, size_t n, struct err *e);

/* A stretch of a recording, in seconds; end_s NAN: to the end. */
struct chart_mark {
	double start_s, end_s;
};
/*
 * A waveform of duration_s (or of what decodes, when that is longer, or when duration_s is NAN or
 * 0); the marked stretches stand out, and what is missing behind the last column too.
 */
int chart_waveform(struct buf *out, const char *title, const struct envelope *v, double duration_s,
    const struct chart_mark *marks, size_t n, struct err *e);

/* A place in a recording or a length of it, as the charts write it: 0.25 s, 0:07, 1:02:03. */
#define CHART_TIME_MAX 32
char *chart_time(double s, char out[CHART_TIME_MAX]);

/* Text for HTML and XML: & < > " ' escaped; control characters, marks that turn the direction of
 * writing, and what is no UTF-8 shown as U+FFFD. */
int chart_escape(struct buf *out, const char *text, struct err *e);

#endif
