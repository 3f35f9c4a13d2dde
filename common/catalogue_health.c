/*
 * A connection for reading forbids itself every write, and asking for the write lock counts as one:
 * it is allowed for the length of BEGIN and ROLLBACK, between which nothing is written, so that
 * neither the database nor a log or journal is touched.
 */
#include "catalogue_health.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "catalogue_db.h"
#include "clock.h"
#include "mem.h"
#include "sql.h"

#define COMPLAINTS_MAX 100

/* ---- integrity ---- */

/* Where complaints go, and how many went. */
struct listener {
	int (*tell)(void *ctx, const char *complaint, struct err *e);
	void *ctx;
	int told;
};

static int
tell_complaint(struct listener *l, const char *text, size_t len, struct err *e)
{
	char *line;
	int rc;

	if (l->told == COMPLAINTS_MAX)
		return 0;
	if ((line = mem_bytes(text, len, e)) == NULL)
		return -1;
	l->told++;
	rc = l->tell(l->ctx, line, e);
	free(line);
	return rc;
}

/* One row of the check: several lines, of which the first may be a heading. */
static int
tell_lines(struct listener *l, const char *text, struct err *e)
{
	size_t len;

	for (; *text != '\0'; text += len + (text[len] == '\n')) {
		len = strcspn(text, "\n");
		if (len > 0 && strncmp(text, "*** in database", 15) != 0 &&
		    tell_complaint(l, text, len, e) == -1)
			return -1;
	}
	return 0;
}

/* The check itself met a page that it cannot go on from: that is its result. */
static int
tell_if_damaged(struct catalogue *c, struct listener *l, struct err *e)
{
	int sql = sqlite3_errcode(c->db) & 0xff;
	char *line;
	int rc;

	if (sql != SQLITE_CORRUPT && sql != SQLITE_NOTADB)
		return -1;
	if ((line = mem_fmt(
		 e, "the check could not be carried through: %s", sqlite3_errmsg(c->db))) == NULL)
		return -1;
	rc = tell_complaint(l, line, strlen(line), e);
	free(line);
	return rc;
}

int
catalogue_integrity(struct catalogue *c, bool full,
    int (*tell)(void *ctx, const char *complaint, struct err *e), void *ctx, struct err *e)
{
	struct listener l = {.tell = tell, .ctx = ctx};
	sqlite3_stmt *s =
	    catalogue_stmt(c, full ? sql_health_integrity_check : sql_health_quick_check, e);
	const char *text;
	int rc;

	if (s == NULL)
		return tell_if_damaged(c, &l, e);
	while ((rc = catalogue_step(c, s, e)) == 1) {
		text = (const char *)sqlite3_column_text(s, 0);
		if (text != NULL && strcmp(text, "ok") != 0 && tell_lines(&l, text, e) == -1) {
			sqlite3_reset(s);
			return -1;
		}
	}
	return rc == -1 ? tell_if_damaged(c, &l, e) : 0;
}

int
catalogue_foreign_key_violations(struct catalogue *c, struct catalogue_violations *v, struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(c, sql_health_violations, e);

	*v = (struct catalogue_violations){0};
	if (s == NULL || catalogue_step(c, s, e) == -1)
		return -1;
	v->application = sqlite3_column_int64(s, 0);
	v->toolkit = sqlite3_column_int64(s, 1);
	v->tags = sqlite3_column_int64(s, 2);
	sqlite3_reset(s);
	return 0;
}

/* ---- pages ---- */

/*
 * True when the file's header asks for a log. A connection to an immutable file has none and does
 * not say so. Through SQLite's own descriptor: closing another would drop its locks.
 */
static bool
header_says_wal(struct catalogue *c)
{
	sqlite3_file *f = NULL;
	unsigned char version[2];

	return sqlite3_file_control(c->db, "main", SQLITE_FCNTL_FILE_POINTER, &f) == SQLITE_OK &&
	       f != NULL && f->pMethods != NULL &&
	       f->pMethods->xRead(f, version, sizeof version, 18) == SQLITE_OK && version[0] == 2 &&
	       version[1] == 2;
}

int
catalogue_pages(struct catalogue *c, struct catalogue_pages *p, struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(c, sql_health_pages, e);
	const char *mode;

	*p = (struct catalogue_pages){0};
	if (s == NULL || catalogue_step(c, s, e) == -1)
		return -1;
	p->page_bytes = sqlite3_column_int64(s, 0);
	p->pages = sqlite3_column_int64(s, 1);
	p->free_pages = sqlite3_column_int64(s, 2);
	mode = (const char *)sqlite3_column_text(s, 3);
	snprintf(p->journal_mode, sizeof p->journal_mode, "%s",
	    header_says_wal(c) ? "wal"
	    : mode != NULL     ? mode
			       : "");
	sqlite3_reset(s);
	return 0;
}

