/*
 * http: an answer is what came, whole or named for what it lacks; nothing waits for ever. Against
 * tests/data/http-fake, which says what the queries of the addresses mean.
 */
#include "http.h"

#include <check.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "hash.h"

struct server {
	pid_t pid;
	int in; /* it ends when this is closed */
	int port;
};

static struct server plain, tls;
static char dir[] = "/tmp/check_http.XXXXXX";
static char certificate[64], key[64], text_file[64];

static struct http *h;
static struct http_answer a;
static struct err e;

/* ---- servers ---- */

static void
start_server(struct server *s, const char *crt, const char *its_key)
{
	int in[2], out[2];
	char line[16] = "";

	if (pipe2(in, O_CLOEXEC) == -1 || pipe2(out, O_CLOEXEC) == -1)
		exit(1);
	if ((s->pid = fork()) == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execl("tests/data/http-fake", "http-fake", crt, its_key, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	s->in = in[1];
	if (read(out[0], line, sizeof line - 1) <= 0 || (s->port = atoi(line)) == 0) {
		fprintf(stderr, "tests/data/http-fake does not start\n");
		exit(1);
	}
	close(out[0]);
}

static void
end_server(struct server *s)
{
	close(s->in);
	waitpid(s->pid, NULL, 0);
}

static void
start_servers(void)
{
	char command[512];

	if (mkdtemp(dir) == NULL)
		exit(1);
	snprintf(certificate, sizeof certificate, "%s/crt", dir);
	snprintf(key, sizeof key, "%s/key", dir);
	snprintf(text_file, sizeof text_file, "%s/text", dir);
	snprintf(command, sizeof command,
	    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
	    "-subj /CN=test -addext subjectAltName=IP:127.0.0.1 -keyout %s -out %s 2>/dev/null && "
	    "echo no certificate >%s",
	    key, certificate, text_file);
	if (system(command) != 0) {
		fprintf(stderr, "openssl makes no certificate\n");
		exit(1);
	}
	start_server(&plain, NULL, NULL);
	start_server(&tls, certificate, key);
}

static void
end_servers(void)
{
	end_server(&plain);
	end_server(&tls);
	unlink(certificate);
	unlink(key);
	unlink(text_file);
	rmdir(dir);
}

/* ---- requests ---- */

static void
open_with(struct http_opts o)
{
	ck_assert_msg((h = http_open(&o, &e)) != NULL, "%s", e.text);
}

static void
teardown(void)
{
	http_answer_free(&a);
	http_close(h);
	h = NULL;
}

static char *
at(const struct server *s, const char *scheme, const char *rest)
{
	static char url[8][512];
	static atomic_uint n;
	char *u = url[atomic_fetch_add(&n, 1) % 8];

	snprintf(u, sizeof url[0], "%s://127.0.0.1:%d%s", scheme, s->port, rest);
	return u;
}

/* The answer to a request of the plain server, in `a`. */
static int
ask_with(struct http_request q, const char *rest)
{
	http_answer_free(&a);
	q.url = at(&plain, "http", rest);
	if (q.method == NULL)
		q.method = "GET";
	e = (struct err){0};
	return http_send(h, &q, &a, &e);
}

static void
ask(const char *rest)
{
	ck_assert_msg(ask_with((struct http_request){0}, rest) == 0, "%s", e.text);
}

static void
ask_failing(const char *rest, enum http_failure failure)
{
	ask(rest);
	ck_assert_msg(a.failure == failure, "%s: %d %s", rest, a.failure, a.why);
	ck_assert_msg(
	    strstr(a.why, "127.0.0.1") != NULL && strchr(a.why, '?') == NULL, "%s", a.why);
}

/* An open file without a name that holds n bytes of letters. */
static int
file_of(size_t n)
{
	char name[] = "/tmp/check_http.file.XXXXXX", *p = malloc(n + 1);
	int fd = mkstemp(name);

	unlink(name);
	for (size_t i = 0; i < n; i++)
		p[i] = (char)('a' + i % 26);
	ck_assert(write(fd, p, n) == (ssize_t)n);
	free(p);
	return fd;
}

/* What the answer to a request with digest=1 has to be. */
static char *
digest_of(int fd, uint64_t offset, size_t n)
{
	static char out[HASH_SHA256_HEX + 32];
	char *p = malloc(n + 1), hex[HASH_SHA256_HEX];
	struct hash *d = hash_open(HASH_SHA256, &e);

	ck_assert(pread(fd, p, n, (off_t)offset) == (ssize_t)n);
	hash_update(d, p, n);
	hash_sha256(d, hex);
	hash_close(d);
	free(p);
	snprintf(out, sizeof out, "%zu %s", n, hex);
	return out;
}

static double
seconds_since(int64_t t)
{
	return (double)(clock_monotonic_ns() - t) / 1e9;
}

/* ---- what is sent ---- */

START_TEST(every_method_goes_as_it_is_with_its_headers_and_body)
{
	static const struct {
		const char *method, *body, *expect;
	} t[] = {
	    {"GET", NULL, NULL},
	    {"DELETE", NULL, NULL},
	    {"MKCOL", NULL, NULL},
	    {"COPY", NULL, NULL},
	    {"MOVE", NULL, NULL},
	    {"PROPFIND", NULL, NULL},
	    {"PROPFIND", "<propfind/>", "Content-Length: 11\r\n"},
	    {"PUT", "12345", "Content-Length: 5\r\n"},
	    {"PUT", NULL, "Content-Length: 0\r\n"},
	    {"POST", NULL, "Content-Length: 0\r\n"},
	    {"PUT", "", "Content-Length: 0\r\n"},
	    {"POST", "a=b", "Content-Length: 3\r\n"},
	    {"PATCH", "{}", "Content-Length: 2\r\n"},
	    {"DELETE", "x", "Content-Length: 1\r\n"},
	};
	const char *headers[] = {"X-One: 1", "Authorization: secret", NULL};
	char first[128];

	open_with((struct http_opts){0});
	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		ck_assert(ask_with((struct http_request){.method = t[i].method,
				       .body = t[i].body,
				       .body_len = t[i].body == NULL ? 0 : strlen(t[i].body),
				       .headers = headers},
			      "/a/../b//c%2F?echo=1") == 0);
		ck_assert_int_eq(a.failure, HTTP_ANSWERED);
		snprintf(first, sizeof first, "%s /a/../b//c%%2F?echo=1 HTTP/1.1\r\n", t[i].method);
		ck_assert_msg(strncmp(a.body.data, first, strlen(first)) == 0, "%s", a.body.data);
		ck_assert_ptr_nonnull(
		    strstr(a.body.data, "\r\nX-One: 1\r\nAuthorization: secret\r\n"));
		ck_assert_ptr_null(strstr(a.body.data, "Expect:"));
		ck_assert_ptr_null(strstr(a.body.data, "Content-Type:"));
		if (t[i].expect == NULL)
			ck_assert_ptr_null(strstr(a.body.data, "Content-Length:"));
		else
			ck_assert_ptr_nonnull(strstr(a.body.data, t[i].expect));
		ck_assert_str_eq(
		    strstr(a.body.data, "\r\n\r\n") + 4, t[i].body == NULL ? "" : t[i].body);
		ck_assert_uint_eq(a.sent, t[i].body == NULL ? 0 : strlen(t[i].body));
		ck_assert_uint_eq(a.received, a.body.len);
	}
}
END_TEST

START_TEST(a_content_type_that_is_given_is_sent_once)
{
	const char *headers[] = {"content-type: text/xml", NULL};

	open_with((struct http_opts){0});
	ask_with(
	    (struct http_request){.method = "PUT", .body = "x", .body_len = 1, .headers = headers},
	    "/?echo=1");
	ck_assert_ptr_nonnull(strstr(a.body.data, "\r\ncontent-type: text/xml\r\n"));
	ck_assert_ptr_null(strstr(a.body.data, "x-www-form"));
}
END_TEST

START_TEST(a_head_has_an_answer_without_a_body)
{
	char length[32];

	open_with((struct http_opts){0});
	ask_with((struct http_request){.method = "HEAD"}, "/?body=100000");
	ck_assert_int_eq(a.failure, HTTP_ANSWERED);
	ck_assert_int_eq(a.status, 200);
	ck_assert_uint_eq(a.body.len, 0);
	ck_assert(http_header(&a, "content-LENGTH", length, sizeof length));
	ck_assert_str_eq(length, "100000");
	/* The connection is in order. */
	ask("/?body=3");
	ck_assert_str_eq(a.body.data, "abc");
}
END_TEST

static const size_t sizes[] = {1, 4095, 32768, 32769, 61440, 61441, 5000000};
#define N_SIZES (int)(sizeof sizes / sizeof sizes[0])

START_TEST(bodies_of_all_sizes_arrive_from_memory_and_from_a_range_of_a_file)
{
	size_t n = sizes[_i];
	int fd = file_of(n + 20);
	char *p = malloc(n);
	atomic_ullong sent = 0;

	open_with((struct http_opts){.sent = &sent});
	ck_assert(pread(fd, p, n, 0) == (ssize_t)n);
	ask_with((struct http_request){.method = "PUT", .body = p, .body_len = n}, "/?digest=1");
	ck_assert_str_eq(a.body.data, digest_of(fd, 0, n));
	ck_assert_uint_eq(a.sent, n);
	ask_with(
	    (struct http_request){
		.method = "PUT", .has_file = true, .fd = fd, .offset = 13, .bytes = n},
	    "/?digest=1");
	ck_assert_str_eq(a.body.data, digest_of(fd, 13, n));
	ck_assert_uint_eq(a.sent, n);
	ck_assert_uint_eq(sent, 2 * n);
	free(p);
	close(fd);
}
END_TEST

START_TEST(an_empty_file_is_a_body_of_no_bytes)
{
	int fd = file_of(0);

	open_with((struct http_opts){0});
	ask_with((struct http_request){.method = "PUT", .has_file = true, .fd = fd}, "/?echo=1");
	ck_assert_ptr_nonnull(strstr(a.body.data, "\r\nContent-Length: 0\r\n"));
	close(fd);
}
END_TEST

START_TEST(a_file_that_became_shorter_fails_the_request)
{
	int fd = file_of(99999);

	open_with((struct http_opts){0});
	ck_assert_int_eq(
	    ask_with(
		(struct http_request){.method = "PUT", .has_file = true, .fd = fd, .bytes = 100000},
		"/?digest=1"),
	    -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_str_eq(e.code, P_MODIFIED);
	close(fd);
	ask("/?body=1");
	ck_assert_int_eq(a.failure, HTTP_ANSWERED);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_fails_the_request)
{
	open_with((struct http_opts){0});
	ck_assert_int_eq(ask_with((struct http_request){.method = "PUT",
				      .has_file = true,
				      .fd = h == NULL ? 0 : dup(0) + 1000,
				      .bytes = 100000},
			     "/?digest=1"),
	    -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_str_eq(e.code, P_UNREADABLE);
}
END_TEST

START_TEST(a_line_break_in_a_header_or_an_address_is_not_sent)
{
	const char *headers[] = {"X-One: 1\r\nX-Two: 2", NULL};

	open_with((struct http_opts){0});
	ck_assert_int_eq(ask_with((struct http_request){.headers = headers}, "/?echo=1"), -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_int_eq(ask_with((struct http_request){0}, "/a\r\nX-Two: 2"), -1);
	ck_assert_int_eq(e.class, ERR_ITEM);
}
END_TEST

START_TEST(no_other_protocol_no_user_and_no_proxy_of_the_environment)
{
	struct http_request q = {.method = "GET", .url = "file:///etc/passwd"};
	char url[64];

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("all_proxy", "http://127.0.0.1:1", 1);
	open_with((struct http_opts){0});
	ask("/?body=1");
	ck_assert_int_eq(a.failure, HTTP_ANSWERED);
	http_answer_free(&a);
	ck_assert_int_eq(http_send(h, &q, &a, &e), -1);
	ck_assert_int_eq(e.class, ERR_CONFIG);
	snprintf(url, sizeof url, "http://me:hush@127.0.0.1:%d/", plain.port);
	q.url = url;
	ck_assert_int_eq(http_send(h, &q, &a, &e), -1);
	ck_assert_int_eq(e.class, ERR_CONFIG);
	ck_assert_msg(
	    strstr(e.text, "hush") == NULL && strstr(e.text, "127.0.0.1") != NULL, "%s", e.text);
}
END_TEST

/* ---- what comes ---- */

START_TEST(any_status_is_an_answer)
{
	static const int statuses[] = {200, 201, 204, 206, 207, 301, 304, 307, 308, 400, 401, 403,
	    404, 409, 412, 429, 500, 503};
	char rest[64];

	open_with((struct http_opts){0});
	for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
		snprintf(rest, sizeof rest,
		    "/?status=%d&body=5&header=Location:http://127.0.0.1:1/", statuses[i]);
		ask(rest);
		ck_assert_int_eq(a.failure, HTTP_ANSWERED);
		ck_assert_int_eq(a.status, statuses[i]);
		ck_assert_str_eq(a.why, "");
		if (statuses[i] != 204 && statuses[i] != 304)
			ck_assert_str_eq(a.body.data, "abcde");
	}
}
END_TEST

START_TEST(an_answer_before_the_body_is_through_counts)
{
	int fd = file_of(0), answered = 0;

	ck_assert_int_eq(ftruncate(fd, 256 << 20), 0);
	open_with((struct http_opts){0});
	for (int i = 0; i < 20; i++) {
		ask_with(
		    (struct http_request){
			.method = "PUT", .has_file = true, .fd = fd, .bytes = 256 << 20},
		    _i == 0 ? "/?readmax=1000&status=403&body=6"
			    : "/?readmax=1000&status=403&body=6&reset=1");
		ck_assert_uint_lt(a.sent, 256 << 20);
		if (a.failure == HTTP_ANSWERED) {
			answered++;
			ck_assert_int_eq(a.status, 403);
			ck_assert_str_eq(a.body.data, "abcdef");
		} else {
			ck_assert_int_eq(a.failure, HTTP_CUT);
		}
	}
	/* Some of a server that hangs up at once are lost, and none of one with manners. */
	ck_assert_int_ge(answered, _i == 0 ? 20 : 1);
	close(fd);
}
END_TEST

START_TEST(the_head_is_the_last_one_without_trailers)
{
	char v[16];

	open_with((struct http_opts){0});
	ask("/?continue=1&chunked=10&trailer=1&body=26&header=X-Two:a&header=x-two:%20b%20");
	ck_assert_int_eq(a.failure, HTTP_ANSWERED);
	ck_assert_str_eq(a.body.data, "abcdefghijklmnopqrstuvwxyz");
	ck_assert_int_eq(a.status, 200);
	ck_assert(strncmp(a.head.data, "HTTP/1.1 200 ", 13) == 0);
	ck_assert(!http_header(&a, "X-Early", v, sizeof v));
	ck_assert(!http_header(&a, "X-Trailer", v, sizeof v));
	ck_assert(!http_header(&a, "X-Tw", v, sizeof v));
	ck_assert(!http_header(&a, "HTTP/1.1 200 Status", v, sizeof v));
	ck_assert(http_header(&a, "X-TWO", v, sizeof v));
	ck_assert_str_eq(v, "b");
	ck_assert(http_header(&a, "X-Two", v, 2));
	ck_assert(!http_header(&a, "X-Two", v, 1));
}
END_TEST

START_TEST(the_skew_is_that_of_the_date)
{
	char date[64], rest[128];
	time_t then = time(NULL) - 3600;
	struct tm tm;

	open_with((struct http_opts){0});
	ask("/?body=1");
	ck_assert(!a.has_skew);
	ask("/?header=Date:yesterday%20or%20so");
	ck_assert(!a.has_skew);
	gmtime_r(&then, &tm);
	strftime(date, sizeof date, "%a,%%20%d%%20%b%%20%Y%%20%H:%M:%S%%20GMT", &tm);
	snprintf(rest, sizeof rest, "/?header=Date:%s", date);
	ask(rest);
	ck_assert(a.has_skew);
	ck_assert_msg(a.skew_s <= -3600 && a.skew_s >= -3603, "%lld", (long long)a.skew_s);
	/* A date to come back at is by the clock of who says it. */
	then += 7;
	gmtime_r(&then, &tm);
	snprintf(rest, sizeof rest, "/?header=Date:%s&header=Retry-After:", date);
	strftime(rest + strlen(rest), 64, "%a,%%20%d%%20%b%%20%Y%%20%H:%M:%S%%20GMT", &tm);
	ask(rest);
	ck_assert_int_ge(http_retry_after(&a), 5);
	ck_assert_int_le(http_retry_after(&a), 8);
}
END_TEST

START_TEST(retry_after_is_seconds_up_to_a_day)
{
	static const struct {
		const char *rest;
		int64_t s;
	} t[] = {
	    {"/", -1},
	    {"/?header=Retry-After:", -1},
	    {"/?header=Retry-After:0", 0},
	    {"/?header=Retry-After:17", 17},
	    {"/?header=Retry-After:86401", 86400},
	    {"/?header=Retry-After:99999999999999999999999", 86400},
	    {"/?header=Retry-After:-3", -1},
	    {"/?header=Retry-After:soon", -1},
	    {"/?header=Retry-After:Sun,%2006%20Nov%201994%2008:49:37%20GMT", 0},
	    {"/?header=Retry-After:Fri,%2006%20Nov%202099%2008:49:37%20GMT", 86400},
	};

	open_with((struct http_opts){0});
	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		ask(t[i].rest);
		ck_assert_msg(http_retry_after(&a) == t[i].s, "%s", t[i].rest);
	}
}
END_TEST

START_TEST(dates_of_headers_are_seconds)
{
	static const char *const bad[] = {"", "soon", "Sun, 99 Nov 1994 08:49:37 GMT", "Sun"};
	int64_t s;

	ck_assert(http_date("Sun, 06 Nov 1994 08:49:37 GMT", &s));
	ck_assert_int_eq(s, 784111777);
	ck_assert(http_date("Thu, 01 Jan 1970 00:00:00 GMT", &s));
	ck_assert_int_eq(s, 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(!http_date(bad[i], &s), "%s", bad[i]);
}
END_TEST

START_TEST(a_part_begins_where_its_range_says)
{
	open_with((struct http_opts){0});
	ask("/?status=206&body=1&header=Content-Range:bytes%2010-10/100");
	ck_assert(http_begins_at(&a, 10));
	ck_assert(!http_begins_at(&a, 1));
	ck_assert(!http_begins_at(&a, 100));
	ck_assert(!http_begins_at(&a, 0));
	ask("/?status=206&body=1&header=Content-Range:10-10/100");
	ck_assert(!http_begins_at(&a, 10));
	ask("/?body=1");
	ck_assert(!http_begins_at(&a, 0));
}
END_TEST

struct sinking {
	uint64_t bytes;
	uint64_t fails_at;
	unsigned char last;
};

static int
sink(void *ctx, const void *p, size_t len, struct err *to)
{
	struct sinking *s = ctx;

	ck_assert(memcmp(p, "abcdefghijklmnopqrstuvwxyz" + s->bytes % 26,
		      len < 26 - s->bytes % 26 ? len : 26 - s->bytes % 26) == 0);
	s->bytes += len;
	if (s->fails_at > 0 && s->bytes >= s->fails_at)
		return err_item(to, P_NO_SPACE, "full");
	return 0;
}

START_TEST(a_sink_has_the_bodies_of_success_alone)
{
	struct sinking s = {0};
	struct http_request q = {.sink = sink, .ctx = &s};
	atomic_ullong received = 0;

	open_with((struct http_opts){.received = &received});
	ck_assert_int_eq(ask_with(q, "/?status=206&body=3000000"), 0);
	ck_assert_int_eq(a.failure, HTTP_ANSWERED);
	ck_assert_uint_eq(s.bytes, 3000000);
	ck_assert_uint_eq(a.received, 3000000);
	ck_assert_uint_eq(received, 3000000);
	ck_assert_uint_eq(a.body.len, 0);
	ck_assert_int_eq(ask_with(q, "/?status=404&body=7"), 0);
	ck_assert_uint_eq(s.bytes, 3000000);
	ck_assert_str_eq(a.body.data, "abcdefg");
}
END_TEST

START_TEST(a_sink_can_end_its_transfer)
{
	struct sinking s = {.fails_at = 100000};

	open_with((struct http_opts){0});
	ck_assert_int_eq(
	    ask_with((struct http_request){.sink = sink, .ctx = &s}, "/?body=30000000"), -1);
	ck_assert_str_eq(e.text, "full");
	ck_assert_str_eq(e.code, P_NO_SPACE);
	ck_assert_uint_lt(s.bytes, 1000000);
	ask("/?body=1");
	ck_assert_int_eq(a.failure, HTTP_ANSWERED);
}
END_TEST

static int
slow_sink(void *ctx, const void *p, size_t len, struct err *to)
{
	atomic_int *naps = ctx;

	(void)p;
	(void)len;
	(void)to;
	if (atomic_fetch_add(naps, 1) == 0)
		usleep(400000);
	return 0;
}

static void *
ask_slowly(void *arg)
{
	atomic_int naps = 0;

	*(int *)arg = ask_with((struct http_request){.sink = slow_sink, .ctx = &naps}, "/?body=99");
	return NULL;
}

START_TEST(a_sink_that_takes_its_time_is_no_silence_of_others)
{
	struct http_answer other;
	pthread_t thread;
	int rc;

	open_with((struct http_opts){.stall_ms = 250});
	pthread_create(&thread, NULL, ask_slowly, &rc);
	ck_assert_int_eq(http_send(h,
			     &(struct http_request){
				 .method = "GET", .url = at(&plain, "http", "/?delay=150&body=2")},
			     &other, &e),
	    0);
	ck_assert_msg(other.failure == HTTP_ANSWERED, "%s", other.why);
	http_answer_free(&other);
	pthread_join(thread, NULL);
	ck_assert_int_eq(rc, 0);
	ck_assert_int_eq(a.failure, HTTP_ANSWERED);
}
END_TEST

START_TEST(an_answer_that_is_too_large_is_not_taken)
{
	struct sinking s = {0};
	struct http_request q = {.max_answer = 5000};

	open_with((struct http_opts){0});
	ask("/?body=1048576");
	ck_assert_int_eq(a.failure, HTTP_ANSWERED);
	ask_failing("/?body=1048577", HTTP_TOO_LARGE);
	ask_with(q, "/?body=5000");
	ck_assert_int_eq(a.failure, HTTP_ANSWERED);
	ask_with(q, "/?body=5001&chunked=100");
	ck_assert_int_eq(a.failure, HTTP_TOO_LARGE);
	q.max_answer = 3000000;
	q.sink = sink;
	q.ctx = &s;
	ask_with(q, "/?body=3000000");
	ck_assert_int_eq(a.failure, HTTP_ANSWERED);
	s.bytes = 0;
	ask_with(q, "/?body=3000001");
	ck_assert_int_eq(a.failure, HTTP_TOO_LARGE);
	ck_assert_uint_le(s.bytes, 3000000);
	/* Nor do errors fill the memory. */
	ask_with(q, "/?status=500&body=3000000");
	ck_assert_int_eq(a.failure, HTTP_TOO_LARGE);
}
END_TEST

/* ---- what goes wrong ---- */

START_TEST(what_is_cut_is_no_answer)
{
	static const char *const rests[] = {"/?cut=0", "/?cut=9", "/?cut=30&body=100",
	    "/?cut=80&body=1000", "/?cut=1000&body=10000&chunked=100", "/?cut=0&reset=1",
	    "/?cut=80&body=1000&reset=1", "/?body=10&length=11&drop=1"};

	open_with((struct http_opts){.stall_s = 3});
	for (size_t i = 0; i < sizeof rests / sizeof rests[0]; i++)
		ask_failing(rests[i], HTTP_CUT);
}
END_TEST

START_TEST(an_answer_may_end_with_its_connection)
{
	open_with((struct http_opts){0});
	ask("/?nolength=1&body=30");
	ck_assert_int_eq(a.failure, HTTP_ANSWERED);
	ck_assert_uint_eq(a.body.len, 30);
}
END_TEST

START_TEST(what_is_not_http_is_nonsense)
{
	static const char *const rests[] = {"/?raw=SSH-2.0-OpenSSH_9.2%0d%0a", "/?raw=%00%01%02%03",
	    "/?raw=HTTP/1.1%20twohundred%20OK%0d%0a%0d%0a", "/?raw=HTTP/9.1%20200%20OK%0d%0a%0d%0a",
	    "/?body=2000&chunked=100&bad=1"};

	open_with((struct http_opts){.stall_s = 3});
	for (size_t i = 0; i < sizeof rests / sizeof rests[0]; i++)
		ask_failing(rests[i], HTTP_NONSENSE);
}
END_TEST

START_TEST(a_head_without_end_is_refused)
{
	open_with((struct http_opts){0});
	ask("/?junk=30000000");
	ck_assert_msg(a.failure == HTTP_TOO_LARGE, "%d %s", a.failure, a.why);
}
END_TEST

START_TEST(a_port_where_nobody_listens_is_unreachable)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof sa;
	int s = socket(AF_INET, SOCK_STREAM, 0);
	struct http_request q = {.method = "GET"};
	char url[64];

	ck_assert(bind(s, (struct sockaddr *)&sa, len) == 0);
	getsockname(s, (struct sockaddr *)&sa, &len);
	snprintf(url, sizeof url, "http://127.0.0.1:%d/hush", ntohs(sa.sin_port));
	open_with((struct http_opts){0});
	q.url = url;
	ck_assert_int_eq(http_send(h, &q, &a, &e), 0);
	ck_assert_int_eq(a.failure, HTTP_UNREACHABLE);
	ck_assert_ptr_nonnull(strstr(a.why, "Connection refused"));
	ck_assert_ptr_null(strstr(a.why, "hush"));
	close(s);
}
END_TEST

struct asking {
	pthread_t thread;
	const char *rest;
	struct http_answer a;
	struct err e;
	int rc;
};

static void *
ask_in_thread(void *arg)
{
	struct asking *q = arg;

	q->rc = http_send(h,
	    &(struct http_request){.method = "GET", .url = at(&plain, "http", q->rest)}, &q->a,
	    &q->e);
	return NULL;
}

/* A listener whose queue is full answers no more: connecting takes for ever. Meanwhile another is
 * connected, and silent. */
START_TEST(connecting_and_silence_each_have_their_time)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof sa;
	int s = socket(AF_INET, SOCK_STREAM, 0), fill[4];
	struct asking silent = {.rest = "/?stall=20"};
	struct http_request q = {.method = "GET"};
	int64_t t;
	char url[64];

	ck_assert(bind(s, (struct sockaddr *)&sa, len) == 0 && listen(s, 0) == 0);
	getsockname(s, (struct sockaddr *)&sa, &len);
	for (int i = 0; i < 4; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(fill[i], (struct sockaddr *)&sa, len);
	}
	snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(sa.sin_port));
	open_with((struct http_opts){.connect_s = 1, .stall_s = 1});
	q.url = url;
	t = clock_monotonic_ns();
	pthread_create(&silent.thread, NULL, ask_in_thread, &silent);
	ck_assert_int_eq(http_send(h, &q, &a, &e), 0);
	ck_assert_int_eq(a.failure, HTTP_UNREACHABLE);
	ck_assert(seconds_since(t) > 0.9 && seconds_since(t) < 2);
	pthread_join(silent.thread, NULL);
	ck_assert_int_eq(silent.a.failure, HTTP_STALLED);
	ck_assert_ptr_nonnull(strstr(silent.a.why, "for 1 s"));
	ck_assert_msg(seconds_since(t) > 0.9 && seconds_since(t) < 1.6, "%.2f s", seconds_since(t));
	http_answer_free(&silent.a);
	for (int i = 0; i < 4; i++)
		close(fill[i]);
	close(s);
}
END_TEST

