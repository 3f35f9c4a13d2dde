/*
 * The new file is laid out from its start to its end, and sizes that depend on what follows are
 * patched at last. Whether a WAV needs RF64 is known only then: so it is laid out once as WAV, and
 * once more when that turns out too long.
 *
 * The format chunk goes along byte for byte, as the audio does: what it says is checked here, so
 * that frames are what they are taken for, but never written anew. Apple's AIFF readers know no
 * chunk to be skipped, but the audio's chunk has a count of bytes to skip for just this purpose.
 *
 * Microsoft "Multiple Channel Audio Data and WAVE Files" (the extensible format), EBU Tech 3306
 * (RF64), VCS "Sony Wave64", Apple AIFF 1.3 and the AIFF-C draft of 1991.
 */
#include "cut.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "mem.h"

/* All ones mean that the size stands elsewhere. */
#define MAX_32 (UINT32_MAX - UINT64_C(1))
/* libsndfile opens no more. */
#define MAX_CHANNELS 1024
/* Three sizes and the length of a table: EBU Tech 3306. */
#define DS64_BYTES 28

enum { TAG_PCM = 1, TAG_FLOAT = 3, TAG_EXTENSIBLE = 0xfffe };

struct build {
	const struct cut_opts *o;
	struct cut *c;
	const struct segment *first;
	const struct chunk_layout *l; /* of the first segment */
	struct cut_format format;
	struct carried_list carried;
	uint64_t audio_bytes;
	bool wide; /* the new file is RF64 */
	struct err *e;
};

/* ---- the format ---- */

static int
refuse_format(const struct chunk_layout *l, const char *why, struct err *e)
{
	return err_item(e, P_UNSUPPORTED, "cannot be cut without decoding: its '%s' chunk %s",
	    l->chunks[l->fmt].id, why);
}

static int
refuse_codec(const char *codec, struct err *e)
{
	return err_item(e, P_UNSUPPORTED,
	    "cannot be cut without decoding: its codec (%s) is no PCM of 1 to 4 or 8 bytes", codec);
}

/* Fills the sample's size; false for one that neither copying nor rendering knows. */
static bool
fit(struct render_format *s, unsigned bits, unsigned valid)
{
	s->bytes = (bits + 7) / 8;
	s->bits = s->is_float ? bits : valid;
	if (s->bytes == 1)
		s->big_endian = false;
	if (s->is_float)
		return bits == 32 || bits == 64;
	return bits > 0 && valid > 0 && (s->bytes <= 4 || s->bytes == 8);
}

static int
riff_format(const struct chunk_layout *l, const unsigned char *f, uint64_t len,
    struct cut_format *out, struct err *e)
{
	bool big = l->big_endian;
	unsigned tag = (unsigned)bytes_number(f, 2, big),
		 bits = (unsigned)bytes_number(f + 14, 2, big);
	unsigned valid = bits;
	uint64_t align = bytes_number(f + 12, 2, big);
	struct render_format *s = &out->sample;
	char name[32];

	snprintf(name, sizeof name, "tag 0x%04x, %u bits", tag, bits);
	s->channels = (unsigned)bytes_number(f + 2, 2, big);
	out->rate_hz = (unsigned)bytes_number(f + 4, 4, big);
	if (tag == TAG_EXTENSIBLE) {
		if (len < 40)
			return refuse_format(l, "contradicts itself", e);
		tag = chunk_sub_format(f, big);
		if ((valid = (unsigned)bytes_number(f + 18, 2, big)) == 0)
			valid = bits;
	}
	if (tag != TAG_PCM && tag != TAG_FLOAT)
		return refuse_codec(name, e);
	s->is_float = tag == TAG_FLOAT;
	s->big_endian = big;
	if (!fit(s, bits, valid))
		return refuse_codec(name, e);
	s->is_unsigned = s->bytes == 1;
	if (valid > bits || (align != 0 && align != (uint64_t)s->channels * s->bytes))
		return refuse_format(l, "contradicts itself", e);
	return 0;
}

