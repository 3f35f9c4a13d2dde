-- The existing application's own tables in its latest known shape, 0002, as it leaves them: an archive without recordings.

-- name: application_schema
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE recordings (
	id INTEGER NOT NULL,
	filename VARCHAR NOT NULL,
	stored_filename VARCHAR NOT NULL,
	title VARCHAR,
	duration FLOAT DEFAULT '0.0' NOT NULL,
	filesize_bytes BIGINT,
	mime_type VARCHAR,
	checksum VARCHAR,
	status VARCHAR DEFAULT 'active',
	sync_status VARCHAR DEFAULT 'unsynced',
	last_synced_at DATETIME,
	created_at DATETIME DEFAULT (CURRENT_TIMESTAMP),
	modified_at DATETIME,
	PRIMARY KEY (id),
	UNIQUE (stored_filename)
);
CREATE TABLE jobs (
	id VARCHAR NOT NULL,
	file_path VARCHAR NOT NULL,
	title VARCHAR,
	description VARCHAR,
	tags VARCHAR,
	status VARCHAR NOT NULL,
	attempts INTEGER DEFAULT '0' NOT NULL,
	max_attempts INTEGER DEFAULT '3' NOT NULL,
	created_iso VARCHAR,
	last_error VARCHAR,
	drive_file_id VARCHAR, started_iso TEXT, finished_iso TEXT, uploaded_bytes BIGINT DEFAULT 0, total_bytes BIGINT, cancel_requested INTEGER DEFAULT 0,
	PRIMARY KEY (id)
);
INSERT INTO alembic_version VALUES ('0002_add_job_progress_columns');
