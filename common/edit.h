/*
 * edit: what people say of recordings: title, status, tags; and soft deletion.
 */
#ifndef REC_EDIT_H
#define REC_EDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "archive.h"
#include "err.h"
#include "run.h"
#include "tool.h"

/* Each KEY=VALUE of the NULL-ended list is one that edit_set takes; ERR_USAGE otherwise. */
int edit_check(char **changes, struct err *e);
int edit_check_title(const char *title, struct err *e);
/*
 * Makes the changes to a recording, in a transaction of its own. Title and status are the existing
 * application's columns; its modified_at is set as it would do. 1, 0 when there is no such
 * recording, -1.
 */
int edit_set(struct run *r, int64_t id, char **changes, struct err *e);

/* Makes the changes to a record alone: what a dry run shows. */
int edit_preview(struct json *rec, char **changes, struct err *e);

/* The recording that an item names by id or path: 1 and *id; 0 with a problem put into the item;
 * -1. */
int edit_find(const struct archive *a, struct tool_item *item, int64_t *id, struct err *e);
/* Prints a record that says that no recording has this id. */
int edit_unknown_id(struct tool *t, int64_t id, struct err *e);
/* Deletes the recording of an item, softly or for good, and prints its record. r is NULL in a dry
 * run. */
int edit_remove(struct tool *t, struct run *r, struct archive *a, struct tool_item *item,
    bool purge, struct err *e);

#endif
