/*
 * Everything is looked up by name, so that a key of one remote and the general one differ in
 * nothing. Only what the kind of remote signs in with is looked up: a secret that is not used need
 * not be well kept. No error text holds a value of a secret, nor an address that a user stands in.
 */
#include "account.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mem.h"
#include "utf8.h"

#define NAME_MAX_LEN 64
#define KEPT (sizeof((struct account *)NULL)->kept / sizeof(char *))

/* The kinds that use a key. */
enum { S3 = 1, DAV = 2, DRIVE = 4 };

enum field {
	FIELD_ENDPOINT_S3,
	FIELD_ENDPOINT_DRIVE,
	FIELD_REGION,
	FIELD_VIRTUAL_HOSTS,
	FIELD_ACCESS_KEY,
	FIELD_SECRET_KEY,
	FIELD_SESSION_TOKEN,
	FIELD_USER,
	FIELD_PASSWORD,
	FIELD_CLIENT_ID,
	FIELD_CLIENT_SECRET,
	FIELD_REFRESH_TOKEN,
	FIELD_CA_FILE,
	FIELDS
};

static const struct {
	int kinds;
	const char *own;	/* behind REC_REMOTE_NAME_ */
	const char *general[3]; /* NULL-ended; the first that is set */
	bool secret;
	enum field with; /* comes from where this one comes from; itself: from anywhere */
} fields[FIELDS] = {
    [FIELD_ENDPOINT_S3] = {S3, "ENDPOINT", {"AWS_ENDPOINT_URL"}, false, FIELD_ENDPOINT_S3},
    [FIELD_ENDPOINT_DRIVE] = {DRIVE, "ENDPOINT", {"REC_GOOGLE_ENDPOINT"}, false,
	FIELD_ENDPOINT_DRIVE},
    [FIELD_REGION] = {S3, "REGION", {"AWS_REGION", "AWS_DEFAULT_REGION"}, false, FIELD_REGION},
    [FIELD_VIRTUAL_HOSTS] = {S3, "VIRTUAL_HOSTS", {"REC_S3_VIRTUAL_HOSTS"}, false,
	FIELD_VIRTUAL_HOSTS},
    [FIELD_ACCESS_KEY] = {S3, "ACCESS_KEY_ID", {"AWS_ACCESS_KEY_ID"}, true, FIELD_ACCESS_KEY},
    [FIELD_SECRET_KEY] = {S3, "SECRET_ACCESS_KEY", {"AWS_SECRET_ACCESS_KEY"}, true,
	FIELD_SECRET_KEY},
    /* A general token beside an access key of this name's own is that of another account. */
    [FIELD_SESSION_TOKEN] = {S3, "SESSION_TOKEN", {"AWS_SESSION_TOKEN"}, true, FIELD_ACCESS_KEY},
    [FIELD_USER] = {DAV, "USER", {"REC_WEBDAV_USER"}, true, FIELD_USER},
    [FIELD_PASSWORD] = {DAV, "PASSWORD", {"REC_WEBDAV_PASSWORD"}, true, FIELD_PASSWORD},
    [FIELD_CLIENT_ID] = {DRIVE, "CLIENT_ID", {"GOOGLE_CLIENT_ID"}, true, FIELD_CLIENT_ID},
    [FIELD_CLIENT_SECRET] = {DRIVE, "CLIENT_SECRET", {"GOOGLE_CLIENT_SECRET"}, true,
	FIELD_CLIENT_SECRET},
    [FIELD_REFRESH_TOKEN] = {DRIVE, "REFRESH_TOKEN", {"REC_GOOGLE_REFRESH_TOKEN"}, true,
	FIELD_REFRESH_TOKEN},
    [FIELD_CA_FILE] = {S3 | DAV | DRIVE, "CA_FILE", {"REC_CA_FILE"}, false, FIELD_CA_FILE},
};

struct lookup {
	struct account *a;
	const struct config *c;
	char name[NAME_MAX_LEN + 1]; /* upper case; "": a URL was given */
	char key[128];		     /* what was found last stands under it, */
	const char *origin;	     /* in this place */
	size_t kept;
	const char *values[FIELDS]; /* NULL: not set */
	bool own[FIELDS];	    /* found under this name */
};

