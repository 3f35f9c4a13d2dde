/*
 * carry: what is true of a part is carried, and judged by others where they read it: new files are
 * put together as a caller does, and ffprobe and libsndfile tell the time stamp, the points and the
 * loops that they see in them.
 */
#include <check.h>
#include <fcntl.h>
#include <limits.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "carry.h"
#include "mem.h"

#define RATE 8000u
#define LINE "A=PCM,F=8000,W=16,M=mono,T=rec-trim"
#define MAX_FILES 4
/* From the folder that tests are run in. */
#define RECORDERS "../shared/audio/field-recorders"

static char dir[] = "/tmp/check_carry.XXXXXX";
static char path[160];
static struct buf b, body, made;
static bool big;	  /* byte order of num() */
static unsigned size_len; /* of a size: 4, of W64 8 */
static int fds[MAX_FILES];
static struct chunk_layout layouts[MAX_FILES];
static unsigned n_files;
static struct segment segs[MAX_FILES];
static struct carry c;
static struct carried_list out;
static struct err e;

static void
setup(void)
{
	big = false;
	n_files = 0;
	c = (struct carry){.segments = segs, .n = 1, .rate_hz = RATE};
	out = (struct carried_list){0};
}

static void
teardown(void)
{
	carry_free(&out);
	for (unsigned i = 0; i < n_files; i++) {
		chunk_layout_free(&layouts[i]);
		close(fds[i]);
	}
	buf_free(&b);
	buf_free(&body);
	buf_free(&made);
}

/* ---- bodies ---- */

static void
bytes(const void *p, size_t len)
{
	ck_assert_int_eq(buf_add(&body, p, len, &e), 0);
}

static void
num(uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		bytes(&(char){(char)(v >> (8 * (big ? n - 1 - i : i)))}, 1);
}

static void
text(const char *s)
{
	bytes(s, strlen(s));
}

static void
zeros(size_t n)
{
	while (n-- > 0)
		bytes("", 1);
}

static uint64_t
number(const void *p, unsigned n)
{
	const unsigned char *s = p;
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v = v << 8 | s[big ? i : n - 1 - i];
	return v;
}

static void
point(uint32_t id, uint32_t at)
{
	num(id, 4);
	num(at, 4);
	text("data");
	zeros(8);
	num(at, 4);
}

static void
label(const char *id, uint32_t name, const char *s)
{
	text(id);
	num(4 + strlen(s) + 1, 4);
	num(name, 4);
	bytes(s, strlen(s) + 1);
	zeros((strlen(s) + 1) % 2);
}

static void
region(uint32_t name, uint32_t frames)
{
	text("ltxt");
	num(20, 4);
	num(name, 4);
	num(frames, 4);
	text("rgn ");
	zeros(8);
}

static void
loop_of(uint32_t id, uint32_t start, uint32_t end)
{
	num(id, 4);
	num(0, 4);
	num(start, 4);
	num(end, 4);
	zeros(8);
}

static void
sampler(uint32_t loops)
{
	zeros(12);
	num(60, 4);
	zeros(12);
	num(loops, 4);
	num(0, 4);
}

/* ---- files ---- */

static void
outer(const char *id, const char *type)
{
	buf_clear(&b);
	buf_clear(&body);
	big = strcmp(id, "FORM") == 0 || strcmp(id, "RIFX") == 0;
	size_len = strcmp(id, "riff") == 0 ? 8 : 4;
	buf_adds(&b, id, &e);
	if (size_len == 8)
		buf_add(&b,
		    "\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0\0\0\0\0\0\0\0\0"
		    "wave\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a",
		    36, &e);
	else
		buf_add(&b, "\0\0\0\0", 4, &e), buf_adds(&b, type, &e);
}

static void
head(const char *id, uint64_t len)
{
	char n[8];
	bool wide = size_len == 8;

	buf_add(&b, id, 4, &e);
	if (wide)
		buf_add(&b, "\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a", 12, &e);
	for (unsigned i = 0; i < size_len; i++)
		n[big ? size_len - 1 - i : i] = (char)((wide ? len + 24 : len) >> (8 * i));
	buf_add(&b, n, size_len, &e);
}

static void
pad(void)
{
	while (b.len % (size_len == 8 ? 8 : 2) != 0)
		buf_add(&b, "", 1, &e);
}

/* A chunk of what was put into body. */
static void
chunk(const char *id)
{
	head(id, body.len);
	buf_add(&b, body.data, body.len, &e);
	pad();
	buf_clear(&body);
}

static void
format(void)
{
	num(1, 2);
	num(1, 2);
	num(RATE, 4);
	num(RATE * 2, 4);
	num(2, 2);
	num(16, 2);
	chunk("fmt ");
}

static void
comm(uint32_t frames)
{
	num(1, 2);
	num(frames, 4);
	num(16, 2);
	bytes("\x40\x0b\xfa\0\0\0\0\0\0\0", 10);
	chunk("COMM");
}

static void
audio(uint32_t frames)
{
	bool aiff = strncmp(b.data, "FORM", 4) == 0;

	if (aiff)
		zeros(8);
	for (uint32_t i = 0; i < frames; i++)
		num(0x4000 + i * 37 % 0x1000, 2);
	chunk(aiff ? "SSND" : "data");
}

static void
finish_sizes(void)
{
	for (unsigned i = 0; i < size_len; i++)
		b.data[(size_len == 8 ? 16 : 4) + (big ? size_len - 1 - i : i)] =
		    (char)((size_len == 8 ? b.len : b.len - 8) >> (8 * i));
}

