/*
 * envelope: the shape is right, at the right place, in every format, and of what is left of damaged
 * files. The recordings are made by sox and ffmpeg; those whose every sample matters by hand.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "envelope.h"
#include "mem.h"

static char dir[] = "/tmp/check_envelope.XXXXXX";
static struct envelope v;
static struct err e;

/* pread, in front of libc's, so that it can fail as a dying disk does. */
static off_t fail_from = -1;

ssize_t pread64(int fd, void *p, size_t len, off_t offset);

ssize_t
pread64(int fd, void *p, size_t len, off_t offset)
{
	if (fail_from != -1 && offset >= fail_from) {
		errno = EIO;
		return -1;
	}
	if (fail_from != -1 && offset + (off_t)len > fail_from)
		len = (size_t)(fail_from - offset);
	return syscall(SYS_pread64, fd, p, len, offset);
}

static void
setup(void)
{
	fail_from = -1;
	e = (struct err){.class = ERR_NONE};
}

/* Runs a command in the temporary folder. */
static void
shell(const char *command)
{
	char line[512];

	snprintf(line, sizeof line, "cd %s && { %s; } 2>/dev/null", dir, command);
	ck_assert_msg(system(line) == 0, "failed: %s", command);
}

static int
draw(const char *name, uint64_t expected, const atomic_int *stop)
{
	char path[128];
	int fd, r;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	ck_assert_int_ne(fd, -1);
	memset(&v, 0x55, sizeof v);
	r = envelope_read(fd, expected, stop, &v, &e);
	close(fd);
	return r;
}

static void
assert_drawn(const char *name, uint64_t expected)
{
	ck_assert_msg(draw(name, expected, NULL) == 0, "%s: %s", name, e.text);
	ck_assert_uint_le(v.n, ENVELOPE_COLUMNS);
	if (v.n > 0)
		ck_assert_uint_eq(v.n, (v.frames - 1) / v.frames_column + 1);
}

static void
assert_nothing(void)
{
	static const struct envelope nothing;

	ck_assert_mem_eq(&v, &nothing, sizeof v);
}

/* Both halves of a wave of that height. */
static void
assert_loud(unsigned column, double height, double tolerance)
{
	ck_assert_msg(
	    fabs(v.high[column] - height) <= tolerance && fabs(v.low[column] + height) <= tolerance,
	    "column %u of %u: %f to %f, not +-%f", column, v.n, v.low[column], v.high[column],
	    height);
}

static void
assert_silent(unsigned from, unsigned to, double tolerance)
{
	for (unsigned i = from; i < to; i++)
		assert_loud(i, 0, tolerance);
}

/* A WAV of one channel at 8 kHz with these bytes of audio. */
static void
wav(const char *name, unsigned tag, unsigned bits, const void *audio, unsigned size)
{
	unsigned bytes = bits / 8;
	const uint32_t words[] = {0x46464952, 36 + size, 0x45564157, 0x20746d66, 16, tag | 1 << 16,
	    8000, 8000 * bytes, bytes | bits << 16, 0x61746164, size};
	char path[128];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	ck_assert_ptr_nonnull(f = fopen(path, "w"));
	ck_assert_uint_eq(fwrite(words, sizeof words, 1, f), 1);
	ck_assert_uint_eq(fwrite(audio, 1, size, f), size);
	ck_assert_int_eq(fclose(f), 0);
}

/* 20 s at 48 kHz: silence, and a sine of 0.8 from 7 s to 7.5 s. In columns of 2000: 168 to 179. */
#define BURST_FRAMES 960000
#define MAKE_BURST                                                                                 \
	"sox -R -D -n -r 48000 -c 1 -b 16 burst.wav synth 0.5 sine 480 vol 0.8 pad 7 12.5 && "

/* ---- the shape ---- */

START_TEST(a_sine_is_a_band_of_its_height)
{
	shell("sox -R -D -n -r 48000 -c 1 -b 16 sine.wav synth 10 sine 480 vol 0.5");
	assert_drawn("sine.wav", 480000);
	ck_assert_uint_eq(v.n, ENVELOPE_COLUMNS);
	ck_assert_uint_eq(v.frames, 480000);
	ck_assert_uint_eq(v.frames_column, 1000);
	ck_assert_uint_eq(v.rate_hz, 48000);
	for (unsigned i = 0; i < v.n; i++)
		assert_loud(i, 0.5, 0.001);
	assert_drawn("sine.wav", 0);
	ck_assert_uint_eq(v.frames, 480000);
	ck_assert_uint_gt(v.n, 400);
	for (unsigned i = 0; i + 1 < v.n; i++)
		assert_loud(i, 0.5, 0.001);
}
END_TEST

START_TEST(silence_is_a_line)
{
	shell("sox -R -D -n -r 44100 -c 2 -b 16 silence.wav trim 0 5");
	assert_drawn("silence.wav", 0);
	ck_assert_uint_eq(v.frames, 5 * 44100);
	ck_assert_uint_eq(v.rate_hz, 44100);
	assert_silent(0, v.n, 0);
}
END_TEST

