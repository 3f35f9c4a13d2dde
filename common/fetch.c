#include "fetch.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "io.h"
#include "mem.h"

#define BLOCK (256 * 1024)
#define RECORDING_MODE 0644

_Static_assert(FETCH_NAME_MAX == NAME_MAX + 1, "a name fits");

/* ---- names ---- */

int
fetch_check_name(const char *name, size_t len, struct err *e)
{
	if (len == 0 || len > NAME_MAX || memchr(name, '\0', len) != NULL ||
	    memchr(name, '/', len) != NULL || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return err_item(e, P_UNSAFE_PATH,
		    "no file right in a folder of the archive can have this name; fetch it with "
		    "another program");
	/* They are swept away when a run was killed. */
	if (io_is_temp(name))
		return err_item(
		    e, P_UNSAFE_PATH, "this is the name of a temporary file of rectools");
	return 0;
}

/* A long one does not leave room for the suffix. */
void
fetch_temp_name(const char *name, char temp[FETCH_NAME_MAX])
{
	char hex[HASH_XXH3_64_HEX];
	size_t len = strlen(name);

	if (len + sizeof FETCH_SUFFIX <= FETCH_NAME_MAX) {
		snprintf(temp, FETCH_NAME_MAX, "%s" FETCH_SUFFIX, name);
		return;
	}
	hash_xxh3_64_hex(name, len, hex);
	snprintf(temp, FETCH_NAME_MAX, "%.200s.%s" FETCH_SUFFIX, name, hex);
}

/* ---- the file ---- */

/* Opens temp/NAME.pull, or makes it; what is there under the name and is no such file of ours is
 * left alone. */
static int
open_temp(const struct fetch *f, struct fetched *got, struct err *e)
{
	fetch_temp_name(f->name, got->temp);
	got->fd = io_resume_locked(f->s->a.folders[FOLDER_TEMP], got->temp, &got->st, e);
	return got->fd == -1 ? err_prefix(e, "%s", f->s->a.paths[FOLDER_TEMP]) : 0;
}

static int
cut(struct fetched *got, int64_t size, struct err *e)
{
	return ftruncate(got->fd, (off_t)size) == -1 ? err_sys(e, "%s: cutting it", got->temp) : 0;
}

/* Room for what is to come, so that a full disk is met before the bytes travel. */
static int
reserve(const struct fetch *f, struct fetched *got, int64_t have, struct err *e)
{
	int64_t size = f->there->size_bytes;

	if (archive_preflight_room(&f->s->a, FOLDER_TEMP, (uint64_t)(size - have), e) == -1)
		return -1;
	if (io_reserve(got->fd, (uint64_t)size, e) == 0)
		return 0;
	if (e->code != NULL && strcmp(e->code, P_NO_SPACE) == 0)
		e->class = ERR_ITEM;
	return -1;
}

/* ---- the bytes ---- */

struct stream {
	struct fetched *got;
	struct hash *h;
	int64_t at, size;
};

static int
take(void *ctx, const void *p, size_t len, struct err *e)
{
	struct stream *t = ctx;

	if (atomic_load(&tool_stop) != 0)
		return err_set(e, ERR_STOPPED, NULL, "stopped");
	if ((int64_t)len > t->size - t->at)
		return err_item(e, P_SIZE_MISMATCH,
		    "the remote sends more than the %lld bytes that it told", (long long)t->size);
	if (io_pwrite(t->got->fd, p, len, (uint64_t)t->at, NULL, e) == -1)
		return -1;
	hash_update(t->h, p, len);
	t->at += (int64_t)len;
	t->got->received += (int64_t)len;
	return 0;
}

static int
hash_again(struct stream *t, int64_t have, struct err *e)
{
	char *block = mem_new(1, BLOCK, e);
	ssize_t n = 1;

	if (block == NULL)
		return -1;
	for (; t->at < have && n > 0; t->at += n) {
		size_t want = have - t->at < BLOCK ? (size_t)(have - t->at) : BLOCK;

		if (atomic_load(&tool_stop) != 0)
			n = err_set(e, ERR_STOPPED, NULL, "stopped");
		else if ((n = io_pread(t->got->fd, block, want, (uint64_t)t->at, e)) > 0)
			hash_update(t->h, block, (size_t)n);
		if (n == -1)
			break;
	}
	free(block);
	return n == -1 ? -1 : 0;
}

/* From what is there to the end; the digests are filled. */
static int
fill(const struct fetch *f, struct fetched *got, int64_t have, struct err *e)
{
	struct stream t = {.got = got, .size = f->there->size_bytes};
	int rc = -1;

	if ((t.h = hash_open(HASH_SHA256 | HASH_XXH3_128 | HASH_MD5, e)) == NULL)
		return -1;
	if (reserve(f, got, have, e) == 0 && hash_again(&t, have, e) == 0)
		rc = t.at == t.size && t.size > 0
			 ? 0
			 : remote_get(f->s->remote, f->there, (uint64_t)t.at, take, &t, e);
	if (rc == 0 && t.at != t.size)
		rc = err_item(e, P_SIZE_MISMATCH,
		    "the remote sent %lld bytes of the %lld that it told", (long long)t.at,
		    (long long)t.size);
	hash_sha256(t.h, got->sha256);
	hash_xxh3_128(t.h, got->xxh3_128);
	hash_md5(t.h, got->md5);
	hash_close(t.h);
	return rc;
}

/* The bytes are those that are expected, as far as anything is known of them. */
static bool
is_right(const struct fetch *f, const struct fetched *got)
{
	const struct remote_object *there = f->there;

	return (f->sha256[0] == '\0' || strcmp(f->sha256, got->sha256) == 0) &&
	       (there->sha256[0] == '\0' || strcmp(there->sha256, got->sha256) == 0) &&
	       (there->md5[0] == '\0' || strcmp(there->md5, got->md5) == 0);
}

static int
fetch_bytes(const struct fetch *f, struct fetched *got, struct err *e)
{
	int64_t have = got->st.st_size;

	if (have > f->there->size_bytes)
		have = 0;
	if (have < got->st.st_size && cut(got, have, e) == -1)
		return -1;
	got->resumed = have > 0;
	if (got->resumed)
		sync_event(f->s, "resumed", f->there->key, ",\"bytes\":%lld", (long long)have);
	if (fill(f, got, have, e) == -1)
		return -1;
	if (is_right(f, got))
		return 0;
	if (got->resumed) {
		got->resumed = false;
		if (cut(got, 0, e) == -1 || fill(f, got, 0, e) == -1)
			return -1;
		if (is_right(f, got))
			return 0;
	}
	return err_item(e, P_CHECKSUM_MISMATCH,
	    "the object at %s holds other bytes than %s: nothing of it was kept; see rec-sync "
	    "verify --download",
	    f->s->url, f->sha256[0] != '\0' ? "were recorded" : "the remote's own hash says");
}

/* Its mode, its time, and the medium. */
static int
complete(const struct fetch *f, struct fetched *got, struct err *e)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};

	if (fchmod(got->fd, RECORDING_MODE) == -1)
		return err_sys(e, "setting the mode of %s", got->temp);
	if (io_release(got->fd, got->temp, e) == -1)
		return -1;
	/* A file system that cannot hold the time keeps its own. */
	if (f->mtime[0] != '\0' && clock_parse(f->mtime, &times[1]))
		futimens(got->fd, times);
	if (io_fsync(got->fd, got->temp, e) == -1)
		return -1;
	return fstat(got->fd, &got->st) == -1 ? err_sys(e, "stat of %s", got->temp) : 0;
}