/* The rate of AIFF, an 80-bit float, to the nearest; 0 for what is none. */
static unsigned
extended_rate(const unsigned char *p)
{
	unsigned exponent = (unsigned)bytes_number(p, 2, true);
	uint64_t mantissa = bytes_number(p + 2, 8, true);

	if (exponent < 0x3fff || exponent > 0x3fff + 30 || p[2] < 0x80)
		return 0;
	return (unsigned)(((mantissa >> (62 - (exponent - 0x3fff))) + 1) / 2);
}

static const struct codec {
	char id[5];
	unsigned bits; /* that COMM must say; 0: up to 32 */
	bool is_float, is_unsigned, little;
} codecs[] = {
    {"NONE"},
    {"twos"},
    {"sowt", .little = true},
    {"raw ", 8, .is_unsigned = true},
    {"in24", 24},
    {"in32", 32},
    {"42ni", 24, .little = true},
    {"23ni", 32, .little = true},
    {"fl32", 32, .is_float = true},
    {"FL32", 32, .is_float = true},
    {"fl64", 64, .is_float = true},
    {"FL64", 64, .is_float = true},
};

static int
aiff_format(const struct chunk_layout *l, const unsigned char *f, uint64_t len,
    struct cut_format *out, struct err *e)
{
	struct render_format *s = &out->sample;
	unsigned bits = (unsigned)bytes_number(f + 6, 2, true);
	const struct codec *codec = NULL;
	char id[5] = "NONE";

	if (len >= 22)
		memcpy(id, f + 18, 4);
	for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++)
		if (memcmp(id, codecs[i].id, 4) == 0)
			codec = &codecs[i];
	if (codec == NULL)
		return refuse_codec(id, e);
	s->channels = (unsigned)bytes_number(f, 2, true);
	out->rate_hz = extended_rate(f + 8);
	s->is_float = codec->is_float;
	s->is_unsigned = codec->is_unsigned;
	s->big_endian = !codec->little;
	if ((codec->bits != 0 ? bits != codec->bits : bits > 32) || !fit(s, bits, bits))
		return refuse_format(l, "contradicts itself", e);
	return 0;
}

static int
refuse_structure(const struct chunk_layout *l, struct err *e)
{
	const char *fmt = l->family == CHUNK_AIFF ? "COMM" : "fmt ";

	if (l->n_chunks >= CHUNK_MAX)
		return err_item(e, P_UNSUPPORTED,
		    "cannot be cut without decoding: it has more than %d chunks", CHUNK_MAX - 1);
	if (l->duplicate_fmt)
		return err_item(e, P_DECODE_ERROR,
		    "cannot be cut: it has two '%s' chunks, and which is true is not known", fmt);
	if (l->fmt == -1)
		return err_item(e, l->truncated ? P_TRUNCATED : P_DECODE_ERROR,
		    "cannot be cut: it has no '%s' chunk, and a format is not to be guessed", fmt);
	if (l->data == -1)
		return err_item(e, l->truncated ? P_TRUNCATED : P_DECODE_ERROR,
		    "cannot be cut: it has no '%s' chunk, so that no audio is found",
		    l->family == CHUNK_AIFF ? "SSND" : "data");
	return 0;
}

/* chunk.h knows W64's chunks by the first four bytes of their GUID; decoders ask for all of it. */
static int
check_guid(int fd, const struct chunk_layout *l, int i, struct err *e)
{
	const struct chunk *c = &l->chunks[i];
	unsigned char guid[16];

	if (bytes_read(fd, c->header, guid, sizeof guid, e) == -1)
		return -1;
	if (memcmp(guid + 4, chunk_w64_tail, sizeof chunk_w64_tail) != 0)
		return err_item(e, P_DECODE_ERROR,
		    "cannot be cut: its '%s' chunk has a GUID that W64 does not know", c->id);
	return 0;
}

