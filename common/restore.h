/*
 * restore: a file that was fetched becomes a recording of the archive, inside a run.
 *
 * The file gets its name without replacing anything (journal action "record": a kill leaves the old
 * state or the new one). One that a recording lacks is back with it, and the recorded problem that
 * it was missing is gone. A new one gets rows: what the inventory's record says of it (not trusted:
 * a value that cannot be is left out), a measurement, the tags that people said, its provenance.
 * Rolling the run back takes new recordings out again.
 */
#ifndef REC_RESTORE_H
#define REC_RESTORE_H

#include <stdbool.h>
#include <stdint.h>

#include "archive.h"
#include "audio.h"
#include "err.h"
#include "fetch.h"
#include "json.h"
#include "run.h"

struct restore {
	enum folder folder;
	const char *name;
	int64_t id;		 /* of the recording whose file was gone; 0: a new one */
	const struct json *rec;	 /* of a new one: what the inventory says; NULL: nothing */
	const char *title;	 /* of a new one that it says nothing of; or NULL */
	const struct measure *m; /* of a new one */
	const char *proven_at;	 /* of a new one: its object holds its bytes, since then; or NULL */
};

/*
 * The measure in the inventory's record when it is whole and that of these bytes (1), with the
 * file's time; 0: it is to be measured; -1. Free in each case.
 */
int restore_get_measure(
    const struct json *rec, const struct fetched *got, struct measure *m, struct err *e);

/* 0 and *id; -1 and *e: ERR_ITEM (conflict, modified) when this one cannot be taken in, and nothing
 * was changed. The file in temp/ is gone after 0. */
int restore_put(
    struct run *r, const struct restore *x, const struct fetched *got, int64_t *id, struct err *e);

#endif
