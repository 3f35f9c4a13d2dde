/*
 * The picture is made of dots, 2 x 4 to a character in Braille (Unicode 15, chapter 21.1) and one
 * else. Braille leaves the topmost row of dots empty: an odd number of rows has one in the middle.
 */
#include "waveform.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BRAILLE_WIDE 2
#define BRAILLE_HIGH 4
#define TIME_MAX 40

#define BRIGHT "\033[0;1m"
#define GREY "\033[0;90m"
#define PLAIN "\033[0m"

struct picture {
	const struct waveform_opts *o;
	unsigned height; /* in dots */
	float *peaks;	 /* a dot across: 0.0 to 1.0 */
	bool *kept;	 /* a column */
};

/* ---- from frames to columns ---- */

struct span {
	uint64_t from, to;
};

/* The frames that part i of n has a share in: one at least, when there are any. */
static struct span
span_of(uint64_t frames, uint64_t i, uint64_t n)
{
	uint64_t whole = frames / n, rest = frames % n;

	return (struct span){
	    i * whole + i * rest / n, (i + 1) * whole + ((i + 1) * rest + n - 1) / n};
}

static float
peak_of(const struct envelope *v, struct span s)
{
	float peak = 0;

	if (v->n == 0)
		return 0;
	for (uint64_t i = s.from / v->frames_column; i < v->n && i * v->frames_column < s.to; i++)
		peak = fmaxf(peak, fmaxf(-v->low[i], v->high[i]));
	return peak;
}

static bool
is_kept(const struct waveform_opts *o, struct span s)
{
	for (unsigned i = 0; i < o->n_kept; i++) {
		const struct waveform_kept *k = &o->kept[i];

		if (k->first < s.to && (s.from < k->first || s.from - k->first < k->frames))
			return true;
	}
	return o->n_kept == 0;
}

/* ---- characters ---- */

/* Its centre is within the peak, to both sides of the middle. */
static bool
is_lit(const struct picture *p, unsigned across, unsigned down)
{
	unsigned twice = 2 * down + 1; /* from the upper edge */
	unsigned off = twice > p->height ? twice - p->height : p->height - twice;

	return (float)off < p->peaks[across] * (float)p->height;
}

static int
put_braille(const struct picture *p, unsigned column, unsigned row, struct buf *out, struct err *e)
{
	static const unsigned char dots[BRAILLE_WIDE][BRAILLE_HIGH] = {
	    {0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}};
	unsigned set = 0;
	char c[3];

	for (unsigned x = 0; x < BRAILLE_WIDE; x++)
		for (unsigned y = row == 0; y < BRAILLE_HIGH; y++) {
			unsigned down = row * BRAILLE_HIGH + y - 1;

			if (down == p->height / 2 || is_lit(p, column * BRAILLE_WIDE + x, down))
				set |= dots[x][y];
		}
	/* Some fonts draw the dots of U+2800 that are not set. */
	if (set == 0)
		return buf_adds(out, " ", e);
	c[0] = (char)0xe2;
	c[1] = (char)(0xa0 | set >> 6);
	c[2] = (char)(0x80 | (set & 0x3f));
	return buf_add(out, c, sizeof c, e);
}

/* The middle of an even number of rows is the lower edge of one. */
static int
put_ascii(const struct picture *p, unsigned column, unsigned row, struct buf *out, struct err *e)
{
	if (is_lit(p, column, row))
		return buf_adds(out, "#", e);
	if (row != (p->height - 1) / 2)
		return buf_adds(out, " ", e);
	return buf_adds(out, p->height % 2 == 1 ? "-" : "_", e);
}

/* ---- lines ---- */

static int
put_row(const struct picture *p, unsigned row, struct buf *out, struct err *e)
{
	for (unsigned i = 0; i < p->o->columns; i++) {
		if (p->o->colour && (i == 0 || p->kept[i] != p->kept[i - 1]) &&
		    buf_adds(out, p->kept[i] ? BRIGHT : GREY, e) == -1)
			return -1;
		if ((p->o->utf8 ? put_braille : put_ascii)(p, i, row, out, e) == -1)
			return -1;
	}
	return buf_adds(out, p->o->colour ? PLAIN "\n" : "\n", e);
}

static int
put_marks(const struct picture *p, struct buf *out, struct err *e)
{
	for (unsigned i = 0; i < p->o->columns; i++)
		if (buf_adds(out, p->kept[i] ? "=" : ".", e) == -1)
			return -1;
	return buf_adds(out, "\n", e);
}

static void
format_time(uint64_t frames, unsigned rate_hz, char out[TIME_MAX])
{
	uint64_t rate = rate_hz > 0 ? rate_hz : 1;
	uint64_t ms = frames / rate * 1000 + (frames % rate * 1000 + rate / 2) / rate;
	uint64_t s = ms / 1000;

	if (s < 3600)
		snprintf(out, TIME_MAX, "%" PRIu64 ":%02" PRIu64 ".%03" PRIu64, s / 60, s % 60,
		    ms % 1000);
	else
		snprintf(out, TIME_MAX, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ".%03" PRIu64,
		    s / 3600, s / 60 % 60, s % 60, ms % 1000);
}

/* The end matters more than the beginning, where there is no room for both. */
static int
put_times(const struct picture *p, const struct envelope *v, struct buf *out, struct err *e)
{
	char begin[TIME_MAX], end[TIME_MAX];
	size_t columns = p->o->columns;

	format_time(0, v->rate_hz, begin);
	format_time(v->frames, v->rate_hz, end);
	if (strlen(begin) + 1 + strlen(end) > columns)
		begin[0] = '\0';
	if (strlen(end) > columns)
		end[0] = '\0';
	return buf_addf(out, e, "%s%*s\n", begin, (int)(columns - strlen(begin)), end);
}

int
waveform_draw(
    const struct envelope *v, const struct waveform_opts *o, struct buf *out, struct err *e)
{
	struct picture p = {.o = o, .height = o->utf8 ? o->rows * BRAILLE_HIGH - 1 : o->rows};
	unsigned wide = o->utf8 ? o->columns * BRAILLE_WIDE : o->columns;
	int rc = -1;

	if ((p.peaks = mem_new(wide, sizeof *p.peaks, e)) == NULL ||
	    (p.kept = mem_new(o->columns, sizeof *p.kept, e)) == NULL)
		goto out;
	for (unsigned i = 0; i < wide; i++)
		p.peaks[i] = peak_of(v, span_of(v->frames, i, wide));
	for (unsigned i = 0; i < o->columns; i++)
		p.kept[i] = is_kept(o, span_of(v->frames, i, o->columns));
	for (unsigned row = 0; row < o->rows; row++)
		if (put_row(&p, row, out, e) == -1)
			goto out;
	if (!o->colour && put_marks(&p, out, e) == -1)
		goto out;
	rc = put_times(&p, v, out, e);
out:
	free(p.kept);
	free(p.peaks);
	return rc;
}
