/*
 * One table holds every key: its kind, what is allowed and its default. Every value, a default too,
 * passes the same check (accept) and is kept in its canonical form: numbers in plain decimal,
 * booleans as true and false, choices as the table spells them, DATABASE_URL without its query.
 *
 * .env is parsed as python-dotenv does where the two agree on what a line means. What it would
 * expand, ${NAME}, is refused in a key of ours: taken literally, it would name another folder. The
 * secrets file is read by nobody else, and a password may hold anything.
 *
 * Of both files only what is a key of ours is kept, and everything else is wiped at once.
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
#include <unistd.h>

#include "io.h"
#include "mem.h"
#include "utf8.h"

#define DOTENV ".env"
#define FILE_MAX (1024 * 1024)
#define REMOTE_PREFIX "REC_REMOTE_"
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
	bool optional;	       /* KIND_PATH: may be unset */
	int64_t production_lo; /* in production, when it is above lo */
};

#define ENVIRONMENTS .kind = KIND_EXACT, .choices = environments
#define CHOICE(list) .kind = KIND_CHOICE, .choices = list
#define NUMBER(low, high) .kind = KIND_NUMBER, .lo = low, .hi = high
#define BOOL .kind = KIND_BOOL
#define URL .kind = KIND_URL
#define TEXT .kind = KIND_TEXT
#define SECRET .kind = KIND_TEXT, .secret = true
#define OPTIONAL_PATH .kind = KIND_PATH, .optional = true
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
	[CONFIG_REMOTE] =         {"REC_REMOTE",              TEXT, FIXED("")},
	[CONFIG_SECRETS_FILE] =   {"REC_SECRETS_FILE",        OPTIONAL_PATH, FIXED("")},
	[CONFIG_TRANSFERS] =      {"REC_TRANSFERS",           NUMBER(1, 64), FIXED("32")},
	[CONFIG_PART_MB] =        {"REC_PART_MB",             NUMBER(5, 5120), FIXED("16")},
	[CONFIG_ATTEMPTS] =       {"REC_ATTEMPTS",            NUMBER(1, 100), PER_ENVIRONMENT("5", "3", "8")},
	[CONFIG_BREAKER] =        {"REC_BREAKER",             NUMBER(0, 10000), FIXED("20")},
	[CONFIG_STALL_S] =        {"REC_STALL_S",             NUMBER(1, 3600), FIXED("30")},
	[CONFIG_CONNECT_S] =      {"REC_CONNECT_S",           NUMBER(1, 600), FIXED("10")},
	[CONFIG_LIMIT_RATE] =     {"REC_LIMIT_RATE",          TEXT, FIXED("")},
	/* 0 is no limit: not where recordings are what cannot be made again. */
	[CONFIG_DELETE_MAX] =     {"REC_DELETE_MAX",          NUMBER(0, BILLION), PER_ENVIRONMENT("1000", "100", "100"), .production_lo = 1},
	[CONFIG_DELETE_MAX_PERCENT] =   {"REC_DELETE_MAX_PERCENT", NUMBER(1, 100), PER_ENVIRONMENT("50", "100", "10")},
	[CONFIG_CA_FILE] =        {"REC_CA_FILE",             TEXT, FIXED("")},
	[CONFIG_AWS_ENDPOINT] =   {"AWS_ENDPOINT_URL",        TEXT, FIXED("")},
	[CONFIG_AWS_REGION] =     {"AWS_REGION",              TEXT, FIXED("")},
	[CONFIG_AWS_DEFAULT_REGION] =   {"AWS_DEFAULT_REGION",   TEXT, FIXED("")},
	[CONFIG_AWS_ACCESS_KEY_ID] =    {"AWS_ACCESS_KEY_ID",    SECRET, FIXED("")},
	[CONFIG_AWS_SECRET_ACCESS_KEY] = {"AWS_SECRET_ACCESS_KEY", SECRET, FIXED("")},
	[CONFIG_AWS_SESSION_TOKEN] =    {"AWS_SESSION_TOKEN",    SECRET, FIXED("")},
	[CONFIG_S3_VIRTUAL_HOSTS] =     {"REC_S3_VIRTUAL_HOSTS", BOOL, FIXED("false")},
	[CONFIG_WEBDAV_USER] =    {"REC_WEBDAV_USER",         SECRET, FIXED("")},
	[CONFIG_WEBDAV_PASSWORD] =      {"REC_WEBDAV_PASSWORD",  SECRET, FIXED("")},
	[CONFIG_GOOGLE_ENDPOINT] =      {"REC_GOOGLE_ENDPOINT",  TEXT, FIXED("")},
	[CONFIG_GOOGLE_REFRESH_TOKEN] = {"REC_GOOGLE_REFRESH_TOKEN", SECRET, FIXED("")},
};
/* clang-format on */

