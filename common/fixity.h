/*
 * fixity: whether the bytes of a recording are still those that were recorded.
 *
 * The file is read once, from the medium (what the page cache holds of it is dropped first), and
 * its XXH3-128 compared with the measurement's. When it differs, the file is measured, and the
 * difference gets its name:
 *
 *  ok                 the same bytes (a time that changed alone is no change)
 *  checksum_mismatch  size and time as recorded, other bytes: rot
 *  zero_tail          the end is zero bytes that were not there
 *  truncated, decode_error, empty, not_audio, unsupported, header_mismatch
 *                     damage that the file itself shows
 *  tags_only          changed; the decoded samples are those that were recorded
 *  size_mismatch      another size, and yet the recorded time
 *  modified           size or time changed with the bytes
 *  missing, denied, unreadable, unsafe_path
 *                     the bytes cannot be had
 *  busy               it changed while it was read: somebody is writing
 *
 * A recording that was never measured is measured instead, and its bytes are compared with the
 * existing application's SHA-256, if it has one. The problem code of tags_only is modified; of the
 * others it is the verdict. Nothing is written.
 */
#ifndef REC_FIXITY_H
#define REC_FIXITY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "archive.h"
#include "audio.h"
#include "catalogue.h"
#include "catalogue_fixity.h"
#include "err.h"

struct fixity_opts {
	bool cached; /* do not drop the page cache first */
	const atomic_int *stop;
	atomic_ullong *bytes_done;
};

struct fixity {
	const char *verdict; /* static */
	struct err problem;  /* class ERR_NONE when ok or busy */
	enum folder folder;
	int64_t size_bytes; /* of the file as seen; -1 */
	char mtime[CLOCK_TEXT_MAX];
	bool audio_intact;	      /* the bytes differ, the decoded samples do not */
	double audio_s;		      /* what decodes of a file whose bytes differ; NAN */
	uint64_t zeros_bytes;	      /* of a zero_tail */
	char sha256[HASH_SHA256_HEX]; /* of a file whose bytes differ; "" */
	/* Digests of pieces of the bytes as they are now. */
	char xxh3_128[HASH_XXH3_128_HEX];
	uint64_t piece_bytes;
	unsigned n_pieces;
	uint32_t pieces[FIXITY_PIECES];
};

/* Runs in worker threads and touches no database. 0; -1 and *e when the work cannot go on. */
int fixity_look(const struct archive *a, const struct catalogue_row *row,
    const struct fixity_opts *o, struct fixity *x, struct err *e);

#endif
