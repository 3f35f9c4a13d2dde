/*
 * The only place that creates, renames, removes and locks. Each of these is followed by the fsync
 * that makes it last, so that no caller can forget it.
 */
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hash.h"

#define COPY_PIECE (1 << 18)
#define TEMP_PREFIX ".rec-"
#define TEMP_SUFFIX ".tmp"

/* The error of opening a user's file: its own, unless the machine is at its limits. */
static int
open_error(struct err *e, int sys, const char *what)
{
	errno = sys;
	if (sys == EMFILE || sys == ENFILE || sys == ENOMEM)
		return err_sys(e, "%s", what);
	if (sys == EXDEV || sys == ELOOP) {
		err_item(e, P_UNSAFE_PATH,
		    "the name leads out of its folder; rename the file or the row");
	} else {
		err_item(e, err_code_of_errno(sys), "%s", strerror(sys));
	}
	e->sys = sys;
	return -1;
}

/* Keeps fd when it is a regular file. */
static int
only_regular(int fd, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		open_error(e, errno, "fstat");
	else if (S_ISDIR(st.st_mode))
		err_item(e, P_UNSUPPORTED, "is a folder; name the files in it");
	else if (!S_ISREG(st.st_mode))
		err_item(e, P_UNSUPPORTED, "is not a regular file");
	else
		return fd;
	close(fd);
	return -1;
}

int
io_open(int dirfd, const char *path, struct err *e)
{
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	return fd == -1 ? open_error(e, errno, "opening") : only_regular(fd, e);
}

/*
 * For kernels and sandboxes without openat2: one component after the other, none of them a link.
 * Stricter than RESOLVE_BENEATH, which follows links that stay beneath.
 */
static int
walk_beneath(int dirfd, const char *name, int flags)
{
	char part[NAME_MAX + 1];
	struct stat st;
	bool last = false;
	size_t n;
	int at = dup(dirfd), next;

	for (; at != -1 && !last; name += n + 1) {
		n = strcspn(name, "/");
		last = name[n] == '\0';
		if (n == 0 || n > NAME_MAX || (n == 2 && memcmp(name, "..", 2) == 0)) {
			close(at);
			errno = n > NAME_MAX ? ENAMETOOLONG : EXDEV;
			return -1;
		}
		memcpy(part, name, n);
		part[n] = '\0';
		next = openat(at, part, (last ? flags : O_PATH) | O_NOFOLLOW | O_CLOEXEC);
		close(at);
		at = next;
		/* O_PATH opens a link itself. */
		if (at != -1 && (fstat(at, &st) == -1 || S_ISLNK(st.st_mode))) {
			close(at);
			errno = ELOOP;
			return -1;
		}
	}
	return at;
}

static int
beneath(int dirfd, const char *name, uint64_t flags, struct err *e)
{
	struct open_how how = {
	    .flags = flags | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	long fd;

	if (name[0] == '\0')
		return err_item(e, P_UNSAFE_PATH, "the name is empty");
	do
		fd = syscall(SYS_openat2, dirfd, name, &how, sizeof how);
	while (fd == -1 && (errno == EINTR || errno == EAGAIN));
	if (fd == -1 && errno == ENOSYS)
		fd = walk_beneath(dirfd, name, (int)flags);
	return fd == -1 ? open_error(e, errno, "opening") : (int)fd;
}

int
io_open_beneath(int dirfd, const char *name, struct err *e)
{
	int fd = beneath(dirfd, name, O_RDONLY | O_NOCTTY | O_NONBLOCK, e);

	return fd == -1 ? -1 : only_regular(fd, e);
}

int
io_stat_beneath(int dirfd, const char *name, struct stat *st, struct err *e)
{
	int fd, rc;

	/* A plain name that is no link cannot lead anywhere: one call instead of three. */
	if (strchr(name, '/') == NULL && strcmp(name, "..") != 0 && name[0] != '\0') {
		if (fstatat(dirfd, name, st, AT_SYMLINK_NOFOLLOW) == -1)
			return open_error(e, errno, "stat");
		if (!S_ISLNK(st->st_mode))
			return 0;
	}
	if ((fd = beneath(dirfd, name, O_PATH, e)) == -1)
		return -1;
	rc = fstat(fd, st) == -1 ? open_error(e, errno, "stat") : 0;
	close(fd);
	return rc;
}

int
io_open_dir(int dirfd, const char *path, struct err *e)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), sys = errno;

	if (fd == -1) {
		err_item(e, err_code_of_errno(sys), "the folder %s: %s", path, strerror(sys));
		e->sys = sys;
	}
	return fd;
}

