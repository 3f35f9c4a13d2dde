-- What is known of remotes: the toolkit's tables of version 4, and the application's queue. rec_key(folder, name) is
-- sync_key of catalogue_sync.h; the folder of a recording that was not measured is guessed as in views.sql. The bytes
-- of a recording are those of the checksum that the application recorded, before those that were measured: where the
-- two differ, what was measured is damage.

-- ---- remotes ----

-- name: sync_remote_get
SELECT id, url, owner, probed, probed_at, recordings, catalogue_tag, catalogue_digest FROM main.rec_remotes WHERE url = ?1

-- name: sync_remotes
SELECT id, url, owner, probed, probed_at, recordings, catalogue_tag, catalogue_digest FROM main.rec_remotes WHERE id > ?1
	ORDER BY id LIMIT 1

-- name: sync_remote_insert
INSERT INTO main.rec_remotes (id, url, owner, probed, probed_at, recordings, catalogue_tag, catalogue_digest)
	VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)

-- name: sync_remote_update
UPDATE main.rec_remotes SET url = ?2, owner = ?3, probed = ?4, probed_at = ?5, recordings = ?6, catalogue_tag = ?7,
	catalogue_digest = ?8 WHERE id = ?1

-- ---- recordings by key ----

-- A name that is too long for a key has the key ''. With +id the table is read in its own order, and not through an
-- index that jumps about in it.
-- name: sync_rows
SELECT k, id, stored, folder, deleted, measured, problem, size_bytes, sha256, sync_status FROM (SELECT
	coalesce(rec_key(coalesce(m.folder, CASE WHEN r.stored_filename GLOB 'edi_*' THEN 'edited' ELSE 'raw' END),
		r.stored_filename), '') AS k,
	r.id AS id, CAST(r.stored_filename AS BLOB) AS stored,
	coalesce(m.folder, CASE WHEN r.stored_filename GLOB 'edi_*' THEN 'edited' ELSE 'raw' END) AS folder,
	coalesce(r.status, 'active') = 'deleted' AS deleted, m.recording_id IS NOT NULL AS measured,
	m.problem_code AS problem, coalesce(m.size_bytes, r.filesize_bytes) AS size_bytes,
	lower(coalesce(iif(length(r.checksum) = 64, r.checksum, NULL), m.sha256)) AS sha256, coalesce(r.sync_status, 'unsynced') AS sync_status
	FROM rec_app r LEFT JOIN rec_m m ON m.recording_id = r.id AND m.stored_filename = r.stored_filename)
	WHERE (?1 = '' OR k > ?1) AND (?2 = '' OR k <= ?2) ORDER BY k, +id

-- The same of one.
-- name: sync_row
SELECT coalesce(rec_key(coalesce(m.folder, CASE WHEN r.stored_filename GLOB 'edi_*' THEN 'edited' ELSE 'raw' END),
		r.stored_filename), ''),
	r.id, CAST(r.stored_filename AS BLOB),
	coalesce(m.folder, CASE WHEN r.stored_filename GLOB 'edi_*' THEN 'edited' ELSE 'raw' END),
	coalesce(r.status, 'active') = 'deleted', m.recording_id IS NOT NULL, m.problem_code,
	coalesce(m.size_bytes, r.filesize_bytes), lower(coalesce(iif(length(r.checksum) = 64, r.checksum, NULL), m.sha256)), coalesce(r.sync_status, 'unsynced')
	FROM rec_app r LEFT JOIN rec_m m ON m.recording_id = r.id AND m.stored_filename = r.stored_filename WHERE r.id = ?1

-- name: sync_keys
SELECT k FROM (SELECT rec_key(coalesce(m.folder,
		CASE WHEN r.stored_filename GLOB 'edi_*' THEN 'edited' ELSE 'raw' END), r.stored_filename) AS k
	FROM rec_app r LEFT JOIN rec_m m ON m.recording_id = r.id AND m.stored_filename = r.stored_filename)
	WHERE k IS NOT NULL ORDER BY k

-- Not over rec_app, through whose coalesce no index is seen; nor with OR, which scans.
-- name: sync_named
SELECT coalesce(m.folder, CASE WHEN ?1 GLOB 'edi_*' THEN 'edited' ELSE 'raw' END), lower(coalesce(iif(length(r.checksum) = 64, r.checksum, NULL), m.sha256))
	FROM main.recordings r LEFT JOIN rec_m m ON m.recording_id = r.id AND m.stored_filename = ?1
	WHERE r.stored_filename = ?1
	UNION ALL
	SELECT coalesce(m.folder, CASE WHEN ?1 GLOB 'edi_*' THEN 'edited' ELSE 'raw' END), lower(coalesce(iif(length(r.checksum) = 64, r.checksum, NULL), m.sha256))
	FROM main.recordings r LEFT JOIN rec_m m ON m.recording_id = r.id AND m.stored_filename = ?1
	WHERE r.stored_filename IS NULL AND r.filename = ?1

-- name: sync_named_oldest
SELECT coalesce(m.folder, CASE WHEN ?1 GLOB 'edi_*' THEN 'edited' ELSE 'raw' END), lower(m.sha256)
	FROM main.recordings r LEFT JOIN rec_m m ON m.recording_id = r.id AND m.stored_filename = ?1 WHERE r.filename = ?1

