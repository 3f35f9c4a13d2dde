/*
 * drive_files: finding files by their id, their key or a query; the folder, and new ids.
 *
 * Of several files with one key the oldest stands.
 */
#ifndef REC_DRIVE_FILES_H
#define REC_DRIVE_FILES_H

#include "drive_api.h"

/* ---- by id ---- */

/* One file: 1, 0, -1. *raw (or NULL): it as Drive tells it, to free. */
int drive_fetch(struct remote *r, const char *what, const char *id, struct remote_object *o,
    struct json **raw, struct err *e);
/* One that is gone is fine. */
int drive_delete_file(struct remote *r, const char *what, const char *id, struct err *e);
/* One of those that Drive gave for files to come. */
int drive_new_id(struct remote *r, const char *what, char id[REMOTE_ID_MAX], struct err *e);

/* ---- queries ---- */

/* What is asked for of each file, in lists and otherwise. */
#define DRIVE_LISTED                                                                               \
	"id,name,size,md5Checksum,sha256Checksum,headRevisionId,modifiedTime,trashed,parents,"     \
	"appProperties"
#define DRIVE_FIELDS DRIVE_LISTED ",description"

/* The query for all files of the folder; more terms may follow. */
int drive_add_in_folder(struct buf *q, const char *folder, struct err *e);
/* … with this property. */
int drive_add_has(struct buf *q, const char *name, const char *value, struct err *e);
/*
 * Calls take for each file of all pages until it says other than 0, which is the result (1, -1); 0
 * at the end.
 */
int drive_query_all(struct remote *r, const char *what, const char *q, const char *size,
    const char *fields, int (*take)(void *ctx, struct json *file, struct err *e), void *ctx,
    struct err *e);

/* ---- the folder ---- */

/* 1, 0 when there is none (never with create), -1. */
int drive_folder(struct remote *r, bool create, char id[REMOTE_ID_MAX], struct err *e);

struct drive_folders {
	char first[REMOTE_ID_MAX];
	unsigned n;
};

/* For drive_query_all: counts files, ctx is a struct drive_folders. */
int drive_count_folder(void *ctx, struct json *file, struct err *e);
/* The error of a create: its folder was there when the run began. */
int drive_folder_is_gone(const struct drive_call *c, struct err *e);

/* ---- by key ---- */

/* The oldest file with the key: 1, 0, -1. */
int drive_find_key(
    struct remote *r, const char *key, struct remote_object *o, struct json **raw, struct err *e);
/* The file that an object names, by its id, or else its key: 1, 0, -1. */
int drive_look_up(struct remote *r, const struct remote_object *o, struct remote_object *now,
    struct json **raw, struct err *e);
/* As drive_look_up, but it must be there and still that version, under that key: 0, -1. */
int drive_look_up_same(struct remote *r, const struct remote_object *o, struct remote_object *now,
    struct json **raw, struct err *e);
/* Errors, -1. */
int drive_changed_meanwhile(const char *key, struct err *e);
int drive_in_the_way(const char *key, struct err *e);

/* ---- as in remote_kind.h ---- */

int drive_look(
    struct remote *r, const struct remote_object *known, struct remote_object *o, struct err *e);

int drive_find(struct remote *r, const char *sha256, struct remote_object *o, struct err *e);
int drive_stat(struct remote *r, const char *key, struct remote_object *o, struct json **metadata,
    struct err *e);

#endif
