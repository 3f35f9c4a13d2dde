/*
 * carry: what a file of the RIFF or AIFF family carries beside its audio, as it is true of a part
 * of it, or of several such parts in a row.
 *
 *  bext       TimeReference, with it date and time, advanced by the first frame (past midnight it
 *             begins anew); a line more of CodingHistory; loudness "not given" (0x7fff), as that
 *             is of other audio. Shorter than 602 bytes: as it is
 *  cue adtl   points, labels, notes, regions: shifted; outside dropped; regions clipped, and kept
 *             when they only reach into the part; of several parts, numbered anew where two have
 *             one number
 *  plst smpl  segments and loops of the first part: shifted, clipped or dropped
 *  iXML       time stamps and sync points moved, what it copies of bext as there
 *             (TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_*, BWF_TIME_REFERENCE_*, BWF_ORIGINATION_*,
 *             BWF_CODING_HISTORY, SYNC_POINT_*), every other byte as it is
 *  fact       frames
 *  MARK INST COMT COMM
 *             AIFF's markers, loops, comments on markers, frames
 *  MD5 PEAK levl
 *             dropped: no longer true, and not computed here
 *  JUNK junk PAD FLLR ds64
 *             dropped: filling
 *
 * The rest goes along byte for byte, LIST INFO and unknown chunks too. Of a whole file that is not
 * changed everything does, but for filling, counts of frames that were wrong, and the line of
 * CodingHistory. A chunk that lies incompletely in the file is dropped.
 *
 * EBU Tech 3285 (bext, levl), Microsoft "Multimedia Programming Interface and Data Specifications
 * 1.0" (cue, plst, adtl), iXML 3.01, Apple AIFF 1.3. The chunks' bodies are not trusted: one that
 * contradicts itself, or is longer than 16 MiB, goes along byte for byte; so does the rest when 64
 * MiB of them were read.
 */
#ifndef REC_CARRY_H
#define REC_CARRY_H

#include <stdbool.h>
#include <stdint.h>

#include "chunk.h"
#include "err.h"

/* Frames of a file, one behind the other in the new one. */
struct segment {
	int fd;				   /* borrowed */
	const struct chunk_layout *layout; /* borrowed */
	uint64_t first, frames;
};

struct carry {
	/* The first one's chunks are carried, and the marks of all. */
	const struct segment *segments;
	unsigned n;
	unsigned rate_hz;
	bool changed;	     /* samples are (faded, gained): sums of them are not true */
	const char *history; /* the line for CodingHistory, without its end; NULL: none */
};

/* A chunk of the new file. */
struct carried {
	char id[5];
	unsigned source;     /* index of the chunk in the first segment's layout; UINT_MAX: new
				(marks of later segments, when the first has none) */
	bool behind;	     /* it stands behind the audio */
	unsigned char *body; /* new, owned; NULL: the old one's, byte for byte */
	uint64_t len;	     /* without a pad byte */
};

struct carried_list {
	struct carried *list; /* without the format chunk of RIFF and W64, and the audio */
	unsigned n;
	/* Ids of chunks that were dropped for being untrue (MD5, PEAK, levl), each once, with
	 * commas between: "MD5, PEAK". */
	char dropped[128];
};

/* 0; -1 and *e: memory, or ERR_ITEM (unreadable, modified). Free in each case. */
int carry(const struct carry *c, struct carried_list *out, struct err *e);
void carry_free(struct carried_list *l);

#endif
