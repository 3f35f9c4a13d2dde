/*
 * encoder: recordings written, and judged by others: sox, ffmpeg and flac are to read them without
 * a word and give back the very samples, audio_measure is to find nothing, at the end and at every
 * instant after a refresh.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audio.h"
#include "chunk.h"
#include "encoder.h"
#include "mem.h"
#include "rehead.h"

const char *__lsan_default_suppressions(void);

/* What libsndfile forgets when it refuses a file, and libvorbisenc of six channels. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libsndfile\nleak:libvorbisenc\n";
}

#define RATE 48000
#define FRAMES 24001 /* odd: one channel of 16 and 24 bits needs a pad byte */

static char dir[] = "/tmp/check_encoder.XXXXXX";
static char path[160];
static struct measure m;
static struct err e;
static struct buf samples;
static int fd = -1;

static const struct pcm_kept keeps[] = {{16}, {24}, {32}, {32, true}};
static const char *const raw_names[] = {"s16le", "s24le", "s32le", "f32le"};
static const unsigned channel_counts[] = {1, 2, 6};
enum { KEEPS = 4, CHANNELS = 3 };

static void
setup(void)
{
	audio_measure_init(&m);
	e = (struct err){0};
}

static void
teardown(void)
{
	audio_measure_free(&m);
	buf_free(&samples);
	if (fd != -1)
		close(fd);
	fd = -1;
}

/* ---- files ---- */

