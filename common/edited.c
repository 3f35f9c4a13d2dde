#include "edited.h"

#include "entry.h"
#include "filechange.h"
#include "hash.h"
#include "mem.h"

char *
edited_name(const char *extension, struct err *e)
{
	unsigned char random[16];
	char hex[33];

	if (hash_random(random, sizeof random, e) == -1)
		return NULL;
	hash_hex(random, sizeof random, hex);
	return mem_fmt(e, "edi_%s.%s", hex, extension);
}

int
edited_add(struct run *r, const struct edited *n, int64_t *id, struct err *e)
{
	struct entry entry = {.folder = FOLDER_EDITED,
	    .path = n->filename,
	    .stored = n->file->name,
	    .title = n->title,
	    .m = n->m,
	    .provenance = n->provenance};
	struct json *line, *kept;
	int rc;

	*id = 0;
	if ((line = filechange_line(
		 "create", FOLDER_EDITED, n->file->name, FOLDER_BACKUP, NULL, e)) == NULL ||
	    run_announce_kept(r, line, &kept, e) == -1)
		return -1;
	rc = io_new_commit(n->file, 0644, false, e);
	if (rc == 0)
		rc = entry_add(r, &entry, id, e);
	if (rc == -1)
		filechange_take_back(r->a, kept, *id != 0, e);
	json_free(kept);
	return rc;
}
