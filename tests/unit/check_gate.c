/*
 * gate and splitter: what is let through and where parts end, compared with a plain reckoning frame
 * by frame, however the frames come in pieces.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "gate.h"
#include "splitter.h"

#define FRAMES 20000
#define RATE 1000
#define LOUD 8000
#define FAINT 2000

static struct err e;
static int16_t sound[FRAMES]; /* 0, FAINT or LOUD, and the place in the last bits */

/* Loud, faint and quiet stretches of random lengths. */
static void
make_sound(unsigned seed)
{
	srandom(seed);
	for (int i = 0; i < FRAMES;) {
		int level = (int[]){0, 0, FAINT, LOUD}[random() % 4];
		int n = 1 + (int)(random() % (level == LOUD ? 40 : 700));

		for (; n > 0 && i < FRAMES; n--, i++)
			sound[i] = (int16_t)((level != 0 ? level : 0) + i % 1000);
	}
}

/* ---- the gate ---- */

struct heard {
	int16_t frames[4 * FRAMES];
	uint64_t n, opened[FRAMES], closed[FRAMES];
	int opens, closes;
};

static int
on_open(void *ctx, uint64_t frame, struct err *err)
{
	struct heard *h = ctx;

	(void)err;
	h->opened[h->opens++] = frame;
	return 0;
}

static int
on_write(void *ctx, const void *samples, uint64_t frames, struct err *err)
{
	struct heard *h = ctx;

	(void)err;
	memcpy(h->frames + h->n, samples, frames * 2);
	h->n += frames;
	return 0;
}

static int
on_close(void *ctx, uint64_t frame, struct err *err)
{
	struct heard *h = ctx;

	(void)err;
	h->closed[h->closes++] = frame;
	return 0;
}

static void
pass(const struct gate_opts *o, struct heard *h, int piece)
{
	struct gate_sink sink = {h, on_open, on_write, on_close};
	struct gate *g = gate_new(o, &e);

	memset(h, 0, sizeof *h);
	ck_assert_ptr_nonnull(g);
	for (int i = 0, n; i < FRAMES; i += n) {
		n = piece > 0 ? piece : 1 + (int)(random() % 900);
		n = n < FRAMES - i ? n : FRAMES - i;
		ck_assert_int_eq(gate_add(g, sound + i, (uint64_t)n, &sink, &e), 0);
	}
	ck_assert_int_eq(gate_is_open(g), h->opens > h->closes);
	gate_free(g);
}

static int
reaches(int i, double magnitude)
{
	return sound[i] / 32768.0 >= magnitude;
}

/* The same, a frame at a time. */
static void
reckon(const struct gate_opts *o, struct heard *h)
{
	uint64_t from = 0, quiet = 0;
	bool open = false;

	memset(h, 0, sizeof *h);
	for (int i = 0; i < FRAMES; i++) {
		if (!open && reaches(i, o->open_magnitude)) {
			uint64_t first =
			    (uint64_t)i > o->pre_frames ? (uint64_t)i - o->pre_frames : 0;

			open = true;
			quiet = 0;
			first = first > from ? first : from;
			h->opened[h->opens++] = first;
			for (uint64_t k = first; k < (uint64_t)i; k++)
				h->frames[h->n++] = sound[k];
		}
		if (!open)
			continue;
		h->frames[h->n++] = sound[i];
		quiet = reaches(i, o->close_magnitude) ? 0 : quiet + 1;
		if (quiet == o->hang_frames) {
			open = false;
			from = (uint64_t)i + 1;
			h->closed[h->closes++] = from;
		}
	}
}

START_TEST(the_gate_lets_through_what_a_plain_reckoning_does)
{
	static struct heard got, wanted;
	struct gate_opts o = {.kept = {16},
	    .channels = 1,
	    .open_magnitude = LOUD / 32768.0,
	    .close_magnitude = FAINT / 32768.0,
	    .pre_frames = (uint64_t[]){0, 1, 97, 5000}[_i % 4],
	    .hang_frames = (uint64_t[]){1, 50, 400}[_i % 3]};

	make_sound((unsigned)_i);
	reckon(&o, &wanted);
	pass(&o, &got, (int[]){0, 1, FRAMES}[_i % 3]);
	ck_assert_int_gt(wanted.opens, 1);
	ck_assert_int_eq(got.opens, wanted.opens);
	ck_assert_int_eq(got.closes, wanted.closes);
	ck_assert_mem_eq(got.opened, wanted.opened, sizeof got.opened);
	ck_assert_mem_eq(got.closed, wanted.closed, sizeof got.closed);
	ck_assert_uint_eq(got.n, wanted.n);
	ck_assert_mem_eq(got.frames, wanted.frames, got.n * 2);
}
END_TEST

START_TEST(what_was_before_a_gap_is_not_handed_out_behind_it)
{
	static struct heard h;
	struct gate_sink sink = {&h, on_open, on_write, on_close};
	struct gate_opts o = {.kept = {16},
	    .channels = 1,
	    .open_magnitude = 0.5,
	    .close_magnitude = 0.5,
	    .pre_frames = 100,
	    .hang_frames = 10};
	int16_t quiet[50] = {0}, loud = INT16_MIN;
	struct gate *g = gate_new(&o, &e);

	gate_add(g, quiet, 50, &sink, &e);
	gate_break(g);
	gate_add(g, quiet, 20, &sink, &e);
	gate_add(g, &loud, 1, &sink, &e);
	ck_assert_uint_eq(h.opened[0], 50);
	ck_assert_uint_eq(h.n, 21);
	gate_free(g);
}
END_TEST

