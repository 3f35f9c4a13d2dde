/*
 * walfile: what it says of a log is what SQLite recovers from it, wherever the log was cut or
 * damaged. The logs are real; each is copied while its database is open, and looked at as a copy.
 */
#include "walfile.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "io.h"
#include "mem.h"

#define HEADER 32
#define FRAME (24 + 512) /* of the usual page size here */

static char root[] = "/tmp/check_walfile.XXXXXX";
static char live[64], copy[64], seen[64]; /* databases: the original, the copy, SQLite's own */
static struct err e;
static struct walfile w;
static sqlite3 *db; /* of live */

/* ---- files ---- */

static void
shell(const char *fmt, const char *a, const char *b)
{
	char command[512];

	snprintf(command, sizeof command, fmt, a, b);
	ck_assert_int_eq(system(command), 0);
}

static const char *
side(const char *database, const char *suffix)
{
	static char names[4][96];
	static unsigned next;
	char *name = names[next++ % 4];

	snprintf(name, sizeof names[0], "%s%s", database, suffix);
	return name;
}

static struct buf
slurp(const char *name)
{
	struct buf b = {0};

	ck_assert_msg(io_read_file(AT_FDCWD, name, 64 << 20, &b, &e) == 0, "%s", e.text);
	return b;
}

static void
put(const char *name, const void *p, size_t len)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(write(fd, p, len), (ssize_t)len);
	close(fd);
}

static void
flip(const char *name, off_t at, unsigned char bits)
{
	int fd = open(name, O_RDWR);
	unsigned char c;

	ck_assert_int_eq(pread(fd, &c, 1, at), 1);
	c ^= bits;
	ck_assert_int_eq(pwrite(fd, &c, 1, at), 1);
	close(fd);
}

/* Database and log, without the index. */
static void
copy_bytes(const char *from, const char *to)
{
	struct buf b = slurp(from), log = slurp(side(from, "-wal"));

	put(to, b.data, b.len);
	put(side(to, "-wal"), log.data, log.len);
	unlink(side(to, "-shm"));
	buf_free(&b);
	buf_free(&log);
}

/* By another process: closing a file here would drop the locks of the connection to it. */
static void
copy_live(void)
{
	shell("rm -f %s*", copy, "");
	shell("cp %s %s", live, copy);
	shell("cp %s-wal %s-wal", live, copy);
	shell("cp %s-shm %s-shm", live, copy);
}

static off_t
size_of(const char *name)
{
	struct stat st;

	ck_assert_int_eq(stat(name, &st), 0);
	return st.st_size;
}

/* ---- SQLite ---- */

