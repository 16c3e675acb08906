-- Crons. What needs the calendar is computed by the caller and written if the row has not changed.

-- fragment: columns
cron_id::text, assistant_id::text, thread_id::text, schedule, timezone, payload::text,
on_run_completed, end_time, enabled, next_run_date, metadata::text, created_at, updated_at

-- fragment: alive
(t.expires_at IS NULL OR t.expires_at > now())

-- The crons of a thread that has expired are as gone as the thread.
-- fragment: of_living_thread
NOT EXISTS (SELECT FROM langgraph_server.threads AS t
            WHERE t.thread_id = found.thread_id AND t.expires_at <= now())

-- statement: insert
INSERT INTO langgraph_server.crons
    (cron_id, owner, assistant_id, thread_id, schedule, timezone, payload, on_run_completed,
     end_time, enabled, next_run_date, metadata)
SELECT %(cron_id)s::uuid, %(owner)s, a.assistant_id, t.thread_id, %(schedule)s, %(timezone)s,
       %(payload)s::jsonb, %(on_run_completed)s, %(end_time)s::timestamptz, %(enabled)s,
       %(next_run_date)s::timestamptz, %(metadata)s::jsonb
FROM langgraph_server.assistants AS a
LEFT JOIN langgraph_server.threads AS t
  ON t.thread_id = %(thread_id)s::uuid AND t.owner = %(owner)s AND {alive}
WHERE a.assistant_id = %(assistant_id)s AND a.owner IN (%(owner)s, 'system')
  AND (%(thread_id)s::uuid IS NULL OR t.thread_id IS NOT NULL)
RETURNING created_at

-- Inserts all or none. Locks what the new crons refer to, so that it stays until they are there, in
-- the order in which everything locks these.
-- statement: insert_many
WITH assistant AS MATERIALIZED (
    SELECT assistant_id FROM langgraph_server.assistants
    WHERE assistant_id = ANY (%(assistant_ids)s::uuid[]) AND owner IN (%(owner)s, 'system')
    ORDER BY assistant_id FOR KEY SHARE
), thread AS MATERIALIZED (
    SELECT thread_id FROM langgraph_server.threads AS t
    WHERE thread_id = ANY (%(thread_ids)s::uuid[]) AND owner = %(owner)s AND {alive}
      AND (SELECT count(*) FROM assistant) = cardinality(%(assistant_ids)s::uuid[])
    ORDER BY thread_id FOR KEY SHARE
), made AS (
    INSERT INTO langgraph_server.crons
        (cron_id, owner, assistant_id, thread_id, schedule, timezone, payload, on_run_completed,
         end_time, enabled, next_run_date, metadata)
    SELECT cron_id, %(owner)s, assistant_id, thread_id, schedule, timezone, payload,
           on_run_completed, end_time, enabled, next_run_date, metadata
    FROM json_to_recordset(%(rows)s::json) AS new (
        cron_id uuid, assistant_id uuid, thread_id uuid, schedule text, timezone text,
        payload jsonb, on_run_completed text, end_time timestamptz, enabled boolean,
        next_run_date timestamptz, metadata jsonb)
    WHERE (SELECT count(*) FROM assistant) = cardinality(%(assistant_ids)s::uuid[])
      AND (SELECT count(*) FROM thread) = cardinality(%(thread_ids)s::uuid[])
    RETURNING cron_id
)
SELECT now() WHERE EXISTS (SELECT FROM made)

-- What new crons met that were refused.
-- statement: visible_assistants
SELECT assistant_id::text FROM langgraph_server.assistants
WHERE assistant_id = ANY (%(ids)s::uuid[]) AND owner IN (%(owner)s, 'system')

-- statement: thread_owners
SELECT thread_id::text, owner FROM langgraph_server.threads AS t
WHERE thread_id = ANY (%(ids)s::uuid[]) AND {alive}

-- statement: taken
SELECT cron_id::text FROM langgraph_server.crons WHERE cron_id = ANY (%(ids)s::uuid[])

-- statement: get
SELECT {columns} FROM langgraph_server.crons AS found
WHERE cron_id = %(id)s AND owner IN (%(owner)s, 'system') AND {of_living_thread}

-- statement: owner_of
SELECT owner FROM langgraph_server.crons AS found WHERE cron_id = %(id)s AND {of_living_thread}

-- fragment: changes
payload = payload || coalesce(%(payload)s::jsonb, '{}'),
on_run_completed = coalesce(%(on_run_completed)s, on_run_completed),
metadata = metadata || %(metadata)s::jsonb,
updated_at = greatest(now(), updated_at + interval '1 microsecond')

-- statement: update
UPDATE langgraph_server.crons AS found SET {changes}
WHERE cron_id = %(id)s AND owner = %(owner)s AND {of_living_thread}
RETURNING {columns}

-- statement: reschedule
UPDATE langgraph_server.crons AS found SET {changes},
    schedule = %(schedule)s,
    timezone = %(timezone)s,
    end_time = %(end_time)s,
    enabled = coalesce(%(enabled)s, enabled),
    next_run_date = %(next_run_date)s
WHERE cron_id = %(id)s AND owner = %(owner)s AND {unchanged} AND {of_living_thread}
RETURNING {columns}

-- fragment: unchanged
schedule = %(seen_schedule)s AND timezone IS NOT DISTINCT FROM %(seen_timezone)s
AND end_time IS NOT DISTINCT FROM %(seen_end_time)s

