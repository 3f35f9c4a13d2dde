/*
 * playback: parts of files are the same samples whether they are jumped to or decoded from the
 * beginning, and as sox decodes the whole; parts one behind the other; what does not fit or does
 * not decode is told.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"
#include "playback.h"

#define MAX_FRAMES 200000

/* libsndfile 1.2.0 does not free what libvorbis and libogg made of an Ogg file that it then
 * refuses. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libvorbis\nleak:libogg\nleak:libsndfile\n";
}

static char dir[] = "/tmp/check_playback.XXXXXX";
static struct err e;
static union decoder_block block;
static unsigned char whole[MAX_FRAMES * 2 * sizeof(double)], got[sizeof whole];

static void
setup(void)
{
	e = (struct err){.class = ERR_NONE};
}

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

static size_t
sample_bytes(const struct playback_format *f)
{
	return f->samples == DECODER_DOUBLE  ? sizeof(double)
	       : f->samples == DECODER_FLOAT ? sizeof(float)
					     : sizeof(int);
}

/* All of it; the frames, or -1. */
static int64_t
play(const struct playback_part *parts, unsigned n, unsigned char *out, size_t *frame_bytes)
{
	struct playback *p = playback_open(parts, n, NULL, NULL, &e);
	int64_t frames = 0, k;
	size_t bytes;

	if (p == NULL)
		return -1;
	bytes = sample_bytes(playback_format(p)) * playback_format(p)->channels;
	while ((k = playback_read(p, &block, &e)) > 0) {
		ck_assert_uint_le((size_t)(frames + k) * bytes, sizeof whole);
		memcpy(out + (size_t)frames * bytes, &block, (size_t)k * bytes);
		frames += k;
	}
	if (k == 0)
		ck_assert_int_eq(playback_read(p, &block, &e), 0);
	playback_close(p);
	*frame_bytes = bytes;
	return k == 0 ? frames : -1;
}

static const struct {
	const char *name, *make;
	uint64_t frames;
} files[] = {
    {"s16.wav", "sox -D -R n.wav s16.wav", 150000},
    {"u8.wav", "sox -D -R n.wav -b 8 u8.wav", 150000},
    {"s24.wav", "sox -D n.wav -b 24 s24.wav", 150000},
    {"f32.wav", "sox -D n.wav -e float -b 32 f32.wav", 150000},
    {"f64.wav", "sox -D n.wav -e float -b 64 f64.wav", 150000},
    {"x.aiff", "sox -D n.wav x.aiff", 150000},
    {"x.flac", "flac --silent -f -o x.flac n.wav", 150000},
    {"var.flac", "flac --silent -f --no-seektable --blocksize=777 --lax -o var.flac n.wav", 150000},
    {"alaw.wav", "sox -D n.wav -e a-law alaw.wav", 150000},
    {"adpcm.wav", "sox -D n.wav -e ms-adpcm adpcm.wav", 0},
    {"x.mp3", "ffmpeg -nostdin -y -i n.wav -c:a libmp3lame x.mp3", 150000},
    {"x.ogg", "ffmpeg -nostdin -y -i n.wav -c:a libvorbis x.ogg", 150000},
    {"x.opus", "ffmpeg -nostdin -y -i n.wav -c:a libopus x.opus", 150000},
};
#define N_FILES (int)(sizeof files / sizeof *files)

#define MAKE "[ -e n.wav ] || sox -R -D -n -r 48000 -c 2 -b 16 n.wav synth 150000s pinknoise"

