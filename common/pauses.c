/*
 * Samples of every kind are decoded to doubles, which hold integers of 32 bits and floats exactly:
 * one comparison serves them all. Frames are looked at in steps of the shortest pause. Between the
 * first and the last loud frame of a step nothing can be long enough, so that of sound only the
 * edges of a step are looked at, and every sample only of silence.
 */
#include "pauses.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "content.h"
#include "decoder.h"
#include "mem.h"
#include "source.h"
#include "verdict.h"

#define MOST_FRAMES ((uint64_t)1 << 62)

struct search {
	struct pauses *p;
	size_t cap;  /* of its list */
	double loud; /* the smallest magnitude that is */
	uint64_t min_frames;
	uint64_t quiet_from; /* behind the last loud frame so far */
	union decoder_block block;
};

/* The same frames are to be quiet as in levels.c, which compares integers, floats or doubles. */
static double
smallest_loud(const struct decoder_format *f, double threshold_dbfs)
{
	double threshold = pow(10, threshold_dbfs / 20), full;

	if (f->samples == DECODER_INT) {
		full = ldexp(1, (int)f->bits - 1);
		return fmax(1, fmin(ceil(threshold * full), full - 1)) / full;
	}
	if (f->samples == DECODER_FLOAT)
		threshold = (float)threshold;
	return fmax(threshold, nextafter(0, 1));
}

static uint64_t
frames_of(double s, unsigned rate_hz)
{
	double frames = round(s * rate_hz);

	return frames < 1 ? 1 : frames > (double)MOST_FRAMES ? MOST_FRAMES : (uint64_t)frames;
}

static int
add_pause(struct search *s, uint64_t first, uint64_t end, struct err *e)
{
	struct pauses *p = s->p;

	if (end - first < s->min_frames)
		return 0;
	if (p->n == s->cap) {
		size_t cap = s->cap == 0 ? 64 : s->cap * 2;
		struct pause *list = realloc(p->list, cap * sizeof *list);

		if (list == NULL)
			return err_nomem(e);
		p->list = list;
		s->cap = cap;
	}
	p->list[p->n++] = (struct pause){first, end - first};
	return 0;
}

/* What is no number counts as 0. */
static inline bool
is_loud(const struct search *s, double x)
{
	return fabs(x) >= s->loud && isfinite(x);
}

static int
add_sound(struct search *s, uint64_t first, uint64_t end, struct err *e)
{
	if (s->p->sound_end == 0)
		s->p->sound_first = first;
	if (add_pause(s, s->quiet_from, first, e) == -1)
		return -1;
	s->p->sound_end = s->quiet_from = end;
	return 0;
}

static int
look(struct search *s, const double *v, size_t frames, size_t channels, struct err *e)
{
	size_t first = 0, last = frames * channels;
	int rc = 0;

	while (first < last && !is_loud(s, v[first]))
		first++;
	while (last > first && !is_loud(s, v[last - 1]))
		last--;
	if (first < last)
		rc = add_sound(s, s->p->frames + first / channels,
		    s->p->frames + (last - 1) / channels + 1, e);
	s->p->frames += frames;
	return rc;
}

static int
search(struct search *s, struct decoder *d, struct err *e)
{
	size_t channels = decoder_format(d)->channels, n, step;

	while ((n = decoder_read(d, DECODER_DOUBLE, &s->block)) > 0)
		for (size_t at = 0; at < n; at += step) {
			step = n - at < s->min_frames ? n - at : (size_t)s->min_frames;
			if (look(s, s->block.d + at * channels, step, channels, e) == -1)
				return -1;
		}
	if (s->p->sound_end == 0)
		s->p->sound_first = s->p->frames;
	return add_pause(s, s->quiet_from, s->p->frames, e);
}

/* What can be said without FLAC's MD5 and without another look at the samples. */
static void
judge(struct content *c, int fd, struct err *damage)
{
	struct facts *f = c->facts;

	f->zero_start = source_zero_start(c->source);
	f->hole_start = content_hole_at_end(fd, f->zero_start, f->size_bytes);
	c->flac.md5[0] = '\0';
	if (f->flac != NULL && f->decode_error != NULL)
		f->flac_last = framing_flac_last(c->source, &c->flac, c->id.end,
				   &f->flac_last_start, &f->flac_last_len) == 1;
	verdict(f, damage);
}

static int
find(
    struct search *s, struct content *c, int fd, double threshold_dbfs, double min_s, struct err *e)
{
	const struct decoder_format *format;
	struct decoder *d = NULL;
	int rc = -1;

	if (content_look(c, fd, e) == -1 || (d = decoder_open(c, e)) == NULL)
		goto out;
	if (c->facts->opened) {
		format = decoder_format(d);
		s->p->rate_hz = format->rate_hz;
		s->loud = smallest_loud(format, threshold_dbfs);
		s->min_frames = frames_of(min_s, format->rate_hz);
		if (search(s, d, e) == -1)
			goto out;
	}
	if (source_finish(c->source, e) == -1)
		goto out;
	judge(c, fd, &s->p->damage);
	rc = 0;
out:
	decoder_close(d);
	return rc;
}

int
pauses_find(int fd, double threshold_dbfs, double min_s, const atomic_int *stop,
    atomic_ullong *bytes_done, struct pauses *p, struct err *e)
{
	struct facts facts = {.container = "", .frames = -1};
	struct content content = {.facts = &facts};
	struct search *s = NULL;
	struct stat st;
	int rc = -1;

	*p = (struct pauses){0};
	if (fstat(fd, &st) == -1)
		return err_sys(e, "asking for the size of an open file");
	facts.size_bytes = (uint64_t)st.st_size;
	content.source = source_open(fd, facts.size_bytes, 0, stop, bytes_done, e);
	if (content.source == NULL || (s = mem_new(1, sizeof *s, e)) == NULL)
		goto out;
	s->p = p;
	if (find(s, &content, fd, threshold_dbfs, min_s, e) == -1)
		goto out;
	if (p->frames > 0)
		rc = 0;
	else
		*e = p->damage;
out:
	free(s);
	content_close(&content);
	source_close(content.source);
	if (rc == -1)
		pauses_free(p);
	return rc;
}

void
pauses_free(struct pauses *p)
{
	free(p->list);
	*p = (struct pauses){0};
}
