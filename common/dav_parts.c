#include "dav_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dav_change.h"
#include "dav_get.h"
#include "dav_put.h"

/* A session is the key of a temporary object of ours, and never that of anything else. */
static int
check_session(const struct remote *r, const char *key, const char *session, struct err *e)
{
	char mine[sizeof REMOTE_TEMP + 16];
	size_t n = (size_t)snprintf(mine, sizeof mine, REMOTE_TEMP "%s-", r->settings.owner);

	if (strncmp(session, mine, n) == 0 && session[n] != '\0' &&
	    strspn(session + n, "0123456789abcdef") == strlen(session + n))
		return 0;
	return err_item(e, P_BAD_RECORD, "%s: the recorded upload is none of this remote", key);
}

int
dav_begin(struct remote *r, const struct remote_source *s, const char *id,
    char session[REMOTE_SESSION_MAX], struct err *e)
{
	struct remote_source nothing = {.key = s->key, .fd = -1, .bytes = ""};
	char etag[REMOTE_TAG_MAX];

	snprintf(session, REMOTE_SESSION_MAX, REMOTE_TEMP "%s-%s", r->settings.owner, id);
	return dav_put_to(r, &nothing, session, NULL, NULL, etag, e) == -1 ? -1 : 0;
}

static int
gone(const char *key, struct err *e)
{
	return err_item(
	    e, P_MISSING, "%s: the upload is not at the remote any more; begin anew", key);
}

int
dav_part(struct remote *r, const struct remote_source *s, const char *session,
    struct remote_part *p, struct err *e)
{
	int64_t end = p->offset + p->size_bytes;
	char etag[REMOTE_TAG_MAX];
	struct remote_object there;
	int rc;

	if (check_session(r, s->key, session, e) == -1 ||
	    (rc = dav_look(r, session, &there, e)) == -1)
		return -1;
	if (rc == 0)
		return gone(s->key, e);
	if (there.size_bytes >= end)
		return 0;
	if (p->offset == 0 && end == s->size_bytes && !r->can.partial_put)
		return dav_put_to(r, s, session, NULL, NULL, etag, e) == -1 ? -1 : 0;
	if (!r->can.partial_put || there.size_bytes < p->offset)
		return err_item(e, P_REMOTE,
		    "%s: part %u does not follow what has arrived (%" PRId64 " bytes)", s->key,
		    p->number, there.size_bytes);
	return dav_put_range(r, s, session, there.size_bytes, end, e);
}

int
dav_arrived(struct remote *r, const struct remote_source *s, const char *session,
    int (*each)(void *ctx, const struct remote_part *p, struct err *e), void *ctx,
    struct remote_object *o, struct err *e)
{
	struct remote_part all = {0};
	struct remote_object there;
	int rc;

	if (check_session(r, s->key, session, e) == -1 ||
	    (rc = dav_look(r, session, &there, e)) == -1)
		return -1;
	if (rc == 0)
		return (rc = dav_holds(r, s, o, e)) == 1 ? 2 : rc;
	/* What cannot be gone on with is as good as nothing. */
	if (r->can.partial_put || there.size_bytes == s->size_bytes)
		all.size_bytes = there.size_bytes;
	return each(ctx, &all, e) == -1 ? -1 : 1;
}

int
dav_finish(struct remote *r, const struct remote_source *s, const char *session,
    const struct remote_part *parts, unsigned n, struct remote_object *o, struct err *e)
{
	struct remote_object there;
	int rc;

	(void)parts;
	(void)n;
	if (check_session(r, s->key, session, e) == -1 ||
	    (rc = dav_look(r, session, &there, e)) == -1)
		return -1;
	if (rc == 0) {
		if ((rc = dav_holds(r, s, o, e)) == 0)
			rc = gone(s->key, e);
		return rc == 1 ? 0 : -1;
	}
	if (there.size_bytes != s->size_bytes)
		return err_item(e, P_SIZE_MISMATCH,
		    "%s: %" PRId64 " of %" PRId64 " bytes have arrived", s->key, there.size_bytes,
		    s->size_bytes);
	return dav_settle(r, session, s, o, e);
}

int
dav_abort(struct remote *r, const char *key, const char *session, struct err *e)
{
	if (check_session(r, key, session, e) == -1)
		return -1;
	return dav_ask_simply(r, "DELETE", session, 404, e) == -1 ? -1 : 0;
}

int
dav_sweep(
    struct remote *r, const char *key, const char *id, const char *since, int64_t *n, struct err *e)
{
	char temp[REMOTE_KEY_MAX + 1];
	int status;

	(void)key;
	(void)since;
	snprintf(temp, sizeof temp, REMOTE_TEMP "%s-%s", r->settings.owner, id);
	status = dav_ask_simply(r, "DELETE", temp, 404, e);
	*n = dav_is_success(status);
	return status == -1 ? -1 : 0;
}
