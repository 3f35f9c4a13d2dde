/*
 * A transfer belongs to the thread that called http_send until it stands in `queued`, and again
 * once it is `done`; in between it is the engine's alone. The lock guards `spare`, `queued`,
 * `done` and `closing`, and nothing else needs it.
 *
 * libcurl's own retry of a request on a connection that the server had closed while idle is kept
 * (nothing was answered then), so every body can be read again from its start.
 *
 * A transfer that must wait for the pace is paused and stands in line; the engine asks the pace for
 * the first in line alone, so that none starves. Stalls are found by our own clock: libcurl's speed
 * limit counts the time of a pause, and means an average.
 *
 * libcurl tells which sockets and what time it waits for, and epoll waits for them: to have it look
 * at every transfer whenever something comes for one costs more than the rest.
 */
#include "http.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "clock.h"
#include "io.h"
#include "utf8.h"
#include "version.h"

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)
#define TICK_MS 100
#define IDLE_MS 60000
#define EVENTS 32
#define HEAD_MAX (256 << 10)
#define ANSWER_MAX (1 << 20)
#define RETRY_AFTER_MAX 86400
/* Of the two buffers that libcurl has for a transfer one is large, by what is to be moved. */
#define BUFFER_LARGE (120L << 10)
#define BUFFER_SMALL (4L << 10)
/* Larger bodies in memory are not sent along with the head in one call. */
#define AT_ONCE_MAX (32 << 10)

struct transfer {
	TAILQ_ENTRY(transfer) link; /* spare, queued or active */
	TAILQ_ENTRY(transfer) line; /* for the pace */
	struct http *h;
	CURL *easy;
	pthread_cond_t ready;
	bool done;

	const struct http_request *q;
	struct http_answer *a;
	struct curl_slist *headers; /* an array; the text is the caller's */
	char host[128];
	char text[CURL_ERROR_SIZE];
	CURLcode code;
	struct err err;	     /* what http_send fails with, when it has a class */
	uint64_t pos;	     /* of the body, what was read of it */
	curl_off_t up, down; /* bytes of bodies that moved */
	int64_t moved_ns;    /* when something last did */
	bool connected, head_done;
	bool in_line;
	uint64_t need, ask; /* of the pace: to go on; at most */
	uint64_t credit;    /* granted and not used */
};

TAILQ_HEAD(transfers, transfer);

struct http {
	struct http_opts o;
	char *ca_file;
	CURLM *multi;
	pthread_t thread;
	pthread_mutex_t lock;
	struct transfers spare, queued;
	bool closing;
	int epoll, wake;

	/* The engine's. */
	int64_t timer_ns; /* when libcurl wants to be called; INT64_MAX: not */
	struct transfers active, line;
	int64_t line_due_ns; /* when to ask the pace again */
	int64_t watched_ns;
};

static bool
stopped(const struct http *h)
{
	return h->o.stop != NULL && atomic_load(h->o.stop) != 0;
}

static bool
has_body(const struct http_request *q)
{
	return q->has_file || q->body != NULL || strcmp(q->method, "PUT") == 0 ||
	       strcmp(q->method, "POST") == 0 || strcmp(q->method, "PATCH") == 0;
}

static uint64_t
body_size(const struct http_request *q)
{
	return q->has_file ? q->bytes : q->body_len;
}

/* ---- the pace ---- */

/* How many bytes (at most ask) may go now. 0 when fewer than need: the transfer stands in line
 * then, and is to be paused. */
static uint64_t
pass(struct transfer *t, uint64_t need, uint64_t ask)
{
	struct http *h = t->h;
	int64_t wait_ms = 0;
	uint64_t n;

	if (h->o.pace == NULL)
		return ask;
	if (TAILQ_EMPTY(&h->line) && t->credit < ask)
		t->credit += pace_take(h->o.pace, ask - t->credit, &wait_ms);
	if (t->credit >= need) {
		n = t->credit < ask ? t->credit : ask;
		t->credit -= n;
		return n;
	}
	if (TAILQ_EMPTY(&h->line))
		h->line_due_ns = clock_monotonic_ns() + wait_ms * MS;
	t->need = need;
	t->ask = ask;
	/* It may, with the other direction: of an answer that came before the body was through. */
	if (!t->in_line)
		TAILQ_INSERT_TAIL(&h->line, t, line);
	t->in_line = true;
	return 0;
}

static void
leave_line(struct transfer *t)
{
	if (t->in_line)
		TAILQ_REMOVE(&t->h->line, t, line);
	t->in_line = false;
}

