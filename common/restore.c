/*
 * The inventory was made by a toolkit, and may have been changed by anybody who can write there. A
 * value that a table would refuse would end the whole run, so each is judged before it comes near
 * one.
 */
#include "restore.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue_fixity.h"
#include "clock.h"
#include "entry.h"
#include "filechange.h"
#include "io.h"
#include "mem.h"
#include "provenance.h"
#include "record.h"
#include "rowimage.h"

#define TEXT_MAX 4096
#define SAID_MAX 65536
#define TOOL_MAX 255
#define DURATION_MAX 1e12

/* ---- values of a record ---- */

/* A string that is not too long and holds no NUL; NULL for any other. */
static const char *
text_of(const struct json *rec, const char *key, size_t max)
{
	size_t len;
	const char *s = json_to_str(json_get(rec, key), &len);

	return s != NULL && len <= max && strlen(s) == len ? s : NULL;
}

/* A time of a record as the application's columns hold it. */
static bool
column_of_rfc3339(const char *s, char out[CLOCK_TEXT_MAX])
{
	size_t len = s != NULL ? strlen(s) : 0;

	if (len == 0 || len >= CLOCK_TEXT_MAX || !clock_is_rfc3339(s) || s[len - 1] != 'Z')
		return false;
	memcpy(out, s, len - 1);
	out[len - 1] = '\0';
	out[strcspn(out, "T")] = ' ';
	return true;
}

/* A time as the application's columns hold it, or NULL. */
static const char *
column_time(const struct json *rec, const char *key)
{
	const char *s = text_of(rec, key, CLOCK_TEXT_MAX - 2);
	char again[CLOCK_TEXT_MAX];

	if (s == NULL || strchr(s, ' ') == NULL)
		return NULL;
	snprintf(again, sizeof again, "%sZ", s);
	again[strcspn(again, " ")] = 'T';
	return clock_is_rfc3339(again) ? s : NULL;
}

static const char *
status_of(const struct json *rec)
{
	static const char *const known[] = {"active", "archived", "deleted"};
	const char *s = text_of(rec, "status", 16);

	for (size_t i = 0; s != NULL && i < sizeof known / sizeof known[0]; i++)
		if (strcmp(s, known[i]) == 0)
			return known[i];
	return known[0];
}

int
restore_get_measure(
    const struct json *rec, const struct fetched *got, struct measure *m, struct err *e)
{
	struct err bad;
	int rc;

	audio_measure_init(m);
	if (rec == NULL)
		return 0;
	if ((rc = record_get_measure(rec, m, &bad)) == -1 && bad.class != ERR_ITEM) {
		*e = bad;
		return -1;
	}
	if (rc == 1 && m->size_bytes == got->st.st_size && strcmp(m->sha256, got->sha256) == 0 &&
	    strcmp(m->xxh3_128, got->xxh3_128) == 0) {
		clock_rfc3339(got->st.st_mtim, m->mtime);
		return 1;
	}
	audio_measure_free(m);
	audio_measure_init(m);
	return 0;
}

/* ---- rows of a new recording ---- */

/* The name that people know it by. The two oldest shapes allow each of them once. */
static char *
filename_of(struct catalogue *c, const struct restore *x, struct err *e)
{
	const char *given = text_of(x->rec, "filename", TEXT_MAX);
	char *hex = NULL, *name;
	size_t len;
	int64_t id;
	int rc = 0;

	if (given == NULL && json_get_bytes(x->rec, "filename", &hex, &len, e) == 1 &&
	    strlen(hex) == len)
		given = hex;
	if (given == NULL || given[0] == '\0')
		given = x->name;
	name = mem_str(given, e);
	for (int i = 2; name != NULL && !catalogue_shape(c)->jobs &&
			(rc = catalogue_find_filename(c, name, &id, e)) == 1;
	     i++) {
		free(name);
		name = mem_fmt(e, "%s-%d", given, i);
	}
	free(hex);
	if (rc != -1)
		return name;
	free(name);
	return NULL;
}

