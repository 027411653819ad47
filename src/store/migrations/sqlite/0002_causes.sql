-- Version 2: incidents name their class, their root and all the jobs that they hit.

-- In one word: a failure class, a credential's class, `configuration`.
ALTER TABLE incident ADD COLUMN class TEXT NOT NULL DEFAULT '';
-- The node at the root: `job/NAME`, `credential/NAME`, `file/PATH`.
ALTER TABLE incident ADD COLUMN root TEXT NOT NULL DEFAULT '';
-- Names of jobs, one a line: a name has no line end in it.
ALTER TABLE incident ADD COLUMN affected TEXT NOT NULL DEFAULT '';
UPDATE incident SET root = key, affected = coalesce(job, '');
ALTER TABLE incident DROP COLUMN job;
