/*
 * Records out of the catalogue, and the one place where a user's SQL runs.
 *
 * The expression of --where stands in parentheses in a SELECT over the view `recording`. What keeps
 * it an expression is not its text but the authorizer: reading is allowed of the view's columns
 * only (the tables below are read in the name of the views), functions must be built-in scalars,
 * sub-queries and everything that is not reading are refused. The connection is for reading anyway.
 */
#include "catalogue_db.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "sql.h"

enum kind { TEXT, BYTES, INTEGER, REAL, JSON };

/* The recording keys that the catalogue knows, in the order of the view. */
static const struct {
	const char *name;
	enum kind kind;
} keys[] = {
    {"id", INTEGER},
    {"path", BYTES},
    {"filename", BYTES},
    {"stored_filename", BYTES},
    {"title", BYTES},
    {"status", TEXT},
    {"sync_status", TEXT},
    {"created_at", TEXT},
    {"started_at", TEXT},
    {"size_bytes", INTEGER},
    {"mtime", TEXT},
    {"container", TEXT},
    {"codec", TEXT},
    {"mime_type", TEXT},
    {"sample_rate_hz", INTEGER},
    {"channels", INTEGER},
    {"bits_per_sample", INTEGER},
    {"frames", INTEGER},
    {"duration_s", REAL},
    {"bit_rate_bps", INTEGER},
    {"xxh3_128", TEXT},
    {"sha256", TEXT},
    {"audio_xxh3_128", TEXT},
    {"peak_dbfs", REAL},
    {"true_peak_dbtp", REAL},
    {"rms_dbfs", REAL},
    {"loudness_lufs", REAL},
    {"loudness_range_lu", REAL},
    {"clipped_frames", INTEGER},
    {"leading_silence_s", REAL},
    {"trailing_silence_s", REAL},
    {"quality", TEXT},
    {"tags", JSON},
    {"prober", TEXT},
    {"problem", JSON},
};
#define N_KEYS (int)(sizeof keys / sizeof keys[0])

struct catalogue_list {
	struct catalogue *c;
	sqlite3_stmt *stmt;
	bool where; /* the user gave an expression */
};

bool
catalogue_is_key(const char *name)
{
	for (int i = 0; i < N_KEYS; i++)
		if (strcmp(keys[i].name, name) == 0)
			return true;
	return false;
}

int
catalogue_pass_on(struct json *rec, const struct json *from, struct err *e)
{
	struct json *v, *copy;
	const char *key;

	for (void *it = json_first(from, &key, &v); it != NULL; it = json_next(from, it, &key, &v))
		if (!catalogue_is_key(key) && strcmp(key, "path_hex") != 0 &&
		    json_get(rec, key) == NULL &&
		    ((copy = json_clone(v, e)) == NULL || json_put(rec, key, copy, e) == -1))
			return -1;
	return 0;
}

/* One value under its key; null when it is not of the key's type. `problem` is left out when there
 * is none. */
static int
put_key(struct json *rec, sqlite3_stmt *s, int i, struct err *e)
{
	const char *name = keys[i].name, *text;
	struct err bad;
	struct json *v;
	int type = sqlite3_column_type(s, i);
	size_t len;

	if (type == SQLITE_NULL && keys[i].kind == JSON && strcmp(name, "problem") == 0)
		return 0;
	switch (keys[i].kind) {
	case INTEGER:
		return type == SQLITE_INTEGER
			   ? json_put_int(rec, name, sqlite3_column_int64(s, i), e)
			   : json_put_null(rec, name, e);
	case REAL:
		return type == SQLITE_FLOAT || type == SQLITE_INTEGER
			   ? json_put_real(rec, name, sqlite3_column_double(s, i), e)
			   : json_put_null(rec, name, e);
	default:
		break;
	}
	text = (const char *)sqlite3_column_text(s, i);
	len = (size_t)sqlite3_column_bytes(s, i);
	if (text == NULL)
		return json_put_null(rec, name, e);
	if (keys[i].kind == JSON) {
		if ((v = json_parse(text, len, &bad)) == NULL)
			return json_put_null(rec, name, e);
		return json_put(rec, name, v, e);
	}
	return json_put_bytes(rec, name, text, len, e);
}

