#include "plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

struct plan {
	struct sync *s;
	struct plan_opts o;
	struct catalogue *c;
	struct sync_walk *walk;
	struct lister *lister;
	struct sync_row row;
	struct remote_object object;
	int has_row, has_object; /* 1: one is at hand, 0: at the end */
	bool begun;
	bool knows_objects; /* else there is nothing to rename */
};

const char *
action_name(enum action a)
{
	static const char *const names[] = {"none", "upload", "replace", "prove", "rename",
	    "conflict", "delete", "foreign", "forget", "skip"};

	return names[a];
}

void
plan_item_free(struct plan_item *item)
{
	if (item == NULL)
		return;
	sync_row_free(&item->row);
	free(item);
}

/* ---- deciding ---- */

/* The object is still as it was when it was proven. */
static bool
is_as_proven(const struct sync_row *row, const struct remote_object *there)
{
	return row->object.size_bytes == there->size_bytes &&
	       strcmp(row->object.tag, there->tag) == 0;
}

static enum action
say(struct plan_item *item, enum action a, const char *why)
{
	snprintf(item->why, sizeof item->why, "%s", why);
	return a;
}

/* Neither a recording nor a trace of one, or what an earlier one left. */
static enum action
decide_object(struct plan_item *item)
{
	if (!item->row.has_object)
		return say(item, ACTION_FOREIGN, "no recording has this name, and it is not ours");
	if (!item->is_there)
		return say(item, ACTION_FORGET, "the recording is gone, and its object too");
	if (!is_as_proven(&item->row, &item->there))
		return say(item, ACTION_FOREIGN,
		    "the recording is gone, and somebody put another object in the place of ours");
	return say(item, ACTION_DELETE, "the recording is gone");
}

static enum action
decide_absent(struct plan_item *item, const struct plan_opts *o)
{
	const struct sync_row *row = &item->row;

	if (row->deleted && !o->deleted)
		return say(item, ACTION_SKIP, "it is deleted");
	return say(item, ACTION_UPLOAD,
	    row->has_object ? "its object is not there any more" : "it is not there");
}

static enum action
decide_present(struct plan_item *item)
{
	const struct sync_row *row = &item->row;
	bool same = row->has_object && row->sha256[0] != '\0' &&
		    strcmp(row->object.sha256, row->sha256) == 0;

	if (!row->has_object)
		return say(item, ACTION_PROVE, "an object is there that was never compared");
	if (!is_as_proven(row, &item->there))
		return say(item, ACTION_PROVE,
		    "its object is not the one that was proven: somebody replaced it");
	if (same)
		return say(item, ACTION_NONE, "");
	return say(item, ACTION_REPLACE,
	    row->sha256[0] != '\0' ? "the recording has been changed since"
				   : "it was never measured, so it is read (rec-migrate apply)");
}

/* Bytes that are to go there may be there already, under a key that no recording has for them. */
static int
look_for_bytes(
    struct sync *s, struct catalogue *c, struct plan_item *item, enum action *a, struct err *e)
{
	int rc;

	if ((*a != ACTION_UPLOAD && *a != ACTION_REPLACE) || item->row.sha256[0] == '\0')
		return 0;
	rc = catalogue_object_find(c, s->known.id, item->row.sha256, &item->from, e);
	if (rc == 1 && strcmp(item->from.key, item->row.key) != 0)
		*a = say(item, ACTION_RENAME, "its bytes are there under another name");
	return rc == -1 ? -1 : 0;
}

int
plan_look(struct sync *s, const struct sync_row *row, struct remote_object *there, struct err *e)
{
	const struct catalogue_object *o = &row->object;
	struct remote_object known = {.size_bytes = o->size_bytes};

	if (!row->has_object || o->remote_id[0] == '\0')
		return 0;
	strcpy(known.key, o->key);
	strcpy(known.id, o->remote_id);
	return remote_look(s->remote, &known, there, e);
}

static int
decide(struct sync *s, struct catalogue *c, struct plan_item *item, const struct plan_opts *o,
    bool renames, struct err *e)
{
	enum action a;
	int rc;

	if (!item->is_there) {
		if ((rc = plan_look(s, &item->row, &item->there, e)) == -1)
			return -1;
		item->is_there = rc == 1;
	}
	if (item->row.key[0] == '\0')
		a = say(item, ACTION_CONFLICT, "its name is too long for the name of an object");
	else if (!item->row.has_recording)
		a = decide_object(item);
	else
		a = item->is_there ? decide_present(item) : decide_absent(item, o);
	if (renames && look_for_bytes(s, c, item, &a, e) == -1)
		return -1;
	item->action = a;
	return 0;
}

/* ---- the merge ---- */

