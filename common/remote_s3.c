/*
 * s3://BUCKET/PREFIX, at Amazon and at those who speak like it.
 *
 * Source: the Amazon S3 API reference. An object is put by one request, with its digest and with
 * the condition that nothing else is overwritten; whether a request acted whose answer was lost is
 * found out by looking at what is there. The session of an upload in parts is its upload id.
 *
 * Metadata travel as headers: "_" of their names is "--" on the way (proxies drop such headers, and
 * some servers write "-" for it), and values that are not plain ASCII are percent-encoded.
 *
 * Of an error answer only its code gets into texts: the rest may repeat what was signed.
 */
#include "remote_kind.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clock.h"
#include "io.h"
#include "mem.h"
#include "sigv4.h"
#include "xml.h"

#define GIB (INT64_C(1) << 30)
#define MIB (INT64_C(1) << 20)
#define SINGLE_MAX (5 * GIB) /* also of a part, and of a copy in one request */
#define PARTS_MAX 10000
#define OBJECT_MAX (5 * 1024 * GIB)
#define COPY_PART GIB
#define ANSWER_MAX (16 * MIB) /* a page of a thousand keys, encoded, is some 4 MiB */
#define PAGE_KEYS 1000
#define EMPTY_PAGES 100	  /* in a row: a listing that gets nowhere */
#define METADATA_MAX 2048 /* names and values together */
#define CODE_MAX 64
#define SKEW_ALLOWED_S 300 /* a request that is 15 minutes off is refused */
#define SWEEP_ALLOWED_S 5
#define TRIES 4 /* at one object whose neighbours act at the same time */

struct s3 {
	struct sigv4 *signer;
	char *host; /* as in the Host header */
	char *base; /* https://host[:port] */
	char *root; /* of the bucket: "" or "/BUCKET", encoded */
	char *bucket;
	char *prefix; /* "" or with a "/" at its end */
	bool https;
	atomic_llong skew_s; /* of the server's clock, once it refused ours */
	/* Ceph compares the tag of If-Match with its quotes, and so holds none; it is told tags
	 * without them then. */
	atomic_bool bare_tags;
};

/* Statuses that are no fault, but an answer that the caller looks at. */
enum {
	WANTS_ABSENT = 1,
	WANTS_CONFLICT = 2,    /* 412, and 409 when two conditions met */
	WANTS_UNSUPPORTED = 4, /* 501 */
	WANTS_REFUSED = 8,     /* 400 */
};

/* One request, sent as often as needed. */
struct op {
	struct remote *r;
	const char *method;
	const char *key;    /* relative; NULL: the bucket */
	const char *query;  /* encoded, "" */
	struct buf headers; /* "Name: value\n" */
	const char *payload;
	struct http_request body; /* only what is about the body and the sink */
	unsigned wants;
	/* Before each attempt; or NULL. */
	int (*before)(struct op *o, struct err *e);
	/* At an answer from 200 on; or NULL. 0, or -1 as an attempt of retry_run. */
	int (*look)(struct op *o, struct fault *f, struct err *e);
	void *ctx;
	int64_t skew_s; /* that it was signed with */
	bool bare_tag;	/* If-Match stands without quotes */
	struct http_answer a;
	char code[CODE_MAX];   /* of an error's answer; "" */
	char region[CODE_MAX]; /* that it names; "" */
};

static struct op
op_of(struct remote *r, const char *method, const char *key)
{
	return (struct op){
	    .r = r, .method = method, .key = key, .query = "", .payload = SIGV4_EMPTY};
}

static void
op_end(struct op *o)
{
	http_answer_free(&o->a);
	buf_free(&o->headers);
}

/* ---- what errors mean ---- */

static const struct meaning {
	const char *code;
	enum fault_class class;
	const char *text;
} meanings[] = {
    {"NoSuchBucket", FAULT_CONFIG,
	"there is no such bucket: make it there, or correct it in the remote's address"},
    {"InvalidBucketName", FAULT_CONFIG,
	"no bucket can have this name there: correct it in the remote's address"},
    {"InvalidAccessKeyId", FAULT_CONFIG, "it does not know the access key: set AWS_ACCESS_KEY_ID"},
    {"SignatureDoesNotMatch", FAULT_CONFIG,
	"the secret key is not that of the access key: set AWS_SECRET_ACCESS_KEY"},
    {"AccessDenied", FAULT_CONFIG,
	"the access key may not do this: let it list, read, write and delete in the bucket, or set "
	"another AWS_ACCESS_KEY_ID"},
    {"AllAccessDisabled", FAULT_CONFIG, "the bucket is closed: ask its owner"},
    {"AccountProblem", FAULT_CONFIG, "something is wrong with the account there: look at it"},
    {"AuthorizationHeaderMalformed", FAULT_CONFIG, "it is of another region: set AWS_REGION"},
    {"IllegalLocationConstraintException", FAULT_CONFIG, "it is of another region: set AWS_REGION"},
    {"PermanentRedirect", FAULT_CONFIG,
	"the bucket is elsewhere: set AWS_REGION, or AWS_ENDPOINT_URL to where it is"},
    {"TemporaryRedirect", FAULT_CONFIG,
	"the bucket is elsewhere for now: set AWS_REGION, or AWS_ENDPOINT_URL to where it is"},
    {"ExpiredToken", FAULT_CONFIG,
	"the session ran out: set AWS_SESSION_TOKEN anew, with both keys that belong to it"},
    {"TokenRefreshRequired", FAULT_CONFIG,
	"the session ran out: set AWS_SESSION_TOKEN anew, with both keys that belong to it"},
    {"InvalidToken", FAULT_CONFIG,
	"the session is not known there: set AWS_SESSION_TOKEN and both keys anew, or remove it"},
    {"RequestTimeTooSkewed", FAULT_CONFIG, "the clock of this machine is wrong: set it"},
    {"NotImplemented", FAULT_CONFIG,
	"it does not know what was asked for: run `rec-sync probe` to find out what it does"},
    {"SlowDown", FAULT_THROTTLE, "it wants fewer requests"},
    {"ServiceUnavailable", FAULT_THROTTLE, "it is busy"},
    {"Throttling", FAULT_THROTTLE, "it wants fewer requests"},
    {"TooManyRequests", FAULT_THROTTLE, "it wants fewer requests"},
    {"RequestLimitExceeded", FAULT_THROTTLE, "it wants fewer requests"},
    {"InternalError", FAULT_TRANSIENT, "something failed there"},
    {"OperationAborted", FAULT_TRANSIENT, "another request to the same object came in between"},
    {"RequestTimeout", FAULT_TRANSIENT, "it waited too long for the bytes"},
    {"IncompleteBody", FAULT_TRANSIENT, "not all bytes arrived"},
    {"BadDigest", FAULT_TRANSIENT, "other bytes arrived than were sent"},
    {"XAmzContentSHA256Mismatch", FAULT_TRANSIENT, "other bytes arrived than were sent"},
    {"QuotaExceeded", FAULT_QUOTA, "no room is left: free some there, or have the quota raised"},
    {"InsufficientCapacity", FAULT_QUOTA, "no room is left: free some there"},
    {"XMinioStorageFull", FAULT_QUOTA, "no room is left: free some there"},
    {"EntityTooLarge", FAULT_ITEM, "it takes no object or part of this size"},
    {"EntityTooSmall", FAULT_ITEM, "its parts must be larger"},
    {"KeyTooLongError", FAULT_ITEM, "the name is too long there"},
    {"InvalidPart", FAULT_ITEM, "it has lost a part of the upload: the next run begins it anew"},
    {"InvalidObjectState", FAULT_ITEM, "it is in cold storage: restore it there first"},
    {"PreconditionFailed", FAULT_CONFLICT, "something else is there"},
    {"ConditionalRequestConflict", FAULT_CONFLICT, "something else is being put there"},
    {"NoSuchKey", FAULT_ABSENT, "it is not there"},
    {"NoSuchUpload", FAULT_ABSENT, "there is no such upload any more: the next run begins anew"},
};

/* For answers without a code, as those to HEAD are. */
static const struct {
	int status;
	struct meaning is;
} bare[] = {
    {301, {"", FAULT_CONFIG, "the bucket is elsewhere: set AWS_REGION or AWS_ENDPOINT_URL"}},
    {307, {"", FAULT_CONFIG, "the bucket is elsewhere: set AWS_REGION or AWS_ENDPOINT_URL"}},
    {308, {"", FAULT_CONFIG, "the bucket is elsewhere: set AWS_REGION or AWS_ENDPOINT_URL"}},
    {400, {"", FAULT_ITEM, "it does not understand the request"}},
    {401,
	{"", FAULT_CONFIG, "it does not know us: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"}},
    {403, {"", FAULT_CONFIG,
	      "the access key may not do this: look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, "
	      "and the rights of the bucket"}},
    {404, {"", FAULT_ABSENT, "it is not there"}},
    {412, {"", FAULT_CONFLICT, "something else is there"}},
    {501,
	{"", FAULT_CONFIG,
	    "it does not know what was asked for: run `rec-sync probe` to find out what it does"}},
    {503, {"", FAULT_THROTTLE, "it is busy"}},
};

static const struct meaning *
meaning_of(const struct op *o)
{
	for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
		if (strcmp(meanings[i].code, o->code) == 0)
			return &meanings[i];
	for (size_t i = 0; i < sizeof bare / sizeof bare[0]; i++)
		if (bare[i].status == o->a.status)
			return &bare[i].is;
	return NULL;
}

/* Letters, digits, "-", "_" and "." of what a server says. */
static void
copy_word(char out[CODE_MAX], const char *text)
{
	size_t n = 0;

	for (; *text != '\0' && n + 1 < CODE_MAX; text++)
		if (isalnum((unsigned char)*text) || strchr("-_.", *text) != NULL)
			out[n++] = *text;
	out[n] = '\0';
}

static int
note_error(void *ctx, const char *path, const char *text, struct err *e)
{
	struct op *o = ctx;

	(void)e;
	if (text == NULL)
		return 0;
	if (strcmp(path, "/Error/Code") == 0)
		copy_word(o->code, text);
	else if (strcmp(path, "/Error/Region") == 0)
		copy_word(o->region, text);
	return 0;
}

