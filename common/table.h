/*
 * table: records as lines for people, on a terminal or with -o table.
 *
 * Columns have fixed widths, so that a table of any length streams; the last column is as wide as
 * it needs.
 */
#ifndef REC_TABLE_H
#define REC_TABLE_H

#include <stdbool.h>

#include "json.h"
#include "mem.h"

struct table_column {
	const char *key; /* of the record; NULL ends the columns */
	const char *title;
	int width;  /* columns of the terminal; 0: the rest of the line */
	bool right; /* aligned to the right */
};

/* The columns of a recording. */
extern const struct table_column table_recording[];

int table_header(const struct table_column *columns, struct buf *out, struct err *e);
int table_row(
    const struct table_column *columns, const struct json *rec, struct buf *out, struct err *e);
/* One record as "key  value" lines: rec-meta show, status. */
int table_card(const struct json *rec, struct buf *out, struct err *e);

#endif
