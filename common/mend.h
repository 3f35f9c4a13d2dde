/*
 * mend: one damaged, unfinished, moved or unknown file, put right inside a run.
 *
 * A file is rewritten as a new one beside it, which is read back and compared before anything is
 * announced: the same frames and samples, and no problem. Then the journal names what will be
 * done (filechange.h), the original gets its name in backup/, and the new file its name, by one
 * rename; the rows follow. What fails after the announcement is taken back at once, or by the next
 * run.
 */
#ifndef REC_MEND_H
#define REC_MEND_H

#include <stdbool.h>
#include <stdint.h>

#include "archive.h"
#include "audio.h"
#include "catalogue.h"
#include "err.h"
#include "run.h"

struct mend {
	struct archive *a;
	struct run *r; /* NULL: only looked at, and told what would be done */
	struct audio_opts audio;
};

/* What was found, and done. Free with mended_free in each case. */
struct mended {
	int64_t id;	   /* of the recording; 0: none, or not yet */
	char message[512]; /* what is wrong, for people; "" when nothing was found */
	char *name;	   /* the file's new name, in folder; NULL: keeps the old */
	enum folder folder;
	char *backup; /* name of the original in backup/, or NULL */
	bool done;
};

/*
 * Each gives 1 when there is something to mend, and *out, which is done unless r is NULL; 0 when
 * there is nothing; -1 and *e, of class ERR_ITEM when this file alone is left as it was (with
 * out->message when something was found).
 */

/* The header of a recording's file. */
int mend_header(
    const struct mend *m, const struct catalogue_row *row, struct mended *out, struct err *e);
/* A file whose name ends in .part: becomes a recording under the name without, in the same folder,
 * or in raw when it lies in temp. */
int mend_part(
    const struct mend *m, enum folder f, const char *name, struct mended *out, struct err *e);
/* A file with the bytes of a recording whose own is missing: gets its name. */
int mend_moved(const struct mend *m, enum folder f, const char *name, int64_t id,
    struct mended *out, struct err *e);
/* A file of audio without a row: gets one. 0 when it holds no audio. */
int mend_orphan(
    const struct mend *m, enum folder f, const char *name, struct mended *out, struct err *e);
/* The name without .part, numbered when it is taken: a.wav, a-2.wav, … NULL and *e. */
char *mend_part_name(const struct archive *a, const char *part, struct err *e);
void mended_free(struct mended *out);

#endif
