/*
 * One connection to the archive's database.
 *
 * Reading must leave the archive as it was found, and SQLite's WAL mode makes that delicate: a
 * connection that is opened read-only leaves -shm and -wal files behind, and one that may write
 * checkpoints another program's WAL when it closes. So a connection for reading is opened for
 * writing where the folder allows it, forbids itself every write (query_only), and does not
 * checkpoint on close. Where a WAL lies without its -shm (a copied archive), the index is kept in
 * memory (exclusive locking), so that none appears; the connections of one tool share a cache then,
 * or they would lock each other out. Where the folder cannot be written and no WAL is there, the
 * file is read as immutable.
 */
#include "catalogue_db.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "hash.h"
#include "io.h"
#include "mem.h"
#include "rowimage.h"
#include "sql.h"

/* ---- errors, waiting ---- */

int
catalogue_error(struct catalogue *c, const char *what, struct err *e)
{
	int rc = sqlite3_extended_errcode(c->db);
	enum err_class class = ERR_SYSTEM;
	const char *hint = "";

	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		if (c->o.stop != NULL && atomic_load(c->o.stop) != 0)
			return err_set(e, ERR_STOPPED, NULL, "stopped");
		return err_set(e, ERR_BUSY, P_BUSY,
		    "%s: another program has been writing to it for %lld s; try again later",
		    c->o.path, (long long)(c->o.timeout_s * (1 + c->o.retries)));
	case SQLITE_INTERRUPT:
		return err_set(e, ERR_STOPPED, NULL, "stopped");
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		class = ERR_CATALOGUE;
		hint = "; keep a copy of it and see sqlite3's .recover";
		break;
	case SQLITE_CONSTRAINT:
	case SQLITE_ERROR:
		class = ERR_CATALOGUE;
		break;
	case SQLITE_FULL:
		hint = "; free some space and run this again";
		break;
	default:
		break;
	}
	err_set(e, class, NULL, "%s: %s: %s%s", c->o.path, what, sqlite3_errmsg(c->db), hint);
	e->sys = sqlite3_system_errno(c->db);
	return -1;
}

/* Called by SQLite while a lock is held by somebody else: waits a little, until the profile's time
 * is up. */
static int
on_busy(void *arg, int count)
{
	struct catalogue *c = arg;
	int64_t now = clock_monotonic_ns();
	struct timespec nap = {.tv_nsec = 20000000};

	if (count == 0)
		c->deadline_ns = now + c->o.timeout_s * (1 + c->o.retries) * 1000000000;
	if (now >= c->deadline_ns || (c->o.stop != NULL && atomic_load(c->o.stop) != 0))
		return 0;
	nanosleep(&nap, NULL);
	return 1;
}

static int
on_progress(void *arg)
{
	const struct catalogue *c = arg;

	return c->o.stop != NULL && atomic_load(c->o.stop) != 0;
}

/* ---- statements ---- */

sqlite3_stmt *
catalogue_stmt(struct catalogue *c, const char *sql, struct err *e)
{
	sqlite3_stmt *s;
	unsigned i;

	for (i = 0; i < c->cached; i++)
		if (strcmp(c->cache[i].sql, sql) == 0) {
			sqlite3_reset(c->cache[i].stmt);
			sqlite3_clear_bindings(c->cache[i].stmt);
			return c->cache[i].stmt;
		}
	if (sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL) != SQLITE_OK) {
		catalogue_error(c, "preparing a statement", e);
		return NULL;
	}
	/* The first place whose statement nobody is stepping. */
	for (i = 0; i < c->cached && c->cached == CATALOGUE_STATEMENTS &&
		    sqlite3_stmt_busy(c->cache[i].stmt);
	     i++)
		;
	i = c->cached < CATALOGUE_STATEMENTS ? c->cached++ : i % CATALOGUE_STATEMENTS;
	if (c->cache[i].sql != NULL) {
		free(c->cache[i].sql);
		sqlite3_finalize(c->cache[i].stmt);
	}
	c->cache[i].stmt = s;
	if ((c->cache[i].sql = mem_str(sql, e)) == NULL) {
		sqlite3_finalize(s);
		c->cache[i].stmt = NULL;
		c->cache[i] = c->cache[--c->cached];
		return NULL;
	}
	return s;
}

int
catalogue_step(struct catalogue *c, sqlite3_stmt *s, struct err *e)
{
	switch (sqlite3_step(s)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		sqlite3_reset(s);
		return 0;
	default:
		catalogue_error(c, "the query failed", e);
		sqlite3_reset(s);
		return -1;
	}
}

static void
drop_statements(struct catalogue *c)
{
	for (unsigned i = 0; i < c->cached; i++) {
		free(c->cache[i].sql);
		sqlite3_finalize(c->cache[i].stmt);
	}
	c->cached = 0;
	memset(c->cache, 0, sizeof c->cache);
}

