/*
 * remote_s3: what it makes of answers that a good server gives rarely: errors within a 200, answers
 * that are lost, clocks that differ, lists in disorder. A server here says in turn what the test
 * wrote down, and keeps what it was asked. (check_remote tries real servers.)
 */
#include "remote.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWERS 24
#define SECRET "verysecretsecret"
#define ONE_MD5 "f97c5d29941bfb1b2fdab0874906ab82" /* of "one" */
#define ONE_SHA "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"

static struct err e;
static struct http *http;
static struct retry *retry;
static struct remote *r;
static char told[1024];
static char endpoint[64];
static int listener;
static pthread_t server;
static const char *answers[ANSWERS]; /* NULL: the connection is cut */
static int n_answers, n_asked;
static char asked[ANSWERS][4096]; /* heads */

/* ---- the server ---- */

/* A whole request; false when the connection ended. */
static bool
take_request(int fd, char *head, size_t size)
{
	size_t len = 0, body = 0;
	char *end, *line;
	char rest[4096];

	head[0] = '\0';
	while ((end = strstr(head, "\r\n\r\n")) == NULL) {
		ssize_t n = read(fd, head + len, size - 1 - len);

		if (n <= 0)
			return false;
		len += (size_t)n;
		head[len] = '\0';
	}
	if ((line = strcasestr(head, "\r\nContent-Length:")) != NULL && line < end)
		body = strtoul(line + 17, NULL, 10);
	for (size_t have = len - (size_t)(end + 4 - head); have < body;) {
		ssize_t n = read(fd, rest, sizeof rest);

		if (n <= 0)
			return false;
		have += (size_t)n;
	}
	return true;
}

static void *
serve(void *ctx)
{
	int fd;

	(void)ctx;
	while ((fd = accept(listener, NULL, NULL)) != -1) {
		if (n_asked < n_answers && take_request(fd, asked[n_asked], sizeof asked[0])) {
			const char *text = answers[n_asked++];

			if (text != NULL)
				ck_assert(write(fd, text, strlen(text)) > 0);
		}
		shutdown(fd, SHUT_WR);
		close(fd);
	}
	return NULL;
}

static void
tell(void *ctx, const struct retry_event *v)
{
	(void)ctx;
	snprintf(told, sizeof told, "%s", v->fault->text);
}

static void
open_remote(const struct json *probed)
{
	struct remote_settings s = {.url = "s3://recs/base",
	    .endpoint = endpoint,
	    .access_key = "AK",
	    .secret_key = SECRET,
	    .owner = "0badcafe",
	    .probed = probed};

	remote_close(r);
	r = remote_open(&s, http, retry, &e);
	ck_assert_msg(r != NULL, "%s", e.text);
}

static void
setup(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	struct http_opts ho = {0};
	struct retry_opts ro = {.attempts = 3, .tell = tell, .base_ms = 1, .cap_ms = 2};

	memset(&e, 0, sizeof e);
	told[0] = '\0';
	n_answers = n_asked = 0;
	r = NULL;
	ck_assert_int_ne(listener = socket(AF_INET, SOCK_STREAM, 0), -1);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(listen(listener, 16), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&a, &len), 0);
	snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%d", ntohs(a.sin_port));
	ck_assert_int_eq(pthread_create(&server, NULL, serve, NULL), 0);
	ck_assert_ptr_nonnull(http = http_open(&ho, &e));
	ck_assert_ptr_nonnull(retry = retry_open(&ro, &e));
	open_remote(NULL);
}

static void
teardown(void)
{
	remote_close(r);
	http_close(http);
	retry_close(retry);
	shutdown(listener, SHUT_RDWR);
	pthread_join(server, NULL);
	close(listener);
	for (int i = 0; i < n_answers; i++)
		free((char *)(uintptr_t)answers[i]);
}

/* The next answer; headers are lines with CRLF. */
static void
says(const char *status, const char *headers, const char *body)
{
	answers[n_answers] =
	    mem_fmt(&e, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
		status, headers, strlen(body), body);
	ck_assert_ptr_nonnull(answers[n_answers++]);
}