/* Whether what has arrived is of use to another attempt. */
static bool
is_worth_keeping(const struct err *e)
{
	return sync_is_fatal(e) || retry_is_later(e) ||
	       (e->code != NULL && strcmp(e->code, P_NO_SPACE) == 0);
}

int
fetch_object(const struct fetch *f, struct fetched *got, struct err *e)
{
	struct err ignored;
	struct stat st;
	int rc;

	*got = (struct fetched){.fd = -1};
	if (open_temp(f, got, e) == -1)
		return -1;
	sync_enter(f->s, f->there->size_bytes);
	rc = fetch_bytes(f, got, e);
	sync_leave(f->s, f->there->size_bytes);
	if (rc == 0 && complete(f, got, e) == 0)
		return 0;
	io_release(got->fd, got->temp, &ignored);
	if (!is_worth_keeping(e) || (fstat(got->fd, &st) == 0 && st.st_size == 0))
		fetched_drop(f->s, got);
	return -1;
}

void
fetched_close(struct fetched *got)
{
	if (got->fd != -1)
		close(got->fd);
	got->fd = -1;
}

void
fetched_drop(struct sync *s, struct fetched *got)
{
	struct err ignored;

	io_unlink(s->a.folders[FOLDER_TEMP], got->temp, &ignored);
	fetched_close(got);
}
