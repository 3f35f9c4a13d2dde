/*
 * footage: a file that is to be cut, and which of its frames are wanted.
 *
 * An item names the file; what its record says (start_s, end_s) goes before the options. Of a file
 * in the archive its row is looked up. What cannot be used has a problem, in the item's record too.
 */
#ifndef REC_FOOTAGE_H
#define REC_FOOTAGE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "archive.h"
#include "catalogue.h"
#include "err.h"
#include "original.h"
#include "selection.h"
#include "tool.h"

struct footage {
	atomic_uint users;
	struct tool_item *item;
	struct original original;
	struct selection selection;
	const char *stored; /* its name in the archive, within the item's path; NULL: elsewhere */
	enum folder folder; /* when it is there */
	bool recorded;	    /* it has a row: */
	struct catalogue_row row;
	struct json *rec; /* the row's record */
};

struct footage_opts {
	struct tool *t;
	struct archive *a;	  /* NULL: none */
	struct catalogue *reader; /* of the calling thread (footage_open_reader); NULL: none */
	struct selection_opts selection;
	bool must_be_in_archive; /* as the result goes there */
	bool must_be_recorded;	 /* as its row is to change */
};

/* Opens the reader, or again: the caller closes it. 0, -1 and *e. */
int footage_open_reader(struct footage_opts *o, struct err *e);
/* The next item, with one user: 1, 0 at the end, -1 and *e. */
int footage_next(
    struct footage_opts *o, struct tool_items *items, struct footage **out, struct err *e);
/* Without a problem of its own, or of an earlier stage. */
bool footage_is_usable(const struct footage *f);
void footage_use(struct footage *f);
/* Frees it with its last user. NULL is fine. */
void footage_leave(struct footage *f);

#endif