struct value {
	char *text;	 /* canonical; "" when unset */
	int64_t number;	 /* of a number; 0 or 1 of a boolean; index into choices */
	char origin[64]; /* where it comes from */
};

/* One line of a file. */
struct setting {
	char *name, *value;
	char origin[40];
};

struct file {
	const char *what; /* in front of "line N" */
	bool expands;	  /* another program expands ${…} in it */
	bool readable;	  /* by others than its owner */
	struct setting *settings;
	size_t n, cap;
};

enum { FILE_SECRETS, FILE_DOTENV, FILES }; /* the first that has a key wins */

struct config {
	struct value values[CONFIG_KEYS];
	struct file files[FILES];
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

static bool
is_production(const struct config *c)
{
	return strcmp(environments[c->values[CONFIG_ENVIRONMENT].number], "production") == 0;
}

static int64_t
least_of(const struct config *c, const struct key *key)
{
	return is_production(c) && key->production_lo > key->lo ? key->production_lo : key->lo;
}

static void
describe_allowed(const struct config *c, const struct key *key, char *out, size_t size)
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
		snprintf(out, size, "a whole number from %" PRId64 " to %" PRId64 "%s",
		    least_of(c, key), key->hi, least_of(c, key) != key->lo ? " in production" : "");
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

	describe_allowed(c, &keys[k], allowed, sizeof allowed);
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
		if (!mem_parse_i64(text, least_of(c, key), key->hi, &v->number))
			return refuse(c, k, text, e);
		v->text = mem_fmt(e, "%" PRId64, v->number);
		break;
	case KIND_BOOL:
		if (!parse_bool(text, &v->number))
			return refuse(c, k, text, e);
		v->text = mem_str(v->number ? "true" : "false", e);
		break;
	case KIND_PATH:
		if (!(key->optional && *text == '\0') &&
		    (strlen(text) >= PATH_MAX || text[strspn(text, BLANK "\n")] == '\0'))
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

/* The place of a name in the table, or CONFIG_KEYS. */
static int
key_of(const char *name)
{
	int k = 0;

	while (k < CONFIG_KEYS && strcmp(keys[k].name, name) != 0)
		k++;
	return k;
}

static bool
is_ours(const char *name)
{
	return key_of(name) < CONFIG_KEYS ||
	       strncmp(name, REMOTE_PREFIX, strlen(REMOTE_PREFIX)) == 0;
}

static void
wipe(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}

static struct setting *
find(const struct file *f, const char *name)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->settings[i].name, name) == 0)
			return &f->settings[i];
	return NULL;
}

/* The last line with a name wins. */
static int
keep(struct file *f, const char *name, const char *value, unsigned line, struct err *e)
{
	struct setting *s = find(f, name), *grown;
	char *copy;

	if (s == NULL && f->n == f->cap) {
		if ((grown = mem_new(2 * f->cap + 16, sizeof *grown, e)) == NULL)
			return -1;
		if (f->n > 0)
			memcpy(grown, f->settings, f->n * sizeof *grown);
		free(f->settings);
		f->settings = grown;
		f->cap = 2 * f->cap + 16;
	}
	if (s == NULL) {
		s = &f->settings[f->n];
		if ((s->name = mem_str(name, e)) == NULL)
			return -1;
		f->n++;
	}
	if ((copy = mem_str(value, e)) == NULL)
		return -1;
	wipe(s->value);
	s->value = copy;
	snprintf(s->origin, sizeof s->origin, "%s line %u", f->what, line);
	return 0;
}

