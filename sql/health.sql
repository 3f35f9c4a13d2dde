-- What a health check asks of the database. None of it writes.

-- name: health_quick_check
PRAGMA main.quick_check(100)

-- name: health_integrity_check
PRAGMA main.integrity_check(100)

-- name: health_violations
SELECT count(*) FILTER (WHERE "table" NOT GLOB 'rec_*'), count(*) FILTER (WHERE "table" GLOB 'rec_*'),
	count(*) FILTER (WHERE "table" = 'rec_tags') FROM pragma_foreign_key_check(NULL, 'main')

-- name: health_pages
SELECT (SELECT page_size FROM pragma_page_size), (SELECT page_count FROM pragma_page_count),
	(SELECT freelist_count FROM pragma_freelist_count), (SELECT journal_mode FROM pragma_journal_mode)

-- As the application's list of recordings.
-- name: health_latest_recordings
SELECT * FROM main.recordings ORDER BY created_at DESC LIMIT 100

-- name: health_jobs
SELECT rowid, id, file_path, status, last_error, coalesce(started_iso, created_iso), attempts, max_attempts
	FROM main.jobs WHERE status IN ('running', 'failed') ORDER BY rowid

-- The same where there is no started_iso.
-- name: health_jobs_0001
SELECT rowid, id, file_path, status, last_error, created_iso, attempts, max_attempts
	FROM main.jobs WHERE status IN ('running', 'failed') ORDER BY rowid

-- name: health_job_paths
SELECT file_path FROM main.jobs WHERE file_path IS NOT NULL ORDER BY rowid

-- The times without their Z, so that they sort with and without a fraction.
-- name: health_created_times
SELECT rtrim(replace(created_at, ' ', 'T'), 'Z') AS t FROM main.recordings
	WHERE typeof(created_at) = 'text' AND created_at GLOB '[0-9][0-9][0-9][0-9]-*' ORDER BY t DESC

-- name: health_check_times
SELECT rtrim(t, 'Z') AS t FROM (SELECT checked_at AS t FROM main.rec_fixity
	UNION ALL SELECT started_at FROM main.rec_fixity_pass UNION ALL SELECT finished_at FROM main.rec_fixity_pass)
	WHERE t IS NOT NULL ORDER BY 1 DESC