static void
read_error(struct op *o)
{
	char region[CODE_MAX * 2];
	struct err ignored = {0};

	if (o->a.body.len > 0)
		xml_read(o->a.body.data, o->a.body.len, note_error, o, &ignored);
	if (o->region[0] == '\0' &&
	    http_header(&o->a, "x-amz-bucket-region", region, sizeof region))
		copy_word(o->region, region);
}

/* Signs with the server's time from now on, when ours is what it did not like. */
static bool
is_skew(struct op *o, struct fault *f)
{
	struct s3 *c = o->r->own;
	int64_t off = o->a.skew_s - o->skew_s;

	if (!o->a.has_skew || (off >= -SKEW_ALLOWED_S && off <= SKEW_ALLOWED_S) ||
	    (strcmp(o->code, "RequestTimeTooSkewed") != 0 &&
		!(o->a.status == 403 && o->code[0] == '\0')))
		return false;
	atomic_store(&c->skew_s, o->a.skew_s);
	*f = (struct fault){FAULT_SIGN_IN, o->a.status, -1, ""};
	snprintf(f->text, sizeof f->text,
	    "the clock of this machine is %" PRId64
	    " s %s that of %s: set it; until then requests are signed with the time of the server",
	    off < 0 ? -off : off, off < 0 ? "ahead of" : "behind", c->host);
	return true;
}

static void
judge(struct op *o, struct fault *f)
{
	const struct meaning *m = meaning_of(o);
	const char *text = m == NULL ? "it could not do this" : m->text;
	struct s3 *c = o->r->own;

	if (is_skew(o, f))
		return;
	remote_fault_of_status(&o->a, f);
	if (m != NULL)
		f->class = m->class;
	/* One object may be locked against being deleted, where all else is allowed. */
	if (f->class == FAULT_CONFIG && strcmp(o->code, "AccessDenied") == 0 &&
	    strcmp(o->method, "DELETE") == 0)
		f->class = FAULT_ITEM;
	snprintf(f->text, sizeof f->text, "%s answered %d%s%s for bucket \"%s\": %s%s%s%s", c->host,
	    o->a.status, o->code[0] != '\0' ? " " : "", o->code, c->bucket, text,
	    o->region[0] != '\0' ? " (it says " : "", o->region, o->region[0] != '\0' ? ")" : "");
}

/* ---- requests ---- */

/* "/BUCKET/PREFIXraw/NAME" */
static int
put_path(const struct s3 *c, const char *key, struct buf *out, struct err *e)
{
	if (buf_adds(out, c->root, e) == -1 || buf_adds(out, "/", e) == -1)
		return -1;
	if (key == NULL)
		return 0;
	if (http_escape(out, c->prefix, strlen(c->prefix), true, e) == -1)
		return -1;
	return http_escape(out, key, strlen(key), true, e);
}

/* Pointers to the lines, which are ended in place; NULL-ended. */
static const char **
split_lines(struct buf *lines, struct err *e)
{
	const char **each;
	size_t n = 0;

	for (size_t i = 0; i < lines->len; i++)
		n += lines->data[i] == '\n';
	if ((each = mem_new(n + 1, sizeof *each, e)) == NULL)
		return NULL;
	n = 0;
	for (char *p = lines->data, *end; p != NULL && (end = strchr(p, '\n')) != NULL;
	     p = end + 1) {
		*end = '\0';
		each[n++] = p;
	}
	return each;
}

static int
sign(struct op *o, const char *path, struct buf *lines, struct err *e)
{
	struct s3 *c = o->r->own;
	struct buf own = {0};
	const char **each = NULL;
	int rc = -1;
	struct sigv4_request q = {.method = o->method,
	    .host = c->host,
	    .path = path,
	    .query = o->query,
	    .payload = o->payload,
	    .time = clock_now()};

	q.time.tv_sec += o->skew_s = atomic_load(&c->skew_s);
	if (buf_add(&own, o->headers.data, o->headers.len, e) == -1 ||
	    (each = split_lines(&own, e)) == NULL)
		goto out;
	q.headers = each;
	if (buf_add(lines, o->headers.data, o->headers.len, e) == -1 ||
	    sigv4_sign(c->signer, &q, lines, e) == -1)
		goto out;
	rc = 0;
out:
	free(each);
	buf_free(&own);
	return rc;
}

static int
send_signed(struct op *o, struct err *e)
{
	struct s3 *c = o->r->own;
	struct buf url = {0}, lines = {0};
	const char **headers = NULL;
	struct http_request q = o->body;
	int rc = -1;

	if (buf_adds(&url, c->base, e) == -1 || put_path(c, o->key, &url, e) == -1 ||
	    sign(o, url.data + strlen(c->base), &lines, e) == -1 ||
	    (headers = split_lines(&lines, e)) == NULL)
		goto out;
	if (o->query[0] != '\0' && buf_addf(&url, e, "?%s", o->query) == -1)
		goto out;
	q.method = o->method;
	q.url = url.data;
	q.headers = headers;
	if (q.max_answer == 0 && q.sink == NULL)
		q.max_answer = ANSWER_MAX;
	rc = http_send(o->r->http, &q, &o->a, e);
out:
	if (lines.len > 0)
		explicit_bzero(lines.data, lines.len);
	free(headers);
	buf_free(&lines);
	buf_free(&url);
	return rc;
}

static bool
is_wanted(const struct op *o)
{
	switch (o->a.status) {
	case 400:
		return o->wants & WANTS_REFUSED;
	case 404:
		return o->wants & WANTS_ABSENT && strcmp(o->code, "NoSuchBucket") != 0;
	case 409:
		return o->wants & WANTS_CONFLICT &&
		       strcmp(o->code, "ConditionalRequestConflict") == 0;
	case 412:
		return o->wants & WANTS_CONFLICT;
	case 501:
		return o->wants & WANTS_UNSUPPORTED;
	default:
		return false;
	}
}

static int
attempt(void *ctx, struct fault *f, struct err *e)
{
	struct op *o = ctx;

	*f = (struct fault){.class = FAULT_NONE, .retry_after_s = -1};
	http_answer_free(&o->a);
	o->a = (struct http_answer){0};
	o->code[0] = o->region[0] = '\0';
	if ((o->before != NULL && o->before(o, e) == -1) || send_signed(o, e) == -1)
		return -1;
	if (remote_fault_of_failure(&o->a, f))
		return -1;
	if (o->a.status >= 200 && o->a.status < 300)
		return o->look == NULL ? 0 : o->look(o, f, e);
	read_error(o);
	if (is_wanted(o))
		return 0;
	judge(o, f);
	return -1;
}

static int
run(struct op *o, struct err *e)
{
	return retry_run(o->r->retry, o->key == NULL ? o->r->settings.url : o->key, attempt, o, e);
}

static bool
is_done(const struct op *o)
{
	return o->a.status >= 200 && o->a.status < 300;
}

/* The status that an error would have had; 0 when it makes no difference. */
static int
status_of_code(const char *code)
{
	static const struct {
		const char *code;
		int status;
	} known[] = {
	    {"PreconditionFailed", 412},
	    {"ConditionalRequestConflict", 409},
	    {"NoSuchKey", 404},
	    {"NoSuchUpload", 404},
	    {"NotImplemented", 501},
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcmp(known[i].code, code) == 0)
			return known[i].status;
	return 0;
}

/* A look: what was answered with 200 is no error in truth (of requests that take long, S3 knows the
 * outcome only after it has begun to answer). */
static int
look_for_error(struct op *o, struct fault *f, struct err *e)
{
	struct err bad = {0};
	int status;

	(void)e;
	if (xml_read(o->a.body.len > 0 ? o->a.body.data : "", o->a.body.len, note_error, o, &bad) ==
	    -1) {
		*f = (struct fault){FAULT_TRANSIENT, o->a.status, -1, ""};
		snprintf(f->text, sizeof f->text, "%.300s", bad.text);
		return -1;
	}
	if (o->code[0] == '\0')
		return 0;
	if ((status = status_of_code(o->code)) != 0)
		o->a.status = status;
	if (is_wanted(o))
		return 0;
	judge(o, f);
	return -1;
}

static int
add_escaped(struct buf *query, const char *name, const char *value, struct err *e)
{
	if (buf_addf(query, e, "%s%s=", query->len > 0 ? "&" : "", name) == -1)
		return -1;
	return http_escape(query, value, strlen(value), false, e);
}

/* ---- tags and hashes ---- */

/* An ETag without its quotes. */
static void
unquote(const char *text, char tag[REMOTE_TAG_MAX])
{
	size_t n = 0;

	for (; *text != '\0' && n + 1 < REMOTE_TAG_MAX; text++)
		if (*text != '"')
			tag[n++] = *text;
	tag[*text == '\0' ? n : 0] = '\0';
}

static int
add_tag(struct buf *headers, const char *name, const char *tag, struct err *e)
{
	bool weak = strncmp(tag, "W/", 2) == 0;

	return buf_addf(headers, e, "%s: %s\"%s\"\n", name, weak ? "W/" : "", tag + 2 * weak);
}

static bool
is_md5(const char *s)
{
	return strlen(s) == HASH_MD5_HEX - 1 && strspn(s, "0123456789abcdef") == HASH_MD5_HEX - 1;
}

/* Where the ETag is that of a single put, it is the MD5. */
static void
set_tag(const struct remote *r, struct remote_object *o, const char *etag)
{
	unquote(etag, o->tag);
	o->md5[0] = '\0';
	if (r->can.checksum && is_md5(o->tag))
		memcpy(o->md5, o->tag, sizeof o->md5);
}

/* With keys of the server's own the ETag is the MD5 of what it made of the bytes. */
static bool
is_encrypted(const struct op *o)
{
	char how[64];

	return http_header(
		   &o->a, "x-amz-server-side-encryption-customer-algorithm", how, sizeof how) ||
	       (http_header(&o->a, "x-amz-server-side-encryption", how, sizeof how) &&
		   strncmp(how, "aws:kms", 7) == 0);
}

static void
tag_of_answer(const struct op *o, struct remote_object *out)
{
	char etag[REMOTE_TAG_MAX + 4];

	out->tag[0] = out->md5[0] = '\0';
	if (http_header(&o->a, "ETag", etag, sizeof etag))
		set_tag(o->r, out, etag);
	if (is_encrypted(o))
		out->md5[0] = '\0';
}

