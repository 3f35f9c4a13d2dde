/*
 * rowimage: images of catalogue rows, compared.
 *
 * A row image is the JSON object that catalogue_row_get gives. A column that is NULL and one that
 * the table does not have are the same here, so that a run that adds columns does not make every
 * older row differ.
 */
#ifndef REC_ROWIMAGE_H
#define REC_ROWIMAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"
#include "hash.h"
#include "json.h"

/* NULL is no row. */
bool rowimage_same(const struct json *a, const struct json *b);
/* XXH3-128 of the columns that are not NULL; "" for no row. */
int rowimage_digest(const struct json *row, char out[HASH_XXH3_128_HEX], struct err *e);
/*
 * Text of len bytes as a value of a row image: that which is not UTF-8, or holds a NUL, becomes
 * {"text_hex": …}.
 */
int rowimage_put_text(
    struct json *row, const char *column, const char *text, size_t len, struct err *e);
/* An array of the names of the columns that differ, for the caller to free. */
struct json *rowimage_changed(const struct json *before, const struct json *after, struct err *e);

#endif
