#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clock.h"
#include "config.h"
#include "hash.h"
#include "mem.h"
#include "record.h"
#include "utf8.h"
#include "version.h"

#define ITEM_MAX (16u << 20)
#define OPTIONS_MAX 64

enum { OPT_PROGRESS = 1000, OPT_SHARD };

/* The options of every tool, in the order of the manual. */
static const struct tool_option common[] = {
    {'C', "root", "DIR", TOOL_ALL_COMMANDS,
	"the archive; as if started in DIR (else REC_ROOT, else here)"},
    {'E', "env", "NAME", TOOL_ALL_COMMANDS, "development, testing or production"},
    {'j', "jobs", "N", TOOL_ALL_COMMANDS, "files worked on at once (processors online)"},
    {'n', "dry-run", NULL, TOOL_ALL_COMMANDS, "say what would be done, change nothing"},
    {'o', "output", "FORMAT", TOOL_ALL_COMMANDS,
	"json, table, path or path0 (json; table on a terminal)"},
    {'0', "null", NULL, TOOL_ALL_COMMANDS, "names on stdin end in NUL"},
    {OPT_PROGRESS, "progress", "WHEN", TOOL_ALL_COMMANDS, "auto, always or never"},
    {OPT_SHARD, "shard", "I/N", TOOL_ALL_COMMANDS, "only items whose path hashes to I of N"},
    {'q', "quiet", NULL, TOOL_ALL_COMMANDS, "no messages about items"},
    {'v', "verbose", NULL, TOOL_ALL_COMMANDS, "more messages"},
    {'h', "help", NULL, TOOL_ALL_COMMANDS, "this text"},
    {'V', "version", NULL, TOOL_ALL_COMMANDS, "the version"},
};
#define N_COMMON (sizeof common / sizeof common[0])

atomic_int tool_stop;

/* Of the first write to stdout that failed. */
static int output_errno;
/* Records that are not written yet. Not by stdio, which throws away what it holds when a signal
 * comes while the reader is slow. */
static char output[4096];
static size_t output_len;
static bool output_is_terminal;

/* ---- messages ---- */

static void
clear_progress(struct tool *t)
{
	flockfile(stderr);
	if (t->drawn)
		fputs("\r\033[K", stderr);
	t->drawn = false;
	funlockfile(stderr);
}

static void
say(struct tool *t, const char *item, const char *text)
{
	char name[4096];

	flockfile(stderr);
	clear_progress(t);
	if (item != NULL) {
		utf8_escape(name, sizeof name, item, strlen(item));
		fprintf(stderr, "%s: %s: %s\n", t->spec->name, name, text);
	} else {
		fprintf(stderr, "%s: %s\n", t->spec->name, text);
	}
	funlockfile(stderr);
}

void
tool_tell(struct tool *t, const char *item, const char *fmt, ...)
{
	struct err clean;
	char text[sizeof clean.text];
	va_list ap;

	if (t->quiet)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	utf8_escape(clean.text, sizeof clean.text, text, strlen(text));
	say(t, item, clean.text);
}

/* ---- options ---- */

static void
print_option(const struct tool_option *o)
{
	char left[40];

	if (o->code < 256)
		snprintf(left, sizeof left, "-%c, --%s%s%s", o->code, o->name,
		    o->metavar ? "=" : "", o->metavar ? o->metavar : "");
	else
		snprintf(left, sizeof left, "    --%s%s%s", o->name,
		    o->metavar != NULL && o->metavar[0] != '[' ? "=" : "",
		    o->metavar != NULL ? o->metavar : "");
	printf("  %-28s %s\n", left, o->help);
}

static void
print_usage(const struct tool_spec *s)
{
	for (unsigned i = 0; i < s->n_commands; i++)
		printf("%s %s [OPTION...]%s%s%s%s\n", i == 0 ? "usage:" : "      ", s->name,
		    s->commands[i].name[0] != '\0' ? " " : "", s->commands[i].name,
		    s->commands[i].synopsis[0] != '\0' ? " " : "", s->commands[i].synopsis);
	printf("\n%s\n\n", s->summary);
	for (unsigned i = 0; i < s->n_commands && s->commands[i].name[0] != '\0'; i++)
		printf("  %-28s %s\n", s->commands[i].name, s->commands[i].help);
	if (s->commands[0].name[0] != '\0')
		printf("\n");
	for (unsigned i = 0; i < s->n_options; i++)
		print_option(&s->options[i]);
	printf("\n");
	for (size_t i = 0; i < N_COMMON; i++)
		print_option(&common[i]);
	printf("\nSee %s(1) and rectools(7).\n", s->name);
}

