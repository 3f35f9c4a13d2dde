/*
 * Sizes are never believed: each is compared with what the file holds before anything is derived
 * from it, and a position only ever grows, so that the walk ends. What follows the audio is a chunk
 * only when it looks like one all the way to the end of the file; audio that a stale header leaves
 * out has four printable bytes at its start once in fifty times.
 */
#include "chunk.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "io.h"
#include "mem.h"

#define MAX_DS64_TABLE 64
#define MAX_ZERO_SCAN (64u << 20)
#define MAX_FILLER 512
/* Fewer bytes behind the audio are litter and no audio. */
#define MIN_STALE 16

const unsigned char chunk_w64_tail[12] = "\xf3\xac\xd3\x11\x8c\xd1\0\xc0\x4f\x8e\xdb\x8a";

struct ds64 {
	bool there;
	uint64_t riff, data;
	unsigned n;
	struct {
		char id[4];
		uint64_t size;
	} table[MAX_DS64_TABLE];
};

struct walk {
	int fd;
	uint64_t size; /* of the file */
	struct chunk_layout *l;
	struct ds64 ds64;
	unsigned cap;
	bool tail_cut; /* the last chunk, behind the audio, claims more than the file holds */
	struct err *e;
};

/* Exactly len bytes: 1, 0 when the file is shorter, -1 and *e. */
static int
get(struct walk *w, uint64_t offset, void *p, size_t len)
{
	ssize_t n;

	if (offset > w->size || w->size - offset < len)
		return 0;
	n = io_pread(w->fd, p, len, offset, w->e);
	return n == -1 ? -1 : n == (ssize_t)len;
}

static unsigned
header_size(const struct walk *w)
{
	return w->l->family == CHUNK_W64 ? 24 : 8;
}

static bool
is_printable(const char *id)
{
	for (int i = 0; i < 4; i++)
		if (id[i] < 0x20 || id[i] > 0x7e)
			return false;
	return id[0] != ' ';
}

static bool
is_known(const char *id)
{
	static const char known[][5] = {"fmt ", "data", "LIST", "bext", "iXML", "fact", "JUNK",
	    "junk", "PAD ", "FLLR", "cue ", "smpl", "inst", "plst", "id3 ", "ID3 ", "PEAK", "cart",
	    "_PMX", "axml", "chna", "levl", "umid", "minf", "elm1", "regn", "acid", "DISP", "afsp",
	    "MEXT", "COMM", "SSND", "FVER", "MARK", "INST", "COMT", "NAME", "AUTH", "(c) ", "ANNO",
	    "APPL", "AESD", "CHAN", "basc", "LGWV", "SyLp", "Cr8r"};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (memcmp(id, known[i], 4) == 0)
			return true;
	return false;
}

/* True for 0 and for what writers put before they know: all ones, and the values about 2 GiB that
 * arecord (0x80000000 or just below) and sox (0x7f000000, 0x7ffff000) use. `avail` bytes are there.
 */
static bool
is_placeholder(const struct walk *w, uint64_t declared, uint64_t avail)
{
	if (w->l->family == CHUNK_W64 || (w->l->family == CHUNK_RF64 && declared > UINT32_MAX))
		return declared == 0 || declared >= UINT64_C(1) << 62;
	if (declared == 0 || declared >= 0xffffff00)
		return declared == 0 || declared == UINT32_MAX || declared > avail;
	return declared >= 0x7eff0000 && declared <= 0x80000100 && declared > avail &&
	       declared - avail > 0x10000;
}

static uint64_t
size_by_ds64(const struct walk *w, const char *id)
{
	if (memcmp(id, "data", 4) == 0)
		return w->ds64.data;
	for (unsigned i = 0; i < w->ds64.n; i++)
		if (memcmp(id, w->ds64.table[i].id, 4) == 0)
			return w->ds64.table[i].size;
	return UINT32_MAX;
}

