/*
 * x is the time by the frames, y how much later than that the frame was captured, so that the slope
 * is the drift itself and nothing large is subtracted from something large.
 */
#include "drift.h"

#include <math.h>

#define MAX_ERROR_PPM 5.0
#define MIN_SPAN_S 10.0

void
drift_start(struct drift *d, unsigned rate_hz)
{
	*d = (struct drift){.rate_hz = rate_hz};
}

void
drift_add(struct drift *d, uint64_t frame, int64_t ns)
{
	double x, y, dx;

	if (d->n == 0) {
		d->frame0 = frame;
		d->ns0 = ns;
	}
	x = (double)(frame - d->frame0) / d->rate_hz;
	y = (double)(ns - d->ns0) / 1e9 - x;
	d->n++;
	dx = x - d->mean_x;
	d->mean_x += dx / d->n;
	d->sxx += dx * (x - d->mean_x);
	d->syy += (y - d->mean_y) * (y - d->mean_y) * (d->n - 1) / d->n;
	d->sxy += dx * (y - d->mean_y) * (d->n - 1) / d->n;
	d->mean_y += (y - d->mean_y) / d->n;
}

void
drift_break(struct drift *d)
{
	if (d->n == 0)
		return;
	d->lines++;
	d->all_n += d->n;
	d->all_sxx += d->sxx;
	d->all_sxy += d->sxy;
	d->all_syy += d->syy;
	d->n = d->mean_x = d->mean_y = d->sxx = d->sxy = d->syy = 0;
}

bool
drift_ppm(const struct drift *d, double *ppm)
{
	double sxx = d->all_sxx + d->sxx, sxy = d->all_sxy + d->sxy, syy = d->all_syy + d->syy;
	double n = d->all_n + d->n, freedom = n - d->lines - (d->n > 0) - 1;
	double slope, rest, span_s;

	if (freedom < 1 || sxx <= 0)
		return false;
	slope = sxy / sxx;
	rest = fmax(syy - slope * sxy, 0);
	/* Of evenly spaced pairs. */
	span_s = sqrt(12 * sxx / n);
	if (span_s < MIN_SPAN_S || sqrt(rest / freedom / sxx) * 1e6 > MAX_ERROR_PPM)
		return false;
	/* A frame that comes later than the one before promised: the device is slow. */
	*ppm = -slope * 1e6;
	return true;
}
