/* report: charts that are XML whatever goes into them, numbers as people read them, statistics of
 * every shape, and a page that shows damage and hides nothing. */
#include "report.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "catalogue_stats.h"
#include "chart.h"
#include "clock.h"
#include "people.h"
#include "report_numbers.h"
#include "sql.h"

static char root[] = "/tmp/check_report.XXXXXX";
static struct err e;
static struct buf b, all;

static void
setup(void)
{
	memcpy(root + strlen(root) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(root));
	ck_assert_int_eq(chdir(root), 0);
	e = (struct err){0};
	b = all = (struct buf){0};
	ck_assert_int_eq(buf_adds(&all, "<all>", &e), 0);
}

static void
teardown(void)
{
	char command[128];

	buf_free(&b);
	buf_free(&all);
	ck_assert_int_eq(chdir("/"), 0);
	snprintf(command, sizeof command, "rm -rf -- '%s'", root);
	ck_assert_int_eq(system(command), 0);
}

static void
write_file(const char *path, const void *p, size_t len)
{
	FILE *f = fopen(path, "wb");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(p, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
}

static size_t
count_of(const char *text, const char *what)
{
	size_t n = 0;

	for (const char *p = text; (p = strstr(p, what)) != NULL; p += strlen(what))
		n++;
	return n;
}

/* What b holds is one SVG with a title and a description, and without a number that is none. It is
 * kept for are_xml. */
static void
is_svg(void)
{
	ck_assert_uint_eq(count_of(b.data, "<svg "), 1);
	ck_assert_ptr_nonnull(strstr(b.data, "role=\"img\""));
	ck_assert_ptr_nonnull(strstr(b.data, "<title>"));
	ck_assert_ptr_nonnull(strstr(b.data, "<desc>"));
	ck_assert_ptr_null(strstr(b.data, "nan"));
	ck_assert_ptr_null(strstr(b.data, "inf"));
	ck_assert_ptr_null(strstr(b.data, " id="));
	ck_assert_uint_lt(b.len, 100000);
	ck_assert_int_eq(buf_add(&all, b.data, b.len, &e), 0);
}

/* Every one of them is well-formed. */
static void
are_xml(void)
{
	ck_assert_int_eq(buf_adds(&all, "</all>", &e), 0);
	write_file("all.xml", all.data, all.len);
	ck_assert_int_eq(
	    system("python3 -c 'import xml.dom.minidom as m; m.parse(\"all.xml\")'"), 0);
}

/* ---- text ---- */

START_TEST(text_is_escaped)
{
	static const char *const tests[][2] = {
	    {"", NULL},
	    {"plain", "plain"},
	    {"<script>&\"'", "&lt;script&gt;&amp;&quot;&#39;"},
	    {"a\nb\x01\x7f", "a\xef\xbf\xbd"
			     "b\xef\xbf\xbd\xef\xbf\xbd"},
	    {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
	    {"\xff|\xc3|\xe2\x82", "\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd"},
	    {"\xc2\x85", "\xef\xbf\xbd"},	    /* a control character of Latin 1 */
	    {"\xe2\x80\xaegpj", "\xef\xbf\xbdgpj"}, /* turns the direction */
	    {"\xe2\x81\xa6", "\xef\xbf\xbd"},
	    {"\xef\xbf\xbf", "\xef\xbf\xbd"}, /* no character of XML */
	    {"\xf0\x9f\x90\xb8", "\xf0\x9f\x90\xb8"},
	};

	for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
		buf_clear(&b);
		ck_assert_int_eq(chart_escape(&b, tests[i][0], &e), 0);
		if (tests[i][1] == NULL)
			ck_assert_uint_eq(b.len, 0);
		else
			ck_assert_str_eq(b.data, tests[i][1]);
	}
}
END_TEST

START_TEST(numbers_are_those_of_people)
{
	char t[PEOPLE_MAX], time[CHART_TIME_MAX];

	ck_assert_str_eq(people_count(0, t), "0");
	ck_assert_str_eq(people_count(999, t), "999");
	ck_assert_str_eq(people_count(1234567, t), "1\xe2\x80\xaf"
						   "234\xe2\x80\xaf"
						   "567");
	people_count(INT64_MIN, t);
	ck_assert_str_eq(people_bytes(0, t), "0 B");
	ck_assert_str_eq(people_bytes(1023, t), "1023 B");
	ck_assert_str_eq(people_bytes(1288490189, t), "1.2 GiB");
	ck_assert_str_eq(people_bytes(1048570, t), "1.0 MiB");
	ck_assert_str_eq(people_bytes(150 * 1048576.0, t), "150 MiB");
	ck_assert_str_eq(people_bytes(INFINITY, t), "8192 PiB");
	ck_assert_str_eq(people_bytes(-5, t), "0 B");
	ck_assert_str_eq(people_length(12000, t), "3 h 20 min");
	ck_assert_str_eq(people_length(0.25, t), "0.2 s");
	ck_assert_str_eq(people_length(59.7, t), "1 min");
	ck_assert_str_eq(people_length(5 * 3600000, t), "5\xe2\x80\xaf"
							"000 h");
	ck_assert_str_eq(people_length(NAN, t), "0.0 s");
	people_length(INFINITY, t);
	ck_assert_str_eq(chart_time(0, time), "0 s");
	ck_assert_str_eq(chart_time(0.25, time), "0.25 s");
	ck_assert_str_eq(chart_time(65, time), "1:05");
	ck_assert_str_eq(chart_time(3723, time), "1:02:03");
	ck_assert_str_eq(chart_time(NAN, time), "0 s");
	chart_time(INFINITY, time);
}
END_TEST

/* ---- charts ---- */

static struct chart_bar bars[1000];

/* n bars with labels that want escaping. */
static void
fill(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bars[i].value = (double)(i * i % 97);
		snprintf(bars[i].label, sizeof bars[i].label, "<b>&\"%zu'\x01", i);
		snprintf(bars[i].text, sizeof bars[i].text, "%zu < %zu", i, i + 1);
	}
}

