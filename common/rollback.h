/*
 * rollback: takes back what a run did, from its journal and the database alone.
 *
 * Lines are undone last first. A row is restored only while it is just as the run left it; a row
 * that somebody changed since is left as it is and is a conflict (force: the columns that the run
 * changed are put back all the same). Rows that are already as before are passed over, so a
 * rollback that was killed is finished by running it again. A file goes back after its rows
 * (filechange.h), and stays when they do. Columns and tables that the run added
 * go last, columns only when nothing is left in any of them.
 */
#ifndef REC_ROLLBACK_H
#define REC_ROLLBACK_H

#include <stdbool.h>
#include <stdint.h>

#include "archive.h"
#include "err.h"

struct rollback {
	struct archive *a; /* opened for writing unless dry_run; the caller holds the lock */
	const char *run;
	bool force;   /* --force */
	bool dry_run; /* -n: tells what would be done */
	/*
	 * One call a recording, after its change is committed (conflict is NULL: restored), or for
	 * what has no row (id 0: columns, files). Returns 0, or -1 and *e to stop.
	 */
	int (*tell)(void *ctx, int64_t id, const struct err *conflict, struct err *e);
	void *ctx;
	const atomic_int *stop;	     /* or NULL */
	int64_t restored, conflicts; /* out */
};

int rollback_run(struct rollback *r, struct err *e);

/* Settles the last file that a killed run was working on (filechange.h). */
int rollback_settle(struct archive *a, const char *run, struct err *e);

#endif