START_TEST(one_loud_channel_is_seen)
{
	shell(MAKE_BURST "sox -D burst.wav right.wav remix 0 1");
	assert_drawn("right.wav", BURST_FRAMES);
	ck_assert_uint_eq(v.frames, BURST_FRAMES);
	assert_silent(0, 168, 0);
	for (unsigned i = 168; i < 180; i++)
		assert_loud(i, 0.8, 0.001);
	assert_silent(180, 480, 0);
}
END_TEST

START_TEST(a_burst_is_at_its_place_in_every_format)
{
	static const struct {
		const char *name, *make;
		unsigned blur;	  /* columns that lossy codecs smear it over */
		double tolerance; /* of the height; of the silence a tenth */
	} formats[] = {
	    {"b8.wav", "sox -D burst.wav -b 8 b8.wav", 0, 0.01},
	    {"b24.wav", "sox -D burst.wav -b 24 b24.wav", 0, 0.001},
	    {"b32.wav", "sox -D burst.wav -b 32 b32.wav", 0, 0.001},
	    {"f32.wav", "sox -D burst.wav -e float -b 32 f32.wav", 0, 0.001},
	    {"f64.wav", "sox -D burst.wav -e float -b 64 f64.wav", 0, 0.001},
	    {"x.aiff", "sox -D burst.wav x.aiff", 0, 0.001},
	    {"x.flac", "flac --silent -f -o x.flac burst.wav", 0, 0.001},
	    {"x.ogg", "sox -D burst.wav -C 6 x.ogg", 2, 0.1},
	    {"x.opus", "ffmpeg -nostdin -y -i burst.wav -c:a libopus -b:a 128k x.opus", 2, 0.1},
	    {"x.mp3", "ffmpeg -nostdin -y -i burst.wav -c:a libmp3lame -b:a 192k x.mp3", 2, 0.1},
	};
	unsigned blur = formats[_i].blur;
	double tolerance = formats[_i].tolerance;

	shell(MAKE_BURST "true");
	shell(formats[_i].make);
	assert_drawn(formats[_i].name, BURST_FRAMES);
	ck_assert_uint_eq(v.frames, BURST_FRAMES);
	ck_assert_uint_eq(v.n, ENVELOPE_COLUMNS);
	ck_assert_uint_eq(v.rate_hz, 48000);
	assert_silent(0, 168 - blur, blur == 0 ? 0 : tolerance / 10);
	for (unsigned i = 168 + blur; i < 180 - blur; i++)
		assert_loud(i, 0.8, tolerance);
	assert_silent(180 + blur, 480, blur == 0 ? 0 : tolerance / 10);
}
END_TEST

START_TEST(a_single_sample_is_in_its_column_at_any_length)
{
	static const unsigned lengths[] = {1, 2, 479, 480, 481, 960, 961, 7679, 7680, 7681, 15360,
	    15361, 65536, 65537, 131072, 250001};
	static const uint64_t expected[] = {0, 1, 480, 5000, 250001};
	static unsigned char audio[250001];
	unsigned len = lengths[_i], at, column;

	for (unsigned k = 0; k < 15; k++) {
		memset(audio, 0x80, len);
		at = k % 3 == 0 ? 0 : k % 3 == 1 ? len / 2 : len - 1;
		audio[at] = 0;
		wav("click.wav", 1, 8, audio, len);
		assert_drawn("click.wav", expected[k / 3]);
		ck_assert_uint_eq(v.frames, len);
		if (len >= expected[k / 3])
			ck_assert_uint_gt(
			    v.n, len < ENVELOPE_COLUMNS ? len - 1 : ENVELOPE_COLUMNS / 2);
		column = at / (unsigned)v.frames_column;
		ck_assert_float_eq(v.low[column], -1);
		if (at > 0 && at % v.frames_column > 0)
			ck_assert_float_eq(v.high[column], 0);
		v.low[column] = v.high[column] = 0;
		assert_silent(0, v.n, 0);
	}
}
END_TEST

START_TEST(what_exceeds_full_scale_is_cut_and_what_is_no_number_is_silent)
{
	static const float samples[] = {2, -3, NAN, INFINITY, -INFINITY, 0.5f, -0.25f};
	static const float drawn[] = {1, -1, 0, 0, 0, 0.5f, -0.25f};

	wav("wild.wav", 3, 32, samples, sizeof samples);
	assert_drawn("wild.wav", 0);
	ck_assert_uint_eq(v.n, 7);
	for (unsigned i = 0; i < 7; i++) {
		ck_assert_float_eq(v.low[i], drawn[i]);
		ck_assert_float_eq(v.high[i], drawn[i]);
	}
}
END_TEST

/* ---- damage ---- */

