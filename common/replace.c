#include "replace.h"

#include "filechange.h"
#include "survey.h"

int
replace_backup(
    struct archive *a, const char *name, const struct stat *was, char **backup, struct err *e)
{
	struct stat st;

	if (archive_need_folder(a, FOLDER_BACKUP, e) == -1)
		return -1;
	if (fstat(a->folders[FOLDER_BACKUP], &st) == -1)
		return err_sys(e, "stat of %s", a->paths[FOLDER_BACKUP]);
	if (st.st_dev != was->st_dev &&
	    archive_preflight(a, FOLDER_BACKUP, (uint64_t)was->st_size, e) == -1)
		return -1;
	return (*backup = filechange_backup_name(a, name, e)) == NULL ? -1 : 0;
}

/* 1 when rows change, 0, -1. */
static int
queue_rows(struct run *r, const struct catalogue_row *row, const struct survey_opts *o,
    struct survey *s, const struct provenance *provenance, struct err *e)
{
	int rc = survey_record(r, row, o, s, e);

	if (rc == 1 && provenance != NULL &&
	    provenance_put(r, row->id, row->stored, provenance, e) == -1)
		return -1;
	return rc;
}

int
replace_rows(struct run *r, const struct catalogue_row *row, const struct audio_opts *audio,
    const struct measure *now, const struct provenance *provenance, struct err *e)
{
	struct survey_opts o = {.audio = *audio, .accept = now != NULL};
	struct survey s;
	int rc = survey_look(r->a, row, &o, now, &s, e);

	if (rc == 0 && !s.unchanged && (rc = run_begin(r, e)) == 0) {
		if ((rc = queue_rows(r, row, &o, &s, provenance, e)) != -1)
			rc = rc == 0 && now != NULL
				 ? err_item(e, P_CONFLICT,
				       "the row was changed meanwhile; nothing was done")
				 : run_commit(r, e);
		if (rc == -1)
			run_cancel(r);
	}
	survey_free(&s);
	return rc;
}

static struct json *
replace_line(const struct replace *p, struct err *e)
{
	struct json *line =
	    filechange_line("replace", p->folder, p->row->stored, FOLDER_BACKUP, p->backup, e);

	if (line != NULL && json_put_int(line, "id", p->row->id, e) == 0 &&
	    json_put_str(line, "xxh3_128_before", p->xxh3_128_before, e) == 0 &&
	    json_put_str(line, "xxh3_128_after", p->now->xxh3_128, e) == 0)
		return line;
	json_free(line);
	return NULL;
}

int
replace_file(struct replace *p, struct err *e)
{
	struct archive *a = p->r->a;
	const char *name = p->row->stored;
	int dirfd = a->folders[p->folder], rc;
	struct json *line, *kept;

	/* What takes long comes first: what somebody puts in the place of the file behind the check
	 * would be replaced. */
	if (replace_backup(a, name, p->was, &p->backup, e) == -1 ||
	    io_fsync(p->file->fd, name, e) == -1 ||
	    io_check_unchanged(dirfd, name, p->was, e) == -1 ||
	    (line = replace_line(p, e)) == NULL || run_announce_kept(p->r, line, &kept, e) == -1)
		return -1;
	/* Once more, as the announcement waits for the disk; the line says what the backup is. */
	rc = io_check_unchanged(dirfd, name, p->was, e);
	if (rc == 0)
		rc = io_link_or_copy(dirfd, name, a->folders[FOLDER_BACKUP], p->backup, e);
	if (rc == 0)
		rc = io_new_commit(p->file, p->was->st_mode & 07777, true, e);
	if (rc == 0)
		rc = replace_rows(p->r, p->row, &p->audio, p->now, p->provenance, e);
	if (rc == -1)
		filechange_take_back(a, kept, false, e);
	json_free(kept);
	return rc;
}
