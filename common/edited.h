/*
 * edited: takes a new file into the archive, inside a run: as a recording of its own, or in place
 * of the one that it was made of (replace.h).
 */
#ifndef REC_EDITED_H
#define REC_EDITED_H

#include <stdint.h>

#include "archive.h"
#include "audio.h"
#include "err.h"
#include "io.h"
#include "provenance.h"
#include "run.h"

/* A fresh name for a file with an extension (without its dot): edi_ and 32 hexadecimal digits, as
 * the existing application names what it edits. NULL and *e; the caller frees. */
char *edited_name(const char *extension, struct err *e);

struct edited {
	struct io_new *file;	 /* written in edited/, not committed; its name is the stored one */
	const char *filename;	 /* what people see; numbered when it is taken */
	const char *title;	 /* or NULL */
	const struct measure *m; /* of the file */
	const struct provenance *provenance;
};

/* 0 and *id; -1 and *e: nothing was changed, or the next run settles it. */
int edited_add(struct run *r, const struct edited *n, int64_t *id, struct err *e);

#endif
