/*
 * s3_metadata: what goes along with an object, as headers.
 *
 * "_" of the names is "--" on the way (proxies drop such headers, and some servers write "-" for
 * it), and values that are not plain ASCII are percent-encoded.
 */
#ifndef REC_S3_METADATA_H
#define REC_S3_METADATA_H

#include "json.h"
#include "mem.h"
#include "remote_kind.h"

/* The headers of its type and its metadata. */
int s3_add_description(struct buf *headers, const struct remote_source *s, struct err *e);
/* An object of what came along; the caller frees. */
struct json *s3_read_metadata(const struct http_answer *a, struct err *e);
/* Whether all that was put along is there. */
bool s3_has_metadata(const struct json *there, const struct json *put);

#endif
