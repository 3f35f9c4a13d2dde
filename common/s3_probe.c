#include "s3_probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "s3_copy.h"
#include "s3_list.h"
#include "s3_object.h"

#define CANARIES 5

/* Names that show the order and the spelling of a listing; in the order of their bytes. */
static const char *const canaries[CANARIES] = {"B", "a", "a b+c&d%", "b", "\xc3\xa4"};

struct probing {
	struct remote *r;
	char folder[96];	      /* ".rectools/temp/OWNER-RANDOM-probe/" */
	char keys[CANARIES + 1][160]; /* the last is what is copied to */
	char made[REMOTE_TAG_MAX];    /* the tag of the first */
	bool has_skew;
	int64_t skew_s;
};

struct canary {
	const char *key, *text;
	const char *condition; /* a header line, or "" */
	const char *md5_of;    /* what Content-MD5 says; NULL: nothing */
};

static int
digests(const char *text, char sha256[HASH_SHA256_HEX], char md5[HASH_MD5_HEX], struct err *e)
{
	struct hash *h = hash_open(HASH_SHA256 | HASH_MD5, e);

	if (h == NULL)
		return -1;
	hash_update(h, text, strlen(text));
	hash_sha256(h, sha256);
	hash_md5(h, md5);
	hash_close(h);
	return 0;
}

/* The status of the answer, or -1. */
static int
put_canary(struct probing *p, const struct canary *c, struct remote_object *o, struct err *e)
{
	struct s3_op put = s3_op(p->r, "PUT", c->key);
	char sha256[HASH_SHA256_HEX], other[HASH_SHA256_HEX], md5[HASH_MD5_HEX];
	int rc = -1;

	put.wants = S3_WANTS_ABSENT | S3_WANTS_CONFLICT | S3_WANTS_UNSUPPORTED | S3_WANTS_REFUSED;
	put.payload = sha256;
	put.body.body = c->text;
	put.body.body_len = strlen(c->text);
	if (digests(c->text, sha256, md5, e) == -1 ||
	    buf_addf(&put.headers, e, "Content-Type: text/plain\n%s", c->condition) == -1)
		goto out;
	if (c->md5_of != NULL &&
	    (digests(c->md5_of, other, md5, e) == -1 || s3_add_md5(&put.headers, md5, e) == -1))
		goto out;
	if (s3_run(&put, e) == -1)
		goto out;
	p->has_skew = put.a.has_skew;
	p->skew_s = put.a.skew_s;
	memset(o, 0, sizeof *o);
	if (s3_is_done(&put))
		s3_tag_of_answer(&put, o);
	rc = put.a.status;
out:
	s3_op_end(&put);
	return rc;
}

/* Both that must fail do, and leave what was there; and the one that must hold does. */
static int
probe_conditions(struct probing *p, struct json *found, struct err *e)
{
	char right[REMOTE_TAG_MAX + 32];
	struct canary c[] = {{p->keys[0], "two", "If-None-Match: *\n", NULL},
	    {p->keys[0], "three", "If-Match: \"00000000000000000000000000000000\"\n", NULL},
	    {p->keys[0], "one", right, NULL}};
	struct remote_object o;
	bool held = p->made[0] != '\0';
	int status = 0;

	for (size_t i = 0; held && i < 2; i++) {
		if ((status = put_canary(p, &c[i], &o, e)) == -1)
			return -1;
		held = status == 412;
	}
	for (int plain = 0; held && plain < 2 && status == 412; plain++) {
		const char *quote = plain ? "" : "\"";

		snprintf(right, sizeof right, "If-Match: %s%s%s\n", quote, p->made, quote);
		if ((status = put_canary(p, &c[2], &o, e)) == -1)
			return -1;
	}
	held = held && status >= 200 && status < 300;
	return json_put_bool(found, "conditional", held, e);
}

static int
probe_hashes(struct probing *p, struct json *found, struct err *e)
{
	struct canary plain = {p->keys[0], "one", "", NULL};
	struct canary wrong = {p->keys[CANARIES], "two", "", "other"};
	char sha256[HASH_SHA256_HEX], md5[HASH_MD5_HEX];
	struct remote_object o;
	int status;

	if (digests("one", sha256, md5, e) == -1 || (status = put_canary(p, &plain, &o, e)) == -1)
		return -1;
	if (status < 200 || status >= 300)
		return err_set(e, ERR_CONFIG, NULL,
		    "%s: a small object cannot be put there (status %d): look at the bucket's "
		    "rules",
		    plain.key, status);
	memcpy(p->made, o.tag, sizeof p->made);
	if (json_put_bool(found, "checksum", strcmp(o.tag, md5) == 0, e) == -1 ||
	    (status = put_canary(p, &wrong, &o, e)) == -1)
		return -1;
	return json_put_bool(found, "checks_content", status == 400, e);
}

