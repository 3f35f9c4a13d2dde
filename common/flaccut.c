/*
 * work_run gives the threads: one decodes, one applies gain and fades, the caller's encodes. The
 * encoder writes behind the room that the metadata will need, so that no frame is moved, and the
 * metadata, of which only the seek table depends on the frames, is written last.
 *
 * The decoder sees nothing of the old file but STREAMINFO and the frames: no length of a block and
 * no seek table that lies. The count of samples is that of the last frame's header, and a bit more,
 * so that it neither ends the decoding early nor misleads the search for a frame.
 */
#include "flaccut.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "content.h"
#include "decoder.h"
#include "flacmeta.h"
#include "hash.h"
#include "mem.h"
#include "sfwriter.h"
#include "source.h"
#include "work.h"

#define DEFAULT_LEVEL 5
/* A last frame of less than 16 bytes is not seen by framing_flac_last: no frame is longer. */
#define MAX_FRAME 65536
/* STREAMINFO counts with 36 bits. */
#define MAX_COUNT ((UINT64_C(1) << 36) - 1)

/* An old file, or the new one when it is read back. */
struct flac {
	unsigned number; /* for people */
	struct source *source;
	struct facts facts;
	struct content content;
	struct flacmeta *meta;
	struct decoder *decoder;
	bool numbered;	   /* frames can be found by their numbers */
	uint64_t told_pos; /* in the view; of bytes_done */
};

struct block {
	size_t frames;
	uint64_t first; /* of the new file */
	int samples[];
};

struct job {
	struct flaccut *c;
	struct decoder_format format;
	struct flacmeta_piece *pieces; /* of the first file */
	uint64_t frames;	       /* of the new file */
	struct flac first;	       /* stays open for its metadata */
	/* Of the thread that decodes. */
	struct flac other;
	struct flac *now;
	unsigned next; /* the segment that is not begun */
	uint64_t end;  /* of the one that is, in its file */
	uint64_t made;
	union decoder_block *decoded;
	/* Of the thread that encodes. */
	int out_fd;
	struct sfwriter *writer;
	struct hash *fed;
	uint64_t header_bytes; /* of the encoder; 0 before its first frame */
	unsigned block;	       /* frames */
	uint64_t encoded;
};

/* ---- files ---- */

static void
flac_close(struct flac *f)
{
	decoder_close(f->decoder);
	flacmeta_close(f->meta);
	content_close(&f->content);
	source_close(f->source);
	*f = (struct flac){0};
}

/* RFC 9639 section 8.2: the body of STREAMINFO, without sizes of frames and MD5. */
static void
set_count(unsigned char info[34], uint64_t frames)
{
	memset(info + 4, 0, 6);
	memset(info + 18, 0, 16);
	info[13] = (unsigned char)((info[13] & 0xf0) | frames >> 32);
	for (int i = 0; i < 4; i++)
		info[14 + i] = (unsigned char)(frames >> (8 * (3 - i)));
}

static int
make_view(struct flac *f, struct err *e)
{
	const struct flac_info *info = &f->content.flac;
	struct view *v = &f->content.view;
	unsigned char head[42] = {'f', 'L', 'a', 'C', 0x80, 0, 0, 34};
	uint64_t end = f->content.id.end, count = info->frames, last;
	unsigned len;

	if (source_read(f->source, info->info_offset, head + 8, 34) != 34)
		return 0;
	if (end > info->audio_offset && framing_flac_last(f->source, info, end, &last, &len) == 1)
		count = last + len + MAX_FRAME;
	set_count(head + 8, count < MAX_COUNT ? count : 0);
	view_clear(v);
	if (view_add_bytes(v, head, sizeof head, e) == -1)
		return -1;
	return view_add_file(v, info->audio_offset, end - info->audio_offset, e);
}

static int
look(struct flac *f, int fd, struct err *e)
{
	struct content *c = &f->content;

	if (content_look(c, fd, e) == -1)
		return -1;
	if (source_failed(f->source, e))
		return -1;
	if (c->id.format != FRAMING_FLAC || f->facts.flac == NULL)
		return err_item(e, P_NOT_AUDIO, "file %u is no FLAC file", f->number);
	if (!c->flac.there)
		return err_item(e, P_NOT_AUDIO, "file %u has no STREAMINFO block", f->number);
	if (c->flac.bits != 8 && c->flac.bits != 16 && c->flac.bits != 24)
		return err_item(e, P_UNSUPPORTED,
		    "file %u has %u bits a sample; FLAC of 8, 16 and 24 bits can be cut", f->number,
		    c->flac.bits);
	f->meta = flacmeta_read(f->source, c->id.begin, c->id.end, &c->flac, e);
	if (f->meta == NULL)
		return -1;
	if (c->id.begin > 0)
		flacmeta_drop(f->meta, "the ID3v2 tag");
	if (c->id.end < f->facts.size_bytes)
		flacmeta_drop(f->meta, "the tag behind the audio");
	f->numbered = flacmeta_is_numbered(f->source, c->id.end, &c->flac);
	return make_view(f, e);
}