int
catalogue_row_record(sqlite3_stmt *s, struct json **rec, struct err *e)
{
	if ((*rec = json_new_object(e)) == NULL)
		return -1;
	for (int i = 0; i < N_KEYS; i++)
		if (put_key(*rec, s, i, e) == -1) {
			json_free(*rec);
			*rec = NULL;
			return -1;
		}
	return 1;
}

int
catalogue_record(struct catalogue *c, int64_t id, struct json **rec, struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(c, sql_record_by_id, e);
	int rc;

	*rec = NULL;
	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	if ((rc = catalogue_step(c, s, e)) == 1)
		rc = catalogue_row_record(s, rec, e);
	sqlite3_reset(s);
	return rc;
}

/* Text of the application as it is: any bytes, or NULL. */
static int
put_text(struct json *o, const char *key, sqlite3_stmt *s, int i, struct err *e)
{
	const char *text = (const char *)sqlite3_column_text(s, i);

	return text == NULL ? json_put_null(o, key, e)
			    : json_put_bytes(o, key, text, (size_t)sqlite3_column_bytes(s, i), e);
}

/* The upload jobs that name the file, by either of the paths that the application writes. */
static int
put_uploads(struct catalogue *c, struct json *rec, struct err *e)
{
	struct json *uploads, *job;
	const char *path = json_get_str(rec, "path");
	sqlite3_stmt *s;
	char *absolute;
	int rc;

	if (!c->shape.jobs || path == NULL)
		return 0;
	if ((s = catalogue_stmt(c, sql_jobs_by_path, e)) == NULL ||
	    (uploads = json_new_array(e)) == NULL)
		return -1;
	absolute = realpath(path, NULL);
	sqlite3_bind_text(s, 1, path, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 2, absolute, -1, SQLITE_STATIC);
	while ((rc = catalogue_step(c, s, e)) == 1) {
		if ((job = json_new_object(e)) == NULL || put_text(job, "id", s, 0, e) == -1 ||
		    put_text(job, "status", s, 1, e) == -1 ||
		    json_put_int(job, "attempts", sqlite3_column_int64(s, 2), e) == -1 ||
		    put_text(job, "created_at", s, 3, e) == -1 ||
		    put_text(job, "last_error", s, 4, e) == -1 ||
		    put_text(job, "drive_file_id", s, 5, e) == -1) {
			json_free(job);
			rc = -1;
			break;
		}
		if (json_append(uploads, job, e) == -1) {
			rc = -1;
			break;
		}
	}
	sqlite3_reset(s);
	free(absolute);
	if (rc == -1) {
		json_free(uploads);
		return -1;
	}
	return json_put(rec, "uploads", uploads, e);
}

/* The run that measured it, and what its file was like that is another by now. */
static int
put_measured(struct catalogue *c, int64_t id, struct json *rec, struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(c, sql_measured_by_id, e);
	struct json *seen;
	int rc;

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	if ((rc = catalogue_step(c, s, e)) == -1)
		return -1;
	rc = json_put_str(
	    rec, "measured_by_run", rc == 1 ? (const char *)sqlite3_column_text(s, 0) : NULL, e);
	if (rc == 0 && sqlite3_data_count(s) > 0 && sqlite3_column_type(s, 3) == SQLITE_TEXT) {
		if ((seen = json_new_object(e)) == NULL ||
		    json_put_int(seen, "size_bytes", sqlite3_column_int64(s, 2), e) == -1 ||
		    json_put_str(seen, "mtime", (const char *)sqlite3_column_text(s, 3), e) == -1)
			rc = -1;
		else
			rc = json_put(rec, "last_seen", seen, e);
	}
	sqlite3_reset(s);
	return rc;
}

