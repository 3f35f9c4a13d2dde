/*
 * The page answers in the order in which a person asks: is it well, what is not known, how much is
 * there, what is to be done, what does the damage look like, and what is in the archive at all.
 *
 * All numbers are taken from the catalogue before the first line is written: when that fails, the
 * page says so among what could not be checked, and shows the findings all the same. The page is
 * put together in memory: at most FINDING_KEPT findings and REPORT_WAVEFORMS waveforms, the names
 * in them cut at NAME_MAX_BYTES.
 */
#include "report.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chart.h"
#include "clock.h"
#include "envelope.h"
#include "io.h"
#include "json.h"
#include "mem.h"
#include "people.h"
#include "report_numbers.h"
#include "report_style.h"
#include "utf8.h"
#include "version.h"

#define NAME_MAX_BYTES 4200 /* of a path as it is shown */
#define TITLE_COLUMNS 160   /* of a title */
#define OPEN_ROWS 10	    /* findings of a kind before the rest is folded away */

enum health { HEALTHY, ATTENTION, UNCHECKED, DAMAGED };

/* The first failure (out of memory, stopped) ends the writing. */
struct page {
	const struct archive *a;
	const struct findings *f;
	struct report_numbers n;
	struct err uncounted; /* why n could not be had; class ERR_NONE: all of it is known */
	struct buf out;
	struct err *e;
	int rc;
};

/* ---- writing ---- */

static void
put(struct page *p, const char *s)
{
	if (p->rc == 0)
		p->rc = buf_adds(&p->out, s, p->e);
}