START_TEST(a_name_that_nobody_has_is_unresolved)
{
	struct http_request q = {.method = "GET", .url = "http://no-such-host.invalid/hush"};

	open_with((struct http_opts){.connect_s = 1});
	ck_assert_int_eq(http_send(h, &q, &a, &e), 0);
	ck_assert_msg(a.failure == HTTP_UNRESOLVED, "%d %s", a.failure, a.why);
	ck_assert_ptr_nonnull(strstr(a.why, "no-such-host.invalid"));
	ck_assert_ptr_null(strstr(a.why, "hush"));
}
END_TEST

static const struct {
	const char *method, *rest;
	size_t body;
} stalls[] = {
    {"GET", "/?stall=0", 0},
    {"GET", "/?stall=20", 0},
    {"GET", "/?stall=100&body=1000", 0},
    {"PUT", "/?stall=0", 100},
    {"PUT", "/?readmax=1000&hang=1", 32 << 20},
};
#define N_STALLS (int)(sizeof stalls / sizeof stalls[0])

struct stalled {
	pthread_t thread;
	int fd;
	double seconds;
	char url[256];
	struct http_request q;
	struct http_answer a;
	struct err e;
};

static void *
wait_for_silence(void *arg)
{
	struct stalled *k = arg;
	int64_t t = clock_monotonic_ns();

	http_send(h, &k->q, &k->a, &k->e);
	k->seconds = seconds_since(t);
	return NULL;
}

