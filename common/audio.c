/*
 * The order of one measurement: identify the content, walk its frames where the format has any,
 * make the view that the decoder gets, decode and measure block by block, read the rest for the
 * file's hashes, judge. libsndfile never opens the file itself: it reads through callbacks, so that
 * a read error is seen, a signal is heard, and no byte is read from the disk for the hashes alone.
 *
 * libsndfile 1.2.0 is kept away from what it does badly: headers of the RIFF and AIFF families are
 * replaced (wrap.h); the length that STREAMINFO and Xing declare is hidden when it would make the
 * decoder stop early; libmpg123, which talks to stderr about gaps, is given the frames without the
 * gaps; Opus is decoded at 48 kHz and not at the rate that its header remembers of the original.
 */
#include "audio.h"

#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "content.h"
#include "framing.h"
#include "levels.h"
#include "source.h"
#include "utf8.h"
#include "verdict.h"
#include "version.h"

#define MAX_TAG 65536
/* Above this length, and when it is unknown, loudness is kept in a histogram (bounded memory). */
#define LONG_S (4 * 3600)
#define LONG_SIZE ((uint64_t)4 << 30) /* whatever the header claims */
#define ABRUPT_DBFS -40.0

struct job {
	const struct audio_opts *o;
	struct measure *m;
	struct err *e;
	struct source *source;
	struct content content;
	struct facts facts;
	SNDFILE *sf;
	SF_INFO info;
	unsigned bits; /* of lossless samples; 0 for floats and lossy */
	bool lossless;
	char decoder_said[128];
};

/* ---- options and fields ---- */

void
audio_measure_init(struct measure *m)
{
	*m = (struct measure){.size_bytes = -1,
	    .sample_rate_hz = -1,
	    .channels = -1,
	    .bits_per_sample = -1,
	    .frames = -1,
	    .duration_s = NAN,
	    .bit_rate_bps = -1,
	    .peak_dbfs = NAN,
	    .true_peak_dbtp = NAN,
	    .rms_dbfs = NAN,
	    .loudness_lufs = NAN,
	    .loudness_range_lu = NAN,
	    .clipped_frames = -1,
	    .leading_silence_s = NAN,
	    .trailing_silence_s = NAN};
}

void
audio_measure_free(struct measure *m)
{
	json_free(m->tags);
	m->tags = NULL;
}

void
audio_prober(const struct audio_opts *o, char out[AUDIO_PROBER_MAX])
{
	if (o->quick)
		snprintf(out, AUDIO_PROBER_MAX, "rectools %s; measures=%d; quick", REC_VERSION,
		    AUDIO_MEASURES_VERSION);
	else
		snprintf(out, AUDIO_PROBER_MAX,
		    "rectools %s; measures=%d silence_dbfs=%g true_peak=%s", REC_VERSION,
		    AUDIO_MEASURES_VERSION, AUDIO_SILENCE_DBFS, o->true_peak ? "yes" : "no");
}

bool
audio_prober_suffices(const char *prober, const struct audio_opts *o)
{
	char peak[4], rest;
	double silence;
	int version;

	if (sscanf(prober, "rectools %*[^;]; measures=%d silence_dbfs=%lf true_peak=%3s%c",
		&version, &silence, peak, &rest) == 3)
		return version == AUDIO_MEASURES_VERSION && silence == AUDIO_SILENCE_DBFS &&
		       (strcmp(peak, "yes") == 0 || (strcmp(peak, "no") == 0 && !o->true_peak));
	return o->quick &&
	       sscanf(prober, "rectools %*[^;]; measures=%d; quick%c", &version, &rest) == 1 &&
	       version == AUDIO_MEASURES_VERSION;
}

/* v with n decimals, as the double nearest to the decimal number. */
static double
decimals(double v, int n)
{
	char text[400];

	if (!isfinite(v))
		return NAN;
	snprintf(text, sizeof text, "%.*f", n, v);
	v = strtod(text, NULL);
	return v == 0 ? 0 : v; /* no -0 */
}

