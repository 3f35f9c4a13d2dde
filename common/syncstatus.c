#include "syncstatus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue_sync.h"
#include "mem.h"

#define PAGE 64

struct counts {
	int64_t recordings, synced, to_send, to_send_bytes, objects, objects_bytes;
	char last_proven_at[CLOCK_TEXT_MAX];
};

/* ---- the queue ---- */

struct queue {
	int64_t pending, running, failed, given_up, succeeded, cancelled;
};

static void
count_job(struct queue *q, const struct sync_job *job)
{
	const struct {
		const char *status;
		int64_t *n;
	} all[] = {{"pending", &q->pending}, {"running", &q->running},
	    {"failed", job->attempts >= 0 && job->attempts < job->max_attempts ? &q->failed
									       : &q->given_up},
	    {"succeeded", &q->succeeded}, {"cancelled", &q->cancelled}};

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (job->status != NULL && strcmp(job->status, all[i].status) == 0)
			(*all[i].n)++;
}

static int
count_jobs(struct catalogue *c, struct queue *q, struct err *e)
{
	struct sync_job *jobs = mem_new(PAGE, sizeof *jobs, e);
	int64_t after = INT64_MIN;
	int n;

	*q = (struct queue){0};
	if (jobs == NULL)
		return -1;
	while ((n = sync_jobs(c, after, PAGE, jobs, e)) > 0) {
		after = jobs[n - 1].rowid;
		for (int i = 0; i < n; i++) {
			count_job(q, &jobs[i]);
			sync_job_free(&jobs[i]);
		}
	}
	free(jobs);
	return n;
}

static int
put_jobs(struct json *rec, const struct queue *q, struct err *e)
{
	struct json *v = json_new_object(e);

	if (v == NULL)
		return -1;
	if (json_put_int(v, "pending", q->pending, e) == 0 &&
	    json_put_int(v, "running", q->running, e) == 0 &&
	    json_put_int(v, "failed", q->failed, e) == 0 &&
	    json_put_int(v, "given_up", q->given_up, e) == 0 &&
	    json_put_int(v, "succeeded", q->succeeded, e) == 0 &&
	    json_put_int(v, "cancelled", q->cancelled, e) == 0)
		return json_put(rec, "jobs", v, e);
	json_free(v);
	return -1;
}

/* ---- recordings and objects ---- */

static void
count_row(struct counts *n, const struct sync_row *row)
{
	bool same = row->has_object && row->sha256[0] != '\0' &&
		    strcmp(row->object.sha256, row->sha256) == 0;

	if (row->has_object) {
		n->objects++;
		n->objects_bytes += row->object.size_bytes;
		if (strcmp(row->object.proven_at, n->last_proven_at) > 0)
			snprintf(n->last_proven_at, sizeof n->last_proven_at, "%s",
			    row->object.proven_at);
	}
	if (!row->has_recording)
		return;
	n->recordings++;
	if (same) {
		n->synced++;
	} else if (row->has_object || !row->deleted) {
		n->to_send++;
		n->to_send_bytes += row->size_bytes > 0 ? row->size_bytes : 0;
	}
}

static int
count_rows(struct catalogue *c, int64_t remote, struct counts *n, struct err *e)
{
	struct sync_walk *w = sync_walk_open(c, remote, "", "", e);
	struct sync_row row;
	int rc;

	*n = (struct counts){0};
	if (w == NULL)
		return -1;
	while ((rc = sync_walk_next(w, &row, e)) == 1) {
		count_row(n, &row);
		sync_row_free(&row);
		if (atomic_load(&tool_stop) != 0) {
			rc = err_set(e, ERR_STOPPED, NULL, "stopped");
			break;
		}
	}
	sync_walk_close(w);
	return rc;
}

static int
put_counts(struct json *rec, const struct counts *n, struct err *e)
{
	if (json_put_int(rec, "recordings", n->recordings, e) == -1 ||
	    json_put_int(rec, "synced", n->synced, e) == -1 ||
	    json_put_int(rec, "to_send", n->to_send, e) == -1 ||
	    json_put_int(rec, "to_send_bytes", n->to_send_bytes, e) == -1 ||
	    json_put_int(rec, "objects", n->objects, e) == -1 ||
	    json_put_int(rec, "objects_bytes", n->objects_bytes, e) == -1)
		return -1;
	return json_put_str(
	    rec, "last_proven_at", n->last_proven_at[0] != '\0' ? n->last_proven_at : NULL, e);
}

/* ---- uploads that are going on ---- */

static int
count_part(void *ctx, unsigned number, const char *md5, const char *tag, struct err *e)
{
	int64_t *parts = ctx;

	(void)number, (void)md5, (void)tag, (void)e;
	++*parts;
	return 0;
}

