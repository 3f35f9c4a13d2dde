/*
 * flacframes: a stretch of samples as frames of FLAC with the numbers that they have in a longer
 * stream (RFC 9639 section 9).
 *
 * A frame depends on no other: many stretches can be encoded at a time, and are what one encoder
 * would give of all of them, as long as each holds whole blocks but for the last. Each is the
 * beginning of a stream of its own, and of its frames nothing but the number is changed. What was
 * encoded is decoded again, with its new numbers, and compared.
 */
#ifndef REC_FLACFRAMES_H
#define REC_FLACFRAMES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "sfwriter.h"

/* Samples of a stretch, about, and blocks at most. */
#define FLACFRAMES_SAMPLES 131072
#define FLACFRAMES_BLOCKS 64
/* Of a stream's body of STREAMINFO; where it begins in a stream. */
#define FLACFRAMES_INFO_BYTES 34
#define FLACFRAMES_INFO_AT 8

struct flacframes {
	uint64_t first; /* of the whole stream: a multiple of the block */
	size_t frames;	/* samples of each channel */
	int *samples;	/* owned, from mem_new; at the upper end of 32 bits */
	/* Out: */
	unsigned char *bytes;
	size_t len, cap;
	unsigned n; /* blocks */
	size_t ends[FLACFRAMES_BLOCKS];
	struct err e; /* why it is not encoded, or ERR_NONE */
};

struct flacframes_opts {
	const struct sfwriter_opts *encoder; /* without its flac */
	int level;
	unsigned block;		   /* samples of each channel */
	const unsigned char *info; /* the encoder's STREAMINFO */
	bool verify;
	const atomic_int *stop; /* or NULL */
};

/* Fills s->bytes or s->e; the samples are freed. Many at once. */
void flacframes_encode(struct flacframes *s, const struct flacframes_opts *o);
/* NULL is fine. */
void flacframes_free(struct flacframes *s);

/* Sets the count of samples in the body of a STREAMINFO, and takes out sizes of frames and MD5. */
void flacframes_set_count(unsigned char info[FLACFRAMES_INFO_BYTES], uint64_t frames);

#endif
