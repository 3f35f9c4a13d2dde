/*
 * remote_drive: a folder of Google Drive, by its API version 3
 * (https://developers.google.com/drive/api/reference/rest/v3).
 *
 * Drive has no names that are unique and no conditions. So each file carries its key in a property
 * of its own ("rec_key"; of several files with one key the oldest stands), every file is made with
 * an id that was asked for before (a create that is tried again answers 409 and makes no second
 * file), and whoever makes one looks for others of the key before and after. The other properties
 * are those of the existing application, which finds by them what it has uploaded.
 *
 * What is uploaded in parts is whole at Drive with its last byte. It has a key below REMOTE_TEMP
 * until it is finished: then its hash is compared, and it gets its own key.
 *
 * The address of an upload's session is a secret: it stands in no text, and no token goes to an
 * address that is not below the one of the API.
 */
#include "remote_kind.h"

#include <ctype.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "io.h"

#define ADDRESS "https://www.googleapis.com"
#define TOKEN_ADDRESS "https://oauth2.googleapis.com/token"
#define DEFAULT_FOLDER "Voice Recorder Pro"
#define FOLDER_TYPE "application/vnd.google-apps.folder"
#define SOURCE "Voice Recorder Pro"

#define LISTED                                                                                     \
	"id,name,size,md5Checksum,sha256Checksum,headRevisionId,modifiedTime,trashed,parents,"     \
	"appProperties"
#define FIELDS LISTED ",description"

#define CHUNK INT64_C(262144)
#define SINGLE_MAX (INT64_C(5) << 20)
#define OBJECT_MAX (INT64_C(5) << 40)
#define ANSWER_MAX (INT64_C(16) << 20)
#define TOKEN_MAX 4096
#define TOKEN_MARGIN_S 60
#define IDS 100

/* Limits of properties: bytes of a name and its value together, and how many there may be. */
#define PROPERTY_MAX 124
#define PROPERTIES_MAX 30
#define KEY_PIECES 10
#define TEXT_PIECES 4
#define KEY_PROPERTY "rec_key"
#define OWN_PROPERTY "rec_m_"
#define NAME_MAX_BYTES 64

/* An upload of this process: what its session has confirmed. */
struct upload {
	struct upload *next;
	char id[REMOTE_ID_MAX];
	int64_t at;
};

struct drive {
	char *base, *token_url;
	const char *folder_name;
	pthread_mutex_t token_lock;
	char token[TOKEN_MAX]; /* "": none */
	int64_t token_ends_ns;
	uint64_t generation; /* of the token */
	pthread_mutex_t folder_lock;
	char folder[REMOTE_ID_MAX];	/* "": not known */
	char new_folder[REMOTE_ID_MAX]; /* the id that a folder of ours gets */
	pthread_mutex_t ids_lock;
	char ids[IDS][REMOTE_ID_MAX];
	unsigned n_ids;
	pthread_mutex_t uploads_lock;
	struct upload *uploads;
};

/* One request, and what came of it. */
struct call {
	struct remote *r;
	const char *what; /* the item, for texts */
	const char *method, *url;
	const char *headers[3]; /* NULL ends them */
	const void *body;
	size_t body_len;
	bool has_file;
	int fd;
	uint64_t offset, bytes;
	int (*sink)(void *ctx, const void *p, size_t len, struct err *e);
	void *ctx;
	bool wants_json;
	int passes[5]; /* statuses from 300 on that are no fault here; 0 ends them */
	struct http_answer a;
	struct json *json;
};

static void
call_free(struct call *c)
{
	http_answer_free(&c->a);
	c->a = (struct http_answer){0};
	json_free(c->json);
	c->json = NULL;
}

/* ---- faults ---- */

static int fault_set(struct fault *f, enum fault_class class, int status, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static int
fault_set(struct fault *f, enum fault_class class, int status, const char *fmt, ...)
{
	va_list ap;

	*f = (struct fault){.class = class, .status = status, .retry_after_s = -1};
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof f->text, fmt, ap);
	va_end(ap);
	return -1;
}

/* The reason that an error of the API gives: a word, or "" (nothing else of it is repeated). */
static void
reason_of(const struct http_answer *a, char *out, size_t size)
{
	struct err ignored = {0};
	struct json *v = a->body.len == 0 ? NULL : json_parse(a->body.data, a->body.len, &ignored);
	const char *s =
	    json_get_str(json_at(json_get(json_get(v, "error"), "errors"), 0), "reason");
	size_t n = 0;

	while (s != NULL && n + 1 < size && isalnum((unsigned char)s[n]))
		n++;
	if (s != NULL)
		memcpy(out, s, n);
	out[n] = '\0';
	json_free(v);
}

static int
fault_of_reason(const struct http_answer *a, struct fault *f)
{
	static const struct {
		const char *reason;
		enum fault_class class;
		const char *text;
	} known[] = {
	    {"rateLimitExceeded", FAULT_THROTTLE, "Google Drive asks for fewer requests"},
	    {"userRateLimitExceeded", FAULT_THROTTLE, "Google Drive asks for fewer requests"},
	    {"sharingRateLimitExceeded", FAULT_THROTTLE, "Google Drive asks for fewer requests"},
	    {"dailyLimitExceeded", FAULT_QUOTA,
		"the requests of a day are used up; go on tomorrow"},
	    {"uploadLimitExceeded", FAULT_QUOTA,
		"the uploads of a day are used up; go on tomorrow"},
	    {"storageQuotaExceeded", FAULT_QUOTA,
		"Google Drive has no room left; free some there, or buy more"},
	    {"teamDriveFileLimitExceeded", FAULT_QUOTA, "the shared drive takes no more files"},
	    {"numChildrenInNonRootLimitExceeded", FAULT_QUOTA, "the folder takes no more files"},
	    {"accessNotConfigured", FAULT_CONFIG,
		"the Drive API is not enabled for this client id; enable it in Google's console"},
	    {"insufficientPermissions", FAULT_CONFIG,
		"the sign-in does not include Google Drive; sign in again"},
	    {"domainPolicy", FAULT_CONFIG, "the domain's administrators have disabled Drive apps"},
	};
	char reason[64];

	reason_of(a, reason, sizeof reason);
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcmp(reason, known[i].reason) == 0) {
			fault_set(f, known[i].class, a->status, "%s (%s)", known[i].text, reason);
			f->retry_after_s = http_retry_after(a);
			return -1;
		}
	return fault_set(f, FAULT_ITEM, a->status, "Google Drive refuses it (%s)",
	    reason[0] != '\0' ? reason : "no reason given");
}

static int
fault_of_answer(const struct http_answer *a, struct fault *f)
{
	char reason[64];

	switch (a->status) {
	case 400:
		reason_of(a, reason, sizeof reason);
		return fault_set(f, FAULT_ITEM, a->status,
		    "Google Drive takes the request for wrong (%s)",
		    reason[0] != '\0' ? reason : "no reason given");
	case 401:
		return fault_set(f, FAULT_SIGN_IN, a->status,
		    "Google Drive does not accept the sign-in; sign in again");
	case 403:
		return fault_of_reason(a, f);
	case 404:
	case 410:
		return fault_set(
		    f, FAULT_ABSENT, a->status, "is not (or no longer) at Google Drive");
	case 409:
	case 412:
		return fault_set(
		    f, FAULT_CONFLICT, a->status, "something else is there at Google Drive");
	default:
		remote_fault_of_status(a, f);
		return -1;
	}
}

/* ---- signing in ---- */

static int
add_field(struct buf *b, const char *name, const char *value, struct err *e)
{
	if (b->len != 0 && buf_adds(b, "&", e) == -1)
		return -1;
	if (buf_addf(b, e, "%s=", name) == -1)
		return -1;
	return http_escape(b, value, strlen(value), false, e);
}

static void
wipe(struct buf *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->cap);
	buf_free(b);
}

/* What the token endpoint says when it says no (RFC 6749, 5.2). */
static int
fault_of_sign_in(const struct http_answer *a, const char *error, struct fault *f)
{
	if (error != NULL && strcmp(error, "invalid_grant") == 0)
		return fault_set(f, FAULT_CONFIG, a->status,
		    "the sign-in to Google Drive has expired or was revoked; sign in again and set "
		    "the new refresh token");
	if (error != NULL &&
	    (strcmp(error, "invalid_client") == 0 || strcmp(error, "unauthorized_client") == 0))
		return fault_set(f, FAULT_CONFIG, a->status,
		    "Google does not know the client id and secret; check GOOGLE_CLIENT_ID and "
		    "GOOGLE_CLIENT_SECRET");
	if (a->status >= 400 && a->status < 500 && a->status != 408 && a->status != 429)
		return fault_set(f, FAULT_CONFIG, a->status,
		    "Google refuses the sign-in (status %d); check the client id, its secret and "
		    "the refresh token",
		    a->status);
	remote_fault_of_status(a, f);
	return -1;
}

static bool
is_token(const char *s)
{
	size_t n = s == NULL ? 0 : strlen(s);

	if (n == 0 || n >= TOKEN_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] <= 0x20 || (unsigned char)s[i] >= 0x7f)
			return false;
	return true;
}

