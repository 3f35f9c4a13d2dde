#include "survey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "catalogue_fixity.h"
#include "io.h"
#include "mem.h"
#include "record.h"
#include "rowimage.h"

/* ---- looking ---- */

static bool
same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* Where and what the file is now; a file that cannot be looked at is a problem of the survey. */
static void
look_at_file(const struct archive *a, const struct catalogue_row *row, struct survey *s)
{
	struct stat st;

	*s = (struct survey){.size_bytes = -1};
	audio_measure_init(&s->m);
	if (archive_locate(
		a, row->stored, row->stored_len, row->folder, &s->folder, &st, &s->problem) == -1)
		return;
	s->found = true;
	s->size_bytes = (int64_t)st.st_size;
	clock_rfc3339(st.st_mtim, s->mtime);
}

bool
survey_is_damaged(const struct catalogue_row *row)
{
	static const char *const codes[] = {P_CHECKSUM_MISMATCH, P_ZERO_TAIL, P_TRUNCATED,
	    P_DECODE_ERROR, P_UNREADABLE, P_SIZE_MISMATCH};
	bool checked = row->verdict != NULL && !same(row->verdict, "ok");
	const char *code = checked ? row->verdict : row->problem_code;

	for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
		if (same(code, codes[i]))
			return true;
	return false;
}

/* NULL when the file is as the catalogue knows it and nothing is lacking, else the reason to look
 * closer. */
static const char *
reason(const struct catalogue_row *row, const struct survey_opts *o, const struct survey *s)
{
	bool seen = row->seen_mtime != NULL;

	if (!s->found)
		return same(row->problem_code, s->problem.code) ? NULL : "the file cannot be found";
	if (!row->measured)
		return "never measured";
	if (same(row->problem_code, P_MISSING) || same(row->problem_code, P_UNSAFE_PATH) ||
	    same(row->problem_code, P_DENIED) || same(row->problem_code, P_UNREADABLE))
		return "could not be read before";
	if (s->size_bytes != (seen ? row->seen_size_bytes : row->size_bytes) ||
	    !same(s->mtime, seen ? row->seen_mtime : row->mtime))
		return "changed on disk";
	if (row->prober == NULL || !audio_prober_suffices(row->prober, &o->audio))
		return "measured by another version, or without what is asked for";
	if (o->accept && (row->problem_code != NULL || survey_is_damaged(row)))
		return "to be accepted as it is";
	if (o->reread)
		return "to be read again";
	return row->settled ? NULL : "the application's columns differ";
}

int
survey_due(const struct archive *a, const struct catalogue_row *row, const struct survey_opts *o,
    const char **why, struct err *problem)
{
	struct survey s;

	look_at_file(a, row, &s);
	*problem = s.problem;
	*why = reason(row, o, &s);
	survey_free(&s);
	return *why != NULL;
}

static int
copy_measure(struct measure *to, const struct measure *from, struct err *e)
{
	*to = *from;
	return from->tags != NULL && (to->tags = json_clone(from->tags, e)) == NULL ? -1 : 0;
}

static int
measure(const struct archive *a, const struct catalogue_row *row, const struct survey_opts *o,
    struct survey *s, struct err *e)
{
	int fd = io_open_beneath(a->folders[s->folder], row->stored, &s->problem), rc;

	if (fd == -1) {
		s->found = false;
		if (s->problem.class == ERR_ITEM)
			return 0;
		*e = s->problem;
		return -1;
	}
	rc = audio_measure(fd, &o->audio, &s->m, e);
	close(fd);
	if (rc == -1)
		return -1;
	s->measured = true;
	s->problem = s->m.problem;
	return 0;
}

/* ---- judging ---- */

/* True for damage that the file shows by itself, which says more than that its checksum differs. */
static bool
shows_damage(const struct err *problem)
{
	return problem->class != ERR_NONE && !same(problem->code, P_HEADER_MISMATCH);
}

/* The application's checksum, when it is one. */
static bool
is_sha256(const char *s)
{
	return strlen(s) == 64 && strspn(s, "0123456789abcdefABCDEF") == 64;
}

