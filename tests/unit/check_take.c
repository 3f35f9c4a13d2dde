/*
 * take: what was recorded becomes a recording or stays what it is, whatever happens in between; no
 * byte of it is lost, and what somebody holds is left alone.
 */
#include "take.h"

#include <check.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "filechange.h"
#include "hash.h"
#include "io.h"
#include "mem.h"
#include "rollback.h"
#include "version.h"

const char *__lsan_default_suppressions(void);

/* What libsndfile forgets when it refuses a file. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libsndfile\n";
}

static const struct timespec START = {.tv_sec = 1757066400}; /* 2025-09-05 10:00:00 */
#define NAME "recording_20250905_100000.wav"
#define PART NAME ".part"
#define RAW "recordings/raw/"
#define TEMP "recordings/temp/"
#define BACKUP "recordings/backup/"
#define RECOVERED "rec-capture " REC_VERSION

static char start_dir[4096];
static char pattern[64]; /* an archive, made once; and sounds */
static char root[64];
static struct archive a;
static struct run r;
static struct take t;
static struct measure m;
static struct audio_opts opts;
static struct err e;
static int64_t id;

static void sh(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
sh(const char *fmt, ...)
{
	char command[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof command, fmt, args);
	va_end(args);
	ck_assert_msg(system(command) == 0, "%s", command);
}

static void
ok(int rc)
{
	ck_assert_msg(rc != -1, "%s", e.text);
}

static void
make_pattern(void)
{
	ck_assert_ptr_nonnull(getcwd(start_dir, sizeof start_dir));
	snprintf(pattern, sizeof pattern, "/tmp/check_take_pattern.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(pattern));
	sh("tests/data/make-archive %s/a >/dev/null", pattern);
	sh("cd %s && rm a/recordings/raw/*.part && mkdir a/recordings/temp &&"
	   " echo REC_TEMP_PATH=recordings/temp >>a/.env &&"
	   " echo REC_BACKUP_PATH=recordings/backup >>a/.env &&"
	   " sox -R -D -n -r 8000 -b 16 -c 1 x.wav synth 0.5 sine 440 &&"
	   " sox -R -D -n -r 8000 -b 16 -c 1 y.wav synth 2 pinknoise && flac -s y.wav -o y.flac",
	    pattern);
}

static void
remove_pattern(void)
{
	ck_assert_int_eq(chdir(start_dir), 0);
	sh("rm -rf -- '%s'", pattern);
}

static void
open_archive(void)
{
	ok(archive_open(&a, NULL, true, NULL, &e));
	ok(run_open(&r, &a, "capture", &e));
}

static void
close_archive(void)
{
	run_close(&r);
	archive_close(&a);
}

/* As a kill, and then the next run. */
static void
again(void)
{
	close_archive();
	open_archive();
}

static void
setup(void)
{
	snprintf(root, sizeof root, "/tmp/check_take.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	sh("cp -a %s/a %s/a", pattern, root);
	ck_assert_int_eq(chdir(root), 0);
	ck_assert_int_eq(chdir("a"), 0);
	open_archive();
	ok(run_upgrade(&r, &e));
	ok(run_end(&r, 0, &e));
	again();
	audio_measure_init(&m);
	t = (struct take){.fd = -1};
	id = 0;
}

static void
teardown(void)
{
	take_close(&t);
	audio_measure_free(&m);
	close_archive();
	ck_assert_int_eq(chdir(start_dir), 0);
	sh("rm -rf -- '%s'", root);
}

static bool
there(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

static void
same(const char *x, const char *y)
{
	sh("cmp '%s' '%s'", x, y);
}

static const char *
sound(const char *name)
{
	static char path[2][128];
	static unsigned n;

	snprintf(path[n ^= 1], sizeof path[0], "%s/%s", pattern, name);
	return path[n];
}

/* Appends a file to the take. */
static void
feed(const char *from)
{
	struct buf b = {0};

	ok(io_read_file(AT_FDCWD, from, 1 << 20, &b, &e));
	ok(io_write(t.fd, b.data, b.len, &e));
	buf_free(&b);
}

static void
take(const char *from)
{
	ok(take_open(&t, &a, START, "wav", 0, &e));
	feed(from);
}

/* The recording's provenance is this: "tool started_at details". */
static void
comes_from(int64_t recording, const char *wanted)
{
	sh("test \"$(sqlite3 -readonly -separator ' ' db/app.db 'SELECT tool, started_at, details"
	   " FROM rec_provenance WHERE recording_id = %lld')\" = '%s'",
	    (long long)recording, wanted);
}

static bool
has_row(const char *name)
{
	int rc = catalogue_find_stored(a.catalogue, name, strlen(name), &id, &e);

	ok(rc);
	return rc == 1;
}

/* ---- recording ---- */

START_TEST(a_take_becomes_a_recording_with_its_bytes)
{
	struct provenance origin = {.tool = "check 1", .started = START};
	struct catalogue_row row;
	struct stat st;

	ok(take_open(&t, &a, START, "wav", 1 << 20, &e));
	ck_assert_str_eq(t.name, NAME);
	ck_assert_int_eq(fstat(t.fd, &st), 0);
	ck_assert_int_eq(st.st_size, 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	feed(sound("x.wav"));
	ok(take_finish(&t, &r, "A title", &origin, &opts, &m, &id, &e));
	ck_assert_int_eq(t.fd, -1);
	ck_assert_int_eq(m.frames, 4000);
	ck_assert_int_eq(m.problem.class, ERR_NONE);
	same(RAW NAME, sound("x.wav"));
	ck_assert(!there(TEMP PART));
	ck_assert_int_eq(stat(RAW NAME, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0644);
	ck_assert_int_le(st.st_blocks, 64); /* what was reserved is given back */
	ck_assert_int_eq(st.st_nlink, 1);
	ck_assert_int_eq(catalogue_row_by_id(a.catalogue, id, &row, &e), 1);
	ck_assert_str_eq(row.stored, NAME);
	ck_assert_str_eq(row.xxh3_128, m.xxh3_128);
	catalogue_row_free(&row);
	comes_from(id, "check 1 2025-09-05T10:00:00.000000Z {}");
	ok(run_end(&r, 0, &e));
	again();
	same(RAW NAME, sound("x.wav"));
}
END_TEST

START_TEST(a_name_that_is_taken_anywhere_is_numbered)
{
	struct take other;

	sh("cp %s " RAW NAME, sound("x.wav"));
	sh("cp %s recordings/edited/recording_20250905_100000-2.wav", sound("x.wav"));
	sh(": >" TEMP "recording_20250905_100000-3.wav.part");
	sh("sqlite3 db/app.db \"UPDATE recordings SET"
	   " stored_filename = 'recording_20250905_100000-4.wav' WHERE id = 7\"");
	ok(take_open(&t, &a, START, "wav", 0, &e));
	ck_assert_str_eq(t.name, "recording_20250905_100000-5.wav");
	ok(take_open(&other, &a, START, "wav", 0, &e));
	ck_assert_str_eq(other.name, "recording_20250905_100000-6.wav");
	take_close(&other);
	ok(take_open(&other, &a, START, "flac", 0, &e));
	ck_assert_str_eq(other.part, "recording_20250905_100000.flac.part");
	take_close(&other);
}
END_TEST

START_TEST(a_name_that_was_taken_meanwhile_is_numbered)
{
	take(sound("x.wav"));
	sh("echo theirs >" RAW NAME);
	ok(take_finish(&t, &r, NULL, NULL, &opts, &m, &id, &e));
	ck_assert_str_eq(t.name, "recording_20250905_100000-2.wav");
	sh("echo theirs | cmp - " RAW NAME);
	same(RAW "recording_20250905_100000-2.wav", sound("x.wav"));
}
END_TEST

START_TEST(the_same_bytes_twice_are_two_recordings)
{
	int64_t first;

	take(sound("x.wav"));
	ok(take_finish(&t, &r, NULL, NULL, &opts, &m, &first, &e));
	audio_measure_free(&m);
	take_close(&t);
	take(sound("x.wav"));
	ok(take_finish(&t, &r, NULL, NULL, &opts, &m, &id, &e));
	ck_assert_int_ne(id, first);
}
END_TEST

START_TEST(an_empty_part_goes_and_one_that_holds_something_stays)
{
	ok(take_open(&t, &a, START, "wav", 4096, &e));
	take_close(&t);
	ck_assert(!there(TEMP PART));
	take(sound("x.wav"));
	take_close(&t);
	same(TEMP PART, sound("x.wav"));
	/* Not audio: not finished, and not lost. */
	ok(take_open(&t, &a, START, "wav", 0, &e));
	feed(RAW "3d9c172411e24b8fab0d549b6f03675a.wav");
	ck_assert_int_eq(take_finish(&t, &r, NULL, NULL, &opts, &m, &id, &e), -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_str_eq(e.code, P_NOT_AUDIO);
	ck_assert_int_eq(id, 0);
	same(TEMP "recording_20250905_100000-2.wav.part",
	    RAW "3d9c172411e24b8fab0d549b6f03675a.wav");
	ck_assert(!there(RAW "recording_20250905_100000-2.wav"));
}
END_TEST

START_TEST(a_disk_that_is_too_small_is_told_before_the_recording)
{
	ck_assert_int_eq(take_open(&t, &a, START, "wav", UINT64_C(1) << 60, &e), -1);
	ck_assert_int_eq(e.class, ERR_SYSTEM);
	ck_assert_str_eq(e.code, P_NO_SPACE);
	ck_assert(!there(TEMP PART));
	ck_assert_ptr_null(t.name);
}
END_TEST

START_TEST(a_part_that_lost_its_name_is_not_recorded)
{
	take(sound("x.wav"));
	sh("mv " TEMP PART " " TEMP "else && cp %s " TEMP PART, sound("y.wav"));
	ck_assert_int_eq(take_finish(&t, &r, NULL, NULL, &opts, &m, &id, &e), -1);
	ck_assert_str_eq(e.code, P_MODIFIED);
	same(TEMP PART, sound("y.wav"));
	same(TEMP "else", sound("x.wav"));
	ck_assert(!has_row(NAME));
}
END_TEST

/* ---- a kill in between ---- */

/* The journal line of x.wav, as take_finish writes it; the rows when told to. */
static void
announce(bool rows)
{
	struct json *line = filechange_line("record", FOLDER_RAW, NAME, FOLDER_BACKUP, NULL, &e);
	struct json *row;
	char sum[HASH_SHA256_HEX];
	int fd = open(sound("x.wav"), O_RDONLY);
	int64_t next;

	ok(io_digest(fd, HASH_XXH3_128, false, NULL, NULL, sum, &e));
	close(fd);
	ok(json_put_str(line, "from_folder", "temp", &e));
	ok(json_put_str(line, "from", PART, &e));
	ok(json_put_str(line, "xxh3_128_after", sum, &e));
	ok(run_announce(&r, line, &e));
	if (!rows)
		return;
	ok(run_begin(&r, &e));
	ok((int)(next = catalogue_next_id(a.catalogue, &e)));
	ck_assert_ptr_nonnull(row = json_new_object(&e));
	ok(json_put_int(row, "id", next, &e));
	ok(json_put_str(row, "filename", NAME, &e));
	ok(json_put_str(row, "stored_filename", NAME, &e));
	ok(json_put_real(row, "duration", 0.5, &e));
	/* What the schema would fill in. */
	ok(json_put_str(row, "status", "active", &e));
	ok(json_put_str(row, "sync_status", "unsynced", &e));
	ok(json_put_str(row, "created_at", "2025-09-05 10:00:00.000000", &e));
	ok(run_change(&r, "recordings", "id", next, row, &e));
	ok(run_commit(&r, &e));
}

static void
put_part(const char *from)
{
	sh("cp %s " TEMP PART, from);
}

START_TEST(without_a_row_the_part_stays)
{
	/* Announced alone; with a link; with a copy. */
	for (int state = 0; state < 3; state++) {
		put_part(sound("x.wav"));
		announce(false);
		if (state > 0)
			sh("%s " TEMP PART " " RAW NAME, state == 1 ? "ln" : "cp");
		again();
		same(TEMP PART, sound("x.wav"));
		ck_assert(!there(RAW NAME));
		ck_assert(!there(BACKUP NAME));
	}
}
END_TEST

START_TEST(without_a_row_and_a_part_the_recording_goes_to_backup)
{
	sh("cp %s " RAW NAME, sound("x.wav"));
	announce(false);
	again();
	same(BACKUP NAME, sound("x.wav"));
	ck_assert(!there(RAW NAME));
	/* A part that is something else is none. */
	sh("cp %s " RAW NAME, sound("x.wav"));
	put_part(sound("y.wav"));
	announce(false);
	again();
	same(BACKUP NAME ".2", sound("x.wav"));
	same(TEMP PART, sound("y.wav"));
	/* A file that is not what was announced is somebody's. */
	sh("mv " TEMP PART " " RAW NAME);
	put_part(sound("x.wav"));
	announce(false);
	again();
	same(RAW NAME, sound("y.wav"));
	same(TEMP PART, sound("x.wav"));
}
END_TEST

START_TEST(with_a_row_the_part_goes)
{
	put_part(sound("x.wav"));
	sh("ln " TEMP PART " " RAW NAME);
	announce(true);
	again();
	same(RAW NAME, sound("x.wav"));
	ck_assert(!there(TEMP PART));
}
END_TEST

START_TEST(with_a_row_a_copied_part_goes)
{
	put_part(sound("x.wav"));
	sh("cp " TEMP PART " " RAW NAME);
	announce(true);
	again();
	same(RAW NAME, sound("x.wav"));
	ck_assert(!there(TEMP PART));
}
END_TEST

START_TEST(with_a_row_what_has_other_bytes_or_is_alone_stays)
{
	put_part(sound("y.wav"));
	sh("cp %s " RAW NAME, sound("x.wav"));
	announce(true);
	again();
	same(RAW NAME, sound("x.wav"));
	same(TEMP PART, sound("y.wav"));
}
END_TEST

START_TEST(with_a_row_and_no_file_the_part_stays)
{
	put_part(sound("x.wav"));
	announce(true);
	again();
	same(TEMP PART, sound("x.wav"));
}
END_TEST

START_TEST(a_link_is_no_second_name)
{
	put_part(sound("x.wav"));
	sh("ln -s ../temp/" PART " " RAW NAME);
	announce(true);
	close_archive();
	/* Refused as leading out of its folder, or left: the bytes stay. */
	ok(archive_open(&a, NULL, true, NULL, &e));
	run_open(&r, &a, "capture", &e);
	same(TEMP PART, sound("x.wav"));
}
END_TEST

/* ---- rollback ---- */

static void
roll_back(int64_t conflicts)
{
	char name[JOURNAL_RUN_MAX];
	struct rollback back = {.a = &a, .run = name};

	snprintf(name, sizeof name, "%s", run_name(&r, &e));
	run_close(&r);
	ok(run_open(&r, &a, "rollback", &e));
	ok(rollback_run(&back, &e));
	ck_assert_int_eq(back.conflicts, conflicts);
	again();
}

START_TEST(a_recording_that_is_taken_back_lies_in_backup)
{
	sh("mkdir -p " BACKUP " && echo theirs >" BACKUP NAME);
	take(sound("x.wav"));
	ok(take_finish(&t, &r, NULL, NULL, &opts, &m, &id, &e));
	ok(run_end(&r, 0, &e));
	roll_back(0);
	ck_assert(!has_row(NAME));
	sh("test $(sqlite3 -readonly db/app.db 'SELECT count(*) FROM rec_provenance') = 0");
	ck_assert(!there(RAW NAME));
	ck_assert(!there(TEMP PART));
	same(BACKUP NAME ".2", sound("x.wav"));
	sh("echo theirs | cmp - " BACKUP NAME);
}
END_TEST

START_TEST(a_killed_recording_that_is_taken_back_is_the_part_again)
{
	put_part(sound("x.wav"));
	sh("ln " TEMP PART " " RAW NAME);
	announce(true);
	roll_back(0);
	ck_assert(!has_row(NAME));
	ck_assert(!there(RAW NAME));
	same(TEMP PART, sound("x.wav"));
}
END_TEST

START_TEST(a_row_that_was_changed_since_keeps_its_file)
{
	take(sound("x.wav"));
	ok(take_finish(&t, &r, NULL, NULL, &opts, &m, &id, &e));
	ok(run_end(&r, 0, &e));
	sh("sqlite3 db/app.db \"UPDATE recordings SET title = 'Mine' WHERE id = %lld\"",
	    (long long)id);
	roll_back(2); /* the row, and its file */
	ck_assert(has_row(NAME));
	same(RAW NAME, sound("x.wav"));
}
END_TEST

START_TEST(a_file_that_was_changed_since_stays)
{
	take(sound("x.wav"));
	ok(take_finish(&t, &r, NULL, NULL, &opts, &m, &id, &e));
	ok(run_end(&r, 0, &e));
	sh("echo more >>" RAW NAME);
	roll_back(1);
	ck_assert(there(RAW NAME));
}
END_TEST

/* ---- recovering ---- */

struct told {
	unsigned n;
	char part[8][64];
	int64_t id[8];
	const char *code[8];
};

static int
tell(void *ctx, const char *part, int64_t got, const struct err *problem, struct err *why)
{
	struct told *told = ctx;

	(void)why;
	ck_assert_uint_lt(told->n, 8);
	snprintf(told->part[told->n], sizeof told->part[0], "%s", part);
	told->id[told->n] = got;
	told->code[told->n++] = problem != NULL ? problem->code : "";
	return 0;
}

static struct told
recover(void)
{
	struct told told = {0};

	ok(take_recover(&a, &r, &opts, tell, &told, &e));
	return told;
}

START_TEST(a_part_that_somebody_holds_is_left_alone)
{
	struct told told;

	take(sound("x.wav"));
	told = recover();
	ck_assert_uint_eq(told.n, 0);
	/* Nor does a run that starts meanwhile sweep it. */
	again();
	same(TEMP PART, sound("x.wav"));
	/* Its holder dies. */
	close(t.fd);
	t.fd = -1;
	told = recover();
	ck_assert_uint_eq(told.n, 1);
	ck_assert_str_eq(told.part[0], PART);
	ck_assert_str_eq(told.code[0], "");
	ck_assert_int_ne(told.id[0], 0);
	comes_from(told.id[0], RECOVERED " 2025-09-05T10:00:00.000000Z {\"recovered\":true}");
	same(RAW NAME, sound("x.wav"));
	ck_assert(!there(TEMP PART));
	ck_assert(!there(BACKUP PART));
}
END_TEST

START_TEST(a_dry_run_changes_nothing)
{
	struct told told = {0};

	put_part(sound("x.wav"));
	sh("head -c 5000 %s >" TEMP "b.wav.part; chmod 600 " TEMP "*", sound("y.wav"));
	sh("find recordings -printf '%%p %%i %%m %%s %%T@\\n' | sort >../before");
	ok(take_recover(&a, NULL, &opts, tell, &told, &e));
	ck_assert_uint_eq(told.n, 2);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(told.id[i], 0);
		ck_assert_str_eq(told.code[i], "");
	}
	sh("find recordings -printf '%%p %%i %%m %%s %%T@\\n' | sort | diff ../before -");
}
END_TEST

START_TEST(a_header_that_was_never_finished_is_made_true)
{
	struct told told;
	struct catalogue_row row;
	char name[64];

	/* Cut; and with the sizes that a writer puts there first. */
	sh("head -c 5001 %s >" TEMP PART "; chmod 600 " TEMP PART, sound("y.wav"));
	sh("cp %s " TEMP "live.wav.part; printf '\\0\\0\\0\\0' |"
	   " dd of=" TEMP "live.wav.part bs=1 seek=40 conv=notrunc status=none",
	    sound("x.wav"));
	told = recover();
	ck_assert_uint_eq(told.n, 2);
	ck_assert_str_eq(told.part[0], "live.wav.part");
	ck_assert_str_eq(told.code[0], "");
	ck_assert_str_eq(told.code[1], "");
	sh("head -c 5001 %s | cmp - " BACKUP PART, sound("y.wav"));
	ck_assert(there(BACKUP "live.wav.part"));
	same(RAW "live.wav", sound("x.wav"));
	sh("test -z \"$(ls " TEMP ")\"");
	sh("test $(stat -c %%a " RAW NAME ") = 644");
	sh("head -c 5000 %s | tail -c 4956 >../audio; tail -c 4956 " RAW NAME " | cmp - ../audio",
	    sound("y.wav"));
	ck_assert_int_eq(catalogue_row_by_id(a.catalogue, told.id[1], &row, &e), 1);
	snprintf(name, sizeof name, "%s", row.stored);
	ck_assert_str_eq(name, NAME);
	catalogue_row_free(&row);
	/* By its name; that of the other tells nothing. */
	comes_from(told.id[1], RECOVERED " 2025-09-05T10:00:00.000000Z {\"recovered\":true}");
	comes_from(told.id[0], RECOVERED "  {\"recovered\":true}");
	/* Taken back, the parts are there again. */
	ok(run_end(&r, 0, &e));
	roll_back(0);
	sh("head -c 5001 %s | cmp - " TEMP PART, sound("y.wav"));
	ck_assert(!there(BACKUP PART));
	ck_assert(!there(RAW NAME));
}
END_TEST

START_TEST(flac_that_was_cut_is_recorded_with_its_problem)
{
	struct told told;

	sh("head -c 24000 %s >" TEMP "z.flac.part", sound("y.flac"));
	told = recover();
	ck_assert_uint_eq(told.n, 1);
	ck_assert_msg(told.id[0] != 0, "%s", told.code[0]);
	ck_assert_str_ne(told.code[0], "");
	sh("head -c 24000 %s | cmp - " RAW "z.flac", sound("y.flac"));
	sh("test -n \"$(sqlite3 -readonly db/app.db 'SELECT problem_code FROM rec_measurements"
	   " WHERE recording_id = %lld')\"",
	    (long long)told.id[0]);
}
END_TEST

START_TEST(what_holds_no_audio_is_told_and_stays)
{
	struct told told;

	sh(": >" TEMP "a.wav.part; head -c 44 %s >" TEMP "b.wav.part; echo text >" TEMP
	   "c.wav.part; head -c 20 %s >" TEMP "d.wav.part; mkdir " TEMP "e.wav.part;"
	   " ln -s a.wav.part " TEMP "f.wav.part; echo x >" TEMP "other.wav",
	    sound("x.wav"), sound("x.wav"));
	sh("ls -l " TEMP " >../before");
	told = recover();
	ck_assert_uint_eq(told.n, 6);
	for (unsigned i = 0; i < told.n; i++) {
		ck_assert_int_eq(told.id[i], 0);
		ck_assert_str_ne(told.code[i], "");
	}
	ck_assert_str_eq(told.code[0], P_EMPTY);
	ck_assert_str_eq(told.code[1], P_TRUNCATED); /* a header and nothing behind it */
	ck_assert_str_eq(told.code[2], P_NOT_AUDIO);
	sh("ls -l " TEMP " | diff ../before -");
}
END_TEST

START_TEST(a_part_with_the_bytes_of_a_recording_is_told_and_stays)
{
	struct told told;

	take(sound("x.wav"));
	ok(take_finish(&t, &r, NULL, NULL, &opts, &m, &id, &e));
	sh("cp %s " TEMP "again.wav.part", sound("x.wav"));
	told = recover();
	ck_assert_uint_eq(told.n, 1);
	ck_assert_str_eq(told.code[0], P_DUPLICATE);
	same(TEMP "again.wav.part", sound("x.wav"));
}
END_TEST

START_TEST(recovering_gives_a_free_name_and_goes_over_nothing)
{
	struct told told;

	sh("echo theirs >" RAW NAME);
	put_part(sound("x.wav"));
	told = recover();
	ck_assert_int_ne(told.id[0], 0);
	sh("echo theirs | cmp - " RAW NAME);
	same(RAW "recording_20250905_100000-2.wav", sound("x.wav"));
}
END_TEST

static void
add_tests(TCase *c)
{
	tcase_add_test(c, a_take_becomes_a_recording_with_its_bytes);
	tcase_add_test(c, a_name_that_is_taken_anywhere_is_numbered);
	tcase_add_test(c, a_name_that_was_taken_meanwhile_is_numbered);
	tcase_add_test(c, the_same_bytes_twice_are_two_recordings);
	tcase_add_test(c, an_empty_part_goes_and_one_that_holds_something_stays);
	tcase_add_test(c, a_disk_that_is_too_small_is_told_before_the_recording);
	tcase_add_test(c, a_part_that_lost_its_name_is_not_recorded);
	tcase_add_test(c, without_a_row_the_part_stays);
	tcase_add_test(c, without_a_row_and_a_part_the_recording_goes_to_backup);
	tcase_add_test(c, with_a_row_the_part_goes);
	tcase_add_test(c, with_a_row_a_copied_part_goes);
	tcase_add_test(c, with_a_row_what_has_other_bytes_or_is_alone_stays);
	tcase_add_test(c, with_a_row_and_no_file_the_part_stays);
	tcase_add_test(c, a_link_is_no_second_name);
	tcase_add_test(c, a_recording_that_is_taken_back_lies_in_backup);
	tcase_add_test(c, a_killed_recording_that_is_taken_back_is_the_part_again);
	tcase_add_test(c, a_row_that_was_changed_since_keeps_its_file);
	tcase_add_test(c, a_file_that_was_changed_since_stays);
	tcase_add_test(c, a_part_that_somebody_holds_is_left_alone);
	tcase_add_test(c, a_dry_run_changes_nothing);
	tcase_add_test(c, a_header_that_was_never_finished_is_made_true);
	tcase_add_test(c, flac_that_was_cut_is_recorded_with_its_problem);
	tcase_add_test(c, what_holds_no_audio_is_told_and_stays);
	tcase_add_test(c, a_part_with_the_bytes_of_a_recording_is_told_and_stays);
	tcase_add_test(c, recovering_gives_a_free_name_and_goes_over_nothing);
}

int
main(void)
{
	Suite *s = suite_create("take");
	TCase *c = tcase_create("take");
	SRunner *runner;
	int failed;

	tcase_set_timeout(c, 60);
	tcase_add_unchecked_fixture(c, make_pattern, remove_pattern);
	tcase_add_checked_fixture(c, setup, teardown);
	add_tests(c);
	suite_add_tcase(s, c);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
