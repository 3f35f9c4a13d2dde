/*
 * catalogue_sync: what the catalogue knows of remotes: the objects that are proven to be there, the
 * uploads that are going on, and the queue of the existing application.
 *
 * These are observations and no changes of recordings, so they stand in no journal (the columns of
 * recordings and jobs do, through run.h). Each put is made in a transaction that the caller has
 * begun (catalogue_begin). Tables of version 4: an archive of an older one has none of it, and then
 * queries answer as if nothing had been synced.
 */
#ifndef REC_CATALOGUE_SYNC_H
#define REC_CATALOGUE_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "catalogue.h"
#include "clock.h"
#include "err.h"
#include "hash.h"
#include "json.h"

#define SYNC_KEY_MAX 1024

/* ---- remotes ---- */

struct catalogue_remote {
	int64_t id;
	char *url;	     /* canonical, without secrets */
	char owner[9];	     /* 8 hex digits of this archive at this remote */
	struct json *probed; /* capabilities, or NULL */
	char probed_at[CLOCK_TEXT_MAX];
	int64_t rows;	     /* recordings at the last complete push; -1: there was none */
	char *catalogue_tag; /* of .rectools/catalogue.jsonl as we put it; NULL */
	char catalogue_digest[HASH_XXH3_128_HEX]; /* of what it was made of; "" */
};

/* 1, 0 when it was never used, -1. Free with catalogue_remote_free. */
int catalogue_remote_get(
    struct catalogue *c, const char *url, struct catalogue_remote *m, struct err *e);
/* The one with the next larger id; 0 is before the first. As above, with 0 at the end. */
int catalogue_remote_next(
    struct catalogue *c, int64_t after_id, struct catalogue_remote *m, struct err *e);
/* Inserts it (id 0: m->id is filled) or updates it. */
int catalogue_remote_put(struct catalogue *c, struct catalogue_remote *m, struct err *e);
void catalogue_remote_free(struct catalogue_remote *m);

/* ---- keys ---- */

/*
 * The key of a recording: "raw/NAME" or "edited/NAME". A name that is not UTF-8, holds control
 * characters or '/', or begins with "." or "rec-hex-", becomes "rec-hex-" and the bytes in
 * hexadecimal, so that every name has one key and every key one name. False when it is longer than
 * SYNC_KEY_MAX. The same function is rec_key(folder, name) in SQL.
 */
bool sync_key(const char *folder, const char *name, size_t len, char key[SYNC_KEY_MAX + 1]);
/* The folder (static) and the name of a key; the caller frees *name. 0, -1 (no error filled). */
int sync_name(const char *key, const char **folder, char **name, size_t *len);

/* ---- objects ---- */

struct catalogue_object {
	int64_t id;	      /* of this row; 0: new */
	int64_t recording_id; /* 0: of none (any more) */
	char key[SYNC_KEY_MAX + 1];
	char remote_id[128]; /* "" */
	int64_t size_bytes;
	char sha256[HASH_SHA256_HEX];
	char tag[256];	    /* as the remote told it when it was proven */
	int64_t part_bytes; /* of the upload; 0: in one go */
	/* How it was proven: "md5" "sha256" "parts" (the tag made of the parts' MD5s) "read". */
	char proof[16];
	char proven_at[CLOCK_TEXT_MAX];
};

int catalogue_object_put(
    struct catalogue *c, int64_t remote, struct catalogue_object *o, struct err *e);
int catalogue_object_get(struct catalogue *c, int64_t remote, const char *key,
    struct catalogue_object *o, struct err *e); /* 1 0 -1 */
int catalogue_object_forget(struct catalogue *c, int64_t remote, const char *key, struct err *e);
/* An object with these bytes whose recording has another key by now, or is gone: what a rename
 * leaves. 1, 0, -1. */
int catalogue_object_find(struct catalogue *c, int64_t remote, const char *sha256,
    struct catalogue_object *o, struct err *e);
int64_t catalogue_object_count(struct catalogue *c, int64_t remote, struct err *e);

/*
 * Every recording, and every object, in the order of the bytes of their keys: a walk over both.
 * A recording that is softly deleted is one whose `deleted` is set.
 */
