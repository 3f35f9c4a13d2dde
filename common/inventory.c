/*
 * The header says how many records follow, which is known at the end: it is written last, into room
 * that was left for it (JSON lets spaces follow). Whether the object must be put again is decided
 * by a digest of the rows, which costs far less than making the records.
 *
 * What comes back was made by some toolkit, and may have been changed by whoever can write there: a
 * checksum tells of a cut, not of malice. So lines and their number are bounded, and each record is
 * judged by who takes it.
 */
#include "inventory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "io.h"
#include "ledger.h"
#include "mem.h"
#include "proof.h"

#define HEADER_BYTES 160
#define RECORD_MAX ((size_t)8 << 20)
#define PIECE ((size_t)256 * 1024)
#define END_START "{\"end\":"

/* ---- what a record holds beside the recording keys ---- */

static bool
is_of(const struct json *row, const char *stored)
{
	const char *name = json_get_str(row, "stored_filename");

	return name != NULL && stored != NULL && strcmp(name, stored) == 0;
}

/* JSON text of a row's column under a key of the record; what is none is left out. */
static int
put_json_text(struct json *rec, const char *key, const char *text, struct err *e)
{
	struct err bad;
	struct json *v = text != NULL ? json_parse(text, strlen(text), &bad) : NULL;

	return v == NULL ? 0 : json_put(rec, key, v, e);
}

/* The tags of the record are those of the file and of people in one; a restore needs them apart. */
static int
put_own_tags(struct catalogue *c, int64_t id, struct json *rec, struct err *e)
{
	struct json *row = NULL;
	int rc = catalogue_row_get(c, "rec_measurements", "recording_id", id, &row, e);

	if (rc != -1)
		rc = json_put_null(rec, "tags", e);
	if (rc == 0 && is_of(row, json_get_str(rec, "stored_filename")))
		rc = put_json_text(rec, "tags", json_get_str(row, "tags"), e);
	json_free(row);
	return rc;
}

static int
put_said(struct catalogue *c, int64_t id, struct json *rec, struct err *e)
{
	struct json *row = NULL;
	int rc = catalogue_row_get(c, "rec_tags", "recording_id", id, &row, e);

	if (rc == 1) {
		rc = put_json_text(rec, "said", json_get_str(row, "tags"), e);
		if (rc == 0)
			rc = put_own_tags(c, id, rec, e);
	}
	json_free(row);
	return rc;
}

/* {"tool":…,"started_at":…,"details":{…}} */
static int
put_provenance(struct catalogue *c, int64_t id, struct json *rec, struct err *e)
{
	struct json *row = NULL, *o;
	int rc = catalogue_row_get(c, "rec_provenance", "recording_id", id, &row, e);

	if (rc == 1 && is_of(row, json_get_str(rec, "stored_filename"))) {
		if ((o = json_new_object(e)) == NULL ||
		    json_put_str(o, "tool", json_get_str(row, "tool"), e) == -1 ||
		    json_put_str(o, "started_at", json_get_str(row, "started_at"), e) == -1 ||
		    put_json_text(o, "details", json_get_str(row, "details"), e) == -1) {
			json_free(o);
			rc = -1;
		} else {
			rc = json_put(rec, "provenance", o, e);
		}
	}
	json_free(row);
	return rc == -1 ? -1 : 0;
}

/* 1 and the record, 0 when the recording is gone by now, -1. */
static int
make_record(struct catalogue *c, const struct sync_row *row, struct json **rec, struct err *e)
{
	int rc = catalogue_record(c, row->recording_id, rec, e);

	if (rc != 1)
		return rc;
	/* What is at the remote is no news to it, and changes with every push. */
	json_del(*rec, "sync_status");
	if (json_put_str(*rec, "key", row->key, e) == 0 &&
	    put_said(c, row->recording_id, *rec, e) != -1 &&
	    put_provenance(c, row->recording_id, *rec, e) == 0 &&
	    sync_put_modified(c, row->recording_id, *rec, e) == 0)
		return 1;
	json_free(*rec);
	*rec = NULL;
	return -1;
}

/* ---- writing ---- */

struct writing {
	struct sync *s;
	struct catalogue *c;
	struct io_new file;
	struct buf out;
	int64_t count;
	char digest[HASH_XXH3_128_HEX];
};

