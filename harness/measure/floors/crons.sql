-- Crons, as the Postgres backend writes and reads them.

-- name: create
INSERT INTO langgraph_server.crons
    (cron_id, owner, assistant_id, thread_id, schedule, timezone, payload, on_run_completed,
     end_time, enabled, next_run_date, metadata)
SELECT %(cron_id)s::uuid, %(owner)s, a.assistant_id, t.thread_id, %(schedule)s, %(timezone)s,
       %(payload)s::jsonb, %(on_run_completed)s, %(end_time)s::timestamptz, %(enabled)s,
       %(next_run_date)s::timestamptz, %(metadata)s::jsonb
FROM langgraph_server.assistants AS a
LEFT JOIN langgraph_server.threads AS t
  ON t.thread_id = %(thread_id)s::uuid AND t.owner = %(owner)s
  AND (t.expires_at IS NULL OR t.expires_at > now())
WHERE a.assistant_id = %(assistant_id)s AND a.owner IN (%(owner)s, 'system')
  AND (%(thread_id)s::uuid IS NULL OR t.thread_id IS NOT NULL)
RETURNING created_at

-- name: create_many
WITH assistant AS MATERIALIZED (
    SELECT assistant_id FROM langgraph_server.assistants
    WHERE assistant_id = ANY (%(assistant_ids)s::uuid[]) AND owner IN (%(owner)s, 'system')
    ORDER BY assistant_id FOR KEY SHARE
), thread AS MATERIALIZED (
    SELECT thread_id FROM langgraph_server.threads AS t
    WHERE thread_id = ANY (%(thread_ids)s::uuid[]) AND owner = %(owner)s
      AND (t.expires_at IS NULL OR t.expires_at > now())
      AND (SELECT count(*) FROM assistant) = cardinality(%(assistant_ids)s::uuid[])
    ORDER BY thread_id FOR KEY SHARE
), made AS (
    INSERT INTO langgraph_server.crons
        (cron_id, owner, assistant_id, thread_id, schedule, timezone, payload, on_run_completed,
         end_time, enabled, next_run_date, metadata)
    SELECT cron_id, %(owner)s, assistant_id, thread_id, schedule, timezone, payload,
           on_run_completed, end_time, enabled, next_run_date, metadata
    FROM json_to_recordset(%(rows)s::json) AS new (
        cron_id uuid, assistant_id uuid, thread_id uuid, schedule text, timezone text,
        payload jsonb, on_run_completed text, end_time timestamptz, enabled boolean,
        next_run_date timestamptz, metadata jsonb)
    WHERE (SELECT count(*) FROM assistant) = cardinality(%(assistant_ids)s::uuid[])
      AND (SELECT count(*) FROM thread) = cardinality(%(thread_ids)s::uuid[])
    RETURNING cron_id
)
SELECT now() WHERE EXISTS (SELECT FROM made)

-- name: get
SELECT cron_id::text, assistant_id::text, thread_id::text, schedule, timezone, payload::text,
       on_run_completed, end_time, enabled, next_run_date, metadata::text, created_at, updated_at
FROM langgraph_server.crons AS found
WHERE cron_id = %(id)s AND owner IN (%(owner)s, 'system')
  AND NOT EXISTS (SELECT FROM langgraph_server.threads AS t
                  WHERE t.thread_id = found.thread_id AND t.expires_at <= now())

-- name: update
UPDATE langgraph_server.crons AS found SET
    payload = payload || coalesce(%(payload)s::jsonb, '{}'),
    on_run_completed = coalesce(%(on_run_completed)s, on_run_completed),
    metadata = metadata || %(metadata)s::jsonb,
    updated_at = greatest(now(), updated_at + interval '1 microsecond')
WHERE cron_id = %(id)s AND owner = %(owner)s
  AND NOT EXISTS (SELECT FROM langgraph_server.threads AS t
                  WHERE t.thread_id = found.thread_id AND t.expires_at <= now())
RETURNING cron_id::text, assistant_id::text, thread_id::text, schedule, timezone, payload::text,
          on_run_completed, end_time, enabled, next_run_date, metadata::text, created_at,
          updated_at

-- name: search
SELECT cron_id::text, assistant_id::text, thread_id::text, schedule, timezone, payload::text,
       on_run_completed, end_time, enabled, next_run_date, metadata::text, created_at, updated_at
FROM (
    (SELECT found.* FROM langgraph_server.crons AS found
     WHERE found.owner = %(owner)s
       AND NOT EXISTS (SELECT FROM langgraph_server.threads AS t
                       WHERE t.thread_id = found.thread_id AND t.expires_at <= now())
       AND found.metadata @> %(metadata)s
     ORDER BY found.created_at desc, found.cron_id desc LIMIT %(reach)s)
    UNION ALL
    (SELECT found.* FROM langgraph_server.crons AS found
     WHERE found.owner = 'system' AND %(owner)s <> 'system'
       AND NOT EXISTS (SELECT FROM langgraph_server.threads AS t
                       WHERE t.thread_id = found.thread_id AND t.expires_at <= now())
       AND found.metadata @> %(metadata)s
     ORDER BY found.created_at desc, found.cron_id desc LIMIT %(reach)s)
) AS found ORDER BY found.created_at desc, found.cron_id desc LIMIT %(limit)s OFFSET %(offset)s

-- name: newest
SELECT cron_id::text, assistant_id::text, thread_id::text, schedule, timezone, payload::text,
       on_run_completed, end_time, enabled, next_run_date, metadata::text, created_at, updated_at
FROM (
    (SELECT found.* FROM langgraph_server.crons AS found
     WHERE found.owner = %(owner)s
       AND NOT EXISTS (SELECT FROM langgraph_server.threads AS t
                       WHERE t.thread_id = found.thread_id AND t.expires_at <= now())
     ORDER BY found.created_at desc, found.cron_id desc LIMIT %(reach)s)
    UNION ALL
    (SELECT found.* FROM langgraph_server.crons AS found
     WHERE found.owner = 'system' AND %(owner)s <> 'system'
       AND NOT EXISTS (SELECT FROM langgraph_server.threads AS t
                       WHERE t.thread_id = found.thread_id AND t.expires_at <= now())
     ORDER BY found.created_at desc, found.cron_id desc LIMIT %(reach)s)
) AS found ORDER BY found.created_at desc, found.cron_id desc LIMIT %(limit)s OFFSET %(offset)s

-- name: count
SELECT count(*) FROM langgraph_server.crons AS found
WHERE found.owner IN (%(owner)s, 'system')
  AND NOT EXISTS (SELECT FROM langgraph_server.threads AS t
                  WHERE t.thread_id = found.thread_id AND t.expires_at <= now())
  AND found.metadata @> %(metadata)s

-- name: delete
DELETE FROM langgraph_server.crons AS found
WHERE cron_id = %(id)s AND owner = %(owner)s
  AND NOT EXISTS (SELECT FROM langgraph_server.threads AS t
                  WHERE t.thread_id = found.thread_id AND t.expires_at <= now())
RETURNING 1
