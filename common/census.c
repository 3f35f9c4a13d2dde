#include "census.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "idset.h"
#include "io.h"
#include "mem.h"
#include "scan.h"
#include "shard.h"

#define PART_SUFFIX ".part"

struct taking {
	struct census *n;
	struct tool *t;
	const struct archive *a;
	struct idset names; /* hashed stored names of all rows */
	struct idset sizes; /* of files whose SHA-256 is recorded */
};

static int
grow(void **array, size_t n, size_t *cap, size_t size, struct err *e)
{
	size_t wanted = *cap == 0 ? 64 : *cap * 2;
	void *p;

	if (n < *cap)
		return 0;
	if ((p = realloc(*array, wanted * size)) == NULL)
		return err_nomem(e);
	*array = p;
	*cap = wanted;
	return 0;
}

static bool
same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* ---- rows ---- */

/* What the mode says; asked of the kernel only when the mode does not let everybody read. */
static bool
may_read(
    const struct archive *a, const struct catalogue_row *row, enum folder f, const struct stat *st)
{
	if ((st->st_mode & (S_IRUSR | S_IRGRP | S_IROTH)) == (S_IRUSR | S_IRGRP | S_IROTH))
		return true;
	/* The superuser may read it all the same, the application that owns it may not. */
	if ((st->st_mode & S_IRUSR) == 0)
		return false;
	return geteuid() == st->st_uid || geteuid() == 0 ||
	       faccessat(a->folders[f], row->stored, R_OK, AT_EACCESS) == 0;
}

const char *
census_absent(
    const struct archive *a, const struct catalogue_row *row, enum folder *f, struct stat *st)
{
	struct err why;

	if (archive_locate(a, row->stored, row->stored_len, row->folder, f, st, &why) == -1)
		return why.code != NULL ? why.code : P_UNREADABLE;
	if (!S_ISREG(st->st_mode))
		return P_UNSUPPORTED;
	return may_read(a, row, *f, st) ? NULL : P_DENIED;
}

/* Found damaged by measuring or by a check, in a way that the bytes show. */
static bool
was_damaged(const struct catalogue_row *row)
{
	return row->problem_code != NULL && !same(row->problem_code, P_MISSING) &&
	       !same(row->problem_code, P_DENIED) && !same(row->problem_code, P_UNSAFE_PATH) &&
	       !same(row->problem_code, P_UNREADABLE);
}

static void
compare_stat(const struct catalogue_row *row, const struct stat *st, struct census_row *w)
{
	bool seen = row->seen_mtime != NULL;
	const char *mtime = seen ? row->seen_mtime : row->mtime;
	char now[CLOCK_TEXT_MAX], changed[CLOCK_TEXT_MAX];
	bool checked = row->verdict != NULL && row->checked_mtime != NULL, checked_as_now;

	clock_rfc3339(st->st_mtim, now);
	w->size_bytes = (int64_t)st->st_size;
	w->size_recorded = seen		   ? row->seen_size_bytes
			   : row->measured ? row->size_bytes
					   : row->filesize_bytes;
	w->size_differs = w->size_recorded >= 0 && w->size_recorded != w->size_bytes;
	w->time_differs = row->measured && mtime != NULL && strcmp(mtime, now) != 0;
	checked_as_now =
	    checked && row->checked_size_bytes == w->size_bytes && same(row->checked_mtime, now);
	if (checked && !same(row->verdict, "ok")) {
		/* A copy in its place may have its size and time, but came after the check. */
		clock_rfc3339(st->st_ctim, changed);
		w->known = checked_as_now && strcmp(changed, row->checked_at) <= 0;
		w->restored = !w->known;
	} else if (checked_as_now && row->measured) {
		/* Its bytes were read as they are now, and are those that were recorded. */
		w->size_differs = w->time_differs = false;
	}
	w->known =
	    w->known || (was_damaged(row) && !w->restored && !w->size_differs && !w->time_differs);
}

