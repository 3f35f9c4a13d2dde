/*
 * The device is opened nonblocking, so that one that is in use is told of and not waited for, and
 * every wait is a poll of our own: snd_pcm_wait begins anew after a signal.
 *
 * Where a device is behind "plug" (as "default" is), ALSA would convert rate, channels and samples
 * without a word; the modes of open forbid all of it, so that the abilities that are told and the
 * frames that are kept are the hardware's.
 */
#include "device.h"

#include <math.h>
#include <string.h>

#ifdef REC_ALSA

#include <alsa/asoundlib.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "drift.h"
#include "mem.h"
#include "record.h"

#define OPEN_MODE                                                                                  \
	(SND_PCM_NONBLOCK | SND_PCM_NO_AUTO_RESAMPLE | SND_PCM_NO_AUTO_CHANNELS |                  \
	    SND_PCM_NO_AUTO_FORMAT | SND_PCM_NO_SOFTVOL)
#define WAIT_MS 100
#define BUFFER_US 2000000
#define PERIOD_US 50000
#define NS_PER_S 1000000000
/* A timestamp that is farther away from now is of another clock. */
#define SAME_CLOCK_NS (INT64_C(60) * NS_PER_S)

/* Widest first, and of two as wide the one that needs no swapping. */
static const struct {
	const char *name;
	snd_pcm_format_t alsa;
} formats[] = {
    {"f32le", SND_PCM_FORMAT_FLOAT_LE},
    {"f32be", SND_PCM_FORMAT_FLOAT_BE},
    {"s32le", SND_PCM_FORMAT_S32_LE},
    {"s32be", SND_PCM_FORMAT_S32_BE},
    {"s24le", SND_PCM_FORMAT_S24_3LE},
    {"s24be", SND_PCM_FORMAT_S24_3BE},
    {"s16le", SND_PCM_FORMAT_S16_LE},
    {"s16be", SND_PCM_FORMAT_S16_BE},
    {"u8", SND_PCM_FORMAT_U8},
};
#define N_FORMATS (sizeof formats / sizeof formats[0])

struct device {
	char *name;
	snd_pcm_t *pcm;
	snd_pcm_status_t *status;
	struct pollfd *fds;
	unsigned n_fds;
	const struct pcm_format *format;
	unsigned rate_hz;
	snd_pcm_uframes_t period;
	bool runs;
	struct timespec start;
	bool has_start;
	/* When the next frame to be read was captured, on the monotonic clock. */
	int64_t next_ns;
	bool knows_next;
	uint64_t read_frames;
	struct drift drift;
};

struct stop {
	bool (*stopped)(void *ctx);
	void *ctx;
};

struct abilities {
	unsigned rate_min, rate_max, channels_min, channels_max;
	bool has[N_FORMATS];
};

static void
say_nothing(const char *file, int line, const char *function, int err, const char *fmt, ...)
{
	(void)file;
	(void)line;
	(void)function;
	(void)err;
	(void)fmt;
}

static int
open_pcm(snd_pcm_t **pcm, const char *name, struct err *e)
{
	int err;

	snd_lib_error_set_handler(say_nothing);
	err = snd_pcm_open(pcm, name, SND_PCM_STREAM_CAPTURE, OPEN_MODE);
	if (err == 0)
		return 0;
	*pcm = NULL;
	switch (-err) {
	case ENOMEM:
		return err_nomem(e);
	case EBUSY:
		return err_item(e, P_BUSY, "device \"%s\" is in use by another program", name);
	case EACCES:
	case EPERM:
		return err_item(e, P_DENIED,
		    "no access to device \"%s\"; on most systems the group \"audio\" has it", name);
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return err_item(e, P_MISSING,
		    "there is no capture device \"%s\"; \"rec-capture devices\" lists them", name);
	default:
		return err_item(
		    e, P_UNREADABLE, "opening device \"%s\": %s", name, snd_strerror(err));
	}
}

/* ---- what a device can do ---- */

/* All that the device can do as it is, in interleaved frames. */
static int
whole_space(snd_pcm_t *pcm, snd_pcm_hw_params_t *hw)
{
	int err = snd_pcm_hw_params_any(pcm, hw);

	if (err >= 0)
		err = snd_pcm_hw_params_set_rate_resample(pcm, hw, 0);
	if (err >= 0)
		err = snd_pcm_hw_params_set_access(pcm, hw, SND_PCM_ACCESS_RW_INTERLEAVED);
	return err;
}