START_TEST(a_part_is_what_the_whole_has_there)
{
	static const struct {
		uint64_t first, frames;
	} parts[] = {{0, 1}, {1, 1}, {0, 70000}, {32767, 2}, {32768, 32768}, {99999, 50001},
	    {149999, 1}, {65535, 65537}, {777, 777}};
	struct playback_part part = {.frames = files[_i].frames};
	size_t bytes;
	int fd;

	shell(MAKE);
	shell(files[_i].make);
	part.fd = fd = open_file(files[_i].name);
	if (part.frames == 0) /* padded to whole blocks */
		part.frames = 150000;
	ck_assert_msg(play(&part, 1, whole, &bytes) == (int64_t)part.frames, "%s: %s",
	    files[_i].name, e.text);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		part = (struct playback_part){fd, parts[i].first, parts[i].frames};
		ck_assert_msg(play(&part, 1, got, &bytes) == (int64_t)parts[i].frames, "%s: %s",
		    files[_i].name, e.text);
		ck_assert_msg(
		    memcmp(got, whole + parts[i].first * bytes, parts[i].frames * bytes) == 0,
		    "%s from %llu", files[_i].name, (unsigned long long)parts[i].first);
	}
	close(fd);
}
END_TEST

START_TEST(the_whole_is_what_sox_decodes)
{
	struct playback_part part = {.frames = 150000};
	static int16_t sox[150000 * 2];
	size_t bytes;
	int fd;

	shell(MAKE);
	shell("sox -D n.wav -t raw -L n.raw");
	fd = open_file("n.raw");
	ck_assert_int_eq(read(fd, sox, sizeof sox), sizeof sox);
	close(fd);
	part.fd = open_file("n.wav");
	ck_assert_int_eq(play(&part, 1, whole, &bytes), 150000);
	close(part.fd);
	for (size_t i = 0; i < 300000; i++)
		ck_assert_int_eq(((int *)(void *)whole)[i], sox[i] * 65536);
}
END_TEST

START_TEST(parts_follow_each_other)
{
	struct playback_part parts[4];
	size_t bytes;
	int fd, flac;

	shell(MAKE " && sox -D -R n.wav s16.wav && flac --silent -f -o x.flac n.wav");
	fd = open_file("s16.wav");
	flac = open_file("x.flac");
	parts[0] = (struct playback_part){fd, 0, 150000};
	ck_assert_int_eq(play(parts, 1, whole, &bytes), 150000);
	parts[0] = (struct playback_part){fd, 0, 12345};
	parts[1] = (struct playback_part){flac, 12345, 1};
	parts[2] = (struct playback_part){flac, 12346, 99999};
	parts[3] = (struct playback_part){fd, 112345, 37655};
	ck_assert_msg(play(parts, 4, got, &bytes) == 150000, "%s", e.text);
	ck_assert_mem_eq(got, whole, 150000 * bytes);
	close(fd);
	close(flac);
}
END_TEST

START_TEST(formats_are_widened)
{
	static const char *const names[] = {"s16.wav", "s24.wav", "f32.wav"};
	struct playback_part parts[3];
	struct playback *p;

	shell(MAKE " && sox -D -R n.wav s16.wav && sox -D n.wav -b 24 s24.wav && "
		   "sox -D n.wav -e float -b 32 f32.wav");
	for (int i = 0; i < 3; i++)
		parts[i] = (struct playback_part){open_file(names[i]), 0, 1000};
	ck_assert_ptr_nonnull(p = playback_open(parts, 2, NULL, NULL, &e));
	ck_assert_int_eq(playback_format(p)->samples, DECODER_INT);
	ck_assert_uint_eq(playback_format(p)->bits, 24);
	ck_assert(playback_format(p)->lossless);
	playback_close(p);
	ck_assert_ptr_nonnull(p = playback_open(parts, 3, NULL, NULL, &e));
	ck_assert_int_eq(playback_format(p)->samples, DECODER_DOUBLE);
	playback_close(p);
	for (int i = 0; i < 3; i++)
		close(parts[i].fd);
}
END_TEST

START_TEST(what_differs_is_told)
{
	struct playback_part parts[2];

	shell(MAKE " && sox -D n.wav -r 44100 rate.wav trim 0 1 && sox -D n.wav -c 1 mono.wav");
	parts[0] = (struct playback_part){open_file("n.wav"), 0, 10};
	parts[1] = (struct playback_part){open_file(_i == 0 ? "rate.wav" : "mono.wav"), 0, 10};
	ck_assert_ptr_null(playback_open(parts, 2, NULL, NULL, &e));
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_str_eq(e.code, P_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(e.text, _i == 0 ? "file 2 has 44100 Hz, and file 1 48000 Hz"
						     : "file 2 has 1 channels, and file 1 2"));
	close(parts[0].fd);
	close(parts[1].fd);
}
END_TEST

