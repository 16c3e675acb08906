-- Items, as the Postgres backend writes and reads them.

-- name: create
INSERT INTO langgraph_server.store_items AS old
    (owner, namespace, key, value, ttl_minutes, expires_at)
VALUES (%(owner)s, %(namespace)s, %(key)s, %(value)s, %(ttl_minutes)s::double precision,
        now() + %(ttl_minutes)s::double precision * interval '1 minute')
ON CONFLICT (owner, namespace, key) DO UPDATE SET
    value = excluded.value,
    ttl_minutes = excluded.ttl_minutes,
    expires_at = excluded.expires_at,
    created_at = CASE WHEN old.expires_at <= excluded.created_at THEN excluded.created_at
                      ELSE old.created_at END,
    updated_at = greatest(excluded.updated_at, old.updated_at + interval '1 microsecond')

-- name: create_many
INSERT INTO langgraph_server.store_items AS old
    (owner, namespace, key, value, ttl_minutes, expires_at)
SELECT %(owner)s, namespace, key, value, ttl_minutes, now() + ttl_minutes * interval '1 minute'
FROM json_to_recordset(%(rows)s::json) AS new (
    namespace text[], key text, value jsonb, ttl_minutes double precision)
ON CONFLICT (owner, namespace, key) DO UPDATE SET
    value = excluded.value,
    ttl_minutes = excluded.ttl_minutes,
    expires_at = excluded.expires_at,
    created_at = CASE WHEN old.expires_at <= excluded.created_at THEN excluded.created_at
                      ELSE old.created_at END,
    updated_at = greatest(excluded.updated_at, old.updated_at + interval '1 microsecond')

-- name: get
SELECT namespace, key, value::text, created_at, updated_at, ttl_minutes IS NOT NULL AND owner = %(owner)s
FROM langgraph_server.store_items
WHERE owner IN (%(owner)s, 'system') AND namespace = %(namespace)s AND key = %(key)s AND (expires_at IS NULL OR expires_at > now())
ORDER BY owner = %(owner)s DESC LIMIT 1

-- name: update
INSERT INTO langgraph_server.store_items AS old
    (owner, namespace, key, value, ttl_minutes, expires_at)
VALUES (%(owner)s, %(namespace)s, %(key)s, %(value)s, %(ttl_minutes)s::double precision,
        now() + %(ttl_minutes)s::double precision * interval '1 minute')
ON CONFLICT (owner, namespace, key) DO UPDATE SET
    value = excluded.value,
    ttl_minutes = excluded.ttl_minutes,
    expires_at = excluded.expires_at,
    created_at = CASE WHEN old.expires_at <= excluded.created_at THEN excluded.created_at
                      ELSE old.created_at END,
    updated_at = greatest(excluded.updated_at, old.updated_at + interval '1 microsecond')

-- name: search
SELECT namespace, key, value::text, created_at, updated_at, ttl_minutes IS NOT NULL AND owner = %(owner)s FROM (
    (SELECT found.* FROM langgraph_server.store_items AS found
     WHERE found.owner = %(owner)s AND (expires_at IS NULL OR expires_at > now()) AND found.namespace >= %(prefix)s::text[] AND found.namespace < %(prefix_end)s::text[]
     AND coalesce(found.value -> %(key_0_0)s::text, 'null'::jsonb) = %(operand_0)s::jsonb ORDER BY found.created_at desc, found.namespace desc, found.key desc LIMIT %(reach)s)
    UNION ALL
    (SELECT found.* FROM langgraph_server.store_items AS found
     WHERE found.owner = 'system' AND %(owner)s <> 'system' AND NOT EXISTS (
    SELECT FROM langgraph_server.store_items AS own
    WHERE own.owner = %(owner)s AND own.namespace = found.namespace AND own.key = found.key
      AND (own.expires_at IS NULL OR own.expires_at > now())) AND (expires_at IS NULL OR expires_at > now()) AND found.namespace >= %(prefix)s::text[] AND found.namespace < %(prefix_end)s::text[]
     AND coalesce(found.value -> %(key_0_0)s::text, 'null'::jsonb) = %(operand_0)s::jsonb
     ORDER BY found.created_at desc, found.namespace desc, found.key desc LIMIT %(reach)s)
) AS found ORDER BY found.created_at desc, found.namespace desc, found.key desc LIMIT %(limit)s OFFSET %(offset)s

-- name: newest
SELECT namespace, key, value::text, created_at, updated_at, ttl_minutes IS NOT NULL AND owner = %(owner)s FROM (
    (SELECT found.* FROM langgraph_server.store_items AS found
     WHERE found.owner = %(owner)s AND (expires_at IS NULL OR expires_at > now()) AND found.namespace >= %(prefix)s::text[] AND found.namespace < %(prefix_end)s::text[] ORDER BY found.created_at desc, found.namespace desc, found.key desc LIMIT %(reach)s)
    UNION ALL
    (SELECT found.* FROM langgraph_server.store_items AS found
     WHERE found.owner = 'system' AND %(owner)s <> 'system' AND NOT EXISTS (
    SELECT FROM langgraph_server.store_items AS own
    WHERE own.owner = %(owner)s AND own.namespace = found.namespace AND own.key = found.key
      AND (own.expires_at IS NULL OR own.expires_at > now())) AND (expires_at IS NULL OR expires_at > now()) AND found.namespace >= %(prefix)s::text[] AND found.namespace < %(prefix_end)s::text[]
     ORDER BY found.created_at desc, found.namespace desc, found.key desc LIMIT %(reach)s)
) AS found ORDER BY found.created_at desc, found.namespace desc, found.key desc LIMIT %(limit)s OFFSET %(offset)s

-- name: count
SELECT count(*) FROM langgraph_server.store_items AS found
WHERE (found.owner = %(owner)s OR (found.owner = 'system' AND %(owner)s <> 'system' AND NOT EXISTS (
    SELECT FROM langgraph_server.store_items AS own
    WHERE own.owner = %(owner)s AND own.namespace = found.namespace AND own.key = found.key
      AND (own.expires_at IS NULL OR own.expires_at > now()))))
  AND (expires_at IS NULL OR expires_at > now()) AND found.namespace >= %(prefix)s::text[] AND found.namespace < %(prefix_end)s::text[]
  AND coalesce(found.value -> %(key_0_0)s::text, 'null'::jsonb) = %(operand_0)s::jsonb

-- name: delete
WITH system AS MATERIALIZED (
    SELECT FROM langgraph_server.store_items
    WHERE owner = 'system' AND %(owner)s <> 'system'
      AND namespace = %(namespace)s AND key = %(key)s AND (expires_at IS NULL OR expires_at > now())
      AND NOT EXISTS (
          SELECT FROM langgraph_server.store_items
          WHERE owner = %(owner)s AND namespace = %(namespace)s AND key = %(key)s AND (expires_at IS NULL OR expires_at > now()))
), gone AS (
    DELETE FROM langgraph_server.store_items
    WHERE owner = %(owner)s AND namespace = %(namespace)s AND key = %(key)s
      AND NOT EXISTS (SELECT FROM system)
)
SELECT EXISTS (SELECT FROM system)
