#include "scrub.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "catalogue_fixity.h"
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

/* Rows that changed on disk come first; they stand in the queue only once. */
static int
put_suspects_first(struct run_state *r, struct err *e)
{
	const struct census *n = r->s->census;
	struct idset first = {0};
	int64_t *ids;
	size_t k = 0;
	int rc = 0;

	if (n == NULL)
		return 0;
	if ((ids = mem_new(r->n_ids + n->n_wrong + 1, sizeof *ids, e)) == NULL)
		return -1;
	for (size_t i = 0; i < n->n_wrong && rc == 0; i++) {
		const struct census_row *w = &n->wrong[i];

		if (w->absent != NULL || w->known ||
		    (!w->size_differs && !w->time_differs && !w->restored))
			continue;
		ids[k++] = w->id;
		rc = idset_add(&first, (uint64_t)w->id, e);
	}
	for (size_t i = 0; i < r->n_ids && rc == 0; i++)
		if (!idset_has(&first, (uint64_t)r->ids[i]))
			ids[k++] = r->ids[i];
	idset_free(&first);
	free(r->ids);
	r->ids = ids;
	r->n_ids = k;
	return rc;
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
	if (since[0] != '\0' || r->writer == NULL)
		return 0;
	if (catalogue_begin(r->writer, e) == -1)
		return -1;
	if (catalogue_pass_put(r->writer, now, NULL, e) == -1) {
		catalogue_rollback(r->writer);
		return -1;
	}
	return catalogue_commit(r->writer, e);
}

