/*
 * Sources: RFC 3533 (pages), RFC 7845 (Opus in Ogg: pre-skip, granule positions, pre-roll), RFC
 * 6716 section 3.1 (how long a packet of Opus is), Vorbis I specification sections 4.2.4 (modes),
 * 4.3.8 (what a packet gives) and A.2 (granule positions).
 *
 * The file is gone through twice, page by page: at first to the end, which tells how long it is,
 * where its first sample lies and whether there is one stream only; then to the last wanted packet.
 * Positions below are "raw": samples since the first packet of audio, before any are dropped.
 * Durations come from the packets, and the granule position of each page has to agree with them:
 * where it does not, nobody can tell which samples are meant, and that is damage.
 */
#include "oggcut.h"

#include <stdlib.h>
#include <string.h>

#include "io.h"
#include "mem.h"

#define NO_GRANULE UINT64_MAX
/* Packets of audio have some thousand bytes, headers of Vorbis some ten thousand. */
#define MAX_PACKET ((size_t)1 << 20)
/* A comment header may hold pictures; only its name is looked at. */
#define TAGS_KEPT 16
#define OPUS_RATE_HZ 48000
/* RFC 7845 asks for 80 ms at least. After these, samples may still differ by some hundredths of
 * full scale from what they were; after 400 ms, by some thousandths. */
#define OPUS_PREROLL 19200
/* RFC 6716: 120 ms. */
#define OPUS_MAX_PACKET 5760
#define MAX_MODES 64

#define PAGE_CONTINUED 1
#define PAGE_BOS 2
#define PAGE_EOS 4

/* Pages as they are filled. */
struct pager {
	int fd;
	struct err *e;
	uint32_t serial, number;
	unsigned rate_hz;
	unsigned segments;
	size_t len;
	bool continued; /* its first packet began on the page before */
	bool alone;	/* the next packet begins a page */
	uint64_t granule, flushed;
	unsigned char lacing[255], body[255 * 255], page[OGG_MAX_PAGE];
};

struct oggcut {
	struct source *s;
	struct err *e;
	const struct framing_id *id;
	bool writing;
	/* Where the reading is. */
	uint64_t at;
	unsigned char page[OGG_MAX_PAGE];
	size_t page_len;
	uint64_t pages, packets, granule; /* of the page */
	uint32_t serial, number;
	unsigned char flags;
	bool open;	    /* a packet goes on on the next page */
	bool drop;	    /* it began where nobody looked */
	struct buf packet;  /* as far as it is kept */
	uint64_t sum;	    /* raw end of the last packet */
	bool damaged, done; /* done: nothing more is needed */
	uint64_t damaged_at;
	const char *why; /* a sentence's end */
	/* The codec. */
	bool opus;
	unsigned pre_skip;
	unsigned blocks[2], last_block, n_modes;
	bool mode_long[MAX_MODES];
	/* What the first reading found. */
	bool has_base, has_origin;
	uint64_t base; /* granule position of raw 0; it wraps */
	uint64_t skip; /* raw samples before the first that is played */
	uint64_t end;  /* raw */
	/* The new file. */
	uint64_t raw_first, raw_end;
	uint64_t origin; /* raw, where its positions are counted from */
	bool started;
	struct buf before; /* the packet before */
	struct pager pager;
};