static int
put_name(struct json *row, const char *column, const char *name, struct err *e)
{
	return rowimage_put_text(row, column, name, strlen(name), e);
}

static int
put_times(struct json *row, const struct restore *x, struct err *e)
{
	char now[CLOCK_TEXT_MAX], at[CLOCK_TEXT_MAX];
	const char *modified = column_time(x->rec, "modified_at");

	clock_column(clock_now(), now);
	if (!column_of_rfc3339(text_of(x->rec, "created_at", CLOCK_TEXT_MAX - 1), at))
		strcpy(at, now);
	if (json_put_str(row, "created_at", at, e) == -1 ||
	    (modified != NULL && json_put_str(row, "modified_at", modified, e) == -1))
		return -1;
	if (x->proven_at == NULL)
		return json_put_str(row, "sync_status", "unsynced", e);
	if (!column_of_rfc3339(x->proven_at, at))
		strcpy(at, now);
	return json_put_str(row, "sync_status", "synced", e) == -1
		   ? -1
		   : json_put_str(row, "last_synced_at", at, e);
}

static double
duration_of(const struct restore *x)
{
	double d;

	if (x->m->duration_s >= 0)
		return x->m->duration_s;
	return json_get_real(x->rec, "duration_s", &d) && d >= 0 && d <= DURATION_MAX ? d : 0;
}

static struct json *
recording_row(struct catalogue *c, int64_t id, const struct restore *x, struct err *e)
{
	struct json *row = json_new_object(e);
	char *filename = filename_of(c, x, e);
	const char *mime = text_of(x->rec, "mime_type", 127),
		   *title = x->rec != NULL ? text_of(x->rec, "title", TEXT_MAX) : x->title;

	if (mime == NULL && x->m->mime_type[0] != '\0')
		mime = x->m->mime_type;
	if (row == NULL || filename == NULL || json_put_int(row, "id", id, e) == -1 ||
	    put_name(row, "filename", filename, e) == -1 ||
	    put_name(row, "stored_filename", x->name, e) == -1 ||
	    json_put_str(row, "title", title, e) == -1 ||
	    json_put_real(row, "duration", duration_of(x), e) == -1 ||
	    json_put_int(row, "filesize_bytes", x->m->size_bytes, e) == -1 ||
	    json_put_str(row, "mime_type", mime, e) == -1 ||
	    json_put_str(row, "checksum", x->m->sha256, e) == -1 ||
	    json_put_str(row, "status", status_of(x->rec), e) == -1 || put_times(row, x, e) == -1) {
		json_free(row);
		row = NULL;
	}
	free(filename);
	return row;
}

/* What people said: an object of strings, and of nulls for tags of the file that they took away. */
static int
put_said(struct run *r, int64_t id, const struct json *said, struct err *e)
{
	struct json *row = NULL, *tag;
	struct buf text = {0};
	const char *key;
	bool fine = json_kind(said) == JSON_KIND_OBJECT && json_count(said) > 0;
	int rc = 0;

	for (void *it = fine ? json_first(said, &key, &tag) : NULL; it != NULL;
	     it = json_next(said, it, &key, &tag))
		fine =
		    fine && (json_kind(tag) == JSON_KIND_STR || json_kind(tag) == JSON_KIND_NULL);
	if (fine && (rc = json_write(said, &text, e)) == 0 && text.len <= SAID_MAX &&
	    (rc = (row = json_new_object(e)) == NULL ? -1 : 0) == 0 &&
	    (json_put_int(row, "recording_id", id, e) == -1 ||
		json_put_str(row, "tags", text.data, e) == -1)) {
		json_free(row);
		rc = -1;
	}
	buf_free(&text);
	/* Without a row: what an earlier recording of this number left goes. */
	return rc == -1 || run_change(r, "rec_tags", "recording_id", id, row, e) == -1 ? -1 : 0;
}

