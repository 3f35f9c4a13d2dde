/*
 * Cue points, and what refers to them by their number: labels, notes and regions (LIST adtl), the
 * play list, the loops of a sampler.
 *
 * The points of all parts are read first, then it is seen how far regions reach, for that decides
 * whether a point before a part is kept; then numbers are given out; only then is written.
 *
 * Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0" (1991), chapter
 * 3, and Microsoft, "New Multimedia Data Types and Data Techniques" (1994), for smpl. Of PCM a
 * point's dwSampleOffset is its frame, and dwChunkStart and dwBlockStart are 0. Hardly a writer
 * thinks of dwPosition (its place in the play list) as anything else than the same number.
 */
#include "carry_parts.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"

#define POINT_BYTES 24
#define PLAY_BYTES 12
#define SAMPLER_BYTES 36
#define LOOP_BYTES 24
/* dwName, dwSampleLength, dwPurpose, and four of two bytes for the language. */
#define REGION_BYTES 20

struct point {
	const char *raw; /* its POINT_BYTES */
	uint32_t id, now;
	uint32_t at;	/* frame of the old file */
	uint32_t reach; /* frames of the longest region that begins here */
	uint32_t to;	/* frame of the new file */
	bool kept;
};

/* The points of a part. */
struct points {
	struct point *list;
	struct point **by_id; /* and, of equal ones, by place in the list */
	size_t n;
};

struct marks {
	struct carry_part *parts;
	unsigned n;
	bool big;
	struct point *all; /* of all parts, in the order of the new file */
	struct point **sorted;
	size_t n_all;
	struct points *of;
	struct err *e;
};

static uint32_t
number(const struct marks *m, const char *p)
{
	return (uint32_t)bytes_number(p, 4, m->big);
}

static void
put(const struct marks *m, char *p, uint32_t v)
{
	bytes_put(p, v, 4, m->big);
}

/* ---- points ---- */

/* A count at count_at of the `head` bytes, and behind these as many items. */
static bool
has_items(const struct marks *m, const struct buf *b, size_t head, size_t count_at, size_t size,
    uint32_t *n)
{
	if (b->len < head)
		return false;
	*n = number(m, b->data + count_at);
	return *n <= (b->len - head) / size;
}

static const struct buf *
cue_of(const struct marks *m, unsigned part)
{
	const struct carry_chunk *c = carry_find(&m->parts[part], "cue ");
	uint32_t n;

	return c != NULL && has_items(m, &c->old, 4, 0, POINT_BYTES, &n) ? &c->old : NULL;
}

static int
compare_ids(const void *a, const void *b)
{
	const struct point *p = *(struct point *const *)a, *q = *(struct point *const *)b;

	if (p->id != q->id)
		return p->id < q->id ? -1 : 1;
	return p < q ? -1 : p > q;
}

/* The first point of that number, or NULL. */
static struct point *
find_point(const struct points *s, uint32_t id)
{
	size_t lo = 0, hi = s->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->by_id[mid]->id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->n && s->by_id[lo]->id == id ? s->by_id[lo] : NULL;
}

static void
read_points(struct marks *m, unsigned part)
{
	const struct buf *cue = cue_of(m, part);
	struct points *s = &m->of[part];

	s->list = m->all + m->n_all;
	s->by_id = m->sorted + m->n_all;
	s->n = cue == NULL ? 0 : number(m, cue->data);
	for (size_t i = 0; i < s->n; i++) {
		const char *raw = cue->data + 4 + i * POINT_BYTES;

		s->list[i] =
		    (struct point){.raw = raw, .id = number(m, raw), .at = number(m, raw + 20)};
		s->by_id[i] = &s->list[i];
	}
	if (s->n > 0)
		qsort(s->by_id, s->n, sizeof *s->by_id, compare_ids);
	m->n_all += s->n;
}

static int
read_all_points(struct marks *m)
{
	size_t n = 0;

	for (unsigned i = 0; i < m->n; i++) {
		const struct buf *cue = cue_of(m, i);

		n += cue == NULL ? 0 : number(m, cue->data);
	}
	if ((m->of = mem_new(m->n, sizeof *m->of, m->e)) == NULL ||
	    (m->all = mem_new(n, sizeof *m->all, m->e)) == NULL ||
	    (m->sorted = mem_new(n, sizeof(struct point *), m->e)) == NULL)
		return -1;
	for (unsigned i = 0; i < m->n; i++)
		read_points(m, i);
	return 0;
}