int
cut_format(int fd, const struct chunk_layout *l, struct cut_format *f, struct err *e)
{
	bool aiff = l->family == CHUNK_AIFF;
	const struct chunk *c;
	unsigned char p[40] = {0};

	*f = (struct cut_format){0};
	if (refuse_structure(l, e) == -1)
		return -1;
	if (l->family == CHUNK_W64 &&
	    (check_guid(fd, l, l->fmt, e) == -1 || check_guid(fd, l, l->data, e) == -1))
		return -1;
	c = &l->chunks[l->fmt];
	if (c->size < c->declared || c->size < (aiff ? 18 : 16))
		return refuse_format(l, "is cut", e);
	if (bytes_read(fd, c->offset, p, c->size < sizeof p ? (size_t)c->size : sizeof p, e) == -1)
		return -1;
	if ((aiff ? aiff_format(l, p, c->size, f, e) : riff_format(l, p, c->size, f, e)) == -1)
		return -1;
	if (f->sample.channels == 0 || f->sample.channels > MAX_CHANNELS || f->rate_hz == 0 ||
	    f->rate_hz > INT32_MAX)
		return refuse_format(l, "has no usable count of channels or rate", e);
	f->frame_bytes = (uint64_t)f->sample.channels * f->sample.bytes;
	f->frames = l->audio_size / f->frame_bytes;
	return 0;
}

/* ---- segments ---- */

static void
describe(const struct render_format *s, char *out, size_t size)
{
	char room[32] = "";

	if (s->bits != s->bytes * 8)
		snprintf(room, sizeof room, " in %u bytes", s->bytes);
	snprintf(out, size, "%ssamples of %u bits%s%s", s->is_unsigned ? "unsigned " : "", s->bits,
	    room, s->is_float ? " (float)" : "");
}

/* Segment i, of format f, can stand behind the first. */
static int
check_alike(const struct build *b, unsigned i, const struct cut_format *f)
{
	const struct cut_format *g = &b->format;
	const struct render_format *s = &f->sample, *t = &g->sample;
	char is[80], was[80];

	if (f->rate_hz != g->rate_hz)
		return err_item(b->e, P_UNSUPPORTED, "file %u has %u Hz and file 1 %u Hz", i + 1,
		    f->rate_hz, g->rate_hz);
	if (s->channels != t->channels)
		return err_item(b->e, P_UNSUPPORTED, "file %u has %u channels and file 1 %u", i + 1,
		    s->channels, t->channels);
	describe(s, is, sizeof is);
	describe(t, was, sizeof was);
	if (strcmp(is, was) != 0)
		return err_item(
		    b->e, P_UNSUPPORTED, "file %u has %s and file 1 %s", i + 1, is, was);
	if (s->big_endian != t->big_endian)
		return err_item(b->e, P_UNSUPPORTED,
		    "file %u has %s-endian samples and file 1 %s-endian ones", i + 1,
		    s->big_endian ? "big" : "little", t->big_endian ? "big" : "little");
	return 0;
}

static int
check_segment(struct build *b, unsigned i)
{
	const struct segment *s = &b->o->segments[i];
	struct cut_format f;

	if (cut_format(s->fd, s->layout, &f, b->e) == -1)
		return b->o->n == 1 ? -1 : err_prefix(b->e, "file %u", i + 1);
	if (i == 0)
		b->format = f;
	else if (check_alike(b, i, &f) == -1)
		return -1;
	if (s->first <= f.frames && s->frames <= f.frames - s->first)
		return 0;
	err_item(b->e, s->layout->truncated ? P_TRUNCATED : P_UNSUPPORTED,
	    "has %" PRIu64 " frames: there are no %" PRIu64 " from frame %" PRIu64 " on", f.frames,
	    s->frames, s->first);
	return b->o->n == 1 ? -1 : err_prefix(b->e, "file %u", i + 1);
}

