/*
 * A replaced file is told by its bytes, not by its name: the digests before and after are in the
 * line, and what is neither is somebody else's work. So nothing is put in the place of a file that
 * is not known to be the one that the run made, and no backup is removed before its bytes were
 * read in the file that it is the backup of.
 */
#include "filechange.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hash.h"
#include "io.h"
#include "mem.h"

enum action { CREATE, MOVE, REPLACE, FINISH, RECORD, ACTIONS };

static const char *const action_names[ACTIONS] = {"create", "move", "replace", "finish", "record"};

struct change {
	enum action action;
	enum folder folder, to_folder, from_folder;
	char *name, *to, *from;	    /* `to` not of create and record, `from` of finish and record */
	const char *before, *after; /* digests, borrowed from the line; `before` only of replace */
};

/* ---- the line ---- */

struct json *
filechange_line(const char *action, enum folder f, const char *name, enum folder to_folder,
    const char *to, struct err *e)
{
	struct json *line = json_new_object(e);

	if (line != NULL && json_put_str(line, "op", "file", e) == 0 &&
	    json_put_str(line, "action", action, e) == 0 &&
	    json_put_str(line, "folder", archive_folder_name(f), e) == 0 &&
	    json_put_bytes(line, "name", name, strlen(name), e) == 0 &&
	    (to == NULL ||
		(json_put_str(line, "to_folder", archive_folder_name(to_folder), e) == 0 &&
		    json_put_bytes(line, "to", to, strlen(to), e) == 0)))
		return line;
	json_free(line);
	return NULL;
}

static int
folder_of(
    struct archive *a, const struct json *line, const char *key, enum folder *f, struct err *e)
{
	const char *name = json_get_str(line, key);

	for (int i = 0; name != NULL && i < FOLDERS; i++)
		if (strcmp(name, archive_folder_name((enum folder)i)) == 0) {
			*f = (enum folder)i;
			return archive_need_folder(a, *f, e);
		}
	return err_set(e, ERR_CATALOGUE, NULL, "a line of the journal names no folder");
}

static int
name_of(const struct json *line, const char *key, char **name, struct err *e)
{
	size_t len;

	if (json_get_bytes(line, key, name, &len, e) == 1)
		return 0;
	return err_set(e, ERR_CATALOGUE, NULL, "a line of the journal names no file");
}

static void
change_free(struct change *c)
{
	free(c->name);
	free(c->to);
	free(c->from);
}

static int
parse_action(const char *name, enum action *action, struct err *e)
{
	for (int i = 0; name != NULL && i < ACTIONS; i++)
		if (strcmp(name, action_names[i]) == 0) {
			*action = (enum action)i;
			return 0;
		}
	return err_set(e, ERR_CATALOGUE, NULL,
	    "a line of the journal has the action \"%s\", which this version does not know",
	    name != NULL ? name : "");
}

/* finish works within one folder unless it says otherwise. */
static int
parse_from(struct archive *a, const struct json *line, struct change *c, struct err *e)
{
	c->from_folder = c->folder;
	if (name_of(line, "from", &c->from, e) == -1)
		return -1;
	if (c->action == FINISH && json_get(line, "from_folder") == NULL)
		return 0;
	return folder_of(a, line, "from_folder", &c->from_folder, e);
}

/* Free in each case. */
static int
parse(struct archive *a, const struct json *line, struct change *c, struct err *e)
{
	*c = (struct change){.to_folder = FOLDER_BACKUP};
	if (parse_action(json_get_str(line, "action"), &c->action, e) == -1 ||
	    name_of(line, "name", &c->name, e) == -1 ||
	    folder_of(a, line, "folder", &c->folder, e) == -1)
		return -1;
	if (c->action == CREATE)
		return archive_need_folder(a, FOLDER_BACKUP, e);
	if ((c->action == FINISH || c->action == RECORD) && parse_from(a, line, c, e) == -1)
		return -1;
	if (c->action == RECORD ? archive_need_folder(a, FOLDER_BACKUP, e) == -1
				: name_of(line, "to", &c->to, e) == -1 ||
				      folder_of(a, line, "to_folder", &c->to_folder, e) == -1)
		return -1;
	c->before = json_get_str(line, "xxh3_128_before");
	c->after = json_get_str(line, "xxh3_128_after");
	if ((c->action == REPLACE && c->before == NULL) || (c->action != MOVE && c->after == NULL))
		return err_set(e, ERR_CATALOGUE, NULL, "a line of the journal lacks its digests");
	return 0;
}

