/* config: precedence, profiles, what .env may hold, and what an error may say. */
#include "config.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET "hunter2-hunter2"

static char root[] = "/tmp/check_config.XXXXXX";
static int rootfd = -1;
static struct config *c;
static struct err e;

static void
setup(void)
{
	for (int k = 0; k < CONFIG_KEYS; k++)
		unsetenv(config_name(k));
	memcpy(root + strlen(root) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(root));
	rootfd = open(root, O_RDONLY | O_DIRECTORY);
	ck_assert_int_ne(rootfd, -1);
	c = NULL;
	e = (struct err){0};
}

static void
teardown(void)
{
	config_free(c);
	unlinkat(rootfd, "secrets", 0);
	unlinkat(rootfd, "link", 0);
	if (unlinkat(rootfd, ".env", 0) == -1)
		unlinkat(rootfd, ".env", AT_REMOVEDIR);
	close(rootfd);
	rmdir(root);
}

static void
dotenv_bytes(const char *bytes, size_t len)
{
	int fd = openat(rootfd, ".env", O_WRONLY | O_CREAT | O_TRUNC, 0644);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

static void
dotenv(const char *text)
{
	dotenv_bytes(text, strlen(text));
}

static void
load_as(const char *environment)
{
	config_free(c);
	c = config_load(rootfd, environment, &e);
	ck_assert_msg(c != NULL, "%s", e.text);
}

static void
load(void)
{
	load_as(NULL);
}

static void
refused_as(const char *environment)
{
	config_free(c);
	c = config_load(rootfd, environment, &e);
	ck_assert_msg(c == NULL, "it was accepted");
	ck_assert_int_eq(e.class, ERR_CONFIG);
	ck_assert_ptr_null(e.code);
}

/* The error names each of the words. */
static void
refused(const char *a, const char *b, const char *allowed)
{
	refused_as(NULL);
	ck_assert_msg(strstr(e.text, a) != NULL, "no \"%s\" in: %s", a, e.text);
	ck_assert_msg(strstr(e.text, b) != NULL, "no \"%s\" in: %s", b, e.text);
	ck_assert_msg(strstr(e.text, allowed) != NULL, "no \"%s\" in: %s", allowed, e.text);
}

START_TEST(without_env_file_and_variables_the_production_profile_is_in_effect)
{
	load();
	ck_assert_str_eq(config_str(c, CONFIG_ENVIRONMENT), "production");
	ck_assert_str_eq(config_origin(c, CONFIG_ENVIRONMENT), "default");
	ck_assert_str_eq(config_str(c, CONFIG_RAW_PATH), "recordings/raw");
	ck_assert_str_eq(config_origin(c, CONFIG_RAW_PATH), "profile production");
	ck_assert_str_eq(config_database(c), "db/app.db");
	ck_assert_int_eq(config_int(c, CONFIG_SAMPLE_RATE), 44100);
	ck_assert_str_eq(config_origin(c, CONFIG_SAMPLE_RATE), "default");
	ck_assert_int_eq(config_int(c, CONFIG_CHANNELS), 2);
	ck_assert_str_eq(config_str(c, CONFIG_FORMAT), "wav");
	ck_assert_str_eq(config_str(c, CONFIG_LOG_LEVEL), "INFO");
	ck_assert(!config_bool(c, CONFIG_CLOUD));
	ck_assert(!config_is_set(c, CONFIG_GOOGLE_SCOPES));
	ck_assert_str_eq(config_str(c, CONFIG_GOOGLE_SCOPES), "");
}
END_TEST

START_TEST(each_profile_has_the_values_of_the_table_in_VOICE_RECORDER)
{
	static const struct {
		const char *name, *raw, *edited, *temp, *backup;
		int min_free, max_size, retention, timeout, retries;
		bool disk_check, backups, compression;
	} want[] = {
	    {"development", "recordings_dev/raw", "recordings_dev/edited", "recordings_dev/temp",
		"recordings_dev/backup", 50, 500, 30, 10, 2, true, false, false},
	    {"testing", "recordings_test/raw", "recordings_test/edited", "recordings_test/temp",
		"recordings_test/backup", 10, 100, 7, 5, 1, false, false, true},
	    {"production", "recordings/raw", "recordings/edited", "recordings/temp",
		"recordings/backup", 500, 2000, 365, 30, 5, true, true, true},
	};

	load_as(want[_i].name);
	ck_assert_str_eq(config_origin(c, CONFIG_ENVIRONMENT), "option -E");
	ck_assert_str_eq(config_str(c, CONFIG_RAW_PATH), want[_i].raw);
	ck_assert_str_eq(config_str(c, CONFIG_EDITED_PATH), want[_i].edited);
	ck_assert_str_eq(config_str(c, CONFIG_TEMP_PATH), want[_i].temp);
	ck_assert_str_eq(config_str(c, CONFIG_BACKUP_PATH), want[_i].backup);
	ck_assert_int_eq(config_int(c, CONFIG_MIN_FREE_MB), want[_i].min_free);
	ck_assert_int_eq(config_int(c, CONFIG_MAX_SIZE_MB), want[_i].max_size);
	ck_assert_int_eq(config_int(c, CONFIG_RETENTION_DAYS), want[_i].retention);
	ck_assert_int_eq(config_int(c, CONFIG_DB_TIMEOUT_S), want[_i].timeout);
	ck_assert_int_eq(config_int(c, CONFIG_DB_RETRIES), want[_i].retries);
	ck_assert_int_eq(config_bool(c, CONFIG_DISK_CHECK), want[_i].disk_check);
	ck_assert_int_eq(config_bool(c, CONFIG_BACKUP), want[_i].backups);
	ck_assert_int_eq(config_bool(c, CONFIG_COMPRESSION), want[_i].compression);
	ck_assert(config_is_environment(want[_i].name));
}
END_TEST

START_TEST(an_option_wins_over_a_variable_over_env_file_over_the_profile)
{
	load();
	ck_assert_str_eq(config_str(c, CONFIG_ENVIRONMENT), "production");
	dotenv("# mine\nAPP_ENVIRONMENT=development\nRECORDINGS_MAX_SIZE_MB=7\n");
	load();
	ck_assert_str_eq(config_str(c, CONFIG_ENVIRONMENT), "development");
	ck_assert_str_eq(config_origin(c, CONFIG_ENVIRONMENT), ".env line 2");
	ck_assert_int_eq(config_int(c, CONFIG_MAX_SIZE_MB), 7);
	ck_assert_str_eq(config_origin(c, CONFIG_MAX_SIZE_MB), ".env line 3");
	setenv("APP_ENVIRONMENT", "testing", 1);
	setenv("RECORDINGS_MAX_SIZE_MB", "8", 1);
	load();
	ck_assert_str_eq(config_str(c, CONFIG_ENVIRONMENT), "testing");
	ck_assert_str_eq(
	    config_origin(c, CONFIG_ENVIRONMENT), "environment variable APP_ENVIRONMENT");
	ck_assert_int_eq(config_int(c, CONFIG_MAX_SIZE_MB), 8);
	load_as("production");
	ck_assert_str_eq(config_str(c, CONFIG_ENVIRONMENT), "production");
	ck_assert_str_eq(config_origin(c, CONFIG_ENVIRONMENT), "option -E");
	ck_assert_str_eq(config_str(c, CONFIG_RAW_PATH), "recordings/raw");
}
END_TEST

START_TEST(the_env_file_of_an_archive_that_exists_is_understood)
{
	dotenv("APP_ENVIRONMENT=development\nDATABASE_URL=sqlite:///db/app.db\n"
	       "RECORDINGS_RAW_PATH=recordings/raw\nRECORDINGS_EDITED_PATH=recordings/edited\n"
	       "AUDIO_SAMPLE_RATE=44100\nAUDIO_CHANNELS=2\nCLOUD_FEATURES_ENABLED=true\n");
	load();
	ck_assert_str_eq(config_str(c, CONFIG_RAW_PATH), "recordings/raw");
	ck_assert_str_eq(config_str(c, CONFIG_TEMP_PATH), "recordings_dev/temp");
	ck_assert(config_bool(c, CONFIG_CLOUD));
}
END_TEST

START_TEST(a_key_that_is_empty_counts_as_unset)
{
	setenv("RECORDINGS_RAW_PATH", "", 1);
	setenv("AUDIO_CHANNELS", "", 1);
	dotenv("APP_ENVIRONMENT=\nAUDIO_SAMPLE_RATE=\"\"\nRECORDINGS_RAW_PATH=x\n"
	       "GOOGLE_CLIENT_ID=''\nLOG_LEVEL=   # not yet\n");
	load();
	ck_assert_str_eq(config_str(c, CONFIG_ENVIRONMENT), "production");
	ck_assert_int_eq(config_int(c, CONFIG_SAMPLE_RATE), 44100);
	ck_assert_int_eq(config_int(c, CONFIG_CHANNELS), 2);
	ck_assert_str_eq(config_origin(c, CONFIG_CHANNELS), "default");
	ck_assert_str_eq(config_str(c, CONFIG_RAW_PATH), "x");
	ck_assert_str_eq(config_str(c, CONFIG_LOG_LEVEL), "INFO");
	ck_assert(!config_is_set(c, CONFIG_GOOGLE_CLIENT_ID));
}
END_TEST

START_TEST(an_unknown_environment_is_an_error_that_lists_the_three_and_its_source)
{
	static const char *const bad[] = {
	    "Production", "prod", " production", "productionx", "product"};

	dotenv("\n\nAPP_ENVIRONMENT=staging\n");
	refused("APP_ENVIRONMENT", ".env line 3", "development, testing, production");
	ck_assert_ptr_nonnull(strstr(e.text, "\"staging\""));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		setenv("APP_ENVIRONMENT", bad[i], 1);
		refused("APP_ENVIRONMENT", "environment variable APP_ENVIRONMENT",
		    "development, testing, production");
		ck_assert(!config_is_environment(bad[i]));
	}
	refused_as("nowhere");
	ck_assert_ptr_nonnull(strstr(e.text, "option -E"));
	refused_as("");
	ck_assert_ptr_nonnull(strstr(e.text, "development, testing, production"));
	load_as("testing");
}
END_TEST

