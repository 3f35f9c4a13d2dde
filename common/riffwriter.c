/*
 * The header is kept in memory as it is on disk, and written whole, by one pwrite within the file's
 * first page. So a kill leaves the old header or the new one, also at the step from RIFF to RF64,
 * where four fields change that mean nothing without each other. Should the disk itself tear it (a
 * power cut between two sectors), each order of old and new fields still reads as the old or the
 * new length, or as a header that rehead.h rebuilds: the data is never moved.
 *
 * EBU Tech 3285 version 2 (bext), EBU R 98 (coding history), EBU Tech 3306 (RF64), Microsoft
 * "Multiple Channel Audio Data and WAVE Files" (the extensible format), VCS "Sony Wave64" (its
 * GUIDs are the RIFF names in front of one constant).
 */
#include "riffwriter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "chunk.h"
#include "io.h"
#include "mem.h"
#include "utf8.h"
#include "version.h"

/* What rehead.c regards as too near to 4 GiB for 32 bits. */
#define MAX_32 UINT64_C(0xfffe0000)
/* Three sizes and the length of a table: EBU Tech 3306. */
#define DS64_BYTES 28
#define BEXT_BYTES 602
#define DESCRIPTION_BYTES 256
#define HISTORY_MAX 512
#define HEAD_MAX 2048
/* libsndfile opens no more. */
#define MAX_CHANNELS 1024

enum { TAG_PCM = 1, TAG_FLOAT = 3, TAG_EXTENSIBLE = 0xfffe };
enum { FRONT_LEFT = 1, FRONT_RIGHT = 2, FRONT_CENTER = 4 };

struct riffwriter {
	int fd;
	bool w64;
	unsigned frame_bytes;
	uint64_t frames;
	unsigned char head[HEAD_MAX]; /* up to the audio */
	size_t head_len;
	size_t fact;  /* where its count is, or 0 */
	size_t chunk; /* the header of the chunk that is being built, at last that of data */
};

/* ---- building the header ---- */

static void
poke(struct riffwriter *w, size_t at, uint64_t v, unsigned bytes)
{
	bytes_put(w->head + at, v, bytes, false);
}

static void
add(struct riffwriter *w, const void *p, size_t len)
{
	memcpy(w->head + w->head_len, p, len);
	w->head_len += len;
}

static void
add_zeros(struct riffwriter *w, size_t len)
{
	memset(w->head + w->head_len, 0, len);
	w->head_len += len;
}

static void
add_number(struct riffwriter *w, uint64_t v, unsigned bytes)
{
	poke(w, w->head_len, v, bytes);
	w->head_len += bytes;
}

/* A field of `room` bytes that ends with a NUL only where there is room for it. */
static void
add_text(struct riffwriter *w, const char *s, size_t len, size_t room)
{
	add(w, s, len);
	add_zeros(w, room - len);
}

static void
begin_chunk(struct riffwriter *w, const char *id)
{
	w->chunk = w->head_len;
	add(w, id, 4);
	if (w->w64)
		add(w, chunk_w64_tail, sizeof chunk_w64_tail);
	add_number(w, 0, w->w64 ? 8 : 4);
}

/* Of W64 a size counts the chunk's header, and the next one starts at a multiple of 8. */
static void
end_chunk(struct riffwriter *w)
{
	size_t len = w->head_len - w->chunk, step = w->w64 ? 8 : 2;

	if (w->w64)
		poke(w, w->chunk + 16, len, 8);
	else
		poke(w, w->chunk + 4, len - 8, 4);
	add_zeros(w, (step - w->head_len % step) % step);
}

static void
add_outer(struct riffwriter *w)
{
	if (w->w64) {
		add(w, "riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0", 16);
		add_number(w, 0, 8);
		add(w, "wave", 4);
		add(w, chunk_w64_tail, sizeof chunk_w64_tail);
		return;
	}
	add(w, "RIFF\0\0\0\0WAVE", 12);
	begin_chunk(w, "JUNK");
	add_zeros(w, DS64_BYTES);
	end_chunk(w);
}

/* ---- bext ---- */

/* The title as it is in UTF-8, cut at a character's edge; what is not UTF-8 is shown as \xNN. */
static void
add_description(struct riffwriter *w, const char *title)
{
	char s[DESCRIPTION_BYTES + 1] = "";

	if (title != NULL)
		utf8_escape(s, sizeof s, title, strlen(title));
	add_text(w, s, strlen(s), DESCRIPTION_BYTES);
}