static void
sql(sqlite3 *on, const char *text)
{
	ck_assert_msg(sqlite3_exec(on, text, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", text,
	    sqlite3_errmsg(on));
}

static sqlite3 *
open_db(const char *name)
{
	sqlite3 *opened;

	ck_assert_int_eq(sqlite3_open(name, &opened), SQLITE_OK);
	sql(opened, "PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0");
	return opened;
}

/* A database with an empty table, all of it in the log. */
static void
create(int page_size)
{
	char text[128];

	sqlite3_close(db);
	shell("rm -f %s*", live, "");
	db = open_db(live);
	snprintf(text, sizeof text,
	    "PRAGMA page_size = %d; PRAGMA journal_mode = WAL; CREATE TABLE t (x)", page_size);
	sql(db, text);
}

/* Transactions of about `pages` pages each. */
static void
insert(sqlite3 *on, int transactions, int pages)
{
	char text[128];

	for (int i = 0; i < transactions; i++) {
		snprintf(text, sizeof text, "INSERT INTO t VALUES (printf('%%0%dd', %d))",
		    pages * 500 + 1, i);
		sql(on, text);
	}
}

/* The frames that SQLite recovers from a copy of the copy, without its index. */
static uint64_t
sqlite_recovers(void)
{
	sqlite3 *on;
	int frames = -1, moved;

	copy_bytes(copy, seen);
	on = open_db(seen);
	sql(on, "SELECT count(*) FROM sqlite_schema");
	ck_assert_int_eq(
	    sqlite3_wal_checkpoint_v2(on, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &moved),
	    SQLITE_OK);
	sqlite3_close(on);
	ck_assert_int_ge(frames, 0);
	return (uint64_t)frames;
}

static void
look(void)
{
	memset(&w, 0xa5, sizeof w);
	ck_assert_msg(walfile_look(copy, &w, &e) == 0, "%s", e.text);
}

static void
setup(void)
{
	memcpy(root + strlen(root) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(root));
	snprintf(live, sizeof live, "%s/live.db", root);
	snprintf(copy, sizeof copy, "%s/copy.db", root);
	snprintf(seen, sizeof seen, "%s/seen.db", root);
	e = (struct err){0};
	db = NULL;
}

static void
teardown(void)
{
	sqlite3_close(db);
	shell("rm -rf -- '%s'", root, "");
}

/* ---- whole logs ---- */

START_TEST(an_absent_or_empty_log_is_no_log)
{
	static const struct walfile none = {0};

	look(); /* not even a database */
	ck_assert_mem_eq(&w, &none, sizeof w);
	create(512);
	copy_live();
	ck_assert_int_eq(truncate(side(copy, "-wal"), 0), 0);
	look();
	ck_assert(!w.present && !w.cut && !w.header_valid);
	ck_assert_uint_eq(w.frames + w.committed + w.damaged_at + w.size_bytes, 0);
	unlink(side(copy, "-shm"));
	look();
	ck_assert(!w.present && !w.index_present);
	unlink(side(copy, "-wal"));
	look();
	ck_assert_mem_eq(&w, &none, sizeof w);
	ck_assert_int_eq(walfile_look("/dev/null/no.db", &w, &e), 0);
	ck_assert(!w.present);
}
END_TEST

START_TEST(an_index_without_its_log_tells_what_was_lost)
{
	create(512);
	insert(db, 3, 2);
	copy_live();
	unlink(side(copy, "-wal"));
	look();
	ck_assert(!w.present && w.index_present);
	ck_assert_uint_gt(w.index_frames, 0);
}
END_TEST

START_TEST(a_whole_log_is_what_sqlite_recovers_at_every_page_size)
{
	for (int page = 512; page <= 65536; page *= 2) {
		create(page);
		insert(db, 3, 2);
		insert(db, 1, 700);
		copy_live();
		look();
		ck_assert(w.present && w.header_valid && !w.cut && w.index_present);
		ck_assert_uint_eq(w.page_size, (unsigned)page);
		ck_assert_uint_gt(w.frames, 4);
		ck_assert_uint_eq(w.committed, w.frames);
		ck_assert_uint_eq(w.index_frames, w.frames);
		ck_assert_uint_eq(w.size_bytes, HEADER + w.frames * (24 + (unsigned)page));
		ck_assert_uint_eq(w.damaged_at, 0);
		ck_assert_uint_eq(w.committed, sqlite_recovers());
		unlink(side(copy, "-shm"));
		look();
		ck_assert(w.header_valid && !w.index_present);
		ck_assert_uint_eq(w.index_frames, 0);
		ck_assert_uint_eq(w.committed, sqlite_recovers());
	}
}
END_TEST

/* Makes the copy's log one with checksums of big-endian words, as a big-endian machine writes it.
 */
static void
make_big_endian(void)
{
	struct buf b = slurp(side(copy, "-wal"));
	unsigned char *p = (unsigned char *)b.data;
	uint32_t sum[2] = {0, 0};

	p[3] |= 1;
	for (size_t at = 0; at < b.len; at += at == 0 ? HEADER : FRAME) {
		size_t len = at == 0 ? 24 : FRAME;

		for (size_t i = 0; i < len; i += 8) {
			const unsigned char *q = p + at + i;

			if (at > 0 && (i == 8 || i == 16))
				continue;
			sum[0] += ((uint32_t)q[0] << 24 | q[1] << 16 | q[2] << 8 | q[3]) + sum[1];
			sum[1] += ((uint32_t)q[4] << 24 | q[5] << 16 | q[6] << 8 | q[7]) + sum[0];
		}
		for (int i = 0; i < 8; i++)
			p[at + (at == 0 ? 24 : 16) + i] =
			    (unsigned char)(sum[i / 4] >> (24 - i % 4 * 8));
	}
	put(side(copy, "-wal"), b.data, b.len);
	buf_free(&b);
}

START_TEST(a_log_of_a_machine_with_the_other_byte_order_is_read_too)
{
	create(512);
	insert(db, 5, 3);
	copy_live();
	look();
	for (int i = 0; i < 2; i++) {
		ck_assert(w.header_valid);
		ck_assert_uint_gt(w.committed, 10);
		ck_assert_uint_eq(w.damaged_at, 0);
		ck_assert_uint_eq(w.committed, sqlite_recovers());
		make_big_endian();
		look();
	}
	flip(side(copy, "-wal"), HEADER + 2 * FRAME + 100, 1);
	look();
	ck_assert_uint_eq(w.frames, 2);
	ck_assert_uint_eq(w.damaged_at, HEADER + 2 * FRAME);
}
END_TEST

START_TEST(looking_changes_nothing_and_leaves_no_file)
{
	struct stat before, after;
	struct dirent *entry;
	int n = 0;
	DIR *d;

	create(512);
	insert(db, 3, 2);
	copy_live();
	unlink(side(copy, "-shm"));
	chmod(side(copy, "-wal"), 0444);
	ck_assert_int_eq(stat(side(copy, "-wal"), &before), 0);
	look();
	ck_assert_uint_gt(w.committed, 0);
	ck_assert_int_eq(stat(side(copy, "-wal"), &after), 0);
	ck_assert_int_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	ck_assert_int_eq(before.st_ctim.tv_nsec, after.st_ctim.tv_nsec);
	ck_assert_ptr_nonnull(d = opendir(root));
	while ((entry = readdir(d)) != NULL)
		n += strncmp(entry->d_name, "copy.db", 7) == 0;
	closedir(d);
	ck_assert_int_eq(n, 2);
}
END_TEST

START_TEST(a_link_to_the_database_has_the_log_of_the_database)
{
	char link[96];

	create(512);
	copy_live();
	snprintf(link, sizeof link, "%s/link.db", root);
	ck_assert_int_eq(symlink("copy.db", link), 0);
	ck_assert_int_eq(walfile_look(link, &w, &e), 0);
	ck_assert(w.present && w.header_valid && w.index_present);
}
END_TEST

START_TEST(what_is_there_and_no_readable_file_is_an_error)
{
	static const char *const suffixes[] = {"-wal", "-shm"};

	for (int i = 0; i < 4; i++) {
		const char *name = side(copy, suffixes[i % 2]);

		ck_assert_int_eq(i < 2 ? mkdir(name, 0755) : mkfifo(name, 0644), 0);
		e = (struct err){0};
		ck_assert_int_eq(walfile_look(copy, &w, &e), -1);
		ck_assert_int_eq(e.class, ERR_SYSTEM);
		ck_assert_ptr_null(e.code);
		ck_assert_msg(strstr(e.text, name) != NULL, "%s", e.text);
		ck_assert_int_eq(remove(name), 0);
	}
}
END_TEST

/* ---- cut logs ---- */

START_TEST(a_log_cut_anywhere_holds_what_sqlite_recovers)
{
	struct buf log;
	uint64_t all;

	create(512);
	insert(db, 3, 3);
	copy_live();
	look();
	all = w.committed;
	log = slurp(side(copy, "-wal"));
	for (size_t n = 1; n < log.len; n++) {
		size_t in_frame = n < HEADER ? 1 : (n - HEADER) % FRAME;

		/* Everything about the edges of header, frame header and frame; else a sample. */
		if (n > HEADER + 1 && in_frame > 26 && in_frame < FRAME - 1 && n % 97 != 0)
			continue;
		if (n > HEADER + 26 && in_frame > 1 && in_frame < FRAME - 1 && n % 7 != 0)
			continue;
		put(side(copy, "-wal"), log.data, n);
		look();
		ck_assert(w.present);
		ck_assert_uint_eq(w.size_bytes, n);
		ck_assert_msg(w.cut == (in_frame != 0), "cut at %zu", n);
		ck_assert_uint_eq(w.damaged_at, 0);
		ck_assert_uint_eq(w.frames, n < HEADER ? 0 : (n - HEADER) / FRAME);
		ck_assert_int_eq(w.header_valid, n >= HEADER);
		ck_assert_int_eq(w.index_present, n >= HEADER);
		ck_assert_uint_eq(w.index_frames, n >= HEADER ? all : 0);
		ck_assert_uint_le(w.committed, w.frames);
		ck_assert_msg(w.committed == sqlite_recovers(), "cut at %zu", n);
	}
	buf_free(&log);
}
END_TEST

START_TEST(a_cut_at_the_end_of_a_transaction_is_told_by_the_index_alone)
{
	uint64_t before;

	create(512);
	insert(db, 2, 3);
	copy_live();
	look();
	before = w.committed;
	insert(db, 1, 3);
	copy_live();
	ck_assert_int_eq(truncate(side(copy, "-wal"), (off_t)(HEADER + before * FRAME)), 0);
	look();
	ck_assert(!w.cut && w.damaged_at == 0);
	ck_assert_uint_eq(w.committed, before);
	ck_assert_uint_eq(w.frames, before);
	ck_assert_uint_gt(w.index_frames, before);
	/* Inside the transaction, its frames are there and not committed. */
	copy_live();
	ck_assert_int_eq(truncate(side(copy, "-wal"), (off_t)(HEADER + (before + 1) * FRAME)), 0);
	look();
	ck_assert(!w.cut);
	ck_assert_uint_eq(w.committed, before);
	ck_assert_uint_eq(w.frames, before + 1);
}
END_TEST

/* ---- damaged logs ---- */

START_TEST(a_flipped_byte_is_told_by_the_frame_it_is_in)
{
	uint64_t frames;
	off_t size;

	create(512);
	insert(db, 3, 2);
	copy_live();
	look();
	frames = w.frames;
	size = size_of(side(copy, "-wal"));
	for (off_t at = HEADER; at < size; at++) {
		uint64_t frame = (uint64_t)(at - HEADER) / FRAME;

		if ((at - HEADER) % FRAME >= 24 && at % 31 != 0)
			continue;
		flip(side(copy, "-wal"), at, 0x80);
		look();
		ck_assert_msg(
		    w.damaged_at == HEADER + frame * FRAME, "flip at %lld", (long long)at);
		ck_assert_uint_eq(w.frames, frame);
		ck_assert_uint_eq(w.index_frames, frames);
		ck_assert(!w.cut && w.header_valid);
		if (at % 5 == 0)
			ck_assert_uint_eq(w.committed, sqlite_recovers());
		flip(side(copy, "-wal"), at, 0x80);
	}
	look();
	ck_assert_uint_eq(w.damaged_at, 0);
	ck_assert_uint_eq(w.frames, frames);
}
END_TEST

START_TEST(damage_is_told_without_an_index_when_a_transaction_ends_behind_it)
{
	uint64_t frames;

	create(512);
	insert(db, 3, 2);
	copy_live();
	unlink(side(copy, "-shm"));
	look();
	frames = w.frames;
	ck_assert_uint_eq(w.committed, frames);
	for (uint64_t frame = 0; frame < frames; frame++) {
		/* Page number, size at the end, salts, checksum, data. */
		static const int parts[] = {3, 4, 8, 15, 16, 23, 24, FRAME - 1};

		for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
			off_t at = (off_t)(HEADER + frame * FRAME) + parts[i];
			/* The last frame without its salts is like one of another generation. */
			bool lost = frame + 1 == frames && parts[i] >= 8 && parts[i] < 16;

			flip(side(copy, "-wal"), at, 0x40);
			look();
			ck_assert_uint_eq(w.frames, frame);
			ck_assert_msg(w.damaged_at == (lost ? 0 : HEADER + frame * FRAME),
			    "frame %d byte %d", (int)frame, parts[i]);
			flip(side(copy, "-wal"), at, 0x40);
		}
	}
}
END_TEST

