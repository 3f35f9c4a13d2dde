/*
 * dav_put: whole objects, at once or under a temporary name first.
 */
#ifndef REC_DAV_PUT_H
#define REC_DAV_PUT_H

#include "dav_object.h"

/* Gives a whole temporary object the name that its source asks for, or removes it when its bytes
 * are there already. *o: what is there. */
int dav_settle(struct remote *r, const char *temp, const struct remote_source *s,
    struct remote_object *o, struct err *e);
/* As in remote_kind.h. */
int dav_put(
    struct remote *r, const struct remote_source *s, struct remote_object *o, struct err *e);

#endif
