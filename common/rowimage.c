#include "rowimage.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "utf8.h"

static bool
is_null(const struct json *v)
{
	return v == NULL || json_kind(v) == JSON_KIND_NULL;
}

static bool
same_column(const struct json *a, const struct json *b)
{
	return is_null(a) || is_null(b) ? is_null(a) && is_null(b) : json_same(a, b);
}

/* True when every column of a is the same in b. */
static bool
covers(const struct json *a, const struct json *b)
{
	const char *column;
	struct json *v;

	for (void *it = json_first(a, &column, &v); it != NULL; it = json_next(a, it, &column, &v))
		if (!same_column(v, json_get(b, column)))
			return false;
	return true;
}

bool
rowimage_same(const struct json *a, const struct json *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return covers(a, b) && covers(b, a);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The columns in the order of their names: a new row has them in another order than its table. */
int
rowimage_digest(const struct json *row, char out[HASH_XXH3_128_HEX], struct err *e)
{
	struct buf text = {0};
	struct hash *h = NULL;
	const char *column, **columns;
	struct json *v;
	size_t n = 0;
	int rc = -1;

	out[0] = '\0';
	if (row == NULL)
		return 0;
	if ((columns = mem_new(json_count(row) + 1, sizeof *columns, e)) == NULL)
		return -1;
	for (void *it = json_first(row, &column, &v); it != NULL;
	     it = json_next(row, it, &column, &v))
		if (!is_null(v))
			columns[n++] = column;
	qsort(columns, n, sizeof *columns, by_name);
	for (size_t i = 0; i < n; i++)
		if (buf_addf(&text, e, "%s=", columns[i]) == -1 ||
		    json_write(json_get(row, columns[i]), &text, e) == -1 ||
		    buf_add(&text, "\n", 1, e) == -1)
			goto out;
	if ((h = hash_open(HASH_XXH3_128, e)) == NULL)
		goto out;
	hash_update(h, text.data, text.len);
	hash_xxh3_128(h, out);
	rc = 0;
out:
	hash_close(h);
	buf_free(&text);
	free(columns);
	return rc;
}

int
rowimage_put_text(struct json *row, const char *column, const char *text, size_t len, struct err *e)
{
	struct json *wrapped;
	char *hex;
	int rc = -1;

	if (utf8_valid(text, len) && strlen(text) == len)
		return json_put_str(row, column, text, e);
	if ((hex = mem_new(len + 1, 2, e)) == NULL)
		return -1;
	hash_hex(text, len, hex);
	if ((wrapped = json_new_object(e)) != NULL) {
		if (json_put_str(wrapped, "text_hex", hex, e) == 0)
			rc = json_put(row, column, wrapped, e);
		else
			json_free(wrapped);
	}
	free(hex);
	return rc;
}

struct json *
rowimage_changed(const struct json *before, const struct json *after, struct err *e)
{
	struct json *names = json_new_array(e), *v;
	const char *column;

	for (void *it = names == NULL ? NULL : json_first(after, &column, &v); it != NULL;
	     it = json_next(after, it, &column, &v))
		if (!same_column(v, json_get(before, column)) &&
		    json_append_str(names, column, e) == -1) {
			json_free(names);
			return NULL;
		}
	return names;
}
