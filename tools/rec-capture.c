/*
 * rec-capture: records from a device or a pipe into the archive, so that nothing that was heard is
 * lost. See rec-capture(1).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive.h"
#include "capture.h"
#include "clock.h"
#include "device.h"
#include "edit.h"
#include "encoder.h"
#include "intake.h"
#include "mem.h"
#include "parts.h"
#include "pcm.h"
#include "quantity.h"
#include "recovery.h"
#include "tool.h"
#include "volume.h"

#define MIB (UINT64_C(1) << 20)
#define SMALLEST_PART (UINT64_C(32) << 10)
#define PAUSE "2s"
#define PRE_ROLL_TIME "1s"
#define PRE_ROLL_MAX_S 600
#define HANG_TIME "3s"

struct opts {
	const char *device;	/* -d */
	const char *format;	/* -f */
	int64_t rate_hz;	/* -r */
	int64_t channels;	/* -c */
	const char *bits;	/* -b */
	const char *time;	/* -t */
	const char *title;	/* --title */
	const char *split_time; /* --split-time */
	uint64_t split_bytes;	/* --split-size */
	const char *split_at;	/* --split-at */
	bool split_silence;	/* --split-silence */
	const char *pause;	/* its argument, or NULL */
	bool voice;		/* --voice */
	const char *threshold;	/* --threshold */
	const char *hysteresis; /* --hysteresis */
	const char *pre_roll;	/* --pre-roll */
	const char *hang;	/* --hang */
	const char *until;	/* --until */
	bool reconnect;		/* --reconnect */
	bool fill;		/* --fill */
	bool events;		/* --events */
	const char *raw;	/* --raw */
};

enum { RECORD, DEVICES, RECOVER };
enum {
	TITLE = 256,
	SPLIT_TIME,
	SPLIT_SIZE,
	SPLIT_AT,
	SPLIT_SILENCE,
	VOICE,
	THRESHOLD,
	HYSTERESIS,
	PRE_ROLL,
	HANG,
	UNTIL,
	RECONNECT,
	FILL,
	EVENTS,
	RAW
};

static const struct tool_command commands[] = {
    {"record",
	"[--device=DEVICE] [--format=FORMAT] [--rate=HZ] [--channels=N] [--bits=BITS] "
	"[--time=TIME] [--until=TIME] [--title=TITLE] [--split-time=TIME] [--split-size=SIZE] "
	"[--split-at=WHEN] [--split-silence[=TIME]] [--voice] [--threshold=DBFS] "
	"[--hysteresis=DB] [--pre-roll=TIME] [--hang=TIME] [--reconnect] [--fill] [--events] "
	"[--raw=FORMAT] [-]",
	"record until the end of the input, the time, or a signal"},
    {"devices", "", "the devices that can be recorded from, a record each"},
    {"recover", "", "finish what a crash left in temp, a record each"},
};

static const struct tool_option options[] = {
    {'d', "device", "DEVICE", 1u << RECORD, "ALSA device (default)"},
    {'f', "format", "FORMAT", 1u << RECORD, "wav, w64, flac, ogg or opus (AUDIO_FORMAT)"},
    {'r', "rate", "HZ", 1u << RECORD, "frames a second (AUDIO_SAMPLE_RATE)"},
    {'c', "channels", "N", 1u << RECORD, "channels (AUDIO_CHANNELS)"},
    {'b', "bits", "BITS", 1u << RECORD, "16, 24, 32 or f32 (16; of --raw what it has)"},
    {'t', "time", "TIME", 1u << RECORD, "record so long: 90, 1:30, 1h30m, 48000f"},
    {UNTIL, "until", "TIME", 1u << RECORD, "record until 18:30 here, or 2026-05-01T16:30:00Z"},
    {TITLE, "title", "TITLE", 1u << RECORD, "title of the recording"},
    {SPLIT_TIME, "split-time", "TIME", 1u << RECORD, "a new recording each time, gapless"},
    {SPLIT_SIZE, "split-size", "SIZE", 1u << RECORD, "a new recording before it grows larger"},
    {SPLIT_AT, "split-at", "WHEN", 1u << RECORD, "a new one each minute, hour, day, 15m, in UTC"},
    {SPLIT_SILENCE, "split-silence", "[=TIME]", 1u << RECORD, "a new one in pauses (2s)"},
    {VOICE, "voice", NULL, 1u << RECORD, "record only while there is sound"},
    {THRESHOLD, "threshold", "DBFS", 1u << RECORD, "peaks of that level are sound (-40)"},
    {HYSTERESIS, "hysteresis", "DB", 1u << RECORD, "--voice: so much less is still sound (6)"},
    {PRE_ROLL, "pre-roll", "TIME", 1u << RECORD, "--voice: also what was before the sound (1s)"},
    {HANG, "hang", "TIME", 1u << RECORD, "--voice: also what is behind it (3s)"},
    {RECONNECT, "reconnect", NULL, 1u << RECORD, "wait for a device that is lost, and go on"},
    {FILL, "fill", NULL, 1u << RECORD, "silence in the place of what the device lost"},
    {EVENTS, "events", NULL, 1u << RECORD, "tell what happens as JSON lines on stderr"},
    {RAW, "raw", "FORMAT", 1u << RECORD, "samples of stdin: s16le s24le s32le f32le ... u8"},
};