/* The Content-MD5 header of bytes with this digest. */
static int
add_md5(struct buf *headers, const char *md5, struct err *e)
{
	unsigned char raw[16];
	char text[25];

	if (!is_md5(md5) || hash_unhex(md5, HASH_MD5_HEX - 1, raw) == -1)
		return 0;
	hash_base64(raw, sizeof raw, text);
	return buf_addf(headers, e, "Content-MD5: %s\n", text);
}

/* ---- metadata ---- */

static bool
is_plain(const char *v)
{
	size_t n = strlen(v);

	if (n == 0 || v[0] == ' ' || v[n - 1] == ' ' || strstr(v, "  ") != NULL)
		return false;
	for (; *v != '\0'; v++)
		if (*v < 0x20 || *v > 0x7e || *v == '%')
			return false;
	return true;
}

static bool
is_name(const char *s)
{
	return *s != '\0' && s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-_")] == '\0';
}

static int
metadata_line(const char *name, const char *value, struct buf *out, struct err *e)
{
	if (buf_adds(out, "x-amz-meta-", e) == -1)
		return -1;
	for (; *name != '\0'; name++)
		if ((*name == '_' ? buf_adds(out, "--", e) : buf_add(out, name, 1, e)) == -1)
			return -1;
	if (buf_adds(out, ": ", e) == -1 ||
	    (is_plain(value) ? buf_adds(out, value, e)
			     : http_escape(out, value, strlen(value), false, e)) == -1)
		return -1;
	return buf_adds(out, "\n", e);
}

/* The name as it was, in place. */
static void
read_name(char *s)
{
	char *to = s;

	for (; *s != '\0'; s++) {
		bool underscore = s[0] == '-' && s[1] == '-';

		*to++ = underscore ? '_' : (char)tolower((unsigned char)*s);
		s += underscore;
	}
	*to = '\0';
}

/* What a line counts against the limit: without "x-amz-meta-", ": " and the newline. */
static size_t
counted(const char *line)
{
	return strcspn(line, "\n") - strlen("x-amz-meta-") - strlen(": ");
}

/* Removes the longest line. */
static void
drop_longest(struct buf *lines)
{
	size_t at = 0, most = 0;

	for (size_t i = 0; i < lines->len;) {
		size_t n = strcspn(lines->data + i, "\n") + 1;

		if (n > most) {
			most = n;
			at = i;
		}
		i += n;
	}
	memmove(lines->data + at, lines->data + at + most, lines->len - at - most + 1);
	lines->len -= most;
}

static size_t
counted_all(const struct buf *lines)
{
	size_t all = 0;

	for (size_t i = 0; i < lines->len; i += strcspn(lines->data + i, "\n") + 1)
		all += counted(lines->data + i);
	return all;
}

static int
add_metadata(struct buf *headers, const struct json *metadata, struct err *e)
{
	struct buf lines = {0};
	const char *name;
	struct json *v;
	int rc = 0;

	for (void *it = json_first(metadata, &name, &v); rc == 0 && it != NULL;
	     it = json_next(metadata, it, &name, &v)) {
		const char *value = json_to_str(v, NULL);

		if (is_name(name) && value != NULL && value[0] != '\0')
			rc = metadata_line(name, value, &lines, e);
	}
	while (rc == 0 && counted_all(&lines) > METADATA_MAX)
		drop_longest(&lines);
	if (rc == 0)
		rc = buf_add(headers, lines.data, lines.len, e);
	buf_free(&lines);
	return rc;
}

/* One line of the head, without its end, if it is metadata. */
static int
read_metadata_line(struct json *out, const char *line, size_t len, struct err *e)
{
	static const char begin[] = "x-amz-meta-";
	char *text, *value;
	int rc = 0;

	if (strncasecmp(line, begin, sizeof begin - 1) != 0)
		return 0;
	if ((text = mem_bytes(line + sizeof begin - 1, len - (sizeof begin - 1), e)) == NULL)
		return -1;
	value = text + strcspn(text, ":");
	if (*value == ':') {
		*value++ = '\0';
		value += strspn(value, " ");
	}
	read_name(text);
	/* What others put there need be neither encoded nor UTF-8: it is left out. */
	if (http_unescape(value) && json_put_str(out, text, value, e) == -1)
		rc = e->class == ERR_ITEM ? 0 : -1;
	free(text);
	return rc;
}

static struct json *
read_metadata(const struct http_answer *a, struct err *e)
{
	struct json *out = json_new_object(e);
	const char *p = a->head.data;

	while (out != NULL && p != NULL && *p != '\0') {
		size_t len = strcspn(p, "\r\n");

		if (read_metadata_line(out, p, len, e) == -1) {
			json_free(out);
			return NULL;
		}
		p += len;
		p += strspn(p, "\r\n");
	}
	return out;
}

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
	return strlen(s) < CODE_MAX &&
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
	    .single_max = SINGLE_MAX,
	    .part_min = 5 * MIB,
	    .parts_max = PARTS_MAX,
	    .object_max = OBJECT_MAX};
	return 0;
}

/* ---- listing ---- */

struct listing {
	struct remote *r;
	const char *prefix, *after, *until; /* the last two "" */
	char *token;			    /* of the next page; NULL */
	struct remote_object *page;
	size_t n, room, at;
	bool begun, ended;
	unsigned empty;		       /* pages in a row */
	char last[REMOTE_KEY_MAX + 1]; /* given; "" */
	struct remote_sorted *sorted;  /* where the order is not that of the bytes */
};

/* What one page says, while it is read. */
struct page {
	struct listing *l;
	bool encoded, truncated, is_list;
	char *next;
	struct remote_object o;
	bool good; /* o has a key of ours */
};

/* The text of a name as encoding-type=url has it: form encoding. */
static bool
decode(char *s)
{
	for (char *p = s; *p != '\0'; p++)
		if (*p == '+')
			*p = ' ';
	return http_unescape(s);
}

/* The relative key of a name in an answer, or false. */
static int
read_key(const struct s3 *c, const char *text, bool encoded, char key[REMOTE_KEY_MAX + 1],
    bool *good, struct err *e)
{
	size_t n = strlen(c->prefix);
	char *name = mem_str(text, e);

	if (name == NULL)
		return -1;
	*good = (!encoded || decode(name)) && strncmp(name, c->prefix, n) == 0 &&
		strlen(name + n) <= REMOTE_KEY_MAX;
	if (*good)
		strcpy(key, name + n);
	free(name);
	return 0;
}

static int
add_object(struct listing *l, const struct remote_object *o, struct err *e)
{
	if (l->n == l->room) {
		size_t room = l->room == 0 ? PAGE_KEYS : 2 * l->room;
		struct remote_object *more = reallocarray(l->page, room, sizeof *more);

		if (more == NULL)
			return err_nomem(e);
		l->page = more;
		l->room = room;
	}
	l->page[l->n++] = *o;
	return 0;
}

static int
note_contents(struct page *p, const char *name, const char *text, struct err *e)
{
	struct remote *r = p->l->r;

	if (strcmp(name, "/Key") == 0)
		return read_key(r->own, text, p->encoded, p->o.key, &p->good, e);
	if (strcmp(name, "/Size") == 0 && !mem_parse_i64(text, 0, INT64_MAX, &p->o.size_bytes))
		p->o.size_bytes = -1;
	else if (strcmp(name, "/ETag") == 0)
		set_tag(r, &p->o, text);
	else if (strcmp(name, "/LastModified") == 0 && strlen(text) < sizeof p->o.modified)
		strcpy(p->o.modified, text);
	else if (name[0] == '\0' && p->good)
		return add_object(p->l, &p->o, e);
	return 0;
}

static int
note_page(void *ctx, const char *path, const char *text, struct err *e)
{
	static const char root[] = "/ListBucketResult", contents[] = "/ListBucketResult/Contents";
	struct page *p = ctx;

	if (strncmp(path, contents, sizeof contents - 1) == 0) {
		path += sizeof contents - 1;
		if (text != NULL)
			return note_contents(p, path, text, e);
		if (path[0] == '\0') {
			memset(&p->o, 0, sizeof p->o);
			p->o.size_bytes = -1;
			p->good = false;
		}
		return 0;
	}
	if (strncmp(path, root, sizeof root - 1) != 0)
		return 0;
	p->is_list = true;
	path += sizeof root - 1;
	if (text != NULL && strcmp(path, "/IsTruncated") == 0)
		p->truncated = strcmp(text, "true") == 0;
	if (text != NULL && text[0] != '\0' && strcmp(path, "/NextContinuationToken") == 0) {
		free(p->next);
		if ((p->next = mem_str(text, e)) == NULL)
			return -1;
	}
	return 0;
}

static int
list_query(const struct listing *l, struct buf *query, struct err *e)
{
	const struct s3 *c = l->r->own;
	struct buf name = {0};
	int rc = -1;

	if (buf_addf(query, e, "list-type=2&encoding-type=url&max-keys=%d", PAGE_KEYS) == -1 ||
	    buf_adds(&name, c->prefix, e) == -1 || buf_adds(&name, l->prefix, e) == -1 ||
	    add_escaped(query, "prefix", name.data == NULL ? "" : name.data, e) == -1)
		goto out;
	buf_clear(&name);
	if (l->token != NULL) {
		rc = add_escaped(query, "continuation-token", l->token, e);
	} else if (l->after[0] != '\0' && l->r->can.ordered) {
		if (buf_addf(&name, e, "%s%s", c->prefix, l->after) == 0)
			rc = add_escaped(query, "start-after", name.data, e);
	} else {
		rc = 0;
	}
out:
	buf_free(&name);
	return rc;
}

/* Where the next page is: a listing must get on. */
static int
turn(struct listing *l, struct page *p, struct err *e)
{
	l->empty = l->n == 0 ? l->empty + 1 : 0;
	if (p->truncated && (p->next == NULL || l->empty > EMPTY_PAGES ||
				(l->token != NULL && strcmp(l->token, p->next) == 0)))
		return err_item(e, P_REMOTE,
		    "the list of %s does not get on: the server says that there is more, but not "
		    "where (it must know ListObjectsV2)",
		    l->prefix);
	free(l->token);
	l->token = p->next;
	p->next = NULL;
	l->ended = !p->truncated;
	return 0;
}