START_TEST(an_env_file_may_have_comments_quotes_export_crlf_and_a_bom)
{
	dotenv("\xef\xbb\xbf# a comment\r\n\r\n   # another = one\r\n"
	       "export AUDIO_CHANNELS=1\r\n"
	       "  \texport\tAUDIO_SAMPLE_RATE = 48000 \t # studio\r\n"
	       "RECORDINGS_RAW_PATH=\"a b # c\" # quoted\r\n"
	       "RECORDINGS_EDITED_PATH='it \"is\" here'\r\n"
	       "REC_TEMP_PATH=with#hash and space \r\n"
	       "REC_BACKUP_PATH=\"say \\\"x\\\\y\\\"\"\r\n"
	       "exporter=1\r\nGOOGLE_DRIVE_SCOPES=a=b=c\r\nAUDIO_FORMAT=flac");
	load();
	ck_assert_int_eq(config_int(c, CONFIG_CHANNELS), 1);
	ck_assert_str_eq(config_origin(c, CONFIG_CHANNELS), ".env line 4");
	ck_assert_int_eq(config_int(c, CONFIG_SAMPLE_RATE), 48000);
	ck_assert_str_eq(config_str(c, CONFIG_RAW_PATH), "a b # c");
	ck_assert_str_eq(config_str(c, CONFIG_EDITED_PATH), "it \"is\" here");
	ck_assert_str_eq(config_str(c, CONFIG_TEMP_PATH), "with#hash and space");
	ck_assert_str_eq(config_str(c, CONFIG_BACKUP_PATH), "say \"x\\y\"");
	ck_assert_str_eq(config_str(c, CONFIG_GOOGLE_SCOPES), "a=b=c");
	ck_assert_str_eq(config_str(c, CONFIG_FORMAT), "flac");
}
END_TEST

