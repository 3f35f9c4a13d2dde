/*
 * render: every sample is what the formula says, worked out by hand, in whole numbers, or by
 * ffmpeg; and the paths for raw and for decoded samples agree.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "render.h"

#define SAMPLES 6000

static char dir[] = "/tmp/check_render.XXXXXX";

static const struct render_format formats[] = {
    {.bytes = 1, .bits = 8, .is_unsigned = true},
    {.bytes = 1, .bits = 8},
    {.bytes = 2, .bits = 16},
    {.bytes = 2, .bits = 16, .big_endian = true},
    {.bytes = 2, .bits = 12},
    {.bytes = 3, .bits = 24},
    {.bytes = 3, .bits = 24, .big_endian = true},
    {.bytes = 3, .bits = 20},
    {.bytes = 3, .bits = 20, .big_endian = true},
    {.bytes = 4, .bits = 32},
    {.bytes = 4, .bits = 32, .big_endian = true},
    {.bytes = 4, .bits = 24},
    {.bytes = 8, .bits = 64},
    {.bytes = 8, .bits = 64, .big_endian = true},
    {.bytes = 4, .bits = 32, .is_float = true},
    {.bytes = 4, .bits = 32, .is_float = true, .big_endian = true},
    {.bytes = 8, .bits = 64, .is_float = true},
    {.bytes = 8, .bits = 64, .is_float = true, .big_endian = true},
};
#define FORMATS ((int)(sizeof formats / sizeof *formats))
#define NARROW 12 /* integers of up to 32 bits come first, */
#define INTS 14	  /* then those of 64 */

static const struct render_format s16 = {.bytes = 2, .bits = 16, .channels = 1};

/* ---- samples ---- */

static uint64_t
random_bits(void)
{
	static uint64_t state = 88172645463325252u; /* xorshift64, Marsaglia 2003 */

	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

/* The number that is in the lower bytes of v, as the format has it in a file. */
static void
put(const struct render_format *f, unsigned char *p, uint64_t v)
{
	for (unsigned i = 0; i < f->bytes; i++)
		p[f->big_endian ? f->bytes - 1 - i : i] = (unsigned char)(v >> (8 * i));
}

static uint64_t
get(const struct render_format *f, const unsigned char *p)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < f->bytes; i++)
		v |= (uint64_t)p[f->big_endian ? f->bytes - 1 - i : i] << (8 * i);
	return v;
}

/* An integer's value, at the lower end. */
static void
put_int(const struct render_format *f, unsigned char *p, int64_t x)
{
	uint64_t v = (uint64_t)x << (8 * f->bytes - f->bits);

	put(f, p, f->is_unsigned ? v ^ UINT64_C(1) << (8 * f->bytes - 1) : v);
}

static int64_t
get_int(const struct render_format *f, const unsigned char *p)
{
	uint64_t v = get(f, p);

	if (f->is_unsigned)
		v ^= UINT64_C(1) << (8 * f->bytes - 1);
	return (int64_t)(v << (64 - 8 * f->bytes)) >> (64 - f->bits);
}

static double
get_float(const struct render_format *f, const unsigned char *p)
{
	uint64_t v = get(f, p);
	uint32_t v32 = (uint32_t)v;
	double d;
	float x;

	memcpy(&d, &v, sizeof d);
	memcpy(&x, &v32, sizeof x);
	return f->bytes == 4 ? (double)x : d;
}

static void
put_float(const struct render_format *f, unsigned char *p, double d)
{
	float x = (float)d;
	uint32_t v32;
	uint64_t v;

	memcpy(&v, &d, sizeof v);
	memcpy(&v32, &x, sizeof v32);
	put(f, p, f->bytes == 4 ? v32 : v);
}

static void
fill(const struct render_format *f, unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++, p += f->bytes) {
		int64_t x = (int64_t)random_bits();

		if (f->is_float)
			put_float(f, p, (double)x / 0x1p62);
		else
			put_int(f, p, x >> (64 - f->bits));
	}
}

/* ---- by hand ---- */

/* n frames of one channel, 16 bits. */
static void
assert_s16(struct render *r, const int *in, const int *out, unsigned n)
{
	unsigned char p[64];

	r->format = s16;
	r->frames = n;
	for (unsigned i = 0; i < n; i++)
		put_int(&s16, p + 2 * i, in[i]);
	render_apply(r, p, 0, n);
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_eq(get_int(&s16, p + 2 * i), out[i]);
}

