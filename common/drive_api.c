#include "drive_api.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "mem.h"

#define ANSWER_MAX (INT64_C(16) << 20)
#define TOKEN_MARGIN_S 60

void
drive_call_free(struct drive_call *c)
{
	http_answer_free(&c->a);
	c->a = (struct http_answer){0};
	json_free(c->json);
	c->json = NULL;
}

/* ---- faults ---- */

/* The reason that an error of the API gives: a word, or "" (nothing else of it is repeated). */
static void
reason_of(const struct http_answer *a, char *out, size_t size)
{
	struct err ignored = {0};
	struct json *v = a->body.len == 0 ? NULL : json_parse(a->body.data, a->body.len, &ignored);
	const char *s =
	    json_get_str(json_at(json_get(json_get(v, "error"), "errors"), 0), "reason");
	size_t n = 0;

	while (s != NULL && n + 1 < size && isalnum((unsigned char)s[n]))
		n++;
	if (s != NULL)
		memcpy(out, s, n);
	out[n] = '\0';
	json_free(v);
}

static int
fault_of_reason(const struct http_answer *a, struct fault *f)
{
	static const struct {
		const char *reason;
		enum fault_class class;
		const char *text;
	} known[] = {
	    {"rateLimitExceeded", FAULT_THROTTLE, "Google Drive asks for fewer requests"},
	    {"userRateLimitExceeded", FAULT_THROTTLE, "Google Drive asks for fewer requests"},
	    {"sharingRateLimitExceeded", FAULT_THROTTLE, "Google Drive asks for fewer requests"},
	    {"dailyLimitExceeded", FAULT_QUOTA,
		"the requests of a day are used up; go on tomorrow"},
	    {"uploadLimitExceeded", FAULT_QUOTA,
		"the uploads of a day are used up; go on tomorrow"},
	    {"storageQuotaExceeded", FAULT_QUOTA,
		"Google Drive has no room left; free some there, or buy more"},
	    {"teamDriveFileLimitExceeded", FAULT_QUOTA, "the shared drive takes no more files"},
	    {"numChildrenInNonRootLimitExceeded", FAULT_QUOTA, "the folder takes no more files"},
	    {"accessNotConfigured", FAULT_CONFIG,
		"the Drive API is not enabled for this client id; enable it in Google's console"},
	    {"insufficientPermissions", FAULT_CONFIG,
		"the sign-in does not include Google Drive; sign in again"},
	    {"domainPolicy", FAULT_CONFIG, "the domain's administrators have disabled Drive apps"},
	};
	char reason[64];

	reason_of(a, reason, sizeof reason);
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcmp(reason, known[i].reason) == 0) {
			fault_set(f, known[i].class, a->status, "%s (%s)", known[i].text, reason);
			f->retry_after_s = http_retry_after(a);
			return -1;
		}
	return fault_set(f, FAULT_ITEM, a->status, "Google Drive refuses it (%s)",
	    reason[0] != '\0' ? reason : "no reason given");
}

static int
fault_of_answer(const struct http_answer *a, struct fault *f)
{
	char reason[64];

	switch (a->status) {
	case 400:
		reason_of(a, reason, sizeof reason);
		return fault_set(f, FAULT_ITEM, a->status,
		    "Google Drive takes the request for wrong (%s)",
		    reason[0] != '\0' ? reason : "no reason given");
	case 401:
		return fault_set(f, FAULT_SIGN_IN, a->status,
		    "Google Drive does not accept the sign-in; sign in again");
	case 403:
		return fault_of_reason(a, f);
	case 404:
	case 410:
		return fault_set(
		    f, FAULT_ABSENT, a->status, "is not (or no longer) at Google Drive");
	case 409:
	case 412:
		return fault_set(
		    f, FAULT_CONFLICT, a->status, "something else is there at Google Drive");
	default:
		remote_fault_of_status(a, f);
		return -1;
	}
}

/* ---- signing in ---- */

static int
add_field(struct buf *b, const char *name, const char *value, struct err *e)
{
	if (b->len != 0 && buf_adds(b, "&", e) == -1)
		return -1;
	if (buf_addf(b, e, "%s=", name) == -1)
		return -1;
	return http_escape(b, value, strlen(value), false, e);
}

