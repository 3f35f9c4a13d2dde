#include "archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "mem.h"

#define MIB (UINT64_C(1) << 20)

static const enum config_key path_keys[FOLDERS] = {
    CONFIG_RAW_PATH, CONFIG_EDITED_PATH, CONFIG_TEMP_PATH, CONFIG_BACKUP_PATH};

const char *
archive_folder_name(enum folder f)
{
	static const char *const names[FOLDERS] = {"raw", "edited", "temp", "backup"};

	return names[f];
}

/* A folder of the archive, or -1 when it is absent; any other failure is an error. */
static int
open_folder(const char *path, int *fd, struct err *e)
{
	if ((*fd = io_open_dir(AT_FDCWD, path, e)) == -1 && e->sys != ENOENT) {
		e->class = ERR_SYSTEM;
		return -1;
	}
	return 0;
}

int
archive_open_tree(struct archive *a, const char *environment, const atomic_int *stop, struct err *e)
{
	const char *db, *slash;

	*a = (struct archive){.folders = {-1, -1, -1, -1}, .journal = -1};
	if ((a->config = config_load(AT_FDCWD, environment, e)) == NULL)
		goto fail;
	for (int f = 0; f < FOLDERS; f++) {
		a->paths[f] = config_str(a->config, path_keys[f]);
		if (open_folder(a->paths[f], &a->folders[f], e) == -1)
			goto fail;
	}
	db = config_database(a->config);
	slash = strrchr(db, '/');
	a->journal_path = slash == NULL ? mem_str("journal", e)
					: mem_fmt(e, "%.*s/journal", (int)(slash - db), db);
	if (a->journal_path == NULL || open_folder(a->journal_path, &a->journal, e) == -1)
		goto fail;
	a->catalogue_opts = (struct catalogue_opts){
	    .path = db,
	    .raw_path = a->paths[FOLDER_RAW],
	    .edited_path = a->paths[FOLDER_EDITED],
	    .timeout_s = config_int(a->config, CONFIG_DB_TIMEOUT_S),
	    .retries = config_int(a->config, CONFIG_DB_RETRIES),
	    .stop = stop,
	};
	return 0;
fail:
	archive_close(a);
	return -1;
}

int
archive_open_catalogue(struct archive *a, bool write, struct err *e)
{
	a->catalogue_opts.write = write;
	return (a->catalogue = catalogue_open(&a->catalogue_opts, e)) == NULL ? -1 : 0;
}

int
archive_open(
    struct archive *a, const char *environment, bool write, const atomic_int *stop, struct err *e)
{
	if (archive_open_tree(a, environment, stop, e) == -1)
		return -1;
	if (archive_open_catalogue(a, write, e) == 0)
		return 0;
	archive_close(a);
	return -1;
}

void
archive_close(struct archive *a)
{
	catalogue_close(a->catalogue);
	config_free(a->config);
	for (int f = 0; f < FOLDERS; f++)
		if (a->folders[f] != -1)
			close(a->folders[f]);
	if (a->journal != -1)
		close(a->journal);
	free(a->journal_path);
	*a = (struct archive){.folders = {-1, -1, -1, -1}, .journal = -1};
}

int
archive_need_folder(struct archive *a, enum folder f, struct err *e)
{
	if (a->folders[f] != -1)
		return 0;
	if (io_make_dirs(AT_FDCWD, a->paths[f], e) == -1 ||
	    (a->folders[f] = io_open_dir(AT_FDCWD, a->paths[f], e)) == -1) {
		e->class = ERR_SYSTEM;
		return -1;
	}
	return 0;
}

static bool
is_same_folder(const struct stat *st, int fd)
{
	struct stat other;

	return fd != -1 && fstat(fd, &other) == 0 && st->st_dev == other.st_dev &&
	       st->st_ino == other.st_ino;
}

bool
archive_is_apart(const struct archive *a, enum folder f)
{
	struct stat st, root;

	if (a->folders[f] == -1 || fstat(a->folders[f], &st) == -1 || stat(".", &root) == -1)
		return false;
	return !is_same_folder(&st, a->folders[FOLDER_RAW]) &&
	       !is_same_folder(&st, a->folders[FOLDER_EDITED]) &&
	       !is_same_folder(&st, a->journal) &&
	       !(f == FOLDER_TEMP && is_same_folder(&st, a->folders[FOLDER_BACKUP])) &&
	       !(st.st_dev == root.st_dev && st.st_ino == root.st_ino);
}

/* Where a stored name is looked for first; the view `recording` in sql/ agrees. */
static bool
is_edited(const char *stored, size_t len, const char *hint)
{
	return hint != NULL ? strcmp(hint, "edited") == 0
			    : len >= 4 && memcmp(stored, "edi_", 4) == 0;
}

char *
archive_path(const struct archive *a, const char *stored, size_t len, const char *hint,
    size_t *path_len, struct err *e)
{
	struct buf path = {0};

	if (buf_adds(&path, a->paths[is_edited(stored, len, hint) ? FOLDER_EDITED : FOLDER_RAW],
		e) == -1 ||
	    buf_add(&path, "/", 1, e) == -1 || buf_add(&path, stored, len, e) == -1) {
		buf_free(&path);
		return NULL;
	}
	*path_len = path.len;
	return path.data;
}

int
archive_locate(const struct archive *a, const char *stored, size_t len, const char *hint,
    enum folder *f, struct stat *st, struct err *e)
{
	bool edited_first = is_edited(stored, len, hint);
	enum folder order[2] = {
	    edited_first ? FOLDER_EDITED : FOLDER_RAW, edited_first ? FOLDER_RAW : FOLDER_EDITED};

