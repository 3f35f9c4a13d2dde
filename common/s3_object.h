/*
 * s3_object: one object at an S3 server: its tag and hashes, what is there under a key, what may be
 * overwritten, and removing it.
 */
#ifndef REC_S3_OBJECT_H
#define REC_S3_OBJECT_H

#include "s3_request.h"

#define S3_TRIES 4 /* at one object whose neighbours act at the same time */

/* ---- tags and hashes ---- */

/* An ETag without its quotes. */
void s3_unquote(const char *text, char tag[REMOTE_TAG_MAX]);
/* A header with a tag, in its quotes. */
int s3_add_tag(struct buf *headers, const char *name, const char *tag, struct err *e);
bool s3_is_md5(const char *s);
/* Where the ETag is that of a single put, it is the MD5. */
void s3_set_tag(const struct remote *r, struct remote_object *o, const char *etag);
/* The tag and the hash that an answer tells; "" where it does not. */
void s3_tag_of_answer(const struct s3_op *o, struct remote_object *out);
/* The Content-MD5 header of bytes with this digest. */
int s3_add_md5(struct buf *headers, const char *md5, struct err *e);

/* ---- what is there, and what may be overwritten ---- */

/* As in remote_kind.h. */
int s3_stat(struct remote *r, const char *key, struct remote_object *o, struct json **metadata,
    struct err *e);

/* What a request wants to be there, and what tells that it acted. */
struct s3_aim {
	const char *key;
	char tag[REMOTE_TAG_MAX]; /* that may be overwritten; "": nothing may be there */
	int64_t size_bytes;
	char made[REMOTE_TAG_MAX]; /* the tag that it makes; "" when it cannot be known */
};

struct s3_aim s3_aim_of(const struct remote_source *s);
/*
 * Looks at what is there: 1 when it is what was to be made (*o), 0 when the way is free, -1 and *e,
 * conflict, when something else is in it. When what could be replaced is gone, nothing may be
 * there any more.
 */
int s3_settle(struct remote *r, struct s3_aim *a, struct remote_object *o, struct err *e);
/* The header by which nothing but what the aim names is overwritten. */
int s3_add_condition(struct s3_op *o, const struct s3_aim *a, struct err *e);
/* When a condition did not hold although it should have. */
void s3_respell(const struct s3_op *o);
/* A request whose condition the server may not know: it was looked at before, so that it is sent
 * without then. */
int s3_run_conditional(struct s3_op *o, const struct s3_aim *a, struct err *e);
/* After an answer that says little: what is there now. */
int s3_look_again(struct remote *r, const struct s3_aim *a, struct remote_object *o, struct err *e);

/* ---- removing ---- */

/* Only while it has the tag, where conditions are honoured ("": always); one that is gone is fine.
 */
int s3_remove_plain(struct remote *r, const char *key, const char *tag, struct err *e);
/* As in remote_kind.h. */
int s3_remove(struct remote *r, const struct remote_object *o, struct err *e);

#endif
