#include "drive_session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drive_files.h"
#include "drive_props.h"
#include "drive_put.h"
#include "mem.h"

/* ---- what sessions have confirmed ---- */

/* -1: not known. */
static int64_t
upload_at(struct drive *d, const char *id)
{
	int64_t at = -1;

	pthread_mutex_lock(&d->uploads_lock);
	for (const struct drive_upload *u = d->uploads; u != NULL && at == -1; u = u->next)
		if (strcmp(u->id, id) == 0)
			at = u->at;
	pthread_mutex_unlock(&d->uploads_lock);
	return at;
}

static void
forget_upload(struct drive *d, const char *id)
{
	struct drive_upload **at, *u;

	pthread_mutex_lock(&d->uploads_lock);
	for (at = &d->uploads; (u = *at) != NULL;)
		if (strcmp(u->id, id) == 0) {
			*at = u->next;
			free(u);
		} else {
			at = &u->next;
		}
	pthread_mutex_unlock(&d->uploads_lock);
}

/* What is not remembered is asked for: no memory is no error. */
static void
note_upload(struct drive *d, const char *id, int64_t at)
{
	struct err ignored = {0};
	struct drive_upload *u;

	forget_upload(d, id);
	if (at == -1 || (u = mem_new(1, sizeof *u, &ignored)) == NULL)
		return;
	snprintf(u->id, sizeof u->id, "%s", id);
	u->at = at;
	pthread_mutex_lock(&d->uploads_lock);
	u->next = d->uploads;
	d->uploads = u;
	pthread_mutex_unlock(&d->uploads_lock);
}

/* ---- beginning ---- */

/* Below the address of the API, and nothing in it that could end a line: tokens go there. */
static bool
is_session_url(const struct drive *d, const char *url)
{
	size_t n = strlen(d->base);

	if (strncmp(url, d->base, n) != 0 || url[n] != '/')
		return false;
	for (; *url != '\0'; url++)
		if ((unsigned char)*url <= 0x20 || (unsigned char)*url >= 0x7f)
			return false;
	return true;
}

/* "ID URL" */
static int
read_session(struct remote *r, const char *key, const char *session, char id[REMOTE_ID_MAX],
    const char **url, struct err *e)
{
	size_t n = strcspn(session, " ");

	if (n >= REMOTE_ID_MAX || session[n] != ' ')
		goto bad;
	memcpy(id, session, n);
	id[n] = '\0';
	*url = session + n + 1;
	if (drive_is_id(id) && is_session_url(r->own, *url))
		return 0;
bad:
	return err_item(e, P_BAD_RECORD,
	    "%s: the noted upload is none of this Google Drive; it has to begin anew", key);
}

static int
take_session(struct drive_call *c, const char *id, char session[REMOTE_SESSION_MAX], struct err *e)
{
	char url[REMOTE_SESSION_MAX];
	int n;

	if (c->a.status == 404)
		return drive_folder_is_gone(c, e);
	if (c->a.status == 409)
		return drive_in_the_way(c->what, e);
	if (!http_header(&c->a, "Location", url, sizeof url))
		return err_item(e, P_REMOTE,
		    "%s: Google Drive gave no address to upload to; run again", c->what);
	if (!is_session_url(c->r->own, url))
		return err_item(e, P_REMOTE,
		    "%s: was to be uploaded to another host than that of the API, which is "
		    "refused; check the endpoint",
		    c->what);
	n = snprintf(session, REMOTE_SESSION_MAX, "%s %s", id, url);
	explicit_bzero(url, sizeof url);
	if (n < REMOTE_SESSION_MAX)
		return 0;
	session[0] = '\0';
	return err_item(e, P_REMOTE, "%s: the address to upload to is too long", c->what);
}

/* The key of an upload that is not finished. */
static void
temporary_key(const struct remote *r, const char *own_id, char key[REMOTE_KEY_MAX + 1])
{
	snprintf(key, REMOTE_KEY_MAX + 1, REMOTE_TEMP "%s-%s", r->settings.owner, own_id);
}

