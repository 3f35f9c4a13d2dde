/*
 * A plain folder as a remote: a USB disk, a network file system.
 *
 * Names are walked one component at a time and no link is ever followed, so nothing leads out of
 * the folder. An object is written to .rectools/temp/, made durable, and gets its name in one step
 * that replaces nothing. Where something is to be replaced or removed, its tag is compared first,
 * under a lock that all who do so take; programs that know nothing of the lock are not kept out.
 */
#include "remote_kind.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "clock.h"
#include "io.h"

#define PIECE (1 << 18)
#define DEPTH_MAX 16
/* File systems that number files anew at each mount: linux/magic.h. */
#define IS_FAT 0x4d44
#define IS_EXFAT 0x2011bab0
#define IS_FUSE 0x65735546
#define COPY_RANGE (1 << 26)

struct folder {
	char *path;
	int fd;
	bool stable_inodes; /* a file keeps its number when the disk is mounted again */
};

/* A key as the open folder it lies in, and its name there. */
struct place {
	int fd;
	const char *name;
};

/* ---- errors ---- */

/* What an errno means for a run: one item, later, or the wrong folder. */
static int
refused(struct err *e, int sys, const char *key)
{
	switch (sys) {
	case ENOENT:
	case ENOTDIR:
		err_item(e, P_MISSING, "%s: is not there", key);
		break;
	case EEXIST:
	case EISDIR:
	case ELOOP:
	case ENXIO:
		err_item(e, P_CONFLICT, "%s: something else is there under this name", key);
		break;
	case ENOSPC:
	case EDQUOT:
		err_set(e, ERR_BUSY, P_NO_SPACE,
		    "%s: the folder of the remote is full; make room there", key);
		break;
	case EFBIG:
		err_item(e, P_TOO_LARGE,
		    "%s: is larger than a file may be in the folder of the remote", key);
		break;
	case ENAMETOOLONG:
	case EINVAL:
	case EILSEQ:
		err_item(e, P_UNSAFE_PATH,
		    "%s: the file system of the remote cannot hold this name; rename it", key);
		break;
	case EACCES:
	case EPERM:
	case EROFS:
		err_set(e, ERR_CONFIG, NULL,
		    "%s: %s; give this user the right to write the folder of the remote", key,
		    strerror(sys));
		break;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		errno = sys;
		err_sys(e, "%s", key);
		break;
	default:
		err_item(e, P_REMOTE, "%s: %s", key, strerror(sys));
	}
	e->sys = sys;
	return -1;
}

/* As refused, of an error that an io_ function left. */
static int
refused_io(struct err *e, const char *key)
{
	return e->sys != 0 ? refused(e, e->sys, key) : err_prefix(e, "%s", key);
}

/* ---- names ---- */

/* The folder `name` in fd, which is closed; made when that is asked. -1 and errno. */
static int
enter(int fd, const char *name, bool make)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int next = openat(fd, name, flags), sys;

	if (next == -1 && errno == ENOENT && make &&
	    (mkdirat(fd, name, 0777) == 0 || errno == EEXIST) && fsync(fd) == 0)
		next = openat(fd, name, flags);
	sys = errno;
	close(fd);
	errno = sys;
	return next;
}

static int
find_place(const struct folder *d, const char *key, bool make, struct place *p, struct err *e)
{
	char part[NAME_MAX + 1];
	size_t n;

	p->name = key;
	if ((p->fd = fcntl(d->fd, F_DUPFD_CLOEXEC, 0)) == -1)
		return refused(e, errno, key);
	while ((n = strcspn(p->name, "/")), p->name[n] == '/') {
		if (n > NAME_MAX) {
			close(p->fd);
			p->fd = -1;
			return refused(e, ENAMETOOLONG, key);
		}
		memcpy(part, p->name, n);
		part[n] = '\0';
		if ((p->fd = enter(p->fd, part, make)) == -1)
			return refused(e, errno, key);
		p->name += n + 1;
	}
	return 0;
}

static void
leave(struct place *p)
{
	if (p->fd != -1)
		close(p->fd);
	p->fd = -1;
}

