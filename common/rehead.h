/*
 * rehead: a file's bytes behind a header that tells the truth.
 *
 * For files of the RIFF and AIFF families (WAV, RF64, W64, AIFF; chunk.h) whose sizes were never
 * written or are wrong: the writer died, the file was cut, the disk was full. The new file has
 * every whole frame of audio that is in the old one, byte for byte, the same format, and every
 * chunk that lies whole before or behind the audio; only size fields (and COMM's frame count, ds64,
 * fact) and pad bytes are new, and a chunk that was cut is left out. A WAV that has grown beyond
 * 4 GiB becomes RF64 (EBU Tech 3306), which keeps its place: only "RIFF" and a "JUNK" or new "ds64"
 * chunk change.
 *
 *	if (rehead_plan(fd, size, &p, e) == 1) ... p.message says what is wrong
 *		rehead_write(&p, fd, out_fd, stop, bytes_done, e)
 *	rehead_free(&p);
 */
#ifndef REC_REHEAD_H
#define REC_REHEAD_H

#include <stdatomic.h>
#include <stdint.h>

#include "chunk.h"
#include "err.h"
#include "pieces.h"

struct rehead {
	const char *container; /* of the new file: wav rf64 w64 aiff */
	uint64_t audio_bytes;  /* whole frames (ADPCM, GSM: whole blocks) that are kept */
	uint64_t lost_bytes;   /* of the old file that the new one does not have: part of a frame, a
				  cut chunk, junk (tags, padding) behind the audio */
	char message[256];     /* what is wrong with the old header, for people */
	struct pieces pieces;  /* the new file */
};

/*
 * 1 and *p when the header does not match the data and can be rebuilt; 0 when there is nothing to
 * repair (also for other formats): chunk.h's flags decide, a partial frame, a wrong fact or junk
 * alone are no reason; -1 and *e: ERR_ITEM when it is broken beyond that (no fmt, or one that
 * contradicts itself, no frames of audio, a second fmt chunk, a codec without constant blocks, 4
 * GiB in AIFF or RIFX), else the machine's. After 0 and -1 *p is empty.
 */
int rehead_plan(int fd, uint64_t size_bytes, struct rehead *p, struct err *e);
/*
 * Writes the new file at out_fd (seekable, empty) from its start; fd is the file that was planned.
 * stop and bytes_done (of the old file's bytes) as in audio.h, or NULL. 0, or -1 and *e: ERR_ITEM
 * (unreadable; modified, when it became shorter), ERR_STOPPED, ERR_SYSTEM (a full disk); what was
 * written until then is of no use.
 */
int rehead_write(struct rehead *p, int fd, int out_fd, const atomic_int *stop,
    atomic_ullong *bytes_done, struct err *e);
void rehead_free(struct rehead *p);

#endif
