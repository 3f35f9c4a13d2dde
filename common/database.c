/*
 * What is told of the database must be true while the application writes to it. So the log is
 * looked at until two looks agree, a query is timed again when the first time was slow (a cold
 * cache is no fault of the database), and a lock that cannot be had is no damage.
 */
#include "database.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "catalogue_health.h"
#include "utf8.h"

#define LOOKS 10
#define LOOK_PAUSE_NS 200000000
#define WAL_LARGE_BYTES (UINT64_C(64) << 20)
#define QUERY_WARNING_NS INT64_C(500000000)
#define QUERY_FAIL_NS INT64_C(1000000000)
#define FREE_PAGES 1000
#define FREE_PERCENT 25

static const char restore[] =
    "stop the application; keep a copy of the database's folder as it is; then restore the latest "
    "good copy of the database (app_backup_*.db beside it), or save what can be read into a new "
    "one: sqlite3 OLD .recover | sqlite3 NEW";
static const char who_holds_it[] =
    "find the program that has the database open (fuser -v app.db) and end it when it hangs; then "
    "check again";

const char *
database_advice(const struct err *why)
{
	if (why->class == ERR_BUSY)
		return who_holds_it;
	if (why->code != NULL && strcmp(why->code, P_MISSING) == 0)
		return "see that -C names the archive's root, that DATABASE_URL is right "
		       "(rec-health config) and that its disk is mounted; when it is lost, restore "
		       "the latest good copy (app_backup_*.db in its folder)";
	return why->class == ERR_CATALOGUE ? restore : NULL;
}

int
database_could_not(struct findings *f, const char *check, const struct err *why, struct err *e)
{
	if (why->class == ERR_CATALOGUE)
		return finding_tell(f, check, FINDING_FAIL, SEVERITY_CRITICAL, P_BAD_RECORD,
		    restore, NULL, e, "%s", why->text);
	if (why->class == ERR_SYSTEM && why->sys == EIO)
		return finding_tell(f, check, FINDING_FAIL, SEVERITY_CRITICAL, P_UNREADABLE,
		    restore, NULL, e, "%s: %s", why->text, strerror(EIO));
	return finding_could_not(f, check, database_advice(why), why, e);
}

/* ---- the log ---- */

static bool
knows_of_more(const struct walfile *w)
{
	return w->index_present && w->index_frames > w->committed;
}

static bool
is_suspect(const struct walfile *w)
{
	return (w->present && (!w->header_valid || w->cut || w->damaged_at != 0)) ||
	       knows_of_more(w);
}

static bool
is_same(const struct walfile *a, const struct walfile *b)
{
	return a->present == b->present && a->size_bytes == b->size_bytes &&
	       a->header_valid == b->header_valid && a->frames == b->frames &&
	       a->committed == b->committed && a->cut == b->cut && a->damaged_at == b->damaged_at &&
	       a->index_present == b->index_present && a->index_frames == b->index_frames;
}

/* 1 when what was seen can be believed, 0 when somebody keeps writing, -1. */
static int
look(const char *database, struct walfile *w, struct err *e)
{
	const struct timespec pause = {.tv_nsec = LOOK_PAUSE_NS};
	struct walfile before;

	if (walfile_look(database, w, e) == -1)
		return -1;
	for (int i = 1; i < LOOKS && is_suspect(w); i++) {
		before = *w;
		nanosleep(&pause, NULL);
		if (walfile_look(database, w, e) == -1)
			return -1;
		if (is_same(&before, w))
			return 1;
	}
	return !is_suspect(w);
}

