#include "jobqueue.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "io.h"
#include "jobowners.h"
#include "jobrow.h"
#include "mem.h"
#include "record.h"
#include "run.h"

#define TOLD_EVERY_NS INT64_C(1000000000)

/* ---- the queue ---- */

enum end { END_NONE, END_DONE, END_FAILED, END_CANCELLED, END_AGAIN };

struct entry {
	struct sync_job job;
	int64_t recording, size_bytes; /* 0, -1: none, unknown */
	bool proven, deleted;	       /* … an object of it; it */
	struct err problem;	       /* of the path; then of how it ended */
	bool claimed;		       /* or would be, in a dry run */
	atomic_llong told_ns;
	atomic_bool cancelled;
	enum end end;
	char *remote_name;
	struct entry *first; /* the job of the same recording that is done for this one, too */
};

struct jobqueue {
	struct sync *s;
	struct entry **jobs; /* one by one: they hold atomics */
	size_t n, cap;
	size_t shown; /* behind them those that have a first */
	bool dry_run, settled;
	char started[CLOCK_TEXT_MAX]; /* started_iso of all that were claimed */
	pthread_mutex_t ending;
};

static void
entry_free(struct entry *j)
{
	if (j == NULL)
		return;
	sync_job_free(&j->job);
	free(j->remote_name);
	free(j);
}

/* The size of the file itself, where none was recorded; -1. */
static int64_t
file_size(const struct archive *a, const struct sync_row *row)
{
	enum folder f;
	struct stat st;
	struct err e;

	return archive_locate(a, row->stored, row->stored_len, row->folder, &f, &st, &e) == 0
		   ? (int64_t)st.st_size
		   : -1;
}

/* What the catalogue knows now of the job's recording. */
static int
look_up(struct sync *s, struct entry *j, struct err *e)
{
	struct sync_row row = {0};
	int rc = sync_row_get(s->a.catalogue, s->known.id, j->recording, &row, e);

	if (rc != 1) {
		j->proven = false;
		return rc;
	}
	j->proven = row.has_object;
	j->deleted = row.deleted;
	j->size_bytes = row.size_bytes >= 0 ? row.size_bytes
			: row.has_object    ? row.object.size_bytes
					    : file_size(&s->a, &row);
	sync_row_free(&row);
	return 0;
}

/* Which recording it is about; what is wrong with its path is the job's own problem. */
static int
resolve(struct sync *s, struct entry *j, struct err *e)
{
	const char *path = jobrow_or_empty(j->job.file_path), *name;
	int rc;

	j->size_bytes = -1;
	name = path[0] != '\0' ? archive_stored_name(&s->a, path) : NULL;
	rc = name == NULL
		 ? 0
		 : catalogue_find_stored(s->a.catalogue, name, strlen(name), &j->recording, e);
	if (rc == 1)
		return look_up(s, j, e);
	j->recording = 0;
	if (name == NULL)
		err_item(&j->problem, P_UNSAFE_PATH,
		    "%s: the job's file_path lies in neither raw nor edited; correct the job, or "
		    "cancel it with rec-sync jobs cancel",
		    path[0] != '\0' ? path : "(none)");
	else
		err_item(&j->problem, P_ORPHAN,
		    "%s: no recording has the job's file; add it with rec-meta add, or cancel the "
		    "job with rec-sync jobs cancel",
		    path);
	return rc;
}

static int
note_due(void *ctx, struct sync_job *job, bool alive, struct err *e)
{
	struct jobqueue *q = ctx;
	const char *path = jobrow_or_empty(job->file_path);
	struct entry **grown, *j;

	if (!jobowners_is_due(job, alive) || !tool_in_shard(q->s->t, path, strlen(path)))
		return 0;
	if (q->n == q->cap) {
		size_t cap = 2 * q->cap + 16;

		if ((grown = realloc(q->jobs, cap * sizeof *grown)) == NULL)
			return err_nomem(e);
		q->jobs = grown;
		q->cap = cap;
	}
	if ((j = mem_new(1, sizeof *j, e)) == NULL)
		return -1;
	q->jobs[q->n++] = j;
	j->job = *job;
	*job = (struct sync_job){0};
	return 0;
}

static void
drop_unclaimed(struct jobqueue *q)
{
	size_t kept = 0;

	for (size_t i = 0; i < q->n; i++)
		if (q->jobs[i]->claimed)
			q->jobs[kept++] = q->jobs[i];
		else
			entry_free(q->jobs[i]);
	q->n = kept;
}

/* ---- claiming ---- */

struct claim {
	struct jobqueue *q;
	struct entry *j;
};

