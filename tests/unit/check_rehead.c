/*
 * rehead: headers rebuilt, and judged by others: sox and ffmpeg make the files, and after they were
 * broken and repaired, sox and ffmpeg are to read them without a word, and audio_measure to find
 * nothing. Audio is compared as ffmpeg decodes it (f64le holds every format here exactly).
 */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include "audio.h"
#include "chunk.h"
#include "mem.h"
#include "rehead.h"

const char *__lsan_default_suppressions(void);

/* What libsndfile forgets when it refuses a file. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libsndfile\n";
}

static char dir[] = "/tmp/check_rehead.XXXXXX";
static bool full; /* REC_FAULT=full */
static char path[160];
static struct buf b;
static struct rehead p;
static struct measure m;
static struct err e;

static void
setup(void)
{
	buf_clear(&b);
	p = (struct rehead){0};
	audio_measure_init(&m);
}

static void
teardown(void)
{
	rehead_free(&p);
	audio_measure_free(&m);
	buf_free(&b);
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

static uint64_t
size_of(const char *name)
{
	struct stat st;

	ck_assert_int_eq(stat(at(name), &st), 0);
	return (uint64_t)st.st_size;
}

static void
poke(uint64_t offset, unsigned bytes, bool big, uint64_t v)
{
	for (unsigned i = 0; i < bytes; i++)
		b.data[offset + (big ? bytes - 1 - i : i)] = (char)(v >> (8 * i));
}

static void
insert(size_t offset, const void *bytes, size_t len)
{
	ck_assert_int_eq(buf_room(&b, len, &e), 0);
	memmove(b.data + offset + len, b.data + offset, b.len - offset);
	memcpy(b.data + offset, bytes, len);
	b.len += len;
}

static struct chunk_layout
layout_of(const char *name)
{
	struct chunk_layout l;
	int fd = open(at(name), O_RDONLY);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(chunk_layout(fd, size_of(name), &l, &e), 1);
	close(fd);
	return l;
}

static int
plan(const char *name)
{
	int fd = open(at(name), O_RDONLY), r;

	ck_assert_int_ne(fd, -1);
	rehead_free(&p);
	e = (struct err){0};
	r = rehead_plan(fd, size_of(name), &p, &e);
	ck_assert_msg((r == -1) == (e.class != ERR_NONE), "%d, but: %s", r, e.text);
	if (r != 1)
		ck_assert(p.pieces.list == NULL && p.pieces.n == 0);
	close(fd);
	return r;
}

static void
write_planned(const char *from, const char *to)
{
	atomic_ullong done = 0;
	int fd = open(at(from), O_RDONLY), out;

	out = open(at(to), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert(fd != -1 && out != -1);
	ck_assert_int_eq(rehead_write(&p, fd, out, NULL, &done, &e), 0);
	ck_assert_uint_le(atomic_load(&done), size_of(from));
	close(fd);
	close(out);
	ck_assert_uint_eq(size_of(to), p.pieces.size_bytes);
}

static void
measure(const char *name)
{
	struct audio_opts o = {0};
	int fd = open(at(name), O_RDONLY);

	ck_assert_int_ne(fd, -1);
	audio_measure_free(&m);
	audio_measure_init(&m);
	ck_assert_int_eq(audio_measure(fd, &o, &m, &e), 0);
	close(fd);
}

/* ---- judges ---- */

/* What ffmpeg makes of $f. */
#define TO_RAW "-f f64le -c:a pcm_f64le $f.raw"
#define TO_NOTHING "-f null -"

/*
 * Files with spaces between their names, all read without a word. sox is asked twice:
 * for the header, and for all samples (stat speaks, too). What it says of every float file by
 * ffmpeg is of the format chunk, which stays as it is.
 */
static void
assert_peers_silent(const char *names, const char *output)
{
	shell("i=0; in=; out=; for f in %s; do in=\"$in -i $f\"; "
	      "out=\"$out -map $i %s\"; i=$((i + 1)); done; "
	      "ffmpeg -nostdin -v error -xerror -y $in $out >log 2>&1 && test ! -s log || "
	      "{ cat log; false; }",
	    names, output);
	shell("for f in %s; do echo $f; sox --i -V2 $f && sox -V2 $f -n stat || echo FAIL; done "
	      ">log 2>&1; ! grep -E 'WARN|FAIL' log | grep -v 'missing extended part of fmt chunk' "
	      "|| { cat log; false; }",
	    names);
}

/* The file that p describes: audio_measure and rehead itself find nothing in it. */
static void
assert_whole(const char *name)
{
	measure(name);
	ck_assert_msg(m.problem.class == ERR_NONE, "%s: %s", name, m.problem.text);
	ck_assert_str_eq(m.container, p.container);
	ck_assert_int_eq(plan(name), 0);
}

static void
assert_clean(const char *name)
{
	assert_whole(name);
	assert_peers_silent(name, TO_RAW);
}

/* Of two files of audio, `fixed` decoded by assert_peers_silent, one holds the start of what the
 * other holds, and `fixed` that many frames. */
static void
assert_same_audio(const char *whole, const char *fixed, uint64_t frames)
{
	char raw[64];

	shell("test -s %s.raw || ffmpeg -nostdin -v error -y -i %s -f f64le -c:a pcm_f64le %s.raw "
	      "2>>log || exit 1; n=$(stat -c %%s %s.raw %s.raw | sort -n | head -1); "
	      "test $n -gt 0 && cmp -n $n %s.raw %s.raw",
	    whole, whole, whole, whole, fixed, whole, fixed);
	snprintf(raw, sizeof raw, "%s.raw", fixed);
	ck_assert_uint_eq(size_of(raw), frames * (uint64_t)m.channels * 8);
}

/* Repairs a broken file: its sound is what was measured of it before. */
static void
repair_alone(const char *broken, const char *fixed)
{
	char hash[HASH_XXH3_128_HEX];

	ck_assert_int_eq(plan(broken), 1);
	ck_assert_str_ne(p.message, "");
	measure(broken);
	strcpy(hash, m.audio_xxh3_128);
	write_planned(broken, fixed);
	assert_whole(fixed);
	ck_assert_str_eq(m.audio_xxh3_128, hash);
}

/* And everybody is content. */
static void
repair(const char *broken, const char *fixed)
{
	repair_alone(broken, fixed);
	assert_peers_silent(fixed, TO_RAW);
}

/* ---- ways to break a file ---- */

enum { ZEROS, ONES, TWO_GIB, CUT, STALE, OUTER, COUNT, BREAKS };

/* The field that holds the size of the audio's chunk (v counts its body), and the outermost one. */
static void
poke_sizes(const struct chunk_layout *l, bool outer, uint64_t outer_v, bool data, uint64_t v)
{
	uint64_t header = l->chunks[l->data].header;

	if (l->family == CHUNK_W64) {
		if (outer)
			poke(16, 8, false, outer_v);
		if (data)
			poke(header + 16, 8, false, v);
	} else if (l->family == CHUNK_RF64) {
		if (outer)
			poke(20, 8, false, outer_v);
		if (data)
			poke(28, 8, false, v);
	} else {
		if (outer)
			poke(4, 4, l->big_endian, outer_v);
		if (data)
			poke(header + 4, 4, l->big_endian, v);
	}
}

/* Breaks b, which `name` holds. False when this way does not apply. Bytes of audio that are there
 * then are in *audio. */
static bool
break_it(const char *name, int how, uint64_t *audio)
{
	struct chunk_layout l = layout_of(name);
	uint64_t w64 = l.family == CHUNK_W64 ? 24 : 0, body = l.chunks[l.data].size;
	bool tail = l.data != (int)l.n_chunks - 1, wide = l.family == CHUNK_W64;
	uint64_t before = l.audio_offset - l.chunks[l.data].offset, half = body / 2 / 24 * 24;

	*audio = l.audio_size;
	if (tail && how != OUTER && how != COUNT && how != CUT)
		return chunk_layout_free(&l), false;
	switch (how) {
	case ZEROS:
		poke_sizes(&l, true, 0, true, 0);
		break;
	case ONES:
		poke_sizes(&l, true, wide ? UINT64_MAX : UINT32_MAX, true,
		    wide || l.family == CHUNK_RF64 ? UINT64_MAX : UINT32_MAX);
		break;
	case TWO_GIB:
		poke_sizes(&l, true, wide ? UINT64_C(1) << 62 : 0x7ffff024, true,
		    wide ? UINT64_C(1) << 62 : 0x7ffff000);
		break;
	case CUT:
		b.len = l.audio_offset + l.audio_size * 3 / 5 + 1;
		*audio = b.len - l.audio_offset;
		break;
	case STALE:
		poke_sizes(&l, true, l.audio_offset + half, true, half + before + w64);
		*audio = b.len - l.audio_offset;
		break;
	case OUTER:
		poke_sizes(&l, true, wide ? UINT64_C(1) << 62 : 0xffffff00, false, 0);
		break;
	default:
		if (l.family != CHUNK_AIFF)
			return chunk_layout_free(&l), false;
		poke(l.chunks[l.fmt].offset + 2, 4, true, 0);
	}
	/* A pad byte behind audio that runs to the end counts as audio, if frames are that small.
	 */
	if (how == ZEROS || how == ONES || how == TWO_GIB)
		*audio = b.len - l.audio_offset;
	chunk_layout_free(&l);
	return true;
}

/* ---- formats, by sox and ffmpeg ---- */

#define NOISE "sox -R -n -r 8000 "
#define FF "ffmpeg -nostdin -v error -y -i noise.wav "

/* The rest of the files is made by hand from these; `chunks` are those that must survive. */
static const struct {
	const char *name, *make, *chunks;
	unsigned block;
} formats[] = {
    {"m16.wav", NOISE "-c 1 -b 16 m16.wav synth 0.5 pinknoise", "fmt data", 2},
    {"s16.wav", NOISE "-c 2 -b 16 s16.wav synth 0.5 pinknoise", "fmt data", 4},
    {"m8.wav", NOISE "-c 1 -b 8 m8.wav synth 0.5 pinknoise", "fmt data", 1},
    {"m24odd.wav", NOISE "-c 1 -b 24 m24odd.wav synth 0.500125 pinknoise", "fmt fact data", 3},
    {"f32.wav", NOISE "-c 2 -b 32 -e float f32.wav synth 0.5 pinknoise", "fmt fact data", 8},
    {"alaw.wav", NOISE "-c 1 -e a-law alaw.wav synth 0.5 pinknoise", "fmt fact data", 1},
    {"six.wav", NOISE "-c 6 -b 24 six.wav synth 0.5 pinknoise", "fmt fact data", 18},
    {"f64.wav", NOISE "-c 2 -b 64 -e float f64.wav synth 0.5 pinknoise", "fmt fact data", 16},
    {"list.wav", FF "-metadata title=Table list.wav", "fmt LIST data", 4},
    {"bext.wav", FF "-write_bext 1 -metadata description=Talk bext.wav", "fmt bext LIST data", 4},
    {"tail.wav", "cp s16.wav tail.wav", "fmt data LIST", 4},
    {"rifx.wav", NOISE "-c 2 -b 16 -B -t wav rifx.wav synth 0.5 pinknoise", "fmt data", 4},
    {"n.rf64", FF "-f wav -rf64 always n.rf64", "ds64 fmt LIST data", 4},
    {"n24.w64", FF "-c:a pcm_s24le -f w64 n24.w64", "fmt data", 6},
    {"m.w64", "sox s16.wav -c 1 -t w64 m.w64", "fmt data", 2},
    {"s16.aiff", NOISE "-c 2 -b 16 s16.aiff synth 0.5 pinknoise", "COMT COMM SSND", 4},
    {"m24.aiff", NOISE "-c 1 -b 24 m24.aiff synth 0.500125 pinknoise", "COMT COMM SSND", 3},
    {"m8.aiff", NOISE "-c 1 -b 8 m8.aiff synth 0.500125 pinknoise", "COMT COMM SSND", 1},
    {"sowt.aiff", FF "-c:a pcm_s16le -f aiff sowt.aiff", "FVER COMM SSND", 4},
    {"offset.aiff", "cp s16.aiff offset.aiff", "COMT COMM SSND", 4},
    {"tail.aiff", "cp s16.aiff tail.aiff", "COMT COMM SSND ANNO", 4},
};
#define FORMATS ((int)(sizeof formats / sizeof *formats))

static void
make_format(int i)
{
	struct chunk_layout l;

	shell("test -e noise.wav || " NOISE "-c 2 -b 16 noise.wav synth 0.5 pinknoise");
	shell("test -e s16.wav || " NOISE "-c 2 -b 16 s16.wav synth 0.5 pinknoise; "
	      "test -e s16.aiff || " NOISE "-c 2 -b 16 s16.aiff synth 0.5 pinknoise");
	shell("test -e %s && test -e %s.made || { %s && touch %s.made; }", formats[i].name,
	    formats[i].name, formats[i].make, formats[i].name);
	load(formats[i].name);
	if (strcmp(formats[i].name, "tail.wav") == 0 && b.len == size_of("s16.wav")) {
		insert(b.len, "LIST\x12\0\0\0INFOINAM\6\0\0\0Table\0", 26);
		poke(4, 4, false, b.len - 8);
		save(formats[i].name);
	} else if (strcmp(formats[i].name, "tail.aiff") == 0 && b.len == size_of("s16.aiff")) {
		insert(b.len, "ANNO\0\0\0\5Table\0", 14);
		poke(4, 4, true, b.len - 8);
		save(formats[i].name);
	} else if (strcmp(formats[i].name, "offset.aiff") == 0 && b.len == size_of("s16.aiff")) {
		l = layout_of(formats[i].name);
		insert(l.audio_offset, "....", 4);
		poke(l.audio_offset - 8, 4, true, 4);
		poke(l.audio_offset - 12, 4, true, l.audio_size + 12);
		poke(4, 4, true, b.len - 8);
		chunk_layout_free(&l);
		save(formats[i].name);
	}
}

/* The chunks are those, each whole; of a file that was cut those up to the audio. */
static void
assert_chunks(const char *name, const char *expected, bool cut)
{
	struct chunk_layout l = layout_of(name);
	char ids[256] = "";

	for (unsigned i = 0; i < l.n_chunks; i++) {
		int len = l.chunks[i].id[3] == ' ' ? 3 : 4;

		snprintf(ids + strlen(ids), sizeof ids - strlen(ids), "%s%.*s", i > 0 ? " " : "",
		    len, l.chunks[i].id);
		ck_assert_uint_eq(l.chunks[i].size, l.chunks[i].declared);
	}
	if (cut)
		ck_assert(
		    strncmp(ids, expected, strlen(ids)) == 0 && l.data == (int)l.n_chunks - 1);
	else
		ck_assert_str_eq(ids, expected);
	chunk_layout_free(&l);
}

/* Breaks format f in this way and repairs it: the frames that are there, or 0 when the way does not
 * apply. */
static uint64_t
break_and_repair(int f, int how, const char *fixed)
{
	uint64_t audio, block = formats[f].block, lost;

	load(formats[f].name);
	if (!break_it(formats[f].name, how, &audio))
		return 0;
	save("broken");
	ck_assert_int_eq(plan("broken"), 1);
	ck_assert_uint_eq(p.audio_bytes, audio - audio % block);
	ck_assert_uint_eq(p.lost_bytes, audio % block);
	lost = p.lost_bytes;
	repair_alone("broken", fixed);
	ck_assert_int_eq(m.frames, (int64_t)(audio / block));
	assert_chunks(fixed, formats[f].chunks, how == CUT);
	/* Only a count lied: every byte is as before. (sox forgets to count the pad byte of AIFF.)
	 */
	if (how == OUTER || how == COUNT) {
		ck_assert_uint_eq(lost, 0);
		if (audio % 2 == 0)
			shell("cmp %s %s", formats[f].name, fixed);
	}
	return audio / block;
}

START_TEST(every_frame_of_a_broken_file_is_behind_a_true_header)
{
	char fixed[BREAKS][32], names[(BREAKS + 1) * 32];
	uint64_t frames[BREAKS];

	make_format(_i);
	ck_assert_int_eq(plan(formats[_i].name), 0);
	snprintf(names, sizeof names, "%s", formats[_i].name);
	for (int how = 0; how < BREAKS; how++) {
		snprintf(
		    fixed[how], sizeof fixed[how], "fixed%d%s", how, strchr(formats[_i].name, '.'));
		frames[how] = break_and_repair(_i, how, fixed[how]);
		if (frames[how] > 0)
			snprintf(
			    names + strlen(names), sizeof names - strlen(names), " %s", fixed[how]);
	}
	assert_peers_silent(names, TO_RAW);
	for (int how = 0; how < BREAKS; how++)
		if (frames[how] > 0)
			assert_same_audio(formats[_i].name, fixed[how], frames[how]);
}
END_TEST

/* ---- writers that really died ---- */

static const struct {
	const char *file;
	const char *argv[24];
} writers[] = {
    {"k1.wav", {"sox", "-n", "-r", "8000", "-c", "2", "-b", "16", "k1.wav", "synth", "90000",
		   "sine", "300"}},
    {"k2.wav", {"sox", "-n", "-r", "8000", "-c", "1", "-b", "24", "k2.wav", "synth", "90000",
		   "sine", "300"}},
    {"k3.aiff", {"sox", "-n", "-r", "8000", "-c", "2", "-b", "16", "k3.aiff", "synth", "90000",
		    "sine", "300"}},
    {"k4.w64", {"sox", "-n", "-r", "8000", "-c", "2", "-b", "16", "k4.w64", "synth", "90000",
		   "sine", "300"}},
#define LAVFI "ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "sine=r=8000:d=90000"
    {"k5.wav", {LAVFI, "k5.wav"}},
    {"k6.wav", {LAVFI, "-c:a", "pcm_f32le", "-ac", "2", "k6.wav"}},
    {"k7.wav", {LAVFI, "-rf64", "always", "k7.wav"}},
    {"k8.w64", {LAVFI, "-c:a", "pcm_s24le", "k8.w64"}},
    {"k9.aiff", {LAVFI, "k9.aiff"}},
    {"k10.aiff", {LAVFI, "-c:a", "pcm_s16le", "k10.aiff"}},
    {"k11.wav", {LAVFI, "-rf64", "auto", "k11.wav"}},
};

#define WRITERS ((int)(sizeof writers / sizeof *writers))

/* Starts a writer and kills it when it has written something. */
static void
kill_midway(int i)
{
	struct stat st = {0};
	pid_t pid;
	int status;

	ck_assert_int_ne(pid = fork(), -1);
	if (pid == 0) {
		if (chdir(dir) == 0)
			execvp(writers[i].argv[0], (char *const *)writers[i].argv);
		_exit(127);
	}
	at(writers[i].file);
	while (
	    (stat(path, &st) == -1 || st.st_size < 300000) && waitpid(pid, &status, WNOHANG) == 0)
		usleep(500);
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
}

START_TEST(a_killed_writer_loses_nothing_that_was_written)
{
	const char *file = writers[_i].file;
	struct chunk_layout l;
	char fixed[32];

	kill_midway(_i);
	l = layout_of(file);
	snprintf(fixed, sizeof fixed, "fixed-%s", file);
	ck_assert_int_eq(plan(file), 1);
	ck_assert_uint_eq(p.audio_bytes + p.lost_bytes, size_of(file) - l.audio_offset);
	ck_assert_uint_lt(p.lost_bytes, l.block_align);
	repair(file, fixed);
	ck_assert_int_eq(m.frames, (int64_t)((size_of(file) - l.audio_offset) / l.block_align));
	shell(
	    "for f in %s %s; do tail -c +%llu $f | head -c %llu | cksum; done | sort -u | wc -l | "
	    "grep -qx 1",
	    file, fixed, (unsigned long long)l.audio_offset + 1,
	    (unsigned long long)((uint64_t)m.frames * l.block_align));
	chunk_layout_free(&l);
	shell("rm %s %s*", file, fixed);
}
END_TEST

START_TEST(a_file_that_went_through_a_pipe_gets_its_sizes)
{
	static const char *const make[] = {
	    "ffmpeg -nostdin -v error -f lavfi -i sine=r=8000:d=2 -f wav - | cat >pipe.wav",
	    "sox -R -n -r 8000 -c 1 -b 16 -t wav - synth 2 sine 300 2>log | cat >pipe.wav",
	    "sox -R -n -r 8000 -c 1 -b 16 -t aiff - synth 2 sine 300 2>log | cat >pipe.aiff"};
	const char *name = _i == 2 ? "pipe.aiff" : "pipe.wav";

	shell("%s", make[_i]);
	repair(name, _i == 2 ? "fixed.aiff" : "fixed.wav");
	ck_assert_int_eq(m.frames, 16000);
}
END_TEST

/* ---- formats that are packed, counts and chunks ---- */

static const struct {
	const char *file, *make;
	uint64_t block, per_block;
} packed[] = {
    {"ms.wav", NOISE "-c 2 -e ms-adpcm ms.wav synth 1.3 pinknoise", 512, 500},
    {"ima.wav", NOISE "-c 1 -e ima-adpcm ima.wav synth 1.3 pinknoise", 256, 505},
    {"gsm.wav", NOISE "-c 1 -e gsm gsm.wav synth 1.3 pinknoise", 65, 320},
    {"ffima.wav",
	"ffmpeg -nostdin -v error -y -f lavfi -i sine=r=8000:d=2 -c:a adpcm_ima_wav ffima.wav",
	1024, 2041},
};

static uint32_t
fact_of(const char *name)
{
	struct chunk_layout l = layout_of(name);
	uint32_t v = 0;

	load(name);
	for (unsigned i = 0; i < l.n_chunks; i++)
		if (strcmp(l.chunks[i].id, "fact") == 0)
			for (unsigned k = 4; k-- > 0;)
				v = v << 8 | (unsigned char)b.data[l.chunks[i].offset + k];
	chunk_layout_free(&l);
	return v;
}

START_TEST(packed_formats_end_with_a_whole_block)
{
	uint64_t audio, block = packed[_i].block;

	shell("%s", packed[_i].make);
	load(packed[_i].file);
	ck_assert_int_eq(plan(packed[_i].file), 0);
	ck_assert(break_it(packed[_i].file, CUT, &audio));
	save("broken.wav");
	repair("broken.wav", "fixed.wav");
	ck_assert_uint_eq(size_of("fixed.wav") % 2, 0);
	ck_assert_uint_eq(fact_of("fixed.wav"), audio / block * packed[_i].per_block);
	ck_assert_int_eq(m.frames, (int64_t)(audio / block * packed[_i].per_block));
	assert_same_audio(packed[_i].file, "fixed.wav", (uint64_t)m.frames);
}
END_TEST

START_TEST(a_count_inside_the_last_block_is_true)
{
	uint64_t audio;
	uint32_t count;

	shell("%s", packed[0].make);
	count = fact_of("ms.wav");
	ck_assert_uint_ne(count % 500, 0);
	ck_assert(break_it("ms.wav", OUTER, &audio));
	save("broken.wav");
	repair("broken.wav", "fixed.wav");
	ck_assert_uint_eq(fact_of("fixed.wav"), count);
	shell("cmp ms.wav fixed.wav");
}
END_TEST

START_TEST(a_stale_fact_is_corrected)
{
	uint64_t audio;

	shell(NOISE "-c 2 -b 32 -e float x.wav synth 0.5 pinknoise");
	ck_assert_uint_eq(fact_of("x.wav"), 4000);
	ck_assert(break_it("x.wav", CUT, &audio));
	save("broken.wav");
	repair("broken.wav", "fixed.wav");
	ck_assert_uint_eq(fact_of("fixed.wav"), audio / 8);
}
END_TEST

/* A RIFF of 16 bits, mono, 8 kHz, with these sizes; the audio (no byte is zero) and what is behind
 * it follow. */
static void
wav(uint32_t riff, uint32_t data, size_t audio)
{
	static const char head[] = "RIFF\0\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0"
				   "\2\0\x10\0data\0\0\0";

	buf_clear(&b);
	insert(0, head, sizeof head);
	poke(4, 4, false, riff);
	poke(40, 4, false, data);
	for (size_t i = 0; i < audio; i++)
		insert(b.len, &"\x91\xa2\xb3\xc4\xd5\xe6\xf7"[i * 3 % 7], 1);
}

START_TEST(a_cut_chunk_behind_the_audio_is_left_out)
{
	wav(36 + 400 + 18 + 108, 400, 400);
	insert(b.len, "note\2\0\0\0hi", 10);
	insert(b.len, "LIST\x64\0\0\0INFOINAM\x50\0\0\0Table", 21);
	save("broken.wav");
	ck_assert_int_eq(plan("broken.wav"), 1);
	ck_assert_ptr_nonnull(strstr(p.message, "'LIST'"));
	ck_assert_uint_eq(p.lost_bytes, 21);
	ck_assert_uint_eq(p.audio_bytes, 400);
	repair("broken.wav", "fixed.wav");
	assert_chunks("fixed.wav", "fmt data note", false);
	ck_assert_uint_eq(size_of("fixed.wav"), 454);
}
END_TEST

START_TEST(junk_behind_the_audio_is_counted)
{
	wav(0, 401, 401);
	insert(b.len, "\0", 1);
	insert(b.len, "note\1\0\0\0.\0", 10);
	for (int i = 0; i < 300; i++)
		insert(b.len, "\0", 1);
	save("broken.wav");
	ck_assert_int_eq(plan("broken.wav"), 1);
	ck_assert_uint_eq(p.audio_bytes, 400);
	ck_assert_uint_eq(p.lost_bytes, 301);
	write_planned("broken.wav", "fixed.wav");
	assert_clean("fixed.wav");
	assert_chunks("fixed.wav", "fmt data note", false);
}
END_TEST

START_TEST(a_pad_byte_that_is_missing_is_put_there)
{
	wav(0xfffffff0, 400, 400);
	insert(36, "note\3\0\0\0abc", 11);
	save("broken.wav");
	repair("broken.wav", "fixed.wav");
	assert_chunks("fixed.wav", "fmt note data", false);
	ck_assert_uint_eq(p.lost_bytes, 0);
	ck_assert_uint_eq(size_of("fixed.wav"), 456);
}
END_TEST

START_TEST(filler_behind_the_frames_of_an_aiff_is_no_audio)
{
	struct chunk_layout l;

	shell(NOISE "-c 1 -b 16 x.aiff synth 0.5 pinknoise");
	load("x.aiff");
	l = layout_of("x.aiff");
	for (int i = 0; i < 112; i++)
		insert(b.len, "\x11", 1);
	poke(l.chunks[l.data].header + 4, 4, true, 8 + l.audio_size + 112);
	poke(4, 4, true, 0);
	chunk_layout_free(&l);
	save("broken.aiff");
	ck_assert_int_eq(plan("broken.aiff"), 1);
	ck_assert_uint_eq(p.lost_bytes, 112);
	repair("broken.aiff", "fixed.aiff");
	shell("cmp x.aiff fixed.aiff");
}
END_TEST

/* sox writes it, and ffmpeg does not read it. */
START_TEST(a_rifx_may_have_an_extensible_format)
{
	uint64_t audio;

	shell(NOISE "-c 2 -b 24 -B x.wav synth 0.5 pinknoise");
	load("x.wav");
	ck_assert_int_eq(memcmp(b.data, "RIFX", 4), 0);
	ck_assert_int_eq(memcmp(b.data + 20, "\xff\xfe", 2), 0);
	ck_assert(break_it("x.wav", _i == 0 ? ZEROS : CUT, &audio));
	save("broken.wav");
	ck_assert_int_eq(plan("broken.wav"), 1);
	ck_assert_uint_eq(p.audio_bytes, audio - audio % 6);
	write_planned("broken.wav", "fixed.wav");
	assert_chunks("fixed.wav", "fmt fact data", false);
	ck_assert_int_eq(plan("fixed.wav"), 0);
	if (_i == 0)
		shell("cmp x.wav fixed.wav");
	shell("for f in x fixed; do sox -D $f.wav -t f64 $f.raw; done >log 2>&1; test ! -s log && "
	      "test $(stat -c %%s fixed.raw) = %llu && cmp -n %llu x.raw fixed.raw",
	    (unsigned long long)audio / 6 * 16, (unsigned long long)audio / 6 * 16);
}
END_TEST

START_TEST(a_partial_frame_alone_is_no_reason)
{
	wav(36 + 401, 401, 401);
	save("x.wav");
	ck_assert_int_eq(plan("x.wav"), 0);
}
END_TEST

/* ---- what is refused, what is left alone ---- */

START_TEST(what_cannot_be_known_is_refused)
{
	static const struct {
		const char *code, *says;
	} expected[] = {{P_DECODE_ERROR, "no 'fmt ' chunk"}, {P_DECODE_ERROR, "two 'fmt ' chunks"},
	    {P_EMPTY, "not one frame"}, {P_DECODE_ERROR, "is cut"},
	    {P_TRUNCATED, "no 'data' chunk"}, {P_DECODE_ERROR, "contradicts itself"},
	    {P_UNSUPPORTED, "tag 0x0055"}, {P_DECODE_ERROR, "no usable count"},
	    {P_DECODE_ERROR, "contradicts itself"}, {P_DECODE_ERROR, "behind the audio"},
	    {P_DECODE_ERROR, "how long a block"}, {P_UNSUPPORTED, "4095 chunks"}};

	wav(0, 0, 400);
	switch (_i) {
	case 0:
		memcpy(b.data + 12, "fmt.", 4);
		break;
	case 1:
		insert(36, b.data + 12, 24);
		break;
	case 2:
		b.len = 45;
		break;
	case 3:
		poke(16, 4, false, 14);
		memmove(b.data + 34, b.data + 36, b.len -= 2);
		break;
	case 4:
		b.len = 30;
		break;
	case 5:
		poke(34, 2, false, 24);
		break;
	case 6:
		poke(20, 2, false, 0x55);
		break;
	case 7:
		poke(22, 2, false, 0);
		break;
	case 8:
		poke(20, 2, false, 0xfffe);
		break;
	case 9:
		wav(0, 400, 400);
		insert(b.len, b.data + 12, 24);
		memcpy(b.data + 12, "note", 4);
		break;
	case 10:
		poke(20, 2, false, 2);
		break;
	default:
		wav(0, 400, 400);
		for (int i = 0; i < 4200; i++)
			insert(b.len, "DISP\0\0\0", 8);
	}
	save("broken.wav");
	ck_assert_int_eq(plan("broken.wav"), -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_msg(strcmp(e.code, expected[_i].code) == 0, "%s: %s", e.code, e.text);
	ck_assert_msg(strstr(e.text, expected[_i].says) != NULL, "%s", e.text);
}
END_TEST

START_TEST(an_aiff_of_unknown_packets_is_refused)
{
	uint64_t audio;

	shell(FF "-c:a adpcm_ima_qt -f aiff ima4.aiff || { " NOISE
		 "-c 2 -b 16 noise.wav synth 0.5 pinknoise; " FF
		 "-c:a adpcm_ima_qt -f aiff ima4.aiff; }");
	load("ima4.aiff");
	ck_assert_int_eq(plan("ima4.aiff"), 0);
	ck_assert(break_it("ima4.aiff", ZEROS, &audio));
	save("broken.aiff");
	ck_assert_int_eq(plan("broken.aiff"), -1);
	ck_assert_ptr_nonnull(strstr(e.text, "ima4"));
}
END_TEST

START_TEST(other_files_are_left_alone)
{
	static const char *const others[] = {"", "RIFF", "Dear diary, today I recorded nothing.",
	    "RIFF1234AVI LIST and so on, and on, and on", "fLaC and so on, and on, and on"};

	insert(0, others[_i], strlen(others[_i]));
	save("other");
	ck_assert_int_eq(plan("other"), 0);
}
END_TEST

/* ---- more than 4 GiB ---- */

#define HUGE_BYTES (UINT64_C(5) << 30)

/* b, then nothing that was ever written. */
static void
save_huge(const char *name)
{
	save(name);
	ck_assert_int_eq(truncate(at(name), (off_t)HUGE_BYTES), 0);
}

/* The head of the new file alone; the rest is a hole. */
static void
write_head(const char *from, const char *to)
{
	struct rlimit old, low;
	int fd = open(at(from), O_RDONLY), out;

	out = open(at(to), O_RDWR | O_CREAT | O_TRUNC, 0600);
	ck_assert(fd != -1 && out != -1);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &old), 0);
	low = old;
	low.rlim_cur = 65536;
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &low), 0);
	ck_assert_int_eq(rehead_write(&p, fd, out, NULL, NULL, &e), -1);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &old), 0);
	ck_assert_int_eq(e.class, ERR_SYSTEM);
	ck_assert_int_eq(ftruncate(out, (off_t)p.pieces.size_bytes), 0);
	close(fd);
	close(out);
}