static void
wipe(struct buf *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->cap);
	buf_free(b);
}

/* What the token endpoint says when it says no (RFC 6749, 5.2). */
static int
fault_of_sign_in(const struct http_answer *a, const char *error, struct fault *f)
{
	if (error != NULL && strcmp(error, "invalid_grant") == 0)
		return fault_set(f, FAULT_CONFIG, a->status,
		    "the sign-in to Google Drive has expired or was revoked; sign in again and set "
		    "the new refresh token");
	if (error != NULL &&
	    (strcmp(error, "invalid_client") == 0 || strcmp(error, "unauthorized_client") == 0))
		return fault_set(f, FAULT_CONFIG, a->status,
		    "Google does not know the client id and secret; check GOOGLE_CLIENT_ID and "
		    "GOOGLE_CLIENT_SECRET");
	if (a->status >= 400 && a->status < 500 && a->status != 408 && a->status != 429)
		return fault_set(f, FAULT_CONFIG, a->status,
		    "Google refuses the sign-in (status %d); check the client id, its secret and "
		    "the refresh token",
		    a->status);
	remote_fault_of_status(a, f);
	return -1;
}

static bool
is_token(const char *s)
{
	size_t n = s == NULL ? 0 : strlen(s);

	if (n == 0 || n >= DRIVE_TOKEN_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] <= 0x20 || (unsigned char)s[i] >= 0x7f)
			return false;
	return true;
}

static int
take_token(struct drive *d, const struct http_answer *a, struct fault *f)
{
	struct err ignored = {0};
	struct json *v = a->body.len == 0 ? NULL : json_parse(a->body.data, a->body.len, &ignored);
	const char *token = json_get_str(v, "access_token");
	int64_t seconds = 3600;
	int rc = 0;

	if (a->status != 200)
		rc = fault_of_sign_in(a, json_get_str(v, "error"), f);
	else if (!is_token(token))
		rc = fault_set(
		    f, FAULT_TRANSIENT, a->status, "Google's sign-in answered without a token");
	if (rc == 0) {
		json_get_int(v, "expires_in", &seconds);
		if (seconds < 0 || seconds > 86400)
			seconds = 3600;
		/* Shortly before it ends, but half of a life that is short. */
		seconds -= seconds > 2 * TOKEN_MARGIN_S ? TOKEN_MARGIN_S : seconds / 2;
		snprintf(d->token, sizeof d->token, "%s", token);
		d->token_ends_ns = clock_monotonic_ns() + seconds * 1000000000;
		d->generation++;
	}
	json_free(v);
	return rc;
}

static int
refresh(struct remote *r, struct fault *f, struct err *e)
{
	static const char *const headers[] = {
	    "Content-Type: application/x-www-form-urlencoded", NULL};
	struct drive *d = r->own;
	struct buf form = {0};
	struct http_answer a = {0};
	int rc = -1;

	if (add_field(&form, "grant_type", "refresh_token", e) == -1 ||
	    add_field(&form, "client_id", r->settings.client_id, e) == -1 ||
	    add_field(&form, "client_secret", r->settings.client_secret, e) == -1 ||
	    add_field(&form, "refresh_token", r->settings.refresh_token, e) == -1)
		goto out;
	rc = http_send(r->http,
	    &(struct http_request){.method = "POST",
		.url = d->token_url,
		.headers = headers,
		.body = form.data,
		.body_len = form.len},
	    &a, e);
	if (rc == 0)
		rc = remote_fault_of_failure(&a, f) == 1 ? -1 : take_token(d, &a, f);
out:
	wipe(&form);
	if (a.body.data != NULL)
		explicit_bzero(a.body.data, a.body.len);
	http_answer_free(&a);
	return rc;
}

/* A header line with a token that holds for a while. */
static int
authorization(
    struct remote *r, struct buf *line, uint64_t *generation, struct fault *f, struct err *e)
{
	struct drive *d = r->own;
	int rc = 0;

	pthread_mutex_lock(&d->token_lock);
	if (d->token[0] == '\0' || clock_monotonic_ns() >= d->token_ends_ns)
		rc = refresh(r, f, e);
	if (rc == 0)
		rc = buf_addf(line, e, "Authorization: Bearer %s", d->token);
	*generation = d->generation;
	pthread_mutex_unlock(&d->token_lock);
	return rc;
}

