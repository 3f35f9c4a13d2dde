/*
 * One thread plans, several transfer, and the caller's takes the results in order: proofs go into
 * the catalogue many at once, and a record is printed only when its proof is there.
 */
#include "push.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "edit.h"
#include "inventory.h"
#include "io.h"
#include "jobqueue.h"
#include "ledger.h"
#include "mem.h"
#include "plan.h"
#include "record.h"
#include "rename.h"
#include "settle.h"
#include "syncitems.h"
#include "syncmeter.h"
#include "trash.h"
#include "upload.h"
#include "volume.h"
#include "work.h"

#define BATCH 256
#define BATCH_NS 400000000
#define SETTLE_NS INT64_C(3000000000)
#define NO_JOB SIZE_MAX

/* One item on its way. */
struct task {
	struct plan_item *plan; /* NULL: what came in was none, or has a problem */
	struct tool_item *item; /* that named it, or NULL */
	struct json *rec;
	size_t job; /* its number, or NO_JOB */
	bool proven;
	struct catalogue_object object;
	enum upload_result how;
	struct err problem; /* class ERR_NONE: none */
};

struct push {
	struct sync *s;
	const struct push_opts *o;
	struct push_counts *n;
	struct plan_opts plan_opts;
	/* Of the thread that plans: */
	struct catalogue *reader;
	struct plan *plan;
	struct tool_items *items;
	struct tool_item *first; /* read already */
	size_t next_job;
	struct jobqueue *jobs;
	struct trash trash, renamed; /* objects whose recordings are gone; have another name */
	bool prepared;		     /* what renames will want was looked for */
	bool aside;		     /* … and something was put aside */
	/* Of the caller's thread: */
	struct task **batch;
	size_t n_batch;
	int64_t batch_ns, settled_ns;
	bool unsettled;
	int64_t *failed; /* recordings that cannot be sent */
	size_t n_failed, cap_failed;
	struct err later; /* of a flush in idle, which can tell nobody */
	struct syncmeter meter;
	/* Of the workers: */
	atomic_int busy; /* the mark is there */
};

static void
task_free(struct task *k)
{
	if (k == NULL)
		return;
	plan_item_free(k->plan);
	if (k->item != NULL)
		tool_item_free(k->item);
	json_free(k->rec);
	free(k);
}

/* ---- a mark that something is going on ---- */

/*
 * db/sync/OWNER.busy is there from the first change at the remote until the run has ended well;
 * what finds it there looks for what was left.
 */
static void
mark_name(const struct sync *s, char name[24])
{
	snprintf(name, 24, "%s.busy", s->owner);
}

static int
mark_busy(struct push *p, struct err *e)
{
	char name[24];
	struct io_new f;
	int rc = 0;

	pthread_mutex_lock(&p->s->writing);
	if (atomic_load(&p->busy) == 0) {
		mark_name(p->s, name);
		rc = io_new_open(&f, p->s->folder, name, e);
		if (rc == 0) {
			rc = io_new_commit(&f, 0600, true, e);
			io_new_close(&f);
		}
		if (rc == 0)
			atomic_store(&p->busy, 1);
	}
	pthread_mutex_unlock(&p->s->writing);
	return rc;
}