/* All parts are of one size but the last. */
static int
append_upload(
    struct catalogue *c, const struct catalogue_upload *u, struct json *list, struct err *e)
{
	struct json *v = json_new_object(e);
	int64_t parts = 0, sent;

	if (v == NULL || catalogue_parts(c, u->id, count_part, &parts, e) == -1) {
		json_free(v);
		return -1;
	}
	sent = u->part_bytes > 0 && parts <= u->size_bytes / u->part_bytes ? parts * u->part_bytes
									   : u->size_bytes;
	if (json_put_str(v, "key", u->key, e) == 0 &&
	    json_put_int(v, "size_bytes", u->size_bytes, e) == 0 &&
	    json_put_int(v, "sent_bytes", sent, e) == 0 &&
	    json_put_str(v, "started_at", u->started_at[0] != '\0' ? u->started_at : NULL, e) == 0)
		return json_append(list, v, e);
	json_free(v);
	return -1;
}

static int
put_uploads(struct catalogue *c, int64_t remote, struct json *rec, struct err *e)
{
	struct catalogue_upload *u = NULL;
	struct json *list = json_new_array(e);
	size_t n = 0;
	int rc = list == NULL ? -1 : 0;

	/* Of remote 0 it would be those of all. */
	if (rc == 0 && remote != 0)
		rc = catalogue_uploads(c, remote, &u, &n, e);
	for (size_t i = 0; i < n; i++) {
		if (rc == 0)
			rc = append_upload(c, &u[i], list, e);
		catalogue_upload_free(&u[i]);
	}
	free(u);
	if (rc == 0)
		return json_put(rec, "uploads_in_progress", list, e);
	json_free(list);
	return -1;
}

/* ---- remotes ---- */

static int
put_remote(struct json *rec, const struct catalogue_remote *m, const char *url, struct err *e)
{
	/* Without a probe there may be ids in it. */
	bool was_probed = m->probed != NULL && m->probed_at[0] != '\0';
	struct json *probed = was_probed ? json_clone(m->probed, e) : NULL;

	if (was_probed && probed == NULL)
		return -1;
	if (json_put_str(rec, "remote", url, e) == -1 ||
	    json_put_str(rec, "owner", m->owner[0] != '\0' ? m->owner : NULL, e) == -1 ||
	    json_put_str(rec, "probed_at", m->probed_at[0] != '\0' ? m->probed_at : NULL, e) ==
		-1) {
		json_free(probed);
		return -1;
	}
	return probed != NULL ? json_put(rec, "capabilities", probed, e)
			      : json_put_null(rec, "capabilities", e);
}

/* url may be NULL: no remote. */
static int
tell(struct tool *t, struct archive *a, const struct catalogue_remote *m, const char *url,
    const struct queue *q, struct err *e)
{
	struct json *rec = NULL;
	struct counts n;
	int rc = -1;

	if (count_rows(a->catalogue, m->id, &n, e) == 0 && (rec = json_new_object(e)) != NULL &&
	    put_remote(rec, m, url, e) == 0 && put_counts(rec, &n, e) == 0 &&
	    put_uploads(a->catalogue, m->id, rec, e) == 0 && put_jobs(rec, q, e) == 0)
		rc = tool_emit(t, rec, e);
	json_free(rec);
	tool_idle(t);
	return rc;
}

static int
tell_one(struct tool *t, struct archive *a, const char *url, const struct queue *q, struct err *e)
{
	struct catalogue_remote m;
	int rc = catalogue_remote_get(a->catalogue, url, &m, e);

	if (rc != -1)
		rc = tell(t, a, &m, url, q, e);
	catalogue_remote_free(&m);
	return rc;
}

static int
tell_all(struct tool *t, struct archive *a, const struct queue *q, struct err *e)
{
	struct catalogue_remote m;
	int64_t id = 0;
	int rc;

	while ((rc = catalogue_remote_next(a->catalogue, id, &m, e)) == 1) {
		id = m.id;
		rc = m.url != NULL ? tell(t, a, &m, m.url, q, e) : 0;
		catalogue_remote_free(&m);
		if (rc == -1)
			return -1;
	}
	return rc == 0 && id == 0 ? tell(t, a, &m, NULL, q, e) : rc;
}

int
syncstatus_run(struct tool *t, struct archive *a, const char *remote, struct err *e)
{
	static const struct table_column columns[] = {{"recordings", "RECORDINGS", 10, true},
	    {"synced", "SYNCED", 10, true}, {"to_send", "TO SEND", 10, true},
	    {"to_send_bytes", "BYTES", 10, true}, {"last_proven_at", "LAST PROVEN", 30, false},
	    {"remote", "REMOTE", 0, false}, {NULL, NULL, 0, false}};
	struct queue q;

	t->columns = columns;
	if (count_jobs(a->catalogue, &q, e) == -1)
		return -1;
	return remote != NULL ? tell_one(t, a, remote, &q, e) : tell_all(t, a, &q, e);
}
