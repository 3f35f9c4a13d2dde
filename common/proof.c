#include "proof.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io.h"
#include "mem.h"

/* On the stack: one of a few hundred KiB would be mapped and unmapped for every file. */
#define BLOCK (64 * 1024)
/* Of an object that changes meanwhile. */
#define READS 4

/* ---- reading a file ---- */

void
digest_free(struct digest *d)
{
	free(d->parts);
	*d = (struct digest){0};
}

struct reading {
	struct hash *whole, *part;
	struct digest *d;
	int64_t in_part; /* bytes of the part at hand */
};

static int
end_part(struct reading *r, struct err *e)
{
	char hex[HASH_MD5_HEX];

	hash_md5(r->part, hex);
	hash_unhex(hex, sizeof hex - 1, r->d->parts[r->d->n_parts++]);
	hash_close(r->part);
	r->in_part = 0;
	return (r->part = hash_open(HASH_MD5, e)) == NULL ? -1 : 0;
}

static int
take(struct reading *r, const char *p, size_t len, struct err *e)
{
	int64_t left;
	size_t n;

	hash_update(r->whole, p, len);
	while (r->part != NULL && len > 0) {
		left = r->d->part_bytes - r->in_part;
		n = left < (int64_t)len ? (size_t)left : len;
		hash_update(r->part, p, n);
		r->in_part += (int64_t)n;
		p += n;
		len -= n;
		if (r->in_part == r->d->part_bytes && end_part(r, e) == -1)
			return -1;
	}
	return 0;
}

static int
read_all(int fd, struct reading *r, struct err *e)
{
	char block[BLOCK];
	int64_t at = 0, size = r->d->size_bytes;
	ssize_t n;

	for (; at < size; at += n) {
		if (atomic_load(&tool_stop) != 0)
			return err_set(e, ERR_STOPPED, NULL, "stopped");
		if ((n = io_pread(fd, block, BLOCK, (uint64_t)at, e)) == -1)
			return -1;
		if (n == 0)
			return err_item(e, P_MODIFIED, "it became shorter while it was read");
		if (n > size - at)
			n = size - at;
		if (take(r, block, (size_t)n, e) == -1)
			return -1;
	}
	return r->in_part > 0 ? end_part(r, e) : 0;
}

static int
open_hashes(struct reading *r, int64_t part_bytes, int kind, struct err *e)
{
	struct digest *d = r->d;

	if ((r->whole = hash_open(kind | HASH_MD5, e)) == NULL)
		return -1;
	if (part_bytes == 0)
		return 0;
	d->part_bytes = part_bytes;
	d->parts = mem_new((size_t)(d->size_bytes / part_bytes) + 1, sizeof *d->parts, e);
	if (d->parts == NULL || (r->part = hash_open(HASH_MD5, e)) == NULL)
		return -1;
	return 0;
}

static void
take_hashes(struct hash *h, int kind, struct digest *d)
{
	if (kind == HASH_SHA256)
		hash_sha256(h, d->sha256);
	else
		hash_xxh3_128(h, d->xxh3_128);
	hash_md5(h, d->md5);
}

int
digest_file(int fd, int64_t part_bytes, int kind, struct digest *d, struct err *e)
{
	struct reading r = {.d = d};
	struct stat st;
	int rc = -1;

	*d = (struct digest){0};
	if (fstat(fd, &st) == -1) {
		err_sys(e, "looking at the file");
	} else {
		d->size_bytes = st.st_size;
		rc = open_hashes(&r, part_bytes, kind, e) == -1 ? -1 : read_all(fd, &r, e);
	}
	if (rc == 0)
		take_hashes(r.whole, kind, d);
	else
		digest_free(d);
	hash_close(r.whole);
	hash_close(r.part);
	return rc;
}

int
digest_bytes(const void *p, size_t len, int kind, struct digest *d, struct err *e)
{
	struct hash *h = hash_open(kind | HASH_MD5, e);

	*d = (struct digest){.size_bytes = (int64_t)len};
	if (h == NULL)
		return -1;
	hash_update(h, p, len);
	take_hashes(h, kind, d);
	hash_close(h);
	return 0;
}

void
digest_parts_tag(const struct digest *d, char tag[REMOTE_TAG_MAX])
{
	struct hash *h;
	struct err e;
	char md5[HASH_MD5_HEX] = "";

	tag[0] = '\0';
	if (d->n_parts == 0 || (h = hash_open(HASH_MD5, &e)) == NULL)
		return;
	hash_update(h, d->parts, (size_t)d->n_parts * sizeof *d->parts);
	hash_md5(h, md5);
	hash_close(h);
	snprintf(tag, REMOTE_TAG_MAX, "%s-%u", md5, d->n_parts);
}

