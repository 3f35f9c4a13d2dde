/* The lowest layer: utf8, err, mem, clock, hash, idset. */
#include <check.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "hash.h"
#include "idset.h"
#include "mem.h"
#include "utf8.h"

static struct err e;

static void
setup(void)
{
	e = (struct err){0};
}

/* ---- utf8 ---- */

START_TEST(utf8_is_valid_up_to_the_edges_of_each_length)
{
	static const char *const fine[] = {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80",
	    "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
	    "Ünïcode – “quotes” 録音 🎤"};

	for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++)
		ck_assert_msg(utf8_valid(fine[i], strlen(fine[i])), "%zu was refused", i);
	ck_assert(utf8_valid("a\0b", 3));
}
END_TEST

START_TEST(overlong_forms_surrogates_and_cut_characters_are_not_valid)
{
	static const char *const wrong[] = {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80",
	    "\xe0\x9f\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
	    "\xed\xa0\xbd\xed\xb8\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
	    "\xf8\x88\x80\x80\x80", "\xfe", "\xff", "\xc3", "\xe2\x82", "\xf0\x9f\x8e", "\xc3(",
	    "\xe2(\xa1", "\xe2\x82(", "ok\xff"};

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		ck_assert_msg(!utf8_valid(wrong[i], strlen(wrong[i])), "%zu was accepted", i);
	/* A character that the length cuts, whatever lies behind it. */
	ck_assert(!utf8_valid("\xc3\xbc", 1));
}
END_TEST

START_TEST(escaping_leaves_text_and_shows_control_and_invalid_bytes)
{
	char out[64];

	ck_assert_uint_eq(utf8_escape(out, sizeof out, "a\x1b[31m\n\0z\x7f", 10), strlen(out));
	ck_assert_str_eq(out, "a\\x1b[31m\\x0a\\x00z\\x7f");
	utf8_escape(out, sizeof out, "caf\xc3\xa9 \xff\xed\xa0\x80", 10);
	ck_assert_str_eq(out, "caf\xc3\xa9 \\xff\\xed\\xa0\\x80");
	/* C1 controls are control characters too. */
	utf8_escape(out, sizeof out, "\xc2\x9b", 2);
	ck_assert_str_eq(out, "\\xc2\\x9b");
	ck_assert_uint_eq(utf8_escape(out, sizeof out, "", 0), 0);
	ck_assert_str_eq(out, "");
}
END_TEST

START_TEST(escaping_cuts_at_a_characters_edge_whatever_the_room)
{
	static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x8e\xa4\xff\x01z";
	char whole[64], out[64];
	size_t all = utf8_escape(whole, sizeof whole, text, sizeof text - 1), n;

	for (size_t size = 0; size <= all + 2; size++) {
		memset(out, '#', sizeof out);
		n = utf8_escape(out, size, text, sizeof text - 1);
		ck_assert_int_eq(out[size], '#');
		if (size == 0) {
			ck_assert_uint_eq(n, 0);
			continue;
		}
		ck_assert_uint_lt(n, size);
		ck_assert_uint_eq(strlen(out), n);
		ck_assert(utf8_valid(out, n));
		ck_assert(memcmp(out, whole, n) == 0);
		/* No half of an escape: what was cut off starts at the beginning of one. */
		ck_assert(n == all || n < 2 ||
			  (out[n - 1] != '\\' && !(out[n - 2] == '\\' && out[n - 1] == 'x')));
	}
}
END_TEST

START_TEST(wide_characters_take_two_columns_and_combining_marks_none)
{
	ck_assert_uint_eq(utf8_columns(""), 0);
	ck_assert_uint_eq(utf8_columns("caf\xc3\xa9"), 4);
	ck_assert_uint_eq(utf8_columns("cafe\xcc\x81"), 4);
	ck_assert_uint_eq(utf8_columns("録音"), 4);
	ck_assert_uint_eq(utf8_columns("🎤!"), 3);
}
END_TEST

