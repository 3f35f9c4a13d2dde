#include "verify.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "io.h"
#include "mem.h"
#include "record.h"
#include "scan.h"
#include "shard.h"
#include "work.h"

struct context {
	struct verify *v;
	struct catalogue *reader;
	struct scan scan;
};

struct entry {
	struct catalogue_row row;
	struct err problem;
	int64_t *count; /* of struct verify: what it is counted as */
	struct err fatal;
};

static void
drop(void *ctx, void *item)
{
	struct entry *en = item;

	(void)ctx;
	catalogue_row_free(&en->row);
	free(en);
}

static int
next(void *ctx, void **item, struct err *e)
{
	struct context *c = ctx;
	struct entry *en = mem_new(1, sizeof *en, e);
	int rc = en == NULL ? -1 : 1;

	while (rc == 1 && (rc = scan_next(&c->scan, &en->row, e)) == 1 &&
	       !shard_has_row(c->v->t, c->v->a, &en->row))
		catalogue_row_free(&en->row);
	if (rc == 1)
		*item = en;
	else
		free(en);
	return rc;
}

/* The bytes against the recorded SHA-256. */
static void
compare_bytes(struct context *c, struct entry *en, enum folder f)
{
	char now[HASH_SHA256_HEX];
	int fd = io_open_beneath(c->v->a->folders[f], en->row.stored, &en->problem), rc;

	if (fd == -1) {
		en->count = &c->v->missing;
		return;
	}
	rc = io_digest(fd, HASH_SHA256, false, &tool_stop, &c->v->t->bytes_done, now, &en->problem);
	close(fd);
	if (rc == -1 && en->problem.class != ERR_ITEM) {
		en->fatal = en->problem;
	} else if (rc == -1) {
		en->count = &c->v->missing;
	} else if (strcmp(now, en->row.sha256) != 0) {
		err_item(&en->problem, P_CHECKSUM_MISMATCH,
		    "size and time are as recorded, the bytes are not: SHA-256 is %s, recorded is "
		    "%s",
		    now, en->row.sha256);
		en->count = &c->v->changed;
	}
}

static void
look(void *ctx, void *item)
{
	struct context *c = ctx;
	struct entry *en = item;
	const struct catalogue_row *row = &en->row;
	struct stat st;
	enum folder f;
	char mtime[CLOCK_TEXT_MAX];
	const char *expected = row->seen_mtime != NULL ? row->seen_mtime : row->mtime;
	int64_t size = row->seen_mtime != NULL ? row->seen_size_bytes : row->size_bytes;

	en->count = &c->v->complete;
	if (archive_locate(
		c->v->a, row->stored, row->stored_len, row->folder, &f, &st, &en->problem) == -1) {
		en->count = &c->v->missing;
	} else if (!row->measured || expected == NULL) {
		err_item(&en->problem, P_BAD_RECORD, "not measured yet: run rec-migrate apply");
		en->count = &c->v->unmeasured;
	} else if (size != (int64_t)st.st_size ||
		   strcmp(expected, clock_rfc3339(st.st_mtim, mtime)) != 0) {
		err_item(&en->problem, size != (int64_t)st.st_size ? P_SIZE_MISMATCH : P_MODIFIED,
		    "changed since it was measured: %lld bytes and %s then, %lld bytes and %s now",
		    (long long)size, expected, (long long)st.st_size,
		    clock_rfc3339(st.st_mtim, mtime));
		en->count = &c->v->changed;
	} else {
		/* The recorded bytes are on disk unless others were seen there. */
		if (!c->v->quick && row->sha256 != NULL && row->seen_mtime == NULL)
			compare_bytes(c, en, f);
		if (en->problem.class == ERR_NONE && row->problem_code != NULL) {
			err_item(&en->problem, row->problem_code, "%s",
			    row->problem_message != NULL ? row->problem_message : "");
			en->count = &c->v->damaged;
		}
	}
	atomic_fetch_add(&c->v->t->items_done, 1);
}

static int
done(void *ctx, void *item, struct err *e)
{
	struct context *c = ctx;
	struct entry *en = item;
	struct json *rec = NULL;
	int rc = 0;

	if (en->fatal.class != ERR_NONE) {
		*e = en->fatal;
		drop(ctx, en);
		return -1;
	}
	c->v->rows++;
	++*en->count;
	if (en->problem.class != ERR_NONE &&
	    (rc = catalogue_record(c->v->a->catalogue, en->row.id, &rec, e)) == 1)
		rc = record_put_problem(rec, &en->problem, e) == -1
			 ? -1
			 : tool_emit_found(c->v->t, rec, e);
	json_free(rec);
	drop(ctx, en);
	return rc;
}

static void
idle(void *ctx)
{
	tool_idle(((struct context *)ctx)->v->t);
}

int
verify_run(struct verify *v, struct err *e)
{
	struct context *c = mem_new(1, sizeof *c, e);
	struct catalogue_opts o = v->a->catalogue_opts;
	struct work w = {.next = next,
	    .work = look,
	    .done = done,
	    .drop = drop,
	    .idle = idle,
	    .ctx = c,
	    .jobs = v->t->jobs,
	    .stop = &tool_stop};
	int rc = -1;

	if (c == NULL)
		return -1;
	c->v = v;
	o.write = false;
	if ((c->reader = catalogue_open(&o, e)) != NULL) {
		scan_start(&c->scan, c->reader);
		rc = work_run(&w, e);
		scan_end(&c->scan);
	}
	catalogue_close(c->reader);
	free(c);
	return rc;
}
