#include "assembly.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cut.h"
#include "encoder.h"
#include "flaccut.h"
#include "framecut.h"
#include "io.h"
#include "levels.h"
#include "mem.h"
#include "pieces.h"
#include "transcode.h"
#include "utf8.h"

/* Normalizing leaves the peaks so far below full scale. */
#define CEILING_DBTP (-1.0)

enum way { WAY_CUT, WAY_FLAC, WAY_NEAREST, WAY_TRANSCODE };

const char *
assembly_extension(const struct assembly *a, const char *name)
{
	const char *dot = strrchr(io_base_name(name), '.');

	if (a->format != -1)
		return encoder_extension((enum encoder_format)a->format);
	return dot != NULL && dot != io_base_name(name) ? dot + 1 : a->parts[0].original->container;
}

/* ---- which way ---- */

/* The format that a file is of already, or -1. */
static int
format_of(const struct original *o)
{
	if (o->kind == ORIGINAL_FLAC)
		return ENCODER_FLAC;
	if (o->kind == ORIGINAL_PCM && o->layout.family == CHUNK_W64)
		return ENCODER_W64;
	if (o->kind == ORIGINAL_PCM && o->layout.family != CHUNK_AIFF && !o->layout.big_endian)
		return ENCODER_WAV;
	return -1;
}

int
assembly_format(const struct assembly *a)
{
	const struct original *o = a->parts[0].original;

	if (a->format != -1)
		return a->format;
	if (o->kind == ORIGINAL_PACKED && strcmp(o->container, "ogg") == 0)
		return strcmp(o->codec, "opus") == 0 ? ENCODER_OPUS : ENCODER_OGG;
	return format_of(o);
}

static bool
changes(const struct assembly *a)
{
	return a->normalize || a->render.gain != 1.0 || a->render.fade_in > 0 ||
	       a->render.fade_out > 0;
}

/* All files are of the kind of the first one, and need no other format. */
static bool
are_alike(const struct assembly *a)
{
	const struct original *first = a->parts[0].original;

	for (unsigned i = 0; i < a->n; i++) {
		const struct original *o = a->parts[i].original;

		if (o->kind != first->kind ||
		    (o->kind == ORIGINAL_PCM &&
			(o->layout.family == CHUNK_AIFF) != (first->layout.family == CHUNK_AIFF)))
			return false;
		if (a->format != -1 && format_of(o) != a->format)
			return false;
	}
	return true;
}

static int
refuse_packed(const struct assembly *a, struct err *e)
{
	const char *codec = a->parts[0].original->codec;

	if (a->n > 1)
		return err_item(e, P_UNSUPPORTED,
		    "%s cannot be joined without decoding it: -f FORMAT does that", codec);
	if (a->nearest)
		return err_item(e, P_UNSUPPORTED,
		    "gain and fades need decoded samples: -f FORMAT instead of --nearest");
	return err_item(e, P_UNSUPPORTED,
	    "%s has no frames of its own to cut between: --nearest cuts at the edges of its "
	    "packets without loss, -f FORMAT decodes it",
	    codec);
}

static int
choose(const struct assembly *a, enum way *way, struct err *e)
{
	const struct original *o = a->parts[0].original;

	if (!are_alike(a)) {
		*way = WAY_TRANSCODE;
		if (a->format != -1)
			return 0;
		for (unsigned i = 1; i < a->n; i++) {
			const struct original *other = a->parts[i].original;

			if (strcmp(other->codec, o->codec) != 0 ||
			    strcmp(other->container, o->container) != 0)
				return err_item(e, P_UNSUPPORTED,
				    "file %u is %s in %s, and file 1 %s in %s: joining them takes "
				    "-f FORMAT",
				    i + 1, other->codec, other->container, o->codec, o->container);
		}
	}
	switch (o->kind) {
	case ORIGINAL_PCM:
		*way = WAY_CUT;
		return 0;
	case ORIGINAL_FLAC:
		*way = WAY_FLAC;
		return 0;
	case ORIGINAL_PACKED:
		*way = WAY_NEAREST;
		return a->nearest && a->n == 1 && !changes(a) ? 0 : refuse_packed(a, e);
	default:
		return err_item(e, P_UNSUPPORTED,
		    "%s in %s is not cut as it is: -f FORMAT decodes it", o->codec, o->container);
	}
}

