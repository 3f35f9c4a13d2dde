#include "schema.h"

#include <string.h>

#include "sql.h"

/* Columns of the existing application's later shapes, and the step of its own migrations that adds
 * them. */
static const struct step {
	const char *table, *column, *definition, *version;
} steps[] = {
    {"recordings", "stored_filename", "stored_filename VARCHAR", "4ae620c1c938"},
    {"recordings", "filesize_bytes", "filesize_bytes BIGINT", "4ae620c1c938"},
    {"recordings", "mime_type", "mime_type VARCHAR", "4ae620c1c938"},
    {"recordings", "checksum", "checksum VARCHAR", "4ae620c1c938"},
    {"recordings", "sync_status", "sync_status VARCHAR", "4ae620c1c938"},
    {"recordings", "last_synced_at", "last_synced_at DATETIME", "4ae620c1c938"},
    {"recordings", "modified_at", "modified_at DATETIME", "4ae620c1c938"},
    {"jobs", "started_iso", "started_iso TEXT", "0002_add_job_progress_columns"},
    {"jobs", "finished_iso", "finished_iso TEXT", "0002_add_job_progress_columns"},
    {"jobs", "uploaded_bytes", "uploaded_bytes BIGINT DEFAULT 0", "0002_add_job_progress_columns"},
    {"jobs", "total_bytes", "total_bytes BIGINT", "0002_add_job_progress_columns"},
    {"jobs", "cancel_requested", "cancel_requested INTEGER DEFAULT 0",
	"0002_add_job_progress_columns"},
};
#define N_STEPS (sizeof steps / sizeof steps[0])

/* The columns that are missing, appended to an array; *version is the stamp that they earn, or
 * NULL. */
static int
missing_columns(struct catalogue *c, struct json *columns, const char **version, struct err *e)
{
	struct json *pair;
	int there;

	*version = NULL;
	for (size_t i = 0; i < N_STEPS; i++) {
		const struct step *s = &steps[i];

		if (strcmp(s->table, "jobs") == 0 && !catalogue_shape(c)->jobs)
			continue;
		if ((there = catalogue_has_column(c, s->table, s->column, e)) == -1)
			return -1;
		if (there)
			continue;
		if ((pair = json_new_array(e)) == NULL ||
		    json_append_str(pair, s->table, e) == -1 ||
		    json_append_str(pair, s->column, e) == -1 ||
		    json_append(columns, pair, e) == -1)
			return -1;
		*version = s->version;
	}
	return 0;
}

int
schema_missing(struct catalogue *c, struct json **line, struct err *e)
{
	const struct catalogue_shape *sh = catalogue_shape(c);
	struct json *columns = json_new_array(e);
	const char *version;
	size_t n;

	if ((*line = json_new_object(e)) == NULL || columns == NULL ||
	    missing_columns(c, columns, &version, e) == -1) {
		json_free(columns);
		goto fail;
	}
	n = json_count(columns);
	if (json_put_str(*line, "op", "schema", e) == -1 ||
	    json_put_bool(*line, "toolkit", sh->toolkit_version < CATALOGUE_VERSION, e) == -1 ||
	    json_put(*line, "columns", columns, e) == -1)
		goto fail;
	if (version != NULL && sh->alembic &&
	    (json_put_str(*line, "alembic_before", sh->alembic_version, e) == -1 ||
		json_put_str(*line, "alembic_after", version, e) == -1))
		goto fail;
	if (n > 0 || sh->toolkit_version < CATALOGUE_VERSION)
		return 1;
	json_free(*line);
	*line = NULL;
	return 0;
fail:
	json_free(*line);
	*line = NULL;
	return -1;
}

/* The step that a pair of the journal names; NULL and *e when it is none. */
static const struct step *
step_of(const struct json *pair, struct err *e)
{
	const char *table = json_to_str(json_at(pair, 0), NULL),
		   *column = json_to_str(json_at(pair, 1), NULL);

	for (size_t i = 0; table != NULL && column != NULL && i < N_STEPS; i++)
		if (strcmp(steps[i].table, table) == 0 && strcmp(steps[i].column, column) == 0)
			return &steps[i];
	err_set(e, ERR_CATALOGUE, NULL, "a line of the journal names a column that no run adds");
	return NULL;
}