START_TEST(what_is_not_there_is_truncated)
{
	static const char *const names[] = {"n.wav", "x.flac", "x.ogg"};
	struct playback_part part = {.first = _i % 2 == 0 ? 149000 : 160000, .frames = 5000};
	size_t bytes;

	shell(MAKE " && flac --silent -f -o x.flac n.wav && sox n.wav x.ogg");
	part.fd = open_file(names[_i / 2]);
	ck_assert_int_eq(play(&part, 1, got, &bytes), -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_str_eq(e.code, P_TRUNCATED);
	close(part.fd);
}
END_TEST

/* Behind damage, what is sought and what is decoded are the same frames, or none. */
START_TEST(behind_damage_no_other_frames_come)
{
	struct playback_part part = {.first = 120000, .frames = 20000};
	size_t bytes;
	int fd;

	shell(MAKE " && flac --silent -f -o y.flac n.wav && cp y.flac z.flac && "
		   "printf damagedamagedamage | dd of=z.flac bs=1 seek=150000 conv=notrunc");
	part.fd = fd = open_file("y.flac");
	ck_assert_int_eq(play(&part, 1, whole, &bytes), 20000);
	close(fd);
	part.fd = fd = open_file("z.flac");
	if (play(&part, 1, got, &bytes) == 20000)
		ck_assert_mem_eq(got, whole, 20000 * bytes);
	else
		ck_assert_int_eq(e.class, ERR_ITEM);
	close(fd);
}
END_TEST

START_TEST(it_says_what_the_first_file_says_of_itself)
{
	struct playback_part part = {.frames = 10};
	struct playback *p;

	shell(MAKE " && flac --silent -f -T TITLE=Song -T ARTIST=Me -T DATE=2024 -o t.flac n.wav");
	part.fd = open_file("t.flac");
	ck_assert_ptr_nonnull(p = playback_open(&part, 1, NULL, NULL, &e));
	ck_assert_str_eq(playback_title(p), "Song");
	ck_assert_str_eq(playback_tags(p), "artist, date");
	playback_close(p);
	close(part.fd);
	part.fd = open_file("n.wav");
	ck_assert_ptr_nonnull(p = playback_open(&part, 1, NULL, NULL, &e));
	ck_assert_ptr_null(playback_title(p));
	ck_assert_str_eq(playback_tags(p), "");
	playback_close(p);
	close(part.fd);
}
END_TEST

START_TEST(it_can_be_stopped)
{
	struct playback_part part = {.frames = 150000};
	atomic_int stop = 0;
	struct playback *p;

	shell(MAKE);
	part.fd = open_file("n.wav");
	ck_assert_ptr_nonnull(p = playback_open(&part, 1, &stop, NULL, &e));
	atomic_store(&stop, 2);
	while (playback_read(p, &block, &e) > 0)
		;
	ck_assert_int_eq(e.class, ERR_STOPPED);
	playback_close(p);
	close(part.fd);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("playback");
	TCase *t = tcase_create("play");
	SRunner *r;
	char line[64];
	int failed;

	if (mkdtemp(dir) == NULL)
		return 1;
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, a_part_is_what_the_whole_has_there, 0, N_FILES);
	tcase_add_test(t, the_whole_is_what_sox_decodes);
	tcase_add_test(t, parts_follow_each_other);
	tcase_add_test(t, formats_are_widened);
	tcase_add_loop_test(t, what_differs_is_told, 0, 2);
	tcase_add_loop_test(t, what_is_not_there_is_truncated, 0, 6);
	tcase_add_test(t, behind_damage_no_other_frames_come);
	tcase_add_test(t, it_says_what_the_first_file_says_of_itself);
	tcase_add_test(t, it_can_be_stopped);
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