static int
one_of(const char *option, const char *arg, const char *const *names, struct err *e)
{
	struct buf list = {0};

	for (int i = 0; names[i] != NULL; i++)
		if (strcmp(names[i], arg) == 0)
			return i;
	for (int i = 0; names[i] != NULL; i++)
		if (buf_addf(&list, e, "%s%s", i > 0 ? ", " : "", names[i]) == -1)
			break;
	err_set(e, ERR_USAGE, NULL, "--%s: \"%s\" is not one of %s", option, arg,
	    list.data != NULL ? list.data : "");
	buf_free(&list);
	return -1;
}

static int
parse_shard(struct tool *t, const char *arg, struct err *e)
{
	char *copy = mem_str(arg, e), *slash = copy == NULL ? NULL : strchr(copy, '/');
	int64_t i = -1, n = -1;
	bool fine = slash != NULL;

	if (fine) {
		*slash = '\0';
		fine = mem_parse_i64(slash + 1, 1, 1000000, &n) && mem_parse_i64(copy, 0, n, &i);
	}
	free(copy);
	if (!fine)
		return err_set(e, ERR_USAGE, NULL,
		    "--shard: \"%s\" is not I/N with 1 <= I <= N, such as 3/8", arg);
	/* 0 stands for N, so that 0..N-1 and 1..N both name every shard once. */
	t->shard = (unsigned)(i % n);
	t->shards = (unsigned)n;
	return 0;
}

static int
set_common(struct tool *t, int code, const char *arg, struct err *e)
{
	static const char *const outputs[] = {"json", "table", "path", "path0", NULL};
	static const char *const whens[] = {"auto", "always", "never", NULL};
	int64_t n;
	int i;

	switch (code) {
	case 'C':
		t->root = arg;
		return 0;
	case 'E':
		t->environment = arg;
		return config_is_environment(arg)
			   ? 0
			   : err_set(e, ERR_USAGE, NULL,
				 "--env: \"%s\" is not one of development, testing, production",
				 arg);
	case 'j':
		if (!mem_parse_i64(arg, 1, 1024, &n))
			return err_set(e, ERR_USAGE, NULL,
			    "--jobs: \"%s\" is not a number from 1 to 1024", arg);
		t->jobs = (unsigned)n;
		return 0;
	case 'n':
		t->dry_run = true;
		return 0;
	case 'o':
		if ((i = one_of("output", arg, outputs, e)) == -1)
			return -1;
		t->output = (enum tool_output)i;
		return 0;
	case '0':
		t->null_input = true;
		return 0;
	case OPT_PROGRESS:
		if ((i = one_of("progress", arg, whens, e)) == -1)
			return -1;
		t->progress = i;
		return 0;
	case OPT_SHARD:
		return parse_shard(t, arg, e);
	case 'q':
		t->quiet = true;
		return 0;
	default:
		t->verbose++;
		return 0;
	}
}

/* The getopt_long tables of the common options and the tool's own. */
static void
option_tables(const struct tool_spec *s, char *letters, struct option *longs)
{
	size_t n = 0;

	*letters++ = ':';
	for (size_t i = 0; i < N_COMMON + s->n_options && n < OPTIONS_MAX - 1; i++) {
		const struct tool_option *o = i < N_COMMON ? &common[i] : &s->options[i - N_COMMON];

		if (o->code < 256) {
			*letters++ = (char)o->code;
			if (o->metavar != NULL)
				*letters++ = ':';
		}
		longs[n++] = (struct option){o->name,
		    o->metavar == NULL	   ? no_argument
		    : o->metavar[0] == '[' ? optional_argument
					   : required_argument,
		    NULL, o->code};
	}
	*letters = '\0';
}

static const struct tool_option *
own_option(const struct tool_spec *s, int code)
{
	for (unsigned i = 0; i < s->n_options; i++)
		if (s->options[i].code == code)
			return &s->options[i];
	return NULL;
}

static int
bad_option(char **argv, int code, struct err *e)
{
	const char *word = argv[optind - 1];

	if (code == ':')
		return err_set(
		    e, ERR_USAGE, NULL, "%s: takes an argument; -h lists the options", word);
	if (optopt != 0 && optopt < 256 && strncmp(word, "--", 2) != 0)
		return err_set(
		    e, ERR_USAGE, NULL, "-%c: no such option; -h lists the options", optopt);
	return err_set(e, ERR_USAGE, NULL,
	    "%s: no such option, or takes no argument; -h lists the options", word);
}

