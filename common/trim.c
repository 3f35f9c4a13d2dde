#include "trim.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "assembly.h"
#include "clock.h"
#include "edited.h"
#include "editrecord.h"
#include "footage.h"
#include "idset.h"
#include "io.h"
#include "mem.h"
#include "record.h"
#include "replace.h"
#include "run.h"
#include "version.h"
#include "waveform.h"
#include "work.h"

#define WAVEFORM_ROWS 8
#define PATIENCE_NS 500000000

struct context {
	struct trim *t;
	struct footage_opts look;
	struct tool_items *items;
	struct footage *at; /* the one whose parts are being made */
	size_t next_part;
	struct run run;
	bool running;
	atomic_int in_hand;    /* parts that are being made */
	int64_t done_ns;       /* when the last one was done */
	struct err ended;      /* what went wrong when a run was ended meanwhile */
	struct idset replaced; /* ids of the rows, with --in-place */
};

/* ---- making parts ---- */

static struct part *
make_part(struct footage *f, size_t i, struct err *e)
{
	struct part *p = trimpart_new(1, e);

	if (p == NULL)
		return NULL;
	p->footage[0] = f;
	p->n_pieces = 1;
	footage_use(f);
	p->number = i + 1;
	p->of = f->selection.n;
	p->is_over = !footage_is_usable(f);
	if (!p->is_over)
		p->pieces[0] = (struct assembly_part){
		    &f->original, f->selection.ranges[i].first, f->selection.ranges[i].frames};
	return p;
}

/* What a second look at the same file sees would depend on how far the first one has come. */
static int
refuse_twice(struct context *c, struct footage *f, struct err *e)
{
	uint64_t id = (uint64_t)f->row.id;

	if (!c->t->in_place || !footage_is_usable(f))
		return 0;
	if (!idset_has(&c->replaced, id))
		return idset_add(&c->replaced, id, e);
	err_item(&f->item->problem, P_CONFLICT,
	    "the same recording was named before, and is replaced once");
	return record_put_problem(f->item->rec, &f->item->problem, e);
}

static int
next_part(void *ctx, void **out, struct err *e)
{
	struct context *c = ctx;
	struct part *p;
	int rc;

	if (c->at == NULL) {
		if ((rc = footage_next(&c->look, c->items, &c->at, e)) != 1)
			return rc;
		c->next_part = 0;
		if (refuse_twice(c, c->at, e) == -1)
			return -1;
	}
	if ((p = make_part(c->at, c->next_part, e)) == NULL)
		return -1;
	if (!footage_is_usable(c->at) || ++c->next_part == c->at->selection.n) {
		footage_leave(c->at);
		c->at = NULL;
	}
	atomic_fetch_add(&c->in_hand, 1);
	*out = p;
	return 1;
}

static int
add_piece(struct part *p, struct footage *f, size_t range, struct err *e)
{
	struct footage **footage =
	    realloc(p->footage, (p->n_pieces + 1) * sizeof(struct footage *));
	struct assembly_part *pieces;

	if (footage == NULL)
		return err_nomem(e);
	p->footage = footage;
	if ((pieces = realloc(p->pieces, (p->n_pieces + 1) * sizeof *pieces)) == NULL)
		return err_nomem(e);
	p->pieces = pieces;
	footage[p->n_pieces] = f;
	pieces[p->n_pieces++] = (struct assembly_part){
	    &f->original, f->selection.ranges[range].first, f->selection.ranges[range].frames};
	footage_use(f);
	return 0;
}

/* All items as the pieces of one part. An item that cannot be used is told, and nothing is joined.
 */
