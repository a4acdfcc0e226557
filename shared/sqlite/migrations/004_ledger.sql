-- The ledger looks at jobs by when they were created.
CREATE INDEX jobs_created ON jobs (account, created_at);

-- Deliveries of events that a job's record does not tell of, by the hour in
-- which the job was created: counted as they are stored, kept for weeks.
CREATE TABLE ledger_counts (
	account    TEXT NOT NULL,
	hour       INTEGER NOT NULL,
	deliveries INTEGER NOT NULL,
	PRIMARY KEY (account, hour)
) WITHOUT ROWID;

-- The last ledger of each account; that of all is the account ''.
CREATE TABLE ledgers (
	account    TEXT PRIMARY KEY,
	checked_at INTEGER NOT NULL,
	data       TEXT NOT NULL -- JSON
);

-- How far the check is.
CREATE TABLE ledger_check (
	one     INTEGER PRIMARY KEY CHECK (one = 1),
	version INTEGER NOT NULL,
	data    TEXT NOT NULL -- JSON
);
