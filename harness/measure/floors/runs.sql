-- Runs, as the Postgres backend writes and reads them.

-- name: create
WITH assistant AS (
    SELECT assistant_id, graph_id FROM langgraph_server.assistants
    WHERE assistant_id = %(assistant_id)s AND owner IN (%(owner)s, 'system')
), thread AS (
    UPDATE langgraph_server.threads AS t SET
        active_runs = t.active_runs + 1,
        next_run_at = CASE WHEN t.next_run_id IS NULL AND %(delay)s = interval '0'
                           THEN greatest(now(), t.updated_at + interval '1 microsecond')
                           ELSE t.next_run_at END,
        next_run_id = CASE WHEN t.next_run_id IS NULL AND %(delay)s = interval '0'
                           THEN %(run_id)s::uuid ELSE t.next_run_id END,
        running_run_id = CASE
            WHEN %(lease)s::interval IS NOT NULL AND t.active_runs = 0 AND NOT EXISTS (
                SELECT FROM langgraph_server.runs AS r
                WHERE r.thread_id = t.thread_id AND r.status IN ('pending', 'running'))
            THEN %(run_id)s::uuid ELSE t.running_run_id END,
        status = 'busy',
        metadata = t.metadata
            || jsonb_build_object('graph_id', a.graph_id, 'assistant_id', a.assistant_id),
        updated_at = greatest(now(), t.updated_at + interval '1 microsecond')
    FROM assistant AS a
    WHERE t.thread_id = %(thread_id)s AND t.owner = %(owner)s
      AND (t.expires_at IS NULL OR t.expires_at > now())
      AND (%(strategy)s <> 'reject' OR t.active_runs = 0 AND NOT EXISTS (
          SELECT FROM langgraph_server.runs AS r
          WHERE r.thread_id = t.thread_id AND r.status IN ('pending', 'running')))
    RETURNING t.thread_id, t.updated_at, t.running_run_id
)
INSERT INTO langgraph_server.runs
    (run_id, thread_id, owner, assistant_id, kwargs, metadata, multitask_strategy, due_at,
     queued_at, created_at, updated_at, status, attempt, lease_token, leased_until)
SELECT %(run_id)s::uuid, thread_id, %(owner)s, %(assistant_id)s::uuid, %(kwargs)s::jsonb,
       %(metadata)s::jsonb, %(strategy)s, updated_at + %(delay)s::interval,
       CASE WHEN %(delay)s = interval '0' THEN updated_at END, updated_at, updated_at,
       CASE WHEN begun THEN 'running' ELSE 'pending' END, CASE WHEN begun THEN 1 ELSE 0 END,
       CASE WHEN begun THEN gen_random_uuid() END,
       CASE WHEN begun THEN clock_timestamp() + %(lease)s::interval END
FROM (SELECT *, %(lease)s::interval IS NOT NULL
                AND running_run_id IS NOT DISTINCT FROM %(run_id)s::uuid AS begun
      FROM thread) AS thread
RETURNING created_at, due_at, lease_token::text, leased_until

