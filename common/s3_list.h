/*
 * s3_list: listings, a page at a time (ListObjectsV2).
 */
#ifndef REC_S3_LIST_H
#define REC_S3_LIST_H

#include "s3_request.h"

struct s3_listing {
	struct remote *r;
	const char *prefix, *after, *until; /* the last two "" */
	char *token;			    /* of the next page; NULL */
	struct remote_object *page;
	size_t n, room, at;
	bool ended;
	unsigned empty, thin;	       /* pages in a row: without a key, with one at most */
	char last[REMOTE_KEY_MAX + 1]; /* given; "" */
	struct remote_sorted *sorted;  /* where the order is not that of the bytes */
};

/* The next one, into page[0] to page[n - 1]. */
int s3_fetch_page(struct s3_listing *l, struct err *e);
/* The text of a name as encoding-type=url has it: form encoding. */
bool s3_decode(char *s);
/* The relative key of a name in an answer; *good: it is one of ours. */
int s3_read_key(const struct s3 *c, const char *text, bool encoded, char key[REMOTE_KEY_MAX + 1],
    bool *good, struct err *e);
/* As in remote_kind.h. */
int s3_list_open(struct remote *r, const char *prefix, const char *after, const char *until,
    void **own, struct err *e);
int s3_list_next(struct remote *r, void *own, struct remote_object *o, struct err *e);
void s3_list_close(struct remote *r, void *own);
int s3_check(struct remote *r, struct err *e);

#endif
