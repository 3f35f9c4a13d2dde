/*
 * All that is slow, and all that may fail for reasons of the file, comes before the announcement:
 * reading, writing the new file, reading that back. Between the announcement and the commit there
 * are a link, a rename and a short transaction, so that a stopped or killed run leaves little to
 * be taken back.
 */
#include "mend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "entry.h"
#include "filechange.h"
#include "io.h"
#include "mem.h"
#include "provenance.h"
#include "rehead.h"
#include "replace.h"

#define PART_SUFFIX ".part"

/* A file, and the new one that is to follow it. */
struct job {
	const struct mend *m;
	enum folder folder, to; /* of the file, of the new one */
	const char *name;
	int fd; /* of the file; -1 */
	struct stat st;
	struct rehead plan;
	bool planned;	    /* else the bytes stay as they are */
	struct measure was; /* of the file */
	struct io_new new;
	struct measure now; /* of the new file */
};

void
mended_free(struct mended *out)
{
	free(out->name);
	free(out->backup);
	*out = (struct mended){0};
}

/* ---- reading ---- */

static void
job_start(struct job *j, const struct mend *m, enum folder f, const char *name)
{
	*j = (struct job){.m = m, .folder = f, .to = f, .name = name, .fd = -1, .new = {.fd = -1}};
	audio_measure_init(&j->was);
	audio_measure_init(&j->now);
}

static void
job_end(struct job *j)
{
	io_new_close(&j->new);
	rehead_free(&j->plan);
	audio_measure_free(&j->was);
	audio_measure_free(&j->now);
	if (j->fd != -1)
		close(j->fd);
}

static int
open_file(struct job *j, struct err *e)
{
	if ((j->fd = io_open_beneath(j->m->a->folders[j->folder], j->name, e)) == -1)
		return -1;
	return fstat(j->fd, &j->st) == -1 ? err_sys(e, "stat of %s", j->name) : 0;
}

static int
check_unchanged(const struct job *j, struct err *e)
{
	return io_check_unchanged(j->m->a->folders[j->folder], j->name, &j->st, e);
}

/* ---- the new file ---- */

/* Every sample of the old file is in the new one, in its place. */
static int
compare(const struct job *j, struct err *e)
{
	const struct measure *was = &j->was, *now = &j->now;

	if (!j->planned)
		return strcmp(was->xxh3_128, now->xxh3_128) == 0
			   ? 0
			   : err_set(e, ERR_SYSTEM, NULL,
				 "the copy of %s reads back differently: is the disk failing?",
				 j->name);
	if (now->problem.class != ERR_NONE)
		return err_item(e, now->problem.code,
		    "with a true header it still has a problem, so it is left as it is: %s",
		    now->problem.text);
	if (now->frames != was->frames || strcmp(now->audio_xxh3_128, was->audio_xxh3_128) != 0)
		return err_item(e, P_DECODE_ERROR,
		    "with a true header other samples decode (%lld frames, %lld before), so it is "
		    "left as it is",
		    (long long)now->frames, (long long)was->frames);
	return 0;
}

/* Writes the new file beside the old one, without its name yet, and proves it. */
static int
write_new(struct job *j, const char *name, struct err *e)
{
	const struct mend *m = j->m;
	const struct audio_opts *o = &m->audio;
	char sum[HASH_XXH3_128_HEX];
	uint64_t size = j->planned ? j->plan.pieces.size_bytes : (uint64_t)j->st.st_size;

	if (archive_preflight(m->a, j->to, size, e) == -1 ||
	    io_new_open(&j->new, m->a->folders[j->to], name, e) == -1)
		return -1;
	if ((j->planned ? rehead_write(&j->plan, j->fd, j->new.fd, o->stop, o->bytes_done, e)
			: io_pour(j->fd, j->new.fd, o->stop, o->bytes_done, sum, e)) == -1 ||
	    io_fsync(j->new.fd, name, e) == -1)
		return -1;
	/* The medium is asked what it holds, not the page cache. */
	posix_fadvise(j->new.fd, 0, 0, POSIX_FADV_DONTNEED);
	if (audio_measure(j->new.fd, o, &j->now, e) == -1)
		return -1;
	return compare(j, e);
}

