/* record: a measure goes into a record and comes back the same; what another stage made is checked.
 */
#include "record.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct err e;
static struct json *rec;
static struct measure m, back;

static void
setup(void)
{
	e = (struct err){0};
	rec = json_new_object(&e);
	audio_measure_init(&m);
	audio_measure_init(&back);
}

static void
teardown(void)
{
	json_free(rec);
	audio_measure_free(&m);
	audio_measure_free(&back);
}

/* A measure with every field filled. */
static void
fill(void)
{
	m.size_bytes = INT64_C(9007199254740993);
	strcpy(m.mtime, "2025-09-05T10:00:00.123456789Z");
	strcpy(m.container, "wav");
	strcpy(m.codec, "pcm_s16le");
	strcpy(m.mime_type, "audio/x-wav");
	m.sample_rate_hz = 44100;
	m.channels = 2;
	m.bits_per_sample = 16;
	m.frames = 66150;
	m.duration_s = 1.5;
	m.bit_rate_bps = 1411200;
	memset(m.xxh3_128, 'a', 32);
	memset(m.sha256, '0', 64);
	memset(m.audio_xxh3_128, 'f', 32);
	m.peak_dbfs = -0.1;
	m.true_peak_dbtp = 0.30000000000000004;
	m.rms_dbfs = -18.06179973983887;
	m.loudness_lufs = -23;
	m.loudness_range_lu = 0;
	m.clipped_frames = 0;
	m.leading_silence_s = 1e-7;
	m.trailing_silence_s = 0.25;
	strcpy(m.quality, "cd_quality");
	m.tags = json_parse("{\"title\":\"Ünïcode\",\"artist\":\"\"}", 33, &e);
	ck_assert_msg(m.tags != NULL, "%s", e.text);
	strcpy(m.prober, "rectools/0.1.0 measures/1");
}

static int
get(void)
{
	audio_measure_free(&back);
	e = (struct err){0};
	return record_get_measure(rec, &back, &e);
}

static bool
same_real(double a, double b)
{
	return isnan(a) ? isnan(b) : a == b;
}

static void
same(void)
{
	ck_assert_int_eq(back.size_bytes, m.size_bytes);
	ck_assert_str_eq(back.mtime, m.mtime);
	ck_assert_str_eq(back.container, m.container);
	ck_assert_str_eq(back.codec, m.codec);
	ck_assert_str_eq(back.mime_type, m.mime_type);
	ck_assert_int_eq(back.sample_rate_hz, m.sample_rate_hz);
	ck_assert_int_eq(back.channels, m.channels);
	ck_assert_int_eq(back.bits_per_sample, m.bits_per_sample);
	ck_assert_int_eq(back.frames, m.frames);
	ck_assert(same_real(back.duration_s, m.duration_s));
	ck_assert_int_eq(back.bit_rate_bps, m.bit_rate_bps);
	ck_assert_str_eq(back.xxh3_128, m.xxh3_128);
	ck_assert_str_eq(back.sha256, m.sha256);
	ck_assert_str_eq(back.audio_xxh3_128, m.audio_xxh3_128);
	ck_assert(same_real(back.peak_dbfs, m.peak_dbfs));
	ck_assert(same_real(back.true_peak_dbtp, m.true_peak_dbtp));
	ck_assert(same_real(back.rms_dbfs, m.rms_dbfs));
	ck_assert(same_real(back.loudness_lufs, m.loudness_lufs));
	ck_assert(same_real(back.loudness_range_lu, m.loudness_range_lu));
	ck_assert_int_eq(back.clipped_frames, m.clipped_frames);
	ck_assert(same_real(back.leading_silence_s, m.leading_silence_s));
	ck_assert(same_real(back.trailing_silence_s, m.trailing_silence_s));
	ck_assert_str_eq(back.quality, m.quality);
	ck_assert_int_eq(back.tags == NULL, m.tags == NULL);
	ck_assert(m.tags == NULL || json_same(back.tags, m.tags));
	ck_assert_str_eq(back.prober, m.prober);
	ck_assert_int_eq(back.problem.class, m.problem.class);
	if (m.problem.class != ERR_NONE) {
		ck_assert_str_eq(back.problem.code, m.problem.code);
		ck_assert_str_eq(back.problem.text, m.problem.text);
	}
}

