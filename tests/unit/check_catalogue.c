/* catalogue: the five shapes, exact row images, --where that cannot escape, and reading without a
 * trace. */
#include "catalogue.h"

#include <check.h>
#include <float.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "hash.h"
#include "schema.h"
#include "sql.h"

static char root[] = "/tmp/check_catalogue.XXXXXX";
static char path[64];
static struct err e;
static struct catalogue *c;

static void
setup(void)
{
	memcpy(root + strlen(root) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(root));
	snprintf(path, sizeof path, "%s/app.db", root);
	e = (struct err){0};
	c = NULL;
}

static void
teardown(void)
{
	char command[128];

	catalogue_close(c);
	snprintf(command, sizeof command, "rm -rf -- '%s'", root);
	ck_assert_int_eq(system(command), 0);
}

/* ---- the schemas of real archives ---- */

#define ALEMBIC                                                                                    \
	"CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT "              \
	"alembic_version_pkc PRIMARY KEY (version_num));"
#define OLDEST                                                                                     \
	"id INTEGER NOT NULL, filename VARCHAR NOT NULL, title VARCHAR, duration FLOAT NOT NULL, status VARCHAR, \
created_at DATETIME DEFAULT (CURRENT_TIMESTAMP)"
#define LATER                                                                                      \
	", stored_filename VARCHAR, filesize_bytes BIGINT, mime_type VARCHAR, checksum VARCHAR, sync_status VARCHAR, \
last_synced_at DATETIME, modified_at DATETIME"
#define CURRENT(duration, status, sync)                                                            \
	"id INTEGER NOT NULL, filename VARCHAR NOT NULL, stored_filename VARCHAR NOT NULL, \
title VARCHAR, duration FLOAT " duration                                                           \
	", filesize_bytes BIGINT, mime_type VARCHAR, checksum VARCHAR, status VARCHAR" status ", \
sync_status VARCHAR" sync ", last_synced_at DATETIME, created_at DATETIME DEFAULT "                \
	"(CURRENT_TIMESTAMP), modified_at DATETIME"
#define JOBS                                                                                       \
	"id VARCHAR NOT NULL, file_path VARCHAR NOT NULL, title VARCHAR, description VARCHAR, tags VARCHAR, status VARCHAR NOT NULL, \
attempts INTEGER DEFAULT '0' NOT NULL, max_attempts INTEGER DEFAULT '3' NOT NULL, created_iso VARCHAR, last_error VARCHAR, drive_file_id VARCHAR"
#define PROGRESS                                                                                   \
	", started_iso TEXT, finished_iso TEXT, uploaded_bytes BIGINT DEFAULT 0, total_bytes "     \
	"BIGINT, cancel_requested INTEGER DEFAULT 0"
#define INDEX "CREATE INDEX ix_recordings_id ON recordings (id);"

static const struct shape {
	const char *name, *stamp, *sql;
	bool current, jobs, progress;
} shapes[] = {
    {"cabc59ea0c9d", "cabc59ea0c9d",
	"CREATE TABLE recordings (" OLDEST ", PRIMARY KEY (id), UNIQUE (filename));" INDEX, false,
	false, false},
    {"4ae620c1c938", "4ae620c1c938",
	"CREATE TABLE recordings (" OLDEST LATER ", PRIMARY KEY (id), UNIQUE (filename));" INDEX,
	true, false, false},
    {"0001_create_recordings_and_jobs", "0001_create_recordings_and_jobs",
	"CREATE TABLE recordings (" CURRENT("DEFAULT '0.0' NOT NULL", " DEFAULT 'active'",
	    " DEFAULT 'unsynced'") ", PRIMARY KEY (id), UNIQUE (stored_filename)); CREATE TABLE "
				   "jobs (" JOBS ", PRIMARY KEY (id));",
	true, true, false},
    {"0002_add_job_progress_columns", "0002_add_job_progress_columns",
	"CREATE TABLE recordings (" CURRENT("DEFAULT '0.0' NOT NULL", " DEFAULT 'active'",
	    " DEFAULT 'unsynced'") ", PRIMARY KEY (id), UNIQUE (stored_filename)); CREATE TABLE "
				   "jobs (" JOBS PROGRESS ", PRIMARY KEY (id));",
	true, true, true},
    {"unversioned", NULL,
	"CREATE TABLE recordings (" CURRENT(
	    "NOT NULL", "", "") ", PRIMARY KEY (id), UNIQUE (stored_filename));" INDEX
				"CREATE TABLE jobs (" JOBS PROGRESS ", PRIMARY KEY (id));",
	true, true, true},
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0], NEWEST = 3 };