/* ---- loudness ---- */

static struct playback_part *
playback_parts(const struct assembly *a, struct err *e)
{
	struct playback_part *parts = mem_new(a->n, sizeof *parts, e);

	for (unsigned i = 0; parts != NULL && i < a->n; i++)
		parts[i] = (struct playback_part){
		    a->parts[i].original->fd, a->parts[i].first, a->parts[i].frames};
	return parts;
}

static void
add_levels(struct levels *l, const struct playback_format *f, union decoder_block *b, size_t frames)
{
	switch (f->samples) {
	case DECODER_INT:
		levels_add_int(l, b->i, frames);
		break;
	case DECODER_DOUBLE:
		levels_add_double(l, b->d, frames);
		break;
	default:
		levels_add_float(l, b->f, frames);
		break;
	}
}

static int
measure_playback(struct playback *p, struct levels_result *r, struct err *e)
{
	const struct playback_format *f = playback_format(p);
	struct levels_opts o = {.bits = f->bits,
	    .channels = f->channels,
	    .rate_hz = f->rate_hz,
	    .silence_dbfs = -60,
	    .true_peak = true};
	union decoder_block *b = mem_new(1, sizeof *b, e);
	struct levels *l = levels_open(&o, e);
	int64_t n = -1;

	if (b != NULL && l != NULL) {
		while ((n = playback_read(p, b, e)) > 0)
			add_levels(l, f, b, (size_t)n);
		levels_result(l, r);
	}
	levels_close(l);
	free(b);
	return n == 0 ? 0 : -1;
}

/* The gain that brings what is kept to the loudness that is wanted, but for clipping. */
static int
normalize(struct assembly *a, struct err *e)
{
	struct playback_part *parts = playback_parts(a, e);
	struct playback *p = NULL;
	struct levels_result r;
	double gain_db, most_db;
	int rc = -1;

	if (parts != NULL && (p = playback_open(parts, a->n, a->stop, a->bytes_done, e)) != NULL)
		rc = measure_playback(p, &r, e);
	playback_close(p);
	free(parts);
	if (rc == -1)
		return -1;
	if (isnan(r.loudness_lufs))
		return err_item(e, P_UNSUPPORTED,
		    "it has no loudness that could be normalized: it is silent, or shorter than "
		    "400 ms");
	gain_db = a->target_lufs - r.loudness_lufs;
	most_db = CEILING_DBTP - r.true_peak_dbtp;
	a->limited = gain_db > most_db;
	a->gain_db = a->limited ? most_db : gain_db;
	a->render.gain *= pow(10, a->gain_db / 20);
	return 0;
}

/* ---- the ways ---- */

/* As long as there is room for it, and once. */
static void
tell_dropped(struct assembly *a, const char *what)
{
	size_t used = strlen(a->dropped);

	if (strstr(a->dropped, what) == NULL && used + strlen(what) + 3 <= sizeof a->dropped)
		snprintf(a->dropped + used, sizeof a->dropped - used, "%s%s", used > 0 ? ", " : "",
		    what);
}

static int
write_cut(struct assembly *a, struct render *render, int out_fd, struct err *e)
{
	struct segment *segments = mem_new(a->n, sizeof *segments, e);
	struct cut_opts o = {
	    .segments = segments, .n = a->n, .render = render, .history = a->history};
	struct cut c = {0};
	int rc = -1;

	for (unsigned i = 0; segments != NULL && i < a->n; i++)
		segments[i] = (struct segment){a->parts[i].original->fd,
		    &a->parts[i].original->layout, a->parts[i].first, a->parts[i].frames};
	if (segments != NULL && cut_plan(&o, &c, e) == 0) {
		memcpy(a->dropped, c.dropped, sizeof a->dropped);
		rc = pieces_write(&c.pieces, out_fd, a->stop, a->bytes_done, e);
	}
	cut_free(&c);
	free(segments);
	return rc;
}

