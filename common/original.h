/*
 * original: a file that is to be cut: how it can be, and how long it is.
 *
 *	fd = io_open(...); original_open(&o, fd, stop, e)
 *	original_close(&o)                              closes fd, too
 */
#ifndef REC_ORIGINAL_H
#define REC_ORIGINAL_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/stat.h>

#include "chunk.h"
#include "cut.h"
#include "err.h"

enum original_kind {
	ORIGINAL_PCM,	 /* cut without decoding (cut.h) */
	ORIGINAL_FLAC,	 /* decoded and encoded (flaccut.h) */
	ORIGINAL_PACKED, /* MP3, Vorbis, Opus: at the edges of frames or packets (framecut.h) */
	ORIGINAL_OTHER,	 /* decoded, and encoded as another format (transcode.h) */
};

struct original {
	int fd; /* owned */
	struct stat st;
	enum original_kind kind;
	char container[16], codec[24]; /* as ffprobe prints them */
	struct chunk_layout layout;    /* of the RIFF and AIFF families */
	struct cut_format pcm;	       /* of ORIGINAL_PCM */
	unsigned rate_hz, channels;
	uint64_t frames; /* that are there; of what is packed, as they decode */
	uint64_t *cues;	 /* frames of its cue points, in the order of the file */
	size_t n_cues;
};

/* Takes fd over. 0; -1 and *e: ERR_ITEM (empty, not_audio, unsupported, unreadable), ERR_STOPPED.
 * original_close in each case. */
int original_open(struct original *o, int fd, const atomic_int *stop, struct err *e);
void original_close(struct original *o);

#endif