static int
read_page(struct listing *l, const struct http_answer *a, struct err *e)
{
	struct page p = {.l = l};
	const char *text = a->body.len > 0 ? a->body.data : "";
	int rc;

	/* It may come after the names that it is about. */
	p.encoded = strstr(text, "<EncodingType>url<") != NULL;
	rc = xml_read(text, a->body.len, note_page, &p, e);
	if (rc == 0 && !p.is_list)
		rc = err_set(e, ERR_CONFIG, NULL,
		    "what answers at %s is no S3: look at AWS_ENDPOINT_URL",
		    ((struct s3 *)l->r->own)->host);
	if (rc == 0)
		rc = turn(l, &p, e);
	free(p.next);
	return rc;
}

static int
fetch_page(struct listing *l, struct err *e)
{
	struct op o = op_of(l->r, "GET", NULL);
	struct buf query = {0};
	int rc = -1;

	l->n = l->at = 0;
	l->begun = true;
	if (list_query(l, &query, e) == 0) {
		o.query = query.data;
		rc = run(&o, e);
	}
	if (rc == 0)
		rc = read_page(l, &o.a, e);
	op_end(&o);
	buf_free(&query);
	return rc;
}

static int
s3_list_open(struct remote *r, const char *prefix, const char *after, const char *until, void **own,
    struct err *e)
{
	struct listing *l = mem_new(1, sizeof *l, e);

	if (l == NULL)
		return -1;
	*l = (struct listing){.r = r, .prefix = prefix, .after = after, .until = until};
	*own = l;
	return 0;
}

static int
sort_all(struct listing *l, struct err *e)
{
	if ((l->sorted = remote_sorted_new(e)) == NULL)
		return -1;
	while (!l->ended) {
		if (fetch_page(l, e) == -1)
			return -1;
		for (size_t i = 0; i < l->n; i++)
			if (remote_sorted_add(l->sorted, &l->page[i], e) == -1)
				return -1;
	}
	remote_sorted_sort(l->sorted);
	return 0;
}

/* In the remote's own order, which was found to be that of the bytes, or is said to be. */
static int
next_ordered(struct listing *l, struct remote_object *o, struct err *e)
{
	const struct remote_object *next;

	do {
		while (l->at == l->n) {
			if (l->ended)
				return 0;
			if (fetch_page(l, e) == -1)
				return -1;
		}
		next = &l->page[l->at++];
	} while (strcmp(next->key, l->after) <= 0);
	if (strcmp(next->key, l->last) <= 0)
		return err_item(e, P_REMOTE,
		    "the server lists %s in another order than that of names, or twice: run "
		    "`rec-sync probe`",
		    next->key);
	if (l->until[0] != '\0' && strcmp(next->key, l->until) > 0) {
		l->at = l->n;
		l->ended = true;
		return 0;
	}
	strcpy(l->last, next->key);
	*o = *next;
	return 1;
}

static int
s3_list_next(struct remote *r, void *own, struct remote_object *o, struct err *e)
{
	struct listing *l = own;

	if (r->can.ordered)
		return next_ordered(l, o, e);
	if (l->sorted == NULL && sort_all(l, e) == -1)
		return -1;
	return remote_sorted_next(l->sorted, o);
}

static void
s3_list_close(struct remote *r, void *own)
{
	struct listing *l = own;

	(void)r;
	if (l == NULL)
		return;
	remote_sorted_free(l->sorted);
	free(l->token);
	free(l->page);
	free(l);
}

/* A list of nothing shows bucket, keys, clock and region. */
static int
s3_check(struct remote *r, struct err *e)
{
	struct op o = op_of(r, "GET", NULL);
	struct listing l = {.r = r, .prefix = "", .after = "", .until = ""};
	struct buf query = {0};
	int rc = -1;

	if (buf_adds(&query, "list-type=2&max-keys=1", e) == 0 &&
	    add_escaped(&query, "prefix", ((struct s3 *)r->own)->prefix, e) == 0) {
		o.query = query.data;
		rc = run(&o, e);
	}
	if (rc == 0)
		rc = read_page(&l, &o.a, e);
	if (rc == -1 && e->class == ERR_ITEM && !retry_is_later(e))
		e->class = ERR_CONFIG;
	op_end(&o);
	buf_free(&query);
	free(l.token);
	free(l.page);
	return rc;
}

/* ---- looking at one ---- */

/* "Mon, 23 Nov 2026 06:37:36 GMT" (RFC 9110), whatever the locale; "" for another text. */
static void
read_date(const char *text, char out[40])
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char day[3], month[4], year[5], clock[9];
	const char *at;

	out[0] = '\0';
	if (sscanf(text, "%*3c, %2s %3s %4s %8s GMT", day, month, year, clock) == 4 &&
	    (at = strstr(months, month)) != NULL)
		snprintf(
		    out, 40, "%s-%02d-%sT%sZ", year, (int)(at - months) / 3 % 12 + 1, day, clock);
}

static int
s3_stat(struct remote *r, const char *key, struct remote_object *o, struct json **metadata,
    struct err *e)
{
	struct op h = op_of(r, "HEAD", key);
	char text[64];
	int rc = -1;

	h.wants = WANTS_ABSENT;
	memset(o, 0, sizeof *o);
	if (metadata != NULL)
		*metadata = NULL;
	if (run(&h, e) == -1)
		goto out;
	if (h.a.status == 404) {
		rc = 0;
		goto out;
	}
	snprintf(o->key, sizeof o->key, "%s", key);
	tag_of_answer(&h, o);
	if (http_header(&h.a, "Last-Modified", text, sizeof text))
		read_date(text, o->modified);
	if (!http_header(&h.a, "Content-Length", text, sizeof text) ||
	    !mem_parse_i64(text, 0, INT64_MAX, &o->size_bytes)) {
		err_item(e, P_REMOTE, "%s: the server does not say how long it is", key);
		goto out;
	}
	if (metadata != NULL && (*metadata = read_metadata(&h.a, e)) == NULL)
		goto out;
	rc = 1;
out:
	op_end(&h);
	return rc;
}

/* ---- what may be overwritten ---- */

/* What a request wants to be there, and what tells that it acted. */
struct aim {
	const char *key;
	char tag[REMOTE_TAG_MAX]; /* that may be overwritten; "": nothing may be there */
	int64_t size_bytes;
	char made[REMOTE_TAG_MAX]; /* the tag that it makes; "" when it cannot be known */
};

static struct aim
aim_of(const struct remote_source *s)
{
	struct aim a = {.key = s->key, .size_bytes = s->size_bytes};

	if (s->condition == REMOTE_REPLACE && s->tag != NULL)
		snprintf(a.tag, sizeof a.tag, "%s", s->tag);
	return a;
}

static bool
is_made(const struct aim *a, const struct remote_object *o)
{
	return a->made[0] != '\0' && o->size_bytes == a->size_bytes && strcmp(o->tag, a->made) == 0;
}

/*
 * Looks at what is there: 1 when it is what was to be made (*o), 0 when the way is free, -1 and *e,
 * conflict, when something else is in it. When what could be replaced is gone, nothing may be
 * there any more.
 */
static int
settle(struct remote *r, struct aim *a, struct remote_object *o, struct err *e)
{
	int rc = s3_stat(r, a->key, o, NULL, e);

	if (rc == -1)
		return -1;
	if (rc == 0) {
		a->tag[0] = '\0';
		return 0;
	}
	if (a->tag[0] != '\0' && strcmp(o->tag, a->tag) == 0)
		return 0;
	if (is_made(a, o))
		return 1;
	return err_item(e, P_CONFLICT,
	    "%s: something else is there under this name (%" PRId64
	    " bytes), that another put there: compare them and rename one",
	    a->key, o->size_bytes);
}

static int
add_match(struct op *o, const char *tag, struct err *e)
{
	o->bare_tag = atomic_load(&((struct s3 *)o->r->own)->bare_tags);
	if (o->bare_tag)
		return buf_addf(&o->headers, e, "If-Match: %s\n", tag);
	return add_tag(&o->headers, "If-Match", tag, e);
}

static int
add_condition(struct op *o, const struct aim *a, struct err *e)
{
	if (a->tag[0] == '\0')
		return buf_adds(&o->headers, "If-None-Match: *\n", e);
	return add_match(o, a->tag, e);
}

/* When a condition did not hold although it should have. */
static void
respell(const struct op *o)
{
	atomic_store(&((struct s3 *)o->r->own)->bare_tags, !o->bare_tag);
}

/* The status of the answer, or -1. */
static int
remove_once(struct remote *r, const char *key, const char *tag, struct err *e)
{
	struct op d = op_of(r, "DELETE", key);
	int rc = -1;

	d.wants = WANTS_ABSENT | WANTS_CONFLICT | WANTS_UNSUPPORTED;
	if (tag[0] != '\0' && add_match(&d, tag, e) == -1)
		goto out;
	if (run(&d, e) == -1)
		goto out;
	rc = d.a.status;
	if (rc == 412)
		respell(&d);
out:
	op_end(&d);
	return rc;
}

static int
remove_plain(struct remote *r, const char *key, const char *tag, struct err *e)
{
	int status = 412;

	if (!r->can.conditional)
		tag = "";
	for (int i = 0; i < 2 && status == 412; i++)
		status = remove_once(r, key, tag, e);
	if (status == 501 && tag[0] != '\0')
		status = remove_once(r, key, "", e);
	if (status == -1 || status < 300 || status == 404)
		return status == -1 ? -1 : 0;
	return err_item(e, P_CONFLICT,
	    "%s: it is another version by now, and stays as it is (status %d)", key, status);
}

/* Only after a look: not all servers know the condition, and those that do not delete anyhow. */
static int
s3_remove(struct remote *r, const struct remote_object *o, struct err *e)
{
	struct remote_object there;
	int rc;

	if (o->tag[0] == '\0')
		return remove_plain(r, o->key, "", e);
	if ((rc = s3_stat(r, o->key, &there, NULL, e)) != 1)
		return rc;
	if (strcmp(there.tag, o->tag) != 0)
		return err_item(
		    e, P_CONFLICT, "%s: it is another version by now, and stays as it is", o->key);
	return remove_plain(r, o->key, o->tag, e);
}

/* ---- putting ---- */

static void
set_body(struct op *o, const struct remote_source *s, int64_t offset, int64_t size)
{
	if (s->fd >= 0) {
		o->body.has_file = true;
		o->body.fd = s->fd;
		o->body.offset = (uint64_t)offset;
		o->body.bytes = (uint64_t)size;
	} else {
		o->body.body = size > 0 ? (const char *)s->bytes + offset : NULL;
		o->body.body_len = (size_t)size;
	}
}

