/*
 * One PROPFIND a folder, whose answer is held in memory as it came: about 1 KiB an object while it
 * is read, 150 bytes afterwards.
 */
#include "dav_list.h"

#include <stdlib.h>
#include <string.h>

struct listing {
	const struct dav *d;
	const char *folder; /* that was asked for, ends in "/" */
	const char *after, *until;
	struct remote_sorted *sorted;
	struct buf below; /* folders in it that are to be asked for: keys, each with its NUL */
	struct err *e;
};

/* The key that an href means, within it; NULL when it lies elsewhere. */
static char *
key_of(const struct dav *d, char *href)
{
	size_t n = strlen(d->decoded);
	char *p = href, *end;

	if (strncasecmp(p, "http://", 7) == 0 || strncasecmp(p, "https://", 8) == 0)
		p = strchr(strchr(p, ':') + 3, '/');
	if (p == NULL || !http_unescape(p))
		return NULL;
	for (end = p; end[0] == '/' && end[1] == '/'; end++)
		;
	p = end;
	return strncmp(p, d->decoded, n) == 0 && p[n] == '/' ? p + n + 1 : NULL;
}

static int
note_listed(void *ctx, const struct dav_entry *x, struct err *e)
{
	struct listing *l = ctx;
	struct remote_object o;
	size_t n = strlen(l->folder), len;
	char *key = x->href.len == 0 ? NULL : key_of(l->d, x->href.data), *slash;

	/* Right in the folder and nowhere else, whatever the server says. */
	if (key == NULL || !x->found || strncmp(key, l->folder, n) != 0 || key[n] == '\0' ||
	    (len = strlen(key)) > REMOTE_KEY_MAX)
		return 0;
	slash = strchr(key + n, '/');
	if (x->folder) {
		if (slash != NULL && slash[1] != '\0')
			return 0;
		if (slash != NULL)
			*slash = '\0';
		if (strcmp(key + n, ".") == 0 || strcmp(key + n, "..") == 0)
			return 0;
		return buf_add(&l->below, key, strlen(key) + 1, e);
	}
	if (slash != NULL || x->size < 0 || strcmp(key, l->after) <= 0 ||
	    (l->until[0] != '\0' && strcmp(key, l->until) > 0))
		return 0;
	dav_describe(x, key, &o);
	return remote_sorted_add(l->sorted, &o, e);
}

static int
list_folder(struct remote *r, struct listing *l, const char *folder, int depth, struct err *e)
{
	struct listing mine = *l;
	struct dav_ask k;
	int rc = dav_ask_properties(&k, r, folder, 1, e);

	mine.folder = folder;
	mine.below = (struct buf){0};
	if (rc == 207) {
		rc = dav_read_multistatus(&k.a, note_listed, &mine, e);
		if (rc == -1)
			err_prefix(e, "the list of %s", folder);
	} else if (rc == 404) {
		rc = 0;
	}
	dav_ask_free(&k);
	for (size_t at = 0; rc == 0 && depth < DAV_DEPTH_MAX && at < mine.below.len;) {
		char *below = mem_fmt(e, "%s/", mine.below.data + at);

		rc = below == NULL ? -1 : list_folder(r, l, below, depth + 1, e);
		free(below);
		at += strlen(mine.below.data + at) + 1;
	}
	buf_free(&mine.below);
	return rc;
}

int
dav_list_open(struct remote *r, const char *prefix, const char *after, const char *until,
    void **own, struct err *e)
{
	struct listing l = {.d = r->own, .after = after, .until = until};

	if ((l.sorted = remote_sorted_new(e)) == NULL)
		return -1;
	if (list_folder(r, &l, prefix, 0, e) == -1) {
		remote_sorted_free(l.sorted);
		return -1;
	}
	remote_sorted_sort(l.sorted);
	*own = l.sorted;
	return 0;
}

int
dav_list_next(struct remote *r, void *own, struct remote_object *o, struct err *e)
{
	(void)r;
	(void)e;
	return remote_sorted_next(own, o);
}

void
dav_list_close(struct remote *r, void *own)
{
	(void)r;
	remote_sorted_free(own);
}
