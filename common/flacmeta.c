#include "flacmeta.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "io.h"
#include "mem.h"

enum block_type {
	STREAMINFO,
	PADDING,
	APPLICATION,
	SEEKTABLE,
	VORBIS_COMMENT,
	CUESHEET,
	PICTURE,
	FORBIDDEN = 127,
};

#define LAST_BLOCK 0x80
#define BLOCK_HEADER 4
#define INFO_BYTES 34
#define MAX_BLOCKS 4096
#define PADDING_BYTES 8192
/* The blocks of the encoder are STREAMINFO and a comment block that holds its name. */
#define MAX_HEADER 65536
/* How far behind STREAMINFO the first frame is looked for when the lengths of blocks are wrong. */
#define MAX_SEARCH ((uint64_t)64 << 20)

#define POINT_BYTES 18
#define POINT_SECONDS 10
#define POINT_MIN_FRAMES 65536
#define MAX_POINTS 900000

#define SHEET_BYTES 396
#define SHEET_LEAD_IN 128
#define SHEET_FLAGS 136
#define SHEET_TRACKS 395
#define TRACK_BYTES 36
#define INDEX_BYTES 12
#define SHEET_MAX (SHEET_BYTES + 255 * (TRACK_BYTES + 255 * INDEX_BYTES))
#define CD_FLAG 0x80
#define CD_FRAMES 588
#define NO_CD_LEAD_OUT 255

/* A block of the new file: bytes of memory, then bytes of the old file. */
struct block {
	unsigned type;
	struct buf mem;
	uint64_t offset, len;
};

struct flacmeta {
	struct source *source;
	struct block *blocks;
	size_t n;
	size_t comment; /* which one holds the comments; n: none does */
	bool broken;	/* the lengths of the blocks do not fit */
	const struct flacmeta_piece *pieces;
	size_t n_pieces;
	uint64_t frames;
	struct buf points; /* of the seek table */
	uint64_t n_points, step_frames, next_point;
	char dropped[128];
};

/* ---- which blocks are valid ---- */

void
flacmeta_drop(struct flacmeta *m, const char *what)
{
	size_t len = strlen(m->dropped);

	if (strstr(m->dropped, what) == NULL && len + strlen(what) + 3 < sizeof m->dropped)
		snprintf(
		    m->dropped + len, sizeof m->dropped - len, "%s%s", len > 0 ? ", " : "", what);
}

/* A length field in front of as many bytes: where it ends, or 0. */
static uint64_t
behind_string(struct source *s, uint64_t at, uint64_t end, bool little)
{
	unsigned char p[4];
	uint64_t len;

	if (at == 0 || end - at < sizeof p || source_read(s, at, p, sizeof p) != sizeof p)
		return 0;
	len = bytes_number(p, 4, !little);
	return end - at - sizeof p < len ? 0 : at + sizeof p + len;
}

/* The comments without the vendor string: *at is where their count is. */
static bool
comments_are_valid(struct source *s, uint64_t *at, uint64_t end)
{
	unsigned char count[4];
	uint64_t n, p;

	*at = behind_string(s, *at, end, true);
	if (*at == 0 || end - *at < 4 || source_read(s, *at, count, 4) != 4)
		return false;
	p = *at + 4;
	for (n = bytes_number(count, 4, false); n > 0 && p != 0; n--)
		p = behind_string(s, p, end, true);
	return p != 0;
}

static bool
picture_is_valid(struct source *s, uint64_t at, uint64_t end)
{
	uint64_t p = end - at < 4 ? 0 : at + 4;

	p = behind_string(s, p, end, false);
	p = behind_string(s, p, end, false);
	return p != 0 && end - p >= 16 && behind_string(s, p + 16, end, false) != 0;
}

static bool
is_foreign(struct source *s, uint64_t at)
{
	unsigned char id[4];

	return source_read(s, at, id, 4) == 4 &&
	       (memcmp(id, "riff", 4) == 0 || memcmp(id, "aiff", 4) == 0 ||
		   memcmp(id, "w64 ", 4) == 0);
}

/* NULL, or what a block is in words that is not carried; of comments *at moves to their count. */
static const char *
objection(const struct flacmeta *m, unsigned type, uint64_t *at, uint64_t end)
{
	switch (type) {
	case APPLICATION:
		if (m->broken || end - *at < 4)
			return "broken metadata";
		return is_foreign(m->source, *at) ? "foreign metadata" : NULL;
	case VORBIS_COMMENT:
		if (m->comment < m->n)
			return "second comments";
		return comments_are_valid(m->source, at, end) ? NULL : "invalid comments";
	case CUESHEET:
		return end - *at < SHEET_BYTES || end - *at > SHEET_MAX ? "an invalid cue sheet"
									: NULL;
	case PICTURE:
		return picture_is_valid(m->source, *at, end) ? NULL : "an invalid picture";
	default:
		return m->broken ? "broken metadata" : "a block of unknown type";
	}
}