/* The places of two keys, made where they are missing. */
static int
find_two(const struct folder *d, const char *a, struct place *x, const char *b, struct place *y,
    struct err *e)
{
	y->fd = -1;
	if (find_place(d, a, false, x, e) == -1)
		return -1;
	return find_place(d, b, true, y, e);
}

static void
temp_key(const struct remote *r, const char *id, char key[REMOTE_KEY_MAX + 1])
{
	snprintf(key, REMOTE_KEY_MAX + 1, REMOTE_TEMP "%s-%s", r->settings.owner, id);
}

static int
new_temp_key(const struct remote *r, char key[REMOTE_KEY_MAX + 1], struct err *e)
{
	unsigned char random[12];
	char hex[2 * sizeof random + 1];

	if (hash_random(random, sizeof random, e) == -1)
		return -1;
	hash_hex(random, sizeof random, hex);
	temp_key(r, hex, key);
	return 0;
}

/* A session is the key of a temporary file of ours, and never that of anything else. */
static int
check_session(const struct remote *r, const char *key, const char *session, struct err *e)
{
	char mine[REMOTE_KEY_MAX + 1];
	size_t n;

	temp_key(r, "", mine);
	n = strlen(mine);
	if (strncmp(session, mine, n) == 0 && session[n] != '\0' &&
	    strspn(session + n, "0123456789abcdef") == strlen(session + n))
		return 0;
	return err_item(e, P_BAD_RECORD, "%s: the recorded upload is none of this remote", key);
}

/* ---- what is there ---- */

