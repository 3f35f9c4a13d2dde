/*
 * record: the recording record of rec-lines(5), as a JSON object.
 *
 * Keys that a stage does not own are passed through; what is not known is null. A record with a
 * "problem" is passed on untouched by later stages.
 */
#ifndef REC_RECORD_H
#define REC_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "audio.h"
#include "err.h"
#include "json.h"

/* Puts every key that a measure owns (size_bytes … prober), and the problem when there is one. */
int record_put_measure(struct json *rec, const struct measure *m, struct err *e);
/*
 * The measure in a record that another stage made, which is not trusted: types, ranges and forms
 * are checked. 1; 0 when the record holds none that is whole (a key is absent; null is a value); -1
 * and *e (bad_record). Free with audio_measure_free in each case.
 */
int record_get_measure(const struct json *rec, struct measure *m, struct err *e);

/* The columns of a measurement row: the keys without "problem", tags as JSON text. */
int record_put_columns(struct json *row, const struct measure *m, struct err *e);

/* From a struct err of class ERR_ITEM. */
int record_put_problem(struct json *rec, const struct err *problem, struct err *e);
bool record_has_problem(const struct json *rec);

/* The path as bytes ("path" or "path_hex"), for the caller to free. -1 and *e (bad_record) without
 * one. */
int record_get_path(const struct json *rec, char **path, size_t *len, struct err *e);

#endif
