-- Items. An item that has expired is not there, whether or not it has been swept.

-- fragment: columns
namespace, key, value::text, created_at, updated_at

-- fragment: alive
(expires_at IS NULL OR expires_at > now())

-- fragment: on_conflict
ON CONFLICT (owner, namespace, key) DO UPDATE SET
    value = excluded.value,
    ttl_minutes = excluded.ttl_minutes,
    expires_at = excluded.expires_at,
    created_at = CASE WHEN old.expires_at <= excluded.created_at THEN excluded.created_at
                      ELSE old.created_at END,
    updated_at = greatest(excluded.updated_at, old.updated_at + interval '1 microsecond')

-- statement: put
INSERT INTO langgraph_server.store_items AS old
    (owner, namespace, key, value, ttl_minutes, expires_at)
VALUES (%(owner)s, %(namespace)s, %(key)s, %(value)s, %(ttl_minutes)s::double precision,
        now() + %(ttl_minutes)s::double precision * interval '1 minute')
{on_conflict}

-- statement: put_many
INSERT INTO langgraph_server.store_items AS old
    (owner, namespace, key, value, ttl_minutes, expires_at)
SELECT %(owner)s, namespace, key, value, ttl_minutes, now() + ttl_minutes * interval '1 minute'
FROM json_to_recordset(%(rows)s::json) AS new (
    namespace text[], key text, value jsonb, ttl_minutes double precision)
{on_conflict}

-- The caller's own comes before owner system's.
-- statement: get
SELECT {columns}, ttl_minutes IS NOT NULL AND owner = %(owner)s
FROM langgraph_server.store_items
WHERE owner IN (%(owner)s, 'system') AND namespace = %(namespace)s AND key = %(key)s AND {alive}
ORDER BY owner = %(owner)s DESC LIMIT 1

-- Rows are locked in the order in which put_many writes them.
-- statement: refresh
WITH due AS (
    SELECT i.namespace, i.key FROM langgraph_server.store_items AS i
    JOIN json_to_recordset(%(rows)s::json) AS read (namespace text[], key text)
      ON i.namespace = read.namespace AND i.key = read.key
    WHERE i.owner = %(owner)s AND i.expires_at > now()
    ORDER BY i.namespace, i.key FOR NO KEY UPDATE OF i
)
UPDATE langgraph_server.store_items AS i
SET expires_at = now() + i.ttl_minutes * interval '1 minute'
FROM due
WHERE i.owner = %(owner)s AND i.namespace = due.namespace AND i.key = due.key
  AND i.ttl_minutes IS NOT NULL

-- statement: delete
WITH system AS MATERIALIZED (
    SELECT FROM langgraph_server.store_items
    WHERE owner = 'system' AND %(owner)s <> 'system'
      AND namespace = %(namespace)s AND key = %(key)s AND {alive}
      AND NOT EXISTS (
          SELECT FROM langgraph_server.store_items
          WHERE owner = %(owner)s AND namespace = %(namespace)s AND key = %(key)s AND {alive})
), gone AS (
    DELETE FROM langgraph_server.store_items
    WHERE owner = %(owner)s AND namespace = %(namespace)s AND key = %(key)s
      AND NOT EXISTS (SELECT FROM system)
)
SELECT EXISTS (SELECT FROM system)

-- statement: sweep
DELETE FROM langgraph_server.store_items WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM langgraph_server.store_items WHERE expires_at <= now()
    ORDER BY expires_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
RETURNING 1

-- statement: sweep_owner
DELETE FROM langgraph_server.store_items WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM langgraph_server.store_items
    WHERE expires_at <= now() AND owner = %(owner)s
    ORDER BY expires_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
RETURNING 1

-- template: search
SELECT {columns}, ttl_minutes IS NOT NULL AND owner = %(owner)s FROM (
    (SELECT found.* FROM langgraph_server.store_items AS found
     WHERE found.owner = %(owner)s AND {alive} {conditions} ORDER BY {order} LIMIT %(reach)s)
    UNION ALL
    (SELECT found.* FROM langgraph_server.store_items AS found
     WHERE found.owner = 'system' AND {not_hidden} AND {alive} {conditions}
     ORDER BY {order} LIMIT %(reach)s)
) AS found ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s

-- template: count
SELECT count(*) FROM langgraph_server.store_items AS found
WHERE (found.owner = %(owner)s OR (found.owner = 'system' AND {not_hidden}))
  AND {alive} {conditions}

-- fragment: not_hidden
%(owner)s <> 'system' AND NOT EXISTS (
    SELECT FROM langgraph_server.store_items AS own
    WHERE own.owner = %(owner)s AND own.namespace = found.namespace AND own.key = found.key
      AND (own.expires_at IS NULL OR own.expires_at > now()))

-- The namespaces from the prefix itself up to the least one after all that begin with it: no text
-- lies between the prefix's last label and that label with the lowest character added.
-- fragment: where_prefix
AND found.namespace >= %(prefix)s::text[] AND found.namespace < %(prefix_end)s::text[]

-- template: namespaces
SELECT DISTINCT found.namespace[1:%(max_depth)s] AS namespace
FROM (SELECT DISTINCT found.namespace FROM langgraph_server.store_items AS found
      WHERE found.owner IN (%(owner)s, 'system') AND {alive} {conditions}) AS found
WHERE cardinality(found.namespace) >= greatest(cardinality(%(begins)s::text[]),
                                               cardinality(%(ends)s::text[]))
  AND NOT EXISTS (
      SELECT FROM unnest(%(begins)s::text[]) WITH ORDINALITY AS wanted (label, place)
      WHERE wanted.label <> '*' AND wanted.label <> found.namespace[wanted.place])
  AND NOT EXISTS (
      SELECT FROM unnest(%(ends)s::text[]) WITH ORDINALITY AS wanted (label, place)
      WHERE wanted.label <> '*' AND wanted.label <> found.namespace[
          cardinality(found.namespace) - cardinality(%(ends)s::text[]) + wanted.place])
ORDER BY namespace LIMIT %(limit)s OFFSET %(offset)s

-- The conditions of filters. `{value}` is the value under the condition's path: `->` with a text
-- looks into objects only, so that "0" does not reach into an array, and what is absent is null.
-- fragment: step
-> %({place})s::text

-- fragment: value
coalesce(found.value {steps}, 'null'::jsonb)

-- fragment: compare
AND {value} {operator} %({place})s::jsonb

-- fragment: compare_numbers
AND jsonb_typeof({value}) = 'number' AND {value} {operator} %({place})s::jsonb

-- fragment: compare_strings
AND jsonb_typeof({value}) = 'string'
AND ({value} #>> '{}') COLLATE "C" {operator} %({place})s::text
