/*
 * The plan says what is at either side; what it calls in order is what was proven, and still is as
 * it was then. With download, hands read the objects; else nothing travels but listings.
 */
#include "audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "edit.h"
#include "ledger.h"
#include "mem.h"
#include "plan.h"
#include "proof.h"
#include "record.h"
#include "syncitems.h"
#include "work.h"

#define BATCH 256

struct counts {
	int64_t recordings, verified, missing, different, unproven, foreign, bytes, downloaded;
};

struct checked {
	struct sync_row row;
	char key[SYNC_KEY_MAX + 1];
	bool must_ask, is_there;
	struct remote_object there;
	struct json *given; /* goes out as it came in */
	bool foreign;
	char why[160];
	int64_t downloaded;
	struct err problem;		/* class ERR_NONE: verified, or foreign */
	struct catalogue_object object; /* newly proven when its proof is not "" */
};

struct audit {
	struct sync *s;
	struct archive view; /* of the making thread */
	struct tool_items *items;
	struct tool_item *first;
	struct plan *plan;
	bool download, notes;
	struct counts n;
	struct catalogue_object proven[BATCH];
	size_t n_proven;
};

static void
checked_free(struct checked *c)
{
	if (c == NULL)
		return;
	sync_row_free(&c->row);
	json_free(c->given);
	free(c);
}

/* ---- judging ---- */

/* What the bytes should be: as recorded, else as they were when they were sent. */
static const char *
expected(const struct sync_row *row)
{
	if (row->sha256[0] != '\0')
		return row->sha256;
	return row->has_object ? row->object.sha256 : "";
}

/* The object is the version that was proven; one without a tag cannot be told from another. */
static bool
is_as_proven(const struct checked *c)
{
	const struct catalogue_object *o = &c->row.object;

	return c->row.has_object && o->tag[0] != '\0' && strcmp(o->tag, c->there.tag) == 0 &&
	       o->size_bytes == c->there.size_bytes;
}

static int
check_size(const struct audit *a, const struct checked *c, struct err *e)
{
	int64_t size = c->row.size_bytes;

	if (size == -1 && c->row.has_object)
		size = c->row.object.size_bytes;
	if (size == -1 || size == c->there.size_bytes)
		return 0;
	return err_item(e, P_SIZE_MISMATCH,
	    "the object at %s has %lld bytes, the recording %lld; rec-sync push compares them and "
	    "says what can be done",
	    a->s->url, (long long)c->there.size_bytes, (long long)size);
}

static int
differs(const struct audit *a, struct err *e)
{
	return err_item(e, P_CHECKSUM_MISMATCH,
	    "the object at %s holds other bytes than were recorded; while the file here is good "
	    "(rec-health check), move the object away and run rec-sync push",
	    a->s->url);
}

/* By what the remote says, and what was proven. */
static int
judge_by_word(const struct audit *a, const struct checked *c, struct err *e)
{
	const char *wanted = expected(&c->row);

	if (wanted[0] != '\0' && c->there.sha256[0] != '\0')
		return strcmp(wanted, c->there.sha256) == 0 ? 0 : differs(a, e);
	if (wanted[0] != '\0' && is_as_proven(c)) {
		if (strcmp(wanted, c->row.object.sha256) == 0)
			return 0;
		return err_item(e, P_CHECKSUM_MISMATCH,
		    "the recording was changed after its object at %s was sent; run rec-sync push",
		    a->s->url);
	}
	if (wanted[0] == '\0')
		return err_item(e, P_UNSUPPORTED,
		    "no hash of the recording is known, so nothing can be compared; run "
		    "rec-migrate "
		    "apply first");
	return err_item(e, P_UNSUPPORTED,
	    c->row.has_object
		? "the object at %s is not the one that was proven, and tells no SHA-256; "
		  "--download reads it, and rec-sync push compares it"
		: "the object at %s was never proven, and tells no SHA-256; --download reads it, "
		  "and rec-sync push compares it",
	    a->s->url);
}

