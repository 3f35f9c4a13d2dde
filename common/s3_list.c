#include "s3_list.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "s3_object.h"
#include "xml.h"

#define PAGE_KEYS 1000
#define EMPTY_PAGES 100 /* in a row: a listing that gets nowhere */
#define THIN_PAGES 1000 /* in a row, with one key at most: nor will this one in our time */

/* What one page says, while it is read. */
struct page {
	struct s3_listing *l;
	bool encoded, truncated, is_list;
	char *next;
	struct remote_object o;
	bool good; /* o has a key of ours */
};

/* ---- one page ---- */

bool
s3_decode(char *s)
{
	for (char *p = s; *p != '\0'; p++)
		if (*p == '+')
			*p = ' ';
	return http_unescape(s);
}

int
s3_read_key(const struct s3 *c, const char *text, bool encoded, char key[REMOTE_KEY_MAX + 1],
    bool *good, struct err *e)
{
	size_t n = strlen(c->prefix);
	char *name = mem_str(text, e);

	if (name == NULL)
		return -1;
	*good = (!encoded || s3_decode(name)) && strncmp(name, c->prefix, n) == 0 &&
		strlen(name + n) <= REMOTE_KEY_MAX;
	if (*good)
		strcpy(key, name + n);
	free(name);
	return 0;
}

static int
add_object(struct s3_listing *l, const struct remote_object *o, struct err *e)
{
	if (l->n == l->room) {
		size_t room = l->room == 0 ? PAGE_KEYS : 2 * l->room;
		struct remote_object *more = reallocarray(l->page, room, sizeof *more);

		if (more == NULL)
			return err_nomem(e);
		l->page = more;
		l->room = room;
	}
	l->page[l->n++] = *o;
	return 0;
}

static int
note_contents(struct page *p, const char *name, const char *text, struct err *e)
{
	struct remote *r = p->l->r;

	if (strcmp(name, "/Key") == 0)
		return s3_read_key(r->own, text, p->encoded, p->o.key, &p->good, e);
	if (strcmp(name, "/Size") == 0 && !mem_parse_i64(text, 0, INT64_MAX, &p->o.size_bytes))
		p->o.size_bytes = -1;
	else if (strcmp(name, "/ETag") == 0)
		s3_set_tag(r, &p->o, text);
	else if (strcmp(name, "/LastModified") == 0 && strlen(text) < sizeof p->o.modified)
		strcpy(p->o.modified, text);
	else if (name[0] == '\0' && p->good)
		return add_object(p->l, &p->o, e);
	return 0;
}

static int
note_page(void *ctx, const char *path, const char *text, struct err *e)
{
	static const char root[] = "/ListBucketResult", contents[] = "/ListBucketResult/Contents";
	struct page *p = ctx;

	if (strncmp(path, contents, sizeof contents - 1) == 0) {
		path += sizeof contents - 1;
		if (text != NULL)
			return note_contents(p, path, text, e);
		if (path[0] == '\0') {
			memset(&p->o, 0, sizeof p->o);
			p->o.size_bytes = -1;
			p->good = false;
		}
		return 0;
	}
	if (strncmp(path, root, sizeof root - 1) != 0)
		return 0;
	p->is_list = true;
	path += sizeof root - 1;
	if (text != NULL && strcmp(path, "/IsTruncated") == 0)
		p->truncated = strcmp(text, "true") == 0;
	if (text != NULL && text[0] != '\0' && strcmp(path, "/NextContinuationToken") == 0) {
		free(p->next);
		if ((p->next = mem_str(text, e)) == NULL)
			return -1;
	}
	return 0;
}

static int
list_query(const struct s3_listing *l, struct buf *query, struct err *e)
{
	const struct s3 *c = l->r->own;
	struct buf name = {0};
	int rc = -1;

	if (buf_addf(query, e, "list-type=2&encoding-type=url&max-keys=%d", PAGE_KEYS) == -1 ||
	    buf_adds(&name, c->prefix, e) == -1 || buf_adds(&name, l->prefix, e) == -1 ||
	    s3_add_escaped(query, "prefix", name.data == NULL ? "" : name.data, e) == -1)
		goto out;
	buf_clear(&name);
	if (l->token != NULL) {
		rc = s3_add_escaped(query, "continuation-token", l->token, e);
	} else if (l->after[0] != '\0' && l->r->can.ordered) {
		if (buf_addf(&name, e, "%s%s", c->prefix, l->after) == 0)
			rc = s3_add_escaped(query, "start-after", name.data, e);
	} else {
		rc = 0;
	}
out:
	buf_free(&name);
	return rc;
}

