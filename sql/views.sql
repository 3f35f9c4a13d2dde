-- The recordings as tools see them: one temporary view, `recording`, whatever the shape of the archive.
-- Its columns are the recording keys, and nothing else may be read by an expression of --where.

-- name: view_app_current
CREATE TEMP VIEW rec_app AS SELECT id, filename, coalesce(stored_filename, filename) AS stored_filename,
	title, duration, filesize_bytes, mime_type, checksum, status, sync_status, created_at FROM main.recordings;

-- name: view_app_oldest
CREATE TEMP VIEW rec_app AS SELECT id, filename, filename AS stored_filename,
	title, duration, NULL AS filesize_bytes, NULL AS mime_type, NULL AS checksum, status, NULL AS sync_status,
	created_at FROM main.recordings;

-- name: view_toolkit_present
CREATE TEMP VIEW rec_m AS SELECT * FROM main.rec_measurements;
CREATE TEMP VIEW rec_said AS SELECT * FROM main.rec_tags;

-- name: view_toolkit_absent
CREATE TEMP VIEW rec_m AS SELECT NULL AS recording_id, NULL AS stored_filename, NULL AS folder,
	NULL AS size_bytes, NULL AS mtime, NULL AS container, NULL AS codec, NULL AS mime_type,
	NULL AS sample_rate_hz, NULL AS channels, NULL AS bits_per_sample, NULL AS frames, NULL AS duration_s,
	NULL AS bit_rate_bps, NULL AS xxh3_128, NULL AS sha256, NULL AS audio_xxh3_128, NULL AS peak_dbfs,
	NULL AS true_peak_dbtp, NULL AS rms_dbfs, NULL AS loudness_lufs, NULL AS loudness_range_lu,
	NULL AS clipped_frames, NULL AS leading_silence_s, NULL AS trailing_silence_s, NULL AS quality,
	NULL AS tags, NULL AS prober, NULL AS problem_code, NULL AS problem_message,
	NULL AS seen_size_bytes, NULL AS seen_mtime, NULL AS run WHERE 0;
CREATE TEMP VIEW rec_said AS SELECT NULL AS recording_id, NULL AS tags WHERE 0;

-- name: view_fixity_present
CREATE TEMP VIEW rec_f AS SELECT * FROM main.rec_fixity;

-- name: view_fixity_absent
CREATE TEMP VIEW rec_f AS SELECT NULL AS recording_id, NULL AS stored_filename, NULL AS checked_at, NULL AS verdict,
	NULL AS message, NULL AS size_bytes, NULL AS mtime, NULL AS xxh3_128, NULL AS piece_bytes, NULL AS pieces WHERE 0;

-- name: view_provenance_present
CREATE TEMP VIEW rec_p AS SELECT * FROM main.rec_provenance;

-- name: view_provenance_absent
CREATE TEMP VIEW rec_p AS SELECT NULL AS recording_id, NULL AS stored_filename, NULL AS tool, NULL AS started_at,
	NULL AS details WHERE 0;

-- What catalogue_count_toolkit counts beside observations.
-- name: view_sync_present
CREATE TEMP VIEW rec_u AS SELECT id FROM main.rec_uploads;

-- name: view_sync_absent
CREATE TEMP VIEW rec_u AS SELECT NULL AS id WHERE 0;

-- Two quoted folder paths (raw, edited) are put in for %1$s and %2$s.
-- name: view_recording
CREATE TEMP VIEW recording AS SELECT
	r.id AS id,
	CASE coalesce(m.folder, CASE WHEN r.stored_filename GLOB 'edi_*' THEN 'edited' ELSE 'raw' END)
		WHEN 'raw' THEN %1$s ELSE %2$s END || '/' || r.stored_filename AS path,
	r.filename AS filename,
	r.stored_filename AS stored_filename,
	r.title AS title,
	coalesce(r.status, 'active') AS status,
	coalesce(r.sync_status, 'unsynced') AS sync_status,
	CASE WHEN r.created_at GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9]*'
		THEN replace(r.created_at, ' ', 'T') || 'Z' END AS created_at,
	p.started_at AS started_at,
	coalesce(m.size_bytes, r.filesize_bytes) AS size_bytes,
	m.mtime AS mtime,
	m.container AS container,
	m.codec AS codec,
	coalesce(r.mime_type, m.mime_type) AS mime_type,
	m.sample_rate_hz AS sample_rate_hz,
	m.channels AS channels,
	m.bits_per_sample AS bits_per_sample,
	m.frames AS frames,
	coalesce(m.duration_s, nullif(r.duration, 0)) AS duration_s,
	m.bit_rate_bps AS bit_rate_bps,
	m.xxh3_128 AS xxh3_128,
	coalesce(m.sha256, r.checksum) AS sha256,
	m.audio_xxh3_128 AS audio_xxh3_128,
	m.peak_dbfs AS peak_dbfs,
	m.true_peak_dbtp AS true_peak_dbtp,
	m.rms_dbfs AS rms_dbfs,
	m.loudness_lufs AS loudness_lufs,
	m.loudness_range_lu AS loudness_range_lu,
	m.clipped_frames AS clipped_frames,
	m.leading_silence_s AS leading_silence_s,
	m.trailing_silence_s AS trailing_silence_s,
	m.quality AS quality,
	CASE WHEN m.tags IS NULL THEN t.tags WHEN t.tags IS NULL THEN m.tags ELSE json_patch(m.tags, t.tags) END AS tags,
	m.prober AS prober,
	CASE WHEN m.problem_code IS NOT NULL
		THEN json_object('code', m.problem_code, 'message', m.problem_message) END AS problem
	FROM rec_app r LEFT JOIN rec_m m ON m.recording_id = r.id AND m.stored_filename = r.stored_filename
	LEFT JOIN rec_p p ON p.recording_id = r.id AND p.stored_filename = r.stored_filename
	LEFT JOIN rec_said t ON t.recording_id = r.id;

-- name: drop_views
DROP VIEW IF EXISTS temp.recording;
DROP VIEW IF EXISTS temp.rec_said;
DROP VIEW IF EXISTS temp.rec_u;
DROP VIEW IF EXISTS temp.rec_p;
DROP VIEW IF EXISTS temp.rec_f;
DROP VIEW IF EXISTS temp.rec_m;
DROP VIEW IF EXISTS temp.rec_app;