/* The chunk whose header is at pos: 1, 0 when there is none that looks like one, -1 and *e. */
static int
chunk_at(struct walk *w, uint64_t pos, struct chunk *c)
{
	unsigned char h[24];
	unsigned n = header_size(w);
	int r = get(w, pos, h, n);

	if (r != 1)
		return r;
	*c = (struct chunk){.header = pos, .offset = pos + n};
	memcpy(c->id, h, 4);
	if (w->l->family == CHUNK_W64) {
		c->declared = bytes_number(h + 16, 8, false);
		/* The size of a W64 chunk counts its header; 0 is a writer that died. */
		c->declared = c->declared < 24 ? 0 : c->declared - 24;
	} else {
		c->declared = bytes_number(h + 4, 4, w->l->big_endian);
		if (w->ds64.there && c->declared == UINT32_MAX)
			c->declared = size_by_ds64(w, c->id);
	}
	c->size = w->size - c->offset;
	if (c->declared < c->size)
		c->size = c->declared;
	return is_printable(c->id);
}

/*
 * Where the chunk after c starts: behind the pad byte, unless its writer forgot that and a chunk
 * follows directly. -1 and *e, or 0.
 */
static int
next_after(struct walk *w, const struct chunk *c, uint64_t *next)
{
	uint64_t end = c->offset + c->size;
	struct chunk padded, bare;
	int r, s;

	*next = end;
	if (w->l->family == CHUNK_W64) {
		*next = end + (8 - end % 8) % 8;
		return 0;
	}
	if (c->declared % 2 == 0 || end >= w->size)
		return 0;
	*next = end + 1;
	if ((r = chunk_at(w, end + 1, &padded)) == -1 || (s = chunk_at(w, end, &bare)) == -1)
		return -1;
	if ((r == 0 || !is_known(padded.id)) && s == 1 && is_known(bare.id))
		*next = end;
	return 0;
}

/* A tag that is no chunk (ID3v1, ID3v2, APE, Lyrics3) starts at pos: 1, 0, -1 and *e. */
static int
tag_at(struct walk *w, uint64_t pos)
{
	char p[11];
	int r;

	if ((r = get(w, pos, p, sizeof p)) != 1)
		return r;
	return (memcmp(p, "TAG", 3) == 0 && (w->size - pos == 128 || w->size - pos == 128 + 227)) ||
	       (memcmp(p, "ID3", 3) == 0 && p[3] >= 2 && p[3] <= 4) || memcmp(p, "3DI", 3) == 0 ||
	       memcmp(p, "APETAGEX", 8) == 0 || memcmp(p, "LYRICSBEGIN", 11) == 0;
}

/* Nothing but zeros from pos to the end (of which MAX_ZERO_SCAN bytes are looked at): 1, 0, -1 and
 * *e. */
static int
zeros_from(struct walk *w, uint64_t pos)
{
	char block[16384];
	uint64_t end = w->size - pos > MAX_ZERO_SCAN ? pos + MAX_ZERO_SCAN : w->size;

	while (pos < end) {
		size_t n = end - pos < sizeof block ? (size_t)(end - pos) : sizeof block;
		int r = get(w, pos, block, n);

		if (r != 1)
			return r;
		if (block[0] != 0 || memcmp(block, block + 1, n - 1) != 0)
			return 0;
		pos += n;
	}
	return 1;
}

/* What starts at pos are chunks, up to the end of the file: 1, 0, -1 and *e. */
static int
chunks_from(struct walk *w, uint64_t pos)
{
	struct chunk c;
	int r;

	for (unsigned i = 0; i < CHUNK_MAX; i++) {
		if (pos >= w->size)
			return i > 0;
		if (w->size - pos < header_size(w))
			return i > 0;
		if ((r = chunk_at(w, pos, &c)) == -1)
			return -1;
		if (r == 1 && is_known(c.id) && c.declared < UINT32_MAX)
			return 1;
		if (r == 0 || c.size < c.declared) {
			if (i == 0)
				return 0;
			return (r = tag_at(w, pos)) != 0 ? r : zeros_from(w, pos);
		}
		if (next_after(w, &c, &pos) == -1)
			return -1;
	}
	return 1;
}

static int
add(struct walk *w, const struct chunk *c)
{
	struct chunk_layout *l = w->l;

	if (l->n_chunks == w->cap) {
		unsigned cap = w->cap == 0 ? 16 : w->cap * 2;
		struct chunk *p = realloc(l->chunks, cap * sizeof *p);

		if (p == NULL)
			return err_nomem(w->e);
		l->chunks = p;
		w->cap = cap;
	}
	l->chunks[l->n_chunks++] = *c;
	return 0;
}

