/*
 * decoder: the samples of a file of audio.
 *
 * Decodes what content_look found in a file, through the view that it made: the library behind it
 * (libsndfile) never opens the file itself and never sees a header that lies. Every frame that is
 * in the file comes out, whatever length its header claims; after damage the library is asked again
 * for as long as that leads it forward in the file. Memory does not grow with the length.
 *
 *	content_look(&c, fd, e);
 *	d = decoder_open(&c, e);
 *	while ((n = decoder_read(d, DECODER_FLOAT, block)) > 0) ...
 *	if (source_failed(c.source, e)) ...
 *	verdict(c.facts, &problem);
 *	decoder_close(d);
 *	content_close(&c);
 *
 * What is wrong with the file is no error but a fact. Of c.facts, decoder_open fills in `opened`,
 * `unimplemented`, `open_error`, `rate_hz` and `frames` (0), and decoder_read `frames`,
 * `decode_error` and `error_frame`. The two sentences belong to the decoder and live as long. A
 * disk that fails and a request to stop end the frames: the source tells.
 */
#ifndef REC_DECODER_H
#define REC_DECODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "content.h"
#include "err.h"

/* Samples (of all channels together) that one read gives at most. */
#define DECODER_MAX_BLOCK 65536
/* A tag that is longer is cut. */
#define DECODER_MAX_TAG 65536

struct decoder;

enum decoder_samples {
	DECODER_INT, /* at the upper end of 32 bits */
	/* Full scale is 1.0. Files of floats may exceed it and hold what is no number. */
	DECODER_FLOAT,
	DECODER_DOUBLE,
};

/* Channels take turns. */
union decoder_block {
	int i[DECODER_MAX_BLOCK];
	float f[DECODER_MAX_BLOCK];
	double d[DECODER_MAX_BLOCK];
};

struct decoder_format {
	unsigned rate_hz; /* of what is decoded: 48000 for Opus */
	unsigned channels;
	int64_t frames;	 /* that the view's header and size allow; -1: not known before the end */
	char codec[24];	 /* pcm_s16le flac vorbis opus mp3 ... (ffprobe's names); "" unknown */
	int stored_bits; /* a sample, of lossless and G.711 formats; -1 where it means nothing */
	bool lossless;
	enum decoder_samples samples; /* the type that loses nothing */
	unsigned bits;		      /* a sample of DECODER_INT; 0 for the other types */
};

/*
 * NULL and *e when out of memory. A file that cannot be decoded gives a decoder without frames:
 * c->facts->opened is false. c is borrowed until decoder_close; nobody else moves its view.
 */
struct decoder *decoder_open(struct content *c, struct err *e);
/* NULL is fine. */
void decoder_close(struct decoder *d);

/* Of a file that was opened. Belongs to the decoder. */
const struct decoder_format *decoder_format(const struct decoder *d);

/*
 * Calls put for each description in the file, in a fixed order: title artist album comment date
 * genre software copyright license track, and of a broadcast extension (EBU Tech 3285) description
 * originator originator_reference origination_date origination_time time_reference coding_history.
 * The text has len bytes, none of them NUL, in an encoding that nobody declared; it lives during
 * the call. 0, or -1 and *e when out of memory or as soon as put gives -1.
 */
int decoder_tags(struct decoder *d,
    int (*put)(void *ctx, const char *key, const char *text, size_t len, struct err *e), void *ctx,
    struct err *e);

/* The next frames as samples of that type: how many, or 0 at the end and when stopped. */
size_t decoder_read(struct decoder *d, enum decoder_samples type, union decoder_block *b);

/*
 * Moves to a frame, exactly, of PCM and FLAC: decoder_read goes on from there, and so does
 * facts.frames; an error elsewhere is forgotten. FLAC is sought by the numbers in the headers of
 * its frames, in a fraction of a second, if they begin with 0 and the count of samples in the
 * view's STREAMINFO is not too small (0, as content shows it, will do). Where libsndfile
 * cannot seek, it begins again and decodes what is before the frame for nothing. 0; -1 when the
 * format is a lossy one, when the frame is not there or behind damage that had to be decoded, and
 * when stopped.
 */
int decoder_seek(struct decoder *d, uint64_t frame);
/* The same from the present place on, by decoding alone. */
int decoder_skip_to(struct decoder *d, uint64_t frame);

/*
 * Another look at up to len_frames frames from `frame` on, as floats, once decoder_read has come to
 * the end; for formats whose frames all have the same size. How many; the facts stay as they are.
 */
size_t decoder_look_back(struct decoder *d, uint64_t frame, float *p, size_t len_frames);

#endif
