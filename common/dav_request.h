/*
 * dav_request: one request to a WebDAV server, sent as often as needed, and what its statuses mean.
 * Only the files of this kind of remote include it: dav_*.c and remote_dav.c.
 *
 *	if (dav_ask_key(&k, r, "PUT", key, e) == 0 && dav_add_header(&k, …, e) == 0)
 *		status = dav_send(&k, e);	the answer is in k.a
 *	dav_ask_free(&k);
 */
#ifndef REC_DAV_REQUEST_H
#define REC_DAV_REQUEST_H

#include <pthread.h>
#include <stdbool.h>

#include "mem.h"
#include "remote_kind.h"

#define DAV_DEPTH_MAX 16 /* of folders in folders */
#define DAV_HEADERS_MAX 8
#define DAV_ACCEPT_MAX 5

struct dav {
	char *server;  /* "https://host:port" */
	char *path;    /* encoded, without its last "/": "" or "/a/b" */
	char *decoded; /* the same, as hrefs are compared with it */
	char *sign_in; /* the header, or NULL */
	pthread_mutex_t lock;
	struct buf made; /* paths of folders that are there, each ended by a newline */
};

struct dav_ask {
	struct remote *r;
	const char *what; /* for people: the key */
	char *path;	  /* encoded */
	char *header[DAV_HEADERS_MAX + 1];
	unsigned headers;
	struct http_request q;
	struct http_answer a;
	int accept[DAV_ACCEPT_MAX]; /* statuses that are no fault; 0 ends them */
	unsigned attempts;
};

/* Begins a request to an encoded path, which is handed over (NULL: *e is filled already), or to a
 * key ("": the folder). `what` is for people. Free it in each case. 0, -1. */
int dav_ask_path(struct dav_ask *k, struct remote *r, const char *method, char *path,
    const char *what, struct err *e);
int dav_ask_key(
    struct dav_ask *k, struct remote *r, const char *method, const char *key, struct err *e);
/* At most DAV_HEADERS_MAX, one of which is the sign-in's. */
int dav_add_header(struct dav_ask *k, const char *name, const char *value, struct err *e);
/* A status that is no fault; 0: none. At most DAV_ACCEPT_MAX. */
void dav_accept(struct dav_ask *k, int status);
/* As retry_run. The status, of success or one that is accepted; of a 207 the worst within; -1. */
int dav_send(struct dav_ask *k, struct err *e);
/* One attempt, as that of retry_run. */
int dav_send_once(struct dav_ask *k, struct fault *f, struct err *e);
/* The status of the answer, of a 207 the worst within. */
int dav_status(const struct dav_ask *k);
void dav_ask_free(struct dav_ask *k);
/* A request without more; accepted (0: none) is no fault. The status, or -1. */
int dav_ask_simply(
    struct remote *r, const char *method, const char *key, int accepted, struct err *e);
bool dav_is_success(int status);
/* The encoded path of a key; the caller frees. */
char *dav_path(const struct dav *d, const char *key, struct err *e);

#endif
