/*
 * The journal goes before the files of its run. At every instant a run can then be taken back as a
 * whole, or not at all: rollback says that there is no such run (status 3). The other way round a
 * kill would leave a run that still offers itself; and rollback, for which a moved file that is not
 * there counts as put back already, would restore the row of a recording whose file is lost, and
 * call it restored.
 *
 * What a kill leaves in backup has no journal any more and goes by its own time of modification,
 * which is older than the run (a move keeps it): the next gc removes it, unless a row has its name.
 * Of several journals those of the schema go last, so that the schema can be taken back as long as
 * any run can.
 *
 * When a journal cannot be removed, no file that any journal names is: it may be its own.
 */
#include "gc.h"

#include <string.h>

#include "io.h"
#include "record.h"
#include "retention.h"

struct gc {
	struct tool *t;
	bool apply;
	bool journal_stays; /* one could not be removed */
};

/* *why stays ERR_NONE when it is removed. */
static void
remove_item(struct gc *g, const struct retention_item *item, struct err *why)
{
	if (item->of_run && g->journal_stays) {
		err_item(why, P_CONFLICT, "stays, since a journal could not be removed");
		return;
	}
	if (io_unlink(item->dirfd, item->name, why) == 0)
		return;
	why->code = err_code_of_errno(why->sys);
	if (item->kind == RETENTION_JOURNAL)
		g->journal_stays = true;
}

static int
emit(struct gc *g, const struct retention_item *item, bool removed, const struct err *why,
    struct err *e)
{
	struct json *rec = json_new_object(e);
	int rc = -1;

	if (rec != NULL && json_put_str(rec, "kind", retention_kind_name(item->kind), e) == 0 &&
	    json_put_bytes(rec, "path", item->path, strlen(item->path), e) == 0 &&
	    json_put_int(rec, "size_bytes", item->size_bytes, e) == 0 &&
	    (item->age_days < 0 ? json_put_null(rec, "age_days", e)
				: json_put_int(rec, "age_days", item->age_days, e)) == 0 &&
	    json_put_bool(rec, "removed", removed, e) == 0 &&
	    (why->class == ERR_NONE || record_put_problem(rec, why, e) == 0))
		rc = tool_emit_found(g->t, rec, e);
	json_free(rec);
	tool_idle(g->t);
	return rc;
}

static int
collect(void *ctx, const struct retention_item *item, struct err *e)
{
	struct gc *g = ctx;
	struct err why = {0};

	if (item->damage != NULL) {
		why = *item->damage;
		why.code = P_BAD_RECORD;
	} else if (g->apply) {
		remove_item(g, item, &why);
	}
	return emit(g, item, g->apply && why.class == ERR_NONE, &why, e);
}

int
gc_run(struct tool *t, const struct archive *a, bool apply, struct err *e)
{
	static const struct table_column columns[] = {{"kind", "KIND", 13, false},
	    {"age_days", "DAYS", 6, true}, {"size_bytes", "SIZE", 10, true},
	    {"removed", "REMOVED", 7, false}, {"problem", "PROBLEM", 10, false},
	    {"path", "PATH", 0, false}, {NULL, NULL, 0, false}};
	struct gc g = {.t = t, .apply = apply && !t->dry_run};

	t->columns = columns;
	return retention_each(a, collect, &g, e);
}
