#include "sync.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "hash.h"
#include "io.h"
#include "mem.h"
#include "record.h"
#include "run.h"
#include "utf8.h"
#include "volume.h"

/* ---- events ---- */

static int
event_line(const char *name, const char *key, const char *more, struct buf *line, struct err *e)
{
	struct json *v = json_new_object(e);
	char now[CLOCK_TEXT_MAX];
	int rc = -1;

	if (v != NULL && json_put_str(v, "event", name, e) == 0 &&
	    json_put_str(v, "time", clock_rfc3339(clock_now(), now), e) == 0 &&
	    (key == NULL || json_put_bytes(v, "key", key, strlen(key), e) == 0) &&
	    json_write(v, line, e) == 0) {
		line->len--;
		rc = buf_addf(line, e, "%s}\n", more);
	}
	json_free(v);
	return rc;
}

void
sync_event(struct sync *s, const char *name, const char *key, const char *fmt, ...)
{
	struct buf line = {0};
	struct err e;
	char more[1024];
	va_list ap;

	if (!s->events)
		return;
	va_start(ap, fmt);
	vsnprintf(more, sizeof more, fmt, ap);
	va_end(ap);
	if (event_line(name, key, more, &line, &e) == 0) {
		pthread_mutex_lock(&s->telling);
		fwrite(line.data, 1, line.len, stderr);
		pthread_mutex_unlock(&s->telling);
	}
	buf_free(&line);
}

/* A text as the inside of a JSON string: what fits. */
static void
inside(char *out, size_t size, const char *text)
{
	size_t n = 0;

	for (; *text != '\0' && n + 3 < size; text++) {
		if (*text == '"' || *text == '\\')
			out[n++] = '\\';
		out[n++] = (unsigned char)*text < 0x20 ? ' ' : *text;
	}
	out[utf8_fit(out, n)] = '\0';
}

static void
tell_retry(void *ctx, const struct retry_event *v)
{
	struct sync *s = ctx;
	char text[512];

	atomic_fetch_add(&s->retries, 1);
	if (v->fault->class == FAULT_STALL)
		atomic_fetch_add(&s->stalls, 1);
	inside(text, sizeof text, v->fault->text);
	sync_event(s, "retry", v->what,
	    ",\"fault\":\"%s\",\"status\":%d,\"attempt\":%u,\"wait_s\":%.3f,\"message\":\"%s\"",
	    fault_name(v->fault->class), v->fault->status, v->attempt,
	    v->wait_ms < 0 ? 0 : (double)v->wait_ms / 1000, text);
	if (s->t->verbose > 0 || v->fault->class == FAULT_STALL)
		tool_tell(s->t, v->what, "%s; tried again in %.1f s", v->fault->text,
		    v->wait_ms < 0 ? 0 : (double)v->wait_ms / 1000);
}

/* ---- opening ---- */

/* db/sync, which only its owner may read: it holds secrets. */
static int
lock_folder(struct sync *s, struct err *e)
{
	int64_t wait_s = s->a.catalogue_opts.timeout_s * (1 + s->a.catalogue_opts.retries);
	int64_t until = clock_monotonic_ns() + wait_s * 1000000000;
	struct timespec nap = {.tv_nsec = 50000000};
	int rc;

	if (io_make_dirs(AT_FDCWD, s->folder_path, e) == -1 ||
	    (s->folder = io_open_dir(AT_FDCWD, s->folder_path, e)) == -1) {
		e->class = ERR_SYSTEM;
		return -1;
	}
	if (fchmod(s->folder, 0700) == -1)
		return err_sys(e, "%s: making it private", s->folder_path);
	while ((rc = io_try_lock(s->folder, e)) == 0) {
		if (atomic_load(&tool_stop) != 0)
			return err_set(e, ERR_STOPPED, NULL, "stopped");
		if (clock_monotonic_ns() >= until)
			return err_set(e, ERR_BUSY, P_BUSY,
			    "%s: another rec-sync is at work in this archive; try again when it "
			    "has ended",
			    s->folder_path);
		nanosleep(&nap, NULL);
	}
	return rc == 1 ? io_sweep_temps(s->folder, e) : -1;
}

static int
upgrade(struct sync *s, struct err *e)
{
	const struct catalogue_shape *sh = catalogue_shape(s->a.catalogue);
	struct run r;
	int rc;

	if (sh->toolkit_version == CATALOGUE_VERSION && sh->current_columns)
		return 0;
	if (run_open(&r, &s->a, "sync", e) == -1)
		return -1;
	rc = run_upgrade(&r, e) == -1 ? -1 : run_end(&r, 0, e);
	run_close(&r);
	return rc;
}

