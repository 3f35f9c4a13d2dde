#include "folders.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "database.h"
#include "mem.h"

/* What is known of one folder while it is looked at. */
struct visit {
	struct findings *f;
	const struct archive *a;
	const char *check;
	const char *name; /* raw … database */
	const char *path;
};

/* Tells one finding of the folder; the message follows its path. */
static int
tell(const struct visit *v, enum finding_status status, const char *code, const char *action,
    const char *message, struct err *e)
{
	static const enum finding_severity severity[] = {
	    [FINDING_PASS] = SEVERITY_INFO,
	    [FINDING_WARNING] = SEVERITY_MEDIUM,
	    [FINDING_FAIL] = SEVERITY_HIGH,
	};
	struct json *facts = json_new_object(e);

	if (facts == NULL)
		return -1;
	if (json_put_bytes(facts, "path", v->path, strlen(v->path), e) == -1) {
		json_free(facts);
		return -1;
	}
	return finding_tell(v->f, v->check, status, severity[status], code, action, facts, e,
	    "the folder %s %s", v->path, message);
}

/* ---- a folder that is not there ---- */

/* Whether raw can be absent: nothing was recorded yet. */
static int
check_absent_raw(const struct visit *v, struct err *e)
{
	struct catalogue_counts n;
	struct err why;
	char message[160];

	if (v->a->catalogue == NULL)
		return tell(v, FINDING_WARNING, NULL,
		    "see whether the disk is mounted and RECORDINGS_RAW_PATH is right",
		    "is not there; whether it should hold recordings is not known without the "
		    "database",
		    e);
	if (catalogue_count(v->a->catalogue, &n, &why) == -1)
		return database_could_not(v->f, v->check, &why, e);
	if (n.rows == 0)
		return tell(v, FINDING_PASS, NULL, NULL,
		    "is not there; it is made with the first recording", e);
	snprintf(message, sizeof message,
	    "is not there, and the database has %lld recordings that it should hold",
	    (long long)n.rows);
	return tell(v, FINDING_FAIL, P_MISSING,
	    "mount its disk, or set RECORDINGS_RAW_PATH right; make no new folder before the "
	    "recordings are found",
	    message, e);
}

static int
check_absent(const struct visit *v, struct err *e)
{
	struct stat st;

	if (lstat(v->path, &st) == 0)
		return tell(v, FINDING_FAIL, P_MISSING,
		    "mount the disk that the link leads to, or set the link right",
		    "is a link that leads nowhere", e);
	if (strcmp(v->name, "raw") == 0)
		return check_absent_raw(v, e);
	if (strcmp(v->name, "database") == 0)
		return tell(v, FINDING_FAIL, P_MISSING,
		    "see whether the disk is mounted, -C names the archive's root, and "
		    "DATABASE_URL is right",
		    "of the database is not there", e);
	return tell(v, FINDING_PASS, NULL, NULL, "is not there; it is made when it is needed", e);
}

/* ---- a folder that is there ---- */

/*
 * What this user may not do with it: a message, or "". With errno, when that is no question of
 * permission, as the class of *why.
 */
static int
denied(const char *path, char *out, size_t size, struct err *why)
{
	static const struct {
		int mode;
		const char *what;
	} uses[] = {{R_OK, "read"}, {W_OK, "written"}, {X_OK, "entered"}};
	size_t n = 0;
	bool read_only = false;

	out[0] = '\0';
	for (int i = 0; i < 3; i++) {
		if (faccessat(AT_FDCWD, path, uses[i].mode, AT_EACCESS) == 0)
			continue;
		if (errno != EACCES && errno != EPERM && errno != EROFS)
			return err_sys(why, "%s", path);
		read_only = read_only || errno == EROFS;
		n += (size_t)snprintf(
		    out + n, size - n, "%s%s", n == 0 ? "cannot be " : " nor ", uses[i].what);
	}
	if (n > 0)
		snprintf(out + n, size - n, " by this user%s",
		    read_only ? ": its file system is mounted read-only" : "");
	return 0;
}