START_TEST(the_columns_of_a_cut_file_end_where_its_audio_does)
{
	shell(MAKE_BURST "head -c 960044 burst.wav >cut.wav");
	assert_drawn("cut.wav", BURST_FRAMES);
	ck_assert_uint_eq(v.frames, BURST_FRAMES / 2);
	ck_assert_uint_eq(v.frames_column, 2000);
	ck_assert_uint_eq(v.n, 240);
	assert_loud(170, 0.8, 0.001);
	assert_silent(180, 480, 0);
	assert_drawn("cut.wav", 0);
	ck_assert_uint_gt(v.n, 400);
	shell("flac --silent -f -o whole.flac burst.wav && "
	      "head -c $(($(stat -c %s whole.flac) * 2 / 3)) whole.flac >cut.flac");
	assert_drawn("cut.flac", BURST_FRAMES);
	ck_assert_uint_gt(v.n, 170);
	ck_assert_uint_lt(v.n, ENVELOPE_COLUMNS);
	assert_loud(170, 0.8, 0.001);
}
END_TEST

START_TEST(a_header_that_was_never_finished_is_no_obstacle)
{
	shell(MAKE_BURST "ffmpeg -nostdin -i burst.wav -f wav - | cat >open.wav && "
			 "od -An -t x4 -j 4 -N 4 open.wav | grep -q ffffffff");
	assert_drawn("open.wav", 0);
	ck_assert_uint_eq(v.frames, BURST_FRAMES);
	assert_loud((unsigned)(7.25 * 48000 / (double)v.frames_column), 0.8, 0.001);
}
END_TEST

START_TEST(more_than_was_expected_widens_the_picture)
{
	static const uint64_t expected[] = {1, 480, 48000, BURST_FRAMES - 1, BURST_FRAMES - 2001};

	shell(MAKE_BURST "true");
	assert_drawn("burst.wav", expected[_i]);
	ck_assert_uint_eq(v.frames, BURST_FRAMES);
	ck_assert_uint_gt(v.n, ENVELOPE_COLUMNS / 2);
	assert_loud((unsigned)(7.25 * 48000 / (double)v.frames_column), 0.8, 0.001);
}
END_TEST

START_TEST(what_does_not_decode_has_no_columns)
{
	static const char *const makes[] = {":", "echo 'Dear diary'", "sox -n -t wav - trim 0 0",
	    "printf 'RIFF\\044\\0\\0\\0WAVE'", "printf fLaC", "printf OggS",
	    "yes | head -c 100000"};
	char command[128];

	snprintf(command, sizeof command, "%s >nothing", makes[_i]);
	shell(command);
	assert_drawn("nothing", BURST_FRAMES);
	assert_nothing();
	assert_drawn("nothing", 0);
	assert_nothing();
}
END_TEST

/* ---- reading ---- */

START_TEST(a_dying_disk_is_an_error)
{
	static const off_t from[] = {0, 44, 300000};

	shell(MAKE_BURST "true");
	fail_from = from[_i];
	ck_assert_int_eq(draw("burst.wav", 0, NULL), -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_str_eq(e.code, P_UNREADABLE);
	ck_assert_int_eq(e.sys, EIO);
	assert_nothing();
}
END_TEST

START_TEST(a_request_to_stop_ends_it)
{
	atomic_int stop = 1;

	shell(MAKE_BURST "true");
	ck_assert_int_eq(draw("burst.wav", BURST_FRAMES, &stop), -1);
	ck_assert_int_eq(e.class, ERR_STOPPED);
	assert_nothing();
	stop = 0;
	ck_assert_int_eq(draw("burst.wav", BURST_FRAMES, &stop), 0);
	ck_assert_uint_eq(v.n, ENVELOPE_COLUMNS);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("envelope");
	TCase *t = tcase_create("draw");
	SRunner *r;
	char line[64];
	int failed;

	if (mkdtemp(dir) == NULL)
		return 1;
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_sine_is_a_band_of_its_height);
	tcase_add_test(t, silence_is_a_line);
	tcase_add_test(t, one_loud_channel_is_seen);
	tcase_add_loop_test(t, a_burst_is_at_its_place_in_every_format, 0, 10);
	tcase_add_loop_test(t, a_single_sample_is_in_its_column_at_any_length, 0, 16);
	tcase_add_test(t, what_exceeds_full_scale_is_cut_and_what_is_no_number_is_silent);
	tcase_add_test(t, the_columns_of_a_cut_file_end_where_its_audio_does);
	tcase_add_test(t, a_header_that_was_never_finished_is_no_obstacle);
	tcase_add_loop_test(t, more_than_was_expected_widens_the_picture, 0, 5);
	tcase_add_loop_test(t, what_does_not_decode_has_no_columns, 0, 7);
	tcase_add_loop_test(t, a_dying_disk_is_an_error, 0, 3);
	tcase_add_test(t, a_request_to_stop_ends_it);
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
