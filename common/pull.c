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
#include "edit.h"
#include "fetch.h"
#include "idset.h"
#include "inventory.h"
#include "io.h"
#include "ledger.h"
#include "mem.h"
#include "plan.h"
#include "record.h"
#include "restore.h"
#include "run.h"
#include "survey.h"
#include "syncitems.h"
#include "volume.h"
#include "work.h"

#define BATCH 256
#define BATCH_AGE_NS INT64_C(2000000000)

enum doing {
	DOING_NONE,	/* the file is there */
	DOING_RESTORE,	/* its file was gone */
	DOING_ADD,	/* the archive did not know it */
	DOING_SKIP,	/* the archive knew it, and gave it up */
	DOING_CONFLICT, /* something else is in its place */
};

static const char *const doing_names[] = {"none", "restore", "add", "skip", "conflict"};

struct item {
	char key[SYNC_KEY_MAX + 1];
	enum folder folder;
	char *name;
	int64_t id;	    /* of its recording; 0: none */
	bool named;	    /* by the user: a file that is there is read, and a record is printed */
	bool must_ask;	    /* what is at the remote is not known yet */
	bool is_there;	    /* the file, here */
	bool of_inventory;  /* for the claim on it */
	struct json *given; /* goes out as it came in */
	struct json *rec;   /* the inventory's, of one that is new */
	char *title;	    /* of one that the inventory does not know */
	int64_t size_bytes; /* expected; -1 */
	char sha256[HASH_SHA256_HEX], mtime[CLOCK_TEXT_MAX]; /* expected; "" */
	struct remote_object there;
	enum doing doing;
	char why[200];
	struct err problem; /* class ERR_NONE when there is none */
	struct fetched got;
	bool fetched, taken_in;
	struct measure m;
	struct catalogue_object object; /* proven when its proof is not "" */
};

struct pull {
	struct sync *s;
	/* The making thread's view of the archive, over a connection of its own. */
	struct archive view;
	struct tool_items *items;
	struct tool_item *first;
	struct plan *plan;
	struct inventory *inventory;
	bool looked_for_inventory, at_end;
	struct json *pending; /* the inventory's next record; NULL: none is at hand */
	char pending_key[SYNC_KEY_MAX + 1];
	struct idset names; /* of what was fetched in this run: one name, one file */
	int64_t known;	    /* recordings when it began */
	char *claim;	    /* tag of an inventory that is not ours yet, or NULL */
	bool whole;	    /* so far all that the claimed inventory names is here */

	struct item *batch[BATCH];
	size_t n;
	int64_t batch_ns;
	struct err failed; /* of a batch that was written while waiting */
};

/* ---- items ---- */

static void
item_free(struct item *i)
{
	if (i == NULL)
		return;
	fetched_close(&i->got);
	audio_measure_free(&i->m);
	json_free(i->given);
	json_free(i->rec);
	free(i->name);
	free(i->title);
	free(i);
}

static struct item *
item_new(const char *key, struct err *e)
{
	struct item *i = mem_new(1, sizeof *i, e);

	if (i == NULL)
		return NULL;
	snprintf(i->key, sizeof i->key, "%s", key);
	i->size_bytes = -1;
	i->got.fd = -1;
	audio_measure_init(&i->m);
	return i;
}

/* Folder and name of its key, which is not trusted; else a problem. 0; -1 for memory. */
static int
item_place(struct item *i, struct err *e)
{
	const char *folder;
	size_t len;

	if (sync_name(i->key, &folder, &i->name, &len) == -1) {
		err_item(&i->problem, P_UNSAFE_PATH,
		    "\"%s\" is no key of a recording (raw/NAME or edited/NAME)", i->key);
		return (i->name = mem_str("", e)) == NULL ? -1 : 0;
	}
	i->folder =
	    strcmp(folder, archive_folder_name(FOLDER_EDITED)) == 0 ? FOLDER_EDITED : FOLDER_RAW;
	fetch_check_name(i->name, len, &i->problem);
	return 0;
}

static void
say(struct item *i, enum doing doing, const char *why)
{
	i->doing = doing;
	snprintf(i->why, sizeof i->why, "%s", why);
}

