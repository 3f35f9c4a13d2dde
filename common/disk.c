#include "disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "mem.h"

#define MIB (UINT64_C(1) << 20)
#define FAIL_PERCENT 95.0
#define WARNING_PERCENT 85.0
#define FAIL_FREE_MIB 100
#define WARNING_FREE_MIB 1024
#define PLACES (FOLDERS + 1)

/* A folder, or the database, and the file system that it is on. */
struct place {
	const char *name;
	char *where; /* what is there of its path; NULL: could not be found out, and was told */
	dev_t device;
	bool told;
};

/* ---- where things are ---- */

/* Cuts the last component off: false when nothing is left to cut. */
static bool
to_parent(char *path)
{
	char *slash = strrchr(path, '/');

	if (strcmp(path, "/") == 0 || strcmp(path, ".") == 0)
		return false;
	if (slash == NULL)
		strcpy(path, ".");
	else
		slash[slash == path] = '\0';
	return true;
}

/* The path, or the nearest folder above it that is there: where it would be made. NULL and *e. */
static char *
nearest(const char *path, struct stat *st, struct err *e)
{
	char *where = mem_str(path[0] != '\0' ? path : ".", e);

	while (where != NULL && stat(where, st) == -1)
		if ((errno != ENOENT && errno != ENOTDIR) || !to_parent(where)) {
			err_sys(e, "%s", where);
			free(where);
			where = NULL;
		}
	return where;
}

static int
find_places(struct findings *f, const struct archive *a, struct place *places, struct err *e)
{
	struct err why;
	struct stat st;

	for (int i = 0; i < PLACES; i++) {
		struct place *p = &places[i];

		p->name = i < FOLDERS ? archive_folder_name((enum folder)i) : "database";
		p->where = nearest(i < FOLDERS ? a->paths[i] : a->catalogue_opts.path, &st, &why);
		if (p->where != NULL)
			p->device = st.st_dev;
		else if (finding_could_not(f, "disk.space",
			     "see that this user may enter the folders above", &why, e) == -1)
			return -1;
	}
	return 0;
}

/* ---- facts ---- */

/* The names of the places on this one's file system; they count as told then. */
static struct json *
names_on(struct place *places, const struct place *first, struct err *e)
{
	struct json *names = json_new_array(e);

	for (int i = 0; i < PLACES && names != NULL; i++) {
		struct place *p = &places[i];

		if (p->where == NULL || p->device != first->device)
			continue;
		p->told = true;
		if (json_append_str(names, p->name, e) == -1) {
			json_free(names);
			names = NULL;
		}
	}
	return names;
}

static struct json *
new_facts(const struct place *p, const struct json *names, struct err *e)
{
	struct json *facts = json_new_object(e), *copy;

	if (facts == NULL)
		return NULL;
	if (json_put_bytes(facts, "path", p->where, strlen(p->where), e) == -1 ||
	    (copy = json_clone(names, e)) == NULL || json_put(facts, "holds", copy, e) == -1) {
		json_free(facts);
		return NULL;
	}
	return facts;
}

static int64_t
bytes_of(uint64_t blocks, uint64_t block_bytes)
{
	uint64_t bytes;

	return mem_mul(blocks, block_bytes, &bytes) && bytes < INT64_MAX ? (int64_t)bytes
									 : INT64_MAX;
}

/* As df(1): what only the superuser may use counts neither as used nor as free. */
static double
percent_used(uint64_t total, uint64_t unused, uint64_t available)
{
	double used = (double)total - (double)unused, all = used + (double)available;

	return all > 0 ? 100 * used / all : 0;
}

static int
put_three(struct json *facts, const char *const keys[3], int64_t unused, int64_t total,
    double percent, struct err *e)
{
	return json_put_int(facts, keys[0], unused, e) == -1 ||
		       json_put_int(facts, keys[1], total, e) == -1 ||
		       json_put_real(facts, keys[2], (double)(int64_t)(percent * 10) / 10, e) == -1
		   ? -1
		   : 0;
}

/* ---- findings ---- */

