/* journal: lines come back as they were written, a torn tail is no line, damage is an error. */
#include "journal.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"

static char root[] = "/tmp/check_journal.XXXXXX";
static int dir = -1;
static struct err e;
static char run[JOURNAL_RUN_MAX], file[JOURNAL_RUN_MAX + 8];

static void
setup(void)
{
	memcpy(root + strlen(root) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(root));
	dir = open(root, O_RDONLY | O_DIRECTORY);
	ck_assert_int_ne(dir, -1);
	e = (struct err){0};
}

static void
teardown(void)
{
	char command[128];

	close(dir);
	snprintf(command, sizeof command, "rm -rf -- '%s'", root);
	ck_assert_int_eq(system(command), 0);
}

static void
put(const char *name, const char *bytes, size_t len, int flags)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | flags, 0600);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

/* The journal's text, for the caller to free. */
static struct buf
text(void)
{
	struct buf b = {0};

	ck_assert_int_eq(io_read_file(dir, file, 64 << 20, &b, &e), 0);
	return b;
}

static struct journal *
create(const char *kind)
{
	struct journal *j = journal_create(dir, kind, "rec-test 1", &e);

	ck_assert_msg(j != NULL, "%s", e.text);
	snprintf(run, sizeof run, "%s", journal_run(j));
	snprintf(file, sizeof file, "%s.jsonl", run);
	return j;
}

static struct json *
line(const char *json)
{
	struct json *v = json_parse(json, strlen(json), &e);

	ck_assert_msg(v != NULL, "%s", e.text);
	return v;
}

static void
add(struct journal *j, const char *json)
{
	ck_assert_msg(journal_add(j, line(json), &e) == 0, "%s", e.text);
}

/* A journal with begin and the lines ("\n" after each), closed. */
static void
made(const char *kind, const char *const *lines)
{
	struct journal *j = create(kind);

	for (; *lines != NULL; lines++)
		add(j, *lines);
	ck_assert_msg(journal_sync(j, &e) == 0, "%s", e.text);
	journal_close(j);
}

static const char *const three[] = {
    "{\"op\":\"row\",\"table\":\"recordings\",\"id\":1,\"title\":\"a \\\"b\\\" ü\"}",
    "{\"op\":\"row\",\"table\":\"recordings\",\"id\":2,\"x\":0.1}",
    "{\"op\":\"end\",\"rows\":2,\"problems\":0,\"finished_at\":\"2025-09-05T10:00:00Z\"}", NULL};

static struct journal_reader *
reader(void)
{
	struct journal_reader *r = journal_read_open(dir, run, &e);

	ck_assert_msg(r != NULL, "%s", e.text);
	return r;
}

static size_t
count_lines(void)
{
	struct journal_reader *r = reader();
	size_t n = journal_lines(r);

	journal_read_close(r);
	return n;
}

/* Each line can be read and is whole. */
static void
all_whole(size_t n)
{
	struct journal_reader *r = reader();
	int64_t seq;

	ck_assert_uint_eq(journal_lines(r), n);
	for (size_t i = 0; i < n; i++) {
		struct json *v = journal_line(r, i, &e);

		ck_assert_msg(v != NULL, "%s", e.text);
		ck_assert(json_get_int(v, "seq", &seq) && seq == (int64_t)i);
		json_free(v);
	}
	journal_read_close(r);
}

START_TEST(lines_come_back_as_they_were_written_in_any_order)
{
	struct journal_reader *r;
	struct json *v, *want;

	made("apply", three);
	r = reader();
	ck_assert_uint_eq(journal_lines(r), 4);
	for (size_t i = 4; i-- > 1;) {
		v = journal_line(r, i, &e);
		ck_assert_msg(v != NULL, "%s", e.text);
		json_del(v, "seq");
		json_del(v, "xxh3_64");
		want = line(three[i - 1]);
		ck_assert(json_same(v, want));
		json_free(want);
		json_free(v);
	}
	v = journal_line(r, 0, &e);
	ck_assert_str_eq(json_get_str(v, "op"), "begin");
	ck_assert_str_eq(json_get_str(v, "run"), run);
	ck_assert_str_eq(json_get_str(v, "kind"), "apply");
	ck_assert_str_eq(json_get_str(v, "tool"), "rec-test 1");
	ck_assert(clock_is_rfc3339(json_get_str(v, "started_at")));
	json_free(v);
	journal_read_close(r);
	ck_assert_int_eq(journal_count_rows(dir, run, &e), 2);
}
END_TEST

