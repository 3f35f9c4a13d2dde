/*
 * adopt: takes files into the archive and out of it, inside a run.
 *
 * A file comes in by a copy under a fresh name in raw/ that was read back and compared; its row
 * follows; with move the source is removed only then. A file goes out by a move to backup/ after
 * its rows are gone. The journal names the file before it is touched, so that a killed run is
 * undone by the next one.
 */
#ifndef REC_ADOPT_H
#define REC_ADOPT_H

#include <stdbool.h>
#include <stdint.h>

#include "archive.h"
#include "audio.h"
#include "err.h"
#include "run.h"

struct adopt {
	struct run *r;
	struct audio_opts audio;
	const char *title;     /* NULL: none */
	bool move;	       /* --move */
	bool allow_duplicates; /* --allow-duplicates */
};

/*
 * Takes in the file at path and gives its id. -1 with ERR_ITEM: the file is refused (not_audio,
 * empty, …, duplicate, too_large, no_space) and nothing was changed; *duplicate_of is the recording
 * with the same bytes, or 0.
 */
int adopt_file(
    const struct adopt *o, const char *path, int64_t *id, int64_t *duplicate_of, struct err *e);

/*
 * Only whether adopt_file would take it in (how->r is not used): 0, or -1; *m is measured either
 * way and freed by the caller. A problem that does not keep it out is in *e too, of class ERR_ITEM,
 * with 0.
 */
int adopt_check(const struct adopt *how, struct archive *a, const char *path, struct measure *m,
    int64_t *duplicate_of, struct err *e);

/* Drops a recording's rows and moves its file to backup/; a file that is missing is no error. */
int adopt_purge(struct run *r, int64_t id, struct err *e);

#endif
