/*
 * undo: a run taken back, told to people: what rec-migrate rollback and rec-health repair --undo
 * do.
 */
#ifndef REC_UNDO_H
#define REC_UNDO_H

#include <stdbool.h>

#include "archive.h"
#include "err.h"
#include "tool.h"

/*
 * Takes back the run that is named, or with NULL the latest of this kind (NULL: of any) that is not
 * rolled back, and prints a record for each row that was restored or is in conflict. The archive is
 * open for writing and the caller holds the lock, unless in a dry run. Nothing to take back is told
 * on stderr and no error.
 */
int undo_run(struct tool *t, struct archive *a, const char *name, const char *kind, bool force,
    struct err *e);

#endif
