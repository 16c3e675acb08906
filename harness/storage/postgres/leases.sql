-- Leases, as whoever executes runs keeps them. See the migration `lost_leases` for the notification.

-- statement: listen
LISTEN langgraph_server_lease_lost

-- Rows that somebody has locked are left for the next time: waiting for one would hold up all others.
-- statement: prolong
WITH held AS MATERIALIZED (
    SELECT r.run_id FROM langgraph_server.runs AS r
    JOIN unnest(%(ids)s::uuid[], %(tokens)s::uuid[]) AS kept (run_id, token)
      ON r.run_id = kept.run_id AND r.lease_token = kept.token
    FOR NO KEY UPDATE OF r SKIP LOCKED
)
UPDATE langgraph_server.runs AS r SET leased_until = clock_timestamp() + %(lease)s
FROM held WHERE r.run_id = held.run_id
RETURNING r.lease_token::text

-- statement: current
SELECT r.lease_token::text FROM langgraph_server.runs AS r
JOIN unnest(%(ids)s::uuid[], %(tokens)s::uuid[]) AS kept (run_id, token)
  ON r.run_id = kept.run_id AND r.lease_token = kept.token

-- statement: acknowledge
UPDATE langgraph_server.runs SET stopping_token = NULL, stopping_until = NULL
WHERE run_id = %(id)s AND stopping_token = %(token)s

-- statement: is_stopping
SELECT EXISTS (SELECT FROM langgraph_server.runs
               WHERE run_id = %(id)s AND stopping_until > clock_timestamp())
