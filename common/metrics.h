/*
 * metrics: Prometheus text format, for node_exporter's textfile collector.
 *
 * The file is written to a temporary name and renamed, mode 0644, so that a scrape never sees half
 * of it. Format: prometheus.io, "Exposition formats", text-based 0.0.4.
 */
#ifndef REC_METRICS_H
#define REC_METRICS_H

#include "err.h"
#include "mem.h"

/* Adds one gauge with its help line; labels is NULL or what stands between the braces. */
int metrics_gauge(struct buf *out, const char *name, const char *help, const char *labels,
    double value, struct err *e);
/* The same in two steps, for a gauge with several samples: its head once, then the samples. */
int metrics_head(struct buf *out, const char *name, const char *help, struct err *e);
int metrics_sample(
    struct buf *out, const char *name, const char *labels, double value, struct err *e);
int metrics_write(const char *path, const struct buf *text, struct err *e);

#endif
