#include "fixity.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "hash.h"
#include "io.h"
#include "mem.h"

#define BLOCK (UINT64_C(256) << 10)
#define MIN_PIECE (UINT64_C(64) << 10)
/* Silence that is longer than recorded by less than this is no loss. */
#define SILENCE_TOLERANCE_S 0.001

static bool
same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* The smallest power of two that makes at most FIXITY_PIECES pieces of the size. */
static uint64_t
piece_size(uint64_t size_bytes)
{
	uint64_t piece = MIN_PIECE;

	while (size_bytes / piece >= FIXITY_PIECES)
		piece *= 2;
	return piece;
}

/* A piece's digest is that of its blocks' digests, one chained to the next. */
static uint64_t
chain(uint64_t before, const void *block, size_t len)
{
	uint64_t digest = hash_xxh3_64(block, len);
	unsigned char pair[16];

	for (unsigned i = 0; i < 8; i++) {
		pair[i] = (unsigned char)(before >> 8 * i);
		pair[8 + i] = (unsigned char)(digest >> 8 * i);
	}
	return hash_xxh3_64(pair, sizeof pair);
}

/* One read from front to back: the digest of the whole and of each piece. */
static int
read_bytes(
    int fd, uint64_t size_bytes, const struct fixity_opts *o, struct fixity *x, struct err *e)
{
	struct hash *h = hash_open(HASH_XXH3_128, e);
	uint64_t at = 0, piece = piece_size(size_bytes), block = piece < BLOCK ? piece : BLOCK;
	uint64_t digest = 0;
	char *p = mem_new(block, 1, e);
	ssize_t n = -1;

	x->piece_bytes = piece;
	x->n_pieces = 0;
	if (h == NULL || p == NULL)
		goto out;
	while ((n = io_pread(fd, p, block, at, e)) > 0) {
		if (o->stop != NULL && atomic_load(o->stop) != 0) {
			n = err_set(e, ERR_STOPPED, NULL, "stopped");
			goto out;
		}
		hash_update(h, p, (size_t)n);
		digest = chain(at % piece == 0 ? 0 : digest, p, (size_t)n);
		/* A file that grows meanwhile has more pieces than its size allowed. */
		if (at / piece < FIXITY_PIECES) {
			x->pieces[at / piece] = (uint32_t)digest;
			x->n_pieces = (unsigned)(at / piece) + 1;
		}
		at += (uint64_t)n;
		if (o->bytes_done != NULL)
			atomic_fetch_add(o->bytes_done, (unsigned long long)n);
	}
	if (n == 0)
		hash_xxh3_128(h, x->xxh3_128);
out:
	hash_close(h);
	free(p);
	return n == 0 ? 0 : -1;
}

/* ---- judging ---- */

static int
verdict(struct fixity *x, const char *name, const struct err *problem)
{
	x->verdict = name;
	x->problem = problem != NULL ? *problem : (struct err){0};
	return 0;
}

/*
 * True when zeros at the end were not there when it was recorded. Where zeros decode to nothing,
 * the silence tells nothing, but the measurement has found them.
 */
static bool
lost_tail(const struct catalogue_row *row, const struct measure *m)
{
	if (same(m->problem.code, P_ZERO_TAIL) && !same(row->problem_code, P_ZERO_TAIL))
		return true;
	return m->zero_tail_bytes > 0 &&
	       (isnan(row->trailing_silence_s) || isnan(m->trailing_silence_s) ||
		   m->trailing_silence_s > row->trailing_silence_s + SILENCE_TOLERANCE_S);
}

static void
judge_zero_tail(struct fixity *x, const struct measure *m)
{
	x->zeros_bytes = m->zero_tail_bytes;
	x->verdict = P_ZERO_TAIL;
	err_item(&x->problem, P_ZERO_TAIL,
	    "the last %llu bytes are zero and were not when it was recorded: lost in a power cut?",
	    (unsigned long long)m->zero_tail_bytes);
}

