/*
 * Ranges of the listing are fetched by a few threads, each into a queue of its own that holds a
 * bounded number of objects; the reader empties the queues in the order of the ranges. A thread
 * takes the first range that nobody has, so the one that is read is always being fetched.
 */
#include "lister.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

#define FETCHERS 4
/* A page of S3 and a little more. */
#define QUEUE 1100
/* Ranges a little smaller than a page, so that one holds it although a few objects came between. */
#define KEYS_A_RANGE 900

struct range {
	const char *prefix;  /* constant */
	char *after, *until; /* "": from the start, to the end; NULL: not owned any more */
	struct kept **queue;
	size_t first, n;
	bool ended;
};

struct lister {
	struct sync *s;
	struct range *ranges;
	size_t n, taken, at; /* ranges; that a thread took; that is read */
	pthread_t threads[FETCHERS];
	unsigned running;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool halted, failed;
	struct err why;
};

/* ---- ranges ---- */

static int
add_range(struct lister *l, const char *prefix, const char *after, const char *until, struct err *e)
{
	struct range *grown = realloc(l->ranges, (l->n + 1) * sizeof *grown), *r;

	if (grown == NULL)
		return err_nomem(e);
	l->ranges = grown;
	r = &grown[l->n++];
	*r = (struct range){.prefix = prefix};
	if ((r->after = mem_str(after, e)) == NULL || (r->until = mem_str(until, e)) == NULL)
		return -1;
	return 0;
}

/* The ranges of one folder: cut at the keys that begin with its prefix. */
static int
cut_folder(struct lister *l, const char *prefix, char **keys, size_t n, struct err *e)
{
	const char *after = "";

	for (size_t i = 0; i < n; i++) {
		if (strncmp(keys[i], prefix, strlen(prefix)) != 0)
			continue;
		if (add_range(l, prefix, after, keys[i], e) == -1)
			return -1;
		after = keys[i];
	}
	return add_range(l, prefix, after, "", e);
}

static int
cut(struct lister *l, struct catalogue *c, struct err *e)
{
	char **keys = NULL;
	size_t n = 0;
	int rc = 0;

	if (remote_can(l->s->remote)->ordered)
		rc = sync_ranges(c, KEYS_A_RANGE, &keys, &n, e);
	if (rc == 0 &&
	    (cut_folder(l, "edited/", keys, n, e) == -1 || cut_folder(l, "raw/", keys, n, e) == -1))
		rc = -1;
	for (size_t i = 0; i < n; i++)
		free(keys[i]);
	free(keys);
	return rc;
}

/* ---- objects in a queue ---- */

/* An object in as many bytes as it needs, which is a tenth of the struct's: its texts one behind
 * the other. */
struct kept {
	int64_t size_bytes;
	char texts[];
};

#define TEXTS 6

static struct kept *
keep(const struct remote_object *o, struct err *e)
{
	const char *texts[TEXTS] = {o->key, o->id, o->tag, o->md5, o->sha256, o->modified};
	size_t len[TEXTS], all = 0;
	struct kept *k;
	char *p;

	for (int i = 0; i < TEXTS; i++)
		all += len[i] = strlen(texts[i]) + 1;
	if ((k = mem_new(1, sizeof *k + all, e)) == NULL)
		return NULL;
	k->size_bytes = o->size_bytes;
	p = k->texts;
	for (int i = 0; i < TEXTS; p += len[i++])
		memcpy(p, texts[i], len[i]);
	return k;
}

/* Each text came out of an array of the same size. */
static void
unpack(const struct kept *k, struct remote_object *o)
{
	char *const texts[TEXTS] = {o->key, o->id, o->tag, o->md5, o->sha256, o->modified};
	const char *p = k->texts;

	o->size_bytes = k->size_bytes;
	for (int i = 0; i < TEXTS; i++)
		p = stpcpy(texts[i], p) - texts[i] + 1 + p;
}

/* ---- fetching ---- */

static void
fail(struct lister *l, const struct err *why)
{
	pthread_mutex_lock(&l->lock);
	if (!l->failed)
		l->why = *why;
	l->failed = true;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
}

