/*
 * account: which value wins, that a secret which others may read is not used in production, and
 * that no error shows one.
 */
#include "account.h"

#include <check.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET "hunter2-hunter2"

extern char **environ;

static char root[64];
static int rootfd = -1;
static struct config *c;
static struct account a;
static struct err e;

static void
forget_environment(void)
{
	char name[128];

	for (char **p = environ; *p != NULL;) {
		size_t len = strcspn(*p, "=");

		if (strncmp(*p, "REC_", 4) != 0 && strncmp(*p, "AWS_", 4) != 0 &&
		    strncmp(*p, "GOOGLE_", 7) != 0 && strncmp(*p, "APP_", 4) != 0) {
			p++;
			continue;
		}
		snprintf(name, sizeof name, "%.*s", (int)len, *p);
		unsetenv(name);
		p = environ;
	}
}

static void
setup(void)
{
	forget_environment();
	snprintf(root, sizeof root, "/tmp/check_account.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	rootfd = open(root, O_RDONLY | O_DIRECTORY);
	c = NULL;
	a = (struct account){0};
	e = (struct err){0};
}

static void
teardown(void)
{
	account_close(&a);
	config_free(c);
	unlinkat(rootfd, ".env", 0);
	unlinkat(rootfd, "secrets", 0);
	close(rootfd);
	ck_assert_int_eq(rmdir(root), 0);
}

static void
file(const char *name, mode_t mode, const char *text)
{
	int fd;

	unlinkat(rootfd, name, 0);
	fd = openat(rootfd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

static void
load(const char *environment)
{
	account_close(&a);
	config_free(c);
	c = config_load(rootfd, environment, &e);
	ck_assert_msg(c != NULL, "%s", e.text);
}

static void
opens(const char *environment, const char *remote)
{
	load(environment);
	ck_assert_msg(account_open(&a, c, remote, &e) == 0, "%s", e.text);
}

/* The error is of the class, names the word, and shows no secret. */
static void
refused(const char *environment, const char *remote, enum err_class class, const char *word)
{
	load(environment);
	ck_assert_msg(account_open(&a, c, remote, &e) == -1, "it was accepted");
	ck_assert_msg(e.class == class, "%d: %s", e.class, e.text);
	ck_assert_msg(strstr(e.text, word) != NULL, "no \"%s\" in: %s", word, e.text);
	ck_assert_msg(strstr(e.text, "hunter") == NULL, "%s", e.text);
}

/* ---- the address ---- */

START_TEST(a_url_stands_for_itself)
{
	setenv("REC_REMOTE", "s3://other/x", 1);
	opens(NULL, "s3://bucket/prefix/");
	ck_assert_str_eq(a.url, "s3://bucket/prefix");
	ck_assert_str_eq(a.settings.url, a.url);
	ck_assert_str_eq(a.ca_file, "");
	ck_assert_ptr_null(a.settings.endpoint);
	ck_assert_ptr_null(a.settings.access_key);
	ck_assert(!a.settings.virtual_hosts);
	opens(NULL, NULL);
	ck_assert_str_eq(a.url, "s3://other/x");
	opens(NULL, "file:///srv/copy");
	ck_assert_str_eq(a.url, "file:///srv/copy");
}
END_TEST

START_TEST(a_name_stands_for_the_url_of_the_configuration)
{
	file(".env", 0644, "REC_REMOTE_NAS_2=webdavs://nas.example/rec\nREC_REMOTE=nas_2\n");
	opens(NULL, "nas_2");
	ck_assert_str_eq(a.url, "webdavs://nas.example/rec");
	opens(NULL, "NAS_2");
	ck_assert_str_eq(a.url, "webdavs://nas.example/rec");
	opens(NULL, NULL);
	ck_assert_str_eq(a.url, "webdavs://nas.example/rec");
	opens(NULL, "");
	ck_assert_str_eq(a.url, "webdavs://nas.example/rec");
}
END_TEST

START_TEST(what_is_no_remote_is_refused_with_what_to_set)
{
	refused(NULL, NULL, ERR_USAGE, "REC_REMOTE");
	refused(NULL, "nas", ERR_USAGE, "REC_REMOTE_NAS");
	refused(NULL, "nas-2", ERR_USAGE, "--remote");
	refused(NULL, "user:" SECRET "@host", ERR_USAGE, "s3://");
	refused(NULL, "s3://", ERR_USAGE, "--remote");
	setenv("REC_REMOTE", "n\xc3\xa4s", 1);
	refused(NULL, NULL, ERR_CONFIG, "environment variable REC_REMOTE");
	setenv("REC_REMOTE", "nas", 1);
	refused(NULL, NULL, ERR_CONFIG, "REC_REMOTE_NAS");
	setenv("REC_REMOTE_NAS", "nas2", 1);
	refused(NULL, NULL, ERR_CONFIG, "REC_REMOTE_NAS (environment)");
}
END_TEST

START_TEST(a_user_in_an_address_is_refused_and_not_shown)
{
	refused(NULL, "webdavs://me:" SECRET "@host/x", ERR_USAGE, "--remote");
	refused(NULL, "webdav://" SECRET "@host/x", ERR_USAGE, "user or password");
	refused(NULL, "s3://key:" SECRET "@bucket/x", ERR_USAGE, "user or password");
	setenv("REC_REMOTE_NAS", "webdavs://me:" SECRET "@host/x", 1);
	refused(NULL, "nas", ERR_CONFIG, "REC_REMOTE_NAS (environment)");
	setenv("REC_REMOTE", "webdavs://me:" SECRET "@host/x", 1);
	refused(NULL, NULL, ERR_CONFIG, "REC_REMOTE (");
	/* Nor is it shown as configured. */
	ck_assert_str_eq(config_text(c, CONFIG_REMOTE), "set");
	setenv("AWS_ENDPOINT_URL", "https://me:" SECRET "@host", 1);
	refused(NULL, "s3://bucket", ERR_CONFIG, "AWS_ENDPOINT_URL (environment)");
}
END_TEST

/* ---- values ---- */

START_TEST(each_kind_gets_what_it_signs_in_with_and_nothing_else)
{
	file(".env", 0600,
	    "AWS_ENDPOINT_URL=http://127.0.0.1:9\nAWS_DEFAULT_REGION=r2\nAWS_ACCESS_KEY_ID=ak\n"
	    "AWS_SECRET_ACCESS_KEY=sk\nAWS_SESSION_TOKEN=st\nREC_S3_VIRTUAL_HOSTS=yes\n"
	    "REC_WEBDAV_USER=u\nREC_WEBDAV_PASSWORD='p w'\nGOOGLE_CLIENT_ID=ci\n"
	    "GOOGLE_CLIENT_SECRET=cs\nREC_GOOGLE_REFRESH_TOKEN=rt\nREC_GOOGLE_ENDPOINT=http://g\n"
	    "REC_CA_FILE=/etc/ca\n");
	opens(NULL, "s3://bucket");
	ck_assert_str_eq(a.settings.endpoint, "http://127.0.0.1:9");
	ck_assert_str_eq(a.settings.region, "r2");
	ck_assert_str_eq(a.settings.access_key, "ak");
	ck_assert_str_eq(a.settings.secret_key, "sk");
	ck_assert_str_eq(a.settings.session_token, "st");
	ck_assert(a.settings.virtual_hosts);
	ck_assert_str_eq(a.ca_file, "/etc/ca");
	ck_assert_ptr_null(a.settings.user);
	ck_assert_ptr_null(a.settings.refresh_token);
	setenv("AWS_REGION", "r1", 1);
	opens(NULL, "s3://bucket");
	ck_assert_str_eq(a.settings.region, "r1");
	opens(NULL, "webdavs://host/x");
	ck_assert_str_eq(a.settings.user, "u");
	ck_assert_str_eq(a.settings.password, "p w");
	ck_assert_ptr_null(a.settings.endpoint);
	ck_assert_ptr_null(a.settings.secret_key);
	opens(NULL, "gdrive:Recordings");
	ck_assert_str_eq(a.settings.endpoint, "http://g");
	ck_assert_str_eq(a.settings.client_id, "ci");
	ck_assert_str_eq(a.settings.client_secret, "cs");
	ck_assert_str_eq(a.settings.refresh_token, "rt");
	ck_assert_ptr_null(a.settings.password);
	opens(NULL, "file:///srv");
	ck_assert_ptr_null(a.settings.client_secret);
	ck_assert_str_eq(a.ca_file, "");
}
END_TEST

START_TEST(a_key_of_the_name_wins_over_the_general_one_whatever_its_place)
{
	file(".env", 0600,
	    "REC_REMOTE_B2=s3://bucket\nREC_REMOTE_B2_REGION=own\n"
	    "REC_REMOTE_B2_SECRET_ACCESS_KEY=env-own\n"
	    "REC_REMOTE_B2_VIRTUAL_HOSTS=true\nAWS_ACCESS_KEY_ID=env\n");
	file("secrets", 0600, "REC_REMOTE_B2_SECRET_ACCESS_KEY=file-own\nAWS_ACCESS_KEY_ID=file\n");
	setenv("REC_SECRETS_FILE", "secrets", 1);
	setenv("AWS_REGION", "general", 1);
	opens(NULL, "b2");
	ck_assert_str_eq(a.settings.region, "own");
	/* Within a name: environment, file, .env. */
	ck_assert_str_eq(a.settings.secret_key, "file-own");
	ck_assert_str_eq(a.settings.access_key, "file");
	ck_assert(a.settings.virtual_hosts);
	setenv("REC_REMOTE_B2_SECRET_ACCESS_KEY", "variable-own", 1);
	setenv("AWS_ACCESS_KEY_ID", "variable", 1);
	opens(NULL, "b2");
	ck_assert_str_eq(a.settings.secret_key, "variable-own");
	ck_assert_str_eq(a.settings.access_key, "variable");
	/* What is empty is not set. */
	setenv("REC_REMOTE_B2_SECRET_ACCESS_KEY", "", 1);
	opens(NULL, "b2");
	ck_assert_str_eq(a.settings.secret_key, "file-own");
}
END_TEST

START_TEST(a_session_token_goes_with_the_access_key_that_it_is_for)
{
	setenv("REC_REMOTE_B2", "s3://bucket", 1);
	setenv("AWS_SESSION_TOKEN", "general", 1);
	opens(NULL, "b2");
	ck_assert_str_eq(a.settings.session_token, "general");
	setenv("REC_REMOTE_B2_ACCESS_KEY_ID", "own", 1);
	opens(NULL, "b2");
	ck_assert_ptr_null(a.settings.session_token);
	setenv("REC_REMOTE_B2_SESSION_TOKEN", "own", 1);
	opens(NULL, "b2");
	ck_assert_str_eq(a.settings.session_token, "own");
}
END_TEST

START_TEST(a_value_that_is_none_is_refused)
{
	setenv("REC_REMOTE_B2", "s3://bucket", 1);
	setenv("REC_REMOTE_B2_VIRTUAL_HOSTS", "perhaps", 1);
	refused(NULL, "b2", ERR_CONFIG, "REC_REMOTE_B2_VIRTUAL_HOSTS (environment)");
	unsetenv("REC_REMOTE_B2_VIRTUAL_HOSTS");
	setenv("REC_REMOTE_B2_SECRET_ACCESS_KEY", SECRET "\n", 1);
	refused(NULL, "b2", ERR_CONFIG, "REC_REMOTE_B2_SECRET_ACCESS_KEY (environment)");
	setenv("REC_REMOTE_B2_SECRET_ACCESS_KEY", SECRET "\xff", 1);
	refused(NULL, "b2", ERR_CONFIG, "REC_REMOTE_B2_SECRET_ACCESS_KEY (environment)");
}
END_TEST

START_TEST(plain_http_is_for_development_and_testing)
{
	opens("production", "webdav://host/x");
	ck_assert(!a.settings.allow_plain);
	opens("development", "webdav://host/x");
	ck_assert(a.settings.allow_plain);
	opens("testing", "webdav://host/x");
	ck_assert(a.settings.allow_plain);
}
END_TEST

/* ---- who may read ---- */

START_TEST(in_production_a_secret_that_others_may_read_in_env_is_refused)
{
	static const mode_t readable[] = {0644, 0640, 0604, 0664, 0666};

	for (size_t i = 0; i < sizeof readable / sizeof readable[0]; i++) {
		file(".env", readable[i],
		    "REC_WEBDAV_USER=u\nREC_WEBDAV_PASSWORD=" SECRET "\nREC_CA_FILE=/x\n");
		refused(
		    "production", "webdavs://host/x", ERR_CONFIG, "REC_WEBDAV_USER (.env line 1)");
		setenv("REC_WEBDAV_USER", "u", 1);
		refused("production", "webdavs://host/x", ERR_CONFIG,
		    "REC_WEBDAV_PASSWORD (.env line 2)");
		ck_assert_ptr_nonnull(strstr(e.text, "chmod 600"));
		unsetenv("REC_WEBDAV_USER");
		/* Elsewhere it is fine, and where it is not used. */
		opens("development", "webdavs://host/x");
		opens("testing", "webdavs://host/x");
		opens("production", "s3://bucket");
		ck_assert_str_eq(a.ca_file, "/x");
	}
	file(".env", 0600, "REC_WEBDAV_PASSWORD=" SECRET "\n");
	opens("production", "webdavs://host/x");
	ck_assert_str_eq(a.settings.password, SECRET);
	/* What the environment or the file of secrets says is not taken from .env. */
	file(".env", 0644, "REC_WEBDAV_PASSWORD=" SECRET "\n");
	setenv("REC_WEBDAV_PASSWORD", "other", 1);
	opens("production", "webdavs://host/x");
	ck_assert_str_eq(a.settings.password, "other");
	unsetenv("REC_WEBDAV_PASSWORD");
	file("secrets", 0600, "REC_WEBDAV_PASSWORD=third\n");
	setenv("REC_SECRETS_FILE", "secrets", 1);
	opens("production", "webdavs://host/x");
	ck_assert_str_eq(a.settings.password, "third");
}
END_TEST

START_TEST(what_was_kept_is_wiped_by_closing_and_closing_twice_is_fine)
{
	setenv("REC_WEBDAV_PASSWORD", SECRET, 1);
	opens(NULL, "webdavs://host/x");
	ck_assert_str_eq(a.settings.password, SECRET);
	account_close(&a);
	ck_assert_ptr_null(a.settings.password);
	ck_assert_ptr_null(a.url);
	account_close(&a);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("account");
	TCase *t = tcase_create("account");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_url_stands_for_itself);
	tcase_add_test(t, a_name_stands_for_the_url_of_the_configuration);
	tcase_add_test(t, what_is_no_remote_is_refused_with_what_to_set);
	tcase_add_test(t, a_user_in_an_address_is_refused_and_not_shown);
	tcase_add_test(t, each_kind_gets_what_it_signs_in_with_and_nothing_else);
	tcase_add_test(t, a_key_of_the_name_wins_over_the_general_one_whatever_its_place);
	tcase_add_test(t, a_session_token_goes_with_the_access_key_that_it_is_for);
	tcase_add_test(t, a_value_that_is_none_is_refused);
	tcase_add_test(t, plain_http_is_for_development_and_testing);
	tcase_add_test(t, in_production_a_secret_that_others_may_read_in_env_is_refused);
	tcase_add_test(t, what_was_kept_is_wiped_by_closing_and_closing_twice_is_fine);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
