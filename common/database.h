/*
 * database: the health of the catalogue as a database.
 */
#ifndef REC_DATABASE_H
#define REC_DATABASE_H

#include <stdbool.h>

#include "archive.h"
#include "err.h"
#include "finding.h"
#include "walfile.h"

/*
 * Before the database is opened: finding database.wal. The log has no valid header, or ends inside
 * a frame, or has a frame that was committed and is not valid, or holds fewer committed frames than
 * its index knows: fail (truncated; transactions are lost). A log that ends inside a frame while
 * its index agrees with what is before (a writer was killed there), or is larger than 64 MiB
 * (nobody checkpoints it): warning. Another process may be writing: only what two looks saw alike
 * is believed; a log that never holds still is an error (busy).
 */
int database_check_wal(struct findings *f, const struct archive *a, struct err *e);
/*
 * Findings database.integrity (quick_check; with full integrity_check), .foreign_keys, .query
 * (warning from 500 ms, fail (busy) from 1000 ms; the better of two when the first is slow), .lock
 * (the write lock can be had), .journal_mode (wal, else warning), .schema (shape and version of the
 * toolkit's tables), .free_pages (warning above 25 per cent and 1000 pages). a->catalogue is open.
 * Each that cannot be checked is told as such (database_could_not), and the others go on.
 */
int database_check(struct findings *f, struct archive *a, bool full, struct err *e);
/*
 * Tells why a question to the catalogue got no answer. When the database is at fault, this is found
 * damage: fail with bad_record (ERR_CATALOGUE) or unreadable (EIO). Else (busy, the system) it is
 * finding_could_not.
 */
int database_could_not(struct findings *f, const char *check, const struct err *why, struct err *e);

/* What to do about it; NULL when the database is not the cause. */
const char *database_advice(const struct err *why);

#endif
