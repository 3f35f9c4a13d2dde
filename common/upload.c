/*
 * A file in parts passes through two hands: the calling thread reads it once, for a hash of the
 * whole and the MD5 of each part, and a few senders put the parts whose MD5 is known. What arrived
 * in an earlier process is compared by that MD5, and not sent again.
 */
#include "upload.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "ledger.h"
#include "mem.h"
#include "proof.h"

#define BLOCK (64 * 1024)
#define SENDERS 4
#define PARTS_AHEAD 4
#define MIB (INT64_C(1) << 20)

struct sending {
	const struct upload *u;
	struct sync *s;
	int fd;
	struct stat st;
	char *small;	      /* room for SYNC_LARGE bytes, or NULL */
	const char *xxh3_128; /* recorded of the bytes that have the row's SHA-256, or NULL */
	struct json *metadata;
	struct remote_source source;
	struct digest digest;
};

/* ---- the file ---- */

/* Whose bytes are not those that are recorded: what it is called. */
static int
refuse_bytes(const struct sending *g, struct err *e)
{
	char mtime[CLOCK_TEXT_MAX];
	struct catalogue_row row;
	bool same_time = false;

	pthread_mutex_lock(&g->s->writing);
	if (catalogue_row_by_id(g->s->a.catalogue, g->u->row->recording_id, &row, e) == 1) {
		same_time = row.mtime != NULL &&
			    strcmp(row.mtime, clock_rfc3339(g->st.st_mtim, mtime)) == 0;
		catalogue_row_free(&row);
	}
	pthread_mutex_unlock(&g->s->writing);
	return same_time
		   ? err_item(e, P_CHECKSUM_MISMATCH,
			 "its bytes are not those that were recorded, though its time and "
			 "size are: it is not sent; rec-health check tells where it rotted")
		   : err_item(e, P_MODIFIED,
			 "it has been changed since it was recorded: it is not sent; rec-meta "
			 "refresh records what it is now");
}

static int
open_file(struct sending *g, struct err *e)
{
	const struct sync_row *row = g->u->row;
	enum folder f;

	if (archive_locate(&g->s->a, row->stored, row->stored_len, row->folder, &f, &g->st, e) ==
		-1 ||
	    (g->fd = io_open_beneath(g->s->a.folders[f], row->stored, e)) == -1)
		return -1;
	if (fstat(g->fd, &g->st) == -1)
		return err_sys(e, "looking at the file");
	if (row->size_bytes >= 0 && row->size_bytes != g->st.st_size)
		return err_item(e, P_SIZE_MISMATCH,
		    "the file has %lld bytes, and %lld were recorded: it is not sent; rec-meta "
		    "refresh records what it is now",
		    (long long)g->st.st_size, (long long)row->size_bytes);
	g->source.fd = g->fd;
	g->source.size_bytes = g->st.st_size;
	return 0;
}

/* Measured together with the SHA-256 that is wanted: then that is the hash to compare. */
static void
find_baseline(struct sending *g)
{
	const char *sha256 = json_get_str(g->u->rec, "sha256");

	if (sha256 != NULL && strcmp(sha256, g->u->row->sha256) == 0)
		g->xxh3_128 = json_get_str(g->u->rec, "xxh3_128");
}

static int
whole_kind(const struct sending *g)
{
	return g->xxh3_128 != NULL ? HASH_XXH3_128 : HASH_SHA256;
}

static int
read_small(struct sending *g, struct err *e)
{
	size_t size = (size_t)g->source.size_bytes;
	ssize_t n = io_pread(g->fd, g->small, size + 1, 0, e);

	if (n == -1)
		return -1;
	if ((size_t)n != size)
		return err_item(e, P_MODIFIED, "it became %s while it was read",
		    (size_t)n < size ? "shorter" : "longer");
	g->source.fd = -1;
	g->source.bytes = g->small;
	return digest_bytes(g->small, size, whole_kind(g), &g->digest, e);
}