/* ---- what libcurl calls, in the engine's thread ---- */

static size_t
read_body(char *p, size_t size, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	const struct http_request *q = t->q;
	uint64_t left = body_size(q) - t->pos, want = size * n;
	ssize_t got;

	want = want < left ? want : left;
	if (want == 0)
		return 0;
	if ((want = pass(t, 1, want)) == 0)
		return CURL_READFUNC_PAUSE;
	if (!q->has_file) {
		memcpy(p, (const char *)q->body + t->pos, want);
		t->pos += want;
		return want;
	}
	got = io_pread(q->fd, p, want, q->offset + t->pos, &t->err);
	if (got >= 0 && (uint64_t)got < want)
		err_item(&t->err, P_MODIFIED, "the file became shorter while it was sent");
	if (got == -1 || (uint64_t)got < want)
		return CURL_READFUNC_ABORT;
	t->pos += want;
	return want;
}

static int
seek_body(void *ctx, curl_off_t offset, int origin)
{
	struct transfer *t = ctx;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > body_size(t->q))
		return CURL_SEEKFUNC_FAIL;
	t->pos = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static int
begin(void *ctx, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	struct transfer *t = ctx;

	(void)remote_ip;
	(void)local_ip;
	(void)remote_port;
	(void)local_port;
	t->connected = true;
	t->moved_ns = clock_monotonic_ns();
	return CURL_PREREQFUNC_OK;
}

static void
count(atomic_ullong *total, curl_off_t now, curl_off_t *was)
{
	if (total != NULL && now > *was)
		atomic_fetch_add(total, (unsigned long long)(now - *was));
	*was = now;
}

static int
moved(void *ctx, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
	struct transfer *t = ctx;

	(void)dltotal;
	(void)ultotal;
	if (dlnow == t->down && ulnow == t->up)
		return 0;
	count(t->h->o.received, dlnow, &t->down);
	count(t->h->o.sent, ulnow, &t->up);
	t->moved_ns = clock_monotonic_ns();
	return 0;
}

static void
note_date(struct http_answer *a)
{
	char text[64];
	int64_t date;

	if (!http_header(a, "Date", text, sizeof text) || !http_date(text, &date))
		return;
	a->has_skew = true;
	a->skew_s = date - clock_now().tv_sec;
}

/* One line of a head. Heads of status 1xx come before the one that counts, trailers after it. */
static size_t
take_head(char *p, size_t size, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	struct http_answer *a = t->a;
	size_t len = size * n;
	long status = 0;

	t->moved_ns = clock_monotonic_ns();
	if (t->head_done)
		return len;
	if (len >= 5 && memcmp(p, "HTTP/", 5) == 0)
		buf_clear(&a->head);
	if (a->head.len + len > HEAD_MAX) {
		a->failure = HTTP_TOO_LARGE;
		return 0;
	}
	if (buf_add(&a->head, p, len, &t->err) == -1)
		return 0;
	if (p[0] != '\r' && p[0] != '\n')
		return len;
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	a->status = (int)status;
	if ((t->head_done = status >= 200))
		note_date(a);
	return len;
}

/* Whether len more bytes of the answer's body are too many; `sinking`: they are not kept. */
static bool
too_large(const struct transfer *t, size_t len, bool sinking)
{
	uint64_t max = t->q->max_answer;

	if (sinking)
		return max != 0 && (len > max || t->a->received > max - len);
	if (max == 0 || t->q->sink != NULL)
		max = ANSWER_MAX;
	return len > max || t->a->received > max - len;
}

static size_t
take_body(char *p, size_t size, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	const struct http_request *q = t->q;
	struct http_answer *a = t->a;
	size_t len = size * n;
	bool sinking = q->sink != NULL && a->status >= 200 && a->status < 300;
	int rc;

	if (len == 0)
		return 0;
	if (too_large(t, len, sinking)) {
		a->failure = HTTP_TOO_LARGE;
		return CURL_WRITEFUNC_ERROR;
	}
	if (pass(t, len, len) == 0)
		return CURL_WRITEFUNC_PAUSE;
	a->received += len;
	rc = sinking ? q->sink(q->ctx, p, len, &t->err) : buf_add(&a->body, p, len, &t->err);
	return rc == -1 ? CURL_WRITEFUNC_ERROR : len;
}

static int
mind_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *known)
{
	struct http *h = ctx;
	struct epoll_event ev = {.data.fd = fd,
	    .events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0)};

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		epoll_ctl(h->epoll, EPOLL_CTL_DEL, fd, &ev);
		return 0;
	}
	if (epoll_ctl(h->epoll, known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &ev) == -1)
		return -1;
	curl_multi_assign(h->multi, fd, h);
	return 0;
}

