#include "drive_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drive_props.h"
#include "mem.h"

#define FOLDER_TYPE "application/vnd.google-apps.folder"

/* ---- by id ---- */

int
drive_fetch(struct remote *r, const char *what, const char *id, struct remote_object *o,
    struct json **raw, struct err *e)
{
	struct buf url = {0};
	struct drive_call c = {
	    .r = r, .what = what, .method = "GET", .wants_json = true, .passes = {404, 410}};
	int rc = -1;

	if (!drive_is_id(id)) {
		err_item(e, P_BAD_RECORD, "%s: the id at Google Drive is none", what);
		goto out;
	}
	if (drive_add_file(r, &url, DRIVE_FILES, id, DRIVE_FIELDS, e) == -1)
		goto out;
	c.url = url.data;
	if (drive_call_run(&c, e) == -1)
		goto out;
	rc = c.a.status < 300 && drive_object_of(c.json, o);
	if (rc == 1 && raw != NULL) {
		*raw = c.json;
		c.json = NULL;
	}
out:
	drive_call_free(&c);
	buf_free(&url);
	return rc;
}

int
drive_delete_file(struct remote *r, const char *what, const char *id, struct err *e)
{
	struct buf url = {0};
	struct drive_call c = {.r = r, .what = what, .method = "DELETE", .passes = {404, 410}};
	int rc = -1;

	if (drive_add_file(r, &url, DRIVE_FILES, id, NULL, e) == 0) {
		c.url = url.data;
		rc = drive_call_run(&c, e);
	}
	drive_call_free(&c);
	buf_free(&url);
	return rc;
}

/* ---- queries ---- */

/* A string of the query language. */
static int
add_string(struct buf *q, const char *s, struct err *e)
{
	if (buf_adds(q, "'", e) == -1)
		return -1;
	for (; *s != '\0'; s++)
		if (((*s == '\'' || *s == '\\') && buf_adds(q, "\\", e) == -1) ||
		    buf_add(q, s, 1, e) == -1)
			return -1;
	return buf_adds(q, "'", e);
}

int
drive_add_has(struct buf *q, const char *name, const char *value, struct err *e)
{
	if (buf_adds(q, " and appProperties has { key=", e) == -1 || add_string(q, name, e) == -1 ||
	    buf_adds(q, " and value=", e) == -1 || add_string(q, value, e) == -1)
		return -1;
	return buf_adds(q, " }", e);
}

int
drive_add_in_folder(struct buf *q, const char *folder, struct err *e)
{
	if (add_string(q, folder, e) == -1)
		return -1;
	return buf_adds(q, " in parents and trashed = false", e);
}

/*
 * One page of the answer to a query into c->json, the oldest files first. It is the answer when it
 * is complete only.
 */
static int
query(struct drive_call *c, const char *q, const char *size, const char *fields, const char *page,
    struct err *e)
{
	struct buf url = {0}, all = {0};
	int rc = -1;

	c->method = "GET";
	c->wants_json = true;
	if (buf_addf(&all, e, "nextPageToken,incompleteSearch,files(%s)", fields) == -1 ||
	    drive_add_path(c->r, &url, DRIVE_FILES, e) == -1 ||
	    drive_add_argument(&url, "q", q, e) == -1 ||
	    drive_add_argument(&url, "pageSize", size, e) == -1 ||
	    drive_add_argument(&url, "orderBy", "createdTime", e) == -1 ||
	    drive_add_argument(&url, "spaces", "drive", e) == -1 ||
	    drive_add_argument(&url, "fields", all.data, e) == -1 ||
	    (page != NULL && drive_add_argument(&url, "pageToken", page, e) == -1))
		goto out;
	c->url = url.data;
	if (drive_call_run(c, e) == -1)
		goto out;
	if (json_to_bool(json_get(c->json, "incompleteSearch")) ||
	    json_kind(json_get(c->json, "files")) != JSON_KIND_ARRAY)
		err_item(e, P_REMOTE,
		    "%s: Google Drive gave a list that is not complete; try again later", c->what);
	else
		rc = 0;
out:
	c->url = NULL;
	buf_free(&url);
	buf_free(&all);
	return rc;
}

