/*
 * remote_drive against tests/data/drive-fake when things go wrong: what check_remote cannot ask
 * for. Each test has a folder of its own there.
 */
#include "remote_kind.h"

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io.h"

#define PART INT64_C(524288)
#define SIZE (3 * (size_t)PART + 1000)
#define THREADS 8

static struct err e;
static struct http *http;
static struct retry *retry;
static struct remote *r;
static char folder[64], *endpoint;
static char name[24]; /* of the folder at Drive */
static int kept_before;
static pid_t fake;
static char content[SIZE];

#define ok(call) ck_assert_msg((call) == 0, "%s: %s", #call, e.text)
#define one(call) ck_assert_msg((call) == 1, "%s: %s", #call, e.text)

#define refused(call, cls, problem)                                                                \
	do {                                                                                       \
		memset(&e, 0, sizeof e);                                                           \
		ck_assert_int_eq((call), -1);                                                      \
		ck_assert_msg(e.class == (cls), "%s: %d: %s", #call, e.class, e.text);             \
		if ((problem)[0] != '\0')                                                          \
			ck_assert_msg(e.code != NULL && strcmp(e.code, problem) == 0,              \
			    "%s: %s: %s", #call, e.code, e.text);                                  \
	} while (0)

/* ---- the fake ---- */

static void
start_fake(void)
{
	char port_file[96], command[] = "tests/data/drive-fake";
	struct buf port = {0};

	snprintf(port_file, sizeof port_file, "%s/port", folder);
	ck_assert_int_ge(fake = fork(), 0);
	if (fake == 0) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, STDOUT_FILENO);
		execl(command, command, "--dir", folder, "--port-file", port_file, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 1000 && access(port_file, R_OK) == -1; i++)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	ok(io_read_file(AT_FDCWD, port_file, 64, &port, &e));
	endpoint = mem_fmt(&e, "http://127.0.0.1:%d", atoi(port.data));
	buf_free(&port);
}

static struct http_answer
ask_fake(const char *method, const char *path, const char *body)
{
	static const char *const headers[] = {"Content-Type: application/json", NULL};
	char *url = mem_fmt(&e, "%s%s", endpoint, path);
	struct http_answer a = {0};

	ok(http_send(http,
	    &(struct http_request){.method = method,
		.url = url,
		.headers = headers,
		.body = body,
		.body_len = body == NULL ? 0 : strlen(body)},
	    &a, &e));
	ck_assert_msg(a.status == 200, "%s %s: %d %s", method, path, a.status, a.why);
	free(url);
	return a;
}

static void
tell_fake(const char *method, const char *path, const char *body)
{
	struct http_answer a = ask_fake(method, path, body);

	http_answer_free(&a);
}

static void
fault(const char *match, const char *what)
{
	char *body = mem_fmt(&e, "[{\"match\": \"%s\", \"do\": %s}]", match, what);

	tell_fake("POST", "/fake/faults", body);
	free(body);
}

/* How many requests there were that a line of the log begins so. */
static int
requests(const char *begin)
{
	struct http_answer a = ask_fake("GET", "/fake/log", NULL);
	int n = 0;

	for (const char *p = a.body.data; p != NULL && *p != '\0'; p = strchr(p, '\n') + 1)
		n += strncmp(p, begin, strlen(begin)) == 0;
	http_answer_free(&a);
	return n;
}

/* Files (and folders) that the fake keeps, of this test. */
static int kept;

static int
count_one(const char *path, const struct stat *st, int type, struct FTW *w)
{
	(void)st;
	(void)w;
	kept += type == FTW_F && strstr(path, "/files/") != NULL && strstr(path, ".json") != NULL;
	return 0;
}

static int
files_kept(void)
{
	kept = 0;
	nftw(folder, count_one, 16, FTW_PHYS);
	return kept - kept_before;
}

static int
unlink_one(const char *path, const struct stat *st, int type, struct FTW *w)
{
	(void)st;
	(void)type;
	(void)w;
	return remove(path);
}

/* ---- what each test begins with ---- */

/* What whoever opened the remote has noted of its place. */
static char place[REMOTE_ID_MAX];
static int places, kept_when_noted;

static int
note_place(void *ctx, const char *id, struct err *err)
{
	(void)err;
	ck_assert_ptr_eq(ctx, place);
	snprintf(place, sizeof place, "%s", id);
	places++;
	kept_when_noted = files_kept();
	return 0;
}

static struct remote *
open_remote(void)
{
	static char url[40], noted[REMOTE_ID_MAX];
	struct remote_settings s = {.url = url,
	    .endpoint = endpoint,
	    .client_id = "client",
	    .client_secret = "secret",
	    .refresh_token = "refresh",
	    .owner = "0badcafe",
	    .place = noted,
	    .note_place = note_place,
	    .place_ctx = place};

	memcpy(noted, place, sizeof noted);

	snprintf(url, sizeof url, "gdrive:%s", name);
	return remote_open(&s, http, retry, &e);
}

/* Once for all tests; no thread of it is left when they fork. */
static void
start_drive(void)
{
	strcpy(folder, "/tmp/check_drive.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	start_fake();
}

static void
end_drive(void)
{
	kill(fake, SIGTERM);
	waitpid(fake, NULL, 0);
	nftw(folder, unlink_one, 16, FTW_DEPTH | FTW_PHYS);
	free(endpoint);
}

static void
setup(void)
{
	struct retry_opts ro = {.attempts = 5, .base_ms = 10, .cap_ms = 100};
	struct http_opts ho = {.stall_ms = 500};
	unsigned char random[4];

	ck_assert_ptr_nonnull(retry = retry_open(&ro, &e));
	ck_assert_ptr_nonnull(http = http_open(&ho, &e));
	ok(hash_random(random, sizeof random, &e));
	strcpy(name, "Test ");
	hash_hex(random, sizeof random, name + strlen(name));
	kept_before = 0;
	kept_before = files_kept();
	place[0] = '\0';
	places = 0;
	tell_fake("DELETE", "/fake/faults", NULL);
	tell_fake("DELETE", "/fake/log", NULL);
	tell_fake("POST", "/fake/settings",
	    "{\"token_seconds\": 3600, \"revoked\": false, \"lag_s\": 0}");
	ck_assert_msg((r = open_remote()) != NULL, "%s", e.text);
	for (size_t i = 0; i < SIZE; i++)
		content[i] = (char)(i * 2654435761u >> 13);
}

static void
teardown(void)
{
	remote_close(r);
	http_close(http);
	retry_close(retry);
}

static struct remote_source
source_of(const char *key, const void *p, size_t n)
{
	struct remote_source s = {
	    .key = key, .fd = -1, .bytes = p, .size_bytes = (int64_t)n, .mime_type = "audio/wav"};
	struct hash *h = hash_open(HASH_SHA256 | HASH_MD5, &e);

	hash_update(h, p, n);
	hash_sha256(h, s.sha256);
	hash_md5(h, s.md5);
	hash_close(h);
	return s;
}

static struct remote_object
put_text(const char *key, const char *text)
{
	struct remote_source s = source_of(key, text, strlen(text));
	struct remote_object o;

	ok(remote_put(r, &s, &o, &e));
	return o;
}

static int
gather(void *ctx, const void *p, size_t len, struct err *err)
{
	return buf_add(ctx, p, len, err);
}

static void
assert_content(const struct remote_object *o, size_t from)
{
	struct buf b = {0};

	ok(remote_get(r, o, from, gather, &b, &e));
	ck_assert_uint_eq(b.len, SIZE - from);
	ck_assert(memcmp(b.data, content + from, b.len) == 0);
	buf_free(&b);
}

static struct remote_part
part_of(unsigned i)
{
	struct remote_part p = {.number = i + 1, .offset = i * PART, .size_bytes = PART};

	if (i == 3)
		p.size_bytes = (int64_t)SIZE - p.offset;
	return p;
}

static int
ignore(void *ctx, const struct remote_part *p, struct err *err)
{
	(void)err;
	*(int64_t *)ctx = p->size_bytes;
	return 0;
}

/* Begins, sends all parts while the fault holds, finishes; what came is whole, and there once. */
static void
assert_upload(const char *match, const char *what)
{
	struct remote_source s = source_of("raw/up.wav", content, SIZE);
	char session[REMOTE_SESSION_MAX];
	struct remote_object o;

	put_text("raw/other", "makes the folder");
	fault(match, what);
	ok(remote_begin(r, &s, "00112233", session, &e));
	for (unsigned i = 0; i < 4; i++) {
		struct remote_part p = part_of(i);

		ok(remote_part(r, &s, session, &p, &e));
	}
	ok(remote_finish(r, &s, session, NULL, 0, &o, &e));
	assert_content(&o, 0);
	ck_assert_int_eq(files_kept(), 3);
}

/* ---- signing in ---- */

START_TEST(a_token_that_ended_is_renewed_once)
{
	put_text("raw/a", "a");
	ck_assert_int_eq(requests("POST /token"), 1);
	fault("GET /drive", "\"401\"");
	put_text("raw/b", "b");
	ck_assert_int_eq(requests("POST /token"), 2);
	fault("GET /drive", "\"401\", \"times\": 9");
	refused(remote_stat(r, "raw/a", &(struct remote_object){0}, NULL, &e), ERR_CONFIG, "");
	ck_assert_int_le(requests("POST /token"), 4);
}
END_TEST

START_TEST(a_short_token_is_renewed_before_it_ends)
{
	tell_fake("POST", "/fake/settings", "{\"token_seconds\": 2}");
	/* It is renewed after one of its two seconds. */
	put_text("raw/0", "before");
	nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 50000000}, NULL);
	put_text("raw/1", "after");
	ck_assert_int_ge(requests("POST /token"), 2);
	ck_assert_int_eq(requests("GET /drive/v3/files 401"), 0);
}
END_TEST

