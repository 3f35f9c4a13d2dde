#include "timeline.h"

#include <math.h>

#define NS_PER_S 1000000000

void
timeline_begin(struct timeline *t, uint64_t frame, struct timespec time)
{
	t->known = true;
	t->origin = time;
	t->first = frame;
	t->lost = 0;
	t->drift_ppm = NAN;
}

static double
ppm(const struct timeline *t)
{
	return isnan(t->drift_ppm) ? 0 : t->drift_ppm;
}

/* Whole seconds apart, so that a drift of 0 leaves every nanosecond exact. */
struct timespec
timeline_at(const struct timeline *t, uint64_t frame)
{
	uint64_t n = frame - t->first + t->lost;
	struct timespec at = t->origin;
	int64_t ns;

	if (!t->known)
		return (struct timespec){0};
	ns = at.tv_nsec + (int64_t)(n % t->rate_hz * NS_PER_S / t->rate_hz) -
	     (int64_t)((double)n / t->rate_hz * ppm(t) * 1e3);
	at.tv_sec += (time_t)(n / t->rate_hz) + ns / NS_PER_S;
	at.tv_nsec = ns % NS_PER_S;
	if (at.tv_nsec < 0) {
		at.tv_sec--;
		at.tv_nsec += NS_PER_S;
	}
	return at;
}

uint64_t
timeline_frame(const struct timeline *t, struct timespec time)
{
	double s = (double)(time.tv_sec - t->origin.tv_sec) +
		   (double)(time.tv_nsec - t->origin.tv_nsec) / NS_PER_S;
	/* A millionth of a frame is nothing that a time could tell. */
	double n = ceil(s * t->rate_hz * (1 + ppm(t) / 1e6) - 1e-6);

	return n <= (double)t->lost ? t->first : t->first + (uint64_t)n - t->lost;
}
