/*
 * Positions are frames of all that came, from 0: what was read, and silence that fills a gap. A
 * part begins at one of them; events name them.
 */
#include "capture.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "eventlog.h"
#include "finisher.h"
#include "mem.h"
#include "meter.h"
#include "parts.h"
#include "timeline.h"

#define NS_PER_S INT64_C(1000000000)
/* A channel of nothing but zeros for so long is dead. */
#define DEAD_S 5
#define LEVEL_NS NS_PER_S
#define DRAW_NS (NS_PER_S / 10)
#define RETRY_MS 1000
/* No frame comes any more: so long after its time a recording ends without one. */
#define LATE_S 2

struct session {
	struct capture *c;
	struct intake *in;
	struct timeline timeline;
	struct eventlog log;
	struct meter *meter;
	struct gate *gate; /* NULL: everything is recorded */
	struct parts parts;
	uint64_t heard; /* frames that came */
	int64_t told_ns, drawn_ns;
	char notice[64];     /* the latest event, for the terminal */
	unsigned char *kept; /* converted samples */
	uint64_t kept_frames;
};

static uint64_t
frame_bytes(const struct capture *c)
{
	return c->encoder.channels * (c->encoder.kept.bits / 8);
}

/* ---- the end ---- */

/* Frames until the recording is to end; UINT64_MAX: nobody knows. */
static uint64_t
left(const struct session *s)
{
	const struct capture *c = s->c;
	uint64_t n = UINT64_MAX, end;

	if (c->max_frames != 0)
		n = c->max_frames > s->heard ? c->max_frames - s->heard : 0;
	if (c->until.tv_sec != 0 && s->timeline.known) {
		end = timeline_frame(&s->timeline, c->until);
		end = end > s->heard ? end - s->heard : 0;
		n = end < n ? end : n;
	}
	return n;
}

static bool
is_over(const struct session *s)
{
	const struct timespec *until = &s->c->until;

	return left(s) == 0 || (until->tv_sec != 0 && clock_now().tv_sec > until->tv_sec + LATE_S);
}

/* ---- what a person sees ---- */

static double
seconds_left(const struct session *s)
{
	double disk_s = parts_left_s(&s->parts);
	uint64_t n = left(s);

	return n == UINT64_MAX ? disk_s : fmin(disk_s, (double)n / s->c->encoder.rate_hz);
}

/* By the name of its first member: JSON of NAN is null, and of silence too. */
static int
add_levels(const struct session *s, const struct meter_level *levels, struct buf *b, struct err *e)
{
	static const char *const names[] = {"peak_dbfs", "rms_dbfs", "clipped"};
	unsigned channels = s->c->encoder.channels;
	double v;
	int rc = 0;

	for (int i = 0; i < 3 && rc == 0; i++) {
		rc = buf_addf(b, e, ",\"%s\":[", names[i]);
		for (unsigned ch = 0; ch < channels && rc == 0; ch++) {
			v = i == 0   ? levels[ch].peak_dbfs
			    : i == 1 ? levels[ch].rms_dbfs
				     : (double)levels[ch].clipped;
			/* Adding zero makes a negative one positive. */
			rc = isfinite(v) ? buf_addf(b, e, "%s%.*f", ch > 0 ? "," : "", i < 2,
					       round(v * 10) / 10 + 0.0)
					 : buf_addf(b, e, "%snull", ch > 0 ? "," : "");
		}
		if (rc == 0)
			rc = buf_adds(b, "]", e);
	}
	return rc;
}

static int
tell_levels(struct session *s, struct err *e)
{
	struct meter_level *levels = mem_new(s->c->encoder.channels, sizeof *levels, e);
	double left_s = seconds_left(s);
	struct buf b = {0};
	int rc = -1;

	if (levels != NULL) {
		meter_take(s->meter, levels);
		rc = add_levels(s, levels, &b, e);
	}
	if (rc == 0)
		rc = isfinite(left_s) ? buf_addf(&b, e, ",\"left_s\":%.0f", left_s)
				      : buf_adds(&b, ",\"left_s\":null", e);
	if (rc == 0)
		eventlog_tell(&s->log, "level", s->heard, "%s", b.data);
	buf_free(&b);
	free(levels);
	return rc;
}

