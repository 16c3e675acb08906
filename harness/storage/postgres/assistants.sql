-- Assistants and their versions. Each write keeps the two tables together in one statement.

-- fragment: columns
assistant_id::text, version, graph_id, name, description,
config::text, context::text, metadata::text, created_at, updated_at

-- fragment: version_columns
version, graph_id, name, name_folded, description, config, context, metadata

-- statement: insert
WITH made AS (
    INSERT INTO langgraph_server.assistants
        (assistant_id, owner, graph_id, name, name_folded, description, config, context, metadata)
    VALUES (%(assistant_id)s, %(owner)s, %(graph_id)s, %(name)s, %(name_folded)s, %(description)s,
            %(config)s, %(context)s, %(metadata)s)
    RETURNING *
)
INSERT INTO langgraph_server.assistant_versions (assistant_id, {version_columns})
SELECT assistant_id, {version_columns} FROM made
RETURNING created_at

-- The row that is there is returned where the id is taken. No row at all: it was taken by somebody
-- whose commit this statement's snapshot does not show.
-- statement: insert_or_get
WITH made AS (
    INSERT INTO langgraph_server.assistants
        (assistant_id, owner, graph_id, name, name_folded, description, config, context, metadata)
    VALUES (%(assistant_id)s, %(owner)s, %(graph_id)s, %(name)s, %(name_folded)s, %(description)s,
            %(config)s, %(context)s, %(metadata)s)
    ON CONFLICT (assistant_id) DO NOTHING
    RETURNING *
), first_version AS (
    INSERT INTO langgraph_server.assistant_versions (assistant_id, {version_columns})
    SELECT assistant_id, {version_columns} FROM made
), found AS (
    SELECT * FROM made
    UNION ALL
    SELECT * FROM langgraph_server.assistants
    WHERE assistant_id = %(assistant_id)s::uuid AND NOT EXISTS (SELECT FROM made)
)
SELECT {columns}, owner FROM found

-- statement: insert_many
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
    INSERT INTO langgraph_server.assistant_versions (assistant_id, {version_columns})
    SELECT assistant_id, {version_columns} FROM made
)
SELECT now()

-- statement: insert_missing
WITH made AS (
    INSERT INTO langgraph_server.assistants
        (assistant_id, owner, graph_id, name, name_folded, description, config, context, metadata)
    SELECT assistant_id, %(owner)s, graph_id, name, name_folded, description, config, context,
           metadata
    FROM json_to_recordset(%(rows)s::json) AS new (
        assistant_id uuid, graph_id text, name text, name_folded text, description text,
        config jsonb, context jsonb, metadata jsonb)
    ON CONFLICT (assistant_id) DO NOTHING
    RETURNING *
), first_version AS (
    INSERT INTO langgraph_server.assistant_versions (assistant_id, {version_columns})
    SELECT assistant_id, {version_columns} FROM made
)
SELECT assistant_id::text FROM made

-- statement: get_many
SELECT {columns}, owner FROM langgraph_server.assistants WHERE assistant_id = ANY (%(ids)s::uuid[])

-- statement: get
SELECT {columns} FROM langgraph_server.assistants
WHERE assistant_id = %(id)s AND owner IN (%(owner)s, 'system')

-- statement: owner_of
SELECT owner FROM langgraph_server.assistants WHERE assistant_id = %(id)s

-- statement: update
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
    INSERT INTO langgraph_server.assistant_versions (assistant_id, created_at, {version_columns})
    SELECT assistant_id, updated_at, {version_columns} FROM changed
)
SELECT {columns} FROM changed

-- statement: set_latest
WITH changed AS (
    UPDATE langgraph_server.assistants AS a SET
        version = v.version,
        highest_version = greatest(a.highest_version, a.version),
        graph_id = v.graph_id,
        name = v.name,
        name_folded = coalesce(v.name_folded, lower(v.name)),
        description = v.description,
        config = v.config,
        context = v.context,
        metadata = v.metadata,
        updated_at = greatest(now(), a.updated_at + interval '1 microsecond')
    FROM langgraph_server.assistant_versions AS v
    WHERE a.assistant_id = %(id)s AND a.owner = %(owner)s
      AND v.assistant_id = a.assistant_id AND v.version = %(version)s
    RETURNING a.*
)
SELECT {columns} FROM changed

-- statement: versions
SELECT v.assistant_id::text, v.version, v.graph_id, v.name, v.description,
       v.config::text, v.context::text, v.metadata::text, v.created_at
FROM langgraph_server.assistants AS a LEFT JOIN LATERAL (
    SELECT * FROM langgraph_server.assistant_versions AS older
    WHERE older.assistant_id = a.assistant_id AND older.metadata @> %(metadata)s
    ORDER BY older.version DESC LIMIT %(limit)s OFFSET %(offset)s
) AS v ON true
WHERE a.assistant_id = %(id)s AND a.owner IN (%(owner)s, 'system')
ORDER BY v.version DESC

-- statement: delete
DELETE FROM langgraph_server.assistants WHERE assistant_id = %(id)s AND owner = %(owner)s
RETURNING 1

-- Threads are locked in the order of their ids, as everything does that locks several.
-- statement: delete_with_threads
WITH gone AS (
    DELETE FROM langgraph_server.assistants WHERE assistant_id = %(id)s AND owner = %(owner)s
    RETURNING 1
), locked AS (
    SELECT thread_id FROM langgraph_server.threads
    WHERE owner = %(owner)s AND metadata @> jsonb_build_object('assistant_id', %(id)s::text)
      AND EXISTS (SELECT FROM gone)
    ORDER BY thread_id FOR UPDATE
), threads AS (
    DELETE FROM langgraph_server.threads AS t USING locked WHERE t.thread_id = locked.thread_id
)
SELECT 1 FROM gone

-- template: search
SELECT {columns} FROM (
    (SELECT found.* FROM langgraph_server.assistants AS found
     WHERE found.owner = %(owner)s {conditions} ORDER BY {order} LIMIT %(reach)s)
    UNION ALL
    (SELECT found.* FROM langgraph_server.assistants AS found
     WHERE found.owner = 'system' AND %(owner)s <> 'system' {conditions}
     ORDER BY {order} LIMIT %(reach)s)
) AS found ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s

-- template: count
SELECT count(*) FROM langgraph_server.assistants AS found
WHERE found.owner IN (%(owner)s, 'system') {conditions}

-- fragment: where_metadata
AND found.metadata @> %(metadata)s

-- fragment: where_graph_id
AND found.graph_id = %(graph_id)s

-- fragment: where_name
AND strpos(found.name_folded, %(name)s) > 0
