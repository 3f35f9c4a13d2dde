/* json: what went in comes out, and what is no JSON is a bad record. */
#include "json.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct err e;
static struct buf b;

static void
setup(void)
{
	e = (struct err){0};
	b = (struct buf){0};
}

static void
teardown(void)
{
	buf_free(&b);
}

static struct json *
parsed(const char *text)
{
	struct json *v = json_parse(text, strlen(text), &e);

	ck_assert_msg(v != NULL, "%s: %s", text, e.text);
	return v;
}

static const char *
written(const struct json *v)
{
	buf_clear(&b);
	ck_assert_int_eq(json_write(v, &b, &e), 0);
	return b.data;
}

/* text in is `out` out, and that again is itself. */
static void
comes_out_as(const char *text, const char *out)
{
	struct json *v = parsed(text), *again;

	ck_assert_str_eq(written(v), out);
	again = parsed(out);
	ck_assert(json_same(v, again));
	ck_assert_str_eq(written(again), out);
	json_free(v);
	json_free(again);
}

static void
refused(const char *text, size_t len)
{
	struct json *v;

	e = (struct err){0};
	v = json_parse(text, len, &e);
	ck_assert_msg(v == NULL, "accepted: %s", text);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_ptr_nonnull(e.code);
	ck_assert_str_eq(e.code, P_BAD_RECORD);
	ck_assert_str_ne(e.text, "");
}

START_TEST(numbers_come_out_as_they_went_in)
{
	static const char *const same[] = {"0", "1", "-1", "9007199254740993", "-9007199254740993",
	    "9223372036854775807", "-9223372036854775808", "0.1", "-0.0", "0.0", "1.0", "1e+100",
	    "-1e+100", "1e-07", "0.3", "1.7976931348623157e+308", "2.2250738585072014e-308",
	    "5e-324", "3.141592653589793", "44100.0", "0.30000000000000004",
	    "1.2345678901234568e+17"};

	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
		comes_out_as(same[i], same[i]);
	comes_out_as("1e100", "1e+100");
	comes_out_as("1E-7", "1e-07");
	comes_out_as("1.50", "1.5");
	comes_out_as("0.1000000000000000055511151231257827", "0.1");
}
END_TEST

START_TEST(a_whole_number_stays_one_and_a_real_stays_one)
{
	struct json *v = parsed("{\"n\":2,\"r\":2.0}");
	int64_t n = 7;
	double d = 7;

	ck_assert_int_eq(json_kind(json_get(v, "n")), JSON_KIND_INT);
	ck_assert_int_eq(json_kind(json_get(v, "r")), JSON_KIND_REAL);
	ck_assert(!json_get_int(v, "r", &n));
	ck_assert_int_eq(n, 7);
	ck_assert(json_get_real(v, "n", &d) && d == 2);
	ck_assert(!json_same(json_get(v, "n"), json_get(v, "r")));
	ck_assert_str_eq(written(v), "{\"n\":2,\"r\":2.0}");
	json_free(v);
}
END_TEST

START_TEST(every_double_reads_back_as_itself)
{
	struct json *o = json_new_object(&e), *v;
	uint64_t bits = 88172645463325252u;
	double d, back;

	for (int i = 0; i < 200000; i++) {
		bits ^= bits << 13;
		bits ^= bits >> 7;
		bits ^= bits << 17;
		memcpy(&d, &bits, sizeof d);
		if (!isfinite(d))
			continue;
		ck_assert_int_eq(json_put_real(o, "d", d, &e), 0);
		v = parsed(written(o));
		ck_assert(json_get_real(v, "d", &back));
		ck_assert_msg(memcmp(&d, &back, sizeof d) == 0, "%a came back as %a", d, back);
		json_free(v);
	}
	json_free(o);
}
END_TEST

START_TEST(a_real_of_few_decimals_is_written_as_printf_does)
{
	uint64_t state = 1;

	for (int i = 0; i < 200000; i++) {
		struct json *o = json_new_object(&e);
		char want[64];
		double v;

		state = state * 6364136223846793005u + 1442695040888963407u;
		v = (double)(int64_t)(state >> (i % 60)) / pow(10, i % 7) * (i % 2 == 0 ? 1 : -1);
		snprintf(want, sizeof want, "%.15g", v);
		if (strtod(want, NULL) != v) {
			json_free(o);
			continue;
		}
		if (strpbrk(want, ".e") == NULL)
			strcat(want, ".0");
		ck_assert_int_eq(json_put_real(o, "d", v, &e), 0);
		ck_assert_int_eq(json_write(json_get(o, "d"), &b, &e), 0);
		ck_assert_str_eq(b.data, want);
		buf_clear(&b);
		json_free(o);
	}
}
END_TEST