static bool
is_decided(const struct item *i)
{
	return i->problem.class != ERR_NONE || i->doing != DOING_NONE;
}

/* What the catalogue expects of its bytes. */
static void
expect_row(struct item *i, const struct sync_row *row, const struct catalogue_row *r)
{
	i->id = row->recording_id;
	i->size_bytes = row->size_bytes;
	strcpy(i->sha256, row->sha256);
	/* The application did not hash it: what was sent is what it was. */
	if (i->sha256[0] == '\0' && row->has_object) {
		strcpy(i->sha256, row->object.sha256);
		i->size_bytes = row->object.size_bytes;
	}
	if (r->mtime != NULL)
		snprintf(i->mtime, sizeof i->mtime, "%s", r->mtime);
}

static void
expect_record(struct item *i)
{
	const char *sha256 = json_get_str(i->rec, "sha256"), *mtime = json_get_str(i->rec, "mtime");
	int64_t size;

	if (json_get_int(i->rec, "size_bytes", &size) && size >= 0)
		i->size_bytes = size;
	if (sha256 != NULL && strlen(sha256) == HASH_SHA256_HEX - 1 &&
	    strspn(sha256, "0123456789abcdef") == HASH_SHA256_HEX - 1)
		strcpy(i->sha256, sha256);
	if (mtime != NULL && strlen(mtime) < CLOCK_TEXT_MAX && clock_is_rfc3339(mtime))
		strcpy(i->mtime, mtime);
}

/* ---- the inventory ---- */

static int
fetch_inventory(struct pull *p, struct err *e)
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
peek(struct pull *p, struct err *e)
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
take_record(struct pull *p, const char *key, struct json **rec, struct err *e)
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
inventory_up_to(struct pull *p, const char *key, struct err *e)
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
find_record(struct pull *p, const char *key, struct json **rec, struct err *e)
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
lost_item(struct pull *p, struct item **item, struct err *e)
{
	struct item *i = item_new(p->pending_key, e);

	if (i == NULL || item_place(i, e) == -1) {
		item_free(i);
		return -1;
	}
	i->rec = p->pending;
	p->pending = NULL;
	say(i, DOING_ADD, "the archive does not know it");
	if (i->problem.class == ERR_NONE)
		err_item(&i->problem, P_MISSING,
		    "the catalogue at %s names it, and its object is not there", p->s->url);
	*item = i;
	return 1;
}

/* ---- what is here ---- */

/* The bytes here are known to be others than those recorded. */
static const char *
is_bad(const struct item *i, const struct catalogue_row *row, const struct stat *st)
{
	if (i->size_bytes >= 0 && st->st_size != i->size_bytes)
		return P_SIZE_MISMATCH;
	if (row->problem_code != NULL && row->seen_mtime != NULL)
		return row->problem_code;
	if (row->verdict != NULL && survey_is_damaged(row))
		return row->verdict;
	return NULL;
}

static void
conflict(const struct pull *p, struct item *i, const char *code)
{
	const char *folder = p->s->a.paths[i->folder];

	say(i, DOING_CONFLICT, "the file here is not the one that was recorded");
	err_item(&i->problem, P_CONFLICT,
	    "%s/%s is there with other bytes than were recorded (%s), and is left as it is; move "
	    "it away (mv %s/%s %s/) and run pull again to get the recorded ones",
	    folder, i->name, code, folder, i->name, p->s->a.paths[FOLDER_BACKUP]);
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
look_here(struct pull *p, struct item *i, const struct sync_row *row, bool offered, struct err *e)
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
	expect_row(i, row, &r);
	if (archive_locate(
		&p->view, row->stored, row->stored_len, row->folder, &f, &st, &missing) == 0) {
		i->is_there = true;
		i->folder = f;
		if (!i->named && offered && (bad = is_bad(i, &r, &st)) != NULL)
			conflict(p, i, bad);
	} else if (missing.code == NULL || strcmp(missing.code, P_MISSING) != 0) {
		i->problem = missing;
	} else {
		say(i, DOING_RESTORE, "its file is gone");
	}
	catalogue_row_free(&r);
	if (i->problem.class == ERR_NONE || i->problem.class == ERR_ITEM)
		return 0;
	*e = i->problem;
	return -1;
}