static void
cuts(void)
{
	answers[n_answers++] = NULL;
}

/* An answer to HEAD has the length of what it does not send. */
static void
shows(const char *etag, int size)
{
	answers[n_answers] = mem_fmt(&e,
	    "HTTP/1.1 200 OK\r\nETag: \"%s\"\r\nContent-Length: %d\r\nConnection: close\r\n\r\n",
	    etag, size);
	ck_assert_ptr_nonnull(answers[n_answers++]);
}

#define FAILS(code) "<Error><Code>" code "</Code><Message>AK " SECRET "</Message></Error>"

/* All that was written down was asked for, and request i begins so. */
static void
all_asked(void)
{
	ck_assert_int_eq(n_asked, n_answers);
}

static void
was_asked(int i, const char *part)
{
	ck_assert_msg(i < n_asked && strcasestr(asked[i], part) != NULL, "request %d of %d: %s", i,
	    n_asked, i < n_asked ? asked[i] : "");
}

static void
fails_with(int rc, enum err_class class, const char *code, const char *part)
{
	ck_assert_int_eq(rc, -1);
	ck_assert_msg(e.class == class, "%d: %s", e.class, e.text);
	if (code != NULL)
		ck_assert_msg(e.code != NULL && strcmp(e.code, code) == 0, "%s", e.text);
	ck_assert_msg(strstr(e.text, part) != NULL, "%s", e.text);
	ck_assert_ptr_null(strstr(e.text, SECRET));
	ck_assert_ptr_null(strstr(told, SECRET));
}

static struct remote_source
one(void)
{
	return (struct remote_source){.key = "raw/a.wav",
	    .fd = -1,
	    .bytes = "one",
	    .size_bytes = 3,
	    .sha256 = ONE_SHA,
	    .md5 = ONE_MD5};
}

static int
put_one(struct remote_object *o)
{
	struct remote_source s = one();

	return remote_put(r, &s, o, &e);
}

/* ---- putting ---- */

START_TEST(a_put_is_one_request)
{
	struct remote_object o;

	says("200 OK", "ETag: \"" ONE_MD5 "\"\r\n", "");
	ck_assert_msg(put_one(&o) == 0, "%s", e.text);
	ck_assert_str_eq(o.tag, ONE_MD5);
	ck_assert_str_eq(o.md5, ONE_MD5);
	all_asked();
	was_asked(0, "PUT /recs/base/raw/a.wav HTTP/1.1\r\n");
	was_asked(0, "\r\nContent-MD5: +XxdKZQb+xsv2rCHSQargg==\r\n");
	was_asked(0, "\r\nIf-None-Match: *\r\n");
	was_asked(0, "\r\nx-amz-content-sha256: " ONE_SHA "\r\n");
}
END_TEST

START_TEST(a_put_whose_answer_was_lost_is_recognized)
{
	struct remote_object o;

	cuts();
	says("412 Precondition Failed", "", FAILS("PreconditionFailed"));
	shows(ONE_MD5, 3);
	ck_assert_msg(put_one(&o) == 0, "%s", e.text);
	ck_assert_str_eq(o.tag, ONE_MD5);
	all_asked();
}
END_TEST

START_TEST(what_another_put_is_a_conflict)
{
	struct remote_object o;

	says("412 Precondition Failed", "", FAILS("PreconditionFailed"));
	shows("00000000000000000000000000000000", 3);
	fails_with(put_one(&o), ERR_ITEM, P_CONFLICT, "something else is there");
	all_asked();
}
END_TEST

START_TEST(wrong_bytes_are_removed_and_sent_again)
{
	struct remote_object o;

	says("400 Bad Request", "", FAILS("BadDigest"));
	says("200 OK", "ETag: \"00000000000000000000000000000000\"\r\n", "");
	says("204 No Content", "", "");
	says("404 Not Found", "", "");
	says("200 OK", "ETag: \"" ONE_MD5 "\"\r\n", "");
	ck_assert_msg(put_one(&o) == 0, "%s", e.text);
	all_asked();
	was_asked(2, "DELETE /recs/base/raw/a.wav ");
	was_asked(2, "If-Match: \"00000000000000000000000000000000\"");
}
END_TEST

