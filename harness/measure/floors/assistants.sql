-- Assistants, as the Postgres backend writes and reads them.

-- name: create
WITH made AS (
    INSERT INTO langgraph_server.assistants
        (assistant_id, owner, graph_id, name, name_folded, description, config, context, metadata)
    VALUES (%(assistant_id)s, %(owner)s, %(graph_id)s, %(name)s, %(name_folded)s, %(description)s,
            %(config)s, %(context)s, %(metadata)s)
    RETURNING *
)
INSERT INTO langgraph_server.assistant_versions (assistant_id, version, graph_id, name, name_folded, description, config, context, metadata)
SELECT assistant_id, version, graph_id, name, name_folded, description, config, context, metadata FROM made
RETURNING created_at

-- name: create_many
WITH made AS (
    INSERT INTO langgraph_server.assistants
        (assistant_id, owner, graph_id, name, name_folded, description, config, context, metadata)
    SELECT assistant_id, %(owner)s, graph_id, name, name_folded, description, config, context,
           metadata
    FROM json_to_recordset(%(rows)s::json) AS new (
        assistant_id uuid, graph_id text, name text, name_folded text, description text,
        config jsonb, context jsonb, metadata jsonb)
    RETURNING *
), first_version AS (
    INSERT INTO langgraph_server.assistant_versions (assistant_id, version, graph_id, name, name_folded, description, config, context, metadata)
    SELECT assistant_id, version, graph_id, name, name_folded, description, config, context, metadata FROM made
)
SELECT now()

-- name: get
SELECT assistant_id::text, version, graph_id, name, description,
config::text, context::text, metadata::text, created_at, updated_at FROM langgraph_server.assistants
WHERE assistant_id = %(id)s AND owner IN (%(owner)s, 'system')

-- name: update
WITH changed AS (
    UPDATE langgraph_server.assistants AS a SET
        version = greatest(a.highest_version, a.version) + 1,
        highest_version = greatest(a.highest_version, a.version) + 1,
        graph_id = coalesce(%(graph_id)s, a.graph_id),
        name = coalesce(%(name)s, a.name),
        name_folded = coalesce(%(name_folded)s, a.name_folded),
        description = coalesce(%(description)s, a.description),
        config = CASE
            WHEN %(config)s::jsonb IS NOT NULL THEN %(config)s::jsonb
            WHEN %(context)s::jsonb IS NOT NULL
                THEN a.config || jsonb_build_object('configurable', %(context)s::jsonb)
            ELSE a.config END,
        context = coalesce(%(context)s::jsonb, a.context),
        metadata = a.metadata || %(metadata)s::jsonb,
        updated_at = greatest(now(), a.updated_at + interval '1 microsecond')
    WHERE a.assistant_id = %(id)s AND a.owner = %(owner)s
    RETURNING a.*
), kept AS (
    INSERT INTO langgraph_server.assistant_versions (assistant_id, created_at, version, graph_id, name, name_folded, description, config, context, metadata)
    SELECT assistant_id, updated_at, version, graph_id, name, name_folded, description, config, context, metadata FROM changed
)
SELECT assistant_id::text, version, graph_id, name, description,
config::text, context::text, metadata::text, created_at, updated_at FROM changed

-- name: search
SELECT assistant_id::text, version, graph_id, name, description,
config::text, context::text, metadata::text, created_at, updated_at FROM (
    (SELECT found.* FROM langgraph_server.assistants AS found
     WHERE found.owner = %(owner)s AND found.metadata @> %(metadata)s ORDER BY found.created_at desc, found.assistant_id desc LIMIT %(reach)s)
    UNION ALL
    (SELECT found.* FROM langgraph_server.assistants AS found
     WHERE found.owner = 'system' AND %(owner)s <> 'system' AND found.metadata @> %(metadata)s
     ORDER BY found.created_at desc, found.assistant_id desc LIMIT %(reach)s)
) AS found ORDER BY found.created_at desc, found.assistant_id desc LIMIT %(limit)s OFFSET %(offset)s

-- name: newest
SELECT assistant_id::text, version, graph_id, name, description,
config::text, context::text, metadata::text, created_at, updated_at FROM (
    (SELECT found.* FROM langgraph_server.assistants AS found
     WHERE found.owner = %(owner)s  ORDER BY found.created_at desc, found.assistant_id desc LIMIT %(reach)s)
    UNION ALL
    (SELECT found.* FROM langgraph_server.assistants AS found
     WHERE found.owner = 'system' AND %(owner)s <> 'system'
     ORDER BY found.created_at desc, found.assistant_id desc LIMIT %(reach)s)
) AS found ORDER BY found.created_at desc, found.assistant_id desc LIMIT %(limit)s OFFSET %(offset)s

-- name: count
SELECT count(*) FROM langgraph_server.assistants AS found
WHERE found.owner IN (%(owner)s, 'system') AND found.metadata @> %(metadata)s

-- name: delete
DELETE FROM langgraph_server.assistants WHERE assistant_id = %(id)s AND owner = %(owner)s
RETURNING 1
