/*
 * meter: levels compared with those of sox and with numbers worked out by hand, events to the
 * frame, and lines that fit.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "meter.h"
#include "utf8.h"

#define RATE 1000
#define MAX_EVENTS 8192
#define BLOCK 60000

static char dir[] = "/tmp/check_meter.XXXXXX";
static bool full; /* REC_FAULT=full */
static struct err e;

static const struct pcm_kept keeps[] = {{16}, {24}, {32}, {32, true}};
static const char *const sox_formats[] = {
    "-e signed -b 16", "-e signed -b 24", "-e signed -b 32", "-e float -b 32"};
#define KEEPS 4

/* ---- help ---- */

struct told {
	struct meter_event event[MAX_EVENTS];
	unsigned n;
};

static void
note(void *ctx, const struct meter_event *event)
{
	struct told *t = ctx;

	ck_assert_uint_lt(t->n, MAX_EVENTS);
	t->event[t->n++] = *event;
}

static struct meter *
open_meter(int keep, unsigned channels, unsigned rate_hz, uint64_t dead_frames)
{
	struct meter_opts o = {keeps[keep], channels, rate_hz, dead_frames};
	struct meter *m = meter_open(&o, &e);

	ck_assert_ptr_nonnull(m);
	return m;
}

/* A float meter: what the samples are is in the test. */
static struct meter *
open_floats(unsigned channels, uint64_t dead_frames)
{
	return open_meter(3, channels, RATE, dead_frames);
}

/* So many frames with the same value in each channel. */
static void
add_same(struct meter *m, unsigned channels, float v, uint64_t frames, struct told *t)
{
	float frame[64];

	for (unsigned c = 0; c < channels; c++)
		frame[c] = v;
	for (; frames > 0; frames--)
		meter_add(m, frame, 1, note, t);
}

static void
same_event(
    const struct meter_event *v, enum meter_event_kind kind, unsigned c, uint64_t f, uint64_t n)
{
	ck_assert_int_eq(v->kind, kind);
	ck_assert_uint_eq(v->channel, c);
	ck_assert_uint_eq(v->frame, f);
	ck_assert_uint_eq(v->samples, n);
}

static const char *
line_of(struct meter *m, const struct meter_facts *f, unsigned columns, bool utf8)
{
	static char text[4096];
	struct buf line = {0};

	ck_assert_int_eq(meter_line(m, f, columns, utf8, &line, &e), 0);
	ck_assert_uint_lt(line.len, sizeof text);
	memcpy(text, line.len > 0 ? line.data : "", line.len);
	text[line.len] = '\0';
	buf_free(&line);
	return text;
}

static const char *
wide_line(struct meter *m)
{
	return line_of(m, &(struct meter_facts){83, NAN, true, NULL}, 80, true);
}

static void
holds(const char *line, const char *what, bool yes)
{
	ck_assert_msg((strstr(line, what) != NULL) == yes, "%s in: %s", what, line);
}

/* ---- levels ---- */

static void
sox(const char *fmt, const char *args)
{
	char line[512], command[600];

	snprintf(line, sizeof line, fmt, args);
	snprintf(command, sizeof command, "cd %s && %s", dir, line);
	ck_assert_int_eq(system(command), 0);
}

static size_t
load(const char *name, void *p, size_t size)
{
	char path[64];
	FILE *f;
	size_t n;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	ck_assert_ptr_nonnull(f = fopen(path, "r"));
	n = fread(p, 1, size, f);
	fclose(f);
	return n;
}

/* The numbers of left and right in the line of sox's stats that begins so. */
static void
stats(const char *text, const char *name, double v[2])
{
	const char *line = strstr(text, name);

	ck_assert_ptr_nonnull(line);
	ck_assert_int_eq(sscanf(line + strlen(name), "%*f %lf %lf", &v[0], &v[1]), 2);
}

