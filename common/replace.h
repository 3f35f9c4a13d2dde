/*
 * replace: a recording's file gets other bytes under the same name, inside a run.
 *
 * The new file was written beside the old one and proven before. Then the journal names what will
 * be done (filechange.h), the old file gets its name in backup/, and the new one its name, by one
 * rename; the rows follow. What fails after the announcement is taken back at once, or by the next
 * run.
 */
#ifndef REC_REPLACE_H
#define REC_REPLACE_H

#include <sys/stat.h>

#include "archive.h"
#include "audio.h"
#include "catalogue.h"
#include "err.h"
#include "io.h"
#include "provenance.h"
#include "run.h"

struct replace {
	struct run *r;
	const struct catalogue_row *row;
	enum folder folder;
	const struct stat *was;		     /* the old file, as it was looked at */
	const char *xxh3_128_before;	     /* of the old file */
	struct io_new *file;		     /* the new one, not committed */
	const struct measure *now;	     /* of it */
	struct audio_opts audio;	     /* what `now` was measured with */
	const struct provenance *provenance; /* NULL: it stays what it was */
	char *backup; /* out: the name of the old file in backup/, for the caller to free */
};

/* 0; -1 and *e: ERR_ITEM when this recording alone is left as it was (modified, conflict). */
int replace_file(struct replace *p, struct err *e);

/* A name in backup/ for the file *was, and room for a copy of it where a link cannot do; the caller
 * frees *name. */
int replace_backup(
    struct archive *a, const char *name, const struct stat *was, char **backup, struct err *e);
/*
 * The rows become those of the file as it is now (NULL: it is measured if need be); a row that was
 * changed meanwhile is a conflict.
 */
int replace_rows(struct run *r, const struct catalogue_row *row, const struct audio_opts *audio,
    const struct measure *now, const struct provenance *provenance, struct err *e);

#endif
