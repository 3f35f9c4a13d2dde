/*
 * Nothing of the old file is rewritten that is not known to be wrong: a chunk is a stretch of the
 * old file, and only size fields and counts come from memory. So the plan is a list of pieces
 * (pieces.h), small whatever the file's size, and writing it is copying.
 *
 * What cannot be told from the file is not guessed. The frame decides where the audio may end, so a
 * format chunk that is missing, cut or at odds with itself is refused; so are the codecs whose
 * blocks have no constant size. Of the formats that pack samples into blocks (MS and IMA ADPCM, GSM
 * 6.10: Microsoft, "New Multimedia Data Types and Data Techniques", 1994) the block is the frame.
 *
 * Which header is healthy is for chunk.h alone to say. A `fact` count or a partial frame at the end
 * is put right in passing, but is no reason to touch a file.
 */
#include "rehead.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"

#define MAX_FORMAT 4096
/* libsndfile opens no more. */
#define MAX_CHANNELS 1024
/* Room below 4 GiB for the pad bytes that the old file may lack, and for placeholder values. */
#define MAX_32 UINT64_C(0xfffe0000)
/* Sizes and table length of ds64: EBU Tech 3306. */
#define DS64_MIN 28

enum { TAG_PCM = 1, TAG_MS_ADPCM, TAG_FLOAT, TAG_A_LAW = 6, TAG_MU_LAW, TAG_IMA_ADPCM = 0x11 };
enum { TAG_GSM = 0x31, TAG_EXTENSIBLE = 0xfffe };

struct build {
	struct rehead *p;
	const struct chunk_layout *l;
	int fd;
	uint64_t old_size;
	uint64_t block;	    /* bytes of audio that belong together: a frame, or a codec's block */
	uint64_t per_block; /* frames in it */
	uint64_t frames;
	const struct chunk *room; /* whose place ds64 takes, or NULL */
	bool wide;		  /* the new file is RF64 */
	struct err *e;
};

static bool
same_id(const struct chunk *c, const char *id)
{
	return memcmp(c->id, id, 4) == 0;
}

/* ---- the format ---- */

static int
refuse_format(struct build *b, const char *why)
{
	return err_item(b->e, P_DECODE_ERROR,
	    "its header cannot be rebuilt: its '%s' chunk %s, and a format is not to be guessed",
	    b->l->chunks[b->l->fmt].id, why);
}

static int
refuse_codec(struct build *b, const char *codec)
{
	return err_item(b->e, P_UNSUPPORTED,
	    "its header cannot be rebuilt: where a frame of its codec (%s) ends is not known here",
	    codec);
}

/* Block and frames of a codec with blocks, whose extension (from byte 18) says how many. */
static int
packed_format(struct build *b, const unsigned char *f, uint64_t len, unsigned tag)
{
	uint64_t channels = bytes_number(f + 2, 2, b->l->big_endian);

	b->block = bytes_number(f + 12, 2, b->l->big_endian);
	b->per_block = len < 20 ? 0 : bytes_number(f + 18, 2, b->l->big_endian);
	if (b->block == 0 || b->per_block == 0 || channels == 0)
		return refuse_format(b, "does not say how long a block is");
	/* The states at the start of a block leave room for no more (GSM: always 65 bytes). */
	if (tag == TAG_GSM ? channels != 1 || b->block != 65 || b->per_block != 320
			   : b->per_block > b->block * 2)
		return refuse_format(b, "contradicts itself");
	return 0;
}