static int
put_provenance(struct run *r, int64_t id, const struct restore *x, struct err *e)
{
	const struct json *from = json_get(x->rec, "provenance"),
			  *details = json_get(from, "details");
	const char *started = text_of(from, "started_at", CLOCK_TEXT_MAX - 1);
	struct provenance p = {.tool = text_of(from, "tool", TOOL_MAX)};
	struct err bad;
	int rc;

	if (p.tool == NULL || p.tool[0] == '\0')
		return 0;
	if (json_kind(details) == JSON_KIND_OBJECT)
		p.details = details;
	if (started != NULL)
		clock_parse(started, &p.started);
	rc = provenance_put(r, id, x->name, &p, &bad);
	/* Larger than a provenance can be: then there is none. */
	if (rc == -1 && bad.class != ERR_ITEM) {
		*e = bad;
		return -1;
	}
	return 0;
}

/* The number that it had, when it is free. */
static int
choose_id(struct catalogue *c, const struct restore *x, int64_t *id, struct err *e)
{
	struct json *row = NULL;
	int rc;

	if (json_get_int(x->rec, "id", id) && *id > 0 && *id < INT64_MAX / 2) {
		rc = catalogue_row_get(c, "recordings", "id", *id, &row, e);
		json_free(row);
		if (rc != 1)
			return rc;
	}
	return (*id = catalogue_next_id(c, e)) == -1 ? -1 : 0;
}

static int
put_new(struct run *r, const struct restore *x, int64_t *id, struct err *e)
{
	struct json *row;

	if (choose_id(r->a->catalogue, x, id, e) == -1 ||
	    (row = recording_row(r->a->catalogue, *id, x, e)) == NULL ||
	    run_change(r, "recordings", "id", *id, row, e) == -1 ||
	    (row = entry_measurement(r, *id, x->name, x->folder, x->m, e)) == NULL ||
	    run_change(r, "rec_measurements", "recording_id", *id, row, e) == -1 ||
	    put_said(r, *id, json_get(x->rec, "said"), e) == -1)
		return -1;
	return put_provenance(r, *id, x, e);
}

/* ---- a recording that has its file again ---- */

/* The measurement is that of these bytes; that the file was gone, and what was seen of a bad one,
 * is past. */
static int
put_back(struct run *r, const struct restore *x, const struct fetched *got, struct err *e)
{
	static const char *const past[] = {
	    "problem_code", "problem_message", "seen_size_bytes", "seen_mtime"};
	struct json *row = NULL;
	char mtime[CLOCK_TEXT_MAX];
	const char *sha256, *stored;
	int rc =
	    catalogue_row_get(r->a->catalogue, "rec_measurements", "recording_id", x->id, &row, e);

	if (rc != 1)
		return rc;
	sha256 = json_get_str(row, "sha256");
	stored = json_get_str(row, "stored_filename");
	if (sha256 == NULL || strcmp(sha256, got->sha256) != 0 || stored == NULL ||
	    strcmp(stored, x->name) != 0) {
		json_free(row);
		return 0;
	}
	if (json_get_str(row, "problem_code") != NULL &&
	    (json_get_str(row, "seen_mtime") != NULL ||
		strcmp(json_get_str(row, "problem_code"), P_MISSING) == 0))
		for (size_t i = 0; i < sizeof past / sizeof past[0]; i++)
			if (json_put_null(row, past[i], e) == -1)
				rc = -1;
	if (rc == -1 ||
	    json_put_str(row, "mtime", clock_rfc3339(got->st.st_mtim, mtime), e) == -1 ||
	    json_put_str(row, "folder", archive_folder_name(x->folder), e) == -1) {
		json_free(row);
		return -1;
	}
	return run_change(r, "rec_measurements", "recording_id", x->id, row, e) == -1 ? -1 : 0;
}

/* An observation, and no change of the run: it goes in a transaction of its own. */
static int
forget_check(struct catalogue *c, int64_t id, struct err *e)
{
	if (catalogue_begin(c, e) == -1)
		return -1;
	if (catalogue_fixity_forget(c, id, e) == 0)
		return catalogue_commit(c, e);
	catalogue_rollback(c);
	return -1;
}

