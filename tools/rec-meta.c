/*
 * rec-meta: what a recording is, and what people say of it. See rec-meta(1).
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adopt.h"
#include "archive.h"
#include "catalogue_fixity.h"
#include "audio.h"
#include "edit.h"
#include "enrol.h"
#include "io.h"
#include "mem.h"
#include "record.h"
#include "run.h"
#include "tool.h"
#include "volume.h"
#include "work.h"

struct opts {
	bool quick;	       /* --quick */
	bool true_peak;	       /* --true-peak */
	const char *title;     /* --title */
	bool move;	       /* --move */
	bool allow_duplicates; /* --allow-duplicates */
	const char *where;     /* --where */
	const char *sort;      /* --sort */
	int64_t limit;	       /* --limit */
	bool all;	       /* --all */
	bool purge;	       /* --purge */
};

enum { PROBE, ADD, LIST, SHOW, SET, RM, REFRESH };
enum { QUICK = 256, TRUE_PEAK, TITLE, MOVE, ALLOW_DUPLICATES, WHERE, SORT, LIMIT, ALL, PURGE };

static const struct tool_command commands[] = {
    {"probe", "[--quick] [--true-peak] [FILE...]", "measure files; needs no catalogue"},
    {"add", "[--title=TITLE] [--move] [--allow-duplicates] [FILE...]",
	"take files into the archive"},
    {"list", "[--where=EXPR] [--sort=KEYS] [--limit=N] [--all]", "the recordings, a record each"},
    {"show", "[ID|PATH...]", "all that is known of recordings"},
    {"set", "ID KEY=VALUE...", "change title, status or tags"},
    {"rm", "[--purge] [ID|PATH...]", "mark as deleted; --purge moves the file to backup"},
    {"refresh", "[--true-peak] [ID|PATH...]", "measure again what changed on disk, and accept it"},
};

static const struct tool_option options[] = {
    {QUICK, "quick", NULL, 1u << PROBE, "read the headers alone"},
    {TRUE_PEAK, "true-peak", NULL, 1u << PROBE | 1u << REFRESH,
	"measure the true peak too (slower)"},
    {TITLE, "title", "TITLE", 1u << ADD, "the title of what is added"},
    {MOVE, "move", NULL, 1u << ADD, "remove the source once its copy is safe"},
    {ALLOW_DUPLICATES, "allow-duplicates", NULL, 1u << ADD, "add bytes that are there already"},
    {WHERE, "where", "EXPR", 1u << LIST, "only those for which the SQL expression is true"},
    {SORT, "sort", "KEYS", 1u << LIST, "order, such as -duration_s,title"},
    {LIMIT, "limit", "N", 1u << LIST, "at most N of them"},
    {ALL, "all", NULL, 1u << LIST, "deleted ones too"},
    {PURGE, "purge", NULL, 1u << RM, "drop the row and move the file to backup"},
};

static const struct tool_spec spec = {
    .name = "rec-meta",
    .summary = "Measures recordings, and keeps what is known of them.",
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

	switch (code) {
	case QUICK:
		o->quick = true;
		return 0;
	case TRUE_PEAK:
		o->true_peak = true;
		return 0;
	case TITLE:
		o->title = value;
		return edit_check_title(value, e);
	case MOVE:
		o->move = true;
		return 0;
	case ALLOW_DUPLICATES:
		o->allow_duplicates = true;
		return 0;
	case WHERE:
		o->where = value;
		return 0;
	case SORT:
		o->sort = value;
		return 0;
	case LIMIT:
		return mem_parse_i64(value, 0, INT64_MAX, &o->limit)
			   ? 0
			   : err_set(e, ERR_USAGE, NULL,
				 "--limit: \"%s\" is not a number of records", value);
	case ALL:
		o->all = true;
		return 0;
	default:
		o->purge = true;
		return 0;
	}
}

static struct audio_opts
audio_options(struct tool *t, const struct opts *o)
{
	return (struct audio_opts){.quick = o->quick,
	    .true_peak = o->true_peak,
	    .stop = &tool_stop,
	    .bytes_done = &t->bytes_done};
}

/* ---- probe ---- */

struct probe {
	struct tool *t;
	struct tool_items *items;
	struct audio_opts audio;
};

struct probed {
	struct tool_item *item;
	struct measure m;
	struct err fatal;
};