static const struct tool_spec spec = {
    .name = "rec-capture",
    .summary = "Records into the archive; no crash, full disk or lost device loses what was heard.",
    .commands = commands,
    .n_commands = sizeof commands / sizeof commands[0],
    .default_command = RECORD,
    .options = options,
    .n_options = sizeof options / sizeof options[0],
};

static int
number(const char *name, const char *value, int64_t hi, int64_t *out, struct err *e)
{
	return mem_parse_i64(value, 1, hi, out)
		   ? 0
		   : err_set(e, ERR_USAGE, NULL, "%s %s: it is a whole number from 1 to %lld", name,
			 value, (long long)hi);
}

static int
set_option(void *arg, int code, const char *value, struct err *e)
{
	struct opts *o = arg;
	int rc = 0;

	switch (code) {
	case 'd':
		o->device = value;
		break;
	case 'f':
		o->format = value;
		break;
	case 'r':
		rc = number("-r", value, 1536000, &o->rate_hz, e);
		break;
	case 'c':
		rc = number("-c", value, 256, &o->channels, e);
		break;
	case 'b':
		o->bits = value;
		break;
	case 't':
		o->time = value;
		break;
	case TITLE:
		o->title = value;
		break;
	case SPLIT_TIME:
		o->split_time = value;
		break;
	case SPLIT_SIZE:
		if ((rc = quantity_size(value, &o->split_bytes, e)) == -1)
			err_prefix(e, "--split-size");
		break;
	case SPLIT_AT:
		o->split_at = value;
		break;
	case SPLIT_SILENCE:
		o->split_silence = true;
		o->pause = value;
		break;
	case VOICE:
		o->voice = true;
		break;
	case THRESHOLD:
		o->threshold = value;
		break;
	case HYSTERESIS:
		o->hysteresis = value;
		break;
	case PRE_ROLL:
		o->pre_roll = value;
		break;
	case HANG:
		o->hang = value;
		break;
	case UNTIL:
		o->until = value;
		break;
	case RECONNECT:
		o->reconnect = true;
		break;
	case FILL:
		o->fill = true;
		break;
	case EVENTS:
		o->events = true;
		break;
	default:
		o->raw = value;
		break;
	}
	return rc;
}

/* ---- what is to be recorded ---- */

static int
parse_bits(const char *text, struct pcm_kept *kept, struct err *e)
{
	int64_t bits;

	kept->is_float = strcmp(text, "f32") == 0;
	kept->bits = 32;
	if (kept->is_float)
		return 0;
	if (!mem_parse_i64(text, 16, 32, &bits) || bits % 8 != 0)
		return err_set(e, ERR_USAGE, NULL, "-b %s: it is 16, 24, 32 or f32", text);
	kept->bits = (unsigned)bits;
	return 0;
}

static int
frames_of(const char *name, const char *text, unsigned rate_hz, uint64_t *frames, struct err *e)
{
	struct quantity_time t;

	*frames = 0;
	if (text == NULL)
		return 0;
	if (quantity_time(text, &t, e) == -1)
		return err_prefix(e, "%s", name);
	if (t.from_end || !quantity_frames(&t, rate_hz, frames) || *frames == 0)
		return err_set(
		    e, ERR_USAGE, NULL, "%s %s: it is a length of at least one frame", name, text);
	return 0;
}

/* A level or a difference of levels in dB, within bounds; `usual` without a text. */
static int
decibels(const char *name, const char *text, double lo, double hi, double usual, double *out,
    struct err *e)
{
	char *end;

