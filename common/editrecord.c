#include "editrecord.h"

#include <math.h>

#include "encoder.h"

/* {"id":…,"path":…,"sha256":…,"start_s":…,"end_s":…,"start_frame":…,"frames":…} */
static struct json *
source_of(const struct edit_of *p, unsigned i, struct err *e)
{
	static const char *const known[] = {"id", "sha256", "xxh3_128"};
	const struct footage *f = p->footage[i];
	uint64_t first =
	    p->made->n == 1 && p->made->frames > 0 ? p->made->first : p->made->parts[i].first;
	uint64_t frames =
	    p->made->n == 1 && p->made->frames > 0 ? p->made->frames : p->made->parts[i].frames;
	double rate = f->original.rate_hz;
	struct json *s = json_new_object(e);

	if (s == NULL || json_put_bytes(s, "path", f->item->path, f->item->path_len, e) == -1 ||
	    json_put_real(s, "start_s", (double)first / rate, e) == -1 ||
	    json_put_real(s, "end_s", (double)(first + frames) / rate, e) == -1 ||
	    json_put_int(s, "start_frame", (int64_t)first, e) == -1 ||
	    json_put_int(s, "frames", (int64_t)frames, e) == -1)
		goto fail;
	for (int k = 0; k < 3; k++) {
		const struct json *v = f->rec == NULL ? NULL : json_get(f->rec, known[k]);
		struct json *copy = v == NULL ? NULL : json_clone(v, e);

		if (v != NULL && (copy == NULL || json_put(s, known[k], copy, e) == -1))
			goto fail;
	}
	return s;
fail:
	json_free(s);
	return NULL;
}

int
editrecord_put_sources(struct json *rec, const struct edit_of *p, struct err *e)
{
	struct json *list = json_new_array(e), *s;

	for (unsigned i = 0; list != NULL && i < p->made->n; i++)
		if ((s = source_of(p, i, e)) == NULL || json_append(list, s, e) == -1) {
			json_free(list);
			return -1;
		}
	return list == NULL ? -1 : json_put(rec, "sources", list, e);
}

/* What was done beside the cut. */
int
editrecord_put(struct json *rec, const struct edit_of *p, struct err *e)
{
	const struct assembly *a = p->made;
	double rate = p->made->parts[0].original->rate_hz;
	double gain_db = round(a->gain_db * 1e6) / 1e6; /* it was a factor meanwhile */

	if ((gain_db != 0 && json_put_real(rec, "gain_db", gain_db, e) == -1) ||
	    (a->limited && json_put_bool(rec, "gain_limited", true, e) == -1) ||
	    (a->render.fade_in > 0 &&
		json_put_real(rec, "fade_in_s", (double)a->render.fade_in / rate, e) == -1) ||
	    (a->render.fade_out > 0 &&
		json_put_real(rec, "fade_out_s", (double)a->render.fade_out / rate, e) == -1) ||
	    (a->render.clipped > 0 &&
		json_put_int(rec, "clipped_samples", (int64_t)a->render.clipped, e) == -1) ||
	    (a->dropped[0] != '\0' && json_put_str(rec, "dropped", a->dropped, e) == -1) ||
	    (a->format != -1 && json_put_str(rec, "format",
				    encoder_extension((enum encoder_format)a->format), e) == -1))
		return -1;
	return editrecord_put_sources(rec, p, e);
}