START_TEST(each_line_is_an_object_on_a_line_that_ends_with_its_sum)
{
	struct buf b;
	char sum[HASH_XXH3_64_HEX], *at, *end;
	int64_t seq = 0;

	made("add", three);
	b = text();
	for (at = b.data; *at != '\0'; at = end + 1) {
		char prefix[48];

		end = strchr(at, '\n');
		ck_assert_ptr_nonnull(end);
		snprintf(prefix, sizeof prefix, "{\"seq\":%lld,\"op\":", (long long)seq++);
		ck_assert(strncmp(at, prefix, strlen(prefix)) == 0);
		/* ,"xxh3_64":"0123456789abcdef"} */
		ck_assert(strncmp(end - 30, ",\"xxh3_64\":\"", 12) == 0);
		hash_xxh3_64_hex(at, (size_t)(end - 30 - at), sum);
		ck_assert(strncmp(end - 18, sum, 16) == 0);
	}
	ck_assert_int_eq(seq, 4);
	buf_free(&b);
}
END_TEST

START_TEST(what_was_added_is_on_disk_after_a_sync_and_not_before)
{
	struct journal *j = create("apply");
	struct stat st, later;

	all_whole(1);
	ck_assert_int_eq(fstatat(dir, file, &st, 0), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	add(j, three[0]);
	ck_assert_int_eq(fstatat(dir, file, &later, 0), 0);
	ck_assert_int_eq(later.st_size, st.st_size);
	ck_assert_int_eq(journal_sync(j, &e), 0);
	all_whole(2);
	ck_assert_int_eq(journal_sync(j, &e), 0);
	journal_close(j);
	all_whole(2);
	journal_close(NULL);
	journal_read_close(NULL);
}
END_TEST

START_TEST(a_journal_torn_at_any_byte_has_the_lines_before_and_goes_on_behind_them)
{
	struct buf b, shorter;
	struct journal *j;
	size_t second, third;

	made("apply", three);
	b = text();
	third = (size_t)((char *)memrchr(b.data, '\n', b.len - 1) + 1 - b.data);
	second = (size_t)((char *)memrchr(b.data, '\n', third - 1) + 1 - b.data);
	for (size_t len = b.len; len-- > second;) {
		size_t lines = len >= third ? 3 : 2;

		put(file, b.data, len, O_TRUNC);
		ck_assert_uint_eq(count_lines(), lines);
		/* Reading does not cut. */
		shorter = text();
		ck_assert_uint_eq(shorter.len, len);
		buf_free(&shorter);
		j = journal_reopen(dir, run, &e);
		ck_assert_msg(j != NULL, "%s", e.text);
		ck_assert_str_eq(journal_run(j), run);
		add(j, "{\"op\":\"rollback\"}");
		ck_assert_int_eq(journal_sync(j, &e), 0);
		journal_close(j);
		all_whole(lines + 1);
		shorter = text();
		ck_assert(memcmp(shorter.data, b.data, lines == 3 ? third : second) == 0);
		buf_free(&shorter);
	}
	buf_free(&b);
}
END_TEST

START_TEST(zeros_or_dirt_behind_the_last_line_are_a_torn_tail)
{
	static const struct {
		const char *bytes;
		size_t len;
	} tails[] = {{"\0\0\0\0", 4}, {"dirt", 4}, {"dirt\n", 5}, {"\n", 1}, {"{\"seq\":4}\n", 10}};
	struct buf b;
	struct journal *j;

	made("apply", three);
	b = text();
	for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
		put(file, b.data, b.len, O_TRUNC);
		put(file, tails[i].bytes, tails[i].len, O_APPEND);
		all_whole(4);
		j = journal_reopen(dir, run, &e);
		ck_assert_msg(j != NULL, "%s", e.text);
		add(j, "{\"op\":\"rollback\"}");
		ck_assert_int_eq(journal_sync(j, &e), 0);
		journal_close(j);
		all_whole(5);
	}
	buf_free(&b);
}
END_TEST

/* True when reading every line ends in an error of the right class. */
static bool
is_damaged(void)
{
	struct journal_reader *r = journal_read_open(dir, run, &e);
	bool damaged = false;

	if (r == NULL) {
		ck_assert_int_eq(e.class, ERR_CATALOGUE);
		return true;
	}
	for (size_t i = 0; i < journal_lines(r) && !damaged; i++) {
		struct json *v;

		e = (struct err){0};
		if ((v = journal_line(r, i, &e)) == NULL) {
			damaged = true;
			ck_assert_int_eq(e.class, ERR_CATALOGUE);
			ck_assert_ptr_nonnull(strstr(e.text, "damaged"));
		}
		json_free(v);
	}
	journal_read_close(r);
	return damaged;
}

