/*
 * verdict: what is wrong with a file of audio, from what was found out about it.
 *
 * Everything that was found is weighed and the gravest problem is told, in this order: unreadable,
 * modified, empty, not_audio, unsupported, decode_error, zero_tail, truncated, header_mismatch.
 * "empty" is only said of files that are not damaged. Sentences give the numbers that somebody
 * needs to decide what to do.
 */
#ifndef REC_VERDICT_H
#define REC_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "chunk.h"
#include "err.h"
#include "framing.h"

struct facts {
	uint64_t size_bytes;
	const char *container;
	bool quick; /* nothing was decoded: only headers and sizes are judged */
	/* What was found of the format; NULL when it is another one. */
	const struct framing_id *id;
	const struct chunk_layout *layout;
	unsigned format_tag; /* of "fmt " */
	const struct flac_info *flac;
	const struct ogg_walk *ogg;
	const struct mpeg_walk *mpeg;
	bool sized; /* AU, CAF: the header claims sized_declared bytes of audio at sized_offset */
	uint64_t sized_offset, sized_declared;
	/* The decoder. */
	bool opened;
	bool unimplemented;	     /* it knows the container, not what is in it */
	const char *open_error;	     /* what it said when it refused the file; NULL */
	const char *decode_error;    /* the first error it reported while decoding; NULL */
	int64_t error_frame, frames; /* where that was; all that were decoded */
	uint64_t rate_hz;
	bool flac_last; /* the last frame's header was found: it starts at flac_last_start and has
			   flac_last_len */
	uint64_t flac_last_start;
	unsigned flac_last_len;
	char md5[33]; /* of FLAC's samples as decoded; "" when unknown */
	/* Zeros. */
	uint64_t zero_start;   /* the run of zero bytes at the end of the file begins here */
	uint64_t hole_start;   /* a hole at the end of the file begins here, or the file's size */
	uint64_t frame_bytes;  /* of formats whose frames all have the same size, else 0 */
	uint64_t audio_offset; /* the first byte of audio */
	bool zero_is_silence;  /* in this codec */
	bool abrupt;	       /* the 10 ms before the zeros peak above -40 dBFS */
};

/* Fills *problem; its class is ERR_NONE when there is nothing to tell. */
void verdict(const struct facts *f, struct err *problem);

/* True when zeros at the end begin where a page of the disk does, so that `abrupt` is worth finding
 * out. */
bool verdict_wants_abrupt(const struct facts *f);

#endif
