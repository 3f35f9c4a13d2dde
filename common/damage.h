/*
 * damage: which recording is damaged, and where in it, as facts of a finding.
 */
#ifndef REC_DAMAGE_H
#define REC_DAMAGE_H

#include <stdint.h>

#include "archive.h"
#include "catalogue_fixity.h"
#include "err.h"
#include "fixity.h"
#include "json.h"

/*
 * What a finding says of a recording: id, path (or path_hex), title, size_bytes and duration_s as
 * recorded (recorded_size_bytes, recorded_duration_s). A recording that is gone from the catalogue
 * has its id alone. For the caller to free; 0, or -1 and *e.
 */
int damage_recording(const struct archive *a, int64_t id, struct json **facts, struct err *e);
/*
 * Adds where the damage is, as far as it is known: damage_offset_bytes, damage_length_bytes,
 * damage_start_s, damage_end_s. It is known of a file that ends too early, of zeros at the end, and
 * of a file of which a check has kept digests of pieces (`good`) while it was whole; then it is as
 * exact as a piece.
 */
int damage_locate(struct json *facts, const struct archive *a, const struct fixity *x,
    const struct catalogue_fixity *good, struct err *e);

#endif
