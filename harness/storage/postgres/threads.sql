-- Threads. A thread whose time is over is not there, whether or not it has been swept; a sweep or
-- whoever wants its id removes it, with all that is of it.

-- fragment: columns
thread_id::text, status, "values"::text, checkpoint_id::text, interrupts::text, error::text,
metadata::text, created_at, updated_at, state_updated_at, ttl_minutes, ttl_strategy

-- fragment: alive
(expires_at IS NULL OR expires_at > now())

-- statement: insert
INSERT INTO langgraph_server.threads (thread_id, owner, metadata, ttl_minutes, ttl_strategy)
VALUES (%(thread_id)s, %(owner)s, %(metadata)s, %(ttl_minutes)s, %(ttl_strategy)s)
RETURNING created_at

-- The row that is there is returned where the id is taken. No row at all: it was taken by somebody
-- whose commit this statement's snapshot does not show, or by a thread that has expired.
-- statement: insert_or_get
WITH made AS (
    INSERT INTO langgraph_server.threads (thread_id, owner, metadata, ttl_minutes, ttl_strategy)
    VALUES (%(thread_id)s, %(owner)s, %(metadata)s, %(ttl_minutes)s, %(ttl_strategy)s)
    ON CONFLICT (thread_id) DO NOTHING
    RETURNING *
), found AS (
    SELECT * FROM made
    UNION ALL
    SELECT * FROM langgraph_server.threads
    WHERE thread_id = %(thread_id)s::uuid AND {alive} AND NOT EXISTS (SELECT FROM made)
)
SELECT {columns}, owner FROM found

-- statement: insert_many
WITH made AS (
    INSERT INTO langgraph_server.threads (thread_id, owner, metadata, ttl_minutes, ttl_strategy)
    SELECT thread_id, %(owner)s, metadata, ttl_minutes, ttl_strategy
    FROM json_to_recordset(%(rows)s::json) AS new (
        thread_id uuid, metadata jsonb, ttl_minutes double precision, ttl_strategy text)
)
SELECT now()

-- statement: insert_missing
INSERT INTO langgraph_server.threads (thread_id, owner, metadata, ttl_minutes, ttl_strategy)
SELECT thread_id, %(owner)s, metadata, ttl_minutes, ttl_strategy
FROM json_to_recordset(%(rows)s::json) AS new (
    thread_id uuid, metadata jsonb, ttl_minutes double precision, ttl_strategy text)
ON CONFLICT (thread_id) DO NOTHING
RETURNING thread_id::text

-- statement: get_many
SELECT {columns}, owner FROM langgraph_server.threads WHERE thread_id = ANY (%(ids)s::uuid[])

-- Removes those that have expired, whoever owned them: somebody wants their ids.
-- statement: bury
WITH expired AS MATERIALIZED (
    SELECT thread_id FROM langgraph_server.threads
    WHERE thread_id = ANY (%(ids)s::uuid[]) AND expires_at <= now()
    ORDER BY thread_id FOR UPDATE
)
DELETE FROM langgraph_server.threads AS t USING expired WHERE t.thread_id = expired.thread_id
RETURNING t.thread_id::text

-- Each goes with its states, runs, crons and checkpoints, once: what another sweep has in hand, or
-- somebody changes at this moment, is passed over.
-- template: sweep
DELETE FROM langgraph_server.threads WHERE thread_id = ANY (ARRAY(
    SELECT thread_id FROM langgraph_server.threads WHERE expires_at <= now() {condition}
    ORDER BY expires_at, thread_id LIMIT %(limit)s OFFSET %(behind)s FOR UPDATE SKIP LOCKED))
RETURNING 1

-- Threads whose history is to be shortened, the longest due first.
-- template: long
SELECT thread_id::text FROM langgraph_server.threads WHERE shortens_at <= now() {condition}
ORDER BY shortens_at LIMIT %(limit)s

-- fragment: of_owner
AND owner = %(owner)s

-- Of several sweeps that have shortened a history one counts it. If the thread has changed since
-- it is due again, once its time is over.
-- statement: shortened
UPDATE langgraph_server.threads SET shortened_at = updated_at
WHERE thread_id = %(id)s AND shortens_at <= now()
RETURNING 1

