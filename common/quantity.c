/*
 * Integers all the way: a time that went through floating point would name another frame than the
 * one that was written. Parsers return NULL, or what the sentence says behind the quoted text.
 */
#include "quantity.h"

#include <string.h>

#include "mem.h"

#define NS_PER_S UINT64_C(1000000000)
/* More of a text is not quoted. */
#define QUOTED_BYTES 60

#define DIGITS "0123456789"
#define TIMES                                                                                      \
	"seconds (12.5), [HH:]MM:SS[.fff] with two digits in MM and SS (1:02:03.5), or units "     \
	"from the largest to the smallest, of d h m s ms us (1h30m, 250ms)"

static const char not_a_time[] = "is not a time; allowed are " TIMES ", or frames (48000f)";
static const char not_a_duration[] = "is not a length of time; allowed are " TIMES;
static const char too_long[] = "is too long; the longest time is 18446744073 seconds (584 years)";
static const char too_fine[] = "is finer than a nanosecond; allowed are 9 digits behind the point, "
			       "6 of milliseconds, 3 of microseconds";
static const char past_59[] = "has minutes or seconds above 59; allowed are 00 to 59, and only the "
			      "first field may be larger (90:00)";
static const char bad_order[] = "has its units out of order or one of them twice; write each once, "
				"from the largest to the smallest: d h m s ms us (1h30m)";

static const struct unit {
	const char *name;
	uint64_t ns;
	int places; /* digits of a fraction that still are whole nanoseconds */
} units[] = {
    {"d", 86400 * NS_PER_S, 9},
    {"h", 3600 * NS_PER_S, 9},
    {"m", 60 * NS_PER_S, 9},
    {"s", NS_PER_S, 9},
    {"ms", 1000000, 6},
    {"us", 1000, 3},
};
#define N_UNITS (sizeof units / sizeof units[0])
static const struct unit *const second = &units[3];

