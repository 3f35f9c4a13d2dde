/*
 * checkup: the health check as a whole: which checks, in which order, and what becomes of the
 * result.
 *
 * What cannot be checked is told as an error and the checks that do not depend on it go on: without
 * configuration nothing else, without the database no recording, without the volume no file.
 */
#ifndef REC_CHECKUP_H
#define REC_CHECKUP_H

#include "err.h"
#include "scrub.h"
#include "tool.h"

enum {
	CHECKUP_CONFIG = 1,
	CHECKUP_FOLDERS = 2,
	CHECKUP_DISK = 4,
	CHECKUP_DATABASE = 8,
	CHECKUP_COMPLETENESS = 16,
	CHECKUP_JOBS = 32,
	CHECKUP_RETENTION = 64,
	CHECKUP_FIXITY = 128,
	CHECKUP_DATABASE_FULL = 256, /* only when it is named */
	CHECKUP_DEFAULT = 255,
};

/* The bits of "config,disk": comma-separated names of the above; 0 and ERR_USAGE for another. */
unsigned checkup_groups(const char *names, struct err *e);

struct checkup {
	unsigned groups;
	struct scrub_opts fixity;
	const char *metrics; /* --metrics FILE, or NULL */
	const char *html;    /* --html FILE, or NULL */
};

/* 0; -1 and *e when something could not be checked or written (its record is printed all the same).
 */
int checkup_run(struct tool *t, const struct checkup *c, struct err *e);

#endif