static int
check_segments(struct build *b)
{
	uint64_t frames = 0;

	for (unsigned i = 0; i < b->o->n; i++) {
		if (check_segment(b, i) == -1)
			return -1;
		if (!mem_add(frames, b->o->segments[i].frames, &frames))
			return err_item(b->e, P_TOO_LARGE, "the new file would be too long");
	}
	if (frames == 0)
		return err_item(b->e, P_EMPTY, "there is not one frame to be cut out");
	if (!mem_mul(frames, b->format.frame_bytes, &b->audio_bytes) || b->audio_bytes > INT64_MAX)
		return err_item(b->e, P_TOO_LARGE, "the new file would be too long");
	b->c->frames = frames;
	return 0;
}

/* ---- chunks ---- */

static int
add_bytes(struct build *b, const void *bytes, size_t len)
{
	return pieces_add_bytes(&b->c->pieces, bytes, len, b->e);
}

static void
patch(struct build *b, uint64_t at, uint64_t v, unsigned bytes)
{
	unsigned char n[8];

	bytes_put(n, v, bytes, b->l->big_endian);
	pieces_patch(&b->c->pieces, at, n, bytes);
}

/* Every chunk starts at a multiple of 2 (W64: 8). */
static int
add_pad(struct build *b)
{
	unsigned step = b->l->family == CHUNK_W64 ? 8 : 2;
	uint64_t over = b->c->pieces.size_bytes % step;

	return over == 0 ? 0 : pieces_add_zeros(&b->c->pieces, step - over, b->e);
}

static size_t
header_bytes(const struct build *b)
{
	return b->l->family == CHUNK_W64 ? 24 : 8;
}

/* The header of a chunk with len bytes. `old`: whose GUID it gets, or NULL for a new one. */
static int
add_header(struct build *b, const struct chunk *old, const char *id, uint64_t len)
{
	unsigned char h[24];

	memcpy(h, id, 4);
	if (b->l->family == CHUNK_W64) {
		memcpy(h + 4, chunk_w64_tail, sizeof chunk_w64_tail);
		if (old != NULL && bytes_read(b->first->fd, old->header, h, 16, b->e) == -1)
			return -1;
		/* Of W64 a size counts the header in. */
		bytes_put(h + 16, len + 24, 8, false);
	} else {
		bytes_put(h + 4, len > MAX_32 ? UINT32_MAX : len, 4, b->l->big_endian);
	}
	return add_bytes(b, h, header_bytes(b));
}

static int
add_old(struct build *b, const struct chunk *c, uint64_t len)
{
	if (add_header(b, c, c->id, len) == -1 ||
	    pieces_add_file(&b->c->pieces, b->first->fd, c->offset, len, b->e) == -1)
		return -1;
	return add_pad(b);
}

static int
add_one(struct build *b, const struct carried *c)
{
	const struct chunk *old = c->source < b->l->n_chunks ? &b->l->chunks[c->source] : NULL;

	if (c->body == NULL && old != NULL)
		return add_old(b, old, c->len);
	if (add_header(b, old, c->id, c->len) == -1 || add_bytes(b, c->body, (size_t)c->len) == -1)
		return -1;
	return add_pad(b);
}

/* The format stays where it was among them. AIFF's is one of them, as it counts frames. */
static int
add_in_front(struct build *b)
{
	const struct chunk *fmt = &b->l->chunks[b->l->fmt];
	bool wanted = b->l->family != CHUNK_AIFF;

	for (unsigned i = 0; i < b->carried.n; i++) {
		const struct carried *c = &b->carried.list[i];

		if (c->behind)
			continue;
		if (wanted && c->source > (unsigned)b->l->fmt) {
			if (add_old(b, fmt, fmt->size) == -1)
				return -1;
			wanted = false;
		}
		if (add_one(b, c) == -1)
			return -1;
	}
	return wanted ? add_old(b, fmt, fmt->size) : 0;
}

static int
add_behind(struct build *b)
{
	for (unsigned i = 0; i < b->carried.n; i++)
		if (b->carried.list[i].behind && add_one(b, &b->carried.list[i]) == -1)
			return -1;
	return 0;
}

