#include "journal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hash.h"
#include "io.h"
#include "mem.h"

#define SUFFIX ".jsonl"
#define SUM_KEY ",\"xxh3_64\":\""
/* Behind the text that is summed: the key, 16 digits, quote, brace, newline. */
#define SUM_LEN (sizeof SUM_KEY - 1 + 16 + 3)
#define LINE_MAX_BYTES (64u << 20)
#define BLOCK (UINT64_C(1) << 16)

struct journal {
	int fd;
	char run[JOURNAL_RUN_MAX];
	int64_t seq;
	struct buf pending;
};

struct journal_reader {
	int fd;
	uint64_t *offsets; /* n + 1 of them */
	size_t n;
	struct buf text; /* what was read last, */
	uint64_t at;	 /* from here */
};

const char *
journal_state_name(enum journal_state s)
{
	static const char *const names[] = {
	    "open", "interrupted", "applied", "interrupted", "rolled_back"};

	return names[s];
}

/* ---- names ---- */

/* 20250905T100000.123456Z-1a2b3c4d */
bool
journal_is_run(const char *name)
{
	static const char shape[] = "ddddddddTdddddd.ddddddZ-xxxxxxxx";
	size_t i;

	for (i = 0; shape[i] != '\0'; i++)
		if (shape[i] == 'd'   ? !isdigit((unsigned char)name[i])
		    : shape[i] == 'x' ? !isxdigit((unsigned char)name[i])
				      : name[i] != shape[i])
			return false;
	return name[i] == '\0';
}

