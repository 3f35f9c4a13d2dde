#include "recovery.h"

#include <stdlib.h>
#include <string.h>

#include "finisher.h"
#include "json.h"
#include "mem.h"
#include "record.h"
#include "run.h"
#include "take.h"
#include "volume.h"

struct telling {
	struct tool *t;
	struct archive *a;
	bool print;
};

static int
tell_recovered(void *ctx, const char *part, int64_t id, const struct err *problem, struct err *e)
{
	struct telling *tell = ctx;
	struct json *rec;
	char *path;
	int rc = -1;

	if (id != 0) {
		tool_tell(
		    tell->t, part, "was left by a crash, and is recording %lld now", (long long)id);
		return tell->print ? finisher_print(tell->t, tell->a, id, e) : 0;
	}
	if (!tell->print) {
		tool_tell(tell->t, part, "was left by a crash, and stays: %s",
		    problem != NULL ? problem->text : "");
		return 0;
	}
	path = mem_fmt(e, "%s/%s", tell->a->paths[FOLDER_TEMP], part);
	rec = path == NULL ? NULL : json_new_object(e);
	if (rec != NULL && json_put_bytes(rec, "path", path, strlen(path), e) == 0 &&
	    (problem == NULL || record_put_problem(rec, problem, e) == 0))
		rc = tool_emit_found(tell->t, rec, e);
	json_free(rec);
	free(path);
	return rc;
}

static int
count_part(void *ctx, const char *part, int64_t id, const struct err *problem, struct err *e)
{
	(void)part;
	(void)id;
	(void)problem;
	(void)e;
	++*(int64_t *)ctx;
	return 0;
}

int
recovery_run(struct tool *t, struct archive *writer, bool dry_run, bool print, struct err *e)
{
	struct telling tell = {.t = t, .a = writer, .print = print};
	struct audio_opts o = {.stop = &tool_stop};
	struct run r = {0};
	int64_t found = 0;
	int rc = -1;

	if (dry_run)
		return take_recover(writer, NULL, &o, tell_recovered, &tell, e);
	/* Nothing found, nothing begun: a run would change the schema of an archive. */
	if (!print && take_recover(writer, NULL, &o, count_part, &found, e) == -1)
		return -1;
	if (!print && found == 0)
		return 0;
	if (run_open(&r, writer, "capture", e) == 0 && run_upgrade(&r, e) == 0 &&
	    volume_record(&r, e) == 0 &&
	    take_recover(writer, &r, &o, tell_recovered, &tell, e) == 0)
		rc = run_end(&r, t->problems, e);
	run_close(&r);
	return rc;
}
