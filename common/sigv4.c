#include "sigv4.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hash.h"

#define DAY_TEXT 9   /* 20130524 */
#define TIME_TEXT 17 /* 20130524T000000Z */

struct sigv4 {
	char *access_key, *secret_key, *session_token; /* the last may be NULL */
	char *region, *service;
	pthread_mutex_t lock;
	char day[DAY_TEXT]; /* of key, "" while there is none */
	unsigned char key[HASH_SHA256_BYTES];
};

/* One thing of many that are sorted: a header, a parameter. */
struct part {
	char *name, *value;
};

struct parts {
	struct part *each;
	size_t n, room;
};

static void
wipe(char *s)
{
	if (s != NULL)
		explicit_bzero(s, strlen(s));
	free(s);
}

struct sigv4 *
sigv4_open(const struct sigv4_opts *o, struct err *e)
{
	const char *token = o->session_token == NULL ? "" : o->session_token;
	struct sigv4 *s = mem_new(1, sizeof *s, e);

	if (s == NULL)
		return NULL;
	pthread_mutex_init(&s->lock, NULL);
	if ((s->access_key = mem_str(o->access_key, e)) == NULL ||
	    (s->secret_key = mem_fmt(e, "AWS4%s", o->secret_key)) == NULL ||
	    (token[0] != '\0' && (s->session_token = mem_str(token, e)) == NULL) ||
	    (s->region = mem_str(o->region, e)) == NULL ||
	    (s->service = mem_str(o->service, e)) == NULL) {
		sigv4_close(s);
		return NULL;
	}
	return s;
}

void
sigv4_close(struct sigv4 *s)
{
	if (s == NULL)
		return;
	free(s->access_key);
	wipe(s->secret_key);
	wipe(s->session_token);
	free(s->region);
	free(s->service);
	pthread_mutex_destroy(&s->lock);
	explicit_bzero(s, sizeof *s);
	free(s);
}

/* ---- the key of a day ---- */

static int
chain(unsigned char key[HASH_SHA256_BYTES], const char *text, struct err *e)
{
	unsigned char next[HASH_SHA256_BYTES];

	if (hash_hmac_sha256(key, HASH_SHA256_BYTES, text, strlen(text), next, e) == -1)
		return -1;
	memcpy(key, next, sizeof next);
	explicit_bzero(next, sizeof next);
	return 0;
}

static int
derive(const struct sigv4 *s, const char *day, unsigned char key[HASH_SHA256_BYTES], struct err *e)
{
	if (hash_hmac_sha256(s->secret_key, strlen(s->secret_key), day, strlen(day), key, e) == -1)
		return -1;
	if (chain(key, s->region, e) == -1 || chain(key, s->service, e) == -1)
		return -1;
	return chain(key, "aws4_request", e);
}

static int
key_of_day(struct sigv4 *s, const char *day, unsigned char key[HASH_SHA256_BYTES], struct err *e)
{
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	if (strcmp(s->day, day) != 0) {
		s->day[0] = '\0';
		rc = derive(s, day, s->key, e);
		if (rc == 0)
			memcpy(s->day, day, DAY_TEXT);
	}
	memcpy(key, s->key, sizeof s->key);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

/* ---- the canonical request ---- */

static int
by_name(const void *a, const void *b)
{
	const struct part *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order != 0 ? order : strcmp(x->value, y->value);
}

/* Takes name and value over, also when it fails. */
static int
add(struct parts *l, char *name, char *value, struct err *e)
{
	if (name != NULL && value != NULL && l->n == l->room) {
		size_t room = l->room == 0 ? 16 : 2 * l->room;
		struct part *more = reallocarray(l->each, room, sizeof *more);

		if (more == NULL) {
			err_nomem(e);
		} else {
			l->each = more;
			l->room = room;
		}
	}
	if (name == NULL || value == NULL || l->n == l->room) {
		free(name);
		free(value);
		return -1;
	}
	l->each[l->n++] = (struct part){name, value};
	return 0;
}

static void
parts_free(struct parts *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->each[i].name);
		free(l->each[i].value);
	}
	free(l->each);
}

static int
canonical_query(const char *query, struct buf *out, struct err *e)
{
	struct parts l = {0};
	int rc = 0;

	while (rc == 0 && *query != '\0') {
		size_t len = strcspn(query, "&"), name = strcspn(query, "=&");
		size_t value = name < len ? name + 1 : len;

		if (len > 0)
			rc = add(&l, mem_bytes(query, name, e),
			    mem_bytes(query + value, len - value, e), e);
		query += len + (query[len] == '&');
	}
	if (l.n > 0)
		qsort(l.each, l.n, sizeof *l.each, by_name);
	for (size_t i = 0; rc == 0 && i < l.n; i++)
		rc = buf_join(out, e, i > 0 ? "&" : "", l.each[i].name, "=", l.each[i].value);
	parts_free(&l);
	return rc;
}

