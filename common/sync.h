/*
 * sync: the archive and one remote, opened for one command of rec-sync.
 *
 * The archive stays usable for others meanwhile: no run (run.h) is open while bytes travel. What is
 * proven at the remote is noted in the catalogue's own tables (ledger.h) in short transactions;
 * what changes recordings or jobs is changed at the end, in a run of its own (settle.h).
 * Two commands that change something take turns by a lock on the folder db/sync, which also holds
 * the sessions of uploads that are secret (mode 0600).
 */
#ifndef REC_SYNC_H
#define REC_SYNC_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

#include "account.h"
#include "archive.h"
#include "catalogue_sync.h"
#include "err.h"
#include "http.h"
#include "pace.h"
#include "remote.h"
#include "retry.h"
#include "tool.h"

/* Files from so many bytes on are large. */
#define SYNC_LARGE (256 * 1024)

struct sync_opts {
	struct tool *t;
	const char *remote;	/* --remote, or NULL */
	const char *limit_rate; /* --limit-rate, or NULL */
	int64_t transfers;	/* --transfers, or 0 */
	bool write;		/* takes the lock, upgrades the schema, makes the remote known */
	bool events;		/* --events: JSON lines on stderr */
	bool create;		/* pull: an archive that is not there yet is made */
	bool fresh;		/* probe: what an earlier probe found is not used */
};

struct sync {
	struct tool *t;
	struct archive a;
	struct account account;
	struct pace *pace;
	struct http *http;
	struct retry *retry;
	struct remote *remote;
	const char *url;	       /* canonical */
	struct catalogue_remote known; /* id 0: never used, and not write */
	char owner[9];
	char place[REMOTE_ID_MAX]; /* of the remote, as it was noted before this run; "" */
	char *folder_path;	   /* db/sync */
	int folder;		   /* locked when writing; -1 */
	unsigned transfers;	   /* requests at once */
	sem_t large;		   /* large files that may still be moved at once */
	int64_t part_bytes;	   /* as configured */
	bool events;
	pthread_mutex_t writing; /* of a.catalogue */
	pthread_mutex_t telling; /* of stderr's JSON lines */
	atomic_ullong later;	 /* items given up that a later run may do */
	atomic_ullong retries, stalls;
	bool archive_open;
};

/* 0; -1 and *e. Close in each case. */
int sync_open(struct sync *s, const struct sync_opts *o, struct err *e);
void sync_close(struct sync *s);
/*
 * Ids at the remote that are kept beside its capabilities (known.probed): what lists of names show
 * late is found by them. NULL: none.
 */
#define SYNC_PLACE "place"		 /* of the folder */
#define SYNC_CATALOGUE_ID "catalogue_id" /* of REMOTE_CATALOGUE as we put it */
const char *sync_noted(const struct sync *s, const char *what);
/* Until ledger_remote only in memory; "": none. */
int sync_note(struct sync *s, const char *what, const char *id, struct err *e);
/* Puts all of them into what a new probe found. */
int sync_keep_noted(const struct sync *s, struct json *found, struct err *e);
/* Another connection, for reading, of the calling thread: the caller closes it. */
struct catalogue *sync_reader(struct sync *s, struct err *e);

/* Around the moving of a file: of large ones, which fill the line and may go in parts, only an
 * eighth as many are moved at once as of small ones. */
void sync_enter(struct sync *s, int64_t size_bytes);
void sync_leave(struct sync *s, int64_t size_bytes);

/* One JSON line on stderr with --events: {"event":NAME,"time":…,"key":KEY,…}. key may be NULL; fmt
 * makes further members, each with a comma before it: JSON of our own, or "". From any thread. */
void sync_event(struct sync *s, const char *name, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The class of an error that ends the run, and not the item alone. */
bool sync_is_fatal(const struct err *e);
/* Puts the problem of an item into its record, and counts it when a later run may do it. */
int sync_put_problem(struct sync *s, struct json *rec, const struct err *problem, struct err *e);
/* The error that a run ends with in which items were given up that a later run may do (ERR_BUSY);
 * 0 when there were none. */
int sync_later(struct sync *s, struct err *e);

/* What ends a run is no item's: an ERR_ITEM that got so far becomes ERR_BUSY when a later run may
 * do it, else ERR_SYSTEM. Gives rc. */
int sync_end(int rc, struct err *e);

/* Puts "remote" and "key" into a record. */
int sync_put_place(struct sync *s, struct json *rec, const char *key, struct err *e);

#endif
