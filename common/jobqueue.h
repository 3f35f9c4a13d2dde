/*
 * jobqueue: the upload queue of the existing application, honoured.
 *
 * A job is due when it is pending, failed with attempts below max_attempts, or running though its
 * owner died: nobody else has the database or the job's file open (as far as /proc shows; where it
 * cannot be seen, uploads_is_stale decides). A job whose cancel_requested is set becomes cancelled
 * instead. Jobs are claimed and settled as the application would write it (status, attempts,
 * started_iso, finished_iso, last_error, uploaded_bytes, total_bytes, drive_file_id), through
 * journalled runs; only uploaded_bytes is written in between, and not journalled.
 *
 * file_path is not trusted: it must name a recording of this archive.
 */
#ifndef REC_JOBQUEUE_H
#define REC_JOBQUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "sync.h"

struct jobqueue;

/* The jobs that are due, marked running with one attempt more, in one run. With dry_run nothing is
 * marked. NULL and *e. */
struct jobqueue *jobqueue_claim(struct sync *s, bool dry_run, struct err *e);
size_t jobqueue_count(const struct jobqueue *q);
/* The recording of the i-th, or 0 and *problem (ERR_ITEM). */
int64_t jobqueue_recording(const struct jobqueue *q, size_t i, struct err *problem);
const struct sync_job *jobqueue_job(const struct jobqueue *q, size_t i);
/* Bytes confirmed so far, written at most once a second; from any thread. -1 with ERR_ITEM and code
 * "conflict" when the application asked to cancel it. */
int jobqueue_progress(struct jobqueue *q, size_t i, int64_t bytes, struct err *e);
/* How the i-th ended: with what the remote calls the object, or a problem (of class ERR_STOPPED: it
 * becomes pending again, without the attempt). */
void jobqueue_ended(
    struct jobqueue *q, size_t i, const char *remote_name, const struct err *problem);
/* Writes the ends down, in one run; those that have none yet become pending again. */
int jobqueue_settle(struct jobqueue *q, struct err *e);
void jobqueue_close(struct jobqueue *q);

#endif
