-- Version 3: what was seen, before anybody judges it; and incidents that come back.

-- Names that many observations share.
CREATE TABLE subject (
    -- AUTOINCREMENT: a number must never come to mean another name.
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    name    TEXT    NOT NULL UNIQUE,
    -- The newest time at which it was used, half a day at most behind: what is not used any more goes.
    used_at INTEGER NOT NULL
) STRICT;

-- One look of one check. Clustered by check and time, since rules ask for the newest looks of one check.
CREATE TABLE observation (
    -- Who looked: the check.
    who     INTEGER NOT NULL REFERENCES subject (id),
    -- When the look was over.
    at      INTEGER NOT NULL,
    -- The run that looked; 0 where none did. With it, a result that is handed in twice is kept once.
    run     INTEGER NOT NULL,
    -- What was looked at.
    what    INTEGER NOT NULL REFERENCES subject (id),
    -- How long it took.
    took    INTEGER NOT NULL,
    -- 0 ok, 1 warn, 2 unknown, 3 fail.
    verdict INTEGER NOT NULL,
    -- The fault's word.
    fault   TEXT,
    -- What was seen, in one line.
    text    TEXT,
    PRIMARY KEY (who, at, run)
) STRICT, WITHOUT ROWID;

-- What retention takes: it goes by age alone.
CREATE INDEX observation_age ON observation (at);

-- The fault's word, where it has one.
ALTER TABLE incident ADD COLUMN fault TEXT;
-- How often it began.
ALTER TABLE incident ADD COLUMN generation INTEGER NOT NULL DEFAULT 1;
-- Since when a person knows, and who; both or neither.
ALTER TABLE incident ADD COLUMN acked_at INTEGER;
ALTER TABLE incident ADD COLUMN acked_by TEXT;
-- Whether it comes and goes.
ALTER TABLE incident ADD COLUMN flapping INTEGER NOT NULL DEFAULT 0;
-- Milliseconds between one reminder and the next, one a line; empty is never, NULL is what the settings say.
ALTER TABLE incident ADD COLUMN remind TEXT;

-- One that comes back is looked for by its key.
CREATE INDEX incident_key ON incident (key, resolved_at);

-- A key is the root and, where the root can have several troubles, the fault at the opening.
UPDATE incident SET key = substr(key, 1, length(key) - 6) || '#stale', fault = 'stale'
    WHERE key LIKE 'job/%/stale';
UPDATE incident SET key = substr(key, 1, length(key) - 8) || '#expired', fault = 'expired'
    WHERE key LIKE 'job/%/expired';
UPDATE incident SET key = substr(key, 1, length(key) - 6) || '#exec.stuck', fault = 'exec.stuck'
    WHERE key LIKE 'job/%/stuck';
UPDATE incident SET key = key || '#unknown', fault = 'unknown'
    WHERE key LIKE 'job/%' AND key NOT LIKE '%#%';
