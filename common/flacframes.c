#include "flacframes.h"

#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "decoder.h"
#include "mem.h"
#include "source.h"

struct job {
	struct flacframes *s;
	const struct flacframes_opts *o;
};

/* RFC 9639 section 8.2. */
void
flacframes_set_count(unsigned char info[FLACFRAMES_INFO_BYTES], uint64_t frames)
{
	memset(info + 4, 0, 6);
	memset(info + 18, 0, 16);
	info[13] = (unsigned char)((info[13] & 0xf0) | frames >> 32);
	for (int i = 0; i < 4; i++)
		info[14 + i] = (unsigned char)(frames >> (8 * (3 - i)));
}

/* ---- numbers of frames ---- */

/* RFC 9639 section 9.1.5: the number, like a character of UTF-8, of up to 6 bytes. */
static size_t
put_number(unsigned char *p, uint32_t v)
{
	size_t n = 2;

	if (v < 0x80) {
		*p = (unsigned char)v;
		return 1;
	}
	while (n < 6 && v >> (5 * n + 1) != 0)
		n++;
	for (size_t i = n; --i > 0; v >>= 6)
		p[i] = (unsigned char)(0x80 | (v & 0x3f));
	p[0] = (unsigned char)(0xff00 >> n | v);
	return n;
}

/* Of sections 9.1.8 and 9.3: x^8 + x^2 + x + 1, and x^16 + x^15 + x^2 + 1; both begin with 0. */
static unsigned
crc(const unsigned char *p, size_t len, unsigned width)
{
	const unsigned top = 1u << (width - 1), poly = width == 8 ? 0x07 : 0x8005;
	unsigned r = 0;

	for (size_t i = 0; i < len; i++) {
		r ^= (unsigned)p[i] << (width - 8);
		for (int k = 0; k < 8; k++)
			r = (r & top ? r << 1 ^ poly : r << 1) & (2 * top - 1);
	}
	return r;
}

static unsigned
crc16_times(unsigned a, unsigned b)
{
	unsigned r = 0;

	for (int k = 15; k >= 0; k--) {
		r = (r & 0x8000 ? r << 1 ^ 0x8005 : r << 1) & 0xffff;
		if (b >> k & 1)
			r ^= a;
	}
	return r;
}

/* The CRC-16 r, after len bytes that are 0. */
static unsigned
crc16_shift(unsigned r, size_t len)
{
	for (unsigned power = 0x100; len > 0; len >>= 1, power = crc16_times(power, power))
		if (len & 1)
			r = crc16_times(r, power);
	return r;
}

/*
 * Copies a frame whose number has one byte, with another number; `to` has 5 bytes more room. The
 * CRC-16 is corrected by the difference of the headers, and not computed anew: damage that happens
 * between encoding and here stays visible. The length; 0 when it is no such frame.
 */
static size_t
renumber(const unsigned char *p, size_t len, uint32_t number, unsigned char *to)
{
	size_t tail, old, new, n;
	unsigned sum;

	if (len < 8 || p[0] != 0xff || p[1] != 0xf8 || p[4] >= 0x80)
		return 0;
	tail = (p[2] >> 4 == 6) + 2 * (p[2] >> 4 == 7) + ((p[2] & 15) == 12) +
	       2 * ((p[2] & 15) == 13 || (p[2] & 15) == 14);
	old = 5 + tail;
	if (len < old + 3 || crc(p, old, 8) != p[old])
		return 0;
	memcpy(to, p, 4);
	n = put_number(to + 4, number);
	memcpy(to + 4 + n, p + 5, tail);
	new = 4 + n + tail;
	to[new] = (unsigned char)crc(to, new, 8);
	old++;
	new ++;
	memcpy(to + new, p + old, len - old);
	sum = crc16_shift(crc(p, old, 16) ^ crc(to, new, 16), len - old - 2);
	len = new + (len - old);
	to[len - 2] ^= (unsigned char)(sum >> 8);
	to[len - 1] ^= (unsigned char)sum;
	return len;
}

/* ---- encoding ---- */

static int
reserve(struct flacframes *s, size_t len)
{
	size_t cap = s->cap == 0 ? (size_t)FLACFRAMES_SAMPLES * 2 : s->cap;
	unsigned char *p;

	while (cap < s->len + len)
		cap *= 2;
	if (cap == s->cap)
		return 0;
	if ((p = realloc(s->bytes, cap)) == NULL)
		return err_nomem(&s->e);
	s->bytes = p;
	s->cap = cap;
	return 0;
}