static int
parse_line(struct file *f, char *line, unsigned n, struct err *e)
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
		return err_set(e, ERR_CONFIG, NULL, "%s line %u: neither KEY=VALUE nor a # comment",
		    f->what, n);
	if ((value = dotenv_value(p + 1)) == NULL)
		return err_set(e, ERR_CONFIG, NULL,
		    "%s line %u: the quote around the value is not closed at its end", f->what, n);
	name[len] = '\0';
	if (!is_ours(name))
		return 0;
	if (f->expands && (p = strstr(value, "${")) != NULL && strchr(p, '}') != NULL)
		return err_set(e, ERR_CONFIG, NULL,
		    "%s (%s line %u): ${...} is not expanded; write the value out", name, f->what,
		    n);
	return keep(f, name, value, n, e);
}

/* Everything in it may be a secret. */
static int
parse(struct file *f, struct buf *text, struct err *e)
{
	char *line, *next;
	unsigned n;
	int rc = 0;

	if (text->len == 0)
		return 0;
	if (memchr(text->data, '\0', text->len) != NULL)
		return err_set(
		    e, ERR_CONFIG, NULL, "%s: not a text file, it holds NUL bytes", f->what);
	line = text->data;
	if (strncmp(line, "\xef\xbb\xbf", 3) == 0)
		line += 3;
	for (n = 1; line != NULL && rc == 0; n++, line = next) {
		if ((next = strchr(line, '\n')) != NULL)
			*next++ = '\0';
		rc = parse_line(f, line, n, e);
	}
	return rc;
}

static void
wipe_text(struct buf *text)
{
	if (text->data != NULL)
		explicit_bzero(text->data, text->cap);
	buf_free(text);
}

/* An open file, of which *st is told. */
static int
read_open(int fd, struct buf *text, struct stat *st, struct err *e)
{
	ssize_t n;

	if (fstat(fd, st) == -1)
		return err_sys(e, "fstat");
	if (buf_room(text, FILE_MAX + 1, e) == -1 ||
	    (n = io_pread(fd, text->data, FILE_MAX + 1, 0, e)) == -1)
		return -1;
	text->len = (size_t)n;
	text->data[n] = '\0';
	return n <= FILE_MAX ? 0 : err_item(e, P_TOO_LARGE, "is larger than %d bytes", FILE_MAX);
}