static int
read_ds64(struct walk *w, const struct chunk *c)
{
	unsigned char b[28], t[12];
	uint64_t n;
	int r;

	if (c->size < 24 || (r = get(w, c->offset, b, c->size < 28 ? 24 : 28)) == 0)
		return 0;
	if (r == -1)
		return -1;
	w->ds64.there = true;
	w->ds64.riff = bytes_number(b, 8, false);
	w->ds64.data = bytes_number(b + 8, 8, false);
	n = c->size < 28 ? 0 : bytes_number(b + 24, 4, false);
	for (uint64_t i = 0; i < n && i < MAX_DS64_TABLE && 28 + (i + 1) * 12 <= c->size; i++) {
		if ((r = get(w, c->offset + 28 + i * 12, t, sizeof t)) != 1)
			return r;
		memcpy(w->ds64.table[i].id, t, 4);
		w->ds64.table[i].size = bytes_number(t + 4, 8, false);
		w->ds64.n++;
	}
	return 0;
}

/* Bytes a frame of the formats whose frames all have the same size, else 0. */
static int
read_fmt(struct walk *w, const struct chunk *c)
{
	unsigned char b[26] = {0};
	uint64_t tag, channels, align, bits;
	int r;

	if (c->size < 16)
		return 0;
	if ((r = get(w, c->offset, b, c->size < 26 ? 16 : 26)) != 1)
		return r;
	tag = bytes_number(b, 2, w->l->big_endian);
	channels = bytes_number(b + 2, 2, w->l->big_endian);
	align = bytes_number(b + 12, 2, w->l->big_endian);
	bits = bytes_number(b + 14, 2, w->l->big_endian);
	if (tag == 0xfffe)
		tag = bytes_number(b + 24, 2, w->l->big_endian);
	if (tag == 6 || tag == 7) /* A-law, mu-law */
		w->l->block_align = channels;
	else if (tag == 1 || tag == 3)
		w->l->block_align = align != 0 ? align : channels * ((bits + 7) / 8);
	return 0;
}

static int
read_comm(struct walk *w, const struct chunk *c, uint64_t *frames)
{
	static const char constant[][5] = {"NONE", "twos", "sowt", "raw ", "in24", "in32", "42ni",
	    "23ni", "fl32", "FL32", "fl64", "FL64"};
	unsigned char b[22];
	uint64_t channels, bits;
	int r;

	*frames = 0;
	if (c->size < 18)
		return 0;
	if ((r = get(w, c->offset, b, c->size < 22 ? 18 : 22)) != 1)
		return r;
	channels = bytes_number(b, 2, true);
	*frames = bytes_number(b + 2, 4, true);
	bits = bytes_number(b + 6, 2, true);
	if (c->size < 22) {
		w->l->block_align = channels * ((bits + 7) / 8);
		return 0;
	}
	if (memcmp(b + 18, "alaw", 4) == 0 || memcmp(b + 18, "ulaw", 4) == 0 ||
	    memcmp(b + 18, "ALAW", 4) == 0 || memcmp(b + 18, "ULAW", 4) == 0)
		w->l->block_align = channels;
	for (size_t i = 0; i < sizeof constant / sizeof *constant; i++)
		if (memcmp(b + 18, constant[i], 4) == 0)
			w->l->block_align = channels * ((bits + 7) / 8);
	return 0;
}

/* The audio chunk, whose declared size decides everything. Sets *more when chunks may follow it. */
static int
found_audio(struct walk *w, struct chunk *c, bool *more)
{
	struct chunk_layout *l = w->l;
	uint64_t avail = w->size - c->offset, skip = 0, declared = c->declared;
	unsigned char ssnd[8];
	int r;

	*more = false;
	if (l->family == CHUNK_AIFF) {
		if ((r = get(w, c->offset, ssnd, sizeof ssnd)) == -1)
			return -1;
		skip = r == 1 ? 8 + bytes_number(ssnd, 4, true) : avail;
		if (skip > avail)
			skip = avail;
		/* 8 is an empty SSND as a writer that died leaves it; `declared` counts the audio
		 * alone. */
		declared = declared <= 8 ? 0 : declared;
	}
	l->audio_offset = c->offset + skip;
	l->audio_declared = c->declared > skip ? c->declared - skip : 0;
	l->audio_size = avail - skip;
	if (avail > skip && is_placeholder(w, declared, avail)) {
		uint64_t body = c->offset + (l->family == CHUNK_AIFF ? c->size : 0);

		if (declared != 0 || (r = chunks_from(w, body)) == 0) {
			l->open_header = true;
			c->size = avail;
			return 0;
		}
		if (r == -1)
			return -1;
	}
	if (c->declared > avail) {
		l->truncated = true;
		return 0;
	}
	l->audio_size = l->audio_declared;
	*more = true;
	return 0;
}