static const char *
at(const char *name)
{
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static void shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
shell(const char *fmt, ...)
{
	char line[4096];
	va_list ap;
	int n = snprintf(line, sizeof line, "cd %s && ", dir);

	va_start(ap, fmt);
	ck_assert_int_lt(vsnprintf(line + n, sizeof line - (size_t)n, fmt, ap), 3900);
	va_end(ap);
	ck_assert_msg(system(line) == 0, "failed: %s", line);
}

static uint64_t
size_of(const char *name)
{
	struct stat st;

	ck_assert_int_eq(stat(at(name), &st), 0);
	return (uint64_t)st.st_size;
}

static void
create(const char *name)
{
	if (fd != -1)
		close(fd);
	fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ne(fd, -1);
}

/* A sine a channel, with noise in the lowest bits; never beyond full scale. */
static void
synthesize(const struct pcm_kept *k, unsigned channels, size_t frames)
{
	size_t n = frames * channels, bytes = k->bits / 8;

	buf_clear(&samples);
	ck_assert_int_eq(buf_room(&samples, n * bytes, &e), 0);
	for (size_t i = 0; i < n; i++) {
		double t = (double)(i / channels) / RATE;
		double x = 0.5 * sin(2 * 3.14159265358979 * 110 * (double)(i % channels + 1) * t);
		float f = (float)(x + 1e-3 * (double)(random() % 1000) / 1000);
		int32_t v = (int32_t)(f * 2147483647.0);

		if (k->is_float)
			memcpy(samples.data + i * 4, &f, 4);
		for (size_t b = 0; !k->is_float && b < bytes; b++)
			samples.data[i * bytes + b] = (char)(v >> (8 * (4 - bytes + b)));
	}
	samples.len = n * bytes;
}

static void
save_raw(void)
{
	int raw = open(at("raw"), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_eq(write(raw, samples.data, samples.len), (ssize_t)samples.len);
	close(raw);
}

static struct encoder_opts
opts(enum encoder_format f, const struct pcm_kept *k, unsigned channels)
{
	return (struct encoder_opts){.format = f,
	    .rate_hz = RATE,
	    .channels = channels,
	    .kept = *k,
	    .start = {.tv_sec = 1757066399, .tv_nsec = 500000000}, /* 2025-09-05T09:59:59.5Z */
	    .title = "Morgenkonzert \xc3\xa4",
	    .source = "hw:1,0"};
}

static void
put(struct encoder *n, size_t from, size_t frames, size_t frame_bytes)
{
	int r = encoder_write(n, samples.data + from * frame_bytes, frames, &e);

	ck_assert_msg(r == 0, "%s", e.text);
}

/* In uneven pieces, refreshed now and then. */
static void
encode(const char *name, const struct encoder_opts *o, size_t frames)
{
	size_t frame_bytes = o->channels * (o->kept.bits / 8), done = 0, piece = 1;
	struct encoder *n;

	create(name);
	n = encoder_open(fd, o, &e);
	ck_assert_msg(n != NULL, "%s", e.text);
	for (; done < frames; done += piece, piece = piece * 3 + 1) {
		piece = piece < frames - done ? piece : frames - done;
		put(n, done, piece, frame_bytes);
		ck_assert_int_eq(encoder_refresh(n, &e), 0);
		ck_assert_uint_eq(encoder_frames(n), done + piece);
	}
	ck_assert_msg(encoder_finish(n, &e) == 0, "%s", e.text);
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 0);
}

/* ---- judges ---- */

static void
measure(const char *name)
{
	struct audio_opts o = {0};
	int in = open(at(name), O_RDONLY);

	ck_assert_int_ne(in, -1);
	audio_measure_free(&m);
	audio_measure_init(&m);
	ck_assert_int_eq(audio_measure(in, &o, &m, &e), 0);
	close(in);
}

static void
assert_measured(const char *name, int64_t frames)
{
	measure(name);
	ck_assert_msg(m.problem.class == ERR_NONE, "%s: %s", name, m.problem.text);
	ck_assert_int_eq(m.frames, frames);
}

/*
 * Without a word, but for what ffmpeg always tells of channels without a mask, and sox of every
 * extensible format of floats. sox is not built with Opus everywhere.
 */
static void
assert_peers_silent(const char *name, bool sox)
{
	shell("ffmpeg -nostdin -v warning -xerror -i %s -f null - >log 2>&1 && "
	      "! grep -v 'Guessed Channel Layout' log || { cat log; false; }",
	    name);
	if (sox)
		shell("{ sox --i -V2 %s && sox -V2 %s -n stat; } >log 2>&1 && "
		      "! grep -E 'WARN|FAIL' log | grep -v 'missing extended part of fmt chunk' || "
		      "{ cat log; false; }",
		    name, name);
}

static void
assert_bit_exact(const char *name, int keep)
{
	shell("rm -f out && ffmpeg -nostdin -v error -y -i %s -f %s out && cmp raw out", name,
	    raw_names[keep]);
}

static void
assert_tag(const char *key, const char *value)
{
	const char *s = json_get_str(m.tags, key);

	ck_assert_msg(s != NULL && strcmp(s, value) == 0, "%s: %s", key, s == NULL ? "none" : s);
}

/* ---- whole files ---- */

START_TEST(riff_holds_every_sample)
{
	enum encoder_format f = _i / (KEEPS * CHANNELS) == 0 ? ENCODER_WAV : ENCODER_W64;
	int keep = _i % KEEPS;
	unsigned channels = channel_counts[_i / KEEPS % CHANNELS];
	struct encoder_opts o = opts(f, &keeps[keep], channels);
	const char *name = f == ENCODER_WAV ? "x.wav" : "x.w64";
	struct rehead p;
	int in;

	synthesize(&keeps[keep], channels, FRAMES);
	save_raw();
	encode(name, &o, FRAMES);
	assert_measured(name, FRAMES);
	ck_assert_str_eq(m.container, f == ENCODER_WAV ? "wav" : "w64");
	ck_assert_int_eq(m.channels, channels);
	ck_assert_int_eq(m.sample_rate_hz, RATE);
	ck_assert_int_eq(m.bits_per_sample, keeps[keep].bits);
	assert_peers_silent(name, true);
	assert_bit_exact(name, keep);
	shell("test $(sox --i -V1 -s %s) = %d && test $(sox --i -V1 -c %s) = %u", name, FRAMES,
	    name, channels);
	in = open(at(name), O_RDONLY);
	ck_assert_int_eq(rehead_plan(in, size_of(name), &p, &e), 0);
	close(in);
	ck_assert(f == ENCODER_W64 || size_of(name) % 2 == 0);
}
END_TEST

START_TEST(flac_holds_every_sample)
{
	int keep = _i % 2;
	unsigned channels = channel_counts[_i / 2];
	struct encoder_opts o = opts(ENCODER_FLAC, &keeps[keep], channels);

	synthesize(&keeps[keep], channels, FRAMES);
	save_raw();
	encode("x.flac", &o, FRAMES);
	assert_measured("x.flac", FRAMES);
	ck_assert_int_eq(m.bits_per_sample, keeps[keep].bits);
	assert_peers_silent("x.flac", true);
	shell("flac -s -t -w x.flac");
	shell("flac -s -d -f --force-raw-format --endian=little --sign=signed -o out x.flac && "
	      "cmp raw out");
	shell("test \"$(metaflac --no-utf8-convert --show-tag=TITLE x.flac)\" = "
	      "'title=Morgenkonzert \xc3\xa4'");
	shell("metaflac --show-md5sum x.flac | grep -qv '^0*$'");
	ck_assert_uint_lt(size_of("x.flac"), samples.len);
}
END_TEST

/* By level; of six channels the codecs take the last for a subwoofer, which lowers it. */
START_TEST(lossy_formats_sound_the_same)
{
	enum encoder_format f = _i % 2 == 0 ? ENCODER_OGG : ENCODER_OPUS;
	int keep = _i / 2 % KEEPS;
	unsigned channels = channel_counts[_i / 2 / KEEPS];
	struct encoder_opts o = opts(f, &keeps[keep], channels);
	const char *name = f == ENCODER_OGG ? "x.ogg" : "x.opus";

	synthesize(&keeps[keep], channels, FRAMES);
	encode(name, &o, FRAMES);
	assert_measured(name, FRAMES);
	ck_assert_str_eq(m.codec, f == ENCODER_OGG ? "vorbis" : "opus");
	ck_assert_int_eq(m.channels, channels);
	ck_assert_double_eq_tol(m.rms_dbfs, -9.0, 1.0);
	assert_peers_silent(name, f == ENCODER_OGG);
	assert_tag("title", "Morgenkonzert \xc3\xa4");
	assert_tag("date", "2025-09-05T09:59:59.500000000Z");
}
END_TEST

START_TEST(a_recording_of_no_frames_has_a_true_header)
{
	struct encoder_opts o = opts((enum encoder_format)_i, &keeps[0], 2);
	char name[16];

	snprintf(name, sizeof name, "x.%s", encoder_extension(o.format));
	encode(name, &o, 0);
	if (o.format == ENCODER_WAV || o.format == ENCODER_W64) {
		measure(name);
		ck_assert_str_eq(m.problem.code, P_EMPTY);
		shell("test $(sox --i -s %s) = 0", name);
	}
}
END_TEST

/* ---- what the header says ---- */

START_TEST(bext_tells_when_and_how)
{
	struct encoder_opts o = opts(ENCODER_WAV, &keeps[1], 2);

	synthesize(&keeps[1], 2, 1000);
	encode("x.wav", &o, 1000);
	assert_measured("x.wav", 1000);
	assert_tag("description", "Morgenkonzert \xc3\xa4");
	assert_tag("originator", "rectools");
	assert_tag("origination_date", "2025-09-05");
	assert_tag("origination_time", "09:59:59");
	/* (9 * 3600 + 59 * 60 + 59.5) * 48000 */
	assert_tag("time_reference", "1727976000");
	shell("ffprobe -v error -show_entries format_tags -of default=nk=0:nw=1 x.wav >tags");
	shell(
	    "grep -qx 'TAG:time_reference=1727976000' tags && "
	    "grep -qx 'TAG:date=2025-09-05' tags && "
	    "grep -qx 'TAG:creation_time=09:59:59' tags && "
	    "grep -q 'coding_history=A=PCM,F=48000,W=24,M=stereo,T=rectools 0.1.0;hw:1 0' tags || "
	    "{ cat tags; false; }");
}
END_TEST

START_TEST(bext_is_of_version_2_and_its_texts_are_cut_at_characters)
{
	struct encoder_opts o = opts(ENCODER_WAV, &keeps[0], 6);
	char title[400] = "", source[2000], body[602];
	struct chunk_layout l;
	int in;

	/* 255 bytes and a character of two: it would be torn. */
	memset(title, 'x', 255);
	strcpy(title + 255, "\xc3\xa4 and more");
	memset(source, '\xc3', sizeof source - 1);
	source[sizeof source - 1] = '\0';
	o.title = title;
	o.source = source;
	synthesize(&keeps[0], 6, 10);
	encode("x.wav", &o, 10);
	assert_measured("x.wav", 10);
	in = open(at("x.wav"), O_RDONLY);
	ck_assert_int_eq(chunk_layout(in, size_of("x.wav"), &l, &e), 1);
	ck_assert_str_eq(l.chunks[0].id, "JUNK");
	ck_assert_uint_eq(l.chunks[0].size, 28);
	ck_assert_str_eq(l.chunks[1].id, "bext");
	ck_assert_uint_lt(l.chunks[1].size, 1024);
	ck_assert_int_eq(pread(in, body, sizeof body, (off_t)l.chunks[1].offset), sizeof body);
	chunk_layout_free(&l);
	close(in);
	ck_assert_int_eq(body[254], 'x');
	ck_assert_int_eq(body[255], 0);
	ck_assert_mem_eq(body + 346, "\2\0", 2);
	ck_assert_mem_eq(body + 412, "\xff\x7f\xff\x7f\xff\x7f\xff\x7f\xff\x7f", 10);
	shell("grep -aq 'A=PCM,F=48000,W=16,T=rectools 0.1.0;[?][?][?]' x.wav");
}
END_TEST

START_TEST(names_are_extensions)
{
	static const char *const names[] = {"wav", "w64", "flac", "ogg", "opus"};

	ck_assert_int_eq(encoder_format(names[_i], &e), _i);
	ck_assert_str_eq(encoder_extension((enum encoder_format)_i), names[_i]);
	ck_assert_int_eq(encoder_format("mp3", &e), -1);
	ck_assert_int_eq(e.class, ERR_USAGE);
}
END_TEST

START_TEST(what_a_format_cannot_hold_is_refused)
{
	static const struct {
		enum encoder_format format;
		unsigned rate_hz, channels;
		struct pcm_kept kept;
	} bad[] = {{ENCODER_FLAC, 48000, 2, {32}}, {ENCODER_FLAC, 48000, 2, {32, true}},
	    {ENCODER_FLAC, 48000, 9, {16}}, {ENCODER_FLAC, 700000, 1, {16}},
	    {ENCODER_OPUS, 44100, 2, {16}}, {ENCODER_OGG, 1000, 1, {16}},
	    {ENCODER_OGG, 48000, 256, {16}}, {ENCODER_WAV, 0, 1, {16}},
	    {ENCODER_WAV, 48000, 0, {16}}, {ENCODER_W64, 48000, 1025, {16}},
	    {ENCODER_WAV, 2000000, 1024, {32}}};
	struct encoder_opts o = opts(bad[_i].format, &bad[_i].kept, bad[_i].channels);

	o.rate_hz = bad[_i].rate_hz;
	ck_assert_int_eq(encoder_check(&o, &e), -1);
	ck_assert_int_eq(e.class, ERR_USAGE);
	create("refused");
	ck_assert_ptr_null(encoder_open(fd, &o, &e));
	ck_assert_uint_eq(size_of("refused"), 0);
}
END_TEST

/* ---- at every instant ---- */

START_TEST(a_refreshed_file_is_a_recording_as_it_lies)
{
	enum encoder_format f = _i / KEEPS == 0 ? ENCODER_WAV : ENCODER_W64;
	const struct pcm_kept *k = &keeps[_i % KEEPS];
	struct encoder_opts o = opts(f, k, 1);
	const char *name = f == ENCODER_WAV ? "x.wav" : "x.w64";
	struct encoder *n;
	char copy[16];

	synthesize(k, 1, FRAMES);
	create(name);
	ck_assert_ptr_nonnull(n = encoder_open(fd, &o, &e));
	for (size_t done = 0; done < 12 * 1001; done += 1001) {
		put(n, done, 1001, k->bits / 8);
		ck_assert_int_eq(encoder_refresh(n, &e), 0);
		snprintf(copy, sizeof copy, "copy.%s", encoder_extension(f));
		shell("cp %s %s && test $(sox --i -s %s) = %zu && test $(ffprobe -v error "
		      "-show_entries stream=duration_ts -of csv=p=0 %s) = %zu",
		    name, copy, copy, done + 1001, copy, done + 1001);
		assert_measured(copy, (int64_t)done + 1001);
	}
	/* What comes after the last refresh is there, too: of W64 for all, of WAV for those who
	 * look. */
	put(n, 12 * 1001, 500, k->bits / 8);
	measure(name);
	if (f == ENCODER_WAV)
		ck_assert_str_eq(m.problem.code, P_HEADER_MISMATCH);
	else
		ck_assert_int_eq(m.problem.class, ERR_NONE);
	ck_assert_int_eq(m.frames, 12 * 1001 + 500);
	encoder_abandon(n);
}
END_TEST

/* FLAC, Vorbis and Opus as a kill leaves them: most of it can be heard. */
START_TEST(a_stream_that_was_left_can_be_heard)
{
	enum encoder_format f = (enum encoder_format)(ENCODER_FLAC + _i);
	struct encoder_opts o = opts(f, &keeps[0], 2);
	struct encoder *n;
	char name[16];
	uint64_t size;

	snprintf(name, sizeof name, "x.%s", encoder_extension(f));
	synthesize(&keeps[0], 2, 4 * RATE);
	create(name);
	ck_assert_ptr_nonnull(n = encoder_open(fd, &o, &e));
	put(n, 0, 4 * RATE, 4);
	ck_assert_int_eq(encoder_refresh(n, &e), 0);
	size = encoder_bytes(n);
	encoder_abandon(n);
	ck_assert_uint_eq(size_of(name), size);
	measure(name);
	ck_assert_int_ge(m.frames, 5 * RATE / 2);
	shell("ffmpeg -nostdin -v error -i %s -f null -", name);
}
END_TEST

/* ---- past 4 GiB ---- */

#define BLOCK ((size_t)64 << 20)

/* Memory, under a name that others can open; what was written of nothing is given back at once. */
static void
create_in_memory(void)
{
	if (fd != -1)
		close(fd);
	fd = memfd_create("x", 0);
	ck_assert_int_ne(fd, -1);
}

static void
put_block(struct encoder *n, const void *zeros, unsigned frame_bytes)
{
	uint64_t from = encoder_bytes(n);

	ck_assert_msg(encoder_write(n, zeros, BLOCK / frame_bytes, &e) == 0, "%s", e.text);
	ck_assert_int_eq(encoder_refresh(n, &e), 0);
	ck_assert_int_eq(
	    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)BLOCK),
	    0);
}

