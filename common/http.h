/*
 * http: requests to servers, many at once, over one libcurl-multi engine.
 *
 *	struct http *h = http_open(&opts, e);
 *	http_send(h, &request, &answer, e);	from any thread; returns when the answer is there
 *	http_answer_free(&answer);
 *	http_close(h);
 *
 * One thread drives all transfers, with connections kept open between requests. TLS is always
 * verified; redirects are never followed (the answer is the 3xx); no proxy, cookie, netrc or other
 * setting of the environment is used, and no protocol but http and https. HTTP/1.1.
 *
 * Whatever status the server gives is an answer and no error. That no (whole) answer came is in
 * answer->failure, with a sentence in answer->why; http_send itself fails only for memory, a body
 * that cannot be read, a sink that said no, or when stopped. Nothing is tried again here: retry.h.
 *
 * Nothing of what is sent or received is ever printed, and no header or URL stands in an error
 * text: they hold secrets. Of a URL only its host does.
 */
#ifndef REC_HTTP_H
#define REC_HTTP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "mem.h"
#include "pace.h"

struct http;

struct http_opts {
	unsigned connections;	/* at most to one host; 0: 16 */
	int64_t connect_s;	/* until a connection stands; 0: 10 */
	int64_t stall_s;	/* without a byte in either direction, once connected; 0: 30 */
	int64_t stall_ms;	/* the same, finer; 0: stall_s */
	const char *ca_file;	/* PEM; NULL or "": the system's */
	struct pace *pace;	/* for bodies, both ways; NULL: as fast as it goes */
	const atomic_int *stop; /* or NULL: a non-zero value ends all transfers, ERR_STOPPED */
	/* Bytes of bodies that went over the wire, for progress; or NULL. */
	atomic_ullong *sent, *received;
};

/* Strings of o are copied. NULL and *e. */
struct http *http_open(const struct http_opts *o, struct err *e);
/* No request may be going on. NULL is fine. */
void http_close(struct http *h);

struct http_request {
	const char *method; /* "GET", "PUT", "PROPFIND", … */
	const char *url;
	/* "Name: value" lines, NULL-ended, or NULL. "Host", "Content-Length" and "Expect" are this
	 * module's: it sends no Expect. */
	const char *const *headers;
	/* The body: bytes in memory, or a range of a file, read with pread while it is sent (a file
	 * that ends early fails the request: ERR_ITEM, modified). */
	const void *body;
	size_t body_len;
	bool has_file;
	int fd;
	uint64_t offset, bytes;
	/*
	 * The answer's body is kept in memory, at most max_answer bytes (0: 1 MiB; more is the
	 * failure HTTP_TOO_LARGE); or, of an answer with a status from 200 to 299, given to `sink`
	 * piece by piece in the engine's thread: the status and the head are in the answer before
	 * its first call, so that it may look at them. -1 with *e from it ends the transfer; so
	 * does a body beyond max_answer when that is not 0.
	 */
	uint64_t max_answer;
	int (*sink)(void *ctx, const void *p, size_t len, struct err *e);
	void *ctx;
};

enum http_failure {
	HTTP_ANSWERED,	  /* a whole answer came */
	HTTP_UNRESOLVED,  /* the host's name is not known (or its name server is not there) */
	HTTP_UNREACHABLE, /* no connection: refused, no route, timed out */
	HTTP_TLS,	  /* a connection, but no trust: certificate, protocol */
	HTTP_CUT,	/* the connection ended before the answer did; the request may have acted */
	HTTP_STALLED,	/* nothing moved for that long; the request may have acted */
	HTTP_TOO_LARGE, /* the answer is larger than allowed */
	HTTP_NONSENSE,	/* what came is not HTTP */
};

struct http_answer {
	enum http_failure failure;
	char why[256];	 /* of a failure: a sentence without secrets */
	int status;	 /* 0 when none came */
	struct buf body; /* NUL-terminated when there is one */
	struct buf head; /* the last header block, as it came */
	/* Of its Date header less our clock at that moment, in seconds; known if has_skew. */
	bool has_skew;
	int64_t skew_s;
	uint64_t sent, received; /* bytes of the bodies */
};

/* 0; -1 and *e. Free the answer in each case. */
int http_send(struct http *h, const struct http_request *q, struct http_answer *a, struct err *e);
void http_answer_free(struct http_answer *a);
/* The value of a header, in any case of its name, without blanks around it, into out; false when
 * there is none or it does not fit. The last one when it comes several times. */
bool http_header(const struct http_answer *a, const char *name, char *out, size_t size);
/* Seconds that Retry-After asks to wait (a number, or a date), 0 to a day; -1 when it asks nothing.
 */
int64_t http_retry_after(const struct http_answer *a);
/* A date as headers have it (RFC 9110, 5.6.7), in seconds since 1970; false for another text. */
bool http_date(const char *text, int64_t *s);
/* Whether the answer's Content-Range says that its body begins at this byte of the whole. */
bool http_begins_at(const struct http_answer *a, uint64_t offset);

/* Appends text percent-encoded as RFC 3986 has it: all but unreserved characters, and "/" too
 * unless keep_slash. */
int http_escape(struct buf *out, const char *text, size_t len, bool keep_slash, struct err *e);
/* Undoes it, in place; false (and s is spoilt) for a broken escape or a NUL. */
bool http_unescape(char *s);

/* The parts of a URL of the form scheme://host[:port][/path]; no user, query or fragment. */
struct http_url {
	char scheme[16];
	char host[256];	  /* [..] around an IPv6 address is kept */
	unsigned port;	  /* 0: none was named */
	const char *path; /* within the text: from its "/" on, or "" */
};
/* 0; -1 and *e (ERR_CONFIG) that names what is wrong but nothing that could be a secret. */
int http_url_parse(const char *text, struct http_url *u, struct err *e);
/* Whether the host is this machine for certain: localhost, 127.0.0.0/8, [::1]. */
bool http_is_loopback(const struct http_url *u);

#endif
