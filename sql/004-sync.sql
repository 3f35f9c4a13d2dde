-- The toolkit's own tables, version 4: what is known of remotes. Never edited after release.

-- name: migration_4
-- All of this was seen at a remote and changes no recording, so it stands in no journal.
CREATE TABLE rec_remotes (
	id INTEGER PRIMARY KEY,
	-- Canonical, without secrets.
	url TEXT NOT NULL UNIQUE CHECK (length(url) BETWEEN 1 AND 4096),
	-- This archive at this remote: in the names of its temporary objects.
	owner TEXT NOT NULL CHECK (length(owner) = 8),
	-- A JSON object of what it really does.
	probed TEXT CHECK (probed GLOB '{*}'),
	probed_at TEXT CHECK (probed_at GLOB '????-??-??T??:??:??*Z'),
	-- Recordings at the last complete push.
	recordings INTEGER CHECK (recordings >= 0),
	-- The object that holds the catalogue, and what it was made of.
	catalogue_tag TEXT CHECK (length(catalogue_tag) < 256),
	catalogue_digest TEXT CHECK (length(catalogue_digest) = 32)
);
-- One row for each object that was proven to hold these bytes.
CREATE TABLE rec_objects (
	id INTEGER PRIMARY KEY,
	remote_id INTEGER NOT NULL REFERENCES rec_remotes(id) ON DELETE CASCADE,
	key TEXT NOT NULL CHECK (length(CAST(key AS BLOB)) BETWEEN 1 AND 1024),
	-- It outlives its recording: then it is what --delete may remove, or a rename finds.
	recording_id INTEGER,
	-- The remote's own name for it, where that is not the key.
	remote_name TEXT CHECK (length(remote_name) < 128),
	size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),
	sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
	-- As the remote told it (an ETag).
	tag TEXT CHECK (length(tag) < 256),
	part_bytes INTEGER CHECK (part_bytes > 0),
	proof TEXT NOT NULL CHECK (proof IN ('md5', 'sha256', 'parts', 'read')),
	proven_at TEXT NOT NULL CHECK (proven_at GLOB '????-??-??T??:??:??*Z'),
	UNIQUE (remote_id, key)
);
CREATE INDEX rec_objects_sha256 ON rec_objects(sha256);
CREATE INDEX rec_objects_recording ON rec_objects(recording_id);
-- An upload in parts that has begun and not ended. A row is there before the remote is asked for one.
CREATE TABLE rec_uploads (
	id INTEGER PRIMARY KEY,
	remote_id INTEGER NOT NULL REFERENCES rec_remotes(id) ON DELETE CASCADE,
	key TEXT NOT NULL CHECK (length(CAST(key AS BLOB)) BETWEEN 1 AND 1024),
	recording_id INTEGER,
	upload TEXT NOT NULL CHECK (length(upload) = 32),
	size_bytes INTEGER NOT NULL CHECK (size_bytes >= 0),
	mtime TEXT CHECK (mtime GLOB '????-??-??T??:??:??*Z'),
	sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
	part_bytes INTEGER NOT NULL CHECK (part_bytes > 0),
	started_at TEXT NOT NULL CHECK (started_at GLOB '????-??-??T??:??:??*Z'),
	-- What the remote calls it; a session that is a secret is in a file of its own instead.
	session TEXT CHECK (length(session) <= 4096),
	UNIQUE (remote_id, key)
);
CREATE TABLE rec_parts (
	upload_id INTEGER NOT NULL REFERENCES rec_uploads(id) ON DELETE CASCADE,
	number INTEGER NOT NULL CHECK (number > 0),
	md5 TEXT NOT NULL CHECK (length(md5) = 32),
	tag TEXT CHECK (length(tag) < 256),
	PRIMARY KEY (upload_id, number)
) WITHOUT ROWID;
INSERT INTO rec_schema VALUES (4, 'remotes');
