/*
 * waveform: a recording drawn on a terminal, with what is cut.
 *
 * The picture spans all frames of the envelope. The loudest sample of a column, of either sign,
 * gives its height to both sides of a middle line; full scale is all of it. Every line is exactly
 * `columns` wide.
 */
#ifndef REC_WAVEFORM_H
#define REC_WAVEFORM_H

#include <stdbool.h>
#include <stdint.h>

#include "envelope.h"
#include "err.h"
#include "mem.h"

struct waveform_opts {
	unsigned columns, rows; /* of the picture: at least 20 and 2 */
	bool utf8;		/* Braille dots; else #, and - or _ where there is no sound */
	bool colour;		/* what is kept stands out; else a line beneath marks it */
	/* What is kept, as stretches in order, in frames; none: all of it. A column that has any of
	 * it is kept. */
	const struct waveform_kept {
		uint64_t first, frames;
	} * kept;
	unsigned n_kept;
};

/*
 * Appends lines of text: the picture, marks of what is kept (= and . for what is not), times at
 * both ends. An envelope of nothing is a middle line. 0; -1 and *e when out of memory.
 */
int waveform_draw(
    const struct envelope *v, const struct waveform_opts *o, struct buf *out, struct err *e);

#endif