static int
put_wal_facts(struct json *facts, const struct archive *a, const struct walfile *w, struct err *e)
{
	const char *path = a->catalogue_opts.path;

	if (json_put_bytes(facts, "path", path, strlen(path), e) == -1 ||
	    json_put_int(facts, "wal_bytes", (int64_t)w->size_bytes, e) == -1 ||
	    json_put_int(facts, "committed_frames", (int64_t)w->committed, e) == -1 ||
	    json_put_int(facts, "uncommitted_frames", (int64_t)(w->frames - w->committed), e) == -1)
		return -1;
	if (w->index_present &&
	    json_put_int(facts, "index_frames", (int64_t)w->index_frames, e) == -1)
		return -1;
	return w->damaged_at == 0
		   ? 0
		   : json_put_int(facts, "damaged_at_byte", (int64_t)w->damaged_at, e);
}

/* What the damage is, as a sentence; "" when there is none. */
static void
say_damage(const struct walfile *w, char *out, size_t size)
{
	unsigned long long frames = w->frames, committed = w->committed, known = w->index_frames,
			   bytes = w->size_bytes;

	out[0] = '\0';
	if (!w->present && knows_of_more(w))
		snprintf(out, size,
		    "the write-ahead log is empty or gone, but its index knows of %llu frames: the "
		    "transactions that were not yet written back are lost",
		    known);
	if (!w->present || (!w->header_valid && w->cut && w->index_present))
		return;
	if (!w->header_valid)
		snprintf(out, size,
		    "the write-ahead log %s: SQLite ignores all of its %llu bytes, and with them "
		    "the transactions that were only there",
		    w->cut ? "ends inside its header" : "has a damaged header", bytes);
	else if (knows_of_more(w))
		snprintf(out, size,
		    "the write-ahead log holds %llu committed frames, but its index knows of %llu: "
		    "the transactions of %llu frames are lost",
		    committed, known, known - committed);
	else if (w->damaged_at != 0)
		snprintf(out, size,
		    "the write-ahead log is damaged at byte %llu of %llu: the transactions behind "
		    "frame %llu are lost",
		    (unsigned long long)w->damaged_at, bytes, committed);
	/* Where an index agrees, a writer was killed, or the database was opened after the cut. */
	else if (w->cut && (!w->index_present || w->index_frames != w->committed))
		snprintf(out, size,
		    "the write-ahead log was cut: it ends inside frame %llu, at byte %llu, and the "
		    "transactions behind frame %llu are lost",
		    frames + 1, bytes, committed);
}

static int
tell_wal(struct findings *f, const struct archive *a, const struct walfile *w, struct err *e)
{
	static const char check[] = "database.wal";
	struct json *facts = json_new_object(e);
	char damage[256];

	if (facts == NULL || put_wal_facts(facts, a, w, e) == -1) {
		json_free(facts);
		return -1;
	}
	say_damage(w, damage, sizeof damage);
	if (damage[0] != '\0')
		return finding_tell(f, check, FINDING_FAIL, SEVERITY_CRITICAL, P_TRUNCATED,
		    "open the database with no other program before app.db, app.db-wal and "
		    "app.db-shm are copied aside; then compare it with the latest backup",
		    facts, e, "%s", damage);
	if (w->cut)
		return finding_tell(f, check, FINDING_WARNING, SEVERITY_MEDIUM, NULL,
		    "see whether the application was killed or the disk was full; compare the "
		    "latest recordings with the latest backup when it was not",
		    facts, e,
		    "the write-ahead log ends inside frame %llu; its index agrees with the %llu "
		    "committed frames before, so a writer was killed there, or the log was cut "
		    "before the database was last opened",
		    (unsigned long long)w->frames + 1, (unsigned long long)w->committed);
	if (w->size_bytes > WAL_LARGE_BYTES)
		return finding_tell(f, check, FINDING_WARNING, SEVERITY_MEDIUM, NULL,
		    "stop the application and every program that reads the database for long, "
		    "then: sqlite3 app.db 'PRAGMA wal_checkpoint(TRUNCATE)'",
		    facts, e, "the write-ahead log has grown to %llu MiB: nobody checkpoints it",
		    (unsigned long long)(w->size_bytes >> 20));
	if (!w->present)
		return finding_tell(f, check, FINDING_PASS, SEVERITY_INFO, NULL, NULL, facts, e,
		    "there is no write-ahead log to be written back");
	return finding_tell(f, check, FINDING_PASS, SEVERITY_INFO, NULL, NULL, facts, e,
	    "the write-ahead log is whole: %llu committed frames",
	    (unsigned long long)w->committed);
}

