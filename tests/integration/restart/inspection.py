"""What lies in a database, asked in plain SQL as a person would with psql."""

from collections.abc import Sequence
from typing import Any, Final, LiteralString

import psycopg

TABLES: Final = {"assistants", "threads", "thread_states", "runs", "store_items", "crons"}
NO_VECTORS: Final = {"vector_migrations", "store_vectors"}
"""Tables of LangGraph's that are made only where its store searches by meaning."""

_SCHEMAS: Final = (
    "SELECT schema_name FROM information_schema.schemata WHERE schema_name = 'langgraph_server'"
)
_TABLES: Final = (
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'langgraph_server'"
)
_LANGGRAPHS: Final = (
    "SELECT table_name FROM information_schema.tables"
    " WHERE (table_name LIKE 'checkpoint%' OR table_name LIKE 'store%')"
    " AND table_schema <> 'langgraph_server'"
)
_ASSISTANTS: Final = (
    "SELECT assistant_id::text, graph_id, metadata->>'owner', owner"
    " FROM langgraph_server.assistants WHERE assistant_id::text = ANY(%s)"
)
_THREADS: Final = (
    "SELECT thread_id::text, status, metadata->>'owner', owner"
    " FROM langgraph_server.threads WHERE thread_id::text = ANY(%s)"
)
_RUNS: Final = (
    "SELECT thread_id::text, status, metadata->>'owner', owner"
    " FROM langgraph_server.runs WHERE thread_id::text = ANY(%s)"
)
_ACTIVE: Final = (
    "SELECT status FROM langgraph_server.runs WHERE status IN ('pending', 'running')"
    " UNION ALL SELECT status FROM langgraph_server.threads WHERE status = 'busy'"
)
_INVALID: Final = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"

Rows = list[tuple[Any, ...]]


class Inspection:
    """Reads a database, past the server.

    Args:
        url: Where it is.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    async def schemas(self) -> set[str]:
        """Return our schema's name, if there is such a schema."""
        return {name for (name,) in await self._rows(_SCHEMAS)}

    async def tables(self) -> set[str]:
        """Return the names of the runtime's tables."""
        return {name for (name,) in await self._rows(_TABLES)}

    async def langgraphs_tables(self) -> set[str]:
        """Return the names of LangGraph's own tables."""
        return {name for (name,) in await self._rows(_LANGGRAPHS)}

    async def assistants(self, *ids: str) -> Rows:
        """Return id, graph and owner, as stamped and as held, of assistants."""
        return await self._rows(_ASSISTANTS, ids)

    async def threads(self, *ids: str) -> Rows:
        """Return id, status and owner, as stamped and as held, of threads."""
        return await self._rows(_THREADS, ids)

    async def runs(self, *thread_ids: str) -> Rows:
        """Return thread, status and owner, as stamped and as held, of runs."""
        return await self._rows(_RUNS, thread_ids)

    async def active(self) -> Rows:
        """Return the statuses of what has not ended: runs, and threads that are busy."""
        return await self._rows(_ACTIVE)

    async def invalid_indexes(self) -> Rows:
        """Return the names of indexes that were begun and never finished."""
        return await self._rows(_INVALID)

    async def _rows(self, query: LiteralString, ids: Sequence[str] | None = None) -> Rows:
        async with await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, prepare_threshold=None
        ) as connection:
            cursor = await connection.execute(query, None if ids is None else (list(ids),))
            return await cursor.fetchall()