typedef int drawer(struct buf *out, const struct chart_bar *v, size_t n);

static int
draw_bars(struct buf *out, const struct chart_bar *v, size_t n)
{
	return chart_bars(out, "A <title> & \"more\"", v, n, &e);
}

static int
draw_histogram(struct buf *out, const struct chart_bar *v, size_t n)
{
	return chart_histogram(out, "A <title> & \"more\"", "unit < &", v, n, &e);
}

static int
draw_area(struct buf *out, const struct chart_bar *v, size_t n)
{
	return chart_area(out, "A <title> & \"more\"", v, n, &e);
}

static drawer *const drawers[] = {draw_bars, draw_histogram, draw_area};

START_TEST(charts_are_xml_of_any_number)
{
	static const size_t numbers[] = {0, 1, 2, 7, 71, 119, 120, 121, 240, 1000};

	fill(1000);
	for (size_t d = 0; d < 3; d++)
		for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
			buf_clear(&b);
			ck_assert_int_eq(drawers[d](&b, bars, numbers[i]), 0);
			is_svg();
			ck_assert_uint_le(count_of(b.data, "class=\"bar\""), CHART_BARS);
			ck_assert_uint_le(count_of(b.data, "L"), 2 * CHART_BARS + 4);
		}
	are_xml();
}
END_TEST

START_TEST(charts_bear_any_value)
{
	static const double values[] = {
	    NAN, INFINITY, -INFINITY, -1, 0, 1e-300, 1e-9, 0.3, 1, 1e15, 1e300};

	for (size_t d = 0; d < 3; d++)
		for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
			fill(5);
			bars[2].value = values[i];
			for (size_t k = 0; k < 5 && i % 2 == 0; k++)
				bars[k].value = values[i];
			buf_clear(&b);
			ck_assert_int_eq(drawers[d](&b, bars, 5), 0);
			is_svg();
		}
	are_xml();
}
END_TEST

START_TEST(bars_beyond_the_last_are_added_up)
{
	for (size_t i = 0; i < 200; i++)
		bars[i] = (struct chart_bar){.label = "x", .value = 1, .text = "1"};
	ck_assert_int_eq(chart_bars(&b, "t", bars, 200, &e), 0);
	ck_assert_ptr_nonnull(strstr(b.data, ">81 more<"));
	ck_assert_ptr_nonnull(strstr(b.data, ">81<"));
}
END_TEST

