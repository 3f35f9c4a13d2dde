/*
 * What remotes hold, beside the recordings.
 *
 * A walk over a hundred thousand recordings must not hold them in memory, and no index has them in
 * the order of their keys: SQLite sorts them, in a temporary file. A connection of the catalogue
 * sorts in memory, and the choice cannot be changed while it reads, so a walk has a connection of
 * its own, in which it sees one state from end to end.
 *
 * The merge depends on both sides being in the order of the bytes. A database that holds its text
 * in another encoding, or whose index is damaged, gives another order, and then objects would seem
 * to be of no recording; that is found and is an error.
 */
#include "catalogue_sync.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue_db.h"
#include "mem.h"
#include "sql.h"
#include "utf8.h"

#define HEX_PREFIX "rec-hex-"
#define HEX_LEN (sizeof HEX_PREFIX - 1)
#define TABLES_VERSION 4

static const char *const folders[] = {"raw", "edited"};

/* ---- values ---- */

static bool
has_tables(const struct catalogue *c)
{
	return c->shape.toolkit_version >= TABLES_VERSION;
}

/* "" and NULL stand for NULL. */
static void
bind_text(sqlite3_stmt *s, int i, const char *text)
{
	if (text != NULL && text[0] != '\0')
		sqlite3_bind_text(s, i, text, -1, SQLITE_TRANSIENT);
	else
		sqlite3_bind_null(s, i);
}

static void
bind_above(sqlite3_stmt *s, int i, int64_t n, int64_t least)
{
	if (n >= least)
		sqlite3_bind_int64(s, i, n);
	else
		sqlite3_bind_null(s, i);
}

/* "" for NULL, and for what does not fit or is no text. */
static void
get_text(sqlite3_stmt *s, int i, char *out, size_t size)
{
	const char *text = (const char *)sqlite3_column_text(s, i);
	size_t len = (size_t)sqlite3_column_bytes(s, i);

	out[0] = '\0';
	if (text != NULL && len < size && strlen(text) == len)
		memcpy(out, text, len + 1);
}

static int64_t
get_int(sqlite3_stmt *s, int i, int64_t otherwise)
{
	bool fine = sqlite3_column_type(s, i) == SQLITE_INTEGER && sqlite3_column_int64(s, i) >= 0;

	return fine ? sqlite3_column_int64(s, i) : otherwise;
}

/* NULL for what is no text, or holds a NUL. */
static int
get_copy(sqlite3_stmt *s, int i, char **out, struct err *e)
{
	const char *text;

	*out = NULL;
	if (sqlite3_column_type(s, i) != SQLITE_TEXT)
		return 0;
	if ((text = (const char *)sqlite3_column_text(s, i)) == NULL)
		return err_nomem(e);
	if (strlen(text) != (size_t)sqlite3_column_bytes(s, i))
		return 0;
	return (*out = mem_str(text, e)) == NULL ? -1 : 0;
}

/* A hash of the application may be anything. */
static void
get_sha256(sqlite3_stmt *s, int i, char out[HASH_SHA256_HEX])
{
	get_text(s, i, out, HASH_SHA256_HEX);
	if (strlen(out) != HASH_SHA256_HEX - 1 ||
	    strspn(out, "0123456789abcdef") != HASH_SHA256_HEX - 1)
		out[0] = '\0';
}

/* Runs a statement that gives nothing. */
static int
finish(struct catalogue *c, sqlite3_stmt *s, struct err *e)
{
	int rc = catalogue_step(c, s, e);

	sqlite3_reset(s);
	return rc == -1 ? -1 : 0;
}

/* ---- keys ---- */

/* Beside C0 and DEL those of C1, which are two bytes long. */
static bool
has_control(const char *name, size_t len)
{
	const unsigned char *p = (const unsigned char *)name;

	for (size_t i = 0; i < len; i++)
		if (p[i] < 0x20 || p[i] == 0x7f || (p[i] == 0xc2 && i + 1 < len && p[i + 1] < 0xa0))
			return true;
	return false;
}

static bool
is_plain(const char *name, size_t len)
{
	/* Beside "." and "..": some servers leave out of their lists what begins with ".". */
	return len > 0 && name[0] != '.' && !has_control(name, len) &&
	       memchr(name, '/', len) == NULL &&
	       !(len >= HEX_LEN && memcmp(name, HEX_PREFIX, HEX_LEN) == 0) && utf8_valid(name, len);
}