/* ---- use ---- */

int64_t
catalogue_query_ns(struct catalogue *c, struct err *e)
{
	int64_t begin = clock_monotonic_ns();
	sqlite3_stmt *s = catalogue_stmt(c, sql_health_latest_recordings, e);
	int rc;

	if (s == NULL)
		return -1;
	while ((rc = catalogue_step(c, s, e)) == 1)
		;
	return rc == -1 ? -1 : clock_monotonic_ns() - begin;
}

bool
catalogue_is_writable(const struct catalogue *c)
{
	return sqlite3_db_readonly(c->db, "main") == 0 && access(c->o.path, W_OK) == 0;
}

int
catalogue_probe_write(struct catalogue *c, struct err *e)
{
	struct err again;
	int rc;

	if (!catalogue_is_writable(c))
		return 0;
	if (catalogue_exec(c, "PRAGMA query_only = OFF", e) == -1)
		return -1;
	if ((rc = catalogue_begin(c, e)) == 0)
		catalogue_rollback(c);
	if (!c->o.write && catalogue_exec(c, "PRAGMA query_only = ON", &again) == -1) {
		*e = again;
		return -1;
	}
	return rc;
}

/* ---- upload jobs ---- */

static const char *
text_at(sqlite3_stmt *s, int i)
{
	return (const char *)sqlite3_column_text(s, i);
}

static int64_t
count_at(sqlite3_stmt *s, int i)
{
	bool counts =
	    sqlite3_column_type(s, i) == SQLITE_INTEGER && sqlite3_column_int64(s, i) >= 0;

	return counts ? sqlite3_column_int64(s, i) : -1;
}

int
catalogue_jobs(struct catalogue *c,
    int (*each)(void *ctx, const struct catalogue_job *job, struct err *e), void *ctx,
    struct err *e)
{
	sqlite3_stmt *s;
	int rc, has_started;

	if (!c->shape.jobs)
		return 0;
	if ((has_started = catalogue_has_column(c, "jobs", "started_iso", e)) == -1 ||
	    (s = catalogue_stmt(c, has_started ? sql_health_jobs : sql_health_jobs_0001, e)) ==
		NULL)
		return -1;
	while ((rc = catalogue_step(c, s, e)) == 1) {
		struct catalogue_job job = {
		    .rowid = sqlite3_column_int64(s, 0),
		    .attempts = count_at(s, 6),
		    .max_attempts = count_at(s, 7),
		    .id = text_at(s, 1),
		    .file_path = text_at(s, 2),
		    .status = text_at(s, 3),
		    .last_error = text_at(s, 4),
		    .since = text_at(s, 5),
		};

		if (each(ctx, &job, e) == -1) {
			rc = -1;
			break;
		}
	}
	sqlite3_reset(s);
	return rc;
}

int
catalogue_job_paths(struct catalogue *c, int (*each)(void *ctx, const char *path, struct err *e),
    void *ctx, struct err *e)
{
	sqlite3_stmt *s;
	const char *path;
	int rc;

	if (!c->shape.jobs)
		return 0;
	if ((s = catalogue_stmt(c, sql_health_job_paths, e)) == NULL)
		return -1;
	while ((rc = catalogue_step(c, s, e)) == 1) {
		path = text_at(s, 0);
		/* Cut at a NUL it would name another file. */
		if (path != NULL && strlen(path) == (size_t)sqlite3_column_bytes(s, 0) &&
		    each(ctx, path, e) == -1) {
			rc = -1;
			break;
		}
	}
	sqlite3_reset(s);
	return rc;
}

/* ---- times ---- */

/* The first well-formed time of a descending list, without its Z, when it is later than out. */
static int
latest_of(struct catalogue *c, const char *sql, char out[40], struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(c, sql, e);
	char text[40];
	const char *t;
	int rc;

	if (s == NULL)
		return -1;
	while ((rc = catalogue_step(c, s, e)) == 1) {
		t = text_at(s, 0);
		if (t == NULL || strlen(t) != (size_t)sqlite3_column_bytes(s, 0) ||
		    snprintf(text, sizeof text, "%sZ", t) >= (int)sizeof text ||
		    !clock_is_rfc3339(text))
			continue;
		if (strcmp(t, out) > 0)
			strcpy(out, t);
		break;
	}
	sqlite3_reset(s);
	return rc == -1 ? -1 : 0;
}

int
catalogue_latest_time(struct catalogue *c, char out[40], struct err *e)
{
	out[0] = '\0';
	if (latest_of(c, sql_health_created_times, out, e) == -1 ||
	    (c->shape.toolkit_version >= 2 && latest_of(c, sql_health_check_times, out, e) == -1))
		return -1;
	if (out[0] != '\0')
		strcat(out, "Z");
	return 0;
}
