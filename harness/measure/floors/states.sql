-- The states of a thread, as the Postgres backend stores and reads them.

-- name: create
WITH thread AS MATERIALIZED (
    SELECT thread_id, state_id, state_seq, updated_at FROM langgraph_server.threads
    WHERE thread_id = %(id)s AND owner = %(owner)s
      AND (expires_at IS NULL OR expires_at > now()) FOR NO KEY UPDATE
), head AS MATERIALIZED (
    SELECT thread.thread_id, greatest(thread.state_seq, last.seq, 0) + 1 AS seq,
           CASE WHEN last.seq >= thread.state_seq THEN last.checkpoint_id
                ELSE thread.state_id END AS parent_checkpoint_id,
           greatest(now(), thread.updated_at + interval '1 microsecond') AS made_at
    FROM thread LEFT JOIN LATERAL (
        SELECT seq, checkpoint_id FROM langgraph_server.thread_states AS s
        WHERE s.thread_id = thread.thread_id ORDER BY seq DESC LIMIT 1
    ) AS last ON true
), moved AS (
    UPDATE langgraph_server.threads AS t SET
        "values" = %(values)s, checkpoint_id = %(checkpoint_id)s, interrupts = '{}', error = NULL,
        state_seq = head.seq, state_id = %(checkpoint_id)s,
        status = CASE WHEN t.status = 'busy' THEN 'busy' ELSE %(status)s END,
        updated_at = head.made_at, state_updated_at = head.made_at
    FROM head WHERE t.thread_id = head.thread_id
)
INSERT INTO langgraph_server.thread_states
    (thread_id, checkpoint_id, parent_checkpoint_id, seq, "values", next, tasks, interrupts,
     metadata, created_at)
SELECT thread_id, %(checkpoint_id)s::uuid, parent_checkpoint_id, seq, %(values)s::jsonb,
       %(next)s::jsonb, %(tasks)s::jsonb, %(interrupts)s::jsonb, %(metadata)s::jsonb, made_at
FROM head
RETURNING parent_checkpoint_id::text, created_at

-- name: get
SELECT t.thread_id::text, s.checkpoint_id::text, s.parent_checkpoint_id::text, s."values"::text,
       s.next::text, s.tasks::text, s.interrupts::text, s.metadata::text, s.created_at
FROM langgraph_server.threads AS t LEFT JOIN LATERAL (
    SELECT * FROM langgraph_server.thread_states AS one
    WHERE one.thread_id = t.thread_id ORDER BY one.seq DESC LIMIT 1
) AS s ON true
WHERE t.thread_id = %(id)s AND t.owner IN (%(owner)s, 'system')
  AND (t.expires_at IS NULL OR t.expires_at > now())

-- name: newest
SELECT t.thread_id::text, s.checkpoint_id::text, s.parent_checkpoint_id::text, s."values"::text,
       s.next::text, s.tasks::text, s.interrupts::text, s.metadata::text, s.created_at
FROM langgraph_server.threads AS t LEFT JOIN LATERAL (
    SELECT * FROM langgraph_server.thread_states AS one
    WHERE one.thread_id = t.thread_id ORDER BY one.seq DESC LIMIT %(limit)s
) AS s ON true
WHERE t.thread_id = %(id)s AND t.owner IN (%(owner)s, 'system')
  AND (t.expires_at IS NULL OR t.expires_at > now())
ORDER BY s.seq DESC
