-- The same inserts as scripts of pgbench, which prepares them (`-M prepared`). It sends no
-- values but numbers, so ids come from the server and the rest stands in the text.

-- name: create_assistants
WITH made AS (
    INSERT INTO langgraph_server.assistants
        (assistant_id, owner, graph_id, name, name_folded, description, config, context, metadata)
    VALUES (gen_random_uuid(), 'bench', 'agent', 'Assistant 1', 'assistant 1',
            'Answers questions about the weather',
            '{"recursion_limit": 25, "configurable": {"model": "gpt-mini", "temperature": 0.2, "tags": ["a", "b"]}}',
            '{"model": "gpt-mini", "temperature": 0.2, "tags": ["a", "b"]}',
            '{"n": 1, "tag": "tag-0", "team": "measurements", "owner": "bench"}')
    RETURNING *
)
INSERT INTO langgraph_server.assistant_versions
    (assistant_id, version, graph_id, name, name_folded, description, config, context, metadata)
SELECT assistant_id, version, graph_id, name, name_folded, description, config, context, metadata
FROM made
RETURNING created_at;

-- name: create_threads
INSERT INTO langgraph_server.threads (thread_id, owner, metadata)
VALUES (gen_random_uuid(), 'bench',
        '{"n": 1, "tag": "tag-0", "team": "measurements", "owner": "bench"}')
RETURNING created_at;

-- name: create_items
INSERT INTO langgraph_server.store_items AS old
    (owner, namespace, key, value, ttl_minutes, expires_at)
VALUES ('bench', '{bench,notes}', gen_random_uuid()::text,
        '{"text": "Lisbon is sunny", "n": 1, "tag": "tag-0", "team": "measurements"}',
        NULL, now() + NULL::double precision * interval '1 minute')
ON CONFLICT (owner, namespace, key) DO UPDATE SET
    value = excluded.value,
    ttl_minutes = excluded.ttl_minutes,
    expires_at = excluded.expires_at,
    created_at = CASE WHEN old.expires_at <= excluded.created_at THEN excluded.created_at
                      ELSE old.created_at END,
    updated_at = greatest(excluded.updated_at, old.updated_at + interval '1 microsecond');

-- name: create_crons
INSERT INTO langgraph_server.crons
    (cron_id, owner, assistant_id, thread_id, schedule, timezone, payload, on_run_completed,
     end_time, enabled, next_run_date, metadata)
SELECT gen_random_uuid(), 'bench', a.assistant_id, NULL, '*/5 * * * *', NULL,
       '{"input": {"messages": [{"role": "user", "content": "What is the weather like in Lisbon today?"}]}}',
       'delete', NULL, true, '2100-01-01 00:00:00+00',
       '{"n": 1, "tag": "tag-0", "team": "measurements", "owner": "bench"}'
FROM langgraph_server.assistants AS a
WHERE a.assistant_id = '00000001-0000-7000-8000-000000000000' AND a.owner IN ('bench', 'system')
RETURNING created_at;

-- Each transaction takes the next thread; `n` begins at -1.
-- name: create_runs
\set n :n + 1
WITH assistant AS (
    SELECT assistant_id, graph_id FROM langgraph_server.assistants
    WHERE assistant_id = '00000001-0000-7000-8000-000000000000' AND owner IN ('bench', 'system')
), new AS MATERIALIZED (
    SELECT gen_random_uuid() AS run_id
), thread AS (
    UPDATE langgraph_server.threads AS t SET
        active_runs = t.active_runs + 1,
        next_run_at = CASE WHEN t.next_run_id IS NULL
                           THEN greatest(now(), t.updated_at + interval '1 microsecond')
                           ELSE t.next_run_at END,
        next_run_id = coalesce(t.next_run_id, new.run_id),
        status = 'busy',
        metadata = t.metadata
            || jsonb_build_object('graph_id', a.graph_id, 'assistant_id', a.assistant_id),
        updated_at = greatest(now(), t.updated_at + interval '1 microsecond')
    FROM assistant AS a, new
    WHERE t.thread_id = ('00000002-0000-7000-8000-' || lpad(to_hex(:n::bigint), 12, '0'))::uuid
      AND t.owner = 'bench'
    RETURNING t.thread_id, t.updated_at
)
INSERT INTO langgraph_server.runs
    (run_id, thread_id, owner, assistant_id, kwargs, metadata, multitask_strategy, due_at,
     queued_at, created_at, updated_at)
SELECT new.run_id, thread.thread_id, 'bench', '00000001-0000-7000-8000-000000000000'::uuid,
       '{"input": {"messages": [{"role": "user", "content": "What is the weather like in Lisbon today?"}]}, "stream_mode": ["values"]}',
       '{"n": 1, "tag": "tag-0", "team": "measurements", "owner": "bench"}',
       'enqueue', updated_at, updated_at, updated_at, updated_at
FROM thread, new
RETURNING created_at, due_at;
