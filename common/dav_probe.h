/*
 * dav_probe: what a server really does, found out with small objects below REMOTE_TEMP.
 */
#ifndef REC_DAV_PROBE_H
#define REC_DAV_PROBE_H

#include "dav_request.h"

/* As in remote_kind.h. */
int dav_probe(struct remote *r, struct json *found, struct err *e);

#endif
