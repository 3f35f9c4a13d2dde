#include "dav_change.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- folders ---- */

/* Makes the folder of an encoded path that ends in "/", and those above it. */
static int
make_folder(struct remote *r, const char *path, int depth, struct err *e)
{
	struct dav_ask k;
	int status = -1;

	if (dav_ask_path(&k, r, "MKCOL", mem_str(path, e), "the folder", e) == 0) {
		dav_accept(&k, 301);
		dav_accept(&k, 405);
		dav_accept(&k, 409);
		dav_accept(&k, 404);
		status = dav_send(&k, e);
	}
	dav_ask_free(&k);
	if ((status == 409 || status == 404) && depth < DAV_DEPTH_MAX && strlen(path) > 1) {
		char *above = mem_bytes(path, strlen(path) - 1, e);
		int rc = -1;

		if (above != NULL) {
			strrchr(above, '/')[1] = '\0';
			rc = make_folder(r, above, depth + 1, e);
		}
		free(above);
		return rc == -1 ? -1 : make_folder(r, path, DAV_DEPTH_MAX, e);
	}
	if (status == 409 || status == 404)
		return err_set(e, ERR_CONFIG, NULL,
		    "the server does not let us make folders below this address (status %d)",
		    status);
	return status == -1 ? -1 : 0;
}

/* Makes the folder that a key lies in, once; again when it seems to be gone. */
static int
need_folder(struct remote *r, const char *key, bool again, struct err *e)
{
	struct dav *d = r->own;
	char *path = dav_path(d, key, e), *line = NULL;
	int rc = -1;

	if (path == NULL)
		return -1;
	strrchr(path, '/')[1] = '\0';
	pthread_mutex_lock(&d->lock);
	if ((line = mem_fmt(e, "\n%s\n", path)) != NULL) {
		if (!again && d->made.len != 0 && strstr(d->made.data, line) != NULL)
			rc = 0;
		else if ((rc = make_folder(r, path, 0, e)) == 0 &&
			 (d->made.len == 0 || strstr(d->made.data, line) == NULL))
			rc = buf_adds(&d->made, line, e);
	}
	pthread_mutex_unlock(&d->lock);
	free(line);
	free(path);
	return rc;
}

/* ---- objects ---- */

int
dav_temp_key(const struct remote *r, char key[REMOTE_KEY_MAX + 1], struct err *e)
{
	unsigned char random[12];
	char hex[2 * sizeof random + 1];

	if (hash_random(random, sizeof random, e) == -1)
		return -1;
	hash_hex(random, sizeof random, hex);
	snprintf(key, REMOTE_KEY_MAX + 1, REMOTE_TEMP "%s-%s", r->settings.owner, hex);
	return 0;
}

int
dav_put_to(struct remote *r, const struct remote_source *s, const char *key, const char *condition,
    const char *value, char etag[REMOTE_TAG_MAX], struct err *e)
{
	char text[REMOTE_TAG_MAX + 8];
	struct dav_ask k;
	int status = -1;

	etag[0] = '\0';
	for (int again = 0; again < 2; again++) {
		if (need_folder(r, key, again == 1, e) == -1)
			return -1;
		if (dav_ask_key(&k, r, "PUT", key, e) == 0 &&
		    (condition == NULL || dav_add_header(&k, condition, value, e) == 0) &&
		    (s->mime_type == NULL ||
			dav_add_header(&k, "Content-Type", s->mime_type, e) == 0)) {
			k.what = s->key;
			k.q.body = s->bytes;
			k.q.body_len = s->fd == -1 ? (size_t)s->size_bytes : 0;
			k.q.has_file = s->fd != -1;
			k.q.fd = s->fd;
			k.q.bytes = (uint64_t)s->size_bytes;
			dav_accept(&k, 412);
			if (again == 0) {
				dav_accept(&k, 404);
				dav_accept(&k, 409);
			}
			status = dav_send(&k, e);
			if (dav_is_success(status) && http_header(&k.a, "ETag", text, sizeof text))
				dav_take_etag(text, etag);
		}
		dav_ask_free(&k);
		if (status != 404 && status != 409)
			break;
	}
	return status;
}

