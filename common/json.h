/*
 * json: JSON values and JSON lines, over jansson.
 *
 * A value is a `struct json *`. Objects keep the order of their keys. Numbers come out as they went
 * in: integers as 64-bit integers, reals in the fewest digits that read back as the same double,
 * and what fits neither as the digits that it was (its kind is JSON_KIND_REAL, but no getter gives
 * it). Putting a value into an object hands it over (also on failure); getters return borrowed
 * pointers.
 *
 * Bytes that are not UTF-8 cannot stand in JSON: see json_put_bytes.
 */
#ifndef REC_JSON_H
#define REC_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "mem.h"

struct json;

enum json_kind {
	JSON_KIND_NONE,
	JSON_KIND_NULL,
	JSON_KIND_BOOL,
	JSON_KIND_INT,
	JSON_KIND_REAL,
	JSON_KIND_STR,
	JSON_KIND_ARRAY,
	JSON_KIND_OBJECT
};

/* One value from text, and nothing after it. NULL and *e (ERR_ITEM, bad_record) when it is not
 * JSON. */
struct json *json_parse(const char *text, size_t len, struct err *e);
/* Appends the value on one line, without a newline. */
int json_write(const struct json *v, struct buf *out, struct err *e);
/* A deep copy, or NULL and *e. */
struct json *json_clone(const struct json *v, struct err *e);
bool json_same(const struct json *a, const struct json *b);
/* NULL is fine. */
void json_free(struct json *v);

enum json_kind json_kind(const struct json *v); /* NULL gives JSON_KIND_NONE */
struct json *json_new_object(struct err *e);
struct json *json_new_array(struct err *e);

/*
 * Each replaces the key's value; -1 and *e when out of memory, or when a string is not UTF-8
 * (bad_record). A NULL string, a NAN and an infinity put null.
 */
int json_put(struct json *obj, const char *key, struct json *v, struct err *e);
int json_put_null(struct json *obj, const char *key, struct err *e);
int json_put_bool(struct json *obj, const char *key, bool v, struct err *e);
int json_put_int(struct json *obj, const char *key, int64_t v, struct err *e);
int json_put_real(struct json *obj, const char *key, double v, struct err *e);
int json_put_str(struct json *obj, const char *key, const char *v, struct err *e);
/*
 * A byte string: under `key` when it is valid UTF-8, else in hexadecimal under key + "_hex"; the
 * other of the two is removed.
 */
int json_put_bytes(struct json *obj, const char *key, const char *v, size_t len, struct err *e);
int json_append(struct json *array, struct json *v, struct err *e);
int json_append_str(struct json *array, const char *v, struct err *e);
void json_del(struct json *obj, const char *key);

/* NULL when the key is absent (or obj is not an object). */
struct json *json_get(const struct json *obj, const char *key);
/* NULL when it is not a string. The string may hold NULs when len is asked for. */
const char *json_get_str(const struct json *obj, const char *key);
const char *json_to_str(const struct json *v, size_t *len);
/* False, and *out untouched, when it is not such a number. json_get_real takes integers too. */
bool json_get_int(const struct json *obj, const char *key, int64_t *out);
bool json_get_real(const struct json *obj, const char *key, double *out);
bool json_to_int(const struct json *v, int64_t *out);
bool json_to_real(const struct json *v, double *out);
bool json_to_bool(const struct json *v);
/*
 * What json_put_bytes put: 1 and a NUL-terminated copy in *out (the caller frees) of *len bytes,
 * 0 when neither key is there, -1 and *e (bad_record, or memory) when it is malformed.
 */
int json_get_bytes(const struct json *obj, const char *key, char **out, size_t *len, struct err *e);

/*
 * Walks an object: for (it = json_first(o, &key, &v); it; it = json_next(o, it, &key, &v)).
 * The object must not change meanwhile.
 */
void *json_first(const struct json *obj, const char **key, struct json **v);
void *json_next(const struct json *obj, void *it, const char **key, struct json **v);
size_t json_count(const struct json *v); /* of an object or array */
struct json *json_at(const struct json *array, size_t i);

#endif