START_TEST(without_conditions_it_looks_first)
{
	struct json *probed = json_new_object(&e);
	struct remote_object o;

	ck_assert_int_eq(json_put_bool(probed, "conditional", false, &e), 0);
	open_remote(probed);
	shows("00000000000000000000000000000000", 3);
	fails_with(put_one(&o), ERR_ITEM, P_CONFLICT, "something else is there");
	all_asked();
	was_asked(0, "HEAD ");
	json_free(probed);
}
END_TEST

START_TEST(metadata_fit_or_the_longest_is_left_out)
{
	struct remote_source s = one();
	struct json *md = json_new_object(&e);
	char longest[2001];
	struct remote_object o;

	memset(longest, 'x', 2000);
	longest[2000] = '\0';
	ck_assert_int_eq(json_put_str(md, "file_name", "\xc3\xa4 %.wav", &e), 0);
	ck_assert_int_eq(json_put_str(md, "notes", longest, &e), 0);
	ck_assert_int_eq(json_put_str(md, "sha256", ONE_SHA, &e), 0);
	ck_assert_int_eq(json_put_str(md, "Bad: name\r\n", "x", &e), 0);
	s.metadata = md;
	says("200 OK", "ETag: \"" ONE_MD5 "\"\r\n", "");
	ck_assert_msg(remote_put(r, &s, &o, &e) == 0, "%s", e.text);
	was_asked(0, "\r\nx-amz-meta-file--name: %C3%A4%20%25.wav\r\n");
	was_asked(0, "\r\nx-amz-meta-sha256: " ONE_SHA "\r\n");
	ck_assert_ptr_null(strstr(asked[0], "notes"));
	ck_assert_ptr_null(strcasestr(asked[0], "bad"));
	json_free(md);
}
END_TEST

/* ---- what the server says of itself ---- */

START_TEST(another_clock_is_signed_with)
{
	struct remote_object o;

	says("403 Forbidden", "Date: Fri, 24 May 2013 00:00:00 GMT\r\n",
	    FAILS("RequestTimeTooSkewed"));
	says("200 OK", "ETag: \"" ONE_MD5 "\"\r\n", "");
	ck_assert_msg(put_one(&o) == 0, "%s", e.text);
	all_asked();
	was_asked(1, "\r\nx-amz-date: 20130524T0000");
	ck_assert_msg(strstr(told, "the clock of this machine is") != NULL, "%s", told);
}
END_TEST

START_TEST(what_is_configured_wrong_ends_the_run_at_once)
{
	static const struct {
		const char *status, *headers, *body, *part;
	} cases[] = {
	    {"301 Moved Permanently",
		"Location: http://127.0.0.1:1/\r\nx-amz-bucket-region: eu-west-1\r\n",
		FAILS("PermanentRedirect"), "(it says eu-west-1)"},
	    {"403 Forbidden", "", FAILS("SignatureDoesNotMatch"), "AWS_SECRET_ACCESS_KEY"},
	    {"403 Forbidden", "", FAILS("InvalidAccessKeyId"), "AWS_ACCESS_KEY_ID"},
	    {"400 Bad Request", "", FAILS("ExpiredToken"), "AWS_SESSION_TOKEN"},
	    {"404 Not Found", "", FAILS("NoSuchBucket"), "bucket \"recs\""},
	    {"501 Not Implemented", "", FAILS("NotImplemented"), "rec-sync probe"},
	    {"400 Bad Request", "",
		"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-south-2</Region></"
		"Error>",
		"eu-south-2"},
	};
	struct remote_object o;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		says(cases[i].status, cases[i].headers, cases[i].body);
		fails_with(put_one(&o), ERR_CONFIG, NULL, cases[i].part);
		all_asked();
	}
}
END_TEST

