#include "capture.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "io.h"
#include "mem.h"
#include "record.h"
#include "run.h"
#include "take.h"
#include "volume.h"

#define REFRESH_NS 500000000
#define SYNC_NS 2000000000
/* Kept free beyond the environment's minimum, for the header, the database and the journal. */
#define RESERVE_BYTES (UINT64_C(4) << 20)

struct waiting {
	struct take take;
	struct waiting *next;
};

/* The thread that finishes parts. */
struct finisher {
	struct capture *c;
	struct waiting *first, *last;
	bool closing, running;
	struct err failed; /* the first failure; class ERR_NONE */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
};

struct session {
	struct capture *c;
	struct intake *in;
	struct finisher finisher;
	bool open; /* a part is being written: */
	struct take take;
	struct encoder *encoder;
	uint64_t part_frames, true_frames; /* written; in the header, too */
	int64_t refreshed_ns, synced_ns;
	unsigned char *kept; /* converted samples */
	uint64_t kept_frames;
};

/* ---- events ---- */

static void event(const struct capture *c, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* {"event":NAME,"time":…,"frame":…, …}; what stands behind is JSON of our own. */
static void
event(const struct capture *c, const char *name, const char *fmt, ...)
{
	char now[CLOCK_TEXT_MAX], more[512];
	va_list args;

	if (!c->events)
		return;
	va_start(args, fmt);
	vsnprintf(more, sizeof more, fmt, args);
	va_end(args);
	fprintf(stderr, "{\"event\":\"%s\",\"time\":\"%s\",\"frame\":%llu%s}\n", name,
	    clock_rfc3339(clock_now(), now), (unsigned long long)c->frames, more);
}

/* ---- finishing parts ---- */

static int
print_record(struct tool *t, struct archive *a, int64_t id, struct err *e)
{
	struct json *rec = NULL;
	int rc = catalogue_record(a->catalogue, id, &rec, e);

	if (rc == 1)
		rc = tool_emit_found(t, rec, e);
	json_free(rec);
	tool_idle(t);
	return rc == -1 ? -1 : 0;
}

/* A run of its own for each part: between parts nobody is kept waiting for the lock. */
static int
finish_part(struct capture *c, struct take *t, struct err *e)
{
	struct audio_opts o = {0};
	struct measure m;
	struct run r = {0};
	int64_t id;
	int rc = -1;

	/* The other view is the other thread's. */
	t->a = c->writer;
	audio_measure_init(&m);
	if (run_open(&r, c->writer, "capture", e) == 0 && run_upgrade(&r, e) == 0 &&
	    volume_record(&r, e) == 0 && take_finish(t, &r, c->title, &o, &m, &id, e) == 0)
		rc = run_end(&r, m.problem.class != ERR_NONE, e);
	run_close(&r);
	audio_measure_free(&m);
	if (rc == -1)
		return err_prefix(e, "%s stays in %s (rec-capture recover takes it in)",
		    t->part != NULL ? t->part : "the recording", c->writer->paths[FOLDER_TEMP]);
	return print_record(c->t, c->writer, id, e);
}

static void *
finish_parts(void *arg)
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
		if (finish_part(f->c, &w->take, &e) == -1 && f->failed.class == ERR_NONE)
			f->failed = e;
		take_close(&w->take);
		free(w);
		pthread_mutex_lock(&f->lock);
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

static int
finisher_start(struct finisher *f, struct capture *c, struct err *e)
{
	*f = (struct finisher){.c = c};
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
	if ((errno = pthread_create(&f->thread, NULL, finish_parts, f)) != 0)
		return err_sys(e, "starting a thread");
	f->running = true;
	return 0;
}

/* Takes the part over. */
static int
finisher_add(struct finisher *f, struct take *t, struct err *e)
{
	struct waiting *w = mem_new(1, sizeof *w, e);

	if (w == NULL)
		return -1;
	w->take = *t;
	*t = (struct take){.fd = -1};
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

/* Waits until all are finished; -1 and *e with the first failure. */
static int
finisher_end(struct finisher *f, struct err *e)
{
	if (!f->running)
		return 0;
	pthread_mutex_lock(&f->lock);
	f->closing = true;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
	if (f->failed.class == ERR_NONE)
		return 0;
	*e = f->failed;
	return -1;
}

/* ---- the part at hand ---- */

static struct timespec
time_of_frame(const struct session *s)
{
	struct timespec t = intake_start(s->in);
	unsigned rate = s->c->encoder.rate_hz;
	uint64_t frames = s->c->frames;

	t.tv_sec += (time_t)(frames / rate);
	t.tv_nsec += (long)(frames % rate * 1000000000 / rate);
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

static int
begin_part(struct session *s, struct err *e)
{
	struct capture *c = s->c;

	c->encoder.start = time_of_frame(s);
	if (take_open(
		&s->take, c->a, c->encoder.start, encoder_extension(c->encoder.format), 0, e) == -1)
		return -1;
	s->open = true;
	if ((s->encoder = encoder_open(s->take.fd, &c->encoder, e)) == NULL)
		return -1;
	s->part_frames = s->true_frames = 0;
	s->refreshed_ns = s->synced_ns = clock_monotonic_ns();
	if (c->frames == 0)
		event(c, "start", ",\"part\":\"%s\"", s->take.part);
	return 0;
}

/* The part is complete, and somebody else's from here on; one without a frame is dropped. */
static int
end_part(struct session *s, struct err *e)
{
	int rc = 0;

	if (!s->open)
		return 0;
	s->open = false;
	if (s->encoder != NULL)
		rc = encoder_finish(s->encoder, e);
	s->encoder = NULL;
	if (s->part_frames == 0) {
		if (ftruncate(s->take.fd, 0) == -1 && rc == 0)
			rc = err_sys(e, "emptying %s", s->take.part);
		take_close(&s->take);
		return rc;
	}
	event(s->c, "part", ",\"part\":\"%s\",\"frames\":%llu", s->take.part,
	    (unsigned long long)s->part_frames);
	/* What is there is finished, even when the last of it could not be written. */
	if (finisher_add(&s->finisher, &s->take, e) == -1) {
		take_close(&s->take);
		return -1;
	}
	return rc;
}

static int
keep_true(struct session *s, struct err *e)
{
	int64_t now = clock_monotonic_ns();

	if (!s->open)
		return 0;
	/* By the clock, and by the audio, which may come faster. */
	if (s->part_frames > s->true_frames &&
	    (now - s->refreshed_ns >= REFRESH_NS ||
		s->part_frames - s->true_frames >= s->c->encoder.rate_hz / 2)) {
		if (encoder_refresh(s->encoder, e) == -1)
			return -1;
		s->refreshed_ns = now;
		s->true_frames = s->part_frames;
		if (archive_preflight_room(s->c->a, FOLDER_TEMP, RESERVE_BYTES, e) == -1)
			return -1;
	}
	if (now - s->synced_ns >= SYNC_NS) {
		if (fdatasync(s->take.fd) == -1)
			return err_sys(e, "making %s durable", s->take.part);
		s->synced_ns = now;
	}
	return 0;
}

/* ---- frames ---- */

/* Frames until the part or the recording is to end, at most n. */
static uint64_t
room(const struct session *s, uint64_t n)
{
	const struct capture *c = s->c;
	uint64_t frame_bytes = c->encoder.channels * (c->encoder.kept.bits / 8), used, left;

	if (c->max_frames != 0 && c->max_frames - c->frames < n)
		n = c->max_frames - c->frames;
	if (c->split_frames != 0 && c->split_frames - s->part_frames < n)
		n = c->split_frames - s->part_frames;
	if (c->split_bytes != 0) {
		used = encoder_bytes(s->encoder) + encoder_margin(c->encoder.format);
		left = used < c->split_bytes ? (c->split_bytes - used) / frame_bytes : 0;
		n = left < n ? left : n;
	}
	return n;
}

/* n kept frames into parts. */
static int
write_kept(struct session *s, const unsigned char *p, uint64_t n, struct err *e)
{
	struct capture *c = s->c;
	uint64_t frame_bytes = c->encoder.channels * (c->encoder.kept.bits / 8), now;

	while (n > 0 && (c->max_frames == 0 || c->frames < c->max_frames)) {
		if (!s->open && begin_part(s, e) == -1)
			return -1;
		if ((now = room(s, n)) == 0) {
			if (end_part(s, e) == -1)
				return -1;
			continue;
		}
		if (encoder_write(s->encoder, p, now, e) == -1)
			return -1;
		s->part_frames += now;
		c->frames += now;
		p += now * frame_bytes;
		n -= now;
	}
	return 0;
}

static int
write_frames(struct session *s, const void *p, uint64_t n, struct err *e)
{
	const struct capture *c = s->c;
	size_t frame_bytes = c->encoder.channels * (c->encoder.kept.bits / 8);
	unsigned char *grown;

	if (n > s->kept_frames) {
		if ((grown = realloc(s->kept, n * frame_bytes)) == NULL)
			return err_nomem(e);
		s->kept = grown;
		s->kept_frames = n;
	}
	pcm_convert(c->in, p, n * c->encoder.channels, &c->encoder.kept, s->kept);
	return write_kept(s, s->kept, n, e);
}

/* Silence in the place of what was lost, so that time stays true. */
static int
fill_gap(struct session *s, uint64_t frames, struct err *e)
{
	static const unsigned char silence[65536];
	uint64_t frame_bytes = s->c->encoder.channels * (s->c->encoder.kept.bits / 8);
	uint64_t most = sizeof silence / frame_bytes;

	for (; frames > 0; frames -= frames < most ? frames : most)
		if (write_kept(s, silence, frames < most ? frames : most, e) == -1)
			return -1;
	return 0;
}

static int
take_chunk(struct session *s, const struct intake_chunk *ch, struct err *e)
{
	struct capture *c = s->c;

	switch (ch->kind) {
	case INTAKE_FRAMES:
		return write_frames(s, ch->p, ch->frames, e);
	case INTAKE_GAP:
		if (ch->frames > 0)
			event(c, "overrun", ",\"frames\":%llu", (unsigned long long)ch->frames);
		else
			event(c, "overrun", ",\"frames\":null");
		if (!c->events)
			tool_tell(c->t, NULL, "overrun at frame %llu: %llu frames were lost%s",
			    (unsigned long long)c->frames, (unsigned long long)ch->frames,
			    c->fill ? ", silence is in their place" : "");
		return c->fill ? fill_gap(s, ch->frames, e) : 0;
	default:
		return 0;
	}
}

/* Until the end: 0, or -1 and *e with what went wrong. */
static int
record(struct session *s, struct err *e)
{
	struct capture *c = s->c;
	struct intake_chunk ch;

	while (c->max_frames == 0 || c->frames < c->max_frames) {
		if (intake_next(s->in, &ch) == INTAKE_END) {
			if (ch.rest_bytes > 0)
				tool_tell(c->t, NULL,
				    "the last %llu bytes are no whole frame and were left out",
				    (unsigned long long)ch.rest_bytes);
			if (ch.why.class == ERR_NONE)
				return 0;
			event(c, "lost", "%s", "");
			*e = ch.why;
			return -1;
		}
		if (take_chunk(s, &ch, e) == -1 || keep_true(s, e) == -1) {
			if (e->sys == ENOSPC ||
			    (e->code != NULL && strcmp(e->code, P_NO_SPACE) == 0))
				event(c, "no_space", "%s", "");
			return -1;
		}
	}
	return 0;
}

int
capture_run(struct capture *c, struct intake *in, struct err *e)
{
	struct session s = {.c = c, .in = in, .take = {.fd = -1}};
	struct err later;
	int rc;

	c->frames = 0;
	if (finisher_start(&s.finisher, c, e) == -1)
		return -1;
	rc = record(&s, e);
	if (end_part(&s, rc == -1 ? &later : e) == -1)
		rc = -1;
	if (finisher_end(&s.finisher, rc == -1 ? &later : e) == -1)
		rc = -1;
	free(s.kept);
	event(c, "stop", "%s", "");
	if (rc == -1 && e->class == ERR_ITEM)
		e->class = ERR_SYSTEM;
	if (rc == 0 && c->frames == 0)
		return err_set(e, ERR_SYSTEM, P_EMPTY, "nothing came: no recording was made");
	return rc;
}

/* ---- recovering ---- */

struct telling {
	struct tool *t;
	struct archive *a;
	bool print;
};

static int
tell_recovered(void *ctx, const char *part, int64_t id, const struct err *problem, struct err *e)
{
	struct telling *tell = ctx;
	struct json *rec;
	char *path;
	int rc = -1;

	if (id != 0) {
		tool_tell(
		    tell->t, part, "was left by a crash, and is recording %lld now", (long long)id);
		return tell->print ? print_record(tell->t, tell->a, id, e) : 0;
	}
	if (!tell->print) {
		tool_tell(tell->t, part, "was left by a crash, and stays: %s",
		    problem != NULL ? problem->text : "");
		return 0;
	}
	path = mem_fmt(e, "%s/%s", tell->a->paths[FOLDER_TEMP], part);
	rec = path == NULL ? NULL : json_new_object(e);
	if (rec != NULL && json_put_bytes(rec, "path", path, strlen(path), e) == 0 &&
	    (problem == NULL || record_put_problem(rec, problem, e) == 0))
		rc = tool_emit_found(tell->t, rec, e);
	json_free(rec);
	free(path);
	return rc;
}

static int
count_part(void *ctx, const char *part, int64_t id, const struct err *problem, struct err *e)
{
	(void)part;
	(void)id;
	(void)problem;
	(void)e;
	++*(int64_t *)ctx;
	return 0;
}

int
capture_recover(struct tool *t, struct archive *writer, bool dry_run, bool print, struct err *e)
{
	struct telling tell = {.t = t, .a = writer, .print = print};
	struct audio_opts o = {.stop = &tool_stop};
	struct run r = {0};
	int64_t found = 0;
	int rc = -1;

	if (dry_run)
		return take_recover(writer, NULL, &o, tell_recovered, &tell, e);
	/* Nothing found, nothing begun: a run would change the schema of an archive. */
	if (!print && take_recover(writer, NULL, &o, count_part, &found, e) == -1)
		return -1;
	if (!print && found == 0)
		return 0;
	if (run_open(&r, writer, "capture", e) == 0 && run_upgrade(&r, e) == 0 &&
	    volume_record(&r, e) == 0 &&
	    take_recover(writer, &r, &o, tell_recovered, &tell, e) == 0)
		rc = run_end(&r, t->problems, e);
	run_close(&r);
	return rc;
}