/* SQL straight into the file, as another program would. */
static void
run_sql(const char *sql)
{
	sqlite3 *db;
	char *message = NULL;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_msg(
	    sqlite3_exec(db, sql, NULL, NULL, &message) == SQLITE_OK, "%s: %s", message, sql);
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

static void
make_stamped(const struct shape *s, const char *stamp)
{
	char sql[160];

	run_sql("PRAGMA journal_mode = WAL");
	run_sql(s->sql);
	if (stamp == NULL)
		return;
	run_sql(ALEMBIC);
	snprintf(sql, sizeof sql, "INSERT INTO alembic_version VALUES ('%s')", stamp);
	run_sql(sql);
}

static void
make(const struct shape *s)
{
	make_stamped(s, s->stamp);
}

static struct catalogue *
try_open(bool write)
{
	struct catalogue_opts o = {.path = path,
	    .raw_path = "recordings/raw",
	    .edited_path = "it's/edited",
	    .timeout_s = 1,
	    .write = write};

	e = (struct err){0};
	return catalogue_open(&o, &e);
}

static void
open_(bool write)
{
	catalogue_close(c);
	c = try_open(write);
	ck_assert_msg(c != NULL, "%s", e.text);
}

/* Makes the toolkit's tables and the columns that are missing. */
static void
migrate(void)
{
	struct json *line;
	int rc;

	open_(true);
	ck_assert_int_eq(catalogue_begin(c, &e), 0);
	ck_assert_int_ne(rc = schema_missing(c, &line, &e), -1);
	if (rc == 1)
		ck_assert_msg(schema_add(c, line, &e) == 0, "%s", e.text);
	json_free(line);
	ck_assert_int_eq(catalogue_commit(c, &e), 0);
	ck_assert_int_eq(catalogue_refresh_shape(c, &e), 0);
}

/* ---- shapes ---- */

static void
is_shape(const struct shape *s, const char *name, const char *stamp)
{
	const struct catalogue_shape *sh = catalogue_shape(c);

	ck_assert_str_eq(sh->name, name);
	ck_assert_int_eq(sh->current_columns, s->current);
	ck_assert_int_eq(sh->jobs, s->jobs);
	ck_assert_int_eq(sh->jobs_progress, s->progress);
	ck_assert_int_eq(sh->alembic, stamp != NULL);
	ck_assert_str_eq(sh->alembic_version, stamp != NULL ? stamp : "");
	ck_assert_int_eq(sh->toolkit_version, 0);
}

START_TEST(each_shape_is_told_by_its_columns)
{
	const struct shape *s = &shapes[_i];

	make(s);
	open_(false);
	is_shape(s, s->name, s->stamp);
}
END_TEST

START_TEST(a_wrong_stamp_does_not_mislead)
{
	const struct shape *s = &shapes[_i];

	make_stamped(s, "ffffffffffff");
	open_(false);
	/* With a stamp, whichever, what has no name of its own is the shape with these columns. */
	is_shape(s, s->stamp != NULL ? s->name : shapes[NEWEST].name, "ffffffffffff");
	for (int k = 0; k < N_SHAPES; k++) {
		char sql[160];

		if (shapes[k].stamp == NULL)
			continue;
		snprintf(sql, sizeof sql, "UPDATE alembic_version SET version_num = '%s'",
		    shapes[k].stamp);
		run_sql(sql);
		open_(false);
		is_shape(s, s->stamp != NULL ? s->name : shapes[NEWEST].name, shapes[k].stamp);
	}
	run_sql("DELETE FROM alembic_version");
	open_(false);
	is_shape(s, s->stamp != NULL ? s->name : shapes[NEWEST].name, "");
}
END_TEST

START_TEST(every_shape_reads_as_recordings_and_can_be_migrated)
{
	struct json *rec;

	make(&shapes[_i]);
	run_sql(shapes[_i].current
		    ? "INSERT INTO recordings (id, filename, stored_filename, title, duration, "
		      "created_at) VALUES"
		      " (7, 'tone.wav', 'edi_tone.wav', 'a', 1.5, '2025-09-05 10:00:00.123456')"
		    : "INSERT INTO recordings (id, filename, title, duration, created_at) VALUES"
		      " (7, 'edi_tone.wav', 'a', 1.5, '2025-09-05 10:00:00.123456')");
	open_(false);
	for (int migrated = 0; migrated < 2; migrated++) {
		ck_assert_msg(catalogue_record(c, 7, &rec, &e) == 1, "%s", e.text);
		ck_assert_str_eq(json_get_str(rec, "stored_filename"), "edi_tone.wav");
		ck_assert_str_eq(json_get_str(rec, "path"), "it's/edited/edi_tone.wav");
		ck_assert_str_eq(json_get_str(rec, "status"), "active");
		ck_assert_str_eq(json_get_str(rec, "sync_status"), "unsynced");
		ck_assert_str_eq(json_get_str(rec, "created_at"), "2025-09-05T10:00:00.123456Z");
		ck_assert_int_eq(json_kind(json_get(rec, "started_at")), JSON_KIND_NULL);
		ck_assert_int_eq(json_kind(json_get(rec, "sha256")), JSON_KIND_NULL);
		json_free(rec);
		ck_assert_int_eq(catalogue_record(c, 8, &rec, &e), 0);
		ck_assert_ptr_null(rec);
		migrate();
		ck_assert_int_eq(catalogue_shape(c)->toolkit_version, CATALOGUE_VERSION);
		ck_assert(catalogue_shape(c)->current_columns);
		ck_assert_int_eq(catalogue_count_toolkit(c, &e), 0);
	}
	open_(false);
	ck_assert_int_eq(catalogue_shape(c)->toolkit_version, CATALOGUE_VERSION);
}
END_TEST

START_TEST(what_is_no_archive_is_refused_as_such)
{
	FILE *f;

	ck_assert_ptr_null(try_open(false));
	ck_assert_int_eq(e.class, ERR_CATALOGUE);
	ck_assert(access(path, F_OK) == -1);
	ck_assert_ptr_null(try_open(true));
	ck_assert(access(path, F_OK) == -1);
	run_sql("CREATE TABLE other (id)");
	ck_assert_ptr_null(try_open(false));
	ck_assert_int_eq(e.class, ERR_CATALOGUE);
	run_sql(
	    "CREATE TABLE recordings (id INTEGER PRIMARY KEY, filename, title, duration, status)");
	ck_assert_ptr_null(try_open(false));
	ck_assert_int_eq(e.class, ERR_CATALOGUE);
	ck_assert_ptr_nonnull(f = fopen(path, "w"));
	for (int i = 0; i < 1000; i++)
		fputs("this is no database\n", f);
	fclose(f);
	ck_assert_ptr_null(try_open(false));
	ck_assert_int_eq(e.class, ERR_CATALOGUE);
}
END_TEST

START_TEST(a_newer_version_of_the_toolkit_is_refused_for_reading_and_writing)
{
	make(&shapes[NEWEST]);
	migrate();
	catalogue_close(c);
	c = NULL;
	run_sql("INSERT INTO rec_schema VALUES (99, 'of tomorrow')");
	for (int write = 0; write < 2; write++) {
		ck_assert_ptr_null(try_open(write));
		ck_assert_int_eq(e.class, ERR_CATALOGUE);
		ck_assert_ptr_nonnull(strstr(e.text, "version 99"));
	}
}
END_TEST

/* ---- row images ---- */

static struct json *
image(int64_t id)
{
	struct json *row;

	ck_assert_msg(catalogue_row_get(c, "recordings", "id", id, &row, &e) == 1, "%s", e.text);
	return row;
}

static const char *
text_of(const struct json *v, struct buf *b)
{
	buf_clear(b);
	ck_assert_int_eq(json_write(v, b, &e), 0);
	return b->data;
}

/* SQL values that a row can hold, and their images in a column without affinity. */
static const struct {
	const char *sql, *json;
} values[] = {
    {"NULL", "null"},
    {"0", "0"},
    {"-1", "-1"},
    {"9223372036854775807", "9223372036854775807"},
    {"(-9223372036854775807 - 1)", "-9223372036854775808"},
    {"9007199254740993", "9007199254740993"},
    {"0.1", "0.1"},
    {"1e100", "1e+100"},
    {"1e-7", "1e-07"},
    {"2.0", "2.0"},
    {"0.1 + 0.2", "0.30000000000000004"},
    {"4.9406564584124654e-324", "5e-324"},
    {"1.7976931348623157e308", "1.7976931348623157e+308"},
    {"9e999", "{\"real\":\"inf\"}"},
    {"-9e999", "{\"real\":\"-inf\"}"},
    {"''", "\"\""},
    {"'a'", "\"a\""},
    {"'12'", "\"12\""},
    {"'Ünïcode – “quotes” ''n \"more\"; DROP TABLE recordings;--'",
	"\"Ünïcode – “quotes” 'n \\\"more\\\"; DROP TABLE recordings;--\""},
    {"char(10, 9, 27)", "\"\\n\\t\\u001b\""},
    {"'a' || char(0) || 'b'", "{\"text_hex\":\"610062\"}"},
    {"CAST(x'636166e9' AS TEXT)", "{\"text_hex\":\"636166e9\"}"},
    {"CAST(x'eda080' AS TEXT)", "{\"text_hex\":\"eda080\"}"},
    {"CAST(x'ff' AS TEXT)", "{\"text_hex\":\"ff\"}"},
    {"x''", "{\"blob_hex\":\"\"}"},
    {"x'00'", "{\"blob_hex\":\"00\"}"},
    {"x'00ff61'", "{\"blob_hex\":\"00ff61\"}"},
    {"x'616263'", "{\"blob_hex\":\"616263\"}"},
};
enum { N_VALUES = sizeof values / sizeof values[0] };

/* SQLite reads decimals through long double, which valgrind computes as double. */
static bool
reads_decimals_exactly(void)
{
	volatile long double one = 1;

	return one + LDBL_EPSILON != one;
}

START_TEST(a_row_image_is_exact_for_every_value_and_goes_back_the_same)
{
	struct json *row, *again, *gone;
	struct buf b = {0}, sql = {0};

	make(&shapes[NEWEST]);
	run_sql("CREATE TABLE rec_any (id INTEGER PRIMARY KEY, v)");
	open_(true);
	for (int i = 0; i < N_VALUES; i++) {
		if (strchr(values[i].json, 'e') != NULL && !reads_decimals_exactly())
			continue;
		buf_clear(&sql);
		ck_assert_int_eq(
		    buf_addf(&sql, &e, "INSERT INTO rec_any VALUES (%d, %s)", i + 1, values[i].sql),
		    0);
		ck_assert_msg(catalogue_exec(c, sql.data, &e) == 0, "%s", e.text);
		ck_assert_int_eq(catalogue_row_get(c, "rec_any", "id", i + 1, &row, &e), 1);
		ck_assert_str_eq(text_of(json_get(row, "v"), &b), values[i].json);
		/* Out, and in again; and from another value by an update. */
		ck_assert_int_eq(catalogue_row_put(c, "rec_any", "id", i + 1, row, NULL, &e), 0);
		ck_assert_int_eq(catalogue_row_get(c, "rec_any", "id", i + 1, &gone, &e), 0);
		ck_assert_int_eq(catalogue_row_put(c, "rec_any", "id", i + 1, NULL, row, &e), 0);
		for (int k = 0; k < 2; k++) {
			ck_assert_int_eq(
			    catalogue_row_get(c, "rec_any", "id", i + 1, &again, &e), 1);
			ck_assert(json_same(row, again));
			ck_assert_str_eq(text_of(json_get(again, "v"), &b), values[i].json);
			json_free(again);
			if (k == 1)
				break;
			buf_clear(&sql);
			ck_assert_int_eq(buf_addf(&sql, &e,
					     "UPDATE rec_any SET v = 'other' WHERE id = %d", i + 1),
			    0);
			ck_assert_int_eq(catalogue_exec(c, sql.data, &e), 0);
			ck_assert_int_eq(
			    catalogue_row_get(c, "rec_any", "id", i + 1, &again, &e), 1);
			ck_assert_int_eq(
			    catalogue_row_put(c, "rec_any", "id", i + 1, again, row, &e), 0);
			json_free(again);
		}
		/* SQLite itself says that it is the same value of the same type. */
		buf_clear(&sql);
		ck_assert_int_eq(
		    buf_addf(&sql, &e,
			"CREATE TEMP TABLE same%d (x CHECK (x)); INSERT INTO same%d SELECT"
			" v IS (%s) AND typeof(v) = typeof(%s) FROM rec_any WHERE id = %d",
			i, i, values[i].sql, values[i].sql, i + 1),
		    0);
		ck_assert_msg(
		    catalogue_exec(c, sql.data, &e) == 0, "%s: %s", values[i].sql, e.text);
		json_free(row);
	}
	buf_free(&b);
	buf_free(&sql);
}
END_TEST

START_TEST(rows_of_the_application_go_out_and_back_the_same_in_every_shape)
{
	struct json *row, *again;

	make(&shapes[_i]);
	run_sql(shapes[_i].current ? "INSERT INTO recordings (id, filename, stored_filename, "
				     "title, duration, created_at, filesize_bytes, status) VALUES"
				     " (1, 'a', CAST(x'ff' AS TEXT), x'00', 9e999, 'no date', "
				     "'many', NULL), (2, 'b', 'b', NULL, 'x', 20250905, 1.5, 7)"
				   : "INSERT INTO recordings (id, filename, title, duration, "
				     "created_at, status) VALUES"
				     " (1, CAST(x'ff' AS TEXT), x'00', 9e999, 'no date', NULL), "
				     "(2, 'b', NULL, 'x', 20250905, 7)");
	open_(true);
	for (int64_t id = 1; id <= 2; id++) {
		row = image(id);
		ck_assert_int_eq(catalogue_row_put(c, "recordings", "id", id, row, NULL, &e), 0);
		ck_assert_msg(
		    catalogue_row_put(c, "recordings", "id", id, NULL, row, &e) == 0, "%s", e.text);
		again = image(id);
		ck_assert(json_same(row, again));
		json_free(again);
		json_free(row);
	}
	ck_assert_int_eq(catalogue_row_get(c, "recordings", "id", 3, &row, &e), 0);
	ck_assert_ptr_null(row);
	ck_assert_int_eq(catalogue_row_get(c, "no_such_table", "id", 1, &row, &e), 0);
	ck_assert_ptr_null(row);
}
END_TEST

START_TEST(an_update_writes_the_columns_that_differ_alone)
{
	struct json *before, *after, *now;

	make(&shapes[NEWEST]);
	run_sql("INSERT INTO recordings (id, filename, stored_filename, title) VALUES (1, 'a', "
		"'a', 'old')");
	open_(true);
	before = image(1);
	after = json_clone(before, &e);
	ck_assert_int_eq(json_put_str(after, "title", "new", &e), 0);
	/* Another program's change of another column stays. */
	run_sql("UPDATE recordings SET status = 'archived'");
	ck_assert_int_eq(catalogue_row_put(c, "recordings", "id", 1, before, after, &e), 0);
	now = image(1);
	ck_assert_str_eq(json_get_str(now, "title"), "new");
	ck_assert_str_eq(json_get_str(now, "status"), "archived");
	json_free(now);
	/* Nothing to change is nothing done. */
	ck_assert_int_eq(catalogue_row_put(c, "recordings", "id", 1, after, after, &e), 0);
	/* A column that the table lacks. */
	ck_assert_int_eq(json_put_str(after, "colour", "red", &e), 0);
	ck_assert_int_eq(catalogue_row_put(c, "recordings", "id", 1, before, after, &e), -1);
	ck_assert_int_eq(e.class, ERR_CATALOGUE);
	ck_assert_int_eq(catalogue_row_put(c, "recordings", "id", 2, NULL, after, &e), -1);
	/* … is no matter while it is NULL. */
	ck_assert_int_eq(json_put_null(after, "colour", &e), 0);
	ck_assert_int_eq(catalogue_row_put(c, "recordings", "id", 1, before, after, &e), 0);
	json_free(before);
	json_free(after);
}
END_TEST

START_TEST(a_malformed_image_is_refused)
{
	static const char *const wrong[] = {"{\"id\":1,\"v\":{}}",
	    "{\"id\":1,\"v\":{\"blob_hex\":5}}", "{\"id\":1,\"v\":{\"blob_hex\":\"abc\"}}",
	    "{\"id\":1,\"v\":{\"text_hex\":\"zz\"}}", "{\"id\":1,\"v\":{\"word\":\"aa\"}}"};
	struct json *row;

	make(&shapes[NEWEST]);
	run_sql("CREATE TABLE rec_any (id INTEGER PRIMARY KEY, v)");
	open_(true);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		row = json_parse(wrong[i], strlen(wrong[i]), &e);
		ck_assert_msg(
		    catalogue_row_put(c, "rec_any", "id", 1, NULL, row, &e) == -1, "%s", wrong[i]);
		ck_assert_int_eq(e.class, ERR_CATALOGUE);
		json_free(row);
	}
}
END_TEST

