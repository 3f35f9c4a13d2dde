-- The recordings in numbers: label, recordings, and what is summed. rec_f is empty where nothing was ever checked.

-- name: statistic_months
SELECT CASE WHEN r.created_at GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]*' AND substr(r.created_at, 6, 2) BETWEEN '01' AND '12'
		THEN substr(r.created_at, 1, 7) END AS label,
	count(*), total(coalesce(m.size_bytes, r.filesize_bytes))
	FROM rec_app r LEFT JOIN rec_m m ON m.recording_id = r.id AND m.stored_filename = r.stored_filename
	GROUP BY label ORDER BY label

-- name: statistic_formats
SELECT m.container || coalesce(' ' || m.codec, '') AS label, count(*), total(coalesce(m.duration_s, r.duration))
	FROM rec_app r LEFT JOIN rec_m m ON m.recording_id = r.id AND m.stored_filename = r.stored_filename
	GROUP BY label ORDER BY count(*) DESC, label

-- name: statistic_rates
SELECT m.sample_rate_hz AS label, count(*), total(coalesce(m.duration_s, r.duration))
	FROM rec_app r LEFT JOIN rec_m m ON m.recording_id = r.id AND m.stored_filename = r.stored_filename
	GROUP BY label ORDER BY count(*) DESC, label

-- The application writes 0 where it does not know the duration.
-- name: statistic_durations
SELECT CASE WHEN s IS NULL THEN NULL WHEN s < 1 THEN 0 WHEN s < 10 THEN 1 WHEN s < 60 THEN 10 WHEN s < 600 THEN 60
		WHEN s < 3600 THEN 600 WHEN s < 14400 THEN 3600 ELSE 14400 END AS label, count(*), total(s)
	FROM (SELECT coalesce(m.duration_s, nullif(r.duration, 0)) AS s FROM rec_app r
		LEFT JOIN rec_m m ON m.recording_id = r.id AND m.stored_filename = r.stored_filename)
	GROUP BY label ORDER BY label

-- floor() is not in every SQLite; a cast cuts towards zero.
-- name: statistic_loudness
SELECT max(-70, min(0, CAST(l AS INTEGER) - (l < CAST(l AS INTEGER)))) AS label, count(*), 0.0
	FROM (SELECT m.loudness_lufs AS l FROM rec_app r
		LEFT JOIN rec_m m ON m.recording_id = r.id AND m.stored_filename = r.stored_filename)
	GROUP BY label ORDER BY label

-- What could not be read was not checked, and a check in the future (a clock that was wrong) tells nothing.
-- name: statistic_ages
SELECT CASE WHEN days IS NULL OR days < -0.01 THEN 'never' WHEN days < 1 THEN '0' WHEN days < 7 THEN '1' WHEN days < 31 THEN '7'
		WHEN days < 92 THEN '31' WHEN days < 366 THEN '92' ELSE '366' END AS label, count(*), total(size)
	FROM (SELECT CASE WHEN f.verdict NOT IN ('missing', 'denied', 'unreadable')
			THEN julianday('now') - julianday(f.checked_at) END AS days,
		coalesce(m.size_bytes, r.filesize_bytes) AS size
		FROM rec_app r LEFT JOIN rec_m m ON m.recording_id = r.id AND m.stored_filename = r.stored_filename
		LEFT JOIN rec_f f ON f.recording_id = r.id AND f.stored_filename = r.stored_filename)
	GROUP BY label ORDER BY min(days) NULLS LAST

-- name: statistic_verdicts
SELECT coalesce(f.verdict, m.problem_code, 'unchecked') AS label, count(*), total(coalesce(m.size_bytes, r.filesize_bytes))
	FROM rec_app r LEFT JOIN rec_m m ON m.recording_id = r.id AND m.stored_filename = r.stored_filename
	LEFT JOIN rec_f f ON f.recording_id = r.id AND f.stored_filename = r.stored_filename
	GROUP BY label ORDER BY count(*) DESC, label
