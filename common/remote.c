/*
 * What is the same for every kind of remote: which kind a URL means, what a key may be, and that
 * nothing a remote says gets further than here unless it is well-formed.
 */
#include "remote_kind.h"

#include <ctype.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "utf8.h"

#define SESSION_ID_MAX 64
#define OWNER_LEN 8

struct remote_list {
	struct remote *r;
	void *own;
	char prefix[REMOTE_KEY_MAX + 1], after[REMOTE_KEY_MAX + 1], until[REMOTE_KEY_MAX + 1];
	char last[REMOTE_KEY_MAX + 1]; /* that was given; "": none yet */
};

/* ---- URLs ---- */

static const struct form {
	const char *begin;
	const struct remote_kind *kind;
	int (*canonical)(const char *rest, struct buf *out, struct err *e);
} * form_of(const char *url);

/* A path, its components without "." and "..", each once encoded when it was encoded. */
static int
put_path(const char *path, bool encoded, struct buf *out, struct err *e)
{
	char *text = mem_str(path, e), *part, *at = text;
	int rc = text == NULL ? -1 : 0;

	while (rc == 0 && (part = strsep(&at, "/")) != NULL) {
		if (part[0] == '\0')
			continue;
		if (encoded && strpbrk(part, "?#") != NULL)
			rc = err_set(e, ERR_USAGE, NULL,
			    "the address of a remote has no query or fragment; write ? as %%3F and "
			    "# as %%23 in a folder's name");
		else if (encoded && !http_unescape(part))
			rc = err_set(e, ERR_USAGE, NULL,
			    "a %% in the address of a remote begins a code like %%20; write %% "
			    "itself as %%25");
		else if (strcmp(part, ".") == 0 || strcmp(part, "..") == 0 ||
			 (encoded && strchr(part, '/') != NULL))
			rc = err_set(e, ERR_USAGE, NULL,
			    "the address of a remote may not hold \".\", \"..\" or an encoded /");
		else if (buf_adds(out, "/", e) == -1)
			rc = -1;
		else if (encoded)
			rc = http_escape(out, part, strlen(part), false, e);
		else
			rc = buf_adds(out, part, e);
	}
	free(text);
	return rc;
}

static int
canonical_s3(const char *rest, struct buf *out, struct err *e)
{
	size_t n = strcspn(rest, "/");

	/* Letters of both cases and "_": old buckets, and servers that are not Amazon's. */
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)rest[i]) && strchr("-._", rest[i]) == NULL)
			return err_set(e, ERR_USAGE, NULL,
			    "s3://BUCKET/PREFIX: a bucket's name has only letters, digits, \"-\", "
			    "\"_\" and \".\"; keys belong into AWS_ACCESS_KEY_ID and "
			    "AWS_SECRET_ACCESS_KEY");
	if (n < 3 || n > 63 || !isalnum((unsigned char)rest[0]) ||
	    !isalnum((unsigned char)rest[n - 1]))
		return err_set(e, ERR_USAGE, NULL,
		    "s3://BUCKET/PREFIX: a bucket's name has 3 to 63 characters, and letters or "
		    "digits at both ends");
	if (buf_adds(out, "s3://", e) == -1 || buf_add(out, rest, n, e) == -1)
		return -1;
	return put_path(rest + n, false, out, e);
}

