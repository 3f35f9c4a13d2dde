/*
 * shim: makes the Nth call that changes a file fail, or the last thing that the process does.
 *
 *	cc -D_GNU_SOURCE -std=c11 -Wall -Wextra -O2 -fPIC -shared -o shim.so shim.c -ldl
 *	FAULT_AT=3 FAULT_MODE=kill LD_PRELOAD=./shim.so prog
 *
 *	FAULT_AT=N	the call that is hit, from 1, over all threads; 0: only count
 *	FAULT_MODE=	kill	   SIGKILL instead of the call
 *			killafter  the call, then SIGKILL
 *			torn	   half of the bytes are written, then SIGKILL; as kill where
 *				   nothing is written
 *			error	   this one call fails with FAULT_ERRNO
 *			errors	   this call and all later ones fail with FAULT_ERRNO
 *			stop	   SIGSTOP before the call; it goes on with SIGCONT
 *	FAULT_ERRNO=	ENOSPC, 28, ...; EIO unless set
 *	FAULT_CALLS=	write,fsync,...: only these are counted and hit; open means open64 too
 *	FAULT_COUNT=F	a line with the count is appended to F at exit, and before SIGKILL
 *	FAULT_ALLOC=N	the Nth malloc, calloc or realloc fails with ENOMEM; 0: only count
 *	FAULT_ALLOC_COUNT=F	as FAULT_COUNT, of allocations
 *
 * A setting that makes no sense ends the program with status 125: a fault that is not there would
 * look like a test that passes.
 *
 * Counting starts when the shim is initialised. A child of fork goes on from its parent's count, a
 * program that is exec'ed starts again. Writes to stdout and stderr (by number, 1 and 2) are
 * neither counted nor hit: they are not files of the archive. An open counts when it may create or
 * truncate.
 *
 * What it cannot see: what glibc calls inside itself (fwrite, fopen, dprintf), system calls without
 * a wrapper (syscall(2)) and stores into shared maps (SQLite's -shm, which is not needed after a
 * crash). No count is written when a signal that is not ours ends the program.
 *
 * It works below gcc's AddressSanitizer with ASAN_OPTIONS=verify_asan_link_order=0; clang puts the
 * allocator into the program, where the shim does not see it. valgrind puts its own malloc in place
 * of this one unless told --soname-synonyms=somalloc=nouserintercepts.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define BAD_SETTING 125

enum mode { KILL, KILLAFTER, TORN, ERROR, ERRORS, STOP };
static const char *const modes[] = {"kill", "killafter", "torn", "error", "errors", "stop", NULL};

/* What happens to one call. */
enum fate { PASS, FAIL, DIE, DIE_AFTER, DIE_HALFWAY };

/* Written once, by the constructor, before `armed` is. */
static atomic_bool armed;
static unsigned long fault_at, fault_alloc;
static enum mode fault_mode;
static int fault_errno = EIO;
static const char *fault_calls, *count_file, *alloc_count_file;

static atomic_ulong calls, allocs;

static void
complain(const char *name, const char *value)
{
	char text[256];
	int n = snprintf(text, sizeof text, "fault shim: %s=%s makes no sense\n", name, value);

	syscall(SYS_write, 2, text, n < (int)sizeof text ? n : (int)sizeof text - 1);
	syscall(SYS_exit_group, BAD_SETTING);
}

static unsigned long
number(const char *name, unsigned long unset)
{
	const char *s = getenv(name);
	unsigned long n;
	char *end;

	if (s == NULL)
		return unset;
	errno = 0;
	n = strtoul(s, &end, 10);
	if (errno != 0 || *end != '\0' || s[strspn(s, "0123456789")] != '\0' || s[0] == '\0')
		complain(name, s);
	return n;
}

static int
errno_of(const char *s)
{
	for (int i = 1; i < 134; i++) {
		const char *name = strerrorname_np(i);

		if (name != NULL && strcmp(s, name) == 0)
			return i;
	}
	return (int)number("FAULT_ERRNO", 0);
}