START_TEST(a_fade_in_rises_to_full)
{
	struct render r = {.gain = 1, .fade_in = 3};

	assert_s16(
	    &r, (int[]){1000, 1000, 1000, 1000, 1001}, (int[]){250, 500, 750, 1000, 1001}, 5);
}
END_TEST

START_TEST(a_fade_out_falls_from_full)
{
	struct render r = {.gain = 1, .fade_out = 3};

	assert_s16(
	    &r, (int[]){1001, 1000, 1000, -1000, 1000}, (int[]){1001, 1000, 750, -500, 250}, 5);
}
END_TEST

START_TEST(fades_that_overlap_multiply)
{
	struct render r = {.gain = 1, .fade_in = 4, .fade_out = 4};

	assert_s16(&r, (int[]){2500, 2500, 2500, 2500}, (int[]){400, 600, 600, 400}, 4);
}
END_TEST

START_TEST(fades_may_be_longer_than_the_file)
{
	struct render r = {.gain = 1, .fade_in = 9, .fade_out = 19};

	assert_s16(&r, (int[]){20000, 20000, 20000}, (int[]){300, 400, 300}, 3);
	r = (struct render){.gain = 1, .fade_in = UINT64_MAX, .fade_out = UINT64_MAX};
	assert_s16(&r, (int[]){20000, -20000}, (int[]){0, 0}, 2);
}
END_TEST

START_TEST(halves_go_away_from_zero)
{
	struct render r = {.gain = 0.5};

	assert_s16(&r, (int[]){0, 1, -1, 3, -3, 5, -5, 32767, -32768},
	    (int[]){0, 1, -1, 2, -2, 3, -3, 16384, -16384}, 9);
}
END_TEST

/* 7/18 of 9 is 3.5; a factor that had been rounded first could fall short of it. */
START_TEST(halves_of_a_fade_are_halves)
{
	struct render r = {.gain = 1, .fade_in = 17};

	for (int i = 0; i < 17; i++) {
		int in[17] = {0}, out[17] = {0};

		in[i] = 9;
		out[i] = (2 * 9 * (i + 1) + 18) / 36;
		assert_s16(&r, in, out, 17);
		in[i] = -9;
		out[i] = -out[i];
		assert_s16(&r, in, out, 17);
	}
}
END_TEST

START_TEST(what_exceeds_the_range_is_cut_to_it_and_counted)
{
	struct render r = {.gain = 2};

	assert_s16(&r, (int[]){16383, 16384, 32767, -16384, -16385, -32768, 0},
	    (int[]){32766, 32767, 32767, -32768, -32768, -32768, 0}, 7);
	ck_assert_uint_eq(r.clipped, 4);
	r = (struct render){.gain = 1.00001};
	assert_s16(&r, (int[]){32767, -32768}, (int[]){32767, -32768}, 2);
	ck_assert_uint_eq(r.clipped, 0);
	r = (struct render){.gain = -1};
	assert_s16(&r, (int[]){32767, -32768}, (int[]){-32767, 32767}, 2);
	ck_assert_uint_eq(r.clipped, 1);
}
END_TEST

START_TEST(every_format_is_halved_and_cut)
{
	struct render_format f = formats[_i];
	struct render r = {.gain = 0.5, .frames = 4};
	int64_t top;
	unsigned char p[32];

	f.channels = 1;
	r.format = f;
	top = INT64_MAX >> (64 - f.bits);
	put_int(&f, p, 101);
	put_int(&f, p + f.bytes, -101);
	put_int(&f, p + 2 * f.bytes, top);
	put_int(&f, p + 3 * f.bytes, -top - 1);
	render_apply(&r, p, 0, 4);
	ck_assert_int_eq(get_int(&f, p), 51);
	ck_assert_int_eq(get_int(&f, p + f.bytes), -51);
	ck_assert_int_eq(get_int(&f, p + 2 * f.bytes), top / 2 + 1);
	ck_assert_int_eq(get_int(&f, p + 3 * f.bytes), -(top / 2) - 1);
	r.gain = 4;
	render_apply(&r, p, 0, 4);
	ck_assert_int_eq(get_int(&f, p + 2 * f.bytes), top);
	ck_assert_int_eq(get_int(&f, p + 3 * f.bytes), -top - 1);
	ck_assert_uint_eq(r.clipped, f.bits == 8 ? 4 : 2); /* 204 and -204 too */
}
END_TEST

