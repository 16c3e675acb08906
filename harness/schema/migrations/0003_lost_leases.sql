-- Whoever executes a run hears at once that its lease was taken away: the run was cancelled, deleted
-- (also with its thread), or taken over after the lease had run out. A trigger tells, so that no
-- statement can forget to. It tells nothing where a run's holder ends it with success or an error, or
-- prolongs its lease: a commit with a notification waits for all others that have one.
--
-- `stopping_token` is the lease that a run had when it was ended from outside. Until `stopping_until`
-- its holder may still execute it, unless it has said that it has stopped.

ALTER TABLE langgraph_server.runs
    ADD COLUMN stopping_token uuid,
    ADD COLUMN stopping_until timestamptz,
    ADD CHECK ((stopping_token IS NULL) = (stopping_until IS NULL));

CREATE FUNCTION langgraph_server.lease_lost() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('langgraph_server_lease_lost', OLD.lease_token::text);
    IF TG_OP = 'UPDATE' AND NEW.lease_token IS NULL THEN
        UPDATE langgraph_server.runs
        SET stopping_token = OLD.lease_token, stopping_until = OLD.leased_until
        WHERE run_id = OLD.run_id;
    END IF;
    RETURN NULL;
END
$$;

-- AFTER, though BEFORE could set the columns without a second update: a BEFORE trigger locks the row
-- of every update of these columns once more, before it looks at its condition.
CREATE TRIGGER lease_lost_by_update AFTER UPDATE OF status, lease_token ON langgraph_server.runs
FOR EACH ROW WHEN (
    OLD.lease_token IS NOT NULL AND NEW.lease_token IS DISTINCT FROM OLD.lease_token
    AND NEW.status IN ('running', 'interrupted', 'timeout'))
EXECUTE FUNCTION langgraph_server.lease_lost();

CREATE TRIGGER lease_lost_by_delete AFTER DELETE ON langgraph_server.runs
FOR EACH ROW WHEN (OLD.lease_token IS NOT NULL)
EXECUTE FUNCTION langgraph_server.lease_lost();
