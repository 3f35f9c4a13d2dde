#include "selection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

#define TIME_TEXT_MAX 32

/* ---- what is asked for ---- */

static int
add_time(struct selection_opts *o, const char *text, struct err *e)
{
	struct quantity_time *grown = realloc(o->at, (o->n_at + 1) * sizeof *grown);

	if (grown == NULL)
		return err_nomem(e);
	o->at = grown;
	if (quantity_time(text, &o->at[o->n_at], e) == -1)
		return -1;
	o->n_at++;
	return 0;
}

static int
parse_list(const char *list, struct selection_opts *o, struct err *e)
{
	char *copy = mem_str(list, e), *rest = copy, *one;
	int rc = copy == NULL ? -1 : 0;

	while (rc == 0 && (one = strsep(&rest, ",")) != NULL)
		rc = add_time(o, one, e);
	free(copy);
	return rc;
}

int
selection_split(const char *text, struct selection_opts *o, struct err *e)
{
	selection_opts_free(o);
	if (strncmp(text, "every=", 6) == 0) {
		o->split = SPLIT_EVERY;
		if (quantity_time(text + 6, &o->every, e) == -1)
			return -1;
		if (!o->every.from_end && (o->every.is_frames ? o->every.frames : o->every.ns) > 0)
			return 0;
		return err_set(e, ERR_USAGE, NULL, "%s: parts have a length", text);
	}
	if (strncmp(text, "at=", 3) == 0) {
		o->split = SPLIT_AT;
		return parse_list(text + 3, o, e);
	}
	if (strcmp(text, "silence") == 0)
		o->split = SPLIT_SILENCE;
	else if (strcmp(text, "cues") == 0)
		o->split = SPLIT_CUES;
	else
		return err_set(e, ERR_USAGE, NULL,
		    "%s: it is every=TIME, at=TIME,TIME..., silence or cues", text);
	return 0;
}

void
selection_opts_free(struct selection_opts *o)
{
	free(o->at);
	o->at = NULL;
	o->n_at = 0;
}

bool
selection_needs_pauses(const struct selection_opts *o)
{
	return o->silence || o->split == SPLIT_SILENCE;
}

/* ---- frames ---- */

static int
too_far(
    const struct quantity_time *t, const char *what, const struct selection_of *of, struct err *e)
{
	char asked[TIME_TEXT_MAX];

	if (t->is_frames)
		snprintf(asked, sizeof asked, "%llu frames", (unsigned long long)t->frames);
	else
		snprintf(asked, sizeof asked, "%.6g s", (double)t->ns / 1e9);
	return err_item(e, P_BAD_RECORD,
	    "%s %s%s lies outside: the recording has %.6f s (%llu frames of %u Hz)", what, asked,
	    t->from_end ? " from the end" : "", (double)of->frames / of->rate_hz,
	    (unsigned long long)of->frames, of->rate_hz);
}

/* The frame that a time names, from 0 to the number of frames. */
static int
frame_of(const struct quantity_time *t, const char *what, const struct selection_of *of,
    uint64_t *frame, struct err *e)
{
	if (!quantity_frames(t, of->rate_hz, frame) || *frame > of->frames)
		return too_far(t, what, of, e);
	if (t->from_end)
		*frame = of->frames - *frame;
	return 0;
}

static int
bounds(
    const struct selection_opts *o, const struct selection_of *of, struct range *r, struct err *e)
{
	uint64_t end = of->frames, length;

	r->first = 0;
	if ((o->has_start && frame_of(&o->start, "the start", of, &r->first, e) == -1) ||
	    (o->has_end && frame_of(&o->end, "the end", of, &end, e) == -1))
		return -1;
	if (o->has_length) {
		if (!quantity_frames(&o->length, of->rate_hz, &length) ||
		    length > of->frames - r->first)
			return too_far(&o->length, "the length", of, e);
		end = r->first + length;
	}
	if (end <= r->first)
		return err_item(e, P_BAD_RECORD,
		    "from %.6f s to %.6f s there is no frame: the end is to be behind the start",
		    (double)r->first / of->rate_hz, (double)end / of->rate_hz);
	r->frames = end - r->first;
	return 0;
}

