/*
 * The factor of a frame stays a fraction until a sample was multiplied by what is above its line:
 * of a fade alone that product is exact (up to 2^53), so that halves are rounded as such. All
 * integers pass through the upper end of 64 bits, where the bits that are used are the upper ones
 * whatever the width, and the unused ones below them are left behind.
 */
#include "render.h"

#include <math.h>
#include <string.h>

#define SIGN_BIT (UINT64_C(1) << 63)

struct factor {
	double gain, up, down; /* gain * up / down */
};

/* One frame, of integers of so many bits. */
typedef void scale_fn(struct render *r, void *frame, unsigned bits, struct factor f);

bool
render_changes(const struct render *r, uint64_t first, uint64_t frames)
{
	return frames > 0 &&
	       (r->gain != 1 || first < r->fade_in || r->frames - first - frames < r->fade_out);
}

static struct factor
factor_of(const struct render *r, uint64_t frame)
{
	struct factor f = {r->gain, 1, 1};
	uint64_t left = r->frames - frame; /* this one too */

	if (frame < r->fade_in) {
		f.up = (double)(frame + 1);
		f.down = (double)r->fade_in + 1;
	}
	if (left <= r->fade_out) {
		f.up *= (double)left;
		f.down *= (double)r->fade_out + 1;
	}
	return f;
}

/* Frames whose factor is 1.0 are not touched, nor are the unused bits of their integers. */
static inline void
each_frame(struct render *r, void *frames, size_t frame_bytes, unsigned bits, uint64_t first,
    size_t n, scale_fn *scale)
{
	unsigned char *p = frames;

	for (; n > 0; n--, first++, p += frame_bytes) {
		struct factor f = factor_of(r, first);

		if (f.gain * f.up != f.down)
			scale(r, p, bits, f);
	}
}

/* ---- one number ---- */

/* Up to 32 bits. What is cut off by the conversion is exact, and tells which way to round. */
static inline int64_t
scale_narrow(struct render *r, int64_t x, unsigned bits, struct factor f)
{
	double top = (double)((INT64_C(1) << (bits - 1)) - 1);
	double y = (double)x * (f.gain * f.up) / f.down, rest;
	int64_t whole;

	if (y >= top + 0.5 || y <= -top - 1.5) {
		r->clipped++;
		return y > 0 ? (int64_t)top : -(int64_t)top - 1;
	}
	whole = (int64_t)y;
	rest = y - (double)whole;
	return whole + (rest >= 0.5) - (rest <= -0.5);
}

/* size * up / down, of whole numbers, halves upwards. What is far beyond any range is cut. */
static uint64_t
part(uint64_t size, double up, double down)
{
	unsigned __int128 y;
	uint64_t whole;
	int excess;

	frexp(down, &excess);
	excess = excess > 63 ? 63 - excess : 0;
	whole = (uint64_t)ldexp(down, excess);
	y = ((unsigned __int128)size * (uint64_t)ldexp(up, excess) + whole / 2) / whole;
	return y > UINT64_MAX ? UINT64_MAX : (uint64_t)y;
}

/* A double would lose the lower bits, and a long double is another one on every machine. */
static int64_t
scale_wide(struct render *r, int64_t x, unsigned bits, struct factor f)
{
	double gain = fabs(f.gain), one = gain < 1 ? 0x1p62 : 0x1p52;
	bool negative = (x < 0) != (f.gain < 0);
	uint64_t size = x < 0 ? -(uint64_t)x : (uint64_t)x, top;

	top = ((uint64_t)INT64_MAX >> (64 - bits)) + negative;
	size = part(size, f.up, f.down);
	if (gain != 1)
		size = part(size, fmin(gain * one, 0x1p63), one);
	if (size > top) {
		r->clipped++;
		size = top;
	}
	return (int64_t)(negative ? -size : size);
}

static inline double
scale_real(double x, struct factor f)
{
	return x * (f.gain * f.up / f.down);
}

/* ---- samples as they stand in a file ---- */

/* To and from the upper end of 64 bits. `bytes` is a constant wherever speed matters. */
static inline uint64_t
load(const unsigned char *p, unsigned bytes, bool big_endian)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v = v << 8 | (big_endian ? p[i] : p[bytes - 1 - i]);
	return v << (64 - 8 * bytes);
}

