/*
 * pauses: the frames that are told are exactly the quiet ones: as they were made by sox, as a plain
 * loop over random samples finds them, as measuring counts those at the ends, and as ffmpeg's
 * silencedetect says.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "audio.h"
#include "pauses.h"

#define RATE 48000

/* libsndfile 1.2.0 does not free what libvorbis and libogg made of an Ogg file that it then
 * refuses. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libvorbis\nleak:libogg\nleak:libsndfile\n";
}

static char dir[] = "/tmp/check_pauses.XXXXXX";
static struct pauses p;
static struct err e;

/* pread, in front of libc's, so that it can fail as a dying disk does. */
static off_t fail_from = -1;

ssize_t pread64(int fd, void *buf, size_t len, off_t offset);

ssize_t
pread64(int fd, void *buf, size_t len, off_t offset)
{
	if (fail_from != -1 && offset + (off_t)len > fail_from) {
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pread64, fd, buf, len, offset);
}

static void
setup(void)
{
	fail_from = -1;
	p = (struct pauses){0};
	e = (struct err){.class = ERR_NONE};
}

static void
teardown(void)
{
	pauses_free(&p);
}

/* Runs a command in the temporary folder. */
static void
shell(const char *command)
{
	char line[640];

	snprintf(line, sizeof line, "cd %s && { %s; } 2>/dev/null", dir, command);
	ck_assert_msg(system(line) == 0, "failed: %s", command);
}

static int
open_file(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	ck_assert_int_ne(fd = open(path, O_RDONLY), -1);
	return fd;
}

static int
find(const char *name, double threshold_dbfs, double min_s)
{
	int fd = open_file(name), r;

	pauses_free(&p);
	r = pauses_find(fd, threshold_dbfs, min_s, NULL, NULL, &p, &e);
	close(fd);
	return r;
}

static void
assert_found(const char *name, double threshold_dbfs, double min_s)
{
	ck_assert_msg(find(name, threshold_dbfs, min_s) == 0, "%s: %s", name, e.text);
	ck_assert_msg(p.damage.class == ERR_NONE, "%s: %s", name, p.damage.text);
}

static void
assert_pauses(const struct pause *want, size_t n, uint64_t tolerance)
{
	ck_assert_uint_eq(p.n, n);
	for (size_t i = 0; i < n; i++) {
		uint64_t end = p.list[i].first + p.list[i].frames;

		ck_assert_int_le(llabs((long long)(p.list[i].first - want[i].first)), tolerance);
		ck_assert_int_le(
		    llabs((long long)(end - want[i].first - want[i].frames)), tolerance);
	}
}

/* A WAV with these bytes of audio. */
static void
wav(const char *name, unsigned tag, unsigned channels, unsigned bits, const void *audio,
    unsigned size)
{
	unsigned frame = channels * bits / 8;
	const uint32_t words[] = {0x46464952, 36 + size, 0x45564157, 0x20746d66, 16,
	    tag | channels << 16, RATE, RATE * frame, frame | bits << 16, 0x61746164, size};
	char path[128];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	ck_assert_ptr_nonnull(f = fopen(path, "w"));
	ck_assert_uint_eq(fwrite(words, sizeof words, 1, f), 1);
	ck_assert_uint_eq(fwrite(audio, 1, size, f), size);
	ck_assert_int_eq(fclose(f), 0);
}

/*
 * Frames: 5000 quiet, 4000 sound, 7000 quiet, 2000 sound, 300 quiet, 4000 sound, 20000 quiet. A
 * square wave has no quiet samples of its own.
 */
#define MAKE_GAPS                                                                                  \
	"sox -R -D -n -r 48000 -c 1 -b 16 gaps.wav synth 10000s square 480 vol 0.5 pad 5000s "     \
	"7000s@4000s 300s@6000s 20000s && "
#define GAPS_FRAMES 42300
static const struct pause gaps[] = {{0, 5000}, {9000, 7000}, {18000, 300}, {22300, 20000}};
static const struct pause long_gaps[] = {{0, 5000}, {9000, 7000}, {22300, 20000}};

/* ---- exactly there ---- */