int
drive_query_all(struct remote *r, const char *what, const char *q, const char *size,
    const char *fields, int (*take)(void *ctx, struct json *file, struct err *e), void *ctx,
    struct err *e)
{
	char *page = NULL, *next = NULL;
	struct drive_call c = {.r = r, .what = what};
	const char *token;
	int rc;

	do {
		if ((rc = query(&c, q, size, fields, page, e)) == -1)
			break;
		for (size_t i = 0; rc == 0 && i < json_count(json_get(c.json, "files")); i++)
			rc = take(ctx, json_at(json_get(c.json, "files"), i), e);
		if (rc != 0 || (token = json_get_str(c.json, "nextPageToken")) == NULL)
			break;
		if (page != NULL && strcmp(page, token) == 0) {
			rc = err_item(
			    e, P_REMOTE, "%s: Google Drive's list has no end; try again", what);
			break;
		}
		if ((next = mem_str(token, e)) == NULL) {
			rc = -1;
			break;
		}
		free(page);
		page = next;
	} while (rc == 0);
	free(page);
	drive_call_free(&c);
	return rc;
}

/* ---- new ids ---- */

static int
fill_ids(struct remote *r, const char *what, struct err *e)
{
	struct drive *d = r->own;
	struct buf url = {0};
	struct drive_call c = {.r = r, .what = what, .method = "GET", .wants_json = true};
	const struct json *ids;
	int rc = -1;

	if (drive_add_path(r, &url, DRIVE_FILES "/generateIds", e) == -1 ||
	    buf_addf(&url, e, "?count=%d&space=drive&fields=ids", DRIVE_IDS) == -1)
		goto out;
	c.url = url.data;
	if (drive_call_run(&c, e) == -1)
		goto out;
	ids = json_get(c.json, "ids");
	for (size_t i = 0; i < json_count(ids) && d->n_ids < DRIVE_IDS; i++)
		if (drive_is_id(json_to_str(json_at(ids, i), NULL)))
			snprintf(d->ids[d->n_ids++], REMOTE_ID_MAX, "%s",
			    json_to_str(json_at(ids, i), NULL));
	rc = d->n_ids > 0 ? 0 : err_item(e, P_REMOTE, "%s: Google Drive gave no ids", what);
out:
	drive_call_free(&c);
	buf_free(&url);
	return rc;
}

int
drive_new_id(struct remote *r, const char *what, char id[REMOTE_ID_MAX], struct err *e)
{
	struct drive *d = r->own;
	int rc = 0;

	pthread_mutex_lock(&d->ids_lock);
	if (d->n_ids == 0)
		rc = fill_ids(r, what, e);
	if (rc == 0)
		memcpy(id, d->ids[--d->n_ids], REMOTE_ID_MAX);
	pthread_mutex_unlock(&d->ids_lock);
	return rc;
}

/* ---- the folder ---- */

int
drive_count_folder(void *ctx, struct json *file, struct err *e)
{
	struct drive_folders *found = ctx;
	const char *id = json_get_str(file, "id");

	(void)e;
	if (drive_is_id(id) && found->n++ == 0)
		snprintf(found->first, sizeof found->first, "%s", id);
	return 0;
}

static int
look_for_folder(struct remote *r, struct drive_folders *found, struct err *e)
{
	const struct drive *d = r->own;
	struct buf q = {0};
	int rc = -1;

	*found = (struct drive_folders){0};
	if (buf_adds(&q, "name = ", e) == 0 && add_string(&q, d->folder_name, e) == 0 &&
	    buf_adds(&q,
		" and mimeType = '" FOLDER_TYPE "' and 'root' in parents and trashed = false",
		e) == 0)
		rc = drive_query_all(
		    r, d->folder_name, q.data, "10", "id", drive_count_folder, found, e);
	buf_free(&q);
	return rc;
}

