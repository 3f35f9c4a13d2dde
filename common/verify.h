/*
 * verify: proof that every recording is complete: measured, its file there, and its bytes those
 * that were recorded. Reads every file once (quick: looks at size and time alone) and writes
 * nothing.
 */
#ifndef REC_VERIFY_H
#define REC_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "archive.h"
#include "err.h"
#include "tool.h"

struct verify {
	struct tool *t;
	struct archive *a;
	bool quick;
	/* out: */
	int64_t rows;	    /* looked at */
	int64_t complete;   /* with nothing to say against them */
	int64_t unmeasured; /* the four kinds of falling short: */
	int64_t missing;
	int64_t changed; /* other bytes, size or time than recorded */
	int64_t damaged; /* measured, and found damaged then */
};

/* Prints a record for each row that falls short. */
int verify_run(struct verify *v, struct err *e);

#endif
