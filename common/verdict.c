#include "verdict.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Shorter runs of zeros happen in healthy files. */
#define ZERO_TAIL_PACKED 512
#define ZERO_TAIL_PAGE 4096
/* A format chunk that claims more is not cut off but broken. */
#define MAX_FORMAT_CHUNK 4096

static int
rank(const char *code)
{
	static const char *const gravest_first[] = {P_UNREADABLE, P_MODIFIED, P_EMPTY, P_NOT_AUDIO,
	    P_UNSUPPORTED, P_DECODE_ERROR, P_ZERO_TAIL, P_TRUNCATED, P_HEADER_MISMATCH};
	int i, n = sizeof gravest_first / sizeof *gravest_first;

	for (i = 0; i < n && strcmp(code, gravest_first[i]) != 0; i++)
		;
	return i;
}

static void found(struct err *problem, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
found(struct err *problem, const char *code, const char *fmt, ...)
{
	char text[sizeof problem->text];
	va_list ap;

	if (problem->class != ERR_NONE && rank(problem->code) <= rank(code))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	err_item(problem, code, "%s", text);
}

static double
seconds(const struct facts *f, uint64_t frames)
{
	return f->rate_hz > 0 ? (double)frames / (double)f->rate_hz : 0;
}

static double
length_s(const struct facts *f)
{
	return seconds(f, f->frames > 0 ? (uint64_t)f->frames : 0);
}

/* ---- RIFF, RF64, W64, AIFF ---- */

static void
judge_truncated(const struct facts *f, struct err *p)
{
	const struct chunk_layout *l = f->layout;

	if (l->data == -1) {
		const struct chunk *c = l->n_chunks > 0 ? &l->chunks[l->n_chunks - 1] : NULL;

		if (c != NULL && c->size < c->declared)
			found(p, P_TRUNCATED,
			    "the file ends after %" PRIu64 " bytes, inside its '%s' chunk (%" PRIu64
			    " of %" PRIu64 " bytes are there), before any audio",
			    f->size_bytes, c->id, c->size, c->declared);
		else
			found(p, P_TRUNCATED,
			    "the file ends after %" PRIu64
			    " bytes, inside its header, before any audio",
			    f->size_bytes);
	} else if (l->audio_size < l->audio_declared) {
		found(p, P_TRUNCATED,
		    "the header claims %" PRIu64 " bytes of audio, %" PRIu64
		    " are there: the end was cut off after %.3f s",
		    l->audio_declared, l->audio_size, length_s(f));
	} else {
		const struct chunk *c = &l->chunks[l->n_chunks - 1];

		found(p, P_TRUNCATED,
		    "the audio is whole (%.3f s), but the file ends inside the '%s' chunk behind "
		    "it: %" PRIu64 " of %" PRIu64 " bytes are there",
		    length_s(f), c->id, c->size, c->declared);
	}
}

static void
judge_header(const struct facts *f, struct err *p)
{
	const struct chunk_layout *l = f->layout;

	if (l->open_header)
		found(p, P_HEADER_MISMATCH,
		    "the header was never finished: it claims %" PRIu64 " bytes of audio, %" PRIu64
		    " are there (%.3f s)",
		    l->audio_declared, l->audio_size, length_s(f));
	else if (l->short_header)
		found(p, P_HEADER_MISMATCH,
		    "the header is out of date: it claims %" PRIu64
		    " bytes of audio, and the audio goes on for %" PRIu64
		    " bytes behind them (%.3f s in all)",
		    l->audio_declared, l->audio_size - l->audio_declared, length_s(f));
	else if (l->outer_mismatch &&
		 l->chunks[l->n_chunks - 1].size < l->chunks[l->n_chunks - 1].declared)
		found(p, P_HEADER_MISMATCH,
		    "the audio is whole (%.3f s), but the '%s' chunk behind it claims %" PRIu64
		    " bytes where %" PRIu64 " are",
		    length_s(f), l->chunks[l->n_chunks - 1].id, l->chunks[l->n_chunks - 1].declared,
		    l->chunks[l->n_chunks - 1].size);
	else if (l->outer_mismatch)
		found(p, P_HEADER_MISMATCH,
		    "the audio is whole (%" PRIu64
		    " bytes, %.3f s), but the header's counts disagree: "
		    "the outermost chunk claims %" PRIu64 " bytes, the file has %" PRIu64,
		    l->audio_size, length_s(f), l->outer_declared, f->size_bytes);
}

static void
judge_chunks(const struct facts *f, struct err *p)
{
	const struct chunk_layout *l = f->layout;
	const struct chunk *fmt = l->fmt >= 0 ? &l->chunks[l->fmt] : NULL;
	const char *name = l->family == CHUNK_AIFF ? "COMM" : "fmt ";
	uint64_t least = l->family == CHUNK_AIFF ? 18 : 16, there;

	if (l->duplicate_fmt) {
		found(p, P_DECODE_ERROR, "has two '%s' chunks: it was not given to the decoder",
		    name);
		return;
	}
	if (fmt != NULL && (fmt->declared < least || fmt->declared > MAX_FORMAT_CHUNK)) {
		found(p, P_DECODE_ERROR,
		    "its '%s' chunk claims %" PRIu64 " bytes, which no format has", name,
		    fmt->declared);
		return;
	}
	if (l->truncated)
		judge_truncated(f, p);
	if (fmt == NULL || l->data == -1) {
		if (!l->truncated)
			found(p, P_DECODE_ERROR, "has a %s header but no '%s' chunk", l->container,
			    fmt == NULL		      ? name
			    : l->family == CHUNK_AIFF ? "SSND"
						      : "data");
		return;
	}
	judge_header(f, p);
	there = l->block_align > 0 ? l->audio_size / l->block_align : 0;
	if (!f->quick && f->opened && f->frames >= 0 && (uint64_t)f->frames < there)
		found(p, P_DECODE_ERROR,
		    "%" PRIu64 " frames are there, the decoder stopped after %" PRId64 "%s%s",
		    there, f->frames, f->decode_error ? ": " : "",
		    f->decode_error ? f->decode_error : "");
}

/* Zero bytes that are surely no audio: of a packed stream behind its last frame, else behind the
 * chunks. */
static uint64_t
zeros_outside(const struct facts *f)
{
	uint64_t from = f->size_bytes;

	if (f->flac != NULL)
		from = f->flac->audio_offset;
	else if (f->ogg != NULL)
		from = f->ogg->end;
	else if (f->mpeg != NULL && f->layout == NULL)
		from = f->mpeg->frames > 0 ? f->mpeg->end : f->size_bytes;
	else if (f->layout != NULL && f->layout->junk_size > 0 && f->layout->data >= 0)
		from = f->layout->junk_offset;
	from = from > f->zero_start ? from : f->zero_start;
	return f->size_bytes > from ? f->size_bytes - from : 0;
}

/* ---- FLAC, Ogg, MPEG, AU and CAF ---- */

/*
 * A cut leaves a part of a frame, which the decoder reports as damage. It is no more than a cut
 * when all frames before that last one were decoded and nothing was after the report.
 */
static bool
is_flac_cut(const struct facts *f, uint64_t frames)
{
	return frames < f->flac->frames && (uint64_t)f->error_frame == frames &&
	       (!f->flac_last || f->flac_last_start == frames ||
		   f->flac_last_start + f->flac_last_len == frames);
}

static void
judge_flac(const struct facts *f, struct err *p)
{
	const struct flac_info *i = f->flac;
	uint64_t frames = f->frames > 0 ? (uint64_t)f->frames : 0;
	bool same_md5 = i->md5[0] != '\0' && strcmp(i->md5, f->md5) == 0;

	if (i->there && i->bits != 8 && i->bits != 16 && i->bits != 24) {
		found(p, P_UNSUPPORTED,
		    "is FLAC with %u bits a sample; 8, 16 and 24 can be decoded here", i->bits);
		return;
	}
	if (!f->opened || f->quick)
		return;
	if (i->audio_offset >= f->size_bytes)
		found(p, P_TRUNCATED,
		    "the file ends with its header, after %" PRIu64 " bytes: there is no audio",
		    f->size_bytes);
	else if (f->decode_error != NULL && !(same_md5 && frames == i->frames) &&
		 !is_flac_cut(f, frames))
		found(p, P_DECODE_ERROR,
		    "damaged after %.3f s (frame %" PRId64 "): %s; %.3f s of %.3f s were decoded",
		    seconds(f, (uint64_t)f->error_frame), f->error_frame, f->decode_error,
		    length_s(f), seconds(f, i->frames > 0 ? i->frames : frames));
	else if (i->frames > 0 && frames < i->frames)
		found(p, P_TRUNCATED,
		    "the header claims %" PRIu64 " frames (%.3f s), %" PRIu64
		    " are there: the end was cut off after %.3f s",
		    i->frames, seconds(f, i->frames), frames, length_s(f));
	else if (i->frames > 0 && frames > i->frames)
		found(p, P_HEADER_MISMATCH,
		    "the header claims %" PRIu64 " frames (%.3f s), %" PRIu64 " are there (%.3f s)",
		    i->frames, seconds(f, i->frames), frames, length_s(f));
	if (f->decode_error == NULL && i->md5[0] != '\0' && !same_md5 && frames >= i->frames &&
	    frames > 0)
		found(p, P_DECODE_ERROR,
		    "the decoded samples do not have the MD5 that FLAC's header gives: "
		    "it is %s, not %s",
		    f->md5, i->md5);
}

static void
judge_ogg(const struct facts *f, struct err *p)
{
	const struct ogg_walk *o = f->ogg;
	/* The page in which the zeros begin is broken by them and by nothing else. */
	bool by_zeros =
	    zeros_outside(f) >= ZERO_TAIL_PACKED && (o->damaged == 0 || o->damage_at >= o->end);

	if (f->quick || by_zeros)
		return;
	if (f->decode_error != NULL)
		found(p, P_DECODE_ERROR, "damaged: the decoder stopped after %.3f s: %s",
		    length_s(f), f->decode_error);
	if (o->damaged > 0)
		found(p, P_DECODE_ERROR,
		    "damaged at byte %" PRIu64 ": %" PRIu64
		    " of its pages are broken or missing; %.3f s were decoded",
		    o->damage_at, o->damaged, length_s(f));
	if (o->cut_need > 0)
		found(p, P_TRUNCATED,
		    "its last page needs %" PRIu64 " bytes, %" PRIu64
		    " are there: the end was cut off after %.3f s",
		    o->cut_need, o->cut_have, length_s(f));
	else if (o->pages > 0 && !o->eos)
		found(p, P_TRUNCATED,
		    "its last page does not say that the stream ends: the end was cut off after "
		    "%.3f s",
		    length_s(f));
}

static void
judge_mpeg(const struct facts *f, struct err *p)
{
	const struct mpeg_walk *m = f->mpeg;
	uint64_t claimed = m->info_says_frames ? m->declared_frames : m->frames;

	if (m->frames == 0 || f->quick)
		return;
	if (m->lost_bytes > 0)
		found(p, P_DECODE_ERROR,
		    "damaged at byte %" PRIu64 ": %" PRIu64
		    " bytes between its frames are no audio; %.3f s were decoded",
		    m->lost_at, m->lost_bytes, length_s(f));
	else if (f->decode_error != NULL)
		found(p, P_DECODE_ERROR, "damaged after %.3f s: %s; %.3f s were decoded",
		    seconds(f, (uint64_t)f->error_frame), f->decode_error, length_s(f));
	if (m->frames + 2 < claimed)
		found(p, P_TRUNCATED,
		    "the header claims %" PRIu64 " MPEG frames (%.3f s), %" PRIu64
		    " are there: the end was cut off after %.3f s",
		    claimed, seconds(f, claimed * m->samples), m->frames, length_s(f));
	else if (m->cut_need > 0 && f->layout == NULL)
		found(p, P_TRUNCATED,
		    "its last frame needs %" PRIu64 " bytes, %" PRIu64
		    " are there: the end was cut off after %.3f s",
		    m->cut_need, m->cut_have, length_s(f));
	if (m->frames > claimed + 2)
		found(p, P_HEADER_MISMATCH,
		    "the header claims %" PRIu64 " MPEG frames (%.3f s), %" PRIu64
		    " are there (%.3f s)",
		    claimed, seconds(f, claimed * m->samples), m->frames, length_s(f));
}

static void
judge_sized(const struct facts *f, struct err *p)
{
	uint64_t there = f->size_bytes > f->sized_offset ? f->size_bytes - f->sized_offset : 0;

	if (f->sized && f->sized_declared == 0 && there > 0)
		found(p, P_HEADER_MISMATCH,
		    "the header was never finished: it claims no audio, %" PRIu64
		    " bytes are there",
		    there);
	else if (f->sized && f->sized_declared > there)
		found(p, P_TRUNCATED,
		    "the header claims %" PRIu64 " bytes of audio, %" PRIu64
		    " are there: the end was cut off after %.3f s",
		    f->sized_declared, there, length_s(f));
	if (f->decode_error != NULL)
		found(p, P_DECODE_ERROR, "damaged after %.3f s: %s",
		    seconds(f, (uint64_t)f->error_frame), f->decode_error);
}

/* ---- zeros at the end ---- */

/* The zeros begin with a page of the disk, or less than a frame before (a sample may be 0 by
 * chance). */
static bool
zeros_begin_at_page(const struct facts *f)
{
	uint64_t before = (ZERO_TAIL_PAGE - f->zero_start % ZERO_TAIL_PAGE) % ZERO_TAIL_PAGE;

	return before <= f->frame_bytes && f->size_bytes - f->zero_start >= ZERO_TAIL_PAGE + before;
}

bool
verdict_wants_abrupt(const struct facts *f)
{
	return f->frame_bytes > 0 && f->zero_start > f->audio_offset &&
	       f->size_bytes - f->zero_start >= ZERO_TAIL_PAGE && zeros_begin_at_page(f);
}

static void
judge_zeros(const struct facts *f, struct err *p)
{
	uint64_t zeros = f->size_bytes - f->zero_start, outside = zeros_outside(f);
	bool after_audio = f->frames > 0 && f->zero_start > f->audio_offset;
	double at = length_s(f);

	if (f->frame_bytes > 0 && f->rate_hz > 0 && after_audio)
		at = seconds(f, (f->zero_start - f->audio_offset) / f->frame_bytes);
	if (outside >= (f->layout != NULL ? ZERO_TAIL_PAGE : ZERO_TAIL_PACKED))
		found(p, P_ZERO_TAIL,
		    "the last %" PRIu64
		    " bytes of the file are zero, behind %.3f s of audio, as after a power cut",
		    zeros, length_s(f));
	if (after_audio && f->size_bytes - f->hole_start >= ZERO_TAIL_PAGE)
		found(p, P_ZERO_TAIL,
		    "the last %" PRIu64 " bytes were never written (a hole in the file): "
		    "the recording ends after %.3f s, as after a power cut",
		    f->size_bytes - f->hole_start, at);
	if (after_audio && f->frame_bytes > 0 && zeros >= ZERO_TAIL_PAGE &&
	    (!f->zero_is_silence || (verdict_wants_abrupt(f) && f->abrupt)))
		found(p, P_ZERO_TAIL,
		    "the last %" PRIu64 " bytes are zero from byte %" PRIu64
		    " on: the recording breaks off after %.3f s, as after a power cut",
		    zeros, f->zero_start, at);
}

/* ---- all of it ---- */

static void
judge_refused(const struct facts *f, struct err *p)
{
	const char *why = f->open_error != NULL ? f->open_error : "no reason given";

	if (f->layout != NULL && f->format_tag != 0 && f->unimplemented)
		found(p, P_UNSUPPORTED,
		    "is a file of type %s, but its codec (format tag 0x%04x) cannot be decoded "
		    "here",
		    f->container, f->format_tag);
	else if (f->unimplemented)
		found(p, P_UNSUPPORTED,
		    "is a file of type %s, but its codec%s%s cannot be decoded here", f->container,
		    f->ogg != NULL && f->ogg->codec[0] ? " " : "",
		    f->ogg != NULL ? f->ogg->codec : "");
	else
		found(p, P_DECODE_ERROR,
		    "has the header of a file of type %s, but its structure is broken: %s",
		    f->container, why);
}

void
verdict(const struct facts *f, struct err *problem)
{
	struct err p = {.class = ERR_NONE};

	if (f->size_bytes == 0) {
		found(problem, P_EMPTY, "the file is empty (0 bytes)");
		return;
	}
	if (f->layout == NULL && !f->quick && f->zero_start == 0)
		found(&p, P_ZERO_TAIL,
		    "all %" PRIu64 " bytes are zero: nothing of the recording was ever written",
		    f->size_bytes);
	else if (f->layout == NULL && f->id->format == FRAMING_UNKNOWN)
		found(&p, P_NOT_AUDIO, "is not audio: it is %s", f->id->name);
	else if (f->layout == NULL && f->id->format == FRAMING_UNSUPPORTED)
		found(&p, P_UNSUPPORTED, "is %s, which cannot be decoded here", f->id->name);
	if (f->layout != NULL)
		judge_chunks(f, &p);
	if (f->flac != NULL)
		judge_flac(f, &p);
	if (f->ogg != NULL)
		judge_ogg(f, &p);
	if (f->mpeg != NULL)
		judge_mpeg(f, &p);
	if (f->layout == NULL && f->opened && f->flac == NULL && f->ogg == NULL && f->mpeg == NULL)
		judge_sized(f, &p);
	if (!f->opened && p.class == ERR_NONE && !(f->mpeg != NULL && f->mpeg->frames == 0))
		judge_refused(f, &p);
	if (!f->quick && (f->layout != NULL || f->id->format > FRAMING_UNSUPPORTED))
		judge_zeros(f, &p);
	if (p.class == ERR_NONE && (f->frames == 0 || (f->mpeg != NULL && f->mpeg->frames == 0)))
		found(&p, P_EMPTY, "is a file of type %s without a single frame of audio",
		    f->container);
	if (p.class != ERR_NONE &&
	    (problem->class == ERR_NONE || rank(p.code) < rank(problem->code)))
		*problem = p;
}