static void
judge_rot(struct fixity *x, const struct catalogue_row *row)
{
	x->verdict = P_CHECKSUM_MISMATCH;
	err_item(&x->problem, P_CHECKSUM_MISMATCH,
	    "size and time are as recorded, the bytes are not: XXH3-128 is %s, recorded is %s%s",
	    x->xxh3_128, row->xxh3_128,
	    x->audio_intact
		? "; the audio is intact, the damage is in the header, the tags or the padding"
		: "");
}

/* Size or time changed too: damage that shows comes first. */
static void
judge_change(struct fixity *x, const struct catalogue_row *row, const struct measure *m)
{
	bool damaged = m->problem.class != ERR_NONE;
	bool same_time = same(row->mtime, x->mtime);

	if (damaged && !same(m->problem.code, P_HEADER_MISMATCH)) {
		x->verdict = m->problem.code;
		x->problem = m->problem;
	} else if (x->audio_intact) {
		x->verdict = "tags_only";
		err_item(&x->problem, P_MODIFIED,
		    "changed at %s: the header or the tags are others, the audio is as recorded",
		    x->mtime);
	} else if (damaged) {
		x->verdict = m->problem.code;
		x->problem = m->problem;
	} else if (same_time) {
		x->verdict = P_SIZE_MISMATCH;
		err_item(&x->problem, P_SIZE_MISMATCH,
		    "%lld bytes were recorded, %lld are there, with the recorded time",
		    (long long)row->size_bytes, (long long)x->size_bytes);
	} else {
		x->verdict = P_MODIFIED;
		err_item(&x->problem, P_MODIFIED,
		    "changed at %s: %lld bytes were recorded, %lld are there, and the audio is "
		    "another",
		    x->mtime, (long long)row->size_bytes, (long long)x->size_bytes);
	}
}

/* The bytes are not those that were recorded: which kind of difference is it? */
static int
classify(int fd, const struct catalogue_row *row, const struct fixity_opts *o, struct fixity *x,
    struct err *e)
{
	struct audio_opts how = {.stop = o->stop, .bytes_done = o->bytes_done};
	struct measure m;

	audio_measure_init(&m);
	if (audio_measure(fd, &how, &m, e) == -1) {
		audio_measure_free(&m);
		return -1;
	}
	x->audio_s = m.duration_s;
	x->audio_intact =
	    row->audio_xxh3_128 != NULL && same(row->audio_xxh3_128, m.audio_xxh3_128);
	memcpy(x->sha256, m.sha256, sizeof x->sha256);
	if (same(m.problem.code, P_UNREADABLE))
		verdict(x, P_UNREADABLE, &m.problem);
	else if (same(m.problem.code, P_MODIFIED))
		verdict(x, "busy", NULL);
	else if (!x->audio_intact && x->size_bytes == row->size_bytes && lost_tail(row, &m))
		judge_zero_tail(x, &m);
	else if (x->size_bytes == row->size_bytes && same(row->mtime, x->mtime))
		judge_rot(x, row);
	else
		judge_change(x, row, &m);
	audio_measure_free(&m);
	return 0;
}

/* The application's row may say something else than the bytes that were measured and still are. */
static void
judge_checksum(const struct catalogue_row *row, struct fixity *x)
{
	if (row->checksum == NULL || row->sha256 == NULL ||
	    strcasecmp(row->checksum, row->sha256) == 0) {
		verdict(x, "ok", NULL);
		return;
	}
	x->verdict = P_CHECKSUM_MISMATCH;
	err_item(&x->problem, P_CHECKSUM_MISMATCH,
	    "the bytes are those that were measured; their SHA-256 is %s, but the application's "
	    "row says %.80s: who changed the row?",
	    row->sha256, row->checksum);
}

/* The bytes are those that were measured; what was wrong with them then still is. */
static void
judge_same(const struct catalogue_row *row, struct fixity *x)
{
	/* A problem of other bytes that were seen meanwhile is gone with them. */
	if (row->problem_code == NULL || row->seen_mtime != NULL ||
	    same(row->problem_code, P_MISSING) || same(row->problem_code, P_DENIED) ||
	    same(row->problem_code, P_UNREADABLE) || same(row->problem_code, P_UNSAFE_PATH)) {
		judge_checksum(row, x);
		return;
	}
	err_item(&x->problem, err_known_code(row->problem_code), "%s",
	    row->problem_message != NULL ? row->problem_message : "");
	x->verdict = x->problem.code;
}

