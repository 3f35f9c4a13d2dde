#include "provenance.h"

#include <string.h>

#include "clock.h"
#include "mem.h"
#include "rowimage.h"
#include "version.h"

#define DAY_S INT64_C(86400)

/* ---- the row ---- */

static int
put_details(struct json *row, const struct json *details, struct err *e)
{
	struct buf text = {0};
	int rc = details == NULL ? buf_adds(&text, "{}", e) : json_write(details, &text, e);

	if (rc == 0 && text.len > PROVENANCE_MAX)
		rc = err_item(e, P_BAD_RECORD, "the provenance is larger than a mebibyte");
	if (rc == 0)
		rc = json_put_str(row, "details", text.data, e);
	buf_free(&text);
	return rc;
}

int
provenance_put(
    struct run *r, int64_t id, const char *stored, const struct provenance *p, struct err *e)
{
	struct json *row = json_new_object(e);
	char started[CLOCK_TEXT_MAX];
	bool known = p->started.tv_sec != 0;

	if (row == NULL || json_put_int(row, "recording_id", id, e) == -1 ||
	    rowimage_put_text(row, "stored_filename", stored, strlen(stored), e) == -1 ||
	    json_put_str(row, "tool", p->tool, e) == -1 ||
	    json_put_str(row, "started_at", known ? clock_micro(p->started, started) : NULL, e) ==
		-1 ||
	    put_details(row, p->details, e) == -1) {
		json_free(row);
		return -1;
	}
	return run_change(r, "rec_provenance", "recording_id", id, row, e) == -1 ? -1 : 0;
}

/* ---- what a crash left ---- */

/* The time that the beginning of s tells, when strftime would write it so: strptime alone takes the
 * 31st of February, too. */
static bool
parse_time(const char *s, const char *format, time_t *out)
{
	char again[CLOCK_TEXT_MAX];
	struct tm tm = {0};
	size_t n;

	if (strptime(s, format, &tm) == NULL || (*out = timegm(&tm)) <= 0 ||
	    gmtime_r(out, &tm) == NULL)
		return false;
	n = strftime(again, sizeof again, format, &tm);
	return n > 0 && strncmp(s, again, n) == 0 && strchr("-.", s[n]) != NULL;
}

/* To the frame: TimeReference counts them from midnight (EBU Tech 3285). Other programs write local
 * times. */
static bool
start_of_header(const struct measure *m, struct timespec *t)
{
	const char *date = json_get_str(m->tags, "origination_date");
	const char *frames = json_get_str(m->tags, "time_reference");
	const char *originator = json_get_str(m->tags, "originator");
	int64_t rate = m->sample_rate_hz, n;
	time_t midnight;

	if (originator == NULL || strcmp(originator, "rectools") != 0 || date == NULL ||
	    frames == NULL || rate <= 0 || rate > INT32_MAX ||
	    !parse_time(date, "%Y-%m-%d", &midnight) ||
	    !mem_parse_i64(frames, 0, DAY_S * rate - 1, &n))
		return false;
	*t = (struct timespec){.tv_sec = midnight + (time_t)(n / rate),
	    .tv_nsec = (long)(n % rate * 1000000000 / rate)};
	return true;
}

/* To the second. */
static bool
start_of_name(const char *name, struct timespec *t)
{
	time_t second;

	if (!parse_time(name, "recording_%Y%m%d_%H%M%S", &second))
		return false;
	*t = (struct timespec){.tv_sec = second};
	return true;
}

struct json *
provenance_recovered(struct provenance *p, const struct measure *m, const char *name, struct err *e)
{
	struct json *details = json_new_object(e);

	*p = (struct provenance){.tool = "rec-capture " REC_VERSION, .details = details};
	if (!start_of_header(m, &p->started) && !start_of_name(name, &p->started))
		p->started = (struct timespec){0};
	if (details == NULL || json_put_bool(details, "recovered", true, e) == 0)
		return details;
	json_free(details);
	return NULL;
}