START_TEST(a_log_with_a_damaged_header_has_none)
{
	create(512);
	insert(db, 3, 2);
	copy_live();
	for (int at = 0; at < HEADER; at++) {
		for (int bit = 0; bit < 8; bit++) {
			flip(side(copy, "-wal"), at, (unsigned char)(1 << bit));
			look();
			ck_assert(w.present && !w.header_valid && !w.cut && !w.index_present);
			ck_assert_uint_eq(w.frames + w.committed + w.damaged_at + w.page_size, 0);
			flip(side(copy, "-wal"), at, (unsigned char)(1 << bit));
		}
		flip(side(copy, "-wal"), at, 1);
		ck_assert_uint_eq(sqlite_recovers(), 0);
		flip(side(copy, "-wal"), at, 1);
	}
}
END_TEST

/* A header of one frame's log, whose checksums are right. */
static void
forge(uint32_t magic, uint32_t version, uint32_t page_size, uint32_t page, size_t len)
{
	static unsigned char p[HEADER + 24 + 65536];
	const uint32_t words[] = {magic, version, page_size, 0, 7, 8};
	const uint32_t frame[] = {page, 1, 7, 8};
	uint32_t sum[2] = {0, 0};

	memset(p, 0, sizeof p);
	for (int i = 0; i < 24; i++)
		p[i] = (unsigned char)(words[i / 4] >> (24 - i % 4 * 8));
	for (int i = 0; i < 16; i++)
		p[HEADER + i] = (unsigned char)(frame[i / 4] >> (24 - i % 4 * 8));
	for (int i = 0; i < 6; i += 2) {
		sum[0] += words[i] + sum[1];
		sum[1] += words[i + 1] + sum[0];
	}
	for (int i = 0; i < 8; i++)
		p[24 + i] = (unsigned char)(sum[i / 4] >> (24 - i % 4 * 8));
	sum[0] += frame[0] + sum[1];
	sum[1] += frame[1] + sum[0];
	for (size_t i = 0; i < page_size && i < 65536; i += 8) {
		sum[0] += sum[1];
		sum[1] += sum[0];
	}
	for (int i = 0; i < 8; i++)
		p[HEADER + 16 + i] = (unsigned char)(sum[i / 4] >> (24 - i % 4 * 8));
	put(side(copy, "-wal"), p, len);
}