static void
probe_drop(void *ctx, void *arg)
{
	struct probed *p = arg;

	(void)ctx;
	tool_item_free(p->item);
	audio_measure_free(&p->m);
	free(p);
}

static int
probe_next(void *ctx, void **out, struct err *e)
{
	struct probe *c = ctx;
	struct probed *p = mem_new(1, sizeof *p, e);
	int rc;

	if (p == NULL)
		return -1;
	audio_measure_init(&p->m);
	if ((rc = tool_items_next(c->items, &p->item, e)) == 1)
		*out = p;
	else
		probe_drop(ctx, p);
	return rc;
}

static void
probe_work(void *ctx, void *arg)
{
	struct probe *c = ctx;
	struct probed *p = arg;
	int fd;

	if (p->item->passed_on || p->item->problem.class != ERR_NONE)
		return;
	if ((fd = io_open(AT_FDCWD, p->item->path, &p->m.problem)) == -1) {
		if (p->m.problem.class != ERR_ITEM)
			p->fatal = p->m.problem;
	} else {
		if (audio_measure(fd, &c->audio, &p->m, &p->fatal) == 0)
			p->fatal = (struct err){0};
		close(fd);
	}
	atomic_fetch_add(&c->t->items_done, 1);
}

static int
probe_done(void *ctx, void *arg, struct err *e)
{
	struct probe *c = ctx;
	struct probed *p = arg;
	int rc = -1;

	if (p->fatal.class != ERR_NONE)
		*e = p->fatal;
	else if (p->item->passed_on)
		rc = tool_emit(c->t, p->item->rec, e);
	else if (p->item->problem.class != ERR_NONE)
		rc = tool_emit_found(c->t, p->item->rec, e);
	else if (record_put_measure(p->item->rec, &p->m, e) == 0)
		rc = tool_emit_found(c->t, p->item->rec, e);
	probe_drop(ctx, p);
	return rc;
}

static void
probe_idle(void *ctx)
{
	tool_idle(((struct probe *)ctx)->t);
}

static int
probe(struct tool *t, struct opts *o, struct err *e)
{
	struct probe c = {.t = t, .items = tool_items_open(t, e), .audio = audio_options(t, o)};
	struct work w = {.next = probe_next,
	    .work = probe_work,
	    .done = probe_done,
	    .drop = probe_drop,
	    .idle = probe_idle,
	    .ctx = &c,
	    .jobs = t->jobs,
	    .stop = &tool_stop};
	int rc = c.items == NULL ? -1 : work_run(&w, e);

	tool_items_close(c.items);
	return rc;
}

/* ---- add ---- */

static int
add_one(struct tool *t, struct archive *a, const struct adopt *how, struct tool_item *item,
    struct err *e)
{
	struct json *rec = NULL;
	struct err bad;
	int64_t id, other;
	int rc = -1;

	if (item->passed_on)
		return tool_emit(t, item->rec, e);
	if (item->problem.class != ERR_NONE)
		return tool_emit_found(t, item->rec, e);
	if (adopt_file(how, item->path, &id, &other, &bad) == -1) {
		if (bad.class != ERR_ITEM) {
			*e = bad;
			return err_prefix(e, "%s", item->path);
		}
		if ((other != 0 && json_put_int(item->rec, "duplicate_of", other, e) == -1) ||
		    record_put_problem(item->rec, &bad, e) == -1)
			return -1;
		return tool_emit_found(t, item->rec, e);
	}
	if (catalogue_record(a->catalogue, id, &rec, e) != 1)
		goto out;
	if (catalogue_pass_on(rec, item->rec, e) == 0)
		rc = tool_emit_found(t, rec, e);
	tool_idle(t);
out:
	json_free(rec);
	return rc;
}

/* A dry run of add: what would be refused, and why. */
static int
would_add(
    struct tool *t, struct archive *a, const struct opts *o, struct tool_item *item, struct err *e)
{
	struct adopt how = {.audio = audio_options(t, o), .allow_duplicates = o->allow_duplicates};
	struct measure m;
	struct err bad;
	int64_t other = 0;
	int rc;

	if (item->passed_on || item->problem.class != ERR_NONE)
		return tool_emit(t, item->rec, e);
	rc = adopt_check(&how, a, item->path, &m, &other, &bad);
	if (rc == -1 && bad.class != ERR_ITEM) {
		*e = bad;
	} else {
		rc = record_put_measure(item->rec, &m, e);
		if (rc == 0 && bad.class != ERR_NONE)
			rc = record_put_problem(item->rec, &bad, e);
		if (rc == 0)
			rc = tool_emit_found(t, item->rec, e);
	}
	audio_measure_free(&m);
	return rc;
}