static bool
same_id(const struct chunk *c, const char *id)
{
	return memcmp(c->id, id, 4) == 0;
}

/* The chunks from pos on. *end is where the walk stopped. */
static int
walk_chunks(struct walk *w, uint64_t pos, uint64_t *comm_frames, uint64_t *end)
{
	struct chunk_layout *l = w->l;
	const char *fmt = l->family == CHUNK_AIFF ? "COMM" : "fmt ";
	const char *data = l->family == CHUNK_AIFF ? "SSND" : "data";
	struct chunk c;
	bool more = true;
	int r;

	while (more && l->n_chunks < CHUNK_MAX) {
		*end = pos;
		if ((r = chunk_at(w, pos, &c)) == -1)
			return -1;
		if (r == 0)
			return 0;
		if (l->data != -1 && (r = chunks_from(w, pos)) != 1)
			return r;
		if (l->family == CHUNK_RF64 && same_id(&c, "ds64") && !w->ds64.there &&
		    read_ds64(w, &c) == -1)
			return -1;
		if (same_id(&c, data) && l->data == -1) {
			l->data = (int)l->n_chunks;
			if (found_audio(w, &c, &more) == -1)
				return -1;
		} else if (c.size < c.declared) {
			w->tail_cut = l->data != -1;
			l->truncated = l->data == -1;
			more = false;
		}
		if (same_id(&c, fmt)) {
			l->duplicate_fmt = l->fmt != -1;
			if (l->fmt == -1)
				l->fmt = (int)l->n_chunks;
			if (!l->duplicate_fmt &&
			    (l->family == CHUNK_AIFF ? read_comm(w, &c, comm_frames)
						     : read_fmt(w, &c)) == -1)
				return -1;
		}
		if (add(w, &c) == -1 || next_after(w, &c, &pos) == -1)
			return -1;
		*end = pos;
		if (l->duplicate_fmt)
			return 0;
	}
	return 0;
}

/* What lies behind the last chunk: audio, when it follows the audio's chunk and is no tag nor
 * padding. */
static int
look_behind(struct walk *w, uint64_t end)
{
	struct chunk_layout *l = w->l;
	bool after_audio = l->data != -1 && l->data == (int)l->n_chunks - 1;
	int r;

	if (end >= w->size || w->size - end < header_size(w))
		return 0;
	l->junk_offset = end;
	l->junk_size = w->size - end;
	if (!after_audio || l->open_header || l->truncated || l->duplicate_fmt ||
	    l->junk_size <= l->block_align || l->junk_size < MIN_STALE)
		return 0;
	if ((r = tag_at(w, end)) != 0 || (r = zeros_from(w, end)) != 0)
		return r == -1 ? -1 : 0;
	/* A pad byte that was skipped is audio then. */
	l->short_header = true;
	l->audio_size = w->size - l->audio_offset;
	l->junk_offset = l->junk_size = 0;
	return 0;
}

/*
 * COMM's count is what plays; a few bytes that SSND has more are filler (its blockSize). A count
 * that leaves out more than that is wrong.
 */
static void
compare_comm(struct chunk_layout *l, uint64_t frames)
{
	uint64_t bytes;

	if (l->block_align == 0)
		return;
	bytes = frames * l->block_align; /* 32 by at most 32 bits */
	if (bytes > l->audio_size || l->audio_size - bytes > MAX_FILLER || bytes == 0)
		l->outer_mismatch |= l->audio_size / l->block_align != frames;
	else
		l->audio_size = l->audio_declared = bytes;
}

