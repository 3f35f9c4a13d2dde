#include "adopt.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hash.h"
#include "io.h"
#include "mem.h"
#include "record.h"
#include "utf8.h"

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* 32 hexadecimal digits, as the existing application names what it imports, and the source's
 * extension. */
static char *
fresh_name(const char *path, struct err *e)
{
	unsigned char random[16];
	char hex[33];
	const char *base = base_name(path), *dot = strrchr(base, '.');

	if (hash_random(random, sizeof random, e) == -1)
		return NULL;
	hash_hex(random, sizeof random, hex);
	if (dot == NULL || dot == base || strlen(dot) > 12 || !utf8_valid(dot, strlen(dot)) ||
	    strpbrk(dot, " \n\t") != NULL)
		dot = "";
	return mem_fmt(e, "%s%s", hex, dot);
}

/* {"op":"file", …}; to_folder and to may be NULL. */
static struct json *
file_line(const char *action, enum folder f, const char *name, const char *to_folder,
    const char *to, struct err *e)
{
	struct json *line = json_new_object(e);

	if (line != NULL && json_put_str(line, "op", "file", e) == 0 &&
	    json_put_str(line, "action", action, e) == 0 &&
	    json_put_str(line, "folder", archive_folder_name(f), e) == 0 &&
	    json_put_bytes(line, "name", name, strlen(name), e) == 0 &&
	    (to == NULL || (json_put_str(line, "to_folder", to_folder, e) == 0 &&
			       json_put_bytes(line, "to", to, strlen(to), e) == 0)))
		return line;
	json_free(line);
	return NULL;
}

/* Free among the file names: the two oldest shapes allow each of them once. */
static char *
free_filename(struct catalogue *c, const char *path, struct err *e)
{
	const char *base = base_name(path), *dot = strrchr(base, '.');
	int stem = dot == NULL || dot == base ? (int)strlen(base) : (int)(dot - base);
	char *name = mem_str(base, e);
	int64_t id;
	int taken = 1;

	for (int i = 2; name != NULL && (taken = catalogue_find_filename(c, name, &id, e)) == 1;
	     i++) {
		free(name);
		name = mem_fmt(e, "%.*s-%d%s", stem, base, i, base + stem);
	}
	if (taken == -1) {
		free(name);
		return NULL;
	}
	return name;
}

/* A file name as a value of a row image, which holds no bytes that are not UTF-8 but as
 * {"text_hex": …}. */
static int
put_text(struct json *row, const char *column, const char *text, struct err *e)
{
	struct json *wrapped;
	char *hex;
	int rc = -1;

	if (utf8_valid(text, strlen(text)))
		return json_put_str(row, column, text, e);
	if ((hex = mem_new(strlen(text) + 1, 2, e)) == NULL)
		return -1;
	hash_hex(text, strlen(text), hex);
	if ((wrapped = json_new_object(e)) != NULL &&
	    json_put_str(wrapped, "text_hex", hex, e) == 0)
		rc = json_put(row, column, wrapped, e);
	free(hex);
	return rc;
}

static struct json *
recording_row(struct catalogue *c, int64_t id, const char *path, const char *stored,
    const char *title, const struct measure *m, struct err *e)
{
	struct json *row = json_new_object(e);
	char now[CLOCK_TEXT_MAX], *filename = free_filename(c, path, e);

	if (row == NULL || filename == NULL || json_put_int(row, "id", id, e) == -1 ||
	    put_text(row, "filename", filename, e) == -1 ||
	    json_put_str(row, "stored_filename", stored, e) == -1 ||
	    json_put_str(row, "title", title, e) == -1 ||
	    json_put_real(row, "duration", m->duration_s >= 0 ? m->duration_s : 0.0, e) == -1 ||
	    json_put_int(row, "filesize_bytes", m->size_bytes, e) == -1 ||
	    json_put_str(row, "mime_type", m->mime_type, e) == -1 ||
	    json_put_str(row, "checksum", m->sha256, e) == -1 ||
	    json_put_str(row, "status", "active", e) == -1 ||
	    json_put_str(row, "sync_status", "unsynced", e) == -1 ||
	    json_put_str(row, "created_at", clock_column(clock_now(), now), e) == -1) {
		json_free(row);
		row = NULL;
	}
	free(filename);
	return row;
}