/* ---- reading ---- */

static int
add_block(struct flacmeta *m, unsigned type, uint64_t at, uint64_t end, struct err *e)
{
	const char *why;
	struct block *blocks;
	bool none = m->comment == m->n;

	if (type == STREAMINFO || type == PADDING || type == SEEKTABLE)
		return 0;
	if ((why = objection(m, type, &at, end)) != NULL) {
		flacmeta_drop(m, why);
		return 0;
	}
	if ((blocks = realloc(m->blocks, (m->n + 1) * sizeof *blocks)) == NULL)
		return err_nomem(e);
	m->blocks = blocks;
	m->blocks[m->n++] = (struct block){.type = type, .offset = at, .len = end - at};
	if (none && type != VORBIS_COMMENT)
		m->comment = m->n;
	return 0;
}

/* The header of the block at `at`: false when it is none that fits before end. */
static bool
block_at(struct source *s, uint64_t at, uint64_t end, unsigned char h[4])
{
	return end - at >= BLOCK_HEADER && source_read(s, at, h, BLOCK_HEADER) == BLOCK_HEADER &&
	       (h[0] & 0x7f) != FORBIDDEN &&
	       end - at - BLOCK_HEADER >= bytes_number(h + 1, 3, true);
}

static int
add_blocks(struct flacmeta *m, uint64_t begin, uint64_t end, struct err *e)
{
	unsigned char h[4] = {0};
	uint64_t at = begin + 4;

	for (int i = 0; i < MAX_BLOCKS && !(h[0] & LAST_BLOCK) && block_at(m->source, at, end, h);
	     i++) {
		uint64_t body = at + BLOCK_HEADER;

		at = body + bytes_number(h + 1, 3, true);
		if (add_block(m, h[0] & 0x7f, body, at, e) == -1)
			return -1;
	}
	return 0;
}

static bool
first_frame_at(struct source *s, const struct flac_info *info, uint64_t at, uint64_t end,
    uint64_t *start, unsigned *len)
{
	struct flac_info here = *info;

	here.audio_offset = at;
	return end - at >= 16 && framing_flac_last(s, &here, at + 16, start, len) == 1;
}

bool
flacmeta_is_numbered(struct source *s, uint64_t end, const struct flac_info *info)
{
	unsigned char sync[2];
	uint64_t start;
	unsigned len;

	return first_frame_at(s, info, info->audio_offset, end, &start, &len) && start == 0 &&
	       source_read(s, info->audio_offset, sync, 2) == 2 &&
	       ((sync[1] & 1) != 0 || len == info->block);
}

/* The place is where the blocks lead to, when a frame is there or nothing that could be one. */
static bool
find_frames(struct source *s, uint64_t end, struct flac_info *info)
{
	uint64_t at = info->audio_offset, start;
	unsigned len;

	if (end - at < 16 ? at < end : first_frame_at(s, info, at, end, &start, &len))
		return true;
	at = info->info_offset + INFO_BYTES;
	end = end - at < MAX_SEARCH ? end : at + MAX_SEARCH;
	for (; end - at >= 16; at++)
		if (first_frame_at(s, info, at, end, &start, &len) && start == 0) {
			info->audio_offset = at;
			break;
		}
	return false;
}

struct flacmeta *
flacmeta_read(struct source *s, uint64_t begin, uint64_t end, struct flac_info *info, struct err *e)
{
	struct flacmeta *m = mem_new(1, sizeof *m, e);

	if (m == NULL)
		return NULL;
	m->source = s;
	if (info->there && !find_frames(s, end, info)) {
		m->broken = true;
		flacmeta_drop(m, "broken metadata");
	}
	if (add_blocks(m, begin, m->broken ? info->audio_offset : end, e) == -1) {
		flacmeta_close(m);
		return NULL;
	}
	return m;
}

void
flacmeta_close(struct flacmeta *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->n; i++)
		buf_free(&m->blocks[i].mem);
	buf_free(&m->points);
	free(m->blocks);
	free(m);
}

const char *
flacmeta_dropped(const struct flacmeta *m)
{
	return m->dropped;
}

/* ---- cue sheets ---- */