/* 1 when there is something to tell about the row. */
static bool
compare_row(struct taking *k, const struct catalogue_row *row, struct census_row *w)
{
	const char *sha256 = row->sha256 != NULL ? row->sha256 : row->checksum;
	struct stat st;
	enum folder f;

	*w = (struct census_row){
	    .id = row->id, .size_recorded = -1, .size_bytes = -1, .moved_to = -1};
	if (sha256 != NULL && strlen(sha256) == HASH_SHA256_HEX - 1)
		for (int i = 0; i < HASH_SHA256_HEX; i++)
			w->sha256[i] =
			    (char)(sha256[i] >= 'A' && sha256[i] <= 'F' ? sha256[i] - 'A' + 'a'
									: sha256[i]);
	w->absent = census_absent(k->a, row, &f, &st);
	if (w->absent != NULL && !same(w->absent, P_DENIED)) {
		w->size_recorded =
		    row->measured && row->size_bytes >= 0 ? row->size_bytes : row->filesize_bytes;
		return true;
	}
	k->n->bytes += (int64_t)st.st_size;
	compare_stat(row, &st, w);
	w->other_folder = w->absent == NULL && row->folder != NULL &&
			  strcmp(row->folder, archive_folder_name(f)) != 0;
	return w->absent != NULL || w->size_differs || w->time_differs || w->known || w->restored ||
	       w->other_folder;
}

static int
take_row(struct taking *k, const struct catalogue_row *row, struct err *e)
{
	struct census *n = k->n;
	struct census_row w;
	int64_t size =
	    row->measured && row->size_bytes >= 0 ? row->size_bytes : row->filesize_bytes;

	if (idset_add(&k->names, hash_xxh3_64(row->stored, row->stored_len), e) == -1 ||
	    ((row->sha256 != NULL || row->checksum != NULL) && size >= 0 &&
		idset_add(&k->sizes, (uint64_t)size, e) == -1))
		return -1;
	if (!shard_has_row(k->t, k->a, row))
		return 0;
	n->rows++;
	n->unmeasured += !row->measured;
	if (!compare_row(k, row, &w))
		return 0;
	if (grow((void **)&n->wrong, n->n_wrong, &n->cap_wrong, sizeof w, e) == -1)
		return -1;
	n->wrong[n->n_wrong++] = w;
	return 0;
}

static int
take_rows(struct taking *k, struct err *e)
{
	struct scan s;
	struct catalogue_row row;
	int rc;

	scan_start(&s, k->a->catalogue);
	while ((rc = scan_next(&s, &row, e)) == 1) {
		rc = atomic_load(&tool_stop) != 0 ? err_set(e, ERR_STOPPED, NULL, "stopped")
						  : take_row(k, &row, e);
		catalogue_row_free(&row);
		if (rc == -1)
			break;
		tool_idle(k->t);
	}
	scan_end(&s);
	return rc;
}

/* ---- files ---- */

static bool
has_suffix(const char *name, const char *suffix)
{
	size_t n = strlen(name), m = strlen(suffix);

	return n > m && strcmp(name + n - m, suffix) == 0;
}

static bool
in_shard(const struct taking *k, enum folder f, const char *name)
{
	struct err e;
	size_t len;
	char *path = archive_path(k->a, name, strlen(name), archive_folder_name(f), &len, &e);
	bool in = path == NULL || tool_in_shard(k->t, path, len);

	free(path);
	return in;
}

