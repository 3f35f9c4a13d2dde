#include "jobqueue.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "holders.h"
#include "io.h"
#include "mem.h"
#include "record.h"
#include "run.h"
#include "uploads.h"

#define PAGE 64
#define TOLD_EVERY_NS INT64_C(1000000000)

/*
 * In db/sync: the times at which runs of ours claimed jobs, a line each as in started_iso. A
 * running job that has one of them is ours, and while nobody holds the folder's lock that run is
 * dead.
 */
#define CLAIMS "claims"
#define CLAIMS_MAX (1 << 16)

/* ---- times and texts ---- */

/* As the application writes it. */
static char *
now_text(char out[CLOCK_TEXT_MAX])
{
	clock_micro(clock_now(), out);
	out[strlen(out) - 1] = '\0';
	return out;
}

static bool
is_status(const struct sync_job *job, const char *status)
{
	return job->status != NULL && strcmp(job->status, status) == 0;
}

static const char *
or_empty(const char *text)
{
	return text != NULL ? text : "";
}

/* ---- whose process is alive ---- */

struct owners {
	const struct archive *a;
	char *folder_path; /* db/sync */
	struct buf claims;
	bool ours_live; /* another rec-sync is at work: what it claimed is its own */
	char *wal;
};

static char *
folder_of(const struct archive *a, struct err *e)
{
	const char *path = config_database(a->config);

	return mem_fmt(e, "%.*ssync", (int)(io_base_name(path) - path), path);
}

static int
read_claims(struct owners *o, int folder, struct err *e)
{
	if (faccessat(folder, CLAIMS, F_OK, AT_SYMLINK_NOFOLLOW) == -1)
		return 0;
	if (io_read_file(folder, CLAIMS, CLAIMS_MAX, &o->claims, e) == 0)
		return 0;
	e->class = ERR_SYSTEM;
	return -1;
}

static void
owners_free(struct owners *o)
{
	free(o->folder_path);
	free(o->wal);
	buf_free(&o->claims);
}