START_TEST(levels_are_those_of_sox)
{
	static unsigned char samples[48000 * 2 * 4];
	static char text[4096];
	struct meter_level l[2];
	struct told t = {.n = 0};
	struct meter *m = open_meter(_i, 2, 48000, 480);
	double peak[2], rms[2];

	sox("sox -R -n -r 48000 -c 2 %s s.raw synth 1 pinknoise vol -9 dB remix 1 1v0.1",
	    sox_formats[_i]);
	sox("sox -r 48000 -c 2 %s s.raw -n stats 2>stats", sox_formats[_i]);
	text[load("stats", text, sizeof text - 1)] = '\0';
	ck_assert_uint_eq(load("s.raw", samples, sizeof samples), 48000 * 2 * keeps[_i].bits / 8);
	meter_add(m, samples, 48000, note, &t);
	meter_take(m, l);
	stats(text, "Pk lev dB", peak);
	stats(text, "RMS lev dB", rms);
	for (int c = 0; c < 2; c++) {
		ck_assert_double_eq_tol(l[c].peak_dbfs, peak[c], 0.011);
		ck_assert_double_eq_tol(l[c].rms_dbfs, rms[c], 0.011);
		ck_assert_uint_eq(l[c].clipped, 0);
	}
	ck_assert_uint_eq(t.n, 0);
	meter_close(m);
}
END_TEST

/* A sine with a peak of half of full scale has an RMS that is 3.01 dB lower. */
START_TEST(a_sine_has_its_levels)
{
	static float f[48000];
	static int32_t v[48000];
	static unsigned char kept[48000 * 4];
	struct meter *m = open_meter(_i, 1, 48000, 0);
	struct meter_level l;

	for (int i = 0; i < 48000; i++) {
		f[i] = (float)(0.5 * sin(2 * M_PI * i * 1000 / 48000));
		v[i] = (int32_t)(f[i] * 2147483648.0);
		memcpy(kept + i * (keeps[_i].bits / 8), (char *)&v[i] + 4 - keeps[_i].bits / 8,
		    keeps[_i].bits / 8);
	}
	meter_add(m, keeps[_i].is_float ? (void *)f : kept, 48000, note, NULL);
	meter_take(m, &l);
	ck_assert_double_eq_tol(l.peak_dbfs, -6.0206, 0.001);
	ck_assert_double_eq_tol(l.rms_dbfs, -9.0309, 0.001);
	meter_take(m, &l);
	ck_assert(isnan(l.peak_dbfs) && isnan(l.rms_dbfs) && l.clipped == 0);
	meter_close(m);
}
END_TEST

START_TEST(floats_exceed_full_scale_and_may_be_no_number)
{
	float in[] = {2.0f, NAN, -1.0f, NAN, INFINITY, NAN, 0.5f, -0.0f};
	struct told t = {.n = 0};
	struct meter *m = open_floats(2, 4);
	struct meter_level l[2];

	meter_add(m, in, 4, note, &t);
	meter_take(m, l);
	ck_assert_double_eq_tol(l[0].peak_dbfs, 6.0206, 0.0001);
	ck_assert_double_eq_tol(l[0].rms_dbfs, 10 * log10(5.25 / 4), 1e-9);
	ck_assert_uint_eq(l[0].clipped, 2);
	ck_assert(l[1].peak_dbfs == -INFINITY && l[1].rms_dbfs == -INFINITY);
	ck_assert_uint_eq(t.n, 1);
	same_event(&t.event[0], METER_DEAD, 1, 0, 0);
	holds(wide_line(m), "  6.0 CLIP", true);
	meter_close(m);
}
END_TEST

/* ---- events ---- */

START_TEST(a_silence_is_told_when_it_is_long_enough)
{
	struct told t = {.n = 0};
	struct meter *m = open_floats(1, 100);

	add_same(m, 1, 0.5f, 7, &t);
	add_same(m, 1, 0, 99, &t);
	add_same(m, 1, 1e-45f, 1, &t);
	ck_assert_uint_eq(t.n, 0);
	add_same(m, 1, 0, 99, &t);
	ck_assert_uint_eq(t.n, 0);
	add_same(m, 1, -0.0f, 1, &t);
	ck_assert_uint_eq(t.n, 1);
	same_event(&t.event[0], METER_DEAD, 0, 107, 0);
	add_same(m, 1, 0, 5000, &t);
	ck_assert_uint_eq(t.n, 1);
	add_same(m, 1, 1e-45f, 1, &t);
	ck_assert_uint_eq(t.n, 2);
	same_event(&t.event[1], METER_ALIVE, 0, 5207, 0);
	meter_flush(m, note, &t);
	ck_assert_uint_eq(t.n, 2);
	meter_close(m);
}
END_TEST