static const char *
at(const char *name)
{
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

/* b is a file now, with the next number. */
static void
open_file(void)
{
	struct stat st;
	int fd = open(at("file"), O_RDWR | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(write(fd, b.data, b.len), (ssize_t)b.len);
	ck_assert_int_eq(fstat(fd, &st), 0);
	unlink(path);
	ck_assert_uint_lt(n_files, MAX_FILES);
	ck_assert_int_eq(chunk_layout(fd, (uint64_t)st.st_size, &layouts[n_files], &e), 1);
	fds[n_files++] = fd;
}

static void
finish(void)
{
	finish_sizes();
	open_file();
}

static void
close_files(void)
{
	carry_free(&out);
	for (unsigned i = 0; i < n_files; i++) {
		chunk_layout_free(&layouts[i]);
		close(fds[i]);
	}
	n_files = 0;
}

static void
segment(unsigned i, unsigned file, uint64_t first, uint64_t frames)
{
	segs[i] = (struct segment){fds[file], &layouts[file], first, frames};
	c.n = i + 1;
}

static void
cut(uint64_t first, uint64_t frames)
{
	segment(0, 0, first, frames);
	carry_free(&out);
	ck_assert_msg(carry(&c, &out, &e) == 0, "%s", e.text);
}

/* The chunk of the new file, or NULL. */
static const struct carried *
got(const char *id)
{
	for (unsigned i = 0; i < out.n; i++)
		if (memcmp(out.list[i].id, id, 4) == 0)
			return &out.list[i];
	return NULL;
}

/* A chunk is in the new file as these bytes: those in body, which is emptied. */
static void
assert_new(const char *id)
{
	const struct carried *k = got(id);

	ck_assert_msg(k != NULL, "no %s", id);
	ck_assert_msg(k->body != NULL, "%s is the old one", id);
	ck_assert_uint_eq(k->len, body.len);
	ck_assert_mem_eq(k->body, body.data, body.len);
	buf_clear(&body);
}

static void
assert_kept(const char *id)
{
	const struct carried *k = got(id);

	ck_assert_msg(k != NULL, "no %s", id);
	ck_assert_msg(k->body == NULL, "%s was rewritten", id);
	ck_assert_uint_eq(k->len, segs[0].layout->chunks[k->source].size);
}

/* The new file: format, what is carried, silence; as a file of that name. */
static void
assemble(const char *name)
{
	const struct chunk_layout *l = segs[0].layout;
	bool aiff = l->family == CHUNK_AIFF, done = false;
	uint64_t frames = 0;
	int fd;

	for (unsigned i = 0; i < c.n; i++)
		frames += segs[i].frames;
	outer(aiff ? "FORM" : l->big_endian ? "RIFX" : "RIFF", aiff ? "AIFF" : "WAVE");
	if (!aiff)
		format();
	for (unsigned i = 0; i <= out.n; i++) {
		if (!done && (i == out.n || out.list[i].behind)) {
			audio((uint32_t)frames);
			done = true;
		}
		if (i == out.n)
			break;
		if (out.list[i].body != NULL) {
			bytes(out.list[i].body, (size_t)out.list[i].len);
		} else if (out.list[i].len > 0) {
			const struct chunk *old = &l->chunks[out.list[i].source];

			ck_assert_int_eq(buf_room(&body, (size_t)old->size, &e), 0);
			ck_assert_int_eq(
			    pread(segs[0].fd, body.data, (size_t)old->size, (off_t)old->offset),
			    (ssize_t)old->size);
			body.len = (size_t)old->size;
		}
		chunk(out.list[i].id);
	}
	finish_sizes();
	fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(write(fd, b.data, b.len), (ssize_t)b.len);
	close(fd);
}

/* ---- bext ---- */

static void
bext(const char *date, const char *time, uint64_t reference, unsigned version, const char *history,
    size_t history_len)
{
	text("A talk");
	zeros(256 - 6 + 32 + 32);
	bytes(date, 10);
	bytes(time, 8);
	num(reference & UINT32_MAX, 4);
	num(reference >> 32, 4);
	num(version, 2);
	for (int i = 0; i < 64; i++)
		num((uint64_t)i + 1, 1);
	for (int i = 0; i < 5; i++)
		num(0xf000 + (uint64_t)i, 2);
	for (int i = 0; i < 180; i++)
		num(0x55, 1);
	bytes(history, history_len);
}

static void
bext_file(const char *date, const char *time, uint64_t reference, unsigned version,
    const char *history, size_t history_len)
{
	bext(date, time, reference, version, history, history_len);
	chunk("bext");
}

#define DAY ((uint64_t)86400 * RATE)

static const struct {
	const char *date, *time;
	uint64_t reference, first;
	const char *new_date, *new_time;
	uint64_t new_reference;
} times[] = {
    {"2024-03-09", "10:20:30", 100, RATE * 3, "2024-03-09", "10:20:33", 100 + RATE * 3},
    {"2024-03-09", "10:20:30", 5, RATE * 2 - 1, "2024-03-09", "10:20:32", 4 + RATE * 2},
    {"2023-02-28", "23:59:59", DAY - 100, 200, "2023-03-01", "00:00:00", 100},
    {"2024_02_28", "23-59-59", DAY - RATE, RATE, "2024_02_29", "00-00-00", 0},
    {"2023-02-28", "23:59:59", DAY - RATE, RATE * 2, "2023-03-01", "00:00:01", RATE},
    {"2023 12 31", "23 00 00", DAY - 1, DAY * 2, "2024 01 02", "23 00 00", DAY - 1},
    {"9999-12-31", "23:59:59", DAY - 1, RATE, "9999-12-31", "00:00:00", RATE - 1},
    {"2023-02-30", "10:20:30", 0, RATE, "2023-02-30", "10:20:31", RATE},
    {"2023-02-03", "10:20:60", DAY - 1, 1, "2023-02-04", "10:20:60", 0},
    {"          ", "        ", 7, RATE, "          ", "        ", RATE + 7},
    /* No time of day: counted from the start of a project. */
    {"2023-02-03", "10:20:30", DAY * 3, RATE, "2023-02-03", "10:20:31", DAY * 3 + RATE},
    {"2023-02-03", "10:20:30", UINT64_MAX, RATE, "2023-02-03", "10:20:30", UINT64_MAX},
};

START_TEST(a_time_stamp_is_that_of_the_first_frame)
{
	size_t i = (size_t)_i / 2;

	outer(_i % 2 == 0 ? "RIFF" : "RIFX", "WAVE");
	bext_file(times[i].date, times[i].time, times[i].reference, 1, "", 0);
	format();
	audio(10);
	finish();
	cut(times[i].first, 5);
	bext(times[i].new_date, times[i].new_time, times[i].new_reference, 1, "", 0);
	if (times[i].reference == UINT64_MAX) {
		assert_kept("bext");
		return;
	}
	assert_new("bext");
	ck_assert(!got("bext")->behind);
}
END_TEST

START_TEST(loudness_of_other_audio_is_not_given)
{
	outer("RIFF", "WAVE");
	bext_file("2024-03-09", "10:20:30", 0, 2, "x", 1);
	format();
	audio(10);
	finish();
	cut(0, 9);
	bext("2024-03-09", "10:20:30", 0, 2, "x", 1);
	for (size_t i = 412; i < 422; i += 2)
		memcpy(body.data + i, "\xff\x7f", 2);
	assert_new("bext");
	cut(0, 10);
	assert_kept("bext");
	c.changed = true;
	cut(0, 10);
	ck_assert_mem_eq(got("bext")->body + 412, "\xff\x7f\xff\x7f\xff\x7f\xff\x7f\xff\x7f", 10);
}
END_TEST

static const struct {
	const char *old;
	size_t len;
	const char *new;
} histories[] = {
    {"", 0, LINE "\r\n"},
    {"A=ANALOGUE\r\n", 12, "A=ANALOGUE\r\n" LINE "\r\n"},
    {"A=ANALOGUE", 10, "A=ANALOGUE\r\n" LINE "\r\n"},
    {"A=ANALOGUE\r\n\0\0\0", 15, "A=ANALOGUE\r\n" LINE "\r\n"},
    {"A=ANALOGUE\n\0", 12, "A=ANALOGUE\n\r\n" LINE "\r\n"},
    {"\0\0\0\0", 4, LINE "\r\n"},
    {"\n", 1, "\n\r\n" LINE "\r\n"},
};

START_TEST(a_line_of_history_is_added)
{
	outer("RIFF", "WAVE");
	bext_file("2024-03-09", "10:20:30", 9, 1, histories[_i].old, histories[_i].len);
	format();
	audio(10);
	finish();
	cut(0, 10);
	assert_kept("bext");
	c.history = LINE;
	cut(0, 10);
	bext("2024-03-09", "10:20:30", 9, 1, histories[_i].new, strlen(histories[_i].new));
	assert_new("bext");
}
END_TEST

START_TEST(a_short_bext_stays)
{
	outer("RIFF", "WAVE");
	bext("2024-03-09", "10:20:30", 9, 1, "", 0);
	body.len = 601;
	chunk("bext");
	format();
	audio(10);
	finish();
	c.history = LINE;
	cut(3, 4);
	assert_kept("bext");
}
END_TEST

START_TEST(ffprobe_reads_the_new_time_stamp)
{
	char line[512], tags[512] = "";
	FILE *p;

	outer("RIFF", "WAVE");
	bext_file("2024-12-31", "23:59:59", DAY - RATE, 1, "", 0);
	format();
	audio(20000);
	finish();
	c.history = LINE;
	cut(RATE + 5, 100);
	assemble("new.wav");
	snprintf(line, sizeof line,
	    "ffprobe -v error -of csv=p=0 -show_entries "
	    "format_tags=date,creation_time,time_reference,coding_history %s",
	    at("new.wav"));
	ck_assert_ptr_nonnull(p = popen(line, "r"));
	ck_assert_uint_gt(fread(tags, 1, sizeof tags - 1, p), 0);
	ck_assert_int_eq(pclose(p), 0);
	ck_assert_msg(strstr(tags, "2025-01-01") != NULL && strstr(tags, "00:00:00") != NULL &&
			  strstr(tags, ",5,") != NULL && strstr(tags, LINE) != NULL,
	    "%s", tags);
}
END_TEST

/* ---- cue points ---- */

/* Points at 10, 50 (a region to 70), 90, 5 (a region to 25), 100. */
static void
marks_file(const char *id)
{
	outer(id, "WAVE");
	format();
	num(5, 4);
	point(1, 10);
	point(2, 50);
	point(3, 90);
	point(7, 5);
	point(8, 100);
	chunk("cue ");
	text("adtl");
	label("labl", 1, "ten");
	label("labl", 2, "fifty");
	label("note", 3, "ninety");
	region(2, 20);
	region(7, 20);
	label("labl", 7, "five!");
	label("what", 99, "not of a point");
	chunk("LIST");
	audio(100);
	finish();
}

START_TEST(points_are_shifted_and_regions_clipped)
{
	marks_file(_i == 0 ? "RIFF" : "RIFX");
	cut(20, 40);
	num(2, 4);
	point(2, 30);
	point(7, 0);
	assert_new("cue ");
	text("adtl");
	label("labl", 2, "fifty");
	region(2, 10);
	region(7, 5);
	label("labl", 7, "five!");
	label("what", 99, "not of a point");
	assert_new("LIST");
	ck_assert_uint_eq(out.n, 2);
	ck_assert_str_eq(out.dropped, "");
}
END_TEST

START_TEST(a_point_at_the_end_is_inside)
{
	marks_file("RIFF");
	cut(90, 10);
	num(2, 4);
	point(3, 0);
	point(8, 10);
	assert_new("cue ");
	cut(50, 39);
	num(1, 4);
	point(2, 0);
	assert_new("cue ");
	cut(25, 20);
	ck_assert(got("cue ") == NULL && got("LIST") == NULL && out.n == 0);
}
END_TEST

START_TEST(the_whole_file_is_what_it_was)
{
	marks_file(_i == 0 ? "RIFF" : "RIFX");
	cut(0, 100);
	assert_kept("cue ");
	assert_kept("LIST");
	/* The last point is not in it, and everything else is. */
	cut(0, 99);
	ck_assert_uint_eq(number(got("cue ")->body, 4), 4);
	assert_kept("LIST");
}
END_TEST

START_TEST(of_two_regions_the_one_that_reaches_in_is_kept)
{
	outer("RIFF", "WAVE");
	format();
	num(1, 4);
	point(1, 10);
	chunk("cue ");
	text("adtl");
	region(1, 10);
	region(1, 30);
	region(1, 0);
	label("labl", 1, "even");
	/* The writer forgot the last pad byte. */
	bytes("note\5\0\0\0\1\0\0\0x", 13);
	chunk("LIST");
	audio(100);
	finish();
	cut(20, 40);
	text("adtl");
	region(1, 20);
	region(1, 0);
	label("labl", 1, "even");
	bytes("note\5\0\0\0\1\0\0\0x", 14);
	assert_new("LIST");
}
END_TEST

START_TEST(positions_that_are_not_offsets)
{
	outer("RIFF", "WAVE");
	format();
	num(3, 4);
	point(1, 10);
	point(2, 20);
	point(3, 30);
	memset(body.data + 4 + 4, 0, 4);
	body.data[4 + 24 + 4] = 25;
	body.data[4 + 24 + 16] = 40;
	body.data[4 + 48 + 4] = 2;
	text("rest");
	chunk("cue ");
	audio(100);
	finish();
	cut(5, 90);
	num(3, 4);
	point(1, 5);
	point(2, 15);
	point(3, 25);
	memset(body.data + 4 + 4, 0, 4);
	body.data[4 + 24 + 4] = 20;
	text("rest");
	assert_new("cue ");
}
END_TEST

START_TEST(parts_in_a_row_keep_their_points)
{
	marks_file("RIFF");
	marks_file("RIFF");
	segment(1, 1, 0, 20);
	segment(2, 0, 80, 15);
	segment(0, 0, 45, 10);
	c.n = 3;
	ck_assert_int_eq(carry(&c, &out, &e), 0);
	num(4, 4);
	point(2, 5);
	point(1, 20);
	point(7, 15);
	point(3, 40);
	assert_new("cue ");
	text("adtl");
	label("labl", 2, "fifty");
	region(2, 5);
	label("what", 99, "not of a point");
	label("labl", 1, "ten");
	region(7, 15);
	label("labl", 7, "five!");
	label("note", 3, "ninety");
	assert_new("LIST");
	ck_assert_uint_eq(out.n, 2);
}
END_TEST

START_TEST(numbers_that_collide_are_given_anew)
{
	marks_file("RIFF");
	segment(1, 0, 0, 60);
	segment(0, 0, 0, 60);
	c.n = 2;
	ck_assert_int_eq(carry(&c, &out, &e), 0);
	num(6, 4);
	point(1, 10);
	point(2, 50);
	point(7, 5);
	point(3, 70);
	point(4, 110);
	point(5, 65);
	assert_new("cue ");
	text("adtl");
	label("labl", 1, "ten");
	label("labl", 2, "fifty");
	region(2, 10);
	region(7, 20);
	label("labl", 7, "five!");
	label("what", 99, "not of a point");
	label("labl", 3, "ten");
	label("labl", 4, "fifty");
	region(4, 10);
	region(5, 20);
	label("labl", 5, "five!");
	assert_new("LIST");
}
END_TEST

START_TEST(a_point_between_parts_that_go_on_is_there_once)
{
	marks_file("RIFF");
	segment(1, 0, 90, 10);
	segment(0, 0, 80, 10);
	c.n = 2;
	ck_assert_int_eq(carry(&c, &out, &e), 0);
	num(2, 4);
	point(3, 10);
	point(8, 20);
	assert_new("cue ");
}
END_TEST

START_TEST(marks_come_to_a_file_that_has_none)
{
	outer("RIFF", "WAVE");
	format();
	audio(30);
	finish();
	marks_file(_i == 1 ? "RIFX" : "RIFF");
	big = false;
	segment(1, 1, 40, 20);
	segment(0, 0, 0, 30);
	c.n = 2;
	ck_assert_int_eq(carry(&c, &out, &e), 0);
	/* Of a file of another byte order nothing is taken. */
	if (_i == 1) {
		ck_assert_uint_eq(out.n, 0);
		return;
	}
	num(1, 4);
	point(2, 40);
	assert_new("cue ");
	text("adtl");
	label("labl", 2, "fifty");
	region(2, 10);
	assert_new("LIST");
	ck_assert(got("cue ")->source == UINT_MAX && got("cue ")->behind);
}
END_TEST

START_TEST(the_word_data_in_a_list_of_points_is_no_audio)
{
	outer("RIFF", "WAVE");
	format();
	audio(100);
	num(1, 4);
	bytes("data\x32\0\0\0datadatadata", 20);
	num(50, 4);
	chunk("cue ");
	finish();
	cut(20, 40);
	ck_assert_uint_eq(got("cue ")->len, 28);
	ck_assert_mem_eq(got("cue ")->body + 4, "data", 4);
	ck_assert_uint_eq(number(got("cue ")->body + 24, 4), 30);
	ck_assert(got("cue ")->behind);
}
END_TEST

START_TEST(a_play_list_follows_its_points)
{
	marks_file("RIFF");
	close_files();
	b.len = 12 + 24;
	num(2, 4);
	point(1, 10);
	point(2, 50);
	chunk("cue ");
	num(3, 4);
	num(2, 4), num(30, 4), num(1, 4);
	num(1, 4), num(5, 4), num(1, 4);
	num(2, 4), num(5, 4), num(4, 4);
	chunk("plst");
	audio(100);
	finish();
	cut(40, 20);
	num(2, 4);
	num(2, 4), num(10, 4), num(1, 4);
	num(2, 4), num(5, 4), num(4, 4);
	assert_new("plst");
	cut(60, 20);
	ck_assert_uint_eq(out.n, 0);
}
END_TEST

START_TEST(loops_are_clipped)
{
	outer("RIFF", "WAVE");
	format();
	sampler(4);
	loop_of(0, 0, 99);
	loop_of(1, 0, 19);
	loop_of(2, 30, 40);
	loop_of(3, 60, 70);
	text("own");
	chunk("smpl");
	audio(100);
	finish();
	cut(20, 40);
	sampler(2);
	loop_of(0, 0, 39);
	loop_of(2, 10, 20);
	text("own");
	assert_new("smpl");
}
END_TEST

START_TEST(libsndfile_sees_the_points_and_loops)
{
	SF_INFO info = {0};
	SF_CUES cues = {0};
	SF_INSTRUMENT instrument = {0};
	SNDFILE *f;

	marks_file("RIFF");
	close_files();
	b.len = 12 + 24;
	num(3, 4);
	point(1, 10);
	point(2, 50);
	point(3, 55);
	chunk("cue ");
	sampler(1);
	loop_of(2, 30, 80);
	chunk("smpl");
	audio(100);
	finish();
	cut(40, 20);
	assemble("new.wav");
	ck_assert_ptr_nonnull(f = sf_open(at("new.wav"), SFM_READ, &info));
	ck_assert_int_eq(info.frames, 20);
	ck_assert_int_eq(sf_command(f, SFC_GET_CUE, &cues, sizeof cues), SF_TRUE);
	ck_assert_uint_eq(cues.cue_count, 2);
	ck_assert_uint_eq(cues.cue_points[0].sample_offset, 10);
	ck_assert_uint_eq(cues.cue_points[1].sample_offset, 15);
	ck_assert_int_eq(
	    sf_command(f, SFC_GET_INSTRUMENT, &instrument, sizeof instrument), SF_TRUE);
	ck_assert_int_eq(instrument.loop_count, 1);
	ck_assert_uint_eq(instrument.loops[0].start, 0);
	ck_assert_uint_eq(instrument.loops[0].end, 20);
	sf_close(f);
}
END_TEST

START_TEST(a_w64_gets_no_chunk_that_it_has_no_name_for)
{
	outer("riff", "");
	format();
	audio(30);
	finish();
	outer("riff", "");
	format();
	num(1, 4);
	point(1, 10);
	chunk("cue ");
	audio(30);
	finish();
	segment(1, 1, 5, 20);
	segment(0, 0, 0, 30);
	c.n = 2;
	ck_assert_int_eq(carry(&c, &out, &e), 0);
	ck_assert_uint_eq(out.n, 0);
}
END_TEST

/* ---- counts, what is dropped ---- */

START_TEST(counts_are_of_the_new_file)
{
	outer(_i == 1 ? "riff" : "RIFF", "WAVE");
	format();
	num(100, _i == 1 ? 8 : 4);
	if (_i != 1)
		text("more");
	chunk("fact");
	audio(100);
	finish();
	cut(20, 30);
	num(30, _i == 1 ? 8 : 4);
	if (_i != 1)
		text("more");
	assert_new("fact");
	cut(0, UINT64_C(0x100000000));
	if (_i == 1)
		num(UINT64_C(0x100000000), 8);
	else
		num(UINT32_MAX, 4), text("more");
	assert_new("fact");
	cut(0, 100);
	assert_kept("fact");
}
END_TEST

static void
filled_file(void)
{
	static const char *const ids[] = {
	    "MD5 ", "PEAK", "levl", "JUNK", "junk", "PAD ", "FLLR", "ds64", "PEAK"};

	outer("RIFF", "WAVE");
	format();
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		text("sixteen of bytes");
		chunk(ids[i]);
	}
	text("INFOINAM\6");
	zeros(3);
	text("Table");
	zeros(1);
	chunk("LIST");
	audio(100);
	text("?");
	chunk("Fake");
	chunk("none");
	finish();
}

START_TEST(what_is_untrue_is_dropped_and_told)
{
	filled_file();
	cut(0, 99);
	ck_assert_str_eq(out.dropped, "MD5, PEAK, levl");
	ck_assert_uint_eq(out.n, 3);
	assert_kept("LIST");
	assert_kept("Fake");
	ck_assert(got("Fake")->behind && !got("LIST")->behind && got("Fake")->len == 1);
	cut(0, 100);
	ck_assert_str_eq(out.dropped, "");
	ck_assert_uint_eq(out.n, 7);
	assert_kept("MD5 ");
	c.changed = true;
	cut(0, 100);
	ck_assert_str_eq(out.dropped, "MD5, PEAK, levl");
}
END_TEST

START_TEST(a_chunk_that_is_cut_off_is_dropped)
{
	outer("RIFF", "WAVE");
	format();
	audio(10);
	text("whole");
	chunk("Fake");
	text("0123456789");
	chunk("bext");
	b.data[b.len - 14] = 100;
	finish();
	cut(0, 10);
	ck_assert_uint_eq(out.n, 1);
	assert_kept("Fake");
}
END_TEST

START_TEST(a_long_body_is_not_read)
{
	static const char hole[1 << 16];

	outer("RIFF", "WAVE");
	format();
	bext("2024-03-09", "10:20:30", 9, 1, "", 0);
	while (body.len <= 16 << 20)
		bytes(hole, sizeof hole);
	chunk("bext");
	audio(10);
	finish();
	cut(5, 5);
	assert_kept("bext");
}
END_TEST

START_TEST(a_file_that_becomes_shorter_is_told)
{
	marks_file("RIFF");
	ck_assert_int_eq(ftruncate(fds[0], 60), 0);
	segment(0, 0, 20, 20);
	ck_assert_int_eq(carry(&c, &out, &e), -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_str_eq(e.code, P_MODIFIED);
}
END_TEST

/* ---- iXML ---- */

#define XML "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<!-- <SPEED> -->\r\n<BWFXML>\r\n"
#define SPEED(rate, hi, lo)                                                                        \
	XML "<SPEED>\n<TIMESTAMP_SAMPLE_RATE>" rate                                                \
	    "</TIMESTAMP_SAMPLE_RATE>\n<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>" hi                   \
	    "</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_HI>\t<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>" lo     \
	    "</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO></SPEED></BWFXML>\r\n"
#define BEXT(hi, lo, date, time, history)                                                          \
	XML "<BEXT><BWF_CODING_HISTORY>" history                                                   \
	    "</BWF_CODING_HISTORY><BWF_ORIGINATION_DATE>" date                                     \
	    "</BWF_ORIGINATION_DATE><BWF_ORIGINATION_TIME>" time                                   \
	    "</BWF_ORIGINATION_TIME><BWF_TIME_REFERENCE_LOW>" lo                                   \
	    "</BWF_TIME_REFERENCE_LOW><BWF_TIME_REFERENCE_HIGH>" hi                                \
	    "</BWF_TIME_REFERENCE_HIGH></BEXT></BWFXML>"
#define SYNC(type, v)                                                                              \
	"<SYNC_POINT><SYNC_POINT_TYPE>" type "</SYNC_POINT_TYPE><SYNC_POINT_LOW>" v                \
	"</SYNC_POINT_LOW><SYNC_POINT_HIGH>0</SYNC_POINT_HIGH></SYNC_POINT>"
#define SYNCS(a, b, c)                                                                             \
	XML "<SYNC_POINT_LIST>" SYNC("RELATIVE", a) SYNC("ABSOLUTE", b)                            \
	    SYNC("RELATIVE", c) "</SYNC_POINT_LIST></BWFXML>"

/* The first frame is 9000 of 8000 Hz; new NULL: it stays. */
static const struct {
	const char *old, *new;
} texts[] = {
    {SPEED("8000", "0", "100"), SPEED("8000", "0", "9100")},
    {SPEED("48000", "0", "100"), SPEED("48000", "0", "54100")},
    {SPEED("", "0000000000", "0000000100"), SPEED("", "0000000000", "0000009100")},
    {SPEED("192000", "3", "\n3703898111 "), SPEED("192000", "0", "\n215999 ")},
    {SPEED("192000", "0", "4294967295"), SPEED("192000", "1", "215999")},
    {SPEED("8000", "0", "12x"), NULL},
    {SPEED("8000", "", "12"), NULL},
    {SPEED("8000", "0", "4294967296"), NULL},
    {SPEED("8000", "0", "<b/>100"), NULL},
    {SPEED("8000", "0", "<![CDATA[100]]>"), NULL},
    {XML "<TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>1</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO></BWFXML>",
	NULL},
    {BEXT("0", "100", "2024-02-29", "23:59:59", ""),
	BEXT("0", "9100", "2024-03-01", "00:00:00", LINE "\r\n")},
    {BEXT("0", "691199999", "2024-02-29", " ", "A=MPEG"),
	BEXT("0", "8999", "2024-03-01", " ", "A=MPEG\r\n" LINE "\r\n")},
    {BEXT("", "", "", "", "A=MPEG\r\n"), BEXT("", "", "", "", "A=MPEG\r\n" LINE "\r\n")},
    {BEXT("", "", "", "", "A=MPEG&#13;&#10;"),
	BEXT("", "", "", "", "A=MPEG&#13;&#10;" LINE "\r\n")},
    {SYNCS("9000", "9000", "8999"), SYNCS("0", "9000", "8999")},
    {SYNCS("10000", "5", "99999"), SYNCS("1000", "5", "90999")},
    {XML "<A b='>'/><A b=\">\"><C/></A></BWFXML>", NULL},
    {XML "<A></B></BWFXML>", NULL},
    {XML "<SPEED><TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>5</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>",
	NULL},
    {XML "<SPEED><TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>5</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>"
	 "</SPEED></BWFXML>",
	XML "<SPEED><TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>9005</TIMESTAMP_SAMPLES_SINCE_MIDNIGHT_LO>"
	    "</SPEED></BWFXML>"},
    {"<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a></a></a></a></a></a></a></a></a></a>"
     "</a></a></a></a></a></a></a></a>",
	NULL},
    {"<SPEED>5</SPEED>", NULL},
    {"", NULL},
    {"<", NULL},
    {"<!", NULL},
    {"</", NULL},
    {"<>", NULL},
    {"no text of that kind", NULL},
};

START_TEST(numbers_in_a_text_are_replaced)
{
	outer("RIFF", "WAVE");
	format();
	audio(10);
	text(texts[_i].old);
	chunk("iXML");
	finish();
	c.history = LINE;
	cut(9000, 10);
	if (texts[_i].new == NULL) {
		assert_kept("iXML");
		return;
	}
	text(texts[_i].new);
	assert_new("iXML");
	c.history = NULL;
	cut(0, 10);
	assert_kept("iXML");
}
END_TEST

START_TEST(a_text_in_utf_16_stays)
{
	const char *s = SPEED("8000", "0", "100");

	outer("RIFF", "WAVE");
	format();
	audio(10);
	bytes("\xff\xfe", 2);
	for (; *s != '\0'; s++)
		num((unsigned char)*s, 2);
	chunk("iXML");
	finish();
	cut(3, 4);
	assert_kept("iXML");
}
END_TEST

START_TEST(what_is_marked_up_is_marked_up_in_the_history)
{
	outer("RIFF", "WAVE");
	format();
	audio(10);
	text(BEXT("", "", "", "", ""));
	chunk("iXML");
	finish();
	c.history = "T=a<b&c>";
	cut(3, 4);
	text(BEXT("", "", "", "", "T=a&lt;b&amp;c>\r\n"));
	assert_new("iXML");
}
END_TEST

/* ---- AIFF ---- */

static void
marker(unsigned id, uint32_t place, const char *name)
{
	num(id, 2);
	num(place, 4);
	num(strlen(name), 1);
	text(name);
	zeros((strlen(name) + 1) % 2);
}

static void
comment(unsigned id, const char *s)
{
	num(0xb0000000, 4);
	num(id, 2);
	num(strlen(s), 2);
	text(s);
	zeros(strlen(s) % 2);
}

static void
instrument(
    unsigned mode, unsigned begin, unsigned end, unsigned mode2, unsigned begin2, unsigned end2)
{
	bytes("\x3c\0\0\x7f\1\x7f\0\0", 8);
	num(mode, 2), num(begin, 2), num(end, 2);
	num(mode2, 2), num(begin2, 2), num(end2, 2);
}

static void
aiff_file(void)
{
	outer("FORM", "AIFF");
	comm(100);
	num(4, 2);
	marker(1, 10, "ten");
	marker(2, 50, "fifty");
	marker(3, 60, "");
	marker(4, 100, "end");
	chunk("MARK");
	instrument(1, 2, 3, 2, 1, 2);
	chunk("INST");
	num(3, 2);
	comment(0, "of all");
	comment(1, "of ten");
	comment(3, "sixty");
	chunk("COMT");
	text("Table");
	chunk("NAME");
	audio(100);
	text("stays");
	chunk("ANNO");
	finish();
}

START_TEST(markers_of_an_aiff_are_shifted)
{
	aiff_file();
	cut(40, 30);
	num(2, 2);
	marker(2, 10, "fifty");
	marker(3, 20, "");
	assert_new("MARK");
	instrument(1, 2, 3, 0, 0, 0);
	assert_new("INST");
	num(2, 2);
	comment(0, "of all");
	comment(3, "sixty");
	assert_new("COMT");
	num(1, 2), num(30, 4), num(16, 2);
	bytes("\x40\x0b\xfa\0\0\0\0\0\0\0", 10);
	assert_new("COMM");
	assert_kept("NAME");
	assert_kept("ANNO");
	ck_assert(got("ANNO")->behind && !got("NAME")->behind);
	cut(61, 3);
	ck_assert_ptr_null(got("MARK"));
	ck_assert_uint_eq(got("COMT")->len, 2 + 8 + 6);
	cut(0, 100);
	ck_assert_uint_eq(out.n, 6);
	for (unsigned i = 0; i < out.n; i++)
		ck_assert_ptr_null(out.list[i].body);
}
END_TEST

START_TEST(markers_of_parts_get_their_own_numbers)
{
	aiff_file();
	outer("FORM", "AIFF");
	comm(10);
	audio(10);
	finish();
	segment(1, 0, 0, 20);
	segment(0, 0, 5, 50);
	c.n = 2;
	ck_assert_int_eq(carry(&c, &out, &e), 0);
	num(3, 2);
	marker(1, 5, "ten");
	marker(2, 45, "fifty");
	marker(3, 60, "ten");
	assert_new("MARK");
	carry_free(&out);
	segment(0, 1, 0, 10);
	c.n = 2;
	ck_assert_int_eq(carry(&c, &out, &e), 0);
	num(1, 2);
	marker(1, 20, "ten");
	assert_new("MARK");
	ck_assert_uint_eq(got("MARK")->source, UINT_MAX);
}
END_TEST

START_TEST(markers_without_pad_bytes_stay)
{
	outer("FORM", "AIFF");
	comm(100);
	num(2, 2);
	num(1, 2), num(10, 4), num(2, 1), text("ab");
	num(2, 2), num(50, 4), num(2, 1), text("cd");
	chunk("MARK");
	audio(100);
	finish();
	cut(40, 30);
	assert_kept("MARK");
}
END_TEST

START_TEST(a_marker_without_a_number_gets_one)
{
	outer("FORM", "AIFF");
	comm(100);
	num(3, 2);
	marker(0, 50, "none");
	marker(1, 60, "one");
	marker(1, 62, "one again");
	chunk("MARK");
	audio(100);
	finish();
	cut(40, 30);
	num(3, 2);
	marker(1, 10, "none");
	marker(2, 20, "one");
	marker(3, 22, "one again");
	assert_new("MARK");
}
END_TEST

/* What libsndfile read is in its log. */
START_TEST(libsndfile_sees_the_markers)
{
	SF_INFO info = {0};
	char log[8192];
	SNDFILE *f;

	aiff_file();
	cut(40, 30);
	assemble("new.aiff");
	ck_assert_ptr_nonnull(f = sf_open(at("new.aiff"), SFM_READ, &info));
	ck_assert_int_eq(info.frames, 30);
	sf_command(f, SFC_GET_LOG_INFO, log, sizeof log);
	ck_assert_msg(strstr(log, "Mark ID  : 2\n   Position : 10\n") != NULL &&
			  strstr(log, "Mark ID  : 3\n   Position : 20\n") != NULL &&
			  strstr(log, "string : of all") != NULL,
	    "%s", log);
	sf_close(f);
}
END_TEST

/* ---- bodies that contradict themselves ---- */

START_TEST(what_contradicts_itself_stays)
{
	static const char *const ids[] = {"cue ", "LIST", "plst", "smpl", "fact"};

	outer("RIFF", "WAVE");
	format();
	num(2, 4);
	point(1, 10);
	chunk("cue ");
	text("adtl");
	label("labl", 1, "ten");
	body.data[8] = 100;
	chunk("LIST");
	num(UINT32_MAX, 4);
	zeros(24);
	chunk("plst");
	sampler(1);
	loop_of(1, 50, 40);
	chunk("smpl");
	num(1, 2);
	chunk("fact");
	audio(100);
	finish();
	segment(1, 0, 10, 10);
	segment(0, 0, 20, 20);
	for (c.n = 1; c.n <= 2; c.n++) {
		carry_free(&out);
		ck_assert_int_eq(carry(&c, &out, &e), 0);
		ck_assert_uint_eq(out.n, 5);
		for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
			assert_kept(ids[i]);
	}
}
END_TEST

/* ---- any bytes ---- */

static uint64_t
some(uint64_t below)
{
	static uint64_t x = 88172645463325252;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x % below;
}

/* Changes a few bytes of the bodies of a file, never a header, so that the walk sees all of them.
 */
static void
mutate(const struct buf *seed, const struct chunk_layout *l)
{
	static const char values[] = {'\0', '\1', '\x7f', '\x80', '\xff', '<', '>', '/', '5'};

	buf_clear(&b);
	buf_add(&b, seed->data, seed->len, &e);
	for (uint64_t n = 1 + some(6); n > 0; n--) {
		const struct chunk *k = &l->chunks[some(l->n_chunks)];

		if (k->size == 0 || k == &l->chunks[l->fmt] || k == &l->chunks[l->data])
			continue;
		b.data[k->offset + some(k->size)] =
		    some(3) == 0 ? (char)some(256) : values[some(sizeof values)];
	}
}

/* Lists are no longer than those they are made of, and texts than the line that was added. */
static void
assert_sane(void)
{
	uint64_t old = 64;

	for (unsigned i = 0; i < c.n; i++)
		for (unsigned k = 0; k < segs[i].layout->n_chunks; k++)
			old += segs[i].layout->chunks[k].size + 64;
	for (unsigned i = 0; i < out.n; i++) {
		ck_assert_uint_le(out.list[i].len, old);
		ck_assert(out.list[i].body != NULL || out.list[i].source != UINT_MAX);
	}
}

static void
seed_file(bool aiff)
{
	if (aiff) {
		aiff_file();
		return;
	}
	marks_file("RIFF");
	close_files();
	bext_file("2024-03-09", "10:20:30", 9, 2, "A=PCM\r\n", 7);
	num(2, 4);
	num(2, 4), num(30, 4), num(1, 4);
	num(1, 4), num(5, 4), num(1, 4);
	chunk("plst");
	sampler(2);
	loop_of(2, 30, 80);
	loop_of(1, 3, 8);
	chunk("smpl");
	num(100, 4);
	chunk("fact");
	text(SPEED("48000", "0", "100"));
	chunk("iXML");
	text(BEXT("0", "100", "2024-02-29", "23:59:59", ""));
	chunk("iXML");
	text(SYNCS("50", "9000", "8999"));
	chunk("iXML");
	finish();
}

/*
 * Of a changed file a part, or parts of two, are carried. What comes out is a file of which all is
 * carried once more, without a word: it does not change, as nothing is cut.
 */
START_TEST(changed_bytes_do_no_harm)
{
	struct buf seed = {0};
	struct chunk_layout l;

	seed_file(_i == 1);
	buf_add(&seed, b.data, b.len, &e);
	for (int round = 0; round < 10000; round++) {
		l = layouts[0];
		mutate(&seed, &l);
		close_files();
		open_file();
		c.n = 1 + (unsigned)some(3);
		c.history = some(2) == 0 ? NULL : LINE;
		c.rate_hz = some(10) == 0 ? 0 : RATE;
		for (unsigned i = 0; i < c.n; i++) {
			unsigned n = c.n;

			segment(i, 0, some(101), some(2) == 0 ? some(101) : 1 + some(40));
			c.n = n;
		}
		ck_assert_msg(carry(&c, &out, &e) == 0, "%s", e.text);
		assert_sane();
		if (round % 16 != 0)
			continue;
		assemble("new");
		open_file();
		if (layouts[1].audio_size > 0) {
			carry_free(&out);
			c.history = NULL;
			segment(0, 1, 0, layouts[1].audio_size / 2);
			ck_assert_int_eq(carry(&c, &out, &e), 0);
			for (unsigned i = 0; i < out.n; i++)
				ck_assert_msg(out.list[i].body == NULL, "%s", out.list[i].id);
		}
		close_files();
		buf_clear(&b);
		buf_add(&b, seed.data, seed.len, &e);
		open_file();
	}
	buf_free(&seed);
}
END_TEST

/* ---- files of recorders ---- */

static void
load(const char *name)
{
	char from[256];
	struct stat st;
	int fd;

	snprintf(from, sizeof from, "%s/%s", RECORDERS, name);
	fd = open(from, O_RDONLY);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(fstat(fd, &st), 0);
	buf_clear(&b);
	ck_assert_int_eq(buf_room(&b, (size_t)st.st_size, &e), 0);
	ck_assert_int_eq(read(fd, b.data, (size_t)st.st_size), st.st_size);
	b.len = (size_t)st.st_size;
	close(fd);
	open_file();
	size_len = 4;
	big = false;
}

static bool
has(const char *id, const char *what)
{
	const struct carried *k = got(id);

	return k != NULL && k->body != NULL &&
	       memmem(k->body, (size_t)k->len, what, strlen(what)) != NULL;
}

START_TEST(recorders_files_are_carried)
{
	static const struct {
		const char *name;
		uint64_t first, frames;
		const char *id, *what; /* in the new chunk */
		uint64_t reference;
	} files[] = {
	    {"A101_1_1.WAV", 48000, 1000, "iXML", "HI>0000000000<", 2190940753 + 48000},
	    {"A101_1_1.WAV", 48000, 1000, "iXML", "LO>2190988753<", 2190940753 + 48000},
	    {"PT A101_4.A1.wav", 1, 1000, "iXML", "LO>2191709525<", 2191709524 + 1},
	    {"wavinfo Test Project - Audio - Mono.wav", 24000, 1000, "iXML", "LOW>172824000<",
		172824000},
	    {"wavinfo Test Project - Audio - Mono.wav", 48000, 1, "bext", "10:21:07", 172848000},
	    {"alarm_citizen_loop1.wav", 5, 1000, "smpl", "\xe7\3\0\0", 0},
	};
	const struct carried *k;

	if (access(RECORDERS, R_OK) != 0)
		return;
	load(files[_i].name);
	c.rate_hz = 48000;
	cut(files[_i].first, files[_i].frames);
	ck_assert(has(files[_i].id, files[_i].what));
	k = got("bext");
	ck_assert_uint_eq(k == NULL ? 0 : number(k->body + 338, 8), files[_i].reference);
	cut(0, layouts[0].audio_size / layouts[0].block_align);
	for (unsigned i = 0; i < out.n; i++)
		ck_assert_ptr_null(out.list[i].body);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

int
main(void)
{
	Suite *s = suite_create("carry");
	TCase *t = tcase_create("carry");
	SRunner *r;
	char line[64];
	int failed;

	if (mkdtemp(dir) == NULL)
		return 1;
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, a_time_stamp_is_that_of_the_first_frame, 0, 2 * COUNT(times));
	tcase_add_test(t, loudness_of_other_audio_is_not_given);
	tcase_add_loop_test(t, a_line_of_history_is_added, 0, COUNT(histories));
	tcase_add_test(t, a_short_bext_stays);
	tcase_add_test(t, ffprobe_reads_the_new_time_stamp);
	tcase_add_loop_test(t, points_are_shifted_and_regions_clipped, 0, 2);
	tcase_add_test(t, a_point_at_the_end_is_inside);
	tcase_add_loop_test(t, the_whole_file_is_what_it_was, 0, 2);
	tcase_add_test(t, of_two_regions_the_one_that_reaches_in_is_kept);
	tcase_add_test(t, positions_that_are_not_offsets);
	tcase_add_test(t, parts_in_a_row_keep_their_points);
	tcase_add_test(t, numbers_that_collide_are_given_anew);
	tcase_add_test(t, a_point_between_parts_that_go_on_is_there_once);
	tcase_add_loop_test(t, marks_come_to_a_file_that_has_none, 0, 2);
	tcase_add_test(t, the_word_data_in_a_list_of_points_is_no_audio);
	tcase_add_test(t, a_play_list_follows_its_points);
	tcase_add_test(t, loops_are_clipped);
	tcase_add_test(t, libsndfile_sees_the_points_and_loops);
	tcase_add_test(t, a_w64_gets_no_chunk_that_it_has_no_name_for);
	tcase_add_loop_test(t, counts_are_of_the_new_file, 0, 2);
	tcase_add_test(t, what_is_untrue_is_dropped_and_told);
	tcase_add_test(t, a_chunk_that_is_cut_off_is_dropped);
	tcase_add_test(t, a_long_body_is_not_read);
	tcase_add_test(t, a_file_that_becomes_shorter_is_told);
	tcase_add_loop_test(t, numbers_in_a_text_are_replaced, 0, COUNT(texts));
	tcase_add_test(t, a_text_in_utf_16_stays);
	tcase_add_test(t, what_is_marked_up_is_marked_up_in_the_history);
	tcase_add_test(t, markers_of_an_aiff_are_shifted);
	tcase_add_test(t, markers_of_parts_get_their_own_numbers);
	tcase_add_test(t, markers_without_pad_bytes_stay);
	tcase_add_test(t, a_marker_without_a_number_gets_one);
	tcase_add_test(t, libsndfile_sees_the_markers);
	tcase_add_test(t, what_contradicts_itself_stays);
	tcase_add_loop_test(t, changed_bytes_do_no_harm, 0, 2);
	tcase_add_loop_test(t, recorders_files_are_carried, 0, 6);
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
