-- Owners take turns in the run queue, so a claim looks for the next thread of an owner, and never for
-- the oldest of all. What is left of the index serves both claims: of one owner, and of whoever is next.

DROP INDEX langgraph_server.threads_waiting;