static void
compare_counts(struct walk *w, uint64_t comm_frames)
{
	struct chunk_layout *l = w->l;
	uint64_t outer = l->outer_declared, end;

	if (l->data == -1) {
		/* Placeholders claim nothing that could have been cut off. */
		if (!l->truncated && l->fmt != -1 && outer > w->size &&
		    !is_placeholder(w, outer, w->size))
			l->truncated = true;
		return;
	}
	if (l->open_header || l->short_header || l->truncated)
		return;
	/* Writers that count the outer header in, or forget a pad byte, are off by a few bytes. */
	end = l->audio_offset + l->audio_size;
	if (l->family != CHUNK_W64)
		outer += 8;
	if (w->tail_cut && outer > w->size)
		l->truncated = true;
	else if (w->tail_cut || outer > w->size + 9 || outer + 9 < end)
		l->outer_mismatch = true;
	if (l->family == CHUNK_AIFF)
		compare_comm(l, comm_frames);
}

/* The outermost header: 1 and where the chunks start, 0 when it is none of ours, -1 and *e. */
static int
recognise(struct walk *w, uint64_t *first)
{
	static const unsigned char w64_riff[16] = "riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1";
	struct chunk_layout *l = w->l;
	unsigned char h[40];
	int r;

	if ((r = get(w, 0, h, 12)) != 1)
		return r;
	*first = 12;
	l->outer_declared = bytes_number(h + 4, 4, false);
	if (memcmp(h + 8, "WAVE", 4) == 0 &&
	    (memcmp(h, "RIFF", 4) == 0 || memcmp(h, "RIFX", 4) == 0)) {
		l->family = CHUNK_RIFF;
		l->container = "wav";
		l->big_endian = h[3] == 'X';
	} else if (memcmp(h + 8, "WAVE", 4) == 0 &&
		   (memcmp(h, "RF64", 4) == 0 || memcmp(h, "BW64", 4) == 0)) {
		l->family = CHUNK_RF64;
		l->container = "rf64";
	} else if (memcmp(h, "FORM", 4) == 0 &&
		   (memcmp(h + 8, "AIFF", 4) == 0 || memcmp(h + 8, "AIFC", 4) == 0)) {
		l->family = CHUNK_AIFF;
		l->container = "aiff";
		l->big_endian = true;
	} else {
		if ((r = get(w, 0, h, 40)) != 1)
			return r;
		if (memcmp(h, w64_riff, 16) != 0 || memcmp(h + 24, "wave", 4) != 0 ||
		    memcmp(h + 28, chunk_w64_tail, sizeof chunk_w64_tail) != 0)
			return 0;
		l->family = CHUNK_W64;
		l->container = "w64";
		l->outer_declared = bytes_number(h + 16, 8, false);
		*first = 40;
	}
	if (l->big_endian)
		l->outer_declared = bytes_number(h + 4, 4, true);
	return 1;
}

int
chunk_layout(int fd, uint64_t size_bytes, struct chunk_layout *l, struct err *e)
{
	struct walk w = {.fd = fd, .size = size_bytes, .l = l, .e = e};
	uint64_t pos, end, comm_frames = 0;
	int r;

	*l = (struct chunk_layout){.fmt = -1, .data = -1};
	if ((r = recognise(&w, &pos)) != 1)
		return r;
	end = pos;
	if (walk_chunks(&w, pos, &comm_frames, &end) == -1 || look_behind(&w, end) == -1) {
		chunk_layout_free(l);
		return -1;
	}
	if (w.ds64.there)
		l->outer_declared = w.ds64.riff;
	compare_counts(&w, comm_frames);
	return 1;
}

void
chunk_layout_free(struct chunk_layout *l)
{
	free(l->chunks);
	l->chunks = NULL;
	l->n_chunks = 0;
	l->fmt = l->data = -1;
}

unsigned
chunk_sub_format(const unsigned char format[40], bool big)
{
	static const unsigned char base[14] = "\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71",
				   ambisonic[14] = "\0\0\x21\x07\xd3\x11\x86\x44\xc8\xc1\xca\0\0\0";

	if (memcmp(format + 26, base, sizeof base) != 0 &&
	    memcmp(format + 26, ambisonic, sizeof ambisonic) != 0)
		return 0;
	return (unsigned)bytes_number(format + 24, 2, big);
}
