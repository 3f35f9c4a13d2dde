/*
 * walfile: what a write-ahead log holds, without SQLite.
 *
 * SQLite reads a WAL up to the last frame that belongs to a whole transaction and says nothing
 * about the rest, so a log that was cut loses transactions silently. This looks at the file itself.
 * Format: sqlite.org/fileformat2.html section 4 (WAL, checksums), sqlite.org/walformat.html (index
 * header).
 *
 * Two things normally lie behind the last valid frame and are no damage: frames of an older
 * generation (other salts than the header's; journal_size_limit may cut the last of them), and
 * frames of this generation that a transaction left that was rolled back or killed, and that a
 * later one overwrote in part (their checksums do not continue those before them). The latter never
 * were committed. So a wrong checksum is damage only where something says that the frame was
 * committed: the index, or, when no index agrees with what was found, a frame at or behind it that
 * ends a transaction.
 *
 * A log that was cut at the end of a transaction looks whole: only an index that is still there
 * knows of more (index_frames > committed). So it is with a log that is empty or gone.
 *
 * Not while this process has the database open: looking closes a descriptor of -shm, and with it
 * POSIX drops every lock of the process on that file, SQLite's too (sqlite.org/howtocorrupt.html
 * section 2.2).
 */
#ifndef REC_WALFILE_H
#define REC_WALFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

struct walfile {
	bool present; /* there is such a file, and it is not empty */
	uint64_t size_bytes;
	bool header_valid;  /* magic, version and checksum of the header are right */
	uint32_t page_size; /* 0 when the header is not valid */
	uint64_t frames;    /* valid frames of the current generation */
	uint64_t committed; /* … up to and with the last that ends a transaction */
	bool cut; /* the file ends inside its header or inside a frame of the current generation */
	uint64_t damaged_at;   /* byte where the first frame starts that was committed and is not
				  valid now; 0: none */
	bool index_present;    /* PATH-shm is there and its header is valid and of these salts, or
				  it knows of no frame; without a log: it knows of some that were
				  not written back */
	uint64_t index_frames; /* committed frames that the index knows (mxFrame) */
};

/*
 * Looks at DATABASE-wal (and -shm) for the database file at path, which may be a link to it. Reads
 * with pread and changes nothing. 0; -1 and *e (ERR_SYSTEM) when a file is there and cannot be
 * read. Another process may be writing: the caller looks again before it believes in damage.
 */
int walfile_look(const char *database, struct walfile *w, struct err *e);

#endif
