-- LangGraph's checkpoints, which `harness.storage.retention` shortens. Unqualified names mean what
-- they mean to LangGraph: the first match in the search path.
--
-- No two sets of a thread's rows are joined, and none is probed once for each row of another: such
-- plans are made from estimates, which are worst for the few huge threads that are worth pruning,
-- and take an index that leads through all of the thread's rows each time.

-- Which of the tables that hold histories there are. (Not to_regclass, which answers from a cache.)
-- statement: tables
SELECT found.relname AS name FROM pg_catalog.pg_class AS found
WHERE found.relkind IN ('r', 'p') AND (
    found.relname IN ('checkpoints', 'checkpoint_blobs', 'checkpoint_writes')
    AND pg_catalog.pg_table_is_visible(found.oid)
    OR found.relname = 'thread_states'
    AND found.relnamespace::regnamespace::text = 'langgraph_server')

-- Threads of which something might go: those that have more rows than stay of each history.
-- template: crowded
SELECT thread_id FROM checkpoints {condition} GROUP BY thread_id HAVING count(*) > %(keep)s

-- fragment: of_threads
WHERE thread_id = ANY (%(ids)s)

-- statement: of_runs
SELECT DISTINCT thread_id FROM checkpoints WHERE metadata ->> 'run_id' = ANY (%(run_ids)s)

-- Its transaction holds the thread against others that shorten or copy it. A statement of its own:
-- the next one's snapshot shows what the one before has done.
-- statement: hold
SELECT clock_timestamp() AS now
FROM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(%(id)s, 7254061))

-- Which channels are delta channels only the graph knows; its checkpoints tell by counters in their
-- metadata, and by an inline `true` with a blob behind it. (Those that LangGraph.js marks do not.)
-- statement: links
WITH told AS (
    SELECT jsonb_object_keys(metadata -> 'counters_since_delta_snapshot') AS channel, true AS counted
    FROM checkpoints WHERE thread_id = %(id)s
    UNION
    SELECT inline.key, false FROM checkpoints
    CROSS JOIN LATERAL jsonb_each(checkpoint -> 'channel_values') AS inline
    WHERE thread_id = %(id)s AND inline.value = 'true'
), deltas AS MATERIALIZED (
    SELECT coalesce(array_agg(DISTINCT channel), ARRAY[]::text[]) AS channels,
           coalesce(array_agg(channel) FILTER (WHERE counted), ARRAY[]::text[]) AS counted
    FROM told
)
SELECT checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint ->> 'ts' AS ts,
       (checkpoint ->> 'v')::int AS v, metadata -> 'parents' ->> '' AS root,
       metadata ->> 'run_id' AS run_id, metadata ? 'delta_writes_versioned' AS of_js,
       (SELECT channels FROM deltas) AS channels, (SELECT counted FROM deltas) AS counted,
       ARRAY(SELECT checkpoint -> 'channel_versions' ->> delta
             FROM unnest((SELECT channels FROM deltas)) AS delta) AS versions,
       ARRAY(SELECT (checkpoint -> 'channel_values' -> delta)::text
             FROM unnest((SELECT channels FROM deltas)) AS delta) AS inline
FROM checkpoints
WHERE thread_id = %(id)s
ORDER BY checkpoint_ns, checkpoint_id DESC

-- Sent after `links`: a blob is committed with its checkpoint, so that all of theirs are seen.
-- statement: stored
SELECT checkpoint_ns, channel, version FROM checkpoint_blobs
WHERE thread_id = %(id)s AND channel = ANY (%(channels)s) AND type <> 'empty'

-- statement: sends
SELECT DISTINCT checkpoint_ns, checkpoint_id FROM checkpoint_writes
WHERE thread_id = %(id)s AND channel = '__pregel_tasks'

-- fragment: of_namespace
thread_id = %(id)s AND checkpoint_ns = %(namespace)s

-- fragment: of_calls
thread_id = %(id)s AND checkpoint_ns = ANY (%(namespaces)s)

-- fragment: checkpoint_size
pg_column_size(thread_id) + pg_column_size(checkpoint_ns) + pg_column_size(checkpoint_id)
+ coalesce(pg_column_size(parent_checkpoint_id), 0) + coalesce(pg_column_size(type), 0)
+ pg_column_size(checkpoint) + pg_column_size(metadata)

