/*
 * One table says what a measure looks like: it drives putting, checking and the catalogue's
 * columns, so that a record that went through `rec-meta probe` and one that was measured in place
 * cannot differ.
 */
#include "record.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (1 << 20)

enum kind { TEXT, HEX, TIME, QUALITY, INTEGER, REAL };

static const struct field {
	const char *name;
	enum kind kind;
	size_t offset;
	size_t size; /* of a string with its NUL */
	double lo, hi;
} fields[] = {
#define STR(f, k)                                                                                  \
	{                                                                                          \
#f, k, offsetof(struct measure, f), sizeof((struct measure *)0)->f, 0, 0           \
	}
#define NUM(f, k, lo, hi)                                                                          \
	{                                                                                          \
#f, k, offsetof(struct measure, f), 0, lo, hi                                      \
	}
    NUM(size_bytes, INTEGER, 0, 9e18),
    STR(mtime, TIME),
    STR(container, TEXT),
    STR(codec, TEXT),
    STR(mime_type, TEXT),
    NUM(sample_rate_hz, INTEGER, 1, 1e9),
    NUM(channels, INTEGER, 1, 1024),
    NUM(bits_per_sample, INTEGER, 1, 64),
    NUM(frames, INTEGER, 0, 9e18),
    NUM(duration_s, REAL, 0, 1e12),
    NUM(bit_rate_bps, INTEGER, 0, 1e15),
    STR(xxh3_128, HEX),
    STR(sha256, HEX),
    STR(audio_xxh3_128, HEX),
    NUM(peak_dbfs, REAL, -2000, 2000),
    NUM(true_peak_dbtp, REAL, -2000, 2000),
    NUM(rms_dbfs, REAL, -2000, 2000),
    NUM(loudness_lufs, REAL, -2000, 2000),
    NUM(loudness_range_lu, REAL, 0, 2000),
    NUM(clipped_frames, INTEGER, 0, 9e18),
    NUM(leading_silence_s, REAL, 0, 1e12),
    NUM(trailing_silence_s, REAL, 0, 1e12),
    STR(quality, QUALITY),
#undef STR
#undef NUM
};
#define N_FIELDS (sizeof fields / sizeof fields[0])

static void *
at(const struct measure *m, const struct field *f)
{
	return (char *)(uintptr_t)m + f->offset;
}

static int
put_fields(struct json *rec, const struct measure *m, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; i < N_FIELDS && rc == 0; i++) {
		const struct field *f = &fields[i];
		const char *s = at(m, f);
		int64_t n;

		switch (f->kind) {
		case INTEGER:
			n = *(int64_t *)at(m, f);
			rc = n == -1 ? json_put_null(rec, f->name, e)
				     : json_put_int(rec, f->name, n, e);
			break;
		case REAL:
			rc = json_put_real(rec, f->name, *(double *)at(m, f), e);
			break;
		default:
			rc = json_put_str(rec, f->name, s[0] != '\0' ? s : NULL, e);
			break;
		}
	}
	return rc;
}

int
record_put_measure(struct json *rec, const struct measure *m, struct err *e)
{
	struct json *tags = NULL;

	json_del(rec, "problem");
	if (put_fields(rec, m, e) == -1)
		return -1;
	if (m->tags != NULL && (tags = json_clone(m->tags, e)) == NULL)
		return -1;
	if ((tags != NULL ? json_put(rec, "tags", tags, e) : json_put_null(rec, "tags", e)) == -1 ||
	    json_put_str(rec, "prober", m->prober[0] != '\0' ? m->prober : NULL, e) == -1)
		return -1;
	return m->problem.class != ERR_NONE ? record_put_problem(rec, &m->problem, e) : 0;
}

int
record_put_columns(struct json *row, const struct measure *m, struct err *e)
{
	struct buf text = {0};
	int rc = put_fields(row, m, e);

	if (rc == 0 && m->tags != NULL)
		rc = json_write(m->tags, &text, e);
	if (rc == 0)
		rc = json_put_str(row, "tags", text.data, e);
	buf_free(&text);
	return rc == 0 ? json_put_str(row, "prober", m->prober[0] != '\0' ? m->prober : NULL, e)
		       : -1;
}

static int
bad(struct err *e, const char *key, const char *why)
{
	return err_item(e, P_BAD_RECORD, "\"%s\" %s", key, why);
}

/* The catalogue takes no others. */
static bool
is_quality(const char *s)
{
	return strcmp(s, "high_resolution") == 0 || strcmp(s, "cd_quality") == 0 ||
	       strcmp(s, "low_quality") == 0 || strcmp(s, "unknown") == 0;
}

static int
get_text(const struct json *v, const struct field *f, char *out, struct err *e)
{
	size_t len;
	const char *s = json_to_str(v, &len);

	if (s == NULL)
		return bad(e, f->name, "is not a string");
	if (len >= f->size || strlen(s) != len)
		return bad(e, f->name, "is too long");
	if (f->kind == HEX && (len != f->size - 1 || strspn(s, "0123456789abcdef") != len))
		return bad(e, f->name, "is not a hash in lower-case hexadecimal");
	if (f->kind == TIME && !clock_is_rfc3339(s))
		return bad(e, f->name, "is not a time like 2025-09-05T10:00:00Z");
	if (f->kind == QUALITY && !is_quality(s))
		return bad(
		    e, f->name, "is none of high_resolution, cd_quality, low_quality, unknown");
	memcpy(out, s, len + 1);
	return 0;
}

