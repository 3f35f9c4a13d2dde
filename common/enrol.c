#include "enrol.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "idset.h"
#include "mem.h"
#include "record.h"
#include "scan.h"
#include "shard.h"
#include "work.h"

#define BATCH 128
#define BATCH_NS 500000000

/* A recording on its way: made by the reader, surveyed by a worker, written by the caller's thread.
 */
struct entry {
	struct tool_item *item; /* NULL: it comes from the scan of all rows */
	bool known;		/* row is filled */
	struct catalogue_row row;
	struct measure given; /* from the item's record */
	bool has_given;
	struct survey survey;
	struct err fatal; /* surveying could not go on */
	bool changed;
};

struct context {
	struct enrol *n;
	struct catalogue *reader; /* of the reading thread */
	struct tool_items *items;
	struct scan scan;
	struct idset done; /* ids that came as items */
	struct entry *batch[BATCH];
	int batch_len;
	int64_t batch_started_ns;
	struct err idle_err; /* of a batch that was written while waiting */
};

static void
entry_free(struct entry *en)
{
	if (en == NULL)
		return;
	tool_item_free(en->item);
	catalogue_row_free(&en->row);
	audio_measure_free(&en->given);
	survey_free(&en->survey);
	free(en);
}

/* ---- reading ---- */

/* The row that an item names, by its id or by its path. A problem goes into the item. */
static int
find_row(struct context *c, struct entry *en, struct err *e)
{
	struct tool_item *item = en->item;
	const char *stored = item->path != NULL ? archive_stored_name(c->n->a, item->path) : NULL;
	int64_t id;
	int rc;

	if (item->problem.class != ERR_NONE)
		return 0;
	if (json_get_int(item->rec, "id", &id) ||
	    (!item->was_record && mem_parse_i64(item->path, 1, INT64_MAX, &id)))
		rc = 1;
	else {
		if (stored == NULL && !item->was_record)
			stored = item->path; /* a bare stored name */
		rc = stored == NULL
			 ? 0
			 : catalogue_find_stored(c->reader, stored, strlen(stored), &id, e);
	}
	if (rc == 1)
		rc = catalogue_row_by_id(c->reader, id, &en->row, e);
	if (rc == -1)
		return -1;
	if (rc == 0 && item->passed_on)
		return 0;
	if (rc == 0)
		err_item(&item->problem, P_BAD_RECORD, "no recording in the catalogue has this %s",
		    json_get(item->rec, "id") != NULL ? "id" : "id or path");
	else if (item->was_record && (stored == NULL || strcmp(stored, en->row.stored) != 0))
		err_item(&item->problem, P_BAD_RECORD, "the path is not that of recording %lld",
		    (long long)id);
	en->known = rc == 1 && item->problem.class == ERR_NONE;
	if (!en->known && !item->passed_on)
		return record_put_problem(item->rec, &item->problem, e);
	return 0;
}

static int
next_item(struct context *c, struct entry **out, struct err *e)
{
	struct entry *en = mem_new(1, sizeof *en, e);
	int rc;

	if (en == NULL)
		return -1;
	audio_measure_init(&en->given);
	audio_measure_init(&en->survey.m);
	if ((rc = tool_items_next(c->items, &en->item, e)) != 1 || find_row(c, en, e) == -1) {
		entry_free(en);
		return rc == 0 ? 0 : -1;
	}
	if (en->known && en->item->was_record) {
		struct err bad;

		switch (record_get_measure(en->item->rec, &en->given, &bad)) {
		case 1:
			en->has_given = true;
			break;
		case -1:
			if (bad.class != ERR_ITEM) {
				*e = bad;
				entry_free(en);
				return -1;
			}
			/* What another stage says and cannot be is measured here. */
			tool_tell(c->n->t, en->item->path, "%s: %s; measuring it here", bad.code,
			    bad.text);
			break;
		default:
			break;
		}
	}
	*out = en;
	return 1;
}

static int
next_row(struct context *c, struct entry **out, struct err *e)
{
	struct entry *en = mem_new(1, sizeof *en, e);
	int rc = en == NULL ? -1 : 1;

	while (rc == 1 && (rc = scan_next(&c->scan, &en->row, e)) == 1 &&
	       (idset_has(&c->done, (uint64_t)en->row.id) ||
		   !shard_has_row(c->n->t, c->n->a, &en->row)))
		catalogue_row_free(&en->row);
	if (rc != 1) {
		free(en);
		return rc;
	}
	audio_measure_init(&en->given);
	audio_measure_init(&en->survey.m);
	en->known = true;
	*out = en;
	return 1;
}

static int
next(void *ctx, void **item, struct err *e)
{
	struct context *c = ctx;

	return c->items != NULL ? next_item(c, (struct entry **)item, e)
				: next_row(c, (struct entry **)item, e);
}

/* A recording that was found damaged is accepted as it is only when somebody names it. */
static struct survey_opts
options_for(const struct enrol *n, const struct entry *en)
{
	struct survey_opts o = n->o;

	o.accept = o.accept && (en->item != NULL || !survey_is_damaged(&en->row));
	return o;
}

static void
survey(void *ctx, void *item)
{
	struct context *c = ctx;
	struct entry *en = item;
	struct survey_opts o = options_for(c->n, en);

	if (en->known && survey_look(c->n->a, &en->row, &o, en->has_given ? &en->given : NULL,
			     &en->survey, &en->fatal) == 0)
		en->fatal = (struct err){0};
	atomic_fetch_add(&c->n->t->items_done, 1);
}

/* ---- writing ---- */

