/*
 * remote: the same promises of every kind of remote. REC_TEST_REMOTE names one (default: a fresh
 * folder); each test works below a prefix of its own, once as its kind promises and once as a probe
 * found it.
 */
#include "remote_kind.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"

#define THREADS 8

static struct err e;
static struct http *http;
static struct retry *retry;
static struct remote *r;
static struct json *probed;
static char *url, *folder;

#define ok(call) ck_assert_msg((call) == 0, "%s: %s", #call, e.text)
#define one(call) ck_assert_msg((call) == 1, "%s: %s", #call, e.text)

/* An error of one item, of this code. */
#define refused(call, problem)                                                                     \
	do {                                                                                       \
		memset(&e, 0, sizeof e);                                                           \
		ck_assert_int_eq((call), -1);                                                      \
		ck_assert_msg(                                                                     \
		    e.class == ERR_ITEM && e.code != NULL && strcmp(e.code, problem) == 0,         \
		    "%s: %d %s: %s", #call, e.class, e.code != NULL ? e.code : "-", e.text);       \
	} while (0)

/* ---- the remote of a test ---- */

static bool
is_kind(const char *scheme)
{
	return strncmp(url, scheme, strlen(scheme)) == 0;
}

static void
random_text(char out[13])
{
	unsigned char b[6];

	ok(hash_random(b, sizeof b, &e));
	hash_hex(b, sizeof b, out);
}

static void
fresh_url(void)
{
	const char *base = getenv("REC_TEST_REMOTE");
	char name[13], dir[] = "/tmp/check_remote.XXXXXX";

	random_text(name);
	folder = NULL;
	if (base == NULL) {
		folder = mem_str(mkdtemp(dir), &e);
		url = mem_fmt(&e, "file://%s", folder);
	} else if (strncmp(base, "file://", 7) == 0) {
		folder = mem_fmt(&e, "%s/%s", base + 7, name);
		ck_assert_int_eq(mkdir(folder, 0777), 0);
		url = mem_fmt(&e, "file://%s", folder);
	} else {
		url = mem_fmt(&e, strncmp(base, "gdrive:", 7) == 0 ? "%s-%s" : "%s/%s", base, name);
	}
	ck_assert_ptr_nonnull(url);
}

static struct remote_settings
settings_of(const char *at)
{
	return (struct remote_settings){.url = at,
	    .endpoint = getenv("REC_TEST_ENDPOINT"),
	    .region = getenv("AWS_REGION"),
	    .access_key = getenv("AWS_ACCESS_KEY_ID"),
	    .secret_key = getenv("AWS_SECRET_ACCESS_KEY"),
	    .user = getenv("REC_TEST_USER"),
	    .password = getenv("REC_TEST_PASSWORD"),
	    .client_id = getenv("GOOGLE_CLIENT_ID"),
	    .client_secret = getenv("GOOGLE_CLIENT_SECRET"),
	    .refresh_token = getenv("REC_GOOGLE_REFRESH_TOKEN"),
	    .owner = "0badcafe",
	    .probed = probed};
}

static struct remote *
open_remote(const char *at)
{
	struct remote_settings s = settings_of(at);

	return remote_open(&s, http, retry, &e);
}

static void
tell(void *ctx, const struct retry_event *v)
{
	(void)ctx;
	fprintf(stderr, "# again: %s: %s\n", v->what, v->fault->text);
}

static void
start(void)
{
	struct http_opts ho = {.ca_file = getenv("REC_TEST_CA_FILE")};
	struct retry_opts ro = {.attempts = 5, .tell = tell};

	fresh_url();
	http = NULL;
	ck_assert_ptr_nonnull(retry = retry_open(&ro, &e));
	if (remote_needs_http(url))
		ck_assert_msg((http = http_open(&ho, &e)) != NULL, "%s", e.text);
	ck_assert_msg((r = open_remote(url)) != NULL, "%s", e.text);
}

static int
unlink_one(const char *path, const struct stat *st, int type, struct FTW *w)
{
	(void)st;
	(void)type;
	(void)w;
	return remove(path);
}

static void
finish(void)
{
	remote_close(r);
	http_close(http);
	retry_close(retry);
	if (folder != NULL)
		nftw(folder, unlink_one, 16, FTW_DEPTH | FTW_PHYS);
	free(folder);
	free(url);
}

/* Once for all tests; no thread of it is left when they fork. */
static void
probe_first(void)
{
	struct buf text = {0};

	start();
	ok(remote_probe(r, &probed, &e));
	ok(json_write(probed, &text, &e));
	fprintf(stderr, "# %s\n", text.data);
	buf_free(&text);
	finish();
}

static void
forget_probe(void)
{
	json_free(probed);
	probed = NULL;
}

/* ---- objects ---- */

/* Bytes that no two seeds share. */
static char *
make_bytes(size_t n, unsigned seed)
{
	char *p = malloc(n + 1);
	uint64_t x = seed * 2654435761u + 88172645463325252u;

	for (size_t i = 0; i < n; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		p[i] = (char)(x >> 24);
	}
	return p;
}

static void
hash_of(const void *p, size_t n, char sha256[HASH_SHA256_HEX], char md5[HASH_MD5_HEX])
{
	struct err err;
	struct hash *h = hash_open(HASH_SHA256 | HASH_MD5, &err);

	hash_update(h, p, n);
	hash_sha256(h, sha256);
	hash_md5(h, md5);
	hash_close(h);
}

static struct remote_source
source_of(const char *key, const void *p, size_t n)
{
	struct remote_source s = {
	    .key = key, .fd = -1, .bytes = p, .size_bytes = (int64_t)n, .mime_type = "audio/wav"};

	hash_of(p, n, s.sha256, s.md5);
	return s;
}

struct gathered {
	struct buf b;
	size_t most; /* the sink says no beyond */
};

static int
gather(void *ctx, const void *p, size_t len, struct err *err)
{
	struct gathered *g = ctx;

	if (g->most != 0 && g->b.len + len > g->most)
		return err_item(err, P_BUSY, "enough");
	return buf_add(&g->b, p, len, err);
}

static void
assert_holds(const struct remote_object *o, const char *p, size_t n, size_t from)
{
	struct gathered g = {0};

	ok(remote_get(r, o, from, gather, &g, &e));
	ck_assert_msg(
	    g.b.len == n - from && (n == from || memcmp(g.b.data, p + from, n - from) == 0),
	    "%s from %zu: %zu bytes came, %zu were put", o->key, from, g.b.len, n);
	buf_free(&g.b);
}

static struct remote_object
put(const char *key, const char *p, size_t n)
{
	struct remote_source s = source_of(key, p, n);
	struct remote_object o;

	ok(remote_put(r, &s, &o, &e));
	ck_assert_str_eq(o.key, key);
	ck_assert_int_eq(o.size_bytes, (int64_t)n);
	return o;
}

static struct remote_object
put_text(const char *key, const char *text)
{
	return put(key, text, strlen(text));
}

static size_t
count_list(const char *prefix)
{
	struct remote_object o;
	struct remote_list *l = remote_list_open(r, prefix, "", "", &e);
	size_t n = 0;
	int rc;

	ck_assert_msg(l != NULL, "%s", e.text);
	while ((rc = remote_list_next(l, &o, &e)) == 1)
		n++;
	ck_assert_msg(rc == 0, "%s", e.text);
	remote_list_close(l);
	return n;
}

static void
assert_absent(const char *key)
{
	struct remote_object o;
	int rc = remote_stat(r, key, &o, NULL, &e);

	ck_assert_msg(rc == 0, "stat of %s: %d %s", key, rc, rc == -1 ? e.text : "");
}

static void
assert_text(const char *key, const char *text)
{
	struct remote_object o;

	one(remote_stat(r, key, &o, NULL, &e));
	assert_holds(&o, text, strlen(text), 0);
}

/* ---- tests ---- */

START_TEST(a_fresh_remote_is_empty_and_usable)
{
	ok(remote_check(r, &e));
	ck_assert_uint_eq(count_list("raw/"), 0);
	ck_assert_uint_eq(count_list("edited/"), 0);
	ck_assert_uint_eq(count_list(REMOTE_TEMP), 0);
	ck_assert_uint_eq(count_list(REMOTE_TRASH), 0);
	assert_absent("raw/none.wav");
	assert_absent(REMOTE_CATALOGUE);
	put_text("raw/a.wav", "a");
	ok(remote_check(r, &e));
}
END_TEST

START_TEST(wrong_credentials_stop_the_run)
{
	struct remote_settings s = settings_of(url);
	struct remote_object o;
	struct remote_source a = source_of("raw/a.wav", "a", 1);

	/* Where nobody has to sign in there is nothing wrong. */
	if (is_kind("file:") ||
	    (is_kind("webdav") && (s.password == NULL || s.password[0] == '\0')))
		return;
	s.secret_key = s.password = s.refresh_token = "not-the-secret";
	remote_close(r);
	ck_assert_msg((r = remote_open(&s, http, retry, &e)) != NULL, "%s", e.text);
	ck_assert_int_eq(remote_check(r, &e), -1);
	ck_assert_msg(e.class == ERR_CONFIG, "%d %s", e.class, e.text);
	ck_assert_ptr_null(strstr(e.text, "not-the-secret"));
	ck_assert_int_eq(remote_put(r, &a, &o, &e), -1);
	ck_assert_msg(e.class == ERR_CONFIG, "%d %s", e.class, e.text);
}
END_TEST

static const char *const names[] = {
    "plain.wav",
    "with blank.wav",
    " blank first and last ",
    "it's \"quoted\".wav",
    "100%.wav",
    "100%25.wav",
    "a+b.wav",
    "a#b.wav",
    "a?b=c.wav",
    "a&b;c=d.wav",
    "a<b>c.wav",
    "a:b@c,d!e$f*g(h)i~j.wav",
    "[1] {2} |3| ^4 `5`.wav",
    "back\\slash.wav",
    "caf\xc3\xa9.wav",
    "cafe\xcc\x81.wav",
    "\xf0\x9f\x8e\x99\xef\xb8\x8f \xf0\x9f\x8e\xb6.wav",
    "\xe4\xb8\xad\xe6\x96\x87.wav",
    "...",
    "rec-hex-00ff",
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123"
    "4567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
    "890123456789",
};

#define NAMES (sizeof names / sizeof names[0])

START_TEST(every_name_comes_back_as_it_went)
{
	char key[REMOTE_KEY_MAX + 1], bytes[64];
	struct remote_object put_as, o;
	struct remote_list *l;
	bool seen[NAMES] = {false};
	size_t listed = 0;

	for (size_t i = 0; i < NAMES; i++) {
		snprintf(key, sizeof key, "raw/%s", names[i]);
		snprintf(bytes, sizeof bytes, "the bytes of name %zu", i);
		put_as = put_text(key, bytes);
		one(remote_stat(r, key, &o, NULL, &e));
		ck_assert_str_eq(o.key, key);
		ck_assert_str_eq(o.tag, put_as.tag);
	}
	for (size_t i = 0; i < NAMES; i++) {
		snprintf(key, sizeof key, "raw/%s", names[i]);
		snprintf(bytes, sizeof bytes, "the bytes of name %zu", i);
		assert_text(key, bytes);
	}
	ck_assert_ptr_nonnull(l = remote_list_open(r, "raw/", "", "", &e));
	while (remote_list_next(l, &o, &e) == 1)
		for (size_t i = 0; i < NAMES; i++)
			seen[i] |= strcmp(o.key + 4, names[i]) == 0;
	remote_list_close(l);
	for (size_t i = 0; i < NAMES; i++) {
		/* nginx lists no name that begins with a dot. */
		ck_assert_msg(seen[i] || (is_kind("webdav") && names[i][0] == '.'),
		    "not listed: %s", names[i]);
		listed += seen[i];
	}
	ck_assert_uint_eq(count_list("raw/"), listed);
}
END_TEST

START_TEST(what_is_no_key_is_refused)
{
	static const char *const keys[] = {"", "/raw/a", "raw//a", "raw/", "raw/.", "raw/../a",
	    "..", "raw/a\nb", "raw/a\x7f", "raw/a\xc2\x85", "raw/\xff", "raw/\xed\xa0\x80"};
	char long_key[REMOTE_KEY_MAX + 2];
	struct remote_object o, from = put_text("raw/a.wav", "a");

	memset(long_key, 'x', sizeof long_key - 1);
	long_key[sizeof long_key - 1] = '\0';
	for (size_t i = 0; i <= sizeof keys / sizeof keys[0]; i++) {
		const char *key = i < sizeof keys / sizeof keys[0] ? keys[i] : long_key;
		struct remote_source s = source_of(key, "a", 1);

		refused(remote_put(r, &s, &o, &e), P_UNSAFE_PATH);
		refused(remote_stat(r, key, &o, NULL, &e), P_UNSAFE_PATH);
		refused(remote_copy(r, &from, key, "", &o, &e), P_UNSAFE_PATH);
		refused(remote_move(r, &from, key, "", &o, &e), P_UNSAFE_PATH);
	}
	ck_assert_uint_eq(count_list("raw/"), 1);
}
END_TEST

START_TEST(sizes_and_offsets)
{
	static const size_t sizes[] = {0, 1, 4095, 100000, 3000000};
	char key[64];

	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		char *p = make_bytes(sizes[i], (unsigned)i);
		struct remote_object o;

		snprintf(key, sizeof key, "raw/%zu.wav", sizes[i]);
		put(key, p, sizes[i]);
		one(remote_stat(r, key, &o, NULL, &e));
		ck_assert_int_eq(o.size_bytes, (int64_t)sizes[i]);
		assert_holds(&o, p, sizes[i], 0);
		assert_holds(&o, p, sizes[i], sizes[i]);
		if (sizes[i] > 1) {
			assert_holds(&o, p, sizes[i], 1);
			assert_holds(&o, p, sizes[i], sizes[i] / 2);
			assert_holds(&o, p, sizes[i], sizes[i] - 1);
		}
		free(p);
	}
}
END_TEST

