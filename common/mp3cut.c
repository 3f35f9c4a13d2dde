/*
 * Sources: ISO 11172-3 and 13818-3 (frame headers, main_data_begin), and the description of the
 * Xing and LAME tags at http://gabriel.mp3-tech.org/mp3infotag.html.
 *
 * Which sample is the decoder's first follows libmpg123: with a LAME tag it drops the encoder's
 * delay and 529 samples of its own at the beginning, and the padding without these 529 at the end;
 * without that tag it plays every frame whole. "Raw" samples below are counted before that.
 */
#include "mp3cut.h"

#include <stdlib.h>
#include <string.h>

#include "io.h"
#include "mem.h"

#define DECODER_DELAY 529
#define MAX_DELAY 4095
/* main_data_begin has 9 bits. */
#define MAX_RESERVOIR 511
#define MAX_FRAME 2881
/* The Xing tag with all its fields, and the LAME tag behind it. */
#define XING_LEN 120
#define LAME_LEN 36
#define TOC_LEN 100
#define WRITE_SIZE ((size_t)256 << 10)

/* A frame of the old stream. */
struct place {
	size_t run;
	uint64_t at, index; /* in the file; of the frames that are audio */
	struct mpeg_header h;
	unsigned char bytes[4];
	bool gap; /* bytes that are no audio lie before it */
};

struct mp3cut {
	struct source *s;
	int out_fd;
	struct err *e;
	const struct framing_id *id;
	struct mpeg_walk walk;
	unsigned char lame[LAME_LEN]; /* of the old file; zeros: it has none */
	unsigned char quality[4];     /* the same, of the Xing tag */
	uint64_t skip, total;	      /* raw samples dropped before the first; frames played */
	uint64_t raw_first, raw_end;  /* wanted */
	uint64_t start, last;	      /* frames that are copied */
	unsigned char reservoir[MAX_RESERVOIR];
	size_t n_reservoir, need; /* bytes there, and of these the ones the first frame asks for */
	bool silent;		  /* a frame without sound comes first */
	struct buf out;
	uint64_t written; /* bytes behind the tags in front, and the frames among them: */
	uint64_t n_frames, n_written;
	uint64_t toc[TOC_LEN];
	unsigned n_toc;
	unsigned char kind; /* the first frame's bit rate, as its header has it */
	bool vbr;
	uint16_t crc_table[256], crc;
	uint64_t info_at; /* in the new file */
	unsigned char info_header[4];
	unsigned info_len;
};

static uint32_t
be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void
put_be(unsigned char *p, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		p[i] = (unsigned char)(v >> (8 * (bytes - 1 - i)));
}

/* ---- what the decoder plays of the old file ---- */

/* The LAME tag behind the Xing tag, which has only the fields that its flags name. */
static bool
read_lame(struct mp3cut *c, const struct mpeg_header *h)
{
	unsigned char xing[8];
	uint64_t at = c->walk.info_offset + 4 + framing_mpeg_side(h);
	uint32_t flags;

	if (source_read(c->s, at, xing, sizeof xing) < sizeof xing ||
	    (memcmp(xing, "Xing", 4) != 0 && memcmp(xing, "Info", 4) != 0))
		return false;
	flags = be32(xing + 4);
	at += 8 + (flags & 1 ? 4 : 0) + (flags & 2 ? 4 : 0) + (flags & 4 ? TOC_LEN : 0) +
	      (flags & 8 ? 4 : 0);
	if (at + LAME_LEN > c->walk.info_offset + c->walk.info_len ||
	    source_read(c->s, at, c->lame, LAME_LEN) < LAME_LEN || c->lame[0] == 0) {
		memset(c->lame, 0, LAME_LEN);
		return false;
	}
	return !(flags & 8) || source_read(c->s, at - 4, c->quality, 4) == 4;
}

static void
find_gapless(struct mp3cut *c, const struct mpeg_header *h)
{
	const struct mpeg_walk *w = &c->walk;
	uint64_t end = w->frames * w->samples, told, padding;

	if (framing_mpeg_info_is_true(w) && read_lame(c, h)) {
		c->skip = ((uint64_t)c->lame[21] << 4 | c->lame[22] >> 4) + DECODER_DELAY;
		padding = (uint64_t)(c->lame[22] & 15) << 8 | c->lame[23];
		told = w->declared_frames * w->samples + DECODER_DELAY;
		told = told > padding ? told - padding : 0;
		end = told < end ? told : end;
	}
	c->total = end > c->skip ? end - c->skip : 0;
}

/* ---- the frames of the old file ---- */

