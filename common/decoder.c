/*
 * libsndfile 1.2.0 is kept away from what it does badly: headers of the RIFF and AIFF families are
 * replaced (wrap.h); the length that STREAMINFO and Xing declare is hidden when it would make the
 * decoder stop early; libmpg123, which talks to stderr about gaps, is given the frames without the
 * gaps; Opus is decoded at 48 kHz and not at the rate that its header remembers of the original. It
 * reads through callbacks, so that a read error is seen, a signal is heard, and what it reads
 * counts for the file's hashes.
 */
#include "decoder.h"

#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

#define OPUS_RATE_HZ 48000
#define WAVE_FORMAT_GSM610 0x31
/* As many as libsndfile has channels, and more. */
#define SKIP_SAMPLES 8192

struct decoder {
	struct content *content;
	SNDFILE *sf; /* NULL: refused */
	SF_INFO info;
	struct decoder_format format;
	uint64_t furthest; /* in the view */
	int64_t limit;	   /* frames that are no invention of the decoder's */
	char said[128];
};

/* ---- libsndfile's view of the file ---- */

static sf_count_t
vio_length(void *user)
{
	struct decoder *d = user;

	return (sf_count_t)d->content->view.size;
}

static sf_count_t
vio_seek(sf_count_t offset, int whence, void *user)
{
	struct decoder *d = user;
	sf_count_t base = whence == SEEK_CUR   ? (sf_count_t)d->content->view.pos
			  : whence == SEEK_END ? (sf_count_t)d->content->view.size
					       : 0;
	sf_count_t to;

	if ((whence == SEEK_END && d->content->no_end) ||
	    __builtin_add_overflow(base, offset, &to) || to < 0)
		return -1;
	d->content->view.pos = (uint64_t)to;
	return to;
}

static sf_count_t
vio_read(void *p, sf_count_t len, void *user)
{
	struct decoder *d = user;

	return len <= 0 ? 0 : (sf_count_t)view_read(&d->content->view, p, (size_t)len);
}

static sf_count_t
vio_write(const void *p, sf_count_t len, void *user)
{
	(void)p;
	(void)len;
	(void)user;
	return 0;
}

static sf_count_t
vio_tell(void *user)
{
	struct decoder *d = user;

	return (sf_count_t)d->content->view.pos;
}

/* ---- names ---- */

struct codec {
	int subtype;
	const char *name; /* with %s: the byte order */
	int bits;	  /* -1: means nothing */
	bool lossless;
};

static const struct codec codecs[] = {
    {SF_FORMAT_PCM_S8, "pcm_s8", 8, true},
    {SF_FORMAT_PCM_U8, "pcm_u8", 8, true},
    {SF_FORMAT_PCM_16, "pcm_s16%s", 16, true},
    {SF_FORMAT_PCM_24, "pcm_s24%s", 24, true},
    {SF_FORMAT_PCM_32, "pcm_s32%s", 32, true},
    {SF_FORMAT_FLOAT, "pcm_f32%s", 32, true},
    {SF_FORMAT_DOUBLE, "pcm_f64%s", 64, true},
    {SF_FORMAT_ULAW, "pcm_mulaw", 8, false},
    {SF_FORMAT_ALAW, "pcm_alaw", 8, false},
    {SF_FORMAT_MS_ADPCM, "adpcm_ms", -1, false},
    {SF_FORMAT_VOX_ADPCM, "adpcm_ima_oki", -1, false},
    {SF_FORMAT_G721_32, "adpcm_g726", -1, false},
    {SF_FORMAT_G723_24, "adpcm_g726", -1, false},
    {SF_FORMAT_G723_40, "adpcm_g726", -1, false},
    {SF_FORMAT_NMS_ADPCM_16, "adpcm_nms", -1, false},
    {SF_FORMAT_NMS_ADPCM_24, "adpcm_nms", -1, false},
    {SF_FORMAT_NMS_ADPCM_32, "adpcm_nms", -1, false},
    {SF_FORMAT_DPCM_8, "sdx2_dpcm", -1, false},
    {SF_FORMAT_DPCM_16, "sdx2_dpcm", -1, false},
    {SF_FORMAT_DWVW_12, "dwvw", 12, false},
    {SF_FORMAT_DWVW_16, "dwvw", 16, false},
    {SF_FORMAT_DWVW_24, "dwvw", 24, false},
    {SF_FORMAT_VORBIS, "vorbis", -1, false},
    {SF_FORMAT_OPUS, "opus", -1, false},
    {SF_FORMAT_ALAC_16, "alac", 16, true},
    {SF_FORMAT_ALAC_20, "alac", 20, true},
    {SF_FORMAT_ALAC_24, "alac", 24, true},
    {SF_FORMAT_ALAC_32, "alac", 32, true},
    {SF_FORMAT_MPEG_LAYER_I, "mp1", -1, false},
    {SF_FORMAT_MPEG_LAYER_II, "mp2", -1, false},
    {SF_FORMAT_MPEG_LAYER_III, "mp3", -1, false},
};