/* The x of every label of the time axis and of every other text on one line keep their distance. */
START_TEST(labels_keep_clear_of_each_other)
{
	double x, last = -1000;

	for (size_t i = 0; i < 90; i++) {
		bars[i].value = (double)i;
		snprintf(
		    bars[i].label, sizeof bars[i].label, "%zu-%02zu", 2019 + i / 12, i % 12 + 1);
		snprintf(bars[i].text, sizeof bars[i].text, "%zu", i);
	}
	ck_assert_int_eq(chart_area(&b, "t", bars, 90, &e), 0);
	for (const char *p = b.data; (p = strstr(p, "mid num\" x=\"")) != NULL; last = x) {
		p += strlen("mid num\" x=\"");
		x = strtod(p, NULL);
		ck_assert_double_ge(x - last, 7 * 8);
	}
	ck_assert_double_gt(last, 200);
}
END_TEST

/* ---- waveforms ---- */

static struct envelope v;

static void
sound(unsigned columns, unsigned rate_hz, uint64_t frames_column)
{
	v = (struct envelope){.n = columns,
	    .frames = columns * frames_column,
	    .frames_column = frames_column,
	    .rate_hz = rate_hz};
	for (unsigned i = 0; i < columns; i++) {
		v.high[i] = 0.5f + 0.5f * sinf((float)i / 9);
		v.low[i] = -v.high[i];
	}
}

static void
wave(double duration_s, const struct chart_mark *marks, size_t n)
{
	buf_clear(&b);
	ck_assert_int_eq(chart_waveform(&b, "A <wave>", &v, duration_s, marks, n, &e), 0);
	is_svg();
}

START_TEST(damage_is_marked)
{
	struct chart_mark marks[] = {{10, 12.5}, {40, NAN}};

	sound(480, 48000, 4800); /* 48 s */
	wave(48, NULL, 0);
	ck_assert_uint_eq(count_of(b.data, "class=\"bad\""), 0);
	ck_assert_uint_eq(count_of(b.data, "class=\"bracket\""), 0);
	ck_assert_uint_eq(count_of(b.data, "class=\"gap\""), 0);
	wave(48, marks, 2);
	ck_assert_uint_eq(count_of(b.data, "class=\"bad\""), 1);
	ck_assert_uint_eq(count_of(b.data, "class=\"bracket\""), 2);
	ck_assert_uint_eq(count_of(b.data, ">damaged<"), 2);
	ck_assert_ptr_nonnull(
	    strstr(b.data, "Damaged from 0:10 to 0:13. Damaged from 0:40 to 0:48."));
	ck_assert_ptr_nonnull(
	    strstr(b.data, "<rect class=\"band\" x=\"100.0\" y=\"26\" width=\"25.0\""));
	are_xml();
}
END_TEST

START_TEST(what_is_missing_is_hatched)
{
	sound(240, 48000, 4800); /* 24 s */
	wave(48, NULL, 0);
	ck_assert_uint_eq(count_of(b.data, "class=\"hatch\""), 1);
	ck_assert_uint_eq(count_of(b.data, ">missing<"), 1);
	ck_assert_ptr_nonnull(strstr(b.data, "<rect class=\"gap\" x=\"240.0\""));
	ck_assert_ptr_nonnull(strstr(b.data, "Missing from 0:24 to the end."));
	/* A header that promises too little hides nothing of what is there. */
	wave(10, NULL, 0);
	ck_assert_uint_eq(count_of(b.data, ">missing<"), 0);
	ck_assert_ptr_nonnull(strstr(b.data, "A recording of 0:24."));
	are_xml();
}
END_TEST

START_TEST(any_envelope_is_drawn)
{
	static const double durations[] = {NAN, INFINITY, -1, 0, 1e-6, 3, 1e9, 1e300};
	static const struct chart_mark marks[] = {
	    {NAN, NAN}, {-5, 0.01}, {INFINITY, NAN}, {2, 1}, {0, INFINITY}, {1e300, 1e301}, {1, 1}};

	v = (struct envelope){0};
	for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++)
		wave(durations[i], marks, 7);
	sound(1, 8000, 1);
	for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++)
		wave(durations[i], marks, 7);
	sound(ENVELOPE_COLUMNS, 1, 1u << 30);
	v.low[3] = NAN;
	v.high[4] = INFINITY;
	for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++)
		wave(durations[i], marks, 7);
	are_xml();
}
END_TEST

/* ---- statistics ---- */