/* A folder of the name that does not lie in the trash: 1, 0, -1. */
static int
is_our_folder(struct remote *r, const char *id, struct err *e)
{
	const struct drive *d = r->own;
	struct buf url = {0};
	struct drive_call c = {.r = r,
	    .what = d->folder_name,
	    .method = "GET",
	    .wants_json = true,
	    .passes = {404, 410}};
	const char *type, *name;
	int rc = -1;

	if (drive_add_file(r, &url, DRIVE_FILES, id, "name,mimeType,trashed", e) == 0) {
		c.url = url.data;
		rc = drive_call_run(&c, e);
	}
	if (rc == 0) {
		type = json_get_str(c.json, "mimeType");
		name = json_get_str(c.json, "name");
		rc = type != NULL && strcmp(type, FOLDER_TYPE) == 0 && name != NULL &&
		     strcmp(name, d->folder_name) == 0 &&
		     !json_to_bool(json_get(c.json, "trashed"));
	}
	drive_call_free(&c);
	buf_free(&url);
	return rc;
}

/* Whoever opened the remote takes it down before it counts. */
static int
note_folder(struct remote *r, const char *id, struct err *e)
{
	struct drive *d = r->own;

	if (strcmp(d->noted, id) == 0)
		return 0;
	if (r->settings.note_place != NULL &&
	    r->settings.note_place(r->settings.place_ctx, id, e) == -1)
		return -1;
	snprintf(d->noted, sizeof d->noted, "%s", id);
	return 0;
}

static int
use_folder(struct remote *r, const char *id, struct err *e)
{
	struct drive *d = r->own;

	if (note_folder(r, id, e) == -1)
		return -1;
	snprintf(d->folder, sizeof d->folder, "%s", id);
	return 0;
}

static struct json *
folder_metadata(const struct drive *d, struct err *e)
{
	struct json *v = json_new_object(e), *parents = json_new_array(e);

	if (v != NULL && parents != NULL && json_append_str(parents, "root", e) == 0 &&
	    json_put_str(v, "id", d->noted, e) == 0 &&
	    json_put_str(v, "name", d->folder_name, e) == 0 &&
	    json_put_str(v, "mimeType", FOLDER_TYPE, e) == 0)
		return json_put(v, "parents", parents, e) == 0 ? v : (json_free(v), NULL);
	json_free(parents);
	json_free(v);
	return NULL;
}

/* With the id that is noted: 1 when it is there then; 0 when something else has had that id, which
 * one of an earlier run may; -1. */
static int
make_folder(struct remote *r, bool earlier, struct err *e)
{
	struct drive *d = r->own;
	struct buf url = {0}, text = {0};
	struct drive_call c = {.r = r,
	    .what = d->folder_name,
	    .method = "POST",
	    .wants_json = true,
	    .passes = {409, earlier ? 400 : 0}};
	struct json *v = folder_metadata(d, e);
	int rc = -1;

	if (v != NULL && drive_json_body(&c, v, &text, e) == 0 &&
	    drive_add_path(r, &url, DRIVE_FILES "?fields=id", e) == 0) {
		c.url = url.data;
		rc = drive_call_run(&c, e);
	}
	if (rc == 0)
		rc = c.a.status < 300 ? 1 : is_our_folder(r, d->noted, e);
	drive_call_free(&c);
	json_free(v);
	buf_free(&text);
	buf_free(&url);
	return rc;
}

/* A run that was killed between noting an id and making its folder is gone on with. */
static int
make_noted_folder(struct remote *r, struct err *e)
{
	struct drive *d = r->own;
	char id[REMOTE_ID_MAX];
	int rc = d->noted[0] != '\0' ? make_folder(r, true, e) : 0;

	if (rc == 0 && (drive_new_id(r, d->folder_name, id, e) == -1 ||
			   note_folder(r, id, e) == -1 || (rc = make_folder(r, false, e)) == -1))
		return -1;
	if (rc == 0)
		err_item(e, P_REMOTE, "%s: Google Drive gave an id that is taken; run again",
		    d->folder_name);
	return rc == 1 ? 0 : -1;
}

