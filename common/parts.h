/*
 * parts: a recording as it is written: one file after the other.
 *
 * A part begins with the first frame that is written, as a .part in temp/ (take.h); its header is
 * made true twice a second, by the clock and by the audio, and it is made durable every two
 * seconds. It ends where the splitter says, before it would grow beyond max_bytes, or when
 * parts_end is called; then it is handed to the finisher, with what is known of it.
 */
#ifndef REC_PARTS_H
#define REC_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "archive.h"
#include "encoder.h"
#include "err.h"
#include "eventlog.h"
#include "finisher.h"
#include "splitter.h"
#include "timeline.h"

/* Kept free beyond the environment's minimum, for the header, the database and the journal. */
#define PARTS_SPARE_BYTES (UINT64_C(4) << 20)

struct parts {
	struct archive *a;	     /* for reading; of the caller's thread */
	struct encoder_opts encoder; /* start is filled in */
	struct splitter splitter;
	uint64_t max_bytes; /* of a file */
	struct finisher *finisher;
	struct eventlog *log;
	const struct timeline *timeline;
	/* Called before a part ends: what is not told of it yet is to be told now. */
	void (*ending)(void *ctx);
	void *ctx;
	uint64_t at;	       /* of the next frame to be written, among all that came */
	uint64_t known_frames; /* how many more will be written; 0: nobody knows */
	bool low;	       /* the disk is nearly full, and it was told */

	/* Of the part at hand: */
	bool open;
	struct take take;
	struct encoder *writer;
	uint64_t frames, true_frames; /* written; in the header, too */
	uint64_t overruns, lost_frames;
	int64_t refreshed_ns, synced_ns;
	uint64_t written; /* frames of all parts */
};

/* Kept samples. -1 and *e: what was written before is kept, parts_end is still to be called. */
int parts_write(struct parts *p, const void *samples, uint64_t frames, struct err *e);
/* Here frames were lost: 0 when nobody knows how many. */
void parts_gap(struct parts *p, uint64_t frames);
/* The header, the disk, and whether there is room: from time to time. -1 and *e: no_space, … */
int parts_keep_true(struct parts *p, struct err *e);
/*
 * The part at hand is complete, if there is one; `why` goes into its provenance. One without a
 * frame is dropped.
 */
int parts_end(struct parts *p, const char *why, struct err *e);
/* Seconds until the disk is full; NAN: nobody knows. */
double parts_left_s(const struct parts *p);

#endif
