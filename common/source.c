/*
 * The buffer is larger than what any decoder asks for at a time. A load starts where it was asked
 * for, or at the frontier when that is a little before: then a decoder that skips a few bytes (a
 * chunk's pad, a tag) does not make the source read the same stretch again at the end.
 */
#include "source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mem.h"

#define BUFFER_SIZE ((size_t)256 << 10)
#define JUMP_SIZE ((size_t)32 << 10)
/* Walks look a frame ahead and come back: that much stays in the buffer. */
#define KEEP_SIZE ((size_t)72 << 10)

struct source {
	int fd;
	uint64_t size;
	struct hash *hash;
	const atomic_int *stop;
	atomic_ullong *bytes_done;
	unsigned char *buf;
	uint64_t at; /* what the buffer holds */
	size_t len;
	uint64_t frontier;
	uint64_t zero_start;
	int sys; /* errno of the first failure */
	uint64_t failed_at;
	bool stopped, failed;
};

struct source *
source_open(int fd, uint64_t size_bytes, int kinds, const atomic_int *stop,
    atomic_ullong *bytes_done, struct err *e)
{
	struct source *s = mem_new(1, sizeof *s, e);

	if (s == NULL)
		return NULL;
	s->fd = fd;
	s->size = size_bytes;
	s->stop = stop;
	s->bytes_done = bytes_done;
	if ((s->buf = mem_new(1, BUFFER_SIZE, e)) == NULL ||
	    (kinds != 0 && (s->hash = hash_open(kinds, e)) == NULL)) {
		source_close(s);
		return NULL;
	}
	return s;
}

void
source_close(struct source *s)
{
	if (s == NULL)
		return;
	hash_close(s->hash);
	free(s->buf);
	free(s);
}

bool
source_stopped(struct source *s)
{
	if (!s->stopped && s->stop != NULL &&
	    atomic_load_explicit(s->stop, memory_order_relaxed) != 0)
		s->stopped = true;
	return s->stopped;
}

/* Bytes after the last one that is not zero; len when all are zero. */
static size_t
zeros_at_end(const unsigned char *p, size_t len)
{
	size_t n = 0;
	uint64_t word;

	while (len - n >= sizeof word) {
		memcpy(&word, p + len - n - sizeof word, sizeof word);
		if (word != 0)
			break;
		n += sizeof word;
	}
	while (n < len && p[len - n - 1] == 0)
		n++;
	return n;
}

static void
advance(struct source *s)
{
	const unsigned char *p = s->buf + (s->frontier - s->at);
	size_t len = (size_t)(s->at + s->len - s->frontier), zeros;

	if (s->hash != NULL)
		hash_update(s->hash, p, len);
	if ((zeros = zeros_at_end(p, len)) < len)
		s->zero_start = s->frontier + len - zeros;
	s->frontier += len;
	if (s->bytes_done != NULL)
		atomic_fetch_add_explicit(s->bytes_done, len, memory_order_relaxed);
}

/* Makes room in the buffer for the bytes at offset; what was read just before them is kept. */
static void
place(struct source *s, uint64_t offset)
{
	uint64_t end = s->at + s->len;

	if (s->len >= KEEP_SIZE && offset >= end && offset - end < BUFFER_SIZE - KEEP_SIZE) {
		memmove(s->buf, s->buf + s->len - KEEP_SIZE, KEEP_SIZE);
		s->at = end - KEEP_SIZE;
		s->len = KEEP_SIZE;
		return;
	}
	if (offset > s->frontier && offset - s->frontier < BUFFER_SIZE)
		offset = s->frontier;
	s->at = offset;
	s->len = 0;
}

/* Fills the buffer so that it holds the byte at offset; false at the end and after a failure. */
static bool
load(struct source *s, uint64_t offset)
{
	size_t want = BUFFER_SIZE, before;

	if (source_stopped(s) || s->failed || offset >= s->size)
		return false;
	place(s, offset);
	if (s->at > s->frontier)
		want = JUMP_SIZE;
	if (s->size - s->at < want)
		want = (size_t)(s->size - s->at);
	before = s->len;
	while (s->len < want) {
		ssize_t n = pread(s->fd, s->buf + s->len, want - s->len, (off_t)(s->at + s->len));

		if (n == 0) /* cut while we read: the caller compares size and mtime */
			break;
		if (n > 0) {
			s->len += (size_t)n;
		} else if (errno != EINTR) {
			/* What was read before it is good and is served; the next load fails again.
			 */
			if (s->len > before)
				break;
			s->failed = true;
			s->sys = errno;
			s->failed_at = s->at + s->len;
			return false;
		}
	}
	if (s->at <= s->frontier && s->at + s->len > s->frontier)
		advance(s);
	return s->at + s->len > offset;
}