START_TEST(gaps_are_found_to_the_frame_in_every_lossless_format)
{
	static const struct {
		const char *name, *make;
	} formats[] = {
	    {"gaps.wav", "true"},
	    {"b8.wav", "sox -D gaps.wav -b 8 b8.wav"},
	    {"b24.wav", "sox -D gaps.wav -b 24 b24.wav"},
	    {"b32.wav", "sox -D gaps.wav -b 32 b32.wav"},
	    {"f32.wav", "sox -D gaps.wav -e float -b 32 f32.wav"},
	    {"f64.wav", "sox -D gaps.wav -e float -b 64 f64.wav"},
	    {"x.aiff", "sox -D gaps.wav x.aiff"},
	    {"x.flac", "flac --silent -f -o x.flac gaps.wav"},
	    {"left.wav", "sox -D gaps.wav left.wav remix 1 0"},
	    {"right.flac", "sox -D gaps.wav -b 24 right.flac remix 0 0 0 0 0 1"},
	};
	const char *name = formats[_i].name;

	shell(MAKE_GAPS "true");
	shell(formats[_i].make);
	assert_found(name, -60, 0.005);
	ck_assert_uint_eq(p.rate_hz, RATE);
	ck_assert_uint_eq(p.frames, GAPS_FRAMES);
	ck_assert_uint_eq(p.sound_first, 5000);
	ck_assert_uint_eq(p.sound_end, 22300);
	assert_pauses(gaps, 4, 0);
	assert_found(name, -60, 0.1);
	assert_pauses(long_gaps, 3, 0);
}
END_TEST

START_TEST(the_least_length_counts)
{
	shell(MAKE_GAPS "true");
	assert_found("gaps.wav", -60, 300.0 / RATE);
	assert_pauses(gaps, 4, 0);
	assert_found("gaps.wav", -60, 301.0 / RATE);
	assert_pauses(long_gaps, 3, 0);
	assert_found("gaps.wav", -60, 0);
	assert_pauses(gaps, 4, 0);
	assert_found("gaps.wav", -60, 3600);
	ck_assert_uint_eq(p.n, 0);
	assert_found("gaps.wav", -60, INFINITY);
	ck_assert_uint_eq(p.n, 0);
	ck_assert_uint_eq(p.sound_first, 5000);
	ck_assert_uint_eq(p.sound_end, 22300);
}
END_TEST

START_TEST(gaps_are_found_in_lossy_formats)
{
	static const struct {
		const char *name, *make;
	} formats[] = {
	    {"x.ogg", "sox -D sine.wav -C 6 x.ogg"},
	    {"x.opus", "ffmpeg -nostdin -y -i sine.wav -c:a libopus -b:a 128k x.opus"},
	    {"x.mp3", "ffmpeg -nostdin -y -i sine.wav -c:a libmp3lame -b:a 192k x.mp3"},
	};
	static const struct pause want[] = {{0, 24000}, {72000, 48000}, {144000, 36000}};

	shell("sox -R -D -n -r 48000 -c 1 -b 16 sine.wav synth 72000s sine 480 vol 0.5 pad 24000s "
	      "48000s@48000s 36000s");
	shell(formats[_i].make);
	assert_found(formats[_i].name, -40, 0.3);
	ck_assert_uint_eq(p.frames, 180000);
	assert_pauses(want, 3, 1500);
}
END_TEST

START_TEST(all_may_be_quiet)
{
	static const struct pause all[] = {{0, 100000}};

	shell("sox -R -D -n -r 48000 -c 2 -b 16 quiet.wav synth 100000s sine 480 vol 0.0005");
	assert_found("quiet.wav", -60, 1);
	assert_pauses(all, 1, 0);
	ck_assert_uint_eq(p.sound_first, 100000);
	ck_assert_uint_eq(p.sound_end, 0);
	assert_found("quiet.wav", -60, 3);
	ck_assert_uint_eq(p.n, 0);
}
END_TEST

START_TEST(nothing_may_be_quiet)
{
	shell("sox -R -D -n -r 48000 -c 2 -b 16 loud.wav synth 100000s square 480 vol 0.5");
	assert_found("loud.wav", -60, 0);
	ck_assert_uint_eq(p.n, 0);
	ck_assert_uint_eq(p.sound_first, 0);
	ck_assert_uint_eq(p.sound_end, 100000);
	assert_found("loud.wav", -5, 1);
	ck_assert_uint_eq(p.n, 1);
	ck_assert_uint_eq(p.sound_end, 0);
}
END_TEST

/* ---- the threshold ---- */