static int
riff_format(struct build *b, const unsigned char *f, uint64_t len)
{
	bool big = b->l->big_endian, fits;
	unsigned tag = (unsigned)bytes_number(f, 2, big);
	uint64_t channels = bytes_number(f + 2, 2, big), rate = bytes_number(f + 4, 4, big);
	uint64_t align = bytes_number(f + 12, 2, big), bits = bytes_number(f + 14, 2, big);
	char name[16];

	snprintf(name, sizeof name, "tag 0x%04x", tag);
	if (channels == 0 || channels > MAX_CHANNELS || rate == 0 || rate > INT32_MAX)
		return refuse_format(b, "has no usable count of channels or rate");
	if (tag == TAG_EXTENSIBLE) {
		if (len < 40 || bytes_number(f + 16, 2, big) < 22 ||
		    bytes_number(f + 18, 2, big) > bits)
			return refuse_format(b, "contradicts itself");
		tag = chunk_sub_format(f, big);
	} else if (tag == TAG_MS_ADPCM || tag == TAG_IMA_ADPCM || tag == TAG_GSM) {
		return packed_format(b, f, len, tag);
	}
	if (tag != TAG_PCM && tag != TAG_FLOAT && tag != TAG_A_LAW && tag != TAG_MU_LAW)
		return refuse_codec(b, name);
	if (tag == TAG_PCM)
		fits = bits > 0 && bits <= 32;
	else
		fits = tag == TAG_FLOAT ? bits == 32 || bits == 64 : bits == 8;
	if (!fits || align != channels * ((bits + 7) / 8))
		return refuse_format(b, "contradicts itself");
	b->block = b->l->block_align;
	b->per_block = 1;
	return 0;
}

static int
aiff_format(struct build *b, const unsigned char *f, uint64_t len)
{
	uint64_t channels = bytes_number(f, 2, true), bits = bytes_number(f + 6, 2, true);
	unsigned exponent = (unsigned)bytes_number(f + 8, 2, true);
	unsigned char type[4];
	char codec[5];

	if (bytes_read(b->fd, 8, type, sizeof type, b->e) == -1)
		return -1;
	/* The rate is an 80-bit float: 1 Hz to 2 GHz, normalised. */
	if (channels == 0 || channels > MAX_CHANNELS || bits == 0 || bits > 64 ||
	    exponent < 0x3fff || exponent > 0x3fff + 30 || f[10] < 0x80)
		return refuse_format(b, "has no usable count of channels, bits or rate");
	if ((len < 22) != (type[3] == 'F'))
		return refuse_format(b, "does not belong to the type of its file");
	memcpy(codec, len < 22 ? "NONE" : (const char *)f + 18, 4);
	codec[4] = '\0';
	if (b->l->block_align == 0)
		return refuse_codec(b, codec);
	if (bits > 32 && memcmp(codec, "fl64", 4) != 0 && memcmp(codec, "FL64", 4) != 0)
		return refuse_format(b, "contradicts itself");
	b->block = b->l->block_align;
	b->per_block = 1;
	return 0;
}

static int
read_format(struct build *b)
{
	const struct chunk *c = &b->l->chunks[b->l->fmt];
	bool aiff = b->l->family == CHUNK_AIFF;
	unsigned char f[40] = {0};

	if (c->size < c->declared || c->size < (aiff ? 18 : 16))
		return refuse_format(b, "is cut");
	if (c->size > MAX_FORMAT)
		return refuse_format(b, "is longer than any format");
	if (bytes_read(
		b->fd, c->offset, f, c->size < sizeof f ? (size_t)c->size : sizeof f, b->e) == -1)
		return -1;
	return aiff ? aiff_format(b, f, c->size) : riff_format(b, f, c->size);
}

/* ---- pieces ---- */

static int
add_bytes(struct build *b, const void *bytes, size_t len)
{
	return pieces_add_bytes(&b->p->pieces, bytes, len, b->e);
}

static int
add_number(struct build *b, uint64_t v, unsigned bytes)
{
	char n[8];

	bytes_put(n, v, bytes, b->l->big_endian);
	return add_bytes(b, n, bytes);
}

static int
add_file(struct build *b, uint64_t offset, uint64_t len)
{
	return pieces_add_file(&b->p->pieces, b->fd, offset, len, b->e);
}

/* Every chunk starts at a multiple of 2 (W64: 8), whatever its writer thought of that. */
static int
add_pad(struct build *b)
{
	unsigned step = b->l->family == CHUNK_W64 ? 8 : 2;
	unsigned over = (unsigned)(b->p->pieces.size_bytes % step);

	return over == 0 ? 0 : add_bytes(b, "\0\0\0\0\0\0\0", step - over);
}

/* ---- chunks ---- */

/* A chunk of which `width` bytes at `at` of its body become v. */
static int
add_patched(struct build *b, const struct chunk *c, uint64_t at, unsigned width, uint64_t v)
{
	if (add_file(b, c->header, c->offset + at - c->header) == -1 ||
	    add_number(b, v, width) == -1 ||
	    add_file(b, c->offset + at + width, c->size - at - width) == -1)
		return -1;
	return add_pad(b);
}