static int
add(struct tool *t, struct opts *o, struct err *e)
{
	struct archive a;
	struct run r = {0};
	struct adopt how = {.r = &r,
	    .audio = audio_options(t, o),
	    .title = o->title,
	    .move = o->move,
	    .allow_duplicates = o->allow_duplicates};
	struct tool_items *items = NULL;
	struct tool_item *item;
	int rc = -1;

	if (archive_open(&a, t->environment, !t->dry_run, &tool_stop, e) == -1)
		return -1;
	if (volume_check(&a, e) == -1 || (items = tool_items_open(t, e)) == NULL ||
	    (!t->dry_run && (run_open(&r, &a, "add", e) == -1 || run_upgrade(&r, e) == -1)))
		goto out;
	while ((rc = tool_items_next(items, &item, e)) == 1) {
		rc = t->dry_run ? would_add(t, &a, o, item, e) : add_one(t, &a, &how, item, e);
		tool_item_free(item);
		if (rc == 0 && atomic_load(&tool_stop) != 0)
			rc = err_set(e, ERR_STOPPED, NULL, "stopped");
		if (rc == -1)
			break;
	}
	if (!t->dry_run && (rc == 0 || e->class == ERR_STOPPED)) {
		struct err end;

		if (run_end(&r, t->problems, &end) == -1 && rc == 0) {
			*e = end;
			rc = -1;
		}
	}
out:
	tool_items_close(items);
	run_close(&r);
	archive_close(&a);
	return rc;
}

/* ---- list, show ---- */

static int
list(struct tool *t, struct opts *o, struct err *e)
{
	struct archive a;
	struct catalogue_list *l = NULL;
	struct json *rec;
	int rc = -1;

	if (t->n_operands > 0)
		return err_set(e, ERR_USAGE, NULL,
		    "list takes no operands; --where chooses, e.g. --where \"title like "
		    "'%%rain%%'\"");
	if (archive_open(&a, t->environment, false, &tool_stop, e) == -1)
		return -1;
	if ((l = catalogue_list_open(a.catalogue, o->where, o->sort, o->limit, o->all, e)) == NULL)
		goto out;
	while ((rc = catalogue_list_next(l, &rec, e)) == 1) {
		char *path = NULL;
		size_t len = 0;
		struct err none;

		rc = 0;
		if (t->shards == 0 || record_get_path(rec, &path, &len, &none) == -1 ||
		    tool_in_shard(t, path, len))
			rc = tool_emit(t, rec, e);
		free(path);
		json_free(rec);
		if (rc == 0 && atomic_load(&tool_stop) != 0)
			rc = err_set(e, ERR_STOPPED, NULL, "stopped");
		if (rc == -1)
			break;
	}
out:
	catalogue_list_close(l);
	archive_close(&a);
	return rc;
}

static int
show_one(struct tool *t, struct archive *a, struct tool_item *item, struct err *e)
{
	struct json *rec = NULL;
	int64_t id;
	int rc;

	if (item->passed_on)
		return tool_emit(t, item->rec, e);
	if (item->problem.class == ERR_NONE && (rc = edit_find(a, item, &id, e)) != 0) {
		if (rc == -1 || catalogue_record(a->catalogue, id, &rec, e) != 1)
			return -1;
		rc = catalogue_put_history(a->catalogue, id, rec, e) == -1 ||
			     catalogue_put_check(a->catalogue, id, rec, e) == -1
			 ? -1
			 : tool_emit(t, rec, e);
		json_free(rec);
		return rc;
	}
	return tool_emit_found(t, item->rec, e);
}

static int
show(struct tool *t, struct opts *o, struct err *e)
{
	struct archive a;
	struct tool_items *items;
	struct tool_item *item;
	int rc = -1;

	(void)o;
	t->columns = NULL;
	if (archive_open(&a, t->environment, false, &tool_stop, e) == -1)
		return -1;
	if ((items = tool_items_open(t, e)) != NULL)
		while ((rc = tool_items_next(items, &item, e)) == 1) {
			rc = show_one(t, &a, item, e);
			tool_item_free(item);
			tool_idle(t);
			if (rc == -1)
				break;
		}
	tool_items_close(items);
	archive_close(&a);
	return rc;
}