int
catalogue_exec(struct catalogue *c, const char *sql, struct err *e)
{
	return sqlite3_exec(c->db, sql, NULL, NULL, NULL) == SQLITE_OK
		   ? 0
		   : catalogue_error(c, "a statement failed", e);
}

int
catalogue_begin(struct catalogue *c, struct err *e)
{
	return sqlite3_exec(c->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK
		   ? 0
		   : catalogue_error(c, "beginning to write", e);
}

int
catalogue_commit(struct catalogue *c, struct err *e)
{
	if (sqlite3_exec(c->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	catalogue_error(c, "committing", e);
	catalogue_rollback(c);
	return -1;
}

void
catalogue_rollback(struct catalogue *c)
{
	if (!sqlite3_get_autocommit(c->db))
		sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
}

/* ---- the shape ---- */

static int
has_table(struct catalogue *c, const char *table, struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(c, sql_has_table, e);
	int rc;

	if (s == NULL)
		return -1;
	sqlite3_bind_text(s, 1, table, -1, SQLITE_STATIC);
	rc = catalogue_step(c, s, e);
	sqlite3_reset(s);
	return rc;
}

int
catalogue_has_column(struct catalogue *c, const char *table, const char *column, struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(c, sql_columns_of, e);
	int rc;

	if (s == NULL)
		return -1;
	sqlite3_bind_text(s, 1, table, -1, SQLITE_STATIC);
	while ((rc = catalogue_step(c, s, e)) == 1)
		if (strcmp((const char *)sqlite3_column_text(s, 0), column) == 0)
			break;
	sqlite3_reset(s);
	return rc;
}

/* 1 when the table has every one of the NULL-ended columns. */
static int
has_columns(struct catalogue *c, const char *table, const char *const *columns, struct err *e)
{
	int rc = 1;

	for (; *columns != NULL && rc == 1; columns++)
		rc = catalogue_has_column(c, table, *columns, e);
	return rc;
}

/* The single integer or text of a statement without parameters. */
static int
single(struct catalogue *c, const char *sql, int64_t *n, char *text, size_t size, struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(c, sql, e);
	int rc;

	if (s == NULL || (rc = catalogue_step(c, s, e)) == -1)
		return -1;
	if (rc == 1 && n != NULL)
		*n = sqlite3_column_int64(s, 0);
	if (rc == 1 && text != NULL && sqlite3_column_text(s, 0) != NULL)
		snprintf(text, size, "%s", (const char *)sqlite3_column_text(s, 0));
	sqlite3_reset(s);
	return rc;
}

static int
find_shape(struct catalogue *c, struct err *e)
{
	static const char *const oldest[] = {
	    "id", "filename", "title", "duration", "status", "created_at", NULL};
	static const char *const current[] = {"stored_filename", "filesize_bytes", "mime_type",
	    "checksum", "sync_status", "last_synced_at", "modified_at", NULL};
	static const char *const progress[] = {"started_iso", "finished_iso", "uploaded_bytes",
	    "total_bytes", "cancel_requested", NULL};
	struct catalogue_shape *sh = &c->shape;
	int recordings, base, cur, jobs, prog, alembic, toolkit;
	int64_t version = 0;

	*sh = (struct catalogue_shape){0};
	if ((recordings = has_table(c, "recordings", e)) == -1 ||
	    (jobs = has_table(c, "jobs", e)) == -1 ||
	    (alembic = has_table(c, "alembic_version", e)) == -1 ||
	    (toolkit = has_table(c, "rec_schema", e)) == -1)
		return -1;
	if (!recordings)
		return err_set(e, ERR_CATALOGUE, NULL,
		    "%s: has no table \"recordings\": not an archive's database", c->o.path);
	if ((base = has_columns(c, "recordings", oldest, e)) == -1 ||
	    (cur = has_columns(c, "recordings", current, e)) == -1 ||
	    (prog = has_columns(c, "jobs", progress, e)) == -1)
		return -1;
	if (!base)
		return err_set(e, ERR_CATALOGUE, NULL,
		    "%s: the table \"recordings\" lacks columns that every archive has: not an "
		    "archive's database",
		    c->o.path);
	if (alembic && single(c, sql_alembic_get, NULL, sh->alembic_version,
			   sizeof sh->alembic_version, e) == -1)
		return -1;
	if (toolkit && single(c, sql_schema_version, &version, NULL, 0, e) == -1)
		return -1;
	if (version > CATALOGUE_VERSION)
		return err_set(e, ERR_CATALOGUE, NULL,
		    "%s: is of version %lld of the toolkit's tables, this tool knows %d: install "
		    "the newer rectools",
		    c->o.path, (long long)version, CATALOGUE_VERSION);
	sh->current_columns = cur == 1;
	sh->jobs = jobs == 1;
	sh->jobs_progress = jobs == 1 && prog == 1;
	sh->alembic = alembic == 1;
	sh->toolkit_version = (int)version;
	sh->name = !cur	      ? "cabc59ea0c9d"
		   : !alembic ? "unversioned"
		   : !jobs    ? "4ae620c1c938"
		   : !prog    ? "0001_create_recordings_and_jobs"
			      : "0002_add_job_progress_columns";
	return 0;
}

/* The temporary views over this shape. */
static int
make_views(struct catalogue *c, struct err *e)
{
	char *raw = sqlite3_mprintf("%Q", c->o.raw_path),
	     *edited = sqlite3_mprintf("%Q", c->o.edited_path);
	char *view = NULL;
	int rc = -1;

	if (raw == NULL || edited == NULL ||
	    (view = mem_fmt(e, sql_view_recording, raw, edited)) == NULL) {
		err_nomem(e);
		goto out;
	}
	if (catalogue_exec(c, sql_drop_views, e) == -1 ||
	    catalogue_exec(c, c->shape.current_columns ? sql_view_app_current : sql_view_app_oldest,
		e) == -1 ||
	    catalogue_exec(c,
		c->shape.toolkit_version > 0 ? sql_view_toolkit_present : sql_view_toolkit_absent,
		e) == -1 ||
	    catalogue_exec(c,
		c->shape.toolkit_version > 1 ? sql_view_fixity_present : sql_view_fixity_absent,
		e) == -1 ||
	    catalogue_exec(c,
		c->shape.toolkit_version > 2 ? sql_view_provenance_present
					     : sql_view_provenance_absent,
		e) == -1 ||
	    catalogue_exec(c,
		c->shape.toolkit_version > 3 ? sql_view_sync_present : sql_view_sync_absent,
		e) == -1 ||
	    catalogue_exec(c, view, e) == -1)
		goto out;
	rc = 0;
out:
	sqlite3_free(raw);
	sqlite3_free(edited);
	free(view);
	return rc;
}

int
catalogue_refresh_shape(struct catalogue *c, struct err *e)
{
	drop_statements(c);
	return find_shape(c, e) == -1 ? -1 : make_views(c, e);
}

const struct catalogue_shape *
catalogue_shape(const struct catalogue *c)
{
	return &c->shape;
}

/* ---- opening ---- */

/* 1 when PATH + suffix is there and not empty. */
static bool
has_side_file(const char *path, const char *suffix)
{
	char name[4096];
	struct stat st;

	return snprintf(name, sizeof name, "%s%s", path, suffix) < (int)sizeof name &&
	       stat(name, &st) == 0 && st.st_size > 0;
}

/* The database as a file that cannot change: of a folder that cannot be written. */
static int
open_immutable(struct catalogue *c, struct err *e)
{
	struct buf uri = {0};
	int rc = buf_adds(&uri, "file:", e);

	for (const char *p = c->o.path; *p != '\0' && rc == 0; p++)
		rc = strchr("?#%", *p) != NULL ? buf_addf(&uri, e, "%%%02x", (unsigned char)*p)
					       : buf_add(&uri, p, 1, e);
	if (rc == 0)
		rc = buf_adds(&uri, "?immutable=1", e);
	if (rc == 0) {
		sqlite3_close(c->db);
		if (sqlite3_open_v2(uri.data, &c->db,
			SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX,
			NULL) != SQLITE_OK)
			rc = catalogue_error(c, "opening it", e);
	}
	buf_free(&uri);
	return rc;
}

static int
open_db(struct catalogue *c, struct err *e)
{
	bool lone_wal = has_side_file(c->o.path, "-wal") && !has_side_file(c->o.path, "-shm");

	if (access(c->o.path, F_OK) == -1)
		return err_set(e, ERR_CATALOGUE, errno == ENOENT ? P_MISSING : NULL,
		    "%s: %s: no archive here; name its root with -C (or REC_ROOT)", c->o.path,
		    strerror(errno));
	if (sqlite3_open_v2(c->o.path, &c->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
		    (!c->o.write && lone_wal ? SQLITE_OPEN_SHAREDCACHE : 0),
		NULL) != SQLITE_OK)
		return catalogue_error(c, "opening it", e);
	if (!c->o.write &&
	    (sqlite3_db_readonly(c->db, "main") == 1 || access(c->o.path, W_OK) == -1) &&
	    !has_side_file(c->o.path, "-wal") && open_immutable(c, e) == -1)
		return -1;
	sqlite3_extended_result_codes(c->db, 1);
	sqlite3_busy_handler(c->db, on_busy, c);
	sqlite3_progress_handler(c->db, 10000, on_progress, c);
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	if (!c->o.write)
		sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
		    has_side_file(c->o.path, "-wal"), NULL);
	if (!c->o.write && lone_wal &&
	    catalogue_exec(c, "PRAGMA locking_mode = EXCLUSIVE", e) == -1)
		return -1;
	if (catalogue_exec(c,
		"PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL;",
		e) == -1)
		return -1;
	return c->o.write ? catalogue_exec(c, "PRAGMA journal_mode = WAL", e) : 0;
}

struct catalogue *
catalogue_open(const struct catalogue_opts *o, struct err *e)
{
	struct catalogue *c = mem_new(1, sizeof *c, e);

	if (c == NULL)
		return NULL;
	c->o = *o;
	c->o.path = mem_str(o->path, e);
	c->o.raw_path = mem_str(o->raw_path, e);
	c->o.edited_path = mem_str(o->edited_path, e);
	if (c->o.path == NULL || c->o.raw_path == NULL || c->o.edited_path == NULL ||
	    open_db(c, e) == -1 || catalogue_add_functions(c, e) == -1 || find_shape(c, e) == -1 ||
	    make_views(c, e) == -1 ||
	    (!o->write && catalogue_exec(c, "PRAGMA query_only = ON", e) == -1)) {
		catalogue_close(c);
		return NULL;
	}
	return c;
}

void
catalogue_close(struct catalogue *c)
{
	if (c == NULL)
		return;
	drop_statements(c);
	sqlite3_close(c->db);
	free((char *)(uintptr_t)c->o.path);
	free((char *)(uintptr_t)c->o.raw_path);
	free((char *)(uintptr_t)c->o.edited_path);
	free(c);
}

/* ---- creating ---- */

/* The bytes of an empty database of the application. */
static unsigned char *
empty_database(sqlite3_int64 *len, struct err *e)
{
	unsigned char *bytes = NULL;
	sqlite3 *db = NULL;

	if (sqlite3_open_v2(":memory:", &db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
		NULL) != SQLITE_OK ||
	    sqlite3_exec(db, sql_application_schema, NULL, NULL, NULL) != SQLITE_OK)
		err_set(e, ERR_SYSTEM, NULL, "making an empty catalogue: %s", sqlite3_errmsg(db));
	else if ((bytes = sqlite3_serialize(db, "main", len, 0)) == NULL)
		err_nomem(e);
	sqlite3_close(db);
	return bytes;
}

/* A log or index that another database left would be played into the new one. */
static int
check_nothing_there(int dirfd, const char *name, struct err *e)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
	char there[512];
	struct stat st;

	for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
		if (snprintf(there, sizeof there, "%s%s", name, suffixes[i]) >= (int)sizeof there)
			return err_set(e, ERR_CATALOGUE, NULL, "the name is too long");
		if (fstatat(dirfd, there, &st, AT_SYMLINK_NOFOLLOW) == 0)
			return err_set(e, ERR_CATALOGUE, P_CONFLICT,
			    "%s is there already and is left as it is; see what it belongs to",
			    there);
		if (errno != ENOENT)
			return err_sys(e, "looking for %s", there);
	}
	return 0;
}

