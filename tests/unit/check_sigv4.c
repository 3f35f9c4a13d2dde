/* sigv4: the examples of Amazon's documentation ("Signature Calculations for the Authorization
 * Header", Amazon S3 API reference), and what they leave open. */
#include "sigv4.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"

#define DAY 1369353600 /* 2013-05-24T00:00:00Z */

static struct err e;

static struct sigv4 *
open_example(const char *token)
{
	struct sigv4_opts o = {.access_key = "AKIAIOSFODNN7EXAMPLE",
	    .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
	    .session_token = token,
	    .region = "us-east-1",
	    .service = "s3"};
	struct sigv4 *s = sigv4_open(&o, &e);

	ck_assert_ptr_nonnull(s);
	return s;
}

/* The lines end with this Authorization. */
static void
is_signed(struct sigv4 *s, const struct sigv4_request *q, const char *names, const char *signature)
{
	struct buf lines = {0};
	char want[512];

	ck_assert_msg(sigv4_sign(s, q, &lines, &e) == 0, "%s", e.text);
	snprintf(want, sizeof want,
	    "Authorization: AWS4-HMAC-SHA256 "
	    "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
	    "SignedHeaders=%s,Signature=%s\n",
	    names, signature);
	ck_assert_msg(strstr(lines.data, want) != NULL, "%s\nis not in\n%s", want, lines.data);
	ck_assert_ptr_nonnull(strstr(lines.data, "x-amz-date: 20130524T000000Z\n"));
	ck_assert_ptr_nonnull(strstr(lines.data, q->payload));
	ck_assert_ptr_null(strstr(lines.data, "wJalrXUtnFEMI"));
	buf_free(&lines);
}

static struct sigv4_request
example(const char *method, const char *path, const char *query, const char *const *headers)
{
	return (struct sigv4_request){.method = method,
	    .host = "examplebucket.s3.amazonaws.com",
	    .path = path,
	    .query = query,
	    .headers = headers,
	    .payload = SIGV4_EMPTY,
	    .time = {.tv_sec = DAY}};
}

#define LIST_SIGNATURE "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"