static int
take_token(struct drive *d, const struct http_answer *a, struct fault *f)
{
	struct err ignored = {0};
	struct json *v = a->body.len == 0 ? NULL : json_parse(a->body.data, a->body.len, &ignored);
	const char *token = json_get_str(v, "access_token");
	int64_t seconds = 3600;
	int rc = 0;

	if (a->status != 200)
		rc = fault_of_sign_in(a, json_get_str(v, "error"), f);
	else if (!is_token(token))
		rc = fault_set(
		    f, FAULT_TRANSIENT, a->status, "Google's sign-in answered without a token");
	if (rc == 0) {
		json_get_int(v, "expires_in", &seconds);
		if (seconds < 0 || seconds > 86400)
			seconds = 3600;
		/* Shortly before it ends, but half of a life that is short. */
		seconds -= seconds > 2 * TOKEN_MARGIN_S ? TOKEN_MARGIN_S : seconds / 2;
		snprintf(d->token, sizeof d->token, "%s", token);
		d->token_ends_ns = clock_monotonic_ns() + seconds * 1000000000;
		d->generation++;
	}
	json_free(v);
	return rc;
}

static int
refresh(struct remote *r, struct fault *f, struct err *e)
{
	static const char *const headers[] = {
	    "Content-Type: application/x-www-form-urlencoded", NULL};
	struct drive *d = r->own;
	struct buf form = {0};
	struct http_answer a = {0};
	int rc = -1;

	if (add_field(&form, "grant_type", "refresh_token", e) == -1 ||
	    add_field(&form, "client_id", r->settings.client_id, e) == -1 ||
	    add_field(&form, "client_secret", r->settings.client_secret, e) == -1 ||
	    add_field(&form, "refresh_token", r->settings.refresh_token, e) == -1)
		goto out;
	rc = http_send(r->http,
	    &(struct http_request){.method = "POST",
		.url = d->token_url,
		.headers = headers,
		.body = form.data,
		.body_len = form.len},
	    &a, e);
	if (rc == 0)
		rc = remote_fault_of_failure(&a, f) == 1 ? -1 : take_token(d, &a, f);
out:
	wipe(&form);
	if (a.body.data != NULL)
		explicit_bzero(a.body.data, a.body.len);
	http_answer_free(&a);
	return rc;
}

/* A header line with a token that holds for a while. */
static int
authorization(
    struct remote *r, struct buf *line, uint64_t *generation, struct fault *f, struct err *e)
{
	struct drive *d = r->own;
	int rc = 0;

	pthread_mutex_lock(&d->token_lock);
	if (d->token[0] == '\0' || clock_monotonic_ns() >= d->token_ends_ns)
		rc = refresh(r, f, e);
	if (rc == 0)
		rc = buf_addf(line, e, "Authorization: Bearer %s", d->token);
	*generation = d->generation;
	pthread_mutex_unlock(&d->token_lock);
	return rc;
}

/* Unless another thread has a newer one by now. */
static void
forget_token(struct drive *d, uint64_t generation)
{
	pthread_mutex_lock(&d->token_lock);
	if (d->generation == generation)
		d->token[0] = '\0';
	pthread_mutex_unlock(&d->token_lock);
}

/* ---- requests ---- */

static bool
passes(const struct call *c)
{
	if (c->a.status >= 200 && c->a.status < 300)
		return true;
	for (size_t i = 0; i < sizeof c->passes / sizeof c->passes[0] && c->passes[i] != 0; i++)
		if (c->passes[i] == c->a.status)
			return true;
	return false;
}

static int
read_json(struct call *c, struct fault *f, struct err *e)
{
	if (!c->wants_json || c->a.status >= 300)
		return 0;
	c->json = json_parse(c->a.body.data == NULL ? "" : c->a.body.data, c->a.body.len, e);
	if (json_kind(c->json) == JSON_KIND_OBJECT)
		return 0;
	if (c->json == NULL && e->class != ERR_ITEM)
		return -1;
	return fault_set(f, FAULT_TRANSIENT, c->a.status,
	    "Google Drive's answer is no JSON object; does something else answer there?");
}

static int
transfer(struct call *c, const char *authorization_line, struct err *e)
{
	const char *headers[5] = {authorization_line};
	size_t n = 1;

	for (size_t i = 0; i < 3 && c->headers[i] != NULL; i++)
		headers[n++] = c->headers[i];
	call_free(c);
	return http_send(c->r->http,
	    &(struct http_request){.method = c->method,
		.url = c->url,
		.headers = headers,
		.body = c->body,
		.body_len = c->body_len,
		.has_file = c->has_file,
		.fd = c->fd,
		.offset = c->offset,
		.bytes = c->bytes,
		.max_answer = c->sink == NULL ? ANSWER_MAX : 0,
		.sink = c->sink,
		.ctx = c->ctx},
	    &c->a, e);
}

/* One attempt, for retry_run. */
static int
send_once(void *ctx, struct fault *f, struct err *e)
{
	struct call *c = ctx;
	struct buf line = {0};
	uint64_t generation;
	int rc;

	f->class = FAULT_NONE;
	if ((rc = authorization(c->r, &line, &generation, f, e)) == 0)
		rc = transfer(c, line.data, e);
	wipe(&line);
	if (rc == -1)
		return -1;
	if (remote_fault_of_failure(&c->a, f) == 1)
		return -1;
	if (c->a.status == 401)
		forget_token(c->r->own, generation);
	return passes(c) ? read_json(c, f, e) : fault_of_answer(&c->a, f);
}

static int
call_run(struct call *c, struct err *e)
{
	return retry_run(c->r->retry, c->what, send_once, c, e);
}

static int
add_path(struct remote *r, struct buf *url, const char *path, struct err *e)
{
	const struct drive *d = r->own;

	return buf_addf(url, e, "%s%s", d->base, path);
}

static int
add_argument(struct buf *url, const char *name, const char *value, struct err *e)
{
	if (buf_addf(url, e, "%c%s=", strchr(url->data, '?') == NULL ? '?' : '&', name) == -1)
		return -1;
	return http_escape(url, value, strlen(value), false, e);
}

/* The address of a file: id is one that is_id held. */
static int
add_file(struct remote *r, struct buf *url, const char *above, const char *id, const char *fields,
    struct err *e)
{
	if (add_path(r, url, above, e) == -1 || buf_addf(url, e, "/%s", id) == -1)
		return -1;
	return fields == NULL ? 0 : add_argument(url, "fields", fields, e);
}

#define FILES "/drive/v3/files"
#define UPLOADS "/upload/drive/v3/files"

static int
json_body(struct call *c, const struct json *v, struct buf *text, struct err *e)
{
	if (json_write(v, text, e) == -1)
		return -1;
	c->headers[0] = "Content-Type: application/json; charset=UTF-8";
	c->body = text->data;
	c->body_len = text->len;
	return 0;
}

/* ---- properties ---- */

/* At most n bytes of s, cut at a character's edge. */
static size_t
cut(const char *s, size_t n)
{
	size_t len = strlen(s);

	if (len <= n)
		return len;
	while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
		n--;
	return n;
}

static int
put_piece(struct json *props, const char *name, const char *s, size_t n, struct err *e)
{
	char *text = mem_bytes(s, n, e);
	int rc = text == NULL ? -1 : json_put_str(props, name, text, e);

	free(text);
	return rc;
}

/*
 * A text as NAME, or when that is too long as NAME_1, NAME_2 … (mark: '_'): 1, or 0 when it is
 * longer than that many pieces or than there is room for (and nothing is put).
 */
static int
put_text(
    struct json *props, const char *name, char mark, const char *text, unsigned max, struct err *e)
{
	char piece[NAME_MAX_BYTES + 8];
	size_t room = PROPERTY_MAX - strlen(name) - strlen("_99"), len = strlen(text);
	unsigned n = 0;

	if (strlen(name) + len <= PROPERTY_MAX) {
		if (json_count(props) >= PROPERTIES_MAX)
			return 0;
		return json_put_str(props, name, text, e) == -1 ? -1 : 1;
	}
	for (size_t at = 0; at < len; n++)
		at += cut(text + at, room);
	if (n > max || json_count(props) + n > PROPERTIES_MAX)
		return 0;
	n = 0;
	for (size_t at = 0, size; at < len; at += size) {
		size = cut(text + at, room);
		snprintf(piece, sizeof piece, "%s%c%u", name, mark, ++n);
		if (put_piece(props, piece, text + at, size, e) == -1)
			return -1;
	}
	return 1;
}

/* What put_text put; false when there is none, or it is longer than size. */
static bool
get_text(const struct json *props, const char *name, char mark, char *out, size_t size)
{
	char piece[NAME_MAX_BYTES + 8];
	const char *s = json_get_str(props, name);
	size_t n = 0, len;

	if (s != NULL)
		return (size_t)snprintf(out, size, "%s", s) < size;
	for (unsigned i = 1; i <= KEY_PIECES; i++) {
		snprintf(piece, sizeof piece, "%s%c%u", name, mark, i);
		if ((s = json_get_str(props, piece)) == NULL)
			break;
		if ((len = strlen(s)) >= size - n)
			return false;
		memcpy(out + n, s, len + 1);
		n += len;
	}
	return n > 0;
}

static bool
begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

/* Properties that were there, and that the new ones do not have, go. */
static int
drop_stale(struct json *props, const struct json *old, const char *prefix, struct err *e)
{
	const char *key;
	struct json *v;

	for (void *it = json_first(old, &key, &v); it != NULL; it = json_next(old, it, &key, &v))
		if (begins(key, prefix) && json_get(props, key) == NULL &&
		    json_put_null(props, key, e) == -1)
			return -1;
	return 0;
}

