/*
 * Everything that may still be needed is read before anything is told: what rows and jobs name,
 * and every journal from its first line to its last. All doubts keep: a hash that collides, a name
 * that a journal merely mentions, a journal that cannot be read to its end.
 *
 * Which of the mentioned names lie in backup is asked twice. A run that stands keeps every name
 * that its lines have, whatever the action; an expired one gives away only what it is known to have
 * put there: "to" of a line whose to_folder is backup, and "name" of a file that it created or
 * recorded, since a rollback and the recovery after a kill move that one to backup.
 */
#include "retention.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "catalogue_health.h"
#include "clock.h"
#include "hash.h"
#include "idset.h"
#include "io.h"
#include "journal.h"
#include "mem.h"
#include "scan.h"

#define DAY_S 86400
#define PULL_MIN_S (7 * DAY_S)
#define NO_AGE INT64_MIN

/* A name that a journal has. */
struct mention {
	char *name;
	bool in_backup; /* the run, or taking it back, put it there */
	int64_t age_s;	/* of the run */
};

struct past_run {
	const char *run;
	int64_t size_bytes;
	int64_t age_s; /* since it ended, or NO_AGE */
	bool schema;   /* it changed the schema */
	bool expired;
	struct err damage; /* class ERR_NONE: whole */
	struct mention *files;
	size_t n_files, cap_files;
};

struct retention {
	const struct archive *a;
	int (*each)(void *ctx, const struct retention_item *item, struct err *e);
	void *ctx;
	int64_t now_s, days;
	struct idset rows, jobs; /* last parts of the names that they have */
	char **names;		 /* of the runs */
	struct past_run *runs;
	size_t n_runs;
	bool damaged;		  /* a journal is */
	struct idset standing;	  /* names that runs have which did not expire */
	struct mention *given_up; /* what expired runs put into backup, sorted; names borrowed */
	size_t n_given_up;
	char *database_folder;
	int database_fd;
};

/* Names of a folder. */
struct names {
	char **name;
	size_t n, cap;
};

const char *
retention_kind_name(enum retention_kind k)
{
	static const char *const names[RETENTION_KINDS] = {
	    "temp", "backup", "journal", "database_copy"};

	return names[k];
}

/* ---- ages ---- */

static int64_t
age_since(const struct retention *r, int64_t then_s)
{
	return then_s > r->now_s ? NO_AGE : r->now_s - then_s;
}

static bool
is_old(const struct retention *r, int64_t age_s)
{
	return age_s != NO_AGE && age_s / DAY_S >= r->days;
}

static int
check_stop(const struct archive *a, struct err *e)
{
	return a->catalogue_opts.stop != NULL && atomic_load(a->catalogue_opts.stop) != 0
		   ? err_set(e, ERR_STOPPED, NULL, "stopped")
		   : 0;
}

/* ---- what rows and jobs name ---- */

/* The part behind the last separator; the application has run on Windows, too. */
static int
add_last_part(struct idset *set, const char *path, size_t len, struct err *e)
{
	const char *slash = memrchr(path, '/', len), *back = memrchr(path, '\\', len);
	const char *part = slash == NULL ? path : slash + 1;

	if (idset_add(set, hash_xxh3_64(part, (size_t)(path + len - part)), e) == -1)
		return -1;
	return back == NULL
		   ? 0
		   : idset_add(set, hash_xxh3_64(back + 1, (size_t)(path + len - back - 1)), e);
}

static int
add_job(void *ctx, const char *path, struct err *e)
{
	struct retention *r = ctx;

	return path == NULL ? 0 : add_last_part(&r->jobs, path, strlen(path), e);
}

static int
read_rows(struct retention *r, struct err *e)
{
	struct scan s;
	struct catalogue_row row;
	int rc, added = 0;

	scan_start(&s, r->a->catalogue);
	while (added == 0 && (rc = scan_next(&s, &row, e)) == 1) {
		if (row.stored != NULL)
			added = add_last_part(&r->rows, row.stored, row.stored_len, e);
		catalogue_row_free(&row);
	}
	scan_end(&s);
	if (added == -1 || rc == -1)
		return -1;
	return catalogue_job_paths(r->a->catalogue, add_job, r, e);
}