	*out = usual;
	if (text == NULL)
		return 0;
	*out = strtod(text, &end);
	if (end == text || *end != '\0' || !(*out >= lo && *out <= hi))
		return err_set(
		    e, ERR_USAGE, NULL, "%s %s: it is a number from %g to %g", name, text, lo, hi);
	return 0;
}

static double
magnitude(double dbfs)
{
	return pow(10, dbfs / 20);
}

static int
plan_until(const char *text, struct timespec *until, struct err *e)
{
	struct timespec now = clock_now();

	if (text == NULL)
		return 0;
	if (!clock_next(text, now, until) && !clock_parse(text, until))
		return err_set(e, ERR_USAGE, NULL,
		    "--until %s: it is a time here such as 18:30 or 18:30:00, or one in UTC such "
		    "as "
		    "2026-05-01T16:30:00Z",
		    text);
	if (until->tv_sec <= now.tv_sec)
		return err_set(e, ERR_USAGE, NULL, "--until %s: it is over", text);
	return 0;
}

/* What ends a part, and the recording. */
static int
plan_ends(const struct opts *o, const struct config *cf, struct capture *c, struct err *e)
{
	const struct encoder_opts *n = &c->encoder;
	struct splitter *s = &c->splitter;
	uint64_t limit = (uint64_t)config_int(cf, CONFIG_MAX_SIZE_MB) * MIB;

	s->kept = n->kept;
	s->channels = n->channels;
	s->rate_hz = n->rate_hz;
	if (frames_of("-t", o->time, n->rate_hz, &c->max_frames, e) == -1 ||
	    plan_until(o->until, &c->until, e) == -1 ||
	    frames_of("--split-time", o->split_time, n->rate_hz, &s->every_frames, e) == -1)
		return -1;
	if (o->split_at != NULL && splitter_clock(o->split_at, &s->clock_s, e) == -1)
		return err_prefix(e, "--split-at");
	if (o->split_silence && frames_of("--split-silence", o->pause != NULL ? o->pause : PAUSE,
				    n->rate_hz, &s->pause_frames, e) == -1)
		return -1;
	c->max_bytes = o->split_bytes != 0 && o->split_bytes < limit ? o->split_bytes : limit;
	if (c->max_bytes < SMALLEST_PART + 2 * encoder_margin(n->format))
		return err_set(e, ERR_USAGE, NULL, "--split-size: a part has at least %llu KiB",
		    (unsigned long long)(SMALLEST_PART + 2 * encoder_margin(n->format)) / 1024);
	return 0;
}

/* What is sound and what is not. */
static int
plan_voice(const struct opts *o, struct capture *c, struct err *e)
{
	struct gate_opts *g = &c->gate;
	double threshold, hysteresis;

	if (!o->voice && (o->hysteresis != NULL || o->pre_roll != NULL || o->hang != NULL))
		return err_set(e, ERR_USAGE, NULL,
		    "--hysteresis, --pre-roll and --hang are about --voice: give it, too");
	if (!o->voice && !o->split_silence && o->threshold != NULL)
		return err_set(e, ERR_USAGE, NULL,
		    "--threshold is about --voice or --split-silence: give one of them, too");
	if (decibels("--threshold", o->threshold, -140, 0, -40, &threshold, e) == -1 ||
	    decibels("--hysteresis", o->hysteresis, 0, 40, 6, &hysteresis, e) == -1)
		return -1;
	c->splitter.pause_magnitude = magnitude(threshold);
	c->voice = o->voice;
	if (!o->voice)
		return 0;
	g->kept = c->encoder.kept;
	g->channels = c->encoder.channels;
	g->open_magnitude = magnitude(threshold);
	g->close_magnitude = magnitude(threshold - hysteresis);
	if (o->pre_roll == NULL || strcmp(o->pre_roll, "0") != 0)
		if (frames_of("--pre-roll", o->pre_roll != NULL ? o->pre_roll : PRE_ROLL_TIME,
			c->encoder.rate_hz, &g->pre_frames, e) == -1)
			return -1;
	if (g->pre_frames > (uint64_t)PRE_ROLL_MAX_S * c->encoder.rate_hz)
		return err_set(e, ERR_USAGE, NULL,
		    "--pre-roll %s: it is held in memory, at most %d s", o->pre_roll,
		    PRE_ROLL_MAX_S);
	return frames_of("--hang", o->hang != NULL ? o->hang : HANG_TIME, c->encoder.rate_hz,
	    &g->hang_frames, e);
}

