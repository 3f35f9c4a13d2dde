/*
 * scrub: the bytes of many recordings read and compared, within a budget, so that it can go on.
 *
 * Which: all (a pass: what an interrupted pass has read is not read again), a random sample, or the
 * N that have not been read for the longest time; in each case those first whose size or time
 * changed, then the longest unchecked. Each result is noted in the catalogue within half a second
 * or so (a transaction a batch), unless the archive has no tables for it or in a dry run.
 *
 * Budgets: no file is begun after max_ns, and none (but the first) that would exceed max_bytes.
 */
#ifndef REC_SCRUB_H
#define REC_SCRUB_H

#include <stdbool.h>
#include <stdint.h>

#include "archive.h"
#include "census.h"
#include "err.h"
#include "finding.h"
#include "idset.h"

enum scrub_which { SCRUB_NONE, SCRUB_ALL, SCRUB_SAMPLE, SCRUB_OLDEST };

struct scrub_opts {
	enum scrub_which which; /* --fixity */
	double percent;		/* sample=P% */
	int64_t oldest;		/* oldest=N */
	uint64_t max_ns;	/* --max-time; 0: none */
	uint64_t max_bytes;	/* --max-bytes; 0: none */
	bool cached;		/* --cached */
};

/* "none", "all", "sample=P%" (0 < P <= 100), "oldest=N" (N >= 1); ERR_USAGE for another. */
int scrub_parse(const char *text, struct scrub_opts *o, struct err *e);

struct scrub {
	struct findings *f;
	struct archive *a;
	struct scrub_opts o;
	bool note_nothing;	     /* the database is damaged: nothing is written to it */
	const struct census *census; /* or NULL; changed files are read first, absent ones not */
	struct idset judged;	     /* out: ids that a verdict was told or passed of */
	int64_t files, good, bytes;  /* out: read, found unchanged, and their size */
	bool budget_spent;	     /* out */
};

/* Findings fixity.file (one a file that is not as it was) and fixity.files (the sum). */
int scrub_run(struct scrub *s, struct err *e);
/* Finding fixity.coverage: how much of the archive was read when. */
int scrub_coverage(struct findings *f, const struct archive *a, struct err *e);
void scrub_free(struct scrub *s);

#endif