/* The first frame in [from, to) of the old file that is in the new one, and where. */
static bool
is_kept(const struct flacmeta *m, uint64_t from, uint64_t to, uint64_t *at)
{
	for (size_t i = 0; i < m->n_pieces; i++) {
		const struct flacmeta_piece *p = &m->pieces[i];
		uint64_t lo = from > p->first ? from : p->first;

		if (lo < to && lo - p->first < p->frames) {
			*at = p->at + (lo - p->first);
			return true;
		}
	}
	return false;
}

static size_t
track_size(const unsigned char *track)
{
	return TRACK_BYTES + (size_t)track[TRACK_BYTES - 1] * INDEX_BYTES;
}

/* All tracks are there, and the last one is the lead-out, which has no index points. */
static bool
sheet_is_valid(const unsigned char *p, size_t len)
{
	size_t at = SHEET_BYTES, last = 0;

	for (unsigned i = 0; i < p[SHEET_TRACKS]; i++) {
		if (len - at < TRACK_BYTES || len - at < track_size(p + at))
			return false;
		last = at;
		at += track_size(p + at);
	}
	return last != 0 && at == len && p[last + TRACK_BYTES - 1] == 0;
}

struct sheet {
	struct buf *out;
	uint64_t before; /* where the track before this one begins */
	unsigned tracks;
	bool cd; /* it could be one */
};

/*
 * The index points of a track from `start` on in the new file. The first number is 0 or 1, also
 * when the cut begins behind the second point.
 */
static int
add_indices(struct flacmeta *m, struct sheet *sheet, const unsigned char *track, uint64_t end,
    uint64_t start, size_t out_track, struct err *e)
{
	uint64_t offset = bytes_number(track, 8, true), at;
	unsigned n = track[TRACK_BYTES - 1], less = 0, kept = 0;

	for (unsigned i = 0; i < n; i++) {
		const unsigned char *p = track + TRACK_BYTES + i * (size_t)INDEX_BYTES;
		uint64_t to = i + 1 < n ? offset + bytes_number(p + INDEX_BYTES, 8, true) : end;
		unsigned char index[INDEX_BYTES] = {0};

		if (!is_kept(m, offset + bytes_number(p, 8, true), to, &at) || at < start)
			continue;
		less = kept == 0 && p[8] > 1 ? p[8] - 1u : less;
		bytes_put(index, at - start, 8, true);
		index[8] = (unsigned char)(p[8] - less);
		sheet->cd = sheet->cd && (at - start) % CD_FRAMES == 0;
		if (buf_add(sheet->out, index, sizeof index, e) == -1)
			return -1;
		kept++;
	}
	sheet->out->data[out_track + TRACK_BYTES - 1] = (char)kept;
	return 0;
}

static int
add_track(struct flacmeta *m, struct sheet *sheet, const unsigned char *track, struct err *e)
{
	uint64_t end = bytes_number(track + track_size(track), 8, true), at;
	size_t out_track = sheet->out->len;

	if (!is_kept(m, bytes_number(track, 8, true), end, &at) ||
	    (sheet->tracks > 0 && at <= sheet->before))
		return 0;
	if (buf_add(sheet->out, track, TRACK_BYTES, e) == -1)
		return -1;
	bytes_put(sheet->out->data + out_track, at, 8, true);
	if (add_indices(m, sheet, track, end, at, out_track, e) == -1)
		return -1;
	if (sheet->out->data[out_track + TRACK_BYTES - 1] == 0) {
		sheet->out->len = out_track;
		return 0;
	}
	sheet->cd = sheet->cd && at % CD_FRAMES == 0;
	sheet->before = at;
	sheet->tracks++;
	return 0;
}

static int
add_lead_out(struct flacmeta *m, struct sheet *sheet, const unsigned char *track, struct err *e)
{
	size_t at = sheet->out->len;
	unsigned char *p;

	if (buf_add(sheet->out, track, TRACK_BYTES, e) == -1)
		return -1;
	p = (unsigned char *)sheet->out->data;
	bytes_put(p + at, m->frames, 8, true);
	p[SHEET_TRACKS] = (unsigned char)(sheet->tracks + 1);
	if (sheet->cd && m->frames % CD_FRAMES == 0)
		return 0;
	p[SHEET_FLAGS] &= (unsigned char)~CD_FLAG;
	memset(p + SHEET_LEAD_IN, 0, 8);
	p[at + 8] = NO_CD_LEAD_OUT;
	return 0;
}