/* Reads it whole; its bytes must be those that are recorded, where that is known. */
static int
read_file(struct sending *g, int64_t part_bytes, struct err *e)
{
	const char *wanted = g->u->row->sha256;
	bool small = g->small != NULL && g->source.size_bytes < SYNC_LARGE;
	struct digest *d = &g->digest;

	digest_free(d);
	if ((small ? read_small(g, e) : digest_file(g->fd, part_bytes, whole_kind(g), d, e)) == -1)
		return -1;
	if (g->xxh3_128 != NULL && strcmp(g->xxh3_128, d->xxh3_128) == 0)
		strcpy(d->sha256, wanted);
	if (wanted[0] != '\0' && strcmp(wanted, d->sha256) != 0)
		return refuse_bytes(g, e);
	strcpy(g->source.sha256, d->sha256);
	return 0;
}

/* ---- what goes along ---- */

static int
copy_text(struct json *to, const struct json *rec, const char *key, struct err *e)
{
	const char *text = json_get_str(rec, key);

	return text == NULL ? 0 : json_put_str(to, key, text, e);
}

/* The existing application keeps a list of words; ours have names. */
static int
put_tags(struct json *to, const struct json *tags, struct err *e)
{
	struct buf list = {0};
	const char *name, *text;
	struct json *v;
	int rc = 0;

	for (void *it = json_first(tags, &name, &v); it != NULL && rc == 0;
	     it = json_next(tags, it, &name, &v))
		if ((text = json_to_str(v, NULL)) != NULL)
			rc = buf_addf(&list, e, "%s%s=%s", list.len > 0 ? "," : "", name, text);
	if (rc == 0 && list.len > 0)
		rc = json_put_str(to, "tags", list.data, e);
	buf_free(&list);
	return rc;
}

static int
describe(struct sending *g, struct err *e)
{
	const struct json *rec = g->u->rec;
	char size[32];

	snprintf(size, sizeof size, "%lld", (long long)g->source.size_bytes);
	if ((g->metadata = json_new_object(e)) == NULL ||
	    json_put_str(g->metadata, "content_sha256", g->source.sha256, e) == -1 ||
	    json_put_str(g->metadata, "file_size", size, e) == -1 ||
	    copy_text(g->metadata, rec, "filename", e) == -1 ||
	    copy_text(g->metadata, rec, "title", e) == -1 ||
	    copy_text(g->metadata, rec, "created_at", e) == -1 ||
	    put_tags(g->metadata, json_get(rec, "tags"), e) == -1)
		return -1;
	g->source.metadata = g->metadata;
	g->source.mime_type = json_get_str(rec, "mime_type");
	return 0;
}

/* ---- what is there ---- */

/* What is under the key is this already (1), ours and to be replaced (0), or somebody else's (-1).
 */
static int
look_at(
    struct sending *g, const struct remote_object *there, struct catalogue_object *o, struct err *e)
{
	struct err why;
	int rc = proof_of(g->s, there, &g->digest, true, o, &why, e);

	if (rc != 0 || g->u->may_replace)
		return rc;
	return err_item(e, P_CONFLICT,
	    "%s holds another object under %s, and nothing tells that it is ours (%s): it is left "
	    "as it is; move it away, or give the recording another name",
	    g->s->url, there->key, why.text);
}

/* What was put must now be told by the remote as it was sent. */
static int
must_be(
    struct sending *g, const struct remote_object *there, struct catalogue_object *o, struct err *e)
{
	struct err why;
	int rc = proof_of(g->s, there, &g->digest, true, o, &why, e);

	if (rc == 0)
		return err_item(e, P_REMOTE, "it was sent, but %s", why.text);
	return rc == 1 ? 0 : -1;
}

/* Something came under the key that was not there when it was looked at. */
static int
met_another(struct sending *g, struct catalogue_object *o, struct err *e)
{
	struct remote_object there;
	struct err conflict = *e;
	int rc = remote_stat(g->s->remote, g->source.key, &there, NULL, e);

	if (rc == 1)
		rc = look_at(g, &there, o, e);
	if (rc == 0)
		*e = conflict;
	return rc == 1 ? 1 : -1;
}

