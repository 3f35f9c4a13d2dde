#include "wrap.h"

#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "mem.h"

#define MAX_FORMAT 4096
#define MAX_INFO 65536
/* libsndfile drops a whole bext whose coding history is longer; the part that fits is kept instead.
 */
#define MAX_BEXT (602 + 15000)
#define MAX_AIFF_TEXT 2000
#define MAX_TEXTS 64
#define MAX_32 UINT64_C(0xfff00000)

/* At most max bytes of a chunk's body are copied, with its header and pad. */
static int
copy(struct source *s, const struct chunk *c, size_t max, bool big, struct buf *out, struct err *e)
{
	size_t len = c->size < max ? (size_t)c->size : max;

	if (buf_add(out, c->id, 4, e) == -1 || bytes_add(out, len, 4, big, e) == -1 ||
	    buf_room(out, len + 1, e) == -1)
		return -1;
	if (source_read(s, c->offset, out->data + out->len, len) < len)
		memset(out->data + out->len, 0, len);
	out->len += len;
	return len % 2 != 0 ? buf_add(out, "", 1, e) : 0;
}

/*
 * The parts of a LIST INFO that are whole, with true sizes: libsndfile loses its way in a list
 * whose parts do not fill it.
 */
static int
copy_info(struct source *s, const struct chunk *c, bool big, struct buf *out, struct err *e)
{
	unsigned char h[8];
	uint64_t at = c->offset + 4, end = c->offset + c->size;
	size_t list = out->len + 4;

	if (buf_adds(out, "LIST", e) == -1 || bytes_add(out, 0, 4, big, e) == -1 ||
	    buf_adds(out, "INFO", e) == -1)
		return -1;
	while (at < end && end - at > sizeof h && source_read(s, at, h, sizeof h) == sizeof h) {
		struct chunk part = {.offset = at + 8};

		for (unsigned i = 0; i < 4; i++)
			part.size |= (uint64_t)h[4 + i] << 8 * (big ? 3 - i : i);
		if (part.size > end - part.offset)
			break;
		memcpy(part.id, h, 4);
		if (h[0] == 'I' && copy(s, &part, MAX_INFO, big, out, e) == -1)
			return -1;
		at = part.offset + part.size + part.size % 2;
	}
	for (unsigned i = 0; i < 4; i++)
		out->data[list + (big ? 3 - i : i)] = (char)((out->len - list - 4) >> (8 * i));
	return 0;
}

/* The chunks that describe the recording. */
static int
copy_texts(struct source *s, const struct chunk_layout *l, struct buf *out, struct err *e)
{
	static const char aiff[][5] = {"NAME", "AUTH", "(c) ", "ANNO"};
	unsigned n = 0;

	for (unsigned i = 0; i < l->n_chunks && n < MAX_TEXTS; i++) {
		const struct chunk *c = &l->chunks[i];
		char type[4];
		size_t max = 0;
		bool info = false;

		if (l->family == CHUNK_AIFF) {
			for (size_t k = 0; k < sizeof aiff / sizeof *aiff; k++)
				if (memcmp(c->id, aiff[k], 4) == 0)
					max = MAX_AIFF_TEXT;
		} else if (memcmp(c->id, "bext", 4) == 0) {
			max = MAX_BEXT;
		} else if (memcmp(c->id, "LIST", 4) == 0 && c->size >= 4 && c->size <= MAX_INFO &&
			   source_read(s, c->offset, type, 4) == 4 &&
			   memcmp(type, "INFO", 4) == 0) {
			max = MAX_INFO;
			info = true;
		}
		if (max == 0)
			continue;
		n++;
		if ((info ? copy_info(s, c, l->big_endian, out, e)
			  : copy(s, c, max, l->big_endian, out, e)) == -1)
			return -1;
	}
	return 0;
}

unsigned
wrap_format_tag(struct source *s, const struct chunk_layout *l)
{
	unsigned char b[26] = {0};
	unsigned hi = l->big_endian ? 0 : 1;
	unsigned tag;

	if (l->family == CHUNK_AIFF || l->fmt == -1 || l->chunks[l->fmt].size < 16)
		return 0;
	source_read(s, l->chunks[l->fmt].offset, b, l->chunks[l->fmt].size < 26 ? 16 : 26);
	tag = (unsigned)b[hi] << 8 | b[1 - hi];
	return tag == 0xfffe ? (unsigned)b[24 + hi] << 8 | b[25 - hi] : tag;
}

static int
wrap_riff(
    struct source *s, const struct chunk_layout *l, uint64_t audio, struct buf *h, struct err *e)
{
	bool big = l->big_endian;
	size_t riff;

