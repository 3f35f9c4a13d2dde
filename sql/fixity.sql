-- Checks of the recordings' bytes. rec_f is the temporary view of views.sql; it is empty where there is no table.

-- Dropped when the recording is gone or has another file by now.
-- name: fixity_put
INSERT INTO main.rec_fixity (recording_id, stored_filename, checked_at, verdict, message, size_bytes, mtime, xxh3_128,
	piece_bytes, pieces)
	SELECT ?1, r.stored_filename, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM rec_app r WHERE r.id = ?1
	ON CONFLICT (recording_id) DO UPDATE SET stored_filename = excluded.stored_filename,
		checked_at = excluded.checked_at, verdict = excluded.verdict, message = excluded.message,
		size_bytes = excluded.size_bytes, mtime = excluded.mtime,
		xxh3_128 = coalesce(excluded.xxh3_128, xxh3_128),
		piece_bytes = CASE WHEN excluded.pieces IS NULL THEN piece_bytes ELSE excluded.piece_bytes END,
		pieces = coalesce(excluded.pieces, pieces)

-- name: fixity_forget
DELETE FROM main.rec_fixity WHERE recording_id = ?1

-- name: fixity_get
SELECT f.checked_at, f.verdict, f.message, f.size_bytes, f.mtime, f.xxh3_128, f.piece_bytes, f.pieces
	FROM rec_app r JOIN rec_f f ON f.recording_id = r.id AND f.stored_filename = r.stored_filename WHERE r.id = ?1

-- A check in the future (the clock was set back) counts as none.
-- name: fixity_queue
SELECT r.id FROM rec_app r LEFT JOIN rec_f f ON f.recording_id = r.id AND f.stored_filename = r.stored_filename
	WHERE ?1 IS NULL OR f.checked_at IS NULL OR f.checked_at < ?1 OR f.checked_at > ?2
	ORDER BY CASE WHEN f.checked_at <= ?2 THEN f.checked_at END NULLS FIRST, r.id

-- Here too a check in the future counts as none; a quarter of an hour is forgiven.
-- name: fixity_coverage
SELECT count(*), count(read_at), count(*) FILTER (WHERE verdict <> 'ok'), min(read_at),
	count(*) FILTER (WHERE julianday(?1) - julianday(read_at) <= 31)
	FROM (SELECT f.verdict AS verdict, CASE WHEN f.verdict NOT IN ('missing', 'denied', 'unreadable', 'unsafe_path')
			AND julianday(f.checked_at) - julianday(?1) <= 0.01 THEN f.checked_at END AS read_at
		FROM rec_app r LEFT JOIN rec_f f ON f.recording_id = r.id AND f.stored_filename = r.stored_filename)

-- name: fixity_pass_get
SELECT started_at, finished_at FROM main.rec_fixity_pass WHERE id = 1

-- name: fixity_pass_put
INSERT INTO main.rec_fixity_pass (id, started_at, finished_at) VALUES (1, ?1, ?2)
	ON CONFLICT (id) DO UPDATE SET started_at = excluded.started_at, finished_at = excluded.finished_at
