-- The time to live of threads. It counts from a thread's last update, so whatever changes a thread
-- prolongs it; a thread with an active run does not expire.
--
-- The two times are computed by the row itself and are null for every thread without a time to
-- live: its updates stay in the page, and the two indexes are empty. (The detour over UTC is what
-- makes the sum immutable: a timestamptz plus an interval depends on the session's time zone.)

ALTER TABLE langgraph_server.threads
    ADD COLUMN ttl_minutes double precision CHECK (ttl_minutes > 0),
    ADD COLUMN ttl_strategy text COLLATE "C" CHECK (ttl_strategy IN ('delete', 'keep_latest')),
    ADD COLUMN shortened_at timestamptz, -- `updated_at` as it was when a sweep kept the latest state
    ADD CONSTRAINT threads_ttl CHECK ((ttl_minutes IS NULL) = (ttl_strategy IS NULL)),
    ADD COLUMN expires_at timestamptz GENERATED ALWAYS AS (
        CASE WHEN ttl_strategy = 'delete' AND status <> 'busy' THEN
            (updated_at AT TIME ZONE 'UTC' + ttl_minutes * interval '1 minute') AT TIME ZONE 'UTC'
        END) STORED, -- from then on the thread is as good as gone
    ADD COLUMN shortens_at timestamptz GENERATED ALWAYS AS (
        CASE WHEN ttl_strategy = 'keep_latest' AND status <> 'busy'
              AND (shortened_at IS NULL OR shortened_at < updated_at) THEN
            (updated_at AT TIME ZONE 'UTC' + ttl_minutes * interval '1 minute') AT TIME ZONE 'UTC'
        END) STORED; -- from then on only its latest state stays
CREATE INDEX threads_expiring ON langgraph_server.threads (expires_at)
    WHERE expires_at IS NOT NULL;
CREATE INDEX threads_shortening ON langgraph_server.threads (shortens_at)
    WHERE shortens_at IS NOT NULL;