static bool
is_toolkit(const char *key)
{
	return begins(key, ".rectools/");
}

static const char *
last_component(const char *key)
{
	const char *slash = strrchr(key, '/');

	return slash == NULL ? key : slash + 1;
}

static int
put_key(struct json *props, const char *key, struct err *e)
{
	int rc = put_text(props, KEY_PROPERTY, '_', key, KEY_PIECES, e);

	if (rc == 0)
		return err_item(
		    e, P_REMOTE, "%s: the name is too long for Google Drive; rename it", key);
	return rc == -1 ? -1 : 0;
}

/* What the application looks for; the toolkit's own files are not its recordings. */
static int
put_content(struct json *props, const char *key, const char *sha256, struct err *e)
{
	if (is_toolkit(key))
		return 0;
	if (json_put_str(props, "source", SOURCE, e) == -1)
		return -1;
	return sha256[0] == '\0' ? 0 : json_put_str(props, "content_sha256", sha256, e);
}

static int
put_tags(struct json *props, const char *tags, struct err *e)
{
	size_t room = PROPERTY_MAX - strlen("tags"), n = cut(tags, room);

	/* Whole ones. */
	if (tags[n] != '\0')
		for (size_t i = n; i > 0; i--)
			if (tags[i] == ',') {
				n = i;
				break;
			}
	return put_piece(props, "tags", tags, n, e);
}

/* What went along is kept so that it can be told again, as far as there is room. */
static int
put_metadata(struct json *props, const struct json *metadata, struct err *e)
{
	char name[NAME_MAX_BYTES];
	const char *key, *text;
	struct json *v;

	for (void *it = json_first(metadata, &key, &v); it != NULL;
	     it = json_next(metadata, it, &key, &v)) {
		if ((text = json_to_str(v, NULL)) == NULL || strchr(key, '#') != NULL ||
		    (size_t)snprintf(name, sizeof name, "%s%s", OWN_PROPERTY, key) >= sizeof name)
			continue;
		if (put_text(props, name, '#', text, TEXT_PIECES, e) == -1)
			return -1;
	}
	return 0;
}

static struct json *
properties_of(const struct remote_source *s, struct err *e)
{
	struct json *props = json_new_object(e);
	const char *tags = json_get_str(s->metadata, "tags");
	char date[CLOCK_TEXT_MAX], size[24];

	clock_rfc3339((struct timespec){.tv_sec = clock_now().tv_sec}, date);
	snprintf(size, sizeof size, "%" PRId64, s->size_bytes);
	if (props != NULL && put_key(props, s->key, e) == 0 &&
	    put_content(props, s->key, s->sha256, e) == 0 &&
	    json_put_str(props, "upload_date", date, e) == 0 &&
	    json_put_str(props, "file_size", size, e) == 0 &&
	    put_tags(props, tags == NULL ? "" : tags, e) == 0 &&
	    put_metadata(props, s->metadata, e) == 0)
		return props;
	json_free(props);
	return NULL;
}

/* ---- what Drive says of a file ---- */

static bool
is_id(const char *s)
{
	size_t n = s == NULL ? 0 : strlen(s);

	if (n == 0 || n >= REMOTE_ID_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '-' && s[i] != '_')
			return false;
	return true;
}

static void
copy_hex(char *out, size_t size, const char *s)
{
	bool is = s != NULL && strlen(s) == size - 1 && strspn(s, "0123456789abcdef") == size - 1;

	snprintf(out, size, "%s", is ? s : "");
}

/* False for what has no content (folders, documents of Google's) or lies in Drive's own trash. */
static bool
object_of(const struct json *file, struct remote_object *o)
{
	const char *id = json_get_str(file, "id"), *size = json_get_str(file, "size");
	const char *revision = json_get_str(file, "headRevisionId");
	const char *modified = json_get_str(file, "modifiedTime");

	memset(o, 0, sizeof *o);
	if (!is_id(id) || size == NULL || !mem_parse_i64(size, 0, INT64_MAX, &o->size_bytes) ||
	    json_to_bool(json_get(file, "trashed")))
		return false;
	snprintf(o->id, sizeof o->id, "%s", id);
	copy_hex(o->md5, sizeof o->md5, json_get_str(file, "md5Checksum"));
	copy_hex(o->sha256, sizeof o->sha256, json_get_str(file, "sha256Checksum"));
	if (revision == NULL || strlen(revision) >= sizeof o->tag)
		revision = o->md5;
	snprintf(o->tag, sizeof o->tag, "%s", revision);
	if (modified != NULL && clock_is_rfc3339(modified) && strlen(modified) < sizeof o->modified)
		snprintf(o->modified, sizeof o->modified, "%s", modified);
	if (!get_text(json_get(file, "appProperties"), KEY_PROPERTY, '_', o->key, sizeof o->key))
		o->key[0] = '\0';
	return true;
}

/* 1, 0, -1. *raw (or NULL): the file as Drive tells it, to free. */
static int
fetch(struct remote *r, const char *what, const char *id, struct remote_object *o,
    struct json **raw, struct err *e)
{
	struct buf url = {0};
	struct call c = {
	    .r = r, .what = what, .method = "GET", .wants_json = true, .passes = {404, 410}};
	int rc = -1;

	if (!is_id(id)) {
		err_item(e, P_BAD_RECORD, "%s: the id at Google Drive is none", what);
		goto out;
	}
	if (add_file(r, &url, FILES, id, FIELDS, e) == -1)
		goto out;
	c.url = url.data;
	if (call_run(&c, e) == -1)
		goto out;
	rc = c.a.status < 300 && object_of(c.json, o);
	if (rc == 1 && raw != NULL) {
		*raw = c.json;
		c.json = NULL;
	}
out:
	call_free(&c);
	buf_free(&url);
	return rc;
}

/* ---- queries ---- */

/* A string of the query language. */
static int
add_string(struct buf *q, const char *s, struct err *e)
{
	if (buf_adds(q, "'", e) == -1)
		return -1;
	for (; *s != '\0'; s++)
		if (((*s == '\'' || *s == '\\') && buf_adds(q, "\\", e) == -1) ||
		    buf_add(q, s, 1, e) == -1)
			return -1;
	return buf_adds(q, "'", e);
}

static int
add_has(struct buf *q, const char *name, const char *value, struct err *e)
{
	if (buf_adds(q, " and appProperties has { key=", e) == -1 || add_string(q, name, e) == -1 ||
	    buf_adds(q, " and value=", e) == -1 || add_string(q, value, e) == -1)
		return -1;
	return buf_adds(q, " }", e);
}

/* All files of the folder; more terms may follow. */
static int
add_in_folder(struct buf *q, const char *folder, struct err *e)
{
	if (add_string(q, folder, e) == -1)
		return -1;
	return buf_adds(q, " in parents and trashed = false", e);
}

/*
 * One page of the answer to a query into c->json, the oldest files first. It is the answer when it
 * is complete only.
 */
static int
query(struct call *c, const char *q, const char *size, const char *fields, const char *page,
    struct err *e)
{
	struct buf url = {0}, all = {0};
	int rc = -1;

	c->method = "GET";
	c->wants_json = true;
	if (buf_addf(&all, e, "nextPageToken,incompleteSearch,files(%s)", fields) == -1 ||
	    add_path(c->r, &url, FILES, e) == -1 || add_argument(&url, "q", q, e) == -1 ||
	    add_argument(&url, "pageSize", size, e) == -1 ||
	    add_argument(&url, "orderBy", "createdTime", e) == -1 ||
	    add_argument(&url, "spaces", "drive", e) == -1 ||
	    add_argument(&url, "fields", all.data, e) == -1 ||
	    (page != NULL && add_argument(&url, "pageToken", page, e) == -1))
		goto out;
	c->url = url.data;
	if (call_run(c, e) == -1)
		goto out;
	if (json_to_bool(json_get(c->json, "incompleteSearch")) ||
	    json_kind(json_get(c->json, "files")) != JSON_KIND_ARRAY)
		err_item(e, P_REMOTE,
		    "%s: Google Drive gave a list that is not complete; try again later", c->what);
	else
		rc = 0;
out:
	c->url = NULL;
	buf_free(&url);
	buf_free(&all);
	return rc;
}

/*
 * Calls take for each file of all pages until it says other than 0, which is the result (1, -1); 0
 * at the end.
 */
static int
query_all(struct remote *r, const char *what, const char *q, const char *size, const char *fields,
    int (*take)(void *ctx, struct json *file, struct err *e), void *ctx, struct err *e)
{
	char *page = NULL, *next = NULL;
	struct call c = {.r = r, .what = what};
	const char *token;
	int rc;

	do {
		if ((rc = query(&c, q, size, fields, page, e)) == -1)
			break;
		for (size_t i = 0; rc == 0 && i < json_count(json_get(c.json, "files")); i++)
			rc = take(ctx, json_at(json_get(c.json, "files"), i), e);
		if (rc != 0 || (token = json_get_str(c.json, "nextPageToken")) == NULL)
			break;
		if (page != NULL && strcmp(page, token) == 0) {
			rc = err_item(
			    e, P_REMOTE, "%s: Google Drive's list has no end; try again", what);
			break;
		}
		if ((next = mem_str(token, e)) == NULL) {
			rc = -1;
			break;
		}
		free(page);
		page = next;
	} while (rc == 0);
	free(page);
	call_free(&c);
	return rc;
}

/* ---- ids and the folder ---- */