/*
 * `fact` counts frames in 32 bits (of W64 in 64, when there is room); more is said by all ones. A
 * count that ends inside the last block is the writer's knowledge of how full that block is.
 */
static int
add_fact(struct build *b, const struct chunk *c)
{
	unsigned width = b->l->family == CHUNK_W64 && c->size >= 8 ? 8 : 4;
	unsigned char old[8];
	uint64_t count;

	if (bytes_read(b->fd, c->offset, old, width, b->e) == -1)
		return -1;
	count = bytes_number(old, width, b->l->big_endian);
	if (count > b->frames || b->frames - count >= b->per_block)
		count = b->frames;
	if (width == 4 && count > UINT32_MAX)
		count = UINT32_MAX;
	return add_patched(b, c, 0, width, count);
}

static int
add_chunk(struct build *b, const struct chunk *c)
{
	if (b->wide && (c == b->room || same_id(c, "ds64")))
		return 0;
	if (b->l->family == CHUNK_AIFF && same_id(c, "COMM"))
		return add_patched(b, c, 2, 4, b->frames);
	if (b->l->family != CHUNK_AIFF && same_id(c, "fact") && c->size >= 4)
		return add_fact(b, c);
	if (add_file(b, c->header, c->offset + c->size - c->header) == -1)
		return -1;
	return add_pad(b);
}

/* Of AIFF with what precedes the audio in its chunk: offset, block size, filler. */
static int
add_audio(struct build *b)
{
	const struct chunk *c = &b->l->chunks[b->l->data];
	uint64_t body = b->l->audio_offset - c->offset + b->p->audio_bytes;
	bool w64 = b->l->family == CHUNK_W64;
	int rc;

	if (add_file(b, c->header, w64 ? 16 : 4) == -1)
		return -1;
	if (w64)
		rc = add_number(b, body + 24, 8);
	else
		rc = add_number(b, b->wide ? UINT32_MAX : body, 4);
	if (rc == -1 || add_file(b, c->offset, body) == -1)
		return -1;
	return add_pad(b);
}

/* The chunk whose place ds64 takes: an old one, or the JUNK that is kept for it (EBU Tech 3306). */
static const struct chunk *
room_for_ds64(const struct chunk_layout *l)
{
	const struct chunk *first = &l->chunks[0];

	for (unsigned i = 0; l->family == CHUNK_RF64 && i < l->n_chunks; i++)
		if (same_id(&l->chunks[i], "ds64") && l->chunks[i].size >= DS64_MIN)
			return &l->chunks[i];
	return same_id(first, "JUNK") && first->size >= DS64_MIN ? first : NULL;
}

/* Always the first chunk, and where there was room as long as that. Its own table is kept. */
static int
add_ds64(struct build *b)
{
	uint64_t rest = b->room != NULL ? b->room->size - DS64_MIN : 0, n = 0;
	unsigned char old[4];
	char h[8 + DS64_MIN] = "ds64";

	if (b->room != NULL && same_id(b->room, "ds64")) {
		if (bytes_read(b->fd, b->room->offset + 24, old, sizeof old, b->e) == -1)
			return -1;
		n = bytes_number(old, 4, false);
	}
	bytes_put(h + 4, DS64_MIN + rest, 4, false);
	bytes_put(h + 16, b->p->audio_bytes, 8, false);
	bytes_put(h + 24, b->frames, 8, false);
	bytes_put(h + 32, n <= rest / 12 ? n : 0, 4, false);
	if (add_bytes(b, h, sizeof h) == -1 ||
	    (rest > 0 && add_file(b, b->room->offset + DS64_MIN, rest) == -1))
		return -1;
	return add_pad(b);
}

/* The outermost header; its size is not known before add_outer_size. */
static int
add_outer(struct build *b)
{
	char h[40];
	size_t len = b->l->family == CHUNK_W64 ? 40 : 12;

	if (bytes_read(b->fd, 0, h, len, b->e) == -1)
		return -1;
	if (b->wide && b->l->family == CHUNK_RIFF)
		memcpy(h, "RF64", 4);
	return add_bytes(b, h, len);
}

