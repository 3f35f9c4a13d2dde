/*
 * The length is known only at the end, since headers lie. So the lowest and highest samples are
 * kept in many more cells than the picture has columns, and whenever these are full, neighbours are
 * joined and a cell holds twice as many frames. At the end as many cells as it takes are joined to
 * one column. Where the length is expected, a cell is a column from the start.
 */
#include "envelope.h"

#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "content.h"
#include "decoder.h"
#include "mem.h"
#include "source.h"

/* Even, and so many that a column of at least eight of them wastes little of the picture. */
#define CELLS (16 * ENVELOPE_COLUMNS)

struct range {
	float low, high;
};

struct cells {
	uint64_t frames;      /* so far */
	uint64_t frames_cell; /* the last cell may hold fewer */
	size_t n;
	struct range range[CELLS];
	union decoder_block block;
};

static struct range
both(struct range a, struct range b)
{
	return (struct range){fminf(a.low, b.low), fmaxf(a.high, b.high)};
}

/* Makes one cell of each `many` neighbours. */
static void
join(struct cells *c, size_t many)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++) {
		if (i % many == 0)
			c->range[n++] = c->range[i];
		else
			c->range[n - 1] = both(c->range[n - 1], c->range[i]);
	}
	c->n = n;
	c->frames_cell *= many;
}

static struct range
range_of(const float *v, size_t n)
{
	struct range r = {1, -1};

	for (size_t i = 0; i < n; i++) {
		float x = isfinite(v[i]) ? v[i] : 0;

		r.low = x < r.low ? x : r.low;
		r.high = x > r.high ? x : r.high;
	}
	return (struct range){fmaxf(r.low, -1), fminf(r.high, 1)};
}

static void
add(struct cells *c, const float *v, size_t frames, unsigned channels)
{
	while (frames > 0) {
		uint64_t used = c->frames % c->frames_cell;
		size_t take = frames;
		struct range r;

		if (used == 0 && c->n == CELLS) {
			join(c, 2);
			continue;
		}
		if (take > c->frames_cell - used)
			take = (size_t)(c->frames_cell - used);
		r = range_of(v, take * channels);
		if (used == 0)
			c->range[c->n++] = r;
		else
			c->range[c->n - 1] = both(c->range[c->n - 1], r);
		c->frames += take;
		v += take * channels;
		frames -= take;
	}
}

static void
decode(struct decoder *d, struct cells *c)
{
	size_t n;

	while ((n = decoder_read(d, DECODER_FLOAT, &c->block)) > 0)
		add(c, c->block.f, n, decoder_format(d)->channels);
	if (c->n > ENVELOPE_COLUMNS)
		join(c, (c->n - 1) / ENVELOPE_COLUMNS + 1);
}

static void
fill(const struct cells *c, unsigned rate_hz, struct envelope *v)
{
	v->n = (unsigned)c->n;
	v->frames = c->frames;
	v->frames_column = c->frames_cell;
	v->rate_hz = rate_hz;
	for (size_t i = 0; i < c->n; i++) {
		v->low[i] = c->range[i].low;
		v->high[i] = c->range[i].high;
	}
}

int
envelope_read(
    int fd, uint64_t expected_frames, const atomic_int *stop, struct envelope *v, struct err *e)
{
	struct facts facts = {.container = "", .frames = -1};
	struct content content = {.facts = &facts};
	struct source *source = NULL;
	struct decoder *decoder = NULL;
	struct cells *cells = NULL;
	struct stat st;
	int rc = -1;

	*v = (struct envelope){0};
	if (fstat(fd, &st) == -1)
		return err_sys(e, "asking for the size of an open file");
	facts.size_bytes = (uint64_t)st.st_size;
	if ((cells = mem_new(1, sizeof *cells, e)) == NULL ||
	    (source = source_open(fd, facts.size_bytes, 0, stop, NULL, e)) == NULL)
		goto out;
	content.source = source;
	cells->frames_cell = expected_frames > 0 ? (expected_frames - 1) / ENVELOPE_COLUMNS + 1 : 1;
	if (content_look(&content, fd, e) == -1 || (decoder = decoder_open(&content, e)) == NULL)
		goto out;
	decode(decoder, cells);
	if (source_failed(source, e))
		goto out;
	if (cells->frames > 0)
		fill(cells, decoder_format(decoder)->rate_hz, v);
	rc = 0;
out:
	decoder_close(decoder);
	content_close(&content);
	source_close(source);
	free(cells);
	return rc;
}
