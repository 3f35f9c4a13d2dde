#include "rename.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger.h"

/* What is noted of an object, as the remote names it. */
static struct remote_object
object_of(const struct catalogue_object *o)
{
	struct remote_object r = {.size_bytes = o->size_bytes};

	snprintf(r.key, sizeof r.key, "%s", o->key);
	snprintf(r.id, sizeof r.id, "%s", o->remote_id);
	snprintf(r.tag, sizeof r.tag, "%s", o->tag);
	return r;
}

static void
name_aside(const struct sync *s, const char *sha256, char key[REMOTE_KEY_MAX + 1])
{
	snprintf(key, REMOTE_KEY_MAX + 1, REMOTE_TEMP "%s-%s", s->owner, sha256);
}

/* ---- before ---- */

/* Whether some recording wants these bytes under another key than this one, and has them not. */
static int
is_wanted_elsewhere(struct sync *s, struct catalogue *c, const struct sync_row *row, struct err *e)
{
	struct sync_row other;
	int64_t id;
	bool wanted;
	int rc = catalogue_find_sha256(c, row->object.sha256, &id, e);

	if (rc != 1 || (rc = sync_row_get(c, s->known.id, id, &other, e)) != 1)
		return rc;
	wanted = strcmp(other.key, row->key) != 0 && !other.deleted &&
		 !(other.has_object && strcmp(other.object.sha256, other.sha256) == 0);
	sync_row_free(&other);
	return wanted;
}

static int
put_aside(struct sync *s, const struct catalogue_object *o, struct err *e)
{
	struct remote_object from = object_of(o), there;
	char key[REMOTE_KEY_MAX + 1];

	name_aside(s, o->sha256, key);
	if (remote_copy(s->remote, &from, key, "", &there, e) == 0)
		return 1;
	/* It is there already, or the object is not what it was: then the bytes are sent. */
	return sync_is_fatal(e) ? -1 : 1;
}

int
rename_prepare(struct sync *s, struct err *e)
{
	struct catalogue *c = sync_reader(s, e), *lookup = sync_reader(s, e);
	struct sync_walk *w = NULL;
	struct sync_row row;
	int rc = c == NULL || lookup == NULL ? -1 : 0, aside = 0;

	if (rc == 0 && remote_can(s->remote)->copy &&
	    (rc = catalogue_object_count(c, s->known.id, e) > 0) == 1)
		rc = (w = sync_walk_open(c, s->known.id, "", "", e)) == NULL ? -1 : 1;
	while (rc == 1 && (rc = sync_walk_next(w, &row, e)) == 1) {
		int wanted = 0;

		if (row.has_recording && row.has_object && row.sha256[0] != '\0' &&
		    strcmp(row.sha256, row.object.sha256) != 0)
			wanted = is_wanted_elsewhere(s, lookup, &row, e);
		if (wanted == -1 || (wanted == 1 && put_aside(s, &row.object, e) == -1))
			rc = -1;
		aside |= wanted == 1;
		sync_row_free(&row);
	}
	if (w != NULL)
		sync_walk_close(w);
	catalogue_close(lookup);
	catalogue_close(c);
	return rc == -1 ? -1 : aside;
}

/* ---- during ---- */

int
rename_object(
    struct sync *s, const struct plan_item *item, struct remote_object *there, struct err *e)
{
	struct remote_object from = object_of(&item->from);
	const char *over = item->is_there ? item->there.tag : "";
	char aside[REMOTE_KEY_MAX + 1];
	int rc;

	if (!remote_can(s->remote)->copy)
		return 0;
	if (remote_copy(s->remote, &from, item->row.key, over, there, e) == 0)
		return 1;
	if (sync_is_fatal(e))
		return -1;
	name_aside(s, item->row.sha256, aside);
	if ((rc = remote_stat(s->remote, aside, &from, NULL, e)) == 1 &&
	    remote_copy(s->remote, &from, item->row.key, over, there, e) == 0)
		return 1;
	return rc != 0 && sync_is_fatal(e) ? -1 : 0;
}

/* 1 when no recording has the key any more. */
static int
is_free(struct sync *s, const char *key, struct err *e)
{
	const char *folder;
	char *name;
	size_t len;
	int64_t id;
	int rc;

	if (sync_name(key, &folder, &name, &len) == -1)
		return 0;
	pthread_mutex_lock(&s->writing);
	rc = catalogue_find_stored(s->a.catalogue, name, len, &id, e);
	pthread_mutex_unlock(&s->writing);
	free(name);
	return rc == -1 ? -1 : rc == 0;
}

static int
drop(struct sync *s, const struct catalogue_object *old, struct err *e)
{
	struct remote_object from = object_of(old);
	int rc = is_free(s, old->key, e);

	if (rc != 1)
		return rc;
	if (remote_delete(s->remote, &from, e) == -1)
		return sync_is_fatal(e) ? -1 : 0;
	return ledger_forget(s, old->key, e);
}

int
rename_finish(struct sync *s, const struct plan_item *item, struct err *e)
{
	return drop(s, &item->from, e);
}

int
rename_tidy(struct sync *s, const struct catalogue_object *old, struct err *e)
{
	struct catalogue_object noted;
	struct sync_row row;
	bool moved;
	int rc = catalogue_object_get(s->a.catalogue, s->known.id, old->key, &noted, e);

	if (rc == 1)
		rc = sync_row_get(s->a.catalogue, s->known.id, old->recording_id, &row, e);
	if (rc != 1)
		return rc;
	moved = row.has_object && strcmp(row.key, old->key) != 0 &&
		strcmp(row.object.sha256, old->sha256) == 0;
	sync_row_free(&row);
	return moved ? drop(s, old, e) : 0;
}
