-- The states of threads.

-- fragment: columns
t.thread_id::text, s.checkpoint_id::text, s.parent_checkpoint_id::text, s."values"::text,
s.next::text, s.tasks::text, s.interrupts::text, s.metadata::text, s.created_at

-- fragment: alive
(t.expires_at IS NULL OR t.expires_at > now())

-- The thread's row is locked first, and what it says of the newest state (state_seq, state_id) then
-- holds; `last` is what the snapshot says, and is behind it after a wait.
-- statement: add
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
        "values" = %(values)s,
        checkpoint_id = %(checkpoint_id)s,
        interrupts = '{}',
        error = NULL,
        state_seq = head.seq,
        state_id = %(checkpoint_id)s,
        status = CASE WHEN t.status = 'busy' THEN 'busy' ELSE %(status)s END,
        updated_at = head.made_at,
        state_updated_at = head.made_at
    FROM head WHERE t.thread_id = head.thread_id
)
INSERT INTO langgraph_server.thread_states
    (thread_id, checkpoint_id, parent_checkpoint_id, seq, "values", next, tasks, interrupts,
     metadata, created_at)
SELECT thread_id, %(checkpoint_id)s::uuid, parent_checkpoint_id, seq, %(values)s::jsonb,
       %(next)s::jsonb, %(tasks)s::jsonb, %(interrupts)s::jsonb, %(metadata)s::jsonb, made_at
FROM head
RETURNING parent_checkpoint_id::text, created_at

-- statement: get_head
SELECT {columns} FROM langgraph_server.threads AS t LEFT JOIN LATERAL (
    SELECT * FROM langgraph_server.thread_states AS one
    WHERE one.thread_id = t.thread_id ORDER BY one.seq DESC LIMIT 1
) AS s ON true
WHERE t.thread_id = %(id)s AND t.owner IN (%(owner)s, 'system') AND {alive}

-- statement: get_at
SELECT {columns} FROM langgraph_server.threads AS t LEFT JOIN langgraph_server.thread_states AS s
  ON s.thread_id = t.thread_id AND s.checkpoint_id = %(checkpoint_id)s
WHERE t.thread_id = %(id)s AND t.owner IN (%(owner)s, 'system') AND {alive}

-- template: history
SELECT {columns} FROM langgraph_server.threads AS t LEFT JOIN LATERAL (
    SELECT * FROM langgraph_server.thread_states AS one
    WHERE one.thread_id = t.thread_id {conditions} ORDER BY one.seq DESC LIMIT %(limit)s
) AS s ON true
WHERE t.thread_id = %(id)s AND t.owner IN (%(owner)s, 'system') AND {alive}
ORDER BY s.seq DESC

-- fragment: before
AND one.seq < (SELECT b.seq FROM langgraph_server.thread_states AS b
               WHERE b.thread_id = t.thread_id AND b.checkpoint_id = %(before)s)

-- fragment: with_metadata
AND one.metadata @> %(metadata)s

-- Threads of which something might go: those that have more states than stay.
-- template: crowded
SELECT thread_id::text FROM langgraph_server.thread_states {condition}
GROUP BY thread_id HAVING count(*) > %(keep)s

-- fragment: of_threads
WHERE thread_id = ANY (%(ids)s::uuid[])

-- statement: prune
WITH gone AS (
    DELETE FROM langgraph_server.thread_states
    WHERE thread_id = %(id)s
      AND seq <= (SELECT seq FROM langgraph_server.thread_states
                  WHERE thread_id = %(id)s ORDER BY seq DESC OFFSET %(keep)s LIMIT 1)
      AND (%(older_than_s)s::float8 IS NULL
           OR created_at <= now() - make_interval(secs => %(older_than_s)s))
    RETURNING checkpoint_id,
              pg_column_size(thread_id) + pg_column_size(checkpoint_id)
            + coalesce(pg_column_size(parent_checkpoint_id), 0) + pg_column_size(seq)
            + pg_column_size("values") + pg_column_size(next) + pg_column_size(tasks)
            + pg_column_size(interrupts) + pg_column_size(metadata) + pg_column_size(created_at)
              AS size_bytes
)
SELECT count(*) AS rows, coalesce(sum(size_bytes), 0)::bigint AS size_bytes,
       array_agg(checkpoint_id) AS gone
FROM gone

-- statement: make_roots
UPDATE langgraph_server.thread_states SET parent_checkpoint_id = NULL
WHERE thread_id = %(id)s AND parent_checkpoint_id = ANY (%(gone)s)
