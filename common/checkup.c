#include "checkup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "archive.h"
#include "catalogue_fixity.h"
#include "catalogue_health.h"
#include "census.h"
#include "clock.h"
#include "completeness.h"
#include "database.h"
#include "disk.h"
#include "finding.h"
#include "folders.h"
#include "metrics.h"
#include "report.h"
#include "retention.h"
#include "uploads.h"
#include "volume.h"

/* A clock that is off by less is nobody's concern. */
#define CLOCK_TOLERANCE_S 120

struct examination {
	struct tool *t;
	const struct checkup *c;
	struct findings f;
	struct archive a;
	bool opened; /* a is */
	struct census census;
	struct scrub scrub;
	int64_t started_ns;
};

unsigned
checkup_groups(const char *names, struct err *e)
{
	static const char *const known[] = {"config", "folders", "disk", "database", "completeness",
	    "jobs", "retention", "fixity", "database-full"};
	unsigned bits = 0;
	size_t n, i;

	for (const char *p = names;; p += n + 1) {
		n = strcspn(p, ",");
		for (i = 0; i < sizeof known / sizeof known[0]; i++)
			if (strlen(known[i]) == n && memcmp(known[i], p, n) == 0)
				break;
		if (i == sizeof known / sizeof known[0]) {
			err_set(e, ERR_USAGE, NULL,
			    "\"%.*s\" is no check; they are config, folders, disk, database, "
			    "completeness, jobs, retention, fixity and database-full",
			    (int)n, p);
			return 0;
		}
		bits |= 1u << i;
		if (p[n] == '\0')
			return bits;
	}
}

static bool
wants(const struct examination *x, unsigned groups)
{
	return (x->c->groups & groups) != 0;
}

/* ---- the parts ---- */

/* 1 when the checks that follow can go on, 0 when they cannot, -1. */
static int
open_tree(struct examination *x, struct err *e)
{
	struct err why;
	const struct config *c;

	if (archive_open_tree(&x->a, x->t->environment, &tool_stop, &why) == -1)
		return finding_could_not(&x->f,
		    why.class == ERR_CONFIG ? "config.values" : "folders.open",
		    why.class == ERR_CONFIG ? "correct the value where the message says"
					    : "see that the folder is there, is a folder, and "
					      "that this user may enter it",
		    &why, e);
	x->opened = true;
	c = x->a.config;
	if (wants(x, CHECKUP_CONFIG) &&
	    finding_tell(&x->f, "config.values", FINDING_PASS, SEVERITY_INFO, NULL, NULL, NULL, e,
		"all values are allowed; environment %s (%s)", config_str(c, CONFIG_ENVIRONMENT),
		config_origin(c, CONFIG_ENVIRONMENT)) == -1)
		return -1;
	return 1;
}

static int
open_catalogue(struct examination *x, struct err *e)
{
	struct err why;

	if (archive_open_catalogue(&x->a, false, &why) == -1)
		return finding_could_not(&x->f, "database.open", database_advice(&why), &why, e);
	if (!wants(x, CHECKUP_DATABASE | CHECKUP_DATABASE_FULL))
		return 1;
	return finding_tell(&x->f, "database.open", FINDING_PASS, SEVERITY_INFO, NULL, NULL, NULL,
		   e, "%s can be read", x->a.catalogue_opts.path) == -1
		   ? -1
		   : 1;
}

/* As open_tree: whether the folder of the recordings is the one that was recorded. */
static int
check_volume(struct examination *x, struct err *e)
{
	struct err why;

	if (!wants(x, CHECKUP_FOLDERS | CHECKUP_COMPLETENESS | CHECKUP_FIXITY))
		return 1;
	if (volume_check(&x->a, &why) == -1)
		return finding_could_not(
		    &x->f, "folders.volume", "mount the disk, and check again", &why, e);
	if (!wants(x, CHECKUP_FOLDERS))
		return 1;
	return finding_tell(&x->f, "folders.volume", FINDING_PASS, SEVERITY_INFO, NULL, NULL, NULL,
		   e, "the recordings are on the volume that was recorded") == -1
		   ? -1
		   : 1;
}

