-- Threads.

-- fragment: columns
thread_id::text, status, "values"::text, checkpoint_id::text, interrupts::text, error::text,
metadata::text, created_at, updated_at, state_updated_at

-- statement: insert
INSERT INTO langgraph_server.threads (thread_id, owner, metadata)
VALUES (%(thread_id)s, %(owner)s, %(metadata)s)
RETURNING created_at

-- The row that is there is returned where the id is taken. No row at all: it was taken by somebody
-- whose commit this statement's snapshot does not show.
-- statement: insert_or_get
WITH made AS (
    INSERT INTO langgraph_server.threads (thread_id, owner, metadata)
    VALUES (%(thread_id)s, %(owner)s, %(metadata)s)
    ON CONFLICT (thread_id) DO NOTHING
    RETURNING *
), found AS (
    SELECT * FROM made
    UNION ALL
    SELECT * FROM langgraph_server.threads
    WHERE thread_id = %(thread_id)s::uuid AND NOT EXISTS (SELECT FROM made)
)
SELECT {columns}, owner FROM found

-- statement: insert_many
WITH made AS (
    INSERT INTO langgraph_server.threads (thread_id, owner, metadata)
    SELECT thread_id, %(owner)s, metadata
    FROM json_to_recordset(%(rows)s::json) AS new (thread_id uuid, metadata jsonb)
)
SELECT now()

-- statement: insert_missing
INSERT INTO langgraph_server.threads (thread_id, owner, metadata)
SELECT thread_id, %(owner)s, metadata
FROM json_to_recordset(%(rows)s::json) AS new (thread_id uuid, metadata jsonb)
ON CONFLICT (thread_id) DO NOTHING
RETURNING thread_id::text

-- statement: get_many
SELECT {columns}, owner FROM langgraph_server.threads WHERE thread_id = ANY (%(ids)s::uuid[])

-- statement: get
SELECT {columns} FROM langgraph_server.threads
WHERE thread_id = %(id)s AND owner IN (%(owner)s, 'system')

-- statement: owner_of
SELECT owner FROM langgraph_server.threads WHERE thread_id = %(id)s

-- statement: update
UPDATE langgraph_server.threads SET
    metadata = metadata || %(metadata)s::jsonb,
    updated_at = greatest(now(), updated_at + interval '1 microsecond')
WHERE thread_id = %(id)s AND owner = %(owner)s
RETURNING {columns}

-- statement: cache_head
UPDATE langgraph_server.threads SET
    "values" = %(values)s, checkpoint_id = %(checkpoint_id)s, interrupts = %(interrupts)s,
    error = %(thread_error)s,
    status = CASE WHEN status = 'busy' THEN 'busy' ELSE coalesce(%(thread_status)s, status) END,
    updated_at = greatest(now(), updated_at + interval '1 microsecond'),
    state_updated_at = greatest(now(), updated_at + interval '1 microsecond')
WHERE thread_id = %(id)s AND owner = %(owner)s
  AND state_updated_at = coalesce(%(seen_at)s, state_updated_at)
RETURNING {columns}

-- statement: delete
DELETE FROM langgraph_server.threads WHERE thread_id = %(id)s AND owner = %(owner)s RETURNING 1

-- statement: copy
WITH copied AS (
    INSERT INTO langgraph_server.threads
        (thread_id, owner, status, "values", checkpoint_id, interrupts, error, metadata, state_seq,
         state_id)
    SELECT %(new_id)s::uuid, %(owner)s, CASE status WHEN 'busy' THEN 'idle' ELSE status END,
           "values", checkpoint_id, interrupts, error,
           metadata || jsonb_build_object('owner', %(owner)s::text), state_seq, state_id
    FROM langgraph_server.threads
    WHERE thread_id = %(id)s AND owner IN (%(owner)s, 'system')
    RETURNING *
), states AS (
    INSERT INTO langgraph_server.thread_states
        (thread_id, checkpoint_id, parent_checkpoint_id, seq, "values", next, tasks, interrupts,
         metadata, created_at)
    SELECT copied.thread_id, s.checkpoint_id, s.parent_checkpoint_id, s.seq, s."values", s.next,
           s.tasks, s.interrupts, s.metadata, s.created_at
    FROM copied, langgraph_server.thread_states AS s WHERE s.thread_id = %(id)s
)
SELECT {columns} FROM copied

-- Threads are locked in the order of their ids, as everything does that locks several.
-- statement: lock_own
SELECT thread_id::text FROM langgraph_server.threads
WHERE thread_id = ANY (%(ids)s::uuid[]) AND owner = %(owner)s
ORDER BY thread_id FOR UPDATE

-- statement: delete_many
DELETE FROM langgraph_server.threads WHERE thread_id = ANY (%(ids)s::uuid[])

-- statement: own
SELECT thread_id::text FROM langgraph_server.threads WHERE owner = %(owner)s

-- statement: own_among
SELECT thread_id::text FROM langgraph_server.threads
WHERE thread_id = ANY (%(ids)s::uuid[]) AND owner = %(owner)s

-- Held against deletion only: what runs on the thread goes on.
-- statement: hold
SELECT owner FROM langgraph_server.threads WHERE thread_id = %(id)s FOR KEY SHARE

-- template: search
SELECT {columns} FROM (
    (SELECT found.* FROM langgraph_server.threads AS found
     WHERE found.owner = %(owner)s {conditions} ORDER BY {order} LIMIT %(reach)s)
    UNION ALL
    (SELECT found.* FROM langgraph_server.threads AS found
     WHERE found.owner = 'system' AND %(owner)s <> 'system' {conditions}
     ORDER BY {order} LIMIT %(reach)s)
) AS found ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s

-- template: count
SELECT count(*) FROM langgraph_server.threads AS found
WHERE found.owner IN (%(owner)s, 'system') {conditions}

-- fragment: where_metadata
AND found.metadata @> %(metadata)s

-- fragment: where_values
AND found."values" @> %(values)s

-- fragment: where_ids
AND found.thread_id = ANY (%(ids)s::uuid[])

-- fragment: where_status
AND found.status = %(status)s
