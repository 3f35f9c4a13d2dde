/*
 * One front for two writers: riffwriter.h, where the place of every byte is known and the header
 * can be made true at any time, and sfwriter.h, for the codecs. Exactly one of the two is there.
 */
#include "encoder.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "riffwriter.h"
#include "sfwriter.h"

struct encoder {
	struct riffwriter *riff;
	struct sfwriter *sf;
};

static const char names[ENCODER_FORMATS][8] = {"wav", "w64", "flac", "ogg", "opus"};

int
encoder_format(const char *name, struct err *e)
{
	for (int f = 0; f < ENCODER_FORMATS; f++)
		if (strcmp(name, names[f]) == 0)
			return f;
	return err_set(
	    e, ERR_USAGE, NULL, "%s is no format of files; there are wav w64 flac ogg opus", name);
}

const char *
encoder_extension(enum encoder_format f)
{
	return names[f];
}

static bool
is_riff(const struct encoder_opts *o)
{
	return o->format == ENCODER_WAV || o->format == ENCODER_W64;
}

static struct riffwriter_opts
riff_opts(const struct encoder_opts *o)
{
	return (struct riffwriter_opts){.w64 = o->format == ENCODER_W64,
	    .rate_hz = o->rate_hz,
	    .channels = o->channels,
	    .kept = o->kept,
	    .start = o->start,
	    .title = o->title,
	    .source = o->source};
}

static struct sfwriter_opts
sf_opts(const struct encoder_opts *o)
{
	return (struct sfwriter_opts){.codec = o->format == ENCODER_FLAC  ? SFWRITER_FLAC
					       : o->format == ENCODER_OGG ? SFWRITER_VORBIS
									  : SFWRITER_OPUS,
	    .rate_hz = o->rate_hz,
	    .channels = o->channels,
	    .kept = o->kept,
	    .start = o->start,
	    .title = o->title};
}

int
encoder_check(const struct encoder_opts *o, struct err *e)
{
	struct riffwriter_opts riff = riff_opts(o);
	struct sfwriter_opts sf = sf_opts(o);

	return is_riff(o) ? riffwriter_check(&riff, e) : sfwriter_check(&sf, e);
}

struct encoder *
encoder_open(int fd, const struct encoder_opts *o, struct err *e)
{
	struct riffwriter_opts riff = riff_opts(o);
	struct sfwriter_opts sf = sf_opts(o);
	struct encoder *n = mem_new(1, sizeof *n, e);

	if (n == NULL)
		return NULL;
	if (is_riff(o))
		n->riff = riffwriter_open(fd, &riff, e);
	else
		n->sf = sfwriter_open(fd, &sf, e);
	if (n->riff == NULL && n->sf == NULL) {
		free(n);
		return NULL;
	}
	return n;
}

int
encoder_write(struct encoder *n, const void *samples, uint64_t frames, struct err *e)
{
	return n->riff != NULL ? riffwriter_write(n->riff, samples, frames, e)
			       : sfwriter_write(n->sf, samples, frames, e);
}

int
encoder_refresh(struct encoder *n, struct err *e)
{
	return n->riff != NULL ? riffwriter_refresh(n->riff, e) : 0;
}

uint64_t
encoder_frames(const struct encoder *n)
{
	return n->riff != NULL ? riffwriter_frames(n->riff) : sfwriter_frames(n->sf);
}

uint64_t
encoder_bytes(const struct encoder *n)
{
	return n->riff != NULL ? riffwriter_bytes(n->riff) : sfwriter_bytes(n->sf);
}

int
encoder_finish(struct encoder *n, struct err *e)
{
	int rc = n->riff != NULL ? riffwriter_finish(n->riff, e) : sfwriter_finish(n->sf, e);

	encoder_abandon(n);
	return rc;
}

uint64_t
encoder_margin(enum encoder_format f)
{
	/* A header and a pad byte; or what a codec holds back. */
	return f == ENCODER_WAV || f == ENCODER_W64 ? 1024 : 65536;
}

void
encoder_abandon(struct encoder *n)
{
	if (n == NULL)
		return;
	riffwriter_free(n->riff);
	sfwriter_free(n->sf);
	free(n);
}
