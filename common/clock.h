/*
 * clock: the times that rectools writes and reads, all in UTC.
 *
 *	2025-09-05T10:00:00.123456789Z   records (RFC 3339); no fraction when it is zero
 *	2025-09-05T10:00:00.123456Z      starts of recordings; always six digits
 *	2025-09-05 10:00:00.123456       the existing application's columns
 *	20250905T100000Z                 names of runs and files
 *	20250905_100000                  names of recordings
 */
#ifndef REC_CLOCK_H
#define REC_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define CLOCK_TEXT_MAX 40

/* Now, from the real-time clock. */
struct timespec clock_now(void);
/* Monotonic nanoseconds, for intervals. */
int64_t clock_monotonic_ns(void);

/* Each writes into out (CLOCK_TEXT_MAX bytes) and returns it. */
char *clock_rfc3339(struct timespec t, char *out);
char *clock_micro(struct timespec t, char *out);  /* RFC 3339, always six digits of fraction */
char *clock_column(struct timespec t, char *out); /* always six digits of fraction */
char *clock_compact(struct timespec t, char *out);
char *clock_recording(struct timespec t, char *out);

/* True when s is a time as clock_rfc3339 writes it, with or without a fraction; days are not held
 * against the month. */
bool clock_is_rfc3339(const char *s);
/* The next time after `now` when clocks here show "HH:MM" or "HH:MM:SS"; false for another text. */
bool clock_next(const char *s, struct timespec now, struct timespec *t);
/* The time that s is, to the nanosecond; false (and *t as it was) when it is none. */
bool clock_parse(const char *s, struct timespec *t);

#endif
