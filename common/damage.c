#include "damage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

int
damage_recording(const struct archive *a, int64_t id, struct json **facts, struct err *e)
{
	struct json *rec = NULL;
	char *path = NULL;
	size_t len;
	double duration;
	int64_t size;
	int rc = -1;

	if ((*facts = json_new_object(e)) == NULL || json_put_int(*facts, "id", id, e) == -1 ||
	    catalogue_record(a->catalogue, id, &rec, e) == -1)
		goto out;
	if (rec == NULL) {
		rc = 0;
		goto out;
	}
	if (json_get_bytes(rec, "path", &path, &len, e) == -1 ||
	    (path != NULL && json_put_bytes(*facts, "path", path, len, e) == -1) ||
	    json_put_str(*facts, "title", json_get_str(rec, "title"), e) == -1)
		goto out;
	if (json_get_int(rec, "size_bytes", &size) &&
	    json_put_int(*facts, "recorded_size_bytes", size, e) == -1)
		goto out;
	if (json_get_real(rec, "duration_s", &duration) &&
	    json_put_real(*facts, "recorded_duration_s", duration, e) == -1)
		goto out;
	rc = 0;
out:
	free(path);
	json_free(rec);
	if (rc == -1) {
		json_free(*facts);
		*facts = NULL;
	}
	return rc;
}

/* ---- where ---- */

struct stretch {
	bool bytes_known, time_known;
	uint64_t offset, len;
	double start_s, end_s;
};

/* Bytes before the audio of a recording of PCM, by what is recorded of it; 0 for the others. */
static uint64_t
header_bytes(const struct json *rec, uint64_t size)
{
	const char *codec = json_get_str(rec, "codec");
	int64_t frames, channels, bits;
	uint64_t audio;

	if (codec == NULL || strncmp(codec, "pcm_", 4) != 0 ||
	    !json_get_int(rec, "frames", &frames) || !json_get_int(rec, "channels", &channels) ||
	    !json_get_int(rec, "bits_per_sample", &bits) || frames < 0 || channels < 1 || bits < 1)
		return 0;
	if (!mem_mul((uint64_t)frames, (uint64_t)channels * (((uint64_t)bits + 7) / 8), &audio))
		return 0;
	return audio < size ? size - audio : 0;
}

/* From bytes to seconds: exact for PCM, by proportion for the others. */
static void
bytes_to_time(struct stretch *w, const struct json *rec, uint64_t size)
{
	uint64_t header = header_bytes(rec, size), end = w->offset + w->len;
	double duration;

	if (!json_get_real(rec, "duration_s", &duration) || duration <= 0 || size <= header ||
	    end <= header)
		return;
	w->time_known = true;
	w->start_s = w->offset <= header
			 ? 0
			 : duration * (double)(w->offset - header) / (double)(size - header);
	w->end_s = duration * (double)(end - header) / (double)(size - header);
	if (w->end_s > duration)
		w->end_s = duration;
}

/* From the first piece that differs to the last. */
static void
compare_pieces(struct stretch *w, const struct fixity *x, const struct catalogue_fixity *good)
{
	unsigned first, last;

	if (good->n_pieces == 0 || good->n_pieces != x->n_pieces ||
	    good->piece_bytes != x->piece_bytes || good->size_bytes != x->size_bytes)
		return;
	for (first = 0; first < x->n_pieces && x->pieces[first] == good->pieces[first]; first++)
		;
	if (first == x->n_pieces)
		return;
	for (last = x->n_pieces - 1; x->pieces[last] == good->pieces[last]; last--)
		;
	w->bytes_known = true;
	w->offset = first * x->piece_bytes;
	w->len = (last + 1 - first) * x->piece_bytes;
	if (w->offset + w->len > (uint64_t)x->size_bytes)
		w->len = (uint64_t)x->size_bytes - w->offset;
}

static void
locate(struct stretch *w, const struct json *rec, const struct fixity *x,
    const struct catalogue_fixity *good)
{
	double duration;
	int64_t size;

	if (x->zeros_bytes > 0) {
		w->bytes_known = true;
		w->len = x->zeros_bytes;
		w->offset = (uint64_t)x->size_bytes - w->len;
		bytes_to_time(w, rec, (uint64_t)x->size_bytes);
		return;
	}
	/* The end is missing: bytes and seconds that were recorded and are not there. */
	if (json_get_int(rec, "size_bytes", &size) && x->size_bytes < size &&
	    json_get_real(rec, "duration_s", &duration) && !isnan(x->audio_s) &&
	    x->audio_s < duration) {
		*w = (struct stretch){.bytes_known = true,
		    .time_known = true,
		    .offset = (uint64_t)x->size_bytes,
		    .len = (uint64_t)(size - x->size_bytes),
		    .start_s = x->audio_s,
		    .end_s = duration};
		return;
	}
	compare_pieces(w, x, good);
	if (w->bytes_known)
		bytes_to_time(w, rec, (uint64_t)x->size_bytes);
}

int
damage_locate(struct json *facts, const struct archive *a, const struct fixity *x,
    const struct catalogue_fixity *good, struct err *e)
{
	struct stretch w = {0};
	struct json *rec = NULL;
	int rc = 0;

	if (x->size_bytes < 0 ||
	    (rc = catalogue_record(a->catalogue, good->recording_id, &rec, e)) != 1)
		return rc;
	locate(&w, rec, x, good);
	json_free(rec);
	rc = 0;
	if (w.bytes_known &&
	    (json_put_int(facts, "damage_offset_bytes", (int64_t)w.offset, e) == -1 ||
		json_put_int(facts, "damage_length_bytes", (int64_t)w.len, e) == -1))
		rc = -1;
	if (w.time_known && (json_put_real(facts, "damage_start_s", w.start_s, e) == -1 ||
				json_put_real(facts, "damage_end_s", w.end_s, e) == -1))
		rc = -1;
	return rc;
}
