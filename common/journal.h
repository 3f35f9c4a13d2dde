/*
 * journal: what a run changed, written down and made durable before it is changed. See
 * rec-archive(5).
 *
 * db/journal/RUN.jsonl is append-only. Each line is a JSON object whose last key, "xxh3_64", is the
 * XXH3-64 of the line up to that key; "seq" counts the lines from 0. A torn last line (a kill, a
 * power cut) is no line: what it announced was not done. Any other damage is an error
 *(ERR_CATALOGUE).
 *
 *	{"seq":0,"op":"begin","run":…,"kind":"apply",…}
 *	{"seq":1,"op":"schema",…}
 *	{"seq":2,"op":"row","table":…,"key":…,"id":…,"before":{…}|null,
 *	         "after":DIGEST|null,"changed":[…]}
 *	{"seq":3,"op":"file","action":…,…}              filechange.h
 *	{"seq":4,"op":"end",…}
 *	{"seq":5,"op":"rollback",…}
 *	{"seq":6,"op":"rolled_back",…}
 */
#ifndef REC_JOURNAL_H
#define REC_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "err.h"
#include "json.h"

#define JOURNAL_RUN_MAX 48

enum journal_state {
	JOURNAL_OPEN,
	JOURNAL_INTERRUPTED,
	JOURNAL_APPLIED,
	JOURNAL_ROLLING_BACK,
	JOURNAL_ROLLED_BACK
};

/* open interrupted applied interrupted rolled_back */
const char *journal_state_name(enum journal_state s);

struct journal_summary {
	char run[JOURNAL_RUN_MAX];
	char kind[16]; /* the command: apply add set rm refresh repair capture */
	char started_at[CLOCK_TEXT_MAX];
	char finished_at[CLOCK_TEXT_MAX]; /* "" while it is not */
	enum journal_state state;	  /* never JOURNAL_OPEN: who holds the lock knows that */
	int64_t rows, problems;		  /* -1 while the run, or taking it back, has no end */
};

/* The names of the runs, oldest first, in *runs (an array of *n strings to free one by one). No
 * folder: none. */
int journal_list(int dirfd, char ***runs, size_t *n, struct err *e);
void journal_list_free(char **runs, size_t n);
bool journal_is_run(const char *name);
/* From the first and last lines, whatever the length. */
int journal_summarize(int dirfd, const char *run, struct journal_summary *s, struct err *e);
/* Whether the rows of a table are numbered as recordings are: all but rec_volumes and jobs. */
bool journal_is_recording(const char *table);
/* The recordings that a run's lines touch, by reading them all; -1 and *e. */
int64_t journal_count_rows(int dirfd, const char *run, struct err *e);

struct journal;

/*
 * Creates the journal of a new run with its begin line; nothing else may have the lock. The name
 * sorts behind every other. Appears whole.
 */
struct journal *journal_create(int dirfd, const char *kind, const char *tool, struct err *e);
/* Opens an existing one to go on behind its last whole line; a torn one is cut off. */
struct journal *journal_reopen(int dirfd, const char *run, struct err *e);
const char *journal_run(const struct journal *j);
/* Adds a line (takes the object over, also on failure). Durable only after journal_sync. */
int journal_add(struct journal *j, struct json *line, struct err *e);
int journal_sync(struct journal *j, struct err *e);
void journal_close(struct journal *j);

/* Reading: the lines' places first, then any line by its number; memory is 8 bytes a line. */
struct journal_reader;
struct journal_reader *journal_read_open(int dirfd, const char *run, struct err *e);
size_t journal_lines(const struct journal_reader *r);
/* The line, to free with json_free; checked. */
struct json *journal_line(struct journal_reader *r, size_t i, struct err *e);
/*
 * The next line from *i on that is not about a row, and *i behind it: 1, 0 at the end, -1. Lines
 * about rows, which may be many, are only checked.
 */
int journal_next_but_rows(struct journal_reader *r, size_t *i, struct json **line, struct err *e);
void journal_read_close(struct journal_reader *r);

#endif