/* `folder` is db/sync when its lock is ours, else -1. */
static int
owners_open(struct owners *o, const struct archive *a, int folder, struct err *e)
{
	int own = -1, rc = -1, locked = 0;

	*o = (struct owners){.a = a};
	if ((o->folder_path = folder_of(a, e)) == NULL ||
	    (o->wal = mem_fmt(e, "%s-wal", config_database(a->config))) == NULL)
		return -1;
	if (folder == -1) {
		own = folder = open(o->folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (own == -1)
			return 0;
		locked = io_is_locked(own, e);
	}
	if (locked != -1)
		rc = read_claims(o, folder, e);
	o->ours_live = locked == 1;
	if (own != -1)
		close(own);
	return rc;
}

static bool
is_claimed(const struct owners *o, const char *started)
{
	size_t len = started != NULL ? strlen(started) : 0;
	const char *p = or_empty(o->claims.data), *end;

	for (; len > 0 && (end = strchr(p, '\n')) != NULL; p = end + 1)
		if ((size_t)(end - p) == len && memcmp(p, started, len) == 0)
			return true;
	return false;
}

static bool
is_stale(const struct sync_job *job)
{
	const struct catalogue_job seen = {
	    .since = job->started_at != NULL ? job->started_at : job->created_at};

	return uploads_is_stale(&seen);
}

/* Of each running job, whether its owner is alive; of others false. */
static void
judge(const struct owners *o, const struct sync_job *jobs, int n, bool alive[PAGE])
{
	struct holder_file files[PAGE + 2] = {
	    {.path = config_database(o->a->config)}, {.path = o->wal}};
	size_t asked = 2;
	bool seen, held;

	for (int i = 0; i < n; i++) {
		bool ours = is_claimed(o, jobs[i].started_at);

		files[i + 2].path = or_empty(jobs[i].file_path);
		alive[i] = is_status(&jobs[i], "running") && (!ours || o->ours_live);
		if (alive[i] && !ours)
			asked = (size_t)n + 2;
	}
	if (asked == 2)
		return;
	seen = holders_look(files, asked);
	held = files[0].held || files[1].held;
	for (int i = 0; i < n; i++)
		if (alive[i] && !is_claimed(o, jobs[i].started_at))
			alive[i] = held || files[i + 2].held || (!seen && !is_stale(&jobs[i]));
}

static bool
is_due(const struct sync_job *job, bool alive)
{
	if (is_status(job, "failed"))
		return job->attempts >= 0 && job->attempts < job->max_attempts;
	return is_status(job, "pending") || (is_status(job, "running") && !alive);
}

/* Calls `each` for every job; it may take the job's strings and zero it. */
static int
walk(const struct owners *o, struct catalogue *c,
    int (*each)(void *ctx, struct sync_job *job, bool alive, struct err *e), void *ctx,
    struct err *e)
{
	struct sync_job *jobs = mem_new(PAGE, sizeof *jobs, e);
	bool alive[PAGE];
	int64_t after = INT64_MIN;
	int n, rc = 0;

	if (jobs == NULL)
		return -1;
	while (rc == 0 && (n = sync_jobs(c, after, PAGE, jobs, e)) > 0) {
		judge(o, jobs, n, alive);
		after = jobs[n - 1].rowid;
		for (int i = 0; i < n; i++) {
			if (rc == 0)
				rc = each(ctx, &jobs[i], alive[i], e);
			sync_job_free(&jobs[i]);
		}
	}
	free(jobs);
	return rc == 0 && n == -1 ? -1 : rc;
}

/* ---- rows ---- */

/* Columns that this shape lacks are left out. */
static int
put_text(struct json *row, const char *column, const char *text, struct err *e)
{
	return json_get(row, column) == NULL ? 0 : json_put_str(row, column, text, e);
}

static int
put_count(struct json *row, const char *column, int64_t n, struct err *e)
{
	return json_get(row, column) == NULL ? 0 : json_put_int(row, column, n, e);
}

/* Text that is not UTF-8 is an object in an image, and tells nothing here. */
static bool
has_text(const struct json *row, const char *column, const char *text)
{
	const char *now = json_get_str(row, column);

	return json_kind(json_get(row, column)) == JSON_KIND_OBJECT ||
	       strcmp(or_empty(now), or_empty(text)) == 0;
}

/* The job is still the one that was looked at. */
static bool
is_as_seen(const struct json *row, const struct sync_job *job)
{
	int64_t attempts = -1;

	json_get_int(row, "attempts", &attempts);
	return has_text(row, "id", job->id) && has_text(row, "file_path", job->file_path) &&
	       has_text(row, "status", job->status) &&
	       has_text(row, "started_iso", job->started_at) &&
	       (attempts < 0 ? -1 : attempts) == job->attempts;
}

static bool
is_cancel_requested(const struct json *row)
{
	int64_t n;

	return json_get_int(row, "cancel_requested", &n) && n > 0;
}

static int
put_ended(struct json *row, const char *status, struct err *e)
{
	char now[CLOCK_TEXT_MAX];

	return put_text(row, "status", status, e) == -1
		   ? -1
		   : put_text(row, "finished_iso", now_text(now), e);
}

/*
 * Changes one job in the transaction that is open. `make` changes the image, or gives 0 when the
 * job is to stay as it is. 1 changed, 0, -1.
 */
static int
change(struct run *r, int64_t rowid, int (*make)(void *ctx, struct json *row, struct err *e),
    void *ctx, struct err *e)
{
	struct json *row = NULL;
	int rc = catalogue_row_get(r->a->catalogue, "jobs", "rowid", rowid, &row, e);

	if (rc == 1 && (rc = make(ctx, row, e)) == 1)
		return run_change(r, "jobs", "rowid", rowid, row, e) == -1 ? -1 : 1;
	json_free(row);
	return rc;
}

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
	const char *path = or_empty(j->job.file_path), *name;
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
	const char *path = or_empty(job->file_path);
	struct entry **grown, *j;

	if (!is_due(job, alive) || !tool_in_shard(q->s->t, path, strlen(path)))
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

	if (put_text(row, "status", "running", e) == -1 ||
	    put_count(row, "attempts", attempts + 1, e) == -1 ||
	    put_text(row, "started_iso", q->started, e) == -1 ||
	    put_text(row, "finished_iso", NULL, e) == -1 ||
	    put_count(row, "uploaded_bytes", 0, e) == -1)
		return -1;
	return j->size_bytes >= 0 ? put_count(row, "total_bytes", j->size_bytes, e) : 0;
}

