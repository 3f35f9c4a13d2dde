/* device: every frame as the device gives it, a gap is told where it is, and ALSA is silent. */
#include "device.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "io.h"
#include "mem.h"

#ifdef REC_ALSA

#define RATE 48000
#define FRAMES 60000
#define MAX_FRAME_BYTES 16

static struct err e;
static char dir[] = "/tmp/check_device.XXXXXX";
static unsigned char *fed;
static atomic_int stop;

static bool
is_set(void *ctx)
{
	(void)ctx;
	return atomic_load(&stop) != 0;
}
static struct device *dev;

static char *
in_dir(const char *name)
{
	static char path[2][sizeof dir + 32];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
	return path[turn];
}

/* A configuration with the device "x" of the type rectest that reads what was fed. */
static void
plug_in(const char *keys)
{
	char lib[4096] = "", text[8192];
	ssize_t n = readlink("/proc/self/exe", lib, sizeof lib - 1);
	int len;

	ck_assert_int_gt(n, 0);
	*strrchr(lib, '/') = '\0';
	len = snprintf(text, sizeof text,
	    "</usr/share/alsa/alsa.conf>\n"
	    "pcm_type.rectest { lib \"%s/../test/libasound_module_pcm_rectest.so\" }\n"
	    "pcm.x { type rectest file \"%s\" hint { show on description \"A test\nof lists\" } "
	    "%s }\n"
	    "pcm.file { type file slave.pcm null file /dev/null format raw infile \"%s\" }\n"
	    "pcm.plugged { type plug slave.pcm x }\n"
	    "pcm.wrong { type rectest nonsense 1 }\n",
	    lib, in_dir("in.raw"), keys, in_dir("in.raw"));
	ck_assert_int_eq(io_put_file(in_dir("asound.conf"), text, (size_t)len, 0600, &e), 0);
	setenv("ALSA_CONFIG_PATH", in_dir("asound.conf"), 1);
}

