/*
 * The ring holds chunks of one period each, in the order in which they came; gaps and the end are
 * chunks, too, so that what is told stands between the frames where it happened.
 */
#include "intake.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clock.h"
#include "mem.h"

#define RING_S 10
#define READER_NICE (-10)
#define PIPE_CHUNK_MS 50
#define WAIT_MS 200
/* What a pipe can still hold when a signal comes: it was heard, so it is recorded. */
#define DRAIN_BYTES (1 << 20)

struct slot {
	enum intake_kind kind;
	uint64_t frames;
	struct err why;
	uint64_t rest_bytes;
	unsigned char *p;
};

struct intake {
	struct device *device; /* NULL: a pipe */
	int fd;
	const atomic_int *stop;
	unsigned frame_bytes;
	uint64_t period; /* frames a slot */
	struct slot *slots;
	unsigned n, head, used; /* head: the next to hand out */
	bool held;		/* the slot before head is still borrowed */
	uint64_t overrun;	/* frames that found the ring full */
	atomic_bool closing;
	bool started, running;
	struct timespec start;
	double drift_ppm;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
};

/* ---- the thread ---- */

static struct timespec
in_ms(unsigned ms)
{
	struct timespec t = clock_now();

	t.tv_nsec += (long)ms * 1000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

/* A free slot, waiting for one (not for a device: then NULL); the lock is held. */
static struct slot *
free_slot(struct intake *in)
{
	while (in->used + in->held >= in->n && in->device == NULL && !in->closing)
		pthread_cond_wait(&in->changed, &in->lock);
	if (in->used + in->held >= in->n || in->closing)
		return NULL;
	return &in->slots[(in->head + in->used) % in->n];
}

/* The one who tells the end must get in, and finds room as soon as there is any. */
static void
put_end(struct intake *in, const struct err *why, uint64_t rest_bytes)
{
	struct slot *s;

	pthread_mutex_lock(&in->lock);
	while (in->used + in->held >= in->n && !in->closing)
		pthread_cond_wait(&in->changed, &in->lock);
	if (!in->closing) {
		s = &in->slots[(in->head + in->used) % in->n];
		s->kind = INTAKE_END;
		s->frames = 0;
		s->why = *why;
		s->rest_bytes = rest_bytes;
		in->used++;
	}
	pthread_cond_broadcast(&in->changed);
	pthread_mutex_unlock(&in->lock);
}

static void
note_start(struct intake *in)
{
	if (in->started)
		return;
	in->started = true;
	in->start = in->device != NULL ? device_start(in->device) : clock_now();
}

static void
note_drift(struct intake *in)
{
	if (in->device != NULL)
		in->drift_ppm = device_drift_ppm(in->device);
}

/* frames from p, or a gap; what finds no room becomes part of the next gap. */
static void
put(struct intake *in, enum intake_kind kind, const void *p, uint64_t frames)
{
	struct slot *s;

	pthread_mutex_lock(&in->lock);
	if (in->overrun > 0 && (s = free_slot(in)) != NULL) {
		s->kind = INTAKE_GAP;
		s->frames = in->overrun;
		in->overrun = 0;
		in->used++;
	}
	if (in->overrun == 0 && (s = free_slot(in)) != NULL) {
		s->kind = kind;
		s->frames = frames;
		if (kind == INTAKE_FRAMES) {
			note_start(in);
			note_drift(in);
			memcpy(s->p, p, frames * in->frame_bytes);
		}
		in->used++;
	} else {
		in->overrun += frames;
	}
	pthread_cond_broadcast(&in->changed);
	pthread_mutex_unlock(&in->lock);
}

static bool
is_over(void *ctx)
{
	struct intake *in = ctx;

	return in->closing || atomic_load(in->stop) != 0;
}

static void
read_device(struct intake *in, unsigned char *p)
{
	struct err why = {0};
	uint64_t frames;

	while (!in->closing) {
		switch (device_read(in->device, p, &frames, is_over, in, &why)) {
		case DEVICE_FRAMES:
			put(in, INTAKE_FRAMES, p, frames);
			break;
		case DEVICE_OVERRUN:
			put(in, INTAKE_GAP, NULL, frames);
			break;
		case DEVICE_LOST:
			put_end(in, &why, 0);
			return;
		default:
			why.class = ERR_NONE;
			put_end(in, &why, 0);
			return;
		}
	}
}

/* What there is now: bytes, 0 at the end, -1 after waiting in vain. */
static ssize_t
read_some(struct intake *in, unsigned char *p, size_t len, int wait_ms, struct err *why)
{
	struct pollfd f = {.fd = in->fd, .events = POLLIN};
	ssize_t n;

	if (poll(&f, 1, wait_ms) <= 0)
		return -1;
	n = read(in->fd, p, len);
	if (n == -1 && (errno == EINTR || errno == EAGAIN))
		return -1;
	if (n == -1) {
		err_sys(why, "reading standard input");
		return 0;
	}
	return n;
}

static void
read_pipe(struct intake *in, unsigned char *p)
{
	size_t have = 0, want = (size_t)in->period * in->frame_bytes, drained = 0;
	struct err why = {0};
	bool over = false;

	while (!over && !in->closing) {
		bool stopping = is_over(in);
		ssize_t n = read_some(in, p + have, want - have, stopping ? 0 : WAIT_MS, &why);
		uint64_t frames;

		have += n > 0 ? (size_t)n : 0;
		drained += stopping && n > 0 ? (size_t)n : 0;
		over = n == 0 || (stopping && (n < 0 || drained >= DRAIN_BYTES));
		frames = have / in->frame_bytes;
		/* A slow feeder's frames are handed on as they come. */
		if (frames > 0 && (have == want || n <= 0 || over)) {
			put(in, INTAKE_FRAMES, p, frames);
			have -= (size_t)frames * in->frame_bytes;
			memmove(p, p + frames * in->frame_bytes, have);
		}
	}
	put_end(in, &why, have);
}

static void *
read_all(void *arg)
{
	struct intake *in = arg;
	struct err e;
	unsigned char *p = mem_new((size_t)in->period, in->frame_bytes, &e);

	/* Sound does not wait: where that is permitted, this thread goes first. */
	if (in->device != NULL)
		setpriority(PRIO_PROCESS, (id_t)gettid(), READER_NICE);
	if (p == NULL)
		put_end(in, &e, 0);
	else if (in->device != NULL)
		read_device(in, p);
	else
		read_pipe(in, p);
	free(p);
	return NULL;
}

/* ---- the other side ---- */

static struct intake *
open_intake(struct device *d, int fd, uint64_t period, unsigned rate_hz, unsigned frame_bytes,
    const atomic_int *stop, struct err *e)
{
	struct intake *in = mem_new(1, sizeof *in, e);
	unsigned n = (unsigned)((uint64_t)rate_hz * RING_S / period) + 4;

	if (in == NULL) {
		device_close(d);
		return NULL;
	}
	*in = (struct intake){.device = d,
	    .fd = fd,
	    .stop = stop,
	    .frame_bytes = frame_bytes,
	    .period = period,
	    .n = n,
	    .drift_ppm = NAN};
	pthread_mutex_init(&in->lock, NULL);
	pthread_cond_init(&in->changed, NULL);
	if ((in->slots = mem_new(n, sizeof in->slots[0], e)) == NULL)
		goto fail;
	for (unsigned i = 0; i < n; i++)
		if ((in->slots[i].p = mem_new((size_t)period, frame_bytes, e)) == NULL)
			goto fail;
	if ((errno = pthread_create(&in->thread, NULL, read_all, in)) != 0) {
		err_sys(e, "starting a thread");
		goto fail;
	}
	in->running = true;
	return in;
fail:
	intake_close(in);
	return NULL;
}

struct intake *
intake_device(struct device *d, const struct device_opts *o, const atomic_int *stop, struct err *e)
{
	return open_intake(d, -1, device_period_frames(d), o->rate_hz,
	    pcm_bytes(device_format(d)) * o->channels, stop, e);
}

struct intake *
intake_pipe(int fd, const struct pcm_format *format, unsigned rate_hz, unsigned channels,
    const atomic_int *stop, struct err *e)
{
	uint64_t period = (uint64_t)rate_hz * PIPE_CHUNK_MS / 1000;

	return open_intake(
	    NULL, fd, period > 0 ? period : 1, rate_hz, pcm_bytes(format) * channels, stop, e);
}

enum intake_kind
intake_next(struct intake *in, struct intake_chunk *c)
{
	struct timespec until = in_ms(WAIT_MS);
	const struct slot *s;

	*c = (struct intake_chunk){.kind = INTAKE_IDLE};
	pthread_mutex_lock(&in->lock);
	in->held = false;
	pthread_cond_broadcast(&in->changed);
	while (
	    in->used == 0 && pthread_cond_timedwait(&in->changed, &in->lock, &until) != ETIMEDOUT)
		;
	if (in->used > 0) {
		s = &in->slots[in->head];
		*c = (struct intake_chunk){.kind = s->kind,
		    .p = s->p,
		    .frames = s->frames,
		    .why = s->why,
		    .rest_bytes = s->rest_bytes};
		in->head = (in->head + 1) % in->n;
		in->used--;
		in->held = true;
	}
	pthread_mutex_unlock(&in->lock);
	return c->kind;
}

double
intake_drift(struct intake *in)
{
	double ppm;

	pthread_mutex_lock(&in->lock);
	ppm = in->drift_ppm;
	pthread_mutex_unlock(&in->lock);
	return ppm;
}

struct timespec
intake_start(const struct intake *in)
{
	return in->start;
}

void
intake_close(struct intake *in)
{
	if (in == NULL)
		return;
	pthread_mutex_lock(&in->lock);
	in->closing = true;
	pthread_cond_broadcast(&in->changed);
	pthread_mutex_unlock(&in->lock);
	if (in->running)
		pthread_join(in->thread, NULL);
	for (unsigned i = 0; in->slots != NULL && i < in->n; i++)
		free(in->slots[i].p);
	free(in->slots);
	pthread_cond_destroy(&in->changed);
	pthread_mutex_destroy(&in->lock);
	device_close(in->device);
	free(in);
}