START_TEST(silence_ends_a_transfer)
{
	struct stalled all[N_STALLS];

	open_with((struct http_opts){.stall_ms = 250});
	for (int i = 0; i < N_STALLS; i++) {
		all[i] = (struct stalled){.fd = file_of(stalls[i].body)};
		snprintf(all[i].url, sizeof all[i].url, "%s", at(&plain, "http", stalls[i].rest));
		all[i].q = (struct http_request){.method = stalls[i].method,
		    .url = all[i].url,
		    .has_file = stalls[i].body > 0,
		    .fd = all[i].fd,
		    .bytes = stalls[i].body};
	}
	for (int i = 0; i < N_STALLS; i++)
		ck_assert_int_eq(
		    pthread_create(&all[i].thread, NULL, wait_for_silence, &all[i]), 0);
	for (int i = 0; i < N_STALLS; i++) {
		struct stalled *k = &all[i];

		pthread_join(k->thread, NULL);
		ck_assert_msg(k->a.failure == HTTP_STALLED, "%s: %d %s", stalls[i].rest,
		    k->a.failure, k->a.why);
		ck_assert_msg(k->seconds > 0.2 && k->seconds < 0.85, "%s: %.2f s", stalls[i].rest,
		    k->seconds);
		ck_assert_ptr_nonnull(strstr(k->a.why, "for 0.25 s"));
		http_answer_free(&k->a);
		close(k->fd);
	}
}
END_TEST