static int
take_file(struct taking *k, enum folder f, const char *name, struct err *e)
{
	struct census *n = k->n;
	struct census_file *file;
	struct stat st;

	if (io_is_temp(name)) {
		n->temps[f]++;
		return 0;
	}
	if (f > FOLDER_EDITED || name[0] == '.' ||
	    idset_has(&k->names, hash_xxh3_64(name, strlen(name))) ||
	    fstatat(k->a->folders[f], name, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    !S_ISREG(st.st_mode) || !in_shard(k, f, name))
		return 0;
	if (grow((void **)&n->files, n->n_files, &n->cap_files, sizeof *file, e) == -1)
		return -1;
	file = &n->files[n->n_files];
	*file = (struct census_file){.folder = f,
	    .size_bytes = (int64_t)st.st_size,
	    .mtime_s = (int64_t)st.st_mtim.tv_sec,
	    .is_part = has_suffix(name, PART_SUFFIX)};
	if ((file->name = mem_str(name, e)) == NULL)
		return -1;
	n->n_files++;
	return 0;
}

/* True when an earlier folder is the same one: its files are not counted twice. */
static bool
is_again(const struct archive *a, enum folder f)
{
	struct stat this, that;

	for (int i = 0; i < (int)f; i++)
		if (a->folders[i] != -1 && fstat(a->folders[i], &that) == 0 &&
		    fstat(a->folders[f], &this) == 0 && this.st_dev == that.st_dev &&
		    this.st_ino == that.st_ino)
			return true;
	return false;
}

static int
take_files(struct taking *k, enum folder f, struct err *e)
{
	DIR *d;
	struct dirent *entry;
	int rc = 0;

	if (k->a->folders[f] == -1 || is_again(k->a, f))
		return 0;
	if ((d = io_list(k->a->folders[f], e)) == NULL)
		return err_prefix(e, "%s", k->a->paths[f]);
	while (rc == 0 && (entry = readdir(d)) != NULL)
		rc = take_file(k, f, entry->d_name, e);
	closedir(d);
	return rc;
}

/* ---- files that moved ---- */

static int
by_sha256(const void *x, const void *y)
{
	const struct census_row *const *a = x, *const *b = y;

	return strcmp((*a)->sha256, (*b)->sha256);
}

/* The missing rows whose bytes are known, by SHA-256. */
static struct census_row **
missing_rows(const struct census *n, size_t *count, struct err *e)
{
	struct census_row **rows = mem_new(n->n_wrong + 1, sizeof *rows, e);

	*count = 0;
	if (rows == NULL)
		return NULL;
	for (size_t i = 0; i < n->n_wrong; i++)
		if (same(n->wrong[i].absent, P_MISSING) && n->wrong[i].sha256[0] != '\0')
			rows[(*count)++] = &n->wrong[i];
	qsort(rows, *count, sizeof rows[0], by_sha256);
	return rows;
}

/* The first of the rows with these bytes that no file was given to yet. */
static struct census_row *
find_missing(struct census_row **rows, size_t n, const char *sha256)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(rows[mid]->sha256, sha256) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < n && strcmp(rows[lo]->sha256, sha256) == 0; lo++)
		if (rows[lo]->moved_to == -1)
			return rows[lo];
	return NULL;
}

/* The rows were taken by ascending id. */
static bool
is_absent(const struct census *n, int64_t id)
{
	size_t lo = 0, hi = n->n_wrong;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (n->wrong[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < n->n_wrong && n->wrong[lo].id == id && n->wrong[lo].absent != NULL &&
	       n->wrong[lo].moved_to == -1;
}

static int
recognise(struct taking *k, size_t i, struct census_row **rows, size_t n_rows, struct err *e)
{
	struct census_file *file = &k->n->files[i];
	struct census_row *row;
	char sha256[HASH_SHA256_HEX];
	struct err why;
	int64_t id;
	int fd, rc;

	if (!idset_has(&k->sizes, (uint64_t)file->size_bytes))
		return 0;
	if ((fd = io_open_beneath(k->a->folders[file->folder], file->name, &why)) == -1) {
		file->unreadable = why.code != NULL ? why.code : P_UNREADABLE;
		return 0;
	}
	rc = io_digest(fd, HASH_SHA256, false, &tool_stop, &k->t->bytes_done, sha256, e);
	close(fd);
	if (rc == -1) {
		file->unreadable = e->code;
		return e->class == ERR_ITEM ? 0 : -1;
	}
	if ((row = find_missing(rows, n_rows, sha256)) != NULL) {
		row->moved_to = (int64_t)i;
		file->moved_from = row->id;
		return 0;
	}
	/* Whoever removed it as a duplicate would remove the only copy. */
	if ((rc = catalogue_find_sha256(k->a->catalogue, sha256, &id, e)) == 1 &&
	    !is_absent(k->n, id))
		file->duplicate_of = id;
	return rc == -1 ? -1 : 0;
}

static int
recognise_files(struct taking *k, struct err *e)
{
	size_t n;
	struct census_row **rows = missing_rows(k->n, &n, e);
	int rc = rows == NULL ? -1 : 0;

	for (size_t i = 0; rc == 0 && i < k->n->n_files; i++) {
		rc = recognise(k, i, rows, n, e);
		tool_idle(k->t);
	}
	free(rows);
	return rc;
}

int
census_take(struct census *n, struct tool *t, const struct archive *a, struct err *e)
{
	struct taking k = {.n = n, .t = t, .a = a};
	int rc;

	*n = (struct census){0};
	rc = take_rows(&k, e);
	for (int f = 0; f < FOLDERS && rc == 0; f++)
		rc = take_files(&k, (enum folder)f, e);
	if (rc == 0)
		rc = recognise_files(&k, e);
	idset_free(&k.names);
	idset_free(&k.sizes);
	return rc;
}

void
census_free(struct census *n)
{
	for (size_t i = 0; i < n->n_files; i++)
		free(n->files[i].name);
	free(n->files);
	free(n->wrong);
	*n = (struct census){0};
}
