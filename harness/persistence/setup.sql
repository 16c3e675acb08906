-- What LangGraph's own `setup()` leaves to do, and what tells whether anything is left.

-- Unqualified names mean what they mean to LangGraph: the first match in the search path. (Not
-- to_regclass, which answers from a cache; see harness/schema/migrate.py.)
-- statement: tables
SELECT found.relname AS name, found.relnamespace::regnamespace::text AS schema,
       found.relrowsecurity AS guarded,
       ARRAY(SELECT indexrelid::regclass::text FROM pg_catalog.pg_index
             WHERE indrelid = found.oid AND NOT indisvalid) AS invalid
FROM pg_catalog.pg_class AS found
WHERE found.relname = ANY (%(names)s) AND found.relkind IN ('r', 'p')
  AND pg_catalog.pg_table_is_visible(found.oid)

-- statement: trigger
SELECT 1 FROM pg_catalog.pg_trigger AS hung
JOIN pg_catalog.pg_proc AS run ON run.oid = hung.tgfoid
WHERE hung.tgname = 'forget_checkpoints' AND hung.tgrelid = 'langgraph_server.threads'::regclass
  AND run.prosrc = %(body)s

-- statement: checkpoint_version
SELECT max(v) AS version FROM checkpoint_migrations

-- statement: store_version
SELECT max(v) AS version FROM store_migrations

-- template: lock
SELECT pg_try_advisory_xact_lock({key}) AS locked

-- Not CONCURRENTLY: that could leave an invalid index behind in turn.
-- template: reindex
REINDEX INDEX {index}

-- template: guard
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY

-- A row at a time, as a cascading foreign key does it: each of these finds its rows by primary key,
-- where a plan made for many threads at once would be kept and read whole tables for one.
-- fragment: body
BEGIN
    DELETE FROM {schema}.checkpoints WHERE thread_id = OLD.thread_id::text;
    DELETE FROM {schema}.checkpoint_blobs WHERE thread_id = OLD.thread_id::text;
    DELETE FROM {schema}.checkpoint_writes WHERE thread_id = OLD.thread_id::text;
    RETURN NULL;
END

-- template: forget_function
CREATE OR REPLACE FUNCTION langgraph_server.forget_checkpoints() RETURNS trigger
LANGUAGE plpgsql AS {quoted_body}

-- statement: drop_trigger
DROP TRIGGER IF EXISTS forget_checkpoints ON langgraph_server.threads

-- statement: create_trigger
CREATE TRIGGER forget_checkpoints AFTER DELETE ON langgraph_server.threads
FOR EACH ROW EXECUTE FUNCTION langgraph_server.forget_checkpoints()