static int
canonical_http(const char *scheme, unsigned usual, const char *rest, struct buf *out, struct err *e)
{
	size_t n = strcspn(rest, "/?#");
	char *url;
	struct http_url u;
	int rc = -1;

	if (memchr(rest, '@', n) != NULL)
		return err_set(e, ERR_USAGE, NULL,
		    "a user or password may not stand in the address of a remote, where others "
		    "can see it; set REC_WEBDAV_USER and REC_WEBDAV_PASSWORD");
	/* Only the host is of interest here; the path has rules of its own. */
	if ((url = mem_fmt(e, "http://%.*s", (int)n, rest)) == NULL)
		return -1;
	if (http_url_parse(url, &u, e) == -1) {
		e->class = ERR_USAGE;
		goto out;
	}
	for (char *p = u.host; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	if (buf_addf(out, e, "%s://%s", scheme, u.host) == -1 ||
	    (u.port != 0 && u.port != usual && buf_addf(out, e, ":%u", u.port) == -1))
		goto out;
	rc = put_path(rest + n, true, out, e);
out:
	free(url);
	return rc;
}

static int
canonical_dav(const char *rest, struct buf *out, struct err *e)
{
	return canonical_http("webdav", 80, rest, out, e);
}

static int
canonical_davs(const char *rest, struct buf *out, struct err *e)
{
	return canonical_http("webdavs", 443, rest, out, e);
}

static int
canonical_drive(const char *rest, struct buf *out, struct err *e)
{
	struct buf path = {0};
	int rc = -1;

	if (put_path(rest, false, &path, e) == -1)
		goto out;
	if (path.len < 2)
		err_set(e, ERR_USAGE, NULL, "gdrive:FOLDER names no folder");
	else if (buf_adds(out, "gdrive:", e) == 0)
		rc = buf_adds(out, path.data + 1, e);
out:
	buf_free(&path);
	return rc;
}

static int
canonical_file(const char *rest, struct buf *out, struct err *e)
{
	size_t n = strcspn(rest, "/");

	if (n != 0 && !(n == 9 && strncasecmp(rest, "localhost", n) == 0))
		return err_set(e, ERR_USAGE, NULL,
		    "file:// is for folders of this machine: file:///FOLDER with three slashes");
	if (rest[n] == '\0')
		return err_set(e, ERR_USAGE, NULL, "file:///FOLDER names no folder");
	if (buf_adds(out, "file://", e) == -1 || put_path(rest + n, true, out, e) == -1)
		return -1;
	return out->len > strlen("file://") ? 0 : buf_adds(out, "/", e);
}

static const struct form *
form_of(const char *url)
{
	static const struct form forms[] = {
	    {"s3://", &remote_s3_kind, canonical_s3},
	    {"webdav://", &remote_dav_kind, canonical_dav},
	    {"webdavs://", &remote_dav_kind, canonical_davs},
	    {"gdrive:", &remote_drive_kind, canonical_drive},
	    {"file://", &remote_file_kind, canonical_file},
	};

	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
		if (strncasecmp(url, forms[i].begin, strlen(forms[i].begin)) == 0)
			return &forms[i];
	return NULL;
}

bool
remote_is_url(const char *text)
{
	return form_of(text) != NULL;
}

/* UTF-8 without control characters, of one or two bytes. */
static bool
is_plain_text(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s;

	for (size_t i = 0; i < len; i++)
		if (p[i] < 0x20 || p[i] == 0x7f || (p[i] == 0xc2 && i + 1 < len && p[i + 1] < 0xa0))
			return false;
	return utf8_valid(s, len);
}

char *
remote_canonical(const char *url, struct err *e)
{
	const struct form *f = form_of(url);
	struct buf out = {0};

	if (f == NULL) {
		err_set(e, ERR_USAGE, NULL,
		    "a remote is s3://BUCKET/PREFIX, webdav://HOST/PATH, webdavs://HOST/PATH, "
		    "gdrive:FOLDER or file:///FOLDER");
		return NULL;
	}
	if (!is_plain_text(url, strlen(url))) {
		err_set(e, ERR_USAGE, NULL,
		    "the address of a remote holds a control character or is not UTF-8");
		return NULL;
	}
	if (f->canonical(url + strlen(f->begin), &out, e) == 0)
		return out.data;
	buf_free(&out);
	return NULL;
}

bool
remote_needs_http(const char *url)
{
	const struct form *f = form_of(url);

	return f != NULL && f->kind != &remote_file_kind;
}

/* ---- what may pass ---- */

static bool
is_key(const char *key)
{
	size_t len = strnlen(key, REMOTE_KEY_MAX + 1), n;

	if (len == 0 || len > REMOTE_KEY_MAX || !is_plain_text(key, len))
		return false;
	for (const char *p = key;; p += n + 1) {
		n = strcspn(p, "/");
		if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		if (p[n] == '\0')
			return true;
	}
}

static int
check_key(const char *key, struct err *e)
{
	if (is_key(key))
		return 0;
	return err_item(e, P_UNSAFE_PATH,
	    "%.200s: cannot be a name at a remote, where names are UTF-8 of at most %d bytes "
	    "without control characters and without empty, \".\" or \"..\" parts; rename it",
	    key, REMOTE_KEY_MAX);
}

static bool
is_hex(const char *s, size_t len)
{
	return strlen(s) == len && strspn(s, "0123456789abcdef") == len;
}

/* A tag goes into a header line again. */
static bool
is_tag(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f || *s == '"')
			return false;
	return true;
}