START_TEST(a_transaction_that_is_rolled_back_leaves_the_row)
{
	struct json *before, *after, *now;

	make(&shapes[NEWEST]);
	run_sql("INSERT INTO recordings (id, filename, stored_filename) VALUES (1, 'a', 'a')");
	open_(true);
	before = image(1);
	after = json_clone(before, &e);
	ck_assert_int_eq(json_put_str(after, "title", "new", &e), 0);
	ck_assert_int_eq(catalogue_begin(c, &e), 0);
	ck_assert_int_eq(catalogue_row_put(c, "recordings", "id", 1, before, after, &e), 0);
	catalogue_rollback(c);
	now = image(1);
	ck_assert(json_same(before, now));
	json_free(now);
	json_free(before);
	json_free(after);
}
END_TEST

START_TEST(another_writer_is_waited_for_and_then_told_as_busy)
{
	struct catalogue *other;

	make(&shapes[NEWEST]);
	open_(true);
	other = try_open(true);
	ck_assert_ptr_nonnull(other);
	ck_assert_int_eq(catalogue_begin(other, &e), 0);
	ck_assert_int_eq(catalogue_begin(c, &e), -1);
	ck_assert_int_eq(e.class, ERR_BUSY);
	catalogue_rollback(other);
	ck_assert_int_eq(catalogue_begin(c, &e), 0);
	ck_assert_int_eq(catalogue_commit(c, &e), 0);
	catalogue_close(other);
}
END_TEST

