/*
 * framecut: parts of MP3, Vorbis and Opus files play what the old file plays there. The files are
 * made by ffmpeg; without it nothing is tested but refusals.
 */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audio.h"
#include "content.h"
#include "decoder.h"
#include "framecut.h"
#include "framing.h"
#include "mem.h"

#define ODD "../shared/audio/odd"

/* libsndfile 1.2.0 forgets what libvorbis and libogg allocated when it refuses a broken Ogg file.
 */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libvorbis\nleak:libogg\nleak:libsndfile\n";
}

static char dir[] = "/tmp/check_framecut.XXXXXX";
static bool full; /* REC_FAULT=full: more at random */
static struct err e;
static bool have_ffmpeg;

static const char *
in_dir(const char *name)
{
	static char paths[4][160];
	static unsigned next;
	char *p = paths[next++ % 4];

	snprintf(p, sizeof *paths, "%s/%s", dir, name);
	return p;
}

static int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int
run(const char *fmt, ...)
{
	char command[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof command, fmt, ap);
	va_end(ap);
	return system(command);
}

/* ---- what is cut ---- */

enum exact {
	ALL,   /* at both ends, and every sample is the same */
	EDGES, /* at both ends; predictions have to settle */
	FRAMES /* of whole frames, the first of them without what came before */
};

static const struct kind {
	const char *name, *rate, *channels, *options;
	enum exact exact;
} kinds[] = {
    {"cbr.mp3", "44100", "2", "-b:a 128k", ALL},
    {"cbr320.mp3", "48000", "2", "-b:a 320k -joint_stereo 0", ALL},
    {"low.mp3", "44100", "1", "-b:a 32k", ALL},
    {"vbr.mp3", "44100", "2", "-q:a 4", ALL},
    {"abr.mp3", "48000", "2", "-abr 1 -b:a 96k", ALL},
    {"mpeg2.mp3", "22050", "1", "-b:a 24k", ALL},
    {"mpeg2vbr.mp3", "24000", "2", "-q:a 6", ALL},
    {"mpeg25.mp3", "8000", "1", "-b:a 16k", ALL},
    {"noinfo.mp3", "44100", "2", "-b:a 128k -write_xing 0 -id3v2_version 0", ALL},
    {"tagged.mp3", "44100", "1", "-b:a 64k -write_id3v1 1 -metadata title=A", ALL},
    {"layer2.mp2", "48000", "2", "-c:a mp2 -b:a 192k", FRAMES},
    {"v.ogg", "44100", "2", "-c:a libvorbis -q:a 4", ALL},
    {"v48.ogg", "48000", "1", "-c:a libvorbis -q:a 8 -metadata title=A", ALL},
    {"v22.ogg", "22050", "2", "-c:a libvorbis -q:a 1", ALL},
    {"o.opus", "48000", "2", "-c:a libopus -b:a 96k", EDGES},
    {"voip.opus", "48000", "1", "-c:a libopus -b:a 20k -application voip -frame_duration 60",
	EDGES},
    {"short.opus", "48000", "1", "-c:a libopus -b:a 64k -frame_duration 2.5", EDGES},
};
#define N_KINDS ((int)(sizeof kinds / sizeof *kinds))

/* Two tones that swell, and a little noise. */
static int
make_kinds(void)
{
	for (int i = 0; have_ffmpeg && i < N_KINDS; i++) {
		const struct kind *k = &kinds[i];

		if (run("ffmpeg -v error -y -f lavfi -i \"aevalsrc='0.3*sin(2*PI*(300+40*t)*t)*"
			"(1+sin(9*t))/2+0.2*sin(2*PI*1713*t)+%s*random(0)':d=6:s=%s\" -ac %s %s "
			"%s",
			k->exact == EDGES ? "0" : "0.1", k->rate, k->channels, k->options,
			in_dir(k->name)) != 0)
			return -1;
	}
	return 0;
}

static int
open_in_dir(const char *name)
{
	int fd = open(in_dir(name), O_RDONLY);

	ck_assert_msg(fd != -1, "%s", name);
	return fd;
}

static struct framecut cut_made;

