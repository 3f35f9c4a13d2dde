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

static struct json *
new_record(const char *check, enum finding_status status, enum finding_severity severity,
    const char *code, const char *action, const struct json *facts, const char *text, struct err *e)
{
	struct json *rec = json_new_object(e);
	struct err problem;

	/* Makes valid UTF-8 of whatever names went into it. */
	err_item(&problem, code, "%s", text);
	if (rec != NULL && json_put_str(rec, "check", check, e) == 0 &&
	    json_put_str(rec, "status", finding_status_name(status), e) == 0 &&
	    json_put_str(rec, "severity", finding_severity_name(severity), e) == 0 &&
	    json_put_str(rec, "message", problem.text, e) == 0 &&
	    json_put_str(rec, "action", action, e) == 0 && add_facts(rec, facts, e) == 0 &&
	    (code == NULL || record_put_problem(rec, &problem, e) == 0))
		return rec;
	json_free(rec);
	return NULL;
}

int
finding_tell(struct findings *f, const char *check, enum finding_status status,
    enum finding_severity severity, const char *code, const char *action, struct json *facts,
    struct err *e, const char *fmt, ...)
{
	struct json *rec;
	va_list args;
	char text[sizeof e->text];
	int rc = -1;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	rec = new_record(check, status, severity, code, action, facts, text, e);
	json_free(facts);
	if (rec == NULL)
		return -1;
	count(f, check, status);
	if (status == FINDING_PASS || keep(f, rec, e) == 0)
		rc = tool_emit_found(f->t, rec, e);
	json_free(rec);
	return rc;
}

/*
 * What trying again does not help (3) outweighs what it may (4). The one that stays is what the
 * tool ends with, and is told then; the others are told here.
 */
static void
remember(struct findings *f, const struct err *why)
{
	struct err *first = &f->could_not;
	bool graver = first->class == ERR_BUSY && why->class != ERR_BUSY;

	if (first->class != ERR_NONE)
		tool_tell(f->t, NULL, "%s", graver ? first->text : why->text);
	if (first->class != ERR_NONE && !graver)
		return;
	*first = *why;
	if (first->class == ERR_ITEM)
		first->class = ERR_SYSTEM;
}

static const char *
default_action(const struct err *why)
{
	switch (why->class) {
	case ERR_CATALOGUE:
		return "repair the database first: see the findings about it";
	case ERR_BUSY:
		return "check again when the program that holds it has ended";
	default:
		return "remove the cause that the message names, and check again";
	}
}

int
finding_could_not(
    struct findings *f, const char *check, const char *action, const struct err *why, struct err *e)
{
	const char *code = why->code != NULL	      ? why->code
			   : why->class == ERR_BUSY   ? P_BUSY
			   : why->class == ERR_SYSTEM ? P_UNREADABLE
						      : P_BAD_RECORD;
	struct json *rec;
	char text[sizeof why->text];
	int rc = -1;

	if (why->class == ERR_STOPPED || (why->class == ERR_SYSTEM && why->sys == ENOMEM)) {
		*e = *why;
		return -1;
	}
	remember(f, why);
	snprintf(text, sizeof text, "could not be checked: %.700s", why->text);
	rec = new_record(check, FINDING_ERROR, SEVERITY_HIGH, code,
	    action != NULL ? action : default_action(why), NULL, text, e);
	if (rec == NULL)
		return -1;
	count(f, check, FINDING_ERROR);
	if (keep(f, rec, e) == 0)
		rc = tool_emit(f->t, rec, e);
	json_free(rec);
	return rc;
}

int64_t
findings_count(const struct findings *f, const char *check, enum finding_status status)
{
	for (unsigned i = 0; i < f->n_checks; i++)
		if (strcmp(f->by_check[i].check, check) == 0)
			return f->by_check[i].count[status];
	return 0;
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