static int
draw(struct session *s, struct err *e)
{
	struct meter_facts f = {.elapsed_s = (double)s->heard / s->c->encoder.rate_hz,
	    .left_s = seconds_left(s),
	    .open = s->gate == NULL || gate_is_open(s->gate),
	    .notice = s->notice[0] != '\0' ? s->notice : NULL};
	struct buf line = {0};
	int rc = meter_line(s->meter, &f, tool_columns(), tool_is_utf8(), &line, e);

	if (rc == 0)
		tool_draw(s->c->t, line.data);
	buf_free(&line);
	return rc;
}

/* Levels and the meter, each when it is time. */
static int
show(struct session *s, struct err *e)
{
	int64_t now = clock_monotonic_ns();

	if (s->c->events && s->heard > 0 && now - s->told_ns >= LEVEL_NS) {
		s->told_ns = now;
		if (tell_levels(s, e) == -1)
			return -1;
	}
	if (tool_draws(s->c->t) && !s->c->events && now - s->drawn_ns >= DRAW_NS) {
		s->drawn_ns = now;
		return draw(s, e);
	}
	return 0;
}

static void
note_meter(void *ctx, const struct meter_event *event)
{
	static const char *const names[] = {[METER_CLIPPED] = "clipping",
	    [METER_DEAD] = "digital_silence",
	    [METER_ALIVE] = "sound"};
	struct session *s = ctx;
	const char *name = names[event->kind];
	unsigned channel = event->channel + 1;

	snprintf(s->notice, sizeof s->notice, "%s: channel %u", name, channel);
	if (event->kind == METER_CLIPPED)
		eventlog_add(&s->log, name, event->frame, ",\"channel\":%u,\"samples\":%llu",
		    channel, (unsigned long long)event->samples);
	else
		eventlog_add(&s->log, name, event->frame, ",\"channel\":%u", channel);
}

static void
flush_meter(void *ctx)
{
	struct session *s = ctx;

	meter_flush(s->meter, note_meter, s);
}

/* ---- voice activation ---- */

static int
open_gate(void *ctx, uint64_t frame, struct err *e)
{
	struct session *s = ctx;

	(void)e;
	s->parts.at = frame;
	eventlog_tell(&s->log, "voice", frame, "%s", "");
	return 0;
}

static int
write_through_gate(void *ctx, const void *samples, uint64_t frames, struct err *e)
{
	struct session *s = ctx;

	return parts_write(&s->parts, samples, frames, e);
}

static int
close_gate(void *ctx, uint64_t frame, struct err *e)
{
	struct session *s = ctx;

	eventlog_tell(&s->log, "quiet", frame, "%s", "");
	return parts_end(&s->parts, "quiet", e);
}

/* ---- frames ---- */

static int
hear(struct session *s, const unsigned char *p, uint64_t n, struct err *e)
{
	struct gate_sink sink = {s, open_gate, write_through_gate, close_gate};
	uint64_t most = left(s);

	n = n < most ? n : most;
	meter_add(s->meter, p, n, note_meter, s);
	s->heard += n;
	if (s->gate != NULL)
		return gate_add(s->gate, p, n, &sink, e);
	s->parts.at = s->heard - n;
	s->parts.known_frames = most == UINT64_MAX ? 0 : most;
	return parts_write(&s->parts, p, n, e);
}

static int
hear_frames(struct session *s, const void *p, uint64_t n, struct err *e)
{
	const struct capture *c = s->c;
	unsigned char *grown;

	if (!s->timeline.known)
		timeline_begin(&s->timeline, s->heard, intake_start(s->in));
	s->timeline.drift_ppm = intake_drift(s->in);
	if (n > s->kept_frames) {
		if ((grown = realloc(s->kept, n * frame_bytes(c))) == NULL)
			return err_nomem(e);
		s->kept = grown;
		s->kept_frames = n;
	}
	pcm_convert(c->in, p, n * c->encoder.channels, &c->encoder.kept, s->kept);
	return hear(s, s->kept, n, e);
}