static int
fill_ids(struct remote *r, const char *what, struct err *e)
{
	struct drive *d = r->own;
	struct buf url = {0};
	struct call c = {.r = r, .what = what, .method = "GET", .wants_json = true};
	const struct json *ids;
	int rc = -1;

	if (add_path(r, &url, FILES "/generateIds", e) == -1 ||
	    buf_addf(&url, e, "?count=%d&space=drive&fields=ids", IDS) == -1)
		goto out;
	c.url = url.data;
	if (call_run(&c, e) == -1)
		goto out;
	ids = json_get(c.json, "ids");
	for (size_t i = 0; i < json_count(ids) && d->n_ids < IDS; i++)
		if (is_id(json_to_str(json_at(ids, i), NULL)))
			snprintf(d->ids[d->n_ids++], REMOTE_ID_MAX, "%s",
			    json_to_str(json_at(ids, i), NULL));
	rc = d->n_ids > 0 ? 0 : err_item(e, P_REMOTE, "%s: Google Drive gave no ids", what);
out:
	call_free(&c);
	buf_free(&url);
	return rc;
}

static int
new_id(struct remote *r, const char *what, char id[REMOTE_ID_MAX], struct err *e)
{
	struct drive *d = r->own;
	int rc = 0;

	pthread_mutex_lock(&d->ids_lock);
	if (d->n_ids == 0)
		rc = fill_ids(r, what, e);
	if (rc == 0)
		memcpy(id, d->ids[--d->n_ids], REMOTE_ID_MAX);
	pthread_mutex_unlock(&d->ids_lock);
	return rc;
}

struct folders {
	char first[REMOTE_ID_MAX];
	unsigned n;
};

static int
count_folder(void *ctx, struct json *file, struct err *e)
{
	struct folders *found = ctx;
	const char *id = json_get_str(file, "id");

	(void)e;
	if (is_id(id) && found->n++ == 0)
		snprintf(found->first, sizeof found->first, "%s", id);
	return 0;
}

static int
look_for_folder(struct remote *r, struct folders *found, struct err *e)
{
	const struct drive *d = r->own;
	struct buf q = {0};
	int rc = -1;

	*found = (struct folders){0};
	if (buf_adds(&q, "name = ", e) == 0 && add_string(&q, d->folder_name, e) == 0 &&
	    buf_adds(&q,
		" and mimeType = '" FOLDER_TYPE "' and 'root' in parents and trashed = false",
		e) == 0)
		rc = query_all(r, d->folder_name, q.data, "10", "id", count_folder, found, e);
	buf_free(&q);
	return rc;
}

static struct json *
folder_metadata(const struct drive *d, struct err *e)
{
	struct json *v = json_new_object(e), *parents = json_new_array(e);

	if (v != NULL && parents != NULL && json_append_str(parents, "root", e) == 0 &&
	    json_put_str(v, "id", d->new_folder, e) == 0 &&
	    json_put_str(v, "name", d->folder_name, e) == 0 &&
	    json_put_str(v, "mimeType", FOLDER_TYPE, e) == 0)
		return json_put(v, "parents", parents, e) == 0 ? v : (json_free(v), NULL);
	json_free(parents);
	json_free(v);
	return NULL;
}

static int
make_folder(struct remote *r, struct err *e)
{
	struct drive *d = r->own;
	struct buf url = {0}, text = {0};
	struct call c = {
	    .r = r, .what = d->folder_name, .method = "POST", .wants_json = true, .passes = {409}};
	struct json *v = NULL;
	int rc = -1;

	if (d->new_folder[0] == '\0' && new_id(r, d->folder_name, d->new_folder, e) == -1)
		return -1;
	if ((v = folder_metadata(d, e)) != NULL && json_body(&c, v, &text, e) == 0 &&
	    add_path(r, &url, FILES "?fields=id", e) == 0) {
		c.url = url.data;
		rc = call_run(&c, e);
	}
	call_free(&c);
	json_free(v);
	buf_free(&text);
	buf_free(&url);
	return rc;
}

static int
delete_file(struct remote *r, const char *what, const char *id, struct err *e)
{
	struct buf url = {0};
	struct call c = {.r = r, .what = what, .method = "DELETE", .passes = {404, 410}};
	int rc = -1;

	if (add_file(r, &url, FILES, id, NULL, e) == 0) {
		c.url = url.data;
		rc = call_run(&c, e);
	}
	call_free(&c);
	buf_free(&url);
	return rc;
}

/* Another run may have made one at the same time: the oldest stands, and ours is empty. */
static int
settle_folder(struct remote *r, struct err *e)
{
	struct drive *d = r->own;
	struct folders found;

	if (make_folder(r, e) == -1 || look_for_folder(r, &found, e) == -1)
		return -1;
	if (found.n > 0 && strcmp(found.first, d->new_folder) != 0) {
		if (delete_file(r, d->folder_name, d->new_folder, e) == -1)
			return -1;
		memcpy(d->folder, found.first, sizeof d->folder);
		return 0;
	}
	memcpy(d->folder, d->new_folder, sizeof d->folder);
	return 0;
}

static int
find_folder(struct remote *r, bool create, struct err *e)
{
	struct drive *d = r->own;
	struct folders found;

	if (look_for_folder(r, &found, e) == -1)
		return -1;
	if (found.n > 1)
		return err_set(e, ERR_CONFIG, NULL,
		    "there are %u folders named %s in My Drive; rename or delete all but one",
		    found.n, d->folder_name);
	if (found.n == 1)
		memcpy(d->folder, found.first, sizeof d->folder);
	else if (create && settle_folder(r, e) == -1)
		return -1;
	return 0;
}

/* 1, 0 when there is none (never with create), -1. */
static int
folder(struct remote *r, bool create, char id[REMOTE_ID_MAX], struct err *e)
{
	struct drive *d = r->own;
	int rc = 0;

	pthread_mutex_lock(&d->folder_lock);
	if (d->folder[0] == '\0')
		rc = find_folder(r, create, e);
	memcpy(id, d->folder, REMOTE_ID_MAX);
	pthread_mutex_unlock(&d->folder_lock);
	return rc == -1 ? -1 : id[0] != '\0';
}

/* ---- looking for a key ---- */

struct search {
	const char *key;    /* that it must have; NULL: none at all */
	const char *sha256; /* that it must not contradict; NULL */
	struct remote_object *o;
	struct json *raw;
};

static int
take_fitting(void *ctx, struct json *file, struct err *e)
{
	struct search *s = ctx;

	if (!object_of(file, s->o))
		return 0;
	if (s->key != NULL ? strcmp(s->o->key, s->key) != 0 : s->o->key[0] != '\0')
		return 0;
	if (s->sha256 != NULL && s->o->sha256[0] != '\0' && strcmp(s->o->sha256, s->sha256) != 0)
		return 0;
	return (s->raw = json_clone(file, e)) == NULL ? -1 : 1;
}

static int
run_search(struct remote *r, const char *what, const struct json *has, struct search *s,
    struct json **raw, struct err *e)
{
	char id[REMOTE_ID_MAX];
	const char *key;
	struct json *v;
	struct buf q = {0};
	int rc = folder(r, false, id, e);

	if (rc != 1)
		return rc;
	rc = add_in_folder(&q, id, e);
	for (void *it = json_first(has, &key, &v); rc == 0 && it != NULL;
	     it = json_next(has, it, &key, &v))
		rc = add_has(&q, key, json_to_str(v, NULL), e);
	if (rc == 0)
		rc = query_all(r, what, q.data, "100", FIELDS, take_fitting, s, e);
	if (rc == 1 && raw != NULL)
		*raw = s->raw;
	else
		json_free(s->raw);
	if (rc != 1)
		memset(s->o, 0, sizeof *s->o);
	buf_free(&q);
	return rc;
}

/* The oldest file with the key: 1, 0, -1. */
static int
find_key(
    struct remote *r, const char *key, struct remote_object *o, struct json **raw, struct err *e)
{
	struct json *has = json_new_object(e);
	struct search s = {.key = key, .o = o};
	int rc = -1;

	if (has != NULL && put_key(has, key, e) == 0)
		rc = run_search(r, key, has, &s, raw, e);
	json_free(has);
	return rc;
}

static int
drive_find(struct remote *r, const char *sha256, struct remote_object *o, struct err *e)
{
	struct json *has = json_new_object(e);
	struct search s = {.sha256 = sha256, .o = o};
	int rc = -1;

	if (has != NULL && json_put_str(has, "content_sha256", sha256, e) == 0)
		rc = run_search(r, "an uploaded recording", has, &s, NULL, e);
	json_free(has);
	return rc;
}

/* The file that an object names, by its id, or else its key: 1, 0, -1. */
static int
look_up(struct remote *r, const struct remote_object *o, struct remote_object *now,
    struct json **raw, struct err *e)
{
	return o->id[0] != '\0' ? fetch(r, o->key, o->id, now, raw, e)
				: find_key(r, o->key, now, raw, e);
}

static int
changed_meanwhile(const char *key, struct err *e)
{
	return err_item(e, P_CONFLICT,
	    "%s: was changed at Google Drive meanwhile; run again to see what it is now", key);
}

static int
in_the_way(const char *key, struct err *e)
{
	return err_item(e, P_CONFLICT,
	    "%s: something else is there at Google Drive; look at both and rename one", key);
}

