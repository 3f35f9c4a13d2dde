/*
 * encoder: a recording written so that what is on disk is always a recording.
 *
 *	wav    RIFF with a JUNK chunk of the size of ds64, a bext chunk (EBU Tech 3285 version 2),
 *	       fmt (extensible for more than two channels and for integers of 24 and 32 bits), fact
 *	       for floats, data. Near 4 GiB it becomes RF64 in place: JUNK turns into ds64 (EBU Tech
 *	       3306).
 *	w64    Sony Wave64, with the same bext chunk and always fact.
 *	flac   16 and 24 bits, level 5.
 *	ogg    Vorbis, quality 0.6.
 *	opus   in Ogg.
 *
 * encoder_refresh makes the header true of all frames given so far (wav, w64: in one write, so that
 * a kill leaves the old header or the new one; that of w64 is always true, or a block ahead). The
 * others are streams of frames or pages that can be read at any time as far as they go; there it
 * does nothing, and the last second or so is in memory until encoder_finish.
 *
 * The file descriptor is the caller's, who also makes the file durable. Its place of writing is
 * neither used nor moved.
 *
 *	n = encoder_open(fd, &o, e);
 *	while (...)
 *		encoder_write(n, samples, frames, e), and once a second encoder_refresh(n, e)
 *	encoder_finish(n, e);
 */
#ifndef REC_ENCODER_H
#define REC_ENCODER_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "err.h"
#include "pcm.h"

enum encoder_format {
	ENCODER_WAV,
	ENCODER_W64,
	ENCODER_FLAC,
	ENCODER_OGG,
	ENCODER_OPUS,
	ENCODER_FORMATS
};

/* wav w64 flac ogg opus; -1 and *e (ERR_USAGE) for another name. */
int encoder_format(const char *name, struct err *e);
/* Of the file's name: wav w64 flac ogg opus. */
const char *encoder_extension(enum encoder_format f);

struct encoder_opts {
	enum encoder_format format;
	unsigned rate_hz, channels;
	struct pcm_kept kept;
	/* UTC time of frame 0: bext's origination date, time and TimeReference; Vorbis' DATE. */
	struct timespec start;
	const char *title;  /* bext's description, Vorbis' TITLE; NULL */
	const char *source; /* the device's or pipe's name, for bext's coding history; NULL */
};

struct encoder;

/* Whether the format can hold this (flac: 16 and 24 bits, up to 8 channels; opus: 48 24 16 12 8
 * kHz; ...): 0, or -1 and *e (ERR_USAGE). */
int encoder_check(const struct encoder_opts *o, struct err *e);
/* Begins at the start of fd, an empty file, with a header of no frames. NULL and *e. */
struct encoder *encoder_open(int fd, const struct encoder_opts *o, struct err *e);
/*
 * Interleaved kept samples. -1 and *e (ERR_SYSTEM) with the errno: what was written before is kept,
 * no part of a frame or page is left behind. Of wav and w64 encoder_frames tells how many of these
 * are in the file, and a later write goes on behind them; the others stay failed.
 */
int encoder_write(struct encoder *n, const void *samples, uint64_t frames, struct err *e);
int encoder_refresh(struct encoder *n, struct err *e);
/* Frames given so far, bytes of the file so far. */
uint64_t encoder_frames(const struct encoder *n);
uint64_t encoder_bytes(const struct encoder *n);
/*
 * The last of it: a pad byte, sizes, the encoder's rest; whatever was allocated behind the end is
 * given back. The encoder is freed in each case. Of wav and w64 that fail here the header is true
 * if it could be written at all.
 */
int encoder_finish(struct encoder *n, struct err *e);
/* By how many bytes a file may still grow when it is finished. */
uint64_t encoder_margin(enum encoder_format f);
/* Frees it without writing; NULL is fine. */
void encoder_abandon(struct encoder *n);

#endif