bool
sync_key(const char *folder, const char *name, size_t len, char key[SYNC_KEY_MAX + 1])
{
	size_t at = strlen(folder) + 1;
	bool plain = is_plain(name, len);

	if ((strcmp(folder, folders[0]) != 0 && strcmp(folder, folders[1]) != 0) ||
	    len > SYNC_KEY_MAX || at + (plain ? len : HEX_LEN + 2 * len) > SYNC_KEY_MAX)
		return false;
	snprintf(key, SYNC_KEY_MAX + 1, "%s/%s", folder, plain ? "" : HEX_PREFIX);
	if (plain) {
		memcpy(key + at, name, len);
		key[at + len] = '\0';
	} else {
		hash_hex(name, len, key + at + HEX_LEN);
	}
	return true;
}

/* Decodes in place; false for what sync_key does not write. */
static bool
decode(char *name, size_t *len)
{
	unsigned char bytes[SYNC_KEY_MAX / 2 + 1];

	if (strncmp(name, HEX_PREFIX, HEX_LEN) != 0)
		return true;
	*len -= HEX_LEN;
	if (*len % 2 != 0 || *len > SYNC_KEY_MAX || hash_unhex(name + HEX_LEN, *len, bytes) == -1)
		return false;
	*len /= 2;
	memcpy(name, bytes, *len);
	name[*len] = '\0';
	return true;
}

int
sync_name(const char *key, const char **folder, char **name, size_t *len)
{
	char again[SYNC_KEY_MAX + 1];
	struct err e;
	size_t at;

	*name = NULL;
	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		at = strlen(folders[i]);
		if (strncmp(key, folders[i], at) != 0 || key[at] != '/')
			continue;
		*folder = folders[i];
		*len = strlen(key + at + 1);
		if ((*name = mem_str(key + at + 1, &e)) == NULL)
			return -1;
		/* One key for each name: none but that which sync_key gives. */
		if (decode(*name, len) && sync_key(*folder, *name, *len, again) &&
		    strcmp(again, key) == 0)
			return 0;
		free(*name);
		*name = NULL;
	}
	return -1;
}

/* rec_key(folder, name): NULL when there is none. */
static void
sql_key(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	const char *folder = (const char *)sqlite3_value_text(args[0]), *name;
	int type = sqlite3_value_type(args[1]);
	char key[SYNC_KEY_MAX + 1];
	size_t len;

	(void)n;
	name = type == SQLITE_BLOB ? sqlite3_value_blob(args[1])
				   : (const char *)sqlite3_value_text(args[1]);
	len = (size_t)sqlite3_value_bytes(args[1]);
	if (type == SQLITE_BLOB && len == 0)
		name = "";
	if (folder != NULL && name != NULL && sync_key(folder, name, len, key))
		sqlite3_result_text(ctx, key, -1, SQLITE_TRANSIENT);
}

int
catalogue_add_functions(struct catalogue *c, struct err *e)
{
	if (sqlite3_create_function_v2(c->db, "rec_key", 2,
		SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, NULL, sql_key, NULL, NULL,
		NULL) != SQLITE_OK)
		return catalogue_error(c, "adding a function", e);
	return 0;
}

/* ---- remotes ---- */

static struct json *
parse_object(const char *text)
{
	struct err bad;
	struct json *v = text != NULL ? json_parse(text, strlen(text), &bad) : NULL;

	if (json_kind(v) == JSON_KIND_OBJECT)
		return v;
	json_free(v);
	return NULL;
}

/* The remote of a statement with the columns of sync_remote_get: 1, 0, -1. */
static int
read_remote(struct catalogue *c, sqlite3_stmt *s, struct catalogue_remote *m, struct err *e)
{
	int rc = catalogue_step(c, s, e);

	if (rc == 1) {
		m->id = sqlite3_column_int64(s, 0);
		get_text(s, 2, m->owner, sizeof m->owner);
		m->probed = parse_object((const char *)sqlite3_column_text(s, 3));
		get_text(s, 4, m->probed_at, sizeof m->probed_at);
		m->rows = get_int(s, 5, -1);
		get_text(s, 7, m->catalogue_digest, sizeof m->catalogue_digest);
		if (get_copy(s, 1, &m->url, e) == -1 ||
		    get_copy(s, 6, &m->catalogue_tag, e) == -1) {
			catalogue_remote_free(m);
			rc = -1;
		}
	}
	sqlite3_reset(s);
	return rc;
}

int
catalogue_remote_get(
    struct catalogue *c, const char *url, struct catalogue_remote *m, struct err *e)
{
	sqlite3_stmt *s;

	*m = (struct catalogue_remote){.rows = -1};
	if (!has_tables(c))
		return 0;
	if ((s = catalogue_stmt(c, sql_sync_remote_get, e)) == NULL)
		return -1;
	bind_text(s, 1, url);
	return read_remote(c, s, m, e);
}

int
catalogue_remote_next(
    struct catalogue *c, int64_t after_id, struct catalogue_remote *m, struct err *e)
{
	sqlite3_stmt *s;