static int
flush(struct writing *w, size_t above, struct err *e)
{
	if (w->out.len <= above)
		return 0;
	if (io_write(w->file.fd, w->out.data, w->out.len, e) == -1)
		return -1;
	buf_clear(&w->out);
	return 0;
}

/* Softly deleted recordings are wanted back when they were sent; a name that is too long for a key
 * has no object. */
static bool
belongs(const struct sync_row *row)
{
	return row->has_recording && row->key[0] != '\0' && (!row->deleted || row->has_object);
}

static int
write_row(struct writing *w, const struct sync_row *row, struct err *e)
{
	struct json *rec;
	int rc = make_record(w->c, row, &rec, e);

	if (rc != 1)
		return rc;
	rc = json_write(rec, &w->out, e) == -1 ? -1 : buf_adds(&w->out, "\n", e);
	json_free(rec);
	if (rc == -1)
		return -1;
	w->count++;
	return flush(w, PIECE, e);
}

static int
write_rows(struct writing *w, struct err *e)
{
	struct sync_walk *walk = sync_walk_open(w->c, w->s->known.id, "", "", e);
	struct sync_row row;
	int rc;

	if (walk == NULL)
		return -1;
	while ((rc = sync_walk_next(walk, &row, e)) == 1) {
		rc = belongs(&row) ? write_row(w, &row, e) : 0;
		sync_row_free(&row);
		if (rc == 0 && atomic_load(&tool_stop) != 0)
			rc = err_set(e, ERR_STOPPED, NULL, "stopped");
		if (rc == -1)
			break;
	}
	sync_walk_close(walk);
	return rc == -1 ? -1 : flush(w, 0, e);
}

static int
write_header(struct writing *w, struct err *e)
{
	struct json *v = json_new_object(e);
	struct buf line = {0};
	char now[CLOCK_TEXT_MAX];
	int rc = -1;

	if (v != NULL && json_put_int(v, "inventory", 1, e) == 0 &&
	    json_put_str(v, "archive", w->s->owner, e) == 0 &&
	    json_put_int(v, "recordings", w->count, e) == 0 &&
	    json_put_str(v, "made_at", clock_rfc3339(clock_now(), now), e) == 0 &&
	    json_write(v, &line, e) == 0 &&
	    buf_addf(&line, e, "%*s\n", (int)(HEADER_BYTES - 1 - line.len), "") == 0)
		rc = io_pwrite(w->file.fd, line.data, line.len, 0, NULL, e);
	buf_free(&line);
	json_free(v);
	return rc;
}

static int
write_end(struct writing *w, struct err *e)
{
	char sum[HASH_SHA256_HEX];

	if (io_digest(w->file.fd, HASH_XXH3_128, false, &tool_stop, NULL, sum, e) == -1 ||
	    buf_addf(&w->out, e, END_START "%lld,\"xxh3_128\":\"%s\"}\n", (long long)w->count,
		sum) == -1)
		return -1;
	return flush(w, 0, e);
}

static int
write_file(struct writing *w, struct err *e)
{
	if (io_new_open(&w->file, w->s->folder, "catalogue.jsonl", e) == -1 ||
	    buf_addf(&w->out, e, "%*s\n", HEADER_BYTES - 1, "") == -1 || write_rows(w, e) == -1)
		return -1;
	return write_header(w, e) == -1 ? -1 : write_end(w, e);
}

/* ---- whose it is ---- */

struct first_line {
	char text[HEADER_BYTES * 4];
	size_t len;
};

/* A header is short; with its end, the rest is not wanted. */
static int
take_first(void *ctx, const void *p, size_t len, struct err *e)
{
	struct first_line *f = ctx;
	size_t room = sizeof f->text - 1 - f->len;

	memcpy(f->text + f->len, p, len < room ? len : room);
	f->len += len < room ? len : room;
	if (f->len < sizeof f->text - 1 && memchr(f->text, '\n', f->len) == NULL)
		return 0;
	return err_item(e, P_CONFLICT, "enough");
}

static struct json *
parse_header(const char *line, size_t len)
{
	struct err bad;
	struct json *v = json_parse(line, len, &bad);
	int64_t version;

	if (json_get_int(v, "inventory", &version) && json_get_str(v, "archive") != NULL)
		return v;
	json_free(v);
	return NULL;
}