static int
add_description(struct buf *headers, const struct remote_source *s, struct err *e)
{
	const char *type = set(s->mime_type);

	if (buf_addf(headers, e, "Content-Type: %s\n",
		type != NULL && is_plain(type) ? type : "application/octet-stream") == -1)
		return -1;
	return s->metadata == NULL ? 0 : add_metadata(headers, s->metadata, e);
}

/* One request: 1 when it is there, 0 when the condition did not hold, -1. */
static int
put_once(struct remote *r, const struct remote_source *s, const struct aim *a,
    struct remote_object *o, struct err *e)
{
	struct op p = op_of(r, "PUT", s->key);
	int rc = -1;

	p.payload = s->sha256[0] != '\0' ? s->sha256 : SIGV4_UNSIGNED;
	set_body(&p, s, 0, s->size_bytes);
	if (add_description(&p.headers, s, e) == -1 || add_md5(&p.headers, s->md5, e) == -1)
		goto out;
	if (r->can.conditional) {
		/* Where what was to be replaced is gone, some say that it is absent. */
		p.wants = WANTS_CONFLICT | (a->tag[0] != '\0' ? WANTS_ABSENT : 0);
		if (add_condition(&p, a, e) == -1)
			goto out;
	}
	if (run(&p, e) == -1)
		goto out;
	if ((rc = is_done(&p)) == 0 && a->tag[0] != '\0')
		respell(&p);
	memset(o, 0, sizeof *o);
	snprintf(o->key, sizeof o->key, "%s", s->key);
	o->size_bytes = s->size_bytes;
	tag_of_answer(&p, o);
out:
	op_end(&p);
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
	struct aim a = aim_of(s);
	bool look = !r->can.conditional;
	int rc;

	if (r->can.checksum && is_md5(s->md5))
		memcpy(a.made, s->md5, sizeof s->md5);
	for (int i = 0; i < TRIES; i++) {
		if (look && (rc = settle(r, &a, o, e)) != 0)
			return rc == 1 ? 0 : -1;
		if ((rc = put_once(r, s, &a, o, e)) == -1)
			return -1;
		look = true;
		if (rc == 0)
			continue;
		if (o->md5[0] == '\0' || a.made[0] == '\0' || strcmp(o->md5, a.made) == 0)
			return 0;
		if (remove_plain(r, s->key, o->tag, e) == -1)
			return -1;
		if (i == TRIES - 1)
			return tell_wrong(s->key, e);
	}
	return err_item(e, P_CONFLICT,
	    "%s: others put and remove it there at the same time: end them and run again", s->key);
}

/* ---- putting in parts ---- */

/* The text of one element of an answer. */
struct wanted {
	const char *path;
	char *out;
	size_t size;
};

static int
note_wanted(void *ctx, const char *path, const char *text, struct err *e)
{
	struct wanted *w = ctx;

	(void)e;
	if (text != NULL && strcmp(path, w->path) == 0 && strlen(text) < w->size)
		strcpy(w->out, text);
	return 0;
}

/* "" when the answer has no such element, or one that is too long. */
static int
element(const struct http_answer *a, const char *path, char *out, size_t size, struct err *e)
{
	struct wanted w = {path, out, size};

	out[0] = '\0';
	return xml_read(a->body.len > 0 ? a->body.data : "", a->body.len, note_wanted, &w, e);
}

static int
begin_upload(struct op *o, char session[REMOTE_SESSION_MAX], struct err *e)
{
	o->query = "uploads=";
	o->look = look_for_error;
	if (run(o, e) == -1 || element(&o->a, "/InitiateMultipartUploadResult/UploadId", session,
				   REMOTE_SESSION_MAX, e) == -1)
		return -1;
	for (const char *p = session; *p != '\0'; p++)
		if (*p <= 0x20 || *p > 0x7e)
			session[0] = '\0';
	if (session[0] == '\0')
		return err_item(
		    e, P_REMOTE, "%s: the server began an upload without a name", o->key);
	return 0;
}

static int
s3_begin(struct remote *r, const struct remote_source *s, const char *id,
    char session[REMOTE_SESSION_MAX], struct err *e)
{
	struct op o = op_of(r, "POST", s->key);
	int rc = -1;

	(void)id;
	if (add_description(&o.headers, s, e) == 0)
		rc = begin_upload(&o, session, e);
	op_end(&o);
	return rc;
}

/* A part is right when its ETag is its MD5. */
static int
look_at_part(struct op *o, struct fault *f, struct err *e)
{
	struct remote_part *p = o->ctx;
	struct remote_object got = {0};

	(void)e;
	tag_of_answer(o, &got);
	memcpy(p->tag, got.tag, sizeof p->tag);
	if (p->md5[0] == '\0' || got.md5[0] == '\0' || strcmp(got.md5, p->md5) == 0)
		return 0;
	*f = (struct fault){FAULT_TRANSIENT, o->a.status, -1, ""};
	snprintf(f->text, sizeof f->text,
	    "part %u arrived with another checksum (ETag) than it was sent with; if the bucket "
	    "encrypts with keys of its own, run `rec-sync probe`",
	    p->number);
	return -1;
}

static int
hash_range(const struct remote_source *s, int64_t offset, int64_t size, char hex[HASH_SHA256_HEX],
    struct err *e)
{
	struct hash *h = hash_open(HASH_SHA256, e);
	size_t room = 256 << 10;
	char *piece = s->fd >= 0 ? mem_new(1, room, e) : NULL;
	int rc = h == NULL || (s->fd >= 0 && piece == NULL) ? -1 : 0;

	if (rc == 0 && s->fd < 0)
		hash_update(h, (const char *)s->bytes + offset, (size_t)size);
	while (rc == 0 && s->fd >= 0 && size > 0) {
		size_t n = size < (int64_t)room ? (size_t)size : room;

		if (io_pread(s->fd, piece, n, (uint64_t)offset, e) != (ssize_t)n) {
			rc = e->class != ERR_NONE ? -1
						  : err_item(e, P_MODIFIED,
							"%s: it became shorter meanwhile", s->key);
			break;
		}
		hash_update(h, piece, n);
		offset += (int64_t)n;
		size -= (int64_t)n;
	}
	if (rc == 0)
		hash_sha256(h, hex);
	hash_close(h);
	free(piece);
	return rc;
}

static int
upload_query(struct buf *query, unsigned number, const char *session, struct err *e)
{
	if (number > 0 && buf_addf(query, e, "partNumber=%u", number) == -1)
		return -1;
	return add_escaped(query, "uploadId", session, e);
}

static int
s3_part(struct remote *r, const struct remote_source *s, const char *session, struct remote_part *p,
    struct err *e)
{
	struct op o = op_of(r, "PUT", s->key);
	char sha256[HASH_SHA256_HEX];
	struct buf query = {0};
	int rc = -1;

	o.payload = SIGV4_UNSIGNED;
	if (!((struct s3 *)r->own)->https) {
		if (hash_range(s, p->offset, p->size_bytes, sha256, e) == -1)
			return -1;
		o.payload = sha256;
	}
	o.look = look_at_part;
	o.ctx = p;
	set_body(&o, s, p->offset, p->size_bytes);
	if (add_md5(&o.headers, p->md5, e) == 0 &&
	    upload_query(&query, p->number, session, e) == 0) {
		o.query = query.data;
		rc = run(&o, e);
	}
	op_end(&o);
	buf_free(&query);
	return rc;
}

/* A page of the parts that a server has. */
struct arrival {
	struct remote *r;
	int (*each)(void *ctx, const struct remote_part *p, struct err *e);
	void *ctx;
	struct remote_part p;
	bool truncated;
	int64_t next;
};

static int
note_part(void *ctx, const char *path, const char *text, struct err *e)
{
	static const char root[] = "/ListPartsResult", part[] = "/ListPartsResult/Part";
	struct arrival *a = ctx;
	struct remote_object o = {0};
	int64_t n;

	if (text == NULL) {
		if (strcmp(path, part) == 0)
			a->p = (struct remote_part){.size_bytes = -1};
		return 0;
	}
	if (strncmp(path, part, sizeof part - 1) == 0) {
		path += sizeof part - 1;
		if (strcmp(path, "/PartNumber") == 0 && mem_parse_i64(text, 1, PARTS_MAX, &n))
			a->p.number = (unsigned)n;
		else if (strcmp(path, "/Size") == 0 && mem_parse_i64(text, 0, SINGLE_MAX, &n))
			a->p.size_bytes = n;
		else if (strcmp(path, "/ETag") == 0) {
			set_tag(a->r, &o, text);
			memcpy(a->p.tag, o.tag, sizeof a->p.tag);
			memcpy(a->p.md5, o.md5, sizeof a->p.md5);
		} else if (path[0] == '\0' && a->p.number > 0 && a->p.size_bytes >= 0)
			return a->each(a->ctx, &a->p, e);
		return 0;
	}
	if (strncmp(path, root, sizeof root - 1) != 0)
		return 0;
	path += sizeof root - 1;
	if (strcmp(path, "/IsTruncated") == 0)
		a->truncated = strcmp(text, "true") == 0;
	else if (strcmp(path, "/NextPartNumberMarker") == 0 &&
		 mem_parse_i64(text, 0, PARTS_MAX, &n))
		a->next = n;
	return 0;
}

/* 1 with its parts told, 0 when there is no such upload, -1. */
static int
list_parts(struct arrival *a, const char *key, const char *session, int64_t marker, struct err *e)
{
	struct op o = op_of(a->r, "GET", key);
	struct buf query = {0};
	int rc = -1;

	o.wants = WANTS_ABSENT;
	a->truncated = false;
	a->next = 0;
	if (buf_addf(&query, e, "max-parts=1000&part-number-marker=%" PRId64, marker) == -1 ||
	    upload_query(&query, 0, session, e) == -1)
		goto out;
	o.query = query.data;
	if (run(&o, e) == -1)
		goto out;
	rc = is_done(&o);
	if (rc == 1 &&
	    xml_read(o.a.body.len > 0 ? o.a.body.data : "", o.a.body.len, note_part, a, e) == -1)
		rc = -1;
out:
	op_end(&o);
	buf_free(&query);
	return rc;
}

