/*
 * iXML (specification 3.01, ixml.info): when the first frame was recorded, and what it copies of
 * bext. Numbers are replaced in the text, and every other byte is left as it is: the chunk is often
 * written by hand, with lines in an order that tools rely on, and sometimes to a fixed length.
 *
 * A text that is not well-formed, deeper nested than any iXML or not UTF-8 stays as it is. An
 * element counts when it has nothing but text in it; of several the first does.
 */
#include "carry_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 16
#define DATE_LEN 10
#define TIME_LEN 8
/* Decimals of 32 bits, more when zeros precede them. */
#define MAX_DIGITS 20

struct slice {
	const char *p;
	size_t len;
};

enum field {
	STAMP_RATE,
	STAMP_HI,
	STAMP_LO,
	REFERENCE_HI,
	REFERENCE_LO,
	DATE,
	TIME,
	HISTORY,
	SYNC_TYPE,
	SYNC_HI,
	SYNC_LO,
	FIELDS
};

static const struct {
	const char *parent, *name;
} names[FIELDS] = {
    [STAMP_RATE] = {"SPEED", "TIMESTAMP_SAMPLE_RATE"},
    [STAMP_HI] = {"SPEED", "TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI"},
    [STAMP_LO] = {"SPEED", "TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO"},
    [REFERENCE_HI] = {"BEXT", "BWF_TIME_REFERENCE_HIGH"},
    [REFERENCE_LO] = {"BEXT", "BWF_TIME_REFERENCE_LOW"},
    [DATE] = {"BEXT", "BWF_ORIGINATION_DATE"},
    [TIME] = {"BEXT", "BWF_ORIGINATION_TIME"},
    [HISTORY] = {"BEXT", "BWF_CODING_HISTORY"},
    [SYNC_TYPE] = {"SYNC_POINT", "SYNC_POINT_TYPE"},
    [SYNC_HI] = {"SYNC_POINT", "SYNC_POINT_HIGH"},
    [SYNC_LO] = {"SYNC_POINT", "SYNC_POINT_LOW"},
};

/* Another text in the place of one. */
struct edit {
	struct slice old;
	char text[MAX_DIGITS + 1];
	const struct buf *more; /* instead of text, borrowed, or NULL */
};

struct xml {
	const struct carry_origin *o;
	const char *at, *end;
	struct slice open[MAX_DEPTH]; /* names of the elements that are open */
	unsigned depth;
	const char *text;	     /* of the innermost one, while it has nothing but text */
	struct slice fields[FIELDS]; /* p NULL: not seen */
	struct edit *edits;
	size_t n_edits, cap;
	struct buf history; /* the new text of HISTORY */
	struct err *e;
};

static bool
same(struct slice s, const char *text)
{
	return s.p != NULL && s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

static struct slice
trim(struct slice s)
{
	while (s.len > 0 && strchr(" \t\r\n", s.p[0]) != NULL && s.p[0] != '\0') {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && strchr(" \t\r\n", s.p[s.len - 1]) != NULL && s.p[s.len - 1] != '\0')
		s.len--;
	return s;
}

/* ---- edits ---- */

static struct edit *
add_edit(struct xml *x, struct slice old)
{
	if (x->n_edits == x->cap) {
		size_t cap = x->cap == 0 ? 16 : x->cap * 2;
		struct edit *p = realloc(x->edits, cap * sizeof *p);

		if (p == NULL) {
			err_nomem(x->e);
			return NULL;
		}
		x->edits = p;
		x->cap = cap;
	}
	x->edits[x->n_edits] = (struct edit){.old = old};
	return &x->edits[x->n_edits++];
}

static bool
read_number(struct slice s, uint64_t *v)
{
	*v = 0;
	s = trim(s);
	if (s.p == NULL || s.len == 0 || s.len > MAX_DIGITS)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9' || *v > UINT32_MAX)
			return false;
		*v = *v * 10 + (uint64_t)(s.p[i] - '0');
	}
	return *v <= UINT32_MAX;
}

/* As long as before where zeros made it so. */
static int
write_number(struct xml *x, struct slice s, uint64_t v)
{
	struct edit *d;
	int width;

	s = trim(s);
	width = s.p[0] == '0' ? (int)s.len : 1;
	if ((d = add_edit(x, s)) == NULL)
		return -1;
	snprintf(d->text, sizeof d->text, "%0*" PRIu64, width, v);
	return 0;
}

/* A number in two halves of 32 bits. The upper one may be missing while it is 0. */
static bool
read_halves(const struct xml *x, enum field hi, uint64_t *v)
{
	uint64_t upper = 0, lower;

	if (!read_number(x->fields[hi + 1], &lower) ||
	    (x->fields[hi].p != NULL && !read_number(x->fields[hi], &upper)))
		return false;
	*v = upper << 32 | lower;
	return true;
}