static int
mind_time(CURLM *multi, long ms, void *ctx)
{
	struct http *h = ctx;

	(void)multi;
	h->timer_ns = ms < 0 ? INT64_MAX : clock_monotonic_ns() + ms * MS;
	return 0;
}

/* ---- the engine ---- */

static void
finish(struct transfer *t, CURLcode code)
{
	struct http *h = t->h;

	curl_multi_remove_handle(h->multi, t->easy);
	leave_line(t);
	TAILQ_REMOVE(&h->active, t, link);
	if (t->credit > 0)
		pace_give_back(h->o.pace, t->credit);
	t->credit = 0;
	t->code = code;
	pthread_mutex_lock(&h->lock);
	t->done = true;
	pthread_cond_signal(&t->ready);
	pthread_mutex_unlock(&h->lock);
}

/* Takes over what was queued; false when it is time to go. */
static bool
take_queued(struct http *h)
{
	struct transfers fresh = TAILQ_HEAD_INITIALIZER(fresh);
	struct transfer *t;
	bool closing;

	pthread_mutex_lock(&h->lock);
	TAILQ_CONCAT(&fresh, &h->queued, link);
	closing = h->closing;
	pthread_mutex_unlock(&h->lock);
	if (TAILQ_EMPTY(&h->active))
		h->watched_ns = clock_monotonic_ns();
	while ((t = TAILQ_FIRST(&fresh)) != NULL) {
		TAILQ_REMOVE(&fresh, t, link);
		TAILQ_INSERT_TAIL(&h->active, t, link);
		if (curl_multi_add_handle(h->multi, t->easy) != CURLM_OK)
			finish(t, CURLE_OUT_OF_MEMORY);
	}
	return !closing;
}

/* Lets go on those in line whose turn has come. */
static void
serve_line(struct http *h)
{
	struct transfer *t;
	int64_t now = clock_monotonic_ns(), wait_ms;
	CURLcode code;

	if (now < h->line_due_ns)
		return;
	while ((t = TAILQ_FIRST(&h->line)) != NULL) {
		wait_ms = 0;
		if (t->credit < t->ask)
			t->credit += pace_take(h->o.pace, t->ask - t->credit, &wait_ms);
		if (t->credit < t->need) {
			h->line_due_ns = now + wait_ms * MS;
			break;
		}
		leave_line(t);
		t->moved_ns = now;
		if ((code = curl_easy_pause(t->easy, CURLPAUSE_CONT)) != CURLE_OK)
			finish(t, code);
	}
}

static void
collect_done(struct http *h)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(h->multi, &left)) != NULL) {
		struct transfer *t = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		finish(t, m->data.result);
	}
}

/* Ends what has to be ended: all when stopped, what stalled otherwise. */
static void
watch(struct http *h)
{
	int64_t now = clock_monotonic_ns(), late = now - h->watched_ns - TICK_MS * MS;
	struct transfer *t, *next;

	if (late < 0)
		return;
	h->watched_ns = now;
	for (t = TAILQ_FIRST(&h->active); t != NULL; t = next) {
		next = TAILQ_NEXT(t, link);
		/* Of a sink that took its time the others know nothing. */
		if (late > SECOND || late > h->o.stall_ms * MS / 2)
			t->moved_ns += late;
		if (stopped(h)) {
			err_set(&t->err, ERR_STOPPED, NULL, "stopped");
			finish(t, CURLE_ABORTED_BY_CALLBACK);
		} else if (t->connected && !t->in_line && now - t->moved_ns >= h->o.stall_ms * MS) {
			t->a->failure = HTTP_STALLED;
			finish(t, CURLE_ABORTED_BY_CALLBACK);
		}
	}
}

static int
patience_ms(const struct http *h)
{
	int64_t due = h->timer_ns, ms;

	if (!TAILQ_EMPTY(&h->line) && h->line_due_ns < due)
		due = h->line_due_ns;
	ms = due == INT64_MAX ? IDLE_MS : (due - clock_monotonic_ns() + MS - 1) / MS;
	if (!TAILQ_EMPTY(&h->active) && ms > TICK_MS)
		ms = TICK_MS;
	return ms < 0 ? 0 : ms < IDLE_MS ? (int)ms : IDLE_MS;
}

