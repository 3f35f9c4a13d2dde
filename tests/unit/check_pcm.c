/*
 * pcm: conversions, compared byte for byte with those of ffmpeg, and levels with numbers
 * worked out by hand.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pcm.h"

#define SAMPLES 4096

static char dir[] = "/tmp/check_pcm.XXXXXX";
static struct err e;

static const char *const names[] = {
    "s16le", "s16be", "s24le", "s24be", "s32le", "s32be", "f32le", "f32be", "u8"};
static const char *const alsa[] = {
    "S16_LE", "S16_BE", "S24_3LE", "S24_3BE", "S32_LE", "S32_BE", "FLOAT_LE", "FLOAT_BE", "U8"};
static const struct pcm_kept keeps[] = {{16}, {24}, {32}, {32, true}};
static const char *const keep_names[] = {"s16le", "s24le", "s32le", "f32le"};
#define NAMES ((int)(sizeof names / sizeof *names))
#define KEEPS 4

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

START_TEST(every_format_has_two_names)
{
	const struct pcm_format *f = pcm_format(names[_i], &e);

	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_eq(f, pcm_format(alsa[_i], &e));
	ck_assert_str_eq(f->name, names[_i]);
	ck_assert_uint_eq(pcm_bytes(f) * 8, f->bits);
}
END_TEST

START_TEST(an_unknown_name_lists_the_known_ones)
{
	ck_assert_ptr_null(pcm_format("s20le", &e));
	ck_assert_int_eq(e.class, ERR_USAGE);
	for (int i = 0; i < NAMES; i++)
		ck_assert_msg(strstr(e.text, names[i]) != NULL, "%s", e.text);
}
END_TEST

START_TEST(what_is_kept_loses_nothing)
{
	const struct pcm_format *f = pcm_format(names[_i], &e);
	struct pcm_kept k = pcm_keep(f);

	ck_assert_int_eq(pcm_check(f, &k, &e), 0);
	ck_assert_uint_ge(k.bits, f->bits);
	ck_assert_int_eq(k.is_float, f->is_float);
	for (int i = 0; i < KEEPS; i++) {
		bool fits = f->is_float		? keeps[i].is_float
			    : keeps[i].is_float ? f->bits <= 24
						: f->bits <= keeps[i].bits;

		e = (struct err){0};
		ck_assert_int_eq(pcm_check(f, &keeps[i], &e), fits ? 0 : -1);
		ck_assert_int_eq(e.class, fits ? ERR_NONE : ERR_USAGE);
		/* No narrower one would have done. */
		ck_assert(!fits || keeps[i].bits >= k.bits);
	}
}
END_TEST

START_TEST(no_other_widths_are_kept)
{
	const struct pcm_format *f = pcm_format("u8", &e);

	ck_assert_int_eq(pcm_check(f, &(struct pcm_kept){8}, &e), -1);
	ck_assert_int_eq(pcm_check(f, &(struct pcm_kept){20}, &e), -1);
	ck_assert_int_eq(pcm_check(f, &(struct pcm_kept){64, true}, &e), -1);
}
END_TEST

static void
save(const char *name, const void *p, size_t size)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	ck_assert_ptr_nonnull(f = fopen(path, "w"));
	ck_assert_uint_eq(fwrite(p, 1, size, f), size);
	ck_assert_int_eq(fclose(f), 0);
}

/* Any bits are an integer; floats of all sizes from 2^-16 to 4, in their own order. */
static void
fill(const struct pcm_format *f, unsigned char *p)
{
	for (size_t i = 0; i < SAMPLES * (size_t)pcm_bytes(f); i++)
		p[i] = (unsigned char)(random() >> 8);
	for (size_t i = 0; f->is_float && i < SAMPLES; i++) {
		unsigned char *top = p + 4 * i + (f->is_big_endian ? 0 : 3);

		*top = (unsigned char)((*top & 0x80) | (0x38 + random() % 8));
	}
}