START_TEST(sizes_and_versions_that_cannot_be_are_refused_with_a_right_checksum)
{
	static const uint32_t bad[] = {
	    0, 1, 256, 511, 513, 768, 65535, 65537, 131072, 0x80000000, 0xffffffff, 0xfffffe00};

	forge(0x377f0683, 3007000, 512, 1, HEADER + FRAME);
	look();
	ck_assert(w.header_valid && w.frames == 1 && w.committed == 1);
	forge(0x377f0683, 3007000, 65536, 1, HEADER + 24 + 65536);
	look();
	ck_assert(w.header_valid && w.frames == 1 && w.committed == 1 && w.page_size == 65536);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		forge(0x377f0683, 3007000, bad[i], 1, HEADER + FRAME);
		look();
		ck_assert(w.present && !w.header_valid && w.frames == 0 && !w.cut);
	}
	forge(0x377f0683, 3007001, 512, 1, HEADER + FRAME);
	look();
	ck_assert(!w.header_valid);
	forge(0x377f0685, 3007000, 512, 1, HEADER + FRAME);
	look();
	ck_assert(!w.header_valid);
	/* Page 0 is none, whatever its checksum. */
	forge(0x377f0683, 3007000, 512, 0, HEADER + FRAME);
	look();
	ck_assert(w.header_valid && w.frames == 0);
}
END_TEST

