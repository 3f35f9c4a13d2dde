/*
 * take-driver ROOT record FILE: FILE is recorded in the archive, by one write.
 * take-driver ROOT recover: every .part that nobody holds; a line for each.
 *
 * For the fault tests of take.h. Status 0; 1 when a file alone is the reason; 3.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io.h"
#include "mem.h"
#include "take.h"

static const struct audio_opts opts;

static int
record(struct archive *a, struct buf *sound, struct err *e)
{
	struct timespec start = {.tv_sec = 1757066400}; /* 2025-09-05 10:00:00 */
	struct provenance origin = {.tool = "take-driver", .started = start};
	struct run r = {0};
	struct take t;
	struct measure m;
	struct err ignored;
	int64_t id;
	int rc = take_open(&t, a, start, "wav", 65536, e);

	if (rc == -1)
		return -1;
	audio_measure_init(&m);
	if ((rc = io_write(t.fd, sound->data, sound->len, e)) == 0 &&
	    (rc = run_open(&r, a, "capture", e)) == 0) {
		if ((rc = take_finish(&t, &r, NULL, &origin, &opts, &m, &id, e)) == 0)
			rc = run_end(&r, 0, e);
		else if (e->class == ERR_ITEM)
			run_end(&r, 1, &ignored);
	}
	run_close(&r);
	take_close(&t);
	audio_measure_free(&m);
	return rc;
}

static int
tell(void *ctx, const char *part, int64_t id, const struct err *problem, struct err *e)
{
	(void)ctx;
	(void)e;
	printf("%s %lld %s\n", part, (long long)id, problem != NULL ? problem->text : "");
	return 0;
}

static int
recover(struct archive *a, struct err *e)
{
	struct run r;
	int rc;

	if (run_open(&r, a, "capture", e) == -1)
		return -1;
	if ((rc = take_recover(a, &r, &opts, tell, NULL, e)) == 0)
		rc = run_end(&r, 0, e);
	run_close(&r);
	return rc;
}

int
main(int argc, char **argv)
{
	struct archive a;
	struct buf sound = {0};
	struct err e = {0};
	bool records = argc == 4 && strcmp(argv[2], "record") == 0;
	int rc = -1;

	if (!records && (argc != 3 || strcmp(argv[2], "recover") != 0)) {
		fprintf(stderr, "usage: take-driver ROOT record FILE | ROOT recover\n");
		return 2;
	}
	if (records && io_read_file(AT_FDCWD, argv[3], 1 << 20, &sound, &e) == -1)
		goto out;
	if (chdir(argv[1]) == -1) {
		err_sys(&e, "%s", argv[1]);
		goto out;
	}
	if (archive_open(&a, NULL, true, NULL, &e) == -1)
		goto out;
	rc = records ? record(&a, &sound, &e) : recover(&a, &e);
	archive_close(&a);
out:
	buf_free(&sound);
	if (rc == 0)
		return 0;
	fprintf(stderr, "take-driver: %s\n", e.text);
	return e.class == ERR_ITEM ? 1 : 3;
}
