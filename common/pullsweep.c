#include "pullsweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fetch.h"
#include "hash.h"
#include "io.h"

static uint64_t
hash_of(const char *name)
{
	return hash_xxh3_64(name, strlen(name));
}

static bool
is_ours(const char *name)
{
	size_t n = strlen(name), suffix = strlen(FETCH_SUFFIX);

	return n > suffix && strcmp(name + n - suffix, FETCH_SUFFIX) == 0;
}

/* Whether temp is a folder of its own, where such a name can be nobody's recording. */
static bool
is_apart(const struct sync *s)
{
	struct stat temp, db;

	return archive_is_apart(&s->a, FOLDER_TEMP) &&
	       fstat(s->a.folders[FOLDER_TEMP], &temp) == 0 &&
	       fstatat(s->folder, "..", &db, 0) == 0 &&
	       !(temp.st_dev == db.st_dev && temp.st_ino == db.st_ino);
}

/* 1, 0, -1. */
static int
has_another_remote(struct sync *s, struct err *e)
{
	struct catalogue_remote m;
	int64_t id = 0;
	int rc;

	while ((rc = catalogue_remote_next(s->a.catalogue, id, &m, e)) == 1) {
		id = m.id;
		catalogue_remote_free(&m);
		if (id != s->known.id)
			return 1;
	}
	return rc;
}

static int
each_left(int dirfd, int (*each)(void *ctx, int dirfd, const char *name, struct err *e), void *ctx,
    struct err *e)
{
	DIR *d = io_list(dirfd, e);
	struct dirent *entry;
	int rc = 0;

	if (d == NULL)
		return -1;
	while (rc == 0 && (errno = 0, entry = readdir(d)) != NULL)
		if (is_ours(entry->d_name))
			rc = each(ctx, dirfd, entry->d_name, e);
	if (rc == 0 && errno != 0)
		rc = err_sys(e, "listing temp");
	closedir(d);
	return rc;
}

static int
note_left(void *ctx, int dirfd, const char *name, struct err *e)
{
	(void)dirfd;
	return idset_add(ctx, hash_of(name), e);
}

int
pullsweep_look(struct pullsweep *w, struct sync *s, struct err *e)
{
	int rc;

	if (s->t->dry_run || !is_apart(s))
		return 0;
	if ((rc = has_another_remote(s, e)) != 0)
		return rc == -1 ? -1 : 0;
	return each_left(s->a.folders[FOLDER_TEMP], note_left, &w->left, e);
}

int
pullsweep_note(struct pullsweep *w, const char *key, struct err *e)
{
	char temp[FETCH_NAME_MAX], *name;
	const char *folder;
	uint64_t hash;
	size_t len;

	if ((w->left.used == 0 && !w->left.has_zero) || sync_name(key, &folder, &name, &len) == -1)
		return 0;
	fetch_temp_name(name, temp);
	free(name);
	hash = hash_of(temp);
	return idset_has(&w->left, hash) ? idset_add(&w->wanted, hash, e) : 0;
}

static int
remove_left(void *ctx, int dirfd, const char *name, struct err *e)
{
	const struct pullsweep *w = ctx;
	uint64_t hash = hash_of(name);
	struct stat st;
	int fd, rc = 0;

	if (!idset_has(&w->left, hash) || idset_has(&w->wanted, hash))
		return 0;
	/* What is no file of ours, or cannot be opened, is left alone. */
	fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd == -1)
		return 0;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
	    (rc = io_try_lock(fd, e)) == 1)
		rc = io_unlink(dirfd, name, e);
	close(fd);
	return rc;
}

int
pullsweep_run(struct pullsweep *w, struct sync *s, struct err *e)
{
	if (w->left.used == 0 && !w->left.has_zero)
		return 0;
	return each_left(s->a.folders[FOLDER_TEMP], remove_left, w, e);
}

void
pullsweep_free(struct pullsweep *w)
{
	idset_free(&w->left);
	idset_free(&w->wanted);
}
