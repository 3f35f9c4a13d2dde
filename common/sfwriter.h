/*
 * sfwriter: FLAC, Ogg Vorbis and Ogg Opus, encoded by libsndfile; encoder.h says what holds when a
 * write fails.
 */
#ifndef REC_SFWRITER_H
#define REC_SFWRITER_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "err.h"
#include "pcm.h"

enum sfwriter_codec { SFWRITER_FLAC, SFWRITER_VORBIS, SFWRITER_OPUS };

/* A FLAC stream for somebody who writes the metadata. */
struct sfwriter_flac {
	int level; /* 0 to 8 */
	/* Of the file, where the stream begins: what is before it stays as it is. */
	uint64_t offset_bytes;
	/* Told of each frame that was written, and where in the stream; or NULL. */
	void (*frame)(void *ctx, uint64_t at, const unsigned char *p, size_t len);
	void *ctx;
};

struct sfwriter_opts {
	enum sfwriter_codec codec;
	unsigned rate_hz, channels;
	struct pcm_kept kept; /* with sfwriter_write_ints: FLAC also holds 8 bits */
	struct timespec start;
	const char *title; /* or NULL */
	/* FLAC without comments (start and title are not used); NULL: level 5 and comments. */
	const struct sfwriter_flac *flac;
};

struct sfwriter;

/* -1 and *e (ERR_USAGE) for what the codec cannot hold. */
int sfwriter_check(const struct sfwriter_opts *o, struct err *e);
/* Writes to fd, an empty file; -1: nowhere, for FLAC whose frames are told. NULL and *e. */
struct sfwriter *sfwriter_open(int fd, const struct sfwriter_opts *o, struct err *e);
/* Once one failed, all do, with the same error. */
int sfwriter_write(struct sfwriter *w, const void *samples, uint64_t frames, struct err *e);
/* The same for samples of FLAC at the upper end of 32 bits. */
int sfwriter_write_ints(struct sfwriter *w, const int *samples, uint64_t frames, struct err *e);
/* Ends the stream, and cuts what is behind the end. */
int sfwriter_finish(struct sfwriter *w, struct err *e);
uint64_t sfwriter_frames(const struct sfwriter *w);
/* Of the stream. */
uint64_t sfwriter_bytes(const struct sfwriter *w);
/* NULL is fine. After no sfwriter_finish the file stays as it lies. */
void sfwriter_free(struct sfwriter *w);

#endif