/* Hands an object over, when there is room. False when nobody wants more. */
static bool
push(struct lister *l, struct range *r, struct kept *o)
{
	bool wanted;

	pthread_mutex_lock(&l->lock);
	while (r->n == QUEUE && !l->halted && !l->failed)
		pthread_cond_wait(&l->changed, &l->lock);
	wanted = !l->halted && !l->failed;
	if (wanted) {
		r->queue[(r->first + r->n++) % QUEUE] = o;
		if (r->n == 1)
			pthread_cond_broadcast(&l->changed);
	}
	pthread_mutex_unlock(&l->lock);
	return wanted;
}

static int
fetch(struct lister *l, struct range *r, struct err *e)
{
	struct remote_list *list = remote_list_open(l->s->remote, r->prefix, r->after, r->until, e);
	struct remote_object o;
	struct kept *kept;
	int rc;

	if (list == NULL)
		return -1;
	while ((rc = remote_list_next(list, &o, e)) == 1) {
		if ((kept = keep(&o, e)) == NULL) {
			rc = -1;
			break;
		}
		if (!push(l, r, kept)) {
			free(kept);
			rc = 0;
			break;
		}
	}
	remote_list_close(list);
	return rc;
}

static struct range *
take_range(struct lister *l)
{
	struct range *r = NULL;

	pthread_mutex_lock(&l->lock);
	/* Not further ahead than there are threads: what waits in queues is memory. */
	while (l->taken < l->n && l->taken >= l->at + FETCHERS && !l->halted && !l->failed)
		pthread_cond_wait(&l->changed, &l->lock);
	if (l->taken < l->n && !l->halted && !l->failed)
		r = &l->ranges[l->taken++];
	pthread_mutex_unlock(&l->lock);
	return r;
}

static void *
fetcher(void *arg)
{
	struct lister *l = arg;
	struct range *r;
	struct err e;

	while ((r = take_range(l)) != NULL) {
		r->queue = mem_new(QUEUE, sizeof *r->queue, &e);
		if (r->queue == NULL || fetch(l, r, &e) == -1) {
			fail(l, &e);
			break;
		}
		pthread_mutex_lock(&l->lock);
		r->ended = true;
		pthread_cond_broadcast(&l->changed);
		pthread_mutex_unlock(&l->lock);
	}
	return NULL;
}

/* ---- reading ---- */

struct lister *
lister_open(struct sync *s, struct catalogue *c, struct err *e)
{
	struct lister *l = mem_new(1, sizeof *l, e);

	if (l == NULL)
		return NULL;
	l->s = s;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->changed, NULL);
	if (cut(l, c, e) == -1) {
		lister_close(l);
		return NULL;
	}
	for (; l->running < FETCHERS && l->running < l->n; l->running++)
		if (pthread_create(&l->threads[l->running], NULL, fetcher, l) != 0)
			break;
	if (l->running == 0) {
		err_sys(e, "starting threads");
		lister_close(l);
		return NULL;
	}
	return l;
}

int
lister_next(struct lister *l, struct remote_object *o, struct err *e)
{
	struct range *r;
	int rc = 0;

	pthread_mutex_lock(&l->lock);
	while (l->at < l->n) {
		r = &l->ranges[l->at];
		if (l->failed)
			break;
		if (r->n > 0) {
			unpack(r->queue[r->first], o);
			free(r->queue[r->first]);
			r->first = (r->first + 1) % QUEUE;
			/* Telling at every object would wake the fetchers for nothing. */
			if (--r->n == QUEUE - 1 || r->n == QUEUE / 2)
				pthread_cond_broadcast(&l->changed);
			rc = 1;
			break;
		}
		if (r->ended) {
			free(r->queue);
			r->queue = NULL;
			l->at++;
			pthread_cond_broadcast(&l->changed);
			continue;
		}
		pthread_cond_wait(&l->changed, &l->lock);
	}
	if (l->failed && rc == 0) {
		*e = l->why;
		rc = -1;
	}
	pthread_mutex_unlock(&l->lock);
	return rc;
}

void
lister_close(struct lister *l)
{
	if (l == NULL)
		return;
	pthread_mutex_lock(&l->lock);
	l->halted = true;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	while (l->running > 0)
		pthread_join(l->threads[--l->running], NULL);
	for (size_t i = 0; i < l->n; i++) {
		struct range *r = &l->ranges[i];

		for (; r->n > 0; r->n--, r->first = (r->first + 1) % QUEUE)
			free(r->queue[r->first]);
		free(r->queue);
		free(r->after);
		free(r->until);
	}
	free(l->ranges);
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->changed);
	free(l);
}