int
io_make_dirs(int dirfd, const char *path, struct err *e)
{
	char part[PATH_MAX];
	size_t len = strlen(path), i;
	int parent, rc;

	if (len >= sizeof part) {
		errno = ENAMETOOLONG;
		return err_sys(e, "making the folder %s", path);
	}
	for (i = 1; i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdirat(dirfd, part, 0777) == -1) {
			if (errno == EEXIST)
				continue;
			return err_sys(e, "making the folder %s", part);
		}
		/* The new name lasts once the folder that holds it is on disk. */
		if ((parent = openat(dirfd, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
			return err_sys(e, "opening the folder %s", part);
		rc = openat(parent, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(parent);
		if (rc == -1)
			return err_sys(e, "opening the folder above %s", part);
		parent = rc;
		rc = io_fsync(parent, part, e);
		close(parent);
		if (rc == -1)
			return -1;
	}
	return 0;
}

ssize_t
io_pread(int fd, void *p, size_t len, uint64_t offset, struct err *e)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = pread(fd, (char *)p + got, len - got, (off_t)(offset + got));

		if (n == 0)
			break;
		if (n > 0) {
			got += (size_t)n;
		} else if (errno != EINTR) {
			int sys = errno;

			err_item(e, P_UNREADABLE, "reading at byte %llu: %s",
			    (unsigned long long)(offset + got), strerror(sys));
			e->sys = sys;
			return -1;
		}
	}
	return (ssize_t)got;
}

int
io_write(int fd, const void *p, size_t len, struct err *e)
{
	const char *b = p;

	while (len > 0) {
		ssize_t n = write(fd, b, len);

		if (n > 0) {
			b += n;
			len -= (size_t)n;
		} else if (n == 0 || errno != EINTR) {
			if (n == 0)
				errno = EIO;
			return err_sys(e, "writing");
		}
	}
	return 0;
}

int
io_pwrite(int fd, const void *p, size_t len, uint64_t offset, uint64_t *done, struct err *e)
{
	const char *b = p;
	size_t at = 0;
	int rc = 0;

	while (at < len) {
		ssize_t n = pwrite(fd, b + at, len - at, (off_t)(offset + at));

		if (n > 0) {
			at += (size_t)n;
		} else if (n == 0 || errno != EINTR) {
			if (n == 0)
				errno = EIO;
			rc = err_sys(e, "writing");
			break;
		}
	}
	if (done != NULL)
		*done = at;
	return rc;
}

int
io_fsync(int fd, const char *what, struct err *e)
{
	return fsync(fd) == -1 ? err_sys(e, "making %s durable", what) : 0;
}

int
io_check_unchanged(int dirfd, const char *name, const struct stat *was, struct err *e)
{
	struct stat now;

	if (fstatat(dirfd, name, &now, AT_SYMLINK_NOFOLLOW) == -1)
		return err_item(e, P_MODIFIED, "was removed while it was read");
	if (S_ISLNK(now.st_mode) || strchr(name, '/') != NULL)
		return err_item(e, P_UNSUPPORTED,
		    "is reached through a link or a folder below: only files that lie right in "
		    "their folder are replaced");
	if (now.st_dev != was->st_dev || now.st_ino != was->st_ino || now.st_size != was->st_size ||
	    now.st_mtim.tv_sec != was->st_mtim.tv_sec ||
	    now.st_mtim.tv_nsec != was->st_mtim.tv_nsec)
		return err_item(e, P_MODIFIED, "was changed while it was read; nothing was done");
	return 0;
}

int
io_read_file(int dirfd, const char *path, size_t max, struct buf *b, struct err *e)
{
	int fd = io_open(dirfd, path, e), rc = -1;
	ssize_t n;

	if (fd == -1)
		return -1;
	if (buf_room(b, max + 1, e) == 0 &&
	    (n = io_pread(fd, b->data + b->len, max + 1, 0, e)) != -1) {
		b->len += (size_t)n;
		b->data[b->len] = '\0';
		rc = (size_t)n <= max ? 0
				      : err_item(e, P_TOO_LARGE, "is larger than %zu bytes", max);
	}
	close(fd);
	return rc;
}

/*
 * The lock tells a temporary file that is being written from one that a killed run left. Between
 * its creation and the lock it may be swept: 0 then, and another is made; 1, -1.
 */
static int
create_temp(struct io_new *f, struct err *e)
{
	unsigned char r[4];
	char hex[9];
	struct stat st;

	if (hash_random(r, sizeof r, e) == -1)
		return -1;
	hash_hex(r, sizeof r, hex);
	/* A long name is cut in the temporary one, so that this fits wherever the name itself does.
	 */
	free(f->temp);
	if ((f->temp = mem_fmt(e, TEMP_PREFIX "%.200s.%s" TEMP_SUFFIX, f->name, hex)) == NULL)
		return -1;
	f->fd = openat(f->dirfd, f->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (f->fd == -1) {
		err_sys(e, "creating a file for %s", f->name);
		free(f->temp);
		f->temp = NULL;
		return -1;
	}
	/* A file system without locks is as good as one that nobody else uses. */
	if ((flock(f->fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) &&
	    fstat(f->fd, &st) == 0 && st.st_nlink > 0)
		return 1;
	unlinkat(f->dirfd, f->temp, 0);
	close(f->fd);
	f->fd = -1;
	return 0;
}

int
io_new_open(struct io_new *f, int dirfd, const char *name, struct err *e)
{
	int rc = 0;

	*f = (struct io_new){.fd = -1, .dirfd = dirfd};
	if ((f->name = mem_str(name, e)) == NULL)
		return -1;
	for (int tries = 0; rc == 0 && tries < 100; tries++)
		rc = create_temp(f, e);
	if (rc == 0)
		rc = err_set(
		    e, ERR_SYSTEM, NULL, "files for %s are removed as soon as they are made", name);
	if (rc == 1)
		return 0;
	io_new_close(f);
	return -1;
}

int
io_new_commit(struct io_new *f, mode_t mode, bool replace, struct err *e)
{
	if (fchmod(f->fd, mode) == -1)
		return err_sys(e, "setting the mode of %s", f->name);
	if (io_fsync(f->fd, f->name, e) == -1)
		return -1;
	if (renameat2(f->dirfd, f->temp, f->dirfd, f->name, replace ? 0 : RENAME_NOREPLACE) == -1)
		return err_sys(e, "giving %s its name", f->name);
	free(f->temp);
	f->temp = NULL;
	return io_fsync(f->dirfd, "the folder", e);
}

void
io_new_close(struct io_new *f)
{
	if (f->fd != -1)
		close(f->fd);
	if (f->temp != NULL)
		unlinkat(f->dirfd, f->temp, 0);
	free(f->temp);
	free(f->name);
	*f = (struct io_new){.fd = -1};
}

int
io_create_locked(int dirfd, const char *name, struct err *e)
{
	int fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), rc;

	if (fd == -1)
		return err_sys(e, "creating %s", name);
	if ((rc = io_try_lock(fd, e)) == 0) {
		errno = EEXIST;
		err_sys(e, "%s is held by somebody else", name);
	}
	if (rc == 1 && io_fsync(dirfd, "the folder", e) == 0)
		return fd;
	unlinkat(dirfd, name, 0);
	close(fd);
	return -1;
}

int
io_resume_locked(int dirfd, const char *name, struct stat *st, struct err *e)
{
	int fd = openat(
	    dirfd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	int rc = -1;

	if (fd == -1 && errno != ELOOP && errno != ENXIO && errno != EISDIR)
		return err_sys(e, "%s", name);
	if (fd != -1 && fstat(fd, st) == -1)
		err_sys(e, "stat of %s", name);
	else if (fd == -1 || !S_ISREG(st->st_mode) || st->st_nlink != 1)
		err_item(e, P_CONFLICT,
		    "%s is in the way, and is no file that an earlier run left; remove it", name);
	else if ((rc = io_try_lock(fd, e)) == 0)
		err_item(e, P_BUSY, "%s is being written by another process", name);
	if (rc == 1)
		return fd;
	if (fd != -1)
		close(fd);
	return -1;
}

int
io_reserve(int fd, uint64_t bytes, struct err *e)
{
	int rc = 0;

	if (bytes > INT64_MAX)
		bytes = INT64_MAX;
	while (bytes > 0 && (rc = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes)) == -1 &&
	       errno == EINTR)
		;
	if (rc == 0 || errno == EOPNOTSUPP || errno == ENOSYS)
		return 0;
	err_sys(e, "reserving %llu bytes", (unsigned long long)bytes);
	if (e->sys == ENOSPC || e->sys == EDQUOT || e->sys == EFBIG)
		e->code = P_NO_SPACE;
	return -1;
}

int
io_release(int fd, const char *what, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return err_sys(e, "stat of %s", what);
	return ftruncate(fd, st.st_size) == -1 ? err_sys(e, "giving back what %s reserved", what)
					       : 0;
}

int
io_put_file(const char *path, const void *p, size_t len, mode_t mode, struct err *e)
{
	const char *slash = strrchr(path, '/');
	char *folder =
	    slash == NULL ? mem_str(".", e) : mem_bytes(path, (size_t)(slash - path) + 1, e);
	struct io_new f = {.fd = -1};
	int dirfd = folder == NULL ? -1 : io_open_dir(AT_FDCWD, folder, e), rc = -1;

	if (dirfd != -1 && io_new_open(&f, dirfd, slash != NULL ? slash + 1 : path, e) == 0 &&
	    io_write(f.fd, p, len, e) == 0)
		rc = io_new_commit(&f, mode, true, e);
	io_new_close(&f);
	if (dirfd != -1)
		close(dirfd);
	free(folder);
	if (rc == -1)
		e->class = ERR_SYSTEM;
	return rc;
}

/* renameat2 has no RESOLVE_BENEATH: a name that could climb is refused. */
static bool
climbs(const char *name)
{
	const char *p;

	for (p = name; p != NULL; p = strchr(p, '/') != NULL ? strchr(p, '/') + 1 : NULL)
		if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || p[2] == '\0'))
			return true;
	return name[0] == '/' || name[0] == '\0';
}

