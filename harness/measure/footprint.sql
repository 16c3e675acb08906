-- What threads occupy in LangGraph's tables, and copies of threads.

-- Sizes as they are stored: what is compressed counts compressed, wherever it lies.
-- statement: thread
SELECT 'checkpoints' AS table, count(*) AS rows,
       coalesce(sum(pg_column_size(one.*)), 0)::bigint AS bytes
FROM checkpoints AS one WHERE thread_id = %(thread_id)s
UNION ALL
SELECT 'checkpoint_blobs', count(*), coalesce(sum(pg_column_size(one.*)), 0)::bigint
FROM checkpoint_blobs AS one WHERE thread_id = %(thread_id)s
UNION ALL
SELECT 'checkpoint_writes', count(*), coalesce(sum(pg_column_size(one.*)), 0)::bigint
FROM checkpoint_writes AS one WHERE thread_id = %(thread_id)s

-- statement: disk
SELECT name AS table, pg_total_relation_size(name::regclass) AS bytes
FROM unnest(%(tables)s::text[]) AS name

-- statement: log
SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint AS bytes

-- statement: empty
TRUNCATE checkpoints, checkpoint_blobs, checkpoint_writes

-- statement: settle
VACUUM ANALYZE checkpoints, checkpoint_blobs, checkpoint_writes

-- The rows as they are, under another thread's id.
-- statement: copy_checkpoints
INSERT INTO checkpoints
SELECT (jsonb_populate_record(one, jsonb_build_object('thread_id', %(copy)s::text))).*
FROM checkpoints AS one
WHERE thread_id = %(thread_id)s ORDER BY checkpoint_id LIMIT %(count)s

-- statement: copy_blobs
INSERT INTO checkpoint_blobs
SELECT (jsonb_populate_record(one, jsonb_build_object('thread_id', %(copy)s::text))).*
FROM checkpoint_blobs AS one
WHERE thread_id = %(thread_id)s AND (channel, version) IN (
    SELECT named.key, named.value
    FROM checkpoints, jsonb_each_text(checkpoint -> 'channel_versions') AS named
    WHERE thread_id = %(copy)s
)

-- What was written after the last of them had not been written when it was.
-- statement: copy_writes
INSERT INTO checkpoint_writes
SELECT (jsonb_populate_record(one, jsonb_build_object('thread_id', %(copy)s::text))).*
FROM checkpoint_writes AS one
WHERE thread_id = %(thread_id)s AND checkpoint_id IN (
    SELECT checkpoint_id FROM checkpoints
    WHERE thread_id = %(copy)s AND checkpoint_id < (
        SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = %(copy)s
    )
)

-- Copies in the order in which as many conversations write that are held at once.
-- statement: crowd_checkpoints
INSERT INTO checkpoints
SELECT (jsonb_populate_record(one, jsonb_build_object('thread_id', copy.id))).*
FROM unnest(%(copies)s::text[]) WITH ORDINALITY AS copy (id, number), checkpoints AS one
WHERE thread_id = %(thread_id)s ORDER BY checkpoint_id, copy.number

-- statement: crowd_blobs
INSERT INTO checkpoint_blobs
SELECT (jsonb_populate_record(one, jsonb_build_object('thread_id', copy.id))).*
FROM unnest(%(copies)s::text[]) WITH ORDINALITY AS copy (id, number), checkpoint_blobs AS one
WHERE thread_id = %(thread_id)s ORDER BY version, copy.number

-- statement: crowd_writes
INSERT INTO checkpoint_writes
SELECT (jsonb_populate_record(one, jsonb_build_object('thread_id', copy.id))).*
FROM unnest(%(copies)s::text[]) WITH ORDINALITY AS copy (id, number), checkpoint_writes AS one
WHERE thread_id = %(thread_id)s ORDER BY checkpoint_id, copy.number
