/*
 * drive_put: making and changing files: in one go, and by what is told of them. Whoever makes one
 * looks for others of the key before and after.
 */
#ifndef REC_DRIVE_PUT_H
#define REC_DRIVE_PUT_H

#include "drive_api.h"

bool drive_same_bytes(const struct remote_source *s, const struct remote_object *o);
/* What a new file gets: an id, and its place. */
int drive_put_place(struct remote *r, struct json *v, const char *id, struct err *e);
/* What an upload says of its file: old is the one that it replaces, or NULL, and then id is new. */
struct json *drive_upload_metadata(struct remote *r, const struct remote_source *s, const char *id,
    const struct json *old, struct err *e);
/* What stands under the key may be replaced or not: 1 (*old is it), 0 (nothing is there), -1; 2
 * when it is what is to be put. */
int drive_look_before(struct remote *r, const struct remote_source *s, struct remote_object *o,
    struct json **old, struct err *e);
/*
 * Somebody may have made a file of the key at the same time: then the older one stands, and ours,
 * that is new, goes. What a list shows may be gone already, so it is asked for by its id.
 */
int drive_look_after(struct remote *r, const char *key, struct remote_object *o,
    struct remote_object *other, bool is_new, struct err *e);
/* After a put, *o is what it made: sees that the key is its own, or *o is what stands there. */
int drive_settle_put(
    struct remote *r, const struct remote_source *s, struct remote_object *o, struct err *e);
int drive_upload_address(struct remote *r, struct buf *url, const char *kind, const char *id,
    bool is_new, struct err *e);
/* Puts a file in one go: a new one with this id, or in the place of old. */
int drive_put_small(struct remote *r, const struct remote_source *s, const char *id,
    const struct json *old, struct remote_object *o, struct err *e);
/* Sends metadata to a file, or to its copy, and takes what is then told of it. */
int drive_send_metadata(struct remote *r, const char *what, const char *method, const char *path,
    const struct json *v, const char *id, struct remote_object *o, struct err *e);
/* Gives a file (raw is what Drive tells of it) another key. */
int drive_move_file(struct remote *r, const struct remote_object *now, const struct json *raw,
    const char *to, struct remote_object *o, struct err *e);
/* As in remote_kind.h. */
int drive_put(
    struct remote *r, const struct remote_source *s, struct remote_object *o, struct err *e);

#endif