/* What the JSON text holds, beside what is there already; text that is no object holds nothing. */
static int
put_details(struct json *o, const char *text, size_t len, struct err *e)
{
	struct err bad;
	struct json *details = text != NULL ? json_parse(text, len, &bad) : NULL, *v, *copy;
	const char *key;
	int rc = 0;

	if (json_kind(details) == JSON_KIND_OBJECT)
		for (void *it = json_first(details, &key, &v); it != NULL && rc == 0;
		     it = json_next(details, it, &key, &v))
			if (json_get(o, key) == NULL &&
			    ((copy = json_clone(v, e)) == NULL || json_put(o, key, copy, e) == -1))
				rc = -1;
	json_free(details);
	return rc;
}

static int
put_provenance(struct catalogue *c, int64_t id, struct json *rec, struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(c, sql_provenance_by_id, e);
	struct json *o;
	int rc;

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	if ((rc = catalogue_step(c, s, e)) != 1)
		return rc == -1 ? -1 : json_put_null(rec, "provenance", e);
	rc = -1;
	if ((o = json_new_object(e)) == NULL || put_text(o, "tool", s, 0, e) == -1 ||
	    put_text(o, "started_at", s, 1, e) == -1 ||
	    put_details(o, (const char *)sqlite3_column_text(s, 2),
		(size_t)sqlite3_column_bytes(s, 2), e) == -1)
		json_free(o);
	else
		rc = json_put(rec, "provenance", o, e);
	sqlite3_reset(s);
	return rc;
}

int
catalogue_put_history(struct catalogue *c, int64_t id, struct json *rec, struct err *e)
{
	return put_measured(c, id, rec, e) == -1 || put_provenance(c, id, rec, e) == -1 ||
		       catalogue_put_objects(c, id, rec, e) == -1
		   ? -1
		   : put_uploads(c, rec, e);
}

/* ---- --where ---- */

/* Functions that do more than compute from their arguments, or that make many rows one. */
static bool
is_harmless(const char *function)
{
	static const char *const refused[] = {"load_extension", "readfile", "writefile", "edit",
	    "fts3_tokenizer", "count", "sum", "total", "avg", "group_concat", "string_agg",
	    "json_group_array", "json_group_object", "row_number", "rank", "dense_rank",
	    "percent_rank", "cume_dist", "ntile", "lag", "lead", "first_value", "last_value",
	    "nth_value", "changes", "total_changes", "last_insert_rowid", "sqlite_log",
	    "rtreecheck", "rec_key"};

	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		if (sqlite3_stricmp(function, refused[i]) == 0)
			return false;
	return true;
}

/* Counts the SELECTs of a statement: an expression that brings one of its own is a sub-query. */
struct guard {
	int selects;
	bool refused;
};

static int
authorize(void *arg, int action, const char *a, const char *b, const char *db, const char *view)
{
	struct guard *g = arg;
	bool fine = false;

	(void)db;
	if (action == SQLITE_SELECT) {
		g->selects++;
		fine = true;
	} else if (action == SQLITE_READ) {
		fine = view != NULL ||
		       (strcmp(a, "recording") == 0 && (b[0] == '\0' || catalogue_is_key(b)));
	} else if (action == SQLITE_FUNCTION) {
		fine = is_harmless(b);
	}
	g->refused |= !fine;
	return fine ? SQLITE_OK : SQLITE_DENY;
}

static int
prepare(struct catalogue *c, const char *sql, struct guard *g, sqlite3_stmt **s, const char **tail)
{
	int rc;

	*g = (struct guard){0};
	sqlite3_set_authorizer(c->db, authorize, g);
	rc = sqlite3_prepare_v2(c->db, sql, -1, s, tail);
	sqlite3_set_authorizer(c->db, NULL, NULL);
	return rc;
}

