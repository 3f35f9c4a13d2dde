/*
 * volume: whether the folder of the recordings is the one that was recorded, and what lies in it.
 */
#ifndef REC_VOLUME_H
#define REC_VOLUME_H

#include <stdint.h>

#include "archive.h"
#include "err.h"
#include "run.h"

/*
 * 0 when each folder of recordings is the one that was recorded, or holds at least one of its
 * files; -1 with code volume_absent (ERR_SYSTEM) when it is not there: an unmounted disk, an empty
 * mount point.
 */
int volume_check(const struct archive *a, struct err *e);
/* Records the identity of raw and edited, in a transaction of its own. */
int volume_record(struct run *r, struct err *e);
/* Files in raw and edited that no row names. */
int volume_count_orphans(const struct archive *a, int64_t *n, struct err *e);

#endif