/* What lies in front of the frame's main data: header, CRC, side information. */
static unsigned
overhead(const struct mpeg_header *h)
{
	unsigned n = 4 + (h->crc ? 2 : 0) + framing_mpeg_side(h);

	return n < h->len ? n : h->len;
}

/* Loads the frame at p->at, or the first of the next run; false behind the last. */
static bool
load(struct mp3cut *c, struct place *p)
{
	const struct mpeg_walk *w = &c->walk;

	p->gap = false;
	for (;;) {
		if (p->run >= w->n_runs)
			return false;
		if (p->at >= w->runs[p->run].offset + w->runs[p->run].len) {
			if (++p->run < w->n_runs)
				p->at = w->runs[p->run].offset;
			p->gap = true;
			continue;
		}
		if (source_read(c->s, p->at, p->bytes, 4) < 4 ||
		    !framing_mpeg_header(p->bytes, &p->h))
			return false;
		if (!w->declared || p->at != w->info_offset)
			return true;
		p->at += p->h.len;
	}
}

static bool
first_place(struct mp3cut *c, struct place *p)
{
	*p = (struct place){.at = c->walk.n_runs > 0 ? c->walk.runs[0].offset : 0};
	return load(c, p);
}

static bool
next_place(struct mp3cut *c, struct place *p)
{
	p->at += p->h.len;
	p->index++;
	return load(c, p);
}

/* Why frames that the walk has seen are not there. */
static int
vanished(struct mp3cut *c)
{
	if (source_failed(c->s, c->e))
		return -1;
	return err_item(c->e, P_MODIFIED, "changed while it was read");
}

/* ---- the reservoir ---- */

/* Adds the end of a frame's main data to what is kept of those before it. */
static int
keep_reservoir(struct mp3cut *c, const struct place *p)
{
	unsigned head = overhead(&p->h);
	size_t add = p->h.len - head < MAX_RESERVOIR ? p->h.len - head : MAX_RESERVOIR;
	size_t old = c->n_reservoir + add > MAX_RESERVOIR ? MAX_RESERVOIR - add : c->n_reservoir;

	memmove(c->reservoir, c->reservoir + c->n_reservoir - old, old);
	c->n_reservoir = old + add;
	if (source_read(c->s, p->at + p->h.len - add, c->reservoir + old, add) < add)
		return vanished(c);
	return 0;
}

/* main_data_begin is first in the side information: 9 bits, of MPEG-2 and 2.5 eight. */
static int
read_need(struct mp3cut *c, const struct place *p)
{
	unsigned char b[2];

	if (source_read(c->s, p->at + 4 + (p->h.crc ? 2 : 0), b, 2) < 2)
		return vanished(c);
	c->need = p->h.version == 3 ? (size_t)b[0] << 1 | b[1] >> 7 : b[0];
	return 0;
}

/*
 * Leaves *p at the first frame that is copied. Where its reservoir was not in the old file either,
 * everything from there on is what the decoder makes of it, and only the same beginning gives the
 * same.
 */
static int
find_start(struct mp3cut *c, struct place *p)
{
	bool there = first_place(c, p);
	bool layer3 = c->walk.layer == 3;

	for (; there && p->index < c->start; there = next_place(c, p))
		if (layer3 && keep_reservoir(c, p) == -1)
			return -1;
	if (!there)
		return vanished(c);
	if (!layer3)
		return 0;
	if (read_need(c, p) == -1)
		return -1;
	if (c->need > c->n_reservoir) {
		c->start = c->need = 0;
		if (!first_place(c, p))
			return vanished(c);
	}
	c->silent = c->need > 0 || c->raw_first - c->start * c->walk.samples < DECODER_DELAY;
	return 0;
}

/* ---- the new file ---- */

static int
flush(struct mp3cut *c)
{
	int rc = c->out.len > 0 ? io_write(c->out_fd, c->out.data, c->out.len, c->e) : 0;

	buf_clear(&c->out);
	return rc;
}

static int
put(struct mp3cut *c, const unsigned char *p, size_t len)
{
	if (buf_add(&c->out, p, len, c->e) == -1)
		return -1;
	return c->out.len >= WRITE_SIZE ? flush(c) : 0;
}

/* Tags, byte for byte. */
static int
copy(struct mp3cut *c, uint64_t from, uint64_t to)
{
	unsigned char block[16384];

	while (from < to) {
		size_t n = to - from < sizeof block ? (size_t)(to - from) : sizeof block;

		if (source_read(c->s, from, block, n) < n)
			return vanished(c);
		if (put(c, block, n) == -1)
			return -1;
		from += n;
	}
	return 0;
}