int
io_rename(int from_dirfd, const char *from, int to_dirfd, const char *to, struct err *e)
{
	if (climbs(from) || climbs(to))
		return err_item(e, P_UNSAFE_PATH, "%s: the name leads out of its folder",
		    climbs(from) ? from : to);
	if (renameat2(from_dirfd, from, to_dirfd, to, RENAME_NOREPLACE) == -1)
		return err_sys(e, "moving %s to %s", from, to);
	if (io_fsync(to_dirfd, "the folder", e) == -1)
		return -1;
	return io_fsync(from_dirfd, "the folder", e);
}

int
io_digest(int fd, int kind, bool fresh, const atomic_int *stop, atomic_ullong *bytes_done,
    char out[HASH_SHA256_HEX], struct err *e)
{
	struct hash *h = hash_open(kind, e);
	char *piece = mem_new(COPY_PIECE, 1, e);
	uint64_t at = 0;
	ssize_t n = -1;

	if (h == NULL || piece == NULL)
		goto out;
	if (fresh)
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	while ((n = io_pread(fd, piece, COPY_PIECE, at, e)) > 0) {
		if (stop != NULL && atomic_load(stop) != 0) {
			n = err_set(e, ERR_STOPPED, NULL, "stopped");
			goto out;
		}
		hash_update(h, piece, (size_t)n);
		at += (uint64_t)n;
		if (bytes_done != NULL)
			atomic_fetch_add(bytes_done, (unsigned long long)n);
	}
	if (n == 0 && kind == HASH_SHA256)
		hash_sha256(h, out);
	else if (n == 0)
		hash_xxh3_128(h, out);
out:
	hash_close(h);
	free(piece);
	return n == 0 ? 0 : -1;
}

