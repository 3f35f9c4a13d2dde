/*
 * A `struct json` is jansson's json_t under another name, so that one module alone includes
 * jansson. jansson writes reals with a fixed number of digits; the writer here is ours for that one
 * reason.
 */
#include "json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "hash.h"
#include "utf8.h"

static json_t *
in(const struct json *v)
{
	return (json_t *)(uintptr_t)v;
}

static struct json *
out(json_t *v)
{
	return (struct json *)v;
}

/*
 * A number that fits no machine word is kept as a string of this byte and its digits, which
 * json_write turns back into a number. No other string can begin with it: it is never part of
 * UTF-8, and every string is checked.
 */
#define HUGE_BYTE '\xff'

/* The text with every number in it that may not fit put in quotes behind the mark, which no text
 * can guess. */
static int
quote_numbers(const char *text, size_t len, const char *mark, struct buf *quoted, struct err *e)
{
	bool in_string = false;
	size_t n;
	int rc = 0;

	for (size_t i = 0; i < len && rc == 0; i += n) {
		n = 1;
		if (in_string && text[i] == '\\' && i + 1 < len)
			n = 2;
		else if (text[i] == '"')
			in_string = !in_string;
		if (!in_string && (text[i] == '-' || (text[i] >= '0' && text[i] <= '9'))) {
			while (i + n < len && text[i + n] != '\0' &&
			       strchr("0123456789.eE+-", text[i + n]) != NULL)
				n++;
			if (n >= 19 || memchr(text + i, 'e', n) != NULL ||
			    memchr(text + i, 'E', n) != NULL) {
				rc = buf_addf(quoted, e, "\"%s%.*s\"", mark, (int)n, text + i);
				continue;
			}
		}
		rc = buf_add(quoted, text + i, n, e);
	}
	return rc;
}

static json_t *
load(const char *text, size_t len, json_error_t *je)
{
	return json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, je);
}

/* What stands for a marked string: a huge number. Borrowed v; a new reference, or NULL without
 * memory. */
static json_t *
unmarked(json_t *v, const char *mark)
{
	const char *s = json_string_value(v);
	size_t n = strlen(mark);
	json_t *number;
	char *text;

	if (s == NULL || strncmp(s, mark, n) != 0)
		return json_incref(v);
	if ((text = strdup(s + n - 1)) == NULL)
		return NULL;
	text[0] = HUGE_BYTE;
	number = json_string_nocheck(text);
	free(text);
	return number;
}

/* Replaces the marked strings in a value. */
static int
unmark(json_t *v, const char *mark)
{
	const char *key;
	json_t *child;
	size_t i;
	void *next;

	json_object_foreach_safe(v, next, key,
	    child) if (unmark(child, mark) == -1 ||
		       json_object_set_new_nocheck(v, key, unmarked(child, mark)) == -1) return -1;
	json_array_foreach(
	    v, i, child) if (unmark(child, mark) == -1 ||
			     json_array_set_new(v, i, unmarked(child, mark)) == -1) return -1;
	return 0;
}

/* A text with numbers that jansson cannot hold. */
static json_t *
load_huge(const char *text, size_t len, json_error_t *je, struct err *e)
{
	struct buf quoted = {0};
	unsigned char nonce[8];
	char mark[2 * sizeof nonce + 1];
	json_t *v = NULL, *whole;

	if (hash_random(nonce, sizeof nonce, e) == -1)
		return NULL;
	hash_hex(nonce, sizeof nonce, mark);
	if (quote_numbers(text, len, mark, &quoted, e) == 0 &&
	    (v = load(quoted.data, quoted.len, je)) != NULL) {
		whole = unmark(v, mark) == -1 ? NULL : unmarked(v, mark);
		json_decref(v);
		v = whole;
	}
	buf_free(&quoted);
	return v;
}