/* By reading it. */
static int
judge_by_bytes(const struct audit *a, struct checked *c, struct err *e)
{
	const char *wanted = expected(&c->row);
	struct catalogue_object *o = &c->object;
	char sha256[HASH_SHA256_HEX];
	int rc;

	if (wanted[0] == '\0')
		return judge_by_word(a, c, e);
	sync_enter(a->s, c->there.size_bytes);
	rc = proof_read(a->s, &c->there, sha256, &c->downloaded, e);
	sync_leave(a->s, c->there.size_bytes);
	if (rc == -1)
		return -1;
	if (strcmp(sha256, wanted) != 0)
		return differs(a, e);
	snprintf(o->key, sizeof o->key, "%s", c->key);
	snprintf(o->remote_id, sizeof o->remote_id, "%s", c->there.id);
	snprintf(o->tag, sizeof o->tag, "%s", c->there.tag);
	strcpy(o->sha256, sha256);
	strcpy(o->proof, "read");
	o->recording_id = c->row.recording_id;
	o->size_bytes = c->downloaded;
	clock_rfc3339(clock_now(), o->proven_at);
	return 0;
}

static int
judge(const struct audit *a, struct checked *c, struct err *e)
{
	int rc;

	if (c->must_ask) {
		if ((rc = remote_stat(a->s->remote, c->key, &c->there, NULL, e)) == 0)
			rc = plan_look(a->s, &c->row, &c->there, e);
		if (rc == -1)
			return -1;
		c->is_there = rc == 1;
	}
	if (c->key[0] == '\0')
		return err_item(e, P_UNSAFE_PATH,
		    "its name is longer than a key at a remote can be, so it has no object; give "
		    "it "
		    "a shorter one");
	if (!c->is_there)
		return err_item(
		    e, P_MISSING, "%s has no object of it; run rec-sync push", a->s->url);
	if (check_size(a, c, e) == -1)
		return -1;
	return a->download ? judge_by_bytes(a, c, e) : judge_by_word(a, c, e);
}

static void
work(void *ctx, void *item)
{
	const struct audit *a = ctx;
	struct checked *c = item;
	struct err why;

	if (c->given == NULL && !c->foreign && judge(a, c, &why) == -1)
		c->problem = why;
	atomic_fetch_add(&a->s->t->items_done, 1);
}

/* ---- making ---- */

static struct checked *
checked_new(struct sync_row *row, struct err *e)
{
	struct checked *c = mem_new(1, sizeof *c, e);

	if (c == NULL) {
		sync_row_free(row);
		return NULL;
	}
	c->row = *row;
	*row = (struct sync_row){.size_bytes = -1};
	snprintf(c->key, sizeof c->key, "%s", c->row.key);
	return c;
}

/* Recordings that are to have an object, and objects without recordings. */
static bool
is_of_interest(const struct plan_item *at)
{
	if (!at->row.has_recording)
		return at->is_there;
	return !at->row.deleted || at->row.has_object;
}

static int
next_of_all(struct audit *a, struct checked **c, struct err *e)
{
	struct plan_item *at;
	int rc;

	while ((rc = plan_next(a->plan, &at, e)) == 1) {
		if (is_of_interest(at))
			break;
		plan_item_free(at);
	}
	if (rc != 1)
		return rc;
	if ((*c = checked_new(&at->row, e)) == NULL) {
		plan_item_free(at);
		return -1;
	}
	(*c)->is_there = at->is_there;
	(*c)->there = at->there;
	(*c)->foreign = !(*c)->row.has_recording;
	if ((*c)->foreign)
		snprintf((*c)->why, sizeof(*c)->why, "%s", at->why);
	plan_item_free(at);
	return 1;
}

/* A key names its recording, too; in a record it counts more than a number, which may be that of
 * another archive. 1 and *id; 0 with a problem put into the item; -1. */