-- name: create_many
WITH assistant AS MATERIALIZED (
    SELECT assistant_id, graph_id FROM langgraph_server.assistants
    WHERE assistant_id = ANY (%(assistant_ids)s::uuid[]) AND owner IN (%(owner)s, 'system')
), locked AS MATERIALIZED (
    SELECT thread_id FROM langgraph_server.threads AS t
    WHERE thread_id = ANY (%(thread_ids)s::uuid[]) AND owner = %(owner)s
      AND (t.expires_at IS NULL OR t.expires_at > now())
      AND (SELECT count(*) FROM assistant) = cardinality(%(assistant_ids)s::uuid[])
    ORDER BY thread_id FOR NO KEY UPDATE
), wanted AS MATERIALIZED (
    SELECT w.thread_id, w.runs, w.next_run_id, a.assistant_id, a.graph_id
    FROM json_to_recordset(%(threads)s::json) AS w (
        thread_id uuid, runs integer, next_run_id uuid, assistant_id uuid)
    JOIN assistant AS a USING (assistant_id)
    WHERE (SELECT count(*) FROM locked) = cardinality(%(thread_ids)s::uuid[])
), thread AS (
    UPDATE langgraph_server.threads AS t SET
        active_runs = t.active_runs + w.runs,
        next_run_at = CASE WHEN w.next_run_id IS NOT NULL AND (
                t.next_run_id IS NULL OR (now(), w.next_run_id) < (t.next_run_at, t.next_run_id))
            THEN now() ELSE t.next_run_at END,
        next_run_id = CASE WHEN w.next_run_id IS NOT NULL AND (
                t.next_run_id IS NULL OR (now(), w.next_run_id) < (t.next_run_at, t.next_run_id))
            THEN w.next_run_id ELSE t.next_run_id END,
        status = 'busy',
        metadata = t.metadata
            || jsonb_build_object('graph_id', w.graph_id, 'assistant_id', w.assistant_id),
        updated_at = greatest(now(), t.updated_at)
    FROM wanted AS w WHERE t.thread_id = w.thread_id
), made AS (
    INSERT INTO langgraph_server.runs
        (run_id, thread_id, owner, assistant_id, kwargs, metadata, multitask_strategy, due_at,
         queued_at)
    SELECT run_id, thread_id, %(owner)s, assistant_id, kwargs, metadata, multitask_strategy,
           now() + delay_us * interval '1 microsecond',
           CASE WHEN delay_us = 0 THEN now() END
    FROM json_to_recordset(%(runs)s::json) AS new (
        run_id uuid, thread_id uuid, assistant_id uuid, kwargs jsonb, metadata jsonb,
        multitask_strategy text, delay_us bigint)
    WHERE EXISTS (SELECT FROM wanted)
)
SELECT now() WHERE EXISTS (SELECT FROM wanted)

-- name: get
SELECT run_id::text, thread_id::text, assistant_id::text, status, kwargs::text, metadata::text,
       multitask_strategy, attempt, error, due_at, created_at, updated_at
FROM langgraph_server.runs
WHERE run_id = %(id)s AND thread_id = %(thread_id)s AND owner IN (%(owner)s, 'system')
  AND NOT EXISTS (SELECT FROM langgraph_server.threads AS t
                  WHERE t.thread_id = %(thread_id)s AND t.expires_at <= now())

-- name: update
UPDATE langgraph_server.runs SET
    metadata = metadata || %(metadata)s::jsonb,
    updated_at = greatest(now(), updated_at + interval '1 microsecond')
WHERE run_id = %(id)s AND thread_id = %(thread_id)s AND owner = %(owner)s
  AND NOT EXISTS (SELECT FROM langgraph_server.threads AS t
                  WHERE t.thread_id = %(thread_id)s AND t.expires_at <= now())
RETURNING run_id::text, thread_id::text, assistant_id::text, status, kwargs::text, metadata::text,
          multitask_strategy, attempt, error, due_at, created_at, updated_at

-- name: search
SELECT run_id::text, thread_id::text, assistant_id::text, status, kwargs::text, metadata::text,
       multitask_strategy, attempt, error, due_at, created_at, updated_at FROM (
    (SELECT found.* FROM langgraph_server.runs AS found
     WHERE found.owner = %(owner)s
       AND NOT EXISTS (SELECT FROM langgraph_server.threads AS t
                       WHERE t.thread_id = found.thread_id AND t.expires_at <= now())
       AND found.metadata @> %(metadata)s
     ORDER BY found.created_at desc, found.run_id desc LIMIT %(reach)s)
    UNION ALL
    (SELECT found.* FROM langgraph_server.runs AS found
     WHERE found.owner = 'system' AND %(owner)s <> 'system'
       AND NOT EXISTS (SELECT FROM langgraph_server.threads AS t
                       WHERE t.thread_id = found.thread_id AND t.expires_at <= now())
       AND found.metadata @> %(metadata)s
     ORDER BY found.created_at desc, found.run_id desc LIMIT %(reach)s)
) AS found ORDER BY found.created_at desc, found.run_id desc LIMIT %(limit)s OFFSET %(offset)s