/* Silence in the place of what was lost, so that time stays true. */
static int
fill_gap(struct session *s, uint64_t frames, struct err *e)
{
	static const unsigned char silence[65536];
	uint64_t most = sizeof silence / frame_bytes(s->c), n;

	for (; frames > 0; frames -= n) {
		n = frames < most ? frames : most;
		if (hear(s, silence, n, e) == -1)
			return -1;
	}
	return 0;
}

static int
hear_gap(struct session *s, uint64_t frames, struct err *e)
{
	struct capture *c = s->c;

	if (frames > 0)
		eventlog_add(
		    &s->log, "overrun", s->heard, ",\"frames\":%llu", (unsigned long long)frames);
	else
		eventlog_add(&s->log, "overrun", s->heard, "%s", ",\"frames\":null");
	snprintf(s->notice, sizeof s->notice, "overrun: %llu frames", (unsigned long long)frames);
	if (!c->events)
		tool_tell(c->t, NULL, "overrun at frame %llu: %llu frames were lost%s",
		    (unsigned long long)s->heard, (unsigned long long)frames,
		    c->fill ? ", silence is in their place" : "");
	parts_gap(&s->parts, frames);
	if (c->fill)
		return fill_gap(s, frames, e);
	if (s->gate != NULL)
		gate_break(s->gate);
	s->timeline.lost += frames;
	return 0;
}

/* ---- a device that is gone ---- */

/* Waits for it: 1 when it is back, 0 when the recording is over meanwhile, -1. */
static int
reconnect(struct session *s, struct err *e)
{
	struct capture *c = s->c;
	int64_t lost_ns = clock_monotonic_ns(), tried_ns = lost_ns;
	struct device *d;
	struct err why;

	intake_close(s->in);
	s->in = NULL;
	for (;;) {
		if (atomic_load(&tool_stop) != 0 || is_over(s))
			return 0;
		poll(NULL, 0, 100);
		if (clock_monotonic_ns() - tried_ns < RETRY_MS * INT64_C(1000000))
			continue;
		tried_ns = clock_monotonic_ns();
		if ((d = device_open(c->reconnect, &why)) != NULL)
			break;
		if (why.class != ERR_ITEM) {
			*e = why;
			return -1;
		}
	}
	c->in = device_format(d);
	if ((s->in = intake_device(d, c->reconnect, &tool_stop, e)) == NULL)
		return -1;
	s->timeline.known = false;
	if (s->gate != NULL)
		gate_break(s->gate);
	eventlog_tell(&s->log, "reconnected", s->heard, ",\"away_s\":%.1f",
	    (double)(clock_monotonic_ns() - lost_ns) / NS_PER_S);
	if (!c->events)
		tool_tell(c->t, NULL, "the device is back after %.1f s",
		    (double)(clock_monotonic_ns() - lost_ns) / NS_PER_S);
	return 1;
}

static int
device_lost(struct session *s, const struct err *why, struct err *e)
{
	eventlog_add(&s->log, "lost", s->heard, "%s", "");
	if (s->c->reconnect == NULL) {
		*e = *why;
		return -1;
	}
	tool_tell(s->c->t, NULL, "%s; waiting for it", why->text);
	return parts_end(&s->parts, "lost", e) == -1 ? -1 : reconnect(s, e);
}

/* ---- all of it ---- */

