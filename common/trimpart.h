/*
 * trimpart: one new file of rec-trim: where it goes, written and measured, but not named yet.
 */
#ifndef REC_TRIMPART_H
#define REC_TRIMPART_H

#include <stdbool.h>
#include <stdint.h>

#include "archive.h"
#include "assembly.h"
#include "audio.h"
#include "err.h"
#include "footage.h"
#include "hash.h"
#include "io.h"
#include "quantity.h"
#include "selection.h"
#include "tool.h"

/* What is asked for. */
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

/* A new file. */
struct part {
	struct footage **footage; /* one; when joined, one for each piece */
	struct assembly_part *pieces;
	unsigned n_pieces;
	size_t number, of; /* among the parts of its item, from 1 */
	bool is_over;	   /* nothing is to be made: the item's record says why, or it is dry */
	struct err problem, fatal;
	int dirfd; /* of `out`; -1 */
	char *path, *history;
	struct io_new file;
	struct assembly made;
	struct measure m;
	char before[HASH_SHA256_HEX]; /* of the original, for --in-place */
};

/* Room for the pieces, which the caller fills in. NULL and *e. */
struct part *trimpart_new(unsigned pieces, struct err *e);
/* Removes what was written and not named. NULL is fine. */
void trimpart_free(struct part *p);

/* STEM_part01.EXT, from the last component of a path, for the caller to free. NULL and *e. */
char *trimpart_name(const struct part *p, const char *path, const char *extension, struct err *e);
/* A path that ends in a slash, or is that of a folder. */
bool trimpart_is_folder(const char *path);

/*
 * Writes the file and measures it; p->file is then to be committed. 0; -1 and *e: ERR_ITEM for what
 * is this file's alone.
 */
int trimpart_make(const struct trim *t, struct part *p, struct err *e);
/* There is a file of that name: -1 and *e (ERR_ITEM, conflict). */
int trimpart_refuse_existing(const struct part *p, struct err *e);
/* Of making it only whether it would be refused, as far as can be told without writing. */
int trimpart_check(const struct trim *t, struct part *p, struct err *e);

#endif
