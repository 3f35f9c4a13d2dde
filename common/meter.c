/*
 * Samples are measured in pieces that are no longer than dead_frames. So a piece with any sound in
 * it can neither hold nor complete a silence but at its edges, and one pass of pcm_measure tells
 * nearly everything: samples are looked at one by one only from the edges to the first sound, which
 * is next to nothing for a channel that is alive, and where something clipped.
 *
 * Pieces do not cross the tenths of a second of the hold either: nothing that is told or shown
 * depends on how the frames were cut into calls.
 */
#include "meter.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

#define PIECE_FRAMES 4096
/* 2 s in tenths, and the one that is being filled. */
#define HOLD_SLOTS 21
#define CLIP_SHOWN_S 3

#define FLOOR_DBFS (-60.0)
/* A column a decibel: more would tell nothing more. */
#define MAX_BAR 60
/* Words that lie over a bar have four letters. */
#define MIN_BAR 4
/* A notice is worth bars of this length, but not shorter ones; cut below 12 columns it says
   nothing. */
#define NOTICE_BAR 8
#define NOTICE_COLUMNS 12

struct channel {
	struct pcm_level taken, line; /* since meter_take, since meter_line */
	struct pcm_level shown;	      /* by the last line */
	double held[HOLD_SLOTS];      /* the peak of each tenth of a second */
	uint64_t zeros;		      /* up to now */
	bool dead;
	uint64_t clip_frame, clip_samples; /* not told yet; no samples: nothing to tell */
	uint64_t clip_shown_until;
};

struct meter {
	struct meter_opts o;
	uint64_t frames, slot_frames;
	struct channel *channel;
	struct pcm_level *level; /* of the piece */
};

struct piece {
	const unsigned char *samples;
	uint64_t frames;
	meter_tell *tell;
	void *ctx;
};

struct meter *
meter_open(const struct meter_opts *o, struct err *e)
{
	struct meter *m = mem_new(1, sizeof *m, e);

	if (m == NULL)
		return NULL;
	m->o = *o;
	m->slot_frames = ((uint64_t)o->rate_hz + 9) / 10;
	if ((m->channel = mem_new(o->channels, sizeof *m->channel, e)) == NULL ||
	    (m->level = mem_new(o->channels, sizeof *m->level, e)) == NULL) {
		meter_close(m);
		return NULL;
	}
	return m;
}

void
meter_close(struct meter *m)
{
	if (m == NULL)
		return;
	free(m->channel);
	free(m->level);
	free(m);
}

/* ---- events ---- */

/* A single sample, by the definitions of pcm_measure. */
static struct pcm_level
look(const struct meter *m, const struct piece *p, unsigned c, uint64_t frame)
{
	struct pcm_level l = {0};
	size_t at = (size_t)(frame * m->o.channels + c) * (m->o.kept.bits / 8);

	pcm_measure(&m->o.kept, p->samples + at, 1, 1, &l);
	return l;
}

static void
tell_clipping(struct meter *m, unsigned c, meter_tell *tell, void *ctx)
{
	struct channel *ch = &m->channel[c];
	struct meter_event event = {METER_CLIPPED, c, ch->clip_frame, ch->clip_samples};

	if (ch->clip_samples == 0)
		return;
	ch->clip_samples = 0;
	tell(ctx, &event);
}

/* So many frames of the piece, up to `end` of all, were zero. */
static void
silence(struct meter *m, unsigned c, const struct piece *p, uint64_t frames, uint64_t end)
{
	struct channel *ch = &m->channel[c];

	ch->zeros += frames;
	if (ch->dead || m->o.dead_frames == 0 || ch->zeros < m->o.dead_frames)
		return;
	ch->dead = true;
	/* It clipped before it fell silent, and the order is that of the frames. */
	tell_clipping(m, c, p->tell, p->ctx);
	p->tell(p->ctx, &(struct meter_event){METER_DEAD, c, end - ch->zeros, 0});
}

/* A piece that is not all zero. */
static void
sound(struct meter *m, unsigned c, const struct piece *p)
{
	struct channel *ch = &m->channel[c];
	uint64_t lead = 0, last = p->frames - 1;

	while (look(m, p, c, lead).peak == 0)
		lead++;
	while (look(m, p, c, last).peak == 0)
		last--;
	silence(m, c, p, lead, m->frames + lead);
	if (ch->dead)
		p->tell(p->ctx, &(struct meter_event){METER_ALIVE, c, m->frames + lead, 0});
	ch->dead = false;
	ch->zeros = p->frames - 1 - last;
}

