/*
 * rectest: an ALSA capture device for the tests, whose frames are a raw file's.
 *
 *	pcm.x { type rectest file "/abs/in.raw" rate 48000 channels 2 format S16_LE speed 1 }
 *
 * speed is a factor of real time, 0 (the default) runs as fast as it is read. At frame overrun_at
 * it stalls, and overrun_frames (of the file) later it reports an overrun once; at lost_at it is
 * gone, and makes the file `gone`; as long as this is there, it cannot be opened. Both when all
 * frames before have been read; a paced one waits for that no longer than a quarter of a second, as
 * some readers take whole periods only. Behind the end of the file nothing comes any more. A paced
 * device that nobody reads overruns its buffer of 64 KiB as a card does.
 *
 * Three things that ioplug wants: a lost device says so by its state and never by a negative
 * pointer, which is an overrun; its poll reports an error then; a free run moves on by less than a
 * buffer, else it seems not to move at all.
 */
#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES 65536
#define POLL_NS 2000000

struct rectest {
	snd_pcm_ioplug_t io;
	int fd, timer;
	unsigned frame_bytes;
	double speed;
	long rate, channels;
	long total, overrun_at, overrun_frames, lost_at; /* -1: never */
	long origin; /* the frame of the file that the stream started at */
	long ready;  /* frames before this one may be read */
	long next;   /* the next one to be read */
	int64_t start_ns;
	char *gone; /* owned; NULL: none */
};

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* How far the sound has come by now, whether it can be read or not. */
static long
position(const struct rectest *r)
{
	if (r->speed == 0)
		return r->next + (long)r->io.buffer_size / 2;
	return r->origin +
	       (long)((double)(now_ns() - r->start_ns) * 1e-9 * r->speed * (double)r->rate);
}

static void
make_gone(const struct rectest *r)
{
	int fd = r->gone != NULL ? open(r->gone, O_CREAT | O_CLOEXEC, 0600) : -1;

	if (fd != -1)
		close(fd);
}

static snd_pcm_sframes_t
rectest_pointer(snd_pcm_ioplug_t *io)
{
	struct rectest *r = io->private_data;
	long at = position(r), limit = r->total;
	bool late;

	if (io->state != SND_PCM_STATE_RUNNING)
		goto out;
	if (r->overrun_at >= 0 && r->overrun_at < limit)
		limit = r->overrun_at;
	if (r->lost_at >= 0 && r->lost_at < limit)
		limit = r->lost_at;
	late = r->speed != 0 && at >= limit + r->rate / 4;
	if (limit == r->overrun_at && (r->next == limit || late) &&
	    (r->speed == 0 || at >= limit + r->overrun_frames)) {
		r->next = limit + r->overrun_frames;
		r->overrun_at = -1;
		return -EPIPE;
	}
	if (limit == r->lost_at && (r->next == limit || late)) {
		make_gone(r);
		snd_pcm_ioplug_set_state(io, SND_PCM_STATE_DISCONNECTED);
		goto out;
	}
	r->ready = at < limit ? at : limit;
	if (r->ready - r->next >= (long)io->buffer_size) {
		r->next = r->ready;
		return -EPIPE;
	}
out:
	return (r->ready - r->origin) % (long)io->buffer_size;
}

static snd_pcm_sframes_t
rectest_transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas,
    snd_pcm_uframes_t offset, snd_pcm_uframes_t size)
{
	struct rectest *r = io->private_data;
	char *p = (char *)areas->addr + (areas->first + areas->step * offset) / 8;
	size_t len = size * r->frame_bytes;

	if (io->state == SND_PCM_STATE_DISCONNECTED)
		return -ENODEV;
	if (pread(r->fd, p, len, r->next * (long)r->frame_bytes) != (ssize_t)len)
		return -EIO;
	r->next += (long)size;
	return (snd_pcm_sframes_t)size;
}

static int
rectest_poll_revents(snd_pcm_ioplug_t *io, struct pollfd *fds, unsigned n, unsigned short *revents)
{
	snd_pcm_sframes_t avail;
	uint64_t ticks;

	(void)n;
	*revents = 0;
	if (read(fds->fd, &ticks, sizeof ticks) == -1 && errno != EAGAIN)
		return -errno;
	avail = snd_pcm_avail_update(io->pcm);
	if (avail < 0 || io->state == SND_PCM_STATE_DISCONNECTED)
		*revents = POLLERR | POLLHUP;
	else if (avail >= (snd_pcm_sframes_t)io->period_size)
		*revents = POLLIN;
	return 0;
}

static int
rectest_prepare(snd_pcm_ioplug_t *io)
{
	struct rectest *r = io->private_data;

	r->origin = r->ready = r->next;
	return 0;
}

static int
rectest_start(snd_pcm_ioplug_t *io)
{
	struct rectest *r = io->private_data;

	r->start_ns = now_ns();
	return 0;
}

static int
rectest_stop(snd_pcm_ioplug_t *io)
{
	(void)io;
	return 0;
}

static int
rectest_close(snd_pcm_ioplug_t *io)
{
	struct rectest *r = io->private_data;

	close(r->fd);
	close(r->timer);
	free(r->gone);
	free(r);
	return 0;
}

