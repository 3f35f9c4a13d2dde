#include "catalogue_fixity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue_db.h"
#include "mem.h"
#include "sql.h"

static bool
has_tables(const struct catalogue *c)
{
	return c->shape.toolkit_version > 1;
}

/* "" stands for NULL. */
static void
bind_text(sqlite3_stmt *s, int i, const char *text)
{
	if (text != NULL && text[0] != '\0')
		sqlite3_bind_text(s, i, text, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(s, i);
}

static void
copy_text(sqlite3_stmt *s, int i, char *out, size_t size)
{
	const unsigned char *text = sqlite3_column_text(s, i);

	snprintf(out, size, "%s", text != NULL ? (const char *)text : "");
}

int
catalogue_fixity_put(struct catalogue *c, const struct catalogue_fixity *f, struct err *e)
{
	unsigned char pieces[4 * FIXITY_PIECES];
	sqlite3_stmt *s;

	if (!has_tables(c))
		return 0;
	if ((s = catalogue_stmt(c, sql_fixity_put, e)) == NULL)
		return -1;
	/* Little-endian, so that the database can be moved to another machine. */
	for (unsigned i = 0; i < f->n_pieces; i++)
		for (unsigned b = 0; b < 4; b++)
			pieces[4 * i + b] = (unsigned char)(f->pieces[i] >> 8 * b);
	sqlite3_bind_int64(s, 1, f->recording_id);
	bind_text(s, 2, f->checked_at);
	bind_text(s, 3, f->verdict);
	bind_text(s, 4, f->message);
	if (f->size_bytes >= 0)
		sqlite3_bind_int64(s, 5, f->size_bytes);
	bind_text(s, 6, f->mtime);
	bind_text(s, 7, f->xxh3_128);
	if (f->n_pieces > 0) {
		sqlite3_bind_int64(s, 8, (int64_t)f->piece_bytes);
		sqlite3_bind_blob(s, 9, pieces, (int)(4 * f->n_pieces), SQLITE_STATIC);
	}
	return catalogue_step(c, s, e) == -1 ? -1 : 0;
}

int
catalogue_fixity_forget(struct catalogue *c, int64_t id, struct err *e)
{
	sqlite3_stmt *s;

	if (!has_tables(c))
		return 0;
	if ((s = catalogue_stmt(c, sql_fixity_forget, e)) == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	return catalogue_step(c, s, e);
}

static void
read_pieces(sqlite3_stmt *s, struct catalogue_fixity *f)
{
	const unsigned char *p = sqlite3_column_blob(s, 7);
	int64_t size = sqlite3_column_int64(s, 6);
	int len = sqlite3_column_bytes(s, 7);

	if (p == NULL || size <= 0 || len > 4 * FIXITY_PIECES)
		return;
	f->piece_bytes = (uint64_t)size;
	f->n_pieces = (unsigned)len / 4;
	for (unsigned i = 0; i < f->n_pieces; i++)
		f->pieces[i] = (uint32_t)p[4 * i] | (uint32_t)p[4 * i + 1] << 8 |
			       (uint32_t)p[4 * i + 2] << 16 | (uint32_t)p[4 * i + 3] << 24;
}

int
catalogue_fixity_get(struct catalogue *c, int64_t id, struct catalogue_fixity *f, struct err *e)
{
	sqlite3_stmt *s;
	int rc;

	*f = (struct catalogue_fixity){.recording_id = id, .size_bytes = -1};
	if (!has_tables(c))
		return 0;
	if ((s = catalogue_stmt(c, sql_fixity_get, e)) == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	if ((rc = catalogue_step(c, s, e)) == 1) {
		copy_text(s, 0, f->checked_at, sizeof f->checked_at);
		copy_text(s, 1, f->verdict, sizeof f->verdict);
		copy_text(s, 2, f->message, sizeof f->message);
		if (sqlite3_column_type(s, 3) == SQLITE_INTEGER)
			f->size_bytes = sqlite3_column_int64(s, 3);
		copy_text(s, 4, f->mtime, sizeof f->mtime);
		copy_text(s, 5, f->xxh3_128, sizeof f->xxh3_128);
		read_pieces(s, f);
	}
	sqlite3_reset(s);
	return rc;
}

int
catalogue_fixity_queue(struct catalogue *c, const char *since, const char *now, int64_t **ids,
    size_t *n, struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(c, sql_fixity_queue, e);
	int64_t *grown;
	size_t cap = 0;
	int rc = -1;

	*ids = NULL;
	*n = 0;
	if (s == NULL)
		return -1;
	bind_text(s, 1, since);
	bind_text(s, 2, now);
	while ((rc = catalogue_step(c, s, e)) == 1) {
		if (*n == cap) {
			cap = cap == 0 ? 1024 : cap * 2;
			if ((grown = realloc(*ids, cap * sizeof **ids)) == NULL) {
				rc = err_nomem(e);
				break;
			}
			*ids = grown;
		}
		(*ids)[(*n)++] = sqlite3_column_int64(s, 0);
	}
	sqlite3_reset(s);
	if (rc == -1) {
		free(*ids);
		*ids = NULL;
		*n = 0;
	}
	return rc;
}

int
catalogue_coverage(
    struct catalogue *c, const char *now, struct catalogue_coverage *v, struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(c, sql_fixity_coverage, e);

	*v = (struct catalogue_coverage){0};
	if (s == NULL)
		return -1;
	bind_text(s, 1, now);
	if (catalogue_step(c, s, e) == -1)
		return -1;
	v->recordings = sqlite3_column_int64(s, 0);
	v->checked = sqlite3_column_int64(s, 1);
	v->flagged = sqlite3_column_int64(s, 2);
	copy_text(s, 3, v->oldest, sizeof v->oldest);
	v->within_31_days = sqlite3_column_int64(s, 4);
	sqlite3_reset(s);
	return 0;
}

int
catalogue_put_check(struct catalogue *c, int64_t id, struct json *rec, struct err *e)
{
	struct catalogue_fixity f;
	struct json *check;
	int rc = catalogue_fixity_get(c, id, &f, e);

	if (rc != 1)
		return rc == -1 ? -1 : json_put_null(rec, "last_check", e);
	if ((check = json_new_object(e)) == NULL ||
	    json_put_str(check, "checked_at", f.checked_at, e) == -1 ||
	    json_put_str(check, "verdict", f.verdict, e) == -1 ||
	    json_put_str(check, "message", f.message[0] != '\0' ? f.message : NULL, e) == -1) {
		json_free(check);
		return -1;
	}
	return json_put(rec, "last_check", check, e);
}

int
catalogue_pass_get(struct catalogue *c, char started_at[CLOCK_TEXT_MAX],
    char finished_at[CLOCK_TEXT_MAX], struct err *e)
{
	sqlite3_stmt *s;
	int rc;

	started_at[0] = finished_at[0] = '\0';
	if (!has_tables(c))
		return 0;
	if ((s = catalogue_stmt(c, sql_fixity_pass_get, e)) == NULL)
		return -1;
	if ((rc = catalogue_step(c, s, e)) == 1) {
		copy_text(s, 0, started_at, CLOCK_TEXT_MAX);
		copy_text(s, 1, finished_at, CLOCK_TEXT_MAX);
	}
	sqlite3_reset(s);
	return rc;
}

int
catalogue_pass_put(
    struct catalogue *c, const char *started_at, const char *finished_at, struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(c, sql_fixity_pass_put, e);

	if (s == NULL)
		return -1;
	bind_text(s, 1, started_at);
	bind_text(s, 2, finished_at);
	return catalogue_step(c, s, e) == -1 ? -1 : 0;
}
