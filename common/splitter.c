#include "splitter.h"

#include <string.h>

#include "quantity.h"

#define DAY_S 86400
#define NS_PER_S INT64_C(1000000000)

/* Frames to the first one at or behind the next multiple. One that is hardly ahead, as the drift is
 * reckoned anew, was meant for the part before. */
static uint64_t
to_clock(const struct splitter *s, struct timespec start)
{
	uint64_t interval = (uint64_t)s->clock_s * s->rate_hz;
	uint64_t since = (uint64_t)(start.tv_sec % s->clock_s) * s->rate_hz +
			 (uint64_t)start.tv_nsec * s->rate_hz / NS_PER_S;
	uint64_t n = interval - since;

	return n < s->rate_hz / 100 ? n + interval : n;
}

void
splitter_begin(struct splitter *s, struct timespec start)
{
	uint64_t clock;

	s->due = false;
	s->left = s->every_frames != 0 ? s->every_frames : UINT64_MAX;
	if (s->clock_s != 0 && (clock = to_clock(s, start)) < s->left)
		s->left = clock;
}

/* Frames up to the place in a pause where it cuts, or all. */
static uint64_t
to_pause(struct splitter *s, const unsigned char *p, uint64_t n)
{
	uint64_t frame_bytes = s->channels * (s->kept.bits / 8), done = 0, next, rest;

	while (done < n) {
		next = pcm_find_loud(
		    &s->kept, p + done * frame_bytes, n - done, s->channels, s->pause_magnitude);
		rest = s->quiet < s->pause_frames ? s->pause_frames - s->quiet : 0;
		if (s->had_sound && next >= rest) {
			s->had_sound = false;
			s->quiet += rest;
			s->due = true;
			return done + rest;
		}
		s->quiet += next;
		done += next;
		if (done < n) {
			s->quiet = 0;
			s->had_sound = true;
			done++;
		}
	}
	return n;
}

uint64_t
splitter_take(struct splitter *s, const void *samples, uint64_t frames)
{
	uint64_t n = frames < s->left ? frames : s->left;

	if (s->pause_frames != 0)
		n = to_pause(s, samples, n);
	if (s->left != UINT64_MAX)
		s->left -= n;
	s->due = s->due || s->left == 0;
	return n;
}

bool
splitter_is_due(const struct splitter *s)
{
	return s->due;
}

int
splitter_clock(const char *text, unsigned *s, struct err *e)
{
	static const struct {
		const char *name;
		unsigned s;
	} names[] = {{"minute", 60}, {"hour", 3600}, {"day", DAY_S}};
	struct err ignored;
	uint64_t ns;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(text, names[i].name) == 0) {
			*s = names[i].s;
			return 0;
		}
	if (quantity_duration(text, &ns, &ignored) == -1 || ns % NS_PER_S != 0 ||
	    ns / NS_PER_S > DAY_S || DAY_S % (ns / NS_PER_S) != 0)
		return err_set(e, ERR_USAGE, NULL,
		    "%s: it is minute, hour, day, or a time that goes into a day without a rest, "
		    "such as 15m",
		    text);
	*s = (unsigned)(ns / NS_PER_S);
	return 0;
}
