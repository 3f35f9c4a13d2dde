#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

const struct table_column table_recording[] = {
    {"id", "ID", 6, true},
    {"duration_s", "DURATION", 12, true},
    {"codec", "CODEC", 10, false},
    {"sample_rate_hz", "RATE", 6, true},
    {"channels", "CH", 2, true},
    {"loudness_lufs", "LUFS", 6, true},
    {"size_bytes", "SIZE", 9, true},
    {"problem", "PROBLEM", 17, false},
    {"title", "TITLE", 20, false},
    {"path", "PATH", 0, false},
    {NULL, NULL, 0, false},
};

static char *
duration(double s, struct err *e)
{
	long long ms = (long long)(s * 1000 + 0.5);

	return mem_fmt(e, "%lld:%02lld:%02lld.%03lld", ms / 3600000, ms / 60000 % 60,
	    ms / 1000 % 60, ms % 1000);
}

static char *
size(double n, struct err *e)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	int u = 0;

	for (; n >= 1024 && u < 4; u++)
		n /= 1024;
	return mem_fmt(e, u == 0 ? "%.0f %s" : "%.1f %s", n, units[u]);
}

/* A value as people read it, for the caller to free. */
static char *
text_of(const struct json *rec, const char *key, struct err *e)
{
	const struct json *v = json_get(rec, key);
	struct buf raw = {0};
	char hex_key[64], *text = NULL;
	double n;
	size_t len;
	const char *s;

	if (v == NULL) {
		snprintf(hex_key, sizeof hex_key, "%s_hex", key);
		v = json_get(rec, hex_key);
	}
	if (strcmp(key, "problem") == 0 && json_get_str(v, "code") != NULL)
		v = json_get(v, "code");
	if (v == NULL || json_kind(v) == JSON_KIND_NULL)
		return mem_str("-", e);
	if (strcmp(key, "duration_s") == 0 && json_to_real(v, &n))
		return duration(n, e);
	if (strcmp(key, "size_bytes") == 0 && json_to_real(v, &n))
		return size(n, e);
	if (strcmp(key, "loudness_lufs") == 0 && json_to_real(v, &n))
		return mem_fmt(e, "%.1f", n);
	if ((s = json_to_str(v, &len)) == NULL) {
		if (json_write(v, &raw, e) == -1) {
			buf_free(&raw);
			return NULL;
		}
		s = raw.data;
		len = raw.len;
	}
	if ((text = mem_new(4 * len + 1, 1, e)) != NULL)
		utf8_escape(text, 4 * len + 1, s, len);
	buf_free(&raw);
	return text;
}

static int
add_cell(struct buf *out, const char *text, const struct table_column *c, bool last, struct err *e)
{
	size_t bytes = c->width == 0 ? strlen(text) : utf8_fit(text, (size_t)c->width);
	size_t room = c->width == 0 ? 0 : (size_t)c->width;
	char *cut = mem_bytes(text, bytes, e);
	int pad, rc;

	if (cut == NULL)
		return -1;
	pad = (int)room - (int)utf8_columns(cut);
	pad = pad < 0 ? 0 : pad;
	rc = c->right ? buf_addf(out, e, "%*s%s", pad, "", cut)
		      : buf_addf(out, e, "%s%*s", cut, last ? 0 : pad, "");
	free(cut);
	return rc == -1 ? -1 : buf_adds(out, last ? "\n" : "  ", e);
}

int
table_header(const struct table_column *columns, struct buf *out, struct err *e)
{
	for (const struct table_column *c = columns; c->key != NULL; c++)
		if (add_cell(out, c->title, c, c[1].key == NULL, e) == -1)
			return -1;
	return 0;
}

int
table_row(
    const struct table_column *columns, const struct json *rec, struct buf *out, struct err *e)
{
	for (const struct table_column *c = columns; c->key != NULL; c++) {
		char *text = text_of(rec, c->key, e);
		int rc = text == NULL ? -1 : add_cell(out, text, c, c[1].key == NULL, e);

		free(text);
		if (rc == -1)
			return -1;
	}
	return 0;
}

int
table_card(const struct json *rec, struct buf *out, struct err *e)
{
	const char *key;
	struct json *v;

	for (void *it = json_first(rec, &key, &v); it != NULL; it = json_next(rec, it, &key, &v)) {
		char *text =
		    json_kind(v) == JSON_KIND_OBJECT && strcmp(key, "problem") == 0
			? mem_fmt(e, "%s: %s", json_get_str(v, "code"), json_get_str(v, "message"))
			: text_of(rec, key, e);
		int rc = text == NULL ? -1 : buf_addf(out, e, "%-20s %s\n", key, text);

		free(text);
		if (rc == -1)
			return -1;
	}
	return 0;
}