static void
patch(struct build *b, uint64_t at, uint64_t v, unsigned bytes)
{
	char n[8];

	bytes_put(n, v, bytes, b->l->big_endian);
	pieces_patch(&b->p->pieces, at, n, bytes);
}

/* Of a RF64 it stands in ds64, whose body begins at 20. */
static void
add_outer_size(struct build *b)
{
	uint64_t total = b->p->pieces.size_bytes;

	if (b->l->family == CHUNK_W64) {
		patch(b, 16, total, 8);
	} else if (b->wide) {
		patch(b, 4, UINT32_MAX, 4);
		patch(b, 20, total - 8, 8);
	} else {
		patch(b, 4, total - 8, 4);
	}
}

/* The bytes between two chunks, less those that pad the first. */
static uint64_t
litter(const struct build *b, uint64_t from, uint64_t to)
{
	unsigned step = b->l->family == CHUNK_W64 ? 8 : 2;
	uint64_t pad = (step - from % step) % step, there = to > from ? to - from : 0;

	return there > pad ? there - pad : 0;
}

/* The chunks behind the audio that are whole. */
static int
add_tail(struct build *b)
{
	const struct chunk_layout *l = b->l;
	const struct chunk *data = &l->chunks[l->data];
	uint64_t audio_end = l->audio_offset + l->audio_size, end = data->offset + data->size;

	b->p->lost_bytes = l->audio_size - b->p->audio_bytes;
	if (end > audio_end)
		b->p->lost_bytes += end - audio_end;
	else
		end = audio_end;
	for (unsigned i = (unsigned)l->data + 1; i < l->n_chunks; i++) {
		const struct chunk *c = &l->chunks[i];

		if (c->size < c->declared)
			break;
		if (add_chunk(b, c) == -1)
			return -1;
		b->p->lost_bytes += litter(b, end, c->header);
		end = c->offset + c->size;
	}
	b->p->lost_bytes += litter(b, end, b->old_size);
	return 0;
}

static int
add_all(struct build *b)
{
	if (add_outer(b) == -1 || (b->wide && add_ds64(b) == -1))
		return -1;
	for (int i = 0; i < b->l->data; i++)
		if (add_chunk(b, &b->l->chunks[i]) == -1)
			return -1;
	if (add_audio(b) == -1 || add_tail(b) == -1)
		return -1;
	add_outer_size(b);
	return 0;
}

/* ---- the plan ---- */

static int
refuse_structure(const struct chunk_layout *l, struct err *e)
{
	const char *fmt = l->family == CHUNK_AIFF ? "COMM" : "fmt ";
	const char *data = l->family == CHUNK_AIFF ? "SSND" : "data";

	if (l->duplicate_fmt)
		return err_item(e, P_DECODE_ERROR,
		    "its header cannot be rebuilt: it has two '%s' chunks, and which is true is "
		    "not known",
		    fmt);
	if (l->fmt == -1)
		return err_item(e, P_DECODE_ERROR,
		    "its header cannot be rebuilt: it has no '%s' chunk, and a format is not to "
		    "be guessed",
		    fmt);
	if (l->data == -1)
		return err_item(e, l->truncated ? P_TRUNCATED : P_DECODE_ERROR,
		    "its header cannot be rebuilt: it has no '%s' chunk, so that no audio is found",
		    data);
	return 0;
}

/* chunk.h knows W64's chunks by the first four bytes of their GUID; decoders ask for all of it. */
static int
check_w64_ids(const struct build *b)
{
	const int ids[] = {b->l->fmt, b->l->data};

	for (int i = 0; i < 2; i++) {
		const struct chunk *c = &b->l->chunks[ids[i]];
		unsigned char guid[16];

		if (bytes_read(b->fd, c->header, guid, sizeof guid, b->e) == -1)
			return -1;
		if (memcmp(guid + 4, chunk_w64_tail, sizeof chunk_w64_tail) != 0)
			return err_item(b->e, P_DECODE_ERROR,
			    "its header cannot be rebuilt: its '%s' chunk has a GUID that W64 does "
			    "not know",
			    c->id);
	}
	return 0;
}

