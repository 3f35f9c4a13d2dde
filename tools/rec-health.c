/*
 * rec-health: tells whether every recording is still there and still itself, and repairs when told
 * to. See rec-health(1).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive.h"
#include "checkup.h"
#include "gc.h"
#include "quantity.h"
#include "repair.h"
#include "run.h"
#include "scrub.h"
#include "tool.h"
#include "undo.h"
#include "volume.h"

struct opts {
	const char *only;	  /* --only */
	const char *skip;	  /* --skip */
	struct scrub_opts fixity; /* --fixity, --max-time, --max-bytes, --cached */
	const char *metrics;	  /* --metrics */
	const char *html;	  /* --html */
	bool apply;		  /* --apply */
	bool undo;		  /* --undo */
};

enum { CHECK, REPAIR, GC, CONFIG };
enum { ONLY = 256, SKIP, FIXITY, MAX_TIME, MAX_BYTES, CACHED, METRICS, HTML, APPLY, UNDO };

static const struct tool_command commands[] = {
    {"check",
	"[--only=NAMES] [--skip=NAMES] [--fixity=HOW] [--max-time=TIME] [--max-bytes=SIZE] "
	"[--cached] [--metrics=FILE] [--html=FILE]",
	"find every kind of damage; change nothing"},
    {"repair", "[--apply] [--only=NAMES] [--undo [RUN]]",
	"show what can be repaired; --apply does it, --undo takes it back"},
    {"gc", "[--apply]", "show what has been kept long enough; --apply removes it"},
    {"config", "", "every setting, its value, and where that comes from"},
};

static const struct tool_option options[] = {
    {ONLY, "only", "NAMES", 1u << CHECK | 1u << REPAIR, "these alone, with commas between"},
    {SKIP, "skip", "NAMES", 1u << CHECK, "all but these"},
    {FIXITY, "fixity", "HOW", 1u << CHECK, "read files: none, all, sample=P% or oldest=N (none)"},
    {MAX_TIME, "max-time", "TIME", 1u << CHECK, "begin no file after this time"},
    {MAX_BYTES, "max-bytes", "SIZE", 1u << CHECK, "read no more than this"},
    {CACHED, "cached", NULL, 1u << CHECK, "let the page cache answer, not the medium"},
    {METRICS, "metrics", "FILE", 1u << CHECK, "write the result as Prometheus text"},
    {HTML, "html", "FILE", 1u << CHECK, "write the result as a page to look at"},
    {APPLY, "apply", NULL, 1u << REPAIR | 1u << GC, "do it"},
    {UNDO, "undo", NULL, 1u << REPAIR, "take back a repair: the latest, or RUN"},
};

static const struct tool_spec spec = {
    .name = "rec-health",
    .summary = "Tells whether every recording is still there and still itself.",
    .commands = commands,
    .n_commands = sizeof commands / sizeof commands[0],
    .default_command = CHECK,
    .options = options,
    .n_options = sizeof options / sizeof options[0],
};

static int
set_option(void *arg, int code, const char *value, struct err *e)
{
	struct opts *o = arg;
	int rc = 0;

	switch (code) {
	case ONLY:
		o->only = value;
		break;
	case SKIP:
		o->skip = value;
		break;
	case FIXITY:
		rc = scrub_parse(value, &o->fixity, e);
		break;
	case MAX_TIME:
		if ((rc = quantity_duration(value, &o->fixity.max_ns, e)) == -1)
			err_prefix(e, "--max-time");
		break;
	case MAX_BYTES:
		if ((rc = quantity_size(value, &o->fixity.max_bytes, e)) == -1)
			err_prefix(e, "--max-bytes");
		break;
	case CACHED:
		o->fixity.cached = true;
		break;
	case METRICS:
		o->metrics = value;
		break;
	case HTML:
		o->html = value;
		break;
	case APPLY:
		o->apply = true;
		break;
	default:
		o->undo = true;
		break;
	}
	return rc;
}

static int
check(struct tool *t, struct opts *o, struct err *e)
{
	static const struct table_column columns[] = {{"status", "STATUS", 8, false},
	    {"severity", "SEVERITY", 9, false}, {"check", "CHECK", 28, false},
	    {"id", "ID", 6, true}, {"path", "PATH", 40, false}, {"message", "MESSAGE", 0, false},
	    {NULL, NULL, 0, false}};
	struct checkup c = {
	    .groups = CHECKUP_DEFAULT, .fixity = o->fixity, .metrics = o->metrics, .html = o->html};
	unsigned skip = 0;

	t->columns = columns;
	if (tool_no_operands(t, e) == -1)
		return -1;
	if (o->only != NULL && (c.groups = checkup_groups(o->only, e)) == 0)
		return err_prefix(e, "--only");
	if (o->skip != NULL && (skip = checkup_groups(o->skip, e)) == 0)
		return err_prefix(e, "--skip");
	if ((c.groups &= ~skip) == 0)
		return err_set(
		    e, ERR_USAGE, NULL, "--only and --skip leave nothing that is to be checked");
	if ((o->fixity.max_ns != 0 || o->fixity.max_bytes != 0) && o->fixity.which == SCRUB_NONE)
		return err_set(e, ERR_USAGE, NULL,
		    "--max-time and --max-bytes bound what --fixity reads; say --fixity all (or "
		    "sample=P%%, oldest=N), too");
	return checkup_run(t, &c, e);
}

