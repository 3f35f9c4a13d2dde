#include "scrub.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "catalogue_fixity.h"
#include "catalogue_health.h"
#include "clock.h"
#include "damage.h"
#include "fixity.h"
#include "hash.h"
#include "mem.h"
#include "shard.h"
#include "work.h"

#define BATCH 64
#define BATCH_NS 500000000

struct run_state {
	struct scrub *s;
	struct fixity_opts look;
	struct catalogue *reader; /* of the thread that makes items */
	struct catalogue *writer; /* NULL: nothing is noted */
	int64_t *ids;
	size_t n_ids, at;
	int64_t left;	    /* of --fixity oldest=N; -1: no limit */
	uint64_t planned;   /* bytes given out */
	int64_t started_ns; /* monotonic */
	atomic_bool spent;  /* a budget ended it */
	struct catalogue_fixity batch[BATCH];
	size_t n_batch;
	int64_t flushed_ns;
	struct err idle_failed;
	char pass[CLOCK_TEXT_MAX]; /* began at; "" when it is no pass */
};

struct entry {
	struct catalogue_row row;
	struct fixity x;
	bool skipped; /* its turn came after the time was up */
	struct err fatal;
};

/* ---- options ---- */

int
scrub_parse(const char *text, struct scrub_opts *o, struct err *e)
{
	char *end;

	if (strcmp(text, "none") == 0) {
		o->which = SCRUB_NONE;
		return 0;
	}
	if (strcmp(text, "all") == 0) {
		o->which = SCRUB_ALL;
		return 0;
	}
	if (strncmp(text, "sample=", 7) == 0) {
		o->which = SCRUB_SAMPLE;
		o->percent = strtod(text + 7, &end);
		/* Only decimal: strtod would take " 5", "1e1" and "0x5" as well. */
		if (text[7 + strspn(text + 7, "0123456789.")] == '%' && end != text + 7 &&
		    strcmp(end, "%") == 0 && o->percent > 0 && o->percent <= 100)
			return 0;
	}
	if (strncmp(text, "oldest=", 7) == 0) {
		o->which = SCRUB_OLDEST;
		if (mem_parse_i64(text + 7, 1, INT64_MAX, &o->oldest))
			return 0;
	}
	return err_set(e, ERR_USAGE, NULL,
	    "--fixity %s: it is none, all, sample=P%% (above 0, up to 100) or oldest=N (from 1)",
	    text);
}

/* ---- which files ---- */

/* Fisher-Yates: the first `want` of the ids become a random choice, then stand in their old order.
 */
static int
choose(int64_t *ids, size_t n, size_t want, struct err *e)
{
	uint64_t random, *place = mem_new(n, sizeof *place, e);
	bool *chosen = mem_new(n, sizeof *chosen, e);
	size_t kept = 0;
	int rc = place == NULL || chosen == NULL ? -1 : 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		place[i] = i;
	for (size_t i = 0; i < want && rc == 0; i++) {
		rc = hash_random(&random, sizeof random, e);
		if (rc == 0) {
			size_t j = i + (size_t)(random % (n - i));
			uint64_t taken = place[j];

			place[j] = place[i];
			chosen[taken] = true;
		}
	}
	for (size_t i = 0; i < n && rc == 0; i++)
		if (chosen[i])
			ids[kept++] = ids[i];
	free(place);
	free(chosen);
	return rc;
}

/* Rows that changed on disk come first (*suspects of them), those without a file are left out. */
static int
put_suspects_first(struct run_state *r, size_t *suspects, struct err *e)
{
	const struct census *n = r->s->census;
	struct idset first = {0};
	int64_t *ids;
	size_t k = 0;
	int rc = 0;

	*suspects = 0;
	if (n == NULL)
		return 0;
	if ((ids = mem_new(r->n_ids + n->n_wrong + 1, sizeof *ids, e)) == NULL)
		return -1;
	for (size_t i = 0; i < n->n_wrong && rc == 0; i++) {
		const struct census_row *w = &n->wrong[i];

		if (w->absent != NULL) {
			rc = idset_add(&first, (uint64_t)w->id, e);
		} else if (!w->known && (w->size_differs || w->time_differs || w->restored)) {
			ids[k++] = w->id;
			rc = idset_add(&first, (uint64_t)w->id, e);
		}
	}
	*suspects = k;
	for (size_t i = 0; i < r->n_ids && rc == 0; i++)
		if (!idset_has(&first, (uint64_t)r->ids[i]))
			ids[k++] = r->ids[i];
	idset_free(&first);
	free(r->ids);
	r->ids = ids;
	r->n_ids = k;
	return rc;
}

