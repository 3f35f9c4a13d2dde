/*
 * audio: what is measured, and what is said of damaged files. The files are made here: PCM by hand,
 * so that every number is known; FLAC, Ogg and MP3 by sox from such a file.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "audio.h"
#include "mem.h"

#define RATE 44100

/* libsndfile 1.2.0 forgets what libvorbis and libogg allocated when it refuses a broken Ogg file.
 */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libvorbis\nleak:libogg\nleak:libsndfile\n";
}

static char dir[] = "/tmp/check_audio.XXXXXX";
static char path[128];
static struct buf b;
static struct measure m;
static struct err e;
static struct audio_opts o;

/* pread, in front of libc's, so that it can fail as a dying disk does. */
static off_t fail_from = -1;

static ssize_t
failing_pread(int fd, void *p, size_t len, off_t offset)
{
	if (fail_from != -1 && offset + (off_t)len > fail_from) {
		if (offset >= fail_from) {
			errno = EIO;
			return -1;
		}
		len = (size_t)(fail_from - offset);
	}
	return syscall(SYS_pread64, fd, p, len, offset);
}

ssize_t pread(int fd, void *p, size_t len, off_t offset);
ssize_t pread64(int fd, void *p, size_t len, off_t offset);

ssize_t
pread64(int fd, void *p, size_t len, off_t offset)
{
	return failing_pread(fd, p, len, offset);
}

#if !defined(_FILE_OFFSET_BITS) || _FILE_OFFSET_BITS != 64
ssize_t
pread(int fd, void *p, size_t len, off_t offset)
{
	return failing_pread(fd, p, len, offset);
}
#endif

static void
setup(void)
{
	buf_clear(&b);
	o = (struct audio_opts){0};
	audio_measure_init(&m);
	fail_from = -1;
}

static void
teardown(void)
{
	audio_measure_free(&m);
	buf_free(&b);
	fail_from = -1;
}

static void
num(uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++) {
		unsigned char c = (unsigned char)(v >> (8 * i));

		ck_assert_int_eq(buf_add(&b, &c, 1, &e), 0);
	}
}

static void
text(const char *s)
{
	ck_assert_int_eq(buf_adds(&b, s, &e), 0);
}

static void
header(unsigned tag, unsigned rate, unsigned channels, unsigned bits, uint64_t data)
{
	text("RIFF");
	num(36 + data, 4);
	text("WAVEfmt ");
	num(16, 4);
	num(tag, 2);
	num(channels, 2);
	num(rate, 4);
	num(rate * channels * bits / 8, 4);
	num(channels * bits / 8, 2);
	num(bits, 2);
	text("data");
	num(data, 4);
}

/* A sine of 16 bits, mono, half of full scale; quarter periods fall on samples. */
static void
sine(unsigned frames)
{
	for (unsigned i = 0; i < frames; i++)
		num((uint64_t)(int64_t)lrint(16384 * sin(2 * M_PI * (i + 0.5) / 100)), 2);
}

static void
good_wav(unsigned frames)
{
	header(1, RATE, 1, 16, frames * 2);
	sine(frames);
}

static void
patch32(size_t at, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		b.data[at + (size_t)i] = (char)(v >> (8 * i));
}

static void
save(const char *name)
{
	int fd;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(write(fd, b.data, b.len), (ssize_t)b.len);
	close(fd);
}

static void
load(const char *name)
{
	int fd;
	ssize_t n;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	ck_assert_int_ne(fd, -1);
	buf_clear(&b);
	ck_assert_int_eq(buf_room(&b, 4 << 20, &e), 0);
	n = read(fd, b.data, 4 << 20);
	ck_assert_int_gt(n, 0);
	b.len = (size_t)n;
	close(fd);
}

static int
measure_file(const char *name)
{
	int fd, r;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	ck_assert_int_ne(fd, -1);
	audio_measure_free(&m);
	r = audio_measure(fd, &o, &m, &e);
	close(fd);
	return r;
}

static void
measure(void)
{
	save("f");
	ck_assert_int_eq(measure_file("f"), 0);
}

