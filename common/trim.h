/*
 * trim: cuts, splits and joins files, one record out for each new file.
 *
 * One thread looks at the files and decides what is wanted of them; as many as there are jobs write
 * the new files beside where they will be, under names that are no recordings', and measure them;
 * the caller's thread gives them their names and rows, in the order of the items. What is
 * interrupted leaves nothing.
 *
 * Rows are written in a run that lasts as long as there is something to do: while it waits for
 * items, as behind rec-capture in a pipe, others have their turn, and what comes then is another
 * run.
 */
#ifndef REC_TRIM_H
#define REC_TRIM_H

#include <stdbool.h>
#include <stdint.h>

#include "archive.h"
#include "err.h"
#include "quantity.h"
#include "selection.h"
#include "tool.h"

struct trim {
	struct tool *t;
	struct archive *a; /* opened for writing; NULL: none is needed, as there is an out */
	struct selection_opts selection;
	struct quantity_time fade_in, fade_out; /* {0}: none */
	double gain_db;
	bool normalize;
	double target_lufs;
	int format;   /* enum encoder_format; -1: that of the file */
	bool nearest; /* of what is packed: at the edges of packets */
	bool in_place;
	bool preview;	   /* a picture on stderr; only with a dry run */
	bool measure;	   /* also of what goes to `out`, all of it */
	bool join;	   /* all items become one file */
	const char *out;   /* a file or a folder; NULL: the archive */
	const char *title; /* NULL: that of the original */
};

/* 0; -1 and *e when it could not go on. */
int trim_run(struct trim *t, struct err *e);

#endif
