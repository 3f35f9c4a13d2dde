/*
 * remote_kind: what remote.c and the files of the kinds of remotes share. Nobody else includes it.
 *
 * Each kind has one table of functions. remote.c checks what is common (keys, sizes, conditions)
 * and hands over; see remote.h for what each function does. A NULL function is not there: remote.c
 * then answers as the comment says.
 */
#ifndef REC_REMOTE_KIND_H
#define REC_REMOTE_KIND_H

#include "remote.h"

struct remote_kind {
	const char *scheme; /* "file" "s3" "webdav" "gdrive" */
	/* Checks settings and makes r->own; fills r->can for a remote that was not probed. */
	int (*open)(struct remote *r, struct err *e);
	void (*close)(struct remote *r);
	int (*check)(struct remote *r, struct err *e);
	/* own is the list's; each as in remote.h. `next` need not leave out foreign names: remote.c
	 * does. */
	int (*list_open)(struct remote *r, const char *prefix, const char *after, const char *until,
	    void **own, struct err *e);
	int (*list_next)(struct remote *r, void *own, struct remote_object *o, struct err *e);
	void (*list_close)(struct remote *r, void *own);
	int (*stat)(struct remote *r, const char *key, struct remote_object *o,
	    struct json **metadata, struct err *e);
	int (*look)(struct remote *r, const struct remote_object *known, struct remote_object *o,
	    struct err *e); /* NULL: stat */
	int (*find)(struct remote *r, const char *sha256, struct remote_object *o,
	    struct err *e); /* NULL: 0 */
	int (*adopt)(struct remote *r, struct remote_object *o, const char *key, struct err *e);
	int (*put)(struct remote *r, const struct remote_source *s, struct remote_object *o,
	    struct err *e);
	int (*begin)(struct remote *r, const struct remote_source *s, const char *id,
	    char session[REMOTE_SESSION_MAX], struct err *e);
	int (*part)(struct remote *r, const struct remote_source *s, const char *session,
	    struct remote_part *p, struct err *e);
	int (*arrived)(struct remote *r, const struct remote_source *s, const char *session,
	    int (*each)(void *ctx, const struct remote_part *p, struct err *e), void *ctx,
	    struct remote_object *o, struct err *e);
	int (*finish)(struct remote *r, const struct remote_source *s, const char *session,
	    const struct remote_part *parts, unsigned n, struct remote_object *o, struct err *e);
	int (*abort)(struct remote *r, const char *key, const char *session, struct err *e);
	int (*sweep)(struct remote *r, const char *key, const char *id, const char *since,
	    int64_t *n, struct err *e); /* NULL: *n = 0 */
	int (*get)(struct remote *r, const struct remote_object *o, uint64_t offset,
	    int (*sink)(void *ctx, const void *p, size_t len, struct err *e), void *ctx,
	    struct err *e);
	int (*copy)(struct remote *r, const struct remote_object *from, const char *to,
	    const char *over, struct remote_object *o, struct err *e);
	int (*move)(struct remote *r, const struct remote_object *from, const char *to,
	    const char *over, struct remote_object *o, struct err *e); /* NULL: copy, then delete */
	int (*remove)(struct remote *r, const struct remote_object *o, struct err *e);
	int (*probe)(struct remote *r, struct json *found, struct err *e);
};

struct remote {
	const struct remote_kind *kind;
	struct remote_settings settings;
	struct http *http; /* NULL: file */
	struct retry *retry;
	struct remote_capabilities can;
	void *own; /* the kind's */
};

extern const struct remote_kind remote_file_kind, remote_s3_kind, remote_dav_kind,
    remote_drive_kind;

/* A flat list of objects in memory, for kinds whose listing comes in no order. */
struct remote_sorted;
struct remote_sorted *remote_sorted_new(struct err *e);
int remote_sorted_add(struct remote_sorted *l, const struct remote_object *o, struct err *e);
/* Sorts; then each in order: 1, 0. */
void remote_sorted_sort(struct remote_sorted *l);
int remote_sorted_next(struct remote_sorted *l, struct remote_object *o);
void remote_sorted_free(struct remote_sorted *l);

/* The fault of an answer that did not come (failure is not HTTP_ANSWERED): 1 and *f filled; 0 when
 * one came. HTTP_UNRESOLVED and HTTP_TLS are FAULT_CONFIG, HTTP_STALLED is FAULT_STALL, … */
int remote_fault_of_failure(const struct http_answer *a, struct fault *f);
/* The fault of a status that says the same everywhere (429, 408, 500, 502, 503, 504, 507, 3xx);
 * FAULT_ITEM for any other from 300 on. */
void remote_fault_of_status(const struct http_answer *a, struct fault *f);

#endif
