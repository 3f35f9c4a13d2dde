/*
 * s3_probe: what a server really does, found out with small objects below REMOTE_TEMP.
 */
#ifndef REC_S3_PROBE_H
#define REC_S3_PROBE_H

#include "s3_request.h"

/* As in remote_kind.h. */
int s3_probe(struct remote *r, struct json *found, struct err *e);

#endif
