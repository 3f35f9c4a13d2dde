/*
 * jobowners: who works at the jobs of the application's queue: its own processes, a rec-sync, or
 * nobody any more. What is due follows from that; see jobqueue.h.
 */
#ifndef REC_JOBOWNERS_H
#define REC_JOBOWNERS_H

#include "archive.h"
#include "catalogue_sync.h"
#include "mem.h"

#define JOBOWNERS_PAGE 64

/*
 * In db/sync: the times at which runs of ours claimed jobs, a line each as in started_iso. A
 * running job that has one of them is ours, and while nobody holds the folder's lock that run is
 * dead.
 */
#define JOBOWNERS_CLAIMS "claims"
#define JOBOWNERS_CLAIMS_MAX (1 << 16)

struct jobowners {
	const struct archive *a;
	char *folder_path; /* db/sync */
	struct buf claims;
	bool ours_live; /* another rec-sync is at work: what it claimed is its own */
	char *wal;
};

/* `folder` is db/sync when its lock is ours, else -1. Free it in each case. */
int jobowners_open(struct jobowners *o, const struct archive *a, int folder, struct err *e);
void jobowners_free(struct jobowners *o);
/* Whether a run of ours claimed it, by its started_iso (or NULL). */
bool jobowners_is_ours(const struct jobowners *o, const char *started);
/* Of each running job, whether its owner is alive; of others false. n is at most JOBOWNERS_PAGE. */
void jobowners_judge(
    const struct jobowners *o, const struct sync_job *jobs, int n, bool alive[JOBOWNERS_PAGE]);
bool jobowners_is_due(const struct sync_job *job, bool alive);
/* Calls `each` for every job, until it is not 0; it may take the job's strings and zero it. What it
 * gave last, or -1. */
int jobowners_each(const struct jobowners *o, struct catalogue *c,
    int (*each)(void *ctx, struct sync_job *job, bool alive, struct err *e), void *ctx,
    struct err *e);

#endif
