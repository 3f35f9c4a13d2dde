/*
 * catalogue_fixity: when the bytes of each recording were last checked, and what was found.
 *
 * An archive that apply has not been run on, or whose tables are of version 1, has none of it: then
 * queries answer as if nothing had been checked, and what is put is dropped.
 */
#ifndef REC_CATALOGUE_FIXITY_H
#define REC_CATALOGUE_FIXITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "catalogue.h"
#include "clock.h"
#include "err.h"
#include "hash.h"

/* Pieces of a file whose digests are kept. */
#define FIXITY_PIECES 128

struct catalogue_fixity {
	int64_t recording_id;
	char checked_at[CLOCK_TEXT_MAX];
	char verdict[24];   /* see fixity.h */
	char message[768];  /* "" for none */
	int64_t size_bytes; /* of the file as seen; -1 */
	char mtime[CLOCK_TEXT_MAX];
	char xxh3_128[HASH_XXH3_128_HEX]; /* of bytes that were found good; "" */
	uint64_t piece_bytes;		  /* 0: no digests of pieces */
	unsigned n_pieces;
	uint32_t pieces[FIXITY_PIECES]; /* low 32 bits of each piece's XXH3-64 */
};

/*
 * Notes a check, in a transaction that the caller has begun; a row about a recording that was
 * removed meanwhile is dropped. Without digests of pieces, those that are there are kept.
 */
int catalogue_fixity_put(struct catalogue *c, const struct catalogue_fixity *f, struct err *e);
/* Forgets the check of a recording, in a transaction of the caller. */
int catalogue_fixity_forget(struct catalogue *c, int64_t id, struct err *e);
/* 1, 0, -1. */
int catalogue_fixity_get(
    struct catalogue *c, int64_t id, struct catalogue_fixity *f, struct err *e);

/*
 * The ids of the recordings, the longest unchecked first (never checked before all others); with
 * `since`, those that were checked since then are left out. A check later than `now` (the clock was
 * set back) counts as none. An array to free in *ids.
 */
int catalogue_fixity_queue(struct catalogue *c, const char *since, const char *now, int64_t **ids,
    size_t *n, struct err *e);

/* Checked means that the bytes were read; a file that could not be read was not checked. */
struct catalogue_coverage {
	int64_t recordings, checked, flagged;
	char oldest[CLOCK_TEXT_MAX]; /* check; "" when none */
	int64_t within_31_days;	     /* of those checked, by the time `now` */
};
int catalogue_coverage(
    struct catalogue *c, const char *now, struct catalogue_coverage *v, struct err *e);

/* "last_check", put into rec: when, the verdict, its message; null when there was none. */
int catalogue_put_check(struct catalogue *c, int64_t id, struct json *rec, struct err *e);

/* The pass that was begun last: 1 and its times ("" while unfinished), 0 when there was none, -1.
 */
int catalogue_pass_get(struct catalogue *c, char started_at[CLOCK_TEXT_MAX],
    char finished_at[CLOCK_TEXT_MAX], struct err *e);
/* In a transaction of the caller; finished_at may be NULL. */
int catalogue_pass_put(
    struct catalogue *c, const char *started_at, const char *finished_at, struct err *e);

#endif
