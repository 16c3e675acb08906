-- What a checkpointer stores, each call in one statement: one round trip, one transaction.

-- A version of a channel never changes, so a blob that is there is left as it is. Arrays are of
-- equal length, an element a blob.
-- statement: put
WITH stored AS (
  INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
  SELECT %(thread_id)s, %(checkpoint_ns)s, made.channel, made.version, made.type, made.blob
  FROM unnest(%(channels)s::text[], %(versions)s::text[], %(types)s::text[], %(blobs)s::bytea[])
    AS made (channel, version, type, blob)
  ON CONFLICT DO NOTHING
)
INSERT INTO checkpoints
  (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
VALUES (%(thread_id)s, %(checkpoint_ns)s, %(checkpoint_id)s, %(parent_id)s, %(checkpoint)s,
        %(metadata)s)
ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id)
DO UPDATE SET checkpoint = EXCLUDED.checkpoint, metadata = EXCLUDED.metadata

-- statement: put_without_blobs
INSERT INTO checkpoints
  (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
VALUES (%(thread_id)s, %(checkpoint_ns)s, %(checkpoint_id)s, %(parent_id)s, %(checkpoint)s,
        %(metadata)s)
ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id)
DO UPDATE SET checkpoint = EXCLUDED.checkpoint, metadata = EXCLUDED.metadata

-- What a task wrote first stays.
-- statement: write
INSERT INTO checkpoint_writes
  (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
SELECT %(thread_id)s, %(checkpoint_ns)s, %(checkpoint_id)s, %(task_id)s, %(task_path)s,
       made.idx, made.channel, made.type, made.blob
FROM unnest(%(places)s::int[], %(channels)s::text[], %(types)s::text[], %(blobs)s::bytea[])
  AS made (idx, channel, type, blob)
ON CONFLICT DO NOTHING

-- LangGraph's special channels (an error, an interrupt, …) may be written again. No place may occur
-- twice in the arrays.
-- statement: rewrite
INSERT INTO checkpoint_writes
  (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
SELECT %(thread_id)s, %(checkpoint_ns)s, %(checkpoint_id)s, %(task_id)s, %(task_path)s,
       made.idx, made.channel, made.type, made.blob
FROM unnest(%(places)s::int[], %(channels)s::text[], %(types)s::text[], %(blobs)s::bytea[])
  AS made (idx, channel, type, blob)
ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
DO UPDATE SET channel = EXCLUDED.channel, type = EXCLUDED.type, blob = EXCLUDED.blob

-- Behind the stock saver's SELECT.
-- fragment: one
WHERE thread_id = %(thread_id)s AND checkpoint_ns = %(checkpoint_ns)s
  AND checkpoint_id = %(checkpoint_id)s

-- fragment: newest
WHERE thread_id = %(thread_id)s AND checkpoint_ns = %(checkpoint_ns)s
ORDER BY checkpoint_id DESC LIMIT 1