	*m = (struct catalogue_remote){.rows = -1};
	if (!has_tables(c))
		return 0;
	if ((s = catalogue_stmt(c, sql_sync_remotes, e)) == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, after_id);
	return read_remote(c, s, m, e);
}

int
catalogue_remote_put(struct catalogue *c, struct catalogue_remote *m, struct err *e)
{
	struct buf probed = {0};
	sqlite3_stmt *s;
	int rc = -1;

	if (m->probed != NULL && json_write(m->probed, &probed, e) == -1)
		goto out;
	if ((s = catalogue_stmt(
		 c, m->id == 0 ? sql_sync_remote_insert : sql_sync_remote_update, e)) == NULL)
		goto out;
	bind_above(s, 1, m->id, 1);
	bind_text(s, 2, m->url);
	bind_text(s, 3, m->owner);
	bind_text(s, 4, probed.data);
	bind_text(s, 5, m->probed_at);
	bind_above(s, 6, m->rows, 0);
	bind_text(s, 7, m->catalogue_tag);
	bind_text(s, 8, m->catalogue_digest);
	if ((rc = finish(c, s, e)) == 0 && m->id == 0)
		m->id = sqlite3_last_insert_rowid(c->db);
out:
	buf_free(&probed);
	return rc;
}

void
catalogue_remote_free(struct catalogue_remote *m)
{
	free(m->url);
	free(m->catalogue_tag);
	json_free(m->probed);
	*m = (struct catalogue_remote){.rows = -1};
}

/* ---- objects ---- */

/* From the columns of sync_object_get; a key that none of ours is cannot be shown as another. */
static int
fill_object(sqlite3_stmt *s, struct catalogue_object *o, struct err *e)
{
	*o = (struct catalogue_object){
	    .id = sqlite3_column_int64(s, 0),
	    .recording_id = get_int(s, 1, 0),
	    .size_bytes = get_int(s, 4, 0),
	    .part_bytes = get_int(s, 7, 0),
	};
	get_text(s, 2, o->key, sizeof o->key);
	get_text(s, 3, o->remote_id, sizeof o->remote_id);
	get_sha256(s, 5, o->sha256);
	get_text(s, 6, o->tag, sizeof o->tag);
	get_text(s, 8, o->proof, sizeof o->proof);
	get_text(s, 9, o->proven_at, sizeof o->proven_at);
	return o->key[0] != '\0' ? 0
				 : err_set(e, ERR_CATALOGUE, NULL,
				       "row %lld of rec_objects has a key that is none; delete the "
				       "row, and its object will be looked at anew",
				       (long long)o->id);
}

int
catalogue_object_put(struct catalogue *c, int64_t remote, struct catalogue_object *o, struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(c, sql_sync_object_put, e);

	if (s == NULL)
		return -1;
	bind_above(s, 1, o->id, 1);
	sqlite3_bind_int64(s, 2, remote);
	bind_text(s, 3, o->key);
	bind_above(s, 4, o->recording_id, 1);
	bind_text(s, 5, o->remote_id);
	sqlite3_bind_int64(s, 6, o->size_bytes);
	bind_text(s, 7, o->sha256);
	bind_text(s, 8, o->tag);
	bind_above(s, 9, o->part_bytes, 1);
	bind_text(s, 10, o->proof);
	bind_text(s, 11, o->proven_at);
	if (finish(c, s, e) == -1)
		return -1;
	o->id = sqlite3_last_insert_rowid(c->db);
	return 0;
}

int
catalogue_object_get(
    struct catalogue *c, int64_t remote, const char *key, struct catalogue_object *o, struct err *e)
{
	sqlite3_stmt *s;
	int rc;

	*o = (struct catalogue_object){0};
	if (!has_tables(c))
		return 0;
	if ((s = catalogue_stmt(c, sql_sync_object_get, e)) == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, remote);
	bind_text(s, 2, key);
	if ((rc = catalogue_step(c, s, e)) == 1 && fill_object(s, o, e) == -1)
		rc = -1;
	sqlite3_reset(s);
	return rc;
}

int
catalogue_object_forget(struct catalogue *c, int64_t remote, const char *key, struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(c, sql_sync_object_forget, e);

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, remote);
	bind_text(s, 2, key);
	return finish(c, s, e);
}

int64_t
catalogue_object_count(struct catalogue *c, int64_t remote, struct err *e)
{
	sqlite3_stmt *s;
	int64_t n;

	if (!has_tables(c))
		return 0;
	if ((s = catalogue_stmt(c, sql_sync_object_count, e)) == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, remote);
	if (catalogue_step(c, s, e) == -1)
		return -1;
	n = sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	return n;
}

/* What recordings there are under a key. */
enum owner { OWNER_NONE, OWNER_OTHER_BYTES, OWNER_THESE_BYTES };