static int
find_command(struct tool *t, int argc, char **argv, struct err *e)
{
	const struct tool_spec *s = t->spec;

	t->operands = argv + optind;
	t->n_operands = argc - optind;
	for (unsigned i = 0; t->n_operands > 0 && i < s->n_commands; i++)
		if (s->commands[i].name[0] != '\0' &&
		    strcmp(t->operands[0], s->commands[i].name) == 0) {
			t->command = i;
			t->operands++;
			t->n_operands--;
			return 0;
		}
	if (s->default_command != -1) {
		t->command = (unsigned)s->default_command;
		return 0;
	}
	if (t->n_operands == 0)
		return err_set(e, ERR_USAGE, NULL, "which command? -h lists them");
	return err_set(e, ERR_USAGE, NULL, "\"%s\" is no command; -h lists them", t->operands[0]);
}

static int
parse(struct tool *t, int argc, char **argv, int (*set)(void *, int, const char *, struct err *),
    void *opts, struct err *e)
{
	char letters[2 * OPTIONS_MAX];
	struct option longs[OPTIONS_MAX] = {{0}};
	const struct tool_option *used[OPTIONS_MAX];
	size_t n_used = 0;
	int code;

	option_tables(t->spec, letters, longs);
	opterr = 0;
	while ((code = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		const struct tool_option *own = own_option(t->spec, code);

		if (code == '?' || code == ':')
			return bad_option(argv, code, e);
		if (code == 'h' || code == 'V') {
			if (code == 'h')
				print_usage(t->spec);
			else
				printf("%s (rectools) %s\n", t->spec->name, REC_VERSION);
			t->ended = true;
			*e = (struct err){0};
			return -1;
		}
		if (own == NULL ? set_common(t, code, optarg, e) == -1
				: set(opts, code, optarg, e) == -1)
			return -1;
		if (own != NULL && n_used < OPTIONS_MAX)
			used[n_used++] = own;
	}
	if (find_command(t, argc, argv, e) == -1)
		return -1;
	for (size_t i = 0; i < n_used; i++)
		if (!(used[i]->commands & (1u << t->command)))
			return err_set(e, ERR_USAGE, NULL, "--%s: is not an option of \"%s\"",
			    used[i]->name, t->spec->commands[t->command].name);
	return 0;
}

/* ---- signals, start, end ---- */

static void
on_signal(int sig)
{
	atomic_store(&tool_stop, sig);
}

static void
set_signals(void)
{
	/* A second signal kills at once: every instant is a legal place to die. */
	struct sigaction stop = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND},
			 ignore = {.sa_handler = SIG_IGN};
	static const int sigs[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction was;

	for (size_t i = 0; i < sizeof sigs / sizeof sigs[0]; i++)
		if (sigaction(sigs[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN)
			sigaction(sigs[i], &stop, NULL);
	/* The write that would raise these fails, and says so. */
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGXFSZ, &ignore, NULL);
}

static unsigned
processors(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;

	return n > 0 ? (unsigned)n : 1;
}

/* No file that is opened here shall be taken for a standard stream that the caller closed. */
static void
fill_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) == -1)
			/* Writing to this stdout fails, as it would to none. */
			(void)!open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_RDWR);
}

int
tool_start(struct tool *t, const struct tool_spec *spec, int argc, char **argv,
    int (*set)(void *, int, const char *, struct err *), void *opts, struct err *e)
{
	*t = (struct tool){.spec = spec,
	    .jobs = processors(),
	    .columns = table_recording,
	    .output = isatty(STDOUT_FILENO) ? TOOL_TABLE : TOOL_JSON,
	    .started_ns = clock_monotonic_ns()};
	*e = (struct err){0};
	output_is_terminal = t->output == TOOL_TABLE;
	fill_standard_streams();
	set_signals();
	if (parse(t, argc, argv, set, opts, e) == -1)
		return -1;
	if (t->root == NULL && (t->root = getenv("REC_ROOT")) != NULL && t->root[0] == '\0')
		t->root = NULL;
	if (t->root != NULL && chdir(t->root) == -1)
		return err_set(e, ERR_CONFIG, NULL, "%s: %s: the archive's root cannot be entered",
		    t->root, strerror(errno));
	return 0;
}

