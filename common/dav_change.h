/*
 * dav_change: single steps that change something at a WebDAV server. What lies in a folder that is
 * not there makes it first.
 */
#ifndef REC_DAV_CHANGE_H
#define REC_DAV_CHANGE_H

#include "dav_object.h"

/* A new key in REMOTE_TEMP, of ours. */
int dav_temp_key(const struct remote *r, char key[REMOTE_KEY_MAX + 1], struct err *e);
/* A PUT of the source to a key, with a condition ("Name", "value") or NULL. The status (also 412),
 * or -1; the ETag that the server told, or "". */
int dav_put_to(struct remote *r, const struct remote_source *s, const char *key,
    const char *condition, const char *value, char etag[REMOTE_TAG_MAX], struct err *e);
/* Bytes of the source from `at` to `end` into the object, where they belong. 0, -1. */
int dav_put_range(struct remote *r, const struct remote_source *s, const char *session, int64_t at,
    int64_t end, struct err *e);
/* MOVE or COPY. The status (also 404 and 412), or -1. */
int dav_transfer(struct remote *r, const char *method, const char *from, const char *to, bool over,
    unsigned *attempts, struct err *e);
/* COPY to a new key in REMOTE_TEMP, another in each attempt: one that was given up may act later.
 * The status (also 404), or -1. */
int dav_copy_aside(
    struct remote *r, const char *from, char temp[REMOTE_KEY_MAX + 1], struct err *e);
/* Of one's own temporary object, when that fails a sweep finds it. */
void dav_remove_quietly(struct remote *r, const char *key);

#endif
