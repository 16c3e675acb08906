-- Runs: what callers do to them. What workers do is in queue.sql.
--
-- A thread's row says how many of its runs are active and which one is running. Whatever changes
-- that locks the thread's row first and the run's row second, and decides by what it finds on the
-- locked rows.

-- fragment: columns
run_id::text, thread_id::text, assistant_id::text, status, kwargs::text, metadata::text,
multitask_strategy, attempt, error, due_at, created_at, updated_at

-- A run created later than another on the same thread has a later time, whatever the clock does.
-- fragment: thread_time
greatest(now(), t.updated_at + interval '1 microsecond')

-- fragment: alive
(t.expires_at IS NULL OR t.expires_at > now())

-- The runs of a thread that has expired are as gone as the thread.
-- fragment: of_living_thread
NOT EXISTS (SELECT FROM langgraph_server.threads AS t
            WHERE t.thread_id = %(thread_id)s AND t.expires_at <= now())

-- fragment: found_of_living_thread
NOT EXISTS (SELECT FROM langgraph_server.threads AS t
            WHERE t.thread_id = found.thread_id AND t.expires_at <= now())

-- fragment: assistant
SELECT assistant_id, graph_id FROM langgraph_server.assistants
WHERE assistant_id = %(assistant_id)s AND owner IN (%(owner)s, 'system')

-- fragment: none_active
t.active_runs = 0 AND NOT EXISTS (
    SELECT FROM langgraph_server.runs AS r
    WHERE r.thread_id = t.thread_id AND r.status IN ('pending', 'running'))

-- With a lease a new run begins at once, unless another one of its thread is active. The thread is
-- left as if the run had been queued and then claimed.
-- fragment: begins
%(lease)s::interval IS NOT NULL AND {none_active}

-- fragment: insert_run
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

-- statement: insert
WITH assistant AS ({assistant}), thread AS (
    UPDATE langgraph_server.threads AS t SET
        active_runs = t.active_runs + 1,
        next_run_at = CASE WHEN t.next_run_id IS NULL AND %(delay)s = interval '0'
                           THEN {thread_time} ELSE t.next_run_at END,
        next_run_id = CASE WHEN t.next_run_id IS NULL AND %(delay)s = interval '0'
                           THEN %(run_id)s::uuid ELSE t.next_run_id END,
        running_run_id = CASE WHEN {begins} THEN %(run_id)s::uuid ELSE t.running_run_id END,
        status = 'busy',
        metadata = t.metadata
            || jsonb_build_object('graph_id', a.graph_id, 'assistant_id', a.assistant_id),
        updated_at = {thread_time}
    FROM assistant AS a
    WHERE t.thread_id = %(thread_id)s AND t.owner = %(owner)s AND {alive}
      AND (%(strategy)s <> 'reject' OR {none_active})
    RETURNING t.thread_id, t.updated_at, t.running_run_id
)
{insert_run}

-- statement: insert_with_thread
WITH assistant AS ({assistant}), thread AS (
    INSERT INTO langgraph_server.threads AS t
        (thread_id, owner, status, metadata, active_runs, next_run_at, next_run_id, running_run_id,
         ttl_minutes, ttl_strategy)
    SELECT %(thread_id)s::uuid, %(owner)s, 'busy',
           jsonb_build_object('owner', %(owner)s::text, 'graph_id', a.graph_id,
                              'assistant_id', a.assistant_id),
           1,
           CASE WHEN %(delay)s = interval '0' THEN now() END,
           CASE WHEN %(delay)s = interval '0' THEN %(run_id)s::uuid END,
           CASE WHEN %(lease)s::interval IS NOT NULL THEN %(run_id)s::uuid END,
           %(ttl_minutes)s::double precision, %(ttl_strategy)s::text
    FROM assistant AS a
    ON CONFLICT (thread_id) DO UPDATE SET
        active_runs = t.active_runs + 1,
        next_run_at = CASE WHEN t.next_run_id IS NULL AND %(delay)s = interval '0'
                           THEN {thread_time} ELSE t.next_run_at END,
        next_run_id = CASE WHEN t.next_run_id IS NULL AND %(delay)s = interval '0'
                           THEN %(run_id)s::uuid ELSE t.next_run_id END,
        running_run_id = CASE WHEN {begins} THEN %(run_id)s::uuid ELSE t.running_run_id END,
        status = 'busy',
        metadata = t.metadata || (excluded.metadata - 'owner'),
        updated_at = {thread_time}
    WHERE t.owner = %(owner)s AND {alive} AND (%(strategy)s <> 'reject' OR {none_active})
    RETURNING t.thread_id, t.updated_at, t.running_run_id
)
{insert_run}

-- statement: insert_missing_threads
INSERT INTO langgraph_server.threads (thread_id, owner, metadata, ttl_minutes, ttl_strategy)
SELECT thread_id, %(owner)s, jsonb_build_object('owner', %(owner)s::text),
       %(ttl_minutes)s::double precision, %(ttl_strategy)s::text
FROM unnest(%(ids)s::uuid[]) AS new (thread_id)
ON CONFLICT (thread_id) DO NOTHING
RETURNING thread_id::text