/* ---- files ---- */

/* 1 and *st, 0 when it is missing, -1. */
static int
is_there(const struct archive *a, enum folder f, const char *name, struct stat *st, struct err *e)
{
	struct err missing;

	if (io_stat_beneath(a->folders[f], name, st, &missing) == 0)
		return 1;
	if (missing.code != NULL && strcmp(missing.code, P_MISSING) == 0)
		return 0;
	*e = missing;
	return -1;
}

static char *
numbered(const char *name, int i, struct err *e)
{
	return i == 1 ? mem_str(io_base_name(name), e) : mem_fmt(e, "%s.%d", io_base_name(name), i);
}

char *
filechange_backup_name(const struct archive *a, const char *name, struct err *e)
{
	char *to = numbered(name, 1, e);
	struct err missing;
	struct stat st;

	for (int i = 2;
	     to != NULL && io_stat_beneath(a->folders[FOLDER_BACKUP], to, &st, &missing) == 0;
	     i++) {
		free(to);
		to = numbered(name, i, e);
	}
	return to;
}

/* Tried name by name rather than looked up: a move to another file system that was killed is
 * finished under the name that it had then. */
int
filechange_to_backup(struct archive *a, enum folder f, const char *name, struct err *e)
{
	int rc = -1;

	if (archive_need_folder(a, FOLDER_BACKUP, e) == -1)
		return -1;
	for (int i = 1; rc == -1; i++) {
		char *to = numbered(name, i, e);

		if (to == NULL)
			return -1;
		rc = io_move(a->folders[f], name, a->folders[FOLDER_BACKUP], to, e);
		free(to);
		if (rc == -1 && e->sys != EEXIST)
			return -1;
	}
	return 0;
}

/* 1 when the file has these bytes, 0 when it has others or cannot be read, -1. */
static int
has_bytes(
    const struct archive *a, enum folder f, const char *name, const char *xxh3_128, struct err *e)
{
	char sum[HASH_SHA256_HEX];
	struct err why;
	int fd = io_open_beneath(a->folders[f], name, &why), rc = -1;

	if (fd != -1) {
		rc = io_digest(fd, HASH_XXH3_128, true, NULL, NULL, sum, &why);
		close(fd);
	}
	if (rc == 0)
		return strcmp(sum, xxh3_128) == 0;
	if (why.class == ERR_ITEM)
		return 0;
	*e = why;
	return -1;
}

/* A move that must not be retried for ever: what is in the way is a conflict, a disk that is full
 * or fails is none. */
static int
move_back(const struct archive *a, enum folder here, const char *from, enum folder there,
    const char *to, struct err *conflict, struct err *e)
{
	struct err why;

	if (io_move(a->folders[here], from, a->folders[there], to, &why) == 0)
		return 0;
	if (why.class == ERR_SYSTEM && why.sys != EEXIST) {
		*e = why;
		return -1;
	}
	err_item(conflict, P_CONFLICT, "%s/%s could not be put back as %s/%s", a->paths[here], from,
	    a->paths[there], to);
	return 1;
}

/* ---- taking back ---- */

static int
conflict_since(
    const struct archive *a, const struct change *c, const char *what, struct err *conflict)
{
	bool has_to = c->to != NULL;

	err_item(conflict, P_CONFLICT, "%s/%s %s; it and %s/%s are left as they are",
	    a->paths[c->folder], c->name, what, a->paths[has_to ? c->to_folder : c->from_folder],
	    has_to ? c->to : c->from);
	return 1;
}

/* The backup is there, and another file than the name's. */
static int
put_backup_back(struct archive *a, const struct change *c, struct err *conflict, struct err *e)
{
	int rc;

	if ((rc = has_bytes(a, c->to_folder, c->to, c->before, e)) != 1)
		return rc == -1 ? -1
				: conflict_since(a, c,
				      "has a backup that is not the file that it was", conflict);
	if ((rc = has_bytes(a, c->folder, c->name, c->after, e)) == 1)
		return io_replace(
		    a->folders[c->to_folder], c->to, a->folders[c->folder], c->name, e);
	/* Never replaced, or put back by a copy whose source a kill left. */
	if (rc == 0 && (rc = has_bytes(a, c->folder, c->name, c->before, e)) == 1)
		return io_unlink(a->folders[c->to_folder], c->to, e);
	return rc == -1 ? -1 : conflict_since(a, c, "was changed since it was repaired", conflict);
}

