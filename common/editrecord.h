/*
 * editrecord: what is said of an edit, in the record of the new file and in its provenance.
 *
 *	gain_db gain_limited fade_in_s fade_out_s clipped_samples dropped format
 *	sources, an array: path start_s end_s start_frame frames, id sha256 xxh3_128
 *
 * Keys of what was not done are left out.
 */
#ifndef REC_EDITRECORD_H
#define REC_EDITRECORD_H

#include "assembly.h"
#include "err.h"
#include "footage.h"
#include "json.h"

struct edit_of {
	struct footage *const *footage; /* one for each piece */
	const struct assembly *made;	/* before it is written: of what was planned */
};

int editrecord_put(struct json *rec, const struct edit_of *p, struct err *e);
/* The sources alone. */
int editrecord_put_sources(struct json *rec, const struct edit_of *p, struct err *e);

#endif
