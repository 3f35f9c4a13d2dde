/*
 * Sentences are cleaned as they are made (control bytes and bytes that are not UTF-8 become \xNN),
 * so that no caller can let a hostile file name reach a terminal or a JSON string.
 */
#include "err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "utf8.h"

static int
fill(struct err *e, enum err_class class, int sys, const char *code, const char *fmt, va_list ap)
{
	char raw[sizeof e->text];

	vsnprintf(raw, sizeof raw, fmt, ap);
	e->class = class;
	e->sys = sys;
	e->code = code;
	utf8_escape(e->text, sizeof e->text, raw, strlen(raw));
	return -1;
}

int
err_set(struct err *e, enum err_class class, const char *code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(e, class, 0, code, fmt, ap);
	va_end(ap);
	return -1;
}

int
err_item(struct err *e, const char *code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(e, ERR_ITEM, 0, code, fmt, ap);
	va_end(ap);
	return -1;
}

int
err_sys(struct err *e, const char *fmt, ...)
{
	int sys = errno;
	size_t n;
	va_list ap;

	va_start(ap, fmt);
	fill(e, ERR_SYSTEM, sys, NULL, fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	snprintf(e->text + n, sizeof e->text - n, ": %s", strerror(sys));
	return -1;
}

int
err_nomem(struct err *e)
{
	e->class = ERR_SYSTEM;
	e->sys = ENOMEM;
	e->code = NULL;
	strcpy(e->text, "out of memory");
	return -1;
}

int
err_prefix(struct err *e, const char *fmt, ...)
{
	char old[sizeof e->text], raw[sizeof e->text];
	size_t n;
	va_list ap;

	memcpy(old, e->text, sizeof old);
	va_start(ap, fmt);
	vsnprintf(raw, sizeof raw, fmt, ap);
	va_end(ap);
	n = utf8_escape(e->text, sizeof e->text, raw, strlen(raw));
	n += utf8_escape(e->text + n, sizeof e->text - n, ": ", 2);
	/* It is clean already; this cuts it at a character's edge. */
	utf8_escape(e->text + n, sizeof e->text - n, old, strlen(old));
	return -1;
}

const char *
err_known_code(const char *text)
{
	static const char *const codes[] = {P_MISSING, P_UNREADABLE, P_DENIED, P_NOT_AUDIO,
	    P_UNSUPPORTED, P_EMPTY, P_TRUNCATED, P_HEADER_MISMATCH, P_DECODE_ERROR, P_ZERO_TAIL,
	    P_CHECKSUM_MISMATCH, P_MODIFIED, P_SIZE_MISMATCH, P_ORPHAN, P_MOVED, P_DUPLICATE,
	    P_UNSAFE_PATH, P_TOO_LARGE, P_NO_SPACE, P_CONFLICT, P_BUSY, P_REMOTE, P_VOLUME_ABSENT};

	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		if (strcmp(codes[i], text) == 0)
			return codes[i];
	return P_BAD_RECORD;
}

const char *
err_code_of_errno(int sys)
{
	switch (sys) {
	case ENOENT:
	case ENOTDIR:
		return P_MISSING;
	case EACCES:
	case EPERM:
		return P_DENIED;
	case ELOOP:
	case EXDEV:
		return P_UNSAFE_PATH;
	default:
		return P_UNREADABLE;
	}
}
