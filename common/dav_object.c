#include "dav_object.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xml.h"

#define LISTING_MAX (UINT64_C(512) << 20)
#define YEAR_10000 INT64_C(253402300800) /* in seconds since 1970 */

/* ---- answers ---- */

static const char propfind[] =
    "<?xml version=\"1.0\" encoding=\"utf-8\"?><propfind xmlns=\"DAV:\"><prop><resourcetype/>"
    "<getcontentlength/><getetag/><getlastmodified/></prop></propfind>";

struct multistatus {
	int (*each)(void *ctx, const struct dav_entry *x, struct err *e);
	void *ctx;
	struct dav_entry x;    /* of the response */
	struct dav_entry prop; /* of its propstat, until that says 200 */
};

void
dav_take_etag(const char *text, char out[REMOTE_TAG_MAX])
{
	size_t n;

	while (isspace((unsigned char)*text))
		text++;
	if (strncmp(text, "W/", 2) == 0)
		text += 2;
	text += *text == '"';
	n = strcspn(text, "\"");
	if (n >= REMOTE_TAG_MAX)
		n = 0;
	memcpy(out, text, n);
	out[n] = '\0';
	for (const char *p = out; *p != '\0'; p++)
		if ((unsigned char)*p <= 0x20 || *p == 0x7f) {
			out[0] = '\0';
			return;
		}
}

/* "" when it is none, or of no time that RFC 3339 can tell. */
static void
take_date(const char *text, char out[CLOCK_TEXT_MAX])
{
	int64_t s;

	out[0] = '\0';
	if (http_date(text, &s) && s >= 0 && s < YEAR_10000)
		clock_rfc3339((struct timespec){.tv_sec = (time_t)s}, out);
}

static void
forget(struct dav_entry *x)
{
	buf_free(&x->href);
	*x = (struct dav_entry){.size = -1};
}

static int
note_entry(void *ctx, const char *path, const char *text, struct err *e)
{
	static const char response[] = "/multistatus/response";
	struct multistatus *m = ctx;
	const char *at = path + sizeof response - 1;
	int rc;

	if (strncmp(path, response, sizeof response - 1) != 0)
		return 0;
	if (*at == '\0' && text == NULL) {
		forget(&m->x);
	} else if (*at == '\0') {
		rc = m->each(m->ctx, &m->x, e);
		forget(&m->x);
		return rc;
	} else if (strcmp(at, "/propstat") == 0 && text == NULL) {
		m->prop = (struct dav_entry){.size = -1};
	} else if (strcmp(at, "/propstat/prop/resourcetype/collection") == 0) {
		m->prop.folder = true;
	} else if (text == NULL) {
		return 0;
	} else if (strcmp(at, "/href") == 0) {
		buf_clear(&m->x.href);
		return buf_adds(&m->x.href, text, e);
	} else if (strcmp(at, "/propstat/prop/getcontentlength") == 0) {
		if (!mem_parse_i64(text, 0, INT64_MAX, &m->prop.size))
			m->prop.size = -1;
	} else if (strcmp(at, "/propstat/prop/getetag") == 0) {
		dav_take_etag(text, m->prop.etag);
	} else if (strcmp(at, "/propstat/prop/getlastmodified") == 0) {
		take_date(text, m->prop.modified);
	} else if (strcmp(at, "/propstat/status") == 0) {
		m->prop.found = strstr(text, " 200") != NULL;
	} else if (strcmp(at, "/propstat") == 0 && m->prop.found) {
		m->prop.href = m->x.href;
		m->x = m->prop;
	}
	return 0;
}

int
dav_read_multistatus(const struct http_answer *a,
    int (*each)(void *ctx, const struct dav_entry *x, struct err *e), void *ctx, struct err *e)
{
	struct multistatus m = {.each = each, .ctx = ctx};
	int rc = xml_read(a->body.len == 0 ? "" : a->body.data, a->body.len, note_entry, &m, e);

	forget(&m.x);
	return rc;
}

int
dav_ask_properties(struct dav_ask *k, struct remote *r, const char *key, int depth, struct err *e)
{
	if (dav_ask_key(k, r, "PROPFIND", key, e) == -1 ||
	    dav_add_header(k, "Depth", depth == 0 ? "0" : "1", e) == -1 ||
	    dav_add_header(k, "Content-Type", "application/xml; charset=utf-8", e) == -1)
		return -1;
	k->q.body = propfind;
	k->q.body_len = sizeof propfind - 1;
	k->q.max_answer = depth == 0 ? 0 : LISTING_MAX;
	dav_accept(k, 404);
	return dav_send(k, e);
}

