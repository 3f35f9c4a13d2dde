/*
 * playback: the decoded samples of parts of files, one behind the other.
 *
 * The files may have different formats, but one rate and one number of channels. Samples are of the
 * type that loses nothing of any of them.
 *
 *	p = playback_open(parts, n, stop, bytes_done, e);
 *	while ((frames = playback_read(p, &block, e)) > 0) ...
 *	playback_close(p);
 */
#ifndef REC_PLAYBACK_H
#define REC_PLAYBACK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "decoder.h"
#include "err.h"

struct playback_part {
	int fd; /* borrowed */
	uint64_t first, frames;
};

struct playback_format {
	unsigned rate_hz, channels;
	enum decoder_samples samples;
	unsigned bits; /* of DECODER_INT: those of the widest */
	bool lossless; /* all of them */
};

struct playback;

/*
 * stop and bytes_done as in audio.h. NULL and *e: ERR_ITEM (what cannot be decoded; unsupported:
 * which of the files differs from the first one, numbered from 1).
 */
struct playback *playback_open(const struct playback_part *parts, unsigned n,
    const atomic_int *stop, atomic_ullong *bytes_done, struct err *e);
const struct playback_format *playback_format(const struct playback *p);
/* What the first file says of itself: its title (UTF-8) or NULL, and the keys of all else
 * (audio.h's tags) with commas between. */
const char *playback_title(const struct playback *p);
const char *playback_tags(const struct playback *p);
/* Frames in *b; 0 behind the last; -1 and *e: ERR_ITEM (decode_error, truncated: a part does not
 * decode whole), ERR_STOPPED. */
int64_t playback_read(struct playback *p, union decoder_block *b, struct err *e);
/* NULL is fine. */
void playback_close(struct playback *p);

#endif