static int
write_flac(struct assembly *a, struct render *render, int out_fd, struct err *e)
{
	struct flaccut_segment *segments = mem_new(a->n, sizeof *segments, e);
	struct flaccut c = {.segments = segments,
	    .n = a->n,
	    .render = render,
	    .level = -1,
	    .verify = true,
	    .stop = a->stop,
	    .bytes_done = a->bytes_done};
	int rc = -1;

	for (unsigned i = 0; segments != NULL && i < a->n; i++)
		segments[i] = (struct flaccut_segment){
		    a->parts[i].original->fd, a->parts[i].first, a->parts[i].frames};
	if (segments != NULL)
		rc = flaccut_write(&c, out_fd, e);
	memcpy(a->dropped, c.dropped, sizeof a->dropped);
	free(segments);
	return rc;
}

static int
write_nearest(struct assembly *a, int out_fd, struct err *e)
{
	struct framecut c = {.fd = a->parts[0].original->fd,
	    .first = a->parts[0].first,
	    .frames = a->parts[0].frames,
	    .stop = a->stop,
	    .bytes_done = a->bytes_done};

	if (framecut_write(&c, out_fd, e) == -1)
		return -1;
	a->first = c.real_first;
	a->frames = c.real_frames;
	return 0;
}

/* What is decoded leaves its cue points and the chunks of others behind. */
static void
tell_chunks(struct assembly *a)
{
	/* The format, the audio, what is empty, and what playback tells by its keys. */
	static const char known[] =
	    "fmt data fact JUNK junk PAD  pad  FLLR ds64 PEAK bext LIST COMM SSND "
	    "FVER NAME AUTH ANNO (c)  cue  MARK ";
	const struct original *o = a->parts[0].original;

	if (o->n_cues > 0)
		tell_dropped(a, "cues");
	for (unsigned i = 0; i < o->layout.n_chunks; i++) {
		const char *id = o->layout.chunks[i].id;

		if (strstr(known, id) == NULL && utf8_valid(id, strlen(id)))
			tell_dropped(a, id);
	}
}

static int
write_transcoded(struct assembly *a, struct render *render, int out_fd, struct err *e)
{
	struct playback_part *parts = playback_parts(a, e);
	struct transcode t = {.parts = parts,
	    .n = a->n,
	    .format = (enum encoder_format)a->format,
	    .start = a->start,
	    .title = a->title,
	    .render = render,
	    .stop = a->stop,
	    .bytes_done = a->bytes_done,
	    .dropped = a->dropped};
	int rc = parts == NULL ? -1 : transcode_write(&t, out_fd, e);

	if (rc == 0)
		tell_chunks(a);
	free(parts);
	return rc;
}

int
assembly_check(const struct assembly *a, struct err *e)
{
	enum way way;

	return choose(a, &way, e);
}

int
assembly_write(struct assembly *a, int out_fd, struct err *e)
{
	struct render *render = NULL;
	enum way way;

	a->first = a->parts[0].first;
	a->frames = 0;
	a->limited = false;
	a->dropped[0] = '\0';
	for (unsigned i = 0; i < a->n; i++)
		a->frames += a->parts[i].frames;
	a->gain_db = 20 * log10(a->render.gain);
	if (choose(a, &way, e) == -1 || (a->normalize && normalize(a, e) == -1))
		return -1;
	a->render.frames = a->frames;
	a->render.clipped = 0;
	if (changes(a))
		render = &a->render;
	switch (way) {
	case WAY_CUT:
		return write_cut(a, render, out_fd, e);
	case WAY_FLAC:
		return write_flac(a, render, out_fd, e);
	case WAY_NEAREST:
		return write_nearest(a, out_fd, e);
	default:
		return write_transcoded(a, render, out_fd, e);
	}
}
