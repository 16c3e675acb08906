-- Threads, as the Postgres backend writes and reads them.

-- name: create
INSERT INTO langgraph_server.threads (thread_id, owner, metadata)
VALUES (%(thread_id)s, %(owner)s, %(metadata)s)
RETURNING created_at

-- name: create_many
WITH made AS (
    INSERT INTO langgraph_server.threads (thread_id, owner, metadata)
    SELECT thread_id, %(owner)s, metadata
    FROM json_to_recordset(%(rows)s::json) AS new (thread_id uuid, metadata jsonb)
)
SELECT now()

-- name: get
SELECT thread_id::text, status, "values"::text, checkpoint_id::text, interrupts::text, error::text,
metadata::text, created_at, updated_at, state_updated_at FROM langgraph_server.threads
WHERE thread_id = %(id)s AND owner IN (%(owner)s, 'system')

-- name: update
UPDATE langgraph_server.threads SET
    metadata = metadata || %(metadata)s::jsonb,
    updated_at = greatest(now(), updated_at + interval '1 microsecond')
WHERE thread_id = %(id)s AND owner = %(owner)s
RETURNING thread_id::text, status, "values"::text, checkpoint_id::text, interrupts::text, error::text,
metadata::text, created_at, updated_at, state_updated_at

-- name: search
SELECT thread_id::text, status, "values"::text, checkpoint_id::text, interrupts::text, error::text,
metadata::text, created_at, updated_at, state_updated_at FROM (
    (SELECT found.* FROM langgraph_server.threads AS found
     WHERE found.owner = %(owner)s AND found.metadata @> %(metadata)s ORDER BY found.created_at desc, found.thread_id desc LIMIT %(reach)s)
    UNION ALL
    (SELECT found.* FROM langgraph_server.threads AS found
     WHERE found.owner = 'system' AND %(owner)s <> 'system' AND found.metadata @> %(metadata)s
     ORDER BY found.created_at desc, found.thread_id desc LIMIT %(reach)s)
) AS found ORDER BY found.created_at desc, found.thread_id desc LIMIT %(limit)s OFFSET %(offset)s

-- name: newest
SELECT thread_id::text, status, "values"::text, checkpoint_id::text, interrupts::text, error::text,
metadata::text, created_at, updated_at, state_updated_at FROM (
    (SELECT found.* FROM langgraph_server.threads AS found
     WHERE found.owner = %(owner)s  ORDER BY found.created_at desc, found.thread_id desc LIMIT %(reach)s)
    UNION ALL
    (SELECT found.* FROM langgraph_server.threads AS found
     WHERE found.owner = 'system' AND %(owner)s <> 'system'
     ORDER BY found.created_at desc, found.thread_id desc LIMIT %(reach)s)
) AS found ORDER BY found.created_at desc, found.thread_id desc LIMIT %(limit)s OFFSET %(offset)s

-- name: count
SELECT count(*) FROM langgraph_server.threads AS found
WHERE found.owner IN (%(owner)s, 'system') AND found.metadata @> %(metadata)s

-- name: delete
DELETE FROM langgraph_server.threads WHERE thread_id = %(id)s AND owner = %(owner)s RETURNING 1