START_TEST(below_every_threshold_is_digital_silence)
{
	static const int16_t ints[] = {0, 0, 1, 0, 0, 0, -1, 0, 0};
	static const float floats[] = {0, -0.0f, 0x1p-149f, 0, NAN, INFINITY, -0x1p-149f, 0, 0};
	static const double doubles[] = {0, -0.0, 0x1p-1074, 0, NAN, -INFINITY, -0x1p-1074, 0, 0};
	static const struct pause want[] = {{0, 2}, {3, 3}, {7, 2}};
	static const double thresholds[] = {-INFINITY, -1e9, -8000};

	wav("i.wav", 1, 1, 16, ints, sizeof ints);
	wav("f.wav", 3, 1, 32, floats, sizeof floats);
	wav("d.wav", 3, 1, 64, doubles, sizeof doubles);
	for (int i = 0; i < 3; i++) {
		assert_found("i.wav", thresholds[i], 0);
		assert_pauses(want, 3, 0);
		assert_found("f.wav", thresholds[i], 0);
		assert_pauses(want, 3, 0);
		assert_found("d.wav", thresholds[i], 0);
		assert_pauses(want, 3, 0);
	}
}
END_TEST

START_TEST(what_reaches_the_threshold_is_sound)
{
	/* -60 dB of 32768 are 32.768. */
	static const int16_t ints[] = {32, -32, 33, 32, -33, 0, 32767, -32768};
	static const struct pause want[] = {{0, 2}, {3, 1}, {5, 1}};
	static const struct pause full[] = {{0, 6}};

	wav("i.wav", 1, 1, 16, ints, sizeof ints);
	assert_found("i.wav", -60, 0);
	assert_pauses(want, 3, 0);
	/* Full scale is always sound, as it is where silence is measured. */
	assert_found("i.wav", 20, 0);
	assert_pauses(full, 1, 0);
}
END_TEST

/* ---- against others ---- */

static void
by_hand(const int16_t *v, size_t frames, size_t channels, double threshold_dbfs, size_t least,
    struct pause *list, size_t *n)
{
	double threshold = pow(10, threshold_dbfs / 20) * 32768;
	size_t quiet = 0;

	*n = 0;
	for (size_t i = 0; i <= frames; i++) {
		bool loud = i == frames;

		for (size_t c = 0; i < frames && c < channels; c++)
			loud |= abs(v[i * channels + c]) >= threshold;
		if (loud && quiet >= least)
			list[(*n)++] = (struct pause){i - quiet, quiet};
		quiet = loud ? 0 : quiet + 1;
	}
}

START_TEST(a_plain_loop_finds_the_same)
{
	static int16_t v[300000];
	static struct pause want[300000];
	unsigned seed = (unsigned)_i, channels = 1 + (unsigned)_i % 7, every;
	size_t frames, n;

	frames = (size_t)rand_r(&seed) % (sizeof v / sizeof *v / channels) + 1;
	every = 1u << ((unsigned)_i % 18);
	for (size_t i = 0; i < frames * channels; i++)
		v[i] =
		    (int16_t)((unsigned)rand_r(&seed) % every == 0 ? rand_r(&seed) % 65536 - 32768
								   : rand_r(&seed) % 40 - 20);
	wav("r.wav", 1, channels, 16, v, (unsigned)(frames * channels * 2));
	for (size_t least = 1; least < 100000; least *= 3) {
		by_hand(v, frames, channels, -60, least, want, &n);
		assert_found("r.wav", -60, (double)least / RATE);
		ck_assert_uint_eq(p.frames, frames);
		assert_pauses(want, n, 0);
	}
}
END_TEST

START_TEST(measuring_counts_the_same_silence_at_the_ends)
{
	static const char *const make[] = {"sox -D fade.wav x.wav", "sox -D fade.wav -b 8 x.wav",
	    "sox -D fade.wav -b 24 x.wav", "sox -D fade.wav -b 32 x.wav",
	    "sox -D fade.wav -e float -b 32 x.wav", "sox -D fade.wav -e float -b 64 x.wav",
	    "sox -D fade.wav -e a-law x.wav", "sox -D fade.wav -t flac x.wav",
	    "sox -D fade.wav -t ogg x.wav",
	    "ffmpeg -nostdin -y -i fade.wav -c:a libopus -f ogg x.wav",
	    "ffmpeg -nostdin -y -i fade.wav -c:a libmp3lame -f mp3 x.wav"};
	const struct audio_opts o = {0};
	struct measure m;
	int fd;

	shell("sox -R -n -r 48000 -c 2 -b 24 fade.wav synth 4 pinknoise fade t 1.5 4 1.5 pad 0.3 "
	      "0.2");
	shell(make[_i]);
	assert_found("x.wav", AUDIO_SILENCE_DBFS, 0.1);
	fd = open_file("x.wav");
	ck_assert_int_eq(audio_measure(fd, &o, &m, &e), 0);
	close(fd);
	ck_assert_int_eq(m.frames, p.frames);
	ck_assert_uint_gt(p.sound_first, 0);
	ck_assert_int_eq(llround(m.leading_silence_s * RATE), p.sound_first);
	ck_assert_int_eq(llround(m.trailing_silence_s * RATE), p.frames - p.sound_end);
	audio_measure_free(&m);
}
END_TEST

