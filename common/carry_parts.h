/*
 * carry_parts: what the modules of carry.h share, and what they are asked for by it.
 *
 * A chunk is a struct carry_chunk. Whoever is given one reads `old`, and when something else is
 * true of the new file fills `new` and sets its fate. What contradicts itself is left alone, which
 * is CARRY_KEEP. Numbers are of the file's byte order.
 *
 * Each function returns 0, or -1 and *e when out of memory.
 */
#ifndef REC_CARRY_PARTS_H
#define REC_CARRY_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "mem.h"

enum carry_fate {
	CARRY_KEEP, /* byte for byte */
	CARRY_NEW,
	CARRY_DROP,
};

struct carry_chunk {
	char id[5];
	unsigned source; /* as in struct carried */
	bool behind;	 /* as in struct carried */
	struct buf old;	 /* the body; data NULL when it was not read */
	enum carry_fate fate;
	struct buf new;
};

/* A segment with the chunks that were read of it. */
struct carry_part {
	uint64_t first, frames;
	uint64_t place; /* of its first frame in the new file */
	bool goes_on;	/* the file does not end with it: a mark at its end is not its own */
	struct carry_chunk *chunks;
	unsigned n;
};

/* When the new file begins, seen from the start of the old one, and how it came about. */
struct carry_origin {
	uint64_t first;
	unsigned rate_hz;
	bool big;
	bool same_audio;     /* all of it, unchanged */
	const char *history; /* or NULL */
};

/* ---- of all of them ---- */

bool carry_is(const char *id, const char *other);
/* The first chunk of that id that was read, or NULL. */
struct carry_chunk *carry_find(const struct carry_part *p, const char *id);

/*
 * The place in a part of frame `at` of its file, as a frame of the new file: false when it lies
 * outside. The end counts as inside, as marks lie between frames.
 */
bool carry_place(const struct carry_part *p, uint64_t at, uint64_t *to);

/*
 * A count of frames since midnight, moved on by `frames` of the rate_hz: false when it cannot be
 * said. Passing 24 hours it begins anew, and *days (or NULL) is raised. A count beyond a day is no
 * time of day, and is only added to.
 */
bool carry_since_midnight(uint64_t *count, uint64_t frames, unsigned rate_hz, uint64_t *days);

/*
 * Moves on a date "YYYY-MM-DD" and a time "HH:MM:SS", with any separators, by whole seconds; what
 * of both is none stays. Without a time the date is moved on by `days`.
 */
void carry_move_date(char date[10], char time[8], uint64_t seconds, uint64_t days);

/* ---- the modules ---- */

/* cue, adtl, plst, smpl of RIFF: of the first part's, with the marks of all. */
int carry_riff_marks(struct carry_part *parts, unsigned n, bool big, struct err *e);
/* MARK, INST, COMT of AIFF, likewise. */
int carry_aiff_marks(struct carry_part *parts, unsigned n, struct err *e);
int carry_xml(struct carry_chunk *c, const struct carry_origin *o, struct err *e);

#endif
