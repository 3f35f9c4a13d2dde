/*
 * trim: cuts, splits and joins files, one record out for each new file.
 *
 * One thread looks at the files and decides what is wanted of them; as many as there are jobs write
 * the new files beside where they will be, under names that are no recordings', and measure them;
 * the caller's thread gives them their names and rows, in the order of the items. What is
 * interrupted leaves nothing.
 *
 * Rows are written in a run that lasts as long as there is something to do: while it waits for
 * items, as behind rec-capture in a pipe, others have their turn, and what comes then is another
 * run.
 */
#ifndef REC_TRIM_H
#define REC_TRIM_H

#include "err.h"
#include "trimpart.h"

/* 0; -1 and *e when it could not go on. */
int trim_run(struct trim *t, struct err *e);

#endif
