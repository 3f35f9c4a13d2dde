/*
 * disk: room on the file systems of the archive.
 */
#ifndef REC_DISK_H
#define REC_DISK_H

#include "archive.h"
#include "err.h"
#include "finding.h"

/*
 * Findings disk.space and disk.inodes, one for each file system that holds a folder or the
 * database. The thresholds are the existing application's: fail at 95 % used or under 100 MB (MiB)
 * free, warning at 85 % or under 1 GB; and fail under the environment's minimum where that check is
 * enabled. Inodes: 95 % and 85 %. What is absent counts where it would be made. a->catalogue may be
 * NULL.
 */
int disk_check(struct findings *f, const struct archive *a, struct err *e);

#endif