/* The enum, or -1. */
static int
owner_of(struct catalogue *c, const char *key, const char *sha256, struct err *e)
{
	const char *folder, *at, *sum;
	int rc, owner = OWNER_NONE;
	sqlite3_stmt *s;
	char *name;
	size_t len;

	if (sync_name(key, &folder, &name, &len) == -1)
		return OWNER_NONE;
	s = catalogue_stmt(c, c->shape.current_columns ? sql_sync_named : sql_sync_named_oldest, e);
	if (s == NULL) {
		free(name);
		return -1;
	}
	sqlite3_bind_text64(s, 1, name, len, SQLITE_TRANSIENT, SQLITE_UTF8);
	free(name);
	while ((rc = catalogue_step(c, s, e)) == 1 && owner != OWNER_THESE_BYTES) {
		at = (const char *)sqlite3_column_text(s, 0);
		sum = (const char *)sqlite3_column_text(s, 1);
		if (at == NULL || strcmp(at, folder) != 0)
			continue;
		owner =
		    sum != NULL && strcmp(sum, sha256) == 0 ? OWNER_THESE_BYTES : OWNER_OTHER_BYTES;
	}
	sqlite3_reset(s);
	return rc == -1 ? -1 : owner;
}

int
catalogue_object_find(struct catalogue *c, int64_t remote, const char *sha256,
    struct catalogue_object *o, struct err *e)
{
	struct catalogue_object next;
	int rc, owner = OWNER_THESE_BYTES;
	bool found = false;
	sqlite3_stmt *s;

	*o = (struct catalogue_object){0};
	if (!has_tables(c))
		return 0;
	if ((s = catalogue_stmt(c, sql_sync_objects_of_bytes, e)) == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, remote);
	bind_text(s, 2, sha256);
	while (owner != OWNER_NONE && (rc = catalogue_step(c, s, e)) == 1) {
		if ((rc = fill_object(s, &next, e)) == -1 ||
		    (rc = owner = owner_of(c, next.key, sha256, e)) == -1)
			break;
		if (owner == OWNER_NONE || (owner == OWNER_OTHER_BYTES && !found)) {
			*o = next;
			found = true;
		}
	}
	sqlite3_reset(s);
	return rc == -1 ? -1 : found;
}

/* ---- the walk ---- */

struct sync_walk {
	struct catalogue *c; /* its own */
	sqlite3_stmt *rows, *objects;
	int row_rc, object_rc; /* of what is pending: 1, or 0 at the end */
	char key[SYNC_KEY_MAX + 1];
	struct catalogue_object object;
	bool taken; /* the object, by a recording */
};

/* A connection that sorts in files. */
static struct catalogue *
open_sorter(const struct catalogue *c, struct err *e)
{
	struct catalogue_opts o = c->o;
	struct catalogue *own;

	o.write = false;
	if ((own = catalogue_open(&o, e)) == NULL)
		return NULL;
	/* With the temporary store the views go, and making them is writing. */
	if (catalogue_exec(own, "PRAGMA query_only = OFF; PRAGMA temp_store = FILE", e) == 0 &&
	    catalogue_refresh_shape(own, e) == 0 &&
	    catalogue_exec(own, "PRAGMA query_only = ON; BEGIN", e) == 0)
		return own;
	catalogue_close(own);
	return NULL;
}

static int
check_order(const char *before, const char *key, bool strictly, struct err *e)
{
	int order = strcmp(before, key);

	if (order < 0 || (order == 0 && (!strictly || key[0] == '\0')))
		return 0;
	return err_set(e, ERR_CATALOGUE, NULL,
	    "the database gives keys in another order than that of their bytes: its index is "
	    "damaged, or its encoding is not UTF-8; see rec-health check --only database-full");
}

static int
next_recording(struct sync_walk *w, struct err *e)
{
	char before[SYNC_KEY_MAX + 1];

	strcpy(before, w->key);
	if ((w->row_rc = catalogue_step(w->c, w->rows, e)) != 1)
		return w->row_rc;
	get_text(w->rows, 0, w->key, sizeof w->key);
	return check_order(before, w->key, false, e) == -1 ? -1 : 1;
}

static int
next_object(struct sync_walk *w, struct err *e)
{
	char before[SYNC_KEY_MAX + 1];

	strcpy(before, w->object.key);
	w->taken = false;
	if ((w->object_rc = catalogue_step(w->c, w->objects, e)) != 1)
		return w->object_rc;
	if (fill_object(w->objects, &w->object, e) == -1)
		return -1;
	return check_order(before, w->object.key, true, e);
}

/* One of the two sides; its range is bound to the parameter `range` and the next. */
static sqlite3_stmt *
open_side(struct sync_walk *w, const char *sql, int range, const char *from, const char *until,
    struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(w->c, sql, e);

	if (s != NULL) {
		sqlite3_bind_text(s, range, from, -1, SQLITE_TRANSIENT);
		sqlite3_bind_text(s, range + 1, until, -1, SQLITE_TRANSIENT);
	}
	return s;
}

