/*
 * pull: recordings from the remote into the archive.
 *
 * Without items: every recording whose file is gone, and every object of the inventory (else of the
 * listing) that the archive does not know, down to a whole archive in an empty folder. With items:
 * these recordings, by id, path, key or record. A file that is there is never touched: when its
 * bytes are others, that is a conflict. Each file is fetched into temp/, hashed on the way,
 * compared with what is known of it, made durable, linked under its name without replacing,
 * measured when it is new, and recorded (a run of kind "pull": rollback takes new ones out again).
 * A file that was cut off is gone on with: temp/NAME.pull keeps what arrived.
 */
#ifndef REC_PULL_H
#define REC_PULL_H

#include "sync.h"

/* Prints a record for each; dry run: what it would do. 0; -1 and *e. */
int pull_run(struct sync *s, struct err *e);

#endif
