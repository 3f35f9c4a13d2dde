#include "eventlog.h"

#include <stdarg.h>
#include <stdio.h>

#include "clock.h"
#include "mem.h"

#define MOST_OF_A_PART 1000
#define KEPT_MAX_BYTES 256

static void
say(const char *name, uint64_t frame, const char *fmt, va_list args)
{
	char now[CLOCK_TEXT_MAX];

	flockfile(stderr);
	fprintf(stderr, "{\"event\":\"%s\",\"time\":\"%s\",\"frame\":%llu", name,
	    clock_rfc3339(clock_now(), now), (unsigned long long)frame);
	vfprintf(stderr, fmt, args);
	fputs("}\n", stderr);
	funlockfile(stderr);
}

void
eventlog_tell(struct eventlog *l, const char *name, uint64_t frame, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (l->tells)
		say(name, frame, fmt, args);
	va_end(args);
}

/* Without memory for it the event is counted as left out: a recording does not end for that. */
static void
keep(struct eventlog *l, const char *name, uint64_t frame, const char *more)
{
	struct buf text = {0};
	struct json *event;
	struct err ignored;

	if ((l->kept == NULL && (l->kept = json_new_array(&ignored)) == NULL) ||
	    json_count(l->kept) >= MOST_OF_A_PART ||
	    buf_addf(&text, &ignored, "{\"event\":\"%s\",\"frame\":%llu%s}", name,
		(unsigned long long)frame, more) == -1 ||
	    (event = json_parse(text.data, text.len, &ignored)) == NULL ||
	    json_append(l->kept, event, &ignored) == -1)
		l->left_out++;
	buf_free(&text);
}

void
eventlog_add(struct eventlog *l, const char *name, uint64_t frame, const char *fmt, ...)
{
	char more[KEPT_MAX_BYTES];
	va_list args;

	va_start(args, fmt);
	if (l->tells)
		say(name, frame, fmt, args);
	va_end(args);
	va_start(args, fmt);
	vsnprintf(more, sizeof more, fmt, args);
	va_end(args);
	if (l->in_part)
		keep(l, name, frame, more);
}

/* Those of the part go into one array, those of what follows into the other. */
static int
divide(const struct eventlog *l, uint64_t end, struct json *part, struct json *rest, struct err *e)
{
	for (size_t i = 0; i < json_count(l->kept); i++) {
		struct json *event = json_clone(json_at(l->kept, i), e);
		int64_t frame = 0;
		int rc;

		if (event == NULL)
			return -1;
		json_get_int(event, "frame", &frame);
		if ((uint64_t)frame >= end) {
			rc = json_append(rest, event, e);
		} else {
			frame = (uint64_t)frame > l->part ? frame - (int64_t)l->part : 0;
			rc = json_put_int(event, "frame", frame, e);
			if (rc == -1)
				json_free(event);
			else
				rc = json_append(part, event, e);
		}
		if (rc == -1)
			return -1;
	}
	return 0;
}

int
eventlog_take(struct eventlog *l, uint64_t end, struct json *details, struct err *e)
{
	struct json *part = json_new_array(e), *rest = json_new_array(e);
	int rc = -1;

	if (part != NULL && rest != NULL && divide(l, end, part, rest, e) == 0 &&
	    json_put_int(details, "events_left_out", (int64_t)l->left_out, e) == 0) {
		rc = json_put(details, "events", part, e);
		part = NULL;
	}
	json_free(part);
	json_free(l->kept);
	l->kept = rest;
	l->left_out = 0;
	return rc;
}

void
eventlog_free(struct eventlog *l)
{
	json_free(l->kept);
	*l = (struct eventlog){0};
}
