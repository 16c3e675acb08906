-- Threads, as the Postgres backend writes and reads them.

-- name: create
INSERT INTO langgraph_server.threads (thread_id, owner, metadata, ttl_minutes, ttl_strategy)
VALUES (%(thread_id)s, %(owner)s, %(metadata)s, %(ttl_minutes)s, %(ttl_strategy)s)
RETURNING created_at

-- name: create_many
WITH made AS (
    INSERT INTO langgraph_server.threads (thread_id, owner, metadata, ttl_minutes, ttl_strategy)
    SELECT thread_id, %(owner)s, metadata, ttl_minutes, ttl_strategy
    FROM json_to_recordset(%(rows)s::json) AS new (
        thread_id uuid, metadata jsonb, ttl_minutes double precision, ttl_strategy text)
)
SELECT now()

-- name: get
SELECT thread_id::text, status, "values"::text, checkpoint_id::text, interrupts::text, error::text,
       metadata::text, created_at, updated_at, state_updated_at, ttl_minutes, ttl_strategy
FROM langgraph_server.threads
WHERE thread_id = %(id)s AND owner IN (%(owner)s, 'system')
  AND (expires_at IS NULL OR expires_at > now())

-- name: update
UPDATE langgraph_server.threads SET
    metadata = metadata || %(metadata)s::jsonb,
    ttl_minutes = coalesce(%(ttl_minutes)s, ttl_minutes),
    ttl_strategy = coalesce(%(ttl_strategy)s, ttl_strategy),
    updated_at = greatest(now(), updated_at + interval '1 microsecond')
WHERE thread_id = %(id)s AND owner = %(owner)s AND (expires_at IS NULL OR expires_at > now())
RETURNING thread_id::text, status, "values"::text, checkpoint_id::text, interrupts::text,
          error::text, metadata::text, created_at, updated_at, state_updated_at, ttl_minutes,
          ttl_strategy

-- name: search
SELECT thread_id::text, status, "values"::text, checkpoint_id::text, interrupts::text, error::text,
       metadata::text, created_at, updated_at, state_updated_at, ttl_minutes, ttl_strategy FROM (
    (SELECT found.* FROM langgraph_server.threads AS found
     WHERE found.owner = %(owner)s AND (expires_at IS NULL OR expires_at > now())
       AND found.metadata @> %(metadata)s
     ORDER BY found.created_at desc, found.thread_id desc LIMIT %(reach)s)
    UNION ALL
    (SELECT found.* FROM langgraph_server.threads AS found
     WHERE found.owner = 'system' AND %(owner)s <> 'system'
       AND (expires_at IS NULL OR expires_at > now()) AND found.metadata @> %(metadata)s
     ORDER BY found.created_at desc, found.thread_id desc LIMIT %(reach)s)
) AS found ORDER BY found.created_at desc, found.thread_id desc LIMIT %(limit)s OFFSET %(offset)s

-- name: newest
SELECT thread_id::text, status, "values"::text, checkpoint_id::text, interrupts::text, error::text,
       metadata::text, created_at, updated_at, state_updated_at, ttl_minutes, ttl_strategy FROM (
    (SELECT found.* FROM langgraph_server.threads AS found
     WHERE found.owner = %(owner)s AND (expires_at IS NULL OR expires_at > now())
     ORDER BY found.created_at desc, found.thread_id desc LIMIT %(reach)s)
    UNION ALL
    (SELECT found.* FROM langgraph_server.threads AS found
     WHERE found.owner = 'system' AND %(owner)s <> 'system'
       AND (expires_at IS NULL OR expires_at > now())
     ORDER BY found.created_at desc, found.thread_id desc LIMIT %(reach)s)
) AS found ORDER BY found.created_at desc, found.thread_id desc LIMIT %(limit)s OFFSET %(offset)s

-- name: count
SELECT count(*) FROM langgraph_server.threads AS found
WHERE found.owner IN (%(owner)s, 'system') AND (expires_at IS NULL OR expires_at > now())
  AND found.metadata @> %(metadata)s

-- name: delete
DELETE FROM langgraph_server.threads
WHERE thread_id = %(id)s AND owner = %(owner)s AND (expires_at IS NULL OR expires_at > now())
RETURNING 1
