/*
 * rec-migrate: brings an archive that another application wrote to trustworthy metadata, and back.
 * See rec-migrate(1).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive.h"
#include "enrol.h"
#include "io.h"
#include "journal.h"
#include "mem.h"
#include "metrics.h"
#include "record.h"
#include "run.h"
#include "scan.h"
#include "shard.h"
#include "survey.h"
#include "tool.h"
#include "undo.h"
#include "verify.h"
#include "volume.h"

/* What a row costs in the database, its WAL and the journal, generously. */
#define BYTES_A_ROW 4096

struct opts {
	bool true_peak;	     /* --true-peak */
	bool reread;	     /* --reread */
	bool quick;	     /* --quick */
	bool force;	     /* --force */
	const char *metrics; /* --metrics */
};

enum { STATUS, PLAN, APPLY, VERIFY, ROLLBACK, RUNS };
enum { TRUE_PEAK = 256, REREAD, QUICK, FORCE, METRICS };

static const struct tool_command commands[] = {
    {"status", "", "shape of the archive, and what is done and to do"},
    {"plan", "[--true-peak] [--reread]", "the rows that apply would change, a record each"},
    {"apply", "[--true-peak] [--reread] [--metrics=FILE] [-]",
	"bring the schema and every row up to date"},
    {"verify", "[--quick] [--metrics=FILE]", "prove that every row is complete"},
    {"rollback", "[--force] [RUN]", "take back a run: the latest, or RUN"},
    {"runs", "", "the runs so far, a record each"},
};

static const struct tool_option options[] = {
    {TRUE_PEAK, "true-peak", NULL, 1u << PLAN | 1u << APPLY, "measure the true peak too (slower)"},
    {REREAD, "reread", NULL, 1u << PLAN | 1u << APPLY, "read files again that look unchanged"},
    {QUICK, "quick", NULL, 1u << VERIFY, "compare size and time alone, read no file"},
    {FORCE, "force", NULL, 1u << ROLLBACK, "put back also what somebody changed since"},
    {METRICS, "metrics", "FILE", 1u << APPLY | 1u << VERIFY, "write counts as Prometheus text"},
};

static const struct tool_spec spec = {
    .name = "rec-migrate",
    .summary = "Takes over an archive of recordings; every change can be taken back.",
    .commands = commands,
    .n_commands = sizeof commands / sizeof commands[0],
    .default_command = -1,
    .options = options,
    .n_options = sizeof options / sizeof options[0],
};

static int
set_option(void *arg, int code, const char *value, struct err *e)
{
	struct opts *o = arg;

	(void)e;
	switch (code) {
	case TRUE_PEAK:
		o->true_peak = true;
		break;
	case REREAD:
		o->reread = true;
		break;
	case QUICK:
		o->quick = true;
		break;
	case FORCE:
		o->force = true;
		break;
	default:
		o->metrics = value;
		break;
	}
	return 0;
}

static struct survey_opts
survey_options(struct tool *t, const struct opts *o)
{
	return (struct survey_opts){
	    .audio = {.true_peak = o->true_peak, .stop = &tool_stop, .bytes_done = &t->bytes_done},
	    .reread = o->reread};
}

/* ---- plan, status ---- */

/* Calls `each` for every row that apply would touch. */
static int
due_rows(struct tool *t, struct archive *a, const struct survey_opts *o,
    int (*each)(
	struct tool *, struct archive *, int64_t, const char *, const struct err *, struct err *),
    int64_t *n, struct err *e)
{
	struct scan s;
	struct catalogue_row row;
	struct err problem;
	const char *why;
	int rc;

	*n = 0;
	scan_start(&s, a->catalogue);
	while ((rc = scan_next(&s, &row, e)) == 1) {
		if (atomic_load(&tool_stop) != 0) {
			rc = err_set(e, ERR_STOPPED, NULL, "stopped");
		} else if (shard_has_row(t, a, &row) &&
			   survey_due(a, &row, o, &why, &problem) == 1) {
			++*n;
			rc = each == NULL ? 0 : each(t, a, row.id, why, &problem, e);
		}
		catalogue_row_free(&row);
		if (rc == -1)
			break;
	}
	scan_end(&s);
	return rc;
}

