#include "metrics.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io.h"

int
metrics_head(struct buf *out, const char *name, const char *help, struct err *e)
{
	return buf_addf(out, e, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

int
metrics_sample(struct buf *out, const char *name, const char *labels, double value, struct err *e)
{
	return buf_addf(out, e, "%s%s%s%s %.17g\n", name, labels != NULL ? "{" : "",
	    labels != NULL ? labels : "", labels != NULL ? "}" : "", value);
}

int
metrics_gauge(struct buf *out, const char *name, const char *help, const char *labels, double value,
    struct err *e)
{
	return metrics_head(out, name, help, e) == -1 ? -1
						      : metrics_sample(out, name, labels, value, e);
}

int
metrics_write(const char *path, const struct buf *text, struct err *e)
{
	const char *slash = strrchr(path, '/');
	char *folder =
	    slash == NULL ? mem_str(".", e) : mem_bytes(path, (size_t)(slash - path) + 1, e);
	struct io_new f = {.fd = -1};
	int dirfd = folder == NULL ? -1 : io_open_dir(AT_FDCWD, folder, e), rc = -1;

	if (dirfd != -1 && io_new_open(&f, dirfd, slash != NULL ? slash + 1 : path, e) == 0 &&
	    io_write(f.fd, text->data, text->len, e) == 0)
		rc = io_new_commit(&f, 0644, true, e);
	io_new_close(&f);
	if (dirfd != -1)
		close(dirfd);
	free(folder);
	if (rc == -1) {
		err_prefix(e, "--metrics %s", path);
		e->class = ERR_SYSTEM;
	}
	return rc;
}
