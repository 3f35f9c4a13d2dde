#include "scan.h"

void
scan_start(struct scan *s, struct catalogue *c)
{
	*s = (struct scan){.c = c, .after = INT64_MIN};
}

int
scan_next(struct scan *s, struct catalogue_row *row, struct err *e)
{
	int n;

	if (s->at == s->len) {
		s->at = s->len = 0;
		if ((n = catalogue_rows(s->c, s->after, SCAN_PAGE, s->page, e)) <= 0)
			return n;
		s->len = n;
	}
	*row = s->page[s->at++];
	s->after = row->id;
	return 1;
}

void
scan_end(struct scan *s)
{
	while (s->at < s->len)
		catalogue_row_free(&s->page[s->at++]);
}