static void
frame_encoded(void *ctx, uint64_t at, const unsigned char *p, size_t len)
{
	struct job *j = ctx;
	struct flacframes *s = j->s;
	uint64_t number = s->first / j->o->block + s->n;
	size_t n;

	(void)at;
	if (s->e.class != ERR_NONE || reserve(s, len + 8) == -1)
		return;
	n = s->n == FLACFRAMES_BLOCKS ? 0 : renumber(p, len, (uint32_t)number, s->bytes + s->len);
	if (n == 0) {
		err_set(&s->e, ERR_SYSTEM, NULL, "a frame of the encoder is not understood");
		return;
	}
	s->len += n;
	s->ends[s->n++] = s->len;
}

static int
encode_frames(struct job *j)
{
	struct flacframes *s = j->s;
	struct sfwriter_flac flac = {.level = j->o->level, .frame = frame_encoded, .ctx = j};
	struct sfwriter_opts o = *j->o->encoder;
	struct sfwriter *w;
	int rc = -1;

	o.flac = &flac;
	if ((w = sfwriter_open(-1, &o, &s->e)) == NULL)
		return -1;
	if (sfwriter_write_ints(w, s->samples, s->frames, &s->e) == 0 &&
	    sfwriter_finish(w, &s->e) == 0 && s->e.class == ERR_NONE)
		rc = 0;
	sfwriter_free(w);
	if (rc == 0 && s->n != (s->frames + j->o->block - 1) / j->o->block)
		rc = err_set(&s->e, ERR_SYSTEM, NULL, "the encoder gave %u frames", s->n);
	return rc;
}

static bool
decodes_alike(
    const struct flacframes *s, unsigned channels, struct decoder *d, union decoder_block *b)
{
	size_t done = 0, n;

	while ((n = decoder_read(d, DECODER_INT, b)) > 0) {
		if (n > s->frames - done || memcmp(b->i, s->samples + done * channels,
						n * channels * sizeof *s->samples) != 0)
			return false;
		done += n;
	}
	return done == s->frames;
}

/* Decodes the frames as they will stand in the file. */
static int
check_frames(struct job *j)
{
	struct flacframes *s = j->s;
	unsigned char head[FLACFRAMES_INFO_AT + FLACFRAMES_INFO_BYTES] = {
	    'f', 'L', 'a', 'C', 0x80, 0, 0, FLACFRAMES_INFO_BYTES};
	struct facts facts = {.quick = true};
	struct content c = {.facts = &facts};
	struct decoder *d = NULL;
	union decoder_block *b = NULL;
	int rc = -1;

	memcpy(head + FLACFRAMES_INFO_AT, j->o->info, FLACFRAMES_INFO_BYTES);
	flacframes_set_count(head + FLACFRAMES_INFO_AT, 0);
	c.source = source_open(-1, 0, 0, j->o->stop, NULL, &s->e);
	if (c.source != NULL && (b = mem_new(1, sizeof *b, &s->e)) != NULL &&
	    view_add_bytes(&c.view, head, sizeof head, &s->e) == 0 &&
	    view_add_bytes(&c.view, s->bytes, s->len, &s->e) == 0 &&
	    (d = decoder_open(&c, &s->e)) != NULL) {
		if (facts.opened && decodes_alike(s, j->o->encoder->channels, d, b) &&
		    facts.decode_error == NULL)
			rc = 0;
		else if (!source_failed(c.source, &s->e))
			err_set(&s->e, ERR_SYSTEM, NULL,
			    "the new file does not decode to what was encoded");
	}
	decoder_close(d);
	view_clear(&c.view);
	source_close(c.source);
	free(b);
	return rc;
}

void
flacframes_encode(struct flacframes *s, const struct flacframes_opts *o)
{
	struct job j = {s, o};

	if (encode_frames(&j) == 0 && o->verify)
		check_frames(&j);
	free(s->samples);
	s->samples = NULL;
}

void
flacframes_free(struct flacframes *s)
{
	if (s == NULL)
		return;
	free(s->samples);
	free(s->bytes);
	free(s);
}