START_TEST(without_dead_frames_nothing_is_dead)
{
	struct told t = {.n = 0};
	struct meter *m = open_floats(1, 0);

	add_same(m, 1, 0, 20000, &t);
	add_same(m, 1, 1, 1, &t);
	ck_assert_uint_eq(t.n, 0);
	meter_close(m);
}
END_TEST

START_TEST(clipping_is_gathered_over_a_second)
{
	struct told t = {.n = 0};
	struct meter *m = open_floats(2, 0);
	float loud[] = {0.1f, 1.0f};

	add_same(m, 2, 0.5f, 250, &t);
	meter_add(m, loud, 1, note, &t); /* 250 */
	add_same(m, 2, 0.5f, 998, &t);
	meter_add(m, loud, 1, note, &t); /* 1249, of the same second */
	ck_assert_uint_eq(t.n, 1);
	same_event(&t.event[0], METER_CLIPPED, 1, 250, 2);
	meter_add(m, loud, 1, note, &t); /* 1250 */
	add_same(m, 2, -1.0f, 2, &t);
	ck_assert_uint_eq(t.n, 1);
	meter_flush(m, note, &t);
	ck_assert_uint_eq(t.n, 3);
	same_event(&t.event[1], METER_CLIPPED, 0, 1251, 2);
	same_event(&t.event[2], METER_CLIPPED, 1, 1250, 3);
	meter_flush(m, note, &t);
	ck_assert_uint_eq(t.n, 3);
	meter_close(m);
}
END_TEST

START_TEST(what_clipped_before_it_died_is_told_first)
{
	struct told t = {.n = 0};
	struct meter *m = open_floats(1, 10);

	add_same(m, 1, 1, 3, &t);
	add_same(m, 1, 0, 10, &t);
	add_same(m, 1, 1, 1, &t);
	meter_flush(m, note, &t);
	ck_assert_uint_eq(t.n, 4);
	same_event(&t.event[0], METER_CLIPPED, 0, 0, 3);
	same_event(&t.event[1], METER_DEAD, 0, 3, 0);
	same_event(&t.event[2], METER_ALIVE, 0, 13, 0);
	same_event(&t.event[3], METER_CLIPPED, 0, 13, 1);
	meter_close(m);
}
END_TEST

/* Sound, near silence, and full scale, in runs of all lengths around dead_frames. */
static void
fill(int32_t *v, size_t frames, unsigned channels, uint64_t dead_frames)
{
	for (unsigned c = 0; c < channels; c++)
		for (size_t i = 0; i < frames;) {
			size_t run = 1 + (size_t)random() % (2 * (size_t)dead_frames + 200);
			int kind = random() % 3;

			for (; run > 0 && i < frames; run--, i++)
				v[i * channels + c] = kind == 0	  ? 0
						      : kind == 1 ? (int32_t)random() / 8 - 77
						      : random() % 50 == 0
							  ? INT32_MIN
							  : (int32_t)random() / 2 + 1;
		}
}

/* The slow way: each frame by itself. */
static void
expect(const int32_t *v, size_t frames, unsigned channels, unsigned c, uint64_t dead_frames,
    unsigned rate_hz, struct told *t)
{
	uint64_t zeros = 0, clipped = 0, since = 0;
	bool dead = false;

	for (size_t i = 0; i <= frames; i++) {
		int32_t x = i < frames ? v[i * channels + c] : 0;
		bool dies = i < frames && x == 0 && ++zeros == dead_frames && !dead;

		if (clipped > 0 && (i == frames || dies || i - since >= rate_hz)) {
			note(t, &(struct meter_event){METER_CLIPPED, c, since, clipped});
			clipped = 0;
		}
		if (dies)
			note(t, &(struct meter_event){METER_DEAD, c, i + 1 - zeros, 0});
		dead = dead || dies;
		if (x == 0)
			continue;
		if (dead)
			note(t, &(struct meter_event){METER_ALIVE, c, i, 0});
		dead = false;
		zeros = 0;
		if (x == INT32_MIN && clipped++ == 0)
			since = i;
	}
}