static int
put_claimed(struct json *row, const struct jobqueue *q, const struct entry *j, struct err *e)
{
	int64_t attempts = j->job.attempts > 0 ? j->job.attempts : 0;

	if (jobrow_put_text(row, "status", "running", e) == -1 ||
	    jobrow_put_count(row, "attempts", attempts + 1, e) == -1 ||
	    jobrow_put_text(row, "started_iso", q->started, e) == -1 ||
	    jobrow_put_text(row, "finished_iso", NULL, e) == -1 ||
	    jobrow_put_count(row, "uploaded_bytes", 0, e) == -1)
		return -1;
	return j->size_bytes >= 0 ? jobrow_put_count(row, "total_bytes", j->size_bytes, e) : 0;
}

static int
make_claimed(void *ctx, struct json *row, struct err *e)
{
	struct claim *c = ctx;

	if (!jobrow_is_as_seen(row, &c->j->job))
		return 0;
	if (jobrow_is_cancel_requested(row))
		return jobrow_put_ended(row, "cancelled", e) == -1 ? -1 : 1;
	if (put_claimed(row, c->q, c->j, e) == -1)
		return -1;
	c->j->claimed = true;
	return 1;
}

/* Before the claim: without the line nobody would know that a claim is ours. */
static int
write_claims(const struct jobowners *o, const struct jobqueue *q, struct err *e)
{
	struct buf text = {0};
	struct io_new f;
	size_t old = o->claims.len + CLOCK_TEXT_MAX < JOBOWNERS_CLAIMS_MAX ? o->claims.len : 0;
	int rc = -1;

	if ((old == 0 || buf_add(&text, o->claims.data, old, e) == 0) &&
	    buf_addf(&text, e, "%s\n", q->started) == 0 &&
	    io_new_open(&f, q->s->folder, JOBOWNERS_CLAIMS, e) == 0) {
		if (io_write(f.fd, text.data, text.len, e) == 0)
			rc = io_new_commit(&f, 0600, true, e);
		io_new_close(&f);
	}
	buf_free(&text);
	return rc;
}

static int
mark(struct jobqueue *q, const struct jobowners *o, struct err *e)
{
	struct run r;
	int rc = 0;

	jobrow_now(q->started);
	if (write_claims(o, q, e) == -1 || jobrow_begin(&r, &q->s->a, false, e) == -1)
		return -1;
	for (size_t i = 0; i < q->n && rc != -1; i++) {
		struct claim c = {q, q->jobs[i]};

		rc = jobrow_change(&r, c.j->job.rowid, make_claimed, &c, e);
	}
	if ((rc = jobrow_end(&r, rc, e)) == -1)
		return -1;
	drop_unclaimed(q);
	return 0;
}

/* By recording, then in the order of the queue. */
static int
compare_jobs(const void *a, const void *b)
{
	const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;

	if (x->recording != y->recording)
		return x->recording < y->recording ? -1 : 1;
	return (x->job.rowid > y->job.rowid) - (x->job.rowid < y->job.rowid);
}

static void
find_firsts(struct entry **sorted, size_t n)
{
	qsort(sorted, n, sizeof *sorted, compare_jobs);
	for (size_t i = 1; i < n; i++) {
		struct entry *before = sorted[i - 1];

		if (sorted[i]->recording != 0 && sorted[i]->recording == before->recording)
			sorted[i]->first = before->first != NULL ? before->first : before;
	}
}

/* Two jobs of one recording would be in each other's way. */
static int
merge(struct jobqueue *q, struct err *e)
{
	struct entry **sorted;
	size_t n = 0;

	if (q->n == 0)
		return 0;
	if ((sorted = mem_new(q->n, sizeof *sorted, e)) == NULL)
		return -1;
	memcpy(sorted, q->jobs, q->n * sizeof *sorted);
	find_firsts(sorted, q->n);
	for (size_t i = 0; i < q->n; i++)
		if (q->jobs[i]->first == NULL)
			sorted[n++] = q->jobs[i];
	q->shown = n;
	for (size_t i = 0; i < q->n; i++)
		if (q->jobs[i]->first != NULL)
			sorted[n++] = q->jobs[i];
	memcpy(q->jobs, sorted, q->n * sizeof *sorted);
	free(sorted);
	return 0;
}

static int
claim(struct jobqueue *q, const struct jobowners *o, struct err *e)
{
	if (jobowners_each(o, q->s->a.catalogue, note_due, q, e) == -1)
		return -1;
	for (size_t i = 0; i < q->n; i++)
		if (resolve(q->s, q->jobs[i], e) == -1)
			return -1;
	if (!q->dry_run) {
		if (q->n > 0 && mark(q, o, e) == -1)
			return -1;
	} else {
		for (size_t i = 0; i < q->n; i++)
			q->jobs[i]->claimed = !q->jobs[i]->job.cancel_requested;
		drop_unclaimed(q);
	}
	return merge(q, e);
}

