/*
 * report: a health check as one self-contained HTML page.
 *
 * Totals, growth over time, formats and sample rates, durations, loudness, the age of the fixity
 * checks, the findings with what to do, and a waveform of each damaged file with the damage marked.
 * Inline SVG and CSS, no script, nothing from elsewhere; readable in light and dark, on a phone and
 * on paper. Every name that comes from the archive is escaped.
 */
#ifndef REC_REPORT_H
#define REC_REPORT_H

#include "archive.h"
#include "err.h"
#include "finding.h"

/* Waveforms that are drawn at most: each decodes its file. */
#define REPORT_WAVEFORMS 24

/*
 * Writes the page to path (temporary name, renamed, mode 0644). f has kept its findings.
 * a is NULL when the archive could not be opened, a->catalogue when that could not be: then the
 * page shows the findings alone. What of the catalogue or of a file cannot be read is told on the
 * page; -1 and *e when the page cannot be written, memory is short, or when stopped.
 */
int report_write(
    const char *path, const struct archive *a, const struct findings *f, struct err *e);

#endif
