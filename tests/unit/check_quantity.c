/* quantity: what is written is what is meant, to the nanosecond; all else is refused with a
 * sentence that helps. */
#include "quantity.h"

#include <check.h>
#include <inttypes.h>
#include <locale.h>
#include <string.h>

#include "utf8.h"

#define S UINT64_C(1000000000)

static struct err e;

static void
setup(void)
{
	e = (struct err){0};
}

/* The error is one for the command line and quotes what was written. */
static void
is_told(const char *text)
{
	char quoted[256] = "\"";

	ck_assert_int_eq(e.class, ERR_USAGE);
	ck_assert_ptr_null(e.code);
	ck_assert(utf8_valid(e.text, strlen(e.text)));
	if (strlen(text) <= 60) {
		utf8_escape(quoted + 1, sizeof quoted - 2, text, strlen(text));
		strcat(quoted, "\"");
		ck_assert_msg(strstr(e.text, quoted) == e.text, "%s: %s", text, e.text);
	}
	ck_assert_msg(strstr(e.text, "allowed") != NULL || strstr(e.text, "must be") != NULL ||
			  strstr(e.text, "leave out") != NULL || strstr(e.text, "write") != NULL ||
			  strstr(e.text, "the longest") != NULL ||
			  strstr(e.text, "the most") != NULL,
	    "%s does not say what is allowed", e.text);
	e = (struct err){0};
}

static void
is_refused(const char *text)
{
	struct quantity_time t;
	uint64_t ns = 77;

	ck_assert_msg(quantity_time(text, &t, &e) == -1, "\"%s\" is a time", text);
	is_told(text);
	ck_assert_msg(quantity_duration(text, &ns, &e) == -1, "\"%s\" is a duration", text);
	ck_assert_uint_eq(ns, 77);
	is_told(text);
}

static void
says(const char *text, const char *part)
{
	struct quantity_time t;

	ck_assert_int_eq(quantity_time(text, &t, &e), -1);
	ck_assert_msg(strstr(e.text, part) != NULL, "%s", e.text);
	is_told(text);
}

/* ---- times ---- */

static const struct {
	const char *text;
	uint64_t ns;
} times[] = {
    {"12.5", 12500000000},
    {"0", 0},
    {"0.000000001", 1},
    {"0.1", 100000000},
    {"0.3", 300000000},
    {"4.35", 4350000000},
    {"1.000000009", 1000000009},
    {"9007199.254740993", 9007199254740993}, /* 2^53 + 1: no double holds it */
    {"007", 7 * S},
    {"1.5000000000000000000000000", 1500000000},
    {"18446744073.709551615", UINT64_MAX},
    {"0:00", 0},
    {"1:30", 90 * S},
    {"90:00", 5400 * S},
    {"123456:59", (123456 * 60 + 59) * S},
    {"1:02:03", 3723 * S},
    {"01:02:03.5", 3723500000000},
    {"100:00:00", 360000 * S},
    {"0:59.999999999", 59999999999},
    {"5124095:34:33.709551615", UINT64_MAX},
    {"1h30m", 5400 * S},
    {"250ms", 250000000},
    {"7us", 7000},
    {"1d2h3m4s5ms6us", (((24 + 2) * 60 + 3) * 60 + 4) * S + 5006000},
    {"90m", 5400 * S},
    {"36h", 36 * 3600 * S},
    {"1d6us", 86400 * S + 6000},
    {"1m1ms", 60 * S + 1000000},
    {"1.5h", 5400 * S},
    {"1h0.5m", 3630 * S},
    {"0.000000001d", 86400},
    {"1.000001ms", 1000001},
    {"0.001us", 1},
    {"0.0010us", 1},
    {"213503d23h34m33.709551615s", UINT64_MAX},
};
#define N_TIMES (int)(sizeof times / sizeof times[0])

