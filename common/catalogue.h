/*
 * catalogue: the archive's SQLite database.
 *
 * The tables of the existing application keep their meaning; the toolkit's own start with rec_. All
 * SQL is in sql/. A `struct catalogue` is one connection and belongs to one thread at a time. A
 * connection for reading changes nothing: not the database, not its WAL, and it leaves no file
 * behind.
 *
 * Errors: ERR_BUSY when another writer did not end within timeout_s * (1 + retries); ERR_CATALOGUE
 * when the database is damaged, is not an archive's, or is of a newer toolkit; ERR_SYSTEM for the
 * disk.
 *
 * A row image is a JSON object with every column of a row. Text that is not UTF-8 or holds a NUL is
 * {"text_hex": …}, a blob {"blob_hex": …}, an infinity {"real": "inf"}, so that an image is exact.
 */
#ifndef REC_CATALOGUE_H
#define REC_CATALOGUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "json.h"

/* The version of the toolkit's tables that this build knows. */
#define CATALOGUE_VERSION 4

struct catalogue;

struct catalogue_opts {
	const char *path;     /* of the database file */
	const char *raw_path; /* folders as records show them */
	const char *edited_path;
	int64_t timeout_s;
	int64_t retries;
	bool write;
	/* NULL, or: waiting and queries end with ERR_STOPPED when it is set. */
	const atomic_int *stop;
};

/* What was found, by the columns and not by the version alone. */
struct catalogue_shape {
	/* cabc59ea0c9d, 4ae620c1c938, 0001…, 0002…, unversioned: the nearest shape. */
	const char *name;
	bool current_columns;	  /* recordings has every column of 0001 */
	bool jobs;		  /* there is a table jobs */
	bool jobs_progress;	  /* … with the columns of 0002 */
	bool alembic;		  /* there is a table alembic_version */
	char alembic_version[64]; /* "" when none */
	int toolkit_version;	  /* 0: apply has not run yet */
};

/*
 * Makes the database of an archive without recordings, as the existing application would, for
 * catalogue_open: its folder too, where that is missing. Whole or not at all, and never where one
 * is, or where a log of one is left (ERR_CATALOGUE, conflict).
 */
int catalogue_create(const char *path, struct err *e);

struct catalogue *catalogue_open(const struct catalogue_opts *o, struct err *e);
void catalogue_close(struct catalogue *c);
const struct catalogue_shape *catalogue_shape(const struct catalogue *c);
/* Looks at the shape again and makes the views anew, after the schema was changed. */
int catalogue_refresh_shape(struct catalogue *c, struct err *e);

/* A write transaction: begin takes the write lock at once. */
int catalogue_begin(struct catalogue *c, struct err *e);
int catalogue_commit(struct catalogue *c, struct err *e);
void catalogue_rollback(struct catalogue *c);
/* One or several statements without results: migrations. */
int catalogue_exec(struct catalogue *c, const char *sql, struct err *e);

/* The image of one row: 1, 0 when there is none (or no such table), -1. The caller frees it. */
int catalogue_row_get(struct catalogue *c, const char *table, const char *key, int64_t id,
    struct json **row, struct err *e);
/*
 * Makes the row be `after`: inserts when before is NULL, deletes when after is NULL, else updates
 * the columns that differ. Columns that the table lacks are refused.
 */
int catalogue_row_put(struct catalogue *c, const char *table, const char *key, int64_t id,
    const struct json *before, const struct json *after, struct err *e);

/* Schema questions and changes. */
int catalogue_has_column(
    struct catalogue *c, const char *table, const char *column, struct err *e); /* 1 0 -1 */
int catalogue_add_column(
    struct catalogue *c, const char *table, const char *definition, struct err *e);
int catalogue_drop_column(
    struct catalogue *c, const char *table, const char *column, struct err *e);
/* Rows in which the column is neither NULL nor its default, or -1. */
int64_t catalogue_count_values(
    struct catalogue *c, const char *table, const char *column, struct err *e);