static void
describe(const struct folder *d, const char *key, const struct stat *st, struct remote_object *o)
{
	memset(o, 0, sizeof *o);
	snprintf(o->key, sizeof o->key, "%s", key);
	o->size_bytes = st->st_size;
	snprintf(o->tag, sizeof o->tag, "%" PRIx64 "-%" PRIx64 "-%" PRIx64 ".%lx-%" PRIx64 ".%lx",
	    d->stable_inodes ? (uint64_t)st->st_ino : 0, (uint64_t)st->st_size,
	    (uint64_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec, (uint64_t)st->st_ctim.tv_sec,
	    st->st_ctim.tv_nsec);
	clock_rfc3339(st->st_mtim, o->modified);
}

/* 1, 0 when there is no such file, -1. */
static int
look(const struct folder *d, const struct place *p, const char *key, struct remote_object *o,
    struct err *e)
{
	struct stat st;

	if (fstatat(p->fd, p->name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return errno == ENOENT ? 0 : refused(e, errno, key);
	if (!S_ISREG(st.st_mode))
		return refused(e, EEXIST, key);
	describe(d, key, &st, o);
	return 1;
}

/* A regular file for reading. */
static int
open_object(const struct place *p, const char *key, struct stat *st, struct err *e)
{
	int fd = openat(p->fd, p->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd == -1)
		return refused(e, errno, key);
	if (fstat(fd, st) == 0 && S_ISREG(st->st_mode))
		return fd;
	close(fd);
	return refused(e, EEXIST, key);
}

/* Whether a file is the version that the caller knows ("": any). */
static int
check_version(
    const struct folder *d, const char *key, const char *tag, const struct stat *st, struct err *e)
{
	struct remote_object o;

	describe(d, key, st, &o);
	if (tag[0] == '\0' || strcmp(tag, o.tag) == 0)
		return 0;
	return err_item(e, P_CONFLICT, "%s: was changed at the remote by somebody else", key);
}

/* Whether the file under a key holds the bytes of s: what an earlier attempt left. 1, 0, -1. */
static int
holds(const struct folder *d, const struct remote_source *s, const struct place *p,
    struct remote_object *o, struct err *e)
{
	char sum[HASH_SHA256_HEX];
	struct stat st;
	int fd = openat(p->fd, p->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC),
	    rc = 0;

	if (fd == -1)
		return 0;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == s->size_bytes) {
		if (io_digest(fd, HASH_SHA256, false, NULL, NULL, sum, e) == -1)
			rc = refused_io(e, s->key);
		else
			rc = strcmp(sum, s->sha256) == 0;
		describe(d, s->key, &st, o);
	}
	close(fd);
	return rc;
}

/* ---- giving names ---- */

/* Whoever replaces or removes holds it: a descriptor to close, or -1 and *e. */
static int
lock(const struct folder *d, struct err *e)
{
	struct place p;
	int rc;

	if (find_place(d, REMOTE_TEMP, true, &p, e) == -1)
		return -1;
	while ((rc = flock(p.fd, LOCK_EX)) == -1 && errno == EINTR)
		;
	/* A file system without locks is used by one at a time, or at one's own risk. */
	if (rc == 0 || errno == EOPNOTSUPP || errno == ENOLCK || errno == EINVAL || errno == EBADF)
		return p.fd;
	rc = errno;
	leave(&p);
	return refused(e, rc, "the lock of the remote");
}

/* A name for a file where there is none: 0, or errno. */
static int
name_new(const struct place *from, const struct place *to)
{
	struct stat st;

	if (renameat2(from->fd, from->name, to->fd, to->name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return errno;
	/* NFS knows no such flag, but links; FAT over FUSE may know neither. */
	if (linkat(from->fd, from->name, to->fd, to->name, 0) == 0)
		return unlinkat(from->fd, from->name, 0) == 0 ? 0 : errno;
	if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
		return errno;
	if (fstatat(to->fd, to->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return EEXIST;
	if (errno != ENOENT)
		return errno;
	return renameat(from->fd, from->name, to->fd, to->name) == 0 ? 0 : errno;
}

static int
make_names_durable(const struct place *from, const struct place *to, const char *key, struct err *e)
{
	if (fsync(to->fd) == -1 || fsync(from->fd) == -1)
		return refused(e, errno, key);
	return 0;
}

/*
 * Gives `from` the name `to` where nothing is there, or what is there has the tag `over`, or (with
 * or_nothing) nothing is. *o: what is there then.
 */
static int
give_name(const struct folder *d, const struct place *from, const struct place *to, const char *key,
    const char *over, bool or_nothing, struct remote_object *o, struct err *e)
{
	int held = -1, rc = -1, there = 0, sys = 0;

	if (over[0] != '\0') {
		if ((held = lock(d, e)) == -1 || (there = look(d, to, key, o, e)) == -1)
			goto out;
		if (there == 1 ? strcmp(o->tag, over) != 0 : !or_nothing) {
			err_item(e, P_CONFLICT, "%s: %s at the remote by somebody else", key,
			    there == 1 ? "was changed" : "was removed");
			goto out;
		}
	}
	if (there == 1)
		sys = renameat(from->fd, from->name, to->fd, to->name) == 0 ? 0 : errno;
	else
		sys = name_new(from, to);
	if (sys != 0)
		refused(e, sys, key);
	else if (make_names_durable(from, to, key, e) == 0)
		rc = look(d, to, key, o, e);
	if (rc == 0)
		rc = refused(e, ENOENT, key);
out:
	if (held != -1)
		close(held);
	return rc == 1 ? 0 : -1;
}

/* Gives a whole temporary file the name that its source asks for. */
static int
settle(const struct folder *d, const struct place *temp, const struct remote_source *s,
    struct remote_object *o, struct err *e)
{
	struct place to = {-1, NULL};
	const char *over = s->condition == REMOTE_REPLACE && s->tag != NULL ? s->tag : "";
	int rc = find_place(d, s->key, true, &to, e);
	struct err other;

	if (rc == 0)
		rc = give_name(d, temp, &to, s->key, over, true, o, e);
	if (rc == -1 && to.fd != -1 && e->code != NULL && strcmp(e->code, P_CONFLICT) == 0 &&
	    holds(d, s, &to, o, &other) == 1) {
		unlinkat(temp->fd, temp->name, 0);
		rc = 0;
	}
	leave(&to);
	return rc;
}

/* ---- opening ---- */

static int
file_open(struct remote *r, struct err *e)
{
	struct folder *d = mem_new(1, sizeof *d, e);
	struct statfs fs;

	if (d == NULL)
		return -1;
	d->fd = -1;
	r->own = d;
	r->can = (struct remote_capabilities){.conditional = true,
	    .atomic_put = true,
	    .partial_put = true,
	    .copy = true,
	    .single_max = INT64_MAX};
	if ((d->path = mem_str(r->settings.url + strlen("file://"), e)) == NULL)
		return -1;
	if (!http_unescape(d->path))
		return err_set(e, ERR_CONFIG, NULL, "the address of the folder is broken");
	d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->fd == -1)
		return err_set(e, ERR_CONFIG, NULL,
		    "the folder of the remote, %s: %s; is its disk mounted? It is never made",
		    d->path, strerror(errno));
	d->stable_inodes = fstatfs(d->fd, &fs) == 0 && fs.f_type != IS_FAT &&
			   fs.f_type != IS_EXFAT && fs.f_type != IS_FUSE;
	return 0;
}

static void
file_close(struct remote *r)
{
	struct folder *d = r->own;

	if (d->fd != -1)
		close(d->fd);
	free(d->path);
	free(d);
}

static int
file_check(struct remote *r, struct err *e)
{
	struct folder *d = r->own;
	struct stat held, now;

	if (fstat(d->fd, &held) == -1 || stat(d->path, &now) == -1 || held.st_dev != now.st_dev ||
	    held.st_ino != now.st_ino)
		return err_set(e, ERR_CONFIG, NULL,
		    "the folder of the remote, %s, is not the one it was; is its disk mounted?",
		    d->path);
	if (faccessat(d->fd, ".", R_OK | W_OK | X_OK, AT_EACCESS) == -1)
		return err_set(e, ERR_CONFIG, NULL,
		    "the folder of the remote, %s: %s; give this user the right to write it",
		    d->path, strerror(errno));
	return 0;
}

/* ---- looking ---- */

struct listing {
	struct remote *r;
	const char *after, *until;
	struct remote_sorted *sorted;
};

/* The files of a folder; `key` ends in "/" and is used for theirs. Takes fd. */
static int
list_folder(struct listing *l, int fd, struct buf *key, int depth, struct err *e)
{
	DIR *dir = fdopendir(fd);
	size_t n = key->len;
	struct dirent *entry;
	int rc = 0;

	if (dir == NULL) {
		rc = refused(e, errno, key->data);
		close(fd);
		return rc;
	}
	while (rc == 0 && (errno = 0, entry = readdir(dir)) != NULL) {
		struct remote_object o;
		struct stat st;
		int next;

		key->len = n;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if ((rc = buf_adds(key, entry->d_name, e)) == -1)
			break;
		if (entry->d_type != DT_REG && entry->d_type != DT_UNKNOWN &&
		    entry->d_type != DT_DIR)
			continue;
		if (entry->d_type == DT_REG &&
		    (key->len > REMOTE_KEY_MAX || strcmp(key->data, l->after) <= 0 ||
			(l->until[0] != '\0' && strcmp(key->data, l->until) > 0)))
			continue;
		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == -1) {
			if (errno != ENOENT)
				rc = refused(e, errno, key->data);
		} else if (S_ISREG(st.st_mode) && key->len <= REMOTE_KEY_MAX) {
			describe(l->r->own, key->data, &st, &o);
			rc = remote_sorted_add(l->sorted, &o, e);
		} else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
			next = openat(dirfd(dir), entry->d_name,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (next == -1)
				rc = refused(e, errno, key->data);
			else if ((rc = buf_adds(key, "/", e)) == 0)
				rc = list_folder(l, next, key, depth + 1, e);
			else
				close(next);
		}
	}
	if (rc == 0 && errno != 0)
		rc = refused(e, errno, "listing the remote");
	closedir(dir);
	return rc;
}

static int
file_list_open(struct remote *r, const char *prefix, const char *after, const char *until,
    void **own, struct err *e)
{
	struct listing l = {.r = r, .after = after, .until = until};
	struct place p = {-1, NULL};
	struct buf key = {0};
	int rc = -1;

	if ((l.sorted = remote_sorted_new(e)) == NULL)
		return -1;
	*own = l.sorted;
	if (find_place(r->own, prefix, false, &p, e) == -1) {
		rc = e->sys == ENOENT ? 0 : -1;
	} else if (buf_adds(&key, prefix, e) == 0) {
		rc = list_folder(&l, p.fd, &key, 0, e);
		p.fd = -1;
	}
	leave(&p);
	buf_free(&key);
	if (rc == 0)
		remote_sorted_sort(l.sorted);
	else
		remote_sorted_free(l.sorted);
	return rc;
}

static int
file_list_next(struct remote *r, void *own, struct remote_object *o, struct err *e)
{
	(void)r;
	(void)e;
	return remote_sorted_next(own, o);
}

static void
file_list_close(struct remote *r, void *own)
{
	(void)r;
	remote_sorted_free(own);
}

static int
file_stat(struct remote *r, const char *key, struct remote_object *o, struct json **metadata,
    struct err *e)
{
	struct place p;
	int rc;

	(void)metadata;
	if (find_place(r->own, key, false, &p, e) == -1)
		return e->sys == ENOENT ? 0 : -1;
	rc = look(r->own, &p, key, o, e);
	leave(&p);
	return rc;
}

/* ---- putting ---- */

static int
create_temp(const struct place *p, const char *key, int more, struct err *e)
{
	int fd = openat(
	    p->fd, p->name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | more, 0666);

	return fd == -1 ? refused(e, errno, key) : fd;
}

/* Bytes of the source into a file at the same offset, and onto the disk. */
static int
pour(const struct remote_source *s, int64_t offset, int64_t bytes, int fd, struct err *e)
{
	char *piece = NULL;
	int rc = -1;

	if (s->fd == -1) {
		rc = io_pwrite(
		    fd, (const char *)s->bytes + offset, (size_t)bytes, (uint64_t)offset, NULL, e);
		bytes = 0;
	} else if ((piece = mem_new(PIECE, 1, e)) != NULL) {
		rc = 0;
	}
	while (rc == 0 && bytes > 0) {
		size_t want = bytes < PIECE ? (size_t)bytes : PIECE;
		ssize_t n = io_pread(s->fd, piece, want, (uint64_t)offset, e);

		if (n == -1) {
			free(piece);
			return err_prefix(e, "%s", s->key);
		}
		if ((size_t)n < want) {
			free(piece);
			return err_item(
			    e, P_MODIFIED, "%s: became shorter while it was read", s->key);
		}
		rc = io_pwrite(fd, piece, want, (uint64_t)offset, NULL, e);
		offset += n;
		bytes -= n;
	}
	free(piece);
	if (rc == 0)
		rc = io_fsync(fd, s->key, e);
	return rc == 0 ? 0 : refused_io(e, s->key);
}

static int
file_put(struct remote *r, const struct remote_source *s, struct remote_object *o, struct err *e)
{
	char key[REMOTE_KEY_MAX + 1];
	struct place temp;
	int fd, rc = -1;

	if (new_temp_key(r, key, e) == -1 || find_place(r->own, key, true, &temp, e) == -1)
		return -1;
	if ((fd = create_temp(&temp, s->key, O_EXCL, e)) != -1) {
		rc = pour(s, 0, s->size_bytes, fd, e);
		if (close(fd) == -1 && rc == 0)
			rc = refused(e, errno, s->key);
		if (rc == 0)
			rc = settle(r->own, &temp, s, o, e);
		if (rc == -1)
			unlinkat(temp.fd, temp.name, 0);
	}
	leave(&temp);
	return rc;
}

static int
file_begin(struct remote *r, const struct remote_source *s, const char *id,
    char session[REMOTE_SESSION_MAX], struct err *e)
{
	char key[REMOTE_KEY_MAX + 1];
	struct place temp;
	int fd;

	temp_key(r, id, key);
	if (find_place(r->own, key, true, &temp, e) == -1)
		return -1;
	fd = create_temp(&temp, s->key, O_TRUNC, e);
	if (fd != -1) {
		close(fd);
		if (fsync(temp.fd) == -1)
			fd = refused(e, errno, s->key);
	}
	leave(&temp);
	if (fd == -1)
		return -1;
	snprintf(session, REMOTE_SESSION_MAX, "%s", key);
	return 0;
}

/* How many bytes of an upload are there: 1, 0 when it is gone, -1. */
static int
arrived_bytes(struct remote *r, const char *session, const char *key, int64_t *bytes,
    struct place *temp, struct err *e)
{
	struct remote_object o;
	int rc;

	temp->fd = -1;
	if (check_session(r, key, session, e) == -1)
		return -1;
	if (find_place(r->own, session, false, temp, e) == -1)
		return e->sys == ENOENT ? 0 : -1;
	if ((rc = look(r->own, temp, key, &o, e)) == 1)
		*bytes = o.size_bytes;
	return rc;
}

static int
gone(const char *key, struct err *e)
{
	return err_item(
	    e, P_MISSING, "%s: the upload is not at the remote any more; begin anew", key);
}

static int
file_part(struct remote *r, const struct remote_source *s, const char *session,
    struct remote_part *part, struct err *e)
{
	int64_t there, end = part->offset + part->size_bytes;
	struct place temp;
	int fd, rc = arrived_bytes(r, session, s->key, &there, &temp, e);

	if (rc == 0)
		rc = gone(s->key, e);
	else if (rc == 1 && there < part->offset)
		rc = err_item(e, P_REMOTE,
		    "%s: part %u does not follow what has arrived (%" PRId64 " bytes)", s->key,
		    part->number, there);
	else if (rc == 1 && there < end) {
		if ((fd = create_temp(&temp, s->key, 0, e)) == -1) {
			rc = -1;
		} else {
			rc = pour(s, there, end - there, fd, e);
			close(fd);
		}
	}
	leave(&temp);
	return rc == -1 ? -1 : 0;
}

/* Whether the whole is there under its key, as an upload whose end was lost left it: 1, 0, -1. */
static int
is_finished(
    const struct folder *d, const struct remote_source *s, struct remote_object *o, struct err *e)
{
	struct place p;
	int rc;

	if (find_place(d, s->key, false, &p, e) == -1)
		return e->sys == ENOENT ? 0 : -1;
	rc = holds(d, s, &p, o, e);
	leave(&p);
	return rc;
}

static int
file_arrived(struct remote *r, const struct remote_source *s, const char *session,
    int (*each)(void *ctx, const struct remote_part *p, struct err *e), void *ctx,
    struct remote_object *o, struct err *e)
{
	struct remote_part all = {0};
	struct place temp;
	int rc = arrived_bytes(r, session, s->key, &all.size_bytes, &temp, e);

	leave(&temp);
	if (rc == 1)
		return each(ctx, &all, e) == -1 ? -1 : 1;
	if (rc == 0 && (rc = is_finished(r->own, s, o, e)) == 1)
		return 2;
	return rc;
}

static int
file_finish(struct remote *r, const struct remote_source *s, const char *session,
    const struct remote_part *parts, unsigned n, struct remote_object *o, struct err *e)
{
	int64_t there;
	struct place temp;
	int rc = arrived_bytes(r, session, s->key, &there, &temp, e);

	(void)parts;
	(void)n;
	if (rc == 1 && there == s->size_bytes)
		rc = settle(r->own, &temp, s, o, e);
	else if (rc == 1)
		rc = err_item(e, P_SIZE_MISMATCH,
		    "%s: %" PRId64 " of %" PRId64 " bytes have arrived", s->key, there,
		    s->size_bytes);
	else if (rc == 0 && (rc = is_finished(r->own, s, o, e)) == 0)
		rc = gone(s->key, e);
	leave(&temp);
	return rc == -1 ? -1 : 0;
}

/* Removes a temporary file: 1, 0 when there was none, -1. */
static int
remove_temp(struct remote *r, const char *session, const char *key, struct err *e)
{
	struct place temp;
	int rc = 0;

	if (find_place(r->own, session, false, &temp, e) == -1)
		return e->sys == ENOENT ? 0 : -1;
	if (unlinkat(temp.fd, temp.name, 0) == 0)
		rc = fsync(temp.fd) == 0 ? 1 : refused(e, errno, key);
	else if (errno != ENOENT)
		rc = refused(e, errno, key);
	leave(&temp);
	return rc;
}

static int
file_abort(struct remote *r, const char *key, const char *session, struct err *e)
{
	if (check_session(r, key, session, e) == -1)
		return -1;
	return remove_temp(r, session, key, e) == -1 ? -1 : 0;
}

static int
file_sweep(
    struct remote *r, const char *key, const char *id, const char *since, int64_t *n, struct err *e)
{
	char temp[REMOTE_KEY_MAX + 1];
	int rc;

	(void)since;
	temp_key(r, id, temp);
	if ((rc = remove_temp(r, temp, key, e)) == -1)
		return -1;
	*n = rc;
	return 0;
}

/* ---- getting, moving, deleting ---- */

static int
pass_on(int fd, uint64_t offset, int (*sink)(void *ctx, const void *p, size_t len, struct err *e),
    void *ctx, const char *key, struct err *e)
{
	char *piece = mem_new(PIECE, 1, e);
	ssize_t n;
	int rc = piece == NULL ? -1 : 0;

	while (rc == 0 && (n = io_pread(fd, piece, PIECE, offset, e)) != 0) {
		if (n == -1)
			rc = refused_io(e, key);
		else
			rc = sink(ctx, piece, (size_t)n, e);
		offset += n == -1 ? 0 : (uint64_t)n;
	}
	free(piece);
	return rc;
}

static int
file_get(struct remote *r, const struct remote_object *o, uint64_t offset,
    int (*sink)(void *ctx, const void *p, size_t len, struct err *e), void *ctx, struct err *e)
{
	struct place p;
	struct stat st, was;
	int fd, rc = -1;

	if (find_place(r->own, o->key, false, &p, e) == -1)
		return -1;
	if ((fd = open_object(&p, o->key, &st, e)) != -1) {
		was = st;
		if (check_version(r->own, o->key, o->tag, &st, e) == 0 &&
		    pass_on(fd, offset, sink, ctx, o->key, e) == 0)
			rc = fstat(fd, &st) == -1 ? refused(e, errno, o->key) : 0;
		if (rc == 0 && (was.st_size != st.st_size ||
				   memcmp(&was.st_mtim, &st.st_mtim, sizeof st.st_mtim) != 0))
			rc = err_item(e, P_CONFLICT, "%s: was changed while it was read", o->key);
		close(fd);
	}
	leave(&p);
	return rc;
}

/* The whole of one file into another, by the file system where it can. */
static int
copy_bytes(int from, int to, const char *key, struct err *e)
{
	ssize_t n;
	char digest[HASH_XXH3_128_HEX];

	while ((n = copy_file_range(from, NULL, to, NULL, COPY_RANGE, 0)) != 0) {
		if (n > 0 || errno == EINTR)
			continue;
		if (errno != EXDEV && errno != ENOSYS && errno != EINVAL && errno != EOPNOTSUPP)
			return refused(e, errno, key);
		if (lseek(to, 0, SEEK_SET) == -1)
			return refused(e, errno, key);
		if (io_pour(from, to, NULL, NULL, digest, e) == -1)
			return refused_io(e, key);
		break;
	}
	return io_fsync(to, key, e) == -1 ? refused_io(e, key) : 0;
}

static int
copy_version(struct remote *r, const struct remote_object *from, int fd, const struct place *temp,
    const struct place *to, const char *key, const char *over, struct remote_object *o,
    struct err *e)
{
	int out = create_temp(temp, key, O_EXCL, e), rc;
	struct stat st;

	if (out == -1)
		return -1;
	rc = copy_bytes(fd, out, key, e);
	close(out);
	if (rc == 0)
		rc = fstat(fd, &st) == -1 ? refused(e, errno, from->key)
					  : check_version(r->own, from->key, from->tag, &st, e);
	if (rc == 0)
		rc = give_name(r->own, temp, to, key, over, false, o, e);
	if (rc == -1)
		unlinkat(temp->fd, temp->name, 0);
	return rc;
}

static int
file_copy(struct remote *r, const struct remote_object *from, const char *to, const char *over,
    struct remote_object *o, struct err *e)
{
	char temp_name[REMOTE_KEY_MAX + 1];
	struct place a = {-1, NULL}, b = {-1, NULL}, temp = {-1, NULL};
	struct stat st;
	int fd = -1, rc = -1;

	if (find_two(r->own, from->key, &a, to, &b, e) == 0 && new_temp_key(r, temp_name, e) == 0 &&
	    find_place(r->own, temp_name, true, &temp, e) == 0 &&
	    (fd = open_object(&a, from->key, &st, e)) != -1 &&
	    check_version(r->own, from->key, from->tag, &st, e) == 0)
		rc = copy_version(r, from, fd, &temp, &b, to, over, o, e);
	if (fd != -1)
		close(fd);
	leave(&a);
	leave(&b);
	leave(&temp);
	return rc;
}

static int
file_remove(struct remote *r, const struct remote_object *o, struct err *e)
{
	struct place p;
	struct stat st;
	int held = -1, rc = -1;

	if (find_place(r->own, o->key, false, &p, e) == -1)
		return e->sys == ENOENT ? 0 : -1;
	if ((held = lock(r->own, e)) == -1)
		goto out;
	if (fstatat(p.fd, p.name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		rc = errno == ENOENT ? 0 : refused(e, errno, o->key);
	else if (!S_ISREG(st.st_mode))
		refused(e, EEXIST, o->key);
	else if (check_version(r->own, o->key, o->tag, &st, e) == 0)
		rc = unlinkat(p.fd, p.name, 0) == 0 && fsync(p.fd) == 0 ? 0
									: refused(e, errno, o->key);
	close(held);
out:
	leave(&p);
	return rc;
}

static int
file_move(struct remote *r, const struct remote_object *from, const char *to, const char *over,
    struct remote_object *o, struct err *e)
{
	struct place a = {-1, NULL}, b = {-1, NULL};
	struct remote_object there;
	int rc = -1;

	if (find_two(r->own, from->key, &a, to, &b, e) == 0 &&
	    (rc = look(r->own, &a, from->key, &there, e)) != -1) {
		if (rc == 0)
			rc = refused(e, ENOENT, from->key);
		else if (from->tag[0] != '\0' && strcmp(from->tag, there.tag) != 0)
			rc = err_item(e, P_CONFLICT,
			    "%s: was changed at the remote by somebody else", from->key);
		else
			rc = give_name(r->own, &a, &b, to, over, false, o, e);
	}
	leave(&a);
	leave(&b);
	/* A folder below may be another disk. */
	if (rc == -1 && e->sys == EXDEV && (rc = file_copy(r, from, to, over, o, e)) == 0)
		rc = file_remove(r, from, e);
	return rc;
}

/* ---- finding out ---- */

/* Whether a name that is taken is refused here, which a file system may promise and not keep. */
static int
file_probe(struct remote *r, struct json *found, struct err *e)
{
	char key[2][REMOTE_KEY_MAX + 1];
	struct place p[2] = {{-1, NULL}, {-1, NULL}};
	int fd, rc = 0, sys = 0;

	for (int i = 0; i < 2 && rc == 0; i++) {
		if (new_temp_key(r, key[i], e) == -1 ||
		    find_place(r->own, key[i], true, &p[i], e) == -1 ||
		    (fd = create_temp(&p[i], key[i], O_EXCL, e)) == -1)
			rc = -1;
		else
			close(fd);
	}
	if (rc == 0)
		sys = name_new(&p[0], &p[1]);
	for (int i = 0; i < 2; i++) {
		if (p[i].fd != -1)
			unlinkat(p[i].fd, p[i].name, 0);
		leave(&p[i]);
	}
	return rc == -1 ? -1 : json_put_bool(found, "conditional", sys == EEXIST, e);
}

const struct remote_kind remote_file_kind = {
    .scheme = "file",
    .open = file_open,
    .close = file_close,
    .check = file_check,
    .list_open = file_list_open,
    .list_next = file_list_next,
    .list_close = file_list_close,
    .stat = file_stat,
    .put = file_put,
    .begin = file_begin,
    .part = file_part,
    .arrived = file_arrived,
    .finish = file_finish,
    .abort = file_abort,
    .sweep = file_sweep,
    .get = file_get,
    .copy = file_copy,
    .move = file_move,
    .remove = file_remove,
    .probe = file_probe,
};
