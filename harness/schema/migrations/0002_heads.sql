-- The head of a graph's thread, cached beside its values: what it waits for, and why it failed.
-- `checkpoint_id` may now be a checkpoint of the graph's, so the newest snapshot has a column of its
-- own, as `state_seq` is its place.

ALTER TABLE langgraph_server.threads
    ADD COLUMN interrupts jsonb NOT NULL DEFAULT '{}'
        CHECK (jsonb_typeof(interrupts) = 'object'), -- by task, those that wait for an answer
    ADD COLUMN error jsonb CHECK (jsonb_typeof(error) = 'object'), -- the last run's, if it failed
    ADD COLUMN state_id uuid; -- the newest snapshot's checkpoint
UPDATE langgraph_server.threads SET state_id = checkpoint_id WHERE state_seq > 0;