START_TEST(of_any_rubbish_it_says_what_sqlite_recovers)
{
	struct buf log, index;

	create(512);
	insert(db, 6, 2);
	sql(db, "PRAGMA wal_checkpoint(FULL)");
	insert(db, 3, 2);
	copy_live();
	log = slurp(side(copy, "-wal"));
	index = slurp(side(copy, "-shm"));
	srandom(20240907);
	for (int i = 0; i < 250; i++) {
		size_t len = i % 3 == 0 ? (size_t)random() % log.len : log.len;

		put(side(copy, "-wal"), log.data, len);
		put(side(copy, "-shm"), index.data,
		    i % 7 == 0 ? (size_t)random() % 200 : index.len);
		for (long k = random() % 4; k > 0 && len > 0; k--)
			flip(side(copy, "-wal"), random() % (long)len,
			    (unsigned char)(1 + random() % 255));
		if (i % 5 == 0 && size_of(side(copy, "-shm")) > 96)
			flip(side(copy, "-shm"), random() % 96, 1);
		look();
		ck_assert_uint_le(w.committed, w.frames);
		ck_assert_uint_le(w.damaged_at, len);
		ck_assert_msg(w.committed == sqlite_recovers(), "round %d", i);
	}
	buf_free(&log);
	buf_free(&index);
}
END_TEST