struct json *
json_parse(const char *text, size_t len, struct err *e)
{
	json_error_t je;
	json_t *v;

	/* jansson tells a lack of memory in some places only; malloc does in all. */
	errno = 0;
	v = load(text, len, &je);
	if (v == NULL && json_error_code(&je) == json_error_numeric_overflow)
		v = load_huge(text, len, &je, e);
	if (v == NULL) {
		if (json_error_code(&je) == json_error_out_of_memory || errno == ENOMEM)
			err_nomem(e);
		else
			err_item(
			    e, P_BAD_RECORD, "not JSON: %s (at byte %d)", je.text, je.position);
	}
	return out(v);
}

/* What %.15g makes of a number of up to six decimals, as most are; printf takes its time. NULL for
 * others. */
static const char *
write_decimal(double v, char s[32])
{
	double micros = nearbyint(v * 1e6);
	uint64_t n;
	char *p = s + 31;

	if (!(fabs(micros) < 1e15) || fabs(micros) < 100 || micros / 1e6 != v)
		return NULL;
	n = (uint64_t)fabs(micros);
	*p = '\0';
	for (int i = 0; i < 6; i++, n /= 10)
		if (*p != '\0' || n % 10 != 0 || i == 5)
			*--p = (char)('0' + n % 10);
	*--p = '.';
	do
		*--p = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	if (micros < 0)
		*--p = '-';
	return p;
}

static int
write_real(double v, struct buf *b, struct err *e)
{
	char s[32];
	const char *decimal = write_decimal(v, s);

	if (decimal != NULL)
		return buf_adds(b, decimal, e);
	/* Fifteen digits hold of every number but the smallest; %g leaves out their trailing zeros.
	 */
	for (int digits = isnormal(v) ? 15 : 1; digits <= 17; digits++) {
		snprintf(s, sizeof s, "%.*g", digits, v);
		if (strtod(s, NULL) == v)
			break;
	}
	if (strpbrk(s, ".e") == NULL)
		strcat(s, ".0");
	return buf_adds(b, s, e);
}

static int
write_escape(unsigned char c, struct buf *b, struct err *e)
{
	switch (c) {
	case '"':
		return buf_add(b, "\\\"", 2, e);
	case '\\':
		return buf_add(b, "\\\\", 2, e);
	case '\n':
		return buf_add(b, "\\n", 2, e);
	case '\t':
		return buf_add(b, "\\t", 2, e);
	default:
		return buf_addf(b, e, "\\u%04x", c);
	}
}

static bool
needs_escape(unsigned char c)
{
	return c < 0x20 || c == '"' || c == '\\' || c == 0x7f;
}

static int
write_text(const char *s, size_t len, struct buf *b, struct err *e)
{
	size_t from = 0;

	if (buf_room(b, len + 2, e) == -1 || buf_add(b, "\"", 1, e) == -1)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (!needs_escape((unsigned char)s[i]))
			continue;
		if (buf_add(b, s + from, i - from, e) == -1 ||
		    write_escape((unsigned char)s[i], b, e) == -1)
			return -1;
		from = i + 1;
	}
	return buf_add(b, s + from, len - from, e) == -1 ? -1 : buf_add(b, "\"", 1, e);
}