static void
assert_header(const char *magic, const char *container, uint64_t frames)
{
	struct audio_opts o = {.quick = true};
	char head[4];

	ck_assert_int_eq(pread(fd, head, 4, 0), 4);
	ck_assert_mem_eq(head, magic, 4);
	audio_measure_free(&m);
	audio_measure_init(&m);
	ck_assert_int_eq(audio_measure(fd, &o, &m, &e), 0);
	ck_assert_msg(m.problem.class == ERR_NONE, "%s", m.problem.text);
	ck_assert_str_eq(m.container, container);
	ck_assert_int_eq(m.frames, (int64_t)frames);
	shell("test $(ffprobe -v error -show_entries stream=duration_ts -of csv=p=0 "
	      "/proc/%d/fd/%d) = %llu",
	    (int)getpid(), fd, (unsigned long long)frames);
}

/* A power cut between two sectors: one has the old header, the other the new one. */
static void
assert_torn_header_can_be_read(const char *old, const char *new, uint64_t before, uint64_t after)
{
	struct rehead p;
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	for (int first = 0; first < 2; first++) {
		struct audio_opts o = {.quick = true};

		ck_assert_int_eq(pwrite(fd, first == 0 ? new : old, 512, 0), 512);
		ck_assert_int_eq(pwrite(fd, (first == 0 ? old : new) + 512, 512, 512), 512);
		audio_measure_free(&m);
		audio_measure_init(&m);
		ck_assert_int_eq(audio_measure(fd, &o, &m, &e), 0);
		ck_assert_msg(m.frames == (int64_t)before || m.frames == (int64_t)after,
		    "%d: %lld: %s", first, (long long)m.frames, m.problem.text);
		ck_assert_int_ne(rehead_plan(fd, (uint64_t)st.st_size, &p, &e), -1);
		rehead_free(&p);
	}
	ck_assert_int_eq(pwrite(fd, new, 1024, 0), 1024);
}