START_TEST(numbers_that_fit_no_machine_word_pass_through_and_are_neither_whole_nor_real)
{
	static const char *const huge[] = {"9223372036854775808", "-9223372036854775809",
	    "99999999999999999999999999", "1e400", "-1E+400",
	    "{\"a\":18446744073709551616,\"b\":\"1e999\",\"c\":[1e999,2,\"\\\"1e999\"]}"};
	struct json *v;
	int64_t n = 7;
	double d = 7;

	for (size_t i = 0; i < sizeof huge / sizeof huge[0]; i++)
		comes_out_as(huge[i], huge[i]);
	v = parsed("{\"a\":9223372036854775808}");
	ck_assert(!json_get_int(v, "a", &n) && !json_get_real(v, "a", &d) && n == 7 && d == 7);
	json_free(v);
}
END_TEST

START_TEST(what_only_looks_like_a_number_is_a_bad_record)
{
	static const char *const wrong[] = {
	    "NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1.", "0x10", "1e", "--1"};

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		refused(wrong[i], strlen(wrong[i]));
}
END_TEST

START_TEST(what_is_no_number_becomes_null)
{
	struct json *o = json_new_object(&e);

	ck_assert_int_eq(json_put_real(o, "nan", NAN, &e), 0);
	ck_assert_int_eq(json_put_real(o, "inf", INFINITY, &e), 0);
	ck_assert_int_eq(json_put_real(o, "minus", -INFINITY, &e), 0);
	ck_assert_int_eq(json_put_str(o, "none", NULL, &e), 0);
	ck_assert_int_eq(json_put_null(o, "null", &e), 0);
	ck_assert_str_eq(
	    written(o), "{\"nan\":null,\"inf\":null,\"minus\":null,\"none\":null,\"null\":null}");
	json_free(o);
}
END_TEST

START_TEST(keys_keep_their_order_also_when_a_value_is_replaced)
{
	struct json *o = parsed("{\"z\":1,\"a\":2,\"m\":{\"y\":1,\"b\":2}}"), *v, *copy;
	const char *key, *names[] = {"z", "a", "m", "new"};
	size_t n = 0;

	ck_assert_int_eq(json_put_int(o, "a", 3, &e), 0);
	ck_assert_int_eq(json_put_bool(o, "new", true, &e), 0);
	ck_assert_str_eq(written(o), "{\"z\":1,\"a\":3,\"m\":{\"y\":1,\"b\":2},\"new\":true}");
	for (void *it = json_first(o, &key, &v); it != NULL; it = json_next(o, it, &key, &v))
		ck_assert_str_eq(key, names[n++]);
	ck_assert_uint_eq(n, 4);
	ck_assert_uint_eq(json_count(o), 4);
	copy = json_clone(o, &e);
	json_del(o, "z");
	json_del(o, "not there");
	ck_assert_str_eq(written(o), "{\"a\":3,\"m\":{\"y\":1,\"b\":2},\"new\":true}");
	ck_assert_str_eq(written(copy), "{\"z\":1,\"a\":3,\"m\":{\"y\":1,\"b\":2},\"new\":true}");
	ck_assert(!json_same(o, copy));
	json_free(copy);
	json_free(o);
	/* The order is no difference. */
	o = parsed("{\"a\":1,\"b\":2}");
	copy = parsed("{\"b\":2,\"a\":1}");
	ck_assert(json_same(o, copy));
	json_free(copy);
	json_free(o);
}
END_TEST

START_TEST(a_line_is_one_line_and_text_survives_it)
{
	static const char text[] = "q\" b\\ n\n t\t r\r f\f \x01 \x7f / ü 録 🎤";
	struct json *v, *o = json_new_object(&e);

	ck_assert_int_eq(json_put_str(o, "s", text, &e), 0);
	ck_assert_ptr_null(strpbrk(written(o), "\n\r\t\x01\x7f"));
	v = parsed(b.data);
	ck_assert_str_eq(json_get_str(v, "s"), text);
	json_free(v);
	json_free(o);
	comes_out_as("\"\\u00fc\\uD83C\\uDFA4\\/\"", "\"ü🎤/\"");
	comes_out_as("{\"a\\nb\":1}", "{\"a\\nb\":1}");
	comes_out_as(" [ 1 , \"x\" , [ ] , { } , true , false , null ] \n",
	    "[1,\"x\",[],{},true,false,null]");
}
END_TEST

