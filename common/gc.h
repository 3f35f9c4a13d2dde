/*
 * gc: removes what retention.h says has been kept long enough.
 */
#ifndef REC_GC_H
#define REC_GC_H

#include <stdbool.h>

#include "archive.h"
#include "err.h"
#include "tool.h"

/*
 * Prints a record for each thing:
 * {"kind":…,"path":…,"size_bytes":…,"age_days":…,"removed":true|false}. Without apply, or with -n,
 * it removes nothing. With it the caller holds the lock of runs (run_open), and each removal is
 * durable before its record says so; what cannot be removed gets a problem, and the rest goes on.
 * A damaged journal has a record with a problem (age_days is null): it is why nothing in backup
 * goes.
 */
int gc_run(struct tool *t, const struct archive *a, bool apply, struct err *e);

#endif
