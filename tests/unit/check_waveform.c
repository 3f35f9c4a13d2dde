/*
 * waveform: small pictures are drawn exactly, no line is wider than it may be, and every stretch
 * that is kept can be seen.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"
#include "waveform.h"

static struct envelope v;
static struct buf out;
static struct err e;

static void
setup(void)
{
	v = (struct envelope){0};
	buf_clear(&out);
}

static void
teardown(void)
{
	buf_free(&out);
}

/* n columns of that many frames, all of one height. */
static void
envelope(unsigned n, uint64_t frames_column, unsigned rate_hz, float height)
{
	v = (struct envelope){.n = n,
	    .frames = n * frames_column,
	    .frames_column = frames_column,
	    .rate_hz = rate_hz};
	for (unsigned i = 0; i < n; i++)
		v.low[i] = -(v.high[i] = height);
}

static const char *
draw(const struct waveform_opts *o)
{
	buf_clear(&out);
	ck_assert_int_eq(waveform_draw(&v, o, &out, &e), 0);
	return out.data;
}

/* Each of so many lines is exactly so wide, colours aside. */
static void
assert_lines(const struct waveform_opts *o)
{
	char text[4096];
	unsigned lines = 0;
	size_t len = 0;

	for (const char *s = draw(o); *s != '\0'; s++) {
		if (*s == '\033') {
			ck_assert(o->colour);
			s = strchr(s, 'm');
			ck_assert_ptr_nonnull(s);
		} else if (*s == '\n') {
			text[len] = '\0';
			ck_assert(utf8_valid(text, len));
			ck_assert_uint_eq(utf8_columns(text), o->columns);
			lines++;
			len = 0;
		} else {
			ck_assert_uint_lt(len, sizeof text - 1);
			text[len++] = *s;
		}
	}
	ck_assert_uint_eq(len, 0);
	ck_assert_uint_eq(lines, o->rows + (o->colour ? 1 : 2));
}

/* The line of marks. */
static const char *
marks(const struct waveform_opts *o)
{
	static char line[256];
	const char *s = draw(o);

	for (unsigned i = 0; i < o->rows; i++)
		s = strchr(s, '\n') + 1;
	snprintf(line, sizeof line, "%.*s", (int)strcspn(s, "\n"), s);
	return line;
}

/* ---- pictures ---- */

START_TEST(full_scale_fills_the_picture)
{
	struct waveform_opts o = {.columns = 20, .rows = 3};

	envelope(100, 480, 48000, 1);
	ck_assert_str_eq(draw(&o), "####################\n"
				   "####################\n"
				   "####################\n"
				   "====================\n"
				   "0:00.000    0:01.000\n");
	o.utf8 = true;
	o.rows = 2;
	ck_assert_str_eq(draw(&o), "⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶⣶\n"
				   "⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿\n"
				   "====================\n"
				   "0:00.000    0:01.000\n");
}
END_TEST

START_TEST(silence_is_a_line_in_the_middle)
{
	struct waveform_opts o = {.columns = 20, .rows = 3};

	envelope(100, 480, 48000, 0);
	ck_assert_str_eq(draw(&o), "                    \n"
				   "--------------------\n"
				   "                    \n"
				   "====================\n"
				   "0:00.000    0:01.000\n");
	o.rows = 2;
	ck_assert_str_eq(draw(&o), "____________________\n"
				   "                    \n"
				   "====================\n"
				   "0:00.000    0:01.000\n");
	o.utf8 = true;
	ck_assert_str_eq(draw(&o), "                    \n"
				   "⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉\n"
				   "====================\n"
				   "0:00.000    0:01.000\n");
}
END_TEST

START_TEST(nothing_is_an_empty_line)
{
	struct waveform_opts o = {.columns = 20, .rows = 3};

	ck_assert_str_eq(draw(&o), "                    \n"
				   "--------------------\n"
				   "                    \n"
				   "====================\n"
				   "0:00.000    0:00.000\n");
}
END_TEST

START_TEST(a_shape_has_its_height_at_its_place)
{
	struct waveform_opts o = {.columns = 20, .rows = 5};

	envelope(20, 1000, 1000, 0);
	v.high[3] = 0.01f;
	v.low[4] = -0.5f;
	v.high[5] = 1;
	v.high[19] = 0.25f;
	ck_assert_str_eq(draw(&o), "     #              \n"
				   "    ##              \n"
				   "---###-------------#\n"
				   "    ##              \n"
				   "     #              \n"
				   "====================\n"
				   "0:00.000    0:20.000\n");
	o = (struct waveform_opts){.columns = 20, .rows = 2, .utf8 = true};
	ck_assert_str_eq(draw(&o), "    ⣀⣶              \n"
				   "⠉⠉⠉⠉⠛⣿⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉\n"
				   "====================\n"
				   "0:00.000    0:20.000\n");
}
END_TEST

START_TEST(braille_has_two_columns_a_character)
{
	struct waveform_opts o = {.columns = 20, .rows = 2, .utf8 = true};

	envelope(40, 10, 8000, 0);
	v.high[1] = v.high[2] = v.high[38] = 1;
	ck_assert_str_eq(draw(&o), "⢰⡆                 ⡆\n"
				   "⢹⡏⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⡏\n"
				   "====================\n"
				   "0:00.000    0:00.050\n");
}
END_TEST

