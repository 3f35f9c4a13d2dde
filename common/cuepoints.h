/*
 * cuepoints: where the cue points of a file lie.
 *
 *  WAV RF64 W64  the cue chunk's dwSampleOffset (Microsoft, "Multimedia Programming Interface
 *                and Data Specifications 1.0")
 *  AIFF          MARK (Apple, "Audio Interchange File Format" 1.3)
 *  FLAC          index 1 of the tracks of CUESHEET (RFC 9639)
 */
#ifndef REC_CUEPOINTS_H
#define REC_CUEPOINTS_H

#include <stddef.h>
#include <stdint.h>

#include "chunk.h"
#include "err.h"

/* Frames, in the order of the file, for the caller to free; none when a chunk contradicts itself.
 * 0; -1 and *e: memory, or ERR_ITEM (unreadable). */
int cuepoints_of_chunks(
    int fd, const struct chunk_layout *l, uint64_t **frames, size_t *n, struct err *e);
int cuepoints_of_flac(int fd, uint64_t **frames, size_t *n, struct err *e);

#endif