/* CRC-16 of the LAME tag: polynomial 0x8005, bits reversed, from 0. */
static void
crc_table(struct mp3cut *c)
{
	for (unsigned i = 0; i < 256; i++) {
		unsigned r = i;

		for (int k = 0; k < 8; k++)
			r = r & 1 ? r >> 1 ^ 0xa001 : r >> 1;
		c->crc_table[i] = (uint16_t)r;
	}
}

static uint16_t
crc16(const struct mp3cut *c, uint16_t crc, const unsigned char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		crc = (uint16_t)(crc >> 8 ^ c->crc_table[(crc ^ p[i]) & 0xff]);
	return crc;
}

static int
put_frame(struct mp3cut *c, const unsigned char *p, size_t len)
{
	while (c->n_toc < TOC_LEN && c->n_toc * c->n_frames / TOC_LEN <= c->n_written)
		c->toc[c->n_toc++] = c->written;
	c->crc = crc16(c, c->crc, p, len);
	c->written += len;
	c->n_written++;
	return put(c, p, len);
}

/* The header of a frame without CRC or padding, like those of the stream, of the lowest bit rate
 * that gives `room` bytes behind the side information. Its length, or 0. */
static unsigned
make_header(const struct place *like, size_t room, unsigned char out[4])
{
	struct mpeg_header h;

	memcpy(out, like->bytes, 4);
	out[1] |= 1;
	for (unsigned rate = 1; rate < 15; rate++) {
		/* The private bit goes, and the extension of joint stereo. */
		out[2] = (unsigned char)(rate << 4 | (like->bytes[2] & 0x0c));
		out[3] = like->bytes[3] & 0xcf;
		if (framing_mpeg_header(out, &h) && h.len >= overhead(&h) + room)
			return h.len;
	}
	return 0;
}

/* No side information is no sound; the reservoir is what ends its main data. */
static int
put_silent(struct mp3cut *c, const struct place *like)
{
	unsigned char frame[MAX_FRAME] = {0};
	unsigned len = make_header(like, c->need, frame);

	if (len == 0 || len > sizeof frame)
		return err_item(c->e, P_UNSUPPORTED, "no frame of its kind holds the reservoir");
	memcpy(frame + len - c->need, c->reservoir + c->n_reservoir - c->need, c->need);
	return put_frame(c, frame, len);
}

static int
put_frames(struct mp3cut *c, struct place *p)
{
	unsigned char frame[MAX_FRAME];
	bool there = true;

	c->kind = p->bytes[2] >> 4;
	for (; there && p->index <= c->last; there = next_place(c, p)) {
		if (p->gap && p->index > c->start)
			return err_item(c->e, P_DECODE_ERROR,
			    "damaged before byte %llu: what lies there is no audio",
			    (unsigned long long)p->at);
		c->vbr |= p->bytes[2] >> 4 != c->kind;
		if (p->h.len > sizeof frame || source_read(c->s, p->at, frame, p->h.len) < p->h.len)
			return vanished(c);
		if (put_frame(c, frame, p->h.len) == -1)
			return -1;
	}
	return p->index > c->last ? 0 : vanished(c);
}

/* ---- the info frame ---- */

/* Room for it: it is written when all is known. */
static int
put_info_room(struct mp3cut *c, const struct place *like)
{
	static const unsigned char zeros[MAX_FRAME];

	c->info_at = c->id->begin;
	c->info_len = make_header(like, XING_LEN + LAME_LEN, c->info_header);
	if (c->info_len == 0 || c->info_len > sizeof zeros)
		return err_item(c->e, P_UNSUPPORTED, "no frame of its kind holds an info tag");
	c->written = c->info_len;
	return put(c, zeros, c->info_len);
}

/*
 * Of the old tag stays what is true of every part: the encoder, its method and settings. Peak and
 * gains were measured over the whole, and are left unknown. Decoders believe the delay only below
 * a name they know.
 */
static void
make_lame(struct mp3cut *c, unsigned char *p, unsigned delay, unsigned padding)
{
	memcpy(p, c->lame, LAME_LEN);
	if (memcmp(p, "LAME", 4) != 0 && memcmp(p, "Lavf", 4) != 0 && memcmp(p, "Lavc", 4) != 0)
		memcpy(p, "LAME     ", 9);
	memset(p + 11, 0, 8);
	put_be(p + 21, (uint64_t)delay << 12 | padding, 3);
	put_be(p + 28, c->written, 4);
	put_be(p + 32, c->crc, 2);
}

