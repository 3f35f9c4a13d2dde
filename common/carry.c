/*
 * What is read is small and known by its id; a chunk that is neither is a stretch of the old file,
 * whatever its size. A body that comes out as it went in is such a stretch too, so that of a whole
 * file nothing is made anew.
 *
 * The sum of what is read is bounded: files with thousands of large chunks of a known id exist only
 * to exhaust memory, and what goes beyond stays as it is.
 */
#include "carry.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "carry_parts.h"
#include "mem.h"

#define MAX_BODY ((uint64_t)16 << 20)
#define MAX_BODIES ((uint64_t)64 << 20)

/* bext (EBU Tech 3285 version 2): where its fields are. */
enum {
	BEXT_DATE = 320,
	BEXT_TIME = 330,
	BEXT_REFERENCE = 338,
	BEXT_VERSION = 346,
	BEXT_LOUDNESS = 412,
	BEXT_RESERVED = 422,
	BEXT_HISTORY = 602
};
/* COMM: channels, and then the frames; no COMM is shorter. */
enum { COMM_FRAMES = 2, COMM_BYTES = 18 };

struct work {
	const struct carry *c;
	const struct segment *seg; /* the first */
	struct carry_origin origin;
	struct carry_part *parts;
	uint64_t frames; /* of the new file */
	uint64_t room;	 /* bytes that may still be read */
	struct carried_list *out;
	struct err *e;
};

static bool
is_one_of(const char *id, const char *const *list)
{
	for (; *list != NULL; list++)
		if (carry_is(id, *list))
			return true;
	return false;
}

static bool
is_filling(const char *id)
{
	return is_one_of(id, (const char *const[]){"JUNK", "junk", "PAD ", "FLLR", "ds64", NULL});
}

/* Sums and extremes of all the audio, which are not computed here. */
static bool
is_of_all_audio(const char *id)
{
	return is_one_of(id, (const char *const[]){"MD5 ", "PEAK", "levl", NULL});
}

/* Whether a body is to be read; of later segments only marks are wanted. */
static bool
is_wanted(const char *id, bool aiff, bool later)
{
	static const char *const of_riff[] = {
	    "cue ", "LIST", "bext", "iXML", "plst", "smpl", "fact", NULL};
	static const char *const of_aiff[] = {"MARK", "COMM", "INST", "COMT", NULL};
	static const char *const riff_marks[] = {"cue ", "LIST", NULL};
	static const char *const aiff_marks[] = {"MARK", NULL};

	if (aiff)
		return is_one_of(id, later ? aiff_marks : of_aiff);
	return is_one_of(id, later ? riff_marks : of_riff);
}

/* ---- reading ---- */

static int
read_body(struct work *w, const struct segment *s, const struct chunk *c, struct buf *out)
{
	if (c->size == 0 || c->size > MAX_BODY || c->size > w->room)
		return 0;
	w->room -= c->size;
	if (buf_room(out, (size_t)c->size, w->e) == -1 ||
	    bytes_read(s->fd, c->offset, out->data, (size_t)c->size, w->e) == -1)
		return -1;
	out->len = (size_t)c->size;
	return 0;
}

static bool
is_alike(const struct chunk_layout *a, const struct chunk_layout *b)
{
	return (a->family == CHUNK_AIFF) == (b->family == CHUNK_AIFF) &&
	       a->big_endian == b->big_endian;
}

/* The chunks of a segment that are carried, or, of a later one, that have marks. */
static int
read_part(struct work *w, unsigned part)
{
	const struct segment *s = &w->c->segments[part];
	const struct chunk_layout *l = s->layout;
	struct carry_part *p = &w->parts[part];
	bool aiff = l->family == CHUNK_AIFF;

	/* Two more for marks of later segments, see add_empty. */
	if ((p->chunks = mem_new((size_t)l->n_chunks + 2, sizeof *p->chunks, w->e)) == NULL)
		return -1;
	for (unsigned i = 0; i < l->n_chunks && is_alike(l, w->seg->layout); i++) {
		const struct chunk *c = &l->chunks[i];
		struct carry_chunk *k = &p->chunks[p->n];
		bool wanted = is_wanted(c->id, aiff, part > 0);

		if ((int)i == l->data || carry_is(c->id, "fmt ") || (part > 0 && !wanted))
			continue;
		*k = (struct carry_chunk){.source = i, .behind = (int)i > l->data};
		memcpy(k->id, c->id, sizeof k->id);
		p->n++;
		if (c->size < c->declared)
			k->fate = CARRY_DROP;
		else if (wanted && read_body(w, s, c, &k->old) == -1)
			return -1;
	}
	return 0;
}

static bool
has_chunk(const struct carry_part *p, const char *id)
{
	for (unsigned i = 0; i < p->n; i++)
		if (carry_is(p->chunks[i].id, id))
			return true;
	return false;
}

