/*
 * dav_get: the bytes of an object, of one version of it.
 */
#ifndef REC_DAV_GET_H
#define REC_DAV_GET_H

#include "dav_object.h"

/* As in remote_kind.h. */
int dav_get(struct remote *r, const struct remote_object *o, uint64_t offset,
    int (*sink)(void *ctx, const void *p, size_t len, struct err *e), void *ctx, struct err *e);
/* Whether the bytes of s are under its key already: what an attempt left whose answer was lost, or
 * an earlier run. 1, 0, -1. */
int dav_holds(
    struct remote *r, const struct remote_source *s, struct remote_object *o, struct err *e);

#endif