static void
add_time(struct riffwriter *w, const struct riffwriter_opts *o)
{
	char s[32] = "";
	struct tm tm = {0};
	uint64_t second, since_midnight;

	gmtime_r(&o->start.tv_sec, &tm);
	strftime(s, sizeof s, "%Y-%m-%d%H:%M:%S", &tm);
	add_text(w, s, 18, 18);
	second = (uint64_t)(tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec);
	since_midnight = second * o->rate_hz + (uint64_t)o->start.tv_nsec * o->rate_hz / 1000000000;
	add_number(w, since_midnight, 8);
}

/* EBU R 98: fields of ASCII between commas, so that the device's name can have none. */
static void
add_history(struct riffwriter *w, const struct riffwriter_opts *o)
{
	static const char *const modes[] = {"", ",M=mono", ",M=stereo"};
	char s[HISTORY_MAX];
	size_t len, own;

	own = (size_t)snprintf(s, sizeof s, "A=PCM,F=%u,W=%u%s,T=rectools " REC_VERSION, o->rate_hz,
	    o->kept.bits, modes[o->channels <= 2 ? o->channels : 0]);
	len = own;
	if (o->source != NULL)
		len += (size_t)snprintf(s + own, 256, ";%.254s", o->source);
	for (size_t i = own; i < len; i++) {
		if (s[i] == ',')
			s[i] = ' ';
		else if (s[i] < ' ' || s[i] > '~')
			s[i] = '?';
	}
	add(w, s, len);
	add(w, "\r\n", 2);
}

static void
add_bext(struct riffwriter *w, const struct riffwriter_opts *o)
{
	begin_chunk(w, "bext");
	add_description(w, o->title);
	add_text(w, "rectools", 8, 32);
	add_zeros(w, 32); /* OriginatorReference: an organisation's own */
	add_time(w, o);
	add_number(w, 2, 2);
	add_zeros(w, 64); /* UMID */
	for (int i = 0; i < 5; i++)
		add_number(w, 0x7fff, 2); /* loudness: not measured */
	add_zeros(w, 180);
	add_history(w, o);
	end_chunk(w);
}

/* ---- fmt, fact, data ---- */

/*
 * More than two channels of a capture device are no loudspeakers: their mask is 0. Floats need the
 * length of an extension (0), integers of 16 bits do not.
 */
static void
add_format(struct riffwriter *w, const struct riffwriter_opts *o)
{
	bool is_float = o->kept.is_float;
	bool extensible = o->channels > 2 || (!is_float && o->kept.bits > 16);
	unsigned tag = is_float ? TAG_FLOAT : TAG_PCM, mask = 0;

	if (o->channels <= 2)
		mask = o->channels == 1 ? FRONT_CENTER : FRONT_LEFT | FRONT_RIGHT;
	begin_chunk(w, "fmt ");
	add_number(w, extensible ? TAG_EXTENSIBLE : tag, 2);
	add_number(w, o->channels, 2);
	add_number(w, o->rate_hz, 4);
	add_number(w, (uint64_t)o->rate_hz * w->frame_bytes, 4);
	add_number(w, w->frame_bytes, 2);
	add_number(w, o->kept.bits, 2);
	if (extensible) {
		add_number(w, 22, 2);
		add_number(w, o->kept.bits, 2);
		add_number(w, mask, 4);
		add_number(w, tag, 2);
		add(w, "\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71", 14);
	} else if (is_float) {
		add_number(w, 0, 2);
	}
	end_chunk(w);
}

static void
add_fact(struct riffwriter *w)
{
	begin_chunk(w, "fact");
	w->fact = w->head_len;
	add_number(w, 0, w->w64 ? 8 : 4);
	end_chunk(w);
}

int
riffwriter_check(const struct riffwriter_opts *o, struct err *e)
{
	uint64_t frame_bytes = (uint64_t)o->channels * (o->kept.bits / 8);

	if (o->channels == 0 || o->channels > MAX_CHANNELS)
		return err_set(
		    e, ERR_USAGE, NULL, "wav and w64 have 1 to %d channels", MAX_CHANNELS);
	if (o->rate_hz == 0 || o->rate_hz > INT32_MAX || o->rate_hz * frame_bytes > UINT32_MAX)
		return err_set(e, ERR_USAGE, NULL, "%u Hz with %u channels is no rate of %s",
		    o->rate_hz, o->channels, o->w64 ? "w64" : "wav");
	return 0;
}