/* A list without marks, for those of later segments. It is not in the new file unless it gets some.
 */
static int
add_empty(struct work *w, const char *id, const char *body, size_t len)
{
	struct carry_chunk *k = &w->parts[0].chunks[w->parts[0].n];

	*k = (struct carry_chunk){.source = UINT_MAX, .behind = true};
	memcpy(k->id, id, 4);
	w->parts[0].n++;
	return buf_add(&k->old, body, len, w->e);
}

/* W64 has no GUIDs for marks that others would know. */
static int
make_room_for_marks(struct work *w)
{
	struct carry_part *p = &w->parts[0];

	if (w->c->n < 2 || w->seg->layout->family == CHUNK_W64)
		return 0;
	if (w->seg->layout->family == CHUNK_AIFF)
		return has_chunk(p, "MARK") ? 0 : add_empty(w, "MARK", "\0\0", 2);
	if (!has_chunk(p, "cue ") && add_empty(w, "cue ", "\0\0\0\0", 4) == -1)
		return -1;
	return add_empty(w, "LIST", "adtl", 4);
}

/* A mark right behind the part is one of its end only where the file ends, too. */
static bool
ends_file(const struct segment *s)
{
	const struct chunk_layout *l = s->layout;

	return l->block_align == 0 || s->first + s->frames >= l->audio_size / l->block_align;
}

static int
read_all(struct work *w)
{
	const struct segment *s = w->c->segments;
	uint64_t place = 0;

	if ((w->parts = mem_new(w->c->n, sizeof *w->parts, w->e)) == NULL)
		return -1;
	for (unsigned i = 0; i < w->c->n; i++) {
		w->parts[i].first = s[i].first;
		w->parts[i].frames = s[i].frames;
		w->parts[i].place = place;
		w->parts[i].goes_on = !ends_file(&s[i]);
		if (!mem_add(place, s[i].frames, &place))
			place = UINT64_MAX;
		if (read_part(w, i) == -1)
			return -1;
	}
	w->frames = place;
	return make_room_for_marks(w);
}

/* ---- bext ---- */

static int
add_history(struct buf *b, const char *history, struct err *e)
{
	while (b->len > BEXT_HISTORY && b->data[b->len - 1] == '\0')
		b->len--;
	if (b->len > BEXT_HISTORY &&
	    (b->len < BEXT_HISTORY + 2 || memcmp(b->data + b->len - 2, "\r\n", 2) != 0) &&
	    buf_adds(b, "\r\n", e) == -1)
		return -1;
	return buf_adds(b, history, e) == -1 ? -1 : buf_adds(b, "\r\n", e);
}

static void
move_origin(char *b, const struct carry_origin *o)
{
	uint64_t reference, seconds, days = 0;

	/* Two halves, the lower one first in each byte order. */
	reference = bytes_number(b + BEXT_REFERENCE, 4, o->big) |
		    bytes_number(b + BEXT_REFERENCE + 4, 4, o->big) << 32;
	/* The time has no fraction: what of it is in the reference counts, too. */
	seconds = o->rate_hz == 0 ? 0 : (reference % o->rate_hz + o->first) / o->rate_hz;
	if (!carry_since_midnight(&reference, o->first, o->rate_hz, &days))
		return;
	bytes_put(b + BEXT_REFERENCE, reference & UINT32_MAX, 4, o->big);
	bytes_put(b + BEXT_REFERENCE + 4, reference >> 32, 4, o->big);
	carry_move_date(b + BEXT_DATE, b + BEXT_TIME, seconds, days);
}

static int
carry_bext(struct carry_chunk *c, const struct carry_origin *o, struct err *e)
{
	struct buf *b = &c->new;

	if (c->old.len < BEXT_HISTORY)
		return 0;
	if (buf_add(b, c->old.data, c->old.len, e) == -1)
		return -1;
	c->fate = CARRY_NEW;
	move_origin(b->data, o);
	/* Before version 2 this is reserved. 0x7fff: not given. */
	if (!o->same_audio && bytes_number(b->data + BEXT_VERSION, 2, o->big) >= 2)
		for (unsigned i = BEXT_LOUDNESS; i < BEXT_RESERVED; i += 2)
			bytes_put(b->data + i, 0x7fff, 2, o->big);
	return o->history == NULL ? 0 : add_history(b, o->history, e);
}

/* ---- counts ---- */

/* A count of frames in the `bytes` at `at`; one that does not fit is all ones. */
static int
carry_count(
    struct carry_chunk *c, size_t at, unsigned bytes, uint64_t frames, bool big, struct err *e)
{
	if (buf_add(&c->new, c->old.data, c->old.len, e) == -1)
		return -1;
	if (bytes == 4 && frames > UINT32_MAX)
		frames = UINT32_MAX;
	bytes_put(c->new.data + at, frames, bytes, big);
	c->fate = CARRY_NEW;
	return 0;
}

