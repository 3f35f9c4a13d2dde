-- Named statements of the catalogue. The views are in views.sql.

-- What apply needs to know of a row to decide what to do, a page at a time in the order of the id.
-- `settled` says that the application's columns already agree with the measurement.
-- name: rows_page
SELECT r.id, CAST(r.stored_filename AS BLOB), r.filesize_bytes, r.checksum,
	m.recording_id IS NOT NULL, m.folder, m.size_bytes, m.mtime, m.sha256, m.prober,
	m.problem_code, m.problem_message, m.seen_size_bytes, m.seen_mtime,
	m.recording_id IS NOT NULL AND (m.sha256 IS NULL OR lower(r.checksum) IS NOT NULL AND lower(r.checksum) <> m.sha256
		OR (r.checksum IS NOT NULL AND (r.mime_type IS NOT NULL OR m.mime_type IS NULL) AND r.filesize_bytes IS m.size_bytes
			AND (m.duration_s IS NULL OR r.duration = m.duration_s))),
	m.xxh3_128, m.audio_xxh3_128, f.checked_at, f.verdict, f.message, f.size_bytes, f.mtime,
	m.trailing_silence_s
	FROM rec_app r LEFT JOIN rec_m m ON m.recording_id = r.id AND m.stored_filename = r.stored_filename
	LEFT JOIN rec_f f ON f.recording_id = r.id AND f.stored_filename = r.stored_filename
	WHERE r.id > ?1 ORDER BY r.id LIMIT ?2

-- The measurements have an index on the name, which not every shape of the application has.
-- name: id_by_measured_name
SELECT r.id FROM rec_m m CROSS JOIN rec_app r ON r.id = m.recording_id AND r.stored_filename = m.stored_filename
	WHERE m.stored_filename = CAST(?1 AS TEXT)

-- name: id_by_stored_filename
SELECT id FROM rec_app WHERE stored_filename = CAST(?1 AS TEXT)

-- name: id_by_measured_sha256
SELECT r.id FROM rec_m m CROSS JOIN rec_app r ON r.id = m.recording_id AND r.stored_filename = m.stored_filename
	WHERE m.sha256 = ?1 ORDER BY r.id LIMIT 1

-- name: id_by_checksum
SELECT id FROM rec_app WHERE checksum = ?1 ORDER BY id LIMIT 1

-- name: id_by_filename
SELECT id FROM rec_app WHERE filename = CAST(?1 AS TEXT)

-- name: count_rows
SELECT count(*), count(m.prober), count(m.problem_code) FROM rec_app r
	LEFT JOIN rec_m m ON m.recording_id = r.id AND m.stored_filename = r.stored_filename

-- name: record_by_id
SELECT * FROM recording WHERE id = ?1

-- name: measured_by_id
SELECT run, prober, seen_size_bytes, seen_mtime FROM rec_m WHERE recording_id = ?1

-- name: provenance_by_id
SELECT p.tool, p.started_at, p.details
	FROM rec_app r JOIN rec_p p ON p.recording_id = r.id AND p.stored_filename = r.stored_filename WHERE r.id = ?1

-- name: jobs_by_path
SELECT id, status, attempts, created_iso, last_error, drive_file_id FROM main.jobs WHERE file_path = ?1 OR file_path = ?2 ORDER BY created_iso, id

-- name: volume_get
SELECT filesystem, inode FROM main.rec_volumes WHERE folder = ?1

-- name: columns_of
SELECT name FROM pragma_table_info(?1)

-- name: default_of
SELECT dflt_value FROM pragma_table_info(?1) WHERE name = ?2

-- name: has_table
SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = ?1

-- name: alembic_get
SELECT version_num FROM main.alembic_version LIMIT 1

-- name: alembic_set
UPDATE alembic_version SET version_num = ?1

-- name: schema_version
SELECT max(version) FROM main.rec_schema

-- name: tables_of_toolkit
SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name GLOB 'rec_*' ORDER BY name

-- name: count_toolkit
SELECT (SELECT count(*) FROM main.rec_measurements) + (SELECT count(*) FROM main.rec_tags)
	+ (SELECT count(*) FROM main.rec_volumes) + (SELECT count(*) FROM rec_p) + (SELECT count(*) FROM rec_u)

-- name: next_id
SELECT coalesce(max(id), 0) + 1 FROM main.recordings