-- statement: delete
DELETE FROM langgraph_server.crons AS found
WHERE cron_id = %(id)s AND owner = %(owner)s AND {of_living_thread}
RETURNING 1

-- statement: due
SELECT {columns} FROM langgraph_server.crons AS found
WHERE enabled AND next_run_date <= now() AND {of_living_thread}
ORDER BY next_run_date, cron_id LIMIT %(limit)s

-- statement: due_of_owner
SELECT {columns} FROM langgraph_server.crons AS found
WHERE enabled AND next_run_date <= now() AND owner = %(owner)s AND {of_living_thread}
ORDER BY next_run_date, cron_id LIMIT %(limit)s

-- A cron's thread is locked before the cron, as a deletion of the thread locks them. The date is
-- the claim's stake: of several claimers the first moves it, and the others find it moved.
-- statement: fire
WITH thread AS MATERIALIZED (
    SELECT thread_id FROM langgraph_server.threads AS t
    WHERE thread_id = %(thread_id)s::uuid AND {alive} FOR NO KEY UPDATE
), cron AS (
    UPDATE langgraph_server.crons SET next_run_date = %(next_run_date)s
    WHERE cron_id = %(id)s AND enabled AND next_run_date = %(seen_next_run_date)s AND {unchanged}
      AND (%(thread_id)s::uuid IS NULL OR EXISTS (SELECT FROM thread))
    RETURNING *
), stamp AS (
    SELECT cron.owner, coalesce(cron.thread_id, %(new_thread_id)s::uuid) AS thread_id,
           CASE WHEN cron.thread_id IS NULL
                THEN jsonb_build_object('owner', cron.owner, 'cron_id', cron.cron_id)
                ELSE '{}' END
           || jsonb_build_object('graph_id', a.graph_id, 'assistant_id', a.assistant_id) AS metadata
    FROM cron JOIN langgraph_server.assistants AS a USING (assistant_id)
), busy AS (
    INSERT INTO langgraph_server.threads AS t
        (thread_id, owner, status, metadata, active_runs, next_run_at, next_run_id, ttl_minutes,
         ttl_strategy)
    SELECT thread_id, owner, 'busy', metadata, 1, now(), %(run_id)s::uuid,
           %(ttl_minutes)s::double precision, %(ttl_strategy)s::text
    FROM stamp
    ON CONFLICT (thread_id) DO UPDATE SET
        active_runs = t.active_runs + 1,
        next_run_at = CASE WHEN t.next_run_id IS NULL
                           THEN greatest(now(), t.updated_at + interval '1 microsecond')
                           ELSE t.next_run_at END,
        next_run_id = coalesce(t.next_run_id, %(run_id)s::uuid),
        status = 'busy',
        metadata = t.metadata || excluded.metadata,
        updated_at = greatest(now(), t.updated_at + interval '1 microsecond')
    RETURNING t.thread_id, t.updated_at
), run AS (
    INSERT INTO langgraph_server.runs
        (run_id, thread_id, owner, assistant_id, kwargs, metadata, due_at, queued_at, created_at,
         updated_at)
    SELECT %(run_id)s::uuid, busy.thread_id, cron.owner, cron.assistant_id,
           cron.payload || CASE WHEN cron.thread_id IS NULL
               THEN jsonb_build_object('on_completion', cron.on_run_completed) ELSE '{}' END,
           CASE jsonb_typeof(cron.payload -> 'metadata') WHEN 'object'
               THEN cron.payload -> 'metadata' ELSE '{}' END
           || jsonb_build_object('owner', cron.owner, 'cron_id', cron.cron_id),
           busy.updated_at, busy.updated_at, busy.updated_at, busy.updated_at
    FROM cron, busy
    RETURNING *
)
SELECT cron.cron_id::text, cron.assistant_id::text, cron.thread_id::text, cron.schedule,
       cron.timezone, cron.payload::text, cron.on_run_completed, cron.end_time, cron.enabled,
       cron.next_run_date, cron.metadata::text, cron.created_at, cron.updated_at,
       run.run_id::text, run.thread_id::text, run.assistant_id::text, run.status,
       run.kwargs::text, run.metadata::text, run.multitask_strategy, run.attempt, run.error,
       run.due_at, run.created_at, run.updated_at
FROM cron, run

-- template: search
SELECT {columns} FROM (
    (SELECT found.* FROM langgraph_server.crons AS found
     WHERE found.owner = %(owner)s AND {of_living_thread} {conditions}
     ORDER BY {order} LIMIT %(reach)s)
    UNION ALL
    (SELECT found.* FROM langgraph_server.crons AS found
     WHERE found.owner = 'system' AND %(owner)s <> 'system' AND {of_living_thread} {conditions}
     ORDER BY {order} LIMIT %(reach)s)
) AS found ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s

-- template: count
SELECT count(*) FROM langgraph_server.crons AS found
WHERE found.owner IN (%(owner)s, 'system') AND {of_living_thread} {conditions}

-- fragment: where_assistant_id
AND found.assistant_id = %(assistant_id)s

-- fragment: where_thread_id
AND found.thread_id = %(thread_id)s

-- fragment: where_enabled
AND found.enabled = %(enabled)s

-- fragment: where_metadata
AND found.metadata @> %(metadata)s
