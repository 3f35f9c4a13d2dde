/*
 * remote_drive: a folder of Google Drive, by its API version 3
 * (https://developers.google.com/drive/api/reference/rest/v3).
 *
 * Drive has no names that are unique and no conditions. So each file carries its key in a property
 * of its own ("rec_key"; of several files with one key the oldest stands), every file is made with
 * an id that was asked for before (a create that is tried again answers 409 and makes no second
 * file), and whoever makes one looks for others of the key before and after.
 *
 * Here are the settings, listing, getting, moving and copying. Beside it, lowest first: drive_api
 * (a request, the sign-in, what errors mean), drive_props (properties and metadata), drive_files
 * (the folder, queries, ids), drive_put, drive_session (uploads in parts).
 */
#include "remote_kind.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drive_api.h"
#include "drive_files.h"
#include "drive_props.h"
#include "drive_put.h"
#include "drive_session.h"
#include "mem.h"

#define ADDRESS "https://www.googleapis.com"
#define TOKEN_ADDRESS "https://oauth2.googleapis.com/token"
#define DEFAULT_FOLDER "Voice Recorder Pro"
#define SINGLE_MAX (INT64_C(5) << 20)
#define OBJECT_MAX (INT64_C(5) << 40)

/* ---- listing ---- */

struct listing {
	const char *prefix, *after, *until;
	struct remote_sorted *sorted;
};

static int
take_listed(void *ctx, struct json *file, struct err *e)
{
	struct listing *l = ctx;
	struct remote_object o;

	if (!drive_object_of(file, &o) || !drive_begins(o.key, l->prefix) ||
	    strcmp(o.key, l->after) <= 0 || (l->until[0] != '\0' && strcmp(o.key, l->until) > 0))
		return 0;
	return remote_sorted_add(l->sorted, &o, e);
}

/* The oldest of one key comes first, and stays first when sorted; remote.c leaves out the others.
 */
static int
drive_list_open(struct remote *r, const char *prefix, const char *after, const char *until,
    void **own, struct err *e)
{
	struct listing l = {.prefix = prefix, .after = after, .until = until};
	char id[REMOTE_ID_MAX];
	struct buf q = {0};
	int rc = -1;

	if ((l.sorted = remote_sorted_new(e)) != NULL &&
	    (rc = drive_folder(r, false, id, e)) == 1 && (rc = drive_add_in_folder(&q, id, e)) == 0)
		rc = drive_query_all(r, prefix, q.data, "1000", DRIVE_LISTED, take_listed, &l, e);
	buf_free(&q);
	if (rc == -1) {
		remote_sorted_free(l.sorted);
		return -1;
	}
	remote_sorted_sort(l.sorted);
	*own = l.sorted;
	return 0;
}

static int
drive_list_next(struct remote *r, void *own, struct remote_object *o, struct err *e)
{
	(void)r;
	(void)e;
	return remote_sorted_next(own, o);
}

static void
drive_list_close(struct remote *r, void *own)
{
	(void)r;
	remote_sorted_free(own);
}

/* ---- getting ---- */

struct getting {
	struct drive_call c;
	const struct remote_object *o;
	uint64_t at;  /* that the caller has */
	bool checked; /* that this answer begins where it should */
	char range[64];
	int (*sink)(void *ctx, const void *p, size_t len, struct err *e);
	void *ctx;
};

/* The answer is from t->at on only when it says so. */
static bool
is_continued(const struct getting *t)
{
	return t->c.headers[0] == NULL || http_begins_at(&t->c.a, t->at);
}

static int
take_bytes(void *ctx, const void *p, size_t len, struct err *e)
{
	struct getting *t = ctx;

	if (!t->checked && !is_continued(t))
		return err_item(e, P_REMOTE,
		    "%s: Google Drive does not go on where it was asked to; run again", t->o->key);
	t->checked = true;
	if (len > (uint64_t)t->o->size_bytes - t->at)
		return drive_changed_meanwhile(t->o->key, e);
	if (t->sink(t->ctx, p, len, e) == -1)
		return -1;
	t->at += len;
	return 0;
}