static int
plan_format(const struct opts *o, const struct config *cf, struct capture *c, struct err *e)
{
	struct encoder_opts *n = &c->encoder;
	int format =
	    encoder_format(o->format != NULL ? o->format : config_str(cf, CONFIG_FORMAT), e);

	if (format == -1)
		return -1;
	n->format = (enum encoder_format)format;
	n->rate_hz = (unsigned)(o->rate_hz > 0 ? o->rate_hz : config_int(cf, CONFIG_SAMPLE_RATE));
	n->channels = (unsigned)(o->channels > 0 ? o->channels : config_int(cf, CONFIG_CHANNELS));
	n->kept = (struct pcm_kept){.bits = 16};
	if (o->raw != NULL) {
		if ((c->in = pcm_format(o->raw, e)) == NULL)
			return err_prefix(e, "--raw");
		n->kept = pcm_keep(c->in);
	}
	if ((o->bits != NULL && parse_bits(o->bits, &n->kept, e) == -1) ||
	    (c->in != NULL && pcm_check(c->in, &n->kept, e) == -1))
		return -1;
	return encoder_check(n, e);
}

/* Everything that the options and the configuration say, before any file or device is touched. */
static int
plan(struct tool *t, const struct opts *o, struct capture *c, struct err *e)
{
	struct encoder_opts *n = &c->encoder;
	bool dash = t->n_operands == 1 && strcmp(t->operands[0], "-") == 0;

	if (t->n_operands > 0 && !dash)
		return err_set(e, ERR_USAGE, NULL,
		    "\"%s\": record takes \"-\" (with --raw) or nothing",
		    t->operands[t->n_operands - 1]);
	if (dash != (o->raw != NULL))
		return err_set(e, ERR_USAGE, NULL,
		    dash ? "\"-\" records raw samples from standard input: say which with --raw"
			 : "--raw is about standard input: name it with \"-\"");
	if (dash && o->reconnect)
		return err_set(e, ERR_USAGE, NULL,
		    "--reconnect is about a device, and standard input cannot come back");
	if (plan_format(o, c->a->config, c, e) == -1 || plan_ends(o, c->a->config, c, e) == -1 ||
	    plan_voice(o, c, e) == -1)
		return -1;
	if (o->title != NULL && edit_check_title(o->title, e) == -1)
		return -1;
	n->title = c->title = o->title;
	n->source = o->raw != NULL ? "stdin" : o->device;
	return 0;
}

/* Folders and room for what is known of the length. */
static int
preflight(struct capture *c, struct err *e)
{
	uint64_t frame_bytes = c->encoder.channels * (c->encoder.kept.bits / 8), bytes;

	if (archive_need_folder(c->writer, FOLDER_TEMP, e) == -1 ||
	    archive_need_folder(c->writer, FOLDER_RAW, e) == -1 ||
	    archive_need_folder(c->a, FOLDER_TEMP, e) == -1 ||
	    archive_need_folder(c->a, FOLDER_RAW, e) == -1)
		return -1;
	if (!mem_mul(c->max_frames, frame_bytes, &bytes) || bytes > c->max_bytes)
		bytes = c->max_bytes * (c->max_frames != 0);
	if (archive_preflight(c->writer, FOLDER_TEMP, bytes, e) == -1 ||
	    archive_preflight_room(c->writer, FOLDER_TEMP, bytes + PARTS_SPARE_BYTES, e) == -1) {
		e->class = ERR_SYSTEM;
		return -1;
	}
	return 0;
}

/* What a recording would be, and for how long there is room. */
static int
tell_plan(struct tool *t, const struct capture *c, struct err *e)
{
	const struct encoder_opts *n = &c->encoder;
	uint64_t bytes_per_s = (uint64_t)n->channels * (n->kept.bits / 8) * n->rate_hz, bytes, s;

	/* A folder that is made only now is beside the others. */
	enum folder f = c->a->folders[FOLDER_TEMP] != -1 ? FOLDER_TEMP : FOLDER_RAW;

	if (c->a->folders[f] == -1)
		return 0;
	if (archive_room(c->a, f, &bytes, e) == -1)
		return -1;
	s = bytes / bytes_per_s;
	tool_tell(t, NULL,
	    "would record %s from %s: %u Hz, %u channels, %u bits; room for %llu:%02llu:%02llu",
	    encoder_extension(n->format), n->source, n->rate_hz, n->channels, n->kept.bits,
	    (unsigned long long)(s / 3600), (unsigned long long)(s / 60 % 60),
	    (unsigned long long)(s % 60));
	return bytes > PARTS_SPARE_BYTES
		   ? 0
		   : err_set(e, ERR_SYSTEM, P_NO_SPACE,
			 "%s has no room for a recording; free some space, or "
			 "lower REC_MIN_FREE_MB",
			 c->a->paths[f]);
}