static int
undo_replace(struct archive *a, const struct change *c, struct err *conflict, struct err *e)
{
	struct stat name, backup;
	int is_name = is_there(a, c->folder, c->name, &name, e);
	int is_backup = is_name == -1 ? -1 : is_there(a, c->to_folder, c->to, &backup, e), rc;

	if (is_backup == -1)
		return -1;
	if (!is_backup) {
		/* Never made or taken back already, unless somebody removed the backup. */
		if (!is_name || (rc = has_bytes(a, c->folder, c->name, c->after, e)) == 0)
			return 0;
		return rc == -1 ? -1 : conflict_since(a, c, "has no backup any more", conflict);
	}
	if (!is_name)
		return move_back(a, c->to_folder, c->to, c->folder, c->name, conflict, e);
	if (name.st_dev == backup.st_dev && name.st_ino == backup.st_ino)
		return io_unlink(a->folders[c->to_folder], c->to, e);
	return put_backup_back(a, c, conflict, e);
}

/* Moves what was made to backup/, while it is what was made. */
static int
drop_finished(struct archive *a, const struct change *c, struct err *conflict, struct err *e)
{
	struct stat st;
	int rc = is_there(a, c->folder, c->name, &st, e);

	if (rc != 1)
		return rc;
	if ((rc = has_bytes(a, c->folder, c->name, c->after, e)) == 1)
		return filechange_to_backup(a, c->folder, c->name, e);
	return rc == -1 ? -1 : conflict_since(a, c, "was changed since it was made", conflict);
}

static int
undo_finish(struct archive *a, const struct change *c, struct err *conflict, struct err *e)
{
	struct stat st;
	int rc = drop_finished(a, c, conflict, e);

	if (rc == 0 && (rc = is_there(a, c->to_folder, c->to, &st, e)) == 1)
		rc = move_back(a, c->to_folder, c->to, c->from_folder, c->from, conflict, e);
	return rc;
}

static bool
is_link(const struct archive *a, enum folder f, const char *name)
{
	struct stat st;

	return fstatat(a->folders[f], name, &st, AT_SYMLINK_NOFOLLOW) == -1 || S_ISLNK(st.st_mode);
}

/*
 * 1 when both names of what was recorded are there, as one file or each with the bytes of the line:
 * either may go, and nothing is lost. A link, which would be left without its file, is no name.
 */
static int
is_twice(const struct archive *a, const struct change *c, struct err *e)
{
	struct stat name, from;
	int rc;

	if ((rc = is_there(a, c->folder, c->name, &name, e)) != 1 ||
	    (rc = is_there(a, c->from_folder, c->from, &from, e)) != 1)
		return rc;
	if (is_link(a, c->folder, c->name) || is_link(a, c->from_folder, c->from))
		return 0;
	if (name.st_dev == from.st_dev && name.st_ino == from.st_ino)
		return 1;
	if ((rc = has_bytes(a, c->folder, c->name, c->after, e)) == 1)
		rc = has_bytes(a, c->from_folder, c->from, c->after, e);
	return rc;
}

static int
undo_record(struct archive *a, const struct change *c, struct err *conflict, struct err *e)
{
	int rc = is_twice(a, c, e);

	if (rc == 1)
		return io_unlink(a->folders[c->folder], c->name, e);
	return rc == -1 ? -1 : drop_finished(a, c, conflict, e);
}

int
filechange_undo(struct archive *a, const struct json *line, struct err *conflict, struct err *e)
{
	struct change c;
	struct stat st;
	int rc = parse(a, line, &c, e);

	if (rc == -1)
		goto out;
	switch (c.action) {
	case CREATE:
		if ((rc = is_there(a, c.folder, c.name, &st, e)) == 1)
			rc = move_back(a, c.folder, c.name, FOLDER_BACKUP, c.name, conflict, e);
		break;
	case MOVE:
		if ((rc = is_there(a, c.to_folder, c.to, &st, e)) == 1)
			rc = move_back(a, c.to_folder, c.to, c.folder, c.name, conflict, e);
		break;
	case REPLACE:
		rc = undo_replace(a, &c, conflict, e);
		break;
	case FINISH:
		rc = undo_finish(a, &c, conflict, e);
		break;
	default:
		rc = undo_record(a, &c, conflict, e);
		break;
	}
out:
	change_free(&c);
	return rc;
}