/* ---- labels, notes, regions ---- */

struct label {
	const char *head; /* its id and size */
	const char *body;
	size_t size, whole; /* of the body, and with head and pad byte */
	struct point *point;
	bool region;
};

static bool
is_adtl(const struct carry_chunk *c)
{
	return carry_is(c->id, "LIST") && c->old.len >= 4 && carry_is(c->old.data, "adtl");
}

/* The label at `at`: 1, 0 at the end, -1 when it is not all there. */
static int
label_at(const struct marks *m, unsigned part, const struct buf *b, size_t at, struct label *l)
{
	uint32_t size;

	if (at >= b->len || b->len - at == 1)
		return 0;
	if (b->len - at < 8)
		return -1;
	size = number(m, b->data + at + 4);
	if (size > b->len - at - 8)
		return -1;
	*l = (struct label){.head = b->data + at,
	    .body = b->data + at + 8,
	    .size = size,
	    .whole = 8 + (size_t)size};
	/* The last pad byte is not always there. */
	l->whole += size % 2 == 1 && l->whole < b->len - at;
	if (size >= 4)
		l->point = find_point(&m->of[part], number(m, l->body));
	l->region = carry_is(l->head, "ltxt") && size >= REGION_BYTES && number(m, l->body + 4) > 0;
	return 1;
}

static bool
is_sound_adtl(const struct marks *m, unsigned part, const struct carry_chunk *c)
{
	struct label l;
	int r = -1;

	if (!is_adtl(c))
		return false;
	for (size_t at = 4; (r = label_at(m, part, &c->old, at, &l)) == 1; at += l.whole)
		;
	return r == 0;
}

static void
measure_regions(const struct marks *m, unsigned part, const struct carry_chunk *c)
{
	struct label l;

	for (size_t at = 4; label_at(m, part, &c->old, at, &l) == 1; at += l.whole)
		if (l.region && l.point != NULL && l.point->reach < number(m, l.body + 4))
			l.point->reach = number(m, l.body + 4);
}

/* What is in the part of `len` frames from `at`, and where it begins there. */
static uint64_t
overlap(const struct carry_part *p, uint64_t at, uint64_t len, uint64_t *start)
{
	uint64_t end = at + len; /* of 32 bits each */

	*start = at > p->first ? at - p->first : 0;
	end = end > p->first ? end - p->first : 0;
	end = end > p->frames ? p->frames : end;
	return end > *start ? end - *start : 0;
}

/* A number of 32 bits is all that a point has. */
static void
place_point(const struct carry_part *p, struct point *q)
{
	uint64_t to, start;

	if (carry_place(p, q->at, &to))
		q->kept = to <= UINT32_MAX;
	else if (q->at < p->first && overlap(p, q->at, q->reach, &start) > 0)
		q->kept = (to = p->place) <= UINT32_MAX;
	if (q->kept)
		q->to = (uint32_t)to;
}

static void
place_points(struct marks *m, unsigned part)
{
	for (unsigned i = 0; i < m->parts[part].n; i++)
		if (is_sound_adtl(m, part, &m->parts[part].chunks[i]))
			measure_regions(m, part, &m->parts[part].chunks[i]);
	for (size_t i = 0; i < m->of[part].n; i++)
		place_point(&m->parts[part], &m->of[part].list[i]);
}

/* The first point of a number keeps it, others get the lowest that nobody has. */
static int
give_numbers(struct marks *m)
{
	struct point **kept = mem_new(m->n_all, sizeof(struct point *), m->e);
	size_t n = 0, k = 0;
	uint32_t next = 1;

	if (kept == NULL)
		return -1;
	for (size_t i = 0; i < m->n_all; i++)
		if (m->all[i].kept)
			kept[n++] = &m->all[i];
	if (n > 0)
		qsort(kept, n, sizeof(struct point *), compare_ids);
	for (size_t i = 0; i < n; i++) {
		kept[i]->now = kept[i]->id;
		if (i == 0 || kept[i - 1]->id != kept[i]->id)
			continue;
		for (; k < n && kept[k]->id <= next; k++)
			next += kept[k]->id == next;
		kept[i]->now = next++;
	}
	free(kept);
	return 0;
}

/* ---- writing ---- */

