/*
 * audit: whether the remote holds what the catalogue says, without reading local files.
 *
 * rec-sync verify: each recording (those softly deleted only when they were sent) must have its
 * object, of the recorded size and hash, by the remote's own hash or the tag that was proven; with
 * download every object is read and its SHA-256 compared. Prints the recordings that fall short
 * (missing, size_mismatch, checksum_mismatch, and unsupported for "cannot be told without
 * --download" when nothing of the remote's and no earlier proof speaks for it), objects that no
 * recording has as such (orphan, not a failure: no problem, "action":"foreign"), and last a record
 * of counts: {"remote":…,"recordings":N,"verified":N,"missing":N,"different":N,"unproven":N,
 * "foreign":N,"bytes":N,"downloaded_bytes":N}.
 */
#ifndef REC_AUDIT_H
#define REC_AUDIT_H

#include <stdbool.h>

#include "sync.h"

/* With items (operands, or stdin as rec-sync(1) says) only these. What download proves is noted. */
int audit_run(struct sync *s, bool download, struct err *e);

#endif
