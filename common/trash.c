#include "trash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "ledger.h"
#include "mem.h"

int
trash_add(struct trash *t, const struct catalogue_object *o, struct err *e)
{
	struct catalogue_object *grown;
	size_t cap;

	if (t->n == t->cap) {
		cap = t->cap == 0 ? 64 : t->cap * 2;
		if ((grown = realloc(t->objects, cap * sizeof *grown)) == NULL)
			return err_nomem(e);
		t->objects = grown;
		t->cap = cap;
	}
	t->objects[t->n++] = *o;
	return 0;
}

void
trash_free(struct trash *t)
{
	free(t->objects);
}

/* ---- limits ---- */

static int
check_limits(const struct trash *t, struct err *e)
{
	const struct config *c = t->s->a.config;
	int64_t most = config_int(c, CONFIG_DELETE_MAX),
		percent = config_int(c, CONFIG_DELETE_MAX_PERCENT), had = t->s->known.rows;
	int64_t objects = catalogue_object_count(t->s->a.catalogue, t->s->known.id, e);
	struct catalogue_counts now;

	if (objects == -1 || catalogue_count(t->s->a.catalogue, &now, e) == -1)
		return -1;
	if (now.rows == 0 || (had > 0 && now.rows * 100 < had * (100 - percent)))
		return err_set(e, ERR_CONFIG, NULL,
		    "nothing is deleted: the catalogue has %lld recordings, and had %lld at the "
		    "last "
		    "complete push. Is it the right one? REC_DELETE_MAX_PERCENT (%lld) allows more",
		    (long long)now.rows, (long long)had, (long long)percent);
	if (most > 0 && (int64_t)t->n > most)
		return err_set(e, ERR_CONFIG, NULL,
		    "nothing is deleted: %zu objects would be, and REC_DELETE_MAX is %lld", t->n,
		    (long long)most);
	if ((int64_t)t->n * 100 > objects * percent)
		return err_set(e, ERR_CONFIG, NULL,
		    "nothing is deleted: %zu of %lld objects would be, and REC_DELETE_MAX_PERCENT "
		    "is %lld",
		    t->n, (long long)objects, (long long)percent);
	return 0;
}

/* ---- moving ---- */

static int
move(struct trash *t, const struct catalogue_object *o, const char *when, struct json *rec,
    struct err *e)
{
	struct remote_object from = {.size_bytes = o->size_bytes}, there;
	char to[REMOTE_KEY_MAX + 1];

	snprintf(from.key, sizeof from.key, "%s", o->key);
	snprintf(from.id, sizeof from.id, "%s", o->remote_id);
	snprintf(from.tag, sizeof from.tag, "%s", o->tag);
	if (snprintf(to, sizeof to, REMOTE_TRASH "%s/%s", when, o->key) >= (int)sizeof to)
		return err_item(e, P_REMOTE, "its name is too long for the trash");
	if (json_put_str(rec, "trash_key", to, e) == -1)
		return -1;
	if (remote_move(t->s->remote, &from, to, "", &there, e) == -1)
		return -1;
	return ledger_forget(t->s, o->key, e);
}

static int
tell(struct trash *t, const struct catalogue_object *o, const char *when, struct err *e)
{
	struct json *rec = json_new_object(e);
	struct err problem;
	int rc = -1;

	if (rec == NULL || sync_put_place(t->s, rec, o->key, e) == -1 ||
	    json_put_str(rec, "action", "delete", e) == -1 ||
	    json_put_int(rec, "size_bytes", o->size_bytes, e) == -1 ||
	    json_put_str(rec, "sha256", o->sha256, e) == -1)
		goto out;
	if (move(t, o, when, rec, &problem) == -1) {
		if (sync_is_fatal(&problem)) {
			*e = problem;
			goto out;
		}
		if (sync_put_problem(t->s, rec, &problem, e) == -1)
			goto out;
	}
	rc = tool_emit_found(t->s->t, rec, e);
out:
	json_free(rec);
	return rc;
}

int
trash_run(struct trash *t, struct err *e)
{
	struct catalogue_object now;
	char when[CLOCK_TEXT_MAX];
	int rc;

	if (t->n == 0)
		return 0;
	if (check_limits(t, e) == -1)
		return -1;
	clock_compact(clock_now(), when);
	for (size_t i = 0; i < t->n; i++) {
		if (atomic_load(&tool_stop) != 0)
			return err_set(e, ERR_STOPPED, NULL, "stopped");
		/* A rename may have taken it along. */
		rc = catalogue_object_get(
		    t->s->a.catalogue, t->s->known.id, t->objects[i].key, &now, e);
		if (rc == -1 || (rc == 1 && tell(t, &now, when, e) == -1))
			return -1;
	}
	return 0;
}