static int
refuse(void *ctx, uint64_t frame, struct err *err)
{
	(void)ctx;
	(void)frame;
	return err_set(err, ERR_SYSTEM, NULL, "no");
}

START_TEST(a_sink_that_fails_ends_it)
{
	static struct heard h;
	struct gate_sink sink = {&h, refuse, on_write, on_close};
	struct gate_opts o = {.kept = {16}, .channels = 1, .hang_frames = 10};
	struct gate *g = gate_new(&o, &e);

	ck_assert_int_eq(gate_add(g, sound, 10, &sink, &e), -1);
	ck_assert_str_eq(e.text, "no");
	gate_free(g);
}
END_TEST

/* ---- the splitter ---- */

static int
cuts(struct splitter *s, struct timespec start, int piece, uint64_t *at)
{
	struct timespec t = start;
	int n = 0;

	splitter_begin(s, t);
	for (uint64_t i = 0; i < FRAMES;) {
		uint64_t left = FRAMES - i, want = (uint64_t)piece < left ? (uint64_t)piece : left,
			 got;

		if (splitter_is_due(s)) {
			at[n++] = i;
			t.tv_sec = start.tv_sec + (time_t)(i / RATE);
			t.tv_nsec = start.tv_nsec + (long)(i % RATE) * 1000000;
			t.tv_sec += t.tv_nsec / 1000000000;
			t.tv_nsec %= 1000000000;
			splitter_begin(s, t);
		}
		got = splitter_take(s, sound + i, want);
		ck_assert_uint_ge(got, 1);
		i += got;
	}
	return n;
}

START_TEST(parts_end_at_pauses_behind_sound)
{
	struct splitter s = {.kept = {16},
	    .channels = 1,
	    .rate_hz = RATE,
	    .pause_frames = 300,
	    .pause_magnitude = FAINT / 32768.0};
	uint64_t got[FRAMES], wanted[FRAMES], quiet = 0;
	bool had_sound = false;
	int n = 0;

	make_sound((unsigned)_i);
	for (uint64_t i = 0; i < FRAMES; i++) {
		quiet = reaches((int)i, FAINT / 32768.0) ? 0 : quiet + 1;
		had_sound = had_sound || quiet == 0;
		if (quiet == 300 && had_sound && i + 1 < FRAMES) {
			wanted[n++] = i + 1;
			had_sound = false;
		}
	}
	ck_assert_int_gt(n, 1);
	ck_assert_int_eq(cuts(&s, (struct timespec){0}, 1 + 250 * _i, got), n);
	ck_assert_mem_eq(got, wanted, sizeof got[0] * (size_t)n);
}
END_TEST

START_TEST(parts_end_at_times_and_at_the_clock)
{
	struct splitter s = {.kept = {16}, .channels = 1, .rate_hz = RATE};
	struct timespec start = {
	    .tv_sec = 1790000000 - 1790000000 % 86400 + 3600 - 2, .tv_nsec = 500000000};
	uint64_t at[FRAMES];

	s.every_frames = 7001;
	ck_assert_int_eq(cuts(&s, start, 333, at), 2);
	ck_assert_uint_eq(at[0], 7001);
	ck_assert_uint_eq(at[1], 14002);

	/* 1.5 s before the full hour. */
	s.every_frames = 0;
	s.clock_s = 3600;
	ck_assert_int_eq(cuts(&s, start, 333, at), 1);
	ck_assert_uint_eq(at[0], 1500);
	s.clock_s = 4;
	ck_assert_int_eq(cuts(&s, start, 333, at), 5);
	for (int i = 0; i < 5; i++)
		ck_assert_uint_eq(at[i], 1500 + 4000 * i);

	/* Hardly before it a part does not end. */
	start.tv_sec += 1;
	start.tv_nsec = 999999999;
	s.clock_s = 3600;
	splitter_begin(&s, start);
	ck_assert_uint_eq(s.left, 3600 * RATE + 1);
	s.every_frames = 5;
	splitter_begin(&s, start);
	ck_assert_uint_eq(s.left, 5);
}
END_TEST

START_TEST(times_of_the_clock_divide_the_day)
{
	static const struct {
		const char *text;
		unsigned s;
	} good[] = {{"minute", 60}, {"hour", 3600}, {"day", 86400}, {"15m", 900}, {"10", 10},
	    {"24h", 86400}};
	static const char *const bad[] = {"", "week", "7m", "25h", "0", "0.5", "-1h", "48000f"};
	unsigned s;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		ck_assert_int_eq(splitter_clock(good[i].text, &s, &e), 0);
		ck_assert_uint_eq(s, good[i].s);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ck_assert_int_eq(splitter_clock(bad[i], &s, &e), -1);
		ck_assert_int_eq(e.class, ERR_USAGE);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("gate");
	TCase *t = tcase_create("gate");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, the_gate_lets_through_what_a_plain_reckoning_does, 0, 24);
	tcase_add_test(t, what_was_before_a_gap_is_not_handed_out_behind_it);
	tcase_add_test(t, a_sink_that_fails_ends_it);
	tcase_add_loop_test(t, parts_end_at_pauses_behind_sound, 0, 8);
	tcase_add_test(t, parts_end_at_times_and_at_the_clock);
	tcase_add_test(t, times_of_the_clock_divide_the_day);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? 0 : 1;
}