/* ---- libsndfile's view of the file ---- */

static sf_count_t
vio_length(void *user)
{
	struct job *j = user;

	return (sf_count_t)j->content.view.size;
}

static sf_count_t
vio_seek(sf_count_t offset, int whence, void *user)
{
	struct job *j = user;
	sf_count_t base = whence == SEEK_CUR   ? (sf_count_t)j->content.view.pos
			  : whence == SEEK_END ? (sf_count_t)j->content.view.size
					       : 0;
	sf_count_t to;

	if ((whence == SEEK_END && j->content.no_end) ||
	    __builtin_add_overflow(base, offset, &to) || to < 0)
		return -1;
	j->content.view.pos = (uint64_t)to;
	return to;
}

static sf_count_t
vio_read(void *p, sf_count_t len, void *user)
{
	struct job *j = user;

	return len <= 0 ? 0 : (sf_count_t)view_read(&j->content.view, p, (size_t)len);
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
	struct job *j = user;

	return (sf_count_t)j->content.view.pos;
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
is_big_endian(const struct job *j)
{
	int major = j->info.format & SF_FORMAT_TYPEMASK, order = j->info.format & SF_FORMAT_ENDMASK;

	if (order == SF_ENDIAN_BIG || order == SF_ENDIAN_LITTLE)
		return order == SF_ENDIAN_BIG;
	return major == SF_FORMAT_AIFF || major == SF_FORMAT_AU || major == SF_FORMAT_CAF ||
	       major == SF_FORMAT_SVX;
}

static const char *
mime_of(const char *container)
{
	static const char *const types[][2] = {{"wav", "audio/x-wav"}, {"rf64", "audio/x-wav"},
	    {"w64", "audio/x-wav"}, {"flac", "audio/flac"}, {"ogg", "audio/ogg"},
	    {"mp3", "audio/mpeg"}, {"aiff", "audio/x-aiff"}, {"caf", "audio/x-caf"},
	    {"au", "audio/basic"}};

	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (strcmp(types[i][0], container) == 0)
			return types[i][1];
	return "application/octet-stream";
}

static void
fill_format(struct job *j)
{
	struct measure *m = j->m;
	int subtype = j->info.format & SF_FORMAT_SUBMASK,
	    major = j->info.format & SF_FORMAT_TYPEMASK;
	const struct codec *c = codec_of(subtype);
	bool flac = j->facts.flac != NULL ||
		    (j->facts.ogg != NULL && strcmp(j->content.ogg.codec, "flac") == 0);

	m->sample_rate_hz = j->info.samplerate;
	m->channels = j->info.channels;
	if (flac) {
		snprintf(m->codec, sizeof m->codec, "flac");
	} else if (subtype == SF_FORMAT_IMA_ADPCM) {
		snprintf(m->codec, sizeof m->codec,
		    major == SF_FORMAT_AIFF ? "adpcm_ima_qt" : "adpcm_ima_wav");
	} else if (subtype == SF_FORMAT_GSM610) {
		snprintf(m->codec, sizeof m->codec,
		    major == SF_FORMAT_RAW || major == SF_FORMAT_AIFF ? "gsm" : "gsm_ms");
	} else if (c != NULL) {
		const char *order = strstr(c->name, "%s");
		int len = order != NULL ? (int)(order - c->name) : (int)strlen(c->name);

		snprintf(m->codec, sizeof m->codec, "%.*s%s", len, c->name,
		    order == NULL      ? ""
		    : is_big_endian(j) ? "be"
				       : "le");
	}
	if (c != NULL) {
		m->bits_per_sample = c->bits;
		j->lossless = c->lossless;
		j->bits = c->lossless && subtype != SF_FORMAT_FLOAT && subtype != SF_FORMAT_DOUBLE
			      ? (unsigned)c->bits
			      : 0;
	}
}

static void
fill_derived(struct job *j)
{
	struct measure *m = j->m;
	bool plain = strncmp(m->codec, "pcm_", 4) == 0;

	if (m->frames >= 0 && m->sample_rate_hz > 0)
		m->duration_s = decimals((double)m->frames / (double)m->sample_rate_hz, 6);
	if (plain && m->bits_per_sample > 0)
		m->bit_rate_bps = m->sample_rate_hz * m->channels * m->bits_per_sample;
	else if (m->duration_s > 0)
		m->bit_rate_bps =
		    (int64_t)llround(fmin((double)m->size_bytes * 8 / m->duration_s, 9e15));
	if (m->frames <= 0)
		strcpy(m->quality, "unknown");
	else if (m->sample_rate_hz >= 96000 && m->bits_per_sample >= 24)
		strcpy(m->quality, "high_resolution");
	else if (m->sample_rate_hz >= 44100 && m->bits_per_sample >= 16)
		strcpy(m->quality, "cd_quality");
	else
		strcpy(m->quality, "low_quality");
}

/* ---- tags ---- */

/* Text of old formats has no declared encoding: what is not UTF-8 is taken as ISO-8859-1. */
static int
put_tag(struct job *j, const char *key, const char *text, size_t len)
{
	struct buf b = {0};
	int rc = -1;

	len = strnlen(text, len < MAX_TAG ? len : MAX_TAG);
	while (len > 0 && (unsigned char)text[len - 1] <= ' ')
		len--;
	if (len == 0)
		return 0;
	if (buf_add(&b, text, len, j->e) == -1)
		goto out;
	/* A value that was cut at the limit may end inside a character. */
	for (int i = 0; i < 3 && len == MAX_TAG && !utf8_valid(b.data, b.len); i++)
		b.data[--b.len] = '\0';
	if (!utf8_valid(b.data, b.len)) {
		buf_clear(&b);
		for (size_t i = 0; i < len; i++) {
			unsigned char c = (unsigned char)text[i];
			char two[2] = {(char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f))};

			if (buf_add(&b, c < 0x80 ? &text[i] : two, c < 0x80 ? 1 : 2, j->e) == -1)
				goto out;
		}
	}
	rc = json_put_str(j->m->tags, key, b.data, j->e);
out:
	buf_free(&b);
	return rc;
}