/* Whether all that was put along is there. */
static bool
has_metadata(const struct json *there, const struct json *put)
{
	const char *name;
	struct json *v;

	for (void *it = json_first(put, &name, &v); it != NULL;
	     it = json_next(put, it, &name, &v)) {
		const char *value = json_to_str(v, NULL), *other = json_get_str(there, name);

		if (is_name(name) && value != NULL && value[0] != '\0' && other != NULL &&
		    strcmp(value, other) != 0)
			return false;
	}
	return json_get(put, "sha256") == NULL || json_get(there, "sha256") != NULL;
}

/* The upload is gone: 2 when that is because it was finished (*o), 0 when it was given up, -1. */
static int
was_finished(
    struct remote *r, const struct remote_source *s, struct remote_object *o, struct err *e)
{
	struct json *metadata = NULL;
	int rc = s3_stat(r, s->key, o, &metadata, e);

	if (rc == 1)
		rc = o->size_bytes == s->size_bytes &&
			     (strchr(o->tag, '-') != NULL || !r->can.checksum) &&
			     !(s->condition == REMOTE_REPLACE && s->tag != NULL &&
				 strcmp(s->tag, o->tag) == 0) &&
			     (s->metadata == NULL || has_metadata(metadata, s->metadata))
			 ? 2
			 : 0;
	json_free(metadata);
	return rc;
}

static int
s3_arrived(struct remote *r, const struct remote_source *s, const char *session,
    int (*each)(void *ctx, const struct remote_part *p, struct err *e), void *ctx,
    struct remote_object *o, struct err *e)
{
	struct arrival a = {.r = r, .each = each, .ctx = ctx};
	int64_t marker = 0;

	for (;;) {
		int rc = list_parts(&a, s->key, session, marker, e);

		if (rc == -1)
			return -1;
		if (rc == 0)
			return was_finished(r, s, o, e);
		if (!a.truncated)
			return 1;
		if (a.next <= marker)
			return err_item(e, P_REMOTE,
			    "%s: the server's list of the parts of the upload does not get on",
			    s->key);
		marker = a.next;
	}
}

/* The tag that the parts make: the MD5 of their MD5s, and how many. "" when one is not known. */
static int
made_of_parts(const struct remote_part *parts, unsigned n, char tag[REMOTE_TAG_MAX], struct err *e)
{
	struct hash *h = hash_open(HASH_MD5, e);
	char hex[HASH_MD5_HEX];
	unsigned i;

	tag[0] = '\0';
	if (h == NULL)
		return -1;
	for (i = 0; i < n && is_md5(parts[i].md5); i++) {
		unsigned char raw[16];

		hash_unhex(parts[i].md5, HASH_MD5_HEX - 1, raw);
		hash_update(h, raw, sizeof raw);
	}
	hash_md5(h, hex);
	hash_close(h);
	if (i == n)
		snprintf(tag, REMOTE_TAG_MAX, "%s-%u", hex, n);
	return 0;
}

static int
write_parts(const struct remote_part *parts, unsigned n, struct buf *out, struct err *e)
{
	if (buf_adds(out, "<CompleteMultipartUpload>", e) == -1)
		return -1;
	for (unsigned i = 0; i < n; i++) {
		const char *tag = parts[i].tag[0] != '\0' ? parts[i].tag : parts[i].md5;

		if (buf_addf(out, e, "<Part><PartNumber>%u</PartNumber><ETag>&quot;",
			parts[i].number) == -1 ||
		    xml_escape(out, tag, e) == -1 || buf_adds(out, "&quot;</ETag></Part>", e) == -1)
			return -1;
	}
	return buf_adds(out, "</CompleteMultipartUpload>", e);
}

/* A request whose condition the server may not know: it was looked at before, so that it is sent
 * without then. */
static int
run_conditional(struct op *o, const struct aim *a, struct err *e)
{
	size_t len = o->headers.len;

	o->wants |= WANTS_CONFLICT | WANTS_ABSENT | WANTS_UNSUPPORTED;
	if (o->r->can.conditional && add_condition(o, a, e) == -1)
		return -1;
	if (run(o, e) == -1)
		return -1;
	if (o->a.status == 412 && a->tag[0] != '\0')
		respell(o);
	if (o->a.status != 501)
		return 0;
	o->headers.len = len;
	o->headers.data[len] = '\0';
	o->wants &= ~(unsigned)WANTS_UNSUPPORTED;
	return run(o, e);
}

/* 1 when it is there, 0 when the condition did not hold or the upload is gone (*gone), -1. */
static int
complete(struct remote *r, const char *session, const struct buf *body, const struct aim *a,
    struct remote_object *o, bool *gone, struct err *e)
{
	struct op p = op_of(r, "POST", a->key);
	char sha256[HASH_SHA256_HEX], etag[REMOTE_TAG_MAX + 4];
	struct remote_source text = {.fd = -1, .bytes = body->data};
	struct buf query = {0};
	int rc = -1;

	if (hash_range(&text, 0, (int64_t)body->len, sha256, e) == -1 ||
	    upload_query(&query, 0, session, e) == -1 ||
	    buf_adds(&p.headers, "Content-Type: application/xml\n", e) == -1)
		goto out;
	p.query = query.data;
	p.payload = sha256;
	p.body.body = body->data;
	p.body.body_len = body->len;
	p.look = look_for_error;
	if (run_conditional(&p, a, e) == -1)
		goto out;
	*gone = p.a.status == 404;
	rc = is_done(&p);
	memset(o, 0, sizeof *o);
	snprintf(o->key, sizeof o->key, "%s", a->key);
	o->size_bytes = a->size_bytes;
	if (rc == 1 &&
	    element(&p.a, "/CompleteMultipartUploadResult/ETag", etag, sizeof etag, e) == -1)
		rc = -1;
	else if (rc == 1)
		set_tag(r, o, etag);
out:
	op_end(&p);
	buf_free(&query);
	return rc;
}

/* After an answer that says little: what is there now. */
static int
look_again(struct remote *r, const struct aim *a, struct remote_object *o, struct err *e)
{
	int rc = s3_stat(r, a->key, o, NULL, e);

	if (rc == -1)
		return -1;
	if (rc == 1 && o->size_bytes == a->size_bytes)
		return 0;
	return err_item(e, P_REMOTE, "%s: the server said that it has it, but it %s: run again",
	    a->key, rc == 0 ? "is not there" : "is of another size");
}

static int
finish(struct remote *r, const char *session, const struct buf *body, struct aim *a,
    struct remote_object *o, struct err *e)
{
	bool gone = false;

	for (int i = 0; i < TRIES; i++) {
		int rc = settle(r, a, o, e);

		if (rc != 0)
			return rc == 1 ? 0 : -1;
		if (gone)
			return err_item(e, P_REMOTE,
			    "%s: the upload is gone from the server; run again, it begins anew",
			    a->key);
		if ((rc = complete(r, session, body, a, o, &gone, e)) == -1)
			return -1;
		if (rc == 1)
			return o->tag[0] == '\0' ? look_again(r, a, o, e) : 0;
	}
	return err_item(e, P_CONFLICT,
	    "%s: others put and remove it there at the same time: end them and run again", a->key);
}

static int
s3_finish(struct remote *r, const struct remote_source *s, const char *session,
    const struct remote_part *parts, unsigned n, struct remote_object *o, struct err *e)
{
	struct aim a = aim_of(s);
	struct buf body = {0};
	int rc = -1;

	if (made_of_parts(parts, n, a.made, e) == 0 && write_parts(parts, n, &body, e) == 0)
		rc = finish(r, session, &body, &a, o, e);
	buf_free(&body);
	return rc;
}

static int
s3_abort(struct remote *r, const char *key, const char *session, struct err *e)
{
	struct op o = op_of(r, "DELETE", key);
	struct buf query = {0};
	int rc = -1;

	o.wants = WANTS_ABSENT;
	if (upload_query(&query, 0, session, e) == 0) {
		o.query = query.data;
		rc = run(&o, e);
	}
	op_end(&o);
	buf_free(&query);
	return rc;
}

/* ---- uploads that nobody knows ---- */

struct sweeping {
	struct remote *r;
	const char *key;
	struct timespec since; /* by the server's clock */
	bool encoded, truncated, good;
	char found[REMOTE_KEY_MAX + 1], session[REMOTE_SESSION_MAX];
	struct timespec begun;
	char *key_marker, *id_marker; /* of the next page, encoded as they came */
	struct buf doomed;	      /* sessions, each with a NUL */
};

static int
keep_text(char **out, const char *text, struct err *e)
{
	free(*out);
	*out = mem_str(text, e);
	return *out == NULL ? -1 : 0;
}

static int
note_upload(void *ctx, const char *path, const char *text, struct err *e)
{
	static const char root[] = "/ListMultipartUploadsResult",
			  upload[] = "/ListMultipartUploadsResult/Upload";
	struct sweeping *w = ctx;

	if (strncmp(path, root, sizeof root - 1) != 0)
		return 0;
	if (text == NULL) {
		if (strcmp(path, upload) == 0) {
			w->good = false;
			w->session[0] = '\0';
			w->begun = (struct timespec){0};
		}
		return 0;
	}
	if (strcmp(path, "/ListMultipartUploadsResult/Upload/Key") == 0)
		return read_key(w->r->own, text, w->encoded, w->found, &w->good, e);
	if (strcmp(path, "/ListMultipartUploadsResult/Upload/UploadId") == 0 &&
	    strlen(text) < sizeof w->session)
		strcpy(w->session, text);
	else if (strcmp(path, "/ListMultipartUploadsResult/Upload/Initiated") == 0)
		clock_parse(text, &w->begun);
	else if (strcmp(path, upload) == 0 && w->good && strcmp(w->found, w->key) == 0 &&
		 w->session[0] != '\0' && w->begun.tv_sec >= w->since.tv_sec)
		return buf_add(&w->doomed, w->session, strlen(w->session) + 1, e);
	else if (strcmp(path, "/ListMultipartUploadsResult/IsTruncated") == 0)
		w->truncated = strcmp(text, "true") == 0;
	else if (strcmp(path, "/ListMultipartUploadsResult/NextKeyMarker") == 0)
		return keep_text(&w->key_marker, text, e);
	else if (strcmp(path, "/ListMultipartUploadsResult/NextUploadIdMarker") == 0)
		return keep_text(&w->id_marker, text, e);
	return 0;
}