static int
read_dotenv(int rootfd, struct file *f, struct err *e)
{
	struct buf text = {0};
	struct stat st;
	int fd = io_open(rootfd, DOTENV, e), rc = -1;

	*f = (struct file){.what = DOTENV, .expands = true};
	/* A link to nowhere is not absence: the settings that it meant would be lost. */
	if (fd == -1 && e->class == ERR_ITEM && e->code != NULL &&
	    strcmp(e->code, P_MISSING) == 0 &&
	    fstatat(rootfd, DOTENV, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return 0;
	if (fd != -1 && read_open(fd, &text, &st, e) == 0) {
		f->readable = (st.st_mode & (S_IRGRP | S_IROTH)) != 0;
		rc = parse(f, &text, e);
	}
	if (fd != -1)
		close(fd);
	wipe_text(&text);
	if (rc == -1 && e->class == ERR_ITEM) {
		e->class = ERR_CONFIG;
		e->code = NULL;
		err_prefix(e, DOTENV " must be a readable file of at most %d bytes", FILE_MAX);
	}
	return rc;
}

/* The link of the root's name is followed; what is behind it counts. */
static int
check_private(const struct stat *st, struct err *e)
{
	if (st->st_uid != geteuid() && st->st_uid != 0)
		return err_set(e, ERR_CONFIG, NULL,
		    "it is of another user (%ld): what that one writes into it would be believed; "
		    "chown it",
		    (long)st->st_uid);
	if ((st->st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return err_set(e, ERR_CONFIG, NULL,
		    "others than its owner may use it (mode %03o): chmod 600 it, and change the "
		    "secrets if others have read them",
		    (unsigned)st->st_mode & 0777);
	return 0;
}

static int
refuse_circle(const struct file *f, struct err *e)
{
	static const enum config_key before[] = {CONFIG_ENVIRONMENT, CONFIG_SECRETS_FILE};
	const struct setting *s;

	for (size_t i = 0; i < sizeof before / sizeof before[0]; i++)
		if ((s = find(f, keys[before[i]].name)) != NULL)
			return err_set(e, ERR_CONFIG, NULL,
			    "%s (%s): it must be known before this file is read; set it in the "
			    "environment or in " DOTENV,
			    s->name, s->origin);
	return 0;
}

static int
read_secrets(int rootfd, const struct config *c, struct file *f, struct err *e)
{
	const struct value *v = &c->values[CONFIG_SECRETS_FILE];
	struct buf text = {0};
	struct stat st;
	int fd, rc = -1;

	*f = (struct file){.what = "secrets file"};
	if (v->text[0] == '\0')
		return 0;
	if ((fd = io_open(rootfd, v->text, e)) != -1 && fstat(fd, &st) == -1)
		err_sys(e, "fstat");
	else if (fd != -1 && check_private(&st, e) == 0 && read_open(fd, &text, &st, e) == 0 &&
		 parse(f, &text, e) == 0)
		rc = refuse_circle(f, e);
	if (fd != -1)
		close(fd);
	wipe_text(&text);
	if (rc == -1 && e->class == ERR_ITEM) {
		e->class = ERR_CONFIG;
		e->code = NULL;
	}
	return rc == 0 ? 0
		       : err_prefix(
			     e, "%s (%s): %s", keys[CONFIG_SECRETS_FILE].name, v->origin, v->text);
}

/* The text that is in effect, and its origin. Empty is unset, but not on the command line. */
static const char *
effective(struct config *c, enum config_key k, const char *option)
{
	const struct key *key = &keys[k];
	char *origin = c->values[k].origin;
	size_t size = sizeof c->values[k].origin;
	const char *text, *where;
	int64_t profile;

	if (option != NULL) {
		snprintf(origin, size, "option -E");
		return option;
	}
	if ((text = getenv(key->name)) != NULL && *text != '\0') {
		snprintf(origin, size, "environment variable %s", key->name);
		return text;
	}
	if ((text = config_lookup(c, key->name, &where)) != NULL) {
		snprintf(origin, size, "%s", where);
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
	/* The environment decides the defaults of all, the secrets file gives values of others. */
	static const enum config_key first[] = {CONFIG_ENVIRONMENT, CONFIG_SECRETS_FILE};
	struct config *c = mem_new(1, sizeof *c, e);

	if (c == NULL)
		return NULL;
	if (read_dotenv(rootfd, &c->files[FILE_DOTENV], e) == -1)
		goto fail;
	for (size_t i = 0; i < sizeof first / sizeof first[0]; i++)
		if (accept(c, first[i],
			effective(c, first[i], first[i] == CONFIG_ENVIRONMENT ? environment : NULL),
			e) == -1)
			goto fail;
	if (read_secrets(rootfd, c, &c->files[FILE_SECRETS], e) == -1)
		goto fail;
	for (int k = 0; k < CONFIG_KEYS; k++)
		if (c->values[k].text == NULL && accept(c, k, effective(c, k, NULL), e) == -1)
			goto fail;
	return c;
fail:
	config_free(c);
	return NULL;
}

void
config_free(struct config *c)
{
	if (c == NULL)
		return;
	for (int k = 0; k < CONFIG_KEYS; k++)
		wipe(c->values[k].text);
	for (int i = 0; i < FILES; i++) {
		struct file *f = &c->files[i];

		for (size_t s = 0; s < f->n; s++) {
			free(f->settings[s].name);
			wipe(f->settings[s].value);
		}
		free(f->settings);
	}
	free(c);
}

const char *
config_lookup(const struct config *c, const char *name, const char **origin)
{
	const char *text = getenv(name), *where = "environment";
	const struct setting *s;

	if (!is_ours(name))
		return NULL;
	if (text != NULL && *text == '\0')
		text = NULL;
	for (int i = 0; i < FILES && text == NULL; i++)
		if ((s = find(&c->files[i], name)) != NULL && s->value[0] != '\0') {
			text = s->value;
			where = s->origin;
		}
	if (origin != NULL)
		*origin = text != NULL ? where : NULL;
	return text;
}

bool
config_is_exposed(const struct config *c, const char *name)
{
	const struct file *f = &c->files[FILE_DOTENV];
	const struct setting *s = find(f, name);

	return f->readable && s != NULL && config_lookup(c, name, NULL) == s->value;
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

/* scheme://user:password@host */
static bool
has_user(const char *text)
{
	const char *host = strstr(text, "://");

	return host != NULL && memchr(host + 3, '@', strcspn(host + 3, "/?#")) != NULL;
}

const char *
config_text(const struct config *c, enum config_key k)
{
	if (keys[k].secret || has_user(config_str(c, k)))
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