static int
put_broadcast(struct job *j)
{
	typedef SF_BROADCAST_INFO_VAR(MAX_TAG) info_t;
	info_t *b = mem_new(1, sizeof *b, j->e);
	uint64_t time;
	char number[24];
	int rc = -1;

	if (b == NULL)
		return -1;
	if (sf_command(j->sf, SFC_GET_BROADCAST_INFO, b, sizeof *b) != SF_TRUE) {
		free(b);
		return 0;
	}
	time = (uint64_t)b->time_reference_high << 32 | b->time_reference_low;
	snprintf(number, sizeof number, "%llu", (unsigned long long)time);
	if (put_tag(j, "description", b->description, sizeof b->description) == 0 &&
	    put_tag(j, "originator", b->originator, sizeof b->originator) == 0 &&
	    put_tag(j, "originator_reference", b->originator_reference,
		sizeof b->originator_reference) == 0 &&
	    put_tag(j, "origination_date", b->origination_date, sizeof b->origination_date) == 0 &&
	    put_tag(j, "origination_time", b->origination_time, sizeof b->origination_time) == 0 &&
	    put_tag(j, "time_reference", number, sizeof number) == 0 &&
	    put_tag(j, "coding_history", b->coding_history,
		b->coding_history_size < MAX_TAG ? b->coding_history_size : MAX_TAG) == 0)
		rc = 0;
	free(b);
	return rc;
}