static uint32_t
le32(const unsigned char *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static void
put_le(unsigned char *p, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

/* ---- writing pages ---- */

static int
pager_write(struct pager *p, unsigned char *page, size_t len)
{
	put_le(page + 18, p->number++, 4);
	put_le(page + 22, framing_ogg_crc(page, len), 4);
	return io_write(p->fd, page, len, p->e);
}

static int
pager_flush(struct pager *p, bool eos)
{
	unsigned char *page = p->page;
	size_t head = 27 + p->segments;

	memcpy(page, "OggS", 4);
	page[4] = 0;
	page[5] = (unsigned char)((p->continued ? PAGE_CONTINUED : 0) | (eos ? PAGE_EOS : 0));
	put_le(page + 6, p->granule, 8);
	put_le(page + 14, p->serial, 4);
	page[26] = (unsigned char)p->segments;
	memcpy(page + 27, p->lacing, p->segments);
	memcpy(page + head, p->body, p->len);
	head += p->len;
	if (p->granule != NO_GRANULE)
		p->flushed = p->granule;
	p->segments = 0;
	p->len = 0;
	p->continued = p->alone = false;
	p->granule = NO_GRANULE;
	return pager_write(p, page, head);
}

/* Ends a page when it is full, holds a second, or is to end. */
static int
pager_make_room(struct pager *p, size_t len)
{
	if (p->segments == 0)
		return 0;
	if (!p->alone && p->segments + len / 255 + 1 <= 255 &&
	    (p->granule == NO_GRANULE || p->granule - p->flushed < p->rate_hz))
		return 0;
	return pager_flush(p, false);
}

static int
pager_put(struct pager *p, const struct buf *packet, uint64_t granule)
{
	size_t done = 0, n;

	if (pager_make_room(p, packet->len) == -1)
		return -1;
	do {
		if (p->segments == 255) {
			if (pager_flush(p, false) == -1)
				return -1;
			p->continued = true;
		}
		n = packet->len - done < 255 ? packet->len - done : 255;
		if (n > 0)
			memcpy(p->body + p->len, packet->data + done, n);
		p->lacing[p->segments++] = (unsigned char)n;
		p->len += n;
		done += n;
	} while (n == 255);
	p->granule = granule;
	return 0;
}

/* ---- headers ---- */

static unsigned
n_headers(const struct oggcut *c)
{
	return c->opus ? 2 : 3;
}

static int
unsupported(struct oggcut *c, const char *why)
{
	return err_item(c->e, P_UNSUPPORTED, "%s", why);
}

static int
first_header(struct oggcut *c, const unsigned char *p, size_t len)
{
	if (len >= 19 && memcmp(p, "OpusHead", 8) == 0) {
		if (p[8] >> 4 != 0)
			return unsupported(c, "is Opus of a later version than is known");
		c->opus = true;
		c->pre_skip = p[10] | (unsigned)p[11] << 8;
		c->raw_first += c->pre_skip;
		c->pager.rate_hz = OPUS_RATE_HZ;
		return 0;
	}
	if (len < 30 || memcmp(p, "\1vorbis", 7) != 0)
		return unsupported(c, "is Ogg of another codec; only Vorbis and Opus are cut so");
	c->pager.rate_hz = le32(p + 12);
	c->blocks[0] = 1u << (p[28] & 15);
	c->blocks[1] = 1u << (p[28] >> 4);
	if (c->blocks[0] < 64 || c->blocks[0] > c->blocks[1] || c->blocks[1] > 8192 ||
	    c->pager.rate_hz == 0)
		return err_item(c->e, P_DECODE_ERROR, "its header of Vorbis says what cannot be");
	return 0;
}

/* n bits from bit `at` on; Vorbis counts them from the lowest of each byte. */
static unsigned
bits(const unsigned char *p, size_t at, unsigned n)
{
	unsigned v = 0;

	for (unsigned i = 0; i < n; i++)
		v |= (p[(at + i) / 8] >> ((at + i) % 8) & 1u) << i;
	return v;
}

/*
 * The modes end the setup header: 6 bits of their count less one, then for each the block's flag,
 * 16 bits of window and of transform that are 0, and 8 of the mapping (below 64); then a bit that
 * is 1. Read from the end they need none of the codebooks before them. A chance hit in these would
 * show in the granule positions.
 */
static int
setup_header(struct oggcut *c, const unsigned char *p, size_t len)
{
	size_t end = len * 8, at;
	unsigned n = 0;

	while (end > 0 && bits(p, end - 1, 1) == 0)
		end--;
	at = end > 0 ? end - 1 : 0;
	while (n < MAX_MODES && at >= 41 + 6 + 56 && bits(p, at - 40, 32) == 0 &&
	       bits(p, at - 8, 8) < 64) {
		at -= 41;
		if (bits(p, at - 6, 6) + 1 == ++n)
			c->n_modes = n;
	}
	if (c->n_modes == 0)
		return err_item(
		    c->e, P_DECODE_ERROR, "its header of Vorbis does not end with modes");
	at = end - 1 - 41 * (size_t)c->n_modes;
	for (unsigned i = 0; i < c->n_modes; i++)
		c->mode_long[i] = bits(p, at + 41 * (size_t)i, 1);
	return 0;
}

static int
header_packet(struct oggcut *c)
{
	const unsigned char *p = (const unsigned char *)c->packet.data;
	size_t len = c->packet.len;
	const char *magic = c->opus ? "OpusTags" : c->packets == 1 ? "\3vorbis" : "\5vorbis";

	if (c->writing)
		return 0;
	if (c->packets == 0)
		return c->page[26] == 1
			   ? first_header(c, p, len)
			   : unsupported(c, "its first header does not have a page of its own");
	if (len < strlen(magic) || memcmp(p, magic, strlen(magic)) != 0)
		return err_item(c->e, P_DECODE_ERROR, "the headers of its codec are not there");
	return c->packets == 2 ? setup_header(c, p, len) : 0;
}

/* A page of headers goes along, with the pre-skip of the new file. */
static int
put_header_page(struct oggcut *c)
{
	if (c->opus && c->packets == 0)
		put_le(c->page + 28 + 10, c->raw_first - c->origin, 2);
	return pager_write(&c->pager, c->page, c->page_len);
}

/* ---- how long a packet is ---- */

static uint64_t
opus_samples(const unsigned char *p, size_t len)
{
	static const unsigned short silk[] = {480, 960, 1920, 2880};
	unsigned config, size, n;

	if (len == 0)
		return 0;
	config = p[0] >> 3;
	size = config < 12   ? silk[config & 3]
	       : config < 16 ? silk[config & 1]
			     : 120u << (config & 3);
	n = (p[0] & 3) == 0 ? 1 : (p[0] & 3) < 3 ? 2 : len > 1 ? p[1] & 0x3f : 0;
	return size * n <= OPUS_MAX_PACKET ? size * n : 0;
}

/* A packet gives what it shares with the one before it; the first gives nothing. */
static uint64_t
vorbis_samples(struct oggcut *c, const unsigned char *p, size_t len)
{
	unsigned mask = 0, mode, block, last = c->last_block;

	while (mask < c->n_modes - 1)
		mask = mask << 1 | 1;
	mode = len > 0 ? p[0] >> 1 & mask : MAX_MODES;
	/* Decoders pass over what is no packet of audio. */
	if (mode >= c->n_modes || (p[0] & 1))
		return 0;
	block = c->blocks[c->mode_long[mode]];
	c->last_block = block;
	return last > 0 ? last / 4 + block / 4 : 0;
}

static void
damage(struct oggcut *c, const char *why)
{
	c->damaged = c->done = true;
	c->why = why;
	c->damaged_at = c->at;
}

/* ---- the first reading: how long the file is ---- */

/* The first granule position says where the stream begins: on a page that ends it, at 0. */
static void
find_base(struct oggcut *c)
{
	bool ends = c->flags & PAGE_EOS;
	uint64_t early = c->sum - c->granule;

	c->has_base = true;
	c->base = ends ? 0 : c->granule - c->sum;
	c->skip = c->pre_skip;
	if (ends || c->granule >= c->sum)
		return;
	if (c->opus)
		damage(c, "its samples are counted from below 0");
	else
		c->skip = early;
}

/* At a page's last packet. */
static void
check_granule(struct oggcut *c)
{
	uint64_t told;

	if (c->granule == NO_GRANULE || c->granule > INT64_MAX) {
		damage(c, "a page ends a packet and counts no samples");
		return;
	}
	if (!c->has_base)
		find_base(c);
	told = c->granule - c->base;
	if (told != c->sum && !(c->flags & PAGE_EOS))
		damage(c, "a page counts other samples than its packets hold");
	else if (!c->damaged)
		c->end = told < c->sum ? told : c->sum;
}

/* ---- the second reading: the packets that are wanted ---- */

static int
put_packet(struct oggcut *c, const struct buf *packet)
{
	uint64_t end = c->sum < c->raw_end ? c->sum : c->raw_end;

	c->done = c->sum >= c->raw_end;
	return pager_put(&c->pager, packet, end - c->origin);
}

/*
 * Vorbis begins with the packet before, which gives nothing; the first that gives something ends
 * the page, so that the page's granule position tells where in it the audio begins. Of a page that
 * ends the stream too it tells the end: a part within one packet begins with it, or where the old
 * file does not play all of that, it goes to the packet's end.
 */
static int
start_vorbis(struct oggcut *c, uint64_t samples)
{
	bool within = c->sum >= c->raw_end, from_its_start = c->sum - samples >= c->skip;

	c->started = true;
	if (within && from_its_start)
		c->raw_first = c->sum - samples;
	else if (within)
		c->raw_end = c->sum;
	c->origin = c->raw_first;
	if (pager_put(&c->pager, &c->before, 0) == -1 || put_packet(c, &c->packet) == -1)
		return -1;
	c->pager.alone = !(within && from_its_start);
	return 0;
}

static int
write_packet(struct oggcut *c, uint64_t samples)
{
	struct buf swap = c->before;

	if (c->started)
		return put_packet(c, &c->packet);
	if (c->opus && c->sum > c->origin) {
		c->started = true;
		return put_packet(c, &c->packet);
	}
	if (!c->opus && c->sum > c->raw_first)
		return start_vorbis(c, samples);
	/* What is no packet of audio is not what the next one overlaps. */
	if (samples > 0 || c->sum == 0) {
		c->before = c->packet;
		c->packet = swap;
	}
	return 0;
}

/* ---- reading packets ---- */

static int
audio_packet(struct oggcut *c, bool last_on_page)
{
	const unsigned char *p = (const unsigned char *)c->packet.data;
	uint64_t samples;

	samples = c->opus ? opus_samples(p, c->packet.len) : vorbis_samples(c, p, c->packet.len);
	if (c->opus && samples == 0) {
		damage(c, "a packet of Opus has no length");
		return 0;
	}
	c->sum += samples;
	if (c->writing)
		return write_packet(c, samples);
	if (c->opus && !c->has_origin && c->sum + OPUS_PREROLL > c->raw_first) {
		c->has_origin = true;
		c->origin = c->sum - samples;
	}
	if (last_on_page)
		check_granule(c);
	return 0;
}

static int
end_packet(struct oggcut *c, bool last_on_page)
{
	if (c->packets >= n_headers(c)) {
		if (audio_packet(c, last_on_page) == -1)
			return -1;
	} else {
		if (header_packet(c) == -1)
			return -1;
		if (c->packets + 1 == n_headers(c) && !last_on_page)
			return unsupported(c, "its headers do not end with a page");
	}
	c->packets++;
	return 0;
}

static int
keep(struct oggcut *c, const unsigned char *p, size_t len)
{
	if (c->packets == 1) {
		size_t room = c->packet.len < TAGS_KEPT ? TAGS_KEPT - c->packet.len : 0;

		len = len < room ? len : room;
	}
	if (c->packet.len + len > MAX_PACKET)
		return unsupported(c, "one of its packets is larger than any of audio");
	return buf_add(&c->packet, p, len, c->e);
}

static int
read_packets(struct oggcut *c)
{
	unsigned n = c->page[26], last = n;
	const unsigned char *lacing = c->page + 27, *p = lacing + n;

	while (last > 0 && lacing[last - 1] == 255)
		last--;
	for (unsigned i = 0; i < n && !c->done; p += lacing[i++]) {
		if (keep(c, p, lacing[i]) == -1)
			return -1;
		c->open = lacing[i] == 255;
		if (c->open)
			continue;
		if (!c->drop && end_packet(c, i + 1 == last) == -1)
			return -1;
		c->drop = false;
		buf_clear(&c->packet);
	}
	return 0;
}

/* ---- reading pages ---- */

/* In front of the first stream's second page lie the first pages of all streams that take turns. */
static int
check_stream(struct oggcut *c)
{
	uint32_t serial = le32(c->page + 14);

	if (c->pages == 0) {
		c->serial = c->pager.serial = serial;
		return 0;
	}
	if ((c->flags & PAGE_BOS) && c->pages > 1)
		return unsupported(c, "holds several streams of Ogg one behind the other: "
				      "parts of such a chain are not cut");
	if (serial != c->serial || (c->flags & PAGE_BOS))
		return unsupported(c, "holds several streams of Ogg that take turns: "
				      "parts of such a mixture are not cut");
	return 0;
}

/* Streams cut out of a live one go on from the headers at any number, and within a packet. */
static bool
follows(struct oggcut *c)
{
	uint32_t number = le32(c->page + 18);
	bool gap = c->pages > 0 && number != c->number + 1, first = c->number <= 1;

	c->number = number;
	if (gap && !first)
		return false;
	if (c->open && !(c->flags & PAGE_CONTINUED))
		return false;
	if (!c->open && (c->flags & PAGE_CONTINUED)) {
		c->drop = true;
		return c->pages > 0 && c->sum == 0;
	}
	return true;
}

/* The page at c->at; c->done at the end, and where none can be trusted any more. */
static int
read_page(struct oggcut *c)
{
	if (c->at >= c->id->end) {
		c->done = true;
		return 0;
	}
	c->page_len = framing_ogg_page(c->s, c->at, c->id->end, c->page);
	if (c->page_len == 0) {
		damage(c, "no whole page is there");
		return source_failed(c->s, c->e) ? -1 : 0;
	}
	c->flags = c->page[5];
	c->granule = (uint64_t)le32(c->page + 10) << 32 | le32(c->page + 6);
	if (check_stream(c) == -1)
		return -1;
	if (!follows(c)) {
		damage(c, "a page is missing");
		return 0;
	}
	if (c->writing && c->packets < n_headers(c) && put_header_page(c) == -1)
		return -1;
	if (read_packets(c) == -1)
		return -1;
	c->at += c->page_len;
	c->pages++;
	return 0;
}

static int
read_all(struct oggcut *c, bool writing)
{
	c->writing = writing;
	c->at = c->id->begin;
	c->pages = c->packets = c->sum = 0;
	c->number = c->last_block = 0;
	c->open = c->drop = c->done = false;
	buf_clear(&c->packet);
	while (!c->done)
		if (read_page(c) == -1)
			return -1;
	return 0;
}

/* ---- one cut ---- */

static int
plan(struct oggcut *c, uint64_t first, uint64_t frames)
{
	uint64_t total = c->end > c->skip ? c->end - c->skip : 0;

	if (c->damaged && (first >= total || frames > total - first))
		return err_item(c->e, P_DECODE_ERROR,
		    "damaged at byte %llu, %llu frames from its beginning: %s",
		    (unsigned long long)c->damaged_at, (unsigned long long)total, c->why);
	if (first >= total)
		return err_item(c->e, P_DECODE_ERROR,
		    "has %llu frames: the wanted ones begin behind its end",
		    (unsigned long long)total);
	c->raw_first = c->skip + first;
	c->raw_end = c->raw_first + (frames < total - first ? frames : total - first);
	return 0;
}

/* Behind a page that is to stay alone, the stream ends with a page of no packets. */
static int
finish(struct oggcut *c)
{
	uint64_t granule = c->pager.granule;

	if (c->pager.alone) {
		if (pager_flush(&c->pager, false) == -1)
			return -1;
		c->pager.granule = granule;
	}
	return pager_flush(&c->pager, true);
}

static int
cut(struct oggcut *c, uint64_t *first, uint64_t *frames)
{
	c->raw_first = *first;
	if (read_all(c, false) == -1 || plan(c, *first, *frames) == -1 || read_all(c, true) == -1)
		return -1;
	if (c->sum < c->raw_end || !c->started)
		return err_item(c->e, P_MODIFIED, "changed while it was read");
	*first = c->raw_first - c->skip;
	*frames = c->raw_end - c->raw_first;
	return finish(c);
}

int
oggcut_write(struct source *s, const struct framing_id *id, uint64_t *first, uint64_t *frames,
    int out_fd, struct err *e)
{
	struct oggcut *c = mem_new(1, sizeof *c, e);
	int rc;

	if (c == NULL)
		return -1;
	c->s = s;
	c->id = id;
	c->e = e;
	c->pager.fd = out_fd;
	c->pager.e = e;
	c->pager.granule = NO_GRANULE;
	rc = cut(c, first, frames);
	buf_free(&c->packet);
	buf_free(&c->before);
	free(c);
	return rc;
}
