/*
 * plan: what is at the archive merged with what is at the remote, and what follows from it.
 *
 * Equality is by hash and tag, never by time. Memory is constant. Only what is not in order comes
 * out, unless `all` is asked for.
 */
#ifndef REC_PLAN_H
#define REC_PLAN_H

#include <stdbool.h>

#include "lister.h"
#include "sync.h"

enum action {
	ACTION_NONE,	 /* the recording is there, proven */
	ACTION_UPLOAD,	 /* nothing is there */
	ACTION_REPLACE,	 /* what is there is ours, and other bytes are recorded now */
	ACTION_PROVE,	 /* something is there that was never proven, or is not as it was */
	ACTION_RENAME,	 /* the bytes are there under another key of ours */
	ACTION_CONFLICT, /* what is there is not ours */
	ACTION_DELETE,	 /* ours, and its recording is gone */
	ACTION_FOREIGN,	 /* no recording, and not ours */
	ACTION_FORGET,	 /* noted as ours, but neither recording nor object is there */
	ACTION_SKIP,	 /* softly deleted and never sent */
};

/* none upload replace prove rename conflict delete foreign forget skip */
const char *action_name(enum action a);

struct plan_item {
	enum action action;
	struct sync_row row; /* key always */
	bool is_there;
	struct remote_object there;
	struct catalogue_object from; /* ACTION_RENAME: the object whose bytes these are */
	char why[160];
};

struct plan_opts {
	bool all;     /* also ACTION_NONE, ACTION_SKIP */
	bool deleted; /* softly deleted recordings are sent too */
	bool renames; /* look for the bytes under other keys */
};

struct plan;
struct plan *plan_open(struct sync *s, const struct plan_opts *o, struct err *e);
/* The next item, for the caller to free with plan_item_free: 1, 0, -1. */
int plan_next(struct plan *p, struct plan_item **item, struct err *e);
void plan_close(struct plan *p);
void plan_item_free(struct plan_item *item);

/* The same for one recording, by asking for its key alone. NULL and *e. */
struct plan_item *plan_one(struct sync *s, struct catalogue *c, int64_t recording,
    const struct plan_opts *o, struct err *e);

/* An object that was proven, though it is in no list: remotes with ids tell it by that. 1 and
 * *there, 0, -1. From any thread. */
int plan_look(
    struct sync *s, const struct sync_row *row, struct remote_object *there, struct err *e);

/* The record of an item: of the recording (or of the key alone), with remote, key, action, why. */
int plan_record(struct sync *s, struct catalogue *c, const struct plan_item *item,
    struct json **rec, struct err *e);

#endif