static int
ask(snd_pcm_t *pcm, const char *name, struct abilities *a, struct err *e)
{
	snd_pcm_hw_params_t *hw;
	int err;

	snd_pcm_hw_params_alloca(&hw);
	err = whole_space(pcm, hw);
	if (err < 0)
		return err_item(e, P_UNSUPPORTED, "device \"%s\" gives no interleaved frames: %s",
		    name, snd_strerror(err));
	if (snd_pcm_hw_params_get_rate_min(hw, &a->rate_min, NULL) < 0 ||
	    snd_pcm_hw_params_get_rate_max(hw, &a->rate_max, NULL) < 0 ||
	    snd_pcm_hw_params_get_channels_min(hw, &a->channels_min) < 0 ||
	    snd_pcm_hw_params_get_channels_max(hw, &a->channels_max) < 0)
		return err_item(
		    e, P_UNSUPPORTED, "device \"%s\" does not say what it can do", name);
	for (size_t i = 0; i < N_FORMATS; i++)
		a->has[i] = snd_pcm_hw_params_test_format(pcm, hw, formats[i].alsa) == 0;
	return 0;
}

static int
add_range(struct buf *b, const char *what, unsigned lo, unsigned hi, struct err *e)
{
	if (lo == hi)
		return buf_addf(b, e, "%s %u", what, lo);
	return buf_addf(b, e, "%s %u to %u", what, lo, hi);
}

static int
add_abilities(struct buf *b, const struct abilities *a, struct err *e)
{
	bool any = false;

	if (add_range(b, "rates in Hz:", a->rate_min, a->rate_max, e) == -1 ||
	    add_range(b, "; channels:", a->channels_min, a->channels_max, e) == -1 ||
	    buf_adds(b, "; formats:", e) == -1)
		return -1;
	for (size_t i = 0; i < N_FORMATS; i++)
		if (a->has[i]) {
			any = true;
			if (buf_addf(b, e, " %s", formats[i].name) == -1)
				return -1;
		}
	return any ? 0 : buf_adds(b, " none that is known here", e);
}

static int
refuse(const struct device_opts *o, const struct abilities *a, struct err *e)
{
	struct buf wanted = {0}, has = {0};
	int rc;

	rc = o->format != NULL
		 ? buf_addf(&wanted, e, "format %s", o->format->name)
		 : buf_addf(&wanted, e, "a format that a file of %u bits%s keeps whole", o->bits,
		       o->is_float ? " float" : "");
	if (rc == 0 && add_abilities(&has, a, e) == 0)
		err_item(e, P_UNSUPPORTED,
		    "device \"%s\" does not give %u Hz with %u channels in %s; it has %s", o->name,
		    o->rate_hz, o->channels, wanted.data, has.data);
	buf_free(&wanted);
	buf_free(&has);
	return -1;
}

/* The one that was asked for, or the widest that is kept whole; -1 when the device has it not. */
static int
choose_format(const struct device_opts *o, const struct abilities *a)
{
	struct pcm_kept kept = {.bits = o->bits, .is_float = o->is_float};
	struct err ignored;

	for (size_t i = 0; i < N_FORMATS; i++) {
		const char *name = formats[i].name;

		if (!a->has[i])
			continue;
		if (o->format != NULL ? strcmp(name, o->format->name) == 0
				      : pcm_check(pcm_format(name, &ignored), &kept, &ignored) == 0)
			return (int)i;
	}
	return -1;
}

/* ---- opening ---- */

/* Large buffers outlive a slow disk; the period is how late frames are seen. */
static int
set_sizes(struct device *d, snd_pcm_hw_params_t *hw)
{
	unsigned buffer_us = BUFFER_US, period_us = PERIOD_US;
	int err = snd_pcm_hw_params_set_buffer_time_near(d->pcm, hw, &buffer_us, NULL);

	if (err >= 0)
		err = snd_pcm_hw_params_set_period_time_near(d->pcm, hw, &period_us, NULL);
	if (err >= 0)
		err = snd_pcm_hw_params(d->pcm, hw);
	if (err >= 0)
		err = snd_pcm_hw_params_get_period_size(hw, &d->period, NULL);
	return err;
}