/* 1 when the object there was made by this archive; 0, and *archive is its maker ("": no inventory
 * at all); -1. */
static int
is_ours(struct sync *s, const struct remote_object *there, char archive[64], struct err *e)
{
	struct first_line f = {.len = 0};
	struct json *header = NULL;
	const char *end;
	int rc = remote_get(s->remote, there, 0, take_first, &f, e);

	archive[0] = '\0';
	end = memchr(f.text, '\n', f.len);
	if (rc == -1 && end == NULL && f.len < sizeof f.text - 1)
		return -1;
	if (end != NULL)
		header = parse_header(f.text, (size_t)(end - f.text));
	if (header != NULL)
		snprintf(archive, 64, "%s", json_get_str(header, "archive"));
	json_free(header);
	return strcmp(archive, s->owner) == 0;
}

static int
refuse(const struct sync *s, const char *archive, struct err *e)
{
	if (archive[0] == '\0')
		return err_item(e, P_CONFLICT,
		    "%s: something that is no catalogue of rec-sync is there under this name; move "
		    "it away, or sync to another prefix",
		    REMOTE_CATALOGUE);
	return err_item(e, P_CONFLICT,
	    "%s: the archive %s keeps its catalogue there, and this one is %s; sync to another "
	    "prefix, or take its recordings in with rec-sync pull, or move it away",
	    REMOTE_CATALOGUE, archive, s->owner);
}

/* ---- putting ---- */

static int
put_part(struct sync *s, const struct remote_source *src, const char *session,
    struct remote_part *part, char *block, struct err *e)
{
	struct hash *md5;
	int64_t at = part->offset, end = part->offset + part->size_bytes;
	ssize_t n = 1;

	if ((md5 = hash_open(HASH_MD5, e)) == NULL)
		return -1;
	for (; at < end && n > 0; at += n) {
		size_t want = end - at < (int64_t)PIECE ? (size_t)(end - at) : PIECE;

		if ((n = io_pread(src->fd, block, want, (uint64_t)at, e)) > 0)
			hash_update(md5, block, (size_t)n);
	}
	hash_md5(md5, part->md5);
	hash_close(md5);
	if (n == -1)
		return -1;
	return remote_part(s->remote, src, session, part, e);
}

static int
put_session(struct sync *s, const struct remote_source *src, const struct catalogue_upload *up,
    const char *session, struct remote_object *o, struct err *e)
{
	unsigned n = (unsigned)((src->size_bytes + up->part_bytes - 1) / up->part_bytes);
	struct remote_part *parts = mem_new(n, sizeof *parts, e);
	char *block = parts == NULL ? NULL : mem_new(1, PIECE, e);
	int rc = block == NULL ? -1 : 0;

	for (unsigned i = 0; rc == 0 && i < n; i++) {
		parts[i].number = i + 1;
		parts[i].offset = (int64_t)i * up->part_bytes;
		parts[i].size_bytes = up->part_bytes;
		if (i + 1 == n)
			parts[i].size_bytes = src->size_bytes - parts[i].offset;
		rc = put_part(s, src, session, &parts[i], block, e);
	}
	if (rc == 0)
		rc = remote_finish(s->remote, src, session, parts, n, o, e);
	free(block);
	free(parts);
	return rc;
}

static int64_t
part_size(const struct sync *s, int64_t size)
{
	const struct remote_capabilities *can = remote_can(s->remote);
	int64_t part = s->part_bytes > can->part_min ? s->part_bytes : can->part_min;
	int64_t unit = can->part_multiple > 0 ? can->part_multiple : 1;

	if (can->parts_max > 0 && part < (size + can->parts_max - 1) / can->parts_max)
		part = (size + can->parts_max - 1) / can->parts_max;
	return (part + unit - 1) / unit * unit;
}

/* Noted like any other upload, so that what a kill leaves is aborted by the next push. */
static int
put_in_parts(
    struct sync *s, const struct remote_source *src, struct remote_object *o, struct err *e)
{
	struct catalogue_upload up = {
	    .size_bytes = src->size_bytes, .part_bytes = part_size(s, src->size_bytes)};
	char session[REMOTE_SESSION_MAX];
	unsigned char id[16];
	struct err dropped;
	int rc;

