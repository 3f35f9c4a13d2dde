/*
 * census: every row against every file, by name and stat; bytes are read only to recognise a file
 * that moved.
 *
 * A row whose file is gone and a file without a row that has the same size are compared by SHA-256:
 * the same bytes are a move. A file without a row whose bytes are those of a recording that is
 * still there is a duplicate. Memory: some 16 bytes a row, and what is wrong.
 */
#ifndef REC_CENSUS_H
#define REC_CENSUS_H

#include <stdbool.h>
#include <stdint.h>

#include "archive.h"
#include "err.h"
#include "hash.h"
#include "tool.h"

/* A row with something to tell. */
struct census_row {
	int64_t id;
	/* Problem code, static: missing, denied, unsafe_path, …; NULL: the file is there and
	 * readable. */
	const char *absent;
	/* It lies under its name, in the one of raw and edited that is not recorded. */
	bool other_folder;
	bool size_differs; /* from what was recorded, or from what was seen when it was last
			      measured */
	bool time_differs;
	bool restored; /* it was found damaged, and has been written or replaced since */
	bool known;    /* it was found damaged, and is still as it was seen then */
	int64_t size_recorded, size_bytes; /* -1: unknown */
	char sha256[HASH_SHA256_HEX];	   /* recorded, lower case; "" */
	int64_t moved_to;		   /* index of the file that has its bytes, or -1 */
};

/* A regular file right in raw or edited that no row names. */
struct census_file {
	enum folder folder;
	char *name;
	int64_t size_bytes;
	int64_t mtime_s;	/* seconds since 1970 */
	bool is_part;		/* its name ends in .part: a recording that was cut off */
	int64_t moved_from;	/* id of the row that it belongs to, or 0 */
	int64_t duplicate_of;	/* id of a recording with the same bytes that is there, or 0 */
	const char *unreadable; /* problem code, static: its bytes could not be compared; NULL */
};

struct census {
	int64_t rows, unmeasured, bytes; /* of this shard; bytes of the files that are there */
	struct census_row *wrong;
	size_t n_wrong, cap_wrong;
	struct census_file *files;
	size_t n_files, cap_files;
	int64_t temps[FOLDERS]; /* temporary files, of a killed run or of one at work */
};

/* The volume was checked before. Only rows and files of --shard. 0, or -1 and *e. Free in each
 * case.
 */
int census_take(struct census *n, struct tool *t, const struct archive *a, struct err *e);
/*
 * Why the file of a row cannot be read by those who should: a static problem code, or NULL and *st
 * when it can be.
 */
const char *census_absent(
    const struct archive *a, const struct catalogue_row *row, enum folder *f, struct stat *st);
void census_free(struct census *n);

#endif