static void
clean(struct remote_object *o)
{
	if (!is_hex(o->md5, HASH_MD5_HEX - 1))
		o->md5[0] = '\0';
	if (!is_hex(o->sha256, HASH_SHA256_HEX - 1))
		o->sha256[0] = '\0';
	if (!is_tag(o->tag))
		o->tag[0] = '\0';
	if (!clock_is_rfc3339(o->modified))
		o->modified[0] = '\0';
}

static int
check_source(const struct remote *r, const struct remote_source *s, struct err *e)
{
	if (check_key(s->key, e) == -1)
		return -1;
	if (s->size_bytes < 0 || (r->can.object_max != 0 && s->size_bytes > r->can.object_max))
		return err_item(e, P_TOO_LARGE,
		    "%s: %" PRId64 " bytes; this remote takes at most %" PRId64 " in one object",
		    s->key, s->size_bytes, r->can.object_max);
	return 0;
}

/* What the remote says that it has now. */
static int
check_arrived(const struct remote_source *s, struct remote_object *o, struct err *e)
{
	clean(o);
	snprintf(o->key, sizeof o->key, "%s", s->key);
	if (o->size_bytes != s->size_bytes)
		return err_item(e, P_SIZE_MISMATCH,
		    "%s: %" PRId64 " bytes were put, but the remote says that it has %" PRId64
		    "; put it again",
		    s->key, s->size_bytes, o->size_bytes);
	return 0;
}

/* ---- opening ---- */

static const struct {
	const char *key;
	size_t at;
} flags[] =
    {
#define FLAG(name)                                                                                 \
	{                                                                                          \
#name, offsetof(struct remote_capabilities, name)                                  \
	}
	FLAG(ordered),
	FLAG(conditional),
	FLAG(checksum),
	FLAG(checks_content),
	FLAG(atomic_put),
	FLAG(partial_put),
	FLAG(parallel_parts),
	FLAG(copy),
	FLAG(secret_session),
},
  numbers[] = {
      FLAG(skew_ms),
      FLAG(single_max),
      FLAG(part_min),
      FLAG(part_multiple),
      FLAG(parts_max),
      FLAG(object_max),
#undef FLAG
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
apply_probed(struct remote_capabilities *can, const struct json *probed)
{
	bool secret = can->secret_session;

	for (size_t i = 0; i < COUNT(flags); i++)
		if (json_kind(json_get(probed, flags[i].key)) == JSON_KIND_BOOL)
			*(bool *)((char *)can + flags[i].at) =
			    json_to_bool(json_get(probed, flags[i].key));
	for (size_t i = 0; i < COUNT(numbers); i++) {
		int64_t v;

		if (json_get_int(probed, numbers[i].key, &v) &&
		    (v >= 0 || numbers[i].at == offsetof(struct remote_capabilities, skew_ms)))
			*(int64_t *)((char *)can + numbers[i].at) = v;
	}
	/* No record can make a secret public. */
	can->secret_session |= secret;
}

/* What the kind did not try is as its kind promises. */
static int
complete_probed(const struct remote_capabilities *can, struct json *found, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < COUNT(flags); i++)
		if (json_get(found, flags[i].key) == NULL)
			rc = json_put_bool(found, flags[i].key,
			    *(const bool *)((const char *)can + flags[i].at), e);
	for (size_t i = 0; rc == 0 && i < COUNT(numbers); i++)
		if (json_get(found, numbers[i].key) == NULL)
			rc = json_put_int(found, numbers[i].key,
			    *(const int64_t *)((const char *)can + numbers[i].at), e);
	return rc;
}

struct remote *
remote_open(const struct remote_settings *s, struct http *http, struct retry *retry, struct err *e)
{
	const struct form *f;
	struct remote *r = NULL;
	char *url = remote_canonical(s->url, e);

	if (url == NULL || (r = mem_new(1, sizeof *r, e)) == NULL) {
		free(url);
		return NULL;
	}
	f = form_of(url);
	r->settings = *s;
	r->settings.url = url;
	r->http = http;
	r->retry = retry;
	if (s->owner == NULL || s->owner[0] == '\0')
		r->settings.owner = "00000000";
	if (!is_hex(r->settings.owner, OWNER_LEN))
		err_set(e, ERR_CONFIG, NULL,
		    "the mark of this archive at the remote is not 8 hexadecimal digits");
	else if (http == NULL && f->kind != &remote_file_kind)
		err_set(e, ERR_CONFIG, NULL, "this remote needs the network");
	else
		r->kind = f->kind;
	if (r->kind == NULL || r->kind->open(r, e) == -1) {
		remote_close(r);
		return NULL;
	}
	if (s->probed != NULL)
		apply_probed(&r->can, s->probed);
	return r;
}

