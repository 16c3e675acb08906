"""The states of threads and the history of these, in Postgres."""

from typing import Any, Final

from psycopg.errors import UniqueViolation
from psycopg.rows import tuple_row

from harness.database import Database
from harness.errors import NotFound
from harness.models import Json, ThreadState
from harness.storage.postgres.codec import dumps, utc
from harness.storage.postgres.records import checkpoint, rows_of, state
from harness.storage.postgres.refusals import refusal, taken
from harness.storage.postgres.sql import load
from harness.storage.requests import NewState

SQL: Final = load("states")
HISTORIES: Final = {
    (before, metadata): SQL.render(
        "history",
        conditions=f"{SQL['before'] if before else ''} {SQL['with_metadata'] if metadata else ''}",
    )
    for before in (False, True)
    for metadata in (False, True)
}
"""The statements for the history: before a state or not, by metadata or not."""
_OWNER_OF: Final = load("threads")["owner_of"]
_STATES: Final = rows_of(state)


class PostgresStates:
    """Carries out requests on the states of threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_state(self, thread_id: str, state: NewState, *, owner: str) -> ThreadState:
        """Add a state and make it the head."""
        parameters = {
            "id": thread_id,
            "owner": owner,
            "checkpoint_id": state.checkpoint_id,
            "values": dumps(state.values),
            "next": dumps(state.next),
            "tasks": dumps(state.tasks),
            "interrupts": dumps(state.interrupts),
            "metadata": dumps(state.metadata),
            "status": "interrupted" if state.next else "idle",
        }
        try:
            rows = await self._database.write(SQL["add"], parameters, row_factory=tuple_row)
        except UniqueViolation as exc:
            raise taken(f"thread {thread_id} checkpoint", state.checkpoint_id) from exc
        if not rows:
            raise await refusal(self._database, _OWNER_OF, "thread", thread_id, owner=owner)
        [(parent_checkpoint_id, created_at)] = rows
        return ThreadState(
            values=state.values,
            next=state.next,
            checkpoint=checkpoint(thread_id, state.checkpoint_id),
            parent_checkpoint=checkpoint(thread_id, parent_checkpoint_id),
            metadata=state.metadata,
            created_at=utc(created_at),
            tasks=state.tasks,
            interrupts=state.interrupts,
        )

    async def get_state(
        self, thread_id: str, checkpoint_id: str | None, *, owner: str
    ) -> ThreadState:
        """Return the head, or the state at a checkpoint."""
        parameters: dict[str, Any] = {"id": thread_id, "owner": owner}
        if checkpoint_id is not None:
            parameters["checkpoint_id"] = checkpoint_id
        rows = await self._database.read(
            SQL["get_head"] if checkpoint_id is None else SQL["get_at"],
            parameters,
            row_factory=_STATES,
        )
        if not rows:
            raise NotFound.of("thread", thread_id)
        return rows[0] or _no_state()

    async def get_history(
        self, thread_id: str, *, limit: int, before: str | None, metadata: Json, owner: str
    ) -> list[ThreadState]:
        """Return states, newest first."""
        parameters = {"id": thread_id, "owner": owner, "limit": limit}
        if before is not None:
            parameters["before"] = before
        if metadata:
            parameters["metadata"] = dumps(metadata)
        rows = await self._database.read(
            HISTORIES[before is not None, bool(metadata)], parameters, row_factory=_STATES
        )
        if not rows:
            raise NotFound.of("thread", thread_id)
        return [row for row in rows if row is not None]


def _no_state() -> ThreadState:
    return ThreadState(
        values={},
        next=[],
        checkpoint=None,
        parent_checkpoint=None,
        metadata=None,
        created_at=None,
        tasks=[],
        interrupts=[],
    )
