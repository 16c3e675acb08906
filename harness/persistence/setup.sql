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

-- statement: triggers
SELECT hung.tgname AS name, run.prosrc AS body,
       pg_catalog.obj_description(hung.oid, 'pg_trigger') AS definition
FROM pg_catalog.pg_trigger AS hung
JOIN pg_catalog.pg_proc AS run ON run.oid = hung.tgfoid
WHERE hung.tgrelid IN ('langgraph_server.threads'::regclass, 'langgraph_server.runs'::regclass)
  AND NOT hung.tgisinternal

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
-- template: forget_checkpoints
BEGIN
    DELETE FROM {schema}.checkpoints WHERE thread_id = OLD.thread_id::text;
    DELETE FROM {schema}.checkpoint_blobs WHERE thread_id = OLD.thread_id::text;
    DELETE FROM {schema}.checkpoint_writes WHERE thread_id = OLD.thread_id::text;
    RETURN NULL;
END

-- A graph may store what a task wrote before the checkpoint that the task belongs to. A run that
-- loses its lease in between leaves writes that nobody can ever read.
-- template: forget_early_writes
BEGIN
    DELETE FROM {schema}.checkpoint_writes AS w
    WHERE w.thread_id = OLD.thread_id::text AND NOT EXISTS (
        SELECT FROM {schema}.checkpoints AS c
        WHERE c.thread_id = w.thread_id AND c.checkpoint_ns = w.checkpoint_ns
          AND c.checkpoint_id = w.checkpoint_id);
    RETURN NULL;
END

-- template: make_function
CREATE OR REPLACE FUNCTION langgraph_server.{function}() RETURNS trigger
LANGUAGE plpgsql AS {quoted_body}

-- template: drop_trigger
DROP TRIGGER IF EXISTS {trigger} ON langgraph_server.{table}

-- template: make_trigger
CREATE TRIGGER {trigger} AFTER {event} ON langgraph_server.{table}
FOR EACH ROW {condition} EXECUTE FUNCTION langgraph_server.{function}()

-- The definition that the trigger was made by. Postgres writes one in words of its own, which its
-- versions may change; a trigger's comment goes with it when it is made anew.
-- template: comment_on_trigger
COMMENT ON TRIGGER {trigger} ON langgraph_server.{table} IS {quoted_definition}

-- LangGraph stores what a command updates before it reads the thread: where there is no checkpoint
-- yet, beside one that it never stores.
-- fragment: lost_its_lease
WHEN (OLD.status = 'running' AND OLD.lease_token IS DISTINCT FROM NEW.lease_token
      AND (NEW.status <> 'success' OR jsonb_typeof(OLD.kwargs -> 'command') = 'object'))

-- fragment: was_running
WHEN (OLD.status = 'running')
