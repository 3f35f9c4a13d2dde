#include "completeness.h"

#include <stdlib.h>
#include <string.h>

#include "damage.h"
#include "io.h"
#include "journal.h"
#include "mem.h"

static bool
same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* {"count": n}. NULL and *e. */
static struct json *
counted(int64_t n, struct err *e)
{
	struct json *facts = json_new_object(e);

	if (facts != NULL && json_put_int(facts, "count", n, e) == 0)
		return facts;
	json_free(facts);
	return NULL;
}

/* ---- rows ---- */

static int
tell_measurements(struct findings *f, const struct census *n, struct err *e)
{
	struct json *facts = counted(n->unmeasured, e);

	if (facts == NULL)
		return -1;
	if (n->unmeasured == 0)
		return finding_tell(f, "completeness.measurements", FINDING_PASS, SEVERITY_INFO,
		    NULL, NULL, facts, e, "all %lld recordings are measured", (long long)n->rows);
	return finding_tell(f, "completeness.measurements", FINDING_WARNING, SEVERITY_MEDIUM, NULL,
	    "run rec-migrate apply: without a measurement damage to them cannot be told", facts, e,
	    "%lld of %lld recordings were never measured", (long long)n->unmeasured,
	    (long long)n->rows);
}

/* The path of a file without a row. */
static int
put_path(struct json *facts, const char *key, const struct archive *a,
    const struct census_file *file, struct err *e)
{
	size_t len;
	char *path = archive_path(
	    a, file->name, strlen(file->name), archive_folder_name(file->folder), &len, e);
	int rc = path == NULL ? -1 : json_put_bytes(facts, key, path, len, e);

	free(path);
	return rc;
}

static int
tell_moved(struct findings *f, const char *check, const struct archive *a, const struct census *n,
    const struct census_row *w, struct json *facts, struct err *e)
{
	const struct census_file *file = &n->files[w->moved_to];

	if (json_put_str(facts, "verdict", P_MOVED, e) == -1 ||
	    put_path(facts, "moved_to", a, file, e) == -1) {
		json_free(facts);
		return -1;
	}
	return finding_tell(f, check, FINDING_FAIL, SEVERITY_MEDIUM, P_MOVED,
	    "rec-health repair --apply gives it its name back", facts, e,
	    "the file is not under its name; %s in %s has its bytes", file->name,
	    a->paths[file->folder]);
}

/* The path that records show is in the folder that was recorded, so nobody finds it there. */
static int
tell_other_folder(struct findings *f, const char *check, const struct archive *a,
    const struct census_row *w, struct err *e)
{
	struct json *facts;

	if (damage_recording(a, w->id, &facts, e) == -1)
		return -1;
	if (json_put_str(facts, "verdict", P_MOVED, e) == -1) {
		json_free(facts);
		return -1;
	}
	return finding_tell(f, check, FINDING_FAIL, SEVERITY_MEDIUM, P_MOVED,
	    "move it back by hand: path is where programs look for it", facts, e,
	    "the file is not in its folder: it lies, under its name, in the other one of %s and %s",
	    a->paths[FOLDER_RAW], a->paths[FOLDER_EDITED]);
}

static int
tell_absent(struct findings *f, const char *check, const struct archive *a, const struct census *n,
    const struct census_row *w, struct err *e)
{
	struct json *facts;

	if (damage_recording(a, w->id, &facts, e) == -1)
		return -1;
	if (w->moved_to >= 0)
		return tell_moved(f, check, a, n, w, facts, e);
	if (json_put_str(facts, "verdict", w->absent, e) == -1) {
		json_free(facts);
		return -1;
	}
	if (same(w->absent, P_MISSING))
		return finding_tell(f, check, FINDING_FAIL, SEVERITY_HIGH, P_MISSING,
		    "restore it from a copy, or remove the row with rec-meta rm --purge", facts, e,
		    "the file of this recording is gone");
	if (same(w->absent, P_DENIED))
		return finding_tell(f, check, FINDING_FAIL, SEVERITY_MEDIUM, P_DENIED,
		    "give its owner and group the right to read it (chmod, chown)", facts, e,
		    "its permissions let nobody read it who should");
	if (same(w->absent, P_UNSAFE_PATH))
		return finding_tell(f, check, FINDING_FAIL, SEVERITY_HIGH, P_UNSAFE_PATH,
		    "look at the row and at what lies under its name: who wrote that name, or who "
		    "made that link, and why?",
		    facts, e,
		    "its stored name, or a link that has it, leads out of the folder; it was not "
		    "followed");
	return finding_tell(f, check, FINDING_FAIL, SEVERITY_HIGH, w->absent,
	    "look at what is there under its name, and restore it from a copy", facts, e,
	    same(w->absent, P_UNSUPPORTED) ? "something else than a file has its name"
					   : "its file cannot be looked at");
}

