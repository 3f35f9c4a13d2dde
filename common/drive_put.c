#include "drive_put.h"

#include <stdio.h>
#include <string.h>

#include "drive_files.h"
#include "drive_props.h"
#include "io.h"
#include "mem.h"

/* ---- what is told of a file that is put ---- */

int
drive_put_place(struct remote *r, struct json *v, const char *id, struct err *e)
{
	char at[REMOTE_ID_MAX];
	struct json *parents;

	if (drive_folder(r, true, at, e) != 1 || json_put_str(v, "id", id, e) == -1 ||
	    (parents = json_new_array(e)) == NULL)
		return -1;
	if (json_append_str(parents, at, e) == -1) {
		json_free(parents);
		return -1;
	}
	return json_put(v, "parents", parents, e);
}

struct json *
drive_upload_metadata(struct remote *r, const struct remote_source *s, const char *id,
    const struct json *old, struct err *e)
{
	struct json *v = json_new_object(e), *props = drive_properties_of(s, e);

	if (v == NULL || props == NULL ||
	    (old != NULL &&
		drive_drop_stale(props, json_get(old, "appProperties"), "rec_", e) == -1)) {
		json_free(props);
		json_free(v);
		return NULL;
	}
	if (json_put(v, "appProperties", props, e) == 0 && drive_put_names(v, s, e) == 0 &&
	    (old != NULL || drive_put_place(r, v, id, e) == 0))
		return v;
	json_free(v);
	return NULL;
}

int
drive_upload_address(
    struct remote *r, struct buf *url, const char *kind, const char *id, bool is_new, struct err *e)
{
	if (is_new ? drive_add_path(r, url, DRIVE_UPLOADS, e) == -1
		   : drive_add_file(r, url, DRIVE_UPLOADS, id, NULL, e) == -1)
		return -1;
	return drive_add_argument(url, "uploadType", kind, e) == -1
		   ? -1
		   : drive_add_argument(url, "fields", DRIVE_FIELDS, e);
}

/* ---- what else is there ---- */

bool
drive_same_bytes(const struct remote_source *s, const struct remote_object *o)
{
	if (o->size_bytes != s->size_bytes)
		return false;
	if (o->sha256[0] != '\0')
		return strcmp(o->sha256, s->sha256) == 0;
	return o->md5[0] != '\0' && strcmp(o->md5, s->md5) == 0;
}

/* What is to be replaced may be too new for lists. */
static int
look_by_id(struct remote *r, const struct remote_source *s, struct remote_object *o,
    struct json **old, struct err *e)
{
	int rc;

	if (s->condition != REMOTE_REPLACE || !drive_is_id(s->id))
		return 0;
	rc = drive_fetch(r, s->key, s->id, o, old, e);
	if (rc != 1 || strcmp(o->key, s->key) == 0)
		return rc;
	json_free(*old);
	*old = NULL;
	return 0;
}

int
drive_look_before(struct remote *r, const struct remote_source *s, struct remote_object *o,
    struct json **old, struct err *e)
{
	int rc = look_by_id(r, s, o, old, e);

	if (rc == 0)
		rc = drive_find_key(r, s->key, o, old, e);
	if (rc != 1)
		return rc;
	if (s->condition == REMOTE_REPLACE && s->tag != NULL && strcmp(s->tag, o->tag) == 0)
		return 1;
	json_free(*old);
	*old = NULL;
	return drive_same_bytes(s, o) ? 2 : drive_in_the_way(s->key, e);
}

int
drive_look_after(struct remote *r, const char *key, struct remote_object *o,
    struct remote_object *other, bool is_new, struct err *e)
{
	int rc = drive_find_key(r, key, other, NULL, e);

	if (rc != 1 || strcmp(other->id, o->id) == 0)
		return rc == -1 ? -1 : 0;
	if ((rc = drive_fetch(r, key, other->id, other, NULL, e)) != 1)
		return rc;
	if (strcmp(other->key, key) != 0)
		return 0;
	if (is_new && drive_delete_file(r, key, o->id, e) == -1)
		return -1;
	return 1;
}

int
drive_settle_put(
    struct remote *r, const struct remote_source *s, struct remote_object *o, struct err *e)
{
	struct remote_object other;
	int rc = drive_look_after(r, s->key, o, &other, s->condition == REMOTE_NEW, e);

	if (rc != 1)
		return rc;
	if (!drive_same_bytes(s, &other))
		return drive_in_the_way(s->key, e);
	*o = other;
	return 0;
}

/* ---- in one go: metadata and content in one multipart/related body (RFC 2387) ---- */

static int
add_content(struct buf *b, const struct remote_source *s, struct err *e)
{
	size_t n = (size_t)s->size_bytes;
	ssize_t got;

	if (s->fd == -1)
		return buf_add(b, s->bytes, n, e);
	if (buf_room(b, n + 1, e) == -1 || (got = io_pread(s->fd, b->data + b->len, n, 0, e)) == -1)
		return -1;
	if ((size_t)got != n)
		return err_item(e, P_MODIFIED, "%s: became shorter while it was read", s->key);
	b->len += n;
	return 0;
}