/* One name, one file: both folders share the names, and so does temp/. */
static int
reserve_name(struct pull *p, struct item *i, struct err *e)
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
own_item(struct pull *p, const struct plan_item *at, struct item **item, struct err *e)
{
	struct item *i;
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
	if ((i = item_new(at->row.key, e)) == NULL)
		return -1;
	if (item_place(i, e) == -1 ||
	    look_here(p, i, &at->row, at->is_there && offers_recorded(&at->row), e) == -1) {
		item_free(i);
		return -1;
	}
	if (!is_decided(i)) {
		item_free(i);
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
strange_item(struct pull *p, const struct plan_item *at, struct item **item, struct err *e)
{
	struct item *i;

	if (!at->is_there)
		return 0;
	if (inventory_up_to(p, at->row.key, e) == -1 || (i = item_new(at->row.key, e)) == NULL)
		return -1;
	i->there = at->there;
	if (take_record(p, i->key, &i->rec, e) == -1 || item_place(i, e) == -1) {
		item_free(i);
		return -1;
	}
	i->of_inventory = i->rec != NULL;
	expect_record(i);
	if (at->row.has_object)
		say(i, DOING_SKIP,
		    "this archive sent it, and removed or renamed its recording since: name its "
		    "key to fetch it again");
	else if (i->problem.class == ERR_NONE)
		say(i, DOING_ADD, "the archive does not know it");
	*item = i;
	return 1;
}

/* Whether the inventory's next record lies before the key, and so is met by nothing. */
static int
next_is_before(struct pull *p, const char *key, struct err *e)
{
	if (peek(p, e) == -1)
		return -1;
	return p->pending != NULL && (key == NULL || strcmp(p->pending_key, key) < 0);
}

static int
next_of_all(struct pull *p, struct plan_item **held, struct item **item, struct err *e)
{
	int rc;

	for (*item = NULL; *item == NULL;) {
		if (*held == NULL && !p->at_end) {
			if ((rc = plan_next(p->plan, held, e)) == -1)
				return -1;
			p->at_end = rc == 0;
		}
		/* An inventory that nothing met is of interest to an archive that holds nothing. */
		if (p->at_end && p->known == 0 && fetch_inventory(p, e) == -1)
			return -1;
		if ((rc = next_is_before(p, p->at_end ? NULL : (*held)->row.key, e)) == -1)
			return -1;
		if (rc == 1) {
			if (lost_item(p, item, e) == -1)
				return -1;
			break;
		}
		if (p->at_end)
			return 0;
		rc = (*held)->row.has_recording ? own_item(p, *held, item, e)
						: strange_item(p, *held, item, e);
		plan_item_free(*held);
		*held = NULL;
		if (rc == -1)
			return -1;
	}
	return reserve_name(p, *item, e) == -1 ? -1 : 1;
}

/* ---- what the user names ---- */

/* The key of what is no recording here: as it is, or by the path. */
static bool
key_of(const struct pull *p, const struct tool_item *t, char key[SYNC_KEY_MAX + 1])
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
find_key(const struct pull *p, const char *key, int64_t *id, struct err *e)
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

static struct item *
known_item(struct pull *p, int64_t id, struct err *e)
{
	struct sync_row row;
	struct item *i = NULL;
	int rc = sync_row_get(p->view.catalogue, p->s->known.id, id, &row, e);

	if (rc == 0)
		err_set(e, ERR_SYSTEM, NULL, "recording %lld was removed meanwhile", (long long)id);
	if (rc != 1 || (i = item_new(row.key, e)) == NULL)
		goto fail;
	i->named = i->must_ask = true;
	if (row.key[0] == '\0') {
		err_item(
		    &i->problem, P_UNSAFE_PATH, "its name is longer than a key at a remote can be");
		i->name = mem_str("", e);
	} else if (item_place(i, e) == -1 || look_here(p, i, &row, true, e) == -1) {
		goto fail;
	}
	sync_row_free(&row);
	return i;
fail:
	sync_row_free(&row);
	item_free(i);
	return NULL;
}

static struct item *
unknown_item(struct pull *p, const char *key, struct err *e)
{
	struct item *i = item_new(key, e);

	if (i == NULL || item_place(i, e) == -1 || find_record(p, key, &i->rec, e) == -1) {
		item_free(i);
		return NULL;
	}
	i->named = i->must_ask = true;
	expect_record(i);
	if (i->problem.class == ERR_NONE)
		say(i, DOING_ADD, "the archive does not know it");
	return i;
}

/* Goes out as it came in, or with the problem that was found. */
static struct item *
passed_item(struct tool_item *t, struct err *e)
{
	struct item *i = item_new("", e);

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

static struct item *
item_of(struct pull *p, struct tool_item *t, struct err *e)
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
is_again(struct pull *p, const struct item *i)
{
	return i->name != NULL && i->name[0] != '\0' &&
	       idset_has(&p->names, hash_xxh3_64(i->name, strlen(i->name)));
}

static int
next_named(struct pull *p, struct item **item, struct err *e)
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
		item_free(*item);
	}
	if ((*item)->name != NULL && reserve_name(p, *item, e) == -1) {
		item_free(*item);
		return -1;
	}
	return 1;
}

/* ---- in the making thread ---- */

struct making {
	struct pull *p;
	struct plan_item *held;
};

static int
next(void *ctx, void **item, struct err *e)
{
	struct making *k = ctx;
	struct item *i = NULL;
	int rc = k->p->items != NULL ? next_named(k->p, &i, e) : next_of_all(k->p, &k->held, &i, e);

	if (rc == 1)
		*item = i;
	else if (rc == -1 && k->p->items == NULL)
		item_free(i);
	return rc;
}

/* ---- in many threads ---- */

static int
ask(struct pull *p, struct item *i, struct err *e)
{
	int rc = remote_stat(p->s->remote, i->key, &i->there, NULL, e);

	if (rc == 0)
		return err_item(e, P_MISSING, "%s has no object %s", p->s->url, i->key);
	return rc == -1 ? -1 : 0;
}

/* The file is there, and the user asked about it: it is read. */
static int
compare_here(struct pull *p, struct item *i, struct err *e)
{
	char sum[HASH_SHA256_HEX];
	int fd = io_open_beneath(p->view.folders[i->folder], i->name, e), rc;

	if (fd == -1)
		return -1;
	rc = io_digest(fd, HASH_SHA256, false, &tool_stop, NULL, sum, e);
	close(fd);
	if (rc == -1)
		return -1;
	if (i->sha256[0] != '\0' && strcmp(sum, i->sha256) != 0) {
		conflict(p, i, P_CHECKSUM_MISMATCH);
		*e = i->problem;
		return -1;
	}
	say(i, DOING_NONE, "its file is there");
	return 0;
}

/* What the remote says of the object is not what is expected: nothing needs to travel. */
static int
check_object(const struct pull *p, const struct item *i, struct err *e)
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
ask_title(struct pull *p, struct item *i, struct err *e)
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
measure(struct item *i, struct err *e)
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
prove(struct item *i)
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
fetch(struct pull *p, struct item *i, struct err *e)
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
work_on(struct pull *p, struct item *i, struct err *e)
{
	if (i->given != NULL || i->doing == DOING_SKIP || i->problem.class != ERR_NONE)
		return 0;
	if (i->named && i->is_there)
		return compare_here(p, i, e);
	if ((i->must_ask && ask(p, i, e) == -1) || check_object(p, i, e) == -1)
		return -1;
	return p->s->t->dry_run ? 0 : fetch(p, i, e);
}

static void
work(void *ctx, void *item)
{
	struct making *k = ctx;
	struct item *i = item;
	struct err why;

	if (work_on(k->p, i, &why) == -1)
		i->problem = why;
	fetched_close(&i->got);
	atomic_fetch_add(&k->p->s->t->items_done, 1);
}

/* ---- telling ---- */

static int
record_of(struct pull *p, const struct item *i, struct json **rec, struct err *e)
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
tell(struct pull *p, struct item *i, struct err *e)
{
	struct json *rec = NULL;
	int rc = -1;

	if (i->given != NULL)
		return i->problem.class != ERR_NONE ? tool_emit_found(p->s->t, i->given, e)
						    : tool_emit(p->s->t, i->given, e);
	if (record_of(p, i, &rec, e) == -1 ||
	    json_put_str(rec, "action", doing_names[i->doing], e) == -1 ||
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
take_in(struct run *r, struct item *i, struct err *e)
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
		struct item *i = p->batch[k];

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
		struct item *i = p->batch[k];

		if (i->of_inventory && (i->problem.class != ERR_NONE || i->doing == DOING_SKIP))
			p->whole = false;
		if (told == 0 && (rc == 0 || i->taken_in))
			told = tell(p, i, &why);
		item_free(i);
	}
	p->n = 0;
	if (rc == 0 && told == -1) {
		*e = why;
		rc = -1;
	}
	return rc;
}

static int
done(void *ctx, void *item, struct err *e)
{
	struct making *k = ctx;
	struct pull *p = k->p;
	struct item *i = item;

	if (p->failed.class == ERR_NONE && i->problem.class != ERR_NONE &&
	    sync_is_fatal(&i->problem)) {
		p->failed = i->problem;
		item_free(i);
		/* What is whole is taken in, unless the run is to stop. */
		if (p->failed.class != ERR_STOPPED && flush(p, e) == -1)
			return -1;
		*e = p->failed;
		return -1;
	}
	if (p->failed.class != ERR_NONE) {
		item_free(i);
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
	item_free(item);
}

/* A large file may travel for hours: what came before it is not kept waiting. */
static void
idle(void *ctx)
{
	struct making *k = ctx;
	struct pull *p = k->p;

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

	if (p->claim == NULL || !p->whole || p->s->t->dry_run)
		return 0;
	free(known->catalogue_tag);
	known->catalogue_tag = p->claim;
	known->catalogue_digest[0] = '\0';
	p->claim = NULL;
	return ledger_remote(p->s, e);
}

static int
open_view(struct pull *p, struct err *e)
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
check_volume(const struct pull *p, struct err *e)
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
open_source(struct pull *p, struct err *e)
{
	const struct plan_opts all = {.all = true, .deleted = true};
	int rc = syncitems_open(p->s->t, &p->items, &p->first, e);

	if (rc != 0)
		return rc == -1 ? -1 : 0;
	if (check_volume(p, e) == -1)
		return -1;
	/* One that is not ours yet is read from its start, for the claim. */
	if (p->s->known.catalogue_tag == NULL && fetch_inventory(p, e) == -1)
		return -1;
	return (p->plan = plan_open(p->s, &all, e)) == NULL ? -1 : 0;
}

static int
run_all(struct pull *p, struct err *e)
{
	struct making k = {.p = p};
	const struct work w = {.next = next,
	    .work = work,
	    .done = done,
	    .drop = drop,
	    .idle = idle,
	    .ctx = &k,
	    .jobs = p->s->transfers,
	    .stop = &tool_stop};
	struct err why;
	int rc = work_run(&w, e);

	plan_item_free(k.held);
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
	return rc == 0 && p->items == NULL ? claim(p, e) : rc;
}

static void
pull_close(struct pull *p)
{
	for (size_t k = 0; k < p->n; k++)
		item_free(p->batch[k]);
	plan_close(p->plan);
	inventory_close(p->inventory);
	if (p->first != NULL)
		tool_item_free(p->first);
	if (p->items != NULL)
		tool_items_close(p->items);
	json_free(p->pending);
	idset_free(&p->names);
	catalogue_close(p->view.catalogue);
	free(p->claim);
}

int
pull_run(struct sync *s, struct err *e)
{
	struct pull p = {.s = s};
	int rc = -1;

	if (remote_check(s->remote, e) == 0 && settle(&p, e) == 0 && open_view(&p, e) == 0 &&
	    open_source(&p, e) == 0)
		rc = run_all(&p, e);
	pull_close(&p);
	return rc == 0 ? sync_later(s, e) : -1;
}
