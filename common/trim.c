#include "trim.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "assembly.h"
#include "clock.h"
#include "edited.h"
#include "editrecord.h"
#include "encoder.h"
#include "footage.h"
#include "idset.h"
#include "io.h"
#include "mem.h"
#include "record.h"
#include "replace.h"
#include "run.h"
#include "version.h"
#include "waveform.h"
#include "work.h"

#define NS_PER_S 1000000000
#define WAVEFORM_ROWS 8
#define PATIENCE_NS 500000000
/* Frames of the longest packet (Vorbis). */
#define PACKET_MAX 8192

/* A new file. */
struct part {
	struct footage **footage; /* one; when joined, one for each piece */
	struct assembly_part *pieces;
	unsigned n_pieces;
	size_t number, of; /* among the parts of its item, from 1 */
	bool is_over;	   /* nothing is to be made: the item's record says why, or it is dry */
	struct err problem, fatal;
	int dirfd; /* of `out`; -1 */
	char *path, *history;
	struct io_new file;
	struct assembly made;
	struct measure m;
	char before[HASH_SHA256_HEX]; /* of the original, for --in-place */
};

struct context {
	struct trim *t;
	struct footage_opts look;
	struct tool_items *items;
	struct footage *at; /* the one whose parts are being made */
	size_t next_part;
	struct run run;
	bool running;
	atomic_bool upgraded;  /* the schema was: the reader is to look again */
	atomic_int in_hand;    /* parts that are being made */
	int64_t done_ns;       /* when the last one was done */
	struct err ended;      /* what went wrong when a run was ended meanwhile */
	struct idset replaced; /* ids of the rows, with --in-place */
};

/* ---- memory ---- */

static void
part_free(struct part *p)
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

static struct part *
part_new(unsigned pieces, struct err *e)
{
	struct part *p = mem_new(1, sizeof *p, e);

	if (p == NULL)
		return NULL;
	p->dirfd = p->file.fd = -1;
	audio_measure_init(&p->m);
	if ((p->footage = mem_new(pieces, sizeof *p->footage, e)) != NULL &&
	    (p->pieces = mem_new(pieces, sizeof *p->pieces, e)) != NULL)
		return p;
	part_free(p);
	return NULL;
}

/* ---- making parts ---- */

static struct part *
make_part(struct footage *f, size_t i, struct err *e)
{
	struct part *p = part_new(1, e);

	if (p == NULL)
		return NULL;
	p->footage[0] = f;
	p->n_pieces = 1;
	footage_use(f);
	p->number = i + 1;
	p->of = f->selection.n;
	p->is_over = !footage_is_usable(f);
	if (!p->is_over)
		p->pieces[0] = (struct assembly_part){
		    &f->original, f->selection.ranges[i].first, f->selection.ranges[i].frames};
	return p;
}

/* What a second look at the same file sees would depend on how far the first one has come. */
static int
refuse_twice(struct context *c, struct footage *f, struct err *e)
{
	uint64_t id = (uint64_t)f->row.id;

	if (!c->t->in_place || !footage_is_usable(f))
		return 0;
	if (!idset_has(&c->replaced, id))
		return idset_add(&c->replaced, id, e);
	err_item(&f->item->problem, P_CONFLICT,
	    "the same recording was named before, and is replaced once");
	return record_put_problem(f->item->rec, &f->item->problem, e);
}

static int
open_reader(struct context *c, struct err *e)
{
	struct catalogue_opts o = c->t->a->catalogue_opts;

	catalogue_close(c->look.reader);
	o.write = false;
	return (c->look.reader = catalogue_open(&o, e)) == NULL ? -1 : 0;
}

/* The next item, as footage_next. */
static int
look(struct context *c, struct footage **f, struct err *e)
{
	if (atomic_exchange(&c->upgraded, false) && open_reader(c, e) == -1)
		return -1;
	return footage_next(&c->look, c->items, f, e);
}

static int
next_part(void *ctx, void **out, struct err *e)
{
	struct context *c = ctx;
	struct part *p;
	int rc;

	if (c->at == NULL) {
		if ((rc = look(c, &c->at, e)) != 1)
			return rc;
		c->next_part = 0;
		if (refuse_twice(c, c->at, e) == -1)
			return -1;
	}
	if ((p = make_part(c->at, c->next_part, e)) == NULL)
		return -1;
	if (!footage_is_usable(c->at) || ++c->next_part == c->at->selection.n) {
		footage_leave(c->at);
		c->at = NULL;
	}
	atomic_fetch_add(&c->in_hand, 1);
	*out = p;
	return 1;
}

