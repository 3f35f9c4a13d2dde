/*
 * recovery: what a crash left in temp/ becomes recordings (take.h), and is told.
 */
#ifndef REC_RECOVERY_H
#define REC_RECOVERY_H

#include <stdbool.h>

#include "archive.h"
#include "err.h"
#include "tool.h"

/*
 * With print a record for each part, else it is told on stderr alone. With dry_run nothing is
 * changed. 0, -1 and *e.
 */
int recovery_run(struct tool *t, struct archive *writer, bool dry_run, bool print, struct err *e);

#endif
