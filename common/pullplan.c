#include "pullplan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edit.h"
#include "idset.h"
#include "inventory.h"
#include "mem.h"
#include "plan.h"
#include "pullsweep.h"
#include "survey.h"
#include "syncitems.h"
#include "volume.h"

struct pullplan {
	struct sync *s;
	struct archive view; /* of the making thread, over a connection of its own */
	struct tool_items *items;
	struct tool_item *first;
	struct plan *plan;
	struct plan_item *held; /* the plan's next; NULL: none is at hand */
	struct inventory *inventory;
	bool looked_for_inventory, at_end;
	struct json *pending; /* the inventory's next record; NULL: none is at hand */
	char pending_key[SYNC_KEY_MAX + 1];
	struct idset names; /* of what was fetched in this run: one name, one file */
	int64_t known;	    /* recordings when it began */
	char *claim;	    /* tag of an inventory that is not ours yet, or NULL */
	struct pullsweep sweep;
	bool whole; /* so far the recordings that it names are as it has them */
};

/* ---- the inventory ---- */

static int
fetch_inventory(struct pullplan *p, struct err *e)
{
	struct remote_object there;
	struct err missing;
	int rc;

	if (p->looked_for_inventory)
		return 0;
	p->looked_for_inventory = true;
	if ((rc = remote_stat(p->s->remote, REMOTE_CATALOGUE, &there, NULL, e)) != 1)
		return rc;
	if ((p->inventory = inventory_fetch(p->s, &missing)) == NULL) {
		if (missing.code != NULL && strcmp(missing.code, P_MISSING) == 0)
			return 0;
		*e = missing;
		return -1;
	}
	if (p->s->known.catalogue_tag == NULL && there.tag[0] != '\0') {
		p->whole = true;
		return (p->claim = mem_str(there.tag, e)) == NULL ? -1 : 0;
	}
	return 0;
}

/* The next record of the inventory, and its key, in `pending`; none at its end. */
static int
peek(struct pullplan *p, struct err *e)
{
	const char *key;
	int rc;

	if (p->pending != NULL || p->inventory == NULL)
		return 0;
	if ((rc = inventory_next(p->inventory, &p->pending, e)) != 1)
		return rc;
	key = json_get_str(p->pending, "key");
	if (strlen(key) > SYNC_KEY_MAX || (p->items == NULL && strcmp(key, p->pending_key) <= 0))
		return err_set(e, ERR_SYSTEM, NULL,
		    "%s: is not in the order of its keys, so it was not made by rec-sync; move it "
		    "away at the remote",
		    REMOTE_CATALOGUE);
	strcpy(p->pending_key, key);
	return 0;
}

/* The record of a key, handed over, or NULL; keys come in their order. */
static int
take_record(struct pullplan *p, const char *key, struct json **rec, struct err *e)
{
	*rec = NULL;
	if (peek(p, e) == -1)
		return -1;
	if (p->pending != NULL && strcmp(p->pending_key, key) == 0) {
		*rec = p->pending;
		p->pending = NULL;
	}
	return 0;
}

/* Opens it when nothing asked for it so far; what is before the key was met by the plan already. */
static int
inventory_up_to(struct pullplan *p, const char *key, struct err *e)
{
	if (p->looked_for_inventory)
		return 0;
	if (fetch_inventory(p, e) == -1)
		return -1;
	for (;;) {
		if (peek(p, e) == -1)
			return -1;
		if (p->pending == NULL || strcmp(p->pending_key, key) >= 0)
			return 0;
		json_free(p->pending);
		p->pending = NULL;
	}
}

/* As take_record, wherever it is. */
static int
find_record(struct pullplan *p, const char *key, struct json **rec, struct err *e)
{
	if (fetch_inventory(p, e) == -1)
		return -1;
	*rec = NULL;
	if (p->inventory == NULL)
		return 0;
	if (p->pending == NULL || strcmp(p->pending_key, key) > 0) {
		inventory_rewind(p->inventory);
		json_free(p->pending);
		p->pending = NULL;
	}
	for (;;) {
		if (take_record(p, key, rec, e) == -1)
			return -1;
		if (*rec != NULL || p->pending == NULL || strcmp(p->pending_key, key) > 0)
			return 0;
		json_free(p->pending);
		p->pending = NULL;
	}
}