static int
open_archive(struct sync *s, const struct sync_opts *o, struct err *e)
{
	const char *path;
	int rc;

	if (archive_open_tree(&s->a, o->t->environment, &tool_stop, e) == -1)
		return -1;
	s->archive_open = true;
	path = config_database(s->a.config);
	/* Before anything that waits: what is wrong in the configuration is told at once. */
	if (account_open(&s->account, s->a.config, o->remote, e) == -1)
		return -1;
	if (o->create && o->write && access(path, F_OK) == -1 && errno == ENOENT &&
	    catalogue_create(path, e) == -1)
		return -1;
	rc = archive_open_catalogue(&s->a, o->write, e);
	if (rc == 0 && (s->folder_path = mem_fmt(
			    e, "%.*ssync", (int)(io_base_name(path) - path), path)) == NULL)
		rc = -1;
	if (rc == 0 && o->write)
		rc = lock_folder(s, e) == -1 || upgrade(s, e) == -1 ? -1 : 0;
	return rc;
}

/* Writes what is known of the remote down. */
static int
put_known(struct sync *s, struct err *e)
{
	struct catalogue *c = s->a.catalogue;

	if (catalogue_begin(c, e) == -1)
		return -1;
	if (catalogue_remote_put(c, &s->known, e) == 0)
		return catalogue_commit(c, e);
	catalogue_rollback(c);
	return -1;
}

/* What the catalogue knows of the remote; with write it is made known. */
static int
know_remote(struct sync *s, bool write, struct err *e)
{
	unsigned char owner[4];
	int rc = catalogue_remote_get(s->a.catalogue, s->url, &s->known, e);

	if (rc == 1)
		memcpy(s->owner, s->known.owner, sizeof s->owner);
	if (rc == -1 || rc == 1)
		return rc == -1 ? -1 : 0;
	if (hash_random(owner, sizeof owner, e) == -1)
		return -1;
	hash_hex(owner, sizeof owner, s->owner);
	s->known.rows = -1;
	if (!write)
		return 0;
	memcpy(s->known.owner, s->owner, sizeof s->owner);
	if ((s->known.url = mem_str(s->url, e)) == NULL || catalogue_begin(s->a.catalogue, e) == -1)
		return -1;
	if (catalogue_remote_put(s->a.catalogue, &s->known, e) == 0)
		return catalogue_commit(s->a.catalogue, e);
	catalogue_rollback(s->a.catalogue);
	return -1;
}

const char *
sync_noted(const struct sync *s, const char *what)
{
	return json_get_str(s->known.probed, what);
}

int
sync_note(struct sync *s, const char *what, const char *id, struct err *e)
{
	if (id[0] == '\0') {
		json_del(s->known.probed, what);
		return 0;
	}
	if (s->known.probed == NULL && (s->known.probed = json_new_object(e)) == NULL)
		return -1;
	return json_put_str(s->known.probed, what, id, e);
}

int
sync_keep_noted(const struct sync *s, struct json *found, struct err *e)
{
	static const char *const all[] = {SYNC_PLACE, SYNC_CATALOGUE_ID};
	const char *id;

	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if ((id = sync_noted(s, all[i])) != NULL &&
		    json_put_str(found, all[i], id, e) == -1)
			return -1;
	return 0;
}

/* A run that changes nothing has no lock, and notes nothing. */
static int
note_place(void *ctx, const char *place, struct err *e)
{
	struct sync *s = ctx;
	int rc;

	if (s->folder == -1)
		return 0;
	pthread_mutex_lock(&s->writing);
	rc = sync_note(s, SYNC_PLACE, place, e) == -1 ? -1 : put_known(s, e);
	pthread_mutex_unlock(&s->writing);
	return rc;
}

static unsigned
large_at_once(const struct sync *s)
{
	return (s->transfers + 7) / 8;
}