/* ---- --where ---- */

static void
make_listed(void)
{
	make(&shapes[NEWEST]);
	run_sql(
	    "INSERT INTO recordings (id, filename, stored_filename, title, duration, status) VALUES"
	    " (1, 'a.wav', 'a.wav', 'Tone', 1.5, 'active'), (2, 'b.wav', 'b.wav', 'Noise', 0.0, "
	    "'deleted'),"
	    " (3, 'c.wav', 'c.wav', NULL, 2.5, NULL), (4, 'd.wav', 'd.wav', 'tone', 1.5, "
	    "'archived')");
	migrate();
	catalogue_close(c);
	c = NULL;
	run_sql("INSERT INTO rec_measurements (recording_id, stored_filename, run, tags, "
		"sample_rate_hz) VALUES"
		" (1, 'a.wav', 'r', '{\"artist\":\"me\"}', 44100)");
	open_(false);
}

/* The ids that are listed, as "1 3 4 "; NULL and *e on an error. */
static const char *
listed(const char *where, const char *sort, int64_t limit, bool all)
{
	static char ids[256];
	struct catalogue_list *l;
	struct json *rec;
	int64_t id;
	size_t n = 0;
	int rc;

	e = (struct err){0};
	ids[0] = '\0';
	if ((l = catalogue_list_open(c, where, sort, limit, all, &e)) == NULL)
		return NULL;
	while ((rc = catalogue_list_next(l, &rec, &e)) == 1) {
		ck_assert(json_get_int(rec, "id", &id));
		n += (size_t)snprintf(ids + n, sizeof ids - n, "%lld ", (long long)id);
		json_free(rec);
	}
	catalogue_list_close(l);
	return rc == 0 ? ids : NULL;
}