static void
assert_problem(const char *code)
{
	ck_assert_msg(m.problem.class == ERR_ITEM && strcmp(m.problem.code, code) == 0,
	    "%s expected, got %s: %s", code, m.problem.class == ERR_NONE ? "none" : m.problem.code,
	    m.problem.class == ERR_NONE ? "" : m.problem.text);
}

static void
assert_fine(void)
{
	ck_assert_msg(m.problem.class == ERR_NONE, "%s: %s", m.problem.code, m.problem.text);
}

/* Runs a command in the temporary folder. */
static void
shell(const char *command)
{
	char line[512];

	snprintf(line, sizeof line, "cd %s && { %s; } 2>/dev/null", dir, command);
	ck_assert_msg(system(line) == 0, "failed: %s", command);
}

static void
assert_same_as(const char *command, const char *hex)
{
	char line[512], out[256] = "";
	FILE *p;

	snprintf(line, sizeof line, "cd %s && { %s; }", dir, command);
	p = popen(line, "r");
	ck_assert_ptr_nonnull(p);
	ck_assert_ptr_nonnull(fgets(out, sizeof out, p));
	pclose(p);
	ck_assert_msg(strncmp(out, hex, strlen(hex)) == 0 && hex[0] != '\0', "%s: %s, not %s",
	    command, out, hex);
}

/* ---- measures ---- */

START_TEST(a_wav_has_every_measure)
{
	good_wav(RATE);
	measure();
	assert_fine();
	ck_assert_str_eq(m.container, "wav");
	ck_assert_str_eq(m.codec, "pcm_s16le");
	ck_assert_str_eq(m.mime_type, "audio/x-wav");
	ck_assert_int_eq(m.size_bytes, 44 + 2 * RATE);
	ck_assert_int_eq(m.sample_rate_hz, RATE);
	ck_assert_int_eq(m.channels, 1);
	ck_assert_int_eq(m.bits_per_sample, 16);
	ck_assert_int_eq(m.frames, RATE);
	ck_assert_double_eq(m.duration_s, 1.0);
	ck_assert_int_eq(m.bit_rate_bps, RATE * 16);
	ck_assert_double_eq_tol(m.peak_dbfs, -6.025, 0.002);
	ck_assert_double_eq_tol(m.rms_dbfs, -9.031, 0.002);
	ck_assert_double_eq_tol(m.loudness_lufs, -9.7, 0.3);
	ck_assert(isnan(m.true_peak_dbtp));
	ck_assert_int_eq(m.clipped_frames, 0);
	ck_assert_double_eq(m.leading_silence_s, 0);
	ck_assert_str_eq(m.quality, "cd_quality");
	ck_assert(clock_is_rfc3339(m.mtime));
	ck_assert_uint_eq(json_count(m.tags), 0);
	assert_same_as("sha256sum f", m.sha256);
	assert_same_as("xxhsum -H2 -q f", m.xxh3_128);
	assert_same_as("tail -c +45 f | xxhsum -H2 -q -", m.audio_xxh3_128);
}
END_TEST

START_TEST(the_same_audio_has_one_hash_in_wav_aiff_flac_w64_and_caf)
{
	static const char *const names[] = {"x.wav", "x.aiff", "x.flac", "x.w64", "x.caf"};
	char first[HASH_XXH3_128_HEX] = "";

	shell("sox -R -n -r 48000 -c 2 -b 24 x.wav synth 0.5 pinknoise && "
	      "for t in aiff flac w64 caf; do sox -D x.wav x.$t; done");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		ck_assert_int_eq(measure_file(names[i]), 0);
		assert_fine();
		ck_assert_int_eq(m.bits_per_sample, 24);
		if (i == 0)
			strcpy(first, m.audio_xxh3_128);
		ck_assert_str_eq(first, m.audio_xxh3_128);
	}
	assert_same_as("sox x.wav -t raw -b 24 -e signed -L - | xxhsum -H2 -q -", first);
}
END_TEST

