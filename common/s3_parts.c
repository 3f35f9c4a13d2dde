#include "s3_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "io.h"
#include "mem.h"
#include "s3_list.h"
#include "s3_metadata.h"
#include "xml.h"

#define SWEEP_ALLOWED_S 5

/* ---- beginning ---- */

int
s3_begin_upload(struct s3_op *o, char session[REMOTE_SESSION_MAX], struct err *e)
{
	o->query = "uploads=";
	o->look = s3_look_for_error;
	if (s3_run(o, e) == -1 || s3_element(&o->a, "/InitiateMultipartUploadResult/UploadId",
				      session, REMOTE_SESSION_MAX, e) == -1)
		return -1;
	for (const char *p = session; *p != '\0'; p++)
		if (*p <= 0x20 || *p > 0x7e)
			session[0] = '\0';
	if (session[0] == '\0')
		return err_item(
		    e, P_REMOTE, "%s: the server began an upload without a name", o->key);
	return 0;
}

int
s3_begin(struct remote *r, const struct remote_source *s, const char *id,
    char session[REMOTE_SESSION_MAX], struct err *e)
{
	struct s3_op o = s3_op(r, "POST", s->key);
	int rc = -1;

	(void)id;
	if (s3_add_description(&o.headers, s, e) == 0)
		rc = s3_begin_upload(&o, session, e);
	s3_op_end(&o);
	return rc;
}

/* ---- one part ---- */

/* A part is right when its ETag is its MD5. */
static int
look_at_part(struct s3_op *o, struct fault *f, struct err *e)
{
	struct remote_part *p = o->ctx;
	struct remote_object got = {0};

	(void)e;
	s3_tag_of_answer(o, &got);
	memcpy(p->tag, got.tag, sizeof p->tag);
	if (p->md5[0] == '\0' || got.md5[0] == '\0' || strcmp(got.md5, p->md5) == 0)
		return 0;
	return fault_set(f, FAULT_TRANSIENT, o->a.status,
	    "part %u arrived with another checksum (ETag) than it was sent with; if the bucket "
	    "encrypts with keys of its own, run `rec-sync probe`",
	    p->number);
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

int
s3_upload_query(struct buf *query, unsigned number, const char *session, struct err *e)
{
	if (number > 0 && buf_addf(query, e, "partNumber=%u", number) == -1)
		return -1;
	return s3_add_escaped(query, "uploadId", session, e);
}

int
s3_part(struct remote *r, const struct remote_source *s, const char *session, struct remote_part *p,
    struct err *e)
{
	struct s3_op o = s3_op(r, "PUT", s->key);
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
	s3_set_body(&o, s, p->offset, p->size_bytes);
	if (s3_add_md5(&o.headers, p->md5, e) == 0 &&
	    s3_upload_query(&query, p->number, session, e) == 0) {
		o.query = query.data;
		rc = s3_run(&o, e);
	}
	s3_op_end(&o);
	buf_free(&query);
	return rc;
}

/* ---- what arrived ---- */

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
		if (strcmp(path, "/PartNumber") == 0 && mem_parse_i64(text, 1, S3_PARTS_MAX, &n))
			a->p.number = (unsigned)n;
		else if (strcmp(path, "/Size") == 0 && mem_parse_i64(text, 0, S3_SINGLE_MAX, &n))
			a->p.size_bytes = n;
		else if (strcmp(path, "/ETag") == 0) {
			s3_set_tag(a->r, &o, text);
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
		 mem_parse_i64(text, 0, S3_PARTS_MAX, &n))
		a->next = n;
	return 0;
}

/* 1 with its parts told, 0 when there is no such upload, -1. */
static int
list_parts(struct arrival *a, const char *key, const char *session, int64_t marker, struct err *e)
{
	struct s3_op o = s3_op(a->r, "GET", key);
	struct buf query = {0};
	int rc = -1;

	o.wants = S3_WANTS_ABSENT;
	a->truncated = false;
	a->next = 0;
	if (buf_addf(&query, e, "max-parts=1000&part-number-marker=%" PRId64, marker) == -1 ||
	    s3_upload_query(&query, 0, session, e) == -1)
		goto out;
	o.query = query.data;
	if (s3_run(&o, e) == -1)
		goto out;
	rc = s3_is_done(&o);
	if (rc == 1 &&
	    xml_read(o.a.body.len > 0 ? o.a.body.data : "", o.a.body.len, note_part, a, e) == -1)
		rc = -1;
out:
	s3_op_end(&o);
	buf_free(&query);
	return rc;
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
			     (s->metadata == NULL || s3_has_metadata(metadata, s->metadata))
			 ? 2
			 : 0;
	json_free(metadata);
	return rc;
}

int
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

/* ---- ending ---- */

