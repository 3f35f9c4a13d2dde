/*
 * pieces: a new file, made of stretches of old files and of bytes from memory, written at the speed
 * of a copy.
 *
 *	pieces_add_bytes(&p, header, len, e)
 *	pieces_add_file(&p, fd, offset, len, e)
 *	pieces_add_changed(&p, fd, offset, len, unit, change, ctx, e)
 *	pieces_write(&p, out_fd, stop, bytes_done, e)
 *	pieces_free(&p)
 *
 * Start with {0}. A stretch is shared where the file system shares blocks (FICLONERANGE, as XFS
 * and Btrfs have it) and both places lie alike in their blocks; else copied by the kernel
 * (copy_file_range), else read and written. Descriptors are borrowed, and are to stay open until
 * pieces_write is over.
 */
#ifndef REC_PIECES_H
#define REC_PIECES_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* What sharing needs both places to be multiples of. */
#define PIECES_BLOCK 4096

struct piece;

struct pieces {
	struct piece *list;
	unsigned n, cap;
	uint64_t size_bytes; /* of the new file */
};

/* Changes len bytes, whole units, that will stand at `at` in the new file. */
typedef void pieces_change(void *ctx, unsigned char *p, size_t len, uint64_t at);

/* Each 0, or -1 and *e when out of memory. Bytes are copied. */
int pieces_add_bytes(struct pieces *p, const void *bytes, size_t len, struct err *e);
int pieces_add_zeros(struct pieces *p, uint64_t len, struct err *e);
int pieces_add_file(struct pieces *p, int fd, uint64_t offset, uint64_t len, struct err *e);
/* A stretch whose bytes are read, changed and written: whole units, each at most 64 KiB long. */
int pieces_add_changed(struct pieces *p, int fd, uint64_t offset, uint64_t len, size_t unit,
    pieces_change *change, void *ctx, struct err *e);
/* Replaces bytes at `at` of the new file that one call of pieces_add_bytes has given: sizes that
 * are known only at the end. */
void pieces_patch(struct pieces *p, uint64_t at, const void *bytes, size_t len);
/* All stretches are read from fd: for a list that outlives the descriptor it was made with. */
void pieces_use(struct pieces *p, int fd);

/*
 * Writes the new file at out_fd (seekable, empty) from its start. stop and bytes_done (of the
 * stretches' bytes) as in audio.h, or NULL. 0, or -1 and *e: ERR_ITEM (unreadable; modified, when a
 * file became shorter), ERR_STOPPED, ERR_SYSTEM (a full disk); what was written until then is of no
 * use.
 */
int pieces_write(const struct pieces *p, int out_fd, const atomic_int *stop,
    atomic_ullong *bytes_done, struct err *e);
void pieces_free(struct pieces *p);

#endif
