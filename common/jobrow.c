#include "jobrow.h"

#include <string.h>

/* ---- texts ---- */

char *
jobrow_now(char out[CLOCK_TEXT_MAX])
{
	clock_micro(clock_now(), out);
	out[strlen(out) - 1] = '\0';
	return out;
}

const char *
jobrow_or_empty(const char *text)
{
	return text != NULL ? text : "";
}

bool
jobrow_is_status(const struct sync_job *job, const char *status)
{
	return job->status != NULL && strcmp(job->status, status) == 0;
}

/* ---- images ---- */

int
jobrow_put_text(struct json *row, const char *column, const char *text, struct err *e)
{
	return json_get(row, column) == NULL ? 0 : json_put_str(row, column, text, e);
}

int
jobrow_put_count(struct json *row, const char *column, int64_t n, struct err *e)
{
	return json_get(row, column) == NULL ? 0 : json_put_int(row, column, n, e);
}

bool
jobrow_has_text(const struct json *row, const char *column, const char *text)
{
	const char *now = json_get_str(row, column);

	return json_kind(json_get(row, column)) == JSON_KIND_OBJECT ||
	       strcmp(jobrow_or_empty(now), jobrow_or_empty(text)) == 0;
}

bool
jobrow_is_as_seen(const struct json *row, const struct sync_job *job)
{
	int64_t attempts = -1;

	json_get_int(row, "attempts", &attempts);
	return jobrow_has_text(row, "id", job->id) &&
	       jobrow_has_text(row, "file_path", job->file_path) &&
	       jobrow_has_text(row, "status", job->status) &&
	       jobrow_has_text(row, "started_iso", job->started_at) &&
	       (attempts < 0 ? -1 : attempts) == job->attempts;
}

bool
jobrow_is_cancel_requested(const struct json *row)
{
	int64_t n;

	return json_get_int(row, "cancel_requested", &n) && n > 0;
}

int
jobrow_put_ended(struct json *row, const char *status, struct err *e)
{
	char now[CLOCK_TEXT_MAX];

	return jobrow_put_text(row, "status", status, e) == -1
		   ? -1
		   : jobrow_put_text(row, "finished_iso", jobrow_now(now), e);
}

/* ---- the run ---- */

int
jobrow_begin(struct run *r, struct archive *a, bool upgrade, struct err *e)
{
	if (run_open(r, a, "sync", e) == -1)
		return -1;
	if ((!upgrade || run_upgrade(r, e) == 0) && run_begin(r, e) == 0)
		return 0;
	run_close(r);
	return -1;
}

int
jobrow_end(struct run *r, int rc, struct err *e)
{
	if (rc == -1)
		run_cancel(r);
	else
		rc = run_commit(r, e) == -1 ? -1 : run_end(r, 0, e);
	run_close(r);
	return rc;
}

int
jobrow_change(struct run *r, int64_t rowid, int (*make)(void *ctx, struct json *row, struct err *e),
    void *ctx, struct err *e)
{
	struct json *row = NULL;
	int rc = catalogue_row_get(r->a->catalogue, "jobs", "rowid", rowid, &row, e);

	if (rc == 1 && (rc = make(ctx, row, e)) == 1)
		return run_change(r, "jobs", "rowid", rowid, row, e) == -1 ? -1 : 1;
	json_free(row);
	return rc;
}
