#include "mem.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Most of what is formatted fits into so many bytes. */
#define SHORT 64

void *
mem_new(size_t n, size_t size, struct err *e)
{
	void *p = calloc(n > 0 ? n : 1, size > 0 ? size : 1);

	if (p == NULL)
		err_nomem(e);
	return p;
}

char *
mem_bytes(const void *p, size_t len, struct err *e)
{
	char *s;

	if (len == SIZE_MAX || (s = malloc(len + 1)) == NULL) {
		err_nomem(e);
		return NULL;
	}
	if (len > 0)
		memcpy(s, p, len);
	s[len] = '\0';
	return s;
}

char *
mem_str(const char *s, struct err *e)
{
	return mem_bytes(s, strlen(s), e);
}

char *
mem_fmt(struct err *e, const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n == -1) {
		err_nomem(e);
		return NULL;
	}
	return s;
}

int
buf_room(struct buf *b, size_t more, struct err *e)
{
	size_t need, cap;
	char *p;

	if (__builtin_add_overflow(b->len, more, &need) || __builtin_add_overflow(need, 1, &need))
		return err_nomem(e);
	if (need <= b->cap)
		return 0;
	cap = b->cap > SIZE_MAX / 2 ? need : b->cap * 2;
	cap = cap < need ? need : cap;
	cap = cap < 256 ? 256 : cap;
	if ((p = realloc(b->data, cap)) == NULL)
		return err_nomem(e);
	b->data = p;
	b->cap = cap;
	return 0;
}

int
buf_add(struct buf *b, const void *p, size_t len, struct err *e)
{
	if (buf_room(b, len, e) == -1)
		return -1;
	if (len > 0)
		memcpy(b->data + b->len, p, len);
	b->len += len;
	b->data[b->len] = '\0';
	return 0;
}

int
buf_adds(struct buf *b, const char *s, struct err *e)
{
	return buf_add(b, s, strlen(s), e);
}

int
buf_add_each(struct buf *b, const char *const strings[], struct err *e)
{
	int rc = 0;

	for (; rc == 0 && *strings != NULL; strings++)
		rc = buf_adds(b, *strings, e);
	return rc;
}

int
buf_addf(struct buf *b, struct err *e, const char *fmt, ...)
{
	va_list ap;
	int n = SHORT;

	for (;;) {
		if (buf_room(b, (size_t)n, e) == -1)
			return -1;
		va_start(ap, fmt);
		n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
		va_end(ap);
		if (n >= 0 && (size_t)n < b->cap - b->len) {
			b->len += (size_t)n;
			return 0;
		}
		b->data[b->len] = '\0';
		if (n < 0)
			return err_nomem(e);
	}
}

void
buf_clear(struct buf *b)
{
	b->len = 0;
	if (b->data != NULL)
		b->data[0] = '\0';
}

void
buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

bool
mem_mul(uint64_t a, uint64_t b, uint64_t *out)
{
	return !__builtin_mul_overflow(a, b, out);
}

bool
mem_add(uint64_t a, uint64_t b, uint64_t *out)
{
	return !__builtin_add_overflow(a, b, out);
}

bool
mem_parse_i64(const char *s, int64_t lo, int64_t hi, int64_t *out)
{
	char *end;
	long long v;

	if (!isdigit((unsigned char)s[s[0] == '-' || s[0] == '+']))
		return false;
	errno = 0;
	v = strtoll(s, &end, 10);
	if (errno != 0 || *end != '\0' || v < lo || v > hi)
		return false;
	*out = v;
	return true;
}