static int
fill_tags(struct job *j)
{
	static const struct {
		int type;
		const char *key;
	} strings[] = {{SF_STR_TITLE, "title"}, {SF_STR_ARTIST, "artist"}, {SF_STR_ALBUM, "album"},
	    {SF_STR_COMMENT, "comment"}, {SF_STR_DATE, "date"}, {SF_STR_GENRE, "genre"},
	    {SF_STR_SOFTWARE, "software"}, {SF_STR_COPYRIGHT, "copyright"},
	    {SF_STR_LICENSE, "license"}, {SF_STR_TRACKNUMBER, "track"}};

	for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
		const char *s = sf_get_string(j->sf, strings[i].type);

		if (s != NULL && put_tag(j, strings[i].key, s, strlen(s)) == -1)
			return -1;
	}
	return put_broadcast(j);
}

/* ---- decoding ---- */

static void
open_decoder(struct job *j)
{
	static SF_VIRTUAL_IO vio = {vio_length, vio_seek, vio_read, vio_write, vio_tell};
	struct facts *f = &j->facts;
	int opus_rate = 48000;

	if (j->content.view.size == 0 || (f->mpeg != NULL && f->mpeg->frames == 0))
		return;
	j->content.view.pos = 0;
	if (f->layout == NULL && j->content.id.format == FRAMING_GSM)
		j->info = (SF_INFO){
		    .format = SF_FORMAT_RAW | SF_FORMAT_GSM610, .samplerate = 8000, .channels = 1};
	j->sf = sf_open_virtual(&vio, SFM_READ, &j->info, j);
	if (j->sf == NULL) {
		snprintf(j->decoder_said, sizeof j->decoder_said, "%s", sf_strerror(NULL));
		f->open_error = j->decoder_said;
		f->unimplemented =
		    f->flac == NULL && (strstr(j->decoder_said, "unimplemented") != NULL ||
					   strstr(j->decoder_said, "unsupported") != NULL ||
					   (f->ogg != NULL && f->ogg->codec[0] != '\0' &&
					       strcmp(f->ogg->codec, "vorbis") != 0 &&
					       strcmp(f->ogg->codec, "opus") != 0));
		return;
	}
	f->opened = true;
	if ((j->info.format & SF_FORMAT_SUBMASK) == SF_FORMAT_OPUS &&
	    j->info.samplerate != opus_rate &&
	    sf_command(j->sf, SFC_SET_ORIGINAL_SAMPLERATE, &opus_rate, sizeof opus_rate) ==
		SF_TRUE) {
		if (j->info.frames > 0 && j->info.frames < SF_COUNT_MAX / 48)
			j->info.frames *= opus_rate / j->info.samplerate;
		j->info.samplerate = opus_rate;
	}
	f->rate_hz = j->info.samplerate > 0 ? (uint64_t)j->info.samplerate : 0;
}

union samples {
	int i[LEVELS_MAX_BLOCK];
	float f[LEVELS_MAX_BLOCK];
	double d[LEVELS_MAX_BLOCK];
};

/* Integers from the upper end of 32 bits to the fewest whole bytes; returns how many. */
static size_t
pack(const int *v, size_t n, unsigned bits, unsigned char *out)
{
	unsigned bytes = (bits + 7) / 8, shift = 32 - bits;
	unsigned char *p = out;

	for (size_t i = 0; i < n; i++) {
		uint32_t x = (uint32_t)(v[i] >> shift);

		for (unsigned b = 0; b < bytes; b++)
			*p++ = (unsigned char)(x >> (8 * b));
	}
	return n * bytes;
}

struct decode {
	union samples *block;
	unsigned char *packed;
	struct levels *levels;
	struct hash *hash; /* NULL for lossy formats */
	sf_count_t block_frames;
};

static sf_count_t
read_block(struct job *j, struct decode *d)
{
	if (j->bits > 0)
		return sf_readf_int(j->sf, d->block->i, d->block_frames);
	if ((j->info.format & SF_FORMAT_SUBMASK) == SF_FORMAT_DOUBLE)
		return sf_readf_double(j->sf, d->block->d, d->block_frames);
	return sf_readf_float(j->sf, d->block->f, d->block_frames);
}