START_TEST(conversions_are_those_of_ffmpeg)
{
	const struct pcm_format *f = pcm_format(names[_i / KEEPS], &e);
	const struct pcm_kept *k = &keeps[_i % KEEPS];
	static unsigned char in[SAMPLES * 4], theirs[SAMPLES * 4 + 1], ours[SAMPLES * 4];
	char line[512];

	if (pcm_check(f, k, &e) == -1)
		return;
	fill(f, in);
	save("in", in, SAMPLES * (size_t)pcm_bytes(f));
	snprintf(line, sizeof line,
	    "cd %s && ffmpeg -nostdin -v error -y -f %s -ar 8000 -ac 1 -i in -f %s out", dir,
	    f->name, keep_names[_i % KEEPS]);
	ck_assert_int_eq(system(line), 0);
	ck_assert_uint_eq(load("out", theirs, sizeof theirs), SAMPLES * (k->bits / 8));
	pcm_convert(f, in, SAMPLES, k, ours);
	ck_assert_mem_eq(ours, theirs, SAMPLES * (k->bits / 8));
}
END_TEST

START_TEST(the_ends_of_the_scale_stay_there)
{
	static const unsigned char ends[] = {0, 0x80, 0xff, 0x7f}, bytes[] = {0, 0x80, 0xff};
	unsigned char out[12];
	float f[3];
	int32_t v[2];

	pcm_convert(pcm_format("s16le", &e), ends, 2, &keeps[2], out);
	ck_assert_mem_eq(out, "\0\0\0\x80\0\0\xff\x7f", 8);
	pcm_convert(pcm_format("s16be", &e), "\x80\0\x7f\xff", 2, &keeps[1], out);
	ck_assert_mem_eq(out, "\0\0\x80\0\xff\x7f", 6);
	pcm_convert(pcm_format("u8", &e), bytes, 3, &keeps[3], out);
	pcm_floats(out, 3, f);
	ck_assert(f[0] == -1.0f && f[1] == 0.0f && f[2] == 127.0f / 128);
	pcm_ints(&keeps[0], ends, 2, v);
	ck_assert_int_eq(v[0], INT32_MIN);
	ck_assert_int_eq(v[1], 0x7fff0000);
}
END_TEST

/* Left: half and minus half of full scale; right: both ends. */
START_TEST(levels_are_of_each_channel)
{
	static const unsigned char s16[] = {0, 0x40, 0, 0x80, 0, 0xc0, 0xff, 0x7f};
	unsigned char samples[16];
	struct pcm_level l[2] = {{0}};
	double top = _i == 3 ? 32767.0 / 32768 : 1.0;

	pcm_convert(pcm_format("s16le", &e), s16, 4, &keeps[_i], samples);
	pcm_measure(&keeps[_i], samples, 1, 2, l);
	pcm_measure(&keeps[_i], samples + keeps[_i].bits / 4, 1, 2, l);
	ck_assert_uint_eq(l[0].frames, 2);
	ck_assert_uint_eq(l[1].frames, 2);
	ck_assert_double_eq(l[0].peak, 0.5);
	ck_assert_double_eq(l[0].sum_squares, 0.5);
	ck_assert_uint_eq(l[0].clipped, 0);
	ck_assert_double_eq(l[1].peak, 1.0);
	ck_assert_double_eq_tol(l[1].sum_squares, 1.0 + top * top, 1e-4);
	/* The greatest of 16 bits is not the greatest of more. */
	ck_assert_uint_eq(l[1].clipped, _i == 0 ? 2 : 1);
}
END_TEST

START_TEST(floats_exceed_full_scale_and_may_be_no_number)
{
	float in[] = {1.5f, -1.0f, 0.25f, NAN, INFINITY};
	struct pcm_level l = {0};

	pcm_measure(&keeps[3], in, 5, 1, &l);
	ck_assert_uint_eq(l.frames, 5);
	ck_assert_uint_eq(l.clipped, 2);
	ck_assert_double_eq(l.peak, 1.5);
	ck_assert_double_eq(l.sum_squares, 2.25 + 1 + 0.0625);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("pcm");
	TCase *t = tcase_create("pcm");
	SRunner *r;
	char line[64];
	int failed;

	if (mkdtemp(dir) == NULL)
		return 1;
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, every_format_has_two_names, 0, NAMES);
	tcase_add_test(t, an_unknown_name_lists_the_known_ones);
	tcase_add_loop_test(t, what_is_kept_loses_nothing, 0, NAMES);
	tcase_add_test(t, no_other_widths_are_kept);
	tcase_add_loop_test(t, conversions_are_those_of_ffmpeg, 0, NAMES * KEEPS);
	tcase_add_test(t, the_ends_of_the_scale_stay_there);
	tcase_add_loop_test(t, levels_are_of_each_channel, 0, KEEPS);
	tcase_add_test(t, floats_exceed_full_scale_and_may_be_no_number);
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
