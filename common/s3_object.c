#include "s3_object.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "mem.h"
#include "s3_metadata.h"

/* ---- tags and hashes ---- */

void
s3_unquote(const char *text, char tag[REMOTE_TAG_MAX])
{
	size_t n = 0;

	for (; *text != '\0' && n + 1 < REMOTE_TAG_MAX; text++)
		if (*text != '"')
			tag[n++] = *text;
	tag[*text == '\0' ? n : 0] = '\0';
}

int
s3_add_tag(struct buf *headers, const char *name, const char *tag, struct err *e)
{
	bool weak = strncmp(tag, "W/", 2) == 0;

	return buf_addf(headers, e, "%s: %s\"%s\"\n", name, weak ? "W/" : "", tag + 2 * weak);
}

bool
s3_is_md5(const char *s)
{
	return strlen(s) == HASH_MD5_HEX - 1 && strspn(s, "0123456789abcdef") == HASH_MD5_HEX - 1;
}

void
s3_set_tag(const struct remote *r, struct remote_object *o, const char *etag)
{
	s3_unquote(etag, o->tag);
	o->md5[0] = '\0';
	if (r->can.checksum && s3_is_md5(o->tag))
		memcpy(o->md5, o->tag, sizeof o->md5);
}

/* With keys of the server's own the ETag is the MD5 of what it made of the bytes. */
static bool
is_encrypted(const struct s3_op *o)
{
	char how[64];

	return http_header(
		   &o->a, "x-amz-server-side-encryption-customer-algorithm", how, sizeof how) ||
	       (http_header(&o->a, "x-amz-server-side-encryption", how, sizeof how) &&
		   strncmp(how, "aws:kms", 7) == 0);
}

void
s3_tag_of_answer(const struct s3_op *o, struct remote_object *out)
{
	char etag[REMOTE_TAG_MAX + 4];

	out->tag[0] = out->md5[0] = '\0';
	if (http_header(&o->a, "ETag", etag, sizeof etag))
		s3_set_tag(o->r, out, etag);
	if (is_encrypted(o))
		out->md5[0] = '\0';
}

int
s3_add_md5(struct buf *headers, const char *md5, struct err *e)
{
	unsigned char raw[16];
	char text[25];

	if (!s3_is_md5(md5) || hash_unhex(md5, HASH_MD5_HEX - 1, raw) == -1)
		return 0;
	hash_base64(raw, sizeof raw, text);
	return buf_addf(headers, e, "Content-MD5: %s\n", text);
}

/* ---- looking at one ---- */

int
s3_stat(struct remote *r, const char *key, struct remote_object *o, struct json **metadata,
    struct err *e)
{
	struct s3_op h = s3_op(r, "HEAD", key);
	int64_t modified;
	char text[64];
	int rc = -1;

	h.wants = S3_WANTS_ABSENT;
	memset(o, 0, sizeof *o);
	if (metadata != NULL)
		*metadata = NULL;
	if (s3_run(&h, e) == -1)
		goto out;
	if (h.a.status == 404) {
		rc = 0;
		goto out;
	}
	snprintf(o->key, sizeof o->key, "%s", key);
	s3_tag_of_answer(&h, o);
	if (http_header(&h.a, "Last-Modified", text, sizeof text) && http_date(text, &modified))
		clock_rfc3339((struct timespec){.tv_sec = modified}, o->modified);
	if (!http_header(&h.a, "Content-Length", text, sizeof text) ||
	    !mem_parse_i64(text, 0, INT64_MAX, &o->size_bytes)) {
		err_item(e, P_REMOTE, "%s: the server does not say how long it is", key);
		goto out;
	}
	if (metadata != NULL && (*metadata = s3_read_metadata(&h.a, e)) == NULL)
		goto out;
	rc = 1;
out:
	s3_op_end(&h);
	return rc;
}