START_TEST(a_slow_answer_is_no_silence)
{
	open_with((struct http_opts){.stall_ms = 250});
	ask("/?drip=3&body=60");
	ck_assert_msg(a.failure == HTTP_ANSWERED, "%s", a.why);
	ck_assert_uint_eq(a.body.len, 60);
}
END_TEST

/* ---- many at once ---- */

START_TEST(waiting_for_a_connection_is_neither_silence_nor_a_failure_to_connect)
{
	struct asking q[4];

	/* The first one takes 1.1 s, in which it is never silent. */
	open_with((struct http_opts){.connections = 1, .connect_s = 1, .stall_ms = 300});
	for (int i = 0; i < 4; i++) {
		q[i] = (struct asking){.rest = i == 0 ? "/?drip=6&body=140" : "/?body=2"};
		pthread_create(&q[i].thread, NULL, ask_in_thread, &q[i]);
		usleep(20000);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(q[i].thread, NULL);
		ck_assert_int_eq(q[i].rc, 0);
		ck_assert_msg(q[i].a.failure == HTTP_ANSWERED, "%s", q[i].a.why);
		ck_assert_uint_eq(q[i].a.body.len, i == 0 ? 140 : 2);
		ck_assert(strncmp(q[i].a.body.data, "ab", 2) == 0);
		http_answer_free(&q[i].a);
	}
}
END_TEST