static int
uploads_query(struct sweeping *w, struct buf *query, struct err *e)
{
	const struct s3 *c = w->r->own;
	char *name = mem_fmt(e, "%s%s", c->prefix, w->key);
	int rc = -1;

	if (name != NULL && buf_adds(query, "uploads=&encoding-type=url&max-uploads=1000", e) == 0)
		rc = add_escaped(query, "prefix", name, e);
	if (rc == 0 && w->key_marker != NULL && w->key_marker[0] != '\0') {
		if (w->encoded && !decode(w->key_marker))
			rc =
			    err_item(e, P_REMOTE, "%s: the list of uploads cannot be read", w->key);
		else
			rc = add_escaped(query, "key-marker", w->key_marker, e);
	}
	if (rc == 0 && w->id_marker != NULL && w->id_marker[0] != '\0')
		rc = add_escaped(query, "upload-id-marker", w->id_marker, e);
	free(name);
	return rc;
}

/* Since the clocks may differ, `since` is moved by what the answer's date tells. */
static int
sweep_page(struct sweeping *w, struct timespec since, struct err *e)
{
	struct op o = op_of(w->r, "GET", NULL);
	struct buf query = {0};
	int rc = -1;

	if (uploads_query(w, &query, e) == 0) {
		o.query = query.data;
		rc = run(&o, e);
	}
	if (rc == 0) {
		const char *text = o.a.body.len > 0 ? o.a.body.data : "";

		w->since = since;
		w->since.tv_sec += (o.a.has_skew ? o.a.skew_s : 0) - SWEEP_ALLOWED_S;
		w->truncated = false;
		w->encoded = strstr(text, "<EncodingType>url<") != NULL;
		rc = xml_read(text, o.a.body.len, note_upload, w, e);
	}
	op_end(&o);
	buf_free(&query);
	return rc;
}

static int
find_uploads(struct sweeping *w, struct timespec since, struct err *e)
{
	char *before = NULL;
	int rc;

	do {
		free(before);
		before = NULL;
		if (w->id_marker != NULL && (before = mem_str(w->id_marker, e)) == NULL)
			return -1;
		rc = sweep_page(w, since, e);
		if (rc == 0 && w->truncated &&
		    (w->id_marker == NULL || w->id_marker[0] == '\0' ||
			(before != NULL && strcmp(before, w->id_marker) == 0)))
			rc = err_item(e, P_REMOTE,
			    "%s: the server's list of uploads does not get on", w->key);
	} while (rc == 0 && w->truncated);
	free(before);
	return rc;
}

static int
s3_sweep(
    struct remote *r, const char *key, const char *id, const char *since, int64_t *n, struct err *e)
{
	struct sweeping *w = mem_new(1, sizeof *w, e);
	struct timespec from;
	int rc = -1;

	(void)id;
	*n = 0;
	if (w == NULL)
		return -1;
	w->r = r;
	w->key = key;
	if (!clock_parse(since, &from))
		err_item(e, P_BAD_RECORD, "%s: the time of the upload is none", key);
	else
		rc = find_uploads(w, from, e);
	for (size_t i = 0; rc == 0 && i < w->doomed.len; i += strlen(w->doomed.data + i) + 1)
		if ((rc = s3_abort(r, key, w->doomed.data + i, e)) == 0)
			++*n;
	buf_free(&w->doomed);
	free(w->key_marker);
	free(w->id_marker);
	free(w);
	return rc;
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
	struct op op;
};

static int
begin_range(struct op *o, struct err *e)
{
	struct getting *g = o->ctx;

	buf_clear(&o->headers);
	g->begun = false;
	g->skip = 0;
	g->from = g->at;
	if (g->tag[0] != '\0' && add_tag(&o->headers, "If-Match", g->tag, e) == -1)
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
	unquote(etag, tag);
	return strcmp(tag, g->tag) != 0;
}

