/*
 * scan: every row of the catalogue in the order of the id, a page at a time.
 *
 * Between pages no statement is open, so that a scan of hours holds back no checkpoint of the WAL.
 *
 *	scan_start(&s, catalogue);
 *	while ((rc = scan_next(&s, &row, e)) == 1) { ... catalogue_row_free(&row); }
 *	scan_end(&s);
 */
#ifndef REC_SCAN_H
#define REC_SCAN_H

#include "catalogue.h"
#include "err.h"

#define SCAN_PAGE 256

struct scan {
	struct catalogue *c; /* borrowed */
	struct catalogue_row page[SCAN_PAGE];
	int len, at;
	int64_t after;
};

void scan_start(struct scan *s, struct catalogue *c);
/* 1 and *row, which the caller frees; 0 at the end; -1 and *e. */
int scan_next(struct scan *s, struct catalogue_row *row, struct err *e);
void scan_end(struct scan *s);

#endif