static void
setup(void)
{
	unsigned x = 1;

	e = (struct err){0};
	strcpy(strrchr(dir, '.'), ".XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	fed = malloc(FRAMES * MAX_FRAME_BYTES);
	for (size_t i = 0; i < FRAMES * MAX_FRAME_BYTES; i++) {
		x = x * 1664525 + 1013904223;
		fed[i] = (unsigned char)(x >> 24);
	}
	ck_assert_int_eq(io_put_file(in_dir("in.raw"), fed, FRAMES * MAX_FRAME_BYTES, 0600, &e), 0);
	atomic_store(&stop, 0);
	dev = NULL;
}

static void
teardown(void)
{
	device_close(dev);
	unlink(in_dir("in.raw"));
	unlink(in_dir("asound.conf"));
	rmdir(dir);
	free(fed);
}

static const struct pcm_format *
format(const char *name)
{
	return pcm_format(name, &e);
}

static struct device_opts
stereo(const char *name)
{
	return (struct device_opts){
	    .name = name, .rate_hz = RATE, .channels = 2, .format = format("s16le")};
}

static void
is_open(const struct device_opts *o)
{
	dev = device_open(o, &e);
	ck_assert_msg(dev != NULL, "%s", e.text);
}

/*
 * Reads and compares with what was fed from frame `at` on: up to n frames, as far as a whole period
 * fits, or to the first other event.
 */
static enum device_event
read_and_compare(uint64_t at, uint64_t n, unsigned frame_bytes, uint64_t *got, uint64_t *frames)
{
	unsigned period = device_period_frames(dev);
	unsigned char *p = malloc((size_t)period * frame_bytes);
	enum device_event event = DEVICE_FRAMES;

	for (*got = 0; *got + period <= n; *got += *frames) {
		event = device_read(dev, p, frames, is_set, NULL, &e);
		if (event != DEVICE_FRAMES)
			break;
		ck_assert_uint_gt(*frames, 0);
		ck_assert_uint_le(*frames, period);
		ck_assert_uint_le(at + *got + *frames, FRAMES);
		ck_assert_msg(
		    memcmp(p, fed + (at + *got) * frame_bytes, *frames * frame_bytes) == 0,
		    "frames from %lu on differ", (unsigned long)(at + *got));
	}
	free(p);
	return event;
}

static int64_t
ns_of(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- reading ---- */

START_TEST(the_file_plugin_is_read_bit_for_bit)
{
	struct device_opts o = stereo("file");
	uint64_t got, frames;

	plug_in("");
	is_open(&o);
	ck_assert_int_eq(read_and_compare(0, FRAMES, 4, &got, &frames), DEVICE_FRAMES);
	ck_assert_uint_gt(got, FRAMES / 2);
}
END_TEST

static const struct {
	const char *keys, *format;
	unsigned channels;
} kinds[] = {
    {"format S16_LE", "s16le", 2},
    {"format S16_BE channels 1", "s16be", 1},
    {"format S24_3LE", "s24le", 2},
    {"format S32_LE channels 4", "s32le", 4},
    {"format FLOAT_LE", "f32le", 2},
    {"format U8 channels 3", "u8", 3},
};

START_TEST(a_free_running_device_is_read_bit_for_bit)
{
	struct device_opts o = {.name = "x", .rate_hz = RATE, .channels = kinds[_i].channels};
	uint64_t got, frames;

	plug_in(kinds[_i].keys);
	o.format = format(kinds[_i].format);
	is_open(&o);
	ck_assert_ptr_eq(device_format(dev), o.format);
	ck_assert_int_eq(
	    read_and_compare(0, FRAMES, o.channels * pcm_bytes(o.format), &got, &frames),
	    DEVICE_FRAMES);
	ck_assert_uint_gt(got, FRAMES / 2);
}
END_TEST

START_TEST(a_paced_device_is_read_bit_for_bit_and_says_when_it_began)
{
	struct device_opts o = stereo("x");
	uint64_t got, frames;
	int64_t before, start, took;

	plug_in("speed 1");
	is_open(&o);
	usleep(200000); /* opening is not beginning */
	before = ns_of(clock_now());
	ck_assert_int_eq(read_and_compare(0, RATE / 2, 4, &got, &frames), DEVICE_FRAMES);
	took = ns_of(clock_now()) - before;
	start = ns_of(device_start(dev));
	ck_assert_msg(start >= before - 1000000 && start < before + 30000000,
	    "began %ld us after the first read was asked for", (long)((start - before) / 1000));
	ck_assert_msg(took > 350000000 && took < 900000000, "took %ld ms", (long)(took / 1000000));
}
END_TEST

START_TEST(periods_are_short_and_the_buffer_is_what_the_device_has)
{
	struct device_opts o = stereo("x");

	plug_in("");
	is_open(&o);
	ck_assert_uint_ge(device_period_frames(dev), RATE / 50);
	ck_assert_uint_le(device_period_frames(dev), RATE / 10);
}
END_TEST

/* ---- formats ---- */

static void
chooses(const char *keys, unsigned bits, bool is_float, const char *name)
{
	struct device_opts o = {
	    .name = "x", .rate_hz = RATE, .channels = 2, .bits = bits, .is_float = is_float};

	plug_in(keys);
	dev = device_open(&o, &e);
	if (name == NULL) {
		ck_assert_ptr_null(dev);
		ck_assert_str_eq(e.code, P_UNSUPPORTED);
		return;
	}
	ck_assert_msg(dev != NULL, "%s", e.text);
	ck_assert_str_eq(device_format(dev)->name, name);
	device_close(dev);
	dev = NULL;
}

START_TEST(without_a_format_the_widest_that_is_kept_whole_is_taken)
{
	struct device_opts o = {.name = "file", .rate_hz = RATE, .channels = 2, .bits = 24};

	chooses("format S16_LE", 16, false, "s16le");
	chooses("format S16_LE", 24, false, "s16le");
	chooses("format S24_3LE", 24, false, "s24le");
	chooses("format S24_3LE", 16, false, NULL);
	chooses("format S32_LE", 32, false, "s32le");
	chooses("format S32_LE", 24, false, NULL);
	chooses("format FLOAT_LE", 32, false, NULL);
	chooses("format FLOAT_LE", 32, true, "f32le");
	chooses("format S32_LE", 32, true, NULL);
	chooses("format S24_3LE", 32, true, "s24le");
	/* A device that has them all. */
	is_open(&o);
	ck_assert_str_eq(device_format(dev)->name, "s24le");
}
END_TEST

/* ---- refusals ---- */

static void
is_refused(const struct device_opts *o, const char *code, const char *part)
{
	e = (struct err){0};
	dev = device_open(o, &e);
	ck_assert_ptr_null(dev);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_msg(strcmp(e.code, code) == 0, "%s: %s", e.code, e.text);
	ck_assert_msg(strstr(e.text, part) != NULL, "%s", e.text);
}

START_TEST(what_a_device_cannot_do_is_refused_with_what_it_can)
{
	static const char *const can = "rates in Hz: 48000; channels: 2; formats: s16le";
	struct device_opts o;

	plug_in("");
	for (int i = 0; i < 2; i++) {
		/* Behind "plug" it does not do more. */
		o = stereo(i == 0 ? "x" : "plugged");
		o.rate_hz = 44100;
		is_refused(&o, P_UNSUPPORTED, can);
		ck_assert_ptr_nonnull(strstr(e.text, "44100 Hz"));
		o = stereo(o.name);
		o.channels = 1;
		is_refused(&o, P_UNSUPPORTED, can);
		o = stereo(o.name);
		o.format = format("s24le");
		is_refused(&o, P_UNSUPPORTED, can);
		ck_assert_ptr_nonnull(strstr(e.text, "format s24le"));
		o.format = NULL;
		o.bits = 8;
		is_refused(&o, P_UNSUPPORTED, can);
	}
}
END_TEST

START_TEST(a_plugged_device_that_can_is_opened)
{
	struct device_opts o = stereo("plugged");
	uint64_t got, frames;

	plug_in("");
	is_open(&o);
	ck_assert_int_eq(read_and_compare(0, FRAMES, 4, &got, &frames), DEVICE_FRAMES);
}
END_TEST

START_TEST(a_device_that_is_not_there_is_missing)
{
	struct device_opts o = stereo("nowhere");

	plug_in("");
	is_refused(&o, P_MISSING, "\"nowhere\"");
	o.name = "hw:31,0";
	is_refused(&o, P_MISSING, "\"hw:31,0\"");
}
END_TEST

START_TEST(a_device_that_is_set_up_wrong_is_told)
{
	struct device_opts o = stereo("wrong");

	plug_in("");
	is_refused(&o, P_UNREADABLE, "\"wrong\"");
}
END_TEST

/* ---- gaps and the end ---- */

START_TEST(an_overrun_is_told_where_it_is_and_reading_goes_on)
{
	struct device_opts o = stereo("x");
	uint64_t got, frames;

	plug_in("overrun_at 20001 overrun_frames 5000");
	is_open(&o);
	ck_assert_int_eq(read_and_compare(0, FRAMES, 4, &got, &frames), DEVICE_OVERRUN);
	ck_assert_uint_eq(got, 20001);
	ck_assert_int_eq(read_and_compare(25001, FRAMES - 25001, 4, &got, &frames), DEVICE_FRAMES);
	ck_assert_uint_gt(got, 25000);
}
END_TEST

START_TEST(the_frames_lost_are_counted_by_the_clock)
{
	struct device_opts o = stereo("x");
	uint64_t got, frames;
	unsigned at;
	char keys[80];

	plug_in("");
	is_open(&o);
	at = 3 * device_period_frames(dev);
	device_close(dev);
	snprintf(keys, sizeof keys, "speed 1 overrun_at %u overrun_frames 14400", at);
	plug_in(keys);
	is_open(&o);
	ck_assert_int_eq(read_and_compare(0, FRAMES, 4, &got, &frames), DEVICE_OVERRUN);
	ck_assert_uint_eq(got, at);
	/* The clock is looked at a little after the last frame before, and a little after the gap.
	 */
	ck_assert_msg(
	    frames > 14400 - RATE / 50 && frames < 14400 + RATE / 50, "%lu", (unsigned long)frames);
	ck_assert_int_eq(read_and_compare(at + 14400, 9600, 4, &got, &frames), DEVICE_FRAMES);
}
END_TEST

START_TEST(who_does_not_read_is_told_how_much_was_lost)
{
	struct device_opts o = stereo("x");
	uint64_t got, frames, lost;
	int64_t began;

	plug_in("speed 1");
	is_open(&o);
	ck_assert_int_eq(read_and_compare(0, 4800, 4, &got, &frames), DEVICE_FRAMES);
	began = clock_monotonic_ns();
	usleep(600000); /* the buffer holds 341 ms */
	ck_assert_int_eq(read_and_compare(got, FRAMES, 4, &frames, &lost), DEVICE_OVERRUN);
	ck_assert_uint_eq(frames, 0);
	ck_assert_uint_ge(lost, 28700);
	ck_assert_uint_lt(
	    lost, (uint64_t)((clock_monotonic_ns() - began) / 1000 * RATE / 1000000) + RATE / 10);
	ck_assert_int_eq(device_read(dev, fed, &frames, is_set, NULL, &e), DEVICE_FRAMES);
}
END_TEST

START_TEST(a_device_that_goes_away_gives_all_before_and_is_lost)
{
	static const char *const keys[] = {"lost_at 12345", "lost_at 12345 speed 1"};
	struct device_opts o = stereo("x");
	uint64_t got, frames;

	plug_in(keys[_i]);
	is_open(&o);
	ck_assert_int_eq(read_and_compare(0, FRAMES, 4, &got, &frames), DEVICE_LOST);
	ck_assert_uint_eq(got, 12345);
	ck_assert_uint_eq(frames, 0);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_ptr_nonnull(strstr(e.text, "\"x\" is gone"));
	ck_assert_int_eq(device_read(dev, fed, &frames, is_set, NULL, &e), DEVICE_LOST);
}
END_TEST

static void *
stop_soon(void *at)
{
	usleep(150000);
	*(int64_t *)at = clock_monotonic_ns();
	atomic_store(&stop, 1);
	return NULL;
}

START_TEST(a_stop_is_seen_within_300_ms)
{
	static const char *const keys[] = {"speed 1", "speed 0.001"};
	struct device_opts o = stereo("x");
	uint64_t got, frames;
	pthread_t thread;
	int64_t at = 0, ended;

	plug_in(keys[_i]);
	is_open(&o);
	pthread_create(&thread, NULL, stop_soon, &at);
	ck_assert_int_eq(read_and_compare(0, FRAMES, 4, &got, &frames), DEVICE_STOPPED);
	ended = clock_monotonic_ns();
	pthread_join(thread, NULL);
	ck_assert_msg(ended - at < 300000000, "%ld ms", (long)((ended - at) / 1000000));
	ck_assert_uint_eq(frames, 0);
	ck_assert_int_eq(device_read(dev, fed, &frames, is_set, NULL, &e), DEVICE_STOPPED);
}
END_TEST

/* ---- listing ---- */

struct seen {
	int found;
	char line[512];
};

static int
look(void *ctx, struct json *rec, struct err *err)
{
	struct seen *s = ctx;
	struct buf line = {0};

	if (strcmp(json_get_str(rec, "name"), "x") != 0)
		return 0;
	s->found++;
	ck_assert_int_eq(json_write(rec, &line, err), 0);
	snprintf(s->line, sizeof s->line, "%s", line.data);
	buf_free(&line);
	return 0;
}

static int
stop_listing(void *ctx, struct json *rec, struct err *err)
{
	(void)rec;
	++*(int *)ctx;
	return err_item(err, P_UNREADABLE, "enough");
}

START_TEST(a_list_tells_what_each_device_can_do)
{
	struct seen s = {0};

	plug_in("");
	ck_assert_msg(device_list(look, &s, &e) == 0, "%s", e.text);
	ck_assert_int_eq(s.found, 1);
	ck_assert_str_eq(s.line,
	    "{\"name\":\"x\",\"description\":\"A test of lists\",\"rates_hz\":[48000,48000],"
	    "\"channels\":[2,2],\"formats\":[\"s16le\"]}");
}
END_TEST

START_TEST(a_device_that_cannot_be_opened_is_listed_with_its_problem)
{
	struct seen s = {0};

	plug_in("nonsense 1");
	ck_assert_msg(device_list(look, &s, &e) == 0, "%s", e.text);
	ck_assert_int_eq(s.found, 1);
	ck_assert_ptr_nonnull(strstr(s.line, "\"problem\":{\"code\":\"unreadable\""));
	ck_assert_ptr_null(strstr(s.line, "rates_hz"));
}
END_TEST

START_TEST(a_list_ends_when_it_is_told_to)
{
	int n = 0;

	plug_in("");
	ck_assert_int_eq(device_list(stop_listing, &n, &e), -1);
	ck_assert_int_eq(n, 1);
	ck_assert_str_eq(e.text, "enough");
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_file_plugin_is_read_bit_for_bit);
	tcase_add_loop_test(
	    t, a_free_running_device_is_read_bit_for_bit, 0, (int)(sizeof kinds / sizeof kinds[0]));
	tcase_add_test(t, a_paced_device_is_read_bit_for_bit_and_says_when_it_began);
	tcase_add_test(t, periods_are_short_and_the_buffer_is_what_the_device_has);
	tcase_add_test(t, without_a_format_the_widest_that_is_kept_whole_is_taken);
	tcase_add_test(t, what_a_device_cannot_do_is_refused_with_what_it_can);
	tcase_add_test(t, a_plugged_device_that_can_is_opened);
	tcase_add_test(t, a_device_that_is_not_there_is_missing);
	tcase_add_test(t, a_device_that_is_set_up_wrong_is_told);
	tcase_add_test(t, an_overrun_is_told_where_it_is_and_reading_goes_on);
	tcase_add_test(t, the_frames_lost_are_counted_by_the_clock);
	tcase_add_test(t, who_does_not_read_is_told_how_much_was_lost);
	tcase_add_loop_test(t, a_device_that_goes_away_gives_all_before_and_is_lost, 0, 2);
	tcase_add_loop_test(t, a_stop_is_seen_within_300_ms, 0, 2);
	tcase_add_test(t, a_list_tells_what_each_device_can_do);
	tcase_add_test(t, a_device_that_cannot_be_opened_is_listed_with_its_problem);
	tcase_add_test(t, a_list_ends_when_it_is_told_to);
}

#else

START_TEST(without_alsa_it_says_so_and_what_to_do)
{
	struct device_opts o = {.name = "default"};
	struct err e;

	ck_assert_ptr_null(device_open(&o, &e));
	ck_assert_int_eq(e.class, ERR_SYSTEM);
	ck_assert_ptr_nonnull(strstr(e.text, "built without ALSA"));
	ck_assert_ptr_nonnull(strstr(e.text, "rec-capture --raw"));
	ck_assert_int_eq(device_list(NULL, NULL, &e), -1);
	device_close(NULL);
}
END_TEST

static void
add_tests(TCase *t)
{
	puts("SKIP: built without ALSA: no capture device is tested");
	tcase_add_test(t, without_alsa_it_says_so_and_what_to_do);
}

#endif

/* Stderr goes into a file while the tests run. What is in it then is shown, and is a failure. */
static FILE *
catch_stderr(int *real)
{
	FILE *f = tmpfile();

	*real = dup(STDERR_FILENO);
	if (f == NULL || *real == -1 || dup2(fileno(f), STDERR_FILENO) == -1)
		exit(1);
	return f;
}

static bool
was_silent(FILE *f, int real)
{
	bool silent = true;

	fflush(stderr);
	dup2(real, STDERR_FILENO);
	rewind(f);
	for (int c; (c = getc(f)) != EOF; silent = false)
		putc(c, stderr);
	if (!silent)
		fputs("check_device: the above was printed on stderr\n", stderr);
	fclose(f);
	close(real);
	return silent;
}

int
main(void)
{
	Suite *s = suite_create("device");
	TCase *t = tcase_create("device");
	SRunner *r = srunner_create(s);
	int failed, real;
	FILE *f;

	tcase_set_timeout(t, 60);
	add_tests(t);
	suite_add_tcase(s, t);
	f = catch_stderr(&real);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r) + !was_silent(f, real);
	srunner_free(r);
	return failed != 0;
}