struct worker {
	pthread_t thread;
	unsigned number, wrong;
};

static void *
put_many(void *arg)
{
	struct worker *w = arg;
	struct http_answer got;
	struct err err;
	char body[64], url[128];

	for (int i = 0; i < 100; i++) {
		snprintf(body, sizeof body, "%u %d", w->number, i);
		snprintf(url, sizeof url, "http://127.0.0.1:%d/?echo=1", plain.port);
		w->wrong +=
		    http_send(h,
			&(struct http_request){
			    .method = "PUT", .url = url, .body = body, .body_len = strlen(body)},
			&got, &err) == -1 ||
		    got.failure != HTTP_ANSWERED ||
		    strcmp(strstr(got.body.data, "\r\n\r\n") + 4, body) != 0;
		http_answer_free(&got);
	}
	return NULL;
}

static void
server_counts(unsigned *connections, unsigned *requests)
{
	ask("/?count=1");
	ck_assert_int_eq(sscanf(a.body.data, "%u %u", connections, requests), 2);
}

START_TEST(many_threads_share_few_connections_and_each_has_its_own_answer)
{
	struct worker w[20];
	unsigned connections[2], requests[2];

	open_with((struct http_opts){.connections = 8});
	server_counts(&connections[0], &requests[0]);
	for (unsigned i = 0; i < 20; i++) {
		w[i] = (struct worker){.number = i};
		pthread_create(&w[i].thread, NULL, put_many, &w[i]);
	}
	for (unsigned i = 0; i < 20; i++) {
		pthread_join(w[i].thread, NULL);
		ck_assert_uint_eq(w[i].wrong, 0);
	}
	server_counts(&connections[1], &requests[1]);
	ck_assert_uint_eq(requests[1] - requests[0], 2001);
	ck_assert_uint_le(connections[1] - connections[0], 8);
}
END_TEST