/* framecut_write of file `from` to `to`. */
static int
cut(const char *from, const char *to, uint64_t first, uint64_t frames)
{
	int out = open(in_dir(to), O_RDWR | O_CREAT | O_TRUNC, 0600), rc;

	ck_assert_int_ne(out, -1);
	cut_made = (struct framecut){.fd = open_in_dir(from), .first = first, .frames = frames};
	rc = framecut_write(&cut_made, out, &e);
	close(cut_made.fd);
	close(out);
	return rc;
}

struct samples {
	float *v;
	uint64_t frames;
	unsigned channels;
};

static struct samples
decode(const char *name)
{
	static union decoder_block block;
	int fd = open_in_dir(name);
	struct stat st;
	struct facts facts;
	struct content c = {.facts = &facts};
	struct samples s = {0};
	struct buf b = {0};
	struct decoder *d;
	size_t n;

	fstat(fd, &st);
	facts = (struct facts){.size_bytes = (uint64_t)st.st_size, .container = "", .frames = -1};
	c.source = source_open(fd, (uint64_t)st.st_size, 0, NULL, NULL, &e);
	ck_assert_int_eq(content_look(&c, fd, &e), 0);
	ck_assert_ptr_nonnull(d = decoder_open(&c, &e));
	s.channels = decoder_format(d)->channels;
	while ((n = decoder_read(d, DECODER_FLOAT, &block)) > 0) {
		ck_assert_int_eq(buf_add(&b, block.f, n * s.channels * sizeof(float), &e), 0);
		s.frames += n;
	}
	s.v = (float *)b.data;
	decoder_close(d);
	content_close(&c);
	source_close(c.source);
	close(fd);
	return s;
}

static void
measured(const char *name, int64_t frames)
{
	struct measure m;
	struct audio_opts o = {0};
	int fd = open_in_dir(name);

	ck_assert_int_eq(audio_measure(fd, &o, &m, &e), 0);
	ck_assert_msg(m.problem.class == ERR_NONE, "%s: %s", name, m.problem.text);
	ck_assert_msg(
	    m.frames == frames, "%s: %lld, not %lld", name, (long long)m.frames, (long long)frames);
	audio_measure_free(&m);
	close(fd);
}

/* The part plays what the whole does from real_first on. */
static void
compare(const struct kind *k, const struct samples *whole, const struct samples *part)
{
	const float *a = whole->v + cut_made.real_first * whole->channels;
	uint64_t n = part->frames * part->channels, i = k->exact == FRAMES ? 1152 * 2 : 0;
	/* The last bit hangs on where the synthesis filter's ring of MP3 begins. */
	double worst = 0, limit = k->exact == EDGES ? 0.015 : strstr(k->name, ".ogg") ? 0 : 1e-6;

	ck_assert_uint_eq(part->frames, cut_made.real_frames);
	ck_assert_uint_le(cut_made.real_first + part->frames, whole->frames);
	for (; i < n; i++)
		worst = fmax(worst, fabs((double)part->v[i] - (double)a[i]));
	ck_assert_msg(worst <= limit, "%s at %llu: differs by %g", k->name,
	    (unsigned long long)cut_made.real_first, worst);
}

static bool
is_exact(const struct kind *k, uint64_t frames)
{
	return k->exact != FRAMES && (strstr(k->name, ".ogg") == NULL || frames > 4096);
}

START_TEST(a_part_plays_what_the_whole_plays_there)
{
	const struct kind *k = &kinds[_i];
	struct samples whole, part;
	unsigned seed = (unsigned)_i + 1;

	if (!have_ffmpeg)
		return;
	whole = decode(k->name);
	for (int i = 0; i < (full ? 12 : 6); i++) {
		uint64_t first = (uint64_t)rand_r(&seed) % whole.frames;
		uint64_t frames = 1 + (uint64_t)rand_r(&seed) % (whole.frames - first);

		if (i % 3 == 1) /* near the beginning */
			first %= 5000;
		if (i % 3 == 2) /* short */
			frames = 1 + frames % 3000;
		if (first + frames > whole.frames)
			frames = whole.frames - first;
		ck_assert_msg(cut(k->name, "part", first, frames) == 0, "%s: %s", k->name, e.text);
		ck_assert_uint_le(cut_made.real_first, first);
		ck_assert_uint_ge(cut_made.real_first + cut_made.real_frames, first + frames);
		if (is_exact(k, frames)) {
			ck_assert_uint_eq(cut_made.real_first, first);
			ck_assert_uint_eq(cut_made.real_frames, frames);
		}
		measured("part", (int64_t)cut_made.real_frames);
		part = decode("part");
		compare(k, &whole, &part);
		free(part.v);
	}
	free(whole.v);
}
END_TEST