#define OLDEST                                                                                     \
	"CREATE TABLE recordings (id INTEGER NOT NULL, filename VARCHAR NOT NULL, title VARCHAR, " \
	"duration FLOAT NOT NULL, status VARCHAR, created_at DATETIME DEFAULT "                    \
	"(CURRENT_TIMESTAMP), PRIMARY KEY (id), UNIQUE (filename));"
#define CURRENT                                                                                    \
	"CREATE TABLE recordings (id INTEGER NOT NULL, filename VARCHAR NOT NULL, "                \
	"stored_filename "                                                                         \
	"VARCHAR NOT NULL, title VARCHAR, duration FLOAT DEFAULT '0.0' NOT NULL, filesize_bytes "  \
	"BIGINT, mime_type VARCHAR, checksum VARCHAR, status VARCHAR DEFAULT 'active', "           \
	"sync_status VARCHAR DEFAULT 'unsynced', last_synced_at DATETIME, created_at DATETIME "    \
	"DEFAULT (CURRENT_TIMESTAMP), modified_at DATETIME, PRIMARY KEY (id), UNIQUE "             \
	"(stored_filename));"

static void
run_sql(const char *sql)
{
	sqlite3 *db;
	char *message = NULL;

	ck_assert_int_eq(sqlite3_open("db/app.db", &db), SQLITE_OK);
	ck_assert_msg(
	    sqlite3_exec(db, sql, NULL, NULL, &message) == SQLITE_OK, "%s: %s", message, sql);
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

static struct archive a;

static void
open_archive(void)
{
	ck_assert_msg(archive_open(&a, NULL, false, NULL, &e) == 0, "%s", e.text);
}

static void
make_archive(const char *schema)
{
	static const char settings[] =
	    "DATABASE_URL=sqlite:///db/app.db\nRECORDINGS_RAW_PATH=raw\n";

	ck_assert_int_eq(mkdir("db", 0755) | mkdir("raw", 0755), 0);
	write_file(".env", settings, sizeof settings - 1);
	run_sql("PRAGMA journal_mode = WAL");
	run_sql(schema);
}

/* "label:count:value label:…" of a statistic. */
static int
append(void *ctx, const struct catalogue_stat *s, struct err *error)
{
	return buf_addf(ctx, error, "%s%s:%lld:%g", ((struct buf *)ctx)->len > 0 ? " " : "",
	    s->label != NULL ? s->label : "-", (long long)s->count, s->value);
}

static const char *
statistic(enum catalogue_statistic which)
{
	buf_clear(&b);
	ck_assert_msg(catalogue_statistic(a.catalogue, which, append, &b, &e) == 0, "%s", e.text);
	return b.len > 0 ? b.data : "";
}

START_TEST(a_catalogue_without_measurements_has_statistics)
{
	make_archive(_i == 0 ? OLDEST : CURRENT);
	open_archive();
	ck_assert_str_eq(statistic(STAT_MONTHS), "");
	ck_assert_str_eq(statistic(STAT_AGES), "");
	archive_close(&a);
	run_sql(
	    _i == 0
		? "INSERT INTO recordings (id, filename, duration, created_at) VALUES (1, 'a', 0, "
		  "'2025-09-01 10:00:00'), (2, 'b', 12.5, 'yesterday')"
		: "INSERT INTO recordings (id, filename, stored_filename, duration, created_at) "
		  "VALUES (1, 'a', 'a', 0, '2025-09-01 10:00:00'), (2, 'b', 'b', 12.5, NULL)");
	open_archive();
	ck_assert_str_eq(statistic(STAT_MONTHS), "-:1:0 2025-09:1:0");
	ck_assert_str_eq(statistic(STAT_FORMATS), "-:2:12.5");
	ck_assert_str_eq(statistic(STAT_RATES), "-:2:12.5");
	ck_assert_str_eq(statistic(STAT_DURATIONS), "-:1:0 10:1:12.5");
	ck_assert_str_eq(statistic(STAT_LOUDNESS), "-:2:0");
	ck_assert_str_eq(statistic(STAT_AGES), "never:2:0");
	ck_assert_str_eq(statistic(STAT_VERDICTS), "unchecked:2:0");
	archive_close(&a);
}
END_TEST

static const char rows[] =
    "INSERT INTO recordings (id, filename, stored_filename, title, created_at, filesize_bytes) "
    "VALUES "
    "(1, 'a', 'a.wav', 'One <script>alert(1)</script>', '2025-09-01 10:00:00', 7), "
    "(2, 'b', 'b.wav', 'Two', '2025-10-01 10:00:00', NULL), "
    "(3, 'c', 'c.wav', NULL, '2026-13-01', 40), (4, 'd', 'd.wav', 'Four', '2025-10-09', 5), "
    "(5, 'e', 'e.wav', 'renamed since', '2025-10-09', 5);"
    "INSERT INTO rec_measurements (recording_id, stored_filename, size_bytes, container, codec, "
    "sample_rate_hz, duration_s, loudness_lufs, problem_code, run) VALUES "
    "(1, 'a.wav', 1000, 'wav', 'pcm_s16le', 44100, 0.5, -23.0, NULL, 'r'), "
    "(2, 'b.wav', 2000, 'wav', 'pcm_s16le', 48000, 5, -23.1, NULL, 'r'), "
    "(3, 'c.wav', 3000, 'flac', 'flac', 44100, 20000, -99, 'truncated', 'r'), "
    "(4, 'd.wav', 4000, 'ogg', NULL, 44100, 60, 3.7, NULL, 'r'), "
    "(5, 'old-e.wav', 9000, 'ogg', NULL, 44100, 60, 3.7, NULL, 'r');"
    "INSERT INTO rec_fixity (recording_id, stored_filename, checked_at, verdict) VALUES "
    "(1, 'a.wav', strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-2 days'), 'checksum_mismatch'), "
    "(2, 'b.wav', strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-400 days'), 'ok'), "
    "(4, 'd.wav', strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), 'missing'), "
    "(5, 'e.wav', strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '+9 days'), 'ok');";

static void
make_full_archive(void)
{
	make_archive(CURRENT);
	run_sql(sql_migration_1);
	run_sql(sql_migration_2);
	run_sql(sql_migration_3);
	run_sql(sql_migration_4);
	run_sql(rows);
}

START_TEST(statistics_count_every_recording_once)
{
	make_full_archive();
	open_archive();
	ck_assert_str_eq(statistic(STAT_MONTHS), "-:1:3000 2025-09:1:1000 2025-10:3:6005");
	ck_assert_str_eq(
	    statistic(STAT_FORMATS), "wav pcm_s16le:2:5.5 -:1:0 flac flac:1:20000 ogg:1:60");
	ck_assert_str_eq(statistic(STAT_RATES), "44100:3:20060.5 -:1:0 48000:1:5");
	ck_assert_str_eq(statistic(STAT_DURATIONS), "-:1:0 0:1:0.5 1:1:5 60:1:60 14400:1:20000");
	ck_assert_str_eq(statistic(STAT_LOUDNESS), "-:1:0 -70:1:0 -24:1:0 -23:1:0 0:1:0");
	ck_assert_str_eq(statistic(STAT_VERDICTS),
	    "ok:2:2005 checksum_mismatch:1:1000 missing:1:4000 truncated:1:3000");
	/* A check in the future, and one that read nothing, are none. */
	statistic(STAT_AGES);
	ck_assert_ptr_nonnull(strstr(b.data, "1:1:1000"));
	ck_assert_ptr_nonnull(strstr(b.data, "366:1:2000"));
	ck_assert_ptr_nonnull(strstr(b.data, "never:3:7005"));
	archive_close(&a);
}
END_TEST

static int
refuse(void *ctx, const struct catalogue_stat *s, struct err *error)
{
	(void)ctx;
	(void)s;
	return err_set(error, ERR_STOPPED, NULL, "enough");
}

START_TEST(a_callback_may_stop_it)
{
	make_full_archive();
	open_archive();
	ck_assert_int_eq(catalogue_statistic(a.catalogue, STAT_RATES, refuse, NULL, &e), -1);
	ck_assert_int_eq(e.class, ERR_STOPPED);
	archive_close(&a);
}
END_TEST

START_TEST(months_of_centuries_fit)
{
	static struct report_numbers n;
	int64_t months = 0;

	make_full_archive();
	run_sql("INSERT INTO recordings (id, filename, stored_filename, created_at) VALUES "
		"(8, 'h', 'h', '0001-01-01 00:00:00'), (9, 'i', 'i', '9999-12-31 00:00:00')");
	open_archive();
	ck_assert_int_eq(report_numbers_take(a.catalogue, "2026-01-01T00:00:00Z", &n, &e), 0);
	for (int i = 0; i < REPORT_MONTHS; i++)
		months += n.month_count[i];
	ck_assert_int_eq(months, 6);
	ck_assert_int_eq(n.undated, 1);
	ck_assert_int_eq(n.damaged, 2);
	ck_assert_int_eq(n.missing, 1);
	ck_assert_str_eq(n.formats.bar[1].label, "WAV (pcm_s16le)");
	ck_assert_str_eq(n.rates.bar[1].label, "44.1 kHz");
	archive_close(&a);
}
END_TEST

/* ---- the page ---- */

static struct findings f;

/* As finding_tell keeps it. */
static void
found(const char *text)
{
	static const char *const names[] = {"pass", "warning", "fail", "error"};
	struct json *rec = json_parse(text, strlen(text), &e);
	unsigned s = 0;

	ck_assert_msg(rec != NULL, "%s: %s", text, e.text);
	while (strcmp(names[s], json_get_str(rec, "status")) != 0)
		s++;
	f.by_check[f.n_checks].check = "fixity.file";
	f.by_check[f.n_checks++].count[s] = 1;
	f.count[s]++;
	if (f.kept == NULL)
		f.kept = calloc(FINDING_KEPT, sizeof *f.kept);
	if (s == FINDING_PASS)
		json_free(rec);
	else
		f.kept[f.n_kept++] = rec;
}

/* The page as text in b. */
static void
page(const struct archive *archive)
{
	FILE *in;
	size_t n;

	ck_assert_msg(report_write("page.html", archive, &f, &e) == 0, "%s", e.text);
	buf_clear(&b);
	ck_assert_ptr_nonnull(in = fopen("page.html", "rb"));
	do {
		ck_assert_int_eq(buf_room(&b, 65536, &e), 0);
		n = fread(b.data + b.len, 1, 65535, in);
		b.len += n;
	} while (n > 0);
	b.data[b.len] = '\0';
	fclose(in);
	ck_assert_ptr_null(strstr(b.data, "<script"));
	ck_assert_ptr_null(strstr(b.data, "://"));
	ck_assert_ptr_null(strstr(b.data, " src="));
}

static void
has(const char *what)
{
	ck_assert_msg(strstr(b.data, what) != NULL, "the page lacks: %s", what);
}

static void
has_not(const char *what)
{
	ck_assert_msg(strstr(b.data, what) == NULL, "the page has: %s", what);
}

static void
forget(void)
{
	findings_free(&f);
	f = (struct findings){0};
}

START_TEST(the_answer_comes_first)
{
	make_archive(CURRENT);
	run_sql("INSERT INTO recordings (id, filename, stored_filename) VALUES (1, 'a', 'a')");
	open_archive();
	found("{\"check\":\"fixity.file\",\"status\":\"pass\"}");
	page(&a);
	has("<strong>Healthy</strong>");
	has("Nothing to report.");
	found("{\"check\":\"disk.space\",\"status\":\"warning\",\"severity\":\"low\",\"message\":"
	      "\"m\","
	      "\"action\":\"make room\"}");
	page(&a);
	has("<strong>Needs attention</strong>");
	has("make room");
	found("{\"check\":\"database.lock\",\"status\":\"error\",\"severity\":\"high\",\"message\":"
	      "\"no lock\"}");
	page(&a);
	has("<strong>Could not be checked</strong>");
	has("<section class=\"alarm\"");
	found("{\"check\":\"fixity.file\",\"status\":\"fail\",\"severity\":\"critical\","
	      "\"message\":\"gone\"}");
	page(&a);
	has("<strong>Damaged</strong>");
	has("And not all of it could be checked");
	has("<section class=\"alarm\"");
	archive_close(&a);
	forget();
}
END_TEST

START_TEST(a_full_disk_is_no_damage)
{
	make_archive(CURRENT);
	open_archive();
	found("{\"check\":\"disk.space\",\"status\":\"fail\",\"severity\":\"critical\",\"message\":"
	      "\"m\"}");
	f.by_check[0].check = "disk.space";
	page(&a);
	has("<strong>Needs attention</strong>");
	archive_close(&a);
	forget();
}
END_TEST

START_TEST(without_a_catalogue_the_findings_are_shown)
{
	found("{\"check\":\"database.open\",\"status\":\"error\",\"severity\":\"high\",\"message\":"
	      "\"not "
	      "a database\",\"action\":\"restore it\"}");
	page(NULL);
	has("<strong>Could not be checked</strong>");
	has("not a database");
	has("restore it");
	has_not("class=\"tiles\"");
	forget();
}
END_TEST

START_TEST(a_damaged_catalogue_is_told)
{
	make_full_archive();
	open_archive();
	run_sql("DROP TABLE rec_measurements");
	page(&a);
	has("<section class=\"alarm\"");
	has("counting the recordings");
	archive_close(&a);
	forget();
}
END_TEST

START_TEST(names_do_no_harm)
{
	make_full_archive();
	open_archive();
	found(
	    "{\"check\":\"x\",\"status\":\"fail\",\"severity\":\"high\",\"message\":\"<script>m\","
	    "\"action\":\"<script>a\",\"path\":\"raw/<script>\\\"'&.wav\",\"problem\":{\"code\":"
	    "\"<script>c\"}}");
	found(
	    "{\"check\":\"<script>\",\"status\":\"error\",\"severity\":\"high\",\"message\":\"m\","
	    "\"path_hex\":\"ff0a3c7363726970743e\"}");
	found("{\"check\":\"x\",\"status\":\"fail\",\"severity\":\"high\",\"message\":\"m\",\"path_"
	      "hex\":\"xyz\"}");
	found("{\"check\":\"x\",\"status\":\"fail\",\"severity\":\"high\"}");
	page(&a);
	has("raw/&lt;script&gt;&quot;&#39;&amp;.wav");
	has("\\xff\\x0a&lt;script&gt;");
	archive_close(&a);
	forget();
}
END_TEST

/* Mono, 16 bits, 8 kHz: a square wave, then zeros. */
static void
make_wav(const char *path, unsigned frames, unsigned zeros)
{
	static const unsigned char head[44] =
	    "RIFF\0\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0"
	    "\x10\0data";
	unsigned char *p = calloc(1, sizeof head + 2 * (size_t)(frames + zeros));
	unsigned data = 2 * (frames + zeros);

	memcpy(p, head, sizeof head);
	for (unsigned i = 0; i < 4; i++) {
		p[4 + i] = (unsigned char)((data + 36) >> 8 * i);
		p[40 + i] = (unsigned char)(data >> 8 * i);
	}
	for (unsigned i = 0; i < frames; i++)
		p[sizeof head + 2 * i + 1] = i / 20 % 2 == 0 ? 0x30 : 0xd0;
	write_file(path, p, sizeof head + data);
	free(p);
}

START_TEST(damaged_files_are_drawn_once)
{
	make_full_archive();
	run_sql("UPDATE rec_measurements SET sample_rate_hz = 8000");
	make_wav("raw/a.wav", 8000 * 60, 0);
	make_wav("raw/b.wav", 8000 * 30, 0);
	make_wav("raw/c.wav", 8000 * 30, 8000 * 30);
	open_archive();
	found("{\"check\":\"fixity.file\",\"status\":\"fail\",\"severity\":\"high\",\"message\":"
	      "\"rot\",\"id\":1,"
	      "\"path\":\"raw/"
	      "a.wav\",\"recorded_duration_s\":60,\"damage_start_s\":20,\"damage_end_s\":25,"
	      "\"problem\":{\"code\":\"checksum_mismatch\"}}");
	found("{\"check\":\"other\",\"status\":\"fail\",\"severity\":\"high\",\"message\":"
	      "\"again\",\"id\":1,"
	      "\"problem\":{\"code\":\"modified\"}}");
	found("{\"check\":\"fixity.file\",\"status\":\"fail\",\"severity\":\"high\",\"message\":"
	      "\"cut\",\"id\":2,"
	      "\"recorded_duration_s\":60,\"damage_start_s\":30,\"damage_end_s\":60,\"problem\":{"
	      "\"code\":"
	      "\"truncated\"}}");
	found("{\"check\":\"fixity.file\",\"status\":\"fail\",\"severity\":\"high\",\"message\":"
	      "\"zeros\",\"id\":3,"
	      "\"problem\":{\"code\":\"zero_tail\"}}");
	found("{\"check\":\"fixity.file\",\"status\":\"fail\",\"severity\":\"high\",\"message\":"
	      "\"gone\",\"id\":4,"
	      "\"problem\":{\"code\":\"size_mismatch\"}}");
	found("{\"check\":\"fixity.file\",\"status\":\"warning\",\"severity\":\"low\",\"message\":"
	      "\"tags\",\"id\":5,"
	      "\"verdict\":\"tags_only\",\"problem\":{\"code\":\"modified\"}}");
	page(&a);
	ck_assert_uint_eq(count_of(b.data, "<figure"), 4);
	has("One &lt;script&gt;alert(1)&lt;/script&gt;");
	has("Damaged from 0:20 to 0:25.");
	has("Of 1:00 the end is missing: 0:30.");
	has("Nothing but zeros from 0:30 to 1:00.");
	has("There is no picture of it: no such file in raw");
	ck_assert_uint_eq(count_of(b.data, ">missing</text>"), 1);
	ck_assert_uint_eq(count_of(b.data, ">damaged</text>"), 2);
	archive_close(&a);
	forget();
}
END_TEST

START_TEST(what_is_not_known_is_said)
{
	make_full_archive();
	make_wav("raw/a.wav", 8000, 0);
	open_archive();
	found("{\"check\":\"fixity.file\",\"status\":\"fail\",\"severity\":\"high\",\"message\":"
	      "\"rot\",\"id\":1,"
	      "\"problem\":{\"code\":\"checksum_mismatch\"}}");
	page(&a);
	has("The place of the damage in the recording is not known.");
	archive_close(&a);
	forget();
}
END_TEST

START_TEST(no_more_than_so_many_waveforms)
{
	char text[256], row[128];

	make_full_archive();
	for (int i = 100; i < 100 + REPORT_WAVEFORMS + 3; i++) {
		snprintf(row, sizeof row,
		    "INSERT INTO recordings (id, filename, stored_filename) VALUES (%d, %d, 'a%d')",
		    i, i, i);
		run_sql(row);
		snprintf(text, sizeof text,
		    "{\"check\":\"fixity.file\",\"status\":\"fail\",\"severity\":\"high\","
		    "\"message\":"
		    "\"rot\",\"id\":%d,\"problem\":{\"code\":\"modified\"}}",
		    i);
		found(text);
	}
	open_archive();
	page(&a);
	ck_assert_uint_eq(count_of(b.data, "<figure"), REPORT_WAVEFORMS);
	has("3 more damaged recordings are not drawn.");
	has("<summary>17 more</summary>");
	archive_close(&a);
	forget();
}
END_TEST

START_TEST(a_page_that_cannot_be_written_leaves_the_old_one)
{
	struct stat st;

	write_file("old.html", "old", 3);
	ck_assert_int_eq(report_write("nowhere/page.html", NULL, &f, &e), -1);
	ck_assert_int_eq(e.class, ERR_SYSTEM);
	ck_assert_ptr_nonnull(strstr(e.text, "--html nowhere/page.html"));
	ck_assert_int_eq(report_write("old.html", NULL, &f, &e), 0);
	ck_assert_int_eq(stat("old.html", &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0644);
	ck_assert_int_gt(st.st_size, 3);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("report");
	TCase *t = tcase_create("report");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 300);
	tcase_add_test(t, text_is_escaped);
	tcase_add_test(t, numbers_are_those_of_people);
	tcase_add_test(t, charts_are_xml_of_any_number);
	tcase_add_test(t, charts_bear_any_value);
	tcase_add_test(t, bars_beyond_the_last_are_added_up);
	tcase_add_test(t, labels_keep_clear_of_each_other);
	tcase_add_test(t, damage_is_marked);
	tcase_add_test(t, what_is_missing_is_hatched);
	tcase_add_test(t, any_envelope_is_drawn);
	tcase_add_loop_test(t, a_catalogue_without_measurements_has_statistics, 0, 2);
	tcase_add_test(t, statistics_count_every_recording_once);
	tcase_add_test(t, a_callback_may_stop_it);
	tcase_add_test(t, months_of_centuries_fit);
	tcase_add_test(t, the_answer_comes_first);
	tcase_add_test(t, a_full_disk_is_no_damage);
	tcase_add_test(t, without_a_catalogue_the_findings_are_shown);
	tcase_add_test(t, a_damaged_catalogue_is_told);
	tcase_add_test(t, names_do_no_harm);
	tcase_add_test(t, damaged_files_are_drawn_once);
	tcase_add_test(t, what_is_not_known_is_said);
	tcase_add_test(t, no_more_than_so_many_waveforms);
	tcase_add_test(t, a_page_that_cannot_be_written_leaves_the_old_one);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
