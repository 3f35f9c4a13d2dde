#include "trimpart.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chunk.h"
#include "clock.h"
#include "edited.h"
#include "mem.h"
#include "version.h"

#define NS_PER_S 1000000000
/* Frames of the longest packet (Vorbis). */
#define PACKET_MAX 8192

void
trimpart_free(struct part *p)
{
	if (p == NULL)
		return;
	io_new_close(&p->file);
	if (p->dirfd != -1)
		close(p->dirfd);
	for (unsigned i = 0; i < p->n_pieces; i++)
		footage_leave(p->footage[i]);
	audio_measure_free(&p->m);
	free(p->footage);
	free(p->pieces);
	free(p->path);
	free(p->history);
	free(p);
}

struct part *
trimpart_new(unsigned pieces, struct err *e)
{
	struct part *p = mem_new(1, sizeof *p, e);

	if (p == NULL)
		return NULL;
	p->dirfd = p->file.fd = -1;
	audio_measure_init(&p->m);
	if ((p->footage = mem_new(pieces, sizeof *p->footage, e)) != NULL &&
	    (p->pieces = mem_new(pieces, sizeof *p->pieces, e)) != NULL)
		return p;
	trimpart_free(p);
	return NULL;
}
/* ---- where it goes ---- */

/* What the name of a part has behind that of the original. */
static void
part_suffix(const struct part *p, char out[32])
{
	int digits = p->of > 999 ? 4 : p->of > 99 ? 3 : 2;

	out[0] = '\0';
	if (p->of > 1)
		snprintf(out, 32, "_part%0*zu", digits, p->number);
}

/* STEM_part01.EXT, from the last component of a path. */
char *
trimpart_name(const struct part *p, const char *path, const char *extension, struct err *e)
{
	const char *base = io_base_name(path), *dot = strrchr(base, '.');
	int stem = dot == NULL || dot == base ? (int)strlen(base) : (int)(dot - base);
	char suffix[32];

	part_suffix(p, suffix);
	return mem_fmt(e, "%.*s%s.%s", stem, base, suffix, extension);
}

bool
trimpart_is_folder(const char *path)
{
	size_t n = strlen(path);
	struct stat st;

	return (n > 0 && path[n - 1] == '/') || (stat(path, &st) == 0 && S_ISDIR(st.st_mode));
}

/* The path that -O asks for. */
static char *
out_path(const struct trim *t, const struct part *p, struct err *e)
{
	const char *original = p->footage[0]->item->path, *base = io_base_name(t->out);
	const char *extension = assembly_extension(&p->made, original);
	char *name, *path;

	if (trimpart_is_folder(t->out)) {
		if ((name = trimpart_name(p, original, extension, e)) == NULL)
			return NULL;
		path = mem_fmt(
		    e, "%s%s%s", t->out, t->out[strlen(t->out) - 1] == '/' ? "" : "/", name);
		free(name);
		return path;
	}
	if (p->of == 1)
		return mem_str(t->out, e);
	if (strrchr(base, '.') != NULL && strrchr(base, '.') != base)
		extension = strrchr(base, '.') + 1;
	if ((name = trimpart_name(p, base, extension, e)) == NULL)
		return NULL;
	path = mem_fmt(e, "%.*s%s", (int)(base - t->out), t->out, name);
	free(name);
	return path;
}

int
trimpart_refuse_existing(const struct part *p, struct err *e)
{
	return err_item(e, P_CONFLICT, "%s exists already, and is not overwritten", p->path);
}

/* A name that promises another format than the new file has would fool whoever reads it. */
static int
check_extension(const struct part *p, struct err *e)
{
	const char *dot = strrchr(io_base_name(p->path), '.');
	struct err ignored;
	int named = dot == NULL ? -1 : encoder_format(dot + 1, &ignored), made;

	if (named == -1 || (made = assembly_format(&p->made)) == named)
		return 0;
	/* Opus is a kind of Ogg. */
	if (named == ENCODER_OGG && made == ENCODER_OPUS)
		return 0;
	return err_item(
	    e, P_UNSUPPORTED, "%s would not be %s: -f %s makes it that", p->path, dot + 1, dot + 1);
}