static int
open_session(struct remote *r, const struct remote_source *s, const char *id,
    char session[REMOTE_SESSION_MAX], struct err *e)
{
	struct buf url = {0}, text = {0}, type = {0};
	char length[64];
	struct drive_call c = {.r = r, .what = s->key, .method = "POST", .passes = {404, 409}};
	struct json *v = drive_upload_metadata(r, s, id, NULL, e);
	int rc = -1;

	snprintf(length, sizeof length, "X-Upload-Content-Length: %" PRId64, s->size_bytes);
	if (v == NULL || drive_json_body(&c, v, &text, e) == -1 ||
	    buf_addf(&type, e, "X-Upload-Content-Type: %s",
		s->mime_type == NULL ? "application/octet-stream" : s->mime_type) == -1 ||
	    drive_upload_address(r, &url, "resumable", id, true, e) == -1)
		goto out;
	c.url = url.data;
	c.headers[1] = length;
	c.headers[2] = type.data;
	if (drive_call_run(&c, e) == 0)
		rc = take_session(&c, id, session, e);
out:
	drive_call_free(&c);
	json_free(v);
	buf_free(&type);
	buf_free(&text);
	buf_free(&url);
	return rc;
}

/* A session's file is whole when its last byte came: until it is finished it has another key. */
int
drive_begin(struct remote *r, const struct remote_source *s, const char *own_id,
    char session[REMOTE_SESSION_MAX], struct err *e)
{
	char id[REMOTE_ID_MAX], key[REMOTE_KEY_MAX + 1];
	struct remote_source temporary = *s;
	struct remote_object o;
	struct json *old = NULL;
	int rc = drive_look_before(r, s, &o, &old, e);

	json_free(old);
	if (rc == -1)
		return -1;
	if (rc == 2)
		return err_item(e, P_CONFLICT, "%s: is already at Google Drive", s->key);
	temporary_key(r, own_id, key);
	temporary.key = key;
	if (drive_new_id(r, s->key, id, e) == -1 ||
	    open_session(r, &temporary, id, session, e) == -1)
		return -1;
	note_upload(r->own, id, 0);
	return 0;
}

/* ---- sending ---- */

/* Bytes on their way into a session. */
struct sending {
	const struct remote_source *s;
	struct drive_call c;
	char range[96];
	int64_t at;	 /* confirmed; -1: not known */
	int64_t end;	 /* of the part */
	int64_t refused; /* a piece from here on was called wrong; -1 */
	bool done;	 /* the file is there */
	bool gone;	 /* the session is not */
};

/* "bytes=0-X": X + 1; no such header: nothing was kept. */
static int
take_range(struct sending *t, struct fault *f)
{
	char text[64];
	int64_t last;

	t->at = 0;
	if (!http_header(&t->c.a, "Range", text, sizeof text))
		return 0;
	if (drive_begins(text, "bytes=0-") &&
	    mem_parse_i64(text + strlen("bytes=0-"), 0, t->s->size_bytes - 1, &last)) {
		t->at = last + 1;
		return 0;
	}
	t->at = -1;
	return fault_set(f, FAULT_TRANSIENT, t->c.a.status,
	    "Google Drive tells no range that fits the recording");
}

/* One request to the session; t->at, t->done and t->gone are what it then is. */
static int
send_to_session(struct sending *t, struct fault *f, struct err *e)
{
	t->at = -1;
	if (drive_send_once(&t->c, f, e) == -1)
		return -1;
	if (t->c.a.status == 308)
		return take_range(t, f);
	if (t->c.a.status >= 300) {
		t->gone = true;
		return 0;
	}
	t->done = true;
	t->at = t->s->size_bytes;
	return 0;
}

static int
ask_session(struct sending *t, struct fault *f, struct err *e)
{
	t->c.has_file = false;
	t->c.body = "";
	t->c.body_len = 0;
	t->c.headers[0] = NULL;
	/* Nothing at all is sent as it is: a range of it cannot be written. */
	if (t->s->size_bytes != 0) {
		snprintf(
		    t->range, sizeof t->range, "Content-Range: bytes */%" PRId64, t->s->size_bytes);
		t->c.headers[0] = t->range;
	}
	return send_to_session(t, f, e);
}

/* A piece that does not follow what was kept: more of an attempt that broke may have arrived than
 * was known. Asked for, that is another place; if not, the piece is wrong. */
static int
refuse_piece(struct sending *t, int64_t from, struct fault *f)
{
	if (f->class == FAULT_ITEM && f->status == 400 && t->refused != from) {
		t->refused = from;
		f->class = FAULT_TRANSIENT;
	}
	return -1;
}

