-- COPY of new rows: the fastest way into a table. Columns that are not named take their defaults.

-- name: assistants
COPY langgraph_server.assistants
    (assistant_id, owner, graph_id, name, name_folded, description, config, context, metadata)
FROM STDIN

-- name: assistant_versions
COPY langgraph_server.assistant_versions
    (assistant_id, version, graph_id, name, name_folded, description, config, context, metadata)
FROM STDIN

-- name: threads
COPY langgraph_server.threads (thread_id, owner, metadata) FROM STDIN

-- name: runs
COPY langgraph_server.runs (run_id, thread_id, owner, assistant_id, kwargs, metadata) FROM STDIN

-- The threads of the new runs, which are busy now.
-- name: threads_of_runs
UPDATE langgraph_server.threads AS t SET
    active_runs = t.active_runs + 1, next_run_at = now(), next_run_id = new.run_id,
    status = 'busy', updated_at = now(),
    metadata = t.metadata || jsonb_build_object('graph_id', 'agent', 'assistant_id', %(assistant_id)s::text)
FROM unnest(%(thread_ids)s::uuid[], %(run_ids)s::uuid[]) AS new (thread_id, run_id)
WHERE t.thread_id = new.thread_id

-- name: items
COPY langgraph_server.store_items (owner, namespace, key, value) FROM STDIN

-- name: crons
COPY langgraph_server.crons
    (cron_id, owner, assistant_id, schedule, payload, next_run_date, metadata)
FROM STDIN
