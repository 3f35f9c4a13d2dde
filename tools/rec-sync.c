/*
 * rec-sync: recordings to the cloud and back, proven there. See rec-sync(1).
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "archive.h"
#include "audit.h"
#include "catalogue_sync.h"
#include "clock.h"
#include "jobcommand.h"
#include "ledger.h"
#include "metrics.h"
#include "pull.h"
#include "push.h"
#include "remote.h"
#include "sync.h"
#include "syncstatus.h"
#include "tool.h"
#include "volume.h"

enum { STATUS, PLAN, PUSH, PULL, VERIFY, JOBS, PROBE };

#define ON(command) (1u << (command))
#define MOVING (ON(PUSH) | ON(PULL) | ON(VERIFY))

enum { REMOTE = 256, DELETE, INCLUDE_DELETED, TRANSFERS, LIMIT_RATE, DOWNLOAD, EVENTS, METRICS };

static const struct tool_command commands[] = {
    {"status", "[--remote=URL]", "what the catalogue knows of its remotes"},
    {"plan", "[--remote=URL] [--delete] [--include-deleted] [ITEM...]", "what push would do"},
    {"push",
	"[--remote=URL] [--delete] [--include-deleted] [--transfers=N] [--limit-rate=RATE] "
	"[--events] [--metrics=FILE] [ITEM...]",
	"send what is not there yet, and prove it"},
    {"pull", "[--remote=URL] [--transfers=N] [--limit-rate=RATE] [--events] [ITEM...]",
	"fetch what is not here, up to a whole archive"},
    {"verify",
	"[--remote=URL] [--download] [--transfers=N] [--limit-rate=RATE] [--events] "
	"[--metrics=FILE] [ITEM...]",
	"prove that the remote holds what the catalogue says"},
    {"jobs", "[list | retry ID... | cancel ID...]", "the upload queue of the application"},
    {"probe", "[--remote=URL]", "try what the remote really does, and remember it"},
};

static const struct tool_option options[] = {
    {REMOTE, "remote", "URL", TOOL_ALL_COMMANDS & ~ON(JOBS),
	"s3://, webdav(s)://, gdrive:, file://, or a configured name (REC_REMOTE)"},
    {DELETE, "delete", NULL, ON(PLAN) | ON(PUSH),
	"move objects whose recordings are gone to the trash there"},
    {INCLUDE_DELETED, "include-deleted", NULL, ON(PLAN) | ON(PUSH),
	"send recordings that are softly deleted, too"},
    {TRANSFERS, "transfers", "N", MOVING, "requests at once (REC_TRANSFERS)"},
    {LIMIT_RATE, "limit-rate", "RATE", MOVING,
	"bytes a second: 512K, 10M, or a timetable \"08:00,512K 20:00,off\""},
    {DOWNLOAD, "download", NULL, ON(VERIFY), "read every object and compare its SHA-256"},
    {EVENTS, "events", NULL, MOVING, "tell what happens on stderr, in JSON lines"},
    {METRICS, "metrics", "FILE", ON(PUSH) | ON(VERIFY), "write Prometheus text"},
};

static const struct tool_spec spec = {
    .name = "rec-sync",
    .summary = "Every recording in the cloud, proven.",
    .commands = commands,
    .n_commands = sizeof commands / sizeof commands[0],
    .default_command = -1,
    .options = options,
    .n_options = sizeof options / sizeof options[0],
};

static const struct table_column columns[] = {
    {"action", "ACTION", 9, false},
    {"size_bytes", "BYTES", 13, true},
    {"key", "KEY", 0, false},
    {NULL},
};

struct opts {
	struct sync_opts sync;
	struct push_opts push;
	bool download;
	const char *metrics;
};

static int
set_option(void *arg, int code, const char *value, struct err *e)
{
	struct opts *o = arg;

	switch (code) {
	case REMOTE:
		o->sync.remote = value;
		return 0;
	case DELETE:
		o->push.remove = true;
		return 0;
	case INCLUDE_DELETED:
		o->push.include_deleted = true;
		return 0;
	case TRANSFERS:
		if (mem_parse_i64(value, 1, 64, &o->sync.transfers))
			return 0;
		return err_set(
		    e, ERR_USAGE, NULL, "--transfers %s: it is a whole number from 1 to 64", value);
	case LIMIT_RATE:
		o->sync.limit_rate = value;
		return 0;
	case DOWNLOAD:
		o->download = true;
		return 0;
	case EVENTS:
		o->sync.events = true;
		return 0;
	default:
		o->metrics = value;
		return 0;
	}
}

/* Secrets are in memory: no core file holds them, and no other process of this user reads it. */
static void
keep_secrets(void)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
}

/* Many threads that each hold little: with a heap for each of them, most of it would lie idle. */
static void
keep_memory_small(void)
{
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_TRIM_THRESHOLD, 2 << 20);
	mallopt(M_MMAP_THRESHOLD, 256 * 1024);
}

static int
write_metrics(const char *path, const struct sync *s, const struct push_counts *n, bool complete,
    struct err *e)
{
	struct buf text = {0};
	int rc = -1;