static int
tell_space(struct findings *f, const struct archive *a, const struct place *p,
    const struct statvfs *v, struct json *facts, struct err *e)
{
	static const char check[] = "disk.space";
	static const char *const keys[] = {"free_bytes", "total_bytes", "used_percent"};
	static const char make_room[] =
	    "make room on this file system or enlarge it: when it is full, recordings are cut off "
	    "and the database cannot be written";
	int64_t left = bytes_of(v->f_bavail, v->f_frsize), left_mib = left / (int64_t)MIB,
		total = bytes_of(v->f_blocks, v->f_frsize),
		least_mib = config_int(a->config, CONFIG_MIN_FREE_MB);
	double percent = percent_used(v->f_blocks, v->f_bfree, v->f_bavail);

	if (put_three(facts, keys, left, total, percent, e) == -1) {
		json_free(facts);
		return -1;
	}
	/* Some file systems (of the network, of user space) do not know. */
	if (v->f_blocks == 0)
		return finding_tell(f, check, FINDING_PASS, SEVERITY_INFO, NULL, NULL, facts, e,
		    "the file system of %s does not tell its size", p->where);
	if (percent >= FAIL_PERCENT || left_mib < FAIL_FREE_MIB)
		return finding_tell(f, check, FINDING_FAIL, SEVERITY_CRITICAL, P_NO_SPACE,
		    make_room, facts, e,
		    "the file system of %s is %.1f %% full, %lld MiB are free; %.0f %% or less "
		    "than %d MiB are too little room",
		    p->where, percent, (long long)left_mib, FAIL_PERCENT, FAIL_FREE_MIB);
	if (config_bool(a->config, CONFIG_DISK_CHECK) && left_mib < least_mib)
		return finding_tell(f, check, FINDING_FAIL, SEVERITY_CRITICAL, P_NO_SPACE,
		    make_room, facts, e,
		    "the file system of %s has %lld MiB free; the environment asks for %lld MiB "
		    "(%s)",
		    p->where, (long long)left_mib, (long long)least_mib,
		    config_name(CONFIG_MIN_FREE_MB));
	if (percent >= WARNING_PERCENT || left_mib < WARNING_FREE_MIB)
		return finding_tell(f, check, FINDING_WARNING, SEVERITY_MEDIUM, NULL,
		    "plan for more room: from 95 % or below 100 MiB free this is a failure", facts,
		    e, "the file system of %s is %.1f %% full, %lld MiB are free", p->where,
		    percent, (long long)left_mib);
	return finding_tell(f, check, FINDING_PASS, SEVERITY_INFO, NULL, NULL, facts, e,
	    "the file system of %s is %.1f %% full, %lld MiB are free", p->where, percent,
	    (long long)left_mib);
}

static int
tell_inodes(struct findings *f, const struct place *p, const struct statvfs *v, struct json *facts,
    struct err *e)
{
	static const char check[] = "disk.inodes";
	static const char *const keys[] = {"inodes_free", "inodes_total", "inodes_used_percent"};
	static const char action[] =
	    "remove small files that are not needed on this file system: without inodes no file "
	    "can be made, however many bytes are free";
	int64_t left = bytes_of(v->f_favail, 1), total = bytes_of(v->f_files, 1);
	double percent = percent_used(v->f_files, v->f_ffree, v->f_favail);
	bool full = percent >= FAIL_PERCENT;

	if (put_three(facts, keys, left, total, percent, e) == -1) {
		json_free(facts);
		return -1;
	}
	/* Btrfs and others make them as they are needed. */
	if (v->f_files == 0)
		return finding_tell(f, check, FINDING_PASS, SEVERITY_INFO, NULL, NULL, facts, e,
		    "the file system of %s has no fixed number of inodes", p->where);
	if (percent >= WARNING_PERCENT)
		return finding_tell(f, check, full ? FINDING_FAIL : FINDING_WARNING,
		    full ? SEVERITY_CRITICAL : SEVERITY_MEDIUM, full ? P_NO_SPACE : NULL, action,
		    facts, e,
		    "the file system of %s has used %.1f %% of its inodes, %lld of %lld are free",
		    p->where, percent, (long long)left, (long long)total);
	return finding_tell(f, check, FINDING_PASS, SEVERITY_INFO, NULL, NULL, facts, e,
	    "the file system of %s has used %.1f %% of its inodes", p->where, percent);
}

/* Both findings about the file system of a place. */
static int
tell_file_system(struct findings *f, const struct archive *a, const struct place *p,
    const struct json *names, struct err *e)
{
	struct statvfs v;
	struct json *facts;
	struct err why;

	if (statvfs(p->where, &v) == -1) {
		err_sys(&why, "asking the file system of %s for its room", p->where);
		return finding_could_not(f, "disk.space", NULL, &why, e);
	}
	if ((facts = new_facts(p, names, e)) == NULL || tell_space(f, a, p, &v, facts, e) == -1)
		return -1;
	return (facts = new_facts(p, names, e)) == NULL ? -1 : tell_inodes(f, p, &v, facts, e);
}

int
disk_check(struct findings *f, const struct archive *a, struct err *e)
{
	struct place places[PLACES] = {{0}};
	struct json *names;
	int rc = find_places(f, a, places, e);

	for (int i = 0; i < PLACES && rc == 0; i++) {
		if (places[i].where == NULL || places[i].told)
			continue;
		if ((names = names_on(places, &places[i], e)) == NULL)
			rc = -1;
		else
			rc = tell_file_system(f, a, &places[i], names, e);
		json_free(names);
	}
	for (int i = 0; i < PLACES; i++)
		free(places[i].where);
	return rc;
}