struct sync_walk *
sync_walk_open(
    struct catalogue *c, int64_t remote, const char *from, const char *until, struct err *e)
{
	struct sync_walk *w = mem_new(1, sizeof *w, e);

	if (w == NULL)
		return NULL;
	if ((w->c = open_sorter(c, e)) == NULL ||
	    (w->rows = open_side(w, sql_sync_rows, 1, from, until, e)) == NULL ||
	    next_recording(w, e) == -1)
		goto fail;
	if (!has_tables(w->c))
		return w;
	if ((w->objects = open_side(w, sql_sync_objects, 2, from, until, e)) == NULL)
		goto fail;
	sqlite3_bind_int64(w->objects, 1, remote);
	if (next_object(w, e) != -1)
		return w;
fail:
	sync_walk_close(w);
	return NULL;
}

void
sync_walk_close(struct sync_walk *w)
{
	if (w == NULL)
		return;
	catalogue_close(w->c);
	free(w);
}

/* From the columns of sync_row. */
static int
fill_recording(sqlite3_stmt *s, struct sync_row *row, struct err *e)
{
	const void *stored = sqlite3_column_blob(s, 2);

	row->has_recording = true;
	get_text(s, 0, row->key, sizeof row->key);
	row->recording_id = sqlite3_column_int64(s, 1);
	row->stored_len = (size_t)sqlite3_column_bytes(s, 2);
	get_text(s, 3, row->folder, sizeof row->folder);
	row->deleted = sqlite3_column_int(s, 4) != 0;
	row->measured = sqlite3_column_int(s, 5) != 0;
	get_text(s, 6, row->problem, sizeof row->problem);
	row->size_bytes = get_int(s, 7, -1);
	get_sha256(s, 8, row->sha256);
	get_text(s, 9, row->sync_status, sizeof row->sync_status);
	row->stored = mem_bytes(stored != NULL ? stored : "", row->stored_len, e);
	return row->stored == NULL ? -1 : 0;
}

static int
take_recording(struct sync_walk *w, bool with_object, struct sync_row *row, struct err *e)
{
	if (fill_recording(w->rows, row, e) == -1)
		return -1;
	if (with_object) {
		row->object = w->object;
		row->has_object = w->taken = true;
	}
	return next_recording(w, e) == -1 ? -1 : 1;
}

static int
take_object(struct sync_walk *w, struct sync_row *row, struct err *e)
{
	strcpy(row->key, w->object.key);
	row->object = w->object;
	row->has_object = true;
	return next_object(w, e) == -1 ? -1 : 1;
}

int
sync_walk_next(struct sync_walk *w, struct sync_row *row, struct err *e)
{
	int order = -1, rc;

	*row = (struct sync_row){.size_bytes = -1};
	for (;;) {
		if (w->row_rc != 1 && w->object_rc != 1)
			return 0;
		if (w->object_rc == 1)
			order = w->row_rc == 1 ? strcmp(w->key, w->object.key) : 1;
		else
			order = -1;
		if (order <= 0 || !w->taken)
			break;
		/* Recordings that share a key share its object, too: only now it is done with. */
		if (next_object(w, e) == -1)
			return -1;
	}
	rc = order <= 0 ? take_recording(w, order == 0, row, e) : take_object(w, row, e);
	if (rc == -1)
		sync_row_free(row);
	return rc;
}

void
sync_row_free(struct sync_row *row)
{
	free(row->stored);
	*row = (struct sync_row){.size_bytes = -1};
}

int
sync_row_get(
    struct catalogue *c, int64_t remote, int64_t recording, struct sync_row *row, struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(c, sql_sync_row, e);
	int rc, object = 0;

	*row = (struct sync_row){.size_bytes = -1};
	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, recording);
	if ((rc = catalogue_step(c, s, e)) == 1 && fill_recording(s, row, e) == -1)
		rc = -1;
	sqlite3_reset(s);
	if (rc == 1 && row->key[0] != '\0') {
		object = catalogue_object_get(c, remote, row->key, &row->object, e);
		row->has_object = object == 1;
	}
	if (rc == -1 || object == -1) {
		sync_row_free(row);
		return -1;
	}
	return rc;
}

static int
add_key(const char *key, char ***keys, size_t *n, size_t *cap, struct err *e)
{
	char **grown;

	if (*n == *cap) {
		*cap = 2 * *cap + 64;
		if ((grown = realloc(*keys, *cap * sizeof *grown)) == NULL)
			return err_nomem(e);
		*keys = grown;
	}
	if (((*keys)[*n] = mem_str(key, e)) == NULL)
		return -1;
	(*n)++;
	return 0;
}