static int
tell_files(struct findings *f, const struct archive *a, const struct census *n, struct err *e)
{
	struct json *facts;
	int64_t absent = 0;

	for (size_t i = 0; i < n->n_wrong; i++) {
		const struct census_row *w = &n->wrong[i];

		if (w->absent == NULL && !w->other_folder)
			continue;
		absent++;
		if ((w->absent != NULL ? tell_absent(f, "completeness.files", a, n, w, e)
				       : tell_other_folder(f, "completeness.files", a, w, e)) == -1)
			return -1;
	}
	if (absent > 0)
		return 0;
	if ((facts = counted(n->rows, e)) == NULL)
		return -1;
	return finding_tell(f, "completeness.files", FINDING_PASS, SEVERITY_INFO, NULL, NULL, facts,
	    e, "all %lld recordings have their file", (long long)n->rows);
}

/* ---- files ---- */

static int
tell_file(
    struct findings *f, const struct archive *a, const struct census_file *file, struct err *e)
{
	const char *check = file->is_part ? "completeness.parts" : "completeness.orphans";
	const char *verdict = file->duplicate_of != 0 ? P_DUPLICATE : P_ORPHAN;
	struct json *facts = json_new_object(e);

	if (facts == NULL || put_path(facts, "path", a, file, e) == -1 ||
	    json_put_int(facts, "size_bytes", file->size_bytes, e) == -1 ||
	    json_put_str(facts, "verdict", verdict, e) == -1 ||
	    (file->duplicate_of != 0 &&
		json_put_int(facts, "duplicate_of", file->duplicate_of, e) == -1)) {
		json_free(facts);
		return -1;
	}
	if (file->duplicate_of != 0)
		return finding_tell(f, check, FINDING_WARNING, SEVERITY_LOW, P_DUPLICATE,
		    "rec-health check --fixity all tells whether that recording is whole; if so, "
		    "remove this file by hand when nobody needs its name, else it is the good copy",
		    facts, e, "no row names it, and it has the recorded bytes of recording %lld",
		    (long long)file->duplicate_of);
	if (file->is_part)
		return finding_tell(f, check, FINDING_WARNING, SEVERITY_MEDIUM, P_ORPHAN,
		    "when nobody is recording into it, rec-health repair --apply finishes it and "
		    "takes it in",
		    facts, e, "a recording that was cut off: no row names it");
	return finding_tell(f, check, FINDING_WARNING, SEVERITY_MEDIUM, P_ORPHAN,
	    "rec-health repair --apply takes it in as a recording, if it is audio", facts, e,
	    "no row names it");
}

/* The files of one kind: parts, or the others. */
static int
tell_strays(
    struct findings *f, const struct archive *a, const struct census *n, bool parts, struct err *e)
{
	int64_t found = 0;

	for (size_t i = 0; i < n->n_files; i++) {
		if (n->files[i].is_part != parts || n->files[i].moved_from != 0)
			continue;
		found++;
		if (tell_file(f, a, &n->files[i], e) == -1)
			return -1;
	}
	if (found > 0)
		return 0;
	return finding_tell(f, parts ? "completeness.parts" : "completeness.orphans", FINDING_PASS,
	    SEVERITY_INFO, NULL, NULL, NULL, e,
	    parts ? "no recording was cut off" : "every file has its row");
}

static int
tell_temps(struct findings *f, const struct archive *a, const struct census *n, struct err *e)
{
	struct json *facts;
	int64_t temps = 0;
	int at_work = a->journal == -1 ? 0 : io_is_locked(a->journal, e);

	if (at_work == -1)
		return -1;
	for (int i = 0; i < FOLDERS; i++)
		temps += n->temps[i];
	if ((facts = counted(temps, e)) == NULL)
		return -1;
	if (temps == 0 || at_work)
		return finding_tell(f, "completeness.temporary_files", FINDING_PASS, SEVERITY_INFO,
		    NULL, NULL, facts, e,
		    temps == 0 ? "no temporary files are left" : "a run is at work");
	return finding_tell(f, "completeness.temporary_files", FINDING_WARNING, SEVERITY_LOW, NULL,
	    "the next run of rec-migrate apply removes them", facts, e,
	    "%lld temporary files of killed runs are left", (long long)temps);
}

/* ---- runs ---- */

static int
tell_run(struct findings *f, const struct archive *a, const char *run, bool at_work, int64_t *told,
    struct err *e)
{
	struct journal_summary s;
	struct err why;
	struct json *facts = json_new_object(e);

	if (facts == NULL || json_put_str(facts, "run", run, e) == -1) {
		json_free(facts);
		return -1;
	}
	if (journal_summarize(a->journal, run, &s, &why) == -1) {
		++*told;
		return finding_tell(f, "completeness.runs", FINDING_FAIL, SEVERITY_HIGH,
		    P_BAD_RECORD,
		    "restore the journal from a copy: without it the run cannot be "
		    "taken back",
		    facts, e, "%s", why.text);
	}
	if (at_work || (s.state != JOURNAL_INTERRUPTED && s.state != JOURNAL_ROLLING_BACK)) {
		json_free(facts);
		return 0;
	}
	++*told;
	return finding_tell(f, "completeness.runs", FINDING_WARNING, SEVERITY_MEDIUM, NULL,
	    s.state == JOURNAL_INTERRUPTED ? "run rec-migrate apply: it finishes or undoes it"
					   : "run rec-migrate rollback with its name again",
	    facts, e, "the run (%s) was interrupted", s.kind);
}

