#include "bytes.h"

#include <inttypes.h>

#include "io.h"

uint64_t
bytes_number(const void *p, unsigned bytes, bool big)
{
	const unsigned char *b = p;
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v = v << 8 | b[big ? i : bytes - 1 - i];
	return v;
}

void
bytes_put(void *p, uint64_t v, unsigned bytes, bool big)
{
	unsigned char *b = p;

	for (unsigned i = 0; i < bytes; i++)
		b[big ? bytes - 1 - i : i] = (unsigned char)(v >> (8 * i));
}

int
bytes_add(struct buf *b, uint64_t v, unsigned bytes, bool big, struct err *e)
{
	unsigned char n[8];

	bytes_put(n, v, bytes, big);
	return buf_add(b, n, bytes, e);
}

int
bytes_read(int fd, uint64_t offset, void *p, size_t len, struct err *e)
{
	ssize_t n = io_pread(fd, p, len, offset, e);

	if (n == -1)
		return -1;
	return (size_t)n == len ? 0
				: err_item(e, P_MODIFIED,
				      "became shorter while it was read: it ends at byte %" PRIu64,
				      offset + (uint64_t)n);
}
