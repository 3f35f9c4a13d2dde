/*
 * flaccut: parts of FLAC files, judged by flac, metaflac and ffprobe, which are to read them
 * without a word: the very samples, the metadata that is still true, and no more than that. Files
 * that are damaged give what is whole or nothing.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "content.h"
#include "decoder.h"
#include "flaccut.h"
#include "mem.h"

const char *__lsan_default_suppressions(void);

/* What libsndfile forgets when it refuses a file. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libsndfile\n";
}

#define RATE 44100
#define FRAMES 200003
#define RAW "--force-raw-format --endian=little --sign=signed"

static char dir[] = "/tmp/check_flaccut.XXXXXX";
static char path[160];
static struct err e;
static struct buf samples;
static struct flaccut cut;
static struct flaccut_segment segments[4];
static int out = -1;
static bool probed;
static bool full; /* REC_FAULT=full: more at random */

static void
setup(void)
{
	e = (struct err){0};
	probed = false;
	cut = (struct flaccut){.segments = segments, .level = -1, .verify = true};
}

static void
teardown(void)
{
	for (unsigned i = 0; i < cut.n; i++)
		if (i == 0 || segments[i].fd != segments[i - 1].fd)
			close(segments[i].fd);
	if (out != -1)
		close(out);
	out = -1;
	buf_free(&samples);
}

/* ---- files ---- */

static const char *
at(const char *name)
{
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static int run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int
run(const char *fmt, ...)
{
	char line[4096];
	va_list ap;
	int n = snprintf(line, sizeof line, "cd %s && { ", dir);

	va_start(ap, fmt);
	n += vsnprintf(line + n, sizeof line - (size_t)n, fmt, ap);
	va_end(ap);
	ck_assert_int_lt(n, 4090);
	strcat(line, "; }");
	return system(line);
}

#define shell(...) ck_assert_int_eq(run(__VA_ARGS__), 0)

static void
load(const char *name, struct buf *b)
{
	FILE *f = fopen(at(name), "rb");
	struct stat st;

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fstat(fileno(f), &st), 0);
	buf_clear(b);
	ck_assert_int_eq(buf_room(b, (size_t)st.st_size + 1, &e), 0);
	b->len = fread(b->data, 1, (size_t)st.st_size, f);
	b->data[b->len] = '\0';
	fclose(f);
}