static int
make_claimed(void *ctx, struct json *row, struct err *e)
{
	struct claim *c = ctx;

	if (!is_as_seen(row, &c->j->job))
		return 0;
	if (is_cancel_requested(row))
		return put_ended(row, "cancelled", e) == -1 ? -1 : 1;
	if (put_claimed(row, c->q, c->j, e) == -1)
		return -1;
	c->j->claimed = true;
	return 1;
}

/* Opens a run and a transaction in it. */
static int
begin(struct run *r, struct archive *a, bool upgrade, struct err *e)
{
	if (run_open(r, a, "sync", e) == -1)
		return -1;
	if ((!upgrade || run_upgrade(r, e) == 0) && run_begin(r, e) == 0)
		return 0;
	run_close(r);
	return -1;
}

static int
end(struct run *r, int rc, struct err *e)
{
	if (rc == -1)
		run_cancel(r);
	else
		rc = run_commit(r, e) == -1 ? -1 : run_end(r, 0, e);
	run_close(r);
	return rc;
}

/* Before the claim: without the line nobody would know that a claim is ours. */
static int
write_claims(const struct owners *o, const struct jobqueue *q, struct err *e)
{
	struct buf text = {0};
	struct io_new f;
	size_t old = o->claims.len + CLOCK_TEXT_MAX < CLAIMS_MAX ? o->claims.len : 0;
	int rc = -1;

	if ((old == 0 || buf_add(&text, o->claims.data, old, e) == 0) &&
	    buf_addf(&text, e, "%s\n", q->started) == 0 &&
	    io_new_open(&f, q->s->folder, CLAIMS, e) == 0) {
		if (io_write(f.fd, text.data, text.len, e) == 0)
			rc = io_new_commit(&f, 0600, true, e);
		io_new_close(&f);
	}
	buf_free(&text);
	return rc;
}

static int
mark(struct jobqueue *q, const struct owners *o, struct err *e)
{
	struct run r;
	int rc = 0;

	now_text(q->started);
	if (write_claims(o, q, e) == -1 || begin(&r, &q->s->a, false, e) == -1)
		return -1;
	for (size_t i = 0; i < q->n && rc != -1; i++) {
		struct claim c = {q, q->jobs[i]};

		rc = change(&r, c.j->job.rowid, make_claimed, &c, e);
	}
	if ((rc = end(&r, rc, e)) == -1)
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
claim(struct jobqueue *q, const struct owners *o, struct err *e)
{
	if (walk(o, q->s->a.catalogue, note_due, q, e) == -1)
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
	struct owners o;
	int rc;

	if (q == NULL)
		return NULL;
	q->s = s;
	q->dry_run = dry_run;
	pthread_mutex_init(&q->ending, NULL);
	pthread_mutex_lock(&s->writing);
	if ((rc = owners_open(&o, &s->a, s->folder, e)) == 0)
		rc = claim(q, &o, e);
	owners_free(&o);
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
		    or_empty(j->job.id));
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
	j->remote_name = problem == NULL ? mem_str(or_empty(remote_name), &e) : NULL;
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
	if (put_ended(row, "succeeded", e) == -1 || put_text(row, "last_error", NULL, e) == -1 ||
	    put_text(row, "drive_file_id", j->remote_name, e) == -1)
		return -1;
	if (j->size_bytes < 0)
		return 0;
	return put_count(row, "uploaded_bytes", j->size_bytes, e) == -1
		   ? -1
		   : put_count(row, "total_bytes", j->size_bytes, e);
}

static int
put_failed(struct json *row, const struct entry *j, struct err *e)
{
	return put_ended(row, "failed", e) == -1 ? -1
						 : put_text(row, "last_error", j->problem.text, e);
}

static int
put_again(struct json *row, const struct entry *j, struct err *e)
{
	if (put_text(row, "status", "pending", e) == -1 ||
	    put_text(row, "started_iso", NULL, e) == -1)
		return -1;
	return put_count(row, "attempts", j->job.attempts > 0 ? j->job.attempts : 0, e);
}

static int
put_end(struct json *row, const struct entry *j, struct err *e)
{
	enum end how = j->end;

	if ((how == END_NONE || how == END_AGAIN) && is_cancel_requested(row))
		how = END_CANCELLED;
	switch (how) {
	case END_DONE:
		return put_done(row, j, e);
	case END_FAILED:
		return put_failed(row, j, e);
	case END_CANCELLED:
		return put_ended(row, "cancelled", e);
	default:
		return put_again(row, j, e);
	}
}