/* Another run may have made one at the same time: the oldest stands, and ours is empty. What a list
 * shows may be gone already, so it is asked for by its id. */
static int
settle_folder(struct remote *r, struct err *e)
{
	struct drive *d = r->own;
	struct drive_folders found;
	char ours[REMOTE_ID_MAX];
	int rc = 0;

	if (make_noted_folder(r, e) == -1 || look_for_folder(r, &found, e) == -1)
		return -1;
	memcpy(ours, d->noted, sizeof ours);
	if (found.n > 0 && strcmp(found.first, ours) != 0)
		rc = is_our_folder(r, found.first, e);
	if (rc == 0)
		return use_folder(r, ours, e);
	if (rc == -1 || drive_delete_file(r, d->folder_name, ours, e) == -1)
		return -1;
	return use_folder(r, found.first, e);
}

static int
find_folder(struct remote *r, bool create, struct err *e)
{
	struct drive *d = r->own;
	struct drive_folders found;
	int rc = d->noted[0] != '\0' ? is_our_folder(r, d->noted, e) : 0;

	if (rc != 0)
		return rc == 1 ? use_folder(r, d->noted, e) : -1;
	if (look_for_folder(r, &found, e) == -1)
		return -1;
	if (found.n > 1)
		return err_set(e, ERR_CONFIG, NULL,
		    "there are %u folders named %s in My Drive; rename or delete all but one",
		    found.n, d->folder_name);
	if (found.n == 1)
		return use_folder(r, found.first, e);
	return create ? settle_folder(r, e) : 0;
}

int
drive_folder(struct remote *r, bool create, char id[REMOTE_ID_MAX], struct err *e)
{
	struct drive *d = r->own;
	int rc = 0;

	pthread_mutex_lock(&d->folder_lock);
	if (d->folder[0] == '\0')
		rc = find_folder(r, create, e);
	memcpy(id, d->folder, REMOTE_ID_MAX);
	pthread_mutex_unlock(&d->folder_lock);
	return rc == -1 ? -1 : id[0] != '\0';
}

int
drive_folder_is_gone(const struct drive_call *c, struct err *e)
{
	const struct drive *d = c->r->own;

	return err_set(e, ERR_CONFIG, NULL,
	    "%s: the folder %s is no longer at Google Drive; look there what happened to it, then "
	    "run again",
	    c->what, d->folder_name);
}

/* ---- by key ---- */

struct search {
	const char *key;    /* that it must have; NULL: none at all */
	const char *sha256; /* that it must not contradict; NULL */
	struct remote_object *o;
	struct json *raw;
};

static int
take_fitting(void *ctx, struct json *file, struct err *e)
{
	struct search *s = ctx;

	if (!drive_object_of(file, s->o))
		return 0;
	if (s->key != NULL ? strcmp(s->o->key, s->key) != 0 : s->o->key[0] != '\0')
		return 0;
	if (s->sha256 != NULL && s->o->sha256[0] != '\0' && strcmp(s->o->sha256, s->sha256) != 0)
		return 0;
	return (s->raw = json_clone(file, e)) == NULL ? -1 : 1;
}

static int
run_search(struct remote *r, const char *what, const struct json *has, struct search *s,
    struct json **raw, struct err *e)
{
	char id[REMOTE_ID_MAX];
	const char *key;
	struct json *v;
	struct buf q = {0};
	int rc = drive_folder(r, false, id, e);

	if (rc != 1)
		return rc;
	rc = drive_add_in_folder(&q, id, e);
	for (void *it = json_first(has, &key, &v); rc == 0 && it != NULL;
	     it = json_next(has, it, &key, &v))
		rc = drive_add_has(&q, key, json_to_str(v, NULL), e);
	if (rc == 0)
		rc = drive_query_all(r, what, q.data, "100", DRIVE_FIELDS, take_fitting, s, e);
	if (rc == 1 && raw != NULL)
		*raw = s->raw;
	else
		json_free(s->raw);
	if (rc != 1)
		memset(s->o, 0, sizeof *s->o);
	buf_free(&q);
	return rc;
}