	if (hash_random(id, sizeof id, e) == -1)
		return -1;
	hash_hex(id, sizeof id, up.upload);
	snprintf(up.key, sizeof up.key, "%s", src->key);
	strcpy(up.sha256, src->sha256);
	clock_rfc3339(clock_now(), up.started_at);
	if (ledger_intend(s, &up, e) == -1)
		return -1;
	rc = remote_begin(s->remote, src, up.upload, session, e);
	if (rc == 0) {
		rc = ledger_session(s, &up, session, e);
		if (rc == 0)
			rc = put_session(s, src, &up, session, o, e);
		if (rc == -1 && !sync_is_fatal(e))
			remote_abort(s->remote, src->key, session, &dropped);
	}
	explicit_bzero(session, sizeof session);
	if (rc == 0)
		rc = ledger_end(s, &up, e);
	else if (!sync_is_fatal(e))
		ledger_end(s, &up, &dropped);
	catalogue_upload_free(&up);
	return rc;
}

static int
put(struct writing *w, const struct remote_object *over, struct remote_object *o, struct err *e)
{
	const struct remote_capabilities *can = remote_can(w->s->remote);
	bool whole;
	struct remote_source src = {.key = REMOTE_CATALOGUE,
	    .fd = w->file.fd,
	    .mime_type = "application/x-ndjson",
	    .condition = over != NULL ? REMOTE_REPLACE : REMOTE_NEW,
	    .tag = over != NULL ? over->tag : NULL,
	    .id = over != NULL ? over->id : NULL};
	struct digest d;
	int rc;

	if (digest_file(src.fd, 0, HASH_SHA256, &d, e) == -1)
		return -1;
	src.size_bytes = d.size_bytes;
	strcpy(src.sha256, d.sha256);
	whole = src.size_bytes <= can->single_max && !(can->namesakes && over == NULL);
	if (whole)
		strcpy(src.md5, d.md5);
	digest_free(&d);
	rc = whole ? remote_put(w->s->remote, &src, o, e) : put_in_parts(w->s, &src, o, e);
	if (rc == 0 && o->size_bytes != src.size_bytes)
		rc = err_item(e, P_SIZE_MISMATCH,
		    "%s: was put with %lld bytes, and the remote has %lld of it; run push again",
		    REMOTE_CATALOGUE, (long long)src.size_bytes, (long long)o->size_bytes);
	return rc;
}

static int
note(struct writing *w, const struct remote_object *o, struct err *e)
{
	struct catalogue_remote *known = &w->s->known;
	char *tag = mem_str(o->tag, e);

	if (tag == NULL)
		return -1;
	if (sync_note(w->s, SYNC_CATALOGUE_ID, o->id, e) == -1) {
		free(tag);
		return -1;
	}
	free(known->catalogue_tag);
	known->catalogue_tag = tag;
	strcpy(known->catalogue_digest, w->digest);
	return ledger_remote(w->s, e);
}

/* Whether what is there is as this archive left it. */
static bool
is_as_noted(const struct sync *s, const struct remote_object *there)
{
	const char *tag = s->known.catalogue_tag;

	return tag != NULL && tag[0] != '\0' && strcmp(tag, there->tag) == 0;
}

static int
look(struct sync *s, struct remote_object *there, struct err *e)
{
	struct remote_object known = {.key = REMOTE_CATALOGUE};
	const char *id = sync_noted(s, SYNC_CATALOGUE_ID);
	int rc = remote_stat(s->remote, REMOTE_CATALOGUE, there, NULL, e);

	if (rc != 0 || id == NULL)
		return rc;
	snprintf(known.id, sizeof known.id, "%s", id);
	return remote_look(s->remote, &known, there, e);
}

static int
put_when_changed(struct writing *w, struct err *e)
{
	struct sync *s = w->s;
	struct remote_object there, o;
	char archive[64];
	bool same;
	int is_there = look(s, &there, e), ours;

	if (is_there == -1)
		return -1;
	same = strcmp(w->digest, s->known.catalogue_digest) == 0;
	if (is_there && is_as_noted(s, &there) && same)
		return 0;
	if (is_there && !is_as_noted(s, &there)) {
		if ((ours = is_ours(s, &there, archive, e)) != 1)
			return ours == 0 ? refuse(s, archive, e) : -1;
		/* A remote that tells no tags. */
		if (same && there.tag[0] == '\0')
			return 0;
	}
	if (write_file(w, e) == -1 || put(w, is_there ? &there : NULL, &o, e) == -1 ||
	    note(w, &o, e) == -1)
		return -1;
	sync_event(s, "inventory", REMOTE_CATALOGUE, ",\"recordings\":%lld", (long long)w->count);
	return 1;
}