START_TEST(the_whole_file_keeps_all_its_audio)
{
	const struct kind *k = &kinds[_i];
	struct samples whole, part;

	if (!have_ffmpeg)
		return;
	whole = decode(k->name);
	ck_assert_msg(cut(k->name, "part", 0, UINT64_MAX) == 0, "%s: %s", k->name, e.text);
	ck_assert_uint_eq(cut_made.real_first, 0);
	ck_assert_uint_eq(cut_made.real_frames, whole.frames);
	part = decode("part");
	compare(&(struct kind){k->name, "", "", "", ALL}, &whole, &part);
	free(whole.v);
	free(part.v);
}
END_TEST

START_TEST(a_part_of_a_part_is_a_part)
{
	const struct kind *k = &kinds[_i];
	struct samples whole, part;
	uint64_t first;

	if (!have_ffmpeg)
		return;
	whole = decode(k->name);
	ck_assert_int_eq(cut(k->name, "half", whole.frames / 3, whole.frames / 2), 0);
	first = cut_made.real_first;
	for (int i = 0; i < 6; i++) {
		static const unsigned parts[][2] = {
		    {5555, 12000}, {0, 9000}, {0, 10}, {7, 50}, {100, 600}, {1000, 100}};

		ck_assert_int_eq(cut("half", "part", parts[i][0], parts[i][1]), 0);
		ck_assert_uint_le(cut_made.real_first, parts[i][0]);
		ck_assert_uint_ge(
		    cut_made.real_first + cut_made.real_frames, parts[i][0] + parts[i][1]);
		cut_made.real_first += first;
		measured("part", (int64_t)cut_made.real_frames);
		part = decode("part");
		compare(k, &whole, &part);
		free(part.v);
	}
	free(whole.v);
}
END_TEST

/* What another decoder makes of a file, in frames: ffmpeg's samples, not its header's claim. */
static void
assert_ffmpeg_plays(const char *name, unsigned channels, uint64_t frames)
{
	struct stat st;

	ck_assert_int_eq(run("ffmpeg -v error -y -i %s -f f32le %s 2>%s", in_dir(name),
			     in_dir("raw"), in_dir("said")),
	    0);
	ck_assert_int_eq(stat(in_dir("said"), &st), 0);
	ck_assert_int_eq(st.st_size, 0);
	ck_assert_int_eq(stat(in_dir("raw"), &st), 0);
	ck_assert_uint_eq((uint64_t)st.st_size / sizeof(float) / channels, frames);
}

/* Version 5 of ffmpeg plays all of Vorbis' first packet: there its duration is asked for. */
START_TEST(other_decoders_play_the_same_length)
{
	const struct kind *k = &kinds[_i];
	char said[32] = "";
	FILE *f;

	if (!have_ffmpeg)
		return;
	ck_assert_int_eq(cut(k->name, "part", 20000, 25000), 0);
	if (strstr(k->name, ".ogg") == NULL) {
		assert_ffmpeg_plays("part", (unsigned)atoi(k->channels), cut_made.real_frames);
		return;
	}
	ck_assert_int_eq(run("ffprobe -v error -show_entries stream=duration_ts -of csv=p=0 %s >%s",
			     in_dir("part"), in_dir("said")),
	    0);
	ck_assert_ptr_nonnull(f = fopen(in_dir("said"), "r"));
	ck_assert_ptr_nonnull(fgets(said, sizeof said, f));
	fclose(f);
	ck_assert_int_eq(atoi(said), 25000);
}
END_TEST