-- statement: lock_threads
SELECT thread_id::text, owner FROM langgraph_server.threads AS t
WHERE {alive} AND thread_id = ANY (%(ids)s::uuid[]) ORDER BY thread_id FOR NO KEY UPDATE

-- statement: busy_threads
SELECT DISTINCT thread_id::text FROM langgraph_server.runs
WHERE thread_id = ANY (%(ids)s::uuid[]) AND status IN ('pending', 'running')

-- statement: visible_assistants
SELECT assistant_id::text FROM langgraph_server.assistants
WHERE assistant_id = ANY (%(ids)s::uuid[]) AND owner IN (%(owner)s, 'system')

-- statement: taken
SELECT run_id::text FROM langgraph_server.runs WHERE run_id = ANY (%(ids)s::uuid[])

-- What a new run met that was refused.
-- statement: standing
SELECT (SELECT owner FROM langgraph_server.threads AS t
        WHERE t.thread_id = %(thread_id)s AND {alive}),
       EXISTS ({assistant}),
       EXISTS (SELECT FROM langgraph_server.runs WHERE run_id = %(run_id)s),
       EXISTS (SELECT FROM langgraph_server.runs
               WHERE thread_id = %(thread_id)s AND status IN ('pending', 'running'))

-- Queues all or none, on threads that are there. All rows have one time, which may be older than
-- that of a run that came in while this waited for the thread: the thread's next run is whichever is
-- older. The threads are locked in the order of their ids before any of them is changed.
-- statement: insert_many
WITH assistant AS MATERIALIZED (
    SELECT assistant_id, graph_id FROM langgraph_server.assistants
    WHERE assistant_id = ANY (%(assistant_ids)s::uuid[]) AND owner IN (%(owner)s, 'system')
), locked AS MATERIALIZED (
    SELECT thread_id FROM langgraph_server.threads AS t
    WHERE thread_id = ANY (%(thread_ids)s::uuid[]) AND owner = %(owner)s AND {alive}
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

-- statement: get
SELECT {columns} FROM langgraph_server.runs
WHERE run_id = %(id)s AND thread_id = %(thread_id)s AND owner IN (%(owner)s, 'system')
  AND {of_living_thread}

-- statement: owner_of
SELECT owner, status,
       EXISTS (SELECT FROM langgraph_server.runs AS other
               WHERE other.thread_id = %(thread_id)s AND other.status = 'running') AS another_runs
FROM langgraph_server.runs
WHERE run_id = %(id)s AND thread_id = %(thread_id)s AND {of_living_thread}

-- statement: update
UPDATE langgraph_server.runs SET
    metadata = metadata || %(metadata)s::jsonb,
    updated_at = greatest(now(), updated_at + interval '1 microsecond')
WHERE run_id = %(id)s AND thread_id = %(thread_id)s AND owner = %(owner)s
  AND {of_living_thread}
RETURNING {columns}

-- statement: get_active
SELECT {columns} FROM (SELECT r.* FROM langgraph_server.threads AS t LEFT JOIN LATERAL (
    (SELECT * FROM langgraph_server.runs AS running
     WHERE running.thread_id = t.thread_id AND running.status = 'running')
    UNION ALL
    (SELECT * FROM langgraph_server.runs AS waiting
     WHERE waiting.thread_id = t.thread_id AND waiting.status = 'pending'
     ORDER BY waiting.created_at, waiting.run_id LIMIT 1)
    LIMIT 1
) AS r ON true
WHERE t.thread_id = %(thread_id)s AND t.owner IN (%(owner)s, 'system') AND {alive}) AS r

-- As the snapshot shows them: the version of the thread's row, its oldest queued run but for this
-- one, and whether other runs are active. While the locked row is still of that version nothing has
-- happened to the thread's queue since, and these hold. Otherwise the row's own facts do: its count
-- is exact, and its next run stays, for it may be too early but never too late (and the next claim
-- sets it right).
-- fragment: seen
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

-- fragment: locked
SELECT thread_id, running_run_id FROM langgraph_server.threads
WHERE thread_id = %(thread_id)s FOR NO KEY UPDATE

-- fragment: was_last
CASE WHEN t.ctid = seen.version THEN NOT seen.others ELSE t.active_runs <= 1 END

-- fragment: without_this_run
active_runs = greatest(t.active_runs - 1, 0),
running_run_id = nullif(t.running_run_id, %(id)s::uuid),
next_run_at = CASE WHEN {was_last} THEN NULL
                   WHEN t.ctid = seen.version THEN seen.next_run_at ELSE t.next_run_at END,
next_run_id = CASE WHEN {was_last} THEN NULL
                   WHEN t.ctid = seen.version THEN seen.next_run_id ELSE t.next_run_id END

-- fragment: settled_at
updated_at = CASE WHEN {was_last} THEN {thread_time} ELSE t.updated_at END

-- statement: delete
WITH seen AS MATERIALIZED ({seen}), thread AS MATERIALIZED ({locked}), gone AS (
    DELETE FROM langgraph_server.runs AS r USING thread
    WHERE r.run_id = %(id)s AND r.thread_id = thread.thread_id AND r.owner = %(owner)s
      AND {of_living_thread}
    RETURNING r.thread_id, r.status
), settled AS (
    UPDATE langgraph_server.threads AS t SET {without_this_run}, {settled_at},
        status = CASE WHEN {was_last} THEN 'idle' ELSE t.status END
    FROM gone, seen WHERE t.thread_id = gone.thread_id AND gone.status IN ('pending', 'running')
)
SELECT 1 FROM gone

-- A run with its thread. Both are locked first: a lease is looked at on the row as it is then.
-- statement: discard
WITH thread AS MATERIALIZED (
    SELECT thread_id FROM langgraph_server.threads
    WHERE thread_id = %(thread_id)s AND owner = %(owner)s FOR UPDATE
), run AS MATERIALIZED (
    SELECT r.thread_id FROM thread JOIN langgraph_server.runs AS r USING (thread_id)
    WHERE r.run_id = %(id)s AND r.owner = %(owner)s
      AND (%(token)s::text IS NULL OR r.lease_token::text = %(token)s)
    FOR UPDATE OF r
)
DELETE FROM langgraph_server.threads AS t USING run WHERE t.thread_id = run.thread_id RETURNING 1

-- statement: start
WITH thread AS MATERIALIZED ({locked}), run AS (
    UPDATE langgraph_server.runs AS r SET
        status = 'running', attempt = r.attempt + 1, error = %(error)s,
        lease_token = NULL, leased_until = NULL,
        updated_at = greatest(now(), r.updated_at + interval '1 microsecond')
    FROM thread
    WHERE r.run_id = %(id)s AND r.thread_id = thread.thread_id AND r.owner = %(owner)s
      AND r.status = 'pending' AND thread.running_run_id IS NULL
    RETURNING r.*
), noted AS (
    UPDATE langgraph_server.threads AS t SET running_run_id = run.run_id
    FROM run WHERE t.thread_id = run.thread_id
)
SELECT {columns} FROM run

-- fragment: ended
WITH seen AS MATERIALIZED ({seen}), thread AS MATERIALIZED ({locked}), run AS (
    UPDATE langgraph_server.runs AS r SET
        status = %(status)s, error = %(error)s, lease_token = NULL, leased_until = NULL,
        updated_at = greatest(now(), r.updated_at + interval '1 microsecond')
    FROM thread
    WHERE r.run_id = %(id)s AND r.thread_id = thread.thread_id AND r.owner = %(owner)s
      AND {current}
    RETURNING r.*
)

-- template: end
{ended}, settled AS (
    UPDATE langgraph_server.threads AS t SET {without_this_run}, {settled_at},
        status = CASE WHEN {was_last} THEN %(thread_status)s ELSE t.status END
    FROM run, seen WHERE t.thread_id = run.thread_id
)
SELECT {columns} FROM run

-- The same, with a head for the thread to show, which may be busy still.
-- template: end_with_head
{ended}, settled AS (
    UPDATE langgraph_server.threads AS t SET {without_this_run},
        status = CASE WHEN {was_last} THEN %(thread_status)s ELSE t.status END,
        "values" = %(values)s, checkpoint_id = %(checkpoint_id)s, interrupts = %(interrupts)s,
        error = %(thread_error)s, updated_at = {thread_time}, state_updated_at = {thread_time}
    FROM run, seen WHERE t.thread_id = run.thread_id
)
SELECT {columns} FROM run

-- fragment: is_active
r.status IN ('pending', 'running')

-- fragment: is_leased
r.lease_token::text = %(token)s

-- template: search
SELECT {columns} FROM (
    (SELECT found.* FROM langgraph_server.runs AS found
     WHERE found.owner = %(owner)s AND {found_of_living_thread} {conditions}
     ORDER BY {order} LIMIT %(reach)s)
    UNION ALL
    (SELECT found.* FROM langgraph_server.runs AS found
     WHERE found.owner = 'system' AND %(owner)s <> 'system' AND {found_of_living_thread}
       {conditions}
     ORDER BY {order} LIMIT %(reach)s)
) AS found ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s

-- template: count
SELECT count(*) FROM langgraph_server.runs AS found
WHERE found.owner IN (%(owner)s, 'system') AND {found_of_living_thread} {conditions}

-- template: list_thread
SELECT {columns} FROM (SELECT r.* FROM langgraph_server.threads AS t LEFT JOIN LATERAL (
    SELECT * FROM langgraph_server.runs AS found
    WHERE found.thread_id = t.thread_id {conditions}
    ORDER BY found.created_at DESC, found.run_id DESC LIMIT %(limit)s OFFSET %(offset)s
) AS r ON true
WHERE t.thread_id = %(thread_id)s AND t.owner IN (%(owner)s, 'system') AND {alive}) AS r
ORDER BY r.created_at DESC, r.run_id DESC

-- fragment: where_thread_id
AND found.thread_id = %(thread_id)s

-- fragment: where_assistant_id
AND found.assistant_id = %(assistant_id)s

-- fragment: where_status
AND found.status = %(status)s

-- fragment: where_metadata
AND found.metadata @> %(metadata)s
