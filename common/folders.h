/*
 * folders: the folders of the archive, whether they are there and can be used.
 */
#ifndef REC_FOLDERS_H
#define REC_FOLDERS_H

#include "archive.h"
#include "err.h"
#include "finding.h"

/*
 * Findings folders.raw, .edited, .temp, .backup, .database: there, a folder, readable, writable and
 * searchable; else fail with missing or denied. temp, backup and edited that are absent are made
 * when they are needed: a pass that says so; so is raw while no recording is in the catalogue. Root
 * may do everything: for it, a mode that denies the folder's owner is a warning. a->catalogue may
 * be NULL.
 */
int folders_check(struct findings *f, const struct archive *a, struct err *e);

#endif
