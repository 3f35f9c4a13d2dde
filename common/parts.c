#include "parts.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

#define REFRESH_NS 500000000
#define SYNC_NS 2000000000
/* Of a header of PCM. */
#define HEADER_BYTES (UINT64_C(64) << 10)
/* When the disk will be full so soon, somebody should know. */
#define LOW_S 300

static uint64_t
frame_bytes(const struct parts *p)
{
	return p->encoder.channels * (p->encoder.kept.bits / 8);
}

static bool
is_pcm(const struct parts *p)
{
	return p->encoder.format == ENCODER_WAV || p->encoder.format == ENCODER_W64;
}

/* What is known of the length of the part that begins; what is packed has no size beforehand. */
static uint64_t
bytes_to_reserve(const struct parts *p)
{
	uint64_t frames = p->known_frames < p->splitter.left ? p->known_frames : p->splitter.left;
	uint64_t bytes;

	if (p->known_frames == 0 || !is_pcm(p))
		return 0;
	if (!mem_mul(frames, frame_bytes(p), &bytes) || bytes > p->max_bytes - HEADER_BYTES)
		return p->max_bytes;
	return bytes + HEADER_BYTES;
}

static int
begin(struct parts *p, struct err *e)
{
	p->encoder.start = timeline_at(p->timeline, p->at);
	splitter_begin(&p->splitter, p->encoder.start);
	if (take_open(&p->take, p->a, p->encoder.start, encoder_extension(p->encoder.format),
		bytes_to_reserve(p), e) == -1)
		return -1;
	p->open = true;
	if ((p->writer = encoder_open(p->take.fd, &p->encoder, e)) == NULL)
		return -1;
	p->frames = p->true_frames = p->overruns = p->lost_frames = 0;
	p->refreshed_ns = p->synced_ns = clock_monotonic_ns();
	p->log->part = p->at;
	p->log->in_part = true;
	if (p->written == 0)
		eventlog_tell(p->log, "start", p->at, ",\"part\":\"%s\"", p->take.part);
	return 0;
}

static struct json *
details(struct parts *p, const char *why, struct err *e)
{
	uint64_t end = strcmp(why, "split") == 0 ? p->at : UINT64_MAX;
	struct json *d = json_new_object(e);
	double ppm = p->timeline->drift_ppm;

	if (d != NULL &&
	    json_put_bytes(d, "source", p->encoder.source, strlen(p->encoder.source), e) == 0 &&
	    json_put_real(d, "drift_ppm", round(ppm * 10) / 10, e) == 0 &&
	    json_put_int(d, "overruns", (int64_t)p->overruns, e) == 0 &&
	    json_put_int(d, "lost_frames", (int64_t)p->lost_frames, e) == 0 &&
	    json_put_str(d, "ended", why, e) == 0 && eventlog_take(p->log, end, d, e) == 0)
		return d;
	json_free(d);
	return NULL;
}

/* Nothing came after it was opened. */
static int
drop(struct parts *p, int rc, struct err *e)
{
	if (ftruncate(p->take.fd, 0) == -1 && rc == 0)
		rc = err_sys(e, "emptying %s", p->take.part);
	take_close(&p->take);
	return rc;
}

int
parts_end(struct parts *p, const char *why, struct err *e)
{
	struct json *d;
	int rc = 0;

	if (!p->open)
		return 0;
	p->open = false;
	p->ending(p->ctx);
	if (p->writer != NULL)
		rc = encoder_finish(p->writer, e);
	p->writer = NULL;
	if (p->frames == 0)
		return drop(p, rc, e);
	eventlog_tell(p->log, "part", p->at, ",\"part\":\"%s\",\"frames\":%llu", p->take.part,
	    (unsigned long long)p->frames);
	p->log->in_part = false;
	/* What is there is finished, even when the last of it could not be written. */
	if ((d = details(p, why, e)) == NULL) {
		take_close(&p->take);
		return -1;
	}
	return finisher_add(p->finisher, &p->take, p->encoder.start, d, e) == -1 ? -1 : rc;
}

/* How many of n frames the file has room for. */
static uint64_t
room(const struct parts *p, uint64_t n)
{
	uint64_t used = encoder_bytes(p->writer) + encoder_margin(p->encoder.format);
	uint64_t left = used < p->max_bytes ? (p->max_bytes - used) / frame_bytes(p) : 0;

	return left < n ? left : n;
}

static int
write_some(struct parts *p, const void *samples, uint64_t n, struct err *e)
{
	if (encoder_write(p->writer, samples, n, e) == -1)
		return -1;
	p->frames += n;
	p->written += n;
	p->at += n;
	p->known_frames -= p->known_frames < n ? p->known_frames : n;
	return 0;
}

int
parts_write(struct parts *p, const void *samples, uint64_t frames, struct err *e)
{
	const unsigned char *s = samples;
	uint64_t n;

	while (frames > 0) {
		if (p->open && splitter_is_due(&p->splitter) && parts_end(p, "split", e) == -1)
			return -1;
		if (!p->open && begin(p, e) == -1)
			return -1;
		if ((n = room(p, frames)) == 0) {
			if (parts_end(p, "split", e) == -1)
				return -1;
			continue;
		}
		n = splitter_take(&p->splitter, s, n);
		if (write_some(p, s, n, e) == -1)
			return -1;
		s += n * frame_bytes(p);
		frames -= n;
	}
	return 0;
}

void
parts_gap(struct parts *p, uint64_t frames)
{
	p->overruns++;
	p->lost_frames += frames;
}

/* ---- kept true ---- */

/* Of what is packed, as it was so far. */
static double
bytes_per_s(const struct parts *p)
{
	uint64_t bytes = frame_bytes(p);

	if (!is_pcm(p) && p->open && p->frames > p->encoder.rate_hz)
		return (double)encoder_bytes(p->writer) / (double)p->frames * p->encoder.rate_hz;
	return (double)bytes * p->encoder.rate_hz;
}

double
parts_left_s(const struct parts *p)
{
	struct err ignored;
	uint64_t bytes;

	if (archive_room(p->a, FOLDER_TEMP, &bytes, &ignored) == -1)
		return NAN;
	return bytes < PARTS_SPARE_BYTES ? 0 : (double)(bytes - PARTS_SPARE_BYTES) / bytes_per_s(p);
}

/* A recording whose end is known has its room from the start. */
static void
tell_when_low(struct parts *p)
{
	double left_s = parts_left_s(p);
	bool low = left_s < LOW_S && p->known_frames == 0;

	if (low && !p->low)
		eventlog_add(p->log, "disk_low", p->at, ",\"left_s\":%.0f", left_s);
	p->low = low;
}

int
parts_keep_true(struct parts *p, struct err *e)
{
	int64_t now = clock_monotonic_ns();

	if (!p->open)
		return 0;
	if (p->frames > p->true_frames &&
	    (p->true_frames == 0 || now - p->refreshed_ns >= REFRESH_NS ||
		p->frames - p->true_frames >= p->encoder.rate_hz / 2)) {
		if (encoder_refresh(p->writer, e) == -1)
			return -1;
		p->refreshed_ns = now;
		p->true_frames = p->frames;
		tell_when_low(p);
		if (archive_preflight_room(p->a, FOLDER_TEMP, PARTS_SPARE_BYTES, e) == -1)
			return -1;
	}
	if (now - p->synced_ns >= SYNC_NS) {
		if (fdatasync(p->take.fd) == -1)
			return err_sys(e, "making %s durable", p->take.part);
		p->synced_ns = now;
	}
	return 0;
}