/* Frames are sought in both directions: the source is not asked to count bytes. */
static int
flac_open(struct flac *f, int fd, unsigned number, const atomic_int *stop, struct err *e)
{
	struct stat st;

	f->number = number;
	if (fstat(fd, &st) == -1)
		return err_sys(e, "file %u", number);
	f->facts.size_bytes = (uint64_t)st.st_size;
	f->facts.quick = true;
	f->source = source_open(fd, f->facts.size_bytes, 0, stop, NULL, e);
	if (f->source == NULL)
		return -1;
	f->content = (struct content){.source = f->source, .facts = &f->facts};
	if (look(f, fd, e) == -1 || (f->decoder = decoder_open(&f->content, e)) == NULL)
		return -1;
	if (source_failed(f->source, e))
		return -1;
	if (!f->facts.opened)
		return err_item(e, P_NOT_AUDIO, "file %u: %s", number,
		    f->facts.open_error != NULL ? f->facts.open_error : "nothing to decode");
	return 0;
}

/* What kept a file from giving its frames up to `end`. */
static int
undecodable(struct flac *f, uint64_t end, struct err *e)
{
	const struct facts *facts = &f->facts;

	if (source_failed(f->source, e))
		return -1;
	if (facts->decode_error != NULL)
		return err_item(e, P_DECODE_ERROR, "file %u, at frame %lld: %s", f->number,
		    (long long)facts->error_frame, facts->decode_error);
	return err_item(e, P_DECODE_ERROR, "file %u ends at frame %lld, before frame %llu",
	    f->number, (long long)facts->frames, (unsigned long long)end);
}

static int
seek(struct flac *f, uint64_t frame, struct err *e)
{
	int r = f->numbered ? decoder_seek(f->decoder, frame) : decoder_skip_to(f->decoder, frame);

	if (r == 0)
		return 0;
	if (source_failed(f->source, e))
		return -1;
	return err_item(e, P_DECODE_ERROR, "file %u: frame %llu is not there, or behind damage",
	    f->number, (unsigned long long)frame);
}

/* ---- what is wanted ---- */

static int
check_alike(const struct job *j, const struct flac *f, struct err *e)
{
	const struct decoder_format *a = &j->format, *b = decoder_format(f->decoder);

	if (a->rate_hz != b->rate_hz)
		return err_item(e, P_UNSUPPORTED, "file %u has %u Hz, file 1 %u Hz", f->number,
		    b->rate_hz, a->rate_hz);
	if (a->channels != b->channels)
		return err_item(e, P_UNSUPPORTED, "file %u has %u channels, file 1 %u", f->number,
		    b->channels, a->channels);
	if (a->bits != b->bits)
		return err_item(e, P_UNSUPPORTED, "file %u has %u bits a sample, file 1 %u",
		    f->number, b->bits, a->bits);
	return 0;
}

/* As people count: files, not segments. */
static unsigned
file_number(const struct flaccut_segment *s, unsigned i)
{
	unsigned number = 1, known;

	for (unsigned k = 1; k <= i; k++) {
		for (known = 0; known < k && s[known].fd != s[k].fd; known++)
			;
		number += known == k;
	}
	return number;
}

static int
open_segment(struct job *j, unsigned i, struct flac **f, struct err *e)
{
	const struct flaccut_segment *s = j->c->segments;

	*f = &j->first;
	if (s[i].fd == s[0].fd)
		return 0;
	*f = &j->other;
	flac_close(&j->other);
	if (flac_open(&j->other, s[i].fd, file_number(s, i), j->c->stop, e) == -1)
		return -1;
	return check_alike(j, &j->other, e);
}

/* All files are looked at before the first frame is encoded. */
static int
check_segments(struct job *j, struct err *e)
{
	const struct flaccut_segment *s = j->c->segments;
	struct flac *f;
	size_t n = 0;

	for (unsigned i = 0; i < j->c->n; i++) {
		if (open_segment(j, i, &f, e) == -1)
			return -1;
		if (s[i].fd == s[0].fd)
			j->pieces[n++] = (struct flacmeta_piece){
			    .first = s[i].first, .frames = s[i].frames, .at = j->frames};
		if (!mem_add(j->frames, s[i].frames, &j->frames) || j->frames > MAX_COUNT)
			return err_item(
			    e, P_UNSUPPORTED, "the new file would be longer than FLAC allows");
	}
	/* libsndfile writes no header before the first frame. */
	if (j->frames == 0)
		return err_item(e, P_EMPTY, "the new file would have no frames");
	return flacmeta_cut(j->first.meta, j->pieces, n, j->frames, j->format.rate_hz, e);
}

