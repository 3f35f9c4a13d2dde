/*
 * The lock is what tells a recording that goes on from one that a crash left: the kernel drops it
 * with its holder, whatever killed that one. It is held until the .part has lost its name, and who
 * gets it asks again whether the name is still that of the file.
 *
 * What was recorded is never refused for what it is: two takes of silence have the same bytes, and
 * both are kept. Only of what a crash left, a second copy is no news.
 */
#include "take.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "entry.h"
#include "filechange.h"
#include "io.h"
#include "mem.h"
#include "mend.h"
#include "rehead.h"

#define PART_SUFFIX ".part"
#define PART_MODE 0600 /* of io_create_locked */
#define RECORDING_MODE 0644

/* ---- opening ---- */

/* 1 when the .part of this name is there, 0, -1. */
static int
has_part(const struct archive *a, const char *part, struct err *e)
{
	struct err missing;
	struct stat st;

	if (io_stat_beneath(a->folders[FOLDER_TEMP], part, &st, &missing) == 0)
		return 1;
	if (missing.class == ERR_ITEM && strcmp(missing.code, P_MISSING) == 0)
		return 0;
	*e = missing;
	return -1;
}

/* Makes the .part under the i-th name: 0, 1 when that is taken, -1. */
static int
try_name(struct take *t, const char *stem, int i, const char *extension, struct err *e)
{
	struct err failed;
	int rc;

	free(t->name);
	free(t->part);
	t->part = NULL;
	t->name = i == 1 ? mem_fmt(e, "%s.%s", stem, extension)
			 : mem_fmt(e, "%s-%d.%s", stem, i, extension);
	if (t->name == NULL || (t->part = mem_fmt(e, "%s" PART_SUFFIX, t->name)) == NULL)
		return -1;
	if ((rc = archive_is_taken(t->a, t->name, e)) != 0 ||
	    (rc = has_part(t->a, t->part, e)) != 0)
		return rc;
	t->fd = io_create_locked(t->a->folders[FOLDER_TEMP], t->part, &failed);
	if (t->fd != -1)
		return 0;
	if (failed.sys == EEXIST)
		return 1;
	*e = failed;
	return -1;
}

int
take_open(struct take *t, struct archive *a, struct timespec start, const char *extension,
    uint64_t reserve_bytes, struct err *e)
{
	char stamp[CLOCK_TEXT_MAX], stem[CLOCK_TEXT_MAX + sizeof "recording_"] = "recording_";
	int rc;

	*t = (struct take){.a = a, .fd = -1};
	strcat(stem, clock_recording(start, stamp));
	rc = archive_need_folder(a, FOLDER_TEMP, e);
	for (int i = 1; rc == 0 && (rc = try_name(t, stem, i, extension, e)) == 1; i++)
		rc = 0;
	if (rc == 0)
		rc = io_reserve(t->fd, reserve_bytes, e);
	if (rc == -1)
		take_close(t);
	return rc;
}

/* Gives up the lock. An empty file is no recording, and goes while nobody else can hold it. */
static void
let_go(struct take *t)
{
	struct err ignored;
	struct stat st;
	int temp = t->a->folders[FOLDER_TEMP];

	if (fstat(t->fd, &st) == 0 && st.st_size == 0 &&
	    io_check_unchanged(temp, t->part, &st, &ignored) == 0)
		io_unlink(temp, t->part, &ignored);
	close(t->fd);
	t->fd = -1;
}

void
take_close(struct take *t)
{
	if (t->fd != -1 && t->a != NULL)
		let_go(t);
	free(t->name);
	free(t->part);
	*t = (struct take){.fd = -1};
}

/* ---- recording ---- */

/* A finished part, locked by fd. */
struct part {
	struct archive *a;
	struct run *r;
	const char *name; /* in temp */
	int fd;
	struct stat st; /* as it was before it was measured */
};

static struct json *
record_line(const struct part *p, const char *name, const struct measure *m, struct err *e)
{
	struct json *line = filechange_line("record", FOLDER_RAW, name, FOLDER_BACKUP, NULL, e);

	if (line != NULL &&
	    json_put_str(line, "from_folder", archive_folder_name(FOLDER_TEMP), e) == 0 &&
	    json_put_bytes(line, "from", p->name, strlen(p->name), e) == 0 &&
	    json_put_str(line, "xxh3_128_after", m->xxh3_128, e) == 0)
		return line;
	json_free(line);
	return NULL;
}

/* Of `from` to the end of the rows: what is announced is done, or taken back. */
static int
record(const struct part *p, const struct entry *entry, int64_t *id, struct err *e)
{
	struct archive *a = p->a;
	int temp = a->folders[FOLDER_TEMP], rc;
	const char *name = entry->stored;
	struct json *line = NULL, *kept;

