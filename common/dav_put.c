#include "dav_put.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dav_change.h"
#include "dav_get.h"

/* After a conflict in *e: 0 when what is there is what was to be put. */
static int
was_put(struct remote *r, const struct remote_source *s, struct remote_object *o, struct err *e)
{
	struct err other;
	int rc = dav_holds(r, s, o, &other);

	if (rc == -1)
		*e = other;
	return rc == 1 ? 0 : -1;
}

int
dav_settle(struct remote *r, const char *temp, const struct remote_source *s,
    struct remote_object *o, struct err *e)
{
	bool over = false;
	unsigned attempts;
	int rc = 0, status;

	if (s->condition == REMOTE_REPLACE && s->tag != NULL && s->tag[0] != '\0')
		rc = dav_may_replace(r, s->key, s->tag, true, &over, e);
	if (rc == 0) {
		if ((status = dav_transfer(r, "MOVE", temp, s->key, over, &attempts, e)) == -1)
			return -1;
		if (dav_is_success(status))
			return dav_look_for(r, s->key, "", o, e);
		rc = err_item(
		    e, P_CONFLICT, "%s: something else is at the remote under this name", s->key);
	}
	if (!dav_is_conflict(e) || was_put(r, s, o, e) == -1)
		return -1;
	dav_remove_quietly(r, temp);
	return 0;
}

static int
put_by_temp(struct remote *r, const struct remote_source *s, struct remote_object *o, struct err *e)
{
	char temp[REMOTE_KEY_MAX + 1], etag[REMOTE_TAG_MAX];
	struct remote_object there;
	int rc = -1;

	if (dav_temp_key(r, temp, e) == -1)
		return -1;
	if (dav_put_to(r, s, temp, NULL, NULL, etag, e) != -1 &&
	    dav_look_for(r, temp, "", &there, e) == 0) {
		if (there.size_bytes == s->size_bytes)
			rc = dav_settle(r, temp, s, o, e);
		else
			err_item(e, P_REMOTE,
			    "%s: %" PRId64 " bytes were put, but the server has %" PRId64
			    "; run it again",
			    s->key, s->size_bytes, there.size_bytes);
	}
	if (rc == -1 && e->class != ERR_STOPPED)
		dav_remove_quietly(r, temp);
	return rc;
}

static int
take_put(struct remote *r, const struct remote_source *s, const char *etag, struct remote_object *o,
    struct err *e)
{
	if (etag[0] == '\0')
		return dav_look_for(r, s->key, "", o, e);
	memset(o, 0, sizeof *o);
	o->size_bytes = s->size_bytes;
	snprintf(o->tag, sizeof o->tag, "%s", etag);
	return 0;
}

int
dav_put(struct remote *r, const struct remote_source *s, struct remote_object *o, struct err *e)
{
	char etag[REMOTE_TAG_MAX], value[REMOTE_TAG_MAX + 8];
	bool replace = s->condition == REMOTE_REPLACE && s->tag != NULL && s->tag[0] != '\0', over;
	int status;

	if (!r->can.conditional || !r->can.atomic_put || (replace && !dav_is_etag(s->tag)))
		return put_by_temp(r, s, o, e);
	if (replace) {
		snprintf(value, sizeof value, "\"%s\"", s->tag);
		if ((status = dav_put_to(r, s, s->key, "If-Match", value, etag, e)) == -1)
			return -1;
		if (dav_is_success(status))
			return take_put(r, s, etag, o, e);
		if (dav_may_replace(r, s->key, s->tag, true, &over, e) == -1)
			return dav_is_conflict(e) ? was_put(r, s, o, e) : -1;
		/* It is that version, but its ETag was weak at that moment. */
		if (over)
			return put_by_temp(r, s, o, e);
	}
	if ((status = dav_put_to(r, s, s->key, "If-None-Match", "*", etag, e)) == -1)
		return -1;
	if (dav_is_success(status))
		return take_put(r, s, etag, o, e);
	err_item(e, P_CONFLICT, "%s: something else is at the remote under this name", s->key);
	return was_put(r, s, o, e);
}