static void
judge(const struct catalogue_row *row, struct survey *s)
{
	const char *sha256 = s->m.sha256;
	const char *recorded = row->checksum != NULL ? row->checksum
			       : row->measured	     ? row->sha256
						     : NULL;
	int64_t size = row->measured && row->sha256 != NULL ? row->size_bytes : row->filesize_bytes;

	s->keep_baseline = row->measured && row->sha256 != NULL && !same(row->sha256, sha256);
	if (recorded == NULL || sha256[0] == '\0')
		return;
	if (strcasecmp(recorded, sha256) == 0) {
		/* Proven to be the bytes that were recorded: zeros at the end are how it was
		 * recorded. */
		if (same(s->problem.code, P_ZERO_TAIL))
			s->problem = (struct err){0};
		return;
	}
	if (shows_damage(&s->problem))
		return;
	if (s->m.zero_tail_bytes > 0)
		err_item(&s->problem, P_ZERO_TAIL,
		    "the last %llu bytes are zero and the checksum differs from the recorded one: "
		    "lost in a power cut?",
		    (unsigned long long)s->m.zero_tail_bytes);
	else if (size >= 0 && size != s->size_bytes)
		err_item(&s->problem, P_SIZE_MISMATCH,
		    "%lld bytes were recorded, %lld are there, and the checksum differs",
		    (long long)size, (long long)s->size_bytes);
	else if (!is_sha256(recorded))
		err_item(&s->problem, P_CHECKSUM_MISMATCH,
		    "the recorded checksum \"%.80s\" is not a SHA-256", recorded);
	else if (s->keep_baseline && row->mtime != NULL && !same(row->mtime, s->mtime))
		err_item(&s->problem, P_MODIFIED,
		    "changed at %s: not the bytes that were recorded; rec-meta refresh accepts "
		    "them",
		    s->mtime);
	else
		err_item(&s->problem, P_CHECKSUM_MISMATCH,
		    "SHA-256 is %s, recorded was %s: restore it from a copy", sha256, recorded);
}

int
survey_look(const struct archive *a, const struct catalogue_row *row, const struct survey_opts *o,
    const struct measure *given, struct survey *s, struct err *e)
{
	const char *why;

	look_at_file(a, row, s);
	why = reason(row, o, s);
	if (why == NULL ||
	    (row->measured && s->found && strcmp(why, "the application's columns differ") == 0)) {
		s->unchanged = why == NULL;
		s->keep_baseline = row->seen_mtime != NULL;
		if (row->problem_code != NULL && s->found)
			err_item(&s->problem, row->problem_code, "%s",
			    row->problem_message != NULL ? row->problem_message : "");
		return 0;
	}
	if (!s->found) {
		s->keep_baseline = row->measured;
		return 0;
	}
	if (given != NULL && given->size_bytes == s->size_bytes && same(given->mtime, s->mtime) &&
	    given->sha256[0] != '\0' && audio_prober_suffices(given->prober, &o->audio)) {
		if (copy_measure(&s->m, given, e) == -1)
			return -1;
		s->measured = true;
		s->problem = s->m.problem;
	} else if (measure(a, row, o, s, e) == -1) {
		return -1;
	}
	if (s->measured && !o->accept)
		judge(row, s);
	else if (!s->measured)
		s->keep_baseline = row->measured;
	return 0;
}

/* ---- recording ---- */

/* The measurement row as it shall be, without its run. NULL and *e. */
static struct json *
new_measurement(const struct catalogue_row *row, const struct survey *s, const struct json *stored,
    const struct json *before, struct err *e)
{
	const char *code = s->problem.class != ERR_NONE ? s->problem.code : NULL;
	bool other = s->found && s->keep_baseline;
	struct json *after, *name;

	if (before != NULL && (s->keep_baseline || !s->measured))
		after = json_clone(before, e);
	else if ((after = json_new_object(e)) != NULL &&
		 (json_put_int(after, "recording_id", row->id, e) == -1 ||
		     (name = json_clone(stored, e)) == NULL ||
		     json_put(after, "stored_filename", name, e) == -1 ||
		     json_put_str(after, "folder", s->found ? archive_folder_name(s->folder) : NULL,
			 e) == -1 ||
		     record_put_columns(after, &s->m, e) == -1))
		goto fail;
	if (after == NULL)
		return NULL;
	if (json_put_str(after, "problem_code", code, e) == -1 ||
	    json_put_str(after, "problem_message", code != NULL ? s->problem.text : NULL, e) ==
		-1 ||
	    (other ? json_put_int(after, "seen_size_bytes", s->size_bytes, e)
		   : json_put_null(after, "seen_size_bytes", e)) == -1 ||
	    json_put_str(after, "seen_mtime", other ? s->mtime : NULL, e) == -1)
		goto fail;
	return after;
fail:
	json_free(after);
	return NULL;
}

static bool
is_null(const struct json *row, const char *column)
{
	const struct json *v = json_get(row, column);

	return v == NULL || json_kind(v) == JSON_KIND_NULL;
}

/*
 * Puts the measured facts into the application's row. When the file is not the one whose checksum
 * was recorded, what is recorded is evidence: only what is not filled is filled.
 */