START_TEST(a_revoked_sign_in_ends_the_run_and_says_what_to_do)
{
	tell_fake("POST", "/fake/settings", "{\"revoked\": true}");
	refused(remote_check(r, &e), ERR_CONFIG, "");
	ck_assert_ptr_nonnull(strstr(e.text, "sign in again"));
	ck_assert_ptr_null(strstr(e.text, "refresh\""));
	ck_assert_int_eq(requests("POST /token"), 1);
}
END_TEST

START_TEST(settings_that_lack_something_are_refused)
{
	struct remote_settings s = {.url = "gdrive:Test",
	    .endpoint = "http://drive.example",
	    .client_id = "client",
	    .client_secret = "secret",
	    .refresh_token = "refresh"};

	ck_assert_ptr_null(remote_open(&s, http, retry, &e));
	ck_assert_ptr_nonnull(strstr(e.text, "https"));
	s.endpoint = NULL;
	s.refresh_token = "";
	ck_assert_ptr_null(remote_open(&s, http, retry, &e));
	ck_assert_ptr_nonnull(strstr(e.text, "REC_GOOGLE_REFRESH_TOKEN"));
	s.refresh_token = "refresh";
	s.client_secret = NULL;
	ck_assert_ptr_null(remote_open(&s, http, retry, &e));
	ck_assert_ptr_nonnull(strstr(e.text, "GOOGLE_CLIENT_SECRET"));
}
END_TEST