static void
describe(const struct chunk_layout *l, uint64_t old_size, char *out, size_t size)
{
	uint64_t declared = l->audio_declared, there = l->audio_size;

	if (l->open_header)
		snprintf(out, size,
		    "the header was never finished: it claims %" PRIu64 " bytes of audio, %" PRIu64
		    " are there",
		    declared, there);
	else if (l->short_header)
		snprintf(out, size,
		    "the header is out of date: it claims %" PRIu64
		    " bytes of audio, and the audio goes on for %" PRIu64 " bytes behind them",
		    declared, there - declared);
	else if (there < declared)
		snprintf(out, size,
		    "the end was cut off: the header claims %" PRIu64 " bytes of audio, %" PRIu64
		    " are there",
		    declared, there);
	else if (l->chunks[l->n_chunks - 1].size < l->chunks[l->n_chunks - 1].declared)
		snprintf(out, size,
		    "the audio is whole, but the '%s' chunk behind it claims %" PRIu64
		    " bytes, %" PRIu64 " are there",
		    l->chunks[l->n_chunks - 1].id, l->chunks[l->n_chunks - 1].declared,
		    l->chunks[l->n_chunks - 1].size);
	else
		snprintf(out, size,
		    "the audio is whole, but the header's counts disagree: the outermost chunk "
		    "claims %" PRIu64 " bytes, the file has %" PRIu64,
		    l->outer_declared, old_size);
}

/* Widths and counts, once the format is known. */
static int
decide(struct build *b)
{
	const struct chunk_layout *l = b->l;
	uint64_t kept = b->old_size - l->junk_size;

	b->p->audio_bytes = l->audio_size - l->audio_size % b->block;
	b->frames = b->p->audio_bytes / b->block * b->per_block;
	if (b->frames == 0)
		return err_item(b->e, P_EMPTY,
		    "its header cannot be rebuilt: there is not one frame of audio behind it");
	if (l->n_chunks >= CHUNK_MAX)
		return err_item(b->e, P_UNSUPPORTED,
		    "its header cannot be rebuilt: it has more than %d chunks", CHUNK_MAX - 1);
	b->wide = l->family == CHUNK_RF64 || (l->family == CHUNK_RIFF && kept > MAX_32);
	if (kept > MAX_32 && l->family != CHUNK_W64 && l->big_endian)
		return err_item(b->e, P_TOO_LARGE,
		    "its header cannot be rebuilt: %s has no way to say that it is 4 GiB long",
		    l->family == CHUNK_AIFF ? "AIFF" : "RIFX");
	b->room = b->wide ? room_for_ds64(l) : NULL;
	b->p->container = b->wide ? "rf64" : l->container;
	return 0;
}

static int
plan(struct build *b)
{
	const struct chunk_layout *l = b->l;

	if (refuse_structure(l, b->e) == -1)
		return -1;
	if (!l->open_header && !l->short_header && !l->truncated && !l->outer_mismatch)
		return 0;
	if (l->family != CHUNK_AIFF && l->fmt > l->data)
		return refuse_format(b, "lies behind the audio");
	if (l->family == CHUNK_W64 && check_w64_ids(b) == -1)
		return -1;
	if (read_format(b) == -1 || decide(b) == -1 || add_all(b) == -1)
		return -1;
	describe(l, b->old_size, b->p->message, sizeof b->p->message);
	return 1;
}

int
rehead_plan(int fd, uint64_t size_bytes, struct rehead *p, struct err *e)
{
	struct chunk_layout l;
	struct build b = {.p = p, .l = &l, .fd = fd, .old_size = size_bytes, .e = e};
	int r;

	*p = (struct rehead){0};
	if ((r = chunk_layout(fd, size_bytes, &l, e)) != 1)
		return r;
	r = plan(&b);
	chunk_layout_free(&l);
	if (r != 1)
		rehead_free(p);
	return r;
}

/* ---- writing ---- */

int
rehead_write(struct rehead *p, int fd, int out_fd, const atomic_int *stop,
    atomic_ullong *bytes_done, struct err *e)
{
	pieces_use(&p->pieces, fd);
	return pieces_write(&p->pieces, out_fd, stop, bytes_done, e);
}

void
rehead_free(struct rehead *p)
{
	pieces_free(&p->pieces);
	*p = (struct rehead){0};
}