static int
put_database(int dirfd, const char *name, struct err *e)
{
	struct io_new f = {.fd = -1, .dirfd = -1};
	sqlite3_int64 len = 0;
	unsigned char *bytes = empty_database(&len, e);
	int rc = -1;

	if (bytes == NULL)
		return -1;
	/* The versions for writing and for reading: 2 is the write-ahead log, which a database in
	 * memory cannot have (https://www.sqlite.org/fileformat.html). */
	bytes[18] = bytes[19] = 2;
	if (check_nothing_there(dirfd, name, e) == 0 && io_new_open(&f, dirfd, name, e) == 0 &&
	    io_write(f.fd, bytes, (size_t)len, e) == 0)
		rc = io_new_commit(&f, 0644, false, e);
	io_new_close(&f);
	sqlite3_free(bytes);
	return rc;
}

int
catalogue_create(const char *path, struct err *e)
{
	const char *name = io_base_name(path);
	char *folder = mem_bytes(path, (size_t)(name - path), e);
	int dirfd = -1, rc = -1;

	if (folder == NULL)
		return -1;
	if (folder[0] == '\0' || io_make_dirs(AT_FDCWD, folder, e) == 0) {
		dirfd = io_open_dir(AT_FDCWD, folder[0] == '\0' ? "." : folder, e);
		rc = dirfd == -1 ? -1 : put_database(dirfd, name, e);
	}
	if (dirfd != -1)
		close(dirfd);
	free(folder);
	return rc == 0 ? 0 : err_prefix(e, "%s: making an empty catalogue", path);
}

