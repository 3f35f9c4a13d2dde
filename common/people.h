/*
 * people: numbers as people read them. Each writes into out and returns it.
 */
#ifndef REC_PEOPLE_H
#define REC_PEOPLE_H

#include <stdint.h>

#define PEOPLE_MAX 48

/* 12 345 678, with narrow spaces that do not break. */
char *people_count(int64_t n, char out[PEOPLE_MAX]);
/* 512 B, 1.2 GiB. */
char *people_bytes(double bytes, char out[PEOPLE_MAX]);
/* The unit that people_bytes takes, and its size. */
const char *people_unit(double bytes, double *unit_bytes);
/* 3.2 s, 12 min, 3 h 20 min, 1 234 h. */
char *people_length(double s, char out[PEOPLE_MAX]);

#endif
