/*
 * settle: the application's columns sync_status and last_synced_at brought into line with what is
 * proven at the remote, in one run (journalled; rec-migrate rollback takes it back).
 */
#ifndef REC_SETTLE_H
#define REC_SETTLE_H

#include <stdint.h>

#include "sync.h"

/* "synced" for each recording whose bytes are proven there; "failed" for those with these ids that
 * are not. Opens no run when nothing changes. */
int settle_run(struct sync *s, const int64_t *failed, size_t n_failed, struct err *e);

#endif