/* ---- row images ---- */

/* {"name": "…"}: a value that JSON has no exact form for. */
static int
put_wrapped(struct json *row, const char *column, const char *name, const void *p, size_t len,
    bool as_hex, struct err *e)
{
	struct json *o = json_new_object(e);
	char *hex = as_hex ? mem_new(len + 1, 2, e) : NULL;
	int rc = -1;

	if (o != NULL && (hex != NULL || !as_hex)) {
		if (as_hex)
			hash_hex(p, len, hex);
		rc = json_put_str(o, name, as_hex ? hex : p, e) == 0 ? json_put(row, column, o, e)
								     : -1;
	}
	free(hex);
	return rc;
}

static int
put_value(struct json *row, const char *column, sqlite3_stmt *s, int i, struct err *e)
{
	const char *text;
	size_t len;
	double d;

	switch (sqlite3_column_type(s, i)) {
	case SQLITE_INTEGER:
		return json_put_int(row, column, sqlite3_column_int64(s, i), e);
	case SQLITE_FLOAT:
		d = sqlite3_column_double(s, i);
		return isfinite(d)
			   ? json_put_real(row, column, d, e)
			   : put_wrapped(row, column, "real", d > 0 ? "inf" : "-inf", 0, false, e);
	case SQLITE_TEXT:
		text = (const char *)sqlite3_column_text(s, i);
		len = (size_t)sqlite3_column_bytes(s, i);
		return rowimage_put_text(row, column, text, len, e);
	case SQLITE_BLOB:
		text = sqlite3_column_blob(s, i);
		return put_wrapped(
		    row, column, "blob_hex", text, (size_t)sqlite3_column_bytes(s, i), true, e);
	default:
		return json_put_null(row, column, e);
	}
}

