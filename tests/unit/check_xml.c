/* xml: what servers answer is read whole or refused; what is written can be read again. */
#include "xml.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

static struct err e;
static struct buf seen;

static void
setup(void)
{
	e = (struct err){0};
	buf_clear(&seen);
}

static void
teardown(void)
{
	buf_free(&seen);
}

/* "+/a/b" where one begins, "/a/b=text" where it ends. */
static int
note(void *ctx, const char *path, const char *text, struct err *err)
{
	(void)ctx;
	if (text == NULL)
		return buf_addf(&seen, err, "+%s ", path);
	return buf_addf(&seen, err, "%s=%s ", path, text);
}

static int
read_text(const char *text)
{
	return xml_read(text, strlen(text), note, NULL, &e);
}

static void
is_refused(const char *text, const char *why)
{
	setup();
	ck_assert_msg(read_text(text) == -1, "taken: %.60s", text);
	ck_assert_int_eq(e.class, ERR_ITEM);
	ck_assert_str_eq(e.code, P_REMOTE);
	ck_assert_msg(strstr(e.text, why) != NULL, "%s", e.text);
}

START_TEST(each_element_has_its_own_text)
{
	ck_assert_int_eq(read_text("<a>1<b>2</b>3<b/><c>4</c></a>"), 0);
	ck_assert_str_eq(seen.data, "+/a +/a/b /a/b=2 +/a/b /a/b= +/a/c /a/c=4 /a=13 ");
}
END_TEST

START_TEST(prefixes_are_no_part_of_names)
{
	ck_assert_int_eq(read_text("<?xml version=\"1.0\"?><D:m xmlns:D=\"DAV:\"><D:href>x</D:href>"
				   "<href xmlns=\"DAV:\">y</href></D:m>"),
	    0);
	ck_assert_str_eq(seen.data, "+/m +/m/href /m/href=x +/m/href /m/href=y /m= ");
}
END_TEST

START_TEST(entities_and_sections_are_text)
{
	ck_assert_int_eq(
	    read_text("<a>&lt;&amp;&gt;&quot;&apos;&#228;&#xFC;<![CDATA[<&]]><!-- no --></a>"), 0);
	ck_assert_str_eq(seen.data, "+/a /a=<&>\"'\xc3\xa4\xc3\xbc<& ");
}
END_TEST

START_TEST(blanks_before_the_declaration_are_passed)
{
	ck_assert_int_eq(read_text("\n  \r\n<?xml version=\"1.0\"?><a>x</a>"), 0);
	ck_assert_str_eq(seen.data, "+/a /a=x ");
}
END_TEST

START_TEST(what_is_no_xml_is_refused)
{
	is_refused("", "empty");
	is_refused(" \n", "empty");
	is_refused("<html><body><p>502</body></html>", "no XML");
	is_refused("<a>", "no XML");
	is_refused("<a>&nbsp;</a>", "no XML");
	is_refused("<a>\xff</a>", "no XML");
	is_refused("<a>&#0;</a>", "no XML");
	is_refused("<a/><b/>", "no XML");
	is_refused("{\"error\": 1}", "no XML");
}
END_TEST

START_TEST(a_document_type_is_refused)
{
	is_refused("<!DOCTYPE a><a/>", "document type");
	is_refused("<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", "document type");
	is_refused("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>", "document type");
	ck_assert_uint_eq(seen.len, 0);
}
END_TEST

START_TEST(nesting_has_a_limit)
{
	struct buf text = {0};

	for (int depth = 32; depth <= 33; depth++) {
		buf_clear(&text);
		for (int i = 0; i < depth; i++)
			ck_assert_int_eq(buf_adds(&text, "<a>", &e), 0);
		for (int i = 0; i < depth; i++)
			ck_assert_int_eq(buf_adds(&text, "</a>", &e), 0);
		if (depth == 32)
			ck_assert_int_eq(read_text(text.data), 0);
		else
			is_refused(text.data, "nested");
	}
	buf_free(&text);
}
END_TEST

START_TEST(text_has_a_limit)
{
	size_t most = 1 << 20;
	char *text = malloc(most + 16);

	ck_assert_ptr_nonnull(text);
	for (size_t n = most; n <= most + 1; n++) {
		memcpy(text, "<a>", 3);
		memset(text + 3, 'x', n);
		strcpy(text + 3 + n, "</a>");
		if (n == most)
			ck_assert_int_eq(read_text(text), 0);
		else
			is_refused(text, "mebibyte");
	}
	free(text);
}
END_TEST

static int
say_no(void *ctx, const char *path, const char *text, struct err *err)
{
	int *calls = ctx;

	(void)text;
	++*calls;
	return strcmp(path, "/a/b") == 0 ? err_item(err, P_CONFLICT, "enough") : 0;
}

START_TEST(the_caller_ends_the_reading)
{
	static const char text[] = "<a><b>x<c/></b><d/></a>";
	int calls = 0;

	ck_assert_int_eq(xml_read(text, strlen(text), say_no, &calls, &e), -1);
	ck_assert_int_eq(calls, 2);
	ck_assert_str_eq(e.text, "enough");
	ck_assert_str_eq(e.code, P_CONFLICT);
}
END_TEST

START_TEST(what_is_escaped_reads_the_same)
{
	static const char hard[] = "a<b>&\"'\t\r\n \xc3\xa4\xf0\x9f\x8e\xb5]]>";
	struct buf text = {0}, want = {0};

	ck_assert_int_eq(buf_adds(&text, "<a>", &e), 0);
	ck_assert_int_eq(xml_escape(&text, hard, &e), 0);
	ck_assert_int_eq(buf_adds(&text, "</a>", &e), 0);
	ck_assert_ptr_null(strstr(text.data, "]]>"));
	ck_assert_int_eq(read_text(text.data), 0);
	ck_assert_int_eq(buf_addf(&want, &e, "+/a /a=%s ", hard), 0);
	ck_assert_str_eq(seen.data, want.data);
	buf_free(&text);
	buf_free(&want);
}
END_TEST

START_TEST(what_xml_cannot_hold_is_refused)
{
	static const char *const bad[] = {
	    "a\x01", "\x1f", "\xef\xbf\xbf", "\xef\xbf\xbe", "\xff", "\xed\xa0\x80"};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct buf text = {0};

		ck_assert_int_eq(xml_escape(&text, bad[i], &e), -1);
		ck_assert_str_eq(e.code, P_UNSAFE_PATH);
		buf_free(&text);
	}
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("xml");
	TCase *t = tcase_create("xml");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, each_element_has_its_own_text);
	tcase_add_test(t, prefixes_are_no_part_of_names);
	tcase_add_test(t, entities_and_sections_are_text);
	tcase_add_test(t, blanks_before_the_declaration_are_passed);
	tcase_add_test(t, what_is_no_xml_is_refused);
	tcase_add_test(t, a_document_type_is_refused);
	tcase_add_test(t, nesting_has_a_limit);
	tcase_add_test(t, text_has_a_limit);
	tcase_add_test(t, the_caller_ends_the_reading);
	tcase_add_test(t, what_is_escaped_reads_the_same);
	tcase_add_test(t, what_xml_cannot_hold_is_refused);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
