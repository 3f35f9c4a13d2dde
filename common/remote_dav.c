/*
 * A WebDAV folder as a remote (RFC 4918).
 *
 * Nothing is assumed that a probe did not show. An object is put under a temporary name, its length
 * is looked at, and it is moved to its key with "Overwrite: F"; where a probe showed that a PUT is
 * atomic and conditions are honoured, it goes to its key at once. Versions are told apart by ETag,
 * or by size and time where there is none; weak ETags count as strong ones, since servers give a
 * weak one only in the second after a change. What has no condition of the protocol is compared
 * first and done then: somebody else may come in between.
 */
#include <stdlib.h>
#include <string.h>

#include "dav_get.h"
#include "dav_list.h"
#include "dav_move.h"
#include "dav_object.h"
#include "dav_parts.h"
#include "dav_probe.h"
#include "dav_put.h"

static int
make_sign_in(struct dav *d, const struct remote_settings *s, struct err *e)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct buf both = {0}, line = {0};
	const unsigned char *p;
	int rc = -1;

	if (strpbrk(s->user, ":\r\n") != NULL || strpbrk(s->password, "\r\n") != NULL)
		return err_set(e, ERR_CONFIG, NULL,
		    "REC_WEBDAV_USER holds a colon, or it or REC_WEBDAV_PASSWORD a line break");
	if (buf_addf(&both, e, "%s:%s", s->user, s->password) == -1 ||
	    buf_room(&both, 3, e) == -1 || buf_room(&line, both.len / 3 * 4 + 40, e) == -1 ||
	    buf_adds(&line, "Authorization: Basic ", e) == -1)
		goto out;
	p = (const unsigned char *)both.data;
	rc = 0;
	for (size_t i = 0; i < both.len && rc == 0; i += 3) {
		size_t left = both.len - i;
		unsigned v = (unsigned)p[i] << 16 | (left > 1 ? (unsigned)p[i + 1] << 8 : 0) |
			     (left > 2 ? p[i + 2] : 0);
		char four[4] = {digits[v >> 18], digits[v >> 12 & 63],
		    left > 1 ? digits[v >> 6 & 63] : '=', left > 2 ? digits[v & 63] : '='};

		rc = buf_add(&line, four, sizeof four, e);
	}
out:
	if (both.data != NULL)
		explicit_bzero(both.data, both.cap);
	buf_free(&both);
	if (rc == 0)
		d->sign_in = line.data;
	else
		buf_free(&line);
	return rc;
}

static int
dav_open(struct remote *r, struct err *e)
{
	const struct remote_settings *s = &r->settings;
	struct dav *d = mem_new(1, sizeof *d, e);
	bool tls = strncmp(s->url, "webdavs:", 8) == 0;
	struct http_url u;

	if (d == NULL)
		return -1;
	r->own = d;
	pthread_mutex_init(&d->lock, NULL);
	/* Without a probe nothing can be resumed: an upload in parts has one. */
	r->can =
	    (struct remote_capabilities){.copy = true, .single_max = INT64_MAX, .parts_max = 1};
	if ((d->server = mem_fmt(e, "http%s%s", tls ? "s" : "", strchr(s->url, ':'))) == NULL)
		return -1;
	if (http_url_parse(d->server, &u, e) == -1)
		return -1;
	if (!tls && !s->allow_plain && !http_is_loopback(&u))
		return err_set(e, ERR_CONFIG, NULL,
		    "webdav:// to %s would send the password and the recordings in the clear; use "
		    "webdavs://",
		    u.host);
	if ((d->path = mem_str(u.path, e)) == NULL || (d->decoded = mem_str(u.path, e)) == NULL)
		return -1;
	d->server[strlen(d->server) - strlen(u.path)] = '\0';
	if (!http_unescape(d->decoded))
		return err_set(e, ERR_CONFIG, NULL, "the path of the remote is broken");
	if (s->user == NULL || s->user[0] == '\0')
		return 0;
	if (s->password == NULL)
		return err_set(
		    e, ERR_CONFIG, NULL, "REC_WEBDAV_USER is set, but REC_WEBDAV_PASSWORD is not");
	return make_sign_in(d, s, e);
}

static void
dav_close(struct remote *r)
{
	struct dav *d = r->own;

	if (d->sign_in != NULL)
		explicit_bzero(d->sign_in, strlen(d->sign_in));
	free(d->sign_in);
	free(d->server);
	free(d->path);
	free(d->decoded);
	buf_free(&d->made);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

const struct remote_kind remote_dav_kind = {
    .scheme = "webdav",
    .open = dav_open,
    .close = dav_close,
    .check = dav_check,
    .list_open = dav_list_open,
    .list_next = dav_list_next,
    .list_close = dav_list_close,
    .stat = dav_stat,
    .put = dav_put,
    .begin = dav_begin,
    .part = dav_part,
    .arrived = dav_arrived,
    .finish = dav_finish,
    .abort = dav_abort,
    .sweep = dav_sweep,
    .get = dav_get,
    .copy = dav_copy,
    .move = dav_move,
    .remove = dav_remove,
    .probe = dav_probe,
};