int
sync_ranges(struct catalogue *c, int64_t every, char ***keys, size_t *n, struct err *e)
{
	struct catalogue *own = open_sorter(c, e);
	sqlite3_stmt *s = own != NULL ? catalogue_stmt(own, sql_sync_keys, e) : NULL;
	const char *key;
	size_t cap = 0;
	int rc = -1;

	*keys = NULL;
	*n = 0;
	if (s != NULL)
		for (int64_t i = 1; (rc = catalogue_step(own, s, e)) == 1; i++) {
			key = (const char *)sqlite3_column_text(s, 0);
			if (every > 0 && i % every == 0 && key != NULL &&
			    (rc = add_key(key, keys, n, &cap, e)) == -1)
				break;
		}
	catalogue_close(own);
	if (rc == 0)
		return 0;
	while (*n > 0)
		free((*keys)[--*n]);
	free(*keys);
	*keys = NULL;
	return -1;
}

/* The columns of the current row, each with its type and length, so that none runs into the next.
 */
static void
hash_row(struct hash *h, sqlite3_stmt *q)
{
	for (int i = 0; i < sqlite3_column_count(q); i++) {
		const void *value = sqlite3_column_blob(q, i);
		int head[2] = {sqlite3_column_type(q, i), sqlite3_column_bytes(q, i)};

		hash_update(h, head, sizeof head);
		if (head[1] > 0)
			hash_update(h, value, (size_t)head[1]);
	}
}

int
sync_state_digest(
    struct catalogue *c, int64_t remote, char digest[HASH_XXH3_128_HEX], struct err *e)
{
	sqlite3_stmt *q = catalogue_stmt(c, sql_sync_state, e);
	struct hash *h = hash_open(HASH_XXH3_128, e);
	int rc = q == NULL || h == NULL ? -1 : 1;

	if (rc == 1) {
		sqlite3_bind_int64(q, 1, remote);
		while ((rc = catalogue_step(c, q, e)) == 1)
			hash_row(h, q);
		hash_xxh3_128(h, digest);
	}
	if (q != NULL)
		sqlite3_reset(q);
	hash_close(h);
	return rc;
}

int
sync_put_modified(struct catalogue *c, int64_t recording, struct json *rec, struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(c, sql_sync_modified, e);
	const char *at;
	int rc;

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, recording);
	if ((rc = catalogue_step(c, s, e)) == 1 &&
	    (at = (const char *)sqlite3_column_text(s, 0)) != NULL)
		rc = json_put_bytes(rec, "modified_at", at, strlen(at), e);
	sqlite3_reset(s);
	return rc == -1 ? -1 : 0;
}

int
sync_unsettled(struct catalogue *c, int64_t remote, int64_t after_id, int n,
    struct sync_status_change *out, struct err *e)
{
	sqlite3_stmt *s;
	int got = 0, rc = 0;

	if (!has_tables(c))
		return 0;
	if ((s = catalogue_stmt(c, sql_sync_unsettled, e)) == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, remote);
	sqlite3_bind_int64(s, 2, after_id);
	sqlite3_bind_int(s, 3, n);
	while (got < n && (rc = catalogue_step(c, s, e)) == 1) {
		out[got].recording_id = sqlite3_column_int64(s, 0);
		get_text(s, 1, out[got].proven_at, sizeof out[got].proven_at);
		got++;
	}
	sqlite3_reset(s);
	return rc == -1 ? -1 : got;
}

/* ---- what `show` tells ---- */

static int
append_proven(sqlite3_stmt *s, struct json *list, struct err *e)
{
	static const char *const names[] = {"remote", "key", "tag", "proof", "proven_at"};
	struct json *o = json_new_object(e);
	const char *text;
	int rc = o == NULL ? -1 : 0;

	for (int i = 0; rc == 0 && i < (int)(sizeof names / sizeof names[0]); i++) {
		text = (const char *)sqlite3_column_text(s, i);
		rc = text == NULL
			 ? json_put_null(o, names[i], e)
			 : json_put_bytes(o, names[i], text, (size_t)sqlite3_column_bytes(s, i), e);
	}
	if (rc == -1) {
		json_free(o);
		return -1;
	}
	return json_append(list, o, e);
}

/* Those that hold the recorded bytes: any other object under the key is no copy of the recording.
 */
static int
append_objects(struct catalogue *c, const struct sync_row *row, struct json *list, struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(c, sql_sync_proven, e);
	int rc;

	if (s == NULL)
		return -1;
	bind_text(s, 1, row->key);
	bind_text(s, 2, row->sha256);
	while ((rc = catalogue_step(c, s, e)) == 1)
		if (append_proven(s, list, e) == -1) {
			rc = -1;
			break;
		}
	sqlite3_reset(s);
	return rc;
}

