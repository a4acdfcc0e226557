-- Until then an endpoint's secrets before the newest sign. There was but one each.
ALTER TABLE endpoints ADD COLUMN old_until INTEGER NOT NULL DEFAULT 0;

ALTER TABLE accounts ADD COLUMN quotas TEXT NOT NULL DEFAULT '{}'; -- JSON

-- Lists of what failed, waits or was not sent. A webhook that is delivered at
-- once is never in it.
CREATE INDEX deliveries_state ON deliveries (account, state, id) WHERE state NOT IN ('queued', 'delivered');

CREATE TABLE result_sets (
	account          TEXT NOT NULL,
	kind             TEXT NOT NULL,
	job_id           TEXT NOT NULL,
	run              INTEGER NOT NULL,
	token            TEXT NOT NULL UNIQUE,
	state            TEXT NOT NULL,
	reason           TEXT NOT NULL,
	pages            INTEGER NOT NULL,
	records          INTEGER NOT NULL,
	bytes            INTEGER NOT NULL,
	csv_hash         TEXT NOT NULL,
	created_at       INTEGER NOT NULL,
	updated_at       INTEGER NOT NULL,
	expires_at       INTEGER NOT NULL,
	revoked_at       INTEGER NOT NULL,
	downloads        INTEGER NOT NULL,
	last_download_at INTEGER NOT NULL,
	PRIMARY KEY (account, kind, job_id, run)
) WITHOUT ROWID;
CREATE INDEX result_sets_expires ON result_sets (expires_at) WHERE expires_at > 0;

CREATE TABLE downloads (
	token  TEXT NOT NULL,
	at     INTEGER NOT NULL,
	file   TEXT NOT NULL,
	method TEXT NOT NULL,
	PRIMARY KEY (token, at)
) WITHOUT ROWID;

-- Bulk resends.
CREATE TABLE resends (
	account    TEXT NOT NULL,
	id         TEXT NOT NULL, -- sorts by creation
	filter     TEXT NOT NULL, -- JSON
	state      TEXT NOT NULL,
	cursor     TEXT NOT NULL,
	rate       INTEGER NOT NULL,
	looked     INTEGER NOT NULL,
	resent     INTEGER NOT NULL,
	skipped    INTEGER NOT NULL,
	version    INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	ended_at   INTEGER NOT NULL,
	PRIMARY KEY (account, id)
) WITHOUT ROWID;
CREATE INDEX resends_running ON resends (id) WHERE state = 'running';
CREATE INDEX resends_ended ON resends (ended_at) WHERE ended_at > 0;

-- Requests with an Idempotency-Key. A rowid table: bodies may be large.
CREATE TABLE once (
	id          TEXT PRIMARY KEY,
	fingerprint TEXT NOT NULL,
	status      INTEGER NOT NULL,
	header      TEXT NOT NULL, -- JSON
	body        BLOB NOT NULL, -- sealed; empty when there is none
	account     TEXT NOT NULL,
	started_at  INTEGER NOT NULL,
	expires_at  INTEGER NOT NULL
);
CREATE INDEX once_expires ON once (expires_at);

CREATE TABLE portal_links (
	id         TEXT PRIMARY KEY,
	account    TEXT NOT NULL,
	hash       BLOB NOT NULL,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	used_at    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX portal_links_expires ON portal_links (expires_at);