/* What stands there instead of what was: nothing, or something else. */
static int
is_not_there(struct remote *r, const char *key, struct err *e)
{
	struct remote_object other;
	int rc = key[0] == '\0' ? 0 : find_key(r, key, &other, NULL, e);

	if (rc == 0)
		return err_item(e, P_MISSING, "%s: is no longer at Google Drive", key);
	return rc == 1 ? changed_meanwhile(key, e) : -1;
}

/* As look_up, but it must be there and still that version, under that key. */
static int
look_up_same(struct remote *r, const struct remote_object *o, struct remote_object *now,
    struct json **raw, struct err *e)
{
	int rc = look_up(r, o, now, raw, e);

	if (rc == -1)
		return -1;
	if (rc == 1 && strcmp(o->key, now->key) == 0 &&
	    (o->tag[0] == '\0' || strcmp(o->tag, now->tag) == 0))
		return 0;
	if (raw != NULL) {
		json_free(*raw);
		*raw = NULL;
	}
	return is_not_there(r, o->key, e);
}

static int
put_found(struct json *metadata, const struct json *props, const char *name, struct err *e)
{
	char text[PROPERTY_MAX * TEXT_PIECES + 1], own[NAME_MAX_BYTES + 8];

	snprintf(own, sizeof own, "%s%s", OWN_PROPERTY, name);
	if (!get_text(props, own, '#', text, sizeof text))
		return 0;
	return json_put_str(metadata, name, text, e);
}

/* The name of what a property holds: "rec_m_title#1" is the first piece of "title". False for the
 * other pieces, and for what is nothing that went along. */
static bool
name_of_property(const char *property, char out[NAME_MAX_BYTES])
{
	const char *name = property + strlen(OWN_PROPERTY);
	size_t n;

	if (!begins(property, OWN_PROPERTY))
		return false;
	n = strcspn(name, "#");
	if (n == 0 || n >= NAME_MAX_BYTES || (name[n] == '#' && strcmp(name + n, "#1") != 0))
		return false;
	memcpy(out, name, n);
	out[n] = '\0';
	return true;
}

static struct json *
metadata_of(const struct json *file, struct err *e)
{
	const struct json *props = json_get(file, "appProperties");
	struct json *metadata = json_new_object(e), *v;
	const char *key, *text = json_get_str(file, "description");
	char name[NAME_MAX_BYTES];
	int rc = metadata == NULL ? -1 : 0;

	for (void *it = json_first(props, &key, &v); rc == 0 && it != NULL;
	     it = json_next(props, it, &key, &v))
		if (name_of_property(key, name))
			rc = put_found(metadata, props, name, e);
	/* What was too long, or is the application's. */
	if (rc == 0 && text != NULL && json_get(metadata, "description") == NULL &&
	    json_get(metadata, "title") == NULL)
		rc = json_put_str(metadata, "description", text, e);
	text = json_get_str(props, "tags");
	if (rc == 0 && text != NULL && text[0] != '\0' && json_get(metadata, "tags") == NULL)
		rc = json_put_str(metadata, "tags", text, e);
	if (rc == 0)
		return metadata;
	json_free(metadata);
	return NULL;
}

static int
drive_stat(struct remote *r, const char *key, struct remote_object *o, struct json **metadata,
    struct err *e)
{
	struct json *raw = NULL;
	int rc = find_key(r, key, o, &raw, e);

	if (rc == 1 && metadata != NULL && (*metadata = metadata_of(raw, e)) == NULL)
		rc = -1;
	json_free(raw);
	return rc;
}

/* ---- listing ---- */

struct listing {
	const char *prefix, *after, *until;
	struct remote_sorted *sorted;
};

static int
take_listed(void *ctx, struct json *file, struct err *e)
{
	struct listing *l = ctx;
	struct remote_object o;

	if (!object_of(file, &o) || !begins(o.key, l->prefix) || strcmp(o.key, l->after) <= 0 ||
	    (l->until[0] != '\0' && strcmp(o.key, l->until) > 0))
		return 0;
	return remote_sorted_add(l->sorted, &o, e);
}

/* The oldest of one key comes first, and stays first when sorted; remote.c leaves out the others.
 */
static int
drive_list_open(struct remote *r, const char *prefix, const char *after, const char *until,
    void **own, struct err *e)
{
	struct listing l = {.prefix = prefix, .after = after, .until = until};
	char id[REMOTE_ID_MAX];
	struct buf q = {0};
	int rc = -1;

	if ((l.sorted = remote_sorted_new(e)) != NULL && (rc = folder(r, false, id, e)) == 1 &&
	    (rc = add_in_folder(&q, id, e)) == 0)
		rc = query_all(r, prefix, q.data, "1000", LISTED, take_listed, &l, e);
	buf_free(&q);
	if (rc == -1) {
		remote_sorted_free(l.sorted);
		return -1;
	}
	remote_sorted_sort(l.sorted);
	*own = l.sorted;
	return 0;
}

static int
drive_list_next(struct remote *r, void *own, struct remote_object *o, struct err *e)
{
	(void)r;
	(void)e;
	return remote_sorted_next(own, o);
}

static void
drive_list_close(struct remote *r, void *own)
{
	(void)r;
	remote_sorted_free(own);
}

/* ---- putting ---- */

static bool
same_bytes(const struct remote_source *s, const struct remote_object *o)
{
	if (o->size_bytes != s->size_bytes)
		return false;
	if (o->sha256[0] != '\0')
		return strcmp(o->sha256, s->sha256) == 0;
	return o->md5[0] != '\0' && strcmp(o->md5, s->md5) == 0;
}

static int
put_names(struct json *v, const struct remote_source *s, struct err *e)
{
	const char *name = json_get_str(s->metadata, "filename");
	const char *description = json_get_str(s->metadata, "description");

	if (name == NULL || name[0] == '\0')
		name = last_component(s->key);
	if (description == NULL || description[0] == '\0')
		description = json_get_str(s->metadata, "title");
	if (json_put_str(v, "name", name, e) == -1)
		return -1;
	if (description != NULL && json_put_str(v, "description", description, e) == -1)
		return -1;
	return s->mime_type == NULL ? 0 : json_put_str(v, "mimeType", s->mime_type, e);
}

/* What a new file gets: an id, and its place. */
static int
put_place(struct remote *r, struct json *v, const char *id, struct err *e)
{
	char at[REMOTE_ID_MAX];
	struct json *parents;

	if (folder(r, true, at, e) != 1 || json_put_str(v, "id", id, e) == -1 ||
	    (parents = json_new_array(e)) == NULL)
		return -1;
	if (json_append_str(parents, at, e) == -1) {
		json_free(parents);
		return -1;
	}
	return json_put(v, "parents", parents, e);
}

/* What an upload says of its file: old is the one that it replaces, or NULL, and then id is new. */
static struct json *
upload_metadata(struct remote *r, const struct remote_source *s, const char *id,
    const struct json *old, struct err *e)
{
	struct json *v = json_new_object(e), *props = properties_of(s, e);

	if (v == NULL || props == NULL ||
	    (old != NULL && drop_stale(props, json_get(old, "appProperties"), "rec_", e) == -1)) {
		json_free(props);
		json_free(v);
		return NULL;
	}
	if (json_put(v, "appProperties", props, e) == 0 && put_names(v, s, e) == 0 &&
	    (old != NULL || put_place(r, v, id, e) == 0))
		return v;
	json_free(v);
	return NULL;
}

/* What stands under the key may be replaced or not: 1 (*old is it), 0 (nothing is there), -1; 2
 * when it is what is to be put. */
static int
look_before(struct remote *r, const struct remote_source *s, struct remote_object *o,
    struct json **old, struct err *e)
{
	int rc = find_key(r, s->key, o, old, e);

	if (rc != 1)
		return rc;
	if (s->condition == REMOTE_REPLACE && s->tag != NULL && strcmp(s->tag, o->tag) == 0)
		return 1;
	json_free(*old);
	*old = NULL;
	return same_bytes(s, o) ? 2 : in_the_way(s->key, e);
}

/*
 * Somebody may have made a file of the key at the same time: then the older one stands, and ours,
 * that is new, goes. What a list shows may be gone already, so it is asked for by its id.
 */
static int
look_after(struct remote *r, const char *key, struct remote_object *o, struct remote_object *other,
    bool is_new, struct err *e)
{
	int rc = find_key(r, key, other, NULL, e);

	if (rc != 1 || strcmp(other->id, o->id) == 0)
		return rc == -1 ? -1 : 0;
	if ((rc = fetch(r, key, other->id, other, NULL, e)) != 1)
		return rc;
	if (strcmp(other->key, key) != 0)
		return 0;
	if (is_new && delete_file(r, key, o->id, e) == -1)
		return -1;
	return 1;
}

