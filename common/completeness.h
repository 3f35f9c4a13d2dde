/*
 * completeness: what a census found, as findings: rows without measurements, rows without files,
 * files without rows, what killed writers left.
 */
#ifndef REC_COMPLETENESS_H
#define REC_COMPLETENESS_H

#include "archive.h"
#include "census.h"
#include "err.h"
#include "finding.h"
#include "idset.h"

/*
 * Findings completeness.measurements, .files (one a row whose file cannot be had; moved when a file
 * without a row has its bytes), .orphans, .parts, .temporary_files, .runs.
 */
int completeness_check(
    struct findings *f, const struct archive *a, const struct census *n, struct err *e);
/*
 * Finding fixity.file for each row that is known to be damaged, or whose size or time changed, and
 * that is not in `judged`: nobody has read it just now. With absent_too also for those whose file
 * cannot be had.
 */
int completeness_unread(struct findings *f, const struct archive *a, const struct census *n,
    const struct idset *judged, bool absent_too, struct err *e);

#endif
