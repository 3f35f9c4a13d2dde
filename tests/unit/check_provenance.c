/*
 * provenance: the row of a recording says where it comes from for as long as it is that recording,
 * and goes with the run that wrote it; of a part that a crash left the start is told only where the
 * file tells it.
 */
#include "provenance.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adopt.h"
#include "rollback.h"
#include "version.h"

static const struct timespec START = {.tv_sec = 1757066400, .tv_nsec = 123456789};
#define STARTED "2025-09-05T10:00:00.123456Z"

static char start_dir[4096];
static char root[64];
static struct archive a;
static struct run r;
static struct err e;

static void sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
sh(const char *fmt, ...)
{
	char command[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof command, fmt, args);
	va_end(args);
	ck_assert_msg(system(command) == 0, "%s", command);
}

static void
ok(int rc)
{
	ck_assert_msg(rc != -1, "%s", e.text);
}

static void
open_run(const char *kind)
{
	ok(archive_open(&a, NULL, true, NULL, &e));
	ok(run_open(&r, &a, kind, &e));
}

static void
close_run(void)
{
	run_close(&r);
	archive_close(&a);
}

/* Ends the run, and begins the next. */
static void
next_run(void)
{
	ok(run_end(&r, 0, &e));
	close_run();
	open_run("capture");
}

