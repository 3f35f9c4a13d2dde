/*
 * enrol: many recordings surveyed in parallel and recorded in batches.
 *
 * The one loop behind `rec-migrate apply`, `apply -` and `rec-meta refresh`: rows (all, or those
 * that items name) are surveyed by -j threads and written in their order, a transaction a batch, a
 * journal fsync a batch. A record is printed once its batch is committed.
 */
#ifndef REC_ENROL_H
#define REC_ENROL_H

#include <stdbool.h>
#include <stdint.h>

#include "archive.h"
#include "run.h"
#include "survey.h"
#include "tool.h"

struct enrol {
	struct tool *t;
	struct archive *a;
	struct run *r; /* NULL: a dry run, nothing is written */
	struct survey_opts o;
	bool items;	  /* the items that the tool was given, a record for each */
	bool rows;	  /* (then) every row, a record for each that changed or has a problem */
	int64_t changed;  /* out: rows written */
	int64_t problems; /* out: rows with a problem */
};

int enrol_run(struct enrol *n, struct err *e);

#endif
