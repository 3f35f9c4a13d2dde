/*
 * riffwriter: WAV that becomes RF64 (EBU Tech 3306), and Wave64, written in place; encoder.h says
 * what is in them and what holds when a write fails.
 */
#ifndef REC_RIFFWRITER_H
#define REC_RIFFWRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "err.h"
#include "pcm.h"

struct riffwriter_opts {
	bool w64;
	unsigned rate_hz, channels;
	struct pcm_kept kept;
	struct timespec start;
	const char *title, *source; /* or NULL */
};

struct riffwriter;

/* -1 and *e (ERR_USAGE) for what the header has no room for. */
int riffwriter_check(const struct riffwriter_opts *o, struct err *e);
/* Writes the header of no frames to fd, an empty file. NULL and *e. */
struct riffwriter *riffwriter_open(int fd, const struct riffwriter_opts *o, struct err *e);
int riffwriter_write(struct riffwriter *w, const void *samples, uint64_t frames, struct err *e);
int riffwriter_refresh(struct riffwriter *w, struct err *e);
/* Pads WAV, refreshes, and cuts what is behind the end. */
int riffwriter_finish(struct riffwriter *w, struct err *e);
uint64_t riffwriter_frames(const struct riffwriter *w);
uint64_t riffwriter_bytes(const struct riffwriter *w);
/* NULL is fine. */
void riffwriter_free(struct riffwriter *w);

#endif
