/*
 * remote: a place in the cloud where recordings are kept.
 *
 * One small interface, one file for each kind of remote: remote_file (file:///dir), remote_s3
 * (s3://bucket/prefix), remote_dav (webdav(s)://host/path), remote_drive (gdrive:FOLDER), the last
 * three with their s3_*, dav_* and drive_* beside them. All calls block, may come from many threads
 * at once, and try again by themselves as retry.h says. Errors are those of retry_run: ERR_CONFIG,
 * ERR_BUSY and ERR_STOPPED end a run, ERR_ITEM (remote, conflict, missing) does not. No error text
 * holds a secret.
 *
 * Keys are UTF-8 without control characters, relative to the prefix: "raw/NAME", "edited/NAME", and
 * what belongs to the toolkit itself, ".rectools/NAME…" (temporary objects in ".rectools/temp/",
 * what was deleted in ".rectools/trash/", the catalogue in ".rectools/catalogue.jsonl"). An object
 * appears under a key only whole. Nothing is overwritten that the caller did not name by its tag.
 *
 * What a remote says (names, sizes, hashes, texts) is not trusted: keys that are no such UTF-8, or
 * hold "..", "." or empty components, are left out of listings, and hashes are hex or absent.
 */
#ifndef REC_REMOTE_H
#define REC_REMOTE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "hash.h"
#include "http.h"
#include "json.h"
#include "retry.h"

#define REMOTE_KEY_MAX 1024
#define REMOTE_TAG_MAX 256
#define REMOTE_ID_MAX 128

#define REMOTE_TEMP ".rectools/temp/"
#define REMOTE_TRASH ".rectools/trash/"
#define REMOTE_CATALOGUE ".rectools/catalogue.jsonl"

/* Where it is and how to sign in. "" or NULL: not set. Borrowed until remote_close. */
struct remote_settings {
	const char *url;      /* as above */
	const char *endpoint; /* https://host[:port]; s3: NULL is AWS; gdrive: NULL is Google */
	const char *region;   /* s3; NULL: us-east-1 */
	bool virtual_hosts;   /* s3: https://BUCKET.host/ instead of https://host/BUCKET/ */
	const char *access_key, *secret_key, *session_token;   /* s3 */
	const char *user, *password;			       /* webdav */
	const char *client_id, *client_secret, *refresh_token; /* gdrive */
	bool allow_plain; /* http off loopback is refused without */
	/* 8 hex digits of this archive at this remote: stands in the names of temporary objects, so
	 * that one's own are known. */
	const char *owner;
	/* What probe found out, an object of remote_capabilities' keys, or NULL: not probed. */
	const struct json *probed;
	/* Where the place itself has an id, as a folder of gdrive: what an earlier run noted, or
	 * NULL. Lists of names are late there, an id never is. */
	const char *place;
	/* Takes another one down, durably: called before a place is used, or made with this id.
	 * From any thread; NULL: nobody does. */
	int (*note_place)(void *ctx, const char *place, struct err *e);
	void *place_ctx;
};

/* What a remote does. Without a probe, what its kind promises at least. */
struct remote_capabilities {
	bool ordered;	     /* lists come in the order of the bytes of the keys, without memory */
	bool conditional;    /* PUT with If-None-Match and If-Match (or their like) are honoured */
	bool checksum;	     /* it tells a hash of its own of every object (md5 or sha256) */
	bool checks_content; /* refuses a body that differs from the hash that came with it */
	bool atomic_put;     /* a PUT that was cut leaves nothing, or what was there */
	bool partial_put;    /* a part of an object can be put where it belongs */
	bool parallel_parts; /* parts may be put at once, in any order */
	bool copy;	     /* copies on the server */
	bool
	    secret_session; /* who has the session of an upload may write into it: keep it secret */
	/* Several objects may have one key (of the kind, and not probed): a put whose request
	 * arrives late would make a second one, and so each goes by a session, which makes one at
	 * most. */
	bool namesakes;
	int64_t skew_ms;    /* of its clock to ours; 0 when not known */
	int64_t single_max; /* larger objects are put in parts; 0: always in parts */
	int64_t part_min, part_multiple, parts_max; /* 0: any */
	int64_t object_max;			    /* bytes; 0: not known */
};

