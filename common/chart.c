/*
 * A user unit is about a pixel where the page shows a chart (a card on a phone, or a third of a
 * wide page), so that text keeps its size. No font is known, so the width of text is estimated on
 * the wide side; a label that would come too close to the one before it is left out. Colour says
 * nothing alone: damage has a bracket and a word, what is missing is hatched and has one, too.
 */
#include "chart.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "utf8.h"

#define WIDTH 360.0	 /* of a chart */
#define WAVE_WIDTH 480.0 /* of a waveform */
#define LETTER 7.6	 /* width of a column of text, at most on average */
#define VALUE_MAX 1e15

const char chart_style[] =
    ".chart{display:block;width:100%;height:auto;font:13px system-ui,sans-serif;"
    "fill:var(--muted)}\n"
    ".chart .ink{fill:var(--ink)}\n"
    ".chart .num{font-variant-numeric:tabular-nums}\n"
    ".chart .end{text-anchor:end}\n"
    ".chart .mid{text-anchor:middle}\n"
    ".chart .grid{stroke:var(--line);stroke-width:1}\n"
    ".chart .base{stroke:var(--muted);stroke-width:1}\n"
    ".chart .track{fill:var(--line)}\n"
    ".chart .bar{fill:var(--accent)}\n"
    ".chart .area{fill:var(--accent);fill-opacity:.16}\n"
    ".chart .line{fill:none;stroke:var(--accent);stroke-width:2.5;stroke-linejoin:round}\n"
    ".chart .dot{fill:var(--accent);stroke:var(--surface);stroke-width:2}\n"
    ".chart .good{fill:none;stroke:var(--accent)}\n"
    ".chart .bad{fill:none;stroke:var(--damage)}\n"
    ".chart .band{fill:var(--damage);fill-opacity:.13}\n"
    ".chart .bracket{fill:none;stroke:var(--damage);stroke-width:2}\n"
    ".chart .word{fill:var(--damage);font-weight:600}\n"
    ".chart .gap{fill:none;stroke:var(--damage);stroke-width:1.5;stroke-dasharray:4 3}\n"
    ".chart .hatch{fill:none;stroke:var(--damage);stroke-width:1;stroke-opacity:.55}\n"
    ".chart .paper{fill:var(--surface)}\n"
    "@media(max-width:600px){.wave text{font-size:16px}}\n"
    "@media(max-width:440px){.wave text{font-size:19px}}\n";

/* What is drawn with: the first failure ends the drawing. */
struct pen {
	struct buf *out;
	struct err *e;
	int rc;
};