struct jobqueue *
jobqueue_claim(struct sync *s, bool dry_run, struct err *e)
{
	struct jobqueue *q = mem_new(1, sizeof *q, e);
	struct jobowners o;
	int rc;

	if (q == NULL)
		return NULL;
	q->s = s;
	q->dry_run = dry_run;
	pthread_mutex_init(&q->ending, NULL);
	pthread_mutex_lock(&s->writing);
	if ((rc = jobowners_open(&o, &s->a, s->folder, e)) == 0)
		rc = claim(q, &o, e);
	jobowners_free(&o);
	pthread_mutex_unlock(&s->writing);
	if (rc == 0)
		return q;
	jobqueue_close(q);
	return NULL;
}

size_t
jobqueue_count(const struct jobqueue *q)
{
	return q->shown;
}

int64_t
jobqueue_recording(const struct jobqueue *q, size_t i, struct err *problem)
{
	if (q->jobs[i]->recording == 0)
		*problem = q->jobs[i]->problem;
	return q->jobs[i]->recording;
}

const struct sync_job *
jobqueue_job(const struct jobqueue *q, size_t i)
{
	return &q->jobs[i]->job;
}

/* ---- meanwhile ---- */

static int
tell_progress(struct catalogue *c, const struct entry *j, int64_t bytes, struct err *e)
{
	int rc = sync_job_is_cancelled(c, j->job.rowid, e);

	if (rc != 0)
		return rc;
	if (catalogue_begin(c, e) == -1)
		return -1;
	if (sync_job_progress(c, j->job.rowid, bytes, e) == 0)
		return catalogue_commit(c, e);
	catalogue_rollback(c);
	return -1;
}

int
jobqueue_progress(struct jobqueue *q, size_t i, int64_t bytes, struct err *e)
{
	struct entry *j = q->jobs[i];
	long long told = atomic_load(&j->told_ns), now = clock_monotonic_ns();
	int rc;

	if (q->dry_run || (told != 0 && now - told < TOLD_EVERY_NS) ||
	    !atomic_compare_exchange_strong(&j->told_ns, &told, now))
		return 0;
	pthread_mutex_lock(&q->s->writing);
	rc = tell_progress(q->s->a.catalogue, j, bytes, e);
	pthread_mutex_unlock(&q->s->writing);
	if (rc == 1) {
		atomic_store(&j->cancelled, true);
		return err_item(e, P_CONFLICT, "the job %.64s was cancelled by its application",
		    jobrow_or_empty(j->job.id));
	}
	/* Nobody gives an upload up for a number that is shown. */
	return rc == -1 && e->class == ERR_BUSY ? 0 : rc;
}

static enum end
end_of(const struct entry *j, const struct err *problem)
{
	if (problem == NULL)
		return END_DONE;
	if (atomic_load(&j->cancelled))
		return END_CANCELLED;
	return problem->class == ERR_STOPPED ? END_AGAIN : END_FAILED;
}

void
jobqueue_ended(struct jobqueue *q, size_t i, const char *remote_name, const struct err *problem)
{
	struct entry *j = q->jobs[i];
	struct err e;

	pthread_mutex_lock(&q->ending);
	free(j->remote_name);
	j->remote_name = problem == NULL ? mem_str(jobrow_or_empty(remote_name), &e) : NULL;
	if (problem == NULL && j->remote_name == NULL)
		problem = &e;
	j->end = end_of(j, problem);
	if (problem != NULL)
		j->problem = *problem;
	pthread_mutex_unlock(&q->ending);
}

/* ---- the end ---- */

static int
put_done(struct json *row, const struct entry *j, struct err *e)
{
	if (jobrow_put_ended(row, "succeeded", e) == -1 ||
	    jobrow_put_text(row, "last_error", NULL, e) == -1 ||
	    jobrow_put_text(row, "drive_file_id", j->remote_name, e) == -1)
		return -1;
	if (j->size_bytes < 0)
		return 0;
	return jobrow_put_count(row, "uploaded_bytes", j->size_bytes, e) == -1
		   ? -1
		   : jobrow_put_count(row, "total_bytes", j->size_bytes, e);
}

static int
put_failed(struct json *row, const struct entry *j, struct err *e)
{
	return jobrow_put_ended(row, "failed", e) == -1
		   ? -1
		   : jobrow_put_text(row, "last_error", j->problem.text, e);
}