/* ---- settling ---- */

/* 1 when the catalogue's measurement of the name is that of the new bytes: the rows were committed.
 */
static int
is_committed(struct archive *a, const struct change *c, struct err *e)
{
	struct catalogue_row row;
	int64_t id;
	int rc = catalogue_find_stored(a->catalogue, c->name, strlen(c->name), &id, e);

	if (rc != 1 || (rc = catalogue_row_by_id(a->catalogue, id, &row, e)) != 1)
		return rc;
	rc = row.xxh3_128 != NULL && strcmp(row.xxh3_128, c->after) == 0;
	catalogue_row_free(&row);
	return rc;
}

static int
settle_replace(struct archive *a, const struct change *c, struct err *e)
{
	struct err conflict;
	int rc = is_committed(a, c, e);

	if (rc == 0)
		rc = undo_replace(a, c, &conflict, e);
	return rc == -1 ? -1 : 0;
}

static int
settle_finish(struct archive *a, const struct change *c, bool row, struct err *e)
{
	struct stat st;
	struct err conflict;
	int rc =
	    row ? is_there(a, c->from_folder, c->from, &st, e) : drop_finished(a, c, &conflict, e);

	if (row && rc == 1)
		rc = move_back(a, c->from_folder, c->from, c->to_folder, c->to, &conflict, e);
	return rc == -1 ? -1 : 0;
}

static int
settle_record(struct archive *a, const struct change *c, bool row, struct err *e)
{
	struct err conflict;
	int rc = row ? is_twice(a, c, e) : undo_record(a, c, &conflict, e);

	if (row && rc == 1)
		rc = io_unlink(a->folders[c->from_folder], c->from, e);
	return rc == -1 ? -1 : 0;
}

/*
 * A purge has removed the row when the file is to go; the file that gets back the name of a
 * recording had no row under its own. So a name with a row stays, and one without moves on.
 */
static int
settle_move(struct archive *a, const struct change *c, bool row, struct err *e)
{
	struct stat st;
	struct err in_the_way;
	int rc = row ? 0 : is_there(a, c->folder, c->name, &st, e);

	if (rc == 1)
		rc = move_back(a, c->folder, c->name, c->to_folder, c->to, &in_the_way, e);
	return rc == -1 ? -1 : 0;
}

int
filechange_settle(struct archive *a, const struct json *line, struct err *e)
{
	struct change c;
	struct stat st;
	int64_t id;
	int rc = parse(a, line, &c, e), row;

	if (rc == -1 ||
	    (rc = row = catalogue_find_stored(a->catalogue, c.name, strlen(c.name), &id, e)) == -1)
		goto out;
	switch (c.action) {
	case CREATE:
		if ((rc = row == 1 ? 0 : is_there(a, c.folder, c.name, &st, e)) == 1)
			rc = filechange_to_backup(a, c.folder, c.name, e);
		break;
	case MOVE:
		rc = settle_move(a, &c, row == 1, e);
		break;
	case REPLACE:
		rc = settle_replace(a, &c, e);
		break;
	case FINISH:
		rc = settle_finish(a, &c, row == 1, e);
		break;
	default:
		rc = settle_record(a, &c, row == 1, e);
		break;
	}
out:
	change_free(&c);
	return rc;
}

int
filechange_take_back(struct archive *a, const struct json *line, bool committed, struct err *e)
{
	bool asks = committed || e->class == ERR_SYSTEM || e->class == ERR_CATALOGUE;
	struct err conflict, worse;
	int rc =
	    asks ? filechange_settle(a, line, &worse) : filechange_undo(a, line, &conflict, &worse);

	if (rc == -1 && e->class == ERR_ITEM) {
		*e = worse;
		e->class = ERR_SYSTEM;
	}
	return -1;
}

int
filechange_in_use(struct archive *a, const struct json *line, struct err *e)
{
	struct change c;
	int64_t id;
	int rc = parse(a, line, &c, e);

	if (rc == 0 && (c.action == CREATE || c.action == FINISH || c.action == RECORD))
		rc = catalogue_find_stored(a->catalogue, c.name, strlen(c.name), &id, e);
	change_free(&c);
	return rc;
}
