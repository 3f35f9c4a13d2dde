/*
 * utf8: what is valid UTF-8 (RFC 3629), and how bytes are shown that are not.
 */
#ifndef REC_UTF8_H
#define REC_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* True when the len bytes at s are valid UTF-8 (no surrogates, no overlong forms). NUL is valid. */
bool utf8_valid(const char *s, size_t len);

/*
 * Copies len bytes of src into dst (size bytes, always NUL-terminated), with control characters and
 * bytes that are not valid UTF-8 written as \xNN. Cuts at a character's edge when dst is too small.
 * Returns the length written.
 */
size_t utf8_escape(char *dst, size_t size, const char *src, size_t len);

/* Columns that a valid UTF-8 string takes on a terminal (wide characters count two). */
size_t utf8_columns(const char *s);

/* Bytes of s that fit into `columns` columns, cut at a character's edge. */
size_t utf8_fit(const char *s, size_t columns);

#endif
