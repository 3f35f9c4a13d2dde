/*
 * audio: what a file of audio holds, measured in one read.
 *
 * audio_measure reads a file once, front to back (pread, never mmap), and feeds from that one read
 * the file's XXH3-128 and SHA-256, the decoder (decoder.h), the hash of the decoded samples, and
 * the levels: peak, RMS, clipping, leading and trailing silence, integrated loudness and loudness
 * range (EBU R 128, by libebur128), true peak on request. Small stretches that the decoder itself
 * asks for again (headers, tails) are read twice; so are Ogg and MP3 files, whose pages and frames
 * are all looked at before they are decoded. Memory is bounded whatever the file.
 *
 * The container and the codec come from the content, never from the name. The audio that is there
 * is what counts: of a file whose header lies (sizes 0, placeholders, too large, stale) every frame
 * that is in the file is decoded and measured, and the problem says that the header lies.
 *
 * Result: 0 with *m filled, also when the file is damaged: then m->problem is of class ERR_ITEM
 * with the problem's code and sentence, and what could be measured is there. -1 and *e only when
 * measuring could not be done for reasons that are not the file's (memory, ERR_STOPPED).
 *
 * Problems that it finds, the gravest first: unreadable (EIO), modified (while it was read), empty
 * (no bytes, or no frame of audio), not_audio, unsupported (a known format that cannot be decoded
 * here), decode_error (damaged inside, or FLAC's MD5 does not agree), zero_tail, truncated,
 * header_mismatch.
 */
#ifndef REC_AUDIO_H
#define REC_AUDIO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "err.h"
#include "hash.h"
#include "json.h"

/* Raised whenever a measure changes its meaning; part of `prober`. */
#define AUDIO_MEASURES_VERSION 1
#define AUDIO_PROBER_MAX 128
/* Below this, a stretch is silence (dBFS of the sample peak). */
#define AUDIO_SILENCE_DBFS -60.0

struct audio_opts {
	bool quick;	/* --quick: the header alone; no hashes, no levels */
	bool true_peak; /* --true-peak */
	/* NULL, or: measuring ends with ERR_STOPPED soon after *stop is not 0 (a signal). */
	const atomic_int *stop;
	/* NULL, or: bytes are added as they are read (progress). */
	atomic_ullong *bytes_done;
};

/* Unknown: -1 for integers, NAN for reals, "" for strings, NULL for tags. Digital silence has NAN
 * levels. */
struct measure {
	int64_t size_bytes;
	char mtime[CLOCK_TEXT_MAX]; /* RFC 3339, nanoseconds */
	char container[16];	    /* wav rf64 w64 aiff flac ogg mp3 caf au ... */
	char codec[24];		    /* pcm_s16le flac vorbis opus mp3 ... (ffprobe's names) */
	char mime_type[32];
	int64_t sample_rate_hz;
	int64_t channels;
	int64_t bits_per_sample; /* of lossless and G.711 formats; -1 where it means nothing */
	int64_t frames;	   /* decoded (--quick: those that the header and the file's size allow) */
	double duration_s; /* frames / rate, to the microsecond */
	int64_t bit_rate_bps;
	char xxh3_128[HASH_XXH3_128_HEX];	/* of the file */
	char sha256[HASH_SHA256_HEX];		/* of the file */
	char audio_xxh3_128[HASH_XXH3_128_HEX]; /* of the decoded samples of a lossless file */
	double peak_dbfs;
	double true_peak_dbtp;
	double rms_dbfs;
	double loudness_lufs;
	double loudness_range_lu;
	int64_t clipped_frames; /* frames with a sample at full scale */
	double leading_silence_s;
	double trailing_silence_s;
	char quality[20];  /* high_resolution cd_quality low_quality unknown */
	struct json *tags; /* object of strings; freed by audio_measure_free */
	char prober[AUDIO_PROBER_MAX];
	/*
	 * Bytes of zeros at the file's end, when at least 512 (else 0): with a checksum that
	 * differs it makes zero_tail of a checksum_mismatch. Not a recording key.
	 */
	uint64_t zero_tail_bytes;
	struct err problem; /* class ERR_NONE when there is none */
};

/* Sets every field to unknown. */
void audio_measure_init(struct measure *m);
/* fd is a regular file open for reading; its position does not matter and is not changed. */
int audio_measure(int fd, const struct audio_opts *o, struct measure *m, struct err *e);
void audio_measure_free(struct measure *m);

/* The `prober` of these options by this version: tool version, measures version and parameters. */
void audio_prober(const struct audio_opts *o, char out[AUDIO_PROBER_MAX]);
/* True when measurements by `prober` need not be taken again for these options (same measures
 * version and parameters; a true peak more than asked for is fine). */
bool audio_prober_suffices(const char *prober, const struct audio_opts *o);

#endif
