-- The toolkit's own tables, version 1. Never edited after release: later changes are migrations of their own.

-- name: migration_1
CREATE TABLE rec_schema (
	version INTEGER PRIMARY KEY,
	description TEXT NOT NULL
);
-- One row a recording: what its file was measured to be. It belongs to the recording only while
-- stored_filename agrees, since the existing application may give an id to another recording.
CREATE TABLE rec_measurements (
	recording_id INTEGER PRIMARY KEY REFERENCES recordings(id) ON DELETE CASCADE,
	stored_filename TEXT NOT NULL,
	folder TEXT CHECK (folder IN ('raw', 'edited')),
	size_bytes INTEGER CHECK (size_bytes >= 0),
	mtime TEXT CHECK (mtime GLOB '????-??-??T??:??:??*Z'),
	container TEXT CHECK (length(container) < 64),
	codec TEXT CHECK (length(codec) < 64),
	mime_type TEXT CHECK (length(mime_type) < 64),
	sample_rate_hz INTEGER CHECK (sample_rate_hz > 0),
	channels INTEGER CHECK (channels BETWEEN 1 AND 1024),
	bits_per_sample INTEGER CHECK (bits_per_sample BETWEEN 1 AND 64),
	frames INTEGER CHECK (frames >= 0),
	duration_s REAL CHECK (duration_s >= 0),
	bit_rate_bps INTEGER CHECK (bit_rate_bps >= 0),
	xxh3_128 TEXT CHECK (length(xxh3_128) = 32),
	sha256 TEXT CHECK (length(sha256) = 64),
	audio_xxh3_128 TEXT CHECK (length(audio_xxh3_128) = 32),
	peak_dbfs REAL,
	true_peak_dbtp REAL,
	rms_dbfs REAL,
	loudness_lufs REAL,
	loudness_range_lu REAL CHECK (loudness_range_lu >= 0),
	clipped_frames INTEGER CHECK (clipped_frames >= 0),
	leading_silence_s REAL CHECK (leading_silence_s >= 0),
	trailing_silence_s REAL CHECK (trailing_silence_s >= 0),
	quality TEXT CHECK (quality IN ('high_resolution', 'cd_quality', 'low_quality', 'unknown')),
	tags TEXT CHECK (tags GLOB '{*}'),
	prober TEXT CHECK (length(prober) < 256),
	problem_code TEXT CHECK (length(problem_code) < 64),
	problem_message TEXT CHECK (length(problem_message) < 4096),
	-- Of a file that was found damaged or changed: what was seen, so that it is read again only when
	-- it has changed once more. The measurements above stay those of the last good file.
	seen_size_bytes INTEGER,
	seen_mtime TEXT,
	run TEXT NOT NULL
);
CREATE INDEX rec_measurements_sha256 ON rec_measurements(sha256);
CREATE INDEX rec_measurements_stored_filename ON rec_measurements(stored_filename);
-- What people said about a recording, beside the tags that its file carries.
CREATE TABLE rec_tags (
	recording_id INTEGER PRIMARY KEY REFERENCES recordings(id) ON DELETE CASCADE,
	tags TEXT NOT NULL CHECK (tags GLOB '{*}')
);
-- Which folder on which file system the recordings were last seen in.
CREATE TABLE rec_volumes (
	id INTEGER PRIMARY KEY,
	folder TEXT NOT NULL UNIQUE CHECK (folder IN ('raw', 'edited')),
	filesystem TEXT NOT NULL,
	inode INTEGER NOT NULL
);
INSERT INTO rec_schema VALUES (1, 'measurements, tags, volumes');