/* "a,-b" becomes " ORDER BY a, b DESC, id". */
static int
add_order(struct buf *sql, const char *sort, struct err *e)
{
	char *copy = mem_str(sort != NULL ? sort : "id", e), *rest = copy;
	const char *sep = " ORDER BY ";
	int rc = copy == NULL ? -1 : 0;

	for (char *k; rc == 0 && (k = strsep(&rest, ",")) != NULL;) {
		bool down = k[0] == '-';

		k += down;
		if (!catalogue_is_key(k))
			rc = err_set(e, ERR_USAGE, NULL,
			    "--sort: \"%s\" is not a recording key; see rec-lines(5), e.g. --sort "
			    "-duration_s,title",
			    k);
		else
			rc = buf_addf(sql, e, "%s%s%s", sep, k, down ? " DESC" : "");
		sep = ", ";
	}
	free(copy);
	return rc == 0 ? buf_addf(sql, e, "%sid", sep) : -1;
}

/* Bare, the expression stands without its parentheses. */
static int
add_select(struct buf *sql, const char *where, const char *sort, int64_t limit, bool all, bool bare,
    struct err *e)
{
	/* The line's end closes a comment that the expression may end with. */
	if (buf_addf(sql, e, "SELECT * FROM recording WHERE %s AND %s\n%s\n%s",
		all ? "1" : "status <> 'deleted'", bare ? "" : "(", where, bare ? "" : ")") == -1)
		return -1;
	return add_order(sql, sort, e) == -1 ? -1
					     : buf_addf(sql, e, " LIMIT %lld", (long long)limit);
}

struct catalogue_list *
catalogue_list_open(struct catalogue *c, const char *where, const char *sort, int64_t limit,
    bool all, struct err *e)
{
	struct catalogue_list *l = mem_new(1, sizeof *l, e);
	struct buf plain = {0}, bare = {0}, sql = {0};
	struct guard g;
	const char *tail;
	bool fine;
	int selects;

	if (l == NULL)
		return NULL;
	l->c = c;
	l->where = where != NULL;
	if (where == NULL)
		where = "1";
	if (add_select(&plain, "1", sort, limit, all, false, e) == -1 ||
	    add_select(&bare, where, sort, limit, all, true, e) == -1 ||
	    add_select(&sql, where, sort, limit, all, false, e) == -1)
		goto fail;
	if (prepare(c, plain.data, &g, &l->stmt, &tail) != SQLITE_OK) {
		catalogue_error(c, "preparing a query", e);
		goto fail;
	}
	selects = g.selects;
	sqlite3_finalize(l->stmt);
	l->stmt = NULL;
	/* What closes our parenthesis, such as "1) or (1", is no SQL without it. */
	fine = prepare(c, bare.data, &g, &l->stmt, &tail) == SQLITE_OK;
	sqlite3_finalize(l->stmt);
	l->stmt = NULL;
	if (!fine || prepare(c, sql.data, &g, &l->stmt, &tail) != SQLITE_OK ||
	    g.selects != selects || *tail != '\0' || sqlite3_bind_parameter_count(l->stmt) != 0) {
		err_set(e, ERR_USAGE, NULL,
		    "--where: %s; recording keys, constants, operators and scalar functions are "
		    "allowed",
		    l->stmt != NULL ? "not one expression without sub-queries"
		    : g.refused	    ? "not allowed here"
				    : sqlite3_errmsg(c->db));
		goto fail;
	}
	buf_free(&plain);
	buf_free(&bare);
	buf_free(&sql);
	return l;
fail:
	buf_free(&plain);
	buf_free(&bare);
	buf_free(&sql);
	catalogue_list_close(l);
	return NULL;
}

int
catalogue_list_next(struct catalogue_list *l, struct json **rec, struct err *e)
{
	int rc = catalogue_step(l->c, l->stmt, e), sql;

	*rec = NULL;
	if (rc == 1)
		return catalogue_row_record(l->stmt, rec, e);
	/* An overflow, a value that is no JSON: the expression was fine until it met this row. */
	sql = rc == -1 ? sqlite3_errcode(l->c->db) & 0xff : SQLITE_OK;
	if (l->where && (sql == SQLITE_ERROR || sql == SQLITE_TOOBIG))
		err_set(e, ERR_USAGE, NULL, "--where: %s", sqlite3_errmsg(l->c->db));
	return rc;
}

void
catalogue_list_close(struct catalogue_list *l)
{
	if (l == NULL)
		return;
	sqlite3_finalize(l->stmt);
	free(l);
}
