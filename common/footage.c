#include "footage.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "mem.h"
#include "pauses.h"
#include "record.h"

#define NS_PER_S 1000000000

void
footage_leave(struct footage *f)
{
	if (f == NULL || atomic_fetch_sub(&f->users, 1) > 1)
		return;
	tool_item_free(f->item);
	original_close(&f->original);
	selection_free(&f->selection);
	catalogue_row_free(&f->row);
	json_free(f->rec);
	free(f);
}

/* 1 when the record has such a time, 0, -1. */
static int
time_of_record(const struct json *rec, const char *key, struct quantity_time *t, struct err *e)
{
	const struct json *v = json_get(rec, key);
	double s;

	if (v == NULL || json_kind(v) == JSON_KIND_NULL)
		return 0;
	if (!json_to_real(v, &s) || !(s >= 0 && s <= 1e9))
		return err_item(e, P_BAD_RECORD, "%s is to be a number of seconds", key);
	*t = (struct quantity_time){.ns = (uint64_t)llround(s * NS_PER_S)};
	return 1;
}

/* What the record says goes before the options. */
static int
options_of(
    const struct footage_opts *f, const struct json *rec, struct selection_opts *o, struct err *e)
{
	int start, end;

	*o = f->selection;
	if ((start = time_of_record(rec, "start_s", &o->start, e)) == -1 ||
	    (end = time_of_record(rec, "end_s", &o->end, e)) == -1)
		return -1;
	o->has_start = o->has_start || start == 1;
	if (end == 1) {
		o->has_end = true;
		o->has_length = false;
	}
	return 0;
}

int
footage_open_reader(struct footage_opts *o, struct err *e)
{
	struct catalogue_opts c = o->a->catalogue_opts;

	catalogue_close(o->reader);
	c.write = false;
	return (o->reader = catalogue_open(&c, e)) == NULL ? -1 : 0;
}

/* The row of a file of the archive. */
static int
find_row(struct footage_opts *o, struct footage *f, struct err *e)
{
	int64_t id;
	int rc;

	f->stored = o->a == NULL ? NULL : archive_stored_name(o->a, f->item->path);
	if (f->stored == NULL || o->reader == NULL)
		return 0;
	/* A run may have brought the schema up to date meanwhile, ours or another's. */
	if (catalogue_shape(o->reader)->toolkit_version < CATALOGUE_VERSION && !o->t->dry_run &&
	    footage_open_reader(o, e) == -1)
		return -1;
	if ((rc = catalogue_find_stored(o->reader, f->stored, strlen(f->stored), &id, e)) != 1 ||
	    (rc = catalogue_row_by_id(o->reader, id, &f->row, e)) != 1)
		return rc;
	f->recorded = true;
	return catalogue_record(o->reader, id, &f->rec, e) == -1 ? -1 : 0;
}

static int
select_frames(const struct footage_opts *o, struct footage *f, struct err *e)
{
	const struct original *g = &f->original;
	struct selection_of of = {
	    .rate_hz = g->rate_hz, .frames = g->frames, .cues = g->cues, .n_cues = g->n_cues};
	struct selection_opts opts;
	struct pauses pauses = {0};
	int rc;

	if (options_of(o, f->item->rec, &opts, e) == -1)
		return -1;
	if (selection_needs_pauses(&opts)) {
		if (pauses_find(g->fd, opts.silence_dbfs, opts.min_silence_s, &tool_stop,
			&o->t->bytes_done, &pauses, e) == -1)
			return -1;
		of.pauses = &pauses;
	}
	rc = selection_make(&opts, &of, &f->selection, e);
	pauses_free(&pauses);
	return rc;
}

/* Whether the result can go where it shall. */
static int
check_place(const struct footage_opts *o, struct footage *f, struct err *e)
{
	struct stat st;

	if (o->must_be_in_archive && f->stored == NULL)
		return err_item(e, P_UNSUPPORTED,
		    "it is not in the archive: -O FILE or FOLDER says where the result is to go");
	if (o->must_be_recorded && !f->recorded)
		return err_item(e, P_ORPHAN,
		    "it has no row in the catalogue, so it cannot be replaced; rec-health repair "
		    "gives it one");
	return f->stored == NULL ? 0
				 : archive_locate(o->a, f->stored, strlen(f->stored),
				       f->recorded ? f->row.folder : NULL, &f->folder, &st, e);
}

static int
open_footage(struct footage_opts *o, struct footage *f, struct err *e)
{
	int fd = -1;

	/* A file that is not there is told of before what could not be done with it. */
	if (find_row(o, f, e) == -1 ||
	    (f->stored == NULL && (fd = io_open(AT_FDCWD, f->item->path, e)) == -1))
		return -1;
	if (check_place(o, f, e) == -1) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	if (fd == -1 && (fd = io_open(AT_FDCWD, f->item->path, e)) == -1)
		return -1;
	if (original_open(&f->original, fd, &tool_stop, e) == -1)
		return -1;
	return select_frames(o, f, e);
}

int
footage_next(struct footage_opts *o, struct tool_items *items, struct footage **out, struct err *e)
{
	struct footage *f = mem_new(1, sizeof *f, e);
	struct err problem;
	int rc;

	if (f == NULL)
		return -1;
	f->original.fd = -1;
	atomic_init(&f->users, 1);
	if ((rc = tool_items_next(items, &f->item, e)) != 1) {
		footage_leave(f);
		return rc;
	}
	if (!f->item->passed_on && f->item->problem.class == ERR_NONE &&
	    open_footage(o, f, &problem) == -1) {
		if (problem.class != ERR_ITEM) {
			*e = problem;
			err_prefix(e, "%s", f->item->path);
			footage_leave(f);
			return -1;
		}
		f->item->problem = problem;
		if (record_put_problem(f->item->rec, &problem, e) == -1) {
			footage_leave(f);
			return -1;
		}
	}
	*out = f;
	return 1;
}

bool
footage_is_usable(const struct footage *f)
{
	return !f->item->passed_on && f->item->problem.class == ERR_NONE;
}

void
footage_use(struct footage *f)
{
	atomic_fetch_add(&f->users, 1);
}
