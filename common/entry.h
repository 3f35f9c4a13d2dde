/*
 * entry: the rows of a new recording.
 */
#ifndef REC_ENTRY_H
#define REC_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "archive.h"
#include "audio.h"
#include "err.h"
#include "provenance.h"
#include "run.h"

struct entry {
	enum folder folder; /* raw or edited */
	const char *path;   /* its last component becomes the filename; numbered when it is taken */
	const char *stored; /* stored_filename */
	const char *title;  /* or NULL */
	const struct measure *m;	     /* of the file under its stored name */
	const struct provenance *provenance; /* or NULL */
};

/* Adds the rows in a transaction of its own. 0 and *id; -1, and *id as it was. */
int entry_add(struct run *r, const struct entry *n, int64_t *id, struct err *e);
/* The row of a file's measurement (rec_measurements), of this run. NULL and *e; the caller frees.
 */
struct json *entry_measurement(struct run *r, int64_t id, const char *stored, enum folder folder,
    const struct measure *m, struct err *e);
/* What holds no audio, or could not be read whole, is refused; damage that leaves audio is taken
 * in, and recorded. */
bool entry_is_refused(const struct measure *m);

#endif