static int
set_hardware(struct device *d, const struct device_opts *o, struct err *e)
{
	struct abilities a;
	snd_pcm_hw_params_t *hw;
	int i, err;

	if (ask(d->pcm, o->name, &a, e) == -1)
		return -1;
	i = choose_format(o, &a);
	snd_pcm_hw_params_alloca(&hw);
	if (i == -1 || whole_space(d->pcm, hw) < 0 ||
	    snd_pcm_hw_params_set_format(d->pcm, hw, formats[i].alsa) < 0 ||
	    snd_pcm_hw_params_set_channels(d->pcm, hw, o->channels) < 0 ||
	    snd_pcm_hw_params_set_rate(d->pcm, hw, o->rate_hz, 0) < 0)
		return refuse(o, &a, e);
	err = set_sizes(d, hw);
	if (err == -EBUSY)
		return err_item(e, P_BUSY, "device \"%s\" is in use by another program", o->name);
	if (err < 0)
		return err_item(
		    e, P_UNSUPPORTED, "setting up device \"%s\": %s", o->name, snd_strerror(err));
	d->rate_hz = o->rate_hz;
	drift_start(&d->drift, d->rate_hz);
	d->format = pcm_format(formats[i].name, e);
	return d->format != NULL ? 0 : -1;
}

static int
set_software(struct device *d, struct err *e)
{
	snd_pcm_sw_params_t *sw;
	snd_pcm_uframes_t boundary;
	int err;

	snd_pcm_sw_params_alloca(&sw);
	if ((err = snd_pcm_sw_params_current(d->pcm, sw)) < 0 ||
	    (err = snd_pcm_sw_params_set_avail_min(d->pcm, sw, d->period)) < 0 ||
	    (err = snd_pcm_sw_params_get_boundary(sw, &boundary)) < 0 ||
	    (err = snd_pcm_sw_params_set_start_threshold(d->pcm, sw, boundary)) < 0)
		goto fail;
	/* Not every plugin has them; the clock of a timestamp is looked at when it is used. */
	snd_pcm_sw_params_set_tstamp_mode(d->pcm, sw, SND_PCM_TSTAMP_ENABLE);
	snd_pcm_sw_params_set_tstamp_type(d->pcm, sw, SND_PCM_TSTAMP_TYPE_MONOTONIC);
	if ((err = snd_pcm_sw_params(d->pcm, sw)) >= 0)
		return 0;
fail:
	return err_item(
	    e, P_UNSUPPORTED, "setting up device \"%s\": %s", d->name, snd_strerror(err));
}

static int
set_polling(struct device *d, struct err *e)
{
	int n = snd_pcm_poll_descriptors_count(d->pcm);

	if (n <= 0)
		return err_item(e, P_UNSUPPORTED, "device \"%s\" cannot be waited for", d->name);
	d->n_fds = (unsigned)n;
	d->fds = mem_new(d->n_fds, sizeof *d->fds, e);
	if (d->fds == NULL)
		return -1;
	if (snd_pcm_status_malloc(&d->status) < 0)
		return err_nomem(e);
	return 0;
}

struct device *
device_open(const struct device_opts *o, struct err *e)
{
	struct device *d = mem_new(1, sizeof *d, e);

	if (d == NULL)
		return NULL;
	d->name = mem_str(o->name, e);
	if (d->name == NULL || open_pcm(&d->pcm, o->name, e) == -1 || set_hardware(d, o, e) == -1 ||
	    set_software(d, e) == -1 || set_polling(d, e) == -1) {
		device_close(d);
		return NULL;
	}
	return d;
}

const struct pcm_format *
device_format(const struct device *d)
{
	return d->format;
}

unsigned
device_period_frames(const struct device *d)
{
	return (unsigned)d->period;
}

void
device_close(struct device *d)
{
	if (d == NULL)
		return;
	if (d->pcm != NULL)
		snd_pcm_close(d->pcm);
	if (d->status != NULL)
		snd_pcm_status_free(d->status);
	free(d->fds);
	free(d->name);
	free(d);
}

/* ---- when frames were captured ---- */