int
io_pour(int fd, int out_fd, const atomic_int *stop, atomic_ullong *bytes_done,
    char xxh3_128[HASH_XXH3_128_HEX], struct err *e)
{
	struct hash *h = hash_open(HASH_XXH3_128, e);
	char *piece = mem_new(COPY_PIECE, 1, e);
	uint64_t at = 0;
	ssize_t n = -1;

	if (h == NULL || piece == NULL)
		goto out;
	while ((n = io_pread(fd, piece, COPY_PIECE, at, e)) > 0) {
		if (stop != NULL && atomic_load(stop) != 0) {
			n = err_set(e, ERR_STOPPED, NULL, "stopped");
			goto out;
		}
		hash_update(h, piece, (size_t)n);
		if (io_write(out_fd, piece, (size_t)n, e) == -1) {
			n = -1;
			goto out;
		}
		at += (uint64_t)n;
		if (bytes_done != NULL)
			atomic_fetch_add(bytes_done, (unsigned long long)n);
	}
	if (n == 0)
		hash_xxh3_128(h, xxh3_128);
out:
	hash_close(h);
	free(piece);
	return n == 0 ? 0 : -1;
}

/* `sum`: what the bytes must be, or NULL; `like`: whose times the copy gets, or NULL. */
static int
copy(int fd, int to_dirfd, const char *to, mode_t mode, const char *sum, const struct stat *like,
    bool replace, struct err *e)
{
	struct io_new f = {.fd = -1};
	char read_sum[HASH_XXH3_128_HEX], written_sum[HASH_SHA256_HEX];
	int rc = -1;

	if (io_new_open(&f, to_dirfd, to, e) == -1 ||
	    io_pour(fd, f.fd, NULL, NULL, read_sum, e) == -1)
		goto out;
	if (sum != NULL && strcmp(read_sum, sum) != 0) {
		err_item(e, P_MODIFIED, "changed while it was read; nothing was copied");
		goto out;
	}
	if (like != NULL &&
	    futimens(f.fd, (struct timespec[2]){like->st_atim, like->st_mtim}) == -1) {
		err_sys(e, "setting the times of %s", to);
		goto out;
	}
	/* On the medium first, so that reading back asks the medium and not the page cache. */
	if (io_fsync(f.fd, to, e) == -1)
		goto out;
	if (io_digest(f.fd, HASH_XXH3_128, true, NULL, NULL, written_sum, e) == -1)
		goto out;
	if (strcmp(read_sum, written_sum) != 0) {
		err_set(e, ERR_SYSTEM, NULL,
		    "the copy of %s reads back differently: is the disk failing?", to);
		goto out;
	}
	rc = io_new_commit(&f, mode, replace, e);
out:
	io_new_close(&f);
	return rc;
}