/* Through text, as from one stage to the next. */
static void
through_text(void)
{
	struct buf b = {0};

	ck_assert_int_eq(json_write(rec, &b, &e), 0);
	json_free(rec);
	rec = json_parse(b.data, b.len, &e);
	ck_assert_msg(rec != NULL, "%s", e.text);
	buf_free(&b);
}

START_TEST(a_measure_comes_back_as_it_was)
{
	fill();
	ck_assert_int_eq(record_put_measure(rec, &m, &e), 0);
	through_text();
	ck_assert_msg(get() == 1, "%s", e.text);
	same();
	ck_assert(!record_has_problem(rec));
}
END_TEST

START_TEST(a_measure_of_which_all_is_unknown_comes_back_too)
{
	const char *key;
	struct json *v;

	strcpy(m.prober, "rectools/0.1.0 measures/1");
	ck_assert_int_eq(record_put_measure(rec, &m, &e), 0);
	for (void *it = json_first(rec, &key, &v); it != NULL; it = json_next(rec, it, &key, &v))
		ck_assert_msg(
		    (json_kind(v) == JSON_KIND_NULL) == (strcmp(key, "prober") != 0), "%s", key);
	through_text();
	ck_assert_msg(get() == 1, "%s", e.text);
	same();
}
END_TEST

START_TEST(each_problem_that_measuring_finds_comes_back)
{
	static const char *const codes[] = {P_UNREADABLE, P_MODIFIED, P_EMPTY, P_NOT_AUDIO,
	    P_UNSUPPORTED, P_DECODE_ERROR, P_ZERO_TAIL, P_TRUNCATED, P_HEADER_MISMATCH, P_MISSING,
	    P_DENIED};

	fill();
	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
		err_item(&m.problem, codes[i], "what is wrong, “%zu”", i);
		ck_assert_int_eq(record_put_measure(rec, &m, &e), 0);
		ck_assert(record_has_problem(rec));
		ck_assert_msg(get() == 1, "%s", e.text);
		same();
	}
	/* A measure without one takes an older one away. */
	m.problem = (struct err){0};
	ck_assert_int_eq(record_put_measure(rec, &m, &e), 0);
	ck_assert(!record_has_problem(rec));
	ck_assert_ptr_null(json_get(rec, "problem"));
}
END_TEST

START_TEST(keys_of_others_are_passed_through)
{
	fill();
	ck_assert_int_eq(json_put_str(rec, "path", "a.wav", &e), 0);
	ck_assert_int_eq(json_put_int(rec, "my_key", 5, &e), 0);
	ck_assert_int_eq(record_put_measure(rec, &m, &e), 0);
	ck_assert_str_eq(json_get_str(rec, "path"), "a.wav");
	ck_assert_int_eq(json_kind(json_get(rec, "my_key")), JSON_KIND_INT);
	ck_assert_int_eq(get(), 1);
}
END_TEST

START_TEST(a_record_that_lacks_any_key_holds_no_measure)
{
	struct json *whole, *v;
	const char *key;

	fill();
	ck_assert_int_eq(get(), 0);
	ck_assert_int_eq(record_put_measure(rec, &m, &e), 0);
	whole = json_clone(rec, &e);
	for (void *it = json_first(whole, &key, &v); it != NULL;
	     it = json_next(whole, it, &key, &v)) {
		json_free(rec);
		rec = json_clone(whole, &e);
		json_del(rec, key);
		ck_assert_msg(get() == 0, "without %s", key);
	}
	json_free(whole);
}
END_TEST

/* key: json in an otherwise good record. */
static int
with(const char *key, const char *json)
{
	struct json *v = json_parse(json, strlen(json), &e);

	ck_assert_msg(v != NULL, "%s", json);
	ck_assert_int_eq(record_put_measure(rec, &m, &e), 0);
	ck_assert_int_eq(json_put(rec, key, v, &e), 0);
	return get();
}

static void
is_bad(const char *key, const char *json)
{
	ck_assert_msg(with(key, json) == -1, "%s: %s was accepted", key, json);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_str_eq(e.code, P_BAD_RECORD);
	ck_assert_msg(strstr(e.text, key) != NULL, "no \"%s\" in: %s", key, e.text);
}