/* ---- what lies behind the last frame ---- */

START_TEST(frames_of_an_older_generation_are_no_damage)
{
	uint64_t frames;
	off_t size;

	create(512);
	insert(db, 6, 3);
	sql(db, "PRAGMA wal_checkpoint(FULL)");
	insert(db, 1, 3);
	copy_live();
	size = size_of(side(copy, "-wal"));
	for (int with_index = 1; with_index >= 0; with_index--) {
		if (!with_index)
			unlink(side(copy, "-shm"));
		look();
		frames = w.frames;
		ck_assert_uint_gt(frames, 1);
		ck_assert_uint_lt(HEADER + (frames + 3) * FRAME, (uint64_t)size);
		ck_assert_uint_eq(w.committed, frames);
		ck_assert_uint_eq(w.index_frames, with_index ? frames : 0);
		ck_assert(!w.cut && w.damaged_at == 0);
		ck_assert_uint_eq(w.committed, sqlite_recovers());
	}
	/* A cut among them takes nothing that counts. */
	for (off_t n = size - 1; n > HEADER + (off_t)frames * FRAME + 15; n -= 13) {
		ck_assert_int_eq(truncate(side(copy, "-wal"), n), 0);
		look();
		ck_assert_msg(!w.cut && w.damaged_at == 0, "cut at %lld", (long long)n);
		ck_assert_uint_eq(w.committed, frames);
	}
	/* A cut before them does. */
	ck_assert_int_eq(truncate(side(copy, "-wal"), (off_t)(HEADER + frames * FRAME - 1)), 0);
	look();
	ck_assert(w.cut);
	ck_assert_uint_eq(w.frames, frames - 1);
}
END_TEST

START_TEST(damage_before_frames_of_an_older_generation_is_told)
{
	create(512);
	insert(db, 6, 3);
	sql(db, "PRAGMA wal_checkpoint(FULL)");
	insert(db, 2, 3);
	copy_live();
	flip(side(copy, "-wal"), HEADER + FRAME + 77, 1);
	look();
	ck_assert_uint_eq(w.frames, 1);
	ck_assert_uint_eq(w.damaged_at, HEADER + FRAME);
	unlink(side(copy, "-shm"));
	look();
	ck_assert_uint_eq(w.damaged_at, HEADER + FRAME);
	ck_assert_uint_eq(w.committed, sqlite_recovers());
}
END_TEST

START_TEST(a_log_that_sqlite_itself_shortened_is_not_cut)
{
	create(512);
	sql(db, "PRAGMA journal_size_limit = 5000");
	insert(db, 10, 3);
	sql(db, "PRAGMA wal_checkpoint(FULL)");
	insert(db, 1, 3);
	copy_live();
	ck_assert_int_eq(size_of(side(copy, "-wal")), 5000);
	ck_assert_int_ne((5000 - HEADER) % FRAME, 0);
	look();
	ck_assert_uint_gt(w.frames, 1);
	ck_assert_uint_lt(w.frames, 9);
	ck_assert(!w.cut && w.damaged_at == 0);
	ck_assert_uint_eq(w.committed, w.index_frames);
}
END_TEST

