#include "undo.h"

#include <string.h>

#include "journal.h"
#include "json.h"
#include "record.h"
#include "rollback.h"

/* The latest run (of a kind) that is not rolled back: 1, 0, -1. */
static int
latest_run(const struct archive *a, const char *kind, char run[JOURNAL_RUN_MAX], struct err *e)
{
	struct journal_summary s;
	char **runs;
	size_t n;
	int rc = 0;

	if (journal_list(a->journal, &runs, &n, e) == -1)
		return -1;
	for (size_t i = n; i-- > 0 && rc == 0;) {
		if ((rc = journal_summarize(a->journal, runs[i], &s, e)) == 0 &&
		    s.state != JOURNAL_ROLLED_BACK && (kind == NULL || strcmp(s.kind, kind) == 0)) {
			strcpy(run, s.run);
			rc = 1;
		}
	}
	journal_list_free(runs, n);
	return rc;
}

/* As latest_run, for one that the user names. What was left in conflict can be forced later. */
static int
named_run(
    const struct archive *a, const char *name, bool force, char run[JOURNAL_RUN_MAX], struct err *e)
{
	struct journal_summary s;

	if (!journal_is_run(name))
		return err_set(e, ERR_USAGE, NULL,
		    "\"%s\" is not the name of a run; rec-migrate runs lists them", name);
	if (a->journal == -1 || journal_summarize(a->journal, name, &s, e) == -1)
		return err_set(e, ERR_CATALOGUE, NULL,
		    "%s: there is no such run; rec-migrate runs lists them", name);
	strcpy(run, s.run);
	return s.state != JOURNAL_ROLLED_BACK || (force && s.problems > 0);
}

struct telling {
	struct tool *t;
	struct archive *a;
};

static int
tell_row(void *ctx, int64_t id, const struct err *conflict, struct err *e)
{
	struct telling *tell = ctx;
	struct json *rec = NULL;
	int rc = id == 0 ? 0 : catalogue_record(tell->a->catalogue, id, &rec, e);

	if (rc == 0) { /* no such row (any more): a row that the run had added, a column, a file */
		if ((rec = json_new_object(e)) == NULL ||
		    (id != 0 && json_put_int(rec, "id", id, e) == -1))
			rc = -1;
	}
	if (rc != -1)
		rc = json_put_str(rec, "rollback", conflict != NULL ? "conflict" : "restored", e);
	/* The recording's own problem is no problem of the rollback. */
	if (rc == 0)
		json_del(rec, "problem");
	if (rc == 0 && conflict != NULL)
		rc = record_put_problem(rec, conflict, e);
	if (rc == 0)
		rc = tool_emit_found(tell->t, rec, e);
	json_free(rec);
	tool_idle(tell->t);
	return rc;
}

int
undo_run(struct tool *t, struct archive *a, const char *name, const char *kind, bool force,
    struct err *e)
{
	struct telling tell = {.t = t, .a = a};
	struct rollback b = {.a = a,
	    .force = force,
	    .dry_run = t->dry_run,
	    .tell = tell_row,
	    .ctx = &tell,
	    .stop = &tool_stop};
	char run[JOURNAL_RUN_MAX];
	int rc = name != NULL ? named_run(a, name, force, run, e) : latest_run(a, kind, run, e);

	if (rc == 0)
		tool_tell(t, NULL, "nothing to roll back");
	if (rc != 1)
		return rc;
	b.run = run;
	if (rollback_run(&b, e) == -1)
		return -1;
	tool_tell(t, NULL, "%s: %lld restored, %lld in conflict", run, (long long)b.restored,
	    (long long)b.conflicts);
	return 0;
}