/* To the end of the part, or beyond it where pieces are to be of k * 256 KiB. */
static int
send_piece(struct sending *t, struct fault *f, struct err *e)
{
	int64_t from = t->at, n = (t->end - from + DRIVE_CHUNK - 1) / DRIVE_CHUNK * DRIVE_CHUNK;

	if (n > t->s->size_bytes - from)
		n = t->s->size_bytes - from;
	snprintf(t->range, sizeof t->range, "Content-Range: bytes %" PRId64 "-%" PRId64 "/%" PRId64,
	    from, from + n - 1, t->s->size_bytes);
	t->c.headers[0] = t->range;
	t->c.has_file = t->s->fd != -1;
	t->c.fd = t->s->fd;
	t->c.offset = (uint64_t)from;
	t->c.bytes = (uint64_t)n;
	t->c.body = t->c.has_file ? NULL : (const char *)t->s->bytes + from;
	t->c.body_len = t->c.has_file ? 0 : (size_t)n;
	if (send_to_session(t, f, e) == -1)
		return refuse_piece(t, from, f);
	if (t->done || t->gone || t->at > from)
		return 0;
	t->at = -1;
	return fault_set(
	    f, FAULT_TRANSIENT, t->c.a.status, "Google Drive kept nothing of what was sent");
}

/* One attempt: where the last one ended is asked for. */
static int
attempt_part(void *ctx, struct fault *f, struct err *e)
{
	struct sending *t = ctx;

	f->class = FAULT_NONE;
	if (t->at == -1 && ask_session(t, f, e) == -1)
		return -1;
	while (!t->gone && !t->done && t->at < t->end)
		if (send_piece(t, f, e) == -1)
			return -1;
	return 0;
}

static int
attempt_ask(void *ctx, struct fault *f, struct err *e)
{
	f->class = FAULT_NONE;
	return ask_session(ctx, f, e);
}

static void
sending_init(struct sending *t, struct remote *r, const struct remote_source *s, const char *url)
{
	*t = (struct sending){.s = s,
	    .c = {.r = r, .what = s->key, .method = "PUT", .url = url, .passes = {308, 404, 410}},
	    .at = -1,
	    .refused = -1};
}

static int
session_is_gone(const char *key, struct err *e)
{
	return err_item(e, P_MISSING,
	    "%s: Google Drive has given up the upload that was begun; it has to begin anew", key);
}

int
drive_part(struct remote *r, const struct remote_source *s, const char *session,
    struct remote_part *p, struct err *e)
{
	char id[REMOTE_ID_MAX];
	struct sending t;
	const char *url;
	int rc;

	if (read_session(r, s->key, session, id, &url, e) == -1)
		return -1;
	sending_init(&t, r, s, url);
	t.end = p->offset + p->size_bytes;
	t.at = upload_at(r->own, id);
	rc = retry_run(r->retry, s->key, attempt_part, &t, e);
	drive_call_free(&t.c);
	note_upload(r->own, id, rc == 0 && !t.gone ? t.at : -1);
	if (rc == 0 && t.gone)
		return session_is_gone(s->key, e);
	return rc;
}

/* ---- ending ---- */

/*
 * How far the upload is: t->at bytes; 1 and its file (*o, *raw) when all are there, whether the
 * session still is or not; 0, -1.
 */
static int
look_at_upload(struct remote *r, const struct remote_source *s, const char *session,
    struct sending *t, struct remote_object *o, struct json **raw, struct err *e)
{
	char id[REMOTE_ID_MAX];
	const char *url;
	int rc;

	if (read_session(r, s->key, session, id, &url, e) == -1)
		return -1;
	sending_init(t, r, s, url);
	if (s->size_bytes > 0 && upload_at(r->own, id) == s->size_bytes) {
		t->done = true;
		t->at = s->size_bytes;
	} else {
		rc = retry_run(r->retry, s->key, attempt_ask, t, e);
		drive_call_free(&t->c);
		if (rc == -1)
			return -1;
	}
	if (!t->done && !t->gone) {
		note_upload(r->own, id, t->at);
		return 0;
	}
	rc = drive_fetch(r, s->key, id, o, raw, e);
	note_upload(r->own, id, rc == 1 ? s->size_bytes : -1);
	return rc;
}

int
drive_arrived(struct remote *r, const struct remote_source *s, const char *session,
    int (*each)(void *ctx, const struct remote_part *p, struct err *e), void *ctx,
    struct remote_object *o, struct err *e)
{
	struct sending t;
	int rc = look_at_upload(r, s, session, &t, o, NULL, e);

