-- Older rows have counted neither.
ALTER TABLE stats ADD COLUMN given_up INTEGER NOT NULL DEFAULT 0;
ALTER TABLE stats ADD COLUMN lag TEXT NOT NULL DEFAULT '[]'; -- JSON list of bucket counts

-- Keys of who signed in, many and short of life. A list of keys passes over them.
ALTER TABLE keys ADD COLUMN session INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN opener TEXT NOT NULL DEFAULT ''; -- a key's id
-- Portal sessions were kept as other keys are. They last an hour at most.
UPDATE keys SET session = 1 WHERE name = 'portal session' AND revoked_at > 0 AND revoked_at <= created_at + 3600000000;
CREATE INDEX keys_account ON keys (account, session);
CREATE INDEX keys_over ON keys (revoked_at) WHERE session = 1;

-- How deep a queue is can be told from the index alone.
DROP INDEX messages_cold;
CREATE INDEX messages_cold ON messages (queue, visible_at, receives) WHERE cold = 1;
