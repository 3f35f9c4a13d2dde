/*
 * transcode: parts of files, decoded, and encoded as a file of another format.
 *
 * Samples that the new format holds stay as they are: integers of 16, 24 and 32 bits in WAV and
 * W64, of 16 and 24 in FLAC, floats of 32 bits in WAV and W64. What has fewer bits gets more. From
 * formats that are lossy themselves FLAC gets 24 bits, rounded; WAV and W64 get floats.
 */
#ifndef REC_TRANSCODE_H
#define REC_TRANSCODE_H

#include <stdatomic.h>
#include <time.h>

#include "encoder.h"
#include "err.h"
#include "playback.h"
#include "render.h"

#define TRANSCODE_DROPPED 128

struct transcode {
	const struct playback_part *parts;
	unsigned n;
	enum encoder_format format;
	struct timespec start; /* of the first frame; tv_sec 0: nobody knows */
	const char *title;     /* NULL: that of the first file */
	struct render *render; /* its format is not used; NULL: every sample as it is */
	const atomic_int *stop;
	atomic_ullong *bytes_done;
	/* Out: what the first file says of itself and the new one does not, or "". */
	char *dropped; /* of TRANSCODE_DROPPED bytes */
};

/*
 * Writes the new file to out_fd (seekable, empty). 0; -1 and *e: ERR_ITEM (unsupported: what the
 * format cannot hold, and what could), ERR_STOPPED, ERR_SYSTEM (a full disk).
 */
int transcode_write(const struct transcode *t, int out_fd, struct err *e);

#endif