static int
write_halves(struct xml *x, enum field hi, uint64_t v)
{
	if (x->fields[hi].p == NULL)
		return v > UINT32_MAX ? 0 : write_number(x, x->fields[hi + 1], v);
	if (write_number(x, x->fields[hi], v >> 32) == -1)
		return -1;
	return write_number(x, x->fields[hi + 1], v & UINT32_MAX);
}

static int
move_count(struct xml *x, enum field hi, uint64_t rate_hz, uint64_t *days)
{
	uint64_t v, whole, rate = x->o->rate_hz, frames = x->o->first;

	if (!read_halves(x, hi, &v))
		return 0;
	if (rate_hz != rate) {
		if (rate == 0 || !mem_mul(frames / rate, rate_hz, &whole) ||
		    !mem_add(whole, frames % rate * rate_hz / rate, &frames))
			return 0;
	}
	if (!carry_since_midnight(&v, frames, (unsigned)rate_hz, days))
		return 0;
	return write_halves(x, hi, v);
}

/* ---- what is moved ---- */

static int
move_stamp(struct xml *x)
{
	uint64_t rate;

	if (!read_number(x->fields[STAMP_RATE], &rate) || rate == 0)
		rate = x->o->rate_hz;
	return move_count(x, STAMP_HI, rate, NULL);
}

static int
move_reference(struct xml *x)
{
	struct slice date = trim(x->fields[DATE]), time = trim(x->fields[TIME]);
	char d[DATE_LEN + 1] = "", t[TIME_LEN + 1] = "";
	struct edit *edit;
	uint64_t days = 0;

	if (move_count(x, REFERENCE_HI, x->o->rate_hz, &days) == -1)
		return -1;
	if (date.len == DATE_LEN)
		memcpy(d, date.p, DATE_LEN);
	if (time.len == TIME_LEN)
		memcpy(t, time.p, TIME_LEN);
	carry_move_date(d, t, x->o->rate_hz == 0 ? 0 : x->o->first / x->o->rate_hz, days);
	if (date.len == DATE_LEN) {
		if ((edit = add_edit(x, date)) == NULL)
			return -1;
		memcpy(edit->text, d, sizeof d);
	}
	if (time.len == TIME_LEN) {
		if ((edit = add_edit(x, time)) == NULL)
			return -1;
		memcpy(edit->text, t, sizeof t);
	}
	return 0;
}

/* "RELATIVE" counts from the start of the file, "ABSOLUTE" from midnight. */
static int
move_sync_point(struct xml *x)
{
	uint64_t v;

	if (!same(trim(x->fields[SYNC_TYPE]), "RELATIVE") || !read_halves(x, SYNC_HI, &v) ||
	    v < x->o->first)
		return 0;
	return write_halves(x, SYNC_HI, v - x->o->first);
}

static bool
ends_line(struct slice s)
{
	static const char *const ends[] = {"\n", "&#10;", "&#xA;", "&#xa;"};

	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		size_t n = strlen(ends[i]);

		if (s.len >= n && memcmp(s.p + s.len - n, ends[i], n) == 0)
			return true;
	}
	return s.len == 0;
}

static int
add_history(struct xml *x)
{
	struct slice old = x->fields[HISTORY];
	struct edit *edit;
	int rc;

	if (old.p == NULL || x->o->history == NULL)
		return 0;
	if (buf_add(&x->history, old.p, old.len, x->e) == -1 ||
	    (!ends_line(old) && buf_adds(&x->history, "\r\n", x->e) == -1))
		return -1;
	for (const char *s = x->o->history; *s != '\0'; s++) {
		rc = *s == '&'	 ? buf_adds(&x->history, "&amp;", x->e)
		     : *s == '<' ? buf_adds(&x->history, "&lt;", x->e)
				 : buf_add(&x->history, s, 1, x->e);
		if (rc == -1)
			return -1;
	}
	if (buf_adds(&x->history, "\r\n", x->e) == -1 || (edit = add_edit(x, old)) == NULL)
		return -1;
	edit->more = &x->history;
	return 0;
}

/* ---- the text ---- */

static const char *
find(const char *p, const char *end, const char *what)
{
	const char *hit = memmem(p, (size_t)(end - p), what, strlen(what));

	return hit == NULL ? NULL : hit + strlen(what);
}

/* Behind what starts at p and is no element: a comment and the like. NULL when it does not end. */
static const char *
skip_other(const char *p, const char *end)
{
	static const char *const others[][2] = {
	    {"<!--", "-->"}, {"<![CDATA[", "]]>"}, {"<?", "?>"}, {"<!", ">"}};

	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		size_t n = strlen(others[i][0]);

		if ((size_t)(end - p) >= n && memcmp(p, others[i][0], n) == 0)
			return find(p + n, end, others[i][1]);
	}
	return NULL;
}