/* What changed on disk, filled up to so many percent by a random choice. */
static int
take_sample(struct run_state *r, size_t suspects, struct err *e)
{
	size_t want = (size_t)ceil((double)r->n_ids * r->s->o.percent / 100);

	if (want > suspects &&
	    choose(r->ids + suspects, r->n_ids - suspects, want - suspects, e) == -1)
		return -1;
	r->n_ids = want;
	return 0;
}

/* A catalogue that cannot be written ends the noting, not the reading. */
static int
stop_noting(struct run_state *r, const struct err *why, struct err *e)
{
	catalogue_close(r->writer);
	r->writer = NULL;
	return finding_could_not(r->s->f, "fixity.checkpoint",
	    "the files are read, but the next check will read them again; try again later", why, e);
}

static int
put_pass(struct run_state *r, const char *finished_at, struct err *e)
{
	struct err why;

	if (catalogue_begin(r->writer, &why) == 0) {
		if (catalogue_pass_put(r->writer, r->pass, finished_at, &why) == 0 &&
		    catalogue_commit(r->writer, &why) == 0)
			return 0;
		catalogue_rollback(r->writer);
	}
	return stop_noting(r, &why, e);
}

/* The pass that was interrupted, or a new one; *since is "" for a new one. */
static int
take_up_pass(struct run_state *r, const char *now, char since[CLOCK_TEXT_MAX], struct err *e)
{
	char finished[CLOCK_TEXT_MAX];
	int rc = catalogue_pass_get(r->s->a->catalogue, since, finished, e);

	if (rc == -1)
		return -1;
	/* One that began in the future began before the clock was set back. */
	if (rc == 0 || finished[0] != '\0' || strcmp(since, now) > 0)
		since[0] = '\0';
	memcpy(r->pass, since[0] != '\0' ? since : now, CLOCK_TEXT_MAX);
	return since[0] != '\0' || r->writer == NULL ? 0 : put_pass(r, NULL, e);
}

static int
make_queue(struct run_state *r, struct err *e)
{
	const struct scrub_opts *o = &r->s->o;
	char now[CLOCK_TEXT_MAX], since[CLOCK_TEXT_MAX] = "";
	size_t suspects;

	clock_rfc3339(clock_now(), now);
	if (o->which == SCRUB_ALL && take_up_pass(r, now, since, e) == -1)
		return -1;
	if (catalogue_fixity_queue(r->s->a->catalogue, since, now, &r->ids, &r->n_ids, e) == -1)
		return -1;
	r->left = o->which == SCRUB_OLDEST ? o->oldest : -1;
	if (put_suspects_first(r, &suspects, e) == -1)
		return -1;
	return o->which == SCRUB_SAMPLE ? take_sample(r, suspects, e) : 0;
}

/* ---- the work ring ---- */

static void
drop(void *ctx, void *item)
{
	struct entry *en = item;

	(void)ctx;
	catalogue_row_free(&en->row);
	free(en);
}

static bool
time_is_up(struct run_state *r)
{
	uint64_t max = r->s->o.max_ns;

	if (max == 0 || (uint64_t)(clock_monotonic_ns() - r->started_ns) < max)
		return false;
	atomic_store(&r->spent, true);
	return true;
}

/* Whether the file still fits --max-bytes; the first always does. */
static bool
bytes_allow(struct run_state *r, const struct catalogue_row *row)
{
	struct err e;
	struct stat st;
	enum folder f;
	uint64_t size = 0;

	if (r->s->o.max_bytes == 0)
		return true;
	if (archive_locate(r->s->a, row->stored, row->stored_len, row->folder, &f, &st, &e) == 0)
		size = (uint64_t)st.st_size;
	if (r->planned > 0 && r->planned + size > r->s->o.max_bytes) {
		atomic_store(&r->spent, true);
		return false;
	}
	r->planned += size;
	return true;
}