/* 1; 0 when no track is left. */
static int
make_sheet(struct flacmeta *m, const unsigned char *old, struct buf *out, struct err *e)
{
	struct sheet sheet = {.out = out, .cd = (old[SHEET_FLAGS] & CD_FLAG) != 0};
	const unsigned char *track = old + SHEET_BYTES;

	if (buf_add(out, old, SHEET_BYTES, e) == -1)
		return -1;
	for (unsigned i = 1; i < old[SHEET_TRACKS]; i++, track += track_size(track))
		if (add_track(m, &sheet, track, e) == -1)
			return -1;
	if (sheet.tracks == 0)
		return 0;
	return add_lead_out(m, &sheet, track, e) == -1 ? -1 : 1;
}

/* Block b becomes one of memory: 1; 0 when nothing of it is carried. */
static int
cut_sheet(struct flacmeta *m, struct block *b, struct err *e)
{
	unsigned char *old = mem_new(1, (size_t)b->len, e);
	int rc = -1;

	if (old == NULL)
		return -1;
	if (source_read(m->source, b->offset, old, (size_t)b->len) != b->len ||
	    !sheet_is_valid(old, (size_t)b->len)) {
		flacmeta_drop(m, "an invalid cue sheet");
		rc = 0;
	} else if ((rc = make_sheet(m, old, &b->mem, e)) == 0) {
		flacmeta_drop(m, "the cue sheet");
	}
	b->len = 0;
	free(old);
	return rc;
}

static int
cut_sheets(struct flacmeta *m, struct err *e)
{
	size_t kept = 0, comment = m->n;
	int r;

	for (size_t i = 0; i < m->n; i++) {
		struct block *b = &m->blocks[i];

		if (b->type == CUESHEET && (r = cut_sheet(m, b, e)) != 1) {
			if (r == -1)
				return -1;
			buf_free(&b->mem);
			continue;
		}
		if (i == m->comment)
			comment = kept;
		m->blocks[kept] = *b;
		if (kept++ != i)
			b->mem = (struct buf){0};
	}
	m->comment = comment < kept ? comment : kept;
	m->n = kept;
	return 0;
}

/* ---- the new blocks ---- */

int
flacmeta_cut(struct flacmeta *m, const struct flacmeta_piece *pieces, size_t n, uint64_t frames,
    unsigned rate_hz, struct err *e)
{
	uint64_t least = frames / MAX_POINTS + 1;

	m->pieces = pieces;
	m->n_pieces = n;
	m->frames = frames;
	m->step_frames = (uint64_t)rate_hz * POINT_SECONDS;
	if (m->step_frames < POINT_MIN_FRAMES)
		m->step_frames = POINT_MIN_FRAMES;
	if (m->step_frames < least)
		m->step_frames = least;
	m->n_points = frames / m->step_frames + (frames % m->step_frames != 0);
	if (buf_room(&m->points, (size_t)m->n_points * POINT_BYTES, e) == -1)
		return -1;
	return cut_sheets(m, e);
}

void
flacmeta_frame(struct flacmeta *m, uint64_t sample, unsigned len, uint64_t offset_bytes)
{
	char *p = m->points.data + m->points.len;

	if (m->next_point >= sample + len || m->points.len / POINT_BYTES == m->n_points)
		return;
	bytes_put(p, sample, 8, true);
	bytes_put(p + 8, offset_bytes, 8, true);
	bytes_put(p + 16, len, 2, true);
	m->points.len += POINT_BYTES;
	m->next_point += m->step_frames;
}

/*
 * With the header of the encoder this is room for all blocks and padding of PADDING_BYTES: both
 * have STREAMINFO and a comment block with the vendor, however long that is.
 */
uint64_t
flacmeta_reserve(const struct flacmeta *m)
{
	uint64_t size = BLOCK_HEADER + m->n_points * POINT_BYTES + BLOCK_HEADER + PADDING_BYTES;

	for (size_t i = 0; i < m->n; i++)
		if (i == m->comment)
			size += m->blocks[i].len - 4;
		else
			size += BLOCK_HEADER + m->blocks[i].mem.len + m->blocks[i].len;
	return size;
}

/* ---- writing ---- */

struct out {
	int fd;
	uint64_t at;
};

static int
put(struct out *o, const void *p, size_t len, struct err *e)
{
	if (io_pwrite(o->fd, p, len, o->at, NULL, e) == -1)
		return -1;
	o->at += len;
	return 0;
}

