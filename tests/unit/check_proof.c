/*
 * proof: a file is read once for all its hashes, parts end exactly where they should; an object is
 * proven by the remote's own word or by reading, and what cannot be proven is refused.
 */
#include "proof.h"

#include "sync_archive.h"

#define BLOCK (256 * 1024) /* of which proof.c reads at once */
#define MD5_ABC "900150983cd24fb0d6963f7d28e17f72"
#define SHA_ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

/* ---- digest_file ---- */

/* What xxhsum says of a file. */
static void
xxhsum(const char *path, char hex[HASH_XXH3_128_HEX])
{
	char command[64];
	FILE *f;

	snprintf(command, sizeof command, "xxhsum -H2 - <%s", path);
	ck_assert_ptr_nonnull(f = popen(command, "r"));
	ck_assert_ptr_nonnull(fgets(hex, HASH_XXH3_128_HEX, f));
	pclose(f);
}

/* What md5sum says of bytes of a file. */
static void
md5sum(const char *path, int64_t offset, int64_t len, char hex[HASH_MD5_HEX])
{
	char command[256];
	FILE *f;

	snprintf(command, sizeof command, "tail -c +%lld %s | head -c %lld | md5sum",
	    (long long)offset + 1, path, (long long)len);
	f = popen(command, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(hex, HASH_MD5_HEX, f));
	pclose(f);
}

static void
make_bytes(const char *path, int64_t size)
{
	unsigned char *p = malloc((size_t)size + 1);
	unsigned x = 12345;

	ck_assert_ptr_nonnull(p);
	for (int64_t i = 0; i < size; i++)
		p[i] = (unsigned char)((x = x * 1103515245 + 12345) >> 16);
	put_file(path, p, (size_t)size);
	free(p);
}

static void
digest_is_right(int64_t size, int64_t part)
{
	int64_t n = part == 0 ? 0 : (size + part - 1) / part;
	char hex[HASH_MD5_HEX], got[HASH_MD5_HEX], tag[REMOTE_TAG_MAX], want[REMOTE_TAG_MAX];
	struct digest d;
	int fd;

	make_bytes("f", size);
	fd = open("f", O_RDONLY);
	ok(digest_file(fd, part, HASH_SHA256, &d, &e));
	close(fd);
	ck_assert_int_eq(d.size_bytes, size);
	ck_assert_uint_eq(d.n_parts, (unsigned)n);
	md5sum("f", 0, size, hex);
	ck_assert_str_eq(d.md5, hex);
	for (int64_t i = 0; i < n; i++) {
		int64_t left = size - i * part;

		md5sum("f", i * part, left < part ? left : part, hex);
		hash_hex(d.parts[i], 16, got);
		ck_assert_msg(strcmp(got, hex) == 0, "%lld by %lld: part %lld", (long long)size,
		    (long long)part, (long long)i + 1);
	}
	if (n > 0) {
		put_file("md5s", d.parts, (size_t)n * 16);
		md5sum("md5s", 0, n * 16, hex);
		snprintf(want, sizeof want, "%s-%lld", hex, (long long)n);
		digest_parts_tag(&d, tag);
		ck_assert_str_eq(tag, want);
	}
	digest_free(&d);
	ck_assert_ptr_null(d.parts);
}

START_TEST(the_baseline_instead_of_the_sha256)
{
	char hex[HASH_XXH3_128_HEX], md5[HASH_MD5_HEX], *text;
	struct digest d;
	int fd;

	make_bytes("f", 3 * BLOCK + 1);
	xxhsum("f", hex);
	md5sum("f", 0, 3 * BLOCK + 1, md5);
	fd = open("f", O_RDONLY);
	ok(digest_file(fd, 0, HASH_XXH3_128, &d, &e));
	ck_assert_str_eq(d.xxh3_128, hex);
	ck_assert_str_eq(d.md5, md5);
	ck_assert_str_eq(d.sha256, "");
	digest_free(&d);
	ck_assert_ptr_nonnull(text = malloc(3 * BLOCK + 1));
	ck_assert_int_eq(pread(fd, text, 3 * BLOCK + 1, 0), 3 * BLOCK + 1);
	ok(digest_bytes(text, 3 * BLOCK + 1, HASH_XXH3_128, &d, &e));
	ck_assert_str_eq(d.xxh3_128, hex);
	ck_assert_str_eq(d.md5, md5);
	free(text);
	close(fd);
}
END_TEST