START_TEST(eight_bits_are_hashed_signed)
{
	header(1, 8000, 1, 8, 4);
	num(0x007f80ff, 4);
	measure();
	assert_fine();
	ck_assert_str_eq(m.codec, "pcm_u8");
	ck_assert_int_eq(m.clipped_frames, 2);
	assert_same_as("printf '\\177\\000\\377\\200' | xxhsum -H2 -q -", m.audio_xxh3_128);
}
END_TEST

START_TEST(floats_may_exceed_full_scale_and_hold_no_numbers)
{
	static const float v[] = {2.0f, -0.5f, NAN, INFINITY, 0.25f, 1.0f};
	unsigned char bytes[sizeof v];

	memcpy(bytes, v, sizeof v);
	header(3, 48000, 1, 32, sizeof v);
	buf_add(&b, bytes, sizeof bytes, &e);
	measure();
	assert_fine();
	ck_assert_str_eq(m.codec, "pcm_f32le");
	ck_assert_double_eq_tol(m.peak_dbfs, 6.021, 0.001);
	ck_assert_int_eq(m.clipped_frames, 2);
	assert_same_as("tail -c +45 f | xxhsum -H2 -q -", m.audio_xxh3_128);
}
END_TEST

START_TEST(digital_silence_has_no_levels)
{
	header(1, RATE, 1, 16, RATE * 2);
	for (int i = 0; i < RATE; i++)
		num(0, 2);
	measure();
	assert_fine();
	ck_assert(isnan(m.peak_dbfs) && isnan(m.rms_dbfs) && isnan(m.loudness_lufs) &&
		  isnan(m.loudness_range_lu));
	ck_assert_double_eq(m.leading_silence_s, 1.0);
	ck_assert_double_eq(m.trailing_silence_s, 1.0);
	ck_assert_uint_ge(m.zero_tail_bytes, RATE * 2);
}
END_TEST

START_TEST(silence_at_the_ends_is_measured)
{
	header(1, 8000, 1, 16, 8000 * 2);
	for (int i = 0; i < 8000; i++)
		num(i < 2000 ? 20 : i < 5000 ? 5000 : 0xffec, 2);
	measure();
	ck_assert_double_eq(m.leading_silence_s, 0.25);
	ck_assert_double_eq(m.trailing_silence_s, 0.375);
}
END_TEST

START_TEST(true_peak_comes_on_request)
{
	o.true_peak = true;
	good_wav(RATE);
	measure();
	ck_assert_double_eq_tol(m.true_peak_dbtp, -6.02, 0.1);
}
END_TEST

START_TEST(high_resolution_takes_both_rate_and_bits)
{
	header(1, 96000, 1, 24, 3000);
	for (int i = 0; i < 1000; i++)
		num((uint64_t)i * 777, 3);
	measure();
	ck_assert_str_eq(m.quality, "high_resolution");
}
END_TEST

START_TEST(tags_come_out_as_utf8)
{
	good_wav(1000);
	text("LIST");
	num(4 + 8 + 6 + 8 + 4, 4);
	text("INFOINAM");
	num(6, 4);
	text("T\xeftel");
	num(0, 1);
	text("IART");
	num(4, 4);
	text("Anna");
	patch32(4, (uint32_t)b.len - 8);
	measure();
	assert_fine();
	ck_assert_str_eq(json_get_str(m.tags, "title"), "T\u00eftel");
	ck_assert_str_eq(json_get_str(m.tags, "artist"), "Anna");
}
END_TEST

START_TEST(bext_is_read)
{
	size_t at;

	good_wav(1000);
	at = b.len;
	text("bext");
	num(602 + 8, 4);
	for (int i = 0; i < 602; i++)
		num(0, 1);
	text("A=PCM\r\n");
	num(0, 1);
	memcpy(b.data + at + 8, "Interview", 9);
	memcpy(b.data + at + 8 + 256, "Recorder", 8);
	b.data[at + 8 + 338] = 7;
	b.data[at + 8 + 346] = 2;
	patch32(4, (uint32_t)b.len - 8);
	measure();
	assert_fine();
	ck_assert_str_eq(json_get_str(m.tags, "description"), "Interview");
	ck_assert_str_eq(json_get_str(m.tags, "originator"), "Recorder");
	ck_assert_str_eq(json_get_str(m.tags, "coding_history"), "A=PCM");
}
END_TEST

