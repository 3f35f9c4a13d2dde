/*
 * One pass over each block finds its extremes and its energy; the slower searches (which frames
 * clip, where sound starts and ends) run only in blocks whose extremes say that there is something
 * to find.
 */
#include "levels.h"

#include <ebur128.h>
#include <math.h>
#include <stdlib.h>

#include "mem.h"

/* libebur128 keeps three seconds of every channel as doubles; more than this is refused. */
#define MAX_LOUDNESS_SAMPLES_A_SECOND 6300000u

struct levels {
	struct levels_opts o;
	ebur128_state *loudness; /* NULL: cannot be measured */
	double energy;
	double peak;	  /* of full scale */
	double threshold; /* of full scale */
	uint64_t frames, clipped;
	uint64_t first_loud, last_loud;
	bool any_loud;
};

struct levels *
levels_open(const struct levels_opts *o, struct err *e)
{
	struct levels *l = mem_new(1, sizeof *l, e);
	int mode = EBUR128_MODE_I | EBUR128_MODE_LRA;

	if (l == NULL)
		return NULL;
	l->o = *o;
	l->threshold = pow(10, o->silence_dbfs / 20);
	if (o->histogram)
		mode |= EBUR128_MODE_HISTOGRAM;
	if (o->true_peak)
		mode |= EBUR128_MODE_TRUE_PEAK;
	if (o->channels <= 64 && o->rate_hz >= 16 &&
	    (uint64_t)o->rate_hz * o->channels <= MAX_LOUDNESS_SAMPLES_A_SECOND)
		l->loudness = ebur128_init(o->channels, o->rate_hz, mode);
	return l;
}

void
levels_close(struct levels *l)
{
	if (l == NULL)
		return;
	if (l->loudness != NULL)
		ebur128_destroy(&l->loudness);
	free(l);
}

static void
loud_frame(struct levels *l, uint64_t frame)
{
	if (!l->any_loud)
		l->first_loud = frame;
	l->any_loud = true;
	l->last_loud = frame;
}

void
levels_add_int(struct levels *l, const int *v, size_t frames)
{
	size_t channels = l->o.channels, n = frames * channels, i;
	unsigned shift = 32 - l->o.bits;
	int top = (int)(0x7fffffffu >> shift), bottom = -top - 1, lo = 0, hi = 0;
	double full = (double)top + 1;
	int quiet = (int)fmin(ceil(l->threshold * full), top); /* the smallest that is loud */

	if (l->o.bits <= 24) {
		int64_t sum = 0; /* 65536 * 2^46 fits */

		for (i = 0; i < n; i++) {
			int x = v[i] >> shift;

			lo = x < lo ? x : lo;
			hi = x > hi ? x : hi;
			sum += (int64_t)x * x;
		}
		l->energy += (double)sum / (full * full);
	} else {
		double sum = 0;

		for (i = 0; i < n; i++) {
			double x = (double)(v[i] >> shift) / full;

			lo = v[i] >> shift < lo ? v[i] >> shift : lo;
			hi = v[i] >> shift > hi ? v[i] >> shift : hi;
			sum += x * x;
		}
		l->energy += sum;
	}
	l->peak = fmax(l->peak, fmax(hi, -(double)lo) / full);
	if (hi >= quiet || lo <= -quiet) {
		for (i = 0; !l->any_loud && i < n; i++)
			if (v[i] >> shift >= quiet || v[i] >> shift <= -quiet)
				loud_frame(l, l->frames + i / channels);
		for (i = n; i-- > 0;)
			if (v[i] >> shift >= quiet || v[i] >> shift <= -quiet)
				break;
		loud_frame(l, l->frames + i / channels);
	}
	if (hi == top || lo == bottom)
		for (size_t f = 0; f < frames; f++)
			for (i = 0; i < channels; i++)
				if (v[f * channels + i] >> shift == top ||
				    v[f * channels + i] >> shift == bottom) {
					l->clipped++;
					break;
				}
	if (l->loudness != NULL)
		ebur128_add_frames_int(l->loudness, v, frames);
	l->frames += frames;
}

