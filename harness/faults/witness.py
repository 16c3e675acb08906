"""Reads everything that one owner has in a storage, as cells of the ledger."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from harness.faults.ledger import Cell
from harness.models import (
    ACTIVE,
    Assistant,
    AssistantVersion,
    Cron,
    Item,
    Json,
    Run,
    Thread,
    ThreadState,
)
from harness.storage.extensions import FullStorage

Sight = dict[Cell, Json]
"""What is there, by cell."""

RecordT = TypeVar("RecordT")

_PAGE = 1_000


async def witness(storage: FullStorage, owner: str) -> Sight:
    """Return all cells of an owner; rows of owner `system` are not among them."""
    sight: Sight = {}
    for assistant in await _all(
        lambda offset: storage.assistants.search(
            limit=_PAGE, offset=offset, sort_order="asc", metadata={"owner": owner}, owner=owner
        )
    ):
        versions = await storage.assistants.get_versions(
            assistant.assistant_id, limit=_PAGE, owner=owner
        )
        sight["assistant", assistant.assistant_id] = assistant_fields(assistant)
        sight["assistant_versions", assistant.assistant_id] = version_fields(versions)
    for thread in await _all(
        lambda offset: storage.threads.search(
            limit=_PAGE, offset=offset, sort_order="asc", metadata={"owner": owner}, owner=owner
        )
    ):
        history = await storage.threads.get_history(thread.thread_id, limit=_PAGE, owner=owner)
        sight["thread", thread.thread_id] = thread_fields(thread)
        if history:
            sight["states", thread.thread_id] = history_fields(history)
    for run in await _all(
        lambda offset: storage.runs.search(
            limit=_PAGE, offset=offset, sort_order="asc", metadata={"owner": owner}, owner=owner
        )
    ):
        sight["run", run.thread_id, run.run_id] = run_fields(run)
    for item in await _all(
        lambda offset: storage.items.search_items(
            (), limit=_PAGE, offset=offset, sort_order="asc", refresh_ttl=False, owner=owner
        )
    ):
        sight[item_cell(item.namespace, item.key)] = item_fields(item)
    for cron in await _all(
        lambda offset: storage.crons.search(
            limit=_PAGE, offset=offset, sort_order="asc", metadata={"owner": owner}, owner=owner
        )
    ):
        sight["cron", cron.cron_id] = cron_fields(cron)
    return sight | _firings(sight)


def contradictions(sight: Sight) -> Iterator[tuple[Cell, str]]:
    """Yield what cannot be whole, whatever was written: cells that disagree with one another."""
    active: Counter[str] = Counter()
    running: Counter[str] = Counter()
    for (kind, *ids), fields in sight.items():
        if kind == "run":
            active[ids[0]] += fields["status"] in ACTIVE
            running[ids[0]] += fields["status"] == "running"
            if ("thread", ids[0]) not in sight:
                yield (kind, *ids), "a run without its thread"
    for (kind, *ids), fields in sight.items():
        problem = None
        if kind == "thread":
            states = sight.get(("states", ids[0]), {"history": [[None, None]]})
            problem = _thread_problem(fields, states, active[ids[0]], running[ids[0]])
        elif kind == "assistant":
            numbers = [number for number, _ in sight["assistant_versions", *ids]["versions"]]
            if fields["version"] not in numbers:
                problem = f"an assistant at version {fields['version']} of {numbers}"
        elif kind == "firings" and fields["threads"] not in (0, fields["runs"]):
            problem = f"{fields['runs']} runs of a cron, and {fields['threads']} threads for them"
        if problem is not None:
            yield (kind, *ids), problem


def _thread_problem(thread: Json, states: Json, active: int, running: int) -> str | None:
    head = states["history"][0]
    if [thread["checkpoint_id"], thread["values"]] != head:
        return f"a thread that does not show its head state {head[0]}"
    if (thread["status"] == "busy") != (active > 0):
        return f"a thread that is {thread['status']} with {active} active runs"
    if running > 1:
        return f"a thread with {running} running runs"
    return None


def item_cell(namespace: tuple[str, ...], key: str) -> Cell:
    """The cell of an item."""
    return "item", *namespace, key


def assistant_fields(assistant: Assistant) -> Json:
    """What the cell of an assistant holds."""
    return {
        "graph_id": assistant.graph_id,
        "name": assistant.name,
        "context": assistant.context,
        "metadata": assistant.metadata,
        "version": assistant.version,
        "created_at": assistant.created_at.isoformat(),
    }


def version_fields(versions: list[AssistantVersion]) -> Json:
    """What the cell of an assistant's versions holds, newest first."""
    return {"versions": [[version.version, version.metadata] for version in versions]}


def thread_fields(thread: Thread) -> Json:
    """What the cell of a thread holds."""
    return {
        "status": thread.status,
        "metadata": thread.metadata,
        "values": thread.values,
        "checkpoint_id": thread.checkpoint_id,
        "created_at": thread.created_at.isoformat(),
    }


def history_fields(history: list[ThreadState]) -> Json:
    """What the cell of a thread's states holds, newest first."""
    return {
        "history": [
            [(state.checkpoint or {}).get("checkpoint_id"), state.values] for state in history
        ]
    }


def run_fields(run: Run) -> Json:
    """What the cell of a run holds."""
    return {
        "assistant_id": run.assistant_id,
        "status": run.status,
        "attempt": run.attempt,
        "kwargs": run.kwargs,
        "metadata": run.metadata,
        "error": run.error,
        "created_at": run.created_at.isoformat(),
    }


def item_fields(item: Item) -> Json:
    """What the cell of an item holds."""
    return {"value": item.value}


def cron_fields(cron: Cron) -> Json:
    """What the cell of a cron holds."""
    return {
        "assistant_id": cron.assistant_id,
        "thread_id": cron.thread_id,
        "schedule": cron.schedule,
        "payload": cron.payload,
        "metadata": cron.metadata,
        "next_run_date": cron.next_run_date.isoformat() if cron.next_run_date else None,
        "created_at": cron.created_at.isoformat(),
    }


def _firings(sight: Sight) -> Sight:
    """What each cron has made: runs and threads that name it."""
    made: dict[str, Counter[str]] = {}
    for cell, fields in sight.items():
        if cell[0] in {"run", "thread"} and "cron_id" in fields["metadata"]:
            made.setdefault(fields["metadata"]["cron_id"], Counter())[cell[0]] += 1
    return {
        ("firings", cron_id): {"runs": count["run"], "threads": count["thread"]}
        for cron_id, count in made.items()
    }


async def _all(page: Callable[[int], Awaitable[list[RecordT]]]) -> list[RecordT]:
    rows: list[RecordT] = []
    while True:
        found = await page(len(rows))
        rows += found
        if len(found) < _PAGE:
            return rows