static int
attempt_get(void *ctx, struct fault *f, struct err *e)
{
	struct getting *t = ctx;

	t->c.headers[0] = NULL;
	if (t->at > 0) {
		snprintf(t->range, sizeof t->range, "Range: bytes=%" PRIu64 "-", t->at);
		t->c.headers[0] = t->range;
	}
	t->checked = false;
	if (drive_send_once(&t->c, f, e) == -1)
		return -1;
	if (t->at == (uint64_t)t->o->size_bytes)
		return 0;
	return fault_set(f, FAULT_TRANSIENT, t->c.a.status, "the answer ended early");
}

static int
drive_get(struct remote *r, const struct remote_object *o, uint64_t offset,
    int (*sink)(void *ctx, const void *p, size_t len, struct err *e), void *ctx, struct err *e)
{
	struct remote_object now;
	struct buf url = {0};
	struct getting t = {.o = &now, .at = offset, .sink = sink, .ctx = ctx};
	int rc = -1;

	if (drive_look_up_same(r, o, &now, NULL, e) == -1)
		return -1;
	if (offset >= (uint64_t)now.size_bytes)
		return 0;
	t.c = (struct drive_call){
	    .r = r, .what = o->key, .method = "GET", .sink = take_bytes, .ctx = &t};
	if (drive_add_file(r, &url, DRIVE_FILES, now.id, NULL, e) == 0 &&
	    drive_add_argument(&url, "alt", "media", e) == 0) {
		t.c.url = url.data;
		rc = retry_run(r->retry, o->key, attempt_get, &t, e);
	}
	drive_call_free(&t.c);
	buf_free(&url);
	/* Another version may have taken its place while it was read. */
	return rc == -1 ? -1 : drive_look_up_same(r, o, &now, NULL, e);
}

/* ---- moving, copying, deleting ---- */

/* What stands where something is to go: 1 and *old, 0, -1. */
static int
look_at_target(
    struct remote *r, const char *to, const char *over, struct remote_object *old, struct err *e)
{
	int rc = drive_find_key(r, to, old, NULL, e);

	if (rc != 1 || (over != NULL && over[0] != '\0' && strcmp(old->tag, over) == 0))
		return rc;
	return drive_in_the_way(to, e);
}

static int
drive_move(struct remote *r, const struct remote_object *from, const char *to, const char *over,
    struct remote_object *o, struct err *e)
{
	struct remote_object now, old;
	struct json *raw = NULL;
	int rc = look_at_target(r, to, over, &old, e), same;

	if (rc == -1)
		return -1;
	/* A move that was begun before, and did all but tell of it. */
	if (rc == 1 && from->id[0] != '\0' && strcmp(old.id, from->id) == 0) {
		*o = old;
		return 0;
	}
	same = drive_look_up_same(r, from, &now, &raw, e);
	if (same == 0)
		same = drive_move_file(r, &now, raw, to, o, e);
	json_free(raw);
	if (same == 0 && rc == 1)
		same = drive_delete_file(r, to, old.id, e);
	return same;
}

static int
copy_file(struct remote *r, const struct remote_object *now, const struct json *raw, const char *to,
    struct remote_object *o, struct err *e)
{
	struct json *v = drive_renamed(now, raw, to, e);
	char path[sizeof DRIVE_FILES + REMOTE_ID_MAX + 8], id[REMOTE_ID_MAX];
	int rc = -1;

	snprintf(path, sizeof path, DRIVE_FILES "/%s/copy", now->id);
	if (v != NULL && drive_new_id(r, to, id, e) == 0 && drive_put_place(r, v, id, e) == 0)
		rc = drive_send_metadata(r, to, "POST", path, v, id, o, e);
	json_free(v);
	return rc;
}

static int
drive_copy(struct remote *r, const struct remote_object *from, const char *to, const char *over,
    struct remote_object *o, struct err *e)
{
	struct remote_object now, old, other;
	struct json *raw = NULL;
	int rc = look_at_target(r, to, over, &old, e), done;

