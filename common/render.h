/*
 * render: gain and fades, on samples as they stand in a file.
 *
 * A fade is linear in amplitude: frame i of n has the factor (i + 1) / (n + 1) on the way in, and
 * the same from the other end on the way out; where both overlap they multiply. Integers are
 * rounded to the nearest, half away from zero, without dither, and stay within their range: those
 * that would exceed it are counted. Those of more than 32 bits are rounded between fade and gain,
 * and gained by 2048 at most. Floats may exceed full scale, and what is no number stays none. A
 * frame whose factor is 1.0 keeps every bit.
 *
 * The result does not depend on how the frames are split into calls.
 */
#ifndef REC_RENDER_H
#define REC_RENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct render_format {
	unsigned bytes; /* of a sample in the file: 1 to 4, 8 */
	/* Of integers, that are used: at the upper end of them. Those below become 0. */
	unsigned bits;
	bool is_float;	  /* bytes is 4 or 8 */
	bool is_unsigned; /* WAV with 8 bits */
	bool big_endian;
	unsigned channels;
};

struct render {
	struct render_format format; /* of decoded samples, only its channels matter */
	double gain;		     /* a factor; 1.0: none */
	uint64_t fade_in, fade_out;  /* frames; may be more than there are */
	uint64_t frames;	     /* of the new file */
	uint64_t clipped;	     /* out: samples */
};

/* Whether any of these frames of the new file is not as it was. */
bool render_changes(const struct render *r, uint64_t first, uint64_t frames);
/* p: frames of the new file, from `first` on. */
void render_apply(struct render *r, unsigned char *p, uint64_t first, size_t frames);
/* The same for samples that were decoded: integers of `bits` (8 to 32) at the upper end of 32,
 * floats, doubles. */
void render_ints(struct render *r, int *v, unsigned bits, uint64_t first, size_t frames);
void render_floats(struct render *r, float *v, uint64_t first, size_t frames);
void render_doubles(struct render *r, double *v, uint64_t first, size_t frames);

#endif
