-- While the thread's row is locked no run of it is created or claimed, and nobody else writes to it.
-- statement: lock
SELECT 1 FROM langgraph_server.threads WHERE thread_id = %(thread_id)s::uuid FOR NO KEY UPDATE