/* What the inventory names, and neither the archive nor the remote has. */
static int
lost_item(struct pullplan *p, struct pullitem **item, struct err *e)
{
	struct pullitem *i = pullitem_new(p->pending_key, e);

	if (i == NULL || pullitem_place(i, e) == -1) {
		pullitem_free(i);
		return -1;
	}
	i->rec = p->pending;
	p->pending = NULL;
	pullitem_say(i, DOING_ADD, "the archive does not know it");
	if (i->problem.class == ERR_NONE)
		err_item(&i->problem, P_MISSING,
		    "the catalogue at %s names it, and its object is not there", p->s->url);
	*item = i;
	return 1;
}

/* ---- what is here ---- */

/* The bytes here are known to be others than those recorded. */
static const char *
is_bad(const struct pullitem *i, const struct catalogue_row *row, const struct stat *st)
{
	if (i->size_bytes >= 0 && st->st_size != i->size_bytes)
		return P_SIZE_MISMATCH;
	if (row->problem_code != NULL && row->seen_mtime != NULL)
		return row->problem_code;
	if (row->verdict != NULL && survey_is_damaged(row))
		return row->verdict;
	return NULL;
}

/* Whether the object is one of the recorded bytes, as far as is known. */
static bool
offers_recorded(const struct sync_row *row)
{
	return row->has_object && row->sha256[0] != '\0' &&
	       strcmp(row->object.sha256, row->sha256) == 0;
}

/* Looks at the file of a recording. */
static int
look_here(
    struct pullplan *p, struct pullitem *i, const struct sync_row *row, bool offered, struct err *e)
{
	struct catalogue_row r;
	struct err missing;
	struct stat st;
	enum folder f = i->folder;
	const char *bad;
	int rc = catalogue_row_by_id(p->view.catalogue, row->recording_id, &r, e);

	if (rc == 0)
		err_item(&i->problem, P_MISSING, "the recording was removed meanwhile");
	if (rc != 1)
		return rc;
	pullitem_expect_row(i, row, &r);
	if (archive_locate(
		&p->view, row->stored, row->stored_len, row->folder, &f, &st, &missing) == 0) {
		i->is_there = true;
		i->folder = f;
		if (!i->named && offered && (bad = is_bad(i, &r, &st)) != NULL)
			pullitem_conflict(&p->s->a, i, bad);
	} else if (missing.code == NULL || strcmp(missing.code, P_MISSING) != 0) {
		i->problem = missing;
	} else {
		pullitem_say(i, DOING_RESTORE, "its file is gone");
	}
	catalogue_row_free(&r);
	if (i->problem.class == ERR_NONE || i->problem.class == ERR_ITEM)
		return 0;
	*e = i->problem;
	return -1;
}

/* One name, one file: both folders share the names, and so does temp/. */
static int
reserve_name(struct pullplan *p, struct pullitem *i, struct err *e)
{
	uint64_t h = hash_xxh3_64(i->name, strlen(i->name));

	if (i->problem.class != ERR_NONE ||
	    (i->doing != DOING_RESTORE && i->doing != DOING_ADD && !i->named))
		return 0;
	if (idset_has(&p->names, h)) {
		err_item(&i->problem, P_CONFLICT,
		    "another object of this run has the same name, which a recording has alone");
		return 0;
	}
	return idset_add(&p->names, h, e);
}

/* ---- all that there is ---- */