struct sync_row {
	char key[SYNC_KEY_MAX + 1];
	bool has_recording; /* else an object alone */
	int64_t recording_id;
	char *stored; /* NUL-terminated; not trusted */
	size_t stored_len;
	char folder[8];
	bool deleted, measured;
	char problem[64];	      /* recorded problem code, or "" */
	int64_t size_bytes;	      /* recorded; -1 */
	char sha256[HASH_SHA256_HEX]; /* recorded, lower case; "" */
	char sync_status[16];
	bool has_object;
	struct catalogue_object object;
};
struct sync_walk;
/* from: behind this key ("": all), until: up to and with it ("": the end). Only for a reader. */
struct sync_walk *sync_walk_open(
    struct catalogue *c, int64_t remote, const char *from, const char *until, struct err *e);
int sync_walk_next(struct sync_walk *w, struct sync_row *row, struct err *e); /* 1 0 -1 */
void sync_walk_close(struct sync_walk *w);
void sync_row_free(struct sync_row *row);
/* The row of one recording: 1, 0, -1. */
int sync_row_get(
    struct catalogue *c, int64_t remote, int64_t recording, struct sync_row *row, struct err *e);
/* Every n-th key of the walk, to cut a listing into ranges: an array of *n strings to free one by
 * one. */
int sync_ranges(struct catalogue *c, int64_t every, char ***keys, size_t *n, struct err *e);

/* Puts when the application changed the recording last ("modified_at"), if it says. */
int sync_put_modified(struct catalogue *c, int64_t recording, struct json *rec, struct err *e);
/* A digest of all that is known of the recordings: when it is the same, so is the inventory. */
int sync_state_digest(
    struct catalogue *c, int64_t remote, char digest[HASH_XXH3_128_HEX], struct err *e);

/* Recordings whose sync_status is not what the objects say, a page at a time: "synced" where an
 * object of this remote holds the recorded bytes. Their number (at most n), or -1. */
struct sync_status_change {
	int64_t recording_id;
	char proven_at[CLOCK_TEXT_MAX];
};
int sync_unsettled(struct catalogue *c, int64_t remote, int64_t after_id, int n,
    struct sync_status_change *out, struct err *e);

/* ---- uploads that are going on ---- */

struct catalogue_upload {
	int64_t id; /* 0: new */
	int64_t recording_id;
	char key[SYNC_KEY_MAX + 1];
	char upload[33]; /* our own id: 32 hex digits */
	int64_t size_bytes, part_bytes;
	char mtime[CLOCK_TEXT_MAX];
	char sha256[HASH_SHA256_HEX];
	char started_at[CLOCK_TEXT_MAX];
	char *session; /* NULL while the remote has not given one, or when it is kept in a file */
};
int catalogue_upload_put(
    struct catalogue *c, int64_t remote, struct catalogue_upload *u, struct err *e);
/* Forgets it, and its parts. */
int catalogue_upload_forget(struct catalogue *c, int64_t id, struct err *e);
void catalogue_upload_free(struct catalogue_upload *u);
int catalogue_upload_get(struct catalogue *c, int64_t remote, const char *key,
    struct catalogue_upload *u, struct err *e); /* 1 0 -1 */
/* All of a remote (0: of every remote): an array of *n to free one by one and as a whole. */
int catalogue_uploads(
    struct catalogue *c, int64_t remote, struct catalogue_upload **u, size_t *n, struct err *e);
/* Parts that the remote confirmed. */
int catalogue_part_put(struct catalogue *c, int64_t upload, unsigned number, const char *md5,
    const char *tag, struct err *e);
int catalogue_parts(struct catalogue *c, int64_t upload,
    int (*each)(void *ctx, unsigned number, const char *md5, const char *tag, struct err *e),
    void *ctx, struct err *e);

/* ---- the application's queue ---- */

struct sync_job {
	int64_t rowid;
	char *id, *file_path, *title, *description, *tags, *status; /* NULL: none */
	char *created_at, *started_at, *finished_at, *last_error, *remote_id;
	int64_t attempts, max_attempts, uploaded_bytes, total_bytes; /* -1: unknown */
	bool cancel_requested;
};
/* All jobs in the order in which they were made, a page behind `after` (a rowid, 0): their number,
 * at most n, or -1. No table: 0. */
int sync_jobs(struct catalogue *c, int64_t after, int n, struct sync_job *jobs, struct err *e);
int sync_job_get(struct catalogue *c, const char *id, struct sync_job *job, struct err *e);
void sync_job_free(struct sync_job *job);
/* Whether cancel_requested is set now: 1, 0, -1. */
int sync_job_is_cancelled(struct catalogue *c, int64_t rowid, struct err *e);
/* Bytes so far, without a journal: the application shows them. In a transaction of the caller. */
int sync_job_progress(struct catalogue *c, int64_t rowid, int64_t bytes, struct err *e);

#endif
