/*
 * selection: which frames of a recording are wanted, by what was asked for.
 *
 *	selection_split("at=1:00,2:00", &o, e)
 *	if (selection_needs_pauses(&o)) pauses_find(...)
 *	selection_make(&o, &length, &s, e)
 *	s.ranges[0 … s.n)
 *	selection_free(&s)
 *
 * First start, end and length; of what is between, with silence, what lies between the first and
 * the last sound; that, with a split, in parts that follow each other without a gap (with silence
 * each of them without the silence at its ends).
 */
#ifndef REC_SELECTION_H
#define REC_SELECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "pauses.h"
#include "quantity.h"

/* Parts of a recording at most. */
#define SELECTION_MAX 9999

enum selection_split { SPLIT_NONE, SPLIT_EVERY, SPLIT_AT, SPLIT_SILENCE, SPLIT_CUES };

struct selection_opts {
	bool has_start, has_end, has_length; /* end and length: one of them */
	struct quantity_time start, end, length;
	bool silence;
	double silence_dbfs;
	double min_silence_s; /* of a pause that splits */
	enum selection_split split;
	struct quantity_time every;
	struct quantity_time *at; /* freed by selection_opts_free */
	size_t n_at;
};

/* every=TIME | at=TIME,TIME… | silence | cues. 0; -1 and *e (ERR_USAGE). */
int selection_split(const char *text, struct selection_opts *o, struct err *e);
void selection_opts_free(struct selection_opts *o);

/* What is known of the recording. */
struct selection_of {
	unsigned rate_hz;
	uint64_t frames;
	const struct pauses *pauses; /* NULL unless selection_needs_pauses */
	const uint64_t *cues;	     /* frames, in any order */
	size_t n_cues;
};

struct range {
	uint64_t first, frames; /* at least one frame */
};

struct selection {
	struct range *ranges;
	size_t n;
};

bool selection_needs_pauses(const struct selection_opts *o);
/*
 * 0; -1 and *e: ERR_ITEM (bad_record: a time beyond the end, an end before the start; empty:
 * nothing but silence), with the length in the sentence. Free in each case.
 */
int selection_make(const struct selection_opts *o, const struct selection_of *of,
    struct selection *out, struct err *e);
void selection_free(struct selection *s);

#endif