/* The record of the catalogue, over the keys that the item brought and that are not the
 * catalogue's. */
static int
print(struct context *c, struct entry *en, struct err *e)
{
	struct json *rec = NULL;
	int rc = -1;

	if (!en->known)
		return en->item->passed_on ? tool_emit(c->n->t, en->item->rec, e)
					   : tool_emit_found(c->n->t, en->item->rec, e);
	if ((rc = catalogue_record(c->n->a->catalogue, en->row.id, &rec, e)) != 1)
		return rc;
	rc = -1;
	if (c->n->r == NULL) {
		/* A dry run tells what would be recorded. */
		if (en->survey.measured && !en->survey.keep_baseline &&
		    record_put_measure(rec, &en->survey.m, e) == -1)
			goto out;
		if (en->survey.problem.class != ERR_NONE &&
		    record_put_problem(rec, &en->survey.problem, e) == -1)
			goto out;
	}
	if (en->item != NULL && catalogue_pass_on(rec, en->item->rec, e) == -1)
		goto out;
	if (record_has_problem(rec))
		c->n->problems++;
	rc = tool_emit_found(c->n->t, rec, e);
out:
	json_free(rec);
	return rc;
}

static int
write_batch(struct context *c, struct err *e)
{
	struct enrol *n = c->n;
	int rc = 0, changed;

	for (int i = 0; i < c->batch_len && rc == 0; i++)
		if (c->batch[i]->known && !c->batch[i]->survey.unchanged && n->r != NULL) {
			rc = run_begin(n->r, e);
			break;
		}
	for (int i = 0; i < c->batch_len && rc == 0; i++) {
		struct entry *en = c->batch[i];
		struct survey_opts o = options_for(n, en);

		if (!en->known || en->survey.unchanged)
			continue;
		changed = n->r != NULL ? survey_record(n->r, &en->row, &o, &en->survey, e) : 1;
		en->changed = changed == 1;
		rc = changed == -1 ? -1 : 0;
	}
	if (rc == 0 && n->r != NULL && n->r->in_transaction)
		rc = run_commit(n->r, e);
	for (int i = 0; i < c->batch_len; i++) {
		struct entry *en = c->batch[i];

		n->changed += en->changed && rc == 0;
		if (rc == 0 &&
		    (en->item != NULL || en->changed || en->survey.problem.class != ERR_NONE))
			rc = print(c, en, e);
		entry_free(en);
	}
	c->batch_len = 0;
	if (rc == -1 && n->r != NULL)
		run_cancel(n->r);
	return rc;
}

static int
done(void *ctx, void *item, struct err *e)
{
	struct context *c = ctx;
	struct entry *en = item;

	if (c->idle_err.class != ERR_NONE || en->fatal.class != ERR_NONE) {
		*e = c->idle_err.class != ERR_NONE ? c->idle_err : en->fatal;
		entry_free(en);
		return -1;
	}
	if (en->item != NULL && en->known && c->n->rows &&
	    idset_add(&c->done, (uint64_t)en->row.id, e) == -1) {
		entry_free(en);
		return -1;
	}
	if (en->item == NULL && en->survey.unchanged && en->survey.problem.class == ERR_NONE) {
		entry_free(en);
		return 0;
	}
	if (c->batch_len == 0)
		c->batch_started_ns = clock_monotonic_ns();
	c->batch[c->batch_len++] = en;
	return c->batch_len == BATCH || clock_monotonic_ns() - c->batch_started_ns > BATCH_NS
		   ? write_batch(c, e)
		   : 0;
}

static void
drop(void *ctx, void *item)
{
	(void)ctx;
	entry_free(item);
}

static void
idle(void *ctx)
{
	struct context *c = ctx;

	if (c->batch_len > 0 && c->idle_err.class == ERR_NONE &&
	    clock_monotonic_ns() - c->batch_started_ns > BATCH_NS)
		write_batch(c, &c->idle_err);
	tool_idle(c->n->t);
}

static int
pass(struct context *c, struct err *e)
{
	struct work w = {.next = next,
	    .work = survey,
	    .done = done,
	    .drop = drop,
	    .idle = idle,
	    .ctx = c,
	    .jobs = c->n->t->jobs,
	    .stop = &tool_stop};
	int rc = work_run(&w, e);

	if (rc == 0 && c->idle_err.class != ERR_NONE) {
		*e = c->idle_err;
		rc = -1;
	}
	if (rc == 0)
		return write_batch(c, e);
	/* What was surveyed before the stop is kept: each batch is whole. */
	if (e->class == ERR_STOPPED) {
		struct err ignored;

		write_batch(c, &ignored);
	}
	while (c->batch_len > 0)
		entry_free(c->batch[--c->batch_len]);
	return -1;
}

int
enrol_run(struct enrol *n, struct err *e)
{
	struct context *c = mem_new(1, sizeof *c, e);
	struct catalogue_opts o = n->a->catalogue_opts;
	int rc = -1;

	n->changed = n->problems = 0;
	if (c == NULL)
		return -1;
	c->n = n;
	o.write = false;
	if ((c->reader = catalogue_open(&o, e)) == NULL)
		goto out;
	scan_start(&c->scan, c->reader);
	if (n->items) {
		if ((c->items = tool_items_open(n->t, e)) == NULL || pass(c, e) == -1)
			goto out;
		tool_items_close(c->items);
		c->items = NULL;
	}
	if (n->rows && pass(c, e) == -1)
		goto out;
	rc = 0;
out:
	scan_end(&c->scan);
	tool_items_close(c->items);
	catalogue_close(c->reader);
	idset_free(&c->done);
	free(c);
	return rc;
}