-- All that the inventory is made of, or that changes with it.
-- name: sync_state
SELECT r.id, r.filename, r.stored_filename, r.title, r.duration, r.filesize_bytes, r.mime_type, r.checksum, r.status,
	r.created_at, m.run, m.folder, m.sha256, m.mtime, m.problem_code, t.tags, p.started_at, p.details,
	r.status = 'deleted' AND EXISTS (SELECT 1 FROM main.rec_objects o WHERE o.remote_id = ?1 AND o.recording_id = r.id)
	FROM rec_app r LEFT JOIN rec_m m ON m.recording_id = r.id AND m.stored_filename = r.stored_filename
	LEFT JOIN rec_p p ON p.recording_id = r.id AND p.stored_filename = r.stored_filename
	LEFT JOIN rec_said t ON t.recording_id = r.id ORDER BY r.id

-- The inventory is written behind the upgrade, so the column is there.
-- name: sync_modified
SELECT modified_at FROM main.recordings WHERE id = ?1

-- name: sync_unsettled
SELECT r.id, o.proven_at
	FROM rec_app r LEFT JOIN rec_m m ON m.recording_id = r.id AND m.stored_filename = r.stored_filename
	CROSS JOIN main.rec_objects o ON o.remote_id = ?1 AND o.key = rec_key(coalesce(m.folder,
		CASE WHEN r.stored_filename GLOB 'edi_*' THEN 'edited' ELSE 'raw' END), r.stored_filename)
	WHERE r.id > ?2 AND r.sync_status IS NOT 'synced' AND lower(o.sha256) = lower(coalesce(iif(length(r.checksum) = 64, r.checksum, NULL), m.sha256))
	ORDER BY r.id LIMIT ?3

-- ---- objects ----

-- name: sync_object_put
INSERT OR REPLACE INTO main.rec_objects (id, remote_id, key, recording_id, remote_name, size_bytes, sha256, tag, part_bytes, proof, proven_at)
	VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)

-- name: sync_object_get
SELECT id, recording_id, key, remote_name, size_bytes, lower(sha256), tag, part_bytes, proof, proven_at FROM main.rec_objects
	WHERE remote_id = ?1 AND key = ?2

-- name: sync_objects
SELECT id, recording_id, key, remote_name, size_bytes, lower(sha256), tag, part_bytes, proof, proven_at FROM main.rec_objects
	WHERE remote_id = ?1 AND key > ?2 AND (?3 = '' OR key <= ?3) ORDER BY key

-- By the index on sha256, whatever the order would suggest.
-- name: sync_objects_of_bytes
SELECT id, recording_id, key, remote_name, size_bytes, lower(sha256), tag, part_bytes, proof, proven_at FROM main.rec_objects
	WHERE sha256 = ?2 AND +remote_id = ?1 ORDER BY +key

-- name: sync_object_forget
DELETE FROM main.rec_objects WHERE remote_id = ?1 AND key = ?2

-- name: sync_object_count
SELECT count(*) FROM main.rec_objects WHERE remote_id = ?1

-- name: sync_proven
SELECT m.url, o.key, o.tag, o.proof, o.proven_at FROM main.rec_remotes m
	CROSS JOIN main.rec_objects o ON o.remote_id = m.id AND o.key = ?1 WHERE lower(o.sha256) = ?2 ORDER BY m.url

-- ---- uploads ----

-- name: sync_upload_insert
INSERT INTO main.rec_uploads (id, remote_id, key, recording_id, upload, size_bytes, mtime, sha256, part_bytes, started_at, session)
	VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)

-- name: sync_upload_update
UPDATE main.rec_uploads SET remote_id = ?2, key = ?3, recording_id = ?4, upload = ?5, size_bytes = ?6, mtime = ?7, sha256 = ?8,
	part_bytes = ?9, started_at = ?10, session = ?11 WHERE id = ?1

-- name: sync_upload_get
SELECT id, key, recording_id, upload, size_bytes, mtime, sha256, part_bytes, started_at, session FROM main.rec_uploads
	WHERE remote_id = ?1 AND key = ?2

-- name: sync_uploads
SELECT id, key, recording_id, upload, size_bytes, mtime, sha256, part_bytes, started_at, session FROM main.rec_uploads
	WHERE ?1 = 0 OR remote_id = ?1 ORDER BY remote_id, key

-- name: sync_upload_forget
DELETE FROM main.rec_uploads WHERE id = ?1

-- name: sync_part_put
INSERT OR REPLACE INTO main.rec_parts (upload_id, number, md5, tag) VALUES (?1, ?2, ?3, ?4)

-- name: sync_parts
SELECT number, md5, tag FROM main.rec_parts WHERE upload_id = ?1 ORDER BY number

-- ---- the application's queue ----

-- name: sync_jobs
SELECT rowid, id, file_path, title, description, tags, status, created_iso, started_iso, finished_iso, last_error, drive_file_id,
	attempts, max_attempts, uploaded_bytes, total_bytes, cancel_requested
	FROM main.jobs WHERE rowid > ?1 ORDER BY rowid LIMIT ?2

-- The same where there are no columns of progress.
-- name: sync_jobs_0001
SELECT rowid, id, file_path, title, description, tags, status, created_iso, NULL, NULL, last_error, drive_file_id,
	attempts, max_attempts, NULL, NULL, NULL
	FROM main.jobs WHERE rowid > ?1 ORDER BY rowid LIMIT ?2

-- name: sync_job_rowid
SELECT rowid FROM main.jobs WHERE id = ?1 ORDER BY rowid LIMIT 1

-- name: sync_job_cancel
SELECT cancel_requested FROM main.jobs WHERE rowid = ?1

-- name: sync_job_progress
UPDATE main.jobs SET uploaded_bytes = ?2 WHERE rowid = ?1
