/*
 * Three ways lead to the same bytes, and each is tried before the next: sharing blocks, copying in
 * the kernel, reading and writing. What the first two answer when they cannot differs from one file
 * system to the other, and an errno of theirs does not tell which of both files has failed. So any
 * failure of theirs means only that they are not to be asked again, and reading and writing find
 * out what is wrong, if anything is.
 */
#include "pieces.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bytes.h"
#include "io.h"
#include "mem.h"

/* Steps between two looks at stop. Sharing waits until the old blocks are on the disk. */
#define SHARE_STEP ((uint64_t)256 << 20)
#define KERNEL_STEP ((uint64_t)8 << 20)
#define BLOCK ((size_t)1 << 20)
/* The disk writes while more is copied, so that the fsync at the end has little left to do. */
#define WRITEBACK_STEP ((uint64_t)8 << 20)

struct piece {
	char *bytes;	       /* owned, or NULL */
	int fd;		       /* -1: of bytes, or zeros */
	uint64_t offset;       /* in the file */
	uint64_t len;	       /* in bytes */
	pieces_change *change; /* or NULL */
	void *ctx;
	size_t unit;
};

struct writer {
	int out_fd;
	uint64_t at;	/* in the new file */
	uint64_t begun; /* up to here the kernel was asked to write to the disk */
	const atomic_int *stop;
	atomic_ullong *bytes_done;
	int fd; /* of the old file that the next two are about */
	bool no_sharing, no_kernel_copy;
	char *block;
	struct err *e;
};