static void
act(struct http *h, const struct epoll_event *ev)
{
	int fd = ev->data.fd, running;
	eventfd_t n;

	if (fd == h->wake)
		eventfd_read(fd, &n);
	else
		curl_multi_socket_action(h->multi, fd,
		    (ev->events & EPOLLIN ? CURL_CSELECT_IN : 0) |
			(ev->events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
			(ev->events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0),
		    &running);
}

static void *
engine(void *arg)
{
	struct http *h = arg;
	struct epoll_event ev[EVENTS];
	int n, running;

	while (take_queued(h)) {
		serve_line(h);
		/* When it cannot wait, somebody has to. */
		if ((n = epoll_wait(h->epoll, ev, EVENTS, patience_ms(h))) == -1)
			poll(NULL, 0, TICK_MS);
		for (int i = 0; i < n; i++)
			act(h, &ev[i]);
		if (clock_monotonic_ns() >= h->timer_ns) {
			h->timer_ns = INT64_MAX;
			curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
		}
		collect_done(h);
		watch(h);
	}
	return NULL;
}

/* ---- opening ---- */

/* The signals of the program are for its other threads. */
static int
start(struct http *h, struct err *e)
{
	sigset_t all, was;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &was);
	rc = pthread_create(&h->thread, NULL, engine, h);
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	if (rc == 0)
		return 0;
	errno = rc;
	return err_sys(e, "cannot start a thread for transfers");
}

static int
copy_ca_file(struct http *h, const char *path, struct err *e)
{
	if (path == NULL || path[0] == '\0')
		return 0;
	if (access(path, R_OK) == -1)
		return err_set(e, ERR_CONFIG, NULL,
		    "%s: the file of trusted certificates cannot be read: %s", path,
		    strerror(errno));
	return (h->ca_file = mem_str(path, e)) == NULL ? -1 : 0;
}

static int
open_multi(struct http *h, struct err *e)
{
	struct epoll_event woken = {.events = EPOLLIN};

	if ((h->epoll = epoll_create1(EPOLL_CLOEXEC)) == -1 ||
	    (woken.data.fd = h->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == -1 ||
	    epoll_ctl(h->epoll, EPOLL_CTL_ADD, h->wake, &woken) == -1)
		return err_sys(e, "preparing transfers");
	if ((h->multi = curl_multi_init()) == NULL)
		return err_nomem(e);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, mind_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, mind_time);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)h->o.connections);
	/* The default follows the number of transfers, and so drops connections in a lull. */
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, 2 * (long)h->o.connections);
	curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	return 0;
}

static void
free_http(struct http *h)
{
	struct transfer *t;

	while ((t = TAILQ_FIRST(&h->spare)) != NULL) {
		TAILQ_REMOVE(&h->spare, t, link);
		curl_easy_cleanup(t->easy);
		pthread_cond_destroy(&t->ready);
		free(t);
	}
	if (h->multi != NULL)
		curl_multi_cleanup(h->multi);
	if (h->wake != -1)
		close(h->wake);
	if (h->epoll != -1)
		close(h->epoll);
	pthread_mutex_destroy(&h->lock);
	free(h->ca_file);
	free(h);
	curl_global_cleanup();
}

struct http *
http_open(const struct http_opts *o, struct err *e)
{
	struct http *h;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		err_set(e, ERR_SYSTEM, NULL, "libcurl cannot be started");
		return NULL;
	}
	if ((h = mem_new(1, sizeof *h, e)) == NULL) {
		curl_global_cleanup();
		return NULL;
	}
	h->o = *o;
	h->epoll = h->wake = -1;
	h->timer_ns = INT64_MAX;
	h->o.ca_file = NULL;
	h->o.connections = o->connections > 0 ? o->connections : 16;
	h->o.connect_s = o->connect_s > 0 ? o->connect_s : 10;
	if (o->stall_ms <= 0)
		h->o.stall_ms = (o->stall_s > 0 ? o->stall_s : 30) * 1000;
	TAILQ_INIT(&h->spare);
	TAILQ_INIT(&h->queued);
	TAILQ_INIT(&h->active);
	TAILQ_INIT(&h->line);
	pthread_mutex_init(&h->lock, NULL);
	if (copy_ca_file(h, o->ca_file, e) == 0 && open_multi(h, e) == 0 && start(h, e) == 0)
		return h;
	free_http(h);
	return NULL;
}

void
http_close(struct http *h)
{
	if (h == NULL)
		return;
	pthread_mutex_lock(&h->lock);
	h->closing = true;
	pthread_mutex_unlock(&h->lock);
	eventfd_write(h->wake, 1);
	pthread_join(h->thread, NULL);
	free_http(h);
}

