#include "cuepoints.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "io.h"
#include "mem.h"

/* More than that is no list that somebody made. */
#define MAX_BODY ((uint64_t)16 << 20)
#define CUE_POINT 24
/* RFC 9639, section 8.7. */
#define FLAC_CUESHEET 5
#define CUESHEET_HEAD 396
#define CUESHEET_TRACK 36
#define CUESHEET_INDEX 12

/* A stretch of the file; 1, 0 when it is too long or not there whole, -1. */
static int
body(int fd, uint64_t offset, uint64_t len, unsigned char **out, struct err *e)
{
	ssize_t n;

	*out = NULL;
	if (len == 0 || len > MAX_BODY)
		return 0;
	if ((*out = mem_new((size_t)len, 1, e)) == NULL)
		return -1;
	if ((n = io_pread(fd, *out, (size_t)len, offset, e)) == -1)
		return -1;
	return (uint64_t)n == len;
}

static int
add(uint64_t **frames, size_t *n, uint64_t frame, struct err *e)
{
	uint64_t *grown = realloc(*frames, (*n + 1) * sizeof *grown);

	if (grown == NULL)
		return err_nomem(e);
	*frames = grown;
	grown[(*n)++] = frame;
	return 0;
}

/* ---- chunks ---- */

static int
riff_points(
    const unsigned char *p, uint64_t len, bool big, uint64_t **frames, size_t *n, struct err *e)
{
	uint64_t count = len < 4 ? 0 : bytes_number(p, 4, big);

	for (uint64_t i = 0; i < count && 4 + (i + 1) * CUE_POINT <= len; i++)
		if (add(frames, n, bytes_number(p + 4 + i * CUE_POINT + 20, 4, big), e) == -1)
			return -1;
	return 0;
}

/* A marker is its number, its place, and a name that makes it even. */
static int
aiff_points(const unsigned char *p, uint64_t len, uint64_t **frames, size_t *n, struct err *e)
{
	uint64_t count = len < 2 ? 0 : bytes_number(p, 2, true), at = 2;

	for (uint64_t i = 0; i < count && at + 7 <= len; i++) {
		if (add(frames, n, bytes_number(p + at + 2, 4, true), e) == -1)
			return -1;
		at += 7 + p[at + 6];
		at += at % 2;
	}
	return 0;
}

int
cuepoints_of_chunks(
    int fd, const struct chunk_layout *l, uint64_t **frames, size_t *n, struct err *e)
{
	const char *id = l->family == CHUNK_AIFF ? "MARK" : "cue ";
	int rc = 0;

	*frames = NULL;
	*n = 0;
	for (unsigned i = 0; i < l->n_chunks && rc == 0; i++) {
		const struct chunk *c = &l->chunks[i];
		unsigned char *p;

		if (strcmp(c->id, id) != 0)
			continue;
		rc = body(fd, c->offset, c->size, &p, e);
		if (rc == 1)
			rc = l->family == CHUNK_AIFF
				 ? aiff_points(p, c->size, frames, n, e)
				 : riff_points(p, c->size, l->big_endian, frames, n, e);
		free(p);
	}
	return rc;
}

/* ---- FLAC ---- */

static int
cuesheet_points(const unsigned char *p, uint64_t len, uint64_t **frames, size_t *n, struct err *e)
{
	uint64_t tracks = len < CUESHEET_HEAD ? 0 : p[CUESHEET_HEAD - 1], at = CUESHEET_HEAD;

	for (uint64_t t = 0; t < tracks && at + CUESHEET_TRACK <= len; t++) {
		uint64_t start = bytes_number(p + at, 8, true);
		unsigned track = p[at + 8], indices = p[at + 35];

		at += CUESHEET_TRACK;
		/* The lead-out (170, of others 255) is the end. */
		for (unsigned i = 0; i < indices && at + CUESHEET_INDEX <= len; i++) {
			/* Index 1 is where the track begins; what is before it is its pause. */
			if (track != 170 && track != 255 && p[at + 8] == 1 &&
			    add(frames, n, start + bytes_number(p + at, 8, true), e) == -1)
				return -1;
			at += CUESHEET_INDEX;
		}
	}
	return 0;
}

int
cuepoints_of_flac(int fd, uint64_t **frames, size_t *n, struct err *e)
{
	unsigned char head[4];
	uint64_t at = 4;
	bool last = false;
	ssize_t got;

	*frames = NULL;
	*n = 0;
	while (!last) {
		unsigned char *p;
		int rc;

		if ((got = io_pread(fd, head, sizeof head, at, e)) == -1)
			return -1;
		if (got != sizeof head)
			return 0;
		last = head[0] & 0x80;
		at += sizeof head;
		if ((head[0] & 0x7f) == FLAC_CUESHEET) {
			rc = body(fd, at, bytes_number(head + 1, 3, true), &p, e);
			if (rc == 1)
				rc = cuesheet_points(
				    p, bytes_number(head + 1, 3, true), frames, n, e);
			free(p);
			if (rc == -1)
				return -1;
		}
		at += bytes_number(head + 1, 3, true);
	}
	return 0;
}
