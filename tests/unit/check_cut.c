/*
 * cut: sox and ffmpeg make the files, and judge the parts: what ffmpeg decodes of a part must be
 * that stretch of what it decodes of the whole, and neither may say a word. Each is started once
 * for many parts. With REC_FAULT=full there are 2,000 parts at random places.
 */
#include <check.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "chunk.h"
#include "cut.h"
#include "mem.h"

#define FRAMES 30000
#define FILES 3
#define MAX_PARTS 64
/* Formats that are judged together. */
#define GROUP 5

/* A new file, and of what it is made. */
struct part {
	char name[32];
	unsigned n;
	uint64_t first[FILES], frames[FILES], all;
	unsigned whole; /* index of the file that its segments are of */
	unsigned channels;
	bool is_w64;
};

static char dir[] = "/tmp/check_cut.XXXXXX";
static char path[160];
static struct buf b;
static struct chunk_layout layouts[FILES];
static struct segment segments[FILES];
static struct cut_opts o;
static struct cut c;
static struct err e;
static struct part parts[MAX_PARTS];
static unsigned n_parts;
static char wholes[8][32];
static unsigned n_wholes;
static bool full; /* REC_FAULT=full */

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
	ck_assert_int_lt(vsnprintf(line + n, sizeof line - (size_t)n, fmt, ap), 4000);
	va_end(ap);
	ck_assert_msg(system(line) == 0, "failed: %s", line);
}

static void
load(const char *name)
{
	struct stat st;
	int fd = open(at(name), O_RDONLY);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(fstat(fd, &st), 0);
	buf_clear(&b);
	ck_assert_int_eq(buf_room(&b, (size_t)st.st_size, &e), 0);
	ck_assert_int_eq(read(fd, b.data, (size_t)st.st_size), st.st_size);
	b.len = (size_t)st.st_size;
	close(fd);
}

static void
save(const char *name)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(write(fd, b.data, b.len), (ssize_t)b.len);
	close(fd);
}

static struct chunk_layout
layout_of(const char *name)
{
	struct chunk_layout l;
	struct stat st;
	int fd = open(at(name), O_RDONLY);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(chunk_layout(fd, (uint64_t)st.st_size, &l, &e), 1);
	close(fd);
	return l;
}

static void
close_segments(void)
{
	for (unsigned i = 0; i < FILES; i++) {
		if (segments[i].fd != -1)
			close(segments[i].fd);
		segments[i].fd = -1;
		chunk_layout_free(&layouts[i]);
	}
	cut_free(&c);
	o = (struct cut_opts){.segments = segments};
	e = (struct err){0};
}

static void
setup(void)
{
	for (unsigned i = 0; i < FILES; i++)
		segments[i].fd = -1;
	buf_clear(&b);
	n_parts = n_wholes = 0;
	close_segments();
}

static void
teardown(void)
{
	close_segments();
	buf_free(&b);
}

static void
add_segment(const char *name, uint64_t first, uint64_t frames)
{
	struct segment *s = &segments[o.n];

	layouts[o.n] = layout_of(name);
	*s = (struct segment){.fd = open(at(name), O_RDONLY),
	    .layout = &layouts[o.n],
	    .first = first,
	    .frames = frames};
	ck_assert_int_ne(s->fd, -1);
	o.n++;
}

