/*
 * hash: the digests of fixity, fed piece by piece.
 *
 * XXH3 by libxxhash (printed as `xxhsum -H2` and `xxhsum -H3` do: canonical, big-endian), SHA-256
 * and MD5 by libcrypto. One `struct hash` takes each byte once and feeds every digest asked for.
 */
#ifndef REC_HASH_H
#define REC_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "err.h"

enum {
	HASH_XXH3_128 = 1,
	HASH_SHA256 = 2,
	HASH_MD5 = 4,
};

#define HASH_XXH3_128_HEX 33 /* with the NUL */
#define HASH_SHA256_HEX 65
#define HASH_MD5_HEX 33
#define HASH_XXH3_64_HEX 17

struct hash;

/* A new set of digests (HASH_* or-ed), or NULL and *e. */
struct hash *hash_open(int kinds, struct err *e);
void hash_update(struct hash *h, const void *p, size_t len);
/* Lower-case hex of one kind that was asked for. Each may be read once, at the end. */
void hash_xxh3_128(struct hash *h, char out[HASH_XXH3_128_HEX]);
void hash_sha256(struct hash *h, char out[HASH_SHA256_HEX]);
void hash_md5(struct hash *h, char out[HASH_MD5_HEX]);
/* NULL is fine. */
void hash_close(struct hash *h);

/* XXH3-64 of one piece: line checksums, shards. */
uint64_t hash_xxh3_64(const void *p, size_t len);
void hash_xxh3_64_hex(const void *p, size_t len, char out[HASH_XXH3_64_HEX]);

/* Lower-case hex of len bytes; out holds 2 * len + 1. */
void hash_hex(const void *p, size_t len, char *out);
/* The bytes of hex_len hex digits; out holds hex_len / 2. -1 (no error filled) when it is not hex.
 */
int hash_unhex(const char *hex, size_t hex_len, unsigned char *out);

/* HMAC (RFC 2104) with SHA-256. ERR_SYSTEM when there is no memory. */
#define HASH_SHA256_BYTES 32
int hash_hmac_sha256(const void *key, size_t key_len, const void *p, size_t len,
    unsigned char out[HASH_SHA256_BYTES], struct err *e);
/* Base64 (RFC 4648, with padding) of len bytes; out holds 4 * ((len + 2) / 3) + 1. */
void hash_base64(const void *p, size_t len, char *out);

/* Random bytes of the kernel. */
int hash_random(void *p, size_t len, struct err *e);

#endif