START_TEST(a_file_is_a_source_and_must_be_as_long_as_it_said)
{
	char *p = make_bytes(100000, 7);
	struct remote_source s = source_of("raw/f.wav", p, 100000);
	FILE *f = tmpfile();
	struct remote_object o;

	ck_assert_uint_eq(fwrite(p, 1, 100000, f), 100000);
	fflush(f);
	s.fd = fileno(f);
	s.bytes = NULL;
	ok(remote_put(r, &s, &o, &e));
	assert_holds(&o, p, 100000, 0);
	s.key = "raw/short.wav";
	ck_assert_int_eq(ftruncate(s.fd, 50000), 0);
	refused(remote_put(r, &s, &o, &e), P_MODIFIED);
	assert_absent("raw/short.wav");
	fclose(f);
	free(p);
}
END_TEST

START_TEST(metadata_comes_back_where_it_is_kept)
{
	struct remote_source s = source_of("raw/m.wav", "m", 1);
	struct json *m = json_new_object(&e), *back;
	struct remote_object o;

	ok(json_put_str(m, "recorded-at", "2025-09-05T10:00:00Z", &e));
	ok(json_put_str(m, "content-sha256", s.sha256, &e));
	s.metadata = m;
	ok(remote_put(r, &s, &o, &e));
	one(remote_stat(r, s.key, &o, &back, &e));
	if (is_kind("s3:") || is_kind("gdrive:")) {
		ck_assert_ptr_nonnull(back);
		ck_assert_str_eq(json_get_str(back, "recorded-at"), "2025-09-05T10:00:00Z");
		ck_assert_str_eq(json_get_str(back, "content-sha256"), s.sha256);
	}
	if (remote_can(r)->checksum) {
		ck_assert(o.md5[0] != '\0' || o.sha256[0] != '\0');
		ck_assert(o.md5[0] == '\0' || strcmp(o.md5, s.md5) == 0);
		ck_assert(o.sha256[0] == '\0' || strcmp(o.sha256, s.sha256) == 0);
	}
	json_free(back);
	json_free(m);
}
END_TEST