/* ---- what goes along ---- */

static struct buf
contents(const char *name)
{
	struct buf b = {0};
	int fd = open_in_dir(name);
	struct stat st;

	fstat(fd, &st);
	ck_assert_int_eq(buf_room(&b, (size_t)st.st_size + 1, &e), 0);
	b.len = (size_t)st.st_size;
	ck_assert_int_eq(read(fd, b.data, b.len), st.st_size);
	close(fd);
	return b;
}

static void
put_contents(const char *name, const void *p, size_t len)
{
	int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_eq(write(fd, p, len), (ssize_t)len);
	close(fd);
}

START_TEST(tags_of_mp3_are_carried)
{
	struct buf old, new;
	size_t head;

	if (!have_ffmpeg)
		return;
	old = contents("tagged.mp3");
	head = 10 + ((size_t)old.data[8] << 7 | (size_t)old.data[9]);
	ck_assert_int_eq(memcmp(old.data, "ID3", 3), 0);
	ck_assert_int_eq(memcmp(old.data + old.len - 128, "TAG", 3), 0);
	ck_assert_int_eq(cut("tagged.mp3", "part", 30000, 40000), 0);
	new = contents("part");
	ck_assert_uint_lt(new.len, old.len);
	ck_assert_int_eq(memcmp(new.data, old.data, head), 0);
	ck_assert_int_eq((unsigned char)new.data[head], 0xff);
	ck_assert_int_eq(memcmp(new.data + new.len - 128, old.data + old.len - 128, 128), 0);
	buf_free(&old);
	buf_free(&new);
}
END_TEST

START_TEST(headers_of_ogg_are_carried)
{
	static const char *const names[] = {"v48.ogg", "o.opus"};
	static unsigned char page[OGG_MAX_PAGE];
	struct buf old, new;
	size_t at = 0;
	int fd;
	struct source *s;

	if (!have_ffmpeg)
		return;
	old = contents(names[_i]);
	ck_assert_int_eq(cut(names[_i], "part", 30000, 40000), 0);
	new = contents("part");
	fd = open_in_dir(names[_i]);
	s = source_open(fd, old.len, 0, NULL, NULL, &e);
	for (int i = 0; i < 2; i++) {
		size_t len = framing_ogg_page(s, at, old.len, page);

		ck_assert_uint_gt(len, 0);
		/* The pre-skip differs, and its page's checksum. */
		if (i > 0 || _i == 0)
			ck_assert_int_eq(memcmp(new.data + at, old.data + at, len), 0);
		at += len;
	}
	source_close(s);
	close(fd);
	buf_free(&old);
	buf_free(&new);
}
END_TEST

/* ---- what is refused ---- */

static void
assert_refused(const char *name, uint64_t first, uint64_t frames, const char *code)
{
	ck_assert_int_eq(cut(name, "part", first, frames), -1);
	ck_assert_msg(e.class == ERR_ITEM, "%s", e.text);
	ck_assert_str_eq(e.code, code);
}

START_TEST(chains_and_mixtures_of_ogg_are_refused)
{
	if (!have_ffmpeg)
		return;
	run("cat %s %s >%s", in_dir("v.ogg"), in_dir("o.opus"), in_dir("chain.ogg"));
	assert_refused("chain.ogg", 0, 100, P_UNSUPPORTED);
	run("ffmpeg -v error -y -i %s -i %s -map 0 -map 1 -c copy %s", in_dir("v.ogg"),
	    in_dir("o.opus"), in_dir("mixed.ogg"));
	assert_refused("mixed.ogg", 0, 100, P_UNSUPPORTED);
	run("ffmpeg -v error -y -i %s -c:a flac %s", in_dir("v.ogg"), in_dir("flac.ogg"));
	assert_refused("flac.ogg", 0, 100, P_UNSUPPORTED);
}
END_TEST