static int
next(void *ctx, void **item, struct err *e)
{
	struct run_state *r = ctx;
	struct entry *en;
	int rc = 0;

	if (r->left == 0 || time_is_up(r))
		return 0;
	if ((en = mem_new(1, sizeof *en, e)) == NULL)
		return -1;
	while (rc == 0 && r->at < r->n_ids) {
		rc = catalogue_row_by_id(r->reader, r->ids[r->at++], &en->row, e);
		if (rc == 1 && !shard_has_row(r->s->f->t, r->s->a, &en->row)) {
			catalogue_row_free(&en->row);
			rc = 0;
		}
	}
	if (rc == 1 && !bytes_allow(r, &en->row)) {
		catalogue_row_free(&en->row);
		rc = 0;
	}
	if (rc == 1) {
		r->left -= r->left > 0;
		*item = en;
	} else {
		free(en);
	}
	return rc;
}

static void
look(void *ctx, void *item)
{
	struct run_state *r = ctx;
	struct entry *en = item;

	if (time_is_up(r)) {
		en->skipped = true;
		return;
	}
	if (fixity_look(r->s->a, &en->row, &r->look, &en->x, &en->fatal) == 0)
		en->fatal.class = ERR_NONE;
	atomic_fetch_add(&r->s->f->t->items_done, 1);
}

/* ---- noting ---- */

/* Everything of the batch or nothing. */
static int
flush(struct run_state *r, struct err *e)
{
	struct err why;
	int rc = 0;

	r->flushed_ns = clock_monotonic_ns();
	if (r->n_batch == 0 || r->writer == NULL)
		return 0;
	if ((rc = catalogue_begin(r->writer, &why)) == 0) {
		for (size_t i = 0; i < r->n_batch && rc == 0; i++)
			rc = catalogue_fixity_put(r->writer, &r->batch[i], &why);
		if (rc == 0)
			rc = catalogue_commit(r->writer, &why);
		else
			catalogue_rollback(r->writer);
	}
	r->n_batch = 0;
	return rc == 0 ? 0 : stop_noting(r, &why, e);
}

static int
note(struct run_state *r, const struct entry *en, struct err *e)
{
	struct catalogue_fixity *f = &r->batch[r->n_batch];
	const struct fixity *x = &en->x;
	bool good = strcmp(x->verdict, "ok") == 0;

	if (r->writer == NULL)
		return 0;
	*f = (struct catalogue_fixity){.recording_id = en->row.id, .size_bytes = x->size_bytes};
	clock_rfc3339(clock_now(), f->checked_at);
	snprintf(f->verdict, sizeof f->verdict, "%s", x->verdict);
	if (x->problem.class != ERR_NONE)
		snprintf(f->message, sizeof f->message, "%s", x->problem.text);
	memcpy(f->mtime, x->mtime, sizeof f->mtime);
	if (good && x->n_pieces > 0) {
		memcpy(f->xxh3_128, x->xxh3_128, sizeof f->xxh3_128);
		f->piece_bytes = x->piece_bytes;
		f->n_pieces = x->n_pieces;
		memcpy(f->pieces, x->pieces, sizeof f->pieces);
	}
	r->n_batch++;
	if (r->n_batch < BATCH && clock_monotonic_ns() - r->flushed_ns < BATCH_NS)
		return 0;
	return flush(r, e);
}

/* ---- telling ---- */

/* Another recording that has these bytes is named: files that were swapped. */
static int
put_same_bytes(struct run_state *r, const struct entry *en, struct json *facts, struct err *e)
{
	int64_t id;
	int rc;

	if (en->x.sha256[0] == '\0')
		return 0;
	rc = catalogue_find_sha256(r->s->a->catalogue, en->x.sha256, &id, e);
	if (rc == 1 && id != en->row.id)
		rc = json_put_int(facts, "same_bytes_as", id, e);
	return rc == -1 ? -1 : 0;
}

