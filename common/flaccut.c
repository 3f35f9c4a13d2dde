/*
 * work_run gives the threads: one decodes and applies gain and fades, several encode, the caller's
 * writes. A frame of FLAC depends on no other: what is encoded is cut into stretches of whole
 * frames, each the beginning of a stream of its own, and of its frames nothing but the number is
 * changed. They are those that one encoder would give. What was encoded is decoded again where it
 * was, with its new numbers. The frames are written behind the room that the metadata will need, so
 * that none is moved, and the metadata, of which only the seek table depends on the frames, is
 * written last.
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
#include <unistd.h>

#include "content.h"
#include "decoder.h"
#include "flacframes.h"
#include "flacmeta.h"
#include "hash.h"
#include "io.h"
#include "mem.h"
#include "sfwriter.h"
#include "source.h"
#include "work.h"

#define DEFAULT_LEVEL 5
/* A last frame of less than 16 bytes is not seen by framing_flac_last: no frame is longer. */
#define MAX_FRAME 65536
/* STREAMINFO counts with 36 bits. */
#define MAX_COUNT ((UINT64_C(1) << 36) - 1)
#define MAX_ENCODERS 4

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

struct job {
	struct flaccut *c;
	struct decoder_format format;
	struct flacmeta_piece *pieces; /* of the first file */
	uint64_t frames;	       /* of the new file */
	struct flac first;	       /* stays open for its metadata */
	struct sfwriter_opts opts;
	struct sfwriter_flac flac;
	uint64_t header_bytes; /* of the encoder's stream */
	unsigned char info[FLACFRAMES_INFO_BYTES];
	unsigned block; /* frames */
	size_t stretch; /* frames */
	/* Of the thread that decodes. */
	struct flac other;
	struct flac *now;
	unsigned next; /* the segment that is not begun */
	uint64_t end;  /* of the one that is, in its file */
	uint64_t made;
	union decoder_block *decoded;
	size_t left, used; /* of its frames */
	struct hash *md5;
	unsigned char *packed; /* a stretch as MD5 sees it */
	/* Of the thread that writes. */
	int out_fd;
	uint64_t encoded, bytes; /* behind the header */
	size_t min_frame, max_frame;
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
	flacframes_set_count(head + 8, count < MAX_COUNT ? count : 0);
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

/* The next block of the segment. */
static int
decode_block(struct job *j, struct err *e)
{
	struct flac *f = j->now;
	uint64_t from = (uint64_t)f->facts.frames;
	size_t n = decoder_read(f->decoder, DECODER_INT, j->decoded);

	if (n == 0 || (f->facts.decode_error != NULL && (uint64_t)f->facts.error_frame < j->end))
		return undecodable(f, j->end, e);
	n = j->end - from < n ? (size_t)(j->end - from) : n;
	if (has_more_bits(j->decoded->i, n * j->format.channels, j->format.bits))
		return err_item(e, P_DECODE_ERROR,
		    "file %u: frames have more bits than the header tells", f->number);
	j->left = n;
	j->used = 0;
	tell_bytes(j);
	return 0;
}

/* As many frames as are still wanted: 0, also at the end of all segments; or -1. */
static int
fill(struct job *j, struct flacframes *s, struct err *e)
{
	const unsigned channels = j->format.channels;

	while (s->frames < j->stretch) {
		size_t n = j->stretch - s->frames;
		int r;

		if (j->left == 0) {
			while (j->now == NULL || (uint64_t)j->now->facts.frames >= j->end)
				if ((r = next_segment(j, e)) != 1)
					return r;
			if (decode_block(j, e) == -1)
				return -1;
		}
		n = n < j->left ? n : j->left;
		memcpy(s->samples + s->frames * channels, j->decoded->i + j->used * channels,
		    n * channels * sizeof *s->samples);
		s->frames += n;
		j->used += n;
		j->left -= n;
	}
	return 0;
}

/* STREAMINFO's MD5 is that of the samples in as few bytes as hold them, the lowest first. */
static void
add_to_md5(struct job *j, const struct flacframes *s)
{
	const size_t n = s->frames * j->format.channels;
	const unsigned bytes = j->format.bits / 8, low = 32 - j->format.bits;
	unsigned char *p = j->packed;

	for (size_t i = 0; i < n; i++) {
		unsigned v = (unsigned)s->samples[i] >> low;

		for (unsigned k = 0; k < bytes; k++, v >>= 8)
			*p++ = (unsigned char)v;
	}
	hash_update(j->md5, j->packed, n * bytes);
}

static int
next_stretch(void *ctx, void **item, struct err *e)
{
	struct job *j = ctx;
	struct flacframes *s = mem_new(1, sizeof *s, e);

	if (s == NULL ||
	    (s->samples = mem_new(j->stretch * j->format.channels, sizeof *s->samples, e)) ==
		NULL ||
	    fill(j, s, e) == -1) {
		flacframes_free(s);
		return -1;
	}
	if (s->frames == 0) {
		flacframes_free(s);
		return 0;
	}
	s->first = j->made;
	j->made += s->frames;
	if (j->c->render != NULL)
		render_ints(j->c->render, s->samples, j->format.bits, s->first, s->frames);
	add_to_md5(j, s);
	*item = s;
	return 1;
}

/* ---- encoding ---- */

static void
encode_stretch(void *ctx, void *item)
{
	struct job *j = ctx;
	struct flacframes *s = item;

	flacframes_encode(s, &(struct flacframes_opts){.encoder = &j->opts,
				 .level = j->flac.level,
				 .block = j->block,
				 .info = j->info,
				 .verify = j->c->verify,
				 .stop = j->c->stop});
}

/* Frames come in order, and all but the last one are blocks of the same length. */
static int
write_stretch(void *ctx, void *item, struct err *e)
{
	struct job *j = ctx;
	struct flacframes *s = item;
	uint64_t at = flacmeta_reserve(j->first.meta) + j->header_bytes + j->bytes;
	size_t begin = 0;
	int rc = -1;

	if (s->e.class != ERR_NONE)
		*e = s->e;
	else
		rc = io_pwrite(j->out_fd, s->bytes, s->len, at, NULL, e) == -1 ? -1 : 0;
	for (unsigned i = 0; rc == 0 && i < s->n; begin = s->ends[i++]) {
		uint64_t left = j->frames - j->encoded;
		unsigned n = left < j->block ? (unsigned)left : j->block;
		size_t len = s->ends[i] - begin;

		flacmeta_frame(j->first.meta, j->encoded, n, j->bytes + begin);
		j->encoded += n;
		j->min_frame = j->min_frame == 0 || len < j->min_frame ? len : j->min_frame;
		j->max_frame = len > j->max_frame ? len : j->max_frame;
	}
	j->bytes += s->len;
	flacframes_free(s);
	return rc;
}

static void
drop_stretch(void *ctx, void *item)
{
	(void)ctx;
	flacframes_free(item);
}

/* ---- the header of the encoder ---- */

static void
first_frame(void *ctx, uint64_t at, const unsigned char *p, size_t len)
{
	struct job *j = ctx;

	(void)p;
	(void)len;
	if (j->header_bytes == 0)
		j->header_bytes = at;
}

/* libsndfile writes no header before the first frame: here of silence, which is overwritten. */
static int
make_header(struct job *j, struct err *e)
{
	const struct decoder_format *f = &j->format;
	int silence[8] = {0};
	struct sfwriter *w;
	int rc = -1;

	j->flac = (struct sfwriter_flac){.level = j->c->level == -1 ? DEFAULT_LEVEL : j->c->level,
	    .offset_bytes = flacmeta_reserve(j->first.meta),
	    .frame = first_frame,
	    .ctx = j};
	j->opts = (struct sfwriter_opts){.codec = SFWRITER_FLAC,
	    .rate_hz = f->rate_hz,
	    .channels = f->channels,
	    .kept = {.bits = f->bits},
	    .flac = &j->flac};
	/* libFLAC refuses rates that its streamable subset cannot tell in the frames. */
	if (sfwriter_check(&j->opts, e) == -1 || (f->rate_hz > 65535 && f->rate_hz % 10 != 0))
		return err_item(e, P_UNSUPPORTED, "FLAC of %u Hz cannot be written", f->rate_hz);
	if ((w = sfwriter_open(j->out_fd, &j->opts, e)) == NULL)
		return -1;
	if (sfwriter_write_ints(w, silence, 1, e) == 0 && sfwriter_finish(w, e) == 0)
		rc = 0;
	sfwriter_free(w);
	return rc;
}

static int
read_header(struct job *j, struct err *e)
{
	uint64_t at = flacmeta_reserve(j->first.meta) + FLACFRAMES_INFO_AT;
	ssize_t n = io_pread(j->out_fd, j->info, FLACFRAMES_INFO_BYTES, at, e);
	unsigned blocks;

	if (n == -1)
		return -1;
	j->block = (unsigned)(j->info[2] << 8 | j->info[3]);
	if (n != FLACFRAMES_INFO_BYTES ||
	    j->header_bytes < FLACFRAMES_INFO_AT + FLACFRAMES_INFO_BYTES || j->block == 0)
		return err_set(
		    e, ERR_SYSTEM, NULL, "the header of the new FLAC stream is not understood");
	blocks = FLACFRAMES_SAMPLES / (j->block * j->format.channels);
	blocks = blocks < 1 ? 1 : blocks > FLACFRAMES_BLOCKS ? FLACFRAMES_BLOCKS : blocks;
	j->stretch = (size_t)blocks * j->block;
	j->packed = mem_new(j->stretch * j->format.channels, j->format.bits / 8, e);
	return j->packed == NULL ? -1 : 0;
}

static void
put_be24(unsigned char *p, size_t v)
{
	p[0] = (unsigned char)(v >> 16);
	p[1] = (unsigned char)(v >> 8);
	p[2] = (unsigned char)v;
}

/* What the encoder would have written there of all frames. */
static int
finish_header(struct job *j, struct err *e)
{
	uint64_t at = flacmeta_reserve(j->first.meta);
	char md5[HASH_MD5_HEX];

	flacframes_set_count(j->info, j->frames);
	put_be24(j->info + 4, j->min_frame);
	put_be24(j->info + 7, j->max_frame);
	hash_md5(j->md5, md5);
	hash_unhex(md5, sizeof md5 - 1, j->info + 18);
	if (io_pwrite(
		j->out_fd, j->info, FLACFRAMES_INFO_BYTES, at + FLACFRAMES_INFO_AT, NULL, e) == -1)
		return -1;
	if (ftruncate(j->out_fd, (off_t)(at + j->header_bytes + j->bytes)) == -1)
		return err_sys(e, "setting its length");
	return flacmeta_write(j->first.meta, j->out_fd, j->header_bytes, e);
}

static int
encode(struct job *j, struct err *e)
{
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	struct work w = {.next = next_stretch,
	    .work = encode_stretch,
	    .done = write_stretch,
	    .drop = drop_stretch,
	    .ctx = j,
	    .jobs = online < 1		    ? 1
		    : online > MAX_ENCODERS ? MAX_ENCODERS
					    : (unsigned)online,
	    .stop = j->c->stop};

	if (make_header(j, e) == -1 || read_header(j, e) == -1 || work_run(&w, e) == -1)
		return -1;
	return finish_header(j, e);
}

/* ---- reading back ---- */

/* The frames were decoded before they were written: here it is whether the last one is where it
 * should be. */
static int
verify(struct job *j, struct err *e)
{
	const uint64_t last = (j->frames - 1) / j->block * j->block;
	struct flac f = {0};
	int rc = -1;

	if (flac_open(&f, j->out_fd, 1, j->c->stop, e) == 0) {
		if (f.content.flac.frames == j->frames && decoder_seek(f.decoder, last) == 0) {
			while (decoder_read(f.decoder, DECODER_INT, j->decoded) > 0)
				;
			rc = f.facts.decode_error == NULL && (uint64_t)f.facts.frames == j->frames
				 ? 0
				 : -1;
		}
		if (rc == -1 && !source_failed(f.source, e))
			err_set(e, ERR_SYSTEM, NULL,
			    "the new file does not decode to what was encoded");
	}
	if (rc == -1 && e->class == ERR_ITEM)
		e->class = ERR_SYSTEM;
	flac_close(&f);
	return rc;
}

/* ---- all of it ---- */

static int
prepare(struct job *j, struct err *e)
{
	struct flaccut *c = j->c;

	j->pieces = mem_new(c->n, sizeof *j->pieces, e);
	j->decoded = mem_new(1, sizeof *j->decoded, e);
	if (j->pieces == NULL || j->decoded == NULL || (j->md5 = hash_open(HASH_MD5, e)) == NULL ||
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
	hash_close(j->md5);
	flac_close(&j->first);
	flac_close(&j->other);
	free(j->pieces);
	free(j->decoded);
	free(j->packed);
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
