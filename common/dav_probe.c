#include "dav_probe.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dav_change.h"
#include "dav_get.h"

#define PARTIAL_MIN (INT64_C(64) << 20) /* larger objects can be resumed where parts are */

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
		if ((status = dav_put_to(r, &s, key, "If-Match", value, etag, e)) == -1)
			return -1;
	}
	if (!dav_is_success(status))
		return 0;
	if (dav_look_for(r, key, "", &o, e) == -1)
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

	if (dav_put_to(r, &first, key, NULL, NULL, etag, e) == -1 ||
	    dav_look_for(r, key, "", &o, e) == -1)
		return -1;
	if (!dav_is_etag(o.tag))
		return 0;
	if ((status = dav_put_to(r, &other, key, "If-None-Match", "*", etag, e)) != 412)
		return status == -1 ? -1 : 0;
	status = dav_put_to(r, &other, key, "If-Match", "\"no-such-version\"", etag, e);
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
	int rc = dav_look(r, key, &o, e);

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

	if (dav_put_to(r, &begin, key, NULL, NULL, etag, e) == -1)
		return -1;
	if (dav_put_range(r, &whole, key, 10, 13, &other) == -1 ||
	    dav_put_range(r, &whole, key, 13, 16, &other) == -1) {
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
	struct dav_ask k;
	struct fault fault;
	int rc = -1;

	if (f == NULL)
		return err_sys(e, "making a temporary file");
	memset(piece, 'x', sizeof piece);
	for (int i = 0; i < 64; i++)
		fwrite(piece, 1, sizeof piece, f);
	if (fflush(f) != 0) {
		err_sys(e, "writing a temporary file");
	} else if (dav_ask_key(&k, r, "PUT", key, e) == 0) {
		struct err cut;

		k.q.has_file = true;
		k.q.fd = fileno(f);
		k.q.bytes = 4 << 20;
		/* It must fail, and how is of no interest. */
		dav_send_once(&k, &fault, &cut);
		dav_ask_free(&k);
		rc = 0;
	} else {
		dav_ask_free(&k);
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

	if (dav_put_to(r, &s, key, NULL, NULL, etag, e) == -1 || cut_put(r, key, e) == -1 ||
	    cut_put(r, fresh, e) == -1)
		return -1;
	/* The server may need a moment to see that the connection is gone. */
	nap();
	if ((rc = dav_look(r, fresh, &o, e)) != 0)
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

	if (dav_put_to(r, &a, key, NULL, NULL, etag, e) == -1 ||
	    dav_put_to(r, &b, fresh, NULL, NULL, etag, e) == -1 ||
	    (status = dav_transfer(r, "MOVE", key, fresh, false, &attempts, e)) == -1)
		return -1;
	if (status != 412)
		return err_set(e, ERR_CONFIG, NULL,
		    "this WebDAV server overwrites where it is told not to (MOVE with Overwrite: "
		    "F); "
		    "recordings would not be safe there");
	if ((status = dav_transfer(r, "MOVE", key, fresh, true, &attempts, e)) == -1)
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

	if (dav_put_to(r, &a, key, NULL, NULL, etag, e) == -1)
		return -1;
	if (dav_transfer(r, "COPY", key, fresh, true, &attempts, &other) == -1) {
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
	struct dav_ask k;
	int rc = dav_ask_properties(&k, r, "", 0, e) == -1 ? -1 : 0;

	if (rc == 0)
		rc = json_put_int(found, "skew_ms", k.a.has_skew ? k.a.skew_s * 1000 : 0, e);
	dav_ask_free(&k);
	return rc;
}

int
dav_probe(struct remote *r, struct json *found, struct err *e)
{
	char key[2][REMOTE_KEY_MAX + 1];
	int conditional, partial = 0, atomic = 0, copy = 0, rc = -1;

	if (dav_temp_key(r, key[0], e) == -1 || dav_temp_key(r, key[1], e) == -1)
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
	dav_remove_quietly(r, key[0]);
	dav_remove_quietly(r, key[1]);
	return rc;
}