/* Never measured: the file speaks for itself, and the application's checksum, if any. */
static int
look_unmeasured(int fd, const struct catalogue_row *row, const struct fixity_opts *o,
    struct fixity *x, struct err *e)
{
	struct audio_opts how = {.stop = o->stop, .bytes_done = o->bytes_done};
	struct measure m;

	audio_measure_init(&m);
	if (audio_measure(fd, &how, &m, e) == -1) {
		audio_measure_free(&m);
		return -1;
	}
	x->audio_s = m.duration_s;
	memcpy(x->sha256, m.sha256, sizeof x->sha256);
	memcpy(x->xxh3_128, m.xxh3_128, sizeof x->xxh3_128);
	if (same(m.problem.code, P_MODIFIED)) {
		verdict(x, "busy", NULL);
	} else if (row->checksum != NULL && strcasecmp(row->checksum, m.sha256) == 0 &&
		   same(m.problem.code, P_ZERO_TAIL)) {
		verdict(x, "ok", NULL);
	} else if (m.problem.class != ERR_NONE) {
		verdict(x, m.problem.code, &m.problem);
	} else if (row->checksum == NULL || strcasecmp(row->checksum, m.sha256) == 0) {
		verdict(x, "ok", NULL);
	} else if (m.zero_tail_bytes > 0) {
		judge_zero_tail(x, &m);
	} else if (row->filesize_bytes >= 0 && row->filesize_bytes != x->size_bytes) {
		x->verdict = P_SIZE_MISMATCH;
		err_item(&x->problem, P_SIZE_MISMATCH,
		    "%lld bytes were recorded, %lld are there, and the checksum differs",
		    (long long)row->filesize_bytes, (long long)x->size_bytes);
	} else {
		x->verdict = P_CHECKSUM_MISMATCH;
		err_item(&x->problem, P_CHECKSUM_MISMATCH, "SHA-256 is %s, recorded is %.80s",
		    m.sha256, row->checksum);
	}
	audio_measure_free(&m);
	return 0;
}

/* ---- looking ---- */

static int
look_at_open_file(int fd, const struct catalogue_row *row, const struct fixity_opts *o,
    struct fixity *x, struct err *e)
{
	struct stat before, after;

	if (fstat(fd, &before) == -1)
		return err_sys(e, "stat of a recording");
	x->size_bytes = (int64_t)before.st_size;
	clock_rfc3339(before.st_mtim, x->mtime);
	if (!o->cached)
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (!row->measured || row->xxh3_128 == NULL)
		return look_unmeasured(fd, row, o, x, e);
	if (read_bytes(fd, (uint64_t)before.st_size, o, x, e) == -1)
		return e->class == ERR_ITEM ? verdict(x, P_UNREADABLE, e) : -1;
	if (fstat(fd, &after) == -1)
		return err_sys(e, "stat of a recording");
	if (before.st_size != after.st_size || before.st_mtim.tv_sec != after.st_mtim.tv_sec ||
	    before.st_mtim.tv_nsec != after.st_mtim.tv_nsec)
		return verdict(x, "busy", NULL);
	if (strcmp(x->xxh3_128, row->xxh3_128) != 0)
		return classify(fd, row, o, x, e);
	judge_same(row, x);
	return 0;
}

int
fixity_look(const struct archive *a, const struct catalogue_row *row, const struct fixity_opts *o,
    struct fixity *x, struct err *e)
{
	struct err why;
	struct stat st;
	int fd, rc;

	*x = (struct fixity){.size_bytes = -1, .audio_s = NAN};
	if (archive_locate(a, row->stored, row->stored_len, row->folder, &x->folder, &st, &why) ==
		-1 ||
	    (fd = io_open_beneath(a->folders[x->folder], row->stored, &why)) == -1) {
		if (why.class == ERR_ITEM)
			return verdict(x, why.code, &why);
		*e = why;
		return -1;
	}
	rc = look_at_open_file(fd, row, o, x, e);
	close(fd);
	return rc;
}
