#include "edit.h"

#include <stdlib.h>
#include <string.h>

#include "adopt.h"
#include "clock.h"
#include "mem.h"
#include "record.h"
#include "utf8.h"

#define TITLE_MAX 1024
#define TAGS_MAX 65536

static const char *const statuses[] = {"active", "archived", "deleted"};

int
edit_check_title(const char *title, struct err *e)
{
	if (!utf8_valid(title, strlen(title)))
		return err_set(e, ERR_USAGE, NULL, "the title is not valid UTF-8");
	if (strlen(title) > TITLE_MAX)
		return err_set(e, ERR_USAGE, NULL, "the title is longer than %d bytes", TITLE_MAX);
	return 0;
}

static int
check_tags(const char *value, struct err *e)
{
	struct err bad;
	struct json *v = strlen(value) > TAGS_MAX ? NULL : json_parse(value, strlen(value), &bad),
		    *tag;
	const char *key;
	bool fine = json_kind(v) == JSON_KIND_OBJECT;

	for (void *it = fine ? json_first(v, &key, &tag) : NULL; it != NULL;
	     it = json_next(v, it, &key, &tag))
		fine = fine && json_kind(tag) == JSON_KIND_STR;
	json_free(v);
	return fine ? 0
		    : err_set(e, ERR_USAGE, NULL,
			  "tags= takes a JSON object of strings, such as "
			  "tags='{\"place\":\"Porto\"}'; tags.place=Porto sets one");
}

static int
check_one(const char *change, struct err *e)
{
	const char *eq = strchr(change, '='), *value = eq == NULL ? NULL : eq + 1;
	size_t key = eq == NULL ? 0 : (size_t)(eq - change);

	if (eq == NULL)
		return err_set(e, ERR_USAGE, NULL, "\"%s\" is not KEY=VALUE", change);
	if (key == 5 && memcmp(change, "title", 5) == 0)
		return edit_check_title(value, e);
	if (key == 6 && memcmp(change, "status", 6) == 0) {
		for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
			if (strcmp(value, statuses[i]) == 0)
				return 0;
		return err_set(e, ERR_USAGE, NULL,
		    "status: \"%s\" is not one of active, archived, deleted", value);
	}
	if (key == 4 && memcmp(change, "tags", 4) == 0)
		return check_tags(value, e);
	if (key > 5 && memcmp(change, "tags.", 5) == 0) {
		if (!utf8_valid(change, strlen(change)) || strlen(change) > TAGS_MAX)
			return err_set(e, ERR_USAGE, NULL, "%.*s: not valid UTF-8, or too long",
			    (int)key, change);
		return 0;
	}
	return err_set(e, ERR_USAGE, NULL,
	    "\"%.*s\" cannot be set; title, status, tags and tags.NAME can", (int)key, change);
}

int
edit_check(char **changes, struct err *e)
{
	for (; *changes != NULL; changes++)
		if (check_one(*changes, e) == -1)
			return -1;
	return 0;
}

/* Changes what was said: the whole object, or one tag (an empty value takes a tag away, also a
 * file's own). */
static int
change_tags(struct json **tags, const char *change, struct err *e)
{
	const char *eq = strchr(change, '=');
	char *name;
	int rc;

	if (strncmp(change, "tags=", 5) == 0) {
		json_free(*tags);
		return (*tags = json_parse(eq + 1, strlen(eq + 1), e)) == NULL ? -1 : 0;
	}
	if ((name = mem_bytes(change + 5, (size_t)(eq - change) - 5, e)) == NULL)
		return -1;
	rc = eq[1] == '\0' ? json_put_null(*tags, name, e) : json_put_str(*tags, name, eq + 1, e);
	free(name);
	return rc;
}

/* What was said of the recording so far; an empty object when nothing was. */
static struct json *
tags_said(struct catalogue *c, int64_t id, struct err *e)
{
	struct json *row, *tags;
	const char *text;

	if (catalogue_row_get(c, "rec_tags", "recording_id", id, &row, e) == -1)
		return NULL;
	text = json_get_str(row, "tags");
	tags = text != NULL ? json_parse(text, strlen(text), e) : json_new_object(e);
	json_free(row);
	return tags;
}

static int
put_tags(struct run *r, int64_t id, const struct json *tags, struct err *e)
{
	struct json *row = NULL;
	struct buf text = {0};
	int rc = -1;

	if (json_count(tags) == 0)
		return run_change(r, "rec_tags", "recording_id", id, NULL, e);
	if (json_write(tags, &text, e) == 0 && (row = json_new_object(e)) != NULL &&
	    json_put_int(row, "recording_id", id, e) == 0 &&
	    json_put_str(row, "tags", text.data, e) == 0) {
		rc = run_change(r, "rec_tags", "recording_id", id, row, e);
		row = NULL;
	}
	json_free(row);
	buf_free(&text);
	return rc;
}

/* As the application does when it edits a row. */
static int
touch(struct json *row, struct err *e)
{
	char now[CLOCK_TEXT_MAX];

	return json_put_str(row, "modified_at", clock_column(clock_now(), now), e);
}