	if (buf_adds(h, big ? "RIFX" : "RIFF", e) == -1)
		return -1;
	riff = h->len;
	if (bytes_add(h, 0, 4, big, e) == -1 || buf_adds(h, "WAVE", e) == -1 ||
	    copy(s, &l->chunks[l->fmt], MAX_FORMAT, big, h, e) == -1 ||
	    copy_texts(s, l, h, e) == -1 || buf_adds(h, "data", e) == -1 ||
	    bytes_add(h, audio, 4, big, e) == -1)
		return -1;
	/* The size of RIFF, now that it is known. */
	for (unsigned i = 0; i < 4; i++)
		h->data[riff + (big ? 3 - i : i)] = (char)((h->len - 8 + audio) >> (8 * i));
	return 0;
}

/* libsndfile's W64 takes an extensible format for integers: it gets the plain form. */
static int
wrap_w64(
    struct source *s, const struct chunk_layout *l, uint64_t audio, struct buf *h, struct err *e)
{
	static const unsigned char riff[16] = "riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1";
	static const unsigned char wave[16] =
	    "wave\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a";
	static const unsigned char fmt[16] = "fmt \xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a";
	static const unsigned char data[16] =
	    "data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a";
	unsigned char f[16] = {0};
	unsigned tag = wrap_format_tag(s, l);

	source_read(s, l->chunks[l->fmt].offset, f, sizeof f);
	f[0] = (unsigned char)tag;
	f[1] = (unsigned char)(tag >> 8);
	if (buf_add(h, riff, 16, e) == -1 ||
	    bytes_add(h, 40 + 40 + 24 + audio, 8, false, e) == -1 ||
	    buf_add(h, wave, 16, e) == -1 || buf_add(h, fmt, 16, e) == -1 ||
	    bytes_add(h, 40, 8, false, e) == -1 || buf_add(h, f, 16, e) == -1 ||
	    buf_add(h, data, 16, e) == -1 || bytes_add(h, 24 + audio, 8, false, e) == -1)
		return -1;
	return 0;
}

static int
wrap_aiff(
    struct source *s, const struct chunk_layout *l, uint64_t audio, struct buf *h, struct err *e)
{
	const struct chunk *comm = &l->chunks[l->fmt];
	uint64_t frames = l->block_align > 0 ? audio / l->block_align : 0;
	char type[4] = "AIFF";
	size_t at;

	source_read(s, 8, type, sizeof type);
	if (buf_adds(h, "FORM", e) == -1 || bytes_add(h, 0, 4, true, e) == -1 ||
	    buf_add(h, type, sizeof type, e) == -1)
		return -1;
	at = h->len;
	if (copy(s, comm, MAX_FORMAT, true, h, e) == -1)
		return -1;
	/* Frames of compressed formats are packets: their count stays as it is. */
	for (unsigned i = 0; l->block_align > 0 && i < 4; i++)
		h->data[at + 8 + 5 - i] = (char)(frames >> (8 * i));
	if (copy_texts(s, l, h, e) == -1 || buf_adds(h, "SSND", e) == -1 ||
	    bytes_add(h, audio + 8, 4, true, e) == -1 || bytes_add(h, 0, 8, true, e) == -1)
		return -1;
	for (unsigned i = 0; i < 4; i++)
		h->data[4 + 3 - i] = (char)((h->len - 8 + audio) >> (8 * i));
	return 0;
}

int
wrap_audio(struct source *s, const struct chunk_layout *l, struct view *v, struct err *e)
{
	struct buf h = {0};
	uint64_t audio = l->audio_size;
	int rc = -1;

	if (l->block_align > 0)
		audio -= audio % l->block_align;
	if (l->family == CHUNK_AIFF || l->big_endian) {
		/* These have no form for more, and no writer makes more. */
		audio = audio > MAX_32 ? MAX_32 - (l->block_align ? MAX_32 % l->block_align : 0)
				       : audio;
		rc = l->family == CHUNK_AIFF ? wrap_aiff(s, l, audio, &h, e)
					     : wrap_riff(s, l, audio, &h, e);
	} else if (audio > MAX_32) {
		rc = wrap_w64(s, l, audio, &h, e);
	} else {
		rc = wrap_riff(s, l, audio, &h, e);
	}
	if (rc == 0 && (view_add_bytes(v, h.data, h.len, e) == -1 ||
			   view_add_file(v, l->audio_offset, audio, e) == -1))
		rc = -1;
	buf_free(&h);
	return rc;
}