static const char *
advice(const struct entry *en)
{
	const char *verdict = en->x.verdict;

	/* The application's checksum is the one that does not fit. */
	if (strcmp(verdict, P_CHECKSUM_MISMATCH) == 0 && en->row.xxh3_128 != NULL &&
	    strcmp(en->x.xxh3_128, en->row.xxh3_128) == 0)
		return "compare the row with a backup of the database; the file is as it was "
		       "measured";
	if (strcmp(verdict, "tags_only") == 0 || strcmp(verdict, P_MODIFIED) == 0)
		return "if it was edited on purpose, rec-meta refresh ID accepts it; else restore "
		       "it from a copy";
	if (strcmp(verdict, P_HEADER_MISMATCH) == 0)
		return "rec-health repair shows what a new header would be; --apply writes it";
	if (strcmp(verdict, P_MISSING) == 0)
		return "restore it from a copy, or remove the row with rec-meta rm";
	if (strcmp(verdict, P_DENIED) == 0)
		return "give the user who runs this the right to read it";
	if (strcmp(verdict, P_UNREADABLE) == 0)
		return "copy what can be read of the disk now, then restore it from a copy";
	return "restore it from a copy; keep the damaged file until then";
}

static int
tell(struct run_state *r, const struct entry *en, struct err *e)
{
	const struct fixity *x = &en->x;
	struct json *facts = NULL;
	struct catalogue_fixity before;
	bool tags = strcmp(x->verdict, "tags_only") == 0;

	if (damage_recording(r->s->a, en->row.id, &facts, e) == -1 ||
	    json_put_str(facts, "verdict", x->verdict, e) == -1 ||
	    catalogue_fixity_get(r->s->a->catalogue, en->row.id, &before, e) == -1 ||
	    damage_locate(facts, r->s->a, x, &before, e) == -1 ||
	    put_same_bytes(r, en, facts, e) == -1) {
		json_free(facts);
		return -1;
	}
	if (strcmp(x->verdict, "busy") == 0)
		return finding_tell(r->s->f, "fixity.file", FINDING_WARNING, SEVERITY_LOW, NULL,
		    "check it again when nobody writes to it", facts, e,
		    "somebody was writing while it was read");
	return finding_tell(r->s->f, "fixity.file", tags ? FINDING_WARNING : FINDING_FAIL,
	    tags ? SEVERITY_LOW : SEVERITY_HIGH, x->problem.code, advice(en), facts, e, "%s",
	    x->problem.text);
}

static int
done(void *ctx, void *item, struct err *e)
{
	struct run_state *r = ctx;
	struct entry *en = item;
	struct scrub *s = r->s;
	int rc = 0;

	if (en->skipped) {
		drop(ctx, en);
		return 0;
	}
	if (en->fatal.class == ERR_NONE)
		en->fatal = r->idle_failed;
	if (en->fatal.class != ERR_NONE) {
		*e = en->fatal;
		drop(ctx, en);
		return -1;
	}
	s->files++;
	s->bytes += en->x.size_bytes > 0 ? en->x.size_bytes : 0;
	if (strcmp(en->x.verdict, "ok") == 0)
		s->good++;
	else
		rc = tell(r, en, e);
	if (rc == 0)
		rc = idset_add(&s->judged, (uint64_t)en->row.id, e);
	if (rc == 0)
		rc = note(r, en, e);
	drop(ctx, en);
	return rc;
}

/* Also notes what has waited while a long file is read. */
static void
idle(void *ctx)
{
	struct run_state *r = ctx;

	tool_idle(r->s->f->t);
	if (r->n_batch > 0 && r->idle_failed.class == ERR_NONE &&
	    clock_monotonic_ns() - r->flushed_ns >= BATCH_NS)
		flush(r, &r->idle_failed);
}

/* ---- the whole ---- */

/* The check's notes stay out of a database that is damaged. */
static int
tell_not_noted(struct run_state *r, struct err *e)
{
	return finding_tell(r->s->f, "fixity.checkpoint", FINDING_WARNING, SEVERITY_LOW, NULL,
	    "repair the database first", NULL, e,
	    "what is found of the files is not noted: the database is damaged, and writing to it "
	    "could damage it more");
}

