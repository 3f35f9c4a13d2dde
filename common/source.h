/*
 * source: a file of audio, read once.
 *
 * Whoever looks at the file (the walk over its frames, the decoder) asks the source for bytes. The
 * source reads with pread through one buffer and feeds the file's hashes at a frontier that only
 * moves forward: whatever is loaded across it is hashed from there on, so that each byte is hashed
 * once and in order, and a reader that goes through the file from front to back costs one read.
 * Jumps ahead are served without hashing. source_finish reads and hashes what nobody asked for.
 *
 *	s = source_open(fd, size, kinds, stop, bytes_done, e);
 *	source_read(s, offset, p, len) ...
 *	source_finish(s, e);  source_hash(s) ...
 *	source_close(s);
 *
 * A failure (EIO, a request to stop) stays: every read after it gives 0 bytes, so that a decoder
 * comes to an end, and source_failed tells.
 *
 * A `struct view` is the file as the decoder is to see it: pieces of the file and of memory in a
 * row.
 */
#ifndef REC_SOURCE_H
#define REC_SOURCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "hash.h"

struct source;

/*
 * `kinds` are HASH_* or 0 for none; stop and bytes_done as in struct audio_opts. NULL and *e when
 * out of memory. The descriptor is borrowed.
 */
struct source *source_open(int fd, uint64_t size_bytes, int kinds, const atomic_int *stop,
    atomic_ullong *bytes_done, struct err *e);
/* NULL is fine. */
void source_close(struct source *s);

/* Up to len bytes from offset; fewer only at the end of the file or after a failure. */
size_t source_read(struct source *s, uint64_t offset, void *p, size_t len);
/* Reads and hashes what is left. 0, or -1 and *e as source_failed. */
int source_finish(struct source *s, struct err *e);
/* True, and *e filled (ERR_ITEM unreadable, or ERR_STOPPED), when a read failed. */
bool source_failed(const struct source *s, struct err *e);
/* True when it is asked to stop, also between reads. */
bool source_stopped(struct source *s);

uint64_t source_size(const struct source *s);
/* The file's digests, after source_finish; NULL when none were asked for. */
struct hash *source_hash(struct source *s);
/* Where the run of zero bytes that ends at the end of the file begins, after source_finish. */
uint64_t source_zero_start(const struct source *s);

struct view_piece {
	unsigned char *mem; /* owned, or NULL: of the file */
	uint64_t offset;    /* in the file */
	uint64_t len;
	uint64_t at; /* in the view */
};

struct view {
	struct source *source;
	struct view_piece *pieces;
	size_t n, cap;
	uint64_t size, pos;
};

int view_add_file(struct view *v, uint64_t offset, uint64_t len, struct err *e);
/* Copies the bytes. */
int view_add_bytes(struct view *v, const void *p, size_t len, struct err *e);
/* From v->pos on, which moves. */
size_t view_read(struct view *v, void *p, size_t len);
/* Frees the pieces; the view can be filled again. */
void view_clear(struct view *v);

#endif