static int
add_piece(struct part *p, struct footage *f, size_t range, struct err *e)
{
	struct footage **footage =
	    realloc(p->footage, (p->n_pieces + 1) * sizeof(struct footage *));
	struct assembly_part *pieces;

	if (footage == NULL)
		return err_nomem(e);
	p->footage = footage;
	if ((pieces = realloc(p->pieces, (p->n_pieces + 1) * sizeof *pieces)) == NULL)
		return err_nomem(e);
	p->pieces = pieces;
	footage[p->n_pieces] = f;
	pieces[p->n_pieces++] = (struct assembly_part){
	    &f->original, f->selection.ranges[range].first, f->selection.ranges[range].frames};
	footage_use(f);
	return 0;
}

/* All items as the pieces of one part. An item that cannot be used is told, and nothing is joined.
 */
static int
next_joined(void *ctx, void **out, struct err *e)
{
	struct context *c = ctx;
	struct part *p = c->next_part > 0 ? NULL : part_new(1, e);
	struct footage *f;
	bool whole = true;
	int rc;

	if (p == NULL)
		return c->next_part > 0 ? 0 : -1;
	c->next_part = 1;
	p->number = p->of = 1;
	while ((rc = look(c, &f, e)) == 1) {
		if (footage_is_usable(f)) {
			for (size_t i = 0; i < f->selection.n && rc == 1; i++)
				rc = add_piece(p, f, i, e) == -1 ? -1 : 1;
		} else {
			whole = false;
			rc = (f->item->passed_on ? tool_emit : tool_emit_found)(
				 c->t->t, f->item->rec, e) == -1
				 ? -1
				 : 1;
		}
		footage_leave(f);
		if (rc == -1)
			break;
	}
	if (rc == 0 && !whole)
		rc = err_set(e, ERR_SYSTEM, NULL,
		    "nothing was joined, as not all of the files could be read");
	if (rc == -1 || p->n_pieces == 0) {
		part_free(p);
		return rc;
	}
	atomic_fetch_add(&c->in_hand, 1);
	*out = p;
	return 1;
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
static char *
part_name(const struct part *p, const char *path, const char *extension, struct err *e)
{
	const char *base = io_base_name(path), *dot = strrchr(base, '.');
	int stem = dot == NULL || dot == base ? (int)strlen(base) : (int)(dot - base);
	char suffix[32];

	part_suffix(p, suffix);
	return mem_fmt(e, "%.*s%s.%s", stem, base, suffix, extension);
}

static bool
is_folder(const char *path)
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

	if (is_folder(t->out)) {
		if ((name = part_name(p, original, extension, e)) == NULL)
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
	if ((name = part_name(p, base, extension, e)) == NULL)
		return NULL;
	path = mem_fmt(e, "%.*s%s", (int)(base - t->out), t->out, name);
	free(name);
	return path;
}

static int
exists(const struct part *p, struct err *e)
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
	    (!is_folder(t->out) && check_extension(p, e) == -1))
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
		return exists(p, e);
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

static int
make(struct trim *t, struct part *p, struct err *e)
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
static int
check_plan(const struct trim *t, struct part *p, struct err *e)
{
	return prepare(t, p, e) == -1 ? -1 : assembly_check(&p->made, e);
}

static void
work_part(void *ctx, void *item)
{
	struct context *c = ctx;
	struct part *p = item;
	struct err e;

	if (p->is_over || (c->t->t->dry_run ? check_plan(c->t, p, &e) : make(c->t, p, &e)) == 0)
		return;
	p->is_over = true;
	*(e.class == ERR_ITEM ? &p->problem : &p->fatal) = e;
}

/* ---- records ---- */

static int
put_edit(struct json *rec, const struct part *p, struct err *e)
{
	struct edit_of edit = {p->footage, &p->made};

	return editrecord_put(rec, &edit, e);
}

static void
tell_limits(struct trim *t, const struct part *p)
{
	const char *path = p->footage[0]->item->path;

	if (p->made.limited)
		tool_tell(t->t, path,
		    "raised by %.1f dB only: more would push its peaks beyond -1 dBTP",
		    p->made.gain_db);
	if (p->made.render.clipped > 0)
		tool_tell(t->t, path, "%llu samples reached full scale and were clipped",
		    (unsigned long long)p->made.render.clipped);
	if (p->made.dropped[0] != '\0')
		tool_tell(t->t, path, "not carried over into the new file: %s", p->made.dropped);
}

/* Of the item that came in, what is neither a recording's nor about this edit or an earlier one. */
static int
pass_on(struct json *rec, const struct part *p, struct err *e)
{
	static const char *const own[] = {"start_s", "end_s", "gain_db", "gain_limited",
	    "fade_in_s", "fade_out_s", "clipped_samples", "dropped", "format", "sources"};

	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		json_del(p->footage[0]->item->rec, own[i]);
	return catalogue_pass_on(rec, p->footage[0]->item->rec, e);
}

/* ---- giving names ---- */