/* The two floating types differ in nothing else. */
#define ADD_REAL(TYPE, ABS)                                                                        \
	size_t channels = l->o.channels, n = frames * channels, i;                                 \
	TYPE peak = 0, quiet = (TYPE)l->threshold;                                                 \
	double sum = 0;                                                                            \
                                                                                                   \
	for (i = 0; i < n; i++) {                                                                  \
		TYPE a = ABS(v[i]);                                                                \
                                                                                                   \
		if (!isfinite(a))                                                                  \
			a = v[i] = 0;                                                              \
		peak = a > peak ? a : peak;                                                        \
		sum += (double)a * (double)a;                                                      \
	}                                                                                          \
	l->energy += sum;                                                                          \
	l->peak = fmax(l->peak, (double)peak);                                                     \
	if (peak >= quiet) {                                                                       \
		for (i = 0; !l->any_loud && i < n; i++)                                            \
			if (ABS(v[i]) >= quiet)                                                    \
				loud_frame(l, l->frames + i / channels);                           \
		for (i = n; i-- > 0;)                                                              \
			if (ABS(v[i]) >= quiet)                                                    \
				break;                                                             \
		loud_frame(l, l->frames + i / channels);                                           \
	}                                                                                          \
	if (peak >= 1)                                                                             \
		for (size_t f = 0; f < frames; f++)                                                \
			for (i = 0; i < channels; i++)                                             \
				if (ABS(v[f * channels + i]) >= 1) {                               \
					l->clipped++;                                              \
					break;                                                     \
				}

void
levels_add_float(struct levels *l, float *v, size_t frames)
{
	ADD_REAL(float, fabsf)
	if (l->loudness != NULL)
		ebur128_add_frames_float(l->loudness, v, frames);
	l->frames += frames;
}

void
levels_add_double(struct levels *l, double *v, size_t frames)
{
	ADD_REAL(double, fabs)
	if (l->loudness != NULL)
		ebur128_add_frames_double(l->loudness, v, frames);
	l->frames += frames;
}

static double
decibels(double x)
{
	return x > 0 && isfinite(x) ? 20 * log10(x) : NAN;
}

static void
loudness_result(struct levels *l, struct levels_result *r)
{
	double v, peak = 0;

	if (ebur128_loudness_global(l->loudness, &v) == EBUR128_SUCCESS && isfinite(v)) {
		r->loudness_lufs = v;
		/* The range takes windows of three seconds; without one, libebur128 says 0. */
		if (l->frames >= 3 * (uint64_t)l->o.rate_hz &&
		    ebur128_loudness_range(l->loudness, &v) == EBUR128_SUCCESS && isfinite(v))
			r->loudness_range_lu = v;
	}
	if (!l->o.true_peak)
		return;
	for (unsigned c = 0; c < l->o.channels; c++)
		if (ebur128_true_peak(l->loudness, c, &v) == EBUR128_SUCCESS && v > peak)
			peak = v;
	r->true_peak_dbtp = decibels(peak);
}

void
levels_result(struct levels *l, struct levels_result *r)
{
	*r = (struct levels_result){.peak_dbfs = decibels(l->peak),
	    .rms_dbfs = NAN,
	    .true_peak_dbtp = NAN,
	    .loudness_lufs = NAN,
	    .loudness_range_lu = NAN,
	    .frames = l->frames,
	    .clipped_frames = l->clipped,
	    .leading_frames = l->frames,
	    .trailing_frames = l->frames};
	if (l->frames > 0)
		r->rms_dbfs = decibels(sqrt(l->energy / ((double)l->frames * l->o.channels)));
	if (l->any_loud) {
		r->leading_frames = l->first_loud;
		r->trailing_frames = l->frames - 1 - l->last_loud;
	}
	if (l->loudness != NULL)
		loudness_result(l, r);
}
