#include "ledger.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "mem.h"

#define SESSION_SUFFIX ".session"

/* ---- transactions ---- */

static int
begin(struct sync *s, struct err *e)
{
	pthread_mutex_lock(&s->writing);
	if (catalogue_begin(s->a.catalogue, e) == 0)
		return 0;
	pthread_mutex_unlock(&s->writing);
	return -1;
}

/* Commits when rc is 0, else takes back what was begun; gives -1 then. */
static int
end(struct sync *s, int rc, struct err *e)
{
	if (rc == 0)
		rc = catalogue_commit(s->a.catalogue, e);
	if (rc != 0)
		catalogue_rollback(s->a.catalogue);
	pthread_mutex_unlock(&s->writing);
	return rc == 0 ? 0 : -1;
}

/* ---- secret sessions ---- */

struct session_name {
	char text[sizeof(((struct catalogue_upload *)0)->upload) + sizeof SESSION_SUFFIX];
};

static struct session_name
name_of(const struct catalogue_upload *u)
{
	struct session_name n;

	strcpy(n.text, u->upload);
	strcat(n.text, SESSION_SUFFIX);
	return n;
}

static int
write_session(struct sync *s, const struct catalogue_upload *u, const char *session, struct err *e)
{
	struct session_name name = name_of(u);
	struct io_new f;
	int rc;

	if (io_new_open(&f, s->folder, name.text, e) == -1)
		return -1;
	rc = io_write(f.fd, session, strlen(session), e) == -1 ? -1
							       : io_new_commit(&f, 0600, true, e);
	io_new_close(&f);
	return rc;
}

static int
read_session(struct sync *s, const struct catalogue_upload *u, char session[REMOTE_SESSION_MAX],
    struct err *e)
{
	struct session_name name = name_of(u);
	struct buf text = {0};
	int rc;

	if (faccessat(s->folder, name.text, F_OK, AT_SYMLINK_NOFOLLOW) == -1)
		return 0;
	rc = io_read_file(s->folder, name.text, REMOTE_SESSION_MAX - 1, &text, e);
	if (rc == -1) {
		e->class = ERR_SYSTEM;
	} else {
		memcpy(session, text.data, text.len + 1);
		rc = session[0] != '\0';
	}
	if (text.data != NULL)
		explicit_bzero(text.data, text.len);
	buf_free(&text);
	return rc;
}

static int
remove_session(struct sync *s, const struct catalogue_upload *u, struct err *e)
{
	struct session_name name = name_of(u);

	if (faccessat(s->folder, name.text, F_OK, AT_SYMLINK_NOFOLLOW) == -1)
		return 0;
	return io_unlink(s->folder, name.text, e);
}

/* ---- what is noted ---- */

int
ledger_intend(struct sync *s, struct catalogue_upload *u, struct err *e)
{
	if (begin(s, e) == -1)
		return -1;
	return end(s, catalogue_upload_put(s->a.catalogue, s->known.id, u, e), e);
}

int
ledger_session(struct sync *s, struct catalogue_upload *u, const char *session, struct err *e)
{
	if (remote_can(s->remote)->secret_session)
		return write_session(s, u, session, e);
	free(u->session);
	if ((u->session = mem_str(session, e)) == NULL || begin(s, e) == -1)
		return -1;
	return end(s, catalogue_upload_put(s->a.catalogue, s->known.id, u, e), e);
}

int
ledger_find_session(struct sync *s, const struct catalogue_upload *u,
    char session[REMOTE_SESSION_MAX], struct err *e)
{
	if (u->session != NULL && u->session[0] != '\0' &&
	    strlen(u->session) < REMOTE_SESSION_MAX) {
		strcpy(session, u->session);
		return 1;
	}
	return read_session(s, u, session, e);
}

int
ledger_part(
    struct sync *s, const struct catalogue_upload *u, const struct remote_part *p, struct err *e)
{
	if (begin(s, e) == -1)
		return -1;
	return end(s, catalogue_part_put(s->a.catalogue, u->id, p->number, p->md5, p->tag, e), e);
}

/* The row goes first: a session without one is swept by the next run. */
int
ledger_end(struct sync *s, const struct catalogue_upload *u, struct err *e)
{
	if (begin(s, e) == -1 || end(s, catalogue_upload_forget(s->a.catalogue, u->id, e), e) == -1)
		return -1;
	return remove_session(s, u, e);
}

static int
prove(struct sync *s, struct catalogue_object *o, struct catalogue_upload *u, int *found,
    struct err *e)
{
	struct catalogue *c = s->a.catalogue;

	if (catalogue_object_put(c, s->known.id, o, e) == -1 ||
	    (*found = catalogue_upload_get(c, s->known.id, o->key, u, e)) == -1)
		return -1;
	return *found == 1 ? catalogue_upload_forget(c, u->id, e) : 0;
}

int
ledger_prove(struct sync *s, struct catalogue_object *o, size_t n, struct err *e)
{
	struct catalogue_upload *ended;
	int rc = 0, found;
	size_t i, n_ended = 0;

	if (n == 0)
		return 0;
	if ((ended = mem_new(n, sizeof *ended, e)) == NULL)
		return -1;
	if (begin(s, e) == -1) {
		free(ended);
		return -1;
	}
	for (i = 0; i < n && rc == 0; i++) {
		rc = prove(s, &o[i], &ended[n_ended], &found, e);
		n_ended += rc == 0 && found == 1;
	}
	rc = end(s, rc, e);
	for (i = 0; i < n_ended; i++) {
		if (rc == 0)
			rc = remove_session(s, &ended[i], e);
		catalogue_upload_free(&ended[i]);
	}
	free(ended);
	return rc;
}

int
ledger_forget(struct sync *s, const char *key, struct err *e)
{
	if (begin(s, e) == -1)
		return -1;
	return end(s, catalogue_object_forget(s->a.catalogue, s->known.id, key, e), e);
}

int
ledger_remote(struct sync *s, struct err *e)
{
	if (begin(s, e) == -1)
		return -1;
	return end(s, catalogue_remote_put(s->a.catalogue, &s->known, e), e);
}

/* ---- what is left over ---- */

static bool
is_noted(const struct catalogue_upload *u, size_t n, const char *name, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(u[i].upload) == len && memcmp(u[i].upload, name, len) == 0)
			return true;
	return false;
}

/* Those of other remotes are noted too, so all are asked for. */
int
ledger_sweep(struct sync *s, struct err *e)
{
	struct catalogue_upload *u = NULL;
	size_t n = 0, len, suffix = strlen(SESSION_SUFFIX);
	struct dirent *d;
	DIR *dir;
	int rc = 0;

	if ((dir = io_list(s->folder, e)) == NULL)
		return -1;
	if (catalogue_uploads(s->a.catalogue, 0, &u, &n, e) == -1) {
		closedir(dir);
		return -1;
	}
	while (rc == 0 && (d = readdir(dir)) != NULL) {
		len = strlen(d->d_name);
		if (len > suffix && strcmp(d->d_name + len - suffix, SESSION_SUFFIX) == 0 &&
		    !is_noted(u, n, d->d_name, len - suffix))
			rc = io_unlink(s->folder, d->d_name, e);
	}
	closedir(dir);
	for (size_t i = 0; i < n; i++)
		catalogue_upload_free(&u[i]);
	free(u);
	return rc;
}
