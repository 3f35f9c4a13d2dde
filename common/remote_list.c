/*
 * Objects one after the other in one piece of memory, each as its size and its texts; sorting moves
 * only their places. A hundred thousand take some 15 MB.
 */
#include "remote_kind.h"

#include <stdlib.h>
#include <string.h>

struct remote_sorted {
	struct buf arena;
	struct buf places; /* of size_t */
	size_t next;
};

#define TEXTS 6

/* In the order in which they lie in the arena. The key is first: it is what is sorted by. */
static void
texts_of(struct remote_object *o, char *text[TEXTS])
{
	text[0] = o->key;
	text[1] = o->id;
	text[2] = o->tag;
	text[3] = o->md5;
	text[4] = o->sha256;
	text[5] = o->modified;
}

struct remote_sorted *
remote_sorted_new(struct err *e)
{
	return mem_new(1, sizeof(struct remote_sorted), e);
}

int
remote_sorted_add(struct remote_sorted *l, const struct remote_object *object, struct err *e)
{
	struct remote_object o = *object;
	char *text[TEXTS];
	size_t place = l->arena.len;
	int rc = buf_add(&l->arena, &o.size_bytes, sizeof o.size_bytes, e);

	texts_of(&o, text);
	for (int i = 0; i < TEXTS && rc == 0; i++)
		rc = buf_add(&l->arena, text[i], strlen(text[i]) + 1, e);
	if (rc == 0)
		rc = buf_add(&l->places, &place, sizeof place, e);
	if (rc == -1)
		l->arena.len = place;
	return rc;
}

static int
by_key(const void *a, const void *b, void *arena)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;
	const char *text = arena;
	int rc = strcmp(text + x + sizeof(int64_t), text + y + sizeof(int64_t));

	/* Of one key: the one that was told first. */
	return rc != 0 ? rc : (x > y) - (x < y);
}

void
remote_sorted_sort(struct remote_sorted *l)
{
	l->next = 0;
	if (l->places.len != 0)
		qsort_r(l->places.data, l->places.len / sizeof(size_t), sizeof(size_t), by_key,
		    l->arena.data);
}

int
remote_sorted_next(struct remote_sorted *l, struct remote_object *o)
{
	char *text[TEXTS];
	size_t place;
	const char *p;

	if (l->next >= l->places.len / sizeof place)
		return 0;
	memcpy(&place, l->places.data + l->next++ * sizeof place, sizeof place);
	p = l->arena.data + place;
	memset(o, 0, sizeof *o);
	memcpy(&o->size_bytes, p, sizeof o->size_bytes);
	p += sizeof o->size_bytes;
	texts_of(o, text);
	for (int i = 0; i < TEXTS; i++) {
		size_t n = strlen(p) + 1;

		memcpy(text[i], p, n);
		p += n;
	}
	return 1;
}

void
remote_sorted_free(struct remote_sorted *l)
{
	if (l == NULL)
		return;
	buf_free(&l->arena);
	buf_free(&l->places);
	free(l);
}