	if (rc == -1)
		return -1;
	done = drive_look_up_same(r, from, &now, &raw, e);
	if (done == 0)
		done = copy_file(r, &now, raw, to, o, e);
	json_free(raw);
	if (done == 0 && rc == 1)
		done = drive_delete_file(r, to, old.id, e);
	if (done == 0 && (rc = drive_look_after(r, to, o, &other, true, e)) != 0)
		done = rc == 1 ? drive_in_the_way(to, e) : -1;
	return done;
}

static int
drive_adopt(struct remote *r, struct remote_object *o, const char *key, struct err *e)
{
	struct remote_object now, other;
	struct json *v = NULL, *props = NULL;
	char path[sizeof DRIVE_FILES + REMOTE_ID_MAX];
	int rc = -1;

	if ((rc = drive_fetch(r, key, o->id, &now, NULL, e)) == -1)
		return -1;
	if (rc == 0 || strcmp(o->tag, now.tag) != 0 ||
	    (now.key[0] != '\0' && strcmp(now.key, key) != 0))
		return drive_changed_meanwhile(key, e);
	if ((rc = drive_find_key(r, key, &other, NULL, e)) == -1)
		return -1;
	if (rc == 1 && strcmp(other.id, now.id) != 0)
		return drive_in_the_way(key, e);
	rc = -1;
	snprintf(path, sizeof path, DRIVE_FILES "/%s", now.id);
	if ((v = json_new_object(e)) == NULL || (props = json_new_object(e)) == NULL ||
	    drive_put_key(props, key, e) == -1) {
		json_free(props);
		goto out;
	}
	if (json_put(v, "appProperties", props, e) == 0)
		rc = drive_send_metadata(r, key, "PATCH", path, v, now.id, o, e);
out:
	json_free(v);
	return rc;
}

static int
drive_remove(struct remote *r, const struct remote_object *o, struct err *e)
{
	struct remote_object now;
	int rc = drive_look_up(r, o, &now, NULL, e);

	/* What has another key by now is gone from this one. */
	if (rc != 1 || strcmp(o->key, now.key) != 0)
		return rc == -1 ? -1 : 0;
	if (o->tag[0] != '\0' && strcmp(o->tag, now.tag) != 0)
		return drive_changed_meanwhile(o->key, e);
	return drive_delete_file(r, o->key, now.id, e);
}

/* ---- finding out ---- */

struct probing {
	struct remote_source s;
	unsigned char content[1024];
	char key[64];
	uint64_t differs; /* bytes that came back wrong */
	uint64_t at;
};

static int
probing_init(struct remote *r, struct probing *t, struct err *e)
{
	struct hash *h = hash_open(HASH_SHA256 | HASH_MD5, e);
	char name[17];

	if (h == NULL || hash_random(t->content, sizeof t->content, e) == -1) {
		hash_close(h);
		return -1;
	}
	hash_hex(t->content, 8, name);
	snprintf(t->key, sizeof t->key, REMOTE_TEMP "%s-probe-%s", r->settings.owner, name);
	t->s = (struct remote_source){.key = t->key,
	    .fd = -1,
	    .bytes = t->content,
	    .size_bytes = sizeof t->content,
	    .condition = REMOTE_NEW};
	hash_update(h, t->content, sizeof t->content);
	hash_sha256(h, t->s.sha256);
	hash_md5(h, t->s.md5);
	hash_close(h);
	return 0;
}

static int
compare_bytes(void *ctx, const void *p, size_t len, struct err *e)
{
	struct probing *t = ctx;

	(void)e;
	for (size_t i = 0; i < len; i++, t->at++)
		t->differs += t->at >= sizeof t->content ||
			      ((const unsigned char *)p)[i] != t->content[t->at];
	return 0;
}

/* Whether a create with an id that is used makes no second file: the id stays that of the first. */
static int
probe_ids(struct remote *r, const struct probing *t, const struct remote_object *o, bool *once,
    struct err *e)
{
	struct drive_folders files = {0};
	struct remote_object again;
	char at[REMOTE_ID_MAX];
	struct buf q = {0};
	int rc = -1;

