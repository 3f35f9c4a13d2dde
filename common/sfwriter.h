/*
 * sfwriter: FLAC, Ogg Vorbis and Ogg Opus, encoded by libsndfile; encoder.h says what holds when a
 * write fails.
 */
#ifndef REC_SFWRITER_H
#define REC_SFWRITER_H

#include <stdint.h>
#include <time.h>

#include "err.h"
#include "pcm.h"

enum sfwriter_codec { SFWRITER_FLAC, SFWRITER_VORBIS, SFWRITER_OPUS };

struct sfwriter_opts {
	enum sfwriter_codec codec;
	unsigned rate_hz, channels;
	struct pcm_kept kept;
	struct timespec start;
	const char *title; /* or NULL */
};

struct sfwriter;

/* -1 and *e (ERR_USAGE) for what the codec cannot hold. */
int sfwriter_check(const struct sfwriter_opts *o, struct err *e);
/* Writes to fd, an empty file. NULL and *e. */
struct sfwriter *sfwriter_open(int fd, const struct sfwriter_opts *o, struct err *e);
/* Once one failed, all do, with the same error. */
int sfwriter_write(struct sfwriter *w, const void *samples, uint64_t frames, struct err *e);
/* Ends the stream, and cuts what is behind the end. */
int sfwriter_finish(struct sfwriter *w, struct err *e);
uint64_t sfwriter_frames(const struct sfwriter *w);
uint64_t sfwriter_bytes(const struct sfwriter *w);
/* NULL is fine. After no sfwriter_finish the file stays as it lies. */
void sfwriter_free(struct sfwriter *w);

#endif