static int
tell_progress(const struct sending *g, int64_t bytes, struct err *e)
{
	return g->u->progress == NULL ? 0 : g->u->progress(g->u->ctx, bytes, e);
}

/* ---- in one go ---- */

static int
send_whole(struct sending *g, struct catalogue_object *o, enum upload_result *how, struct err *e)
{
	struct remote_object there;
	/* Allocated, it would be mapped and cleared for every file. */
	char small[SYNC_LARGE];
	int rc;

	*how = UPLOAD_FOUND;
	g->small = small;
	if (read_file(g, 0, e) == -1)
		return -1;
	if (g->u->is_there && (rc = look_at(g, g->u->there, o, e)) != 0)
		return rc == 1 ? 0 : -1;
	strcpy(g->source.md5, g->digest.md5);
	if (describe(g, e) == -1 || tell_progress(g, 0, e) == -1)
		return -1;
	if (remote_put(g->s->remote, &g->source, &there, e) == -1) {
		if (sync_is_fatal(e) || e->code == NULL || strcmp(e->code, P_CONFLICT) != 0)
			return -1;
		return met_another(g, o, e) == 1 ? 0 : -1;
	}
	*how = UPLOAD_SENT;
	return must_be(g, &there, o, e);
}

/* ---- in parts ---- */

struct parts {
	struct sending *g;
	struct catalogue_upload up;
	char session[REMOTE_SESSION_MAX];
	unsigned n;
	struct remote_part *part;
	int64_t confirmed; /* bytes that the remote has, where it counts them alone */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned hashed, taken; /* parts whose MD5 is known; that a sender took */
	int64_t done_bytes;
	bool failed; /* nobody goes on; why: */
	struct err why;
	bool resumed;
};

static int64_t
part_size(const struct sending *g)
{
	const struct remote_capabilities *can = remote_can(g->s->remote);
	int64_t size = g->s->part_bytes, unit = can->part_multiple > 0 ? can->part_multiple : 1,
		least;

	if (size < can->part_min)
		size = can->part_min;
	if (can->parts_max > 0) {
		least = (g->source.size_bytes + can->parts_max - 1) / can->parts_max;
		if (size < least)
			size = (least + MIB - 1) / MIB * MIB;
	}
	return (size + unit - 1) / unit * unit;
}