START_TEST(unused_bits_become_zero_where_something_changes)
{
	struct render_format f = {.bytes = 3, .bits = 20, .channels = 1};
	struct render r = {.format = f, .gain = 1, .fade_in = 1, .frames = 2};
	unsigned char p[] = {0x35, 0x00, 0x00, 0x35, 0x00, 0x00};

	render_apply(&r, p, 0, 2);
	ck_assert_mem_eq(p, ((unsigned char[]){0x20, 0x00, 0x00, 0x35, 0x00, 0x00}), 6);
}
END_TEST

START_TEST(integers_of_64_bits_keep_their_last_bits)
{
	static const struct {
		double gain;
		int64_t in, out;
		unsigned clipped;
	} cases[] = {
	    {0.5, (INT64_C(1) << 62) + 1, (INT64_C(1) << 61) + 1, 0},
	    {0.5, -(INT64_C(1) << 62) - 1, -(INT64_C(1) << 61) - 1, 0},
	    {0.5, INT64_C(0x7ffffffffffffff6), INT64_C(0x3ffffffffffffffb), 0},
	    {2, INT64_C(0x3fffffffffffffff), INT64_C(0x7ffffffffffffffe), 0},
	    {2, INT64_C(0x4000000000000000), INT64_MAX, 1},
	    {2, -INT64_C(0x4000000000000000), INT64_MIN, 0},
	    {2, -INT64_C(0x4000000000000001), INT64_MIN, 1},
	    {-1, INT64_MIN, INT64_MAX, 1},
	    {-1, INT64_MAX, -INT64_MAX, 0},
	    {3, 3074457345618258602, 9223372036854775806, 0},
	    {0.001953125, -768, -2, 0},
	    {1e9, 1, 2048, 0},
	    {1e9, -INT64_C(0x4000000000000000), INT64_MIN, 1},
	};
	struct render_format f = {.bytes = 8, .bits = 64, .channels = 1};
	struct render r = {.format = f, .gain = cases[_i].gain, .frames = 1};
	unsigned char p[8];

	put_int(&f, p, cases[_i].in);
	render_apply(&r, p, 0, 1);
	ck_assert_int_eq(get_int(&f, p), cases[_i].out);
	ck_assert_uint_eq(r.clipped, cases[_i].clipped);
}
END_TEST

START_TEST(floats_may_exceed_full_scale_and_be_no_numbers)
{
	struct render_format f = formats[_i];
	struct render r = {.gain = 4, .frames = 5};
	const double in[] = {0.5, -0.75, NAN, INFINITY, -0.0};
	unsigned char p[40];

	f.channels = 1;
	r.format = f;
	for (int i = 0; i < 5; i++)
		put_float(&f, p + (unsigned)i * f.bytes, in[i]);
	render_apply(&r, p, 0, 5);
	ck_assert_double_eq(get_float(&f, p), 2);
	ck_assert_double_eq(get_float(&f, p + f.bytes), -3);
	ck_assert(isnan(get_float(&f, p + 2 * f.bytes)));
	ck_assert(isinf(get_float(&f, p + 3 * f.bytes)));
	ck_assert(signbit(get_float(&f, p + 4 * f.bytes)));
	ck_assert_uint_eq(r.clipped, 0);
}
END_TEST

START_TEST(fades_of_64_bits_may_be_long)
{
	struct render_format f = {.bytes = 8, .bits = 64, .channels = 1};
	struct render r = {.format = f, .gain = 1, .frames = 1};
	unsigned char p[8];

	r.fade_in = r.fade_out = UINT64_MAX;
	put_int(&f, p, INT64_MAX);
	render_apply(&r, p, 0, 1);
	ck_assert_int_eq(get_int(&f, p), 0);
	r.fade_in = r.fade_out = (UINT64_C(1) << 32) - 1;
	r.frames = UINT64_C(1) << 32;
	put_int(&f, p, INT64_MIN);
	render_apply(&r, p, UINT64_C(1) << 31, 1); /* (2^31 + 1) * 2^31 / 2^64 */
	ck_assert_int_eq(get_int(&f, p), -(INT64_C(1) << 61) - (INT64_C(1) << 30));
}
END_TEST

/* ---- in whole numbers ---- */

/* x * num / den, halves away from zero. */
static int64_t
exactly(int64_t x, uint64_t num, uint64_t den)
{
	unsigned __int128 size = (unsigned __int128)(x < 0 ? -(uint64_t)x : (uint64_t)x) * num;
	uint64_t y = (uint64_t)((2 * size + den) / (2 * (unsigned __int128)den));

	return x < 0 ? (int64_t)-y : (int64_t)y;
}

