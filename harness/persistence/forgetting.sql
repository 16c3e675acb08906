-- What LangGraph's saver has no call for: to forget what one run did to a thread.

-- No run of the thread can be claimed while its row is locked, so that nobody builds upon what goes.
-- statement: lock_resting
SELECT 1 FROM langgraph_server.threads
WHERE thread_id = %(thread_id)s::uuid
  AND (running_run_id IS NULL OR running_run_id = %(run_id)s::uuid)
FOR NO KEY UPDATE

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
