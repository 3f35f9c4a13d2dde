/*
 * ledger: what a sync notes while it works comes back; a secret session is in a file that only its
 * owner reads and not in the catalogue; what is proven ends its upload; what is left over is swept.
 */
#include "ledger.h"

#include <dirent.h>

#include "remote_kind.h"
#include "sync_archive.h"

#define SECRET "https://upload.example/session?upload_id=verysecret"
#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define T "2026-01-02T03:04:05Z"

static void
secret(bool is)
{
	s.remote->can.secret_session = is;
}

static struct catalogue_upload
upload(int n)
{
	struct catalogue_upload u = {.recording_id = 1, .size_bytes = 10, .part_bytes = 4};

	snprintf(u.key, sizeof u.key, "raw/%d.wav", n);
	snprintf(u.upload, sizeof u.upload, "%032d", n);
	strcpy(u.mtime, T);
	strcpy(u.sha256, A64);
	strcpy(u.started_at, T);
	return u;
}

static void
begin(struct catalogue_upload *u, int n, const char *session)
{
	*u = upload(n);
	ok(ledger_intend(&s, u, &e));
	ck_assert_int_gt(u->id, 0);
	if (session != NULL)
		ok(ledger_session(&s, u, session, &e));
}

/* What another process would find: NULL for none. */
static void
is_noted(const char *key, const char *session)
{
	char got[REMOTE_SESSION_MAX] = "";
	struct catalogue_upload u;

	ck_assert_int_eq(catalogue_upload_get(s.a.catalogue, s.known.id, key, &u, &e), 1);
	ck_assert_int_eq(ledger_find_session(&s, &u, got, &e), session != NULL);
	ck_assert_str_eq(got, session != NULL ? session : "");
	catalogue_upload_free(&u);
}

static bool
is_gone(const char *key)
{
	struct catalogue_upload u;
	int rc = catalogue_upload_get(s.a.catalogue, s.known.id, key, &u, &e);

	ok(rc);
	if (rc == 1)
		catalogue_upload_free(&u);
	return rc == 0;
}

static int
session_files(void)
{
	struct dirent *d;
	DIR *dir = io_list(s.folder, &e);
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while ((d = readdir(dir)) != NULL)
		n += strstr(d->d_name, ".session") != NULL;
	closedir(dir);
	return n;
}

/* Whether a file of the archive holds the text. */
static bool
holds(const char *path, const char *text)
{
	struct buf b = {0};
	bool found = false;

	if (access(path, F_OK) == 0) {
		ok(io_read_file(AT_FDCWD, path, 1 << 24, &b, &e));
		found = memmem(b.data, b.len, text, strlen(text)) != NULL;
		buf_free(&b);
	}
	return found;
}

START_TEST(a_session_that_is_no_secret_is_in_the_catalogue)
{
	struct catalogue_upload u;

	secret(false);
	begin(&u, 1, NULL);
	is_noted("raw/1.wav", NULL);
	ok(ledger_session(&s, &u, "2~abc", &e));
	is_noted("raw/1.wav", "2~abc");
	ck_assert_int_eq(session_files(), 0);
	ok(ledger_session(&s, &u, "2~def", &e));
	is_noted("raw/1.wav", "2~def");
	ok(ledger_end(&s, &u, &e));
	ck_assert(is_gone("raw/1.wav"));
	catalogue_upload_free(&u);
}
END_TEST

