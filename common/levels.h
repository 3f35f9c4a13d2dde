/*
 * levels: what is measured on decoded samples: peak, RMS, clipping, silence at the ends, loudness.
 *
 * Full scale is 2^(bits - 1) for integers and 1.0 for floats. A frame is silent when no channel
 * reaches the threshold. Digital silence has NAN levels. Samples that are no numbers (NaN,
 * infinity) count as 0. Loudness is that of EBU R 128 / ITU-R BS.1770 as libebur128 computes it,
 * NAN when it cannot (too short, too many channels, a rate out of its range). Memory does not grow
 * with the length when `histogram` is set.
 */
#ifndef REC_LEVELS_H
#define REC_LEVELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* Samples (of all channels together) that one call takes at most. */
#define LEVELS_MAX_BLOCK 65536

struct levels_opts {
	unsigned bits; /* of integers: 8 to 32; 0 for floats */
	unsigned channels;
	unsigned rate_hz;
	double silence_dbfs;
	bool histogram; /* for very long files: 0.1 LU coarser */
	bool true_peak;
};

struct levels_result {
	double peak_dbfs, rms_dbfs, true_peak_dbtp, loudness_lufs,
	    loudness_range_lu; /* NAN: none */
	uint64_t frames;
	uint64_t clipped_frames;
	uint64_t leading_frames,
	    trailing_frames; /* silent; both all of them when nothing is loud */
};

struct levels;

/* NULL and *e when out of memory. */
struct levels *levels_open(const struct levels_opts *o, struct err *e);
/* Integers stand at the upper end of 32 bits, as sf_readf_int gives them. */
void levels_add_int(struct levels *l, const int *v, size_t frames);
/* Both put 0 in place of samples that are no numbers. */
void levels_add_float(struct levels *l, float *v, size_t frames);
void levels_add_double(struct levels *l, double *v, size_t frames);
void levels_result(struct levels *l, struct levels_result *r);
/* NULL is fine. */
void levels_close(struct levels *l);

#endif
