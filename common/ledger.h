/*
 * ledger: what a sync writes into the catalogue while it works: intents, parts, proofs.
 *
 * Each call is one short transaction under the sync's mutex; many objects go in one. From any
 * thread.
 */
#ifndef REC_LEDGER_H
#define REC_LEDGER_H

#include "sync.h"

/* Notes that an upload is about to begin, before the remote is asked for one (u->id is filled). */
int ledger_intend(struct sync *s, struct catalogue_upload *u, struct err *e);
/* Notes what the remote calls it, before the first byte: in the catalogue, or when it is secret in
 * db/sync/UPLOAD.session. */
int ledger_session(struct sync *s, struct catalogue_upload *u, const char *session, struct err *e);
/* The session noted for an upload: 1, 0 when none was, -1. */
int ledger_find_session(struct sync *s, const struct catalogue_upload *u,
    char session[REMOTE_SESSION_MAX], struct err *e);
int ledger_part(
    struct sync *s, const struct catalogue_upload *u, const struct remote_part *p, struct err *e);
/* The upload has ended, one way or the other. */
int ledger_end(struct sync *s, const struct catalogue_upload *u, struct err *e);
/* Objects that are proven; with an upload of the same key noted, that has ended too. */
int ledger_prove(struct sync *s, struct catalogue_object *o, size_t n, struct err *e);
int ledger_forget(struct sync *s, const char *key, struct err *e);
/* Changes what is noted of the remote itself (s->known). */
int ledger_remote(struct sync *s, struct err *e);

/* Removes session files whose uploads are in no catalogue any more. */
int ledger_sweep(struct sync *s, struct err *e);

#endif