/* A second signal ends it, when nobody reads. */
static int
write_output(const char *p, size_t len)
{
	ssize_t n;

	for (; len > 0; p += n, len -= (size_t)n) {
		while ((n = write(STDOUT_FILENO, p, len)) == -1 && errno == EINTR)
			;
		if (n == -1)
			return -1;
	}
	return 0;
}

/* Writes what is held; what failed once is not tried again. */
static int
write_held(void)
{
	if (output_errno == 0 && (write_output(output, output_len) == -1 || fflush(stdout) != 0))
		output_errno = errno;
	output_len = 0;
	return output_errno == 0 ? 0 : -1;
}

static int
hold(const char *p, size_t len)
{
	if (len > sizeof output - output_len && write_held() == -1)
		return -1;
	if (len > sizeof output) {
		if (write_output(p, len) == 0)
			return 0;
		output_errno = errno;
		return -1;
	}
	memcpy(output + output_len, p, len);
	output_len += len;
	return output_is_terminal ? write_held() : 0;
}

static int
flush(struct err *e)
{
	if (write_held() == 0)
		return 0;
	errno = output_errno;
	if (errno == EPIPE) {
		atomic_store(&tool_stop, SIGPIPE);
		return err_set(e, ERR_STOPPED, NULL, "stopped");
	}
	return err_set(e, ERR_SYSTEM, NULL, "standard output: %s", strerror(errno));
}

static int status_of(enum err_class class)
{
	switch (class) {
	case ERR_NONE:
		return 0;
	case ERR_ITEM:
		return 1;
	case ERR_USAGE:
		return 2;
	case ERR_BUSY:
		return 4;
	default:
		return 3;
	}
}

int
tool_no_operands(const struct tool *t, struct err *e)
{
	if (t->n_operands == 0)
		return 0;
	/* The default command has perhaps not been named: then this was to be a command. */
	return err_set(e, ERR_USAGE, NULL,
	    (int)t->command == t->spec->default_command
		? "\"%s\" is no command, and %s takes no operands; -h lists them"
		: "\"%s\": %s takes no operands",
	    t->operands[0], t->spec->commands[t->command].name);
}

int
tool_finish(struct tool *t, int rc, const struct err *e)
{
	struct err end = {0};
	int status, sig;

	if (rc == -1)
		end = *e;
	if (flush(&end) == 0 && rc == 0)
		status = t->problems > 0;
	else
		status = status_of(end.class);
	clear_progress(t);
	sig = atomic_load(&tool_stop);
	if (end.class == ERR_STOPPED && sig != 0) {
		signal(sig, SIG_DFL);
		raise(sig);
	}
	if (end.class != ERR_NONE)
		say(t, NULL, end.text);
	return status;
}

/* ---- records out ---- */

static int
emit_path(const struct json *rec, bool null_ended, struct buf *line, struct err *e)
{
	char *path;
	size_t len;
	struct err none;
	int rc;

	if (record_get_path(rec, &path, &len, &none) == -1)
		return 0;
	/* A line that starts with a brace would be read as a record by the next stage. */
	rc = !null_ended && path[0] == '{' ? buf_adds(line, "./", e) : 0;
	if (rc == 0)
		rc = buf_add(line, path, len, e);
	free(path);
	return rc == 0 ? buf_add(line, null_ended ? "" : "\n", 1, e) : -1;
}

int
tool_emit(struct tool *t, const struct json *rec, struct err *e)
{
	struct buf line = {0};
	int rc = 0;

	t->problems += record_has_problem(rec);
	switch (t->output) {
	case TOOL_JSON:
		rc = json_write(rec, &line, e) == -1 ? -1 : buf_add(&line, "\n", 1, e);
		break;
	case TOOL_TABLE:
		if (!t->header_done && t->columns != NULL)
			rc = table_header(t->columns, &line, e);
		if (rc == 0)
			rc = t->columns != NULL ? table_row(t->columns, rec, &line, e)
						: table_card(rec, &line, e);
		t->header_done = true;
		clear_progress(t);
		break;
	case TOOL_PATH:
	case TOOL_PATH0:
		rc = emit_path(rec, t->output == TOOL_PATH0, &line, e);
		break;
	}
	if (rc == 0 && line.len > 0 && hold(line.data, line.len) == -1)
		rc = flush(e);
	buf_free(&line);
	return rc;
}