/* ---- one request, in its caller's thread ---- */

static struct transfer *
new_transfer(struct http *h, struct err *e)
{
	struct transfer *t = mem_new(1, sizeof *t, e);

	if (t == NULL)
		return NULL;
	if ((t->easy = curl_easy_init()) == NULL) {
		err_nomem(e);
		free(t);
		return NULL;
	}
	t->h = h;
	pthread_cond_init(&t->ready, NULL);
	return t;
}

static struct transfer *
take_transfer(struct http *h, struct err *e)
{
	struct transfer *t;

	pthread_mutex_lock(&h->lock);
	if ((t = TAILQ_FIRST(&h->spare)) != NULL)
		TAILQ_REMOVE(&h->spare, t, link);
	pthread_mutex_unlock(&h->lock);
	return t != NULL ? t : new_transfer(h, e);
}

/* Nothing of the request stays behind. */
static void
put_back(struct http *h, struct transfer *t)
{
	curl_easy_reset(t->easy);
	free(t->headers);
	t->headers = NULL;
	explicit_bzero(t->text, sizeof t->text);
	pthread_mutex_lock(&h->lock);
	TAILQ_INSERT_HEAD(&h->spare, t, link);
	pthread_mutex_unlock(&h->lock);
}

/* The host (and port) of a URL, for error texts. */
static void
name_host(const char *url, char *out, size_t size)
{
	const char *s = strstr(url, "://"), *at;
	size_t n;

	s = s == NULL ? url : s + 3;
	n = strcspn(s, "/?#");
	if ((at = memrchr(s, '@', n)) != NULL) {
		n -= (size_t)(at + 1 - s);
		s = at + 1;
	}
	utf8_escape(out, size, s, n);
}

static bool
is_clean(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	return true;
}

static int
check_request(const struct http_request *q, struct err *e)
{
	if (strncasecmp(q->url, "https://", 8) != 0 && strncasecmp(q->url, "http://", 7) != 0)
		return err_set(e, ERR_CONFIG, NULL, "the address is neither of https nor of http");
	if (!is_clean(q->url))
		return err_item(e, P_REMOTE, "an address with control characters is not asked for");
	for (size_t i = 0; q->headers != NULL && q->headers[i] != NULL; i++)
		if (!is_clean(q->headers[i]))
			return err_item(
			    e, P_REMOTE, "a header with control characters is not sent");
	return 0;
}

/* The caller's lines, and two that keep libcurl from adding its own. */
static int
set_headers(struct transfer *t, struct err *e)
{
	const struct http_request *q = t->q;
	bool typed = false;
	size_t n = 0;

	while (q->headers != NULL && q->headers[n] != NULL)
		n++;
	if ((t->headers = mem_new(n + 2, sizeof *t->headers, e)) == NULL)
		return -1;
	for (size_t i = 0; i < n; i++) {
		t->headers[i].data = (char *)q->headers[i];
		typed = typed || strncasecmp(q->headers[i], "Content-Type:", 13) == 0;
	}
	t->headers[n++].data = "Expect:";
	if (!typed)
		t->headers[n++].data = "Content-Type:";
	for (size_t i = 0; i + 1 < n; i++)
		t->headers[i].next = &t->headers[i + 1];
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
	return 0;
}

static CURLcode
set_connection(struct transfer *t)
{
	struct http *h = t->h;
	CURL *c = t->easy;
	CURLcode code = curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");

	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(c, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	/* Else a transfer that is ended waits for its name server. */
	curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(c, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)(h->o.connect_s * 1000));
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
	if (code == CURLE_OK && h->ca_file != NULL) {
		code = curl_easy_setopt(c, CURLOPT_CAINFO, h->ca_file);
		curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	}
	return code;
}

static void
set_callbacks(struct transfer *t)
{
	CURL *c = t->easy;

	curl_easy_setopt(c, CURLOPT_PRIVATE, t);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->text);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_head);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, begin);
	curl_easy_setopt(c, CURLOPT_PREREQDATA, t);
	curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, moved);
	curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
	curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
}

static void
set_body(struct transfer *t)
{
	const struct http_request *q = t->q;
	CURL *c = t->easy;
	uint64_t size = body_size(q);

	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, BUFFER_SMALL);
	if (size == 0 || (!q->has_file && size <= AT_ONCE_MAX && t->h->o.pace == NULL)) {
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, size > 0 ? q->body : "");
		return;
	}
	curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_LARGE);
	curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)size);
	curl_easy_setopt(c, CURLOPT_READFUNCTION, read_body);
	curl_easy_setopt(c, CURLOPT_READDATA, t);
	curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, seek_body);
	curl_easy_setopt(c, CURLOPT_SEEKDATA, t);
}

