/*
 * Markers, and what refers to them. A marker has a number from 1 to 32767; those of later parts get
 * the lowest free one when theirs is taken, and are left out when none is.
 *
 * Apple, "Audio Interchange File Format" 1.3: markers are counted, each with a position between two
 * frames and a name that is padded to an even length with its count; so are comments, whose text
 * has a longer count. An instrument's loops name two markers each.
 */
#include "carry_parts.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"

#define MAX_ID 32767
#define INST_BYTES 20

/* A list of items, which a count of two bytes precedes: bytes of one up to its text, of which the
 * last `width` are the length of that. */
struct shape {
	const char *id;
	unsigned fixed, width;
};

static const struct shape mark = {"MARK", 7, 1}, comt = {"COMT", 8, 2};

struct marker_ids {
	bool taken[65536];   /* in the new file */
	bool known[65536];   /* in the file that is looked at */
	uint16_t now[65536]; /* what a known one is called in the new file; 0: it is not there */
	uint16_t free;	     /* no lower one is free */
};

/* The length of the item at `at` and where the next one starts; 0 when it is not all there. */
static size_t
item_at(const struct buf *b, size_t at, const struct shape *s, size_t *next)
{
	size_t len;

	if (at > b->len || b->len - at < s->fixed)
		return 0;
	len = s->fixed + (size_t)bytes_number(b->data + at + s->fixed - s->width, s->width, true);
	*next = at + len + len % 2;
	return len <= b->len - at ? len : 0;
}

/* Its items fill it, but for a pad byte more or less. Where names were not padded, they do not. */
static bool
is_sound(const struct buf *b, const struct shape *s)
{
	size_t at = 2;

	if (b->len < 2)
		return false;
	for (uint64_t n = bytes_number(b->data, 2, true); n > 0; n--)
		if (item_at(b, at, s, &at) == 0)
			return false;
	return at <= b->len + 1 && b->len <= at + 1;
}

static int
add_item(struct buf *out, const struct buf *b, size_t at, size_t len, struct err *e)
{
	unsigned n;

	if (out->len == 0 && bytes_add(out, 0, 2, true, e) == -1)
		return -1;
	if (buf_add(out, b->data + at, len, e) == -1 ||
	    (len % 2 == 1 && buf_add(out, "", 1, e) == -1))
		return -1;
	n = (unsigned)bytes_number(out->data, 2, true);
	bytes_put(out->data, n + 1, 2, true);
	return 0;
}

/* Without an item nothing is left of the chunk. */
static void
settle(struct carry_chunk *c)
{
	if (bytes_number(c->old.data, 2, true) == 0)
		c->fate = CARRY_KEEP;
	else
		c->fate = c->new.len == 0 ? CARRY_DROP : CARRY_NEW;
}

/* ---- markers ---- */

/* 0, which names no marker, when all are taken. One above MAX_ID that is there already may stay. */
static uint16_t
take_id(struct marker_ids *ids, uint16_t id)
{
	if (ids->taken[id]) {
		while (ids->free <= MAX_ID && ids->taken[ids->free])
			ids->free++;
		if (ids->free > MAX_ID)
			return 0;
		id = ids->free;
	}
	ids->taken[id] = true;
	return id;
}

static int
add_markers(struct marker_ids *ids, const struct carry_part *p, const struct buf *b,
    struct buf *out, struct err *e)
{
	size_t at = 2, next, len;
	uint64_t to;

	for (uint64_t n = bytes_number(b->data, 2, true); n > 0; n--, at = next) {
		uint16_t id = (uint16_t)bytes_number(b->data + at, 2, true), now = 0;

		len = item_at(b, at, &mark, &next);
		if (carry_place(p, bytes_number(b->data + at + 2, 4, true), &to) &&
		    to <= UINT32_MAX)
			now = take_id(ids, id);
		if (!ids->known[id] || ids->now[id] == 0)
			ids->now[id] = now;
		ids->known[id] = true;
		if (now == 0)
			continue;
		if (add_item(out, b, at, len, e) == -1)
			return -1;
		bytes_put(out->data + out->len - len - len % 2, now, 2, true);
		bytes_put(out->data + out->len - len - len % 2 + 2, to, 4, true);
	}
	return 0;
}

/* ---- what refers to them ---- */

static int
comments(const struct marker_ids *ids, struct carry_chunk *c, struct err *e)
{
	const struct buf *b = &c->old;
	size_t at = 2, next, len;

	for (uint64_t n = bytes_number(b->data, 2, true); n > 0; n--, at = next) {
		uint16_t id = (uint16_t)bytes_number(b->data + at + 4, 2, true);
		bool known = id != 0 && ids->known[id];

		len = item_at(b, at, &comt, &next);
		if (known && ids->now[id] == 0)
			continue;
		if (add_item(&c->new, b, at, len, e) == -1)
			return -1;
		if (known)
			bytes_put(
			    c->new.data + c->new.len - len - len % 2 + 4, ids->now[id], 2, true);
	}
	settle(c);
	return 0;
}

/* Mode, first and last marker of a loop; mode 0 is none. */
static void
loop(const struct marker_ids *ids, char *p)
{
	for (unsigned i = 2; i <= 4; i += 2) {
		uint16_t id = (uint16_t)bytes_number(p + i, 2, true);

		if (bytes_number(p, 2, true) == 0 || !ids->known[id])
			continue;
		if (ids->now[id] == 0)
			memset(p, 0, 6);
		else
			bytes_put(p + i, ids->now[id], 2, true);
	}
}

static int
instrument(const struct marker_ids *ids, struct carry_chunk *c, struct err *e)
{
	if (buf_add(&c->new, c->old.data, c->old.len, e) == -1)
		return -1;
	loop(ids, c->new.data + 8);
	loop(ids, c->new.data + 14);
	c->fate = CARRY_NEW;
	return 0;
}

static int
references(const struct marker_ids *ids, const struct carry_part *p, struct err *e)
{
	struct carry_chunk *c;

	if ((c = carry_find(p, "COMT")) != NULL && is_sound(&c->old, &comt) &&
	    comments(ids, c, e) == -1)
		return -1;
	if ((c = carry_find(p, "INST")) != NULL && c->old.len >= INST_BYTES)
		return instrument(ids, c, e);
	return 0;
}

int
carry_aiff_marks(struct carry_part *parts, unsigned n, struct err *e)
{
	struct carry_chunk *c = carry_find(&parts[0], "MARK"), *other;
	struct marker_ids *ids;
	int rc = -1;

	if (c == NULL || !is_sound(&c->old, &mark))
		return 0;
	if ((ids = mem_new(1, sizeof *ids, e)) == NULL)
		return -1;
	ids->free = 1;
	ids->taken[0] = true;
	if (add_markers(ids, &parts[0], &c->old, &c->new, e) == -1 ||
	    references(ids, &parts[0], e) == -1)
		goto out;
	for (unsigned i = 1; i < n; i++) {
		memset(ids->known, 0, sizeof ids->known);
		if ((other = carry_find(&parts[i], "MARK")) != NULL &&
		    is_sound(&other->old, &mark) &&
		    add_markers(ids, &parts[i], &other->old, &c->new, e) == -1)
			goto out;
	}
	settle(c);
	if (c->new.len > 0)
		c->fate = CARRY_NEW;
	rc = 0;
out:
	free(ids);
	return rc;
}
