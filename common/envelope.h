/*
 * envelope: the shape of a recording, for a picture of it.
 *
 * Decodes a file once, through the same view of it that is measured (damage and lying headers are
 * no obstacle), and keeps the lowest and the highest sample of all channels for each of n columns.
 * Memory does not grow with the length. The descriptor's position does not matter.
 *
 * The picture is as wide as what is longer, the length that was expected or the one that decodes:
 * column i holds the frames from i * frames_column on, and of a file that was cut the n columns end
 * where its audio does. Where no length was expected, or more decodes, n is between half of
 * ENVELOPE_COLUMNS and all of it; it is less only when there are fewer frames.
 */
#ifndef REC_ENVELOPE_H
#define REC_ENVELOPE_H

#include <stdatomic.h>
#include <stdint.h>

#include "err.h"

#define ENVELOPE_COLUMNS 480

struct envelope {
	unsigned n; /* columns that hold audio, at most ENVELOPE_COLUMNS; 0: nothing decodes, and
		       all is 0 */
	uint64_t frames;	/* decoded */
	uint64_t frames_column; /* frames a column; the last one may hold fewer */
	unsigned rate_hz;
	/* -1.0 to 1.0: what exceeds full scale is cut to it, what is no number is 0. */
	float low[ENVELOPE_COLUMNS], high[ENVELOPE_COLUMNS];
};

/*
 * `expected_frames`: the whole length that the picture is to have (what was recorded of the file),
 * or 0: what decodes. 0, also when the file is damaged; -1 and *e when reading fails, memory is
 * short, or when stopped (*v is then all 0). stop: NULL, or as in struct audio_opts.
 */
int envelope_read(
    int fd, uint64_t expected_frames, const atomic_int *stop, struct envelope *v, struct err *e);

#endif
