-- Version 1: nodes, jobs, history, incidents, outbox.
--
-- Times are milliseconds since 1970 and always come from the caller. A closed set of words is a small
-- integer, whose list stands in `sqlite/columns.rs` and only ever grows. `run` has one row for each
-- slot or request, from the moment it is recorded until retention takes it: a run and the record of a
-- slot that did not run are the same row, so that one unique index stops both from happening twice.
--
-- What is written at the minute's peak is one `run` row and one `job.cursor`. Therefore a new run goes
-- into two indexes only (`run_cause`, `run_live`); the indexes for listing are partial and take it in
-- when it is over, one at a time, as runs end.

-- One row for each start of the daemon. A claim on a run belongs to a start, not to a host.
CREATE TABLE node (
    -- AUTOINCREMENT: the number of a forgotten incarnation must never come back, it is part of a fence.
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    -- From jada.yaml, or the host's name.
    name       TEXT    NOT NULL,
    -- The kernel's boot id: what another boot claimed is void.
    boot       TEXT    NOT NULL,
    -- For people who look for the process.
    pid        INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    -- Until when all its claims are good. One row to renew, however many attempts are under way.
    until      INTEGER
) STRICT;

-- What the store has to remember of a job, beyond its file.
CREATE TABLE job (
    -- AUTOINCREMENT: history may outlive a job, and must not pass to another one.
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    name           TEXT    NOT NULL UNIQUE,
    -- Hash of the whole definition.
    revision       INTEGER NOT NULL,
    -- Hash of what decides the slots; while it stays the same, the cursor survives a reload.
    schedule       INTEGER NOT NULL,
    -- Every slot up to here, inclusive, is accounted for by a row or was before retention.
    cursor         INTEGER NOT NULL,
    -- A person's pause and their words; both or neither.
    paused_since   INTEGER,
    paused_reason  TEXT,
    -- When it was added, or came back after it had been retired.
    known_since    INTEGER NOT NULL,
    -- When the catalog stopped naming it; NULL while it is in force.
    retired_at     INTEGER,
    -- Rows of `run` that are over. Retention by count asks each job, and would have to count them all.
    ended          INTEGER NOT NULL DEFAULT 0,
    -- Kept here, not looked up: freshness must outlive the row of that success.
    last_success   INTEGER,
    -- The newest failure and its message, for the same reason.
    last_failed_at INTEGER,
    last_failure   TEXT,
    -- When its newest run with the cause `after` was recorded.
    last_after     INTEGER
) STRICT;

-- Slots and requests, and what became of them.
CREATE TABLE run (
    -- Not AUTOINCREMENT, which would write a second table for each run: retention never deletes the
    -- newest row, so that the number doesn't come back either.
    id          INTEGER PRIMARY KEY,
    job         INTEGER NOT NULL REFERENCES job (id),
    -- Why it exists: 0 slot, 1 manual, 2 after; and which: the nominal time, the time somebody asked,
    -- or the run that it follows.
    kind        INTEGER NOT NULL,
    ref         INTEGER NOT NULL,
    -- 0 queued, 1 running; over: 2 ran, 3 failed, 4 skipped, 5 missed, 6 expired, 7 blocked.
    state       INTEGER NOT NULL,
    -- Hash of the definition that it was recorded under.
    revision    INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    -- Attempts begun; the number of the last one is the fence.
    attempts    INTEGER NOT NULL,
    -- When the first attempt began.
    started_at  INTEGER,
    -- Queued: not before this time.
    ready_at    INTEGER,
    -- Running: when this attempt began, which node performs it, and until when its claim is good at
    -- least (`node.until` may have extended it). Over: when its last attempt began and who performed
    -- it, where that attempt ended exactly as the run did; most runs then need no row in `attempt`.
    since       INTEGER,
    holder      INTEGER,
    until       INTEGER,
    -- Over: since when.
    ended_at    INTEGER,
    -- Failed: the class, and what the process and the server said.
    class       INTEGER,
    exit_code   INTEGER,
    retry_after INTEGER,
    -- Slots that the row stands for; more than 1 where a long absence was summed up.
    count       INTEGER NOT NULL,
    -- Why it waits, what it said, how it failed, or why it did not run. Not interned: SQLite stores it
    -- in line, most rows have none, and a look-up per row would cost more than it saves.
    text        TEXT
) STRICT;

