-- The toolkit's own tables, version 3: where recordings come from. Never edited after release.

-- name: migration_3
-- One row for each recording that the toolkit made. It belongs to the recording only while stored_filename agrees.
CREATE TABLE rec_provenance (
	recording_id INTEGER PRIMARY KEY REFERENCES recordings(id) ON DELETE CASCADE,
	stored_filename TEXT NOT NULL,
	-- Name and version.
	tool TEXT NOT NULL CHECK (length(tool) BETWEEN 1 AND 255),
	-- Of the first frame.
	started_at TEXT CHECK (started_at GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z'),
	-- A JSON object of what else is known; its length in bytes.
	details TEXT NOT NULL CHECK (details GLOB '{*}' AND length(CAST(details AS BLOB)) <= 1048576)
);
INSERT INTO rec_schema VALUES (3, 'provenance');