static int
settle_put(struct remote *r, const struct remote_source *s, struct remote_object *o, struct err *e)
{
	struct remote_object other;
	int rc = look_after(r, s->key, o, &other, s->condition == REMOTE_NEW, e);

	if (rc != 1)
		return rc;
	if (!same_bytes(s, &other))
		return in_the_way(s->key, e);
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

/* Of a create: its folder was there when the run began. */
static int
folder_is_gone(const struct call *c, struct err *e)
{
	const struct drive *d = c->r->own;

	return err_set(e, ERR_CONFIG, NULL,
	    "%s: the folder %s is no longer at Google Drive; look there what happened to it, then "
	    "run again",
	    c->what, d->folder_name);
}

/* Of a create that acted though its answer was lost: 409. */
static int
take_answer(struct call *c, const char *id, struct remote_object *o, struct err *e)
{
	int rc = c->a.status == 409 ? fetch(c->r, c->what, id, o, NULL, e) : object_of(c->json, o);

	if (rc == 0)
		err_item(e, P_REMOTE,
		    "%s: Google Drive does not tell what it made of it; run again", c->what);
	return rc == 1 ? 0 : -1;
}

static int
upload_address(
    struct remote *r, struct buf *url, const char *kind, const char *id, bool is_new, struct err *e)
{
	if (is_new ? add_path(r, url, UPLOADS, e) == -1
		   : add_file(r, url, UPLOADS, id, NULL, e) == -1)
		return -1;
	return add_argument(url, "uploadType", kind, e) == -1
		   ? -1
		   : add_argument(url, "fields", FIELDS, e);
}

static int
put_small(struct remote *r, const struct remote_source *s, const char *id, const struct json *old,
    struct remote_object *o, struct err *e)
{
	struct buf url = {0}, body = {0};
	char boundary[33], header[96];
	struct call c = {.r = r,
	    .what = s->key,
	    .method = old == NULL ? "POST" : "PATCH",
	    .headers = {header},
	    .wants_json = true,
	    .passes = {404, old == NULL ? 409 : 0}};
	struct json *v = upload_metadata(r, s, id, old, e);
	int rc = -1;

	if (v == NULL || new_boundary(header, sizeof header, boundary, e) == -1 ||
	    multipart_body(&body, v, s, boundary, e) == -1 ||
	    upload_address(r, &url, "multipart", id, old == NULL, e) == -1)
		goto out;
	c.url = url.data;
	c.body = body.data;
	c.body_len = body.len;
	if (call_run(&c, e) == -1)
		goto out;
	if (c.a.status == 404)
		rc = old == NULL ? folder_is_gone(&c, e) : changed_meanwhile(s->key, e);
	else
		rc = take_answer(&c, id, o, e);
out:
	call_free(&c);
	json_free(v);
	buf_free(&body);
	buf_free(&url);
	return rc;
}

static int
drive_put(struct remote *r, const struct remote_source *s, struct remote_object *o, struct err *e)
{
	char id[REMOTE_ID_MAX];
	struct json *old = NULL;
	int rc = look_before(r, s, o, &old, e);

	if (rc == -1 || rc == 2)
		return rc == 2 ? 0 : -1;
	if (rc == 1)
		memcpy(id, o->id, sizeof id);
	else if (new_id(r, s->key, id, e) == -1)
		return -1;
	rc = put_small(r, s, id, old, o, e);
	if (rc == 0 && old == NULL)
		rc = settle_put(r, s, o, e);
	json_free(old);
	return rc;
}

/* ---- giving another key ---- */

/* Properties and name that a file gets with its new key. */
static struct json *
renamed(const struct remote_object *now, const struct json *raw, const char *to, struct err *e)
{
	struct json *v = json_new_object(e), *props = json_new_object(e);
	const struct json *old = json_get(raw, "appProperties");
	const char *name = json_get_str(raw, "name");
	int rc = v == NULL || props == NULL ? -1 : 0;

	if (rc == 0)
		rc = put_key(props, to, e);
	if (rc == 0)
		rc = put_content(props, to, now->sha256, e);
	if (rc == 0)
		rc = drop_stale(props, old, KEY_PROPERTY, e);
	/* The application must not find what was deleted, and take it for uploaded. */
	if (rc == 0 && is_toolkit(to))
		rc = drop_stale(props, old, "content_sha256", e);
	/* A name of its own stays. */
	if (rc == 0 && (name == NULL || strcmp(name, last_component(now->key)) == 0))
		name = last_component(to);
	if (rc == 0)
		rc = json_put_str(v, "name", name, e);
	if (rc == -1) {
		json_free(props);
		json_free(v);
		return NULL;
	}
	if (json_put(v, "appProperties", props, e) == 0)
		return v;
	json_free(v);
	return NULL;
}

/* Sends metadata to a file, or to its copy, and takes what is then told of it. */
static int
send_metadata(struct remote *r, const char *what, const char *method, const char *path,
    const struct json *v, const char *id, struct remote_object *o, struct err *e)
{
	struct buf url = {0}, text = {0};
	struct call c = {
	    .r = r, .what = what, .method = method, .wants_json = true, .passes = {409}};
	int rc = -1;

	if (json_body(&c, v, &text, e) == 0 && add_path(r, &url, path, e) == 0 &&
	    add_argument(&url, "fields", FIELDS, e) == 0) {
		c.url = url.data;
		if (call_run(&c, e) == 0)
			rc = take_answer(&c, id, o, e);
	}
	call_free(&c);
	buf_free(&text);
	buf_free(&url);
	return rc;
}

static int
move_file(struct remote *r, const struct remote_object *now, const struct json *raw, const char *to,
    struct remote_object *o, struct err *e)
{
	struct json *v = renamed(now, raw, to, e);
	char path[sizeof FILES + REMOTE_ID_MAX];
	int rc = -1;

	snprintf(path, sizeof path, FILES "/%s", now->id);
	if (v != NULL)
		rc = send_metadata(r, to, "PATCH", path, v, now->id, o, e);
	json_free(v);
	return rc;
}

/* ---- what sessions have confirmed ---- */

/* -1: not known. */
static int64_t
upload_at(struct drive *d, const char *id)
{
	int64_t at = -1;

	pthread_mutex_lock(&d->uploads_lock);
	for (const struct upload *u = d->uploads; u != NULL && at == -1; u = u->next)
		if (strcmp(u->id, id) == 0)
			at = u->at;
	pthread_mutex_unlock(&d->uploads_lock);
	return at;
}

static void
forget_upload(struct drive *d, const char *id)
{
	struct upload **at, *u;

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
	struct upload *u;

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

/* ---- sessions ---- */

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
	if (is_id(id) && is_session_url(r->own, *url))
		return 0;
bad:
	return err_item(e, P_BAD_RECORD,
	    "%s: the noted upload is none of this Google Drive; it has to begin anew", key);
}

static int
take_session(struct call *c, const char *id, char session[REMOTE_SESSION_MAX], struct err *e)
{
	char url[REMOTE_SESSION_MAX];
	int n;

	if (c->a.status == 404)
		return folder_is_gone(c, e);
	if (c->a.status == 409)
		return in_the_way(c->what, e);
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
	struct call c = {.r = r, .what = s->key, .method = "POST", .passes = {404, 409}};
	struct json *v = upload_metadata(r, s, id, NULL, e);
	int rc = -1;

	snprintf(length, sizeof length, "X-Upload-Content-Length: %" PRId64, s->size_bytes);
	if (v == NULL || json_body(&c, v, &text, e) == -1 ||
	    buf_addf(&type, e, "X-Upload-Content-Type: %s",
		s->mime_type == NULL ? "application/octet-stream" : s->mime_type) == -1 ||
	    upload_address(r, &url, "resumable", id, true, e) == -1)
		goto out;
	c.url = url.data;
	c.headers[1] = length;
	c.headers[2] = type.data;
	if (call_run(&c, e) == 0)
		rc = take_session(&c, id, session, e);
out:
	call_free(&c);
	json_free(v);
	buf_free(&type);
	buf_free(&text);
	buf_free(&url);
	return rc;
}

/* A session's file is whole when its last byte came: until it is finished it has another key. */
static int
drive_begin(struct remote *r, const struct remote_source *s, const char *own_id,
    char session[REMOTE_SESSION_MAX], struct err *e)
{
	char id[REMOTE_ID_MAX], key[REMOTE_KEY_MAX + 1];
	struct remote_source temporary = *s;
	struct remote_object o;
	struct json *old = NULL;
	int rc = look_before(r, s, &o, &old, e);

	json_free(old);
	if (rc == -1)
		return -1;
	if (rc == 2)
		return err_item(e, P_CONFLICT, "%s: is already at Google Drive", s->key);
	temporary_key(r, own_id, key);
	temporary.key = key;
	if (new_id(r, s->key, id, e) == -1 || open_session(r, &temporary, id, session, e) == -1)
		return -1;
	note_upload(r->own, id, 0);
	return 0;
}

/* Bytes on their way into a session. */
struct sending {
	const struct remote_source *s;
	struct call c;
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
	if (begins(text, "bytes=0-") &&
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
	if (send_once(&t->c, f, e) == -1)
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
	int64_t from = t->at, n = (t->end - from + CHUNK - 1) / CHUNK * CHUNK;

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

static int
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
	call_free(&t.c);
	note_upload(r->own, id, rc == 0 && !t.gone ? t.at : -1);
	if (rc == 0 && t.gone)
		return session_is_gone(s->key, e);
	return rc;
}

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
		call_free(&t->c);
		if (rc == -1)
			return -1;
	}
	if (!t->done && !t->gone) {
		note_upload(r->own, id, t->at);
		return 0;
	}
	rc = fetch(r, s->key, id, o, raw, e);
	note_upload(r->own, id, rc == 1 ? s->size_bytes : -1);
	return rc;
}

static int
drive_arrived(struct remote *r, const struct remote_source *s, const char *session,
    int (*each)(void *ctx, const struct remote_part *p, struct err *e), void *ctx,
    struct remote_object *o, struct err *e)
{
	struct sending t;
	int rc = look_at_upload(r, s, session, &t, o, NULL, e);

