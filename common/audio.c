/*
 * The order of one measurement: identify the content, walk its frames where the format has any,
 * make the view that the decoder gets, decode and measure block by block, read the rest for the
 * file's hashes, judge. The decoder reads through the source, so that no byte is read from the disk
 * for the hashes alone.
 */
#include "audio.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "content.h"
#include "decoder.h"
#include "framing.h"
#include "levels.h"
#include "source.h"
#include "utf8.h"
#include "verdict.h"
#include "version.h"

/* Above this length, and when it is unknown, loudness is kept in a histogram (bounded memory). */
#define LONG_S (4 * 3600)
#define LONG_SIZE ((uint64_t)4 << 30) /* whatever the header claims */
#define ABRUPT_DBFS -40.0

_Static_assert(DECODER_MAX_BLOCK <= LEVELS_MAX_BLOCK, "levels take what the decoder gives");

struct job {
	const struct audio_opts *o;
	struct measure *m;
	struct err *e;
	struct source *source;
	struct content content;
	struct facts facts;
	struct decoder *decoder;
	const struct decoder_format *format; /* of a file that the decoder opened */
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

/* ---- format ---- */

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

	m->sample_rate_hz = j->format->rate_hz;
	m->channels = j->format->channels;
	m->bits_per_sample = j->format->stored_bits;
	snprintf(m->codec, sizeof m->codec, "%s", j->format->codec);
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
put_tag(void *ctx, const char *key, const char *text, size_t len, struct err *e)
{
	struct json *tags = ctx;
	struct buf b = {0};
	int rc = -1;

	while (len > 0 && (unsigned char)text[len - 1] <= ' ')
		len--;
	if (len == 0)
		return 0;
	if (buf_add(&b, text, len, e) == -1)
		goto out;
	/* A value that was cut at the limit may end inside a character. */
	for (int i = 0; i < 3 && len == DECODER_MAX_TAG && !utf8_valid(b.data, b.len); i++)
		b.data[--b.len] = '\0';
	if (!utf8_valid(b.data, b.len)) {
		buf_clear(&b);
		for (size_t i = 0; i < len; i++) {
			unsigned char c = (unsigned char)text[i];
			char two[2] = {(char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f))};

			if (buf_add(&b, c < 0x80 ? &text[i] : two, c < 0x80 ? 1 : 2, e) == -1)
				goto out;
		}
	}
	rc = json_put_str(tags, key, b.data, e);
out:
	buf_free(&b);
	return rc;
}

/* ---- decoding ---- */

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
	union decoder_block *block;
	unsigned char *packed;
	struct levels *levels;
	struct hash *hash; /* NULL for lossy formats */
};

static void
hash_block(const struct decoder_format *f, struct decode *d, size_t n)
{
	/* Little-endian hosts only, like the rest of the toolkit's formats: Debian's amd64 and
	 * arm64. */
	if (f->samples == DECODER_FLOAT)
		hash_update(d->hash, d->block->f, n * sizeof(float));
	else if (f->samples == DECODER_DOUBLE)
		hash_update(d->hash, d->block->d, n * sizeof(double));
	else if (f->bits == 32)
		hash_update(d->hash, d->block->i, n * sizeof(int));
	else
		hash_update(d->hash, d->packed, pack(d->block->i, n, f->bits, d->packed));
}

static void
use_block(const struct decoder_format *f, struct decode *d, size_t frames)
{
	/* First: levels put 0 in place of what is no number. */
	if (d->hash != NULL)
		hash_block(f, d, frames * f->channels);
	if (f->samples == DECODER_INT)
		levels_add_int(d->levels, d->block->i, frames);
	else if (f->samples == DECODER_DOUBLE)
		levels_add_double(d->levels, d->block->d, frames);
	else
		levels_add_float(d->levels, d->block->f, frames);
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
	const struct decoder_format *format = j->format;
	struct decode d = {0};
	uint64_t expected =
	    j->facts.flac != NULL && j->content.flac.frames > 0 ? j->content.flac.frames
	    : j->facts.mpeg != NULL ? j->content.mpeg.frames * j->content.mpeg.samples
				    : (uint64_t)format->frames;
	bool is_long =
	    expected > (uint64_t)LONG_S * format->rate_hz || j->facts.size_bytes > LONG_SIZE;
	struct levels_opts lo = {.bits = format->bits,
	    .channels = format->channels,
	    .rate_hz = format->rate_hz,
	    .silence_dbfs = AUDIO_SILENCE_DBFS,
	    .histogram = is_long,
	    .true_peak = j->o->true_peak};
	struct levels_result r;
	size_t n;
	int rc = -1;

	d.block = mem_new(1, sizeof *d.block, j->e);
	d.packed = mem_new(DECODER_MAX_BLOCK, 3, j->e);
	d.levels = levels_open(&lo, j->e);
	if (d.block == NULL || d.packed == NULL || d.levels == NULL)
		goto out;
	if (format->lossless &&
	    (d.hash = hash_open(HASH_XXH3_128 | (j->facts.flac ? HASH_MD5 : 0), j->e)) == NULL)
		goto out;
	while ((n = decoder_read(j->decoder, format->samples, d.block)) > 0)
		use_block(format, &d, n);
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
	size_t channels = j->format->channels, n;
	uint64_t span = j->format->rate_hz / 100 > 0 ? j->format->rate_hz / 100 : 1;
	float *v;

	if (end > (uint64_t)j->facts.frames)
		end = (uint64_t)j->facts.frames;
	span = span > end ? end : span;
	if (span > DECODER_MAX_BLOCK / channels)
		span = DECODER_MAX_BLOCK / channels;
	if ((v = mem_new(span * channels, sizeof *v, j->e)) == NULL)
		return -1;
	n = decoder_look_back(j->decoder, end - span, v, span);
	for (size_t i = 0; i < n * channels; i++)
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
	if (!f->opened || strncmp(m->codec, "pcm_", 4) != 0)
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
	if ((j->decoder = decoder_open(&j->content, j->e)) == NULL)
		return -1;
	if (!f->opened)
		return 0;
	j->format = decoder_format(j->decoder);
	fill_format(j);
	if ((m->tags = json_new_object(j->e)) == NULL ||
	    decoder_tags(j->decoder, put_tag, m->tags, j->e) == -1)
		return -1;
	if (!j->o->quick)
		return decode(j);
	m->frames = f->frames = j->format->frames;
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
	decoder_close(j.decoder);
	content_close(&j.content);
	source_close(j.source);
	if (rc == -1)
		audio_measure_free(m);
	return rc;
}