static void put(struct pen *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Numbers and markup only: text goes through put_text. */
static void
put(struct pen *p, const char *fmt, ...)
{
	char part[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(part, sizeof part, fmt, args);
	va_end(args);
	if (p->rc == 0)
		p->rc = buf_adds(p->out, part, p->e);
}

static void
put_text(struct pen *p, const char *text)
{
	if (p->rc == 0)
		p->rc = chart_escape(p->out, text, p->e);
}

static double
clean(double v)
{
	return isfinite(v) && v > 0 ? fmin(v, VALUE_MAX) : 0;
}

static double
text_width(const char *text)
{
	return (double)utf8_columns(text) * LETTER;
}

/* ---- text ---- */

/* Turns the direction of writing (Unicode TR 9), or is no character of XML 1.0: the three bytes at
 * s. */
static bool
is_treacherous(const unsigned char *s)
{
	if (s[0] == 0xe2 && s[1] == 0x80)
		return s[2] >= 0xaa && s[2] <= 0xae;
	if (s[0] == 0xe2 && s[1] == 0x81)
		return s[2] >= 0xa6 && s[2] <= 0xa9;
	return s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xbe;
}

/* Length of the character at s (len bytes are left); *show is what stands for it, or NULL. */
static size_t
next_character(const char *s, size_t len, const char **show)
{
	static const struct {
		char c;
		const char *entity;
	} entities[] = {
	    {'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
	unsigned char c = (unsigned char)s[0];
	size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	*show = NULL;
	for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++)
		if (s[0] == entities[i].c)
			*show = entities[i].entity;
	if (n > len || !utf8_valid(s, n)) {
		*show = "\xef\xbf\xbd";
		return 1;
	}
	if (c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)s[1] < 0xa0) ||
	    (n == 3 && is_treacherous((const unsigned char *)s)))
		*show = "\xef\xbf\xbd";
	return n;
}

int
chart_escape(struct buf *out, const char *text, struct err *e)
{
	size_t len = strlen(text), plain = 0, n;
	const char *show;

	for (size_t i = 0; i < len; i += n) {
		n = next_character(text + i, len - i, &show);
		if (show == NULL)
			continue;
		if (buf_add(out, text + plain, i - plain, e) == -1 || buf_adds(out, show, e) == -1)
			return -1;
		plain = i + n;
	}
	return buf_add(out, text + plain, len - plain, e);
}

char *
chart_time(double s, char out[CHART_TIME_MAX])
{
	unsigned long long whole;

	s = clean(s);
	if (s < 10) {
		snprintf(out, CHART_TIME_MAX, "%.3g s", s < 0.0005 ? 0 : s);
		return out;
	}
	whole = (unsigned long long)(s + 0.5);
	if (whole < 3600)
		snprintf(out, CHART_TIME_MAX, "%llu:%02llu", whole / 60, whole % 60);
	else
		snprintf(out, CHART_TIME_MAX, "%llu:%02llu:%02llu", whole / 3600, whole / 60 % 60,
		    whole % 60);
	return out;
}

/* ---- what all charts have ---- */

static void
begin(struct pen *p, const char *class, const char *title, double width, double height)
{
	put(p, "<svg class=\"chart %s\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"",
	    class, width, height);
	put_text(p, title);
	put(p, "\"><title>");
	put_text(p, title);
	put(p, "</title>");
}

static int
end(struct pen *p)
{
	put(p, "</svg>\n");
	return p->rc;
}

static int
nothing(struct pen *p, const char *class, const char *title, double width, const char *why)
{
	begin(p, class, title, width, 48);
	put(p, "<desc>%s</desc><text class=\"mid\" x=\"%.0f\" y=\"28\">%s</text>", why, width / 2,
	    why);
	return end(p);
}

/* Cut at the edge of a character so that it takes no more than width; "…" stands for the rest. */
static void
put_fitting(struct pen *p, const char *text, double width)
{
	char cut[sizeof((struct chart_bar *)0)->label + 4];
	size_t columns = width > LETTER ? (size_t)(width / LETTER) : 1, len;

	if (utf8_columns(text) <= columns) {
		put_text(p, text);
		return;
	}
	len = utf8_fit(text, columns - 1);
	snprintf(cut, sizeof cut, "%.*s…", (int)len, text);
	put_text(p, cut);
}

/* ---- horizontal bars ---- */

#define ROW 36.0

static void
row(struct pen *p, size_t i, const struct chart_bar *b, double max)
{
	double y = (double)i * ROW, width = clean(b->value) / max * WIDTH;

	put(p, "<text class=\"ink\" x=\"0\" y=\"%.0f\">", y + 14);
	put_fitting(p, b->label, WIDTH - text_width(b->text) - 2 * LETTER);
	put(p, "</text><text class=\"end num\" x=\"%.0f\" y=\"%.0f\">", WIDTH, y + 14);
	put_text(p, b->text);
	put(p,
	    "</text><rect class=\"track\" x=\"0\" y=\"%.0f\" width=\"%.0f\" height=\"6\" "
	    "rx=\"3\"/>",
	    y + 20, WIDTH);
	if (width > 0)
		put(p,
		    "<rect class=\"bar\" x=\"0\" y=\"%.0f\" width=\"%.1f\" height=\"6\" "
		    "rx=\"3\"/>",
		    y + 20, fmax(width, 4));
}

int
chart_bars(
    struct buf *out, const char *title, const struct chart_bar *bars, size_t n, struct err *e)
{
	struct pen p = {.out = out, .e = e};
	size_t rows = n > CHART_BARS ? CHART_BARS : n, whole = n > rows ? rows - 1 : rows;
	struct chart_bar rest = {.value = 0};
	double max = 0;

	if (n == 0)
		return nothing(&p, "bars", title, WIDTH, "Nothing to show yet.");
	for (size_t i = whole; i < n; i++)
		rest.value += clean(bars[i].value);
	for (size_t i = 0; i < whole; i++)
		max = fmax(max, clean(bars[i].value));
	max = fmax(max, clean(rest.value));
	begin(&p, "bars", title, WIDTH, (double)rows * ROW - 6);
	put(&p, "<desc>%zu bars with their values.</desc>", rows);
	for (size_t i = 0; i < whole; i++)
		row(&p, i, &bars[i], max > 0 ? max : 1);
	if (whole < n) {
		snprintf(rest.label, sizeof rest.label, "%zu more", n - whole);
		snprintf(rest.text, sizeof rest.text, "%.6g", rest.value);
		row(&p, whole, &rest, max > 0 ? max : 1);
	}
	return end(&p);
}

/* ---- charts with axes ---- */

#define PLOT_TOP 22.0
#define PLOT_BOTTOM 172.0
#define PLOT_HEIGHT 200.0

struct plot {
	double left, right, top_value, step;
};

static void
tick_text(double v, double step, char *text, size_t size)
{
	int decimals = step >= 1 ? 0 : (int)ceil(-log10(step) - 1e-9);

	if (v >= 10000)
		snprintf(text, size, "%.6g%s",
		    v >= 1e12  ? v / 1e12
		    : v >= 1e9 ? v / 1e9
		    : v >= 1e6 ? v / 1e6
			       : v / 1e3,
		    v >= 1e12  ? " T"
		    : v >= 1e9 ? " G"
		    : v >= 1e6 ? " M"
			       : " k");
	else
		snprintf(text, size, "%.*f", decimals, v);
}

/* Two to five ticks at 1, 2 or 5 times a power of ten; whole numbers when all values are. */
static struct plot
plot_of(double max, bool whole)
{
	double raw, power, f;
	struct plot plot = {.right = WIDTH - 2};
	char text[48];

	max = max < 1e-6 ? 1.0 : max;
	raw = max / 4;
	power = pow(10, floor(log10(raw)));
	f = raw / power;
	plot.step = (f <= 1 ? 1 : f <= 2 ? 2 : f <= 5 ? 5 : 10) * power;
	if (whole && plot.step < 1)
		plot.step = 1;
	plot.top_value = ceil(max / plot.step - 1e-9) * plot.step;
	for (double v = 0; v <= plot.top_value + plot.step / 2; v += plot.step) {
		tick_text(v, plot.step, text, sizeof text);
		plot.left = fmax(plot.left, text_width(text) + 8);
	}
	return plot;
}

static double
plot_y(const struct plot *plot, double value)
{
	return PLOT_BOTTOM - value / plot->top_value * (PLOT_BOTTOM - PLOT_TOP);
}

static void
put_ticks(struct pen *p, const struct plot *plot)
{
	char text[48];

	for (double v = 0; v <= plot->top_value + plot->step / 2; v += plot->step) {
		double y = plot_y(plot, v);

		tick_text(v, plot->step, text, sizeof text);
		put(p,
		    "<path class=\"%s\" d=\"M%.1f %.1fH%.1f\"/><text class=\"end num\" x=\"%.1f\" "
		    "y=\"%.1f\">%s</text>",
		    v == 0 ? "base" : "grid", plot->left, y, plot->right, plot->left - 6, y + 4,
		    text);
	}
}

/* Labels below the axis, keeping clear of each other. */
struct labels {
	double left, right; /* the edges that they stay within */
	double y;
	double taken; /* up to here */
};

static void
put_label(struct pen *p, struct labels *l, double x, const char *text)
{
	double half = text_width(text) / 2;

	x = fmin(fmax(x, l->left + half), l->right - half);
	if (text[0] == '\0' || x - half < l->taken)
		return;
	put(p, "<text class=\"mid num\" x=\"%.1f\" y=\"%.0f\">", x, l->y);
	put_text(p, text);
	put(p, "</text>");
	l->taken = x + half + LETTER;
}

/* Every how many labels one is shown, of those steps that people count in. */
static size_t
stride_of(const struct chart_bar *bars, size_t n, double width, const size_t *steps)
{
	double widest = LETTER;
	size_t i = 0;

	for (size_t k = 0; k < n; k++)
		widest = fmax(widest, text_width(bars[k].label) + 2 * LETTER);
	while (steps[i + 1] != 0 && (double)(n / steps[i] + 1) * widest > width)
		i++;
	return steps[i];
}

static bool
all_whole(const struct chart_bar *bars, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (clean(bars[i].value) != floor(clean(bars[i].value)))
			return false;
	return true;
}

/* ---- vertical bars ---- */

static double
sum(const struct chart_bar *bars, size_t n)
{
	double v = 0;

	for (size_t i = 0; i < n; i++)
		v += clean(bars[i].value);
	return clean(v);
}

static void
column(struct pen *p, const struct plot *plot, double x, double width, double value,
    const struct chart_bar *first, bool merged)
{
	double y = fmin(plot_y(plot, value), PLOT_BOTTOM - 1.5);

	if (value <= 0)
		return;
	put(p, "<rect class=\"bar\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"><title>",
	    x, y, width, PLOT_BOTTOM - y);
	put_text(p, first->label);
	put(p, ": ");
	if (merged)
		put(p, "%.6g", value);
	else
		put_text(p, first->text);
	put(p, "</title></rect>");
}

int
chart_histogram(struct buf *out, const char *title, const char *unit, const struct chart_bar *bars,
    size_t n, struct err *e)
{
	static const size_t steps[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 10000, 0};
	struct pen p = {.out = out, .e = e};
	size_t many = n == 0 ? 1 : (n - 1) / CHART_BARS + 1, columns = (n + many - 1) / many,
	       stride;
	struct labels labels = {.right = WIDTH, .y = PLOT_BOTTOM + 18};
	struct plot plot;
	double max = 0, width;

	if (n == 0)
		return nothing(&p, "histogram", title, WIDTH, "Nothing to show yet.");
	for (size_t i = 0; i < n; i += many)
		max = fmax(max, sum(bars + i, n - i < many ? n - i : many));
	plot = plot_of(max, all_whole(bars, n));
	width = (plot.right - plot.left) / (double)columns;
	stride = stride_of(bars, n, plot.right - plot.left, steps);
	begin(&p, "histogram", title, WIDTH, PLOT_HEIGHT + 14);
	put(&p, "<desc>A distribution in %zu columns; the highest is %.6g.</desc>", columns, max);
	put_ticks(&p, &plot);
	labels.left = plot.left;
	for (size_t i = 0; i < n; i += many) {
		double x = plot.left + (double)(i / many) * width;

		column(&p, &plot, x + width * 0.08, width * 0.84,
		    sum(bars + i, n - i < many ? n - i : many), &bars[i], many > 1);
		if (i % stride == 0)
			put_label(&p, &labels, x + width / 2, bars[i].label);
	}
	put(&p, "<text class=\"mid\" x=\"%.1f\" y=\"%.0f\">", (plot.left + plot.right) / 2,
	    PLOT_HEIGHT + 8);
	put_text(&p, unit);
	put(&p, "</text>");
	return end(&p);
}

/* ---- line ---- */

static double
point_x(const struct plot *plot, size_t i, size_t n)
{
	return plot->left + (plot->right - 4 - plot->left) * (double)i / (double)(n - 1);
}

/* The line through every many-th point and the last; with `from`, begun there and closed below. */
static void
put_line(struct pen *p, const struct plot *plot, const struct chart_bar *points, size_t n,
    size_t many, bool area)
{
	double first = plot_y(plot, clean(points[0].value));

	if (area)
		put(p, "<path class=\"area\" d=\"M%.1f %.1fV%.1f", plot->left, PLOT_BOTTOM, first);
	else
		put(p, "<path class=\"line\" d=\"M%.1f %.1f", plot->left, first);
	if (n == 1)
		put(p, "H%.1f", plot->right - 4);
	for (size_t i = many; i < n; i += many)
		put(p, "L%.1f %.1f", point_x(plot, i, n), plot_y(plot, clean(points[i].value)));
	if (n > 1 && (n - 1) % many != 0)
		put(p, "L%.1f %.1f", point_x(plot, n - 1, n),
		    plot_y(plot, clean(points[n - 1].value)));
	put(p, area ? "V%.1fZ\"/>" : "\"/>", PLOT_BOTTOM);
}

int
chart_area(
    struct buf *out, const char *title, const struct chart_bar *points, size_t n, struct err *e)
{
	static const size_t steps[] = {1, 2, 3, 6, 12, 24, 36, 60, 120, 240, 600, 1200, 12000, 0};
	struct pen p = {.out = out, .e = e};
	struct labels labels = {.right = WIDTH, .y = PLOT_BOTTOM + 18};
	size_t many = n == 0 ? 1 : (n - 1) / CHART_BARS + 1, stride;
	struct plot plot;
	double max = 0, last;

	if (n == 0)
		return nothing(&p, "growth", title, WIDTH, "Nothing to show yet.");
	for (size_t i = 0; i < n; i++)
		max = fmax(max, clean(points[i].value));
	last = clean(points[n - 1].value);
	plot = plot_of(max, all_whole(points, n));
	stride = stride_of(points, n, plot.right - plot.left, steps);
	begin(&p, "growth", title, WIDTH, PLOT_HEIGHT);
	put(&p, "<desc>From ");
	put_text(&p, points[0].label);
	put(&p, " to ");
	put_text(&p, points[n - 1].label);
	put(&p, "; at the end ");
	put_text(&p, points[n - 1].text);
	put(&p, ".</desc>");
	put_ticks(&p, &plot);
	put_line(&p, &plot, points, n, many, true);
	put_line(&p, &plot, points, n, many, false);
	labels.left = plot.left;
	for (size_t i = 0; i < n; i += stride)
		put_label(&p, &labels, n == 1 ? WIDTH : point_x(&plot, i, n), points[i].label);
	put(&p,
	    "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"5\"/><text class=\"ink end num\" "
	    "x=\"%.1f\" y=\"%.1f\" font-weight=\"600\">",
	    plot.right - 4, plot_y(&plot, last), plot.right, plot_y(&plot, last) - 10);
	put_text(&p, points[n - 1].text);
	put(&p, "</text>");
	return end(&p);
}

/* ---- waveform ---- */

#define WAVE_TOP 26.0
#define WAVE_BOTTOM 126.0
#define WAVE_MIDDLE 76.0
#define WAVE_HEIGHT 148.0
#define WAVE_SPREAD 1.5 /* its text is so much larger on a phone, where it is drawn small */

struct wave {
	const struct envelope *v;
	double total_s, column_s, there_s; /* of the picture, a column, what decodes */
	const struct chart_mark *marks;
	size_t n;
};

static double
wave_x(const struct wave *w, double s)
{
	return fmin(s / w->total_s, 1) * WAVE_WIDTH;
}

/* Within the picture; false when nothing of it is. */
static bool
mark_within(const struct wave *w, const struct chart_mark *m, double *from, double *to)
{
	if (isnan(m->start_s) || m->start_s >= w->total_s || m->end_s < m->start_s)
		return false;
	*from = fmax(m->start_s, 0);
	*to = isnan(m->end_s) ? w->total_s : fmin(m->end_s, w->total_s);
	return *to >= 0;
}

static bool
is_marked(const struct wave *w, unsigned column)
{
	double from, to, left = column * w->column_s;

	for (size_t i = 0; i < w->n; i++)
		if (mark_within(w, &w->marks[i], &from, &to) && left + w->column_s > from &&
		    (left < to || left <= from))
			return true;
	return false;
}

/* A column is a stroke from its lowest to its highest sample, and silence a dot in the middle. */
static void
put_columns(struct pen *p, const struct wave *w, bool marked)
{
	double half = (WAVE_BOTTOM - WAVE_TOP) / 2 - 2, width = wave_x(w, w->column_s);
	bool any = false;

	for (unsigned i = 0; i < w->v->n; i++) {
		double low = w->v->low[i], high = w->v->high[i];
		double top, bottom;

		if (is_marked(w, i) != marked)
			continue;
		if (!any)
			put(p, "<path class=\"%s\" stroke-width=\"%.2f\" d=\"",
			    marked ? "bad" : "good", fmax(width * 1.05, 1));
		any = true;
		top = WAVE_MIDDLE - half * (isfinite(high) ? fmin(fmax(high, -1), 1) : 0);
		bottom = WAVE_MIDDLE - half * (isfinite(low) ? fmin(fmax(low, -1), 1) : 0);
		put(p, "M%.1f %.1fV%.1f", ((double)i + 0.5) * width, fmin(top, bottom) - 0.5,
		    fmax(top, bottom) + 0.5);
	}
	if (any)
		put(p, "\"/>");
}

/* A word in bold above the picture, where there is room for it. */
static void
put_word(struct pen *p, struct labels *l, double x, const char *word)
{
	double half = text_width(word) / 2 * WAVE_SPREAD;

	x = fmin(fmax(x, l->left + half), l->right - half);
	if (x - half < l->taken)
		return;
	put(p, "<text class=\"word mid\" x=\"%.1f\" y=\"%.0f\">%s</text>", x, l->y, word);
	l->taken = x + half + LETTER;
}

/* The smallest mark is still to be seen in the longest recording. */
static void
put_marks(struct pen *p, const struct wave *w, struct labels *words)
{
	double from, to;

	for (size_t i = 0; i < w->n && i < CHART_BARS; i++) {
		double x, width;

		if (!mark_within(w, &w->marks[i], &from, &to))
			continue;
		width = fmax(wave_x(w, to) - wave_x(w, from), 4);
		x = fmin(wave_x(w, from), WAVE_WIDTH - width);
		put(p,
		    "<rect class=\"band\" x=\"%.1f\" y=\"%.0f\" width=\"%.1f\" height=\"%.0f\"/>"
		    "<path class=\"bracket\" d=\"M%.1f %.0fv-6h%.1fv6\"/>",
		    x, WAVE_TOP, width, WAVE_BOTTOM - WAVE_TOP, x + 1, WAVE_TOP,
		    fmax(width - 2, 2));
		put_word(p, words, x + width / 2, "damaged");
	}
}

/* Slanting lines, cut off at the edges of what is missing; clip paths and patterns would need ids.
 */
static void
put_missing(struct pen *p, const struct wave *w, struct labels *words)
{
	double x = wave_x(w, w->there_s), width = WAVE_WIDTH - x;
	double high = WAVE_BOTTOM - WAVE_TOP;

	if (width < 1)
		return;
	put(p, "<path class=\"hatch\" d=\"");
	for (double d = 8; d < width + high; d += 8) {
		double x1 = fmax(d - high, 0), y1 = d - x1, x2 = fmin(d, width), y2 = d - x2;

		put(p, "M%.1f %.1fL%.1f %.1f", x + x1, WAVE_TOP + y1, x + x2, WAVE_TOP + y2);
	}
	put(p, "\"/><rect class=\"gap\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>", x,
	    WAVE_TOP + 0.75, fmax(width - 0.75, 0.5), high - 1.5);
	put_word(p, words, x + width / 2, "missing");
}

static double
time_step(double total_s)
{
	static const double steps[] = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2,
	    5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400};
	double step = steps[0];

	for (size_t i = 0; i < sizeof steps / sizeof steps[0] && total_s / step > 5; i++)
		step = steps[i];
	while (total_s / step > 5)
		step *= 2;
	return step;
}

