/*
 * pullplan: what there is to pull, made out of the archive, the remote's listing and its inventory,
 * which come in the same order; or out of what the user named.
 *
 *	p = pullplan_open(s, e)
 *	while (pullplan_next(p, &item, e) == 1)		in one thread, for as long as it takes
 *		...
 *	pullplan_close(p)
 */
#ifndef REC_PULLPLAN_H
#define REC_PULLPLAN_H

#include "pullitem.h"
#include "sync.h"

struct pullplan;

/* ERR_SYSTEM with volume_absent when all files are gone, and the user named none. */
struct pullplan *pullplan_open(struct sync *s, struct err *e);
/* An item that something is to be done with or said of; the caller frees. 1, 0 at the end, -1. */
int pullplan_next(struct pullplan *p, struct pullitem **item, struct err *e);
/* At the end: the tag of an inventory that this archive did not put, when all recordings that it
 * names and the archive has are as it names them; else NULL. */
const char *pullplan_claim(const struct pullplan *p);
/* At the end: removes what earlier pulls left in temp/ of objects that are not there any more,
 * unless the user named what is to be pulled. 0, -1. */
int pullplan_sweep(struct pullplan *p, struct err *e);
void pullplan_close(struct pullplan *p); /* NULL is fine */

#endif