void
remote_close(struct remote *r)
{
	if (r == NULL)
		return;
	if (r->kind != NULL && r->own != NULL)
		r->kind->close(r);
	free((char *)(uintptr_t)r->settings.url);
	free(r);
}

const struct remote_capabilities *
remote_can(const struct remote *r)
{
	return &r->can;
}

int
remote_check(struct remote *r, struct err *e)
{
	if (r->kind->check(r, e) == 0)
		return 0;
	/* It is about no item: without the remote there is no run. */
	if (e->class == ERR_ITEM)
		e->class = retry_is_later(e) ? ERR_BUSY : ERR_CONFIG;
	return -1;
}

/* ---- looking ---- */

static bool
copy_text(char *out, size_t size, const char *text)
{
	size_t n = strlen(text);

	if (n >= size)
		return false;
	memcpy(out, text, n + 1);
	return true;
}

struct remote_list *
remote_list_open(
    struct remote *r, const char *prefix, const char *after, const char *until, struct err *e)
{
	struct remote_list *l = mem_new(1, sizeof *l, e);
	size_t n = strlen(prefix);

	if (l == NULL)
		return NULL;
	l->r = r;
	if (n < 2 || prefix[n - 1] != '/' || !copy_text(l->prefix, sizeof l->prefix, prefix) ||
	    !copy_text(l->after, sizeof l->after, after) ||
	    !copy_text(l->until, sizeof l->until, until)) {
		err_item(
		    e, P_UNSAFE_PATH, "%.200s: no folder of a remote can have this name", prefix);
		free(l);
		return NULL;
	}
	if (r->kind->list_open(r, l->prefix, l->after, l->until, &l->own, e) == -1) {
		free(l);
		return NULL;
	}
	return l;
}

/* Whether an object that a remote listed is to be believed, and asked for. */
static bool
is_listed(const struct remote_list *l, const struct remote_object *o)
{
	return is_key(o->key) && strncmp(o->key, l->prefix, strlen(l->prefix)) == 0 &&
	       o->size_bytes >= 0 && strcmp(o->key, l->after) > 0 &&
	       (l->until[0] == '\0' || strcmp(o->key, l->until) <= 0);
}

int
remote_list_next(struct remote_list *l, struct remote_object *o, struct err *e)
{
	int rc;

	for (;;) {
		memset(o, 0, sizeof *o);
		if ((rc = l->r->kind->list_next(l->r, l->own, o, e)) != 1)
			return rc;
		/* The same key again: two objects of one name at Drive. The first stands. */
		if (!is_listed(l, o) || strcmp(o->key, l->last) == 0)
			continue;
		/* Who compares two sorted lists would take the rest for missing. */
		if (strcmp(o->key, l->last) < 0)
			return err_set(e, ERR_CONFIG, NULL,
			    "the remote lists %s in no order of names; probe it again", l->prefix);
		memcpy(l->last, o->key, sizeof l->last);
		clean(o);
		return 1;
	}
}

void
remote_list_close(struct remote_list *l)
{
	if (l == NULL)
		return;
	l->r->kind->list_close(l->r, l->own);
	free(l);
}

int
remote_stat(struct remote *r, const char *key, struct remote_object *o, struct json **metadata,
    struct err *e)
{
	int rc;

	memset(o, 0, sizeof *o);
	if (metadata != NULL)
		*metadata = NULL;
	if (check_key(key, e) == -1)
		return -1;
	if ((rc = r->kind->stat(r, key, o, metadata, e)) == 1) {
		clean(o);
		snprintf(o->key, sizeof o->key, "%s", key);
	}
	return rc;
}

int
remote_look(
    struct remote *r, const struct remote_object *known, struct remote_object *o, struct err *e)
{
	int rc;

