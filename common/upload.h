/*
 * upload: one recording to the remote, proven there.
 *
 * The file is found beneath its folder, read once for its hashes and sent; parts travel while later
 * ones are hashed. What was begun by another process is gone on with. A file whose bytes are not
 * those of the catalogue is not sent (checksum_mismatch, modified, size_mismatch), and an upload
 * during which it changed is given up.
 */
#ifndef REC_UPLOAD_H
#define REC_UPLOAD_H

#include <stdatomic.h>

#include "sync.h"

struct upload {
	struct sync *s;
	const struct sync_row *row;
	const struct json *rec; /* its recording record: title, tags … to go along */
	bool is_there;		/* something is under the key: */
	const struct remote_object *there;
	bool may_replace; /* … which is ours, in the version `there` */
	/* Called now and then with the bytes confirmed so far; -1 (ERR_ITEM) gives the upload up.
	 * Or NULL. */
	int (*progress)(void *ctx, int64_t bytes, struct err *e);
	void *ctx;
};

enum upload_result {
	UPLOAD_SENT,	/* the bytes travelled */
	UPLOAD_RESUMED, /* some of them had before */
	UPLOAD_FOUND,	/* they were there already */
};

/* 0, *o proven (for ledger_prove) and *how; -1 and *e. */
int upload_recording(
    const struct upload *u, struct catalogue_object *o, enum upload_result *how, struct err *e);

/*
 * At the start and at the end of a run behind one that did not end well: uploads that it left are
 * looked at. Those whose recording is still there with the same bytes stay, to be gone on with;
 * others are aborted at the remote, and what nobody noted is swept.
 */
int upload_settle(struct sync *s, struct err *e);

#endif