/* ---- headers ---- */

/* 1 when the recorded bytes are these or the repaired ones, 0 when that is not known yet, -1. */
static int
is_recorded(const struct catalogue_row *row, const struct job *j, bool rebuilt, struct err *e)
{
	const char *recorded = row->checksum != NULL ? row->checksum
			       : row->measured	     ? row->sha256
						     : NULL;

	if (recorded == NULL || strcasecmp(recorded, j->was.sha256) == 0)
		return 1;
	if (!rebuilt)
		return 0;
	if (strcasecmp(recorded, j->now.sha256) == 0)
		return 1;
	return err_item(e, P_CHECKSUM_MISMATCH,
	    "neither the file as it is nor the repaired one has the recorded checksum %.64s: other "
	    "bytes were recorded, so it is left as it is; restore it from a copy",
	    recorded);
}

static int
replace(struct job *j, const struct catalogue_row *row, struct mended *out, struct err *e)
{
	struct replace p = {.r = j->m->r,
	    .row = row,
	    .folder = j->folder,
	    .was = &j->st,
	    .xxh3_128_before = j->was.xxh3_128,
	    .file = &j->new,
	    .now = &j->now,
	    .audio = j->m->audio};
	int rc;

	if (write_new(j, j->name, e) == -1 || is_recorded(row, j, true, e) == -1)
		return -1;
	rc = replace_file(&p, e);
	out->backup = p.backup;
	return rc;
}

/* The measures that the row has are taken again, the true peak too. */
static void
measure_as_before(struct mend *m, const char *prober)
{
	struct audio_opts o = m->audio;

	o.true_peak = true;
	m->audio.true_peak =
	    m->audio.true_peak || (prober != NULL && audio_prober_suffices(prober, &o));
}

/* Measures the file and mends it, once there is a plan. */
static int
mend_planned(struct job *j, const struct catalogue_row *row, struct mended *out, struct err *e)
{
	int known;

	if (check_unchanged(j, e) == -1 || audio_measure(j->fd, &j->m->audio, &j->was, e) == -1)
		return -1;
	if (entry_is_refused(&j->was)) {
		*e = j->was.problem;
		return -1;
	}
	known = is_recorded(row, j, false, e);
	snprintf(out->message, sizeof out->message, "%s; %s", j->plan.message,
	    known ? "it gets a true header"
		  : "it gets a true header if that makes it the file whose checksum was recorded");
	if (j->m->r == NULL)
		return 1;
	if (replace(j, row, out, e) == -1)
		return -1;
	out->done = true;
	return 1;
}

int
mend_header(
    const struct mend *how, const struct catalogue_row *row, struct mended *out, struct err *e)
{
	struct mend m = *how;
	struct job j;
	struct stat st;
	enum folder f;
	int rc;

	*out = (struct mended){.id = row->id};
	/* What cannot be looked at is told by a check, and is nothing to mend. */
	if (archive_locate(m.a, row->stored, row->stored_len, row->folder, &f, &st, e) == -1 ||
	    !S_ISREG(st.st_mode))
		return 0;
	out->folder = f;
	measure_as_before(&m, row->prober);
	job_start(&j, &m, f, row->stored);
	if (open_file(&j, e) == -1)
		rc = e->class == ERR_ITEM ? 0 : -1;
	else
		rc = rehead_plan(j.fd, (uint64_t)j.st.st_size, &j.plan, e);
	if (rc == 1) {
		j.planned = true;
		snprintf(out->message, sizeof out->message, "%s", j.plan.message);
		rc = mend_planned(&j, row, out, e);
	}
	job_end(&j);
	return rc;
}

/* ---- parts ---- */

char *
mend_part_name(const struct archive *a, const char *part, struct err *e)
{
	int len = (int)(strlen(part) - strlen(PART_SUFFIX)), stem = len, taken = 1;
	char *name = mem_bytes(part, (size_t)len, e);

	for (int i = len - 1; i > 0 && stem == len; i--)
		if (part[i] == '.')
			stem = i;
	for (int i = 2; name != NULL && (taken = archive_is_taken(a, name, e)) == 1; i++) {
		free(name);
		name = mem_fmt(e, "%.*s-%d%.*s", stem, part, i, len - stem, part + stem);
	}
	if (taken == -1) {
		free(name);
		return NULL;
	}
	return name;
}