/* ---- damage ---- */

START_TEST(a_header_that_was_never_finished_still_gives_all_the_audio)
{
	static const uint32_t sizes[][2] = {
	    {0, 0}, {0xffffffff, 0xffffffff}, {0x80000024, 0x80000000}, {0x7ffff024, 0x7ffff000}};

	good_wav(30000);
	patch32(4, sizes[_i][0]);
	patch32(40, sizes[_i][1]);
	measure();
	assert_problem(P_HEADER_MISMATCH);
	ck_assert_int_eq(m.frames, 30000);
	assert_same_as("tail -c +45 f | xxhsum -H2 -q -", m.audio_xxh3_128);
	assert_same_as("sha256sum f", m.sha256);
}
END_TEST

START_TEST(a_stale_header_still_gives_all_the_audio)
{
	good_wav(30000);
	patch32(4, 36 + 2000);
	patch32(40, 2000);
	measure();
	assert_problem(P_HEADER_MISMATCH);
	ck_assert_int_eq(m.frames, 30000);
}
END_TEST

START_TEST(a_cut_recording_says_where)
{
	header(1, RATE, 1, 16, 69630);
	sine(41760 / 2);
	measure();
	assert_problem(P_TRUNCATED);
	ck_assert_int_eq(m.frames, 20880);
	ck_assert_ptr_nonnull(strstr(m.problem.text, "69630"));
	ck_assert_ptr_nonnull(strstr(m.problem.text, "41760"));
	ck_assert(!isnan(m.peak_dbfs));
}
END_TEST

START_TEST(a_second_fmt_chunk_never_reaches_the_decoder)
{
	good_wav(100);
	memcpy(b.data + 36, "fmt ", 4);
	measure();
	assert_problem(P_DECODE_ERROR);
	ck_assert_int_eq(m.frames, -1);
}
END_TEST

START_TEST(a_page_of_zeros_after_loud_audio_is_a_power_cut)
{
	good_wav(RATE);
	memset(b.data + 40960, 0, b.len - 40960);
	measure();
	assert_problem(P_ZERO_TAIL);
	ck_assert_uint_ge(m.zero_tail_bytes, b.len - 40960);
	ck_assert_int_eq(m.frames, RATE);
}
END_TEST

START_TEST(silence_at_the_end_of_a_good_recording_is_no_power_cut)
{
	size_t from = _i == 0 ? 41000 : 40960;

	good_wav(RATE);
	/* Not at a page; or at a page, but faded out before. */
	if (_i == 1)
		for (size_t i = 30000; i < from; i += 2)
			b.data[i] = (char)(i % 8), b.data[i + 1] = 0;
	memset(b.data + from, 0, b.len - from);
	measure();
	assert_fine();
}
END_TEST

START_TEST(a_hole_at_the_end_is_a_power_cut)
{
	good_wav(RATE);
	b.len = 50000;
	save("f");
	ck_assert_int_eq(truncate(path, 44 + 2 * RATE), 0);
	ck_assert_int_eq(measure_file("f"), 0);
	if (m.problem.class == ERR_NONE)
		return; /* a file system without holes */
	assert_problem(P_ZERO_TAIL);
}
END_TEST

START_TEST(zeros_behind_the_last_chunk_are_a_power_cut)
{
	good_wav(1000);
	for (int i = 0; i < 1024; i++)
		num(0, 4);
	measure();
	assert_problem(P_ZERO_TAIL);
	ck_assert_int_eq(m.frames, 1000);
}
END_TEST