-- Nothing happens twice. Also lists a job's slots by nominal time.
CREATE UNIQUE INDEX run_cause ON run (job, kind, ref);
-- What is under way: small, whatever the history.
CREATE INDEX run_live ON run (kind, ref, job) WHERE state < 2;
-- Slots by what became of them, newest first; of all jobs and of one.
CREATE INDEX run_slot ON run (state, ref) WHERE kind = 0 AND state >= 2;
CREATE INDEX run_slot_job ON run (job, state, ref) WHERE kind = 0 AND state >= 2;
-- Runs by what became of them, newest first; of all jobs and of one. A slot that did not run is no run,
-- and is in `run_slot`; a request that did not run is here, so that retention finds it by its age.
CREATE INDEX run_over ON run (state, created_at) WHERE state >= 2 AND (kind <> 0 OR state <= 3);
CREATE INDEX run_over_job ON run (job, state, created_at)
    WHERE state >= 2 AND (kind <> 0 OR state <= 3);
-- A job's ends in order: what incident rules look at, and what retention by count takes.
CREATE INDEX run_end ON run (job, state, ended_at) WHERE state >= 2;

-- A job's numbers by the hour, so that a summary adds up some hours and not each row. They outlive the
-- rows: a job that runs each second still knows how its day went when retention keeps 1,000 rows.
CREATE TABLE tally (
    job   INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    -- Hours since 1970, by when it was over.
    hour  INTEGER NOT NULL,
    -- As in `run`, from 2.
    state INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (job, hour, state)
) STRICT, WITHOUT ROWID;

-- Attempts that have ended and that their run doesn't tell: those that were followed by another one.
CREATE TABLE attempt (
    run         INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    no          INTEGER NOT NULL,
    node        INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    ended_at    INTEGER NOT NULL,
    -- NULL: it succeeded. The rest as in `run`.
    class       INTEGER,
    exit_code   INTEGER,
    retry_after INTEGER,
    text        TEXT,
    PRIMARY KEY (run, no)
) STRICT, WITHOUT ROWID;

-- Problems, past and present.
CREATE TABLE incident (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    -- What has the problem: `job/NAME`, `file/PATH`.
    key         TEXT    NOT NULL,
    -- A name, not a key: a problem may outlive its job.
    job         TEXT,
    -- 0 warning, 1 error.
    severity    INTEGER NOT NULL,
    opened_at   INTEGER NOT NULL,
    last_seen   INTEGER NOT NULL,
    -- How often it was seen.
    count       INTEGER NOT NULL,
    title       TEXT    NOT NULL,
    detail      TEXT    NOT NULL,
    -- The step that mends it.
    mend        TEXT    NOT NULL,
    -- NULL while it goes on; with it, what mended it.
    resolved_at INTEGER,
    note        TEXT    NOT NULL DEFAULT ''
) STRICT;

-- One cause, one open incident.
CREATE UNIQUE INDEX incident_open ON incident (key) WHERE resolved_at IS NULL;

-- Who has to be told what. Written in the transaction of the incident, so that no telling is lost.
CREATE TABLE outbox (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    incident     INTEGER NOT NULL REFERENCES incident (id) ON DELETE CASCADE,
    notifier     TEXT    NOT NULL,
    -- `opened` or `resolved`.
    event        TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    -- NULL: still to be told.
    delivered_at INTEGER
) STRICT;

-- In order within an incident; also what the foreign key needs.
CREATE INDEX outbox_incident ON outbox (incident);
