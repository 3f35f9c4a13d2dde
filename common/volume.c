#include "volume.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "hash.h"
#include "idset.h"
#include "io.h"
#include "scan.h"

/* What tells one folder from another: its file system and its inode there. */
static int
identify(int fd, char filesystem[40], int64_t *inode, struct err *e)
{
	struct statfs fs;
	struct stat st;
	unsigned word[2];

	if (fstatfs(fd, &fs) == -1 || fstat(fd, &st) == -1)
		return err_sys(e, "identifying the volume");
	memcpy(word, &fs.f_fsid, sizeof word);
	snprintf(filesystem, 40, "%lx:%08x%08x", (unsigned long)fs.f_type, word[0], word[1]);
	*inode = (int64_t)st.st_ino;
	return 0;
}

/* True for a row whose file is, or is to be looked for, in this folder. */
static bool
belongs(const struct catalogue_row *row, enum folder f)
{
	if (row->folder != NULL)
		return strcmp(row->folder, archive_folder_name(f)) == 0;
	return (strncmp(row->stored, "edi_", 4) == 0) == (f == FOLDER_EDITED);
}

/*
 * 1 when a file of at least one recording is in the folder; *rows says whether any recording had a
 * file there.
 */
static int
holds_a_file(const struct archive *a, enum folder wanted, bool *rows, struct err *e)
{
	struct scan s;
	struct catalogue_row row;
	struct err missing;
	struct stat st;
	enum folder f;
	int rc, found = 0;

	*rows = false;
	scan_start(&s, a->catalogue);
	while ((rc = scan_next(&s, &row, e)) == 1 && !found) {
		if (belongs(&row, wanted)) {
			*rows = *rows || !row.measured || row.size_bytes >= 0;
			found = archive_locate(a, row.stored, row.stored_len, row.folder, &f, &st,
				    &missing) == 0 &&
				f == wanted;
		}
		catalogue_row_free(&row);
	}
	if (rc == 1)
		catalogue_row_free(&row);
	scan_end(&s);
	return rc == -1 ? -1 : found;
}

static int
check_folder(const struct archive *a, enum folder f, struct err *e)
{
	char recorded[40], here[40];
	int64_t inode_recorded, inode;
	bool rows;
	int fd = a->folders[f], known, found, empty;

	if ((known = catalogue_volume(
		 a->catalogue, archive_folder_name(f), recorded, &inode_recorded, e)) == -1)
		return -1;
	/* Before the first run there need be nothing in edited. */
	if (!known && f == FOLDER_EDITED)
		return 0;
	if (fd != -1) {
		if (identify(fd, here, &inode, e) == -1)
			return -1;
		if ((empty = io_dir_is_empty(fd, e)) == -1)
			return -1;
		if (known ? strcmp(here, recorded) == 0 && inode == inode_recorded : !empty)
			return 0;
	}
	if ((found = holds_a_file(a, f, &rows, e)) == -1)
		return -1;
	if (found || !rows)
		return 0;
	return err_set(e, ERR_SYSTEM, P_VOLUME_ABSENT,
	    "%s: %s, and none of the recordings is in it: is the disk mounted? Nothing was done",
	    a->paths[f],
	    fd == -1 ? "the folder is not there"
	    : known  ? "is not the folder that was recorded"
		     : "is empty");
}

int
volume_check(const struct archive *a, struct err *e)
{
	return check_folder(a, FOLDER_RAW, e) == -1 ? -1 : check_folder(a, FOLDER_EDITED, e);
}

int
volume_record(struct run *r, struct err *e)
{
	struct json *row;
	char filesystem[40];
	int64_t inode;

	if (run_begin(r, e) == -1)
		return -1;
	for (int f = FOLDER_RAW; f <= FOLDER_EDITED; f++) {
		if (r->a->folders[f] == -1)
			continue;
		if (identify(r->a->folders[f], filesystem, &inode, e) == -1 ||
		    (row = json_new_object(e)) == NULL)
			goto fail;
		if (json_put_int(row, "id", f + 1, e) == -1 ||
		    json_put_str(row, "folder", archive_folder_name((enum folder)f), e) == -1 ||
		    json_put_str(row, "filesystem", filesystem, e) == -1 ||
		    json_put_int(row, "inode", inode, e) == -1) {
			json_free(row);
			goto fail;
		}
		if (run_change(r, "rec_volumes", "id", f + 1, row, e) == -1)
			goto fail;
	}
	return run_commit(r, e);
fail:
	run_cancel(r);
	return -1;
}

/* The hash of every stored name: eight bytes a row instead of a query a file. */
static int
stored_names(const struct archive *a, struct idset *names, struct err *e)
{
	struct scan s;
	struct catalogue_row row;
	int rc, added = 0;

	scan_start(&s, a->catalogue);
	while (added == 0 && (rc = scan_next(&s, &row, e)) == 1) {
		added = idset_add(names, hash_xxh3_64(row.stored, row.stored_len), e);
		catalogue_row_free(&row);
	}
	scan_end(&s);
	return added == -1 ? -1 : rc;
}

/* Regular files of one folder that no row names; names that begin with a dot are nobody's
 * recordings. */
static int
orphans_in(
    const struct archive *a, enum folder f, const struct idset *names, int64_t *n, struct err *e)
{
	DIR *d = a->folders[f] == -1 ? NULL : io_list(a->folders[f], e);
	struct dirent *entry;
	struct stat st;
	bool regular;

	if (d == NULL)
		return a->folders[f] == -1 ? 0 : -1;
	while ((entry = readdir(d)) != NULL) {
		regular = entry->d_type == DT_REG || (entry->d_type == DT_UNKNOWN &&
							 fstatat(a->folders[f], entry->d_name, &st,
							     AT_SYMLINK_NOFOLLOW) == 0 &&
							 S_ISREG(st.st_mode));
		*n += regular && entry->d_name[0] != '.' &&
		      !idset_has(names, hash_xxh3_64(entry->d_name, strlen(entry->d_name)));
	}
	closedir(d);
	return 0;
}

int
volume_count_orphans(const struct archive *a, int64_t *n, struct err *e)
{
	struct idset names = {0};
	int rc = -1;

	*n = 0;
	if (stored_names(a, &names, e) == 0 && orphans_in(a, FOLDER_RAW, &names, n, e) == 0)
		rc = orphans_in(a, FOLDER_EDITED, &names, n, e);
	idset_free(&names);
	return rc;
}
