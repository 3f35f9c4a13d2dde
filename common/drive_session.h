/*
 * drive_session: uploads in parts, by resumable sessions; all as in remote_kind.h.
 *
 * What is uploaded in parts is whole at Drive with its last byte. It has a key below REMOTE_TEMP
 * until it is finished: then its hash is compared, and it gets its own key.
 *
 * The address of an upload's session is a secret: it stands in no text, and no token goes to an
 * address that is not below the one of the API.
 */
#ifndef REC_DRIVE_SESSION_H
#define REC_DRIVE_SESSION_H

#include "drive_api.h"

int drive_begin(struct remote *r, const struct remote_source *s, const char *own_id,
    char session[REMOTE_SESSION_MAX], struct err *e);
int drive_part(struct remote *r, const struct remote_source *s, const char *session,
    struct remote_part *p, struct err *e);
int drive_arrived(struct remote *r, const struct remote_source *s, const char *session,
    int (*each)(void *ctx, const struct remote_part *p, struct err *e), void *ctx,
    struct remote_object *o, struct err *e);
int drive_finish(struct remote *r, const struct remote_source *s, const char *session,
    const struct remote_part *parts, unsigned n, struct remote_object *o, struct err *e);
int drive_abort(struct remote *r, const char *key, const char *session, struct err *e);
int drive_sweep(struct remote *r, const char *key, const char *own_id, const char *since,
    int64_t *n, struct err *e);

#endif