START_TEST(a_time_is_the_nanoseconds_that_were_written)
{
	struct quantity_time t;
	uint64_t ns;
	char from_end[64] = "-";

	ck_assert_msg(quantity_time(times[_i].text, &t, &e) == 0, "%s", e.text);
	ck_assert_msg(t.ns == times[_i].ns, "%s is %" PRIu64, times[_i].text, t.ns);
	ck_assert(!t.from_end && !t.is_frames);
	ck_assert_int_eq(quantity_duration(times[_i].text, &ns, &e), t.ns == 0 ? -1 : 0);
	ck_assert(t.ns == 0 || ns == t.ns);
	strcat(from_end, times[_i].text);
	ck_assert_int_eq(quantity_time(from_end, &t, &e), 0);
	ck_assert(t.from_end && t.ns == times[_i].ns);
	ck_assert_int_eq(quantity_duration(from_end, &ns, &e), -1);
	is_told(from_end);
}
END_TEST

START_TEST(frames_are_frames)
{
	struct quantity_time t;
	uint64_t ns;

	ck_assert_int_eq(quantity_time("48000f", &t, &e), 0);
	ck_assert(t.is_frames && !t.from_end);
	ck_assert_uint_eq(t.frames, 48000);
	ck_assert_int_eq(quantity_time("-0f", &t, &e), 0);
	ck_assert(t.is_frames && t.from_end && t.frames == 0);
	ck_assert_int_eq(quantity_time("18446744073709551615f", &t, &e), 0);
	ck_assert_uint_eq(t.frames, UINT64_MAX);
	ck_assert_int_eq(quantity_duration("48000f", &ns, &e), -1);
	is_told("48000f");
	is_refused("18446744073709551616f");
	is_refused("1.5f");
	is_refused("f");
	is_refused("-f");
	is_refused("1s1f");
	is_refused("1f1f");
	is_refused("1:00f");
	is_refused("48000F");
	is_refused("48000ff");
}
END_TEST

START_TEST(what_is_no_time_is_refused)
{
	static const char *const wrong[] = {"", "-", "--5", "+5", " 5", "5 ", "5\n", "-  5", "1 h",
	    "1h 30m", ".", ".5", "5.", "-.5", "1..5", "1.2.3", "12,5", "1e3", "0x10", "inf", "nan",
	    "5x", "5min", "5sec", "5H", "5S", "1h30", "h", "1hm", "h1", "1.h", ".5h", "1.5h30m",
	    "1.2.3s", "1s-", "5us5", "5ns", "ms", "1:", ":30", ":", "::", "1::30", "1:5", "1:005",
	    "1:2:3", "01:02:3", "1:02:03:04", "1:30.", "1.5:30", "1:30s", "1h:30", "-1:-30",
	    "1:30 ", "1:3a", "1:3", "1:30:", "1:3f", "1h-30m", "\xd9\xa1", "\xff", "5\xc2\xb5s",
	    "1:\xd9\xa1", "5\x01"};

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		is_refused(wrong[i]);
}
END_TEST

START_TEST(minutes_and_seconds_behind_a_colon_are_below_60)
{
	is_refused("1:60");
	is_refused("0:99");
	is_refused("1:60:00");
	is_refused("1:00:60");
	says("1:75", "00 to 59");
	says("1:5", "two digits");
}
END_TEST

START_TEST(units_come_in_descending_order_and_each_once)
{
	is_refused("30m1h");
	is_refused("1h1h");
	is_refused("1h30m15h");
	is_refused("1us1ms");
	is_refused("1ms1s");
	is_refused("1ms1m");
	says("30m1h", "out of order");
	says("5s5s", "twice");
}
END_TEST

START_TEST(what_is_finer_than_a_nanosecond_is_refused_and_not_rounded)
{
	is_refused("0.0000000001");
	is_refused("1.0000000005");
	is_refused("1:30.1234567891");
	is_refused("0.0000001ms");
	is_refused("0.0001us");
	is_refused("0.0000000001d");
	says("1.0000000005", "finer than a nanosecond");
}
END_TEST

START_TEST(what_does_not_fit_is_refused_and_does_not_wrap)
{
	is_refused("18446744073.709551616");
	is_refused("18446744073709551616");
	is_refused("99999999999999999999999999");
	is_refused("18446744074");
	is_refused("213504d");
	is_refused("213503d23h34m33.709551616s");
	is_refused("5124095:34:33.709551616");
	is_refused("5124096:00:00");
	is_refused("18446744073709551615:00");
	is_refused("307445734561825861:00");
	is_refused("18446744073709551616:00");
	says("18446744074", "584 years");
	says("18446744073709551616f", "too many frames");
}
END_TEST