static struct json *
measurement_row(
    struct run *r, int64_t id, const char *stored, const struct measure *m, struct err *e)
{
	struct json *row = json_new_object(e);
	const char *run = run_name(r, e);
	bool bad = m->problem.class != ERR_NONE;

	if (row != NULL && run != NULL && json_put_int(row, "recording_id", id, e) == 0 &&
	    json_put_str(row, "stored_filename", stored, e) == 0 &&
	    json_put_str(row, "folder", "raw", e) == 0 && record_put_columns(row, m, e) == 0 &&
	    json_put_str(row, "problem_code", bad ? m->problem.code : NULL, e) == 0 &&
	    json_put_str(row, "problem_message", bad ? m->problem.text : NULL, e) == 0 &&
	    json_put_str(row, "run", run, e) == 0)
		return row;
	json_free(row);
	return NULL;
}

/* What holds no audio, or could not be read whole, is refused; damage that leaves audio is taken
 * in, and recorded. */
static bool
is_refused(const struct measure *m)
{
	return m->problem.class != ERR_NONE &&
	       (m->frames <= 0 || strcmp(m->problem.code, P_UNREADABLE) == 0 ||
		   strcmp(m->problem.code, P_MODIFIED) == 0);
}

/* Measures the file at fd, and says whether it may come in. */
static int
admit(const struct adopt *o, struct archive *a, int fd, struct measure *m, int64_t *duplicate_of,
    struct err *e)
{
	int rc;

	if (audio_measure(fd, &o->audio, m, e) == -1)
		return -1;
	if (is_refused(m)) {
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

static int
add_rows(const struct adopt *o, const char *path, const char *stored, const struct measure *m,
    int64_t *id, struct err *e)
{
	struct run *r = o->r;
	struct json *row;

	if (run_begin(r, e) == -1 || (*id = catalogue_next_id(r->a->catalogue, e)) == -1 ||
	    (row = recording_row(r->a->catalogue, *id, path, stored, o->title, m, e)) == NULL ||
	    run_change(r, "recordings", "id", *id, row, e) == -1 ||
	    (row = measurement_row(r, *id, stored, m, e)) == NULL ||
	    run_change(r, "rec_measurements", "recording_id", *id, row, e) == -1) {
		run_cancel(r);
		return -1;
	}
	return run_commit(r, e);
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
	const char *base = base_name(path);
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
	    (line = file_line("create", FOLDER_RAW, stored, NULL, NULL, e)) == NULL)
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
	if (add_rows(o, path, stored, &m, id, e) == -1)
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

/* A name that is free in backup/: the file's own, or with a number. */
static char *
backup_name(struct archive *a, const char *name, struct err *e)
{
	char *to = mem_str(base_name(name), e);
	struct err missing;
	struct stat st;

	for (int i = 2;
	     to != NULL && io_stat_beneath(a->folders[FOLDER_BACKUP], to, &st, &missing) == 0;
	     i++) {
		free(to);
		to = mem_fmt(e, "%s.%d", base_name(name), i);
	}
	return to;
}

int
adopt_purge(struct run *r, int64_t id, struct err *e)
{
	static const char *const tables[][2] = {{"rec_tags", "recording_id"},
	    {"rec_measurements", "recording_id"}, {"recordings", "id"}};
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
	if (found && (archive_need_folder(a, FOLDER_BACKUP, e) == -1 ||
			 (to = backup_name(a, row.stored, e)) == NULL ||
			 (line = file_line("move", f, row.stored, "backup", to, e)) == NULL ||
			 run_announce(r, line, e) == -1))
		goto out;
	if (run_begin(r, e) == -1)
		goto out;
	for (int i = 0; i < 3; i++)
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
