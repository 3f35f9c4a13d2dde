/*
 * drift: by how much a device's clock runs away from the system's.
 *
 * The slope of a least-squares line through pairs of frames read and the time when they were
 * captured. Where the device stopped for a while the line is broken, and begins again beside the
 * old one with the same slope.
 */
#ifndef REC_DRIFT_H
#define REC_DRIFT_H

#include <stdbool.h>
#include <stdint.h>

struct drift {
	unsigned rate_hz;
	/* Of the line at hand, counted from its first pair. */
	uint64_t frame0;
	int64_t ns0;
	double n, mean_x, mean_y, sxx, sxy, syy;
	/* Of all lines before it. */
	double lines, all_n, all_sxx, all_sxy, all_syy;
};

void drift_start(struct drift *d, unsigned rate_hz);
/* The frame was captured at this time of the monotonic clock. */
void drift_add(struct drift *d, uint64_t frame, int64_t ns);
void drift_break(struct drift *d);
/*
 * *ppm: how many more frames come in 1,000,000 of the nominal rate; less than 0 for a slow device.
 * False as long as nobody can say: when its standard error is above 5 ppm, or there are fewer than
 * 10 s.
 */
bool drift_ppm(const struct drift *d, double *ppm);

#endif