int
catalogue_put_objects(struct catalogue *c, int64_t id, struct json *rec, struct err *e)
{
	struct json *list = json_new_array(e);
	struct sync_row row = {0};
	int rc = list == NULL ? -1 : 0;

	if (rc == 0 && has_tables(c) && (rc = sync_row_get(c, 0, id, &row, e)) == 1)
		rc = append_objects(c, &row, list, e);
	sync_row_free(&row);
	if (rc == -1) {
		json_free(list);
		return -1;
	}
	return json_put(rec, "objects", list, e);
}

/* ---- uploads ---- */

int
catalogue_upload_put(struct catalogue *c, int64_t remote, struct catalogue_upload *u, struct err *e)
{
	sqlite3_stmt *s =
	    catalogue_stmt(c, u->id == 0 ? sql_sync_upload_insert : sql_sync_upload_update, e);

	if (s == NULL)
		return -1;
	bind_above(s, 1, u->id, 1);
	sqlite3_bind_int64(s, 2, remote);
	bind_text(s, 3, u->key);
	bind_above(s, 4, u->recording_id, 1);
	bind_text(s, 5, u->upload);
	sqlite3_bind_int64(s, 6, u->size_bytes);
	bind_text(s, 7, u->mtime);
	bind_text(s, 8, u->sha256);
	sqlite3_bind_int64(s, 9, u->part_bytes);
	bind_text(s, 10, u->started_at);
	bind_text(s, 11, u->session);
	if (finish(c, s, e) == -1)
		return -1;
	if (u->id == 0)
		u->id = sqlite3_last_insert_rowid(c->db);
	return 0;
}

int
catalogue_upload_forget(struct catalogue *c, int64_t id, struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(c, sql_sync_upload_forget, e);

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, id);
	return finish(c, s, e);
}

void
catalogue_upload_free(struct catalogue_upload *u)
{
	if (u->session != NULL)
		explicit_bzero(u->session, strlen(u->session));
	free(u->session);
	*u = (struct catalogue_upload){0};
}

static int
fill_upload(sqlite3_stmt *s, struct catalogue_upload *u, struct err *e)
{
	*u = (struct catalogue_upload){
	    .id = sqlite3_column_int64(s, 0),
	    .recording_id = get_int(s, 2, 0),
	    .size_bytes = get_int(s, 4, 0),
	    .part_bytes = get_int(s, 7, 0),
	};
	get_text(s, 1, u->key, sizeof u->key);
	get_text(s, 3, u->upload, sizeof u->upload);
	get_text(s, 5, u->mtime, sizeof u->mtime);
	get_sha256(s, 6, u->sha256);
	get_text(s, 8, u->started_at, sizeof u->started_at);
	return get_copy(s, 9, &u->session, e);
}

int
catalogue_upload_get(
    struct catalogue *c, int64_t remote, const char *key, struct catalogue_upload *u, struct err *e)
{
	sqlite3_stmt *s;
	int rc;

	*u = (struct catalogue_upload){0};
	if (!has_tables(c))
		return 0;
	if ((s = catalogue_stmt(c, sql_sync_upload_get, e)) == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, remote);
	bind_text(s, 2, key);
	if ((rc = catalogue_step(c, s, e)) == 1 && fill_upload(s, u, e) == -1)
		rc = -1;
	sqlite3_reset(s);
	return rc;
}

int
catalogue_uploads(
    struct catalogue *c, int64_t remote, struct catalogue_upload **u, size_t *n, struct err *e)
{
	struct catalogue_upload *grown;
	sqlite3_stmt *s;
	size_t cap = 0;
	int rc;

	*u = NULL;
	*n = 0;
	if (!has_tables(c))
		return 0;
	if ((s = catalogue_stmt(c, sql_sync_uploads, e)) == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, remote);
	while ((rc = catalogue_step(c, s, e)) == 1) {
		if (*n == cap) {
			cap = 2 * cap + 16;
			if ((grown = realloc(*u, cap * sizeof *grown)) == NULL) {
				rc = err_nomem(e);
				break;
			}
			*u = grown;
		}
		if ((rc = fill_upload(s, &(*u)[*n], e)) == -1)
			break;
		(*n)++;
	}
	sqlite3_reset(s);
	if (rc == 0)
		return 0;
	while (*n > 0)
		catalogue_upload_free(&(*u)[--*n]);
	free(*u);
	*u = NULL;
	return -1;
}

int
catalogue_part_put(struct catalogue *c, int64_t upload, unsigned number, const char *md5,
    const char *tag, struct err *e)
{
	sqlite3_stmt *s = catalogue_stmt(c, sql_sync_part_put, e);

	if (s == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, upload);
	sqlite3_bind_int64(s, 2, number);
	bind_text(s, 3, md5);
	bind_text(s, 4, tag);
	return finish(c, s, e);
}