static int
plan_row(struct tool *t, struct archive *a, int64_t id, const char *why, const struct err *problem,
    struct err *e)
{
	struct json *rec;
	int rc = catalogue_record(a->catalogue, id, &rec, e);

	if (rc != 1)
		return rc;
	rc = json_put_str(rec, "reason", why, e);
	if (rc == 0 && problem->class != ERR_NONE)
		rc = record_put_problem(rec, problem, e);
	if (rc == 0)
		rc = tool_emit_found(t, rec, e);
	json_free(rec);
	tool_idle(t);
	return rc;
}

static int
plan(struct tool *t, struct opts *o, struct err *e)
{
	struct survey_opts s = survey_options(t, o);
	struct archive a;
	int64_t n;
	int rc = -1;

	if (tool_no_operands(t, e) == -1 ||
	    archive_open(&a, t->environment, false, &tool_stop, e) == -1)
		return -1;
	if (volume_check(&a, e) == 0)
		rc = due_rows(t, &a, &s, plan_row, &n, e);
	archive_close(&a);
	return rc;
}

static int
put_last_run(struct json *rec, const struct archive *a, struct err *e)
{
	struct journal_summary s;
	char **runs;
	size_t n;
	int rc;

	if (journal_list(a->journal, &runs, &n, e) == -1)
		return -1;
	rc = json_put_int(rec, "runs", (int64_t)n, e);
	if (rc == 0 && n > 0 && (rc = journal_summarize(a->journal, runs[n - 1], &s, e)) == 0)
		rc = json_put_str(rec, "last_run", s.run, e) == -1
			 ? -1
			 : json_put_str(rec, "last_run_state", journal_state_name(s.state), e);
	journal_list_free(runs, n);
	return rc;
}

static int
status(struct tool *t, struct opts *o, struct err *e)
{
	struct survey_opts s = survey_options(t, o);
	struct archive a;
	struct catalogue_counts n;
	const struct catalogue_shape *sh;
	struct json *rec = NULL;
	int64_t due, orphans;
	int rc = -1;

	t->columns = NULL;
	if (tool_no_operands(t, e) == -1 ||
	    archive_open(&a, t->environment, false, &tool_stop, e) == -1)
		return -1;
	sh = catalogue_shape(a.catalogue);
	if (volume_check(&a, e) == -1 || catalogue_count(a.catalogue, &n, e) == -1 ||
	    due_rows(t, &a, &s, NULL, &due, e) == -1 ||
	    volume_count_orphans(&a, &orphans, e) == -1 || (rec = json_new_object(e)) == NULL)
		goto out;
	if (json_put_str(rec, "database", a.catalogue_opts.path, e) == 0 &&
	    json_put_str(rec, "shape", sh->name, e) == 0 &&
	    json_put_str(rec, "alembic_version", sh->alembic ? sh->alembic_version : NULL, e) ==
		0 &&
	    json_put_int(rec, "toolkit_version", sh->toolkit_version, e) == 0 &&
	    json_put_str(rec, "environment", config_str(a.config, CONFIG_ENVIRONMENT), e) == 0 &&
	    json_put_bytes(rec, "raw_path", a.paths[FOLDER_RAW], strlen(a.paths[FOLDER_RAW]), e) ==
		0 &&
	    json_put_int(rec, "rows", n.rows, e) == 0 &&
	    json_put_int(rec, "measured", n.measured, e) == 0 &&
	    json_put_int(rec, "due", due, e) == 0 &&
	    json_put_int(rec, "problems", n.problems, e) == 0 &&
	    json_put_int(rec, "orphans", orphans, e) == 0 && put_last_run(rec, &a, e) == 0)
		rc = tool_emit(t, rec, e);
out:
	json_free(rec);
	archive_close(&a);
	return rc;
}

/* ---- apply, verify ---- */