START_TEST(no_room_ends_the_run_until_later)
{
	struct remote_object o;

	says("403 Forbidden", "", FAILS("QuotaExceeded"));
	fails_with(put_one(&o), ERR_BUSY, NULL, "no room");
	all_asked();
}
END_TEST

START_TEST(what_is_no_s3_is_told)
{
	says("200 OK", "", "<html><body/></html>");
	fails_with(remote_check(r, &e), ERR_CONFIG, NULL, "no S3");
}
END_TEST

/* ---- parts ---- */

#define COMPLETE "<CompleteMultipartUploadResult><ETag>%s</ETag></CompleteMultipartUploadResult>"

static int
finish_one(struct remote_object *o)
{
	struct remote_source s = one();
	struct remote_part p = {.number = 1, .size_bytes = 3, .md5 = ONE_MD5, .tag = ONE_MD5};

	return remote_finish(r, &s, "ID", &p, 1, o, &e);
}

/* The tag that one part makes, by another way than the module's. */
static void
tag_of_one(char out[64])
{
	FILE *p = popen("printf '\\371\\174\\135\\051\\224\\033\\373\\033\\057\\332\\260\\207\\111"
			"\\006\\253\\202' | md5sum | cut -c1-32",
	    "r");

	ck_assert_ptr_nonnull(p);
	ck_assert_ptr_nonnull(fgets(out, 33, p));
	pclose(p);
	strcpy(out + 32, "-1");
}

START_TEST(an_error_within_a_200_is_one)
{
	char tag[64], body[256];
	struct remote_object o;

	tag_of_one(tag);
	snprintf(body, sizeof body, COMPLETE, tag);
	says("404 Not Found", "", "");
	says("200 OK", "", "  \n" FAILS("InternalError"));
	says("200 OK", "", body);
	ck_assert_msg(finish_one(&o) == 0, "%s", e.text);
	ck_assert_str_eq(o.tag, tag);
	ck_assert_str_eq(o.md5, "");
	all_asked();
	was_asked(2, "POST /recs/base/raw/a.wav?uploadId=ID ");
	was_asked(2, "If-None-Match: *");
}
END_TEST

START_TEST(a_finish_whose_answer_was_lost_is_recognized)
{
	struct remote_object o;
	char tag[64];

	tag_of_one(tag);
	says("404 Not Found", "", "");
	cuts();
	says("404 Not Found", "", FAILS("NoSuchUpload"));
	shows(tag, 3);
	ck_assert_msg(finish_one(&o) == 0, "%s", e.text);
	ck_assert_str_eq(o.tag, tag);
	all_asked();
}
END_TEST

START_TEST(a_conflict_within_a_200_is_one)
{
	struct remote_object o;

	says("404 Not Found", "", "");
	says("200 OK", "", FAILS("PreconditionFailed"));
	shows("abc-2", 3);
	fails_with(finish_one(&o), ERR_ITEM, P_CONFLICT, "something else is there");
	all_asked();
}
END_TEST

START_TEST(an_upload_that_is_gone_is_told)
{
	struct remote_object o;

	says("404 Not Found", "", "");
	says("404 Not Found", "", FAILS("NoSuchUpload"));
	says("404 Not Found", "", "");
	fails_with(finish_one(&o), ERR_ITEM, P_REMOTE, "begins anew");
	all_asked();
}
END_TEST

START_TEST(an_answer_without_a_tag_is_looked_after)
{
	struct remote_object o;

	says("404 Not Found", "", "");
	says(
	    "200 OK", "", "<CompleteMultipartUploadResult><ETag/></CompleteMultipartUploadResult>");
	shows("abc-1", 3);
	ck_assert_msg(finish_one(&o) == 0, "%s", e.text);
	ck_assert_str_eq(o.tag, "abc-1");
	all_asked();
}
END_TEST

