/*
 * Every sample is read byte by byte, whatever the machine's own order, and passes through the upper
 * end of 32 bits: making an integer wider is then a matter of how many of its upper bytes are
 * written, and its fraction of full scale does not depend on its width.
 */
#include "pcm.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FULL_SCALE 2147483648.0

static const struct pcm_format formats[] = {
    {"s16le", 16, false, false, false},
    {"s16be", 16, false, false, true},
    {"s24le", 24, false, false, false},
    {"s24be", 24, false, false, true},
    {"s32le", 32, false, false, false},
    {"s32be", 32, false, false, true},
    {"f32le", 32, true, false, false},
    {"f32be", 32, true, false, true},
    {"u8", 8, false, true, false},
};
/* Of <alsa/asoundlib.h>, SND_PCM_FORMAT_*, in the same order. */
static const char alsa_names[][12] = {
    "S16_LE", "S16_BE", "S24_3LE", "S24_3BE", "S32_LE", "S32_BE", "FLOAT_LE", "FLOAT_BE", "U8"};
#define FORMATS (sizeof formats / sizeof *formats)

const struct pcm_format *
pcm_format(const char *name, struct err *e)
{
	char list[128];
	size_t len = 0;

	for (size_t i = 0; i < FORMATS; i++) {
		if (strcmp(name, formats[i].name) == 0 || strcmp(name, alsa_names[i]) == 0)
			return &formats[i];
		len += (size_t)snprintf(list + len, sizeof list - len, " %s", formats[i].name);
	}
	err_set(e, ERR_USAGE, NULL, "%s is no format of samples; there are%s", name, list);
	return NULL;
}

unsigned
pcm_bytes(const struct pcm_format *f)
{
	return f->bits / 8;
}

struct pcm_kept
pcm_keep(const struct pcm_format *f)
{
	return (struct pcm_kept){.bits = f->bits < 16 ? 16 : f->bits, .is_float = f->is_float};
}

int
pcm_check(const struct pcm_format *from, const struct pcm_kept *to, struct err *e)
{
	if (to->bits != 32 && (to->is_float || (to->bits != 16 && to->bits != 24)))
		return err_set(e, ERR_USAGE, NULL,
		    "samples are kept with 16, 24 or 32 bits, or as floats of 32 bits");
	if (from->is_float && !to->is_float)
		return err_set(e, ERR_USAGE, NULL,
		    "%s does not fit into integers without loss: keep floats", from->name);
	if (!from->is_float && to->is_float && from->bits > 24)
		return err_set(e, ERR_USAGE, NULL,
		    "a float holds 24 bits, and %s has 32: keep integers of 32 bits", from->name);
	if (from->bits > to->bits)
		return err_set(e, ERR_USAGE, NULL,
		    "%s does not fit into %u bits without loss: keep %u bits", from->name, to->bits,
		    from->bits);
	return 0;
}

/* ---- one sample ---- */

static uint32_t
get(const unsigned char *p, unsigned bytes, bool big)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v |= (uint32_t)p[big ? i : bytes - 1 - i] << (24 - 8 * i);
	return v;
}

/* The upper bytes of v, little-endian. */
static void
put(unsigned char *p, uint32_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		p[i] = (unsigned char)(v >> (8 * (4 - bytes + i)));
}

static uint32_t
float_bits(float f)
{
	uint32_t v;

	memcpy(&v, &f, sizeof v);
	return v;
}

static float
bits_float(uint32_t v)
{
	float f;

	memcpy(&f, &v, sizeof f);
	return f;
}

/* Two's complement, without what C leaves to the machine. */
static int32_t
bits_int(uint32_t v)
{
	return v <= INT32_MAX ? (int32_t)v : -(int32_t)(UINT32_MAX - v) - 1;
}

void
pcm_convert(
    const struct pcm_format *from, const void *in, size_t n, const struct pcm_kept *to, void *out)
{
	unsigned in_bytes = pcm_bytes(from), out_bytes = to->bits / 8;
	const unsigned char *p = in;
	unsigned char *q = out;

	for (; n > 0; n--, p += in_bytes, q += out_bytes) {
		uint32_t v = get(p, in_bytes, from->is_big_endian);

		if (from->is_unsigned)
			v ^= UINT32_C(0x80000000);
		if (to->is_float && !from->is_float)
			v = float_bits((float)(bits_int(v) / FULL_SCALE));
		put(q, v, out_bytes);
	}
}

void
pcm_ints(const struct pcm_kept *kept, const void *samples, size_t n, int32_t *out)
{
	unsigned bytes = kept->bits / 8;
	const unsigned char *p = samples;

	for (size_t i = 0; i < n; i++, p += bytes)
		out[i] = bits_int(get(p, bytes, false));
}

void
pcm_floats(const void *samples, size_t n, float *out)
{
	const unsigned char *p = samples;

	for (size_t i = 0; i < n; i++, p += 4)
		out[i] = bits_float(get(p, 4, false));
}

/* ---- levels ---- */

static double
magnitude_of(const struct pcm_kept *kept, const unsigned char *p)
{
	uint32_t v = get(p, kept->bits / 8, false);
	double x = kept->is_float ? bits_float(v) : bits_int(v) / FULL_SCALE;

	return isfinite(x) ? fabs(x) : 0;
}

size_t
pcm_find_loud(const struct pcm_kept *kept, const void *samples, size_t frames, unsigned channels,
    double magnitude)
{
	const unsigned char *p = samples;

	for (size_t i = 0; i < frames; i++)
		for (unsigned c = 0; c < channels; c++, p += kept->bits / 8)
			if (magnitude_of(kept, p) >= magnitude)
				return i;
	return frames;
}

void
pcm_measure(const struct pcm_kept *kept, const void *samples, size_t frames, unsigned channels,
    struct pcm_level *levels)
{
	unsigned bytes = kept->bits / 8;
	/* The greatest of an integer is one step short of 1.0. */
	double top = kept->is_float ? 1.0 : 1.0 - 1.0 / (double)(UINT32_C(1) << (kept->bits - 1));
	const unsigned char *p = samples;

	for (size_t i = 0; i < frames; i++) {
		for (unsigned c = 0; c < channels; c++, p += bytes) {
			double x = magnitude_of(kept, p);
			struct pcm_level *l = &levels[c];

			l->peak = x > l->peak ? x : l->peak;
			l->sum_squares += x * x;
			l->clipped += x >= top;
			l->frames++;
		}
	}
}
