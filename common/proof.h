/*
 * proof: whether an object at the remote holds the bytes that it should.
 *
 * By the remote's own hash (sha256, md5, or the tag that an upload in parts gets), else by reading
 * the object back. The local file may be read for it once (MD5), and a hash of the catalogue is
 * compared on the way: the baseline of fixity (XXH3-128) where there is one, at a tenth of the cost
 * of a SHA-256.
 */
#ifndef REC_PROOF_H
#define REC_PROOF_H

#include <stdbool.h>

#include "sync.h"

/* What is known of the bytes that should be there. */
struct digest {
	int64_t size_bytes;
	char sha256[HASH_SHA256_HEX];	  /* of what should be there */
	char xxh3_128[HASH_XXH3_128_HEX]; /* "" when not asked for */
	char md5[HASH_MD5_HEX];		  /* "" when not known */
	int64_t part_bytes;		  /* 0: no parts */
	unsigned n_parts;
	unsigned char (*parts)[16]; /* MD5 of each; NULL */
};
void digest_free(struct digest *d);

/* Reads a file once: `kind` (HASH_SHA256 or HASH_XXH3_128) and MD5 of the whole and, with
 * part_bytes, MD5 of each part. The SHA-256 is "" when it was not asked for: it is for the caller
 * to fill in. -1 with an ERR_ITEM (unreadable, modified while it was read) or ERR_STOPPED. */
int digest_file(int fd, int64_t part_bytes, int kind, struct digest *d, struct err *e);
/* The same, without parts, of bytes in memory. */
int digest_bytes(const void *p, size_t len, int kind, struct digest *d, struct err *e);
/* The tag of an upload in these parts: "<md5 of the parts' MD5s>-<parts>". */
void digest_parts_tag(const struct digest *d, char tag[REMOTE_TAG_MAX]);

/*
 * Fills o (size, sha256, tag, part_bytes, proof, proven_at; key and remote_id too) when the object
 * holds the bytes: 1. 0 when it does not, with *why a sentence; -1 and *e. With read_back, an
 * object of which the remote tells no usable hash is read; else that is 0.
 */
int proof_of(struct sync *s, const struct remote_object *seen, const struct digest *d,
    bool read_back, struct catalogue_object *o, struct err *why, struct err *e);
/* Reads an object through and gives its SHA-256 and size. */
int proof_read(struct sync *s, const struct remote_object *there, char sha256[HASH_SHA256_HEX],
    int64_t *size_bytes, struct err *e);

#endif
