/*
 * err: what went wrong, as a value.
 *
 * Library functions return 0 or -1 (a pointer or NULL) and fill the `struct err` passed last.
 * They never print and never exit. A caller that knows more adds it in front:
 *
 *	if (io_read_all(fd, ..., e) == -1)
 *		return err_prefix(e, "reading %s", name);
 *
 * The class decides what a tool does (go on with the next item, stop, try later); `sys` is the
 * errno or 0; `code` is the problem code of a record (see the constants below) for ERR_ITEM, else
 * NULL; the sentence is for people and says what to do where that is known. The sentence is always
 * valid UTF-8 without control characters, whatever file names went into it.
 */
#ifndef REC_ERR_H
#define REC_ERR_H

#include <stdarg.h>

enum err_class {
	ERR_NONE,
	ERR_ITEM,      /* this item only: it gets a problem record, the batch goes on */
	ERR_USAGE,     /* the command line is wrong: status 2 */
	ERR_CONFIG,    /* a configured value is wrong: status 3 */
	ERR_SYSTEM,    /* memory, disk, kernel: status 3 */
	ERR_CATALOGUE, /* the database or a journal is damaged or not ours: status 3 */
	ERR_BUSY,      /* somebody else is writing; later may help: status 4 */
	ERR_STOPPED,   /* a signal or a closed pipe asked to stop; nothing to tell */
};

struct err {
	enum err_class class;
	int sys;	  /* errno, or 0 */
	const char *code; /* problem code (static string) or NULL */
	char text[768];	  /* one sentence, no newline */
};

/* Problem codes of records, DESIGN section 1. */
#define P_MISSING "missing"
#define P_UNREADABLE "unreadable"
#define P_DENIED "denied"
#define P_NOT_AUDIO "not_audio"
#define P_UNSUPPORTED "unsupported"
#define P_EMPTY "empty"
#define P_TRUNCATED "truncated"
#define P_HEADER_MISMATCH "header_mismatch"
#define P_DECODE_ERROR "decode_error"
#define P_ZERO_TAIL "zero_tail"
#define P_CHECKSUM_MISMATCH "checksum_mismatch"
#define P_MODIFIED "modified"
#define P_SIZE_MISMATCH "size_mismatch"
#define P_ORPHAN "orphan"
#define P_MOVED "moved"
#define P_DUPLICATE "duplicate"
#define P_UNSAFE_PATH "unsafe_path"
#define P_TOO_LARGE "too_large"
#define P_NO_SPACE "no_space"
#define P_CONFLICT "conflict"
#define P_BUSY "busy"
#define P_REMOTE "remote"
#define P_VOLUME_ABSENT "volume_absent"
#define P_BAD_RECORD "bad_record"

/* The constant that a text from elsewhere (a database) is equal to; P_BAD_RECORD for any other. */
const char *err_known_code(const char *text);

/* Each fills *e and returns -1, so that a function can end with `return err_...`. */
int err_set(struct err *e, enum err_class class, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* As err_set with class ERR_ITEM. */
int err_item(struct err *e, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* From the current errno: ERR_SYSTEM, and its text after a colon. */
int err_sys(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Out of memory: ERR_SYSTEM, ENOMEM. Allocates nothing. */
int err_nomem(struct err *e);
/* Puts "prefix: " before the sentence that is there. Returns -1. */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The problem code that fits an errno from opening or reading a file: missing, denied, unreadable.
 */
const char *err_code_of_errno(int sys);

#endif
