/*
 * flaccut: parts of FLAC files, as a new FLAC file.
 *
 * Decoded and encoded again, with the rate, channels and bits of the old one (8, 16 or 24; files of
 * 12, 20 and 32 bits are refused, since libsndfile does not decode them), in threads of their own,
 * so that it is as fast as the slower of both. What is not wanted is not decoded: frames are found
 * by their numbers. Only where these are not to be trusted is it decoded from the beginning. The
 * metadata blocks go along (RFC 9639): Vorbis comments, pictures and application blocks byte for
 * byte, a cue sheet with its tracks shifted and clipped, a seek table of the new frames, padding;
 * STREAMINFO with the new total and the right MD5. What cannot be true any more is dropped: the
 * seek table of the old file, application blocks of foreign metadata (riff, aiff, w64).
 * WAVEFORMATEXTENSIBLE's mask stays as a comment.
 */
#ifndef REC_FLACCUT_H
#define REC_FLACCUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "render.h"

struct flaccut_segment {
	int fd; /* borrowed */
	uint64_t first, frames;
};

struct flaccut {
	const struct flaccut_segment *segments; /* the first one's metadata is carried */
	unsigned n;
	struct render *render; /* its format.channels is filled in; NULL: every frame as it is */
	int level;	       /* 0 to 8, as flac(1) counts; -1: 5 */
	const atomic_int *stop;
	atomic_ullong *bytes_done; /* of the old files, that were decoded; or NULL */
	bool verify;	   /* decode the new file as well, and compare with what was encoded */
	char dropped[128]; /* out: what of the metadata is not in the new file, for people, or "" */
};

/*
 * Writes the new file to out_fd (seekable, empty, open for reading too); as long as that lasts it
 * is no FLAC file. 0; -1 and *e: ERR_ITEM (not_audio, decode_error when the wanted frames do not
 * decode whole, unsupported when segments differ or the format is none of these, empty, with a
 * sentence), ERR_STOPPED, ERR_SYSTEM (full disk, or the new file does not decode to what was
 * encoded).
 */
int flaccut_write(struct flaccut *c, int out_fd, struct err *e);

#endif
