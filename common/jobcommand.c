#include "jobcommand.h"

#include <string.h>

#include "jobowners.h"
#include "jobrow.h"
#include "record.h"
#include "run.h"

/* ---- the list ---- */

struct command {
	struct tool *t;
	struct archive *a;
	struct jobowners owners;
};

static int
put_maybe(struct json *rec, const char *key, const char *text, struct err *e)
{
	return text == NULL ? json_put_null(rec, key, e)
			    : json_put_bytes(rec, key, text, strlen(text), e);
}

static int
put_number(struct json *rec, const char *key, int64_t n, struct err *e)
{
	return n < 0 ? json_put_null(rec, key, e) : json_put_int(rec, key, n, e);
}

static struct json *
record_of(const struct sync_job *job, bool alive, struct err *e)
{
	struct json *rec = json_new_object(e);

	if (rec != NULL && put_maybe(rec, "job", job->id, e) == 0 &&
	    put_maybe(rec, "path", job->file_path, e) == 0 &&
	    put_maybe(rec, "title", job->title, e) == 0 &&
	    put_maybe(rec, "status", job->status, e) == 0 &&
	    json_put_bool(rec, "due", jobowners_is_due(job, alive), e) == 0 &&
	    json_put_bool(rec, "cancel_requested", job->cancel_requested, e) == 0 &&
	    put_number(rec, "attempts", job->attempts, e) == 0 &&
	    put_number(rec, "max_attempts", job->max_attempts, e) == 0 &&
	    put_number(rec, "uploaded_bytes", job->uploaded_bytes, e) == 0 &&
	    put_number(rec, "total_bytes", job->total_bytes, e) == 0 &&
	    put_maybe(rec, "created_iso", job->created_at, e) == 0 &&
	    put_maybe(rec, "started_iso", job->started_at, e) == 0 &&
	    put_maybe(rec, "finished_iso", job->finished_at, e) == 0 &&
	    put_maybe(rec, "last_error", job->last_error, e) == 0 &&
	    put_maybe(rec, "drive_file_id", job->remote_id, e) == 0)
		return rec;
	json_free(rec);
	return NULL;
}

static int
list_job(void *ctx, struct sync_job *job, bool alive, struct err *e)
{
	struct command *c = ctx;
	const char *path = jobrow_or_empty(job->file_path);
	struct json *rec;
	int rc;

	if (!tool_in_shard(c->t, path, strlen(path)))
		return 0;
	if (atomic_load(&tool_stop) != 0)
		return err_set(e, ERR_STOPPED, NULL, "stopped");
	if ((rec = record_of(job, alive, e)) == NULL)
		return -1;
	rc = tool_emit(c->t, rec, e);
	json_free(rec);
	tool_idle(c->t);
	return rc;
}

/* ---- retry and cancel ---- */

struct wish {
	const char *action; /* retry or cancel */
	const struct sync_job *job;
	bool alive;
};

static int
make_pending(struct json *row, struct err *e)
{
	static const char *const texts[] = {"last_error", "started_iso", "finished_iso"};
	static const char *const counts[] = {"attempts", "cancel_requested", "uploaded_bytes"};
	int rc = jobrow_put_text(row, "status", "pending", e);

	for (size_t i = 0; i < sizeof texts / sizeof texts[0] && rc == 0; i++)
		rc = jobrow_put_text(row, texts[i], NULL, e);
	for (size_t i = 0; i < sizeof counts / sizeof counts[0] && rc == 0; i++)
		rc = jobrow_put_count(row, counts[i], 0, e);
	return rc;
}

static int
make_wished(void *ctx, struct json *row, struct err *e)
{
	struct wish *w = ctx;
	int rc;

	if (!jobrow_is_as_seen(row, w->job))
		return err_item(e, P_CONFLICT, "the job was changed meanwhile; nothing was done");
	if (w->action[0] == 'r')
		rc = make_pending(row, e);
	else if (w->alive)
		rc = jobrow_put_count(row, "cancel_requested", 1, e);
	else
		rc = jobrow_put_ended(row, "cancelled", e);
	return rc == -1 ? -1 : 1;
}

/* What cannot be wished: -1 with ERR_ITEM. */
static int
check_wish(const struct wish *w, struct err *e)
{
	if (w->action[0] == 'r' && w->alive)
		return err_item(
		    e, P_CONFLICT, "the job is running; wait for its end, or cancel it first");
	if (w->action[0] == 'c' && jobrow_is_status(w->job, "succeeded"))
		return err_item(e, P_CONFLICT, "the job has succeeded: there is nothing to cancel");
	return 0;
}