static const char *const hostile[] = {
    "1; DROP TABLE recordings",
    "1; PRAGMA query_only = 0",
    "1;",
    "; DELETE FROM recordings",
    "1) OR (1",
    "1) --",
    "1) /*",
    "(1",
    "1 /*",
    "--",
    "",
    " ",
    "1) UNION SELECT * FROM recording --",
    "1 UNION SELECT * FROM recording",
    "1) UNION SELECT * FROM recording WHERE (1",
    "1 ORDER BY id",
    "1 LIMIT 1",
    "1 GROUP BY id",
    "1) GROUP BY (id",
    "1 WINDOW w AS ()",
    "(SELECT 1)",
    "(SELECT count(*) FROM recordings)",
    "EXISTS (SELECT 1 FROM sqlite_schema)",
    "id IN (SELECT id FROM recordings)",
    "id IN (SELECT id FROM recording)",
    "id IN recordings",
    "id IN recording",
    "'x' IN alembic_version",
    "'x' IN pragma_compile_options",
    "1 IN (WITH x AS (SELECT 1) SELECT * FROM x)",
    "id IN (VALUES (1), (2))",
    "id = (VALUES (1))",
    "EXISTS (SELECT 1 FROM pragma_table_info('recordings'))",
    "EXISTS (SELECT 1 FROM json_each('[1]'))",
    "id IN json_each('[1]')",
    "id IN generate_series(1, 3)",
    "load_extension('/tmp/x.so')",
    "LOAD_EXTENSION('/tmp/x.so', 'f')",
    "\"load_extension\"('/tmp/x.so')",
    "readfile('/etc/passwd') IS NOT NULL",
    "writefile('/tmp/x', 'x')",
    "edit('x')",
    "fts3_tokenizer('simple') IS NOT NULL",
    "sqlite_log(1, 'x')",
    "last_insert_rowid() = 0",
    "changes() = 0",
    "total_changes() >= 0",
    "rtreecheck('main', 'recordings') <> ''",
    "count(*) > 0",
    "max(id) > 0",
    "sum(id) > 0",
    "group_concat(title) <> ''",
    "row_number() OVER () = 1",
    "max(id) OVER () = 1",
    "recordings.id = 1",
    "main.recordings.id = 1",
    "rec_app.id = 1",
    "rec_m.run = 'r'",
    "run = 'r'",
    "checksum IS NULL",
    "modified_at IS NULL",
    "recording_id = 1",
    "problem_code IS NULL",
    "no_such_key = 1",
    "title = \"Tone\"",
    "id = ?",
    "id = ?1",
    "id = :id",
    "id = @id",
    "id = $id",
    "id =",
    "= 1",
    "id 1",
    "AND 1",
    "ATTACH 'x' AS y",
    "PRAGMA user_version",
    "DELETE FROM recordings",
    "RAISE(ABORT, 'x')",
    "id = 1 RETURNING id",
    "title = 'Tone",
    "no_such_function(1)",
    "title COLLATE nowhere = 'x'",
    "title REGEXP 'T.*'",
    "sqlite_rename_column(1)",
    "1 \\ 2",
    "id = 1 \xff",
};
enum { N_HOSTILE = sizeof hostile / sizeof hostile[0] };

START_TEST(an_expression_that_is_more_than_one_is_refused)
{
	make_listed();
	for (int i = 0; i < N_HOSTILE; i++) {
		for (int all = 0; all < 2; all++) {
			ck_assert_msg(
			    listed(hostile[i], NULL, -1, all) == NULL, "accepted: %s", hostile[i]);
			ck_assert_msg(
			    e.class == ERR_USAGE, "class %d: %s: %s", e.class, hostile[i], e.text);
			ck_assert_str_ne(e.text, "");
		}
	}
	/* And the connection is as good as before. */
	ck_assert_str_eq(listed(NULL, NULL, -1, true), "1 2 3 4 ");
}
END_TEST

START_TEST(an_expression_that_fails_when_it_is_computed_is_the_users_error)
{
	static const char *const wrong[] = {"abs(-9223372036854775807 - id) > 0",
	    "title LIKE 'x' ESCAPE 'ab'", "json_extract(title, '$.x') = 1", "title MATCH 'x'",
	    "json(title) = 1", "zeroblob(9000000000) = 1"};

	make_listed();
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		ck_assert_msg(listed(wrong[i], NULL, -1, false) == NULL, "accepted: %s", wrong[i]);
		ck_assert_msg(e.class == ERR_USAGE, "class %d: %s: %s", e.class, wrong[i], e.text);
	}
	ck_assert_str_eq(listed(NULL, NULL, -1, true), "1 2 3 4 ");
}
END_TEST

