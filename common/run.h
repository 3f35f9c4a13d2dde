/*
 * run: a command that changes the archive, so that it can be taken back.
 *
 *	run_open(&r, a, "apply", e)       takes the lock; finishes or undoes what an earlier run
 * left run_upgrade(&r, e)                the toolkit's tables and missing columns, once
 *	run_begin(&r, e)                  a write transaction
 *	  catalogue_row_get(...)          what is there now
 *	  run_change(&r, ..., after, e)   what it shall be
 *	run_commit(&r, e)                 journal, fsync, change, commit
 *	run_end(&r, problems, e)          the run is complete
 *	run_close(&r)                     always
 *
 * The before-image of each row is read inside the transaction that changes it and is durable in the
 * journal before the change. A run that changes nothing leaves no journal. One run at a time: the
 * lock is on the journal folder, and a second writer waits as long as it would for the database,
 * then fails with ERR_BUSY.
 */
#ifndef REC_RUN_H
#define REC_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "archive.h"
#include "err.h"
#include "journal.h"
#include "json.h"

struct run_change;

struct run {
	struct archive *a;
	const char *kind;
	struct journal *journal; /* NULL until something is changed */
	struct run_change *changes;
	size_t n_changes, cap_changes;
	int64_t rows; /* recordings changed and committed */
	bool in_transaction;
};

/* Temporary files that a killed run left are removed. Kind "rollback" otherwise takes the lock
 * alone: the caller decides what becomes of an interrupted run. */
int run_open(struct run *r, struct archive *a, const char *kind, struct err *e);
int run_upgrade(struct run *r, struct err *e);
int run_begin(struct run *r, struct err *e);
/*
 * Queues a change of one row; takes `after` over (NULL deletes), also on failure. 1 when it differs
 * from what is there, 0 when it does not (nothing is queued), -1.
 */
int run_change(struct run *r, const char *table, const char *key, int64_t id, struct json *after,
    struct err *e);
/*
 * Journals a line (takes it over) about what is no row, and makes it durable before that is
 * touched: a file (op "file"), the schema.
 */
int run_announce(struct run *r, struct json *line, struct err *e);
/* The same, and a copy of the line in *kept for filechange_take_back; the caller frees it. */
int run_announce_kept(struct run *r, struct json *line, struct json **kept, struct err *e);
int run_commit(struct run *r, struct err *e);
/* Forgets what was queued since run_begin. */
void run_cancel(struct run *r);
int run_end(struct run *r, int64_t problems, struct err *e);
/* Name of the run as it is or will be; made on first use. NULL and *e. */
const char *run_name(struct run *r, struct err *e);
void run_close(struct run *r);

#endif