/* ---- set, rm, refresh ---- */

static int
set(struct tool *t, struct opts *o, struct err *e)
{
	struct archive a;
	struct run r = {0};
	struct json *rec = NULL;
	int64_t id;
	int rc = -1;

	(void)o;
	if (t->n_operands < 2 || !mem_parse_i64(t->operands[0], 1, INT64_MAX, &id))
		return err_set(e, ERR_USAGE, NULL,
		    "set takes an id and KEY=VALUE..., e.g. set 7 title='Dawn chorus'");
	if (edit_check(t->operands + 1, e) == -1 ||
	    archive_open(&a, t->environment, !t->dry_run, &tool_stop, e) == -1)
		return -1;
	if (!t->dry_run &&
	    (run_open(&r, &a, "set", e) == -1 || run_upgrade(&r, e) == -1 ||
		edit_set(&r, id, t->operands + 1, e) == -1 || run_end(&r, 0, e) == -1))
		goto out;
	rc = catalogue_record(a.catalogue, id, &rec, e);
	if (rc == 0)
		rc = edit_unknown_id(t, id, e);
	else if (rc == 1)
		rc = t->dry_run && edit_preview(rec, t->operands + 1, e) == -1
			 ? -1
			 : tool_emit(t, rec, e);
out:
	json_free(rec);
	run_close(&r);
	archive_close(&a);
	return rc;
}

static int
rm(struct tool *t, struct opts *o, struct err *e)
{
	struct archive a;
	struct run r = {0};
	struct tool_items *items = NULL;
	struct tool_item *item;
	int rc = -1;

	if (archive_open(&a, t->environment, !t->dry_run, &tool_stop, e) == -1)
		return -1;
	if ((o->purge && volume_check(&a, e) == -1) || (items = tool_items_open(t, e)) == NULL ||
	    (!t->dry_run && (run_open(&r, &a, "rm", e) == -1 || run_upgrade(&r, e) == -1)))
		goto out;
	while ((rc = tool_items_next(items, &item, e)) == 1) {
		rc = edit_remove(t, t->dry_run ? NULL : &r, &a, item, o->purge, e);
		tool_item_free(item);
		tool_idle(t);
		if (rc == 0 && atomic_load(&tool_stop) != 0)
			rc = err_set(e, ERR_STOPPED, NULL, "stopped");
		if (rc == -1)
			break;
	}
	if (rc == 0 && !t->dry_run)
		rc = run_end(&r, t->problems, e);
out:
	tool_items_close(items);
	run_close(&r);
	archive_close(&a);
	return rc;
}

/* A terminal and /dev/null (cron) name no recordings; a pipe or a file does, even when it is empty.
 */
static bool
stdin_is_a_list(void)
{
	struct stat st;

	return fstat(STDIN_FILENO, &st) == 0 && !S_ISCHR(st.st_mode);
}

static int
refresh(struct tool *t, struct opts *o, struct err *e)
{
	struct archive a;
	struct run r = {0};
	struct enrol n = {.t = t,
	    .a = &a,
	    .r = t->dry_run ? NULL : &r,
	    .o = {.audio = audio_options(t, o), .accept = true},
	    .items = t->n_operands > 0 || stdin_is_a_list()};
	int rc = -1;

	n.rows = !n.items;
	if (archive_open(&a, t->environment, !t->dry_run, &tool_stop, e) == -1)
		return -1;
	if (volume_check(&a, e) == 0 &&
	    (t->dry_run || (run_open(&r, &a, "refresh", e) == 0 && run_upgrade(&r, e) == 0)) &&
	    enrol_run(&n, e) == 0)
		rc = t->dry_run ? 0 : run_end(&r, n.problems, e);
	run_close(&r);
	archive_close(&a);
	return rc;
}

int
main(int argc, char **argv)
{
	static int (*const run_command[])(struct tool *, struct opts *, struct err *) = {
	    probe, add, list, show, set, rm, refresh};
	struct opts o = {.limit = -1};
	struct tool t;
	struct err e;
	int rc = tool_start(&t, &spec, argc, argv, set_option, &o, &e);

	if (rc == 0)
		rc = run_command[t.command](&t, &o, &e);
	return tool_finish(&t, rc, &e);
}
