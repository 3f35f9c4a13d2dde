/*
 * libsndfile 1.2.0 shows a failed write as a short count alone, if at all: sf_error and sf_close
 * stay 0. So it writes through callbacks that keep the first error. From then on nothing reaches
 * the file any more, which is cut to the last whole frame (FLAC: one a call) or page (Ogg: a call
 * that starts with the capture pattern of RFC 3533, and those that follow it). Such a file lacks
 * its end alone, and every reader takes it for what it is.
 *
 * SFC_UPDATE_HEADER_NOW is not used: it writes Ogg's first page into the middle (libsndfile #1080),
 * and does nothing for FLAC.
 */
#include "sfwriter.h"

#include <sndfile.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "io.h"
#include "mem.h"
#include "version.h"

#define BLOCK_SAMPLES 8192
#define FLAC_LEVEL 5
#define FLAC_LEVELS 8
#define VORBIS_QUALITY 0.6
#define FLAC_MAX_CHANNELS 8
#define OGG_MAX_CHANNELS 255

struct sfwriter {
	int fd;
	SNDFILE *sf;
	bool ogg;
	unsigned channels;
	struct pcm_kept kept;
	struct sfwriter_flac flac;
	uint64_t frames;
	uint64_t pos;	  /* of libsndfile in the stream */
	uint64_t size;	  /* of what was written whole */
	uint64_t unit;	  /* where the frame or page started that is being written */
	bool abandoned;	  /* what libsndfile still has is not wanted */
	struct err error; /* the first, or ERR_NONE */
	union {
		int32_t i[BLOCK_SAMPLES];
		float f[BLOCK_SAMPLES];
	} block;
};

/* ---- libsndfile's view of the file ---- */

static sf_count_t
vio_length(void *user)
{
	const struct sfwriter *w = user;

	return (sf_count_t)w->size;
}

static sf_count_t
vio_seek(sf_count_t offset, int whence, void *user)
{
	struct sfwriter *w = user;
	sf_count_t base = whence == SEEK_CUR   ? (sf_count_t)w->pos
			  : whence == SEEK_END ? (sf_count_t)w->size
					       : 0;

	if (base + offset < 0)
		return -1;
	w->pos = (uint64_t)(base + offset);
	return (sf_count_t)w->pos;
}

/* Encoders do not read back; the descriptor may not allow it. */
static sf_count_t
vio_read(void *p, sf_count_t len, void *user)
{
	(void)p;
	(void)len;
	(void)user;
	return 0;
}

static void
cut_to_unit(struct sfwriter *w)
{
	/* A header that is written again is no reason to lose sound. */
	if (w->pos < w->size)
		return;
	if (ftruncate(w->fd, (off_t)(w->flac.offset_bytes + w->unit)) == 0)
		w->size = w->unit;
	else
		err_prefix(&w->error, "part of a frame stays at the end");
}

/* RFC 9639 section 9.1: no metadata block begins with the sync code of a frame. */
static void
tell_frame(const struct sfwriter *w, const unsigned char *p, size_t len)
{
	if (w->flac.frame != NULL && w->pos == w->size && len >= 2 && p[0] == 0xff &&
	    (p[1] & 0xfe) == 0xf8)
		w->flac.frame(w->flac.ctx, w->pos, p, len);
}

static sf_count_t
vio_write(const void *p, sf_count_t len, void *user)
{
	struct sfwriter *w = user;
	bool page = len >= 27 && memcmp(p, "OggS", 4) == 0;

	if (w->abandoned || w->error.class != ERR_NONE || len <= 0)
		return 0;
	if (w->pos == w->size && (page || !w->ogg))
		w->unit = w->pos;
	if (w->fd != -1 && io_pwrite(w->fd, p, (size_t)len, w->flac.offset_bytes + w->pos, NULL,
			       &w->error) == -1) {
		cut_to_unit(w);
		return 0;
	}
	tell_frame(w, p, (size_t)len);
	w->pos += (uint64_t)len;
	if (w->size < w->pos)
		w->size = w->pos;
	return len;
}

static sf_count_t
vio_tell(void *user)
{
	const struct sfwriter *w = user;

	return (sf_count_t)w->pos;
}

static SF_VIRTUAL_IO vio = {vio_length, vio_seek, vio_read, vio_write, vio_tell};

/* ---- what the codecs can hold ---- */

static int
check_flac(const struct sfwriter_opts *o, struct err *e)
{
	if (o->kept.is_float || o->kept.bits > 24)
		return err_set(e, ERR_USAGE, NULL,
		    "flac holds integers of 16 and 24 bits; wav and w64 hold all");
	/* RFC 9639: 20 bits of rate. */
	if (o->rate_hz == 0 || o->rate_hz > 655350)
		return err_set(e, ERR_USAGE, NULL, "flac has rates up to 655350 Hz");
	return 0;
}

static int
check_opus(const struct sfwriter_opts *o, struct err *e)
{
	static const unsigned rates[] = {48000, 24000, 16000, 12000, 8000};

	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
		if (o->rate_hz == rates[i])
			return 0;
	return err_set(e, ERR_USAGE, NULL,
	    "opus has the rates 48000, 24000, 16000, 12000 and 8000 Hz, not %u Hz", o->rate_hz);
}

int
sfwriter_check(const struct sfwriter_opts *o, struct err *e)
{
	unsigned max = o->codec == SFWRITER_FLAC ? FLAC_MAX_CHANNELS : OGG_MAX_CHANNELS;

	if (o->channels == 0 || o->channels > max)
		return err_set(e, ERR_USAGE, NULL, "%s has 1 to %u channels, not %u",
		    o->codec == SFWRITER_FLAC ? "flac" : "ogg", max, o->channels);
	if (o->codec == SFWRITER_FLAC)
		return check_flac(o, e);
	if (o->codec == SFWRITER_OPUS)
		return check_opus(o, e);
	/* Outside, libvorbisenc has no tuning and refuses. */
	if (o->rate_hz < 8000 || o->rate_hz > 192000)
		return err_set(e, ERR_USAGE, NULL,
		    "ogg has rates from 8000 to 192000 Hz, not %u Hz", o->rate_hz);
	return 0;
}