static int
prepare(struct transfer *t, const struct http_request *q, struct http_answer *a, struct err *e)
{
	CURL *c = t->easy;

	t->q = q;
	t->a = a;
	t->done = t->connected = t->head_done = false;
	t->err = (struct err){0};
	t->pos = 0;
	t->up = t->down = 0;
	t->moved_ns = clock_monotonic_ns();
	name_host(q->url, t->host, sizeof t->host);
	set_callbacks(t);
	if (set_headers(t, e) == -1)
		return -1;
	if (strcmp(q->method, "HEAD") == 0) {
		curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	} else if (has_body(q)) {
		set_body(t);
	} else {
		curl_easy_setopt(c, CURLOPT_HTTPGET, 1L);
		curl_easy_setopt(c, CURLOPT_BUFFERSIZE, BUFFER_LARGE);
	}
	if (set_connection(t) != CURLE_OK ||
	    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method) != CURLE_OK ||
	    curl_easy_setopt(c, CURLOPT_USERAGENT, "rectools/" REC_VERSION) != CURLE_OK ||
	    curl_easy_setopt(c, CURLOPT_URL, q->url) != CURLE_OK)
		return err_nomem(e);
	return 0;
}

static void
run(struct http *h, struct transfer *t)
{
	bool wake;

	pthread_mutex_lock(&h->lock);
	wake = TAILQ_EMPTY(&h->queued);
	TAILQ_INSERT_TAIL(&h->queued, t, link);
	pthread_mutex_unlock(&h->lock);
	if (wake)
		eventfd_write(h->wake, 1);
	pthread_mutex_lock(&h->lock);
	while (!t->done)
		pthread_cond_wait(&t->ready, &h->lock);
	pthread_mutex_unlock(&h->lock);
}

/* ---- what came of it ---- */

/* A connection that breaks during the handshake says nothing about trust. */
static bool
is_cut_handshake(const struct transfer *t)
{
	return strstr(t->text, "SSL_ERROR_SYSCALL") != NULL ||
	       strstr(t->text, "unexpected eof") != NULL ||
	       strstr(t->text, "reset by peer") != NULL;
}

static enum http_failure
timed_out(const struct transfer *t)
{
	curl_off_t resolved = 0;

	if (t->connected)
		return HTTP_STALLED;
	curl_easy_getinfo(t->easy, CURLINFO_NAMELOOKUP_TIME_T, &resolved);
	return resolved > 0 ? HTTP_UNREACHABLE : HTTP_UNRESOLVED;
}

static enum http_failure
failure_of(const struct transfer *t)
{
	switch (t->code) {
	case CURLE_OK:
		/* For libcurl a head that was cut is one that came. */
		return t->head_done ? HTTP_ANSWERED : HTTP_CUT;
	case CURLE_OUT_OF_MEMORY:
		/* Said of a line of a head beyond its limit, too. */
		return HTTP_TOO_LARGE;
	case CURLE_COULDNT_RESOLVE_HOST:
		return HTTP_UNRESOLVED;
	case CURLE_COULDNT_CONNECT:
	case CURLE_INTERFACE_FAILED:
		return HTTP_UNREACHABLE;
	case CURLE_OPERATION_TIMEDOUT:
		return timed_out(t);
	case CURLE_SSL_CONNECT_ERROR:
		return is_cut_handshake(t) ? HTTP_CUT : HTTP_TLS;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
	case CURLE_USE_SSL_FAILED:
		return HTTP_TLS;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
		return HTTP_NONSENSE;
	default:
		return strstr(t->text, "hunk") != NULL ? HTTP_NONSENSE : HTTP_CUT;
	}
}

/* Of libcurl's own sentences only those about connecting are told: they hold nothing of the
 * request. */