/* What somebody else changed meanwhile is his. */
static int
make_end(void *ctx, struct json *row, struct err *e)
{
	struct claim *c = ctx;

	if (!has_text(row, "status", "running") || !has_text(row, "id", c->j->job.id) ||
	    (json_get(row, "started_iso") != NULL && !has_text(row, "started_iso", c->q->started)))
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
	    or_empty(j->job.file_path));
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
	if (begin(&r, &q->s->a, false, e) == -1)
		return -1;
	for (size_t i = 0; i < q->n && rc != -1; i++) {
		struct claim c = {q, q->jobs[i]};

		rc = change(&r, c.j->job.rowid, make_end, &c, e);
	}
	return end(&r, rc, e) == -1 ? -1 : 0;
}

/* 1 stops the walk. */
static int
find_ours(void *ctx, struct sync_job *job, bool alive, struct err *e)
{
	(void)alive, (void)e;
	return is_status(job, "running") && is_claimed(ctx, job->started_at);
}

/* Times that no running job has any more are of no use. */
static int
forget_claims(struct jobqueue *q, struct err *e)
{
	struct owners o;
	int rc = owners_open(&o, &q->s->a, q->s->folder, e);

	if (rc == 0 && o.claims.len > 0)
		rc = walk(&o, q->s->a.catalogue, find_ours, &o, e);
	if (rc == 0 && o.claims.len > 0)
		rc = io_unlink(q->s->folder, CLAIMS, e);
	owners_free(&o);
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

/* ---- rec-sync jobs ---- */

struct command {
	struct tool *t;
	struct archive *a;
	struct owners owners;
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
	    json_put_bool(rec, "due", is_due(job, alive), e) == 0 &&
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
	const char *path = or_empty(job->file_path);
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
	int rc = put_text(row, "status", "pending", e);

	for (size_t i = 0; i < sizeof texts / sizeof texts[0] && rc == 0; i++)
		rc = put_text(row, texts[i], NULL, e);
	for (size_t i = 0; i < sizeof counts / sizeof counts[0] && rc == 0; i++)
		rc = put_count(row, counts[i], 0, e);
	return rc;
}

static int
make_wished(void *ctx, struct json *row, struct err *e)
{
	struct wish *w = ctx;
	int rc;

	if (!is_as_seen(row, w->job))
		return err_item(e, P_CONFLICT, "the job was changed meanwhile; nothing was done");
	if (w->action[0] == 'r')
		rc = make_pending(row, e);
	else if (w->alive)
		rc = put_count(row, "cancel_requested", 1, e);
	else
		rc = put_ended(row, "cancelled", e);
	return rc == -1 ? -1 : 1;
}

/* What cannot be wished: -1 with ERR_ITEM. */
static int
check_wish(const struct wish *w, struct err *e)
{
	if (w->action[0] == 'r' && w->alive)
		return err_item(
		    e, P_CONFLICT, "the job is running; wait for its end, or cancel it first");
	if (w->action[0] == 'c' && is_status(w->job, "succeeded"))
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
	if (begin(&r, c->a, true, e) == -1)
		return -1;
	rc = change(&r, w->job->rowid, make_wished, w, e);
	if (rc == 0)
		rc = err_item(e, P_CONFLICT, "the job was removed meanwhile");
	return end(&r, rc, e) == -1 ? -1 : 0;
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
	bool alive[PAGE] = {false};
	struct wish w = {.action = action, .job = &job};
	struct err problem;
	int rc = sync_job_get(c->a->catalogue, id, &job, e), granted;

	if (rc == -1)
		return -1;
	judge(&c->owners, &job, rc, alive);
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
	return walk(&c->owners, c->a->catalogue, list_job, c, e);
}

int
jobqueue_command(struct tool *t, struct archive *a, char **words, struct err *e)
{
	static const struct table_column columns[] = {{"job", "JOB", 32, false},
	    {"status", "STATUS", 10, false}, {"attempts", "TRIES", 5, true},
	    {"uploaded_bytes", "SENT", 13, true}, {"path", "PATH", 40, false},
	    {"last_error", "LAST ERROR", 0, false}, {NULL, NULL, 0, false}};
	struct command c = {.t = t, .a = a};
	int rc;

	t->columns = columns;
	if ((rc = owners_open(&c.owners, a, -1, e)) == 0)
		rc = run_words(&c, words, e);
	owners_free(&c.owners);
	return rc;
}
