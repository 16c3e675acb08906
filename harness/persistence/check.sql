-- What `harness db check` looks for, and how it mends what can be mended safely. Each `find_` block
-- returns the id of each subject and how many rows are wrong with it; each `mend_` block gets ids.
--
-- Whoever mends a thread locks its row first, and looks again in a statement of its own: no run of
-- the thread begins meanwhile, and the second snapshot shows what the first one could not.

-- template: summary
SELECT count(*) AS subjects, coalesce(sum(found.rows), 0)::bigint AS rows,
       coalesce((array_agg(found.id ORDER BY found.id))[1:5], '{}') AS examples
FROM ({found}) AS found

-- template: ids
SELECT found.id FROM ({found}) AS found ORDER BY found.id

-- statement: has_schema
SELECT 1 FROM pg_catalog.pg_class
WHERE relname = 'threads' AND relnamespace::regnamespace::text = 'langgraph_server'

-- Those of this server only: its runs stamp their checkpoints, and other programs may keep theirs
-- in the same tables. Rows without any checkpoint are of no use to anybody.
-- statement: find_lost_checkpoints
SELECT rows.thread_id AS id, sum(rows.count)::bigint AS rows FROM (
    SELECT thread_id, count(*) AS count, count(*) AS checkpoints,
           bool_or(metadata ?& ARRAY['run_id', 'assistant_id', 'graph_id']) AS stamped
    FROM checkpoints GROUP BY thread_id
    UNION ALL
    SELECT thread_id, count(*), 0, false FROM checkpoint_blobs GROUP BY thread_id
    UNION ALL
    SELECT thread_id, count(*), 0, false FROM checkpoint_writes GROUP BY thread_id
) AS rows
LEFT JOIN langgraph_server.threads AS t ON t.thread_id::text = rows.thread_id
WHERE t.thread_id IS NULL
  AND rows.thread_id LIKE '________-____-____-____-____________'
  AND length(replace(rows.thread_id, '-', '')) = 32 AND rows.thread_id ~ '^[0-9a-f-]+$'
GROUP BY rows.thread_id HAVING bool_or(rows.stamped) OR sum(rows.checkpoints) = 0

-- statement: mend_lost_checkpoints
WITH lost AS MATERIALIZED (
    SELECT id FROM unnest(%(ids)s::text[]) AS lost (id)
    WHERE NOT EXISTS (SELECT FROM langgraph_server.threads WHERE thread_id = lost.id::uuid)
), blobs AS (
    DELETE FROM checkpoint_blobs WHERE thread_id IN (SELECT id FROM lost)
), writes AS (
    DELETE FROM checkpoint_writes WHERE thread_id IN (SELECT id FROM lost)
), checkpoints AS (
    DELETE FROM checkpoints WHERE thread_id IN (SELECT id FROM lost)
)
SELECT id FROM lost

-- fragment: used_blobs
SELECT c.thread_id, c.checkpoint_ns, used.key AS channel, used.value AS version
FROM checkpoints AS c CROSS JOIN LATERAL jsonb_each_text(c.checkpoint -> 'channel_versions') AS used

-- statement: find_unused_blobs
SELECT b.thread_id AS id, count(*) AS rows FROM checkpoint_blobs AS b
JOIN langgraph_server.threads AS t ON t.thread_id::text = b.thread_id
LEFT JOIN (SELECT DISTINCT * FROM ({used_blobs}) AS used) AS used
    ON used.thread_id = b.thread_id AND used.checkpoint_ns = b.checkpoint_ns
    AND used.channel = b.channel AND used.version = b.version
WHERE used.thread_id IS NULL GROUP BY b.thread_id

-- statement: mend_unused_blobs
DELETE FROM checkpoint_blobs AS b WHERE b.thread_id = ANY (%(ids)s)
    AND NOT EXISTS (SELECT FROM ({used_blobs}) AS used
                    WHERE used.thread_id = b.thread_id AND used.checkpoint_ns = b.checkpoint_ns
                      AND used.channel = b.channel AND used.version = b.version)