struct plan *
plan_open(struct sync *s, const struct plan_opts *o, struct err *e)
{
	struct plan *p = mem_new(1, sizeof *p, e);
	int64_t objects;

	if (p == NULL)
		return NULL;
	p->s = s;
	p->o = *o;
	if ((p->c = sync_reader(s, e)) == NULL ||
	    (objects = catalogue_object_count(p->c, s->known.id, e)) == -1 ||
	    (p->lister = lister_open(s, p->c, e)) == NULL ||
	    (p->walk = sync_walk_open(p->c, s->known.id, "", "", e)) == NULL) {
		plan_close(p);
		return NULL;
	}
	p->knows_objects = objects > 0;
	return p;
}

void
plan_close(struct plan *p)
{
	if (p == NULL)
		return;
	lister_close(p->lister);
	if (p->walk != NULL)
		sync_walk_close(p->walk);
	if (p->has_row == 1)
		sync_row_free(&p->row);
	catalogue_close(p->c);
	free(p);
}

/* What is at hand at most once on either side; both are always read one ahead. */
static int
advance(struct plan *p, bool row, bool object, struct err *e)
{
	if (row && (p->has_row = sync_walk_next(p->walk, &p->row, e)) == -1)
		return -1;
	if (object && (p->has_object = lister_next(p->lister, &p->object, e)) == -1)
		return -1;
	return 0;
}

static struct plan_item *
next_pair(struct plan *p, struct err *e)
{
	struct plan_item *item = mem_new(1, sizeof *item, e);
	int order = p->has_row != 1	 ? 1
		    : p->has_object != 1 ? -1
					 : strcmp(p->row.key, p->object.key);

	if (item == NULL)
		return NULL;
	if (order <= 0) {
		item->row = p->row;
		p->has_row = 0;
	} else {
		snprintf(item->row.key, sizeof item->row.key, "%s", p->object.key);
	}
	if (order >= 0) {
		item->is_there = true;
		item->there = p->object;
	}
	if (advance(p, order <= 0, order >= 0, e) == -1) {
		plan_item_free(item);
		return NULL;
	}
	return item;
}

int
plan_next(struct plan *p, struct plan_item **item, struct err *e)
{
	if (!p->begun && advance(p, true, true, e) == -1)
		return -1;
	p->begun = true;
	while (p->has_row == 1 || p->has_object == 1) {
		if (atomic_load(&tool_stop) != 0)
			return err_set(e, ERR_STOPPED, NULL, "stopped");
		if ((*item = next_pair(p, e)) == NULL)
			return -1;
		if (decide(p->s, p->c, *item, &p->o, p->o.renames && p->knows_objects, e) == -1) {
			plan_item_free(*item);
			return -1;
		}
		if (p->o.all || ((*item)->action != ACTION_NONE && (*item)->action != ACTION_SKIP))
			return 1;
		plan_item_free(*item);
	}
	return 0;
}

struct plan_item *
plan_one(struct sync *s, struct catalogue *c, int64_t recording, const struct plan_opts *o,
    struct err *e)
{
	struct plan_item *item = mem_new(1, sizeof *item, e);
	int rc;

	if (item == NULL)
		return NULL;
	rc = sync_row_get(c, s->known.id, recording, &item->row, e);
	if (rc == 0)
		rc = err_item(e, P_MISSING, "the recording %lld has been removed meanwhile",
		    (long long)recording);
	/* What was never there is not asked for: putting it says whether something is in the way.
	 */
	if (rc == 1 && item->row.has_object) {
		rc = remote_stat(s->remote, item->row.key, &item->there, NULL, e);
		item->is_there = rc == 1;
	}
	if (rc != -1 && decide(s, c, item, o, o->renames, e) == 0)
		return item;
	plan_item_free(item);
	return NULL;
}

/* ---- telling ---- */

static int
put_object(struct json *rec, const struct plan_item *item, struct err *e)
{
	const struct catalogue_object *o = &item->row.object;
	int64_t size = item->is_there ? item->there.size_bytes : o->size_bytes;

	if (json_put_int(rec, "size_bytes", size, e) == -1)
		return -1;
	if (item->row.has_object && json_put_str(rec, "sha256", o->sha256, e) == -1)
		return -1;
	return 0;
}

int
plan_record(struct sync *s, struct catalogue *c, const struct plan_item *item, struct json **rec,
    struct err *e)
{
	int rc = 0;

	*rec = NULL;
	if (item->row.has_recording)
		rc = catalogue_record(c, item->row.recording_id, rec, e);
	/* What is wrong with the recording is not what is wrong with its upload. */
	if (rc == 1)
		json_del(*rec, "problem");
	if (rc == 0)
		rc = (*rec = json_new_object(e)) == NULL ? -1 : put_object(*rec, item, e);
	if (rc == -1 || sync_put_place(s, *rec, item->row.key, e) == -1 ||
	    json_put_str(*rec, "action", action_name(item->action), e) == -1 ||
	    (item->why[0] != '\0' && json_put_str(*rec, "why", item->why, e) == -1) ||
	    (item->action == ACTION_RENAME &&
		json_put_str(*rec, "from_key", item->from.key, e) == -1)) {
		json_free(*rec);
		*rec = NULL;
		return -1;
	}
	return 0;
}