static void
use_block(struct job *j, struct decode *d, size_t frames)
{
	size_t n = frames * (size_t)j->info.channels;
	bool reals64 = (j->info.format & SF_FORMAT_SUBMASK) == SF_FORMAT_DOUBLE;

	/* Little-endian hosts only, like the rest of the toolkit's formats: Debian's amd64 and
	 * arm64. */
	if (d->hash != NULL && j->bits == 32)
		hash_update(d->hash, d->block->i, n * sizeof(int));
	else if (d->hash != NULL && j->bits > 0)
		hash_update(d->hash, d->packed, pack(d->block->i, n, j->bits, d->packed));
	else if (d->hash != NULL)
		hash_update(d->hash, d->block, n * (reals64 ? sizeof(double) : sizeof(float)));
	if (j->bits > 0)
		levels_add_int(d->levels, d->block->i, frames);
	else if (reals64)
		levels_add_double(d->levels, d->block->d, frames);
	else
		levels_add_float(d->levels, d->block->f, frames);
}

/*
 * After an error libsndfile may find its way back into the stream when it is asked again. It is,
 * for as long as it goes forward in the file.
 */
static void
decode_blocks(struct job *j, struct decode *d)
{
	struct facts *f = &j->facts;
	uint64_t furthest = j->content.view.pos;
	int64_t limit = INT64_MAX;

	/* libsndfile decodes the pad byte behind an odd number of 65-byte blocks as one more. */
	if (f->layout != NULL && f->format_tag == 0x31)
		limit = (int64_t)(f->layout->audio_size / 65 * 320);
	f->frames = 0;
	while (!source_stopped(j->source)) {
		sf_count_t n = read_block(j, d);
		bool failed = sf_error(j->sf) != SF_ERR_NO_ERROR;

		if (failed && f->decode_error == NULL) {
			snprintf(j->decoder_said, sizeof j->decoder_said, "%s", sf_strerror(j->sf));
			f->decode_error = j->decoder_said;
			f->error_frame = f->frames + (n > 0 ? n : 0);
		}
		n = n > limit - f->frames ? limit - f->frames : n;
		/* A count that was not asked for is a decoder gone wrong. */
		if (n > d->block_frames || (n <= 0 && (!failed || j->content.view.pos <= furthest)))
			break;
		furthest = j->content.view.pos > furthest ? j->content.view.pos : furthest;
		if (n <= 0)
			continue;
		use_block(j, d, (size_t)n);
		f->frames += n;
	}
}

static void
fill_levels(struct measure *m, const struct levels_result *r)
{
	m->peak_dbfs = decimals(r->peak_dbfs, 3);
	m->rms_dbfs = decimals(r->rms_dbfs, 3);
	m->true_peak_dbtp = decimals(r->true_peak_dbtp, 3);
	m->loudness_lufs = decimals(r->loudness_lufs, 3);
	m->loudness_range_lu = decimals(r->loudness_range_lu, 3);
	m->clipped_frames = (int64_t)r->clipped_frames;
	m->leading_silence_s = decimals((double)r->leading_frames / (double)m->sample_rate_hz, 6);
	m->trailing_silence_s = decimals((double)r->trailing_frames / (double)m->sample_rate_hz, 6);
}

