/*
 * dav_object: what a WebDAV server says of objects (PROPFIND): what is there under a key, in which
 * version, and whether it may be overwritten.
 */
#ifndef REC_DAV_OBJECT_H
#define REC_DAV_OBJECT_H

#include "clock.h"
#include "dav_request.h"

/* ---- answers ---- */

struct dav_entry {
	struct buf href;
	int64_t size; /* -1: not told */
	char etag[REMOTE_TAG_MAX], modified[CLOCK_TEXT_MAX];
	bool folder, found;
};

/* Each response of a 207. Forgotten after the call. */
int dav_read_multistatus(const struct http_answer *a,
    int (*each)(void *ctx, const struct dav_entry *x, struct err *e), void *ctx, struct err *e);
/* PROPFIND of a key or folder, at depth 0 or 1; 404 is accepted. The status, or -1; free it in each
 * case. */
int dav_ask_properties(
    struct dav_ask *k, struct remote *r, const char *key, int depth, struct err *e);
/* Without an ETag, its tag is made of size and time. */
void dav_describe(const struct dav_entry *x, const char *key, struct remote_object *o);

/* ---- versions ---- */

/* Without its quotes and its W/; "" when it could not stand in a header again. */
void dav_take_etag(const char *text, char out[REMOTE_TAG_MAX]);
/* Whether the server itself can compare it. */
bool dav_is_etag(const char *tag);
/* One object: 1, 0, -1. */
int dav_look(struct remote *r, const char *key, struct remote_object *o, struct err *e);
/* The object that must be there, in this version ("": any): 0, -1. */
int dav_look_for(
    struct remote *r, const char *key, const char *tag, struct remote_object *o, struct err *e);
/* Whether what is under a key may be overwritten: *over, false when nothing is there (and that is
 * allowed by or_nothing); -1 (conflict) when not. */
int dav_may_replace(
    struct remote *r, const char *key, const char *tag, bool or_nothing, bool *over, struct err *e);
/* -1, and *e of code conflict, or missing. */
int dav_changed(const char *key, struct err *e);
int dav_missing(const char *key, struct err *e);
bool dav_is_conflict(const struct err *e);

/* As in remote_kind.h. */
int dav_stat(struct remote *r, const char *key, struct remote_object *o, struct json **metadata,
    struct err *e);
int dav_check(struct remote *r, struct err *e);

#endif