START_TEST(silencedetect_finds_the_same)
{
	static const char *const make[] = {"-b 16", "-b 24", "-e float -b 32"};
	char line[400], path[128];
	double first, end;
	size_t n = 0;
	FILE *f;

	snprintf(line, sizeof line,
	    "sox -R -D -n -r 48000 -c 2 %s s.wav synth 7 pinknoise tremolo 0.9 100 && ffmpeg "
	    "-nostdin -i s.wav -af silencedetect=n=-35dB:d=0.02 -f null - 2>&1 | sed -n "
	    "'s/.*silence_start: //p; s/.*silence_end: \\([^ ]*\\).*/\\1/p' >s.txt",
	    make[_i]);
	shell(line);
	assert_found("s.wav", -35, 0.02);
	ck_assert_uint_gt(p.n, 3);
	snprintf(path, sizeof path, "%s/s.txt", dir);
	ck_assert_ptr_nonnull(f = fopen(path, "r"));
	while (fscanf(f, "%lf %lf", &first, &end) == 2) {
		ck_assert_uint_lt(n, p.n);
		ck_assert_double_eq_tol(first * RATE, (double)p.list[n].first, 2);
		ck_assert_double_eq_tol(
		    end * RATE, (double)(p.list[n].first + p.list[n].frames), 2);
		n++;
	}
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_uint_eq(n, p.n);
}
END_TEST

/* ---- damage ---- */

START_TEST(of_a_damaged_file_counts_what_decodes)
{
	static const struct {
		const char *make, *code;
		uint64_t frames; /* 0: unknown */
	} damages[] = {
	    {"head -c 40044 gaps.wav >x", P_TRUNCATED, 20000},
	    {"head -c 40 gaps.wav >x && printf '\\0\\0\\0\\0' >>x && tail -c +45 gaps.wav >>x",
		P_HEADER_MISMATCH, GAPS_FRAMES},
	    {"flac -s -f -o y noise.wav && head -c 60000 y >x", P_TRUNCATED, 0},
	    {"flac -s -f -o x noise.wav && printf damage | dd of=x bs=1 seek=60000 conv=notrunc",
		P_DECODE_ERROR, 0},
	    {"sox noise.wav -t ogg y && head -c 9000 y >x", P_TRUNCATED, 0},
	    {"sox noise.wav -t ogg x && truncate -s +8192 x", P_ZERO_TAIL, 48000},
	};
	const struct audio_opts o = {0};
	struct measure m;
	int fd;

	shell(MAKE_GAPS "sox -R -D -n -r 48000 -c 2 -b 16 noise.wav synth 1 pinknoise");
	shell(damages[_i].make);
	ck_assert_msg(find("x", -60, 0.01) == 0, "%s", e.text);
	ck_assert_int_eq(p.damage.class, ERR_ITEM);
	ck_assert_msg(
	    strcmp(p.damage.code, damages[_i].code) == 0, "%s: %s", p.damage.code, p.damage.text);
	fd = open_file("x");
	ck_assert_int_eq(audio_measure(fd, &o, &m, &e), 0);
	close(fd);
	ck_assert_str_eq(m.problem.text, p.damage.text);
	ck_assert_int_eq(m.frames, p.frames);
	audio_measure_free(&m);
	if (damages[_i].frames > 0)
		ck_assert_uint_eq(p.frames, damages[_i].frames);
}
END_TEST

static void
assert_empty(void)
{
	static const struct pauses empty;

	ck_assert_mem_eq(&p, &empty, sizeof p);
}