static bool
was_busy(const struct sync *s)
{
	char name[24];

	mark_name(s, name);
	return faccessat(s->folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int
unmark_busy(struct push *p, struct err *e)
{
	char name[24];

	mark_name(p->s, name);
	return was_busy(p->s) ? io_unlink(p->s->folder, name, e) : 0;
}

/* ---- making tasks ---- */

static struct task *
new_task(struct err *e)
{
	struct task *k = mem_new(1, sizeof *k, e);

	if (k != NULL)
		k->job = NO_JOB;
	return k;
}

/* What is wrong with an item stays with it; what ends the run is an error. */
static int
keep_problem(struct task *k, const struct err *why, struct err *e)
{
	if (sync_is_fatal(why)) {
		*e = *why;
		return -1;
	}
	k->problem = *why;
	return 0;
}

static int
plan_recording(struct push *p, struct task *k, int64_t id, struct err *e)
{
	struct plan_opts opts = p->plan_opts;
	struct err why;

	/* Who queued it wants it there. */
	opts.deleted |= k->job != NO_JOB;
	k->plan = plan_one(p->s, p->reader, id, &opts, &why);
	if (k->plan == NULL)
		return keep_problem(k, &why, e);
	return plan_record(p->s, p->reader, k->plan, &k->rec, e);
}

/* The record of a job whose recording cannot be found. */
static int
describe_job(struct push *p, struct task *k, struct err *e)
{
	const struct sync_job *job = jobqueue_job(p->jobs, k->job);
	const char *path = job->file_path != NULL ? job->file_path : "";

	if ((k->rec = json_new_object(e)) == NULL ||
	    json_put_bytes(k->rec, "path", path, strlen(path), e) == -1)
		return -1;
	return job->id == NULL ? 0 : json_put_bytes(k->rec, "job", job->id, strlen(job->id), e);
}

static int
next_job(void *ctx, void **out, struct err *e)
{
	struct push *p = ctx;
	struct err why;
	struct task *k;
	int64_t id;

	if (p->next_job == jobqueue_count(p->jobs))
		return 0;
	if ((k = new_task(e)) == NULL)
		return -1;
	k->job = p->next_job++;
	id = jobqueue_recording(p->jobs, k->job, &why);
	if ((id == 0 ? keep_problem(k, &why, e) : plan_recording(p, k, id, e)) == -1 ||
	    (k->rec == NULL && describe_job(p, k, e) == -1)) {
		task_free(k);
		return -1;
	}
	*out = k;
	return 1;
}

static int
plan_named(struct push *p, struct task *k, struct err *e)
{
	int64_t id;
	int rc;

	if (k->item->passed_on || k->item->problem.class != ERR_NONE)
		return 0;
	pthread_mutex_lock(&p->s->writing);
	rc = edit_find(&p->s->a, k->item, &id, e);
	pthread_mutex_unlock(&p->s->writing);
	return rc == 1 ? plan_recording(p, k, id, e) : rc;
}

static int
next_named(void *ctx, void **out, struct err *e)
{
	struct push *p = ctx;
	struct tool_item *item = p->first;
	struct task *k;
	int rc = 1;

	p->first = NULL;
	if (item == NULL && (rc = tool_items_next(p->items, &item, e)) != 1)
		return rc;
	if ((k = new_task(e)) == NULL) {
		tool_item_free(item);
		return -1;
	}
	k->item = item;
	if (plan_named(p, k, e) == -1) {
		task_free(k);
		return -1;
	}
	*out = k;
	return 1;
}

/* As everywhere by the path that a record shows; of an object without a recording by its key. */
static int
is_in_shard(const struct sync *s, const struct plan_item *i, struct err *e)
{
	const struct sync_row *row = &i->row;
	char *path;
	size_t len;
	bool in;

	if (s->t->shards == 0)
		return 1;
	if (!row->has_recording)
		return tool_in_shard(s->t, row->key, strlen(row->key));
	path = archive_path(&s->a, row->stored, row->stored_len, row->folder, &len, e);
	if (path == NULL)
		return -1;
	in = tool_in_shard(s->t, path, len);
	free(path);
	return in;
}

/* An object without a recording under its key: of one that has another name now, or of none. */
static int
keep_object(struct push *p, const struct plan_item *i, struct err *e)
{
	struct sync_row row = {0};
	int rc = sync_row_get(p->reader, p->s->known.id, i->row.object.recording_id, &row, e);

	if (rc == 1 && strcmp(row.sha256, i->row.object.sha256) == 0)
		rc = trash_add(&p->renamed, &i->row.object, e);
	else if (rc != -1 && p->o->remove)
		rc = trash_add(&p->trash, &i->row.object, e);
	sync_row_free(&row);
	return rc == -1 ? -1 : 0;
}

static bool
overwrites(const struct plan_item *i)
{
	return i->is_there && (i->action == ACTION_REPLACE || i->action == ACTION_RENAME);
}

/* Once, before the first object is overwritten. */
static int
prepare_renames(struct push *p, struct err *e)
{
	int aside;

	if (p->prepared)
		return 0;
	if (mark_busy(p, e) == -1 || (aside = rename_prepare(p->s, e)) == -1)
		return -1;
	p->prepared = true;
	p->aside = aside == 1;
	return 0;
}

static int
next_planned(void *ctx, void **out, struct err *e)
{
	struct push *p = ctx;
	struct plan_item *item;
	struct task *k;
	int rc;

	while ((rc = plan_next(p->plan, &item, e)) == 1) {
		if ((rc = is_in_shard(p->s, item, e)) == 1 && item->action == ACTION_DELETE)
			rc = keep_object(p, item, e);
		if (rc == 1 && item->action != ACTION_FOREIGN)
			break;
		plan_item_free(item);
		if (rc == -1)
			return -1;
	}
	if (rc != 1)
		return rc;
	if (overwrites(item) && prepare_renames(p, e) == -1) {
		plan_item_free(item);
		return -1;
	}
	if ((k = new_task(e)) == NULL) {
		plan_item_free(item);
		return -1;
	}
	k->plan = item;
	if (plan_record(p->s, p->reader, item, &k->rec, e) == -1) {
		task_free(k);
		return -1;
	}
	*out = k;
	return 1;
}

/* ---- working ---- */

struct following {
	struct push *p;
	size_t job;
	int file; /* of the meter */
};

static int
follow(void *ctx, int64_t bytes, struct err *e)
{
	struct following *f = ctx;

	syncmeter_at(&f->p->meter, f->file, bytes);
	return f->job == NO_JOB ? 0 : jobqueue_progress(f->p->jobs, f->job, bytes, e);
}

static int
send(struct push *p, struct task *k, struct err *e)
{
	struct plan_item *i = k->plan;
	struct following f = {p, k->job, syncmeter_begin(&p->meter, i->row.key, i->row.size_bytes)};
	struct upload u = {.s = p->s,
	    .row = &i->row,
	    .rec = k->rec,
	    .is_there = i->is_there,
	    .there = &i->there,
	    .may_replace = i->action == ACTION_REPLACE,
	    .progress = follow,
	    .ctx = &f};
	struct remote_object renamed;
	int rc = 0;

	if (i->action == ACTION_RENAME && (rc = rename_object(p->s, i, &renamed, e)) == 1) {
		u.is_there = true;
		u.there = &renamed;
		/* The copy is ours: when its bytes turn out to be others, they are sent. */
		u.may_replace = true;
	} else if (i->action == ACTION_RENAME && rc == 0) {
		u.may_replace = i->is_there;
		i->action = i->is_there ? ACTION_REPLACE : ACTION_UPLOAD;
	}
	if (rc != -1)
		rc = upload_recording(&u, &k->object, &k->how, e);
	syncmeter_end(&p->meter, f.file);
	return rc;
}

/*
 * An object that a killed run had put, and not noted, came into sight behind the one that was put
 * in its stead: the older one stands, and now it is the proven one. The other is ours, with the
 * same bytes, and can go, as what it was.
 */
static int
remove_double(struct push *p, const struct task *k, struct err *e)
{
	const struct sync_row *row = &k->plan->row;
	const struct catalogue_object *was = &row->object;
	struct remote_object o = {.size_bytes = was->size_bytes};

	if (!row->has_object || was->remote_id[0] == '\0' ||
	    strcmp(was->remote_id, k->object.remote_id) == 0 ||
	    strcmp(was->sha256, k->object.sha256) != 0)
		return 0;
	strcpy(o.key, was->key);
	strcpy(o.id, was->remote_id);
	strcpy(o.tag, was->tag);
	return remote_delete(p->s->remote, &o, e) == -1 && sync_is_fatal(e) ? -1 : 0;
}

/* One that the application has uploaded is asked for first, where there is such a query. */
static int
look_for_application(struct push *p, struct plan_item *i, struct err *e)
{
	struct remote_object o;
	int rc;

	if (i->action != ACTION_UPLOAD || i->is_there || i->row.sha256[0] == '\0' ||
	    (rc = remote_find(p->s->remote, i->row.sha256, &o, e)) == 0)
		return 0;
	if (rc == -1 || remote_adopt(p->s->remote, &o, i->row.key, e) == -1)
		return -1;
	i->is_there = true;
	i->there = o;
	i->action = ACTION_PROVE;
	return 0;
}

static int
perform(struct push *p, struct task *k, struct err *e)
{
	struct plan_item *i = k->plan;

	switch (i->action) {
	case ACTION_NONE:
	case ACTION_SKIP:
	case ACTION_DELETE:
	case ACTION_FOREIGN:
		return 0;
	case ACTION_FORGET:
		return ledger_forget(p->s, i->row.key, e);
	case ACTION_CONFLICT:
		return err_item(e, P_CONFLICT, "%s", i->why);
	case ACTION_UPLOAD:
	case ACTION_REPLACE:
	case ACTION_PROVE:
	case ACTION_RENAME:
		break;
	}
	if ((atomic_load(&p->busy) == 0 && mark_busy(p, e) == -1) ||
	    look_for_application(p, i, e) == -1 || send(p, k, e) == -1 ||
	    remove_double(p, k, e) == -1)
		return -1;
	k->proven = true;
	return 0;
}

static void
work(void *ctx, void *item)
{
	struct push *p = ctx;
	struct task *k = item;
	struct err why;

	if (k->plan != NULL && k->problem.class == ERR_NONE && perform(p, k, &why) == -1)
		k->problem = why;
}

/* ---- taking results ---- */

static int
note_failed(struct push *p, int64_t id, struct err *e)
{
	int64_t *grown;
	size_t cap;

	if (p->n_failed == p->cap_failed) {
		cap = p->cap_failed == 0 ? 64 : p->cap_failed * 2;
		if ((grown = realloc(p->failed, cap * sizeof *grown)) == NULL)
			return err_nomem(e);
		p->failed = grown;
		p->cap_failed = cap;
	}
	p->failed[p->n_failed++] = id;
	return 0;
}

/* What was done, in the record; in place of what was to be done. */
static int
put_outcome(struct push *p, struct task *k, struct err *e)
{
	const char *action = action_name(k->plan->action);

	if (k->proven && k->how == UPLOAD_FOUND && k->plan->action != ACTION_RENAME)
		action = action_name(ACTION_PROVE);
	if (json_put_str(k->rec, "action", action, e) == -1)
		return -1;
	if (!k->proven)
		return 0;
	p->n->sent += k->how != UPLOAD_FOUND;
	p->n->sent_bytes += k->how != UPLOAD_FOUND ? (uint64_t)k->object.size_bytes : 0;
	p->n->found += k->how == UPLOAD_FOUND && k->plan->action != ACTION_RENAME;
	p->n->renamed += k->plan->action == ACTION_RENAME;
	return json_put_str(k->rec, "sync_status", "synced", e) == -1 ||
		       json_put_str(k->rec, "proof", k->object.proof, e) == -1 ||
		       json_put_str(k->rec, "tag", k->object.tag, e) == -1
		   ? -1
		   : 0;
}

static void
end_job(struct push *p, struct task *k)
{
	char name[REMOTE_KEY_MAX + 4200];

	if (k->job == NO_JOB)
		return;
	if (k->problem.class != ERR_NONE) {
		jobqueue_ended(p->jobs, k->job, NULL, &k->problem);
		return;
	}
	if (k->object.remote_id[0] != '\0' || k->plan->row.object.remote_id[0] != '\0')
		snprintf(name, sizeof name, "%s",
		    k->object.remote_id[0] != '\0' ? k->object.remote_id
						   : k->plan->row.object.remote_id);
	else
		snprintf(name, sizeof name, "%s/%s", p->s->url, k->plan->row.key);
	jobqueue_ended(p->jobs, k->job, name, NULL);
}

/* The record of a task that is done: what came in, and what became of it. */
static int
tell(struct push *p, struct task *k, struct err *e)
{
	struct json *rec = k->rec != NULL ? k->rec : k->item->rec;
	bool failed = k->problem.class != ERR_NONE;

	end_job(p, k);
	if (k->plan != NULL && k->plan->action == ACTION_FORGET)
		return 0;
	if ((k->plan != NULL && put_outcome(p, k, e) == -1) ||
	    (k->item != NULL && k->rec != NULL && catalogue_pass_on(k->rec, k->item->rec, e) == -1))
		return -1;
	/* What could not be planned has its problem in the record that came. */
	if (!failed && k->plan == NULL) {
		p->n->problems++;
		return k->item->passed_on ? tool_emit(p->s->t, rec, e)
					  : tool_emit_found(p->s->t, rec, e);
	}
	if (!failed)
		return tool_emit(p->s->t, rec, e);
	p->n->problems++;
	if (k->plan != NULL && !retry_is_later(&k->problem) &&
	    note_failed(p, k->plan->row.recording_id, e) == -1)
		return -1;
	return sync_put_problem(p->s, rec, &k->problem, e) == -1 ? -1
								 : tool_emit_found(p->s->t, rec, e);
}

/* Renamed objects lose their old names only behind the proof of the new. */
static int
finish_renames(struct push *p, struct err *e)
{
	for (size_t i = 0; i < p->n_batch; i++)
		if (p->batch[i]->proven && p->batch[i]->plan->action == ACTION_RENAME &&
		    rename_finish(p->s, p->batch[i]->plan, e) == -1)
			return -1;
	return 0;
}

static int
flush(struct push *p, struct err *e)
{
	struct catalogue_object *objects;
	size_t n = 0;
	int rc;

	if (p->n_batch == 0)
		return 0;
	if ((objects = mem_new(p->n_batch, sizeof *objects, e)) == NULL)
		return -1;
	for (size_t i = 0; i < p->n_batch; i++)
		if (p->batch[i]->proven)
			objects[n++] = p->batch[i]->object;
	rc = ledger_prove(p->s, objects, n, e) == -1 ? -1 : finish_renames(p, e);
	p->unsettled |= n > 0;
	for (size_t i = 0; i < p->n_batch; i++) {
		if (rc == 0)
			rc = tell(p, p->batch[i], e);
		task_free(p->batch[i]);
	}
	p->n_batch = 0;
	free(objects);
	tool_flush();
	return rc;
}

static int
done(void *ctx, void *item, struct err *e)
{
	struct push *p = ctx;
	struct task *k = item;

	atomic_fetch_add(&p->s->t->items_done, 1);
	if (p->n_batch == 0)
		p->batch_ns = clock_monotonic_ns();
	p->batch[p->n_batch++] = k;
	if (p->later.class != ERR_NONE) {
		*e = p->later;
		return -1;
	}
	if (k->problem.class != ERR_NONE && sync_is_fatal(&k->problem)) {
		*e = k->problem;
		p->n_batch--;
		end_job(p, k);
		task_free(k);
		return -1;
	}
	if (p->n_batch < BATCH && clock_monotonic_ns() - p->batch_ns < BATCH_NS)
		return 0;
	return flush(p, e);
}

static void
drop(void *ctx, void *item)
{
	struct push *p = ctx;
	struct task *k = item;

	/* It was sent, though nobody waits for it: what is proven is not proven again. */
	if (k->proven && p->n_batch < BATCH)
		p->batch[p->n_batch++] = k;
	else
		task_free(k);
}

static void
idle(void *ctx)
{
	struct push *p = ctx;
	int64_t now = clock_monotonic_ns();
	struct err busy;

	if (p->n_batch > 0 && now - p->batch_ns >= BATCH_NS && p->later.class == ERR_NONE)
		flush(p, &p->later);
	/* At the end of a pipe that lasts, the application sees what was sent before it ends. */
	if (p->items != NULL && p->unsettled && p->n_batch == 0 &&
	    now - p->settled_ns > SETTLE_NS) {
		p->settled_ns = now;
		if (settle_run(p->s, NULL, 0, &busy) == 0)
			p->unsettled = false;
	}
	syncmeter_draw(&p->meter);
}

static int
transfer(struct push *p, int (*next)(void *ctx, void **item, struct err *e), struct err *e)
{
	struct work w = {.next = next,
	    .work = work,
	    .done = done,
	    .drop = drop,
	    .idle = idle,
	    .ctx = p,
	    .jobs = p->s->transfers,
	    .stop = &tool_stop};
	struct err why;
	int rc = work_run(&w, e);

	/* What was proven is noted, whatever ended the work. */
	if (flush(p, &why) == -1 && rc == 0) {
		*e = why;
		rc = -1;
	}
	return rc;
}

/* ---- all ---- */

static int
push_jobs(struct push *p, struct err *e)
{
	struct err why;
	int rc;

	if ((p->jobs = jobqueue_claim(p->s, false, e)) == NULL)
		return -1;
	rc = jobqueue_count(p->jobs) == 0 ? 0 : transfer(p, next_job, e);
	if (jobqueue_settle(p->jobs, &why) == -1 && rc == 0) {
		*e = why;
		rc = -1;
	}
	jobqueue_close(p->jobs);
	p->jobs = NULL;
	return rc;
}

static int
push_planned(struct push *p, struct err *e)
{
	int rc;

	if ((p->plan = plan_open(p->s, &p->plan_opts, e)) == NULL)
		return -1;
	rc = transfer(p, next_planned, e);
	plan_close(p->plan);
	p->plan = NULL;
	return rc;
}

/* The remote is as the catalogue says: this is what later runs compare the catalogue with. */
static int
note_complete(struct push *p, struct err *e)
{
	struct catalogue_counts now;

	if (catalogue_count(p->s->a.catalogue, &now, e) == -1)
		return -1;
	if (now.rows == p->s->known.rows)
		return 0;
	p->s->known.rows = now.rows;
	return ledger_remote(p->s, e);
}

/* That somebody else's is in its place is a problem of its own. */
static int
push_inventory(struct push *p, struct err *e)
{
	struct json *rec;
	struct err why;
	int rc;

	if (inventory_push(p->s, &why) != -1)
		return 0;
	if (sync_is_fatal(&why)) {
		*e = why;
		return -1;
	}
	p->n->problems++;
	rec = json_new_object(e);
	rc = rec == NULL || sync_put_place(p->s, rec, REMOTE_CATALOGUE, e) == -1 ||
		     sync_put_problem(p->s, rec, &why, e) == -1
		 ? -1
		 : tool_emit_found(p->s->t, rec, e);
	json_free(rec);
	return rc;
}

static int
push_all(struct push *p, struct err *e)
{
	if (push_jobs(p, e) == -1 || push_planned(p, e) == -1)
		return -1;
	p->n->removed = p->trash.n;
	for (size_t i = 0; i < p->renamed.n; i++)
		if (rename_tidy(p->s, &p->renamed.objects[i], e) == -1)
			return -1;
	if (trash_run(&p->trash, e) == -1 || (p->aside && upload_settle(p->s, e) == -1))
		return -1;
	if (p->s->t->shards > 0)
		return 0;
	if (push_inventory(p, e) == -1)
		return -1;
	return p->n->problems == 0 ? note_complete(p, e) : 0;
}

static int
push(struct push *p, struct err *e)
{
	struct err why;
	bool unfinished = was_busy(p->s);
	int named = syncitems_open(p->s->t, &p->items, &p->first, e), rc = named;

	if (rc == -1)
		return -1;
	rc = syncmeter_open(&p->meter, p->s, named == 0, e);
	if (rc != -1 && unfinished)
		rc = upload_settle(p->s, e);
	if (rc != -1)
		rc = named == 1 ? transfer(p, next_named, e) : push_all(p, e);
	syncmeter_close(&p->meter);
	/* Also when it was stopped: the application sees what is there. */
	if (settle_run(p->s, p->failed, p->n_failed, &why) == -1 && rc == 0) {
		*e = why;
		rc = -1;
	}
	if (rc == 0)
		rc = sync_later(p->s, e);
	/* Something that the killed run had asked for may have come behind the first look. */
	if (rc == 0 && unfinished)
		rc = upload_settle(p->s, e);
	if (rc == 0)
		rc = unmark_busy(p, e);
	return rc;
}

int
push_run(struct sync *s, const struct push_opts *o, struct push_counts *n, struct err *e)
{
	struct push p = {.s = s,
	    .o = o,
	    .n = n,
	    .plan_opts = {.deleted = o->include_deleted, .renames = true},
	    .trash = {.s = s},
	    .renamed = {.s = s}};
	int rc = -1;

	*n = (struct push_counts){0};
	if ((p.batch = mem_new(BATCH, sizeof *p.batch, e)) != NULL &&
	    (p.reader = sync_reader(s, e)) != NULL)
		rc = push(&p, e);
	if (p.items != NULL)
		tool_items_close(p.items);
	if (p.first != NULL)
		tool_item_free(p.first);
	catalogue_close(p.reader);
	trash_free(&p.trash);
	trash_free(&p.renamed);
	free(p.failed);
	free(p.batch);
	return rc;
}

/* ---- the plan alone ---- */

static int
tell_plan(struct sync *s, struct catalogue *c, const struct push_opts *o, struct plan_item *i,
    const struct json *came, struct err *e)
{
	struct json *rec;
	int rc;

	if (i->action == ACTION_DELETE && !o->remove)
		i->action = ACTION_FOREIGN;
	if (plan_record(s, c, i, &rec, e) == -1)
		return -1;
	rc = came == NULL ? 0 : catalogue_pass_on(rec, came, e);
	if (rc == 0)
		rc = tool_emit(s->t, rec, e);
	json_free(rec);
	return rc;
}

static int
plan_item(struct sync *s, struct catalogue *c, const struct push_opts *o, struct tool_item *item,
    struct err *e)
{
	struct plan_opts opts = {.all = true, .deleted = o->include_deleted, .renames = true};
	struct plan_item *i = NULL;
	struct err why = {0};
	int64_t id;
	int rc;

	if (item->passed_on || item->problem.class != ERR_NONE)
		return tool_emit_found(s->t, item->rec, e);
	if ((rc = edit_find(&s->a, item, &id, e)) == -1)
		return -1;
	if (rc == 1 && (i = plan_one(s, c, id, &opts, &why)) == NULL && sync_is_fatal(&why)) {
		*e = why;
		return -1;
	}
	if (i != NULL)
		rc = tell_plan(s, c, o, i, item->rec, e);
	else if (rc == 1 && sync_put_problem(s, item->rec, &why, e) == -1)
		rc = -1;
	else
		rc = tool_emit_found(s->t, item->rec, e);
	plan_item_free(i);
	return rc;
}

static int
plan_items(struct sync *s, struct catalogue *c, const struct push_opts *o, struct tool_items *items,
    struct tool_item *item, struct err *e)
{
	int rc = item != NULL;

	while (rc == 1) {
		rc = plan_item(s, c, o, item, e);
		tool_item_free(item);
		if (rc == 0)
			rc = tool_items_next(items, &item, e);
	}
	tool_items_close(items);
	return rc;
}

static int
plan_all(struct sync *s, struct catalogue *c, const struct push_opts *o, struct err *e)
{
	struct plan_opts opts = {.deleted = o->include_deleted, .renames = true};
	struct plan *p = plan_open(s, &opts, e);
	struct plan_item *i;
	int rc;

	if (p == NULL)
		return -1;
	while ((rc = plan_next(p, &i, e)) == 1) {
		if ((rc = is_in_shard(s, i, e)) == 1)
			rc = tell_plan(s, c, o, i, NULL, e);
		plan_item_free(i);
		if (rc == -1)
			break;
		tool_idle(s->t);
	}
	plan_close(p);
	return rc;
}

int
push_plan(struct sync *s, const struct push_opts *o, struct err *e)
{
	struct catalogue *c = sync_reader(s, e);
	struct tool_items *items;
	struct tool_item *first;
	int rc = c == NULL ? -1 : syncitems_open(s->t, &items, &first, e);

	if (rc == 1)
		rc = plan_items(s, c, o, items, first, e);
	else if (rc == 0)
		rc = plan_all(s, c, o, e);
	catalogue_close(c);
	return rc == 0 ? sync_later(s, e) : rc;
}
