#include "rollback.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filechange.h"
#include "hash.h"
#include "idset.h"
#include "journal.h"
#include "mem.h"
#include "rowimage.h"
#include "schema.h"

#define BATCH 256

/* What became of one recording in the batch at hand. */
struct outcome {
	int64_t id;
	bool conflict;
	struct err why;
};

struct undo {
	struct rollback *r;
	struct journal_reader *lines;
	struct outcome batch[BATCH];
	size_t n;
	int64_t told; /* the recording that the batch before ended with: its lines may straddle */
	struct idset conflicts; /* rows, hashed: older lines about them are passed over */
};

static uint64_t
row_hash(const char *table, int64_t id)
{
	char name[128];
	int n = snprintf(name, sizeof name, "%s %lld", table, (long long)id);

	return hash_xxh3_64(name, (size_t)n);
}

/* ---- rows ---- */

/* What a conflicting row becomes under --force: itself with the columns that the run changed put
 * back. */
static struct json *
forced(const struct json *now, const struct json *before, const struct json *changed, struct err *e)
{
	struct json *row, *v;
	const char *column;

	if (before == NULL || now == NULL)
		return before == NULL ? NULL : json_clone(before, e);
	if ((row = json_clone(now, e)) == NULL)
		return NULL;
	for (size_t i = 0; i < json_count(changed); i++) {
		if ((column = json_to_str(json_at(changed, i), NULL)) == NULL ||
		    json_get(before, column) == NULL)
			continue;
		if ((v = json_clone(json_get(before, column), e)) == NULL ||
		    json_put(row, column, v, e) == -1) {
			json_free(row);
			return NULL;
		}
	}
	return row;
}

/*
 * Remembers the outcome of a recording once: several lines may be about it, also across two
 * batches. 0 stands for what has no recording.
 */
static void
note(struct undo *u, int64_t id, const struct err *why)
{
	struct outcome *o;

	if (u->n > 0 && id != 0 && u->batch[u->n - 1].id == id)
		o = &u->batch[u->n - 1];
	else if (u->n == 0 && id != 0 && u->told == id && why == NULL)
		return;
	else
		o = &u->batch[u->n++];
	o->id = id;
	if (why != NULL) {
		o->conflict = true;
		o->why = *why;
	}
}

static int
undo_row(struct undo *u, const struct json *line, struct err *e)
{
	struct rollback *r = u->r;
	const char *table = json_get_str(line, "table"), *key = json_get_str(line, "key");
	const char *after = json_get_str(line, "after");
	const struct json *before = json_get(line, "before");
	struct json *now = NULL, *target = NULL;
	struct err why;
	char digest[HASH_XXH3_128_HEX];
	int64_t id, recording;
	int rc = -1;

	if (table == NULL || key == NULL || before == NULL || !json_get_int(line, "id", &id))
		return err_set(e, ERR_CATALOGUE, NULL, "a line of the journal lacks its keys");
	if (json_kind(before) == JSON_KIND_NULL)
		before = NULL;
	recording = journal_is_recording(table) ? id : 0;
	if (idset_has(&u->conflicts, row_hash(table, id)))
		return 0;
	if (catalogue_row_get(r->a->catalogue, table, key, id, &now, e) == -1)
		return -1;
	if (rowimage_same(now, before)) {
		rc = 0;
		goto out;
	}
	if (rowimage_digest(now, digest, e) == -1)
		goto out;
	if (strcmp(digest, after != NULL ? after : "") != 0) {
		err_item(&why, P_CONFLICT, "the row in %s was %s since; %s", table,
		    now == NULL ? "removed" : "changed",
		    r->force ? "what the run changed was put back all the same"
			     : "left as it is (--force puts it back)");
		note(u, recording, r->force ? NULL : &why);
		if (!r->force) {
			rc = idset_add(&u->conflicts, row_hash(table, id), e);
			goto out;
		}
		target = forced(now, before, json_get(line, "changed"), e);
		if (target == NULL && before != NULL)
			goto out;
	} else {
		if (recording != 0)
			note(u, recording, NULL);
		if (before != NULL && (target = json_clone(before, e)) == NULL)
			goto out;
	}
	rc = r->dry_run ? 0 : catalogue_row_put(r->a->catalogue, table, key, id, now, target, e);
out:
	json_free(now);
	json_free(target);
	return rc;
}