START_TEST(nothing_is_empty)
{
	measure();
	assert_problem(P_EMPTY);
	ck_assert_int_eq(m.size_bytes, 0);
	ck_assert_str_eq(
	    m.sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	setup();
	good_wav(0);
	measure();
	assert_problem(P_EMPTY);
	ck_assert_str_eq(m.quality, "unknown");
}
END_TEST

START_TEST(what_is_not_audio_still_has_its_hashes)
{
	static const char *const heads[] = {"Dear diary, today I did not record anything.\n",
	    "\x89PNG\r\n\x1a\n........", "wvpk............", "....ftypM4A ....",
	    "MThd............"};
	static const char *const codes[] = {
	    P_NOT_AUDIO, P_NOT_AUDIO, P_UNSUPPORTED, P_UNSUPPORTED, P_UNSUPPORTED};

	text(heads[_i]);
	measure();
	assert_problem(codes[_i]);
	assert_same_as("sha256sum f", m.sha256);
	assert_same_as("xxhsum -H2 -q f", m.xxh3_128);
	ck_assert_int_eq(m.frames, -1);
	ck_assert(m.tags == NULL);
}
END_TEST

START_TEST(flac_is_judged_by_its_md5_and_its_count)
{
	shell("sox -R -n -r 44100 -c 2 -b 16 x.flac synth 3 pinknoise");
	load("x.flac");
	measure();
	assert_fine();
	ck_assert_str_eq(m.codec, "flac");
	ck_assert_int_eq(m.frames, 3 * RATE);
	b.data[8 + 18] ^= 1;
	measure();
	assert_problem(P_DECODE_ERROR);
	ck_assert_ptr_nonnull(strstr(m.problem.text, "MD5"));
	b.data[8 + 18] ^= 1;
	b.data[b.len / 2] ^= 4;
	measure();
	assert_problem(P_DECODE_ERROR);
	b.data[b.len / 2] ^= 4;
	b.len /= 2;
	measure();
	assert_problem(P_TRUNCATED);
	ck_assert_int_gt(m.frames, RATE);
	memset(b.data + b.len - 5000, 0, 5000);
	measure();
	assert_problem(P_ZERO_TAIL);
}
END_TEST

START_TEST(flac_of_unknown_length_is_counted)
{
	shell("sox -R -n -r 44100 -c 1 -b 16 -t raw - synth 2 sine 300 | flac -s -f "
	      "--endian=little --sign=signed "
	      "--channels=1 --bps=16 --sample-rate=44100 -o x.flac - && metaflac "
	      "--show-total-samples x.flac");
	load("x.flac");
	b.data[8 + 13] &= (char)0xf0;
	memset(b.data + 8 + 14, 0, 4);
	measure();
	assert_fine();
	ck_assert_int_eq(m.frames, 2 * RATE);
}
END_TEST

START_TEST(ogg_without_its_last_page_is_truncated)
{
	size_t last;

	shell("sox -R -n -r 44100 -c 1 x.ogg synth 3 sine 300");
	load("x.ogg");
	measure();
	assert_fine();
	ck_assert_str_eq(m.codec, "vorbis");
	ck_assert_int_eq(m.frames, 3 * RATE);
	ck_assert_str_eq(m.audio_xxh3_128, "");
	for (last = b.len - 4; memcmp(b.data + last, "OggS", 4) != 0; last--)
		;
	b.len -= 10;
	measure();
	assert_problem(P_TRUNCATED);
	b.len = last;
	measure();
	assert_problem(P_TRUNCATED);
	b.data[last - 100] ^= 1;
	measure();
	assert_problem(P_DECODE_ERROR);
}
END_TEST

START_TEST(mp3_is_counted_frame_by_frame)
{
	size_t xing;

	shell("sox -R -n -r 44100 -c 1 y.wav synth 3 sine 300 && ffmpeg -nostdin -v error -y -i "
	      "y.wav -c:a libmp3lame -b:a 64k x.mp3");
	load("x.mp3");
	measure();
	assert_fine();
	ck_assert_str_eq(m.codec, "mp3");
	ck_assert_int_eq(m.frames, 3 * RATE);
	for (xing = 0; memcmp(b.data + xing, "Info", 4) != 0; xing++)
		;
	b.data[xing + 11] = 20; /* of 116 */
	measure();
	assert_problem(P_HEADER_MISMATCH);
	ck_assert_int_gt(m.frames, 3 * RATE);
	load("x.mp3");
	memset(b.data + b.len / 2, 0x55, 1000);
	measure();
	assert_problem(P_DECODE_ERROR);
	load("x.mp3");
	b.len = b.len / 2;
	measure();
	assert_problem(P_TRUNCATED);
	load("x.mp3");
	memset(b.data + b.len / 2, 0, b.len - b.len / 2);
	measure();
	assert_problem(P_ZERO_TAIL);
}
END_TEST

/* ---- reading ---- */

START_TEST(a_dying_disk_is_unreadable)
{
	good_wav(RATE * 5);
	save("f");
	fail_from = _i == 0 ? 300000 : 0;
	ck_assert_int_eq(measure_file("f"), 0);
	assert_problem(P_UNREADABLE);
	ck_assert_str_eq(m.sha256, "");
	ck_assert_int_eq(m.problem.sys, EIO);
}
END_TEST

START_TEST(a_request_to_stop_ends_the_measuring)
{
	atomic_int stop = 1;

	o.stop = &stop;
	good_wav(RATE);
	save("f");
	ck_assert_int_eq(measure_file("f"), -1);
	ck_assert_int_eq(e.class, ERR_STOPPED);
	ck_assert(m.tags == NULL);
}
END_TEST

START_TEST(a_file_that_changes_meanwhile_is_reported)
{
	struct timespec times[2] = {{0, UTIME_OMIT}, {1, 0}};
	pid_t pid;
	int fd;

	good_wav(RATE * 60);
	save("f");
	ck_assert_int_ne(pid = fork(), -1);
	if (pid == 0) {
		/* Every mtime differs from the one before. */
		for (;; times[1].tv_nsec += 1000)
			utimensat(AT_FDCWD, path, times, 0);
	}
	fd = open(path, O_RDONLY);
	usleep(10000);
	ck_assert_int_eq(audio_measure(fd, &o, &m, &e), 0);
	kill(pid, SIGKILL);
	close(fd);
	assert_problem(P_MODIFIED);
}
END_TEST

START_TEST(progress_adds_up_to_the_size)
{
	atomic_ullong done = 0;

	o.bytes_done = &done;
	good_wav(RATE * 10);
	measure();
	ck_assert_uint_eq(atomic_load(&done), b.len);
}
END_TEST

START_TEST(quick_reads_only_the_header)
{
	atomic_ullong done = 0;

	o.quick = true;
	o.bytes_done = &done;
	good_wav(RATE * 20);
	measure();
	assert_fine();
	ck_assert_int_eq(m.frames, RATE * 20);
	ck_assert_str_eq(m.sha256, "");
	ck_assert_str_eq(m.audio_xxh3_128, "");
	ck_assert(isnan(m.peak_dbfs));
	ck_assert_uint_lt(atomic_load(&done), b.len);
	patch32(40, 0);
	measure();
	assert_problem(P_HEADER_MISMATCH);
	ck_assert_int_eq(m.frames, RATE * 20);
}
END_TEST

START_TEST(the_position_of_the_descriptor_stays)
{
	int fd;

	good_wav(RATE);
	save("f");
	fd = open(path, O_RDONLY);
	ck_assert_int_eq(lseek(fd, 77, SEEK_SET), 77);
	ck_assert_int_eq(audio_measure(fd, &o, &m, &e), 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 77);
	close(fd);
}
END_TEST

START_TEST(a_prober_suffices_for_what_it_measured)
{
	struct audio_opts plain = {0}, peak = {.true_peak = true}, quick = {.quick = true};
	char p[AUDIO_PROBER_MAX], t[AUDIO_PROBER_MAX], q[AUDIO_PROBER_MAX];

	audio_prober(&plain, p);
	audio_prober(&peak, t);
	audio_prober(&quick, q);
	ck_assert_str_eq(p, "rectools 0.1.0; measures=1 silence_dbfs=-60 true_peak=no");
	ck_assert(audio_prober_suffices(p, &plain) && audio_prober_suffices(t, &plain));
	ck_assert(audio_prober_suffices(t, &peak) && !audio_prober_suffices(p, &peak));
	ck_assert(audio_prober_suffices(p, &quick) && audio_prober_suffices(q, &quick));
	ck_assert(!audio_prober_suffices(q, &plain));
	ck_assert(!audio_prober_suffices("", &plain) &&
		  !audio_prober_suffices(
		      "rectools 0.1.0; measures=0 silence_dbfs=-60 true_peak=yes", &plain));
	ck_assert(audio_prober_suffices(
	    "rectools 9.9; measures=1 silence_dbfs=-60 true_peak=no", &plain));
}
END_TEST

START_TEST(any_bytes_come_to_an_end)
{
	static const char *const names[] = {"x.wav", "x.flac", "x.ogg", "x.mp3", "x.aiff"};
	unsigned seed = (unsigned)_i;

	if (_i == 0)
		shell("sox -R -n -r 8000 -c 1 -b 16 x.wav synth 0.3 pinknoise && for t in flac ogg "
		      "aiff; do sox x.wav x.$t; done && "
		      "ffmpeg -nostdin -v error -y -i x.wav -c:a libmp3lame x.mp3");
	load(names[_i % 5]);
	for (int i = 0; i < 8; i++)
		b.data[(size_t)rand_r(&seed) % (i < 4 && b.len > 200 ? 200 : b.len)] =
		    (char)rand_r(&seed);
	measure();
	ck_assert_int_le(m.frames, 100000000);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("audio");
	TCase *t = tcase_create("measure");
	SRunner *r;
	char line[64];
	int failed;

	if (mkdtemp(dir) == NULL)
		return 1;
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_wav_has_every_measure);
	tcase_add_test(t, the_same_audio_has_one_hash_in_wav_aiff_flac_w64_and_caf);
	tcase_add_test(t, eight_bits_are_hashed_signed);
	tcase_add_test(t, floats_may_exceed_full_scale_and_hold_no_numbers);
	tcase_add_test(t, digital_silence_has_no_levels);
	tcase_add_test(t, silence_at_the_ends_is_measured);
	tcase_add_test(t, true_peak_comes_on_request);
	tcase_add_test(t, high_resolution_takes_both_rate_and_bits);
	tcase_add_test(t, tags_come_out_as_utf8);
	tcase_add_test(t, bext_is_read);
	tcase_add_loop_test(t, a_header_that_was_never_finished_still_gives_all_the_audio, 0, 4);
	tcase_add_test(t, a_stale_header_still_gives_all_the_audio);
	tcase_add_test(t, a_cut_recording_says_where);
	tcase_add_test(t, a_second_fmt_chunk_never_reaches_the_decoder);
	tcase_add_test(t, a_page_of_zeros_after_loud_audio_is_a_power_cut);
	tcase_add_loop_test(t, silence_at_the_end_of_a_good_recording_is_no_power_cut, 0, 2);
	tcase_add_test(t, a_hole_at_the_end_is_a_power_cut);
	tcase_add_test(t, zeros_behind_the_last_chunk_are_a_power_cut);
	tcase_add_test(t, nothing_is_empty);
	tcase_add_loop_test(t, what_is_not_audio_still_has_its_hashes, 0, 5);
	tcase_add_test(t, flac_is_judged_by_its_md5_and_its_count);
	tcase_add_test(t, flac_of_unknown_length_is_counted);
	tcase_add_test(t, ogg_without_its_last_page_is_truncated);
	tcase_add_test(t, mp3_is_counted_frame_by_frame);
	tcase_add_loop_test(t, a_dying_disk_is_unreadable, 0, 2);
	tcase_add_test(t, a_request_to_stop_ends_the_measuring);
	tcase_add_test(t, a_file_that_changes_meanwhile_is_reported);
	tcase_add_test(t, progress_adds_up_to_the_size);
	tcase_add_test(t, quick_reads_only_the_header);
	tcase_add_test(t, the_position_of_the_descriptor_stays);
	tcase_add_test(t, a_prober_suffices_for_what_it_measured);
	tcase_add_loop_test(t, any_bytes_come_to_an_end, 0, 150);
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