int
database_check_wal(struct findings *f, const struct archive *a, struct err *e)
{
	struct walfile w;
	struct err why = {0};

	switch (look(a->catalogue_opts.path, &w, &why)) {
	case 1:
		return tell_wal(f, a, &w, e);
	case 0:
		err_set(&why, ERR_BUSY, P_BUSY,
		    "the write-ahead log changed between each of %d looks", LOOKS);
		break;
	default:
		break;
	}
	return database_could_not(f, "database.wal", &why, e);
}

/* ---- integrity ---- */

struct complaints {
	struct json *list;
	char first[256];
	bool unreadable; /* one of them is about a page that could not be read */
};

static int
add_complaint(void *ctx, const char *complaint, struct err *e)
{
	struct complaints *k = ctx;
	char clean[sizeof k->first];

	utf8_escape(clean, sizeof clean, complaint, strlen(complaint));
	if (json_count(k->list) == 0)
		strcpy(k->first, clean);
	k->unreadable = k->unreadable || strstr(clean, "unable to get the page") != NULL ||
			strstr(clean, "failed to get page") != NULL;
	return json_append_str(k->list, clean, e);
}

static int
tell_complaints(
    struct findings *f, const char *check, const char *pragma, struct complaints *k, struct err *e)
{
	size_t n = json_count(k->list);
	struct json *facts;

	if (n == 0) {
		json_free(k->list);
		return finding_tell(f, check, FINDING_PASS, SEVERITY_INFO, NULL, NULL, NULL, e,
		    "%s found the database whole", pragma);
	}
	if ((facts = json_new_object(e)) == NULL) {
		json_free(k->list);
		return -1;
	}
	if (json_put(facts, "complaints", k->list, e) == -1) {
		json_free(facts);
		return -1;
	}
	return finding_tell(f, check, FINDING_FAIL, SEVERITY_CRITICAL,
	    k->unreadable ? P_UNREADABLE : P_BAD_RECORD, restore, facts, e,
	    "the database is damaged; %s has %zu complaint%s%s, the first: %s", pragma, n,
	    n == 1 ? "" : "s", n >= 100 ? " or more" : "", k->first);
}

static int
check_integrity(struct findings *f, struct archive *a, bool full, struct err *e)
{
	static const char check[] = "database.integrity";
	struct complaints k = {.list = json_new_array(e)};
	struct err why;

	if (k.list == NULL)
		return -1;
	if (catalogue_integrity(a->catalogue, full, add_complaint, &k, &why) == -1) {
		json_free(k.list);
		return database_could_not(f, check, &why, e);
	}
	return tell_complaints(f, check, full ? "integrity_check" : "quick_check", &k, e);
}

static int
put_violations(struct json *facts, const struct catalogue_violations *v, struct err *e)
{
	return json_put_int(facts, "application_rows", v->application, e) == -1 ||
		       json_put_int(facts, "toolkit_rows", v->toolkit, e) == -1 ||
		       json_put_int(facts, "tag_rows", v->tags, e) == -1
		   ? -1
		   : 0;
}

/*
 * The application deletes without foreign keys, and what the toolkit knew of the recording stays.
 * No run of the toolkit removes it. It does no harm until SQLite gives the id to another recording:
 * measurements and checks count only under the name that they were made of and are then replaced,
 * but tags would be shown as the new recording's.
 */