START_TEST(damage_counts_where_it_is_wanted)
{
	static const char *const names[] = {"vbr.mp3", "v.ogg", "o.opus"};
	struct buf b;

	if (!have_ffmpeg)
		return;
	b = contents(names[_i]);
	memset(b.data + b.len / 2, 0x55, 3000);
	put_contents("damaged", b.data, b.len);
	buf_free(&b);
	ck_assert_msg(cut("damaged", "part", 10000, 30000) == 0, "%s", e.text);
	measured("part", 30000);
	assert_refused("damaged", 10000, 200000, P_DECODE_ERROR);
}
END_TEST

START_TEST(what_is_no_part_is_refused)
{
	static const char wav[] = "RIFF\44\0\0\0WAVEfmt \20\0\0\0\1\0\1\0\104\254\0\0\210\130\1\0"
				  "\2\0\20\0data\0\0\0\0";

	put_contents("w.wav", wav, sizeof wav - 1);
	assert_refused("w.wav", 0, 1, P_UNSUPPORTED);
	put_contents("text", "hello", 5);
	assert_refused("text", 0, 1, P_UNSUPPORTED);
	for (int i = 0; have_ffmpeg && i < N_KINDS; i++) {
		assert_refused(kinds[i].name, 0, 0, P_UNSUPPORTED);
		assert_refused(kinds[i].name, 10000000, 1, P_DECODE_ERROR);
		assert_refused(kinds[i].name, UINT64_MAX - 5, UINT64_MAX, P_DECODE_ERROR);
	}
}
END_TEST

START_TEST(it_stops_when_asked_to)
{
	static const char *const names[] = {"vbr.mp3", "v.ogg", "o.opus"};
	atomic_int stop = 1;
	struct framecut c = {.frames = 1000, .stop = &stop};

	if (!have_ffmpeg)
		return;
	c.fd = open_in_dir(names[_i]);
	ck_assert_int_eq(framecut_write(&c, -1, &e), -1);
	ck_assert_int_eq(e.class, ERR_STOPPED);
	close(c.fd);
}
END_TEST

/* ---- any bytes ---- */

/* A file that is cut without a complaint can be read again. */
static void
try_anything(const char *name, unsigned *seed)
{
	uint64_t first = (uint64_t)rand_r(seed) % 200000;

	if (rand_r(seed) % 2)
		first = 0;
	if (cut(name, "part", first, 1 + (uint64_t)rand_r(seed) % 300000) == -1) {
		ck_assert_int_eq(e.class, ERR_ITEM);
		ck_assert_ptr_nonnull(e.code);
		ck_assert_uint_gt(strlen(e.text), 0);
		return;
	}
	ck_assert_uint_gt(cut_made.real_frames, 0);
}

START_TEST(damaged_files_come_to_an_end)
{
	const struct kind *k = &kinds[_i];
	unsigned seed = (unsigned)_i + 77;
	struct buf b;

	if (!have_ffmpeg)
		return;
	for (int i = 0; i < (full ? 40 : 20); i++) {
		b = contents(k->name);
		if (i % 4 == 0)
			b.len = 1 + (size_t)rand_r(&seed) % b.len;
		for (int n = rand_r(&seed) % 20; n >= 0; n--) {
			size_t range = i % 2 && b.len > 6000 ? 6000 : b.len;

			b.data[(size_t)rand_r(&seed) % range] = (char)rand_r(&seed);
		}
		put_contents("any", b.data, b.len);
		buf_free(&b);
		try_anything("any", &seed);
	}
}
END_TEST

/* The checksum of every whole page is made right again, so that what it guards is looked at. */
static void
seal_pages(unsigned char *p, size_t len)
{
	for (size_t at = 0; at + 27 < len;) {
		size_t need = 27 + p[at + 26];
		uint32_t crc;

		for (size_t i = at + 27; i < at + 27 + p[at + 26] && i < len; i++)
			need += p[i];
		if (memcmp(p + at, "OggS", 4) != 0 || need > len - at)
			return;
		crc = framing_ogg_crc(p + at, need);
		for (int i = 0; i < 4; i++)
			p[at + 22 + (size_t)i] = (unsigned char)(crc >> (8 * i));
		at += need;
	}
}

