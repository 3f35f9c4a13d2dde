/*
 * inventory: the catalogue's own object at the remote, .rectools/catalogue.jsonl: what a restore
 * needs beside the files.
 *
 * One recording record a line (rec-lines(5)) with "key" and, where people said something, "said"
 * (their tags), in the order of the keys; before them {"inventory":1,"archive":OWNER,
 * "recordings":N,"made_at":TIME}, and behind them {"end":N,"xxh3_128":…}
 * over all bytes before that line, so that a cut one is known. It is put again only when what it is
 * made of has changed (a digest over the rows, kept with the remote), and never over another
 * archive's: that is a conflict.
 */
#ifndef REC_INVENTORY_H
#define REC_INVENTORY_H

#include "sync.h"

/* Puts it when it has changed: 1, 0, -1. s is open for writing. Memory does not grow with the
 * archive: it is written to a temporary file in db/sync first. */
int inventory_push(struct sync *s, struct err *e);

struct inventory;
/* Fetches it into a temporary file and checks it: NULL and *e (ERR_ITEM missing: there is none). */
struct inventory *inventory_fetch(struct sync *s, struct err *e);
int64_t inventory_count(const struct inventory *v);
/* The next record, for the caller to free; not trusted: 1, 0, -1. */
int inventory_next(struct inventory *v, struct json **rec, struct err *e);
void inventory_rewind(struct inventory *v);
void inventory_close(struct inventory *v);

#endif
