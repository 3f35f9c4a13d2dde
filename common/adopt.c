#include "adopt.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "entry.h"
#include "filechange.h"
#include "hash.h"
#include "io.h"
#include "mem.h"
#include "record.h"
#include "utf8.h"

/* 32 hexadecimal digits, as the existing application names what it imports, and the source's
 * extension. */
static char *
fresh_name(const char *path, struct err *e)
{
	unsigned char random[16];
	char hex[33];
	const char *base = io_base_name(path), *dot = strrchr(base, '.');

	if (hash_random(random, sizeof random, e) == -1)
		return NULL;
	hash_hex(random, sizeof random, hex);
	if (dot == NULL || dot == base || strlen(dot) > 12 || !utf8_valid(dot, strlen(dot)) ||
	    strpbrk(dot, " \n\t") != NULL)
		dot = "";
	return mem_fmt(e, "%s%s", hex, dot);
}

/* Measures the file at fd, and says whether it may come in. */
static int
admit(const struct adopt *o, struct archive *a, int fd, struct measure *m, int64_t *duplicate_of,
    struct err *e)
{
	int rc;

	if (audio_measure(fd, &o->audio, m, e) == -1)
		return -1;
	if (entry_is_refused(m)) {
		*e = m->problem;
		return -1;
	}
	if (a->folders[FOLDER_RAW] != -1 &&
	    archive_preflight(a, FOLDER_RAW, (uint64_t)m->size_bytes, e) == -1)
		return -1;
	if ((rc = catalogue_find_sha256(a->catalogue, m->sha256, duplicate_of, e)) == -1)
		return -1;
	if (rc == 1 && !o->allow_duplicates)
		return err_item(e, P_DUPLICATE,
		    "recording %lld has the same bytes (--allow-duplicates takes it in all the "
		    "same)",
		    (long long)*duplicate_of);
	return 0;
}

int
adopt_check(const struct adopt *how, struct archive *a, const char *path, struct measure *m,
    int64_t *duplicate_of, struct err *e)
{
	int fd = io_open(AT_FDCWD, path, e), rc;

	*duplicate_of = 0;
	audio_measure_init(m);
	if (fd == -1)
		return -1;
	if ((rc = admit(how, a, fd, m, duplicate_of, e)) == 0)
		*e = m->problem;
	close(fd);
	return rc;
}

/* Only after the copy was read back and its row committed. */
static int
remove_source(const char *path, struct err *e)
{
	const char *base = io_base_name(path);
	char *folder = base == path ? mem_str(".", e) : mem_bytes(path, (size_t)(base - path), e);
	int dirfd = folder == NULL ? -1 : io_open_dir(AT_FDCWD, folder, e);
	int rc = dirfd == -1 ? -1 : io_unlink(dirfd, base, e);

	if (dirfd != -1)
		close(dirfd);
	free(folder);
	return rc == -1 ? err_prefix(e, "it was taken in, but is not removed here") : 0;
}

int
adopt_file(
    const struct adopt *o, const char *path, int64_t *id, int64_t *duplicate_of, struct err *e)
{
	struct archive *a = o->r->a;
	struct json *line;
	struct measure m;
	struct stat st;
	char *stored = NULL;
	int fd = io_open(AT_FDCWD, path, e), copy = -1, rc = -1;

	*duplicate_of = 0;
	audio_measure_init(&m);
	if (fd == -1 || archive_need_folder(a, FOLDER_RAW, e) == -1 ||
	    admit(o, a, fd, &m, duplicate_of, e) == -1)
		goto out;
	if ((stored = fresh_name(path, e)) == NULL ||
	    (line = filechange_line("create", FOLDER_RAW, stored, FOLDER_BACKUP, NULL, e)) == NULL)
		goto out;
	/* For people who look for where it came from, above all after --move. */
	if (json_put_bytes(line, "source", path, strlen(path), e) == -1) {
		json_free(line);
		goto out;
	}
	if (run_announce(o->r, line, e) == -1 ||
	    io_copy(fd, a->folders[FOLDER_RAW], stored, 0644, m.xxh3_128, e) == -1)
		goto out;
	/* The copy has its own times: the measure is to be that of the file in the archive. */
	if ((copy = io_open_beneath(a->folders[FOLDER_RAW], stored, e)) == -1)
		goto out;
	if (fstat(copy, &st) == -1) {
		err_sys(e, "stat of %s", stored);
		goto out;
	}
	clock_rfc3339(st.st_mtim, m.mtime);
	if (entry_add(o->r,
		&(struct entry){.folder = FOLDER_RAW,
		    .path = path,
		    .stored = stored,
		    .title = o->title,
		    .m = &m},
		id, e) == -1)
		goto out;
	rc = o->move ? remove_source(path, e) : 0;
out:
	if (fd != -1)
		close(fd);
	if (copy != -1)
		close(copy);
	free(stored);
	audio_measure_free(&m);
	return rc;
}

int
adopt_purge(struct run *r, int64_t id, struct err *e)
{
	static const char *const tables[][2] = {{"rec_tags", "recording_id"},
	    {"rec_provenance", "recording_id"}, {"rec_measurements", "recording_id"},
	    {"recordings", "id"}};
	struct archive *a = r->a;
	struct catalogue_row row;
	struct json *line;
	struct stat st;
	struct err missing;
	enum folder f;
	char *to = NULL;
	int found, rc = -1;

	if ((rc = catalogue_row_by_id(a->catalogue, id, &row, e)) != 1)
		return rc == 0 ? err_item(
				     e, P_BAD_RECORD, "no recording has the id %lld", (long long)id)
			       : -1;
	rc = -1;
	found = archive_locate(a, row.stored, row.stored_len, row.folder, &f, &st, &missing) == 0;
	if (!found && strcmp(missing.code, P_MISSING) != 0) {
		*e = missing;
		goto out;
	}
	/* Announced first: when the rows are gone and the file is not yet moved, the next run moves
	 * it. */
	if (found &&
	    (archive_need_folder(a, FOLDER_BACKUP, e) == -1 ||
		(to = filechange_backup_name(a, row.stored, e)) == NULL ||
		(line = filechange_line("move", f, row.stored, FOLDER_BACKUP, to, e)) == NULL ||
		run_announce(r, line, e) == -1))
		goto out;
	if (run_begin(r, e) == -1)
		goto out;
	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
		if (run_change(r, tables[i][0], tables[i][1], id, NULL, e) == -1) {
			run_cancel(r);
			goto out;
		}
	if (run_commit(r, e) == -1)
		goto out;
	rc = found ? io_move(a->folders[f], row.stored, a->folders[FOLDER_BACKUP], to, e) : 0;
out:
	free(to);
	catalogue_row_free(&row);
	return rc;
}
