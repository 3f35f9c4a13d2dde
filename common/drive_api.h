/*
 * drive_api: one request to Google Drive, signed in, sent as often as needed, and what its errors
 * mean. Only the files of this kind of remote include it: drive_*.c and remote_drive.c.
 */
#ifndef REC_DRIVE_API_H
#define REC_DRIVE_API_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "json.h"
#include "mem.h"
#include "remote_kind.h"

#define DRIVE_FILES "/drive/v3/files"
#define DRIVE_UPLOADS "/upload/drive/v3/files"

#define DRIVE_CHUNK INT64_C(262144) /* pieces of uploads are multiples of it */
#define DRIVE_TOKEN_MAX 4096
#define DRIVE_IDS 100 /* asked for at once */

/* An upload of this process: what its session has confirmed. */
struct drive_upload {
	struct drive_upload *next;
	char id[REMOTE_ID_MAX];
	int64_t at;
};

struct drive {
	char *base, *token_url;
	const char *folder_name;
	pthread_mutex_t token_lock;
	char token[DRIVE_TOKEN_MAX]; /* "": none */
	int64_t token_ends_ns;
	uint64_t generation; /* of the token */
	pthread_mutex_t folder_lock;
	char folder[REMOTE_ID_MAX]; /* "": not known */
	char noted[REMOTE_ID_MAX];  /* the id that the folder had, or is to get; "" */
	pthread_mutex_t ids_lock;
	char ids[DRIVE_IDS][REMOTE_ID_MAX];
	unsigned n_ids;
	pthread_mutex_t uploads_lock;
	struct drive_upload *uploads;
};

/* One request, and what came of it. */
struct drive_call {
	struct remote *r;
	const char *what; /* the item, for texts */
	const char *method, *url;
	const char *headers[3]; /* NULL ends them */
	const void *body;
	size_t body_len;
	bool has_file;
	int fd;
	uint64_t offset, bytes;
	int (*sink)(void *ctx, const void *p, size_t len, struct err *e);
	void *ctx;
	bool wants_json;
	int passes[5]; /* statuses from 300 on that are no fault here; 0 ends them */
	struct http_answer a;
	struct json *json;
};

/* As retry_run: 0 when it was answered, with a status below 300 or one that passes. */
int drive_call_run(struct drive_call *c, struct err *e);
/* One attempt, for retry_run. */
int drive_send_once(void *ctx, struct fault *f, struct err *e);
/* Frees the answer. */
void drive_call_free(struct drive_call *c);

/* ---- what requests are made of ---- */

/* The address of the API with this path. */
int drive_add_path(struct remote *r, struct buf *url, const char *path, struct err *e);
/* The address of a file: id is one that drive_is_id held. fields: that are told of it, or NULL. */
int drive_add_file(struct remote *r, struct buf *url, const char *above, const char *id,
    const char *fields, struct err *e);
int drive_add_argument(struct buf *url, const char *name, const char *value, struct err *e);
/* Makes v the body; text holds it. */
int drive_json_body(struct drive_call *c, const struct json *v, struct buf *text, struct err *e);

#endif
