#include "framecut.h"

#include <sys/stat.h>

#include "chunk.h"
#include "framing.h"
#include "mp3cut.h"
#include "oggcut.h"
#include "source.h"

/* 1 when the file is of the RIFF or AIFF family: MPEG frames inside it are not a stream of their
 * own. */
static int
is_chunked(int fd, uint64_t size, struct err *e)
{
	struct chunk_layout l = {.fmt = -1, .data = -1};
	int r = chunk_layout(fd, size, &l, e);

	chunk_layout_free(&l);
	return r;
}

static int
cut(struct framecut *c, struct source *s, int out_fd, struct err *e)
{
	struct framing_id id;
	int r = is_chunked(c->fd, source_size(s), e);

	if (r == -1)
		return -1;
	if (r == 1)
		return err_item(e, P_UNSUPPORTED, "is a file of chunks (WAV, AIFF), not of frames");
	framing_identify(s, &id);
	if (source_failed(s, e))
		return -1;
	if (c->frames == 0)
		return err_item(e, P_UNSUPPORTED, "a part of no frames at all is no recording");
	c->real_first = c->first;
	c->real_frames = c->frames;
	if (id.format == FRAMING_MPEG)
		return mp3cut_write(s, &id, &c->real_first, &c->real_frames, out_fd, e);
	if (id.format == FRAMING_OGG)
		return oggcut_write(s, &id, &c->real_first, &c->real_frames, out_fd, e);
	return err_item(e, P_UNSUPPORTED, "is %s; only MP3, Ogg Vorbis and Ogg Opus are cut so",
	    id.name[0] != '\0' ? id.name : "of no known format");
}

int
framecut_write(struct framecut *c, int out_fd, struct err *e)
{
	struct source *s;
	struct stat st;
	int rc;

	if (fstat(c->fd, &st) == -1)
		return err_sys(e, "asking for the size of an open file");
	s = source_open(c->fd, (uint64_t)st.st_size, 0, c->stop, c->bytes_done, e);
	if (s == NULL)
		return -1;
	rc = cut(c, s, out_fd, e);
	source_close(s);
	return rc;
}
