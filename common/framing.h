/*
 * framing: which format a file is of, by its content, and whether its frames are all there.
 *
 *  framing_identify  the format, from the first bytes (and the chains of frames of MPEG and GSM)
 *  framing_flac      STREAMINFO of a FLAC stream (RFC 9639)
 *  framing_ogg       the pages of an Ogg stream (RFC 3533), each with its checksum
 *  framing_mpeg      the frames of MPEG-1/2/2.5 audio, layers I to III, with the Xing, Info and
 *                    VBRI headers
 *  framing_sizes     sizes that the headers of AU and CAF declare
 *
 * The walks read every byte once through the source; they tell damage from a cut where decoders
 * only fall silent. Nothing here decodes. Functions that can fail return 0, or -1 and *e when out
 * of memory; a source that fails ends a walk early, and the caller asks source_failed.
 */
#ifndef REC_FRAMING_H
#define REC_FRAMING_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "source.h"

enum framing_format {
	FRAMING_UNKNOWN,     /* not audio, as far as anybody can tell */
	FRAMING_UNSUPPORTED, /* a known format that is not decoded here */
	FRAMING_FLAC,
	FRAMING_OGG,
	FRAMING_MPEG,
	FRAMING_GSM,   /* raw GSM 06.10 frames, 8 kHz mono */
	FRAMING_OTHER, /* libsndfile reads it without help: CAF AU VOC NIST IRCAM 8SVX */
};

struct framing_id {
	enum framing_format format;
	const char *container; /* as ffprobe says, or "" */
	const char *name;      /* "a JPEG picture", "WavPack"; never NULL */
	uint64_t begin, end;   /* the stream without ID3v2, ID3v1, APE and Lyrics3 tags */
};

/* Files of the RIFF and AIFF families are chunk_layout's. */
void framing_identify(struct source *s, struct framing_id *id);

struct flac_info {
	bool there;	       /* a STREAMINFO block was found */
	uint64_t info_offset;  /* of STREAMINFO's body, in the file */
	uint64_t audio_offset; /* behind the last metadata block */
	uint64_t frames;       /* declared; 0 is unknown */
	unsigned block;	       /* frames a block, when they are all the same, else 0 */
	unsigned bits, channels, rate_hz;
	char md5[33]; /* lower-case hex; "" when the encoder left it out */
};

void framing_flac(struct source *s, uint64_t begin, uint64_t end, struct flac_info *f);

/*
 * 1 when a frame's header is found in the last 128 KiB before end: the sample it starts at and how
 * many it claims to hold; the last such header. 0 when there is none.
 */
int framing_flac_last(
    struct source *s, const struct flac_info *f, uint64_t end, uint64_t *start, unsigned *len);

struct ogg_walk {
	const char *codec; /* of the first stream: vorbis opus flac speex ..., or "" */
	uint64_t pages;
	uint64_t damaged;   /* pages whose checksum does not fit, stretches that are no pages, pages
			       missing */
	uint64_t damage_at; /* the first of them */
	uint64_t end;	    /* behind the last whole page */
	bool eos;	    /* the last whole page ends its stream */
	uint64_t cut_need, cut_have; /* of an incomplete last page; 0 when there is none */
};

void framing_ogg(struct source *s, uint64_t begin, uint64_t end, struct ogg_walk *o);

#define OGG_MAX_PAGE (27 + 255 + 255 * 255)

/* The length of the whole page that begins at `at`, which is read; 0 when there is none whose
 * checksum fits. */
size_t framing_ogg_page(
    struct source *s, uint64_t at, uint64_t end, unsigned char page[OGG_MAX_PAGE]);
/* The checksum of a page of len bytes, whatever stands in its place. */
uint32_t framing_ogg_crc(const unsigned char *page, size_t len);

struct mpeg_header {
	unsigned version; /* 3: 1, 2: 2, 0: 2.5 */
	unsigned layer, rate_hz, channels, samples, len;
	bool crc;
};

/* What the four bytes of a frame's header say; false when they are none (or of free format). */
bool framing_mpeg_header(const unsigned char p[4], struct mpeg_header *h);
/* The bytes of side information in a frame of layer III, behind the header and the CRC. */
unsigned framing_mpeg_side(const struct mpeg_header *h);

struct mpeg_run {
	uint64_t offset, len;
};

struct mpeg_walk {
	unsigned layer, rate_hz, channels, samples; /* a frame */
	uint64_t frames; /* without the one that holds a Xing, Info or VBRI header */
	bool declared;	 /* there is such a header */
	bool info_says_frames;
	bool vbri; /* it is of that kind: decoders play the frame that holds it */
	uint64_t declared_frames;
	uint64_t info_offset, info_len; /* that frame */
	struct mpeg_run *runs; /* frames that follow each other without a gap, at most 4096 runs */
	size_t n_runs;
	uint64_t lost_at, lost_bytes; /* the first gap between frames, and the bytes in all gaps */
	uint64_t end;		      /* behind the last whole frame */
	uint64_t cut_need, cut_have;  /* of an incomplete last frame; 0 when there is none */
};

/* Without `whole`, only the first frame is looked for: then `frames` is 1 or 0 and there are no
 * runs. */
int framing_mpeg(
    struct source *s, uint64_t begin, uint64_t end, bool whole, struct mpeg_walk *m, struct err *e);
void framing_mpeg_free(struct mpeg_walk *m);
/* There is a Xing or Info header, and it counts the frames that are there: a decoder may see it. */
bool framing_mpeg_info_is_true(const struct mpeg_walk *m);

/* 1 and the bytes of audio that the header of an AU or CAF file claims, and where they start; else
 * 0. */
int framing_sizes(struct source *s, const char *container, uint64_t *offset, uint64_t *declared);

#endif
