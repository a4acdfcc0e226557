-- Erasures, and the receipts that they become. Receipts stay. A rowid table:
-- the data of one that runs may be large.
CREATE TABLE erasures (
	id      TEXT PRIMARY KEY, -- sorts by creation
	account TEXT NOT NULL,
	state   TEXT NOT NULL,
	version INTEGER NOT NULL,
	data    TEXT NOT NULL -- JSON
);
CREATE INDEX erasures_running ON erasures (id) WHERE state = 'running';

-- Answers that are an account's own; those of platforms and operators are not in it.
CREATE INDEX once_account ON once (account) WHERE account <> '';
CREATE INDEX portal_links_account ON portal_links (account);
