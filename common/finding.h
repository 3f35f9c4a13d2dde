/*
 * finding: what a health check found, told and counted.
 *
 *	{"check":"disk.raw","status":"warning","severity":"medium","message":…,"action":…,
 *	 … facts of this check …, "problem":{"code":…,"message":…}}
 *
 * `check` is GROUP.WHAT. A finding that names a problem code makes the exit status 1; what could
 * not be checked (status error) makes it 3 or 4. Facts are numbers with their unit in the name; a
 * finding about a recording has its id and path.
 */
#ifndef REC_FINDING_H
#define REC_FINDING_H

#include <stdint.h>

#include "err.h"
#include "json.h"
#include "tool.h"

enum finding_status {
	FINDING_PASS,
	FINDING_WARNING,
	FINDING_FAIL,
	FINDING_ERROR,
	FINDING_STATUSES
};
enum finding_severity {
	SEVERITY_INFO,
	SEVERITY_LOW,
	SEVERITY_MEDIUM,
	SEVERITY_HIGH,
	SEVERITY_CRITICAL
};

/* pass warning fail error; info low medium high critical */
const char *finding_status_name(enum finding_status s);
const char *finding_severity_name(enum finding_severity s);

#define FINDING_CHECKS 64 /* different checks that are counted */
#define FINDING_KEPT 1000 /* findings that are kept for a report */

struct finding_tally {
	const char *check; /* static */
	int64_t count[FINDING_STATUSES];
};

struct findings {
	struct tool *t;
	struct finding_tally by_check[FINDING_CHECKS];
	unsigned n_checks;
	int64_t count[FINDING_STATUSES];
	struct err
	    could_not; /* the first of the gravest: class ERR_NONE when all could be checked */
	/* For a report: records that are no pass, copies, at most FINDING_KEPT; only when keep is
	 * set. */
	bool keep;
	struct json **kept;
	size_t n_kept;
};

/*
 * Tells one finding. `facts` (taken over, also on failure; NULL: none) holds its further keys.
 * `check`, `code` and `action` are static; code is NULL for a pass and for a warning that is no
 * problem; action is NULL when nothing is to be done. 0, or -1 and *e when writing fails.
 */
int finding_tell(struct findings *f, const char *check, enum finding_status status,
    enum finding_severity severity, const char *code, const char *action, struct json *facts,
    struct err *e, const char *fmt, ...) __attribute__((format(printf, 9, 10)));
/* What could not be checked, and why: status error. 0; -1 and *e when it is to stop (ERR_STOPPED,
 * no memory). */
int finding_could_not(struct findings *f, const char *check, const char *action,
    const struct err *why, struct err *e);
/* How many findings of this check have this status so far. */
int64_t findings_count(const struct findings *f, const char *check, enum finding_status status);
void findings_free(struct findings *f);

#endif
