#include "playback.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "content.h"
#include "mem.h"
#include "source.h"
#include "utf8.h"
#include "verdict.h"

#define PLAYBACK_TAGS 96

/* A file while it is decoded. */
struct reel {
	struct source *source;
	struct facts facts;
	struct content content;
	struct decoder *decoder;
};

struct playback {
	const struct playback_part *parts;
	unsigned n, at; /* the part at hand */
	const atomic_int *stop;
	atomic_ullong *bytes_done;
	struct playback_format format;
	struct reel *reel; /* NULL between parts */
	uint64_t left;	   /* frames of the part at hand */
	char *title, tags[PLAYBACK_TAGS];
};

static void
unload(struct reel *r)
{
	if (r == NULL)
		return;
	decoder_close(r->decoder);
	content_close(&r->content);
	source_close(r->source);
	free(r);
}

/* A file that decodes. */
static struct reel *
load(const struct playback *p, int fd, bool quick, struct err *e)
{
	struct reel *r = mem_new(1, sizeof *r, e);
	struct stat st;

	if (r == NULL)
		return NULL;
	if (fstat(fd, &st) == -1) {
		err_sys(e, "stat of a file of audio");
		goto fail;
	}
	r->facts = (struct facts){.size_bytes = (uint64_t)st.st_size, .quick = quick};
	r->content = (struct content){.facts = &r->facts};
	r->source = source_open(fd, (uint64_t)st.st_size, 0, p->stop, p->bytes_done, e);
	if (r->source == NULL)
		goto fail;
	r->content.source = r->source;
	if (content_look(&r->content, fd, e) == -1 ||
	    (r->decoder = decoder_open(&r->content, e)) == NULL)
		goto fail;
	if (r->facts.opened)
		return r;
	if (!source_failed(r->source, e))
		verdict(&r->facts, e);
	if (e->class == ERR_NONE)
		err_item(e, P_NOT_AUDIO, "nothing in it decodes");
fail:
	unload(r);
	return NULL;
}

/* What is known of the first file is made to hold the others. */
static int
agree(struct playback *p, unsigned i, const struct decoder_format *f, struct err *e)
{
	struct playback_format *to = &p->format;

	if (i == 0) {
		*to = (struct playback_format){
		    f->rate_hz, f->channels, f->samples, f->bits, f->lossless};
		return 0;
	}
	if (f->rate_hz != to->rate_hz)
		return err_item(e, P_UNSUPPORTED,
		    "file %u has %u Hz, and file 1 %u Hz: they cannot be joined", i + 1, f->rate_hz,
		    to->rate_hz);
	if (f->channels != to->channels)
		return err_item(e, P_UNSUPPORTED,
		    "file %u has %u channels, and file 1 %u: they cannot be joined", i + 1,
		    f->channels, to->channels);
	/* Doubles hold integers of 32 bits and floats. */
	if (f->samples != to->samples)
		to->samples = DECODER_DOUBLE;
	to->bits = f->bits > to->bits ? f->bits : to->bits;
	to->lossless = to->lossless && f->lossless;
	return 0;
}

/* The name of the program that wrote the old file says nothing of the new one. */
static int
note_tag(void *ctx, const char *key, const char *text, size_t len, struct err *e)
{
	struct playback *p = ctx;
	size_t used = strlen(p->tags);

	if (strcmp(key, "title") == 0 && p->title == NULL && utf8_valid(text, len)) {
		p->title = mem_bytes(text, len, e);
		return p->title == NULL ? -1 : 0;
	}
	if (strcmp(key, "software") != 0 && used + strlen(key) + 3 <= sizeof p->tags)
		snprintf(p->tags + used, sizeof p->tags - used, "%s%s", used > 0 ? ", " : "", key);
	return 0;
}

struct playback *
playback_open(const struct playback_part *parts, unsigned n, const atomic_int *stop,
    atomic_ullong *bytes_done, struct err *e)
{
	struct playback *p = mem_new(1, sizeof *p, e);
	int rc = p == NULL ? -1 : 0;

	if (p != NULL)
		*p = (struct playback){
		    .parts = parts, .n = n, .stop = stop, .bytes_done = bytes_done};
	for (unsigned i = 0; i < n && rc == 0; i++) {
		struct reel *r = load(p, parts[i].fd, true, e);

		rc = r == NULL ? -1 : agree(p, i, decoder_format(r->decoder), e);
		if (rc == 0 && i == 0)
			rc = decoder_tags(r->decoder, note_tag, p, e);
		unload(r);
	}
	if (rc == 0)
		return p;
	playback_close(p);
	return NULL;
}

const struct playback_format *
playback_format(const struct playback *p)
{
	return &p->format;
}

const char *
playback_title(const struct playback *p)
{
	return p->title;
}

const char *
playback_tags(const struct playback *p)
{
	return p->tags;
}

static int
stopped(const struct playback *p, struct err *e)
{
	if (source_failed(p->reel->source, e))
		return -1;
	return err_item(e, P_TRUNCATED,
	    "%llu frames of what is wanted do not decode: the file ends, or is damaged, before "
	    "them",
	    (unsigned long long)p->left);
}

/* Drops the first frames of a block of n. */
static void
drop(const struct playback *p, union decoder_block *b, size_t frames, size_t n)
{
	size_t channels = p->format.channels, left = (n - frames) * channels;

	switch (p->format.samples) {
	case DECODER_INT:
		memmove(b->i, b->i + frames * channels, left * sizeof *b->i);
		break;
	case DECODER_DOUBLE:
		memmove(b->d, b->d + frames * channels, left * sizeof *b->d);
		break;
	default:
		memmove(b->f, b->f + frames * channels, left * sizeof *b->f);
		break;
	}
}

/*
 * To the first frame of the part at hand: what cannot be jumped over is decoded. The frames of the
 * part that are in *b by then, or -1.
 */
static int64_t
begin_part(struct playback *p, union decoder_block *b, struct err *e)
{
	const struct playback_part *part = &p->parts[p->at];
	uint64_t skip = part->first;
	size_t n;

	if ((p->reel = load(p, part->fd, false, e)) == NULL)
		return -1;
	p->left = part->frames;
	if (skip > 0) {
		if (decoder_seek(p->reel->decoder, skip) == 0)
			return 0;
		if (source_failed(p->reel->source, e))
			return -1;
		/* It may have moved before it gave up. */
		unload(p->reel);
		if ((p->reel = load(p, part->fd, false, e)) == NULL)
			return -1;
	}
	while (skip > 0) {
		if ((n = decoder_read(p->reel->decoder, p->format.samples, b)) == 0)
			return stopped(p, e);
		if (n > skip) {
			drop(p, b, (size_t)skip, n);
			return (int64_t)(n - skip);
		}
		skip -= n;
	}
	return 0;
}

int64_t
playback_read(struct playback *p, union decoder_block *b, struct err *e)
{
	int64_t n;

	while (p->at < p->n) {
		n = p->reel == NULL ? begin_part(p, b, e) : 0;
		if (n == 0 && p->left > 0 &&
		    (n = (int64_t)decoder_read(p->reel->decoder, p->format.samples, b)) == 0)
			return stopped(p, e);
		if (n == -1)
			return -1;
		if ((uint64_t)n > p->left)
			n = (int64_t)p->left;
		p->left -= (uint64_t)n;
		if (p->left == 0) {
			unload(p->reel);
			p->reel = NULL;
			p->at++;
		}
		if (n > 0)
			return n;
	}
	return 0;
}

void
playback_close(struct playback *p)
{
	if (p == NULL)
		return;
	unload(p->reel);
	free(p->title);
	free(p);
}
