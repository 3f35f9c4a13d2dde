#include "pullitem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

const char *
pullitem_doing_name(enum pullitem_doing d)
{
	static const char *const names[] = {"none", "restore", "add", "skip", "conflict"};

	return names[d];
}

void
pullitem_free(struct pullitem *i)
{
	if (i == NULL)
		return;
	fetched_close(&i->got);
	audio_measure_free(&i->m);
	json_free(i->given);
	json_free(i->rec);
	free(i->name);
	free(i->title);
	free(i);
}

struct pullitem *
pullitem_new(const char *key, struct err *e)
{
	struct pullitem *i = mem_new(1, sizeof *i, e);

	if (i == NULL)
		return NULL;
	snprintf(i->key, sizeof i->key, "%s", key);
	i->size_bytes = -1;
	i->got.fd = -1;
	audio_measure_init(&i->m);
	return i;
}

int
pullitem_place(struct pullitem *i, struct err *e)
{
	const char *folder;
	size_t len;

	if (sync_name(i->key, &folder, &i->name, &len) == -1) {
		err_item(&i->problem, P_UNSAFE_PATH,
		    "\"%s\" is no key of a recording (raw/NAME or edited/NAME)", i->key);
		return (i->name = mem_str("", e)) == NULL ? -1 : 0;
	}
	i->folder =
	    strcmp(folder, archive_folder_name(FOLDER_EDITED)) == 0 ? FOLDER_EDITED : FOLDER_RAW;
	fetch_check_name(i->name, len, &i->problem);
	return 0;
}

void
pullitem_say(struct pullitem *i, enum pullitem_doing doing, const char *why)
{
	i->doing = doing;
	snprintf(i->why, sizeof i->why, "%s", why);
}

bool
pullitem_is_decided(const struct pullitem *i)
{
	return i->problem.class != ERR_NONE || i->doing != DOING_NONE;
}

void
pullitem_expect_row(struct pullitem *i, const struct sync_row *row, const struct catalogue_row *r)
{
	i->id = row->recording_id;
	i->size_bytes = row->size_bytes;
	strcpy(i->sha256, row->sha256);
	/* The application did not hash it: what was sent is what it was. */
	if (i->sha256[0] == '\0' && row->has_object) {
		strcpy(i->sha256, row->object.sha256);
		i->size_bytes = row->object.size_bytes;
	}
	if (r->mtime != NULL)
		snprintf(i->mtime, sizeof i->mtime, "%s", r->mtime);
}

void
pullitem_expect_record(struct pullitem *i)
{
	const char *sha256 = json_get_str(i->rec, "sha256"), *mtime = json_get_str(i->rec, "mtime");
	int64_t size;

	if (json_get_int(i->rec, "size_bytes", &size) && size >= 0)
		i->size_bytes = size;
	if (sha256 != NULL && strlen(sha256) == HASH_SHA256_HEX - 1 &&
	    strspn(sha256, "0123456789abcdef") == HASH_SHA256_HEX - 1)
		strcpy(i->sha256, sha256);
	if (mtime != NULL && strlen(mtime) < CLOCK_TEXT_MAX && clock_is_rfc3339(mtime))
		strcpy(i->mtime, mtime);
}

void
pullitem_conflict(const struct archive *a, struct pullitem *i, const char *code)
{
	const char *folder = a->paths[i->folder];

	pullitem_say(i, DOING_CONFLICT, "the file here is not the one that was recorded");
	err_item(&i->problem, P_CONFLICT,
	    "%s/%s is there with other bytes than were recorded (%s), and is left as it is; move "
	    "it away (mv %s/%s %s/) and run pull again to get the recorded ones",
	    folder, i->name, code, folder, i->name, a->paths[FOLDER_BACKUP]);
}
