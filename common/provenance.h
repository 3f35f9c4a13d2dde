/*
 * provenance: where a recording comes from, as the catalogue keeps it in rec_provenance.
 *
 * A row for each recording that this toolkit made: the tool that made it, when its first frame was
 * captured, and a JSON object of what else is known. Of a capture that is
 *
 *	{"source":"hw:1,0","drift_ppm":-3.1,"overruns":1,"lost_frames":480,"ended":"signal",
 *	 "events":[{"event":"overrun","frame":48000,"frames":480}, …],"events_left_out":0}
 *
 * whose frames count from the start of this recording; of an edit, the recording and the hashes it
 * was made of, and the edit; of a part that a crash left, {"recovered":true}.
 */
#ifndef REC_PROVENANCE_H
#define REC_PROVENANCE_H

#include <stdint.h>
#include <time.h>

#include "audio.h"
#include "err.h"
#include "json.h"
#include "run.h"

/* Bytes of the JSON text at most. */
#define PROVENANCE_MAX (1 << 20)

struct provenance {
	const char *tool;	    /* "rec-capture 1.0" */
	struct timespec started;    /* UTC of frame 0; tv_sec 0: unknown */
	const struct json *details; /* an object; NULL: {} */
};

/*
 * Puts the row of a recording, inside the transaction of run_begin: it is journalled, and goes when
 * the run is rolled back. 0; -1 and *e, of class ERR_ITEM when the details are too large.
 */
int provenance_put(
    struct run *r, int64_t id, const char *stored, const struct provenance *p, struct err *e);

/*
 * The provenance of a part that a crash left: its start is that of its broadcast header, else that
 * of its name (recording_YYYYMMDD_HHMMSS…), else unknown. Gives the details, for the caller to free
 * when *p is no longer used; NULL and *e.
 */
struct json *provenance_recovered(
    struct provenance *p, const struct measure *m, const char *name, struct err *e);

#endif