/* ---- values ---- */

static const char *
keep(struct lookup *l, char *text)
{
	if (text != NULL)
		l->a->kept[l->kept++] = text;
	return text;
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
	return strcmp(config_str(c, CONFIG_ENVIRONMENT), "production") == 0;
}

static const char *
find(struct lookup *l, const char *key)
{
	snprintf(l->key, sizeof l->key, "%s", key);
	return config_lookup(l->c, l->key, &l->origin);
}

static const char *
find_own(struct lookup *l, const char *end)
{
	char key[sizeof l->key];

	if (l->name[0] == '\0')
		return NULL;
	snprintf(key, sizeof key, "REC_REMOTE_%s%s%s", l->name, *end != '\0' ? "_" : "", end);
	return find(l, key);
}

/* scheme://user@host */
static bool
has_user(const char *url)
{
	const char *host = strstr(url, "://");

	return host != NULL && memchr(host + 3, '@', strcspn(host + 3, "/?#")) != NULL;
}

static int
check_value(const struct lookup *l, enum field f, const char *text, struct err *e)
{
	if (!is_printable(text))
		return err_set(e, ERR_CONFIG, NULL,
		    "%s (%s): its value is not allowed; it must be UTF-8 text without control "
		    "characters",
		    l->key, l->origin);
	if (!fields[f].secret && has_user(text))
		return err_set(e, ERR_CONFIG, NULL,
		    "%s (%s): a user or password may not stand in an address; set the keys that "
		    "are for them",
		    l->key, l->origin);
	if (fields[f].secret && is_production(l->c) && config_is_exposed(l->c, l->key))
		return err_set(e, ERR_CONFIG, NULL,
		    "%s (%s): a secret in a .env that others may read is not used in production; "
		    "chmod 600 .env, or move it to a file of mode 600 that REC_SECRETS_FILE names, "
		    "and change it if others have read it",
		    l->key, l->origin);
	return 0;
}

static int
look_up(struct lookup *l, enum field f, struct err *e)
{
	const char *text = find_own(l, fields[f].own);

	l->own[f] = text != NULL;
	if (fields[f].with == f || !l->own[fields[f].with])
		for (int i = 0; text == NULL && fields[f].general[i] != NULL; i++)
			text = find(l, fields[f].general[i]);
	if (text == NULL)
		return 0;
	if (check_value(l, f, text, e) == -1)
		return -1;
	l->values[f] = keep(l, mem_str(text, e));
	return l->values[f] == NULL ? -1 : 0;
}

/* As the general key is read, of which config_load has seen to it that it is one of these. */
static int
read_bool(struct lookup *l, const char *text, bool *out, struct err *e)
{
	static const char *const words[] = {"false", "true", "0", "1", "no", "yes", "off", "on"};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcasecmp(text, words[i]) == 0) {
			*out = i % 2 != 0;
			return 0;
		}
	find_own(l, fields[FIELD_VIRTUAL_HOSTS].own);
	return err_set(e, ERR_CONFIG, NULL,
	    "%s (%s): its value is not allowed; it must be true or false (also 1 or 0, yes or no, "
	    "on or off)",
	    l->key, l->origin);
}

/* ---- the address ---- */

static bool
take_name(struct lookup *l, const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len > NAME_MAX_LEN)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isascii((unsigned char)text[i]) ||
		    (!isalnum((unsigned char)text[i]) && text[i] != '_'))
			return false;
		l->name[i] = (char)toupper((unsigned char)text[i]);
	}
	l->name[len] = '\0';
	return true;
}

static int
check_address(const char *said, enum err_class class, const char *url, struct err *e)
{
	if (!has_user(url))
		return 0;
	return err_set(e, class, NULL,
	    "%s: a user or password may not stand in the address of a remote, where others can "
	    "see it; see rec-archive(5) for the keys that are for them",
	    said);
}

/* What said it, for errors, and which class they are of. */
static int
take_url(struct lookup *l, const char *said, enum err_class class, const char *url, struct err *e)
{
	if (check_address(said, class, url, e) == -1)
		return -1;
	if ((l->a->url = remote_canonical(url, e)) != NULL)
		return 0;
	if (e->class == ERR_USAGE)
		e->class = class;
	return err_prefix(e, "%s", said);
}