	if (rc == -1)
		return -1;
	if (rc == 1 && strcmp(o->key, s->key) == 0)
		return settle_put(r, s, o, e) == -1 ? -1 : 2;
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

	if (now->size_bytes != s->size_bytes || (now->sha256[0] != '\0' && !same_bytes(s, now)))
		return err_item(e, P_CHECKSUM_MISMATCH,
		    "%s: arrived at Google Drive with other bytes than it has here; it has to be "
		    "sent again",
		    s->key);
	rc = look_before(r, s, &old, &old_raw, e);
	json_free(old_raw);
	if (rc == -1)
		return -1;
	if (rc == 2) {
		*o = old;
		return delete_file(r, s->key, now->id, e);
	}
	if (move_file(r, now, raw, s->key, o, e) == -1 ||
	    (rc == 1 && delete_file(r, s->key, old.id, e) == -1))
		return -1;
	return settle_put(r, s, o, e);
}

static int
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
	rc = strcmp(now.key, s->key) == 0 ? settle_put(r, s, o, e) : publish(r, s, &now, raw, o, e);
	json_free(raw);
	if (rc == 0)
		forget_upload(r->own, now.id);
	return rc;
}

static int
remove_temporary(struct remote *r, const char *key, const char *id, struct err *e)
{
	struct remote_object o;
	int rc = fetch(r, key, id, &o, NULL, e);

	if (rc != 1 || !begins(o.key, REMOTE_TEMP))
		return rc == -1 ? -1 : 0;
	return delete_file(r, key, id, e);
}

/* What a session was told to forget answers 499. */
static int
drive_abort(struct remote *r, const char *key, const char *session, struct err *e)
{
	char id[REMOTE_ID_MAX];
	const char *url;
	struct call c = {
	    .r = r, .what = key, .method = "DELETE", .passes = {400, 404, 405, 410, 499}};
	int rc;

	if (read_session(r, key, session, id, &url, e) == -1)
		return -1;
	forget_upload(r->own, id);
	c.url = url;
	rc = call_run(&c, e);
	call_free(&c);
	return rc == -1 ? -1 : remove_temporary(r, key, id, e);
}

/* A session that nobody noted shows nowhere, and ends after a week. */
static int
drive_sweep(struct remote *r, const char *key, const char *own_id, const char *since, int64_t *n,
    struct err *e)
{
	char temporary[REMOTE_KEY_MAX + 1];
	struct remote_object o;
	int rc;

	(void)since;
	temporary_key(r, own_id, temporary);
	if ((rc = find_key(r, temporary, &o, NULL, e)) == 1) {
		rc = delete_file(r, key, o.id, e);
		*n = rc == 0;
	}
	return rc == -1 ? -1 : 0;
}

/* ---- getting ---- */

struct getting {
	struct call c;
	const struct remote_object *o;
	uint64_t at;  /* that the caller has */
	bool checked; /* that this answer begins where it should */
	char range[64];
	int (*sink)(void *ctx, const void *p, size_t len, struct err *e);
	void *ctx;
};

/* The answer is from t->at on only when it says so. */
static bool
is_continued(const struct getting *t)
{
	char text[96], wanted[48];

	if (t->c.headers[0] == NULL)
		return true;
	snprintf(wanted, sizeof wanted, "bytes %" PRIu64 "-", t->at);
	return http_header(&t->c.a, "Content-Range", text, sizeof text) && begins(text, wanted);
}

static int
take_bytes(void *ctx, const void *p, size_t len, struct err *e)
{
	struct getting *t = ctx;

	if (!t->checked && !is_continued(t))
		return err_item(e, P_REMOTE,
		    "%s: Google Drive does not go on where it was asked to; run again", t->o->key);
	t->checked = true;
	if (len > (uint64_t)t->o->size_bytes - t->at)
		return changed_meanwhile(t->o->key, e);
	if (t->sink(t->ctx, p, len, e) == -1)
		return -1;
	t->at += len;
	return 0;
}

static int
attempt_get(void *ctx, struct fault *f, struct err *e)
{
	struct getting *t = ctx;

	t->c.headers[0] = NULL;
	if (t->at > 0) {
		snprintf(t->range, sizeof t->range, "Range: bytes=%" PRIu64 "-", t->at);
		t->c.headers[0] = t->range;
	}
	t->checked = false;
	if (send_once(&t->c, f, e) == -1)
		return -1;
	if (t->at == (uint64_t)t->o->size_bytes)
		return 0;
	return fault_set(f, FAULT_TRANSIENT, t->c.a.status, "the answer ended early");
}

static int
drive_get(struct remote *r, const struct remote_object *o, uint64_t offset,
    int (*sink)(void *ctx, const void *p, size_t len, struct err *e), void *ctx, struct err *e)
{
	struct remote_object now;
	struct buf url = {0};
	struct getting t = {.o = &now, .at = offset, .sink = sink, .ctx = ctx};
	int rc = -1;

	if (look_up_same(r, o, &now, NULL, e) == -1)
		return -1;
	if (offset >= (uint64_t)now.size_bytes)
		return 0;
	t.c = (struct call){.r = r, .what = o->key, .method = "GET", .sink = take_bytes, .ctx = &t};
	if (add_file(r, &url, FILES, now.id, NULL, e) == 0 &&
	    add_argument(&url, "alt", "media", e) == 0) {
		t.c.url = url.data;
		rc = retry_run(r->retry, o->key, attempt_get, &t, e);
	}
	call_free(&t.c);
	buf_free(&url);
	/* Another version may have taken its place while it was read. */
	return rc == -1 ? -1 : look_up_same(r, o, &now, NULL, e);
}

/* ---- moving, copying, deleting ---- */

/* What stands where something is to go: 1 and *old, 0, -1. */
static int
look_at_target(
    struct remote *r, const char *to, const char *over, struct remote_object *old, struct err *e)
{
	int rc = find_key(r, to, old, NULL, e);

	if (rc != 1 || (over != NULL && over[0] != '\0' && strcmp(old->tag, over) == 0))
		return rc;
	return in_the_way(to, e);
}

static int
drive_move(struct remote *r, const struct remote_object *from, const char *to, const char *over,
    struct remote_object *o, struct err *e)
{
	struct remote_object now, old;
	struct json *raw = NULL;
	int rc = look_at_target(r, to, over, &old, e), same;

	if (rc == -1)
		return -1;
	/* A move that was begun before, and did all but tell of it. */
	if (rc == 1 && from->id[0] != '\0' && strcmp(old.id, from->id) == 0) {
		*o = old;
		return 0;
	}
	same = look_up_same(r, from, &now, &raw, e);
	if (same == 0)
		same = move_file(r, &now, raw, to, o, e);
	json_free(raw);
	if (same == 0 && rc == 1)
		same = delete_file(r, to, old.id, e);
	return same;
}

static int
copy_file(struct remote *r, const struct remote_object *now, const struct json *raw, const char *to,
    struct remote_object *o, struct err *e)
{
	struct json *v = renamed(now, raw, to, e);
	char path[sizeof FILES + REMOTE_ID_MAX + 8], id[REMOTE_ID_MAX];
	int rc = -1;

	snprintf(path, sizeof path, FILES "/%s/copy", now->id);
	if (v != NULL && new_id(r, to, id, e) == 0 && put_place(r, v, id, e) == 0)
		rc = send_metadata(r, to, "POST", path, v, id, o, e);
	json_free(v);
	return rc;
}

static int
drive_copy(struct remote *r, const struct remote_object *from, const char *to, const char *over,
    struct remote_object *o, struct err *e)
{
	struct remote_object now, old, other;
	struct json *raw = NULL;
	int rc = look_at_target(r, to, over, &old, e), done;

	if (rc == -1)
		return -1;
	done = look_up_same(r, from, &now, &raw, e);
	if (done == 0)
		done = copy_file(r, &now, raw, to, o, e);
	json_free(raw);
	if (done == 0 && rc == 1)
		done = delete_file(r, to, old.id, e);
	if (done == 0 && (rc = look_after(r, to, o, &other, true, e)) != 0)
		done = rc == 1 ? in_the_way(to, e) : -1;
	return done;
}

static int
drive_adopt(struct remote *r, struct remote_object *o, const char *key, struct err *e)
{
	struct remote_object now, other;
	struct json *v = NULL, *props = NULL;
	char path[sizeof FILES + REMOTE_ID_MAX];
	int rc = -1;

	if ((rc = fetch(r, key, o->id, &now, NULL, e)) == -1)
		return -1;
	if (rc == 0 || strcmp(o->tag, now.tag) != 0 ||
	    (now.key[0] != '\0' && strcmp(now.key, key) != 0))
		return changed_meanwhile(key, e);
	if ((rc = find_key(r, key, &other, NULL, e)) == -1)
		return -1;
	if (rc == 1 && strcmp(other.id, now.id) != 0)
		return in_the_way(key, e);
	rc = -1;
	snprintf(path, sizeof path, FILES "/%s", now.id);
	if ((v = json_new_object(e)) == NULL || (props = json_new_object(e)) == NULL ||
	    put_key(props, key, e) == -1) {
		json_free(props);
		goto out;
	}
	if (json_put(v, "appProperties", props, e) == 0)
		rc = send_metadata(r, key, "PATCH", path, v, now.id, o, e);
out:
	json_free(v);
	return rc;
}