static int
get_field(const struct json *v, const struct field *f, struct measure *m, struct err *e)
{
	double d;
	int64_t n;

	switch (f->kind) {
	case INTEGER:
		if (!json_to_int(v, &n))
			return bad(e, f->name, "is not a whole number");
		if ((double)n < f->lo || (double)n > f->hi)
			return bad(e, f->name, "is out of range");
		*(int64_t *)at(m, f) = n;
		return 0;
	case REAL:
		if (!json_to_real(v, &d))
			return bad(e, f->name, "is not a number");
		if (!(d >= f->lo && d <= f->hi))
			return bad(e, f->name, "is out of range");
		*(double *)at(m, f) = d;
		return 0;
	default:
		return get_text(v, f, at(m, f), e);
	}
}

/* The problem that a record brought; codes are kept only when they are ours. */
static int
get_problem(const struct json *p, struct measure *m, struct err *e)
{
	static const char *const codes[] = {P_MISSING, P_UNREADABLE, P_DENIED, P_NOT_AUDIO,
	    P_UNSUPPORTED, P_EMPTY, P_TRUNCATED, P_HEADER_MISMATCH, P_DECODE_ERROR, P_ZERO_TAIL,
	    P_MODIFIED};
	const char *code = json_get_str(p, "code"), *message = json_get_str(p, "message");

	for (size_t i = 0; code != NULL && message != NULL && i < sizeof codes / sizeof codes[0];
	     i++)
		if (strcmp(code, codes[i]) == 0) {
			err_item(&m->problem, codes[i], "%s", message);
			return 0;
		}
	return bad(e, "problem", "is not one that measuring finds");
}

/* An object of strings, not too large; the copy in m->tags. */
static int
get_tags(const struct json *v, struct measure *m, struct err *e)
{
	struct buf text = {0};
	struct json *tag;
	const char *key;
	int rc;

	if (json_kind(v) != JSON_KIND_OBJECT)
		return bad(e, "tags", "is not an object");
	for (void *it = json_first(v, &key, &tag); it != NULL; it = json_next(v, it, &key, &tag))
		if (json_kind(tag) != JSON_KIND_STR)
			return bad(e, "tags", "has a value that is not a string");
	if ((rc = json_write(v, &text, e)) == 0 && text.len > TEXT_MAX)
		rc = bad(e, "tags", "is larger than a mebibyte");
	buf_free(&text);
	return rc == -1 || (m->tags = json_clone(v, e)) == NULL ? -1 : 0;
}

int
record_get_measure(const struct json *rec, struct measure *m, struct err *e)
{
	struct json *v = json_get(rec, "prober");
	const char *prober;
	size_t len;

	audio_measure_init(m);
	if (v == NULL || json_kind(v) == JSON_KIND_NULL || json_get(rec, "tags") == NULL)
		return 0;
	for (size_t i = 0; i < N_FIELDS; i++)
		if (json_get(rec, fields[i].name) == NULL)
			return 0;
	if ((prober = json_to_str(v, &len)) == NULL)
		return bad(e, "prober", "is not a string");
	if (len >= sizeof m->prober || strlen(prober) != len)
		return bad(e, "prober", "is too long");
	strcpy(m->prober, prober);
	for (size_t i = 0; i < N_FIELDS; i++)
		if ((v = json_get(rec, fields[i].name)) != NULL && json_kind(v) != JSON_KIND_NULL &&
		    get_field(v, &fields[i], m, e) == -1)
			return -1;
	if ((v = json_get(rec, "tags")) != NULL && json_kind(v) != JSON_KIND_NULL &&
	    get_tags(v, m, e) == -1)
		return -1;
	if ((v = json_get(rec, "problem")) != NULL && json_kind(v) != JSON_KIND_NULL &&
	    get_problem(v, m, e) == -1)
		return -1;
	return 1;
}

int
record_put_problem(struct json *rec, const struct err *problem, struct err *e)
{
	struct json *p = json_new_object(e);

	if (p == NULL)
		return -1;
	if (json_put_str(p, "code", problem->code, e) == -1 ||
	    json_put_str(p, "message", problem->text, e) == -1) {
		json_free(p);
		return -1;
	}
	return json_put(rec, "problem", p, e);
}

bool
record_has_problem(const struct json *rec)
{
	const struct json *p = json_get(rec, "problem");

	return p != NULL && json_kind(p) != JSON_KIND_NULL;
}

int
record_get_path(const struct json *rec, char **path, size_t *len, struct err *e)
{
	int rc;

	*path = NULL;
	if (json_kind(rec) != JSON_KIND_OBJECT)
		return err_item(e, P_BAD_RECORD, "not a JSON object");
	if ((rc = json_get_bytes(rec, "path", path, len, e)) == -1)
		return -1;
	if (rc == 0 || *len == 0 || memchr(*path, '\0', *len) != NULL) {
		free(*path);
		*path = NULL;
		return err_item(e, P_BAD_RECORD,
		    "the record has no \"path\" (or \"path_hex\") that names a file");
	}
	return 0;
}