static void
fail(struct parts *p, const struct err *why)
{
	pthread_mutex_lock(&p->lock);
	if (!p->failed)
		p->why = *why;
	p->failed = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

/* The next part to send: its index, or -1 when there is none any more. */
static int
take_part(struct parts *p)
{
	int i = -1;

	pthread_mutex_lock(&p->lock);
	while (p->taken == p->hashed && p->hashed < p->n && !p->failed)
		pthread_cond_wait(&p->changed, &p->lock);
	if (!p->failed && p->taken < p->hashed)
		i = (int)p->taken++;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	return i;
}

static bool
has_arrived(const struct parts *p, const struct remote_part *part)
{
	if (p->confirmed > 0)
		return part->offset + part->size_bytes <= p->confirmed;
	return part->tag[0] != '\0' && strcmp(part->tag, part->md5) == 0;
}

static int
send_part(struct parts *p, struct remote_part *part, struct err *e)
{
	struct sending *g = p->g;
	int64_t done;

	if (!has_arrived(p, part)) {
		part->tag[0] = '\0';
		if (remote_part(g->s->remote, &g->source, p->session, part, e) == -1 ||
		    ledger_part(g->s, &p->up, part, e) == -1)
			return -1;
	} else {
		p->resumed = true;
	}
	pthread_mutex_lock(&p->lock);
	done = p->done_bytes += part->size_bytes;
	pthread_mutex_unlock(&p->lock);
	return tell_progress(g, done, e);
}

static void *
sender(void *arg)
{
	struct parts *p = arg;
	struct err e;
	int i;

	while ((i = take_part(p)) != -1)
		if (send_part(p, &p->part[i], &e) == -1)
			fail(p, &e);
	return NULL;
}

/* Reads one part into both hashes. */
static int
hash_part(struct parts *p, unsigned i, struct hash *whole, struct err *e)
{
	char block[BLOCK];
	struct remote_part *part = &p->part[i];
	struct hash *md5 = hash_open(HASH_MD5, e);
	int64_t at = 0;
	ssize_t n = 0;

	if (md5 == NULL)
		return -1;
	for (; at < part->size_bytes; at += n) {
		int64_t left = part->size_bytes - at;

		n = io_pread(p->g->fd, block, left < BLOCK ? (size_t)left : BLOCK,
		    (uint64_t)(part->offset + at), e);
		if (n <= 0)
			break;
		hash_update(whole, block, (size_t)n);
		hash_update(md5, block, (size_t)n);
	}
	hash_md5(md5, part->md5);
	hash_close(md5);
	if (at == part->size_bytes)
		return 0;
	return n == -1 ? -1 : err_item(e, P_MODIFIED, "it became shorter while it was sent");
}

/* Waits until the senders are near, and hands the part over. 0 when they have failed. */
static int
hand_over(struct parts *p)
{
	int go_on;

	pthread_mutex_lock(&p->lock);
	p->hashed++;
	pthread_cond_broadcast(&p->changed);
	while (p->hashed - p->taken >= PARTS_AHEAD && !p->failed)
		pthread_cond_wait(&p->changed, &p->lock);
	go_on = !p->failed;
	pthread_mutex_unlock(&p->lock);
	return go_on;
}

static void
hash_all(struct parts *p, struct hash *whole)
{
	struct err e;

	for (unsigned i = 0; i < p->n; i++) {
		if (hash_part(p, i, whole, &e) == -1) {
			fail(p, &e);
			return;
		}
		if (!hand_over(p))
			return;
	}
}

/* The file was what is recorded, or, where nothing is, what it was when the upload was begun. */
static bool
is_as_begun(const struct parts *p, struct hash *whole)
{
	char hex[HASH_SHA256_HEX];

	if (p->g->xxh3_128 != NULL) {
		hash_xxh3_128(whole, hex);
		return strcmp(hex, p->g->xxh3_128) == 0;
	}
	hash_sha256(whole, hex);
	return strcmp(hex, p->up.sha256) == 0;
}

/* 0 when every part is there and the file was what is recorded. */
static int
send_parts(struct parts *p, struct err *e)
{
	unsigned n = remote_can(p->g->s->remote)->parallel_parts ? SENDERS : 1, running = 0;
	struct hash *whole = hash_open(whole_kind(p->g), e);
	bool same;
	pthread_t senders[SENDERS];

	if (whole == NULL)
		return -1;
	for (n = n < p->n ? n : p->n; running < n; running++)
		if (pthread_create(&senders[running], NULL, sender, p) != 0)
			break;
	if (running > 0)
		hash_all(p, whole);
	while (running > 0)
		pthread_join(senders[--running], NULL);
	same = is_as_begun(p, whole);
	hash_close(whole);
	if (p->failed) {
		*e = p->why;
		return -1;
	}
	if (p->taken < p->n)
		return err_sys(e, "starting threads");
	return same ? 0 : refuse_bytes(p->g, e);
}

static int
note_arrived(void *ctx, const struct remote_part *got, struct err *e)
{
	struct parts *p = ctx;
	struct remote_part *part;

	(void)e;
	if (got->number == 0) {
		p->confirmed = got->size_bytes;
		return 0;
	}
	if (got->number > p->n)
		return 0;
	part = &p->part[got->number - 1];
	if (got->size_bytes == part->size_bytes)
		strcpy(part->tag, got->md5[0] != '\0' ? got->md5 : got->tag);
	return 0;
}

static int
cut_into_parts(struct parts *p, struct err *e)
{
	int64_t size = p->g->source.size_bytes, step = p->up.part_bytes;

	p->n = size == 0 ? 1 : (unsigned)((size + step - 1) / step);
	if ((p->part = mem_new(p->n, sizeof *p->part, e)) == NULL)
		return -1;
	for (unsigned i = 0; i < p->n; i++) {
		p->part[i].number = i + 1;
		p->part[i].offset = i * step;
		p->part[i].size_bytes =
		    size - p->part[i].offset < step ? size - p->part[i].offset : step;
	}
	return 0;
}

/* Asks for an upload. The intent is noted before, the session before the first byte. */
static int
begin_anew(struct parts *p, struct err *e)
{
	struct sending *g = p->g;
	unsigned char id[16];

	p->up.id = 0;
	p->up.recording_id = g->u->row->recording_id;
	p->up.size_bytes = g->source.size_bytes;
	strcpy(p->up.key, g->source.key);
	strcpy(p->up.sha256, g->source.sha256);
	clock_rfc3339(g->st.st_mtim, p->up.mtime);
	clock_rfc3339(clock_now(), p->up.started_at);
	if (hash_random(id, sizeof id, e) == -1)
		return -1;
	hash_hex(id, sizeof id, p->up.upload);
	if (ledger_intend(g->s, &p->up, e) == -1 ||
	    remote_begin(g->s->remote, &g->source, p->up.upload, p->session, e) == -1)
		return -1;
	return ledger_session(g->s, &p->up, p->session, e);
}

/* Gives up what is noted, at the remote too. */
static int
give_up(struct sync *s, const struct catalogue_upload *up, struct err *e)
{
	char session[REMOTE_SESSION_MAX];
	int64_t n;
	int rc = ledger_find_session(s, up, session, e);

	if (rc == 1)
		rc = remote_abort(s->remote, up->key, session, e);
	else if (rc == 0)
		rc = remote_sweep(s->remote, up->key, up->upload, up->started_at, &n, e);
	explicit_bzero(session, sizeof session);
	sync_event(s, "aborted", up->key, "%s", "");
	return rc == -1 ? -1 : ledger_end(s, up, e);
}

/*
 * What an earlier process began: 1 when it is gone on with, 2 when it turns out to be finished (*o
 * is the object), 0 when there is nothing.
 */
static int
go_on_with(struct parts *p, struct remote_object *there, struct err *e)
{
	struct sending *g = p->g;
	int64_t step = p->up.part_bytes;
	int rc;

	pthread_mutex_lock(&g->s->writing);
	rc = catalogue_upload_get(g->s->a.catalogue, g->s->known.id, g->source.key, &p->up, e);
	pthread_mutex_unlock(&g->s->writing);
	if (rc != 1) {
		p->up.part_bytes = step;
		return rc;
	}
	if (strcmp(p->up.sha256, g->source.sha256) != 0 ||
	    p->up.size_bytes != g->source.size_bytes ||
	    (rc = ledger_find_session(g->s, &p->up, p->session, e)) == 0) {
		rc = give_up(g->s, &p->up, e);
		p->up.part_bytes = step;
		return rc;
	}
	if (rc == -1 || cut_into_parts(p, e) == -1 ||
	    (rc = remote_arrived(
		 g->s->remote, &g->source, p->session, note_arrived, p, there, e)) == -1)
		return -1;
	if (rc == 0) {
		free(p->part);
		p->part = NULL;
		rc = ledger_end(g->s, &p->up, e);
		p->up.part_bytes = step;
		return rc;
	}
	sync_event(g->s, "resumed", g->source.key, "%s", "");
	return rc;
}

/* The MD5s of the parts, for the proof. */
static int
take_digest(struct parts *p, struct err *e)
{
	struct digest *d = &p->g->digest;

	digest_free(d);
	d->size_bytes = p->up.size_bytes;
	d->part_bytes = p->up.part_bytes;
	strcpy(d->sha256, p->up.sha256);
	if ((d->parts = mem_new(p->n, sizeof *d->parts, e)) == NULL)
		return -1;
	for (; d->n_parts < p->n; d->n_parts++)
		hash_unhex(p->part[d->n_parts].md5, HASH_MD5_HEX - 1, d->parts[d->n_parts]);
	return 0;
}

static int
finish(struct parts *p, struct catalogue_object *o, struct err *e)
{
	struct sending *g = p->g;
	struct remote_object there;
	int64_t swept;

	if (take_digest(p, e) == -1)
		return -1;
	if (remote_finish(g->s->remote, &g->source, p->session, p->part, p->n, &there, e) == 0) {
		/* When the answer to begin was lost, or a run was killed before it came, another
		 * upload was begun that nobody noted. */
		if (remote_sweep(
			g->s->remote, p->up.key, p->up.upload, p->up.started_at, &swept, e) == -1)
			return -1;
		return must_be(g, &there, o, e);
	}
	if (sync_is_fatal(e) || e->code == NULL || strcmp(e->code, P_CONFLICT) != 0)
		return -1;
	return met_another(g, o, e) == 1 ? 0 : -1;
}

/* Whether what is noted of an upload that failed is of use for the next run. */
static bool
is_worth_keeping(const struct err *e)
{
	return sync_is_fatal(e) || retry_is_later(e);
}

static int
send_and_finish(struct parts *p, struct catalogue_object *o, struct err *e)
{
	return send_parts(p, e) == -1 ? -1 : finish(p, o, e);
}

static int
send_anew(struct parts *p, struct catalogue_object *o, struct err *e)
{
	if (cut_into_parts(p, e) == -1 || begin_anew(p, e) == -1)
		return -1;
	return send_and_finish(p, o, e);
}

/* The remote has lost the upload while parts were sent, so that nothing of it is left. */
static bool
is_lost(const struct parts *p, const struct err *e)
{
	return p->up.id != 0 && !sync_is_fatal(e) && e->code != NULL &&
	       strcmp(e->code, P_MISSING) == 0;
}

static int
send_once_more(struct parts *p, struct catalogue_object *o, struct err *e)
{
	if (give_up(p->g->s, &p->up, e) == -1)
		return -1;
	free(p->part);
	p->part = NULL;
	p->confirmed = p->done_bytes = 0;
	p->hashed = p->taken = 0;
	p->failed = p->resumed = false;
	return send_anew(p, o, e);
}

static int
run_parts(struct parts *p, struct catalogue_object *o, enum upload_result *how, struct err *e)
{
	struct remote_object there;
	struct err dropped;
	int rc = go_on_with(p, &there, e);

	if (rc == 2)
		rc = read_file(p->g, p->up.part_bytes, e) == -1 ? -1 : must_be(p->g, &there, o, e);
	else if (rc != -1)
		rc = rc == 1 ? send_and_finish(p, o, e) : send_anew(p, o, e);
	if (rc == -1 && is_lost(p, e))
		rc = send_once_more(p, o, e);
	*how = p->resumed ? UPLOAD_RESUMED : UPLOAD_SENT;
	if (rc == -1 && p->up.id != 0 && !is_worth_keeping(e))
		give_up(p->g->s, &p->up, &dropped);
	return rc;
}

static int
send_in_parts(struct sending *g, struct catalogue_object *o, enum upload_result *how, struct err *e)
{
	struct parts p = {.g = g, .up.part_bytes = part_size(g)};
	int rc;

	*how = UPLOAD_FOUND;
	if (g->u->is_there || g->u->row->sha256[0] == '\0') {
		if (read_file(g, p.up.part_bytes, e) == -1)
			return -1;
		if (g->u->is_there && (rc = look_at(g, g->u->there, o, e)) != 0)
			return rc == 1 ? 0 : -1;
	} else {
		strcpy(g->source.sha256, g->u->row->sha256);
	}
	if (describe(g, e) == -1)
		return -1;
	pthread_mutex_init(&p.lock, NULL);
	pthread_cond_init(&p.changed, NULL);
	rc = run_parts(&p, o, how, e);
	pthread_mutex_destroy(&p.lock);
	pthread_cond_destroy(&p.changed);
	explicit_bzero(p.session, sizeof p.session);
	catalogue_upload_free(&p.up);
	free(p.part);
	return rc;
}

/* ---- one recording ---- */

static bool
goes_whole(const struct sending *g)
{
	const struct remote_capabilities *can = remote_can(g->s->remote);
	int64_t size = g->source.size_bytes;

	if (can->namesakes && size > 0)
		return false;
	return can->single_max == INT64_MAX ||
	       (size <= can->single_max && size <= g->s->part_bytes);
}

int
upload_recording(
    const struct upload *u, struct catalogue_object *o, enum upload_result *how, struct err *e)
{
	const struct remote_capabilities *can = remote_can(u->s->remote);
	struct sending g = {.u = u,
	    .s = u->s,
	    .fd = -1,
	    .source = {.key = u->row->key,
		.fd = -1,
		.condition = u->is_there ? REMOTE_REPLACE : REMOTE_NEW,
		.tag = u->is_there ? u->there->tag : NULL,
		.id = u->is_there ? u->there->id : NULL}};
	int rc = open_file(&g, e);

	find_baseline(&g);
	sync_enter(u->s, g.source.size_bytes);
	if (rc == 0 && can->object_max > 0 && g.source.size_bytes > can->object_max)
		rc = err_item(e, P_TOO_LARGE,
		    "%s takes objects of at most %lld bytes, and it has %lld", u->s->url,
		    (long long)can->object_max, (long long)g.source.size_bytes);
	if (rc == 0)
		rc = goes_whole(&g) ? send_whole(&g, o, how, e) : send_in_parts(&g, o, how, e);
	if (rc == 0)
		o->recording_id = u->row->recording_id;
	sync_leave(u->s, g.source.size_bytes);
	if (g.fd != -1)
		close(g.fd);
	json_free(g.metadata);
	digest_free(&g.digest);
	return rc;
}

/* ---- what an earlier run left ---- */

/* Its recording still has these bytes and this key. */
static int
is_wanted(struct sync *s, struct catalogue *c, const struct catalogue_upload *up, struct err *e)
{
	struct sync_row row;
	int rc = sync_row_get(c, s->known.id, up->recording_id, &row, e);
	bool wanted;

	if (rc != 1)
		return rc;
	wanted = strcmp(row.key, up->key) == 0 && !row.deleted &&
		 (row.sha256[0] == '\0' || strcmp(row.sha256, up->sha256) == 0) &&
		 !(row.has_object && strcmp(row.object.sha256, up->sha256) == 0);
	sync_row_free(&row);
	return wanted;
}

static int
settle_one(struct sync *s, struct catalogue *c, const struct catalogue_upload *up, struct err *e)
{
	char session[REMOTE_SESSION_MAX];
	int wanted = is_wanted(s, c, up, e), known;

	if (wanted == -1 || (known = ledger_find_session(s, up, session, e)) == -1)
		return -1;
	explicit_bzero(session, sizeof session);
	return wanted && known ? 0 : give_up(s, up, e);
}

/* Temporary objects of ours that no upload in progress has. */
static int
sweep_temps(struct sync *s, const struct catalogue_upload *u, size_t n, struct err *e)
{
	struct remote_list *l = remote_list_open(s->remote, REMOTE_TEMP, "", "", e);
	struct remote_object o;
	int rc, noted;

	if (l == NULL)
		return -1;
	while ((rc = remote_list_next(l, &o, e)) == 1) {
		if (strncmp(o.key + strlen(REMOTE_TEMP), s->owner, strlen(s->owner)) != 0)
			continue;
		noted = 0;
		for (size_t i = 0; i < n; i++)
			noted |= strstr(o.key, u[i].upload) != NULL;
		if (!noted && remote_delete(s->remote, &o, e) == -1) {
			rc = -1;
			break;
		}
	}
	remote_list_close(l);
	return rc;
}

int
upload_settle(struct sync *s, struct err *e)
{
	struct catalogue *c = sync_reader(s, e);
	struct catalogue_upload *u = NULL;
	size_t n = 0;
	int rc = c == NULL ? -1 : catalogue_uploads(c, s->known.id, &u, &n, e);

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = settle_one(s, c, &u[i], e);
	if (rc == 0)
		rc = sweep_temps(s, u, n, e);
	if (rc == 0)
		rc = ledger_sweep(s, e);
	for (size_t i = 0; i < n; i++)
		catalogue_upload_free(&u[i]);
	free(u);
	catalogue_close(c);
	return rc;
}