/* dwPosition, where it differs: 0 is a writer that leaves it out. */
static uint32_t
place_position(const struct carry_part *p, const struct point *q, uint32_t position)
{
	uint64_t to;

	if (position == 0 && q->at != 0)
		return 0;
	if (position == q->at || !carry_place(p, position, &to) || to > UINT32_MAX)
		return q->to;
	return (uint32_t)to;
}

static int
add_point(struct marks *m, const struct carry_part *p, const struct point *q, struct buf *out)
{
	char raw[POINT_BYTES];

	memcpy(raw, q->raw, sizeof raw);
	put(m, raw, q->now);
	put(m, raw + 4, place_position(p, q, number(m, q->raw + 4)));
	memset(raw + 12, 0, 8);
	put(m, raw + 20, q->to);
	return buf_add(out, raw, sizeof raw, m->e);
}

/* What follows the points is nobody's, and stays. */
static int
write_cue(struct marks *m, struct carry_chunk *c)
{
	size_t old_n = m->of[0].n, tail = 4 + old_n * POINT_BYTES;
	uint32_t n = 0;

	if (bytes_add(&c->new, 0, 4, m->big, m->e) == -1)
		return -1;
	for (unsigned i = 0; i < m->n; i++)
		for (size_t k = 0; k < m->of[i].n; k++) {
			if (!m->of[i].list[k].kept)
				continue;
			if (add_point(m, &m->parts[i], &m->of[i].list[k], &c->new) == -1)
				return -1;
			n++;
		}
	put(m, c->new.data, n);
	if (buf_add(&c->new, c->old.data + tail, c->old.len - tail, m->e) == -1)
		return -1;
	if (n > 0)
		c->fate = CARRY_NEW;
	else
		c->fate = old_n > 0 ? CARRY_DROP : CARRY_KEEP;
	return 0;
}

/* The label with the number its point has now, and with the length that is left of a region. */
static int
add_label(struct marks *m, unsigned part, const struct label *l, struct buf *out)
{
	uint64_t left = 0, start;
	char *body;

	if (l->point != NULL && !l->point->kept)
		return 0;
	if (l->point != NULL && l->region) {
		left = overlap(&m->parts[part], l->point->at, number(m, l->body + 4), &start);
		if (left == 0 && l->point->at < m->parts[part].first)
			return 0;
	}
	if (buf_add(out, l->head, 8 + l->size, m->e) == -1)
		return -1;
	body = out->data + out->len - l->size;
	if (l->point != NULL)
		put(m, body, l->point->now);
	if (l->point != NULL && l->region)
		put(m, body + 4, (uint32_t)left);
	return l->size % 2 == 1 ? buf_add(out, "", 1, m->e) : 0;
}

/* Of other parts only what belongs to a point; what else is said there, is said of other files. */
static int
add_labels(struct marks *m, unsigned part, const struct carry_chunk *c, struct buf *out)
{
	struct label l;

	for (size_t at = 4; label_at(m, part, &c->old, at, &l) == 1; at += l.whole)
		if ((part == 0 || l.point != NULL) && add_label(m, part, &l, out) == -1)
			return -1;
	return 0;
}

static int
add_others_labels(struct marks *m, struct buf *out)
{
	for (unsigned i = 1; i < m->n; i++)
		for (unsigned k = 0; k < m->parts[i].n; k++) {
			const struct carry_chunk *c = &m->parts[i].chunks[k];

			if (is_sound_adtl(m, i, c) && add_labels(m, i, c, out) == -1)
				return -1;
		}
	return 0;
}

/* no_cue: no point is left, and with them goes all that was said of them. */
static int
write_adtl(struct marks *m, bool no_cue)
{
	bool others = true;

	for (unsigned i = 0; i < m->parts[0].n; i++) {
		struct carry_chunk *c = &m->parts[0].chunks[i];

		if (no_cue && is_adtl(c))
			c->fate = CARRY_DROP;
		if (no_cue || !is_sound_adtl(m, 0, c))
			continue;
		if (buf_add(&c->new, "adtl", 4, m->e) == -1 || add_labels(m, 0, c, &c->new) == -1 ||
		    (others && add_others_labels(m, &c->new) == -1))
			return -1;
		others = false;
		c->fate = c->new.len > 4 ? CARRY_NEW : c->old.len > 4 ? CARRY_DROP : CARRY_KEEP;
	}
	return 0;
}

/* ---- play list, loops ---- */

