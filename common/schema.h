/*
 * schema: what the toolkit adds to an archive's database, and takes away again.
 *
 * Its own tables, and to an older shape the columns that the existing application's later shapes
 * have. Where columns are added, alembic_version is stamped with the application's own step that
 * adds them, so that its `alembic upgrade` neither repeats nor refuses it. All of it is one line of
 * a journal:
 *
 *	{"op":"schema","toolkit":true,"columns":[["recordings","checksum"],…],
 *	 "alembic_before":"cabc59ea0c9d","alembic_after":"4ae620c1c938"}
 */
#ifndef REC_SCHEMA_H
#define REC_SCHEMA_H

#include <stdbool.h>

#include "catalogue.h"
#include "err.h"
#include "json.h"

/* 1 and the line about what is missing (for the caller to free), 0 when nothing is, -1. */
int schema_missing(struct catalogue *c, struct json **line, struct err *e);
/* Adds what the line says; inside a transaction. */
int schema_add(struct catalogue *c, const struct json *line, struct err *e);
/*
 * Takes it away again; inside a transaction. Columns go all or none: they are kept when the
 * application has written values there (not with force), and alembic_version when it is another by
 * now; then *kept tells (ERR_ITEM, conflict), else its class is ERR_NONE. The toolkit's tables go
 * when they are empty.
 */
int schema_remove(
    struct catalogue *c, const struct json *line, bool force, struct err *kept, struct err *e);

#endif
