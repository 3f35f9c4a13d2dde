#include "holders.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct look {
	struct holder_file *files;
	size_t n;
	int proc;	    /* of /proc */
	char own[PATH_MAX]; /* the program that this process runs; "" */
	bool all;	    /* every process could be seen … */
	bool first;	    /* … and the first one, which a /proc that hides some does not show */
};

static const char *
last_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static bool
read_link(int dirfd, const char *name, char out[PATH_MAX])
{
	ssize_t len = readlinkat(dirfd, name, out, PATH_MAX - 1);

	out[len > 0 ? len : 0] = '\0';
	return len > 0;
}

/* The start of a small file, NUL-ended: its length, or -1. */
static ssize_t
read_text(int dirfd, const char *name, char *out, size_t size)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd != -1 ? read(fd, out, size - 1) : -1;

	if (fd != -1)
		close(fd);
	out[len > 0 ? len : 0] = '\0';
	return len;
}

/*
 * A tool of ours never owns what another program claimed. One that keeps secrets shows its name
 * alone.
 */
static bool
is_ours(const struct look *k, int process)
{
	char exe[PATH_MAX], name[32];
	size_t folder = (size_t)(last_of(k->own) - k->own);

	if (!read_link(process, "exe", exe))
		return read_text(process, "comm", name, sizeof name) > 0 &&
		       strcmp(name, "rec-sync\n") == 0;
	return folder > 0 && strncmp(exe, k->own, folder) == 0 &&
	       strncmp(exe + folder, "rec-", 4) == 0 && strchr(exe + folder, '/') == NULL;
}

/* A thread of the kernel, or a process that has ended: neither has files. */
static bool
is_without_files(int process)
{
	char c[2];

	return read_text(process, "cmdline", c, sizeof c) == 0;
}

/* By the name first: asking for a file on a dead network drive may take for ever. */
static void
note(struct look *k, int fds, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	if (!read_link(fds, name, path) || path[0] != '/')
		return;
	for (size_t i = 0; i < k->n; i++) {
		struct holder_file *f = &k->files[i];

		if (!f->held && f->inode != 0 && strcmp(last_of(f->path), last_of(path)) == 0 &&
		    fstatat(fds, name, &st, 0) == 0 && st.st_dev == f->device &&
		    st.st_ino == f->inode)
			f->held = true;
	}
}

static void
look_at(struct look *k, int process)
{
	int fd = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *fds = fd != -1 ? fdopendir(fd) : NULL;
	struct dirent *d;

	if (fds == NULL) {
		if (fd != -1)
			close(fd);
		if (errno != ENOENT && errno != ESRCH && !is_without_files(process))
			k->all = false;
		return;
	}
	while ((d = readdir(fds)) != NULL)
		if (isdigit((unsigned char)d->d_name[0]))
			note(k, fd, d->d_name);
	closedir(fds);
}

static void
visit(struct look *k, const char *pid)
{
	int process;

	if (!isdigit((unsigned char)pid[0]) || strtol(pid, NULL, 10) == (long)getpid())
		return;
	if ((process = openat(k->proc, pid, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1) {
		if (errno != ENOENT && errno != ESRCH)
			k->all = false;
		return;
	}
	if (!is_ours(k, process))
		look_at(k, process);
	close(process);
}

static void
begin(struct look *k)
{
	struct stat st;

	for (size_t i = 0; i < k->n; i++) {
		struct holder_file *f = &k->files[i];
		bool there = stat(f->path, &st) == 0 && S_ISREG(st.st_mode);

		f->held = false;
		f->device = there ? st.st_dev : 0;
		f->inode = there ? st.st_ino : 0;
	}
}

bool
holders_look(struct holder_file *files, size_t n)
{
	struct look k = {.files = files, .n = n, .all = true};
	struct dirent *d;
	DIR *proc;

	begin(&k);
	if ((proc = opendir("/proc")) == NULL)
		return false;
	k.proc = dirfd(proc);
	read_link(k.proc, "self/exe", k.own);
	while ((d = readdir(proc)) != NULL) {
		k.first = k.first || strcmp(d->d_name, "1") == 0;
		visit(&k, d->d_name);
	}
	closedir(proc);
	return k.all && k.first;
}