static const snd_pcm_ioplug_callback_t callbacks = {
    .start = rectest_start,
    .stop = rectest_stop,
    .pointer = rectest_pointer,
    .transfer = rectest_transfer,
    .prepare = rectest_prepare,
    .poll_revents = rectest_poll_revents,
    .close = rectest_close,
};

static int
open_files(struct rectest *r, const char *file)
{
	struct itimerspec every = {.it_interval.tv_nsec = POLL_NS, .it_value.tv_nsec = POLL_NS};
	struct stat st;

	if (r->gone != NULL && access(r->gone, F_OK) == 0)
		return -ENODEV;
	r->fd = open(file, O_RDONLY | O_CLOEXEC);
	r->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (r->fd == -1 || r->timer == -1 || fstat(r->fd, &st) == -1 ||
	    timerfd_settime(r->timer, 0, &every, NULL) == -1)
		return -errno;
	r->total = st.st_size / r->frame_bytes;
	return 0;
}

static int
allow(struct rectest *r, snd_pcm_format_t format)
{
	unsigned access = SND_PCM_ACCESS_RW_INTERLEAVED, rate = (unsigned)r->rate;
	unsigned channels = (unsigned)r->channels, sample = (unsigned)format;
	snd_pcm_ioplug_t *io = &r->io;
	int err;

	if ((err = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_ACCESS, 1, &access)) < 0 ||
	    (err = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_FORMAT, 1, &sample)) < 0 ||
	    (err = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_RATE, 1, &rate)) < 0 ||
	    (err = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_CHANNELS, 1, &channels)) <
		0 ||
	    (err = snd_pcm_ioplug_set_param_minmax(
		 io, SND_PCM_IOPLUG_HW_PERIOD_BYTES, r->frame_bytes, BUFFER_BYTES / 2)) < 0)
		return err;
	return snd_pcm_ioplug_set_param_minmax(
	    io, SND_PCM_IOPLUG_HW_BUFFER_BYTES, 2 * r->frame_bytes, BUFFER_BYTES);
}

/* A key of the device in the configuration; -EINVAL when it is none or has another type. */
static int
set_key(
    struct rectest *r, snd_config_t *key, const char **file, const char **format, const char **gone)
{
	const struct {
		const char *id;
		long *number;
		const char **text;
	} keys[] = {
	    {"file", .text = file},
	    {"format", .text = format},
	    {"gone", .text = gone},
	    {"rate", .number = &r->rate},
	    {"channels", .number = &r->channels},
	    {"overrun_at", .number = &r->overrun_at},
	    {"overrun_frames", .number = &r->overrun_frames},
	    {"lost_at", .number = &r->lost_at},
	};
	const char *id;

	if (snd_config_get_id(key, &id) < 0 || strcmp(id, "comment") == 0 ||
	    strcmp(id, "type") == 0 || strcmp(id, "hint") == 0)
		return 0;
	if (strcmp(id, "speed") == 0)
		return snd_config_get_ireal(key, &r->speed);
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
		if (strcmp(id, keys[i].id) == 0)
			return keys[i].text != NULL ? snd_config_get_string(key, keys[i].text)
						    : snd_config_get_integer(key, keys[i].number);
	return -EINVAL;
}

SND_PCM_PLUGIN_DEFINE_FUNC(rectest)
{
	struct rectest *r = calloc(1, sizeof *r);
	const char *file = "/dev/null", *format = "S16_LE", *gone = NULL;
	snd_config_iterator_t i, next;
	int err = 0;

	(void)root;
	if (r == NULL)
		return -ENOMEM;
	r->fd = r->timer = -1;
	r->rate = 48000;
	r->channels = 2;
	r->overrun_at = r->lost_at = -1;
	snd_config_for_each(i, next, conf) if (err == 0) err =
	    set_key(r, snd_config_iterator_entry(i), &file, &format, &gone);
	r->frame_bytes = (unsigned)r->channels *
			 (unsigned)snd_pcm_format_physical_width(snd_pcm_format_value(format)) / 8;
	/* The configuration may be read anew, and its strings go. */
	if (err >= 0 && gone != NULL && (r->gone = strdup(gone)) == NULL)
		err = -ENOMEM;
	if (err < 0 || (err = open_files(r, file)) < 0)
		goto fail;
	r->io = (snd_pcm_ioplug_t){.version = SND_PCM_IOPLUG_VERSION,
	    .name = "test device of rectools",
	    .flags = SND_PCM_IOPLUG_FLAG_MONOTONIC,
	    .poll_fd = r->timer,
	    .poll_events = POLLIN,
	    .callback = &callbacks,
	    .private_data = r};
	if ((err = snd_pcm_ioplug_create(&r->io, name, stream, mode)) < 0)
		goto fail;
	if ((err = allow(r, snd_pcm_format_value(format))) < 0) {
		snd_pcm_ioplug_delete(&r->io); /* closes and frees, too */
		return err;
	}
	*pcmp = r->io.pcm;
	return 0;
fail:
	close(r->fd);
	close(r->timer);
	free(r->gone);
	free(r);
	return err;
}

SND_PCM_PLUGIN_SYMBOL(rectest);