static const struct codec *
codec_of(int subtype)
{
	for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++)
		if (codecs[i].subtype == subtype)
			return &codecs[i];
	return NULL;
}

static bool
is_big_endian(int format)
{
	int major = format & SF_FORMAT_TYPEMASK, order = format & SF_FORMAT_ENDMASK;

	if (order == SF_ENDIAN_BIG || order == SF_ENDIAN_LITTLE)
		return order == SF_ENDIAN_BIG;
	return major == SF_FORMAT_AIFF || major == SF_FORMAT_AU || major == SF_FORMAT_CAF ||
	       major == SF_FORMAT_SVX;
}

/* libsndfile takes FLAC for PCM in another container. */
static bool
is_flac(const struct content *c)
{
	return c->facts->flac != NULL ||
	       (c->facts->ogg != NULL && strcmp(c->ogg.codec, "flac") == 0);
}

static void
name_codec(struct decoder *d, const struct codec *c)
{
	int subtype = d->info.format & SF_FORMAT_SUBMASK,
	    major = d->info.format & SF_FORMAT_TYPEMASK;
	char *name = d->format.codec;
	size_t size = sizeof d->format.codec;

	if (is_flac(d->content)) {
		snprintf(name, size, "flac");
	} else if (subtype == SF_FORMAT_IMA_ADPCM) {
		snprintf(name, size, major == SF_FORMAT_AIFF ? "adpcm_ima_qt" : "adpcm_ima_wav");
	} else if (subtype == SF_FORMAT_GSM610) {
		snprintf(name, size,
		    major == SF_FORMAT_RAW || major == SF_FORMAT_AIFF ? "gsm" : "gsm_ms");
	} else if (c != NULL) {
		const char *order = strstr(c->name, "%s");
		int len = order != NULL ? (int)(order - c->name) : (int)strlen(c->name);

		snprintf(name, size, "%.*s%s", len, c->name,
		    order == NULL		    ? ""
		    : is_big_endian(d->info.format) ? "be"
						    : "le");
	}
}

static void
fill_format(struct decoder *d)
{
	struct decoder_format *f = &d->format;
	int subtype = d->info.format & SF_FORMAT_SUBMASK;
	const struct codec *c = codec_of(subtype);

	f->rate_hz = (unsigned)d->info.samplerate;
	f->channels = (unsigned)d->info.channels;
	f->frames = d->info.frames < SF_COUNT_MAX ? d->info.frames : -1;
	f->stored_bits = c != NULL ? c->bits : -1;
	f->lossless = c != NULL && c->lossless;
	f->samples = subtype == SF_FORMAT_DOUBLE		 ? DECODER_DOUBLE
		     : f->lossless && subtype != SF_FORMAT_FLOAT ? DECODER_INT
								 : DECODER_FLOAT;
	f->bits = f->samples == DECODER_INT ? (unsigned)c->bits : 0;
	name_codec(d, c);
}

/* ---- opening ---- */

static void
refused(struct decoder *d)
{
	struct facts *f = d->content->facts;

	snprintf(d->said, sizeof d->said, "%s", sf_strerror(NULL));
	f->open_error = d->said;
	f->unimplemented =
	    f->flac == NULL &&
	    (strstr(d->said, "unimplemented") != NULL || strstr(d->said, "unsupported") != NULL ||
		(f->ogg != NULL && f->ogg->codec[0] != '\0' &&
		    strcmp(f->ogg->codec, "vorbis") != 0 && strcmp(f->ogg->codec, "opus") != 0));
}