/* Without the quiet frames at its ends; false when it has no others. */
static bool
trim_silence(const struct pauses *p, struct range *r)
{
	uint64_t end = r->first + r->frames;

	if (r->first < p->sound_first)
		r->first = p->sound_first;
	if (end > p->sound_end)
		end = p->sound_end;
	for (size_t i = 0; i < p->n; i++) {
		const struct pause *q = &p->list[i];

		if (q->first <= r->first && r->first < q->first + q->frames)
			r->first = q->first + q->frames;
		if (q->first < end && end <= q->first + q->frames)
			end = q->first;
	}
	r->frames = end > r->first ? end - r->first : 0;
	return r->frames > 0;
}

/* ---- parts ---- */

struct cuts {
	uint64_t *at;
	size_t n;
};

/* One that is not within the range makes no part. */
static int
add_cut(struct cuts *c, const struct range *r, uint64_t frame, struct err *e)
{
	uint64_t *grown;

	if (frame <= r->first || frame >= r->first + r->frames)
		return 0;
	if (c->n == SELECTION_MAX - 1)
		return err_item(
		    e, P_TOO_LARGE, "that would make more than %d parts", SELECTION_MAX);
	if ((grown = realloc(c->at, (c->n + 1) * sizeof *grown)) == NULL)
		return err_nomem(e);
	c->at = grown;
	c->at[c->n++] = frame;
	return 0;
}

static int
add_every(const struct selection_opts *o, const struct selection_of *of, const struct range *r,
    struct cuts *c, struct err *e)
{
	struct quantity_time t = o->every;
	uint64_t frame;

	/* Each from the start, so that nothing adds up. */
	for (uint64_t i = 1;; i++) {
		if (!mem_mul(o->every.ns, i, &t.ns) || !mem_mul(o->every.frames, i, &t.frames) ||
		    !quantity_frames(&t, of->rate_hz, &frame) || frame >= r->frames)
			return 0;
		if (add_cut(c, r, r->first + frame, e) == -1)
			return -1;
	}
}

static int
add_cuts(const struct selection_opts *o, const struct selection_of *of, const struct range *r,
    struct cuts *c, struct err *e)
{
	uint64_t frame;
	int rc = 0;

	switch (o->split) {
	case SPLIT_EVERY:
		return add_every(o, of, r, c, e);
	case SPLIT_AT:
		for (size_t i = 0; i < o->n_at && rc == 0; i++)
			if ((rc = frame_of(&o->at[i], "the split", of, &frame, e)) == 0)
				rc = add_cut(c, r, frame, e);
		return rc;
	case SPLIT_CUES:
		for (size_t i = 0; i < of->n_cues && rc == 0; i++)
			rc = add_cut(c, r, of->cues[i], e);
		return rc;
	case SPLIT_SILENCE:
		/* In the middle of each pause, but of those at the ends. */
		for (size_t i = 0; i < of->pauses->n && rc == 0; i++) {
			const struct pause *q = &of->pauses->list[i];

			if (q->first > r->first && q->first + q->frames < r->first + r->frames)
				rc = add_cut(c, r, q->first + q->frames / 2, e);
		}
		return rc;
	default:
		return 0;
	}
}

static int
by_frame(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int
make_ranges(const struct selection_opts *o, const struct selection_of *of, const struct range *r,
    const struct cuts *c, struct selection *out, struct err *e)
{
	uint64_t from = r->first, end = r->first + r->frames;

	if ((out->ranges = mem_new(c->n + 1, sizeof *out->ranges, e)) == NULL)
		return -1;
	for (size_t i = 0; i <= c->n; i++) {
		uint64_t to = i < c->n ? c->at[i] : end;
		struct range part = {from, 0};

		if (to <= from)
			continue;
		part.frames = to - from;
		from = to;
		if (!o->silence || trim_silence(of->pauses, &part))
			out->ranges[out->n++] = part;
	}
	return out->n > 0 ? 0 : err_item(e, P_EMPTY, "there is nothing but silence");
}

int
selection_make(const struct selection_opts *o, const struct selection_of *of, struct selection *out,
    struct err *e)
{
	struct cuts cuts = {0};
	struct range r;
	int rc = -1;

	*out = (struct selection){0};
	if (of->frames == 0)
		return err_item(e, P_EMPTY, "there is no frame of audio");
	if (bounds(o, of, &r, e) == 0 && add_cuts(o, of, &r, &cuts, e) == 0) {
		if (cuts.n > 0)
			qsort(cuts.at, cuts.n, sizeof *cuts.at, by_frame);
		rc = make_ranges(o, of, &r, &cuts, out, e);
	}
	free(cuts.at);
	return rc;
}

void
selection_free(struct selection *s)
{
	free(s->ranges);
	*s = (struct selection){0};
}