-- statement: get
SELECT {columns} FROM langgraph_server.threads
WHERE thread_id = %(id)s AND owner IN (%(owner)s, 'system') AND {alive}

-- statement: owner_of
SELECT owner FROM langgraph_server.threads WHERE thread_id = %(id)s AND {alive}

-- statement: update
UPDATE langgraph_server.threads SET
    metadata = metadata || %(metadata)s::jsonb,
    ttl_minutes = coalesce(%(ttl_minutes)s, ttl_minutes),
    ttl_strategy = coalesce(%(ttl_strategy)s, ttl_strategy),
    updated_at = greatest(now(), updated_at + interval '1 microsecond')
WHERE thread_id = %(id)s AND owner = %(owner)s AND {alive}
RETURNING {columns}

-- statement: cache_head
UPDATE langgraph_server.threads SET
    "values" = %(values)s, checkpoint_id = %(checkpoint_id)s, interrupts = %(interrupts)s,
    error = %(thread_error)s,
    status = CASE WHEN status = 'busy' THEN 'busy' ELSE coalesce(%(thread_status)s, status) END,
    updated_at = greatest(now(), updated_at + interval '1 microsecond'),
    state_updated_at = greatest(now(), updated_at + interval '1 microsecond')
WHERE thread_id = %(id)s AND owner = %(owner)s AND {alive}
  AND state_updated_at = coalesce(%(seen_at)s, state_updated_at)
RETURNING {columns}

-- statement: delete
DELETE FROM langgraph_server.threads
WHERE thread_id = %(id)s AND owner = %(owner)s AND {alive}
RETURNING 1

-- statement: copy
WITH copied AS (
    INSERT INTO langgraph_server.threads
        (thread_id, owner, status, "values", checkpoint_id, interrupts, error, metadata, state_seq,
         state_id, ttl_minutes, ttl_strategy)
    SELECT %(new_id)s::uuid, %(owner)s, CASE status WHEN 'busy' THEN 'idle' ELSE status END,
           "values", checkpoint_id, interrupts, error,
           metadata || jsonb_build_object('owner', %(owner)s::text), state_seq, state_id,
           ttl_minutes, ttl_strategy
    FROM langgraph_server.threads
    WHERE thread_id = %(id)s AND owner IN (%(owner)s, 'system') AND {alive}
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
WHERE thread_id = ANY (%(ids)s::uuid[]) AND owner = %(owner)s AND {alive}
ORDER BY thread_id FOR UPDATE

-- statement: delete_many
DELETE FROM langgraph_server.threads WHERE thread_id = ANY (%(ids)s::uuid[])

-- statement: own
SELECT thread_id::text FROM langgraph_server.threads WHERE owner = %(owner)s AND {alive}

-- statement: own_among
SELECT thread_id::text FROM langgraph_server.threads
WHERE thread_id = ANY (%(ids)s::uuid[]) AND owner = %(owner)s AND {alive}

-- Held against deletion only: what runs on the thread goes on.
-- statement: hold
SELECT owner FROM langgraph_server.threads WHERE thread_id = %(id)s FOR KEY SHARE

-- template: search
SELECT {columns} FROM (
    (SELECT found.* FROM langgraph_server.threads AS found
     WHERE found.owner = %(owner)s AND {alive} {conditions} ORDER BY {order} LIMIT %(reach)s)
    UNION ALL
    (SELECT found.* FROM langgraph_server.threads AS found
     WHERE found.owner = 'system' AND %(owner)s <> 'system' AND {alive} {conditions}
     ORDER BY {order} LIMIT %(reach)s)
) AS found ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s

-- template: count
SELECT count(*) FROM langgraph_server.threads AS found
WHERE found.owner IN (%(owner)s, 'system') AND {alive} {conditions}

-- fragment: where_metadata
AND found.metadata @> %(metadata)s

-- fragment: where_values
AND found."values" @> %(values)s

-- fragment: where_ids
AND found.thread_id = ANY (%(ids)s::uuid[])

-- fragment: where_status
AND found.status = %(status)s