START_TEST(lies_under_good_checksums_come_to_an_end)
{
	static const char *const names[] = {"v.ogg", "v48.ogg", "o.opus", "short.opus"};
	unsigned seed = (unsigned)_i + 177;
	struct buf b;

	if (!have_ffmpeg)
		return;
	for (int i = 0; i < (full ? 80 : 40); i++) {
		b = contents(names[_i]);
		for (int n = rand_r(&seed) % 4; n >= 0; n--) {
			size_t range = i % 4 ? (i % 4 == 1 ? 120 : 6000) : b.len;

			b.data[(size_t)rand_r(&seed) % range] = (char)rand_r(&seed);
		}
		seal_pages((unsigned char *)b.data, b.len);
		put_contents("any", b.data, b.len);
		buf_free(&b);
		try_anything("any", &seed);
	}
}
END_TEST

/* Of files that others found hard: what is cut is as long as it is said to be. */
static void
try_odd(const char *name, uint64_t first, uint64_t frames)
{
	struct measure m;
	struct audio_opts o = {0};
	int fd;

	if (cut(name, "part", first, frames) == -1) {
		ck_assert_msg(e.class == ERR_ITEM, "%s", e.text);
		return;
	}
	fd = open_in_dir("part");
	ck_assert_int_eq(audio_measure(fd, &o, &m, &e), 0);
	ck_assert_msg(m.problem.class == ERR_NONE, "%s: %s", name, m.problem.text);
	ck_assert_msg(m.frames == (int64_t)cut_made.real_frames, "%s: %lld, not %llu", name,
	    (long long)m.frames, (unsigned long long)cut_made.real_frames);
	audio_measure_free(&m);
	close(fd);
}

START_TEST(odd_files_are_cut_or_refused)
{
	static const char *const ends[] = {".mp3", ".ogg", ".oga", ".opus"};
	DIR *d = opendir(ODD);
	const struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		const char *dot = strrchr(entry->d_name, '.');
		bool ours = false;

		for (int i = 0; dot != NULL && i < 4; i++)
			ours |= strcmp(dot, ends[i]) == 0;
		/* Of the tag in this one libsndfile 1.2.0 reads memory that nobody wrote. */
		if (!ours || strcmp(entry->d_name, "v2.4-corrupt-frame.mp3") == 0)
			continue;
		ck_assert_int_eq(run("cp '%s/%s' %s", ODD, entry->d_name, in_dir("odd")), 0);
		try_odd("odd", 0, UINT64_MAX);
		try_odd("odd", 0, 3000);
		try_odd("odd", 4000, 3000);
	}
	if (d != NULL)
		closedir(d);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("framecut");
	TCase *t = tcase_create("parts");
	SRunner *r;
	int failed;

	full = getenv("REC_FAULT") != NULL && strcmp(getenv("REC_FAULT"), "full") == 0;
	if (mkdtemp(dir) == NULL)
		return 1;
	have_ffmpeg = run("command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null") == 0;
	if (make_kinds() == -1) {
		run("rm -rf %s", dir);
		return 1;
	}
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, a_part_plays_what_the_whole_plays_there, 0, N_KINDS);
	tcase_add_loop_test(t, the_whole_file_keeps_all_its_audio, 0, N_KINDS);
	tcase_add_loop_test(t, a_part_of_a_part_is_a_part, 0, N_KINDS);
	tcase_add_loop_test(t, other_decoders_play_the_same_length, 0, N_KINDS);
	tcase_add_test(t, tags_of_mp3_are_carried);
	tcase_add_loop_test(t, headers_of_ogg_are_carried, 0, 2);
	tcase_add_test(t, chains_and_mixtures_of_ogg_are_refused);
	tcase_add_loop_test(t, damage_counts_where_it_is_wanted, 0, 3);
	tcase_add_test(t, what_is_no_part_is_refused);
	tcase_add_loop_test(t, it_stops_when_asked_to, 0, 3);
	tcase_add_loop_test(t, damaged_files_come_to_an_end, 0, N_KINDS);
	tcase_add_loop_test(t, lies_under_good_checksums_come_to_an_end, 0, 4);
	tcase_add_test(t, odd_files_are_cut_or_refused);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	if (run("rm -rf %s", dir) != 0)
		failed++;
	return failed == 0 ? 0 : 1;
}