/*
 * The one that writes is opened first: of a WAL without its index (a copied archive, a killed run)
 * those that read would lock it out.
 */
static int
open_connections(struct run_state *r, struct err *e)
{
	struct archive *a = r->s->a;
	struct catalogue_opts o = a->catalogue_opts;
	bool notes = !r->s->f->t->dry_run && catalogue_shape(a->catalogue)->toolkit_version > 1;
	struct err why;

	if (notes && r->s->note_nothing && tell_not_noted(r, e) == -1)
		return -1;
	if (notes && !r->s->note_nothing) {
		catalogue_close(a->catalogue);
		a->catalogue = NULL;
		o.write = true;
		if ((r->writer = catalogue_open(&o, &why)) == NULL && stop_noting(r, &why, e) == -1)
			return -1;
		if (archive_open_catalogue(a, false, e) == -1)
			return -1;
	}
	o.write = false;
	return (r->reader = catalogue_open(&o, e)) == NULL ? -1 : 0;
}

/* Whether any of these can be read: a file that is gone would hold up the pass for ever. */
static int
any_readable(const struct run_state *r, const int64_t *ids, size_t n, struct err *e)
{
	struct catalogue_row row;
	struct stat st;
	enum folder f;
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		if ((rc = catalogue_row_by_id(r->s->a->catalogue, ids[i], &row, e)) != 1)
			continue;
		rc = census_absent(r->s->a, &row, &f, &st) == NULL;
		catalogue_row_free(&row);
	}
	return rc;
}

/* The pass ends when nothing is left of it, whoever read it. */
static int
end_pass(struct run_state *r, struct err *e)
{
	char now[CLOCK_TEXT_MAX];
	int64_t *ids;
	size_t n;
	int rc;

	if (r->pass[0] == '\0' || r->writer == NULL)
		return 0;
	clock_rfc3339(clock_now(), now);
	if (catalogue_fixity_queue(r->writer, r->pass, now, &ids, &n, e) == -1)
		return -1;
	rc = any_readable(r, ids, n, e);
	free(ids);
	return rc == 0 ? put_pass(r, now, e) : rc == -1 ? -1 : 0;
}

static int
tell_sum(struct run_state *r, struct err *e)
{
	struct scrub *s = r->s;
	struct json *facts = json_new_object(e);
	double seconds = (double)(clock_monotonic_ns() - r->started_ns) / 1e9;
	bool all_good = s->good == s->files;

	s->budget_spent = atomic_load(&r->spent);
	if (facts == NULL || json_put_int(facts, "files", s->files, e) == -1 ||
	    json_put_int(facts, "unchanged", s->good, e) == -1 ||
	    json_put_int(facts, "bytes", s->bytes, e) == -1 ||
	    json_put_real(facts, "elapsed_s", seconds, e) == -1 ||
	    json_put_bool(facts, "budget_spent", s->budget_spent, e) == -1) {
		json_free(facts);
		return -1;
	}
	return finding_tell(s->f, "fixity.files", all_good ? FINDING_PASS : FINDING_WARNING,
	    all_good ? SEVERITY_INFO : SEVERITY_MEDIUM, NULL,
	    all_good ? NULL : "see the findings about single files", facts, e,
	    "%lld files read%s, %lld of them as they were recorded%s", (long long)s->files,
	    s->o.cached ? "" : " from the medium", (long long)s->good,
	    s->budget_spent ? "; the time or byte budget was spent, the next check goes on" : "");
}

int
scrub_run(struct scrub *s, struct err *e)
{
	struct run_state *r = mem_new(1, sizeof *r, e);
	struct tool *t = s->f->t;
	struct work w = {.next = next,
	    .work = look,
	    .done = done,
	    .drop = drop,
	    .idle = idle,
	    .ctx = r,
	    .jobs = t->jobs,
	    .stop = &tool_stop};
	struct err why;
	int rc = -1;

	if (r == NULL)
		return -1;
	r->s = s;
	r->started_ns = r->flushed_ns = clock_monotonic_ns();
	r->look = (struct fixity_opts){
	    .cached = s->o.cached, .stop = &tool_stop, .bytes_done = &t->bytes_done};
	if (open_connections(r, e) == -1 || make_queue(r, e) == -1)
		goto out;
	t->items_total = t->shards == 0 ? r->n_ids : 0;
	rc = work_run(&w, e);
	/* What was read before a signal came is noted all the same. */
	if (flush(r, rc == -1 ? &why : e) == -1)
		rc = -1;
	if (rc == 0 && (end_pass(r, e) == -1 || tell_sum(r, e) == -1))
		rc = -1;
out:
	catalogue_close(r->reader);
	catalogue_close(r->writer);
	free(r->ids);
	free(r);
	return rc;
}