__attribute__((constructor)) static void
arm(void)
{
	const char *s;

	fault_at = number("FAULT_AT", 0);
	fault_alloc = number("FAULT_ALLOC", 0);
	fault_calls = getenv("FAULT_CALLS");
	count_file = getenv("FAULT_COUNT");
	alloc_count_file = getenv("FAULT_ALLOC_COUNT");
	if ((s = getenv("FAULT_MODE")) != NULL) {
		while (modes[fault_mode] != NULL && strcmp(s, modes[fault_mode]) != 0)
			fault_mode++;
		if (modes[fault_mode] == NULL)
			complain("FAULT_MODE", s);
	} else if (fault_at > 0) {
		complain("FAULT_AT without FAULT_MODE", getenv("FAULT_AT"));
	}
	if ((s = getenv("FAULT_ERRNO")) != NULL && (fault_errno = errno_of(s)) == 0)
		complain("FAULT_ERRNO", s);
	atomic_store(&armed, true);
}

/* By system calls of its own, so that it neither counts nor hits itself. */
static void
append_count(const char *file, unsigned long n)
{
	char text[32];
	int len = snprintf(text, sizeof text, "%lu\n", n), fd;

	if (file == NULL)
		return;
	fd = (int)syscall(
	    SYS_openat, AT_FDCWD, file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd == -1 || syscall(SYS_write, fd, text, len) != len)
		complain("FAULT_COUNT", file);
	syscall(SYS_close, fd);
}

static void
append_counts(void)
{
	if (!atomic_load(&armed))
		return;
	append_count(count_file, atomic_load(&calls));
	append_count(alloc_count_file, atomic_load(&allocs));
}

__attribute__((destructor)) static void
disarm(void)
{
	append_counts();
	atomic_store(&armed, false);
}

static _Noreturn void
die(void)
{
	append_counts();
	for (;;)
		syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
}

/* True when FAULT_CALLS is unset or names the call, with or without its "64". */
static bool
is_chosen(const char *name)
{
	size_t full = strlen(name), len;
	size_t stem = full > 2 && strcmp(name + full - 2, "64") == 0 ? full - 2 : full;

	if (fault_calls == NULL)
		return true;
	for (const char *p = fault_calls; *p != '\0'; p += len + (p[len] == ',')) {
		len = strcspn(p, ",");
		if ((len == full || len == stem) && strncmp(p, name, len) == 0)
			return true;
	}
	return false;
}

static enum fate
fate_of(const char *name)
{
	unsigned long n;

	if (!atomic_load(&armed) || !is_chosen(name))
		return PASS;
	n = atomic_fetch_add(&calls, 1) + 1;
	if (fault_at == 0 || n < fault_at || (n > fault_at && fault_mode != ERRORS))
		return PASS;
	switch (fault_mode) {
	case KILL:
		return DIE;
	case KILLAFTER:
		return DIE_AFTER;
	case TORN:
		return DIE_HALFWAY;
	case STOP:
		syscall(SYS_kill, syscall(SYS_getpid), SIGSTOP);
		return PASS;
	case ERROR:
	case ERRORS:
		break;
	}
	return FAIL;
}

static void *
next(const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);

	if (f == NULL) {
		complain("the call", name);
		abort();
	}
	return f;
}

/* True, with errno set, when the call is to fail. Does not return when the process is to die. */
static bool
is_refused(enum fate fate)
{
	if (fate == DIE || fate == DIE_HALFWAY)
		die();
	errno = fate == FAIL ? fault_errno : errno;
	return fate == FAIL;
}

static void
finish(enum fate fate)
{
	if (fate == DIE_AFTER)
		die();
}

static bool
is_spared(int fd)
{
	return fd == STDOUT_FILENO || fd == STDERR_FILENO;
}

