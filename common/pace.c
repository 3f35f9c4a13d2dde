/*
 * A bucket that fills at the rate of the moment. Nothing is given in crumbs: less than a sixteenth
 * of a second's worth (or 4 KiB) only when no more was asked for, so that a slow pace does not mean
 * many small packets.
 *
 * What the clocks on the wall show is looked up once a second; nobody is told to wait for longer
 * than that, so that the next entry of the timetable holds soon after its time, also when those
 * clocks are set.
 */
#include "pace.h"

#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "mem.h"
#include "quantity.h"

#define SECOND INT64_C(1000000000)
#define LEAST 4096
#define WAIT_MAX_MS 1000
/* Of a timetable: an entry for each minute of a day. */
#define ENTRIES_MAX 1440
/* Of a text that is quoted. */
#define QUOTED_BYTES 60

struct entry {
	int minute; /* of the day, from which on it holds */
	uint64_t rate;
};

struct pace {
	pthread_mutex_t lock;
	struct entry *entries; /* by minute, at least one */
	size_t n;
	uint64_t rate;	   /* bytes a second now; 0: no limit */
	int64_t looked_ns; /* when that was looked up */
	int64_t filled_ns; /* when `bytes` was as it is */
	double bytes;
};

static int
parse_rate(const char *text, uint64_t *rate, struct err *e)
{
	*rate = 0;
	return strcmp(text, "off") == 0 ? 0 : quantity_size(text, rate, e);
}

static bool
parse_minute(const char *s, int *minute)
{
	static const char shape[] = "dd:dd";

	for (size_t i = 0; shape[i] != '\0'; i++)
		if (shape[i] == 'd' ? !isdigit((unsigned char)s[i]) : s[i] != shape[i])
			return false;
	*minute = ((s[0] - '0') * 10 + s[1] - '0') * 60 + (s[3] - '0') * 10 + s[4] - '0';
	return s[5] == ',' && s[3] <= '5' && *minute < 24 * 60;
}

static int
parse_entry(struct pace *p, const char *text, struct err *e)
{
	struct entry *to = &p->entries[p->n];

	if (!parse_minute(text, &to->minute))
		return err_set(e, ERR_USAGE, NULL,
		    "\"%.*s\" is no entry of a timetable; write HH:MM,RATE, such as 08:00,512K",
		    QUOTED_BYTES, text);
	if (p->n > 0 && to->minute <= to[-1].minute)
		return err_set(e, ERR_USAGE, NULL,
		    "\"%.*s\" is not later than the entry before it; order them by their times",
		    QUOTED_BYTES, text);
	if (parse_rate(text + 6, &to->rate, e) == -1)
		return -1;
	p->n++;
	return 0;
}

static int
parse(struct pace *p, char *text, struct err *e)
{
	char *save = NULL, *word = strtok_r(text, " \t", &save);

	if (word == NULL)
		return err_set(e, ERR_USAGE, NULL,
		    "an empty rate; write bytes a second (512K), off, or a timetable");
	if (strchr(word, ',') == NULL && strchr(word, ':') == NULL) {
		p->n = 1;
		if (strtok_r(NULL, " \t", &save) != NULL)
			return err_set(e, ERR_USAGE, NULL,
			    "several rates without times; write HH:MM,RATE for each");
		return parse_rate(word, &p->entries[0].rate, e);
	}
	for (; word != NULL; word = strtok_r(NULL, " \t", &save)) {
		if (p->n == ENTRIES_MAX)
			return err_set(
			    e, ERR_USAGE, NULL, "more than %d entries in a timetable", ENTRIES_MAX);
		if (parse_entry(p, word, e) == -1)
			return -1;
	}
	return 0;
}

static uint64_t
rate_at(const struct pace *p, time_t t)
{
	const struct entry *found = &p->entries[p->n - 1];
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL)
		return found->rate;
	for (size_t i = 0; i < p->n && p->entries[i].minute <= tm.tm_hour * 60 + tm.tm_min; i++)
		found = &p->entries[i];
	return found->rate;
}

/* The most that may go at once. */
static double
burst(const struct pace *p)
{
	double n = (double)p->rate / 4;

	return n < LEAST ? LEAST : n;
}

/* Brings rate and bytes up to now. */
static void
fill_up(struct pace *p)
{
	int64_t now = clock_monotonic_ns();

	if (now - p->looked_ns >= SECOND) {
		p->rate = rate_at(p, clock_now().tv_sec);
		p->looked_ns = now;
	}
	p->bytes += (double)p->rate * (double)(now - p->filled_ns) / SECOND;
	p->filled_ns = now;
	if (p->bytes > burst(p))
		p->bytes = burst(p);
}

struct pace *
pace_open(const char *timetable, struct err *e)
{
	struct pace *p = mem_new(1, sizeof *p, e);
	char *text = NULL;

	if (p == NULL)
		return NULL;
	pthread_mutex_init(&p->lock, NULL);
	if ((p->entries = mem_new(ENTRIES_MAX, sizeof *p->entries, e)) == NULL ||
	    (text = mem_str(timetable, e)) == NULL || parse(p, text, e) == -1) {
		free(text);
		pace_close(p);
		return NULL;
	}
	free(text);
	p->looked_ns = p->filled_ns = clock_monotonic_ns();
	p->rate = rate_at(p, clock_now().tv_sec);
	return p;
}

void
pace_close(struct pace *p)
{
	if (p == NULL)
		return;
	pthread_mutex_destroy(&p->lock);
	free(p->entries);
	free(p);
}

uint64_t
pace_rate(struct pace *p)
{
	uint64_t rate;

	pthread_mutex_lock(&p->lock);
	fill_up(p);
	rate = p->rate;
	pthread_mutex_unlock(&p->lock);
	return rate;
}

static int64_t
wait_for(const struct pace *p, double bytes)
{
	double ms = bytes * 1000 / (double)p->rate;

	return ms < WAIT_MAX_MS ? (int64_t)ms + 1 : WAIT_MAX_MS;
}

uint64_t
pace_take(struct pace *p, uint64_t want, int64_t *wait_ms)
{
	double least;
	uint64_t n = want;

	*wait_ms = 0;
	pthread_mutex_lock(&p->lock);
	fill_up(p);
	if (p->rate > 0) {
		least = burst(p) / 4 < LEAST ? LEAST : burst(p) / 4;
		if (least > (double)want)
			least = (double)want;
		if (p->bytes < least) {
			*wait_ms = wait_for(p, least - p->bytes);
			n = 0;
		} else if (p->bytes < (double)want) {
			n = (uint64_t)p->bytes;
		}
		p->bytes -= (double)n;
	}
	pthread_mutex_unlock(&p->lock);
	return n;
}

void
pace_give_back(struct pace *p, uint64_t bytes)
{
	pthread_mutex_lock(&p->lock);
	p->bytes += (double)bytes;
	fill_up(p);
	pthread_mutex_unlock(&p->lock);
}