size_t
source_read(struct source *s, uint64_t offset, void *p, size_t len)
{
	size_t done = 0;

	while (done < len) {
		uint64_t from = offset + done;
		size_t n;

		if (from < s->at || from >= s->at + s->len) {
			if (!load(s, from))
				break;
		}
		n = s->len - (size_t)(from - s->at);
		n = n < len - done ? n : len - done;
		memcpy((char *)p + done, s->buf + (from - s->at), n);
		done += n;
	}
	return done;
}

int
source_finish(struct source *s, struct err *e)
{
	while (s->frontier < s->size && load(s, s->frontier))
		;
	return source_failed(s, e) ? -1 : 0;
}

bool
source_failed(const struct source *s, struct err *e)
{
	if (s->stopped) {
		err_set(e, ERR_STOPPED, NULL, "stopped");
		return true;
	}
	if (!s->failed)
		return false;
	err_item(e, P_UNREADABLE, "reading at byte %llu of %llu: %s",
	    (unsigned long long)s->failed_at, (unsigned long long)s->size, strerror(s->sys));
	e->sys = s->sys;
	return true;
}

uint64_t
source_size(const struct source *s)
{
	return s->size;
}

struct hash *
source_hash(struct source *s)
{
	return s->hash;
}

uint64_t
source_zero_start(const struct source *s)
{
	return s->zero_start;
}

static int
add_piece(struct view *v, struct view_piece p, struct err *e)
{
	if (v->n == v->cap) {
		size_t cap = v->cap == 0 ? 8 : v->cap * 2;
		struct view_piece *pieces = realloc(v->pieces, cap * sizeof *pieces);

		if (pieces == NULL)
			return err_nomem(e);
		v->pieces = pieces;
		v->cap = cap;
	}
	p.at = v->size;
	v->size += p.len;
	v->pieces[v->n++] = p;
	return 0;
}

int
view_add_file(struct view *v, uint64_t offset, uint64_t len, struct err *e)
{
	return len == 0 ? 0 : add_piece(v, (struct view_piece){.offset = offset, .len = len}, e);
}

int
view_add_bytes(struct view *v, const void *p, size_t len, struct err *e)
{
	unsigned char *mem = (unsigned char *)mem_bytes(p, len, e);

	if (mem == NULL)
		return -1;
	if (add_piece(v, (struct view_piece){.mem = mem, .len = len}, e) == -1) {
		free(mem);
		return -1;
	}
	return 0;
}

/* The piece that holds pos, which lies within the view. */
static const struct view_piece *
piece_at(const struct view *v, uint64_t pos)
{
	size_t lo = 0, hi = v->n;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (v->pieces[mid].at <= pos)
			lo = mid;
		else
			hi = mid;
	}
	return &v->pieces[lo];
}

size_t
view_read(struct view *v, void *p, size_t len)
{
	size_t done = 0;

	while (done < len && v->pos < v->size) {
		const struct view_piece *piece = piece_at(v, v->pos);
		uint64_t in = v->pos - piece->at;
		size_t n = piece->len - in < len - done ? (size_t)(piece->len - in) : len - done;

		if (piece->mem != NULL)
			memcpy((char *)p + done, piece->mem + in, n);
		else
			n = source_read(v->source, piece->offset + in, (char *)p + done, n);
		if (n == 0)
			break;
		v->pos += n;
		done += n;
	}
	return done;
}

void
view_clear(struct view *v)
{
	for (size_t i = 0; i < v->n; i++)
		free(v->pieces[i].mem);
	free(v->pieces);
	v->pieces = NULL;
	v->n = v->cap = 0;
	v->size = v->pos = 0;
}
