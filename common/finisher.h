/*
 * finisher: makes recordings of finished parts, in a thread of its own, while the next part is
 * being written.
 *
 * Each part is a run of its own (take.h), so that between parts nobody is kept waiting for the
 * journal; its record is printed as soon as it is a recording.
 */
#ifndef REC_FINISHER_H
#define REC_FINISHER_H

#include <time.h>

#include "archive.h"
#include "err.h"
#include "json.h"
#include "take.h"
#include "tool.h"

struct finisher;

/* All is borrowed; the writer is an archive opened for writing, used by the thread alone. */
struct finisher *finisher_new(
    struct tool *t, struct archive *writer, const char *title, struct err *e);
/*
 * Takes the take and the details of its provenance over, also after -1 and *e: then the .part
 * stays.
 */
int finisher_add(struct finisher *f, struct take *take, struct timespec started,
    struct json *details, struct err *e);
/* Waits until all are finished, and frees it. -1 and *e with the first failure. NULL is fine. */
int finisher_end(struct finisher *f, struct err *e);

/* Prints the record of a recording. */
int finisher_print(struct tool *t, struct archive *a, int64_t id, struct err *e);

#endif