int
tool_emit_found(struct tool *t, const struct json *rec, struct err *e)
{
	const struct json *problem = json_get(rec, "problem");
	const char *code = json_get_str(problem, "code"),
		   *message = json_get_str(problem, "message"), *check = json_get_str(rec, "check");
	char id[32] = "", *path = NULL;
	struct err none;
	size_t len;
	int64_t n;

	if (code != NULL && message != NULL) {
		if (record_get_path(rec, &path, &len, &none) == -1 && json_get_int(rec, "id", &n))
			snprintf(id, sizeof id, "%lld", (long long)n);
		tool_tell(t,
		    path != NULL    ? path
		    : id[0] != '\0' ? id
				    : check,
		    "%s: %s", code, message);
		free(path);
	}
	return tool_emit(t, rec, e);
}

/* ---- progress ---- */

static void
draw(struct tool *t)
{
	double s = (double)(clock_monotonic_ns() - t->started_ns) / 1e9;
	unsigned long long items = atomic_load(&t->items_done), bytes = atomic_load(&t->bytes_done);
	long long left;

	fprintf(stderr, "\r\033[K%s: %llu", t->spec->name, items);
	if (t->items_total > 0)
		fprintf(stderr, "/%llu", (unsigned long long)t->items_total);
	fprintf(stderr, "  %.1f MiB  %.1f MiB/s", (double)bytes / 1048576,
	    s > 0 ? (double)bytes / 1048576 / s : 0);
	if (t->items_total > items && items > 0) {
		left = (long long)(s / (double)items * (double)(t->items_total - items));
		fprintf(
		    stderr, "  %lld:%02lld:%02lld left", left / 3600, left / 60 % 60, left % 60);
	}
	fflush(stderr);
	t->drawn = true;
}

bool
tool_draws(const struct tool *t)
{
	return t->progress == TOOL_PROGRESS_ALWAYS ||
	       (t->progress == TOOL_PROGRESS_AUTO && !t->quiet && isatty(STDERR_FILENO));
}

void
tool_draw(struct tool *t, const char *line)
{
	flockfile(stderr);
	fprintf(stderr, "\r%s\033[K", line);
	fflush(stderr);
	t->drawn = true;
	funlockfile(stderr);
}

unsigned
tool_columns(void)
{
	struct winsize w;

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}

/* The first of them that is set decides, as for setlocale. */
bool
tool_is_utf8(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
	const char *v;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if ((v = getenv(names[i])) != NULL && v[0] != '\0')
			return strcasestr(v, "utf-8") != NULL || strcasestr(v, "utf8") != NULL;
	return false;
}

void
tool_flush(void)
{
	/* Nobody reads on, or the disk is full: tool_finish tells which. */
	if (output_errno == 0 && write_held() == -1)
		atomic_store(&tool_stop, SIGPIPE);
}

void
tool_idle(struct tool *t)
{
	int64_t now = clock_monotonic_ns();

	tool_flush();
	if (tool_draws(t) && now - t->started_ns > 500000000 && now - t->drawn_ns > 200000000) {
		draw(t);
		t->drawn_ns = now;
	}
}

bool
tool_in_shard(const struct tool *t, const char *path, size_t len)
{
	return t->shards == 0 || hash_xxh3_64(path, len) % t->shards == t->shard;
}

/* ---- items in ---- */

struct tool_items {
	struct tool *t;
	int operand;	  /* next operand */
	bool in_stdin;	  /* reading it now */
	bool end;	  /* of stdin */
	struct buf input; /* of stdin, from `at` on not yet taken */
	size_t at;
	unsigned long long line;
};

struct tool_items *
tool_items_open(struct tool *t, struct err *e)
{
	struct tool_items *in = mem_new(1, sizeof *in, e);

	if (in != NULL) {
		in->t = t;
		in->in_stdin = t->n_operands == 0;
	}
	return in;
}

/* Reads more of stdin; looks up now and then whether to stop. */
static int
read_more(struct tool_items *in, struct err *e)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	ssize_t n;

	if (in->at > 0) {
		memmove(in->input.data, in->input.data + in->at, in->input.len - in->at);
		in->input.len -= in->at;
		in->at = 0;
	}
	if (buf_room(&in->input, 1 << 16, e) == -1)
		return -1;
	for (;;) {
		if (atomic_load(&tool_stop) != 0)
			return err_set(e, ERR_STOPPED, NULL, "stopped");
		if (poll(&p, 1, 200) <= 0)
			continue;
		n = read(STDIN_FILENO, in->input.data + in->input.len, 1 << 16);
		if (n >= 0)
			break;
		if (errno != EINTR && errno != EAGAIN)
			return err_sys(e, "reading standard input");
	}
	in->end = n == 0;
	in->input.len += (size_t)n;
	return 0;
}