/* ---- files ---- */

/* True when a row of this recording was changed since: its file is to stay with it. */
static bool
is_in_conflict(const struct undo *u, int64_t id)
{
	return idset_has(&u->conflicts, row_hash("recordings", id)) ||
	       idset_has(&u->conflicts, row_hash("rec_measurements", id));
}

/* The rows of a file are undone before it: what they say then decides what becomes of it. */
static int
undo_file(struct undo *u, const struct json *line, struct err *e)
{
	struct archive *a = u->r->a;
	struct err why;
	int64_t id = 0;
	int rc;

	if (u->r->dry_run)
		return 0;
	if (json_get_int(line, "id", &id) && is_in_conflict(u, id)) {
		err_item(&why, P_CONFLICT,
		    "the row was changed since, and the file that it describes left as it is");
		note(u, id, &why);
		return 0;
	}
	if ((rc = filechange_in_use(a, line, e)) == 1)
		err_item(&why, P_CONFLICT,
		    "%s: the row was changed since, and the file that it describes left as it is",
		    json_get_str(line, "name") != NULL ? json_get_str(line, "name") : "a file");
	else if (rc == 0)
		rc = filechange_undo(a, line, &why, e);
	if (rc == 1)
		note(u, id, &why);
	return rc == -1 ? -1 : 0;
}

/* ---- the schema ---- */

/* 1 when a run other than this one is not rolled back: what the toolkit added is still in use then.
 */
static int
others_stand(const struct rollback *r, char **runs, size_t n, struct err *e)
{
	struct journal_summary s;

	for (size_t i = 0; i < n; i++) {
		if (strcmp(runs[i], r->run) == 0)
			continue;
		if (journal_summarize(r->a->journal, runs[i], &s, e) == -1)
			return -1;
		if (s.state != JOURNAL_ROLLED_BACK)
			return 1;
	}
	return 0;
}

/* Takes away what one run added; its line about the schema is among its first. */
static int
undo_schema_of(struct undo *u, const char *run, struct err *e)
{
	enum { FIRST_LINES = 8 };
	struct catalogue *c = u->r->a->catalogue;
	struct journal_reader *lines = journal_read_open(u->r->a->journal, run, e);
	struct err kept;
	int rc = lines == NULL ? -1 : 0;

	for (size_t i = 0; rc == 0 && i < journal_lines(lines) && i < FIRST_LINES; i++) {
		struct json *line = journal_line(lines, i, e);
		const char *op = json_get_str(line, "op");

		if (op == NULL) {
			rc = -1;
		} else if (strcmp(op, "schema") == 0) {
			rc = catalogue_begin(c, e) == -1 ||
				     schema_remove(c, line, u->r->force, &kept, e) == -1
				 ? -1
				 : catalogue_commit(c, e);
			catalogue_rollback(c);
			if (rc == 0 && kept.class != ERR_NONE)
				note(u, 0, &kept);
		}
		json_free(line);
	}
	journal_read_close(lines);
	return rc;
}

/* The schema goes when the last run goes, whatever the order in which the runs were taken back. */
static int
undo_schema(struct undo *u, struct err *e)
{
	char **runs;
	size_t n;
	int rc;

	if (journal_list(u->r->a->journal, &runs, &n, e) == -1)
		return -1;
	if ((rc = others_stand(u->r, runs, n, e)) == 0)
		for (size_t i = n; i-- > 0 && rc == 0 && u->n < BATCH;)
			rc = undo_schema_of(u, runs[i], e);
	journal_list_free(runs, n);
	return rc == -1 ? -1 : 0;
}

/* ---- the run ---- */

static int
undo_line(struct undo *u, size_t i, struct err *e)
{
	struct json *line = journal_line(u->lines, i, e);
	const char *op = json_get_str(line, "op");
	int rc = line == NULL ? -1 : 0;

	if (op != NULL && strcmp(op, "row") == 0)
		rc = undo_row(u, line, e);
	else if (op != NULL && strcmp(op, "file") == 0)
		rc = undo_file(u, line, e);
	json_free(line);
	return rc;
}