/* The whole length at the right edge is worth more than the tick that comes too close to it. */
static void
put_times(struct pen *p, const struct wave *w)
{
	char text[CHART_TIME_MAX];
	struct labels l = {.right = WAVE_WIDTH, .y = WAVE_BOTTOM + 17};
	double step = time_step(w->total_s), end_left;

	chart_time(w->total_s, text);
	end_left = WAVE_WIDTH - WAVE_SPREAD * (text_width(text) + LETTER);
	put(p, "<text class=\"end num\" x=\"%.0f\" y=\"%.0f\">%s</text>", WAVE_WIDTH, l.y, text);
	for (int i = 0; i <= 5 && i * step < w->total_s; i++) {
		double x = wave_x(w, i * step), half;

		chart_time(i * step, text);
		half = text_width(text) / 2 * WAVE_SPREAD;
		if (fmax(x, half) + half > end_left)
			break;
		if (i > 0)
			put(p, "<path class=\"grid\" d=\"M%.1f %.0fv5\"/>", x, WAVE_BOTTOM);
		put(p, "<text class=\"%s num\" x=\"%.1f\" y=\"%.0f\">%s</text>",
		    i == 0 ? "start" : "mid", x, l.y, text);
	}
}

static void
put_description(struct pen *p, const struct wave *w)
{
	char a[CHART_TIME_MAX], b[CHART_TIME_MAX];
	double from, to;

	put(p, "<desc>A recording of %s.", chart_time(w->total_s, a));
	for (size_t i = 0; i < w->n && i < CHART_BARS; i++)
		if (mark_within(w, &w->marks[i], &from, &to))
			put(p, " Damaged from %s to %s.", chart_time(from, a), chart_time(to, b));
	if (wave_x(w, w->there_s) + 1 <= WAVE_WIDTH)
		put(p, " Missing from %s to the end.", chart_time(w->there_s, a));
	put(p, "</desc>");
}