START_TEST(a_duration_says_what_it_takes_instead)
{
	static const struct {
		const char *text, *part;
	} cases[] = {
	    {"0", "at least a nanosecond"},
	    {"0:00", "at least a nanosecond"},
	    {"0h", "at least a nanosecond"},
	    {"-5", "leave out the \"-\""},
	    {"-48000f", "leave out the \"-\""},
	    {"48000f", "in frames"},
	    {"soon", "length of time"},
	};
	uint64_t ns = 77;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		ck_assert_int_eq(quantity_duration(cases[i].text, &ns, &e), -1);
		ck_assert_msg(strstr(e.text, cases[i].part) != NULL, "%s", e.text);
		ck_assert_msg(strstr(e.text, "48000f)") == NULL, "it offers frames: %s", e.text);
		is_told(cases[i].text);
	}
	ck_assert_uint_eq(ns, 77);
}
END_TEST

START_TEST(a_long_text_is_quoted_in_part_and_the_help_stays)
{
	char text[3000];

	/* Every phase of a three-byte character against the edge. */
	for (size_t shift = 0; shift < 4; shift++) {
		memset(text, 'x', sizeof text);
		for (size_t i = shift; i + 3 < sizeof text; i += 3)
			memcpy(text + i, "\xe2\x82\xac", 3);
		text[sizeof text - 1] = '\0';
		is_refused(text);
		says(text, "...\" is not a time; allowed are seconds");
		ck_assert_int_eq(quantity_time(text, &(struct quantity_time){0}, &e), -1);
		ck_assert_msg(strstr(e.text, "\\x") == NULL, "half a character: %s", e.text);
		ck_assert_ptr_nonnull(strstr(e.text, "48000f"));
	}
	memset(text, '\xbf', sizeof text - 1);
	is_refused(text);
	memset(text, '9', sizeof text - 1);
	is_refused(text);
}
END_TEST

START_TEST(the_locale_changes_nothing)
{
	static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", ""};
	struct quantity_time t;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		setlocale(LC_ALL, names[i]);
		ck_assert_int_eq(quantity_time("12.5", &t, &e), 0);
		ck_assert_uint_eq(t.ns, 12500000000);
		is_refused("12,5");
		is_refused("1.000,5");
	}
	setlocale(LC_ALL, "C");
}
END_TEST

/* ---- frames of a time ---- */

static bool
frames_at(uint64_t ns, uint64_t rate, uint64_t *frames)
{
	return quantity_frames(&(struct quantity_time){.ns = ns}, rate, frames);
}

START_TEST(a_time_is_the_nearest_frame)
{
	uint64_t n;

	ck_assert(frames_at(12500000000, 48000, &n) && n == 600000);
	ck_assert(frames_at(0, 48000, &n) && n == 0);
	ck_assert(frames_at(1, 48000, &n) && n == 0);
	ck_assert(frames_at(S / 44100, 44100, &n) && n == 1);
	ck_assert(frames_at(10416, 48000, &n) && n == 0); /* 0.499968 of a frame */
	ck_assert(frames_at(10417, 48000, &n) && n == 1); /* 0.500016 */
	ck_assert(frames_at(S / 2, 1, &n) && n == 1);
	ck_assert(frames_at(S / 2 - 1, 1, &n) && n == 0);
	ck_assert(frames_at(3 * S - 1, 1, &n) && n == 3);
	ck_assert(frames_at(7, S, &n) && n == 7);
	ck_assert(frames_at(7, S + 1, &n) && n == 7);
	ck_assert(frames_at(S, 0, &n) && n == 0);
	/* Every frame of a second is found again from its time in whole nanoseconds. */
	for (uint64_t frame = 0; frame < 44100; frame++)
		ck_assert(frames_at((frame * S + 22050) / 44100, 44100, &n) && n == frame);
	ck_assert(quantity_frames(
	    &(struct quantity_time){.is_frames = true, .frames = UINT64_MAX}, 48000, &n));
	ck_assert_uint_eq(n, UINT64_MAX);
}
END_TEST