START_TEST(harmless_expressions_select)
{
	static const struct {
		const char *where, *ids;
	} fine[] = {
	    {NULL, "1 3 4 "},
	    {"1", "1 3 4 "},
	    {"0", ""},
	    {"NULL", ""},
	    {"id = 1", "1 "},
	    {"id = 1 -- a comment", "1 "},
	    {"id /* here */ > 1", "3 4 "},
	    {"id = 1 OR id = 2", "1 "},
	    {"1 OR 1", "1 3 4 "},
	    {"(id = 1) OR (id = 3)", "1 3 "},
	    {"id IN (1, 3, 2)", "1 3 "},
	    {"id BETWEEN 3 AND 9", "3 4 "},
	    {"title = 'Tone'", "1 "},
	    {"title = 'Tone' COLLATE NOCASE", "1 4 "},
	    {"title LIKE 't%'", "1 4 "},
	    {"title GLOB 't*'", "4 "},
	    {"title IS NULL", "3 "},
	    {"lower(title) || 'x' = 'tonex'", "1 4 "},
	    {"length(filename) = 5 AND status <> 'archived'", "1 3 "},
	    {"CASE WHEN id > 3 THEN 1 ELSE 0 END", "4 "},
	    {"max(id, 3) = 3", "1 3 "},
	    {"coalesce(title, 'none') = 'none'", "3 "},
	    {"CAST(id AS TEXT) = '4'", "4 "},
	    {"json_extract(tags, '$.artist') = 'me'", "1 "},
	    {"tags ->> 'artist' = 'me'", "1 "},
	    {"problem IS NULL AND tags IS NOT NULL", "1 "},
	    {"sample_rate_hz >= 44100", "1 "},
	    {"duration_s > 2", "3 "},
	    {"created_at <= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '+1 day')", "1 3 4 "},
	    {"recording.id = 3", "3 "},
	    {"(id, status) = (4, 'archived')", "4 "},
	    {"path LIKE 'recordings/raw/%'", "1 3 4 "},
	    {"title = 'a; b) --' OR id = 1", "1 "},
	    {"\n\tid = 1\n", "1 "},
	    {"\"id\" = 1", "1 "},
	    {"printf('%d', id) = '1'", "1 "},
	    {"id NOT IN (1)", "3 4 "},
	    {"iif(id = 1, 1, 0)", "1 "},
	};

	make_listed();
	for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
		const char *ids = listed(fine[i].where, NULL, -1, false);

		ck_assert_msg(ids != NULL, "%s: %s", fine[i].where, e.text);
		ck_assert_msg(strcmp(ids, fine[i].ids) == 0, "%s: %s", fine[i].where, ids);
	}
	/* An or does not reach behind what is always asked. */
	ck_assert_str_eq(listed("status = 'deleted' OR 1", NULL, -1, false), "1 3 4 ");
	ck_assert_str_eq(listed("status = 'deleted'", NULL, -1, true), "2 ");
}
END_TEST

START_TEST(every_recording_key_can_be_asked_for_and_sorted_by)
{
	struct json *rec, *v;
	const char *key;
	char where[96];
	int n = 0;

	make_listed();
	ck_assert_int_eq(catalogue_record(c, 1, &rec, &e), 1);
	for (void *it = json_first(rec, &key, &v); it != NULL; it = json_next(rec, it, &key, &v)) {
		ck_assert_msg(catalogue_is_key(key), "%s", key);
		snprintf(where, sizeof where, "%s IS NULL OR %s IS NOT NULL", key, key);
		ck_assert_msg(listed(where, key, -1, true) != NULL, "%s: %s", key, e.text);
		ck_assert_uint_eq(strlen(listed(where, key, -1, true)), 8);
		n++;
	}
	json_free(rec);
	ck_assert_int_ge(n, 30);
	ck_assert(catalogue_is_key("problem"));
	ck_assert(!catalogue_is_key("") && !catalogue_is_key("run") && !catalogue_is_key("rowid"));
}
END_TEST

START_TEST(a_list_is_sorted_and_limited)
{
	static const char *const wrong[] = {"", "no_such_key", "id;", "id DESC", "-", "--id", "id,",
	    ",id", "id, title", "1", "id/**/", "recordings.id", "random()", "ID"};

	make_listed();
	ck_assert_str_eq(listed(NULL, "-id", -1, false), "4 3 1 ");
	ck_assert_str_eq(listed(NULL, "-duration_s,-id", -1, false), "3 4 1 ");
	ck_assert_str_eq(listed(NULL, "duration_s", -1, false), "1 4 3 ");
	ck_assert_str_eq(listed(NULL, "-id", 2, false), "4 3 ");
	ck_assert_str_eq(listed(NULL, NULL, 0, false), "");
	ck_assert_str_eq(listed(NULL, NULL, 100, true), "1 2 3 4 ");
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		ck_assert_msg(listed(NULL, wrong[i], -1, false) == NULL, "accepted: %s", wrong[i]);
		ck_assert_int_eq(e.class, ERR_USAGE);
	}
}
END_TEST

START_TEST(text_of_the_application_that_is_not_utf8_can_be_shown)
{
	struct json *rec;
	char *bytes;
	size_t len;

	make(&shapes[NEWEST]);
	run_sql("INSERT INTO recordings (id, filename, stored_filename, title) VALUES (1, 'a', "
		"CAST(x'61ff' AS TEXT), CAST(x'ff' AS TEXT)),"
		" (2, 'b', 'b', 'b');"
		"INSERT INTO jobs (id, file_path, status, last_error) VALUES ('j', "
		"'recordings/raw/b', 'failed', CAST(x'6fff' AS TEXT))");
	open_(false);
	ck_assert_msg(catalogue_record(c, 1, &rec, &e) == 1, "%s", e.text);
	ck_assert_str_eq(json_get_str(rec, "title_hex"), "ff");
	ck_assert_int_eq(json_get_bytes(rec, "stored_filename", &bytes, &len, &e), 1);
	ck_assert_str_eq(bytes, "a\xff");
	free(bytes);
	ck_assert_msg(catalogue_put_history(c, 1, rec, &e) == 0, "%s", e.text);
	ck_assert_int_eq(json_kind(json_get(rec, "provenance")), JSON_KIND_NULL);
	json_free(rec);
	ck_assert_msg(catalogue_record(c, 2, &rec, &e) == 1, "%s", e.text);
	ck_assert_msg(catalogue_put_history(c, 2, rec, &e) == 0, "%s", e.text);
	ck_assert_str_eq(
	    json_get_str(json_at(json_get(rec, "uploads"), 0), "last_error_hex"), "6fff");
	ck_assert_int_eq(json_kind(json_get(json_at(json_get(rec, "uploads"), 0), "drive_file_id")),
	    JSON_KIND_NULL);
	json_free(rec);
}
END_TEST

/* ---- reading changes nothing ---- */