int
s3_made_of_parts(
    const struct remote_part *parts, unsigned n, char tag[REMOTE_TAG_MAX], struct err *e)
{
	struct hash *h = hash_open(HASH_MD5, e);
	char hex[HASH_MD5_HEX];
	unsigned i;

	tag[0] = '\0';
	if (h == NULL)
		return -1;
	for (i = 0; i < n && s3_is_md5(parts[i].md5); i++) {
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

int
s3_write_parts(const struct remote_part *parts, unsigned n, struct buf *out, struct err *e)
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

/* 1 when it is there, 0 when the condition did not hold or the upload is gone (*gone), -1. */
static int
complete(struct remote *r, const char *session, const struct buf *body, const struct s3_aim *a,
    struct remote_object *o, bool *gone, struct err *e)
{
	struct s3_op p = s3_op(r, "POST", a->key);
	char sha256[HASH_SHA256_HEX], etag[REMOTE_TAG_MAX + 4];
	struct remote_source text = {.fd = -1, .bytes = body->data};
	struct buf query = {0};
	int rc = -1;

	if (hash_range(&text, 0, (int64_t)body->len, sha256, e) == -1 ||
	    s3_upload_query(&query, 0, session, e) == -1 ||
	    buf_adds(&p.headers, "Content-Type: application/xml\n", e) == -1)
		goto out;
	p.query = query.data;
	p.payload = sha256;
	p.body.body = body->data;
	p.body.body_len = body->len;
	p.look = s3_look_for_error;
	if (s3_run_conditional(&p, a, e) == -1)
		goto out;
	*gone = p.a.status == 404;
	rc = s3_is_done(&p);
	memset(o, 0, sizeof *o);
	snprintf(o->key, sizeof o->key, "%s", a->key);
	o->size_bytes = a->size_bytes;
	if (rc == 1 &&
	    s3_element(&p.a, "/CompleteMultipartUploadResult/ETag", etag, sizeof etag, e) == -1)
		rc = -1;
	else if (rc == 1)
		s3_set_tag(r, o, etag);
out:
	s3_op_end(&p);
	buf_free(&query);
	return rc;
}

int
s3_finish_upload(struct remote *r, const char *session, const struct buf *body, struct s3_aim *a,
    struct remote_object *o, struct err *e)
{
	bool gone = false;

	for (int i = 0; i < S3_TRIES; i++) {
		int rc = s3_settle(r, a, o, e);

		if (rc != 0)
			return rc == 1 ? 0 : -1;
		if (gone)
			return err_item(e, P_REMOTE,
			    "%s: the upload is gone from the server; run again, it begins anew",
			    a->key);
		if ((rc = complete(r, session, body, a, o, &gone, e)) == -1)
			return -1;
		if (rc == 1)
			return o->tag[0] == '\0' ? s3_look_again(r, a, o, e) : 0;
	}
	return err_item(e, P_CONFLICT,
	    "%s: others put and remove it there at the same time: end them and run again", a->key);
}

int
s3_finish(struct remote *r, const struct remote_source *s, const char *session,
    const struct remote_part *parts, unsigned n, struct remote_object *o, struct err *e)
{
	struct s3_aim a = s3_aim_of(s);
	struct buf body = {0};
	int rc = -1;

	if (s3_made_of_parts(parts, n, a.made, e) == 0 && s3_write_parts(parts, n, &body, e) == 0)
		rc = s3_finish_upload(r, session, &body, &a, o, e);
	buf_free(&body);
	return rc;
}

int
s3_abort(struct remote *r, const char *key, const char *session, struct err *e)
{
	struct s3_op o = s3_op(r, "DELETE", key);
	struct buf query = {0};
	int rc = -1;

	o.wants = S3_WANTS_ABSENT;
	if (s3_upload_query(&query, 0, session, e) == 0) {
		o.query = query.data;
		rc = s3_run(&o, e);
	}
	s3_op_end(&o);
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
		return s3_read_key(w->r->own, text, w->encoded, w->found, &w->good, e);
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
		rc = s3_add_escaped(query, "prefix", name, e);
	if (rc == 0 && w->key_marker != NULL && w->key_marker[0] != '\0') {
		if (w->encoded && !s3_decode(w->key_marker))
			rc =
			    err_item(e, P_REMOTE, "%s: the list of uploads cannot be read", w->key);
		else
			rc = s3_add_escaped(query, "key-marker", w->key_marker, e);
	}
	if (rc == 0 && w->id_marker != NULL && w->id_marker[0] != '\0')
		rc = s3_add_escaped(query, "upload-id-marker", w->id_marker, e);
	free(name);
	return rc;
}

/* Since the clocks may differ, `since` is moved by what the answer's date tells. */
static int
sweep_page(struct sweeping *w, struct timespec since, struct err *e)
{
	struct s3_op o = s3_op(w->r, "GET", NULL);
	struct buf query = {0};
	int rc = -1;

	o.wants = S3_WANTS_UNSUPPORTED;
	w->truncated = false;
	if (uploads_query(w, &query, e) == 0) {
		o.query = query.data;
		rc = s3_run(&o, e);
	}
	/* Some servers cannot list them: then what nobody noted stays. */
	if (rc == 0 && o.a.status != 501) {
		const char *text = o.a.body.len > 0 ? o.a.body.data : "";

		w->since = since;
		w->since.tv_sec += (o.a.has_skew ? o.a.skew_s : 0) - SWEEP_ALLOWED_S;
		w->encoded = strstr(text, "<EncodingType>url<") != NULL;
		rc = xml_read(text, o.a.body.len, note_upload, w, e);
	}
	s3_op_end(&o);
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

int
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