START_TEST(a_connection_that_died_while_idle_is_no_failure)
{
	int fd = file_of(100000);

	open_with((struct http_opts){0});
	for (int i = 0; i < 2; i++) {
		ask("/?drop=1&body=2");
		ck_assert_str_eq(a.body.data, "ab");
	}
	ask("/?dead=1");
	ask_with(
	    (struct http_request){.method = "PUT", .has_file = true, .fd = fd, .bytes = 100000},
	    "/?digest=1");
	ck_assert_msg(a.failure == HTTP_ANSWERED, "%s", a.why);
	ck_assert_str_eq(a.body.data, digest_of(fd, 0, 100000));
	ck_assert_uint_eq(a.sent, 100000);
	close(fd);
}
END_TEST

START_TEST(a_stop_ends_all_transfers_soon)
{
	struct asking q[3];
	atomic_int stop = 0;
	int64_t t;

	open_with((struct http_opts){.connections = 2, .stop = &stop});
	for (int i = 0; i < 3; i++) {
		q[i] = (struct asking){.rest = "/?hang=1"};
		pthread_create(&q[i].thread, NULL, ask_in_thread, &q[i]);
	}
	usleep(200000);
	t = clock_monotonic_ns();
	atomic_store(&stop, SIGTERM);
	for (int i = 0; i < 3; i++) {
		pthread_join(q[i].thread, NULL);
		ck_assert_int_eq(q[i].rc, -1);
		ck_assert_int_eq(q[i].e.class, ERR_STOPPED);
		http_answer_free(&q[i].a);
	}
	ck_assert_msg(seconds_since(t) < 0.25, "%.2f s", seconds_since(t));
	ck_assert_int_eq(ask_with((struct http_request){0}, "/?body=1"), -1);
	ck_assert_int_eq(e.class, ERR_STOPPED);
}
END_TEST

/* ---- the pace ---- */

START_TEST(bodies_keep_to_the_pace_in_both_directions)
{
	struct pace *p = pace_open("1M", &e);
	int fd = file_of(300 << 10), up = _i;
	struct sinking s = {0};
	int64_t t;

	open_with((struct http_opts){.pace = p, .stall_ms = 300});
	t = clock_monotonic_ns();
	if (up)
		ask_with(
		    (struct http_request){
			.method = "PUT", .has_file = true, .fd = fd, .bytes = 300 << 10},
		    "/?digest=1");
	else
		ask_with((struct http_request){.sink = sink, .ctx = &s}, "/?body=307200");
	ck_assert_msg(a.failure == HTTP_ANSWERED, "%s", a.why);
	if (up)
		ck_assert_str_eq(a.body.data, digest_of(fd, 0, 300 << 10));
	else
		ck_assert_uint_eq(s.bytes, 307200);
	/* 0.3 s, less what may go at once. */
	ck_assert_msg(
	    seconds_since(t) > 0.15 && seconds_since(t) < 0.8, "%.2f s", seconds_since(t));
	teardown();
	pace_close(p);
	close(fd);
}
END_TEST

START_TEST(both_directions_of_one_transfer_may_wait_for_the_pace)
{
	struct pace *p = pace_open("500K", &e);
	int fd = file_of(100000);
	struct asking q = {.rest = "/?body=30000"};

	open_with((struct http_opts){.pace = p, .stall_s = 2});
	pthread_create(&q.thread, NULL, ask_in_thread, &q);
	ask_with(
	    (struct http_request){.method = "PUT", .has_file = true, .fd = fd, .bytes = 100000},
	    "/?readmax=1000&body=50000");
	ck_assert_msg(a.failure == HTTP_ANSWERED, "%s", a.why);
	ck_assert_uint_eq(a.body.len, 50000);
	pthread_join(q.thread, NULL);
	ck_assert_int_eq(q.a.failure, HTTP_ANSWERED);
	http_answer_free(&q.a);
	teardown();
	pace_close(p);
	close(fd);
}
END_TEST