static int
next_joined(void *ctx, void **out, struct err *e)
{
	struct context *c = ctx;
	struct part *p = c->next_part > 0 ? NULL : trimpart_new(1, e);
	struct footage *f;
	bool whole = true;
	int rc;

	if (p == NULL)
		return c->next_part > 0 ? 0 : -1;
	c->next_part = 1;
	p->number = p->of = 1;
	while ((rc = footage_next(&c->look, c->items, &f, e)) == 1) {
		if (footage_is_usable(f)) {
			for (size_t i = 0; i < f->selection.n && rc == 1; i++)
				rc = add_piece(p, f, i, e) == -1 ? -1 : 1;
		} else {
			whole = false;
			rc = (f->item->passed_on ? tool_emit : tool_emit_found)(
				 c->t->t, f->item->rec, e) == -1
				 ? -1
				 : 1;
		}
		footage_leave(f);
		if (rc == -1)
			break;
	}
	if (rc == 0 && !whole)
		rc = err_set(e, ERR_SYSTEM, NULL,
		    "nothing was joined, as not all of the files could be read");
	if (rc == -1 || p->n_pieces == 0) {
		trimpart_free(p);
		return rc;
	}
	atomic_fetch_add(&c->in_hand, 1);
	*out = p;
	return 1;
}

static void
work_part(void *ctx, void *item)
{
	struct context *c = ctx;
	struct part *p = item;
	struct err e;

	if (p->is_over ||
	    (c->t->t->dry_run ? trimpart_check(c->t, p, &e) : trimpart_make(c->t, p, &e)) == 0)
		return;
	p->is_over = true;
	*(e.class == ERR_ITEM ? &p->problem : &p->fatal) = e;
}

/* ---- records ---- */

static int
put_edit(struct json *rec, const struct part *p, struct err *e)
{
	struct edit_of edit = {p->footage, &p->made};

	return editrecord_put(rec, &edit, e);
}

static void
tell_limits(struct trim *t, const struct part *p)
{
	const char *path = p->footage[0]->item->path;

	if (p->made.limited)
		tool_tell(t->t, path,
		    "raised by %.1f dB only: more would push its peaks beyond -1 dBTP",
		    p->made.gain_db);
	if (p->made.render.clipped > 0)
		tool_tell(t->t, path, "%llu samples reached full scale and were clipped",
		    (unsigned long long)p->made.render.clipped);
	if (p->made.dropped[0] != '\0')
		tool_tell(t->t, path, "not carried over into the new file: %s", p->made.dropped);
}

/* Of the item that came in, what is neither a recording's nor about this edit or an earlier one. */
static int
pass_on(struct json *rec, const struct part *p, struct err *e)
{
	static const char *const own[] = {"start_s", "end_s", "gain_db", "gain_limited",
	    "fade_in_s", "fade_out_s", "clipped_samples", "dropped", "format", "sources"};

	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		json_del(p->footage[0]->item->rec, own[i]);
	return catalogue_pass_on(rec, p->footage[0]->item->rec, e);
}

/* ---- giving names ---- */

static int
put_out(struct trim *t, struct part *p, struct err *e)
{
	struct json *rec;
	int rc = -1;

	if (io_new_commit(&p->file, 0644, false, e) == -1)
		return e->sys == EEXIST ? trimpart_refuse_existing(p, e) : -1;
	if ((rec = json_new_object(e)) != NULL &&
	    json_put_bytes(rec, "path", p->path, strlen(p->path), e) == 0 &&
	    record_put_measure(rec, &p->m, e) == 0 && put_edit(rec, p, e) == 0 &&
	    pass_on(rec, p, e) == 0)
		rc = tool_emit_found(t->t, rec, e);
	json_free(rec);
	return rc;
}

static int
replace_original(struct run *r, struct part *p, const struct provenance *provenance, struct err *e)
{
	struct footage *f = p->footage[0];
	struct replace replace = {.r = r,
	    .row = &f->row,
	    .folder = f->folder,
	    .was = &f->original.st,
	    .xxh3_128_before = p->before,
	    .file = &p->file,
	    .now = &p->m,
	    .provenance = provenance};
	int rc = replace_file(&replace, e);

	free(replace.backup);
	return rc;
}

static int
add_new(
    struct run *r, struct part *p, const struct provenance *provenance, int64_t *id, struct err *e)
{
	const struct footage *f = p->footage[0];
	const char *name = json_get_str(f->rec, "filename");
	char *filename = trimpart_name(
	    p, name != NULL ? name : f->item->path, assembly_extension(&p->made, f->item->path), e);
	struct edited n = {.file = &p->file,
	    .filename = filename,
	    .title = p->made.title,
	    .m = &p->m,
	    .provenance = provenance};
	int rc = filename == NULL ? -1 : edited_add(r, &n, id, e);