static void
save(const char *name, const void *p, size_t len)
{
	FILE *f = fopen(at(name), "wb");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(p, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
}

/* Steps, slopes and noise, so that frames are of many kinds. */
static void
synthesize(unsigned bits, unsigned channels, size_t frames)
{
	size_t n = frames * channels, bytes = bits / 8;
	unsigned noise = 12345;

	buf_clear(&samples);
	ck_assert_int_eq(buf_room(&samples, n * bytes, &e), 0);
	for (size_t i = 0; i < n; i++) {
		size_t t = i / channels;
		unsigned v = (unsigned)(t * 40000 * (i % channels + 1)) & 0x3fffffff;

		noise = noise * 1664525 + 1013904223;
		v += (t / 9000) % 3 == 0 ? noise >> 6 : (t / 9000) % 3 == 1 ? noise >> 12 : 0;
		for (size_t b = 0; b < bytes; b++)
			samples.data[i * bytes + b] = (char)(v >> (8 * (4 - bytes + b)));
	}
	samples.len = n * bytes;
	save("raw", samples.data, samples.len);
}

static void
make_flac(const char *name, unsigned bits, unsigned channels, const char *options)
{
	synthesize(bits, channels, FRAMES);
	shell("flac -s -f " RAW " --bps=%u --channels=%u --sample-rate=%d %s -o %s raw", bits,
	    channels, RATE, options, name);
}

static void
add(const char *name, uint64_t first, uint64_t frames)
{
	segments[cut.n].fd = open(at(name), O_RDONLY);
	ck_assert_int_ne(segments[cut.n].fd, -1);
	segments[cut.n].first = first;
	segments[cut.n++].frames = frames;
}

static int
write_cut(void)
{
	if (out != -1)
		close(out);
	out = open(at("out.flac"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	return flaccut_write(&cut, out, &e);
}

static void
assert_cut(void)
{
	int r = write_cut();

	ck_assert_msg(r == 0, "%s", e.text);
}

static void
assert_refused(enum err_class class, const char *code, const char *text)
{
	ck_assert_int_eq(write_cut(), -1);
	ck_assert_int_eq(e.class, class);
	if (code != NULL)
		ck_assert_str_eq(e.code, code);
	ck_assert_msg(strstr(e.text, text) != NULL, "\"%s\" has no \"%s\"", e.text, text);
}

/*
 * out.flac has the bytes [from, from + len) of raw, in flac's and its own words; ffprobe is slow,
 * and asked once a test.
 */
static void
assert_holds(size_t from, size_t len, unsigned frame_bytes)
{
	shell("tail -c +%zu raw | head -c %zu >want", from + 1, len);
	shell("flac -s -w -f -d " RAW " -o got out.flac 2>said && [ ! -s said ] && cmp want got && "
	      "[ $(metaflac --show-md5sum out.flac) = $(md5sum <want | cut -c1-32) ] && "
	      "[ $(metaflac --show-total-samples out.flac) = %zu ]",
	    len / frame_bytes);
	if (full || !probed)
		shell("[ \"$(ffprobe -v warning -select_streams a -show_entries "
		      "stream=duration_ts -of csv=p=0 out.flac 2>&1)\" = %zu ]",
		    len / frame_bytes);
	probed = true;
}

static void
assert_cut_holds(uint64_t first, uint64_t frames, unsigned frame_bytes)
{
	segments[0].first = first;
	segments[0].frames = frames;
	assert_cut();
	assert_holds(first * frame_bytes, frames * frame_bytes, frame_bytes);
}

/* Puts bytes in place of others: lengths may differ. */
static void
put_in_place(const char *name, size_t from, size_t len, const void *p, size_t new_len)
{
	struct buf b = {0}, c = {0};

	load(name, &b);
	ck_assert_int_eq(buf_add(&c, b.data, from, &e), 0);
	ck_assert_int_eq(buf_add(&c, p, new_len, &e), 0);
	ck_assert_int_eq(buf_add(&c, b.data + from + len, b.len - from - len, &e), 0);
	save(name, c.data, c.len);
	buf_free(&b);
	buf_free(&c);
}

static size_t
audio_offset(const char *name)
{
	struct buf b = {0};
	size_t p = 4;
	bool last = false;

	load(name, &b);
	while (!last) {
		const unsigned char *h = (unsigned char *)b.data + p;

		last = h[0] & 0x80;
		p += 4 + ((size_t)h[1] << 16 | (size_t)h[2] << 8 | h[3]);
	}
	buf_free(&b);
	return p;
}

/* ---- samples ---- */

START_TEST(cuts_hold_the_very_samples)
{
	static const unsigned depths[] = {8, 16, 24};
	static const char *const levels[] = {"-0", "-5", "-8"};
	unsigned bits = depths[_i % 3], channels = (unsigned)_i / 3 % 8 + 1;
	char options[32];

	snprintf(options, sizeof options, "%s --lax", levels[(_i + _i / 3) % 3]);
	make_flac("in.flac", bits, channels, options);
	add("in.flac", 0, 1);
	cut.level = _i % 10 - 1;
	srandom((unsigned)_i + 1);
	for (int i = 0; i < (full ? 5 : 1); i++) {
		uint64_t first = (uint64_t)random() % FRAMES;

		assert_cut_holds(
		    first, 1 + (uint64_t)random() % (FRAMES - first), bits / 8 * channels);
		ck_assert_str_eq(cut.dropped, "");
	}
	assert_cut_holds(0, FRAMES, bits / 8 * channels);
	assert_cut_holds(FRAMES - 1, 1, bits / 8 * channels);
}
END_TEST

START_TEST(a_stream_of_unknown_length_is_cut)
{
	synthesize(16, 2, FRAMES);
	shell("flac -s " RAW " --bps=16 --channels=2 --sample-rate=%d -c - <raw 2>/dev/null | cat "
	      ">in.flac && [ $(metaflac --show-total-samples in.flac) = 0 ]",
	    RATE);
	add("in.flac", 0, 1);
	assert_cut_holds(150001, 40000, 4);
	assert_cut_holds(FRAMES - 10, 10, 4);
	assert_cut_holds(7, 5000, 4);
}
END_TEST

/* A last frame shorter than 16 bytes is not seen by framing_flac_last. */
START_TEST(silence_at_the_end_is_reached)
{
	synthesize(16, 1, FRAMES);
	shell("head -c 60000 /dev/zero >>raw && flac -s -f " RAW
	      " --bps=16 --channels=1 --sample-rate=8000 -o in.flac raw");
	add("in.flac", 0, 1);
	assert_cut_holds(FRAMES + 29990, 10, 2);
	assert_cut_holds(FRAMES - 5, 30005, 2);
}
END_TEST

/* What a receiver writes that tuned in late. */
START_TEST(frames_that_do_not_begin_with_0_are_counted_from_the_first_one)
{
	struct buf b = {0};
	size_t begin, point;

	make_flac("in.flac", 16, 1, "-S 0 -S 65536");
	load("in.flac", &b);
	begin = audio_offset("in.flac");
	/* The second point: behind 42 bytes of STREAMINFO and the header of the table. */
	point = (size_t)(unsigned char)b.data[46 + 18 + 13] << 16 |
		(size_t)(unsigned char)b.data[46 + 18 + 14] << 8 |
		(unsigned char)b.data[46 + 18 + 15];
	put_in_place("in.flac", begin, point, "", 0);
	put_in_place("raw", 0, 65536 * 2, "", 0);
	add("in.flac", 0, 1);
	assert_cut_holds(100000, 30000, 2);
	assert_cut_holds(3, 10, 2);
	buf_free(&b);
}
END_TEST

START_TEST(segments_are_joined)
{
	make_flac("in.flac", 16, 2, "");
	shell("head -c 40000 raw >part && flac -s -f " RAW
	      " --bps=16 --channels=2 --sample-rate=%d -o other.flac part",
	    RATE);
	add("in.flac", 1000, 50000);
	add("other.flac", 9000, 1000);
	add("in.flac", 5, 10);
	assert_cut();
	shell("{ tail -c +4001 raw | head -c 200000; tail -c +36001 part; tail -c +21 raw | head "
	      "-c 40; "
	      "} >all && mv all raw");
	assert_holds(0, 51010 * 4, 4);
}
END_TEST

START_TEST(every_frame_is_rendered_once)
{
	struct render r = {.gain = 0.7, .fade_in = 30000, .fade_out = 50000, .frames = 70000};
	struct render as_bytes = r;

	make_flac("in.flac", 24, 2, "");
	add("in.flac", 100, 70000);
	cut.render = &r;
	assert_cut();
	as_bytes.format = (struct render_format){.bytes = 3, .bits = 24, .channels = 2};
	render_apply(&as_bytes, (unsigned char *)samples.data + 600, 0, 70000);
	save("raw", samples.data, samples.len);
	assert_holds(600, 70000 * 6, 6);
}
END_TEST

START_TEST(files_that_differ_are_refused)
{
	static const struct {
		const char *options, *text;
	} others[] = {
	    {"--bps=16 --channels=2 --sample-rate=48000", "file 2 has 48000 Hz, file 1 44100 Hz"},
	    {"--bps=16 --channels=1 --sample-rate=44100", "file 2 has 1 channels, file 1 2"},
	    {"--bps=8 --channels=2 --sample-rate=44100", "file 2 has 8 bits a sample, file 1 16"}};

	make_flac("in.flac", 16, 2, "");
	shell("flac -s -f " RAW " %s -o other.flac raw", others[_i].options);
	add("in.flac", 0, 10);
	add("other.flac", 0, 10);
	assert_refused(ERR_ITEM, P_UNSUPPORTED, others[_i].text);
}
END_TEST

START_TEST(what_is_not_there_is_refused)
{
	make_flac("in.flac", 16, 2, "");
	add(_i == 0 ? "raw" : "in.flac", _i == 0 ? 0 : FRAMES - 5, _i == 2 ? 0 : 10);
	if (_i == 0)
		assert_refused(ERR_ITEM, P_NOT_AUDIO, "file 1");
	else if (_i == 2)
		assert_refused(ERR_ITEM, P_EMPTY, "no frames");
	else
		assert_refused(ERR_ITEM, P_DECODE_ERROR, "file 1");
}
END_TEST

/* ---- metadata ---- */

/* A block right behind STREAMINFO. */
static void
insert_block(const char *name, unsigned type, const void *body, size_t len)
{
	unsigned char b[300] = {
	    (unsigned char)type, 0, (unsigned char)(len >> 8), (unsigned char)len};

	memcpy(b + 4, body, len);
	put_in_place(name, 42, 0, b, len + 4);
}

static void
make_described(const char *more)
{
	static const char sheet[] =
	    "CATALOG 1234567890123\nFILE \"x\" WAVE\n"
	    "  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n"
	    "  TRACK 02 AUDIO\n    ISRC ABCDE1234567\n    INDEX 00 00:00:50\n"
	    "    INDEX 01 00:01:00\n"
	    "  TRACK 03 AUDIO\n    INDEX 01 00:03:00\n    INDEX 02 00:03:20\n";

	shell("test -s png || ffmpeg -v error -y -f lavfi -i color=size=8x8 -frames:v 1 -c:v png "
	      "-f image2 png");
	save("cue", sheet, sizeof sheet - 1);
	synthesize(16, 2, 588 * 400);
	shell("flac -s -f " RAW " --bps=16 --channels=2 --sample-rate=%d -T TITLE=Morgen -T "
	      "'X=a=b' --picture='3|image/png||8x8x24|png' --cuesheet=cue %s -o in.flac raw",
	    RATE, more);
}

static void
assert_same_blocks(const char *type)
{
	shell(
	    "for f in in out; do metaflac --list --block-type=%s $f.flac | grep -v '^METADATA\\|is "
	    "last\\|vendor\\|^  length' >$f.list; done; [ -s in.list ] && cmp in.list out.list",
	    type);
}

START_TEST(metadata_goes_along)
{
	make_described("");
	insert_block("in.flac", 2, "testabc", 7);
	add("in.flac", 0, 1);
	assert_cut_holds(588 * 10 + 1, 588 * 390 - 1, 4);
	assert_same_blocks("VORBIS_COMMENT");
	assert_same_blocks("PICTURE");
	assert_same_blocks("APPLICATION");
	ck_assert_str_eq(cut.dropped, "");
	shell("metaflac --list --block-type=VORBIS_COMMENT out.flac | grep -q 'vendor string: "
	      "reference libFLAC'");
	shell("metaflac --list --block-type=PADDING out.flac | grep -q 'length: 8192'");
}
END_TEST

START_TEST(foreign_metadata_and_tags_of_others_are_told)
{
	synthesize(16, 2, FRAMES);
	shell("sox -t raw -r %d -e signed -b 16 -c 2 raw in.wav && flac -s -f "
	      "--keep-foreign-metadata -o in.flac in.wav 2>/dev/null",
	    RATE);
	put_in_place("in.flac", 0, 0, "ID3\4\0\0\0\0\0\4abcd", 14);
	add("in.flac", 0, 1);
	assert_cut_holds(5000, 100000, 4);
	ck_assert_ptr_nonnull(strstr(cut.dropped, "foreign metadata"));
	ck_assert_ptr_nonnull(strstr(cut.dropped, "the ID3v2 tag"));
	shell("[ -z \"$(metaflac --list --block-type=APPLICATION out.flac)\" ]");
}
END_TEST

/* Tracks are at 0, 1 s (with a pause from 50/75 s) and 3 s; a second is 44100 frames. */
static const struct {
	uint64_t first, frames;
	const char *want;
} sheets[] = {
    {0, 588 * 400,
	"is CD: true|offset: 0|number: 1|offset: 29400|number: 2|offset: 14700|number: 1|offset: "
	"132300|number: 3|offset: 0|offset: 11760|offset: 235200|170 (LEAD-OUT)"},
    {588 * 60, 588 * 300,
	"is CD: true|offset: 0|number: 2|offset: 0|number: 0|offset: 8820|number: 1|offset: "
	"97020|number: 3|offset: 176400|170 (LEAD-OUT)"},
    {44100 + 10, 100000,
	"lead-in: 0|is CD: false|offset: 0|number: 2|offset: 0|number: 1|offset: 88190|number: "
	"3|offset: 100000|255 (LEAD-OUT)"},
    {588 * 250, 588 * 10,
	"is CD: true|number of tracks: 2|offset: 0|number: 3|index points: 1|offset: 0|number: "
	"1|offset: 5880|170 (LEAD-OUT)"},
};

START_TEST(cue_sheets_are_cut)
{
	char want[300], *text, *save_p;
	struct buf b = {0};
	const char *p;

	make_described("");
	add("in.flac", 0, 1);
	assert_cut_holds(sheets[_i].first, sheets[_i].frames, 4);
	shell("metaflac --list --block-type=CUESHEET out.flac >sheet; metaflac "
	      "--export-cuesheet-to=- out.flac >exported");
	load("sheet", &b);
	snprintf(want, sizeof want, "%s", sheets[_i].want);
	p = b.data;
	for (text = strtok_r(want, "|", &save_p); text != NULL;
	     text = strtok_r(NULL, "|", &save_p)) {
		p = strstr(p, text);
		ck_assert_msg(p != NULL, "no \"%s\" in its order in:\n%s", text, b.data);
		p += strlen(text);
	}
	shell("metaflac --remove --block-type=CUESHEET out.flac && { [ %d = 2 ] || metaflac "
	      "--import-cuesheet-from=exported out.flac; }",
	    _i);
	buf_free(&b);
}
END_TEST

/* The number in the header of the frame at p, up to 2047 (RFC 9639 section 9.1.5). */
static unsigned
frame_number(const char *p)
{
	unsigned a = (unsigned char)p[4], b = (unsigned char)p[5];

	ck_assert_int_eq(memcmp(p, "\xff\xf8", 2), 0);
	return a < 0x80 ? a : (a & 0x1f) << 6 | (b & 0x3f);
}

START_TEST(seek_tables_are_true)
{
	struct buf list = {0}, file = {0};
	unsigned long long sample, offset;
	unsigned n = 0, len;
	size_t begin;

	synthesize(16, 1, 30 * 65536);
	shell("flac -s -f " RAW " --bps=16 --channels=1 --sample-rate=8000 -o in.flac raw");
	add("in.flac", 0, 1);
	cut.level = _i == 0 ? 0 : 5;
	assert_cut_holds(77, 1900000, 2);
	shell("metaflac --list --block-type=SEEKTABLE out.flac | grep point.*: >list");
	load("list", &list);
	load("out.flac", &file);
	begin = audio_offset("out.flac");
	for (const char *p = list.data; (p = strstr(p, "sample_number=")) != NULL; p++, n++) {
		ck_assert_int_eq(
		    sscanf(p, "sample_number=%llu, stream_offset=%llu, frame_samples=%u", &sample,
			&offset, &len),
		    3);
		ck_assert_uint_le(sample, n * 80000);
		ck_assert_uint_gt(sample + len, n * 80000);
		ck_assert_uint_eq(
		    frame_number(file.data + begin + offset), sample / (_i == 0 ? 1152 : 4096));
	}
	ck_assert_uint_eq(n, 24);
	buf_free(&list);
	buf_free(&file);
}
END_TEST

/* ---- what goes wrong ---- */

START_TEST(damage_elsewhere_does_no_harm)
{
	struct buf b = {0};
	char junk[3000];

	make_flac("in.flac", 16, 2, "");
	load("in.flac", &b);
	memset(junk, _i % 2 == 0 ? 0 : 0x55, sizeof junk);
	put_in_place("in.flac", b.len / 2, sizeof junk, junk, sizeof junk);
	buf_free(&b);
	add("in.flac", 0, 1);
	assert_cut_holds(10, 30000, 4);
	assert_cut_holds(FRAMES - 30000, 30000, 4);
	segments[0] = (struct flaccut_segment){segments[0].fd, 20000, FRAMES - 30000};
	assert_refused(ERR_ITEM, P_DECODE_ERROR, "file 1");
}
END_TEST

START_TEST(a_cut_file_gives_what_is_there)
{
	struct buf b = {0};

	make_flac("in.flac", 16, 2, "");
	load("in.flac", &b);
	save("in.flac", b.data, b.len / 2);
	buf_free(&b);
	add("in.flac", 0, 1);
	assert_cut_holds(20000, 30000, 4);
	segments[0] = (struct flaccut_segment){segments[0].fd, 20000, FRAMES - 20000};
	assert_refused(ERR_ITEM, P_DECODE_ERROR, "file 1");
}
END_TEST

/* Lengths of blocks that lie: comments that are too long, one that goes beyond the file. */
START_TEST(metadata_that_lies_is_left_out)
{
	make_described("");
	switch (_i) {
	case 0:
		insert_block("in.flac", 4, "\xff\xff\xff\x7f", 4);
		break;
	case 1:
		insert_block("in.flac", 6, "\0\0\0\3\0\0\1\0", 8);
		break;
	case 2:
		insert_block("in.flac", 5, "1234", 4);
		break;
	case 3:
		insert_block("in.flac", 99, "1234", 4);
		break;
	case 4:
		put_in_place("in.flac", 43, 3, "\xff\xff\xff", 3);
		break;
	default:
		put_in_place("in.flac", 43, 3, "\0\0\1", 3);
		break;
	}
	add("in.flac", 0, 1);
	assert_cut_holds(20000, 30000, 4);
	ck_assert_str_ne(cut.dropped, "");
}
END_TEST

/* Bytes of the metadata at random: nothing but the frames decides whether there is a file. */
START_TEST(damaged_metadata_is_no_end)
{
	struct buf b = {0};
	size_t begin;

	make_described("");
	begin = audio_offset("in.flac");
	load("in.flac", &b);
	srandom((unsigned)_i);
	for (int i = 0; i < (full ? 100 : 20); i++) {
		struct buf damaged = {0};

		ck_assert_int_eq(buf_add(&damaged, b.data, b.len, &e), 0);
		for (int k = 0; k < 1 + i % 8; k++)
			damaged.data[42 + (size_t)random() % (begin - 42 - 8192)] = (char)random();
		save("in.flac", damaged.data, damaged.len);
		buf_free(&damaged);
		add("in.flac", 20000, 3000);
		assert_cut();
		close(segments[--cut.n].fd);
	}
	shell("flac -s -t out.flac");
	buf_free(&b);
}
END_TEST

/* All of the file: whatever comes, the answer is a file that is right, or an item's own error. */
START_TEST(damage_at_random_gives_a_file_or_an_error)
{
	struct buf b = {0};

	make_flac("in.flac", 16, 1, "");
	load("in.flac", &b);
	srandom((unsigned)_i + 100);
	for (int i = 0; i < (full ? 40 : 10); i++) {
		struct buf damaged = {0};

		ck_assert_int_eq(buf_add(&damaged, b.data, b.len - (size_t)random() % 1000, &e), 0);
		for (int k = 0; k < 1 + i % 8; k++)
			damaged.data[(size_t)random() % (i % 2 == 0 ? 60 : damaged.len)] =
			    (char)random();
		save("in.flac", damaged.data, damaged.len);
		buf_free(&damaged);
		add("in.flac", (uint64_t)random() % FRAMES, 3000);
		if (write_cut() == 0)
			shell("flac -s -t out.flac");
		else
			ck_assert_msg(e.class == ERR_ITEM, "%s", e.text);
		close(segments[--cut.n].fd);
	}
	buf_free(&b);
}
END_TEST

START_TEST(a_stop_is_heard)
{
	atomic_int stop = 1;

	make_flac("in.flac", 16, 2, "");
	add("in.flac", 100, 70000);
	cut.stop = &stop;
	ck_assert_int_eq(write_cut(), -1);
	ck_assert_int_eq(e.class, ERR_STOPPED);
}
END_TEST

START_TEST(progress_is_told)
{
	atomic_ullong done = 0;
	struct buf b = {0};

	make_flac("in.flac", 16, 2, "");
	load("in.flac", &b);
	add("in.flac", 0, FRAMES);
	cut.bytes_done = &done;
	assert_cut();
	ck_assert_uint_gt(done, b.len * 3 / 4);
	ck_assert_uint_le(done, b.len);
	buf_free(&b);
}
END_TEST

/* A small file system only for root. Full in the frames, and before the metadata. */
START_TEST(a_full_disk_is_told)
{
	char options[32];

	/* Mounts of its own are gone with the process, however that ends. */
	if (geteuid() != 0 || unshare(CLONE_NEWNS) == -1 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
		return;
	make_described("");
	add("in.flac", 0, 588 * 400);
	shell("mkdir -p full");
	snprintf(options, sizeof options, "size=%dk", _i == 0 ? 100 : 4 * _i);
	if (mount("tmpfs", at("full"), "tmpfs", 0, options) != 0)
		return;
	out = open(at("full/out.flac"), O_RDWR | O_CREAT, 0600);
	ck_assert_int_eq(flaccut_write(&cut, out, &e), -1);
	ck_assert_int_eq(e.class, ERR_SYSTEM);
	ck_assert_int_eq(e.sys, ENOSPC);
	close(out);
	out = -1;
	ck_assert_int_eq(umount(at("full")), 0);
}
END_TEST

/* ---- the decoder's places ---- */

static void
assert_seeks(const char *name, bool can)
{
	struct facts facts = {.quick = true};
	struct content c = {.facts = &facts};
	static union decoder_block all, block;
	struct decoder *d;
	struct stat st;
	int fd = open(at(name), O_RDONLY);

	ck_assert_int_eq(fstat(fd, &st), 0);
	facts.size_bytes = (uint64_t)st.st_size;
	ck_assert_ptr_nonnull(c.source = source_open(fd, facts.size_bytes, 0, NULL, NULL, &e));
	ck_assert_int_eq(content_look(&c, fd, &e), 0);
	ck_assert_ptr_nonnull(d = decoder_open(&c, &e));
	ck_assert_uint_ge(decoder_read(d, DECODER_INT, &all), 20000);
	for (uint64_t frame = 19000; can && frame > 0; frame -= 1000) {
		ck_assert_int_eq(decoder_seek(d, frame), 0);
		ck_assert_int_eq(facts.frames, (int64_t)frame);
		ck_assert_uint_gt(decoder_read(d, DECODER_INT, &block), 1000);
		ck_assert_int_eq(memcmp(block.i, all.i + frame, 1000 * sizeof(int)), 0);
	}
	ck_assert_int_eq(decoder_seek(d, can ? FRAMES + 5 : 10), -1);
	decoder_close(d);
	content_close(&c);
	source_close(c.source);
	close(fd);
}

START_TEST(lossless_formats_have_places)
{
	static const char *const names[] = {"x.wav", "x.aiff", "x.w64", "x.au", "x.ogg"};

	synthesize(16, 1, FRAMES);
	shell("sox -t raw -r %d -e signed -b 16 -c 1 raw %s", RATE, names[_i]);
	assert_seeks(names[_i], _i < 4);
}
END_TEST

START_TEST(flac_has_places)
{
	make_flac("in.flac", 16, 1, _i == 0 ? "" : "--no-seektable");
	/* The count of samples becomes unknown. */
	if (_i == 2)
		put_in_place("in.flac", 22, 4, "\0\0\0\0", 4);
	assert_seeks("in.flac", true);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("flaccut");
	TCase *t = tcase_create("flaccut");
	SRunner *r;
	char line[64];
	int failed;

	full = getenv("REC_FAULT") != NULL && strcmp(getenv("REC_FAULT"), "full") == 0;
	if (mkdtemp(dir) == NULL)
		return 1;
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, cuts_hold_the_very_samples, 0, 24);
	tcase_add_test(t, a_stream_of_unknown_length_is_cut);
	tcase_add_test(t, silence_at_the_end_is_reached);
	tcase_add_test(t, frames_that_do_not_begin_with_0_are_counted_from_the_first_one);
	tcase_add_test(t, segments_are_joined);
	tcase_add_test(t, every_frame_is_rendered_once);
	tcase_add_loop_test(t, files_that_differ_are_refused, 0, 3);
	tcase_add_loop_test(t, what_is_not_there_is_refused, 0, 3);
	tcase_add_test(t, metadata_goes_along);
	tcase_add_test(t, foreign_metadata_and_tags_of_others_are_told);
	tcase_add_loop_test(t, cue_sheets_are_cut, 0, 4);
	tcase_add_loop_test(t, seek_tables_are_true, 0, 2);
	tcase_add_loop_test(t, damage_elsewhere_does_no_harm, 0, 2);
	tcase_add_test(t, a_cut_file_gives_what_is_there);
	tcase_add_loop_test(t, metadata_that_lies_is_left_out, 0, 6);
	tcase_add_loop_test(t, damaged_metadata_is_no_end, 0, 3);
	tcase_add_loop_test(t, damage_at_random_gives_a_file_or_an_error, 0, 3);
	tcase_add_test(t, a_stop_is_heard);
	tcase_add_test(t, progress_is_told);
	tcase_add_loop_test(t, a_full_disk_is_told, 0, 3);
	tcase_add_loop_test(t, lossless_formats_have_places, 0, 5);
	tcase_add_loop_test(t, flac_has_places, 0, 3);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	/* What a test that failed has left in this process (CK_FORK=no). */
	umount2(at("full"), MNT_DETACH);
	snprintf(line, sizeof line, "rm -rf %s", dir);
	if (system(line) != 0)
		failed++;
	return failed == 0 ? 0 : 1;
}
