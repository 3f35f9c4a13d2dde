/*
 * tool: what every tool does the same way. See rectools(7).
 *
 *	int main(int argc, char **argv) {
 *		struct tool t;
 *		struct err e;
 *		int rc = tool_start(&t, &spec, argc, argv, set_option, &opts, &e);
 *		if (rc == 0)
 *			rc = commands[t.command](&t, &opts, &e);
 *		return tool_finish(&t, rc, &e);
 *	}
 *
 * Options, root, items in, records out, messages, progress, signals, exit status. Records go to
 * stdout and nothing else does; messages go to stderr as "rec-X: item: what: why".
 */
#ifndef REC_TOOL_H
#define REC_TOOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "json.h"
#include "table.h"

/* Bits of the commands that take an option. */
#define TOOL_ALL_COMMANDS (~0u)

struct tool_command {
	const char *name;     /* "": the only one, which is not named */
	const char *synopsis; /* what stands behind the name in the usage */
	const char *help;
};

struct tool_option {
	int code; /* its letter, or a number above 255 */
	const char *name;
	const char *metavar; /* NULL: takes no argument; "[=X]": may take one (long only) */
	unsigned commands;   /* 1u << index, or-ed */
	const char *help;
};

struct tool_spec {
	const char *name;
	const char *summary;
	const struct tool_command *commands;
	unsigned n_commands;
	int default_command; /* index, or -1: a command must be named */
	const struct tool_option *options;
	unsigned n_options;
};

enum tool_output { TOOL_JSON, TOOL_TABLE, TOOL_PATH, TOOL_PATH0 };

struct tool {
	const struct tool_spec *spec;
	unsigned command; /* index of the command */
	char **operands;  /* NULL-ended, without the command */
	int n_operands;
	const char *root;	 /* -C */
	const char *environment; /* -E, or NULL */
	unsigned jobs;		 /* -j */
	bool dry_run;		 /* -n */
	enum tool_output output; /* -o */
	bool null_input;	 /* -0 */
	enum {
		TOOL_PROGRESS_AUTO,
		TOOL_PROGRESS_ALWAYS,
		TOOL_PROGRESS_NEVER
	} progress;		/* --progress */
	unsigned shard, shards; /* --shard I/N; shards is 0 without */
	bool quiet;		/* -q */
	unsigned verbose;	/* -v */

	const struct table_column *columns; /* for -o table; NULL: those of a recording */
	bool header_done;
	int64_t problems;	  /* records with a problem that were written */
	atomic_ullong bytes_done; /* progress: bytes read */
	atomic_ullong items_done;
	uint64_t items_total; /* 0: unknown */
	int64_t started_ns, drawn_ns;
	bool drawn;
	bool ended; /* -h or -V was served */
};

/* Becomes the signal's number when INT, TERM or HUP came, or SIGPIPE when stdout was closed. */
extern atomic_int tool_stop;

/*
 * Parses the command line, changes to the root, sets up signals. `set` is called for the tool's own
 * options. 0; -1 and *e for the caller to hand to tool_finish (also after -h and -V, with class
 * ERR_NONE).
 */
int tool_start(struct tool *t, const struct tool_spec *spec, int argc, char **argv,
    int (*set)(void *opts, int code, const char *arg, struct err *e), void *opts, struct err *e);
/* 0 when there are no operands; -1 and *e (ERR_USAGE) for a command that takes none. */
int tool_no_operands(const struct tool *t, struct err *e);
/* Writes what is left, tells of the error, and gives the exit status; dies of the signal that
 * stopped it. */
int tool_finish(struct tool *t, int rc, const struct err *e);

/* Writes one record; counts its problem. */
int tool_emit(struct tool *t, const struct json *rec, struct err *e);
/* As tool_emit, for a record whose problem was found here: it is told on stderr too (not with -q).
 */
int tool_emit_found(struct tool *t, const struct json *rec, struct err *e);
/* "rec-X: item: text" on stderr; item may be NULL. Not with -q. */
void tool_tell(struct tool *t, const char *item, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* For struct work's idle: writes out what is buffered and draws the progress. */
void tool_idle(struct tool *t);
/* Writes out what is buffered. */
void tool_flush(void);
/* Whether progress is to be drawn; then, a line of the tool's own in its place. */
bool tool_draws(const struct tool *t);
void tool_draw(struct tool *t, const char *line);
/* What the terminal on stderr has: its columns (80 when it is none), and UTF-8 by the locale. */
unsigned tool_columns(void);
bool tool_is_utf8(void);
/* True when the path belongs to --shard I/N. */
bool tool_in_shard(const struct tool *t, const char *path, size_t len);

/* ---- items ---- */

struct tool_item {
	char *path; /* NULL when the record names none */
	size_t path_len;
	struct json *rec;   /* never NULL: the record that came in, or one with the path alone */
	bool passed_on;	    /* came in with a problem: goes out untouched */
	bool was_record;    /* came in as JSON */
	bool mine;	    /* of this shard */
	struct err problem; /* bad_record, found here; it is in rec too */
};

struct tool_items;

/* The items of the operands, or of stdin when there are none ("-" names stdin too). */
struct tool_items *tool_items_open(struct tool *t, struct err *e);
/* 1 and *item (free with tool_item_free), 0 at the end, -1. Items of other shards are left out. */
int tool_items_next(struct tool_items *in, struct tool_item **item, struct err *e);
void tool_items_close(struct tool_items *in);
void tool_item_free(struct tool_item *item);

#endif