static int
find(const struct audit *a, struct tool_item *t, int64_t *id, struct err *e)
{
	const char *given = json_get_str(t->rec, "key"), *key = given, *folder;
	char *name;
	size_t len;
	int rc;

	if (key == NULL)
		key = t->path;
	if (key == NULL || sync_name(key, &folder, &name, &len) == -1)
		return edit_find(&a->view, t, id, e);
	rc = catalogue_find_stored(a->view.catalogue, name, len, id, e);
	free(name);
	if (rc != 0 || given == NULL)
		return rc != 0 ? rc : edit_find(&a->view, t, id, e);
	err_item(&t->problem, P_BAD_RECORD, "no recording has this key; rec-meta list shows them");
	return record_put_problem(t->rec, &t->problem, e);
}

static struct checked *
named(struct audit *a, struct tool_item *t, struct err *e)
{
	struct sync_row row = {.size_bytes = -1};
	struct checked *c;
	int64_t id;
	int rc = 0;

	if (!t->passed_on && t->problem.class == ERR_NONE &&
	    ((rc = find(a, t, &id, e)) == -1 ||
		(rc == 1 &&
		    (rc = sync_row_get(a->view.catalogue, a->s->known.id, id, &row, e)) == -1)))
		return NULL;
	if ((c = checked_new(&row, e)) == NULL)
		return NULL;
	c->must_ask = c->key[0] != '\0';
	if (rc == 0) {
		c->given = t->rec;
		t->rec = NULL;
		c->problem = t->problem;
	}
	return c;
}

static int
next_named(struct audit *a, struct checked **c, struct err *e)
{
	struct tool_item *t;
	int rc = 1;

	if ((t = a->first) != NULL)
		a->first = NULL;
	else if ((rc = tool_items_next(a->items, &t, e)) != 1)
		return rc;
	*c = named(a, t, e);
	tool_item_free(t);
	return *c == NULL ? -1 : 1;
}

static int
next(void *ctx, void **item, struct err *e)
{
	struct audit *a = ctx;
	struct checked *c = NULL;
	int rc = a->items != NULL ? next_named(a, &c, e) : next_of_all(a, &c, e);

	*item = c;
	return rc;
}

/* ---- telling ---- */

static void
count(struct counts *n, const struct checked *c)
{
	const char *code = c->problem.code != NULL ? c->problem.code : "";

	n->downloaded += c->downloaded;
	if (c->foreign) {
		n->foreign++;
		return;
	}
	n->recordings++;
	if (c->problem.class == ERR_NONE) {
		n->verified++;
		n->bytes += c->there.size_bytes;
	} else if (strcmp(code, P_MISSING) == 0) {
		n->missing++;
	} else if (strcmp(code, P_SIZE_MISMATCH) == 0 || strcmp(code, P_CHECKSUM_MISMATCH) == 0) {
		n->different++;
	} else {
		n->unproven++;
	}
}

static int
record_of(struct audit *a, const struct checked *c, struct json **rec, struct err *e)
{
	int rc = 0;

	*rec = NULL;
	if (c->row.has_recording)
		rc = catalogue_record(a->s->a.catalogue, c->row.recording_id, rec, e);
	if (rc == 0 && ((*rec = json_new_object(e)) == NULL ||
			   json_put_int(*rec, "size_bytes", c->there.size_bytes, e) == -1))
		return -1;
	if (rc == -1)
		return -1;
	/* What is wrong with the file here is not what was asked. */
	json_del(*rec, "problem");
	return sync_put_place(a->s, *rec, c->key, e);
}

static int
tell(struct audit *a, const struct checked *c, struct err *e)
{
	struct json *rec = NULL;
	int rc = -1;

	if (c->given != NULL)
		return c->problem.class != ERR_NONE ? tool_emit_found(a->s->t, c->given, e)
						    : tool_emit(a->s->t, c->given, e);
	if (c->problem.class == ERR_NONE && !c->foreign)
		return 0;
	if (record_of(a, c, &rec, e) == 0 &&
	    (!c->foreign || (json_put_str(rec, "action", action_name(ACTION_FOREIGN), e) == 0 &&
				json_put_str(rec, "why", c->why, e) == 0)) &&
	    (c->problem.class == ERR_NONE || sync_put_problem(a->s, rec, &c->problem, e) == 0))
		rc = tool_emit_found(a->s->t, rec, e);
	json_free(rec);
	return rc;
}

