/*
 * intake: frames from a device or a pipe, in order, kept while the disk is slow.
 *
 * A thread of its own reads and never waits for the disk: what it read stands in a ring of several
 * seconds until intake_next hands it out. From a pipe the ring fills and the feeder waits; from a
 * device a full ring is an overrun, which is told with its length like those of the device.
 *
 *	while ((got = intake_next(in, &c)) != INTAKE_END) ...
 */
#ifndef REC_INTAKE_H
#define REC_INTAKE_H

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "device.h"
#include "err.h"
#include "pcm.h"

struct intake;

/* From an open device, which is taken over, also after NULL and *e. `stop` is borrowed. */
struct intake *intake_device(
    struct device *d, const struct device_opts *o, const atomic_int *stop, struct err *e);
/* From a descriptor, borrowed: raw samples of a format. */
struct intake *intake_pipe(int fd, const struct pcm_format *format, unsigned rate_hz,
    unsigned channels, const atomic_int *stop, struct err *e);

enum intake_kind {
	INTAKE_FRAMES, /* p holds `frames` */
	INTAKE_IDLE,   /* nothing came for a while */
	INTAKE_GAP,    /* `frames` were lost here; 0: nobody knows how many */
	INTAKE_END,    /* no more: the end of the pipe, a signal, or (why.class is not ERR_NONE) a
			  device that is lost */
};

struct intake_chunk {
	enum intake_kind kind;
	const void *p; /* borrowed until the next call */
	uint64_t frames;
	struct err why;
	uint64_t rest_bytes; /* at the end of a pipe: of a frame that was cut */
};

/* Waits at most about 200 ms. */
enum intake_kind intake_next(struct intake *in, struct intake_chunk *c);
/* UTC time of the first frame; valid once there were frames. */
struct timespec intake_start(const struct intake *in);
/* By how much the device's clock is faster than the system's; NAN: nobody can say. */
double intake_drift(struct intake *in);
/* Ends the thread, and closes the device. NULL is fine. */
void intake_close(struct intake *in);

#endif