static int
check_foreign_keys(struct findings *f, struct archive *a, struct err *e)
{
	static const char check[] = "database.foreign_keys";
	struct catalogue_violations v;
	struct json *facts;
	struct err why;

	/* A row that cannot be read any more would count as one that is gone. */
	if (findings_count(f, "database.integrity", FINDING_FAIL) > 0)
		return 0;
	if (catalogue_foreign_key_violations(a->catalogue, &v, &why) == -1)
		return database_could_not(f, check, &why, e);
	if ((facts = json_new_object(e)) == NULL || put_violations(facts, &v, e) == -1) {
		json_free(facts);
		return -1;
	}
	if (v.application > 0)
		return finding_tell(f, check, FINDING_FAIL, SEVERITY_HIGH, P_BAD_RECORD,
		    "list them with: sqlite3 app.db 'PRAGMA foreign_key_check'; restore the rows "
		    "that they refer to from a backup",
		    facts, e, "%lld rows of the application's tables refer to rows that are gone",
		    (long long)v.application);
	if (v.toolkit > 0)
		return finding_tell(f, check, FINDING_WARNING,
		    v.tags > 0 ? SEVERITY_MEDIUM : SEVERITY_LOW, NULL,
		    v.tags > 0 ? "remove the tags, or a later recording with the same id gets "
				 "them: sqlite3 app.db 'DELETE FROM rec_tags WHERE recording_id "
				 "NOT IN (SELECT id FROM recordings)'"
			       : "nothing need be done: they are ignored, and a later recording "
				 "with the same id replaces them",
		    facts, e,
		    "%lld rows of the toolkit's tables (%lld of them tags) are left of recordings "
		    "that the application deleted",
		    (long long)v.toolkit, (long long)v.tags);
	return finding_tell(f, check, FINDING_PASS, SEVERITY_INFO, NULL, NULL, facts, e,
	    "no row refers to one that is gone");
}

/* ---- use ---- */

static int
check_query(struct findings *f, struct archive *a, struct err *e)
{
	static const char check[] = "database.query";
	static const char action[] =
	    "see what else uses this disk (iostat -x 1) and whether the database has grown (free "
	    "pages, number of recordings)";
	int64_t ns, again;
	struct json *facts;
	struct err why;

	if ((ns = catalogue_query_ns(a->catalogue, &why)) == -1)
		return database_could_not(f, check, &why, e);
	if (ns >= QUERY_WARNING_NS) {
		if ((again = catalogue_query_ns(a->catalogue, &why)) == -1)
			return database_could_not(f, check, &why, e);
		ns = again < ns ? again : ns;
	}
	if ((facts = json_new_object(e)) == NULL ||
	    json_put_real(facts, "query_ms", (double)(ns / 1000) / 1000, e) == -1) {
		json_free(facts);
		return -1;
	}
	if (ns >= QUERY_WARNING_NS)
		return finding_tell(f, check, ns >= QUERY_FAIL_NS ? FINDING_FAIL : FINDING_WARNING,
		    ns >= QUERY_FAIL_NS ? SEVERITY_HIGH : SEVERITY_MEDIUM,
		    ns >= QUERY_FAIL_NS ? P_BUSY : NULL, action, facts, e,
		    "the latest recordings take %lld ms to list, twice in a row; %d ms are too "
		    "many",
		    (long long)(ns / 1000000), ns >= QUERY_FAIL_NS ? 1000 : 500);
	return finding_tell(f, check, FINDING_PASS, SEVERITY_INFO, NULL, NULL, facts, e,
	    "the latest recordings take %lld ms to list", (long long)(ns / 1000000));
}

static int
check_lock(struct findings *f, struct archive *a, struct err *e)
{
	static const char check[] = "database.lock";
	struct err why;

	if (!catalogue_is_writable(a->catalogue))
		return finding_tell(f, check, FINDING_WARNING, SEVERITY_LOW, NULL,
		    "check as the user who runs the application", NULL, e,
		    "%s cannot be written by this user: the write lock was not tried",
		    a->catalogue_opts.path);
	if (catalogue_probe_write(a->catalogue, &why) == -1)
		return database_could_not(f, check, &why, e);
	return finding_tell(f, check, FINDING_PASS, SEVERITY_INFO, NULL, NULL, NULL, e,
	    "the write lock can be had");
}