static int
put_again(struct json *row, const struct entry *j, struct err *e)
{
	if (jobrow_put_text(row, "status", "pending", e) == -1 ||
	    jobrow_put_text(row, "started_iso", NULL, e) == -1)
		return -1;
	return jobrow_put_count(row, "attempts", j->job.attempts > 0 ? j->job.attempts : 0, e);
}

static int
put_end(struct json *row, const struct entry *j, struct err *e)
{
	enum end how = j->end;

	if ((how == END_NONE || how == END_AGAIN) && jobrow_is_cancel_requested(row))
		how = END_CANCELLED;
	switch (how) {
	case END_DONE:
		return put_done(row, j, e);
	case END_FAILED:
		return put_failed(row, j, e);
	case END_CANCELLED:
		return jobrow_put_ended(row, "cancelled", e);
	default:
		return put_again(row, j, e);
	}
}

/* What somebody else changed meanwhile is his. */
static int
make_end(void *ctx, struct json *row, struct err *e)
{
	struct claim *c = ctx;

	if (!jobrow_has_text(row, "status", "running") ||
	    !jobrow_has_text(row, "id", c->j->job.id) ||
	    (json_get(row, "started_iso") != NULL &&
		!jobrow_has_text(row, "started_iso", c->q->started)))
		return 0;
	return put_end(row, c->j, e) == -1 ? -1 : 1;
}

/* Ends as the first did, unless that one alone was cancelled. */
static int
follow_first(struct entry *j, struct err *e)
{
	j->end = j->first->end == END_CANCELLED ? END_AGAIN : j->first->end;
	j->problem = j->first->problem;
	j->size_bytes = j->first->size_bytes;
	if (j->first->remote_name == NULL)
		return 0;
	return (j->remote_name = mem_str(j->first->remote_name, e)) == NULL ? -1 : 0;
}

/* Nothing has succeeded of which no object is proven. */
static int
check_done(struct jobqueue *q, struct entry *j, struct err *e)
{
	if (j->first != NULL)
		return follow_first(j, e);
	if (j->end != END_DONE)
		return 0;
	if (look_up(q->s, j, e) == -1)
		return -1;
	if (j->proven)
		return 0;
	j->end = j->deleted ? END_FAILED : END_AGAIN;
	err_item(&j->problem, P_CONFLICT,
	    "%s: the recording is deleted, so it was not sent; restore it, or cancel the job",
	    jobrow_or_empty(j->job.file_path));
	return 0;
}

static int
settle(struct jobqueue *q, struct err *e)
{
	struct run r;
	int rc = 0;

	for (size_t i = 0; i < q->n; i++)
		if (check_done(q, q->jobs[i], e) == -1)
			return -1;
	if (jobrow_begin(&r, &q->s->a, false, e) == -1)
		return -1;
	for (size_t i = 0; i < q->n && rc != -1; i++) {
		struct claim c = {q, q->jobs[i]};

		rc = jobrow_change(&r, c.j->job.rowid, make_end, &c, e);
	}
	return jobrow_end(&r, rc, e) == -1 ? -1 : 0;
}

/* 1 stops the walk. */
static int
find_ours(void *ctx, struct sync_job *job, bool alive, struct err *e)
{
	(void)alive, (void)e;
	return jobrow_is_status(job, "running") && jobowners_is_ours(ctx, job->started_at);
}

/* Times that no running job has any more are of no use. */
static int
forget_claims(struct jobqueue *q, struct err *e)
{
	struct jobowners o;
	int rc = jobowners_open(&o, &q->s->a, q->s->folder, e);

	if (rc == 0 && o.claims.len > 0)
		rc = jobowners_each(&o, q->s->a.catalogue, find_ours, &o, e);
	if (rc == 0 && o.claims.len > 0)
		rc = io_unlink(q->s->folder, JOBOWNERS_CLAIMS, e);
	jobowners_free(&o);
	return rc == -1 ? -1 : 0;
}

int
jobqueue_settle(struct jobqueue *q, struct err *e)
{
	int rc;

	if (q->dry_run || q->settled || q->n == 0)
		return 0;
	pthread_mutex_lock(&q->s->writing);
	if ((rc = settle(q, e)) == 0) {
		q->settled = true;
		rc = forget_claims(q, e);
	}
	pthread_mutex_unlock(&q->s->writing);
	return rc;
}

void
jobqueue_close(struct jobqueue *q)
{
	if (q == NULL)
		return;
	while (q->n > 0)
		entry_free(q->jobs[--q->n]);
	free(q->jobs);
	pthread_mutex_destroy(&q->ending);
	free(q);
}