/* ---- journals ---- */

static int
add_mention(struct past_run *p, char *name, bool in_backup, struct err *e)
{
	struct mention *grown;
	size_t cap = p->cap_files == 0 ? 16 : p->cap_files * 2;

	if (p->n_files == p->cap_files) {
		if ((grown = realloc(p->files, cap * sizeof *grown)) == NULL)
			return err_nomem(e);
		p->files = grown;
		p->cap_files = cap;
	}
	p->files[p->n_files++] = (struct mention){.name = name, .in_backup = in_backup};
	return 0;
}

/* The name under a key of a file line, if it has one. */
static int
read_name(
    struct past_run *p, const struct json *line, const char *key, bool in_backup, struct err *e)
{
	char *name;
	size_t len;
	int rc = json_get_bytes(line, key, &name, &len, e);

	if (rc != 1)
		return rc;
	if (add_mention(p, name, in_backup, e) == -1) {
		free(name);
		return -1;
	}
	return 0;
}

static int
read_line(struct past_run *p, const struct json *line, struct err *e)
{
	const char *op = json_get_str(line, "op"), *action = json_get_str(line, "action"),
		   *folder = json_get_str(line, "to_folder");
	bool made;

	p->schema = p->schema || (op != NULL && strcmp(op, "schema") == 0);
	if (op == NULL || strcmp(op, "file") != 0)
		return 0;
	made = action != NULL && (strcmp(action, "create") == 0 || strcmp(action, "record") == 0);
	if (read_name(p, line, "name", made, e) == -1)
		return -1;
	return read_name(p, line, "to", folder != NULL && strcmp(folder, "backup") == 0, e);
}

/* Most lines are of rows and not worth parsing; the last one is, as it knows how many there are. */
static int
read_lines(const struct archive *a, struct past_run *p, struct err *e)
{
	struct journal_reader *lines = journal_read_open(a->journal, p->run, e);
	struct json *line;
	size_t at = 0;
	int rc = lines == NULL ? -1 : 1;

	while (rc == 1 && (rc = journal_next_but_rows(lines, &at, &line, e)) == 1) {
		rc = check_stop(a, e) == -1 || read_line(p, line, e) == -1 ? -1 : 1;
		json_free(line);
	}
	journal_read_close(lines);
	return rc == -1 ? -1 : 0;
}

/* An error that says nothing about the journal. */
static bool
is_the_machine(const struct err *e)
{
	return e->class == ERR_STOPPED || e->sys == ENOMEM || e->sys == EMFILE || e->sys == ENFILE;
}

/* 0; -1 and *e when the journal is damaged, or gone by now (code missing), or as is_the_machine. */
static int
read_run(struct retention *r, struct past_run *p, struct err *e)
{
	struct journal_summary s;
	struct stat st;
	char name[JOURNAL_RUN_MAX + 8];
	struct timespec ended;

	snprintf(name, sizeof name, "%s.jsonl", p->run);
	if (fstatat(r->a->journal, name, &st, AT_SYMLINK_NOFOLLOW) == -1) {
		err_item(e, err_code_of_errno(errno), "%s", strerror(errno));
		return -1;
	}
	p->size_bytes = st.st_size;
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_CATALOGUE, NULL, "is not a regular file");
	if (journal_summarize(r->a->journal, p->run, &s, e) == -1 || read_lines(r->a, p, e) == -1)
		return -1;
	if (s.state != JOURNAL_APPLIED && s.state != JOURNAL_ROLLED_BACK)
		return 0;
	if (!clock_parse(s.finished_at, &ended))
		return err_set(e, ERR_CATALOGUE, NULL, "its last line has no time");
	p->age_s = age_since(r, ended.tv_sec);
	return 0;
}