START_TEST(a_flipped_bit_in_any_byte_before_the_last_line_is_an_error)
{
	struct buf b;
	size_t last;

	made("apply", three);
	b = text();
	ck_assert(!is_damaged());
	last = (size_t)((char *)memrchr(b.data, '\n', b.len - 1) + 1 - b.data);
	/* Without the newline before it the last line is a longer one, and torn. */
	for (size_t i = 0; i < last - 1; i++) {
		b.data[i] ^= (char)(1 << i % 8);
		put(file, b.data, b.len, O_TRUNC);
		ck_assert_msg(is_damaged(), "byte %zu", i);
		ck_assert_int_eq(journal_count_rows(dir, run, &e), -1);
		ck_assert_int_eq(e.class, ERR_CATALOGUE);
		b.data[i] ^= (char)(1 << i % 8);
	}
	buf_free(&b);
}
END_TEST

START_TEST(lines_that_are_whole_but_missing_twice_or_of_another_run_are_an_error)
{
	struct buf b, other = {0};
	char *second, *third, *fourth;

	made("apply", three);
	b = text();
	second = strchr(b.data, '\n') + 1;
	third = strchr(second, '\n') + 1;
	fourth = strchr(third, '\n') + 1;
	/* 0 2 3 */
	buf_add(&other, b.data, (size_t)(second - b.data), &e);
	buf_adds(&other, third, &e);
	put(file, other.data, other.len, O_TRUNC);
	ck_assert(is_damaged());
	/* 0 1 1 2 3 */
	buf_clear(&other);
	buf_add(&other, b.data, (size_t)(third - b.data), &e);
	buf_adds(&other, second, &e);
	put(file, other.data, other.len, O_TRUNC);
	ck_assert(is_damaged());
	/* 0 2 1 3 */
	buf_clear(&other);
	buf_add(&other, b.data, (size_t)(second - b.data), &e);
	buf_add(&other, third, (size_t)(fourth - third), &e);
	buf_add(&other, second, (size_t)(third - second), &e);
	buf_adds(&other, fourth, &e);
	put(file, other.data, other.len, O_TRUNC);
	ck_assert(is_damaged());
	buf_free(&other);
	buf_free(&b);
}
END_TEST

START_TEST(a_line_longer_than_a_block_comes_back_too)
{
	struct journal *j = create("apply");
	struct json *o = json_new_object(&e), *v;
	struct journal_reader *r;
	struct journal_summary s;
	char *big = malloc(300001);

	memset(big, 'x', 300000);
	big[300000] = '\0';
	ck_assert_int_eq(json_put_str(o, "big", big, &e), 0);
	ck_assert_int_eq(journal_add(j, o, &e), 0);
	ck_assert_int_eq(journal_sync(j, &e), 0);
	ck_assert_int_eq(journal_summarize(dir, run, &s, &e), 0);
	ck_assert_int_eq(s.state, JOURNAL_INTERRUPTED);
	add(j, three[2]);
	ck_assert_int_eq(journal_sync(j, &e), 0);
	journal_close(j);
	ck_assert_int_eq(journal_summarize(dir, run, &s, &e), 0);
	ck_assert_int_eq(s.state, JOURNAL_APPLIED);
	r = reader();
	v = journal_line(r, 1, &e);
	ck_assert_msg(v != NULL, "%s", e.text);
	ck_assert_str_eq(json_get_str(v, "big"), big);
	json_free(v);
	journal_read_close(r);
	free(big);
	all_whole(3);
}
END_TEST

START_TEST(ten_thousand_lines_are_found)
{
	struct journal *j = create("apply");
	char json[64];

	for (int i = 1; i <= 10000; i++) {
		/* Two lines a recording. */
		snprintf(json, sizeof json, "{\"op\":\"row\",\"table\":\"recordings\",\"id\":%d}",
		    (i + 1) / 2);
		add(j, json);
		if (i % 64 == 0)
			ck_assert_int_eq(journal_sync(j, &e), 0);
	}
	ck_assert_int_eq(journal_sync(j, &e), 0);
	journal_close(j);
	all_whole(10001);
	ck_assert_int_eq(journal_count_rows(dir, run, &e), 5000);
}
END_TEST

START_TEST(rows_of_volumes_and_jobs_are_no_recordings)
{
	static const char *const lines[] = {"{\"op\":\"row\",\"table\":\"rec_volumes\",\"id\":1}",
	    "{\"op\":\"row\",\"table\":\"rec_measurements\",\"id\":0}",
	    "{\"op\":\"row\",\"table\":\"jobs\",\"id\":7}",
	    "{\"op\":\"file\",\"action\":\"create\"}", NULL};

	made("apply", lines);
	ck_assert_int_eq(journal_count_rows(dir, run, &e), 1);
}
END_TEST

