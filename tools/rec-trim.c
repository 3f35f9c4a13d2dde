/*
 * rec-trim: exact cuts, splits and joins at the speed of a copy. See rec-trim(1).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive.h"
#include "audio.h"
#include "edit.h"
#include "encoder.h"
#include "quantity.h"
#include "selection.h"
#include "tool.h"
#include "trim.h"
#include "volume.h"

enum {
	SILENCE = 256,
	MIN_SILENCE_TIME,
	FADE_IN,
	FADE_OUT,
	GAIN,
	NORMALIZE,
	SPLIT,
	JOIN,
	NEAREST,
	IN_PLACE,
	MEASURE,
	PREVIEW,
	TITLE
};

static const struct tool_command commands[] = {
    {"",
	"[--start=TIME] [--end=TIME] [--length=TIME] [--silence[=DBFS]] [--min-silence=TIME] "
	"[--fade-in=TIME] [--fade-out=TIME] [--gain=DB] [--normalize=LUFS] [--split=WHERE] "
	"[--join] [--format=FORMAT] [--nearest] [--out=PATH] [--in-place] [--measure] "
	"[--preview] [--title=TITLE] [FILE...]",
	""},
};

static const struct tool_option options[] = {
    {'s', "start", "TIME", 1, "from here: 90, 1:30, 250ms, 48000f; -10 is 10 s before the end"},
    {'e', "end", "TIME", 1, "to here, which is not in it any more"},
    {'d', "length", "TIME", 1, "so long, instead of --end"},
    {SILENCE, "silence", "[=DBFS]", 1, "without the silence at both ends (peaks below -60)"},
    {MIN_SILENCE_TIME, "min-silence", "TIME", 1, "what counts as a pause (1s)"},
    {FADE_IN, "fade-in", "TIME", 1, "from silence, linear"},
    {FADE_OUT, "fade-out", "TIME", 1, "to silence, linear"},
    {GAIN, "gain", "DB", 1, "louder, or softer with -"},
    {NORMALIZE, "normalize", "LUFS", 1, "to a loudness, such as -23, but no peak above -1 dBTP"},
    {SPLIT, "split", "WHERE", 1, "parts: every=TIME, at=TIME,..., silence, cues"},
    {JOIN, "join", NULL, 1, "all files one behind the other"},
    {'f', "format", "FORMAT", 1, "another format: wav, w64, flac, ogg or opus"},
    {NEAREST, "nearest", NULL, 1, "mp3, vorbis, opus: at the edges of their packets, not decoded"},
    {'O', "out", "PATH", 1, "into this file or folder, and not into the archive"},
    {IN_PLACE, "in-place", NULL, 1, "the recording becomes this; the original goes to backup"},
    {MEASURE, "measure", NULL, 1, "with --out: every measure, and not the header alone"},
    {PREVIEW, "preview", NULL, 1, "draw what would be kept, and do nothing"},
    {TITLE, "title", "TITLE", 1, "title of what is made (that of the original)"},
};

static const struct tool_spec spec = {
    .name = "rec-trim",
    .summary = "Cuts, splits and joins recordings, exact to the frame; the originals stay.",
    .commands = commands,
    .n_commands = sizeof commands / sizeof commands[0],
    .default_command = 0,
    .options = options,
    .n_options = sizeof options / sizeof options[0],
};

/* A number of decibels. */
static int
decibels(const char *name, const char *text, double lo, double hi, double *out, struct err *e)
{
	char *end;

	*out = strtod(text, &end);
	if (end != text && *end == '\0' && *out >= lo && *out <= hi)
		return 0;
	return err_set(
	    e, ERR_USAGE, NULL, "%s %s: it is a number from %g to %g", name, text, lo, hi);
}

static int
time_option(const char *name, const char *text, bool may_be_from_end, struct quantity_time *t,
    struct err *e)
{
	if (quantity_time(text, t, e) == -1)
		return err_prefix(e, "%s", name);
	if (t->from_end && !may_be_from_end)
		return err_set(
		    e, ERR_USAGE, NULL, "%s %s: a length counts from nowhere", name, text);
	return 0;
}