START_TEST(frames_of_a_transaction_that_goes_on_are_not_committed)
{
	uint64_t committed;

	create(512);
	insert(db, 2, 3);
	copy_live();
	look();
	committed = w.committed;
	sql(db, "PRAGMA cache_size = 10; BEGIN");
	insert(db, 20, 5);
	copy_live();
	look();
	ck_assert_uint_eq(w.committed, committed);
	ck_assert_uint_eq(w.index_frames, committed);
	ck_assert_uint_gt(w.frames, committed + 20);
	ck_assert_uint_eq(w.committed, sqlite_recovers());
	sql(db, "COMMIT");
}
END_TEST

START_TEST(frames_that_a_rolled_back_transaction_left_are_no_damage)
{
	struct buf log;

	create(512);
	insert(db, 2, 3);
	sql(db, "PRAGMA cache_size = 10; BEGIN");
	insert(db, 20, 5);
	sql(db, "ROLLBACK");
	insert(db, 1, 3);
	copy_live();
	for (int with_index = 1; with_index >= 0; with_index--) {
		if (!with_index)
			unlink(side(copy, "-shm"));
		look();
		/* The next frame is of this generation and continues another one's checksum. */
		log = slurp(side(copy, "-wal"));
		ck_assert_uint_gt(log.len, HEADER + (w.frames + 1) * FRAME);
		ck_assert_mem_eq(log.data + 16, log.data + HEADER + w.frames * FRAME + 8, 8);
		buf_free(&log);
		ck_assert_uint_eq(w.frames, w.committed);
		ck_assert_uint_eq(w.damaged_at, 0);
		ck_assert_uint_eq(w.committed, sqlite_recovers());
	}
	/* Damage before them is told, if the index knows that it was committed. */
	copy_live();
	flip(side(copy, "-wal"), (off_t)(HEADER + w.committed * FRAME - 1), 1);
	look();
	ck_assert_uint_eq(w.damaged_at, HEADER + w.frames * FRAME);
}
END_TEST

START_TEST(an_index_that_agrees_settles_what_a_killed_writer_left)
{
	struct buf first, log;
	uint64_t before;

	/*
	 * A transaction whose writer was killed between the log and the index, while another
	 * process had the database open: the next one overwrites its beginning.
	 */
	create(512);
	insert(db, 2, 2);
	copy_live();
	look();
	before = w.committed;
	sqlite3 *other = open_db(copy);
	insert(other, 1, 9);
	first = slurp(side(copy, "-wal"));
	sql(db, "INSERT INTO t VALUES (1)");
	shell("cp %s-wal %s-wal.next", live, seen);
	log = slurp(side(seen, "-wal.next"));
	ck_assert_uint_lt(log.len + 3 * FRAME, first.len);
	memcpy(first.data, log.data, log.len);
	sqlite3_close(other);
	copy_live();
	put(side(copy, "-wal"), first.data, first.len);
	look();
	ck_assert_uint_gt(w.committed, before);
	ck_assert_uint_eq(w.committed, w.index_frames);
	ck_assert_uint_eq(w.frames, w.committed);
	ck_assert_uint_eq(w.damaged_at, 0);
	ck_assert_uint_eq(w.committed, sqlite_recovers());
	/* Without the index it cannot be told from damage. */
	unlink(side(copy, "-shm"));
	look();
	ck_assert_uint_eq(w.damaged_at, HEADER + w.frames * FRAME);
	buf_free(&first);
	buf_free(&log);
}
END_TEST

/* ---- the index ---- */

START_TEST(a_damaged_or_short_index_is_none)
{
	create(512);
	insert(db, 3, 2);
	copy_live();
	for (int at = 0; at < 96; at++) {
		flip(side(copy, "-shm"), at, 0x10);
		look();
		ck_assert_msg(!w.index_present && w.index_frames == 0, "byte %d", at);
		ck_assert_uint_eq(w.committed, w.frames);
		flip(side(copy, "-shm"), at, 0x10);
	}
	look();
	ck_assert(w.index_present);
	for (int at = 0; at < 48; at++) { /* the same in both copies */
		flip(side(copy, "-shm"), at, 0x10);
		flip(side(copy, "-shm"), at + 48, 0x10);
		look();
		ck_assert_msg(!w.index_present, "byte %d", at);
		flip(side(copy, "-shm"), at, 0x10);
		flip(side(copy, "-shm"), at + 48, 0x10);
	}
	for (off_t n = 95; n >= 0; n -= 19) {
		ck_assert_int_eq(truncate(side(copy, "-shm"), n), 0);
		look();
		ck_assert(!w.index_present && w.header_valid && w.committed > 0);
	}
}
END_TEST