/* The same recording twice is nothing to add. */
static int
check_new(const struct mend *m, const char *sha256, struct err *e)
{
	int64_t id;
	int rc = catalogue_find_sha256(m->a->catalogue, sha256, &id, e);

	return rc == 1
		   ? err_item(e, P_DUPLICATE,
			 "recording %lld has the same bytes, so it is left as it is", (long long)id)
		   : rc;
}

static struct json *
finish_line(const struct job *j, const struct mended *out, struct err *e)
{
	struct json *line =
	    filechange_line("finish", j->to, out->name, FOLDER_BACKUP, out->backup, e);

	if (line != NULL &&
	    (j->to == j->folder ||
		json_put_str(line, "from_folder", archive_folder_name(j->folder), e) == 0) &&
	    json_put_bytes(line, "from", j->name, strlen(j->name), e) == 0 &&
	    json_put_str(line, "xxh3_128_after", j->now.xxh3_128, e) == 0)
		return line;
	json_free(line);
	return NULL;
}

static int
finish(struct job *j, struct mended *out, struct err *e)
{
	struct archive *a = j->m->a;
	struct provenance origin;
	struct entry entry = {.folder = j->to,
	    .path = out->name,
	    .stored = out->name,
	    .m = &j->now,
	    .provenance = &origin};
	/* What is being recorded is nobody's to read; a recording is, like one that was added. */
	mode_t mode = j->folder == FOLDER_TEMP ? 0644 : j->st.st_mode & 07777;
	struct json *details = NULL, *line, *kept;
	int rc = -1;

	if (write_new(j, out->name, e) == -1 || check_new(j->m, j->now.sha256, e) == -1 ||
	    replace_backup(j->m->a, j->name, &j->st, &out->backup, e) == -1 ||
	    check_unchanged(j, e) == -1 ||
	    (details = provenance_recovered(&origin, &j->now, j->name, e)) == NULL ||
	    (line = finish_line(j, out, e)) == NULL ||
	    run_announce_kept(j->m->r, line, &kept, e) == -1)
		goto out;
	rc = io_new_commit(&j->new, mode, false, e);
	if (rc == 0)
		rc = entry_add(j->m->r, &entry, &out->id, e);
	if (rc == 0)
		rc = io_move(
		    a->folders[j->folder], j->name, a->folders[FOLDER_BACKUP], out->backup, e);
	if (rc == -1)
		filechange_take_back(a, kept, out->id != 0, e);
	json_free(kept);
out:
	json_free(details);
	return rc;
}

static int
mend_opened_part(struct job *j, struct mended *out, struct err *e)
{
	int rc;

	if (audio_measure(j->fd, &j->m->audio, &j->was, e) == -1)
		return -1;
	if (entry_is_refused(&j->was)) {
		*e = j->was.problem;
		return -1;
	}
	if ((rc = rehead_plan(j->fd, (uint64_t)j->st.st_size, &j->plan, e)) == -1)
		return -1;
	j->planned = rc == 1;
	if ((out->name = mend_part_name(j->m->a, j->name, e)) == NULL)
		return -1;
	snprintf(out->message, sizeof out->message,
	    "a recording that was cut off%s%s; becomes one of %.3f s under its name",
	    j->planned ? ": " : "", j->planned ? j->plan.message : "", j->was.duration_s);
	if (j->m->r == NULL)
		return 1;
	if (finish(j, out, e) == -1)
		return -1;
	out->done = true;
	return 1;
}

int
mend_part(const struct mend *m, enum folder f, const char *name, struct mended *out, struct err *e)
{
	struct job j;
	int rc;

	job_start(&j, m, f, name);
	j.to = f == FOLDER_TEMP ? FOLDER_RAW : f;
	*out = (struct mended){.folder = j.to};
	rc = archive_need_folder(m->a, j.to, e) == -1 || open_file(&j, e) == -1
		 ? -1
		 : mend_opened_part(&j, out, e);
	job_end(&j);
	return rc;
}