void
scrub_free(struct scrub *s)
{
	idset_free(&s->judged);
}

/* ---- coverage ---- */

/* Days from one time to another, as records write them; -1 when the first is later or not a time.
 */
static int64_t
days_between(const char *from, const char *to)
{
	struct timespec a, b;

	if (!clock_parse(from, &a) || !clock_parse(to, &b) || b.tv_sec < a.tv_sec)
		return -1;
	return (b.tv_sec - a.tv_sec) / 86400;
}

static void
say_coverage(const struct catalogue_coverage *v, int64_t days, bool noted, char *text, size_t size)
{
	if (!noted)
		snprintf(text, size,
		    "nobody knows: when files are read is noted from the first rec-migrate apply "
		    "on");
	else if (v->recordings > 0 && v->checked == 0)
		snprintf(text, size, "none of the %lld recordings has been read so far",
		    (long long)v->recordings);
	else if (v->within_31_days == v->recordings)
		snprintf(text, size, "all %lld checked within 31 days; oldest %lld days",
		    (long long)v->recordings, (long long)(days < 0 ? 0 : days));
	else
		snprintf(text, size,
		    "%lld of %lld checked within 31 days, %lld longer ago, %lld never; oldest %lld "
		    "days",
		    (long long)v->within_31_days, (long long)v->recordings,
		    (long long)(v->checked - v->within_31_days),
		    (long long)(v->recordings - v->checked), (long long)(days < 0 ? 0 : days));
}

static struct json *
coverage_facts(const struct catalogue_coverage *v, int64_t days, struct err *e)
{
	struct json *facts = json_new_object(e);

	if (facts != NULL && json_put_int(facts, "recordings", v->recordings, e) == 0 &&
	    json_put_int(facts, "checked", v->checked, e) == 0 &&
	    json_put_int(facts, "never_checked", v->recordings - v->checked, e) == 0 &&
	    json_put_int(facts, "within_31_days", v->within_31_days, e) == 0 &&
	    json_put_int(facts, "flagged", v->flagged, e) == 0 &&
	    json_put_str(facts, "oldest_checked_at", v->oldest[0] != '\0' ? v->oldest : NULL, e) ==
		0 &&
	    (days >= 0 ? json_put_int(facts, "oldest_age_days", days, e)
		       : json_put_null(facts, "oldest_age_days", e)) == 0)
		return facts;
	json_free(facts);
	return NULL;
}

int
scrub_coverage(struct findings *f, const struct archive *a, struct err *e)
{
	struct catalogue_coverage v;
	struct json *facts;
	char now[CLOCK_TEXT_MAX], text[160];
	int64_t days;
	bool all, noted = catalogue_shape(a->catalogue)->toolkit_version > 1;

	clock_rfc3339(clock_now(), now);
	if (catalogue_coverage(a->catalogue, now, &v, e) == -1)
		return -1;
	days = v.checked > 0 ? days_between(v.oldest, now) : -1;
	all = v.within_31_days == v.recordings;
	say_coverage(&v, days, noted, text, sizeof text);
	if ((facts = coverage_facts(&v, days, e)) == NULL)
		return -1;
	return finding_tell(f, "fixity.coverage", all ? FINDING_PASS : FINDING_WARNING,
	    all ? SEVERITY_INFO : SEVERITY_LOW, NULL,
	    all	    ? NULL
	    : noted ? "run rec-health check --fixity all, or a part of it each night with "
		      "--max-time"
		    : "run rec-migrate apply",
	    facts, e, "%s", text);
}