static int
decode(struct job *j)
{
	struct decode d = {.block_frames = LEVELS_MAX_BLOCK / j->info.channels};
	uint64_t rate = (uint64_t)j->info.samplerate;
	uint64_t expected =
	    j->facts.flac != NULL && j->content.flac.frames > 0 ? j->content.flac.frames
	    : j->facts.mpeg != NULL ? j->content.mpeg.frames * j->content.mpeg.samples
				    : (uint64_t)j->info.frames;
	bool is_long = expected > LONG_S * rate || j->facts.size_bytes > LONG_SIZE;
	struct levels_opts lo = {.bits = j->bits,
	    .channels = (unsigned)j->info.channels,
	    .rate_hz = (unsigned)j->info.samplerate,
	    .silence_dbfs = AUDIO_SILENCE_DBFS,
	    .histogram = is_long,
	    .true_peak = j->o->true_peak};
	struct levels_result r;
	int rc = -1;

	d.block = mem_new(1, sizeof *d.block, j->e);
	d.packed = mem_new(LEVELS_MAX_BLOCK, 3, j->e);
	d.levels = levels_open(&lo, j->e);
	if (d.block == NULL || d.packed == NULL || d.levels == NULL)
		goto out;
	if (j->lossless &&
	    (d.hash = hash_open(HASH_XXH3_128 | (j->facts.flac ? HASH_MD5 : 0), j->e)) == NULL)
		goto out;
	decode_blocks(j, &d);
	j->m->frames = j->facts.frames;
	if (j->facts.frames > 0) {
		levels_result(d.levels, &r);
		fill_levels(j->m, &r);
		if (d.hash != NULL)
			hash_xxh3_128(d.hash, j->m->audio_xxh3_128);
		if (d.hash != NULL && j->facts.flac != NULL)
			hash_md5(d.hash, j->facts.md5);
	}
	if (j->facts.flac != NULL && j->facts.decode_error != NULL)
		j->facts.flac_last =
		    framing_flac_last(j->source, &j->content.flac, j->content.id.end,
			&j->facts.flac_last_start, &j->facts.flac_last_len) == 1;
	rc = 0;
out:
	hash_close(d.hash);
	levels_close(d.levels);
	free(d.packed);
	free(d.block);
	return rc;
}

/* ---- the end of the file ---- */

/* The 10 ms before frame `end` peak above ABRUPT_DBFS. */
static int
is_abrupt(struct job *j, uint64_t end, bool *abrupt)
{
	sf_count_t span = j->info.samplerate / 100 > 0 ? j->info.samplerate / 100 : 1, n;
	size_t channels = (size_t)j->info.channels;
	float *v;

	if (end > (uint64_t)j->facts.frames)
		end = (uint64_t)j->facts.frames;
	span = (uint64_t)span > end ? (sf_count_t)end : span;
	if (span > (sf_count_t)(LEVELS_MAX_BLOCK / channels))
		span = (sf_count_t)(LEVELS_MAX_BLOCK / channels);
	if ((v = mem_new((size_t)span * channels, sizeof *v, j->e)) == NULL)
		return -1;
	if (sf_seek(j->sf, (sf_count_t)end - span, SEEK_SET) != -1 &&
	    (n = sf_readf_float(j->sf, v, span)) > 0)
		for (size_t i = 0; i < (size_t)n * channels; i++)
			*abrupt |= fabsf(v[i]) > powf(10, ABRUPT_DBFS / 20);
	free(v);
	return 0;
}

static int
look_at_zeros(struct job *j, int fd)
{
	struct facts *f = &j->facts;
	struct measure *m = j->m;
	uint64_t size = f->size_bytes;
	unsigned sample;

	f->zero_start = source_zero_start(j->source);
	if (size - f->zero_start >= 512)
		m->zero_tail_bytes = size - f->zero_start;
	f->hole_start = content_hole_at_end(fd, f->zero_start, size);
	if (j->sf == NULL || strncmp(m->codec, "pcm_", 4) != 0)
		return 0;
	sample = (unsigned)m->bits_per_sample / 8;
	f->frame_bytes =
	    f->layout != NULL ? f->layout->block_align : sample * (uint64_t)m->channels;
	f->zero_is_silence = strcmp(m->codec, "pcm_u8") != 0 && strcmp(m->codec, "pcm_alaw") != 0 &&
			     strcmp(m->codec, "pcm_mulaw") != 0;
	if (!verdict_wants_abrupt(f))
		return 0;
	return is_abrupt(j, (f->zero_start - f->audio_offset) / f->frame_bytes, &f->abrupt);
}