	if (io_check_unchanged(temp, p->name, &p->st, e) == -1 ||
	    (line = record_line(p, name, entry->m, e)) == NULL ||
	    run_announce_kept(p->r, line, &kept, e) == -1)
		return -1;
	rc = io_link_or_copy(temp, p->name, a->folders[FOLDER_RAW], name, e);
	if (rc == 0)
		rc = entry_add(p->r, entry, id, e);
	if (rc == 0)
		rc = io_unlink(temp, p->name, e);
	if (rc == -1)
		filechange_take_back(a, kept, *id != 0, e);
	json_free(kept);
	return rc;
}

/*
 * Makes the bytes durable, and measures them. From the page cache, if they are still there: the
 * digest is to be that of what was recorded, so that a medium that kept something else is found
 * out later.
 */
static int
measure(struct part *p, const struct audio_opts *o, struct measure *m, struct err *e)
{
	if (io_fsync(p->fd, p->name, e) == -1)
		return -1;
	if (fstat(p->fd, &p->st) == -1)
		return err_sys(e, "stat of %s", p->name);
	if (audio_measure(p->fd, o, m, e) == -1)
		return -1;
	if (entry_is_refused(m)) {
		*e = m->problem;
		return -1;
	}
	return 0;
}

/* What is being recorded is nobody's to read. Before it is measured, and only what take_open
 * made: other modes were meant. */
static int
open_to_all(const struct part *p, struct err *e)
{
	struct stat st;

	if (fstat(p->fd, &st) == -1)
		return err_sys(e, "stat of %s", p->name);
	if ((st.st_mode & 07777) == PART_MODE && fchmod(p->fd, RECORDING_MODE) == -1)
		return err_sys(e, "setting the mode of %s", p->name);
	return 0;
}

static int
finish(struct take *t, struct part *p, struct entry *entry, const struct audio_opts *o,
    struct measure *m, int64_t *id, struct err *e)
{
	char *name;

	if (archive_need_folder(p->a, FOLDER_RAW, e) == -1 || open_to_all(p, e) == -1 ||
	    io_release(p->fd, p->name, e) == -1 || measure(p, o, m, e) == -1 ||
	    (name = mend_part_name(p->a, p->name, e)) == NULL)
		return -1;
	free(t->name);
	t->name = name;
	entry->path = entry->stored = name;
	return record(p, entry, id, e);
}

int
take_finish(struct take *t, struct run *r, const char *title, const struct provenance *provenance,
    const struct audio_opts *o, struct measure *m, int64_t *id, struct err *e)
{
	struct part p = {.a = t->a, .r = r, .name = t->part, .fd = t->fd};
	struct entry entry = {
	    .folder = FOLDER_RAW, .title = title, .m = m, .provenance = provenance};
	int rc;

	*id = 0;
	audio_measure_init(m);
	rc = finish(t, &p, &entry, o, m, id, e);
	let_go(t);
	return rc;
}

/* ---- what a crash left ---- */

struct recovery {
	struct archive *a;
	struct run *r; /* NULL: dry */
	const struct audio_opts *o;
	int (*tell)(
	    void *ctx, const char *part, int64_t id, const struct err *problem, struct err *e);
	void *ctx;
};

/* The same recording twice is nothing to add. */
static int
check_new(struct archive *a, const struct measure *m, struct err *e)
{
	int64_t id;
	int rc = catalogue_find_sha256(a->catalogue, m->sha256, &id, e);

	return rc == 1
		   ? err_item(e, P_DUPLICATE,
			 "recording %lld has the same bytes, so it is left as it is", (long long)id)
		   : rc;
}

static int
record_recovered(
    const struct part *p, const char *name, const struct measure *m, int64_t *id, struct err *e)
{
	struct provenance origin;
	struct json *details = provenance_recovered(&origin, m, p->name, e);
	struct entry entry = {
	    .folder = FOLDER_RAW, .path = name, .stored = name, .m = m, .provenance = &origin};
	int rc = details == NULL ? -1 : record(p, &entry, id, e);

	json_free(details);
	return rc;
}

/* As it is: nothing in the file is to be rewritten. *damage is what was recorded with it. */
static int
recover_as_it_is(
    const struct recovery *v, struct part *p, int64_t *id, struct err *damage, struct err *e)
{
	struct measure m;
	char *name = NULL;
	int rc = -1;

	audio_measure_init(&m);
	if (v->r != NULL &&
	    (archive_need_folder(v->a, FOLDER_RAW, e) == -1 || open_to_all(p, e) == -1))
		goto out;
	if (measure(p, v->o, &m, e) == -1 || check_new(v->a, &m, e) == -1 ||
	    (name = mend_part_name(v->a, p->name, e)) == NULL)
		goto out;
	rc = v->r == NULL ? 0 : record_recovered(p, name, &m, id, e);
	if (*id != 0)
		*damage = m.problem;
out:
	free(name);
	audio_measure_free(&m);
	return rc;
}