START_TEST(fades_are_exact)
{
	struct render_format f = formats[_i];
	struct render r = {.gain = 1, .fade_in = SAMPLES - 7, .frames = SAMPLES};
	static unsigned char p[SAMPLES * 8], old[SAMPLES * 8];

	f.channels = 1;
	r.format = f;
	fill(&f, p, SAMPLES);
	memcpy(old, p, sizeof p);
	render_apply(&r, p, 0, SAMPLES);
	for (unsigned i = 0; i < SAMPLES; i++) {
		int64_t x = get_int(&f, old + (size_t)i * f.bytes);
		int64_t y = get_int(&f, p + (size_t)i * f.bytes);
		int64_t want = i < r.fade_in ? exactly(x, i + 1, r.fade_in + 1) : x;

		ck_assert_msg(y == want, "sample %u: %lld became %lld and not %lld", i,
		    (long long)x, (long long)y, (long long)want);
	}
}
END_TEST

/* ---- one path and the other ---- */

static struct render
some_render(const struct render_format *f, unsigned channels)
{
	struct render r = {.format = *f, .frames = SAMPLES / channels};

	r.format.channels = channels;
	r.gain = random_bits() % 3 == 0 ? 1 : (double)(random_bits() % 4000) / 1000;
	r.fade_in = random_bits() % 4000;
	r.fade_out = random_bits() % 4000;
	return r;
}

START_TEST(decoded_samples_become_the_same)
{
	const struct render_format *f = &formats[_i];
	static unsigned char p[SAMPLES * 8];
	static double d[SAMPLES];
	static float x[SAMPLES];
	static int v[SAMPLES];

	for (unsigned channels = 1; channels < 7; channels++) {
		struct render r = some_render(f, channels), other = r;

		fill(f, p, SAMPLES);
		for (unsigned i = 0; i < SAMPLES; i++) {
			const unsigned char *at = p + i * f->bytes;

			if (f->is_float)
				x[i] = (float)(d[i] = get_float(f, at));
			else
				v[i] = (int)((uint64_t)get_int(f, at) << (32 - f->bits));
		}
		render_apply(&r, p, 0, r.frames);
		if (!f->is_float)
			render_ints(&other, v, f->bits, 0, r.frames);
		else if (f->bytes == 4)
			render_floats(&other, x, 0, r.frames);
		else
			render_doubles(&other, d, 0, r.frames);
		ck_assert_uint_eq(r.clipped, other.clipped);
		for (unsigned i = 0; i < SAMPLES; i++) {
			const unsigned char *at = p + i * f->bytes;

			if (!f->is_float)
				ck_assert_int_eq(get_int(f, at), v[i] >> (32 - f->bits));
			else
				ck_assert_double_eq(
				    get_float(f, at), f->bytes == 4 ? (double)x[i] : d[i]);
		}
	}
}
END_TEST

START_TEST(any_split_into_calls_gives_the_same)
{
	const struct render_format *f = &formats[_i];
	static unsigned char p[SAMPLES * 8], q[SAMPLES * 8];

	for (unsigned channels = 1; channels < 9; channels++) {
		struct render r = some_render(f, channels), split = r;
		size_t frame_bytes = (size_t)f->bytes * channels;

		fill(f, p, SAMPLES);
		memcpy(q, p, sizeof p);
		render_apply(&r, p, 0, r.frames);
		for (uint64_t at = 0, n; at < r.frames; at += n) {
			n = 1 + random_bits() % 300;
			n = n > r.frames - at ? r.frames - at : n;
			if (render_changes(&split, at, n))
				render_apply(&split, q + at * frame_bytes, at, n);
		}
		ck_assert_mem_eq(p, q, sizeof p);
		ck_assert_uint_eq(r.clipped, split.clipped);
	}
}
END_TEST

/* ---- what stays ---- */

START_TEST(a_factor_of_one_keeps_every_bit)
{
	struct render r = {.format = formats[_i], .gain = 1, .fade_in = 10, .fade_out = 5};
	unsigned bytes = r.format.bytes, n = 800;
	unsigned char p[800 * 8], old[800 * 8];

	r.format.channels = 1;
	r.frames = n;
	for (unsigned i = 0; i < sizeof p; i++)
		p[i] = (unsigned char)random_bits();
	memcpy(old, p, sizeof p);
	render_apply(&r, p, 0, n);
	ck_assert_mem_eq(p + 10 * bytes, old + 10 * bytes, (n - 15) * bytes);
	ck_assert_mem_ne(p, old, 10 * bytes);
	ck_assert_mem_ne(p + (n - 5) * bytes, old + (n - 5) * bytes, 5 * bytes);
	/* A gain and a fade that cancel each other. */
	memcpy(p, old, sizeof p);
	r.gain = 2;
	r.fade_in = 1;
	render_apply(&r, p, 0, 1);
	ck_assert_mem_eq(p, old, sizeof p);
}
END_TEST