static int
write_play_list(struct marks *m, struct carry_chunk *c)
{
	uint32_t n, left = 0;

	if (c == NULL || !has_items(m, &c->old, 4, 0, PLAY_BYTES, &n))
		return 0;
	if (bytes_add(&c->new, 0, 4, m->big, m->e) == -1)
		return -1;
	for (uint32_t i = 0; i < n; i++) {
		const char *raw = c->old.data + 4 + (size_t)i * PLAY_BYTES;
		const struct point *q = find_point(&m->of[0], number(m, raw));
		uint64_t start;
		char *p;

		if (q != NULL && !q->kept)
			continue;
		if (buf_add(&c->new, raw, PLAY_BYTES, m->e) == -1)
			return -1;
		left++;
		if (q == NULL)
			continue;
		p = c->new.data + c->new.len - PLAY_BYTES;
		put(m, p, q->now);
		put(m, p + 4, (uint32_t)overlap(&m->parts[0], q->at, number(m, raw + 4), &start));
	}
	put(m, c->new.data, left);
	c->fate = left > 0 ? CARRY_NEW : n > 0 ? CARRY_DROP : CARRY_KEEP;
	return 0;
}

/* A loop's end is the last frame that is played. */
static int
add_loop(struct marks *m, const char *raw, struct buf *out, uint32_t *n)
{
	const struct point *q = find_point(&m->of[0], number(m, raw));
	uint64_t at = number(m, raw + 8), start;
	uint64_t len = overlap(&m->parts[0], at, number(m, raw + 12) - at + 1, &start);
	char *p;

	if (len == 0 || start + len - 1 > UINT32_MAX)
		return 0;
	if (buf_add(out, raw, LOOP_BYTES, m->e) == -1)
		return -1;
	p = out->data + out->len - LOOP_BYTES;
	if (q != NULL && q->kept)
		put(m, p, q->now);
	put(m, p + 8, (uint32_t)start);
	put(m, p + 12, (uint32_t)(start + len - 1));
	++*n;
	return 0;
}

static bool
is_sound_sampler(const struct marks *m, const struct buf *b)
{
	uint32_t n;

	if (!has_items(m, b, SAMPLER_BYTES, 28, LOOP_BYTES, &n))
		return false;
	for (size_t i = 0; i < n; i++) {
		const char *raw = b->data + SAMPLER_BYTES + i * LOOP_BYTES;

		if (number(m, raw + 8) > number(m, raw + 12))
			return false;
	}
	return true;
}

/* The pitch is the sound's own: it stays when no loop does, and so do the sampler's own bytes. */
static int
write_sampler(struct marks *m, struct carry_chunk *c)
{
	uint32_t n, left = 0;
	size_t tail;

	if (c == NULL || !is_sound_sampler(m, &c->old))
		return 0;
	n = number(m, c->old.data + 28);
	tail = SAMPLER_BYTES + (size_t)n * LOOP_BYTES;
	if (buf_add(&c->new, c->old.data, SAMPLER_BYTES, m->e) == -1)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (add_loop(m, c->old.data + SAMPLER_BYTES + i * LOOP_BYTES, &c->new, &left) == -1)
			return -1;
	put(m, c->new.data + 28, left);
	c->fate = CARRY_NEW;
	return buf_add(&c->new, c->old.data + tail, c->old.len - tail, m->e);
}

static int
run(struct marks *m)
{
	struct carry_chunk *cue = carry_find(&m->parts[0], "cue ");

	/* To a list that contradicts itself nothing can be added. */
	if (cue == NULL || cue_of(m, 0) == NULL) {
		cue = NULL;
		m->n = 1;
	}
	if (read_all_points(m) == -1)
		return -1;
	for (unsigned i = 0; i < m->n; i++)
		place_points(m, i);
	if (give_numbers(m) == -1)
		return -1;
	if (cue != NULL &&
	    (write_cue(m, cue) == -1 || write_adtl(m, cue->fate == CARRY_DROP) == -1))
		return -1;
	if (write_play_list(m, carry_find(&m->parts[0], "plst")) == -1)
		return -1;
	return write_sampler(m, carry_find(&m->parts[0], "smpl"));
}

int
carry_riff_marks(struct carry_part *parts, unsigned n, bool big, struct err *e)
{
	struct marks m = {.parts = parts, .n = n, .big = big, .e = e};
	int rc = run(&m);

	free(m.all);
	free(m.sorted);
	free(m.of);
	return rc;
}