static void
setup(void)
{
	ck_assert_ptr_nonnull(getcwd(start_dir, sizeof start_dir));
	snprintf(root, sizeof root, "/tmp/check_provenance.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	sh("tests/data/make-archive %s/a >/dev/null", root);
	ck_assert_int_eq(chdir(root), 0);
	ck_assert_int_eq(chdir("a"), 0);
	e = (struct err){0};
	sh("sqlite3 db/app.db .dump >../never");
	open_run("capture");
	ok(run_upgrade(&r, &e));
	next_run();
	sh("sqlite3 db/app.db .dump >../before");
}

static void
teardown(void)
{
	close_run();
	ck_assert_int_eq(chdir(start_dir), 0);
	sh("rm -rf -- '%s'", root);
}

/* The stored name of recording 1. */
static const char *
stored(void)
{
	static char name[256];
	struct catalogue_row row;

	ck_assert_int_eq(catalogue_row_by_id(a.catalogue, 1, &row, &e), 1);
	snprintf(name, sizeof name, "%s", row.stored);
	catalogue_row_free(&row);
	return name;
}

static int
put(const struct provenance *p)
{
	const char *name = stored();
	int rc;

	ok(run_begin(&r, &e));
	if ((rc = provenance_put(&r, 1, name, p, &e)) == 0)
		ok(run_commit(&r, &e));
	else
		run_cancel(&r);
	return rc;
}

/* Takes back the run that wrote last. */
static void
roll_back(void)
{
	char name[JOURNAL_RUN_MAX];
	struct rollback back = {.a = &a, .run = name};

	snprintf(name, sizeof name, "%s", run_name(&r, &e));
	ok(run_end(&r, 0, &e));
	run_close(&r);
	ok(run_open(&r, &a, "rollback", &e));
	ok(rollback_run(&back, &e));
	ck_assert_int_eq(back.conflicts, 0);
	close_run();
	open_run("capture");
}

/* The record of recording 1 has this start, and what `show` prints has this provenance. */
static void
shows(const char *started, const char *provenance)
{
	struct buf text = {0};
	struct json *rec;
	const char *got;

	ck_assert_int_eq(catalogue_record(a.catalogue, 1, &rec, &e), 1);
	ck_assert_ptr_nonnull(json_get(rec, "started_at"));
	got = json_get_str(rec, "started_at");
	ck_assert_str_eq(got != NULL ? got : "unknown", started);
	ok(catalogue_put_history(a.catalogue, 1, rec, &e));
	ok(json_write(json_get(rec, "provenance"), &text, &e));
	ck_assert_str_eq(text.data, provenance);
	buf_free(&text);
	json_free(rec);
}

static struct json *
parse(const char *text)
{
	struct json *v = json_parse(text, strlen(text), &e);

	ck_assert_msg(v != NULL, "%s", e.text);
	return v;
}

/* ---- rows ---- */

START_TEST(what_is_put_is_shown_and_goes_with_its_run)
{
	struct json *details = parse("{\"source\":\"hw:1,0\",\"tool\":\"another\",\"overruns\":1}");
	struct provenance p = {.tool = "check 1", .started = START, .details = details};

	shows("unknown", "null");
	ok(put(&p));
	shows(STARTED, "{\"tool\":\"check 1\",\"started_at\":\"" STARTED
		       "\",\"source\":\"hw:1,0\",\"overruns\":1}");
	roll_back();
	shows("unknown", "null");
	sh("sqlite3 db/app.db .dump | diff ../before -");
	json_free(details);
}
END_TEST

START_TEST(a_row_that_was_there_comes_back)
{
	ok(put(&(struct provenance){.tool = "check 1", .started = START}));
	next_run();
	ok(put(&(struct provenance){.tool = "check 2"}));
	shows("unknown", "{\"tool\":\"check 2\",\"started_at\":null}");
	roll_back();
	shows(STARTED, "{\"tool\":\"check 1\",\"started_at\":\"" STARTED "\"}");
}
END_TEST

START_TEST(another_recording_under_the_id_has_none)
{
	ok(put(&(struct provenance){.tool = "check 1", .started = START}));
	next_run();
	sh("sqlite3 db/app.db \"UPDATE recordings SET stored_filename = 'other.wav' WHERE id = "
	   "1\"");
	shows("unknown", "null");
}
END_TEST

START_TEST(a_name_that_is_not_utf8_is_kept_as_it_is)
{
	sh("sqlite3 db/app.db \"UPDATE recordings SET stored_filename ="
	   " CAST(x'61ff2e776176' AS TEXT) WHERE id = 1\"");
	sh("sqlite3 db/app.db .dump >../before");
	ok(put(&(struct provenance){.tool = "check 1", .started = START}));
	sh("test $(sqlite3 db/app.db 'SELECT hex(stored_filename) FROM rec_provenance') ="
	   " 61FF2E776176");
	shows(STARTED, "{\"tool\":\"check 1\",\"started_at\":\"" STARTED "\"}");
	roll_back();
	sh("sqlite3 db/app.db .dump | diff -a ../before -");
}
END_TEST

START_TEST(details_above_a_mebibyte_are_refused)
{
	struct json *details = json_new_object(&e);
	struct provenance p = {.tool = "check 1", .details = details};
	char *text = malloc(PROVENANCE_MAX + 1);

	memset(text, 'x', PROVENANCE_MAX);
	text[PROVENANCE_MAX] = '\0';
	ok(json_put_str(details, "x", text, &e));
	ck_assert_int_eq(put(&p), -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
	shows("unknown", "null");
	/* Exactly as much as there may be. */
	text[PROVENANCE_MAX - strlen("{\"x\":\"\"}")] = '\0';
	ok(json_put_str(details, "x", text, &e));
	ok(put(&p));
	free(text);
	json_free(details);
}
END_TEST

START_TEST(the_table_takes_no_other_values)
{
	static const char *const wrong[] = {"'', NULL, '{}'", "NULL, NULL, '{}'", "'t', '', '{}'",
	    "'t', '2025-09-05T10:00:00Z', '{}'", "'t', '2025-09-05T10:00:00.123456789Z', '{}'",
	    "'t', '2025-09-05 10:00:00.123456Z', '{}'", "'t', NULL, NULL", "'t', NULL, '[]'",
	    "'t', NULL, '{' || hex(zeroblob(524288)) || '}'"};

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		sh("sqlite3 db/app.db \"INSERT INTO rec_provenance VALUES (1, 'a', %s)\" 2>&1 |"
		   " grep -q 'constraint failed'",
		    wrong[i]);
	sh("test $(sqlite3 db/app.db 'SELECT count(*) FROM rec_provenance') = 0");
}
END_TEST

START_TEST(a_purge_drops_the_row_and_can_be_taken_back)
{
	ok(put(&(struct provenance){.tool = "check 1", .started = START}));
	next_run();
	sh("sqlite3 db/app.db .dump >../before");
	ok(adopt_purge(&r, 1, &e));
	sh("test $(sqlite3 db/app.db 'SELECT count(*) FROM rec_provenance') = 0");
	roll_back();
	sh("sqlite3 db/app.db .dump | diff ../before -");
}
END_TEST

/* ---- versions ---- */

/* As an older version of the toolkit left it. */
static void
downgrade(int version)
{
	sh("sqlite3 db/app.db \"DROP TABLE rec_parts; DROP TABLE rec_uploads;"
	   " DROP TABLE rec_objects; DROP TABLE rec_remotes; %s %s"
	   " DELETE FROM rec_schema WHERE version > %d\"",
	    version < 3 ? "DROP TABLE rec_provenance;" : "",
	    version < 2 ? "DROP TABLE rec_fixity; DROP TABLE rec_fixity_pass;" : "", version);
	close_run();
	open_run("capture");
	ck_assert_int_eq(catalogue_shape(a.catalogue)->toolkit_version, version);
}

START_TEST(an_older_version_is_upgraded_and_taken_back_whole)
{
	char first[JOURNAL_RUN_MAX], **runs;
	struct rollback back = {.a = &a, .run = first};
	size_t n;

	downgrade(_i);
	shows("unknown", "null");
	ck_assert_int_eq(catalogue_count_toolkit(a.catalogue, &e), 0);
	ok(run_upgrade(&r, &e));
	ck_assert_int_eq(catalogue_shape(a.catalogue)->toolkit_version, CATALOGUE_VERSION);
	ok(put(&(struct provenance){.tool = "check 1", .started = START}));
	ck_assert_int_eq(catalogue_count_toolkit(a.catalogue, &e), 1);
	roll_back();
	sh("sqlite3 db/app.db .dump | diff ../before -");
	/* With the run that made the first version, all goes. */
	ok(journal_list(a.journal, &runs, &n, &e));
	ck_assert_uint_eq(n, 2);
	snprintf(first, sizeof first, "%s", runs[0]);
	journal_list_free(runs, n);
	run_close(&r);
	ok(run_open(&r, &a, "rollback", &e));
	ok(rollback_run(&back, &e));
	sh("sqlite3 db/app.db .dump | diff ../never -");
}
END_TEST

/* ---- what a crash left ---- */

START_TEST(the_start_of_a_part_is_told_by_its_header_or_its_name)
{
	static const struct {
		const char *tags, *name;
		int64_t rate, start, ns; /* start 0: unknown */
	} parts[] = {
	    {"{\"origination_date\":\"2025-09-05\",\"time_reference\":\"1728024000\"}",
		"a.wav.part", 48000, 1757066400, 500000000},
	    {"{\"origination_date\":\"2025-09-05\",\"time_reference\":\"1728000001\"}",
		"recording_20200101_000000.wav.part", 48000, 1757066400, 20833},
	    {"{\"origination_date\":\"2025-09-05\",\"time_reference\":\"0\"}", "a", 8000,
		1757030400, 0},
	    /* Dates and times that are none. */
	    {"{\"origination_date\":\"2025-02-31\",\"time_reference\":\"0\"}", "a", 8000, 0, 0},
	    {"{\"origination_date\":\"0000-00-00\",\"time_reference\":\"0\"}", "a", 8000, 0, 0},
	    {"{\"origination_date\":\"1969-12-31\",\"time_reference\":\"0\"}", "a", 8000, 0, 0},
	    {"{\"origination_date\":\"2025-09-055\",\"time_reference\":\"0\"}", "a", 8000, 0, 0},
	    {"{\"origination_date\":\" 2025-9-5\",\"time_reference\":\"0\"}", "a", 8000, 0, 0},
	    {"{\"origination_date\":\"\",\"time_reference\":\"0\"}", "a", 8000, 0, 0},
	    {"{\"origination_date\":\"2025-09-05\",\"time_reference\":\"691200000\"}", "a", 8000, 0,
		0},
	    {"{\"origination_date\":\"2025-09-05\",\"time_reference\":\"-1\"}", "a", 8000, 0, 0},
	    {"{\"origination_date\":\"2025-09-05\",\"time_reference\":\"\"}", "a", 8000, 0, 0},
	    {"{\"origination_date\":\"2025-09-05\"}", "a", 8000, 0, 0},
	    {"{\"origination_date\":\"2025-09-05\",\"time_reference\":\"0\"}", "a", -1, 0, 0},
	    {"{\"time_reference\":\"0\"}", "recording_20250905_100000.wav.part", 8000, 1757066400,
		0},
	    {"{}", "recording_20250905_100000.flac.part", 8000, 1757066400, 0},
	    {NULL, "recording_20250905_100000-12.wav.part", 8000, 1757066400, 0},
	    {NULL, "recording_20250905_100000", 8000, 1757066400, 0},
	    {NULL, "recording_20250905_1000000.wav.part", 8000, 0, 0},
	    {NULL, "recording_20250905_246060.wav.part", 8000, 0, 0},
	    {NULL, "recording_20250905.wav.part", 8000, 0, 0},
	    {NULL, "Recording_20250905_100000.wav.part", 8000, 0, 0},
	    {NULL, "", 8000, 0, 0},
	};

	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		struct measure m;
		struct provenance p;
		struct json *details;

		audio_measure_init(&m);
		m.sample_rate_hz = parts[i].rate;
		m.tags = parts[i].tags != NULL ? parse(parts[i].tags) : NULL;
		if (m.tags != NULL)
			ck_assert_int_eq(json_put_str(m.tags, "originator", "rectools", &e), 0);
		details = provenance_recovered(&p, &m, parts[i].name, &e);
		ck_assert_ptr_nonnull(details);
		ck_assert_ptr_eq(p.details, details);
		ck_assert(json_to_bool(json_get(details, "recovered")));
		ck_assert_str_eq(p.tool, "rec-capture " REC_VERSION);
		ck_assert_msg(
		    p.started.tv_sec == parts[i].start && p.started.tv_nsec == parts[i].ns,
		    "%zu: %lld.%09ld", i, (long long)p.started.tv_sec, p.started.tv_nsec);
		json_free(details);
		audio_measure_free(&m);
	}
}
END_TEST

START_TEST(the_header_of_another_program_tells_no_start)
{
	struct measure m;
	struct provenance p;

	audio_measure_init(&m);
	m.sample_rate_hz = 8000;
	m.tags = parse("{\"originator\":\"SoundDev\",\"origination_date\":\"2025-09-05\","
		       "\"time_reference\":\"0\"}");
	json_free(provenance_recovered(&p, &m, "a.wav.part", &e));
	ck_assert_int_eq(p.started.tv_sec, 0);
	audio_measure_free(&m);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("provenance");
	TCase *c = tcase_create("provenance");
	SRunner *runner;
	int failed;

	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, what_is_put_is_shown_and_goes_with_its_run);
	tcase_add_test(c, a_row_that_was_there_comes_back);
	tcase_add_test(c, another_recording_under_the_id_has_none);
	tcase_add_test(c, a_name_that_is_not_utf8_is_kept_as_it_is);
	tcase_add_test(c, details_above_a_mebibyte_are_refused);
	tcase_add_test(c, the_table_takes_no_other_values);
	tcase_add_test(c, a_purge_drops_the_row_and_can_be_taken_back);
	tcase_add_loop_test(c, an_older_version_is_upgraded_and_taken_back_whole, 1, 4);
	tcase_add_test(c, the_start_of_a_part_is_told_by_its_header_or_its_name);
	tcase_add_test(c, the_header_of_another_program_tells_no_start);
	suite_add_tcase(s, c);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
