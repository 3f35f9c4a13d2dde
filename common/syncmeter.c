#include "syncmeter.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "people.h"
#include "utf8.h"

#define FIRST_NS INT64_C(500000000)
#define AGAIN_NS INT64_C(200000000)

static bool
is_to_send(const struct sync_row *row)
{
	return row->has_recording && !row->deleted &&
	       !(row->has_object && strcmp(row->object.sha256, row->sha256) == 0);
}

static int
count(struct syncmeter *m, struct err *e)
{
	struct catalogue *c = sync_reader(m->s, e);
	struct sync_walk *w = c == NULL ? NULL : sync_walk_open(c, m->s->known.id, "", "", e);
	struct sync_row row;
	int rc = w == NULL ? -1 : 1;

	while (rc == 1 && (rc = sync_walk_next(w, &row, e)) == 1) {
		if (is_to_send(&row)) {
			m->files++;
			m->bytes += row.size_bytes > 0 ? row.size_bytes : 0;
		}
		sync_row_free(&row);
	}
	if (w != NULL)
		sync_walk_close(w);
	catalogue_close(c);
	return rc;
}

int
syncmeter_open(struct syncmeter *m, struct sync *s, bool all, struct err *e)
{
	memset(m, 0, sizeof *m);
	m->s = s;
	m->draws = tool_draws(s->t);
	m->begun_ns = clock_monotonic_ns();
	pthread_mutex_init(&m->lock, NULL);
	return m->draws && all ? count(m, e) : 0;
}

void
syncmeter_close(struct syncmeter *m)
{
	pthread_mutex_destroy(&m->lock);
}

int
syncmeter_begin(struct syncmeter *m, const char *key, int64_t size_bytes)
{
	int file = -1;

	if (!m->draws)
		return -1;
	pthread_mutex_lock(&m->lock);
	for (int i = 0; i < SYNCMETER_FILES && file == -1; i++)
		if (m->going[i].key[0] == '\0')
			file = i;
	if (file != -1) {
		snprintf(m->going[file].key, sizeof m->going[file].key, "%s", key);
		m->going[file].size_bytes = size_bytes > 0 ? size_bytes : 0;
		m->going[file].done_bytes = 0;
	}
	pthread_mutex_unlock(&m->lock);
	return file;
}

void
syncmeter_at(struct syncmeter *m, int file, int64_t bytes)
{
	if (file == -1)
		return;
	pthread_mutex_lock(&m->lock);
	m->going[file].done_bytes = bytes;
	pthread_mutex_unlock(&m->lock);
}

void
syncmeter_end(struct syncmeter *m, int file)
{
	if (file == -1)
		return;
	pthread_mutex_lock(&m->lock);
	m->done_files++;
	m->done_bytes += m->going[file].size_bytes;
	m->going[file].key[0] = '\0';
	pthread_mutex_unlock(&m->lock);
}

/* ---- drawing ---- */

struct line {
	char text[1024];
	size_t len;
};

static void __attribute__((format(printf, 2, 3))) add(struct line *l, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->text + l->len, sizeof l->text - l->len, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < sizeof l->text - l->len)
		l->len += (size_t)n;
	l->text[l->len] = '\0';
}

/* With the lock. The file with most to go, or -1; *bytes: what is there of all. */
static int
largest(const struct syncmeter *m, int64_t *bytes)
{
	int64_t most = -1, left;
	int found = -1;

	*bytes = m->done_bytes;
	for (int i = 0; i < SYNCMETER_FILES; i++) {
		if (m->going[i].key[0] == '\0')
			continue;
		*bytes += m->going[i].done_bytes;
		left = m->going[i].size_bytes - m->going[i].done_bytes;
		if (left > most) {
			most = left;
			found = i;
		}
	}
	return found;
}

static void
add_numbers(struct line *l, const struct syncmeter *m, int64_t bytes)
{
	double s = (double)(clock_monotonic_ns() - m->begun_ns) / 1e9, rate = (double)bytes / s;
	char a[PEOPLE_MAX], b[PEOPLE_MAX];
	unsigned long long retries = atomic_load(&m->s->retries);

	add(l, "%s: %lld", m->s->t->spec->name, (long long)m->done_files);
	if (m->files >= m->done_files && m->files > 0)
		add(l, " of %lld", (long long)m->files);
	add(l, ", %s", people_bytes((double)bytes, a));
	if (m->bytes >= bytes && m->bytes > 0)
		add(l, " of %s", people_bytes((double)m->bytes, b));
	add(l, ", %s/s", people_bytes(rate, a));
	if (m->bytes > bytes && rate > 0)
		add(l, ", %s left", people_length((double)(m->bytes - bytes) / rate, a));
	if (retries > 0)
		add(l, ", %llu retr%s", retries, retries == 1 ? "y" : "ies");
}

void
syncmeter_draw(struct syncmeter *m)
{
	int64_t now = clock_monotonic_ns(), bytes;
	struct line l = {.len = 0};
	int file;

	tool_flush();
	if (!m->draws || now - m->begun_ns < FIRST_NS || now - m->drawn_ns < AGAIN_NS)
		return;
	m->drawn_ns = now;
	pthread_mutex_lock(&m->lock);
	file = largest(m, &bytes);
	add_numbers(&l, m, bytes);
	if (file != -1 && m->going[file].size_bytes > 0)
		add(&l, ", %s %d %%", m->going[file].key,
		    (int)(m->going[file].done_bytes * 100 / m->going[file].size_bytes));
	pthread_mutex_unlock(&m->lock);
	if (l.len >= tool_columns())
		l.text[utf8_fit(l.text, tool_columns() - 1)] = '\0';
	tool_draw(m->s->t, l.text);
}