START_TEST(new_overwrites_nothing_and_is_repeatable)
{
	struct remote_source other = source_of("raw/n.wav", "others", 6);
	struct remote_source same = source_of("raw/n.wav", "mine!!", 6);
	struct remote_source longer = source_of("raw/n.wav", "longer than it", 14);
	struct remote_object first, again, o;

	ok(remote_put(r, &same, &first, &e));
	refused(remote_put(r, &other, &o, &e), P_CONFLICT);
	refused(remote_put(r, &longer, &o, &e), P_CONFLICT);
	assert_text("raw/n.wav", "mine!!");
	ok(remote_put(r, &same, &again, &e));
	ck_assert_str_eq(first.tag, again.tag);
	assert_text("raw/n.wav", "mine!!");
	ck_assert_uint_eq(count_list(REMOTE_TEMP), 0);
}
END_TEST

START_TEST(replace_wants_the_right_tag)
{
	struct remote_source s = source_of(REMOTE_CATALOGUE, "two", 3);
	struct remote_object first = put_text(REMOTE_CATALOGUE, "first"), second, o;

	ck_assert_str_ne(first.tag, "");
	s.condition = REMOTE_REPLACE;
	s.tag = first.tag;
	ok(remote_put(r, &s, &second, &e));
	ck_assert_str_ne(first.tag, second.tag);
	assert_text(REMOTE_CATALOGUE, "two");
	s = source_of(REMOTE_CATALOGUE, "three", 5);
	s.condition = REMOTE_REPLACE;
	s.tag = first.tag;
	refused(remote_put(r, &s, &o, &e), P_CONFLICT);
	assert_text(REMOTE_CATALOGUE, "two");
	s.tag = second.tag;
	ok(remote_delete(r, &second, &e));
	ok(remote_put(r, &s, &o, &e));
	assert_text(REMOTE_CATALOGUE, "three");
}
END_TEST

/* ---- many ---- */

static size_t
many(void)
{
	const char *n = getenv("REC_TEST_OBJECTS");

	/* A server's page has 1,000 at most; a folder has none. */
	return n != NULL ? (size_t)atol(n) : getenv("REC_TEST_REMOTE") != NULL ? 2300 : 600;
}

struct putter {
	pthread_t thread;
	unsigned number;
	struct err e;
	int rc;
};

static void *
put_every_eighth(void *arg)
{
	struct putter *p = arg;
	char key[64];
	struct remote_object o;

	for (size_t i = p->number; i < many() && p->rc == 0; i += THREADS) {
		struct remote_source s;

		snprintf(key, sizeof key, "raw/%05zu.wav", i * 7 % 100000);
		s = source_of(key, key, strlen(key));
		p->rc = remote_put(r, &s, &o, &p->e);
	}
	return NULL;
}