/* ---- repair, gc ---- */

static int
repair(struct tool *t, struct opts *o, struct err *e)
{
	static const struct table_column columns[] = {{"repair", "REPAIR", 6, false},
	    {"id", "ID", 6, true}, {"done", "DONE", 5, false}, {"problem", "PROBLEM", 17, false},
	    {"path", "PATH", 40, false}, {"message", "MESSAGE", 0, false}, {NULL, NULL, 0, false}};
	struct archive a;
	struct run r = {0};
	bool apply = (o->apply || o->undo) && !t->dry_run;
	unsigned kinds = REPAIR_ALL;
	int rc = -1;

	if (o->undo && t->n_operands > 1)
		return err_set(e, ERR_USAGE, NULL, "--undo takes back one RUN at a time");
	if (o->undo && o->only != NULL)
		return err_set(
		    e, ERR_USAGE, NULL, "--undo takes back a repair as a whole; leave out --only");
	if (!o->undo && tool_no_operands(t, e) == -1)
		return -1;
	/* Undoing prints recordings. */
	if (!o->undo)
		t->columns = columns;
	if (o->only != NULL && (kinds = repair_kinds(o->only, e)) == 0)
		return err_prefix(e, "--only");
	if (archive_open(&a, t->environment, apply, &tool_stop, e) == -1)
		return -1;
	if (volume_check(&a, e) == -1 ||
	    (apply && run_open(&r, &a, o->undo ? "rollback" : "repair", e) == -1))
		goto out;
	if (o->undo)
		rc = undo_run(t, &a, t->operands[0], "repair", false, e);
	else if (!apply)
		rc = repair_run(t, &a, NULL, kinds, e);
	else if (run_upgrade(&r, e) == 0 && volume_record(&r, e) == 0 &&
		 repair_run(t, &a, &r, kinds, e) == 0)
		rc = run_end(&r, t->problems, e);
out:
	run_close(&r);
	archive_close(&a);
	return rc;
}

static int
gc(struct tool *t, struct opts *o, struct err *e)
{
	struct archive a;
	struct run r = {0};
	bool apply = o->apply && !t->dry_run;
	int rc = -1;

	if (tool_no_operands(t, e) == -1 ||
	    archive_open(&a, t->environment, apply, &tool_stop, e) == -1)
		return -1;
	if (volume_check(&a, e) == 0 && (!apply || run_open(&r, &a, "gc", e) == 0))
		rc = gc_run(t, &a, apply, e);
	run_close(&r);
	archive_close(&a);
	return rc;
}

/* ---- config ---- */

static int
config(struct tool *t, struct opts *o, struct err *e)
{
	static const struct table_column columns[] = {{"key", "KEY", 26, false},
	    {"value", "VALUE", 36, false}, {"source", "SOURCE", 0, false}, {NULL, NULL, 0, false}};
	struct config *c = NULL;
	int rc;

	(void)o;
	t->columns = columns;
	if (tool_no_operands(t, e) == -1 || (c = config_load(AT_FDCWD, t->environment, e)) == NULL)
		return -1;
	rc = 0;
	for (int k = 0; k < CONFIG_KEYS && rc == 0; k++) {
		struct json *rec = json_new_object(e);
		const char *text = config_text(c, (enum config_key)k);

		if (rec == NULL ||
		    json_put_str(rec, "key", config_name((enum config_key)k), e) == -1 ||
		    json_put_bytes(rec, "value", text, strlen(text), e) == -1 ||
		    json_put_str(rec, "source", config_origin(c, (enum config_key)k), e) == -1)
			rc = -1;
		else
			rc = tool_emit(t, rec, e);
		json_free(rec);
	}
	config_free(c);
	return rc;
}

int
main(int argc, char **argv)
{
	static int (*const run_command[])(struct tool *, struct opts *, struct err *) = {
	    check, repair, gc, config};
	struct opts o = {0};
	struct tool t;
	struct err e;
	int rc = tool_start(&t, &spec, argc, argv, set_option, &o, &e);

	if (rc == 0)
		rc = run_command[t.command](&t, &o, &e);
	return tool_finish(&t, rc, &e);
}
