/*
 * pcm: samples as they come from a device or a pipe, and as they are kept in a file.
 *
 * Formats have ffmpeg's names of raw samples: s16le s16be s24le s24be s32le s32be f32le f32be u8;
 * ALSA's S16_LE … FLOAT_BE, U8 and S24_3LE (packed) are the same ones. A file keeps little-endian
 * integers of 16, 24 or 32 bits, or 32-bit floats. Integers become wider without loss; a conversion
 * that would lose something (fewer bits, float to integer, integers of 32 bits to float) is
 * refused.
 */
#ifndef REC_PCM_H
#define REC_PCM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct pcm_format {
	const char *name;
	unsigned bits; /* significant, and stored: 8 16 24 32 */
	bool is_float, is_unsigned, is_big_endian;
};

/* By name; NULL and *e (ERR_USAGE) with the list of names. */
const struct pcm_format *pcm_format(const char *name, struct err *e);
/* Of a sample. */
unsigned pcm_bytes(const struct pcm_format *f);

/* What a file keeps, little-endian and signed. */
struct pcm_kept {
	unsigned bits; /* 16 24 32 */
	bool is_float; /* then bits is 32 */
};
/* The narrowest that keeps everything (u8 becomes 16 bits). */
struct pcm_kept pcm_keep(const struct pcm_format *f);
/* 0 when nothing is lost; else -1 and *e (ERR_USAGE). */
int pcm_check(const struct pcm_format *from, const struct pcm_kept *to, struct err *e);
/* n samples; out has room for n * to->bits / 8 bytes; in and out do not overlap. */
void pcm_convert(
    const struct pcm_format *from, const void *in, size_t n, const struct pcm_kept *to, void *out);

/* n kept integers, each moved to the upper end of 32 bits; n kept floats. */
void pcm_ints(const struct pcm_kept *kept, const void *samples, size_t n, int32_t *out);
void pcm_floats(const void *samples, size_t n, float *out);

/*
 * The first frame of which a sample reaches a magnitude (1.0 is full scale); `frames` when there is
 * none.
 */
size_t pcm_find_loud(const struct pcm_kept *kept, const void *samples, size_t frames,
    unsigned channels, double magnitude);

/* What a meter shows, of kept samples; the caller keeps one for each channel. */
struct pcm_level {
	double peak;	    /* 0.0 to 1.0, and more for floats */
	double sum_squares; /* of samples with full scale 1.0 */
	uint64_t frames;
	uint64_t clipped; /* samples at or beyond full scale */
};
/* Adds frames to levels[channels], which start as {0}. A float that is no number counts as 0. */
void pcm_measure(const struct pcm_kept *kept, const void *samples, size_t frames, unsigned channels,
    struct pcm_level *levels);

#endif