START_TEST(only_uploads_of_this_key_and_time_are_swept)
{
	static const char body[] =
	    "<ListMultipartUploadsResult><EncodingType>url</EncodingType><Upload>"
	    "<Key>base/raw/a.wav</Key><UploadId>OLD</UploadId>"
	    "<Initiated>2025-01-01T00:00:00.000Z</Initiated></Upload><Upload>"
	    "<Key>base/raw/a.wav2</Key><UploadId>OTHER</UploadId>"
	    "<Initiated>2025-06-01T00:00:00.000Z</Initiated></Upload><Upload>"
	    "<Key>base%2Fraw%2Fa.wav</Key><UploadId>MINE</UploadId>"
	    "<Initiated>2025-05-31T23:59:57.000Z</Initiated></Upload>"
	    "</ListMultipartUploadsResult>";
	int64_t n;

	says("200 OK", "", body);
	says("204 No Content", "", "");
	ck_assert_msg(
	    remote_sweep(r, "raw/a.wav", "ab", "2025-06-01T00:00:00Z", &n, &e) == 0, "%s", e.text);
	ck_assert_int_eq(n, 1);
	all_asked();
	was_asked(1, "DELETE /recs/base/raw/a.wav?uploadId=MINE ");
}
END_TEST

/* ---- lists ---- */

#define ENTRY(key)                                                                                 \
	"<Contents><Key>base/" key "</Key><Size>3</Size><ETag>&quot;" ONE_MD5                      \
	"&quot;</ETag></Contents>"
#define LIST(more, entries)                                                                        \
	"<ListBucketResult><EncodingType>url</EncodingType>" more entries "</ListBucketResult>"
#define MORE "<IsTruncated>true</IsTruncated><NextContinuationToken>T</NextContinuationToken>"

/* The names of the list, each with a blank; -1 when it ends with an error. */
static int
list(char *out)
{
	struct remote_list *l = remote_list_open(r, "raw/", "", "", &e);
	struct remote_object o;
	int rc;

	ck_assert_ptr_nonnull(l);
	out[0] = '\0';
	while ((rc = remote_list_next(l, &o, &e)) == 1) {
		strcat(strcat(out, o.key), " ");
		ck_assert_str_eq(o.md5, ONE_MD5);
	}
	remote_list_close(l);
	return rc;
}

START_TEST(a_list_has_pages)
{
	char out[256];

	says("200 OK", "", LIST(MORE, ENTRY("raw/a+b%2B") ENTRY("raw/b")));
	says("200 OK", "", LIST("", ENTRY("raw/c") "<Contents><Key>evil/raw/d</Key></Contents>"));
	ck_assert_msg(list(out) == 0, "%s", e.text);
	ck_assert_str_eq(out, "raw/a b+ raw/b raw/c ");
	all_asked();
	was_asked(0, "prefix=base%2Fraw%2F");
	was_asked(1, "continuation-token=T");
}
END_TEST

START_TEST(a_list_in_disorder_is_refused)
{
	char out[256];

	says("200 OK", "", LIST("", ENTRY("raw/b") ENTRY("raw/a")));
	fails_with(list(out), ERR_ITEM, P_REMOTE, "rec-sync probe");
}
END_TEST

START_TEST(a_list_known_to_be_in_disorder_is_sorted)
{
	struct json *probed = json_new_object(&e);
	char out[256];

	ck_assert_int_eq(json_put_bool(probed, "ordered", false, &e), 0);
	open_remote(probed);
	says("200 OK", "", LIST(MORE, ENTRY("raw/c") ENTRY("raw/a")));
	says("200 OK", "", LIST("", ENTRY("raw/b") ENTRY("raw/a")));
	ck_assert_msg(list(out) == 0, "%s", e.text);
	ck_assert_str_eq(out, "raw/a raw/b raw/c ");
	json_free(probed);
}
END_TEST

START_TEST(a_list_that_does_not_get_on_ends)
{
	char out[256];

	says("200 OK", "", LIST(MORE, ENTRY("raw/a")));
	says("200 OK", "", LIST(MORE, ENTRY("raw/b")));
	fails_with(list(out), ERR_ITEM, P_REMOTE, "does not get on");
	all_asked();
}
END_TEST

/* ---- getting ---- */

static int
gather(void *ctx, const void *p, size_t len, struct err *err)
{
	return buf_add(ctx, p, len, err);
}

