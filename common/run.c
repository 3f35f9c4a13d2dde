#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <fcntl.h>
#include <unistd.h>

#include "clock.h"
#include "io.h"
#include "mem.h"
#include "rollback.h"
#include "rowimage.h"
#include "schema.h"
#include "version.h"

struct run_change {
	const char *table, *key; /* constants */
	int64_t id;
	struct json *before, *after;
};

/* ---- opening ---- */

static int
lock(struct run *r, struct err *e)
{
	struct archive *a = r->a;
	int64_t wait_s = a->catalogue_opts.timeout_s * (1 + a->catalogue_opts.retries);
	int64_t until = clock_monotonic_ns() + wait_s * 1000000000;
	struct timespec nap = {.tv_nsec = 50000000};
	int rc;

	if (a->journal == -1 &&
	    (io_make_dirs(AT_FDCWD, a->journal_path, e) == -1 ||
		(a->journal = io_open_dir(AT_FDCWD, a->journal_path, e)) == -1)) {
		e->class = ERR_SYSTEM;
		return -1;
	}
	while ((rc = io_try_lock(a->journal, e)) == 0) {
		if (a->catalogue_opts.stop != NULL && atomic_load(a->catalogue_opts.stop) != 0)
			return err_set(e, ERR_STOPPED, NULL, "stopped");
		if (clock_monotonic_ns() >= until)
			return err_set(e, ERR_BUSY, P_BUSY,
			    "%s: another run has been at work for %lld s; try again when it has "
			    "ended",
			    a->journal_path, (long long)wait_s);
		nanosleep(&nap, NULL);
	}
	return rc == 1 ? 0 : -1;
}

/* Adds the last line of a run; problems is -1 when nobody counted them. */
static int
end_line(struct journal *j, int64_t rows, int64_t problems, struct err *e)
{
	struct json *line = json_new_object(e);
	char now[CLOCK_TEXT_MAX];

	if (line == NULL || json_put_str(line, "op", "end", e) == -1 ||
	    json_put_int(line, "rows", rows, e) == -1 ||
	    (problems >= 0 ? json_put_int(line, "problems", problems, e)
			   : json_put_null(line, "problems", e)) == -1 ||
	    json_put_str(line, "finished_at", clock_rfc3339(clock_now(), now), e) == -1) {
		json_free(line);
		return -1;
	}
	return journal_add(j, line, e) == -1 ? -1 : journal_sync(j, e);
}

/*
 * What a killed run left: a rollback is finished; an apply is gone on with by an apply and closed
 * by any other run, since each of its transactions is whole; of a run that touches files, the file
 * that was being worked on is settled.
 */
static int
recover(struct run *r, const struct journal_summary *s, struct err *e)
{
	struct rollback back = {.a = r->a, .run = s->run, .stop = r->a->catalogue_opts.stop};
	struct journal *j;
	int64_t rows;
	int rc;

	if (s->state == JOURNAL_ROLLING_BACK)
		return rollback_run(&back, e);
	if (rollback_settle(r->a, s->run, e) == -1)
		return -1;
	if ((rows = journal_count_rows(r->a->journal, s->run, e)) == -1 ||
	    (j = journal_reopen(r->a->journal, s->run, e)) == NULL)
		return -1;
	if (strcmp(s->kind, r->kind) == 0 && strcmp(s->kind, "apply") == 0) {
		r->journal = j;
		r->rows = rows;
		return 0;
	}
	rc = end_line(j, rows, -1, e);
	journal_close(j);
	return rc;
}

static int
recover_all(struct run *r, struct err *e)
{
	struct journal_summary s;
	char **runs;
	size_t n;
	int rc;

	if ((rc = journal_list(r->a->journal, &runs, &n, e)) == -1)
		return -1;
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = journal_summarize(r->a->journal, runs[i], &s, e);
		if (rc == 0 && (s.state == JOURNAL_INTERRUPTED || s.state == JOURNAL_ROLLING_BACK))
			rc = recover(r, &s, e);
	}
	journal_list_free(runs, n);
	return rc;
}

/* Who writes files has the lock; so what is there now, a killed run left, be it one that had not
 * even a journal. */
static int
sweep(struct archive *a, struct err *e)
{
	for (int f = 0; f < FOLDERS; f++)
		if (a->folders[f] != -1 && io_sweep_temps(a->folders[f], e) == -1)
			return -1;
	return io_sweep_temps(a->journal, e);
}

int
run_open(struct run *r, struct archive *a, const char *kind, struct err *e)
{
	*r = (struct run){.a = a, .kind = kind};
	if (lock(r, e) == 0 && sweep(a, e) == 0 &&
	    (strcmp(kind, "rollback") == 0 || recover_all(r, e) == 0))
		return 0;
	run_close(r);
	return -1;
}

static int
need_journal(struct run *r, struct err *e)
{
	char tool[32];

	if (r->journal != NULL)
		return 0;
	snprintf(tool, sizeof tool, "rectools %s", REC_VERSION);
	return (r->journal = journal_create(r->a->journal, r->kind, tool, e)) == NULL ? -1 : 0;
}

const char *
run_name(struct run *r, struct err *e)
{
	return need_journal(r, e) == -1 ? NULL : journal_run(r->journal);
}

/* ---- rows ---- */

static void
forget_changes(struct run *r)
{
	for (size_t i = 0; i < r->n_changes; i++) {
		json_free(r->changes[i].before);
		json_free(r->changes[i].after);
	}
	r->n_changes = 0;
}

int
run_begin(struct run *r, struct err *e)
{
	if (catalogue_begin(r->a->catalogue, e) == -1)
		return -1;
	r->in_transaction = true;
	return 0;
}