static int
find_url(struct lookup *l, const char *remote, struct err *e)
{
	bool option = remote != NULL && remote[0] != '\0';
	enum err_class class = option ? ERR_USAGE : ERR_CONFIG;
	const char *text = option ? remote : config_str(l->c, CONFIG_REMOTE), *url;
	char said[sizeof l->key + 128] = "--remote";

	if (!option)
		snprintf(said, sizeof said, "%s (%s)", config_name(CONFIG_REMOTE),
		    config_origin(l->c, CONFIG_REMOTE));
	if (text[0] == '\0')
		return err_set(e, ERR_USAGE, NULL,
		    "no remote is named: give --remote with a URL or a name, or set %s",
		    config_name(CONFIG_REMOTE));
	if (remote_is_url(text))
		return take_url(l, said, class, text, e);
	/* What is neither may hold a password: it is not shown. */
	if (!take_name(l, text))
		return err_set(e, class, NULL,
		    "%s: is neither the URL of a remote (s3://BUCKET/PREFIX, webdav://HOST/PATH, "
		    "webdavs://HOST/PATH, gdrive:FOLDER, file:///FOLDER) nor a name of at most %d "
		    "letters, digits and \"_\"",
		    said, NAME_MAX_LEN);
	if ((url = find_own(l, "")) == NULL)
		return err_set(e, class, NULL,
		    "%s: there is no remote \"%s\"; set REC_REMOTE_%s to its URL", said, text,
		    l->name);
	snprintf(said, sizeof said, "%s (%s)", l->key, l->origin);
	return take_url(l, said, ERR_CONFIG, url, e);
}

static int
kind_of(const char *url)
{
	return strncmp(url, "s3:", 3) == 0	 ? S3
	       : strncmp(url, "webdav", 6) == 0	 ? DAV
	       : strncmp(url, "gdrive:", 7) == 0 ? DRIVE
						 : 0;
}

/* ---- the whole ---- */

static int
fill_settings(struct lookup *l, struct err *e)
{
	const char *const *v = l->values;
	struct account *a = l->a;

	a->settings = (struct remote_settings){
	    .url = a->url,
	    .endpoint =
		v[FIELD_ENDPOINT_S3] != NULL ? v[FIELD_ENDPOINT_S3] : v[FIELD_ENDPOINT_DRIVE],
	    .region = v[FIELD_REGION],
	    .access_key = v[FIELD_ACCESS_KEY],
	    .secret_key = v[FIELD_SECRET_KEY],
	    .session_token = v[FIELD_SESSION_TOKEN],
	    .user = v[FIELD_USER],
	    .password = v[FIELD_PASSWORD],
	    .client_id = v[FIELD_CLIENT_ID],
	    .client_secret = v[FIELD_CLIENT_SECRET],
	    .refresh_token = v[FIELD_REFRESH_TOKEN],
	    .allow_plain = !is_production(l->c),
	};
	a->ca_file = v[FIELD_CA_FILE] != NULL ? v[FIELD_CA_FILE] : "";
	return v[FIELD_VIRTUAL_HOSTS] == NULL
		   ? 0
		   : read_bool(l, v[FIELD_VIRTUAL_HOSTS], &a->settings.virtual_hosts, e);
}

int
account_open(struct account *a, const struct config *c, const char *remote, struct err *e)
{
	struct lookup l = {.a = a, .c = c};
	int kind;

	_Static_assert(FIELDS <= KEPT, "there is room for each");
	*a = (struct account){.ca_file = ""};
	if (find_url(&l, remote, e) == -1)
		return -1;
	kind = kind_of(a->url);
	for (int f = 0; f < FIELDS; f++)
		if ((fields[f].kinds & kind) != 0 && look_up(&l, (enum field)f, e) == -1)
			return -1;
	return fill_settings(&l, e);
}

void
account_close(struct account *a)
{
	for (size_t i = 0; i < KEPT; i++) {
		if (a->kept[i] != NULL)
			explicit_bzero(a->kept[i], strlen(a->kept[i]));
		free(a->kept[i]);
	}
	free(a->url);
	*a = (struct account){.ca_file = ""};
}