/* ---- reading an object ---- */

struct through {
	struct hash *h;
	int64_t bytes;
};

static int
sink(void *ctx, const void *p, size_t len, struct err *e)
{
	struct through *t = ctx;

	(void)e;
	hash_update(t->h, p, len);
	t->bytes += (int64_t)len;
	return 0;
}

int
proof_read(struct sync *s, const struct remote_object *there, char sha256[HASH_SHA256_HEX],
    int64_t *size_bytes, struct err *e)
{
	struct through t = {.h = hash_open(HASH_SHA256, e)};
	int rc;

	if (t.h == NULL)
		return -1;
	rc = remote_get(s->remote, there, 0, sink, &t, e);
	hash_sha256(t.h, sha256);
	hash_close(t.h);
	*size_bytes = t.bytes;
	return rc;
}

/* What a killed run had sent may reach the object while it is read, with the same bytes but another
 * tag: then it is looked at again. */
static int
read_settled(struct sync *s, struct remote_object *there, char sha256[HASH_SHA256_HEX],
    int64_t *size_bytes, struct err *e)
{
	struct timespec nap = {.tv_nsec = 500000000};
	struct remote_object now;
	struct err conflict;

	for (int tries = 1;; tries++) {
		if (proof_read(s, there, sha256, size_bytes, e) == 0)
			return 0;
		if (sync_is_fatal(e) || e->code == NULL || strcmp(e->code, P_CONFLICT) != 0 ||
		    tries == READS || atomic_load(&tool_stop) != 0)
			return -1;
		conflict = *e;
		nanosleep(&nap, NULL);
		switch (remote_stat(s->remote, there->key, &now, NULL, e)) {
		case 1:
			*there = now;
			continue;
		case 0:
			return err_item(e, P_MISSING, "it is gone again");
		default:
			if (!sync_is_fatal(e))
				*e = conflict;
			return -1;
		}
	}
}

/* ---- judging ---- */

/* How the remote's own words prove the bytes, or NULL; *said: it told a hash that could have. */
static const char *
proof_by_word(const struct remote_object *there, const struct digest *d, bool *said)
{
	char tag[REMOTE_TAG_MAX];

	*said = true;
	if (there->sha256[0] != '\0')
		return strcmp(there->sha256, d->sha256) == 0 ? "sha256" : NULL;
	if (there->md5[0] != '\0' && d->md5[0] != '\0')
		return strcmp(there->md5, d->md5) == 0 ? "md5" : NULL;
	if (there->md5[0] == '\0' && d->n_parts > 0 && strchr(there->tag, '-') != NULL) {
		digest_parts_tag(d, tag);
		if (strcmp(there->tag, tag) == 0)
			return "parts";
	}
	*said = false;
	return NULL;
}

int
proof_of(struct sync *s, const struct remote_object *seen, const struct digest *d, bool read_back,
    struct catalogue_object *o, struct err *why, struct err *e)
{
	struct remote_object now = *seen, *there = &now;
	char sha256[HASH_SHA256_HEX];
	const char *proof;
	int64_t size;
	bool said;

	if (there->size_bytes != d->size_bytes) {
		err_item(why, P_SIZE_MISMATCH,
		    "the object at %s has %lld bytes, the recording %lld", s->url,
		    (long long)there->size_bytes, (long long)d->size_bytes);
		return 0;
	}
	if ((proof = proof_by_word(there, d, &said)) == NULL && !said && read_back) {
		if (read_settled(s, there, sha256, &size, e) == -1)
			return -1;
		said = true;
		proof = size == d->size_bytes && strcmp(sha256, d->sha256) == 0 ? "read" : NULL;
	}
	if (proof == NULL) {
		err_item(why, P_CHECKSUM_MISMATCH,
		    said ? "the object at %s holds other bytes of the same length"
			 : "%s tells no hash of the object that could be compared",
		    s->url);
		return 0;
	}
	strcpy(o->key, there->key);
	strcpy(o->remote_id, there->id);
	strcpy(o->tag, there->tag);
	strcpy(o->sha256, d->sha256);
	snprintf(o->proof, sizeof o->proof, "%s", proof);
	o->size_bytes = d->size_bytes;
	o->part_bytes = strcmp(proof, "parts") == 0 ? d->part_bytes : 0;
	clock_rfc3339(clock_now(), o->proven_at);
	return 1;
}