START_TEST(parts_end_at_before_and_behind_a_block)
{
	static const int64_t parts[] = {BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, BLOCK / 2 + 3};

	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		for (int by = -1; by <= 1; by++) {
			digest_is_right(parts[i] + by, parts[i]);
			digest_is_right(3 * parts[i] + by, parts[i]);
			digest_is_right(2 * BLOCK + by, parts[i]);
		}
}
END_TEST

START_TEST(small_files_and_files_without_parts)
{
	char tag[REMOTE_TAG_MAX] = "x";
	struct digest d;
	int fd;

	digest_is_right(0, 0);
	digest_is_right(1, 0);
	digest_is_right(BLOCK + 1, 0);
	digest_is_right(1, 1);
	digest_is_right(7, 2);
	digest_is_right(0, 5);
	fd = open("f", O_RDONLY);
	ok(digest_file(fd, 0, HASH_SHA256, &d, &e));
	close(fd);
	ck_assert_str_eq(
	    d.sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	digest_parts_tag(&d, tag);
	ck_assert_str_eq(tag, "");
	digest_free(&d);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_and_a_run_that_stops)
{
	struct digest d;
	int fd;

	put_file("f", "abc", 3);
	fd = open("f", O_WRONLY);
	ck_assert_int_eq(digest_file(fd, 0, HASH_SHA256, &d, &e), -1);
	close(fd);
	fd = open("f", O_RDONLY);
	atomic_store(&tool_stop, 2);
	ck_assert_int_eq(digest_file(fd, 1, HASH_SHA256, &d, &e), -1);
	ck_assert_int_eq(e.class, ERR_STOPPED);
	ck_assert_ptr_null(d.parts);
	close(fd);
}
END_TEST

/* ---- proof_of ---- */

static struct digest
abc(void)
{
	struct digest d = {.size_bytes = 3, .sha256 = SHA_ABC, .md5 = MD5_ABC};

	return d;
}

static struct remote_object
there(const char *sha256, const char *md5, const char *tag)
{
	struct remote_object o = {.key = "raw/a", .id = "id1", .size_bytes = 3};

	strcpy(o.sha256, sha256);
	strcpy(o.md5, md5);
	strcpy(o.tag, tag);
	return o;
}

/* NULL: it is refused, with this code. */
static void
is_proven(const struct remote_object *o, const struct digest *d, bool read_back, const char *proof,
    const char *code)
{
	struct catalogue_object got = {0};
	struct err why = {0};
	int rc = proof_of(&s, o, d, read_back, &got, &why, &e);

	ck_assert_msg(rc == (proof != NULL), "%d: %s", rc, rc == -1 ? e.text : why.text);
	if (proof == NULL) {
		ck_assert_int_eq(why.class, ERR_ITEM);
		ck_assert_str_eq(why.code, code);
		ck_assert_ptr_nonnull(strstr(why.text, s.url));
		return;
	}
	ck_assert_str_eq(got.proof, proof);
	ck_assert_str_eq(got.key, o->key);
	ck_assert_str_eq(got.remote_id, o->id);
	ck_assert_str_eq(got.tag, o->tag);
	ck_assert_str_eq(got.sha256, d->sha256);
	ck_assert_int_eq(got.size_bytes, d->size_bytes);
	ck_assert_int_eq(got.part_bytes, strcmp(proof, "parts") == 0 ? d->part_bytes : 0);
	ck_assert_str_ne(got.proven_at, "");
}

START_TEST(by_the_remotes_word)
{
	struct remote_object o;
	struct digest d = abc();

	o = there(SHA_ABC, "", "t");
	is_proven(&o, &d, false, "sha256", NULL);
	o = there("", MD5_ABC, "t");
	is_proven(&o, &d, false, "md5", NULL);
	/* The stronger one decides. */
	o = there(SHA_ABC, "00000000000000000000000000000000", "t");
	is_proven(&o, &d, false, "sha256", NULL);
	o = there("00000000000000000000000000000000ffffffffffffffffffffffffffffffff", MD5_ABC, "t");
	is_proven(&o, &d, true, NULL, P_CHECKSUM_MISMATCH);
	o = there("", "00000000000000000000000000000000", "t");
	is_proven(&o, &d, true, NULL, P_CHECKSUM_MISMATCH);
	o = there(SHA_ABC, MD5_ABC, "t");
	o.size_bytes = 4;
	is_proven(&o, &d, true, NULL, P_SIZE_MISMATCH);
}
END_TEST

START_TEST(by_the_tag_of_parts)
{
	struct remote_object o = there("", "", "");
	struct digest d;
	int fd;

	put_file("f", "abc", 3);
	fd = open("f", O_RDONLY);
	ok(digest_file(fd, 2, HASH_SHA256, &d, &e));
	close(fd);
	digest_parts_tag(&d, o.tag);
	is_proven(&o, &d, false, "parts", NULL);
	/* Sent in other parts it has another tag: that says nothing. */
	o.tag[0] = o.tag[0] == '0' ? '1' : '0';
	is_proven(&o, &d, false, NULL, P_CHECKSUM_MISMATCH);
	digest_parts_tag(&d, o.tag);
	digest_free(&d);
	d = abc();
	is_proven(&o, &d, false, NULL, P_CHECKSUM_MISMATCH);
}
END_TEST

START_TEST(by_reading)
{
	struct remote_object o;
	struct digest d = abc();

	put_object("raw/a", "abc", &o);
	is_proven(&o, &d, false, NULL, P_CHECKSUM_MISMATCH);
	is_proven(&o, &d, true, "read", NULL);
	put_object("raw/b", "abd", &o);
	is_proven(&o, &d, true, NULL, P_CHECKSUM_MISMATCH);
}
END_TEST

START_TEST(an_object_that_cannot_be_read_is_not_refused)
{
	struct catalogue_object got = {0};
	struct remote_object o;
	struct digest d = abc();
	struct err why = {0};
	char sha256[HASH_SHA256_HEX];
	int64_t size;

	put_object("raw/a", "abc", &o);
	ok(proof_read(&s, &o, sha256, &size, &e));
	ck_assert_str_eq(sha256, SHA_ABC);
	ck_assert_int_eq(size, 3);
	ok(remote_delete(s.remote, &o, &e));
	refused(proof_of(&s, &o, &d, true, &got, &why, &e), P_MISSING);
}
END_TEST

/* Somebody puts the object of that key anew. */
static void
put_again(const char *path, const char *key, const char *text, struct remote_object *o)
{
	ck_assert_int_eq(unlink(path), 0);
	put_object(key, text, o);
}

START_TEST(an_object_that_changed_since_it_was_seen_is_looked_at_again)
{
	struct catalogue_object got = {0};
	struct remote_object seen, now;
	struct digest d = abc();
	struct err why = {0};

	put_object("raw/a", "abx", &seen);
	put_again("../there/raw/a", "raw/a", "abc", &now);
	ck_assert_str_ne(seen.tag, now.tag);
	ck_assert_int_eq(proof_of(&s, &seen, &d, true, &got, &why, &e), 1);
	ck_assert_str_eq(got.proof, "read");
	ck_assert_str_eq(got.key, "raw/a");
	ck_assert_str_eq(got.tag, now.tag);

	put_again("../there/raw/a", "raw/a", "abz", &now);
	ck_assert_int_eq(proof_of(&s, &seen, &d, true, &got, &why, &e), 0);
	ck_assert_str_eq(why.code, P_CHECKSUM_MISMATCH);
}
END_TEST

static void
add(TCase *tc)
{
	tcase_add_test(tc, the_baseline_instead_of_the_sha256);
	tcase_add_test(tc, parts_end_at_before_and_behind_a_block);
	tcase_add_test(tc, small_files_and_files_without_parts);
	tcase_add_test(tc, a_file_that_cannot_be_read_and_a_run_that_stops);
	tcase_add_test(tc, by_the_remotes_word);
	tcase_add_test(tc, by_the_tag_of_parts);
	tcase_add_test(tc, by_reading);
	tcase_add_test(tc, an_object_that_cannot_be_read_is_not_refused);
	tcase_add_test(tc, an_object_that_changed_since_it_was_seen_is_looked_at_again);
}

int
main(void)
{
	return run_suite("proof", add);
}