static void
explain(const struct transfer *t, char *out, size_t size)
{
	const struct http *h = t->h;
	long sys = 0;

	switch (t->a->failure) {
	case HTTP_ANSWERED:
		break;
	case HTTP_UNRESOLVED:
		snprintf(out, size, "the name of %s is not known", t->host);
		break;
	case HTTP_UNREACHABLE:
		curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &sys);
		snprintf(out, size, "%s cannot be reached: %s", t->host,
		    t->code == CURLE_OPERATION_TIMEDOUT || sys == 0 ? "no connection in time"
								    : strerror((int)sys));
		break;
	case HTTP_TLS:
		snprintf(out, size, "%s is not to be trusted: %s", t->host, t->text);
		break;
	case HTTP_CUT:
		snprintf(out, size, "%s ended the connection before its answer was whole", t->host);
		break;
	case HTTP_STALLED:
		snprintf(out, size, "no byte from or to %s for %g s", t->host,
		    (double)h->o.stall_ms / 1000);
		break;
	case HTTP_TOO_LARGE:
		snprintf(out, size, "the answer of %s is larger than allowed", t->host);
		break;
	case HTTP_NONSENSE:
		snprintf(out, size, "what %s answers is not HTTP", t->host);
		break;
	}
}

static int
outcome(struct transfer *t, struct err *e)
{
	struct http_answer *a = t->a;
	char why[512] = "";

	a->sent = (uint64_t)t->up;
	if (t->err.class != ERR_NONE) {
		*e = t->err;
		return -1;
	}
	if (t->code == CURLE_OUT_OF_MEMORY && !t->connected)
		return err_nomem(e);
	if (t->code == CURLE_URL_MALFORMAT || t->code == CURLE_LOGIN_DENIED)
		return err_set(e, ERR_CONFIG, NULL, "the address of %s is not valid", t->host);
	if (a->failure == HTTP_ANSWERED)
		a->failure = failure_of(t);
	explain(t, why, sizeof why);
	utf8_escape(a->why, sizeof a->why, why, strlen(why));
	return 0;
}

int
http_send(struct http *h, const struct http_request *q, struct http_answer *a, struct err *e)
{
	struct transfer *t;
	int rc;

	*a = (struct http_answer){0};
	if (stopped(h))
		return err_set(e, ERR_STOPPED, NULL, "stopped");
	if (check_request(q, e) == -1 || (t = take_transfer(h, e)) == NULL)
		return -1;
	if ((rc = prepare(t, q, a, e)) == 0) {
		run(h, t);
		rc = outcome(t, e);
	}
	put_back(h, t);
	return rc;
}

/* ---- answers ---- */

void
http_answer_free(struct http_answer *a)
{
	if (a->body.data != NULL)
		explicit_bzero(a->body.data, a->body.cap);
	if (a->head.data != NULL)
		explicit_bzero(a->head.data, a->head.cap);
	buf_free(&a->body);
	buf_free(&a->head);
}

/* The value of a line "Name: value" of len bytes, without blanks around it; false for others. */
static bool
header_value(const char *line, size_t len, const char *name, const char **value, size_t *n)
{
	size_t name_len = strlen(name);

	if (len <= name_len || line[name_len] != ':' || strncasecmp(line, name, name_len) != 0)
		return false;
	line += name_len + 1;
	len -= name_len + 1;
	while (len > 0 && isspace((unsigned char)line[len - 1]))
		len--;
	while (len > 0 && isspace((unsigned char)*line)) {
		line++;
		len--;
	}
	*value = line;
	*n = len;
	return true;
}

bool
http_header(const struct http_answer *a, const char *name, char *out, size_t size)
{
	const char *s = a->head.data, *end, *value = NULL;
	size_t left = a->head.len, len, n = 0;

	for (; left > 0; s += len, left -= len) {
		end = memchr(s, '\n', left);
		len = end == NULL ? left : (size_t)(end - s) + 1;
		header_value(s, len, name, &value, &n);
	}
	if (value == NULL || n >= size || memchr(value, '\0', n) != NULL)
		return false;
	memcpy(out, value, n);
	out[n] = '\0';
	return true;
}

int64_t
http_retry_after(const struct http_answer *a)
{
	char text[64];
	int64_t s, date;

	if (!http_header(a, "Retry-After", text, sizeof text))
		return -1;
	if (text[0] != '\0' && text[strspn(text, "0123456789")] == '\0') {
		if (!mem_parse_i64(text, 0, RETRY_AFTER_MAX, &s))
			s = RETRY_AFTER_MAX;
		return s;
	}
	if (!http_date(text, &date))
		return -1;
	s = date - clock_now().tv_sec - (a->has_skew ? a->skew_s : 0);
	return s < 0 ? 0 : s < RETRY_AFTER_MAX ? s : RETRY_AFTER_MAX;
}

bool
http_date(const char *text, int64_t *s)
{
	time_t date = curl_getdate(text, NULL);

	*s = date;
	return date != -1;
}