int
io_copy(int fd, int to_dirfd, const char *to, mode_t mode, const char *xxh3_128, struct err *e)
{
	return copy(fd, to_dirfd, to, mode, xxh3_128, NULL, false, e);
}

/* Whether the file under a name holds the bytes of fd: what a move leaves that was killed before it
 * removed. */
static bool
is_copied(int fd, const struct stat *st, int to_dirfd, const char *to)
{
	struct err e;
	struct stat there;
	char sum[HASH_SHA256_HEX], other_sum[HASH_SHA256_HEX];
	int other = io_open_beneath(to_dirfd, to, &e);
	bool same = other != -1 && fstat(other, &there) == 0 && there.st_size == st->st_size &&
		    io_digest(fd, HASH_XXH3_128, true, NULL, NULL, sum, &e) == 0 &&
		    io_digest(other, HASH_XXH3_128, true, NULL, NULL, other_sum, &e) == 0 &&
		    strcmp(sum, other_sum) == 0;

	if (other != -1)
		close(other);
	return same;
}

int
io_move(int from_dirfd, const char *from, int to_dirfd, const char *to, struct err *e)
{
	struct err across;
	struct stat st;
	int fd, rc;

	/* *e stays as it is when the move succeeds by a copy. */
	if (io_rename(from_dirfd, from, to_dirfd, to, &across) == 0)
		return 0;
	if (across.sys != EXDEV) {
		*e = across;
		return -1;
	}
	if ((fd = io_open_beneath(from_dirfd, from, e)) == -1)
		return -1;
	if (fstat(fd, &st) == -1)
		rc = err_sys(e, "stat of %s", from);
	else if (is_copied(fd, &st, to_dirfd, to))
		rc = io_fsync(to_dirfd, "the folder", e);
	else
		rc = copy(fd, to_dirfd, to, st.st_mode & 07777, NULL, &st, false, e);
	close(fd);
	return rc == -1 ? -1 : io_unlink(from_dirfd, from, e);
}

/* Copies a name's file with its times; *st is what was copied. */
static int
copy_name(
    int from_dirfd, const char *from, int to_dirfd, const char *to, bool replace, struct err *e)
{
	struct stat st;
	int fd = io_open_beneath(from_dirfd, from, e), rc;

	if (fd == -1)
		return -1;
	rc = fstat(fd, &st) == -1
		 ? err_sys(e, "stat of %s", from)
		 : copy(fd, to_dirfd, to, st.st_mode & 07777, NULL, &st, replace, e);
	close(fd);
	return rc;
}

int
io_link_or_copy(int from_dirfd, const char *from, int to_dirfd, const char *to, struct err *e)
{
	if (climbs(from) || climbs(to))
		return err_item(e, P_UNSAFE_PATH, "%s: the name leads out of its folder",
		    climbs(from) ? from : to);
	if (linkat(from_dirfd, from, to_dirfd, to, 0) == 0)
		return io_fsync(to_dirfd, "the folder", e);
	/* Another file system; one without links (FAT); too many of them; a kernel that forbids
	 * links to files of others (fs.protected_hardlinks). */
	if (errno != EXDEV && errno != EPERM && errno != EMLINK && errno != EOPNOTSUPP &&
	    errno != ENOSYS)
		return err_sys(e, "linking %s as %s", from, to);
	return copy_name(from_dirfd, from, to_dirfd, to, false, e);
}