static int64_t
to_ns(struct timespec t)
{
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static struct timespec
from_ns(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
}

static int64_t
frames_ns(const struct device *d, uint64_t frames)
{
	return (int64_t)(frames * NS_PER_S / d->rate_hz);
}

static bool
is_near(int64_t a, int64_t b)
{
	return a - b < SAME_CLOCK_NS && b - a < SAME_CLOCK_NS;
}

/*
 * When the next frame to be read was captured: the time of the last look at the hardware minus what
 * it held back then. A plugin may stamp with the real-time clock, or not at all, whatever it was
 * told; which one it was shows in the distance from now.
 */
static bool
look_at_clock(struct device *d, int64_t *next_ns)
{
	int64_t monotonic = clock_monotonic_ns(), real = to_ns(clock_now()), at;
	snd_htimestamp_t stamp;
	snd_pcm_sframes_t held, delay;

	/* Of a device that stopped meanwhile the stamp tells when it was asked. */
	if (snd_pcm_status(d->pcm, d->status) < 0 ||
	    snd_pcm_status_get_state(d->status) != SND_PCM_STATE_RUNNING)
		return false;
	snd_pcm_status_get_htstamp(d->status, &stamp);
	at = to_ns(stamp);
	if (!is_near(at, monotonic))
		at -= real - monotonic;
	if (!is_near(at, monotonic))
		return false;
	held = (snd_pcm_sframes_t)snd_pcm_status_get_avail(d->status);
	delay = snd_pcm_status_get_delay(d->status);
	if (delay > held)
		held = delay;
	*next_ns = at - frames_ns(d, (uint64_t)held);
	return true;
}

/* n frames were read. */
static void
keep_time(struct device *d, uint64_t n)
{
	int64_t read_ns = frames_ns(d, n), first_ns;

	d->read_frames += n;
	if (look_at_clock(d, &d->next_ns)) {
		d->knows_next = true;
		drift_add(&d->drift, d->read_frames, d->next_ns);
	} else {
		d->next_ns += read_ns;
	}
	if (d->has_start)
		return;
	first_ns = (d->knows_next ? d->next_ns : clock_monotonic_ns()) - read_ns;
	d->start = from_ns(to_ns(clock_now()) - (clock_monotonic_ns() - first_ns));
	d->has_start = true;
}

struct timespec
device_start(const struct device *d)
{
	return d->start;
}

double
device_drift_ppm(const struct device *d)
{
	double ppm;

	return drift_ppm(&d->drift, &ppm) ? ppm : NAN;
}

/* ---- reading ---- */

static enum device_event
lost(const struct device *d, int err, struct err *e)
{
	err_item(e, P_MISSING, "device \"%s\" is gone: %s", d->name, snd_strerror(err));
	return DEVICE_LOST;
}

/* What the state says that a read would not always say. */
static int
state_error(const struct device *d)
{
	switch (snd_pcm_state(d->pcm)) {
	case SND_PCM_STATE_XRUN:
		return -EPIPE;
	case SND_PCM_STATE_SUSPENDED:
		return -ESTRPIPE;
	case SND_PCM_STATE_DISCONNECTED:
		return -ENODEV;
	default:
		return 0;
	}
}

/* Up to WAIT_MS. 1: the device has frames to read; 0: ask it again; or a negative error. */
static int
wait_for_frames(struct device *d)
{
	unsigned short revents;
	int n, err;

	n = snd_pcm_poll_descriptors(d->pcm, d->fds, d->n_fds);
	if (n < 0)
		return n;
	n = poll(d->fds, (nfds_t)n, WAIT_MS);
	if (n == 0)
		return 0;
	if (n == -1)
		return errno == EINTR ? 0 : -errno;
	err = snd_pcm_poll_descriptors_revents(d->pcm, d->fds, d->n_fds, &revents);
	if (err < 0)
		return err;
	if (revents & (POLLERR | POLLHUP | POLLNVAL)) {
		err = state_error(d);
		return err < 0 ? err : -EIO;
	}
	return (revents & POLLIN) != 0;
}

/*
 * Frames into p, at most a period; 0 when it is to stop; or a negative error. Less than a period is
 * read when the device says so, and when it has not come further for WAIT_MS: then it has stalled.
 * A plugin's timer may end every poll before its time, so the clock tells.
 */
static snd_pcm_sframes_t
read_frames(struct device *d, void *p, const struct stop *stop)
{
	snd_pcm_sframes_t n, period = (snd_pcm_sframes_t)d->period;
	int64_t began_ns = clock_monotonic_ns();
	int ready = 0;

	while (!stop->stopped(stop->ctx)) {
		n = snd_pcm_avail_update(d->pcm);
		if (n >= 0 && state_error(d) < 0)
			n = state_error(d);
		if (n >= period || (n > 0 && ready))
			n = snd_pcm_readi(d->pcm, p, (snd_pcm_uframes_t)(n < period ? n : period));
		else if (n > 0)
			n = 0;
		if (n != 0 && n != -EAGAIN && n != -EINTR)
			return n;
		ready = wait_for_frames(d);
		if (ready < 0)
			return ready;
		if (clock_monotonic_ns() - began_ns >= WAIT_MS * INT64_C(1000000))
			ready = 1;
	}
	return 0;
}

/* A card that sleeps wakes up when it likes; false when it is to stop meanwhile. */
static bool
wake_up(struct device *d, const struct stop *stop)
{
	while (snd_pcm_resume(d->pcm) == -EAGAIN) {
		if (stop->stopped(stop->ctx))
			return false;
		poll(NULL, 0, WAIT_MS);
	}
	/* Not every driver goes on by itself; from here all of them start anew. */
	snd_pcm_drop(d->pcm);
	return true;
}

/*
 * Runs again after an overrun or a sleep. Frames lost are counted from one timestamp to the next,
 * not from the beginning: the card's clock drifts away from ours by many frames an hour. During a
 * sleep the monotonic clock stands still, and nobody knows.
 */
static enum device_event
run_again(struct device *d, int why, uint64_t *frames, const struct stop *stop, struct err *e)
{
	bool counts = d->knows_next && why == -EPIPE;
	int64_t next_ns = d->next_ns;
	int err;

	drift_break(&d->drift);
	if (why == -ESTRPIPE && !wake_up(d, stop))
		return DEVICE_STOPPED;
	if ((err = snd_pcm_prepare(d->pcm)) < 0 || (err = snd_pcm_start(d->pcm)) < 0)
		return lost(d, err, e);
	d->knows_next = look_at_clock(d, &next_ns);
	if (counts && d->knows_next && next_ns > d->next_ns)
		*frames = (uint64_t)((double)(next_ns - d->next_ns) * d->rate_hz / NS_PER_S + 0.5);
	d->next_ns = next_ns;
	return DEVICE_OVERRUN;
}

enum device_event
device_read(struct device *d, void *p, uint64_t *frames, bool (*stopped)(void *ctx), void *ctx,
    struct err *e)
{
	struct stop stop = {stopped, ctx};
	snd_pcm_sframes_t n;
	int err;

	*frames = 0;
	if (!d->runs && ((err = snd_pcm_prepare(d->pcm)) < 0 || (err = snd_pcm_start(d->pcm)) < 0))
		return lost(d, err, e);
	d->runs = true;
	n = read_frames(d, p, &stop);
	if (n == 0)
		return DEVICE_STOPPED;
	if (n == -EPIPE || n == -ESTRPIPE)
		return run_again(d, (int)n, frames, &stop, e);
	if (n < 0)
		return lost(d, (int)n, e);
	*frames = (uint64_t)n;
	keep_time(d, *frames);
	return DEVICE_FRAMES;
}

/* ---- listing ---- */

static int
put_pair(struct json *rec, const char *key, unsigned lo, unsigned hi, struct err *e)
{
	char text[40];
	int n = snprintf(text, sizeof text, "[%u,%u]", lo, hi);
	struct json *pair = json_parse(text, (size_t)n, e);

	return pair != NULL ? json_put(rec, key, pair, e) : -1;
}

static int
put_abilities(struct json *rec, const struct abilities *a, struct err *e)
{
	struct json *names;

	if (put_pair(rec, "rates_hz", a->rate_min, a->rate_max, e) == -1 ||
	    put_pair(rec, "channels", a->channels_min, a->channels_max, e) == -1)
		return -1;
	names = json_new_array(e);
	if (names == NULL || json_put(rec, "formats", names, e) == -1)
		return -1;
	for (size_t i = 0; i < N_FORMATS; i++)
		if (a->has[i] && json_append_str(names, formats[i].name, e) == -1)
			return -1;
	return 0;
}

/* Plugins of others talk, past ALSA's handler of errors. The descriptor to go back to, or -1. */
static int
silence_stderr(void)
{
	int real = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	fflush(stderr);
	if (real != -1 && null != -1)
		dup2(null, STDERR_FILENO);
	if (null != -1)
		close(null);
	return real;
}

static void
restore_stderr(int real)
{
	if (real == -1)
		return;
	fflush(stderr);
	dup2(real, STDERR_FILENO);
	close(real);
}

static int
put_device(struct json *rec, const char *name, char *description, struct err *e)
{
	struct abilities a;
	struct err problem;
	snd_pcm_t *pcm;
	int real, rc;

	if (json_put_bytes(rec, "name", name, strlen(name), e) == -1)
		return -1;
	for (char *p = description; p != NULL && *p != '\0'; p++)
		if (*p == '\n')
			*p = ' ';
	if (description == NULL)
		rc = json_put_null(rec, "description", e);
	else
		rc = json_put_bytes(rec, "description", description, strlen(description), e);
	if (rc == -1)
		return -1;
	real = silence_stderr();
	rc = open_pcm(&pcm, name, &problem);
	if (rc == 0)
		rc = ask(pcm, name, &a, &problem);
	if (pcm != NULL)
		snd_pcm_close(pcm);
	restore_stderr(real);
	return rc == 0 ? put_abilities(rec, &a, e) : record_put_problem(rec, &problem, e);
}

/* A hint without IOID is of a device for both directions. */
static int
list_hint(const void *hint, int (*each)(void *ctx, struct json *rec, struct err *e), void *ctx,
    struct err *e)
{
	char *name = snd_device_name_get_hint(hint, "NAME");
	char *description = snd_device_name_get_hint(hint, "DESC");
	char *direction = snd_device_name_get_hint(hint, "IOID");
	struct json *rec = NULL;
	int rc = 0;

	if (name != NULL && (direction == NULL || strcmp(direction, "Input") == 0)) {
		rec = json_new_object(e);
		rc = rec == NULL || put_device(rec, name, description, e) == -1 ? -1
										: each(ctx, rec, e);
	}
	json_free(rec);
	free(name);
	free(description);
	free(direction);
	return rc;
}

int
device_list(int (*each)(void *ctx, struct json *rec, struct err *e), void *ctx, struct err *e)
{
	void **hints;
	int rc = 0, err;

	snd_lib_error_set_handler(say_nothing);
	err = snd_device_name_hint(-1, "pcm", &hints);
	if (err < 0)
		return err_set(
		    e, ERR_SYSTEM, NULL, "asking ALSA for its devices: %s", snd_strerror(err));
	for (void **h = hints; *h != NULL && rc == 0; h++)
		rc = list_hint(*h, each, ctx, e);
	snd_device_name_free_hint(hints);
	return rc;
}

#else

static int
not_built(struct err *e)
{
	return err_set(e, ERR_SYSTEM, NULL,
	    "built without ALSA: no sound device can be opened; rec-capture --raw FORMAT - "
	    "records from a pipe");
}

struct device *
device_open(const struct device_opts *o, struct err *e)
{
	(void)o;
	not_built(e);
	return NULL;
}

const struct pcm_format *
device_format(const struct device *d)
{
	(void)d;
	return NULL;
}

unsigned
device_period_frames(const struct device *d)
{
	(void)d;
	return 0;
}

enum device_event
device_read(struct device *d, void *p, uint64_t *frames, bool (*stopped)(void *ctx), void *ctx,
    struct err *e)
{
	(void)d;
	(void)p;
	(void)stopped;
	(void)ctx;
	*frames = 0;
	not_built(e);
	return DEVICE_LOST;
}

struct timespec
device_start(const struct device *d)
{
	(void)d;
	return (struct timespec){0};
}

double
device_drift_ppm(const struct device *d)
{
	(void)d;
	return NAN;
}

void
device_close(struct device *d)
{
	(void)d;
}

int
device_list(int (*each)(void *ctx, struct json *rec, struct err *e), void *ctx, struct err *e)
{
	(void)each;
	(void)ctx;
	return not_built(e);
}

#endif
