-- The run queue: what workers do to runs. See runs.sql for the order of locks and for `seen`.

-- fragment: columns
run_id::text, thread_id::text, assistant_id::text, status, kwargs::text, metadata::text,
multitask_strategy, attempt, error, due_at, created_at, updated_at

-- Owners take turns, in the order of their names: the next one after `after`, and after the last one
-- the first again. Of an owner, the older of two: a run whose lease has run out, and the next run of
-- a thread where nothing is running. Owners in `full` are passed over; `stretches` are what lies
-- between them, in the order of turns, so that an index leads past all that waits of theirs.
-- (A stretch is looked into once the one before it gave nothing: LIMIT ends the loop over unnest,
-- which yields an array's elements in their order. ORDER BY would look into, and lock in, each.)
--
-- Rows that somebody has locked are skipped, never waited for: a statement keeps the lock of a row
-- that turned out to be no match after a wait, and would then wait for the next one with it.
--
-- A thread's next_run_id stands on the row that is locked, so it is the newest; the oldest queued run
-- is found by the snapshot. Where they differ nothing is claimed, and the thread's id is returned for
-- `recount`. So it is if the run has changed since: it is updated where the snapshot shows it.
-- (`chosen` is materialized so that an update which waited for the run's row meets the same choice
-- again; PostgreSQL would choose anew otherwise, and lock another thread.)
--
-- Answers with one row: whether there are due runs that no thread knows of yet (then nothing was
-- claimed); a thread to recount; a thread and a run that could have been claimed, had nobody locked
-- them; and the claimed run, with its owner.
-- template: claim
WITH unqueued AS MATERIALIZED (
    SELECT r.run_id FROM langgraph_server.runs AS r
    WHERE r.status = 'pending' AND r.queued_at IS DISTINCT FROM r.due_at AND r.due_at <= now()
      {run_owner}
    ORDER BY r.due_at LIMIT 1
), late AS MATERIALIZED (
    SELECT r.owner, r.created_at, r.run_id FROM langgraph_server.runs AS r
    WHERE r.status = 'running' AND r.leased_until <= now()
      AND r.owner <> ALL (%(full)s::text[]) {run_owner}
    ORDER BY r.owner <= %(after)s, r.owner, r.created_at, r.run_id LIMIT 1
), waiting AS MATERIALIZED (
    SELECT first.* FROM {stretches} CROSS JOIN LATERAL (
        SELECT t.owner, t.next_run_at, t.next_run_id, t.thread_id
        FROM langgraph_server.threads AS t
        WHERE t.next_run_id IS NOT NULL AND t.running_run_id IS NULL
          AND t.owner > stretch.above AND t.owner < stretch.below {thread_owner}
        ORDER BY t.owner, t.next_run_at, t.next_run_id LIMIT 1
    ) AS first LIMIT 1
), overdue AS MATERIALIZED (
    SELECT r.ctid AS place FROM langgraph_server.runs AS r
    WHERE r.status = 'running' AND r.leased_until <= now()
      AND r.owner <> ALL (%(full)s::text[]) {run_owner}
      AND EXISTS (SELECT FROM late) AND NOT EXISTS (SELECT FROM unqueued)
      AND NOT EXISTS (
          SELECT FROM waiting AS w, late AS l
          WHERE (w.owner <= %(after)s, w.owner, w.next_run_at, w.next_run_id)
              < (l.owner <= %(after)s, l.owner, l.created_at, l.run_id))
    ORDER BY r.owner <= %(after)s, r.owner, r.created_at, r.run_id
    LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
), thread AS MATERIALIZED (
    SELECT first.* FROM {stretches} CROSS JOIN LATERAL (
        SELECT t.thread_id, t.next_run_id FROM langgraph_server.threads AS t
        WHERE t.next_run_id IS NOT NULL AND t.running_run_id IS NULL
          AND t.owner > stretch.above AND t.owner < stretch.below {thread_owner}
          AND NOT EXISTS (SELECT FROM overdue) AND NOT EXISTS (SELECT FROM unqueued)
        ORDER BY t.owner, t.next_run_at, t.next_run_id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    ) AS first LIMIT 1
), head AS (
    SELECT oldest.run_id, oldest.place FROM thread CROSS JOIN LATERAL (
        SELECT r.run_id, r.ctid AS place FROM langgraph_server.runs AS r
        WHERE r.thread_id = thread.thread_id AND r.status = 'pending'
          AND NOT r.queued_at IS DISTINCT FROM r.due_at
        ORDER BY r.created_at, r.run_id LIMIT 1
    ) AS oldest WHERE oldest.run_id = thread.next_run_id
), chosen AS MATERIALIZED (
    SELECT place FROM overdue UNION ALL SELECT place FROM head
), run AS (
    UPDATE langgraph_server.runs AS r SET
        status = 'running', attempt = r.attempt + 1, error = NULL, lease_token = gen_random_uuid(),
        leased_until = clock_timestamp() + %(lease)s,
        updated_at = greatest(now(), r.updated_at + interval '1 microsecond')
    FROM chosen
    WHERE r.ctid = chosen.place
      AND (r.status = 'pending' OR (r.status = 'running' AND r.leased_until <= now()))
    RETURNING r.*
), noted AS (
    UPDATE langgraph_server.threads AS t SET running_run_id = run.run_id
    FROM run, thread WHERE t.thread_id = thread.thread_id AND t.thread_id = run.thread_id
)
SELECT EXISTS (SELECT FROM unqueued),
       CASE WHEN run.run_id IS NULL THEN (SELECT thread_id::text FROM thread) END,
       CASE WHEN run.run_id IS NULL THEN (SELECT thread_id::text FROM waiting) END,
       CASE WHEN run.run_id IS NULL THEN (SELECT run_id::text FROM late) END,
       run.owner, run.lease_token::text, run.leased_until, {run_columns}
FROM (SELECT) AS always LEFT JOIN run ON true

-- fragment: stretches
unnest(%(above)s::text[], %(below)s::text[]) AS stretch (above, below)

-- fragment: run_columns
run.run_id::text, run.thread_id::text, run.assistant_id::text, run.status, run.kwargs::text,
run.metadata::text, run.multitask_strategy, run.attempt, run.error, run.due_at, run.created_at,
run.updated_at

-- fragment: run_of_owner
AND r.owner = %(owner)s

-- fragment: thread_of_owner
AND t.owner = %(owner)s

-- Threads with runs that are due and not queued. Sent first in a transaction, to lock the threads.
-- statement: lock_unqueued
SELECT t.thread_id::text FROM langgraph_server.threads AS t
WHERE t.thread_id = ANY (ARRAY(
    SELECT r.thread_id FROM langgraph_server.runs AS r
    WHERE r.status = 'pending' AND r.queued_at IS DISTINCT FROM r.due_at AND r.due_at <= now()
    ORDER BY r.due_at LIMIT %(limit)s))
ORDER BY t.thread_id FOR NO KEY UPDATE

-- statement: queue_due
WITH queued AS (
    UPDATE langgraph_server.runs AS r SET queued_at = r.due_at
    WHERE r.thread_id = ANY (%(ids)s::uuid[]) AND r.status = 'pending'
      AND r.queued_at IS DISTINCT FROM r.due_at AND r.due_at <= now()
    RETURNING r.thread_id, r.created_at, r.run_id
), oldest AS (
    SELECT DISTINCT ON (thread_id) thread_id, created_at, run_id FROM queued
    ORDER BY thread_id, created_at, run_id
)
UPDATE langgraph_server.threads AS t SET next_run_at = o.created_at, next_run_id = o.run_id
FROM oldest AS o
WHERE t.thread_id = o.thread_id
  AND (t.next_run_id IS NULL OR (o.created_at, o.run_id) < (t.next_run_at, t.next_run_id))

-- These two wait until nobody changes a row any more. They hold nothing else meanwhile.
-- statement: await_thread
SELECT 1 FROM langgraph_server.threads WHERE thread_id = %(id)s FOR SHARE

-- Nor writes under its lease: a fence holds the run's row FOR SHARE (see harness/persistence).
-- statement: await_run
SELECT 1 FROM langgraph_server.runs WHERE run_id = %(id)s FOR NO KEY UPDATE

-- statement: lock_thread
SELECT thread_id::text FROM langgraph_server.threads
WHERE thread_id = %(thread_id)s FOR NO KEY UPDATE

-- What a thread says of its runs, counted anew. Sent when the thread's row is locked.
-- statement: recount
UPDATE langgraph_server.threads AS t SET
    active_runs = (SELECT count(*) FROM langgraph_server.runs AS r
                   WHERE r.thread_id = t.thread_id AND r.status IN ('pending', 'running')),
    running_run_id = (SELECT r.run_id FROM langgraph_server.runs AS r
                      WHERE r.thread_id = t.thread_id AND r.status = 'running'),
    (next_run_at, next_run_id) = (
        SELECT r.created_at, r.run_id FROM langgraph_server.runs AS r
        WHERE r.thread_id = t.thread_id AND r.status = 'pending'
          AND NOT r.queued_at IS DISTINCT FROM r.due_at
        ORDER BY r.created_at, r.run_id LIMIT 1)
WHERE t.thread_id = %(thread_id)s

-- statement: heartbeat
UPDATE langgraph_server.runs SET leased_until = clock_timestamp() + %(lease)s
WHERE run_id = %(id)s AND owner = %(owner)s AND lease_token::text = %(token)s
RETURNING run_id::text, thread_id::text, lease_token::text, attempt, leased_until

-- statement: hand_back
WITH thread AS MATERIALIZED (
    SELECT thread_id FROM langgraph_server.threads WHERE thread_id = %(thread_id)s
    FOR NO KEY UPDATE
), run AS (
    UPDATE langgraph_server.runs AS r SET
        status = 'pending', lease_token = NULL, leased_until = NULL, queued_at = r.due_at,
        updated_at = greatest(now(), r.updated_at + interval '1 microsecond')
    FROM thread
    WHERE r.run_id = %(id)s AND r.thread_id = thread.thread_id AND r.owner = %(owner)s
      AND r.lease_token::text = %(token)s
    RETURNING r.*
), noted AS (
    UPDATE langgraph_server.threads AS t SET
        running_run_id = NULL,
        next_run_at = least(t.next_run_at, run.created_at),
        next_run_id = CASE WHEN (t.next_run_at, t.next_run_id) < (run.created_at, run.run_id)
                           THEN t.next_run_id ELSE run.run_id END
    FROM run WHERE t.thread_id = run.thread_id
)
SELECT {columns} FROM run
