/*
 * gate: voice activation: of all frames that come, those around sound.
 *
 * The gate opens with the first frame of which a sample reaches open_magnitude, and hands out what
 * came before it, up to pre_frames, first. It closes when for hang_frames none reached
 * close_magnitude, which is the lower one, so that speech that fades does not tear (hysteresis);
 * the frames of this time belong to what is recorded.
 */
#ifndef REC_GATE_H
#define REC_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "pcm.h"

struct gate_opts {
	struct pcm_kept kept;
	unsigned channels;
	double open_magnitude, close_magnitude; /* 1.0 is full scale */
	uint64_t pre_frames, hang_frames;
};

/* What the gate lets through, in order; -1 and *e stops it. */
struct gate_sink {
	void *ctx;
	/* `frame`, of all that came, from 0, is the first one that follows. */
	int (*open)(void *ctx, uint64_t frame, struct err *e);
	int (*write)(void *ctx, const void *samples, uint64_t frames, struct err *e);
	/* Nothing more until the next open; `frame` would have been the next one. */
	int (*close)(void *ctx, uint64_t frame, struct err *e);
};

struct gate;

/* Memory for pre_frames. NULL and *e. */
struct gate *gate_new(const struct gate_opts *o, struct err *e);
int gate_add(struct gate *g, const void *samples, uint64_t frames, const struct gate_sink *sink,
    struct err *e);
/* Here frames are missing: what came before does not stand before what comes now. */
void gate_break(struct gate *g);
bool gate_is_open(const struct gate *g);
/* NULL is fine. */
void gate_free(struct gate *g);

#endif