bool
http_begins_at(const struct http_answer *a, uint64_t offset)
{
	char range[96], wanted[48];
	int n = snprintf(wanted, sizeof wanted, "bytes %" PRIu64 "-", offset);

	return http_header(a, "Content-Range", range, sizeof range) &&
	       strncmp(range, wanted, (size_t)n) == 0;
}

/* ---- URLs ---- */

int
http_escape(struct buf *out, const char *text, size_t len, bool keep_slash, struct err *e)
{
	static const char digits[] = "0123456789ABCDEF";
	char *p;

	if (len > (SIZE_MAX - 1) / 3 || buf_room(out, 3 * len, e) == -1)
		return err_nomem(e);
	p = out->data + out->len;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    c == '-' || c == '.' || c == '_' || c == '~' || (c == '/' && keep_slash)) {
			*p++ = (char)c;
			continue;
		}
		*p++ = '%';
		*p++ = digits[c >> 4];
		*p++ = digits[c & 15];
	}
	*p = '\0';
	out->len = (size_t)(p - out->data);
	return 0;
}

bool
http_unescape(char *s)
{
	unsigned char c;
	char *out = s;

	for (; *s != '\0'; s++) {
		if (*s != '%') {
			*out++ = *s;
			continue;
		}
		if (!isxdigit((unsigned char)s[1]) || hash_unhex(s + 1, 2, &c) == -1 || c == '\0')
			return false;
		*out++ = (char)c;
		s += 2;
	}
	*out = '\0';
	return true;
}

static int
bad_url(const char *why, struct err *e)
{
	return err_set(e, ERR_CONFIG, NULL, "the address of a remote %s", why);
}

static bool
is_host(const char *s, size_t n)
{
	bool ip6 = n > 2 && s[0] == '[' && s[n - 1] == ']';

	for (size_t i = ip6; i < n - ip6; i++)
		if (ip6 ? !isxdigit((unsigned char)s[i]) && s[i] != ':' && s[i] != '.'
			: !isalnum((unsigned char)s[i]) && strchr("-._", s[i]) == NULL)
			return false;
	return n > 0;
}

/* "host[:port]" of n bytes. */
static int
parse_host(const char *s, size_t n, struct http_url *u, struct err *e)
{
	const char *end = memrchr(s, ']', n);
	const char *colon =
	    memrchr(end == NULL ? s : end, ':', end == NULL ? n : n - (size_t)(end - s));
	size_t host = colon == NULL ? n : (size_t)(colon - s);
	char digits[8];
	int64_t port = 0;

	if (memchr(s, '@', n) != NULL)
		return bad_url("holds a user name: give user and password apart from it", e);
	if (host >= sizeof u->host || !is_host(s, host))
		return bad_url("has no valid host: write scheme://host[:port]/path", e);
	if (colon != NULL) {
		snprintf(digits, sizeof digits, "%.*s", (int)(n - host - 1), colon + 1);
		if (n - host - 1 > 5 || digits[strspn(digits, "0123456789")] != '\0' ||
		    !mem_parse_i64(digits, 1, 65535, &port))
			return bad_url("has no valid port: it is a number from 1 to 65535", e);
	}
	memcpy(u->host, s, host);
	u->host[host] = '\0';
	u->port = (unsigned)port;
	return 0;
}

int
http_url_parse(const char *text, struct http_url *u, struct err *e)
{
	size_t n = strcspn(text, ":"), host;

	*u = (struct http_url){0};
	if (n == 0 || n >= sizeof u->scheme || strncmp(text + n, "://", 3) != 0)
		return bad_url("is not of the form scheme://host[:port]/path", e);
	for (size_t i = 0; i < n; i++) {
		if (!isalnum((unsigned char)text[i]))
			return bad_url("begins with no valid scheme, such as https", e);
		u->scheme[i] = (char)tolower((unsigned char)text[i]);
	}
	text += n + 3;
	if (text[strcspn(text, "?#")] != '\0')
		return bad_url("may not hold \"?\" or \"#\": write them as %3F and %23", e);
	if (!is_clean(text) || strchr(text, ' ') != NULL)
		return bad_url("holds a blank or a control character", e);
	host = strcspn(text, "/");
	if (parse_host(text, host, u, e) == -1)
		return -1;
	u->path = text + host;
	return 0;
}

bool
http_is_loopback(const struct http_url *u)
{
	struct in_addr a;

	if (strcasecmp(u->host, "localhost") == 0 || strcmp(u->host, "[::1]") == 0)
		return true;
	return inet_pton(AF_INET, u->host, &a) == 1 && ntohl(a.s_addr) >> 24 == 127;
}