START_TEST(a_wav_grows_past_4_gib_in_place)
{
	const struct pcm_kept *k = &keeps[3 - _i]; /* floats, and integers of 32 bits */
	struct encoder_opts o = opts(ENCODER_WAV, k, 8);
	struct encoder *n;
	void *zeros = mem_new(1, BLOCK, &e);
	char mark[32], back[32], old[1024], new[1024];
	uint64_t end, frames;

	create_in_memory();
	ck_assert_ptr_nonnull(n = encoder_open(fd, &o, &e));
	while (encoder_bytes(n) + BLOCK < 0xfffe0000)
		put_block(n, zeros, 32);
	frames = encoder_frames(n);
	assert_header("RIFF", "wav", frames);
	ck_assert_int_eq(pread(fd, old, sizeof old, 0), sizeof old);
	put_block(n, zeros, 32);
	ck_assert_int_eq(pread(fd, new, sizeof new, 0), sizeof new);
	assert_torn_header_can_be_read(old, new, frames, encoder_frames(n));
	assert_header("RF64", "rf64", encoder_frames(n));
	put_block(n, zeros, 32);
	memset(mark, 0x3e, sizeof mark);
	ck_assert_int_eq(encoder_write(n, mark, 1, &e), 0);
	end = encoder_bytes(n);
	frames = encoder_frames(n);
	ck_assert_int_eq(encoder_finish(n, &e), 0);
	free(zeros);
	ck_assert_uint_gt(end, UINT64_C(1) << 32);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), (off_t)end);
	assert_header("RF64", "rf64", frames);
	/* Where ds64 says that the audio is, the last frame is. */
	shell("ffmpeg -nostdin -v error -y -ss %llu -i /proc/%d/fd/%d -f %s out",
	    (unsigned long long)frames / RATE, (int)getpid(), fd, raw_names[3 - _i]);
	shell("tail -c 32 out >last");
	close(fd);
	fd = open(at("last"), O_RDONLY);
	ck_assert_int_eq(read(fd, back, 32), 32);
	ck_assert_mem_eq(back, mark, 32);
}
END_TEST

