/*
 * One table holds every key: its kind, what is allowed and its default. Every value, a default too,
 * passes the same check (accept) and is kept in its canonical form: numbers in plain decimal,
 * booleans as true and false, choices as the table spells them, DATABASE_URL without its query.
 *
 * .env is parsed as python-dotenv does where the two agree on what a line means. What it would
 * expand, ${NAME}, is refused in a key of ours: taken literally, it would name another folder.
 *
 * Error texts hold no line of .env, no secret, and of DATABASE_URL only the scheme: the URL of
 * another database has a password in it.
 */
#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "io.h"
#include "mem.h"
#include "utf8.h"

#define DOTENV ".env"
#define DOTENV_MAX (1024 * 1024)
#define BLANK " \t\r\v\f"
#define URL_PREFIX "sqlite:///"

enum kind {
	KIND_EXACT,  /* one of choices */
	KIND_CHOICE, /* one of choices, in any case */
	KIND_NUMBER, /* lo to hi */
	KIND_BOOL,
	KIND_PATH,
	KIND_URL,
	KIND_TEXT,
};

/* Also the order of each PER_ENVIRONMENT below. */
static const char *const environments[] = {"development", "testing", "production", NULL};
static const char *const levels[] = {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", NULL};
/* What libsndfile can write. */
static const char *const formats[] = {
    "wav", "rf64", "w64", "aiff", "caf", "au", "flac", "ogg", "opus", "mp3", NULL};

struct key {
	const char *name;
	enum kind kind;
	const char *const *choices;
	int64_t lo, hi;
	const char *fixed;	/* default in every environment, or NULL */
	const char *profile[3]; /* default by environment, or NULLs */
	bool secret;
};

#define ENVIRONMENTS .kind = KIND_EXACT, .choices = environments
#define CHOICE(list) .kind = KIND_CHOICE, .choices = list
#define NUMBER(low, high) .kind = KIND_NUMBER, .lo = low, .hi = high
#define BOOL .kind = KIND_BOOL
#define URL .kind = KIND_URL
#define TEXT .kind = KIND_TEXT
#define SECRET .kind = KIND_TEXT, .secret = true
#define FIXED(value) .fixed = value
#define PER_ENVIRONMENT(dev, test, prod) .profile = {dev, test, prod}
#define PATH_BELOW_BASE(sub)                                                                       \
	.kind = KIND_PATH,                                                                         \
	PER_ENVIRONMENT("recordings_dev/" sub, "recordings_test/" sub, "recordings/" sub)

#define BILLION 1000000000

/* clang-format off */
static const struct key keys[CONFIG_KEYS] = {
	/* First: it decides the defaults of the others. */
	[CONFIG_ENVIRONMENT] =    {"APP_ENVIRONMENT",         ENVIRONMENTS, FIXED("production")},
	[CONFIG_DATABASE_URL] =   {"DATABASE_URL",            URL, FIXED(URL_PREFIX "db/app.db")},
	[CONFIG_RAW_PATH] =       {"RECORDINGS_RAW_PATH",     PATH_BELOW_BASE("raw")},
	[CONFIG_EDITED_PATH] =    {"RECORDINGS_EDITED_PATH",  PATH_BELOW_BASE("edited")},
	[CONFIG_TEMP_PATH] =      {"REC_TEMP_PATH",           PATH_BELOW_BASE("temp")},
	[CONFIG_BACKUP_PATH] =    {"REC_BACKUP_PATH",         PATH_BELOW_BASE("backup")},
	[CONFIG_MAX_SIZE_MB] =    {"RECORDINGS_MAX_SIZE_MB",  NUMBER(1, BILLION), PER_ENVIRONMENT("500", "100", "2000")},
	[CONFIG_MIN_FREE_MB] =    {"REC_MIN_FREE_MB",         NUMBER(1, BILLION), PER_ENVIRONMENT("50", "10", "500")},
	[CONFIG_DISK_CHECK] =     {"REC_DISK_CHECK",          BOOL, PER_ENVIRONMENT("true", "false", "true")},
	[CONFIG_BACKUP] =         {"REC_BACKUP",              BOOL, PER_ENVIRONMENT("false", "false", "true")},
	[CONFIG_COMPRESSION] =    {"REC_COMPRESSION",         BOOL, PER_ENVIRONMENT("false", "true", "true")},
	[CONFIG_RETENTION_DAYS] = {"REC_RETENTION_DAYS",      NUMBER(1, BILLION), PER_ENVIRONMENT("30", "7", "365")},
	/* A day at most: in milliseconds it must fit an int. */
	[CONFIG_DB_TIMEOUT_S] =   {"REC_DB_TIMEOUT_S",        NUMBER(1, 86400), PER_ENVIRONMENT("10", "5", "30")},
	[CONFIG_DB_RETRIES] =     {"REC_DB_RETRIES",          NUMBER(0, 100), PER_ENVIRONMENT("2", "1", "5")},
	[CONFIG_SAMPLE_RATE] =    {"AUDIO_SAMPLE_RATE",       NUMBER(1, 768000), FIXED("44100")},
	[CONFIG_CHANNELS] =       {"AUDIO_CHANNELS",          NUMBER(1, 64), FIXED("2")},
	[CONFIG_FORMAT] =         {"AUDIO_FORMAT",            CHOICE(formats), FIXED("wav")},
	[CONFIG_LOG_LEVEL] =      {"LOG_LEVEL",               CHOICE(levels), FIXED("INFO")},
	[CONFIG_CLOUD] =          {"CLOUD_FEATURES_ENABLED",  BOOL, FIXED("false")},
	[CONFIG_GOOGLE_CLIENT_ID] =     {"GOOGLE_CLIENT_ID",     SECRET, FIXED("")},
	[CONFIG_GOOGLE_CLIENT_SECRET] = {"GOOGLE_CLIENT_SECRET", SECRET, FIXED("")},
	[CONFIG_GOOGLE_PROJECT_ID] =    {"GOOGLE_PROJECT_ID",    TEXT, FIXED("")},
	[CONFIG_GOOGLE_SCOPES] =        {"GOOGLE_DRIVE_SCOPES",  TEXT, FIXED("")},
};
/* clang-format on */

struct value {
	char *text;	 /* canonical; "" when unset */
	int64_t number;	 /* of a number; 0 or 1 of a boolean; index into choices */
	char origin[64]; /* where it comes from */
};

struct config {
	struct value values[CONFIG_KEYS];
};

struct dotenv {
	struct buf text; /* cut into strings by the parser */
	struct {
		const char *text; /* points into text; NULL when the key is not there */
		unsigned line;
	} values[CONFIG_KEYS];
};

static bool
parse_bool(const char *text, int64_t *out)
{
	static const char *const words[] = {"false", "true", "0", "1", "no", "yes", "off", "on"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcasecmp(text, words[i]) == 0) {
			*out = i % 2;
			return true;
		}
	return false;
}

static bool
parse_choice(const struct key *key, const char *text, int64_t *out)
{
	for (size_t i = 0; key->choices[i] != NULL; i++)
		if (key->kind == KIND_EXACT ? strcmp(text, key->choices[i]) == 0
					    : strcasecmp(text, key->choices[i]) == 0) {
			*out = (int64_t)i;
			return true;
		}
	return false;
}

/* Length of the URL without its query, or 0 when it does not name a file for SQLite. */
static size_t
url_len(const char *url)
{
	const char *path;
	size_t len;

	if (strncmp(url, URL_PREFIX, strlen(URL_PREFIX)) != 0)
		return 0;
	path = url + strlen(URL_PREFIX);
	len = strcspn(path, "?");
	if (len == 0 || len >= PATH_MAX || path[len - 1] == '/')
		return 0;
	/* SQLAlchemy's names for a database in memory and for SQLite's own URIs. */
	if (strncmp(path, "file:", 5) == 0 || (len == 8 && strncmp(path, ":memory:", 8) == 0))
		return 0;
	return strlen(URL_PREFIX) + len;
}

static bool
is_printable(const char *s)
{
	for (const char *p = s; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
	return utf8_valid(s, strlen(s));
}

static void
describe_allowed(const struct key *key, char *out, size_t size)
{
	size_t n = 0;

	switch (key->kind) {
	case KIND_EXACT:
	case KIND_CHOICE:
		n = (size_t)snprintf(out, size, "one of");
		for (size_t i = 0; key->choices[i] != NULL && n < size; i++)
			n += (size_t)snprintf(
			    out + n, size - n, "%s %s", i > 0 ? "," : "", key->choices[i]);
		break;
	case KIND_NUMBER:
		snprintf(
		    out, size, "a whole number from %" PRId64 " to %" PRId64, key->lo, key->hi);
		break;
	case KIND_BOOL:
		snprintf(out, size, "true or false (also 1 or 0, yes or no, on or off)");
		break;
	case KIND_PATH:
		snprintf(out, size, "a path that is not blank and shorter than %d bytes", PATH_MAX);
		break;
	case KIND_URL:
		snprintf(out, size,
		    URL_PREFIX "FILE (relative to the archive's root) or " URL_PREFIX
			       "/FILE (absolute)");
		break;
	case KIND_TEXT:
		snprintf(out, size, "UTF-8 text without control characters");
		break;
	}
}

/* A bad value, as much of it as an error may show. */
static void
describe_value(const struct key *key, const char *text, char *out, size_t size)
{
	size_t len = utf8_fit(text, 40), scheme;
	char shown[192];

	if (key->kind == KIND_URL) {
		scheme = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789+.-");
		len = strncmp(text + scheme, "://", 3) == 0 && scheme < len ? scheme + 3 : 0;
	}
	if (key->secret)
		len = 0;
	utf8_escape(shown, sizeof shown, text, len);
	if (len == 0 && text[0] != '\0')
		snprintf(out, size, "its value is not allowed");
	else
		snprintf(
		    out, size, "\"%s%s\" is not allowed", shown, text[len] != '\0' ? "..." : "");
}

static int
refuse(const struct config *c, enum config_key k, const char *text, struct err *e)
{
	char allowed[160], value[224];

	describe_allowed(&keys[k], allowed, sizeof allowed);
	describe_value(&keys[k], text, value, sizeof value);
	return err_set(e, ERR_CONFIG, NULL, "%s (%s): %s; it must be %s", keys[k].name,
	    c->values[k].origin, value, allowed);
}

/* Checks text and keeps its canonical form. */
static int
accept(struct config *c, enum config_key k, const char *text, struct err *e)
{
	const struct key *key = &keys[k];
	struct value *v = &c->values[k];
	size_t len;

	switch (key->kind) {
	case KIND_EXACT:
	case KIND_CHOICE:
		if (!parse_choice(key, text, &v->number))
			return refuse(c, k, text, e);
		v->text = mem_str(key->choices[v->number], e);
		break;
	case KIND_NUMBER:
		if (!mem_parse_i64(text, key->lo, key->hi, &v->number))
			return refuse(c, k, text, e);
		v->text = mem_fmt(e, "%" PRId64, v->number);
		break;
	case KIND_BOOL:
		if (!parse_bool(text, &v->number))
			return refuse(c, k, text, e);
		v->text = mem_str(v->number ? "true" : "false", e);
		break;
	case KIND_PATH:
		if (strlen(text) >= PATH_MAX || text[strspn(text, BLANK "\n")] == '\0')
			return refuse(c, k, text, e);
		v->text = mem_str(text, e);
		break;
	case KIND_URL:
		if ((len = url_len(text)) == 0)
			return refuse(c, k, text, e);
		v->text = mem_bytes(text, len, e);
		break;
	case KIND_TEXT:
		if (!is_printable(text))
			return refuse(c, k, text, e);
		v->text = mem_str(text, e);
		break;
	}
	return v->text == NULL ? -1 : 0;
}

/* Cuts s behind its last byte that is not blank. */
static void
trim_end(char *s)
{
	size_t n = strlen(s);

	while (n > 0 && strchr(BLANK, s[n - 1]) != NULL)
		n--;
	s[n] = '\0';
}

/* What stands behind '=', decoded in place; NULL when its quotes do not match. */
static char *
dotenv_value(char *s)
{
	char *in, *out, *start;
	char quote;

	s += strspn(s, BLANK);
	if (*s != '"' && *s != '\'') {
		for (in = s; *in != '\0'; in++)
			if (*in == '#' && strchr(BLANK, in[-1]) != NULL)
				*in-- = '\0';
		trim_end(s);
		return s;
	}
	quote = *s++;
	start = s;
	for (in = out = s; *in != quote; in++) {
		if (*in == '\\' && (in[1] == '\\' || in[1] == quote))
			in++;
		if (*in == '\0')
			return NULL;
		*out++ = *in;
	}
	in++;
	in += strspn(in, BLANK);
	if (*in != '\0' && *in != '#')
		return NULL;
	*out = '\0';
	return start;
}

static int
dotenv_line(struct dotenv *d, char *line, unsigned n, struct err *e)
{
	char *name = line + strspn(line, BLANK), *p, *value;
	size_t len;

	if (*name == '\0' || *name == '#')
		return 0;
	if (strncmp(name, "export", 6) == 0 && name[6] != '\0' && strchr(BLANK, name[6]) != NULL)
		name += 6 + strspn(name + 6, BLANK);
	len = strcspn(name, "=#" BLANK);
	p = name + len;
	p += strspn(p, BLANK);
	if (len == 0 || *p != '=')
		return err_set(
		    e, ERR_CONFIG, NULL, DOTENV " line %u: neither KEY=VALUE nor a # comment", n);
	if ((value = dotenv_value(p + 1)) == NULL)
		return err_set(e, ERR_CONFIG, NULL,
		    DOTENV " line %u: the quote around the value is not closed at its end", n);
	for (int k = 0; k < CONFIG_KEYS; k++) {
		if (strncmp(keys[k].name, name, len) != 0 || keys[k].name[len] != '\0')
			continue;
		if ((p = strstr(value, "${")) != NULL && strchr(p, '}') != NULL)
			return err_set(e, ERR_CONFIG, NULL,
			    "%s (" DOTENV " line %u): ${...} is not expanded; write the value out",
			    keys[k].name, n);
		d->values[k].text = value;
		d->values[k].line = n;
	}
	return 0;
}

static int
dotenv_read(int rootfd, struct dotenv *d, struct err *e)
{
	struct stat st;
	char *line, *next;
	unsigned n;

	if (io_read_file(rootfd, DOTENV, DOTENV_MAX, &d->text, e) == -1) {
		if (e->class != ERR_ITEM)
			return -1;
		/* A link to nowhere is not absence: the settings that it meant would be lost. */
		if (e->code != NULL && strcmp(e->code, P_MISSING) == 0 &&
		    fstatat(rootfd, DOTENV, &st, AT_SYMLINK_NOFOLLOW) == -1)
			return 0;
		e->class = ERR_CONFIG;
		e->code = NULL;
		return err_prefix(
		    e, DOTENV " must be a readable file of at most %d bytes", DOTENV_MAX);
	}
	if (d->text.len == 0)
		return 0;
	if (memchr(d->text.data, '\0', d->text.len) != NULL)
		return err_set(e, ERR_CONFIG, NULL, DOTENV ": not a text file, it holds NUL bytes");
	line = d->text.data;
	if (strncmp(line, "\xef\xbb\xbf", 3) == 0)
		line += 3;
	for (n = 1; line != NULL; n++, line = next) {
		if ((next = strchr(line, '\n')) != NULL)
			*next++ = '\0';
		if (dotenv_line(d, line, n, e) == -1)
			return -1;
	}
	return 0;
}

/* The text that is in effect, and its origin. Empty is unset, but not on the command line. */
static const char *
effective(struct config *c, enum config_key k, const char *option, const struct dotenv *d)
{
	const struct key *key = &keys[k];
	char *origin = c->values[k].origin;
	size_t size = sizeof c->values[k].origin;
	const char *text;
	int64_t profile;

	if (option != NULL) {
		snprintf(origin, size, "option -E");
		return option;
	}
	if ((text = getenv(key->name)) != NULL && *text != '\0') {
		snprintf(origin, size, "environment variable %s", key->name);
		return text;
	}
	if ((text = d->values[k].text) != NULL && *text != '\0') {
		snprintf(origin, size, DOTENV " line %u", d->values[k].line);
		return text;
	}
	if (key->fixed != NULL) {
		snprintf(origin, size, "default");
		return key->fixed;
	}
	profile = c->values[CONFIG_ENVIRONMENT].number;
	snprintf(origin, size, "profile %s", environments[profile]);
	return key->profile[profile];
}

struct config *
config_load(int rootfd, const char *environment, struct err *e)
{
	struct dotenv d = {0};
	struct config *c;
	const char *text;
	int rc = -1;

	if ((c = mem_new(1, sizeof *c, e)) == NULL)
		return NULL;
	if (dotenv_read(rootfd, &d, e) == -1)
		goto out;
	for (int k = 0; k < CONFIG_KEYS; k++) {
		text = effective(c, k, k == CONFIG_ENVIRONMENT ? environment : NULL, &d);
		if (accept(c, k, text, e) == -1)
			goto out;
	}
	rc = 0;
out:
	buf_free(&d.text);
	if (rc == -1) {
		config_free(c);
		return NULL;
	}
	return c;
}

void
config_free(struct config *c)
{
	if (c == NULL)
		return;
	for (int k = 0; k < CONFIG_KEYS; k++)
		free(c->values[k].text);
	free(c);
}

const char *
config_str(const struct config *c, enum config_key k)
{
	return c->values[k].text;
}

int64_t
config_int(const struct config *c, enum config_key k)
{
	return c->values[k].number;
}

bool
config_bool(const struct config *c, enum config_key k)
{
	return c->values[k].number != 0;
}

bool
config_is_set(const struct config *c, enum config_key k)
{
	return c->values[k].text[0] != '\0';
}

const char *
config_name(enum config_key k)
{
	return keys[k].name;
}

const char *
config_text(const struct config *c, enum config_key k)
{
	if (keys[k].secret)
		return config_is_set(c, k) ? "set" : "unset";
	return config_str(c, k);
}

const char *
config_origin(const struct config *c, enum config_key k)
{
	return c->values[k].origin;
}

const char *
config_database(const struct config *c)
{
	return config_str(c, CONFIG_DATABASE_URL) + strlen(URL_PREFIX);
}

bool
config_is_environment(const char *name)
{
	int64_t i;

	return parse_choice(&keys[CONFIG_ENVIRONMENT], name, &i);
}