static void
decode_opus_at_48_khz(struct decoder *d)
{
	int rate = OPUS_RATE_HZ;

	if ((d->info.format & SF_FORMAT_SUBMASK) != SF_FORMAT_OPUS || d->info.samplerate == rate ||
	    sf_command(d->sf, SFC_SET_ORIGINAL_SAMPLERATE, &rate, sizeof rate) != SF_TRUE)
		return;
	if (d->info.frames > 0 && d->info.frames < SF_COUNT_MAX / 48)
		d->info.frames *= rate / d->info.samplerate;
	d->info.samplerate = rate;
}

static void
open_file(struct decoder *d)
{
	static SF_VIRTUAL_IO vio = {vio_length, vio_seek, vio_read, vio_write, vio_tell};
	struct content *c = d->content;
	struct facts *f = c->facts;

	if (c->view.size == 0 || (f->mpeg != NULL && f->mpeg->frames == 0))
		return;
	c->view.pos = 0;
	if (f->layout == NULL && c->id.format == FRAMING_GSM)
		d->info = (SF_INFO){
		    .format = SF_FORMAT_RAW | SF_FORMAT_GSM610, .samplerate = 8000, .channels = 1};
	if ((d->sf = sf_open_virtual(&vio, SFM_READ, &d->info, d)) == NULL) {
		refused(d);
		return;
	}
	decode_opus_at_48_khz(d);
	fill_format(d);
	d->furthest = c->view.pos;
	/* libsndfile decodes the pad byte behind an odd number of 65-byte blocks as one more. */
	d->limit = INT64_MAX;
	if (f->layout != NULL && f->format_tag == WAVE_FORMAT_GSM610)
		d->limit = (int64_t)(f->layout->audio_size / 65 * 320);
	f->opened = true;
	f->rate_hz = d->format.rate_hz;
	f->frames = 0;
}

struct decoder *
decoder_open(struct content *c, struct err *e)
{
	struct decoder *d = mem_new(1, sizeof *d, e);

	if (d == NULL)
		return NULL;
	d->content = c;
	open_file(d);
	return d;
}

void
decoder_close(struct decoder *d)
{
	if (d == NULL)
		return;
	if (d->sf != NULL)
		sf_close(d->sf);
	free(d);
}

const struct decoder_format *
decoder_format(const struct decoder *d)
{
	return &d->format;
}

/* ---- tags ---- */

typedef int put_fn(void *ctx, const char *key, const char *text, size_t len, struct err *e);
typedef SF_BROADCAST_INFO_VAR(DECODER_MAX_TAG) broadcast_info;

static int
put_broadcast(const broadcast_info *b, put_fn *put, void *ctx, struct err *e)
{
	size_t history_size = b->coding_history_size < sizeof b->coding_history
				  ? b->coding_history_size
				  : sizeof b->coding_history;
	char time[24];
	const struct {
		const char *key, *text;
		size_t size;
	} fields[] = {{"description", b->description, sizeof b->description},
	    {"originator", b->originator, sizeof b->originator},
	    {"originator_reference", b->originator_reference, sizeof b->originator_reference},
	    {"origination_date", b->origination_date, sizeof b->origination_date},
	    {"origination_time", b->origination_time, sizeof b->origination_time},
	    {"time_reference", time, sizeof time},
	    {"coding_history", b->coding_history, history_size}};

	snprintf(time, sizeof time, "%llu",
	    (unsigned long long)b->time_reference_high << 32 | b->time_reference_low);
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (put(ctx, fields[i].key, fields[i].text, strnlen(fields[i].text, fields[i].size),
			e) == -1)
			return -1;
	return 0;
}

int
decoder_tags(struct decoder *d, put_fn *put, void *ctx, struct err *e)
{
	static const struct {
		int type;
		const char *key;
	} strings[] = {{SF_STR_TITLE, "title"}, {SF_STR_ARTIST, "artist"}, {SF_STR_ALBUM, "album"},
	    {SF_STR_COMMENT, "comment"}, {SF_STR_DATE, "date"}, {SF_STR_GENRE, "genre"},
	    {SF_STR_SOFTWARE, "software"}, {SF_STR_COPYRIGHT, "copyright"},
	    {SF_STR_LICENSE, "license"}, {SF_STR_TRACKNUMBER, "track"}};
	broadcast_info *b;
	int rc = 0;

	for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
		const char *s = sf_get_string(d->sf, strings[i].type);

		if (s != NULL && put(ctx, strings[i].key, s, strnlen(s, DECODER_MAX_TAG), e) == -1)
			return -1;
	}
	if ((b = mem_new(1, sizeof *b, e)) == NULL)
		return -1;
	if (sf_command(d->sf, SFC_GET_BROADCAST_INFO, b, sizeof *b) == SF_TRUE)
		rc = put_broadcast(b, put, ctx, e);
	free(b);
	return rc;
}