static int
file_name(const char *run, char out[JOURNAL_RUN_MAX + sizeof SUFFIX])
{
	return snprintf(out, JOURNAL_RUN_MAX + sizeof SUFFIX, "%.*s" SUFFIX, JOURNAL_RUN_MAX, run);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int
journal_list(int dirfd, char ***runs, size_t *n, struct err *e)
{
	DIR *d;
	struct dirent *entry;
	char **grown, name[256];
	int rc = -1;

	*runs = NULL;
	*n = 0;
	if (dirfd == -1)
		return 0;
	if ((d = io_list(dirfd, e)) == NULL)
		return -1;
	while ((entry = readdir(d)) != NULL) {
		size_t len = strlen(entry->d_name);

		if (len < sizeof SUFFIX ||
		    strcmp(entry->d_name + len - (sizeof SUFFIX - 1), SUFFIX) != 0)
			continue;
		snprintf(
		    name, sizeof name, "%.*s", (int)(len - (sizeof SUFFIX - 1)), entry->d_name);
		if (!journal_is_run(name))
			continue;
		if ((grown = realloc(*runs, (*n + 1) * sizeof *grown)) == NULL) {
			err_nomem(e);
			goto out;
		}
		*runs = grown;
		if ((grown[*n] = mem_str(name, e)) == NULL)
			goto out;
		(*n)++;
	}
	if (*n > 0)
		qsort(*runs, *n, sizeof **runs, by_name);
	rc = 0;
out:
	closedir(d);
	if (rc == -1) {
		journal_list_free(*runs, *n);
		*runs = NULL;
		*n = 0;
	}
	return rc;
}

void
journal_list_free(char **runs, size_t n)
{
	while (n > 0)
		free(runs[--n]);
	free(runs);
}

/* A name behind `last`, also when the clock was set back. */
static int
new_run(const char *last, char run[JOURNAL_RUN_MAX], struct err *e)
{
	unsigned char r[4];
	char seconds[CLOCK_TEXT_MAX], hex[9];
	struct timespec t = clock_now();
	struct tm tm = {0};

	if (hash_random(r, sizeof r, e) == -1)
		return -1;
	hash_hex(r, sizeof r, hex);
	/* Again one second behind the last one's, which is behind it unless that is no time or the
	 * end of time. */
	for (int i = 0; i < 2; i++) {
		clock_compact(t, seconds);
		snprintf(run, JOURNAL_RUN_MAX, "%.15s.%06ldZ-%s", seconds, t.tv_nsec / 1000, hex);
		if (last == NULL || strncmp(run, last, 23) > 0)
			return 0;
		if (sscanf(last, "%4d%2d%2dT%2d%2d%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
			&tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
			break;
		tm.tm_year -= 1900;
		tm.tm_mon -= 1;
		t = (struct timespec){.tv_sec = timegm(&tm) + 1};
	}
	return err_set(
	    e, ERR_CATALOGUE, NULL, "no run can be named behind %s: move that file away", last);
}

/* ---- writing ---- */

int
journal_add(struct journal *j, struct json *line, struct err *e)
{
	size_t start = j->pending.len;
	struct json *numbered = json_new_object(e), *copy;
	char sum[HASH_XXH3_64_HEX];
	const char *key;
	struct json *v;
	int rc = -1;

	if (numbered == NULL || line == NULL || json_put_int(numbered, "seq", j->seq, e) == -1)
		goto out;
	for (void *it = json_first(line, &key, &v); it != NULL; it = json_next(line, it, &key, &v))
		if ((copy = json_clone(v, e)) == NULL || json_put(numbered, key, copy, e) == -1)
			goto out;
	if (json_write(numbered, &j->pending, e) == -1)
		goto out;
	j->pending.len--; /* the closing brace */
	hash_xxh3_64_hex(j->pending.data + start, j->pending.len - start, sum);
	if (buf_addf(&j->pending, e, SUM_KEY "%s\"}\n", sum) == -1)
		goto out;
	j->seq++;
	rc = 0;
out:
	json_free(numbered);
	json_free(line);
	return rc;
}

int
journal_sync(struct journal *j, struct err *e)
{
	if (j->pending.len == 0)
		return 0;
	if (io_write(j->fd, j->pending.data, j->pending.len, e) == -1 ||
	    io_fsync(j->fd, "the journal", e) == -1)
		return err_prefix(e, "db/journal/%s" SUFFIX, j->run);
	buf_clear(&j->pending);
	return 0;
}

struct journal *
journal_create(int dirfd, const char *kind, const char *tool, struct err *e)
{
	struct journal *j = mem_new(1, sizeof *j, e);
	struct io_new f = {.fd = -1};
	char **runs = NULL, name[JOURNAL_RUN_MAX + sizeof SUFFIX], now[CLOCK_TEXT_MAX];
	struct json *line;
	size_t n = 0;
	bool done = false;

	if (j == NULL)
		return NULL;
	j->fd = -1;
	if (journal_list(dirfd, &runs, &n, e) == -1 ||
	    new_run(n > 0 ? runs[n - 1] : NULL, j->run, e) == -1)
		goto out;
	if ((line = json_new_object(e)) == NULL || json_put_str(line, "op", "begin", e) == -1 ||
	    json_put_str(line, "run", j->run, e) == -1 ||
	    json_put_str(line, "kind", kind, e) == -1 ||
	    json_put_str(line, "tool", tool, e) == -1 ||
	    json_put_str(line, "started_at", clock_rfc3339(clock_now(), now), e) == -1 ||
	    journal_add(j, line, e) == -1)
		goto out;
	file_name(j->run, name);
	if (io_new_open(&f, dirfd, name, e) == -1 ||
	    io_write(f.fd, j->pending.data, j->pending.len, e) == -1 ||
	    io_new_commit(&f, 0600, false, e) == -1)
		goto out;
	buf_clear(&j->pending);
	j->fd = openat(dirfd, name, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	if (j->fd == -1)
		err_sys(e, "opening the journal %s", name);
	else
		done = true;
out:
	io_new_close(&f);
	journal_list_free(runs, n);
	if (!done) {
		err_prefix(e, "making the journal");
		journal_close(j);
		return NULL;
	}
	return j;
}

struct journal *
journal_reopen(int dirfd, const char *run, struct err *e)
{
	struct journal_reader *r = journal_read_open(dirfd, run, e);
	struct journal *j = r == NULL ? NULL : mem_new(1, sizeof *j, e);
	char name[JOURNAL_RUN_MAX + sizeof SUFFIX];
	struct stat st;

	if (j == NULL)
		goto out;
	snprintf(j->run, sizeof j->run, "%s", run);
	j->seq = (int64_t)r->n;
	file_name(run, name);
	j->fd = openat(dirfd, name, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	if (j->fd == -1 || fstat(j->fd, &st) == -1 ||
	    ((uint64_t)st.st_size != r->offsets[r->n] &&
		ftruncate(j->fd, (off_t)r->offsets[r->n]) == -1)) {
		err_sys(e, "opening the journal %s", name);
		journal_close(j);
		j = NULL;
	}
out:
	journal_read_close(r);
	return j;
}

const char *
journal_run(const struct journal *j)
{
	return j->run;
}

void
journal_close(struct journal *j)
{
	if (j == NULL)
		return;
	if (j->fd != -1)
		close(j->fd);
	buf_free(&j->pending);
	free(j);
}

/* ---- reading ---- */

/* True when the line (with its newline) carries its right sum. */
static bool
is_whole(const char *line, size_t len)
{
	char sum[HASH_XXH3_64_HEX];
	size_t body = len - SUM_LEN;

	if (len <= SUM_LEN || memcmp(line + body, SUM_KEY, sizeof SUM_KEY - 1) != 0)
		return false;
	hash_xxh3_64_hex(line, body, sum);
	return memcmp(line + body + sizeof SUM_KEY - 1, sum, 16) == 0;
}

/* Finds where lines begin. A last line without newline or with a wrong sum is torn, and left out.
 */
static int
index_lines(struct journal_reader *r, struct err *e)
{
	uint64_t at = 0, last;
	size_t cap = 0;
	ssize_t n;
	uint64_t *grown;
	char *p, *block = mem_new(BLOCK, 1, e);
	int rc = -1;

	if (block == NULL || (r->offsets = mem_new(1, sizeof *r->offsets, e)) == NULL)
		goto out;
	while ((n = io_pread(r->fd, block, BLOCK, at, e)) > 0) {
		for (p = block; (p = memchr(p, '\n', (size_t)(block + n - p))) != NULL; p++) {
			if (r->n + 1 >= cap) {
				cap = cap == 0 ? 1024 : cap * 2;
				if ((grown = realloc(r->offsets, (cap + 1) * sizeof *grown)) ==
				    NULL) {
					err_nomem(e);
					goto out;
				}
				r->offsets = grown;
			}
			r->offsets[++r->n] = at + (uint64_t)(p - block) + 1;
		}
		at += (uint64_t)n;
	}
	if (n == -1)
		goto out;
	if (r->n > 0 && r->offsets[r->n] == at) {
		last = r->offsets[r->n] - r->offsets[r->n - 1];
		if (last > LINE_MAX_BYTES || buf_room(&r->text, last, e) == -1 ||
		    io_pread(r->fd, r->text.data, last, r->offsets[r->n - 1], e) == -1)
			goto out;
		if (!is_whole(r->text.data, last))
			r->n--;
	}
	rc = 0;
out:
	free(block);
	return rc;
}

struct journal_reader *
journal_read_open(int dirfd, const char *run, struct err *e)
{
	struct journal_reader *r = mem_new(1, sizeof *r, e);
	char name[JOURNAL_RUN_MAX + sizeof SUFFIX];

	if (r == NULL)
		return NULL;
	file_name(run, name);
	if ((r->fd = io_open_beneath(dirfd, name, e)) == -1 || index_lines(r, e) == -1) {
		err_prefix(e, "db/journal/%s", name);
		e->class = ERR_CATALOGUE;
		journal_read_close(r);
		return NULL;
	}
	return r;
}

size_t
journal_lines(const struct journal_reader *r)
{
	return r->n;
}

/* A line is read together with its neighbours, as lines are asked for in order or in reverse. */
static int
read_around(struct journal_reader *r, uint64_t at, uint64_t len, struct err *e)
{
	uint64_t want = len > BLOCK ? len : BLOCK, end = at + len;
	ssize_t n;

	if (at >= r->at && end <= r->at + r->text.len)
		return 0;
	r->at = at >= r->at ? at : end > want ? end - want : 0;
	buf_clear(&r->text);
	if (buf_room(&r->text, want, e) == -1 ||
	    (n = io_pread(r->fd, r->text.data, want, r->at, e)) == -1)
		return -1;
	r->text.len = (size_t)n;
	return 0;
}

static int
damaged(size_t i, struct err *e)
{
	return err_set(e, ERR_CATALOGUE, NULL,
	    "line %zu of the journal is damaged: nothing behind it is trusted; restore the file "
	    "from a backup",
	    i + 1);
}

/* The text of a line that carries its right sum, valid until the next one is read. */
static int
whole_line(struct journal_reader *r, size_t i, const char **text, uint64_t *len, struct err *e)
{
	uint64_t at = r->offsets[i];

	*len = r->offsets[i + 1] - at;
	if (*len > LINE_MAX_BYTES)
		return damaged(i, e);
	if (read_around(r, at, *len, e) == -1) {
		e->class = ERR_SYSTEM;
		return -1;
	}
	*text = r->text.data + (at - r->at);
	return at + *len > r->at + r->text.len || !is_whole(*text, *len) ? damaged(i, e) : 0;
}

struct json *
journal_line(struct journal_reader *r, size_t i, struct err *e)
{
	struct json *line;
	const char *text;
	uint64_t len;
	int64_t seq;

	if (whole_line(r, i, &text, &len, e) == -1 ||
	    ((line = json_parse(text, len - 1, e)) == NULL && e->class == ERR_SYSTEM))
		return NULL;
	if (json_get_int(line, "seq", &seq) && seq == (int64_t)i)
		return line;
	json_free(line);
	damaged(i, e);
	return NULL;
}

int
journal_next_but_rows(struct journal_reader *r, size_t *i, struct json **line, struct err *e)
{
	char start[64];
	const char *text;
	uint64_t len;

	for (*line = NULL; *i < r->n; ++*i) {
		int n = snprintf(start, sizeof start, "{\"seq\":%zu,\"op\":\"row\",", *i);

		if (whole_line(r, *i, &text, &len, e) == -1)
			return -1;
		if (len > (uint64_t)n && memcmp(text, start, (size_t)n) == 0)
			continue;
		*line = journal_line(r, (*i)++, e);
		return *line == NULL ? -1 : 1;
	}
	return 0;
}

void
journal_read_close(struct journal_reader *r)
{
	if (r == NULL)
		return;
	if (r->fd != -1)
		close(r->fd);
	free(r->offsets);
	buf_free(&r->text);
	free(r);
}

/* ---- summaries ---- */

static void
copy_str(const struct json *line, const char *key, char *out, size_t size)
{
	const char *s = json_get_str(line, key);

	snprintf(out, size, "%s", s != NULL ? s : "");
}

/*
 * The whole line that ends at `end` (its newline included) of text, parsed; *line stays NULL when
 * there is none. A lack of memory is not taken for that: it would make a finished run look like one
 * to be undone.
 */
static int
line_before(const char *text, const char *end, struct json **line, struct err *e)
{
	const char *start = end;

	if (start > text)
		start--;
	while (start > text && start[-1] != '\n')
		start--;
	if (end > start && is_whole(start, (size_t)(end - start)))
		*line = json_parse(start, (size_t)(end - start) - 1, e);
	else
		return 0;
	return *line == NULL && e->class == ERR_SYSTEM ? -1 : 0;
}

/* First line, and last whole one; a last line too long for the buffer is no end line, and stays
 * NULL. */
static int
ends(int fd, struct json **first, struct json **last, struct err *e)
{
	enum { PIECE = 1 << 16 };
	char *text = mem_new(PIECE, 1, e), *nl;
	struct stat st;
	ssize_t n;
	int rc = -1;

	if (text == NULL)
		return -1;
	if (fstat(fd, &st) == -1) {
		err_sys(e, "stat");
		goto out;
	}
	if ((n = io_pread(fd, text, PIECE, 0, e)) == -1)
		goto out;
	if ((nl = memchr(text, '\n', (size_t)n)) != NULL &&
	    line_before(text, nl + 1, first, e) == -1)
		goto out;
	if ((n = io_pread(
		 fd, text, PIECE, st.st_size > PIECE ? (uint64_t)st.st_size - PIECE : 0, e)) == -1)
		goto out;
	if ((nl = memrchr(text, '\n', (size_t)n)) != NULL &&
	    line_before(text, nl + 1, last, e) == -1)
		goto out;
	if (nl != NULL && *last == NULL &&
	    (nl = memrchr(text, '\n', (size_t)(nl - text))) != NULL &&
	    line_before(text, nl + 1, last, e) == -1)
		goto out;
	rc = 0;
out:
	free(text);
	return rc;
}

int
journal_summarize(int dirfd, const char *run, struct journal_summary *s, struct err *e)
{
	struct json *first = NULL, *last = NULL;
	char name[JOURNAL_RUN_MAX + sizeof SUFFIX];
	const char *op;
	int fd, rc = -1;

	*s = (struct journal_summary){.state = JOURNAL_INTERRUPTED, .rows = -1, .problems = -1};
	snprintf(s->run, sizeof s->run, "%s", run);
	file_name(run, name);
	if ((fd = io_open_beneath(dirfd, name, e)) == -1)
		return -1;
	if (ends(fd, &first, &last, e) == -1) {
		e->class = ERR_SYSTEM;
		err_prefix(e, "db/journal/%s", name);
		goto out;
	}
	if (first == NULL) {
		err_set(e, ERR_CATALOGUE, NULL,
		    "db/journal/%s: is damaged; restore it from a backup", name);
		goto out;
	}
	copy_str(first, "kind", s->kind, sizeof s->kind);
	copy_str(first, "started_at", s->started_at, sizeof s->started_at);
	if ((op = json_get_str(last, "op")) == NULL)
		op = "";
	if (strcmp(op, "end") == 0)
		s->state = JOURNAL_APPLIED;
	else if (strcmp(op, "rollback") == 0)
		s->state = JOURNAL_ROLLING_BACK;
	else if (strcmp(op, "rolled_back") == 0)
		s->state = JOURNAL_ROLLED_BACK;
	if (s->state == JOURNAL_APPLIED || s->state == JOURNAL_ROLLED_BACK) {
		json_get_int(last, "rows", &s->rows);
		json_get_int(last, "problems", &s->problems);
		copy_str(last, "finished_at", s->finished_at, sizeof s->finished_at);
	}
	rc = 0;
out:
	json_free(first);
	json_free(last);
	close(fd);
	return rc;
}

bool
journal_is_recording(const char *table)
{
	return strcmp(table, "rec_volumes") != 0 && strcmp(table, "jobs") != 0;
}

int64_t
journal_count_rows(int dirfd, const char *run, struct err *e)
{
	struct journal_reader *r = journal_read_open(dirfd, run, e);
	int64_t rows = 0, id, previous = 0;

	for (size_t i = 0; r != NULL && i < r->n; i++) {
		struct json *line = journal_line(r, i, e);
		const char *table = json_get_str(line, "table");

		if (line == NULL) {
			err_prefix(e, "db/journal/%s" SUFFIX, run);
			journal_read_close(r);
			return -1;
		}
		/* The lines of one recording stand together. */
		if (table != NULL && journal_is_recording(table) && json_get_int(line, "id", &id)) {
			rows += rows == 0 || id != previous;
			previous = id;
		}
		json_free(line);
	}
	journal_read_close(r);
	return r == NULL ? -1 : rows;
}
