/*
 * syncitems: which recordings a command of rec-sync is about.
 *
 * Operands; else what comes on stdin; else all: when stdin is a terminal or /dev/null, cannot be
 * read, or ends without a single item, and "-" was not asked for.
 */
#ifndef REC_SYNCITEMS_H
#define REC_SYNCITEMS_H

#include <stdbool.h>

#include "tool.h"

/*
 * 1 and *items with the first item in *first (NULL when there is none, which can be with "-" only);
 * 0 for all; -1 and *e. The caller closes *items and frees *first.
 */
int syncitems_open(
    struct tool *t, struct tool_items **items, struct tool_item **first, struct err *e);

#endif
