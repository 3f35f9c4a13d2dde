/*
 * account: a remote as it is configured: its address and what signs in to it.
 *
 * `--remote` (else REC_REMOTE) is a URL, or a NAME of letters, digits and "_": then the URL is
 * REC_REMOTE_NAME (the name in upper case), and each key below may be set for it alone as
 * REC_REMOTE_NAME_KEY:
 *
 *	ENDPOINT       AWS_ENDPOINT_URL, or REC_GOOGLE_ENDPOINT   https://host[:port]
 *	REGION         AWS_REGION, else AWS_DEFAULT_REGION
 *	VIRTUAL_HOSTS  REC_S3_VIRTUAL_HOSTS  true or false
 *	ACCESS_KEY_ID, SECRET_ACCESS_KEY, SESSION_TOKEN    AWS_… (secret)
 *	USER, PASSWORD                 REC_WEBDAV_… (secret)
 *	CLIENT_ID, CLIENT_SECRET       GOOGLE_… (secret)
 *	REFRESH_TOKEN                  REC_GOOGLE_REFRESH_TOKEN (secret)
 *	CA_FILE                        REC_CA_FILE
 *
 * Secrets come from the environment, from the file REC_SECRETS_FILE (KEY=VALUE lines as in .env,
 * regular, of this user and readable by nobody else, whatever the environment: else ERR_CONFIG), or
 * from .env; in production a .env that others may read and that holds a secret is refused when a
 * secret is taken from it. A key beats another in the order: for this name before the general one,
 * then by place. A user or password inside a URL is refused (it would stand in argv).
 */
#ifndef REC_ACCOUNT_H
#define REC_ACCOUNT_H

#include "config.h"
#include "err.h"
#include "remote.h"

struct account {
	struct remote_settings settings; /* owner and probed are the caller's to fill */
	char *url;			 /* canonical */
	const char *ca_file;		 /* "" */
	char *kept[24];			 /* what settings point to; wiped when freed */
};

/* `remote` is what --remote said, or NULL. -1 and *e (ERR_USAGE: none is named; ERR_CONFIG). Free
 * in each case. */
int account_open(struct account *a, const struct config *c, const char *remote, struct err *e);
void account_close(struct account *a);

#endif