/* A file with a new header; or one that cannot have one, which mend tells the reason of. */
static int
recover_by_mending(const struct recovery *v, struct part *p, int64_t *id, struct err *e)
{
	struct mend mend = {.a = v->a, .r = v->r, .audio = *v->o};
	struct mended out;
	int rc = mend_part(&mend, FOLDER_TEMP, p->name, &out, e);

	*id = out.id;
	mended_free(&out);
	return rc == -1 ? -1 : 0;
}

static int
recover_locked(const struct recovery *v, struct part *p, struct err *e)
{
	struct err problem = {0}, damage = {0}, plan_error;
	struct rehead plan;
	int64_t id = 0;
	int rc = rehead_plan(p->fd, (uint64_t)p->st.st_size, &plan, &plan_error);

	rehead_free(&plan);
	if (rc == -1 && plan_error.class != ERR_ITEM) {
		*e = plan_error;
		return -1;
	}
	rc = rc == 0 ? recover_as_it_is(v, p, &id, &damage, &problem)
		     : recover_by_mending(v, p, &id, &problem);
	if (rc == -1 && (problem.class != ERR_ITEM || id != 0)) {
		*e = problem;
		return -1;
	}
	if (rc == 0)
		problem = damage;
	return v->tell(v->ctx, p->name, id, problem.class != ERR_NONE ? &problem : NULL, e);
}

/* 1 when the file is ours to finish now; 0 when somebody holds it, or it is gone by now; -1. */
static int
claim(struct part *p, struct err *e)
{
	int temp = p->a->folders[FOLDER_TEMP], rc;

	if ((p->fd = io_open_beneath(temp, p->name, e)) == -1)
		return e->class == ERR_ITEM && strcmp(e->code, P_MISSING) == 0 ? 0 : -1;
	if ((rc = io_try_lock(p->fd, e)) != 1)
		return rc;
	if (fstat(p->fd, &p->st) == -1)
		return err_sys(e, "stat of %s", p->name);
	if (io_check_unchanged(temp, p->name, &p->st, e) == 0)
		return 1;
	return strcmp(e->code, P_MODIFIED) == 0 ? 0 : -1;
}

static int
recover(const struct recovery *v, const char *name, struct err *e)
{
	struct part p = {.a = v->a, .r = v->r, .name = name, .fd = -1};
	struct err problem;
	int rc = claim(&p, &problem);

	if (rc == 1)
		rc = recover_locked(v, &p, e);
	else if (rc == -1 && problem.class == ERR_ITEM)
		rc = v->tell(v->ctx, name, 0, &problem, e);
	else if (rc == -1)
		*e = problem;
	if (p.fd != -1)
		close(p.fd);
	return rc;
}

static bool
is_part(const char *name)
{
	size_t n = strlen(name), suffix = strlen(PART_SUFFIX);

	return n > suffix && name[0] != '.' && strcmp(name + n - suffix, PART_SUFFIX) == 0;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of the parts, in order: listed before the first of them goes. */
static int
list_parts(int dirfd, char ***names, size_t *n, struct err *e)
{
	DIR *d = io_list(dirfd, e);
	struct dirent *entry;
	char **grown;
	int rc = d == NULL ? -1 : 0;

	while (rc == 0 && (errno = 0, entry = readdir(d)) != NULL) {
		if (!is_part(entry->d_name))
			continue;
		if ((grown = realloc(*names, (*n + 1) * sizeof *grown)) == NULL) {
			rc = err_nomem(e);
			break;
		}
		*names = grown;
		if (((*names)[*n] = mem_str(entry->d_name, e)) == NULL)
			rc = -1;
		else
			++*n;
	}
	if (rc == 0 && errno != 0)
		rc = err_sys(e, "listing a folder");
	if (d != NULL)
		closedir(d);
	if (*n > 0)
		qsort(*names, *n, sizeof **names, by_name);
	return rc;
}

int
take_recover(struct archive *a, struct run *r, const struct audio_opts *o,
    int (*tell)(void *ctx, const char *part, int64_t id, const struct err *problem, struct err *e),
    void *ctx, struct err *e)
{
	struct recovery v = {.a = a, .r = r, .o = o, .tell = tell, .ctx = ctx};
	char **names = NULL;
	size_t n = 0;
	int rc =
	    a->folders[FOLDER_TEMP] == -1 ? 0 : list_parts(a->folders[FOLDER_TEMP], &names, &n, e);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (o->stop != NULL && atomic_load(o->stop) != 0)
			rc = err_set(e, ERR_STOPPED, NULL, "stopped");
		else
			rc = recover(&v, names[i], e);
	}
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return rc;
}
