/*
 * Everything read here comes from untrusted files: lengths are compared with what is left before
 * they are used, and each loop moves forward.
 */
#include "framing.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "utf8.h"

#define MAX_RUNS 4096
/* Before this many bytes the first MPEG frame starts (a recording cut out of a stream starts inside
 * one). */
#define MPEG_SEARCH 8192

static uint32_t
be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t
le32(const unsigned char *p)
{
	return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static uint64_t
be64(const unsigned char *p)
{
	return (uint64_t)be32(p) << 32 | be32(p + 4);
}

/* Exactly len bytes that lie before end. */
static bool
get(struct source *s, uint64_t offset, uint64_t end, void *p, size_t len)
{
	return offset <= end && end - offset >= len && source_read(s, offset, p, len) == len;
}

/* ---- tags around a stream ---- */

static uint64_t
skip_id3v2(struct source *s, uint64_t begin, uint64_t end)
{
	unsigned char h[10];

	for (int i = 0; i < 4 && get(s, begin, end, h, sizeof h); i++) {
		uint64_t len;

		if (memcmp(h, "ID3", 3) != 0 || h[3] == 0xff ||
		    ((h[6] | h[7] | h[8] | h[9]) & 0x80))
			break;
		len = (uint64_t)h[6] << 21 | (uint64_t)h[7] << 14 | (uint64_t)h[8] << 7 | h[9];
		len += 10 + (h[5] & 0x10 ? 10 : 0);
		begin = end - begin < len ? end : begin + len;
	}
	return begin;
}

static uint64_t
strip_tail(struct source *s, uint64_t begin, uint64_t end)
{
	unsigned char t[32];

	if (end - begin >= 128 && get(s, end - 128, end, t, 3) && memcmp(t, "TAG", 3) == 0)
		end -= 128;
	if (end - begin >= 32 && get(s, end - 32, end, t, 32) && memcmp(t, "APETAGEX", 8) == 0) {
		uint64_t len = (uint64_t)le32(t + 12) + (t[23] & 0x80 ? 32 : 0);

		if (len >= 32 && len <= end - begin)
			end -= len;
	}
	if (end - begin >= 15 && get(s, end - 15, end, t, 15) &&
	    memcmp(t + 6, "LYRICS200", 9) == 0) {
		uint64_t len = 0;

		for (int i = 0; i < 6; i++)
			len = len * 10 + (uint64_t)(t[i] >= '0' && t[i] <= '9' ? t[i] - '0' : 0);
		if (len + 15 <= end - begin)
			end -= len + 15;
	}
	return end;
}

/* ---- MPEG audio: ISO 11172-3, 13818-3, and 2.5 ---- */

bool
framing_mpeg_header(const unsigned char p[4], struct mpeg_header *h)
{
	static const unsigned short kbps[2][3][15] = {
	    {{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
		{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
		{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}},
	    {{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160}}};
	static const unsigned rates[3] = {44100, 48000, 32000};
	unsigned bitrate = p[2] >> 4, rate = (p[2] >> 2) & 3, pad = (p[2] >> 1) & 1;

	h->version = (p[1] >> 3) & 3;
	h->layer = 4 - ((p[1] >> 1) & 3);
	h->len = 4;
	/* Bitrate 0 ("free format") is left out: its length cannot be told from one header. */
	if (p[0] != 0xff || (p[1] & 0xe0) != 0xe0 || h->version == 1 || h->layer == 4 ||
	    bitrate == 0 || bitrate == 15 || rate == 3 || (p[3] & 3) == 2)
		return false;
	h->rate_hz = rates[rate] >> (h->version == 3 ? 0 : h->version == 2 ? 1 : 2);
	h->channels = (p[3] >> 6) == 3 ? 1 : 2;
	h->crc = !(p[1] & 1);
	h->samples = h->layer == 1 ? 384 : h->layer == 3 && h->version != 3 ? 576 : 1152;
	bitrate = kbps[h->version != 3][h->layer - 1][bitrate] * 1000u;
	h->len = h->layer == 1 ? (12 * bitrate / h->rate_hz + pad) * 4
			       : h->samples / 8 * bitrate / h->rate_hz + pad;
	return h->len >= 24;
}

unsigned
framing_mpeg_side(const struct mpeg_header *h)
{
	return h->version == 3 ? (h->channels == 1 ? 17 : 32) : (h->channels == 1 ? 9 : 17);
}

static bool
mpeg_at(struct source *s, uint64_t offset, uint64_t end, struct mpeg_header *h)
{
	unsigned char p[4];

	return get(s, offset, end, p, sizeof p) && framing_mpeg_header(p, h);
}

static bool
mpeg_agree(const struct mpeg_header *a, const struct mpeg_header *b)
{
	return a->version == b->version && a->layer == b->layer && a->rate_hz == b->rate_hz &&
	       a->channels == b->channels;
}

/* n frames (or fewer that end exactly at the end) follow each other from offset on. */
static bool
mpeg_chain(struct source *s, uint64_t offset, uint64_t end, unsigned n, struct mpeg_header *first)
{
	struct mpeg_header h;

	if (!mpeg_at(s, offset, end, first))
		return false;
	h = *first;
	for (unsigned i = 1; i < n; i++) {
		if (end - offset < h.len)
			return false;
		offset += h.len;
		if (offset == end)
			return true;
		if (!mpeg_at(s, offset, end, &h) || !mpeg_agree(first, &h))
			return false;
	}
	return true;
}

/* A Xing, Info or VBRI header in the frame at offset. */
static void
mpeg_info(struct source *s, uint64_t offset, uint64_t end, const struct mpeg_header *h,
    struct mpeg_walk *m)
{
	/* Behind the header, the CRC if any, and the side information. */
	unsigned side = framing_mpeg_side(h);
	unsigned char p[18];

	if (h->layer != 3)
		return;
	for (unsigned crc = 0; crc <= (h->crc ? 2u : 0u) && !m->declared; crc += 2)
		if (get(s, offset + 4 + crc + side, end, p, 12) &&
		    (memcmp(p, "Xing", 4) == 0 || memcmp(p, "Info", 4) == 0)) {
			m->declared = true;
			m->info_says_frames = be32(p + 4) & 1;
			m->declared_frames = be32(p + 8);
		}
	if (!m->declared && get(s, offset + 36, end, p, sizeof p) && memcmp(p, "VBRI", 4) == 0) {
		m->declared = m->info_says_frames = m->vbri = true;
		m->declared_frames = be32(p + 14);
	}
	m->info_offset = offset;
	m->info_len = m->declared ? h->len : 0;
}

/* The next place from offset on where n frames follow each other; false when there is none before
 * limit. */
static bool
mpeg_search(struct source *s, uint64_t *offset, uint64_t limit, uint64_t end, unsigned n,
    const struct mpeg_header *like, struct mpeg_header *found)
{
	unsigned char block[4096];
	uint64_t at = *offset;

	while (at < limit) {
		size_t len = limit - at < sizeof block ? (size_t)(limit - at) : sizeof block;
		size_t got = source_read(s, at, block, len);

		for (size_t i = 0; i < got; i++)
			if (block[i] == 0xff && mpeg_chain(s, at + i, end, n, found) &&
			    (like == NULL || mpeg_agree(like, found))) {
				*offset = at + i;
				return true;
			}
		if (got < len)
			return false;
		at += len;
	}
	return false;
}

static int
add_run(struct mpeg_walk *m, uint64_t offset, uint64_t len, struct err *e)
{
	struct mpeg_run *r;

	if (m->n_runs > 0 && m->runs[m->n_runs - 1].offset + m->runs[m->n_runs - 1].len == offset) {
		m->runs[m->n_runs - 1].len += len;
		return 0;
	}
	if ((r = realloc(m->runs, (m->n_runs + 1) * sizeof *r)) == NULL)
		return err_nomem(e);
	r[m->n_runs++] = (struct mpeg_run){offset, len};
	m->runs = r;
	return 0;
}

int
framing_mpeg(
    struct source *s, uint64_t begin, uint64_t end, bool whole, struct mpeg_walk *m, struct err *e)
{
	struct mpeg_header first, h;
	uint64_t at = begin, limit = end - begin < MPEG_SEARCH ? end : begin + MPEG_SEARCH;

	*m = (struct mpeg_walk){.end = begin};
	if (!mpeg_chain(s, at, end, 2, &first) && !mpeg_search(s, &at, limit, end, 3, NULL, &first))
		return 0;
	m->layer = first.layer;
	m->rate_hz = first.rate_hz;
	m->channels = first.channels;
	m->samples = first.samples;
	mpeg_info(s, at, end, &first, m);
	m->end = at;
	if (!whole)
		m->frames = 1;
	while (whole && at < end && m->n_runs < MAX_RUNS) {
		uint64_t lost = at;

		if (!mpeg_at(s, at, end, &h) || !mpeg_agree(&first, &h)) {
			unsigned char sync = 0;

			if (end - at < 4 && source_read(s, at, &sync, 1) == 1 && sync == 0xff) {
				m->cut_need = h.len;
				m->cut_have = end - at;
			}
			if (!mpeg_search(s, &at, end, end, 3, &first, &h))
				break;
			m->lost_at = m->lost_bytes == 0 ? lost : m->lost_at;
			m->lost_bytes += at - lost;
		}
		if (end - at < h.len) {
			m->cut_need = h.len;
			m->cut_have = end - at;
			break;
		}
		if (add_run(m, at, h.len, e) == -1)
			return -1;
		m->frames += !(m->declared && at == m->info_offset);
		at += h.len;
		m->end = at;
	}
	return 0;
}

bool
framing_mpeg_info_is_true(const struct mpeg_walk *m)
{
	return m->declared && !m->vbri && m->info_says_frames &&
	       m->declared_frames <= m->frames + 2 && m->frames <= m->declared_frames + 2;
}

void
framing_mpeg_free(struct mpeg_walk *m)
{
	free(m->runs);
	m->runs = NULL;
	m->n_runs = 0;
}

/* ---- which format ---- */

static const struct magic {
	unsigned offset;
	unsigned len;
	const char *bytes;
	enum framing_format format;
	const char *container;
	const char *name;
} magics[] = {
    {0, 4, "fLaC", FRAMING_FLAC, "flac", "FLAC"},
    {0, 4, "OggS", FRAMING_OGG, "ogg", "Ogg"},
    {0, 4, "caff", FRAMING_OTHER, "caf", "CAF"},
    {0, 4, ".snd", FRAMING_OTHER, "au", "AU"},
    {0, 4, "dns.", FRAMING_OTHER, "au", "AU"},
    {0, 19, "Creative Voice File", FRAMING_OTHER, "voc", "VOC"},
    {0, 7, "NIST_1A", FRAMING_OTHER, "nistsphere", "NIST SPHERE"},
    {0, 4, "\x64\xa3\x01\x00", FRAMING_OTHER, "ircam", "IRCAM"},
    {0, 4, "\x64\xa3\x02\x00", FRAMING_OTHER, "ircam", "IRCAM"},
    {0, 4, "\x00\x01\xa3\x64", FRAMING_OTHER, "ircam", "IRCAM"},
    {0, 4, "\x00\x02\xa3\x64", FRAMING_OTHER, "ircam", "IRCAM"},
    {8, 4, "8SVX", FRAMING_OTHER, "iff", "8SVX"},
    {0, 4, "wvpk", FRAMING_UNSUPPORTED, "wv", "WavPack"},
    {4, 4, "ftyp", FRAMING_UNSUPPORTED, "mov", "MP4 (M4A, MOV)"},
    {4, 4, "moov", FRAMING_UNSUPPORTED, "mov", "MP4 (M4A, MOV)"},
    {0, 4, "\x1a\x45\xdf\xa3", FRAMING_UNSUPPORTED, "matroska", "Matroska (WebM)"},
    {0, 8, "\x30\x26\xb2\x75\x8e\x66\xcf\x11", FRAMING_UNSUPPORTED, "asf", "ASF (WMA)"},
    {0, 4, "MAC ", FRAMING_UNSUPPORTED, "ape", "Monkey's Audio"},
    {0, 4, "DSD ", FRAMING_UNSUPPORTED, "dsf", "DSF"},
    {0, 4, "FRM8", FRAMING_UNSUPPORTED, "iff", "DSDIFF"},
    {0, 5, "#!AMR", FRAMING_UNSUPPORTED, "amr", "AMR"},
    {0, 4, "MThd", FRAMING_UNSUPPORTED, "", "MIDI"},
    {0, 4, "TTA1", FRAMING_UNSUPPORTED, "tta", "True Audio"},
    {0, 4, "tBaK", FRAMING_UNSUPPORTED, "tak", "TAK"},
    {0, 4, "MPCK", FRAMING_UNSUPPORTED, "mpc8", "Musepack"},
    {0, 3, "MP+", FRAMING_UNSUPPORTED, "mpc", "Musepack"},
    {0, 4, "OFR ", FRAMING_UNSUPPORTED, "", "OptimFROG"},
    {0, 4, "ajkg", FRAMING_UNSUPPORTED, "shn", "Shorten"},
    {0, 4, ".RMF", FRAMING_UNSUPPORTED, "rm", "RealMedia"},
    {0, 4, ".ra\xfd", FRAMING_UNSUPPORTED, "rm", "RealAudio"},
    {0, 3, "FLV", FRAMING_UNSUPPORTED, "flv", "Flash video"},
    {8, 4, "AVI ", FRAMING_UNSUPPORTED, "avi", "AVI"},
    {8, 4, "RMID", FRAMING_UNSUPPORTED, "", "MIDI"},
    {0, 4, "\x7f\xfe\x80\x01", FRAMING_UNSUPPORTED, "dts", "DTS"},
    {0, 4, "2BIT", FRAMING_UNSUPPORTED, "", "AVR"},
    {0, 4, "PVF1", FRAMING_UNSUPPORTED, "", "PVF"},
    {0, 4, " paf", FRAMING_UNSUPPORTED, "", "PAF"},
    {0, 4, "fap ", FRAMING_UNSUPPORTED, "", "PAF"},
    {0, 13, "ALawSoundFile", FRAMING_UNSUPPORTED, "", "Psion WVE"},
    {0, 3, "\xff\xd8\xff", FRAMING_UNKNOWN, "", "a JPEG picture"},
    {0, 4, "\x89PNG", FRAMING_UNKNOWN, "", "a PNG picture"},
    {0, 4, "GIF8", FRAMING_UNKNOWN, "", "a GIF picture"},
    {8, 4, "WEBP", FRAMING_UNKNOWN, "", "a WebP picture"},
    {0, 4, "%PDF", FRAMING_UNKNOWN, "", "a PDF document"},
    {0, 4, "PK\x03\x04", FRAMING_UNKNOWN, "", "a ZIP archive"},
    {0, 2, "\x1f\x8b", FRAMING_UNKNOWN, "", "a gzip file"},
    {0, 6,
	"\xfd"
	"7zXZ",
	FRAMING_UNKNOWN, "", "an xz file"},
    {0, 4, "\x28\xb5\x2f\xfd", FRAMING_UNKNOWN, "", "a zstd file"},
    {0, 6, "SQLite", FRAMING_UNKNOWN, "", "an SQLite database"},
    {0, 4,
	"\x7f"
	"ELF",
	FRAMING_UNKNOWN, "", "a program"},
};

/* Raw GSM 06.10 as Asterisk records it: 33 bytes a frame, each starting with the nibble 0xd. */
static bool
is_gsm(struct source *s, uint64_t size)
{
	unsigned char frame[33];

	if (size < 10 * sizeof frame || size % sizeof frame != 0)
		return false;
	for (uint64_t at = 0; at < size && at < 1000 * sizeof frame; at += sizeof frame)
		if (!get(s, at, size, frame, sizeof frame) || frame[0] >> 4 != 0xd)
			return false;
	return true;
}

/* Raw AAC frames (ADTS), three in a row. */
static bool
is_adts(struct source *s, uint64_t at, uint64_t end)
{
	unsigned char p[7];

	for (int i = 0; i < 3; i++) {
		uint64_t len;

		if (!get(s, at, end, p, sizeof p) || p[0] != 0xff || (p[1] & 0xf6) != 0xf0)
			return false;
		len = (uint64_t)(p[3] & 3) << 11 | (uint64_t)p[4] << 3 | p[5] >> 5;
		if (len < 7)
			return false;
		at += len;
	}
	return true;
}

static const char *
describe(const unsigned char *p, size_t len)
{
	size_t zeros = 0, text = 0;

	for (size_t i = 0; i < len; i++) {
		zeros += p[i] == 0;
		text +=
		    (p[i] >= 0x20 && p[i] != 0x7f) || p[i] == '\n' || p[i] == '\r' || p[i] == '\t';
	}
	/* The last character may be cut. */
	for (size_t cut = 0; text == len && cut < 4 && cut < len; cut++)
		if (utf8_valid((const char *)p, len - cut))
			return "text";
	return len > 0 && zeros == len ? "zero bytes" : "data of no known audio format";
}

void
framing_identify(struct source *s, struct framing_id *id)
{
	unsigned char p[256] = {0};
	uint64_t size = source_size(s), at;
	bool tagged;
	size_t n;

	*id = (struct framing_id){.container = "", .name = "", .end = size};
	id->begin = skip_id3v2(s, 0, size);
	tagged = id->begin > 0;
	id->end = strip_tail(s, id->begin, size);
	n = source_read(s, id->begin, p, sizeof p);
	for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
		if (magics[i].offset + magics[i].len <= n &&
		    memcmp(p + magics[i].offset, magics[i].bytes, magics[i].len) == 0) {
			id->format = magics[i].format;
			id->container = magics[i].container;
			id->name = magics[i].name;
			return;
		}
	at = id->begin;
	if (is_adts(s, at, id->end)) {
		*id = (struct framing_id){FRAMING_UNSUPPORTED, "aac", "AAC (ADTS)", at, id->end};
	} else {
		struct mpeg_header h;
		uint64_t limit = id->end - at < MPEG_SEARCH ? id->end : at + MPEG_SEARCH;

		if (tagged || mpeg_chain(s, at, id->end, 3, &h) ||
		    mpeg_search(s, &at, limit, id->end, 5, NULL, &h)) {
			id->format = FRAMING_MPEG;
			id->container = "mp3";
			id->name = "MP3";
		} else if (is_gsm(s, size)) {
			*id = (struct framing_id){FRAMING_GSM, "gsm", "GSM", 0, size};
		} else {
			id->name = describe(p, n);
		}
	}
}

/* ---- FLAC ---- */

void
framing_flac(struct source *s, uint64_t begin, uint64_t end, struct flac_info *f)
{
	static const unsigned char none[16];
	unsigned char h[4], b[34];
	uint64_t at = begin + 4;
	bool last = false;

	*f = (struct flac_info){.audio_offset = begin + 4};
	for (int i = 0; i < 4096 && !last && get(s, at, end, h, sizeof h); i++) {
		uint64_t len = be32(h) & 0xffffff;

		last = h[0] & 0x80;
		at += 4;
		if ((h[0] & 0x7f) == 0 && !f->there && len >= 34 && get(s, at, end, b, sizeof b)) {
			f->there = true;
			f->info_offset = at;
			f->block = be32(b) >> 16 == (be32(b) & 0xffff) ? be32(b) >> 16 : 0;
			f->rate_hz = be32(b + 10) >> 12;
			f->channels = ((b[12] >> 1) & 7) + 1;
			f->bits = ((b[12] & 1u) << 4 | b[13] >> 4) + 1u;
			f->frames = be64(b + 10) & UINT64_C(0xfffffffff);
			if (memcmp(b + 18, none, 16) != 0)
				hash_hex(b + 18, 16, f->md5);
		}
		at = end - at < len ? end : at + len;
	}
	f->audio_offset = at;
}

/* RFC 9639 section 9.1: the header of a frame, with its CRC-8. */
static bool
flac_frame(
    const unsigned char *p, size_t len, const struct flac_info *f, uint64_t *start, unsigned *block)
{
	static const unsigned short sizes[16] = {
	    0, 192, 576, 1152, 2304, 4608, 0, 0, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768};
	unsigned code = len > 4 ? p[2] >> 4 : 0, rate = len > 4 ? p[2] & 15u : 0, at = 4, more = 0;
	uint64_t number;
	unsigned char crc = 0;

	if (len < 16 || p[0] != 0xff || (p[1] & 0xfe) != 0xf8 || code == 0 || rate == 15 ||
	    (p[3] >> 4) > 10 || (p[3] & 1))
		return false;
	while (more < 7 && p[4] & (0x80 >> more))
		more++;
	if (more == 1)
		return false;
	number = more == 0 ? p[4] : p[4] & (0x7fu >> more);
	for (at = 5; more > 1; more--, at++) {
		if ((p[at] & 0xc0) != 0x80)
			return false;
		number = number << 6 | (p[at] & 0x3f);
	}
	*block = sizes[code];
	if (code == 6)
		*block = p[at] + 1u;
	else if (code == 7)
		*block = ((unsigned)p[at] << 8 | p[at + 1]) + 1;
	at += code == 6 ? 1 : code == 7 ? 2 : 0;
	at += rate == 12 ? 1 : rate == 13 || rate == 14 ? 2 : 0;
	for (unsigned i = 0; i < at; i++) {
		crc ^= p[i];
		for (int k = 0; k < 8; k++)
			crc = (unsigned char)(crc & 0x80 ? crc << 1 ^ 7 : crc << 1);
	}
	*start = p[1] & 1 ? number : number * (f->block ? f->block : *block);
	return crc == p[at] && (f->frames == 0 || *start < f->frames);
}

int
framing_flac_last(
    struct source *s, const struct flac_info *f, uint64_t end, uint64_t *start, unsigned *len)
{
	unsigned char p[16];
	uint64_t first, at = end - f->audio_offset > 131072 ? end - 131072 : f->audio_offset;
	unsigned n;
	int there = 0;

	for (; at + 16 <= end && source_read(s, at, p, 2) == 2; at++)
		if (p[0] == 0xff && (p[1] & 0xfe) == 0xf8 &&
		    source_read(s, at, p, sizeof p) == sizeof p &&
		    flac_frame(p, sizeof p, f, &first, &n)) {
			there = 1;
			*start = first;
			*len = n;
		}
	return there;
}

/* ---- Ogg ---- */

#define OGG_STREAMS 16

uint32_t
framing_ogg_crc(const unsigned char *page, size_t len)
{
	static _Thread_local uint32_t table[256];
	uint32_t crc = 0;

	for (uint32_t i = 0; table[255] == 0 && i < 256; i++) {
		uint32_t r = i << 24;

		for (int k = 0; k < 8; k++)
			r = r & 0x80000000u ? r << 1 ^ 0x04c11db7u : r << 1;
		table[i] = r;
	}
	for (size_t i = 0; i < len; i++) {
		unsigned char b = i >= 22 && i < 26 ? 0 : page[i];

		crc = crc << 8 ^ table[crc >> 24 ^ b];
	}
	return crc;
}

/* The bytes that a page needs whose first 27 are there, as far as its lacing values tell; 0 when
 * reading failed. */
static uint64_t
ogg_need(struct source *s, uint64_t at, uint64_t end, unsigned char *page)
{
	uint64_t need = 27 + page[26];
	size_t len = end - at < need ? (size_t)(end - at) : (size_t)need;

	if (source_read(s, at, page, len) < len)
		return 0;
	for (size_t i = 27; i < len; i++)
		need += page[i];
	return need;
}

size_t
framing_ogg_page(struct source *s, uint64_t at, uint64_t end, unsigned char page[OGG_MAX_PAGE])
{
	uint64_t need;

	if (!get(s, at, end, page, 27) || memcmp(page, "OggS", 4) != 0)
		return 0;
	need = ogg_need(s, at, end, page);
	if (need == 0 || !get(s, at, end, page, (size_t)need) ||
	    framing_ogg_crc(page, (size_t)need) != le32(page + 22))
		return 0;
	return (size_t)need;
}

static const char *
ogg_codec(const unsigned char *p, size_t len)
{
	static const struct {
		const char *magic;
		size_t len;
		const char *codec;
	} known[] = {{"\x01vorbis", 7, "vorbis"}, {"OpusHead", 8, "opus"},
	    {"\x7f"
	     "FLAC",
		5, "flac"},
	    {"Speex   ", 8, "speex"}, {"\x80theora", 7, "theora"}, {"fishead", 7, "skeleton"}};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (len >= known[i].len && memcmp(p, known[i].magic, known[i].len) == 0)
			return known[i].codec;
	return "";
}

static void
ogg_damage(struct ogg_walk *o, uint64_t at)
{
	if (o->damaged++ == 0)
		o->damage_at = at;
}

/* Notes a page number that does not follow the stream's last one. */
static void
ogg_sequence(
    struct ogg_walk *o, uint32_t serials[][2], unsigned *n, const unsigned char *page, uint64_t at)
{
	uint32_t serial = le32(page + 14), number = le32(page + 18);
	unsigned i;

	for (i = 0; i < *n && serials[i][0] != serial; i++)
		;
	if (i == OGG_STREAMS)
		return;
	/* Streams cut out of a live one go on from the headers at any number; after that, each
	 * follows. */
	if (i == *n)
		serials[(*n)++][0] = serial;
	else if (number != serials[i][1] + 1 && serials[i][1] > 1)
		ogg_damage(o, at);
	serials[i][1] = number;
}

static uint64_t
ogg_next(struct source *s, uint64_t at, uint64_t end)
{
	unsigned char block[4096];

	while (end - at >= 4) {
		size_t n = source_read(
		    s, at, block, end - at < sizeof block ? (size_t)(end - at) : sizeof block);
		unsigned char *p;

		if (n < 4)
			break;
		if ((p = memmem(block, n, "OggS", 4)) != NULL)
			return at + (uint64_t)(p - block);
		at += n - 3;
	}
	return end;
}

void
framing_ogg(struct source *s, uint64_t begin, uint64_t end, struct ogg_walk *o)
{
	static _Thread_local unsigned char page[OGG_MAX_PAGE];
	uint32_t serials[OGG_STREAMS][2] = {{0}};
	unsigned n_serials = 0;
	uint64_t at = begin, need, next;

	*o = (struct ogg_walk){.codec = "", .end = begin};
	while (at < end) {
		size_t len = end - at < 27 ? (size_t)(end - at) : 27;

		if (source_read(s, at, page, len) < len)
			return;
		if (memcmp(page, "OggS", len < 4 ? len : 4) != 0) {
			/* What follows the last page is not damage within the stream. */
			if ((next = ogg_next(s, at + 1, end)) == end)
				return;
			ogg_damage(o, at);
			at = next;
			continue;
		}
		need = len == 27 ? ogg_need(s, at, end, page) : 27;
		if (need == 0)
			return;
		if (end - at < need) {
			o->cut_need = need;
			o->cut_have = end - at;
			return;
		}
		if (source_read(s, at, page, (size_t)need) < need)
			return;
		if (framing_ogg_crc(page, (size_t)need) != le32(page + 22)) {
			ogg_damage(o, at);
			at = ogg_next(s, at + 1, end);
			continue;
		}
		if (o->pages++ == 0)
			o->codec = ogg_codec(page + 27 + page[26], (size_t)need - 27 - page[26]);
		ogg_sequence(o, serials, &n_serials, page, at);
		o->eos = page[5] & 4;
		at += need;
		o->end = at;
	}
}

/* ---- sizes in the headers of AU and CAF ---- */

static int
caf_sizes(struct source *s, uint64_t *offset, uint64_t *declared)
{
	unsigned char h[12];
	uint64_t at = 8, size = source_size(s);

	for (int i = 0; i < 4096 && get(s, at, size, h, sizeof h); i++) {
		uint64_t len = be64(h + 4);

		at += 12;
		if (memcmp(h, "data", 4) == 0) {
			/* -1: the last chunk, of unknown size. Four bytes are the edit count. */
			*offset = at + 4;
			*declared = len < 4 || len == UINT64_MAX ? 0 : len - 4;
			return len != UINT64_MAX;
		}
		if (len > size - at)
			return 0;
		at += len;
	}
	return 0;
}

int
framing_sizes(struct source *s, const char *container, uint64_t *offset, uint64_t *declared)
{
	unsigned char h[12];

	if (strcmp(container, "caf") == 0)
		return caf_sizes(s, offset, declared);
	if (strcmp(container, "au") != 0 || !get(s, 0, source_size(s), h, sizeof h))
		return 0;
	*offset = h[0] == '.' ? be32(h + 4) : le32(h + 4);
	*declared = h[0] == '.' ? be32(h + 8) : le32(h + 8);
	return *declared != UINT32_MAX;
}
