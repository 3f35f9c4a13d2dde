#include "syncitems.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
stdin_says_nothing(void)
{
	struct stat in, null;

	if (fstat(STDIN_FILENO, &in) == -1 || isatty(STDIN_FILENO))
		return true;
	return S_ISCHR(in.st_mode) && stat("/dev/null", &null) == 0 && in.st_rdev == null.st_rdev;
}

int
syncitems_open(struct tool *t, struct tool_items **items, struct tool_item **first, struct err *e)
{
	int rc;

	*items = NULL;
	*first = NULL;
	if (t->n_operands == 0 && stdin_says_nothing())
		return 0;
	if ((*items = tool_items_open(t, e)) == NULL)
		return -1;
	rc = tool_items_next(*items, first, e);
	if (rc == 1 || (rc == 0 && t->n_operands > 0))
		return 1;
	tool_items_close(*items);
	*items = NULL;
	return rc;
}