static void
is_fine(const char *key, const char *json)
{
	ck_assert_msg(with(key, json) == 1, "%s: %s: %s", key, json, e.text);
}

START_TEST(a_whole_number_of_another_type_or_out_of_range_is_a_bad_record)
{
	static const struct {
		const char *key, *least, *most, *below, *above;
	} n[] = {
	    {"size_bytes", "0", "9000000000000000000", "-1", "9223372036854775807"},
	    {"sample_rate_hz", "1", "1000000000", "0", "1000000001"},
	    {"channels", "1", "1024", "0", "1025"},
	    {"bits_per_sample", "1", "64", "0", "65"},
	    {"frames", "0", "9000000000000000000", "-1", "9223372036854775807"},
	    {"bit_rate_bps", "0", "1000000000000000", "-1", "1000000000000001"},
	    {"clipped_frames", "0", "9000000000000000000", "-1", "9223372036854775807"},
	};
	static const char *const types[] = {
	    "\"1\"", "1.0", "1.5", "true", "[]", "{}", "-9223372036854775808"};

	fill();
	for (size_t i = 0; i < sizeof n / sizeof n[0]; i++) {
		is_fine(n[i].key, "null");
		is_fine(n[i].key, n[i].least);
		is_fine(n[i].key, n[i].most);
		is_bad(n[i].key, n[i].below);
		is_bad(n[i].key, n[i].above);
		for (size_t k = 0; k < sizeof types / sizeof types[0]; k++)
			is_bad(n[i].key, types[k]);
	}
}
END_TEST

START_TEST(a_real_number_of_another_type_or_out_of_range_is_a_bad_record)
{
	static const struct {
		const char *key, *least, *most, *below, *above;
	} n[] = {
	    {"duration_s", "0", "1e12", "-1e-9", "1.1e12"},
	    {"peak_dbfs", "-2000", "2000.0", "-2000.1", "2001"},
	    {"true_peak_dbtp", "-2000", "2000.0", "-2000.1", "2001"},
	    {"rms_dbfs", "-2000", "2000.0", "-2000.1", "2001"},
	    {"loudness_lufs", "-2000", "2000.0", "-2000.1", "2001"},
	    {"loudness_range_lu", "0.0", "2000", "-0.1", "1e300"},
	    {"leading_silence_s", "0", "1e12", "-1", "1e13"},
	    {"trailing_silence_s", "0", "1e12", "-1", "1e13"},
	};
	static const char *const types[] = {"\"1.0\"", "\"inf\"", "false", "[1]", "{}"};

	fill();
	for (size_t i = 0; i < sizeof n / sizeof n[0]; i++) {
		is_fine(n[i].key, "null");
		is_fine(n[i].key, n[i].least);
		is_fine(n[i].key, n[i].most);
		is_bad(n[i].key, n[i].below);
		is_bad(n[i].key, n[i].above);
		for (size_t k = 0; k < sizeof types / sizeof types[0]; k++)
			is_bad(n[i].key, types[k]);
	}
}
END_TEST

START_TEST(a_text_of_another_type_or_too_long_is_a_bad_record)
{
	static const struct {
		const char *key;
		size_t most;
	} n[] = {{"container", 15}, {"codec", 23}, {"mime_type", 31}};
	static const char *const types[] = {"1", "1.0", "true", "[]", "{}", "\"a\\u0000b\""};
	char json[64];

	fill();
	for (size_t i = 0; i < sizeof n / sizeof n[0]; i++) {
		memset(json, 'x', sizeof json);
		json[0] = json[n[i].most + 1] = '"';
		json[n[i].most + 2] = '\0';
		is_fine(n[i].key, "null");
		is_fine(n[i].key, json);
		json[n[i].most + 1] = 'x';
		json[n[i].most + 2] = '"';
		json[n[i].most + 3] = '\0';
		is_bad(n[i].key, json);
		for (size_t k = 0; k < sizeof types / sizeof types[0]; k++)
			is_bad(n[i].key, types[k]);
	}
}
END_TEST