/* The migrations that the toolkit's tables lack, in their order. */
static int
add_toolkit(struct catalogue *c, struct err *e)
{
	static const char *const migrations[CATALOGUE_VERSION] = {
	    sql_migration_1, sql_migration_2, sql_migration_3, sql_migration_4};

	for (int v = catalogue_shape(c)->toolkit_version; v < CATALOGUE_VERSION; v++)
		if (catalogue_exec(c, migrations[v], e) == -1)
			return -1;
	return 0;
}

int
schema_add(struct catalogue *c, const struct json *line, struct err *e)
{
	const struct json *columns = json_get(line, "columns");
	const char *version = json_get_str(line, "alembic_after");
	const struct step *s;

	for (size_t i = 0; i < json_count(columns); i++)
		if ((s = step_of(json_at(columns, i), e)) == NULL ||
		    catalogue_add_column(c, s->table, s->definition, e) == -1)
			return -1;
	if (version != NULL && catalogue_alembic_set(c, version, e) == -1)
		return -1;
	return json_to_bool(json_get(line, "toolkit")) ? add_toolkit(c, e) : 0;
}

/* 1 when the application has written into one of the columns, with the first such in *kept. */
static int
are_used(struct catalogue *c, const struct json *columns, struct err *kept, struct err *e)
{
	const struct step *s;
	int64_t values;
	int there;

	for (size_t i = 0; i < json_count(columns); i++) {
		if ((s = step_of(json_at(columns, i), e)) == NULL ||
		    (there = catalogue_has_column(c, s->table, s->column, e)) == -1)
			return -1;
		if (!there)
			continue;
		if ((values = catalogue_count_values(c, s->table, s->column, e)) == -1)
			return -1;
		if (values > 0) {
			err_item(kept, P_CONFLICT,
			    "the columns that the run added are kept: %lld rows have a value in "
			    "%s.%s that it did not write",
			    (long long)values, s->table, s->column);
			return 1;
		}
	}
	return 0;
}

static int
drop_columns(struct catalogue *c, const struct json *columns, struct err *e)
{
	const struct step *s;
	int there;

	for (size_t i = json_count(columns); i-- > 0;) {
		if ((s = step_of(json_at(columns, i), e)) == NULL ||
		    (there = catalogue_has_column(c, s->table, s->column, e)) == -1 ||
		    (there && catalogue_drop_column(c, s->table, s->column, e) == -1))
			return -1;
	}
	return catalogue_refresh_shape(c, e);
}

static int
restore_stamp(
    struct catalogue *c, const struct json *line, bool force, struct err *kept, struct err *e)
{
	const char *before = json_get_str(line, "alembic_before"),
		   *after = json_get_str(line, "alembic_after");
	const char *now = catalogue_shape(c)->alembic_version;

	if (before == NULL || after == NULL || strcmp(now, before) == 0)
		return 0;
	if (strcmp(now, after) == 0 || force)
		return catalogue_alembic_set(c, before, e);
	err_item(kept, P_CONFLICT, "alembic_version is %s by now: left as it is", now);
	return 0;
}

int
schema_remove(
    struct catalogue *c, const struct json *line, bool force, struct err *kept, struct err *e)
{
	const struct json *columns = json_get(line, "columns");
	int64_t rows;
	int used = 0;

	*kept = (struct err){0};
	if (!force && (used = are_used(c, columns, kept, e)) == -1)
		return -1;
	if (!used &&
	    (drop_columns(c, columns, e) == -1 || restore_stamp(c, line, force, kept, e) == -1))
		return -1;
	if (json_to_bool(json_get(line, "toolkit")) && catalogue_shape(c)->toolkit_version > 0 &&
	    ((rows = catalogue_count_toolkit(c, e)) == -1 ||
		(rows == 0 && catalogue_drop_toolkit(c, e) == -1)))
		return -1;
	return catalogue_refresh_shape(c, e);
}