	*f = order[0];
	if (memchr(stored, '\0', len) != NULL || len == 0)
		return err_item(e, P_UNSAFE_PATH, "the stored name is empty or holds a NUL byte");
	for (int i = 0; i < 2; i++) {
		if (a->folders[order[i]] == -1)
			continue;
		if (io_stat_beneath(a->folders[order[i]], stored, st, e) == 0) {
			*f = order[i];
			return 0;
		}
		if (e->class != ERR_ITEM || strcmp(e->code, P_MISSING) != 0)
			return -1;
	}
	return err_item(e, P_MISSING, "no such file in %s", a->paths[order[0]]);
}

int
archive_is_taken(const struct archive *a, const char *name, struct err *e)
{
	struct stat st;
	struct err missing;
	enum folder f;
	int64_t id;

	if (archive_locate(a, name, strlen(name), NULL, &f, &st, &missing) == 0)
		return 1;
	if (missing.class == ERR_ITEM && strcmp(missing.code, P_UNSAFE_PATH) == 0)
		return 1; /* a link that leads out */
	if (missing.class != ERR_ITEM || strcmp(missing.code, P_MISSING) != 0) {
		*e = missing;
		return -1;
	}
	return catalogue_find_stored(a->catalogue, name, strlen(name), &id, e);
}

const char *
archive_stored_name(const struct archive *a, const char *path)
{
	const char *slash = strrchr(path, '/'), *below = NULL;
	char *folder;
	struct stat named, own;
	struct err e;
	bool ours = false;

	if (slash == NULL || slash[1] == '\0')
		return NULL;
	for (int f = FOLDER_RAW; f <= FOLDER_EDITED; f++) {
		size_t len = strlen(a->paths[f]);

		if (strncmp(path, a->paths[f], len) == 0 && path[len] == '/') {
			if (path + len == slash)
				return slash + 1;
			below = path + len + 1;
		}
	}
	if ((folder = mem_bytes(path, (size_t)(slash - path) + 1, &e)) == NULL)
		return NULL;
	if (stat(folder, &named) == 0)
		for (int f = FOLDER_RAW; f <= FOLDER_EDITED && !ours; f++)
			ours = a->folders[f] != -1 && fstat(a->folders[f], &own) == 0 &&
			       own.st_dev == named.st_dev && own.st_ino == named.st_ino;
	free(folder);
	return ours ? slash + 1 : below;
}

/* The file system of fd keeps the environment's minimum free behind `bytes` more. */
static int
check_space(const struct archive *a, int fd, const char *what, uint64_t bytes, struct err *e)
{
	uint64_t least = (uint64_t)config_int(a->config, CONFIG_MIN_FREE_MB) * MIB, need, left;

	if (!config_bool(a->config, CONFIG_DISK_CHECK))
		return 0;
	if (io_free_bytes(fd, &left, e) == -1)
		return -1;
	if (!mem_add(bytes, least, &need) || left < need)
		return err_item(e, P_NO_SPACE,
		    "%s has %llu MiB free; %llu MiB for this and %llu MiB to be kept free (%s) are "
		    "needed",
		    what, (unsigned long long)(left / MIB), (unsigned long long)(bytes / MIB + 1),
		    (unsigned long long)(least / MIB), config_name(CONFIG_MIN_FREE_MB));
	return 0;
}

int
archive_preflight(const struct archive *a, enum folder f, uint64_t bytes, struct err *e)
{
	uint64_t limit = (uint64_t)config_int(a->config, CONFIG_MAX_SIZE_MB) * MIB;

	if (bytes > limit)
		return err_item(e, P_TOO_LARGE,
		    "%llu bytes are more than the limit of %lld MiB (%s, from %s)",
		    (unsigned long long)bytes, (long long)config_int(a->config, CONFIG_MAX_SIZE_MB),
		    config_name(CONFIG_MAX_SIZE_MB), config_origin(a->config, CONFIG_MAX_SIZE_MB));
	return archive_preflight_room(a, f, bytes, e);
}

int
archive_preflight_room(const struct archive *a, enum folder f, uint64_t bytes, struct err *e)
{
	return check_space(a, a->folders[f], a->paths[f], bytes, e);
}

int
archive_room(const struct archive *a, enum folder f, uint64_t *bytes, struct err *e)
{
	uint64_t least = config_bool(a->config, CONFIG_DISK_CHECK)
			     ? (uint64_t)config_int(a->config, CONFIG_MIN_FREE_MB) * MIB
			     : 0;

	if (io_free_bytes(a->folders[f], bytes, e) == -1)
		return -1;
	*bytes = *bytes > least ? *bytes - least : 0;
	return 0;
}

int
archive_preflight_catalogue(const struct archive *a, uint64_t bytes, struct err *e)
{
	const char *slash = strrchr(a->catalogue_opts.path, '/');
	char *folder = slash == NULL ? mem_str(".", e)
				     : mem_bytes(a->catalogue_opts.path,
					   (size_t)(slash - a->catalogue_opts.path) + 1, e);
	int fd = folder == NULL ? -1 : io_open_dir(AT_FDCWD, folder, e);
	int rc = fd == -1 ? -1 : check_space(a, fd, folder, bytes, e);

	if (fd != -1)
		close(fd);
	free(folder);
	if (rc == -1)
		e->class = ERR_SYSTEM;
	return rc;
}
