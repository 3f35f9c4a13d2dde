#include "repair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue_health.h"
#include "census.h"
#include "clock.h"
#include "mem.h"
#include "mend.h"
#include "record.h"
#include "scan.h"
#include "shard.h"
#include "uploads.h"

/* A file that was written to so lately may be one that is being recorded. */
#define STILL_WRITTEN_S 60

struct repair {
	struct tool *t;
	struct archive *a;
	struct mend mend;
	unsigned kinds;
};

unsigned
repair_kinds(const char *names, struct err *e)
{
	static const char *const all[] = {"headers", "parts", "orphans", "moved", "jobs"};
	unsigned kinds = 0;
	size_t n, i;

	for (;; names += n + 1) {
		n = strcspn(names, ",");
		for (i = 0; i < sizeof all / sizeof all[0]; i++)
			if (strlen(all[i]) == n && memcmp(all[i], names, n) == 0)
				break;
		if (i == sizeof all / sizeof all[0]) {
			err_set(e, ERR_USAGE, NULL,
			    "\"%.*s\" is no kind of repair; there are headers, parts, orphans, "
			    "moved and jobs",
			    (int)n, names);
			return 0;
		}
		kinds |= 1u << i;
		if (names[n] == '\0')
			return kinds;
	}
}

static int
check_stop(struct err *e)
{
	return atomic_load(&tool_stop) != 0 ? err_set(e, ERR_STOPPED, NULL, "stopped") : 0;
}

/* ---- telling ---- */

static int
put_path(struct json *rec, const char *key, const struct repair *p, enum folder f, const char *name,
    struct err *e)
{
	struct buf path = {0};
	int rc;

	if (name == NULL)
		return json_put_null(rec, key, e);
	rc = buf_adds(&path, p->a->paths[f], e) == 0 && buf_add(&path, "/", 1, e) == 0 &&
		     buf_adds(&path, name, e) == 0
		 ? json_put_bytes(rec, key, path.data, path.len, e)
		 : -1;
	buf_free(&path);
	return rc;
}

/* What became of the file f/name; problem is NULL unless it was left as it was. */
static int
tell(struct repair *p, const char *what, enum folder f, const char *name, const struct mended *out,
    const struct err *problem, struct err *e)
{
	struct json *rec = json_new_object(e);
	int rc = -1;

	if (rec != NULL && json_put_str(rec, "repair", what, e) == 0 &&
	    (out->id != 0 ? json_put_int(rec, "id", out->id, e) : json_put_null(rec, "id", e)) ==
		0 &&
	    put_path(rec, "path", p, f, name, e) == 0 &&
	    put_path(rec, "new_path", p, out->folder, out->name, e) == 0 &&
	    json_put_str(rec, "message", out->message[0] != '\0' ? out->message : NULL, e) == 0 &&
	    put_path(rec, "backup", p, FOLDER_BACKUP, out->done ? out->backup : NULL, e) == 0 &&
	    json_put_bool(rec, "done", out->done, e) == 0 &&
	    (problem == NULL || record_put_problem(rec, problem, e) == 0))
		rc = tool_emit_found(p->t, rec, e);
	json_free(rec);
	tool_idle(p->t);
	return rc;
}

/* Tells the result of one of mend.h's: rc and *e are its. 0; -1 when the run is to stop. */
static int
settle(struct repair *p, int rc, const char *what, enum folder f, const char *name,
    struct mended *out, struct err *e)
{
	struct err problem;

	if (rc == 1) {
		rc = tell(p, what, f, name, out, NULL, e);
	} else if (rc == -1 && e->class == ERR_ITEM) {
		problem = *e;
		rc = tell(p, what, f, name, out, &problem, e);
	}
	mended_free(out);
	return rc;
}

/* ---- headers ---- */

static int
repair_header(struct repair *p, const struct catalogue_row *row, struct err *e)
{
	struct mended out;
	int rc = mend_header(&p->mend, row, &out, e);

	return settle(p, rc, "header", out.folder, row->stored, &out, e);
}

static int
repair_headers(struct repair *p, struct err *e)
{
	struct scan s;
	struct catalogue_row row;
	int rc;

	scan_start(&s, p->a->catalogue);
	while ((rc = scan_next(&s, &row, e)) == 1) {
		if ((rc = check_stop(e)) == 0 && shard_has_row(p->t, p->a, &row))
			rc = repair_header(p, &row, e);
		catalogue_row_free(&row);
		tool_idle(p->t);
		if (rc == -1)
			break;
	}
	scan_end(&s);
	return rc;
}