static inline void
store(unsigned char *p, uint64_t v, unsigned bytes, bool big_endian)
{
	for (unsigned i = 0; i < bytes; i++, v <<= 8)
		p[big_endian ? i : bytes - 1 - i] = (unsigned char)(v >> 56);
}

static inline void
scale_raw(struct render *r, unsigned char *p, unsigned bytes, unsigned bits, struct factor f)
{
	bool big_endian = r->format.big_endian;
	uint64_t flip = r->format.is_unsigned ? SIGN_BIT : 0;

	for (unsigned c = 0; c < r->format.channels; c++, p += bytes) {
		int64_t x = (int64_t)(load(p, bytes, big_endian) ^ flip) >> (64 - bits);

		x = bits <= 32 ? scale_narrow(r, x, bits, f) : scale_wide(r, x, bits, f);
		store(p, ((uint64_t)x << (64 - bits)) ^ flip, bytes, big_endian);
	}
}

static void
scale_raw_ints(struct render *r, void *frame, unsigned bits, struct factor f)
{
	switch (r->format.bytes) {
	case 1:
		scale_raw(r, frame, 1, bits, f);
		break;
	case 2:
		scale_raw(r, frame, 2, bits, f);
		break;
	case 3:
		scale_raw(r, frame, 3, bits, f);
		break;
	default:
		scale_raw(r, frame, r->format.bytes, bits, f);
	}
}

static void
scale_raw_floats(struct render *r, void *frame, unsigned bits, struct factor f)
{
	unsigned char *p = frame;

	(void)bits;
	for (unsigned c = 0; c < r->format.channels; c++, p += 4) {
		uint32_t v = (uint32_t)(load(p, 4, r->format.big_endian) >> 32);
		float x;

		memcpy(&x, &v, sizeof x);
		x = (float)scale_real(x, f);
		memcpy(&v, &x, sizeof v);
		store(p, (uint64_t)v << 32, 4, r->format.big_endian);
	}
}

static void
scale_raw_doubles(struct render *r, void *frame, unsigned bits, struct factor f)
{
	unsigned char *p = frame;

	(void)bits;
	for (unsigned c = 0; c < r->format.channels; c++, p += 8) {
		uint64_t v = load(p, 8, r->format.big_endian);
		double x;

		memcpy(&x, &v, sizeof x);
		x = scale_real(x, f);
		memcpy(&v, &x, sizeof v);
		store(p, v, 8, r->format.big_endian);
	}
}

void
render_apply(struct render *r, unsigned char *p, uint64_t first, size_t frames)
{
	const struct render_format *f = &r->format;
	scale_fn *scale = !f->is_float	  ? scale_raw_ints
			  : f->bytes == 4 ? scale_raw_floats
					  : scale_raw_doubles;

	each_frame(r, p, (size_t)f->bytes * f->channels, f->bits, first, frames, scale);
}

/* ---- samples that were decoded ---- */

static void
scale_ints(struct render *r, void *frame, unsigned bits, struct factor f)
{
	int *v = frame;

	for (unsigned c = 0; c < r->format.channels; c++) {
		int64_t x = scale_narrow(r, v[c] >> (32 - bits), bits, f);

		v[c] = (int)((uint64_t)x << (32 - bits));
	}
}

static void
scale_floats(struct render *r, void *frame, unsigned bits, struct factor f)
{
	float *v = frame;

	(void)bits;
	for (unsigned c = 0; c < r->format.channels; c++)
		v[c] = (float)scale_real(v[c], f);
}

static void
scale_doubles(struct render *r, void *frame, unsigned bits, struct factor f)
{
	double *v = frame;

	(void)bits;
	for (unsigned c = 0; c < r->format.channels; c++)
		v[c] = scale_real(v[c], f);
}

void
render_ints(struct render *r, int *v, unsigned bits, uint64_t first, size_t frames)
{
	each_frame(r, v, r->format.channels * sizeof *v, bits, first, frames, scale_ints);
}

void
render_floats(struct render *r, float *v, uint64_t first, size_t frames)
{
	each_frame(r, v, r->format.channels * sizeof *v, 0, first, frames, scale_floats);
}

void
render_doubles(struct render *r, double *v, uint64_t first, size_t frames)
{
	each_frame(r, v, r->format.channels * sizeof *v, 0, first, frames, scale_doubles);
}
