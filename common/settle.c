#include "settle.h"

#include <string.h>

#include "clock.h"
#include "run.h"

#define PAGE 500

/* One recording's columns; a row that is gone meanwhile is left out. */
static int
change(struct run *r, int64_t id, const char *status, const char *proven_at, struct err *e)
{
	struct json *row;
	struct timespec t;
	char column[CLOCK_TEXT_MAX];
	int rc = catalogue_row_get(r->a->catalogue, "recordings", "id", id, &row, e);

	if (rc != 1)
		return rc;
	if (json_put_str(row, "sync_status", status, e) == -1 ||
	    (proven_at != NULL && clock_parse(proven_at, &t) &&
		json_put_str(row, "last_synced_at", clock_column(t, column), e) == -1)) {
		json_free(row);
		return -1;
	}
	return run_change(r, "recordings", "id", id, row, e) == -1 ? -1 : 0;
}

static int
settle_page(struct run *r, const struct sync_status_change *page, int n, struct err *e)
{
	if (run_begin(r, e) == -1)
		return -1;
	for (int i = 0; i < n; i++)
		if (change(r, page[i].recording_id, "synced", page[i].proven_at, e) == -1) {
			run_cancel(r);
			return -1;
		}
	return run_commit(r, e);
}

/* What failed may have been sent after all: a cancelled job's recording goes with the rest. */
static int
fail_unless_there(struct sync *s, struct run *r, int64_t id, struct err *e)
{
	struct sync_row row;
	int rc = sync_row_get(s->a.catalogue, s->known.id, id, &row, e);
	bool there;

	if (rc != 1)
		return rc;
	there = row.has_object && strcmp(row.object.sha256, row.sha256) == 0;
	sync_row_free(&row);
	return there ? 0 : change(r, id, "failed", NULL, e);
}

static int
settle_failed(struct sync *s, struct run *r, const int64_t *failed, size_t n, struct err *e)
{
	if (n == 0)
		return 0;
	if (run_begin(r, e) == -1)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (fail_unless_there(s, r, failed[i], e) == -1) {
			run_cancel(r);
			return -1;
		}
	return run_commit(r, e);
}

/* Each page is looked for again behind the last id, since what was settled is no longer found. */
static int
settle_all(struct sync *s, struct run *r, struct err *e)
{
	struct sync_status_change page[PAGE];
	int64_t after = 0;
	int n;

	while ((n = sync_unsettled(s->a.catalogue, s->known.id, after, PAGE, page, e)) > 0) {
		after = page[n - 1].recording_id;
		if (settle_page(r, page, n, e) == -1)
			return -1;
	}
	return n;
}

static int
settle(struct sync *s, const int64_t *failed, size_t n_failed, struct err *e)
{
	struct sync_status_change one;
	struct run r;
	int rc = sync_unsettled(s->a.catalogue, s->known.id, 0, 1, &one, e);

	if (rc == -1 || (rc == 0 && n_failed == 0))
		return rc;
	if (run_open(&r, &s->a, "sync", e) == -1)
		return -1;
	rc = settle_all(s, &r, e) == -1 || settle_failed(s, &r, failed, n_failed, e) == -1
		 ? -1
		 : run_end(&r, (int64_t)n_failed, e);
	run_close(&r);
	return rc;
}

int
settle_run(struct sync *s, const int64_t *failed, size_t n_failed, struct err *e)
{
	int rc;

	pthread_mutex_lock(&s->writing);
	rc = settle(s, failed, n_failed, e);
	pthread_mutex_unlock(&s->writing);
	return rc;
}
