-- The toolkit's own tables, version 2: what checks of the recordings' bytes found. Never edited after release.

-- name: migration_2
-- One row a recording: the last time that its bytes were read, and what was found. An observation and no change
-- of the recording, so it stands in no journal. It belongs to the recording only while stored_filename agrees.
CREATE TABLE rec_fixity (
	recording_id INTEGER PRIMARY KEY REFERENCES recordings(id) ON DELETE CASCADE,
	stored_filename TEXT NOT NULL,
	checked_at TEXT NOT NULL CHECK (checked_at GLOB '????-??-??T??:??:??*Z'),
	verdict TEXT NOT NULL CHECK (length(verdict) BETWEEN 1 AND 63),
	message TEXT CHECK (length(message) < 4096),
	-- Of the file as it was seen then.
	size_bytes INTEGER CHECK (size_bytes >= 0),
	mtime TEXT CHECK (mtime GLOB '????-??-??T??:??:??*Z'),
	-- Of the bytes that were found good: digests of equal pieces, to find the place of later damage.
	xxh3_128 TEXT CHECK (length(xxh3_128) = 32),
	piece_bytes INTEGER CHECK (piece_bytes > 0),
	pieces BLOB CHECK (length(pieces) <= 4096)
);
CREATE INDEX rec_fixity_checked_at ON rec_fixity(checked_at);
-- The pass over all recordings that is going on or was the last: what it has read already is not read again when
-- it is interrupted.
CREATE TABLE rec_fixity_pass (
	id INTEGER PRIMARY KEY CHECK (id = 1),
	started_at TEXT NOT NULL CHECK (started_at GLOB '????-??-??T??:??:??*Z'),
	finished_at TEXT CHECK (finished_at GLOB '????-??-??T??:??:??*Z')
);
INSERT INTO rec_schema VALUES (2, 'fixity checks');
