/*
 * A WebDAV folder as a remote (RFC 4918).
 *
 * Nothing is assumed that a probe did not show. An object is put under a temporary name, its length
 * is looked at, and it is moved to its key with "Overwrite: F"; where a probe showed that a PUT is
 * atomic and conditions are honoured, it goes to its key at once. Versions are told apart by ETag,
 * or by size and time where there is none; weak ETags count as strong ones, since servers give a
 * weak one only in the second after a change. What has no condition of the protocol is compared
 * first and done then: somebody else may come in between.
 *
 * A listing is one PROPFIND a folder, whose answer is held in memory as it came: about 1 KiB an
 * object while it is read, 150 bytes afterwards.
 */
#include "remote_kind.h"

#include <ctype.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "xml.h"

#define LISTING_MAX (UINT64_C(512) << 20)
#define DEPTH_MAX 16
#define HEADERS_MAX 8
#define ACCEPT_MAX 5
#define PARTIAL_MIN (INT64_C(64) << 20) /* larger objects can be resumed where parts are */

static const char propfind[] =
    "<?xml version=\"1.0\" encoding=\"utf-8\"?><propfind xmlns=\"DAV:\"><prop><resourcetype/>"
    "<getcontentlength/><getetag/><getlastmodified/></prop></propfind>";

struct dav {
	char *server;  /* "https://host:port" */
	char *path;    /* encoded, without its last "/": "" or "/a/b" */
	char *decoded; /* the same, as hrefs are compared with it */
	char *sign_in; /* the header, or NULL */
	pthread_mutex_t lock;
	struct buf made; /* paths of folders that are there, each ended by a newline */
};

/* ---- requests ---- */

struct ask {
	struct remote *r;
	const char *what; /* for people: the key */
	char *path;	  /* encoded */
	char *header[HEADERS_MAX + 1];
	unsigned headers;
	struct http_request q;
	struct http_answer a;
	int accept[ACCEPT_MAX]; /* statuses that are no fault; 0 ends them */
	unsigned attempts;
};

static int
add_header(struct ask *k, const char *name, const char *value, struct err *e)
{
	char *line = mem_fmt(e, "%s: %s", name, value);

	if (line == NULL)
		return -1;
	k->header[k->headers++] = line;
	return 0;
}

static char *
path_of(const struct dav *d, const char *key, struct err *e)
{
	struct buf b = {0};

	if (buf_addf(&b, e, "%s/", d->path) == 0 && http_escape(&b, key, strlen(key), true, e) == 0)
		return b.data;
	buf_free(&b);
	return NULL;
}

/* Begins a request to an encoded path, which is handed over (NULL: *e is filled already). */
static int
ask_path(struct ask *k, struct remote *r, const char *method, char *path, const char *what,
    struct err *e)
{
	struct dav *d = r->own;

	*k = (struct ask){.r = r, .what = what[0] != '\0' ? what : "the folder", .path = path};
	k->q = (struct http_request){.method = method, .fd = -1};
	if (path == NULL)
		return -1;
	if (d->sign_in == NULL)
		return 0;
	if ((k->header[0] = mem_str(d->sign_in, e)) == NULL)
		return -1;
	k->headers = 1;
	return 0;
}

static int
ask_key(struct ask *k, struct remote *r, const char *method, const char *key, struct err *e)
{
	return ask_path(k, r, method, path_of(r->own, key, e), key, e);
}

static void
accept(struct ask *k, int status)
{
	unsigned i = 0;

	while (k->accept[i] != 0)
		i++;
	k->accept[i] = status;
}

static void
ask_free(struct ask *k)
{
	for (unsigned i = 0; i < k->headers; i++) {
		explicit_bzero(k->header[i], strlen(k->header[i]));
		free(k->header[i]);
	}
	free(k->path);
	http_answer_free(&k->a);
}

/* What a status means that is none of success. */
static void
fault_of(const struct ask *k, int status, struct fault *f)
{
	static const struct {
		int status;
		enum fault_class class;
		const char *text;
	} known[] = {
	    {400, FAULT_ITEM,
		"the server refuses the request (status 400); it may not allow the name"},
	    {401, FAULT_CONFIG,
		"the server does not let us in; set REC_WEBDAV_USER and REC_WEBDAV_PASSWORD"},
	    {403, FAULT_ITEM,
		"the server forbids it (status 403); allow this user to write there, or rename"},
	    {404, FAULT_ABSENT, "it is not there"},
	    {410, FAULT_ABSENT, "it is not there any more"},
	    {412, FAULT_CONFLICT, "something else is there, or it was changed"},
	    {413, FAULT_ITEM,
		"the server does not take so much at once (status 413); raise its limit"},
	    {423, FAULT_TRANSIENT, "somebody has locked it"},
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (known[i].status == status) {
			*f = (struct fault){
			    .class = known[i].class, .status = status, .retry_after_s = -1};
			snprintf(f->text, sizeof f->text, "%s", known[i].text);
			return;
		}
	remote_fault_of_status(&k->a, f);
	if ((status == 405 || status == 501) && strcmp(k->q.method, "PROPFIND") == 0) {
		f->class = FAULT_CONFIG;
		snprintf(f->text, sizeof f->text,
		    "there is no WebDAV under this address (status %d)", status);
	}
}

/* The worst status within a 207: of a MOVE, COPY or DELETE that failed in part. */
static int
note_status(void *ctx, const char *path, const char *text, struct err *e)
{
	int *worst = ctx, status;

	(void)e;
	if (text != NULL && strcmp(path, "/multistatus/response/status") == 0 &&
	    sscanf(text, "HTTP/%*d.%*d %d", &status) == 1 && status > *worst)
		*worst = status;
	return 0;
}

static int
status_of(const struct ask *k)
{
	struct err other;
	int worst = 0;

	if (k->a.status != 207 || strcmp(k->q.method, "PROPFIND") == 0)
		return k->a.status;
	if (k->a.body.len == 0 ||
	    xml_read(k->a.body.data, k->a.body.len, note_status, &worst, &other) == -1)
		return 500;
	return worst;
}

static int
send_once(struct ask *k, struct fault *f, struct err *e)
{
	const struct dav *d = k->r->own;
	char *url = mem_fmt(e, "%s%s", d->server, k->path);
	int rc, status;

	*f = (struct fault){.class = FAULT_NONE, .retry_after_s = -1};
	if (url == NULL)
		return -1;
	k->attempts++;
	k->q.url = url;
	k->q.headers = (const char *const *)k->header;
	http_answer_free(&k->a);
	k->a = (struct http_answer){0};
	rc = http_send(k->r->http, &k->q, &k->a, e);
	free(url);
	if (rc == -1 || remote_fault_of_failure(&k->a, f) == 1)
		return -1;
	status = status_of(k);
	if (strcmp(k->q.method, "PROPFIND") == 0 && status >= 200 && status < 300 && status != 207)
		status = 501;
	for (int i = 0; i < ACCEPT_MAX && k->accept[i] != 0; i++)
		if (k->accept[i] == status)
			return 0;
	if (status >= 200 && status < 300)
		return 0;
	fault_of(k, status, f);
	return -1;
}

static int
attempt(void *ctx, struct fault *f, struct err *e)
{
	return send_once(ctx, f, e);
}

/* The status, of success or one that is accepted; -1. */
static int
ask(struct ask *k, struct err *e)
{
	return retry_run(k->r->retry, k->what, attempt, k, e) == -1 ? -1 : status_of(k);
}

/* A request without more; accepted (0: none) is no fault. The status, or -1. */
static int
ask_simply(struct remote *r, const char *method, const char *key, int accepted, struct err *e)
{
	struct ask k;
	int status = -1;

	if (ask_key(&k, r, method, key, e) == 0) {
		accept(&k, accepted);
		status = ask(&k, e);
	}
	ask_free(&k);
	return status;
}

static bool
is_success(int status)
{
	return status >= 200 && status < 300;
}

/* ---- what the server says of objects ---- */

struct entry {
	struct buf href;
	int64_t size; /* -1: not told */
	char etag[REMOTE_TAG_MAX], modified[CLOCK_TEXT_MAX];
	bool folder, found;
};

struct multistatus {
	int (*each)(void *ctx, const struct entry *x, struct err *e);
	void *ctx;
	struct entry x;	   /* of the response */
	struct entry prop; /* of its propstat, until that says 200 */
};

/* Without its quotes and its W/; "" when it could not stand in a header again. */
static void
take_etag(const char *text, char out[REMOTE_TAG_MAX])
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

/* "Fri, 05 Sep 2025 10:00:00 GMT", whatever the locale is. */
static void
take_date(const char *text, char out[CLOCK_TEXT_MAX])
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm tm = {0};
	char month[4];
	const char *at;

	out[0] = '\0';
	if (sscanf(text, "%*3s, %d %3s %d %d:%d:%d", &tm.tm_mday, month, &tm.tm_year, &tm.tm_hour,
		&tm.tm_min, &tm.tm_sec) != 6 ||
	    strlen(month) != 3 || (at = strstr(months, month)) == NULL || tm.tm_year < 1970 ||
	    tm.tm_year > 9999)
		return;
	tm.tm_mon = (int)(at - months) / 3;
	tm.tm_year -= 1900;
	clock_rfc3339((struct timespec){.tv_sec = timegm(&tm)}, out);
}

