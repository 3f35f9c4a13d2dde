#include "drive_props.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "mem.h"

#define SOURCE "Voice Recorder Pro"

/* Limits of properties: bytes of a name and its value together, and how many there may be. */
#define PROPERTY_MAX 124
#define PROPERTIES_MAX 30
#define KEY_PIECES 10
#define TEXT_PIECES 4
#define OWN_PROPERTY "rec_m_"
#define NAME_MAX_BYTES 64

bool
drive_begins(const char *s, const char *with)
{
	return strncmp(s, with, strlen(with)) == 0;
}

/* ---- texts in pieces ---- */

/* At most n bytes of s, cut at a character's edge. */
static size_t
cut(const char *s, size_t n)
{
	size_t len = strlen(s);

	if (len <= n)
		return len;
	while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
		n--;
	return n;
}

static int
put_piece(struct json *props, const char *name, const char *s, size_t n, struct err *e)
{
	char *text = mem_bytes(s, n, e);
	int rc = text == NULL ? -1 : json_put_str(props, name, text, e);

	free(text);
	return rc;
}

/*
 * A text as NAME, or when that is too long as NAME_1, NAME_2 … (mark: '_'): 1, or 0 when it is
 * longer than that many pieces or than there is room for (and nothing is put).
 */
static int
put_text(
    struct json *props, const char *name, char mark, const char *text, unsigned max, struct err *e)
{
	char piece[NAME_MAX_BYTES + 8];
	size_t room = PROPERTY_MAX - strlen(name) - strlen("_99"), len = strlen(text);
	unsigned n = 0;

	if (strlen(name) + len <= PROPERTY_MAX) {
		if (json_count(props) >= PROPERTIES_MAX)
			return 0;
		return json_put_str(props, name, text, e) == -1 ? -1 : 1;
	}
	for (size_t at = 0; at < len; n++)
		at += cut(text + at, room);
	if (n > max || json_count(props) + n > PROPERTIES_MAX)
		return 0;
	n = 0;
	for (size_t at = 0, size; at < len; at += size) {
		size = cut(text + at, room);
		snprintf(piece, sizeof piece, "%s%c%u", name, mark, ++n);
		if (put_piece(props, piece, text + at, size, e) == -1)
			return -1;
	}
	return 1;
}

/* What put_text put; false when there is none, or it is longer than size. */
static bool
get_text(const struct json *props, const char *name, char mark, char *out, size_t size)
{
	char piece[NAME_MAX_BYTES + 8];
	const char *s = json_get_str(props, name);
	size_t n = 0, len;

	if (s != NULL)
		return (size_t)snprintf(out, size, "%s", s) < size;
	for (unsigned i = 1; i <= KEY_PIECES; i++) {
		snprintf(piece, sizeof piece, "%s%c%u", name, mark, i);
		if ((s = json_get_str(props, piece)) == NULL)
			break;
		if ((len = strlen(s)) >= size - n)
			return false;
		memcpy(out + n, s, len + 1);
		n += len;
	}
	return n > 0;
}

/* ---- properties ---- */

int
drive_drop_stale(struct json *props, const struct json *old, const char *prefix, struct err *e)
{
	const char *key;
	struct json *v;

	for (void *it = json_first(old, &key, &v); it != NULL; it = json_next(old, it, &key, &v))
		if (drive_begins(key, prefix) && json_get(props, key) == NULL &&
		    json_put_null(props, key, e) == -1)
			return -1;
	return 0;
}

static bool
is_toolkit(const char *key)
{
	return drive_begins(key, ".rectools/");
}

static const char *
last_component(const char *key)
{
	const char *slash = strrchr(key, '/');

	return slash == NULL ? key : slash + 1;
}

int
drive_put_key(struct json *props, const char *key, struct err *e)
{
	int rc = put_text(props, DRIVE_KEY_PROPERTY, '_', key, KEY_PIECES, e);

	if (rc == 0)
		return err_item(
		    e, P_REMOTE, "%s: the name is too long for Google Drive; rename it", key);
	return rc == -1 ? -1 : 0;
}