static void
make_xing(const struct mp3cut *c, unsigned char *p)
{
	/* The silent frame does not count: seeking by a constant rate misses by less than its
	 * length. */
	memcpy(p, c->vbr ? "Xing" : "Info", 4);
	/* All fields are there: some look for the LAME tag at its usual place. */
	put_be(p + 4, 15, 4);
	put_be(p + 8, c->n_frames, 4);
	put_be(p + 12, c->written, 4);
	for (unsigned i = 0; i < TOC_LEN; i++)
		p[16 + i] = (unsigned char)(c->toc[i] * 256 / c->written);
	memcpy(p + 16 + TOC_LEN, c->quality, 4);
}

static int
put_info(struct mp3cut *c, unsigned delay, unsigned padding)
{
	unsigned char frame[MAX_FRAME] = {0};
	struct mpeg_header h;
	unsigned char *xing;

	memcpy(frame, c->info_header, 4);
	framing_mpeg_header(frame, &h);
	xing = frame + overhead(&h);
	make_xing(c, xing);
	make_lame(c, xing + XING_LEN, delay, padding);
	put_be(xing + XING_LEN + LAME_LEN - 2,
	    crc16(c, 0, frame, (size_t)(xing - frame) + XING_LEN + LAME_LEN - 2), 2);
	return io_pwrite(c->out_fd, frame, c->info_len, c->info_at, NULL, c->e);
}

/* ---- one cut ---- */

static int
plan(struct mp3cut *c, uint64_t first, uint64_t frames)
{
	const struct mpeg_walk *w = &c->walk;
	/* A frame's sound reaches into the next one (layer III), and the synthesis filter remembers
	 * 480 samples: what is that far before the first frame is decoded and not played. */
	unsigned before = w->layer != 3 ? 0 : w->samples > 576 ? 1 : 2;

	if (first >= c->total)
		return err_item(c->e, P_DECODE_ERROR,
		    "has %llu frames: the wanted ones begin behind its end",
		    (unsigned long long)c->total);
	if (frames > c->total - first)
		frames = c->total - first;
	c->raw_first = c->skip + first;
	c->raw_end = c->raw_first + frames;
	c->start = c->raw_first / w->samples;
	c->start -= c->start < before ? c->start : before;
	c->last = (c->raw_end - 1) / w->samples;
	return 0;
}

static int
write_layer3(struct mp3cut *c, struct place *p, uint64_t *first, uint64_t *frames)
{
	uint64_t samples = c->walk.samples, early = 0, before, behind;

	c->n_frames = c->last - c->start + 1 + c->silent;
	if (put_info_room(c, p) == -1 || (c->silent && put_silent(c, p) == -1) ||
	    put_frames(c, p) == -1 || copy(c, c->id->end, source_size(c->s)) == -1 ||
	    flush(c) == -1)
		return -1;
	before = c->raw_first + c->silent * samples - c->start * samples - DECODER_DELAY;
	behind = (c->last + 1) * samples - c->raw_end + DECODER_DELAY;
	if (before > MAX_DELAY)
		early = before - MAX_DELAY;
	*first = c->raw_first - c->skip;
	*first -= early < *first ? early : *first;
	*frames = c->raw_end - c->raw_first + early;
	return put_info(c, (unsigned)(before - early), (unsigned)behind);
}

static int
write_whole_frames(struct mp3cut *c, struct place *p, uint64_t *first, uint64_t *frames)
{
	c->n_frames = c->last - c->start + 1;
	*first = c->start * c->walk.samples;
	*frames = c->n_frames * c->walk.samples;
	if (put_frames(c, p) == -1 || copy(c, c->id->end, source_size(c->s)) == -1)
		return -1;
	return flush(c);
}

static int
cut(struct mp3cut *c, uint64_t *first, uint64_t *frames)
{
	struct place p;

	if (framing_mpeg(c->s, c->id->begin, c->id->end, true, &c->walk, c->e) == -1)
		return -1;
	if (source_failed(c->s, c->e))
		return -1;
	if (!first_place(c, &p))
		return err_item(c->e, P_DECODE_ERROR, "has no frame of MPEG audio");
	find_gapless(c, &p.h);
	if (plan(c, *first, *frames) == -1 || find_start(c, &p) == -1 ||
	    copy(c, 0, c->id->begin) == -1)
		return -1;
	return (c->walk.layer == 3 ? write_layer3 : write_whole_frames)(c, &p, first, frames);
}

int
mp3cut_write(struct source *s, const struct framing_id *id, uint64_t *first, uint64_t *frames,
    int out_fd, struct err *e)
{
	struct mp3cut *c = mem_new(1, sizeof *c, e);
	int rc;

	if (c == NULL)
		return -1;
	c->s = s;
	c->id = id;
	c->out_fd = out_fd;
	c->e = e;
	crc_table(c);
	rc = cut(c, first, frames);
	framing_mpeg_free(&c->walk);
	buf_free(&c->out);
	free(c);
	return rc;
}