int catalogue_alembic_set(struct catalogue *c, const char *version, struct err *e);
/* Rows in the toolkit's tables, beside its version; -1 and *e. */
int64_t catalogue_count_toolkit(struct catalogue *c, struct err *e);
/* Drops every table of the toolkit. */
int catalogue_drop_toolkit(struct catalogue *c, struct err *e);

/* What apply decides by. Strings belong to the row; catalogue_row_free. Unknown integers are -1,
 * strings NULL. */
struct catalogue_row {
	int64_t id;
	char *stored; /* stored_filename as bytes; not trusted */
	size_t stored_len;
	int64_t filesize_bytes; /* recorded by the application */
	char *checksum;		/* recorded by the application or by apply */
	bool measured;		/* there is a measurement: */
	char *folder;
	int64_t size_bytes;
	char *mtime;
	char *sha256;
	char *xxh3_128;
	char *audio_xxh3_128;
	double trailing_silence_s; /* NAN: unknown */
	char *prober;
	char *problem_code;
	char *problem_message;
	int64_t seen_size_bytes;
	char *seen_mtime;
	bool settled; /* the application's columns agree with the measurement */
	/* The last check of its bytes (fixity.h): verdict is NULL when there was none. */
	char *checked_at, *verdict, *verdict_message;
	int64_t checked_size_bytes;
	char *checked_mtime;
};

/* Up to n rows with an id above `after_id`: their number, or -1. */
int catalogue_rows(
    struct catalogue *c, int64_t after_id, int n, struct catalogue_row *rows, struct err *e);
int catalogue_row_by_id(
    struct catalogue *c, int64_t id, struct catalogue_row *row, struct err *e); /* 1 0 -1 */
void catalogue_row_free(struct catalogue_row *row);

/* 1 and *id, 0, or -1. */
int catalogue_find_stored(
    struct catalogue *c, const char *stored, size_t len, int64_t *id, struct err *e);
int catalogue_find_sha256(struct catalogue *c, const char *sha256, int64_t *id, struct err *e);
int catalogue_find_filename(struct catalogue *c, const char *filename, int64_t *id, struct err *e);

/* An id above every other; -1 and *e. */
int64_t catalogue_next_id(struct catalogue *c, struct err *e);

struct catalogue_counts {
	int64_t rows, measured, problems;
};
int catalogue_count(struct catalogue *c, struct catalogue_counts *n, struct err *e);

/* The recording record (all recording keys) of a row: 1, 0, -1. The caller frees it. */
int catalogue_record(struct catalogue *c, int64_t id, struct json **rec, struct err *e);
/* "measured_by_run", "uploads", "objects", "provenance" and what else is known of a recording, put
 * into rec.
 */
int catalogue_put_history(struct catalogue *c, int64_t id, struct json *rec, struct err *e);

/*
 * The records that satisfy an SQL expression over the recording keys (NULL: all), in order of
 * `sort` (keys with commas between, "-" before one that goes down; NULL: id), at most limit (-1:
 * all). An authorizer lets the expression read the recording keys and call built-in scalar
 * functions, and nothing else. A bad expression or key is ERR_USAGE. Only for a connection that was
 * opened for reading.
 */
struct catalogue_list;
struct catalogue_list *catalogue_list_open(struct catalogue *c, const char *where, const char *sort,
    int64_t limit, bool all, struct err *e);
int catalogue_list_next(struct catalogue_list *l, struct json **rec, struct err *e); /* 1 0 -1 */
void catalogue_list_close(struct catalogue_list *l);

/* The folder's file system and inode as last recorded: 1, 0 when nothing is recorded, -1. */
int catalogue_volume(
    struct catalogue *c, const char *folder, char filesystem[40], int64_t *inode, struct err *e);

/* True for the name of a recording key. */
bool catalogue_is_key(const char *name);
/* Puts into rec what `from` has that is no recording key and not in rec: what other stages said. */
int catalogue_pass_on(struct json *rec, const struct json *from, struct err *e);

#endif
