#include "hash.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <xxhash.h>

#include "mem.h"

struct hash {
	XXH3_state_t *xxh;
	EVP_MD_CTX *sha;
	EVP_MD_CTX *md5;
};

/* Of our own: OpenSSL 3 crashes in its default one when making it ran out of memory. */
static OSSL_LIB_CTX *library;
/* NULL when there was no memory. Asked for by name each time, they would have to be looked for. */
static EVP_MD *sha256, *md5;
static EVP_MAC_CTX *hmac_sha256; /* without a key: to be copied */

static void
fetch_hmac(void)
{
	char name[] = "SHA256";
	OSSL_PARAM digest[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
	    OSSL_PARAM_construct_end(),
	};
	EVP_MAC *mac = EVP_MAC_fetch(library, "HMAC", NULL);

	hmac_sha256 = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
	EVP_MAC_free(mac);
	if (hmac_sha256 != NULL && EVP_MAC_CTX_set_params(hmac_sha256, digest) != 1) {
		EVP_MAC_CTX_free(hmac_sha256);
		hmac_sha256 = NULL;
	}
}

static void
fetch_digests(void)
{
	if ((library = OSSL_LIB_CTX_new()) == NULL)
		return;
	sha256 = EVP_MD_fetch(library, "SHA256", NULL);
	md5 = EVP_MD_fetch(library, "MD5", NULL);
	fetch_hmac();
}

static void
prepare(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, fetch_digests);
}

static EVP_MD_CTX *
digest(EVP_MD *const *md)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();

	prepare();
	if (c != NULL && (*md == NULL || EVP_DigestInit_ex(c, *md, NULL) != 1)) {
		EVP_MD_CTX_free(c);
		c = NULL;
	}
	return c;
}

struct hash *
hash_open(int kinds, struct err *e)
{
	struct hash *h = mem_new(1, sizeof *h, e);

	if (h == NULL)
		return NULL;
	if ((kinds & HASH_XXH3_128) && (h->xxh = XXH3_createState()) != NULL)
		XXH3_128bits_reset(h->xxh);
	if (kinds & HASH_SHA256)
		h->sha = digest(&sha256);
	if (kinds & HASH_MD5)
		h->md5 = digest(&md5);
	if (((kinds & HASH_XXH3_128) && h->xxh == NULL) ||
	    ((kinds & HASH_SHA256) && h->sha == NULL) || ((kinds & HASH_MD5) && h->md5 == NULL)) {
		hash_close(h);
		err_nomem(e);
		return NULL;
	}
	return h;
}

void
hash_update(struct hash *h, const void *p, size_t len)
{
	if (h->xxh != NULL)
		XXH3_128bits_update(h->xxh, p, len);
	if (h->sha != NULL)
		EVP_DigestUpdate(h->sha, p, len);
	if (h->md5 != NULL)
		EVP_DigestUpdate(h->md5, p, len);
}

void
hash_xxh3_128(struct hash *h, char out[HASH_XXH3_128_HEX])
{
	XXH128_canonical_t c;

	XXH128_canonicalFromHash(&c, XXH3_128bits_digest(h->xxh));
	hash_hex(c.digest, sizeof c.digest, out);
}

void
hash_sha256(struct hash *h, char out[HASH_SHA256_HEX])
{
	unsigned char md[EVP_MAX_MD_SIZE] = {0};

	EVP_DigestFinal_ex(h->sha, md, NULL);
	hash_hex(md, 32, out);
}

void
hash_md5(struct hash *h, char out[HASH_MD5_HEX])
{
	unsigned char md[EVP_MAX_MD_SIZE] = {0};

	EVP_DigestFinal_ex(h->md5, md, NULL);
	hash_hex(md, 16, out);
}

void
hash_close(struct hash *h)
{
	if (h == NULL)
		return;
	XXH3_freeState(h->xxh);
	EVP_MD_CTX_free(h->sha);
	EVP_MD_CTX_free(h->md5);
	free(h);
}

uint64_t
hash_xxh3_64(const void *p, size_t len)
{
	return XXH3_64bits(p, len);
}

void
hash_xxh3_64_hex(const void *p, size_t len, char out[HASH_XXH3_64_HEX])
{
	XXH64_canonical_t c;

	XXH64_canonicalFromHash(&c, XXH3_64bits(p, len));
	hash_hex(c.digest, sizeof c.digest, out);
}

void
hash_hex(const void *p, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *b = p;

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[b[i] >> 4];
		out[2 * i + 1] = digits[b[i] & 15];
	}
	out[2 * len] = '\0';
}

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
hash_unhex(const char *hex, size_t hex_len, unsigned char *out)
{
	if (hex_len % 2 != 0)
		return -1;
	for (size_t i = 0; i < hex_len; i += 2) {
		int hi = digit(hex[i]), lo = digit(hex[i + 1]);

		if (hi == -1 || lo == -1)
			return -1;
		out[i / 2] = (unsigned char)(hi << 4 | lo);
	}
	return 0;
}

int
hash_hmac_sha256(const void *key, size_t key_len, const void *p, size_t len,
    unsigned char out[HASH_SHA256_BYTES], struct err *e)
{
	EVP_MAC_CTX *c;
	size_t n = 0;
	bool done;

	prepare();
	c = hmac_sha256 == NULL ? NULL : EVP_MAC_CTX_dup(hmac_sha256);
	done = c != NULL && EVP_MAC_init(c, key, key_len, NULL) == 1 &&
	       EVP_MAC_update(c, p, len) == 1 &&
	       EVP_MAC_final(c, out, &n, HASH_SHA256_BYTES) == 1 && n == HASH_SHA256_BYTES;
	EVP_MAC_CTX_free(c);
	return done ? 0 : err_nomem(e);
}

void
hash_base64(const void *p, size_t len, char *out)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *b = p;

	for (size_t i = 0; i < len; i += 3, out += 4) {
		unsigned v = (unsigned)b[i] << 16;

		if (i + 1 < len)
			v |= (unsigned)b[i + 1] << 8;
		if (i + 2 < len)
			v |= b[i + 2];
		out[0] = digits[v >> 18];
		out[1] = digits[v >> 12 & 63];
		out[2] = '=';
		out[3] = '=';
		if (i + 1 < len)
			out[2] = digits[v >> 6 & 63];
		if (i + 2 < len)
			out[3] = digits[v & 63];
	}
	*out = '\0';
}

int
hash_random(void *p, size_t len, struct err *e)
{
	unsigned char *b = p;

	while (len > 0) {
		ssize_t n = getrandom(b, len, 0);

		if (n == -1 && errno != EINTR)
			return err_sys(e, "reading random bytes from the kernel");
		if (n > 0) {
			b += n;
			len -= (size_t)n;
		}
	}
	return 0;
}
