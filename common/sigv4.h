/*
 * sigv4: requests to S3 signed as AWS Signature Version 4 wants it.
 *
 * Source: "AWS Signature Version 4 signing process", Amazon S3 API reference. The key of a day is
 * derived once and kept; from any thread.
 */
#ifndef REC_SIGV4_H
#define REC_SIGV4_H

#include <time.h>

#include "err.h"
#include "mem.h"

#define SIGV4_UNSIGNED "UNSIGNED-PAYLOAD"
/* SHA-256 of nothing. */
#define SIGV4_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct sigv4;

struct sigv4_opts {
	const char *access_key, *secret_key, *session_token; /* the last may be NULL or "" */
	const char *region, *service;			     /* "us-east-1", "s3" */
};

/* Strings are copied. NULL and *e. */
struct sigv4 *sigv4_open(const struct sigv4_opts *o, struct err *e);
void sigv4_close(struct sigv4 *s); /* wipes the keys; NULL is fine */

struct sigv4_request {
	const char *method,
	    *host;	   /* host as in the Host header, with a port that is not the usual */
	const char *path;  /* percent-encoded once, from its "/" on */
	const char *query; /* "a=1&b=": encoded, in any order; "" */
	/* Headers to sign beside host and x-amz-*: "Name: value" lines, NULL-ended; or NULL. All of
	 * them are signed. */
	const char *const *headers;
	const char *payload; /* SHA-256 in lower-case hex, or SIGV4_UNSIGNED */
	struct timespec time;
};

/* Appends the header lines that the request needs besides its own ("x-amz-date: …\n",
 * "x-amz-content-sha256: …\n", "x-amz-security-token: …\n", "Authorization: …\n"), each ended by a
 * newline. */
int sigv4_sign(struct sigv4 *s, const struct sigv4_request *q, struct buf *lines, struct err *e);

#endif
