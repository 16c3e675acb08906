"""From rows to the records that callers get, which share nothing with the rows."""

from harness.models import Assistant, AssistantVersion, Cron, Item, Json, Run, Thread, ThreadState
from harness.storage.lifetimes import ttl_of
from harness.storage.memory.jsonb import copied
from harness.storage.memory.rows import (
    AssistantRow,
    CronRow,
    ItemRow,
    RunRow,
    StateRow,
    ThreadRow,
    VersionRow,
)


def assistant_of(row: AssistantRow) -> Assistant:
    """Return the record of an assistant."""
    return Assistant(
        assistant_id=row.assistant_id,
        version=row.version,
        graph_id=row.graph_id,
        name=row.name,
        description=row.description,
        config=copied(row.config),
        context=copied(row.context),
        metadata=copied(row.metadata),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def version_of(row: VersionRow) -> AssistantVersion:
    """Return the record of an assistant's version."""
    return AssistantVersion(
        assistant_id=row.assistant_id,
        version=row.version,
        graph_id=row.graph_id,
        name=row.name,
        description=row.description,
        config=copied(row.config),
        context=copied(row.context),
        metadata=copied(row.metadata),
        created_at=row.created_at,
    )


def thread_of(row: ThreadRow) -> Thread:
    """Return the record of a thread."""
    return Thread(
        thread_id=row.thread_id,
        status=row.status,
        values=copied(row.values),
        checkpoint_id=row.checkpoint_id,
        interrupts=copied(row.interrupts),
        error=copied(row.error),
        metadata=copied(row.metadata),
        created_at=row.created_at,
        updated_at=row.updated_at,
        state_updated_at=row.state_updated_at,
        ttl=ttl_of(row.ttl_minutes, row.ttl_strategy, row.updated_at),
    )


def state_of(row: StateRow | None) -> ThreadState:
    """Return the record of a state, the empty one where there is none."""
    if row is None:
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
    return ThreadState(
        values=copied(row.values),
        next=list(row.next),
        checkpoint=_checkpoint(row.thread_id, row.checkpoint_id),
        parent_checkpoint=_checkpoint(row.thread_id, row.parent_checkpoint_id),
        metadata=copied(row.metadata),
        created_at=row.created_at,
        tasks=copied(row.tasks),
        interrupts=copied(row.interrupts),
    )


def run_of(row: RunRow) -> Run:
    """Return the record of a run."""
    return Run(
        run_id=row.run_id,
        thread_id=row.thread_id,
        assistant_id=row.assistant_id,
        status=row.status,
        kwargs=copied(row.kwargs),
        metadata=copied(row.metadata),
        multitask_strategy=row.multitask_strategy,
        attempt=row.attempt,
        error=row.error,
        due_at=row.due_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def item_of(row: ItemRow) -> Item:
    """Return the record of an item."""
    return Item(
        namespace=row.namespace,
        key=row.key,
        value=copied(row.value),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def cron_of(row: CronRow) -> Cron:
    """Return the record of a cron."""
    return Cron(
        cron_id=row.cron_id,
        assistant_id=row.assistant_id,
        thread_id=row.thread_id,
        schedule=row.schedule,
        timezone=row.timezone,
        payload=copied(row.payload),
        on_run_completed=row.on_run_completed,
        end_time=row.end_time,
        enabled=row.enabled,
        next_run_date=row.next_run_date,
        metadata=copied(row.metadata),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _checkpoint(thread_id: str, checkpoint_id: str | None) -> Json | None:
    if checkpoint_id is None:
        return None
    return {"thread_id": thread_id, "checkpoint_ns": "", "checkpoint_id": checkpoint_id}