/* A file that got a row, or its row back, may have a header to repair as well. */
static int
repair_header_of(struct repair *p, int64_t id, struct err *e)
{
	struct catalogue_row row;
	int rc = catalogue_row_by_id(p->a->catalogue, id, &row, e);

	if (rc != 1)
		return rc;
	rc = repair_header(p, &row, e);
	catalogue_row_free(&row);
	return rc;
}

/* ---- files without a row ---- */

static bool
is_still_written(const struct census_file *file)
{
	return file->mtime_s > (int64_t)clock_now().tv_sec - STILL_WRITTEN_S;
}

/* 1 when there is a problem that keeps a file without a row as it is, which is told; 0, -1. */
static int
is_kept(struct repair *p, const char *what, const struct census_file *file, struct err *e)
{
	struct mended out = {.folder = file->folder};
	struct err problem;

	if (file->unreadable != NULL)
		err_item(&problem, file->unreadable, "cannot be read; left as it is");
	else if (file->duplicate_of != 0)
		err_item(&problem, P_DUPLICATE,
		    "recording %lld has the same bytes, so it is left as it is",
		    (long long)file->duplicate_of);
	else
		return 0;
	return tell(p, what, file->folder, file->name, &out, &problem, e) == -1 ? -1 : 1;
}

static int
repair_part(struct repair *p, const struct census_file *file, struct err *e)
{
	struct mended out;
	int rc;

	if (!file->is_part || file->moved_from != 0 || is_still_written(file))
		return 0;
	if ((rc = is_kept(p, "part", file, e)) != 0)
		return rc == 1 ? 0 : -1;
	rc = mend_part(&p->mend, file->folder, file->name, &out, e);
	return settle(p, rc, "part", file->folder, file->name, &out, e);
}

/* The header of the recording that a file became, when that is asked for, too. */
static int
settle_and_go_on(struct repair *p, int rc, const char *what, const struct census_file *file,
    struct mended *out, struct err *e)
{
	int64_t id = rc == 1 && out->done && (p->kinds & REPAIR_HEADERS) != 0 ? out->id : 0;

	rc = settle(p, rc, what, file->folder, file->name, out, e);
	return rc == 0 && id != 0 ? repair_header_of(p, id, e) : rc;
}

static int
repair_moved(struct repair *p, const struct census_file *file, struct err *e)
{
	struct mended out;
	int rc;

	if (file->moved_from == 0)
		return 0;
	rc = mend_moved(&p->mend, file->folder, file->name, file->moved_from, &out, e);
	return settle_and_go_on(p, rc, "moved", file, &out, e);
}

static int
repair_orphan(struct repair *p, const struct census_file *file, struct err *e)
{
	struct mended out;
	int rc;

	if (file->is_part || file->moved_from != 0 || is_still_written(file))
		return 0;
	if ((rc = is_kept(p, "orphan", file, e)) != 0)
		return rc == 1 ? 0 : -1;
	rc = mend_orphan(&p->mend, file->folder, file->name, &out, e);
	return settle_and_go_on(p, rc, "orphan", file, &out, e);
}

static int
each_file(struct repair *p, const struct census *n,
    int (*repair)(struct repair *, const struct census_file *, struct err *), struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < n->n_files && rc == 0; i++)
		if ((rc = check_stop(e)) == 0)
			rc = repair(p, &n->files[i], e);
	return rc;
}

static int
repair_files(struct repair *p, struct err *e)
{
	struct census n;
	int rc = census_take(&n, p->t, p->a, e);

	if (rc == 0 && (p->kinds & REPAIR_PARTS) != 0)
		rc = each_file(p, &n, repair_part, e);
	if (rc == 0 && (p->kinds & REPAIR_MOVED) != 0)
		rc = each_file(p, &n, repair_moved, e);
	if (rc == 0 && (p->kinds & REPAIR_ORPHANS) != 0)
		rc = each_file(p, &n, repair_orphan, e);
	census_free(&n);
	return rc;
}

/* ---- jobs ---- */

struct stale_job {
	int64_t rowid;
	char *id, *file_path, *since; /* NULL: unknown */
};

struct stale_jobs {
	const struct tool *t;
	struct stale_job *jobs;
	size_t n;
};

static char *
copy(const char *s, struct err *e)
{
	return mem_str(s != NULL ? s : "", e);
}

static int
note_stale(void *ctx, const struct catalogue_job *job, struct err *e)
{
	struct stale_jobs *all = ctx;
	struct stale_job *grown, *j;
	const char *path = job->file_path != NULL ? job->file_path : "";

	if (job->status == NULL || strcmp(job->status, "running") != 0 || !uploads_is_stale(job) ||
	    !tool_in_shard(all->t, path, strlen(path)))
		return 0;
	if ((grown = realloc(all->jobs, (all->n + 1) * sizeof *grown)) == NULL)
		return err_nomem(e);
	all->jobs = grown;
	j = &grown[all->n++];
	*j = (struct stale_job){.rowid = job->rowid};
	return (j->id = copy(job->id, e)) == NULL || (j->file_path = copy(path, e)) == NULL ||
		       (j->since = copy(job->since, e)) == NULL
		   ? -1
		   : 0;
}

