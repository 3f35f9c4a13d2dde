/*
 * s3_request: one request to an S3 server, signed, sent as often as needed, and what its errors
 * mean. Only the files of this kind of remote include it: s3_*.c and remote_s3.c.
 *
 *	struct s3_op o = s3_op(r, "GET", key);
 *	o.query = …; o.wants = …;
 *	s3_run(&o, e);		the answer is in o.a
 *	s3_op_end(&o);
 */
#ifndef REC_S3_REQUEST_H
#define REC_S3_REQUEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mem.h"
#include "remote_kind.h"
#include "sigv4.h"

#define S3_SINGLE_MAX (INT64_C(5) << 30) /* also of a part, and of a copy in one request */
#define S3_PARTS_MAX 10000
#define S3_CODE_MAX 64

struct s3 {
	struct sigv4 *signer;
	char *host; /* as in the Host header */
	char *base; /* https://host[:port] */
	char *root; /* of the bucket: "" or "/BUCKET", encoded */
	char *bucket;
	char *prefix; /* "" or with a "/" at its end */
	bool https;
	atomic_llong skew_s; /* of the server's clock, once it refused ours */
	/* Ceph compares the tag of If-Match with its quotes, and so holds none; it is told tags
	 * without them then. */
	atomic_bool bare_tags;
};

/* Statuses that are no fault, but an answer that the caller looks at. */
enum {
	S3_WANTS_ABSENT = 1,
	S3_WANTS_CONFLICT = 2,	  /* 412, and 409 when two conditions met */
	S3_WANTS_UNSUPPORTED = 4, /* 501 */
	S3_WANTS_REFUSED = 8,	  /* 400 */
};

/* One request, sent as often as needed. */
struct s3_op {
	struct remote *r;
	const char *method;
	const char *key;    /* relative; NULL: the bucket */
	const char *query;  /* encoded, "" */
	struct buf headers; /* "Name: value\n" */
	const char *payload;
	struct http_request body; /* only what is about the body and the sink */
	unsigned wants;
	/* Before each attempt; or NULL. */
	int (*before)(struct s3_op *o, struct err *e);
	/* At an answer from 200 on; or NULL. 0, or -1 as an attempt of retry_run. */
	int (*look)(struct s3_op *o, struct fault *f, struct err *e);
	void *ctx;
	int64_t skew_s; /* that it was signed with */
	bool bare_tag;	/* If-Match stands without quotes */
	struct http_answer a;
	char code[S3_CODE_MAX];	  /* of an error's answer; "" */
	char region[S3_CODE_MAX]; /* that it names; "" */
};

/* A request for the object, or for the bucket (key NULL). What it holds is freed by s3_op_end. */
struct s3_op s3_op(struct remote *r, const char *method, const char *key);
void s3_op_end(struct s3_op *o);
/* As retry_run: 0 when it was answered, with a status from 200 on or one that it wants. */
int s3_run(struct s3_op *o, struct err *e);
/* One attempt, for retry_run. */
int s3_attempt(void *ctx, struct fault *f, struct err *e);
/* Whether it succeeded, and is not just a status that was wanted. */
bool s3_is_done(const struct s3_op *o);
/* A look: what was answered with 200 is no error in truth (of requests that take long, S3 knows the
 * outcome only after it has begun to answer). */
int s3_look_for_error(struct s3_op *o, struct fault *f, struct err *e);
/* Appends "NAME=VALUE" to a query, after a "&" where it is not the first. */
int s3_add_escaped(struct buf *query, const char *name, const char *value, struct err *e);
/* A range of the source. */
void s3_set_body(struct s3_op *o, const struct remote_source *s, int64_t offset, int64_t size);
/* "" when the answer has no such element, or one that is too long. */
int s3_element(
    const struct http_answer *a, const char *path, char *out, size_t size, struct err *e);

#endif