static int
write_metrics(const char *path, struct tool *t, int64_t rows, int64_t changed, int64_t problems,
    struct err *e)
{
	struct buf text = {0};
	char labels[64];
	int rc;

	if (path == NULL || t->dry_run)
		return 0;
	snprintf(labels, sizeof labels, "command=\"%s\"", t->spec->commands[t->command].name);
	rc =
	    metrics_gauge(&text, "rectools_migrate_rows", "Recordings in the catalogue.", labels,
		(double)rows, e) == 0 &&
		    metrics_gauge(&text, "rectools_migrate_rows_changed",
			"Recordings that this run changed.", labels, (double)changed, e) == 0 &&
		    metrics_gauge(&text, "rectools_migrate_rows_with_problem",
			"Recordings with a problem.", labels, (double)problems, e) == 0 &&
		    metrics_gauge(&text, "rectools_migrate_read_bytes", "Bytes of recordings read.",
			labels, (double)atomic_load(&t->bytes_done), e) == 0 &&
		    metrics_gauge(&text, "rectools_migrate_finished_time_seconds",
			"Unix time of the end.", labels, (double)clock_now().tv_sec, e) == 0
		? metrics_write(path, &text, e)
		: -1;
	buf_free(&text);
	return rc;
}

static int
apply(struct tool *t, struct opts *o, struct err *e)
{
	struct archive a;
	struct run r = {0};
	struct enrol n = {.t = t,
	    .a = &a,
	    .r = t->dry_run ? NULL : &r,
	    .o = survey_options(t, o),
	    .items = t->n_operands > 0,
	    .rows = true};
	struct catalogue_counts counts;
	int rc = -1;

	if (t->n_operands > 1 || (t->n_operands == 1 && strcmp(t->operands[0], "-") != 0))
		return err_set(e, ERR_USAGE, NULL,
		    "apply takes \"-\" (measured records on stdin) or nothing; rec-meta refresh "
		    "takes single recordings");
	if (archive_open(&a, t->environment, !t->dry_run, &tool_stop, e) == -1)
		return -1;
	if (volume_check(&a, e) == -1 || catalogue_count(a.catalogue, &counts, e) == -1 ||
	    archive_preflight_catalogue(&a, (uint64_t)counts.rows * BYTES_A_ROW, e) == -1 ||
	    (!t->dry_run && (run_open(&r, &a, "apply", e) == -1 || run_upgrade(&r, e) == -1 ||
				volume_record(&r, e) == -1)))
		goto out;
	t->items_total = t->shards == 0 ? (uint64_t)counts.rows : 0;
	if (enrol_run(&n, e) == -1 || (!t->dry_run && run_end(&r, n.problems, e) == -1))
		goto out;
	rc = write_metrics(o->metrics, t, counts.rows, n.changed, n.problems, e);
	if (rc == 0 && t->verbose > 0)
		tool_tell(t, NULL, "%lld rows, %lld changed, %lld with a problem",
		    (long long)counts.rows, (long long)n.changed, (long long)n.problems);
out:
	run_close(&r);
	archive_close(&a);
	return rc;
}

static int
verify(struct tool *t, struct opts *o, struct err *e)
{
	struct archive a;
	struct verify v = {.t = t, .a = &a, .quick = o->quick};
	struct json *rec = NULL;
	int64_t orphans;
	int rc = -1;

	if (tool_no_operands(t, e) == -1 ||
	    archive_open(&a, t->environment, false, &tool_stop, e) == -1)
		return -1;
	if (volume_check(&a, e) == -1 || verify_run(&v, e) == -1 ||
	    volume_count_orphans(&a, &orphans, e) == -1 || (rec = json_new_object(e)) == NULL)
		goto out;
	if (json_put_int(rec, "rows", v.rows, e) == 0 &&
	    json_put_int(rec, "complete", v.complete, e) == 0 &&
	    json_put_int(rec, "unmeasured", v.unmeasured, e) == 0 &&
	    json_put_int(rec, "missing", v.missing, e) == 0 &&
	    json_put_int(rec, "changed", v.changed, e) == 0 &&
	    json_put_int(rec, "damaged", v.damaged, e) == 0 &&
	    json_put_int(rec, "orphans", orphans, e) == 0) {
		/* In a table the counts stand below it, as a card. */
		t->columns = NULL;
		rc = tool_emit(t, rec, e);
	}
	if (rc == 0)
		rc = write_metrics(o->metrics, t, v.rows, 0, v.rows - v.complete, e);
out:
	json_free(rec);
	archive_close(&a);
	return rc;
}

