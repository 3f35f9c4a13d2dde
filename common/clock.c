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
