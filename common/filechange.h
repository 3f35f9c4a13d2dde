/*
 * filechange: what a run does to one file, as a line of its journal says it (rec-archive(5)): taken
 * back, or settled after a kill.
 *
 * create: name is new, a copy of a file from elsewhere; or made and never given away.
 *
 * move: name gets the name `to`.
 *
 * replace: name gets new bytes under the same name; `to` in backup/ is the file that it was.
 *
 * finish: name is made from `from` (in from_folder, when that is another one), which moves to
 * backup/ as `to` when the row of name is there.
 *
 * record: name is a second name of `from` in from_folder, or a copy; `from` is removed when the row
 * of name is there.
 *
 * Both work from every state that a kill can leave, their own included, and remove nothing that
 * is not under another name as well: a file that is no longer wanted moves to backup/.
 */
#ifndef REC_FILECHANGE_H
#define REC_FILECHANGE_H

#include <stdbool.h>

#include "archive.h"
#include "err.h"
#include "json.h"

/* {"op":"file", …} for run_announce, to which the caller adds what else the action has. to is NULL
 * for create and record. NULL and *e. */
struct json *filechange_line(const char *action, enum folder f, const char *name,
    enum folder to_folder, const char *to, struct err *e);

/* A name that is free in backup/: the file's own, or with a number. NULL and *e. */
char *filechange_backup_name(const struct archive *a, const char *name, struct err *e);
/* Moves a file to backup/ under a free name. */
int filechange_to_backup(struct archive *a, enum folder f, const char *name, struct err *e);

/*
 * Takes the change back; the rows were before. 0, also when it was never made or is taken back
 * already; 1 and *conflict (ERR_ITEM) when a file was changed since, or is in the way: both are
 * left as they are; -1.
 */
int filechange_undo(
    struct archive *a, const struct json *line, struct err *conflict, struct err *e);

/*
 * Completes or takes back what was announced, by what the catalogue says of the name. Files that
 * somebody changed meanwhile are left as they are. 0, -1.
 */
int filechange_settle(struct archive *a, const struct json *line, struct err *e);

/*
 * After a failure behind the announcement: *e is why, and stays that. What certainly was not
 * committed is taken back without asking the catalogue, which answers no more when the run is to
 * stop; else the catalogue decides. What cannot be settled now makes *e an error that stops the
 * run, and the next one settles it. Returns -1.
 */
int filechange_take_back(struct archive *a, const struct json *line, bool committed, struct err *e);

/* 1 when a recording has the name that create, finish or record made: its file is not to be taken
 * away. 0 for others, -1. */
int filechange_in_use(struct archive *a, const struct json *line, struct err *e);

#endif