/* ---- refusals ---- */

static const struct {
	const char *what;
	enum err_class class; /* ERR_NONE: it is tried again, and done */
	const char *code;
} answers[] = {
    {"\"rateLimitExceeded\"", ERR_NONE, ""},
    {"\"userRateLimitExceeded\"", ERR_NONE, ""},
    {"\"429\", \"retry_after\": 1", ERR_NONE, ""},
    {"\"500\"", ERR_NONE, ""},
    {"\"503\"", ERR_NONE, ""},
    {"\"drop\"", ERR_NONE, ""},
    {"\"lost\"", ERR_NONE, ""},
    {"\"stall\", \"seconds\": 10", ERR_NONE, ""},
    {"\"storageQuotaExceeded\"", ERR_BUSY, ""},
    {"\"dailyLimitExceeded\"", ERR_BUSY, ""},
    {"\"insufficientFilePermissions\"", ERR_ITEM, P_REMOTE},
    {"\"403\", \"reason\": \"accessNotConfigured\"", ERR_CONFIG, ""},
    {"\"400\"", ERR_ITEM, P_REMOTE},
};

START_TEST(each_refusal_is_what_it_is)
{
	struct remote_source s = source_of("raw/a", "bytes", 5);
	struct remote_object o;

	put_text("raw/other", "makes the folder");
	fault("POST /upload", answers[_i].what);
	if (answers[_i].class == ERR_NONE)
		ok(remote_put(r, &s, &o, &e));
	else
		refused(remote_put(r, &s, &o, &e), answers[_i].class, answers[_i].code);
	ck_assert_int_eq(files_kept(), answers[_i].class == ERR_NONE ? 3 : 2);
}
END_TEST

/* ---- exactly once ---- */

START_TEST(an_answer_that_was_lost_makes_nothing_twice)
{
	struct remote_object a, b, o;

	fault("POST /drive/v3/files", "\"lost\"");
	fault("POST /upload", "\"lost\"");
	a = put_text("raw/a", "a");
	ck_assert_int_eq(files_kept(), 2);
	fault("POST .*/copy", "\"lost\"");
	ok(remote_copy(r, &a, "raw/b", "", &b, &e));
	ck_assert_int_eq(files_kept(), 3);
	fault("PATCH", "\"lost\"");
	ok(remote_move(r, &b, "raw/c", "", &o, &e));
	fault("DELETE", "\"lost\"");
	ok(remote_delete(r, &o, &e));
	ck_assert_int_eq(files_kept(), 2);
}
END_TEST

struct putter {
	pthread_t thread;
	unsigned number;
	int rc;
	struct err e;
};

static void *
put_twenty(void *arg)
{
	struct putter *p = arg;
	struct remote_object o;
	char key[32];

	for (unsigned i = 0; i < 20 && p->rc == 0; i++) {
		struct remote_source s;

		snprintf(key, sizeof key, "raw/%u-%u", p->number, i);
		s = source_of(key, key, strlen(key));
		p->rc = remote_put(r, &s, &o, &p->e);
	}
	return NULL;
}

