/*
 * assembly: one new file, of parts of one or several others, made in the way that loses least.
 *
 *	PCM of one format     copied (cut.h)
 *	FLAC                  encoded again (flaccut.h)
 *	MP3, Vorbis, Opus     with `nearest`, at the edges of frames or packets (framecut.h)
 *	any, with a format    decoded, and encoded as that (transcode.h)
 */
#ifndef REC_ASSEMBLY_H
#define REC_ASSEMBLY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "err.h"
#include "original.h"
#include "render.h"
#include "transcode.h"

struct assembly_part {
	const struct original *original;
	uint64_t first, frames;
};

struct assembly {
	const struct assembly_part *parts;
	unsigned n;
	int format;	/* enum encoder_format; -1: that of the first file */
	bool nearest;	/* of what is packed: no frame is decoded */
	bool normalize; /* to target_lufs */
	double target_lufs;
	struct render render;  /* gain and fades; frames is filled in */
	const char *history;   /* for a bext's CodingHistory; NULL: none */
	struct timespec start; /* of the first frame; tv_sec 0: nobody knows */
	const char *title;     /* NULL: that of the first file, where it says one */
	const atomic_int *stop;
	atomic_ullong *bytes_done;

	/* Out: */
	uint64_t first,
	    frames;	/* of the first part, as it was really cut; of all of the new file */
	double gain_db; /* that was applied */
	bool limited;	/* normalizing would have clipped: it is less loud than wanted */
	char dropped[TRANSCODE_DROPPED]; /* what the first file carried and the new one does not; ""
					  */
};

/* The extension of the new file: that of `name`, or the format's own; without its dot. */
const char *assembly_extension(const struct assembly *a, const char *name);
/* Whether it can be done at all, as far as the formats tell: 0; -1 and *e as assembly_write. */
int assembly_check(const struct assembly *a, struct err *e);
/* Of the new file: enum encoder_format, or -1 when it is none of these. */
int assembly_format(const struct assembly *a);
/*
 * Writes the new file to out_fd (seekable, empty). 0; -1 and *e: ERR_ITEM (unsupported, with the
 * option that would do it; what the ways say), ERR_STOPPED, ERR_SYSTEM (a full disk).
 */
int assembly_write(struct assembly *a, int out_fd, struct err *e);

#endif