static void
run_putters(struct putter p[THREADS], void *(*run)(void *))
{
	for (unsigned i = 0; i < THREADS; i++) {
		p[i] = (struct putter){.number = i};
		ck_assert_int_eq(pthread_create(&p[i].thread, NULL, run, &p[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(p[i].thread, NULL);
}

/* The keys of a listing are i * 7 for i from `from` to before `to`, in order. */
static void
assert_range(const char *after, const char *until, size_t from, size_t to)
{
	struct remote_list *l = remote_list_open(r, "raw/", after, until, &e);
	struct remote_object o, alone;
	char key[64];
	int rc;

	ck_assert_msg(l != NULL, "%s", e.text);
	for (size_t i = from; (rc = remote_list_next(l, &o, &e)) == 1; i++) {
		ck_assert_uint_lt(i, to);
		snprintf(key, sizeof key, "raw/%05zu.wav", i * 7);
		ck_assert_str_eq(o.key, key);
		ck_assert_int_eq(o.size_bytes, (int64_t)strlen(key));
		if (i % 500 == 0) {
			one(remote_stat(r, key, &alone, NULL, &e));
			ck_assert_str_eq(alone.tag, o.tag);
			ck_assert_str_eq(alone.id, o.id);
		}
		if (i + 1 == to) {
			rc = remote_list_next(l, &o, &e);
			break;
		}
	}
	ck_assert_msg(rc == 0, "%s", rc == -1 ? e.text : "more than there are");
	remote_list_close(l);
}

START_TEST(lists_are_whole_and_in_order)
{
	struct putter p[THREADS];
	char after[64], until[64];
	size_t n = many();

	ck_assert_uint_lt(n * 7, 100000);
	put_text("edited/other.wav", "other");
	run_putters(p, put_every_eighth);
	for (int i = 0; i < THREADS; i++)
		ck_assert_msg(p[i].rc == 0, "%s", p[i].e.text);
	assert_range("", "", 0, n);
	snprintf(after, sizeof after, "raw/%05zu.wav", n / 2 * 7);
	snprintf(until, sizeof until, "raw/%05zu.wav", (n - 2) * 7);
	assert_range(after, "", n / 2 + 1, n);
	assert_range("", until, 0, n - 1);
	assert_range(after, until, n / 2 + 1, n - 1);
	ck_assert_uint_eq(count_list("edited/"), 1);
	ck_assert_uint_eq(count_list(REMOTE_TEMP), 0);
}
END_TEST

static void *
put_the_same_key(void *arg)
{
	struct putter *p = arg;
	char text[64];
	struct remote_source s;
	struct remote_object o;

	snprintf(text, sizeof text, "bytes of thread %u", p->number);
	s = source_of("raw/race.wav", text, strlen(text));
	p->rc = remote_put(r, &s, &o, &p->e);
	return NULL;
}

START_TEST(of_eight_that_put_one_wins)
{
	struct putter p[THREADS];
	char text[64];
	int winners = 0;

	run_putters(p, put_the_same_key);
	for (unsigned i = 0; i < THREADS; i++) {
		if (p[i].rc == -1) {
			ck_assert_msg(p[i].e.code != NULL && strcmp(p[i].e.code, P_CONFLICT) == 0,
			    "%s", p[i].e.text);
			continue;
		}
		snprintf(text, sizeof text, "bytes of thread %u", i);
		winners++;
		if (remote_can(r)->conditional && !is_kind("webdav"))
			assert_text("raw/race.wav", text);
	}
	ck_assert_int_ge(winners, 1);
	/* WebDAV servers look first and write then: mod_dav lets several through at once. */
	if (remote_can(r)->conditional && !is_kind("webdav"))
		ck_assert_int_eq(winners, 1);
	ck_assert_uint_eq(count_list("raw/"), 1);
	ck_assert_uint_eq(count_list(REMOTE_TEMP), 0);
}
END_TEST

/* ---- parts ---- */

struct upload {
	struct remote_source s;
	char *bytes;
	char session[REMOTE_SESSION_MAX];
	struct remote_part parts[3];
	unsigned n;
};

static void
make_upload(struct upload *u, const char *key)
{
	const struct remote_capabilities *can = remote_can(r);
	int64_t part = can->part_min > 300000 ? can->part_min : 300000, at = 0;
	size_t size;

	if (can->part_multiple != 0)
		part = (part + can->part_multiple - 1) / can->part_multiple * can->part_multiple;
	u->n = can->parts_max == 1 ? 1 : 3;
	size = u->n == 1 ? 300000 : (size_t)part * 2 + 1000;
	u->bytes = make_bytes(size, 42);
	u->s = source_of(key, u->bytes, size);
	u->s.md5[0] = '\0';
	for (unsigned i = 0; i < u->n; i++) {
		struct remote_part *p = &u->parts[i];
		char sha256[HASH_SHA256_HEX];

		memset(p, 0, sizeof *p);
		p->number = i + 1;
		p->offset = at;
		p->size_bytes = i + 1 < u->n ? part : (int64_t)size - at;
		hash_of(u->bytes + at, (size_t)p->size_bytes, sha256, p->md5);
		at += p->size_bytes;
	}
}

struct arrived {
	int64_t bytes;
	unsigned parts;
	bool counted;
};

static int
note_part(void *ctx, const struct remote_part *p, struct err *err)
{
	struct arrived *a = ctx;

	(void)err;
	a->bytes += p->size_bytes;
	a->counted |= p->number == 0;
	a->parts++;
	return 0;
}

static void
reopen(void)
{
	remote_close(r);
	ck_assert_msg((r = open_remote(url)) != NULL, "%s", e.text);
}

START_TEST(parts_resume_and_finish)
{
	struct upload u;
	struct remote_object o, again;
	struct arrived a = {0};
	int64_t half = 0;

	make_upload(&u, "raw/parts.wav");
	ok(remote_begin(r, &u.s, "0011223344556677", u.session, &e));
	for (unsigned i = 0; i + 1 < u.n; i++) {
		ok(remote_part(r, &u.s, u.session, &u.parts[i], &e));
		half += u.parts[i].size_bytes;
	}
	assert_absent("raw/parts.wav");
	ck_assert_uint_eq(count_list("raw/"), 0);
	/* As another process would go on. */
	reopen();
	one(remote_arrived(r, &u.s, u.session, note_part, &a, &o, &e));
	ck_assert_int_eq(a.bytes, half);
	ck_assert(a.counted || a.parts == u.n - 1);
	for (unsigned i = 0; i < u.n; i++)
		ok(remote_part(r, &u.s, u.session, &u.parts[i], &e));
	ok(remote_finish(r, &u.s, u.session, u.parts, u.n, &o, &e));
	ck_assert_str_eq(o.key, "raw/parts.wav");
	assert_holds(&o, u.bytes, (size_t)u.s.size_bytes, 0);
	ck_assert_int_eq(remote_arrived(r, &u.s, u.session, note_part, &a, &again, &e), 2);
	ck_assert_str_eq(again.tag, o.tag);
	ck_assert_uint_eq(count_list(REMOTE_TEMP), 0);
	free(u.bytes);
}
END_TEST

START_TEST(parts_overwrite_nothing)
{
	struct upload u;
	struct remote_object o;

	make_upload(&u, "raw/parts.wav");
	ok(remote_begin(r, &u.s, "0011223344556677", u.session, &e));
	for (unsigned i = 0; i < u.n; i++)
		ok(remote_part(r, &u.s, u.session, &u.parts[i], &e));
	put_text("raw/parts.wav", "was faster");
	refused(remote_finish(r, &u.s, u.session, u.parts, u.n, &o, &e), P_CONFLICT);
	assert_text("raw/parts.wav", "was faster");
	ok(remote_abort(r, "raw/parts.wav", u.session, &e));
	ck_assert_uint_eq(count_list(REMOTE_TEMP), 0);
	free(u.bytes);
}
END_TEST

START_TEST(parts_are_given_up)
{
	struct upload u;
	struct remote_object o;
	struct arrived a = {0};
	int64_t n = -1;

	make_upload(&u, "raw/parts.wav");
	ok(remote_begin(r, &u.s, "0011223344556677", u.session, &e));
	ok(remote_part(r, &u.s, u.session, &u.parts[0], &e));
	ok(remote_abort(r, u.s.key, u.session, &e));
	ok(remote_abort(r, u.s.key, u.session, &e));
	ck_assert_int_eq(remote_arrived(r, &u.s, u.session, note_part, &a, &o, &e), 0);
	assert_absent("raw/parts.wav");
	/* One that nobody noted. */
	ok(remote_begin(r, &u.s, "ffeeddccbbaa9988", u.session, &e));
	ok(remote_part(r, &u.s, u.session, &u.parts[0], &e));
	ok(remote_sweep(r, u.s.key, "ffeeddccbbaa9988", "2020-01-01T00:00:00Z", &n, &e));
	if (!is_kind("gdrive:")) {
		ck_assert_int_eq(n, 1);
		ck_assert_int_eq(remote_arrived(r, &u.s, u.session, note_part, &a, &o, &e), 0);
	}
	ok(remote_sweep(r, u.s.key, "ffeeddccbbaa9988", "2020-01-01T00:00:00Z", &n, &e));
	ck_assert_int_eq(n, 0);
	ck_assert_uint_eq(count_list(REMOTE_TEMP), 0);
	free(u.bytes);
}
END_TEST

/* ---- getting, moving, deleting ---- */

START_TEST(getting_tells_what_is_wrong)
{
	char *p = make_bytes(1000000, 3);
	struct remote_object first = put("raw/g.wav", p, 1000000), o;
	struct remote_source s = source_of("raw/g.wav", "changed", 7);
	struct gathered g = {.most = 1000};

	refused(remote_get(r, &first, 0, gather, &g, &e), P_BUSY);
	ck_assert_str_eq(e.text, "enough");
	g.most = 0;
	buf_clear(&g.b);
	s.condition = REMOTE_REPLACE;
	s.tag = first.tag;
	ok(remote_put(r, &s, &o, &e));
	refused(remote_get(r, &first, 0, gather, &g, &e), P_CONFLICT);
	ck_assert_uint_eq(g.b.len, 0);
	assert_holds(&o, "changed", 7, 0);
	ok(remote_delete(r, &o, &e));
	refused(remote_get(r, &o, 0, gather, &g, &e), P_MISSING);
	buf_free(&g.b);
	free(p);
}
END_TEST

START_TEST(copies_and_moves_overwrite_nothing)
{
	struct remote_object a = put_text("raw/a b#%.wav", "aaa"), b = put_text("raw/b.wav", "bb"),
			     o, moved;

	ok(remote_copy(r, &a, "edited/\xc3\xa4 copy?.wav", "", &o, &e));
	ck_assert_str_eq(o.key, "edited/\xc3\xa4 copy?.wav");
	ck_assert_int_eq(o.size_bytes, 3);
	assert_holds(&o, "aaa", 3, 0);
	refused(remote_copy(r, &a, "raw/b.wav", "", &o, &e), P_CONFLICT);
	refused(remote_move(r, &a, "raw/b.wav", "", &o, &e), P_CONFLICT);
	refused(remote_copy(r, &a, "raw/b.wav", a.tag, &o, &e), P_CONFLICT);
	assert_text("raw/b.wav", "bb");
	ok(remote_move(r, &a, REMOTE_TRASH "a b#%.wav", "", &moved, &e));
	ck_assert_str_eq(moved.key, REMOTE_TRASH "a b#%.wav");
	assert_absent("raw/a b#%.wav");
	assert_holds(&moved, "aaa", 3, 0);
	ck_assert_uint_eq(count_list(REMOTE_TRASH), 1);
	refused(remote_move(r, &a, "raw/c.wav", "", &o, &e), P_MISSING);
	refused(remote_copy(r, &a, "raw/c.wav", "", &o, &e), P_MISSING);
	assert_absent("raw/c.wav");
	ok(remote_copy(r, &moved, "raw/b.wav", b.tag, &o, &e));
	assert_text("raw/b.wav", "aaa");
	/* What is moved must still be what it was. */
	refused(remote_move(r, &b, "raw/c.wav", "", &o, &e), P_CONFLICT);
	refused(remote_copy(r, &b, "raw/c.wav", "", &o, &e), P_CONFLICT);
	assert_text("raw/b.wav", "aaa");
	assert_absent("raw/c.wav");
	ck_assert_uint_eq(count_list(REMOTE_TEMP), 0);
}
END_TEST

START_TEST(deleting_wants_the_version)
{
	struct remote_object first = put_text("raw/d.wav", "one"), second;
	struct remote_source s = source_of("raw/d.wav", "second", 6);

	s.condition = REMOTE_REPLACE;
	s.tag = first.tag;
	ok(remote_put(r, &s, &second, &e));
	if (remote_can(r)->conditional) {
		refused(remote_delete(r, &first, &e), P_CONFLICT);
		assert_text("raw/d.wav", "second");
	}
	ok(remote_delete(r, &second, &e));
	assert_absent("raw/d.wav");
	ok(remote_delete(r, &second, &e));
	ck_assert_uint_eq(count_list("raw/"), 0);
}
END_TEST

START_TEST(a_probe_finds_everything_and_leaves_nothing)
{
	static const char *const keys[] = {"ordered", "conditional", "checksum", "checks_content",
	    "atomic_put", "partial_put", "parallel_parts", "copy", "secret_session", "skew_ms",
	    "single_max", "part_min", "part_multiple", "parts_max", "object_max"};
	struct json *found;

	put_text("raw/p.wav", "p");
	ok(remote_probe(r, &found, &e));
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		ck_assert_msg(json_get(found, keys[i]) != NULL, "no %s", keys[i]);
	ck_assert_uint_eq(json_count(found), sizeof keys / sizeof keys[0]);
	json_free(found);
	ck_assert_uint_eq(count_list(REMOTE_TEMP), 0);
	ck_assert_uint_eq(count_list("raw/"), 1);
	assert_text("raw/p.wav", "p");
}
END_TEST

/* ---- addresses, and what is in memory ---- */

static const struct {
	const char *in, *out; /* NULL: refused */
} urls[] = {
    {"s3://bucket", "s3://bucket"},
    {"S3://bucket/", "s3://bucket"},
    {"s3://my.bucket-1//a b/c%/", "s3://my.bucket-1/a b/c%"},
    {"s3://b", NULL},
    {"s3://key:secret@bucket/x", NULL},
    {"s3://bucket/../other", NULL},
    {"s3://bucket/a\nb", NULL},
    {"webdav://Host.Example:80/dav/", "webdav://host.example/dav"},
    {"webdav://host:8080", "webdav://host:8080"},
    {"webdavs://host:443/a b/%7Ec", "webdavs://host/a%20b/~c"},
    {"webdavs://[::1]:8443/x", "webdavs://[::1]:8443/x"},
    {"webdavs://user:pass@host/x", NULL},
    {"webdavs://host/x?token=1", NULL},
    {"webdavs://host/a%2Fb", NULL},
    {"webdavs://host/%2e%2e/b", NULL},
    {"webdavs://host/%zz", NULL},
    {"webdavs://", NULL},
    {"gdrive:Recordings/2025", "gdrive:Recordings/2025"},
    {"gdrive:/Recordings/", "gdrive:Recordings"},
    {"gdrive:", NULL},
    {"file:///media/usb disk/", "file:///media/usb%20disk"},
    {"file://localhost/media", "file:///media"},
    {"file:///", "file:///"},
    {"file://server/share", NULL},
    {"file:///a/../b", NULL},
    {"file:relative", NULL},
    {"https://host/x", NULL},
    {"name", NULL},
    {"", NULL},
};

START_TEST(addresses_have_one_spelling)
{
	char *out = remote_canonical(urls[_i].in, &e), *again;

	if (urls[_i].out == NULL) {
		ck_assert_msg(out == NULL, "%s became %s", urls[_i].in, out);
		ck_assert_int_eq(e.class, ERR_USAGE);
		ck_assert_ptr_null(strstr(e.text, "secret"));
		return;
	}
	ck_assert_msg(out != NULL, "%s", e.text);
	ck_assert_str_eq(out, urls[_i].out);
	ck_assert_ptr_nonnull(again = remote_canonical(out, &e));
	ck_assert_str_eq(again, out);
	free(again);
	free(out);
}
END_TEST

START_TEST(sorting_keeps_every_text)
{
	struct remote_sorted *l = remote_sorted_new(&e);
	struct remote_object o;

	for (unsigned i = 0; i < 5000; i++) {
		memset(&o, 0, sizeof o);
		snprintf(o.key, sizeof o.key, "raw/%04u", i * 2999 % 5000);
		snprintf(o.tag, sizeof o.tag, "tag of %.32s", o.key);
		memset(o.md5, 'a', sizeof o.md5 - 1);
		o.size_bytes = (int64_t)i << 33;
		ok(remote_sorted_add(l, &o, &e));
	}
	remote_sorted_sort(l);
	for (unsigned i = 0; i < 5000; i++) {
		char key[16], tag[32];

		snprintf(key, sizeof key, "raw/%04u", i);
		snprintf(tag, sizeof tag, "tag of %s", key);
		ck_assert_int_eq(remote_sorted_next(l, &o), 1);
		ck_assert_str_eq(o.key, key);
		ck_assert_str_eq(o.tag, tag);
		ck_assert_uint_eq(strlen(o.md5), 32);
		ck_assert_str_eq(o.sha256, "");
		ck_assert_uint_eq((uint64_t)(o.size_bytes >> 33) * 2999 % 5000, i);
	}
	ck_assert_int_eq(remote_sorted_next(l, &o), 0);
	remote_sorted_free(l);
}
END_TEST

/* ---- a folder ---- */

static char *
in_folder(const char *name)
{
	char *path = mem_fmt(&e, "%s/%s", folder, name);

	ck_assert_ptr_nonnull(path);
	return path;
}

static void
write_file(const char *name, const char *text)
{
	char *path = in_folder(name);

	ok(io_put_file(path, text, strlen(text), 0644, &e));
	free(path);
}

static void
make_link(const char *to, const char *name)
{
	char *path = in_folder(name);

	ck_assert_int_eq(symlink(to, path), 0);
	free(path);
}

START_TEST(a_folder_that_is_missing_is_not_made)
{
	char *missing = mem_fmt(&e, "%s/unmounted", url);
	struct remote *other = open_remote(missing);
	struct stat st;
	char *path = in_folder("unmounted");

	ck_assert_ptr_null(other);
	ck_assert_int_eq(e.class, ERR_CONFIG);
	ck_assert_int_eq(stat(path, &st), -1);
	free(path);
	free(missing);
}
END_TEST

START_TEST(hostile_names_of_a_folder_are_left_out)
{
	put_text("raw/good.wav", "good");
	write_file("raw/bad\xff.wav", "x");
	write_file("raw/bad\n.wav", "x");
	make_link("/etc/passwd", "raw/link.wav");
	ck_assert_uint_eq(count_list("raw/"), 1);
}
END_TEST

START_TEST(links_lead_nowhere)
{
	struct remote_object o = {.key = "raw/link.wav"};
	struct remote_source s = source_of("raw/link.wav", "x", 1);
	struct gathered g = {0};
	char outside[] = "/tmp/check_remote.XXXXXX";
	struct stat st;
	char *path;

	ck_assert_ptr_nonnull(mkdtemp(outside));
	put_text("raw/good.wav", "good");
	make_link("/etc/passwd", "raw/link.wav");
	make_link(outside, "edited");
	refused(remote_get(r, &o, 0, gather, &g, &e), P_CONFLICT);
	refused(remote_put(r, &s, &o, &e), P_CONFLICT);
	path = in_folder("raw/link.wav");
	ck_assert_int_eq(lstat(path, &st), 0);
	ck_assert(S_ISLNK(st.st_mode));
	free(path);
	s.key = "edited/x.wav";
	ck_assert_int_eq(remote_put(r, &s, &o, &e), -1);
	ck_assert_int_eq(rmdir(outside), 0);
}
END_TEST

START_TEST(a_full_disk_says_later)
{
	char *p = make_bytes(2000000, 1);
	struct remote_source s = source_of("raw/big.wav", p, 2000000);
	struct remote_object o;

	remote_close(r);
	r = NULL;
	if (mount("none", folder, "tmpfs", 0, "size=1m") == -1) {
		fprintf(stderr, "# no tmpfs may be mounted here: a full disk was not tried\n");
		free(p);
		return;
	}
	ck_assert_ptr_nonnull(r = open_remote(url));
	ck_assert_int_eq(remote_put(r, &s, &o, &e), -1);
	ck_assert_int_eq(e.class, ERR_BUSY);
	assert_absent("raw/big.wav");
	ck_assert_uint_eq(count_list(REMOTE_TEMP), 0);
	put_text("raw/small.wav", "there is room for me");
	remote_close(r);
	r = NULL;
	ck_assert_int_eq(umount(folder), 0);
	free(p);
}
END_TEST

/* ---- a server that lies ---- */

static const char *const lies[] = {
    "/dav/raw/",
    "/dav/raw/good.wav",
    "http://elsewhere.example/dav/raw/also%20good.wav",
    "/dav/raw/../../etc/passwd",
    "/dav/raw/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "/dav/raw/..",
    "/dav/raw/.",
    "/dav/raw//double.wav",
    "/dav/edited/not-asked-for.wav",
    "/other/raw/not-ours.wav",
    "relative.wav",
    "/dav/raw/deep/deeper.wav",
    "/dav/raw/new%0Aline.wav",
    "/dav/raw/nul%00.wav",
    "/dav/raw/not-utf8%FF.wav",
    "/dav/raw/broken%zz.wav",
    "/dav/raw/good.wav",
    "",
};

static void
answer_with_lies(int fd)
{
	static const char tail[] = "</D:multistatus>";
	struct err err;
	struct buf body = {0}, all = {0};
	buf_adds(&body, "<?xml version=\"1.0\"?><D:multistatus xmlns:D=\"DAV:\">", &err);
	for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++)
		buf_addf(&body, &err,
		    "<D:response><D:href>%s</D:href><D:propstat><D:prop><D:getcontentlength>%s"
		    "</D:getcontentlength><D:getetag>\"a&#10;b\"</D:getetag></D:prop><D:status>"
		    "HTTP/1.1 200 OK</D:status></D:propstat></D:response>",
		    lies[i], i == 2 ? "7" : "18446744073709551615");
	buf_addf(&body, &err,
	    "<D:response><D:href>%s</D:href><D:propstat><D:prop><D:getcontentlength>5"
	    "</D:getcontentlength></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>"
	    "</D:response>%s",
	    lies[1], tail);
	buf_addf(&all, &err,
	    "HTTP/1.1 207 Multi-Status\r\nContent-Type: application/xml\r\nConnection: close\r\n"
	    "Content-Length: %zu\r\n\r\n%s",
	    body.len, body.data);
	if (write(fd, all.data, all.len) != (ssize_t)all.len)
		fprintf(stderr, "# the liar was cut off\n");
	buf_free(&body);
	buf_free(&all);
}

/* Whoever asks for one object hears of ten bytes; whoever asks for a part of it gets the whole. */
static void
answer_in_full(int fd, bool get)
{
	static const char properties[] =
	    "<D:multistatus xmlns:D=\"DAV:\"><D:response><D:href>/dav/raw/ten.wav</D:href>"
	    "<D:propstat><D:prop><D:getcontentlength>10</D:getcontentlength></D:prop><D:status>"
	    "HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>";
	const char *body = get ? "0123456789" : properties;

	dprintf(fd, "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
	    get ? "200 OK" : "207 Multi-Status", strlen(body), body);
}

static void *
lie(void *arg)
{
	char request[8192];
	ssize_t n;
	int fd;

	while ((fd = accept(*(int *)arg, NULL, NULL)) != -1) {
		/* The whole of it comes at once: it is small, and from this machine. */
		if ((n = read(fd, request, sizeof request - 1)) > 0) {
			request[n] = '\0';
			if (strstr(request, "Depth: 1") != NULL)
				answer_with_lies(fd);
			else
				answer_in_full(fd, strncmp(request, "GET ", 4) == 0);
		}
		/* What was not read would take the answer along when it is thrown away. */
		shutdown(fd, SHUT_WR);
		while (read(fd, request, sizeof request) > 0)
			;
		close(fd);
	}
	return NULL;
}

START_TEST(a_server_that_lies_is_not_believed)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct remote_settings s = {.owner = "0badcafe"};
	struct http_opts ho = {0};
	struct gathered g = {0};
	struct remote_object o;
	struct remote_list *l;
	struct remote *liar;
	struct http *h;
	pthread_t thread;
	char *address;

	ck_assert_int_eq(bind(listening, (struct sockaddr *)&at, sizeof at), 0);
	ck_assert_int_eq(listen(listening, 4), 0);
	ck_assert_int_eq(getsockname(listening, (struct sockaddr *)&at, &len), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, lie, &listening), 0);
	address = mem_fmt(&e, "webdav://127.0.0.1:%d/dav", ntohs(at.sin_port));
	s.url = address;
	ck_assert_ptr_nonnull(h = http_open(&ho, &e));
	ck_assert_msg((liar = remote_open(&s, h, retry, &e)) != NULL, "%s", e.text);
	ck_assert_msg((l = remote_list_open(liar, "raw/", "", "", &e)) != NULL, "%s", e.text);
	one(remote_list_next(l, &o, &e));
	ck_assert_str_eq(o.key, "raw/also good.wav");
	ck_assert_int_eq(o.size_bytes, 7);
	ck_assert_ptr_null(strchr(o.tag, '\n'));
	one(remote_list_next(l, &o, &e));
	ck_assert_str_eq(o.key, "raw/good.wav");
	ck_assert_int_eq(o.size_bytes, 5);
	ck_assert_int_eq(remote_list_next(l, &o, &e), 0);
	remote_list_close(l);
	o = (struct remote_object){.key = "raw/ten.wav", .size_bytes = 10};
	ok(remote_get(liar, &o, 4, gather, &g, &e));
	ck_assert_uint_eq(g.b.len, 6);
	ck_assert_int_eq(memcmp(g.b.data, "456789", 6), 0);
	buf_free(&g.b);
	remote_close(liar);
	http_close(h);
	shutdown(listening, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(listening);
	free(address);
}
END_TEST

START_TEST(a_server_that_is_not_there_ends_the_run)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	int bound = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct http_opts ho = {0};
	struct retry_opts ro = {.attempts = 2};
	struct remote_settings s = {0};
	struct retry *brief = retry_open(&ro, &e);
	struct remote *nobody;
	struct http *h;
	char *address;

	/* A port that is taken, and on which nobody listens. */
	ck_assert_int_eq(bind(bound, (struct sockaddr *)&at, sizeof at), 0);
	ck_assert_int_eq(getsockname(bound, (struct sockaddr *)&at, &len), 0);
	address = mem_fmt(&e, "webdav://127.0.0.1:%d/dav", ntohs(at.sin_port));
	s.url = address;
	ck_assert_ptr_nonnull(h = http_open(&ho, &e));
	ck_assert_ptr_nonnull(nobody = remote_open(&s, h, brief, &e));
	ck_assert_int_eq(remote_check(nobody, &e), -1);
	ck_assert_msg(e.class == ERR_BUSY, "%d %s", e.class, e.text);
	remote_close(nobody);
	/* Off this machine nothing goes in the clear unless that is allowed. */
	s.url = "webdav://192.0.2.1/dav";
	ck_assert_ptr_null(remote_open(&s, h, brief, &e));
	ck_assert_int_eq(e.class, ERR_CONFIG);
	s.url = "webdavs://192.0.2.1/dav";
	s.user = "u";
	s.password = "geheim\r\nX-Injected: 1";
	ck_assert_ptr_null(remote_open(&s, h, brief, &e));
	ck_assert_int_eq(e.class, ERR_CONFIG);
	ck_assert_ptr_null(strstr(e.text, "geheim"));
	http_close(h);
	retry_close(brief);
	close(bound);
	free(address);
}
END_TEST

/* ---- */

static TCase *
conformance(const char *name)
{
	TCase *t = tcase_create(name);

	tcase_add_checked_fixture(t, start, finish);
	tcase_set_timeout(t, 600);
	tcase_add_test(t, a_fresh_remote_is_empty_and_usable);
	tcase_add_test(t, wrong_credentials_stop_the_run);
	tcase_add_test(t, every_name_comes_back_as_it_went);
	tcase_add_test(t, what_is_no_key_is_refused);
	tcase_add_test(t, sizes_and_offsets);
	tcase_add_test(t, a_file_is_a_source_and_must_be_as_long_as_it_said);
	tcase_add_test(t, metadata_comes_back_where_it_is_kept);
	tcase_add_test(t, new_overwrites_nothing_and_is_repeatable);
	tcase_add_test(t, replace_wants_the_right_tag);
	tcase_add_test(t, lists_are_whole_and_in_order);
	tcase_add_test(t, of_eight_that_put_one_wins);
	tcase_add_test(t, parts_resume_and_finish);
	tcase_add_test(t, parts_overwrite_nothing);
	tcase_add_test(t, parts_are_given_up);
	tcase_add_test(t, getting_tells_what_is_wrong);
	tcase_add_test(t, copies_and_moves_overwrite_nothing);
	tcase_add_test(t, deleting_wants_the_version);
	tcase_add_test(t, a_probe_finds_everything_and_leaves_nothing);
	return t;
}

int
main(void)
{
	Suite *suite = suite_create("remote");
	TCase *t = tcase_create("common");
	const char *named = getenv("REC_TEST_REMOTE");
	SRunner *run;
	int failed;

	tcase_add_loop_test(t, addresses_have_one_spelling, 0, (int)(sizeof urls / sizeof urls[0]));
	tcase_add_test(t, sorting_keeps_every_text);
	suite_add_tcase(suite, t);
	if (named == NULL || strncmp(named, "file:", 5) == 0) {
		t = tcase_create("folder");
		tcase_add_checked_fixture(t, start, finish);
		tcase_set_timeout(t, 60);
		tcase_add_test(t, a_folder_that_is_missing_is_not_made);
		tcase_add_test(t, hostile_names_of_a_folder_are_left_out);
		tcase_add_test(t, links_lead_nowhere);
		tcase_add_test(t, a_full_disk_says_later);
		tcase_add_test(t, a_server_that_lies_is_not_believed);
		tcase_add_test(t, a_server_that_is_not_there_ends_the_run);
		suite_add_tcase(suite, t);
	}
	suite_add_tcase(suite, conformance("as its kind promises"));
	t = conformance("as probed");
	tcase_add_unchecked_fixture(t, probe_first, forget_probe);
	suite_add_tcase(suite, t);
	run = srunner_create(suite);
	srunner_run_all(run, CK_NORMAL);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