static int
make_queue(struct run_state *r, struct err *e)
{
	const struct scrub_opts *o = &r->s->o;
	char now[CLOCK_TEXT_MAX], since[CLOCK_TEXT_MAX] = "";

	clock_rfc3339(clock_now(), now);
	if (o->which == SCRUB_ALL && take_up_pass(r, now, since, e) == -1)
		return -1;
	if (catalogue_fixity_queue(r->s->a->catalogue, since, now, &r->ids, &r->n_ids, e) == -1)
		return -1;
	if (o->which == SCRUB_SAMPLE && r->n_ids > 0) {
		size_t want = (size_t)ceil((double)r->n_ids * o->percent / 100);

		if (choose(r->ids, r->n_ids, want, e) == -1)
			return -1;
		r->n_ids = want;
	}
	r->left = o->which == SCRUB_OLDEST ? o->oldest : -1;
	return put_suspects_first(r, e);
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

	if (archive_locate(r->s->a, row->stored, row->stored_len, row->folder, &f, &st, &e) == 0)
		size = (uint64_t)st.st_size;
	if (r->s->o.max_bytes != 0 && r->planned > 0 && r->planned + size > r->s->o.max_bytes) {
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

/* Everything of the batch or nothing. A catalogue that stays busy ends the noting, not the reading.
 */
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
	if (rc == 0)
		return 0;
	catalogue_close(r->writer);
	r->writer = NULL;
	return finding_could_not(r->s->f, "fixity.checkpoint",
	    "the files were read, but the next check will read them again; try again later", &why,
	    e);
}

static int
note(struct run_state *r, const struct entry *en, struct err *e)
{
	struct catalogue_fixity *f = &r->batch[r->n_batch];
	const struct fixity *x = &en->x;
	bool good = strcmp(x->verdict, "ok") == 0;

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
advice(const char *verdict)
{
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
	    tags ? SEVERITY_LOW : SEVERITY_HIGH, x->problem.code, advice(x->verdict), facts, e,
	    "%s", x->problem.text);
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
	if (en->fatal.class != ERR_NONE) {
		*e = en->fatal;
		drop(ctx, en);
		return -1;
	}
	if (en->x.size_bytes >= 0) {
		s->files++;
		s->bytes += en->x.size_bytes;
	}
	if (strcmp(en->x.verdict, "ok") == 0)
		s->good++;
	else if (en->x.size_bytes >= 0 || !s->absent_told)
		rc = tell(r, en, e);
	if (rc == 0)
		rc = idset_add(&s->judged, (uint64_t)en->row.id, e);
	if (rc == 0)
		rc = note(r, en, e);
	drop(ctx, en);
	return rc;
}

static void
idle(void *ctx)
{
	tool_idle(((struct run_state *)ctx)->s->f->t);
}

/* ---- the whole ---- */

/* A reader that keeps everybody out makes room for the writer, and reads beside it. */
static int
make_room(struct archive *a, struct catalogue **writer, struct err *why, struct err *e)
{
	struct catalogue_opts o = a->catalogue_opts;
	bool alone = catalogue_is_alone(a->catalogue);

	if (alone) {
		catalogue_close(a->catalogue);
		a->catalogue = NULL;
	}
	o.write = true;
	*writer = catalogue_open(&o, why);
	o.write = false;
	if (alone && (a->catalogue = catalogue_open(&o, e)) == NULL)
		return -1;
	return 0;
}

static int
open_connections(struct run_state *r, struct err *e)
{
	struct archive *a = r->s->a;
	struct catalogue_opts o = a->catalogue_opts;
	bool notes = !r->s->f->t->dry_run && catalogue_shape(a->catalogue)->toolkit_version > 1;
	struct err why;

	if (notes && make_room(a, &r->writer, &why, e) == -1)
		return -1;
	if ((r->reader = catalogue_open(&o, e)) == NULL)
		return -1;
	if (!notes || r->writer != NULL)
		return 0;
	return finding_could_not(r->s->f, "fixity.checkpoint",
	    "the files are read, but the next check will read them again", &why, e);
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
	free(ids);
	if (n > 0)
		return 0;
	if (catalogue_begin(r->writer, e) == -1)
		return -1;
	if ((rc = catalogue_pass_put(r->writer, r->pass, now, e)) == -1)
		catalogue_rollback(r->writer);
	return rc == -1 ? -1 : catalogue_commit(r->writer, e);
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
	struct tm a = {0}, b = {0};
	time_t t;

	if (strptime(from, "%Y-%m-%dT%H:%M:%S", &a) == NULL ||
	    strptime(to, "%Y-%m-%dT%H:%M:%S", &b) == NULL)
		return -1;
	t = timegm(&b) - timegm(&a);
	return t < 0 ? -1 : (int64_t)(t / 86400);
}

int
scrub_coverage(struct findings *f, const struct archive *a, struct err *e)
{
	struct catalogue_coverage v;
	struct json *facts;
	char now[CLOCK_TEXT_MAX], text[160];
	int64_t days;
	bool all;

	clock_rfc3339(clock_now(), now);
	if (catalogue_coverage(a->catalogue, now, &v, e) == -1)
		return -1;
	days = v.checked > 0 ? days_between(v.oldest, now) : -1;
	all = v.within_31_days == v.recordings;
	if (v.recordings > 0 && v.checked == 0)
		snprintf(text, sizeof text, "none of the %lld recordings has been read so far",
		    (long long)v.recordings);
	else if (all)
		snprintf(text, sizeof text, "all %lld checked within 31 days; oldest %lld days",
		    (long long)v.recordings, (long long)(days < 0 ? 0 : days));
	else
		snprintf(text, sizeof text,
		    "%lld of %lld checked within 31 days, %lld longer ago, %lld never; oldest %lld "
		    "days",
		    (long long)v.within_31_days, (long long)v.recordings,
		    (long long)(v.checked - v.within_31_days),
		    (long long)(v.recordings - v.checked), (long long)(days < 0 ? 0 : days));
	if ((facts = json_new_object(e)) == NULL ||
	    json_put_int(facts, "recordings", v.recordings, e) == -1 ||
	    json_put_int(facts, "checked", v.checked, e) == -1 ||
	    json_put_int(facts, "never_checked", v.recordings - v.checked, e) == -1 ||
	    json_put_int(facts, "within_31_days", v.within_31_days, e) == -1 ||
	    json_put_int(facts, "flagged", v.flagged, e) == -1 ||
	    json_put_str(facts, "oldest_checked_at", v.oldest[0] != '\0' ? v.oldest : NULL, e) ==
		-1 ||
	    (days >= 0 ? json_put_int(facts, "oldest_age_days", days, e)
		       : json_put_null(facts, "oldest_age_days", e)) == -1) {
		json_free(facts);
		return -1;
	}
	return finding_tell(f, "fixity.coverage", all ? FINDING_PASS : FINDING_WARNING,
	    all ? SEVERITY_INFO : SEVERITY_LOW, NULL,
	    all ? NULL
		: "run rec-health check --fixity all, or a part of it each night with --max-time",
	    facts, e, "%s", text);
}