/* 1 to go on, 0 at the end, -1. */
static int
hear_chunk(struct session *s, struct err *e)
{
	struct intake_chunk ch;

	switch (intake_next(s->in, &ch)) {
	case INTAKE_FRAMES:
		return hear_frames(s, ch.p, ch.frames, e) == -1 ? -1 : 1;
	case INTAKE_GAP:
		return hear_gap(s, ch.frames, e) == -1 ? -1 : 1;
	case INTAKE_IDLE:
		return 1;
	default:
		if (ch.rest_bytes > 0)
			tool_tell(s->c->t, NULL,
			    "the last %llu bytes are no whole frame and were left out",
			    (unsigned long long)ch.rest_bytes);
		return ch.why.class == ERR_NONE ? 0 : device_lost(s, &ch.why, e);
	}
}

static int
record(struct session *s, struct err *e)
{
	int rc = 1;

	while (rc == 1 && !is_over(s)) {
		rc = hear_chunk(s, e);
		if (rc == 1 && (parts_keep_true(&s->parts, e) == -1 || show(s, e) == -1))
			rc = -1;
	}
	return rc == -1 ? -1 : 0;
}

static const char *
why_ended(const struct session *s, int rc, const struct err *e)
{
	if (rc == 0)
		return atomic_load(&tool_stop) != 0 ? "signal" : is_over(s) ? "time" : "end";
	if (e->sys == ENOSPC || (e->code != NULL && strcmp(e->code, P_NO_SPACE) == 0))
		return "no_space";
	return e->code != NULL && strcmp(e->code, P_MISSING) == 0 ? "lost" : "error";
}

static int
set_up(struct session *s, struct err *e)
{
	struct capture *c = s->c;
	struct meter_opts m = {.kept = c->encoder.kept,
	    .channels = c->encoder.channels,
	    .rate_hz = c->encoder.rate_hz,
	    .dead_frames = (uint64_t)DEAD_S * c->encoder.rate_hz};

	s->told_ns = s->drawn_ns = clock_monotonic_ns();
	s->log.tells = c->events;
	s->timeline.rate_hz = c->encoder.rate_hz;
	s->parts = (struct parts){.a = c->a,
	    .encoder = c->encoder,
	    .splitter = c->splitter,
	    .max_bytes = c->max_bytes,
	    .log = &s->log,
	    .timeline = &s->timeline,
	    .ending = flush_meter,
	    .ctx = s,
	    .take = {.fd = -1}};
	if ((s->meter = meter_open(&m, e)) == NULL ||
	    (c->voice && (s->gate = gate_new(&c->gate, e)) == NULL))
		return -1;
	s->parts.finisher = finisher_new(c->t, c->writer, c->title, e);
	return s->parts.finisher != NULL ? 0 : -1;
}

/* Everything that came is finished, whatever went wrong; *e is the first that did. */
static int
wind_up(struct session *s, int rc, struct err *e)
{
	const char *why = why_ended(s, rc, e);
	struct err later;

	flush_meter(s);
	if (s->c->events && s->heard > 0 && tell_levels(s, rc == -1 ? &later : e) == -1)
		rc = -1;
	if (strcmp(why, "no_space") == 0 || strcmp(why, "error") == 0)
		eventlog_add(&s->log, why, s->heard, "%s", "");
	if (parts_end(&s->parts, why, rc == -1 ? &later : e) == -1)
		rc = -1;
	if (finisher_end(s->parts.finisher, rc == -1 ? &later : e) == -1) {
		if (rc == -1)
			tool_tell(s->c->t, NULL, "%s", later.text);
		rc = -1;
	}
	eventlog_tell(&s->log, "stop", s->heard, ",\"why\":\"%s\"", why);
	if (rc == -1 && e->class == ERR_ITEM)
		e->class = ERR_SYSTEM;
	if (rc == 0 && s->heard == 0)
		rc = err_set(e, ERR_SYSTEM, P_EMPTY, "nothing came: no recording was made");
	return rc;
}

int
capture_run(struct capture *c, struct intake *in, struct err *e)
{
	struct session s = {.c = c, .in = in};
	int rc = set_up(&s, e);

	if (rc == 0)
		rc = wind_up(&s, record(&s, e), e);
	intake_close(s.in);
	gate_free(s.gate);
	meter_close(s.meter);
	eventlog_free(&s.log);
	free(s.kept);
	return rc;
}
