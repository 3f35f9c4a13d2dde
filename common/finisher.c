#include "finisher.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "mem.h"
#include "provenance.h"
#include "run.h"
#include "version.h"
#include "volume.h"

struct waiting {
	struct take take;
	struct timespec started;
	struct json *details;
	struct waiting *next;
};

struct finisher {
	struct tool *t;
	struct archive *writer;
	const char *title;
	struct waiting *first, *last;
	bool closing;
	struct err failed; /* the first failure; class ERR_NONE */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
};

int
finisher_print(struct tool *t, struct archive *a, int64_t id, struct err *e)
{
	struct json *rec = NULL;
	int rc = catalogue_record(a->catalogue, id, &rec, e);

	if (rc == 1)
		rc = tool_emit_found(t, rec, e);
	json_free(rec);
	tool_flush();
	return rc == -1 ? -1 : 0;
}

static int
finish(struct finisher *f, struct waiting *w, struct err *e)
{
	struct provenance p = {
	    .tool = "rec-capture " REC_VERSION, .started = w->started, .details = w->details};
	struct audio_opts o = {0};
	struct measure m;
	struct run r = {0};
	int64_t id;
	int rc = -1;

	/* The other view is the other thread's. */
	w->take.a = f->writer;
	audio_measure_init(&m);
	if (run_open(&r, f->writer, "capture", e) == 0 && run_upgrade(&r, e) == 0 &&
	    volume_record(&r, e) == 0 &&
	    take_finish(&w->take, &r, f->title, &p, &o, &m, &id, e) == 0)
		rc = run_end(&r, m.problem.class != ERR_NONE, e);
	run_close(&r);
	audio_measure_free(&m);
	if (rc == -1)
		return err_prefix(e, "%s stays in %s (rec-capture recover takes it in)",
		    w->take.part, f->writer->paths[FOLDER_TEMP]);
	return finisher_print(f->t, f->writer, id, e);
}

static void
free_waiting(struct waiting *w)
{
	take_close(&w->take);
	json_free(w->details);
	free(w);
}

/* The first is what the tool ends with; the others would not be heard of. */
static void
fail(struct finisher *f, const struct err *e)
{
	if (f->failed.class == ERR_NONE)
		f->failed = *e;
	else
		tool_tell(f->t, NULL, "%s", e->text);
}

static void *
finish_all(void *arg)
{
	struct finisher *f = arg;
	struct waiting *w;
	struct err e;

	pthread_mutex_lock(&f->lock);
	for (;;) {
		while (f->first == NULL && !f->closing)
			pthread_cond_wait(&f->changed, &f->lock);
		if ((w = f->first) == NULL)
			break;
		if ((f->first = w->next) == NULL)
			f->last = NULL;
		pthread_mutex_unlock(&f->lock);
		if (finish(f, w, &e) == -1)
			fail(f, &e);
		free_waiting(w);
		pthread_mutex_lock(&f->lock);
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

struct finisher *
finisher_new(struct tool *t, struct archive *writer, const char *title, struct err *e)
{
	struct finisher *f = mem_new(1, sizeof *f, e);

	if (f == NULL)
		return NULL;
	*f = (struct finisher){.t = t, .writer = writer, .title = title};
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
	if ((errno = pthread_create(&f->thread, NULL, finish_all, f)) == 0)
		return f;
	err_sys(e, "starting a thread");
	free(f);
	return NULL;
}

int
finisher_add(struct finisher *f, struct take *take, struct timespec started, struct json *details,
    struct err *e)
{
	struct waiting *w = mem_new(1, sizeof *w, e);

	if (w == NULL) {
		take_close(take);
		json_free(details);
		return -1;
	}
	*w = (struct waiting){.take = *take, .started = started, .details = details};
	*take = (struct take){.fd = -1};
	pthread_mutex_lock(&f->lock);
	if (f->last != NULL)
		f->last->next = w;
	else
		f->first = w;
	f->last = w;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
	return 0;
}

int
finisher_end(struct finisher *f, struct err *e)
{
	int rc;

	if (f == NULL)
		return 0;
	pthread_mutex_lock(&f->lock);
	f->closing = true;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
	rc = f->failed.class == ERR_NONE ? 0 : -1;
	if (rc == -1)
		*e = f->failed;
	free(f);
	return rc;
}