START_TEST(transfers_share_the_pace_so_that_none_starves_or_stalls)
{
	struct pace *p = pace_open("192K", &e);
	struct asking q[6];
	int64_t t = clock_monotonic_ns();

	open_with((struct http_opts){.pace = p, .stall_ms = 300});
	for (int i = 0; i < 6; i++) {
		q[i] = (struct asking){.rest = "/?body=15000"};
		pthread_create(&q[i].thread, NULL, ask_in_thread, &q[i]);
	}
	for (int i = 0; i < 6; i++) {
		pthread_join(q[i].thread, NULL);
		ck_assert_msg(q[i].a.failure == HTTP_ANSWERED, "%s", q[i].a.why);
		ck_assert_uint_eq(q[i].a.body.len, 15000);
		http_answer_free(&q[i].a);
	}
	ck_assert_msg(seconds_since(t) > 0.2 && seconds_since(t) < 1, "%.2f s", seconds_since(t));
	teardown();
	pace_close(p);
}
END_TEST

START_TEST(a_pace_costs_no_processor_time_while_it_waits)
{
	struct pace *p = pace_open("80K", &e);
	clock_t cpu;

	open_with((struct http_opts){.pace = p});
	ask("/?body=1");
	cpu = clock();
	ask("/?body=25000");
	ck_assert_int_eq(a.failure, HTTP_ANSWERED);
	ck_assert_msg(clock() - cpu < CLOCKS_PER_SEC / 10, "%ld", (long)(clock() - cpu));
	teardown();
	pace_close(p);
}
END_TEST

/* ---- TLS ---- */

static void
ask_tls(const char *url, enum http_failure failure)
{
	http_answer_free(&a);
	ck_assert_msg(
	    http_send(h, &(struct http_request){.method = "GET", .url = url}, &a, &e) == 0, "%s",
	    e.text);
	ck_assert_msg(a.failure == failure, "%d %s", a.failure, a.why);
}

START_TEST(a_certificate_that_is_trusted_is_enough)
{
	int fd = file_of(3000000);

	open_with((struct http_opts){.ca_file = certificate});
	ask_tls(at(&tls, "https", "/?body=4"), HTTP_ANSWERED);
	ck_assert_str_eq(a.body.data, "abcd");
	http_answer_free(&a);
	ck_assert_int_eq(http_send(h,
			     &(struct http_request){.method = "PUT",
				 .url = at(&tls, "https", "/?digest=1"),
				 .has_file = true,
				 .fd = fd,
				 .bytes = 3000000},
			     &a, &e),
	    0);
	ck_assert_str_eq(a.body.data, digest_of(fd, 0, 3000000));
	close(fd);
}
END_TEST

START_TEST(without_trust_nothing_is_sent)
{
	char url[64];

	snprintf(url, sizeof url, "https://localhost:%d/", tls.port);
	open_with((struct http_opts){0});
	ask_tls(at(&tls, "https", "/"), HTTP_TLS);
	ck_assert_ptr_nonnull(strstr(a.why, "certificate"));
	http_close(h);
	open_with((struct http_opts){.ca_file = certificate});
	ask_tls(url, HTTP_TLS);
	http_close(h);
	open_with((struct http_opts){.ca_file = text_file});
	ask_tls(at(&tls, "https", "/"), HTTP_TLS);
}
END_TEST

START_TEST(plain_words_to_a_tls_port_are_cut)
{
	open_with((struct http_opts){0});
	ask_tls(at(&tls, "http", "/"), HTTP_CUT);
}
END_TEST

/* Answers the greeting of a TLS client with `words`, and hangs up. */
static int listener;

static void *
greet(void *words)
{
	int c = accept(listener, NULL, NULL);
	char hello[1024];

	if (read(c, hello, sizeof hello) > 0 && write(c, words, strlen(words)) != -1)
		close(c);
	return NULL;
}

static void
ask_greeter(char *words, enum http_failure failure)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof sa;
	pthread_t thread;
	char url[64];

	listener = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert(bind(listener, (struct sockaddr *)&sa, len) == 0 && listen(listener, 5) == 0);
	getsockname(listener, (struct sockaddr *)&sa, &len);
	pthread_create(&thread, NULL, greet, words);
	snprintf(url, sizeof url, "https://127.0.0.1:%d/", ntohs(sa.sin_port));
	open_with((struct http_opts){0});
	ask_tls(url, failure);
	pthread_join(thread, NULL);
	close(listener);
}

START_TEST(a_handshake_that_is_cut_says_nothing_about_trust)
{
	ask_greeter("", HTTP_CUT);
}
END_TEST

START_TEST(a_port_that_speaks_no_tls_is_not_trusted)
{
	ask_greeter("HTTP/1.0 400 Bad Request\r\n\r\n", HTTP_TLS);
}
END_TEST

START_TEST(a_file_of_certificates_that_is_not_there_is_told_at_once)
{
	ck_assert_ptr_null(http_open(&(struct http_opts){.ca_file = "/nowhere/ca.pem"}, &e));
	ck_assert_int_eq(e.class, ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(e.text, "/nowhere/ca.pem"));
}
END_TEST

/* ---- text ---- */

START_TEST(all_but_the_unreserved_is_escaped_and_comes_back)
{
	char all[256], back[1024];
	struct buf b = {0};

	ck_assert_int_eq(http_escape(&b, "a b/c~\xc3\xa4+", 9, true, &e), 0);
	ck_assert_str_eq(b.data, "a%20b/c~%C3%A4%2B");
	ck_assert_int_eq(http_escape(&b, "/-._", 4, false, &e), 0);
	ck_assert_str_eq(b.data, "a%20b/c~%C3%A4%2B%2F-._");
	for (int i = 1; i < 256; i++)
		all[i - 1] = (char)i;
	all[255] = '\0';
	buf_clear(&b);
	ck_assert_int_eq(http_escape(&b, all, 255, false, &e), 0);
	ck_assert_uint_eq(b.len, 66 + 3 * (255 - 66));
	strcpy(back, b.data);
	ck_assert(http_unescape(back));
	ck_assert_str_eq(back, all);
	buf_free(&b);
	ck_assert_int_eq(http_escape(&b, "", 0, false, &e), 0);
	ck_assert_uint_eq(b.len, 0);
	buf_free(&b);
}
END_TEST

START_TEST(a_broken_escape_or_a_nul_is_refused)
{
	static const char *const bad[] = {"%", "a%4", "%g0", "%0g", "%00", "x%zz", "%%41"};
	char s[16];

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		strcpy(s, bad[i]);
		ck_assert_msg(!http_unescape(s), "%s", bad[i]);
	}
	strcpy(s, "%41%2f%c3+b");
	ck_assert(http_unescape(s));
	ck_assert_str_eq(s, "A/\xc3+b");
}
END_TEST

