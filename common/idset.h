/*
 * idset: a set of 64-bit keys.
 */
#ifndef REC_IDSET_H
#define REC_IDSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* Start with {0}. */
struct idset {
	uint64_t *slots; /* 0 marks a free one */
	size_t cap, used;
	bool has_zero;
};

int idset_add(struct idset *s, uint64_t key, struct err *e);
bool idset_has(const struct idset *s, uint64_t key);
void idset_free(struct idset *s);

#endif
