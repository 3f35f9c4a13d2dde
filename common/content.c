#include "content.h"

#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "wrap.h"

/* A longer ID3v2 tag is kept from the decoder, which would read all of it into memory. */
#define MAX_TAGGED_HEAD ((uint64_t)16 << 20)
#define MAX_EXTENTS 1000

/* STREAMINFO's count of samples (36 bits) is hidden: it would end the decoding. */
static int
view_flac(struct content *c, struct err *e)
{
	struct view *v = &c->view;
	unsigned char count[5];
	uint64_t at;

	c->facts->flac = &c->flac;
	framing_flac(c->source, c->id.begin, c->id.end, &c->flac);
	c->facts->audio_offset = c->flac.audio_offset;
	at = c->flac.info_offset + 13;
	if (!c->flac.there || c->facts->quick ||
	    source_read(c->source, at, count, sizeof count) != sizeof count)
		return view_add_file(v, c->id.begin, c->id.end - c->id.begin, e);
	count[0] &= 0xf0;
	memset(count + 1, 0, 4);
	if (view_add_file(v, c->id.begin, at - c->id.begin, e) == -1 ||
	    view_add_bytes(v, count, sizeof count, e) == -1)
		return -1;
	return view_add_file(v, at + 5, c->id.end - at - 5, e);
}

static int
view_ogg(struct content *c, struct err *e)
{
	c->facts->ogg = &c->ogg;
	c->ogg.codec = "";
	if (!c->facts->quick)
		framing_ogg(c->source, c->id.begin, c->id.end, &c->ogg);
	return view_add_file(&c->view, c->id.begin, c->id.end - c->id.begin, e);
}

/*
 * The frames without what lies between them, behind the ID3v2 tag if there is one. A Xing header
 * that lies about the count is left out, since libmpg123 would believe it, and a VBRI header, which
 * it would play.
 */
static int
view_mpeg(struct content *c, uint64_t begin, uint64_t end, struct err *e)
{
	struct mpeg_walk *w = &c->mpeg;
	uint64_t skip_from, skip_to;
	bool drop;

	c->facts->mpeg = w;
	if (framing_mpeg(c->source, begin, end, !c->facts->quick, w, e) == -1)
		return -1;
	if (c->facts->quick)
		return view_add_file(&c->view, begin, end - begin, e);
	drop = w->declared && !framing_mpeg_info_is_true(w);
	skip_from = drop ? w->info_offset : 0;
	skip_to = drop ? w->info_offset + w->info_len : 0;
	if (begin == c->id.begin && begin <= MAX_TAGGED_HEAD &&
	    view_add_file(&c->view, 0, begin, e) == -1)
		return -1;
	for (size_t i = 0; i < w->n_runs; i++) {
		uint64_t from = w->runs[i].offset, to = from + w->runs[i].len;

		if (from == skip_from && drop)
			from = skip_to;
		if (view_add_file(&c->view, from, to - from, e) == -1)
			return -1;
	}
	c->no_end = true;
	return 0;
}

/* libsndfile refuses a CAF whose data chunk is cut: its size becomes what is there. */
static int
view_other(struct content *c, struct err *e)
{
	struct facts *f = c->facts;
	uint64_t size = f->size_bytes, there, at;
	unsigned char count[8];

	f->sized =
	    framing_sizes(c->source, c->id.container, &f->sized_offset, &f->sized_declared) == 1;
	f->audio_offset = f->sized ? f->sized_offset : 0;
	if (strcmp(c->id.container, "caf") != 0 || !f->sized || f->sized_offset > size ||
	    f->sized_declared <= size - f->sized_offset)
		return view_add_file(&c->view, 0, size, e);
	at = f->sized_offset - 12;
	there = size - f->sized_offset + 4;
	for (int i = 0; i < 8; i++)
		count[i] = (unsigned char)(there >> (8 * (7 - i)));
	if (view_add_file(&c->view, 0, at, e) == -1 ||
	    view_add_bytes(&c->view, count, sizeof count, e) == -1)
		return -1;
	return view_add_file(&c->view, at + 8, size - at - 8, e);
}

/* 0, or -1 and *e. The view stays empty when the file is not to be given to the decoder. */
static int
make_view(struct content *c, struct err *e)
{
	const struct chunk_layout *l = &c->layout;
	struct facts *f = c->facts;

	if (f->layout != NULL) {
		if (l->duplicate_fmt || l->fmt == -1 || l->data == -1 ||
		    l->chunks[l->fmt].size < (l->family == CHUNK_AIFF ? 18 : 16))
			return 0;
		f->format_tag = wrap_format_tag(c->source, l);
		f->audio_offset = l->audio_offset;
		if (f->format_tag == 0x55 || f->format_tag == 0x50)
			return view_mpeg(c, l->audio_offset, l->audio_offset + l->audio_size, e);
		return wrap_audio(c->source, l, &c->view, e);
	}
	switch (c->id.format) {
	case FRAMING_FLAC:
		return view_flac(c, e);
	case FRAMING_OGG:
		return view_ogg(c, e);
	case FRAMING_MPEG:
		f->audio_offset = c->id.begin;
		return view_mpeg(c, c->id.begin, c->id.end, e);
	case FRAMING_GSM:
	case FRAMING_OTHER:
		return view_other(c, e);
	default:
		return 0;
	}
}

int
content_look(struct content *c, int fd, struct err *e)
{
	struct facts *f = c->facts;
	int r;

	c->id = (struct framing_id){.container = "", .name = ""};
	c->layout = (struct chunk_layout){.fmt = -1, .data = -1};
	c->view.source = c->source;
	f->id = &c->id;
	f->container = "";
	if ((r = chunk_layout(fd, f->size_bytes, &c->layout, e)) == -1)
		return -1;
	if (r == 1) {
		f->layout = &c->layout;
		f->container = c->layout.container;
	} else {
		framing_identify(c->source, &c->id);
		f->container = c->id.container;
	}
	return make_view(c, e);
}

void
content_close(struct content *c)
{
	framing_mpeg_free(&c->mpeg);
	chunk_layout_free(&c->layout);
	view_clear(&c->view);
}

uint64_t
content_hole_at_end(int fd, uint64_t zero_start, uint64_t size)
{
	off_t before = lseek(fd, 0, SEEK_CUR), hole, data;
	uint64_t from = zero_start / 4096 * 4096;

	for (int i = 0; i < MAX_EXTENTS; i++) {
		hole = lseek(fd, (off_t)from, SEEK_HOLE);
		if (hole == -1 || (uint64_t)hole >= size)
			break;
		data = lseek(fd, hole, SEEK_DATA);
		if (data == -1 || (uint64_t)data >= size) {
			lseek(fd, before, SEEK_SET);
			return (uint64_t)hole > zero_start ? (uint64_t)hole : zero_start;
		}
		from = (uint64_t)data;
	}
	lseek(fd, before, SEEK_SET);
	return size;
}