START_TEST(colours_change_where_what_is_kept_does)
{
	const struct waveform_kept kept[] = {{4000, 2000}, {18000, 2000}};
	struct waveform_opts o = {
	    .columns = 20, .rows = 2, .colour = true, .kept = kept, .n_kept = 2};

	envelope(20, 1000, 1000, 1);
	ck_assert_str_eq(draw(&o),
	    "\033[0;90m####\033[0;1m##\033[0;90m############\033[0;1m##\033[0m\n"
	    "\033[0;90m####\033[0;1m##\033[0;90m############\033[0;1m##\033[0m\n"
	    "0:00.000    0:20.000\n");
}
END_TEST

/* ---- marks ---- */

START_TEST(marks_stand_under_what_is_kept)
{
	struct waveform_kept kept[] = {{4000, 2000}, {10500, 1}, {18000, UINT64_MAX}};
	struct waveform_opts o = {.columns = 20, .rows = 2, .kept = kept, .n_kept = 3};

	envelope(20, 1000, 1000, 1);
	ck_assert_str_eq(marks(&o), "....==....=.......==");
	kept[0].frames++;
	ck_assert_str_eq(marks(&o), "....===...=.......==");
	kept[0].first--;
	ck_assert_str_eq(marks(&o), "...===....=.......==");
	kept[0] = (struct waveform_kept){0, 20000};
	o.n_kept = 1;
	ck_assert_str_eq(marks(&o), "====================");
	o.n_kept = 0;
	ck_assert_str_eq(marks(&o), "====================");
}
END_TEST

START_TEST(any_kept_frame_has_its_mark)
{
	static const uint64_t lengths[] = {1, 2, 19, 20, 21, 79, 80, 81, 1000, 123457};

	for (unsigned columns = 20; columns < 200; columns += 29)
		for (int i = 0; i < 10; i++)
			for (uint64_t k = 0, frames = lengths[i]; k < 10; k++) {
				struct waveform_kept kept = {k * 7919 % frames, 1};
				struct waveform_opts o = {
				    .columns = columns, .rows = 2, .kept = &kept, .n_kept = 1};
				size_t at = (size_t)(kept.first * columns / frames);
				const char *line;

				envelope(1, frames, 1000, 0);
				line = marks(&o);
				ck_assert_uint_eq(strlen(line), columns);
				ck_assert_int_eq(line[at], '=');
				ck_assert_uint_eq(strspn(line, "."), at);
			}
}
END_TEST

/* ---- widths ---- */

START_TEST(every_line_is_as_wide_as_asked_for)
{
	const struct waveform_kept kept[] = {{100, 20000}, {40000, 1}};
	static const unsigned sizes[] = {0, 1, 3, 240, 480};

	for (unsigned columns = 20; columns < 300; columns += columns < 60 ? 1 : 37)
		for (unsigned way = 0; way < 20; way++) {
			struct waveform_opts o = {.columns = columns,
			    .rows = 2 + columns % 9,
			    .utf8 = way & 1,
			    .colour = way & 2,
			    .kept = kept,
			    .n_kept = columns % 3};

			envelope(sizes[way / 4], 12345, 44100, (float)(columns % 11) / 10);
			assert_lines(&o);
		}
}
END_TEST

START_TEST(times_are_left_out_where_they_have_no_room)
{
	static const struct {
		unsigned rate_hz;
		uint64_t frames;
		const char *line;
	} times[] = {
	    {48000, 23, "0:00.000    0:00.000\n"},
	    {48000, 24, "0:00.000    0:00.001\n"},
	    {48000, 2879999, "0:00.000    1:00.000\n"},
	    {44100, UINT64_C(44100) * 3599, "0:00.000   59:59.000\n"},
	    {1000, 3723500, "0:00.000 1:02:03.500\n"},
	    {1000, 36123500, "        10:02:03.500\n"},
	    {1, UINT64_C(1) << 53, "                    \n"},
	};
	struct waveform_opts o = {.columns = 20, .rows = 2};

	envelope(1, times[_i].frames, times[_i].rate_hz, 0.5f);
	assert_lines(&o);
	ck_assert_str_eq(strstr(draw(&o), "==\n") + 3, times[_i].line);
}
END_TEST

START_TEST(lines_are_added_to_what_is_there)
{
	struct waveform_opts o = {.columns = 20, .rows = 2};

	ck_assert_int_eq(buf_adds(&out, "before\n", &e), 0);
	ck_assert_int_eq(waveform_draw(&v, &o, &out, &e), 0);
	ck_assert_str_eq(out.data, "before\n"
				   "____________________\n"
				   "                    \n"
				   "====================\n"
				   "0:00.000    0:00.000\n");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("waveform");
	TCase *t = tcase_create("draw");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, full_scale_fills_the_picture);
	tcase_add_test(t, silence_is_a_line_in_the_middle);
	tcase_add_test(t, nothing_is_an_empty_line);
	tcase_add_test(t, a_shape_has_its_height_at_its_place);
	tcase_add_test(t, braille_has_two_columns_a_character);
	tcase_add_test(t, colours_change_where_what_is_kept_does);
	tcase_add_test(t, marks_stand_under_what_is_kept);
	tcase_add_test(t, any_kept_frame_has_its_mark);
	tcase_add_test(t, every_line_is_as_wide_as_asked_for);
	tcase_add_loop_test(t, times_are_left_out_where_they_have_no_room, 0, 7);
	tcase_add_test(t, lines_are_added_to_what_is_there);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