/* Unless another thread has a newer one by now. */
static void
forget_token(struct drive *d, uint64_t generation)
{
	pthread_mutex_lock(&d->token_lock);
	if (d->generation == generation)
		d->token[0] = '\0';
	pthread_mutex_unlock(&d->token_lock);
}

/* ---- requests ---- */

static bool
passes(const struct drive_call *c)
{
	if (c->a.status >= 200 && c->a.status < 300)
		return true;
	for (size_t i = 0; i < sizeof c->passes / sizeof c->passes[0] && c->passes[i] != 0; i++)
		if (c->passes[i] == c->a.status)
			return true;
	return false;
}

static int
read_json(struct drive_call *c, struct fault *f, struct err *e)
{
	if (!c->wants_json || c->a.status >= 300)
		return 0;
	c->json = json_parse(c->a.body.data == NULL ? "" : c->a.body.data, c->a.body.len, e);
	if (json_kind(c->json) == JSON_KIND_OBJECT)
		return 0;
	if (c->json == NULL && e->class != ERR_ITEM)
		return -1;
	return fault_set(f, FAULT_TRANSIENT, c->a.status,
	    "Google Drive's answer is no JSON object; does something else answer there?");
}

static int
transfer(struct drive_call *c, const char *authorization_line, struct err *e)
{
	const char *headers[5] = {authorization_line};
	size_t n = 1;

	for (size_t i = 0; i < 3 && c->headers[i] != NULL; i++)
		headers[n++] = c->headers[i];
	drive_call_free(c);
	return http_send(c->r->http,
	    &(struct http_request){.method = c->method,
		.url = c->url,
		.headers = headers,
		.body = c->body,
		.body_len = c->body_len,
		.has_file = c->has_file,
		.fd = c->fd,
		.offset = c->offset,
		.bytes = c->bytes,
		.max_answer = c->sink == NULL ? ANSWER_MAX : 0,
		.sink = c->sink,
		.ctx = c->ctx},
	    &c->a, e);
}

int
drive_send_once(void *ctx, struct fault *f, struct err *e)
{
	struct drive_call *c = ctx;
	struct buf line = {0};
	uint64_t generation;
	int rc;

	f->class = FAULT_NONE;
	if ((rc = authorization(c->r, &line, &generation, f, e)) == 0)
		rc = transfer(c, line.data, e);
	wipe(&line);
	if (rc == -1)
		return -1;
	if (remote_fault_of_failure(&c->a, f) == 1)
		return -1;
	if (c->a.status == 401)
		forget_token(c->r->own, generation);
	return passes(c) ? read_json(c, f, e) : fault_of_answer(&c->a, f);
}

int
drive_call_run(struct drive_call *c, struct err *e)
{
	return retry_run(c->r->retry, c->what, drive_send_once, c, e);
}

/* ---- what requests are made of ---- */

int
drive_add_path(struct remote *r, struct buf *url, const char *path, struct err *e)
{
	const struct drive *d = r->own;

	return buf_addf(url, e, "%s%s", d->base, path);
}

int
drive_add_argument(struct buf *url, const char *name, const char *value, struct err *e)
{
	if (buf_addf(url, e, "%c%s=", strchr(url->data, '?') == NULL ? '?' : '&', name) == -1)
		return -1;
	return http_escape(url, value, strlen(value), false, e);
}

int
drive_add_file(struct remote *r, struct buf *url, const char *above, const char *id,
    const char *fields, struct err *e)
{
	if (drive_add_path(r, url, above, e) == -1 || buf_addf(url, e, "/%s", id) == -1)
		return -1;
	return fields == NULL ? 0 : drive_add_argument(url, "fields", fields, e);
}

int
drive_json_body(struct drive_call *c, const struct json *v, struct buf *text, struct err *e)
{
	if (json_write(v, text, e) == -1)
		return -1;
	c->headers[0] = "Content-Type: application/json; charset=UTF-8";
	c->body = text->data;
	c->body_len = text->len;
	return 0;
}