/* The inverse of put_value. */
static int
bind_value(struct catalogue *c, sqlite3_stmt *s, int i, const struct json *v, struct err *e)
{
	const char *text, *name;
	struct json *inner;
	unsigned char *bytes;
	int64_t n;
	double d;
	size_t len;
	int rc;

	switch (json_kind(v)) {
	case JSON_KIND_INT:
		json_to_int(v, &n);
		rc = sqlite3_bind_int64(s, i, n);
		break;
	case JSON_KIND_REAL:
		if (!json_to_real(v, &d))
			return err_set(
			    e, ERR_CATALOGUE, NULL, "a number in the journal fits no column");
		rc = sqlite3_bind_double(s, i, d);
		break;
	case JSON_KIND_STR:
		text = json_to_str(v, &len);
		rc = sqlite3_bind_text64(s, i, text, len, SQLITE_TRANSIENT, SQLITE_UTF8);
		break;
	case JSON_KIND_OBJECT:
		if (json_first(v, &name, &inner) == NULL ||
		    (text = json_to_str(inner, &len)) == NULL)
			return err_set(
			    e, ERR_CATALOGUE, NULL, "a value in the journal is malformed");
		if (strcmp(name, "real") == 0) {
			rc = sqlite3_bind_double(s, i, text[0] == '-' ? -INFINITY : INFINITY);
			break;
		}
		if (strcmp(name, "text_hex") != 0 && strcmp(name, "blob_hex") != 0)
			return err_set(
			    e, ERR_CATALOGUE, NULL, "a value in the journal is malformed");
		if ((bytes = mem_new(len / 2 + 1, 1, e)) == NULL)
			return -1;
		if (hash_unhex(text, len, bytes) == -1) {
			free(bytes);
			return err_set(
			    e, ERR_CATALOGUE, NULL, "a value in the journal is not hexadecimal");
		}
		rc = strcmp(name, "text_hex") == 0
			 ? sqlite3_bind_text64(
			       s, i, (char *)bytes, len / 2, SQLITE_TRANSIENT, SQLITE_UTF8)
			 : sqlite3_bind_blob64(s, i, bytes, len / 2, SQLITE_TRANSIENT);
		free(bytes);
		break;
	default:
		rc = sqlite3_bind_null(s, i);
		break;
	}
	return rc == SQLITE_OK ? 0 : catalogue_error(c, "binding a value", e);
}

int
catalogue_row_get(struct catalogue *c, const char *table, const char *key, int64_t id,
    struct json **row, struct err *e)
{
	char sql[256];
	sqlite3_stmt *s;
	struct err dropped;
	int rc;