/* The next piece of stdin up to its end mark: 1, 0 at the end, -1. A piece that is too long is cut.
 */
static int
next_piece(struct tool_items *in, char **piece, size_t *len, struct err *e)
{
	char mark = in->t->null_input ? '\0' : '\n', *p;
	size_t searched = 0, have;

	for (;;) {
		have = in->input.len - in->at;
		p = have > searched
			? memchr(in->input.data + in->at + searched, mark, have - searched)
			: NULL;
		if (p != NULL || (in->end && have > 0)) {
			*piece = in->input.data + in->at;
			*len = p != NULL ? (size_t)(p - *piece) : have;
			in->at += *len + (p != NULL);
			in->line++;
			return 1;
		}
		if (in->end)
			return 0;
		if (have > ITEM_MAX)
			return err_set(e, ERR_SYSTEM, NULL,
			    "standard input: item %llu is longer than %u bytes%s", in->line + 1,
			    ITEM_MAX, mark == '\n' ? "; are its names ended by NUL (-0)?" : "");
		searched = have;
		if (read_more(in, e) == -1)
			return -1;
	}
}

static struct tool_item *
new_item(const struct tool *t, const char *text, size_t len, bool may_be_record,
    unsigned long long line, struct err *e)
{
	struct tool_item *item = mem_new(1, sizeof *item, e);
	struct err unused;

	if (item == NULL)
		return NULL;
	if (may_be_record && text[0] == '{') {
		item->was_record = true;
		item->rec = json_parse(text, len, &item->problem);
		if (item->rec == NULL && line > 0)
			err_prefix(&item->problem, "line %llu of standard input", line);
		item->passed_on = record_has_problem(item->rec);
		if (item->rec != NULL)
			record_get_path(item->rec, &item->path, &item->path_len,
			    item->passed_on ? &unused : &item->problem);
	} else if (memchr(text, '\0', len) != NULL) {
		err_item(&item->problem, P_BAD_RECORD,
		    "a name holds a NUL byte; are the names ended by NUL (-0)?");
	} else {
		item->path_len = len;
		if ((item->path = mem_bytes(text, len, e)) == NULL)
			goto fail;
	}
	if (item->rec == NULL) {
		if ((item->rec = json_new_object(e)) == NULL ||
		    (item->path != NULL &&
			json_put_bytes(item->rec, "path", item->path, item->path_len, e) == -1))
			goto fail;
	}
	if (item->problem.class != ERR_NONE &&
	    record_put_problem(item->rec, &item->problem, e) == -1)
		goto fail;
	/* What names no file is dealt out by its text, so that exactly one shard tells of it. */
	item->mine = item->path != NULL ? tool_in_shard(t, item->path, item->path_len)
					: tool_in_shard(t, text, len);
	return item;
fail:
	tool_item_free(item);
	return NULL;
}

static int
next_item(struct tool_items *in, struct tool_item **item, struct err *e)
{
	const char *operand;
	char *piece;
	size_t len;
	int rc;

	for (;;) {
		if (in->in_stdin) {
			if ((rc = next_piece(in, &piece, &len, e)) == -1)
				return -1;
			if (rc == 1 && len == 0)
				continue;
			if (rc == 1)
				return (*item = new_item(in->t, piece, len, !in->t->null_input,
					    in->line, e)) == NULL
					   ? -1
					   : 1;
			in->in_stdin = false;
		}
		if (in->operand >= in->t->n_operands)
			return 0;
		operand = in->t->operands[in->operand++];
		if (strcmp(operand, "-") == 0)
			in->in_stdin = true;
		else
			return (*item = new_item(in->t, operand, strlen(operand), true, 0, e)) ==
				       NULL
				   ? -1
				   : 1;
	}
}

int
tool_items_next(struct tool_items *in, struct tool_item **item, struct err *e)
{
	int rc;

	while ((rc = next_item(in, item, e)) == 1) {
		if ((*item)->mine)
			return 1;
		tool_item_free(*item);
		*item = NULL; /* the caller frees what it was given, also at the end */
	}
	return rc;
}

void
tool_items_close(struct tool_items *in)
{
	if (in == NULL)
		return;
	buf_free(&in->input);
	free(in);
}

void
tool_item_free(struct tool_item *item)
{
	if (item == NULL)
		return;
	free(item->path);
	json_free(item->rec);
	free(item);
}
