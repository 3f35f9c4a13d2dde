/*
 * One thread makes items out of the plan and the inventory, which come in the same order, or out of
 * what the user named; hands look at the files, fetch, hash and measure; the caller's thread takes
 * what was fetched into the archive, a short run for a batch. A kill loses nothing: what is whole
 * in temp/ is found there again.
 */
#include "pull.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audio.h"
#include "clock.h"
#include "fetch.h"
#include "io.h"
#include "ledger.h"
#include "mem.h"
#include "pullplan.h"
#include "restore.h"
#include "run.h"
#include "volume.h"
#include "work.h"

#define BATCH 256
#define BATCH_AGE_NS INT64_C(2000000000)

struct pull {
	struct sync *s;
	struct pullplan *plan;
	bool skipped; /* something that the inventory names was not taken in */

	struct pullitem *batch[BATCH];
	size_t n;
	int64_t batch_ns;
	struct err failed; /* of a batch that was written while waiting */
};

/* ---- in many threads ---- */

static int
ask(struct pull *p, struct pullitem *i, struct err *e)
{
	int rc = remote_stat(p->s->remote, i->key, &i->there, NULL, e);

	if (rc == 0)
		return err_item(e, P_MISSING, "%s has no object %s", p->s->url, i->key);
	return rc == -1 ? -1 : 0;
}

/* The file is there, and the user asked about it: it is read. */
static int
compare_here(struct pull *p, struct pullitem *i, struct err *e)
{
	char sum[HASH_SHA256_HEX];
	int fd = io_open_beneath(p->s->a.folders[i->folder], i->name, e), rc;

	if (fd == -1)
		return -1;
	rc = io_digest(fd, HASH_SHA256, false, &tool_stop, NULL, sum, e);
	close(fd);
	if (rc == -1)
		return -1;
	if (i->sha256[0] != '\0' && strcmp(sum, i->sha256) != 0) {
		pullitem_conflict(&p->s->a, i, P_CHECKSUM_MISMATCH);
		*e = i->problem;
		return -1;
	}
	pullitem_say(i, DOING_NONE, "its file is there");
	return 0;
}

/* What the remote says of the object is not what is expected: nothing needs to travel. */
static int
check_object(const struct pull *p, const struct pullitem *i, struct err *e)
{
	const struct remote_object *there = &i->there;

	if (i->size_bytes >= 0 && there->size_bytes != i->size_bytes)
		return err_item(e, P_SIZE_MISMATCH,
		    "the object at %s has %lld bytes, and %lld were recorded; it is not fetched",
		    p->s->url, (long long)there->size_bytes, (long long)i->size_bytes);
	if (i->sha256[0] != '\0' && there->sha256[0] != '\0' &&
	    strcmp(i->sha256, there->sha256) != 0)
		return err_item(e, P_CHECKSUM_MISMATCH,
		    "the object at %s holds other bytes than were recorded; it is not fetched",
		    p->s->url);
	return 0;
}

/* What went along with an object that no inventory knows. */
static int
ask_title(struct pull *p, struct pullitem *i, struct err *e)
{
	struct remote_object again;
	struct json *metadata = NULL;
	const char *title;
	int rc = remote_stat(p->s->remote, i->key, &again, &metadata, e);

	title = json_get_str(metadata, "title");
	if (rc == 1 && title != NULL && (i->title = mem_str(title, e)) == NULL)
		rc = -1;
	json_free(metadata);
	return rc == -1 ? -1 : 0;
}

static int
measure(struct pullitem *i, struct err *e)
{
	const struct audio_opts o = {.stop = &tool_stop};
	int rc = restore_get_measure(i->rec, &i->got, &i->m, e);

	if (rc != 0)
		return rc == -1 ? -1 : 0;
	if (audio_measure(i->got.fd, &o, &i->m, e) == -1)
		return -1;
	/* What an archive held is its own business; what nobody vouches for must be audio. */
	if (i->rec == NULL && i->m.problem.class != ERR_NONE && i->m.frames <= 0) {
		*e = i->m.problem;
		return -1;
	}
	return fstat(i->got.fd, &i->got.st) == -1 ? err_sys(e, "stat of %s", i->got.temp) : 0;
}