	if (r->kind->look == NULL || known->id[0] == '\0')
		return remote_stat(r, known->key, o, NULL, e);
	memset(o, 0, sizeof *o);
	if (check_key(known->key, e) == -1)
		return -1;
	if ((rc = r->kind->look(r, known, o, e)) == 1)
		clean(o);
	return rc;
}

int
remote_find(struct remote *r, const char *sha256, struct remote_object *o, struct err *e)
{
	int rc;

	memset(o, 0, sizeof *o);
	if (r->kind->find == NULL || !is_hex(sha256, HASH_SHA256_HEX - 1))
		return 0;
	if ((rc = r->kind->find(r, sha256, o, e)) == 1) {
		clean(o);
		o->key[0] = '\0';
	}
	return rc;
}

int
remote_adopt(struct remote *r, struct remote_object *o, const char *key, struct err *e)
{
	if (check_key(key, e) == -1)
		return -1;
	if (r->kind->adopt == NULL)
		return err_item(
		    e, P_REMOTE, "%s: this kind of remote has no objects to take over", key);
	if (r->kind->adopt(r, o, key, e) == -1)
		return -1;
	clean(o);
	return 0;
}

/* ---- putting ---- */

int
remote_put(struct remote *r, const struct remote_source *s, struct remote_object *o, struct err *e)
{
	memset(o, 0, sizeof *o);
	if (check_source(r, s, e) == -1)
		return -1;
	if (s->size_bytes > r->can.single_max)
		return err_item(
		    e, P_TOO_LARGE, "%s: is too large for this remote in one piece", s->key);
	if (r->kind->put(r, s, o, e) == -1)
		return -1;
	return check_arrived(s, o, e);
}

int
remote_begin(struct remote *r, const struct remote_source *s, const char *id,
    char session[REMOTE_SESSION_MAX], struct err *e)
{
	size_t n = strlen(id);

	session[0] = '\0';
	if (check_source(r, s, e) == -1)
		return -1;
	if (n == 0 || n > SESSION_ID_MAX || !is_hex(id, n))
		return err_item(e, P_BAD_RECORD, "%s: the upload's id is not hexadecimal", s->key);
	return r->kind->begin(r, s, id, session, e);
}

int
remote_part(struct remote *r, const struct remote_source *s, const char *session,
    struct remote_part *p, struct err *e)
{
	if (check_source(r, s, e) == -1)
		return -1;
	if (p->number == 0 || p->offset < 0 || p->size_bytes < 0 ||
	    p->offset > s->size_bytes - p->size_bytes)
		return err_item(
		    e, P_BAD_RECORD, "%s: part %u is not within the recording", s->key, p->number);
	p->tag[0] = '\0';
	if (r->kind->part(r, s, session, p, e) == -1)
		return -1;
	if (!is_tag(p->tag))
		p->tag[0] = '\0';
	return 0;
}

int
remote_arrived(struct remote *r, const struct remote_source *s, const char *session,
    int (*each)(void *ctx, const struct remote_part *p, struct err *e), void *ctx,
    struct remote_object *o, struct err *e)
{
	int rc;

	memset(o, 0, sizeof *o);
	if (check_source(r, s, e) == -1)
		return -1;
	rc = r->kind->arrived(r, s, session, each, ctx, o, e);
	return rc == 2 && check_arrived(s, o, e) == -1 ? -1 : rc;
}

int
remote_finish(struct remote *r, const struct remote_source *s, const char *session,
    const struct remote_part *parts, unsigned n, struct remote_object *o, struct err *e)
{
	memset(o, 0, sizeof *o);
	if (check_source(r, s, e) == -1 || r->kind->finish(r, s, session, parts, n, o, e) == -1)
		return -1;
	return check_arrived(s, o, e);
}

int
remote_abort(struct remote *r, const char *key, const char *session, struct err *e)
{
	return check_key(key, e) == -1 ? -1 : r->kind->abort(r, key, session, e);
}

int
remote_sweep(
    struct remote *r, const char *key, const char *id, const char *since, int64_t *n, struct err *e)
{
	size_t len = strlen(id);

	*n = 0;
	if (check_key(key, e) == -1)
		return -1;
	if (len == 0 || len > SESSION_ID_MAX || !is_hex(id, len))
		return err_item(e, P_BAD_RECORD, "%s: the upload's id is not hexadecimal", key);
	return r->kind->sweep == NULL ? 0 : r->kind->sweep(r, key, id, since, n, e);
}

/* ---- getting, moving, deleting ---- */