struct remote;

struct remote_object {
	char key[REMOTE_KEY_MAX + 1];
	char id[REMOTE_ID_MAX]; /* where objects have another name than their key; else "" */
	int64_t size_bytes;
	/* What tells this version from others at this remote (an ETag without its quotes, but with
	 * its W/), for conditions; "" when it has none. */
	char tag[REMOTE_TAG_MAX];
	/* Hashes of the whole object that the remote made itself; "" when it does not tell. Lower
	 * case hex. The tag of an S3 upload in parts is no md5 but "<32 hex>-<parts>". */
	char md5[HASH_MD5_HEX], sha256[HASH_SHA256_HEX];
	char modified[40]; /* RFC 3339, "" when not told; never decides anything */
};

/* ---- opening ---- */

/* Whether the text is a URL of one of the kinds (else it may be a name of the configuration). */
bool remote_is_url(const char *text);
/* The same remote in one spelling, without user, password, query; for records and the catalogue.
 * The caller frees. NULL and *e (ERR_USAGE) for what is no URL of a remote. */
char *remote_canonical(const char *url, struct err *e);
/* Whether it needs http_open at all. */
bool remote_needs_http(const char *url);

/* Checks the settings (ERR_CONFIG names what is missing or wrong, and where to set it); sends
 * nothing yet. http is NULL for file://. */
struct remote *remote_open(
    const struct remote_settings *s, struct http *http, struct retry *retry, struct err *e);
void remote_close(struct remote *r); /* NULL is fine */
const struct remote_capabilities *remote_can(const struct remote *r);
/* One cheap request that shows whether the address and the credentials are right: 0, or -1 and *e
 * as retry_run, within a second when they are wrong. A prefix that does not exist yet is fine; a
 * bucket or host that does not is ERR_CONFIG. */
int remote_check(struct remote *r, struct err *e);

/* ---- looking ---- */

/*
 * The objects whose keys begin with prefix ("raw/", "edited/", REMOTE_TEMP, REMOTE_TRASH), in the
 * order of the bytes of their keys; those behind `after` ("": all) up to and with `until` ("": to
 * the end). Memory is one page of the listing when the remote is `ordered`, else one entry each.
 * No such folder: nothing.
 */
struct remote_list;
struct remote_list *remote_list_open(
    struct remote *r, const char *prefix, const char *after, const char *until, struct err *e);
int remote_list_next(struct remote_list *l, struct remote_object *o, struct err *e); /* 1 0 -1 */
void remote_list_close(struct remote_list *l);
/* One object: 1, 0 when there is none, -1. *o is cleared first, and so its own key cannot be the
 * one that is asked for. *metadata (or NULL: not asked for): what went along when it was put, a
 * flat object of strings to free, or NULL. */
int remote_stat(struct remote *r, const char *key, struct remote_object *o, struct json **metadata,
    struct err *e);
/* An object that is known, though a list does not show it (it may be late): asked for by its id
 * where it has one, else as remote_stat. 1 when it is there under its key, 0, -1. */
int remote_look(
    struct remote *r, const struct remote_object *known, struct remote_object *o, struct err *e);
/* An object with these bytes that carries no key of ours (put there by the existing application):
 * 1, 0 (also where there is no such query), -1. Its key is "". */
int remote_find(struct remote *r, const char *sha256, struct remote_object *o, struct err *e);
/* Gives such an object a key, and so takes it over. */
int remote_adopt(struct remote *r, struct remote_object *o, const char *key, struct err *e);

/* ---- putting ---- */

enum remote_condition {
	REMOTE_NEW,	/* nothing may be there under the key */
	REMOTE_REPLACE, /* the object with `tag` may be there, or nothing */
};

struct remote_source {
	const char *key;
	int fd; /* read with pread, from 0 to size_bytes; -1: `bytes` in memory */
	const void *bytes;
	int64_t size_bytes;
	char sha256[HASH_SHA256_HEX]; /* of the whole; always known before anything is sent */
	char md5[HASH_MD5_HEX];	      /* of the whole; "" when it goes in parts */
	const char *mime_type;	      /* or NULL */
	const struct json *metadata;  /* flat object of strings, or NULL */
	enum remote_condition condition;
	const char *tag; /* REMOTE_REPLACE */
	const char *id;	 /* REMOTE_REPLACE: of the same object; "" or NULL when it has none */
};