static int
tell_batch(struct undo *u, struct err *e)
{
	for (size_t i = 0; i < u->n; i++) {
		const struct outcome *o = &u->batch[i];

		if (o->conflict)
			u->r->conflicts++;
		else
			u->r->restored++;
		if (u->r->tell != NULL &&
		    u->r->tell(u->r->ctx, o->id, o->conflict ? &o->why : NULL, e) == -1)
			return -1;
	}
	if (u->n > 0)
		u->told = u->batch[u->n - 1].id;
	memset(u->batch, 0, u->n * sizeof u->batch[0]);
	u->n = 0;
	return 0;
}

/* Undoes lines, last first, from *at down, as many as fit one transaction. */
static int
undo_batch(struct undo *u, size_t *at, struct err *e)
{
	struct catalogue *c = u->r->a->catalogue;

	if (!u->r->dry_run && catalogue_begin(c, e) == -1)
		return -1;
	for (size_t i = 0; *at > 0 && i < BATCH && u->n < BATCH - 1; i++)
		if (undo_line(u, --*at, e) == -1) {
			catalogue_rollback(c);
			return -1;
		}
	if (!u->r->dry_run && catalogue_commit(c, e) == -1)
		return -1;
	return tell_batch(u, e);
}

static int
mark(struct rollback *r, const char *op, struct err *e)
{
	struct journal *j = journal_reopen(r->a->journal, r->run, e);
	struct json *line = j == NULL ? NULL : json_new_object(e);
	char now[CLOCK_TEXT_MAX];
	int rc = -1;

	if (line != NULL && json_put_str(line, "op", op, e) == 0 &&
	    json_put_int(line, "rows", r->restored, e) == 0 &&
	    json_put_int(line, "problems", r->conflicts, e) == 0 &&
	    json_put_str(line, "finished_at", clock_rfc3339(clock_now(), now), e) == 0)
		rc = journal_add(j, line, e) == 0 ? journal_sync(j, e) : -1;
	journal_close(j);
	return rc;
}

/* Every line is whole, or nothing is undone. */
static int
check_lines(struct journal_reader *lines, struct err *e)
{
	for (size_t i = 0; i < journal_lines(lines); i++) {
		struct json *line = journal_line(lines, i, e);

		if (line == NULL)
			return -1;
		json_free(line);
	}
	return 0;
}

int
rollback_run(struct rollback *r, struct err *e)
{
	struct undo *u = mem_new(1, sizeof *u, e);
	size_t at;
	int rc = -1;

	r->restored = r->conflicts = 0;
	if (u == NULL)
		return -1;
	u->r = r;
	if ((u->lines = journal_read_open(r->a->journal, r->run, e)) == NULL ||
	    check_lines(u->lines, e) == -1 || (!r->dry_run && mark(r, "rollback", e) == -1))
		goto out;
	for (at = journal_lines(u->lines); at > 0;) {
		if (r->stop != NULL && atomic_load(r->stop) != 0) {
			err_set(e, ERR_STOPPED, NULL, "stopped");
			goto out;
		}
		if (undo_batch(u, &at, e) == -1)
			goto out;
	}
	if (!r->dry_run &&
	    (undo_schema(u, e) == -1 || tell_batch(u, e) == -1 || mark(r, "rolled_back", e) == -1))
		goto out;
	rc = 0;
out:
	if (rc == -1 && e->class != ERR_STOPPED)
		err_prefix(e, "rolling back %s", r->run);
	journal_read_close(u->lines);
	idset_free(&u->conflicts);
	free(u);
	return rc;
}

/* ---- settling ---- */

int
rollback_settle(struct archive *a, const char *run, struct err *e)
{
	struct journal_reader *lines = journal_read_open(a->journal, run, e);
	bool found = false;
	int rc = lines == NULL ? -1 : 0;

	for (size_t i = rc == 0 ? journal_lines(lines) : 0; i-- > 0 && !found && rc == 0;) {
		struct json *line = journal_line(lines, i, e);
		const char *op = json_get_str(line, "op");

		found = op != NULL && strcmp(op, "file") == 0;
		rc = line == NULL ? -1 : found ? filechange_settle(a, line, e) : 0;
		json_free(line);
	}
	journal_read_close(lines);
	return rc;
}
