#include "jobowners.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "holders.h"
#include "io.h"
#include "jobrow.h"
#include "uploads.h"

static char *
folder_of(const struct archive *a, struct err *e)
{
	const char *path = config_database(a->config);

	return mem_fmt(e, "%.*ssync", (int)(io_base_name(path) - path), path);
}

static int
read_claims(struct jobowners *o, int folder, struct err *e)
{
	if (faccessat(folder, JOBOWNERS_CLAIMS, F_OK, AT_SYMLINK_NOFOLLOW) == -1)
		return 0;
	if (io_read_file(folder, JOBOWNERS_CLAIMS, JOBOWNERS_CLAIMS_MAX, &o->claims, e) == 0)
		return 0;
	e->class = ERR_SYSTEM;
	return -1;
}

void
jobowners_free(struct jobowners *o)
{
	free(o->folder_path);
	free(o->wal);
	buf_free(&o->claims);
}

int
jobowners_open(struct jobowners *o, const struct archive *a, int folder, struct err *e)
{
	int own = -1, rc = -1, locked = 0;

	*o = (struct jobowners){.a = a};
	if ((o->folder_path = folder_of(a, e)) == NULL ||
	    (o->wal = mem_fmt(e, "%s-wal", config_database(a->config))) == NULL)
		return -1;
	if (folder == -1) {
		own = folder = open(o->folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (own == -1)
			return 0;
		locked = io_is_locked(own, e);
	}
	if (locked != -1)
		rc = read_claims(o, folder, e);
	o->ours_live = locked == 1;
	if (own != -1)
		close(own);
	return rc;
}

bool
jobowners_is_ours(const struct jobowners *o, const char *started)
{
	size_t len = started != NULL ? strlen(started) : 0;
	const char *p = jobrow_or_empty(o->claims.data), *end;

	for (; len > 0 && (end = strchr(p, '\n')) != NULL; p = end + 1)
		if ((size_t)(end - p) == len && memcmp(p, started, len) == 0)
			return true;
	return false;
}

static bool
is_stale(const struct sync_job *job)
{
	const struct catalogue_job seen = {
	    .since = job->started_at != NULL ? job->started_at : job->created_at};

	return uploads_is_stale(&seen);
}

void
jobowners_judge(
    const struct jobowners *o, const struct sync_job *jobs, int n, bool alive[JOBOWNERS_PAGE])
{
	struct holder_file files[JOBOWNERS_PAGE + 2] = {
	    {.path = config_database(o->a->config)}, {.path = o->wal}};
	size_t asked = 2;
	bool seen, held;

	for (int i = 0; i < n; i++) {
		bool ours = jobowners_is_ours(o, jobs[i].started_at);

		files[i + 2].path = jobrow_or_empty(jobs[i].file_path);
		alive[i] = jobrow_is_status(&jobs[i], "running") && (!ours || o->ours_live);
		if (alive[i] && !ours)
			asked = (size_t)n + 2;
	}
	if (asked == 2)
		return;
	seen = holders_look(files, asked);
	held = files[0].held || files[1].held;
	for (int i = 0; i < n; i++)
		if (alive[i] && !jobowners_is_ours(o, jobs[i].started_at))
			alive[i] = held || files[i + 2].held || (!seen && !is_stale(&jobs[i]));
}

bool
jobowners_is_due(const struct sync_job *job, bool alive)
{
	if (jobrow_is_status(job, "failed"))
		return job->attempts >= 0 && job->attempts < job->max_attempts;
	return jobrow_is_status(job, "pending") || (jobrow_is_status(job, "running") && !alive);
}

int
jobowners_each(const struct jobowners *o, struct catalogue *c,
    int (*each)(void *ctx, struct sync_job *job, bool alive, struct err *e), void *ctx,
    struct err *e)
{
	struct sync_job *jobs = mem_new(JOBOWNERS_PAGE, sizeof *jobs, e);
	bool alive[JOBOWNERS_PAGE];
	int64_t after = INT64_MIN;
	int n, rc = 0;

	if (jobs == NULL)
		return -1;
	while (rc == 0 && (n = sync_jobs(c, after, JOBOWNERS_PAGE, jobs, e)) > 0) {
		jobowners_judge(o, jobs, n, alive);
		after = jobs[n - 1].rowid;
		for (int i = 0; i < n; i++) {
			if (rc == 0)
				rc = each(ctx, &jobs[i], alive[i], e);
			sync_job_free(&jobs[i]);
		}
	}
	free(jobs);
	return rc == 0 && n == -1 ? -1 : rc;
}