int
inventory_push(struct sync *s, struct err *e)
{
	struct writing w = {.s = s, .c = sync_reader(s, e), .file.fd = -1};
	int rc = w.c == NULL || sync_state_digest(w.c, s->known.id, w.digest, e) == -1
		     ? -1
		     : put_when_changed(&w, e);

	io_new_close(&w.file);
	buf_free(&w.out);
	catalogue_close(w.c);
	return rc;
}

/* ---- reading ---- */

struct inventory {
	struct io_new file;
	int folder;    /* of the file when it is our own to close; -1 */
	uint64_t at;   /* of the next line */
	uint64_t end;  /* of the last record */
	uint64_t read; /* what `ahead` begins with has this offset */
	struct buf ahead;
	int64_t count;
};

static int
damaged(struct err *e, const char *why)
{
	return err_set(e, ERR_SYSTEM, NULL,
	    "%s: %s; run rec-sync push where the archive is whole, or move it away at the remote: "
	    "then pull makes do with the recordings alone",
	    REMOTE_CATALOGUE, why);
}

/* Fills `ahead` with more; 0 at the end. */
static int
read_more(struct inventory *v, struct err *e)
{
	ssize_t n;

	if (buf_room(&v->ahead, PIECE, e) == -1)
		return -1;
	n = io_pread(v->file.fd, v->ahead.data + v->ahead.len, PIECE, v->read + v->ahead.len, e);
	if (n == -1)
		return -1;
	v->ahead.len += (size_t)n;
	return n > 0;
}

/* The next line, with its newline, valid until the next call: 1, 0 at the end, -1. */
static int
next_line(struct inventory *v, const char **line, size_t *len, struct err *e)
{
	size_t from = (size_t)(v->at - v->read), seen = from;
	const char *end = NULL;
	int rc;

	if (from > PIECE) {
		memmove(v->ahead.data, v->ahead.data + from, v->ahead.len - from);
		v->ahead.len -= from;
		v->read = v->at;
		seen = from = 0;
	}
	for (;;) {
		if (v->ahead.len > seen)
			end = memchr(v->ahead.data + seen, '\n', v->ahead.len - seen);
		if (end != NULL)
			break;
		seen = v->ahead.len;
		if (seen - from > RECORD_MAX)
			return damaged(e, "a line has more than 8 MiB");
		if ((rc = read_more(v, e)) == -1)
			return -1;
		if (rc == 0)
			return v->ahead.len == from ? 0 : damaged(e, "is cut off");
	}
	*line = v->ahead.data + from;
	*len = (size_t)(end - *line) + 1;
	v->at += *len;
	return 1;
}

static int
check_header(struct inventory *v, int64_t *count, struct err *e)
{
	struct json *header = NULL;
	const char *line;
	int64_t version = 0;
	size_t len;
	int rc = next_line(v, &line, &len, e);

	if (rc == -1)
		return -1;
	if (rc == 1)
		header = parse_header(line, len);
	if (header == NULL)
		return damaged(e, "is no catalogue of rec-sync");
	json_get_int(header, "inventory", &version);
	rc = json_get_int(header, "recordings", count) && *count >= 0 ? 0 : -1;
	json_free(header);
	if (version != 1)
		return err_set(e, ERR_SYSTEM, NULL,
		    "%s: is of a newer toolkit (%lld); install the newer rectools",
		    REMOTE_CATALOGUE, (long long)version);
	return rc == 0 ? 0 : damaged(e, "does not say how many recordings it holds");
}

static int
check_end(const char *line, size_t len, int64_t count, const char *sum, struct err *e)
{
	struct err bad;
	struct json *end = json_parse(line, len, &bad);
	const char *told = json_get_str(end, "xxh3_128");
	int64_t n = -1;
	bool fine =
	    json_get_int(end, "end", &n) && n == count && told != NULL && strcmp(told, sum) == 0;

	json_free(end);
	return fine ? 0 : damaged(e, "its checksum does not agree");
}