/*
 * Puts an object in one go (at most single_max bytes). *o is what the remote then says of it. The
 * remote made it durable as far as it promises. -1 with ERR_ITEM conflict: something else is there.
 * A repeated attempt whose first one had acted, though its answer was lost, is no conflict: what is
 * there is compared.
 */
int remote_put(
    struct remote *r, const struct remote_source *s, struct remote_object *o, struct err *e);

/*
 * In parts, across processes. A session is text (at most 4 KiB) that begin makes: the caller keeps
 * it durably before the first part.
 *
 *	remote_begin(r, &s, id, session, e)	id: the caller's own, of [0-9a-f], noted beforehand
 *	remote_part(r, &s, session, &part, e)	…
 *	remote_finish(r, &s, session, parts, n, &o, e)
 *
 * Where parallel_parts is not so, parts come in order.
 */
#define REMOTE_SESSION_MAX 4096

struct remote_part {
	unsigned number; /* from 1 */
	int64_t offset, size_bytes;
	char md5[HASH_MD5_HEX];	  /* of the part; given by the caller */
	char tag[REMOTE_TAG_MAX]; /* filled: what the remote confirmed; "" when it says nothing */
};

int remote_begin(struct remote *r, const struct remote_source *s, const char *id,
    char session[REMOTE_SESSION_MAX], struct err *e);
/* 0 when the remote has confirmed the whole part. What it has already is not sent again. */
int remote_part(struct remote *r, const struct remote_source *s, const char *session,
    struct remote_part *p, struct err *e);
/* What has arrived, asked of the remote: 1 and `each` is called for every whole part that it holds
 * (number, size_bytes, tag; md5 when it tells); where it counts bytes alone, once with number 0 and
 * size_bytes all that is confirmed from offset 0. 0: there is no such session any more. 2: it is
 * finished (the answer to finish was lost), and *o is the object. -1 and *e. */
int remote_arrived(struct remote *r, const struct remote_source *s, const char *session,
    int (*each)(void *ctx, const struct remote_part *p, struct err *e), void *ctx,
    struct remote_object *o, struct err *e);
int remote_finish(struct remote *r, const struct remote_source *s, const char *session,
    const struct remote_part *parts, unsigned n, struct remote_object *o, struct err *e);
/* Gives it up and removes what arrived; one that is gone is fine. */
int remote_abort(struct remote *r, const char *key, const char *session, struct err *e);
/*
 * Removes uploads of ours that no catalogue knows, since a run was killed between asking for one
 * and noting it: for S3, uploads of this key begun at `since` (RFC 3339) or later; temporary
 * objects with this id elsewhere. *n: how many.
 */
int remote_sweep(struct remote *r, const char *key, const char *id, const char *since, int64_t *n,
    struct err *e);

/* ---- getting, moving, deleting ---- */

/* The bytes from offset on, to the end, in order, to `sink` (of one thread at a time, that may be
 * another than the caller's). With tag only of this version: another is ERR_ITEM, conflict. After a
 * break it goes on where it was. */
int remote_get(struct remote *r, const struct remote_object *o, uint64_t offset,
    int (*sink)(void *ctx, const void *p, size_t len, struct err *e), void *ctx, struct err *e);
/* On the server, never over something else than `over` (a tag; "": nothing may be there). What is
 * copied must still be `from`. *o: what is there then. */
int remote_copy(struct remote *r, const struct remote_object *from, const char *to,
    const char *over, struct remote_object *o, struct err *e);
int remote_move(struct remote *r, const struct remote_object *from, const char *to,
    const char *over, struct remote_object *o, struct err *e);
/* Only while it is this version, where conditions are honoured. One that is gone is fine. */
int remote_delete(struct remote *r, const struct remote_object *o, struct err *e);

/* ---- finding out ---- */

/* Tries with small objects below REMOTE_TEMP what the remote really does, and removes them again.
 * *found: an object of the capabilities, for remote_settings.probed; the caller frees. */
int remote_probe(struct remote *r, struct json **found, struct err *e);

#endif