	*row = NULL;
	sqlite3_snprintf(
	    sizeof sql, sql, "SELECT * FROM main.\"%w\" WHERE \"%w\" = ?1", table, key);
	if ((s = catalogue_stmt(c, sql, e)) == NULL)
		return has_table(c, table, &dropped) == 0 ? 0 : -1;
	sqlite3_bind_int64(s, 1, id);
	if ((rc = catalogue_step(c, s, e)) != 1)
		return rc;
	if ((*row = json_new_object(e)) == NULL)
		rc = -1;
	for (int i = 0; rc == 1 && i < sqlite3_column_count(s); i++)
		if (put_value(*row, sqlite3_column_name(s, i), s, i, e) == -1)
			rc = -1;
	if (rc == -1) {
		json_free(*row);
		*row = NULL;
	}
	sqlite3_reset(s);
	return rc;
}

/* A column that the table no longer has counts as NULL. */
static bool
unchanged(const struct json *v, const struct json *old)
{
	return json_kind(v) == JSON_KIND_NULL ? old == NULL || json_kind(old) == JSON_KIND_NULL
					      : json_same(v, old);
}

/* The text of an INSERT or UPDATE over the columns of `after` that differ from `before`: their
 * number. */
static int
put_sql(struct buf *sql, const char *table, const char *key, const struct json *before,
    const struct json *after, struct err *e)
{
	struct json *v;
	const char *column;
	char *piece;
	int n = 0, rc = 0;

	piece = sqlite3_mprintf(
	    before == NULL ? "INSERT INTO main.\"%w\" (" : "UPDATE main.\"%w\" SET ", table);
	rc = piece == NULL ? err_nomem(e) : buf_adds(sql, piece, e);
	sqlite3_free(piece);
	for (void *it = json_first(after, &column, &v); it != NULL && rc == 0;
	     it = json_next(after, it, &column, &v)) {
		if (before != NULL && unchanged(v, json_get(before, column)))
			continue;
		n++;
		piece = before == NULL
			    ? sqlite3_mprintf("%s\"%w\"", n > 1 ? ", " : "", column)
			    : sqlite3_mprintf("%s\"%w\" = ?%d", n > 1 ? ", " : "", column, n + 1);
		rc = piece == NULL ? err_nomem(e) : buf_adds(sql, piece, e);
		sqlite3_free(piece);
	}
	if (rc == 0 && before == NULL) {
		rc = buf_adds(sql, ") VALUES (", e);
		for (int i = 1; i <= n && rc == 0; i++)
			rc = buf_addf(sql, e, "%s?%d", i > 1 ? ", " : "", i + 1);
		if (rc == 0)
			rc = buf_adds(sql, ")", e);
	} else if (rc == 0) {
		piece = sqlite3_mprintf(" WHERE \"%w\" = ?1", key);
		rc = piece == NULL ? err_nomem(e) : buf_adds(sql, piece, e);
		sqlite3_free(piece);
	}
	return rc == 0 ? n : -1;
}

int
catalogue_row_put(struct catalogue *c, const char *table, const char *key, int64_t id,
    const struct json *before, const struct json *after, struct err *e)
{
	struct buf sql = {0};
	sqlite3_stmt *s = NULL;
	struct json *v;
	const char *column;
	char drop[256];
	int i = 1, n, rc = -1;

	if (after == NULL) {
		sqlite3_snprintf(
		    sizeof drop, drop, "DELETE FROM main.\"%w\" WHERE \"%w\" = ?1", table, key);
		if ((s = catalogue_stmt(c, drop, e)) != NULL) {
			sqlite3_bind_int64(s, 1, id);
			rc = catalogue_step(c, s, e);
		}
		return rc;
	}
	if ((n = put_sql(&sql, table, key, before, after, e)) <= 0) {
		rc = n;
		goto out;
	}
	if ((s = catalogue_stmt(c, sql.data, e)) == NULL)
		goto out;
	if (before != NULL)
		sqlite3_bind_int64(s, 1, id);
	for (void *it = json_first(after, &column, &v); it != NULL;
	     it = json_next(after, it, &column, &v)) {
		if (before != NULL && unchanged(v, json_get(before, column)))
			continue;
		if (bind_value(c, s, ++i, v, e) == -1)
			goto out;
	}
	rc = catalogue_step(c, s, e);
out:
	buf_free(&sql);
	return rc;
}

/* ---- schema changes ---- */

static int
exec_fmt(struct catalogue *c, struct err *e, const char *fmt, const char *a, const char *b)
{
	char *sql = sqlite3_mprintf(fmt, a, b);
	int rc = sql == NULL ? err_nomem(e) : catalogue_exec(c, sql, e);

	sqlite3_free(sql);
	return rc;
}

int
catalogue_add_column(struct catalogue *c, const char *table, const char *definition, struct err *e)
{
	return exec_fmt(c, e, "ALTER TABLE main.\"%w\" ADD COLUMN %s", table, definition);
}