START_TEST(what_fits_is_never_wider_and_never_half_a_character)
{
	static const char text[] = "ab録e\xcc\x81音🎤z";
	char cut[64];

	for (size_t columns = 0; columns < 14; columns++) {
		size_t n = utf8_fit(text, columns);

		memcpy(cut, text, n);
		cut[n] = '\0';
		ck_assert(utf8_valid(cut, n));
		ck_assert_uint_le(utf8_columns(cut), columns);
		ck_assert(columns < utf8_columns(text) || n == strlen(text));
	}
	ck_assert_uint_eq(utf8_fit("録音", 3), 3);
	/* The mark stays with its letter. */
	ck_assert_uint_eq(utf8_fit("e\xcc\x81x", 1), 3);
}
END_TEST

/* ---- err ---- */

START_TEST(a_sentence_is_clean_whatever_name_goes_into_it)
{
	ck_assert_int_eq(err_item(&e, P_MISSING, "%s", "a\n\x1b]0;x\a\xff"), -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_str_eq(e.code, P_MISSING);
	ck_assert_int_eq(e.sys, 0);
	ck_assert_str_eq(e.text, "a\\x0a\\x1b]0;x\\x07\\xff");
	ck_assert_int_eq(err_prefix(&e, "in %s", "\xc3("), -1);
	ck_assert_str_eq(e.text, "in \\xc3(: a\\x0a\\x1b]0;x\\x07\\xff");
}
END_TEST

START_TEST(a_prefix_keeps_class_code_and_errno)
{
	errno = ENOSPC;
	ck_assert_int_eq(err_sys(&e, "writing %s", "x"), -1);
	ck_assert_int_eq(e.class, ERR_SYSTEM);
	ck_assert_int_eq(e.sys, ENOSPC);
	ck_assert_ptr_null(e.code);
	err_prefix(&e, "copying");
	ck_assert_str_eq(e.text, "copying: writing x: No space left on device");
	ck_assert_int_eq(e.class, ERR_SYSTEM);
	ck_assert_int_eq(e.sys, ENOSPC);
	err_item(&e, P_EMPTY, "has no bytes");
	err_prefix(&e, "measuring");
	ck_assert_str_eq(e.code, P_EMPTY);
	ck_assert_int_eq(e.class, ERR_ITEM);
	/* Its own text may go into an error. */
	err_set(&e, ERR_BUSY, NULL, "again: %s", e.text);
	ck_assert_str_eq(e.text, "again: measuring: has no bytes");
	ck_assert_int_eq(err_nomem(&e), -1);
	ck_assert_int_eq(e.class, ERR_SYSTEM);
	ck_assert_int_eq(e.sys, ENOMEM);
}
END_TEST

START_TEST(a_sentence_that_is_too_long_is_cut_and_stays_valid)
{
	char name[2000];

	/* Every phase of a three-byte character against the edge. */
	for (size_t shift = 0; shift < 4; shift++) {
		memset(name, 'x', sizeof name);
		for (size_t i = shift; i + 3 < sizeof name; i += 3)
			memcpy(name + i, "\xe2\x82\xac", 3);
		name[sizeof name - 1] = '\0';
		err_item(&e, P_MISSING, "%s", name);
		ck_assert_uint_lt(strlen(e.text), sizeof e.text);
		ck_assert(utf8_valid(e.text, strlen(e.text)));
		for (int i = 0; i < 4; i++) {
			err_prefix(&e, "p");
			ck_assert_msg(
			    utf8_valid(e.text, strlen(e.text)), "a prefix cut a character");
		}
		err_prefix(&e, "%s", name);
		ck_assert(utf8_valid(e.text, strlen(e.text)));
		errno = EIO;
		err_sys(&e, "%s", name);
		ck_assert(utf8_valid(e.text, strlen(e.text)));
		ck_assert_int_eq(e.sys, EIO);
	}
}
END_TEST

START_TEST(an_errno_of_opening_has_its_problem_code)
{
	ck_assert_str_eq(err_code_of_errno(ENOENT), P_MISSING);
	ck_assert_str_eq(err_code_of_errno(ENOTDIR), P_MISSING);
	ck_assert_str_eq(err_code_of_errno(EACCES), P_DENIED);
	ck_assert_str_eq(err_code_of_errno(ELOOP), P_UNSAFE_PATH);
	ck_assert_str_eq(err_code_of_errno(EXDEV), P_UNSAFE_PATH);
	ck_assert_str_eq(err_code_of_errno(EIO), P_UNREADABLE);
}
END_TEST

/* ---- mem ---- */

START_TEST(a_buffer_grows_and_is_nul_terminated_at_every_length)
{
	struct buf b = {0};

	ck_assert_ptr_null(b.data);
	for (size_t i = 0; i < 5000; i++) {
		char c = (char)('a' + i % 26);

		ck_assert_int_eq(buf_add(&b, &c, 1, &e), 0);
		ck_assert_uint_eq(b.len, i + 1);
		ck_assert_int_eq(b.data[b.len], '\0');
	}
	for (size_t i = 0; i < 5000; i++)
		ck_assert_int_eq(b.data[i], 'a' + (int)(i % 26));
	buf_clear(&b);
	ck_assert_uint_eq(b.len, 0);
	ck_assert_str_eq(b.data, "");
	ck_assert_int_eq(buf_adds(&b, "x=", &e), 0);
	ck_assert_int_eq(buf_addf(&b, &e, "%d %s", 7, "days"), 0);
	ck_assert_int_eq(buf_add(&b, NULL, 0, &e), 0);
	ck_assert_int_eq(buf_join(&b, &e, " or", "", " a week"), 0);
	ck_assert_str_eq(b.data, "x=7 days or a week");
	buf_free(&b);
	ck_assert_ptr_null(b.data);
	buf_free(&b);
}
END_TEST

START_TEST(room_that_cannot_be_is_an_error_and_the_buffer_stays)
{
	struct buf b = {0};

	ck_assert_int_eq(buf_adds(&b, "kept", &e), 0);
	ck_assert_int_eq(buf_room(&b, SIZE_MAX, &e), -1);
	ck_assert_int_eq(buf_room(&b, SIZE_MAX - 4, &e), -1);
	ck_assert_int_eq(e.class, ERR_SYSTEM);
	ck_assert_int_eq(e.sys, ENOMEM);
	ck_assert_str_eq(b.data, "kept");
	buf_free(&b);
	ck_assert_ptr_null(mem_bytes("x", SIZE_MAX, &e));
#ifndef __SANITIZE_ADDRESS__ /* whose calloc ends the program here */
	ck_assert_ptr_null(mem_new(SIZE_MAX / 2, 4, &e));
#endif
}
END_TEST

START_TEST(memory_is_zeroed_and_copies_are_whole)
{
	char *p = mem_new(100, 3, &e), *s = mem_str("text", &e), *b = mem_bytes("a\0b", 3, &e);
	char *f = mem_fmt(&e, "%s-%03d", "n", 7), *none = mem_new(0, 0, &e),
	     *empty = mem_bytes(NULL, 0, &e);

	for (int i = 0; i < 300; i++)
		ck_assert_int_eq(p[i], 0);
	ck_assert_str_eq(s, "text");
	ck_assert(memcmp(b, "a\0b", 4) == 0);
	ck_assert_str_eq(f, "n-007");
	ck_assert_ptr_nonnull(none);
	ck_assert_str_eq(empty, "");
	free(p);
	free(s);
	free(b);
	free(f);
	free(none);
	free(empty);
}
END_TEST

START_TEST(products_and_sums_that_do_not_fit_are_told)
{
	uint64_t n;

	ck_assert(mem_mul(UINT32_MAX, UINT32_MAX, &n));
	ck_assert_uint_eq(n, UINT64_C(0xfffffffe00000001));
	ck_assert(mem_mul(UINT64_MAX, 1, &n));
	ck_assert(!mem_mul(UINT64_C(1) << 32, UINT64_C(1) << 32, &n));
	ck_assert(mem_add(UINT64_MAX - 1, 1, &n));
	ck_assert_uint_eq(n, UINT64_MAX);
	ck_assert(!mem_add(UINT64_MAX, 1, &n));
}
END_TEST

START_TEST(a_whole_number_is_decimal_whole_and_within_its_bounds)
{
	static const char *const wrong[] = {"", " 1", "1 ", "1x", "0x10", "1.0", "1e3", "-", "+",
	    "--1", "+-1", "\n1", "1\n", "9223372036854775808", "-9223372036854775809",
	    "99999999999999999999", "one", "\xd9\xa1"};
	int64_t n = 77;

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		ck_assert_msg(!mem_parse_i64(wrong[i], INT64_MIN, INT64_MAX, &n), "%s", wrong[i]);
	ck_assert_int_eq(n, 77);
	ck_assert(mem_parse_i64("9223372036854775807", INT64_MIN, INT64_MAX, &n) && n == INT64_MAX);
	ck_assert(
	    mem_parse_i64("-9223372036854775808", INT64_MIN, INT64_MAX, &n) && n == INT64_MIN);
	ck_assert(mem_parse_i64("007", 0, 7, &n) && n == 7);
	ck_assert(mem_parse_i64("+3", 0, 7, &n) && n == 3);
	ck_assert(mem_parse_i64("-0", 0, 7, &n) && n == 0);
	ck_assert(!mem_parse_i64("8", 0, 7, &n));
	ck_assert(!mem_parse_i64("-1", 0, 7, &n));
}
END_TEST

/* ---- clock ---- */

START_TEST(times_are_written_in_utc_in_the_three_forms)
{
	char s[CLOCK_TEXT_MAX];
	struct timespec t = {.tv_sec = 1757066400, .tv_nsec = 123456789},
			whole = {.tv_sec = 1757066400};

	/* The zone of the user changes nothing. */
	setenv("TZ", "Asia/Kathmandu", 1);
	tzset();
	ck_assert_str_eq(clock_rfc3339(t, s), "2025-09-05T10:00:00.123456789Z");
	ck_assert_str_eq(clock_rfc3339(whole, s), "2025-09-05T10:00:00Z");
	ck_assert_str_eq(clock_micro(t, s), "2025-09-05T10:00:00.123456Z");
	ck_assert_str_eq(clock_micro(whole, s), "2025-09-05T10:00:00.000000Z");
	ck_assert(clock_is_rfc3339(s));
	ck_assert_str_eq(clock_column(t, s), "2025-09-05 10:00:00.123456");
	ck_assert_str_eq(clock_column(whole, s), "2025-09-05 10:00:00.000000");
	ck_assert_str_eq(clock_compact(t, s), "20250905T100000Z");
	ck_assert_str_eq(clock_rfc3339((struct timespec){.tv_sec = -1, .tv_nsec = 1}, s),
	    "1969-12-31T23:59:59.000000001Z");
}
END_TEST

START_TEST(a_time_is_told_by_its_form)
{
	static const char *const wrong[] = {"", "2025", "2025-09-05", "2025-09-05 10:00:00",
	    "2025-09-05T10:00:00", "2025-09-05T10:00:00.Z", "2025-09-05T10:00:00z",
	    "2025-09-05T10:00:00+00:00", "2025-09-05T10:00:00Z ", "2025-09-05T10:00:00.12x4Z",
	    " 2025-09-05T10:00:00Z", "2025-9-05T10:00:00Z", "2025-09-05T10:00Z",
	    "2025-13-05T10:00:00Z", "2025-00-05T10:00:00Z", "2025-09-32T10:00:00Z",
	    "2025-09-00T10:00:00Z", "2025-09-05T24:00:00Z", "2025-09-05T10:60:00Z",
	    "2025-09-05T10:00:61Z"};
	char s[CLOCK_TEXT_MAX];

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		ck_assert_msg(!clock_is_rfc3339(wrong[i]), "%s", wrong[i]);
	ck_assert(clock_is_rfc3339("2025-09-05T10:00:00Z"));
	ck_assert(clock_is_rfc3339("2024-12-31T23:59:59.5Z"));
	ck_assert(clock_is_rfc3339(clock_rfc3339(clock_now(), s)));
}
END_TEST

START_TEST(intervals_never_go_back)
{
	int64_t before = clock_monotonic_ns();

	for (int i = 0; i < 1000; i++) {
		int64_t now = clock_monotonic_ns();

		ck_assert_int_ge(now, before);
		before = now;
	}
}
END_TEST

/* ---- hash ---- */

static const struct vector {
	const char *text;
	const char *xxh3_64, *xxh3_128, *sha256, *md5;
} vectors[] = {
    /* As xxhsum -H3, xxhsum -H2, sha256sum and md5sum print them; NULL is the long run of bytes
       below. */
    {"", "2d06800538d394c2", "99aa06d3014798d86001c324468d497f",
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
	"d41d8cd98f00b204e9800998ecf8427e"},
    {"abc", "78af5f94892f3950", "06b05ab6733a618578af5f94892f3950",
	"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	"900150983cd24fb0d6963f7d28e17f72"},
    {"The quick brown fox jumps over the lazy dog", "ce7d19a5418fb365",
	"ddd650205ca3e7fa24a1cc2e3a8a7651",
	"d7a8fbb307d7809469ca9abcb0082e4f8d5651e46d3cdb762d02d0bf37c9e592",
	"9e107d9d372bb6826bd81d3542a419d6"},
    {NULL, "0c056f6fcc340974", "d9e155dd16e141d00c056f6fcc340974",
	"d96bab6a55ee326ba206dd4a85a6e95e14360d7fabbf448f03e689c24382b7d0",
	"59f08777fcd1aa2b8e0c8f892cfaae09"},
};
#define N_VECTORS (int)(sizeof vectors / sizeof vectors[0])

static unsigned char run_of_bytes[100000];

START_TEST(digests_are_those_of_the_usual_programs_however_they_are_fed)
{
	static const size_t pieces[] = {1, 7, 64, 1000, 65536, sizeof run_of_bytes};
	const struct vector *v = &vectors[_i];
	const unsigned char *p = (const unsigned char *)v->text;
	size_t len = v->text != NULL ? strlen(v->text) : sizeof run_of_bytes;
	char x64[HASH_XXH3_64_HEX], x128[HASH_XXH3_128_HEX], sha[HASH_SHA256_HEX],
	    md5[HASH_MD5_HEX];

	for (size_t i = 0; i < sizeof run_of_bytes; i++)
		run_of_bytes[i] = (unsigned char)(i * 7 + 3);
	p = p != NULL ? p : run_of_bytes;
	hash_xxh3_64_hex(p, len, x64);
	ck_assert_str_eq(x64, v->xxh3_64);
	ck_assert_uint_eq(hash_xxh3_64(p, len), strtoull(v->xxh3_64, NULL, 16));
	for (size_t k = 0; k < sizeof pieces / sizeof pieces[0]; k++) {
		struct hash *h = hash_open(HASH_XXH3_128 | HASH_SHA256 | HASH_MD5, &e);

		ck_assert_ptr_nonnull(h);
		for (size_t at = 0; at < len; at += pieces[k])
			hash_update(h, p + at, len - at < pieces[k] ? len - at : pieces[k]);
		hash_update(h, p, 0);
		hash_xxh3_128(h, x128);
		hash_sha256(h, sha);
		hash_md5(h, md5);
		hash_close(h);
		ck_assert_str_eq(x128, v->xxh3_128);
		ck_assert_str_eq(sha, v->sha256);
		ck_assert_str_eq(md5, v->md5);
	}
}
END_TEST

START_TEST(one_digest_alone_is_the_same_as_among_others)
{
	struct hash *h = hash_open(HASH_XXH3_128, &e);
	char x128[HASH_XXH3_128_HEX];

	hash_update(h, "abc", 3);
	hash_xxh3_128(h, x128);
	ck_assert_str_eq(x128, vectors[1].xxh3_128);
	hash_close(h);
	hash_close(NULL);
}
END_TEST

START_TEST(hex_and_back_is_the_same_for_every_byte)
{
	unsigned char all[256], back[256];
	char hex[513];

	for (int i = 0; i < 256; i++)
		all[i] = (unsigned char)i;
	hash_hex(all, sizeof all, hex);
	ck_assert_uint_eq(strspn(hex, "0123456789abcdef"), 512);
	ck_assert_int_eq(hash_unhex(hex, 512, back), 0);
	ck_assert(memcmp(all, back, sizeof all) == 0);
	ck_assert_int_eq(hash_unhex("FFaa", 4, back), 0);
	ck_assert_int_eq(back[0], 0xff);
	ck_assert_int_eq(hash_unhex("", 0, back), 0);
	ck_assert_int_eq(hash_unhex("abc", 3, back), -1);
	ck_assert_int_eq(hash_unhex("0g", 2, back), -1);
	ck_assert_int_eq(hash_unhex("0x", 2, back), -1);
	ck_assert_int_eq(hash_unhex(" 1", 2, back), -1);
	hash_hex(NULL, 0, hex);
	ck_assert_str_eq(hex, "");
}
END_TEST

START_TEST(random_bytes_are_not_the_same_twice)
{
	unsigned char a[1000] = {0}, b[1000] = {0};

	ck_assert_int_eq(hash_random(a, sizeof a, &e), 0);
	ck_assert_int_eq(hash_random(b, sizeof b, &e), 0);
	ck_assert(memcmp(a, b, sizeof a) != 0);
}
END_TEST

/* ---- idset ---- */

START_TEST(a_set_has_what_was_added_and_nothing_else)
{
	struct idset s = {0};

	ck_assert(!idset_has(&s, 0));
	ck_assert(!idset_has(&s, 1));
	ck_assert_int_eq(idset_add(&s, 0, &e), 0);
	ck_assert(idset_has(&s, 0));
	ck_assert(!idset_has(&s, 1));
	for (uint64_t i = 1; i <= 20000; i++) {
		ck_assert_int_eq(idset_add(&s, i * 3, &e), 0);
		ck_assert_int_eq(idset_add(&s, i << 40, &e), 0);
		ck_assert_int_eq(idset_add(&s, i * 3, &e), 0);
	}
	ck_assert_int_eq(idset_add(&s, UINT64_MAX, &e), 0);
	ck_assert(idset_has(&s, UINT64_MAX));
	for (uint64_t i = 1; i <= 20000; i++) {
		ck_assert(idset_has(&s, i * 3));
		ck_assert(idset_has(&s, i << 40));
		ck_assert(!idset_has(&s, i * 3 + 1));
		ck_assert(!idset_has(&s, (i << 40) + 1));
	}
	ck_assert_uint_eq(s.used, 40001);
	idset_free(&s);
	ck_assert(!idset_has(&s, 3));
	idset_free(&s);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("base");
	TCase *t = tcase_create("base");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, utf8_is_valid_up_to_the_edges_of_each_length);
	tcase_add_test(t, overlong_forms_surrogates_and_cut_characters_are_not_valid);
	tcase_add_test(t, escaping_leaves_text_and_shows_control_and_invalid_bytes);
	tcase_add_test(t, escaping_cuts_at_a_characters_edge_whatever_the_room);
	tcase_add_test(t, wide_characters_take_two_columns_and_combining_marks_none);
	tcase_add_test(t, what_fits_is_never_wider_and_never_half_a_character);
	tcase_add_test(t, a_sentence_is_clean_whatever_name_goes_into_it);
	tcase_add_test(t, a_prefix_keeps_class_code_and_errno);
	tcase_add_test(t, a_sentence_that_is_too_long_is_cut_and_stays_valid);
	tcase_add_test(t, an_errno_of_opening_has_its_problem_code);
	tcase_add_test(t, a_buffer_grows_and_is_nul_terminated_at_every_length);
	tcase_add_test(t, room_that_cannot_be_is_an_error_and_the_buffer_stays);
	tcase_add_test(t, memory_is_zeroed_and_copies_are_whole);
	tcase_add_test(t, products_and_sums_that_do_not_fit_are_told);
	tcase_add_test(t, a_whole_number_is_decimal_whole_and_within_its_bounds);
	tcase_add_test(t, times_are_written_in_utc_in_the_three_forms);
	tcase_add_test(t, a_time_is_told_by_its_form);
	tcase_add_test(t, intervals_never_go_back);
	tcase_add_loop_test(
	    t, digests_are_those_of_the_usual_programs_however_they_are_fed, 0, N_VECTORS);
	tcase_add_test(t, one_digest_alone_is_the_same_as_among_others);
	tcase_add_test(t, hex_and_back_is_the_same_for_every_byte);
	tcase_add_test(t, random_bytes_are_not_the_same_twice);
	tcase_add_test(t, a_set_has_what_was_added_and_nothing_else);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