/* What the application looks for; the toolkit's own files are not its recordings. */
static int
put_content(struct json *props, const char *key, const char *sha256, struct err *e)
{
	if (is_toolkit(key))
		return 0;
	if (json_put_str(props, "source", SOURCE, e) == -1)
		return -1;
	return sha256[0] == '\0' ? 0 : json_put_str(props, "content_sha256", sha256, e);
}

static int
put_tags(struct json *props, const char *tags, struct err *e)
{
	size_t room = PROPERTY_MAX - strlen("tags"), n = cut(tags, room);

	/* Whole ones. */
	if (tags[n] != '\0')
		for (size_t i = n; i > 0; i--)
			if (tags[i] == ',') {
				n = i;
				break;
			}
	return put_piece(props, "tags", tags, n, e);
}

/* What went along is kept so that it can be told again, as far as there is room. */
static int
put_metadata(struct json *props, const struct json *metadata, struct err *e)
{
	char name[NAME_MAX_BYTES];
	const char *key, *text;
	struct json *v;

	for (void *it = json_first(metadata, &key, &v); it != NULL;
	     it = json_next(metadata, it, &key, &v)) {
		if ((text = json_to_str(v, NULL)) == NULL || strchr(key, '#') != NULL ||
		    (size_t)snprintf(name, sizeof name, "%s%s", OWN_PROPERTY, key) >= sizeof name)
			continue;
		if (put_text(props, name, '#', text, TEXT_PIECES, e) == -1)
			return -1;
	}
	return 0;
}

struct json *
drive_properties_of(const struct remote_source *s, struct err *e)
{
	struct json *props = json_new_object(e);
	const char *tags = json_get_str(s->metadata, "tags");
	char date[CLOCK_TEXT_MAX], size[24];

	clock_rfc3339((struct timespec){.tv_sec = clock_now().tv_sec}, date);
	snprintf(size, sizeof size, "%" PRId64, s->size_bytes);
	if (props != NULL && drive_put_key(props, s->key, e) == 0 &&
	    put_content(props, s->key, s->sha256, e) == 0 &&
	    json_put_str(props, "upload_date", date, e) == 0 &&
	    json_put_str(props, "file_size", size, e) == 0 &&
	    put_tags(props, tags == NULL ? "" : tags, e) == 0 &&
	    put_metadata(props, s->metadata, e) == 0)
		return props;
	json_free(props);
	return NULL;
}

/* ---- what is told ---- */

bool
drive_is_id(const char *s)
{
	size_t n = s == NULL ? 0 : strlen(s);

	if (n == 0 || n >= REMOTE_ID_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '-' && s[i] != '_')
			return false;
	return true;
}

static void
copy_hex(char *out, size_t size, const char *s)
{
	bool is = s != NULL && strlen(s) == size - 1 && strspn(s, "0123456789abcdef") == size - 1;

	snprintf(out, size, "%s", is ? s : "");
}

bool
drive_object_of(const struct json *file, struct remote_object *o)
{
	const char *id = json_get_str(file, "id"), *size = json_get_str(file, "size");
	const char *revision = json_get_str(file, "headRevisionId");
	const char *modified = json_get_str(file, "modifiedTime");

	memset(o, 0, sizeof *o);
	if (!drive_is_id(id) || size == NULL ||
	    !mem_parse_i64(size, 0, INT64_MAX, &o->size_bytes) ||
	    json_to_bool(json_get(file, "trashed")))
		return false;
	snprintf(o->id, sizeof o->id, "%s", id);
	copy_hex(o->md5, sizeof o->md5, json_get_str(file, "md5Checksum"));
	copy_hex(o->sha256, sizeof o->sha256, json_get_str(file, "sha256Checksum"));
	if (revision == NULL || strlen(revision) >= sizeof o->tag)
		revision = o->md5;
	snprintf(o->tag, sizeof o->tag, "%s", revision);
	if (modified != NULL && clock_is_rfc3339(modified) && strlen(modified) < sizeof o->modified)
		snprintf(o->modified, sizeof o->modified, "%s", modified);
	if (!get_text(
		json_get(file, "appProperties"), DRIVE_KEY_PROPERTY, '_', o->key, sizeof o->key))
		o->key[0] = '\0';
	return true;
}