	if (rc == -1)
		return -1;
	if (rc == 1 && strcmp(o->key, s->key) == 0)
		return drive_settle_put(r, s, o, e) == -1 ? -1 : 2;
	if (rc == 1)
		t.at = o->size_bytes;
	else if (t.gone || t.done)
		return 0;
	return each(ctx, &(struct remote_part){.size_bytes = t.at}, e) == -1 ? -1 : 1;
}

/* Under its key, when that is free or holds what may be replaced. */
static int
publish(struct remote *r, const struct remote_source *s, const struct remote_object *now,
    const struct json *raw, struct remote_object *o, struct err *e)
{
	struct json *old_raw = NULL;
	struct remote_object old;
	int rc;

	if (now->size_bytes != s->size_bytes ||
	    (now->sha256[0] != '\0' && !drive_same_bytes(s, now)))
		return err_item(e, P_CHECKSUM_MISMATCH,
		    "%s: arrived at Google Drive with other bytes than it has here; it has to be "
		    "sent again",
		    s->key);
	rc = drive_look_before(r, s, &old, &old_raw, e);
	json_free(old_raw);
	if (rc == -1)
		return -1;
	/* What a killed run had asked for may have been done since it was looked at. */
	if (rc != 0 && strcmp(old.id, now->id) == 0) {
		*o = old;
		return drive_settle_put(r, s, o, e);
	}
	if (rc == 2) {
		*o = old;
		return drive_delete_file(r, s->key, now->id, e);
	}
	if (drive_move_file(r, now, raw, s->key, o, e) == -1 ||
	    (rc == 1 && drive_delete_file(r, s->key, old.id, e) == -1))
		return -1;
	return drive_settle_put(r, s, o, e);
}

int
drive_finish(struct remote *r, const struct remote_source *s, const char *session,
    const struct remote_part *parts, unsigned n, struct remote_object *o, struct err *e)
{
	struct sending t;
	struct remote_object now;
	struct json *raw = NULL;
	int rc = look_at_upload(r, s, session, &t, &now, &raw, e);

	(void)parts;
	(void)n;
	if (rc == -1)
		return -1;
	if (rc == 0 && (t.gone || t.done))
		return session_is_gone(s->key, e);
	if (rc == 0)
		return err_item(e, P_REMOTE,
		    "%s: Google Drive has %" PRId64 " of %" PRId64 " bytes; run again", s->key,
		    t.at, s->size_bytes);
	*o = now;
	rc = strcmp(now.key, s->key) == 0 ? drive_settle_put(r, s, o, e)
					  : publish(r, s, &now, raw, o, e);
	json_free(raw);
	if (rc == 0)
		forget_upload(r->own, now.id);
	return rc;
}

/* A list may be late, so it is asked for by its id: 1 when it was removed, 0 when it is no
 * temporary one (any more), -1. */
static int
remove_temporary(struct remote *r, const char *key, const char *id, struct err *e)
{
	struct remote_object o;
	int rc = drive_fetch(r, key, id, &o, NULL, e);

	if (rc != 1 || !drive_begins(o.key, REMOTE_TEMP))
		return rc == -1 ? -1 : 0;
	return drive_delete_file(r, key, id, e) == -1 ? -1 : 1;
}

/* What a session was told to forget answers 499. */
int
drive_abort(struct remote *r, const char *key, const char *session, struct err *e)
{
	char id[REMOTE_ID_MAX];
	const char *url;
	struct drive_call c = {
	    .r = r, .what = key, .method = "DELETE", .passes = {400, 404, 405, 410, 499}};
	int rc;

	if (read_session(r, key, session, id, &url, e) == -1)
		return -1;
	forget_upload(r->own, id);
	c.url = url;
	rc = drive_call_run(&c, e);
	drive_call_free(&c);
	return rc == -1 || remove_temporary(r, key, id, e) == -1 ? -1 : 0;
}

/* A session that nobody noted shows nowhere, and ends after a week. */
int
drive_sweep(struct remote *r, const char *key, const char *own_id, const char *since, int64_t *n,
    struct err *e)
{
	char temporary[REMOTE_KEY_MAX + 1];
	struct remote_object o;
	int rc;

	(void)since;
	temporary_key(r, own_id, temporary);
	if ((rc = drive_find_key(r, temporary, &o, NULL, e)) == 1) {
		rc = remove_temporary(r, key, o.id, e);
		*n = rc == 1;
	}
	return rc == -1 ? -1 : 0;
}