/* What is noted of the object. All of its bytes were read here, when they came in one attempt; of
 * two, the first may have read another version. */
static void
prove(struct pullitem *i)
{
	struct catalogue_object *o = &i->object;
	const struct remote_object *there = &i->there;
	const char *proof = !i->got.resumed	       ? "read"
			    : there->sha256[0] != '\0' ? "sha256"
			    : there->md5[0] != '\0'    ? "md5"
						       : "";

	snprintf(o->key, sizeof o->key, "%s", i->key);
	snprintf(o->remote_id, sizeof o->remote_id, "%s", there->id);
	snprintf(o->tag, sizeof o->tag, "%s", there->tag);
	strcpy(o->sha256, i->got.sha256);
	strcpy(o->proof, proof);
	o->size_bytes = i->got.st.st_size;
	clock_rfc3339(clock_now(), o->proven_at);
}

static int
fetch(struct pull *p, struct pullitem *i, struct err *e)
{
	const struct fetch f = {
	    .s = p->s, .there = &i->there, .name = i->name, .sha256 = i->sha256, .mtime = i->mtime};

	if (i->doing == DOING_ADD && i->rec == NULL && ask_title(p, i, e) == -1)
		return -1;
	if (fetch_object(&f, &i->got, e) == -1)
		return -1;
	if (i->doing == DOING_ADD && measure(i, e) == -1) {
		if (!sync_is_fatal(e))
			fetched_drop(p->s, &i->got);
		return -1;
	}
	prove(i);
	i->fetched = true;
	sync_event(p->s, "fetched", i->key, ",\"bytes\":%lld,\"resumed\":%s",
	    (long long)i->got.received, i->got.resumed ? "true" : "false");
	return 0;
}

static int
work_on(struct pull *p, struct pullitem *i, struct err *e)
{
	if (i->given != NULL || i->doing == DOING_SKIP || i->problem.class != ERR_NONE)
		return 0;
	if (i->named && i->is_there)
		return compare_here(p, i, e);
	if ((i->must_ask && ask(p, i, e) == -1) || check_object(p, i, e) == -1)
		return -1;
	return p->s->t->dry_run ? 0 : fetch(p, i, e);
}

/* ---- telling ---- */

static int
record_of(struct pull *p, const struct pullitem *i, struct json **rec, struct err *e)
{
	int rc = 0;

	*rec = NULL;
	if (i->id != 0)
		rc = catalogue_record(p->s->a.catalogue, i->id, rec, e);
	if (rc == 0 && i->rec != NULL) {
		rc = (*rec = json_clone(i->rec, e)) == NULL ? -1 : 1;
		if (rc == 1)
			json_del(*rec, "said");
	}
	if (rc == 0)
		rc = (*rec = json_new_object(e)) == NULL ||
			     json_put_int(*rec, "size_bytes", i->there.size_bytes, e) == -1
			 ? -1
			 : 1;
	if (rc == -1)
		return -1;
	/* That of the recording is told by rec-meta; here it would be taken for one of the pull. */
	json_del(*rec, "problem");
	return sync_put_place(p->s, *rec, i->key, e);
}

static int
tell(struct pull *p, struct pullitem *i, struct err *e)
{
	struct json *rec = NULL;
	int rc = -1;

	if (i->given != NULL)
		return i->problem.class != ERR_NONE ? tool_emit_found(p->s->t, i->given, e)
						    : tool_emit(p->s->t, i->given, e);
	if (record_of(p, i, &rec, e) == -1 ||
	    json_put_str(rec, "action", pullitem_doing_name(i->doing), e) == -1 ||
	    (i->why[0] != '\0' && json_put_str(rec, "why", i->why, e) == -1) ||
	    (i->fetched && json_put_int(rec, "fetched_bytes", i->got.received, e) == -1) ||
	    (i->problem.class != ERR_NONE && sync_put_problem(p->s, rec, &i->problem, e) == -1))
		goto out;
	rc = tool_emit_found(p->s->t, rec, e);
out:
	json_free(rec);
	return rc;
}

