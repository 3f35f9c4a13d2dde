/*
 * s3_copy: copies on the server, in parts when they are large.
 */
#ifndef REC_S3_COPY_H
#define REC_S3_COPY_H

#include "s3_request.h"

/* The headers that name what is copied, and its version. */
int s3_add_source(
    struct buf *headers, const struct s3 *c, const struct remote_object *from, struct err *e);
/* As in remote_kind.h. */
int s3_copy(struct remote *r, const struct remote_object *from, const char *to, const char *over,
    struct remote_object *o, struct err *e);

#endif