-- While a run is executed its writes may be stored before their checkpoint is.
-- statement: find_unused_writes
SELECT w.thread_id AS id, count(*) AS rows FROM checkpoint_writes AS w
JOIN langgraph_server.threads AS t ON t.thread_id::text = w.thread_id AND t.active_runs = 0
LEFT JOIN checkpoints AS c
    ON c.thread_id = w.thread_id AND c.checkpoint_ns = w.checkpoint_ns
    AND c.checkpoint_id = w.checkpoint_id
WHERE c.thread_id IS NULL GROUP BY w.thread_id

-- statement: mend_unused_writes
DELETE FROM checkpoint_writes AS w WHERE w.thread_id = ANY (%(ids)s)
    AND NOT EXISTS (SELECT FROM checkpoints AS c
                    WHERE c.thread_id = w.thread_id AND c.checkpoint_ns = w.checkpoint_ns
                      AND c.checkpoint_id = w.checkpoint_id)

-- statement: find_leaseless_runs
SELECT run_id::text AS id, 1 AS rows FROM langgraph_server.runs
WHERE status = 'running' AND lease_token IS NULL

-- statement: threads_of_runs
SELECT DISTINCT thread_id::text AS id FROM langgraph_server.runs WHERE run_id::text = ANY (%(ids)s)

-- statement: mend_leaseless_runs
UPDATE langgraph_server.runs SET
    status = 'pending', queued_at = due_at,
    updated_at = greatest(now(), updated_at + interval '1 microsecond')
WHERE thread_id::text = ANY (%(ids)s) AND status = 'running' AND lease_token IS NULL

-- fragment: facts
SELECT t.thread_id, t.status, t.active_runs, t.running_run_id, t.next_run_at, t.next_run_id,
       count(r.run_id) AS active,
       (array_agg(r.run_id) FILTER (WHERE r.status = 'running'))[1] AS running,
       min(r.created_at) FILTER (WHERE r.status = 'pending' AND r.queued_at = r.due_at) AS queued_at
FROM langgraph_server.threads AS t LEFT JOIN langgraph_server.runs AS r
    ON r.thread_id = t.thread_id AND r.status IN ('pending', 'running')
GROUP BY t.thread_id

-- A thread's next run may be named too early, and never too late.
-- statement: find_miscounted_threads
SELECT thread_id::text AS id, 1 AS rows FROM ({facts}) AS facts
WHERE (status = 'busy') <> (active > 0) OR active_runs <> active
   OR running_run_id IS DISTINCT FROM running
   OR (queued_at IS NOT NULL AND (next_run_at IS NULL OR next_run_at > queued_at))

-- statement: mend_miscounted_threads
UPDATE langgraph_server.threads AS t SET
    status = CASE WHEN active.runs > 0 THEN 'busy' WHEN t.status = 'busy' THEN 'idle'
                  ELSE t.status END,
    active_runs = active.runs, running_run_id = active.running,
    next_run_at = active.next_at, next_run_id = active.next_id
FROM (
    SELECT found.thread_id, count(r.run_id) AS runs,
           (array_agg(r.run_id) FILTER (WHERE r.status = 'running'))[1] AS running,
           (array_agg(r.created_at ORDER BY r.created_at, r.run_id) FILTER (WHERE r.queued))[1]
               AS next_at,
           (array_agg(r.run_id ORDER BY r.created_at, r.run_id) FILTER (WHERE r.queued))[1]
               AS next_id
    FROM langgraph_server.threads AS found LEFT JOIN (
        SELECT *, status = 'pending' AND NOT queued_at IS DISTINCT FROM due_at AS queued
        FROM langgraph_server.runs WHERE status IN ('pending', 'running')
    ) AS r ON r.thread_id = found.thread_id
    WHERE found.thread_id::text = ANY (%(ids)s)
    GROUP BY found.thread_id
) AS active
WHERE t.thread_id = active.thread_id

-- fragment: checkpoint_is_there
EXISTS (SELECT FROM langgraph_server.thread_states AS s
        WHERE s.thread_id = t.thread_id AND s.checkpoint_id = t.checkpoint_id)
    OR EXISTS (SELECT FROM checkpoints AS c
               WHERE c.thread_id = t.thread_id::text AND c.checkpoint_ns = ''
                 AND c.checkpoint_id = t.checkpoint_id::text)