	if (drive_put_small(r, &t->s, o->id, NULL, &again, e) == 0 &&
	    drive_folder(r, true, at, e) == 1 && drive_add_in_folder(&q, at, e) == 0 &&
	    drive_add_has(&q, DRIVE_KEY_PROPERTY, t->key, e) == 0)
		rc = drive_query_all(r, t->key, q.data, "10", "id", drive_count_folder, &files, e);
	*once = rc == 0 && files.n <= 1 && strcmp(again.id, o->id) == 0 &&
		strcmp(again.tag, o->tag) == 0;
	buf_free(&q);
	return rc;
}

static int
probe_skew(struct remote *r, int64_t *ms, struct err *e)
{
	struct buf url = {0};
	struct drive_call c = {.r = r, .what = "Google Drive", .method = "GET", .wants_json = true};
	int rc = -1;

	if (drive_add_file(r, &url, DRIVE_FILES, "root", "id", e) == 0) {
		c.url = url.data;
		rc = drive_call_run(&c, e);
	}
	*ms = rc == 0 && c.a.has_skew ? c.a.skew_s * 1000 : 0;
	drive_call_free(&c);
	buf_free(&url);
	return rc;
}

static int
probe_objects(struct remote *r, struct probing *t, struct json *found, struct err *e)
{
	struct remote_object o, copied = {0};
	char to[sizeof t->key + 8];
	struct err ignored;
	bool once = false;
	int64_t skew;
	int rc;

	if (drive_put(r, &t->s, &o, e) == -1)
		return -1;
	snprintf(to, sizeof to, "%s-copy", t->key);
	t->at = 512;
	rc = drive_get(r, &o, t->at, compare_bytes, t, e);
	if (rc == 0)
		rc = probe_ids(r, t, &o, &once, e);
	if (rc == 0)
		rc = drive_copy(r, &o, to, "", &copied, e);
	if (rc == 0)
		rc = probe_skew(r, &skew, e);
	if (rc == 0 && t->differs != 0)
		rc = err_set(
		    e, ERR_CONFIG, NULL, "what was put at Google Drive came back with other bytes");
	if (rc == 0 &&
	    (json_put_bool(found, "conditional", once, e) == -1 ||
		json_put_bool(found, "checksum", drive_same_bytes(&t->s, &o), e) == -1 ||
		json_put_bool(found, "copy", drive_same_bytes(&t->s, &copied), e) == -1 ||
		json_put_int(found, "skew_ms", skew, e) == -1))
		rc = -1;
	if (copied.id[0] != '\0' &&
	    drive_delete_file(r, to, copied.id, rc == -1 ? &ignored : e) == -1)
		rc = -1;
	if (drive_delete_file(r, t->key, o.id, rc == -1 ? &ignored : e) == -1)
		rc = -1;
	return rc;
}

static int
drive_probe(struct remote *r, struct json *found, struct err *e)
{
	struct probing *t = mem_new(1, sizeof *t, e);
	int rc = -1;

	if (t != NULL && probing_init(r, t, e) == 0)
		rc = probe_objects(r, t, found, e);
	free(t);
	return rc;
}

/* A folder that is not there yet is fine: something is to be put first. */
static int
drive_check(struct remote *r, struct err *e)
{
	char id[REMOTE_ID_MAX];

	return drive_folder(r, false, id, e) == -1 ? -1 : 0;
}

/* ---- opening ---- */

static bool
is_set(const char *s)
{
	return s != NULL && s[0] != '\0';
}

static int
check_settings(const struct remote_settings *s, struct err *e)
{
	if (!is_set(s->client_id) || !is_set(s->client_secret))
		return err_set(e, ERR_CONFIG, NULL,
		    "Google Drive needs a client id and its secret; set GOOGLE_CLIENT_ID and "
		    "GOOGLE_CLIENT_SECRET");
	if (!is_set(s->refresh_token))
		return err_set(e, ERR_CONFIG, NULL,
		    "Google Drive needs a sign-in; set REC_GOOGLE_REFRESH_TOKEN");
	return 0;
}

