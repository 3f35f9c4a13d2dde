#include "s3_copy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "s3_metadata.h"
#include "s3_object.h"
#include "s3_parts.h"

#define COPY_PART (INT64_C(1) << 30)

int
s3_add_source(
    struct buf *headers, const struct s3 *c, const struct remote_object *from, struct err *e)
{
	if (buf_addf(headers, e, "x-amz-copy-source: /%s/", c->bucket) == -1 ||
	    http_escape(headers, c->prefix, strlen(c->prefix), true, e) == -1 ||
	    http_escape(headers, from->key, strlen(from->key), true, e) == -1 ||
	    buf_adds(headers, "\n", e) == -1)
		return -1;
	if (from->tag[0] == '\0')
		return 0;
	return s3_add_tag(headers, "x-amz-copy-source-if-match", from->tag, e);
}

/* The status: 200, 412 when a condition did not hold, … or -1. */
static int
copy_once(struct remote *r, const struct remote_object *from, const struct s3_aim *a, struct err *e)
{
	struct s3_op o = s3_op(r, "PUT", a->key);
	int rc = -1;

	o.look = s3_look_for_error;
	if (s3_add_source(&o.headers, r->own, from, e) == 0 && s3_run_conditional(&o, a, e) == 0)
		rc = s3_is_done(&o) ? 200 : o.a.status;
	s3_op_end(&o);
	return rc;
}

/* ---- what is too large for one request ---- */

static int
copy_part(struct remote *r, const struct remote_object *from, const char *to, const char *session,
    struct remote_part *p, struct err *e)
{
	struct s3_op o = s3_op(r, "PUT", to);
	struct buf query = {0};
	char etag[REMOTE_TAG_MAX + 4];
	int rc = -1;

	o.look = s3_look_for_error;
	if (s3_add_source(&o.headers, r->own, from, e) == -1 ||
	    buf_addf(&o.headers, e, "x-amz-copy-source-range: bytes=%" PRId64 "-%" PRId64 "\n",
		p->offset, p->offset + p->size_bytes - 1) == -1 ||
	    s3_upload_query(&query, p->number, session, e) == -1)
		goto out;
	o.query = query.data;
	if (s3_run(&o, e) == 0 &&
	    s3_element(&o.a, "/CopyPartResult/ETag", etag, sizeof etag, e) == 0) {
		s3_unquote(etag, p->tag);
		if (s3_is_md5(p->tag))
			memcpy(p->md5, p->tag, sizeof p->md5);
		rc = 0;
	}
out:
	s3_op_end(&o);
	buf_free(&query);
	return rc;
}

static int
copy_parts(struct remote *r, const struct remote_object *from, const char *session,
    struct s3_aim *a, struct remote_object *o, struct err *e)
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
		rc = s3_made_of_parts(parts, n, a->made, e);
	if (rc == 0)
		rc = s3_write_parts(parts, n, &body, e);
	if (rc == 0)
		rc = s3_finish_upload(r, session, &body, a, o, e);
	buf_free(&body);
	free(parts);
	return rc;
}

/* What is too large for one request. Its metadata do not go along by themselves. */
static int
copy_large(struct remote *r, const struct remote_object *from, struct s3_aim *a,
    struct remote_object *o, struct err *e)
{
	struct s3_op begin = s3_op(r, "POST", a->key);
	struct json *metadata = NULL;
	char session[REMOTE_SESSION_MAX];
	struct err ignored = {0};
	int rc = s3_stat(r, from->key, o, &metadata, e);
	struct remote_source s = {.key = a->key, .metadata = metadata};

	if (rc == 0)
		err_item(e, P_MISSING, "%s: it is not there any more", from->key);
	rc = rc == 1 && s3_add_description(&begin.headers, &s, e) == 0
		 ? s3_begin_upload(&begin, session, e)
		 : -1;
	if (rc == 0 && (rc = copy_parts(r, from, session, a, o, e)) == -1)
		s3_abort(r, a->key, session, &ignored);
	json_free(metadata);
	s3_op_end(&begin);
	return rc;
}

/* ---- a whole copy ---- */

/* The copy of what had an MD5 has the same, and all have the same size. */
static int
check_copy(struct remote *r, const struct remote_object *from, const struct s3_aim *a,
    struct remote_object *o, struct err *e)
{
	struct err ignored = {0};

	if (s3_look_again(r, a, o, e) == -1)
		return -1;
	if (!s3_is_md5(from->md5) || o->md5[0] == '\0' || strcmp(o->md5, from->md5) == 0)
		return 0;
	s3_remove_plain(r, a->key, o->tag, &ignored);
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

int
s3_copy(struct remote *r, const struct remote_object *from, const char *to, const char *over,
    struct remote_object *o, struct err *e)
{
	struct s3_aim a = {.key = to, .size_bytes = from->size_bytes};
	int rc;

	snprintf(a.tag, sizeof a.tag, "%s", over == NULL ? "" : over);
	snprintf(a.made, sizeof a.made, "%s", from->md5[0] != '\0' ? from->md5 : from->tag);
	/* Not all servers hold the conditions of a copy. */
	for (int i = 0; i < S3_TRIES; i++) {
		if ((rc = s3_settle(r, &a, o, e)) != 0)
			return rc == 1 ? 0 : -1;
		if (check_source(r, from, e) == -1)
			return -1;
		if (from->size_bytes > S3_SINGLE_MAX)
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