/* One of the archive's own. NULL and 0: nothing to do. */
static int
own_item(struct pullplan *p, const struct plan_item *at, struct pullitem **item, struct err *e)
{
	struct pullitem *i;
	struct json *rec;
	const char *sha256;

	if (take_record(p, at->row.key, &rec, e) == -1)
		return -1;
	if (rec != NULL) {
		sha256 = json_get_str(rec, "sha256");
		p->whole = p->whole && (sha256 == NULL || at->row.sha256[0] == '\0' ||
					   strcmp(sha256, at->row.sha256) == 0);
		json_free(rec);
	}
	if (at->row.deleted || at->row.key[0] == '\0')
		return 0;
	if ((i = pullitem_new(at->row.key, e)) == NULL)
		return -1;
	if (pullitem_place(i, e) == -1 ||
	    look_here(p, i, &at->row, at->is_there && offers_recorded(&at->row), e) == -1) {
		pullitem_free(i);
		return -1;
	}
	if (!pullitem_is_decided(i)) {
		pullitem_free(i);
		return 0;
	}
	i->there = at->there;
	if (i->doing == DOING_RESTORE && !at->is_there)
		err_item(&i->problem, P_MISSING, "its file is gone, and %s has no object of it",
		    p->s->url);
	*item = i;
	return 1;
}

/* An object that no recording has. */
static int
strange_item(struct pullplan *p, const struct plan_item *at, struct pullitem **item, struct err *e)
{
	struct pullitem *i;

	if (!at->is_there)
		return 0;
	if (inventory_up_to(p, at->row.key, e) == -1 || (i = pullitem_new(at->row.key, e)) == NULL)
		return -1;
	i->there = at->there;
	if (take_record(p, i->key, &i->rec, e) == -1 || pullitem_place(i, e) == -1) {
		pullitem_free(i);
		return -1;
	}
	i->of_inventory = i->rec != NULL;
	pullitem_expect_record(i);
	if (at->row.has_object)
		pullitem_say(i, DOING_SKIP,
		    "this archive sent it, and removed or renamed its recording since: name its "
		    "key to fetch it again");
	else if (i->problem.class == ERR_NONE)
		pullitem_say(i, DOING_ADD, "the archive does not know it");
	*item = i;
	return 1;
}

/* Whether the inventory's next record lies before the key, and so is met by nothing. */
static int
next_is_before(struct pullplan *p, const char *key, struct err *e)
{
	if (peek(p, e) == -1)
		return -1;
	return p->pending != NULL && (key == NULL || strcmp(p->pending_key, key) < 0);
}

static int
next_of_all(struct pullplan *p, struct pullitem **item, struct err *e)
{
	int rc;

	for (*item = NULL; *item == NULL;) {
		if (p->held == NULL && !p->at_end) {
			if ((rc = plan_next(p->plan, &p->held, e)) == -1)
				return -1;
			p->at_end = rc == 0;
			if (rc == 1 && p->held->is_there &&
			    pullsweep_note(&p->sweep, p->held->row.key, e) == -1)
				return -1;
		}
		/* An inventory that nothing met is of interest to an archive that holds nothing. */
		if (p->at_end && p->known == 0 && fetch_inventory(p, e) == -1)
			return -1;
		if ((rc = next_is_before(p, p->at_end ? NULL : p->held->row.key, e)) == -1)
			return -1;
		if (rc == 1) {
			if (lost_item(p, item, e) == -1)
				return -1;
			break;
		}
		if (p->at_end)
			return 0;
		rc = p->held->row.has_recording ? own_item(p, p->held, item, e)
						: strange_item(p, p->held, item, e);
		plan_item_free(p->held);
		p->held = NULL;
		if (rc == -1)
			return -1;
	}
	if (reserve_name(p, *item, e) == 0)
		return 1;
	pullitem_free(*item);
	return -1;
}

/* ---- what the user names ---- */