/* All that was put is listed under its name; and in order, in pieces too. */
static int
probe_order(struct probing *p, struct json *found, struct err *e)
{
	struct s3_listing l = {.r = p->r, .prefix = p->folder, .after = "", .until = ""};
	struct remote_object o;
	bool ordered = true;
	size_t seen = 0;
	int rc = 0;

	for (size_t i = 1; rc != -1 && i < CANARIES; i++) {
		struct canary c = {p->keys[i], "x", "", NULL};

		rc = put_canary(p, &c, &o, e);
	}
	while (rc != -1 && !l.ended) {
		if ((rc = s3_fetch_page(&l, e)) == -1)
			break;
		for (size_t i = 0; i < l.n; i++)
			for (size_t k = 0; k < CANARIES; k++)
				if (strcmp(l.page[i].key, p->keys[k]) == 0) {
					ordered &= k == seen;
					seen++;
				}
	}
	free(l.token);
	free(l.page);
	if (rc == -1)
		return -1;
	if (seen != CANARIES)
		return err_set(e, ERR_CONFIG, NULL,
		    "of %d objects that were just put at %s, its list shows %zu under their names: "
		    "recordings cannot be kept there",
		    CANARIES, ((struct s3 *)p->r->own)->host, seen);
	return json_put_bool(found, "ordered", ordered, e);
}

/* The rest of the list, from a name on, must be only the rest. */
static int
probe_after(struct probing *p, struct json *found, struct err *e)
{
	struct s3_listing l = {.r = p->r, .prefix = p->folder, .after = p->keys[2], .until = ""};
	bool was = p->r->can.ordered;
	int rc;

	if (!json_to_bool(json_get(found, "ordered")))
		return 0;
	p->r->can.ordered = true;
	rc = s3_fetch_page(&l, e);
	p->r->can.ordered = was;
	if (rc == 0 && (l.n == 0 || strcmp(l.page[0].key, p->keys[3]) != 0))
		rc = json_put_bool(found, "ordered", false, e);
	free(l.token);
	free(l.page);
	return rc;
}

static int
probe_copy(struct probing *p, struct json *found, struct err *e)
{
	struct s3_op o = s3_op(p->r, "PUT", p->keys[CANARIES]);
	struct remote_object from = {0}, to;
	bool copied = false;
	int rc = -1;

	snprintf(from.key, sizeof from.key, "%s", p->keys[2]);
	o.wants = S3_WANTS_ABSENT | S3_WANTS_CONFLICT | S3_WANTS_UNSUPPORTED | S3_WANTS_REFUSED;
	if (s3_add_source(&o.headers, p->r->own, &from, e) == -1 || s3_run(&o, e) == -1)
		goto out;
	if (s3_is_done(&o)) {
		if ((rc = s3_stat(p->r, p->keys[CANARIES], &to, NULL, e)) == -1)
			goto out;
		copied = rc == 1 && to.size_bytes == 1;
	}
	rc = json_put_bool(found, "copy", copied, e);
out:
	s3_op_end(&o);
	return rc;
}

static int
probe_all(struct probing *p, struct json *found, struct err *e)
{
	if (probe_hashes(p, found, e) == -1 || probe_conditions(p, found, e) == -1 ||
	    probe_order(p, found, e) == -1 || probe_after(p, found, e) == -1 ||
	    probe_copy(p, found, e) == -1)
		return -1;
	if (p->has_skew && json_put_int(found, "skew_ms", p->skew_s * 1000, e) == -1)
		return -1;
	/* An object appears when its last byte has come: S3's promise, and nothing to try. */
	return json_put_bool(found, "atomic_put", true, e);
}

int
s3_probe(struct remote *r, struct json *found, struct err *e)
{
	struct probing p = {.r = r};
	unsigned char random[8];
	char hex[2 * sizeof random + 1];
	struct err other = {0};
	int rc, removed = 0;

	if (hash_random(random, sizeof random, e) == -1)
		return -1;
	hash_hex(random, sizeof random, hex);
	snprintf(
	    p.folder, sizeof p.folder, "%s%.8s-%s-probe/", REMOTE_TEMP, r->settings.owner, hex);
	for (size_t i = 0; i <= CANARIES; i++)
		snprintf(p.keys[i], sizeof p.keys[i], "%s%s", p.folder,
		    i < CANARIES ? canaries[i] : "copy");
	rc = probe_all(&p, found, e);
	for (size_t i = 0; i <= CANARIES; i++)
		if (s3_remove_plain(r, p.keys[i], "", rc == 0 && removed == 0 ? e : &other) == -1)
			removed = -1;
	return rc == 0 ? removed : rc;
}