-- statement: find_false_heads
SELECT t.thread_id::text AS id, 1 AS rows FROM langgraph_server.threads AS t
WHERE t.checkpoint_id IS NOT NULL AND NOT ({checkpoint_is_there})

-- The next read of the state shows the newest checkpoint again, if there is one.
-- statement: mend_false_heads
UPDATE langgraph_server.threads AS t SET checkpoint_id = NULL, "values" = NULL, interrupts = '{}'
WHERE t.thread_id::text = ANY (%(ids)s) AND NOT ({checkpoint_is_there})

-- fragment: is_left_over
t.active_runs = 0 AND EXISTS (
    SELECT FROM langgraph_server.runs AS r
    WHERE r.thread_id = t.thread_id AND r.status NOT IN ('pending', 'running')
      AND r.kwargs -> 'temporary' = 'true' AND r.kwargs ->> 'on_completion' IS DISTINCT FROM 'keep')

-- statement: find_temporary_threads
SELECT t.thread_id::text AS id, 1 AS rows FROM langgraph_server.threads AS t WHERE {is_left_over}

-- statement: mend_temporary_threads
DELETE FROM langgraph_server.threads AS t
WHERE t.thread_id::text = ANY (%(ids)s) AND {is_left_over}

-- What servers sweep every few minutes, unless they are configured otherwise, is late after a day.
-- statement: find_expired_threads
SELECT thread_id::text AS id, 1 AS rows FROM langgraph_server.threads
WHERE expires_at < now() - interval '1 day'

-- statement: mend_expired_threads
DELETE FROM langgraph_server.threads
WHERE thread_id::text = ANY (%(ids)s) AND expires_at < now() - interval '1 day'

-- Items are late after an hour.
-- statement: find_expired_items
SELECT owner || ' ' || array_to_string(namespace, '.') || ' ' || key AS id, 1 AS rows
FROM langgraph_server.store_items WHERE expires_at < now() - interval '1 hour'

-- statement: mend_expired_items
DELETE FROM langgraph_server.store_items WHERE expires_at < now() - interval '1 hour'

-- statement: find_foreign_rows
SELECT 'run ' || r.run_id AS id, 1 AS rows FROM langgraph_server.runs AS r
JOIN langgraph_server.threads AS t USING (thread_id) WHERE r.owner <> t.owner
UNION ALL
SELECT 'cron ' || c.cron_id, 1 FROM langgraph_server.crons AS c
JOIN langgraph_server.threads AS t USING (thread_id) WHERE c.owner <> t.owner

-- statement: find_misnamed_owners
SELECT 'assistant ' || assistant_id AS id, 1 AS rows FROM langgraph_server.assistants
WHERE metadata ->> 'owner' IS DISTINCT FROM owner
UNION ALL
SELECT 'thread ' || thread_id, 1 FROM langgraph_server.threads
WHERE metadata ->> 'owner' IS DISTINCT FROM owner
UNION ALL
SELECT 'run ' || run_id, 1 FROM langgraph_server.runs
WHERE metadata ->> 'owner' IS DISTINCT FROM owner
UNION ALL
SELECT 'cron ' || cron_id, 1 FROM langgraph_server.crons
WHERE metadata ->> 'owner' IS DISTINCT FROM owner

-- template: mend_misnamed_owners
UPDATE langgraph_server.{table} SET metadata = metadata || jsonb_build_object('owner', owner)
WHERE metadata ->> 'owner' IS DISTINCT FROM owner

-- Nobody begins a run on a locked thread. Those that somebody works on are left alone.
-- statement: lock_idle
SELECT thread_id::text AS id FROM langgraph_server.threads
WHERE thread_id::text = ANY (%(ids)s) AND running_run_id IS NULL AND active_runs = 0
ORDER BY thread_id FOR UPDATE SKIP LOCKED

-- statement: lock
SELECT thread_id::text AS id FROM langgraph_server.threads
WHERE thread_id::text = ANY (%(ids)s) ORDER BY thread_id FOR UPDATE