START_TEST(a_hash_is_lower_case_hexadecimal_of_its_length)
{
	static const char *const keys[] = {"xxh3_128", "sha256", "audio_xxh3_128"};
	static const size_t len[] = {32, 64, 32};
	char json[80];

	fill();
	for (size_t i = 0; i < 3; i++) {
		for (size_t n = len[i] - 1; n <= len[i] + 1; n++) {
			snprintf(json, sizeof json, "\"%.*s\"", (int)n,
			    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef00");
			if (n == len[i])
				is_fine(keys[i], json);
			else
				is_bad(keys[i], json);
		}
		snprintf(json, sizeof json, "\"%.*s\"", (int)len[i],
		    "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef00");
		is_bad(keys[i], json);
		json[11] = 'g';
		is_bad(keys[i], json);
		is_bad(keys[i], "\"\"");
		is_bad(keys[i], "5");
		is_fine(keys[i], "null");
	}
}
END_TEST

START_TEST(a_time_has_its_form)
{
	fill();
	is_fine("mtime", "\"2025-09-05T10:00:00Z\"");
	is_fine("mtime", "null");
	is_bad("mtime", "\"2025-09-05 10:00:00\"");
	is_bad("mtime", "\"2025-09-05T10:00:00+02:00\"");
	is_bad("mtime", "\"yesterday\"");
	is_bad("mtime", "\"\"");
	is_bad("mtime", "1757066400");
	is_bad("mtime", "\"2025-09-05T10:00:00.00000000000000000000000000000Z\"");
}
END_TEST

START_TEST(a_quality_is_one_of_the_four)
{
	fill();
	is_fine("quality", "\"high_resolution\"");
	is_fine("quality", "\"cd_quality\"");
	is_fine("quality", "\"low_quality\"");
	is_fine("quality", "\"unknown\"");
	is_fine("quality", "null");
	is_bad("quality", "\"superb\"");
	is_bad("quality", "\"Cd_quality\"");
	is_bad("quality", "\"high_resolution_and_more\"");
	is_bad("quality", "1");
}
END_TEST

START_TEST(tags_are_an_object_of_strings_up_to_a_mebibyte)
{
	char *big = malloc((1 << 20) + 100);

	fill();
	is_fine("tags", "null");
	is_fine("tags", "{}");
	is_fine("tags", "{\"a\":\"\"}");
	is_bad("tags", "[]");
	is_bad("tags", "\"{}\"");
	is_bad("tags", "1");
	is_bad("tags", "{\"a\":1}");
	is_bad("tags", "{\"a\":\"x\",\"b\":{\"c\":\"x\"}}");
	is_bad("tags", "{\"a\":null}");
	memset(big, 'x', (1 << 20) + 100);
	memcpy(big, "{\"a\":\"", 6);
	strcpy(big + (1 << 20) - 2, "\"}");
	is_fine("tags", big);
	big[(1 << 20) - 2] = 'x';
	strcpy(big + (1 << 20) - 1, "\"}");
	is_bad("tags", big);
	free(big);
}
END_TEST

START_TEST(a_prober_is_a_text_that_fits)
{
	char json[AUDIO_PROBER_MAX + 8];

	fill();
	memset(json, 'x', sizeof json);
	json[0] = json[AUDIO_PROBER_MAX] = '"';
	json[AUDIO_PROBER_MAX + 1] = '\0';
	is_fine("prober", json);
	json[AUDIO_PROBER_MAX] = 'x';
	json[AUDIO_PROBER_MAX + 1] = '"';
	json[AUDIO_PROBER_MAX + 2] = '\0';
	is_bad("prober", json);
	is_bad("prober", "5");
	is_bad("prober", "{}");
	is_bad("prober", "\"a\\u0000b\"");
	/* Nobody measured. */
	ck_assert_int_eq(with("prober", "null"), 0);
}
END_TEST

START_TEST(a_problem_that_measuring_does_not_find_is_a_bad_record)
{
	fill();
	is_fine("problem", "null");
	is_fine("problem", "{\"code\":\"truncated\",\"message\":\"x\"}");
	is_bad("problem", "{\"code\":\"conflict\",\"message\":\"x\"}");
	is_bad("problem", "{\"code\":\"worn_out\",\"message\":\"x\"}");
	is_bad("problem", "{\"code\":\"truncated\"}");
	is_bad("problem", "{\"message\":\"x\"}");
	is_bad("problem", "{\"code\":5,\"message\":\"x\"}");
	is_bad("problem", "{\"code\":\"truncated\",\"message\":5}");
	is_bad("problem", "{}");
	is_bad("problem", "\"truncated\"");
	is_bad("problem", "[]");
}
END_TEST

START_TEST(columns_are_the_keys_with_tags_as_text_and_without_the_problem)
{
	struct json *v, *tags;
	const char *key, *text;

	fill();
	err_item(&m.problem, P_TRUNCATED, "short");
	ck_assert_int_eq(record_put_columns(rec, &m, &e), 0);
	ck_assert_ptr_null(json_get(rec, "problem"));
	ck_assert_ptr_nonnull(text = json_get_str(rec, "tags"));
	tags = json_parse(text, strlen(text), &e);
	ck_assert(json_same(tags, m.tags));
	json_free(tags);
	for (void *it = json_first(rec, &key, &v); it != NULL; it = json_next(rec, it, &key, &v))
		ck_assert_msg(
		    json_kind(v) != JSON_KIND_OBJECT && json_kind(v) != JSON_KIND_NULL, "%s", key);
	audio_measure_free(&m);
	audio_measure_init(&m);
	ck_assert_int_eq(record_put_columns(rec, &m, &e), 0);
	for (void *it = json_first(rec, &key, &v); it != NULL; it = json_next(rec, it, &key, &v))
		ck_assert_msg(json_kind(v) == JSON_KIND_NULL, "%s", key);
}
END_TEST

START_TEST(a_path_is_any_bytes_that_name_a_file)
{
	static const char *const wrong[] = {"{}", "{\"path\":null}", "{\"path\":\"\"}",
	    "{\"path\":5}", "{\"path\":\"a\\u0000b\"}", "{\"path_hex\":\"610062\"}",
	    "{\"path_hex\":\"6\"}", "{\"path_hex\":\"\"}", "[]", "\"a\"", "null", "5"};
	char *path;
	size_t len;

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		json_free(rec);
		rec = json_parse(wrong[i], strlen(wrong[i]), &e);
		e = (struct err){0};
		ck_assert_msg(record_get_path(rec, &path, &len, &e) == -1, "%s", wrong[i]);
		ck_assert_int_eq(e.class, ERR_ITEM);
		ck_assert_str_eq(e.code, P_BAD_RECORD);
		ck_assert_ptr_null(path);
	}
	json_free(rec);
	rec = json_parse("{\"path_hex\":\"61ff\"}", 19, &e);
	ck_assert_int_eq(record_get_path(rec, &path, &len, &e), 0);
	ck_assert_uint_eq(len, 2);
	ck_assert_str_eq(path, "a\xff");
	free(path);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("record");
	TCase *t = tcase_create("record");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_measure_comes_back_as_it_was);
	tcase_add_test(t, a_measure_of_which_all_is_unknown_comes_back_too);
	tcase_add_test(t, each_problem_that_measuring_finds_comes_back);
	tcase_add_test(t, keys_of_others_are_passed_through);
	tcase_add_test(t, a_record_that_lacks_any_key_holds_no_measure);
	tcase_add_test(t, a_whole_number_of_another_type_or_out_of_range_is_a_bad_record);
	tcase_add_test(t, a_real_number_of_another_type_or_out_of_range_is_a_bad_record);
	tcase_add_test(t, a_text_of_another_type_or_too_long_is_a_bad_record);
	tcase_add_test(t, a_hash_is_lower_case_hexadecimal_of_its_length);
	tcase_add_test(t, a_time_has_its_form);
	tcase_add_test(t, a_quality_is_one_of_the_four);
	tcase_add_test(t, tags_are_an_object_of_strings_up_to_a_mebibyte);
	tcase_add_test(t, a_prober_is_a_text_that_fits);
	tcase_add_test(t, a_problem_that_measuring_does_not_find_is_a_bad_record);
	tcase_add_test(t, columns_are_the_keys_with_tags_as_text_and_without_the_problem);
	tcase_add_test(t, a_path_is_any_bytes_that_name_a_file);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