/* Root passes every check of permission, the application that runs as the owner does not. */
static bool
owner_is_denied(const struct stat *st)
{
	return geteuid() == 0 && (st->st_mode & S_IRWXU) != S_IRWXU;
}

static int
check_usable(const struct visit *v, const struct stat *st, struct err *e)
{
	char message[160];
	struct err why;

	if (!S_ISDIR(st->st_mode))
		return tell(v, FINDING_FAIL, P_MISSING,
		    "move what is there aside, or set the configured path right (rec-health "
		    "config)",
		    S_ISREG(st->st_mode) ? "is a file and not a folder" : "is not a folder", e);
	if (denied(v->path, message, sizeof message, &why) == -1)
		return finding_could_not(v->f, v->check, NULL, &why, e);
	if (message[0] != '\0')
		return tell(v, FINDING_FAIL, P_DENIED,
		    "give this user the folder (chown, chmod u+rwx), mount its disk read-write, or "
		    "check as the user who runs the application",
		    message, e);
	if (owner_is_denied(st)) {
		snprintf(message, sizeof message,
		    "has mode %04o, which denies its owner (uid %lu) what only root may do then",
		    (unsigned)st->st_mode & 07777, (unsigned long)st->st_uid);
		return tell(v, FINDING_WARNING, NULL, "chmod u+rwx, unless it is closed on purpose",
		    message, e);
	}
	return tell(
	    v, FINDING_PASS, NULL, NULL, "is there and can be read, written and entered", e);
}

static int
check_folder(const struct visit *v, struct err *e)
{
	struct stat st;
	struct err why;

	if (stat(v->path, &st) == 0)
		return check_usable(v, &st, e);
	switch (errno) {
	case ENOENT:
		return check_absent(v, e);
	case ENOTDIR:
		return tell(v, FINDING_FAIL, P_MISSING,
		    "move the file aside, or set the configured path right (rec-health config)",
		    "is not there: a part of its path is a file", e);
	case ELOOP:
		return tell(v, FINDING_FAIL, P_MISSING, "set the link right",
		    "is a link that leads to itself", e);
	case EACCES:
		return tell(v, FINDING_FAIL, P_DENIED,
		    "give this user the folders above it (chmod u+x), or check as the user who "
		    "runs the application",
		    "cannot be reached by this user", e);
	default:
		err_sys(&why, "%s", v->path);
		return finding_could_not(v->f, v->check,
		    "see dmesg: the disk or the network behind it may be failing", &why, e);
	}
}

/* The folder in which SQLite makes the database's log: beside the file, not beside a link to it. */
static char *
database_folder(const char *database, struct err *e)
{
	char *file = realpath(database, NULL), *folder;
	struct stat st;
	const char *path =
	    file != NULL && lstat(database, &st) == 0 && S_ISLNK(st.st_mode) ? file : database;
	const char *slash = strrchr(path, '/');

	folder = slash == NULL	 ? mem_str(".", e)
		 : slash == path ? mem_str("/", e)
				 : mem_bytes(path, (size_t)(slash - path), e);
	free(file);
	return folder;
}

int
folders_check(struct findings *f, const struct archive *a, struct err *e)
{
	static const char *const checks[FOLDERS] = {
	    "folders.raw", "folders.edited", "folders.temp", "folders.backup"};
	struct visit v = {.f = f, .a = a};
	char *folder;
	int rc;

	for (int i = 0; i < FOLDERS; i++) {
		v.check = checks[i];
		v.name = archive_folder_name((enum folder)i);
		v.path = a->paths[i];
		if (check_folder(&v, e) == -1)
			return -1;
	}
	if ((folder = database_folder(a->catalogue_opts.path, e)) == NULL)
		return -1;
	v.check = "folders.database";
	v.name = "database";
	v.path = folder;
	rc = check_folder(&v, e);
	free(folder);
	return rc;
}
