/*
 * pullsweep: what earlier pulls left in temp/, and nobody will ever go on with.
 *
 *	pullsweep_look(&w, s, e)	before anything is fetched
 *	pullsweep_note(&w, key, e)	for each object of the remote
 *	pullsweep_run(&w, s, e)		when all objects were met
 *	pullsweep_free(&w)
 *
 * A file temp/NAME.pull goes when no object of the remote has its name and nobody holds it. It does
 * not say which remote it came from: where the archive knows another one, none goes.
 */
#ifndef REC_PULLSWEEP_H
#define REC_PULLSWEEP_H

#include "idset.h"
#include "sync.h"

/* Start with {0}. */
struct pullsweep {
	struct idset left, wanted; /* hashes of names in temp/; the second within the first */
};

int pullsweep_look(struct pullsweep *w, struct sync *s, struct err *e);
int pullsweep_note(struct pullsweep *w, const char *key, struct err *e);
int pullsweep_run(struct pullsweep *w, struct sync *s, struct err *e);
void pullsweep_free(struct pullsweep *w);

#endif