START_TEST(the_last_of_several_lines_with_a_key_wins)
{
	dotenv("AUDIO_CHANNELS=1\nAUDIO_CHANNELS=bad\nAUDIO_CHANNELS=6\nLOG_LEVEL=x\nLOG_LEVEL=\n");
	load();
	ck_assert_int_eq(config_int(c, CONFIG_CHANNELS), 6);
	ck_assert_str_eq(config_origin(c, CONFIG_CHANNELS), ".env line 3");
	ck_assert_str_eq(config_str(c, CONFIG_LOG_LEVEL), "INFO");
}
END_TEST

START_TEST(keys_that_are_not_ours_are_ignored_without_complaint)
{
	dotenv("SECRET_KEY=${OTHER}\nDEBUG=maybe\naudio_channels=99\nAUDIO_CHANNELS_MAX=99\n"
	       "AUDIO=1\nweird.key-1=\xff\xfe\nREC_UNKNOWN=1\n");
	load();
	ck_assert_int_eq(config_int(c, CONFIG_CHANNELS), 2);
}
END_TEST

START_TEST(a_line_that_is_no_setting_is_an_error_with_its_number_and_without_its_text)
{
	static const char *const bad[] = {
	    "AUDIO_CHANNELS " SECRET,
	    SECRET,
	    "=" SECRET,
	    "export " SECRET,
	    "A B=" SECRET,
	    "GOOGLE_CLIENT_SECRET=\"" SECRET,
	    "GOOGLE_CLIENT_SECRET='" SECRET "\\'",
	    "GOOGLE_CLIENT_SECRET=\"" SECRET "\" more",
	    "GOOGLE_CLIENT_SECRET=\"" SECRET "\\",
	    "UNKNOWN='" SECRET "\"",
	};
	char text[200];

	snprintf(text, sizeof text, "LOG_LEVEL=INFO\n%s\nAUDIO_CHANNELS=1\n", bad[_i]);
	dotenv(text);
	refused(".env", "line 2", "");
	ck_assert_ptr_null(strstr(e.text, "hunter"));
	text[strlen(text) - strlen("\nAUDIO_CHANNELS=1\n")] = '\0';
	dotenv(text);
	refused(".env", "line 2", "");
}
END_TEST

