/*
 * oggcut: a part of an Ogg file of Vorbis or Opus, without decoding.
 *
 * The header packets stay in the pages they have; whole packets of audio follow in new pages, with
 * granule positions from 0. Both ends are exact to the sample: the last page's granule position
 * drops what is behind the end, and what is before the beginning is dropped by Opus' pre-skip, or
 * by the granule position of Vorbis' first page of audio. One case is not: of a part that lies
 * within one packet of Vorbis, that position can tell one end only; the other is the packet's.
 */
#ifndef REC_OGGCUT_H
#define REC_OGGCUT_H

#include <stdint.h>

#include "err.h"
#include "framing.h"
#include "source.h"

/* As mp3cut_write. Opus is counted at 48 kHz. */
int oggcut_write(struct source *s, const struct framing_id *id, uint64_t *first, uint64_t *frames,
    int out_fd, struct err *e);

#endif