/* ---- the file ---- */

static int
put_rows(
    struct run *r, const struct restore *x, const struct fetched *got, int64_t *id, struct err *e)
{
	int64_t n = x->id;
	int rc;

	if (run_begin(r, e) == -1)
		return -1;
	rc = x->id != 0 ? put_back(r, x, got, e) : put_new(r, x, &n, e);
	if (rc == -1) {
		run_cancel(r);
		return -1;
	}
	if (run_commit(r, e) == -1)
		return -1;
	*id = n;
	return x->id != 0 ? forget_check(r->a->catalogue, n, e) : 0;
}

static struct json *
line_of(const struct restore *x, const struct fetched *got, struct err *e)
{
	struct json *line = filechange_line("record", x->folder, x->name, FOLDER_BACKUP, NULL, e);

	if (line != NULL &&
	    json_put_str(line, "from_folder", archive_folder_name(FOLDER_TEMP), e) == 0 &&
	    json_put_bytes(line, "from", got->temp, strlen(got->temp), e) == 0 &&
	    json_put_str(line, "xxh3_128_after", got->xxh3_128, e) == 0)
		return line;
	json_free(line);
	return NULL;
}

/* What is the state by now: others may have worked in the archive while the bytes travelled. */
static int
check_place(const struct archive *a, const struct restore *x, struct err *e)
{
	struct catalogue_row row;
	struct err missing;
	struct stat st;
	enum folder f;
	int rc;

	if (archive_locate(a, x->name, strlen(x->name), archive_folder_name(x->folder), &f, &st,
		&missing) == 0)
		return err_item(e, P_CONFLICT,
		    "%s/%s is there, and is left as it is; move it away and run pull again",
		    a->paths[f], x->name);
	if (missing.class != ERR_ITEM || strcmp(missing.code, P_MISSING) != 0) {
		*e = missing;
		return -1;
	}
	if (x->id == 0)
		return 0;
	if ((rc = catalogue_row_by_id(a->catalogue, x->id, &row, e)) == -1)
		return -1;
	if (rc == 1) {
		rc = row.stored_len == strlen(x->name) &&
		     memcmp(row.stored, x->name, row.stored_len) == 0;
		catalogue_row_free(&row);
	}
	return rc == 1 ? 0
		       : err_item(e, P_CONFLICT,
			     "recording %lld was removed or renamed while its file was fetched",
			     (long long)x->id);
}

/* A new one must not meet a row of its name. */
static int
check_row(const struct archive *a, const struct restore *x, struct err *e)
{
	int64_t id;
	int rc;

	if (x->id != 0)
		return 0;
	rc = catalogue_find_stored(a->catalogue, x->name, strlen(x->name), &id, e);
	return rc == 1 ? err_item(e, P_CONFLICT, "recording %lld has this name", (long long)id)
		       : rc;
}

int
restore_put(
    struct run *r, const struct restore *x, const struct fetched *got, int64_t *id, struct err *e)
{
	struct archive *a = r->a;
	int temp = a->folders[FOLDER_TEMP], rc;
	struct json *line, *kept;

	*id = 0;
	if (archive_need_folder(a, x->folder, e) == -1 || check_place(a, x, e) == -1 ||
	    check_row(a, x, e) == -1 || io_check_unchanged(temp, got->temp, &got->st, e) == -1 ||
	    (line = line_of(x, got, e)) == NULL || run_announce_kept(r, line, &kept, e) == -1)
		return -1;
	rc = io_link_or_copy(temp, got->temp, a->folders[x->folder], x->name, e);
	if (rc == 0)
		rc = put_rows(r, x, got, id, e);
	if (rc == 0)
		rc = io_unlink(temp, got->temp, e);
	if (rc == -1)
		filechange_take_back(a, kept, *id != 0, e);
	json_free(kept);
	return rc;
}
