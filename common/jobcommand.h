/*
 * jobcommand: rec-sync jobs.
 *
 * Lists all jobs (a record each), or puts those with these ids back into the queue ("retry":
 * attempts 0), or cancels them ("cancel": of a running one, cancel_requested).
 */
#ifndef REC_JOBCOMMAND_H
#define REC_JOBCOMMAND_H

#include "archive.h"
#include "tool.h"

/* `words` is NULL-ended: [list] | retry ID… | cancel ID…. Needs no remote. */
int jobcommand_run(struct tool *t, struct archive *a, char **words, struct err *e);

#endif