START_TEST(a_w64_grows_past_4_gib)
{
	struct encoder_opts o = opts(ENCODER_W64, &keeps[2], 8);
	struct encoder *n;
	void *zeros = mem_new(1, BLOCK, &e);
	uint64_t frames;

	create_in_memory();
	ck_assert_ptr_nonnull(n = encoder_open(fd, &o, &e));
	while (encoder_bytes(n) < UINT64_C(0x100000000))
		put_block(n, zeros, 32);
	frames = encoder_frames(n);
	ck_assert_int_eq(encoder_finish(n, &e), 0);
	free(zeros);
	assert_header("riff", "w64", frames);
}
END_TEST

/* ---- a full disk ---- */

/* A limit for files is one for everybody; a small file system only for root. */
static bool
fill_up(bool mounted, uint64_t limit)
{
	struct rlimit r = {limit, RLIM_INFINITY};
	char options[32];

	shell("mkdir -p full");
	snprintf(options, sizeof options, "size=%lluk", (unsigned long long)limit / 1024);
	if (mounted)
		return mount("tmpfs", at("full"), "tmpfs", 0, options) == 0;
	signal(SIGXFSZ, SIG_IGN);
	return setrlimit(RLIMIT_FSIZE, &r) == 0;
}

static void
free_up(bool mounted, const char *name)
{
	struct rlimit r = {RLIM_INFINITY, RLIM_INFINITY};

	if (!mounted)
		ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &r), 0);
	shell("cp full/%s kept && mv kept %s", name, name);
	close(fd);
	fd = -1;
	if (mounted)
		ck_assert_int_eq(umount(at("full")), 0);
}

