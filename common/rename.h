/*
 * rename: recordings whose bytes are at the remote already, under another key: copied there, not
 * sent again.
 *
 * Two recordings that changed names with each other overwrite each other's object; so before
 * anything is overwritten whose bytes another recording wants, they are copied aside, to
 * .rectools/temp/OWNER-SHA256, which the run removes at its end.
 */
#ifndef REC_RENAME_H
#define REC_RENAME_H

#include "plan.h"
#include "sync.h"

/* Copies aside what the renames of this run will want: 1 when there was such, 0, -1. */
int rename_prepare(struct sync *s, struct err *e);
/* 1 when the bytes are under the item's key now (*there is the object, not proven yet), 0 when they
 * could not be had there: they must be sent; -1. */
int rename_object(
    struct sync *s, const struct plan_item *item, struct remote_object *there, struct err *e);
/* Once the new object is proven: the old one goes, when no recording has its key any more. */
int rename_finish(struct sync *s, const struct plan_item *item, struct err *e);
/* The same for an object that an earlier run left under the old name of a recording: it goes when
 * the recording's bytes are proven under its new name. */
int rename_tidy(struct sync *s, const struct catalogue_object *old, struct err *e);

#endif
