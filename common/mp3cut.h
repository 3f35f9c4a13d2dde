/*
 * mp3cut: a part of a stream of MPEG audio frames (layers I to III), without decoding.
 *
 * A decoder needs more than the frame that holds a sample: what the frames before it left in its
 * filters, and of layer III the bits that lie in earlier frames (the reservoir). So the new file
 * begins with an info frame, a silent frame that carries those bits where there are any, and the
 * one or two frames that fill the filters; the info frame's delay tells the decoder to play none of
 * that. Layer III is exact to the sample. Layers I and II know no info frame: there it is whole
 * frames.
 */
#ifndef REC_MP3CUT_H
#define REC_MP3CUT_H

#include <stdint.h>

#include "err.h"
#include "framing.h"
#include "source.h"

/*
 * Of the file that id tells of, the frames (samples a channel, as the decoder counts them) from
 * *first on to out_fd; both become what the new file plays, with fewer frames where the old one
 * ends. 0; -1 and *e as framecut_write.
 */
int mp3cut_write(struct source *s, const struct framing_id *id, uint64_t *first, uint64_t *frames,
    int out_fd, struct err *e);

#endif