void
run_cancel(struct run *r)
{
	forget_changes(r);
	if (r->in_transaction)
		catalogue_rollback(r->a->catalogue);
	r->in_transaction = false;
}

int
run_change(struct run *r, const char *table, const char *key, int64_t id, struct json *after,
    struct err *e)
{
	struct json *before;
	struct run_change *grown;
	size_t cap;

	if (catalogue_row_get(r->a->catalogue, table, key, id, &before, e) == -1) {
		json_free(after);
		return -1;
	}
	if (rowimage_same(before, after)) {
		json_free(before);
		json_free(after);
		return 0;
	}
	if (r->n_changes == r->cap_changes) {
		cap = r->cap_changes == 0 ? 64 : r->cap_changes * 2;
		if ((grown = realloc(r->changes, cap * sizeof *grown)) == NULL) {
			json_free(before);
			json_free(after);
			return err_nomem(e);
		}
		r->changes = grown;
		r->cap_changes = cap;
	}
	r->changes[r->n_changes++] = (struct run_change){
	    .table = table, .key = key, .id = id, .before = before, .after = after};
	return 1;
}

static int
put_clone(struct json *line, const char *key, const struct json *v, struct err *e)
{
	struct json *copy;

	if (v == NULL)
		return json_put_null(line, key, e);
	return (copy = json_clone(v, e)) == NULL ? -1 : json_put(line, key, copy, e);
}

static int
journal_change(struct run *r, const struct run_change *c, struct err *e)
{
	struct json *line = json_new_object(e), *changed;
	char digest[HASH_XXH3_128_HEX];

	if (line == NULL || rowimage_digest(c->after, digest, e) == -1 ||
	    (changed = rowimage_changed(c->before, c->after, e)) == NULL)
		goto fail;
	if (json_put_str(line, "op", "row", e) == -1 ||
	    json_put_str(line, "table", c->table, e) == -1 ||
	    json_put_str(line, "key", c->key, e) == -1 ||
	    json_put_int(line, "id", c->id, e) == -1 ||
	    put_clone(line, "before", c->before, e) == -1 ||
	    json_put_str(line, "after", c->after != NULL ? digest : NULL, e) == -1 ||
	    json_put(line, "changed", changed, e) == -1)
		goto fail;
	return journal_add(r->journal, line, e);
fail:
	json_free(line);
	return -1;
}

/* Recordings among the queued changes: the changes of one stand together. */
static int64_t
recordings(const struct run *r)
{
	int64_t n = 0;

	for (size_t i = 0; i < r->n_changes; i++)
		n += journal_is_recording(r->changes[i].table) &&
		     (i == 0 || r->changes[i].id != r->changes[i - 1].id);
	return n;
}

int
run_commit(struct run *r, struct err *e)
{
	int64_t rows = recordings(r);

	if (r->n_changes == 0) {
		run_cancel(r);
		return 0;
	}
	if (need_journal(r, e) == -1)
		goto fail;
	for (size_t i = 0; i < r->n_changes; i++)
		if (journal_change(r, &r->changes[i], e) == -1)
			goto fail;
	if (journal_sync(r->journal, e) == -1)
		goto fail;
	for (size_t i = 0; i < r->n_changes; i++) {
		struct run_change *c = &r->changes[i];

		if (catalogue_row_put(
			r->a->catalogue, c->table, c->key, c->id, c->before, c->after, e) == -1)
			goto fail;
	}
	r->in_transaction = false;
	if (catalogue_commit(r->a->catalogue, e) == -1)
		goto fail;
	forget_changes(r);
	r->rows += rows;
	return 0;
fail:
	run_cancel(r);
	return -1;
}

int
run_announce(struct run *r, struct json *line, struct err *e)
{
	if (need_journal(r, e) == -1) {
		json_free(line);
		return -1;
	}
	return journal_add(r->journal, line, e) == -1 ? -1 : journal_sync(r->journal, e);
}

int
run_announce_kept(struct run *r, struct json *line, struct json **kept, struct err *e)
{
	if ((*kept = json_clone(line, e)) == NULL) {
		json_free(line);
		return -1;
	}
	if (run_announce(r, line, e) == 0)
		return 0;
	json_free(*kept);
	*kept = NULL;
	return -1;
}

int
run_end(struct run *r, int64_t problems, struct err *e)
{
	return r->journal == NULL ? 0 : end_line(r->journal, r->rows, problems, e);
}

void
run_close(struct run *r)
{
	if (r->a != NULL)
		run_cancel(r);
	journal_close(r->journal);
	if (r->a != NULL && r->a->journal != -1)
		io_unlock(r->a->journal);
	free(r->changes);
	*r = (struct run){0};
}

/* ---- the schema ---- */

int
run_upgrade(struct run *r, struct err *e)
{
	struct catalogue *c = r->a->catalogue;
	struct json *line = NULL, *copy;
	int rc = -1, missing;

	if (run_begin(r, e) == -1)
		return -1;
	/* Looked at again under the write lock. */
	if (catalogue_refresh_shape(c, e) == -1 || (missing = schema_missing(c, &line, e)) == -1)
		goto out;
	/* The views that were made anew are part of the transaction. */
	if (!missing) {
		r->in_transaction = false;
		rc = catalogue_commit(c, e);
		goto out;
	}
	if ((copy = json_clone(line, e)) == NULL || run_announce(r, copy, e) == -1 ||
	    schema_add(c, line, e) == -1)
		goto out;
	r->in_transaction = false;
	rc = catalogue_commit(c, e) == -1 ? -1 : catalogue_refresh_shape(c, e);
out:
	run_cancel(r);
	json_free(line);
	if (rc == -1 && e->class != ERR_STOPPED && e->class != ERR_BUSY)
		err_prefix(e, "bringing the schema up to date");
	return rc;
}