START_TEST(a_secret_session_is_in_a_private_file_alone)
{
	char path[128];
	struct catalogue_upload u;
	struct stat st;

	secret(true);
	begin(&u, 2, SECRET);
	is_noted("raw/2.wav", SECRET);
	snprintf(path, sizeof path, "db/sync/%s.session", u.upload);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(st.st_size, (off_t)strlen(SECRET));
	ck_assert_int_eq(stat("db/sync", &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0700);
	ck_assert(holds(path, "verysecret"));
	ck_assert(!holds("db/app.db", "verysecret"));
	ck_assert(!holds("db/app.db-wal", "verysecret"));
	/* A new one takes its place. */
	ok(ledger_session(&s, &u, "https://other", &e));
	is_noted("raw/2.wav", "https://other");
	ck_assert(!holds(path, "verysecret"));
	ok(ledger_end(&s, &u, &e));
	ck_assert_int_eq(session_files(), 0);
	/* Once more is fine. */
	ok(ledger_end(&s, &u, &e));
	catalogue_upload_free(&u);
}
END_TEST

START_TEST(a_session_file_that_is_none)
{
	char path[128], got[REMOTE_SESSION_MAX] = "", *long_one;
	struct catalogue_upload u;

	secret(true);
	begin(&u, 3, NULL);
	snprintf(path, sizeof path, "db/sync/%s.session", u.upload);
	put_file(path, "", 0);
	ck_assert_int_eq(ledger_find_session(&s, &u, got, &e), 0);
	ck_assert_ptr_nonnull(long_one = calloc(1, REMOTE_SESSION_MAX + 1));
	memset(long_one, 'x', REMOTE_SESSION_MAX);
	put_file(path, long_one, REMOTE_SESSION_MAX - 1);
	ck_assert_int_eq(ledger_find_session(&s, &u, got, &e), 1);
	ck_assert_uint_eq(strlen(got), REMOTE_SESSION_MAX - 1);
	put_file(path, long_one, REMOTE_SESSION_MAX);
	ck_assert_int_eq(ledger_find_session(&s, &u, got, &e), -1);
	ck_assert_int_eq(e.class, ERR_SYSTEM);
	ck_assert_ptr_null(strstr(e.text, "xxx"));
	free(long_one);
	catalogue_upload_free(&u);
}
END_TEST

static int
count_part(void *ctx, unsigned number, const char *md5, const char *tag, struct err *why)
{
	unsigned *n = ctx;

	(void)why;
	ck_assert_uint_eq(number, ++*n);
	ck_assert_uint_eq(strlen(md5), HASH_MD5_HEX - 1);
	ck_assert_str_eq(tag, "t");
	return 0;
}

START_TEST(parts_come_back_and_go_with_their_upload)
{
	struct remote_part p = {.md5 = "900150983cd24fb0d6963f7d28e17f72", .tag = "t"};
	struct catalogue_upload u;
	unsigned n = 0;

	begin(&u, 4, "s");
	/* In any order, and one of them twice. */
	for (unsigned i = 0; i < 4; i++) {
		p.number = (unsigned[]){3, 1, 2, 3}[i];
		ok(ledger_part(&s, &u, &p, &e));
	}
	ok(catalogue_parts(s.a.catalogue, u.id, count_part, &n, &e));
	ck_assert_uint_eq(n, 3);
	ok(ledger_end(&s, &u, &e));
	n = 0;
	ok(catalogue_parts(s.a.catalogue, u.id, count_part, &n, &e));
	ck_assert_uint_eq(n, 0);
	catalogue_upload_free(&u);
}
END_TEST

START_TEST(what_is_proven_ends_its_upload)
{
	struct catalogue_object o[3] = {{0}}, got;
	struct catalogue_upload u[2];

	record(1, "5.wav", "abc");
	secret(true);
	begin(&u[0], 5, SECRET);
	begin(&u[1], 6, SECRET);
	for (int i = 0; i < 3; i++) {
		o[i] = (struct catalogue_object){.size_bytes = 3, .proof = "md5", .proven_at = T};
		snprintf(o[i].key, sizeof o[i].key, "raw/%d.wav", (int[]){5, 7, 8}[i]);
		strcpy(o[i].sha256, A64);
	}
	o[0].recording_id = 1;
	ok(ledger_prove(&s, o, 0, &e));
	ck_assert_int_eq(catalogue_object_count(s.a.catalogue, s.known.id, &e), 0);
	ok(ledger_prove(&s, o, 3, &e));
	ck_assert_int_eq(catalogue_object_count(s.a.catalogue, s.known.id, &e), 3);
	ck_assert(is_gone("raw/5.wav"));
	is_noted("raw/6.wav", SECRET);
	ck_assert_int_eq(session_files(), 1);
	ck_assert_int_eq(catalogue_object_get(s.a.catalogue, s.known.id, "raw/5.wav", &got, &e), 1);
	ck_assert_int_eq(got.recording_id, 1);
	ok(ledger_forget(&s, "raw/5.wav", &e));
	ok(ledger_forget(&s, "raw/5.wav", &e));
	ck_assert_int_eq(catalogue_object_get(s.a.catalogue, s.known.id, "raw/5.wav", &got, &e), 0);
	catalogue_upload_free(&u[0]);
	catalogue_upload_free(&u[1]);
}
END_TEST

/* None of them is noted when one cannot be. */
START_TEST(all_or_none)
{
	struct catalogue_object o[2] = {{.size_bytes = 3, .proof = "md5", .proven_at = T},
	    {.size_bytes = 3, .proof = "hearsay", .proven_at = T}};
	struct catalogue_upload u;

	secret(true);
	begin(&u, 9, SECRET);
	for (int i = 0; i < 2; i++) {
		snprintf(o[i].key, sizeof o[i].key, "raw/%d.wav", 9 + i);
		strcpy(o[i].sha256, A64);
	}
	ck_assert_int_eq(ledger_prove(&s, o, 2, &e), -1);
	ck_assert_int_eq(catalogue_object_count(s.a.catalogue, s.known.id, &e), 0);
	is_noted("raw/9.wav", SECRET);
	/* And the next one can. */
	ok(ledger_prove(&s, o, 1, &e));
	ck_assert_int_eq(session_files(), 0);
	catalogue_upload_free(&u);
}
END_TEST

START_TEST(only_sessions_that_nobody_noted_are_swept)
{
	struct catalogue_upload mine, others;
	struct catalogue_remote m = {
	    .url = (char *)(uintptr_t) "gdrive:else", .owner = "0a1b2c3d", .rows = -1};
	int64_t at = s.known.id;

	secret(true);
	begin(&mine, 10, SECRET);
	ok(catalogue_begin(s.a.catalogue, &e));
	ok(catalogue_remote_put(s.a.catalogue, &m, &e));
	ok(catalogue_commit(s.a.catalogue, &e));
	s.known.id = m.id;
	begin(&others, 11, SECRET);
	s.known.id = at;
	put_file("db/sync/0123456789abcdef0123456789abcdef.session", "x", 1);
	put_file("db/sync/00000000000000000000000000000010x.session", "x", 1);
	put_file("db/sync/note", "x", 1);
	ck_assert_int_eq(session_files(), 4);
	ok(ledger_sweep(&s, &e));
	ck_assert_int_eq(session_files(), 2);
	is_noted("raw/10.wav", SECRET);
	ck_assert_int_eq(access("db/sync/note", F_OK), 0);
	catalogue_upload_free(&mine);
	catalogue_upload_free(&others);
}
END_TEST

START_TEST(what_is_noted_of_the_remote)
{
	struct catalogue_remote m;

	s.known.rows = 42;
	ok(ledger_remote(&s, &e));
	ck_assert_int_eq(catalogue_remote_get(s.a.catalogue, s.url, &m, &e), 1);
	ck_assert_int_eq(m.rows, 42);
	ck_assert_str_eq(m.owner, s.owner);
	catalogue_remote_free(&m);
}
END_TEST

static void
add(TCase *tc)
{
	tcase_add_test(tc, a_session_that_is_no_secret_is_in_the_catalogue);
	tcase_add_test(tc, a_secret_session_is_in_a_private_file_alone);
	tcase_add_test(tc, a_session_file_that_is_none);
	tcase_add_test(tc, parts_come_back_and_go_with_their_upload);
	tcase_add_test(tc, what_is_proven_ends_its_upload);
	tcase_add_test(tc, all_or_none);
	tcase_add_test(tc, only_sessions_that_nobody_noted_are_swept);
	tcase_add_test(tc, what_is_noted_of_the_remote);
}

int
main(void)
{
	return run_suite("ledger", add);
}