static int
refuse(const char *text, const char *why, struct err *e)
{
	size_t n = strlen(text);
	bool whole = n <= QUOTED_BYTES;

	/* Not within a character. */
	if (!whole)
		for (n = QUOTED_BYTES; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
			n--;
	return err_set(e, ERR_USAGE, NULL, "\"%.*s%s\" %s", (int)n, text, whole ? "" : "...", why);
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The digits at *s, moving it behind them; false when there is none or the number does not fit. */
static bool
whole_number(const char **s, uint64_t *n)
{
	bool any = is_digit(**s);

	for (*n = 0; is_digit(**s); (*s)++)
		if (!mem_mul(*n, 10, n) || !mem_add(*n, (uint64_t)(**s - '0'), n))
			return false;
	return any;
}

/* Adds ".DIGITS" of a unit, when that is what stands at *s. */
static const char *
add_fraction(const char **s, const struct unit *u, uint64_t *ns)
{
	uint64_t place = u->ns;

	if (**s != '.')
		return NULL;
	if (!is_digit(*++*s))
		return not_a_time;
	for (int i = 1; is_digit(**s); i++, (*s)++) {
		place = i <= u->places ? place / 10 : 0;
		if (place == 0 && **s != '0')
			return too_fine;
		if (!mem_add(*ns, place * (uint64_t)(**s - '0'), ns))
			return too_long;
	}
	return NULL;
}

/* Adds "DIGITS[.DIGITS]" of a unit. */
static const char *
add_amount(const char **s, const struct unit *u, uint64_t *ns)
{
	uint64_t n;

	if (!is_digit(**s))
		return not_a_time;
	if (!whole_number(s, &n) || !mem_mul(n, u->ns, &n) || !mem_add(*ns, n, ns))
		return too_long;
	return add_fraction(s, u, ns);
}

static const char *
parse_seconds(const char *s, uint64_t *ns)
{
	const char *why = add_amount(&s, second, ns);

	return why == NULL && *s != '\0' ? not_a_time : why;
}

/* [HH:]MM:SS[.fff] */
static const char *
parse_fields(const char *s, uint64_t *ns)
{
	uint64_t n;
	const char *why;

	if (!is_digit(*s))
		return not_a_time;
	if (!whole_number(&s, &n))
		return too_long;
	for (int fields = 1; *s == ':'; fields++, s += 3) {
		if (fields == 3 || !is_digit(s[1]) || !is_digit(s[2]) || is_digit(s[3]))
			return not_a_time;
		if (s[1] > '5')
			return past_59;
		if (!mem_mul(n, 60, &n) ||
		    !mem_add(n, (uint64_t)((s[1] - '0') * 10 + s[2] - '0'), &n))
			return too_long;
	}
	if (!mem_mul(n, second->ns, ns))
		return too_long;
	why = add_fraction(&s, second, ns);
	return why == NULL && *s != '\0' ? not_a_time : why;
}

/* 1h30m */
static const char *
parse_units(const char *s, uint64_t *ns)
{
	size_t next = 0, u, len;
	const char *name, *why, *point;

	for (; *s != '\0'; s = name + len, next = u + 1) {
		name = s + strspn(s, DIGITS ".");
		len = strcspn(name, DIGITS ".");
		point = memchr(s, '.', (size_t)(name - s));
		for (u = 0; u < N_UNITS; u++)
			if (strlen(units[u].name) == len && memcmp(units[u].name, name, len) == 0)
				break;
		if (u == N_UNITS || (point != NULL && name[len] != '\0'))
			return not_a_time;
		if (u < next)
			return bad_order;
		if ((why = add_amount(&s, &units[u], ns)) != NULL)
			return why;
		if (s != name)
			return not_a_time;
	}
	return NULL;
}

static const char *
parse_frames(const char *s, uint64_t *frames)
{
	if (s[strspn(s, DIGITS)] != 'f' || *s == 'f')
		return not_a_time;
	return whole_number(&s, frames) ? NULL
					: "is too many frames; the most are 18446744073709551615";
}

static const char *
parse_time(const char *s, struct quantity_time *t)
{
	const char *behind;

	*t = (struct quantity_time){.from_end = *s == '-'};
	s += t->from_end;
	behind = s + strspn(s, DIGITS ".");
	t->is_frames = strcmp(behind, "f") == 0;
	if (t->is_frames)
		return parse_frames(s, &t->frames);
	if (*behind == ':')
		return parse_fields(s, &t->ns);
	return *behind == '\0' ? parse_seconds(s, &t->ns) : parse_units(s, &t->ns);
}

int
quantity_time(const char *text, struct quantity_time *t, struct err *e)
{
	const char *why = parse_time(text, t);

	return why == NULL ? 0 : refuse(text, why, e);
}

int
quantity_duration(const char *text, uint64_t *ns, struct err *e)
{
	struct quantity_time t;
	const char *why = parse_time(text, &t);

	if (why == not_a_time)
		why = not_a_duration;
	else if (why == NULL && t.from_end)
		why = "counts from the end, and a length of time does not; leave out the \"-\"";
	else if (why == NULL && t.is_frames)
		why =
		    "is in frames, which are no length of time without a rate; allowed are " TIMES;
	else if (why == NULL && t.ns == 0)
		why = "is no time at all; it must be at least a nanosecond";
	if (why != NULL)
		return refuse(text, why, e);
	*ns = t.ns;
	return 0;
}

bool
quantity_frames(const struct quantity_time *t, uint64_t rate_hz, uint64_t *frames)
{
	uint64_t s = t->ns / NS_PER_S, ns = t->ns % NS_PER_S, whole;

	if (t->is_frames) {
		*frames = t->frames;
		return true;
	}
	/*
	 * s * rate + ns * rate / 10^9, where rate is split like the time: the first two of its
	 * products are whole and the last fits, so that the result is rounded once.
	 */
	return mem_mul(s, rate_hz, &whole) && mem_add(whole, ns * (rate_hz / NS_PER_S), &whole) &&
	       mem_add(whole, (ns * (rate_hz % NS_PER_S) + NS_PER_S / 2) / NS_PER_S, frames);
}

static const char *
parse_size(const char *s, uint64_t *bytes)
{
	static const char not_a_size[] =
	    "is not a size; allowed is a whole number of bytes, or one with K, M, G or T behind it "
	    "(powers of 1024, KiB and K are the same): 64K, 10MiB, 1536M";
	static const char letters[] = "KMGT";
	const char *letter;
	uint64_t unit = 1;

	if (!is_digit(*s))
		return not_a_size;
	letter = s + strspn(s, DIGITS);
	if (*letter != '\0') {
		const char *found = strchr(letters, *letter);

		if (found == NULL || (letter[1] != '\0' && strcmp(letter + 1, "iB") != 0))
			return not_a_size;
		unit <<= 10 * (found - letters + 1);
	}
	if (!whole_number(&s, bytes) || !mem_mul(*bytes, unit, bytes))
		return "is too large; the most is 18446744073709551615 bytes (16777215T)";
	return *bytes > 0 ? NULL : "is nothing; it must be at least 1 byte";
}

int
quantity_size(const char *text, uint64_t *bytes, struct err *e)
{
	uint64_t n;
	const char *why = parse_size(text, &n);

	if (why != NULL)
		return refuse(text, why, e);
	*bytes = n;
	return 0;
}