/* The archive holds times of the past alone, unless the clock was set back. */
static int
check_clock(struct examination *x, struct err *e)
{
	char latest[CLOCK_TEXT_MAX], now[CLOCK_TEXT_MAX];
	struct timespec t = clock_now();
	struct err why;

	if (catalogue_latest_time(x->a.catalogue, latest, &why) == -1)
		return finding_could_not(&x->f, "config.clock", NULL, &why, e);
	clock_rfc3339((struct timespec){.tv_sec = t.tv_sec + CLOCK_TOLERANCE_S}, now);
	if (strcmp(latest, now) <= 0)
		return finding_tell(&x->f, "config.clock", FINDING_PASS, SEVERITY_INFO, NULL, NULL,
		    NULL, e, "nothing in the catalogue is later than the clock");
	clock_rfc3339((struct timespec){.tv_sec = t.tv_sec}, now);
	return finding_tell(&x->f, "config.clock", FINDING_WARNING, SEVERITY_MEDIUM, NULL,
	    "set the clock (timedatectl, chronyc); until then ages and retention are wrong", NULL,
	    e, "the clock says %s, and the catalogue holds %s: was the clock set back?", now,
	    latest);
}

static int
check_recordings(struct examination *x, struct err *e)
{
	struct err why;

	if (census_take(&x->census, x->t, &x->a, &why) == -1)
		return finding_could_not(&x->f, "completeness.files", NULL, &why, e);
	return wants(x, CHECKUP_COMPLETENESS) ? completeness_check(&x->f, &x->a, &x->census, e) : 0;
}

static int
read_files(struct examination *x, struct err *e)
{
	x->scrub = (struct scrub){.f = &x->f,
	    .a = &x->a,
	    .o = x->c->fixity,
	    .note_nothing = findings_count(&x->f, "database.integrity", FINDING_FAIL) > 0 ||
			    findings_count(&x->f, "database.wal", FINDING_FAIL) > 0,
	    .census = &x->census};
	if (x->c->fixity.which != SCRUB_NONE && scrub_run(&x->scrub, e) == -1)
		return -1;
	if (completeness_unread(&x->f, &x->a, &x->census, &x->scrub.judged,
		!wants(x, CHECKUP_COMPLETENESS), e) == -1)
		return -1;
	return scrub_coverage(&x->f, &x->a, e);
}

static int
check_fixity(struct examination *x, struct err *e)
{
	struct err why;

	if (read_files(x, &why) == 0)
		return 0;
	if (why.class == ERR_CATALOGUE || why.class == ERR_BUSY)
		return finding_could_not(&x->f, "fixity.files", NULL, &why, e);
	*e = why;
	return -1;
}

/* ---- the order ---- */

/* What needs the catalogue. */
static int
examine_catalogue(struct examination *x, struct err *e)
{
	int rc;

	if (wants(x, CHECKUP_DATABASE | CHECKUP_DATABASE_FULL) &&
	    database_check(&x->f, &x->a, wants(x, CHECKUP_DATABASE_FULL), e) == -1)
		return -1;
	if (wants(x, CHECKUP_CONFIG) && check_clock(x, e) == -1)
		return -1;
	if (wants(x, CHECKUP_JOBS) && uploads_check(&x->f, &x->a, e) == -1)
		return -1;
	if (wants(x, CHECKUP_RETENTION) && retention_check(&x->f, &x->a, e) == -1)
		return -1;
	if ((rc = check_volume(x, e)) != 1 || !wants(x, CHECKUP_COMPLETENESS | CHECKUP_FIXITY))
		return rc == -1 ? -1 : 0;
	if (check_recordings(x, e) == -1)
		return -1;
	return wants(x, CHECKUP_FIXITY) ? check_fixity(x, e) : 0;
}

static int
examine(struct examination *x, struct err *e)
{
	int rc;

	if ((rc = open_tree(x, e)) != 1)
		return rc;
	if (wants(x, CHECKUP_DISK) && disk_check(&x->f, &x->a, e) == -1)
		return -1;
	/* No other check goes without the catalogue. */
	if (!wants(x, ~(unsigned)CHECKUP_DISK))
		return 0;
	if (wants(x, CHECKUP_DATABASE | CHECKUP_DATABASE_FULL) &&
	    database_check_wal(&x->f, &x->a, e) == -1)
		return -1;
	if ((rc = open_catalogue(x, e)) == -1)
		return -1;
	/* Whether raw may be absent is known from the catalogue, so they come after it. */
	if (wants(x, CHECKUP_FOLDERS) && folders_check(&x->f, &x->a, e) == -1)
		return -1;
	return rc == 1 ? examine_catalogue(x, e) : 0;
}