/* Names, sizes, times and bytes of everything in the folder, as one hash. */
static void
state(char out[HASH_XXH3_128_HEX], bool with_shm)
{
	struct hash *h = hash_open(HASH_XXH3_128, &e);
	struct dirent **names;
	int n = scandir(root, &names, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char file[400], block[65536];
		struct stat st;
		FILE *f;
		size_t got;

		snprintf(file, sizeof file, "%s/%s", root, names[i]->d_name);
		hash_update(h, names[i]->d_name, strlen(names[i]->d_name) + 1);
		if (names[i]->d_name[0] != '.' && (with_shm || strstr(file, "-shm") == NULL)) {
			ck_assert_int_eq(stat(file, &st), 0);
			hash_update(h, &st.st_size, sizeof st.st_size);
			hash_update(h, &st.st_mtim, sizeof st.st_mtim);
			ck_assert_ptr_nonnull(f = fopen(file, "r"));
			while ((got = fread(block, 1, sizeof block, f)) > 0)
				hash_update(h, block, got);
			fclose(f);
		}
		free(names[i]);
	}
	free(names);
	hash_xxh3_128(h, out);
	hash_close(h);
}

static void
read_all(void)
{
	struct catalogue_row rows[8];
	struct catalogue_counts counts;
	struct json *rec;
	int n;

	open_(false);
	ck_assert_str_eq(listed("title IS NOT NULL OR 1", "-title", -1, true), "1 3 ");
	ck_assert_int_eq(catalogue_record(c, 1, &rec, &e), 1);
	ck_assert_int_eq(catalogue_put_history(c, 1, rec, &e), 0);
	json_free(rec);
	ck_assert_int_eq(n = catalogue_rows(c, 0, 8, rows, &e), 2);
	while (n > 0)
		catalogue_row_free(&rows[--n]);
	ck_assert_int_eq(catalogue_count(c, &counts, &e), 0);
	ck_assert_int_eq(counts.rows, 2);
	/* It cannot write even when it is told to. */
	ck_assert_int_eq(catalogue_exec(c, "DELETE FROM main.recordings", &e), -1);
	ck_assert_int_eq(catalogue_exec(c, "CREATE TABLE main.x (y)", &e), -1);
	catalogue_close(c);
	c = NULL;
}

#define TWO_ROWS                                                                                   \
	"INSERT INTO recordings (id, filename, title, duration, status, created_at) VALUES (1, "   \
	"'a', 't', 0, 'active', ''), (3, 'c', NULL, 0, NULL, '')"
#define TWO_CURRENT                                                                                \
	"INSERT INTO recordings (id, filename, stored_filename, title, duration) VALUES (1, 'a', " \
	"'a', 't', 0), (3, 'c', 'c', NULL, 0)"

START_TEST(reading_leaves_no_file_behind_and_changes_none)
{
	char before[HASH_XXH3_128_HEX], after[HASH_XXH3_128_HEX];

	make(&shapes[_i]);
	run_sql(strcmp(shapes[_i].name, "cabc59ea0c9d") == 0 ? TWO_ROWS : TWO_CURRENT);
	state(before, true);
	read_all();
	state(after, true);
	ck_assert_str_eq(before, after);
	/* Not in WAL mode. */
	run_sql("PRAGMA journal_mode = DELETE");
	state(before, true);
	read_all();
	state(after, true);
	ck_assert_str_eq(before, after);
}
END_TEST

START_TEST(reading_beside_another_program_leaves_its_wal)
{
	char before[HASH_XXH3_128_HEX], after[HASH_XXH3_128_HEX];
	sqlite3 *db;

	make(&shapes[NEWEST]);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(
	    sqlite3_exec(db, "PRAGMA wal_autocheckpoint = 0;" TWO_CURRENT, NULL, NULL, NULL),
	    SQLITE_OK);
	state(before, false);
	read_all();
	state(after, false);
	ck_assert_str_eq(before, after);
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}
END_TEST

START_TEST(reading_a_copied_archive_with_a_wal_alone_leaves_it_so)
{
	char before[HASH_XXH3_128_HEX], after[HASH_XXH3_128_HEX], command[512];
	sqlite3 *db;

	make(&shapes[NEWEST]);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(
	    sqlite3_exec(db, "PRAGMA wal_autocheckpoint = 0;" TWO_CURRENT, NULL, NULL, NULL),
	    SQLITE_OK);
	snprintf(
	    command, sizeof command, "cd '%s' && mkdir copy && cp app.db app.db-wal copy", root);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
	snprintf(
	    command, sizeof command, "cd '%s' && rm -f app.db* && mv copy/* . && rmdir copy", root);
	ck_assert_int_eq(system(command), 0);
	state(before, true);
	read_all();
	state(after, true);
	ck_assert_str_eq(before, after);
}
END_TEST

/* ---- rows as apply sees them, look-ups ---- */

START_TEST(rows_come_in_pages_in_the_order_of_the_id)
{
	struct catalogue_row rows[3];
	int64_t after_id = 0, seen = 0;
	int n;

	make(&shapes[_i]);
	open_(true);
	for (int id = 10; id > 0; id--) {
		char sql[200];

		snprintf(sql, sizeof sql,
		    shapes[_i].current
			? "INSERT INTO recordings (id, filename, stored_filename, duration) VALUES "
			  "(%d, 'f%d', 's%d', 0)"
			: "INSERT INTO recordings (id, filename, duration) VALUES (%d, 's%d', 0)",
		    id * 10, id, id);
		ck_assert_msg(catalogue_exec(c, sql, &e) == 0, "%s", e.text);
	}
	while ((n = catalogue_rows(c, after_id, 3, rows, &e)) > 0)
		for (int i = 0; i < n; i++) {
			char stored[16];

			seen++;
			ck_assert_int_eq(rows[i].id, seen * 10);
			snprintf(stored, sizeof stored, "s%d", (int)seen);
			ck_assert_str_eq(rows[i].stored, stored);
			ck_assert_int_eq(rows[i].filesize_bytes, -1);
			ck_assert(!rows[i].measured && !rows[i].settled);
			ck_assert_ptr_null(rows[i].checksum);
			after_id = rows[i].id;
			catalogue_row_free(&rows[i]);
		}
	ck_assert_int_eq(n, 0);
	ck_assert_int_eq(seen, 10);
	ck_assert_int_eq(catalogue_row_by_id(c, 50, &rows[0], &e), 1);
	ck_assert_str_eq(rows[0].stored, "s5");
	catalogue_row_free(&rows[0]);
	ck_assert_int_eq(catalogue_row_by_id(c, 51, &rows[0], &e), 0);
	ck_assert_int_eq(catalogue_next_id(c, &e), 101);
}
END_TEST