/* ---- one file ---- */

static int
examine(struct job *j, int fd)
{
	struct facts *f = &j->facts;
	struct measure *m = j->m;

	if (content_look(&j->content, fd, j->e) == -1) {
		if (j->e->class != ERR_ITEM)
			return -1;
		m->problem = *j->e;
		return 0;
	}
	snprintf(m->container, sizeof m->container, "%s", f->container);
	if (f->layout != NULL || j->content.id.format > FRAMING_UNSUPPORTED)
		strcpy(m->mime_type, mime_of(f->container));
	open_decoder(j);
	if (!f->opened)
		return 0;
	if ((m->tags = json_new_object(j->e)) == NULL)
		return -1;
	fill_format(j);
	if (fill_tags(j) == -1)
		return -1;
	if (!j->o->quick)
		return decode(j);
	if (j->info.frames < SF_COUNT_MAX)
		m->frames = f->frames = j->info.frames;
	return 0;
}

/* The rest of the file, its hashes, and the judgment. */
static int
conclude(struct job *j, int fd)
{
	struct measure *m = j->m;
	struct err failed = {.class = ERR_NONE};

	if (!j->o->quick)
		source_finish(j->source, &failed);
	else
		source_failed(j->source, &failed);
	if (failed.class == ERR_STOPPED) {
		*j->e = failed;
		return -1;
	}
	fill_derived(j);
	if (failed.class != ERR_NONE || m->problem.class != ERR_NONE) {
		if (m->problem.class == ERR_NONE)
			m->problem = failed;
		return 0;
	}
	if (j->o->quick) {
		j->facts.zero_start = j->facts.hole_start = j->facts.size_bytes;
	} else {
		hash_xxh3_128(source_hash(j->source), m->xxh3_128);
		hash_sha256(source_hash(j->source), m->sha256);
		if (look_at_zeros(j, fd) == -1)
			return -1;
	}
	verdict(&j->facts, &m->problem);
	return 0;
}

static void
compare_stat(int fd, const struct stat *before, struct measure *m)
{
	struct stat now;

	if (m->problem.class != ERR_NONE && strcmp(m->problem.code, P_UNREADABLE) == 0)
		return;
	if (fstat(fd, &now) == -1 ||
	    (now.st_size == before->st_size && now.st_mtim.tv_sec == before->st_mtim.tv_sec &&
		now.st_mtim.tv_nsec == before->st_mtim.tv_nsec))
		return;
	err_item(&m->problem, P_MODIFIED,
	    "changed while it was read (%lld bytes at first, %lld at the end): "
	    "measure it again when nobody writes to it",
	    (long long)before->st_size, (long long)now.st_size);
}

int
audio_measure(int fd, const struct audio_opts *o, struct measure *m, struct err *e)
{
	struct job j = {.o = o, .m = m, .e = e};
	struct stat st;
	int rc = -1;

	audio_measure_init(m);
	if (fstat(fd, &st) == -1)
		return err_sys(e, "asking for the size of an open file");
	m->size_bytes = st.st_size;
	clock_rfc3339(st.st_mtim, m->mtime);
	audio_prober(o, m->prober);
	j.facts = (struct facts){
	    .size_bytes = (uint64_t)st.st_size, .container = "", .quick = o->quick, .frames = -1};
	j.source = source_open(fd, (uint64_t)st.st_size, o->quick ? 0 : HASH_XXH3_128 | HASH_SHA256,
	    o->stop, o->bytes_done, e);
	if (j.source == NULL)
		return -1;
	j.content.source = j.source;
	j.content.facts = &j.facts;
	if (examine(&j, fd) == 0 && conclude(&j, fd) == 0) {
		compare_stat(fd, &st, m);
		rc = 0;
	}
	if (j.sf != NULL)
		sf_close(j.sf);
	content_close(&j.content);
	source_close(j.source);
	if (rc == -1)
		audio_measure_free(m);
	return rc;
}
