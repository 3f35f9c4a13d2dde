/*
 * take: from the .part of a recording to a recording of the archive.
 *
 * A recording is written as NAME.part in temp/, which take_open makes and locks (flock), so that
 * nobody takes one that is being written for one that a crash left. take_finish gives the finished
 * file its name in raw/ and its rows; take_recover does so with every .part that nobody holds.
 *
 *	take_open(&t, a, start, "wav", bytes, e)
 *	  write to t.fd ...                                 hours; a kill leaves the .part
 *	take_finish(&t, &r, title, NULL, &o, &m, &id, e)    inside a run
 *	take_close(&t)                                      always
 *
 * Finishing is one journal action, "record": the file gets its second name (a link; on another file
 * system a copy that was read back), the rows are committed, then the .part goes. A kill in between
 * leaves the .part, or the recording, or both names of one file, and the next run settles which.
 * Nothing is deleted whose bytes are not elsewhere.
 */
#ifndef REC_TAKE_H
#define REC_TAKE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "archive.h"
#include "audio.h"
#include "err.h"
#include "provenance.h"
#include "run.h"

struct take {
	struct archive *a;
	char *name; /* in raw, once finished: recording_YYYYMMDD_HHMMSS.EXT, or with a number */
	char *part; /* in temp: NAME.part */
	int fd;	    /* for writing and reading, locked; -1 when closed */
};

/*
 * Makes temp/NAME.part, empty, with mode 0600; its name lasts. NAME tells the start in UTC; it is
 * numbered (-2, -3, …) when it is taken in raw, edited, temp or among the rows. The extension is
 * without its dot. reserve_bytes are allocated without a change of the size where the file system
 * can (0: none); a disk without them is an ERR_SYSTEM with no_space. After -1 *t needs no close.
 */
int take_open(struct take *t, struct archive *a, struct timespec start, const char *extension,
    uint64_t reserve_bytes, struct err *e);
/*
 * The file is complete and its header true: what was reserved and not used is given back; fsync,
 * measured by one read (*m, the caller frees, also after -1), named, recorded. It becomes readable
 * to all (0644), as recordings that are added are. A name that was taken meanwhile is numbered:
 * t->name is that of the recording. Its provenance may be NULL. 0 and *id; -1 and *e: the .part
 * stays for take_recover, unless *id is not 0: then the rows are there, and the .part goes with the
 * next run. t->fd is closed in each case.
 */
int take_finish(struct take *t, struct run *r, const char *title,
    const struct provenance *provenance, const struct audio_opts *o, struct measure *m, int64_t *id,
    struct err *e);
/* Closes and frees; an empty .part is removed, one that holds something stays. */
void take_close(struct take *t);

/*
 * Every .part in temp that nobody holds, by name: its header is made true (rehead.h), and it
 * becomes a recording with the title NULL and a provenance that says so. One with a rebuilt header
 * goes to backup/. Without r (dry run) it is only told, with id 0, and nothing is changed.
 *
 * Calls `tell` for each: with a problem and id 0 when it cannot be finished and stays (empty,
 * not_audio, duplicate, …); with both when it became a recording that is damaged. `tell` returns 0,
 * or -1 and *e to stop. 0; -1 and *e when not one file alone is the reason.
 */
int take_recover(struct archive *a, struct run *r, const struct audio_opts *o,
    int (*tell)(void *ctx, const char *part, int64_t id, const struct err *problem, struct err *e),
    void *ctx, struct err *e);

#endif