/* ---- files that moved, files without a row ---- */

/* A move that stands is right with the rows as they are; so it is not taken back when they cannot
 * be looked at now. */
static int
move_to_name(const struct mend *m, enum folder f, const char *name, const struct catalogue_row *row,
    enum folder to, struct err *e)
{
	struct archive *a = m->a;
	struct json *line;

	if (archive_need_folder(a, to, e) == -1 ||
	    (line = filechange_line("move", f, name, to, row->stored, e)) == NULL)
		return -1;
	if (json_put_int(line, "id", row->id, e) == -1) {
		json_free(line);
		return -1;
	}
	if (run_announce(m->r, line, e) == -1)
		return -1;
	if (io_move(a->folders[f], name, a->folders[to], row->stored, e) == -1)
		return e->class == ERR_SYSTEM && e->sys == EEXIST
			   ? err_item(e, P_CONFLICT, "there is a file of that name by now")
			   : -1;
	return replace_rows(m->r, row, &m->audio, NULL, NULL, e);
}

int
mend_moved(const struct mend *m, enum folder f, const char *name, int64_t id, struct mended *out,
    struct err *e)
{
	struct catalogue_row row;
	struct stat st;
	struct err missing;
	int rc;

	*out = (struct mended){.id = id};
	if ((rc = catalogue_row_by_id(m->a->catalogue, id, &row, e)) != 1)
		return rc;
	rc = -1;
	if (archive_locate(
		m->a, row.stored, row.stored_len, row.folder, &out->folder, &st, &missing) == 0) {
		rc = 0;
		goto out;
	}
	if ((out->name = mem_bytes(row.stored, row.stored_len, e)) == NULL)
		goto out;
	snprintf(out->message, sizeof out->message,
	    "the file of recording %lld under another name; gets its own back", (long long)id);
	if (missing.class != ERR_ITEM || strcmp(missing.code, P_MISSING) != 0)
		*e = missing;
	else if (strchr(row.stored, '/') != NULL)
		err_item(e, P_UNSUPPORTED,
		    "the row names a file in a folder below: move it there by hand");
	else if (m->r == NULL || move_to_name(m, f, name, &row, out->folder, e) == 0)
		rc = 1;
	out->done = rc == 1 && m->r != NULL;
out:
	catalogue_row_free(&row);
	return rc;
}

/* Holds no audio: a file of somebody's, and nothing to adopt. */
static bool
is_no_recording(const struct err *problem)
{
	return strcmp(problem->code, P_NOT_AUDIO) == 0 || strcmp(problem->code, P_EMPTY) == 0 ||
	       strcmp(problem->code, P_UNSUPPORTED) == 0;
}

static int
add_orphan(struct job *j, struct mended *out, struct err *e)
{
	struct entry entry = {
	    .folder = j->folder, .path = j->name, .stored = j->name, .m = &j->was};

	if (check_new(j->m, j->was.sha256, e) == -1)
		return -1;
	snprintf(out->message, sizeof out->message,
	    "a file of %.3f s of audio without a row; gets one%s%s", j->was.duration_s,
	    j->was.problem.class != ERR_NONE ? ", and its problem is noted: " : "",
	    j->was.problem.class != ERR_NONE ? j->was.problem.code : "");
	if (j->m->r == NULL)
		return 1;
	if (check_unchanged(j, e) == -1 || entry_add(j->m->r, &entry, &out->id, e) == -1)
		return -1;
	out->done = true;
	return 1;
}

int
mend_orphan(
    const struct mend *m, enum folder f, const char *name, struct mended *out, struct err *e)
{
	struct job j;
	int rc = -1;

	*out = (struct mended){.folder = f};
	job_start(&j, m, f, name);
	if (open_file(&j, e) == 0 && audio_measure(j.fd, &m->audio, &j.was, e) == 0) {
		if (!entry_is_refused(&j.was))
			rc = add_orphan(&j, out, e);
		else if (is_no_recording(&j.was.problem))
			rc = 0;
		else
			*e = j.was.problem;
	}
	job_end(&j);
	return rc;
}