/* Whether a part of the object came that begins somewhere else than it should. */
static bool
is_elsewhere(const struct getting *g)
{
	char range[96], want[48];
	int n = snprintf(want, sizeof want, "bytes %" PRIu64 "-", g->from);

	return g->op.a.status == 206 &&
	       (!http_header(&g->op.a, "Content-Range", range, sizeof range) ||
		   strncmp(range, want, (size_t)n) != 0);
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
look_at_range(struct op *o, struct fault *f, struct err *e)
{
	struct getting *g = o->ctx;

	(void)e;
	if (g->at == (uint64_t)g->o->size_bytes)
		return 0;
	*f = (struct fault){FAULT_CONFLICT, o->a.status, -1, ""};
	snprintf(f->text, sizeof f->text,
	    "it is shorter by now than the %" PRId64 " bytes that were told", g->o->size_bytes);
	return -1;
}

static int
attempt_get(void *ctx, struct fault *f, struct err *e)
{
	struct getting *g = ctx;
	char etag[REMOTE_TAG_MAX + 4];
	int rc = attempt(&g->op, f, e);

	/* What came before a break counts only for the same version. */
	if (rc == -1 && g->at > 0 && g->tag[0] == '\0' && g->op.a.status < 300 &&
	    http_header(&g->op.a, "ETag", etag, sizeof etag))
		unquote(etag, g->tag);
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
	g.op = op_of(r, "GET", o->key);
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
	op_end(&g.op);
	return rc;
}

/* ---- copying ---- */

static int
add_source(struct buf *headers, const struct s3 *c, const struct remote_object *from, struct err *e)
{
	if (buf_addf(headers, e, "x-amz-copy-source: /%s/", c->bucket) == -1 ||
	    http_escape(headers, c->prefix, strlen(c->prefix), true, e) == -1 ||
	    http_escape(headers, from->key, strlen(from->key), true, e) == -1 ||
	    buf_adds(headers, "\n", e) == -1)
		return -1;
	if (from->tag[0] == '\0')
		return 0;
	return add_tag(headers, "x-amz-copy-source-if-match", from->tag, e);
}

/* The status: 200, 412 when a condition did not hold, … or -1. */
static int
copy_once(struct remote *r, const struct remote_object *from, const struct aim *a, struct err *e)
{
	struct op o = op_of(r, "PUT", a->key);
	int rc = -1;

	o.look = look_for_error;
	if (add_source(&o.headers, r->own, from, e) == 0 && run_conditional(&o, a, e) == 0)
		rc = is_done(&o) ? 200 : o.a.status;
	op_end(&o);
	return rc;
}

static int
copy_part(struct remote *r, const struct remote_object *from, const char *to, const char *session,
    struct remote_part *p, struct err *e)
{
	struct op o = op_of(r, "PUT", to);
	struct buf query = {0};
	char etag[REMOTE_TAG_MAX + 4];
	int rc = -1;

	o.look = look_for_error;
	if (add_source(&o.headers, r->own, from, e) == -1 ||
	    buf_addf(&o.headers, e, "x-amz-copy-source-range: bytes=%" PRId64 "-%" PRId64 "\n",
		p->offset, p->offset + p->size_bytes - 1) == -1 ||
	    upload_query(&query, p->number, session, e) == -1)
		goto out;
	o.query = query.data;
	if (run(&o, e) == 0 && element(&o.a, "/CopyPartResult/ETag", etag, sizeof etag, e) == 0) {
		unquote(etag, p->tag);
		if (is_md5(p->tag))
			memcpy(p->md5, p->tag, sizeof p->md5);
		rc = 0;
	}
out:
	op_end(&o);
	buf_free(&query);
	return rc;
}

static int
copy_parts(struct remote *r, const struct remote_object *from, const char *session, struct aim *a,
    struct remote_object *o, struct err *e)
{
	int64_t each = COPY_PART;
	struct remote_part *parts;
	struct buf body = {0};
	unsigned n;
	int rc = 0;

	n = (unsigned)((from->size_bytes + each - 1) / each);
	if ((parts = mem_new(n, sizeof *parts, e)) == NULL)
		return -1;
	for (unsigned i = 0; rc == 0 && i < n; i++) {
		parts[i].number = i + 1;
		parts[i].offset = i * each;
		parts[i].size_bytes = i + 1 < n ? each : from->size_bytes - i * each;
		rc = copy_part(r, from, a->key, session, &parts[i], e);
	}
	if (rc == 0)
		rc = made_of_parts(parts, n, a->made, e);
	if (rc == 0)
		rc = write_parts(parts, n, &body, e);
	if (rc == 0)
		rc = finish(r, session, &body, a, o, e);
	buf_free(&body);
	free(parts);
	return rc;
}

/* What is too large for one request. Its metadata do not go along by themselves. */
static int
copy_large(struct remote *r, const struct remote_object *from, struct aim *a,
    struct remote_object *o, struct err *e)
{
	struct op begin = op_of(r, "POST", a->key);
	struct json *metadata = NULL;
	char session[REMOTE_SESSION_MAX];
	struct err ignored = {0};
	int rc = s3_stat(r, from->key, o, &metadata, e);
	struct remote_source s = {.key = a->key, .metadata = metadata};

	if (rc == 0)
		err_item(e, P_MISSING, "%s: it is not there any more", from->key);
	rc = rc == 1 && add_description(&begin.headers, &s, e) == 0
		 ? begin_upload(&begin, session, e)
		 : -1;
	if (rc == 0 && (rc = copy_parts(r, from, session, a, o, e)) == -1)
		s3_abort(r, a->key, session, &ignored);
	json_free(metadata);
	op_end(&begin);
	return rc;
}

/* The copy of what had an MD5 has the same, and all have the same size. */
static int
check_copy(struct remote *r, const struct remote_object *from, const struct aim *a,
    struct remote_object *o, struct err *e)
{
	struct err ignored = {0};

	if (look_again(r, a, o, e) == -1)
		return -1;
	if (!is_md5(from->md5) || o->md5[0] == '\0' || strcmp(o->md5, from->md5) == 0)
		return 0;
	remove_plain(r, a->key, o->tag, &ignored);
	return err_item(e, P_CONFLICT,
	    "%s: it became another version while it was copied; run again", from->key);
}

/* That the source is the version that is meant. */
static int
check_source(struct remote *r, const struct remote_object *from, struct err *e)
{
	struct remote_object there;
	int rc = s3_stat(r, from->key, &there, NULL, e);

	if (rc == -1)
		return -1;
	if (rc == 0)
		return err_item(e, P_MISSING, "%s: it is not there any more", from->key);
	if ((from->tag[0] != '\0' && strcmp(from->tag, there.tag) != 0) ||
	    from->size_bytes != there.size_bytes)
		return err_item(e, P_CONFLICT, "%s: it is another version by now", from->key);
	return 0;
}

static int
s3_copy(struct remote *r, const struct remote_object *from, const char *to, const char *over,
    struct remote_object *o, struct err *e)
{
	struct aim a = {.key = to, .size_bytes = from->size_bytes};
	int rc;

	snprintf(a.tag, sizeof a.tag, "%s", over == NULL ? "" : over);
	snprintf(a.made, sizeof a.made, "%s", from->md5[0] != '\0' ? from->md5 : from->tag);
	/* Not all servers hold the conditions of a copy. */
	for (int i = 0; i < TRIES; i++) {
		if ((rc = settle(r, &a, o, e)) != 0)
			return rc == 1 ? 0 : -1;
		if (check_source(r, from, e) == -1)
			return -1;
		if (from->size_bytes > SINGLE_MAX)
			return copy_large(r, from, &a, o, e);
		if ((rc = copy_once(r, from, &a, e)) == -1)
			return -1;
		if (rc == 200)
			return check_copy(r, from, &a, o, e);
		if (rc == 404)
			return err_item(e, P_REMOTE,
			    "%s: the server does not find what it should copy, though it is there: "
			    "run `rec-sync probe`",
			    from->key);
	}
	return err_item(e, P_CONFLICT,
	    "%s: others put and remove it there at the same time: end them and run again", to);
}

/* ---- finding out ---- */

#define CANARIES 5

/* Names that show the order and the spelling of a listing; in the order of their bytes. */
static const char *const canaries[CANARIES] = {"B", "a", "a b+c&d%", "b", "\xc3\xa4"};

struct probing {
	struct remote *r;
	char folder[96];	      /* ".rectools/temp/OWNER-RANDOM-probe/" */
	char keys[CANARIES + 1][160]; /* the last is what is copied to */
	char made[REMOTE_TAG_MAX];    /* the tag of the first */
	bool has_skew;
	int64_t skew_s;
};

struct canary {
	const char *key, *text;
	const char *condition; /* a header line, or "" */
	const char *md5_of;    /* what Content-MD5 says; NULL: nothing */
};

static int
digests(const char *text, char sha256[HASH_SHA256_HEX], char md5[HASH_MD5_HEX], struct err *e)
{
	struct hash *h = hash_open(HASH_SHA256 | HASH_MD5, e);

	if (h == NULL)
		return -1;
	hash_update(h, text, strlen(text));
	hash_sha256(h, sha256);
	hash_md5(h, md5);
	hash_close(h);
	return 0;
}

/* The status of the answer, or -1. */
static int
put_canary(struct probing *p, const struct canary *c, struct remote_object *o, struct err *e)
{
	struct op put = op_of(p->r, "PUT", c->key);
	char sha256[HASH_SHA256_HEX], other[HASH_SHA256_HEX], md5[HASH_MD5_HEX];
	int rc = -1;

	put.wants = WANTS_ABSENT | WANTS_CONFLICT | WANTS_UNSUPPORTED | WANTS_REFUSED;
	put.payload = sha256;
	put.body.body = c->text;
	put.body.body_len = strlen(c->text);
	if (digests(c->text, sha256, md5, e) == -1 ||
	    buf_addf(&put.headers, e, "Content-Type: text/plain\n%s", c->condition) == -1)
		goto out;
	if (c->md5_of != NULL &&
	    (digests(c->md5_of, other, md5, e) == -1 || add_md5(&put.headers, md5, e) == -1))
		goto out;
	if (run(&put, e) == -1)
		goto out;
	p->has_skew = put.a.has_skew;
	p->skew_s = put.a.skew_s;
	memset(o, 0, sizeof *o);
	if (is_done(&put))
		tag_of_answer(&put, o);
	rc = put.a.status;
out:
	op_end(&put);
	return rc;
}

/* Both that must fail do, and leave what was there; and the one that must hold does. */
static int
probe_conditions(struct probing *p, struct json *found, struct err *e)
{
	char right[REMOTE_TAG_MAX + 32];
	struct canary c[] = {{p->keys[0], "two", "If-None-Match: *\n", NULL},
	    {p->keys[0], "three", "If-Match: \"00000000000000000000000000000000\"\n", NULL},
	    {p->keys[0], "one", right, NULL}};
	struct remote_object o;
	bool held = p->made[0] != '\0';
	int status = 0;

	for (size_t i = 0; held && i < 2; i++) {
		if ((status = put_canary(p, &c[i], &o, e)) == -1)
			return -1;
		held = status == 412;
	}
	for (int plain = 0; held && plain < 2 && status == 412; plain++) {
		const char *quote = plain ? "" : "\"";

		snprintf(right, sizeof right, "If-Match: %s%s%s\n", quote, p->made, quote);
		if ((status = put_canary(p, &c[2], &o, e)) == -1)
			return -1;
	}
	held = held && status >= 200 && status < 300;
	return json_put_bool(found, "conditional", held, e);
}

static int
probe_hashes(struct probing *p, struct json *found, struct err *e)
{
	struct canary plain = {p->keys[0], "one", "", NULL};
	struct canary wrong = {p->keys[CANARIES], "two", "", "other"};
	char sha256[HASH_SHA256_HEX], md5[HASH_MD5_HEX];
	struct remote_object o;
	int status;

	if (digests("one", sha256, md5, e) == -1 || (status = put_canary(p, &plain, &o, e)) == -1)
		return -1;
	if (status < 200 || status >= 300)
		return err_set(e, ERR_CONFIG, NULL,
		    "%s: a small object cannot be put there (status %d): look at the bucket's "
		    "rules",
		    plain.key, status);
	memcpy(p->made, o.tag, sizeof p->made);
	if (json_put_bool(found, "checksum", strcmp(o.tag, md5) == 0, e) == -1 ||
	    (status = put_canary(p, &wrong, &o, e)) == -1)
		return -1;
	return json_put_bool(found, "checks_content", status == 400, e);
}

/* All that was put is listed under its name; and in order, in pieces too. */
static int
probe_order(struct probing *p, struct json *found, struct err *e)
{
	struct listing l = {.r = p->r, .prefix = p->folder, .after = "", .until = ""};
	struct remote_object o;
	bool ordered = true;
	size_t seen = 0;
	int rc = 0;

	for (size_t i = 1; rc != -1 && i < CANARIES; i++) {
		struct canary c = {p->keys[i], "x", "", NULL};

		rc = put_canary(p, &c, &o, e);
	}
	while (rc != -1 && !l.ended) {
		if ((rc = fetch_page(&l, e)) == -1)
			break;
		for (size_t i = 0; i < l.n; i++)
			for (size_t k = 0; k < CANARIES; k++)
				if (strcmp(l.page[i].key, p->keys[k]) == 0) {
					ordered &= k == seen;
					seen++;
				}
	}
	free(l.token);
	free(l.page);
	if (rc == -1)
		return -1;
	if (seen != CANARIES)
		return err_set(e, ERR_CONFIG, NULL,
		    "of %d objects that were just put at %s, its list shows %zu under their names: "
		    "recordings cannot be kept there",
		    CANARIES, ((struct s3 *)p->r->own)->host, seen);
	return json_put_bool(found, "ordered", ordered, e);
}

/* The rest of the list, from a name on, must be only the rest. */
static int
probe_after(struct probing *p, struct json *found, struct err *e)
{
	struct listing l = {.r = p->r, .prefix = p->folder, .after = p->keys[2], .until = ""};
	bool was = p->r->can.ordered;
	int rc;

	if (!json_to_bool(json_get(found, "ordered")))
		return 0;
	p->r->can.ordered = true;
	rc = fetch_page(&l, e);
	p->r->can.ordered = was;
	if (rc == 0 && (l.n == 0 || strcmp(l.page[0].key, p->keys[3]) != 0))
		rc = json_put_bool(found, "ordered", false, e);
	free(l.token);
	free(l.page);
	return rc;
}

static int
probe_copy(struct probing *p, struct json *found, struct err *e)
{
	struct op o = op_of(p->r, "PUT", p->keys[CANARIES]);
	struct remote_object from = {0}, to;
	bool copied = false;
	int rc = -1;

	snprintf(from.key, sizeof from.key, "%s", p->keys[2]);
	o.wants = WANTS_ABSENT | WANTS_CONFLICT | WANTS_UNSUPPORTED | WANTS_REFUSED;
	if (add_source(&o.headers, p->r->own, &from, e) == -1 || run(&o, e) == -1)
		goto out;
	if (is_done(&o)) {
		if ((rc = s3_stat(p->r, p->keys[CANARIES], &to, NULL, e)) == -1)
			goto out;
		copied = rc == 1 && to.size_bytes == 1;
	}
	rc = json_put_bool(found, "copy", copied, e);
out:
	op_end(&o);
	return rc;
}

static int
probe_all(struct probing *p, struct json *found, struct err *e)
{
	if (probe_hashes(p, found, e) == -1 || probe_conditions(p, found, e) == -1 ||
	    probe_order(p, found, e) == -1 || probe_after(p, found, e) == -1 ||
	    probe_copy(p, found, e) == -1)
		return -1;
	if (p->has_skew && json_put_int(found, "skew_ms", p->skew_s * 1000, e) == -1)
		return -1;
	/* An object appears when its last byte has come: S3's promise, and nothing to try. */
	return json_put_bool(found, "atomic_put", true, e);
}

static int
s3_probe(struct remote *r, struct json *found, struct err *e)
{
	struct probing p = {.r = r};
	unsigned char random[8];
	char hex[2 * sizeof random + 1];
	struct err other = {0};
	int rc, removed = 0;

	if (hash_random(random, sizeof random, e) == -1)
		return -1;
	hash_hex(random, sizeof random, hex);
	snprintf(
	    p.folder, sizeof p.folder, "%s%.8s-%s-probe/", REMOTE_TEMP, r->settings.owner, hex);
	for (size_t i = 0; i <= CANARIES; i++)
		snprintf(p.keys[i], sizeof p.keys[i], "%s%s", p.folder,
		    i < CANARIES ? canaries[i] : "copy");
	rc = probe_all(&p, found, e);
	for (size_t i = 0; i <= CANARIES; i++)
		if (remove_plain(r, p.keys[i], "", rc == 0 && removed == 0 ? e : &other) == -1)
			removed = -1;
	return rc == 0 ? removed : rc;
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
