/*
 * config: every setting, its value and where the value comes from.
 *
 * Precedence: option, environment variable, the file REC_SECRETS_FILE, ROOT/.env, the environment's
 * profile (development, testing, production; unset means production). A bad value is an error of
 * class ERR_CONFIG that names the key, its source and what is allowed; all values are checked when
 * the configuration is loaded. Keys that are not known are ignored. Values of secrets are kept but
 * never printed: config_origin and config_text show them as "set".
 *
 * .env: KEY=VALUE lines, "export " before a key, # comments (whole lines, or after white space
 * behind an unquoted value), '…' and "…" around a value, CRLF and a BOM are tolerated. At most 1
 * MiB; a line that is none of these is an error that names its number.
 *
 * REC_SECRETS_FILE (relative to the root) has the same lines, but ${…} is taken as it stands there.
 * It must be a regular file of this user or root that nobody else may read or write, and says
 * neither APP_ENVIRONMENT nor REC_SECRETS_FILE.
 */
#ifndef REC_CONFIG_H
#define REC_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

enum config_key {
	CONFIG_ENVIRONMENT,	 /* APP_ENVIRONMENT: development testing production */
	CONFIG_DATABASE_URL,	 /* sqlite:///relative or sqlite:////absolute; default
				    sqlite:///db/app.db */
	CONFIG_RAW_PATH,	 /* RECORDINGS_RAW_PATH; default BASE/raw */
	CONFIG_EDITED_PATH,	 /* RECORDINGS_EDITED_PATH; default BASE/edited */
	CONFIG_TEMP_PATH,	 /* REC_TEMP_PATH; default BASE/temp */
	CONFIG_BACKUP_PATH,	 /* REC_BACKUP_PATH; default BASE/backup */
	CONFIG_MAX_SIZE_MB,	 /* RECORDINGS_MAX_SIZE_MB; profile max_file_size_mb */
	CONFIG_MIN_FREE_MB,	 /* REC_MIN_FREE_MB; profile min_disk_space_mb */
	CONFIG_DISK_CHECK,	 /* REC_DISK_CHECK true|false; profile enable_disk_space_check */
	CONFIG_BACKUP,		 /* REC_BACKUP true|false; profile enable_backup */
	CONFIG_COMPRESSION,	 /* REC_COMPRESSION true|false; profile enable_compression */
	CONFIG_RETENTION_DAYS,	 /* REC_RETENTION_DAYS; profile retention_days */
	CONFIG_DB_TIMEOUT_S,	 /* REC_DB_TIMEOUT_S; profile: 10 / 5 / 30 */
	CONFIG_DB_RETRIES,	 /* REC_DB_RETRIES; profile: 2 / 1 / 5 */
	CONFIG_SAMPLE_RATE,	 /* AUDIO_SAMPLE_RATE; 44100 */
	CONFIG_CHANNELS,	 /* AUDIO_CHANNELS; 2 */
	CONFIG_FORMAT,		 /* AUDIO_FORMAT; wav */
	CONFIG_LOG_LEVEL,	 /* LOG_LEVEL: DEBUG INFO WARNING ERROR CRITICAL; INFO */
	CONFIG_CLOUD,		 /* CLOUD_FEATURES_ENABLED true|false; false */
	CONFIG_GOOGLE_CLIENT_ID, /* secret, as the three below */
	CONFIG_GOOGLE_CLIENT_SECRET,
	CONFIG_GOOGLE_PROJECT_ID, /* not secret */
	CONFIG_GOOGLE_SCOPES,	  /* GOOGLE_DRIVE_SCOPES; not secret */
	CONFIG_REMOTE,		  /* REC_REMOTE: URL or name of a remote; "" */
	CONFIG_SECRETS_FILE,	  /* REC_SECRETS_FILE; "" */
	CONFIG_TRANSFERS,	  /* REC_TRANSFERS: requests at once; 32 */
	CONFIG_PART_MB,		  /* REC_PART_MB; 16 */
	CONFIG_ATTEMPTS,	  /* REC_ATTEMPTS; profile: 5 / 3 / 8 */
	CONFIG_BREAKER,		  /* REC_BREAKER: failures in a row; 20; 0: any number */
	CONFIG_STALL_S,		  /* REC_STALL_S; 30 */
	CONFIG_CONNECT_S,	  /* REC_CONNECT_S; 10 */
	CONFIG_LIMIT_RATE,	  /* REC_LIMIT_RATE; "" */
	CONFIG_DELETE_MAX, /* REC_DELETE_MAX; profile: 1000 / 100 / 100; 0: any number, not in
			      production */
	CONFIG_DELETE_MAX_PERCENT, /* REC_DELETE_MAX_PERCENT; profile: 50 / 100 / 10 */
	CONFIG_CA_FILE,		   /* REC_CA_FILE; "" */
	CONFIG_AWS_ENDPOINT,	   /* AWS_ENDPOINT_URL; "" */
	CONFIG_AWS_REGION,
	CONFIG_AWS_DEFAULT_REGION,
	CONFIG_AWS_ACCESS_KEY_ID, /* secret, as the two below */
	CONFIG_AWS_SECRET_ACCESS_KEY,
	CONFIG_AWS_SESSION_TOKEN,
	CONFIG_S3_VIRTUAL_HOSTS, /* REC_S3_VIRTUAL_HOSTS true|false; false */
	CONFIG_WEBDAV_USER,	 /* secret, as the one below */
	CONFIG_WEBDAV_PASSWORD,
	CONFIG_GOOGLE_ENDPOINT,	     /* REC_GOOGLE_ENDPOINT; "" */
	CONFIG_GOOGLE_REFRESH_TOKEN, /* REC_GOOGLE_REFRESH_TOKEN; secret */
	CONFIG_KEYS
};

struct config;

/*
 * The configuration of the archive whose root is the folder rootfd. `environment` is what -E said,
 * or NULL. NULL and *e on failure. Free with config_free (NULL is fine).
 */
struct config *config_load(int rootfd, const char *environment, struct err *e);
void config_free(struct config *c);

/* The effective value; "" when unset. Borrowed. */
const char *config_str(const struct config *c, enum config_key k);
int64_t config_int(const struct config *c, enum config_key k);
bool config_bool(const struct config *c, enum config_key k);
bool config_is_set(const struct config *c, enum config_key k);

/* For printing: the key's name; its value, or for a secret (also a URL with a user in it) "set" /
 * "unset"; "option -E", "environment variable NAME", "secrets file line N", ".env line N", "profile
 * production" or "default". Borrowed. */
const char *config_name(enum config_key k);
const char *config_text(const struct config *c, enum config_key k);
const char *config_origin(const struct config *c, enum config_key k);

/*
 * A key above or any that begins with REC_REMOTE_, as it is written in the first of environment,
 * secrets file and .env that has it: not checked, NULL when unset or empty. Borrowed. *origin (or
 * NULL: not asked for) as config_origin, but "environment".
 */
const char *config_lookup(const struct config *c, const char *name, const char **origin);
/* Whether config_lookup takes it from a .env that others than its owner may read. */
bool config_is_exposed(const struct config *c, const char *name);

/* Path of the database file: relative to the root, or absolute. Borrowed. */
const char *config_database(const struct config *c);

/* True for one of the three environments' names. */
bool config_is_environment(const char *name);

#endif