/* Reads it through once: it is whole, or not used at all. */
static int
check_whole(struct inventory *v, struct err *e)
{
	struct hash *h = hash_open(HASH_XXH3_128, e);
	char sum[HASH_XXH3_128_HEX];
	const char *line;
	size_t len, hashed = 0;
	int rc = h == NULL ? -1 : check_header(v, &v->count, e);
	int64_t n = 0;

	while (rc != -1) {
		/* What was read last is hashed when it is known not to be the end. */
		if (hashed < v->at)
			hash_update(h, v->ahead.data + (hashed - v->read), v->at - hashed);
		hashed = v->at;
		v->end = v->at;
		if ((rc = next_line(v, &line, &len, e)) != 1)
			break;
		if (strncmp(line, END_START, sizeof END_START - 1) == 0) {
			hash_xxh3_128(h, sum);
			rc = n != v->count ? damaged(e, "holds another number of recordings")
					   : check_end(line, len, n, sum, e);
			if (rc == 0 && next_line(v, &line, &len, e) != 0)
				rc = damaged(e, "goes on behind its end");
			hash_close(h);
			return rc;
		}
		n++;
	}
	hash_close(h);
	return rc == 0 ? damaged(e, "is cut off") : -1;
}

static int
take_bytes(void *ctx, const void *p, size_t len, struct err *e)
{
	const struct inventory *v = ctx;

	return io_write(v->file.fd, p, len, e);
}

static int
download(struct sync *s, struct inventory *v, struct err *e)
{
	struct remote_object there;
	const char *folder = getenv("TMPDIR");
	int rc = remote_stat(s->remote, REMOTE_CATALOGUE, &there, NULL, e);

	if (rc != 1)
		return rc == 0 ? err_item(e, P_MISSING, "%s keeps no catalogue", s->url) : -1;
	/* A dry run has no folder of its own. */
	if (s->folder == -1 &&
	    (v->folder = io_open_dir(
		 AT_FDCWD, folder != NULL && folder[0] != '\0' ? folder : "/tmp", e)) == -1) {
		e->class = ERR_SYSTEM;
		return -1;
	}
	if (io_new_open(&v->file, s->folder != -1 ? s->folder : v->folder, "catalogue.jsonl", e) ==
		-1 ||
	    io_reserve(v->file.fd, (uint64_t)there.size_bytes, e) == -1)
		return -1;
	return remote_get(s->remote, &there, 0, take_bytes, v, e);
}

struct inventory *
inventory_fetch(struct sync *s, struct err *e)
{
	struct inventory *v = mem_new(1, sizeof *v, e);

	if (v == NULL)
		return NULL;
	v->file.fd = v->folder = -1;
	if (download(s, v, e) == 0 && check_whole(v, e) == 0) {
		inventory_rewind(v);
		return v;
	}
	inventory_close(v);
	return NULL;
}

int64_t
inventory_count(const struct inventory *v)
{
	return v->count;
}

int
inventory_next(struct inventory *v, struct json **rec, struct err *e)
{
	const char *line;
	size_t len;
	int rc;

	*rec = NULL;
	if (v->at == 0 && next_line(v, &line, &len, e) != 1)
		return damaged(e, "was changed while it was read");
	if (v->at >= v->end)
		return 0;
	if ((rc = next_line(v, &line, &len, e)) != 1)
		return rc == -1 ? -1 : damaged(e, "was changed while it was read");
	if ((*rec = json_parse(line, len, e)) == NULL)
		return e->class == ERR_ITEM ? damaged(e, "holds a line that is no record") : -1;
	if (json_kind(*rec) == JSON_KIND_OBJECT && json_get_str(*rec, "key") != NULL)
		return 1;
	json_free(*rec);
	*rec = NULL;
	return damaged(e, "holds a record without a key");
}

void
inventory_rewind(struct inventory *v)
{
	v->at = v->read = 0;
	buf_clear(&v->ahead);
}

void
inventory_close(struct inventory *v)
{
	if (v == NULL)
		return;
	io_new_close(&v->file);
	if (v->folder != -1)
		close(v->folder);
	buf_free(&v->ahead);
	free(v);
}