START_TEST(a_frame_that_does_not_fit_is_told)
{
	uint64_t n;

	ck_assert(frames_at(UINT64_MAX, S, &n) && n == UINT64_MAX);
	ck_assert(!frames_at(UINT64_MAX, S + 1, &n));
	ck_assert(frames_at(S, UINT64_MAX, &n) && n == UINT64_MAX);
	ck_assert(!frames_at(S + 1, UINT64_MAX, &n));
	ck_assert(!frames_at(UINT64_MAX, UINT64_MAX, &n));
	/* (10^9 - 1) * UINT64_MAX / 10^9 is 18446744055262807541.29. */
	ck_assert(frames_at(S - 1, UINT64_MAX, &n) && n == UINT64_C(18446744055262807541));
	ck_assert(frames_at(UINT64_MAX, 48000, &n) && n == UINT64_C(885443715538058));
}
END_TEST

/* ---- sizes ---- */

START_TEST(a_size_is_bytes_and_its_letters_are_powers_of_1024)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} sizes[] = {
	    {"1", 1},
	    {"4096", 4096},
	    {"64K", 65536},
	    {"64KiB", 65536},
	    {"10M", 10485760},
	    {"10MiB", 10485760},
	    {"1G", UINT64_C(1) << 30},
	    {"1GiB", UINT64_C(1) << 30},
	    {"2T", UINT64_C(1) << 41},
	    {"2TiB", UINT64_C(1) << 41},
	    {"010K", 10240},
	    {"18446744073709551615", UINT64_MAX},
	    {"16777215T", UINT64_C(16777215) << 40},
	};
	uint64_t bytes;

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		ck_assert_msg(quantity_size(sizes[i].text, &bytes, &e) == 0, "%s", e.text);
		ck_assert_uint_eq(bytes, sizes[i].bytes);
	}
}
END_TEST

START_TEST(what_is_no_size_is_refused)
{
	static const char *const wrong[] = {"", "-", "-1", "+1", " 1", "1 ", "1 K", "K", "KiB",
	    "1.5G", "1,5G", ".5G", "1e3", "0x10", "10k", "10m", "10MB", "10KB", "10B", "10Ki",
	    "10iB", "10Kib", "10KiBs", "10KK", "1P", "1E", "10M5K", "all", "\xd9\xa1", "1\xff",
	    "1\n", "0", "0K", "00", "18446744073709551616", "16777216T", "17179869184G",
	    "99999999999999999999999999K"};
	uint64_t bytes = 77;

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		ck_assert_msg(
		    quantity_size(wrong[i], &bytes, &e) == -1, "\"%s\" is a size", wrong[i]);
		is_told(wrong[i]);
	}
	ck_assert_uint_eq(bytes, 77);
	quantity_size("1.5G", &bytes, &e);
	ck_assert_ptr_nonnull(strstr(e.text, "a whole number"));
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("quantity");
	TCase *t = tcase_create("quantity");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, a_time_is_the_nanoseconds_that_were_written, 0, N_TIMES);
	tcase_add_test(t, frames_are_frames);
	tcase_add_test(t, what_is_no_time_is_refused);
	tcase_add_test(t, minutes_and_seconds_behind_a_colon_are_below_60);
	tcase_add_test(t, units_come_in_descending_order_and_each_once);
	tcase_add_test(t, what_is_finer_than_a_nanosecond_is_refused_and_not_rounded);
	tcase_add_test(t, what_does_not_fit_is_refused_and_does_not_wrap);
	tcase_add_test(t, a_duration_says_what_it_takes_instead);
	tcase_add_test(t, a_long_text_is_quoted_in_part_and_the_help_stays);
	tcase_add_test(t, the_locale_changes_nothing);
	tcase_add_test(t, a_time_is_the_nearest_frame);
	tcase_add_test(t, a_frame_that_does_not_fit_is_told);
	tcase_add_test(t, a_size_is_bytes_and_its_letters_are_powers_of_1024);
	tcase_add_test(t, what_is_no_size_is_refused);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