/* ---- summaries ---- */

START_TEST(a_summary_tells_each_state)
{
#define END "{\"op\":\"end\",\"rows\":3,\"problems\":1,\"finished_at\":\"2025-09-05T10:00:00Z\"}"
#define BACK                                                                                       \
	"{\"op\":\"rollback\",\"rows\":3,\"problems\":1,\"finished_at\":\"2025-09-05T10:00:00Z\"}"
#define GONE                                                                                       \
	"{\"op\":\"rolled_back\",\"rows\":3,\"problems\":1,\"finished_at\":\"2025-09-05T10:00:"    \
	"00Z\"}"
	static const struct {
		const char *lines[4];
		enum journal_state state;
		const char *name;
		bool ended;
	} want[] = {
	    {{NULL}, JOURNAL_INTERRUPTED, "interrupted", false},
	    {{"{\"op\":\"row\",\"table\":\"recordings\",\"id\":1}"}, JOURNAL_INTERRUPTED,
		"interrupted", false},
	    {{END}, JOURNAL_APPLIED, "applied", true},
	    {{END, BACK}, JOURNAL_ROLLING_BACK, "interrupted", false},
	    {{END, BACK, GONE}, JOURNAL_ROLLED_BACK, "rolled_back", true},
	};
	struct journal_summary s;
	struct buf b;

	made("apply", want[_i].lines);
	for (int torn = 0; torn < 2; torn++) {
		ck_assert_msg(journal_summarize(dir, run, &s, &e) == 0, "%s", e.text);
		ck_assert_str_eq(s.run, run);
		ck_assert_str_eq(s.kind, "apply");
		ck_assert(clock_is_rfc3339(s.started_at));
		ck_assert_int_eq(s.state, want[_i].state);
		ck_assert_str_eq(journal_state_name(s.state), want[_i].name);
		ck_assert_int_eq(s.rows, want[_i].ended ? 3 : -1);
		ck_assert_int_eq(s.problems, want[_i].ended ? 1 : -1);
		ck_assert_str_eq(s.finished_at, want[_i].ended ? "2025-09-05T10:00:00Z" : "");
		/* The same with a torn line behind it. */
		put(file, "{\"seq\":9,\"op\":\"rolled_ba", 25, O_APPEND);
	}
	/* And with one whose newline arrived alone. */
	put(file, "\n", 1, O_APPEND);
	ck_assert_int_eq(journal_summarize(dir, run, &s, &e), 0);
	ck_assert_int_eq(s.state, want[_i].state);
	/* Without a first line there is nothing to tell. */
	b = text();
	b.data[3] ^= 1;
	put(file, b.data, b.len, O_TRUNC);
	buf_free(&b);
	ck_assert_int_eq(journal_summarize(dir, run, &s, &e), -1);
	ck_assert_int_eq(e.class, ERR_CATALOGUE);
}
END_TEST

START_TEST(a_run_that_is_not_there_or_empty_is_an_error)
{
	struct journal_summary s;

	snprintf(run, sizeof run, "20250905T100000.000000Z-0123abcd");
	snprintf(file, sizeof file, "%s.jsonl", run);
	ck_assert_int_eq(journal_summarize(dir, run, &s, &e), -1);
	ck_assert_ptr_null(journal_read_open(dir, run, &e));
	ck_assert_int_eq(e.class, ERR_CATALOGUE);
	ck_assert_ptr_null(journal_reopen(dir, run, &e));
	ck_assert_int_eq(journal_count_rows(dir, run, &e), -1);
	put(file, "", 0, O_TRUNC);
	ck_assert_int_eq(journal_summarize(dir, run, &s, &e), -1);
	ck_assert_int_eq(e.class, ERR_CATALOGUE);
}
END_TEST

/* ---- names ---- */

START_TEST(names_of_runs_are_told_by_their_form)
{
	static const char *const wrong[] = {"", "20250905T100000Z", "20250905T100000.123456Z",
	    "20250905T100000.123456Z-0123abc", "20250905T100000.123456Z-0123abcde",
	    "20250905T100000.123456Z-0123abcg", "../20250905T100000.123456Z-0123abcd",
	    "20250905 100000.123456Z-0123abcd", "2025o905T100000.123456Z-0123abcd"};

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		ck_assert_msg(!journal_is_run(wrong[i]), "%s", wrong[i]);
	ck_assert(journal_is_run("20250905T100000.123456Z-0123abcd"));
}
END_TEST