/* ---- decoding ---- */

/* 1 with a segment begun, 0 after the last one. */
static int
next_segment(struct job *j, struct err *e)
{
	const struct flaccut_segment *s = j->c->segments + j->next;

	if (j->next == j->c->n)
		return 0;
	if (open_segment(j, j->next, &j->now, e) == -1 || seek(j->now, s->first, e) == -1)
		return -1;
	j->next++;
	j->end = s->first + s->frames;
	j->now->told_pos = j->now->content.view.pos;
	return 1;
}

static void
tell_bytes(struct job *j)
{
	struct flac *f = j->now;
	uint64_t pos = f->content.view.pos;

	if (j->c->bytes_done != NULL && pos > f->told_pos)
		atomic_fetch_add_explicit(
		    j->c->bytes_done, pos - f->told_pos, memory_order_relaxed);
	f->told_pos = pos;
}

/* A decoder that gives more bits than STREAMINFO promised would lose them in the encoder. */
static bool
has_more_bits(const int *v, size_t n, unsigned bits)
{
	unsigned seen = 0;

	for (size_t i = 0; i < n; i++)
		seen |= (unsigned)v[i];
	return (seen & ((1u << (32 - bits)) - 1)) != 0;
}

/* The next block of the segment: 1, or -1. */
static int
decode_block(struct job *j, void **item, struct err *e)
{
	struct flac *f = j->now;
	uint64_t from = (uint64_t)f->facts.frames;
	size_t n = decoder_read(f->decoder, DECODER_INT, j->decoded), samples;
	struct block *b;

	if (n == 0 || (f->facts.decode_error != NULL && (uint64_t)f->facts.error_frame < j->end))
		return undecodable(f, j->end, e);
	n = j->end - from < n ? (size_t)(j->end - from) : n;
	samples = n * j->format.channels;
	if (has_more_bits(j->decoded->i, samples, j->format.bits))
		return err_item(e, P_DECODE_ERROR,
		    "file %u: frames have more bits than the header tells", f->number);
	if ((b = mem_new(1, sizeof *b + samples * sizeof *b->samples, e)) == NULL)
		return -1;
	b->frames = n;
	b->first = j->made;
	memcpy(b->samples, j->decoded->i, samples * sizeof *b->samples);
	j->made += n;
	tell_bytes(j);
	*item = b;
	return 1;
}

static int
next_block(void *ctx, void **item, struct err *e)
{
	struct job *j = ctx;
	int r;

	while (j->now == NULL || (uint64_t)j->now->facts.frames >= j->end)
		if ((r = next_segment(j, e)) != 1)
			return r;
	return decode_block(j, item, e);
}

static void
render_block(void *ctx, void *item)
{
	struct job *j = ctx;
	struct block *b = item;

	if (j->c->render != NULL)
		render_ints(j->c->render, b->samples, j->format.bits, b->first, b->frames);
}

/* ---- encoding ---- */

static int
encode_block(void *ctx, void *item, struct err *e)
{
	struct job *j = ctx;
	struct block *b = item;
	int rc = sfwriter_write_ints(j->writer, b->samples, b->frames, e);

	if (j->fed != NULL)
		hash_update(
		    j->fed, b->samples, b->frames * j->format.channels * sizeof *b->samples);
	free(b);
	return rc;
}

static void
drop_block(void *ctx, void *item)
{
	(void)ctx;
	free(item);
}

/* The frames a block of the stream whose header was just written; 0 when that cannot be told. */
static unsigned
block_frames(const struct job *j, uint64_t header_bytes)
{
	uint64_t begin = flacmeta_reserve(j->first.meta), end = begin + header_bytes;
	struct flac_info info = {0};
	struct err ignored;
	struct source *s = source_open(j->out_fd, end, 0, NULL, NULL, &ignored);

	if (s != NULL)
		framing_flac(s, begin, end, &info);
	source_close(s);
	return info.block;
}

/* Frames come in order, and all but the last one are blocks of the same length. */
static void
frame_written(void *ctx, uint64_t at, const unsigned char *p, size_t len)
{
	struct job *j = ctx;
	uint64_t left = j->frames - j->encoded;
	unsigned n;

	(void)p;
	(void)len;
	if (j->header_bytes == 0) {
		j->header_bytes = at;
		j->block = block_frames(j, at);
	}
	n = left < j->block ? (unsigned)left : j->block;
	flacmeta_frame(j->first.meta, j->encoded, n, at - j->header_bytes);
	j->encoded += n;
}