/* The job as it shall be: NULL, with *e of class ERR_ITEM when it went on meanwhile. */
static struct json *
pending_again(const struct json *job, const struct stale_job *was, struct err *e)
{
	const char *id = json_get_str(job, "id"), *status = json_get_str(job, "status");
	const char *since = json_get_str(job, "started_iso");
	struct json *after;

	if (since == NULL)
		since = json_get_str(job, "created_iso");
	if (status == NULL || strcmp(status, "running") != 0 ||
	    strcmp(id != NULL ? id : "", was->id) != 0 ||
	    strcmp(since != NULL ? since : "", was->since) != 0) {
		err_item(e, P_CONFLICT, "the job was changed meanwhile; nothing was done");
		return NULL;
	}
	if ((after = json_clone(job, e)) == NULL)
		return NULL;
	if (json_put_str(after, "status", "pending", e) == 0 &&
	    (json_get(after, "started_iso") == NULL || json_put_null(after, "started_iso", e) == 0))
		return after;
	json_free(after);
	return NULL;
}

static int
requeue(struct run *r, const struct stale_job *job, struct err *e)
{
	struct json *before = NULL, *after = NULL;
	int rc;

	if (run_begin(r, e) == -1)
		return -1;
	if ((rc = catalogue_row_get(r->a->catalogue, "jobs", "rowid", job->rowid, &before, e)) !=
	    -1) {
		after = pending_again(before, job, e);
		rc = after == NULL ? -1 : run_change(r, "jobs", "rowid", job->rowid, after, e);
	}
	json_free(before);
	if (rc != -1)
		return run_commit(r, e);
	run_cancel(r);
	return -1;
}

static int
tell_job(struct repair *p, const struct stale_job *job, bool done, const struct err *problem,
    struct err *e)
{
	struct json *rec = json_new_object(e);
	int rc = -1;
	char message[128];

	snprintf(message, sizeof message,
	    "an upload that runs since %.40s, and whose process must have died; it becomes pending",
	    job->since[0] != '\0' ? job->since : "nobody knows when");
	if (rec != NULL && json_put_str(rec, "repair", "job", e) == 0 &&
	    json_put_bytes(rec, "job", job->id, strlen(job->id), e) == 0 &&
	    json_put_bytes(rec, "path", job->file_path, strlen(job->file_path), e) == 0 &&
	    json_put_str(rec, "message", message, e) == 0 && json_put_null(rec, "backup", e) == 0 &&
	    json_put_bool(rec, "done", done, e) == 0 &&
	    (problem == NULL || record_put_problem(rec, problem, e) == 0))
		rc = tool_emit_found(p->t, rec, e);
	json_free(rec);
	return rc;
}

static int
repair_job(struct repair *p, const struct stale_job *job, struct err *e)
{
	struct err problem;

	if (p->mend.r == NULL)
		return tell_job(p, job, false, NULL, e);
	if (requeue(p->mend.r, job, &problem) == 0)
		return tell_job(p, job, true, NULL, e);
	if (problem.class == ERR_ITEM)
		return tell_job(p, job, false, &problem, e);
	*e = problem;
	return -1;
}

static int
repair_jobs(struct repair *p, struct err *e)
{
	struct stale_jobs all = {.t = p->t};
	int rc = catalogue_jobs(p->a->catalogue, note_stale, &all, e);

	for (size_t i = 0; i < all.n; i++) {
		if (rc == 0 && (rc = check_stop(e)) == 0)
			rc = repair_job(p, &all.jobs[i], e);
		free(all.jobs[i].id);
		free(all.jobs[i].file_path);
		free(all.jobs[i].since);
	}
	free(all.jobs);
	return rc;
}

int
repair_run(struct tool *t, struct archive *a, struct run *r, unsigned kinds, struct err *e)
{
	struct repair p = {.t = t,
	    .a = a,
	    .mend = {.a = a, .r = r, .audio = {.stop = &tool_stop, .bytes_done = &t->bytes_done}},
	    .kinds = kinds};

	if ((kinds & REPAIR_HEADERS) != 0 && repair_headers(&p, e) == -1)
		return -1;
	if ((kinds & (REPAIR_PARTS | REPAIR_MOVED | REPAIR_ORPHANS)) != 0 &&
	    repair_files(&p, e) == -1)
		return -1;
	return (kinds & REPAIR_JOBS) != 0 ? repair_jobs(&p, e) : 0;
}