	if (metrics_gauge(&text, "rectools_sync_sent", "Recordings sent by the last push.", NULL,
		(double)n->sent, e) == 0 &&
	    metrics_gauge(&text, "rectools_sync_sent_bytes", "Bytes of these recordings.", NULL,
		(double)n->sent_bytes, e) == 0 &&
	    metrics_gauge(&text, "rectools_sync_problems", "Records with a problem.", NULL,
		(double)n->problems, e) == 0 &&
	    metrics_gauge(&text, "rectools_sync_retries", "Requests that were tried again.", NULL,
		(double)atomic_load(&s->retries), e) == 0 &&
	    metrics_gauge(&text, "rectools_sync_stalls", "Transfers that stood still.", NULL,
		(double)atomic_load(&s->stalls), e) == 0 &&
	    metrics_gauge(&text, "rectools_sync_complete",
		"1 when all is at the remote, 0 when not.", NULL, complete, e) == 0 &&
	    metrics_gauge(&text, "rectools_sync_time_seconds", "When the run ended.", NULL,
		(double)clock_now().tv_sec, e) == 0)
		rc = metrics_write(path, &text, e);
	buf_free(&text);
	return rc;
}

static int
push(struct opts *o, struct sync *s, struct err *e)
{
	struct push_counts n;
	struct err why;
	int rc;

	if (volume_check(&s->a, e) == -1)
		return -1;
	rc = push_run(s, &o->push, &n, e);
	if (o->metrics != NULL &&
	    write_metrics(o->metrics, s, &n, rc == 0 && n.problems == 0, &why) == -1 && rc == 0) {
		*e = why;
		rc = -1;
	}
	return rc;
}

static int
verify(struct opts *o, struct sync *s, struct err *e)
{
	struct push_counts n = {0};
	int rc = audit_run(s, o->download, e);

	n.problems = (uint64_t)s->t->problems;
	if (rc == 0 && o->metrics != NULL)
		rc = write_metrics(o->metrics, s, &n, n.problems == 0, e);
	return rc == 0 ? sync_later(s, e) : rc;
}

static int
probe(struct sync *s, struct err *e)
{
	struct json *found = NULL, *rec;
	char now[CLOCK_TEXT_MAX];
	int rc = -1;

	if (remote_check(s->remote, e) == -1 || remote_probe(s->remote, &found, e) == -1 ||
	    sync_keep_noted(s, found, e) == -1 || (rec = json_new_object(e)) == NULL) {
		json_free(found);
		return -1;
	}
	clock_rfc3339(clock_now(), now);
	if (json_put_str(rec, "remote", s->url, e) == -1 ||
	    json_put_str(rec, "probed_at", now, e) == -1 ||
	    json_put(rec, "capabilities", found, e) == -1)
		goto out;
	if (!s->t->dry_run) {
		json_free(s->known.probed);
		if ((s->known.probed = json_clone(found, e)) == NULL)
			goto out;
		strcpy(s->known.probed_at, now);
		if (ledger_remote(s, e) == -1)
			goto out;
	}
	rc = tool_emit(s->t, rec, e);
out:
	json_free(rec);
	return rc;
}

static int
with_remote(struct tool *t, struct opts *o, struct err *e)
{
	struct sync s;
	int rc;

	o->sync.t = t;
	o->sync.write = t->command != PLAN && !t->dry_run;
	o->sync.create = t->command == PULL;
	o->sync.fresh = t->command == PROBE;
	if ((rc = sync_open(&s, &o->sync, e)) == 0)
		rc = t->command == PROBE		? probe(&s, e)
		     : t->command == PULL		? pull_run(&s, e)
		     : t->command == VERIFY		? verify(o, &s, e)
		     : t->command == PLAN || t->dry_run ? push_plan(&s, &o->push, e)
							: push(o, &s, e);
	sync_close(&s);
	return sync_end(rc, e);
}

/* Without the remote: the catalogue alone. */
static int
status(struct tool *t, struct archive *a, const struct opts *o, struct err *e)
{
	struct account account;
	int rc = 0;

	if (tool_no_operands(t, e) == -1)
		return -1;
	if (o->sync.remote == NULL)
		return syncstatus_run(t, a, NULL, e);
	rc = account_open(&account, a->config, o->sync.remote, e);
	if (rc == 0)
		rc = syncstatus_run(t, a, account.url, e);
	account_close(&account);
	return rc;
}

static int
with_archive(struct tool *t, const struct opts *o, struct err *e)
{
	bool write = t->command == JOBS && t->n_operands > 0 && !t->dry_run &&
		     strcmp(t->operands[0], "list") != 0;
	struct archive a;
	int rc;

	if (archive_open(&a, t->environment, write, &tool_stop, e) == -1)
		return -1;
	rc = t->command == JOBS ? jobcommand_run(t, &a, t->operands, e) : status(t, &a, o, e);
	archive_close(&a);
	return rc;
}

int
main(int argc, char **argv)
{
	struct tool t;
	struct opts o = {0};
	struct err e;
	int rc;

	keep_secrets();
	keep_memory_small();
	if ((rc = tool_start(&t, &spec, argc, argv, set_option, &o, &e)) == 0) {
		t.columns = columns;
		rc = t.command == STATUS || t.command == JOBS ? with_archive(&t, &o, &e)
							      : with_remote(&t, &o, &e);
	}
	return tool_finish(&t, rc, &e);
}