/* The '>' of a tag, which is none between quotes. */
static const char *
end_of_tag(const char *p, const char *end)
{
	char quote = '\0';

	for (; p < end; p++) {
		if (quote == '\0' && *p == '>')
			return p;
		if (quote == *p)
			quote = '\0';
		else if (quote == '\0' && (*p == '"' || *p == '\''))
			quote = *p;
	}
	return NULL;
}

static struct slice
name_at(const char *p, const char *end)
{
	struct slice s = {p, 0};

	while (p + s.len < end && strchr(" \t\r\n/>", p[s.len]) == NULL)
		s.len++;
	return s;
}

static void
found_text(struct xml *x, struct slice text)
{
	if (x->depth < 2)
		return;
	for (int i = 0; i < FIELDS; i++)
		if (x->fields[i].p == NULL && same(x->open[x->depth - 1], names[i].name) &&
		    same(x->open[x->depth - 2], names[i].parent))
			x->fields[i] = text;
}

/* 1, 0 when it closes nothing that is open, -1 and *e. `at` is behind it. */
static int
close_element(struct xml *x, struct slice name, const char *tag)
{
	if (x->depth == 0 || name.len != x->open[x->depth - 1].len ||
	    memcmp(name.p, x->open[x->depth - 1].p, name.len) != 0)
		return 0;
	if (x->text != NULL)
		found_text(x, (struct slice){x->text, (size_t)(tag - x->text)});
	x->text = NULL;
	x->depth--;
	if (!same(name, "SYNC_POINT"))
		return 1;
	if (move_sync_point(x) == -1)
		return -1;
	for (int i = SYNC_TYPE; i <= SYNC_LO; i++)
		x->fields[i] = (struct slice){NULL, 0};
	return 1;
}

/* What begins with the '<' at x->at: 1, 0 when it is not well-formed, -1 and *e. */
static int
next_tag(struct xml *x)
{
	const char *tag = x->at, *last;
	struct slice name;

	if (x->end - tag < 2)
		return 0;
	if (tag[1] == '!' || tag[1] == '?') {
		x->text = NULL;
		return (x->at = skip_other(tag, x->end)) != NULL;
	}
	if ((last = end_of_tag(tag + 1, x->end)) == NULL)
		return 0;
	x->at = last + 1;
	if (tag[1] == '/')
		return close_element(x, name_at(tag + 2, last), tag);
	name = name_at(tag + 1, last);
	x->text = NULL;
	if (name.len == 0)
		return 0;
	if (last[-1] == '/')
		return 1;
	if (x->depth == MAX_DEPTH)
		return 0;
	x->open[x->depth++] = name;
	x->text = x->at;
	return 1;
}

/* 1, 0 when it is not well-formed, -1 and *e. */
static int
read_text(struct xml *x)
{
	int r = 1;

	while (r == 1 && x->at < x->end &&
	       (x->at = memchr(x->at, '<', (size_t)(x->end - x->at))) != NULL)
		r = next_tag(x);
	return r == 1 ? x->depth == 0 : r;
}

static int
compare_edits(const void *a, const void *b)
{
	const struct edit *x = a, *y = b;

	return x->old.p < y->old.p ? -1 : x->old.p > y->old.p;
}

static int
apply(struct xml *x, struct carry_chunk *c)
{
	const char *at = c->old.data;

	if (x->n_edits > 0)
		qsort(x->edits, x->n_edits, sizeof *x->edits, compare_edits);
	for (size_t i = 0; i < x->n_edits; i++) {
		const struct edit *d = &x->edits[i];

		if (buf_add(&c->new, at, (size_t)(d->old.p - at), x->e) == -1 ||
		    (d->more != NULL ? buf_add(&c->new, d->more->data, d->more->len, x->e)
				     : buf_adds(&c->new, d->text, x->e)) == -1)
			return -1;
		at = d->old.p + d->old.len;
	}
	c->fate = CARRY_NEW;
	return buf_add(&c->new, at, (size_t)(x->end - at), x->e);
}

int
carry_xml(struct carry_chunk *c, const struct carry_origin *o, struct err *e)
{
	struct xml x = {.o = o, .at = c->old.data, .end = c->old.data + c->old.len, .e = e};
	int rc = read_text(&x);

	if (rc == 1 && (move_stamp(&x) == -1 || move_reference(&x) == -1 || add_history(&x) == -1 ||
			   apply(&x, c) == -1))
		rc = -1;
	free(x.edits);
	buf_free(&x.history);
	return rc == -1 ? -1 : 0;
}