/* The outermost header; its size is not known before finish_outer. */
static int
add_outer(struct build *b)
{
	unsigned char h[40];
	size_t len = b->l->family == CHUNK_W64 ? 40 : 12;

	if (bytes_read(b->first->fd, 0, h, len, b->e) == -1)
		return -1;
	if (b->wide && b->l->family == CHUNK_RIFF)
		memcpy(h, "RF64", 4);
	return add_bytes(b, h, len);
}

/* Always the first chunk. Its table has the sizes of other chunks that 32 bits have no room for. */
static int
add_ds64(struct build *b)
{
	unsigned char h[8 + DS64_BYTES] = "ds64", entry[12];
	unsigned n = 0;

	for (unsigned i = 0; i < b->carried.n; i++)
		n += b->carried.list[i].len > MAX_32;
	bytes_put(h + 4, DS64_BYTES + n * sizeof entry, 4, false);
	bytes_put(h + 16, b->audio_bytes, 8, false);
	bytes_put(h + 24, b->c->frames, 8, false);
	bytes_put(h + 32, n, 4, false);
	if (add_bytes(b, h, sizeof h) == -1)
		return -1;
	for (unsigned i = 0; i < b->carried.n; i++) {
		const struct carried *c = &b->carried.list[i];

		memcpy(entry, c->id, 4);
		bytes_put(entry + 4, c->len, 8, false);
		if (c->len > MAX_32 && add_bytes(b, entry, sizeof entry) == -1)
			return -1;
	}
	return 0;
}

/* Of RF64 the size stands in ds64, whose body begins at 20. */
static void
finish_outer(struct build *b)
{
	uint64_t total = b->c->pieces.size_bytes;

	if (b->l->family == CHUNK_W64) {
		patch(b, 16, total, 8);
	} else if (b->wide) {
		patch(b, 4, UINT32_MAX, 4);
		patch(b, 20, total - 8, 8);
	} else {
		patch(b, 4, total - 8, 4);
	}
}

/* ---- audio ---- */

/* Bytes that have to stand before a header of this length, so that the audio behind it begins in
 * its block where it did in the old file. */
static uint64_t
filling(const struct build *b, size_t header)
{
	uint64_t old = b->l->audio_offset + b->first->first * b->format.frame_bytes;
	uint64_t new = b->c->pieces.size_bytes + header;

	return (old % PIECES_BLOCK + PIECES_BLOCK - new % PIECES_BLOCK) % PIECES_BLOCK;
}

/* Where chunks can only start at other places than are wanted, nothing is gained by any. */
static int
add_filling(struct build *b)
{
	bool w64 = b->l->family == CHUNK_W64;
	size_t header = header_bytes(b);
	uint64_t n = filling(b, header);

	if (n == 0 || n % (w64 ? 8 : 2) != 0)
		return 0;
	/* A chunk of W64 with no body is an error to ffmpeg. */
	if (n < header + (w64 ? 1 : 0))
		n += PIECES_BLOCK;
	if (add_header(b, NULL, w64 ? "junk" : "JUNK", n - header) == -1)
		return -1;
	return pieces_add_zeros(&b->c->pieces, n - header, b->e);
}

static int
add_audio_header(struct build *b)
{
	unsigned char ssnd[8] = {0};
	uint64_t skip;

	if (b->l->family != CHUNK_AIFF)
		return add_filling(b) == -1
			   ? -1
			   : add_header(b, NULL, "data", b->wide ? UINT64_MAX : b->audio_bytes);
	skip = filling(b, 8 + sizeof ssnd);
	bytes_put(ssnd, skip, 4, true);
	if (add_header(b, NULL, "SSND", sizeof ssnd + skip + b->audio_bytes) == -1 ||
	    add_bytes(b, ssnd, sizeof ssnd) == -1)
		return -1;
	return pieces_add_zeros(&b->c->pieces, skip, b->e);
}

static void
render_stretch(void *ctx, unsigned char *p, size_t len, uint64_t at)
{
	const struct cut *c = ctx;

	render_apply(
	    c->render, p, (at - c->audio_offset) / c->frame_bytes, len / (size_t)c->frame_bytes);
}

