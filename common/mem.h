/*
 * mem: memory that reports failure, growing buffers, and arithmetic that does not wrap.
 */
#ifndef REC_MEM_H
#define REC_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* Zeroed memory for n items of size bytes, or NULL and *e. The caller frees. */
void *mem_new(size_t n, size_t size, struct err *e);
/* A copy of s (or of len bytes and a NUL), or NULL and *e. The caller frees. */
char *mem_str(const char *s, struct err *e);
char *mem_bytes(const void *p, size_t len, struct err *e);
/* As asprintf, or NULL and *e. The caller frees. */
char *mem_fmt(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A growing run of bytes. Start with {0}; data is NULL while len is 0, else NUL-terminated. */
struct buf {
	char *data;
	size_t len;
	size_t cap;
};

int buf_add(struct buf *b, const void *p, size_t len, struct err *e);
int buf_adds(struct buf *b, const char *s, struct err *e);
/* Strings, with a NULL behind the last: much cheaper than a format. */
int buf_add_each(struct buf *b, const char *const strings[], struct err *e);
#define buf_join(b, e, ...) buf_add_each(b, (const char *const[]){__VA_ARGS__, NULL}, e)
int buf_addf(struct buf *b, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Room for `more` bytes after len; they may be written directly, then len raised. */
int buf_room(struct buf *b, size_t more, struct err *e);
/* Forgets the contents, keeps the memory. */
void buf_clear(struct buf *b);
void buf_free(struct buf *b);

/* True and *out on success, false when the result does not fit. */
bool mem_mul(uint64_t a, uint64_t b, uint64_t *out);
bool mem_add(uint64_t a, uint64_t b, uint64_t *out);

/* A whole decimal number and nothing else, between lo and hi; false otherwise. */
bool mem_parse_i64(const char *s, int64_t lo, int64_t hi, int64_t *out);

#endif