static void
same_events(const struct told *all, unsigned c, const struct told *expected)
{
	unsigned n = 0;

	for (unsigned i = 0; i < all->n; i++) {
		const struct meter_event *x = &expected->event[n];

		if (all->event[i].channel != c)
			continue;
		ck_assert_uint_lt(n++, expected->n);
		same_event(&all->event[i], x->kind, c, x->frame, x->samples);
	}
	ck_assert_uint_eq(n, expected->n);
}

static void
same_levels(const struct meter_level *a, const struct meter_level *b, unsigned channels)
{
	for (unsigned c = 0; c < channels; c++) {
		ck_assert_double_eq(a[c].peak_dbfs, b[c].peak_dbfs);
		ck_assert_double_eq_tol(a[c].rms_dbfs, b[c].rms_dbfs, 1e-9);
		ck_assert_uint_eq(a[c].clipped, b[c].clipped);
	}
}

START_TEST(the_cuts_between_calls_do_not_matter)
{
	static const uint64_t deads[] = {1, 2, 17, 100, 999, 4096, 5000, 7919};
	static int32_t v[BLOCK * 3];
	static struct told whole, pieces, expected;
	uint64_t dead = deads[_i / 2];
	size_t frames = dead < 100 ? 1500 : BLOCK;
	unsigned rate = _i % 2 ? RATE : 44100;
	struct meter *a = open_meter(2, 3, rate, dead), *b = open_meter(2, 3, rate, dead);
	struct meter_level la[3], lb[3];
	char line[4096];

	whole.n = pieces.n = 0;
	srandom((unsigned)_i);
	fill(v, frames, 3, dead);
	meter_add(a, v, frames, note, &whole);
	meter_flush(a, note, &whole);
	for (size_t i = 0, n; i < frames; i += n) {
		n = (size_t)random() % (random() % 4 == 0 ? 3001 : 37);
		n = n < frames - i ? n : frames - i;
		meter_add(b, v + i * 3, n, note, &pieces);
	}
	meter_flush(b, note, &pieces);
	for (unsigned c = 0; c < 3; c++) {
		expected.n = 0;
		expect(v, frames, 3, c, dead, rate, &expected);
		same_events(&whole, c, &expected);
		same_events(&pieces, c, &expected);
	}
	meter_take(a, la);
	meter_take(b, lb);
	same_levels(la, lb, 3);
	strcpy(line, wide_line(a));
	ck_assert_str_eq(line, wide_line(b));
	meter_close(a);
	meter_close(b);
}
END_TEST

/* ---- the line ---- */

START_TEST(a_line_shows_levels_of_its_own_window)
{
	struct told t = {.n = 0};
	struct meter *m = open_floats(1, 0);
	struct meter_facts f = {83, 15127, true, NULL};
	struct meter_level l;

	add_same(m, 1, 1.0f / 1024, 100, &t); /* -60.2 dBFS */
	add_same(m, 1, 0.25f, 100, &t);	      /* -12.04 */
	ck_assert_str_eq(
	    line_of(m, &f, 55, false), " 0:01:23  1 #############-|    -12.0       left 4:12:07");
	add_same(m, 1, 0.03125f, 100, &t); /* -30.1 */
	meter_take(m, &l);
	ck_assert_double_eq_tol(l.peak_dbfs, -12.0412, 0.0001);
	ck_assert_str_eq(
	    line_of(m, &f, 55, false), " 0:01:23  1 #########     |    -12.0       left 4:12:07");
	/* Without new frames it stays what it was. */
	ck_assert_str_eq(
	    line_of(m, &f, 55, false), " 0:01:23  1 #########     |    -12.0       left 4:12:07");
	meter_close(m);
}
END_TEST

START_TEST(the_hold_lasts_two_seconds_of_frames)
{
	struct told t = {.n = 0};
	struct meter *m = open_floats(1, 0);

	add_same(m, 1, 0.1f, 99, &t);
	add_same(m, 1, 0.5f, 1, &t);
	add_same(m, 1, 0.1f, 2000, &t);
	holds(wide_line(m), " -6.0", true);
	add_same(m, 1, 0.1f, 1, &t);
	holds(wide_line(m), " -6.0", false);
	holds(wide_line(m), "-20.0", true);
	meter_close(m);
}
END_TEST