static int
open_out(const struct trim *t, struct part *p, struct err *e)
{
	const char *base;
	char *folder;
	struct stat st;

	if ((p->path = out_path(t, p, e)) == NULL ||
	    (!trimpart_is_folder(t->out) && check_extension(p, e) == -1))
		return -1;
	base = io_base_name(p->path);
	if ((folder = base == p->path ? mem_str(".", e)
				      : mem_bytes(p->path, (size_t)(base - p->path), e)) == NULL)
		return -1;
	p->dirfd = io_open_dir(AT_FDCWD, folder, e);
	free(folder);
	if (p->dirfd == -1)
		return -1;
	if (fstatat(p->dirfd, base, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return trimpart_refuse_existing(p, e);
	if (errno == ENAMETOOLONG)
		return err_item(e, P_UNSUPPORTED, "%s is too long for a name", base);
	return io_new_open(&p->file, p->dirfd, base, e);
}

static int
open_in_archive(const struct trim *t, struct part *p, struct err *e)
{
	struct footage *f = p->footage[0];
	const char *original = f->item->path;
	enum folder folder = t->in_place ? f->folder : FOLDER_EDITED;
	uint64_t bytes = 0;
	char *name;
	int rc;

	for (unsigned i = 0; i < p->n_pieces; i++)
		bytes +=
		    (uint64_t)((double)p->pieces[i].original->st.st_size *
			       (double)p->pieces[i].frames / (double)p->pieces[i].original->frames);
	if (archive_preflight(t->a, folder, bytes, e) == -1)
		return -1;
	name = t->in_place ? mem_str(f->row.stored, e)
			   : edited_name(assembly_extension(&p->made, original), e);
	rc = name == NULL ? -1 : io_new_open(&p->file, t->a->folders[folder], name, e);
	free(name);
	return rc;
}

/* ---- writing ---- */

/* EBU R 98: no commas within the fields. */
static char *
history_of(const struct part *p, struct err *e)
{
	static const char *const modes[] = {"", ",M=mono", ",M=stereo"};
	const struct original *o = p->pieces[0].original;

	if (o->kind != ORIGINAL_PCM)
		return mem_str("", e);
	return mem_fmt(e, "A=PCM,F=%u,W=%u%s,T=rectools " REC_VERSION "; rec-trim; from frame %llu",
	    o->rate_hz, o->pcm.sample.bits, modes[o->channels <= 2 ? o->channels : 0],
	    (unsigned long long)p->pieces[0].first);
}

/* When the first frame of the part was captured, as far as the original's record tells. */
static struct timespec
start_of(const struct part *p)
{
	const struct footage *f = p->footage[0];
	const char *text = json_get_str(f->rec, "started_at");
	struct timespec t = {0};
	uint64_t first = p->pieces[0].first, rate = f->original.rate_hz;

	if (text == NULL || !clock_parse(text, &t))
		return (struct timespec){0};
	t.tv_sec += (time_t)(first / rate);
	t.tv_nsec += (long)(first % rate * NS_PER_S / rate);
	t.tv_sec += t.tv_nsec / NS_PER_S;
	t.tv_nsec %= NS_PER_S;
	return t;
}

static int
prepare(const struct trim *t, struct part *p, struct err *e)
{
	struct assembly *a = &p->made;
	unsigned rate = p->pieces[0].original->rate_hz;

	if ((p->history = history_of(p, e)) == NULL)
		return -1;
	*a = (struct assembly){.parts = p->pieces,
	    .n = p->n_pieces,
	    .format = t->format,
	    .nearest = t->nearest,
	    .normalize = t->normalize,
	    .target_lufs = t->target_lufs,
	    .render = {.gain = t->gain_db == 0 ? 1 : pow(10, t->gain_db / 20)},
	    .history = p->history[0] != '\0' ? p->history : NULL,
	    .start = start_of(p),
	    .title = t->title != NULL ? t->title : json_get_str(p->footage[0]->rec, "title"),
	    .stop = &tool_stop,
	    .bytes_done = &t->t->bytes_done};
	if (!quantity_frames(&t->fade_in, rate, &a->render.fade_in) ||
	    !quantity_frames(&t->fade_out, rate, &a->render.fade_out))
		return err_item(e, P_BAD_RECORD, "a fade is too long for %u Hz", rate);
	return 0;
}

/*
 * Of integers of 64 bits, which are copied and which nothing here decodes: as far as the new file's
 * chunks tell.
 */
static int
measure_layout(const struct trim *t, struct part *p, struct err *e)
{
	struct chunk_layout l;
	struct cut_format f;
	struct stat st;
	int rc;

	if (t->out == NULL)
		return err_item(e, P_UNSUPPORTED,
		    "its samples cannot be measured, as a recording's are: -O FILE cuts it");
	if (fstat(p->file.fd, &st) == -1)
		return err_sys(e, "stat of the new file");
	if ((rc = chunk_layout(p->file.fd, (uint64_t)st.st_size, &l, e)) == -1)
		return -1;
	rc = rc == 1 ? cut_format(p->file.fd, &l, &f, e) : -1;
	chunk_layout_free(&l);
	if (rc == -1 || f.frames != p->made.frames)
		return err_set(e, ERR_SYSTEM, NULL,
		    "the new file reads back with other frames: is the disk failing? Nothing was "
		    "changed");
	p->m.frames = (int64_t)f.frames;
	p->m.sample_rate_hz = f.rate_hz;
	p->m.channels = f.sample.channels;
	p->m.bits_per_sample = f.sample.bits;
	p->m.duration_s = round((double)f.frames / f.rate_hz * 1e6) / 1e6;
	p->m.problem = (struct err){0};
	return 0;
}

static bool
is_packed(const struct part *p)
{
	return p->pieces[0].original->kind == ORIGINAL_PACKED && p->made.format == -1;
}

/*
 * Of packets without a last page, what plays is known only when it is decoded: then that is what
 * the record says.
 */
static bool
is_near(const struct part *p, uint64_t frames)
{
	return is_packed(p) && p->m.problem.class == ERR_NONE && p->m.frames > 0 &&
	       llabs(p->m.frames - (long long)frames) <= PACKET_MAX;
}

/* Where a recording is to be, it is read whole. */
static int
measure(const struct trim *t, struct part *p, struct err *e)
{
	struct audio_opts o = {.quick = t->out != NULL && !t->measure, .stop = &tool_stop};
	uint64_t rate = p->pieces[0].original->rate_hz, frames = p->made.frames;

	if (audio_measure(p->file.fd, &o, &p->m, e) == -1)
		return -1;
	if (p->m.frames == -1 && p->pieces[0].original->kind == ORIGINAL_PCM && t->format == -1)
		return measure_layout(t, p, e);
	/* Opus decodes at 48 kHz, a multiple of whatever it was made from. */
	if (p->m.sample_rate_hz > 0 && (uint64_t)p->m.sample_rate_hz % rate == 0)
		frames *= (uint64_t)p->m.sample_rate_hz / rate;
	/* Pages tell one number, and what decodes may be another. */
	if (o.quick && p->m.frames != (int64_t)frames && is_packed(p)) {
		o.quick = false;
		audio_measure_free(&p->m);
		if (audio_measure(p->file.fd, &o, &p->m, e) == -1)
			return -1;
	}
	if (is_near(p, frames)) {
		p->made.frames = (uint64_t)p->m.frames;
		return 0;
	}
	if (p->m.frames != (int64_t)frames)
		return err_set(e, ERR_SYSTEM, NULL,
		    "the new file reads back with %lld frames of %llu: is the disk failing? "
		    "Nothing was changed",
		    (long long)p->m.frames, (unsigned long long)frames);
	return 0;
}

int
trimpart_make(const struct trim *t, struct part *p, struct err *e)
{
	struct footage *f = p->footage[0];

	if (prepare(t, p, e) == -1 ||
	    (t->out != NULL ? open_out(t, p, e) : open_in_archive(t, p, e)) == -1 ||
	    assembly_write(&p->made, p->file.fd, e) == -1 || measure(t, p, e) == -1)
		return -1;
	for (unsigned i = 0; i < p->n_pieces; i++) {
		const struct original *o = p->pieces[i].original;
		struct stat st;

		if (fstat(o->fd, &st) == -1)
			return err_sys(e, "stat of %s", p->footage[i]->item->path);
		if (st.st_size != o->st.st_size || st.st_mtim.tv_sec != o->st.st_mtim.tv_sec ||
		    st.st_mtim.tv_nsec != o->st.st_mtim.tv_nsec)
			return err_item(
			    e, P_MODIFIED, "it was changed while it was read: try again");
	}
	/* What a rollback brings back is told by its bytes. */
	return !t->in_place ? 0
			    : io_digest(f->original.fd, HASH_XXH3_128, false, &tool_stop, NULL,
				  p->before, e);
}

/* What would be refused is so in a dry run. */
int
trimpart_check(const struct trim *t, struct part *p, struct err *e)
{
	return prepare(t, p, e) == -1 ? -1 : assembly_check(&p->made, e);
}
