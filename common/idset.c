/* Open addressing, at most half full. Keys are spread by a multiplication (Knuth, TAOCP 6.4). */
#include "idset.h"

#include <stdlib.h>

#include "mem.h"

static size_t
place(const struct idset *s, uint64_t key)
{
	size_t i = (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 7);

	while (s->slots[i % s->cap] != 0 && s->slots[i % s->cap] != key)
		i++;
	return i % s->cap;
}

int
idset_add(struct idset *s, uint64_t key, struct err *e)
{
	struct idset grown;

	if (key == 0) {
		s->has_zero = true;
		return 0;
	}
	if (2 * (s->used + 1) > s->cap) {
		grown = (struct idset){.cap = s->cap == 0 ? 64 : s->cap * 2, .used = s->used};
		if ((grown.slots = mem_new(grown.cap, sizeof *grown.slots, e)) == NULL)
			return -1;
		for (size_t i = 0; i < s->cap; i++)
			if (s->slots[i] != 0)
				grown.slots[place(&grown, s->slots[i])] = s->slots[i];
		free(s->slots);
		s->slots = grown.slots;
		s->cap = grown.cap;
	}
	s->used += s->slots[place(s, key)] == 0;
	s->slots[place(s, key)] = key;
	return 0;
}

bool
idset_has(const struct idset *s, uint64_t key)
{
	return key == 0 ? s->has_zero : s->cap > 0 && s->slots[place(s, key)] == key;
}

void
idset_free(struct idset *s)
{
	free(s->slots);
	*s = (struct idset){0};
}