static int
open_writer(struct job *j, struct err *e)
{
	const struct decoder_format *f = &j->format;
	int level = j->c->level == -1 ? DEFAULT_LEVEL : j->c->level;
	struct sfwriter_flac flac = {.level = level,
	    .offset_bytes = flacmeta_reserve(j->first.meta),
	    .frame = frame_written,
	    .ctx = j};
	struct sfwriter_opts o = {.codec = SFWRITER_FLAC,
	    .rate_hz = f->rate_hz,
	    .channels = f->channels,
	    .kept = {.bits = f->bits},
	    .flac = &flac};

	/* libFLAC refuses rates that its streamable subset cannot tell in the frames. */
	if (sfwriter_check(&o, e) == -1 || (f->rate_hz > 65535 && f->rate_hz % 10 != 0))
		return err_item(e, P_UNSUPPORTED, "FLAC of %u Hz cannot be written", f->rate_hz);
	j->writer = sfwriter_open(j->out_fd, &o, e);
	return j->writer == NULL ? -1 : 0;
}

static int
encode(struct job *j, struct err *e)
{
	struct work w = {.next = next_block,
	    .work = render_block,
	    .done = encode_block,
	    .drop = drop_block,
	    .ctx = j,
	    .jobs = 1,
	    .stop = j->c->stop};

	if (open_writer(j, e) == -1 || work_run(&w, e) == -1 || sfwriter_finish(j->writer, e) == -1)
		return -1;
	return flacmeta_write(j->first.meta, j->out_fd, j->header_bytes, e);
}

/* ---- reading back ---- */

static int
hash_frames(struct job *j, struct flac *f, struct hash *h)
{
	size_t n;

	while ((n = decoder_read(f->decoder, DECODER_INT, j->decoded)) > 0)
		hash_update(h, j->decoded->i, n * j->format.channels * sizeof j->decoded->i[0]);
	return f->facts.decode_error == NULL && (uint64_t)f->facts.frames == j->frames ? 0 : -1;
}

static int
verify(struct job *j, struct err *e)
{
	struct flac f = {0};
	struct hash *h = hash_open(HASH_XXH3_128, e);
	char fed[HASH_XXH3_128_HEX], got[HASH_XXH3_128_HEX];
	int rc = -1;

	if (h == NULL || flac_open(&f, j->out_fd, 1, j->c->stop, e) == -1)
		goto out;
	rc = hash_frames(j, &f, h);
	hash_xxh3_128(j->fed, fed);
	hash_xxh3_128(h, got);
	if (source_failed(f.source, e))
		rc = -1;
	else if (rc == -1 || strcmp(fed, got) != 0)
		rc = err_set(
		    e, ERR_SYSTEM, NULL, "the new file does not decode to what was encoded");
out:
	if (rc == -1 && e->class == ERR_ITEM)
		e->class = ERR_SYSTEM;
	flac_close(&f);
	hash_close(h);
	return rc;
}

/* ---- all of it ---- */

static int
prepare(struct job *j, struct err *e)
{
	struct flaccut *c = j->c;

	j->pieces = mem_new(c->n, sizeof *j->pieces, e);
	j->decoded = mem_new(1, sizeof *j->decoded, e);
	if (j->pieces == NULL || j->decoded == NULL ||
	    (c->verify && (j->fed = hash_open(HASH_XXH3_128, e)) == NULL) ||
	    flac_open(&j->first, c->segments[0].fd, 1, c->stop, e) == -1)
		return -1;
	j->format = *decoder_format(j->first.decoder);
	if (c->render != NULL)
		c->render->format.channels = j->format.channels;
	return check_segments(j, e);
}

static void
job_close(struct job *j)
{
	sfwriter_free(j->writer);
	hash_close(j->fed);
	flac_close(&j->first);
	flac_close(&j->other);
	free(j->pieces);
	free(j->decoded);
}

int
flaccut_write(struct flaccut *c, int out_fd, struct err *e)
{
	struct job j = {.c = c, .out_fd = out_fd};
	int rc = -1;

	c->dropped[0] = '\0';
	if (prepare(&j, e) == 0 && encode(&j, e) == 0 && (!c->verify || verify(&j, e) == 0)) {
		snprintf(c->dropped, sizeof c->dropped, "%s", flacmeta_dropped(j.first.meta));
		rc = 0;
	}
	job_close(&j);
	return rc;
}