/* ---- taking in ---- */

static int
take_in(struct run *r, struct pullitem *i, struct err *e)
{
	struct restore x = {.folder = i->folder,
	    .name = i->name,
	    .id = i->id,
	    .rec = i->rec,
	    .title = i->title,
	    .m = &i->m,
	    .proven_at = i->object.proof[0] != '\0' ? i->object.proven_at : NULL};
	int64_t id;

	if (restore_put(r, &x, &i->got, &id, e) == -1)
		return -1;
	i->id = i->object.recording_id = id;
	i->taken_in = true;
	return 0;
}

static int
take_all(struct pull *p, struct run *r, struct err *e)
{
	struct err why;
	int64_t problems = 0;

	for (size_t k = 0; k < p->n; k++) {
		struct pullitem *i = p->batch[k];

		if (!i->fetched || i->problem.class != ERR_NONE)
			continue;
		if (take_in(r, i, &why) == 0)
			continue;
		if (sync_is_fatal(&why)) {
			*e = why;
			return -1;
		}
		i->problem = why;
		problems++;
	}
	if (volume_record(r, e) == -1)
		return -1;
	return run_end(r, problems, e);
}

/* What the objects of the batch were proven to hold. */
static int
note_objects(struct pull *p, struct err *e)
{
	struct catalogue_object *o = mem_new(p->n, sizeof *o, e);
	size_t n = 0;
	int rc;

	if (o == NULL)
		return -1;
	for (size_t k = 0; k < p->n; k++)
		if (p->batch[k]->fetched && p->batch[k]->problem.class == ERR_NONE &&
		    p->batch[k]->object.proof[0] != '\0')
			o[n++] = p->batch[k]->object;
	rc = n > 0 ? ledger_prove(p->s, o, n, e) : 0;
	free(o);
	return rc;
}

static int
take_batch(struct pull *p, struct err *e)
{
	struct run r = {0};
	bool any = false;
	int rc;

	for (size_t k = 0; k < p->n; k++)
		any |= p->batch[k]->fetched && p->batch[k]->problem.class == ERR_NONE;
	if (!any)
		return 0;
	rc = run_open(&r, &p->s->a, "pull", e) == -1 ? -1 : take_all(p, &r, e);
	run_close(&r);
	return rc == -1 ? -1 : note_objects(p, e);
}

/* Also when the batch could not be ended: what was taken in so far is told. */
static int
flush(struct pull *p, struct err *e)
{
	struct err why;
	int rc = take_batch(p, e), told = 0;

	for (size_t k = 0; k < p->n; k++) {
		struct pullitem *i = p->batch[k];

		if (i->of_inventory && (i->problem.class != ERR_NONE || i->doing == DOING_SKIP))
			p->skipped = true;
		if (told == 0 && (rc == 0 || i->taken_in))
			told = tell(p, i, &why);
		pullitem_free(i);
	}
	p->n = 0;
	if (rc == 0 && told == -1) {
		*e = why;
		rc = -1;
	}
	return rc;
}

/* ---- the hands ---- */

static int
next(void *ctx, void **item, struct err *e)
{
	struct pull *p = ctx;
	struct pullitem *i;
	int rc = pullplan_next(p->plan, &i, e);

	if (rc == 1)
		*item = i;
	return rc;
}

static void
work(void *ctx, void *item)
{
	struct pull *p = ctx;
	struct pullitem *i = item;
	struct err why;

	if (work_on(p, i, &why) == -1)
		i->problem = why;
	fetched_close(&i->got);
	atomic_fetch_add(&p->s->t->items_done, 1);
}