/* Declares `real`, the function behind the shim. */
#define REAL(name)                                                                                 \
	static __typeof__(&name) _Atomic known;                                                    \
	__typeof__(&name) real = atomic_load(&known);                                              \
	if (real == NULL)                                                                          \
	atomic_store(&known, real = next(#name))

#define CALL(type, failed, name, params, args)                                                     \
	type name params                                                                           \
	{                                                                                          \
		REAL(name);                                                                        \
		enum fate fate = fate_of(#name);                                                   \
		if (is_refused(fate))                                                              \
			return failed;                                                             \
		type result = real args;                                                           \
		finish(fate);                                                                      \
		return result;                                                                     \
	}

/* A call that writes len bytes to fd; half_args write the first half of them. */
#define WRITE(name, params, args, half_args)                                                       \
	ssize_t name params                                                                        \
	{                                                                                          \
		REAL(name);                                                                        \
		enum fate fate = is_spared(fd) ? PASS : fate_of(#name);                            \
		if (fate == DIE_HALFWAY && len > 1 && real half_args == -1)                        \
			complain("FAULT_MODE", "torn: the write failed by itself, which");         \
		if (is_refused(fate))                                                              \
			return -1;                                                                 \
		ssize_t result = real args;                                                        \
		finish(fate);                                                                      \
		return result;                                                                     \
	}

/* The mode is there only when the call may create a file. */
#define OPEN(name, params, args)                                                                   \
	int name params                                                                            \
	{                                                                                          \
		REAL(name);                                                                        \
		bool creates = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;              \
		enum fate fate = creates || (flags & O_TRUNC) ? fate_of(#name) : PASS;             \
		mode_t mode = 0;                                                                   \
		if (creates) {                                                                     \
			va_list ap;                                                                \
			va_start(ap, flags);                                                       \
			mode = va_arg(ap, mode_t);                                                 \
			va_end(ap);                                                                \
		}                                                                                  \
		if (is_refused(fate))                                                              \
			return -1;                                                                 \
		int result = real args;                                                            \
		finish(fate);                                                                      \
		return result;                                                                     \
	}

/* clang-format off */
OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
OPEN(openat, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))
OPEN(openat64, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))
CALL(int, -1, creat, (const char *path, mode_t mode), (path, mode))
CALL(int, -1, creat64, (const char *path, mode_t mode), (path, mode))
CALL(int, -1, mkstemp, (char *path), (path))
CALL(int, -1, mkstemp64, (char *path), (path))
CALL(int, -1, mkstemps, (char *path, int suffix), (path, suffix))
CALL(int, -1, mkstemps64, (char *path, int suffix), (path, suffix))
CALL(int, -1, mkostemp, (char *path, int flags), (path, flags))
CALL(int, -1, mkostemp64, (char *path, int flags), (path, flags))
CALL(int, -1, mkostemps, (char *path, int suffix, int flags), (path, suffix, flags))
CALL(int, -1, mkostemps64, (char *path, int suffix, int flags), (path, suffix, flags))
CALL(char *, NULL, mkdtemp, (char *path), (path))
CALL(int, -1, mkdir, (const char *path, mode_t mode), (path, mode))
CALL(int, -1, mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode))

WRITE(write, (int fd, const void *p, size_t len), (fd, p, len), (fd, p, len / 2))
WRITE(pwrite, (int fd, const void *p, size_t len, off_t at), (fd, p, len, at), (fd, p, len / 2, at))
WRITE(pwrite64, (int fd, const void *p, size_t len, off64_t at), (fd, p, len, at), (fd, p, len / 2, at))
WRITE(sendfile, (int fd, int from, off_t *at, size_t len), (fd, from, at, len), (fd, from, at, len / 2))
WRITE(sendfile64, (int fd, int from, off64_t *at, size_t len), (fd, from, at, len), (fd, from, at, len / 2))
WRITE(copy_file_range, (int from, off64_t *from_at, int fd, off64_t *at, size_t len, unsigned flags),
    (from, from_at, fd, at, len, flags), (from, from_at, fd, at, len / 2, flags))

CALL(int, -1, fsync, (int fd), (fd))
CALL(int, -1, fdatasync, (int fd), (fd))
CALL(int, -1, syncfs, (int fd), (fd))
CALL(int, -1, ftruncate, (int fd, off_t len), (fd, len))
CALL(int, -1, ftruncate64, (int fd, off64_t len), (fd, len))
CALL(int, -1, truncate, (const char *path, off_t len), (path, len))
CALL(int, -1, truncate64, (const char *path, off64_t len), (path, len))
CALL(int, -1, fallocate, (int fd, int mode, off_t at, off_t len), (fd, mode, at, len))
CALL(int, -1, fallocate64, (int fd, int mode, off64_t at, off64_t len), (fd, mode, at, len))
/* These two return the errno. */
CALL(int, fault_errno, posix_fallocate, (int fd, off_t at, off_t len), (fd, at, len))
CALL(int, fault_errno, posix_fallocate64, (int fd, off64_t at, off64_t len), (fd, at, len))
CALL(int, -1, fchmod, (int fd, mode_t mode), (fd, mode))
CALL(int, -1, futimens, (int fd, const struct timespec t[2]), (fd, t))
CALL(int, -1, utimensat, (int dir, const char *path, const struct timespec t[2], int flags), (dir, path, t, flags))

CALL(int, -1, rename, (const char *from, const char *to), (from, to))
CALL(int, -1, renameat, (int from_dir, const char *from, int to_dir, const char *to), (from_dir, from, to_dir, to))
CALL(int, -1, renameat2, (int from_dir, const char *from, int to_dir, const char *to, unsigned flags),
    (from_dir, from, to_dir, to, flags))
CALL(int, -1, link, (const char *from, const char *to), (from, to))
CALL(int, -1, linkat, (int from_dir, const char *from, int to_dir, const char *to, int flags),
    (from_dir, from, to_dir, to, flags))
CALL(int, -1, symlink, (const char *target, const char *path), (target, path))
CALL(int, -1, symlinkat, (const char *target, int dir, const char *path), (target, dir, path))
CALL(int, -1, unlink, (const char *path), (path))
CALL(int, -1, unlinkat, (int dir, const char *path, int flags), (dir, path, flags))
CALL(int, -1, remove, (const char *path), (path))
CALL(int, -1, rmdir, (const char *path), (path))
/* clang-format on */

/* Of `count` pieces the first half of their bytes. */
static void
tear(__typeof__(&writev) real, int fd, const struct iovec *pieces, int count)
{
	size_t left = 0;

	for (int i = 0; i < count; i++)
		left += pieces[i].iov_len;
	left /= 2;
	for (int i = 0; i < count && left > 0; i++) {
		struct iovec piece = pieces[i];

		piece.iov_len = piece.iov_len < left ? piece.iov_len : left;
		if (real(fd, &piece, 1) == -1)
			complain("FAULT_MODE", "torn: the write failed by itself, which");
		left -= piece.iov_len;
	}
}

ssize_t
writev(int fd, const struct iovec *pieces, int count)
{
	REAL(writev);
	enum fate fate = is_spared(fd) ? PASS : fate_of("writev");

	if (fate == DIE_HALFWAY)
		tear(real, fd, pieces, count);
	if (is_refused(fate))
		return -1;
	ssize_t result = real(fd, pieces, count);
	finish(fate);
	return result;
}

/* So that a program that leaves without exit handlers is counted too. */
void
_exit(int status)
{
	append_counts();
	for (;;)
		syscall(SYS_exit_group, status);
}

void
_Exit(int status)
{
	_exit(status);
}

/*
 * Allocation. dlsym itself allocates, so the allocator is found by the linker: AddressSanitizer's
 * when it is there (free() is its own then), else glibc's.
 */
void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
__attribute__((weak)) void *__interceptor_malloc(size_t);
__attribute__((weak)) void *__interceptor_calloc(size_t, size_t);
__attribute__((weak)) void *__interceptor_realloc(void *, size_t);

static bool
is_refused_memory(void)
{
	if (!atomic_load(&armed) || atomic_fetch_add(&allocs, 1) + 1 != fault_alloc)
		return false;
	errno = ENOMEM;
	return true;
}

void *
malloc(size_t size)
{
	if (is_refused_memory())
		return NULL;
	return __interceptor_malloc ? __interceptor_malloc(size) : __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
	if (is_refused_memory())
		return NULL;
	return __interceptor_calloc ? __interceptor_calloc(n, size) : __libc_calloc(n, size);
}

/* realloc(p, 0) frees: it does not fail. */
void *
realloc(void *p, size_t size)
{
	if (size > 0 && is_refused_memory())
		return NULL;
	return __interceptor_realloc ? __interceptor_realloc(p, size) : __libc_realloc(p, size);
}