static int
put_out(struct trim *t, struct part *p, struct err *e)
{
	struct json *rec;
	int rc = -1;

	if (io_new_commit(&p->file, 0644, false, e) == -1)
		return e->sys == EEXIST ? exists(p, e) : -1;
	if ((rec = json_new_object(e)) != NULL &&
	    json_put_bytes(rec, "path", p->path, strlen(p->path), e) == 0 &&
	    record_put_measure(rec, &p->m, e) == 0 && put_edit(rec, p, e) == 0 &&
	    pass_on(rec, p, e) == 0)
		rc = tool_emit_found(t->t, rec, e);
	json_free(rec);
	return rc;
}

static int
replace_original(struct run *r, struct part *p, const struct provenance *provenance, struct err *e)
{
	struct footage *f = p->footage[0];
	struct replace replace = {.r = r,
	    .row = &f->row,
	    .folder = f->folder,
	    .was = &f->original.st,
	    .xxh3_128_before = p->before,
	    .file = &p->file,
	    .now = &p->m,
	    .provenance = provenance};
	int rc = replace_file(&replace, e);

	free(replace.backup);
	return rc;
}

static int
add_new(
    struct run *r, struct part *p, const struct provenance *provenance, int64_t *id, struct err *e)
{
	const struct footage *f = p->footage[0];
	const char *name = json_get_str(f->rec, "filename");
	char *filename = part_name(
	    p, name != NULL ? name : f->item->path, assembly_extension(&p->made, f->item->path), e);
	struct edited n = {.file = &p->file,
	    .filename = filename,
	    .title = p->made.title,
	    .m = &p->m,
	    .provenance = provenance};
	int rc = filename == NULL ? -1 : edited_add(r, &n, id, e);

	free(filename);
	return rc;
}

/* A run, when there is none: others may have changed the archive since. */
static int
begin_run(struct context *c, struct err *e)
{
	bool old;

	if (c->running)
		return 0;
	c->run = (struct run){0};
	old = catalogue_shape(c->t->a->catalogue)->toolkit_version < CATALOGUE_VERSION;
	if (run_open(&c->run, c->t->a, "trim", e) == -1 || run_upgrade(&c->run, e) == -1) {
		run_close(&c->run);
		return -1;
	}
	c->running = true;
	if (old)
		atomic_store(&c->upgraded, true);
	return 0;
}

static int
end_run(struct context *c, struct err *e)
{
	int rc;

	if (!c->running)
		return 0;
	c->running = false;
	rc = run_end(&c->run, c->t->t->problems, e);
	run_close(&c->run);
	return rc;
}

static int
put_in_archive(struct context *c, struct part *p, struct err *e)
{
	struct trim *t = c->t;
	struct json *details = json_new_object(e), *rec = NULL;
	struct provenance provenance = {
	    .tool = "rec-trim " REC_VERSION, .started = p->made.start, .details = details};
	int64_t id = p->footage[0]->row.id;
	int rc = -1;

	if (details != NULL && put_edit(details, p, e) == 0 && begin_run(c, e) == 0 &&
	    (t->in_place ? replace_original(&c->run, p, &provenance, e)
			 : add_new(&c->run, p, &provenance, &id, e)) == 0 &&
	    catalogue_record(t->a->catalogue, id, &rec, e) == 1 && put_edit(rec, p, e) == 0 &&
	    pass_on(rec, p, e) == 0)
		rc = tool_emit_found(t->t, rec, e);
	json_free(details);
	json_free(rec);
	return rc;
}

/* ---- dry runs ---- */

static int
draw(const struct part *p, struct err *e)
{
	const struct footage *f = p->footage[0];
	struct waveform_kept *kept = mem_new(f->selection.n, sizeof *kept, e);
	struct waveform_opts o = {.columns = tool_columns(),
	    .rows = WAVEFORM_ROWS,
	    .utf8 = tool_is_utf8(),
	    .colour = isatty(STDERR_FILENO),
	    .kept = kept,
	    .n_kept = (unsigned)f->selection.n};
	struct envelope v;
	struct buf text = {0};
	int rc = -1;

	if (o.columns < 20)
		o.columns = 20;
	for (size_t i = 0; kept != NULL && i < f->selection.n; i++)
		kept[i] = (struct waveform_kept){
		    f->selection.ranges[i].first, f->selection.ranges[i].frames};
	if (kept != NULL &&
	    envelope_read(f->original.fd, f->original.frames, &tool_stop, &v, e) == 0 &&
	    waveform_draw(&v, &o, &text, e) == 0)
		rc = 0;
	if (rc == 0)
		fprintf(stderr, "%s\n%s", f->item->path, text.data != NULL ? text.data : "");
	buf_free(&text);
	free(kept);
	return rc;
}

