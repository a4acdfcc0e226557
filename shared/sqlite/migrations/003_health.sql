-- What is known of an endpoint beyond its state. A row whose endpoint is called
-- at another URL, or is enabled again, stays with its version raised and nothing
-- else in it, so that whoever read it before cannot write.
ALTER TABLE health ADD COLUMN warned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE health ADD COLUMN opens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE health ADD COLUMN open_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE health ADD COLUMN probe_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE health ADD COLUMN paused_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE health ADD COLUMN slow INTEGER NOT NULL DEFAULT 0;
ALTER TABLE health ADD COLUMN slow_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE health ADD COLUMN version INTEGER NOT NULL DEFAULT 1;

CREATE TABLE hosts (
	host        TEXT PRIMARY KEY, -- as webhook.HostOf gives it
	opens       INTEGER NOT NULL,
	open_until  INTEGER NOT NULL,
	probe_until INTEGER NOT NULL,
	version     INTEGER NOT NULL
) WITHOUT ROWID;

-- Changes of health that are to be told.
CREATE TABLE notices (
	id     TEXT PRIMARY KEY, -- sorts by time
	notice TEXT NOT NULL     -- JSON
) WITHOUT ROWID;

-- Headers of the customer's own.
ALTER TABLE endpoints ADD COLUMN headers BLOB NOT NULL DEFAULT x''; -- sealed JSON list; empty when there are none