static void
gather_clipping(struct meter *m, unsigned c, const struct piece *p)
{
	struct channel *ch = &m->channel[c];
	uint64_t left = m->level[c].clipped;

	for (uint64_t i = 0; left > 0; i++) {
		uint64_t frame = m->frames + i;

		if (look(m, p, c, i).clipped == 0)
			continue;
		left--;
		if (ch->clip_samples > 0 && frame - ch->clip_frame >= m->o.rate_hz)
			tell_clipping(m, c, p->tell, p->ctx);
		if (ch->clip_samples++ == 0)
			ch->clip_frame = frame;
		ch->clip_shown_until = frame + 1 + (uint64_t)CLIP_SHOWN_S * m->o.rate_hz;
	}
	if (m->frames + p->frames - ch->clip_frame >= m->o.rate_hz)
		tell_clipping(m, c, p->tell, p->ctx);
}

/* ---- levels ---- */

static void
join(struct pcm_level *to, const struct pcm_level *l)
{
	to->peak = fmax(to->peak, l->peak);
	to->sum_squares += l->sum_squares;
	to->frames += l->frames;
	to->clipped += l->clipped;
}

static void
add_piece(struct meter *m, const struct piece *p)
{
	size_t slot = (size_t)(m->frames / m->slot_frames % HOLD_SLOTS);
	bool new_slot = m->frames % m->slot_frames == 0;

	memset(m->level, 0, m->o.channels * sizeof *m->level);
	pcm_measure(&m->o.kept, p->samples, (size_t)p->frames, m->o.channels, m->level);
	for (unsigned c = 0; c < m->o.channels; c++) {
		struct channel *ch = &m->channel[c];
		const struct pcm_level *l = &m->level[c];

		join(&ch->taken, l);
		join(&ch->line, l);
		ch->held[slot] = new_slot ? l->peak : fmax(ch->held[slot], l->peak);
		if (l->peak == 0)
			silence(m, c, p, p->frames, m->frames + p->frames);
		else
			sound(m, c, p);
		gather_clipping(m, c, p);
	}
	m->frames += p->frames;
}

void
meter_add(struct meter *m, const void *samples, uint64_t frames, meter_tell *tell, void *ctx)
{
	struct piece p = {.samples = samples, .tell = tell, .ctx = ctx};
	size_t frame_bytes = (size_t)m->o.channels * (m->o.kept.bits / 8);
	uint64_t most = PIECE_FRAMES;

	if (m->o.dead_frames > 0 && m->o.dead_frames < most)
		most = m->o.dead_frames;
	for (; frames > 0; frames -= p.frames) {
		p.frames = m->slot_frames - m->frames % m->slot_frames;
		p.frames = p.frames < most ? p.frames : most;
		p.frames = p.frames < frames ? p.frames : frames;
		add_piece(m, &p);
		p.samples += p.frames * frame_bytes;
	}
}

void
meter_flush(struct meter *m, meter_tell *tell, void *ctx)
{
	for (unsigned c = 0; c < m->o.channels; c++)
		tell_clipping(m, c, tell, ctx);
}

static double
decibels(double x)
{
	return x > 0 ? 20 * log10(x) : -INFINITY;
}

static double
peak_of(const struct pcm_level *l)
{
	return l->frames > 0 ? decibels(l->peak) : NAN;
}

static double
rms_of(const struct pcm_level *l)
{
	return l->frames > 0 ? decibels(sqrt(l->sum_squares / (double)l->frames)) : NAN;
}

void
meter_take(struct meter *m, struct meter_level *levels)
{
	for (unsigned c = 0; c < m->o.channels; c++) {
		struct pcm_level *l = &m->channel[c].taken;

		levels[c] = (struct meter_level){peak_of(l), rms_of(l), l->clipped};
		*l = (struct pcm_level){0};
	}
}

/* ---- a line ---- */

/* Writes what fits into the columns that are left, and nothing of what does not. */
struct pen {
	struct buf *line;
	struct err *e;
	size_t columns;
	bool utf8, failed;
};

