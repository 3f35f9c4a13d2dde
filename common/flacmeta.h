/*
 * flacmeta: the metadata blocks of a FLAC file (RFC 9639 section 8), and what of them is true of a
 * file that holds parts of it.
 *
 * Carried byte for byte: the comments (behind the name of the new encoder), pictures, application
 * blocks. Cue sheets are made anew: the tracks and index points whose sound is there, where it is
 * now. Not carried: the old seek table (a new one is made) and padding (8192 bytes), foreign
 * metadata (application blocks riff, aiff, w64), blocks that are no valid ones or of no known type.
 * Where the lengths of blocks do not lead to the first frame it is looked for, and of what is
 * before it only comments, pictures and cue sheets that are valid are believed.
 *
 *	m = flacmeta_read(source, begin, end, &info, e);
 *	flacmeta_cut(m, pieces, n, frames, rate_hz, e);
 *	the encoder writes its stream behind flacmeta_reserve(m) bytes, and flacmeta_frame(m, ...)
 *	    is told of each frame
 *	flacmeta_write(m, out_fd, header_bytes, e);
 *	flacmeta_close(m);
 *
 * The encoder's own metadata, header_bytes long, is overwritten by the end of the new one, so that
 * no frame has to be moved. Functions that can fail return 0, or -1 and *e.
 */
#ifndef REC_FLACMETA_H
#define REC_FLACMETA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "framing.h"
#include "source.h"

struct flacmeta;

/* Frames of the old file that are in the new one, from `at` on. */
struct flacmeta_piece {
	uint64_t first, frames, at;
};

/*
 * The blocks of the stream in [begin, end); *info, as framing_flac fills it, is corrected
 * (audio_offset) when the blocks do not lead to the frames. NULL and *e when out of memory. The
 * source is borrowed until flacmeta_close.
 */
struct flacmeta *flacmeta_read(
    struct source *s, uint64_t begin, uint64_t end, struct flac_info *info, struct err *e);
/* NULL is fine. */
void flacmeta_close(struct flacmeta *m);

/*
 * True when the decoder finds a frame by its number: the stream's first one has the number 0 and
 * as many samples as STREAMINFO tells of all.
 */
bool flacmeta_is_numbered(struct source *s, uint64_t end, const struct flac_info *info);

/* What goes into a file of so many frames: pieces, in their order there, are what is of this one.
 */
int flacmeta_cut(struct flacmeta *m, const struct flacmeta_piece *pieces, size_t n, uint64_t frames,
    unsigned rate_hz, struct err *e);
/* What of it does not, in words, or "". */
const char *flacmeta_dropped(const struct flacmeta *m);
/* Adds to those words. */
void flacmeta_drop(struct flacmeta *m, const char *what);

/* The bytes in front of the encoder's stream. */
uint64_t flacmeta_reserve(const struct flacmeta *m);
/* The next frame of the new file: the first sample of it, how many, the bytes from the first frame
 * to it. */
void flacmeta_frame(struct flacmeta *m, uint64_t sample, unsigned len, uint64_t offset_bytes);
/* fd (which can also be read) has the stream behind the reserve. */
int flacmeta_write(struct flacmeta *m, int fd, uint64_t header_bytes, struct err *e);

#endif
