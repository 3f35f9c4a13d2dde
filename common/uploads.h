/*
 * uploads: the upload queue of the existing application, looked at from outside.
 */
#ifndef REC_UPLOADS_H
#define REC_UPLOADS_H

#include <stdbool.h>

#include "archive.h"
#include "catalogue_health.h"
#include "err.h"
#include "finding.h"

/*
 * A running job whose process must have died: begun more than this long ago (or nobody knows when).
 * The application keeps no process id, and an upload of its largest file takes less.
 */
#define UPLOADS_STALE_S (6 * 3600)

/* A time in the future is not stale: a clock may be wrong, and the process alive. */
bool uploads_is_stale(const struct catalogue_job *job);
/*
 * Findings jobs.stuck and jobs.failed (as often as max_attempts allows, or attempts are no number):
 * fail (remote), one a job, else a pass. a->catalogue is open.
 */
int uploads_check(struct findings *f, struct archive *a, struct err *e);

#endif
