/*
 * content: what a file is, what its frames say, and how the decoder is to see it.
 *
 * Only content decides: names play no part. content_look identifies the file, walks its frames
 * where the format has any, and fills the view. Decoders believe headers; the view shows them only
 * what is true:
 *
 *	RIFF, AIFF   the audio behind a clean header (wrap.h)
 *	FLAC         STREAMINFO without the count of samples, which would end the decoding early
 *	MP3          the frames without what lies between them, and without an info frame that lies
 *	CAF          the size of a cut data chunk corrected
 *	the rest     as it is
 */
#ifndef REC_CONTENT_H
#define REC_CONTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "chunk.h"
#include "err.h"
#include "framing.h"
#include "source.h"
#include "verdict.h"

struct content {
	struct source *source; /* borrowed, as facts: both are set before content_look */
	struct facts *facts;   /* what verdict needs is filled in; it points into this struct */
	struct framing_id id;
	struct chunk_layout layout;
	struct flac_info flac;
	struct ogg_walk ogg;
	struct mpeg_walk mpeg;
	struct view view; /* empty when the file is not to be given to a decoder */
	bool no_end; /* the decoder is not to seek to the end, nor to derive a length from it */
};

/*
 * 0; -1 and *e when out of memory, or (ERR_ITEM) when the file cannot be read. Call content_close
 * in each case.
 */
int content_look(struct content *c, int fd, struct err *e);
void content_close(struct content *c);

/*
 * Where the hole begins that ends at the end of the file (zeros begin at zero_start), or the size
 * when there is none. The descriptor's position is left as it was.
 */
uint64_t content_hole_at_end(int fd, uint64_t zero_start, uint64_t size_bytes);

#endif
