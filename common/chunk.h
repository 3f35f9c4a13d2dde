/*
 * chunk: the chunks of RIFF-like audio files, walked with distrust.
 *
 *	RIFF, RIFX, RF64, BW64   EBU Tech 3285 (BWF), EBU Tech 3306 (RF64), ITU-R BS.2088 (BW64)
 *	FORM AIFF, AIFC          Apple, "Audio Interchange File Format" 1.3 and AIFF-C draft
 *	riff...-2e91 (W64)       Sonic Foundry / VCS, "Sony Wave64 File Format"
 *
 * A chunk's declared size is what its header (or ds64) says; its size is what of that lies in the
 * file. The walk never reads the bodies of chunks that it does not need, and a hostile size cannot
 * make it loop, allocate or read beyond the file. Positions and sizes are in bytes.
 *
 *	if (chunk_layout(fd, size_bytes, &l, e) == 1) ... l.container, l.data_offset, ...
 *	chunk_layout_free(&l);
 */
#ifndef REC_CHUNK_H
#define REC_CHUNK_H

#include <stdbool.h>
#include <stdint.h>

#include "err.h"

/* A file with as many may have more, of which nothing is known. */
#define CHUNK_MAX 4096

struct chunk {
	char id[5];	   /* four characters; of W64 those at the start of the GUID */
	uint64_t offset;   /* of the body */
	uint64_t declared; /* size that the header claims */
	uint64_t size;	   /* of the body that is in the file */
	uint64_t header;   /* where its header starts */
};

enum chunk_family { CHUNK_RIFF, CHUNK_RF64, CHUNK_W64, CHUNK_AIFF };

struct chunk_layout {
	enum chunk_family family;
	const char *container; /* wav rf64 w64 aiff, as ffprobe prints it, and rf64 */
	bool big_endian;       /* RIFX, AIFF */
	struct chunk *chunks;  /* in file order, at most CHUNK_MAX; freed by chunk_layout_free */
	unsigned n_chunks;
	int fmt;		 /* index of "fmt " or "COMM", or -1 */
	int data;		 /* index of "data" or "SSND", or -1 */
	uint64_t outer_declared; /* size field of the outermost chunk (of ds64 for RF64) */
	uint64_t block_align;  /* bytes a frame, from fmt or COMM; 0 when unknown or not constant */
	uint64_t audio_offset; /* first byte of audio */
	uint64_t audio_declared; /* bytes of audio that the header claims */
	uint64_t audio_size;	 /* bytes of audio that are there (see the flags) */
	bool truncated;	     /* the header claims more than the file holds, plausibly cut: audio, or
				(audio_size == audio_declared) only a chunk behind it */
	bool open_header;    /* sizes 0 or a placeholder: the writer died before it wrote them, and
				the audio runs to the end of the file */
	bool short_header;   /* audio goes on behind the declared end: the sizes are stale */
	bool outer_mismatch; /* the audio's chunk is whole, yet the outermost size (0, a
				placeholder, more than the file, less than the audio) or COMM's
				frame count disagrees */
	bool duplicate_fmt;  /* a second fmt or COMM chunk: no decoder is to see it (libsndfile
				#1108) */
	uint64_t junk_offset,
	    junk_size; /* bytes after the last chunk that are neither chunk nor audio */
};

/*
 * 1 and *l when the file is of one of the families (however broken), 0 when it is not, -1 and *e
 * when it cannot be read.
 */
int chunk_layout(int fd, uint64_t size_bytes, struct chunk_layout *l, struct err *e);
void chunk_layout_free(struct chunk_layout *l);

/*
 * The tag in the GUID of an extensible format chunk: of Microsoft's base or the ambisonic one, else
 * 0. In RIFX sox turns around the tag and leaves the rest.
 */
unsigned chunk_sub_format(const unsigned char format[40], bool big);

/* How the GUIDs of W64 go on behind the four characters. */
extern const unsigned char chunk_w64_tail[12];

#endif