/* ---- the stream ---- */

static int
sf_format(const struct sfwriter_opts *o)
{
	if (o->codec == SFWRITER_FLAC)
		return SF_FORMAT_FLAC | (o->kept.bits == 8	 ? SF_FORMAT_PCM_S8
					    : o->kept.bits == 16 ? SF_FORMAT_PCM_16
								 : SF_FORMAT_PCM_24);
	return SF_FORMAT_OGG | (o->codec == SFWRITER_OPUS ? SF_FORMAT_OPUS : SF_FORMAT_VORBIS);
}

static void
describe(struct sfwriter *w, const struct sfwriter_opts *o)
{
	int level = o->flac != NULL ? o->flac->level : FLAC_LEVEL;
	double compression = (double)level / FLAC_LEVELS, quality = VORBIS_QUALITY;
	char start[CLOCK_TEXT_MAX];

	if (o->codec == SFWRITER_FLAC)
		sf_command(w->sf, SFC_SET_COMPRESSION_LEVEL, &compression, sizeof compression);
	else if (o->codec == SFWRITER_VORBIS)
		sf_command(w->sf, SFC_SET_VBR_ENCODING_QUALITY, &quality, sizeof quality);
	if (o->flac != NULL)
		return;
	if (o->title != NULL && o->title[0] != '\0')
		sf_set_string(w->sf, SF_STR_TITLE, o->title);
	if (o->start.tv_sec != 0)
		sf_set_string(w->sf, SF_STR_DATE, clock_rfc3339(o->start, start));
	sf_set_string(w->sf, SF_STR_SOFTWARE, "rectools " REC_VERSION);
}

struct sfwriter *
sfwriter_open(int fd, const struct sfwriter_opts *o, struct err *e)
{
	SF_INFO info = {
	    .samplerate = (int)o->rate_hz, .channels = (int)o->channels, .format = sf_format(o)};
	struct sfwriter *w;

	if (sfwriter_check(o, e) == -1 || (w = mem_new(1, sizeof *w, e)) == NULL)
		return NULL;
	w->fd = fd;
	w->ogg = o->codec != SFWRITER_FLAC;
	w->channels = o->channels;
	w->kept = o->kept;
	if (o->flac != NULL)
		w->flac = *o->flac;
	if ((w->sf = sf_open_virtual(&vio, SFM_WRITE, &info, w)) == NULL) {
		if (w->error.class != ERR_NONE)
			*e = w->error;
		else
			err_set(e, ERR_SYSTEM, NULL, "libsndfile: %s", sf_strerror(NULL));
		free(w);
		return NULL;
	}
	describe(w, o);
	return w;
}

/* The error of a call that libsndfile thinks went well or not: ours comes first. */
static int
failed(struct sfwriter *w, bool well, struct err *e)
{
	if (w->error.class == ERR_NONE && well)
		return 0;
	if (w->error.class == ERR_NONE)
		err_set(&w->error, ERR_SYSTEM, NULL, "libsndfile: %s", sf_strerror(w->sf));
	*e = w->error;
	return -1;
}

static int
write_block(struct sfwriter *w, const void *samples, size_t frames, struct err *e)
{
	sf_count_t n;

	if (w->kept.is_float) {
		pcm_floats(samples, frames * w->channels, w->block.f);
		n = sf_writef_float(w->sf, w->block.f, (sf_count_t)frames);
	} else {
		pcm_ints(&w->kept, samples, frames * w->channels, w->block.i);
		n = sf_writef_int(w->sf, w->block.i, (sf_count_t)frames);
	}
	if (failed(w, n == (sf_count_t)frames, e))
		return -1;
	w->frames += frames;
	return 0;
}

int
sfwriter_write(struct sfwriter *w, const void *samples, uint64_t frames, struct err *e)
{
	const char *p = samples;
	size_t max = BLOCK_SAMPLES / w->channels, frame_bytes = w->channels * (w->kept.bits / 8);

	if (failed(w, true, e))
		return -1;
	while (frames > 0) {
		size_t n = frames < max ? (size_t)frames : max;

		if (write_block(w, p, n, e) == -1)
			return -1;
		p += n * frame_bytes;
		frames -= n;
	}
	return 0;
}

int
sfwriter_write_ints(struct sfwriter *w, const int *samples, uint64_t frames, struct err *e)
{
	sf_count_t n;

	if (failed(w, true, e))
		return -1;
	n = sf_writef_int(w->sf, samples, (sf_count_t)frames);
	if (failed(w, n == (sf_count_t)frames, e))
		return -1;
	w->frames += frames;
	return 0;
}

int
sfwriter_finish(struct sfwriter *w, struct err *e)
{
	int r = sf_close(w->sf);

	w->sf = NULL;
	if (failed(w, r == 0, e))
		return -1;
	return w->fd != -1 && ftruncate(w->fd, (off_t)(w->flac.offset_bytes + w->size)) == -1
		   ? err_sys(e, "setting its length")
		   : 0;
}

uint64_t
sfwriter_frames(const struct sfwriter *w)
{
	return w->frames;
}

uint64_t
sfwriter_bytes(const struct sfwriter *w)
{
	return w->size;
}

void
sfwriter_free(struct sfwriter *w)
{
	if (w == NULL)
		return;
	w->abandoned = true;
	if (w->sf != NULL)
		sf_close(w->sf);
	free(w);
}