START_TEST(an_expansion_in_a_key_of_ours_is_refused_rather_than_taken_literally)
{
	dotenv("RECORDINGS_RAW_PATH=${DATA}/raw\n");
	refused("RECORDINGS_RAW_PATH", ".env line 1", "${...}");
	dotenv("RECORDINGS_RAW_PATH=costs$5{a}\n");
	load();
	ck_assert_str_eq(config_str(c, CONFIG_RAW_PATH), "costs$5{a}");
}
END_TEST

START_TEST(an_env_file_that_is_no_text_file_is_an_error)
{
	dotenv_bytes("AUDIO_CHANNELS=1\n\0LOG_LEVEL=DEBUG\n", 34);
	refused(".env", "NUL", "");
	unlinkat(rootfd, ".env", 0);
	ck_assert_int_eq(mkdirat(rootfd, ".env", 0755), 0);
	refused(".env", "readable file", "");
	unlinkat(rootfd, ".env", AT_REMOVEDIR);
	ck_assert_int_eq(mkfifoat(rootfd, ".env", 0644), 0);
	refused(".env", "readable file", "");
	unlinkat(rootfd, ".env", 0);
	ck_assert_int_eq(symlinkat("/dev/zero", rootfd, ".env"), 0);
	refused(".env", "readable file", "");
	unlinkat(rootfd, ".env", 0);
	ck_assert_int_eq(symlinkat("nowhere", rootfd, ".env"), 0);
	refused(".env", "readable file", "");
}
END_TEST

START_TEST(an_env_file_may_be_empty_and_up_to_a_mebibyte)
{
	size_t size = 1024 * 1024;
	char *big = malloc(size + 1);

	dotenv("");
	load();
	ck_assert_ptr_nonnull(big);
	memset(big, '#', size + 1);
	memcpy(big, "AUDIO_CHANNELS=7\n", 17);
	dotenv_bytes(big, size);
	load();
	ck_assert_int_eq(config_int(c, CONFIG_CHANNELS), 7);
	dotenv_bytes(big, size + 1);
	refused(".env", "1048576", "");
	free(big);
}
END_TEST

START_TEST(a_bad_number_is_named_with_its_key_its_source_and_its_bounds)
{
	static const struct {
		const char *name, *bounds;
	} numbers[] = {
	    {"RECORDINGS_MAX_SIZE_MB", "1 to 1000000000"},
	    {"REC_MIN_FREE_MB", "1 to 1000000000"},
	    {"REC_RETENTION_DAYS", "1 to 1000000000"},
	    {"REC_DB_TIMEOUT_S", "1 to 86400"},
	    {"REC_DB_RETRIES", "0 to 100"},
	    {"AUDIO_SAMPLE_RATE", "1 to 768000"},
	    {"AUDIO_CHANNELS", "1 to 64"},
	    {"REC_TRANSFERS", "1 to 64"},
	    {"REC_ATTEMPTS", "1 to 100"},
	    {"REC_BREAKER", "0 to 10000"},
	    {"REC_STALL_S", "1 to 3600"},
	    {"REC_CONNECT_S", "1 to 600"},
	    {"REC_DELETE_MAX", "1 to 1000000000 in production"},
	    {"REC_DELETE_MAX_PERCENT", "1 to 100"},
	};
	static const char *const bad[] = {"-1", "1.5", "1e3", "0x10", "12 ", " 12", "1_000", "ten",
	    "1000000001", "99999999999999999999999", "\xff", "--1", "nan"};
	char source[64];

	snprintf(source, sizeof source, "(environment variable %s)", numbers[_i].name);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		setenv(numbers[_i].name, bad[i], 1);
		refused(numbers[_i].name, source, numbers[_i].bounds);
	}
	setenv(numbers[_i].name, "0", 1);
	if (numbers[_i].bounds[0] == '1')
		refused(numbers[_i].name, source, numbers[_i].bounds);
	else
		load();
	setenv(numbers[_i].name, "1", 1);
	load();
}
END_TEST