START_TEST(it_knows_what_changes)
{
	for (uint64_t in = 0; in < 9; in++)
		for (uint64_t out = 0; out < 9; out++)
			for (uint64_t first = 0; first < 7; first++)
				for (uint64_t n = 0; n <= 7 - first; n++) {
					struct render r = {
					    .gain = 1, .fade_in = in, .fade_out = out, .frames = 7};
					bool any = false;

					for (uint64_t i = first; i < first + n; i++)
						any |= i < in || 6 - i < out;
					ck_assert_int_eq(render_changes(&r, first, n), any);
					r.gain = 0.5;
					ck_assert_int_eq(render_changes(&r, first, n), n > 0);
				}
}
END_TEST

/* ---- ffmpeg ---- */

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

START_TEST(a_gain_is_that_of_ffmpeg)
{
	static const struct {
		const char *name;
		unsigned bytes, bits;
		bool big_endian;
	} kinds[] = {{"s16le", 2, 16, false}, {"s16be", 2, 16, true}, {"s32le", 4, 32, false}};
	struct render_format f = {.bytes = kinds[_i].bytes,
	    .bits = kinds[_i].bits,
	    .big_endian = kinds[_i].big_endian,
	    .channels = 2};
	struct render r = {.format = f, .gain = 0.7, .frames = SAMPLES / 2};
	static unsigned char p[SAMPLES * 4], theirs[SAMPLES * 4];
	size_t size = SAMPLES * f.bytes;
	char line[400], path[64];
	FILE *file;

	fill(&f, p, SAMPLES);
	snprintf(path, sizeof path, "%s/in", dir);
	ck_assert_ptr_nonnull(file = fopen(path, "w"));
	ck_assert_uint_eq(fwrite(p, 1, size, file), size);
	ck_assert_int_eq(fclose(file), 0);
	snprintf(line, sizeof line,
	    "cd %s && ffmpeg -nostdin -v error -y -f %s -ac 2 -i in -af "
	    "aformat=dbl,volume=0.7:precision=double -f %s out",
	    dir, kinds[_i].name, kinds[_i].name);
	ck_assert_int_eq(system(line), 0);
	ck_assert_uint_eq(load("out", theirs, sizeof theirs), size);
	render_apply(&r, p, 0, r.frames);
	for (size_t i = 0; i < SAMPLES; i++)
		ck_assert_int_le(
		    llabs(get_int(&f, p + i * f.bytes) - get_int(&f, theirs + i * f.bytes)), 1);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("render");
	TCase *t = tcase_create("samples");
	SRunner *r;
	char line[64];
	int failed;

	if (mkdtemp(dir) == NULL)
		return 1;
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_fade_in_rises_to_full);
	tcase_add_test(t, a_fade_out_falls_from_full);
	tcase_add_test(t, fades_that_overlap_multiply);
	tcase_add_test(t, fades_may_be_longer_than_the_file);
	tcase_add_test(t, halves_go_away_from_zero);
	tcase_add_test(t, halves_of_a_fade_are_halves);
	tcase_add_test(t, what_exceeds_the_range_is_cut_to_it_and_counted);
	tcase_add_loop_test(t, every_format_is_halved_and_cut, 0, INTS);
	tcase_add_test(t, unused_bits_become_zero_where_something_changes);
	tcase_add_loop_test(t, integers_of_64_bits_keep_their_last_bits, 0, 13);
	tcase_add_test(t, fades_of_64_bits_may_be_long);
	tcase_add_loop_test(t, floats_may_exceed_full_scale_and_be_no_numbers, INTS, FORMATS);
	tcase_add_loop_test(t, fades_are_exact, 0, INTS);
	tcase_add_loop_test(t, decoded_samples_become_the_same, 0, NARROW);
	tcase_add_loop_test(t, decoded_samples_become_the_same, INTS, FORMATS);
	tcase_add_loop_test(t, any_split_into_calls_gives_the_same, 0, FORMATS);
	tcase_add_loop_test(t, a_factor_of_one_keeps_every_bit, 0, FORMATS);
	tcase_add_test(t, it_knows_what_changes);
	tcase_add_loop_test(t, a_gain_is_that_of_ffmpeg, 0, 3);
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