START_TEST(a_clip_is_shown_for_three_seconds_of_frames)
{
	struct told t = {.n = 0};
	struct meter *m = open_floats(1, 0);

	add_same(m, 1, 1, 1, &t);
	holds(wide_line(m), "  0.0 CLIP", true);
	add_same(m, 1, 0.1f, 2999, &t);
	holds(wide_line(m), "-20.0 CLIP", true);
	add_same(m, 1, 0.1f, 1, &t);
	holds(wide_line(m), "CLIP", false);
	meter_close(m);
}
END_TEST

START_TEST(a_clip_and_a_death_are_seen_in_every_width)
{
	static const unsigned channels[] = {1, 2, 8};
	struct told t = {.n = 0};
	struct meter *m = open_floats(channels[_i], 100);
	struct meter_facts f = {83, 15127, true, NULL};

	for (unsigned columns = 20; columns <= 250; columns++)
		holds(line_of(m, &f, columns, columns % 2), "CLIP", false);
	add_same(m, channels[_i], 1, 1, &t);
	for (unsigned columns = 20; columns <= 250; columns++)
		holds(line_of(m, &f, columns, columns % 2), "CLIP", true);
	add_same(m, channels[_i], 0, 5000, &t);
	for (unsigned columns = 23; columns <= 250; columns++)
		holds(line_of(m, &f, columns, columns % 2), "dead", true);
	meter_close(m);
}
END_TEST

START_TEST(channels_without_room_are_counted)
{
	struct told t = {.n = 0};
	struct meter *m = open_floats(64, 0);
	struct meter_facts f = {83, NAN, true, NULL};
	float loud[64] = {[63] = 1};

	add_same(m, 64, 0.001f, 100, &t);
	holds(line_of(m, &f, 80, false), "  7     |  8", false);
	holds(line_of(m, &f, 80, false), " +57", true);
	holds(line_of(m, &f, 80, false), " +57 CLIP", false);
	meter_add(m, loud, 1, note, &t);
	holds(line_of(m, &f, 80, false), " +57 CLIP", true);
	meter_close(m);
}
END_TEST

START_TEST(the_time_left_takes_no_channels_place)
{
	struct meter *m = open_floats(8, 0);
	struct meter_facts f = {83, 15127, true, NULL};

	holds(line_of(m, &f, 80, true), " 8 ", true);
	holds(line_of(m, &f, 80, true), "left", true);
	f.open = false;
	holds(line_of(m, &f, 80, true), " 8 ", true);
	holds(line_of(m, &f, 80, true), "left", false);
	meter_close(m);
}
END_TEST

START_TEST(facts_are_shown)
{
	struct meter *m = open_floats(2, 0);
	struct meter_facts f = {59.99, 1e300, false, "left is dead \xc3\xa9\xff\n"};

	holds(line_of(m, &f, 200, true), " 0:00:59 waiting", true);
	holds(line_of(m, &f, 200, true), "left is dead \xc3\xa9\\xff\\x0a", true);
	holds(line_of(m, &f, 200, false), "left is dead ?\\xff\\x0a", true);
	f = (struct meter_facts){3600 * 12345.0, 60, true, NULL};
	holds(line_of(m, &f, 80, true), "12345:00:00", true);
	holds(line_of(m, &f, 80, true), "waiting", false);
	holds(line_of(m, &f, 80, true), "  left 0:01:00", true);
	holds(line_of(m, &f, 40, true), "  left 0:01:00", true);
	f.left_s = NAN;
	holds(line_of(m, &f, 80, true), "left", false);
	meter_close(m);
}
END_TEST

START_TEST(numbers_are_plain)
{
	static const struct {
		float v;
		const char *text;
	} as[] = {{0, " -inf"}, {0.9999f, "  0.0"}, {-0.9999f, "  0.0"}, {1e-45f, " -897"},
	    {1e-5f, " -100"}, {3e38f, "  770"}, {NAN, " -inf"}, {0.1f, "-20.0"}};
	struct told t = {.n = 0};
	struct meter *m = open_floats(1, 0);

	holds(wide_line(m), "inf", false);
	holds(wide_line(m), "nan", false);
	add_same(m, 1, as[_i].v, 10, &t);
	holds(wide_line(m), as[_i].text, true);
	holds(wide_line(m), "-0.0", false);
	meter_close(m);
}
END_TEST