int
json_write(const struct json *value, struct buf *b, struct err *e)
{
	json_t *v = in(value), *child;
	const char *key, *sep = "";
	size_t i;
	void *it;

	switch (json_typeof(v)) {
	case JSON_OBJECT:
		if (buf_add(b, "{", 1, e) == -1)
			return -1;
		for (it = json_object_iter(v); it != NULL; it = json_object_iter_next(v, it)) {
			key = json_object_iter_key(it);
			if (buf_adds(b, sep, e) == -1 || write_text(key, strlen(key), b, e) == -1 ||
			    buf_add(b, ":", 1, e) == -1 ||
			    json_write(out(json_object_iter_value(it)), b, e) == -1)
				return -1;
			sep = ",";
		}
		return buf_add(b, "}", 1, e);
	case JSON_ARRAY:
		if (buf_add(b, "[", 1, e) == -1)
			return -1;
		json_array_foreach(v, i, child)
		{
			if (buf_adds(b, sep, e) == -1 || json_write(out(child), b, e) == -1)
				return -1;
			sep = ",";
		}
		return buf_add(b, "]", 1, e);
	case JSON_STRING:
		if (json_string_value(v)[0] == HUGE_BYTE)
			return buf_adds(b, json_string_value(v) + 1, e);
		return write_text(json_string_value(v), json_string_length(v), b, e);
	case JSON_INTEGER:
		return buf_addf(b, e, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	case JSON_REAL:
		return write_real(json_real_value(v), b, e);
	case JSON_TRUE:
		return buf_adds(b, "true", e);
	case JSON_FALSE:
		return buf_adds(b, "false", e);
	case JSON_NULL:
		break;
	}
	return buf_adds(b, "null", e);
}

struct json *
json_clone(const struct json *v, struct err *e)
{
	json_t *c = json_deep_copy(in(v));

	if (c == NULL)
		err_nomem(e);
	return out(c);
}

bool
json_same(const struct json *a, const struct json *b)
{
	return json_equal(in(a), in(b)) != 0;
}

void
json_free(struct json *v)
{
	json_decref(in(v));
}

enum json_kind
json_kind(const struct json *v)
{
	if (v == NULL)
		return JSON_KIND_NONE;
	switch (json_typeof(in(v))) {
	case JSON_OBJECT:
		return JSON_KIND_OBJECT;
	case JSON_ARRAY:
		return JSON_KIND_ARRAY;
	case JSON_STRING:
		return json_string_value(in(v))[0] == HUGE_BYTE ? JSON_KIND_REAL : JSON_KIND_STR;
	case JSON_INTEGER:
		return JSON_KIND_INT;
	case JSON_REAL:
		return JSON_KIND_REAL;
	case JSON_TRUE:
	case JSON_FALSE:
		return JSON_KIND_BOOL;
	case JSON_NULL:
		break;
	}
	return JSON_KIND_NULL;
}

static struct json *
made(json_t *v, struct err *e)
{
	if (v == NULL)
		err_nomem(e);
	return out(v);
}

struct json *
json_new_object(struct err *e)
{
	return made(json_object(), e);
}

struct json *
json_new_array(struct err *e)
{
	return made(json_array(), e);
}

int
json_put(struct json *obj, const char *key, struct json *v, struct err *e)
{
	return json_object_set_new_nocheck(in(obj), key, in(v)) == -1 ? err_nomem(e) : 0;
}

int
json_put_null(struct json *obj, const char *key, struct err *e)
{
	return json_put(obj, key, out(json_null()), e);
}

int
json_put_bool(struct json *obj, const char *key, bool v, struct err *e)
{
	return json_put(obj, key, out(json_boolean(v)), e);
}

int
json_put_int(struct json *obj, const char *key, int64_t v, struct err *e)
{
	return json_put(obj, key, out(json_integer(v)), e);
}

int
json_put_real(struct json *obj, const char *key, double v, struct err *e)
{
	return json_put(obj, key, out(isfinite(v) ? json_real(v) : json_null()), e);
}

int
json_put_str(struct json *obj, const char *key, const char *v, struct err *e)
{
	if (v != NULL && !utf8_valid(v, strlen(v)))
		return err_item(e, P_BAD_RECORD, "\"%s\" is not text in UTF-8", key);
	return json_put(obj, key, out(v != NULL ? json_string_nocheck(v) : json_null()), e);
}

/* The key's name with "_hex" behind it; keys here are short names of our own. */
static const char *
hex_key(const char *key, char name[64])
{
	size_t n = strnlen(key, 64 - sizeof "_hex");

	memcpy(name, key, n);
	memcpy(name + n, "_hex", sizeof "_hex");
	return name;
}

int
json_put_bytes(struct json *obj, const char *key, const char *v, size_t len, struct err *e)
{
	char name[64], *hex;
	int rc;

	if (utf8_valid(v, len)) {
		json_del(obj, hex_key(key, name));
		return json_put(obj, key, out(json_stringn_nocheck(v, len)), e);
	}
	if ((hex = mem_new(len + 1, 2, e)) == NULL)
		return -1;
	hash_hex(v, len, hex);
	json_del(obj, key);
	rc = json_put_str(obj, hex_key(key, name), hex, e);
	free(hex);
	return rc;
}

int
json_append(struct json *array, struct json *v, struct err *e)
{
	return json_array_append_new(in(array), in(v)) == -1 ? err_nomem(e) : 0;
}

int
json_append_str(struct json *array, const char *v, struct err *e)
{
	return json_append(array, out(json_string(v)), e);
}

void
json_del(struct json *obj, const char *key)
{
	json_object_del(in(obj), key);
}

struct json *
json_get(const struct json *obj, const char *key)
{
	return out(json_object_get(in(obj), key));
}

const char *
json_get_str(const struct json *obj, const char *key)
{
	return json_to_str(json_get(obj, key), NULL);
}

const char *
json_to_str(const struct json *v, size_t *len)
{
	const char *s = json_string_value(in(v));

	if (len != NULL)
		*len = json_string_length(in(v));
	return s != NULL && s[0] == HUGE_BYTE ? NULL : s;
}

bool
json_to_int(const struct json *v, int64_t *n)
{
	if (!json_is_integer(in(v)))
		return false;
	*n = json_integer_value(in(v));
	return true;
}

bool
json_to_real(const struct json *v, double *n)
{
	if (!json_is_number(in(v)))
		return false;
	*n = json_number_value(in(v));
	return true;
}

bool
json_get_int(const struct json *obj, const char *key, int64_t *n)
{
	return json_to_int(json_get(obj, key), n);
}

bool
json_get_real(const struct json *obj, const char *key, double *n)
{
	return json_to_real(json_get(obj, key), n);
}

bool
json_to_bool(const struct json *v)
{
	return json_is_true(in(v));
}

int
json_get_bytes(const struct json *obj, const char *key, char **bytes, size_t *len, struct err *e)
{
	char name[64];
	const struct json *v = json_get(obj, key);
	const char *s;
	size_t n;

	if (json_kind(v) == JSON_KIND_STR) {
		s = json_to_str(v, len);
		return (*bytes = mem_bytes(s, *len, e)) == NULL ? -1 : 1;
	}
	if (v != NULL && json_kind(v) != JSON_KIND_NULL)
		return err_item(e, P_BAD_RECORD, "\"%s\" is not a string", key);
	v = json_get(obj, hex_key(key, name));
	if (v == NULL || json_kind(v) == JSON_KIND_NULL)
		return 0;
	if ((s = json_to_str(v, &n)) == NULL)
		return err_item(e, P_BAD_RECORD, "\"%s\" is not a string", name);
	if ((*bytes = mem_new(n / 2 + 1, 1, e)) == NULL)
		return -1;
	if (hash_unhex(s, n, (unsigned char *)*bytes) == -1) {
		free(*bytes);
		*bytes = NULL;
		return err_item(e, P_BAD_RECORD, "\"%s\" is not hexadecimal", name);
	}
	*len = n / 2;
	return 1;
}

void *
json_first(const struct json *obj, const char **key, struct json **v)
{
	void *it = json_object_iter(in(obj));

	if (it != NULL) {
		*key = json_object_iter_key(it);
		*v = out(json_object_iter_value(it));
	}
	return it;
}

void *
json_next(const struct json *obj, void *it, const char **key, struct json **v)
{
	it = json_object_iter_next(in(obj), it);
	if (it != NULL) {
		*key = json_object_iter_key(it);
		*v = out(json_object_iter_value(it));
	}
	return it;
}

size_t
json_count(const struct json *v)
{
	return json_is_object(in(v)) ? json_object_size(in(v)) : json_array_size(in(v));
}

struct json *
json_at(const struct json *array, size_t i)
{
	return out(json_array_get(in(array), i));
}
