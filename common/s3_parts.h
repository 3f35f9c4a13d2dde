/*
 * s3_parts: uploads in parts, and those that nobody knows. The session is the upload's id.
 */
#ifndef REC_S3_PARTS_H
#define REC_S3_PARTS_H

#include "s3_object.h"
#include "s3_request.h"

/* Sends an op that begins an upload: method, key and headers are set already. */
int s3_begin_upload(struct s3_op *o, char session[REMOTE_SESSION_MAX], struct err *e);
/* The query that names an upload, and a part of it (0: none). */
int s3_upload_query(struct buf *query, unsigned number, const char *session, struct err *e);
/* The tag that the parts make: the MD5 of their MD5s, and how many. "" when one is not known. */
int s3_made_of_parts(
    const struct remote_part *parts, unsigned n, char tag[REMOTE_TAG_MAX], struct err *e);
/* The body that lists them. */
int s3_write_parts(const struct remote_part *parts, unsigned n, struct buf *out, struct err *e);
/* Puts them together under the key, if nothing is there but what the aim allows. *o: what is there.
 */
int s3_finish_upload(struct remote *r, const char *session, const struct buf *body,
    struct s3_aim *a, struct remote_object *o, struct err *e);

/* ---- as in remote_kind.h ---- */

int s3_begin(struct remote *r, const struct remote_source *s, const char *id,
    char session[REMOTE_SESSION_MAX], struct err *e);
int s3_part(struct remote *r, const struct remote_source *s, const char *session,
    struct remote_part *p, struct err *e);
int s3_arrived(struct remote *r, const struct remote_source *s, const char *session,
    int (*each)(void *ctx, const struct remote_part *p, struct err *e), void *ctx,
    struct remote_object *o, struct err *e);
int s3_finish(struct remote *r, const struct remote_source *s, const char *session,
    const struct remote_part *parts, unsigned n, struct remote_object *o, struct err *e);
int s3_abort(struct remote *r, const char *key, const char *session, struct err *e);
int s3_sweep(struct remote *r, const char *key, const char *id, const char *since, int64_t *n,
    struct err *e);

#endif
