"""From rows to records: the row factories of the seven `columns` fragments.

A row is taken apart by position, in the order in which the fragment lists the columns.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from psycopg import AsyncCursor
from psycopg.rows import AsyncRowFactory

from harness.models import (
    Assistant,
    AssistantVersion,
    Cron,
    Item,
    Json,
    Lease,
    Run,
    Thread,
    ThreadState,
)
from harness.storage.lifetimes import ttl_of
from harness.storage.postgres.codec import loads, utc, utc_or_none

RecordT = TypeVar("RecordT")
Values = Sequence[Any]


def rows_of(make: Callable[[Values], RecordT]) -> AsyncRowFactory[RecordT]:
    """Return psycopg's row factory for a function that makes a record of a row's values."""

    def factory(cursor: AsyncCursor[Any]) -> Callable[[Values], RecordT]:
        del cursor
        return make

    return factory


def assistant(row: Values) -> Assistant:
    """Return an assistant."""
    return Assistant(
        assistant_id=row[0],
        version=row[1],
        graph_id=row[2],
        name=row[3],
        description=row[4],
        config=loads(row[5]),
        context=loads(row[6]),
        metadata=loads(row[7]),
        created_at=utc(row[8]),
        updated_at=utc(row[9]),
    )


def assistant_version(row: Values) -> AssistantVersion | None:
    """Return a version; None where the assistant has none that was asked for."""
    if row[0] is None:
        return None
    return AssistantVersion(
        assistant_id=row[0],
        version=row[1],
        graph_id=row[2],
        name=row[3],
        description=row[4],
        config=loads(row[5]),
        context=loads(row[6]),
        metadata=loads(row[7]),
        created_at=utc(row[8]),
    )


def thread(row: Values) -> Thread:
    """Return a thread."""
    return Thread(
        thread_id=row[0],
        status=row[1],
        values=None if row[2] is None else loads(row[2]),
        checkpoint_id=row[3],
        interrupts=loads(row[4]),
        error=None if row[5] is None else loads(row[5]),
        metadata=loads(row[6]),
        created_at=utc(row[7]),
        updated_at=utc(row[8]),
        state_updated_at=utc(row[9]),
        ttl=ttl_of(row[10], row[11], utc(row[8])),
    )


def state(row: Values) -> ThreadState | None:
    """Return a state; None where the thread has none that was asked for."""
    if row[1] is None:
        return None
    return ThreadState(
        values=loads(row[3]),
        next=loads(row[4]),
        checkpoint=checkpoint(row[0], row[1]),
        parent_checkpoint=checkpoint(row[0], row[2]),
        metadata=loads(row[7]),
        created_at=utc(row[8]),
        tasks=loads(row[5]),
        interrupts=loads(row[6]),
    )


def checkpoint(thread_id: str, checkpoint_id: str | None) -> Json | None:
    """Return where a state lies."""
    if checkpoint_id is None:
        return None
    return {"thread_id": thread_id, "checkpoint_ns": "", "checkpoint_id": checkpoint_id}


def run(row: Values) -> Run:
    """Return a run."""
    return Run(
        run_id=row[0],
        thread_id=row[1],
        assistant_id=row[2],
        status=row[3],
        kwargs=loads(row[4]),
        metadata=loads(row[5]),
        multitask_strategy=row[6],
        attempt=row[7],
        error=row[8],
        due_at=utc(row[9]),
        created_at=utc(row[10]),
        updated_at=utc(row[11]),
    )


def run_or_none(row: Values) -> Run | None:
    """Return a run; None where the thread has none that was asked for."""
    return None if row[0] is None else run(row)


def lease(row: Values) -> Lease:
    """Return a lease."""
    return Lease(
        run_id=row[0], thread_id=row[1], token=row[2], attempt=row[3], expires_at=utc(row[4])
    )


def item(row: Values) -> Item:
    """Return an item."""
    return Item(
        namespace=tuple(row[0]),
        key=row[1],
        value=loads(row[2]),
        created_at=utc(row[3]),
        updated_at=utc(row[4]),
    )


def cron(row: Values) -> Cron:
    """Return a cron."""
    return Cron(
        cron_id=row[0],
        assistant_id=row[1],
        thread_id=row[2],
        schedule=row[3],
        timezone=row[4],
        payload=loads(row[5]),
        on_run_completed=row[6],
        end_time=utc_or_none(row[7]),
        enabled=row[8],
        next_run_date=utc_or_none(row[9]),
        metadata=loads(row[10]),
        created_at=utc(row[11]),
        updated_at=utc(row[12]),
    )
