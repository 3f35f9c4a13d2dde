#include "dav_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xml.h"

int
dav_add_header(struct dav_ask *k, const char *name, const char *value, struct err *e)
{
	char *line = mem_fmt(e, "%s: %s", name, value);

	if (line == NULL)
		return -1;
	k->header[k->headers++] = line;
	return 0;
}

char *
dav_path(const struct dav *d, const char *key, struct err *e)
{
	struct buf b = {0};

	if (buf_addf(&b, e, "%s/", d->path) == 0 && http_escape(&b, key, strlen(key), true, e) == 0)
		return b.data;
	buf_free(&b);
	return NULL;
}

int
dav_ask_path(struct dav_ask *k, struct remote *r, const char *method, char *path, const char *what,
    struct err *e)
{
	struct dav *d = r->own;

	*k = (struct dav_ask){.r = r, .what = what[0] != '\0' ? what : "the folder", .path = path};
	k->q = (struct http_request){.method = method, .fd = -1};
	if (path == NULL)
		return -1;
	if (d->sign_in == NULL)
		return 0;
	if ((k->header[0] = mem_str(d->sign_in, e)) == NULL)
		return -1;
	k->headers = 1;
	return 0;
}

int
dav_ask_key(struct dav_ask *k, struct remote *r, const char *method, const char *key, struct err *e)
{
	return dav_ask_path(k, r, method, dav_path(r->own, key, e), key, e);
}

void
dav_accept(struct dav_ask *k, int status)
{
	unsigned i = 0;

	while (k->accept[i] != 0)
		i++;
	k->accept[i] = status;
}

void
dav_ask_free(struct dav_ask *k)
{
	for (unsigned i = 0; i < k->headers; i++) {
		explicit_bzero(k->header[i], strlen(k->header[i]));
		free(k->header[i]);
	}
	free(k->path);
	http_answer_free(&k->a);
}

/* What a status means that is none of success. */
static void
fault_of(const struct dav_ask *k, int status, struct fault *f)
{
	static const struct {
		int status;
		enum fault_class class;
		const char *text;
	} known[] = {
	    {400, FAULT_ITEM,
		"the server refuses the request (status 400); it may not allow the name"},
	    {401, FAULT_CONFIG,
		"the server does not let us in; set REC_WEBDAV_USER and REC_WEBDAV_PASSWORD"},
	    {403, FAULT_ITEM,
		"the server forbids it (status 403); allow this user to write there, or rename"},
	    {404, FAULT_ABSENT, "it is not there"},
	    {410, FAULT_ABSENT, "it is not there any more"},
	    {412, FAULT_CONFLICT, "something else is there, or it was changed"},
	    {413, FAULT_ITEM,
		"the server does not take so much at once (status 413); raise its limit"},
	    {423, FAULT_TRANSIENT, "somebody has locked it"},
	};

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (known[i].status == status) {
			fault_set(f, known[i].class, status, "%s", known[i].text);
			return;
		}
	remote_fault_of_status(&k->a, f);
	if ((status == 405 || status == 501) && strcmp(k->q.method, "PROPFIND") == 0)
		fault_set(f, FAULT_CONFIG, status,
		    "there is no WebDAV under this address (status %d)", status);
}

/* The worst status within a 207: of a MOVE, COPY or DELETE that failed in part. */
static int
note_status(void *ctx, const char *path, const char *text, struct err *e)
{
	int *worst = ctx, status;

	(void)e;
	if (text != NULL && strcmp(path, "/multistatus/response/status") == 0 &&
	    sscanf(text, "HTTP/%*d.%*d %d", &status) == 1 && status > *worst)
		*worst = status;
	return 0;
}

int
dav_status(const struct dav_ask *k)
{
	struct err other;
	int worst = 0;

	if (k->a.status != 207 || strcmp(k->q.method, "PROPFIND") == 0)
		return k->a.status;
	if (k->a.body.len == 0 ||
	    xml_read(k->a.body.data, k->a.body.len, note_status, &worst, &other) == -1)
		return 500;
	return worst;
}

int
dav_send_once(struct dav_ask *k, struct fault *f, struct err *e)
{
	const struct dav *d = k->r->own;
	char *url = mem_fmt(e, "%s%s", d->server, k->path);
	int rc, status;

	*f = (struct fault){.class = FAULT_NONE, .retry_after_s = -1};
	if (url == NULL)
		return -1;
	k->attempts++;
	k->q.url = url;
	k->q.headers = (const char *const *)k->header;
	http_answer_free(&k->a);
	k->a = (struct http_answer){0};
	rc = http_send(k->r->http, &k->q, &k->a, e);
	free(url);
	if (rc == -1 || remote_fault_of_failure(&k->a, f) == 1)
		return -1;
	status = dav_status(k);
	if (strcmp(k->q.method, "PROPFIND") == 0 && status >= 200 && status < 300 && status != 207)
		status = 501;
	for (int i = 0; i < DAV_ACCEPT_MAX && k->accept[i] != 0; i++)
		if (k->accept[i] == status)
			return 0;
	if (status >= 200 && status < 300)
		return 0;
	fault_of(k, status, f);
	return -1;
}

static int
attempt(void *ctx, struct fault *f, struct err *e)
{
	return dav_send_once(ctx, f, e);
}

int
dav_send(struct dav_ask *k, struct err *e)
{
	return retry_run(k->r->retry, k->what, attempt, k, e) == -1 ? -1 : dav_status(k);
}

int
dav_ask_simply(struct remote *r, const char *method, const char *key, int accepted, struct err *e)
{
	struct dav_ask k;
	int status = -1;

	if (dav_ask_key(&k, r, method, key, e) == 0) {
		dav_accept(&k, accepted);
		status = dav_send(&k, e);
	}
	dav_ask_free(&k);
	return status;
}

bool
dav_is_success(int status)
{
	return status >= 200 && status < 300;
}
