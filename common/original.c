#include "original.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "content.h"
#include "cuepoints.h"
#include "decoder.h"
#include "mem.h"
#include "source.h"
#include "verdict.h"

/* A file while it is looked at. */
struct look {
	struct source *source;
	struct facts facts;
	struct content content;
	struct decoder *decoder;
};

static void
end_look(struct look *l)
{
	decoder_close(l->decoder);
	content_close(&l->content);
	source_close(l->source);
}

/* 0 also when nothing decodes; -1. */
static int
look(struct look *l, const struct original *o, bool quick, const atomic_int *stop, struct err *e)
{
	*l = (struct look){.facts = {.size_bytes = (uint64_t)o->st.st_size, .quick = quick}};
	l->content.facts = &l->facts;
	l->source = source_open(o->fd, l->facts.size_bytes, 0, stop, NULL, e);
	if (l->source == NULL)
		return -1;
	l->content.source = l->source;
	if (content_look(&l->content, o->fd, e) == -1 ||
	    (l->decoder = decoder_open(&l->content, e)) == NULL)
		return -1;
	return source_failed(l->source, e) ? -1 : 0;
}

/* Of a file whose header does not tell how long it is, or is not to be believed. */
static int
count_frames(struct original *o, const atomic_int *stop, struct err *e)
{
	union decoder_block *b = mem_new(1, sizeof *b, e);
	struct look l;
	size_t n;
	int rc = -1;

	if (b == NULL)
		return -1;
	if (look(&l, o, false, stop, e) == 0) {
		o->frames = 0;
		while ((n = decoder_read(l.decoder, DECODER_FLOAT, b)) > 0)
			o->frames += n;
		rc = source_failed(l.source, e) ? -1 : 0;
	}
	end_look(&l);
	free(b);
	return rc;
}

static enum original_kind
kind_of(const struct look *l)
{
	switch (l->content.id.format) {
	case FRAMING_FLAC:
		return ORIGINAL_FLAC;
	case FRAMING_MPEG:
		return ORIGINAL_PACKED;
	case FRAMING_OGG:
		return strcmp(decoder_format(l->decoder)->codec, "vorbis") == 0 ||
			       strcmp(decoder_format(l->decoder)->codec, "opus") == 0
			   ? ORIGINAL_PACKED
			   : ORIGINAL_OTHER;
	default:
		return ORIGINAL_OTHER;
	}
}

/* What the decoder says of it. */
static int
identify(struct original *o, const atomic_int *stop, struct err *e)
{
	const struct decoder_format *f;
	struct look l;
	int rc = look(&l, o, true, stop, e);
	bool known = false;

	if (rc == 0)
		e->class = ERR_NONE;
	if (rc == 0 && !l.facts.opened) {
		verdict(&l.facts, e);
		if (e->class == ERR_NONE)
			err_item(e, P_NOT_AUDIO, "nothing in it decodes");
		rc = -1;
	}
	if (rc == 0) {
		f = decoder_format(l.decoder);
		o->kind = l.facts.layout != NULL ? ORIGINAL_OTHER : kind_of(&l);
		snprintf(o->container, sizeof o->container, "%s", l.facts.container);
		snprintf(o->codec, sizeof o->codec, "%s", f->codec);
		o->rate_hz = f->rate_hz;
		o->channels = f->channels;
		known = o->kind == ORIGINAL_FLAC && f->frames > 0;
		o->frames = known ? (uint64_t)f->frames : 0;
	}
	end_look(&l);
	return rc == 0 && !known ? count_frames(o, stop, e) : rc;
}

static int
look_at_chunks(struct original *o, struct err *e)
{
	struct err why;

	if (cut_format(o->fd, &o->layout, &o->pcm, &why) == -1) {
		if (why.class == ERR_ITEM && strcmp(why.code, P_UNSUPPORTED) == 0)
			return 0;
		*e = why;
		return -1;
	}
	o->kind = ORIGINAL_PCM;
	snprintf(o->codec, sizeof o->codec, "pcm");
	snprintf(o->container, sizeof o->container, "%s", o->layout.container);
	o->rate_hz = o->pcm.rate_hz;
	o->channels = o->pcm.sample.channels;
	o->frames = o->pcm.frames;
	return cuepoints_of_chunks(o->fd, &o->layout, &o->cues, &o->n_cues, e) == -1 ? -1 : 1;
}

int
original_open(struct original *o, int fd, const atomic_int *stop, struct err *e)
{
	int rc;

	*o = (struct original){.fd = fd};
	if (fstat(fd, &o->st) == -1)
		return err_sys(e, "stat of a file of audio");
	if (o->st.st_size == 0)
		return err_item(e, P_EMPTY, "the file is empty");
	if ((rc = chunk_layout(fd, (uint64_t)o->st.st_size, &o->layout, e)) == 1)
		rc = look_at_chunks(o, e);
	if (rc == 0 && (rc = identify(o, stop, e)) == 0 && o->kind == ORIGINAL_FLAC)
		rc = cuepoints_of_flac(fd, &o->cues, &o->n_cues, e);
	if (rc == -1)
		return -1;
	return o->frames > 0 ? 0 : err_item(e, P_EMPTY, "there is no frame of audio in it");
}

void
original_close(struct original *o)
{
	if (o->fd != -1)
		close(o->fd);
	chunk_layout_free(&o->layout);
	free(o->cues);
	*o = (struct original){.fd = -1};
}