int
catalogue_drop_column(struct catalogue *c, const char *table, const char *column, struct err *e)
{
	/* The temporary views name the columns, and SQLite refuses to drop what a view reads. */
	if (catalogue_exec(c, sql_drop_views, e) == -1)
		return -1;
	return exec_fmt(c, e, "ALTER TABLE main.\"%w\" DROP COLUMN \"%w\"", table, column);
}

int64_t
catalogue_count_values(struct catalogue *c, const char *table, const char *column, struct err *e)
{
	char sql[256];
	sqlite3_stmt *s = catalogue_stmt(c, sql_default_of, e);
	int64_t n = 0, fallback = 0;
	bool has_default = false;

	if (s == NULL)
		return -1;
	sqlite3_bind_text(s, 1, table, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 2, column, -1, SQLITE_STATIC);
	switch (catalogue_step(c, s, e)) {
	case 1:
		has_default = sqlite3_column_text(s, 0) != NULL &&
			      mem_parse_i64((const char *)sqlite3_column_text(s, 0), INT64_MIN,
				  INT64_MAX, &fallback);
		break;
	case -1:
		return -1;
	default:
		break;
	}
	sqlite3_reset(s);
	sqlite3_snprintf(sizeof sql, sql,
	    "SELECT count(*) FROM main.\"%w\" WHERE \"%w\" IS NOT NULL AND (%d OR \"%w\" <> %lld)",
	    table, column, !has_default, column, (long long)fallback);
	return single(c, sql, &n, NULL, 0, e) == -1 ? -1 : n;
}

int
catalogue_alembic_set(struct catalogue *c, const char *version, struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(c, sql_alembic_set, e);

	if (s == NULL)
		return -1;
	sqlite3_bind_text(s, 1, version, -1, SQLITE_TRANSIENT);
	return catalogue_step(c, s, e);
}

int64_t
catalogue_count_toolkit(struct catalogue *c, struct err *e)
{
	int64_t n = 0;

	return single(c, sql_count_toolkit, &n, NULL, 0, e) == -1 ? -1 : n;
}

int
catalogue_drop_toolkit(struct catalogue *c, struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(c, sql_tables_of_toolkit, e);
	struct buf sql = {0};
	int rc = -1;

	if (s == NULL || buf_adds(&sql, sql_drop_views, e) == -1)
		goto out;
	while ((rc = catalogue_step(c, s, e)) == 1) {
		char *piece = sqlite3_mprintf("DROP TABLE main.\"%w\";", sqlite3_column_text(s, 0));

		rc = piece == NULL ? err_nomem(e) : buf_adds(&sql, piece, e);
		sqlite3_free(piece);
		if (rc == -1)
			goto out;
	}
	if (rc == 0)
		rc = catalogue_exec(c, sql.data, e);
out:
	buf_free(&sql);
	return rc;
}

/* ---- rows as apply sees them ---- */

static int
copy_text(sqlite3_stmt *s, int i, char **text, struct err *e)
{
	const void *p = sqlite3_column_text(s, i);

	*text = NULL;
	if (p != NULL && (*text = mem_bytes(p, (size_t)sqlite3_column_bytes(s, i), e)) == NULL)
		return -1;
	return 0;
}

static int64_t
int_or_unknown(sqlite3_stmt *s, int i)
{
	return sqlite3_column_type(s, i) == SQLITE_INTEGER ? sqlite3_column_int64(s, i) : -1;
}

static int
fill_row(sqlite3_stmt *s, struct catalogue_row *r, struct err *e)
{
	const void *stored = sqlite3_column_blob(s, 1);

	*r = (struct catalogue_row){
	    .id = sqlite3_column_int64(s, 0),
	    .stored_len = (size_t)sqlite3_column_bytes(s, 1),
	    .filesize_bytes = int_or_unknown(s, 2),
	    .measured = sqlite3_column_int(s, 4) != 0,
	    .size_bytes = int_or_unknown(s, 6),
	    .seen_size_bytes = int_or_unknown(s, 12),
	    .settled = sqlite3_column_int(s, 14) != 0,
	    .checked_size_bytes = int_or_unknown(s, 20),
	    .trailing_silence_s =
		sqlite3_column_type(s, 22) == SQLITE_NULL ? NAN : sqlite3_column_double(s, 22),
	};
	if ((r->stored = mem_bytes(stored, r->stored_len, e)) == NULL ||
	    copy_text(s, 3, &r->checksum, e) == -1 || copy_text(s, 5, &r->folder, e) == -1 ||
	    copy_text(s, 7, &r->mtime, e) == -1 || copy_text(s, 8, &r->sha256, e) == -1 ||
	    copy_text(s, 9, &r->prober, e) == -1 || copy_text(s, 10, &r->problem_code, e) == -1 ||
	    copy_text(s, 11, &r->problem_message, e) == -1 ||
	    copy_text(s, 13, &r->seen_mtime, e) == -1 || copy_text(s, 15, &r->xxh3_128, e) == -1 ||
	    copy_text(s, 16, &r->audio_xxh3_128, e) == -1 ||
	    copy_text(s, 17, &r->checked_at, e) == -1 || copy_text(s, 18, &r->verdict, e) == -1 ||
	    copy_text(s, 19, &r->verdict_message, e) == -1 ||
	    copy_text(s, 21, &r->checked_mtime, e) == -1) {
		catalogue_row_free(r);
		return -1;
	}
	return 0;
}

