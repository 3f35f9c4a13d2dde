/*
 * cut: parts of files of PCM (WAV, RF64, W64, AIFF), as a new file of the same kind, without
 * decoding.
 *
 * The audio is copied byte for byte (pieces.h), but for frames that are faded or gained (render.h);
 * everything else the first file carries goes along as it is true of the new one (carry.h). The
 * audio begins in its block where it did in the old file, with a JUNK chunk before it (of AIFF,
 * with SSND's own offset), so that file systems that share blocks share it. Chunks begin at even
 * places, and at multiples of 8 in W64: audio that would have to begin elsewhere is copied. What
 * would exceed 4 GiB as WAV becomes RF64, and an RF64 that has become small enough stays one; AIFF
 * and RIFX that would are refused.
 *
 *	cut_plan(&o, &c, e)
 *	pieces_write(&c.pieces, fd, ...)
 *	cut_free(&c)
 */
#ifndef REC_CUT_H
#define REC_CUT_H

#include <stdint.h>

#include "carry.h"
#include "err.h"
#include "pieces.h"
#include "render.h"

struct cut_format {
	struct render_format sample;
	unsigned rate_hz;
	uint64_t frame_bytes; /* block align */
	uint64_t frames;      /* whole ones that are in the file */
};

/*
 * What the format chunk of a file says of its PCM: integers of 8 to 64 bits and floats. 0; -1 and
 * *e (ERR_ITEM, unsupported) for a codec that is not PCM, a frame of no whole bytes, or a format
 * that contradicts itself; decode_error when a chunk is missing or is there twice. A header that
 * claims other sizes is no error: what is there counts.
 */
int cut_format(int fd, const struct chunk_layout *l, struct cut_format *f, struct err *e);

struct cut_opts {
	const struct segment *segments;
	unsigned n;
	struct render *render; /* its format and frames are filled in; NULL: all as they are */
	const char *history;   /* as in struct carry */
};

struct cut {
	const char *container; /* wav rf64 w64 aiff */
	uint64_t audio_offset; /* in the new file */
	uint64_t frames;
	struct pieces pieces;
	char dropped[128]; /* as in struct carried_list */
	/* For rendering while the pieces are written. */
	struct render *render; /* borrowed */
	uint64_t frame_bytes;
};

/*
 * 0; -1 and *e: ERR_ITEM (unsupported, also for frames that the file has not; empty; too_large; of
 * several segments, a sentence that says what differs between which, by their numbers from 1 on).
 * *c stays where it is until the pieces are written. cut_free in each case.
 */
int cut_plan(const struct cut_opts *o, struct cut *c, struct err *e);
void cut_free(struct cut *c);

#endif