START_TEST(runs_are_listed_oldest_first_and_other_files_left_out)
{
	static const char *const others[] = {"notes.jsonl", "20250905T100000.123456Z-0123abcd",
	    ".jsonl", "x", ".rec-20250905T100000.123456Z-0123abcd.jsonl.0123abcd.tmp",
	    "20250905T100000.123456Z-0123abcd.jsonl.bak"};
	char names[20][JOURNAL_RUN_MAX], **runs;
	size_t n;

	ck_assert_int_eq(journal_list(dir, &runs, &n, &e), 0);
	ck_assert_uint_eq(n, 0);
	journal_list_free(runs, n);
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		put(others[i], "x", 1, 0);
	for (int i = 0; i < 20; i++) {
		journal_close(create("add"));
		ck_assert(journal_is_run(run));
		memcpy(names[i], run, sizeof run);
		ck_assert(i == 0 || strcmp(names[i - 1], names[i]) < 0);
	}
	ck_assert_int_eq(journal_list(dir, &runs, &n, &e), 0);
	ck_assert_uint_eq(n, 20);
	for (int i = 0; i < 20; i++)
		ck_assert_str_eq(runs[i], names[i]);
	journal_list_free(runs, n);
	/* No folder: no runs. */
	ck_assert_int_eq(journal_list(-1, &runs, &n, &e), 0);
	ck_assert_uint_eq(n, 0);
	journal_list_free(runs, n);
}
END_TEST

START_TEST(a_run_sorts_behind_every_other_also_when_the_clock_was_set_back)
{
	static const char *const ahead[] = {"20991231T235959.999999Z-ffffffff",
	    "21000228T235959.000000Z-00000000", "99981231T235959.999999Z-ffffffff"};
	char name[64], before[JOURNAL_RUN_MAX];

	for (size_t i = 0; i < sizeof ahead / sizeof ahead[0]; i++) {
		snprintf(name, sizeof name, "%s.jsonl", ahead[i]);
		put(name, "x", 1, 0);
		journal_close(create("add"));
		ck_assert_str_gt(run, ahead[i]);
		ck_assert(journal_is_run(run));
		memcpy(before, run, sizeof run);
		journal_close(create("add"));
		ck_assert_str_gt(run, before);
		all_whole(1);
	}
}
END_TEST

START_TEST(behind_a_name_that_is_no_time_there_is_an_error_and_no_wait)
{
	static const char *const last[] = {
	    "99991231T235959.999999Z-ffffffff", "99990000T000000.000000Z-00000000"};
	char name[64];

	snprintf(name, sizeof name, "%s.jsonl", last[_i]);
	put(name, "x", 1, 0);
	ck_assert_ptr_null(journal_create(dir, "add", "rec-test 1", &e));
	ck_assert_int_eq(e.class, ERR_CATALOGUE);
	ck_assert_ptr_nonnull(strstr(e.text, last[_i]));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("journal");
	TCase *t = tcase_create("journal");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, lines_come_back_as_they_were_written_in_any_order);
	tcase_add_test(t, each_line_is_an_object_on_a_line_that_ends_with_its_sum);
	tcase_add_test(t, what_was_added_is_on_disk_after_a_sync_and_not_before);
	tcase_add_test(t, a_journal_torn_at_any_byte_has_the_lines_before_and_goes_on_behind_them);
	tcase_add_test(t, zeros_or_dirt_behind_the_last_line_are_a_torn_tail);
	tcase_add_test(t, a_flipped_bit_in_any_byte_before_the_last_line_is_an_error);
	tcase_add_test(t, lines_that_are_whole_but_missing_twice_or_of_another_run_are_an_error);
	tcase_add_test(t, a_line_longer_than_a_block_comes_back_too);
	tcase_add_test(t, ten_thousand_lines_are_found);
	tcase_add_test(t, rows_of_volumes_and_jobs_are_no_recordings);
	tcase_add_loop_test(t, a_summary_tells_each_state, 0, 5);
	tcase_add_test(t, a_run_that_is_not_there_or_empty_is_an_error);
	tcase_add_test(t, names_of_runs_are_told_by_their_form);
	tcase_add_test(t, runs_are_listed_oldest_first_and_other_files_left_out);
	tcase_add_test(t, a_run_sorts_behind_every_other_also_when_the_clock_was_set_back);
	tcase_add_loop_test(t, behind_a_name_that_is_no_time_there_is_an_error_and_no_wait, 0, 2);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
