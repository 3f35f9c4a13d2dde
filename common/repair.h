/*
 * repair: damage that can be undone without guessing, each inside a run that can be taken back.
 *
 * headers: a WAV, RF64, W64 or AIFF whose sizes do not match its data (rehead.h) is replaced by one
 * with a true header; the old file is in backup/ first.
 *
 * parts: NAME.part, a recording that was cut off, becomes a recording NAME (or a free name near it)
 * with a true header; the .part goes to backup/. One that is no audio is told, and stays.
 *
 * orphans: a file of audio in raw or edited without a row gets one, and stays where it is.
 *
 * moved: a file without a row that has the bytes of a row whose file is missing gets the name back
 * that the row knows.
 *
 * jobs: a stale running upload job becomes pending again.
 *
 * A header is left alone (with a problem that says so) when the catalogue has a checksum that is of
 * neither the file as it is nor the repaired one: then the recorded bytes were others, and a copy
 * of them is to be restored. A file that is being written (modified within the last 60 s, for parts
 * and orphans) is left alone, too; so is one that is reached through a link.
 */
#ifndef REC_REPAIR_H
#define REC_REPAIR_H

#include <stdbool.h>

#include "archive.h"
#include "err.h"
#include "run.h"
#include "tool.h"

enum {
	REPAIR_HEADERS = 1,
	REPAIR_PARTS = 2,
	REPAIR_ORPHANS = 4,
	REPAIR_MOVED = 8,
	REPAIR_JOBS = 16,
	REPAIR_ALL = 31,
};

/* The bits of "headers,jobs": comma-separated names; 0 and ERR_USAGE for another. */
unsigned repair_kinds(const char *names, struct err *e);

/*
 * Finds what can be repaired, in the order above but moved before orphans, and repairs it when r is
 * not NULL. Prints a record for each: {"repair":"header"|"part"|"orphan"|"moved"|"job","id":…|null,
 * "path":…,"new_path":where the file is then, or null,"message":what was wrong and what is done,
 * "backup":path of the original or null,"done":true|false}, of a job {"repair":"job","job":its id,
 * "path":what it uploads,"message":…,"backup":null,"done":…}; one that fails has a problem, and the
 * rest goes on.
 */
int repair_run(struct tool *t, struct archive *a, struct run *r, unsigned kinds, struct err *e);

#endif
