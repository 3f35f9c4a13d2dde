/*
 * catalogue_health: what a health check asks of the database itself. Nothing here changes it.
 */
#ifndef REC_CATALOGUE_HEALTH_H
#define REC_CATALOGUE_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "catalogue.h"
#include "err.h"

/*
 * PRAGMA quick_check, or with full integrity_check: `tell` gets each complaint (at most 100); a
 * database that is too damaged to be checked through is a complaint too. 0, or -1 and *e (busy,
 * stopped, the disk).
 */
int catalogue_integrity(struct catalogue *c, bool full,
    int (*tell)(void *ctx, const char *complaint, struct err *e), void *ctx, struct err *e);

/* Rows whose parent is missing. */
struct catalogue_violations {
	int64_t application; /* in the application's tables */
	int64_t toolkit;     /* in the toolkit's, whose recording is gone */
	int64_t tags;	     /* … of those: what people said about it */
};
int catalogue_foreign_key_violations(
    struct catalogue *c, struct catalogue_violations *v, struct err *e);

struct catalogue_pages {
	int64_t page_bytes, pages, free_pages;
	char journal_mode[16]; /* wal, delete, … */
};
int catalogue_pages(struct catalogue *c, struct catalogue_pages *p, struct err *e);

/* How long a query takes that the application makes all the time: the latest recordings.
 * Nanoseconds, or -1. */
int64_t catalogue_query_ns(struct catalogue *c, struct err *e);
/* Whether this user can write to the database's file. */
bool catalogue_is_writable(const struct catalogue *c);
/*
 * Takes the write lock and lets go of it; ERR_BUSY when it cannot be had within the configured
 * time. 0 without trying when the database is not writable.
 */
int catalogue_probe_write(struct catalogue *c, struct err *e);

/* An upload job. Strings are borrowed until the next call; NULL when the column is NULL or absent.
 */
struct catalogue_job {
	int64_t rowid;
	const char *id, *file_path, *status, *last_error;
	const char *since;		/* started_iso, else created_iso */
	int64_t attempts, max_attempts; /* -1: not a number from 0 up */
};
/* Calls `each` for every job that is running or failed; nothing when there is no table. */
int catalogue_jobs(struct catalogue *c,
    int (*each)(void *ctx, const struct catalogue_job *job, struct err *e), void *ctx,
    struct err *e);
/* Calls `each` with the file_path of every job, whatever its status; what cannot be a path (NULL, a
 * NUL byte inside) is left out. */
int catalogue_job_paths(struct catalogue *c,
    int (*each)(void *ctx, const char *path, struct err *e), void *ctx, struct err *e);

/* The latest time that the catalogue holds (created_at, checks), RFC 3339 UTC; "" when none. What
 * is not a time is ignored. */
int catalogue_latest_time(struct catalogue *c, char out[40], struct err *e);

#endif