/* The key of what is no recording here: as it is, or by the path. */
static bool
key_of(const struct pullplan *p, const struct tool_item *t, char key[SYNC_KEY_MAX + 1])
{
	const char *given = json_get_str(t->rec, "key"), *stored, *folder, *edited;
	char *name;
	size_t len;

	if (given == NULL)
		given = t->path;
	if (given == NULL)
		return false;
	if (sync_name(given, &folder, &name, &len) == 0) {
		free(name);
		snprintf(key, SYNC_KEY_MAX + 1, "%s", given);
		return true;
	}
	if (t->path == NULL || (stored = archive_stored_name(&p->view, t->path)) == NULL)
		return false;
	edited = p->view.paths[FOLDER_EDITED];
	len = strlen(edited);
	folder = archive_folder_name(
	    strncmp(t->path, edited, len) == 0 && t->path[len] == '/' ? FOLDER_EDITED : FOLDER_RAW);
	return sync_key(folder, stored, strlen(stored), key);
}

/* The recording of a key: 1 and *id, 0, -1. */
static int
find_key(const struct pullplan *p, const char *key, int64_t *id, struct err *e)
{
	const char *folder;
	char *name;
	size_t len;
	int rc;

	if (sync_name(key, &folder, &name, &len) == -1)
		return 0;
	rc = catalogue_find_stored(p->view.catalogue, name, len, id, e);
	free(name);
	return rc;
}

static struct pullitem *
known_item(struct pullplan *p, int64_t id, struct err *e)
{
	struct sync_row row;
	struct pullitem *i = NULL;
	int rc = sync_row_get(p->view.catalogue, p->s->known.id, id, &row, e);

	if (rc == 0)
		err_set(e, ERR_SYSTEM, NULL, "recording %lld was removed meanwhile", (long long)id);
	if (rc != 1 || (i = pullitem_new(row.key, e)) == NULL)
		goto fail;
	i->named = i->must_ask = true;
	if (row.key[0] == '\0') {
		err_item(
		    &i->problem, P_UNSAFE_PATH, "its name is longer than a key at a remote can be");
		i->name = mem_str("", e);
	} else if (pullitem_place(i, e) == -1 || look_here(p, i, &row, true, e) == -1) {
		goto fail;
	}
	sync_row_free(&row);
	return i;
fail:
	sync_row_free(&row);
	pullitem_free(i);
	return NULL;
}

static struct pullitem *
unknown_item(struct pullplan *p, const char *key, struct err *e)
{
	struct pullitem *i = pullitem_new(key, e);

	if (i == NULL || pullitem_place(i, e) == -1 || find_record(p, key, &i->rec, e) == -1) {
		pullitem_free(i);
		return NULL;
	}
	i->named = i->must_ask = true;
	pullitem_expect_record(i);
	if (i->problem.class == ERR_NONE)
		pullitem_say(i, DOING_ADD, "the archive does not know it");
	return i;
}

/* Goes out as it came in, or with the problem that was found. */
static struct pullitem *
passed_item(struct tool_item *t, struct err *e)
{
	struct pullitem *i = pullitem_new("", e);

	if (i == NULL)
		return NULL;
	i->given = t->rec;
	t->rec = NULL;
	i->problem = t->problem;
	return i;
}

/* The problem that is cured here. */
static bool
is_missing(const struct json *rec)
{
	const char *code = json_get_str(json_get(rec, "problem"), "code");

	return code != NULL && strcmp(code, P_MISSING) == 0;
}

static struct pullitem *
item_of(struct pullplan *p, struct tool_item *t, struct err *e)
{
	char key[SYNC_KEY_MAX + 1];
	int64_t id;
	bool has_key;
	int rc = 0;

	/* An object that no recording has is told of without a path. */
	if ((t->passed_on && !is_missing(t->rec)) ||
	    (t->problem.class != ERR_NONE && json_get_str(t->rec, "key") == NULL))
		return passed_item(t, e);
	has_key = key_of(p, t, key);
	if (has_key && (rc = find_key(p, key, &id, e)) == -1)
		return NULL;
	if (rc == 1)
		return known_item(p, id, e);
	/* A record of another archive may have a number that is another recording's here. */
	if (has_key && (json_get(t->rec, "key") != NULL || json_get(t->rec, "id") == NULL))
		return unknown_item(p, key, e);
	if ((rc = edit_find(&p->view, t, &id, e)) == -1)
		return NULL;
	return rc == 1 ? known_item(p, id, e) : passed_item(t, e);
}

