#include "transcode.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

/* 1.0, at the upper end of 32 bits. */
#define FULL_SCALE 2147483648.0

struct job {
	const struct transcode *t;
	struct playback *playback;
	struct encoder *encoder;
	struct pcm_kept kept;
	union decoder_block block;
	unsigned char out[DECODER_MAX_BLOCK * 4];
};

/* What the new file keeps of a sample. */
static struct pcm_kept
keeps(const struct playback_format *f, enum encoder_format to)
{
	bool pcm = to == ENCODER_WAV || to == ENCODER_W64;

	if (f->samples == DECODER_INT)
		return (struct pcm_kept){.bits = f->bits <= 16 ? 16 : f->bits <= 24 ? 24 : 32};
	if (to == ENCODER_FLAC && !f->lossless)
		return (struct pcm_kept){.bits = 24};
	return (struct pcm_kept){.bits = 32, .is_float = pcm || to != ENCODER_FLAC};
}

/* What is kept would lose something: only where nothing else can be done with a lossless file. */
static int
check(const struct playback_format *f, const struct encoder_opts *o, struct err *e)
{
	struct err why;

	if (f->lossless && f->samples == DECODER_DOUBLE)
		return err_item(e, P_UNSUPPORTED,
		    "samples of 64-bit floats would lose bits in another format: keep theirs");
	if (f->lossless && f->samples == DECODER_FLOAT && o->format == ENCODER_FLAC)
		return err_item(
		    e, P_UNSUPPORTED, "flac holds no floats: wav and w64 keep them whole");
	if (encoder_check(o, &why) == -1)
		return err_item(e, P_UNSUPPORTED, "%s", why.text);
	return 0;
}

static void
put_int(unsigned char *p, int32_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		p[i] = (unsigned char)((uint32_t)v >> (8 * (4 - bytes + i)));
}

/* Rounded to the bits that are kept, and not beyond full scale; what is no number is 0. */
static int32_t
to_int(double x, unsigned bits)
{
	double step = ldexp(1, 32 - (int)bits), v = round(x * FULL_SCALE / step) * step;

	if (!isfinite(x))
		return 0;
	return v >= FULL_SCALE - step ? (int32_t)(FULL_SCALE - step)
	       : v < -FULL_SCALE      ? INT32_MIN
				      : (int32_t)v;
}

static double
sample(const struct job *j, size_t i)
{
	switch (playback_format(j->playback)->samples) {
	case DECODER_INT:
		return j->block.i[i] / FULL_SCALE;
	case DECODER_DOUBLE:
		return j->block.d[i];
	default:
		return j->block.f[i];
	}
}

static void
pack(struct job *j, size_t samples)
{
	bool ints = playback_format(j->playback)->samples == DECODER_INT;
	unsigned bytes = j->kept.bits / 8;
	unsigned char *p = j->out;

	for (size_t i = 0; i < samples; i++, p += bytes) {
		float f;

		if (j->kept.is_float) {
			f = (float)sample(j, i);
			memcpy(p, &f, sizeof f);
		} else {
			put_int(
			    p, ints ? j->block.i[i] : to_int(sample(j, i), j->kept.bits), bytes);
		}
	}
}

static void
render(struct job *j, uint64_t at, size_t frames)
{
	struct render *r = j->t->render;

	switch (playback_format(j->playback)->samples) {
	case DECODER_INT:
		render_ints(r, j->block.i, playback_format(j->playback)->bits, at, frames);
		break;
	case DECODER_DOUBLE:
		render_doubles(r, j->block.d, at, frames);
		break;
	default:
		render_floats(r, j->block.f, at, frames);
		break;
	}
}

static int
pour(struct job *j, struct err *e)
{
	unsigned channels = playback_format(j->playback)->channels;
	uint64_t at = 0;
	int64_t n;

	while ((n = playback_read(j->playback, &j->block, e)) > 0) {
		if (j->t->render != NULL)
			render(j, at, (size_t)n);
		pack(j, (size_t)n * channels);
		if (encoder_write(j->encoder, j->out, (uint64_t)n, e) == -1)
			return -1;
		at += (uint64_t)n;
	}
	return n == 0 ? encoder_refresh(j->encoder, e) : -1;
}

/* WAV has a place for the title only where the time is known (bext). */
static void
tell_dropped(const struct job *j, bool has_title)
{
	const struct transcode *t = j->t;
	bool riff = t->format == ENCODER_WAV || t->format == ENCODER_W64;
	const char *tags = playback_tags(j->playback);
	bool title = has_title && riff && t->start.tv_sec == 0;

	snprintf(t->dropped, TRANSCODE_DROPPED, "%s%s%s", title ? "title" : "",
	    title && tags[0] != '\0' ? ", " : "", tags);
}

static int
run(struct job *j, int out_fd, struct err *e)
{
	const struct transcode *t = j->t;
	const struct playback_format *f = playback_format(j->playback);
	struct encoder_opts o = {.format = t->format,
	    .rate_hz = f->rate_hz,
	    .channels = f->channels,
	    .start = t->start,
	    .title = t->title != NULL ? t->title : playback_title(j->playback)};
	int rc;

	tell_dropped(j, o.title != NULL);
	o.kept = j->kept = keeps(f, t->format);
	if (check(f, &o, e) == -1 || (j->encoder = encoder_open(out_fd, &o, e)) == NULL)
		return -1;
	if (t->render != NULL)
		t->render->format.channels = f->channels;
	rc = pour(j, e);
	if (rc == 0)
		rc = encoder_finish(j->encoder, e);
	else
		encoder_abandon(j->encoder);
	return rc;
}

int
transcode_write(const struct transcode *t, int out_fd, struct err *e)
{
	struct job *j = mem_new(1, sizeof *j, e);
	int rc = -1;

	if (j == NULL)
		return -1;
	j->t = t;
	if ((j->playback = playback_open(t->parts, t->n, t->stop, t->bytes_done, e)) != NULL)
		rc = run(j, out_fd, e);
	playback_close(j->playback);
	free(j);
	return rc;
}