static int
multipart_body(struct buf *b, const struct json *v, const struct remote_source *s,
    const char *boundary, struct err *e)
{
	if (buf_addf(b, e, "--%s\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n",
		boundary) == -1 ||
	    json_write(v, b, e) == -1 ||
	    buf_addf(b, e, "\r\n--%s\r\nContent-Type: %s\r\n\r\n", boundary,
		s->mime_type == NULL ? "application/octet-stream" : s->mime_type) == -1 ||
	    add_content(b, s, e) == -1)
		return -1;
	return buf_addf(b, e, "\r\n--%s--\r\n", boundary);
}

static int
new_boundary(char *header, size_t size, char boundary[33], struct err *e)
{
	unsigned char random[16];

	if (hash_random(random, sizeof random, e) == -1)
		return -1;
	hash_hex(random, sizeof random, boundary);
	snprintf(header, size, "Content-Type: multipart/related; boundary=%s", boundary);
	return 0;
}

/* Of a create that acted though its answer was lost: 409. */
static int
take_answer(struct drive_call *c, const char *id, struct remote_object *o, struct err *e)
{
	int rc = c->a.status == 409 ? drive_fetch(c->r, c->what, id, o, NULL, e)
				    : drive_object_of(c->json, o);

	if (rc == 0)
		err_item(e, P_REMOTE,
		    "%s: Google Drive does not tell what it made of it; run again", c->what);
	return rc == 1 ? 0 : -1;
}

int
drive_put_small(struct remote *r, const struct remote_source *s, const char *id,
    const struct json *old, struct remote_object *o, struct err *e)
{
	struct buf url = {0}, body = {0};
	char boundary[33], header[96];
	struct drive_call c = {.r = r,
	    .what = s->key,
	    .method = old == NULL ? "POST" : "PATCH",
	    .headers = {header},
	    .wants_json = true,
	    .passes = {404, old == NULL ? 409 : 0}};
	struct json *v = drive_upload_metadata(r, s, id, old, e);
	int rc = -1;

	if (v == NULL || new_boundary(header, sizeof header, boundary, e) == -1 ||
	    multipart_body(&body, v, s, boundary, e) == -1 ||
	    drive_upload_address(r, &url, "multipart", id, old == NULL, e) == -1)
		goto out;
	c.url = url.data;
	c.body = body.data;
	c.body_len = body.len;
	if (drive_call_run(&c, e) == -1)
		goto out;
	if (c.a.status == 404)
		rc = old == NULL ? drive_folder_is_gone(&c, e) : drive_changed_meanwhile(s->key, e);
	else
		rc = take_answer(&c, id, o, e);
out:
	drive_call_free(&c);
	json_free(v);
	buf_free(&body);
	buf_free(&url);
	return rc;
}

int
drive_put(struct remote *r, const struct remote_source *s, struct remote_object *o, struct err *e)
{
	char id[REMOTE_ID_MAX];
	struct json *old = NULL;
	int rc = drive_look_before(r, s, o, &old, e);

	if (rc == -1 || rc == 2)
		return rc == 2 ? 0 : -1;
	if (rc == 1)
		memcpy(id, o->id, sizeof id);
	else if (drive_new_id(r, s->key, id, e) == -1)
		return -1;
	rc = drive_put_small(r, s, id, old, o, e);
	if (rc == 0 && old == NULL)
		rc = drive_settle_put(r, s, o, e);
	json_free(old);
	return rc;
}

/* ---- telling more of a file ---- */

int
drive_send_metadata(struct remote *r, const char *what, const char *method, const char *path,
    const struct json *v, const char *id, struct remote_object *o, struct err *e)
{
	struct buf url = {0}, text = {0};
	struct drive_call c = {
	    .r = r, .what = what, .method = method, .wants_json = true, .passes = {409}};
	int rc = -1;

	if (drive_json_body(&c, v, &text, e) == 0 && drive_add_path(r, &url, path, e) == 0 &&
	    drive_add_argument(&url, "fields", DRIVE_FIELDS, e) == 0) {
		c.url = url.data;
		if (drive_call_run(&c, e) == 0)
			rc = take_answer(&c, id, o, e);
	}
	drive_call_free(&c);
	buf_free(&text);
	buf_free(&url);
	return rc;
}

int
drive_move_file(struct remote *r, const struct remote_object *now, const struct json *raw,
    const char *to, struct remote_object *o, struct err *e)
{
	struct json *v = drive_renamed(now, raw, to, e);
	char path[sizeof DRIVE_FILES + REMOTE_ID_MAX];
	int rc = -1;

	snprintf(path, sizeof path, DRIVE_FILES "/%s", now->id);
	if (v != NULL)
		rc = drive_send_metadata(r, to, "PATCH", path, v, now->id, o, e);
	json_free(v);
	return rc;
}