static uint64_t
lesser(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ---- the list ---- */

static struct piece *
add(struct pieces *p, uint64_t len, struct err *e)
{
	struct piece *list;

	if (p->n == p->cap) {
		unsigned cap = p->cap == 0 ? 16 : p->cap * 2;

		if ((list = realloc(p->list, cap * sizeof *list)) == NULL) {
			err_nomem(e);
			return NULL;
		}
		p->list = list;
		p->cap = cap;
	}
	p->size_bytes += len;
	p->list[p->n] = (struct piece){.fd = -1, .len = len};
	return &p->list[p->n++];
}

int
pieces_add_bytes(struct pieces *p, const void *bytes, size_t len, struct err *e)
{
	char *copy = mem_bytes(bytes, len, e);
	struct piece *piece = copy == NULL ? NULL : add(p, len, e);

	if (piece == NULL) {
		free(copy);
		return -1;
	}
	piece->bytes = copy;
	return 0;
}

int
pieces_add_zeros(struct pieces *p, uint64_t len, struct err *e)
{
	return len > 0 && add(p, len, e) == NULL ? -1 : 0;
}

int
pieces_add_file(struct pieces *p, int fd, uint64_t offset, uint64_t len, struct err *e)
{
	struct piece *piece = p->n == 0 ? NULL : &p->list[p->n - 1];

	if (len == 0)
		return 0;
	if (piece != NULL && piece->fd == fd && piece->change == NULL &&
	    piece->offset + piece->len == offset) {
		piece->len += len;
		p->size_bytes += len;
		return 0;
	}
	if ((piece = add(p, len, e)) == NULL)
		return -1;
	piece->fd = fd;
	piece->offset = offset;
	return 0;
}

int
pieces_add_changed(struct pieces *p, int fd, uint64_t offset, uint64_t len, size_t unit,
    pieces_change *change, void *ctx, struct err *e)
{
	struct piece *piece = len == 0 ? NULL : add(p, len, e);

	if (piece == NULL)
		return len == 0 ? 0 : -1;
	piece->fd = fd;
	piece->offset = offset;
	piece->change = change;
	piece->ctx = ctx;
	piece->unit = unit;
	return 0;
}

void
pieces_patch(struct pieces *p, uint64_t at, const void *bytes, size_t len)
{
	struct piece *piece = p->list;

	while (at >= piece->len)
		at -= (piece++)->len;
	memcpy(piece->bytes + at, bytes, len);
}

void
pieces_use(struct pieces *p, int fd)
{
	for (unsigned i = 0; i < p->n; i++)
		if (p->list[i].fd != -1)
			p->list[i].fd = fd;
}

void
pieces_free(struct pieces *p)
{
	for (unsigned i = 0; i < p->n; i++)
		free(p->list[i].bytes);
	free(p->list);
	*p = (struct pieces){0};
}

/* ---- writing ---- */

static int
check_stop(const struct writer *w)
{
	if (w->stop != NULL && atomic_load(w->stop) != 0)
		return err_set(w->e, ERR_STOPPED, NULL, "stopped");
	return 0;
}

/* The bytes that now share their blocks with the old file's; 0 when none do. */
static uint64_t
share(struct writer *w, int fd, uint64_t offset, uint64_t len)
{
	struct file_clone_range r = {.src_fd = fd, .src_offset = offset, .dest_offset = w->at};

	r.src_length = lesser(len, SHARE_STEP);
	r.src_length -= r.src_length % PIECES_BLOCK;
	if (w->no_sharing || r.src_length == 0 || offset % PIECES_BLOCK != 0 ||
	    w->at % PIECES_BLOCK != 0)
		return 0;
	if (ioctl(w->out_fd, FICLONERANGE, &r) == 0)
		return r.src_length;
	w->no_sharing = true;
	return 0;
}

/* How many bytes are to be copied before blocks that can be shared begin. */
static uint64_t
before_shared(const struct writer *w, uint64_t offset, uint64_t len)
{
	uint64_t edge = PIECES_BLOCK - offset % PIECES_BLOCK;

	if (w->no_sharing || offset % PIECES_BLOCK != w->at % PIECES_BLOCK)
		return len;
	return lesser(edge, len);
}

/* The bytes that the kernel has copied; 0 when it has none, also at the end of the old file. */
static uint64_t
copy_in_kernel(struct writer *w, int fd, uint64_t offset, uint64_t len)
{
	off_t from = (off_t)offset, to = (off_t)w->at;
	size_t step = (size_t)lesser(len, KERNEL_STEP);
	ssize_t n;

	if (w->no_kernel_copy)
		return 0;
	while ((n = copy_file_range(fd, &from, w->out_fd, &to, step, 0)) == -1 && errno == EINTR)
		;
	if (n > 0)
		return (uint64_t)n;
	w->no_kernel_copy = true;
	return 0;
}

/* The bytes that were read and written; 0 and *e. */
static uint64_t
copy_by_hand(struct writer *w, int fd, uint64_t offset, uint64_t len)
{
	size_t n = (size_t)lesser(len, BLOCK);

	if (bytes_read(fd, offset, w->block, n, w->e) == -1 ||
	    io_pwrite(w->out_fd, w->block, n, w->at, NULL, w->e) == -1)
		return 0;
	return n;
}

static void
advance(struct writer *w, uint64_t n)
{
	w->at += n;
	if (w->bytes_done != NULL)
		atomic_fetch_add(w->bytes_done, (unsigned long long)n);
	/* Only a hint: what goes wrong with it, fsync tells. */
	if (w->at - w->begun >= WRITEBACK_STEP) {
		sync_file_range(
		    w->out_fd, (off_t)w->begun, (off_t)(w->at - w->begun), SYNC_FILE_RANGE_WRITE);
		w->begun = w->at;
	}
}

static int
write_stretch(struct writer *w, const struct piece *p)
{
	if (w->fd != p->fd)
		w->no_sharing = w->no_kernel_copy = false;
	w->fd = p->fd;
	for (uint64_t done = 0, n; done < p->len; done += n) {
		uint64_t offset = p->offset + done, left = p->len - done;

		if (check_stop(w) == -1)
			return -1;
		if ((n = share(w, p->fd, offset, left)) == 0) {
			left = before_shared(w, offset, left);
			if ((n = copy_in_kernel(w, p->fd, offset, left)) == 0 &&
			    (n = copy_by_hand(w, p->fd, offset, left)) == 0)
				return -1;
		}
		advance(w, n);
	}
	return 0;
}

static int
write_changed(struct writer *w, const struct piece *p)
{
	const size_t step = BLOCK - BLOCK % p->unit;

	for (uint64_t done = 0; done < p->len;) {
		size_t n = (size_t)lesser(p->len - done, step);

		if (check_stop(w) == -1 ||
		    bytes_read(p->fd, p->offset + done, w->block, n, w->e) == -1)
			return -1;
		p->change(p->ctx, (unsigned char *)w->block, n, w->at);
		if (io_pwrite(w->out_fd, w->block, n, w->at, NULL, w->e) == -1)
			return -1;
		advance(w, n);
		done += n;
	}
	return 0;
}

static int
write_memory(struct writer *w, const struct piece *p)
{
	if (p->bytes == NULL)
		memset(w->block, 0, BLOCK);
	for (uint64_t done = 0; done < p->len;) {
		size_t n = (size_t)lesser(p->len - done, BLOCK);
		const char *bytes = p->bytes != NULL ? p->bytes + done : w->block;

		if (io_pwrite(w->out_fd, bytes, n, w->at, NULL, w->e) == -1)
			return -1;
		w->at += n;
		done += n;
	}
	return 0;
}

int
pieces_write(const struct pieces *p, int out_fd, const atomic_int *stop, atomic_ullong *bytes_done,
    struct err *e)
{
	struct writer w = {
	    .out_fd = out_fd, .stop = stop, .bytes_done = bytes_done, .fd = -1, .e = e};
	int rc = (w.block = mem_new(BLOCK, 1, e)) == NULL ? -1 : 0;

	for (unsigned i = 0; rc == 0 && i < p->n; i++) {
		const struct piece *piece = &p->list[i];

		if (piece->fd == -1)
			rc = write_memory(&w, piece);
		else
			rc = piece->change != NULL ? write_changed(&w, piece)
						   : write_stretch(&w, piece);
	}
	free(w.block);
	return rc;
}
