/*
 * Source: the Amazon S3 API reference.
 *
 * Of an error answer only its code gets into texts: the rest may repeat what was signed.
 */
#include "s3_request.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "xml.h"

#define ANSWER_MAX (INT64_C(16) << 20) /* a page of a thousand keys, encoded, is some 4 MiB */
#define SKEW_ALLOWED_S 300	       /* a request that is 15 minutes off is refused */

struct s3_op
s3_op(struct remote *r, const char *method, const char *key)
{
	return (struct s3_op){
	    .r = r, .method = method, .key = key, .query = "", .payload = SIGV4_EMPTY};
}

void
s3_op_end(struct s3_op *o)
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
meaning_of(const struct s3_op *o)
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
copy_word(char out[S3_CODE_MAX], const char *text)
{
	size_t n = 0;

	for (; *text != '\0' && n + 1 < S3_CODE_MAX; text++)
		if (isalnum((unsigned char)*text) || strchr("-_.", *text) != NULL)
			out[n++] = *text;
	out[n] = '\0';
}

static int
note_error(void *ctx, const char *path, const char *text, struct err *e)
{
	struct s3_op *o = ctx;

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
read_error(struct s3_op *o)
{
	char region[S3_CODE_MAX * 2];
	struct err ignored = {0};

	if (o->a.body.len > 0)
		xml_read(o->a.body.data, o->a.body.len, note_error, o, &ignored);
	if (o->region[0] == '\0' &&
	    http_header(&o->a, "x-amz-bucket-region", region, sizeof region))
		copy_word(o->region, region);
}

/* Signs with the server's time from now on, when ours is what it did not like. */
static bool
is_skew(struct s3_op *o, struct fault *f)
{
	struct s3 *c = o->r->own;
	int64_t off = o->a.skew_s - o->skew_s;

	if (!o->a.has_skew || (off >= -SKEW_ALLOWED_S && off <= SKEW_ALLOWED_S) ||
	    (strcmp(o->code, "RequestTimeTooSkewed") != 0 &&
		!(o->a.status == 403 && o->code[0] == '\0')))
		return false;
	atomic_store(&c->skew_s, o->a.skew_s);
	fault_set(f, FAULT_SIGN_IN, o->a.status,
	    "the clock of this machine is %" PRId64
	    " s %s that of %s: set it; until then requests are signed with the time of the server",
	    off < 0 ? -off : off, off < 0 ? "ahead of" : "behind", c->host);
	return true;
}

static void
judge(struct s3_op *o, struct fault *f)
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
sign(struct s3_op *o, const char *path, struct buf *lines, struct err *e)
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
send_signed(struct s3_op *o, struct err *e)
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
is_wanted(const struct s3_op *o)
{
	switch (o->a.status) {
	case 400:
		return o->wants & S3_WANTS_REFUSED;
	case 404:
		return o->wants & S3_WANTS_ABSENT && strcmp(o->code, "NoSuchBucket") != 0;
	case 409:
		return o->wants & S3_WANTS_CONFLICT &&
		       strcmp(o->code, "ConditionalRequestConflict") == 0;
	case 412:
		return o->wants & S3_WANTS_CONFLICT;
	case 501:
		return o->wants & S3_WANTS_UNSUPPORTED;
	default:
		return false;
	}
}

int
s3_attempt(void *ctx, struct fault *f, struct err *e)
{
	struct s3_op *o = ctx;

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

int
s3_run(struct s3_op *o, struct err *e)
{
	return retry_run(
	    o->r->retry, o->key == NULL ? o->r->settings.url : o->key, s3_attempt, o, e);
}

bool
s3_is_done(const struct s3_op *o)
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

int
s3_look_for_error(struct s3_op *o, struct fault *f, struct err *e)
{
	struct err bad = {0};
	int status;

	(void)e;
	if (xml_read(o->a.body.len > 0 ? o->a.body.data : "", o->a.body.len, note_error, o, &bad) ==
	    -1)
		return fault_set(f, FAULT_TRANSIENT, o->a.status, "%.300s", bad.text);
	if (o->code[0] == '\0')
		return 0;
	if ((status = status_of_code(o->code)) != 0)
		o->a.status = status;
	if (is_wanted(o))
		return 0;
	judge(o, f);
	return -1;
}

/* ---- what requests are made of, and answers ---- */

int
s3_add_escaped(struct buf *query, const char *name, const char *value, struct err *e)
{
	if (buf_addf(query, e, "%s%s=", query->len > 0 ? "&" : "", name) == -1)
		return -1;
	return http_escape(query, value, strlen(value), false, e);
}

void
s3_set_body(struct s3_op *o, const struct remote_source *s, int64_t offset, int64_t size)
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

int
s3_element(const struct http_answer *a, const char *path, char *out, size_t size, struct err *e)
{
	struct wanted w = {path, out, size};

	out[0] = '\0';
	return xml_read(a->body.len > 0 ? a->body.data : "", a->body.len, note_wanted, &w, e);
}