int
remote_get(struct remote *r, const struct remote_object *o, uint64_t offset,
    int (*sink)(void *ctx, const void *p, size_t len, struct err *e), void *ctx, struct err *e)
{
	return check_key(o->key, e) == -1 ? -1 : r->kind->get(r, o, offset, sink, ctx, e);
}

int
remote_copy(struct remote *r, const struct remote_object *from, const char *to, const char *over,
    struct remote_object *o, struct err *e)
{
	memset(o, 0, sizeof *o);
	if (check_key(from->key, e) == -1 || check_key(to, e) == -1)
		return -1;
	if (strcmp(from->key, to) == 0)
		return err_item(e, P_CONFLICT, "%s: cannot be copied onto itself", to);
	if (r->kind->copy(r, from, to, over, o, e) == -1)
		return -1;
	clean(o);
	snprintf(o->key, sizeof o->key, "%s", to);
	return 0;
}

int
remote_move(struct remote *r, const struct remote_object *from, const char *to, const char *over,
    struct remote_object *o, struct err *e)
{
	if (r->kind->move == NULL) {
		if (remote_copy(r, from, to, over, o, e) == -1)
			return -1;
		return remote_delete(r, from, e);
	}
	memset(o, 0, sizeof *o);
	if (check_key(from->key, e) == -1 || check_key(to, e) == -1)
		return -1;
	if (strcmp(from->key, to) == 0)
		return err_item(e, P_CONFLICT, "%s: cannot be moved onto itself", to);
	if (r->kind->move(r, from, to, over, o, e) == -1)
		return -1;
	clean(o);
	snprintf(o->key, sizeof o->key, "%s", to);
	return 0;
}

int
remote_delete(struct remote *r, const struct remote_object *o, struct err *e)
{
	return check_key(o->key, e) == -1 ? -1 : r->kind->remove(r, o, e);
}

/* ---- finding out ---- */

int
remote_probe(struct remote *r, struct json **found, struct err *e)
{
	if ((*found = json_new_object(e)) == NULL)
		return -1;
	if (r->kind->probe(r, *found, e) == 0 && complete_probed(&r->can, *found, e) == 0)
		return 0;
	json_free(*found);
	*found = NULL;
	return -1;
}

/* ---- faults ---- */

int
remote_fault_of_failure(const struct http_answer *a, struct fault *f)
{
	static const enum fault_class classes[] = {
	    [HTTP_ANSWERED] = FAULT_NONE,
	    [HTTP_UNRESOLVED] = FAULT_CONFIG,
	    [HTTP_UNREACHABLE] = FAULT_TRANSIENT,
	    [HTTP_TLS] = FAULT_CONFIG,
	    [HTTP_CUT] = FAULT_TRANSIENT,
	    [HTTP_STALLED] = FAULT_STALL,
	    [HTTP_TOO_LARGE] = FAULT_ITEM,
	    [HTTP_NONSENSE] = FAULT_CONFIG,
	};

	if (a->failure == HTTP_ANSWERED)
		return 0;
	*f = (struct fault){.class = classes[a->failure], .retry_after_s = -1};
	snprintf(f->text, sizeof f->text, "%s", a->why);
	return 1;
}

static enum fault_class
class_of_status(int status, int64_t retry_after_s)
{
	switch (status) {
	case 429:
		return FAULT_THROTTLE;
	case 503:
		return retry_after_s > 0 ? FAULT_THROTTLE : FAULT_TRANSIENT;
	case 408:
	case 425:
	case 500:
	case 502:
	case 504:
		return FAULT_TRANSIENT;
	case 507:
		return FAULT_QUOTA;
	default:
		return status >= 300 && status < 400 ? FAULT_CONFIG : FAULT_ITEM;
	}
}

void
remote_fault_of_status(const struct http_answer *a, struct fault *f)
{
	int64_t after = http_retry_after(a);

	*f = (struct fault){.class = class_of_status(a->status, after),
	    .status = a->status,
	    .retry_after_s = after};
	if (f->class == FAULT_QUOTA)
		snprintf(f->text, sizeof f->text, "the server has no room left; free some there");
	else if (f->class == FAULT_CONFIG)
		snprintf(f->text, sizeof f->text,
		    "the server sends us elsewhere (status %d); set the address that it really has",
		    a->status);
	else
		snprintf(f->text, sizeof f->text, "the server answered with status %d", a->status);
}
