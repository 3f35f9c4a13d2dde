#include "entry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "io.h"
#include "mem.h"
#include "record.h"
#include "rowimage.h"

/* Free among the file names: the two oldest shapes allow each of them once. */
static char *
free_filename(struct catalogue *c, const char *path, struct err *e)
{
	const char *base = io_base_name(path), *dot = strrchr(base, '.');
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

static int
put_name(struct json *row, const char *column, const char *name, struct err *e)
{
	return rowimage_put_text(row, column, name, strlen(name), e);
}

static struct json *
recording_row(struct catalogue *c, int64_t id, const struct entry *n, struct err *e)
{
	const struct measure *m = n->m;
	struct json *row = json_new_object(e);
	char now[CLOCK_TEXT_MAX], *filename = free_filename(c, n->path, e);

	if (row == NULL || filename == NULL || json_put_int(row, "id", id, e) == -1 ||
	    put_name(row, "filename", filename, e) == -1 ||
	    put_name(row, "stored_filename", n->stored, e) == -1 ||
	    json_put_str(row, "title", n->title, e) == -1 ||
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

struct json *
entry_measurement(struct run *r, int64_t id, const char *stored, enum folder folder,
    const struct measure *m, struct err *e)
{
	struct json *row = json_new_object(e);
	const char *run = run_name(r, e);
	bool bad = m->problem.class != ERR_NONE;

	if (row != NULL && run != NULL && json_put_int(row, "recording_id", id, e) == 0 &&
	    put_name(row, "stored_filename", stored, e) == 0 &&
	    json_put_str(row, "folder", archive_folder_name(folder), e) == 0 &&
	    record_put_columns(row, m, e) == 0 &&
	    json_put_str(row, "problem_code", bad ? m->problem.code : NULL, e) == 0 &&
	    json_put_str(row, "problem_message", bad ? m->problem.text : NULL, e) == 0 &&
	    json_put_str(row, "run", run, e) == 0)
		return row;
	json_free(row);
	return NULL;
}

/* What holds no audio, or could not be read whole, is refused; damage that leaves audio is taken
 * in, and recorded. */
bool
entry_is_refused(const struct measure *m)
{
	return m->problem.class != ERR_NONE &&
	       (m->frames <= 0 || strcmp(m->problem.code, P_UNREADABLE) == 0 ||
		   strcmp(m->problem.code, P_MODIFIED) == 0);
}

static int
put_rows(struct run *r, const struct entry *n, int64_t id, struct err *e)
{
	struct json *row;

	if ((row = recording_row(r->a->catalogue, id, n, e)) == NULL ||
	    run_change(r, "recordings", "id", id, row, e) == -1 ||
	    (row = entry_measurement(r, id, n->stored, n->folder, n->m, e)) == NULL ||
	    run_change(r, "rec_measurements", "recording_id", id, row, e) == -1)
		return -1;
	return n->provenance != NULL ? provenance_put(r, id, n->stored, n->provenance, e) : 0;
}

int
entry_add(struct run *r, const struct entry *n, int64_t *id, struct err *e)
{
	int64_t next;

	if (run_begin(r, e) == -1)
		return -1;
	if ((next = catalogue_next_id(r->a->catalogue, e)) == -1 || put_rows(r, n, next, e) == -1) {
		run_cancel(r);
		return -1;
	}
	if (run_commit(r, e) == -1)
		return -1;
	*id = next;
	return 0;
}