static int
set_selection(struct selection_opts *s, int code, const char *value, struct err *e)
{
	uint64_t ns;

	switch (code) {
	case 's':
		s->has_start = true;
		return time_option("--start", value, true, &s->start, e);
	case 'e':
		s->has_end = true;
		return time_option("--end", value, true, &s->end, e);
	case 'd':
		s->has_length = true;
		return time_option("--length", value, false, &s->length, e);
	case SILENCE:
		s->silence = true;
		return value == NULL ? 0
				     : decibels("--silence", value, -200, 0, &s->silence_dbfs, e);
	case MIN_SILENCE_TIME:
		if (quantity_duration(value, &ns, e) == -1)
			return err_prefix(e, "--min-silence");
		s->min_silence_s = (double)ns / 1e9;
		return 0;
	default:
		return selection_split(value, s, e) == -1 ? err_prefix(e, "--split") : 0;
	}
}

static int
set_option(void *arg, int code, const char *value, struct err *e)
{
	struct trim *o = arg;

	switch (code) {
	case FADE_IN:
		return time_option("--fade-in", value, false, &o->fade_in, e);
	case FADE_OUT:
		return time_option("--fade-out", value, false, &o->fade_out, e);
	case GAIN:
		return decibels("--gain", value, -200, 60, &o->gain_db, e);
	case NORMALIZE:
		o->normalize = true;
		return decibels("--normalize", value, -70, 0, &o->target_lufs, e);
	case JOIN:
		o->join = true;
		return 0;
	case 'f':
		return (o->format = encoder_format(value, e)) == -1 ? err_prefix(e, "-f") : 0;
	case NEAREST:
		o->nearest = true;
		return 0;
	case 'O':
		o->out = value;
		return 0;
	case IN_PLACE:
		o->in_place = true;
		return 0;
	case MEASURE:
		o->measure = true;
		return 0;
	case PREVIEW:
		o->preview = true;
		return 0;
	case TITLE:
		o->title = value;
		return 0;
	default:
		return set_selection(&o->selection, code, value, e);
	}
}

/* What does not go together, and why. */
static int
check(const struct trim *o, struct err *e)
{
	const struct selection_opts *s = &o->selection;
	const char *why =
	    s->has_end && s->has_length	    ? "--end and --length: one of them says where it ends"
	    : o->out != NULL && o->in_place ? "--out and --in-place: the result goes to one place"
	    : o->in_place && s->split != SPLIT_NONE
		? "--in-place makes one file of one, and --split several"
	    : o->in_place && o->join ? "--in-place makes one file of one, and --join one of several"
	    : o->in_place && o->format != -1
		? "--in-place keeps the format, as it keeps the name: -f makes a new recording"
	    : o->in_place && o->title != NULL
		? "--in-place keeps the title: rec-meta set changes it"
	    : o->join && s->split != SPLIT_NONE ? "--join and --split: one after the other, please"
	    : o->join && o->preview
		? "--preview draws what is kept of a file, and --join has several"
	    : o->normalize && o->gain_db != 0
		? "--gain and --normalize: each says how loud it becomes"
	    : o->measure && o->out == NULL
		? "--measure is about --out: a recording always is measured"
	    : o->title != NULL && o->out != NULL && o->format == -1
		? "--title: a file outside the archive gets one only with -f"
	    : o->out != NULL && o->out[0] == '\0' ? "--out: it is a file or a folder"
						  : NULL;

	if (why != NULL)
		return err_set(e, ERR_USAGE, NULL, "%s", why);
	return o->title != NULL ? edit_check_title(o->title, e) : 0;
}

static int
trim_archive(struct tool *t, const struct trim *asked, struct err *e)
{
	struct archive a;
	struct trim o = *asked;
	int rc = -1;

	if (archive_open(&a, t->environment, !t->dry_run, &tool_stop, e) == -1)
		/* What would be kept of a file can be told without one. */
		return t->dry_run && e->code != NULL && strcmp(e->code, P_MISSING) == 0
			   ? trim_run(&o, e)
			   : -1;
	o.a = &a;
	if (volume_check(&a, e) == 0 &&
	    (t->dry_run || archive_need_folder(&a, FOLDER_EDITED, e) == 0))
		rc = trim_run(&o, e);
	archive_close(&a);
	return rc;
}

int
main(int argc, char **argv)
{
	struct tool t;
	struct trim o = {.t = &t,
	    .format = -1,
	    .selection = {.silence_dbfs = AUDIO_SILENCE_DBFS, .min_silence_s = 1}};
	struct err e;
	int rc = tool_start(&t, &spec, argc, argv, set_option, &o, &e);

	if (rc == 0 && (rc = check(&o, &e)) == 0) {
		t.dry_run = t.dry_run || o.preview;
		rc = o.out != NULL ? trim_run(&o, &e) : trim_archive(&t, &o, &e);
	}
	selection_opts_free(&o.selection);
	return tool_finish(&t, rc, &e);
}
