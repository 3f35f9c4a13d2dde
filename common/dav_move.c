#include "dav_move.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dav_change.h"

/* Moves, when `over` allows it. What is lost of an answer is found out by looking. */
static int
move_to(struct remote *r, const char *from, int64_t size, const char *to, const char *over,
    struct remote_object *o, struct err *e)
{
	bool replace = false;
	unsigned attempts;
	int status;

	if (over[0] != '\0' && dav_may_replace(r, to, over, false, &replace, e) == -1)
		return -1;
	if ((status = dav_transfer(r, "MOVE", from, to, replace, &attempts, e)) == -1)
		return -1;
	if (dav_is_success(status))
		return dav_look_for(r, to, "", o, e);
	/* An attempt before this one may have acted. */
	if (attempts > 1) {
		struct remote_object left;
		int rc = dav_look(r, from, &left, e);

		if (rc == -1)
			return -1;
		if (rc == 0 && dav_look(r, to, o, e) == 1 && o->size_bytes == size &&
		    strcmp(o->tag, over) != 0)
			return 0;
	}
	if (status == 404)
		return dav_missing(from, e);
	return err_item(e, P_CONFLICT, "%s: something else is at the remote under this name", to);
}

int
dav_move(struct remote *r, const struct remote_object *from, const char *to, const char *over,
    struct remote_object *o, struct err *e)
{
	struct remote_object now;

	if (dav_look_for(r, from->key, from->tag, &now, e) == -1)
		return -1;
	return move_to(r, from->key, now.size_bytes, to, over, o, e);
}

/* A server's COPY writes under the new name while it copies, so that gets its name last. */
int
dav_copy(struct remote *r, const struct remote_object *from, const char *to, const char *over,
    struct remote_object *o, struct err *e)
{
	char temp[REMOTE_KEY_MAX + 1];
	struct remote_object now, copied;
	int status, rc = -1;

	if (dav_look_for(r, from->key, from->tag, &now, e) == -1 ||
	    (status = dav_copy_aside(r, from->key, temp, e)) == -1)
		return -1;
	if (status == 404)
		return dav_missing(from->key, e);
	if (dav_look_for(r, temp, "", &copied, e) == 0 &&
	    dav_look_for(r, from->key, now.tag, &now, e) == 0) {
		if (copied.size_bytes == now.size_bytes)
			rc = move_to(r, temp, now.size_bytes, to, over, o, e);
		else
			err_item(e, P_REMOTE,
			    "%s: the server copied %" PRId64 " of %" PRId64 " bytes", from->key,
			    copied.size_bytes, now.size_bytes);
	}
	if (rc == -1)
		dav_remove_quietly(r, temp);
	return rc;
}

int
dav_remove(struct remote *r, const struct remote_object *o, struct err *e)
{
	char value[REMOTE_TAG_MAX + 8];
	struct remote_object now;
	struct dav_ask k;
	int status = -1, rc;

	if (r->can.conditional && dav_is_etag(o->tag)) {
		snprintf(value, sizeof value, "\"%s\"", o->tag);
		if (dav_ask_key(&k, r, "DELETE", o->key, e) == 0 &&
		    dav_add_header(&k, "If-Match", value, e) == 0) {
			dav_accept(&k, 404);
			dav_accept(&k, 412);
			status = dav_send(&k, e);
		}
		dav_ask_free(&k);
		/* 412 is also said of what is gone, and of a weak ETag. */
		if (status != 412)
			return status == -1 ? -1 : 0;
	}
	if ((rc = dav_look(r, o->key, &now, e)) != 1)
		return rc;
	if (o->tag[0] != '\0' && strcmp(now.tag, o->tag) != 0)
		return dav_changed(o->key, e);
	return dav_ask_simply(r, "DELETE", o->key, 404, e) == -1 ? -1 : 0;
}