#define FULL_FRAMES (FRAMES * 24)

/* How many frames were taken before the first refusal, whose errno is the disk's. */
static uint64_t
write_until_refused(struct encoder *n, unsigned frame_bytes, bool mounted)
{
	for (size_t done = 0; done < FULL_FRAMES; done += 997) {
		uint64_t before = encoder_frames(n);

		if (encoder_write(n, samples.data + done * frame_bytes, 997, &e) == 0)
			continue;
		ck_assert_int_eq(e.class, ERR_SYSTEM);
		ck_assert_int_eq(e.sys, mounted ? ENOSPC : EFBIG);
		ck_assert_uint_lt(encoder_frames(n), before + 997);
		return encoder_frames(n);
	}
	ck_abort_msg("the disk was never full");
	return 0;
}

START_TEST(a_full_disk_keeps_what_was_written)
{
	enum encoder_format f = (enum encoder_format)(_i / 2);
	bool mounted = _i % 2 == 1, riff = f <= ENCODER_W64;
	const struct pcm_kept *k = &keeps[1];
	struct encoder_opts o = opts(f, k, 1);
	struct encoder *n;
	char name[32], full[48];
	uint64_t frames;

	snprintf(name, sizeof name, "x.%s", encoder_extension(f));
	snprintf(full, sizeof full, "full/%s", name);
	synthesize(k, 1, FULL_FRAMES + 997);
	if (!riff) /* Noise does not become small. */
		for (size_t i = 0; i < samples.len; i++)
			samples.data[i] = (char)(random() >> 8);
	shell("rm -rf full");
	if (!fill_up(mounted, f >= ENCODER_OGG ? 40960 : 102400))
		return;
	create(full);
	ck_assert_ptr_nonnull(n = encoder_open(fd, &o, &e));
	frames = write_until_refused(n, 3, mounted);
	if (riff) {
		ck_assert_int_eq(encoder_refresh(n, &e), 0);
		/* 102400 less the header is no multiple of 3 bytes: no part of a frame stays. */
		ck_assert_uint_eq(size_of(full), encoder_bytes(n));
		encoder_finish(n, &e);
		free_up(mounted, name);
		assert_measured(name, (int64_t)frames);
		assert_peers_silent(name, true);
	} else {
		ck_assert_int_eq(encoder_write(n, samples.data, 1, &e), -1);
		ck_assert_int_eq(encoder_finish(n, &e), -1);
		ck_assert_int_eq(e.sys, mounted ? ENOSPC : EFBIG);
		free_up(mounted, name);
		measure(name);
		ck_assert_msg(m.frames > 0, "%s: %s", name, m.problem.text);
		ck_assert_int_le(m.frames, FULL_FRAMES);
		ck_assert_msg(
		    m.problem.class == ERR_NONE || strcmp(m.problem.code, P_TRUNCATED) == 0,
		    "%s: %s", m.problem.code, m.problem.text);
		shell("ffmpeg -nostdin -v error -xerror -i %s -f null -", name);
	}
}
END_TEST

