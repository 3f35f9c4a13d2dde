/*
 * wrap: the audio of a file of the RIFF or AIFF family behind a clean header of our own.
 *
 * Decoders believe headers. The one made here holds the format, the descriptions (INFO, bext; NAME
 * AUTH ANNO and the copyright of AIFF), and sizes that are true of the audio that is in the file,
 * whatever the file's own header says; nothing else of an untrusted header reaches the decoder.
 * Audio of 4 GiB and more goes as W64.
 */
#ifndef REC_WRAP_H
#define REC_WRAP_H

#include "chunk.h"
#include "err.h"
#include "source.h"

/* Fills the view. l has a format chunk and an audio chunk. 0, or -1 and *e when out of memory. */
int wrap_audio(struct source *s, const struct chunk_layout *l, struct view *v, struct err *e);

/* The format tag of a "fmt " chunk (the sub-format's of an extensible one), or 0. */
unsigned wrap_format_tag(struct source *s, const struct chunk_layout *l);

#endif