START_TEST(a_nul_in_a_string_is_kept)
{
	struct json *v = parsed("[\"a\\u0000b\"]");
	size_t len;
	const char *s = json_to_str(json_at(v, 0), &len);

	ck_assert_uint_eq(len, 3);
	ck_assert(memcmp(s, "a\0b", 3) == 0);
	ck_assert_str_eq(written(v), "[\"a\\u0000b\"]");
	json_free(v);
}
END_TEST

START_TEST(what_is_not_one_json_value_is_a_bad_record)
{
	static const char *const wrong[] = {"", " ", "{", "}", "{\"a\":1", "[1,]", "{\"a\":1,}",
	    "{a:1}", "{'a':1}", "1 2", "{} {}", "{}x", "tru", "nul", "\"abc", "\"\n\"", "\"\t\"",
	    "\"\\x41\"", "\"\\ud800\"", "\"\\udc00x\"", "\"\xff\"", "\"\xed\xa0\x80\"",
	    "\"\xc0\x80\"", "// c\n1", "\xef\xbb\xbf{}", "{\"a\\u0000b\":1}"};

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		refused(wrong[i], strlen(wrong[i]));
	refused("{\"a\":1}\0", 8);
	refused("\"a\0b\"", 5);
}
END_TEST

START_TEST(a_key_that_comes_twice_is_a_bad_record)
{
	refused("{\"a\":1,\"a\":1}", 13);
	refused("[{\"x\":{\"a\":1,\"b\":2,\"a\":3}}]", 27);
	refused("{\"a\":1,\"\\u0061\":2}", 18);
}
END_TEST

START_TEST(depth_beyond_reason_is_a_bad_record_and_reasonable_depth_is_fine)
{
	enum { DEEP = 100000 };
	char *text = malloc(DEEP);
	struct json *v;

	ck_assert_ptr_nonnull(text);
	memset(text, '[', DEEP);
	refused(text, DEEP);
	memset(text, '[', 500);
	memset(text + 500, ']', 500);
	v = json_parse(text, 1000, &e);
	ck_assert_msg(v != NULL, "%s", e.text);
	ck_assert_uint_eq(strlen(written(v)), 1000);
	json_free(v);
	free(text);
}
END_TEST

START_TEST(bytes_are_text_when_they_can_be_and_hexadecimal_else)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *out;
	} want[] = {
	    {"caf\xc3\xa9.wav", 9, "{\"path\":\"café.wav\"}"},
	    {"caf\xe9.wav", 8, "{\"path_hex\":\"636166e92e776176\"}"},
	    {"\xff", 1, "{\"path_hex\":\"ff\"}"},
	    {"", 0, "{\"path\":\"\"}"},
	    {"a\0b", 3, "{\"path\":\"a\\u0000b\"}"},
	    {"a\n\x1b", 3, "{\"path\":\"a\\n\\u001b\"}"},
	};
	struct json *o = json_new_object(&e);
	char *got;
	size_t len;

	/* Into one object: the key that does not apply goes. */
	for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
		ck_assert_int_eq(json_put_bytes(o, "path", want[i].bytes, want[i].len, &e), 0);
		ck_assert_str_eq(written(o), want[i].out);
		ck_assert_int_eq(json_get_bytes(o, "path", &got, &len, &e), 1);
		ck_assert_uint_eq(len, want[i].len);
		ck_assert(memcmp(got, want[i].bytes, len) == 0);
		ck_assert_int_eq(got[len], '\0');
		free(got);
	}
	json_free(o);
}
END_TEST

START_TEST(bytes_that_are_absent_or_null_are_none_and_malformed_ones_a_bad_record)
{
	static const char *const none[] = {
	    "{}", "{\"path\":null}", "{\"path_hex\":null}", "{\"path\":null,\"path_hex\":null}"};
	static const char *const wrong[] = {"{\"path\":5}", "{\"path\":[]}", "{\"path\":true}",
	    "{\"path_hex\":5}", "{\"path_hex\":\"abc\"}", "{\"path_hex\":\"zz\"}",
	    "{\"path_hex\":\"ff \"}"};
	struct json *v;
	char *got = NULL;
	size_t len;

	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
		v = parsed(none[i]);
		ck_assert_int_eq(json_get_bytes(v, "path", &got, &len, &e), 0);
		json_free(v);
	}
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		v = parsed(wrong[i]);
		e = (struct err){0};
		ck_assert_int_eq(json_get_bytes(v, "path", &got, &len, &e), -1);
		ck_assert_int_eq(e.class, ERR_ITEM);
		ck_assert_str_eq(e.code, P_BAD_RECORD);
		json_free(v);
	}
}
END_TEST

