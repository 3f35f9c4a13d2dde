#include "finding.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "record.h"

const char *
finding_status_name(enum finding_status s)
{
	static const char *const names[] = {"pass", "warning", "fail", "error"};

	return names[s];
}

const char *
finding_severity_name(enum finding_severity s)
{
	static const char *const names[] = {"info", "low", "medium", "high", "critical"};

	return names[s];
}

static void
count(struct findings *f, const char *check, enum finding_status status)
{
	unsigned i;

	f->count[status]++;
	for (i = 0; i < f->n_checks && strcmp(f->by_check[i].check, check) != 0; i++)
		;
	if (i == FINDING_CHECKS)
		return;
	if (i == f->n_checks)
		f->by_check[f->n_checks++].check = check;
	f->by_check[i].count[status]++;
}

static int
keep(struct findings *f, const struct json *rec, struct err *e)
{
	if (!f->keep || f->n_kept == FINDING_KEPT)
		return 0;
	if (f->kept == NULL && (f->kept = mem_new(FINDING_KEPT, sizeof(struct json *), e)) == NULL)
		return -1;
	if ((f->kept[f->n_kept] = json_clone(rec, e)) == NULL)
		return -1;
	f->n_kept++;
	return 0;
}

/* The facts behind the keys that every finding has. */
static int
add_facts(struct json *rec, const struct json *facts, struct err *e)
{
	const char *key;
	struct json *v, *copy;

	if (facts == NULL)
		return 0;
	for (void *it = json_first(facts, &key, &v); it != NULL;
	     it = json_next(facts, it, &key, &v))
		if ((copy = json_clone(v, e)) == NULL || json_put(rec, key, copy, e) == -1)
			return -1;
	return 0;
}

int
finding_tell(struct findings *f, const char *check, enum finding_status status,
    enum finding_severity severity, const char *code, const char *action, struct json *facts,
    struct err *e, const char *fmt, ...)
{
	struct json *rec = json_new_object(e);
	struct err problem;
	va_list args;
	char text[sizeof problem.text];
	int rc = -1;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	/* Makes valid UTF-8 of whatever names went into it. */
	err_item(&problem, code, "%s", text);
	if (rec == NULL || json_put_str(rec, "check", check, e) == -1 ||
	    json_put_str(rec, "status", finding_status_name(status), e) == -1 ||
	    json_put_str(rec, "severity", finding_severity_name(severity), e) == -1 ||
	    json_put_str(rec, "message", problem.text, e) == -1 ||
	    json_put_str(rec, "action", action, e) == -1 || add_facts(rec, facts, e) == -1 ||
	    (code != NULL && record_put_problem(rec, &problem, e) == -1))
		goto out;
	count(f, check, status);
	if (status != FINDING_PASS && keep(f, rec, e) == -1)
		goto out;
	rc = tool_emit_found(f->t, rec, e);
out:
	json_free(rec);
	json_free(facts);
	return rc;
}

int
finding_could_not(
    struct findings *f, const char *check, const char *action, const struct err *why, struct err *e)
{
	const char *code = why->code != NULL	      ? why->code
			   : why->class == ERR_BUSY   ? P_BUSY
			   : why->class == ERR_SYSTEM ? P_UNREADABLE
						      : P_BAD_RECORD;

	if (why->class == ERR_STOPPED || (why->class == ERR_SYSTEM && why->sys == ENOMEM)) {
		*e = *why;
		return -1;
	}
	/* What trying again does not help (3) outweighs what it may (4). */
	if (f->could_not.class == ERR_NONE ||
	    (f->could_not.class == ERR_BUSY && why->class != ERR_BUSY))
		f->could_not = *why;
	if (f->could_not.class == ERR_ITEM)
		f->could_not.class = ERR_SYSTEM;
	return finding_tell(f, check, FINDING_ERROR, SEVERITY_HIGH, code, action, NULL, e,
	    "could not be checked: %s", why->text);
}

void
findings_free(struct findings *f)
{
	for (size_t i = 0; i < f->n_kept; i++)
		json_free(f->kept[i]);
	free(f->kept);
	f->kept = NULL;
	f->n_kept = 0;
}