START_TEST(a_range_of_an_object)
{
	const char *const headers[] = {"Range: bytes=0-9", NULL};
	struct sigv4_request q = example("GET", "/test.txt", "", headers);
	struct sigv4 *s = open_example(NULL);

	is_signed(s, &q, "host;range;x-amz-content-sha256;x-amz-date",
	    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
	sigv4_close(s);
}
END_TEST

START_TEST(an_object_that_is_put)
{
	const char *const headers[] = {
	    "x-amz-storage-class: REDUCED_REDUNDANCY", "Date: Fri, 24 May 2013 00:00:00 GMT", NULL};
	struct sigv4_request q = example("PUT", "/test%24file.text", "", headers);
	struct sigv4 *s = open_example("");

	q.payload = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
	is_signed(s, &q, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
	    "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
	sigv4_close(s);
}
END_TEST

START_TEST(a_parameter_without_a_value)
{
	struct sigv4 *s = open_example(NULL);

	for (int i = 0; i < 2; i++) {
		struct sigv4_request q =
		    example("GET", "/", i == 0 ? "lifecycle=" : "lifecycle", NULL);

		is_signed(s, &q, "host;x-amz-content-sha256;x-amz-date",
		    "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
	}
	sigv4_close(s);
}
END_TEST

START_TEST(a_listing_with_its_parameters_in_any_order)
{
	static const char *const queries[] = {"max-keys=2&prefix=J", "prefix=J&max-keys=2"};
	struct sigv4 *s = open_example(NULL);

	for (size_t i = 0; i < 2; i++) {
		struct sigv4_request q = example("GET", "/", queries[i], NULL);

		is_signed(s, &q, "host;x-amz-content-sha256;x-amz-date", LIST_SIGNATURE);
	}
	sigv4_close(s);
}
END_TEST

START_TEST(the_key_follows_the_day)
{
	struct sigv4_request q = example("GET", "/", "max-keys=2&prefix=J", NULL), next = q;
	struct sigv4 *s = open_example(NULL);
	struct buf lines = {0};

	next.time.tv_sec += 86400;
	is_signed(s, &q, "host;x-amz-content-sha256;x-amz-date", LIST_SIGNATURE);
	ck_assert_int_eq(sigv4_sign(s, &next, &lines, &e), 0);
	ck_assert_ptr_nonnull(strstr(lines.data, "/20130525/us-east-1/"));
	is_signed(s, &q, "host;x-amz-content-sha256;x-amz-date", LIST_SIGNATURE);
	buf_free(&lines);
	sigv4_close(s);
}
END_TEST

START_TEST(blanks_of_a_header_are_no_part_of_it)
{
	const char *const tidy[] = {"x-amz-meta-a: b c", NULL};
	const char *const loose[] = {"X-Amz-Meta-A:   b   c  ", NULL};
	struct sigv4_request a = example("PUT", "/k", "", tidy),
			     b = example("PUT", "/k", "", loose);
	struct sigv4 *s = open_example(NULL);
	struct buf x = {0}, y = {0};

	ck_assert_int_eq(sigv4_sign(s, &a, &x, &e), 0);
	ck_assert_int_eq(sigv4_sign(s, &b, &y, &e), 0);
	ck_assert_str_eq(x.data, y.data);
	ck_assert_ptr_nonnull(
	    strstr(x.data, "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-meta-a,"));
	buf_free(&x);
	buf_free(&y);
	sigv4_close(s);
}
END_TEST

START_TEST(a_token_is_sent_and_signed)
{
	struct sigv4_request q = example("GET", "/", "", NULL);
	struct sigv4 *s = open_example("TOKEN");
	struct buf lines = {0};

	ck_assert_int_eq(sigv4_sign(s, &q, &lines, &e), 0);
	ck_assert_ptr_nonnull(strstr(lines.data, "x-amz-security-token: TOKEN\n"));
	ck_assert_ptr_nonnull(strstr(lines.data, "x-amz-date;x-amz-security-token,"));
	buf_free(&lines);
	sigv4_close(s);
}
END_TEST

/* Two days by turns, so that the threads fight for the key that is kept. */
static void *
sign_often(void *ctx)
{
	struct sigv4 *s = ctx;

	for (int i = 0; i < 400; i++) {
		struct sigv4_request q = example("GET", "/", "max-keys=2&prefix=J", NULL);
		struct buf lines = {0};
		struct err mine = {0};

		q.time.tv_sec += i % 2 * 86400;
		ck_assert_int_eq(sigv4_sign(s, &q, &lines, &mine), 0);
		ck_assert_int_eq(i % 2 == 0, strstr(lines.data, LIST_SIGNATURE) != NULL);
		buf_free(&lines);
	}
	return NULL;
}

START_TEST(threads_share_one_signer)
{
	struct sigv4 *s = open_example(NULL);
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, sign_often, s), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	sigv4_close(s);
}
END_TEST

/* RFC 4231, test cases 1, 2 and 6 (a key longer than a block). */
START_TEST(hmac_is_that_of_the_rfc)
{
	unsigned char out[HASH_SHA256_BYTES], key[131];
	char hex[2 * HASH_SHA256_BYTES + 1];

	memset(key, 0x0b, 20);
	ck_assert_int_eq(hash_hmac_sha256(key, 20, "Hi There", 8, out, &e), 0);
	hash_hex(out, sizeof out, hex);
	ck_assert_str_eq(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	ck_assert_int_eq(
	    hash_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, out, &e), 0);
	hash_hex(out, sizeof out, hex);
	ck_assert_str_eq(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	memset(key, 0xaa, sizeof key);
	ck_assert_int_eq(hash_hmac_sha256(key, sizeof key,
			     "Test Using Larger Than Block-Size Key - Hash Key First", 54, out, &e),
	    0);
	hash_hex(out, sizeof out, hex);
	ck_assert_str_eq(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}
END_TEST

/* RFC 4648, section 10. */
START_TEST(base64_is_that_of_the_rfc)
{
	static const char *const pairs[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="},
	    {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"},
	    {"\xff\xfe\xfb", "//77"}};

	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		char out[16];

		hash_base64(pairs[i][0], strlen(pairs[i][0]), out);
		ck_assert_str_eq(out, pairs[i][1]);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("sigv4");
	TCase *t = tcase_create("sigv4");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, a_range_of_an_object);
	tcase_add_test(t, an_object_that_is_put);
	tcase_add_test(t, a_parameter_without_a_value);
	tcase_add_test(t, a_listing_with_its_parameters_in_any_order);
	tcase_add_test(t, the_key_follows_the_day);
	tcase_add_test(t, blanks_of_a_header_are_no_part_of_it);
	tcase_add_test(t, a_token_is_sent_and_signed);
	tcase_add_test(t, threads_share_one_signer);
	tcase_add_test(t, hmac_is_that_of_the_rfc);
	tcase_add_test(t, base64_is_that_of_the_rfc);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
