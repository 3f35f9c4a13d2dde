#include "utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Length of the character at s (at most len bytes), 0 when it is not valid; its value in *cp. */
static size_t
decode(const unsigned char *s, size_t len, uint32_t *cp)
{
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n, i;

	if (s[0] < 0x80) {
		*cp = s[0];
		return 1;
	}
	n = s[0] >= 0xf0 && s[0] < 0xf8	  ? 4
	    : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
	    : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
					  : 0;
	if (n == 0 || n > len)
		return 0;
	*cp = s[0] & (0xff >> (n + 1));
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*cp = *cp << 6 | (s[i] & 0x3f);
	}
	if (*cp < least[n] || *cp > 0x10ffff || (*cp >= 0xd800 && *cp <= 0xdfff))
		return 0;
	return n;
}

bool
utf8_valid(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s;
	uint32_t cp;
	size_t n;

	for (; len > 0; p += n, len -= n) {
		n = 1;
		if (*p >= 0x80 && (n = decode(p, len, &cp)) == 0)
			return false;
	}
	return true;
}

size_t
utf8_escape(char *dst, size_t size, const char *src, size_t len)
{
	const unsigned char *p = (const unsigned char *)src;
	size_t out = 0, n;
	uint32_t cp;

	while (len > 0) {
		n = decode(p, len, &cp);
		if (n == 0 || cp < 0x20 || (cp >= 0x7f && cp < 0xa0)) {
			n = n == 0 ? 1 : n;
			if (out + 4 * n + 1 > size)
				break;
			for (size_t i = 0; i < n; i++)
				out += (size_t)snprintf(dst + out, size - out, "\\x%02x", p[i]);
		} else {
			if (out + n + 1 > size)
				break;
			memcpy(dst + out, p, n);
			out += n;
		}
		p += n;
		len -= n;
	}
	if (size > 0)
		dst[out] = '\0';
	return out;
}

/* East Asian wide ranges in outline (Unicode TR 11); combining marks take no column. */
static size_t
width(uint32_t cp)
{
	if ((cp >= 0x300 && cp <= 0x36f) || (cp >= 0x200b && cp <= 0x200f) || cp == 0xfeff)
		return 0;
	if ((cp >= 0x1100 && cp <= 0x115f) || (cp >= 0x2e80 && cp <= 0xa4cf) ||
	    (cp >= 0xac00 && cp <= 0xd7a3) || (cp >= 0xf900 && cp <= 0xfaff) ||
	    (cp >= 0xfe30 && cp <= 0xfe6f) || (cp >= 0xff00 && cp <= 0xff60) ||
	    (cp >= 0x1f300 && cp <= 0x1faff) || (cp >= 0x20000 && cp <= 0x3fffd))
		return 2;
	return 1;
}

size_t
utf8_columns(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t len = strlen(s), columns = 0, n;
	uint32_t cp;

	for (; len > 0; p += n, len -= n) {
		if ((n = decode(p, len, &cp)) == 0)
			n = 1, cp = 0;
		columns += width(cp);
	}
	return columns;
}

size_t
utf8_fit(const char *s, size_t columns)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t len = strlen(s), used = 0, at = 0, n;
	uint32_t cp;

	for (; at < len; at += n) {
		if ((n = decode(p + at, len - at, &cp)) == 0)
			n = 1, cp = 0;
		if (used + width(cp) > columns)
			break;
		used += width(cp);
	}
	return at;
}