START_TEST(addresses_have_their_parts)
{
	static const struct {
		const char *text, *scheme, *host, *path;
		unsigned port;
		bool loopback;
	} t[] = {
	    {"https://example.org", "https", "example.org", "", 0, false},
	    {"HTTP://Example.org:8080/a/b%20c", "http", "Example.org", "/a/b%20c", 8080, false},
	    {"http://localhost/", "http", "localhost", "/", 0, true},
	    {"http://127.3.2.1:65535/x:y@z", "http", "127.3.2.1", "/x:y@z", 65535, true},
	    {"http://[::1]:80/", "http", "[::1]", "/", 80, true},
	    {"http://[fe80::1]", "http", "[fe80::1]", "", 0, false},
	    {"http://127.0.0.1.evil.org/", "http", "127.0.0.1.evil.org", "/", 0, false},
	    {"s3://bucket_x/raw", "s3", "bucket_x", "/raw", 0, false},
	};
	struct http_url u;

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		ck_assert_msg(http_url_parse(t[i].text, &u, &e) == 0, "%s", e.text);
		ck_assert_str_eq(u.scheme, t[i].scheme);
		ck_assert_str_eq(u.host, t[i].host);
		ck_assert_str_eq(u.path, t[i].path);
		ck_assert_uint_eq(u.port, t[i].port);
		ck_assert_int_eq(http_is_loopback(&u), t[i].loopback);
	}
}
END_TEST

START_TEST(what_is_no_address_is_refused_without_repeating_it)
{
	static const char *const bad[] = {"", "hush", "hush.org/", "://hush", "http:/hush",
	    "http://", "http:///hush", "http://me:hush@x/", "http://hush@x", "http://x:0/hush",
	    "http://x:65536/hush", "http://x:/hush", "http://x:8a/hush", "http://x: 8/hush",
	    "http://x/hush?q", "http://x/hush#f", "http://x/hu sh", "http://x/hush\n",
	    "http://[::1/hush", "http://[]/hush", "http://[g]/hush", "http://x y/hush",
	    "http://x%2fhush/", "ht tp://x/hush", "http://x:+8/hush", "http://[::1]hush"};
	struct http_url u;

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		e = (struct err){0};
		ck_assert_msg(http_url_parse(bad[i], &u, &e) == -1, "%s", bad[i]);
		ck_assert_int_eq(e.class, ERR_CONFIG);
		ck_assert_msg(strstr(e.text, "hush") == NULL, "%s", e.text);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("http");
	TCase *t = tcase_create("http");
	SRunner *r = srunner_create(s);
	int failed;

	signal(SIGPIPE, SIG_IGN);
	start_servers();
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, every_method_goes_as_it_is_with_its_headers_and_body);
	tcase_add_test(t, a_content_type_that_is_given_is_sent_once);
	tcase_add_test(t, a_head_has_an_answer_without_a_body);
	tcase_add_loop_test(
	    t, bodies_of_all_sizes_arrive_from_memory_and_from_a_range_of_a_file, 0, N_SIZES);
	tcase_add_test(t, an_empty_file_is_a_body_of_no_bytes);
	tcase_add_test(t, a_file_that_became_shorter_fails_the_request);
	tcase_add_test(t, a_file_that_cannot_be_read_fails_the_request);
	tcase_add_test(t, a_line_break_in_a_header_or_an_address_is_not_sent);
	tcase_add_test(t, no_other_protocol_no_user_and_no_proxy_of_the_environment);
	tcase_add_test(t, any_status_is_an_answer);
	tcase_add_loop_test(t, an_answer_before_the_body_is_through_counts, 0, 2);
	tcase_add_test(t, the_head_is_the_last_one_without_trailers);
	tcase_add_test(t, the_skew_is_that_of_the_date);
	tcase_add_test(t, retry_after_is_seconds_up_to_a_day);
	tcase_add_test(t, dates_of_headers_are_seconds);
	tcase_add_test(t, a_part_begins_where_its_range_says);
	tcase_add_test(t, a_sink_has_the_bodies_of_success_alone);
	tcase_add_test(t, a_sink_can_end_its_transfer);
	tcase_add_test(t, a_sink_that_takes_its_time_is_no_silence_of_others);
	tcase_add_test(t, an_answer_that_is_too_large_is_not_taken);
	tcase_add_test(t, what_is_cut_is_no_answer);
	tcase_add_test(t, an_answer_may_end_with_its_connection);
	tcase_add_test(t, what_is_not_http_is_nonsense);
	tcase_add_test(t, a_head_without_end_is_refused);
	tcase_add_test(t, a_port_where_nobody_listens_is_unreachable);
	tcase_add_test(t, connecting_and_silence_each_have_their_time);
	tcase_add_test(t, a_name_that_nobody_has_is_unresolved);
	tcase_add_test(t, silence_ends_a_transfer);
	tcase_add_test(t, a_slow_answer_is_no_silence);
	tcase_add_test(t, waiting_for_a_connection_is_neither_silence_nor_a_failure_to_connect);
	tcase_add_test(t, many_threads_share_few_connections_and_each_has_its_own_answer);
	tcase_add_test(t, a_connection_that_died_while_idle_is_no_failure);
	tcase_add_test(t, a_stop_ends_all_transfers_soon);
	tcase_add_loop_test(t, bodies_keep_to_the_pace_in_both_directions, 0, 2);
	tcase_add_test(t, both_directions_of_one_transfer_may_wait_for_the_pace);
	tcase_add_test(t, transfers_share_the_pace_so_that_none_starves_or_stalls);
	tcase_add_test(t, a_pace_costs_no_processor_time_while_it_waits);
	tcase_add_test(t, a_certificate_that_is_trusted_is_enough);
	tcase_add_test(t, without_trust_nothing_is_sent);
	tcase_add_test(t, plain_words_to_a_tls_port_are_cut);
	tcase_add_test(t, a_handshake_that_is_cut_says_nothing_about_trust);
	tcase_add_test(t, a_port_that_speaks_no_tls_is_not_trusted);
	tcase_add_test(t, a_file_of_certificates_that_is_not_there_is_told_at_once);
	tcase_add_test(t, all_but_the_unreserved_is_escaped_and_comes_back);
	tcase_add_test(t, a_broken_escape_or_a_nul_is_refused);
	tcase_add_test(t, addresses_have_their_parts);
	tcase_add_test(t, what_is_no_address_is_refused_without_repeating_it);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	end_servers();
	return failed != 0;
}