static int
grant(struct command *c, struct wish *w, struct err *e)
{
	struct run r;
	int rc;

	if (check_wish(w, e) == -1)
		return -1;
	if (c->t->dry_run)
		return 0;
	if (jobrow_begin(&r, c->a, true, e) == -1)
		return -1;
	rc = jobrow_change(&r, w->job->rowid, make_wished, w, e);
	if (rc == 0)
		rc = err_item(e, P_CONFLICT, "the job was removed meanwhile");
	return jobrow_end(&r, rc, e) == -1 ? -1 : 0;
}

static int
tell_wish(struct command *c, const struct wish *w, const char *id, const struct err *problem,
    struct err *e)
{
	struct json *rec = w->job->rowid != 0 ? record_of(w->job, w->alive, e) : json_new_object(e);
	bool done = problem == NULL && !c->t->dry_run;
	int rc = -1;

	if (rec != NULL && json_put_bytes(rec, "job", id, strlen(id), e) == 0 &&
	    json_put_str(rec, "action", w->action, e) == 0 &&
	    json_put_bool(rec, "done", done, e) == 0 &&
	    (problem == NULL || record_put_problem(rec, problem, e) == 0))
		rc = tool_emit_found(c->t, rec, e);
	json_free(rec);
	return rc;
}

static int
grant_one(struct command *c, const char *action, const char *id, struct err *e)
{
	struct sync_job job, after = {0};
	bool alive[JOBOWNERS_PAGE] = {false};
	struct wish w = {.action = action, .job = &job};
	struct err problem;
	int rc = sync_job_get(c->a->catalogue, id, &job, e), granted;

	if (rc == -1)
		return -1;
	jobowners_judge(&c->owners, &job, rc, alive);
	w.alive = alive[0];
	granted = rc == 1 ? grant(c, &w, &problem)
			  : err_item(&problem, P_MISSING,
				"%.64s: no job has this id; rec-sync jobs lists them", id);
	if (granted == -1 && problem.class != ERR_ITEM) {
		*e = problem;
		rc = -1;
	}
	/* What is shown is the job as it is now. */
	if (rc == 1 && granted == 0 && (rc = sync_job_get(c->a->catalogue, id, &after, e)) == 1)
		w.job = &after;
	if (rc != -1)
		rc = tell_wish(c, &w, id, granted == -1 ? &problem : NULL, e);
	sync_job_free(&job);
	sync_job_free(&after);
	return rc;
}

static int
grant_all(struct command *c, char **words, struct err *e)
{
	if (words[1] == NULL)
		return err_set(e, ERR_USAGE, NULL,
		    "jobs %s: name the jobs by their ids; rec-sync jobs lists them", words[0]);
	for (char **id = words + 1; *id != NULL; id++) {
		if (atomic_load(&tool_stop) != 0)
			return err_set(e, ERR_STOPPED, NULL, "stopped");
		if (grant_one(c, words[0], *id, e) == -1)
			return -1;
	}
	return 0;
}

static int
run_words(struct command *c, char **words, struct err *e)
{
	const char *word = words[0] != NULL ? words[0] : "list";

	if (strcmp(word, "retry") == 0 || strcmp(word, "cancel") == 0)
		return grant_all(c, words, e);
	if (strcmp(word, "list") != 0)
		return err_set(e, ERR_USAGE, NULL,
		    "jobs %.64s: there are jobs list, jobs retry ID... and jobs cancel ID...",
		    word);
	if (words[0] != NULL && words[1] != NULL)
		return err_set(e, ERR_USAGE, NULL, "jobs list takes no operands");
	return jobowners_each(&c->owners, c->a->catalogue, list_job, c, e);
}

int
jobcommand_run(struct tool *t, struct archive *a, char **words, struct err *e)
{
	static const struct table_column columns[] = {{"job", "JOB", 32, false},
	    {"status", "STATUS", 10, false}, {"attempts", "TRIES", 5, true},
	    {"uploaded_bytes", "SENT", 13, true}, {"path", "PATH", 40, false},
	    {"last_error", "LAST ERROR", 0, false}, {NULL, NULL, 0, false}};
	struct command c = {.t = t, .a = a};
	int rc;

	t->columns = columns;
	if ((rc = jobowners_open(&c.owners, a, -1, e)) == 0)
		rc = run_words(&c, words, e);
	jobowners_free(&c.owners);
	return rc;
}
