-- What a checkpointer stores and deletes, each call in one statement: one round trip, and whole or
-- absent whatever happens. (A pipeline of several, cancelled, commits what it has sent by then.)

-- fragment: into_checkpoints
INSERT INTO checkpoints
  (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)

-- fragment: checkpoint
%(thread_id)s, %(checkpoint_ns)s, %(checkpoint_id)s, %(parent_id)s, %(checkpoint)s, %(metadata)s

-- fragment: over_checkpoint
ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id)
DO UPDATE SET checkpoint = EXCLUDED.checkpoint, metadata = EXCLUDED.metadata

-- A version of a channel never changes, so a blob that is there is left as it is.
-- fragment: blobs
stored AS (
  INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
  {rows}
  ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO NOTHING
)

-- fragment: writes
INSERT INTO checkpoint_writes
  (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
{rows}
ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)

-- What a task wrote first stays.
-- fragment: stays
DO NOTHING

-- LangGraph's special channels (an error, an interrupt, …) may be written again.
-- fragment: changes
DO UPDATE SET channel = EXCLUDED.channel, type = EXCLUDED.type, blob = EXCLUDED.blob

-- statement: put
{into_checkpoints} VALUES ({checkpoint}) {over_checkpoint}

-- template: put_with_blobs
WITH {blobs} {into_checkpoints} VALUES ({checkpoint}) {over_checkpoint}

-- template: write
{writes} {stays}

-- template: rewrite
{writes} {changes}

-- The same under a fence, for a run: see fence.py. `fence` has one row as long as the run's lease is
-- the current one, and none otherwise; its lock makes that true until the commit. A cancellation or
-- deletion that is under way is waited for, and the row is then looked at anew; a later one waits.
-- Each of these counts one row if it was let through, and none if not.
-- template: put_fenced
WITH {fence} {into_checkpoints} SELECT {checkpoint} FROM fence {over_checkpoint}

-- template: put_with_blobs_fenced
WITH {fence}, {blobs} {into_checkpoints} SELECT {checkpoint} FROM fence {over_checkpoint}

-- template: write_fenced
WITH {fence}, written AS ({writes} {stays}) SELECT FROM fence

-- template: rewrite_fenced
WITH {fence}, written AS ({writes} {changes}) SELECT FROM fence

-- In a transaction of several statements.
-- template: hold
WITH {fence} SELECT FROM fence

-- A claim's token is given out once, with a run whose thread and owner never change, and a run goes
-- with its thread. (Naming these too would have the planner choose among indexes.)
-- fragment: leased
run.run_id = %(fence_run)s::uuid AND run.lease_token = %(fence_token)s::uuid

-- The run's own thread needs no lock: who deletes it has to delete the run first.
-- template: at_home
fence AS MATERIALIZED (SELECT FROM langgraph_server.runs AS run WHERE {leased} FOR SHARE)

-- Another thread has to be there, and is locked before the run, as by all that locks both.
-- template: elsewhere
place AS MATERIALIZED (
  SELECT FROM langgraph_server.threads
  WHERE thread_id = %(fence_place)s::uuid AND owner = %(fence_owner)s FOR KEY SHARE
), fence AS MATERIALIZED (
  SELECT FROM place CROSS JOIN langgraph_server.runs AS run WHERE {leased} FOR SHARE OF run
)

-- Whether the lease or the other thread was missing.
-- statement: is_leased
SELECT 1 FROM langgraph_server.runs AS run WHERE {leased}

-- Rows of the templates above: few as values, the cheapest to send and to plan, and many as arrays.
-- template: blob
(%(thread_id)s, %(checkpoint_ns)s, %(channel_{n})s, %(version_{n})s, %(type_{n})s, %(blob_{n})s)

-- template: many_blob
SELECT %(thread_id)s, %(checkpoint_ns)s, made.* FROM {many_made_blob}

-- template: blob_fenced
SELECT %(thread_id)s, %(checkpoint_ns)s, made.* FROM fence CROSS JOIN {made}

-- template: made_blob
(%(channel_{n})s::text, %(version_{n})s::text, %(type_{n})s::text, %(blob_{n})s::bytea)

-- template: few_made_blob
(VALUES {values}) AS made (channel, version, type, blob)

-- fragment: many_made_blob
unnest(%(channels)s::text[], %(versions)s::text[], %(types)s::text[], %(blobs)s::bytea[])
  AS made (channel, version, type, blob)

-- template: written
(%(thread_id)s, %(checkpoint_ns)s, %(checkpoint_id)s, %(task_id)s, %(task_path)s,
 %(idx_{n})s, %(channel_{n})s, %(type_{n})s, %(blob_{n})s)

-- template: many_written
SELECT %(thread_id)s, %(checkpoint_ns)s, %(checkpoint_id)s, %(task_id)s, %(task_path)s, made.*
FROM {many_made_written}

-- template: written_fenced
SELECT %(thread_id)s, %(checkpoint_ns)s, %(checkpoint_id)s, %(task_id)s, %(task_path)s, made.*
FROM fence CROSS JOIN {made}

-- template: made_written
(%(idx_{n})s::int, %(channel_{n})s::text, %(type_{n})s::text, %(blob_{n})s::bytea)

-- template: few_made_written
(VALUES {values}) AS made (idx, channel, type, blob)

-- fragment: many_made_written
unnest(%(idxs)s::int[], %(channels)s::text[], %(types)s::text[], %(blobs)s::bytea[])
  AS made (idx, channel, type, blob)

-- statement: delete_thread
WITH blobs AS (DELETE FROM checkpoint_blobs WHERE thread_id = %(thread_id)s),
     writes AS (DELETE FROM checkpoint_writes WHERE thread_id = %(thread_id)s)
DELETE FROM checkpoints WHERE thread_id = %(thread_id)s

-- Behind the stock saver's SELECT.
-- fragment: one
WHERE thread_id = %(thread_id)s AND checkpoint_ns = %(checkpoint_ns)s
  AND checkpoint_id = %(checkpoint_id)s

-- fragment: newest
WHERE thread_id = %(thread_id)s AND checkpoint_ns = %(checkpoint_ns)s
ORDER BY checkpoint_id DESC LIMIT 1