START_TEST(a_recording_is_found_by_its_name_and_its_checksum)
{
	char sum[65];
	int64_t id = 0;

	make(&shapes[NEWEST]);
	memset(sum, 'a', 64);
	sum[64] = '\0';
	run_sql(
	    "INSERT INTO recordings (id, filename, stored_filename, checksum) VALUES (1, 'a', "
	    "CAST(x'61ff' AS TEXT), NULL),"
	    " (2, 'b', 'b', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')");
	for (int migrated = 0; migrated < 2; migrated++) {
		open_(false);
		ck_assert_int_eq(catalogue_find_stored(c, "a\xff", 2, &id, &e), 1);
		ck_assert_int_eq(id, 1);
		ck_assert_int_eq(catalogue_find_stored(c, "a", 1, &id, &e), 0);
		ck_assert_int_eq(catalogue_find_filename(c, "b", &id, &e), 1);
		ck_assert_int_eq(id, 2);
		ck_assert_int_eq(catalogue_find_sha256(c, sum, &id, &e), 1);
		ck_assert_int_eq(id, 2);
		ck_assert_int_eq(catalogue_find_sha256(c, "b", &id, &e), 0);
		migrate();
	}
}
END_TEST

START_TEST(a_query_that_is_told_to_stop_stops)
{
	atomic_int stop = 0;
	struct catalogue_opts o = {
	    .path = path, .raw_path = "r", .edited_path = "e", .timeout_s = 1, .stop = &stop};

	make(&shapes[NEWEST]);
	run_sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
		" INSERT INTO recordings (id, filename, stored_filename) SELECT i, i, i FROM n");
	c = catalogue_open(&o, &e);
	ck_assert_msg(c != NULL, "%s", e.text);
	atomic_store(&stop, 15);
	ck_assert_ptr_null(listed("title = 'none'", NULL, -1, true));
	ck_assert_int_eq(e.class, ERR_STOPPED);
}
END_TEST

/* ---- query plans ---- */

START_TEST(no_look_up_scans_the_measurements)
{
	const char *const statements[] = {sql_record_by_id, sql_rows_page, sql_id_by_measured_name,
	    sql_id_by_measured_sha256, sql_measured_by_id, sql_provenance_by_id};
	char *view;
	sqlite3 *db;

	make(&shapes[_i]);
	migrate();
	catalogue_close(c);
	c = NULL;
	view = mem_fmt(&e, sql_view_recording, "'raw'", "'edited'");
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, sql_view_app_current, NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, sql_view_toolkit_present, NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, sql_view_fixity_present, NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(
	    sqlite3_exec(db, sql_view_provenance_present, NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, view, NULL, NULL, NULL), SQLITE_OK);
	free(view);
	for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
		char *sql = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", statements[i]);
		sqlite3_stmt *s;
		int steps = 0;

		ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK, "%s: %s", sql,
		    sqlite3_errmsg(db));
		while (sqlite3_step(s) == SQLITE_ROW) {
			const char *detail = (const char *)sqlite3_column_text(s, 3);

			steps++;
			ck_assert_msg(strncmp(detail, "SCAN", 4) != 0 &&
					  strstr(detail, "MATERIALIZE") == NULL &&
					  strstr(detail, "AUTOMATIC") == NULL,
			    "%s: %s", statements[i], detail);
		}
		ck_assert_int_gt(steps, 0);
		sqlite3_finalize(s);
		sqlite3_free(sql);
	}
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("catalogue");
	TCase *t = tcase_create("catalogue");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, each_shape_is_told_by_its_columns, 0, N_SHAPES);
	tcase_add_loop_test(t, a_wrong_stamp_does_not_mislead, 0, N_SHAPES);
	tcase_add_loop_test(t, every_shape_reads_as_recordings_and_can_be_migrated, 0, N_SHAPES);
	tcase_add_test(t, what_is_no_archive_is_refused_as_such);
	tcase_add_test(t, a_newer_version_of_the_toolkit_is_refused_for_reading_and_writing);
	tcase_add_test(t, a_row_image_is_exact_for_every_value_and_goes_back_the_same);
	tcase_add_loop_test(
	    t, rows_of_the_application_go_out_and_back_the_same_in_every_shape, 0, N_SHAPES);
	tcase_add_test(t, an_update_writes_the_columns_that_differ_alone);
	tcase_add_test(t, a_malformed_image_is_refused);
	tcase_add_test(t, a_transaction_that_is_rolled_back_leaves_the_row);
	tcase_add_test(t, another_writer_is_waited_for_and_then_told_as_busy);
	tcase_add_test(t, an_expression_that_is_more_than_one_is_refused);
	tcase_add_test(t, an_expression_that_fails_when_it_is_computed_is_the_users_error);
	tcase_add_test(t, harmless_expressions_select);
	tcase_add_test(t, every_recording_key_can_be_asked_for_and_sorted_by);
	tcase_add_test(t, a_list_is_sorted_and_limited);
	tcase_add_test(t, text_of_the_application_that_is_not_utf8_can_be_shown);
	tcase_add_loop_test(t, reading_leaves_no_file_behind_and_changes_none, 0, N_SHAPES);
	tcase_add_test(t, reading_beside_another_program_leaves_its_wal);
	tcase_add_test(t, reading_a_copied_archive_with_a_wal_alone_leaves_it_so);
	tcase_add_loop_test(t, rows_come_in_pages_in_the_order_of_the_id, 0, N_SHAPES);
	tcase_add_test(t, a_recording_is_found_by_its_name_and_its_checksum);
	tcase_add_test(t, a_query_that_is_told_to_stop_stops);
	tcase_add_loop_test(t, no_look_up_scans_the_measurements, 0, N_SHAPES);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
