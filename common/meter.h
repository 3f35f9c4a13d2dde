/*
 * meter: what a recordist watches while frames come: peak, RMS, hold and clipping of each channel,
 * and channels that are dead.
 *
 * A channel is dead when its samples were nothing but zero (digital silence: a microphone without
 * power, a cable that is out) for dead_frames; it is alive again with the first other sample.
 * Samples at or beyond full scale are clipped; each is told once, gathered over a second. A float
 * that is no number counts as zero, as in pcm_measure. Events and levels do not depend on how the
 * frames are cut into calls.
 *
 *	m = meter_open(&o, e);
 *	meter_add(m, samples, frames, tell, ctx);     as they come
 *	meter_take(m, levels);                        each second, say: levels since the last time
 *	meter_line(m, &facts, columns, utf8, &line, e);    ten times a second, on a terminal
 *	meter_close(m);
 *
 * Nothing is printed here. One thread at a time.
 */
#ifndef REC_METER_H
#define REC_METER_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "mem.h"
#include "pcm.h"

struct meter_opts {
	struct pcm_kept kept;
	unsigned channels, rate_hz; /* at least 1 */
	uint64_t dead_frames;	    /* 0: channels are never dead */
};

enum meter_event_kind {
	METER_CLIPPED, /* samples: how many samples of this channel clipped within the second that
			  began with the one at `frame`; it ends early when the channel dies */
	METER_DEAD,    /* digital silence since `frame` */
	METER_ALIVE,   /* it ended at `frame` */
};

struct meter_event {
	enum meter_event_kind kind;
	unsigned channel; /* from 0 */
	uint64_t frame;	  /* of all that was added, from 0 */
	uint64_t samples; /* METER_CLIPPED; else 0 */
};

typedef void meter_tell(void *ctx, const struct meter_event *event);

struct meter;

struct meter *meter_open(const struct meter_opts *o, struct err *e);
/*
 * Kept samples, interleaved. `tell` is called in the order of the frames of one channel: for
 * METER_DEAD when the silence reaches dead_frames, for METER_CLIPPED when the second is over.
 */
void meter_add(struct meter *m, const void *samples, uint64_t frames, meter_tell *tell, void *ctx);
/* Tells the clipping of a second that is not over yet: at the end of a recording. */
void meter_flush(struct meter *m, meter_tell *tell, void *ctx);

struct meter_level {
	double peak_dbfs, rms_dbfs; /* -INFINITY: digital silence; NAN: no frames */
	uint64_t clipped;	    /* samples */
};
/* levels[channels]: since the last call. */
void meter_take(struct meter *m, struct meter_level *levels);

struct meter_facts {
	double elapsed_s;
	double left_s;	    /* until the disk is full or the recording is to end; NAN: unknown */
	bool open;	    /* false: voice activation waits */
	const char *notice; /* the latest event in a few words, or NULL */
};
/*
 * One line of text for a terminal of so many columns, without a newline, in UTF-8 or (utf8 false)
 * ASCII: elapsed, "waiting", a bar of -60 to 0 dBFS for each channel, the time left, the notice
 * (cut to the room there is, or not at all). It never is wider than columns. Appended to *line.
 *
 * A bar is solid up to the RMS and lighter up to the peak, both since the last line (when frames
 * came since), with a mark at the highest peak of the last 2 s (2.0 to 2.1: it is held in tenths).
 * Behind it stand the number of that in dBFS, or "dead", and CLIP for 3 s of frames after the last
 * clipped sample; on a narrow terminal CLIP takes the place of the number or the end of the bar. As
 * many channels as fit, and how many do not ("+12", "+12 CLIP" when one of these clipped).
 */
int meter_line(struct meter *m, const struct meter_facts *f, unsigned columns, bool utf8,
    struct buf *line, struct err *e);
/* NULL is fine. */
void meter_close(struct meter *m);

#endif