static int
open_remote(struct sync *s, const struct sync_opts *o, struct err *e)
{
	const struct config *c = s->a.config;
	const char *rate = o->limit_rate != NULL ? o->limit_rate : config_str(c, CONFIG_LIMIT_RATE);
	struct retry_opts retry = {.attempts = (unsigned)config_int(c, CONFIG_ATTEMPTS),
	    .breaker = (unsigned)config_int(c, CONFIG_BREAKER) * large_at_once(s),
	    .stop = &tool_stop,
	    .tell = tell_retry,
	    .ctx = s};
	struct http_opts http = {.connections = s->transfers * 2,
	    .connect_s = config_int(c, CONFIG_CONNECT_S),
	    .stall_s = config_int(c, CONFIG_STALL_S),
	    .ca_file = s->account.ca_file,
	    .stop = &tool_stop,
	    .sent = &o->t->bytes_done,
	    .received = &o->t->bytes_done};

	if (rate[0] != '\0' && (s->pace = pace_open(rate, e)) == NULL)
		return err_prefix(e, o->limit_rate != NULL ? "--limit-rate" : "REC_LIMIT_RATE");
	http.pace = s->pace;
	if ((s->retry = retry_open(&retry, e)) == NULL ||
	    (remote_needs_http(s->url) && (s->http = http_open(&http, e)) == NULL))
		return -1;
	s->account.settings.owner = s->owner;
	s->account.settings.probed = o->fresh ? NULL : s->known.probed;
	if (sync_noted(s, SYNC_PLACE) != NULL)
		snprintf(s->place, sizeof s->place, "%s", sync_noted(s, SYNC_PLACE));
	s->account.settings.place = s->place;
	s->account.settings.note_place = note_place;
	s->account.settings.place_ctx = s;
	s->remote = remote_open(&s->account.settings, s->http, s->retry, e);
	return s->remote == NULL ? -1 : 0;
}

int
sync_open(struct sync *s, const struct sync_opts *o, struct err *e)
{
	*s = (struct sync){.t = o->t, .folder = -1, .events = o->events};
	pthread_mutex_init(&s->writing, NULL);
	pthread_mutex_init(&s->telling, NULL);
	if (open_archive(s, o, e) == -1)
		return -1;
	s->url = s->account.url;
	s->transfers =
	    (unsigned)(o->transfers > 0 ? o->transfers : config_int(s->a.config, CONFIG_TRANSFERS));
	sem_init(&s->large, 0, large_at_once(s));
	s->part_bytes = config_int(s->a.config, CONFIG_PART_MB) << 20;
	return know_remote(s, o->write, e) == -1 ? -1 : open_remote(s, o, e);
}

void
sync_close(struct sync *s)
{
	remote_close(s->remote);
	http_close(s->http);
	retry_close(s->retry);
	pace_close(s->pace);
	catalogue_remote_free(&s->known);
	if (s->folder != -1)
		close(s->folder);
	free(s->folder_path);
	account_close(&s->account);
	if (s->archive_open)
		archive_close(&s->a);
	if (s->transfers > 0)
		sem_destroy(&s->large);
	pthread_mutex_destroy(&s->writing);
	pthread_mutex_destroy(&s->telling);
}

void
sync_enter(struct sync *s, int64_t size_bytes)
{
	while (size_bytes >= SYNC_LARGE && sem_wait(&s->large) == -1)
		;
}

void
sync_leave(struct sync *s, int64_t size_bytes)
{
	if (size_bytes >= SYNC_LARGE)
		sem_post(&s->large);
}

struct catalogue *
sync_reader(struct sync *s, struct err *e)
{
	struct catalogue_opts o = s->a.catalogue_opts;

	o.write = false;
	return catalogue_open(&o, e);
}

/* ---- items that fail ---- */

bool
sync_is_fatal(const struct err *e)
{
	return e->class != ERR_ITEM;
}

int
sync_put_problem(struct sync *s, struct json *rec, const struct err *problem, struct err *e)
{
	if (retry_is_later(problem))
		atomic_fetch_add(&s->later, 1);
	return record_put_problem(rec, problem, e);
}

int
sync_later(struct sync *s, struct err *e)
{
	unsigned long long n = atomic_load(&s->later);

	if (n == 0)
		return 0;
	return err_set(e, ERR_BUSY, P_REMOTE,
	    "%s: %llu item%s could not be done now; run it again later", s->url, n,
	    n == 1 ? "" : "s");
}

int
sync_end(int rc, struct err *e)
{
	if (rc == -1 && e->class == ERR_ITEM)
		e->class = retry_is_later(e) ? ERR_BUSY : ERR_SYSTEM;
	return rc;
}

int
sync_put_place(struct sync *s, struct json *rec, const char *key, struct err *e)
{
	return json_put_str(rec, "remote", s->url, e) == -1 ? -1 : json_put_str(rec, "key", key, e);
}
