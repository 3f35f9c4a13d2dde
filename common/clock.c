#include "clock.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct timespec
clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t;
}

int64_t
clock_monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static size_t
seconds(struct timespec t, const char *fmt, char *out)
{
	struct tm tm;

	if (gmtime_r(&t.tv_sec, &tm) == NULL)
		memset(&tm, 0, sizeof tm);
	return strftime(out, CLOCK_TEXT_MAX, fmt, &tm);
}

char *
clock_rfc3339(struct timespec t, char *out)
{
	size_t n = seconds(t, "%Y-%m-%dT%H:%M:%S", out);

	if (t.tv_nsec != 0)
		n += (size_t)snprintf(out + n, CLOCK_TEXT_MAX - n, ".%09ld", t.tv_nsec);
	snprintf(out + n, CLOCK_TEXT_MAX - n, "Z");
	return out;
}

char *
clock_micro(struct timespec t, char *out)
{
	size_t n = seconds(t, "%Y-%m-%dT%H:%M:%S", out);

	snprintf(out + n, CLOCK_TEXT_MAX - n, ".%06ldZ", t.tv_nsec / 1000);
	return out;
}

char *
clock_column(struct timespec t, char *out)
{
	size_t n = seconds(t, "%Y-%m-%d %H:%M:%S", out);

	snprintf(out + n, CLOCK_TEXT_MAX - n, ".%06ld", t.tv_nsec / 1000);
	return out;
}

char *
clock_compact(struct timespec t, char *out)
{
	seconds(t, "%Y%m%dT%H%M%SZ", out);
	return out;
}

char *
clock_recording(struct timespec t, char *out)
{
	seconds(t, "%Y%m%d_%H%M%S", out);
	return out;
}

/* Whether the two digits at s are a number from lo to hi. */
static bool
within(const char *s, int lo, int hi)
{
	int n = (s[0] - '0') * 10 + s[1] - '0';

	return n >= lo && n <= hi;
}

bool
clock_is_rfc3339(const char *s)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd";
	size_t i;

	for (i = 0; shape[i] != '\0'; i++)
		if (shape[i] == 'd' ? !isdigit((unsigned char)s[i]) : s[i] != shape[i])
			return false;
	if (s[i] == '.') {
		if (!isdigit((unsigned char)s[++i]))
			return false;
		while (isdigit((unsigned char)s[i]))
			i++;
	}
	return s[i] == 'Z' && s[i + 1] == '\0' && within(s + 5, 1, 12) && within(s + 8, 1, 31) &&
	       within(s + 11, 0, 23) && within(s + 14, 0, 59) && within(s + 17, 0, 60);
}

bool
clock_next(const char *s, struct timespec now, struct timespec *t)
{
	static const char shape[] = "dd:dd:dd";
	struct tm tm;
	size_t n = strlen(s);
	time_t at;

	if (n != 5 && n != 8)
		return false;
	for (size_t i = 0; i < n; i++)
		if (shape[i] == 'd' ? !isdigit((unsigned char)s[i]) : s[i] != shape[i])
			return false;
	if (!within(s, 0, 23) || !within(s + 3, 0, 59) || (n == 8 && !within(s + 6, 0, 59)) ||
	    localtime_r(&now.tv_sec, &tm) == NULL)
		return false;
	/* Tomorrow by the calendar, as a day need not have 24 hours. */
	for (int days = 0;; days++, tm.tm_mday++) {
		struct tm day = tm;

		day.tm_hour = (s[0] - '0') * 10 + s[1] - '0';
		day.tm_min = (s[3] - '0') * 10 + s[4] - '0';
		day.tm_sec = n == 8 ? (s[6] - '0') * 10 + s[7] - '0' : 0;
		day.tm_isdst = -1;
		if ((at = mktime(&day)) > now.tv_sec || days == 1)
			break;
	}
	*t = (struct timespec){.tv_sec = at};
	return true;
}

bool
clock_parse(const char *s, struct timespec *t)
{
	struct tm tm = {0};
	long ns = 0, digit = 100000000;

	if (!clock_is_rfc3339(s) || (s = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm)) == NULL)
		return false;
	if (*s == '.')
		for (s++; isdigit((unsigned char)*s); s++, digit /= 10)
			ns += (*s - '0') * digit;
	*t = (struct timespec){.tv_sec = timegm(&tm), .tv_nsec = ns};
	return true;
}
