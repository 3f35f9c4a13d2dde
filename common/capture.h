/*
 * capture: a recording from a device or a pipe into the archive, from its first frame to its last.
 *
 *	intake > limits of time > meter > gate (voice activation) > parts > finisher
 *
 * What ends a recording (the end of the pipe, a signal, the time that was asked for, a full disk, a
 * device that is lost) ends it properly. With reconnect a device that is lost is waited for, and
 * what it gives then goes into a new part.
 */
#ifndef REC_CAPTURE_H
#define REC_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "archive.h"
#include "device.h"
#include "encoder.h"
#include "err.h"
#include "gate.h"
#include "intake.h"
#include "splitter.h"
#include "tool.h"

struct capture {
	struct tool *t;
	struct archive *a;	/* for reading; its catalogue is used by the caller's thread */
	struct archive *writer; /* opened for writing; used by the thread that finishes parts */
	struct encoder_opts encoder; /* start is filled in */
	const struct pcm_format *in; /* of the intake */
	const char *title;
	uint64_t max_frames;	  /* -t; 0: no end */
	struct timespec until;	  /* tv_sec 0: no end */
	struct splitter splitter; /* its options */
	uint64_t max_bytes;	  /* of a file */
	bool voice;		  /* only around sound: */
	struct gate_opts gate;
	bool fill;   /* silence in the place of frames that were lost */
	bool events; /* told on stderr */
	/* What to open again when it is lost; NULL: the recording ends then. */
	const struct device_opts *reconnect;
};

/*
 * Takes the intake over. 0; -1 and *e (no_space, missing when the device is lost, …) after
 * everything was finished that could be.
 */
int capture_run(struct capture *c, struct intake *in, struct err *e);

#endif