-- name: newest
SELECT run_id::text, thread_id::text, assistant_id::text, status, kwargs::text, metadata::text,
       multitask_strategy, attempt, error, due_at, created_at, updated_at FROM (
    (SELECT found.* FROM langgraph_server.runs AS found
     WHERE found.owner = %(owner)s
       AND NOT EXISTS (SELECT FROM langgraph_server.threads AS t
                       WHERE t.thread_id = found.thread_id AND t.expires_at <= now())
     ORDER BY found.created_at desc, found.run_id desc LIMIT %(reach)s)
    UNION ALL
    (SELECT found.* FROM langgraph_server.runs AS found
     WHERE found.owner = 'system' AND %(owner)s <> 'system'
       AND NOT EXISTS (SELECT FROM langgraph_server.threads AS t
                       WHERE t.thread_id = found.thread_id AND t.expires_at <= now())
     ORDER BY found.created_at desc, found.run_id desc LIMIT %(reach)s)
) AS found ORDER BY found.created_at desc, found.run_id desc LIMIT %(limit)s OFFSET %(offset)s

-- name: count
SELECT count(*) FROM langgraph_server.runs AS found
WHERE found.owner IN (%(owner)s, 'system')
  AND NOT EXISTS (SELECT FROM langgraph_server.threads AS t
                  WHERE t.thread_id = found.thread_id AND t.expires_at <= now())
  AND found.metadata @> %(metadata)s

-- name: delete
WITH seen AS MATERIALIZED (
    SELECT t.ctid AS version, oldest.created_at AS next_run_at, oldest.run_id AS next_run_id,
           EXISTS (SELECT FROM langgraph_server.runs AS r
                   WHERE r.thread_id = t.thread_id AND r.status IN ('pending', 'running')
                     AND r.run_id <> %(id)s::uuid) AS others
    FROM langgraph_server.threads AS t LEFT JOIN LATERAL (
        SELECT r.created_at, r.run_id FROM langgraph_server.runs AS r
        WHERE r.thread_id = t.thread_id AND r.status = 'pending' AND r.run_id <> %(id)s::uuid
          AND NOT r.queued_at IS DISTINCT FROM r.due_at
        ORDER BY r.created_at, r.run_id LIMIT 1
    ) AS oldest ON true
    WHERE t.thread_id = %(thread_id)s
), thread AS MATERIALIZED (
    SELECT thread_id, running_run_id FROM langgraph_server.threads
    WHERE thread_id = %(thread_id)s FOR NO KEY UPDATE
), gone AS (
    DELETE FROM langgraph_server.runs AS r USING thread
    WHERE r.run_id = %(id)s AND r.thread_id = thread.thread_id AND r.owner = %(owner)s
      AND NOT EXISTS (SELECT FROM langgraph_server.threads AS t
                      WHERE t.thread_id = %(thread_id)s AND t.expires_at <= now())
    RETURNING r.thread_id, r.status
), settled AS (
    UPDATE langgraph_server.threads AS t SET
        active_runs = greatest(t.active_runs - 1, 0),
        running_run_id = nullif(t.running_run_id, %(id)s::uuid),
        next_run_at = CASE
            WHEN CASE WHEN t.ctid = seen.version THEN NOT seen.others ELSE t.active_runs <= 1 END
            THEN NULL
            WHEN t.ctid = seen.version THEN seen.next_run_at ELSE t.next_run_at END,
        next_run_id = CASE
            WHEN CASE WHEN t.ctid = seen.version THEN NOT seen.others ELSE t.active_runs <= 1 END
            THEN NULL
            WHEN t.ctid = seen.version THEN seen.next_run_id ELSE t.next_run_id END,
        updated_at = CASE
            WHEN CASE WHEN t.ctid = seen.version THEN NOT seen.others ELSE t.active_runs <= 1 END
            THEN greatest(now(), t.updated_at + interval '1 microsecond') ELSE t.updated_at END,
        status = CASE
            WHEN CASE WHEN t.ctid = seen.version THEN NOT seen.others ELSE t.active_runs <= 1 END
            THEN 'idle' ELSE t.status END
    FROM gone, seen
    WHERE t.thread_id = gone.thread_id AND gone.status IN ('pending', 'running')
)
SELECT 1 FROM gone
