#include "carry_parts.h"

#include <string.h>
#include <time.h>

#define DAY_SECONDS 86400
/* From year 0 to 9999, and what four digits can hold. */
#define MAX_SECONDS (UINT64_C(10000) * 366 * DAY_SECONDS)

bool
carry_is(const char *id, const char *other)
{
	return memcmp(id, other, 4) == 0;
}

struct carry_chunk *
carry_find(const struct carry_part *p, const char *id)
{
	for (unsigned i = 0; i < p->n; i++)
		if (carry_is(p->chunks[i].id, id) && p->chunks[i].old.data != NULL)
			return &p->chunks[i];
	return NULL;
}

bool
carry_place(const struct carry_part *p, uint64_t at, uint64_t *to)
{
	if (at < p->first || at - p->first > p->frames ||
	    (p->goes_on && at - p->first == p->frames))
		return false;
	return mem_add(p->place, at - p->first, to);
}

bool
carry_since_midnight(uint64_t *count, uint64_t frames, unsigned rate_hz, uint64_t *days)
{
	uint64_t day = (uint64_t)rate_hz * DAY_SECONDS, sum;

	if (!mem_add(*count, frames, &sum))
		return false;
	if (*count < day) {
		if (days != NULL)
			*days += sum / day;
		sum %= day;
	}
	*count = sum;
	return true;
}

/* ---- dates ---- */

/* Digits, with one separator between fields that is none. */
static bool
read_fields(const char *s, const unsigned *widths, int *out)
{
	for (unsigned i = 0; i < 3; i++) {
		out[i] = 0;
		for (unsigned k = 0; k < widths[i]; k++, s++) {
			if (*s < '0' || *s > '9')
				return false;
			out[i] = out[i] * 10 + (*s - '0');
		}
		if (i < 2 && *s >= '0' && *s <= '9')
			return false;
		s++;
	}
	return true;
}

static void
write_fields(char *s, const unsigned *widths, const int *v)
{
	for (unsigned i = 0; i < 3; i++) {
		int rest = v[i];

		for (unsigned k = widths[i]; k > 0; k--, rest /= 10)
			s[k - 1] = (char)('0' + rest % 10);
		s += widths[i] + 1;
	}
}

static const unsigned date_widths[3] = {4, 2, 2}, time_widths[3] = {2, 2, 2};

/* A day that there is, at its start. */
static bool
read_date(const char *s, time_t *t)
{
	struct tm tm = {0};
	int v[3];

	if (!read_fields(s, date_widths, v))
		return false;
	tm = (struct tm){.tm_year = v[0] - 1900, .tm_mon = v[1] - 1, .tm_mday = v[2]};
	*t = timegm(&tm);
	return tm.tm_year == v[0] - 1900 && tm.tm_mon == v[1] - 1 && tm.tm_mday == v[2];
}

static bool
read_time(const char *s, uint64_t *second)
{
	int v[3];

	if (!read_fields(s, time_widths, v) || v[0] > 23 || v[1] > 59 || v[2] > 59)
		return false;
	*second = (uint64_t)(v[0] * 3600 + v[1] * 60 + v[2]);
	return true;
}

void
carry_move_date(char date[10], char time[8], uint64_t seconds, uint64_t days)
{
	uint64_t second;
	struct tm tm;
	time_t t;

	if (seconds > MAX_SECONDS || days > MAX_SECONDS / DAY_SECONDS)
		return;
	if (read_time(time, &second)) {
		second += seconds;
		days = second / DAY_SECONDS;
		second %= DAY_SECONDS;
		write_fields(time, time_widths,
		    (int[]){(int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60)});
	}
	if (!read_date(date, &t))
		return;
	t += (time_t)(days * DAY_SECONDS);
	if (gmtime_r(&t, &tm) != NULL && tm.tm_year <= 9999 - 1900)
		write_fields(
		    date, date_widths, (int[]){tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday});
}