/* Whether two names are one file. rename(2) of those does nothing, and keeps both. */
static bool
is_same_file(int a_dirfd, const char *a, int b_dirfd, const char *b)
{
	struct stat x, y;

	return fstatat(a_dirfd, a, &x, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstatat(b_dirfd, b, &y, AT_SYMLINK_NOFOLLOW) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

int
io_replace(int from_dirfd, const char *from, int to_dirfd, const char *to, struct err *e)
{
	if (climbs(from) || climbs(to))
		return err_item(e, P_UNSAFE_PATH, "%s: the name leads out of its folder",
		    climbs(from) ? from : to);
	if (is_same_file(from_dirfd, from, to_dirfd, to))
		return io_unlink(from_dirfd, from, e);
	if (renameat(from_dirfd, from, to_dirfd, to) == 0)
		return io_fsync(to_dirfd, "the folder", e) == -1
			   ? -1
			   : io_fsync(from_dirfd, "the folder", e);
	if (errno != EXDEV)
		return err_sys(e, "putting %s in the place of %s", from, to);
	if (copy_name(from_dirfd, from, to_dirfd, to, true, e) == -1)
		return -1;
	return io_unlink(from_dirfd, from, e);
}

int
io_unlink(int dirfd, const char *name, struct err *e)
{
	if (unlinkat(dirfd, name, 0) == -1)
		return err_sys(e, "removing %s", name);
	return io_fsync(dirfd, "the folder", e);
}

const char *
io_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

DIR *
io_list(int dirfd, struct err *e)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);

	if (d == NULL) {
		err_sys(e, "listing a folder");
		if (fd != -1)
			close(fd);
	}
	return d;
}

int
io_dir_is_empty(int dirfd, struct err *e)
{
	DIR *d = io_list(dirfd, e);
	struct dirent *entry;
	int empty = 1;

	if (d == NULL)
		return -1;
	while (empty && (entry = readdir(d)) != NULL)
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	closedir(d);
	return empty;
}

/* .rec-NAME.XXXXXXXX.tmp, and no name that only looks a little like it. */
bool
io_is_temp(const char *name)
{
	static const size_t tail = sizeof ".XXXXXXXX" TEMP_SUFFIX - 1;
	unsigned char r[4];
	size_t n = strlen(name);
	const char *p;

	if (n < strlen(TEMP_PREFIX) + tail)
		return false;
	p = name + n - tail;
	return strncmp(name, TEMP_PREFIX, strlen(TEMP_PREFIX)) == 0 && p[0] == '.' &&
	       hash_unhex(p + 1, 2 * sizeof r, r) == 0 &&
	       strcmp(p + 1 + 2 * sizeof r, TEMP_SUFFIX) == 0;
}

/* Unless somebody is writing it. */
static void
sweep(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd == -1)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		unlinkat(dirfd, name, 0);
	close(fd);
}

int
io_sweep_temps(int dirfd, struct err *e)
{
	DIR *d = io_list(dirfd, e);
	struct dirent *entry;

	if (d == NULL)
		return -1;
	while ((entry = readdir(d)) != NULL)
		if (io_is_temp(entry->d_name))
			sweep(dirfd, entry->d_name);
	closedir(d);
	return 0;
}

int
io_free_bytes(int fd, uint64_t *bytes, struct err *e)
{
	struct statvfs v;

	if (fstatvfs(fd, &v) == -1)
		return err_sys(e, "asking for free space");
	if (!mem_mul(v.f_bavail, v.f_frsize, bytes))
		*bytes = UINT64_MAX;
	return 0;
}

int
io_try_lock(int fd, struct err *e)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 1;
	return errno == EWOULDBLOCK ? 0 : err_sys(e, "locking");
}

void
io_unlock(int fd)
{
	flock(fd, LOCK_UN);
}

int
io_is_locked(int dirfd, struct err *e)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd == -1)
		return err_sys(e, "opening the journal folder");
	if ((rc = io_try_lock(fd, e)) == -1)
		err_prefix(e, "the journal folder");
	close(fd);
	return rc == -1 ? -1 : !rc;
}