static int
put_found(struct json *metadata, const struct json *props, const char *name, struct err *e)
{
	char text[PROPERTY_MAX * TEXT_PIECES + 1], own[NAME_MAX_BYTES + 8];

	snprintf(own, sizeof own, "%s%s", OWN_PROPERTY, name);
	if (!get_text(props, own, '#', text, sizeof text))
		return 0;
	return json_put_str(metadata, name, text, e);
}

/* The name of what a property holds: "rec_m_title#1" is the first piece of "title". False for the
 * other pieces, and for what is nothing that went along. */
static bool
name_of_property(const char *property, char out[NAME_MAX_BYTES])
{
	const char *name = property + strlen(OWN_PROPERTY);
	size_t n;

	if (!drive_begins(property, OWN_PROPERTY))
		return false;
	n = strcspn(name, "#");
	if (n == 0 || n >= NAME_MAX_BYTES || (name[n] == '#' && strcmp(name + n, "#1") != 0))
		return false;
	memcpy(out, name, n);
	out[n] = '\0';
	return true;
}

struct json *
drive_metadata_of(const struct json *file, struct err *e)
{
	const struct json *props = json_get(file, "appProperties");
	struct json *metadata = json_new_object(e), *v;
	const char *key, *text = json_get_str(file, "description");
	char name[NAME_MAX_BYTES];
	int rc = metadata == NULL ? -1 : 0;

	for (void *it = json_first(props, &key, &v); rc == 0 && it != NULL;
	     it = json_next(props, it, &key, &v))
		if (name_of_property(key, name))
			rc = put_found(metadata, props, name, e);
	/* What was too long, or is the application's. */
	if (rc == 0 && text != NULL && json_get(metadata, "description") == NULL &&
	    json_get(metadata, "title") == NULL)
		rc = json_put_str(metadata, "description", text, e);
	text = json_get_str(props, "tags");
	if (rc == 0 && text != NULL && text[0] != '\0' && json_get(metadata, "tags") == NULL)
		rc = json_put_str(metadata, "tags", text, e);
	if (rc == 0)
		return metadata;
	json_free(metadata);
	return NULL;
}

/* ---- what is set ---- */

int
drive_put_names(struct json *v, const struct remote_source *s, struct err *e)
{
	const char *name = json_get_str(s->metadata, "filename");
	const char *description = json_get_str(s->metadata, "description");

	if (name == NULL || name[0] == '\0')
		name = last_component(s->key);
	if (description == NULL || description[0] == '\0')
		description = json_get_str(s->metadata, "title");
	if (json_put_str(v, "name", name, e) == -1)
		return -1;
	if (description != NULL && json_put_str(v, "description", description, e) == -1)
		return -1;
	return s->mime_type == NULL ? 0 : json_put_str(v, "mimeType", s->mime_type, e);
}

struct json *
drive_renamed(
    const struct remote_object *now, const struct json *raw, const char *to, struct err *e)
{
	struct json *v = json_new_object(e), *props = json_new_object(e);
	const struct json *old = json_get(raw, "appProperties");
	const char *name = json_get_str(raw, "name");
	int rc = v == NULL || props == NULL ? -1 : 0;

	if (rc == 0)
		rc = drive_put_key(props, to, e);
	if (rc == 0)
		rc = put_content(props, to, now->sha256, e);
	if (rc == 0)
		rc = drive_drop_stale(props, old, DRIVE_KEY_PROPERTY, e);
	/* The application must not find what was deleted, and take it for uploaded. */
	if (rc == 0 && is_toolkit(to))
		rc = drive_drop_stale(props, old, "content_sha256", e);
	/* A name of its own stays. */
	if (rc == 0 && (name == NULL || strcmp(name, last_component(now->key)) == 0))
		name = last_component(to);
	if (rc == 0)
		rc = json_put_str(v, "name", name, e);
	if (rc == -1) {
		json_free(props);
		json_free(v);
		return NULL;
	}
	if (json_put(v, "appProperties", props, e) == 0)
		return v;
	json_free(v);
	return NULL;
}
