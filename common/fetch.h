/*
 * fetch: one object of a remote into temp/, whole and durable.
 *
 * What arrives is kept as temp/NAME.pull and gone on with by the next attempt, also by that of
 * another process: what is there is hashed first. Bytes that turn out to be others than those
 * expected are fetched once more from the start when they came from two attempts, and removed.
 */
#ifndef REC_FETCH_H
#define REC_FETCH_H

#include <stdbool.h>
#include <sys/stat.h>

#include "sync.h"

#define FETCH_NAME_MAX 256
#define FETCH_SUFFIX ".pull"

struct fetch {
	struct sync *s; /* temp/ is there */
	const struct remote_object *there;
	const char *name;   /* of the recording; judged by fetch_check_name */
	const char *sha256; /* "": not known */
	const char *mtime;  /* RFC 3339, which the file gets; "" */
};

struct fetched {
	int fd;			   /* of the file in temp/, locked; -1 when closed */
	char temp[FETCH_NAME_MAX]; /* its name there */
	struct stat st;		   /* as it is once it is whole */
	char sha256[HASH_SHA256_HEX], xxh3_128[HASH_XXH3_128_HEX], md5[HASH_MD5_HEX];
	int64_t received; /* bytes that travelled */
	bool resumed;	  /* the others came in an earlier attempt */
};

/* Whether a file of the archive may have this name, which is not trusted: -1 with unsafe_path. */
int fetch_check_name(const char *name, size_t len, struct err *e);
/* The name that what arrives has in temp/. */
void fetch_temp_name(const char *name, char temp[FETCH_NAME_MAX]);
/*
 * 0; -1 and *e, of class ERR_ITEM for what is this object's alone (checksum_mismatch,
 * size_mismatch, no_space, conflict, missing, remote). fetched_close in each case. From many
 * threads, for different names.
 */
int fetch_object(const struct fetch *f, struct fetched *got, struct err *e);
/* Closes it; the file stays. */
void fetched_close(struct fetched *got);
/* Removes the file, too. */
void fetched_drop(struct sync *s, struct fetched *got);

#endif