int
chart_waveform(struct buf *out, const char *title, const struct envelope *v, double duration_s,
    const struct chart_mark *marks, size_t n, struct err *e)
{
	struct pen p = {.out = out, .e = e};
	struct wave w = {.v = v, .marks = marks, .n = n};
	struct labels words = {.right = WAVE_WIDTH, .y = WAVE_TOP - 11};

	if (v->n > 0 && v->rate_hz > 0) {
		w.there_s = (double)v->frames / v->rate_hz;
		w.column_s = (double)v->frames_column / v->rate_hz;
	}
	w.total_s = fmax(clean(duration_s), w.there_s);
	if (w.total_s <= 0)
		return nothing(&p, "wave", title, WAVE_WIDTH, "Nothing of it can be decoded.");
	begin(&p, "wave", title, WAVE_WIDTH, WAVE_HEIGHT);
	put_description(&p, &w);
	put_marks(&p, &w, &words);
	put_missing(&p, &w, &words);
	put(&p, "<path class=\"grid\" d=\"M0 %.0fH%.1f\"/>", WAVE_MIDDLE, wave_x(&w, w.there_s));
	put_columns(&p, &w, false);
	put_columns(&p, &w, true);
	put(&p, "<path class=\"base\" d=\"M0 %.0fH%.0f\"/>", WAVE_BOTTOM, WAVE_WIDTH);
	put_times(&p, &w);
	return end(&p);
}