int
catalogue_parts(struct catalogue *c, int64_t upload,
    int (*each)(void *ctx, unsigned number, const char *md5, const char *tag, struct err *e),
    void *ctx, struct err *e)
{
	char md5[HASH_MD5_HEX], tag[256];
	sqlite3_stmt *s;
	int rc;

	if (!has_tables(c))
		return 0;
	if ((s = catalogue_stmt(c, sql_sync_parts, e)) == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, upload);
	while ((rc = catalogue_step(c, s, e)) == 1) {
		get_text(s, 1, md5, sizeof md5);
		get_text(s, 2, tag, sizeof tag);
		if ((rc = each(ctx, (unsigned)sqlite3_column_int64(s, 0), md5, tag, e)) == -1)
			break;
	}
	sqlite3_reset(s);
	return rc == -1 ? -1 : 0;
}

/* ---- the application's queue ---- */

static int
fill_job(sqlite3_stmt *s, struct sync_job *job, struct err *e)
{
	char **texts[] = {&job->id, &job->file_path, &job->title, &job->description, &job->tags,
	    &job->status, &job->created_at, &job->started_at, &job->finished_at, &job->last_error,
	    &job->remote_id};
	int64_t *counts[] = {
	    &job->attempts, &job->max_attempts, &job->uploaded_bytes, &job->total_bytes};
	int i = 1;

	*job = (struct sync_job){.rowid = sqlite3_column_int64(s, 0)};
	for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++)
		if (get_copy(s, i++, texts[t], e) == -1) {
			sync_job_free(job);
			return -1;
		}
	for (size_t n = 0; n < sizeof counts / sizeof counts[0]; n++)
		*counts[n] = get_int(s, i++, -1);
	job->cancel_requested = get_int(s, i, 0) > 0;
	return 0;
}

int
sync_jobs(struct catalogue *c, int64_t after, int n, struct sync_job *jobs, struct err *e)
{
	sqlite3_stmt *s;
	int got = 0, rc = 0;

	if (!c->shape.jobs)
		return 0;
	if ((s = catalogue_stmt(
		 c, c->shape.jobs_progress ? sql_sync_jobs : sql_sync_jobs_0001, e)) == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, after);
	sqlite3_bind_int(s, 2, n);
	while (got < n && (rc = catalogue_step(c, s, e)) == 1) {
		if ((rc = fill_job(s, &jobs[got], e)) == -1)
			break;
		got++;
	}
	sqlite3_reset(s);
	if (rc != -1)
		return got;
	while (got > 0)
		sync_job_free(&jobs[--got]);
	return -1;
}

int
sync_job_get(struct catalogue *c, const char *id, struct sync_job *job, struct err *e)
{
	sqlite3_stmt *s;
	int64_t rowid;
	int rc;

	*job = (struct sync_job){0};
	if (!c->shape.jobs)
		return 0;
	if ((s = catalogue_stmt(c, sql_sync_job_rowid, e)) == NULL)
		return -1;
	sqlite3_bind_text(s, 1, id, -1, SQLITE_TRANSIENT);
	if ((rc = catalogue_step(c, s, e)) != 1)
		return rc;
	rowid = sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	rc = rowid == INT64_MIN ? 0 : sync_jobs(c, rowid - 1, 1, job, e);
	/* It may have gone meanwhile. */
	if (rc == 1 && job->rowid != rowid) {
		sync_job_free(job);
		rc = 0;
	}
	return rc;
}

void
sync_job_free(struct sync_job *job)
{
	free(job->id);
	free(job->file_path);
	free(job->title);
	free(job->description);
	free(job->tags);
	free(job->status);
	free(job->created_at);
	free(job->started_at);
	free(job->finished_at);
	free(job->last_error);
	free(job->remote_id);
	*job = (struct sync_job){0};
}

int
sync_job_is_cancelled(struct catalogue *c, int64_t rowid, struct err *e)
{
	sqlite3_stmt *s;
	int rc;

	if (!c->shape.jobs_progress)
		return 0;
	if ((s = catalogue_stmt(c, sql_sync_job_cancel, e)) == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, rowid);
	if ((rc = catalogue_step(c, s, e)) == 1)
		rc = get_int(s, 0, 0) > 0;
	sqlite3_reset(s);
	return rc;
}

int
sync_job_progress(struct catalogue *c, int64_t rowid, int64_t bytes, struct err *e)
{
	sqlite3_stmt *s;

	if (!c->shape.jobs_progress)
		return 0;
	if ((s = catalogue_stmt(c, sql_sync_job_progress, e)) == NULL)
		return -1;
	sqlite3_bind_int64(s, 1, rowid);
	sqlite3_bind_int64(s, 2, bytes);
	return finish(c, s, e);
}