/* ---- metrics ---- */

static int
add_counts(struct buf *out, const struct examination *x, struct err *e)
{
	char labels[96];

	if (metrics_head(out, "rectools_health_findings", "Findings of the last check.", e) == -1)
		return -1;
	for (unsigned i = 0; i < x->f.n_checks; i++)
		for (int s = 0; s < FINDING_STATUSES; s++) {
			snprintf(labels, sizeof labels, "check=\"%s\",status=\"%s\"",
			    x->f.by_check[i].check, finding_status_name((enum finding_status)s));
			if (metrics_sample(out, "rectools_health_findings", labels,
				(double)x->f.by_check[i].count[s], e) == -1)
				return -1;
		}
	return metrics_gauge(out, "rectools_health_problems",
	    "Findings of the last check that carry a problem.", NULL, (double)x->t->problems, e);
}

static int
add_fixity(struct buf *out, const struct examination *x, struct err *e)
{
	struct catalogue_coverage v;
	char now[CLOCK_TEXT_MAX];
	struct timespec oldest;

	clock_rfc3339(clock_now(), now);
	if (x->a.catalogue == NULL || catalogue_coverage(x->a.catalogue, now, &v, e) == -1)
		return x->a.catalogue == NULL ? 0 : -1;
	if (metrics_gauge(out, "rectools_health_recordings", "Recordings in the catalogue.", NULL,
		(double)v.recordings, e) == -1 ||
	    metrics_gauge(out, "rectools_health_recordings_checked",
		"Recordings whose bytes have been checked at some time.", NULL, (double)v.checked,
		e) == -1 ||
	    metrics_gauge(out, "rectools_health_recordings_flagged",
		"Recordings that the last check of their bytes found damaged or changed.", NULL,
		(double)v.flagged, e) == -1 ||
	    metrics_gauge(out, "rectools_health_read_bytes", "Bytes of recordings read.", NULL,
		(double)atomic_load(&x->t->bytes_done), e) == -1)
		return -1;
	if (!clock_parse(v.oldest, &oldest))
		return 0;
	return metrics_gauge(out, "rectools_health_oldest_fixity_check_time_seconds",
	    "Unix time of the check of bytes that is the longest ago.", NULL, (double)oldest.tv_sec,
	    e);
}

static int
write_metrics(const struct examination *x, struct err *e)
{
	struct buf text = {0};
	int rc = -1;

	if (add_counts(&text, x, e) == 0 && add_fixity(&text, x, e) == 0 &&
	    metrics_gauge(&text, "rectools_health_duration_seconds",
		"How long the last check took.", NULL,
		(double)(clock_monotonic_ns() - x->started_ns) / 1e9, e) == 0 &&
	    metrics_gauge(&text, "rectools_health_finished_time_seconds",
		"Unix time of the end of the last check.", NULL, (double)clock_now().tv_sec,
		e) == 0)
		rc = metrics_write(x->c->metrics, &text, e);
	buf_free(&text);
	return rc;
}

int
checkup_run(struct tool *t, const struct checkup *c, struct err *e)
{
	struct examination x = {.t = t,
	    .c = c,
	    .f = {.t = t, .keep = c->html != NULL},
	    .started_ns = clock_monotonic_ns()};
	int rc = examine(&x, e);

	if (rc == 0 && c->html != NULL)
		rc = report_write(c->html, x.opened ? &x.a : NULL, &x.f, e);
	if (rc == 0 && c->metrics != NULL)
		rc = write_metrics(&x, e);
	if (rc == 0 && x.f.could_not.class != ERR_NONE) {
		*e = x.f.could_not;
		rc = -1;
	}
	scrub_free(&x.scrub);
	census_free(&x.census);
	findings_free(&x.f);
	if (x.opened)
		archive_close(&x.a);
	return rc;
}