static int
tell_runs(struct findings *f, const struct archive *a, struct err *e)
{
	char **runs;
	size_t n;
	int64_t told = 0;
	int at_work, rc = 0;

	if ((at_work = a->journal == -1 ? 0 : io_is_locked(a->journal, e)) == -1 ||
	    journal_list(a->journal, &runs, &n, e) == -1)
		return -1;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = tell_run(f, a, runs[i], at_work, &told, e);
	journal_list_free(runs, n);
	if (rc == -1 || told > 0)
		return rc;
	return finding_tell(f, "completeness.runs", FINDING_PASS, SEVERITY_INFO, NULL, NULL, NULL,
	    e, "%zu runs, none of them interrupted", n);
}

int
completeness_check(
    struct findings *f, const struct archive *a, const struct census *n, struct err *e)
{
	if (tell_measurements(f, n, e) == -1 || tell_files(f, a, n, e) == -1 ||
	    tell_strays(f, a, n, false, e) == -1 || tell_strays(f, a, n, true, e) == -1 ||
	    tell_temps(f, a, n, e) == -1)
		return -1;
	return tell_runs(f, a, e);
}

/* ---- what nobody has read ---- */

/* Of rec_fixity or of the measurement: what was found when it was last read. */
static int
tell_known(struct findings *f, const struct catalogue_row *row, struct json *facts, struct err *e)
{
	bool flagged = row->verdict != NULL && !same(row->verdict, "ok");
	const char *verdict = flagged ? row->verdict : row->problem_code;
	const char *message = flagged ? row->verdict_message : row->problem_message;
	bool tags = same(verdict, "tags_only");

	if (same(verdict, "busy")) {
		json_free(facts);
		return 0;
	}
	if (json_put_str(facts, "verdict", verdict, e) == -1 ||
	    json_put_str(facts, "checked_at", flagged ? row->checked_at : NULL, e) == -1) {
		json_free(facts);
		return -1;
	}
	return finding_tell(f, "fixity.file", tags ? FINDING_WARNING : FINDING_FAIL,
	    tags ? SEVERITY_LOW : SEVERITY_HIGH, tags ? P_MODIFIED : err_known_code(verdict),
	    same(verdict, P_HEADER_MISMATCH) ? "rec-health repair shows what can be done"
	    : tags			     ? "rec-meta refresh ID accepts it"
					     : "restore it from a copy",
	    facts, e, "%s (found %s)", message != NULL ? message : verdict,
	    flagged ? row->checked_at : "when it was measured");
}

static int
tell_changed(struct findings *f, const struct census_row *w, struct json *facts, struct err *e)
{
	static const char advice[] = "rec-health check --fixity all reads what changed first";

	if (w->size_differs) {
		if (json_put_str(facts, "verdict", P_SIZE_MISMATCH, e) == -1) {
			json_free(facts);
			return -1;
		}
		return finding_tell(f, "fixity.file", FINDING_FAIL, SEVERITY_HIGH, P_SIZE_MISMATCH,
		    advice, facts, e, "%lld bytes were recorded, %lld are there",
		    (long long)w->size_recorded, (long long)w->size_bytes);
	}
	return finding_tell(f, "fixity.file", FINDING_WARNING, SEVERITY_LOW, NULL, advice, facts, e,
	    w->restored ? "was found damaged and has changed since; nobody has read it yet"
			: "its time is not the recorded one; nobody has read it yet");
}

/* One that is known to be damaged, or changed, and that nobody has read. */
static int
tell_unread(struct findings *f, const struct archive *a, const struct census_row *w, struct err *e)
{
	struct catalogue_row row;
	struct json *facts;
	int rc;

	if (damage_recording(a, w->id, &facts, e) == -1)
		return -1;
	if (!w->known)
		return tell_changed(f, w, facts, e);
	if ((rc = catalogue_row_by_id(a->catalogue, w->id, &row, e)) != 1) {
		json_free(facts);
		return rc;
	}
	rc = tell_known(f, &row, facts, e);
	catalogue_row_free(&row);
	return rc;
}

int
completeness_unread(struct findings *f, const struct archive *a, const struct census *n,
    const struct idset *judged, bool absent_too, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < n->n_wrong && rc == 0; i++) {
		const struct census_row *w = &n->wrong[i];

		if (w->absent != NULL)
			rc = absent_too ? tell_absent(f, "fixity.file", a, n, w, e) : 0;
		else if (!idset_has(judged, (uint64_t)w->id) &&
			 (w->known || w->restored || w->size_differs || w->time_differs))
			rc = tell_unread(f, a, w, e);
	}
	return rc;
}