static void
forget(struct entry *x)
{
	buf_free(&x->href);
	*x = (struct entry){.size = -1};
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
		m->prop = (struct entry){.size = -1};
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
		take_etag(text, m->prop.etag);
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

static int
read_multistatus(const struct http_answer *a,
    int (*each)(void *ctx, const struct entry *x, struct err *e), void *ctx, struct err *e)
{
	struct multistatus m = {.each = each, .ctx = ctx};
	int rc = xml_read(a->body.len == 0 ? "" : a->body.data, a->body.len, note_entry, &m, e);

	forget(&m.x);
	return rc;
}

/* PROPFIND of a key or folder; 404 is accepted. The status, or -1. */
static int
ask_properties(struct ask *k, struct remote *r, const char *key, int depth, struct err *e)
{
	if (ask_key(k, r, "PROPFIND", key, e) == -1 ||
	    add_header(k, "Depth", depth == 0 ? "0" : "1", e) == -1 ||
	    add_header(k, "Content-Type", "application/xml; charset=utf-8", e) == -1)
		return -1;
	k->q.body = propfind;
	k->q.body_len = sizeof propfind - 1;
	k->q.max_answer = depth == 0 ? 0 : LISTING_MAX;
	accept(k, 404);
	return ask(k, e);
}

static void
describe(const struct entry *x, const char *key, struct remote_object *o)
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

/* Whether the server itself can compare it. */
static bool
is_etag(const char *tag)
{
	return tag[0] != '\0' && tag[0] != '~';
}

struct looked {
	const char *key;
	struct remote_object *o;
	bool found, folder;
};

static int
note_looked(void *ctx, const struct entry *x, struct err *e)
{
	struct looked *l = ctx;

	(void)e;
	if (l->found || !x->found)
		return 0;
	l->found = true;
	l->folder = x->folder || x->size < 0;
	describe(x, l->key, l->o);
	return 0;
}

/* One object: 1, 0, -1. */
static int
look(struct remote *r, const char *key, struct remote_object *o, struct err *e)
{
	struct looked l = {.key = key, .o = o};
	struct ask k;
	int rc = ask_properties(&k, r, key, 0, e);

	if (rc == 207) {
		rc = read_multistatus(&k.a, note_looked, &l, e);
		if (rc == -1)
			err_prefix(e, "%s", key);
		else if (l.folder)
			rc = err_item(e, P_CONFLICT, "%s: a folder is there under this name", key);
		else
			rc = l.found;
	} else if (rc == 404) {
		rc = 0;
	}
	ask_free(&k);
	return rc;
}

static int
changed(const char *key, struct err *e)
{
	return err_item(e, P_CONFLICT, "%s: was changed at the remote by somebody else", key);
}

static int
missing(const char *key, struct err *e)
{
	return err_item(e, P_MISSING, "%s: is not at the remote", key);
}

/* The object that must be there, in this version ("": any). */
static int
look_for(struct remote *r, const char *key, const char *tag, struct remote_object *o, struct err *e)
{
	int rc = look(r, key, o, e);

	if (rc == 0)
		return missing(key, e);
	if (rc == 1 && tag[0] != '\0' && strcmp(tag, o->tag) != 0)
		return changed(key, e);
	return rc == 1 ? 0 : -1;
}

static bool
is_conflict(const struct err *e)
{
	return e->class == ERR_ITEM && e->code != NULL && strcmp(e->code, P_CONFLICT) == 0;
}

/* ---- folders ---- */

/* Makes the folder of an encoded path that ends in "/", and those above it. */
static int
make_folder(struct remote *r, const char *path, int depth, struct err *e)
{
	struct ask k;
	int status = -1;

	if (ask_path(&k, r, "MKCOL", mem_str(path, e), "the folder", e) == 0) {
		accept(&k, 301);
		accept(&k, 405);
		accept(&k, 409);
		accept(&k, 404);
		status = ask(&k, e);
	}
	ask_free(&k);
	if ((status == 409 || status == 404) && depth < DEPTH_MAX && strlen(path) > 1) {
		char *above = mem_bytes(path, strlen(path) - 1, e);
		int rc = -1;

		if (above != NULL) {
			strrchr(above, '/')[1] = '\0';
			rc = make_folder(r, above, depth + 1, e);
		}
		free(above);
		return rc == -1 ? -1 : make_folder(r, path, DEPTH_MAX, e);
	}
	if (status == 409 || status == 404)
		return err_set(e, ERR_CONFIG, NULL,
		    "the server does not let us make folders below this address (status %d)",
		    status);
	return status == -1 ? -1 : 0;
}

/* Makes the folder that a key lies in, once; again when it seems to be gone. */
static int
ensure_folder(struct remote *r, const char *key, bool again, struct err *e)
{
	struct dav *d = r->own;
	char *path = path_of(d, key, e), *line = NULL;
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

static int
make_temp_key(const struct remote *r, char key[REMOTE_KEY_MAX + 1], struct err *e)
{
	unsigned char random[12];
	char hex[2 * sizeof random + 1];

	if (hash_random(random, sizeof random, e) == -1)
		return -1;
	hash_hex(random, sizeof random, hex);
	snprintf(key, REMOTE_KEY_MAX + 1, REMOTE_TEMP "%s-%s", r->settings.owner, hex);
	return 0;
}

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

/* ---- opening ---- */

static int
make_sign_in(struct dav *d, const struct remote_settings *s, struct err *e)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct buf both = {0}, line = {0};
	const unsigned char *p;
	int rc = -1;

	if (strpbrk(s->user, ":\r\n") != NULL || strpbrk(s->password, "\r\n") != NULL)
		return err_set(e, ERR_CONFIG, NULL,
		    "REC_WEBDAV_USER holds a colon, or it or REC_WEBDAV_PASSWORD a line break");
	if (buf_addf(&both, e, "%s:%s", s->user, s->password) == -1 ||
	    buf_room(&both, 3, e) == -1 || buf_room(&line, both.len / 3 * 4 + 40, e) == -1 ||
	    buf_adds(&line, "Authorization: Basic ", e) == -1)
		goto out;
	p = (const unsigned char *)both.data;
	rc = 0;
	for (size_t i = 0; i < both.len && rc == 0; i += 3) {
		size_t left = both.len - i;
		unsigned v = (unsigned)p[i] << 16 | (left > 1 ? (unsigned)p[i + 1] << 8 : 0) |
			     (left > 2 ? p[i + 2] : 0);
		char four[4] = {digits[v >> 18], digits[v >> 12 & 63],
		    left > 1 ? digits[v >> 6 & 63] : '=', left > 2 ? digits[v & 63] : '='};

		rc = buf_add(&line, four, sizeof four, e);
	}
out:
	if (both.data != NULL)
		explicit_bzero(both.data, both.cap);
	buf_free(&both);
	if (rc == 0)
		d->sign_in = line.data;
	else
		buf_free(&line);
	return rc;
}

static int
dav_open(struct remote *r, struct err *e)
{
	const struct remote_settings *s = &r->settings;
	struct dav *d = mem_new(1, sizeof *d, e);
	bool tls = strncmp(s->url, "webdavs:", 8) == 0;
	struct http_url u;

	if (d == NULL)
		return -1;
	r->own = d;
	pthread_mutex_init(&d->lock, NULL);
	/* Without a probe nothing can be resumed: an upload in parts has one. */
	r->can =
	    (struct remote_capabilities){.copy = true, .single_max = INT64_MAX, .parts_max = 1};
	if ((d->server = mem_fmt(e, "http%s%s", tls ? "s" : "", strchr(s->url, ':'))) == NULL)
		return -1;
	if (http_url_parse(d->server, &u, e) == -1)
		return -1;
	if (!tls && !s->allow_plain && !http_is_loopback(&u))
		return err_set(e, ERR_CONFIG, NULL,
		    "webdav:// to %s would send the password and the recordings in the clear; use "
		    "webdavs://",
		    u.host);
	if ((d->path = mem_str(u.path, e)) == NULL || (d->decoded = mem_str(u.path, e)) == NULL)
		return -1;
	d->server[strlen(d->server) - strlen(u.path)] = '\0';
	if (!http_unescape(d->decoded))
		return err_set(e, ERR_CONFIG, NULL, "the path of the remote is broken");
	if (s->user == NULL || s->user[0] == '\0')
		return 0;
	if (s->password == NULL)
		return err_set(
		    e, ERR_CONFIG, NULL, "REC_WEBDAV_USER is set, but REC_WEBDAV_PASSWORD is not");
	return make_sign_in(d, s, e);
}

static void
dav_close(struct remote *r)
{
	struct dav *d = r->own;

	if (d->sign_in != NULL)
		explicit_bzero(d->sign_in, strlen(d->sign_in));
	free(d->sign_in);
	free(d->server);
	free(d->path);
	free(d->decoded);
	buf_free(&d->made);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

/* The folder, or when it is not there yet the nearest one above it, must be WebDAV. */
static int
dav_check(struct remote *r, struct err *e)
{
	const struct dav *d = r->own;
	char *path = mem_fmt(e, "%s/", d->path);
	int status = 404;

	while (path != NULL && status == 404) {
		struct ask k;

		status = -1;
		if (ask_path(&k, r, "PROPFIND", mem_str(path, e), "the remote", e) == 0 &&
		    add_header(&k, "Depth", "0", e) == 0 &&
		    add_header(&k, "Content-Type", "application/xml; charset=utf-8", e) == 0) {
			k.q.body = propfind;
			k.q.body_len = sizeof propfind - 1;
			accept(&k, 404);
			accept(&k, 403);
			status = ask(&k, e);
		}
		ask_free(&k);
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

/* ---- listing ---- */

struct listing {
	const struct dav *d;
	const char *folder; /* that was asked for, ends in "/" */
	const char *after, *until;
	struct remote_sorted *sorted;
	struct buf below; /* folders in it that are to be asked for: keys, each with its NUL */
	struct err *e;
};

/* The key that an href means, within it; NULL when it lies elsewhere. */
static char *
key_of(const struct dav *d, char *href)
{
	size_t n = strlen(d->decoded);
	char *p = href, *end;

	if (strncasecmp(p, "http://", 7) == 0 || strncasecmp(p, "https://", 8) == 0)
		p = strchr(strchr(p, ':') + 3, '/');
	if (p == NULL || !http_unescape(p))
		return NULL;
	for (end = p; end[0] == '/' && end[1] == '/'; end++)
		;
	p = end;
	return strncmp(p, d->decoded, n) == 0 && p[n] == '/' ? p + n + 1 : NULL;
}

static int
note_listed(void *ctx, const struct entry *x, struct err *e)
{
	struct listing *l = ctx;
	struct remote_object o;
	size_t n = strlen(l->folder), len;
	char *key = x->href.len == 0 ? NULL : key_of(l->d, x->href.data), *slash;

	/* Right in the folder and nowhere else, whatever the server says. */
	if (key == NULL || !x->found || strncmp(key, l->folder, n) != 0 || key[n] == '\0' ||
	    (len = strlen(key)) > REMOTE_KEY_MAX)
		return 0;
	slash = strchr(key + n, '/');
	if (x->folder) {
		if (slash != NULL && slash[1] != '\0')
			return 0;
		if (slash != NULL)
			*slash = '\0';
		if (strcmp(key + n, ".") == 0 || strcmp(key + n, "..") == 0)
			return 0;
		return buf_add(&l->below, key, strlen(key) + 1, e);
	}
	if (slash != NULL || x->size < 0 || strcmp(key, l->after) <= 0 ||
	    (l->until[0] != '\0' && strcmp(key, l->until) > 0))
		return 0;
	describe(x, key, &o);
	return remote_sorted_add(l->sorted, &o, e);
}

static int
list_folder(struct remote *r, struct listing *l, const char *folder, int depth, struct err *e)
{
	struct listing mine = *l;
	struct ask k;
	int rc = ask_properties(&k, r, folder, 1, e);

	mine.folder = folder;
	mine.below = (struct buf){0};
	if (rc == 207) {
		rc = read_multistatus(&k.a, note_listed, &mine, e);
		if (rc == -1)
			err_prefix(e, "the list of %s", folder);
	} else if (rc == 404) {
		rc = 0;
	}
	ask_free(&k);
	for (size_t at = 0; rc == 0 && depth < DEPTH_MAX && at < mine.below.len;) {
		char *below = mem_fmt(e, "%s/", mine.below.data + at);

		rc = below == NULL ? -1 : list_folder(r, l, below, depth + 1, e);
		free(below);
		at += strlen(mine.below.data + at) + 1;
	}
	buf_free(&mine.below);
	return rc;
}

static int
dav_list_open(struct remote *r, const char *prefix, const char *after, const char *until,
    void **own, struct err *e)
{
	struct listing l = {.d = r->own, .after = after, .until = until};

	if ((l.sorted = remote_sorted_new(e)) == NULL)
		return -1;
	if (list_folder(r, &l, prefix, 0, e) == -1) {
		remote_sorted_free(l.sorted);
		return -1;
	}
	remote_sorted_sort(l.sorted);
	*own = l.sorted;
	return 0;
}

static int
dav_list_next(struct remote *r, void *own, struct remote_object *o, struct err *e)
{
	(void)r;
	(void)e;
	return remote_sorted_next(own, o);
}

static void
dav_list_close(struct remote *r, void *own)
{
	(void)r;
	remote_sorted_free(own);
}

static int
dav_stat(struct remote *r, const char *key, struct remote_object *o, struct json **metadata,
    struct err *e)
{
	(void)metadata;
	return look(r, key, o, e);
}

/* ---- getting ---- */

struct getting {
	struct remote *r;
	const struct remote_object *o;
	const char *condition; /* an ETag for If-Match, or NULL */
	int (*sink)(void *ctx, const void *p, size_t len, struct err *e);
	void *ctx;
	uint64_t at;	/* what was handed on so far */
	uint64_t place; /* where the next byte that comes belongs */
	bool begun;
	bool refused; /* by the sink, or here: *e says why */
	struct ask *k;
	char etag[REMOTE_TAG_MAX]; /* of the last answer */
};

/* Where an answer begins: at what its Content-Range says, or at the start. */
static int
begin_answer(struct getting *g, struct err *e)
{
	char range[64];
	unsigned long long from;

	g->begun = true;
	g->place = 0;
	if (g->k->a.status != 206)
		return 0;
	if (!http_header(&g->k->a, "Content-Range", range, sizeof range) ||
	    sscanf(range, "bytes %llu-", &from) != 1 || from != g->at)
		return err_item(
		    e, P_REMOTE, "%s: the server sent other bytes than were asked for", g->o->key);
	g->place = from;
	return 0;
}

static int
take_piece(struct getting *g, const char *p, size_t len, struct err *e)
{
	uint64_t skip;

	if (!g->begun && begin_answer(g, e) == -1)
		return -1;
	if (len > (uint64_t)g->o->size_bytes - g->place)
		return changed(g->o->key, e);
	skip = g->at > g->place ? g->at - g->place : 0;
	if (skip > len)
		skip = len;
	g->place += len;
	if (skip == len)
		return 0;
	if (g->sink(g->ctx, p + skip, len - skip, e) == -1)
		return -1;
	g->at += len - skip;
	return 0;
}

static int
pass_on(void *ctx, const void *p, size_t len, struct err *e)
{
	struct getting *g = ctx;

	g->refused = take_piece(g, p, len, e) == -1;
	return g->refused ? -1 : 0;
}

static int
get_once(void *ctx, struct fault *f, struct err *e)
{
	struct getting *g = ctx;
	struct ask k;
	char text[REMOTE_TAG_MAX + 8];
	int rc = -1;

	*f = (struct fault){.class = FAULT_NONE, .retry_after_s = -1};
	if (ask_key(&k, g->r, "GET", g->o->key, e) == -1)
		goto out;
	snprintf(text, sizeof text, "bytes=%" PRIu64 "-", g->at);
	if (g->at != 0 && add_header(&k, "Range", text, e) == -1)
		goto out;
	snprintf(text, sizeof text, "\"%s\"", g->condition == NULL ? "" : g->condition);
	if (g->condition != NULL && add_header(&k, "If-Match", text, e) == -1)
		goto out;
	k.q.sink = pass_on;
	k.q.ctx = g;
	g->k = &k;
	g->begun = false;
	if ((rc = send_once(&k, f, e)) == -1)
		goto out;
	if (g->at != (uint64_t)g->o->size_bytes) {
		rc = -1;
		f->class = FAULT_CONFLICT;
		snprintf(f->text, sizeof f->text,
		    "%" PRIu64 " bytes came, not %" PRId64 "; it was changed", g->at,
		    g->o->size_bytes);
	} else if (http_header(&k.a, "ETag", text, sizeof text)) {
		take_etag(text, g->etag);
	}
out:
	ask_free(&k);
	return rc;
}

/*
 * With If-Match where that is honoured. Else the version is looked at before and after, as it is
 * after a 412 that means no more than that the ETag was weak at that moment.
 */
static int
dav_get(struct remote *r, const struct remote_object *o, uint64_t offset,
    int (*sink)(void *ctx, const void *p, size_t len, struct err *e), void *ctx, struct err *e)
{
	struct getting g = {.r = r, .o = o, .sink = sink, .ctx = ctx, .at = offset};
	struct remote_object now = *o;

	if (offset > (uint64_t)o->size_bytes)
		return err_item(
		    e, P_SIZE_MISMATCH, "%s: ends before byte %" PRIu64, o->key, offset);
	if (r->can.conditional && is_etag(o->tag) && offset < (uint64_t)o->size_bytes) {
		g.condition = o->tag;
		if (retry_run(r->retry, o->key, get_once, &g, e) == 0)
			return 0;
		if (!is_conflict(e) || g.refused)
			return -1;
		g.condition = NULL;
	}
	if (look_for(r, o->key, o->tag, &now, e) == -1)
		return -1;
	g.o = &now;
	if (now.size_bytes != o->size_bytes)
		return changed(o->key, e);
	if (offset == (uint64_t)now.size_bytes)
		return 0;
	if (retry_run(r->retry, o->key, get_once, &g, e) == -1)
		return -1;
	if (is_etag(now.tag) && g.etag[0] != '\0')
		return strcmp(now.tag, g.etag) == 0 ? 0 : changed(o->key, e);
	return look_for(r, o->key, o->tag, &now, e);
}

static int
feed(void *ctx, const void *p, size_t len, struct err *e)
{
	(void)e;
	hash_update(ctx, p, len);
	return 0;
}

/* Whether the bytes of s are under its key already: what an attempt left whose answer was lost, or
 * an earlier run. 1, 0, -1. */
static int
holds(struct remote *r, const struct remote_source *s, struct remote_object *o, struct err *e)
{
	char sum[HASH_SHA256_HEX];
	struct hash *h;
	int rc = look(r, s->key, o, e);

	if (rc != 1 || o->size_bytes != s->size_bytes)
		return rc == -1 ? -1 : 0;
	if ((h = hash_open(HASH_SHA256, e)) == NULL)
		return -1;
	if ((rc = dav_get(r, o, 0, feed, h, e)) == 0) {
		hash_sha256(h, sum);
		rc = strcmp(sum, s->sha256) == 0;
	}
	hash_close(h);
	return rc;
}

/* ---- putting ---- */

/* A PUT of the source to a key, with a condition ("Name", "value") or NULL. The status, or -1. */
static int
put_to(struct remote *r, const struct remote_source *s, const char *key, const char *condition,
    const char *value, char etag[REMOTE_TAG_MAX], struct err *e)
{
	char text[REMOTE_TAG_MAX + 8];
	struct ask k;
	int status = -1;

	etag[0] = '\0';
	for (int again = 0; again < 2; again++) {
		if (ensure_folder(r, key, again == 1, e) == -1)
			return -1;
		if (ask_key(&k, r, "PUT", key, e) == 0 &&
		    (condition == NULL || add_header(&k, condition, value, e) == 0) &&
		    (s->mime_type == NULL ||
			add_header(&k, "Content-Type", s->mime_type, e) == 0)) {
			k.what = s->key;
			k.q.body = s->bytes;
			k.q.body_len = s->fd == -1 ? (size_t)s->size_bytes : 0;
			k.q.has_file = s->fd != -1;
			k.q.fd = s->fd;
			k.q.bytes = (uint64_t)s->size_bytes;
			accept(&k, 412);
			if (again == 0) {
				accept(&k, 404);
				accept(&k, 409);
			}
			status = ask(&k, e);
			if (is_success(status) && http_header(&k.a, "ETag", text, sizeof text))
				take_etag(text, etag);
		}
		ask_free(&k);
		if (status != 404 && status != 409)
			break;
	}
	return status;
}

/* MOVE or COPY. The status (also 404 and 412), or -1. */
static int
transfer(struct remote *r, const char *method, const char *from, const char *to, bool over,
    unsigned *attempts, struct err *e)
{
	const struct dav *d = r->own;
	char *path, *destination;
	struct ask k;
	int status = -1;

	*attempts = 0;
	for (int again = 0; again < 2; again++) {
		if (ensure_folder(r, to, again == 1, e) == -1)
			return -1;
		path = path_of(d, to, e);
		destination = path == NULL ? NULL : mem_fmt(e, "%s%s", d->server, path);
		if (ask_key(&k, r, method, from, e) == 0 && destination != NULL &&
		    add_header(&k, "Destination", destination, e) == 0 &&
		    add_header(&k, "Overwrite", over ? "T" : "F", e) == 0) {
			/* A temporary name tells nobody anything. */
			k.what = strncmp(to, REMOTE_TEMP, strlen(REMOTE_TEMP)) == 0 ? from : to;
			accept(&k, 404);
			accept(&k, 412);
			if (again == 0)
				accept(&k, 409);
			status = ask(&k, e);
			*attempts += k.attempts;
		}
		ask_free(&k);
		free(destination);
		free(path);
		if (status != 409)
			break;
	}
	return status;
}

/* Whether what is under a key may be overwritten: *over; -1 (conflict) when not. */
static int
may_replace(
    struct remote *r, const char *key, const char *tag, bool or_nothing, bool *over, struct err *e)
{
	struct remote_object o;
	int rc = look(r, key, &o, e);

	*over = rc == 1;
	if (rc == 1 && strcmp(o.tag, tag) != 0)
		return changed(key, e);
	if (rc == 0 && !or_nothing)
		return err_item(
		    e, P_CONFLICT, "%s: was removed at the remote by somebody else", key);
	return rc == -1 ? -1 : 0;
}

/* After a conflict in *e: 0 when what is there is what was to be put. */
static int
was_put(struct remote *r, const struct remote_source *s, struct remote_object *o, struct err *e)
{
	struct err other;
	int rc = holds(r, s, o, &other);

	if (rc == -1)
		*e = other;
	return rc == 1 ? 0 : -1;
}

static void
remove_quietly(struct remote *r, const char *key)
{
	struct err other;

	ask_simply(r, "DELETE", key, 404, &other);
}

/* Gives a whole temporary object the name that its source asks for. */
static int
settle(struct remote *r, const char *temp, const struct remote_source *s, struct remote_object *o,
    struct err *e)
{
	bool over = false;
	unsigned attempts;
	int rc = 0, status;

	if (s->condition == REMOTE_REPLACE && s->tag != NULL && s->tag[0] != '\0')
		rc = may_replace(r, s->key, s->tag, true, &over, e);
	if (rc == 0) {
		if ((status = transfer(r, "MOVE", temp, s->key, over, &attempts, e)) == -1)
			return -1;
		if (is_success(status))
			return look_for(r, s->key, "", o, e);
		rc = err_item(
		    e, P_CONFLICT, "%s: something else is at the remote under this name", s->key);
	}
	if (!is_conflict(e) || was_put(r, s, o, e) == -1)
		return -1;
	remove_quietly(r, temp);
	return 0;
}

static int
put_by_temp(struct remote *r, const struct remote_source *s, struct remote_object *o, struct err *e)
{
	char temp[REMOTE_KEY_MAX + 1], etag[REMOTE_TAG_MAX];
	struct remote_object there;
	int rc = -1;

	if (make_temp_key(r, temp, e) == -1)
		return -1;
	if (put_to(r, s, temp, NULL, NULL, etag, e) != -1 &&
	    look_for(r, temp, "", &there, e) == 0) {
		if (there.size_bytes == s->size_bytes)
			rc = settle(r, temp, s, o, e);
		else
			err_item(e, P_REMOTE,
			    "%s: %" PRId64 " bytes were put, but the server has %" PRId64
			    "; run it again",
			    s->key, s->size_bytes, there.size_bytes);
	}
	if (rc == -1 && e->class != ERR_STOPPED)
		remove_quietly(r, temp);
	return rc;
}

static int
take_put(struct remote *r, const struct remote_source *s, const char *etag, struct remote_object *o,
    struct err *e)
{
	if (etag[0] == '\0')
		return look_for(r, s->key, "", o, e);
	memset(o, 0, sizeof *o);
	o->size_bytes = s->size_bytes;
	snprintf(o->tag, sizeof o->tag, "%s", etag);
	return 0;
}

static int
dav_put(struct remote *r, const struct remote_source *s, struct remote_object *o, struct err *e)
{
	char etag[REMOTE_TAG_MAX], value[REMOTE_TAG_MAX + 8];
	bool replace = s->condition == REMOTE_REPLACE && s->tag != NULL && s->tag[0] != '\0', over;
	int status;

	if (!r->can.conditional || !r->can.atomic_put || (replace && !is_etag(s->tag)))
		return put_by_temp(r, s, o, e);
	if (replace) {
		snprintf(value, sizeof value, "\"%s\"", s->tag);
		if ((status = put_to(r, s, s->key, "If-Match", value, etag, e)) == -1)
			return -1;
		if (is_success(status))
			return take_put(r, s, etag, o, e);
		if (may_replace(r, s->key, s->tag, true, &over, e) == -1)
			return is_conflict(e) ? was_put(r, s, o, e) : -1;
		/* It is that version, but its ETag was weak at that moment. */
		if (over)
			return put_by_temp(r, s, o, e);
	}
	if ((status = put_to(r, s, s->key, "If-None-Match", "*", etag, e)) == -1)
		return -1;
	if (is_success(status))
		return take_put(r, s, etag, o, e);
	err_item(e, P_CONFLICT, "%s: something else is at the remote under this name", s->key);
	return was_put(r, s, o, e);
}

/* ---- parts ---- */

static int
dav_begin(struct remote *r, const struct remote_source *s, const char *id,
    char session[REMOTE_SESSION_MAX], struct err *e)
{
	struct remote_source nothing = {.key = s->key, .fd = -1, .bytes = ""};
	char etag[REMOTE_TAG_MAX];

	snprintf(session, REMOTE_SESSION_MAX, REMOTE_TEMP "%s-%s", r->settings.owner, id);
	return put_to(r, &nothing, session, NULL, NULL, etag, e) == -1 ? -1 : 0;
}

/* Bytes of the source from `at` to `end` into the object, where they belong. */
static int
put_range(struct remote *r, const struct remote_source *s, const char *session, int64_t at,
    int64_t end, struct err *e)
{
	char range[80];
	struct ask k;
	int status = -1;

	snprintf(range, sizeof range, "bytes %" PRId64 "-%" PRId64 "/%" PRId64, at, end - 1,
	    s->size_bytes);
	if (ask_key(&k, r, "PUT", session, e) == 0 &&
	    add_header(&k, "Content-Range", range, e) == 0) {
		k.what = s->key;
		k.q.body = s->fd == -1 ? (const char *)s->bytes + at : NULL;
		k.q.body_len = s->fd == -1 ? (size_t)(end - at) : 0;
		k.q.has_file = s->fd != -1;
		k.q.fd = s->fd;
		k.q.offset = (uint64_t)at;
		k.q.bytes = (uint64_t)(end - at);
		status = ask(&k, e);
	}
	ask_free(&k);
	return status == -1 ? -1 : 0;
}

static int
gone(const char *key, struct err *e)
{
	return err_item(
	    e, P_MISSING, "%s: the upload is not at the remote any more; begin anew", key);
}

static int
dav_part(struct remote *r, const struct remote_source *s, const char *session,
    struct remote_part *p, struct err *e)
{
	int64_t end = p->offset + p->size_bytes;
	char etag[REMOTE_TAG_MAX];
	struct remote_object there;
	int rc;

	if (check_session(r, s->key, session, e) == -1 || (rc = look(r, session, &there, e)) == -1)
		return -1;
	if (rc == 0)
		return gone(s->key, e);
	if (there.size_bytes >= end)
		return 0;
	if (p->offset == 0 && end == s->size_bytes && !r->can.partial_put)
		return put_to(r, s, session, NULL, NULL, etag, e) == -1 ? -1 : 0;
	if (!r->can.partial_put || there.size_bytes < p->offset)
		return err_item(e, P_REMOTE,
		    "%s: part %u does not follow what has arrived (%" PRId64 " bytes)", s->key,
		    p->number, there.size_bytes);
	return put_range(r, s, session, there.size_bytes, end, e);
}

static int
dav_arrived(struct remote *r, const struct remote_source *s, const char *session,
    int (*each)(void *ctx, const struct remote_part *p, struct err *e), void *ctx,
    struct remote_object *o, struct err *e)
{
	struct remote_part all = {0};
	struct remote_object there;
	int rc;

	if (check_session(r, s->key, session, e) == -1 || (rc = look(r, session, &there, e)) == -1)
		return -1;
	if (rc == 0)
		return (rc = holds(r, s, o, e)) == 1 ? 2 : rc;
	/* What cannot be gone on with is as good as nothing. */
	if (r->can.partial_put || there.size_bytes == s->size_bytes)
		all.size_bytes = there.size_bytes;
	return each(ctx, &all, e) == -1 ? -1 : 1;
}

static int
dav_finish(struct remote *r, const struct remote_source *s, const char *session,
    const struct remote_part *parts, unsigned n, struct remote_object *o, struct err *e)
{
	struct remote_object there;
	int rc;

	(void)parts;
	(void)n;
	if (check_session(r, s->key, session, e) == -1 || (rc = look(r, session, &there, e)) == -1)
		return -1;
	if (rc == 0) {
		if ((rc = holds(r, s, o, e)) == 0)
			rc = gone(s->key, e);
		return rc == 1 ? 0 : -1;
	}
	if (there.size_bytes != s->size_bytes)
		return err_item(e, P_SIZE_MISMATCH,
		    "%s: %" PRId64 " of %" PRId64 " bytes have arrived", s->key, there.size_bytes,
		    s->size_bytes);
	return settle(r, session, s, o, e);
}

static int
dav_abort(struct remote *r, const char *key, const char *session, struct err *e)
{
	if (check_session(r, key, session, e) == -1)
		return -1;
	return ask_simply(r, "DELETE", session, 404, e) == -1 ? -1 : 0;
}

static int
dav_sweep(
    struct remote *r, const char *key, const char *id, const char *since, int64_t *n, struct err *e)
{
	char temp[REMOTE_KEY_MAX + 1];
	int status;

	(void)key;
	(void)since;
	snprintf(temp, sizeof temp, REMOTE_TEMP "%s-%s", r->settings.owner, id);
	status = ask_simply(r, "DELETE", temp, 404, e);
	*n = is_success(status);
	return status == -1 ? -1 : 0;
}

/* ---- moving, deleting ---- */

/* Moves, when `over` allows it. What is lost of an answer is found out by looking. */
static int
move_to(struct remote *r, const char *from, int64_t size, const char *to, const char *over,
    struct remote_object *o, struct err *e)
{
	bool replace = false;
	unsigned attempts;
	int status;

	if (over[0] != '\0' && may_replace(r, to, over, false, &replace, e) == -1)
		return -1;
	if ((status = transfer(r, "MOVE", from, to, replace, &attempts, e)) == -1)
		return -1;
	if (is_success(status))
		return look_for(r, to, "", o, e);
	/* An attempt before this one may have acted. */
	if (attempts > 1) {
		struct remote_object left;
		int rc = look(r, from, &left, e);

		if (rc == -1)
			return -1;
		if (rc == 0 && look(r, to, o, e) == 1 && o->size_bytes == size &&
		    strcmp(o->tag, over) != 0)
			return 0;
	}
	if (status == 404)
		return missing(from, e);
	return err_item(e, P_CONFLICT, "%s: something else is at the remote under this name", to);
}

static int
dav_move(struct remote *r, const struct remote_object *from, const char *to, const char *over,
    struct remote_object *o, struct err *e)
{
	struct remote_object now;

	if (look_for(r, from->key, from->tag, &now, e) == -1)
		return -1;
	return move_to(r, from->key, now.size_bytes, to, over, o, e);
}

/* A server's COPY writes under the new name while it copies, so that gets its name last. */
static int
dav_copy(struct remote *r, const struct remote_object *from, const char *to, const char *over,
    struct remote_object *o, struct err *e)
{
	char temp[REMOTE_KEY_MAX + 1];
	struct remote_object now, copied;
	unsigned attempts;
	int status, rc = -1;

	if (look_for(r, from->key, from->tag, &now, e) == -1 || make_temp_key(r, temp, e) == -1 ||
	    (status = transfer(r, "COPY", from->key, temp, true, &attempts, e)) == -1)
		return -1;
	if (status == 404)
		return missing(from->key, e);
	if (look_for(r, temp, "", &copied, e) == 0 &&
	    look_for(r, from->key, now.tag, &now, e) == 0) {
		if (copied.size_bytes == now.size_bytes)
			rc = move_to(r, temp, now.size_bytes, to, over, o, e);
		else
			err_item(e, P_REMOTE,
			    "%s: the server copied %" PRId64 " of %" PRId64 " bytes", from->key,
			    copied.size_bytes, now.size_bytes);
	}
	if (rc == -1)
		remove_quietly(r, temp);
	return rc;
}

static int
dav_remove(struct remote *r, const struct remote_object *o, struct err *e)
{
	char value[REMOTE_TAG_MAX + 8];
	struct remote_object now;
	struct ask k;
	int status = -1, rc;

	if (r->can.conditional && is_etag(o->tag)) {
		snprintf(value, sizeof value, "\"%s\"", o->tag);
		if (ask_key(&k, r, "DELETE", o->key, e) == 0 &&
		    add_header(&k, "If-Match", value, e) == 0) {
			accept(&k, 404);
			accept(&k, 412);
			status = ask(&k, e);
		}
		ask_free(&k);
		/* 412 is also said of what is gone, and of a weak ETag. */
		if (status != 412)
			return status == -1 ? -1 : 0;
	}
	if ((rc = look(r, o->key, &now, e)) != 1)
		return rc;
	if (o->tag[0] != '\0' && strcmp(now.tag, o->tag) != 0)
		return changed(o->key, e);
	return ask_simply(r, "DELETE", o->key, 404, e) == -1 ? -1 : 0;
}

/* ---- finding out ---- */

static struct remote_source
small_source(const char *key, const char *text)
{
	return (struct remote_source){
	    .key = key, .fd = -1, .bytes = text, .size_bytes = (int64_t)strlen(text)};
}

static void
nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 400000000}, NULL);
}

/* Whether a PUT with If-Match of the right ETag is done, and changes it. Right after a change it
 * may be weak, and then no If-Match can match. 1, 0, -1. */
static int
probe_if_match(struct remote *r, const char *key, const char *tag, struct err *e)
{
	struct remote_source s = small_source(key, "another, longer text");
	char value[REMOTE_TAG_MAX + 8], etag[REMOTE_TAG_MAX];
	struct remote_object o;
	int status = 412;

	snprintf(value, sizeof value, "\"%s\"", tag);
	for (int i = 0; i < 6 && status == 412; i++) {
		if (i > 0)
			nap();
		if ((status = put_to(r, &s, key, "If-Match", value, etag, e)) == -1)
			return -1;
	}
	if (!is_success(status))
		return 0;
	if (look_for(r, key, "", &o, e) == -1)
		return -1;
	return strcmp(o.tag, tag) != 0;
}

static int
probe_conditions(struct remote *r, const char *key, struct err *e)
{
	struct remote_source first = small_source(key, "a text"), other = small_source(key, "b");
	char etag[REMOTE_TAG_MAX];
	struct remote_object o;
	int status;

	if (put_to(r, &first, key, NULL, NULL, etag, e) == -1 || look_for(r, key, "", &o, e) == -1)
		return -1;
	if (!is_etag(o.tag))
		return 0;
	if ((status = put_to(r, &other, key, "If-None-Match", "*", etag, e)) != 412)
		return status == -1 ? -1 : 0;
	status = put_to(r, &other, key, "If-Match", "\"no-such-version\"", etag, e);
	if (status != 412)
		return status == -1 ? -1 : 0;
	return probe_if_match(r, key, o.tag, e);
}

static int
keep(void *ctx, const void *p, size_t len, struct err *e)
{
	return buf_add(ctx, p, len, e);
}

/* Whether an object holds exactly this: 1, 0, -1. */
static int
reads_as(struct remote *r, const char *key, const char *text, struct err *e)
{
	struct remote_object o;
	struct buf b = {0};
	int rc = look(r, key, &o, e);

	if (rc == 1 && o.size_bytes > 1 << 20)
		rc = 0;
	if (rc == 1)
		rc =
		    dav_get(r, &o, 0, keep, &b, e) == -1
			? -1
			: b.len == strlen(text) && (b.len == 0 || memcmp(b.data, text, b.len) == 0);
	buf_free(&b);
	return rc;
}

/* Servers that know no Content-Range refuse it, or take the part for the whole. */
static int
probe_partial(struct remote *r, const char *key, struct err *e)
{
	struct remote_source begin = small_source(key, "0123456789"),
			     whole = small_source(key, "0123456789abcdef");
	char etag[REMOTE_TAG_MAX];
	struct err other;

	if (put_to(r, &begin, key, NULL, NULL, etag, e) == -1)
		return -1;
	if (put_range(r, &whole, key, 10, 13, &other) == -1 ||
	    put_range(r, &whole, key, 13, 16, &other) == -1) {
		if (other.class == ERR_ITEM)
			return 0;
		*e = other;
		return -1;
	}
	return reads_as(r, key, whole.bytes, e);
}

/* A PUT of a file that is shorter than was announced, so that the connection breaks on the way. */
static int
cut_put(struct remote *r, const char *key, struct err *e)
{
	FILE *f = tmpfile();
	char piece[4096];
	struct ask k;
	struct fault fault;
	int rc = -1;

	if (f == NULL)
		return err_sys(e, "making a temporary file");
	memset(piece, 'x', sizeof piece);
	for (int i = 0; i < 64; i++)
		fwrite(piece, 1, sizeof piece, f);
	if (fflush(f) != 0) {
		err_sys(e, "writing a temporary file");
	} else if (ask_key(&k, r, "PUT", key, e) == 0) {
		struct err cut;

		k.q.has_file = true;
		k.q.fd = fileno(f);
		k.q.bytes = 4 << 20;
		/* It must fail, and how is of no interest. */
		send_once(&k, &fault, &cut);
		ask_free(&k);
		rc = 0;
	} else {
		ask_free(&k);
	}
	fclose(f);
	return rc;
}

/* Whether a PUT that was cut leaves what was there: an object, or none. */
static int
probe_atomic(struct remote *r, const char *key, const char *fresh, struct err *e)
{
	struct remote_source s = small_source(key, "what was there");
	struct remote_object o;
	char etag[REMOTE_TAG_MAX];
	int rc;

	if (put_to(r, &s, key, NULL, NULL, etag, e) == -1 || cut_put(r, key, e) == -1 ||
	    cut_put(r, fresh, e) == -1)
		return -1;
	/* The server may need a moment to see that the connection is gone. */
	nap();
	if ((rc = look(r, fresh, &o, e)) != 0)
		return rc == -1 ? -1 : 0;
	return reads_as(r, key, s.bytes, e);
}

/* MOVE, and whether it keeps from overwriting: without that nothing can be put here safely. */
static int
probe_move(struct remote *r, const char *key, const char *fresh, struct err *e)
{
	struct remote_source a = small_source(key, "a"), b = small_source(fresh, "b");
	char etag[REMOTE_TAG_MAX];
	unsigned attempts;
	int status;

	if (put_to(r, &a, key, NULL, NULL, etag, e) == -1 ||
	    put_to(r, &b, fresh, NULL, NULL, etag, e) == -1 ||
	    (status = transfer(r, "MOVE", key, fresh, false, &attempts, e)) == -1)
		return -1;
	if (status != 412)
		return err_set(e, ERR_CONFIG, NULL,
		    "this WebDAV server overwrites where it is told not to (MOVE with Overwrite: "
		    "F); "
		    "recordings would not be safe there");
	if ((status = transfer(r, "MOVE", key, fresh, true, &attempts, e)) == -1)
		return -1;
	return reads_as(r, fresh, "a", e);
}

static int
probe_copy(struct remote *r, const char *key, const char *fresh, struct err *e)
{
	struct remote_source a = small_source(key, "a copy");
	char etag[REMOTE_TAG_MAX];
	struct err other;
	unsigned attempts;

	if (put_to(r, &a, key, NULL, NULL, etag, e) == -1)
		return -1;
	if (transfer(r, "COPY", key, fresh, true, &attempts, &other) == -1) {
		if (other.class == ERR_ITEM)
			return 0;
		*e = other;
		return -1;
	}
	return reads_as(r, fresh, "a copy", e);
}

static int
probe_skew(struct remote *r, struct json *found, struct err *e)
{
	struct ask k;
	int rc = ask_properties(&k, r, "", 0, e) == -1 ? -1 : 0;

	if (rc == 0)
		rc = json_put_int(found, "skew_ms", k.a.has_skew ? k.a.skew_s * 1000 : 0, e);
	ask_free(&k);
	return rc;
}

static int
dav_probe(struct remote *r, struct json *found, struct err *e)
{
	char key[2][REMOTE_KEY_MAX + 1];
	int conditional, partial = 0, atomic = 0, copy = 0, rc = -1;

	if (make_temp_key(r, key[0], e) == -1 || make_temp_key(r, key[1], e) == -1)
		return -1;
	if ((conditional = probe_conditions(r, key[0], e)) == -1 ||
	    (partial = probe_partial(r, key[0], e)) == -1 ||
	    (atomic = probe_atomic(r, key[0], key[1], e)) == -1 ||
	    probe_move(r, key[0], key[1], e) == -1 ||
	    (copy = probe_copy(r, key[0], key[1], e)) == -1)
		goto out;
	if (json_put_bool(found, "conditional", conditional, e) == 0 &&
	    json_put_bool(found, "partial_put", partial, e) == 0 &&
	    json_put_bool(found, "atomic_put", atomic, e) == 0 &&
	    json_put_bool(found, "copy", copy, e) == 0 &&
	    json_put_int(found, "single_max", partial ? PARTIAL_MIN : INT64_MAX, e) == 0 &&
	    json_put_int(found, "parts_max", partial ? 0 : 1, e) == 0)
		rc = probe_skew(r, found, e);
out:
	remove_quietly(r, key[0]);
	remove_quietly(r, key[1]);
	return rc;
}

const struct remote_kind remote_dav_kind = {
    .scheme = "webdav",
    .open = dav_open,
    .close = dav_close,
    .check = dav_check,
    .list_open = dav_list_open,
    .list_next = dav_list_next,
    .list_close = dav_list_close,
    .stat = dav_stat,
    .put = dav_put,
    .begin = dav_begin,
    .part = dav_part,
    .arrived = dav_arrived,
    .finish = dav_finish,
    .abort = dav_abort,
    .sweep = dav_sweep,
    .get = dav_get,
    .copy = dav_copy,
    .move = dav_move,
    .remove = dav_remove,
    .probe = dav_probe,
};