static int
drive_remove(struct remote *r, const struct remote_object *o, struct err *e)
{
	struct remote_object now;
	int rc = look_up(r, o, &now, NULL, e);

	/* What has another key by now is gone from this one. */
	if (rc != 1 || strcmp(o->key, now.key) != 0)
		return rc == -1 ? -1 : 0;
	if (o->tag[0] != '\0' && strcmp(o->tag, now.tag) != 0)
		return changed_meanwhile(o->key, e);
	return delete_file(r, o->key, now.id, e);
}

/* ---- finding out ---- */

struct probing {
	struct remote_source s;
	unsigned char content[1024];
	char key[64];
	uint64_t differs; /* bytes that came back wrong */
	uint64_t at;
};

static int
probing_init(struct remote *r, struct probing *t, struct err *e)
{
	struct hash *h = hash_open(HASH_SHA256 | HASH_MD5, e);
	char name[17];

	if (h == NULL || hash_random(t->content, sizeof t->content, e) == -1) {
		hash_close(h);
		return -1;
	}
	hash_hex(t->content, 8, name);
	snprintf(t->key, sizeof t->key, REMOTE_TEMP "%s-probe-%s", r->settings.owner, name);
	t->s = (struct remote_source){.key = t->key,
	    .fd = -1,
	    .bytes = t->content,
	    .size_bytes = sizeof t->content,
	    .condition = REMOTE_NEW};
	hash_update(h, t->content, sizeof t->content);
	hash_sha256(h, t->s.sha256);
	hash_md5(h, t->s.md5);
	hash_close(h);
	return 0;
}

static int
compare_bytes(void *ctx, const void *p, size_t len, struct err *e)
{
	struct probing *t = ctx;

	(void)e;
	for (size_t i = 0; i < len; i++, t->at++)
		t->differs += t->at >= sizeof t->content ||
			      ((const unsigned char *)p)[i] != t->content[t->at];
	return 0;
}

/* Whether a create with an id that is used makes no second file: the id stays that of the first. */
static int
probe_ids(struct remote *r, const struct probing *t, const struct remote_object *o, bool *once,
    struct err *e)
{
	struct folders files = {0};
	struct remote_object again;
	char at[REMOTE_ID_MAX];
	struct buf q = {0};
	int rc = -1;

	if (put_small(r, &t->s, o->id, NULL, &again, e) == 0 && folder(r, true, at, e) == 1 &&
	    add_in_folder(&q, at, e) == 0 && add_has(&q, KEY_PROPERTY, t->key, e) == 0)
		rc = query_all(r, t->key, q.data, "10", "id", count_folder, &files, e);
	*once = rc == 0 && files.n <= 1 && strcmp(again.id, o->id) == 0 &&
		strcmp(again.tag, o->tag) == 0;
	buf_free(&q);
	return rc;
}

static int
probe_skew(struct remote *r, int64_t *ms, struct err *e)
{
	struct buf url = {0};
	struct call c = {.r = r, .what = "Google Drive", .method = "GET", .wants_json = true};
	int rc = -1;

	if (add_file(r, &url, FILES, "root", "id", e) == 0) {
		c.url = url.data;
		rc = call_run(&c, e);
	}
	*ms = rc == 0 && c.a.has_skew ? c.a.skew_s * 1000 : 0;
	call_free(&c);
	buf_free(&url);
	return rc;
}

static int
probe_objects(struct remote *r, struct probing *t, struct json *found, struct err *e)
{
	struct remote_object o, copied = {0};
	char to[sizeof t->key + 8];
	struct err ignored;
	bool once = false;
	int64_t skew;
	int rc;

	if (drive_put(r, &t->s, &o, e) == -1)
		return -1;
	snprintf(to, sizeof to, "%s-copy", t->key);
	t->at = 512;
	rc = drive_get(r, &o, t->at, compare_bytes, t, e);
	if (rc == 0)
		rc = probe_ids(r, t, &o, &once, e);
	if (rc == 0)
		rc = drive_copy(r, &o, to, "", &copied, e);
	if (rc == 0)
		rc = probe_skew(r, &skew, e);
	if (rc == 0 && t->differs != 0)
		rc = err_set(
		    e, ERR_CONFIG, NULL, "what was put at Google Drive came back with other bytes");
	if (rc == 0 && (json_put_bool(found, "conditional", once, e) == -1 ||
			   json_put_bool(found, "checksum", same_bytes(&t->s, &o), e) == -1 ||
			   json_put_bool(found, "copy", same_bytes(&t->s, &copied), e) == -1 ||
			   json_put_int(found, "skew_ms", skew, e) == -1))
		rc = -1;
	if (copied.id[0] != '\0' && delete_file(r, to, copied.id, rc == -1 ? &ignored : e) == -1)
		rc = -1;
	if (delete_file(r, t->key, o.id, rc == -1 ? &ignored : e) == -1)
		rc = -1;
	return rc;
}

static int
drive_probe(struct remote *r, struct json *found, struct err *e)
{
	struct probing *t = mem_new(1, sizeof *t, e);
	int rc = -1;

	if (t != NULL && probing_init(r, t, e) == 0)
		rc = probe_objects(r, t, found, e);
	free(t);
	return rc;
}

/* A folder that is not there yet is fine: something is to be put first. */
static int
drive_check(struct remote *r, struct err *e)
{
	char id[REMOTE_ID_MAX];

	return folder(r, false, id, e) == -1 ? -1 : 0;
}

/* ---- opening ---- */

static bool
is_set(const char *s)
{
	return s != NULL && s[0] != '\0';
}

static int
check_settings(const struct remote_settings *s, struct err *e)
{
	if (!is_set(s->client_id) || !is_set(s->client_secret))
		return err_set(e, ERR_CONFIG, NULL,
		    "Google Drive needs a client id and its secret; set GOOGLE_CLIENT_ID and "
		    "GOOGLE_CLIENT_SECRET");
	if (!is_set(s->refresh_token))
		return err_set(e, ERR_CONFIG, NULL,
		    "Google Drive needs a sign-in; set REC_GOOGLE_REFRESH_TOKEN");
	return 0;
}

static int
set_addresses(struct drive *d, const struct remote_settings *s, struct err *e)
{
	const char *base = is_set(s->endpoint) ? s->endpoint : ADDRESS;
	size_t n = strlen(base);
	struct http_url u;

	while (n > 0 && base[n - 1] == '/')
		n--;
	if ((d->base = mem_bytes(base, n, e)) == NULL)
		return -1;
	if (http_url_parse(d->base, &u, e) == -1)
		return err_prefix(e, "the endpoint of Google Drive");
	if (u.path[0] != '\0')
		return err_set(e, ERR_CONFIG, NULL,
		    "the endpoint of Google Drive has a path; it is https://HOST[:PORT]");
	if (strcmp(u.scheme, "https") != 0 && !s->allow_plain && !http_is_loopback(&u))
		return err_set(e, ERR_CONFIG, NULL,
		    "the endpoint of Google Drive is not https: the sign-in could be read on its "
		    "way");
	d->token_url =
	    is_set(s->endpoint) ? mem_fmt(e, "%s/token", d->base) : mem_str(TOKEN_ADDRESS, e);
	return d->token_url == NULL ? -1 : 0;
}

static void
drive_close(struct remote *r)
{
	struct drive *d = r->own;

	while (d->uploads != NULL) {
		struct upload *u = d->uploads;

		d->uploads = u->next;
		free(u);
	}
	pthread_mutex_destroy(&d->token_lock);
	pthread_mutex_destroy(&d->folder_lock);
	pthread_mutex_destroy(&d->ids_lock);
	pthread_mutex_destroy(&d->uploads_lock);
	explicit_bzero(d->token, sizeof d->token);
	free(d->base);
	free(d->token_url);
	free(d);
	r->own = NULL;
}

static int
drive_open(struct remote *r, struct err *e)
{
	const char *name = strchr(r->settings.url, ':');
	struct drive *d;

	if (check_settings(&r->settings, e) == -1 || (d = mem_new(1, sizeof *d, e)) == NULL)
		return -1;
	r->own = d;
	pthread_mutex_init(&d->token_lock, NULL);
	pthread_mutex_init(&d->folder_lock, NULL);
	pthread_mutex_init(&d->ids_lock, NULL);
	pthread_mutex_init(&d->uploads_lock, NULL);
	d->folder_name = name == NULL || name[1] == '\0' ? DEFAULT_FOLDER : name + 1;
	if (set_addresses(d, &r->settings, e) == -1) {
		drive_close(r);
		return -1;
	}
	r->can = (struct remote_capabilities){.conditional = true,
	    .checksum = true,
	    .atomic_put = true,
	    .copy = true,
	    .secret_session = true,
	    .single_max = SINGLE_MAX,
	    .part_min = CHUNK,
	    .part_multiple = CHUNK,
	    .object_max = OBJECT_MAX};
	return 0;
}

const struct remote_kind remote_drive_kind = {
    .scheme = "gdrive",
    .open = drive_open,
    .close = drive_close,
    .check = drive_check,
    .list_open = drive_list_open,
    .list_next = drive_list_next,
    .list_close = drive_list_close,
    .stat = drive_stat,
    .find = drive_find,
    .adopt = drive_adopt,
    .put = drive_put,
    .begin = drive_begin,
    .part = drive_part,
    .arrived = drive_arrived,
    .finish = drive_finish,
    .abort = drive_abort,
    .sweep = drive_sweep,
    .get = drive_get,
    .copy = drive_copy,
    .move = drive_move,
    .remove = drive_remove,
    .probe = drive_probe,
};
