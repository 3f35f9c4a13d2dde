/*
 * catalogue_db: what the files of the catalogue module share. Nobody else includes it.
 */
#ifndef REC_CATALOGUE_DB_H
#define REC_CATALOGUE_DB_H

#include <sqlite3.h>

#include "catalogue.h"

#define CATALOGUE_STATEMENTS 32

struct catalogue {
	sqlite3 *db;
	struct catalogue_opts o; /* strings are copies */
	struct catalogue_shape shape;
	int64_t deadline_ns; /* of the wait for a lock that is going on */
	struct {
		char *sql;
		sqlite3_stmt *stmt;
	} cache[CATALOGUE_STATEMENTS];
	unsigned cached;
};

/* The prepared statement of a text, reset and without bindings; kept for the next time. NULL and
 * *e. */
sqlite3_stmt *catalogue_stmt(struct catalogue *c, const char *sql, struct err *e);
/* SQLITE_ROW → 1, SQLITE_DONE → 0, else -1 and *e. Arms the wait for locks. */
int catalogue_step(struct catalogue *c, sqlite3_stmt *s, struct err *e);
/* *e from the connection's last error; -1. */
int catalogue_error(struct catalogue *c, const char *what, struct err *e);
/* Makes rec_key known to SQL (catalogue_sync). */
int catalogue_add_functions(struct catalogue *c, struct err *e);
/* "objects": where the recording's bytes are proven to be (catalogue_sync). */
int catalogue_put_objects(struct catalogue *c, int64_t id, struct json *rec, struct err *e);
/* The recording record from the current row of a SELECT * FROM recording. */
int catalogue_row_record(sqlite3_stmt *s, struct json **rec, struct err *e);

#endif
