#include "shard.h"

#include <stdlib.h>

bool
shard_has_row(const struct tool *t, const struct archive *a, const struct catalogue_row *row)
{
	struct err e;
	size_t len;
	char *path;
	bool mine;

	if (t->shards == 0)
		return true;
	/* Without memory the row is everybody's: done twice is better than by nobody. */
	if ((path = archive_path(a, row->stored, row->stored_len, row->folder, &len, &e)) == NULL)
		return true;
	mine = tool_in_shard(t, path, len);
	free(path);
	return mine;
}
