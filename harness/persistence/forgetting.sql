-- What LangGraph's saver has no call for: to forget what one run did to a thread.

-- No run of the thread can be claimed while its row is locked, so that nobody builds upon what goes.
-- statement: lock_thread
SELECT running_run_id::text AS running FROM langgraph_server.threads
WHERE thread_id = %(thread_id)s::uuid AND owner = %(owner)s FOR NO KEY UPDATE

-- Sent after that one, so that its snapshot shows which runs have begun. Whoever executes the run
-- cannot write while its row is locked, and cannot any more when it is deleted.
-- statement: lock_run
SELECT status, lease_token::text AS token,
       NOT EXISTS (SELECT FROM langgraph_server.runs AS later
                   WHERE later.thread_id = r.thread_id AND later.attempt > 0
                     AND (later.created_at, later.run_id) > (r.created_at, r.run_id)) AS is_last
FROM langgraph_server.runs AS r
WHERE run_id = %(id)s::uuid AND thread_id = %(thread_id)s::uuid AND owner = %(owner)s FOR UPDATE

-- What the run answered, and what those that had asked then wrote: on the newest checkpoint that is
-- left in each namespace. (LangGraph keeps that beside the checkpoint of the run before.)
-- statement: forget_answers
DELETE FROM checkpoint_writes AS w USING (
    SELECT checkpoint_ns, max(checkpoint_id) AS checkpoint_id FROM checkpoints
    WHERE thread_id = %(thread_id)s GROUP BY checkpoint_ns
) AS head
WHERE w.thread_id = %(thread_id)s AND w.checkpoint_ns = head.checkpoint_ns
  AND w.checkpoint_id = head.checkpoint_id
  AND (w.channel = '__resume__' OR (w.idx >= 0 AND EXISTS (
      SELECT FROM checkpoint_writes AS asked
      WHERE asked.thread_id = w.thread_id AND asked.checkpoint_ns = w.checkpoint_ns
        AND asked.checkpoint_id = w.checkpoint_id AND asked.task_id = w.task_id
        AND asked.channel = '__interrupt__')))

-- A caller's update of the head, which no task has made.
-- statement: forget_update
DELETE FROM checkpoint_writes AS w
WHERE w.thread_id = %(thread_id)s AND w.checkpoint_ns = '' AND w.task_id = %(nobody)s
  AND w.channel <> '__resume__' AND w.checkpoint_id = (
      SELECT max(checkpoint_id) FROM checkpoints
      WHERE thread_id = %(thread_id)s AND checkpoint_ns = '')