struct riffwriter *
riffwriter_open(int fd, const struct riffwriter_opts *o, struct err *e)
{
	struct riffwriter *w;

	if (riffwriter_check(o, e) == -1 || (w = mem_new(1, sizeof *w, e)) == NULL)
		return NULL;
	w->fd = fd;
	w->w64 = o->w64;
	w->frame_bytes = o->channels * (o->kept.bits / 8);
	add_outer(w);
	/* Without a time it would claim one: bext has no way to say that nobody knows. */
	if (o->start.tv_sec != 0)
		add_bext(w, o);
	add_format(w, o);
	/* Integers need none, but ffmpeg guesses how long a W64 without one is. */
	if (o->kept.is_float || o->w64)
		add_fact(w);
	begin_chunk(w, "data");
	if (riffwriter_refresh(w, e) == -1) {
		free(w);
		return NULL;
	}
	return w;
}

/* ---- writing ---- */

uint64_t
riffwriter_frames(const struct riffwriter *w)
{
	return w->frames;
}

uint64_t
riffwriter_bytes(const struct riffwriter *w)
{
	return w->head_len + w->frames * w->frame_bytes;
}

/* EBU Tech 3306: what does not fit is said by all ones, and by ds64, which lies in JUNK's place. */
static void
widen(struct riffwriter *w, uint64_t frames, uint64_t end)
{
	size_t ds64 = 12;

	memcpy(w->head, "RF64", 4);
	memcpy(w->head + ds64, "ds64", 4);
	poke(w, 4, UINT32_MAX, 4);
	poke(w, ds64 + 8, end - 8, 8);
	poke(w, ds64 + 16, frames * w->frame_bytes, 8);
	poke(w, ds64 + 24, frames, 8);
	poke(w, w->chunk + 4, UINT32_MAX, 4);
}

/* The sizes of a file of so many frames that ends at `end`. */
static int
write_head(struct riffwriter *w, uint64_t frames, uint64_t end, struct err *e)
{
	uint64_t audio = frames * w->frame_bytes;

	if (w->fact != 0 && w->w64)
		poke(w, w->fact, frames, 8);
	else if (w->fact != 0)
		poke(w, w->fact, frames > UINT32_MAX ? UINT32_MAX : frames, 4);
	if (w->w64) {
		poke(w, 16, end, 8);
		poke(w, w->chunk + 16, audio + 24, 8);
	} else if (end > MAX_32) {
		widen(w, frames, end);
	} else {
		poke(w, 4, end - 8, 4);
		poke(w, w->chunk + 4, audio, 4);
	}
	if (io_pwrite(w->fd, w->head, w->head_len, 0, NULL, e) == -1)
		return err_prefix(e, "the header");
	return 0;
}

/*
 * Readers of W64 take what lies behind the declared audio for a chunk, and refuse the file when it
 * is none (ffmpeg); that less is there than declared they take well. So its header goes first.
 */
static int
announce(struct riffwriter *w, uint64_t frames, struct err *e)
{
	uint64_t n = w->frames + frames;

	return w->w64 ? write_head(w, n, w->head_len + n * w->frame_bytes, e) : 0;
}

int
riffwriter_write(struct riffwriter *w, const void *samples, uint64_t frames, struct err *e)
{
	struct err ignored;
	uint64_t done = 0;
	int rc = announce(w, frames, e);

	if (rc == 0)
		rc = io_pwrite(w->fd, samples, (size_t)(frames * w->frame_bytes),
		    riffwriter_bytes(w), &done, e);
	w->frames += done / w->frame_bytes;
	/* Part of a frame; should that stay, rehead.h knows what to do with it. */
	if (done % w->frame_bytes != 0 && ftruncate(w->fd, (off_t)riffwriter_bytes(w)) == -1)
		err_prefix(e, "part of a frame stays at the end");
	if (rc == -1 && w->w64)
		riffwriter_refresh(w, &ignored);
	return rc;
}

int
riffwriter_refresh(struct riffwriter *w, struct err *e)
{
	return write_head(w, w->frames, riffwriter_bytes(w), e);
}

/*
 * Behind the audio of W64 nothing follows that would need to be aligned, and libsndfile 1.2.0 takes
 * pad bytes there for audio. On a full disk there may be no room for that of WAV; the sizes are
 * more important.
 */
int
riffwriter_finish(struct riffwriter *w, struct err *e)
{
	uint64_t end = riffwriter_bytes(w), pad = w->w64 ? 0 : end % 2;
	struct err ignored;

	if (io_pwrite(w->fd, "", (size_t)pad, end, NULL, e) == -1) {
		riffwriter_refresh(w, &ignored);
		return err_prefix(e, "the padding");
	}
	if (ftruncate(w->fd, (off_t)(end + pad)) == -1)
		return err_sys(e, "setting its length");
	return write_head(w, w->frames, end + pad, e);
}

void
riffwriter_free(struct riffwriter *w)
{
	free(w);
}
