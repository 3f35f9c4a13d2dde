/*
 * dav_parts: uploads that can be gone on with, as in remote_kind.h. The session is the key of a
 * temporary object, which grows where the server takes a part of one (Content-Range).
 */
#ifndef REC_DAV_PARTS_H
#define REC_DAV_PARTS_H

#include "dav_object.h"

int dav_begin(struct remote *r, const struct remote_source *s, const char *id,
    char session[REMOTE_SESSION_MAX], struct err *e);
int dav_part(struct remote *r, const struct remote_source *s, const char *session,
    struct remote_part *p, struct err *e);
int dav_arrived(struct remote *r, const struct remote_source *s, const char *session,
    int (*each)(void *ctx, const struct remote_part *p, struct err *e), void *ctx,
    struct remote_object *o, struct err *e);
int dav_finish(struct remote *r, const struct remote_source *s, const char *session,
    const struct remote_part *parts, unsigned n, struct remote_object *o, struct err *e);
int dav_abort(struct remote *r, const char *key, const char *session, struct err *e);
int dav_sweep(struct remote *r, const char *key, const char *id, const char *since, int64_t *n,
    struct err *e);

#endif
