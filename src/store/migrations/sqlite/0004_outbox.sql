-- Version 4: the outbox is delivered, and people can ask for silence.

-- SQLite can't drop a NOT NULL: a test and a digest are about no incident, or about several.
ALTER TABLE outbox RENAME TO outbox_before;
DROP INDEX outbox_incident;

-- Who has to be told what. Written in the transaction of the incident, so that no telling is lost.
CREATE TABLE outbox (
    -- AUTOINCREMENT: the number is part of the key by which a receiver tells a repeated message.
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    incident     INTEGER REFERENCES incident (id) ON DELETE CASCADE,
    notifier     TEXT    NOT NULL,
    -- `opened`, `reminder`, `resolved`, `flapping`, `digest`, `test`.
    event        TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    -- 0 waits; over: 1 delivered, 2 carried by another row, 3 dropped, 4 given up.
    state        INTEGER NOT NULL DEFAULT 0,
    -- Over: since when.
    ended_at     INTEGER,
    tries        INTEGER NOT NULL DEFAULT 0,
    tried_since  INTEGER,
    -- Not before this time.
    next_at      INTEGER NOT NULL,
    -- Why it waits, in one word and in more, and until when.
    hold         TEXT,
    held         TEXT,
    held_until   INTEGER,
    -- What the last try failed of: 0 the line, 1 the settings.
    blame        INTEGER,
    error        TEXT    NOT NULL DEFAULT '',
    -- The row whose message it takes over; the row that tells this one.
    origin       INTEGER,
    carrier      INTEGER
) STRICT;

-- What an open incident has not told yet is told now. Of what is over, nobody was told either, and it would
-- be old news.
INSERT INTO outbox (id, incident, notifier, event, created_at, state, ended_at, next_at, error)
    SELECT o.id, o.incident, o.notifier, o.event, o.created_at,
        iif(o.delivered_at IS NOT NULL, 1, iif(i.resolved_at IS NULL, 0, 3)),
        coalesce(o.delivered_at, i.resolved_at), o.created_at,
        iif(o.delivered_at IS NULL AND i.resolved_at IS NOT NULL,
            'it was over before anybody could be told', '')
    FROM outbox_before o JOIN incident i ON i.id = o.incident;
DROP TABLE outbox_before;

-- In order within an incident; also what the foreign key needs.
CREATE INDEX outbox_incident ON outbox (incident);
-- What waits: small, whatever the history.
CREATE INDEX outbox_waiting ON outbox (notifier, incident) WHERE state = 0;
-- What was sent lately, and what retention takes.
CREATE INDEX outbox_ended ON outbox (ended_at) WHERE state <> 0;
CREATE INDEX outbox_carrier ON outbox (carrier) WHERE carrier IS NOT NULL;
-- A message is taken over once by each notifier.
CREATE UNIQUE INDEX outbox_origin ON outbox (origin, notifier, event) WHERE origin IS NOT NULL;

-- Wishes not to be told.
CREATE TABLE silence (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Names of nodes, with `*` and `?`.
    pattern  TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    author   TEXT    NOT NULL,
    since    INTEGER NOT NULL,
    until    INTEGER NOT NULL
) STRICT;

CREATE INDEX silence_until ON silence (until);