static int
check_journal_mode(struct findings *f, struct archive *a, struct err *e)
{
	static const char check[] = "database.journal_mode";
	struct catalogue_pages p;
	struct json *facts;
	struct err why;

	if (catalogue_pages(a->catalogue, &p, &why) == -1)
		return database_could_not(f, check, &why, e);
	if ((facts = json_new_object(e)) == NULL ||
	    json_put_str(facts, "journal_mode", p.journal_mode, e) == -1) {
		json_free(facts);
		return -1;
	}
	if (strcmp(p.journal_mode, "wal") != 0)
		return finding_tell(f, check, FINDING_WARNING, SEVERITY_MEDIUM, NULL,
		    "stop the application, then: sqlite3 app.db 'PRAGMA journal_mode = WAL'", facts,
		    e,
		    "the journal mode is %s and not wal: who reads and who writes wait for each "
		    "other",
		    p.journal_mode);
	return finding_tell(
	    f, check, FINDING_PASS, SEVERITY_INFO, NULL, NULL, facts, e, "the journal mode is wal");
}

static int
put_page_facts(struct json *facts, const struct catalogue_pages *p, struct err *e)
{
	return json_put_int(facts, "page_bytes", p->page_bytes, e) == -1 ||
		       json_put_int(facts, "pages", p->pages, e) == -1 ||
		       json_put_int(facts, "free_pages", p->free_pages, e) == -1
		   ? -1
		   : 0;
}

static int
check_free_pages(struct findings *f, struct archive *a, struct err *e)
{
	static const char check[] = "database.free_pages";
	struct catalogue_pages p;
	struct json *facts;
	struct err why;
	double percent;

	if (catalogue_pages(a->catalogue, &p, &why) == -1)
		return database_could_not(f, check, &why, e);
	if ((facts = json_new_object(e)) == NULL || put_page_facts(facts, &p, e) == -1) {
		json_free(facts);
		return -1;
	}
	percent = p.pages > 0 ? 100.0 * (double)p.free_pages / (double)p.pages : 0;
	if (p.free_pages > FREE_PAGES && percent > FREE_PERCENT)
		return finding_tell(f, check, FINDING_WARNING, SEVERITY_LOW, NULL,
		    "stop the application, then: sqlite3 app.db VACUUM", facts, e,
		    "%.0f %% of the database is unused: %lld of %lld pages, %lld MiB", percent,
		    (long long)p.free_pages, (long long)p.pages,
		    (long long)((double)p.free_pages * (double)p.page_bytes / 1048576));
	return finding_tell(f, check, FINDING_PASS, SEVERITY_INFO, NULL, NULL, facts, e,
	    "%lld of %lld pages are unused", (long long)p.free_pages, (long long)p.pages);
}

/* ---- the schema ---- */

/* A table of the toolkit that its version promises and that is not there: 1 and its name, 0, -1. */
static int
misses_table(struct catalogue *c, const char **name, struct err *e)
{
	static const struct {
		int version;
		const char *table, *column;
	} promised[] = {
	    {1, "rec_measurements", "recording_id"},
	    {1, "rec_tags", "recording_id"},
	    {1, "rec_volumes", "folder"},
	    {2, "rec_fixity", "recording_id"},
	    {2, "rec_fixity_pass", "id"},
	    {3, "rec_provenance", "recording_id"},
	    {4, "rec_remotes", "id"},
	    {4, "rec_objects", "remote_id"},
	    {4, "rec_uploads", "remote_id"},
	    {4, "rec_parts", "upload_id"},
	};
	int there;

	for (size_t i = 0; i < sizeof promised / sizeof promised[0]; i++) {
		if (promised[i].version > catalogue_shape(c)->toolkit_version)
			continue;
		if ((there = catalogue_has_column(c, promised[i].table, promised[i].column, e)) !=
		    1) {
			*name = promised[i].table;
			return there == -1 ? -1 : 1;
		}
	}
	return 0;
}

