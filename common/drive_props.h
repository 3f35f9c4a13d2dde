/*
 * drive_props: what Drive knows of a file, as JSON: its properties, and the object that it is.
 *
 * The key of a file is a property of its own, as are metadata, as far as there is room; a text that
 * is too long for one property has pieces. The others are those of the existing application, which
 * finds by them what it has uploaded.
 */
#ifndef REC_DRIVE_PROPS_H
#define REC_DRIVE_PROPS_H

#include <stdbool.h>

#include "json.h"
#include "remote_kind.h"

#define DRIVE_KEY_PROPERTY "rec_key"

bool drive_begins(const char *s, const char *with);

/* ---- what is told ---- */

/* Whether it is a word that may stand in an address. */
bool drive_is_id(const char *s);
/* False for what has no content (folders, documents of Google's) or lies in Drive's own trash. */
bool drive_object_of(const struct json *file, struct remote_object *o);
/* What went along when the file was put; the caller frees. */
struct json *drive_metadata_of(const struct json *file, struct err *e);

/* ---- what is set ---- */

int drive_put_key(struct json *props, const char *key, struct err *e);
/* All properties of what is put; the caller frees. */
struct json *drive_properties_of(const struct remote_source *s, struct err *e);
/* A file's name, description and type. */
int drive_put_names(struct json *v, const struct remote_source *s, struct err *e);
/* Properties that were there, and that the new ones do not have, go. */
int drive_drop_stale(struct json *props, const struct json *old, const char *prefix, struct err *e);
/* Properties and name that a file gets with its new key. */
struct json *drive_renamed(
    const struct remote_object *now, const struct json *raw, const char *to, struct err *e);

#endif