/* A few states that may come together, and all widths: a third of them for each. */
START_TEST(a_line_is_never_too_wide)
{
	static const unsigned channels[] = {1, 2, 3, 8, 64};
	static const struct meter_facts facts[] = {{0, NAN, true, NULL},
	    {83, 15127, false, "left is dead since 0:01:02"},
	    {1e12, INFINITY, false, "\xe6\xad\xbb\xe6\xad\xbb\xe6\xad\xbb\xe6\xad\xbb"},
	    {-1, -5, true, ""},
	    {NAN, 1e18, true,
		"a very long notice, longer than lines are long, "
		"which is cut where there is no more room"}};
	static const float levels[] = {0, 0.3f, 1, 1e30f, 1e-45f};
	unsigned n = channels[_i];
	struct told t;
	struct meter *m = open_floats(n, 150);

	for (unsigned i = 0; i < 5 * 5; i++) {
		for (unsigned columns = full ? 1 : 1 + i % 3; columns <= 250;
		     columns += full ? 1 : 3)
			for (int utf8 = 0; utf8 < 2; utf8++) {
				const char *line = line_of(m, &facts[i % 5], columns, utf8);

				ck_assert_msg(
				    utf8_columns(line) <= columns, "%u: %s", columns, line);
				ck_assert(utf8_valid(line, strlen(line)));
				for (const char *s = line; !utf8 && *s != '\0'; s++)
					ck_assert(*s >= ' ' && *s <= '~');
			}
		t.n = 0;
		add_same(m, n, levels[i / 5], 40, &t);
	}
	meter_close(m);
}
END_TEST

START_TEST(a_line_is_appended)
{
	struct meter *m = open_floats(1, 0);
	struct buf line = {0};

	ck_assert_int_eq(buf_adds(&line, "\r", &e), 0);
	ck_assert_int_eq(
	    meter_line(m, &(struct meter_facts){0, NAN, true, NULL}, 8, true, &line, &e), 0);
	ck_assert_str_eq(line.data, "\r 0:00:00");
	buf_free(&line);
	meter_close(m);
	meter_close(NULL);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_loop_test(t, levels_are_those_of_sox, 0, KEEPS);
	tcase_add_loop_test(t, a_sine_has_its_levels, 0, KEEPS);
	tcase_add_test(t, floats_exceed_full_scale_and_may_be_no_number);
	tcase_add_test(t, a_silence_is_told_when_it_is_long_enough);
	tcase_add_test(t, without_dead_frames_nothing_is_dead);
	tcase_add_test(t, clipping_is_gathered_over_a_second);
	tcase_add_test(t, what_clipped_before_it_died_is_told_first);
	tcase_add_loop_test(t, the_cuts_between_calls_do_not_matter, 0, 16);
	tcase_add_test(t, a_line_shows_levels_of_its_own_window);
	tcase_add_test(t, the_hold_lasts_two_seconds_of_frames);
	tcase_add_test(t, a_clip_is_shown_for_three_seconds_of_frames);
	tcase_add_loop_test(t, a_clip_and_a_death_are_seen_in_every_width, 0, 3);
	tcase_add_test(t, channels_without_room_are_counted);
	tcase_add_test(t, the_time_left_takes_no_channels_place);
	tcase_add_test(t, facts_are_shown);
	tcase_add_loop_test(t, numbers_are_plain, 0, 8);
	tcase_add_loop_test(t, a_line_is_never_too_wide, 0, 5);
	tcase_add_test(t, a_line_is_appended);
}

int
main(void)
{
	Suite *s = suite_create("meter");
	TCase *t = tcase_create("meter");
	SRunner *r;
	char line[64];
	int failed;

	full = getenv("REC_FAULT") != NULL && strcmp(getenv("REC_FAULT"), "full") == 0;
	if (mkdtemp(dir) == NULL)
		return 1;
	tcase_set_timeout(t, 60);
	add_tests(t);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	snprintf(line, sizeof line, "rm -rf %s", dir);
	if (system(line) != 0)
		failed++;
	return failed == 0 ? 0 : 1;
}