START_TEST(numbers_are_accepted_up_to_their_bounds_and_shown_in_plain_decimal)
{
	setenv("AUDIO_SAMPLE_RATE", "768000", 1);
	setenv("AUDIO_CHANNELS", "064", 1);
	setenv("REC_DB_RETRIES", "0", 1);
	load();
	ck_assert_int_eq(config_int(c, CONFIG_SAMPLE_RATE), 768000);
	ck_assert_str_eq(config_text(c, CONFIG_CHANNELS), "64");
	ck_assert_int_eq(config_int(c, CONFIG_DB_RETRIES), 0);
	ck_assert(config_is_set(c, CONFIG_DB_RETRIES));
	setenv("AUDIO_SAMPLE_RATE", "768001", 1);
	refused("AUDIO_SAMPLE_RATE", "768001", "1 to 768000");
}
END_TEST

START_TEST(booleans_are_read_as_python_applications_write_them)
{
	static const char *const yes[] = {"true", "True", "TRUE", "1", "yes", "YES", "on", "On"};
	static const char *const no[] = {"false", "False", "0", "no", "No", "off", "OFF"};
	static const char *const bad[] = {"2", "truee", "t", "enabled", " true", "yes no"};

	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
		setenv("CLOUD_FEATURES_ENABLED", yes[i], 1);
		load();
		ck_assert(config_bool(c, CONFIG_CLOUD));
		ck_assert_str_eq(config_text(c, CONFIG_CLOUD), "true");
	}
	for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
		setenv("REC_DISK_CHECK", no[i], 1);
		load();
		ck_assert(!config_bool(c, CONFIG_DISK_CHECK));
		ck_assert(config_is_set(c, CONFIG_DISK_CHECK));
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		setenv("REC_BACKUP", bad[i], 1);
		refused("REC_BACKUP", "environment variable", "true or false");
	}
}
END_TEST

START_TEST(a_level_or_format_is_one_of_a_list_in_any_case)
{
	setenv("LOG_LEVEL", "Critical", 1);
	setenv("AUDIO_FORMAT", "FLAC", 1);
	load();
	ck_assert_str_eq(config_str(c, CONFIG_LOG_LEVEL), "CRITICAL");
	ck_assert_str_eq(config_str(c, CONFIG_FORMAT), "flac");
	setenv("LOG_LEVEL", "VERBOSE", 1);
	refused("LOG_LEVEL", "\"VERBOSE\"", "DEBUG, INFO, WARNING, ERROR, CRITICAL");
	unsetenv("LOG_LEVEL");
	setenv("AUDIO_FORMAT", "wma", 1);
	refused("AUDIO_FORMAT", "\"wma\"", "wav, rf64");
}
END_TEST

START_TEST(an_explicit_path_wins_over_the_base_folder_and_may_be_any_bytes)
{
	dotenv("APP_ENVIRONMENT=testing\nRECORDINGS_RAW_PATH=/mnt/\xff\xe4udio\n");
	load();
	ck_assert_str_eq(config_str(c, CONFIG_RAW_PATH), "/mnt/\xff\xe4udio");
	ck_assert_str_eq(config_str(c, CONFIG_EDITED_PATH), "recordings_test/edited");
}
END_TEST

START_TEST(a_blank_or_endless_path_is_refused)
{
	char *longest = malloc(4097);

	ck_assert_ptr_nonnull(longest);
	dotenv("REC_TEMP_PATH=' '\n");
	refused("REC_TEMP_PATH", ".env line 1", "not blank");
	memset(longest, 'x', 4096);
	longest[4096] = '\0';
	setenv("REC_TEMP_PATH", longest, 1);
	refused("REC_TEMP_PATH", "xxx...", "4096 bytes");
	longest[4095] = '\0';
	setenv("REC_TEMP_PATH", longest, 1);
	load();
	ck_assert_str_eq(config_str(c, CONFIG_TEMP_PATH), longest);
	free(longest);
}
END_TEST

START_TEST(a_database_url_is_relative_or_absolute_and_its_query_is_dropped)
{
	static const struct {
		const char *url, *database;
	} good[] = {
	    {"sqlite:///db/app.db", "db/app.db"},
	    {"sqlite:////srv/a b/app.db", "/srv/a b/app.db"},
	    {"sqlite:///app.db?check_same_thread=False&key=" SECRET, "app.db"},
	    {"sqlite:///a%20b.db", "a%20b.db"},
	    {"sqlite:///:m", ":m"},
	};

	setenv("DATABASE_URL", good[_i].url, 1);
	load();
	ck_assert_str_eq(config_database(c), good[_i].database);
	ck_assert_ptr_null(strstr(config_text(c, CONFIG_DATABASE_URL), SECRET));
}
END_TEST