int
s3_look_again(struct remote *r, const struct s3_aim *a, struct remote_object *o, struct err *e)
{
	int rc = s3_stat(r, a->key, o, NULL, e);

	if (rc == -1)
		return -1;
	if (rc == 1 && o->size_bytes == a->size_bytes)
		return 0;
	return err_item(e, P_REMOTE, "%s: the server said that it has it, but it %s: run again",
	    a->key, rc == 0 ? "is not there" : "is of another size");
}

/* ---- what may be overwritten ---- */

struct s3_aim
s3_aim_of(const struct remote_source *s)
{
	struct s3_aim a = {.key = s->key, .size_bytes = s->size_bytes};

	if (s->condition == REMOTE_REPLACE && s->tag != NULL)
		snprintf(a.tag, sizeof a.tag, "%s", s->tag);
	return a;
}

static bool
is_made(const struct s3_aim *a, const struct remote_object *o)
{
	return a->made[0] != '\0' && o->size_bytes == a->size_bytes && strcmp(o->tag, a->made) == 0;
}

int
s3_settle(struct remote *r, struct s3_aim *a, struct remote_object *o, struct err *e)
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
add_match(struct s3_op *o, const char *tag, struct err *e)
{
	o->bare_tag = atomic_load(&((struct s3 *)o->r->own)->bare_tags);
	if (o->bare_tag)
		return buf_addf(&o->headers, e, "If-Match: %s\n", tag);
	return s3_add_tag(&o->headers, "If-Match", tag, e);
}

int
s3_add_condition(struct s3_op *o, const struct s3_aim *a, struct err *e)
{
	if (a->tag[0] == '\0')
		return buf_adds(&o->headers, "If-None-Match: *\n", e);
	return add_match(o, a->tag, e);
}

void
s3_respell(const struct s3_op *o)
{
	atomic_store(&((struct s3 *)o->r->own)->bare_tags, !o->bare_tag);
}

int
s3_run_conditional(struct s3_op *o, const struct s3_aim *a, struct err *e)
{
	size_t len = o->headers.len;

	o->wants |= S3_WANTS_CONFLICT | S3_WANTS_ABSENT | S3_WANTS_UNSUPPORTED;
	if (o->r->can.conditional && s3_add_condition(o, a, e) == -1)
		return -1;
	if (s3_run(o, e) == -1)
		return -1;
	if (o->a.status == 412 && a->tag[0] != '\0')
		s3_respell(o);
	if (o->a.status != 501)
		return 0;
	o->headers.len = len;
	o->headers.data[len] = '\0';
	o->wants &= ~(unsigned)S3_WANTS_UNSUPPORTED;
	return s3_run(o, e);
}

/* ---- removing ---- */

/* The status of the answer, or -1. */
static int
remove_once(struct remote *r, const char *key, const char *tag, struct err *e)
{
	struct s3_op d = s3_op(r, "DELETE", key);
	int rc = -1;

	d.wants = S3_WANTS_ABSENT | S3_WANTS_CONFLICT | S3_WANTS_UNSUPPORTED;
	if (tag[0] != '\0' && add_match(&d, tag, e) == -1)
		goto out;
	if (s3_run(&d, e) == -1)
		goto out;
	rc = d.a.status;
	if (rc == 412)
		s3_respell(&d);
out:
	s3_op_end(&d);
	return rc;
}

int
s3_remove_plain(struct remote *r, const char *key, const char *tag, struct err *e)
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
int
s3_remove(struct remote *r, const struct remote_object *o, struct err *e)
{
	struct remote_object there;
	int rc;

	if (o->tag[0] == '\0')
		return s3_remove_plain(r, o->key, "", e);
	if ((rc = s3_stat(r, o->key, &there, NULL, e)) != 1)
		return rc;
	if (strcmp(there.tag, o->tag) != 0)
		return err_item(
		    e, P_CONFLICT, "%s: it is another version by now, and stays as it is", o->key);
	return s3_remove_plain(r, o->key, o->tag, e);
}
