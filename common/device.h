/*
 * device: capture devices, through ALSA.
 *
 * What is asked for is what is delivered: rate, channels and format exactly, without a converter
 * behind one's back, or a refusal that lists what the device can do. Built without ALSA,
 * device_open and device_list say so (ERR_SYSTEM) and the rest of rec-capture works.
 *
 *	d = device_open(&o, e);
 *	p = room for device_period_frames(d) * o.channels * pcm_bytes(device_format(d));
 *	while ((event = device_read(d, p, &frames, stopped, ctx, e)) < DEVICE_LOST)
 *		...
 *	device_close(d);
 *
 * Nothing is printed, by ALSA neither; what plugins of others print is kept quiet while devices are
 * listed. One thread at a time.
 */
#ifndef REC_DEVICE_H
#define REC_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "err.h"
#include "json.h"
#include "pcm.h"

struct device_opts {
	const char *name; /* "default", "hw:1,0", … */
	unsigned rate_hz, channels;
	const struct pcm_format *format; /* NULL: the widest that a file of `bits` keeps whole */
	unsigned bits;			 /* 16 24 32; without a format */
	bool is_float;			 /* bits is 32; without a format */
};

struct device;

/* NULL and *e: ERR_ITEM (missing, denied, busy, unsupported) with what the device can do. */
struct device *device_open(const struct device_opts *o, struct err *e);
const struct pcm_format *device_format(const struct device *d);
/* Frames that one read gives at most. */
unsigned device_period_frames(const struct device *d);

enum device_event { DEVICE_FRAMES, DEVICE_OVERRUN, DEVICE_LOST, DEVICE_STOPPED };
/*
 * Waits for frames; the first call starts the device. DEVICE_FRAMES: *frames of them are in p (room
 * for a period). DEVICE_OVERRUN: *frames were lost before what comes next, by the device's clock
 * (0: nobody knows how many), and the device runs again. DEVICE_LOST: it is gone, *e (ERR_ITEM)
 * says why. DEVICE_STOPPED: stopped(ctx) says so, which is asked every 100 ms; what was not read
 * is dropped.
 */
enum device_event device_read(struct device *d, void *p, uint64_t *frames,
    bool (*stopped)(void *ctx), void *ctx, struct err *e);
/* UTC time of the first frame, from the device's own timestamps; valid after the first frames. */
struct timespec device_start(const struct device *d);
/* By how much its clock is faster than the system's (drift.h); NAN as long as nobody can say. */
double device_drift_ppm(const struct device *d);
/* NULL is fine. */
void device_close(struct device *d);

/*
 * Calls `each` with a record a device, which it borrows: name, description, rates_hz [lowest,
 * highest], channels [fewest, most], formats [pcm's names], or a problem instead of the last three.
 * 0; -1 and *e when `each` says so or there is no memory.
 */
int device_list(int (*each)(void *ctx, struct json *rec, struct err *e), void *ctx, struct err *e);

#endif