static int
done(void *ctx, void *item, struct err *e)
{
	struct pull *p = ctx;
	struct pullitem *i = item;

	if (p->failed.class == ERR_NONE && i->problem.class != ERR_NONE &&
	    sync_is_fatal(&i->problem)) {
		p->failed = i->problem;
		pullitem_free(i);
		/* What is whole is taken in, unless the run is to stop. */
		if (p->failed.class != ERR_STOPPED && flush(p, e) == -1)
			return -1;
		*e = p->failed;
		return -1;
	}
	if (p->failed.class != ERR_NONE) {
		pullitem_free(i);
		*e = p->failed;
		return -1;
	}
	if (p->n == 0)
		p->batch_ns = clock_monotonic_ns();
	p->batch[p->n++] = i;
	return p->n == BATCH ? flush(p, e) : 0;
}

static void
drop(void *ctx, void *item)
{
	(void)ctx;
	pullitem_free(item);
}

/* A large file may travel for hours: what came before it is not kept waiting. */
static void
idle(void *ctx)
{
	struct pull *p = ctx;

	if (p->n > 0 && p->failed.class == ERR_NONE && atomic_load(&tool_stop) == 0 &&
	    clock_monotonic_ns() - p->batch_ns > BATCH_AGE_NS)
		flush(p, &p->failed);
	tool_idle(p->s->t);
}

/* ---- the whole ---- */

/* Finishes or takes back what a killed pull left, before its files are looked at. */
static int
settle(struct pull *p, struct err *e)
{
	struct run r;
	int rc;

	if (p->s->t->dry_run)
		return 0;
	if (run_open(&r, &p->s->a, "pull", e) == -1)
		return -1;
	rc = archive_need_folder(&p->s->a, FOLDER_TEMP, e) == -1 ? -1 : run_end(&r, 0, e);
	run_close(&r);
	return rc;
}

/* An archive that holds all that the inventory names may put its own in the place of it. */
static int
claim(struct pull *p, struct err *e)
{
	struct catalogue_remote *known = &p->s->known;
	const char *tag = pullplan_claim(p->plan);
	char *copy;

	if (tag == NULL || p->skipped || p->s->t->dry_run)
		return 0;
	if ((copy = mem_str(tag, e)) == NULL)
		return -1;
	free(known->catalogue_tag);
	known->catalogue_tag = copy;
	known->catalogue_digest[0] = '\0';
	return ledger_remote(p->s, e);
}

static int
run_all(struct pull *p, struct err *e)
{
	const struct work w = {.next = next,
	    .work = work,
	    .done = done,
	    .drop = drop,
	    .idle = idle,
	    .ctx = p,
	    .jobs = p->s->transfers,
	    .stop = &tool_stop};
	struct err why;
	int rc = work_run(&w, e);

	if (rc == -1 && (e->class == ERR_STOPPED || p->failed.class != ERR_NONE))
		return -1;
	/* When making items failed, what was fetched before is taken in all the same. */
	if (flush(p, &why) == -1 && rc == 0) {
		*e = why;
		rc = -1;
	}
	if (rc == 0 && p->failed.class != ERR_NONE) {
		*e = p->failed;
		rc = -1;
	}
	return rc == 0 && pullplan_sweep(p->plan, e) == 0 ? claim(p, e) : -1;
}

int
pull_run(struct sync *s, struct err *e)
{
	struct pull p = {.s = s};
	int rc = -1;

	if (remote_check(s->remote, e) == 0 && settle(&p, e) == 0 &&
	    (p.plan = pullplan_open(s, e)) != NULL)
		rc = run_all(&p, e);
	for (size_t k = 0; k < p.n; k++)
		pullitem_free(p.batch[k]);
	pullplan_close(p.plan);
	return rc == 0 ? sync_later(s, e) : -1;
}