/* Sets a byte of both copies of the index's header and makes their checksums right. */
static void
seal(size_t at, unsigned char value)
{
	struct buf b = slurp(side(copy, "-shm"));
	uint32_t words[12] = {0};

	b.data[at] = (char)value;
	memcpy(words, b.data, 40);
	for (int i = 0; i < 10; i += 2) {
		words[10] += words[i] + words[11];
		words[11] += words[i + 1] + words[10];
	}
	memcpy(b.data, words, 48);
	memcpy(b.data + 48, words, 48);
	put(side(copy, "-shm"), b.data, b.len);
	buf_free(&b);
}

START_TEST(an_index_that_is_unfinished_or_of_another_version_is_none)
{
	create(512);
	insert(db, 3, 2);
	copy_live();
	seal(12, 1);
	look();
	ck_assert(w.index_present);
	seal(12, 0); /* isInit */
	look();
	ck_assert(!w.index_present);
	seal(12, 1);
	seal(1, 0xff); /* iVersion */
	look();
	ck_assert(!w.index_present);
}
END_TEST

START_TEST(an_index_of_another_generation_is_none)
{
	create(512);
	insert(db, 6, 3);
	copy_live();
	shell("cp %s-shm %s-shm.old", copy, live);
	sql(db, "PRAGMA wal_checkpoint(FULL)");
	insert(db, 1, 3);
	copy_live();
	look();
	ck_assert(w.index_present);
	shell("cp %s-shm.old %s-shm", live, copy);
	look();
	ck_assert(!w.index_present);
	ck_assert_uint_eq(w.index_frames, 0);
	ck_assert_uint_eq(w.damaged_at, 0);
	ck_assert_uint_gt(w.committed, 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("walfile");
	TCase *t = tcase_create("walfile");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 300);
	tcase_add_test(t, an_absent_or_empty_log_is_no_log);
	tcase_add_test(t, an_index_without_its_log_tells_what_was_lost);
	tcase_add_test(t, a_whole_log_is_what_sqlite_recovers_at_every_page_size);
	tcase_add_test(t, a_log_of_a_machine_with_the_other_byte_order_is_read_too);
	tcase_add_test(t, looking_changes_nothing_and_leaves_no_file);
	tcase_add_test(t, a_link_to_the_database_has_the_log_of_the_database);
	tcase_add_test(t, what_is_there_and_no_readable_file_is_an_error);
	tcase_add_test(t, a_log_cut_anywhere_holds_what_sqlite_recovers);
	tcase_add_test(t, a_cut_at_the_end_of_a_transaction_is_told_by_the_index_alone);
	tcase_add_test(t, a_flipped_byte_is_told_by_the_frame_it_is_in);
	tcase_add_test(t, damage_is_told_without_an_index_when_a_transaction_ends_behind_it);
	tcase_add_test(t, a_log_with_a_damaged_header_has_none);
	tcase_add_test(t, sizes_and_versions_that_cannot_be_are_refused_with_a_right_checksum);
	tcase_add_test(t, of_any_rubbish_it_says_what_sqlite_recovers);
	tcase_add_test(t, frames_of_an_older_generation_are_no_damage);
	tcase_add_test(t, damage_before_frames_of_an_older_generation_is_told);
	tcase_add_test(t, a_log_that_sqlite_itself_shortened_is_not_cut);
	tcase_add_test(t, frames_of_a_transaction_that_goes_on_are_not_committed);
	tcase_add_test(t, frames_that_a_rolled_back_transaction_left_are_no_damage);
	tcase_add_test(t, an_index_that_agrees_settles_what_a_killed_writer_left);
	tcase_add_test(t, a_damaged_or_short_index_is_none);
	tcase_add_test(t, an_index_that_is_unfinished_or_of_another_version_is_none);
	tcase_add_test(t, an_index_of_another_generation_is_none);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