static int
read_runs(struct retention *r, struct err *e)
{
	struct err bad;
	size_t n;

	if (journal_list(r->a->journal, &r->names, &n, e) == -1 ||
	    (n > 0 && (r->runs = mem_new(n, sizeof *r->runs, e)) == NULL)) {
		journal_list_free(r->names, n);
		r->names = NULL;
		return -1;
	}
	for (r->n_runs = 0; r->n_runs < n; r->n_runs++)
		r->runs[r->n_runs] = (struct past_run){.run = r->names[r->n_runs], .age_s = NO_AGE};
	for (size_t i = 0; i < n; i++) {
		struct past_run *p = &r->runs[i];

		bad = (struct err){0};
		if (read_run(r, p, &bad) == 0)
			continue;
		if (is_the_machine(&bad)) {
			*e = bad;
			return -1;
		}
		/* Another gc may have removed it since it was listed. */
		if (bad.code != NULL && strcmp(bad.code, P_MISSING) == 0)
			continue;
		p->damage = bad;
		p->age_s = NO_AGE;
		r->damaged = true;
	}
	return 0;
}

static int
by_name_and_age(const void *a, const void *b)
{
	const struct mention *x = a, *y = b;
	int by_name = strcmp(x->name, y->name);

	return by_name != 0 ? by_name : (x->age_s > y->age_s) - (x->age_s < y->age_s);
}

static void
decide(struct retention *r)
{
	bool all_others = true;

	for (size_t i = 0; i < r->n_runs; i++) {
		struct past_run *p = &r->runs[i];

		p->expired = is_old(r, p->age_s) && !(r->damaged && p->n_files > 0);
		all_others = all_others && p->expired;
	}
	/* A run of the schema waits for all others: for each of these too, so all go or none. */
	for (size_t i = 0; i < r->n_runs; i++)
		if (r->runs[i].schema)
			r->runs[i].expired = all_others;
}

/* Divides the names into those that are kept and those that runs have given up. */
static int
divide_names(struct retention *r, struct err *e)
{
	size_t total = 0;

	for (size_t i = 0; i < r->n_runs; i++)
		total += r->runs[i].n_files;
	if (total > 0 && (r->given_up = mem_new(total, sizeof *r->given_up, e)) == NULL)
		return -1;
	for (size_t i = 0; i < r->n_runs; i++) {
		struct past_run *p = &r->runs[i];

		for (size_t k = 0; k < p->n_files; k++) {
			struct mention *m = &p->files[k];

			m->age_s = p->age_s;
			if (p->expired && m->in_backup)
				r->given_up[r->n_given_up++] = *m;
			else if (!p->expired &&
				 idset_add(
				     &r->standing, hash_xxh3_64(m->name, strlen(m->name)), e) == -1)
				return -1;
		}
	}
	if (r->n_given_up > 0)
		qsort(r->given_up, r->n_given_up, sizeof *r->given_up, by_name_and_age);
	return 0;
}

/* The age of the latest of the runs that gave this name up; false when none did. */
static bool
given_up(const struct retention *r, const char *name, int64_t *age_s)
{
	size_t lo = 0, hi = r->n_given_up;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(r->given_up[mid].name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == r->n_given_up || strcmp(r->given_up[lo].name, name) != 0)
		return false;
	*age_s = r->given_up[lo].age_s;
	return true;
}

/* ---- folders ---- */

/* Whether a folder is for temp or backup alone. */
static bool
is_apart(const struct retention *r, enum folder f)
{
	struct stat st, db;

	return archive_is_apart(r->a, f) && fstat(r->a->folders[f], &st) == 0 &&
	       !(r->database_fd != -1 && fstat(r->database_fd, &db) == 0 &&
		   st.st_dev == db.st_dev && st.st_ino == db.st_ino);
}

