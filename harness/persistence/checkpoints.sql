-- What a checkpointer stores and deletes, each call in one statement: one round trip, and whole or
-- absent whatever happens. (A pipeline of several, cancelled, commits what it has sent by then.)

-- fragment: checkpoint
INSERT INTO checkpoints
  (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
VALUES (%(thread_id)s, %(checkpoint_ns)s, %(checkpoint_id)s, %(parent_id)s, %(checkpoint)s,
        %(metadata)s)
ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id)
DO UPDATE SET checkpoint = EXCLUDED.checkpoint, metadata = EXCLUDED.metadata

-- statement: put
{checkpoint}

-- A version of a channel never changes, so a blob that is there is left as it is.
-- template: put_with_blobs
WITH stored AS (
  INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
  {rows}
  ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO NOTHING
)
{checkpoint}

-- What a task wrote first stays.
-- template: write
INSERT INTO checkpoint_writes
  (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
{rows}
ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx) DO NOTHING

-- LangGraph's special channels (an error, an interrupt, …) may be written again.
-- template: rewrite
INSERT INTO checkpoint_writes
  (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
{rows}
ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
DO UPDATE SET channel = EXCLUDED.channel, type = EXCLUDED.type, blob = EXCLUDED.blob

-- Rows of the templates above: few as values, the cheapest to send and to plan, and many as arrays.
-- template: blob
(%(thread_id)s, %(checkpoint_ns)s, %(channel_{n})s, %(version_{n})s, %(type_{n})s, %(blob_{n})s)

-- fragment: many_blob
SELECT %(thread_id)s, %(checkpoint_ns)s, made.*
FROM unnest(%(channels)s::text[], %(versions)s::text[], %(types)s::text[], %(blobs)s::bytea[])
  AS made (channel, version, type, blob)

-- template: written
(%(thread_id)s, %(checkpoint_ns)s, %(checkpoint_id)s, %(task_id)s, %(task_path)s,
 %(idx_{n})s, %(channel_{n})s, %(type_{n})s, %(blob_{n})s)

-- fragment: many_written
SELECT %(thread_id)s, %(checkpoint_ns)s, %(checkpoint_id)s, %(task_id)s, %(task_path)s, made.*
FROM unnest(%(idxs)s::int[], %(channels)s::text[], %(types)s::text[], %(blobs)s::bytea[])
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