/* Where the next page is: a listing must get on. */
static int
turn(struct s3_listing *l, struct page *p, struct err *e)
{
	l->empty = l->n == 0 ? l->empty + 1 : 0;
	l->thin = l->n <= 1 ? l->thin + 1 : 0;
	if (p->truncated && l->thin > THIN_PAGES)
		return err_item(e, P_REMOTE,
		    "the list of %s does not end: the server has given %d pages in a row with one "
		    "name at most; look at its limit of names in a page (max-keys)",
		    l->prefix, THIN_PAGES);
	if (p->truncated && (p->next == NULL || l->empty > EMPTY_PAGES ||
				(l->token != NULL && strcmp(l->token, p->next) == 0)))
		return err_item(e, P_REMOTE,
		    "the list of %s does not get on: the server says that there is more, but not "
		    "where (it must know ListObjectsV2)",
		    l->prefix);
	free(l->token);
	l->token = p->next;
	p->next = NULL;
	l->ended = !p->truncated;
	return 0;
}

static int
read_page(struct s3_listing *l, const struct http_answer *a, struct err *e)
{
	struct page p = {.l = l};
	const char *text = a->body.len > 0 ? a->body.data : "";
	int rc;

	/* It may come after the names that it is about. */
	p.encoded = strstr(text, "<EncodingType>url<") != NULL;
	rc = xml_read(text, a->body.len, note_page, &p, e);
	if (rc == 0 && !p.is_list)
		rc = err_set(e, ERR_CONFIG, NULL,
		    "what answers at %s is no S3: look at AWS_ENDPOINT_URL",
		    ((struct s3 *)l->r->own)->host);
	if (rc == 0)
		rc = turn(l, &p, e);
	free(p.next);
	return rc;
}

int
s3_fetch_page(struct s3_listing *l, struct err *e)
{
	struct s3_op o = s3_op(l->r, "GET", NULL);
	struct buf query = {0};
	int rc = -1;

	l->n = l->at = 0;
	if (list_query(l, &query, e) == 0) {
		o.query = query.data;
		rc = s3_run(&o, e);
	}
	if (rc == 0)
		rc = read_page(l, &o.a, e);
	s3_op_end(&o);
	buf_free(&query);
	return rc;
}

/* ---- the list ---- */

int
s3_list_open(struct remote *r, const char *prefix, const char *after, const char *until, void **own,
    struct err *e)
{
	struct s3_listing *l = mem_new(1, sizeof *l, e);

	if (l == NULL)
		return -1;
	*l = (struct s3_listing){.r = r, .prefix = prefix, .after = after, .until = until};
	*own = l;
	return 0;
}

static int
sort_all(struct s3_listing *l, struct err *e)
{
	if ((l->sorted = remote_sorted_new(e)) == NULL)
		return -1;
	while (!l->ended) {
		if (s3_fetch_page(l, e) == -1)
			return -1;
		for (size_t i = 0; i < l->n; i++)
			if (remote_sorted_add(l->sorted, &l->page[i], e) == -1)
				return -1;
	}
	remote_sorted_sort(l->sorted);
	return 0;
}

/* In the remote's own order, which was found to be that of the bytes, or is said to be. */
static int
next_ordered(struct s3_listing *l, struct remote_object *o, struct err *e)
{
	const struct remote_object *next;

	do {
		while (l->at == l->n) {
			if (l->ended)
				return 0;
			if (s3_fetch_page(l, e) == -1)
				return -1;
		}
		next = &l->page[l->at++];
	} while (strcmp(next->key, l->after) <= 0);
	if (strcmp(next->key, l->last) <= 0)
		return err_item(e, P_REMOTE,
		    "the server lists %s in another order than that of names, or twice: run "
		    "`rec-sync probe`",
		    next->key);
	if (l->until[0] != '\0' && strcmp(next->key, l->until) > 0) {
		l->at = l->n;
		l->ended = true;
		return 0;
	}
	strcpy(l->last, next->key);
	*o = *next;
	return 1;
}

int
s3_list_next(struct remote *r, void *own, struct remote_object *o, struct err *e)
{
	struct s3_listing *l = own;

	if (r->can.ordered)
		return next_ordered(l, o, e);
	if (l->sorted == NULL && sort_all(l, e) == -1)
		return -1;
	return remote_sorted_next(l->sorted, o);
}

void
s3_list_close(struct remote *r, void *own)
{
	struct s3_listing *l = own;

	(void)r;
	if (l == NULL)
		return;
	remote_sorted_free(l->sorted);
	free(l->token);
	free(l->page);
	free(l);
}

/* A list of nothing shows bucket, keys, clock and region. */
int
s3_check(struct remote *r, struct err *e)
{
	struct s3_op o = s3_op(r, "GET", NULL);
	struct s3_listing l = {.r = r, .prefix = "", .after = "", .until = ""};
	struct buf query = {0};
	int rc = -1;

	if (buf_adds(&query, "list-type=2&max-keys=1", e) == 0 &&
	    s3_add_escaped(&query, "prefix", ((struct s3 *)r->own)->prefix, e) == 0) {
		o.query = query.data;
		rc = s3_run(&o, e);
	}
	if (rc == 0)
		rc = read_page(&l, &o.a, e);
	if (rc == -1 && e->class == ERR_ITEM && !retry_is_later(e))
		e->class = ERR_CONFIG;
	s3_op_end(&o);
	buf_free(&query);
	free(l.token);
	free(l.page);
	return rc;
}