	free(filename);
	return rc;
}

/* A run, when there is none: others may have changed the archive since. */
static int
begin_run(struct context *c, struct err *e)
{
	if (c->running)
		return 0;
	c->run = (struct run){0};
	if (run_open(&c->run, c->t->a, "trim", e) == -1 || run_upgrade(&c->run, e) == -1) {
		run_close(&c->run);
		return -1;
	}
	c->running = true;
	return 0;
}

static int
end_run(struct context *c, struct err *e)
{
	int rc;

	if (!c->running)
		return 0;
	c->running = false;
	rc = run_end(&c->run, c->t->t->problems, e);
	run_close(&c->run);
	return rc;
}

static int
put_in_archive(struct context *c, struct part *p, struct err *e)
{
	struct trim *t = c->t;
	struct json *details = json_new_object(e), *rec = NULL;
	struct provenance provenance = {
	    .tool = "rec-trim " REC_VERSION, .started = p->made.start, .details = details};
	int64_t id = p->footage[0]->row.id;
	int rc = -1;

	if (details != NULL && put_edit(details, p, e) == 0 && begin_run(c, e) == 0 &&
	    (t->in_place ? replace_original(&c->run, p, &provenance, e)
			 : add_new(&c->run, p, &provenance, &id, e)) == 0 &&
	    catalogue_record(t->a->catalogue, id, &rec, e) == 1 && put_edit(rec, p, e) == 0 &&
	    pass_on(rec, p, e) == 0)
		rc = tool_emit_found(t->t, rec, e);
	json_free(details);
	json_free(rec);
	return rc;
}

/* ---- dry runs ---- */

static int
draw(const struct part *p, struct err *e)
{
	const struct footage *f = p->footage[0];
	struct waveform_kept *kept = mem_new(f->selection.n, sizeof *kept, e);
	struct waveform_opts o = {.columns = tool_columns(),
	    .rows = WAVEFORM_ROWS,
	    .utf8 = tool_is_utf8(),
	    .colour = isatty(STDERR_FILENO),
	    .kept = kept,
	    .n_kept = (unsigned)f->selection.n};
	struct envelope v;
	struct buf text = {0};
	int rc = -1;

	if (o.columns < 20)
		o.columns = 20;
	for (size_t i = 0; kept != NULL && i < f->selection.n; i++)
		kept[i] = (struct waveform_kept){
		    f->selection.ranges[i].first, f->selection.ranges[i].frames};
	if (kept != NULL &&
	    envelope_read(f->original.fd, f->original.frames, &tool_stop, &v, e) == 0 &&
	    waveform_draw(&v, &o, &text, e) == 0)
		rc = 0;
	if (rc == 0)
		fprintf(stderr, "%s\n%s", f->item->path, text.data != NULL ? text.data : "");
	buf_free(&text);
	free(kept);
	return rc;
}

/* An item with the times that were found: what could be cut by it. */
static int
tell_piece(struct trim *t, struct part *p, unsigned i, struct err *e)
{
	const struct assembly_part *piece = &p->pieces[i];
	struct assembly planned = {.parts = piece, .n = 1};
	struct edit_of edit = {p->footage + i, &planned};
	struct json *rec = json_clone(p->footage[i]->item->rec, e);
	double rate = piece->original->rate_hz;
	int rc = -1;

	if (rec != NULL && json_put_real(rec, "start_s", (double)piece->first / rate, e) == 0 &&
	    json_put_real(rec, "end_s", (double)(piece->first + piece->frames) / rate, e) == 0 &&
	    editrecord_put_sources(rec, &edit, e) == 0)
		rc = tool_emit(t->t, rec, e);
	json_free(rec);
	return rc;
}