static int
set_columns(struct json *row, char **changes, struct err *e)
{
	bool touched = false;

	for (; *changes != NULL; changes++) {
		const char *value = strchr(*changes, '=') + 1, *column = NULL;

		if (strncmp(*changes, "title=", 6) == 0)
			column = "title";
		else if (strncmp(*changes, "status=", 7) == 0)
			column = "status";
		if (column == NULL || (json_get_str(row, column) != NULL &&
					  strcmp(json_get_str(row, column), value) == 0))
			continue;
		if (json_put_str(row, column, value[0] != '\0' ? value : NULL, e) == -1)
			return -1;
		touched = true;
	}
	return touched ? touch(row, e) : 0;
}

int
edit_set(struct run *r, int64_t id, char **changes, struct err *e)
{
	struct json *row = NULL, *tags = NULL;
	bool about_tags = false;
	int rc = -1;

	if (run_begin(r, e) == -1)
		return -1;
	if ((rc = catalogue_row_get(r->a->catalogue, "recordings", "id", id, &row, e)) != 1)
		goto out;
	rc = -1;
	if ((tags = tags_said(r->a->catalogue, id, e)) == NULL ||
	    set_columns(row, changes, e) == -1)
		goto out;
	for (char **c = changes; *c != NULL; c++)
		if (strncmp(*c, "tags", 4) == 0) {
			about_tags = true;
			if (change_tags(&tags, *c, e) == -1)
				goto out;
		}
	if (about_tags && put_tags(r, id, tags, e) == -1)
		goto out;
	rc = run_change(r, "recordings", "id", id, row, e);
	row = NULL;
	if (rc != -1)
		rc = run_commit(r, e) == -1 ? -1 : 1;
out:
	run_cancel(r);
	json_free(row);
	json_free(tags);
	return rc;
}

int
edit_preview(struct json *rec, char **changes, struct err *e)
{
	struct json *tags;
	int rc = 0;

	for (; *changes != NULL && rc == 0; changes++) {
		const char *value = strchr(*changes, '=') + 1;

		if (strncmp(*changes, "tags", 4) != 0) {
			rc = json_put_str(rec, (*changes)[0] == 't' ? "title" : "status",
			    value[0] != '\0' ? value : NULL, e);
			continue;
		}
		tags = json_kind(json_get(rec, "tags")) == JSON_KIND_OBJECT
			   ? json_clone(json_get(rec, "tags"), e)
			   : json_new_object(e);
		if (tags == NULL || change_tags(&tags, *changes, e) == -1) {
			json_free(tags);
			return -1;
		}
		rc = json_put(rec, "tags", tags, e);
	}
	return rc;
}

int
edit_find(const struct archive *a, struct tool_item *item, int64_t *id, struct err *e)
{
	struct catalogue_row row;
	const char *stored;
	int rc;

	if (!json_get_int(item->rec, "id", id) &&
	    (item->was_record || !mem_parse_i64(item->path, 1, INT64_MAX, id))) {
		stored = archive_stored_name(a, item->path);
		if (stored == NULL)
			stored = item->path;
		rc = catalogue_find_stored(a->catalogue, stored, strlen(stored), id, e);
	} else if ((rc = catalogue_row_by_id(a->catalogue, *id, &row, e)) == 1) {
		catalogue_row_free(&row);
	}
	if (rc != 0)
		return rc;
	err_item(&item->problem, P_BAD_RECORD,
	    "no recording has this id or path; rec-meta list shows them");
	return record_put_problem(item->rec, &item->problem, e);
}

int
edit_unknown_id(struct tool *t, int64_t id, struct err *e)
{
	struct json *rec = json_new_object(e);
	struct err unknown;
	int rc = -1;

	err_item(&unknown, P_BAD_RECORD, "no recording has the id %lld; rec-meta list shows them",
	    (long long)id);
	if (rec != NULL && json_put_int(rec, "id", id, e) == 0 &&
	    record_put_problem(rec, &unknown, e) == 0)
		rc = tool_emit_found(t, rec, e);
	json_free(rec);
	return rc;
}

static int
delete_softly(struct run *r, int64_t id, struct err *e)
{
	char change[] = "status=deleted", *changes[] = {change, NULL};

	return edit_set(r, id, changes, e) == -1 ? -1 : 0;
}

int
edit_remove(struct tool *t, struct run *r, struct archive *a, struct tool_item *item, bool purge,
    struct err *e)
{
	struct json *rec = NULL;
	struct err bad = {0};
	int64_t id;
	int rc;

	if (item->passed_on)
		return tool_emit(t, item->rec, e);
	if (item->problem.class != ERR_NONE || (rc = edit_find(a, item, &id, e)) == 0)
		return tool_emit_found(t, item->rec, e);
	/* The record of what goes for good is that from before. */
	if (rc == -1 || (purge && catalogue_record(a->catalogue, id, &rec, e) != 1))
		return -1;
	rc = r == NULL ? 0 : purge ? adopt_purge(r, id, &bad) : delete_softly(r, id, &bad);
	if (rc == -1 && bad.class != ERR_ITEM) {
		*e = bad;
		goto out;
	}
	rc = -1;
	if (rec == NULL && catalogue_record(a->catalogue, id, &rec, e) != 1)
		goto out;
	if (r == NULL && !purge && json_put_str(rec, "status", "deleted", e) == -1)
		goto out;
	/* Its own problem, if it had one, is no problem of removing it. */
	json_del(rec, "problem");
	if (bad.class != ERR_NONE && record_put_problem(rec, &bad, e) == -1)
		goto out;
	rc = tool_emit_found(t, rec, e);
out:
	json_free(rec);
	return rc;
}