static int
tell_counts(struct audit *a, struct err *e)
{
	const struct counts *n = &a->n;
	const struct {
		const char *name;
		int64_t n;
	} all[] = {{"recordings", n->recordings}, {"verified", n->verified},
	    {"missing", n->missing}, {"different", n->different}, {"unproven", n->unproven},
	    {"foreign", n->foreign}, {"bytes", n->bytes}, {"downloaded_bytes", n->downloaded}};
	struct json *rec = json_new_object(e);
	int rc = rec == NULL ? -1 : json_put_str(rec, "remote", a->s->url, e);

	for (size_t i = 0; rc == 0 && i < sizeof all / sizeof all[0]; i++)
		rc = json_put_int(rec, all[i].name, all[i].n, e);
	if (rc == 0)
		rc = tool_emit(a->s->t, rec, e);
	json_free(rec);
	return rc;
}

static int
note(struct audit *a, struct err *e)
{
	size_t n = a->n_proven;

	a->n_proven = 0;
	return n == 0 ? 0 : ledger_prove(a->s, a->proven, n, e);
}

static int
done(void *ctx, void *item, struct err *e)
{
	struct audit *a = ctx;
	struct checked *c = item;
	int rc = 0;

	if (c->problem.class != ERR_NONE && sync_is_fatal(&c->problem)) {
		*e = c->problem;
		checked_free(c);
		return -1;
	}
	if (c->given == NULL)
		count(&a->n, c);
	if (a->notes && c->object.proof[0] != '\0') {
		a->proven[a->n_proven++] = c->object;
		if (a->n_proven == BATCH)
			rc = note(a, e);
	}
	if (rc == 0)
		rc = tell(a, c, e);
	checked_free(c);
	return rc;
}

static void
drop(void *ctx, void *item)
{
	(void)ctx;
	checked_free(item);
}

static void
idle(void *ctx)
{
	struct audit *a = ctx;

	tool_idle(a->s->t);
}

/* ---- the whole ---- */

static int
open_source(struct audit *a, struct err *e)
{
	const struct plan_opts all = {.all = true, .deleted = true};
	int rc;

	a->view = a->s->a;
	if ((a->view.catalogue = sync_reader(a->s, e)) == NULL ||
	    (rc = syncitems_open(a->s->t, &a->items, &a->first, e)) == -1)
		return -1;
	if (rc == 0 && (a->plan = plan_open(a->s, &all, e)) == NULL)
		return -1;
	return 0;
}

static int
run_all(struct audit *a, struct err *e)
{
	const struct work w = {.next = next,
	    .work = work,
	    .done = done,
	    .drop = drop,
	    .idle = idle,
	    .ctx = a,
	    .jobs = a->s->transfers,
	    .stop = &tool_stop};
	struct err why;
	int rc = work_run(&w, e);

	/* What was proven before something went wrong is proven. */
	if (note(a, &why) == -1 && rc == 0) {
		*e = why;
		rc = -1;
	}
	return rc == 0 ? tell_counts(a, e) : -1;
}

int
audit_run(struct sync *s, bool download, struct err *e)
{
	struct audit *a = mem_new(1, sizeof *a, e);
	int rc = -1;

	if (a == NULL)
		return -1;
	a->s = s;
	a->download = download;
	a->notes = s->folder != -1 && !s->t->dry_run;
	if (remote_check(s->remote, e) == 0 && open_source(a, e) == 0)
		rc = run_all(a, e);
	plan_close(a->plan);
	if (a->first != NULL)
		tool_item_free(a->first);
	if (a->items != NULL)
		tool_items_close(a->items);
	catalogue_close(a->view.catalogue);
	free(a);
	return rc;
}
