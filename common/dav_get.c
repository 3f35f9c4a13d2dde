#include "dav_get.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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
	struct dav_ask *k;
	char etag[REMOTE_TAG_MAX]; /* of the last answer */
};

/* Where an answer begins: at what its Content-Range says, or at the start. */
static int
begin_answer(struct getting *g, struct err *e)
{
	g->begun = true;
	g->place = 0;
	if (g->k->a.status != 206)
		return 0;
	if (!http_begins_at(&g->k->a, g->at))
		return err_item(
		    e, P_REMOTE, "%s: the server sent other bytes than were asked for", g->o->key);
	g->place = g->at;
	return 0;
}

static int
take_piece(struct getting *g, const char *p, size_t len, struct err *e)
{
	uint64_t skip;

	if (!g->begun && begin_answer(g, e) == -1)
		return -1;
	if (len > (uint64_t)g->o->size_bytes - g->place)
		return dav_changed(g->o->key, e);
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
	struct dav_ask k;
	char text[REMOTE_TAG_MAX + 8];
	int rc = -1;

	*f = (struct fault){.class = FAULT_NONE, .retry_after_s = -1};
	if (dav_ask_key(&k, g->r, "GET", g->o->key, e) == -1)
		goto out;
	snprintf(text, sizeof text, "bytes=%" PRIu64 "-", g->at);
	if (g->at != 0 && dav_add_header(&k, "Range", text, e) == -1)
		goto out;
	snprintf(text, sizeof text, "\"%s\"", g->condition == NULL ? "" : g->condition);
	if (g->condition != NULL && dav_add_header(&k, "If-Match", text, e) == -1)
		goto out;
	k.q.sink = pass_on;
	k.q.ctx = g;
	g->k = &k;
	g->begun = false;
	if ((rc = dav_send_once(&k, f, e)) == -1)
		goto out;
	if (g->at != (uint64_t)g->o->size_bytes) {
		rc = fault_set(f, FAULT_CONFLICT, k.a.status,
		    "%" PRIu64 " bytes came, not %" PRId64 "; it was changed", g->at,
		    g->o->size_bytes);
	} else if (http_header(&k.a, "ETag", text, sizeof text)) {
		dav_take_etag(text, g->etag);
	}
out:
	dav_ask_free(&k);
	return rc;
}

/*
 * With If-Match where that is honoured. Else the version is looked at before and after, as it is
 * after a 412 that means no more than that the ETag was weak at that moment.
 */
int
dav_get(struct remote *r, const struct remote_object *o, uint64_t offset,
    int (*sink)(void *ctx, const void *p, size_t len, struct err *e), void *ctx, struct err *e)
{
	struct getting g = {.r = r, .o = o, .sink = sink, .ctx = ctx, .at = offset};
	struct remote_object now = *o;

	if (offset > (uint64_t)o->size_bytes)
		return err_item(
		    e, P_SIZE_MISMATCH, "%s: ends before byte %" PRIu64, o->key, offset);
	if (r->can.conditional && dav_is_etag(o->tag) && offset < (uint64_t)o->size_bytes) {
		g.condition = o->tag;
		if (retry_run(r->retry, o->key, get_once, &g, e) == 0)
			return 0;
		if (!dav_is_conflict(e) || g.refused)
			return -1;
		g.condition = NULL;
	}
	if (dav_look_for(r, o->key, o->tag, &now, e) == -1)
		return -1;
	g.o = &now;
	if (now.size_bytes != o->size_bytes)
		return dav_changed(o->key, e);
	if (offset == (uint64_t)now.size_bytes)
		return 0;
	if (retry_run(r->retry, o->key, get_once, &g, e) == -1)
		return -1;
	if (dav_is_etag(now.tag) && g.etag[0] != '\0')
		return strcmp(now.tag, g.etag) == 0 ? 0 : dav_changed(o->key, e);
	return dav_look_for(r, o->key, o->tag, &now, e);
}

static int
feed(void *ctx, const void *p, size_t len, struct err *e)
{
	(void)e;
	hash_update(ctx, p, len);
	return 0;
}

int
dav_holds(struct remote *r, const struct remote_source *s, struct remote_object *o, struct err *e)
{
	char sum[HASH_SHA256_HEX];
	struct hash *h;
	int rc = dav_look(r, s->key, o, e);

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
