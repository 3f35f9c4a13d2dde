/*
 * retention: what has been kept as long as the environment's retention_days.
 *
 * Files in temp/ and backup/, journals of runs, and the copies of the database that the migration
 * script of the existing application leaves beside it (app_backup_YYYYMMDD_HHMMSS.db). Age:
 *
 *	a file in temp		since it was last modified; a .part, which is a recording that
 *				was cut off, never; a .pull, which rec-sync pull goes on with,
 *				since it was changed in any way, a week at least, and never
 *				while somebody holds it
 *	a file in backup	that journals name (their runs put it there, or taking them back
 *				did): with the latest of them; else since it was last modified
 *	a run			since it ended, by its journal; one that is open or interrupted
 *				never expires, and one that changed the schema only when every
 *				other has expired (else the last rollback could not take the
 *				schema back)
 *	a copy of the database	since it was last modified; the newest is always kept, and one
 *				that somebody has open (it has a log beside it)
 *
 * Nothing that lies in the future has an age. A damaged journal never expires, and while there is
 * one nothing in backup does, nor does a journal that names files: they may be its own.
 *
 * Never told: what has the name that a row of recordings (by the last part of its stored name) or
 * of jobs (by the last part of its path) names, folders, links, what is no regular file, what
 * begins with a dot, anything when temp or backup is the same folder as raw, edited, the root, or
 * that of the database or the journals. When temp is the same as backup it is backup. The original
 * that an expired run put into backup is told although a row has its name when raw or edited holds
 * a file of that name: then that is the row's.
 */
#ifndef REC_RETENTION_H
#define REC_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

#include "archive.h"
#include "err.h"
#include "finding.h"

enum retention_kind {
	RETENTION_TEMP,
	RETENTION_BACKUP,
	RETENTION_JOURNAL,
	RETENTION_DATABASE,
	RETENTION_KINDS
};

/* temp backup journal database_copy */
const char *retention_kind_name(enum retention_kind k);

struct retention_item {
	enum retention_kind kind;
	int dirfd;	  /* of the folder it lies in; borrowed */
	const char *name; /* borrowed */
	const char *path; /* as records show it; borrowed */
	int64_t size_bytes;
	int64_t age_days; /* -1: unknown */
	bool of_run;	  /* a file in backup that a journal named */
	/* NULL, or: this is a damaged journal, to be told and not to be removed. */
	const struct err *damage;
};

/*
 * Calls `each` for everything that has expired, and for damaged journals; `each` may remove it.
 * a->catalogue is open. Every journal comes before the first file in backup (see gc.c).
 */
int retention_each(const struct archive *a,
    int (*each)(void *ctx, const struct retention_item *item, struct err *e), void *ctx,
    struct err *e);
/*
 * Findings retention.temp, .backup, .journal, .database_copy: a warning with count and bytes, else
 * a pass. A damaged journal is a problem (bad_record) of retention.journal, one each.
 */
int retention_check(struct findings *f, const struct archive *a, struct err *e);

#endif
