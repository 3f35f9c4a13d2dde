/*
 * framecut: a part of an MP3, Ogg Vorbis or Ogg Opus file, cut at the edges of its frames or
 * packets, without decoding.
 *
 *  MP3     whole frames, behind a Xing or Info frame of the new counts and a silent frame that
 *          holds the bits of the reservoir; the LAME tag's delay and padding say which samples are
 *          not to be played; ID3v2 and trailing tags are carried
 *  Vorbis  whole packets in pages of their own; headers as they are; granule positions from 0
 *  Opus    the same, with 400 ms of pre-skip before the first frame (RFC 7845: at least 80)
 *
 * What is cut contains the wanted frames; how far it reaches is told. It reaches further only where
 * the format cannot say it: to whole frames in layers I and II, and to one edge of the packet in
 * Vorbis where the part lies within one.
 */
#ifndef REC_FRAMECUT_H
#define REC_FRAMECUT_H

#include <stdatomic.h>
#include <stdint.h>

#include "err.h"

struct framecut {
	int fd; /* borrowed */
	uint64_t first, frames;
	const atomic_int *stop;
	atomic_ullong *bytes_done;
	/* Out: the frames of the old file that the new one plays (fewer where the old one ends). */
	uint64_t real_first, real_frames;
};

/*
 * Writes the new file to out_fd (seekable, empty). 0; -1 and *e: ERR_ITEM (unsupported for another
 * format, chained or multiplexed Ogg; decode_error where it is damaged or ends before the first;
 * modified, unreadable), ERR_STOPPED, ERR_SYSTEM.
 */
int framecut_write(struct framecut *c, int out_fd, struct err *e);

#endif