START_TEST(a_database_url_of_another_kind_is_refused_without_its_password)
{
	static const char *const bad[] = {
	    "postgresql://user:" SECRET "@host/db",
	    "mysql+pymysql://root:" SECRET "@host/db",
	    "user:" SECRET "@host",
	    "sqlite://",
	    "sqlite:///",
	    "sqlite:///?x=" SECRET,
	    "sqlite:///:memory:",
	    "sqlite:///:memory:?x=" SECRET,
	    "sqlite:///file:app.db?uri=true",
	    "sqlite:///db/",
	    "sqlite+aiosqlite:///db/app.db",
	    "db/app.db",
	    "sqlite:",
	    " sqlite:///db/app.db",
	};

	setenv("DATABASE_URL", bad[_i], 1);
	refused("DATABASE_URL", "environment variable", "sqlite:///FILE");
	ck_assert_ptr_null(strstr(e.text, "hunter"));
	ck_assert_ptr_null(strstr(e.text, "user"));
}
END_TEST

START_TEST(a_secret_is_kept_but_shown_only_as_set_or_unset)
{
	dotenv("GOOGLE_CLIENT_SECRET=" SECRET "\nGOOGLE_PROJECT_ID=my-project\n");
	load();
	ck_assert_str_eq(config_str(c, CONFIG_GOOGLE_CLIENT_SECRET), SECRET);
	ck_assert_str_eq(config_text(c, CONFIG_GOOGLE_CLIENT_SECRET), "set");
	ck_assert_str_eq(config_origin(c, CONFIG_GOOGLE_CLIENT_SECRET), ".env line 1");
	ck_assert_str_eq(config_text(c, CONFIG_GOOGLE_CLIENT_ID), "unset");
	ck_assert_str_eq(config_text(c, CONFIG_GOOGLE_PROJECT_ID), "my-project");
}
END_TEST

START_TEST(a_bad_secret_is_refused_without_its_value)
{
	setenv("GOOGLE_CLIENT_SECRET", SECRET "\x01", 1);
	refused("GOOGLE_CLIENT_SECRET", "environment variable", "control characters");
	ck_assert_ptr_null(strstr(e.text, "hunter"));
	unsetenv("GOOGLE_CLIENT_SECRET");
	dotenv("GOOGLE_CLIENT_ID=" SECRET "\xff\n");
	refused("GOOGLE_CLIENT_ID", ".env line 1", "UTF-8");
	ck_assert_ptr_null(strstr(e.text, "hunter"));
	dotenv("GOOGLE_CLIENT_ID=" SECRET "${X}\n");
	refused("GOOGLE_CLIENT_ID", ".env line 1", "");
	ck_assert_ptr_null(strstr(e.text, "hunter"));
}
END_TEST

START_TEST(a_bad_value_in_an_error_is_short_and_harmless)
{
	char value[2000];

	memset(value, 'y', sizeof value);
	value[sizeof value - 1] = '\0';
	memcpy(value, "\x1b[31m\n\xff", 7);
	setenv("LOG_LEVEL", value, 1);
	refused("\"\\x1b[31m\\x0a\\xff", "yyy...\"", "CRITICAL");
	for (const char *p = e.text; *p != '\0'; p++)
		ck_assert_int_ge((unsigned char)*p, 0x20);
}
END_TEST

START_TEST(every_key_has_a_name_and_an_origin)
{
	load();
	for (int k = 0; k < CONFIG_KEYS; k++) {
		ck_assert_ptr_nonnull(config_name(k));
		ck_assert_ptr_nonnull(config_text(c, k));
		ck_assert_str_ne(config_origin(c, k), "");
		for (int j = 0; j < k; j++)
			ck_assert_str_ne(config_name(j), config_name(k));
	}
	config_free(NULL);
}
END_TEST

/* ---- the file of secrets ---- */

static void
secrets(const char *text, mode_t mode)
{
	int fd;

	unlinkat(rootfd, "secrets", 0);
	fd = openat(rootfd, "secrets", O_WRONLY | O_CREAT | O_EXCL, 0600);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
	setenv("REC_SECRETS_FILE", "secrets", 1);
}

