/*
 * bytes: numbers of 1 to 8 bytes as they stand in files, at places that need not be aligned; `big`:
 * the most significant byte comes first.
 */
#ifndef REC_BYTES_H
#define REC_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "mem.h"

uint64_t bytes_number(const void *p, unsigned bytes, bool big);
/* The lower bytes of v. */
void bytes_put(void *p, uint64_t v, unsigned bytes, bool big);
/* The same behind what b holds: 0, or -1 and *e when out of memory. */
int bytes_add(struct buf *b, uint64_t v, unsigned bytes, bool big, struct err *e);

/*
 * Exactly len bytes of a file that were there when its size was taken. 0, or -1 and *e (ERR_ITEM:
 * unreadable; modified, when it became shorter).
 */
int bytes_read(int fd, uint64_t offset, void *p, size_t len, struct err *e);

#endif