START_TEST(nothing_that_decodes_is_an_error)
{
	static const struct {
		const char *make, *code;
	} files[] = {
	    {"rm -f x && touch x", P_EMPTY},
	    {"head -c 5000 /dev/zero >x", P_ZERO_TAIL},
	    {"yes 'no audio' | head -c 5000 >x", P_NOT_AUDIO},
	    {"head -c 30 gaps.wav >x", P_TRUNCATED},
	    {"sox -D gaps.wav -t wav x trim 0 0", P_EMPTY},
	    {"ffmpeg -nostdin -y -i gaps.wav -c:a aac -f adts x", P_UNSUPPORTED},
	};

	shell(MAKE_GAPS "true");
	shell(files[_i].make);
	ck_assert_int_eq(find("x", -60, 0.01), -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_msg(strcmp(e.code, files[_i].code) == 0, "%s: %s", e.code, e.text);
	assert_empty();
}
END_TEST

START_TEST(a_dying_disk_is_an_error)
{
	shell("sox -R -D -n -r 48000 -c 2 -b 16 noise.wav synth 10 pinknoise");
	fail_from = _i == 0 ? 1000000 : 0;
	ck_assert_int_eq(find("noise.wav", -60, 0.01), -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_str_eq(e.code, P_UNREADABLE);
	ck_assert_int_eq(e.sys, EIO);
	assert_empty();
}
END_TEST

START_TEST(it_can_be_stopped)
{
	atomic_int stop = 1;
	int fd;

	shell(MAKE_GAPS "true");
	fd = open_file("gaps.wav");
	ck_assert_int_eq(pauses_find(fd, -60, 0.01, &stop, NULL, &p, &e), -1);
	close(fd);
	ck_assert_int_eq(e.class, ERR_STOPPED);
	assert_empty();
}
END_TEST

START_TEST(progress_is_the_size_and_the_position_stays)
{
	atomic_ullong done = 0;
	struct stat st;
	int fd;

	shell(MAKE_GAPS "true");
	fd = open_file("gaps.wav");
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(lseek(fd, 77, SEEK_SET), 77);
	ck_assert_int_eq(pauses_find(fd, -60, 0.01, NULL, &done, &p, &e), 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 77);
	close(fd);
	ck_assert_uint_eq(atomic_load(&done), (uint64_t)st.st_size);
}
END_TEST

START_TEST(any_bytes_come_to_an_end)
{
	static const char *const names[] = {"x.wav", "x.flac", "x.ogg", "x.mp3", "x.aiff"};
	unsigned seed = (unsigned)_i;
	char line[200];

	if (_i == 0)
		shell("sox -R -n -r 8000 -c 1 -b 16 x.wav synth 0.3 pinknoise && for t in flac ogg "
		      "aiff; do sox x.wav x.$t; done && ffmpeg -nostdin -y -i x.wav -c:a "
		      "libmp3lame x.mp3");
	snprintf(line, sizeof line,
	    "cp %s y; for i in %d %d %d %d; do printf '\\%o' | dd of=y bs=1 seek=$i conv=notrunc; "
	    "done",
	    names[_i % 5], rand_r(&seed) % 100, rand_r(&seed) % 100, rand_r(&seed) % 2000,
	    rand_r(&seed) % 2000, (unsigned)rand_r(&seed) % 256);
	shell(line);
	if (find("y", -60, 0.01) == -1)
		ck_assert_int_eq(e.class, ERR_ITEM);
	else
		ck_assert_uint_gt(p.frames, 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("pauses");
	TCase *t = tcase_create("find");
	SRunner *r;
	char line[64];
	int failed;

	if (mkdtemp(dir) == NULL)
		return 1;
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, gaps_are_found_to_the_frame_in_every_lossless_format, 0, 10);
	tcase_add_test(t, the_least_length_counts);
	tcase_add_loop_test(t, gaps_are_found_in_lossy_formats, 0, 3);
	tcase_add_test(t, all_may_be_quiet);
	tcase_add_test(t, nothing_may_be_quiet);
	tcase_add_test(t, below_every_threshold_is_digital_silence);
	tcase_add_test(t, what_reaches_the_threshold_is_sound);
	tcase_add_loop_test(t, a_plain_loop_finds_the_same, 0, 36);
	tcase_add_loop_test(t, measuring_counts_the_same_silence_at_the_ends, 0, 11);
	tcase_add_loop_test(t, silencedetect_finds_the_same, 0, 3);
	tcase_add_loop_test(t, of_a_damaged_file_counts_what_decodes, 0, 6);
	tcase_add_loop_test(t, nothing_that_decodes_is_an_error, 0, 6);
	tcase_add_loop_test(t, a_dying_disk_is_an_error, 0, 2);
	tcase_add_test(t, it_can_be_stopped);
	tcase_add_test(t, progress_is_the_size_and_the_position_stays);
	tcase_add_loop_test(t, any_bytes_come_to_an_end, 0, 60);
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