static int
tell_plan(struct trim *t, struct part *p, struct err *e)
{
	if (t->preview && p->number == 1 && draw(p, e) == -1)
		return -1;
	for (unsigned i = 0; i < p->n_pieces; i++)
		if (tell_piece(t, p, i, e) == -1)
			return -1;
	return 0;
}

/* ---- in order ---- */

static int
tell_problem(struct trim *t, struct part *p, struct err *e)
{
	struct json *rec = p->footage[0]->item->rec;

	if (record_put_problem(rec, &p->problem, e) == -1)
		return -1;
	return tool_emit_found(t->t, rec, e);
}

static int
finish(struct context *c, struct part *p, struct err *e)
{
	struct trim *t = c->t;
	const struct tool_item *item = p->footage[0]->item;
	int rc;

	if (p->fatal.class != ERR_NONE) {
		*e = p->fatal;
		return err_prefix(e, "%s", item->path);
	}
	if (p->problem.class != ERR_NONE)
		return tell_problem(t, p, e);
	if (p->is_over)
		return item->passed_on ? tool_emit(t->t, item->rec, e)
				       : tool_emit_found(t->t, item->rec, e);
	if (t->t->dry_run)
		return tell_plan(t, p, e);
	tell_limits(t, p);
	rc = t->out != NULL ? put_out(t, p, &p->problem) : put_in_archive(c, p, &p->problem);
	if (rc == 0)
		return 0;
	if (p->problem.class == ERR_ITEM)
		return tell_problem(t, p, e);
	*e = p->problem;
	return err_prefix(e, "%s", item->path);
}

static int
done_part(void *ctx, void *item, struct err *e)
{
	struct context *c = ctx;
	int rc = finish(c, item, e);

	trimpart_free(item);
	atomic_fetch_sub(&c->in_hand, 1);
	atomic_fetch_add(&c->t->t->items_done, 1);
	c->done_ns = clock_monotonic_ns();
	return rc;
}

static void
drop_part(void *ctx, void *item)
{
	(void)ctx;
	trimpart_free(item);
}

/* While it waits for items, the archive is not kept from others. */
static void
idle(void *ctx)
{
	struct context *c = ctx;

	tool_idle(c->t->t);
	if (c->running && c->ended.class == ERR_NONE && atomic_load(&c->in_hand) == 0 &&
	    clock_monotonic_ns() - c->done_ns > PATIENCE_NS)
		end_run(c, &c->ended);
}

int
trim_run(struct trim *t, struct err *e)
{
	struct context c = {.t = t,
	    .items = tool_items_open(t->t, e),
	    .look = {.t = t->t,
		.a = t->a,
		.selection = t->selection,
		.must_be_in_archive = t->out == NULL && !t->t->dry_run,
		.must_be_recorded = t->in_place}};
	struct work w = {.next = t->join ? next_joined : next_part,
	    .work = work_part,
	    .done = done_part,
	    .drop = drop_part,
	    .idle = idle,
	    .ctx = &c,
	    .jobs = t->t->jobs,
	    .stop = &tool_stop};
	int rc = c.items == NULL ? -1 : 0;

	if (rc == 0 && t->out != NULL && !t->join && !t->t->dry_run && t->t->n_operands > 1 &&
	    !trimpart_is_folder(t->out))
		rc = err_set(e, ERR_USAGE, NULL,
		    "--out %s is one file, and several are named: a folder (ending in /) takes "
		    "them "
		    "all, --join makes one of them",
		    t->out);

	if (rc == 0 && t->a != NULL && t->a->catalogue != NULL)
		rc = footage_open_reader(&c.look, e);
	if (rc == 0)
		rc = work_run(&w, e);
	if (rc == 0 && c.ended.class != ERR_NONE) {
		*e = c.ended;
		rc = -1;
	}
	/* One that failed stays open, for the next run to settle. */
	if (rc == -1 && c.running)
		run_close(&c.run);
	else if (rc == 0)
		rc = end_run(&c, e);
	footage_leave(c.at);
	idset_free(&c.replaced);
	catalogue_close(c.look.reader);
	tool_items_close(c.items);
	return rc;
}