START_TEST(many_at_once_and_every_fault_leave_each_file_once)
{
	struct putter p[THREADS];
	struct remote_list *l;
	struct remote_object o;
	int n = 0;

	for (int i = 0; i < 6; i++) {
		char what[64];

		snprintf(what, sizeof what, "\"lost\", \"skip\": %d", i * 23);
		fault("POST /upload", what);
		snprintf(what, sizeof what, "\"503\", \"skip\": %d", i * 31 + 5);
		fault("/drive/v3/files", what);
	}
	/* Far apart: two in a row to one request are the end of it, and rightly so. */
	fault("/drive/v3/files", "\"401\", \"skip\": 11");
	fault("/drive/v3/files", "\"401\", \"skip\": 130");
	for (unsigned i = 0; i < THREADS; i++) {
		p[i] = (struct putter){.number = i};
		pthread_create(&p[i].thread, NULL, put_twenty, &p[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(p[i].thread, NULL);
		ck_assert_msg(p[i].rc == 0, "%s", p[i].e.text);
	}
	ck_assert_int_eq(files_kept(), THREADS * 20 + 1);
	ck_assert_ptr_nonnull(l = remote_list_open(r, "raw/", "", "", &e));
	while (remote_list_next(l, &o, &e) == 1)
		n++;
	remote_list_close(l);
	ck_assert_int_eq(n, THREADS * 20);
}
END_TEST

/* ---- uploads in parts ---- */

static const struct {
	const char *match, *what;
} upload_faults[] = {
    {"POST /upload", "\"lost\""},
    {"PUT", "\"short\", \"keep\": 262144"},
    {"PUT", "\"short\", \"keep\": 0, \"times\": 2"},
    {"PUT", "\"cut\", \"keep\": 262144"},
    {"PUT", "\"lost\", \"times\": 2"},
    {"PUT", "\"lost\", \"skip\": 3"},
    {"PUT", "\"503\", \"times\": 3"},
    {"PUT", "\"401\""},
    {"PUT", "\"429\", \"retry_after\": 0"},
    {"PUT", "\"stall\", \"seconds\": 10"},
    {"PATCH", "\"lost\""},
    {"PATCH", "\"500\""},
};

START_TEST(an_upload_comes_through)
{
	assert_upload(upload_faults[_i].match, upload_faults[_i].what);
}
END_TEST

START_TEST(a_session_that_ended_says_so)
{
	struct remote_source s = source_of("raw/up.wav", content, SIZE);
	struct remote_part p = part_of(0), q = part_of(1);
	char session[REMOTE_SESSION_MAX];
	struct remote_object o;
	int64_t at = -1;

	ok(remote_begin(r, &s, "00112233", session, &e));
	ok(remote_part(r, &s, session, &p, &e));
	one(remote_arrived(r, &s, session, ignore, &at, &o, &e));
	ck_assert_int_eq(at, PART);
	fault("PUT", "\"gone\", \"status\": 410");
	refused(remote_part(r, &s, session, &q, &e), ERR_ITEM, P_MISSING);
	ck_assert_int_eq(remote_arrived(r, &s, session, ignore, &at, &o, &e), 0);
	refused(remote_finish(r, &s, session, NULL, 0, &o, &e), ERR_ITEM, P_MISSING);
}
END_TEST

START_TEST(what_arrived_outlives_its_session)
{
	struct remote_source s = source_of("raw/up.wav", content, SIZE);
	char session[REMOTE_SESSION_MAX];
	struct remote_object o;
	int64_t at = -1, n = -1;

	ok(remote_begin(r, &s, "00112233", session, &e));
	for (unsigned i = 0; i < 4; i++) {
		struct remote_part p = part_of(i);

		ok(remote_part(r, &s, session, &p, &e));
	}
	remote_close(r);
	ck_assert_ptr_nonnull(r = open_remote());
	fault("PUT", "\"gone\", \"status\": 404");
	one(remote_arrived(r, &s, session, ignore, &at, &o, &e));
	ck_assert_int_eq(at, (int64_t)SIZE);
	ok(remote_finish(r, &s, session, NULL, 0, &o, &e));
	assert_content(&o, 0);
	ck_assert_int_eq(remote_arrived(r, &s, session, ignore, &at, &o, &e), 2);
	ok(remote_sweep(r, s.key, "00112233", "2020-01-01T00:00:00Z", &n, &e));
	ck_assert_int_eq(n, 0);
	ok(remote_abort(r, s.key, session, &e));
	one(remote_stat(r, s.key, &o, NULL, &e));
}
END_TEST

/* What a killed run has asked for may be done while the next one looks. */
START_TEST(a_file_that_gets_its_key_late_is_not_taken_for_another)
{
	struct remote_source s = source_of("raw/up.wav", content, SIZE);
	char session[REMOTE_SESSION_MAX];
	struct remote_object o;

	ok(remote_begin(r, &s, "00112233", session, &e));
	for (unsigned i = 0; i < 4; i++) {
		struct remote_part p = part_of(i);

		ok(remote_part(r, &s, session, &p, &e));
	}
	fault("PATCH", "\"late\", \"before\": \"GET /drive/v3/files.q=.*up.wav\", \"times\": 99");
	ck_assert_int_eq(remote_finish(r, &s, session, NULL, 0, &o, &e), -1);
	tell_fake("DELETE", "/fake/faults", NULL);
	ok(remote_finish(r, &s, session, NULL, 0, &o, &e));
	assert_content(&o, 0);
	one(remote_stat(r, s.key, &o, NULL, &e));
	ck_assert_int_eq(files_kept(), 2);
}
END_TEST

START_TEST(no_token_goes_to_another_host)
{
	struct remote_source s = source_of("raw/up.wav", content, SIZE);
	struct remote_part p = part_of(0);
	char session[REMOTE_SESSION_MAX];

	fault("POST /upload", "\"elsewhere\"");
	refused(remote_begin(r, &s, "00112233", session, &e), ERR_ITEM, P_REMOTE);
	ck_assert_str_eq(session, "");
	ck_assert_ptr_null(strstr(e.text, "upload_id"));
	refused(
	    remote_part(r, &s, "abc http://127.0.0.2:9/upload", &p, &e), ERR_ITEM, P_BAD_RECORD);
	refused(remote_part(r, &s, "abc", &p, &e), ERR_ITEM, P_BAD_RECORD);
}
END_TEST

START_TEST(other_bytes_do_not_get_their_key)
{
	struct remote_source s = source_of("raw/up.wav", content, SIZE), wrong = s;
	char session[REMOTE_SESSION_MAX];
	struct remote_object o;

	wrong.sha256[0] = wrong.sha256[0] == '0' ? '1' : '0';
	ok(remote_begin(r, &wrong, "00112233", session, &e));
	for (unsigned i = 0; i < 4; i++) {
		struct remote_part p = part_of(i);

		ok(remote_part(r, &wrong, session, &p, &e));
	}
	refused(remote_finish(r, &wrong, session, NULL, 0, &o, &e), ERR_ITEM, P_CHECKSUM_MISMATCH);
	ck_assert_int_eq(remote_stat(r, "raw/up.wav", &o, NULL, &e), 0);
	ok(remote_abort(r, "raw/up.wav", session, &e));
	ck_assert_int_eq(files_kept(), 1);
}
END_TEST

/* ---- getting ---- */

START_TEST(getting_goes_on_where_it_broke)
{
	struct remote_source s = source_of("raw/g.wav", content, SIZE);
	struct remote_object o;
	struct buf b = {0};

	ok(remote_put(r, &s, &o, &e));
	fault("alt=media", "\"cut\", \"keep\": 100000, \"times\": 2");
	assert_content(&o, 0);
	fault("alt=media", "\"503\"");
	assert_content(&o, 77);
	fault("alt=media", "\"norange\"");
	refused(remote_get(r, &o, 77, gather, &b, &e), ERR_ITEM, P_REMOTE);
	ck_assert_uint_eq(b.len, 0);
}
END_TEST

/* ---- what others made ---- */

static struct http_answer
ask(const char *method, const char *path, const char *type, const char *authorization,
    const char *body)
{
	const char *headers[] = {type, authorization, NULL};
	char *url = mem_fmt(&e, "%s%s", endpoint, path);
	struct http_answer a = {0};

	ok(http_send(http,
	    &(struct http_request){.method = method,
		.url = url,
		.headers = headers,
		.body = body,
		.body_len = body == NULL ? 0 : strlen(body)},
	    &a, &e));
	ck_assert_msg(a.status == 200, "%s: %d %s", path, a.status, a.body.data);
	free(url);
	return a;
}

/* What another program asks the API for. */
static struct json *
api_by(const char *method, const char *path, const char *body)
{
	struct http_answer a = ask("POST", "/token",
	    "Content-Type: application/x-www-form-urlencoded", NULL,
	    "grant_type=refresh_token&client_id=client&client_secret=secret&refresh_token=refresh");
	struct json *v = json_parse(a.body.data, a.body.len, &e);
	char *line = mem_fmt(&e, "Authorization: Bearer %s", json_get_str(v, "access_token"));

	json_free(v);
	http_answer_free(&a);
	a = ask(method, path, "Content-Type: application/json", line, body);
	ck_assert_ptr_nonnull(v = json_parse(a.body.data, a.body.len, &e));
	http_answer_free(&a);
	free(line);
	return v;
}

/* GET without a body, else POST. */
static struct json *
api(const char *path, const char *body)
{
	return api_by(body == NULL ? "GET" : "POST", path, body);
}

static void
make_folder(void)
{
	char *body = mem_fmt(
	    &e, "{\"name\": \"%s\", \"mimeType\": \"application/vnd.google-apps.folder\"}", name);

	json_free(api("/drive/v3/files", body));
	free(body);
}

/* The application uploads a file; its id. */
static void
make_file(const char *its_name, const char *properties, char id[REMOTE_ID_MAX])
{
	char *path = mem_fmt(&e, "/drive/v3/files?q=name%%20%%3D%%20'Test%%20%s'", name + 5);
	struct json *list = api(path, NULL), *made;
	char *body = mem_fmt(&e, "{\"name\": \"%s\", \"parents\": [\"%s\"], \"appProperties\": %s}",
	    its_name, json_get_str(json_at(json_get(list, "files"), 0), "id"), properties);

	made = api("/drive/v3/files", body);
	snprintf(id, REMOTE_ID_MAX, "%s", json_get_str(made, "id"));
	json_free(made);
	json_free(list);
	free(path);
	free(body);
}

static struct json *
properties_of(const char *id)
{
	char *path = mem_fmt(&e, "/drive/v3/files/%s?fields=name,description,appProperties", id);
	struct json *v = api(path, NULL);

	free(path);
	return v;
}

START_TEST(two_folders_of_the_name_are_a_matter_of_configuration)
{
	char text[64];

	make_folder();
	ok(remote_check(r, &e));
	make_folder();
	place[0] = '\0';
	remote_close(r);
	ck_assert_ptr_nonnull(r = open_remote());
	refused(remote_check(r, &e), ERR_CONFIG, "");
	snprintf(text, sizeof text, "2 folders named %s in", name);
	ck_assert_ptr_nonnull(strstr(e.text, text));
}
END_TEST

START_TEST(a_folder_that_went_ends_the_run)
{
	struct remote_source s = source_of("raw/b", "b", 1),
			     large = source_of("raw/c", content, SIZE);
	char session[REMOTE_SESSION_MAX], text[64];
	struct remote_object o;

	put_text("raw/a", "a");
	fault("POST /upload", "\"404\", \"times\": 2");
	refused(remote_put(r, &s, &o, &e), ERR_CONFIG, "");
	snprintf(text, sizeof text, "the folder %s is", name);
	ck_assert_ptr_nonnull(strstr(e.text, text));
	refused(remote_begin(r, &large, "00112233", session, &e), ERR_CONFIG, "");
}
END_TEST

START_TEST(of_two_files_of_one_key_the_oldest_stands)
{
	char first[REMOTE_ID_MAX], second[REMOTE_ID_MAX];
	struct remote_object o;
	struct remote_list *l;
	struct remote_source s = source_of("raw/twice", "x", 1);

	make_folder();
	make_file("a", "{\"rec_key\": \"raw/twice\"}", first);
	nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	make_file("b", "{\"rec_key\": \"raw/twice\"}", second);
	one(remote_stat(r, "raw/twice", &o, NULL, &e));
	ck_assert_str_eq(o.id, first);
	ck_assert_ptr_nonnull(l = remote_list_open(r, "raw/", "", "", &e));
	one(remote_list_next(l, &o, &e));
	ck_assert_str_eq(o.id, first);
	ck_assert_int_eq(remote_list_next(l, &o, &e), 0);
	remote_list_close(l);
	refused(remote_put(r, &s, &o, &e), ERR_ITEM, P_CONFLICT);
}
END_TEST

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define OTHER_SHA256 "0000000000000000000000000000000000000000000000000000000000000000"

START_TEST(what_the_application_uploaded_is_found_and_taken_over)
{
	char id[REMOTE_ID_MAX], liar[REMOTE_ID_MAX];
	struct remote_object o, there;
	struct json *v;

	ck_assert_int_eq(remote_find(r, EMPTY_SHA256, &o, &e), 0);
	make_folder();
	make_file("song.wav", "{\"content_sha256\": \"" EMPTY_SHA256 "\", \"tags\": \"a,b\"}", id);
	make_file("liar.wav", "{\"content_sha256\": \"" OTHER_SHA256 "\"}", liar);
	/* Its bytes are others than it says. */
	ck_assert_int_eq(remote_find(r, OTHER_SHA256, &o, &e), 0);
	one(remote_find(r, EMPTY_SHA256, &o, &e));
	ck_assert_str_eq(o.id, id);
	ok(remote_adopt(r, &o, "raw/song.wav", &e));
	ck_assert_int_eq(remote_find(r, EMPTY_SHA256, &there, &e), 0);
	one(remote_stat(r, "raw/song.wav", &there, NULL, &e));
	ck_assert_str_eq(there.id, id);
	ck_assert_str_eq(there.tag, o.tag);
	v = properties_of(id);
	ck_assert_str_eq(json_get_str(json_get(v, "appProperties"), "tags"), "a,b");
	json_free(v);
	/* Only when the key is free. */
	make_file("again.wav", "{\"content_sha256\": \"" EMPTY_SHA256 "\"}", id);
	one(remote_find(r, EMPTY_SHA256, &o, &e));
	refused(remote_adopt(r, &o, "raw/song.wav", &e), ERR_ITEM, P_CONFLICT);
}
END_TEST

START_TEST(files_are_as_the_application_writes_them)
{
	struct remote_source s = source_of("raw/0123.wav", "bytes", 5);
	struct json *m = json_new_object(&e), *v, *props, *back;
	struct remote_object o, trash;
	char tags[300] = "", title[201];

	memset(title, 't', 200);
	title[200] = '\0';
	for (int i = 0; i < 20; i++)
		strcat(tags, "t\xc3\xa4gs no,");
	ok(json_put_str(m, "filename", "My song.wav", &e));
	ok(json_put_str(m, "title", title, &e));
	ok(json_put_str(m, "tags", tags, &e));
	s.metadata = m;
	ok(remote_put(r, &s, &o, &e));
	v = properties_of(o.id);
	props = json_get(v, "appProperties");
	ck_assert_str_eq(json_get_str(v, "name"), "My song.wav");
	ck_assert_str_eq(json_get_str(v, "description"), title);
	ck_assert_str_eq(json_get_str(props, "source"), "Voice Recorder Pro");
	ck_assert_str_eq(json_get_str(props, "file_size"), "5");
	ck_assert_str_eq(json_get_str(props, "content_sha256"), s.sha256);
	ck_assert_int_eq((int)strlen(json_get_str(props, "tags")) % 9, 8);
	ck_assert_ptr_nonnull(json_get_str(props, "upload_date"));
	json_free(v);
	one(remote_stat(r, s.key, &o, &back, &e));
	ck_assert(json_same(back, m));
	json_free(back);
	/* What is in the trash is not there for the application; back it is. */
	ok(remote_move(r, &o, REMOTE_TRASH "0123.wav", "", &trash, &e));
	v = properties_of(o.id);
	ck_assert_ptr_null(json_get(json_get(v, "appProperties"), "content_sha256"));
	ck_assert_str_eq(json_get_str(v, "name"), "My song.wav");
	json_free(v);
	ok(remote_move(r, &trash, "raw/0123.wav", "", &o, &e));
	v = properties_of(o.id);
	ck_assert_str_eq(json_get_str(json_get(v, "appProperties"), "content_sha256"), s.sha256);
	json_free(v);
	json_free(m);
}
END_TEST

START_TEST(keys_of_every_length)
{
	struct remote_object o, short_one, moved;
	char key[REMOTE_KEY_MAX + 1] = "raw/";

	for (size_t n = 100; n <= REMOTE_KEY_MAX; n += n < 140 ? 1 : 97) {
		/* Characters of three bytes, at every place to a piece's edge. */
		memset(key + 4, 'x', n - 4);
		for (size_t i = 4 + n % 3; i + 3 <= n; i += 3)
			memcpy(key + i, "\xe4\xb8\xad", 3);
		key[n] = '\0';
		short_one = put_text("raw/s", key);
		ok(remote_move(r, &short_one, key, "", &moved, &e));
		one(remote_stat(r, key, &o, NULL, &e));
		ck_assert_str_eq(o.id, short_one.id);
		ok(remote_move(r, &o, "raw/back", "", &moved, &e));
		ck_assert_int_eq(remote_stat(r, key, &o, NULL, &e), 0);
		ok(remote_delete(r, &moved, &e));
	}
}
END_TEST

START_TEST(a_list_that_is_late_hides_but_does_not_double)
{
	struct remote_source s = source_of("raw/a", "mine", 4);
	struct remote_object first, second, o;
	struct remote_list *l;

	put_text("raw/other", "makes the folder");
	nanosleep(&(struct timespec){.tv_nsec = 350000000}, NULL);
	tell_fake("POST", "/fake/settings", "{\"lag_s\": 0.3}");
	ok(remote_put(r, &s, &first, &e));
	nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	ok(remote_put(r, &s, &second, &e));
	nanosleep(&(struct timespec){.tv_nsec = 350000000}, NULL);
	one(remote_stat(r, "raw/a", &o, NULL, &e));
	ck_assert_str_eq(o.id, first.id);
	ck_assert_ptr_nonnull(l = remote_list_open(r, "raw/", "", "raw/a", &e));
	one(remote_list_next(l, &o, &e));
	ck_assert_str_eq(o.id, first.id);
	ck_assert_int_eq(remote_list_next(l, &o, &e), 0);
	remote_list_close(l);
}
END_TEST

static void
open_again(void)
{
	remote_close(r);
	ck_assert_msg((r = open_remote()) != NULL, "%s", e.text);
}

START_TEST(a_folder_is_found_again_though_no_list_shows_it)
{
	char first[REMOTE_ID_MAX];

	tell_fake("POST", "/fake/settings", "{\"lag_s\": 99}");
	put_text("raw/a", "a");
	/* Noted before it was made, and once. */
	ck_assert_int_eq(places, 1);
	ck_assert_int_eq(kept_when_noted, 0);
	strcpy(first, place);
	open_again();
	put_text("raw/b", "b");
	ck_assert_int_eq(places, 1);
	ck_assert_int_eq(files_kept(), 3);
	/* That a list is late, and nobody noted anything: what it is good for. */
	place[0] = '\0';
	open_again();
	put_text("raw/c", "c");
	ck_assert_str_ne(place, first);
	ck_assert_int_eq(files_kept(), 5);
}
END_TEST

START_TEST(a_folder_that_was_noted_and_not_made_gets_its_id)
{
	struct remote_source s = source_of("raw/a", "a", 1);
	char noted[REMOTE_ID_MAX];
	struct remote_object o;

	fault("POST /drive/v3/files", "\"500\", \"times\": 99");
	refused(remote_put(r, &s, &o, &e), ERR_ITEM, P_REMOTE);
	ck_assert_int_eq(files_kept(), 0);
	ck_assert_int_eq(places, 1);
	strcpy(noted, place);
	tell_fake("DELETE", "/fake/faults", NULL);
	open_again();
	put_text("raw/a", "a");
	ck_assert_int_eq(places, 1);
	ck_assert_int_eq(files_kept(), 2);
	json_free(properties_of(noted));
	/* Nor twice when only the answer was lost. */
	snprintf(name, sizeof name, "Test lost %08x", (unsigned)getpid());
	place[0] = '\0';
	fault("POST /drive/v3/files", "\"lost\"");
	open_again();
	put_text("raw/a", "a");
	ck_assert_int_eq(files_kept(), 4);
}
END_TEST

/* PATCH of a file. */
static void
change(const char *id, const char *body)
{
	char *path = mem_fmt(&e, "/drive/v3/files/%s", id);

	json_free(api_by("PATCH", path, body));
	free(path);
}

START_TEST(of_two_folders_the_noted_one_is_taken_while_it_is_one)
{
	struct remote_object o;
	char first[REMOTE_ID_MAX], second[REMOTE_ID_MAX];

	put_text("raw/a", "a");
	strcpy(first, place);
	make_folder();
	open_again();
	one(remote_stat(r, "raw/a", &o, NULL, &e));
	ck_assert_str_eq(place, first);
	/* In the trash, it is none: there is one left. */
	change(first, "{\"trashed\": true}");
	open_again();
	ck_assert_int_eq(remote_stat(r, "raw/a", &o, NULL, &e), 0);
	ck_assert_str_ne(place, first);
	strcpy(second, place);
	/* Nor with another name; then there is none, and a new one gets an id of its own. */
	change(second, "{\"name\": \"elsewhere\"}");
	open_again();
	put_text("raw/a", "a");
	ck_assert_str_ne(place, first);
	ck_assert_str_ne(place, second);
	one(remote_stat(r, "raw/a", &o, NULL, &e));
	/* What is no id at all is as good as none. */
	strcpy(place, "../root");
	open_again();
	one(remote_stat(r, "raw/a", &o, NULL, &e));
}
END_TEST

START_TEST(what_is_known_is_found_by_its_id)
{
	struct remote_object known, o;
	char outside[REMOTE_ID_MAX];
	struct json *v;

	tell_fake("POST", "/fake/settings", "{\"lag_s\": 99}");
	known = put_text("raw/a", "a");
	ck_assert_int_eq(remote_stat(r, "raw/a", &o, NULL, &e), 0);
	one(remote_look(r, &known, &o, &e));
	ck_assert_str_eq(o.tag, known.tag);
	ck_assert_str_eq(o.key, "raw/a");
	ck_assert_str_eq(o.sha256, known.sha256);
	/* Another key, another folder, the trash, an id that was never given, or none. */
	strcpy(known.key, "raw/b");
	ck_assert_int_eq(remote_look(r, &known, &o, &e), 0);
	v = api("/drive/v3/files", "{\"appProperties\": {\"rec_key\": \"raw/b\"}}");
	snprintf(outside, sizeof outside, "%s", json_get_str(v, "id"));
	json_free(v);
	strcpy(known.id, outside);
	ck_assert_int_eq(remote_look(r, &known, &o, &e), 0);
	strcpy(known.id, "never-given");
	ck_assert_int_eq(remote_look(r, &known, &o, &e), 0);
	strcpy(known.id, "a/../b");
	ck_assert_int_eq(remote_look(r, &known, &o, &e), 0);
	known = put_text("raw/c", "c");
	change(known.id, "{\"trashed\": true}");
	ck_assert_int_eq(remote_look(r, &known, &o, &e), 0);
}
END_TEST

START_TEST(what_no_list_shows_yet_is_replaced_in_its_place)
{
	struct remote_source s = source_of("raw/a", "new", 3);
	struct remote_object old, o;

	tell_fake("POST", "/fake/settings", "{\"lag_s\": 99}");
	old = put_text("raw/a", "old");
	s.condition = REMOTE_REPLACE;
	s.tag = old.tag;
	s.id = old.id;
	ok(remote_put(r, &s, &o, &e));
	ck_assert_str_eq(o.id, old.id);
	ck_assert_str_ne(o.tag, old.tag);
	ck_assert_int_eq(files_kept(), 2);
	/* Not when it is another version by now. */
	s = source_of("raw/a", "newer", 5);
	s.condition = REMOTE_REPLACE;
	s.tag = old.tag;
	s.id = old.id;
	refused(remote_put(r, &s, &o, &e), ERR_ITEM, P_CONFLICT);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("remote_drive");
	TCase *t = tcase_create("drive");
	SRunner *runner;
	int failed;

	tcase_add_unchecked_fixture(t, start_drive, end_drive);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, a_token_that_ended_is_renewed_once);
	tcase_add_test(t, a_short_token_is_renewed_before_it_ends);
	tcase_add_test(t, a_revoked_sign_in_ends_the_run_and_says_what_to_do);
	tcase_add_test(t, settings_that_lack_something_are_refused);
	tcase_add_loop_test(t, each_refusal_is_what_it_is, 0, sizeof answers / sizeof answers[0]);
	tcase_add_test(t, an_answer_that_was_lost_makes_nothing_twice);
	tcase_add_test(t, many_at_once_and_every_fault_leave_each_file_once);
	tcase_add_loop_test(
	    t, an_upload_comes_through, 0, sizeof upload_faults / sizeof upload_faults[0]);
	tcase_add_test(t, a_session_that_ended_says_so);
	tcase_add_test(t, what_arrived_outlives_its_session);
	tcase_add_test(t, a_file_that_gets_its_key_late_is_not_taken_for_another);
	tcase_add_test(t, no_token_goes_to_another_host);
	tcase_add_test(t, other_bytes_do_not_get_their_key);
	tcase_add_test(t, getting_goes_on_where_it_broke);
	tcase_add_test(t, two_folders_of_the_name_are_a_matter_of_configuration);
	tcase_add_test(t, a_folder_that_went_ends_the_run);
	tcase_add_test(t, of_two_files_of_one_key_the_oldest_stands);
	tcase_add_test(t, what_the_application_uploaded_is_found_and_taken_over);
	tcase_add_test(t, files_are_as_the_application_writes_them);
	tcase_add_test(t, keys_of_every_length);
	tcase_add_test(t, a_list_that_is_late_hides_but_does_not_double);
	tcase_add_test(t, a_folder_is_found_again_though_no_list_shows_it);
	tcase_add_test(t, a_folder_that_was_noted_and_not_made_gets_its_id);
	tcase_add_test(t, of_two_folders_the_noted_one_is_taken_while_it_is_one);
	tcase_add_test(t, what_is_known_is_found_by_its_id);
	tcase_add_test(t, what_no_list_shows_yet_is_replaced_in_its_place);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
