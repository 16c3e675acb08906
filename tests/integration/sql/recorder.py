"""Records what a connection sends, and what each statement touches."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncCursor
from psycopg.rows import tuple_row

from harness.storage.postgres.queue import SQL as QUEUE

_WAITS = frozenset({QUEUE["await_thread"], QUEUE["await_run"]})


@dataclass(frozen=True, slots=True)
class Sent:
    """A statement that was sent while `label` was on, and what its execution touched."""

    label: str
    sql: str
    buffers: int
    rows: int


class Recorder:
    """Records the statements that a database's connections send, explained if asked to."""

    def __init__(self, *, explain: bool) -> None:
        self.explain = explain
        self.label = ""
        self.sent: list[Sent] = []
        self.waiting = asyncio.Event()
        """A statement is on its way that only waits for a lock."""

    def cursor_class(self) -> type[AsyncCursor[Any]]:
        """Return the class for the cursors of a connection to record."""
        recorder = self

        class RecordingCursor(AsyncCursor[Any]):
            async def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
                buffers, rows = 0, 0
                if recorder.explain:
                    buffers, rows = await recorder.touched(self.connection, query, params)
                recorder.sent.append(Sent(recorder.label, str(query), buffers, rows))
                if query in _WAITS:
                    recorder.waiting.set()
                return await super().execute(query, params, **options)

        return RecordingCursor

    async def touched(self, connection: Any, query: str, params: Any) -> tuple[int, int]:
        """Execute a statement for its plan, undo it, and return the buffers and rows it touched.

        Rows are those returned; of a write that returns none, those written.
        """
        async with connection.transaction(force_rollback=True):
            cursor = AsyncCursor(connection, row_factory=tuple_row)
            explained = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}"
            await cursor.execute(explained.encode(), params)
            [(plans,)] = await cursor.fetchall()
        nodes = list(_nodes(plans[0]["Plan"]))
        # The root counts what runs below it; a writing CTE that nothing reads runs after it.
        later = [
            node
            for node in plans[0]["Plan"].get("Plans", ())
            if node["Node Type"] == "ModifyTable" and not _is_read(node, nodes)
        ]
        buffers = sum(_buffers(node) for node in (plans[0]["Plan"], *later))
        rows = int(nodes[0]["Actual Rows"])
        if not rows and nodes[0]["Node Type"] == "ModifyTable":
            rows = int(nodes[0]["Plans"][0]["Actual Rows"])
        return buffers, rows

    @contextmanager
    def step(self, label: str) -> Iterator[None]:
        """Say what the statements sent meanwhile are for."""
        self.label = label
        yield
        self.label = ""


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _is_read(writer: dict[str, Any], nodes: list[dict[str, Any]]) -> bool:
    name = writer.get("Subplan Name", "").removeprefix("CTE ")
    return any(node.get("CTE Name") == name for node in nodes)


def _buffers(node: dict[str, Any]) -> int:
    return int(node["Shared Hit Blocks"]) + int(node["Shared Read Blocks"])