START_TEST(the_file_of_secrets_stands_between_the_environment_and_env)
{
	const char *origin;

	dotenv("AUDIO_CHANNELS=1\nAWS_SECRET_ACCESS_KEY=three\nREC_REMOTE_X_PASSWORD=three\n");
	secrets("# mine\nexport AUDIO_CHANNELS=2\nAWS_SECRET_ACCESS_KEY='two ${HOME}'\n"
		"REC_REMOTE_X_PASSWORD=two\nUNKNOWN=x\n",
	    0600);
	load();
	ck_assert_int_eq(config_int(c, CONFIG_CHANNELS), 2);
	ck_assert_str_eq(config_origin(c, CONFIG_CHANNELS), "secrets file line 2");
	ck_assert_str_eq(config_str(c, CONFIG_AWS_SECRET_ACCESS_KEY), "two ${HOME}");
	ck_assert_str_eq(config_text(c, CONFIG_AWS_SECRET_ACCESS_KEY), "set");
	ck_assert_str_eq(config_lookup(c, "REC_REMOTE_X_PASSWORD", &origin), "two");
	ck_assert_str_eq(origin, "secrets file line 4");
	setenv("REC_REMOTE_X_PASSWORD", "one", 1);
	ck_assert_str_eq(config_lookup(c, "REC_REMOTE_X_PASSWORD", &origin), "one");
	ck_assert_str_eq(origin, "environment");
	unsetenv("REC_REMOTE_X_PASSWORD");
	/* Nothing but ours is kept. */
	ck_assert_ptr_null(config_lookup(c, "UNKNOWN", &origin));
	ck_assert_ptr_null(config_lookup(c, "PATH", NULL));
	unsetenv("REC_SECRETS_FILE");
	load();
	ck_assert_str_eq(config_lookup(c, "REC_REMOTE_X_PASSWORD", &origin), "three");
	ck_assert_str_eq(origin, ".env line 3");
	ck_assert_int_eq(config_int(c, CONFIG_CHANNELS), 1);
}
END_TEST

START_TEST(a_file_of_secrets_that_others_may_use_is_refused_everywhere)
{
	static const mode_t modes[] = {0640, 0604, 0620, 0602, 0610, 0601, 0644};

	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		secrets("AWS_SESSION_TOKEN=" SECRET "\n", modes[i]);
		setenv("APP_ENVIRONMENT", i % 2 == 0 ? "development" : "production", 1);
		refused("REC_SECRETS_FILE", "chmod 600", "secrets");
		ck_assert_ptr_null(strstr(e.text, "hunter"));
	}
	/* A link is as open as what it leads to. */
	ck_assert_int_eq(symlinkat("secrets", rootfd, "link"), 0);
	setenv("REC_SECRETS_FILE", "link", 1);
	refused("REC_SECRETS_FILE", "chmod 600", "");
	secrets("AUDIO_CHANNELS=3\n", 0400);
	setenv("REC_SECRETS_FILE", "link", 1);
	load();
	ck_assert_int_eq(config_int(c, CONFIG_CHANNELS), 3);
	if (geteuid() == 0) {
		ck_assert_int_eq(fchownat(rootfd, "secrets", 12345, -1, 0), 0);
		refused("REC_SECRETS_FILE", "another user", "");
	}
}
END_TEST

START_TEST(a_file_of_secrets_that_is_none_is_refused)
{
	setenv("REC_SECRETS_FILE", "nowhere", 1);
	refused("REC_SECRETS_FILE", "nowhere", "No such file");
	setenv("REC_SECRETS_FILE", ".", 1);
	refused("REC_SECRETS_FILE", "folder", "");
	setenv("REC_SECRETS_FILE", "/dev/null", 1);
	refused("REC_SECRETS_FILE", "regular", "");
	secrets("AWS_SESSION_TOKEN " SECRET "\n", 0600);
	refused("REC_SECRETS_FILE", "line 1", "KEY=VALUE");
	ck_assert_ptr_null(strstr(e.text, "hunter"));
	secrets("AWS_SESSION_TOKEN=" SECRET "\001\n", 0600);
	refused("AWS_SESSION_TOKEN", "secrets file line 1", "");
	ck_assert_ptr_null(strstr(e.text, "hunter"));
	secrets("\nAPP_ENVIRONMENT=development\n", 0600);
	refused("APP_ENVIRONMENT", "secrets file line 2", "");
	secrets("REC_SECRETS_FILE=other\n", 0600);
	refused("REC_SECRETS_FILE", "secrets file line 1", "");
}
END_TEST