static void
write_planned(const char *name)
{
	struct stat st;
	int out = open(at(name), O_RDWR | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ne(out, -1);
	ck_assert_msg(pieces_write(&c.pieces, out, NULL, NULL, &e) == 0, "%s", e.text);
	ck_assert_int_eq(fstat(out, &st), 0);
	ck_assert_uint_eq((uint64_t)st.st_size, c.pieces.size_bytes);
	close(out);
}

/* "part.wav", for "part" and any WAV. */
static void
name_like(char out[32], const char *base, const char *other)
{
	snprintf(out, 32, "%s%s", base, strrchr(other, '.'));
}

static void
cut_one(const char *from, const char *to, uint64_t first, uint64_t frames)
{
	close_segments();
	add_segment(from, first, frames);
	ck_assert_msg(cut_plan(&o, &c, &e) == 0, "%s: %s", from, e.text);
	write_planned(to);
}

/* ---- judges ---- */

/* The header says nothing but the truth, in our eyes and in those of others. */
static void
assert_true(const char *name)
{
	struct chunk_layout l = layout_of(name);

	ck_assert(!l.truncated && !l.open_header && !l.short_header && !l.outer_mismatch);
	ck_assert(!l.duplicate_fmt);
	ck_assert_uint_eq(l.junk_size, 0);
	ck_assert_str_eq(l.container, c.container);
	ck_assert_uint_eq(l.audio_offset, c.audio_offset);
	ck_assert_uint_eq(l.audio_size, c.frames * c.frame_bytes);
	ck_assert_uint_eq(l.audio_declared, l.audio_size);
	chunk_layout_free(&l);
}

/* The wholes, then the parts. */
static const char *
file(unsigned i)
{
	return i < n_wholes ? wholes[i] : parts[i - n_wholes].name;
}

/* ffmpeg knows no RIFX with an extensible format. */
static bool
is_for_ffmpeg(unsigned i)
{
	const char *whole = wholes[i < n_wholes ? i : parts[i - n_wholes].whole];

	return strstr(whole, "rifx24") == NULL && strcmp(whole, "8/rifx16.wav") != 0;
}

static void
tell_ffmpeg(FILE *f)
{
	unsigned n = 0;

	fprintf(f, "ffmpeg -nostdin -v error -xerror -y");
	for (unsigned i = 0; i < n_wholes + n_parts; i++)
		if (is_for_ffmpeg(i))
			fprintf(f, " -i %s", file(i));
	for (unsigned i = 0; i < n_wholes + n_parts; i++)
		if (is_for_ffmpeg(i))
			fprintf(f, " -map %u -f f64le -c:a pcm_f64le %s.raw", n++, file(i));
	fprintf(f, " || exit 1\n");
}

/* All files at once and without a word, as doubles, which hold every format here. */
static void
decode(void)
{
	FILE *f = fopen(at("judge"), "w");
	bool told = false;

	ck_assert_ptr_nonnull(f);
	for (unsigned i = 0; i < n_wholes + n_parts; i++) {
		if (!is_for_ffmpeg(i))
			fprintf(f, "sox -D %s -t f64 %s.raw || exit 1\n", file(i), file(i));
		else if (!told)
			tell_ffmpeg(f);
		told |= is_for_ffmpeg(i);
	}
	ck_assert_int_eq(fclose(f), 0);
	shell("sh judge >log 2>&1 && test ! -s log || { cat judge log; false; }");
}

static void
load_decoded(unsigned i)
{
	char raw[40];

	snprintf(raw, sizeof raw, "%.31s.raw", file(i));
	load(raw);
}

static void
assert_stretches(unsigned i, const struct buf *whole)
{
	const struct part *p = &parts[i];
	size_t done = 0, width = p->channels * sizeof(double);

	load_decoded(n_wholes + i);
	ck_assert_msg(b.len == p->all * width, "%s of %s: %zu bytes, not %" PRIu64 " frames",
	    p->name, wholes[p->whole], b.len, p->all);
	for (unsigned k = 0; k < p->n; k++) {
		size_t from = p->first[k] * width, len = p->frames[k] * width;

		ck_assert_uint_le(from + len, whole->len);
		ck_assert_msg(memcmp(b.data + done, whole->data + from, len) == 0,
		    "%s of %s: not the %" PRIu64 " frames from %" PRIu64 " on", p->name,
		    wholes[p->whole], p->frames[k], p->first[k]);
		done += len;
	}
}

/* Each part is that stretch of its whole. */
static void
assert_parts(void)
{
	decode();
	for (unsigned w = 0; w < n_wholes; w++) {
		struct buf whole;

		load_decoded(w);
		whole = b;
		b = (struct buf){0};
		for (unsigned i = 0; i < n_parts; i++)
			if (parts[i].whole == w)
				assert_stretches(i, &whole);
		buf_free(&whole);
	}
}

/*
 * sox reads all of it without a word, but for what it says of every float file by ffmpeg: that is
 * of the format chunk, which stays as it is.
 */
static void
assert_sox_is_silent(unsigned whole, const char *names)
{
	shell("{ sox --i -V2%s && sox -V2%s -n stat; } >log 2>&1 && "
	      "! grep -E 'WARN|FAIL' log | grep -v 'missing extended part of fmt chunk' || { cat "
	      "log; echo of %s; false; }",
	    names, names, wholes[whole]);
}

/* Of W64 sox counts the pad bytes in. */
static void
assert_sox_counts(unsigned whole, const char *names)
{
	const char *counts;
	char *end;

	shell("soxi -s%s >counts 2>log", names);
	load("counts");
	counts = b.data;
	for (unsigned i = 0; i < n_parts; i++) {
		unsigned long long n;

		if (parts[i].whole != whole)
			continue;
		n = strtoull(counts, &end, 10);
		ck_assert_ptr_ne(counts, end);
		ck_assert_msg(parts[i].is_w64 || n == parts[i].all, "%s: %llu", parts[i].name, n);
		counts = end;
	}
}

/* sox knows no integers of 64 bits. */
static void
assert_sox_content(void)
{
	for (unsigned w = 0; w < n_wholes; w++) {
		char names[MAX_PARTS * 24] = "";

		for (unsigned i = 0; i < n_parts; i++)
			if (parts[i].whole == w)
				snprintf(names + strlen(names), sizeof names - strlen(names),
				    " %.31s", parts[i].name);
		if (strstr(wholes[w], "ff64") != NULL)
			continue;
		assert_sox_is_silent(w, names);
		assert_sox_counts(w, names);
	}
}

/* The audio lies in its block where it did, if chunks may begin where that needs it. */
static void
assert_place(uint64_t first)
{
	const struct chunk_layout *l = segments[0].layout;
	uint64_t place = l->audio_offset + first * c.frame_bytes;
	unsigned step = l->family == CHUNK_AIFF ? 1 : l->family == CHUNK_W64 ? 8 : 2;

	if (place % step == 0)
		ck_assert_uint_eq(c.audio_offset % PIECES_BLOCK, place % PIECES_BLOCK);
}

static unsigned
find_whole(const char *name)
{
	for (unsigned i = 0; i < n_wholes; i++)
		if (strcmp(wholes[i], name) == 0)
			return i;
	snprintf(wholes[n_wholes], sizeof wholes[0], "%s", name);
	return n_wholes++;
}

/* What was planned and written to this file is a part of the whole, to be judged. */
static void
add_part(const char *name, const char *whole)
{
	struct part *p = &parts[n_parts++];
	struct cut_format f;

	ck_assert_uint_le(n_parts, MAX_PARTS);
	ck_assert_int_eq(cut_format(segments[0].fd, segments[0].layout, &f, &e), 0);
	*p = (struct part){.n = o.n,
	    .all = c.frames,
	    .whole = find_whole(whole),
	    .channels = f.sample.channels,
	    .is_w64 = strcmp(c.container, "w64") == 0};
	snprintf(p->name, sizeof p->name, "%s", name);
	for (unsigned i = 0; i < o.n; i++) {
		p->first[i] = segments[i].first;
		p->frames[i] = segments[i].frames;
	}
	assert_true(name);
}

/* ---- every format ---- */

#define SOX "sox -R -r 44100 -c $c -n "
#define NOISE " synth 30000s pinknoise vol 0.5"
/* What ffmpeg is told of an output. */
#define FF "-c:a "

static const struct {
	const char *name, *make;
	struct render_format f;
} formats[] = {
    {"u8.wav", SOX "-b 8 u8.wav" NOISE, {1, 8, .is_unsigned = true}},
    {"s16.wav", SOX "-b 16 s16.wav" NOISE, {2, 16}},
    {"s24.wav", SOX "-b 24 s24.wav" NOISE, {3, 24}},
    {"s32.wav", SOX "-b 32 s32.wav" NOISE, {4, 32}},
    {"f32.wav", SOX "-e floating-point -b 32 f32.wav" NOISE, {4, 32, .is_float = true}},
    {"f64.wav", SOX "-e floating-point -b 64 f64.wav" NOISE, {8, 64, .is_float = true}},
    {"ff24.wav", FF "pcm_s24le ff24.wav", {3, 24}},
    {"ff64.wav", FF "pcm_s64le ff64.wav", {8, 64}},
    {"fff32.wav", FF "pcm_f32le fff32.wav", {4, 32, .is_float = true}},
    {"rifx16.wav", SOX "-B -b 16 rifx16.wav" NOISE, {2, 16, .big_endian = true}},
    {"rifx24.wav", SOX "-B -b 24 rifx24.wav" NOISE, {3, 24, .big_endian = true}},
    {"rf16.wav", FF "pcm_s16le -rf64 always rf16.wav", {2, 16}},
    {"rf24.wav", FF "pcm_s24le -rf64 always rf24.wav", {3, 24}},
    {"w8.w64", SOX "-b 8 w8.w64" NOISE, {1, 8, .is_unsigned = true}},
    {"w16.w64", SOX "-b 16 w16.w64" NOISE, {2, 16}},
    {"w24.w64", FF "pcm_s24le w24.w64", {3, 24}},
    {"wf32.w64", FF "pcm_f32le wf32.w64", {4, 32, .is_float = true}},
    {"a8.aiff", SOX "-b 8 a8.aiff" NOISE, {1, 8}},
    {"a16.aiff", SOX "-b 16 a16.aiff" NOISE, {2, 16, .big_endian = true}},
    {"a24.aiff", SOX "-b 24 a24.aiff" NOISE, {3, 24, .big_endian = true}},
    {"a32.aiff", SOX "-b 32 a32.aiff" NOISE, {4, 32, .big_endian = true}},
    {"none.aifc", SOX "-b 16 none.aifc" NOISE, {2, 16, .big_endian = true}},
    {"sowt.aifc", FF "pcm_s16le -f aiff sowt.aifc", {2, 16}},
    {"fl32.aifc", FF "pcm_f32be -f aiff fl32.aifc", {4, 32, .is_float = true, .big_endian = true}},
    {"fl64.aifc", FF "pcm_f64be -f aiff fl64.aifc", {8, 64, .is_float = true, .big_endian = true}},
};

#define FORMATS ((int)(sizeof formats / sizeof *formats))

static const unsigned channels[] = {1, 2, 8};

static bool
is_by_ffmpeg(int format)
{
	return strncmp(formats[format].make, FF, strlen(FF)) == 0;
}

/* All of ffmpeg's files of n channels, by one call. */
static void
make_by_ffmpeg(unsigned n)
{
	char all[2048] = "";

	for (int i = 0; i < FORMATS; i++)
		if (is_by_ffmpeg(i))
			snprintf(
			    all + strlen(all), sizeof all - strlen(all), " %s", formats[i].make);
	shell("test -e %u/noise.wav || { mkdir -p %u && cd %u && sox -R -r 44100 -c %u -n -b 32 "
	      "noise.wav" NOISE " && ffmpeg -nostdin -v error -y -i noise.wav%s; }",
	    n, n, n, n, all);
}

/* The file of n channels; it stays there for all tests. */
static const char *
make(int format, unsigned n)
{
	static char name[32];

	if (is_by_ffmpeg(format))
		make_by_ffmpeg(n);
	else
		shell("test -e %u/%s || { mkdir -p %u && cd %u && c=%u && %s; }", n,
		    formats[format].name, n, n, n, formats[format].make);
	snprintf(name, sizeof name, "%u/%s", n, formats[format].name);
	return name;
}

/* The part has the bytes of the whole. */
static void
assert_same_bytes(const char *whole, const char *part)
{
	const uint64_t len = c.frames * c.frame_bytes;
	struct buf was = {0};

	load(whole);
	ck_assert_int_eq(
	    buf_add(&was, b.data + layouts[0].audio_offset + segments[0].first * c.frame_bytes, len,
		&e),
	    0);
	load(part);
	ck_assert_mem_eq(b.data + c.audio_offset, was.data, len);
	buf_free(&was);
}

static void
check_part(const char *whole, uint64_t first, uint64_t frames)
{
	char base[16], part[32];

	snprintf(base, sizeof base, "part%u", n_parts);
	name_like(part, base, whole);
	cut_one(whole, part, first, frames);
	ck_assert_uint_eq(c.frames, frames);
	ck_assert_str_eq(c.dropped, "");
	add_part(part, whole);
	assert_place(first);
	assert_same_bytes(whole, part);
}

START_TEST(a_format_is_what_its_chunk_says)
{
	struct render_format want = formats[_i].f, *is;
	struct cut_format f;

	add_segment(make(_i, channels[_i % 3]), 0, 0);
	ck_assert_msg(cut_format(segments[0].fd, &layouts[0], &f, &e) == 0, "%s", e.text);
	is = &f.sample;
	ck_assert_uint_eq(f.rate_hz, 44100);
	/* ffmpeg and sox count the pad bytes of W64 in. */
	ck_assert_uint_ge(f.frames, FRAMES);
	ck_assert_uint_le(f.frames, FRAMES + (layouts[0].family == CHUNK_W64 ? 7 : 0));
	ck_assert_uint_eq(is->channels, channels[_i % 3]);
	ck_assert_uint_eq(f.frame_bytes, (uint64_t)want.bytes * is->channels);
	ck_assert(is->bytes == want.bytes && is->bits == want.bits);
	ck_assert(is->is_float == want.is_float && is->is_unsigned == want.is_unsigned);
	ck_assert(is->big_endian == want.big_endian);
}
END_TEST

static void
check_format(int i)
{
	const char *name = make(i % FORMATS, channels[(i + i / FORMATS) % 3]);

	srand48(i);
	check_part(name, 0, 1);
	check_part(name, FRAMES - 1, 1);
	check_part(name, 0, FRAMES);
	for (int k = 0; k < (full ? 27 : 3); k++) {
		uint64_t first = (uint64_t)lrand48() % FRAMES, most = FRAMES - first;

		/* Long ones and short ones. */
		if (k % 2 == 1 && most > 100)
			most = 100;
		check_part(name, first, 1 + (uint64_t)lrand48() % most);
	}
}

START_TEST(a_part_is_that_part)
{
	int n = full ? 1 : GROUP;

	for (int i = 0; i < n; i++)
		check_format(_i * n + i);
	assert_parts();
	assert_sox_content();
}
END_TEST

/* Nobody writes files with fewer bits than there is room for, but the format can say so. */
START_TEST(extensible_formats_say_how_many_bits_are_used)
{
	struct cut_format f;
	struct chunk_layout l;

	shell("sox -R -r 44100 -c 8 -n -b 32 x32.wav" NOISE);
	l = layout_of("x32.wav");
	load("x32.wav");
	ck_assert_mem_eq(b.data + l.chunks[l.fmt].offset, "\xfe\xff", 2);
	b.data[l.chunks[l.fmt].offset + 18] = 24;
	chunk_layout_free(&l);
	save("24in32.wav");
	check_part("24in32.wav", 1001, 2222);
	assert_parts();
	ck_assert_int_eq(cut_format(segments[0].fd, &layouts[0], &f, &e), 0);
	ck_assert(f.sample.bytes == 4 && f.sample.bits == 24);
}
END_TEST

#define SMALL "sox -R -r 8000 -c 1 -n -b 16 x.wav synth 1000s pinknoise; "
#define POKE(bytes, where)                                                                         \
	SMALL "printf '" bytes "' | dd of=x.wav bs=1 seek=" #where " conv=notrunc status=none"

static const struct {
	const char *make, *says;
} refused[] = {
    {"sox -R -r 8000 -c 1 -n -e a-law x.wav synth 1000s pinknoise", "codec (tag 0x0006"},
    {"sox -R -r 8000 -c 1 -n -e ima-adpcm x.wav synth 1000s pinknoise", "codec (tag 0x0011"},
    {POKE("\\3", 32), "contradicts itself"},
    {POKE("\\0", 22), "contradicts itself"},
    {POKE("\\0\\0", 24), "no usable count of channels or rate"},
    {POKE("XXXX", 12), "no 'fmt ' chunk"},
    {SMALL "truncate -s 40 x.wav", "no 'data' chunk"},
};

START_TEST(what_is_no_pcm_is_refused)
{
	shell("%s", refused[_i].make);
	add_segment("x.wav", 0, 10);
	ck_assert_int_eq(cut_plan(&o, &c, &e), -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_msg(strstr(e.text, refused[_i].says) != NULL, "%s", e.text);
}
END_TEST

/* ---- broken headers ---- */

enum { CUT, OPEN, STALE, OUTER, BREAKS };

static void
poke(uint64_t where, unsigned bytes, bool big, uint64_t v)
{
	bytes_put(b.data + where, v, bytes, big);
}

static void
break_it(const struct chunk_layout *l, int how)
{
	bool w64 = l->family == CHUNK_W64, rf64 = l->family == CHUNK_RF64;
	uint64_t header = l->chunks[l->data].header,
		 before = l->audio_offset - l->chunks[l->data].offset;
	uint64_t outer = w64 ? 16 : rf64 ? 20 : 4, data = rf64 ? 28 : header + (w64 ? 16 : 4);
	unsigned width = w64 || rf64 ? 8 : 4;

	if (how == CUT) {
		b.len = l->audio_offset + l->block_align * 25001 + 1;
	} else if (how == OPEN) {
		poke(outer, width, false, 0);
		poke(data, width, false, 0);
	} else if (how == STALE) {
		poke(outer, width, l->big_endian, l->audio_offset + 1000 * l->block_align);
		poke(data, width, l->big_endian, 1000 * l->block_align + before + (w64 ? 24 : 0));
	} else {
		poke(outer, width, l->big_endian, 0x77777777);
	}
}

static void
check_broken(const char *name, int how)
{
	struct chunk_layout l = layout_of(name);
	char base[16], broken[32], fixed[32];

	name_like(broken, "broken", name);
	snprintf(base, sizeof base, "fixed%u", n_parts);
	name_like(fixed, base, name);
	load(name);
	break_it(&l, how);
	chunk_layout_free(&l);
	save(broken);
	l = layout_of(broken);
	ck_assert(l.truncated || l.open_header || l.short_header || l.outer_mismatch);
	chunk_layout_free(&l);
	cut_one(broken, fixed, 5000, 20001);
	add_part(fixed, name);
	if (how == CUT) {
		close_segments();
		add_segment(broken, 5000, 20002);
		ck_assert_int_eq(cut_plan(&o, &c, &e), -1);
		ck_assert_str_eq(e.code, P_TRUNCATED);
	}
}

START_TEST(what_is_behind_a_broken_header_is_cut_all_the_same)
{
	static const int kinds[] = {1, 2, 12, 14, 18, 22};

	for (int i = 0; i < 6; i++)
		for (int how = 0; how < BREAKS; how++)
			check_broken(make(kinds[i], 2), how);
	assert_parts();
	assert_sox_content();
}
END_TEST

/* ffmpeg refuses a W64 with a chunk that has a header alone. */
START_TEST(no_filling_is_an_empty_chunk)
{
	const char *name = make(16, 1);

	for (uint64_t first = 0; first < 16; first++) {
		struct chunk_layout l;

		cut_one(name, "filled.w64", first, 10);
		assert_true("filled.w64");
		assert_place(first);
		l = layout_of("filled.w64");
		for (unsigned i = 0; i < l.n_chunks; i++)
			ck_assert_uint_gt(l.chunks[i].size, 0);
		chunk_layout_free(&l);
	}
}
END_TEST

/* `fact` was behind it. */
START_TEST(the_format_stays_at_its_place)
{
	const char *name = make(5, 2);
	struct chunk_layout was = layout_of(name), is;

	cut_one(name, "ordered.wav", 0, 10);
	is = layout_of("ordered.wav");
	ck_assert_int_eq(was.fmt, is.fmt);
	ck_assert_uint_eq(was.audio_offset, is.audio_offset);
	chunk_layout_free(&was);
	chunk_layout_free(&is);
}
END_TEST

START_TEST(what_lies_behind_too_many_chunks_is_not_lost_silently)
{
	static const char empty[8] = "DISP";

	load(make(1, 1));
	for (int i = 0; i < 4200; i++)
		ck_assert_int_eq(buf_add(&b, empty, sizeof empty, &e), 0);
	poke(4, 4, false, b.len - 8);
	save("many.wav");
	add_segment("many.wav", 0, 10);
	ck_assert_int_eq(cut_plan(&o, &c, &e), -1);
	ck_assert_str_eq(e.code, P_UNSUPPORTED);
	ck_assert_msg(strstr(e.text, "more than 4095 chunks") != NULL, "%s", e.text);
}
END_TEST

/* ---- several files, and what is refused ---- */

static void
join(const char *name)
{
	char base[16], joined[32];

	snprintf(base, sizeof base, "joined%u", n_parts);
	name_like(joined, base, name);
	close_segments();
	add_segment(name, 7, 1001);
	add_segment(name, 20000, 3);
	add_segment(name, 0, FRAMES);
	ck_assert_int_eq(cut_plan(&o, &c, &e), 0);
	write_planned(joined);
	ck_assert_uint_eq(c.frames, 1001 + 3 + FRAMES);
	add_part(joined, name);
}

START_TEST(parts_of_three_files_stand_in_a_row)
{
	static const int kinds[] = {0, 2, 11, 14, 19, 23};

	for (int i = 0; i < 6; i++)
		join(make(kinds[i], 1));
	assert_parts();
	assert_sox_content();
}
END_TEST

START_TEST(files_of_two_families_with_one_format_can_be_joined)
{
	add_segment(make(1, 2), 5, 100);
	add_segment(make(22, 2), 9, 200);
	ck_assert_int_eq(cut_plan(&o, &c, &e), 0);
	write_planned("joined.wav");
	add_part("joined.wav", "joined.wav");
	assert_sox_content();
}
END_TEST

static const struct {
	const char *make, *says;
} unlike[] = {
    {"-r 48000 -c 2 -n -b 16 b.wav", "file 2 has 48000 Hz and file 1 44100 Hz"},
    {"-r 44100 -c 1 -n -b 16 b.wav", "file 2 has 1 channels and file 1 2"},
    {"-r 44100 -c 2 -n -b 24 b.wav", "file 2 has samples of 24 bits and file 1 samples of 16 bits"},
    {"-r 44100 -c 2 -n -b 8 b.wav",
	"file 2 has unsigned samples of 8 bits and file 1 samples of 16 bits"},
    {"-r 44100 -c 2 -n -e float -b 32 b.wav",
	"file 2 has samples of 32 bits (float) and file 1 samples of 16 bits"},
    {"-r 44100 -c 2 -n -b 16 -B b.wav",
	"file 2 has big-endian samples and file 1 little-endian ones"},
    {"-r 44100 -c 2 -n -e mu-law b.wav", "file 2: cannot be cut without decoding"},
};

START_TEST(files_that_differ_are_not_joined)
{
	shell("sox -R -r 44100 -c 2 -n -b 16 a.wav synth 100s sine 400; "
	      "sox -R %s synth 100s sine 400",
	    unlike[_i].make);
	add_segment("a.wav", 0, 100);
	add_segment("b.wav", 0, 100);
	ck_assert_int_eq(cut_plan(&o, &c, &e), -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_str_eq(e.code, P_UNSUPPORTED);
	ck_assert_msg(strncmp(e.text, unlike[_i].says, strlen(unlike[_i].says)) == 0, "%s", e.text);
}
END_TEST

START_TEST(frames_that_are_not_there_are_refused)
{
	static const uint64_t ranges[][2] = {
	    {0, FRAMES + 1}, {FRAMES, 1}, {FRAMES + 1, 0}, {UINT64_MAX, 2}, {1, UINT64_MAX}};

	const char *name = make(1, 1);

	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
		close_segments();
		add_segment(name, ranges[i][0], ranges[i][1]);
		ck_assert_int_eq(cut_plan(&o, &c, &e), -1);
		ck_assert_int_eq(e.class, ERR_ITEM);
		ck_assert_str_eq(e.code, P_UNSUPPORTED);
	}
	close_segments();
	add_segment(name, FRAMES, 0);
	ck_assert_int_eq(cut_plan(&o, &c, &e), -1);
	ck_assert_str_eq(e.code, P_EMPTY);
}
END_TEST

/* ---- rendering and carrying ---- */

START_TEST(only_frames_that_change_are_rendered)
{
	static const struct render renders[] = {
	    {.gain = 1, .fade_in = 1000, .fade_out = 2000},
	    {.gain = 1, .fade_in = 15000, .fade_out = 15000},
	    {.gain = 0.5, .fade_in = 10},
	    {.gain = 1},
	    {.gain = 1, .fade_out = 30000},
	};
	struct render r = renders[_i];
	const char *name = make(2, 2);
	struct buf want = {0};
	uint64_t width;

	o.render = &r;
	add_segment(name, 100, 9000);
	add_segment(name, 3, 11000);
	ck_assert_int_eq(cut_plan(&o, &c, &e), 0);
	ck_assert_uint_eq(r.frames, 20000);
	ck_assert(r.format.bytes == 3 && r.format.channels == 2);
	write_planned("faded.wav");
	assert_true("faded.wav");
	width = c.frame_bytes;
	load(name);
	buf_add(&want, b.data + layouts[0].audio_offset + 100 * width, 9000 * width, &e);
	buf_add(&want, b.data + layouts[0].audio_offset + 3 * width, 11000 * width, &e);
	render_apply(&r, (unsigned char *)want.data, 0, 20000);
	load("faded.wav");
	ck_assert_mem_eq(b.data + c.audio_offset, want.data, want.len);
	/* Header, one to three stretches of audio a segment, pad. */
	ck_assert_uint_le(c.pieces.n, 20);
	buf_free(&want);
}
END_TEST

/* A chunk of three bytes at the end of b, which is a file of this layout. */
static void
append_chunk(const struct chunk_layout *l, const char *id)
{
	bool w64 = l->family == CHUNK_W64;
	char chunk[32] = {0};

	memcpy(chunk, id, 4);
	memcpy(chunk + 4, chunk_w64_tail, sizeof chunk_w64_tail);
	bytes_put(chunk + (w64 ? 16 : 4), w64 ? 27 : 3, w64 ? 8 : 4, l->big_endian);
	memcpy(chunk + (w64 ? 24 : 8), "odd", 4);
	while (b.len % (w64 ? 8 : 2) != 0)
		ck_assert_int_eq(buf_add(&b, "", 1, &e), 0);
	ck_assert_int_eq(buf_add(&b, chunk, w64 ? 32 : 12, &e), 0);
	if (w64)
		poke(16, 8, false, b.len);
	else if (l->family == CHUNK_RF64)
		poke(20, 8, false, b.len - 8);
	else
		poke(4, 4, l->big_endian, b.len - 8);
}

static void
assert_same_chunk(const char *was_name, const struct chunk *was, const struct chunk *is)
{
	struct buf old = {0};

	load(was_name);
	ck_assert_int_eq(buf_add(&old, b.data + was->offset, was->size, &e), 0);
	load(parts[0].name);
	ck_assert_uint_eq(is->size, was->size);
	ck_assert_mem_eq(b.data + is->offset, old.data, old.len);
	buf_free(&old);
}

START_TEST(chunks_are_carried_on_their_side_of_the_audio)
{
	static const int kinds[] = {0, 9, 11, 13, 17};
	const char *name = make(kinds[_i], 1);
	struct chunk_layout was = layout_of(name), is;
	char from[32], to[32];

	name_like(from, "noted", name);
	name_like(to, "carried", name);
	load(name);
	append_chunk(&was, "PEAK");
	append_chunk(&was, "note");
	save(from);
	chunk_layout_free(&was);
	cut_one(from, to, 0, 1001);
	ck_assert_str_eq(c.dropped, "PEAK");
	add_part(to, from);
	assert_sox_content();
	was = layout_of(from);
	is = layout_of(to);
	ck_assert_str_eq(is.chunks[is.n_chunks - 1].id, "note");
	ck_assert_int_eq((int)is.n_chunks, is.data + 2);
	assert_same_chunk(from, &was.chunks[was.n_chunks - 1], &is.chunks[is.n_chunks - 1]);
	if (was.family != CHUNK_AIFF)
		assert_same_chunk(from, &was.chunks[was.fmt], &is.chunks[is.fmt]);
	chunk_layout_free(&was);
	chunk_layout_free(&is);
}
END_TEST

/* ---- more than 4 GiB ---- */

/* A file of which all but the head is a hole. */
static void
make_huge(const char *make_head, const char *name, uint64_t size)
{
	struct chunk_layout l;

	shell("%s", make_head);
	l = layout_of(name);
	load(name);
	b.len = l.audio_offset;
	if (l.family == CHUNK_W64) {
		poke(l.chunks[l.data].header + 16, 8, false, size - l.chunks[l.data].header);
		poke(16, 8, false, size);
	} else if (l.family == CHUNK_RF64) {
		poke(20, 8, false, size - 8);
		poke(28, 8, false, size - l.audio_offset);
	} else {
		poke(l.chunks[l.data].header + 4, 4, l.big_endian, UINT32_MAX);
		poke(4, 4, l.big_endian, UINT32_MAX);
	}
	chunk_layout_free(&l);
	save(name);
	ck_assert_int_eq(truncate(at(name), (off_t)size), 0);
}

/* The head of the new file alone; the rest is a hole. */
static void
write_head(const char *name)
{
	struct rlimit old, low;
	int out = open(at(name), O_RDWR | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ne(out, -1);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	low = old;
	low.rlim_cur = 65536;
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &low), 0);
	ck_assert_int_eq(pieces_write(&c.pieces, out, NULL, NULL, &e), -1);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	ck_assert_int_eq(e.class, ERR_SYSTEM);
	ck_assert_int_eq(ftruncate(out, (off_t)c.pieces.size_bytes), 0);
	close(out);
}

#define GIB (UINT64_C(1) << 30)
#define HEAD "sox -R -r 44100 -c 2 -n -b 16 "

static const struct {
	const char *make, *name, *container;
} huge[] = {
    {HEAD "huge.wav synth 100s sine 400", "huge.wav", "rf64"},
    {HEAD "huge.wav synth 100s sine 400 && mv huge.wav in.wav && ffmpeg -nostdin -v error -y -i "
	  "in.wav -rf64 always huge.wav",
	"huge.wav", "rf64"},
    {HEAD "huge.w64 synth 100s sine 400", "huge.w64", "w64"},
};

START_TEST(more_than_4_gib_are_told_truly)
{
	const uint64_t frames = 5 * GIB / 4 - 1000;
	char part[32];

	make_huge(huge[_i].make, huge[_i].name, 5 * GIB);
	name_like(part, "part", huge[_i].name);
	add_segment(huge[_i].name, 3, frames);
	ck_assert_msg(cut_plan(&o, &c, &e) == 0, "%s", e.text);
	ck_assert_str_eq(c.container, huge[_i].container);
	write_head(part);
	assert_true(part);
	assert_place(3);
	/* soxi reads all of a long RF64 before it says anything. */
	shell("test $(ffprobe -v error -show_entries stream=duration_ts -of csv=p=0 %s) = %" PRIu64,
	    part, frames);
	/* What was RF64 stays it; what was WAV and fits is WAV. */
	cut_one(huge[_i].name, part, 1, 1000);
	ck_assert_str_eq(c.container, _i == 0 ? "wav" : huge[_i].container);
	add_part(part, huge[_i].name);
	assert_sox_content();
	shell("rm -f %s %s", huge[_i].name, part);
}
END_TEST

START_TEST(a_wav_stays_one_up_to_the_last_byte)
{
	uint64_t size;

	make_huge("sox -R -r 44100 -c 1 -n -b 8 huge.wav synth 100s sine 400", "huge.wav", 5 * GIB);
	add_segment("huge.wav", 0, 4 * GIB - 44 + 6);
	ck_assert_int_eq(cut_plan(&o, &c, &e), 0);
	size = c.pieces.size_bytes;
	ck_assert_str_eq(c.container, "wav");
	ck_assert_uint_eq(size, 4 * GIB + 6);
	close_segments();
	add_segment("huge.wav", 0, 4 * GIB - 44 + 7);
	ck_assert_int_eq(cut_plan(&o, &c, &e), 0);
	ck_assert_str_eq(c.container, "rf64");
	shell("rm huge.wav");
}
END_TEST

START_TEST(what_has_no_form_for_4_gib_is_refused)
{
	static const char *const makes[] = {
	    HEAD "huge.aiff synth 100s sine 400", HEAD "-B huge.wav synth 100s sine 400"};
	const char *name = _i == 0 ? "huge.aiff" : "huge.wav";

	make_huge(makes[_i], name, 5 * GIB);
	add_segment(name, 0, 4 * GIB / 4);
	ck_assert_int_eq(cut_plan(&o, &c, &e), -1);
	ck_assert_str_eq(e.code, P_TOO_LARGE);
	shell("rm %s", name);
}
END_TEST

/* ---- any bytes ---- */

/* Each byte of a header, turned over in one way or (full) in all: a part whose header is true, or a
 * reason. */
START_TEST(a_changed_byte_gives_a_true_part_or_none)
{
	static const int kinds[] = {2, 9, 12, 14, 18, 22, 24};
	static const unsigned char flips[] = {0xff, 0x01, 0x80};
	const char *name = make(kinds[_i], 2);
	char small[32], broken[32], part[32];
	struct buf seed = {0};

	name_like(small, "small", name);
	name_like(broken, "changed", name);
	name_like(part, "cpart", name);
	cut_one(name, small, 0, 400);
	ck_assert_uint_lt(c.audio_offset, 200);
	load(small);
	buf_add(&seed, b.data, b.len, &e);
	for (size_t i = 0; i < 160 * sizeof flips; i++) {
		struct chunk_layout l;
		struct cut_format f;
		struct stat st;
		int fd, r;

		if (!full && i % sizeof flips != i / sizeof flips % sizeof flips)
			continue;
		buf_clear(&b);
		buf_add(&b, seed.data, seed.len, &e);
		b.data[i / sizeof flips] ^= (char)flips[i % sizeof flips];
		save(broken);
		close_segments();
		fd = open(at(broken), O_RDONLY);
		ck_assert_int_eq(fstat(fd, &st), 0);
		r = chunk_layout(fd, (uint64_t)st.st_size, &l, &e);
		if (r == 1 && cut_format(fd, &l, &f, &e) == 0 && f.frames > 0) {
			cut_one(broken, part, f.frames / 3, f.frames - f.frames / 3);
			assert_true(part);
		}
		if (r == 1)
			chunk_layout_free(&l);
		close(fd);
	}
	buf_free(&seed);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("cut");
	TCase *formats_case = tcase_create("formats"), *t = tcase_create("cut");
	SRunner *r;
	char line[64];
	int failed;

	full = getenv("REC_FAULT") != NULL && strcmp(getenv("REC_FAULT"), "full") == 0;
	if (mkdtemp(dir) == NULL)
		return 1;
	tcase_add_checked_fixture(formats_case, setup, teardown);
	tcase_set_timeout(formats_case, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(formats_case, a_format_is_what_its_chunk_says, 0, FORMATS);
	tcase_add_loop_test(
	    formats_case, a_part_is_that_part, 0, full ? FORMATS * 3 : FORMATS / GROUP);
	tcase_add_test(t, extensible_formats_say_how_many_bits_are_used);
	tcase_add_loop_test(t, what_is_no_pcm_is_refused, 0, 7);
	tcase_add_test(t, what_is_behind_a_broken_header_is_cut_all_the_same);
	tcase_add_test(t, no_filling_is_an_empty_chunk);
	tcase_add_test(t, the_format_stays_at_its_place);
	tcase_add_test(t, what_lies_behind_too_many_chunks_is_not_lost_silently);
	tcase_add_test(t, parts_of_three_files_stand_in_a_row);
	tcase_add_test(t, files_of_two_families_with_one_format_can_be_joined);
	tcase_add_loop_test(t, files_that_differ_are_not_joined, 0, 7);
	tcase_add_test(t, frames_that_are_not_there_are_refused);
	tcase_add_loop_test(t, only_frames_that_change_are_rendered, 0, 5);
	tcase_add_loop_test(t, chunks_are_carried_on_their_side_of_the_audio, 0, 5);
	tcase_add_loop_test(t, more_than_4_gib_are_told_truly, 0, 3);
	tcase_add_test(t, a_wav_stays_one_up_to_the_last_byte);
	tcase_add_loop_test(t, what_has_no_form_for_4_gib_is_refused, 0, 2);
	tcase_add_loop_test(t, a_changed_byte_gives_a_true_part_or_none, 0, 7);
	suite_add_tcase(s, formats_case);
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
