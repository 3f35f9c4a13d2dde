/*
 * timeline: when each frame of a recording was captured, in UTC.
 *
 * From the time of one frame, the rate, the device's drift, and the frames that were lost. After a
 * device was gone, a new stretch begins with a time of its own.
 */
#ifndef REC_TIMELINE_H
#define REC_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct timeline {
	unsigned rate_hz;
	bool known;
	struct timespec origin; /* of frame `first` */
	uint64_t first;
	uint64_t lost;	  /* frames that came between and are not counted */
	double drift_ppm; /* how much faster than rate_hz the device is; NAN: nobody knows */
};

/* `frame` was captured at `time`: a stretch begins. */
void timeline_begin(struct timeline *t, uint64_t frame, struct timespec time);
/* {0} when nothing has begun. */
struct timespec timeline_at(const struct timeline *t, uint64_t frame);
/* The first frame at or after `time`, of the stretch at hand. */
uint64_t timeline_frame(const struct timeline *t, struct timespec time);

#endif