static void put(struct pen *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
put(struct pen *p, const char *fmt, ...)
{
	char text[512];
	size_t columns;
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	columns = utf8_columns(text);
	if (p->failed || columns > p->columns)
		return;
	p->columns -= columns;
	p->failed = buf_adds(p->line, text, p->e) == -1;
}

/* What a channel takes besides its label and bar. */
static const struct form {
	unsigned columns, min_bar;
	bool number, clip; /* without room for it, CLIP takes the number's or the bar's */
} forms[] = {
    {2 + 1 + 6 + 5, 10, true, true}, /* "  L ██████████  -12.3 CLIP" */
    {2 + 1 + 6, 6, true, false},     /* "  L ██████  -12.3" */
    {1 + 1, MIN_BAR, false, false},  /* " L ████" */
};
#define FORMS (sizeof forms / sizeof *forms)
static const struct form *const numbered = &forms[1], *const narrow = &forms[2];

struct layout {
	const struct form *form;
	unsigned label, bar; /* columns */
	unsigned shown;	     /* channels */
};

static unsigned
digits(unsigned n)
{
	return n < 10 ? 1 : 1 + digits(n / 10);
}

/* " +12 CLIP", of the channels that find no room. */
static unsigned
more_columns(unsigned channels)
{
	return 2 + digits(channels) + 5;
}

static struct layout
lay_out(unsigned channels, size_t columns)
{
	struct layout l = {narrow, digits(channels), MIN_BAR, 0};
	size_t each = columns / channels, room;

	for (size_t i = 0; i < FORMS; i++) {
		room = l.label + forms[i].columns;
		if (each < room + forms[i].min_bar)
			continue;
		l.form = &forms[i];
		l.bar = each - room < MAX_BAR ? (unsigned)(each - room) : MAX_BAR;
		l.shown = channels;
		return l;
	}
	room = more_columns(channels);
	if (columns > room)
		l.shown = (unsigned)((columns - room) / (l.label + l.form->columns + l.bar));
	return l;
}

/* Where a level lies on a bar, in columns. */
static double
place(double dbfs, unsigned bar)
{
	return fmin(fmax((dbfs - FLOOR_DBFS) / -FLOOR_DBFS, 0), 1) * bar;
}

static double
hold(const struct channel *ch)
{
	double peak = 0;

	for (size_t i = 0; i < HOLD_SLOTS; i++)
		peak = fmax(peak, ch->held[i]);
	return decibels(peak);
}

/* A column of a bar: solid up to the RMS, lighter up to the peak, which ends in eighths. */
static const char *
cell(double at, double rms, double peak, double held, bool utf8)
{
	static const char eighths[][4] = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
	double part = fmin(fmax(peak - at, 0), 1);
	bool solid = rms - at >= 0.5;

	if (part >= (utf8 ? 1 : 0.5))
		return solid ? (utf8 ? "█" : "#") : (utf8 ? "▒" : "-");
	if (part < (utf8 ? 0.125 : 0.5) && held > at && held <= at + 1)
		return utf8 ? "│" : "|";
	return utf8 ? eighths[(size_t)(part * 8)] : " ";
}

/* `over` lies over its end. */
static void
put_bar(struct pen *p, const struct channel *ch, unsigned bar, const char *over)
{
	double rms = place(rms_of(&ch->shown), bar), peak = place(peak_of(&ch->shown), bar);
	double held = place(hold(ch), bar);
	unsigned uncovered = bar - (unsigned)strlen(over);

	for (unsigned i = 0; i < uncovered; i++)
		put(p, "%s", cell(i, rms, peak, held, p->utf8));
	put(p, "%s", over);
}

/* In five columns. */
static void
put_dbfs(struct pen *p, double v)
{
	/* Adding zero makes a negative one positive. */
	if (v > -99.95 && v < 99.95)
		put(p, "%5.1f", round(v * 10) / 10 + 0.0);
	else
		put(p, "%5.0f", v);
}

static bool
clip_is_shown(const struct meter *m, unsigned c)
{
	return m->frames < m->channel[c].clip_shown_until;
}

static void
put_channel(struct pen *p, const struct meter *m, unsigned c, const struct layout *l)
{
	const struct channel *ch = &m->channel[c];
	const struct form *form = l->form;
	const char *word = clip_is_shown(m, c) ? "CLIP" : ch->dead ? "dead" : "";

	put(p, form->number ? "  " : " ");
	if (m->o.channels == 2)
		put(p, "%c ", "LR"[c]);
	else
		put(p, "%*u ", (int)l->label, c + 1);
	put_bar(p, ch, l->bar, form->number ? "" : word);
	if (!form->number)
		return;
	put(p, " ");
	if (ch->dead && (form->clip || !clip_is_shown(m, c)))
		put(p, "%5s", "dead");
	else if (!form->clip && *word != '\0')
		put(p, "%5s", word);
	else if (ch->shown.frames == 0)
		put(p, "%5s", "-");
	else
		put_dbfs(p, hold(ch));
	if (form->clip)
		put(p, "%5s", clip_is_shown(m, c) ? "CLIP" : "");
}

static void
put_channels(struct pen *p, const struct meter *m, const struct layout *l)
{
	bool clip = false;

	for (unsigned c = 0; c < l->shown; c++)
		put_channel(p, m, c, l);
	for (unsigned c = l->shown; c < m->o.channels; c++)
		clip = clip || clip_is_shown(m, c);
	if (l->shown < m->o.channels)
		put(p, " +%u%s", m->o.channels - l->shown, clip ? " CLIP" : "");
}

static void
time_text(char *out, size_t size, double s)
{
	/* Any number of seconds that a double has is not a number of a uint64_t. */
	uint64_t t = s > 0 ? (uint64_t)fmin(s, 1e15) : 0;

	snprintf(out, size, "%llu:%02u:%02u", (unsigned long long)(t / 3600),
	    (unsigned)(t / 60 % 60), (unsigned)(t % 60));
}

/* The notice as the terminal can show it, cut to so many columns; empty when that says nothing. */
static void
notice_text(char *out, size_t size, const char *notice, size_t columns, bool utf8)
{
	size_t n = 0, whole;

	utf8_escape(out, size, notice, strlen(notice));
	for (const char *s = out; !utf8 && *s != '\0'; s++)
		if ((*s & 0xc0) != 0x80)
			out[n++] = (*s & 0x80) != 0 ? '?' : *s;
	if (!utf8)
		out[n] = '\0';
	whole = utf8_columns(out);
	if (whole <= columns)
		return;
	if (columns < NOTICE_COLUMNS)
		out[0] = '\0';
	else
		out[utf8_fit(out, columns)] = '\0';
}

/* The columns that all channels need in a form, with bars so long. */
static size_t
needed(const struct meter *m, const struct form *form, unsigned bar)
{
	return m->o.channels * (size_t)(digits(m->o.channels) + form->columns + bar);
}

/* The time left takes no channel's place; where not all have one anyway, it takes some. */
static bool
left_fits(const struct meter *m, size_t columns, size_t left)
{
	size_t all = needed(m, narrow, MIN_BAR);

	return columns >= (all <= columns ? all + left : 4 * left);
}

/* First what must be seen is placed, then the rest as far as the bars stay useful. */
static void
put_line(struct pen *p, const struct meter *m, const struct meter_facts *f)
{
	char text[32], left[48] = "", notice[256] = "";
	size_t least = needed(m, numbered, NOTICE_BAR) + 2, columns;
	struct layout l;

	time_text(text, sizeof text, f->elapsed_s);
	put(p, "%8s", text);
	if (!f->open)
		put(p, " waiting");
	time_text(text, sizeof text, f->left_s);
	snprintf(left, sizeof left, "  left %s", text);
	if (!isfinite(f->left_s) || !left_fits(m, p->columns, strlen(left)))
		left[0] = '\0';
	columns = p->columns - strlen(left);
	if (f->notice != NULL && columns > least)
		notice_text(notice, sizeof notice, f->notice, columns - least, p->utf8);
	if (*notice != '\0')
		columns -= 2 + utf8_columns(notice);
	l = lay_out(m->o.channels, columns);
	put_channels(p, m, &l);
	put(p, "%s", left);
	if (*notice != '\0')
		put(p, "  %s", notice);
}

int
meter_line(struct meter *m, const struct meter_facts *f, unsigned columns, bool utf8,
    struct buf *line, struct err *e)
{
	struct pen p = {.line = line, .e = e, .columns = columns, .utf8 = utf8};

	for (unsigned c = 0; c < m->o.channels; c++) {
		struct channel *ch = &m->channel[c];

		/* Frames come in blocks that may be further apart than lines. */
		if (ch->line.frames > 0)
			ch->shown = ch->line;
		ch->line = (struct pcm_level){0};
	}
	put_line(&p, m, f);
	return p.failed ? -1 : 0;
}