static int
record_from(struct tool *t, const struct opts *o, struct capture *c, struct err *e)
{
	struct device_opts d = {.name = o->device,
	    .rate_hz = c->encoder.rate_hz,
	    .channels = c->encoder.channels,
	    .bits = c->encoder.kept.bits,
	    .is_float = c->encoder.kept.is_float};
	struct device *device = NULL;
	struct intake *in;
	int rc = -1;

	if (o->raw == NULL) {
		if ((device = device_open(&d, e)) == NULL) {
			e->class = e->class == ERR_ITEM ? ERR_SYSTEM : e->class;
			return -1;
		}
		c->in = device_format(device);
		c->reconnect = o->reconnect ? &d : NULL;
	}
	if (t->dry_run || recovery_run(t, c->writer, false, false, e) == -1) {
		device_close(device);
		return t->dry_run ? tell_plan(t, c, e) : -1;
	}
	in = device != NULL ? intake_device(device, &d, &tool_stop, e)
			    : intake_pipe(STDIN_FILENO, c->in, c->encoder.rate_hz,
				  c->encoder.channels, &tool_stop, e);
	if (in != NULL)
		rc = capture_run(c, in, e);
	return rc;
}

/*
 * Two views of the archive: one for writing frames, one for the thread that finishes parts. Neither
 * hears a signal: what a signal ends is ended properly. The one that writes is opened first and
 * closed last, so that it leaves no log behind.
 */
static int
record(struct tool *t, struct opts *o, struct err *e)
{
	struct archive a, writer;
	struct capture c = {
	    .t = t, .a = &a, .writer = &writer, .fill = o->fill, .events = o->events};
	int rc = -1;

	if (o->device == NULL)
		o->device = "default";
	if (archive_open_tree(&a, t->environment, NULL, e) == -1)
		return -1;
	if (plan(t, o, &c, e) == -1 ||
	    archive_open(&writer, t->environment, !t->dry_run, NULL, e) == -1) {
		archive_close(&a);
		return -1;
	}
	if (archive_open_catalogue(&a, false, e) == 0 && volume_check(&a, e) == 0 &&
	    (t->dry_run || preflight(&c, e) == 0))
		rc = record_from(t, o, &c, e);
	archive_close(&a);
	archive_close(&writer);
	return rc;
}

/* ---- devices, recover ---- */

static int
emit_device(void *ctx, struct json *rec, struct err *e)
{
	return tool_emit(ctx, rec, e);
}

static int
devices(struct tool *t, struct opts *o, struct err *e)
{
	static const struct table_column columns[] = {{"name", "NAME", 30, false},
	    {"channels", "CHANNELS", 10, false}, {"rates_hz", "RATES", 16, false},
	    {"formats", "FORMATS", 24, false}, {"description", "DESCRIPTION", 0, false},
	    {NULL, NULL, 0, false}};

	(void)o;
	t->columns = columns;
	return tool_no_operands(t, e) == -1 ? -1 : device_list(emit_device, t, e);
}

static int
recover(struct tool *t, struct opts *o, struct err *e)
{
	struct archive a;
	int rc = -1;

	(void)o;
	if (tool_no_operands(t, e) == -1 ||
	    archive_open(&a, t->environment, !t->dry_run, &tool_stop, e) == -1)
		return -1;
	if (volume_check(&a, e) == 0)
		rc = recovery_run(t, &a, t->dry_run, true, e);
	archive_close(&a);
	return rc;
}

int
main(int argc, char **argv)
{
	static int (*const run_command[])(struct tool *, struct opts *, struct err *) = {
	    record, devices, recover};
	struct opts o = {0};
	struct tool t;
	struct err e;
	int rc = tool_start(&t, &spec, argc, argv, set_option, &o, &e);

	if (rc == 0)
		rc = run_command[t.command](&t, &o, &e);
	return tool_finish(&t, rc, &e);
}
