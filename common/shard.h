/*
 * shard: the rows of the catalogue that belong to --shard I/N, by the path that their records show.
 */
#ifndef REC_SHARD_H
#define REC_SHARD_H

#include <stdbool.h>

#include "archive.h"
#include "tool.h"

bool shard_has_row(const struct tool *t, const struct archive *a, const struct catalogue_row *row);

#endif
