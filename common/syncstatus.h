/*
 * syncstatus: what the catalogue knows of its remotes, without asking them.
 */
#ifndef REC_SYNCSTATUS_H
#define REC_SYNCSTATUS_H

#include "archive.h"
#include "tool.h"

/*
 * A record for each remote that was ever used (with `remote`, a canonical URL, for that one alone,
 * used or not): {"remote","owner","probed_at","capabilities","recordings","synced","to_send",
 * "to_send_bytes","objects","objects_bytes","uploads_in_progress":[{"key","size_bytes",
 * "sent_bytes","started_at"}],"last_proven_at","jobs":{"pending","running","failed","given_up",
 * "succeeded","cancelled"}}. None used and none named: one record with "remote" null.
 */
int syncstatus_run(struct tool *t, struct archive *a, const char *remote, struct err *e);

#endif
