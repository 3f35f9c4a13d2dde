/*
 * jobrow: a job of the application's queue, as a row that a run changes: journalled images of it,
 * in the shape and with the texts that the application writes.
 */
#ifndef REC_JOBROW_H
#define REC_JOBROW_H

#include "catalogue_sync.h"
#include "clock.h"
#include "json.h"
#include "run.h"

/* This moment, as the application writes it; `out`. */
char *jobrow_now(char out[CLOCK_TEXT_MAX]);
/* NULL is "". */
const char *jobrow_or_empty(const char *text);
bool jobrow_is_status(const struct sync_job *job, const char *status);

/* ---- an image; columns that its shape lacks are left out ---- */

int jobrow_put_text(struct json *row, const char *column, const char *text, struct err *e);
int jobrow_put_count(struct json *row, const char *column, int64_t n, struct err *e);
/* Its end, now. */
int jobrow_put_ended(struct json *row, const char *status, struct err *e);
/* Text that is not UTF-8 is an object in an image, and tells nothing here. */
bool jobrow_has_text(const struct json *row, const char *column, const char *text);
/* The job is still the one that was looked at. */
bool jobrow_is_as_seen(const struct json *row, const struct sync_job *job);
bool jobrow_is_cancel_requested(const struct json *row);

/* ---- a run of kind "sync" ---- */

/* Opens it, and a transaction in it. 0; -1, and nothing is open. */
int jobrow_begin(struct run *r, struct archive *a, bool upgrade, struct err *e);
/*
 * Changes one job in the transaction that is open. `make` changes the image, or gives 0 when the
 * job is to stay as it is. 1 changed, 0, -1.
 */
int jobrow_change(struct run *r, int64_t rowid,
    int (*make)(void *ctx, struct json *row, struct err *e), void *ctx, struct err *e);
/* Ends both; when rc is -1, as if they had not been. 0, -1. */
int jobrow_end(struct run *r, int rc, struct err *e);

#endif
