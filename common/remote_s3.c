/*
 * s3://BUCKET/PREFIX, at Amazon and at those who speak like it.
 *
 * Source: the Amazon S3 API reference. An object is put by one request, with its digest and with
 * the condition that nothing else is overwritten; whether a request acted whose answer was lost is
 * found out by looking at what is there.
 *
 * Here are the settings, putting and getting. Beside it, lowest first: s3_request (a signed
 * request, and what errors mean), s3_metadata, s3_object (tags, conditions, removing), s3_list,
 * s3_parts (uploads in parts), s3_copy, s3_probe.
 */
#include "remote_kind.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "s3_copy.h"
#include "s3_list.h"
#include "s3_metadata.h"
#include "s3_object.h"
#include "s3_parts.h"
#include "s3_probe.h"
#include "s3_request.h"
#include "sigv4.h"

#define PART_MIN (INT64_C(5) << 20)
#define OBJECT_MAX (INT64_C(5) << 40)

/* ---- opening ---- */

static const char *
set(const char *s)
{
	return s == NULL || s[0] == '\0' ? NULL : s;
}

static char *
default_endpoint(const char *region, struct err *e)
{
	return mem_fmt(e, "https://s3.%s.amazonaws.com%s", region,
	    strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
}

/* host, base and root from the endpoint. */
static int
set_address(struct remote *r, struct s3 *c, const char *endpoint, struct err *e)
{
	const struct remote_settings *s = &r->settings;
	struct http_url u;
	char port[16] = "", dot[80] = "";
	size_t path;

	if (http_url_parse(endpoint, &u, e) == -1)
		return err_prefix(e, "AWS_ENDPOINT_URL");
	c->https = strcmp(u.scheme, "https") == 0;
	if (!c->https && strcmp(u.scheme, "http") != 0)
		return err_set(e, ERR_CONFIG, NULL, "AWS_ENDPOINT_URL must begin with https://");
	if (!c->https && !s->allow_plain && !http_is_loopback(&u))
		return err_set(e, ERR_CONFIG, NULL,
		    "AWS_ENDPOINT_URL of %s is http, where all can read along: write https://",
		    u.host);
	if (u.port != 0 && u.port != (c->https ? 443 : 80))
		snprintf(port, sizeof port, ":%u", u.port);
	if (s->virtual_hosts)
		snprintf(dot, sizeof dot, "%s.", c->bucket);
	for (path = strlen(u.path); path > 0 && u.path[path - 1] == '/'; path--)
		;
	if ((c->host = mem_fmt(e, "%s%s%s", dot, u.host, port)) == NULL ||
	    (c->base = mem_fmt(e, "%s://%s", u.scheme, c->host)) == NULL)
		return -1;
	c->root = mem_fmt(e, "%.*s%s%s", (int)path, u.path, s->virtual_hosts ? "" : "/",
	    s->virtual_hosts ? "" : c->bucket);
	return c->root == NULL ? -1 : 0;
}

static int
set_bucket(struct remote *r, struct s3 *c, struct err *e)
{
	const char *rest = r->settings.url + strlen("s3://");
	size_t n = strcspn(rest, "/");
	const char *prefix = rest + n + (rest[n] == '/');
	size_t len = strlen(prefix);

	if (n < 3 || n > 63)
		return err_set(e, ERR_CONFIG, NULL,
		    "the bucket's name in %s must have 3 to 63 characters", r->settings.url);
	while (len > 0 && prefix[len - 1] == '/')
		len--;
	if (len > REMOTE_KEY_MAX / 2)
		return err_set(e, ERR_CONFIG, NULL,
		    "what follows the bucket in the remote's address is too long: at most %d bytes",
		    REMOTE_KEY_MAX / 2);
	if ((c->bucket = mem_bytes(rest, n, e)) == NULL)
		return -1;
	c->prefix = mem_fmt(e, "%.*s%s", (int)len, prefix, len > 0 ? "/" : "");
	return c->prefix == NULL ? -1 : 0;
}

static int
check_keys(const struct remote_settings *s, struct err *e)
{
	const char *names[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"};
	const char *values[] = {s->access_key, s->secret_key, s->session_token};

	for (size_t i = 0; i < 3; i++) {
		if (i < 2 && set(values[i]) == NULL)
			return err_set(e, ERR_CONFIG, NULL, "%s is not set, but %s needs it",
			    names[i], s->url);
		for (const char *p = values[i]; p != NULL && *p != '\0'; p++)
			if (*p <= 0x20 || *p > 0x7e)
				return err_set(e, ERR_CONFIG, NULL,
				    "%s holds a blank or another character that no key has: set it "
				    "again",
				    names[i]);
	}
	return 0;
}

static bool
is_region(const char *s)
{
	return strlen(s) < S3_CODE_MAX &&
	       s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")] ==
		   '\0';
}

static void
s3_close(struct remote *r)
{
	struct s3 *c = r->own;

	sigv4_close(c->signer);
	free(c->host);
	free(c->base);
	free(c->root);
	free(c->bucket);
	free(c->prefix);
	free(c);
	r->own = NULL;
}

static int
set_up(struct remote *r, struct s3 *c, struct err *e)
{
	const struct remote_settings *s = &r->settings;
	struct sigv4_opts o = {.access_key = s->access_key,
	    .secret_key = s->secret_key,
	    .session_token = s->session_token,
	    .region = set(s->region) != NULL ? s->region : "us-east-1",
	    .service = "s3"};
	char *endpoint;
	int rc;

	if (check_keys(s, e) == -1)
		return -1;
	if (!is_region(o.region))
		return err_set(e, ERR_CONFIG, NULL, "AWS_REGION is no region, such as us-east-1");
	if (set_bucket(r, c, e) == -1)
		return -1;
	endpoint =
	    set(s->endpoint) != NULL ? mem_str(s->endpoint, e) : default_endpoint(o.region, e);
	if (endpoint == NULL)
		return -1;
	rc = set_address(r, c, endpoint, e);
	free(endpoint);
	if (rc == 0 && (c->signer = sigv4_open(&o, e)) == NULL)
		rc = -1;
	return rc;
}

static int
s3_open(struct remote *r, struct err *e)
{
	struct s3 *c = mem_new(1, sizeof *c, e);

	if (c == NULL)
		return -1;
	r->own = c;
	if (set_up(r, c, e) == -1) {
		s3_close(r);
		return -1;
	}
	r->can = (struct remote_capabilities){.ordered = true,
	    .conditional = true,
	    .checksum = true,
	    .checks_content = true,
	    .atomic_put = true,
	    .parallel_parts = true,
	    .copy = true,
	    .single_max = S3_SINGLE_MAX,
	    .part_min = PART_MIN,
	    .parts_max = S3_PARTS_MAX,
	    .object_max = OBJECT_MAX};
	return 0;
}

/* ---- putting ---- */

/* One request: 1 when it is there, 0 when the condition did not hold, -1. */
static int
put_once(struct remote *r, const struct remote_source *s, const struct s3_aim *a,
    struct remote_object *o, struct err *e)
{
	struct s3_op p = s3_op(r, "PUT", s->key);
	int rc = -1;

	p.payload = s->sha256[0] != '\0' ? s->sha256 : SIGV4_UNSIGNED;
	s3_set_body(&p, s, 0, s->size_bytes);
	if (s3_add_description(&p.headers, s, e) == -1 || s3_add_md5(&p.headers, s->md5, e) == -1)
		goto out;
	if (r->can.conditional) {
		/* Where what was to be replaced is gone, some say that it is absent. */
		p.wants = S3_WANTS_CONFLICT | (a->tag[0] != '\0' ? S3_WANTS_ABSENT : 0);
		if (s3_add_condition(&p, a, e) == -1)
			goto out;
	}
	if (s3_run(&p, e) == -1)
		goto out;
	if ((rc = s3_is_done(&p)) == 0 && a->tag[0] != '\0')
		s3_respell(&p);
	memset(o, 0, sizeof *o);
	snprintf(o->key, sizeof o->key, "%s", s->key);
	o->size_bytes = s->size_bytes;
	s3_tag_of_answer(&p, o);
out:
	s3_op_end(&p);
	return rc;
}

static int
tell_wrong(const char *key, struct err *e)
{
	return err_item(e, P_CHECKSUM_MISMATCH,
	    "%s: what arrived has another checksum (ETag) than what was sent, and was removed "
	    "again; if the bucket encrypts with keys of its own, run `rec-sync probe`",
	    key);
}

static int
s3_put(struct remote *r, const struct remote_source *s, struct remote_object *o, struct err *e)
{
	struct s3_aim a = s3_aim_of(s);
	bool look = !r->can.conditional;
	int rc;

	if (r->can.checksum && s3_is_md5(s->md5))
		memcpy(a.made, s->md5, sizeof s->md5);
	for (int i = 0; i < S3_TRIES; i++) {
		if (look && (rc = s3_settle(r, &a, o, e)) != 0)
			return rc == 1 ? 0 : -1;
		if ((rc = put_once(r, s, &a, o, e)) == -1)
			return -1;
		look = true;
		if (rc == 0)
			continue;
		if (o->md5[0] == '\0' || a.made[0] == '\0' || strcmp(o->md5, a.made) == 0)
			return 0;
		if (s3_remove_plain(r, s->key, o->tag, e) == -1)
			return -1;
		if (i == S3_TRIES - 1)
			return tell_wrong(s->key, e);
	}
	return err_item(e, P_CONFLICT,
	    "%s: others put and remove it there at the same time: end them and run again", s->key);
}

/* ---- getting ---- */

struct getting {
	const struct remote_object *o;
	uint64_t at;   /* the next byte that the sink gets */
	uint64_t skip; /* of this attempt, where a range was asked for and the whole came */
	bool begun;    /* this attempt has brought something */
	uint64_t from; /* where this attempt began */
	char tag[REMOTE_TAG_MAX]; /* of the version that was begun; "" */
	int (*sink)(void *ctx, const void *p, size_t len, struct err *e);
	void *ctx;
	struct s3_op op;
};

static int
begin_range(struct s3_op *o, struct err *e)
{
	struct getting *g = o->ctx;

	buf_clear(&o->headers);
	g->begun = false;
	g->skip = 0;
	g->from = g->at;
	if (g->tag[0] != '\0' && s3_add_tag(&o->headers, "If-Match", g->tag, e) == -1)
		return -1;
	return g->at == 0 ? 0 : buf_addf(&o->headers, e, "Range: bytes=%" PRIu64 "-\n", g->at);
}

/* Whether what comes is another version: not all servers hold the condition. */
static bool
is_other(const struct getting *g)
{
	char etag[REMOTE_TAG_MAX + 4], tag[REMOTE_TAG_MAX];

	if (g->tag[0] == '\0' || !http_header(&g->op.a, "ETag", etag, sizeof etag))
		return false;
	s3_unquote(etag, tag);
	return strcmp(tag, g->tag) != 0;
}

/* Whether a part of the object came that begins somewhere else than it should. */
static bool
is_elsewhere(const struct getting *g)
{
	return g->op.a.status == 206 && !http_begins_at(&g->op.a, g->from);
}

static int
take(void *ctx, const void *p, size_t len, struct err *e)
{
	struct getting *g = ctx;
	uint64_t left;

	if (!g->begun) {
		g->begun = true;
		g->skip = g->from > 0 && g->op.a.status == 200 ? g->from : 0;
		if (is_other(g))
			return err_item(
			    e, P_CONFLICT, "%s: it is another version by now", g->o->key);
		if (is_elsewhere(g))
			return err_item(e, P_REMOTE,
			    "%s: the server sends other bytes of it than those asked for",
			    g->o->key);
	}
	left = g->skip < len ? g->skip : len;
	g->skip -= left;
	p = (const char *)p + left;
	len -= left;
	if (len > (uint64_t)g->o->size_bytes - g->at)
		return err_item(e, P_SIZE_MISMATCH,
		    "%s: the server sends more than the %" PRId64 " bytes that it told", g->o->key,
		    g->o->size_bytes);
	g->at += len;
	return len == 0 ? 0 : g->sink(g->ctx, p, len, e);
}

/* After a whole answer. */
static int
look_at_range(struct s3_op *o, struct fault *f, struct err *e)
{
	struct getting *g = o->ctx;

	(void)e;
	if (g->at == (uint64_t)g->o->size_bytes)
		return 0;
	return fault_set(f, FAULT_CONFLICT, o->a.status,
	    "it is shorter by now than the %" PRId64 " bytes that were told", g->o->size_bytes);
}

static int
attempt_get(void *ctx, struct fault *f, struct err *e)
{
	struct getting *g = ctx;
	char etag[REMOTE_TAG_MAX + 4];
	int rc = s3_attempt(&g->op, f, e);

	/* What came before a break counts only for the same version. */
	if (rc == -1 && g->at > 0 && g->tag[0] == '\0' && g->op.a.status < 300 &&
	    http_header(&g->op.a, "ETag", etag, sizeof etag))
		s3_unquote(etag, g->tag);
	return rc;
}

static int
s3_get(struct remote *r, const struct remote_object *o, uint64_t offset,
    int (*sink)(void *ctx, const void *p, size_t len, struct err *e), void *ctx, struct err *e)
{
	struct getting g = {.o = o, .at = offset, .sink = sink, .ctx = ctx};
	uint64_t from;
	int rc;

	if (o->size_bytes < 0 || offset > (uint64_t)o->size_bytes)
		return err_item(e, P_SIZE_MISMATCH, "%s: it is not that long", o->key);
	if (offset > 0 && offset == (uint64_t)o->size_bytes)
		return 0;
	snprintf(g.tag, sizeof g.tag, "%s", o->tag);
	g.op = s3_op(r, "GET", o->key);
	g.op.body.sink = take;
	g.op.body.ctx = &g;
	g.op.before = begin_range;
	g.op.look = look_at_range;
	g.op.ctx = &g;
	/* Many breaks are no reason to give up while each attempt gets further. */
	do {
		from = g.at;
		rc = retry_run(r->retry, o->key, attempt_get, &g, e);
	} while (rc == -1 && e->class == ERR_ITEM && retry_is_later(e) && g.at > from);
	s3_op_end(&g.op);
	return rc;
}

const struct remote_kind remote_s3_kind = {.scheme = "s3",
    .open = s3_open,
    .close = s3_close,
    .check = s3_check,
    .list_open = s3_list_open,
    .list_next = s3_list_next,
    .list_close = s3_list_close,
    .stat = s3_stat,
    .put = s3_put,
    .begin = s3_begin,
    .part = s3_part,
    .arrived = s3_arrived,
    .finish = s3_finish,
    .abort = s3_abort,
    .sweep = s3_sweep,
    .get = s3_get,
    .copy = s3_copy,
    .remove = s3_remove,
    .probe = s3_probe};
