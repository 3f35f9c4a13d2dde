/*
 * pauses: where a recording is quiet, found in one pass.
 *
 * A frame is quiet when no channel's magnitude reaches the threshold, as in levels.h; a threshold
 * of -INFINITY leaves digital silence alone. A pause is so long at least, rounded to frames, and
 * one frame or more. Memory grows with the pauses alone. The descriptor's position does not matter.
 */
#ifndef REC_PAUSES_H
#define REC_PAUSES_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct pause {
	uint64_t first, frames;
};

struct pauses {
	unsigned rate_hz;
	uint64_t frames;      /* of the recording, as they decode */
	uint64_t sound_first; /* the first frame that is not quiet; frames when all are */
	uint64_t sound_end;   /* behind the last one; 0 when all are quiet */
	struct pause *list;   /* in order, those at the ends too */
	size_t n;
	/* Class ERR_NONE, or what is wrong with the file (verdict.h): neither FLAC's MD5 nor zeros
	 * among the samples are looked at. */
	struct err damage;
};

/*
 * min_s: of a pause, in seconds; stop and bytes_done: NULL, or as in struct audio_opts. 0; -1 and
 * *e (ERR_ITEM: nothing decodes; unreadable; ERR_STOPPED), and *p is then empty.
 */
int pauses_find(int fd, double threshold_dbfs, double min_s, const atomic_int *stop,
    atomic_ullong *bytes_done, struct pauses *p, struct err *e);
void pauses_free(struct pauses *p);

#endif
