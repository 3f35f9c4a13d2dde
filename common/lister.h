/*
 * lister: the objects of a remote in the order of their keys, fetched ahead.
 *
 * Where listings are ordered, the keys are cut into ranges by those of the catalogue, and several
 * ranges are asked for at once; memory is bounded. Else one listing a folder.
 */
#ifndef REC_LISTER_H
#define REC_LISTER_H

#include "sync.h"

struct lister;

/* `c` is read before it returns. All of edited/, then all of raw/. NULL and *e. */
struct lister *lister_open(struct sync *s, struct catalogue *c, struct err *e);
int lister_next(struct lister *l, struct remote_object *o, struct err *e); /* 1 0 -1 */
void lister_close(struct lister *l);

#endif