START_TEST(a_wav_beyond_4_gib_becomes_rf64)
{
	struct audio_opts o = {.quick = true};
	static const uint32_t sizes[] = {UINT32_MAX, 0, 0x80000000, 400};
	bool junk = _i % 2 == 1;
	char frames[64];
	int fd;

	wav(sizes[_i / 2], sizes[_i / 2], 100);
	if (junk)
		insert(12, "JUNK\x1c\0\0\0............................", 36);
	save_huge("huge.wav");
	/* A stretch of nothing but zeros behind the declared end would be no audio. */
	fd = open(at("huge.wav"), O_WRONLY);
	ck_assert_int_eq(pwrite(fd, "\xab\xcd", 2, 80 + sizes[_i / 2] % UINT32_MAX), 2);
	close(fd);
	ck_assert_int_eq(plan("huge.wav"), 1);
	ck_assert_str_eq(p.container, "rf64");
	ck_assert_uint_eq(p.audio_bytes, HUGE_BYTES - (junk ? 80 : 44));
	/* With room for ds64, nothing moves. */
	ck_assert_uint_eq(p.pieces.size_bytes, HUGE_BYTES + (junk ? 0 : 36));
	snprintf(frames, sizeof frames, "%llu", (unsigned long long)p.audio_bytes / 2);
	write_head("huge.wav", "huge.rf64");
	assert_chunks("huge.rf64", "ds64 fmt data", false);
	shell(
	    "test $(ffprobe -v error -show_entries stream=duration_ts -of csv=p=0 huge.rf64) = %s",
	    frames);
	fd = open(at("huge.rf64"), O_RDONLY);
	ck_assert_int_eq(audio_measure(fd, &o, &m, &e), 0);
	close(fd);
	ck_assert_msg(m.problem.class == ERR_NONE, "%s", m.problem.text);
	ck_assert_int_eq(m.frames, strtoll(frames, NULL, 10));
	ck_assert_int_eq(plan("huge.rf64"), 0);
	shell("cmp -s -n 100 -i 44:80 huge.wav huge.rf64 || cmp -n 100 -i 80 huge.wav huge.rf64");
	shell("rm huge.*");
}
END_TEST