static int
by_string(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
names_free(struct names *l)
{
	journal_list_free(l->name, l->n);
	*l = (struct names){0};
}

static int
names_add(struct names *l, const char *name, struct err *e)
{
	size_t cap = l->cap == 0 ? 64 : l->cap * 2;
	char **grown;

	if (l->n == l->cap) {
		if ((grown = realloc(l->name, cap * sizeof *grown)) == NULL)
			return err_nomem(e);
		l->name = grown;
		l->cap = cap;
	}
	if ((l->name[l->n] = mem_str(name, e)) == NULL)
		return -1;
	l->n++;
	return 0;
}

/* Listed whole before the first is told: what is removed meanwhile does not disturb the listing. */
static int
list(int dirfd, struct names *l, struct err *e)
{
	DIR *d = io_list(dirfd, e);
	struct dirent *entry;
	int rc = d == NULL ? -1 : 0;

	while (rc == 0) {
		errno = 0;
		if ((entry = readdir(d)) == NULL) {
			if (errno != 0)
				rc = err_sys(e, "listing a folder");
			break;
		}
		if (entry->d_name[0] != '.')
			rc = names_add(l, entry->d_name, e);
	}
	if (d != NULL)
		closedir(d);
	if (l->n > 0)
		qsort(l->name, l->n, sizeof *l->name, by_string);
	return rc;
}

static bool
is_regular(int dirfd, const char *name, struct stat *st)
{
	return dirfd != -1 && fstatat(dirfd, name, st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st->st_mode);
}

/*
 * Whether a row or a job has this name. That a run put away the original of a file and put another
 * in its place is no reason to keep the original: while the other is there, it is what the row
 * names. A job may name the one in backup.
 */
static bool
is_named(const struct retention *r, const char *name, bool of_run)
{
	uint64_t hash = hash_xxh3_64(name, strlen(name));
	struct stat st;

	if (idset_has(&r->jobs, hash))
		return true;
	return idset_has(&r->rows, hash) &&
	       !(of_run && (is_regular(r->a->folders[FOLDER_RAW], name, &st) ||
			       is_regular(r->a->folders[FOLDER_EDITED], name, &st)));
}

/* True with *st for a regular file that no row has. */
static bool
is_candidate(const struct retention *r, int dirfd, const char *name, struct stat *st)
{
	return is_regular(dirfd, name, st) && !is_named(r, name, false);
}

static int
tell(const struct retention *r, struct retention_item *item, const char *folder, int64_t age_s,
    struct err *e)
{
	char *path;
	int rc;

	if (check_stop(r->a, e) == -1 ||
	    (path = mem_fmt(e, "%s%s%s", folder, folder[0] == '\0' ? "" : "/", item->name)) == NULL)
		return -1;
	item->path = path;
	item->age_days = age_s == NO_AGE ? -1 : age_s / DAY_S;
	rc = r->each(r->ctx, item, e);
	free(path);
	return rc;
}

/* A recording that goes on or was cut off: rec-capture's, and nothing to remove for its age. */
static bool
is_part(const char *name)
{
	size_t n = strlen(name);

	return n > 5 && strcmp(name + n - 5, ".part") == 0;
}

/* What a pull goes on with. */
static bool
is_pull(const char *name)
{
	size_t n = strlen(name);

	return n > 5 && strcmp(name + n - 5, ".pull") == 0;
}

/* Whether somebody is writing it. */
static bool
is_held(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct err ignored;
	bool held;

	if (fd == -1)
		return false;
	held = io_try_lock(fd, &ignored) == 0;
	close(fd);
	return held;
}

/* Of a file in temp that is to be told; else NO_AGE. */
static int64_t
temp_age(const struct retention *r, int fd, const char *name, struct stat *st)
{
	int64_t then, age;

	if (is_part(name) || !is_candidate(r, fd, name, st))
		return NO_AGE;
	then = st->st_mtim.tv_sec;
	/* One that is whole has the recording's time already. */
	if (is_pull(name) && st->st_ctim.tv_sec > then)
		then = st->st_ctim.tv_sec;
	age = age_since(r, then);
	if (!is_old(r, age) || (is_pull(name) && (age < PULL_MIN_S || is_held(fd, name))))
		return NO_AGE;
	return age;
}

static int
tell_temp(const struct retention *r, struct err *e)
{
	struct names l = {0};
	struct stat st;
	int64_t age_s;
	int fd = r->a->folders[FOLDER_TEMP], rc;

	if (!is_apart(r, FOLDER_TEMP))
		return 0;
	rc = list(fd, &l, e);
	for (size_t i = 0; rc == 0 && i < l.n; i++) {
		struct retention_item item = {
		    .kind = RETENTION_TEMP, .dirfd = fd, .name = l.name[i]};

		if ((age_s = temp_age(r, fd, item.name, &st)) == NO_AGE)
			continue;
		item.size_bytes = st.st_size;
		rc = tell(r, &item, r->a->paths[FOLDER_TEMP], age_s, e);
	}
	names_free(&l);
	return rc;
}

static int
tell_backup(const struct retention *r, struct err *e)
{
	struct names l = {0};
	struct stat st;
	int64_t age_s = NO_AGE;
	int fd = r->a->folders[FOLDER_BACKUP], rc;

	if (r->damaged || !is_apart(r, FOLDER_BACKUP))
		return 0;
	rc = list(fd, &l, e);
	for (size_t i = 0; rc == 0 && i < l.n; i++) {
		struct retention_item item = {
		    .kind = RETENTION_BACKUP, .dirfd = fd, .name = l.name[i]};

		item.of_run = given_up(r, item.name, &age_s);
		if (!is_regular(fd, item.name, &st) || is_named(r, item.name, item.of_run) ||
		    idset_has(&r->standing, hash_xxh3_64(item.name, strlen(item.name))))
			continue;
		if (!item.of_run)
			age_s = age_since(r, st.st_mtim.tv_sec);
		item.size_bytes = st.st_size;
		if (is_old(r, age_s))
			rc = tell(r, &item, r->a->paths[FOLDER_BACKUP], age_s, e);
	}
	names_free(&l);
	return rc;
}

static int
tell_journal(const struct retention *r, const struct past_run *p, struct err *e)
{
	struct retention_item item = {.kind = RETENTION_JOURNAL,
	    .dirfd = r->a->journal,
	    .size_bytes = p->size_bytes,
	    .damage = p->damage.class != ERR_NONE ? &p->damage : NULL};
	char name[JOURNAL_RUN_MAX + 8];

	if (!p->expired && item.damage == NULL)
		return 0;
	snprintf(name, sizeof name, "%s.jsonl", p->run);
	item.name = name;
	return tell(r, &item, r->a->journal_path, p->age_s, e);
}

/* Those of the schema last: as long as another stands, it can be taken back with them. */
static int
tell_journals(const struct retention *r, struct err *e)
{
	for (int schema = 0; schema < 2; schema++)
		for (size_t i = 0; i < r->n_runs; i++)
			if (r->runs[i].schema == (schema == 1) &&
			    tell_journal(r, &r->runs[i], e) == -1)
				return -1;
	return 0;
}

/* ---- copies of the database ---- */

static bool
is_database_copy(const char *name)
{
	static const char shape[] = "app_backup_########_######.db";
	size_t i;

	for (i = 0; shape[i] != '\0'; i++)
		if (shape[i] == '#' ? !isdigit((unsigned char)name[i]) : name[i] != shape[i])
			return false;
	return name[i] == '\0';
}

/* The archive's own database may have such a name too, after somebody went back to a copy. */
static bool
is_copy_at_rest(const struct retention *r, const char *name, struct stat *st)
{
	static const char *const logs[] = {"wal", "journal"};
	struct stat other;
	char beside[64];

	if (!is_database_copy(name) || !is_candidate(r, r->database_fd, name, st) ||
	    stat(config_database(r->a->config), &other) == -1 ||
	    (st->st_dev == other.st_dev && st->st_ino == other.st_ino))
		return false;
	for (int i = 0; i < 2; i++) {
		snprintf(beside, sizeof beside, "%s-%s", name, logs[i]);
		if (fstatat(r->database_fd, beside, &other, AT_SYMLINK_NOFOLLOW) == 0)
			return false;
	}
	return true;
}

/* Keeps the names of copies in l, and says which is the newest: of two of one time the later name.
 */
static size_t
only_copies(const struct retention *r, struct names *l)
{
	size_t kept = 0, newest = 0;
	int64_t latest = INT64_MIN;
	struct stat st;

	for (size_t i = 0; i < l->n; i++) {
		if (!is_copy_at_rest(r, l->name[i], &st)) {
			free(l->name[i]);
			continue;
		}
		if (st.st_mtim.tv_sec >= latest) {
			latest = st.st_mtim.tv_sec;
			newest = kept;
		}
		l->name[kept++] = l->name[i];
	}
	l->n = kept;
	return newest;
}

static int
tell_databases(const struct retention *r, struct err *e)
{
	struct names l = {0};
	struct stat st;
	int rc = list(r->database_fd, &l, e);
	size_t newest = rc == -1 ? 0 : only_copies(r, &l);

	for (size_t i = 0; rc == 0 && i < l.n; i++) {
		struct retention_item item = {
		    .kind = RETENTION_DATABASE, .dirfd = r->database_fd, .name = l.name[i]};

		if (i == newest || !is_candidate(r, r->database_fd, item.name, &st) ||
		    !is_old(r, age_since(r, st.st_mtim.tv_sec)))
			continue;
		item.size_bytes = st.st_size;
		rc = tell(r, &item, r->database_folder, age_since(r, st.st_mtim.tv_sec), e);
	}
	names_free(&l);
	return rc;
}

/* ---- all of it ---- */

static void
retention_close(struct retention *r)
{
	for (size_t i = 0; i < r->n_runs; i++) {
		for (size_t k = 0; k < r->runs[i].n_files; k++)
			free(r->runs[i].files[k].name);
		free(r->runs[i].files);
	}
	journal_list_free(r->names, r->n_runs);
	free(r->runs);
	free(r->given_up);
	free(r->database_folder);
	idset_free(&r->rows);
	idset_free(&r->jobs);
	idset_free(&r->standing);
	if (r->database_fd != -1)
		close(r->database_fd);
}

static int
retention_open(struct retention *r, const struct archive *a, struct err *e)
{
	const char *db = config_database(a->config), *slash = strrchr(db, '/');

	*r = (struct retention){.a = a,
	    .now_s = clock_now().tv_sec,
	    .days = config_int(a->config, CONFIG_RETENTION_DAYS),
	    .database_fd = -1};
	r->database_folder = slash == NULL
				 ? mem_str("", e)
				 : mem_bytes(db, slash == db ? 1 : (size_t)(slash - db), e);
	if (r->database_folder == NULL)
		return -1;
	r->database_fd = io_open_dir(AT_FDCWD, slash == NULL ? "." : r->database_folder, e);
	if (r->database_fd == -1) {
		e->class = ERR_SYSTEM;
		return -1;
	}
	if (read_rows(r, e) == -1 || read_runs(r, e) == -1)
		return -1;
	decide(r);
	return divide_names(r, e);
}

static int (*const tell_kind[RETENTION_KINDS])(const struct retention *r, struct err *e) = {
    [RETENTION_TEMP] = tell_temp,
    [RETENTION_BACKUP] = tell_backup,
    [RETENTION_JOURNAL] = tell_journals,
    [RETENTION_DATABASE] = tell_databases};

/* Journals before what they name. */
static const enum retention_kind order[RETENTION_KINDS] = {
    RETENTION_TEMP, RETENTION_JOURNAL, RETENTION_BACKUP, RETENTION_DATABASE};

int
retention_each(const struct archive *a,
    int (*each)(void *ctx, const struct retention_item *item, struct err *e), void *ctx,
    struct err *e)
{
	struct retention r;
	int rc = retention_open(&r, a, e);

	r.each = each;
	r.ctx = ctx;
	for (int i = 0; i < RETENTION_KINDS && rc == 0; i++)
		rc = tell_kind[order[i]](&r, e);
	retention_close(&r);
	return rc;
}

/* ---- findings ---- */

static const char *const checks[RETENTION_KINDS] = {
    "retention.temp", "retention.backup", "retention.journal", "retention.database_copy"};
static const char *const things[RETENTION_KINDS] = {
    "files in temp", "files in backup", "journals of runs", "copies of the database"};

struct tally {
	int64_t count, bytes;
};

static int
count(void *ctx, const struct retention_item *item, struct err *e)
{
	struct tally *t = ctx;

	(void)e;
	if (item->damage == NULL) {
		t->count++;
		t->bytes += item->size_bytes;
	}
	return 0;
}

static struct json *
facts_of(const struct retention *r, const struct tally *t, struct err *e)
{
	struct json *facts = json_new_object(e);

	if (facts != NULL && json_put_int(facts, "count", t->count, e) == 0 &&
	    json_put_int(facts, "size_bytes", t->bytes, e) == 0 &&
	    json_put_int(facts, "retention_days", r->days, e) == 0)
		return facts;
	json_free(facts);
	return NULL;
}

static int
tell_tally(struct findings *f, const struct retention *r, enum retention_kind k,
    const struct tally *t, struct err *e)
{
	struct json *facts = facts_of(r, t, e);

	if (facts == NULL)
		return -1;
	if (k == RETENTION_BACKUP && r->damaged)
		return finding_tell(f, checks[k], FINDING_WARNING, SEVERITY_LOW, NULL,
		    "restore the damaged journal from a backup, or move it away", facts, e,
		    "nothing in backup is given up while a journal is damaged");
	if (t->count == 0)
		return finding_tell(f, checks[k], FINDING_PASS, SEVERITY_INFO, NULL, NULL, facts, e,
		    "no %s have been kept for %lld days", things[k], (long long)r->days);
	return finding_tell(f, checks[k], FINDING_WARNING, SEVERITY_LOW, NULL,
	    "rec-health gc shows them, rec-health gc --apply removes them", facts, e,
	    "%lld %s (%lld bytes) have been kept for %lld days or longer", (long long)t->count,
	    things[k], (long long)t->bytes, (long long)r->days);
}

static int
tell_damage(struct findings *f, const struct retention *r, struct err *e)
{
	for (size_t i = 0; i < r->n_runs; i++) {
		const struct past_run *p = &r->runs[i];
		struct json *facts;

		if (p->damage.class == ERR_NONE)
			continue;
		if ((facts = json_new_object(e)) == NULL ||
		    json_put_str(facts, "run", p->run, e) == -1) {
			json_free(facts);
			return -1;
		}
		if (finding_tell(f, checks[RETENTION_JOURNAL], FINDING_WARNING, SEVERITY_HIGH,
			P_BAD_RECORD, "restore the journal from a backup, or move it away", facts,
			e, "the journal of %s: %s", p->run, p->damage.text) == -1)
			return -1;
	}
	return 0;
}

int
retention_check(struct findings *f, const struct archive *a, struct err *e)
{
	struct retention r;
	struct err why = {0};
	int opened = retention_open(&r, a, &why), rc = 0;

	r.each = count;
	for (int i = 0; i < RETENTION_KINDS && rc == 0; i++) {
		enum retention_kind k = order[i];
		struct tally t = {0};

		r.ctx = &t;
		if (opened == -1 || tell_kind[k](&r, &why) == -1)
			rc = finding_could_not(f, checks[k], NULL, &why, e);
		else
			rc = tell_tally(f, &r, k, &t, e);
	}
	if (rc == 0 && opened == 0)
		rc = tell_damage(f, &r, e);
	retention_close(&r);
	return rc;
}
