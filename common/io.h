/*
 * io: files, so that every instant is a legal place to die.
 *
 * A file appears under its final name only whole. There is one way to create such a file:
 *
 *	if (io_new_open(&f, dirfd, "name.wav", e) == -1) ...
 *	io_write(f.fd, p, len, e) ...
 *	io_new_commit(&f, e)          fsync, rename without replacing, fsync of the folder
 *	io_new_close(&f)              always; removes the temporary file when it was not committed
 *
 * The temporary file is in the same folder, named ".rec-NAME.XXXXXXXX.tmp", and locked (flock).
 *
 * What grows for hours, and is worth having when it is cut off, has its name from the start, one
 * that says so, and a lock while somebody writes it: io_create_locked.
 *
 * Errors that are one file's own (missing, denied, unreadable, unsafe_path) are of class ERR_ITEM;
 * a full disk and the like are ERR_SYSTEM with the errno. User files are read with pread, never
 * mapped.
 */
#ifndef REC_IO_H
#define REC_IO_H

#include <dirent.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "err.h"
#include "hash.h"
#include "mem.h"

/* A regular file for reading, named by the user: links are followed. Never blocks on a FIFO. */
int io_open(int dirfd, const char *path, struct err *e);
/* A regular file for reading, whose name is not trusted: it is resolved beneath dirfd or refused.
 */
int io_open_beneath(int dirfd, const char *name, struct err *e);
/* As fstatat on such a name; the final component may be a link that stays beneath. */
int io_stat_beneath(int dirfd, const char *name, struct stat *st, struct err *e);
/* A folder, or -1 and *e (ERR_ITEM). */
int io_open_dir(int dirfd, const char *path, struct err *e);
/* Makes the folders of path that are missing, each made durable. */
int io_make_dirs(int dirfd, const char *path, struct err *e);

/* The entries of an open folder, to read and close with readdir and closedir; dirfd stays open. */
DIR *io_list(int dirfd, struct err *e);
/* 1, 0, or -1 and *e. */
int io_dir_is_empty(int dirfd, struct err *e);

/* len bytes unless the file ends before: returns what was read, or -1. */
ssize_t io_pread(int fd, void *p, size_t len, uint64_t offset, struct err *e);
/*
 * The digest of a whole file by one read (io_pread's errors): HASH_XXH3_128 or HASH_SHA256, in
 * hexadecimal. With fresh, the medium is asked and not the page cache. stop and bytes_done as in
 * audio.h, or NULL.
 */
int io_digest(int fd, int kind, bool fresh, const atomic_int *stop, atomic_ullong *bytes_done,
    char out[HASH_SHA256_HEX], struct err *e);
int io_write(int fd, const void *p, size_t len, struct err *e);
/* At offset; the place of io_write stays. *done (or NULL): the bytes written, also when it fails.
 */
int io_pwrite(int fd, const void *p, size_t len, uint64_t offset, uint64_t *done, struct err *e);
int io_fsync(int fd, const char *what, struct err *e);
/* The name is still that of the file that was looked at as *was, right in the folder and no link,
 * and that is as it was. Else -1 and *e, ERR_ITEM: modified, unsupported. */
int io_check_unchanged(int dirfd, const char *name, const struct stat *was, struct err *e);
/* A whole small file, at most max bytes (more is an error). */
int io_read_file(int dirfd, const char *path, size_t max, struct buf *out, struct err *e);

struct io_new {
	int fd;	    /* for writing; -1 when closed */
	int dirfd;  /* borrowed */
	char *name; /* final */
	char *temp;
};

int io_new_open(struct io_new *f, int dirfd, const char *name, struct err *e);
/* Mode of the file under its final name; 0600 until then. Replaces only when told to. */
int io_new_commit(struct io_new *f, mode_t mode, bool replace, struct err *e);
void io_new_close(struct io_new *f);
/*
 * Creates an empty file for reading and writing, mode 0600, locked (flock) until the descriptor is
 * closed; its name is durable. Never opens one that is there: ERR_SYSTEM with EEXIST, which is also
 * the answer when somebody else locked the new one first (it is removed again). The descriptor.
 */
int io_create_locked(int dirfd, const char *name, struct err *e);
/*
 * The same for what may be there already from an earlier process, to go on with: a regular file of
 * no other name, which nobody holds, and *st is what it was. ERR_ITEM (conflict, busy) for any
 * other; nothing is made durable.
 */
int io_resume_locked(int dirfd, const char *name, struct stat *st, struct err *e);
/* Allocates bytes from the start without a change of the size, so that writing them cannot meet a
 * full disk; where the file system cannot, nothing. ERR_SYSTEM, with no_space for a full disk. */
int io_reserve(int fd, uint64_t bytes, struct err *e);
/* Gives back what was reserved and is not written. Sets the file's time. */
int io_release(int fd, const char *what, struct err *e);
/* A whole file that the user named, in the way above; one that is there is replaced. ERR_SYSTEM. */
int io_put_file(const char *path, const void *p, size_t len, mode_t mode, struct err *e);

/*
 * Moves or removes a name and makes it durable (fsync of each folder). io_rename never replaces:
 * EEXIST is an error.
 */
int io_rename(int from_dirfd, const char *from, int to_dirfd, const char *to, struct err *e);
/*
 * As io_rename, also from one file system to another: copied, read back and compared, made durable,
 * and only then removed at the old place. It keeps its times. A move that was killed in between is
 * finished by another.
 */
int io_move(int from_dirfd, const char *from, int to_dirfd, const char *to, struct err *e);
/*
 * Copies a file's bytes under a new name in a folder, read back and compared; never replaces. With
 * their digest (else NULL) bytes that are others by now are refused (modified, ERR_ITEM).
 */
int io_copy(int fd, int to_dirfd, const char *to, mode_t mode, const char *xxh3_128, struct err *e);
/* Writes the bytes of fd at the place of out_fd, and gives their digest. stop and bytes_done as in
 * audio.h, or NULL. */
int io_pour(int fd, int out_fd, const atomic_int *stop, atomic_ullong *bytes_done,
    char xxh3_128[HASH_XXH3_128_HEX], struct err *e);
/*
 * A second name for a file: a hard link, or where there can be none (another file system) a copy
 * that was read back and keeps mode and times. Appears whole; never replaces (EEXIST).
 */
int io_link_or_copy(int from_dirfd, const char *from, int to_dirfd, const char *to, struct err *e);
/*
 * Moves a file over another name, which it replaces in one step, with its mode and times; from one
 * file system to another by a copy that was read back, and then removed at the old place. When both
 * names are the same file already, the first is removed. One that was killed is finished by
 * another.
 */
int io_replace(int from_dirfd, const char *from, int to_dirfd, const char *to, struct err *e);
int io_unlink(int dirfd, const char *name, struct err *e);
/* The last component of a path, within it. */
const char *io_base_name(const char *path);
/* True for the name of a temporary file as io_new_open makes them. */
bool io_is_temp(const char *name);
/* Removes temporary files that io_new_open left in a folder when a run was killed: those that
 * nobody holds. */
int io_sweep_temps(int dirfd, struct err *e);

/* Bytes that an unprivileged writer may still write on the file system of fd. */
int io_free_bytes(int fd, uint64_t *out, struct err *e);

/* An exclusive lock on an open folder or file, held until the descriptor is closed: 1, 0 when
 * somebody else holds it, -1. */
int io_try_lock(int fd, struct err *e);
/* Lets go of it. */
void io_unlock(int fd);
/* Whether somebody holds that lock now: 1, 0, -1. */
int io_is_locked(int dirfd, struct err *e);

#endif