int
drive_find_key(
    struct remote *r, const char *key, struct remote_object *o, struct json **raw, struct err *e)
{
	struct json *has = json_new_object(e);
	struct search s = {.key = key, .o = o};
	int rc = -1;

	if (has != NULL && drive_put_key(has, key, e) == 0)
		rc = run_search(r, key, has, &s, raw, e);
	json_free(has);
	return rc;
}

int
drive_find(struct remote *r, const char *sha256, struct remote_object *o, struct err *e)
{
	struct json *has = json_new_object(e);
	struct search s = {.sha256 = sha256, .o = o};
	int rc = -1;

	if (has != NULL && json_put_str(has, "content_sha256", sha256, e) == 0)
		rc = run_search(r, "an uploaded recording", has, &s, NULL, e);
	json_free(has);
	return rc;
}

int
drive_look_up(struct remote *r, const struct remote_object *o, struct remote_object *now,
    struct json **raw, struct err *e)
{
	return o->id[0] != '\0' ? drive_fetch(r, o->key, o->id, now, raw, e)
				: drive_find_key(r, o->key, now, raw, e);
}

int
drive_changed_meanwhile(const char *key, struct err *e)
{
	return err_item(e, P_CONFLICT,
	    "%s: was changed at Google Drive meanwhile; run again to see what it is now", key);
}

int
drive_in_the_way(const char *key, struct err *e)
{
	return err_item(e, P_CONFLICT,
	    "%s: something else is there at Google Drive; look at both and rename one", key);
}

/* What stands there instead of what was: nothing, or something else. */
static int
is_not_there(struct remote *r, const char *key, struct err *e)
{
	struct remote_object other;
	int rc = key[0] == '\0' ? 0 : drive_find_key(r, key, &other, NULL, e);

	if (rc == 0)
		return err_item(e, P_MISSING, "%s: is no longer at Google Drive", key);
	return rc == 1 ? drive_changed_meanwhile(key, e) : -1;
}

int
drive_look_up_same(struct remote *r, const struct remote_object *o, struct remote_object *now,
    struct json **raw, struct err *e)
{
	int rc = drive_look_up(r, o, now, raw, e);

	if (rc == -1)
		return -1;
	if (rc == 1 && strcmp(o->key, now->key) == 0 &&
	    (o->tag[0] == '\0' || strcmp(o->tag, now->tag) == 0))
		return 0;
	if (raw != NULL) {
		json_free(*raw);
		*raw = NULL;
	}
	return is_not_there(r, o->key, e);
}

int
drive_stat(struct remote *r, const char *key, struct remote_object *o, struct json **metadata,
    struct err *e)
{
	struct json *raw = NULL;
	int rc = drive_find_key(r, key, o, &raw, e);

	if (rc == 1 && metadata != NULL && (*metadata = drive_metadata_of(raw, e)) == NULL)
		rc = -1;
	json_free(raw);
	return rc;
}

static bool
is_in_folder(const struct json *file, const char *folder)
{
	const struct json *parents = json_get(file, "parents");
	const char *id;

	for (size_t i = 0; i < json_count(parents); i++)
		if ((id = json_to_str(json_at(parents, i), NULL)) != NULL &&
		    strcmp(id, folder) == 0)
			return true;
	return false;
}

int
drive_look(
    struct remote *r, const struct remote_object *known, struct remote_object *o, struct err *e)
{
	char folder[REMOTE_ID_MAX];
	struct json *raw = NULL;
	int rc = drive_is_id(known->id) ? drive_folder(r, false, folder, e) : 0;

	if (rc == 1)
		rc = drive_fetch(r, known->key, known->id, o, &raw, e);
	if (rc == 1)
		rc = strcmp(o->key, known->key) == 0 && is_in_folder(raw, folder);
	json_free(raw);
	return rc;
}