/* The user may name it twice; once is enough. */
static bool
is_again(struct pullplan *p, const struct pullitem *i)
{
	return i->name != NULL && i->name[0] != '\0' &&
	       idset_has(&p->names, hash_xxh3_64(i->name, strlen(i->name)));
}

static int
next_named(struct pullplan *p, struct pullitem **item, struct err *e)
{
	struct tool_item *t;
	int rc;

	for (;;) {
		if ((t = p->first) != NULL)
			p->first = NULL;
		else if ((rc = tool_items_next(p->items, &t, e)) != 1)
			return rc;
		*item = item_of(p, t, e);
		tool_item_free(t);
		if (*item == NULL)
			return -1;
		if (!is_again(p, *item))
			break;
		pullitem_free(*item);
	}
	if ((*item)->name != NULL && reserve_name(p, *item, e) == -1) {
		pullitem_free(*item);
		return -1;
	}
	return 1;
}

/* ---- the whole ---- */

static int
open_view(struct pullplan *p, struct err *e)
{
	struct catalogue_counts n;

	p->view = p->s->a;
	if ((p->view.catalogue = sync_reader(p->s, e)) == NULL ||
	    catalogue_count(p->view.catalogue, &n, e) == -1)
		return -1;
	p->known = n.rows;
	return 0;
}

/* A folder that is not mounted looks like one whose files are gone. Who names recordings knows
 * better. */
static int
check_volume(const struct pullplan *p, struct err *e)
{
	if (volume_check(&p->s->a, e) == 0)
		return 0;
	if (e->code != NULL && strcmp(e->code, P_VOLUME_ABSENT) == 0)
		err_set(e, ERR_SYSTEM, P_VOLUME_ABSENT,
		    "none of the recordings is in its folder: is the disk mounted? Nothing was "
		    "fetched; if they are lost, name them: rec-meta -o path list | rec-sync pull "
		    "-");
	return -1;
}

static int
open_source(struct pullplan *p, struct err *e)
{
	const struct plan_opts all = {.all = true, .deleted = true};
	int rc = syncitems_open(p->s->t, &p->items, &p->first, e);

	if (rc != 0)
		return rc == -1 ? -1 : 0;
	if (check_volume(p, e) == -1)
		return -1;
	if (pullsweep_look(&p->sweep, p->s, e) == -1)
		return -1;
	/* One that is not ours yet is read from its start, for the claim. */
	if (p->s->known.catalogue_tag == NULL && fetch_inventory(p, e) == -1)
		return -1;
	return (p->plan = plan_open(p->s, &all, e)) == NULL ? -1 : 0;
}

struct pullplan *
pullplan_open(struct sync *s, struct err *e)
{
	struct pullplan *p = mem_new(1, sizeof *p, e);

	if (p == NULL)
		return NULL;
	p->s = s;
	if (open_view(p, e) == 0 && open_source(p, e) == 0)
		return p;
	pullplan_close(p);
	return NULL;
}

int
pullplan_next(struct pullplan *p, struct pullitem **item, struct err *e)
{
	return p->items != NULL ? next_named(p, item, e) : next_of_all(p, item, e);
}

const char *
pullplan_claim(const struct pullplan *p)
{
	return p->items == NULL && p->whole ? p->claim : NULL;
}

int
pullplan_sweep(struct pullplan *p, struct err *e)
{
	return p->items == NULL ? pullsweep_run(&p->sweep, p->s, e) : 0;
}

void
pullplan_close(struct pullplan *p)
{
	if (p == NULL)
		return;
	plan_item_free(p->held);
	plan_close(p->plan);
	inventory_close(p->inventory);
	if (p->first != NULL)
		tool_item_free(p->first);
	if (p->items != NULL)
		tool_items_close(p->items);
	json_free(p->pending);
	idset_free(&p->names);
	pullsweep_free(&p->sweep);
	catalogue_close(p->view.catalogue);
	free(p->claim);
	free(p);
}
