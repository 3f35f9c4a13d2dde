#include "gate.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"

struct gate {
	struct gate_opts o;
	uint64_t frame_bytes;
	bool is_open;
	uint64_t seen;	/* frames so far */
	uint64_t quiet; /* since the last one that was loud enough to stay open */
	/* The last frames while closed: a ring. */
	unsigned char *ring;
	uint64_t at, used; /* where the next one goes; frames in it */
};

struct gate *
gate_new(const struct gate_opts *o, struct err *e)
{
	struct gate *g = mem_new(1, sizeof *g, e);

	if (g == NULL)
		return NULL;
	g->o = *o;
	g->frame_bytes = o->channels * (o->kept.bits / 8);
	if (o->pre_frames > 0 &&
	    (g->ring = mem_new(o->pre_frames, (size_t)g->frame_bytes, e)) == NULL) {
		free(g);
		return NULL;
	}
	return g;
}

void
gate_free(struct gate *g)
{
	if (g != NULL)
		free(g->ring);
	free(g);
}

void
gate_break(struct gate *g)
{
	g->used = 0;
}

bool
gate_is_open(const struct gate *g)
{
	return g->is_open;
}

static void
keep(struct gate *g, const unsigned char *p, uint64_t n)
{
	uint64_t size = g->o.pre_frames, now;

	if (n > size) {
		p += (n - size) * g->frame_bytes;
		n = size;
	}
	g->used = g->used + n < size ? g->used + n : size;
	for (; n > 0; n -= now, p += now * g->frame_bytes) {
		now = size - g->at < n ? size - g->at : n;
		memcpy(g->ring + g->at * g->frame_bytes, p, now * g->frame_bytes);
		g->at = (g->at + now) % size;
	}
}

static int
hand_out_kept(struct gate *g, const struct gate_sink *sink, struct err *e)
{
	uint64_t size = g->o.pre_frames, left = g->used, from, now;

	for (; left > 0; left -= now) {
		from = (g->at + size - left) % size;
		now = size - from < left ? size - from : left;
		if (sink->write(sink->ctx, g->ring + from * g->frame_bytes, now, e) == -1)
			return -1;
	}
	g->used = 0;
	return 0;
}

/* Closed: up to the frame that opens it. How many were taken, or -1. */
static int64_t
wait_for_sound(
    struct gate *g, const unsigned char *p, uint64_t n, const struct gate_sink *sink, struct err *e)
{
	uint64_t loud = pcm_find_loud(&g->o.kept, p, n, g->o.channels, g->o.open_magnitude);

	keep(g, p, loud);
	g->seen += loud;
	if (loud == n)
		return (int64_t)n;
	g->is_open = true;
	g->quiet = 0;
	if (sink->open(sink->ctx, g->seen - g->used, e) == -1 || hand_out_kept(g, sink, e) == -1)
		return -1;
	return (int64_t)loud;
}

/* Open: up to the end, or where it has been quiet for too long. */
static int64_t
pass_on(
    struct gate *g, const unsigned char *p, uint64_t n, const struct gate_sink *sink, struct err *e)
{
	uint64_t done = 0, next;

	while (done < n && g->quiet < g->o.hang_frames) {
		next = pcm_find_loud(&g->o.kept, p + done * g->frame_bytes, n - done, g->o.channels,
		    g->o.close_magnitude);
		if (g->quiet + next >= g->o.hang_frames) {
			done += g->o.hang_frames - g->quiet;
			g->quiet = g->o.hang_frames;
		} else if (next == n - done) {
			g->quiet += next;
			done = n;
		} else {
			g->quiet = 0;
			done += next + 1;
		}
	}
	g->seen += done;
	if (sink->write(sink->ctx, p, done, e) == -1)
		return -1;
	if (g->quiet < g->o.hang_frames)
		return (int64_t)done;
	g->is_open = false;
	return sink->close(sink->ctx, g->seen, e) == -1 ? -1 : (int64_t)done;
}

int
gate_add(struct gate *g, const void *samples, uint64_t frames, const struct gate_sink *sink,
    struct err *e)
{
	const unsigned char *p = samples;
	int64_t done;

	for (; frames > 0; frames -= (uint64_t)done, p += (uint64_t)done * g->frame_bytes) {
		done = g->is_open ? pass_on(g, p, frames, sink, e)
				  : wait_for_sound(g, p, frames, sink, e);
		if (done == -1)
			return -1;
	}
	return 0;
}