/* ---- reading ---- */

static sf_count_t
read_block(
    struct decoder *d, enum decoder_samples type, union decoder_block *b, sf_count_t len_frames)
{
	switch (type) {
	case DECODER_INT:
		return sf_readf_int(d->sf, b->i, len_frames);
	case DECODER_DOUBLE:
		return sf_readf_double(d->sf, b->d, len_frames);
	default:
		return sf_readf_float(d->sf, b->f, len_frames);
	}
}

/*
 * After an error libsndfile may find its way back into the stream when it is asked again. It is,
 * for as long as it goes forward in the file.
 */
size_t
decoder_read(struct decoder *d, enum decoder_samples type, union decoder_block *b)
{
	struct facts *f = d->content->facts;
	const struct view *v = &d->content->view;

	while (d->sf != NULL && !source_stopped(d->content->source)) {
		sf_count_t len = DECODER_MAX_BLOCK / d->info.channels;
		sf_count_t n = read_block(d, type, b, len);
		bool failed = sf_error(d->sf) != SF_ERR_NO_ERROR;

		if (failed && f->decode_error == NULL) {
			snprintf(d->said, sizeof d->said, "%s", sf_strerror(d->sf));
			f->decode_error = d->said;
			f->error_frame = f->frames + (n > 0 ? n : 0);
		}
		n = n > d->limit - f->frames ? d->limit - f->frames : n;
		/* A count that was not asked for is a decoder gone wrong. */
		if (n > len || (n <= 0 && (!failed || v->pos <= d->furthest)))
			break;
		d->furthest = v->pos > d->furthest ? v->pos : d->furthest;
		if (n > 0) {
			f->frames += n;
			return (size_t)n;
		}
	}
	return 0;
}

/* ---- places ---- */

int
decoder_skip_to(struct decoder *d, uint64_t frame)
{
	struct facts *f = d->content->facts;
	int discarded[SKIP_SAMPLES];

	if (d->sf == NULL || !d->format.lossless)
		return -1;
	while ((uint64_t)f->frames < frame && !source_stopped(d->content->source)) {
		uint64_t left = frame - (uint64_t)f->frames;
		sf_count_t len = SKIP_SAMPLES / d->info.channels;

		len = left < (uint64_t)len ? (sf_count_t)left : len;
		/* Behind damage nobody knows which frame this is. */
		if (sf_readf_int(d->sf, discarded, len) != len ||
		    sf_error(d->sf) != SF_ERR_NO_ERROR)
			return -1;
		f->frames += len;
	}
	d->furthest = d->content->view.pos;
	return (uint64_t)f->frames == frame ? 0 : -1;
}

/* libsndfile leaves libFLAC in a state of failure when it could not seek. */
static bool
begin_again(struct decoder *d)
{
	sf_close(d->sf);
	d->sf = NULL;
	d->info = (SF_INFO){0};
	open_file(d);
	return d->sf != NULL;
}

int
decoder_seek(struct decoder *d, uint64_t frame)
{
	if (d->sf == NULL || !d->format.lossless)
		return -1;
	d->content->facts->decode_error = NULL;
	if (frame <= INT64_MAX &&
	    sf_seek(d->sf, (sf_count_t)frame, SEEK_SET) == (sf_count_t)frame) {
		d->content->facts->frames = (int64_t)frame;
		d->furthest = d->content->view.pos;
		return 0;
	}
	return begin_again(d) ? decoder_skip_to(d, frame) : -1;
}

size_t
decoder_look_back(struct decoder *d, uint64_t frame, float *p, size_t len_frames)
{
	sf_count_t n = 0;

	if (d->sf != NULL && sf_seek(d->sf, (sf_count_t)frame, SEEK_SET) != -1)
		n = sf_readf_float(d->sf, p, (sf_count_t)len_frames);
	return n > 0 ? (size_t)n : 0;
}