int
catalogue_rows(
    struct catalogue *c, int64_t after_id, int n, struct catalogue_row *rows, struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(c, sql_rows_page, e);
	int got = 0, rc;

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, after_id);
	sqlite3_bind_int(s, 2, n);
	while ((rc = catalogue_step(c, s, e)) == 1) {
		if (fill_row(s, &rows[got], e) == -1) {
			rc = -1;
			break;
		}
		got++;
	}
	sqlite3_reset(s);
	if (rc == -1)
		while (got > 0)
			catalogue_row_free(&rows[--got]);
	return rc == -1 ? -1 : got;
}

int
catalogue_row_by_id(struct catalogue *c, int64_t id, struct catalogue_row *row, struct err *e)
{
	int rc = id == INT64_MIN ? 0 : catalogue_rows(c, id - 1, 1, row, e);

	if (rc == 1 && row->id != id) {
		catalogue_row_free(row);
		rc = 0;
	}
	return rc;
}

void
catalogue_row_free(struct catalogue_row *r)
{
	free(r->stored);
	free(r->checksum);
	free(r->folder);
	free(r->mtime);
	free(r->sha256);
	free(r->prober);
	free(r->problem_code);
	free(r->problem_message);
	free(r->seen_mtime);
	free(r->xxh3_128);
	free(r->audio_xxh3_128);
	free(r->checked_at);
	free(r->verdict);
	free(r->verdict_message);
	free(r->checked_mtime);
	*r = (struct catalogue_row){0};
}

static int
find_id(struct catalogue *c, const char *sql, const char *p, size_t len, int64_t *id, struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(c, sql, e);
	int rc;

	if (s == NULL)
		return -1;
	sqlite3_bind_text64(s, 1, p, len, SQLITE_STATIC, SQLITE_UTF8);
	if ((rc = catalogue_step(c, s, e)) == 1)
		*id = sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	return rc;
}

int
catalogue_find_stored(
    struct catalogue *c, const char *stored, size_t len, int64_t *id, struct err *e)
{
	int rc = find_id(c, sql_id_by_measured_name, stored, len, id, e);

	return rc != 0 ? rc : find_id(c, sql_id_by_stored_filename, stored, len, id, e);
}

int
catalogue_find_sha256(struct catalogue *c, const char *sha256, int64_t *id, struct err *e)
{
	int rc = find_id(c, sql_id_by_measured_sha256, sha256, strlen(sha256), id, e);

	return rc != 0 ? rc : find_id(c, sql_id_by_checksum, sha256, strlen(sha256), id, e);
}

int
catalogue_find_filename(struct catalogue *c, const char *filename, int64_t *id, struct err *e)
{
	return find_id(c, sql_id_by_filename, filename, strlen(filename), id, e);
}

int64_t
catalogue_next_id(struct catalogue *c, struct err *e)
{
	int64_t id = 0;

	return single(c, sql_next_id, &id, NULL, 0, e) == -1 ? -1 : id;
}

int
catalogue_count(struct catalogue *c, struct catalogue_counts *n, struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(c, sql_count_rows, e);

	if (s == NULL || catalogue_step(c, s, e) == -1)
		return -1;
	n->rows = sqlite3_column_int64(s, 0);
	n->measured = sqlite3_column_int64(s, 1);
	n->problems = sqlite3_column_int64(s, 2);
	sqlite3_reset(s);
	return 0;
}

int
catalogue_volume(
    struct catalogue *c, const char *folder, char filesystem[40], int64_t *inode, struct err *e)
{
	sqlite3_stmt *s;
	int rc;

	if (c->shape.toolkit_version == 0)
		return 0;
	if ((s = catalogue_stmt(c, sql_volume_get, e)) == NULL)
		return -1;
	sqlite3_bind_text(s, 1, folder, -1, SQLITE_STATIC);
	if ((rc = catalogue_step(c, s, e)) == 1) {
		snprintf(filesystem, 40, "%s", (const char *)sqlite3_column_text(s, 0));
		*inode = sqlite3_column_int64(s, 1);
	}
	sqlite3_reset(s);
	return rc;
}