/* An item with the times that were found: what could be cut by it. */
static int
tell_piece(struct trim *t, struct part *p, unsigned i, struct err *e)
{
	const struct assembly_part *piece = &p->pieces[i];
	struct assembly planned = {.parts = piece, .n = 1};
	struct edit_of edit = {p->footage + i, &planned};
	struct json *rec = json_clone(p->footage[i]->item->rec, e);
	double rate = piece->original->rate_hz;
	int rc = -1;

	if (rec != NULL && json_put_real(rec, "start_s", (double)piece->first / rate, e) == 0 &&
	    json_put_real(rec, "end_s", (double)(piece->first + piece->frames) / rate, e) == 0 &&
	    editrecord_put_sources(rec, &edit, e) == 0)
		rc = tool_emit(t->t, rec, e);
	json_free(rec);
	return rc;
}

static int
tell_plan(struct trim *t, struct part *p, struct err *e)
{
	if (t->preview && p->number == 1 && draw(p, e) == -1)
		return -1;
	for (unsigned i = 0; i < p->n_pieces; i++)
		if (tell_piece(t, p, i, e) == -1)
			return -1;
	return 0;
}

/* ---- in order ---- */

static int
tell_problem(struct trim *t, struct part *p, struct err *e)
{
	struct json *rec = p->footage[0]->item->rec;

	if (record_put_problem(rec, &p->problem, e) == -1)
		return -1;
	return tool_emit_found(t->t, rec, e);
}

static int
finish(struct context *c, struct part *p, struct err *e)
{
	struct trim *t = c->t;
	const struct tool_item *item = p->footage[0]->item;
	int rc;

	if (p->fatal.class != ERR_NONE) {
		*e = p->fatal;
		return err_prefix(e, "%s", item->path);
	}
	if (p->problem.class != ERR_NONE)
		return tell_problem(t, p, e);
	if (p->is_over)
		return item->passed_on ? tool_emit(t->t, item->rec, e)
				       : tool_emit_found(t->t, item->rec, e);
	if (t->t->dry_run)
		return tell_plan(t, p, e);
	tell_limits(t, p);
	rc = t->out != NULL ? put_out(t, p, &p->problem) : put_in_archive(c, p, &p->problem);
	if (rc == 0)
		return 0;
	if (p->problem.class == ERR_ITEM)
		return tell_problem(t, p, e);
	*e = p->problem;
	return err_prefix(e, "%s", item->path);
}

static int
done_part(void *ctx, void *item, struct err *e)
{
	struct context *c = ctx;
	int rc = finish(c, item, e);

	part_free(item);
	atomic_fetch_sub(&c->in_hand, 1);
	atomic_fetch_add(&c->t->t->items_done, 1);
	c->done_ns = clock_monotonic_ns();
	return rc;
}

static void
drop_part(void *ctx, void *item)
{
	(void)ctx;
	part_free(item);
}

/* While it waits for items, the archive is not kept from others. */
static void
idle(void *ctx)
{
	struct context *c = ctx;

	tool_idle(c->t->t);
	if (c->running && c->ended.class == ERR_NONE && atomic_load(&c->in_hand) == 0 &&
	    clock_monotonic_ns() - c->done_ns > PATIENCE_NS)
		end_run(c, &c->ended);
}

int
trim_run(struct trim *t, struct err *e)
{
	struct context c = {.t = t,
	    .items = tool_items_open(t->t, e),
	    .look = {.t = t->t,
		.a = t->a,
		.selection = t->selection,
		.must_be_in_archive = t->out == NULL && !t->t->dry_run,
		.must_be_recorded = t->in_place}};
	struct work w = {.next = t->join ? next_joined : next_part,
	    .work = work_part,
	    .done = done_part,
	    .drop = drop_part,
	    .idle = idle,
	    .ctx = &c,
	    .jobs = t->t->jobs,
	    .stop = &tool_stop};
	int rc = c.items == NULL ? -1 : 0;

	if (rc == 0 && t->out != NULL && !t->join && !t->t->dry_run && t->t->n_operands > 1 &&
	    !is_folder(t->out))
		rc = err_set(e, ERR_USAGE, NULL,
		    "--out %s is one file, and several are named: a folder (ending in /) takes "
		    "them "
		    "all, --join makes one of them",
		    t->out);

	if (rc == 0 && t->a != NULL && t->a->catalogue != NULL)
		rc = open_reader(&c, e);
	if (rc == 0)
		rc = work_run(&w, e);
	if (rc == 0 && c.ended.class != ERR_NONE) {
		*e = c.ended;
		rc = -1;
	}
	/* One that failed stays open, for the next run to settle. */
	if (rc == -1 && c.running)
		run_close(&c.run);
	else if (rc == 0)
		rc = end_run(&c, e);
	footage_leave(c.at);
	idset_free(&c.replaced);
	catalogue_close(c.look.reader);
	tool_items_close(c.items);
	return rc;
}