static int
correct(struct json *row, const struct json *m, bool accept, struct err *e)
{
	const char *sha256 = json_get_str(m, "sha256"), *checksum = json_get_str(row, "checksum");
	bool agrees = sha256 != NULL && checksum != NULL && strcasecmp(checksum, sha256) == 0;
	bool ours = agrees || accept || is_null(row, "checksum");
	int64_t size;
	double duration, recorded = 0;

	if (sha256 == NULL)
		return 0;
	json_get_real(row, "duration", &recorded);
	if ((ours || is_null(row, "filesize_bytes")) && json_get_int(m, "size_bytes", &size) &&
	    json_put_int(row, "filesize_bytes", size, e) == -1)
		return -1;
	if ((ours || recorded == 0) && json_get_real(m, "duration_s", &duration) &&
	    json_put_real(row, "duration", duration, e) == -1)
		return -1;
	if (ours && !agrees && json_put_str(row, "checksum", sha256, e) == -1)
		return -1;
	if (is_null(row, "mime_type") && json_get_str(m, "mime_type") != NULL)
		return json_put_str(row, "mime_type", json_get_str(m, "mime_type"), e);
	return 0;
}

/* In the oldest shape the file name is the stored name. */
static const struct json *
stored_name(const struct json *row)
{
	return json_get(row, is_null(row, "stored_filename") ? "filename" : "stored_filename");
}

/* True when the row is still the one that was surveyed. */
static bool
is_same_row(const struct json *row, const struct catalogue_row *was)
{
	struct err e;
	const struct json *stored = stored_name(row);
	const char *checksum = json_get_str(row, "checksum"), *hex, *text;
	size_t len;
	unsigned char *bytes;
	bool equal;

	if ((text = json_to_str(stored, &len)) != NULL) {
		equal = len == was->stored_len && memcmp(text, was->stored, len) == 0;
	} else {
		hex = json_get_str(stored, "text_hex") != NULL ? json_get_str(stored, "text_hex")
							       : json_get_str(stored, "blob_hex");
		if (hex == NULL || (bytes = mem_new(strlen(hex) / 2 + 1, 1, &e)) == NULL)
			return false;
		len = strlen(hex) / 2;
		equal = hash_unhex(hex, strlen(hex), bytes) == 0 && len == was->stored_len &&
			memcmp(bytes, was->stored, len) == 0;
		free(bytes);
	}
	return equal && (checksum == NULL ? was->checksum == NULL : same(checksum, was->checksum));
}

/* The run that last measured it is part of the row, but alone no reason to change it. */
static int
change_measurement(
    struct run *r, int64_t id, const struct json *before, struct json *after, struct err *e)
{
	const char *run = json_get_str(before, "run");

	if (json_put_str(after, "run", run != NULL ? run : "", e) == -1) {
		json_free(after);
		return -1;
	}
	if (rowimage_same(before, after)) {
		json_free(after);
		return 0;
	}
	if ((run = run_name(r, e)) == NULL || json_put_str(after, "run", run, e) == -1) {
		json_free(after);
		return -1;
	}
	return run_change(r, "rec_measurements", "recording_id", id, after, e);
}

int
survey_record(struct run *r, const struct catalogue_row *row, const struct survey_opts *o,
    struct survey *s, struct err *e)
{
	struct catalogue *c = r->a->catalogue;
	struct json *recording = NULL, *before = NULL, *after = NULL, *filled = NULL, *name;
	int rc = -1, changed;

	if ((rc = catalogue_row_get(c, "recordings", "id", row->id, &recording, e)) != 1)
		return rc;
	rc = -1;
	if (!is_same_row(recording, row)) {
		rc = 0;
		goto out;
	}
	if (catalogue_row_get(c, "rec_measurements", "recording_id", row->id, &before, e) == -1)
		goto out;
	/* A measurement of another file under a reused id is replaced, not kept. */
	if (!row->measured)
		s->keep_baseline = false;
	after = new_measurement(row, s, stored_name(recording), row->measured ? before : NULL, e);
	if (after == NULL || (filled = json_clone(recording, e)) == NULL ||
	    (name = json_clone(stored_name(recording), e)) == NULL ||
	    json_put(filled, "stored_filename", name, e) == -1)
		goto out;
	if (!s->keep_baseline && correct(filled, after, o->accept, e) == -1)
		goto out;
	changed = change_measurement(r, row->id, before, after, e);
	after = NULL;
	if (changed == -1)
		goto out;
	rc = run_change(r, "recordings", "id", row->id, filled, e);
	filled = NULL;
	/* What a check said of the old baseline is no news of the new one. */
	if (rc != -1 && s->measured && !s->keep_baseline && row->verdict != NULL &&
	    catalogue_fixity_forget(c, row->id, e) == -1)
		rc = -1;
	rc = rc == -1 ? -1 : changed | rc;
out:
	json_free(recording);
	json_free(before);
	json_free(after);
	json_free(filled);
	return rc;
}

void
survey_free(struct survey *s)
{
	audio_measure_free(&s->m);
}