static void putf(struct page *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Numbers and markup of our own: what comes from elsewhere goes through put_text. */
static void
putf(struct page *p, const char *fmt, ...)
{
	char part[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(part, sizeof part, fmt, args);
	va_end(args);
	put(p, part);
}

static void
put_text(struct page *p, const char *s)
{
	if (p->rc == 0)
		p->rc = chart_escape(&p->out, s, p->e);
}

/* Bytes of a file name; those that cannot be shown as they are as \xNN. */
static void
put_name(struct page *p, const char *name, size_t len)
{
	char shown[NAME_MAX_BYTES];

	utf8_escape(shown, sizeof shown, name, len);
	put_text(p, shown);
}

static const char *
plural(int64_t n)
{
	return n == 1 ? "" : "s";
}

/* ---- the numbers ---- */

/* True when nothing can go on after it; else it is told on the page. */
static bool
is_fatal(const struct err *e)
{
	return e->class == ERR_STOPPED || (e->class == ERR_SYSTEM && e->sys == ENOMEM);
}

static int
take_numbers(struct page *p, const char *now)
{
	if (p->a == NULL || p->a->catalogue == NULL) {
		err_set(&p->uncounted, ERR_CATALOGUE, NULL,
		    "The catalogue could not be opened: its recordings are not counted.");
		return 0;
	}
	if (report_numbers_take(p->a->catalogue, now, &p->n, &p->uncounted) == 0) {
		p->uncounted.class = ERR_NONE;
		return 0;
	}
	if (!is_fatal(&p->uncounted))
		return 0;
	*p->e = p->uncounted;
	return -1;
}

/* ---- the head ---- */

/* A failed check that says something about what surrounds the recordings, and not of them. */
static bool
is_about_surroundings(const char *check)
{
	static const char *const groups[] = {"disk.", "folders.", "jobs.", "config.",
	    "completeness.orphans", "completeness.parts", "completeness.runs",
	    "completeness.temporary_files", "database.query", "database.lock",
	    "database.journal_mode", "database.free_pages", "database.schema", NULL};

	for (size_t i = 0; groups[i] != NULL; i++)
		if (strncmp(check, groups[i], strlen(groups[i])) == 0)
			return true;
	return false;
}

static bool
has_unchecked(const struct page *p)
{
	return p->f->count[FINDING_ERROR] > 0 || p->uncounted.class != ERR_NONE;
}

static enum health
health_of(const struct page *p)
{
	for (unsigned i = 0; i < p->f->n_checks; i++)
		if (p->f->by_check[i].count[FINDING_FAIL] > 0 &&
		    !is_about_surroundings(p->f->by_check[i].check))
			return DAMAGED;
	if (p->n.damaged > 0 || p->n.missing > 0)
		return DAMAGED;
	if (has_unchecked(p))
		return UNCHECKED;
	return p->f->count[FINDING_FAIL] + p->f->count[FINDING_WARNING] + p->n.unreadable > 0
		   ? ATTENTION
		   : HEALTHY;
}

/* A shape of its own for each, so that colour is not needed to tell them apart. */
static const struct {
	const char *class, *name, *sentence, *icon;
} looks[] = {
    [HEALTHY] = {"healthy", "Healthy", "Everything that was checked is in order.",
	"<circle cx=\"12\" cy=\"12\" r=\"11\"/><path d=\"M7 12.5l3.5 3.5L17 9\"/>"},
    [ATTENTION] = {"attention", "Needs attention",
	"No damage was found, but something wants looking after.",
	"<polygon points=\"12,1.5 23.2,21.5 .8,21.5\"/><path d=\"M12 9v5.5M12 18.2v.1\"/>"},
    [UNCHECKED] = {"unchecked", "Could not be checked",
	"Whether everything is well is not known: part of it could not be looked at.",
	"<rect x=\"1.5\" y=\"1.5\" width=\"21\" height=\"21\" rx=\"5\"/><path d=\"M9 9.2a3 3 0 1 1 "
	"4.4 2.6c-.9.5-1.4 1-1.4 2.2M12 17.6v.1\"/>"},
    [DAMAGED] = {"damaged", "Damaged",
	"Recordings or their catalogue are damaged or missing. Begin with the gravest finding.",
	"<polygon points=\"7.4,1 16.6,1 23,7.4 23,16.6 16.6,23 7.4,23 1,16.6 1,7.4\"/><path "
	"d=\"M8 8l8 8M16 8l-8 8\"/>"},
};

static void
put_start(struct page *p, const char *root)
{
	put(p, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	       "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	       "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n"
	       "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	       "<meta name=\"color-scheme\" content=\"light dark\">\n"
	       "<meta name=\"referrer\" content=\"no-referrer\">\n<title>");
	put_text(p, looks[health_of(p)].name);
	put(p, ": ");
	put_name(p, root, strlen(root));
	put(p, "</title>\n<style>\n");
	put(p, report_style);
	put(p, chart_style);
	put(p, "</style>\n</head>\n<body>\n");
}

static void
put_hero(struct page *p, const char *root, const char *now)
{
	enum health h = health_of(p);
	char shown[PEOPLE_MAX];
	int64_t checks = 0;

	for (int i = 0; i < FINDING_STATUSES; i++)
		checks += p->f->count[i];
	putf(p,
	    "<header class=\"hero %s\"><div>\n<div>\n<p class=\"kind\">Health of an archive of "
	    "recordings</p>\n"
	    "<h1 class=\"badge\"><svg viewBox=\"0 0 24 24\" aria-hidden=\"true\">%s</svg>"
	    "<strong>%s</strong></h1>\n<p class=\"sentence\">%s</p>\n",
	    looks[h].class, looks[h].icon, looks[h].name, looks[h].sentence);
	if (h == DAMAGED && has_unchecked(p))
		put(p, "<a class=\"also\" href=\"#unchecked\">And not all of it could be checked "
		       "&#8595;</a>\n");
	put(p, "</div>\n<dl class=\"facts\"><dt>Archive</dt><dd><bdi class=\"path\">");
	put_name(p, root, strlen(root));
	putf(p,
	    "</bdi></dd><dt>Checked</dt><dd>%.10s, %.5s UTC</dd><dt>Results</dt><dd>%s passed, ",
	    now, now + 11, people_count(p->f->count[FINDING_PASS], shown));
	putf(p, "%s failed, ", people_count(p->f->count[FINDING_FAIL], shown));
	putf(p, "%s warning%s, ", people_count(p->f->count[FINDING_WARNING], shown),
	    plural(p->f->count[FINDING_WARNING]));
	putf(p, "%s could not be checked</dd></dl>\n</div></header>\n<main>\n",
	    people_count(p->f->count[FINDING_ERROR], shown));
}

/* ---- findings ---- */

static const char *
str(const struct json *rec, const char *key)
{
	const char *s = json_get_str(rec, key);

	return s != NULL ? s : "";
}

static bool
has_item(const struct json *rec)
{
	return json_get(rec, "path") != NULL || json_get(rec, "path_hex") != NULL ||
	       json_get(rec, "id") != NULL;
}

static void
put_item(struct page *p, const struct json *rec)
{
	struct err ignored;
	int64_t id;
	char *path;
	size_t len;

	if (json_get_int(rec, "id", &id))
		putf(p, "<span class=\"id\">#%lld</span>", (long long)id);
	if (json_get_bytes(rec, "path", &path, &len, &ignored) == 1) {
		put(p, "<bdi class=\"path\">");
		put_name(p, path, len);
		put(p, "</bdi>");
		free(path);
	}
}

static void
put_message(struct page *p, const struct json *rec)
{
	const char *code = str(json_get(rec, "problem"), "code");

	if (code[0] != '\0') {
		put(p, "<code class=\"chip\">");
		put_text(p, code);
		put(p, "</code>");
	}
	put_text(p, str(rec, "message"));
}

static void
put_action(struct page *p, const struct json *rec)
{
	const char *action = str(rec, "action");

	if (action[0] == '\0')
		return;
	put(p, "<p class=\"todo\"><b>What to do</b> ");
	put_text(p, action);
	put(p, "</p>\n");
}

/* Of one check, with the same thing to do. */
static bool
is_of_kind(const struct json *a, const struct json *b)
{
	return strcmp(str(a, "check"), str(b, "check")) == 0 &&
	       strcmp(str(a, "action"), str(b, "action")) == 0 &&
	       strcmp(str(a, "status"), str(b, "status")) == 0;
}

struct group {
	const struct json *rec[FINDING_KEPT];
	size_t n;
	bool items;
};

static void
put_rows(struct page *p, const struct group *g, size_t from, size_t to)
{
	put(p, g->items ? "<table><thead><tr><th scope=\"col\">Where</th><th scope=\"col\">What "
			  "was found</th></tr></thead><tbody>\n"
			: "<ul>\n");
	for (size_t i = from; i < to; i++) {
		put(p, g->items ? "<tr><td>" : "<li>");
		if (g->items) {
			put_item(p, g->rec[i]);
			put(p, "</td><td>");
		}
		put_message(p, g->rec[i]);
		put(p, g->items ? "</td></tr>\n" : "</li>\n");
	}
	put(p, g->items ? "</tbody></table>\n" : "</ul>\n");
}

static void
put_group(struct page *p, const struct group *g)
{
	size_t open = g->n > OPEN_ROWS + 5 ? OPEN_ROWS : g->n;
	char shown[PEOPLE_MAX];

	put(p, "<div class=\"finding\"><p class=\"check\"><code>");
	put_text(p, str(g->rec[0], "check"));
	put(p, "</code><span>");
	put_text(p, str(g->rec[0], "status"));
	put(p, "</span>");
	if (g->n > 1)
		putf(p, "<span>%s times</span>", people_count((int64_t)g->n, shown));
	put(p, "</p>\n");
	put_rows(p, g, 0, open);
	put_action(p, g->rec[0]);
	if (open < g->n) {
		putf(p, "<details><summary>%s more</summary>\n",
		    people_count((int64_t)(g->n - open), shown));
		put_rows(p, g, open, g->n);
		put(p, "</details>\n");
	}
	put(p, "</div>\n");
}

/* Whether a finding belongs into the part of a severity; what could not be checked has its own. */
static bool
is_of_severity(const struct json *rec, enum finding_severity s)
{
	return strcmp(str(rec, "status"), finding_status_name(FINDING_ERROR)) != 0 &&
	       strcmp(str(rec, "severity"), finding_severity_name(s)) == 0;
}

static void
put_severity(struct page *p, enum finding_severity s, struct group *g)
{
	static const struct {
		const char *class, *name;
	} names[] = {
	    [SEVERITY_INFO] = {"plain", "Info"},
	    [SEVERITY_LOW] = {"plain", "Low"},
	    [SEVERITY_MEDIUM] = {"attention", "Medium"},
	    [SEVERITY_HIGH] = {"damaged", "High"},
	    [SEVERITY_CRITICAL] = {"damaged grave", "Critical"},
	};
	bool done[FINDING_KEPT] = {false};
	struct json *const *kept = p->f->kept;
	char shown[PEOPLE_MAX];
	int64_t n = 0;

	for (size_t i = 0; i < p->f->n_kept; i++)
		n += is_of_severity(kept[i], s);
	if (n == 0)
		return;
	putf(p,
	    "<section class=\"severity %s\"><h3><span class=\"pill\">%s</span><span "
	    "class=\"number\">%s finding%s</span></h3>\n",
	    names[s].class, names[s].name, people_count(n, shown), plural(n));
	for (size_t i = 0; i < p->f->n_kept; i++) {
		if (done[i] || !is_of_severity(kept[i], s))
			continue;
		*g = (struct group){.n = 0};
		for (size_t k = i; k < p->f->n_kept; k++) {
			if (done[k] || !is_of_severity(kept[k], s) || !is_of_kind(kept[i], kept[k]))
				continue;
			done[k] = true;
			g->rec[g->n++] = kept[k];
			g->items |= has_item(kept[k]);
		}
		put_group(p, g);
	}
	put(p, "</section>\n");
}

static void
put_findings(struct page *p)
{
	int64_t told = 0;
	struct group *g;
	char shown[PEOPLE_MAX];

	for (int i = 0; i < FINDING_STATUSES; i++)
		told += i == FINDING_PASS ? 0 : p->f->count[i];
	put(p, "<section aria-labelledby=\"findings\"><h2 id=\"findings\">Findings</h2>\n");
	if (told == 0)
		put(p, "<p class=\"fine\"><b>Nothing to report.</b> All checks passed.</p>\n");
	else if (told == p->f->count[FINDING_ERROR])
		put(p, "<p class=\"fine\">Nothing was found by the checks that could be made; see "
		       "above for those that could not.</p>\n");
	else if ((g = mem_new(1, sizeof *g, p->e)) == NULL)
		p->rc = -1;
	else {
		put(p, "<p>The gravest first.</p>\n");
		for (int s = SEVERITY_CRITICAL; s >= SEVERITY_INFO; s--)
			put_severity(p, (enum finding_severity)s, g);
		free(g);
	}
	if ((int64_t)p->f->n_kept < told)
		putf(p,
		    "<p class=\"todo\">Of %s findings the first %zu are shown; rec-health prints "
		    "all of them.</p>\n",
		    people_count(told, shown), p->f->n_kept);
	put(p, "</section>\n");
}

/* ---- what could not be checked ---- */

static void
put_unchecked(struct page *p)
{
	if (!has_unchecked(p))
		return;
	put(p, "<section class=\"alarm\" id=\"unchecked\" role=\"alert\"><h2>Could not be "
	       "checked</h2>\n<p>Whether this is well or damaged is not known. It does not count "
	       "as healthy.</p>\n<ul>\n");
	for (size_t i = 0; i < p->f->n_kept; i++) {
		const struct json *rec = p->f->kept[i];

		if (strcmp(str(rec, "status"), finding_status_name(FINDING_ERROR)) != 0)
			continue;
		put(p, "<li><p><code>");
		put_text(p, str(rec, "check"));
		put(p, "</code> ");
		put_item(p, rec);
		put(p, "</p><p>");
		put_message(p, rec);
		put(p, "</p>");
		put_action(p, rec);
		put(p, "</li>\n");
	}
	if (p->uncounted.class != ERR_NONE) {
		put(p, "<li><p><code>statistics</code></p><p>");
		put_text(p, p->uncounted.text);
		put(p, "</p></li>\n");
	}
	put(p, "</ul></section>\n");
}

/* ---- totals ---- */

static void
put_tile(struct page *p, const char *class, const char *name, const char *value, const char *more)
{
	putf(p,
	    "<div class=\"tile %s\"><dt>%s</dt><dd class=\"value\">%s</dd><dd "
	    "class=\"more\">%s</dd></div>\n",
	    class, name, value, more);
}

static void
put_damage_tile(struct page *p)
{
	char value[PEOPLE_MAX], more[2 * PEOPLE_MAX + 32], part[PEOPLE_MAX];
	int len = 0;

	more[0] = '\0';
	if (p->n.missing > 0)
		len =
		    snprintf(more, sizeof more, "and %s missing", people_count(p->n.missing, part));
	if (p->n.unreadable > 0)
		snprintf(more + len, sizeof more - (size_t)len, "%s%s not readable",
		    len > 0 ? ", " : "and ", people_count(p->n.unreadable, part));
	put_tile(p, p->n.damaged + p->n.missing + p->n.unreadable > 0 ? "damaged" : "", "Damaged",
	    people_count(p->n.damaged, value), more[0] != '\0' ? more : "none missing");
}

static void
put_tiles(struct page *p)
{
	const struct catalogue_coverage *c = &p->n.coverage;
	int64_t unchecked = c->recordings - c->checked;
	char value[PEOPLE_MAX], more[PEOPLE_MAX + 48], shown[PEOPLE_MAX];

	if (p->uncounted.class != ERR_NONE)
		return;
	put(p, "<dl class=\"tiles\">\n");
	put_tile(p, "", "Recordings", people_count(c->recordings, value), "in the catalogue");
	put_tile(p, "", "Audio", people_length(p->n.seconds, value), "playing time");
	put_tile(p, "", "Size", people_bytes(p->n.bytes, value), "on disk");
	put_damage_tile(p);
	put_tile(p, unchecked > 0 ? "attention" : "", "Unchecked", people_count(unchecked, value),
	    unchecked > 0 ? "bytes never read back" : "all were read back");
	snprintf(value, sizeof value, "%.10s", c->oldest[0] != '\0' ? c->oldest : "none");
	snprintf(more, sizeof more, "%s checked in the last month",
	    people_count(c->within_31_days, shown));
	put_tile(p, "", "Oldest check", value, more);
	put(p, "</dl>\n");
}

/* ---- waveforms ---- */

/* What is drawn of a finding. */
struct drawn {
	const struct json *rec;
	const char *code;
	int64_t id;
	double recorded_s; /* NAN: unknown */
	struct envelope v;
	struct chart_mark mark;
	bool marked, zeros;
};

static bool
is_drawable(const struct json *rec, int64_t *id)
{
	static const char *const codes[] = {P_CHECKSUM_MISMATCH, P_TRUNCATED, P_ZERO_TAIL,
	    P_DECODE_ERROR, P_HEADER_MISMATCH, P_MODIFIED, P_SIZE_MISMATCH, NULL};

	/* Other tags about the same audio are no damage. */
	return json_get_int(rec, "id", id) && strcmp(str(rec, "verdict"), "tags_only") != 0 &&
	       report_is_one_of(str(json_get(rec, "problem"), "code"), codes);
}

/* The finding about the same recording that came first has drawn it. */
static bool
is_first_of_id(const struct findings *f, size_t at, int64_t id)
{
	int64_t other;

	for (size_t i = 0; i < at; i++)
		if (is_drawable(f->kept[i], &other) && other == id)
			return false;
	return true;
}

/* 0 with a descriptor in *fd; -1 and *why. */
static int
open_recording(const struct archive *a, int64_t id, int *fd, struct err *why)
{
	struct catalogue_row row = {0};
	enum folder folder;
	struct stat st;
	int rc = catalogue_row_by_id(a->catalogue, id, &row, why);

	if (rc != 1)
		return rc == -1 ? -1 : err_item(why, P_MISSING, "no longer in the catalogue");
	*fd = -1;
	if (archive_locate(a, row.stored, row.stored_len, row.folder, &folder, &st, why) == 0)
		*fd = io_open_beneath(a->folders[folder], row.stored, why);
	catalogue_row_free(&row);
	return *fd == -1 ? -1 : 0;
}

/* Frames of the recorded length; 0 when nothing sensible is known of it. */
static uint64_t
expected_frames(const struct drawn *d, const struct json *record)
{
	int64_t rate;

	if (record == NULL || !json_get_int(record, "sample_rate_hz", &rate) || rate <= 0 ||
	    !(d->recorded_s > 0) || d->recorded_s * (double)rate > 1e15)
		return 0;
	return (uint64_t)llround(d->recorded_s * (double)rate);
}

/* Where the zeros begin that a recording ends with; false when it does not. */
static bool
find_zeros(const struct envelope *v, struct chart_mark *m)
{
	unsigned n = v->n;

	while (n > 0 && v->low[n - 1] == 0 && v->high[n - 1] == 0)
		n--;
	if (n == v->n || v->rate_hz == 0)
		return false;
	*m = (struct chart_mark){
	    (double)n * (double)v->frames_column / v->rate_hz, (double)v->frames / v->rate_hz};
	return true;
}

static double
there_s(const struct envelope *v)
{
	return v->rate_hz > 0 ? (double)v->frames / v->rate_hz : 0;
}

/* More of the recorded length is missing than a column shows. */
static bool
is_cut(const struct drawn *d)
{
	return d->recorded_s - there_s(&d->v) > d->recorded_s / ENVELOPE_COLUMNS;
}

/* What is missing is no damage of what is there: it is hatched, and gets no bracket. */
static void
find_mark(struct drawn *d)
{
	bool zeros = strcmp(d->code, P_ZERO_TAIL) == 0;
	double there = there_s(&d->v);

	d->mark.end_s = NAN;
	d->marked = json_get_real(d->rec, "damage_start_s", &d->mark.start_s);
	if (d->marked)
		json_get_real(d->rec, "damage_end_s", &d->mark.end_s);
	else if (zeros)
		d->marked = find_zeros(&d->v, &d->mark);
	d->zeros = d->marked && zeros;
	if (!d->marked || !is_cut(d))
		return;
	if (d->mark.start_s > there - d->recorded_s / ENVELOPE_COLUMNS)
		d->marked = false;
	else if (!(d->mark.end_s < there))
		d->mark.end_s = there;
}

static void
put_damage(struct page *p, const struct drawn *d)
{
	char from[CHART_TIME_MAX], to[CHART_TIME_MAX];
	const char *what = d->zeros ? "Nothing but zeros" : "Damaged";

	chart_time(d->mark.start_s, from);
	if (isnan(d->mark.end_s))
		putf(p, "%s from %s to the end. ", what, from);
	else if (strcmp(from, chart_time(d->mark.end_s, to)) == 0)
		putf(p, "%s around %s. ", what, from);
	else
		putf(p, "%s from %s to %s. ", what, from, to);
}

static void
put_place(struct page *p, const struct drawn *d)
{
	char whole[CHART_TIME_MAX], length[CHART_TIME_MAX];
	double missing = d->recorded_s - there_s(&d->v);
	bool cut = is_cut(d);

	put(p, "<p class=\"where\">");
	if (d->marked)
		put_damage(p, d);
	if (cut)
		putf(p, "Of %s the end is missing: %s. ", chart_time(d->recorded_s, whole),
		    chart_time(missing, length));
	else if (!d->marked && strcmp(d->code, P_TRUNCATED) == 0)
		put(p, "The end is missing; how much of it is not known.");
	else if (!d->marked && strcmp(d->code, P_HEADER_MISMATCH) == 0)
		put(p,
		    "The header is wrong; whether any of the audio is damaged, and where, is not "
		    "known.");
	else if (!d->marked)
		put(p, "The place of the damage in the recording is not known.");
	put(p, "</p>");
}

static void
put_title(struct page *p, const struct json *record, int64_t id)
{
	struct err ignored;
	char *title = NULL;
	char shown[NAME_MAX_BYTES];
	size_t len, fit;

	if (record == NULL ||
	    (json_get_bytes(record, "title", &title, &len, &ignored) != 1 &&
		json_get_bytes(record, "filename", &title, &len, &ignored) != 1)) {
		putf(p, "Recording %lld", (long long)id);
		return;
	}
	utf8_escape(shown, sizeof shown, title, len);
	fit = utf8_fit(shown, TITLE_COLUMNS);
	if (shown[fit] != '\0' && fit + sizeof "…" <= sizeof shown)
		memcpy(shown + fit, "…", sizeof "…");
	put_text(p, shown);
	free(title);
}

static void
put_wave(struct page *p, struct drawn *d, const struct json *record, const struct err *why)
{
	char name[PEOPLE_MAX];

	put(p, "<figure class=\"card\"><h3><bdi>");
	put_title(p, record, d->id);
	put(p, "</bdi></h3>\n<p class=\"at\">");
	put_item(p, d->rec);
	put(p, "</p>\n");
	if (why->class != ERR_NONE) {
		put(p, "<p class=\"bare\">There is no picture of it: ");
		put_text(p, why->text);
		put(p, "</p>\n");
	} else {
		find_mark(d);
		snprintf(name, sizeof name, "Waveform of recording %lld", (long long)d->id);
		if (p->rc == 0)
			p->rc = chart_waveform(
			    &p->out, name, &d->v, d->recorded_s, &d->mark, d->marked, p->e);
	}
	put(p, "<figcaption><p>");
	put_message(p, d->rec);
	put(p, "</p>");
	if (why->class == ERR_NONE)
		put_place(p, d);
	put(p, "</figcaption></figure>\n");
}

/* A file that cannot be read is told of in place of its picture. */
static void
draw(struct page *p, const struct json *rec, int64_t id, struct drawn *d)
{
	struct json *record = NULL;
	struct err why = {.class = ERR_NONE};
	int fd = -1;

	*d = (struct drawn){
	    .rec = rec, .code = str(json_get(rec, "problem"), "code"), .id = id, .recorded_s = NAN};
	if (json_get_real(rec, "recorded_duration_s", &d->recorded_s) && !(d->recorded_s > 0))
		d->recorded_s = NAN;
	if (catalogue_record(p->a->catalogue, id, &record, &why) != -1 &&
	    open_recording(p->a, id, &fd, &why) == 0 &&
	    envelope_read(fd, expected_frames(d, record), p->a->catalogue_opts.stop, &d->v, &why) ==
		0)
		why.class = ERR_NONE;
	if (fd != -1)
		close(fd);
	if (is_fatal(&why)) {
		*p->e = why;
		p->rc = -1;
	}
	put_wave(p, d, record, &why);
	json_free(record);
}

static void
put_waves(struct page *p)
{
	struct drawn *d;
	size_t n = 0;
	int64_t id;

	if (p->a == NULL || p->a->catalogue == NULL || p->rc == -1)
		return;
	if ((d = mem_new(1, sizeof *d, p->e)) == NULL) {
		p->rc = -1;
		return;
	}
	for (size_t i = 0; i < p->f->n_kept && p->rc == 0; i++) {
		if (!is_drawable(p->f->kept[i], &id) || !is_first_of_id(p->f, i, id))
			continue;
		if (n == 0)
			put(p, "<section aria-labelledby=\"waves\"><h2 id=\"waves\">Damaged "
			       "recordings</h2>\n<p>A bracket marks the damage; what is missing of "
			       "the recorded length is hatched.</p>\n<div class=\"waves\">\n");
		if (n++ < REPORT_WAVEFORMS)
			draw(p, p->f->kept[i], id, d);
	}
	free(d);
	if (n == 0)
		return;
	put(p, "</div>\n");
	if (n > REPORT_WAVEFORMS)
		putf(p, "<p class=\"todo\">%zu more damaged recordings are not drawn.</p>\n",
		    n - REPORT_WAVEFORMS);
	put(p, "</section>\n");
}

/* ---- charts ---- */

static void
put_card(struct page *p, const char *title, const char *note)
{
	putf(p, "<div class=\"card\"><h3>%s</h3><p class=\"note\">%s</p>\n", title, note);
}

static void
put_bars(struct page *p, const char *title, const struct chart_bar *bars, size_t n)
{
	if (p->rc == 0)
		p->rc = chart_bars(&p->out, title, bars, n, p->e);
	put(p, "</div>\n");
}

static void
set_text(struct chart_bar *bar, int64_t count, const char *more)
{
	char shown[PEOPLE_MAX];

	bar->value = (double)count;
	if (count == 0 || more == NULL)
		snprintf(bar->text, sizeof bar->text, "%s", people_count(count, shown));
	else
		snprintf(bar->text, sizeof bar->text, "%.20s \xc2\xb7 %.20s",
		    people_count(count, shown), more);
}

static void
put_ranking(struct page *p, struct report_ranking *r, const char *title, const char *note)
{
	char shown[PEOPLE_MAX];

	for (size_t i = 0; i < r->n; i++)
		set_text(&r->bar[i], r->count[i], people_length(r->seconds[i], shown));
	put_card(p, title, note);
	put_bars(p, title, r->bar, r->n);
}

static void
put_durations(struct page *p)
{
	struct chart_bar bars[REPORT_DURATIONS] = {0};
	size_t n = REPORT_DURATIONS - (p->n.duration[REPORT_DURATIONS - 1] == 0);
	char shown[PEOPLE_MAX];

	for (size_t i = 0; i < n; i++) {
		snprintf(bars[i].label, sizeof bars[i].label, "%s", report_duration_label(i));
		set_text(&bars[i], p->n.duration[i],
		    i + 1 < REPORT_DURATIONS ? people_length(p->n.duration_s[i], shown) : NULL);
	}
	put_card(p, "Duration", "How long the recordings are.");
	put_bars(p, "Recordings by duration", bars, n);
}

static void
put_ages(struct page *p)
{
	struct chart_bar bars[REPORT_AGES] = {0};
	char shown[PEOPLE_MAX];

	for (size_t i = 0; i < REPORT_AGES; i++) {
		snprintf(bars[i].label, sizeof bars[i].label, "%s", report_age_label(i));
		set_text(&bars[i], p->n.age[i], people_bytes(p->n.age_bytes[i], shown));
	}
	put_card(p, "Fixity", "When the bytes were last read back and compared.");
	put_bars(p, "Recordings by the age of their last check", bars, REPORT_AGES);
}

/* From the tens around the quietest to those around the loudest. */
static void
put_loudness(struct page *p)
{
	struct chart_bar bars[REPORT_LOUDEST - REPORT_QUIETEST + 1] = {0};
	int from = REPORT_LOUDEST, to = REPORT_QUIETEST;
	size_t n = 0;
	char note[128], shown[PEOPLE_MAX];

	for (int l = REPORT_QUIETEST; l <= REPORT_LOUDEST; l++)
		if (p->n.loudness[l - REPORT_QUIETEST] > 0) {
			from = l < from ? l : from;
			to = l;
		}
	from = (from - 9) / 10 * 10;
	to = to / 10 * 10;
	for (int l = from < REPORT_QUIETEST ? REPORT_QUIETEST : from; l <= to && n < CHART_BARS;
	     l++, n++) {
		bars[n].value = (double)p->n.loudness[l - REPORT_QUIETEST];
		snprintf(bars[n].label, sizeof bars[n].label, "%s%d", l < 0 ? "\xe2\x88\x92" : "",
		    l < 0 ? -l : l);
		snprintf(bars[n].text, sizeof bars[n].text, "%.0f", bars[n].value);
	}
	snprintf(note, sizeof note, "Integrated, EBU R 128. %s without: silent or not measured.",
	    people_count(p->n.no_loudness, shown));
	put_card(p, "Loudness", note);
	if (p->rc == 0)
		p->rc = chart_histogram(
		    &p->out, "Recordings by loudness", "recordings by LUFS", bars, n, p->e);
	put(p, "</div>\n");
}

static void
put_growth(struct page *p)
{
	struct chart_bar points[REPORT_MONTHS] = {0};
	size_t n = 0;
	double bytes = 0, unit_bytes;
	const char *unit = people_unit(p->n.bytes, &unit_bytes);
	int64_t count = 0;
	char shown[PEOPLE_MAX], note[128];

	if (p->n.month_step > 0)
		n = (size_t)((p->n.month_last - p->n.month_first) / p->n.month_step + 1);
	for (size_t i = 0; i < n; i++) {
		int month = p->n.month_first + (int)i * p->n.month_step;

		bytes += p->n.month_bytes[i];
		count += p->n.month_count[i];
		points[i].value = bytes / unit_bytes;
		snprintf(points[i].label, sizeof points[i].label, "%04d-%02d", month / 12,
		    month % 12 + 1);
		snprintf(points[i].text, sizeof points[i].text, "%s", people_bytes(bytes, shown));
	}
	snprintf(note, sizeof note, "%s dated recordings, in %s; %lld have no date.",
	    people_count(count, shown), unit, (long long)p->n.undated);
	put_card(p, "Growth", note);
	if (p->rc == 0)
		p->rc = chart_area(&p->out, "Size of all recordings over time", points, n, p->e);
	put(p, "</div>\n");
}

static void
put_charts(struct page *p)
{
	if (p->uncounted.class != ERR_NONE || p->n.coverage.recordings == 0)
		return;
	put(p, "<section aria-labelledby=\"archive\"><h2 id=\"archive\">The archive</h2>\n<p>All "
	       "recordings of the catalogue, also those that were deleted but not "
	       "purged.</p>\n<div class=\"charts\">\n");
	put_growth(p);
	put_ranking(p, &p->n.formats, "Format", "Container and codec, by content.");
	put_ranking(p, &p->n.rates, "Sample rate", "As the files were recorded.");
	put_durations(p);
	put_loudness(p);
	put_ages(p);
	put(p, "</div>\n</section>\n");
}

/* ---- what was checked ---- */

static void
put_number(struct page *p, const char *class, int64_t n)
{
	char shown[PEOPLE_MAX];

	if (n == 0)
		put(p, "<td class=\"zero\">0</td>");
	else
		putf(p, "<td><b class=\"%s\">%s</b></td>", class, people_count(n, shown));
}

static void
put_checks(struct page *p)
{
	static const char *const classes[] = {"ok", "warn", "bad", "error"};

	if (p->f->n_checks == 0)
		return;
	put(p, "<section aria-labelledby=\"checks\"><h2 id=\"checks\">What was "
	       "checked</h2>\n<p>Each check and what came of it.</p>\n<div "
	       "class=\"checks\"><table><thead><tr><th scope=\"col\">Check</th><th "
	       "scope=\"col\">Passed</th><th scope=\"col\">Warning</th><th "
	       "scope=\"col\">Failed</th><th scope=\"col\">Not checked</th></tr></thead><tbody>\n");
	for (unsigned i = 0; i < p->f->n_checks; i++) {
		put(p, "<tr><td><code>");
		put_text(p, p->f->by_check[i].check);
		put(p, "</code></td>");
		for (int s = 0; s < FINDING_STATUSES; s++)
			put_number(p, classes[s], p->f->by_check[i].count[s]);
		put(p, "</tr>\n");
	}
	put(p, "</tbody></table></div></section>\n");
}

int
report_write(const char *path, const struct archive *a, const struct findings *f, struct err *e)
{
	struct page p = {.a = a, .f = f, .e = e};
	char now[CLOCK_TEXT_MAX], root[4096];

	clock_rfc3339(clock_now(), now);
	if (getcwd(root, sizeof root) == NULL)
		snprintf(root, sizeof root, ".");
	p.rc = take_numbers(&p, now);
	put_start(&p, root);
	put_hero(&p, root, now);
	put_unchecked(&p);
	put_tiles(&p);
	put_findings(&p);
	put_waves(&p);
	put_charts(&p);
	put_checks(&p);
	put(&p, "</main>\n<footer>Made by rec-health " REC_VERSION
		". This page holds everything that it shows and asks nobody for more.</footer>\n"
		"</body>\n</html>\n");
	if (p.rc == 0 && (p.rc = io_put_file(path, p.out.data, p.out.len, 0644, e)) == -1)
		err_prefix(e, "--html %s", path);
	buf_free(&p.out);
	return p.rc;
}