START_TEST(a_recording_goes_on_when_there_is_room_again)
{
	struct rlimit r = {RLIM_INFINITY, RLIM_INFINITY};
	struct encoder_opts o = opts(ENCODER_WAV, &keeps[1], 2);
	struct encoder *n;

	synthesize(&keeps[1], 2, FRAMES);
	save_raw();
	create("x.wav");
	ck_assert_ptr_nonnull(n = encoder_open(fd, &o, &e));
	ck_assert(fill_up(false, 50000));
	ck_assert_int_eq(encoder_write(n, samples.data, FRAMES, &e), -1);
	ck_assert_uint_gt(encoder_frames(n), 8000);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &r), 0);
	put(n, encoder_frames(n), FRAMES - encoder_frames(n), 6);
	ck_assert_int_eq(encoder_finish(n, &e), 0);
	assert_measured("x.wav", FRAMES);
	assert_bit_exact("x.wav", 1);
}
END_TEST

START_TEST(what_was_reserved_is_given_back)
{
	struct encoder_opts o = opts((enum encoder_format)_i, &keeps[0], 2);
	struct encoder *n;
	struct stat st;

	synthesize(&keeps[0], 2, 1000);
	create("x");
	ck_assert_int_eq(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 4 << 20), 0);
	ck_assert_ptr_nonnull(n = encoder_open(fd, &o, &e));
	put(n, 0, 1000, 4);
	ck_assert_int_eq(encoder_finish(n, &e), 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_lt(st.st_blocks * 512, 1 << 20);
	assert_measured("x", 1000);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("encoder");
	TCase *t = tcase_create("encoder");
	SRunner *r;
	char line[64];
	int failed;

	if (mkdtemp(dir) == NULL)
		return 1;
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, riff_holds_every_sample, 0, 2 * KEEPS * CHANNELS);
	tcase_add_loop_test(t, flac_holds_every_sample, 0, 2 * CHANNELS);
	tcase_add_loop_test(t, lossy_formats_sound_the_same, 0, 2 * KEEPS * CHANNELS);
	tcase_add_loop_test(t, a_recording_of_no_frames_has_a_true_header, 0, ENCODER_FORMATS);
	tcase_add_test(t, bext_tells_when_and_how);
	tcase_add_test(t, bext_is_of_version_2_and_its_texts_are_cut_at_characters);
	tcase_add_loop_test(t, names_are_extensions, 0, ENCODER_FORMATS);
	tcase_add_loop_test(t, what_a_format_cannot_hold_is_refused, 0, 11);
	tcase_add_loop_test(t, a_refreshed_file_is_a_recording_as_it_lies, 0, 2 * KEEPS);
	tcase_add_loop_test(t, a_stream_that_was_left_can_be_heard, 0, 3);
	tcase_add_loop_test(t, a_wav_grows_past_4_gib_in_place, 0, 2);
	tcase_add_test(t, a_w64_grows_past_4_gib);
	tcase_add_loop_test(t, a_full_disk_keeps_what_was_written, 0, 2 * ENCODER_FORMATS);
	tcase_add_test(t, a_recording_goes_on_when_there_is_room_again);
	tcase_add_loop_test(t, what_was_reserved_is_given_back, 0, ENCODER_FORMATS);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	/* What a test that failed has left. */
	umount2(at("full"), MNT_DETACH);
	snprintf(line, sizeof line, "rm -rf %s", dir);
	if (system(line) != 0)
		failed++;
	return failed == 0 ? 0 : 1;
}