int
dav_put_range(struct remote *r, const struct remote_source *s, const char *session, int64_t at,
    int64_t end, struct err *e)
{
	char range[80];
	struct dav_ask k;
	int status = -1;

	snprintf(range, sizeof range, "bytes %" PRId64 "-%" PRId64 "/%" PRId64, at, end - 1,
	    s->size_bytes);
	if (dav_ask_key(&k, r, "PUT", session, e) == 0 &&
	    dav_add_header(&k, "Content-Range", range, e) == 0) {
		k.what = s->key;
		k.q.body = s->fd == -1 ? (const char *)s->bytes + at : NULL;
		k.q.body_len = s->fd == -1 ? (size_t)(end - at) : 0;
		k.q.has_file = s->fd != -1;
		k.q.fd = s->fd;
		k.q.offset = (uint64_t)at;
		k.q.bytes = (uint64_t)(end - at);
		status = dav_send(&k, e);
	}
	dav_ask_free(&k);
	return status == -1 ? -1 : 0;
}

int
dav_transfer(struct remote *r, const char *method, const char *from, const char *to, bool over,
    unsigned *attempts, struct err *e)
{
	const struct dav *d = r->own;
	char *path, *destination;
	struct dav_ask k;
	int status = -1;

	*attempts = 0;
	for (int again = 0; again < 2; again++) {
		if (need_folder(r, to, again == 1, e) == -1)
			return -1;
		path = dav_path(d, to, e);
		destination = path == NULL ? NULL : mem_fmt(e, "%s%s", d->server, path);
		if (dav_ask_key(&k, r, method, from, e) == 0 && destination != NULL &&
		    dav_add_header(&k, "Destination", destination, e) == 0 &&
		    dav_add_header(&k, "Overwrite", over ? "T" : "F", e) == 0) {
			/* A temporary name tells nobody anything. */
			k.what = strncmp(to, REMOTE_TEMP, strlen(REMOTE_TEMP)) == 0 ? from : to;
			dav_accept(&k, 404);
			dav_accept(&k, 412);
			if (again == 0)
				dav_accept(&k, 409);
			status = dav_send(&k, e);
			*attempts += k.attempts;
		}
		dav_ask_free(&k);
		free(destination);
		free(path);
		if (status != 409)
			break;
	}
	return status;
}

struct copying {
	struct remote *r;
	const char *from;
	char *temp;	  /* of the latest attempt; "": there was none */
	struct buf given; /* those before it, each with its NUL */
	bool again;
	int status;
};

static int
send_copy(struct copying *t, struct dav_ask *k, struct fault *f, struct err *e)
{
	const struct dav *d = t->r->own;
	char *path = dav_path(d, t->temp, e);
	char *destination = path == NULL ? NULL : mem_fmt(e, "%s%s", d->server, path);
	int rc = -1;

	if (destination != NULL && dav_add_header(k, "Destination", destination, e) == 0 &&
	    dav_add_header(k, "Overwrite", "F", e) == 0) {
		dav_accept(k, 404);
		dav_accept(k, 412);
		if (!t->again)
			dav_accept(k, 409);
		rc = dav_send_once(k, f, e);
	}
	free(destination);
	free(path);
	return rc;
}

static int
attempt_copy(void *ctx, struct fault *f, struct err *e)
{
	struct copying *t = ctx;
	struct dav_ask k;
	int rc = -1;

	f->class = FAULT_NONE;
	if (t->temp[0] != '\0' && buf_add(&t->given, t->temp, strlen(t->temp) + 1, e) == -1)
		return -1;
	if (dav_temp_key(t->r, t->temp, e) == -1)
		return -1;
	if (dav_ask_key(&k, t->r, "COPY", t->from, e) == 0)
		rc = send_copy(t, &k, f, e);
	if (rc == 0)
		t->status = dav_status(&k);
	/* The connection broke, and libcurl sent it again: the first may still be at work. */
	if (rc == 0 && t->status == 412)
		rc = fault_set(f, FAULT_TRANSIENT, 412, "the temporary name is in use");
	dav_ask_free(&k);
	return rc;
}

int
dav_copy_aside(struct remote *r, const char *from, char temp[REMOTE_KEY_MAX + 1], struct err *e)
{
	struct copying t = {.r = r, .from = from, .temp = temp};
	int rc = -1;

	temp[0] = '\0';
	for (int again = 0; again < 2; again++) {
		t.again = again == 1;
		if ((rc = need_folder(r, REMOTE_TEMP "x", t.again, e)) == 0)
			rc = retry_run(r->retry, from, attempt_copy, &t, e);
		if (rc == -1 || t.status != 409)
			break;
	}
	/* One whose answer was lost may be there. */
	for (size_t at = 0; rc == 0 && at < t.given.len; at += strlen(t.given.data + at) + 1)
		dav_remove_quietly(r, t.given.data + at);
	buf_free(&t.given);
	return rc == -1 ? -1 : t.status;
}

void
dav_remove_quietly(struct remote *r, const char *key)
{
	struct err other;

	dav_ask_simply(r, "DELETE", key, 404, &other);
}