static int
put_block(struct flacmeta *m, struct out *o, const struct block *b, struct err *e)
{
	unsigned char h[BLOCK_HEADER] = {(unsigned char)b->type}, copy[16384];
	uint64_t at = b->offset, left = b->len;

	bytes_put(h + 1, b->mem.len + b->len, 3, true);
	if (put(o, h, sizeof h, e) == -1 || put(o, b->mem.data, b->mem.len, e) == -1)
		return -1;
	while (left > 0) {
		size_t n = left < sizeof copy ? (size_t)left : sizeof copy;

		if (source_read(m->source, at, copy, n) != n) {
			if (!source_failed(m->source, e))
				err_item(e, P_MODIFIED, "the file became shorter");
			return -1;
		}
		if (put(o, copy, n, e) == -1)
			return -1;
		at += n;
		left -= n;
	}
	return 0;
}

static int
put_seek_table(struct flacmeta *m, struct out *o, struct err *e)
{
	struct block table = {.type = SEEKTABLE, .mem = m->points};
	size_t size = (size_t)m->n_points * POINT_BYTES;

	if (m->points.len == 0)
		return 0;
	/* Points that were not needed are placeholders. */
	memset(table.mem.data + table.mem.len, 0xff, size - table.mem.len);
	table.mem.len = size;
	return put_block(m, o, &table, e);
}

/* The comments behind the vendor string of the encoder, whose block's body is p. */
static int
put_comments(struct flacmeta *m, struct out *o, const unsigned char *p, struct err *e)
{
	struct block b = {.type = VORBIS_COMMENT};
	size_t vendor = 4 + (size_t)bytes_number(p, 4, false);
	int rc = -1;

	if (m->comment < m->n) {
		b.offset = m->blocks[m->comment].offset;
		b.len = m->blocks[m->comment].len;
	} else {
		vendor += 4;
	}
	if (buf_add(&b.mem, p, vendor, e) == 0)
		rc = put_block(m, o, &b, e);
	buf_free(&b.mem);
	return rc;
}

/* What is left before the frames: the last block. */
static int
put_padding(struct out *o, uint64_t end, struct err *e)
{
	static const unsigned char zeros[PADDING_BYTES];
	unsigned char h[BLOCK_HEADER] = {PADDING | LAST_BLOCK};

	bytes_put(h + 1, end - o->at - BLOCK_HEADER, 3, true);
	if (put(o, h, sizeof h, e) == -1)
		return -1;
	while (o->at < end) {
		size_t n = end - o->at < sizeof zeros ? (size_t)(end - o->at) : sizeof zeros;

		if (put(o, zeros, n, e) == -1)
			return -1;
	}
	return 0;
}

static int
put_all(struct flacmeta *m, int fd, uint64_t end, unsigned char *header, struct err *e)
{
	struct out o = {.fd = fd};
	size_t info_end = 4 + BLOCK_HEADER + INFO_BYTES;

	header[4] = STREAMINFO;
	if (put(&o, header, info_end, e) == -1 || put_seek_table(m, &o, e) == -1 ||
	    put_comments(m, &o, header + info_end + BLOCK_HEADER, e) == -1)
		return -1;
	for (size_t i = 0; i < m->n; i++)
		if (i != m->comment && put_block(m, &o, &m->blocks[i], e) == -1)
			return -1;
	return put_padding(&o, end, e);
}

/* "fLaC", STREAMINFO and a comment block, as libFLAC writes them. */
static bool
is_header(const unsigned char *p, size_t len)
{
	const unsigned char *comments = p + 4 + BLOCK_HEADER + INFO_BYTES;
	size_t least = 4 + BLOCK_HEADER + INFO_BYTES + BLOCK_HEADER + 8;

	return len >= least && memcmp(p, "fLaC", 4) == 0 &&
	       bytes_number(p + 5, 3, true) == INFO_BYTES &&
	       (comments[0] & 0x7f) == VORBIS_COMMENT &&
	       bytes_number(comments + BLOCK_HEADER, 4, false) <= len - least;
}

int
flacmeta_write(struct flacmeta *m, int fd, uint64_t header_bytes, struct err *e)
{
	size_t len = header_bytes < MAX_HEADER ? (size_t)header_bytes : MAX_HEADER;
	uint64_t reserve = flacmeta_reserve(m);
	unsigned char *header = mem_new(1, MAX_HEADER, e);
	ssize_t n = header == NULL ? -1 : io_pread(fd, header, len, reserve, e);
	int rc = -1;

	if (n != -1 && !is_header(header, (size_t)n))
		err_set(e, ERR_SYSTEM, NULL, "the header of the new FLAC stream is not understood");
	else if (n != -1)
		rc = put_all(m, fd, reserve + header_bytes, header, e);
	free(header);
	return rc;
}
