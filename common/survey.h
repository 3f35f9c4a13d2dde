/*
 * survey: one recording, the row compared with its file.
 *
 * survey_look runs in worker threads and touches no database: it finds the file, measures it when
 * that is due, and judges what it sees against what the catalogue knows. survey_record writes the
 * result down inside a run.
 *
 * Judgement, when the bytes are not those that were recorded (by the application's checksum, or by
 * an earlier measurement): damage that the file itself shows keeps its code; else zero_tail,
 * size_mismatch, modified (the time changed too) or checksum_mismatch. The recorded values are
 * evidence then and stay as they are; what was seen is noted beside them, so that the file is read
 * again only when it has changed once more.
 */
#ifndef REC_SURVEY_H
#define REC_SURVEY_H

#include <stdbool.h>

#include "archive.h"
#include "audio.h"
#include "catalogue.h"
#include "err.h"
#include "run.h"

struct survey_opts {
	struct audio_opts audio;
	bool reread; /* measure also what looks unchanged (size and time) */
	bool accept; /* rec-meta refresh: what is on disk now is the recording */
};

struct survey {
	enum folder folder;
	bool found;
	bool unchanged;	    /* nothing to write; `problem` is the one that is recorded */
	bool measured;	    /* m was filled, by measuring or from a record */
	bool keep_baseline; /* the recorded measurement stays, only problem and what was seen are
			       noted */
	struct measure m;
	int64_t size_bytes; /* of the file as seen; -1 */
	char mtime[CLOCK_TEXT_MAX];
	struct err problem; /* class ERR_NONE when there is none */
};

/*
 * True when the recorded bytes are lost as far as is known: a check (fixity.h) or a measurement
 * found rot, a cut, lost zeros or damage inside. Then the baseline is overwritten only when a
 * person names the recording.
 */
bool survey_is_damaged(const struct catalogue_row *row);
/*
 * `given` is a measure from another stage, or NULL; it is used when it is complete and the file
 * still has its size and time. 0; -1 and *e only when the work cannot go on (memory, ERR_STOPPED).
 */
int survey_look(const struct archive *a, const struct catalogue_row *row,
    const struct survey_opts *o, const struct measure *given, struct survey *s, struct err *e);
/*
 * Only whether survey_look would measure or write, by stat alone: 1 with *why (static), 0, -1. A
 * problem that the stat shows is in *problem.
 */
int survey_due(const struct archive *a, const struct catalogue_row *row,
    const struct survey_opts *o, const char **why, struct err *problem);
/*
 * Between run_begin and run_commit: 1 when something changes, 0 when nothing does, or when the row
 * was changed or removed meanwhile (the next run looks again), -1.
 */
int survey_record(struct run *r, const struct catalogue_row *row, const struct survey_opts *o,
    struct survey *s, struct err *e);
void survey_free(struct survey *s);

#endif
