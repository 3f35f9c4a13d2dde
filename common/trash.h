/*
 * trash: --delete: objects whose recordings are gone are moved to .rectools/trash/TIME/KEY.
 *
 * All of them are known before the first is moved: more than REC_DELETE_MAX, more than
 * REC_DELETE_MAX_PERCENT of what is there, or a catalogue that has shrunk by more than that since
 * the last complete push, and nothing is moved (ERR_CONFIG).
 */
#ifndef REC_TRASH_H
#define REC_TRASH_H

#include "sync.h"

struct trash {
	struct sync *s;
	struct catalogue_object *objects;
	size_t n, cap;
};

int trash_add(struct trash *t, const struct catalogue_object *o, struct err *e);
/* Moves them and prints a record each. */
int trash_run(struct trash *t, struct err *e);
void trash_free(struct trash *t);

#endif
