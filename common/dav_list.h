/*
 * dav_list: listings, as in remote_kind.h.
 */
#ifndef REC_DAV_LIST_H
#define REC_DAV_LIST_H

#include "dav_object.h"

int dav_list_open(struct remote *r, const char *prefix, const char *after, const char *until,
    void **own, struct err *e);
int dav_list_next(struct remote *r, void *own, struct remote_object *o, struct err *e);
void dav_list_close(struct remote *r, void *own);

#endif