static int
get(struct buf *out, uint64_t offset)
{
	struct remote_object o = {.key = "raw/a.wav", .size_bytes = 10, .tag = "t"};

	return remote_get(r, &o, offset, gather, out, &e);
}

static void
breaks_off(const char *head, const char *body)
{
	answers[n_answers] = mem_fmt(&e, "%s\r\n\r\n%s", head, body);
	ck_assert_ptr_nonnull(answers[n_answers++]);
}

START_TEST(a_break_is_gone_on_from)
{
	struct buf out = {0};

	breaks_off("HTTP/1.1 200 OK\r\nETag: \"t\"\r\nContent-Length: 10", "0123");
	breaks_off("HTTP/1.1 206 Partial Content\r\nETag: \"t\"\r\nContent-Range: bytes 4-9/10\r\n"
		   "Content-Length: 6",
	    "45");
	/* It has forgotten what a range is. */
	breaks_off("HTTP/1.1 200 OK\r\nETag: \"t\"\r\nContent-Length: 10\r\nConnection: close",
	    "0123456789");
	ck_assert_msg(get(&out, 0) == 0, "%s", e.text);
	ck_assert_str_eq(out.data, "0123456789");
	all_asked();
	was_asked(1, "\r\nRange: bytes=4-\r\n");
	was_asked(1, "\r\nIf-Match: \"t\"\r\n");
	was_asked(2, "\r\nRange: bytes=6-\r\n");
	buf_free(&out);
}
END_TEST

START_TEST(other_bytes_are_not_taken)
{
	struct buf out = {0};

	says("200 OK", "ETag: \"u\"\r\n", "9876543210");
	fails_with(get(&out, 0), ERR_ITEM, P_CONFLICT, "another version");
	says("206 Partial Content", "ETag: \"t\"\r\nContent-Range: bytes 2-9/10\r\n", "23456789");
	fails_with(get(&out, 4), ERR_ITEM, P_REMOTE, "other bytes");
	says("200 OK", "ETag: \"t\"\r\n", "0123456789abcdef");
	fails_with(get(&out, 10 - 2), ERR_ITEM, P_SIZE_MISMATCH, "more than");
	says("412 Precondition Failed", "", FAILS("PreconditionFailed"));
	fails_with(get(&out, 0), ERR_ITEM, P_CONFLICT, "something else");
	ck_assert_uint_eq(out.len, 0);
	all_asked();
	buf_free(&out);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("remote_s3");
	TCase *t = tcase_create("remote_s3");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_put_is_one_request);
	tcase_add_test(t, a_put_whose_answer_was_lost_is_recognized);
	tcase_add_test(t, what_another_put_is_a_conflict);
	tcase_add_test(t, wrong_bytes_are_removed_and_sent_again);
	tcase_add_test(t, without_conditions_it_looks_first);
	tcase_add_test(t, metadata_fit_or_the_longest_is_left_out);
	tcase_add_test(t, another_clock_is_signed_with);
	tcase_add_test(t, what_is_configured_wrong_ends_the_run_at_once);
	tcase_add_test(t, no_room_ends_the_run_until_later);
	tcase_add_test(t, what_is_no_s3_is_told);
	tcase_add_test(t, an_error_within_a_200_is_one);
	tcase_add_test(t, a_finish_whose_answer_was_lost_is_recognized);
	tcase_add_test(t, a_conflict_within_a_200_is_one);
	tcase_add_test(t, an_upload_that_is_gone_is_told);
	tcase_add_test(t, an_answer_without_a_tag_is_looked_after);
	tcase_add_test(t, only_uploads_of_this_key_and_time_are_swept);
	tcase_add_test(t, a_list_has_pages);
	tcase_add_test(t, a_list_in_disorder_is_refused);
	tcase_add_test(t, a_list_known_to_be_in_disorder_is_sorted);
	tcase_add_test(t, a_list_that_does_not_get_on_ends);
	tcase_add_test(t, a_break_is_gone_on_from);
	tcase_add_test(t, other_bytes_are_not_taken);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