START_TEST(an_rf64_keeps_its_table)
{
	wav(UINT32_MAX, UINT32_MAX, 400);
	insert(12, "ds64\x28\0\0\0________________________\1\0\0\0smpl\5\0\0\0\0\0\0\0", 48);
	memset(b.data + 20, 0, 24);
	memcpy(b.data, "RF64", 4);
	save("broken.wav");
	repair("broken.wav", "fixed.wav");
	ck_assert_int_eq(plan("broken.wav"), 1);
	ck_assert_uint_eq(p.pieces.size_bytes, size_of("broken.wav"));
	load("fixed.wav");
	ck_assert_int_eq(memcmp(b.data + 44, "\1\0\0\0smpl\5\0\0\0\0\0\0\0fmt ", 20), 0);
	ck_assert_int_eq(memcmp(b.data + 28, "\x90\1\0\0\0\0\0\0\xc8\0\0\0\0\0\0\0", 16), 0);
}
END_TEST

START_TEST(what_has_no_form_for_4_gib_is_refused)
{
	uint64_t audio;

	shell(NOISE "-c 1 -b 16 %s x synth 0.05 pinknoise", _i == 0 ? "-t aiff" : "-B -t wav");
	load("x");
	ck_assert(break_it("x", ONES, &audio));
	save_huge("huge");
	ck_assert_int_eq(plan("huge"), -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_str_eq(e.code, P_TOO_LARGE);
	shell("rm huge");
}
END_TEST

START_TEST(a_w64_may_be_any_length)
{
	uint64_t audio;

	shell(NOISE "-c 2 -b 16 x.w64 synth 0.05 pinknoise");
	load("x.w64");
	ck_assert(break_it("x.w64", ZEROS, &audio));
	save_huge("huge.w64");
	ck_assert_int_eq(plan("huge.w64"), 1);
	ck_assert_str_eq(p.container, "w64");
	write_head("huge.w64", "fixed.w64");
	ck_assert_int_eq(plan("fixed.w64"), 0);
	shell("rm huge.w64 fixed.w64");
}
END_TEST

/* ---- writing ---- */

START_TEST(writing_can_be_stopped_and_tells_how_far_it_is)
{
	atomic_int stop = 1;
	atomic_ullong done = 0;
	int fd, out;

	wav(0, 0, 4000);
	save("broken.wav");
	ck_assert_int_eq(plan("broken.wav"), 1);
	fd = open(at("broken.wav"), O_RDONLY);
	out = open(at("out"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_eq(rehead_write(&p, fd, out, &stop, &done, &e), -1);
	ck_assert_int_eq(e.class, ERR_STOPPED);
	/* A second attempt starts at the beginning. */
	stop = 0;
	ck_assert_int_eq(rehead_write(&p, fd, out, &stop, &done, &e), 0);
	ck_assert_uint_eq(size_of("out"), 4044);
	ck_assert_uint_ge(atomic_load(&done), 4000);
	/* What became shorter meanwhile is not filled up. */
	ck_assert_int_eq(truncate(at("broken.wav"), 2000), 0);
	ck_assert_int_eq(rehead_write(&p, fd, out, NULL, NULL, &e), -1);
	ck_assert_str_eq(e.code, P_MODIFIED);
	close(fd);
	close(out);
}
END_TEST

/* ---- any bytes ---- */

/* Legal, and yet not for sox: a block size in SSND, fewer valid bits than are stored. */
static const struct {
	const char *name, *make;
	size_t skip, skip_end;
} seeds[] = {
    {"a.wav", NOISE "-c 2 -b 16 a.wav synth 0.1 pinknoise"},
    {"a.w64", "ffmpeg -nostdin -v error -y -f lavfi -i sine=r=8000:d=0.1 -c:a pcm_s24le a.w64"},
    {"a.aiff", "ffmpeg -nostdin -v error -y -f lavfi -i sine=r=8000:d=0.1 a.aiff", 50, 54},
    {"a.rf64",
	"ffmpeg -nostdin -v error -y -f lavfi -i sine=r=8000:d=0.1 -f wav -rf64 always a.rf64"},
    {"x.wav", NOISE "-c 6 -b 24 x.wav synth 0.1 pinknoise", 38, 40},
};
#define SEEDS ((int)(sizeof seeds / sizeof *seeds))

/* Repairs `broken` when it is to be, and says whether the header that comes out is a new one. */
static bool
gives_a_new_header(const char *fixed, uint64_t *seen, unsigned *n_seen)
{
	struct chunk_layout l;
	uint64_t sum;

	if (plan("broken") != 1)
		return false;
	write_planned("broken", fixed);
	load(fixed);
	l = layout_of(fixed);
	sum = XXH3_64bits(b.data, l.audio_offset);
	chunk_layout_free(&l);
	for (unsigned k = 0; k < *n_seen; k++)
		if (seen[k] == sum)
			return false;
	seen[(*n_seen)++] = sum;
	return true;
}

/*
 * One byte of the first 128 of a healthy or an unfinished file is changed (in one way, with
 * REC_FAULT=full in both): refused, or left alone,
 * or a file comes out of it that all read. Many have the same header; each is judged once.
 */
START_TEST(a_changed_byte_gives_a_good_file_or_none)
{
	static const char flips[] = {'\xff', '\x01'};
	const char *name = seeds[_i / 2].name;
	char names[128 * sizeof flips * 12] = "";
	uint64_t seen[128 * sizeof flips];
	unsigned n_seen = 0;
	struct buf seed = {0};
	uint64_t audio;

	shell("%s", seeds[_i / 2].make);
	load(name);
	if (_i % 2 == 1)
		ck_assert(break_it(name, ZEROS, &audio));
	buf_add(&seed, b.data, b.len, &e);
	for (size_t i = 0; i < 128 * sizeof flips; i++) {
		char fixed[16];

		if (i / sizeof flips >= seeds[_i / 2].skip &&
		    i / sizeof flips < seeds[_i / 2].skip_end)
			continue;
		if (!full && i % sizeof flips != i / sizeof flips % sizeof flips)
			continue;
		buf_clear(&b);
		buf_add(&b, seed.data, seed.len, &e);
		b.data[i / sizeof flips] ^= flips[i % sizeof flips];
		save("broken");
		snprintf(fixed, sizeof fixed, "f%u%s", n_seen, strchr(name, '.'));
		if (!gives_a_new_header(fixed, seen, &n_seen))
			continue;
		assert_whole(fixed);
		snprintf(names + strlen(names), sizeof names - strlen(names), " %s", fixed);
	}
	if (n_seen > 0)
		assert_peers_silent(names, TO_NOTHING);
	buf_free(&seed);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("rehead");
	TCase *t = tcase_create("rebuild");
	SRunner *r;
	char line[64];
	int failed;

	full = getenv("REC_FAULT") != NULL && strcmp(getenv("REC_FAULT"), "full") == 0;
	if (mkdtemp(dir) == NULL)
		return 1;
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, every_frame_of_a_broken_file_is_behind_a_true_header, 0, FORMATS);
	tcase_add_loop_test(t, a_killed_writer_loses_nothing_that_was_written, 0, WRITERS);
	tcase_add_loop_test(t, a_file_that_went_through_a_pipe_gets_its_sizes, 0, 3);
	tcase_add_loop_test(t, packed_formats_end_with_a_whole_block, 0, 4);
	tcase_add_test(t, a_count_inside_the_last_block_is_true);
	tcase_add_test(t, a_stale_fact_is_corrected);
	tcase_add_test(t, a_cut_chunk_behind_the_audio_is_left_out);
	tcase_add_test(t, junk_behind_the_audio_is_counted);
	tcase_add_test(t, a_pad_byte_that_is_missing_is_put_there);
	tcase_add_test(t, filler_behind_the_frames_of_an_aiff_is_no_audio);
	tcase_add_loop_test(t, a_rifx_may_have_an_extensible_format, 0, 2);
	tcase_add_test(t, a_partial_frame_alone_is_no_reason);
	tcase_add_loop_test(t, what_cannot_be_known_is_refused, 0, 12);
	tcase_add_test(t, an_aiff_of_unknown_packets_is_refused);
	tcase_add_loop_test(t, other_files_are_left_alone, 0, 5);
	tcase_add_loop_test(t, a_wav_beyond_4_gib_becomes_rf64, 0, 8);
	tcase_add_test(t, an_rf64_keeps_its_table);
	tcase_add_loop_test(t, what_has_no_form_for_4_gib_is_refused, 0, 2);
	tcase_add_test(t, a_w64_may_be_any_length);
	tcase_add_test(t, writing_can_be_stopped_and_tells_how_far_it_is);
	tcase_add_loop_test(t, a_changed_byte_gives_a_good_file_or_none, 0, 2 * SEEDS);
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
