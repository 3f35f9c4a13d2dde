/*
 * The walk believes a frame only when SQLite would: salts of the header, a page number, and a
 * checksum that continues the one before it. Every size comes from the file's length at the start,
 * so that no content can make it loop; memory is one frame.
 */
#include "walfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "mem.h"

#define LOG_HEADER 32
#define FRAME_HEADER 24
#define SALTS 8
#define MAGIC UINT32_C(0x377f0682) /* the lowest bit: checksums are of big-endian words */
#define VERSION UINT32_C(3007000)
#define INDEX_HEADER 48 /* of each of the two copies */
#define INDEX_BACKFILLED (2 * INDEX_HEADER)

struct look {
	struct walfile *w;
	struct err *e;
	int fd; /* of the file that is being read */

	bool index_valid;
	uint32_t index_frames, backfilled;
	unsigned char index_salts[SALTS];

	bool big_endian;
	unsigned char salts[SALTS];
	uint32_t sum[2]; /* up to the last valid frame */
	unsigned char *frame;
	size_t frame_size;
};

/* ---- words and checksums ---- */

static uint32_t
word(const unsigned char *p, bool big_endian)
{
	return big_endian
		   ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]
		   : (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* Continues sum over len bytes, a multiple of 8. */
static void
add_checksum(uint32_t sum[2], const unsigned char *p, size_t len, bool big_endian)
{
	for (const unsigned char *end = p + len; p < end; p += 8) {
		sum[0] += word(p, big_endian) + sum[1];
		sum[1] += word(p + 4, big_endian) + sum[0];
	}
}

/* ---- the index ---- */

/*
 * As SQLite, only two equal copies count. Its fields are in this machine's byte order, except the
 * salts, which are the bytes of the log's header.
 */
static int
read_index(struct look *k)
{
	static const bool big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
	unsigned char p[INDEX_BACKFILLED + 4];
	ssize_t n = io_pread(k->fd, p, sizeof p, 0, k->e);
	uint32_t sum[2] = {0, 0};

	if (n == -1)
		return -1;
	if (n < (ssize_t)sizeof p || memcmp(p, p + INDEX_HEADER, INDEX_HEADER) != 0)
		return 0;
	add_checksum(sum, p, 40, big);
	k->index_valid = word(p, big) == VERSION && p[12] != 0 && sum[0] == word(p + 40, big) &&
			 sum[1] == word(p + 44, big);
	k->index_frames = word(p + 16, big);
	k->backfilled = word(p + INDEX_BACKFILLED, big);
	memcpy(k->index_salts, p + 32, SALTS);
	return 0;
}

/* ---- the log ---- */

static uint64_t
frame_offset(const struct look *k, uint64_t frame)
{
	return LOG_HEADER + frame * k->frame_size;
}

static int
read_header(struct look *k)
{
	unsigned char p[LOG_HEADER];
	ssize_t n = io_pread(k->fd, p, sizeof p, 0, k->e);
	uint32_t size;

	if (n == -1)
		return -1;
	/* It may have grown since its size was asked for. */
	k->w->cut = n < LOG_HEADER || k->w->size_bytes < LOG_HEADER;
	if (k->w->cut)
		return 0;
	k->big_endian = word(p, true) & 1;
	add_checksum(k->sum, p, 24, k->big_endian);
	size = word(p + 8, true);
	k->w->header_valid = (word(p, true) & ~UINT32_C(1)) == MAGIC &&
			     word(p + 4, true) == VERSION && size >= 512 && size <= 65536 &&
			     (size & (size - 1)) == 0 && k->sum[0] == word(p + 24, true) &&
			     k->sum[1] == word(p + 28, true);
	if (!k->w->header_valid)
		return 0;
	k->w->page_size = size;
	k->frame_size = FRAME_HEADER + size;
	memcpy(k->salts, p + 16, SALTS);
	return 0;
}

/* *valid when the frame is there and continues the checksum; *ends when it ends a transaction. */
static int
read_frame(struct look *k, uint64_t frame, bool *valid, bool *ends)
{
	const unsigned char *p = k->frame;
	ssize_t n = io_pread(k->fd, k->frame, k->frame_size, frame_offset(k, frame), k->e);
	uint32_t sum[2] = {k->sum[0], k->sum[1]};

	*valid = false;
	if (n == -1)
		return -1;
	if ((size_t)n < k->frame_size || word(p, true) == 0 || memcmp(p + 8, k->salts, SALTS) != 0)
		return 0;
	add_checksum(sum, p, 8, k->big_endian);
	add_checksum(sum, p + FRAME_HEADER, k->w->page_size, k->big_endian);
	*valid = sum[0] == word(p + 16, true) && sum[1] == word(p + 20, true);
	*ends = word(p + 4, true) != 0;
	if (*valid)
		memcpy(k->sum, sum, sizeof sum);
	return 0;
}

static int
walk(struct look *k, uint64_t n_frames)
{
	struct walfile *w = k->w;
	bool valid = true, ends;

	while (w->frames < n_frames) {
		if (read_frame(k, w->frames, &valid, &ends) == -1)
			return -1;
		if (!valid)
			break;
		w->frames++;
		if (ends)
			w->committed = w->frames;
	}
	return 0;
}

/* 1 when a frame from this one on ends a transaction of the current generation, 0, -1. */
static int
is_transaction_behind(struct look *k, uint64_t frame, uint64_t n_frames)
{
	unsigned char p[FRAME_HEADER];

	for (; frame < n_frames; frame++) {
		ssize_t n = io_pread(k->fd, p, sizeof p, frame_offset(k, frame), k->e);

		if (n < (ssize_t)sizeof p)
			return n == -1 ? -1 : 0;
		if (memcmp(p + 8, k->salts, SALTS) == 0 && word(p + 4, true) != 0)
			return 1;
	}
	return 0;
}

/* Whether the frame at which the walk stopped is damage (see the header). */
static int
judge_stop(struct look *k, uint64_t n_frames)
{
	struct walfile *w = k->w;
	int rc = 0;

	if (w->frames == n_frames)
		return 0;
	if (w->index_present && w->index_frames > w->frames)
		rc = 1;
	else if (!w->index_present || w->index_frames != w->committed)
		rc = is_transaction_behind(k, w->frames, n_frames);
	if (rc == 1)
		w->damaged_at = frame_offset(k, w->frames);
	return rc == -1 ? -1 : 0;
}

/* Whether the last frame, of which only a part is there, is of the current generation. */
static int
judge_end(struct look *k, uint64_t n_frames)
{
	unsigned char p[8 + SALTS];
	ssize_t n;

	if (frame_offset(k, n_frames) == k->w->size_bytes)
		return 0;
	if ((n = io_pread(k->fd, p, sizeof p, frame_offset(k, n_frames), k->e)) == -1)
		return -1;
	/* Without its salts, it is taken for one of those before it. */
	if (n == (ssize_t)sizeof p)
		k->w->cut = memcmp(p + 8, k->salts, SALTS) == 0;
	else
		k->w->cut = k->w->frames == n_frames;
	return 0;
}

static int
read_log(struct look *k)
{
	struct walfile *w = k->w;
	struct stat st;
	uint64_t n_frames;

	if (fstat(k->fd, &st) == -1)
		return err_sys(k->e, "fstat");
	w->size_bytes = (uint64_t)st.st_size;
	w->present = st.st_size > 0;
	if (!w->present)
		return 0;
	if (read_header(k) == -1)
		return -1;
	/* The first transaction of a new log gives its salts to the index only when it commits. */
	w->index_present = k->index_valid &&
			   (k->index_frames == 0 ||
			       (w->header_valid && memcmp(k->index_salts, k->salts, SALTS) == 0));
	w->index_frames = w->index_present ? k->index_frames : 0;
	if (!w->header_valid)
		return 0;
	n_frames = (w->size_bytes - LOG_HEADER) / k->frame_size;
	if ((k->frame = mem_new(1, k->frame_size, k->e)) == NULL)
		return -1;
	if (walk(k, n_frames) == -1 || judge_stop(k, n_frames) == -1)
		return -1;
	return judge_end(k, n_frames);
}

/* ---- both ---- */

/* No log: what the index knows and nobody wrote back is lost. */
static void
judge_absent(struct look *k)
{
	k->w->index_present = k->index_valid && k->index_frames > k->backfilled;
	k->w->index_frames = k->w->index_present ? k->index_frames : 0;
}

/* Reads DATABASE + suffix when it is there. */
static int
read_side_file(
    struct look *k, const char *database, const char *suffix, int (*look_at)(struct look *k))
{
	struct err *e = k->e;
	char *name = mem_fmt(e, "%s%s", database, suffix);
	int rc = -1;

	if (name == NULL)
		return -1;
	if ((k->fd = io_open(AT_FDCWD, name, e)) != -1)
		rc = look_at(k);
	else if (e->code != NULL && strcmp(e->code, P_MISSING) == 0)
		rc = 0;
	if (rc == -1) {
		/* io takes it for one recording of many. */
		e->class = ERR_SYSTEM;
		e->code = NULL;
		err_prefix(e, "reading %s", name);
	}
	if (k->fd != -1)
		close(k->fd);
	free(name);
	return rc;
}

int
walfile_look(const char *database, struct walfile *w, struct err *e)
{
	struct look k = {.w = w, .e = e, .fd = -1};
	/* SQLite puts the log beside the file and not beside a link to it. */
	char *file = realpath(database, NULL);
	int rc = -1;

	*w = (struct walfile){0};
	if (file == NULL && errno == ENOMEM)
		return err_nomem(e);
	/* The index first: what it knows was in the log before, and a writer only adds to that. */
	if (read_side_file(&k, file != NULL ? file : database, "-shm", read_index) == 0)
		rc = read_side_file(&k, file != NULL ? file : database, "-wal", read_log);
	if (rc == 0 && !w->present)
		judge_absent(&k);
	free(k.frame);
	free(file);
	return rc;
}