static int
set_addresses(struct drive *d, const struct remote_settings *s, struct err *e)
{
	const char *base = is_set(s->endpoint) ? s->endpoint : ADDRESS;
	size_t n = strlen(base);
	struct http_url u;

	while (n > 0 && base[n - 1] == '/')
		n--;
	if ((d->base = mem_bytes(base, n, e)) == NULL)
		return -1;
	if (http_url_parse(d->base, &u, e) == -1)
		return err_prefix(e, "the endpoint of Google Drive");
	if (u.path[0] != '\0')
		return err_set(e, ERR_CONFIG, NULL,
		    "the endpoint of Google Drive has a path; it is https://HOST[:PORT]");
	if (strcmp(u.scheme, "https") != 0 && !s->allow_plain && !http_is_loopback(&u))
		return err_set(e, ERR_CONFIG, NULL,
		    "the endpoint of Google Drive is not https: the sign-in could be read on its "
		    "way");
	d->token_url =
	    is_set(s->endpoint) ? mem_fmt(e, "%s/token", d->base) : mem_str(TOKEN_ADDRESS, e);
	return d->token_url == NULL ? -1 : 0;
}

static void
drive_close(struct remote *r)
{
	struct drive *d = r->own;

	while (d->uploads != NULL) {
		struct drive_upload *u = d->uploads;

		d->uploads = u->next;
		free(u);
	}
	pthread_mutex_destroy(&d->token_lock);
	pthread_mutex_destroy(&d->folder_lock);
	pthread_mutex_destroy(&d->ids_lock);
	pthread_mutex_destroy(&d->uploads_lock);
	explicit_bzero(d->token, sizeof d->token);
	free(d->base);
	free(d->token_url);
	free(d);
	r->own = NULL;
}

static int
drive_open(struct remote *r, struct err *e)
{
	const char *name = strchr(r->settings.url, ':');
	struct drive *d;

	if (check_settings(&r->settings, e) == -1 || (d = mem_new(1, sizeof *d, e)) == NULL)
		return -1;
	r->own = d;
	pthread_mutex_init(&d->token_lock, NULL);
	pthread_mutex_init(&d->folder_lock, NULL);
	pthread_mutex_init(&d->ids_lock, NULL);
	pthread_mutex_init(&d->uploads_lock, NULL);
	if (drive_is_id(r->settings.place))
		snprintf(d->noted, sizeof d->noted, "%s", r->settings.place);
	d->folder_name = name == NULL || name[1] == '\0' ? DEFAULT_FOLDER : name + 1;
	if (set_addresses(d, &r->settings, e) == -1) {
		drive_close(r);
		return -1;
	}
	r->can = (struct remote_capabilities){.conditional = true,
	    .checksum = true,
	    .atomic_put = true,
	    .copy = true,
	    .secret_session = true,
	    .namesakes = true,
	    .single_max = SINGLE_MAX,
	    .part_min = DRIVE_CHUNK,
	    .part_multiple = DRIVE_CHUNK,
	    .object_max = OBJECT_MAX};
	return 0;
}

const struct remote_kind remote_drive_kind = {
    .scheme = "gdrive",
    .open = drive_open,
    .close = drive_close,
    .check = drive_check,
    .list_open = drive_list_open,
    .list_next = drive_list_next,
    .list_close = drive_list_close,
    .stat = drive_stat,
    .look = drive_look,
    .find = drive_find,
    .adopt = drive_adopt,
    .put = drive_put,
    .begin = drive_begin,
    .part = drive_part,
    .arrived = drive_arrived,
    .finish = drive_finish,
    .abort = drive_abort,
    .sweep = drive_sweep,
    .get = drive_get,
    .copy = drive_copy,
    .move = drive_move,
    .remove = drive_remove,
    .probe = drive_probe,
};
