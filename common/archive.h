/*
 * archive: the tree that a tool works in: root, configuration, folders, catalogue, volume.
 *
 * The root is the current folder (the tools change into -C first), so every relative path is
 * relative to it.
 */
#ifndef REC_ARCHIVE_H
#define REC_ARCHIVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "catalogue.h"
#include "config.h"
#include "err.h"

enum folder { FOLDER_RAW, FOLDER_EDITED, FOLDER_TEMP, FOLDER_BACKUP, FOLDERS };

struct archive {
	struct config *config;
	struct catalogue *catalogue;
	/* To open another connection with; borrows from config. */
	struct catalogue_opts catalogue_opts;
	int folders[FOLDERS];	    /* descriptors; -1: absent */
	const char *paths[FOLDERS]; /* as configured; borrowed */
	char *journal_path;	    /* the database's folder + "/journal" */
	int journal;		    /* descriptor, or -1: absent */
};

/* Opens an archive. `environment` is what -E said, or NULL; `stop` as in catalogue_opts. */
int archive_open(
    struct archive *a, const char *environment, bool write, const atomic_int *stop, struct err *e);
/*
 * The same in two steps, for who wants to know which of them fails: configuration and folders, then
 * the catalogue (NULL until then). archive_close after a failure of the second, not of the first.
 */
int archive_open_tree(
    struct archive *a, const char *environment, const atomic_int *stop, struct err *e);
int archive_open_catalogue(struct archive *a, bool write, struct err *e);
void archive_close(struct archive *a);

/* raw edited temp backup */
const char *archive_folder_name(enum folder f);
/* Makes the folder when it is absent. */
int archive_need_folder(struct archive *a, enum folder f, struct err *e);
/* Whether a folder is there and for temp, or backup, alone, by its identity: none of the other
 * folders, the journals' or the root. */
bool archive_is_apart(const struct archive *a, enum folder f);

/*
 * Finds the file of a stored name (not trusted, may hold anything) beneath raw or edited. 0 with *f
 * and *st; -1 with an ERR_ITEM: missing (with *f where it would be), unsafe_path, denied. `hint` is
 * the folder recorded for it, or NULL.
 */
int archive_locate(const struct archive *a, const char *stored, size_t len, const char *hint,
    enum folder *f, struct stat *st, struct err *e);

/* 1 when a file in raw or edited, or a row, has this name; 0; -1. */
int archive_is_taken(const struct archive *a, const char *name, struct err *e);

/*
 * The path of a stored name as records show it, for the caller to free; *path_len bytes, since a
 * stored name may hold anything. hint as in archive_locate. NULL and *e.
 */
char *archive_path(const struct archive *a, const char *stored, size_t len, const char *hint,
    size_t *path_len, struct err *e);

/*
 * The stored name in a path that a user or a record names: of a path right in raw or edited (by the
 * folder's identity, not its spelling). Borrowed from path, or NULL when the path lies elsewhere.
 */
const char *archive_stored_name(const struct archive *a, const char *path);

/*
 * Pre-flight for `bytes` more in a folder: ERR_ITEM with too_large (above the environment's size
 * limit; bytes is one file's) or no_space (the environment's minimum would be touched).
 */
int archive_preflight(const struct archive *a, enum folder f, uint64_t bytes, struct err *e);
/* Of these the room alone, for what is no file of its own. */
int archive_preflight_room(const struct archive *a, enum folder f, uint64_t bytes, struct err *e);
/* The same for the database and its journals: -1 with ERR_SYSTEM, no_space. */
int archive_preflight_catalogue(const struct archive *a, uint64_t bytes, struct err *e);
/* Bytes that may still be written in a folder: *bytes, or -1 and *e. */
int archive_room(const struct archive *a, enum folder f, uint64_t *bytes, struct err *e);

#endif