/* True for a stamp that the application's own migrations would act wrongly upon. */
static bool
is_stamp_wrong(const struct catalogue_shape *sh)
{
	static const char *const known[] = {"", "cabc59ea0c9d", "4ae620c1c938",
	    "0001_create_recordings_and_jobs", "0002_add_job_progress_columns"};

	if (!sh->alembic || strcmp(sh->alembic_version, sh->name) == 0)
		return false;
	/* Of a stamp that is not known, perhaps a later one, nothing can be said. */
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcmp(sh->alembic_version, known[i]) == 0)
			return true;
	return false;
}

static int
put_shape(struct json *facts, const struct catalogue_shape *sh, struct err *e)
{
	return json_put_str(facts, "shape", sh->name, e) == -1 ||
		       json_put_int(facts, "toolkit_version", sh->toolkit_version, e) == -1
		   ? -1
		   : 0;
}

static int
tell_schema(struct findings *f, const char *check, const struct catalogue_shape *sh,
    struct json *facts, struct err *e)
{
	if (is_stamp_wrong(sh))
		return finding_tell(f, check, FINDING_WARNING, SEVERITY_MEDIUM, NULL,
		    "do not run the application's own alembic upgrade before alembic_version is "
		    "set right",
		    facts, e, "alembic_version says \"%s\", but the columns are those of %s",
		    sh->alembic_version, sh->name);
	if (sh->toolkit_version < CATALOGUE_VERSION || !sh->current_columns ||
	    (sh->jobs && !sh->jobs_progress))
		return finding_tell(f, check, FINDING_WARNING, SEVERITY_LOW, NULL,
		    "bring it up to date: rec-migrate apply", facts, e,
		    "the schema is %s with version %d of the toolkit's tables; %d is the current "
		    "one",
		    sh->name, sh->toolkit_version, CATALOGUE_VERSION);
	return finding_tell(f, check, FINDING_PASS, SEVERITY_INFO, NULL, NULL, facts, e,
	    "the schema is %s with version %d of the toolkit's tables", sh->name,
	    sh->toolkit_version);
}

static int
check_schema(struct findings *f, struct archive *a, struct err *e)
{
	static const char check[] = "database.schema";
	const struct catalogue_shape *sh = catalogue_shape(a->catalogue);
	const char *table;
	struct json *facts;
	struct err why;
	int misses = misses_table(a->catalogue, &table, &why);

	if (misses == -1)
		return database_could_not(f, check, &why, e);
	if ((facts = json_new_object(e)) == NULL || put_shape(facts, sh, e) == -1) {
		json_free(facts);
		return -1;
	}
	if (misses)
		return finding_tell(f, check, FINDING_FAIL, SEVERITY_HIGH, P_BAD_RECORD,
		    "restore a copy of the database from before the table went: rec-migrate apply "
		    "does not make it again",
		    facts, e, "the toolkit's tables are of version %d, but %s is not there",
		    sh->toolkit_version, table);
	return tell_schema(f, check, sh, facts, e);
}

int
database_check(struct findings *f, struct archive *a, bool full, struct err *e)
{
	return check_integrity(f, a, full, e) == -1 || check_foreign_keys(f, a, e) == -1 ||
		       check_query(f, a, e) == -1 || check_lock(f, a, e) == -1 ||
		       check_journal_mode(f, a, e) == -1 || check_schema(f, a, e) == -1 ||
		       check_free_pages(f, a, e) == -1
		   ? -1
		   : 0;
}