START_TEST(an_env_file_that_others_may_read_exposes_what_is_taken_from_it)
{
	dotenv("REC_REMOTE_X_PASSWORD=x\n");
	ck_assert_int_eq(fchmodat(rootfd, ".env", 0640, 0), 0);
	load();
	ck_assert(config_is_exposed(c, "REC_REMOTE_X_PASSWORD"));
	ck_assert(!config_is_exposed(c, "REC_REMOTE_Y_PASSWORD"));
	setenv("REC_REMOTE_X_PASSWORD", "y", 1);
	ck_assert(!config_is_exposed(c, "REC_REMOTE_X_PASSWORD"));
	unsetenv("REC_REMOTE_X_PASSWORD");
	ck_assert_int_eq(fchmodat(rootfd, ".env", 0600, 0), 0);
	load();
	ck_assert(!config_is_exposed(c, "REC_REMOTE_X_PASSWORD"));
}
END_TEST

START_TEST(no_limit_to_deleting_is_refused_in_production_alone)
{
	dotenv("REC_DELETE_MAX=0\n");
	refused("REC_DELETE_MAX", ".env line 1", "1 to 1000000000 in production");
	load_as("development");
	ck_assert_int_eq(config_int(c, CONFIG_DELETE_MAX), 0);
	load_as("testing");
	ck_assert_int_eq(config_int(c, CONFIG_DELETE_MAX), 0);
	dotenv("");
	load();
	ck_assert_int_eq(config_int(c, CONFIG_DELETE_MAX), 100);
	ck_assert_int_eq(config_int(c, CONFIG_DELETE_MAX_PERCENT), 10);
	ck_assert_int_eq(config_int(c, CONFIG_TRANSFERS), 32);
	ck_assert_int_eq(config_int(c, CONFIG_PART_MB), 16);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("config");
	TCase *t = tcase_create("config");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, without_env_file_and_variables_the_production_profile_is_in_effect);
	tcase_add_loop_test(t, each_profile_has_the_values_of_the_table_in_VOICE_RECORDER, 0, 3);
	tcase_add_test(t, an_option_wins_over_a_variable_over_env_file_over_the_profile);
	tcase_add_test(t, the_env_file_of_an_archive_that_exists_is_understood);
	tcase_add_test(t, a_key_that_is_empty_counts_as_unset);
	tcase_add_test(t, an_unknown_environment_is_an_error_that_lists_the_three_and_its_source);
	tcase_add_test(t, an_env_file_may_have_comments_quotes_export_crlf_and_a_bom);
	tcase_add_test(t, the_last_of_several_lines_with_a_key_wins);
	tcase_add_test(t, keys_that_are_not_ours_are_ignored_without_complaint);
	tcase_add_loop_test(
	    t, a_line_that_is_no_setting_is_an_error_with_its_number_and_without_its_text, 0, 10);
	tcase_add_test(t, an_expansion_in_a_key_of_ours_is_refused_rather_than_taken_literally);
	tcase_add_test(t, an_env_file_that_is_no_text_file_is_an_error);
	tcase_add_test(t, an_env_file_may_be_empty_and_up_to_a_mebibyte);
	tcase_add_loop_test(t, a_bad_number_is_named_with_its_key_its_source_and_its_bounds, 0, 14);
	tcase_add_test(t, numbers_are_accepted_up_to_their_bounds_and_shown_in_plain_decimal);
	tcase_add_test(t, booleans_are_read_as_python_applications_write_them);
	tcase_add_test(t, a_level_or_format_is_one_of_a_list_in_any_case);
	tcase_add_test(t, an_explicit_path_wins_over_the_base_folder_and_may_be_any_bytes);
	tcase_add_test(t, a_blank_or_endless_path_is_refused);
	tcase_add_loop_test(
	    t, a_database_url_is_relative_or_absolute_and_its_query_is_dropped, 0, 5);
	tcase_add_loop_test(
	    t, a_database_url_of_another_kind_is_refused_without_its_password, 0, 14);
	tcase_add_test(t, a_secret_is_kept_but_shown_only_as_set_or_unset);
	tcase_add_test(t, a_bad_secret_is_refused_without_its_value);
	tcase_add_test(t, a_bad_value_in_an_error_is_short_and_harmless);
	tcase_add_test(t, every_key_has_a_name_and_an_origin);
	tcase_add_test(t, the_file_of_secrets_stands_between_the_environment_and_env);
	tcase_add_test(t, a_file_of_secrets_that_others_may_use_is_refused_everywhere);
	tcase_add_test(t, a_file_of_secrets_that_is_none_is_refused);
	tcase_add_test(t, an_env_file_that_others_may_read_exposes_what_is_taken_from_it);
	tcase_add_test(t, no_limit_to_deleting_is_refused_in_production_alone);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
