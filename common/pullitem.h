/*
 * pullitem: one object of a remote, or what a user named, on its way through a pull.
 */
#ifndef REC_PULLITEM_H
#define REC_PULLITEM_H

#include "archive.h"
#include "audio.h"
#include "catalogue_sync.h"
#include "fetch.h"
#include "remote.h"

enum pullitem_doing {
	DOING_NONE,	/* the file is there */
	DOING_RESTORE,	/* its file was gone */
	DOING_ADD,	/* the archive did not know it */
	DOING_SKIP,	/* the archive knew it, and gave it up */
	DOING_CONFLICT, /* something else is in its place */
};

/* none restore add skip conflict */
const char *pullitem_doing_name(enum pullitem_doing d);

struct pullitem {
	char key[SYNC_KEY_MAX + 1];
	enum folder folder;
	char *name;
	int64_t id;	    /* of its recording; 0: none */
	bool named;	    /* by the user: a file that is there is read, and a record is printed */
	bool must_ask;	    /* what is at the remote is not known yet */
	bool is_there;	    /* the file, here */
	bool of_inventory;  /* for the claim on it */
	struct json *given; /* goes out as it came in */
	struct json *rec;   /* the inventory's, of one that is new */
	char *title;	    /* of one that the inventory does not know */
	int64_t size_bytes; /* expected; -1 */
	char sha256[HASH_SHA256_HEX], mtime[CLOCK_TEXT_MAX]; /* expected; "" */
	struct remote_object there;
	enum pullitem_doing doing;
	char why[200];
	struct err problem; /* class ERR_NONE when there is none */
	struct fetched got;
	bool fetched, taken_in;
	struct measure m;
	struct catalogue_object object; /* proven when its proof is not "" */
};

struct pullitem *pullitem_new(const char *key, struct err *e);
void pullitem_free(struct pullitem *i); /* NULL is fine */
/* Folder and name of its key, which is not trusted; else a problem. 0; -1 for memory. */
int pullitem_place(struct pullitem *i, struct err *e);
/* What the catalogue, or the record of the inventory, expects of its bytes. */
void pullitem_expect_row(
    struct pullitem *i, const struct sync_row *row, const struct catalogue_row *r);
void pullitem_expect_record(struct pullitem *i);
/* What is done with it, and why. */
void pullitem_say(struct pullitem *i, enum pullitem_doing doing, const char *why);
/* The file here is not the one that was recorded: code says how that is known. */
void pullitem_conflict(const struct archive *a, struct pullitem *i, const char *code);
bool pullitem_is_decided(const struct pullitem *i);

#endif