/* W64 has 64 bits where there is room for them, as rehead.c writes it. */
static int
carry_fact(struct work *w, struct carry_chunk *c)
{
	bool wide = w->seg->layout->family == CHUNK_W64 && c->old.len >= 8;

	if (c->old.len < 4)
		return 0;
	return carry_count(c, 0, wide ? 8 : 4, w->frames, w->origin.big, w->e);
}

/* ---- all of it ---- */

static int
carry_one(struct work *w, struct carry_chunk *c)
{
	if (is_filling(c->id) || (is_of_all_audio(c->id) && !w->origin.same_audio))
		c->fate = CARRY_DROP;
	if (c->fate == CARRY_DROP || c->old.data == NULL)
		return 0;
	if (carry_is(c->id, "bext"))
		return carry_bext(c, &w->origin, w->e);
	if (carry_is(c->id, "iXML"))
		return carry_xml(c, &w->origin, w->e);
	if (carry_is(c->id, "fact"))
		return carry_fact(w, c);
	if (carry_is(c->id, "COMM") && c->old.len >= COMM_BYTES)
		return carry_count(c, COMM_FRAMES, 4, w->frames, true, w->e);
	return 0;
}

static void
tell_dropped(struct carried_list *l, const char *id)
{
	size_t len = strlen(l->dropped);

	size_t id_len = strcspn(id, " ");

	if (strstr(l->dropped, id) != NULL || len + 7 > sizeof l->dropped)
		return;
	snprintf(l->dropped + len, sizeof l->dropped - len, "%s%.*s", len > 0 ? ", " : "",
	    (int)id_len, id);
}

static void
give(struct carried_list *l, struct carry_chunk *c, uint64_t old_len)
{
	struct carried *k = &l->list[l->n++];
	bool is_new = c->fate == CARRY_NEW;

	*k = (struct carried){.source = c->source, .behind = c->behind, .len = old_len};
	memcpy(k->id, c->id, sizeof k->id);
	if (!is_new || (c->new.len == c->old.len &&
			   (c->new.len == 0 || memcmp(c->new.data, c->old.data, c->new.len) == 0)))
		return;
	k->body = (unsigned char *)c->new.data;
	k->len = c->new.len;
	c->new = (struct buf){0};
}

static int
give_all(struct work *w)
{
	struct carry_part *p = &w->parts[0];

	if ((w->out->list = mem_new(p->n, sizeof *w->out->list, w->e)) == NULL)
		return -1;
	for (unsigned i = 0; i < p->n; i++) {
		struct carry_chunk *c = &p->chunks[i];
		bool old = c->source != UINT_MAX;

		if (c->fate == CARRY_NEW || (old && c->fate == CARRY_KEEP))
			give(w->out, c, old ? w->seg->layout->chunks[c->source].size : 0);
		else if (is_of_all_audio(c->id))
			tell_dropped(w->out, c->id);
	}
	return 0;
}

static bool
is_whole(const struct carry *c)
{
	const struct segment *s = &c->segments[0];
	uint64_t block = s->layout->block_align;

	return c->n == 1 && s->first == 0 && block > 0 &&
	       s->frames == s->layout->audio_size / block;
}

static int
carry_all(struct work *w)
{
	if (read_all(w) == -1)
		return -1;
	for (unsigned i = 0; i < w->parts[0].n; i++)
		if (carry_one(w, &w->parts[0].chunks[i]) == -1)
			return -1;
	if (!is_whole(w->c) &&
	    (w->seg->layout->family == CHUNK_AIFF
		    ? carry_aiff_marks(w->parts, w->c->n, w->e)
		    : carry_riff_marks(w->parts, w->c->n, w->origin.big, w->e)) == -1)
		return -1;
	return give_all(w);
}

static void
free_parts(struct work *w)
{
	for (unsigned i = 0; w->parts != NULL && i < w->c->n; i++) {
		for (unsigned k = 0; k < w->parts[i].n; k++) {
			buf_free(&w->parts[i].chunks[k].old);
			buf_free(&w->parts[i].chunks[k].new);
		}
		free(w->parts[i].chunks);
	}
	free(w->parts);
}

int
carry(const struct carry *c, struct carried_list *out, struct err *e)
{
	struct work w = {.c = c, .seg = &c->segments[0], .room = MAX_BODIES, .out = out, .e = e};
	int rc;

	*out = (struct carried_list){0};
	w.origin = (struct carry_origin){.first = w.seg->first,
	    .rate_hz = c->rate_hz,
	    .big = w.seg->layout->big_endian,
	    .same_audio = is_whole(c) && !c->changed,
	    .history = c->history};
	rc = carry_all(&w);
	free_parts(&w);
	return rc;
}

void
carry_free(struct carried_list *l)
{
	for (unsigned i = 0; i < l->n; i++)
		free(l->list[i].body);
	free(l->list);
	*l = (struct carried_list){0};
}