/* ---- rollback, runs ---- */

static int
rollback(struct tool *t, struct opts *o, struct err *e)
{
	struct archive a;
	struct run r = {0};
	int rc = -1;

	if (t->n_operands > 1)
		return err_set(e, ERR_USAGE, NULL, "rollback takes back one RUN at a time");
	if (archive_open(&a, t->environment, !t->dry_run, &tool_stop, e) == -1)
		return -1;
	if (t->dry_run || run_open(&r, &a, "rollback", e) == 0)
		rc = undo_run(t, &a, t->n_operands == 1 ? t->operands[0] : NULL, NULL, o->force, e);
	run_close(&r);
	archive_close(&a);
	return rc;
}

static int
emit_run(struct tool *t, const struct archive *a, const char *run, struct err *e)
{
	struct journal_summary s;
	struct json *rec = NULL;
	int rc = -1;

	if (journal_summarize(a->journal, run, &s, e) == -1)
		return -1;
	if (s.rows == -1 && (s.rows = journal_count_rows(a->journal, run, e)) == -1)
		return -1;
	/* A run without an end is at work while somebody holds the lock. */
	if (s.state == JOURNAL_INTERRUPTED && (rc = io_is_locked(a->journal, e)) == 1)
		s.state = JOURNAL_OPEN;
	if ((rec = json_new_object(e)) != NULL && json_put_str(rec, "run", s.run, e) == 0 &&
	    json_put_str(rec, "kind", s.kind, e) == 0 &&
	    json_put_str(rec, "started_at", s.started_at, e) == 0 &&
	    json_put_str(rec, "finished_at", s.finished_at[0] != '\0' ? s.finished_at : NULL, e) ==
		0 &&
	    json_put_str(rec, "state", journal_state_name(s.state), e) == 0 &&
	    json_put_int(rec, "rows", s.rows, e) == 0 &&
	    (s.problems >= 0 ? json_put_int(rec, "problems", s.problems, e)
			     : json_put_null(rec, "problems", e)) == 0)
		rc = tool_emit(t, rec, e);
	else
		rc = -1;
	json_free(rec);
	return rc;
}

static int
runs(struct tool *t, struct opts *o, struct err *e)
{
	static const struct table_column columns[] = {{"run", "RUN", 32, false},
	    {"kind", "KIND", 8, false}, {"state", "STATE", 12, false}, {"rows", "ROWS", 8, true},
	    {"problems", "PROBLEMS", 8, true}, {"finished_at", "FINISHED", 0, false},
	    {NULL, NULL, 0, false}};
	struct archive a;
	char **names;
	size_t n;
	int rc;

	(void)o;
	t->columns = columns;
	if (tool_no_operands(t, e) == -1 ||
	    archive_open(&a, t->environment, false, &tool_stop, e) == -1)
		return -1;
	if ((rc = journal_list(a.journal, &names, &n, e)) == 0) {
		for (size_t i = 0; i < n && rc == 0; i++)
			rc = emit_run(t, &a, names[i], e);
		journal_list_free(names, n);
	}
	archive_close(&a);
	return rc;
}

int
main(int argc, char **argv)
{
	static int (*const run_command[])(struct tool *, struct opts *, struct err *) = {
	    status, plan, apply, verify, rollback, runs};
	struct opts o = {0};
	struct tool t;
	struct err e;
	int rc = tool_start(&t, &spec, argc, argv, set_option, &o, &e);

	if (rc == 0)
		rc = run_command[t.command](&t, &o, &e);
	return tool_finish(&t, rc, &e);
}
