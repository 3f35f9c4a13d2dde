/*
 * capture: a recording from an intake into the archive, part by part.
 *
 * Each part is written as a .part in temp/ whose header is made true twice a second and which is
 * made durable every two seconds; when it is complete, a thread of its own measures it, gives it
 * its name in raw/ and its rows (take.h), and prints its record, while the next part is being
 * written. What ends a recording (the end of the pipe, a signal, the time that was asked for, a
 * full disk, a device that is lost) ends it properly.
 */
#ifndef REC_CAPTURE_H
#define REC_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "archive.h"
#include "encoder.h"
#include "err.h"
#include "intake.h"
#include "tool.h"

struct capture {
	struct tool *t;
	struct archive *a;	/* for reading; its catalogue is used by the caller's thread */
	struct archive *writer; /* opened for writing; used by the thread that finishes parts */
	struct encoder_opts encoder; /* start is filled in */
	const struct pcm_format *in;
	const char *title;
	uint64_t max_frames;   /* -t; 0: no end */
	uint64_t split_frames; /* --split-time; 0: none */
	uint64_t split_bytes;  /* --split-size and the environment's limit; 0: none */
	bool fill;	       /* --fill */
	bool events;	       /* --events */
	uint64_t frames;       /* out: recorded */
};

/* 0; -1 and *e (no_space, missing when the device is lost, …) after everything was finished that
 * could be. */
int capture_run(struct capture *c, struct intake *in, struct err *e);
/*
 * Finishes what a crash left in temp/. With print a record each, else it is told on stderr alone.
 * 0, -1 and *e.
 */
int capture_recover(
    struct tool *t, struct archive *writer, bool dry_run, bool print, struct err *e);

#endif
