-- Times are microseconds since 1970; 0 is "none". Every table that holds large
-- values is a rowid table: a row of about 1 KB in a WITHOUT ROWID table spills
-- to an overflow page, which doubled the CPU of a delivery when measured.

CREATE TABLE accounts (
	id         TEXT PRIMARY KEY,
	name       TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE keys (
	id         TEXT PRIMARY KEY,
	account    TEXT NOT NULL,
	scope      TEXT NOT NULL,
	name       TEXT NOT NULL,
	hash       BLOB NOT NULL,
	created_at INTEGER NOT NULL,
	revoked_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE endpoints (
	id            TEXT PRIMARY KEY,
	account       TEXT NOT NULL,
	url           TEXT NOT NULL,
	format        TEXT NOT NULL,
	is_default    INTEGER NOT NULL,
	types         TEXT NOT NULL, -- JSON list
	policy        TEXT NOT NULL, -- JSON of webhook.PolicyPatch
	secrets       BLOB NOT NULL, -- sealed JSON list
	status        TEXT NOT NULL,
	status_reason TEXT NOT NULL,
	created_at    INTEGER NOT NULL,
	updated_at    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX endpoints_account ON endpoints (account, id);
CREATE UNIQUE INDEX endpoints_default ON endpoints (account) WHERE is_default = 1;

CREATE TABLE health (
	endpoint TEXT PRIMARY KEY,
	state    TEXT NOT NULL,
	since    INTEGER NOT NULL,
	reason   TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE stats (
	endpoint  TEXT NOT NULL,
	hour      INTEGER NOT NULL,
	account   TEXT NOT NULL,
	delivered INTEGER NOT NULL,
	failed    INTEGER NOT NULL,
	latency   TEXT NOT NULL, -- JSON list of bucket counts
	PRIMARY KEY (endpoint, account, hour)
) WITHOUT ROWID;

CREATE TABLE silences (
	url   TEXT PRIMARY KEY,
	until INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE jobs (
	seq        INTEGER PRIMARY KEY,
	id_hash    INTEGER NOT NULL, -- of id: ids are the platform's and mostly random, and an index of hashes is a quarter of one of ids
	id         TEXT NOT NULL,
	kind       TEXT NOT NULL,
	account    TEXT NOT NULL,
	status     TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	record     TEXT NOT NULL
);
CREATE INDEX jobs_id ON jobs (id_hash); -- id and kind are unique: the one writer looks before it inserts
CREATE INDEX jobs_account ON jobs (account);
CREATE INDEX jobs_stopped ON jobs (updated_at) WHERE kind = 'scraping' AND status = 'stopped';

-- The change feed: what a DynamoDB stream would carry.
CREATE TABLE changes (
	seq        INTEGER PRIMARY KEY,
	at         INTEGER NOT NULL,
	old_record TEXT NOT NULL, -- empty when the job is new
	new_record TEXT NOT NULL
);
CREATE TABLE checkpoint (
	one  INTEGER PRIMARY KEY CHECK (one = 1),
	seq  INTEGER NOT NULL -- the last change that was dispatched
);
INSERT INTO checkpoint (one, seq) VALUES (1, 0);

CREATE TABLE events (
	seq      INTEGER PRIMARY KEY,
	id       TEXT NOT NULL,
	type     TEXT NOT NULL,
	account  TEXT NOT NULL,
	kind     TEXT NOT NULL,
	job_id   TEXT NOT NULL,
	run      INTEGER NOT NULL,
	at       INTEGER NOT NULL,
	level    TEXT NOT NULL,
	sequence TEXT NOT NULL,
	record   TEXT NOT NULL
);
CREATE UNIQUE INDEX events_id ON events (id);

CREATE TABLE deliveries (
	seq          INTEGER PRIMARY KEY,
	account      TEXT NOT NULL,
	id           TEXT NOT NULL,
	event_seq    INTEGER NOT NULL,
	event_id     TEXT NOT NULL,
	event_type   TEXT NOT NULL,
	kind         TEXT NOT NULL,
	job_id       TEXT NOT NULL,
	run          INTEGER NOT NULL,
	sequence     TEXT NOT NULL,
	endpoint     TEXT NOT NULL,
	url          TEXT NOT NULL,
	format       TEXT NOT NULL,
	state        TEXT NOT NULL,
	reason       TEXT NOT NULL,
	generation   INTEGER NOT NULL,
	attempts     INTEGER NOT NULL,
	postponed    INTEGER NOT NULL,
	recorded     INTEGER NOT NULL, -- attempts of all generations, numbers the rows of attempts
	next_at      INTEGER NOT NULL,
	due_at       INTEGER NOT NULL,
	lease_until  INTEGER NOT NULL,
	deadline     INTEGER NOT NULL,
	last_status  INTEGER NOT NULL,
	last_failure TEXT NOT NULL,
	created_at   INTEGER NOT NULL,
	updated_at   INTEGER NOT NULL,
	delivered_at INTEGER NOT NULL,
	expires_at   INTEGER NOT NULL
);
CREATE UNIQUE INDEX deliveries_id ON deliveries (account, id);
CREATE INDEX deliveries_expires ON deliveries (expires_at);
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE due_at > 0;
CREATE INDEX deliveries_held ON deliveries (endpoint) WHERE state = 'held' AND due_at = 0;

-- id is the delivery's seq * 4096 + the attempt's number, so that the attempts
-- of a delivery lie together without a second index.
CREATE TABLE attempts (
	id          INTEGER PRIMARY KEY,
	generation  INTEGER NOT NULL,
	at          INTEGER NOT NULL,
	url         TEXT NOT NULL,
	status      INTEGER NOT NULL,
	failure     TEXT NOT NULL,
	code        TEXT NOT NULL,
	detail      TEXT NOT NULL,
	retry_after INTEGER NOT NULL,
	header      TEXT NOT NULL, -- JSON, empty for a success
	body        BLOB NOT NULL,
	dns         INTEGER NOT NULL,
	connect     INTEGER NOT NULL,
	tls         INTEGER NOT NULL,
	first_byte  INTEGER NOT NULL,
	total       INTEGER NOT NULL,
	state       TEXT NOT NULL,
	reason      TEXT NOT NULL,
	late        INTEGER NOT NULL
);

CREATE TABLE messages (
	id         INTEGER PRIMARY KEY,
	queue      TEXT NOT NULL,
	grp        TEXT NOT NULL,
	body       TEXT NOT NULL,
	sent_at    INTEGER NOT NULL,
	visible_at INTEGER NOT NULL,
	receives   INTEGER NOT NULL,
	cold       INTEGER NOT NULL -- 1: not in memory, to be loaded when it is nearly visible
);
CREATE INDEX messages_cold ON messages (queue, visible_at) WHERE cold = 1;
