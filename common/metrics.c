#include "metrics.h"

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
	return io_put_file(path, text->data, text->len, 0644, e) == 0
		   ? 0
		   : err_prefix(e, "--metrics %s", path);
}