void
dav_describe(const struct dav_entry *x, const char *key, struct remote_object *o)
{
	memset(o, 0, sizeof *o);
	snprintf(o->key, sizeof o->key, "%s", key);
	o->size_bytes = x->size;
	snprintf(o->modified, sizeof o->modified, "%s", x->modified);
	if (x->etag[0] != '\0')
		snprintf(o->tag, sizeof o->tag, "%s", x->etag);
	else
		snprintf(o->tag, sizeof o->tag, "~%" PRIx64 "-%s", (uint64_t)x->size, x->modified);
}

/* ---- versions ---- */

bool
dav_is_etag(const char *tag)
{
	return tag[0] != '\0' && tag[0] != '~';
}

struct looked {
	const char *key;
	struct remote_object *o;
	bool found, folder;
};

static int
note_looked(void *ctx, const struct dav_entry *x, struct err *e)
{
	struct looked *l = ctx;

	(void)e;
	if (l->found || !x->found)
		return 0;
	l->found = true;
	l->folder = x->folder || x->size < 0;
	dav_describe(x, l->key, l->o);
	return 0;
}

int
dav_look(struct remote *r, const char *key, struct remote_object *o, struct err *e)
{
	struct looked l = {.key = key, .o = o};
	struct dav_ask k;
	int rc = dav_ask_properties(&k, r, key, 0, e);

	if (rc == 207) {
		rc = dav_read_multistatus(&k.a, note_looked, &l, e);
		if (rc == -1)
			err_prefix(e, "%s", key);
		else if (l.folder)
			rc = err_item(e, P_CONFLICT, "%s: a folder is there under this name", key);
		else
			rc = l.found;
	} else if (rc == 404) {
		rc = 0;
	}
	dav_ask_free(&k);
	return rc;
}

int
dav_changed(const char *key, struct err *e)
{
	return err_item(e, P_CONFLICT, "%s: was changed at the remote by somebody else", key);
}

int
dav_missing(const char *key, struct err *e)
{
	return err_item(e, P_MISSING, "%s: is not at the remote", key);
}

int
dav_look_for(
    struct remote *r, const char *key, const char *tag, struct remote_object *o, struct err *e)
{
	int rc = dav_look(r, key, o, e);

	if (rc == 0)
		return dav_missing(key, e);
	if (rc == 1 && tag[0] != '\0' && strcmp(tag, o->tag) != 0)
		return dav_changed(key, e);
	return rc == 1 ? 0 : -1;
}

int
dav_may_replace(
    struct remote *r, const char *key, const char *tag, bool or_nothing, bool *over, struct err *e)
{
	struct remote_object o;
	int rc = dav_look(r, key, &o, e);

	*over = rc == 1;
	if (rc == 1 && strcmp(o.tag, tag) != 0)
		return dav_changed(key, e);
	if (rc == 0 && !or_nothing)
		return err_item(
		    e, P_CONFLICT, "%s: was removed at the remote by somebody else", key);
	return rc == -1 ? -1 : 0;
}

bool
dav_is_conflict(const struct err *e)
{
	return e->class == ERR_ITEM && e->code != NULL && strcmp(e->code, P_CONFLICT) == 0;
}

int
dav_stat(struct remote *r, const char *key, struct remote_object *o, struct json **metadata,
    struct err *e)
{
	(void)metadata;
	return dav_look(r, key, o, e);
}

/* The folder, or when it is not there yet the nearest one above it, must be WebDAV. */
int
dav_check(struct remote *r, struct err *e)
{
	const struct dav *d = r->own;
	char *path = mem_fmt(e, "%s/", d->path);
	int status = 404;

	while (path != NULL && status == 404) {
		struct dav_ask k;

		status = -1;
		if (dav_ask_path(&k, r, "PROPFIND", mem_str(path, e), "the remote", e) == 0 &&
		    dav_add_header(&k, "Depth", "0", e) == 0 &&
		    dav_add_header(&k, "Content-Type", "application/xml; charset=utf-8", e) == 0) {
			k.q.body = propfind;
			k.q.body_len = sizeof propfind - 1;
			dav_accept(&k, 404);
			dav_accept(&k, 403);
			status = dav_send(&k, e);
		}
		dav_ask_free(&k);
		if (status == 404 && strcmp(path, "/") == 0)
			break;
		path[strlen(path) - 1] = '\0';
		if (status == 404)
			strrchr(path, '/')[1] = '\0';
	}
	free(path);
	if (status == 404)
		return err_set(
		    e, ERR_CONFIG, NULL, "there is no WebDAV under the address of the remote");
	if (status == 403)
		return err_set(e, ERR_CONFIG, NULL,
		    "the server forbids this folder (status 403); is the address right, and may "
		    "REC_WEBDAV_USER use it?");
	return status == -1 ? -1 : 0;
}