START_TEST(text_that_is_not_utf8_is_refused_as_such_and_not_as_a_lack_of_memory)
{
	struct json *o = json_new_object(&e);

	ck_assert_int_eq(json_put_str(o, "title", "\xff", &e), -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_str_eq(e.code, P_BAD_RECORD);
	ck_assert_str_eq(written(o), "{}");
	json_free(o);
}
END_TEST

START_TEST(getters_take_anything_and_give_only_what_is_of_their_kind)
{
	struct json *v =
	    parsed("{\"s\":\"x\",\"n\":1,\"b\":true,\"f\":false,\"a\":[1,2],\"o\":{},\"z\":null}");
	int64_t n = 7;
	double d = 7;

	ck_assert_ptr_null(json_get(NULL, "s"));
	ck_assert_ptr_null(json_get(json_get(v, "a"), "s"));
	ck_assert_ptr_null(json_get(v, "absent"));
	ck_assert_ptr_null(json_get_str(v, "n"));
	ck_assert_ptr_null(json_to_str(NULL, NULL));
	ck_assert_str_eq(json_get_str(v, "s"), "x");
	ck_assert(!json_get_int(v, "s", &n) && !json_get_int(v, "absent", &n) &&
		  !json_get_int(v, "z", &n) && n == 7);
	ck_assert(!json_get_real(v, "b", &d) && !json_to_real(NULL, &d) && d == 7);
	ck_assert(json_to_bool(json_get(v, "b")));
	ck_assert(!json_to_bool(json_get(v, "f")) && !json_to_bool(json_get(v, "n")) &&
		  !json_to_bool(NULL));
	ck_assert_uint_eq(json_count(json_get(v, "a")), 2);
	ck_assert_uint_eq(json_count(NULL), 0);
	ck_assert_ptr_null(json_at(json_get(v, "a"), 2));
	ck_assert_int_eq(json_kind(NULL), JSON_KIND_NONE);
	ck_assert_int_eq(json_kind(json_get(v, "s")), JSON_KIND_STR);
	ck_assert_int_eq(json_kind(json_get(v, "f")), JSON_KIND_BOOL);
	ck_assert_int_eq(json_kind(json_get(v, "a")), JSON_KIND_ARRAY);
	ck_assert_int_eq(json_kind(json_get(v, "o")), JSON_KIND_OBJECT);
	ck_assert_int_eq(json_kind(json_get(v, "z")), JSON_KIND_NULL);
	json_free(v);
	json_free(NULL);
}
END_TEST

START_TEST(arrays_take_their_elements_over)
{
	struct json *a = json_new_array(&e), *o = json_new_object(&e);

	ck_assert_int_eq(json_append_str(a, "x", &e), 0);
	ck_assert_int_eq(json_append(a, o, &e), 0);
	ck_assert_int_eq(json_put_int(o, "n", INT64_MIN, &e), 0);
	ck_assert_str_eq(written(a), "[\"x\",{\"n\":-9223372036854775808}]");
	json_free(a);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("json");
	TCase *t = tcase_create("json");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, numbers_come_out_as_they_went_in);
	tcase_add_test(t, a_whole_number_stays_one_and_a_real_stays_one);
	tcase_add_test(t, a_real_of_few_decimals_is_written_as_printf_does);
	tcase_add_test(t, every_double_reads_back_as_itself);
	tcase_add_test(
	    t, numbers_that_fit_no_machine_word_pass_through_and_are_neither_whole_nor_real);
	tcase_add_test(t, what_only_looks_like_a_number_is_a_bad_record);
	tcase_add_test(t, what_is_no_number_becomes_null);
	tcase_add_test(t, keys_keep_their_order_also_when_a_value_is_replaced);
	tcase_add_test(t, a_line_is_one_line_and_text_survives_it);
	tcase_add_test(t, a_nul_in_a_string_is_kept);
	tcase_add_test(t, what_is_not_one_json_value_is_a_bad_record);
	tcase_add_test(t, a_key_that_comes_twice_is_a_bad_record);
	tcase_add_test(t, depth_beyond_reason_is_a_bad_record_and_reasonable_depth_is_fine);
	tcase_add_test(t, bytes_are_text_when_they_can_be_and_hexadecimal_else);
	tcase_add_test(t, bytes_that_are_absent_or_null_are_none_and_malformed_ones_a_bad_record);
	tcase_add_test(t, text_that_is_not_utf8_is_refused_as_such_and_not_as_a_lack_of_memory);
	tcase_add_test(t, getters_take_anything_and_give_only_what_is_of_their_kind);
	tcase_add_test(t, arrays_take_their_elements_over);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