/* Where frames from `at` on begin to be treated differently, at the latest `end`. */
static uint64_t
next_edge(const struct render *r, uint64_t at, uint64_t end)
{
	uint64_t out;

	if (r == NULL)
		return end;
	out = r->fade_out < r->frames ? r->frames - r->fade_out : 0;
	if (r->fade_in > at && r->fade_in < end)
		end = r->fade_in;
	return out > at && out < end ? out : end;
}

/* The frames of a segment, which begin at `at` of the new file. */
static int
add_segment(struct build *b, const struct segment *s, uint64_t at)
{
	const uint64_t width = b->format.frame_bytes, end = at + s->frames;
	uint64_t offset = s->layout->audio_offset + s->first * width;
	struct pieces *p = &b->c->pieces;

	for (uint64_t next; at < end; at = next) {
		uint64_t len;
		int rc;

		next = next_edge(b->o->render, at, end);
		len = (next - at) * width;
		if (b->o->render != NULL && render_changes(b->o->render, at, next - at))
			rc = pieces_add_changed(
			    p, s->fd, offset, len, (size_t)width, render_stretch, b->c, b->e);
		else
			rc = pieces_add_file(p, s->fd, offset, len, b->e);
		if (rc == -1)
			return -1;
		offset += len;
	}
	return 0;
}

static int
add_audio(struct build *b)
{
	uint64_t at = 0;

	if (add_audio_header(b) == -1)
		return -1;
	b->c->audio_offset = b->c->pieces.size_bytes;
	for (unsigned i = 0; i < b->o->n; i++) {
		if (add_segment(b, &b->o->segments[i], at) == -1)
			return -1;
		at += b->o->segments[i].frames;
	}
	return add_pad(b);
}

/* ---- the plan ---- */

static int
add_all(struct build *b)
{
	if (add_outer(b) == -1 || (b->wide && add_ds64(b) == -1) || add_in_front(b) == -1 ||
	    add_audio(b) == -1 || add_behind(b) == -1)
		return -1;
	finish_outer(b);
	return 0;
}

static int
lay_out(struct build *b)
{
	b->wide = b->l->family == CHUNK_RF64;
	if (add_all(b) == -1)
		return -1;
	/* No chunk is larger than the whole. */
	if (!b->wide && b->l->family != CHUNK_W64 && b->c->pieces.size_bytes - 8 > MAX_32) {
		if (b->l->big_endian)
			return err_item(b->e, P_TOO_LARGE,
			    "the new file would have 4 GiB, and %s has no way to say that",
			    b->l->family == CHUNK_AIFF ? "AIFF" : "RIFX");
		pieces_free(&b->c->pieces);
		b->wide = true;
		if (add_all(b) == -1)
			return -1;
	}
	b->c->container = b->wide ? "rf64" : b->l->container;
	return 0;
}

static void
prepare_render(struct build *b)
{
	struct render *r = b->o->render;

	b->c->render = r;
	b->c->frame_bytes = b->format.frame_bytes;
	if (r != NULL) {
		r->format = b->format.sample;
		r->frames = b->c->frames;
	}
}

int
cut_plan(const struct cut_opts *o, struct cut *c, struct err *e)
{
	const struct segment *first = o->segments;
	struct build b = {.o = o, .c = c, .first = first, .l = first->layout, .e = e};
	struct carry what = {.segments = o->segments,
	    .n = o->n,
	    .history = o->history,
	    .changed = o->render != NULL};
	int rc = -1;

	*c = (struct cut){0};
	if (check_segments(&b) == -1)
		return -1;
	prepare_render(&b);
	what.rate_hz = b.format.rate_hz;
	if (carry(&what, &b.carried, e) == 0)
		rc = lay_out(&b);
	memcpy(c->dropped, b.carried.dropped, sizeof c->dropped);
	carry_free(&b.carried);
	return rc;
}

void
cut_free(struct cut *c)
{
	pieces_free(&c->pieces);
	*c = (struct cut){0};
}
