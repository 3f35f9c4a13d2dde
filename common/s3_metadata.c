#include "s3_metadata.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define METADATA_MAX 2048 /* names and values together */

static bool
is_plain(const char *v)
{
	size_t n = strlen(v);

	if (n == 0 || v[0] == ' ' || v[n - 1] == ' ' || strstr(v, "  ") != NULL)
		return false;
	for (; *v != '\0'; v++)
		if (*v < 0x20 || *v > 0x7e || *v == '%')
			return false;
	return true;
}

static bool
is_name(const char *s)
{
	return *s != '\0' && s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-_")] == '\0';
}

/* ---- on the way there ---- */

static int
metadata_line(const char *name, const char *value, struct buf *out, struct err *e)
{
	if (buf_adds(out, "x-amz-meta-", e) == -1)
		return -1;
	for (; *name != '\0'; name++)
		if ((*name == '_' ? buf_adds(out, "--", e) : buf_add(out, name, 1, e)) == -1)
			return -1;
	if (buf_adds(out, ": ", e) == -1 ||
	    (is_plain(value) ? buf_adds(out, value, e)
			     : http_escape(out, value, strlen(value), false, e)) == -1)
		return -1;
	return buf_adds(out, "\n", e);
}

/* What a line counts against the limit: without "x-amz-meta-", ": " and the newline. */
static size_t
counted(const char *line)
{
	return strcspn(line, "\n") - strlen("x-amz-meta-") - strlen(": ");
}

/* Removes the longest line. */
static void
drop_longest(struct buf *lines)
{
	size_t at = 0, most = 0;

	for (size_t i = 0; i < lines->len;) {
		size_t n = strcspn(lines->data + i, "\n") + 1;

		if (n > most) {
			most = n;
			at = i;
		}
		i += n;
	}
	memmove(lines->data + at, lines->data + at + most, lines->len - at - most + 1);
	lines->len -= most;
}

static size_t
counted_all(const struct buf *lines)
{
	size_t all = 0;

	for (size_t i = 0; i < lines->len; i += strcspn(lines->data + i, "\n") + 1)
		all += counted(lines->data + i);
	return all;
}

static int
add_metadata(struct buf *headers, const struct json *metadata, struct err *e)
{
	struct buf lines = {0};
	const char *name;
	struct json *v;
	int rc = 0;

	for (void *it = json_first(metadata, &name, &v); rc == 0 && it != NULL;
	     it = json_next(metadata, it, &name, &v)) {
		const char *value = json_to_str(v, NULL);

		if (is_name(name) && value != NULL && value[0] != '\0')
			rc = metadata_line(name, value, &lines, e);
	}
	while (rc == 0 && counted_all(&lines) > METADATA_MAX)
		drop_longest(&lines);
	if (rc == 0)
		rc = buf_add(headers, lines.data, lines.len, e);
	buf_free(&lines);
	return rc;
}

int
s3_add_description(struct buf *headers, const struct remote_source *s, struct err *e)
{
	const char *type = s->mime_type;

	if (buf_addf(headers, e, "Content-Type: %s\n",
		type != NULL && is_plain(type) ? type : "application/octet-stream") == -1)
		return -1;
	return s->metadata == NULL ? 0 : add_metadata(headers, s->metadata, e);
}

/* ---- and back ---- */

/* The name as it was, in place. */
static void
read_name(char *s)
{
	char *to = s;

	for (; *s != '\0'; s++) {
		bool underscore = s[0] == '-' && s[1] == '-';

		*to++ = underscore ? '_' : (char)tolower((unsigned char)*s);
		s += underscore;
	}
	*to = '\0';
}

/* One line of the head, without its end, if it is metadata. */
static int
read_metadata_line(struct json *out, const char *line, size_t len, struct err *e)
{
	static const char begin[] = "x-amz-meta-";
	char *text, *value;
	int rc = 0;

	if (strncasecmp(line, begin, sizeof begin - 1) != 0)
		return 0;
	if ((text = mem_bytes(line + sizeof begin - 1, len - (sizeof begin - 1), e)) == NULL)
		return -1;
	value = text + strcspn(text, ":");
	if (*value == ':') {
		*value++ = '\0';
		value += strspn(value, " ");
	}
	read_name(text);
	/* What others put there need be neither encoded nor UTF-8: it is left out. */
	if (http_unescape(value) && json_put_str(out, text, value, e) == -1)
		rc = e->class == ERR_ITEM ? 0 : -1;
	free(text);
	return rc;
}

struct json *
s3_read_metadata(const struct http_answer *a, struct err *e)
{
	struct json *out = json_new_object(e);
	const char *p = a->head.data;

	while (out != NULL && p != NULL && *p != '\0') {
		size_t len = strcspn(p, "\r\n");

		if (read_metadata_line(out, p, len, e) == -1) {
			json_free(out);
			return NULL;
		}
		p += len;
		p += strspn(p, "\r\n");
	}
	return out;
}

bool
s3_has_metadata(const struct json *there, const struct json *put)
{
	const char *name;
	struct json *v;

	for (void *it = json_first(put, &name, &v); it != NULL;
	     it = json_next(put, it, &name, &v)) {
		const char *value = json_to_str(v, NULL), *other = json_get_str(there, name);

		if (is_name(name) && value != NULL && value[0] != '\0' && other != NULL &&
		    strcmp(value, other) != 0)
			return false;
	}
	return json_get(put, "sha256") == NULL || json_get(there, "sha256") != NULL;
}