/* The name in lower case, the value without blanks around it and with one where several are. */
static int
add_header(struct parts *l, const char *line, struct err *e)
{
	size_t colon = strcspn(line, ":");
	char *name = mem_bytes(line, colon, e);
	const char *from = line + colon + (line[colon] == ':');
	char *value = mem_str(from, e), *to = value;

	for (char *c = name; c != NULL && *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	for (; to != NULL && *from != '\0'; from++)
		if (*from != ' ' || (to > value && to[-1] != ' '))
			*to++ = *from;
	if (to != NULL) {
		while (to > value && to[-1] == ' ')
			to--;
		*to = '\0';
	}
	return add(l, name, value, e);
}

static int
add_pair(struct parts *l, const char *name, const char *value, struct err *e)
{
	return add(l, mem_str(name, e), mem_str(value, e), e);
}

static int
collect_headers(const struct sigv4 *s, const struct sigv4_request *q, const char *time,
    struct parts *l, struct err *e)
{
	if (add_pair(l, "host", q->host, e) == -1 ||
	    add_pair(l, "x-amz-content-sha256", q->payload, e) == -1 ||
	    add_pair(l, "x-amz-date", time, e) == -1)
		return -1;
	if (s->session_token != NULL &&
	    add_pair(l, "x-amz-security-token", s->session_token, e) == -1)
		return -1;
	for (const char *const *h = q->headers; h != NULL && *h != NULL; h++)
		if (add_header(l, *h, e) == -1)
			return -1;
	qsort(l->each, l->n, sizeof *l->each, by_name);
	return 0;
}

static int
canonical_request(const struct sigv4_request *q, const struct parts *headers,
    const struct buf *names, struct buf *out, struct err *e)
{
	if (buf_join(out, e, q->method, "\n", q->path, "\n") == -1 ||
	    canonical_query(q->query == NULL ? "" : q->query, out, e) == -1 ||
	    buf_adds(out, "\n", e) == -1)
		return -1;
	for (size_t i = 0; i < headers->n; i++)
		if (buf_join(out, e, headers->each[i].name, ":", headers->each[i].value, "\n") ==
		    -1)
			return -1;
	return buf_join(out, e, "\n", names->data, "\n", q->payload);
}

/* "date;host;x-amz-date" */
static int
join_names(const struct parts *headers, struct buf *out, struct err *e)
{
	for (size_t i = 0; i < headers->n; i++)
		if (buf_join(out, e, i > 0 ? ";" : "", headers->each[i].name) == -1)
			return -1;
	return 0;
}

/* ---- the signature ---- */

static int
digest_of(const struct buf *text, char hex[HASH_SHA256_HEX], struct err *e)
{
	struct hash *h = hash_open(HASH_SHA256, e);

	if (h == NULL)
		return -1;
	hash_update(h, text->data, text->len);
	hash_sha256(h, hex);
	hash_close(h);
	return 0;
}

static int
signature(struct sigv4 *s, const char *time, const char *scope, const struct buf *request,
    char hex[HASH_SHA256_HEX], struct err *e)
{
	unsigned char key[HASH_SHA256_BYTES], mac[HASH_SHA256_BYTES];
	char day[DAY_TEXT], digest[HASH_SHA256_HEX];
	char *text;
	int rc;

	snprintf(day, sizeof day, "%.8s", time);
	if (digest_of(request, digest, e) == -1 ||
	    (text = mem_fmt(e, "AWS4-HMAC-SHA256\n%s\n%s\n%s", time, scope, digest)) == NULL)
		return -1;
	rc = key_of_day(s, day, key, e);
	if (rc == 0)
		rc = hash_hmac_sha256(key, sizeof key, text, strlen(text), mac, e);
	if (rc == 0)
		hash_hex(mac, sizeof mac, hex);
	explicit_bzero(key, sizeof key);
	free(text);
	return rc;
}

static int
write_lines(const struct sigv4 *s, const struct sigv4_request *q, const char *time,
    const char *scope, const struct buf *names, const char *hex, struct buf *lines, struct err *e)
{
	if (buf_join(
		lines, e, "x-amz-date: ", time, "\nx-amz-content-sha256: ", q->payload, "\n") == -1)
		return -1;
	if (s->session_token != NULL &&
	    buf_join(lines, e, "x-amz-security-token: ", s->session_token, "\n") == -1)
		return -1;
	return buf_join(lines, e, "Authorization: AWS4-HMAC-SHA256 Credential=", s->access_key, "/",
	    scope, ",SignedHeaders=", names->data, ",Signature=", hex, "\n");
}

int
sigv4_sign(struct sigv4 *s, const struct sigv4_request *q, struct buf *lines, struct err *e)
{
	struct buf names = {0}, request = {0};
	struct parts headers = {0};
	char time[TIME_TEXT], hex[HASH_SHA256_HEX], *scope;
	struct tm tm;
	int rc = -1;

	if (gmtime_r(&q->time.tv_sec, &tm) == NULL ||
	    strftime(time, sizeof time, "%Y%m%dT%H%M%SZ", &tm) != sizeof time - 1)
		return err_set(e, ERR_CONFIG, NULL,
		    "the clock of this machine is far off: a request cannot be signed; set it");
	scope = mem_fmt(e, "%.8s/%s/%s/aws4_request", time, s->region, s->service);
	if (scope != NULL && collect_headers(s, q, time, &headers, e) == 0 &&
	    join_names(&headers, &names, e) == 0 &&
	    canonical_request(q, &headers, &names, &request, e) == 0 &&
	    signature(s, time, scope, &request, hex, e) == 0)
		rc = write_lines(s, q, time, scope, &names, hex, lines, e);
	/* It may hold the token. */
	if (request.len > 0)
		explicit_bzero(request.data, request.len);
	parts_free(&headers);
	buf_free(&names);
	buf_free(&request);
	free(scope);
	return rc;
}