-- fragment: blob_size
pg_column_size(thread_id) + pg_column_size(checkpoint_ns) + pg_column_size(channel)
+ pg_column_size(version) + pg_column_size(type) + coalesce(pg_column_size(blob), 0)

-- fragment: write_size
pg_column_size(thread_id) + pg_column_size(checkpoint_ns) + pg_column_size(checkpoint_id)
+ pg_column_size(task_id) + pg_column_size(idx) + pg_column_size(channel)
+ coalesce(pg_column_size(type), 0) + pg_column_size(blob) + pg_column_size(task_path)

-- fragment: total
SELECT count(*) AS rows, coalesce(sum(size_bytes), 0)::bigint AS size_bytes FROM gone

-- What the checkpoints that go refer to, and none that stays.
-- statement: garbage
SELECT used.key AS channel, used.value AS version FROM checkpoints
CROSS JOIN LATERAL jsonb_each_text(checkpoint -> 'channel_versions') AS used
WHERE {of_namespace} AND checkpoint_id = ANY (%(gone)s)
EXCEPT
SELECT used.key, used.value FROM checkpoints
CROSS JOIN LATERAL jsonb_each_text(checkpoint -> 'channel_versions') AS used
WHERE {of_namespace} AND checkpoint_id <> ALL (%(gone)s)

-- statement: delete_checkpoints
WITH gone AS (
    DELETE FROM checkpoints WHERE {of_namespace} AND checkpoint_id = ANY (%(gone)s)
    RETURNING {checkpoint_size} AS size_bytes
) {total}

-- statement: delete_blobs
WITH gone AS (
    DELETE FROM checkpoint_blobs
    WHERE {of_namespace} AND channel = %(channel)s AND version = ANY (%(versions)s)
    RETURNING {blob_size} AS size_bytes
) {total}

-- By the checkpoints that go: writes may be committed before their checkpoint is.
-- statement: delete_writes
WITH gone AS (
    DELETE FROM checkpoint_writes WHERE {of_namespace} AND checkpoint_id = ANY (%(gone)s)
    RETURNING {write_size} AS size_bytes
) {total}

-- statement: delete_call_checkpoints
WITH gone AS (
    DELETE FROM checkpoints WHERE {of_calls} RETURNING {checkpoint_size} AS size_bytes
) {total}

-- statement: delete_call_blobs
WITH gone AS (
    DELETE FROM checkpoint_blobs WHERE {of_calls} RETURNING {blob_size} AS size_bytes
) {total}

-- statement: delete_call_writes
WITH gone AS (
    DELETE FROM checkpoint_writes WHERE {of_calls} RETURNING {write_size} AS size_bytes
) {total}

-- statement: make_roots
UPDATE checkpoints SET parent_checkpoint_id = NULL
WHERE {of_namespace} AND parent_checkpoint_id = ANY (%(gone)s)
RETURNING checkpoint_id

-- statement: lose_channel
UPDATE checkpoints SET checkpoint = checkpoint #- ARRAY['channel_versions', %(channel)s]
WHERE {of_namespace} AND checkpoint_id = ANY (%(lost)s)

-- statement: is_taken
SELECT EXISTS (SELECT FROM checkpoints WHERE thread_id = %(target)s)
    OR EXISTS (SELECT FROM checkpoint_blobs WHERE thread_id = %(target)s)
    OR EXISTS (SELECT FROM checkpoint_writes WHERE thread_id = %(target)s) AS taken

-- One statement, so that all is of one snapshot. A run stores writes before their checkpoint; these
-- have no meaning without it. (IS TRUE has the keys hashed once: an IN alone would become a join.)
-- statement: copy
WITH copied AS (
    INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type,
                             checkpoint, metadata)
    SELECT %(target)s, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint,
           metadata
    FROM checkpoints WHERE thread_id = %(id)s
), with_blobs AS (
    INSERT INTO checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
    SELECT %(target)s, checkpoint_ns, channel, version, type, blob
    FROM checkpoint_blobs WHERE thread_id = %(id)s
)
INSERT INTO checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type,
                               blob, task_path)
SELECT %(target)s, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, task_path
FROM checkpoint_writes
WHERE thread_id = %(id)s AND ((checkpoint_ns, checkpoint_id) IN (
    SELECT checkpoint_ns, checkpoint_id FROM checkpoints WHERE thread_id = %(id)s
)) IS TRUE
