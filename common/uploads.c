#include "uploads.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "database.h"

/* ---- when a job was begun ---- */

/*
 * "2025-09-05T10:00:00", also with a blank for the T, a fraction and a zone (else UTC): true and
 * the seconds of the epoch.
 */
static bool
parse_time(const char *s, int64_t *out)
{
	struct tm tm = {0};
	const char *p = strptime(s, "%Y-%m-%d", &tm);
	long east_s = 0;

	if (p == NULL || (*p != 'T' && *p != ' ') || (p = strptime(p + 1, "%H:%M:%S", &tm)) == NULL)
		return false;
	if (*p == '.')
		p += 1 + strspn(p + 1, "0123456789");
	if (*p != '\0') {
		struct tm zone = {0};

		if ((p = strptime(p, "%z", &zone)) == NULL || *p != '\0')
			return false;
		east_s = zone.tm_gmtoff;
	}
	*out = (int64_t)timegm(&tm) - east_s;
	return true;
}

bool
uploads_is_stale(const struct catalogue_job *job)
{
	int64_t since;

	return job->since == NULL || !parse_time(job->since, &since) ||
	       (int64_t)clock_now().tv_sec - since > UPLOADS_STALE_S;
}

/* ---- the queue ---- */

struct queue {
	struct findings *f;
	int64_t running, stuck;	   /* stuck ones are not counted as running */
	int64_t retried, given_up; /* failed jobs */
	bool stop;		   /* telling failed: the error is no fault of the catalogue */
};

static int
put_text(struct json *facts, const char *key, const char *text, struct err *e)
{
	return text == NULL ? json_put_null(facts, key, e)
			    : json_put_bytes(facts, key, text, strlen(text), e);
}

static int
put_count(struct json *facts, const char *key, int64_t n, struct err *e)
{
	return n < 0 ? json_put_null(facts, key, e) : json_put_int(facts, key, n, e);
}

static struct json *
new_facts(const struct catalogue_job *job, struct err *e)
{
	struct json *facts = json_new_object(e);

	if (facts == NULL || put_text(facts, "path", job->file_path, e) == -1 ||
	    put_text(facts, "job", job->id, e) == -1 ||
	    put_text(facts, "since", job->since, e) == -1 ||
	    put_count(facts, "attempts", job->attempts, e) == -1 ||
	    put_count(facts, "max_attempts", job->max_attempts, e) == -1 ||
	    put_text(facts, "last_error", job->last_error, e) == -1) {
		json_free(facts);
		return NULL;
	}
	return facts;
}

static const char *
or_unknown(const char *text)
{
	return text == NULL ? "(unknown)" : text;
}

static int
tell_stuck(struct findings *f, const struct catalogue_job *job, struct err *e)
{
	struct json *facts = new_facts(job, e);

	if (facts == NULL)
		return -1;
	return finding_tell(f, "jobs.stuck", FINDING_FAIL, SEVERITY_MEDIUM, P_REMOTE,
	    "see that no upload is running; then rec-health repair --only jobs --apply puts it "
	    "back into the queue",
	    facts, e,
	    "the upload %.64s of %.256s is said to be running since %.40s; none takes "
	    "longer than %d hours, so its process must have died",
	    or_unknown(job->id), or_unknown(job->file_path), or_unknown(job->since),
	    UPLOADS_STALE_S / 3600);
}

static int
tell_given_up(struct findings *f, const struct catalogue_job *job, struct err *e)
{
	struct json *facts = new_facts(job, e);
	char attempts[48] = "an unknown number of";

	if (facts == NULL)
		return -1;
	if (job->attempts >= 0 && job->max_attempts >= 0)
		snprintf(attempts, sizeof attempts, "%lld of %lld", (long long)job->attempts,
		    (long long)job->max_attempts);
	return finding_tell(f, "jobs.failed", FINDING_FAIL, SEVERITY_MEDIUM, P_REMOTE,
	    "remove the cause that last_error names (network, quota, sign-in, the file), then "
	    "queue the upload again",
	    facts, e,
	    "the upload %.64s of %.256s has failed after %s attempts and is not tried "
	    "again: %.256s",
	    or_unknown(job->id), or_unknown(job->file_path), attempts, or_unknown(job->last_error));
}

/* The application retries while attempts < max_attempts; it cannot compare what is no number. */
static bool
is_given_up(const struct catalogue_job *job)
{
	return job->attempts < 0 || job->max_attempts < 0 || job->attempts >= job->max_attempts;
}

static int
check_job(void *ctx, const struct catalogue_job *job, struct err *e)
{
	struct queue *q = ctx;
	bool running = job->status != NULL && strcmp(job->status, "running") == 0;
	int rc = 0;

	if (running && uploads_is_stale(job)) {
		q->stuck++;
		rc = tell_stuck(q->f, job, e);
	} else if (running) {
		q->running++;
	} else if (is_given_up(job)) {
		q->given_up++;
		rc = tell_given_up(q->f, job, e);
	} else {
		q->retried++;
	}
	q->stop = rc == -1;
	return rc;
}

int
uploads_check(struct findings *f, struct archive *a, struct err *e)
{
	struct queue q = {.f = f};
	struct err why;

	if (catalogue_jobs(a->catalogue, check_job, &q, &why) == -1) {
		if (!q.stop)
			return database_could_not(f, "jobs.stuck", &why, e);
		*e = why;
		return -1;
	}
	if (q.stuck == 0 &&
	    finding_tell(f, "jobs.stuck", FINDING_PASS, SEVERITY_INFO, NULL, NULL, NULL, e,
		"%lld uploads are running, and none for more than %d hours", (long long)q.running,
		UPLOADS_STALE_S / 3600) == -1)
		return -1;
	if (q.given_up == 0 &&
	    finding_tell(f, "jobs.failed", FINDING_PASS, SEVERITY_INFO, NULL, NULL, NULL, e,
		"no upload was given up; %lld that failed are tried again",
		(long long)q.retried) == -1)
		return -1;
	return 0;
}
