/*
 * dav_move: moving, copying and removing objects, as in remote_kind.h.
 */
#ifndef REC_DAV_MOVE_H
#define REC_DAV_MOVE_H

#include "dav_object.h"

int dav_move(struct remote *r, const struct remote_object *from, const char *to, const char *over,
    struct remote_object *o, struct err *e);
int dav_copy(struct remote *r, const struct remote_object *from, const char *to, const char *over,
    struct remote_object *o, struct err *e);
int dav_remove(struct remote *r, const struct remote_object *o, struct err *e);

#endif
