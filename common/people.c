#include "people.h"

#include <math.h>
#include <stdio.h>

/* A sum over a catalogue may be anything, even infinite: more than 8 EiB is nonsense. */
#define MOST_BYTES 9223372036854775808.0

char *
people_count(int64_t n, char out[PEOPLE_MAX])
{
	char digits[24];
	size_t len = (size_t)snprintf(digits, sizeof digits, "%lld", (long long)n), at = 0;

	for (size_t i = 0; i < len; i++) {
		if (i > 0 && digits[i - 1] != '-' && (len - i) % 3 == 0)
			at += (size_t)snprintf(out + at, PEOPLE_MAX - at, "\xe2\x80\xaf");
		out[at++] = digits[i];
	}
	out[at] = '\0';
	return out;
}

static const struct {
	const char *name;
	double bytes;
} byte_units[] = {{"PiB", 1125899906842624.0}, {"TiB", 1099511627776.0}, {"GiB", 1073741824.0},
    {"MiB", 1048576.0}, {"KiB", 1024.0}, {"B", 1}};

static size_t
unit_of(double bytes)
{
	size_t i = 0;

	/* What would be rounded to 1024 of a unit is one of the next. */
	while (byte_units[i].bytes > 1 && bytes < byte_units[i].bytes * 0.9995)
		i++;
	return i;
}

char *
people_bytes(double bytes, char out[PEOPLE_MAX])
{
	double sane = bytes > 0 ? fmin(bytes, MOST_BYTES) : 0;
	size_t u = unit_of(sane);
	double v = sane / byte_units[u].bytes;

	snprintf(out, PEOPLE_MAX, "%.*f %s", byte_units[u].bytes > 1 && v < 99.95 ? 1 : 0, v,
	    byte_units[u].name);
	return out;
}

char *
people_length(double s, char out[PEOPLE_MAX])
{
	char hours[PEOPLE_MAX];
	int64_t minutes;

	s = s > 0 ? fmin(s, 1e15) : 0;
	minutes = (int64_t)(s / 60 + 0.5);
	if (s < 9.95)
		snprintf(out, PEOPLE_MAX, "%.1f s", s);
	else if (s < 59.5)
		snprintf(out, PEOPLE_MAX, "%.0f s", s);
	else if (minutes < 60)
		snprintf(out, PEOPLE_MAX, "%lld min", (long long)minutes);
	else if (minutes < 6000)
		snprintf(out, PEOPLE_MAX, "%lld h %lld min", (long long)(minutes / 60),
		    (long long)(minutes % 60));
	else
		snprintf(out, PEOPLE_MAX, "%s h", people_count((minutes + 30) / 60, hours));
	return out;
}

const char *
people_unit(double bytes, double *unit_bytes)
{
	size_t u = unit_of(bytes);

	*unit_bytes = byte_units[u].bytes;
	return byte_units[u].name;
}
